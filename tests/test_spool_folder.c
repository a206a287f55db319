/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A spool directory on a medium that fails, hangs, is read-only or tells nothing: between the transport's thread and
 * the kernel stands a seccomp filter, which a thread inherits from the one that made it. And how much goes through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool_rig.h"

#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define POISON 7777 /* reads of so many bytes fail */
#define LOW_WORD(field) (uint32_t) offsetof(struct seccomp_data, field)

/* `call` does not reach the kernel: it returns `error`, or with 0 waits until listener_fd is closed. A read() only when
 * it asks for POISON bytes. */
struct fault {
	struct rig *g;
	int call, error, listener_fd;
};

static void *start_below(void *arg)
{
	struct fault *f = arg;
	const uint32_t answer =
		f->error ? SECCOMP_RET_ERRNO | (uint32_t)f->error : SECCOMP_RET_USER_NOTIF;
	const bool any = f->call != SYS_read;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)f->call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, POISON, 0, any ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {ELEMENTS(code), code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	f->listener_fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		f->error ? 0 : SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (f->listener_fd >= 0)
		start(f->g);
	return NULL;
}

static void start_with(struct rig *g, struct fault *f)
{
	pthread_t thread;
	f->g = g;
	assert_int_equal(pthread_create(&thread, NULL, start_below, f), 0);
	pthread_join(thread, NULL);
	assert_true(f->listener_fd >= 0);
	assert_non_null(g->t);
}

static void a_share_that_tells_nothing_is_looked_at(void **state)
{
	struct rig *g = *state;
	start_with(g, &(struct fault){.call = SYS_inotify_init1, .error = EMFILE});
	WAIT(g, g->up);
	assert_int_equal(log_lines(g->log, "tells nothing"), 1);
	put(g, "a.scp", "a.", 0);
	WAIT(g, holds(g, "done/a.scp", "a."));
	rename(g->dir, g->other);
	make(g); /* another one in its place */
	WAIT(g, g->down == 1);
	WAIT(g, g->up == 2);
	assert_int_equal(log_lines(g->log, "tells nothing"), 1);
}

static void a_file_system_that_knows_no_noreplace(void **state)
{
	struct rig *g = *state;
	start_with(g, &(struct fault){.call = SYS_renameat2, .error = EINVAL});
	put(g, "a.scp", "one.", 0);
	WAIT(g, holds(g, "done/a.scp", "one."));
	put(g, "a.scp", "two.", 0);
	WAIT(g, holds(g, "done/a.scp.1", "two."));
	assert_true(holds(g, "done/a.scp", "one."));
}

static void a_full_or_read_only_medium(void **state)
{
	struct rig *g = *state;
	start_with(g, &(struct fault){.call = SYS_renameat2, .error = EROFS});
	put(g, "a.scp", "a.", 0);
	put(g, "b.scp", "b.", 0);
	WAIT(g, g->n == 2);
	WAIT(g, streq(state_of(g), "error"));
	let_pass(g, 4 * SCAN_MS);
	assert_int_equal(g->n, 2); /* not again and again */
	assert_int_equal(log_lines(g->log, "cannot be moved to done/ (Read-only file system)"), 2);
	assert_int_equal(log_lines(g->log, "ReadWritePaths="), 2);
	append(g, "a.scp", "more.");
	WAIT(g, g->n == 3);
	assert_string_equal(g->heard[2], "a.more.");
	/* after a restart they are told again */
	transport_free(TAKE(g->t));
	g->down = g->up;
	start(g);
	WAIT(g, is_there(g, "done/a.scp") && is_there(g, "done/b.scp"));
	assert_int_equal(g->n, 5);
}

static void a_bad_sector(void **state)
{
	struct rig *g = *state;
	char text[POISON + 1];
	memset(text, '.', POISON);
	text[POISON] = 0;
	put(g, "bad.scp", text, 1700000000);
	put(g, "good.scp", "good.", 0);
	start_with(g, &(struct fault){.call = SYS_read, .error = EIO});
	WAIT(g, is_there(g, "done/good.scp"));
	let_pass(g, 3 * SCAN_MS);
	assert_string_equal(state_of(g), "unreadable");
	assert_int_equal(log_lines(g->log, "left there (Input/output error)"), 1);
	assert_int_equal(log_lines(g->log, "a file .scp of 7777 bytes"), 1);
	put(g, "bad.scp", "mended.", 0);
	WAIT(g, is_there(g, "done/bad.scp"));
	assert_string_equal(state_of(g), "connected");
}

static void a_directory_that_cannot_be_listed(void **state)
{
	struct rig *g = *state;
	start_with(g, &(struct fault){.call = SYS_getdents64, .error = EIO});
	WAIT(g, streq(state_of(g), "error"));
	put(g, "a.scp", "a.", 0);
	let_pass(g, 4 * SCAN_MS);
	assert_int_equal(g->up, 0);
	assert_int_equal(g->n, 0);
	assert_int_equal(log_lines(g->log, "waiting for"), 1);
}

