/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Adapters over D-Bus: bluez.c against a private dbus-daemon and the bluez5 template of python3-dbusmock in
 * place of bluetoothd.
 */
#include "bluez.h"
#include "log.h"
#include "util.h"
#include "waiting.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define MOCK "org.freedesktop.DBus.Mock"
#define BLUEZ_MOCK "org.bluez.Mock"
#define ADAPTER "org.bluez.Adapter1"
#define HCI0 "/org/bluez/hci0"

struct bench {
	char dir[64];
	pid_t bus, mock;
	sd_event *loop;
	struct bluez *b;
	sd_bus *us; /* the test's own connection */
	unsigned changed;
	int log, stderr_was;
};

static const char *kernel_version;

/* In place of libc's. */
int uname(struct utsname *u)
{
	*u = (struct utsname){.sysname = "Linux", .release = "6.1.0-56-amd64"};
	snprintf(u->version, sizeof(u->version), "%s", kernel_version);
	return 0;
}

/* A call that waited for its answer would do so as long as libsystemd lets it: 25 s. */
#define TURN_LIMIT_MS 15000

/* A turn of the loop never takes long: nothing in bluez.c waits for an answer. */
static unsigned turn(struct bench *t)
{
	int r = 0;
	long begin_ms = now_ms();
	if (t->b)
		r = sd_event_run(t->loop, 5000);
	else
		usleep(5000);
	assert_true(r >= 0);
	assert_in_range(now_ms() - begin_ms, 0, TURN_LIMIT_MS);
	return r > 0;
}

static unsigned let_pass(struct bench *t, int ms)
{
	unsigned turns = 0;
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;)
		turns += turn(t);
	return turns;
}

static pid_t run(char *const argv[])
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO); /* the mock talks */
	dup2(null, STDERR_FILENO);
	execvp(argv[0], argv);
	_exit(127);
}

static void end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static char *in_dir(const struct bench *t, const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	return path;
}

static void start_bus(struct bench *t)
{
	static const char config[] =
		"<busconfig><type>system</type><listen>unix:path=%s/bus</listen><policy "
		"context='default'><allow send_destination='*'/><allow eavesdrop='true'/><allow "
		"own='*'/>"
		"<allow send_type='signal'/></policy></busconfig>";
	_cleanup_(fclosep) FILE *f = fopen(in_dir(t, "bus.conf"), "w");
	assert_non_null(f);
	fprintf(f, config, t->dir);
	fflush(f);
	unlink(in_dir(t, "bus"));
	char option[160];
	snprintf(option, sizeof(option), "--config-file=%s", in_dir(t, "bus.conf"));
	t->bus = run((char *[]){"dbus-daemon", option, "--nofork", "--nopidfile", NULL});
	t->us = NULL;
	for (long end_ms = now_ms() + WAIT_LIMIT_MS; !t->us && now_ms() < end_ms; turn(t))
		if (sd_bus_open_system(&t->us) < 0)
			t->us = sd_bus_unref(t->us);
	assert_non_null(t->us);
}

static bool has_owner(struct bench *t)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	return sd_bus_get_name_creds(t->us, "org.bluez", SD_BUS_CREDS_UNIQUE_NAME, &creds) >= 0;
}

static void start_bluetoothd(struct bench *t)
{
	t->mock =
		run((char *[]){"/usr/bin/python3", "-m", "dbusmock", "--template", "bluez5", NULL});
	WAIT(t, has_owner(t));
}

/* A call of the mock; it must succeed. */
static void order(struct bench *t, const char *path, const char *interface, const char *method,
	const char *types, ...)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	assert_true(sd_bus_message_new_method_call(
			    t->us, &m, "org.bluez", path, interface, method) >= 0);
	va_list args;
	va_start(args, types);
	assert_true(sd_bus_message_appendv(m, types, args) >= 0);
	va_end(args);
	int r = sd_bus_call(t->us, m, 5000000, &error, NULL);
	if (r < 0)
		fail_msg("%s: %s", method, error.message);
}

static void add_adapter(struct bench *t, const char *name)
{
	order(t, "/", BLUEZ_MOCK, "AddAdapter", "ss", name, "gateway");
}

