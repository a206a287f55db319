/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The exchanges are made by hand; the numbers in them belong to nobody. */
#include "skeletons.h"

#define ZERO16 "00000000000000000000000000000000"

enum { MEASUREMENT, CONTEXT, RACP };

/* Records since 4: number 5 (100e-5 kg/L), its context "before a meal", number 6 without a value. */
static const struct skeleton_step glucose[] = {
	{SKELETON_SENT, RACP, "0103010500"},
	{SKELETON_HEARD, MEASUREMENT,
		"020500e807060f110000"
		"64b011"},
	{SKELETON_HEARD, CONTEXT, "02050001"},
	{SKELETON_KEPT, 0, ""},
	{SKELETON_KEPT, 0, ""},
	{SKELETON_HEARD, MEASUREMENT, "000600e807060f120000"},
	{SKELETON_HEARD, RACP, "06000101"},
	{SKELETON_END, 0, ""},
};

/* Segment 1, two entries: 2024-06-15 07:30 98 mg/dL and 2024-06-16 07:31 104 mg/dL, in two pieces. */
static const struct skeleton_step pmstore[] = {
	{SKELETON_HEARD, 0,
		"e70000340032"
		"0007"
		"0101"
		"002c"
		"0010"
		"ffffffff"
		"0d21"},
	{SKELETON_HEARD, 0,
		"0022"
		"0001"
		"00000000"
		"00000002"
		"c000"
		"0014"
		"2024061507300000"
		"0062"
		"2024061607310000"
		"0068"},
	{SKELETON_KEPT, 0, ""},
	{SKELETON_SENT, 0,
		"e700001e001c"
		"0007"
		"0201"
		"0016"
		"0010"
		"ffffffff"
		"0d21"
		"000c"
		"0001"
		"00000000"
		"00000002"
		"0080"},
	{SKELETON_END, 0, ""},
};

/* Half a frame, then two good ones and one with the finger out and no numbers. */
static const struct skeleton_step spo2[] = {
	{SKELETON_HEARD, 0,
		"1122"
		"8830054861"
		"8831064862"
		"9000407f7f"},
	{SKELETON_END, 0, ""},
};

/* No card; a card: found, selected, read. */
static const struct skeleton_step idcard[] = {
	{SKELETON_EXPIRED, 0, ""},
	{SKELETON_SENT, 0, "aaaaaa96690003200122"},
	{SKELETON_HEARD, 0,
		"aaaaaa9669"
		"0004"
		"000080"
		"84"},
	{SKELETON_EXPIRED, 0, ""},
	{SKELETON_SENT, 0, "aaaaaa96690003200122"},
	{SKELETON_HEARD, 0,
		"aaaaaa9669"
		"0004"
		"00009f"
		"9b"},
	{SKELETON_SENT, 0, "aaaaaa96690003200221"},
	{SKELETON_HEARD, 0,
		"aaaaaa9669"
		"0004"
		"000090"
		"94"},
	{SKELETON_SENT, 0, "aaaaaa96690003300132"},
	{SKELETON_HEARD, 0,
		"aaaaaa9669"
		"00a6"
		"000090"
		"009e"
		"0000" ZERO16 ZERO16 ZERO16 ZERO16 ZERO16 ZERO16 ZERO16 "00000000000000000000"
		"300030003000300030003000300030003000300030003000300030003000300030003000"
		"a8"},
	{SKELETON_KEPT, 0, ""},
	{SKELETON_END, 0, ""},
};

const struct vg_driver *const skeletons[] = {
	&skeleton_glucose, &skeleton_pmstore, &skeleton_spo2, &skeleton_idcard, NULL};

const struct skeleton_exchange skeleton_exchanges[] = {
	{.steps = glucose, .mark_key = "racp", .mark_hex = "0400", .readings = 2, .marks = 2},
	{.steps = pmstore, .readings = 2},
	{.steps = spo2},
	{.steps = idcard, .identities = 1},
};
