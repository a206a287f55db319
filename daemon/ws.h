/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the elements of WS/T 363 print a value: config/ws_elements.csv. A value that does not fit its element is not put
 * into a form; no digit is dropped to make it fit. Pure after loading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_TEXT 24

struct ws;

/* NULL with one sentence in `error` that names file, line and what was expected. */
struct ws *ws_load(const char *path, char *error, size_t error_size);
void ws_free(struct ws *w);
const char *ws_version(const struct ws *w);
/* Whether the table has this element. */
bool ws_known(const struct ws *w, const char *element);
/* milli / 1000 as the element prints it: with its decimals and within its length, the point counted. An element that is
 * not in the table, or whose format nobody has confirmed, prints `decimals` (0..3) and refuses nothing. False: it does not
 * fit; `out` then holds it as it was rounded. `w` may be NULL. */
bool ws_text(const struct ws *w, const char *element, int64_t milli, unsigned decimals,
	char out[static WS_TEXT]);
