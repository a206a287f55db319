/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sandboxed program vitalgate-ecg: where it is, and how it is started, by the daemon and by `vitalgate ecg`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DECODER_MEMORY_MAX (UINT64_C(256) << 20)
#define DECODER_CPU_S 10

struct decoder_start {
	const char *path;
	const uint8_t *bytes; /* the original */
	size_t len;
	const char *samples; /* how many of each lead it shall print; NULL: none */
	bool quiet;	     /* nobody reads what it says of itself */
};

/* Beside our own program, else the installed one. */
void decoder_find(char *out, size_t size);
/* 0; -errno: -ENOENT it is not installed. `ret_answer_fd` is the caller's, and so is the child. */
int decoder_start(const struct decoder_start *s, pid_t *ret_pid, int *ret_answer_fd);
