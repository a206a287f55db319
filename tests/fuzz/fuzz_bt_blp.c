/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bt_blp fed with PDUs. Input: option byte, then (channel byte, length byte, bytes) again and again.
 * Beside the bounds: every PDU gets a class; a reading is never made of NaN, and always has systolic
 * above diastolic; without a number there is an event and no reading.
 */
#include "vg_mock.h"

#include <vitalgate/sfloat.h>

extern const struct vg_driver bt_blp;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double number_of(struct vg_decimal d)
{
	double value = (double)d.mantissa;
	for (int e = d.exponent; e > 0; e--)
		value *= 10;
	for (int e = d.exponent; e < 0; e++)
		value /= 10;
	return value;
}

static void check_reading(struct vg_session *s, const struct vg_reading *r)
{
	(void)s;
	MOCK_CHECK(r->n_quantities >= 2 && r->n_quantities <= 4);
	MOCK_CHECK(strcmp(r->quantities[0].kind, "bp.sbp") == 0);
	MOCK_CHECK(strcmp(r->quantities[1].kind, "bp.dbp") == 0);
	MOCK_CHECK(number_of(r->quantities[0].value) > number_of(r->quantities[1].value));
	for (size_t i = 0; i < r->n_quantities; i++) {
		const struct vg_decimal *d = &r->quantities[i].value;
		MOCK_CHECK(d->exponent || (d->mantissa > -2046 && d->mantissa < 2046));
	}
	MOCK_CHECK(!r->identity_len ||
		   (r->taken && r->taken->year && r->taken->month && r->taken->day));
}

static void check_measurement(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct vg_decimal ignored;
	MOCK_CHECK(s->classed == 1);
	MOCK_CHECK(s->sends == 0);
	if (len < 7) {
		MOCK_CHECK(!s->readings && !s->events);
		return;
	}
	bool numbers = vg_sfloat((uint16_t)(bytes[1] | bytes[2] << 8), &ignored) == VG_NUMBER &&
		       vg_sfloat((uint16_t)(bytes[3] | bytes[4] << 8), &ignored) == VG_NUMBER;
	MOCK_CHECK(numbers ? !s->events : !s->readings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const quirks[] = {"auto", "none", "beurer", "auto"};
	if (!size)
		return 0;
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(s);
	s->options[0][0] = "quirk";
	s->options[0][1] = quirks[data[0] & 3];
	s->on_reading = check_reading;
	mock_open(s, &bt_blp);
	for (size_t at = 1; at + 2 <= size;) {
		unsigned channel = data[at] % (unsigned)bt_blp.n_channels;
		size_t len = data[at + 1];
		at += 2;
		if (len > size - at)
			len = size - at;
		bool measurement = strcmp(bt_blp.channels[channel].name, "2a35") == 0;
		s->on_heard = measurement ? check_measurement : NULL;
		mock_heard(s, channel, data + at, len);
		MOCK_CHECK(s->classed == 1);
		MOCK_CHECK(measurement || !s->readings);
		at += len;
	}
	mock_close(s);
	free(s);
	return 0;
}
