/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sandbox of vitalgate-ecg. A reader that a file has taken over can compute, write its answer and end:
 * nothing to open, nobody to talk to, nothing to start, little memory and little time.
 */
#pragma once

/*
 * Closes this process in for good. Descriptors 0, 1 and 2 stay, to be read and written, but not to make a file
 * longer. 0, or negative errno and in `ret_what` (static) what could not be closed; the process is
 * then good for nothing but to say so and end.
 */
int sandbox_close(const char **ret_what);
