/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys and passwords that systemd hands to this process alone: LoadCredential= in
 * systemd/vitalgate-uplink@.service, systemd.exec(5). The unit loads the directory
 * /etc/vitalgate/credentials under the id "vitalgate", which names each file "vitalgate_<file>".
 */
#pragma once

#include "../config.h"

/* Replaces every "credential:NAME" of the sink by the path of that file. 0; -errno when one is not
 * there, which is logged. */
int credential_resolve(struct config_sink *sink);
