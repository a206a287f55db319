/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which format a file is: every reader is asked, in order of how surely it knows its own. */
#include "ecg.h"

void ecg_read(struct ecg *e, const uint8_t *bytes, size_t len)
{
	static bool (*const readers[])(struct ecg *, const uint8_t *, size_t) = {
		scp_read, aecg_read, ecg90a_read, dicom_read, pdf_read};
	e->bytes = len;
	for (size_t i = 0; i < ELEMENTS(readers); i++)
		if (readers[i](e, bytes, len)) {
			if (!e->rejected)
				ecg_derive(e);
			return;
		}
	ecg_warn(e, "waveform_unsupported", "unknown");
}
