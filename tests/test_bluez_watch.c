/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The watchdog: its ladder and the versions (pure), and what it does to a fake bluetoothd. */
#include "bluez_bench.h"
#include "bluez_pair.h"
#include "bluez_watch.h"

#define MINUTE (INT64_C(60) * 1000000)

static enum bluez_rung failures(
	struct bluez_ladder *l, const char *device, unsigned times, int64_t now_us)
{
	enum bluez_rung rung = BLUEZ_RETRY;
	for (unsigned i = 0; i < times && rung == BLUEZ_RETRY; i++)
		rung = bluez_ladder_step(l, device, BLUEZ_FAILED, now_us);
	return rung;
}

static void connects_of_several_devices_that_fail_cycle_the_adapter(void **state)
{
	(void)state;
	struct bluez_ladder l = {0};
	assert_int_equal(failures(&l, "cuff-1", 5, 0), BLUEZ_RETRY);
	assert_int_equal(bluez_ladder_step(&l, "scale", BLUEZ_FAILED, 0), BLUEZ_CYCLE);
	/* One that works in between: they are not in a row. */
	l = (struct bluez_ladder){0};
	assert_int_equal(failures(&l, "cuff-1", 5, 0), BLUEZ_RETRY);
	assert_int_equal(bluez_ladder_step(&l, "scale", BLUEZ_LINKED, 0), BLUEZ_RETRY);
	assert_int_equal(bluez_ladder_step(&l, "scale", BLUEZ_UNLINKED, 0), BLUEZ_RETRY);
	assert_int_equal(failures(&l, "cuff-1", 5, 0), BLUEZ_RETRY);
	/* One alone may be at fault itself: later. */
	l = (struct bluez_ladder){0};
	assert_int_equal(failures(&l, "cuff-1", 11, 0), BLUEZ_RETRY);
	assert_int_equal(failures(&l, "cuff-1", 1, 0), BLUEZ_CYCLE);
	/* A connect that the kernel never gave back is enough. */
	l = (struct bluez_ladder){0};
	assert_int_equal(bluez_ladder_step(&l, "cuff-1", BLUEZ_STUCK, 0), BLUEZ_CYCLE);
}

static void the_adapter_is_not_cycled_while_links_are_up(void **state)
{
	(void)state;
	struct bluez_ladder l = {0};
	bluez_ladder_step(&l, "scale", BLUEZ_LINKED, 0);
	bluez_ladder_step(&l, "oximeter", BLUEZ_LINKED, 0);
	assert_int_equal(failures(&l, "cuff-1", 11, 0), BLUEZ_RETRY);
	assert_int_equal(failures(&l, "cuff-1", 1, 0), BLUEZ_TELL);
	assert_int_equal(failures(&l, "cuff-1", 20, 0), BLUEZ_RETRY); /* told once */
	bluez_ladder_step(&l, "scale", BLUEZ_UNLINKED, 0);
	assert_int_equal(failures(&l, "cuff-1", 1, 0), BLUEZ_RETRY);
	bluez_ladder_step(&l, "oximeter", BLUEZ_UNLINKED, 0);
	bluez_ladder_step(&l, "oximeter", BLUEZ_UNLINKED, 0); /* one too many */
	assert_int_equal(failures(&l, "cuff-1", 1, 0), BLUEZ_CYCLE);
}

static void somebody_is_told_when_that_did_not_help(void **state)
{
	(void)state;
	struct bluez_ladder l = {0};
	assert_int_equal(failures(&l, "cuff-1", 12, 5 * MINUTE), BLUEZ_CYCLE);
	assert_int_equal(failures(&l, "cuff-1", 12, 6 * MINUTE), BLUEZ_TELL);
	assert_int_equal(failures(&l, "cuff-1", 50, 20 * MINUTE - 1), BLUEZ_RETRY);
	assert_int_equal(failures(&l, "cuff-1", 1, 20 * MINUTE), BLUEZ_CYCLE);
	assert_int_equal(failures(&l, "cuff-1", 50, 21 * MINUTE), BLUEZ_RETRY); /* told already */
	assert_int_equal(bluez_ladder_step(&l, "cuff-1", BLUEZ_LINKED, 22 * MINUTE), BLUEZ_WELL);
	assert_int_equal(bluez_ladder_step(&l, "cuff-1", BLUEZ_UNLINKED, 22 * MINUTE), BLUEZ_RETRY);
	assert_int_equal(failures(&l, "cuff-1", 12, 23 * MINUTE), BLUEZ_TELL);
}

