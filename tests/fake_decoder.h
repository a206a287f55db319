/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Programs in the place of vitalgate-ecg: shell scripts in a directory of the test. Put the cmocka headers first. */
#pragma once

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "util.h"

/* Writes the script; `path` has 128 bytes. */
static inline void fake_decoder(const char *dir, char *path, const char *script)
{
	snprintf(path, 128, "%s/vitalgate-ecg", dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

/* Nobody of ours runs, or waits to be buried. */
static inline void no_child_left(void)
{
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}
