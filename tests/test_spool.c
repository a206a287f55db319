/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A spool directory: real files, real inotify, the real thread, in a pace of milliseconds. What a medium does only
 * when it is broken is put between thread and kernel by seccomp, which one thread of a process can have alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool_rig.h"

static void comes_and_goes_with_its_directory(void **state)
{
	struct rig *g = *state;
	rmdir(g->dir);
	start(g);
	WAIT(g, log_lines(g->log, "waiting for"));
	assert_string_equal(state_of(g), "absent");
	long busy = cpu_ms();
	let_pass(g, 3 * SCAN_MS);
	assert_in_range(cpu_ms() - busy, 0, SCAN_MS / 2);
	assert_int_equal(g->up, 0);
	assert_int_equal(log_lines(g->log, "waiting for"), 1);
	make(g);
	WAIT(g, g->up);
	assert_string_equal(g->uid, "spool:ecg-1");
	WAIT(g, streq(state_of(g), "connected"));
	rmdir(g->dir);
	WAIT(g, g->down);
	assert_string_equal(g->why, "the directory is gone");
	WAIT(g, streq(state_of(g), "absent"));
	make(g);
	WAIT(g, g->up == 2);
	/* another one takes its place */
	rename(g->dir, g->other);
	make(g);
	put(g, "b.scp", "b.", 0);
	WAIT(g, g->n == 1);
	assert_int_equal(g->up, 3);
	assert_int_equal(g->t->ops->send(g->t, 0, "x", 1), -EOPNOTSUPP);
	/* it is not held open: its medium could be unmounted */
	let_pass(g, 50);
	assert_int_equal(times_open(g->dir), 1); /* by us */
	rm_rf(g->dir);
	WAIT(g, g->down == 3);
	int fd = open(g->dir, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* a file in its place */
	close(fd);
	WAIT(g, streq(state_of(g), "error"));
	assert_int_equal(log_lines(g->log, "must name a directory"), 1);
	unlink(g->dir);
	make(g);
	WAIT(g, g->up == 4);
	/* whoever drops files must not be able to show us another directory, such as our own store */
	mkdir(g->other, 0700);
	rm_rf(g->dir);
	assert_int_equal(symlink(g->other, g->dir), 0);
	WAIT(g, log_lines(g->log, "must not go through a link") == 1);
	let_pass(g, 2 * SCAN_MS);
	assert_int_equal(g->up, 4);
	unlink(g->dir);
}

static void is_moved_when_it_is_confirmed_and_not_before(void **state)
{
	struct rig *g = *state;
	g->answer = NOTHING;
	start(g);
	WAIT(g, g->up);
	put(g, "a.scp", "first.", 0);
	put(g, "b.scp", "second.", 0);
	WAIT(g, g->n == 1);
	assert_string_equal(g->heard[0], "first.");
	let_pass(g, FOUND_MS + SCAN_MS);
	assert_int_equal(g->n, 1);
	assert_true(holds(g, "a.scp", "first."));
	assert_false(is_there(g, "done"));
	g->t->ops->confirm(g->t);
	WAIT(g, g->n == 2);
	assert_string_equal(g->heard[1], "second.");
	assert_false(is_there(g, "a.scp"));
	assert_true(holds(g, "done/a.scp", "first."));
	assert_true(holds(g, "b.scp", "second."));
	assert_int_equal(mode_of(g, "done"), 0770);
	g->t->ops->confirm(g->t);
	WAIT(g, is_there(g, "done/b.scp"));
	let_pass(g, FOUND_MS);
	assert_int_equal(g->n, 2);
	assert_string_equal(state_of(g), "connected");
	assert_int_equal(log_lines(g->log, "<4>"), 0);
}

static void a_closed_or_renamed_file_waits_a_little(void **state)
{
	struct rig *g = *state;
	g->pace.scan_ms = g->pace.found_ms = 60000; /* all of it by what the kernel tells */
	start(g);
	WAIT(g, g->up);
	long began = now_ms();
	put(g, "closed.scp", "closed.", 0);
	WAIT(g, g->n == 1);
	assert_true(now_ms() - began >= TOLD_MS);
	put(g, ".renamed", "renamed.", 0);
	let_pass(g, 2 * TOLD_MS);
	began = now_ms();
	move(g, ".renamed", "renamed.scp");
	WAIT(g, g->n == 2);
	assert_true(now_ms() - began >= TOLD_MS);
	/* a time that is set behind the close moves its turn, but not as if nobody had told of it */
	began = now_ms();
	put(g, "dated.scp", "dated.", 0);
	let_pass(g, TOLD_MS / 2);
	touch(g, "dated.scp", 1000000000);
	WAIT(g, g->n == 3);
	assert_true(now_ms() - began >= TOLD_MS + TOLD_MS / 2);
	/* closed, and then written by somebody who keeps it open */
	put(g, "again.scp", "again.", 0);
	int fd = openat(g->fd, "again.scp", O_WRONLY | O_APPEND | O_CLOEXEC);
	let_pass(g, TOLD_MS / 2);
	assert_int_equal(write(fd, "more.", 5), 5);
	let_pass(g, 3 * TOLD_MS);
	assert_int_equal(g->n, 3);
	close(fd);
	WAIT(g, g->n == 4);
	assert_string_equal(g->heard[3], "again.more.");
}

static void a_file_that_was_only_found_waits_longer(void **state)
{
	struct rig *g = *state;
	g->pace.told_ms = g->pace.scan_ms = 60000;
	start(g);
	WAIT(g, g->up);
	int fd = openat(g->fd, "open.scp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(write(fd, "aaaaaaa.", 8), 8);
		let_pass(g, FOUND_MS / 4);
		assert_int_equal(g->n, 0);
	}
	long began = now_ms();
	WAIT(g, g->n == 1); /* whoever writes it never closes it */
	assert_true(now_ms() - began >= FOUND_MS / 2);
	assert_int_equal(strlen(g->heard[0]), 64);
	close(fd);
}

/* A link that stalls: its writer has it open, and will tell when it closes it. */
static void a_file_that_its_writer_holds_open_is_waited_for(void **state)
{
	struct rig *g = *state;
	start(g);
	WAIT(g, g->up);
	int fd = openat(g->fd, "open.dat", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "half.", 5), 5);
	let_pass(g, 2 * FOUND_MS);
	assert_int_equal(g->n, 0);
	assert_int_equal(write(fd, "whole.", 6), 6);
	close(fd);
	WAIT(g, g->n == 1);
	assert_string_equal(g->heard[0], "half.whole.");
	WAIT(g, holds(g, "done/open.dat", "half.whole."));
	/* closed, and opened by somebody who writes more */
	put(g, "more.dat", "half.", 0);
	let_pass(g, TOLD_MS / 2);
	fd = openat(g->fd, "more.dat", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "more.", 5), 5);
	let_pass(g, 2 * FOUND_MS);
	assert_int_equal(g->n, 1);
	close(fd);
	WAIT(g, g->n == 2);
	assert_string_equal(g->heard[1], "half.more.");
}