static void a_medium_that_hangs_holds_up_nobody(void **state)
{
	struct rig *g = *state;
	struct fault f = {.call = SYS_renameat2};
	start_with(g, &f);
	put(g, "a.scp", "a.", 0);
	WAIT(g, g->n == 1);
	long began = now_ms();
	let_pass(g, 100);
	assert_string_equal(state_of(g), "connected");
	g->t->ops->close(g->t, "enough");
	transport_free(TAKE(g->t));
	assert_in_range(now_ms() - began, 500, WAIT_LIMIT_MS);
	close(f.listener_fd); /* the call returns, and the thread ends by itself */
	WAIT(g, is_there(g, "done/a.scp"));
}

/* Lets the next `n` calls through; before the first one the file has changed. */
static void change_at_the_last_moment(struct rig *g, int listener_fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct seccomp_notif call = {0};
		assert_int_equal(
			poll(&(struct pollfd){listener_fd, POLLIN, 0}, 1, WAIT_LIMIT_MS), 1);
		assert_int_equal(ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, &call), 0);
		if (i == 0) {
			put(g, ".new", "unread.", 0);
			move(g, ".new", "a.scp");
		}
		struct seccomp_notif_resp answer = {
			.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		assert_int_equal(ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
	}
}

static void nothing_unread_is_moved(void **state)
{
	struct rig *g = *state;
	struct fault f = {.call = SYS_renameat2};
	start_with(g, &f);
	put(g, "a.scp", "read.", 0);
	WAIT(g, g->n == 1);
	change_at_the_last_moment(g, f.listener_fd, 2); /* there and back */
	WAIT(g, g->n == 2);
	assert_string_equal(g->heard[1], "unread.");
	assert_false(is_there(g, "done/a.scp"));
	close(f.listener_fd); /* from now on the call fails as if the kernel had none */
	WAIT(g, holds(g, "done/a.scp", "unread."));
}

static void more_names_than_are_held(void **state)
{
	struct rig *g = *state;
	const unsigned n = SPOOL_NAMES_MAX + 500;
	for (unsigned i = 0; i < n; i++) {
		char name[32], text[32];
		snprintf(name, sizeof(name), "%05u.scp", i);
		snprintf(text, sizeof(text), "number %u.", i);
		int fd = openat(g->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(write(fd, text, strlen(text)) > 0);
		close(fd);
	}
	g->pace.found_ms = 100;
	g->pace.scan_ms = 60000; /* it comes back for the others by itself */
	start(g);
	WAIT(g, g->n >= 1);
	long began = now_ms();
	WAIT(g, g->n >= SPOOL_NAMES_MAX);
	long ms = MAX(now_ms() - began, 1);
	print_message("# %lu files a second\n", SPOOL_NAMES_MAX * 1000lu / (unsigned long)ms);
	WAIT(g, g->n == n);
	assert_int_equal(log_lines(g->log, "the others wait"), 1);
	let_pass(g, 3 * SCAN_MS);
	assert_int_equal(g->n, n);
	assert_true(is_there(g, "done/00000.scp") && is_there(g, "done/10499.scp"));
}

/* How often the transport's thread went to sleep. */
static unsigned naps(void)
{
	unsigned found = 0;
	DIR *d = opendir("/proc/self/task");
	for (const struct dirent *e; (e = readdir(d));) {
		char path[300], line[100];
		bool ours = false;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		_cleanup_(fclosep) FILE *f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			ours |= streq(line, "Name:\tspool\n");
			if (ours)
				sscanf(line, "voluntary_ctxt_switches: %u", &found);
		}
	}
	closedir(d);
	return found;
}

static void sleeps_while_nothing_happens(void **state)
{
	struct rig *g = *state;
	put(g, "a.scp", "unfinishe", 0); /* waiting for the rest of it costs nothing */
	put(g, "b.scp.part", "b", 0);
	g->pace.patience_ms = 60000;
	start(g);
	let_pass(g, 3 * FOUND_MS);
	unsigned before = naps(), turns = g->turns;
	assert_true(before > 0);
	let_pass(g, 10 * SCAN_MS);
	unsigned n = naps() - before;
	print_message("# %u wake-ups in 10 times the time between two looks\n", n);
	assert_in_range(n, 1, 12);
	assert_int_equal(g->turns, turns);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_share_that_tells_nothing_is_looked_at),
		CASE(a_file_system_that_knows_no_noreplace),
		CASE(a_full_or_read_only_medium),
		CASE(a_bad_sector),
		CASE(a_directory_that_cannot_be_listed),
		CASE(a_medium_that_hangs_holds_up_nobody),
		CASE(nothing_unread_is_moved),
		CASE(more_names_than_are_held),
		CASE(sleeps_while_nothing_happens),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool_folder", tests, NULL, NULL);
}
