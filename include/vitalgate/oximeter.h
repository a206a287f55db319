/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pulse oximeters that say whole numbers all the time: a sample from saturation, pulse and status bits.
 *
 * Words of the flags, the same with every oximeter: sensor_off (no finger, no probe), sensor_displaced,
 * searching (for a pulse), low_perfusion, interference, no_signal, low_confidence, early_estimate.
 */
#pragma once

#include <vitalgate/driver.h>

#define VG_SPO2_MAX 100

/* Of a vg_model: what a person does so that a finger oximeter is found. */
#define VG_OXIMETER_PRESS                                                                       \
	.press = "Put a finger in and keep it there; close the phone's app, it takes only one " \
		 "connection.",                                                                 \
	.press_zh = "放入手指并保持不动；关闭手机应用，它只能有一个连接。"

struct vg_status_bit {
	uint32_t bit;
	const char *flag;
};

/* `spo2` in percent: 0, 127 and 255 are "none", and then nothing is shown, for a pulse alone is no
 * measurement. `pulse` per minute: 0 is "none". At most 8 of `bits`. */
static inline void vg_oximeter_show(struct vg_session *s, unsigned spo2, unsigned pulse,
	uint32_t status, const struct vg_status_bit *bits, size_t n_bits)
{
	struct vg_quantity quantities[2];
	const char *flags[8];
	struct vg_sample x = {.kind = "spo2", .quantities = quantities, .flags = flags};
	bool shown = spo2 && spo2 <= VG_SPO2_MAX;
	for (size_t i = 0; i < n_bits; i++)
		if (status & bits[i].bit)
			flags[x.n_flags++] = bits[i].flag;
	if (shown)
		quantities[x.n_quantities++] = (struct vg_quantity){
			.kind = "spo2", .value = {.mantissa = spo2}, .unit = "%"};
	if (shown && pulse)
		quantities[x.n_quantities++] = (struct vg_quantity){
			.kind = "spo2.pulse", .value = {.mantissa = pulse}, .unit = "/min"};
	if (spo2 > VG_SPO2_MAX && spo2 != 127 && spo2 != 255)
		vg_result(s, VG_IMPLAUSIBLE);
	vg_sample(s, &x);
}