static void gives_the_oldest_first(void **state)
{
	struct rig *g = *state;
	put(g, "a.scp", "third.", 1700000003);
	put(g, "b.scp", "first.", 1700000001);
	put(g, "c.scp", "second.", 1700000002);
	long began = now_ms();
	start(g);
	WAIT(g, g->n == 3);
	assert_true(now_ms() - began >= FOUND_MS);
	assert_string_equal(g->heard[0], "first.");
	assert_string_equal(g->heard[1], "second.");
	assert_string_equal(g->heard[2], "third.");
}

static void unfinished_names_wait_for_a_rename(void **state)
{
	struct rig *g = *state;
	start(g);
	WAIT(g, g->up);
	put(g, "a.scp.part", "a.", 0);
	put(g, "b.scp.TMP", "b.", 0);
	put(g, "c.scp~", "c.", 0);
	put(g, ".d.scp", "d.", 0);
	let_pass(g, FOUND_MS + SCAN_MS + 50);
	assert_int_equal(g->n, 0);
	move(g, "a.scp.part", "a.scp");
	WAIT(g, holds(g, "done/a.scp", "a."));
	assert_int_equal(g->n, 1);
	/* renamed and deleted while they wait for their turn */
	put(g, "e.scp", "e.", 0);
	put(g, "f.scp", "f.", 0);
	let_pass(g, TOLD_MS / 3);
	move(g, "e.scp", "g.scp");
	unlinkat(g->fd, "f.scp", 0);
	let_pass(g, FOUND_MS + SCAN_MS);
	assert_int_equal(g->n, 2);
	assert_true(holds(g, "done/g.scp", "e."));
	assert_string_equal(state_of(g), "connected");
	assert_int_equal(log_lines(g->log, "<4>"), 0);
}

