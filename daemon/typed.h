/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids that people type, with a check character. Pure. */
#pragma once

#include <stdbool.h>

/* The last character is the check character of the others by ISO 7064 MOD 37,36 over 0-9A-Z; small letters count as
 * capitals, '-' and '_' are left out. One wrong character, and two that changed places beside each other, are found. */
bool typed_proven(const char *id);
