/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fault.h"

bool fault_chinese;
