/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conventional sheet of an ECG: A4 landscape, 25 mm/s, 10 mm/mV, from the JSON of vitalgate-ecg (with all
 * samples, and "study" beside its members when the gateway holds it). The JSON is what a decoder made of a
 * hostile file: nothing in it is trusted, and what cannot be drawn truly is not drawn and said in words.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct sheet {
	const json_t *ecg;
	const char *sha256; /* of the original, hex; NULL: not given */
	bool chinese;
	bool anonymous; /* without what names the person */
};

enum sheet_format { SHEET_SVG, SHEET_PNG };

/* The picture; the caller frees it. PNG has 200 dpi. -ENOMEM, or -EIO when cairo cannot. */
int sheet_draw(const struct sheet *sheet, enum sheet_format format, char **ret, size_t *ret_len);
/* Draws into a file: under another name first, renamed when it is whole. What fails is said on stderr. */
int sheet_write(const struct sheet *sheet, enum sheet_format format, const char *path);
