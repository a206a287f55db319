/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Takes a serial port: lock, format, speed, DTR and RTS. The lock is flock(), which is how other programs
 * see that the port is in use; it comes before anything about the port is changed.
 */
#pragma once

#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

bool tty_speed_known(uint32_t baud);

/* Opens and prepares the device that the path names now. 0; 1 the speed took, but not
 * data bits, parity and stop bits (as on a pseudo-terminal); -EBUSY another program has it; -ENOTTY it is no
 * serial port; -ERANGE it does not do the speed; other -errno. */
int tty_open(const struct config_device *d, dev_t *ret_rdev, int *ret_fd);

/* `all_sent`: the kernel has nothing more to send. Else that is discarded: close() would wait up to 30 s for a line that
 * takes nothing. */
void tty_close(int fd, bool all_sent);
