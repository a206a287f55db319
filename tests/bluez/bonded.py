#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: the gateway against bondmeter.py, a meter of bluetoothd that wants encryption. The
gateway must use the bond that bluetoothd keeps, and hold the confirmation all the same.
"""
import subprocess
import sys

from guest import (HERE, Broker, Gateway, Meter, Record, Stack, check, check_delivered, cuff, main,
                   run_tests, wait_for)


class Scenario:
    def __init__(self, build):
        self.build = build
        self.stack = Stack(2, "-l2")
        self.broker = Broker()
        self.address = self.stack.address("hci1")
        self.gateway = self.meter = None

    def unpaired(self):
        """Nobody has paired it yet: that must be said, and nothing must be lost."""
        self.meter = Meter("bondmeter.py", "hci1", "encrypt-indicate", stdin=subprocess.PIPE)
        self.meter.wait("advertising")
        gateway = Gateway(self.build, cuff(self.address))
        gateway.start()
        try:
            wait_for("state unpaired", lambda: gateway.state() == "unpaired", 60)
        finally:
            gateway.stop()
        check("meter without a bond: shown as unpaired", True)
        self.stack.wait_unlinked("hci1")

    def paired(self):
        pair = subprocess.run(["/usr/bin/python3", HERE + "/pair.py", "hci0", self.address],
                              capture_output=True, text=True, check=False)
        check("meter is bonded through bluetoothd", pair.returncode == 0, pair.stderr)
        check("bluetoothd keeps the bond",
              self.stack.peers("hci0", "Paired") == [self.address])
        self.stack.wait_unlinked("hci1")

    def delivered(self, name, record):
        check_delivered(name, self.gateway, self.broker, self.meter, record)

    def first(self):
        """CCC needs encryption: the kernel starts it with bluetoothd's key."""
        record = Record()
        self.meter.tell("record " + record.hex)
        self.gateway = Gateway(self.build, cuff(self.address, pairing=True))
        self.gateway.start()
        self.delivered("bonded meter", record)
        device = self.gateway.ask("devices")
        uid, says = device["devices"][0]["uid"], device["live"]["cuff-1"]["says"]
        check("bonded meter: enrolled as what it says once it is bonded",
              uid == says == "sn:SN-BOND-0001", f"enrolled {uid}, says {says}")

    def back(self):
        """The meter remembers the subscription and sends without being asked."""
        ends = len(self.meter.events("disconnected"))
        self.meter.tell("hang-up")
        self.meter.wait("disconnected", count=ends + 1)
        record = Record()
        self.meter.tell("record " + record.hex)
        self.delivered("bonded meter that comes back", record)

    def restarted(self):
        """A new gateway process, the same bond."""
        self.gateway.stop()
        self.stack.wait_unlinked("hci1")
        record = Record()
        self.meter.tell("record " + record.hex)
        self.gateway.start()
        self.delivered("bonded meter after a restart of the gateway", record)

    def stopped(self):
        code = self.gateway.stop()
        check("gateway stops cleanly", code == 0, f"exit status {code}")
        check("the bond is still there", self.stack.peers("hci0", "Paired") == [self.address])


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("meter without a bond", s.unpaired),
        ("pairing", s.paired),
        ("bonded meter", s.first),
        ("bonded meter that comes back", s.back),
        ("bonded meter after a restart of the gateway", s.restarted),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
