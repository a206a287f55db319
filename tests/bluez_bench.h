/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests of what talks to bluetoothd: a private bus, tests/sim/fake_bluez.py on it, a struct
 * bluez, and a clock that can run faster than the world's, so that minutes of windows and patience
 * pass in a second.
 */
#pragma once

#include "bluez.h"
#include "log.h"
#include "util.h"
#include "waiting.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define DEV_A "C0:00:00:00:00:01"
#define DEV_B "C0:00:00:00:00:02"

struct bench {
	char dir[64];
	pid_t bus, fake;
	FILE *control;
	json_t *answer, *calls; /* of the last order; all that bluetoothd was asked */
	sd_event *loop;
	struct bluez *b;
	int log, stderr_was;
};

/* --- the clock: in place of libsystemd's */

static uint64_t clock_speed = 1;

static uint64_t real_us(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int sd_event_now(sd_event *e, clockid_t clock, uint64_t *ret)
{
	(void)e;
	*ret = real_us(clock) * clock_speed;
	return 0;
}

int sd_event_source_set_time_relative(sd_event_source *s, uint64_t in_us)
{
	return sd_event_source_set_time(s, real_us(CLOCK_BOOTTIME) + in_us / clock_speed);
}

int sd_event_add_time_relative(sd_event *e, sd_event_source **ret, clockid_t clock, uint64_t in_us,
	uint64_t accuracy_us, sd_event_time_handler_t handler, void *arg)
{
	(void)accuracy_us;
	return sd_event_add_time(
		e, ret, clock, real_us(clock) + in_us / clock_speed, 1000, handler, arg);
}

/* --- waiting */

static void turn(struct bench *t)
{
	assert_true(sd_event_run(t->loop, 5000) >= 0);
}

static inline void let_pass(struct bench *t, int ms)
{
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;)
		turn(t);
}

/* --- bus and fake */

static pid_t run(char *const argv[])
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
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

static bool can_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	text_copy(a.sun_path, sizeof(a.sun_path), path, strlen(path));
	*ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(*ret_fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return true;
	close(*ret_fd);
	return false;
}

static int wait_for_socket(const char *path)
{
	int fd = -1;
	for (long end_ms = now_ms() + 10000; !can_connect(path, &fd); usleep(5000))
		assert_true(now_ms() < end_ms);
	return fd;
}

static void start_bus(struct bench *t)
{
	static const char config[] =
		"<busconfig><type>system</type><listen>unix:path=%s/bus</listen><policy "
		"context='default'><allow send_destination='*'/><allow eavesdrop='true'/><allow "
		"own='*'/><allow send_type='signal'/></policy></busconfig>";
	FILE *f = fopen(in_dir(t, "bus.conf"), "w");
	assert_non_null(f);
	fprintf(f, config, t->dir);
	fclose(f);
	unlink(in_dir(t, "bus"));
	char option[160];
	snprintf(option, sizeof(option), "--config-file=%s", in_dir(t, "bus.conf"));
	t->bus = run((char *[]){"dbus-daemon", option, "--nofork", "--nopidfile", NULL});
	close(wait_for_socket(in_dir(t, "bus")));
}

static void start_fake(struct bench *t)
{
	unlink(in_dir(t, "control"));
	t->fake = run((char *[]){
		"/usr/bin/python3", "tests/sim/fake_bluez.py", in_dir(t, "control"), NULL});
	t->control = fdopen(wait_for_socket(in_dir(t, "control")), "r+");
	assert_non_null(t->control);
	setbuf(t->control, NULL);
}

/* One order in JSON, but with ' for ". Its answer is borrowed until the next. */
static json_t *order(struct bench *t, const char *format, ...)
{
	char text[2048], reply[16384];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_in_range(n, 1, sizeof(text) - 1);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	fprintf(t->control, "%s\n", text);
	assert_non_null(fgets(reply, sizeof(reply), t->control));
	json_decref(t->answer);
	t->answer = json_loads(reply, 0, NULL);
	if (!json_is_true(json_object_get(t->answer, "ok")))
		fail_msg("%s: %s", text, reply);
	return t->answer;
}

