/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A finger clip that streams 60 frames of 5 bytes a second: bit 7 marks the first byte. Nothing is a
 * reading here; the aggregator makes readings out of samples. */
#include "skeletons.h"

static struct vg_frame frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	size_t at = 0;
	while (at < len && !(bytes[at] & 0x80))
		at++;
	for (size_t i = at + 1; i < at + 5 && i < len; i++)
		if (bytes[i] & 0x80)
			return (struct vg_frame){.skip = i};
	return (struct vg_frame){.skip = at, .length = len - at >= 5 ? 5 : 0};
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	int64_t pulse = bytes[3] | (bytes[2] & 0x40) << 1, saturation = bytes[4];
	bool off = bytes[0] & 0x10;
	(void)channel, (void)len, (void)now;
	static const char *const no_signal[] = {"no_signal"};
	struct vg_quantity shown[2];
	size_t n = 0;
	if (saturation != 0x7f)
		shown[n++] = (struct vg_quantity){
			.kind = "spo2", .value = {.mantissa = saturation}, .unit = "%"};
	if (pulse != 0xff)
		shown[n++] = (struct vg_quantity){
			.kind = "spo2.pulse", .value = {.mantissa = pulse}, .unit = "/min"};
	vg_sample(s, &(struct vg_sample){.kind = "spo2",
			     .quantities = shown,
			     .n_quantities = n,
			     .flags = no_signal,
			     .n_flags = off});
}

const struct vg_driver skeleton_spo2 = {.name = "skeleton_spo2",
	.bus = VG_BUS_STREAM,
	.frame_max = 64,
	.frame_gap_ms = 100,
	.heard = heard,
	.frame = frame};