static void switch_by_hand(struct bench *t, int on)
{
	order(t, HCI0, MOCK, "UpdateProperties", "sa{sv}", ADAPTER, 1, "Powered", "b", on);
}

static bool is_on(struct bench *t)
{
	int on = 0;
	assert_true(sd_bus_get_property_trivial(
			    t->us, "org.bluez", HCI0, ADAPTER, "Powered", NULL, 'b', &on) >= 0);
	return on;
}

static void on_changed(void *arg)
{
	((struct bench *)arg)->changed++;
}

static void watch(struct bench *t)
{
	assert_int_equal(bluez_new(t->loop, &t->b), 0);
	assert_int_equal(bluez_watch(t->b, on_changed, t), 0);
}

static bool state_is(const struct bench *t, const char *state)
{
	return streq(bluez_state(t->b, ""), state);
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	snprintf(t->dir, sizeof(t->dir), "/tmp/vg-bluez-XXXXXX");
	if (!mkdtemp(t->dir) || sd_event_new(&t->loop) < 0)
		return -1;
	char address[128];
	snprintf(address, sizeof(address), "unix:path=%s/bus", t->dir);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	kernel_version = "#1 SMP Debian 6.1.190-1";
	t->log = open(in_dir(t, "log"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	t->stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(t->log, STDERR_FILENO);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;
	dup2(t->stderr_was, STDERR_FILENO);
	close(t->stderr_was);
	close(t->log);
	bluez_free(t->b);
	sd_bus_close_unref(t->us);
	end(&t->mock);
	end(&t->bus);
	sd_event_unref(t->loop);
	unlink(in_dir(t, "bus"));
	unlink(in_dir(t, "bus.conf"));
	unlink(in_dir(t, "log"));
	rmdir(t->dir);
	free(t);
	return 0;
}

static void adapters_come_and_go(void **state)
{
	struct bench *t = *state;
	bool random = true;
	start_bus(t);
	start_bluetoothd(t);
	watch(t);
	assert_false(bluez_ready(t->b, ""));
	WAIT(t, state_is(t, "adapter-absent"));
	add_adapter(t, "hci1");
	WAIT(t, bluez_ready(t->b, ""));
	assert_true(t->changed > 0);
	assert_string_equal(bluez_address(t->b, "", &random), "01:02:03:04:05:06");
	assert_false(random);
	assert_true(bluez_ready(t->b, "hci1"));
	assert_false(bluez_ready(t->b, "hci0"));
	assert_null(bluez_address(t->b, "hci0", &random));
	assert_string_equal(bluez_state(t->b, "hci0"), "adapter-absent");
	add_adapter(t, "hci0");
	WAIT(t, bluez_ready(t->b, "hci0"));
	unsigned before = t->changed;
	order(t, "/", BLUEZ_MOCK, "RemoveAdapter", "s", "hci1");
	WAIT(t, !bluez_ready(t->b, "hci1"));
	assert_true(t->changed > before);
	assert_true(bluez_ready(t->b, ""));

	/* A new watcher finds what is there; a former one hears nothing more. */
	bluez_unwatch(t->b, t);
	before = t->changed;
	bluez_free(TAKE(t->b));
	watch(t);
	WAIT(t, bluez_ready(t->b, "hci0"));
	bluez_unwatch(t->b, t);
	before = t->changed;
	order(t, "/", BLUEZ_MOCK, "RemoveAdapter", "s", "hci0");
	WAIT(t, state_is(t, "adapter-absent"));
	assert_int_equal(t->changed, before);
}

static void switches_on_once_for_each_appearance(void **state)
{
	struct bench *t = *state;
	start_bus(t);
	start_bluetoothd(t);
	add_adapter(t, "hci0");
	switch_by_hand(t, 0);
	assert_false(is_on(t));
	watch(t);
	WAIT(t, bluez_ready(t->b, "hci0"));
	assert_true(is_on(t));
	assert_int_equal(log_lines(t->log, "switching it on"), 1);
	/* Somebody means it. */
	switch_by_hand(t, 0);
	WAIT(t, state_is(t, "adapter-off"));
	let_pass(t, 300);
	assert_false(is_on(t));
	assert_int_equal(log_lines(t->log, "switching it on"), 1);
	switch_by_hand(t, 1);
	WAIT(t, bluez_ready(t->b, "hci0"));
	/* Unplugged and back. */
	order(t, "/", BLUEZ_MOCK, "RemoveAdapter", "s", "hci0");
	WAIT(t, state_is(t, "adapter-absent"));
	add_adapter(t, "hci0");
	WAIT(t, bluez_ready(t->b, "hci0"));
	switch_by_hand(t, 0);
	WAIT(t, log_lines(t->log, "switching it on") == 2);
	WAIT(t, bluez_ready(t->b, "hci0"));
	assert_true(is_on(t));
}

static void says_once_that_switching_on_fails(void **state)
{
	struct bench *t = *state;
	start_bus(t);
	start_bluetoothd(t);
	watch(t);
	add_adapter(t, "hci0");
	WAIT(t, bluez_ready(t->b, "hci0"));
	switch_by_hand(t, 0);
	/* The object is gone, but nothing said so: the call must fail. */
	order(t, "/", MOCK, "RemoveObject", "s", HCI0);
	WAIT(t, log_lines(t->log, "cannot be switched on"));
	let_pass(t, 300);
	assert_int_equal(log_lines(t->log, "cannot be switched on"), 1);
	assert_int_equal(log_lines(t->log, "switching it on"), 1);
	assert_true(state_is(t, "adapter-off"));
}

static void bluetoothd_restarts(void **state)
{
	struct bench *t = *state;
	start_bus(t);
	watch(t);
	WAIT(t, state_is(t, "no-bluetoothd") && log_lines(t->log, "bluetoothd is not running"));
	assert_in_range(let_pass(t, 500), 0, 3);
	for (unsigned i = 1; i <= 3; i++) {
		start_bluetoothd(t);
		add_adapter(t, "hci0");
		WAIT(t, bluez_ready(t->b, "hci0"));
		end(&t->mock);
		WAIT(t, state_is(t, "no-bluetoothd"));
		assert_int_equal(log_lines(t->log, "bluetoothd is not running"), i + 1);
	}
}

static void the_bus_restarts(void **state)
{
	struct bench *t = *state;
	int lowest = -1;
	watch(t);
	WAIT(t, log_lines(t->log, "the system bus is gone"));
	assert_true(state_is(t, "no-bus"));
	for (unsigned i = 1; i <= 2; i++) {
		start_bus(t);
		start_bluetoothd(t);
		add_adapter(t, "hci0");
		WAIT(t, bluez_ready(t->b, "hci0"));
		int next = dup(STDIN_FILENO);
		close(next);
		if (lowest < 0)
			lowest = next;
		assert_int_equal(next, lowest);
		t->us = sd_bus_close_unref(t->us);
		end(&t->bus);
		end(&t->mock);
		WAIT(t, state_is(t, "no-bus"));
		assert_in_range(let_pass(t, 300), 0, 3);
	}
	assert_true(log_lines(t->log, "the system bus is gone") <= 3);
}

/* Calls that are not answered hold up nobody. */
static void bluetoothd_hangs(void **state)
{
	struct bench *t = *state;
	start_bus(t);
	start_bluetoothd(t);
	add_adapter(t, "hci0");
	kill(t->mock, SIGSTOP);
	watch(t);
	let_pass(t, 500);
	assert_true(state_is(t, "no-bluetoothd"));
	kill(t->mock, SIGCONT);
	WAIT(t, bluez_ready(t->b, "hci0"));
	kill(t->mock, SIGSTOP);
	bluez_free(TAKE(t->b));
	kill(t->mock, SIGCONT);
}

static void emit(struct bench *t, const char *destination, const char *path, const char *interface,
	const char *member, const char *types, ...)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	assert_true(sd_bus_message_new_signal(t->us, &m, path, interface, member) >= 0);
	if (destination)
		assert_true(sd_bus_message_set_destination(m, destination) >= 0);
	va_list args;
	va_start(args, types);
	assert_true(sd_bus_message_appendv(m, types, args) >= 0);
	va_end(args);
	assert_true(sd_bus_send(t->us, m, NULL) >= 0);
	assert_true(sd_bus_flush(t->us) >= 0);
}

/* Any local user may send signals; bluetoothd itself may send what we do not expect. */
static void forged_and_odd_signals_change_nothing(void **state)
{
	struct bench *t = *state;
	start_bus(t);
	start_bluetoothd(t);
	add_adapter(t, "hci0");
	watch(t);
	WAIT(t, bluez_ready(t->b, "hci0"));
	for (unsigned i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof(name), ":1.%u", i);
		const char *to = i ? name : NULL;
		emit(t, to, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
			"oa{sa{sv}}", "/org/bluez/hci9", 1, ADAPTER, 2, "Powered", "b", 1,
			"Address", "s", "66:66:66:66:66:66");
		emit(t, to, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas",
			HCI0, 1, ADAPTER);
		emit(t, to, HCI0, "org.freedesktop.DBus.Properties", "PropertiesChanged",
			"sa{sv}as", ADAPTER, 1, "Powered", "b", 0, 0);
		emit(t, to, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged",
			"sss", "org.bluez", "", "");
	}
	let_pass(t, 200);
	assert_true(bluez_ready(t->b, "hci0"));
	assert_string_equal(bluez_state(t->b, "hci9"), "adapter-absent");

	order(t, HCI0, MOCK, "EmitSignal", "sssav", "org.freedesktop.DBus.Properties",
		"PropertiesChanged", "sa{sv}as", 3, "s", ADAPTER, "a{sv}", 2, "Powered", "s", "no",
		"Address", "u", 1, "as", 0);
	order(t, "/", MOCK, "EmitSignal", "sssav", "org.freedesktop.DBus.ObjectManager",
		"InterfacesRemoved", "s", 1, "s", "what");
	WAIT(t, log_lines(t->log, "not as expected"));
	assert_true(bluez_ready(t->b, "hci0"));
	/* More adapters than there is room for. */
	for (unsigned i = 1; i < 10; i++) {
		char name[8];
		snprintf(name, sizeof(name), "hci%u", i);
		add_adapter(t, name);
	}
	WAIT(t, log_lines(t->log, "one too many"));
	assert_true(bluez_ready(t->b, "hci0"));
}