static void an_incomplete_file_may_be_finished(void **state)
{
	struct rig *g = *state;
	start(g);
	WAIT(g, g->up);
	put(g, "a.scp", "the beginn", 0);
	put(g, "b.scp", "complete.", 0); /* is not held up by it */
	WAIT(g, g->n == 1);
	let_pass(g, FOUND_MS);
	append(g, "a.scp", "ing");
	let_pass(g, FOUND_MS);
	append(g, "a.scp", " and the end.");
	WAIT(g, g->n == 2);
	assert_string_equal(g->heard[1], "the beginning and the end.");
	/* an upload that was interrupted is evidence, too */
	long began = now_ms();
	put(g, "c.scp", "the beginn", 0);
	put(g, "empty.scp", "", 0);
	WAIT(g, g->n == 3);
	assert_true(now_ms() - began >= PATIENCE_MS);
	assert_string_equal(g->heard[2], "the beginn");
	WAIT(g, is_there(g, "done/c.scp"));
	/* an empty one is not */
	WAIT(g, is_there(g, "refused/empty.scp"));
	assert_int_equal(g->n, 3);
	assert_int_equal(log_lines(g->log, "stayed empty"), 1);
}

static void what_changes_before_it_is_confirmed_is_a_new_file(void **state)
{
	struct rig *g = *state;
	g->answer = NOTHING;
	start(g);
	WAIT(g, g->up);
	put(g, "a.scp", "one.", 0);
	WAIT(g, g->n == 1);
	put(g, "a.scp", "two.", 0);
	g->t->ops->confirm(g->t);
	WAIT(g, g->n == 2);
	assert_false(is_there(g, "done/a.scp"));
	assert_string_equal(g->heard[1], "two.");
	/* another file with its name, size and time */
	touch(g, "a.scp", 1700000000);
	g->t->ops->confirm(g->t);
	WAIT(g, g->n == 3);
	put(g, ".b", "six.", 1700000000);
	move(g, ".b", "a.scp");
	g->t->ops->confirm(g->t);
	WAIT(g, g->n == 4);
	assert_string_equal(g->heard[3], "six.");
	assert_false(is_there(g, "done/a.scp"));
	/* written over in its place, with its size and time: a cart whose clock stands still */
	put(g, "a.scp", "ten.", 1700000000);
	g->t->ops->confirm(g->t);
	WAIT(g, g->n == 5);
	assert_string_equal(g->heard[4], "ten.");
	assert_false(is_there(g, "done/a.scp"));
	/* deleted */
	put(g, "b.scp", "next.", 0);
	unlinkat(g->fd, "a.scp", 0);
	g->t->ops->confirm(g->t);
	WAIT(g, g->n == 6);
	assert_string_equal(g->heard[5], "next.");
	g->t->ops->confirm(g->t);
	WAIT(g, holds(g, "done/b.scp", "next."));
	assert_string_equal(state_of(g), "connected");
}

static void comes_back_with_it_after_a_refusal(void **state)
{
	struct rig *g = *state;
	g->answer = REFUSE;
	g->pace.scan_ms = 60000;
	start(g);
	put(g, "a.scp", "a.", 1700000000);
	WAIT(g, g->n == 1);
	long began = now_ms();
	assert_int_equal(g->down, 1);
	assert_string_equal(g->why, "could not store");
	WAIT(g, streq(state_of(g), "error"));
	assert_true(holds(g, "a.scp", "a."));
	put(g, "b.scp", "b.", 1800000000);
	WAIT(g, g->n == 2);
	assert_true(now_ms() - began >= REST_MS);
	assert_string_equal(g->heard[1], "a.");
	assert_int_equal(g->up, 2);
	g->answer = CONFIRM;
	WAIT(g, g->n == 4);
	assert_string_equal(g->heard[2], "a.");
	WAIT(g, is_there(g, "done/a.scp") && is_there(g, "done/b.scp"));
	assert_string_equal(state_of(g), "connected");
}

static void nothing_in_done_is_overwritten(void **state)
{
	struct rig *g = *state;
	char name[256] = "", longest[300];
	memset(name, 'n', 255);
	start(g);
	for (unsigned i = 0; i < 3; i++) {
		char text[16];
		snprintf(text, sizeof(text), "no %u.", i);
		put(g, "a.scp", text, 0);
		WAIT(g, g->n == 2 * i + 1);
		put(g, name, text, 0);
		WAIT(g, g->n == 2 * i + 2);
	}
	WAIT(g, !is_there(g, name));
	assert_true(holds(g, "done/a.scp", "no 0."));
	assert_true(holds(g, "done/a.scp.1", "no 1."));
	assert_true(holds(g, "done/a.scp.2", "no 2."));
	snprintf(longest, sizeof(longest), "done/%s", name);
	assert_true(holds(g, longest, "no 0."));
	snprintf(longest, sizeof(longest), "done/%.253s.2", name);
	assert_true(holds(g, longest, "no 2."));
}

