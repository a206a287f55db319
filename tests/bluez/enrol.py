#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: `vitalgate enrol` takes meters from what advertises to the first reading that counts: one
that shows six digits, and one that hides behind changing addresses. They pair without BlueZ (rawpair.py):
two ends of one bluetoothd would share the agent.
"""
import os
import signal
import subprocess
import sys

from guest import (CONFIG, Broker, Gateway, Process, Record, Stack, check, check_delivered, json_lines,
                   main, raw_meter, run_tests, wait_for)

NAME, ID = "RAW-BPM1", "cuff-2"
ADDRESS = "C0:11:22:33:44:55"
BOND = "/run/vg/meter.bond"


class Enrolling(Process):
    """The operator's program; its states, oldest first."""

    count = 0

    def __init__(self, build, *words):
        Enrolling.count += 1
        self.said = f"/out/enrol-{Enrolling.count}.jsonl"
        super().__init__(f"enrol-{Enrolling.count}", build + "/vitalgate", "--config", CONFIG, "enrol",
                         "--json", *words, stdin=subprocess.PIPE, data=self.said)

    def states(self):
        return json_lines(self.said)

    def type_digits(self, text):
        """When it asks for them."""
        wait_for("question", lambda: any(s.get("ask", {}).get("kind") == "type_passkey"
                                         for s in self.states()))
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def phases(self):
        return list(dict.fromkeys(s["phase"] for s in self.states()))

    def result(self):
        wait_for(self.name, lambda: not self.running(), 120)
        return self.states()[-1].get("last", {}).get("result", {}).get("state")


class Scenario:
    def __init__(self, build):
        self.build = build
        self.stack = Stack(1, "-l1", "-s")
        self.broker = Broker()
        self.gateway = Gateway(build)
        self.work = None

    def enrol(self, *words):
        """One at a time."""
        if self.work and self.work.running():
            self.work.stop()
        self.work = Enrolling(self.build, *words)
        return self.work

    def seen(self):
        """Address under which it advertises; the newest of those that bluetoothd remembers."""
        def listed():
            looking = self.enrol("--seconds", "4")
            looking.result()
            return {s["number"]: s["address"] for s in looking.states()[-1]["list"]
                    if s["name"] == NAME}
        found = wait_for(f"{NAME} in the list", listed)
        return found[max(found)]

    def judge(self, name, work, trial):
        result = work.result()
        check(f"{name}: enrolled", result == "fine", work.phases(), work.states()[-1:])
        rows = self.gateway.readings(trial)
        check(f"{name}: its first reading was a test", len(rows) == 1 and rows[0]["test"], rows)
        check(f"{name}: the bond is kept under its true address",
              self.stack.peers("hci0", "Paired") == [ADDRESS], self.stack.peers("hci0", "Paired"))

    def counts(self, name, *options):
        """From now on its readings count."""
        record = Record()
        meter = raw_meter([record], *options)
        check_delivered(name, self.gateway, self.broker, meter, record)
        meter.wait_off()

    def wrong(self):
        """Digits that nobody showed: nothing is left of it."""
        self.gateway.start()
        meter = raw_meter([Record()], "--pair", "passkey", "--bond", BOND)
        work = self.enrol(self.seen(), "--id", ID, "--yes")
        shown = meter.wait("displayed")["passkey"]
        work.type_digits(f"{(int(shown) + 1) % 1000000:06}")
        meter.wait("pairing-failed")
        work.child.send_signal(signal.SIGINT)
        wait_for("its end", lambda: not work.running())
        check("wrong digits: nothing is enrolled", not self.gateway.ask("devices")["devices"],
              self.gateway.ask("devices"))
        check("wrong digits: no bond", not self.stack.peers("hci0", "Paired"))
        meter.stop()

    def digits(self):
        trial = Record()
        options = "--pair", "passkey", "--bond", BOND
        meter = raw_meter([trial], *options, "--idle", "5")
        address = self.seen()
        check("six digits: it hides behind another address", address != ADDRESS, address)
        work = self.enrol(address, "--id", ID, "--yes")
        work.type_digits(meter.wait("displayed")["passkey"])
        self.judge("six digits", work, trial)
        meter.wait_off()
        for nth in ("the next", "yet another"):
            self.counts(f"six digits, {nth} address", *options)

    def removed(self):
        done = subprocess.run([self.build + "/vitalgate", "--config", CONFIG, "unenrol", ID],
                              capture_output=True, text=True, timeout=60, check=False)
        check("un-enrolled", done.returncode == 0, done.stderr)
        wait_for("bond gone", lambda: not self.stack.peers("hci0", "Paired"))
        check("un-enrolled: bluetoothd has forgotten it", True)
        os.unlink(BOND)

    def simple(self):
        """No display, and no hiding."""
        trial = Record()
        meter = raw_meter([trial], "--pair", "just-works", "--idle", "5")
        work = self.enrol(ADDRESS, "--id", ID, "--yes")
        self.judge("just works", work, trial)
        meter.wait_off()

    def stopped(self):
        check("gateway stops cleanly", self.gateway.stop() == 0)


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("wrong digits", s.wrong),
        ("six digits", s.digits),
        ("un-enrolled", s.removed),
        ("just works", s.simple),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