static void warns_of_a_faulty_kernel(void **state)
{
	struct bench *t = *state;
	watch(t);
	assert_int_equal(log_lines(t->log, "6.1.192"), 0);
	bluez_free(TAKE(t->b));
	kernel_version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-09-01)";
	watch(t);
	assert_int_equal(log_lines(t->log, "Linux 6.1.192 is known"), 1);
}

static void has_room_for_256_watchers(void **state)
{
	struct bench *t = *state;
	char many[256];
	assert_int_equal(bluez_new(t->loop, &t->b), 0);
	for (size_t i = 0; i < sizeof(many); i++)
		assert_int_equal(bluez_watch(t->b, on_changed, many + i), 0);
	assert_int_equal(bluez_watch(t->b, on_changed, t), -ENOSPC);
	bluez_unwatch(t->b, many + 5);
	assert_int_equal(bluez_watch(t->b, on_changed, many + 5), 0);
	for (size_t i = 0; i < sizeof(many); i++)
		bluez_unwatch(t->b, many + i);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(adapters_come_and_go),
		TEST(switches_on_once_for_each_appearance), TEST(says_once_that_switching_on_fails),
		TEST(bluetoothd_restarts), TEST(the_bus_restarts), TEST(bluetoothd_hangs),
		TEST(forged_and_odd_signals_change_nothing), TEST(warns_of_a_faulty_kernel),
		TEST(has_room_for_256_watchers)};
	if (system("command -v dbus-daemon >/dev/null && "
		   "/usr/bin/python3 -c 'import dbusmock' 2>/dev/null") != 0) {
		puts("1..0 # SKIP the packages dbus-daemon and python3-dbusmock are not installed");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
