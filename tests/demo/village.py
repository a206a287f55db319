# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's processes, and its radio: a bus of its own with a fake org.bluez, and a folder in
which the addresses of Bluetooth instruments lie."""
import json
import os
import socket
import subprocess
from contextlib import suppress

import harness
from scene import ESCALATE, GAP_S, WARM_S, Trouble

BUS = """<busconfig><type>system</type><listen>unix:path={0}/bus</listen><policy context="default">
<allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/>
<allow send_type="signal"/></policy></busconfig>
"""
# Processes that do not hear the terminal's Ctrl-C, so that we end them in order; and should we be
# killed, they end as well.
ALONE = ["setsid", "setpriv", "--pdeathsig", "TERM"]


class DemoSite(harness.Site):
    def __init__(self, devices):
        super().__init__(devices, tables={"fridge_warm": WARM_S, "gap_s": GAP_S,
                                          "escalate": ESCALATE},
                         extra="stations:\n  - {id: desk-1}\n")
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=" + self.path("bus"),
                    "VITALGATE_AIR": self.path("air")}
        with open(self.path("mosquitto.conf"), "a", encoding="utf-8") as f:
            f.write("set_tcp_nodelay true\n"    # else it holds small messages back for 40 ms
                    "user root\n")              # who changes the user forgets --pdeathsig

    def __exit__(self, *_):
        self.close(keep="VITALGATE_KEEP" in os.environ)

    def start(self, name, argv, env=None):
        return super().start(name, argv if argv[:4] == ALONE else ALONE + argv, env)

    # The radio

    def radio(self):
        """A bus, bluetoothd's likeness on it, and its adapter; before the core, which looks for
        them."""
        os.mkdir(self.path("air"))
        with open(self.path("bus.conf"), "w", encoding="utf-8") as f:
            f.write(BUS.format(self.dir))
        self.start("bus", ["dbus-daemon", "--config-file=" + self.path("bus.conf"), "--nofork",
                           "--nopidfile"])
        if not harness.wait_until(lambda: harness.listens(self.path("bus"))):
            raise Trouble("dbus-daemon does not start: " + self.log("bus").strip()[-200:])
        self.start("bluez", [harness.PYTHON, harness.SIM + "/fake_bluez.py",
                             self.path("bluez.ctl")], self.env)
        if not harness.wait_until(lambda: harness.listens(self.path("bluez.ctl"))):
            raise Trouble("the fake bluetoothd: " + self.log("bluez").strip()[-200:])
        self.bluez("adapter", name="hci0", address="00:1A:7D:DA:71:13")

    def bluez(self, what, **more):
        """An order to the fake bluetoothd."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(harness.PATIENCE_S)
            try:
                s.connect(self.path("bluez.ctl"))
                s.sendall(json.dumps({"do": what, **more}).encode() + b"\n")
                answer = json.loads(s.makefile().readline())
            except (OSError, ValueError) as error:
                answer = {"ok": False, "error": error}
        if not answer["ok"]:
            raise Trouble(f"the fake bluetoothd does not do '{what}': {answer['error']}")

    def companion(self, *words):
        return Companion(self, words)


class Companion:
    """`vitalgate` at work before somebody who reads, and answers its questions."""

    def __init__(self, site, words):
        self.process = subprocess.Popen(
            [*ALONE, harness.BUILD + "/vitalgate", "--config", site.config, "--lang", "en", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.said, self.rest, self.ended = [], "", False

    def read(self):
        """New whole lines; all of them stay in `said`. A question has no end of line: it is in
        `rest`."""
        try:
            data = os.read(self.process.stdout.fileno(), 65536)
            self.ended = not data
            self.rest += data.decode(errors="replace")
        except BlockingIOError:
            pass
        *lines, self.rest = self.rest.split("\n")
        self.said += lines
        return lines

    def has_said(self, words):
        return words in self.rest or any(words in line for line in self.said)

    def over(self):
        """It has ended, and all that it said was read."""
        return self.ended and self.process.poll() is not None

    def type(self, text):
        """A line, as the answer to the question in `rest`."""
        self.rest = ""
        with suppress(OSError):     # it has just ended; the show will find that out
            self.process.stdin.write(text.encode() + b"\n")
            self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(harness.END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
