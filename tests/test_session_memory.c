/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory runs out at every single place of a callback. session.c and reading.c are compiled into this
 * program, so that their allocations can be made to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static unsigned fail_at; /* the n-th allocation from now fails; 0: none */
static unsigned allocations;

static bool fails(void)
{
	allocations++;
	return fail_at && --fail_at == 0;
}

static void *weak_calloc(size_t n, size_t size)
{
	return fails() ? NULL : calloc(n, size);
}

static void *weak_malloc(size_t size)
{
	return fails() ? NULL : malloc(size);
}

static void *weak_realloc(void *p, size_t size)
{
	return fails() ? NULL : realloc(p, size);
}

#define calloc weak_calloc
#define malloc weak_malloc
#define realloc weak_realloc
#include "../daemon/reading.c"
#include "../daemon/session.c"
#include "../daemon/session_calls.c"
#undef calloc
#undef malloc
#undef realloc

#include "session_drivers.h"

/* Each single allocation fails once: either all of a unit is there, or nothing of it and nothing is
 * acknowledged: the instrument will tell it again. */
static void test_memory(void **state)
{
	(void)state;
	static const char *const said[] = {"r", "rprekl", "uxj", "f", "i", "m", "", "ci"};
	for (size_t i = 0; i < ELEMENTS(said); i++) {
		for (unsigned n = 1;; n++) {
			open_gatt("");
			fail_at = n;
			hear(said[i], true);
			bool failed = !fail_at;
			fail_at = 0;
			if (failed) {
				assert_string_equal(rig.done, "out of memory");
				assert_int_equal(rig.n_units, 0);
				session_verdict(rig.session, 1, 0, &rig.now);
				assert_int_equal(rig.confirms, 0);
			} else {
				assert_null(rig.done);
				assert_int_equal(rig.n_units, 1);
			}
			rig_close(&rig);
			if (!failed) {
				print_message("# \"%s\": %u allocations\n", said[i], n - 1);
				assert_true(n > 2);
				break;
			}
		}
	}
}

static void test_memory_elsewhere(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 2; n++) { /* the session itself and the driver's state */
		rig = rig_new(&gatt);
		fail_at = n;
		assert_null(rig_open(&rig));
		rig_close(&rig);
	}
	open_stream(); /* bytes that cannot be held */
	fail_at = 1;
	rig_stream(&rig, "<1e", 3);
	assert_string_equal(rig.done, "out of memory");
	assert_int_equal(rig.n_units, 0);
	rig_close(&rig);
	open_gatt("");
	struct vg_session *s = rig.session;
	vg_study_begin(s);
	fail_at = 1;
	assert_int_equal(vg_study_append(s, "abc", 3), -ENOMEM);
	assert_int_equal(vg_study_append(s, "abc", 3), 0); /* nothing half done */
	fail_at = 1;
	assert_int_equal(
		vg_study_end(s, SIZE_MAX), 0); /* not taken: the file must not be acknowledged */
	rig_close(&rig);
	open_gatt("");
	hear("n", false);
	fail_at = 1;
	session_flush(rig.session, &rig.now); /* counters wait */
	assert_int_equal(rig.n_units, 0);
}

#define CASE(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_memory),
		CASE(test_memory_elsewhere),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("session_memory", tests, load, unload);
}
