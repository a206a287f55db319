/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "credential.h"

#include "../log.h"
#include "../util.h"

#include <errno.h>

/* The id of the directory in the unit, and what systemd puts behind it. */
#define PREFIX "vitalgate_"

static int resolve(const struct config_sink *sink, const char *key, char *file, size_t size)
{
	if (strncmp(file, CONFIG_CREDENTIAL, strlen(CONFIG_CREDENTIAL)) != 0)
		return 0;
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char path[512];
	if (!directory) {
		log_error("config",
			"sink %s: %s: %s needs the unit vitalgate-uplink@; give a path instead",
			sink->name, key, file);
		return -ENOENT;
	}
	snprintf(
		path, sizeof(path), "%s/" PREFIX "%s", directory, file + strlen(CONFIG_CREDENTIAL));
	int r = strlen(path) >= size ? -ENAMETOOLONG : access(path, R_OK) < 0 ? -errno : 0;
	if (r < 0)
		log_error("config",
			"sink %s: %s: %s: %s; put the file into /etc/vitalgate/credentials",
			sink->name, key, file, strerror(-r));
	else
		strcpy(file, path);
	return r;
}

int credential_resolve(struct config_sink *s)
{
	int r = resolve(s, "password_file", s->password_file, sizeof(s->password_file));
	if (r >= 0)
		r = resolve(s, "tls.ca", s->ca_file, sizeof(s->ca_file));
	if (r >= 0)
		r = resolve(s, "tls.cert", s->cert_file, sizeof(s->cert_file));
	if (r >= 0)
		r = resolve(s, "tls.key", s->key_file, sizeof(s->key_file));
	return r;
}
