#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: a whole site on loopback, told as it happens, then its accounts.

Every line comes from somebody's own record: the ledgers of the instruments and of the platform
(tests/sim), `vitalgate readings --follow`, `alerts`, `followup` and `enrol`. All of them tell
CLOCK_BOOTTIME: lines are held back for HOLD seconds and shown in the order of what happened.
The acts are in demo/acts.py.

Exit status: 0 when each reading that an instrument was told to be received, or that the gateway
made of what another one shows, is at the platform exactly once, and each alert too; 1 when not, or
when the show could not go on; 2 when something is not installed or not built; 130 after Ctrl-C.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "demo"))
from accounts import Accounts, summary                          # noqa: E402
from acts import ACTS                                           # noqa: E402
from scene import DEVICES, HOLD, Gone, Interrupted, Trouble     # noqa: E402
from screen import Screen                                       # noqa: E402
from show import Show                                           # noqa: E402
from village import DemoSite                                    # noqa: E402

SHORTEST = 72       # seconds; the oximeter, the fridge and a doctor who does not answer take their time
PATH_MAX = 60       # of the folder, so that its sockets' names fit


def missing_pieces():
    """What the machine lacks, with the next step; "" when nothing."""
    for name in ("vitalgated", "vitalgate-uplink", "vitalgate", "vitalgate-ecg"):
        if not os.access(os.path.join(harness.BUILD, name), os.X_OK):
            return f"{name} is not built in {harness.BUILD}: run `make` first."
    if not shutil.which("mosquitto") and not os.access("/usr/sbin/mosquitto", os.X_OK):
        return "mosquitto is missing: run `make deps` as root (or apt-get install mosquitto)."
    if not shutil.which("sb"):
        return "lrzsz is missing: run `make deps` as root (or apt-get install lrzsz)."
    if not shutil.which("dbus-daemon"):
        return "dbus-daemon is missing: run `make deps` as root (or apt-get install dbus)."
    for module, package in (("paho.mqtt", "python3-paho-mqtt"), ("dbus, gi", "python3-dbusmock")):
        if subprocess.run([harness.PYTHON, "-c", "import " + module],
                          capture_output=True).returncode:
            return f"{package} is missing: run `make deps` as root."
    folder = tempfile.gettempdir()
    if len(folder) > PATH_MAX:
        return f"{folder} is too long a name for sockets: set TMPDIR=/tmp."
    if shutil.disk_usage(folder).free < 100e6:
        return f"{folder} has less than 100 MB free: make room, or set TMPDIR to another folder."
    return ""


def play(site, screen, accounts, options):
    show = Show(site, screen, accounts, options.seconds, options.pace)

    def stop(_number, _frame):
        show.stopping = True
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop)
    ended, problem = "over", None
    try:
        for act in ACTS:
            act(show)
        show.breathe(HOLD, scaled=False)
    except Interrupted:
        ended = "interrupted"
    except Trouble as trouble:
        problem = str(trouble)
    show.stopping = False
    show.hear_all()
    show.show_lines(float("inf"))
    return summary(screen, accounts, ended, problem)


def options_of(arguments):
    parser = argparse.ArgumentParser(
        description="A simulated site, told as it happens, and its accounts.")
    parser.add_argument("--seconds", type=float, default=100, metavar="N",
                        help=f"how long, at least {SHORTEST} (%(default)s)")
    parser.add_argument("--fast", action="store_true", help=f"the same acts in about {SHORTEST} s")
    options = parser.parse_args(arguments)
    if options.seconds < SHORTEST:
        parser.error(f"--seconds: expected {SHORTEST} or more")
    if options.fast:
        options.seconds = SHORTEST
    options.pace = min(1.2, max(0.1, (options.seconds - SHORTEST) / 49))
    return options


def main(arguments):
    options = options_of(arguments)
    lacking = missing_pieces()
    if lacking:
        print("demo: " + lacking, file=sys.stderr)
        return 2
    try:
        screen = Screen(sys.stdout)
        with DemoSite(DEVICES) as site:
            return play(site, screen, Accounts(), options)
    except Gone:        # `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
