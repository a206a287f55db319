/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DICOM metadata, and PDF. Input: a byte of how, then
 *   how % 4 == 0   the file behind the preamble
 *   how % 4 == 1   the file itself, for both
 *   else           edits (ecg_check.h) of a good file, with or without value representations
 */
#include "ecg_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PREAMBLE 128
#define OPEN "\xff\xff\xff\xff"
#define ITEM "\xfe\xff\0\xe0"
#define ITEM_END "\xfe\xff\x0d\xe0\0\0\0\0"
#define SEQUENCE_END "\xfe\xff\xdd\xe0\0\0\0\0"

static const char with_vr[] =
	"DICM\x02\0\x10\0UI\x13\0"
	"1.2.840.10008.1.2.1\x08\0\x05\0"
	"CS\x0a\0ISO_IR 192"
	"\x08\0\x20\0"
	"DA\x08\0"
	"20260131\x08\0\x2a\0"
	"DT\x16\0"
	"20260131080910.25+0800"
	"\x08\0\x30\0TM\x06\0"
	"080910\x08\0\x60\0"
	"CS\x04\0"
	"ECG \x08\0\x70\0LO\x05\0Maker"
	"\x08\0\x01\x02SH\x05\0+0800\x08\0\x90\x10LO\x02\0M1\x08\0\x40\x11SQ\0\0" OPEN ITEM OPEN
	"\x10\0\x20\0LO\x02\0XX" ITEM_END SEQUENCE_END "\x10\0\x10\0PN\x08\0TEST^A=B"
	"\x10\0\x20\0LO\x06\0R-0001\x10\0\x30\0"
	"DA\x08\0"
	"19500304\x10\0\x40\0"
	"CS\x02\0"
	"F "
	"\x18\0\0\x10LO\x03\0S-7\0\x54\0\1SQ\0\0\0\0\0\0";

static const char without_vr[] =
	"DICM\x02\0\x10\0UI\x11\0"
	"1.2.840.10008.1.2\x08\0\x05\0\x07\0\0\0GB18030"
	"\x08\0\x20\0\x08\0\0\0"
	"20260131\x08\0\x30\0\x06\0\0\0"
	"080910\x08\0\x60\0\x02\0\0\0"
	"CT"
	"\x08\0\x40\x11" OPEN ITEM "\x04\0\0\0junk" ITEM OPEN
	"\x10\0\x20\0\x02\0\0\0XX" ITEM_END SEQUENCE_END
	"\x10\0\x10\0\x07\0\0\0\xb2\xe2\xca\xd4^\xbc\xd7\x10\0\x20\0\x06\0\0\0R-0001"
	"\x10\0\x40\0\x02\0\0\0M ";

static const struct piece pieces[] = {PIECE(OPEN), PIECE(ITEM), PIECE(ITEM_END),
	PIECE(SEQUENCE_END), PIECE("SQ\0\0" OPEN), PIECE("UN\0\0" OPEN), PIECE("OB\0\0\2\0\0\0ab"),
	PIECE("\0\x54\0\1"), PIECE("\x10\0\x10\0"), PIECE("\x10\0\x20\0"), PIECE("\x08\0\x2a\0"),
	PIECE("2.2"), PIECE(".99"), PIECE("GBK"), PIECE("ISO_IR 100"), PIECE("^"), PIECE("="),
	PIECE("\x81^"), PIECE("\xff\xff"), PIECE("\0\0"), PIECE("20240229235959-1200"),
	PIECE("+1500")};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t good[PREAMBLE + sizeof(with_vr)], file[FILE_MAX];
	if (!size)
		return 0;
	unsigned how = data[0] % 4;
	if (how == 1) {
		check_file(dicom_read, data + 1, size - 1);
		check_file(pdf_read, data + 1, size - 1);
		return 0;
	}
	size_t len = 0;
	if (how == 0 && size - 1 <= FILE_MAX - PREAMBLE - 4) {
		memcpy(file + PREAMBLE, "DICM", 4);
		memcpy(file + PREAMBLE + 4, data + 1, size - 1);
		len = PREAMBLE + 4 + size - 1;
	} else {
		const char *what = how == 2 ? with_vr : without_vr;
		size_t n = (how == 2 ? sizeof(with_vr) : sizeof(without_vr)) - 1;
		memcpy(good + PREAMBLE, what, n);
		len = edited(
			file, good, PREAMBLE + n, data + 1, size - 1, pieces, ELEMENTS(pieces));
	}
	check_file(dicom_read, file, len);
	return 0;
}
