/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LD_PRELOAD: a disk that takes its time. While the file named by SLOWDISK_MS holds a number, every
 * fsync() and fdatasync() takes that many milliseconds more; SLOWDISK_LOG gets one JSON line for
 * each, with CLOCK_BOOTTIME in microseconds when it was called and when the bytes were on disk. The
 * number is read again and again, so a test can start the program at full speed, and end what hangs.
 * SLOWDISK_BEGUN gets the same line without done_us, before the wait.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 10000 /* how often a wait looks at the number */

static int64_t boot_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long delay_ms(void)
{
	const char *path = getenv("SLOWDISK_MS");
	char text[16];
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	return strtol(text, NULL, 10);
}

/* done_us: 0, not yet. */
static void record(
	const char *variable, const char *call, int fd, int64_t begun_us, int64_t done_us)
{
	const char *path = getenv(variable);
	char link[32], name[256], line[512], done[48] = "";
	int log = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;

	if (log < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = 0;
	if (done_us)
		snprintf(done, sizeof(done), ", \"done_us\": %lld", (long long)done_us);
	int len = snprintf(line, sizeof(line),
		"{\"call\": \"%s\", \"file\": \"%s\", \"begun_us\": %lld%s}\n", call, name,
		(long long)begun_us, done);
	if (write(log, line, (size_t)len) != len)
		abort(); /* a test that cannot see is worse than one that fails */
	close(log);
}

static int slow(const char *call, int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
	int64_t begun_us = boot_us(), left_us;

	record("SLOWDISK_BEGUN", call, fd, begun_us, 0);
	while ((left_us = begun_us + delay_ms() * 1000 - boot_us()) > 0)
		usleep((useconds_t)(left_us < LOOK_US ? left_us : LOOK_US));
	int r = real(fd);
	int error = errno;

	record("SLOWDISK_LOG", call, fd, begun_us, boot_us());
	errno = error;
	return r;
}

int fsync(int fd)
{
	return slow("fsync", fd);
}

int fdatasync(int fd)
{
	return slow("fdatasync", fd);
}
