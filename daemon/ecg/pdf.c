/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A report as PDF is kept and forwarded; nothing is read out of it. */
#include "ecg.h"

#define HEAD_MAX ((size_t)1024) /* the header may stand this far in (ISO 32000-1, annex H.3.4.1) */

bool pdf_read(struct ecg *e, const uint8_t *bytes, size_t len)
{
	if (!len || !memmem(bytes, MIN(len, HEAD_MAX), "%PDF-", 5))
		return false;
	e->format = "pdf";
	ecg_warn(e, "waveform_unsupported", "pdf");
	return true;
}
