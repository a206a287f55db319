/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys and operators: udev(7). The links in /dev/serial are made by systemd's 60-serial.rules, so
 * rules that come later can match them. A port that an instrument uses is kept from ModemManager,
 * which would say AT to it (ID_MM_PORT_IGNORE, ModemManager's "port and device detection").
 */
#include "udev.h"

#include "config.h"
#include "util.h"

/* What has no meaning in a rule's pattern or string. */
static const char plain[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-.:+=@#,";

static int print_rule(const struct cli *cli, const struct config_device *d)
{
	if (strncmp(d->address, "/dev/", 5) != 0 || d->address[strspn(d->address, plain)]) {
		fprintf(stderr,
			"%s:%u: %s: no rule can name %s; use the port's link in "
			"/dev/serial/by-id\n",
			cli->config, d->line, d->id, d->address);
		return 1;
	}
	const char *name = d->address + strlen("/dev/");
	printf("# %s\n"
	       "SUBSYSTEM==\"tty\", %s==\"%s\", OWNER=\"vitalgate\", MODE=\"0600\", "
	       "ENV{ID_MM_PORT_IGNORE}=\"1\"\n",
		d->id, strchr(name, '/') ? "SYMLINK" : "KERNEL", name);
	return 0;
}

int udev_rules(const struct cli *cli)
{
	static struct config config;
	char error[CONFIG_ERROR_MAX];
	int status = 0;
	if (config_load(cli->config, &config, error, sizeof(error)) < 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	printf("# Made by `vitalgate udev-rules` from %s.\n", cli->config);
	for (unsigned i = 0; i < config.n_devices; i++)
		if (config.devices[i].transport == TRANSPORT_SERIAL ||
			(config.devices[i].transport == TRANSPORT_MODBUS &&
				config.devices[i].address[0] == '/'))
			status |= print_rule(cli, &config.devices[i]);
	config_free(&config);
	return status;
}
