/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LD_PRELOAD: a CLOCK_REALTIME that can be set without touching the machine's. WRONGCLOCK names a file of two int64_t:
 * microseconds that this process's clock is ahead of the machine's, and what adjtimex() says (1: a time server
 * disciplines it). A change of the first acts as setting the clock does: a timer that wants to hear of it wakes up.
 * CLOCK_MONOTONIC and CLOCK_BOOTTIME are left alone. WRONGCLOCK_BOOT_ID: the text of another boot id.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct wrong {
	_Atomic int64_t ahead_us, synced;
};

static struct wrong *wrong;
static int (*real_gettime)(clockid_t id, struct timespec *t);
static int listener = -1; /* the timer that waits for the clock to be set */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("WRONGCLOCK");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, sizeof(*wrong), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	real_gettime = NEXT(clock_gettime);
	wrong = at == MAP_FAILED ? NULL : at;
	if (fd >= 0)
		close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	if (!real_gettime)
		real_gettime = NEXT(clock_gettime);
	int rc = real_gettime(id, t);
	if (rc < 0 || !wrong || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return rc;
	int64_t us = (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000 + wrong->ahead_us;
	t->tv_sec = us / 1000000;
	t->tv_nsec = us % 1000000 * 1000 + t->tv_nsec % 1000;
	return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec s;
	(void)zone;
	int rc = clock_gettime(CLOCK_REALTIME, &s);
	*t = (struct timeval){s.tv_sec, s.tv_nsec / 1000};
	return rc;
}

time_t time(time_t *ret)
{
	struct timespec s;
	clock_gettime(CLOCK_REALTIME, &s);
	if (ret)
		*ret = s.tv_sec;
	return s.tv_sec;
}

int adjtimex(struct timex *t)
{
	int rc = NEXT(adjtimex)(t);
	if (wrong)
		t->status = wrong->synced ? t->status & ~STA_UNSYNC : t->status | STA_UNSYNC;
	return wrong ? wrong->synced ? 0 : TIME_ERROR : rc;
}

/* As the kernel wakes whoever reads a timer with TFD_TIMER_CANCEL_ON_SET. */
static void *watch(void *arg)
{
	static const struct itimerspec now = {.it_value.tv_nsec = 1};
	(void)arg;
	for (int64_t seen = wrong->ahead_us;;) {
		usleep(5000);
		if (wrong->ahead_us != seen)
			NEXT(timerfd_settime)(listener, 0, &now, NULL);
		seen = wrong->ahead_us;
	}
	return NULL;
}

int timerfd_create(clockid_t id, int flags)
{
	if (!wrong || id != CLOCK_REALTIME || listener >= 0)
		return NEXT(timerfd_create)(id, flags);
	listener = NEXT(timerfd_create)(CLOCK_MONOTONIC, flags);
	return listener;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *before)
{
	pthread_t thread;
	if (fd != listener || !(flags & TFD_TIMER_CANCEL_ON_SET))
		return NEXT(timerfd_settime)(fd, flags, to, before);
	return pthread_create(&thread, NULL, watch, NULL);
}

FILE *fopen(const char *restrict path, const char *restrict mode)
{
	const char *other = getenv("WRONGCLOCK_BOOT_ID");
	if (other && strcmp(path, BOOT_ID) == 0)
		return fmemopen((void *)(uintptr_t)other, strlen(other), "r");
	return NEXT(fopen)(path, mode);
}