static void versions_are_read_and_faulty_ones_have_a_name(void **state)
{
	(void)state;
	assert_int_equal(bluez_version("usb:v1D6Bp0246d0542"), 0x0542);
	assert_int_equal(bluez_version("usb:v1D6Bp0246d0545"), 0x0545);
	assert_int_equal(bluez_version("usb:v05ACp0246d0542"), 0); /* main.conf says otherwise */
	assert_int_equal(bluez_version("usb:v1D6Bp0246d0542x"), 0);
	assert_int_equal(bluez_version(""), 0);
	static const unsigned good[] = {0, 0x0532, 0x0542, 0x0546, 0x0548, 0x0552};
	for (size_t i = 0; i < ELEMENTS(good); i++)
		assert_null(bluez_version_fault((uint16_t)good[i]));
	for (uint16_t v = 0x0543; v <= 0x0545; v++)
		assert_non_null(strstr(bluez_version_fault(v), "indications"));
	assert_non_null(strstr(bluez_version_fault(0x0547), "classic"));
}

struct told {
	unsigned n;
	char where[16], what[32], next[80];
};

static void on_changed(void *arg)
{
	++*(unsigned *)arg;
}

static void on_told(void *arg, const char *where, const char *what, const char *next)
{
	struct told *x = arg;
	x->n++;
	text_copy(x->where, sizeof(x->where), where, strlen(where));
	text_copy(x->what, sizeof(x->what), what, strlen(what));
	text_copy(x->next, sizeof(x->next), next ? next : "", next ? strlen(next) : 0);
}

static void report(struct bench *t, unsigned times, enum bluez_outcome outcome)
{
	for (unsigned i = 0; i < times; i++)
		bluez_report(t->b, "", i % 2 ? "scale" : "cuff-1", outcome);
}

static void an_adapter_on_which_connects_fail_is_switched_off_and_on(void **state)
{
	struct bench *t = *state;
	struct told x = {0};
	const char *next = "";
	order(t, "{'do':'set','name':'hci0','powered':false}");
	begin(t); /* it was switched on once already */
	bluez_on_trouble(t->b, on_told, &x);
	assert_null(bluez_trouble(t->b, "", &next));
	assert_null(next);
	report(t, 5, BLUEZ_FAILED);
	assert_int_equal(x.n, 0);
	report(t, 1, BLUEZ_FAILED);
	assert_int_equal(x.n, 1);
	assert_string_equal(x.where, "hci0");
	assert_string_equal(x.what, "adapter-cycled");
	WAIT(t, !bluez_ready(t->b, ""));
	WAIT(t, bluez_ready(t->b, ""));
	assert_int_equal(calls_of(t, "Set"), 3);
	let_pass(t, 200);
	assert_int_equal(calls_of(t, "Set"), 3);
	assert_null(bluez_trouble(t->b, "", &next));
	/* In vain, and it was done not long ago. */
	report(t, 12, BLUEZ_FAILED);
	assert_int_equal(x.n, 2);
	assert_string_equal(x.what, "adapter-failing");
	assert_string_equal(bluez_trouble(t->b, "hci0", &next), "adapter-failing");
	assert_string_equal(x.next, next);
	assert_null(bluez_trouble(t->b, "hci1", &next));
	assert_int_equal(log_lines(t->log, "still fail"), 1);
	/* What was seen of it outlives bluetoothd. */
	order(t, "{'do':'die'}");
	WAIT(t, streq(bluez_state(t->b, ""), "no-bluetoothd"));
	report(t, 20, BLUEZ_FAILED);
	order(t, "{'do':'return'}");
	WAIT(t, bluez_ready(t->b, ""));
	assert_non_null(bluez_trouble(t->b, "", &next));
	bluez_report(t->b, "hci0", "cuff-1", BLUEZ_LINKED);
	assert_int_equal(x.n, 3);
	assert_string_equal(x.what, "well");
	assert_null(bluez_trouble(t->b, "", &next));
	assert_int_equal(calls_of(t, "Set"), 3);
}

static void on_done(void *arg, int result, const char *why)
{
	(void)arg, (void)result, (void)why;
}

static void a_pairing_is_not_disturbed(void **state)
{
	struct bench *t = *state;
	struct bluez_pair_events events = {.done = on_done};
	order(t, "{'do':'device','address':'" DEV_A "','bonded':true,'every_ms':0}");
	begin(t);
	order(t, "{'do':'hang','method':'Pair'}");
	assert_int_equal(bluez_pair_begin(t->b, DEV_A, &events), 0);
	report(t, 40, BLUEZ_STUCK);
	WAIT(t, calls_of(t, "Pair"));
	assert_int_equal(calls_of(t, "Set"), 0);
}