static void what_cannot_be_read_is_told_once_and_tried_again(void **state)
{
	struct rig *g = *state;
	put(g, "TEST.Wang", "secret.", 0);
	assert_int_equal(fchmodat(g->fd, "TEST.Wang", 0600, 0), 0);
	chmod(g->dir, 0777);
	start_as(g, 65534);
	WAIT(g, streq(state_of(g), "unreadable"));
	put(g, "b.scp", "b.", 0);
	WAIT(g, is_there(g, "done/b.scp"));
	let_pass(g, 3 * SCAN_MS);
	assert_string_equal(state_of(g), "unreadable");
	assert_int_equal(log_lines(g->log, "left there (Permission denied)"), 1);
	assert_int_equal(log_lines(g->log, "a file of another kind of 7 bytes"), 1);
	touch(g, "TEST.Wang", 1700000000); /* now it is another one */
	WAIT(g, log_lines(g->log, "left there (Permission denied)") == 2);
	assert_int_equal(fchmodat(g->fd, "TEST.Wang", 0644, 0), 0);
	WAIT(g, g->n == 2);
	assert_string_equal(g->heard[1], "secret.");
	WAIT(g, is_there(g, "done/TEST.Wang"));
	assert_string_equal(state_of(g), "connected");
	/* the directory itself */
	chmod(g->dir, 0700);
	WAIT(g, g->down);
	WAIT(g, streq(state_of(g), "denied"));
	assert_int_equal(log_lines(g->log, "let this program read and write it"), 1);
	chmod(g->dir, 0744); /* names only */
	let_pass(g, 3 * SCAN_MS);
	assert_string_equal(state_of(g), "denied");
	chmod(g->dir, 0777);
	WAIT(g, g->up == 2);
	chmod(g->dir, 0744);
	WAIT(g, g->down == 2);
}

static void only_plain_files_are_opened(void **state)
{
	struct rig *g = *state;
	mkdirat(g->fd, "folder.scp", 0700);
	put(g, "folder.scp/inside.scp", "inside.", 0);
	assert_int_equal(symlinkat("/etc/passwd", g->fd, "link.scp"), 0);
	mkfifoat(g->fd, "fifo.scp", 0600);
	mknodat(g->fd, "socket.scp", S_IFSOCK | 0600, 0);
	put(g, "hard.scp", "hard.", 0);
	assert_int_equal(linkat(g->fd, "hard.scp", g->fd, ".other", 0), 0);
	start(g);
	WAIT(g, log_lines(g->log, "is left there") == 4);
	let_pass(g, 2 * SCAN_MS);
	assert_int_equal(g->n, 0);
	assert_string_equal(state_of(g), "unreadable");
	assert_int_equal(log_lines(g->log, "is left there"), 4);
	assert_int_equal(log_lines(g->log, "links are not followed"), 1);
	assert_int_equal(log_lines(g->log, "it is no file"), 2);
	unlinkat(g->fd, ".other", 0);
	WAIT(g, is_there(g, "done/hard.scp"));
	for (const char *const *name =
			(const char *const[]){"link.scp", "fifo.scp", "socket.scp", NULL};
		*name; name++)
		unlinkat(g->fd, *name, 0);
	WAIT(g, streq(state_of(g), "connected"));
	assert_int_equal(g->n, 1);
	assert_true(holds(g, "folder.scp/inside.scp", "inside."));
}

static void a_file_too_long_stands_in_nobodys_way(void **state)
{
	struct rig *g = *state;
	put(g, "long.scp", "", 1700000000);
	stretch(g, "long.scp", VG_STUDY_MAX + 1);
	put(g, "full.scp", "", 1700000001);
	stretch(g, "full.scp", VG_STUDY_MAX);
	g->patient = true; /* the last byte of it is no '.' */
	start(g);
	WAIT(g, g->n == 1);
	assert_int_equal(g->len, VG_STUDY_MAX);
	assert_true(is_there(g, "refused/long.scp"));
	assert_int_equal(log_lines(g->log, "longer than 4 MiB and was moved to refused/"), 1);
	assert_int_equal(log_lines(g->log, "a file .scp of 4194305 bytes"), 1);
	WAIT(g, is_there(g, "done/full.scp"));
	assert_string_equal(state_of(g), "connected");
}

