/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LD_PRELOAD: what a reader would do that a file has taken over. When stdin begins with one of the words
 * below, read() does that, inside the sandbox, and returns as if nothing had been. With ESCAPE_FAIL=CALL or
 * CALL:N that call fails (N: its first argument), so that the sandbox cannot be closed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEBIBYTE ((size_t)1 << 20)

ssize_t read(int fd, void *out, size_t size);
ssize_t __read_chk(int fd, void *out, size_t size, size_t room);
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit);
int prctl(int option, ...);
int close_range(unsigned first, unsigned last, int flags);
int seccomp_load(const void *context);
void *seccomp_init(uint32_t action);

/* --- what is tried */

static void do_open(void)
{
	syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
}

static void do_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void do_fork(void)
{
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
		syscall(SYS_exit_group, 0);
}

static void do_exec(void)
{
	syscall(SYS_execve, "/bin/true", (char *[]){"true", NULL}, (char *[]){NULL});
}

static void do_kill(void)
{
	syscall(SYS_kill, 0, 0);
}

static void do_self(void) /* a signal to itself is one too */
{
	syscall(SYS_tgkill, 0, 0, 0);
}

static void do_prctl(void)
{
	syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void do_limit(void)
{
	syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, NULL);
}

static void do_ioctl(void)
{
	int n;
	syscall(SYS_ioctl, 0, 0x541b, &n); /* FIONREAD */
}

static void do_ptrace(void)
{
	syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
}

static void do_dup(void)
{
	syscall(SYS_dup, 1);
}

static void do_close(void)
{
	syscall(SYS_close, 9);
}

static void do_read3(void)
{
	char c;
	syscall(SYS_read, 3, &c, 1);
}

static void do_read1(void)
{
	syscall(SYS_read, 1, NULL, 0);
}

static void do_write0(void)
{
	syscall(SYS_write, 0, "", 0);
}

static void do_write3(void)
{
	syscall(SYS_write, 3, "x", 1);
}

static void do_runmap(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_sharedmap(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void do_filemap(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0);
}

static void do_protect(void)
{
	syscall(SYS_mprotect, NULL, 0, PROT_EXEC);
}

static void do_memfd(void)
{
	syscall(SYS_memfd_create, "x", 0);
}

static void do_uring(void)
{
	syscall(SYS_io_uring_setup, 0, NULL);
}

static void do_bpf(void)
{
	syscall(SYS_bpf, 0, NULL, 0);
}

static void do_filter(void)
{
	syscall(SYS_seccomp, 0xff, 0, NULL);
}

static void do_unknown(void) /* of a kernel to come */
{
	syscall(1023);
}

#ifdef __x86_64__
static void do_x32(void)
{
	syscall(0x40000000 | SYS_getpid);
}

static void do_i386(void)
{
	long rc = 20; /* getpid */
	__asm__ volatile("int $0x80" : "+a"(rc)::"memory");
}
#endif

static void do_spin(void)
{
	for (volatile unsigned n = 0;; n++)
		;
}

/* Not all of a gibibyte is to be had: 42. */
static void do_eat(void)
{
	for (unsigned i = 0; i < 1024; i++) {
		void *p = malloc(MEBIBYTE);
		if (!p)
			syscall(SYS_exit_group, 42);
		memset(p, 1, MEBIBYTE);
	}
}

static const struct {
	const char *word;
	void (*deed)(void);
} deeds[] = {
	{"OPEN", do_open},
	{"SOCKET", do_socket},
	{"FORK", do_fork},
	{"EXEC", do_exec},
	{"KILL", do_kill},
	{"SELF", do_self},
	{"PRCTL", do_prctl},
	{"LIMIT", do_limit},
	{"IOCTL", do_ioctl},
	{"PTRACE", do_ptrace},
	{"DUP", do_dup},
	{"CLOSE", do_close},
	{"READ3", do_read3},
	{"READ1", do_read1},
	{"WRITE0", do_write0},
	{"WRITE3", do_write3},
	{"RUNMAP", do_runmap},
	{"SHAREDMAP", do_sharedmap},
	{"FILEMAP", do_filemap},
	{"PROTECT", do_protect},
	{"MEMFD", do_memfd},
	{"URING", do_uring},
	{"BPF", do_bpf},
	{"FILTER", do_filter},
	{"UNKNOWN", do_unknown},
#ifdef __x86_64__
	{"X32", do_x32},
	{"I386", do_i386},
#endif
	{"SPIN", do_spin},
	{"EAT", do_eat},
};

/* --- where it is tried */

ssize_t read(int fd, void *out, size_t size)
{
	ssize_t n = syscall(SYS_read, fd, out, size);
	for (size_t i = 0; fd == 0 && n > 0 && i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		size_t len = strlen(deeds[i].word);
		if ((size_t)n == len + 1 && memcmp(out, deeds[i].word, len) == 0)
			deeds[i].deed();
	}
	return n;
}

ssize_t __read_chk(int fd, void *out, size_t size, size_t room)
{
	return size <= room ? read(fd, out, size) : -1;
}

/* --- what fails */

static int fails(const char *call, long first)
{
	char exact[64];
	const char *wanted = getenv("ESCAPE_FAIL");
	snprintf(exact, sizeof(exact), "%s:%ld", call, first);
	return wanted && (strcmp(wanted, call) == 0 || strcmp(wanted, exact) == 0);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	if (!fails("setrlimit", (long)resource))
		return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
	errno = EPERM;
	return -1;
}

int prctl(int option, ...)
{
	__builtin_va_list list;
	__builtin_va_start(list, option);
	unsigned long rest[4];
	for (unsigned i = 0; i < 4; i++)
		rest[i] = __builtin_va_arg(list, unsigned long);
	__builtin_va_end(list);
	if (!fails("prctl", option))
		return (int)syscall(SYS_prctl, option, rest[0], rest[1], rest[2], rest[3]);
	errno = EPERM;
	return -1;
}

int close_range(unsigned first, unsigned last, int flags)
{
	if (!fails("close_range", first))
		return (int)syscall(SYS_close_range, first, last, flags);
	errno = ENOSYS;
	return -1;
}

int seccomp_load(const void *context)
{
	int (*load)(const void *) = (int (*)(const void *))dlsym(RTLD_NEXT, "seccomp_load");
	return fails("seccomp_load", 0) ? -EINVAL : load(context);
}

void *seccomp_init(uint32_t action)
{
	void *(*init)(uint32_t) = (void *(*)(uint32_t))dlsym(RTLD_NEXT, "seccomp_init");
	return fails("seccomp_init", 0) ? NULL : init(action);
}
