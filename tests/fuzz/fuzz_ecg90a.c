/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Contec ECG90A. Input: a byte of how, then
 *   how % 4 == 0   the file itself
 *   else           edits of a good file (ecg_check.h) with how / 4 % 8 rows, and by how % 4 whole rows or not
 */
#include "ecg_check.h"

#define HEADER 43
#define ROW 16
#define FOOTER 37
#define ROWS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char header[HEADER + 1] = "0000001\0\0\0"
				       "2026-01-31 08:09:10\0\0\0"
				       "TEST\0\0\0\0\1\47\120";

static const struct piece pieces[] = {PIECE("\0\x68"),
	PIECE("\0\x68\0\x68\0\x68\0\x68\0\x68\0\x68\0\x68\0\x68"),
	PIECE("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), PIECE("\xff\xff"),
	PIECE("2026-02-29 23:59:60\0"), PIECE("2024-02-29 23:59:59 "), PIECE("\xb2\xe2\xca\xd4"),
	PIECE("\xff\xff\xff")};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t good[HEADER + ROWS_MAX * ROW + FOOTER], file[FILE_MAX];
	if (!size)
		return 0;
	if (data[0] % 4 == 0) {
		check_file(ecg90a_read, data + 1, size - 1);
		return 0;
	}
	size_t rows = data[0] / 4 % ROWS_MAX;
	memcpy(good, header, HEADER);
	for (size_t i = 0; i < rows * ROW; i++)
		good[HEADER + i] = (uint8_t)(i % 2 ? 8 : i * 7);
	size_t len = edited(file, good, HEADER + rows * ROW + FOOTER, data + 1, size - 1, pieces,
		ELEMENTS(pieces));
	if (data[0] % 4 == 1 && len > HEADER + FOOTER)
		len -= (len - HEADER - FOOTER) % ROW;
	check_file(ecg90a_read, file, len);
	return 0;
}
