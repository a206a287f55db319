#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# An example for alerting.hook: a relay on a serial port (RTS switches it) and a line in the journal. Copy it to
# /etc/vitalgate/hooks/, change what is yours, make it executable (0755), and name it in vitalgate.yaml:
#
#   alerting: {hook: /etc/vitalgate/hooks/siren.sh, hook_timeout_s: 10}
#
# It is run as user vitalgate, without a shell of ours and without our environment, in the sandbox of vitalgated.service:
# what it needs beyond serial ports stands in a drop-in (the unit says how). Whatever it leaves running is ended with it.
#
# $1 critical | warning     $3 the alert's id
# $2 phase of the revision  $4 page: somebody is told; over: it is over, or was acknowledged
# stdin: the alert as the platform gets it (README, "What the platform gets"), with text_zh, text_en, resident_text
#
# Status 0: done. Anything else is told as event hook_failed; a critical page is tried three times more.
set -eu
severity=$1 id=$3 what=$4
relay=/dev/serial/by-id/usb-EXAMPLE-relay

# One siren for all alerts: it is silent when none is left that sounds.
lit=/run/vitalgate/siren
mkdir -p "$lit"
case $severity.$what in
critical.page) : >"$lit/$id" ;;
*.over) rm -f "$lit/$id" ;;
*) exit 0 ;; # a warning makes no noise
esac

if [ -n "$(ls "$lit")" ]; then level=on; else level=off; fi
logger -t vitalgate-siren "$level: alert $id"
[ -w "$relay" ] || exit 1
printf '%s\n' "$level" >"$relay"
