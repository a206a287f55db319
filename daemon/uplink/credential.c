/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "credential.h"

#include "../log.h"
#include "../util.h"

#include <errno.h>

#define PREFIX \
	"vitalgate_" /* the id of the directory in the unit, and what systemd puts behind it */

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
	if (access(path, R_OK) < 0) {
		int r = -errno;
		log_error("config",
			"sink %s: %s: %s: %s; put the file into /etc/vitalgate/credentials",
			sink->name, key, file, strerror(-r));
		return r;
	}
	return text_copy(file, size, path, strlen(path)) ? 0 : -ENAMETOOLONG;
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
