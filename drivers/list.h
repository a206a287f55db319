/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One line per driver: the name of its table. Order carries no meaning. */
VG_DRIVER(bt_blp)
VG_DRIVER(lis01)
VG_DRIVER(nonin)
