/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In which language it is said what is wrong with a file. One person looks at what a companion program says; the daemon's
 * log is everybody's, and English. Both texts of FAULT() are formats for the same arguments, which the compiler checks.
 */
#pragma once

#include <stdbool.h>

/* Set once, before there are threads. */
extern bool fault_chinese;

#define FAULT(en, zh) (fault_chinese ? (zh) : (en))
