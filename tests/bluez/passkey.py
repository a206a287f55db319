#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: a meter of bluetoothd that shows six digits, and one that hides behind changing addresses.
"""
import subprocess
import sys

from guest import (HERE, Broker, Gateway, Meter, Process, Record, Stack, check,
                   check_delivered, cuff, main, run_tests, wait_for)

FLAG = "encrypt-authenticated-indicate"
NAME = "BOND-BPM"


class Pairing(Process):
    """Somebody at the gateway who pairs."""

    count = 0

    def __init__(self, *capability):
        Pairing.count += 1
        super().__init__(f"pair-{Pairing.count}", "/usr/bin/python3", HERE + "/pair.py", "hci0", NAME,
                         *capability, stdin=subprocess.PIPE)

    def type(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def succeeded(self):
        wait_for(self.name, lambda: not self.running(), 90)
        return self.child.returncode == 0

    def said(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read().strip()


class Scenario:
    def __init__(self, build):
        self.build = build
        self.stack = Stack(2, "-l2")
        self.broker = Broker()
        self.address = self.stack.address("hci1")
        self.gateway = self.meter = None

    def new_meter(self, flag, capability):
        self.meter = Meter("bondmeter.py", "hci1", flag, capability, stdin=subprocess.PIPE)
        self.meter.wait("advertising")

    def deliver(self, name):
        record = Record()
        self.meter.tell("record " + record.hex)
        check_delivered(name, self.gateway, self.broker, self.meter, record)

    def forget(self):
        """Both ends. The meter goes first: bluetoothd 5.66 dies of a service that ends after a bond to
        which it belonged."""
        self.stack.wait_unlinked("hci0")
        self.meter.stop()
        for adapter in ("hci0", "hci1"):
            for address in self.stack.peers(adapter, "Paired"):
                self.stack.forget(adapter, address)

    def wrong(self):
        self.new_meter(FLAG, "DisplayOnly")
        pairing = Pairing("KeyboardOnly")
        shown = self.meter.wait("displayed")["passkey"]
        pairing.type(f"{(int(shown) + 1) % 1000000:06}")
        check("wrong digits: no bond", not pairing.succeeded() and not self.stack.peers(
            "hci0", "Paired"), pairing.said())
        self.stack.wait_unlinked("hci1")

    def right(self):
        pairing = Pairing("KeyboardOnly")
        pairing.type(self.meter.wait("displayed", count=2)["passkey"])
        check("six digits typed: the bond is there", pairing.succeeded() and self.stack.peers(
            "hci0", "Paired") == [self.address], pairing.said())
        self.stack.wait_unlinked("hci1")
        self.gateway = Gateway(self.build, cuff(self.address, pairing=True))
        self.gateway.start()
        self.deliver("meter with a display")
        self.gateway.stop()
        self.forget()

    def by_itself(self):
        """No bond: the gateway's socket asks for security, the kernel pairs, and the default agent is
        asked. Here one agent serves both ends."""
        self.new_meter(FLAG, "DisplayOnly")
        self.stack.btmgmt("hci0", "io-cap", "2")
        self.gateway.start()
        self.deliver("digits asked for by the gateway's own link")
        check("digits asked for by the gateway's own link: shown and typed once",
              (len(self.meter.events("displayed")), len(self.meter.events("asked-for-passkey")))
              == (1, 1))
        check("digits asked for by the gateway's own link: bluetoothd keeps the bond",
              self.stack.peers("hci0", "Paired") == [self.address])
        self.gateway.stop()
        self.forget()

    def private(self):
        """It advertises with addresses that only a bonded gateway can read; new ones each time that it
        is switched on."""
        self.stack.power("hci1", False)
        self.stack.btmgmt("hci1", "privacy", "on")
        self.stack.power("hci1", True)
        wait_for("adapter", lambda: self.stack.powered() >= 2)
        self.new_meter("encrypt-indicate", "NoInputNoOutput")
        pairing = Pairing()
        check("private address: the bond is kept under the true one",
              pairing.succeeded() and pairing.said() == self.address, pairing.said())
        self.stack.wait_unlinked("hci1")
        self.gateway.start()
        self.deliver("private address")
        self.meter.stop()
        self.stack.power("hci1", False)
        self.stack.power("hci1", True)
        wait_for("adapter", lambda: self.stack.powered() >= 2)
        self.new_meter("encrypt-indicate", "NoInputNoOutput")
        self.deliver("private address, another one")

    def stopped(self):
        check("gateway stops cleanly", self.gateway.stop() == 0)


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("wrong digits", s.wrong),
        ("six digits typed", s.right),
        ("digits asked for by the gateway's own link", s.by_itself),
        ("private address", s.private),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
