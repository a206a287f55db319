/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A copy of the files that a gateway started with: vitalgate.yaml, tables/, tables/profiles/, profiles/. It is
 * replaced whole or not at all, also when the power goes.
 */
#pragma once

/* 0 also when the copy says the same already; -errno. `profiles` may be missing. */
int lastgood_save(
	const char *directory, const char *config, const char *tables, const char *profiles);

/* One file, to the disk; `to` must not be there yet. 0 or -errno. */
int lastgood_copy(const char *from, const char *to);
