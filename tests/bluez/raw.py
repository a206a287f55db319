#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: the gateway against rawmeter.py, a meter without BlueZ. One gateway lives through
all of these tests, as in a clinic; the meter is switched on and off.
"""
import sys
import time

from guest import (Broker, Gateway, Record, Stack, check, check_delivered, cuff, main, raw_meter,
                   run_tests, slow_disk, syncs_between, wait_for)

ADDRESS = "C0:11:22:33:44:55"
LATE_S = 10
SOON_S = 10
DELAY_S = 3


class Scenario:
    def __init__(self, build):
        self.stack = Stack(1, "-l1", "-s")
        self.broker = Broker()
        self.gateway = Gateway(build, cuff(ADDRESS, random_address=True),
                               slowdisk=build + "/tests/slowdisk.so")

    def delivered(self, name, meter, *records):
        for record in records:
            check_delivered(f"{name}, {record}", self.gateway, self.broker, meter, record)
        meter.wait_off()

    def started(self):
        self.gateway.start()
        check("gateway is up", self.gateway.alive())

    def late(self):
        """The gateway has been waiting for ten seconds when the meter is switched on."""
        time.sleep(LATE_S)
        record = Record()
        meter = raw_meter([record])
        self.delivered("meter that comes late", meter, record)
        device = self.gateway.ask("devices")["devices"][0]
        check("meter that comes late: listed as one whose confirmations are held",
              (device["id"], device["ack_mode"]) == ("cuff-1", "held"), device)

    def several(self):
        records = [Record() for _ in range(4)]
        meter = raw_meter(records)
        self.delivered("several records", meter, *records)
        shown = [e["hex"] for e in meter.events("confirmed")]
        check("several records: in the meter's order", shown == [r.hex for r in records], shown)

    def held(self):
        """A disk that needs three seconds: the meter must wait for it."""
        record = Record()
        with slow_disk(DELAY_S):
            meter = raw_meter([record])
            indicated, confirmed = check_delivered(
                "slow disk", self.gateway, self.broker, meter, record)
        waited = (confirmed["boot_us"] - indicated[0]["boot_us"]) / 1e6
        check(f"slow disk: confirmed {DELAY_S} s or more after the indication", waited >= DELAY_S,
              f"{waited:.3f} s")
        slow = [s for s in syncs_between(indicated[0]["boot_us"], confirmed["boot_us"])
                if s["done_us"] - s["begun_us"] >= DELAY_S * 1e6]
        check("slow disk: a slow sync ended before the confirmation", slow)
        print(f"# indication to confirmation {waited:.3f} s")
        meter.wait_off()

    def dropped(self):
        """The meter hangs up before the confirmation and sends the record again."""
        record, second = Record(), Record()
        meter = raw_meter([record, second], "--drop", "2")
        self.delivered("meter that hangs up", meter, record, second)
        sent = len(meter.events("indicated", record))
        check("meter that hangs up: it did send three times", sent == 3, f"{sent} times")

    def dropped_during_commit(self):
        """It hangs up while the disk is busy: the store's answer finds the link gone."""
        record = Record()
        with slow_disk(DELAY_S):
            meter = raw_meter([record], "--drop", "1", "--drop-after", "1")
            self.delivered("meter that hangs up during the commit", meter, record)
        check("meter that hangs up during the commit: gateway lives", self.gateway.alive())

    def killed(self):
        """The gateway dies while the disk is busy: the meter keeps its record and resends it."""
        record = Record()
        with slow_disk(DELAY_S):
            meter = raw_meter([record])
            meter.wait("indicated", record)
            time.sleep(1)
            self.gateway.kill()
        check("gateway killed during the commit: nothing was confirmed",
              not meter.events("confirmed"))
        meter.wait("disconnected")
        self.gateway.start()
        self.delivered("gateway killed during the commit", meter, record)

    def client(self):
        """Some meters are clients, too, and say nothing before their questions are answered."""
        record = Record()
        meter = raw_meter([record], "--own-requests")
        self.delivered("meter with own requests", meter, record)
        answers = [(e["opcode"], e["error"]) for e in meter.events("answered")]
        check("meter with own requests: each was answered", len(answers) == 6, answers)
        check("meter with own requests: nothing it did not ask for",
              not meter.events("unexpected-answer"), meter.events("unexpected-answer"))

    def power_cycle(self):
        self.stack.power("hci0", False)
        time.sleep(3)
        self.stack.power("hci0", True)
        record = Record()
        self.delivered("adapter switched off and on", raw_meter([record]), record)

    def bluetoothd_restart(self):
        self.stack.stop_bluetoothd()
        time.sleep(3)
        self.stack.start_bluetoothd()
        wait_for("adapter", lambda: self.stack.powered() >= 1)
        record = Record()
        self.delivered("bluetoothd restarted", raw_meter([record]), record)

    def guarded(self):
        """A serial number that cannot be read must not cost the reading."""
        record = Record()
        meter = raw_meter([record], "--guard-serial")
        connected = meter.wait("connected")
        self.delivered("meter that guards its serial number", meter, record)
        waited = (meter.wait("indicated")["boot_us"] - connected["boot_us"]) / 1e6
        check(f"meter that guards its serial number: subscribed within {SOON_S} s",
              waited <= SOON_S, f"{waited:.1f} s")

    def mute(self):
        """A meter that connects and then says nothing: the gateway hangs up after 30 s."""
        record = Record()
        meter = raw_meter([record], "--mute", "1")
        connected = meter.wait("connected")
        gone = meter.wait("disconnected", timeout_s=60)
        waited = (gone["boot_us"] - connected["boot_us"]) / 1e6
        check("mute meter: the gateway hangs up after 25 to 45 s", 25 <= waited <= 45,
              f"{waited:.1f} s")
        self.delivered("mute meter, when it speaks again", meter, record)

    def stopped(self):
        rows = self.gateway.readings()
        check("every record of the meters is there, once", len(rows) == Record.made,
              f"{Record.made} records, {len(rows)} rows")
        code = self.gateway.stop()
        check("gateway stops cleanly", code == 0, f"exit status {code}")


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("start", s.started),
        ("meter that comes late", s.late),
        ("several records", s.several),
        ("slow disk", s.held),
        ("meter that hangs up", s.dropped),
        ("meter that hangs up during the commit", s.dropped_during_commit),
        ("gateway killed during the commit", s.killed),
        ("meter with own requests", s.client),
        ("adapter switched off and on", s.power_cycle),
        ("bluetoothd restarted", s.bluetoothd_restart),
        ("meter that guards its serial number", s.guarded),
        ("mute meter", s.mute),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