/* devices.ADDRESS.WORD of the fake's state. */
static inline bool device_is(struct bench *t, const char *address, const char *word)
{
	json_t *devices = json_object_get(order(t, "{'do':'state'}"), "devices");
	return json_is_true(json_object_get(json_object_get(devices, address), word));
}

static inline unsigned state_count(struct bench *t, const char *word)
{
	json_t *value = json_object_get(order(t, "{'do':'state'}"), word);
	return json_is_array(value) ? (unsigned)json_array_size(value)
				    : (unsigned)json_integer_value(value);
}

static inline bool discovers(struct bench *t, const char *adapter)
{
	json_t *adapters = json_object_get(order(t, "{'do':'state'}"), "adapters");
	return json_integer_value(json_object_get(json_object_get(adapters, adapter), "sessions"));
}

/* How often bluetoothd was asked for that since the bench began. */
static inline unsigned calls_of(struct bench *t, const char *method)
{
	size_t i;
	json_t *call;
	unsigned n = 0;
	json_array_extend(t->calls, json_object_get(order(t, "{'do':'calls'}"), "calls"));
	json_array_foreach(t->calls, i, call) n +=
		streq(json_string_value(json_object_get(call, "method")), method);
	return n;
}

/* First argument of the last of these calls, as text. "": there is none. */
static inline const char *argument_of(struct bench *t, const char *method)
{
	const char *found = "";
	for (size_t i = calls_of(t, method) ? json_array_size(t->calls) : 0; i && !*found; i--) {
		json_t *call = json_array_get(t->calls, i - 1);
		json_t *first = json_array_get(json_object_get(call, "args"), 0);
		if (streq(json_string_value(json_object_get(call, "method")), method) && first)
			return json_string_value(first) ? json_string_value(first) : "";
	}
	return found;
}

static inline unsigned open_fds(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void begin(struct bench *t)
{
	assert_int_equal(bluez_new(t->loop, &t->b), 0);
	WAIT(t, bluez_ready(t->b, ""));
}

/* A bus, a bluetoothd with hci0, and a struct bluez that has seen it. */
static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	clock_speed = 1;
	unsetenv("SYSTEMD_BUS_TIMEOUT");
	snprintf(t->dir, sizeof(t->dir), "/tmp/vg-fake-XXXXXX");
	if (!mkdtemp(t->dir) || sd_event_new(&t->loop) < 0)
		return -1;
	t->calls = json_array();
	char address[128];
	snprintf(address, sizeof(address), "unix:path=%s/bus", t->dir);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	t->log = open(in_dir(t, "log"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	t->stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(t->log, STDERR_FILENO);
	*state = t;
	start_bus(t);
	start_fake(t);
	order(t, "{'do':'adapter','name':'hci0'}");
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;
	if (t->fake)
		kill(t->fake, SIGCONT);
	bluez_free(t->b);
	dup2(t->stderr_was, STDERR_FILENO);
	if (log_lines(t->log, "Traceback"))
		print_message("# the fake has a fault: %s\n", in_dir(t, "log"));
	close(t->stderr_was);
	close(t->log);
	if (t->control)
		fclose(t->control);
	json_decref(t->answer);
	json_decref(t->calls);
	end(&t->fake);
	end(&t->bus);
	sd_event_unref(t->loop);
	static const char *const left[] = {"bus", "bus.conf", "control", "log"};
	for (size_t i = 0; i < ELEMENTS(left); i++)
		unlink(in_dir(t, left[i]));
	rmdir(t->dir);
	free(t);
	return 0;
}

static inline bool can_run(void)
{
	if (system("command -v dbus-daemon >/dev/null && "
		   "/usr/bin/python3 -c 'import dbus, gi' 2>/dev/null") == 0)
		return true;
	puts("1..0 # SKIP the packages dbus-daemon and python3-dbusmock are not installed");
	return false;
}
