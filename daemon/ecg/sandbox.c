/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Limits, then the filter of system calls, which is the wall; the limits stand behind it. What is not on the
 * list kills the process: there is no call whose failure a reader would have to handle.
 */
#include "sandbox.h"

#include "../util.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* AddressSanitizer maps terabytes, and asks for more than the filter gives. */
#ifndef __SANITIZE_ADDRESS__
#include <seccomp.h>

/* Memory is had by malloc(): brk for the heap, anonymous maps for what is large. Nothing of it can be run. */
#define MAPPED (MAP_PRIVATE | MAP_ANONYMOUS)

static const struct call {
	int number;
	unsigned n_args;
	struct scmp_arg_cmp args[2];
} calls[] = {
	{SCMP_SYS(read), 1, {SCMP_A0_32(SCMP_CMP_EQ, 0)}},
	{SCMP_SYS(write), 1, {SCMP_A0_32(SCMP_CMP_EQ, 1)}},
	{SCMP_SYS(write), 1, {SCMP_A0_32(SCMP_CMP_EQ, 2)}},
	{SCMP_SYS(brk), 0, {{0}}},
	{SCMP_SYS(mmap), 2,
		{SCMP_A2_64(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(PROT_READ | PROT_WRITE), 0),
			SCMP_A3_64(SCMP_CMP_EQ, MAPPED)}},
	{SCMP_SYS(munmap), 0, {{0}}},
	{SCMP_SYS(mremap), 0, {{0}}},
	{SCMP_SYS(getrandom), 0, {{0}}}, /* expat: so that nobody can foresee its hash table */
	{SCMP_SYS(exit_group), 0, {{0}}},
};

static int filter(const char **ret_what)
{
	*ret_what = "system calls";
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!context)
		return -ENOMEM;
	/* Calls in the manner of another architecture too. */
	int rc = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; rc == 0 && i < ELEMENTS(calls); i++)
		rc = seccomp_rule_add_array(
			context, SCMP_ACT_ALLOW, calls[i].number, calls[i].n_args, calls[i].args);
	if (rc == 0)
		rc = seccomp_load(context);
	seccomp_release(context);
	return rc;
}

#define ADDRESS_SPACE_MAX ((rlim_t)256 << 20)
#else
static int filter(const char **ret_what)
{
	(void)ret_what;
	return 0;
}

#define ADDRESS_SPACE_MAX RLIM_INFINITY
#endif

static int limit(const char **ret_what)
{
	static const struct {
		int resource;
		rlim_t soft, hard;
		const char *what;
	} limits[] = {
		{RLIMIT_AS, ADDRESS_SPACE_MAX, ADDRESS_SPACE_MAX, "memory"},
		{RLIMIT_CPU, 10, 11, "processor time"}, /* s: SIGXCPU, which says why; SIGKILL */
		{RLIMIT_FSIZE, 0, 0, "size of files"},
		{RLIMIT_NOFILE, 0, 0, "descriptors"},
		{RLIMIT_CORE, 0, 0, "core file"}, /* it would hold the patient */
		{RLIMIT_NPROC, 0, 0, "processes"},
	};
	for (size_t i = 0; i < ELEMENTS(limits); i++) {
		struct rlimit now = {.rlim_max = RLIM_INFINITY}; /* may be closer already */
		getrlimit(limits[i].resource, &now);
		struct rlimit both = {.rlim_cur = MIN(limits[i].soft, now.rlim_max),
			.rlim_max = MIN(limits[i].hard, now.rlim_max)};
		if (setrlimit(limits[i].resource, &both) != 0) {
			*ret_what = limits[i].what;
			return -errno;
		}
	}
	return 0;
}

/* No rights by exec, not to be looked into, and gone with whoever waits for the answer. */
static int detach(const char **ret_what)
{
	static const struct {
		int option;
		unsigned long value;
		const char *what;
	} options[] = {
		{PR_SET_NO_NEW_PRIVS, 1, "rights"},
		{PR_SET_DUMPABLE, 0, "memory image"},
		{PR_SET_PDEATHSIG, SIGKILL, "end of the parent"},
	};
	for (size_t i = 0; i < ELEMENTS(options); i++)
		if (prctl(options[i].option, options[i].value, 0, 0, 0) != 0) {
			*ret_what = options[i].what;
			return -errno;
		}
	*ret_what = "inherited descriptors";
	return close_range(STDERR_FILENO + 1, ~0U, 0) == 0 ? 0 : -errno;
}

int sandbox_close(const char **ret_what)
{
	int rc = limit(ret_what);
	if (rc == 0)
		rc = detach(ret_what);
	return rc == 0 ? filter(ret_what) : rc;
}