static void what_cannot_be_moved_is_given_once(void **state)
{
	struct rig *g = *state;
	put(g, "a.scp", "a.", 0);
	mkdir(g->other, 0700);
	assert_int_equal(
		symlinkat(g->other, g->fd, "done"), 0); /* would lead out of the directory */
	start(g);
	WAIT(g, g->n == 1);
	WAIT(g, streq(state_of(g), "error"));
	put(g, "b.scp", "b.", 0);
	WAIT(g, g->n == 2);
	long busy = cpu_ms();
	let_pass(g, 3 * SCAN_MS);
	assert_in_range(cpu_ms() - busy, 0, SCAN_MS / 2);
	assert_int_equal(g->n, 2);
	assert_true(holds(g, "a.scp", "a.") && holds(g, "b.scp", "b."));
	assert_int_equal(rmdir(g->other), 0); /* empty */
	assert_int_equal(log_lines(g->log, "is stored, but cannot be moved"), 2);
	unlinkat(g->fd, "done", 0);
	WAIT(g, is_there(g, "done/a.scp") && is_there(g, "done/b.scp"));
	WAIT(g, streq(state_of(g), "connected"));
	assert_int_equal(g->n, 2);
}

static void a_medium_that_vanishes_in_the_middle(void **state)
{
	struct rig *g = *state;
	g->answer = NOTHING;
	g->pace.scan_ms = 600;
	start(g);
	put(g, "a.scp", "a.", 0);
	WAIT(g, g->n == 1);
	rename(g->dir, g->other);
	WAIT(g, g->down == 1);
	g->t->ops->confirm(g->t); /* too late */
	g->t->ops->close(g->t, "nothing to close");
	assert_int_equal(g->down, 1);
	rename(g->other, g->dir);
	WAIT(g, g->n == 2);
	assert_true(holds(g, "a.scp", "a."));
	assert_string_equal(g->heard[1], "a.");
	g->t->ops->confirm(g->t);
	WAIT(g, is_there(g, "done/a.scp"));
}

/* Meanwhile the loop does something else. */
static void nap(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void a_loop_that_comes_late(void **state)
{
	struct rig *g = *state;
	g->answer = NOTHING;
	start(g);
	WAIT(g, g->up);
	put(g, "a.scp", "a.", 0);
	nap(2 * TOLD_MS);
	g->t->ops->confirm(g->t); /* of what? */
	nap(SCAN_MS);
	WAIT(g, g->n == 1);
	let_pass(g, 50);
	assert_true(holds(g, "a.scp", "a."));
	/* closed with a file on its way */
	g->t->ops->confirm(g->t);
	WAIT(g, is_there(g, "done/a.scp"));
	put(g, "b.scp", "b.", 0);
	nap(2 * TOLD_MS);
	g->t->ops->close(g->t, "enough");
	let_pass(g, REST_MS / 2);
	assert_int_equal(g->n, 1);
	WAIT(g, g->n == 2);
	assert_int_equal(g->up, 2);
	/* gone and back with a file on its way */
	g->t->ops->confirm(g->t);
	WAIT(g, is_there(g, "done/b.scp"));
	put(g, "c.scp", "c.", 0);
	nap(2 * TOLD_MS);
	rename(g->dir, g->other);
	nap(SCAN_MS / 2);
	rename(g->other, g->dir);
	nap(2 * SCAN_MS);
	/* the stay that is closed is over */
	g->t->ops->close(g->t, "enough");
	WAIT(g, g->n == 3);
	let_pass(g, 2 * REST_MS);
	assert_int_equal(g->up, 3);
	assert_int_equal(g->n, 3);
	rename(g->dir, g->other);
	nap(SCAN_MS / 2);
	rename(g->other, g->dir);
	nap(2 * SCAN_MS);
	WAIT(g, g->up == 4);
	assert_int_equal(g->down, 3);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(comes_and_goes_with_its_directory),
		CASE(is_moved_when_it_is_confirmed_and_not_before),
		CASE(a_closed_or_renamed_file_waits_a_little),
		CASE(a_file_that_was_only_found_waits_longer),
		CASE(a_file_that_its_writer_holds_open_is_waited_for),
		CASE(gives_the_oldest_first),
		CASE(unfinished_names_wait_for_a_rename),
		CASE(an_incomplete_file_may_be_finished),
		CASE(what_changes_before_it_is_confirmed_is_a_new_file),
		CASE(comes_back_with_it_after_a_refusal),
		CASE(nothing_in_done_is_overwritten),
		CASE(what_cannot_be_read_is_told_once_and_tried_again),
		CASE(only_plain_files_are_opened),
		CASE(a_file_too_long_stands_in_nobodys_way),
		CASE(what_cannot_be_moved_is_given_once),
		CASE(a_medium_that_vanishes_in_the_middle),
		CASE(a_loop_that_comes_late),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