static void an_adapter_that_cannot_be_switched_off_is_left_on(void **state)
{
	struct bench *t = *state;
	begin(t);
	order(t, "{'do':'fail','method':'Set','error':'Busy'}");
	bluez_report(t->b, "hci0", "cuff-1", BLUEZ_STUCK);
	WAIT(t, log_lines(t->log, "cannot be switched off"));
	let_pass(t, 100);
	assert_true(bluez_ready(t->b, ""));
	assert_int_equal(calls_of(t, "Set"), 1);
}

static void a_bluetoothd_that_hangs_has_a_name_and_a_next_step(void **state)
{
	struct bench *t = *state;
	struct told x = {0};
	const char *next = NULL;
	setenv("SYSTEMD_BUS_TIMEOUT", "300ms", 1);
	clock_speed = 300; /* a ping every 0.2 s */
	begin(t);
	bluez_on_trouble(t->b, on_told, &x);
	let_pass(t, 600);
	assert_int_equal(x.n, 0);
	kill(t->fake, SIGSTOP);
	WAIT(t, x.n == 1);
	assert_string_equal(x.where, "bluetoothd");
	assert_string_equal(x.what, "bluetoothd-hung");
	assert_string_equal(x.next, "systemctl restart bluetooth");
	assert_string_equal(bluez_trouble(t->b, "", &next), "bluetoothd-hung");
	assert_string_equal(next, x.next);
	assert_true(bluez_ready(t->b, "")); /* links of our own go on without it */
	kill(t->fake, SIGCONT);
	WAIT(t, x.n == 2);
	assert_string_equal(x.what, "well");
	assert_null(bluez_trouble(t->b, "", &next));
	assert_int_equal(log_lines(t->log, "bluetoothd hangs"), 1);
	assert_int_equal(log_lines(t->log, "answers again"), 1);
	/* One that hangs from the beginning. */
	kill(t->fake, SIGSTOP);
	bluez_free(TAKE(t->b));
	assert_int_equal(bluez_new(t->loop, &t->b), 0);
	bluez_on_trouble(t->b, on_told, &x);
	unsigned changed = 0;
	assert_int_equal(bluez_watch(t->b, on_changed, &changed), 0);
	WAIT(t, changed);
	assert_string_equal(bluez_state(t->b, ""), "bluetoothd-hung");
	assert_int_equal(x.n, 3);
	/* It is restarted. */
	fclose(TAKE(t->control));
	end(&t->fake);
	WAIT(t, streq(bluez_state(t->b, ""), "no-bluetoothd"));
	assert_string_equal(x.what, "well");
	start_fake(t);
	order(t, "{'do':'adapter','name':'hci0'}");
	WAIT(t, bluez_ready(t->b, ""));
}

static void faulty_versions_are_named_at_start(void **state)
{
	struct bench *t = *state;
	begin(t);
	assert_int_equal(log_lines(t->log, "another version"), 0);
	order(t, "{'do':'adapter','name':'hci1','modalias':'usb:v1D6Bp0246d0544'}");
	WAIT(t, bluez_ready(t->b, "hci1"));
	assert_int_equal(log_lines(t->log, "bluetoothd 5.68 does not confirm"), 1);
	order(t, "{'do':'adapter','name':'hci2','modalias':'usb:v1D6Bp0246d0544'}");
	WAIT(t, bluez_ready(t->b, "hci2"));
	assert_int_equal(log_lines(t->log, "5.68"), 1);
}

/* Links that ended with the adapter, unheard: they do not stand in the way of a power cycle for ever. */
static void links_end_with_the_adapter(void **state)
{
	struct bench *t = *state;
	begin(t);
	bluez_report(t->b, "", "cuff-1", BLUEZ_LINKED);
	order(t, "{'do':'die'}");
	WAIT(t, streq(bluez_state(t->b, ""), "no-bluetoothd"));
	bluez_report(t->b, "", "cuff-1", BLUEZ_UNLINKED);
	order(t, "{'do':'return'}");
	WAIT(t, bluez_ready(t->b, ""));
	unsigned before = calls_of(t, "Set");
	bluez_report(t->b, "", "cuff-1", BLUEZ_STUCK);
	WAIT(t, calls_of(t, "Set") > before);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_of_several_devices_that_fail_cycle_the_adapter),
		cmocka_unit_test(the_adapter_is_not_cycled_while_links_are_up),
		cmocka_unit_test(somebody_is_told_when_that_did_not_help),
		cmocka_unit_test(versions_are_read_and_faulty_ones_have_a_name),
		TEST(an_adapter_on_which_connects_fail_is_switched_off_and_on),
		TEST(a_pairing_is_not_disturbed),
		TEST(an_adapter_that_cannot_be_switched_off_is_left_on),
		TEST(a_bluetoothd_that_hangs_has_a_name_and_a_next_step),
		TEST(links_end_with_the_adapter), TEST(faulty_versions_are_named_at_start)};
	if (!can_run())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
