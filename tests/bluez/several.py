#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: seven links that carry data at once, while bluetoothd and the core are killed. For these
btvirt needs its handles mended (btvirt.patch).
"""
import signal
import sys
import time

from books import Book, air_meter, glucose, oxygen, temperature, weight
from guest import Broker, Gateway, Stack, check, main, run_tests, wait_for

METERS = {
    # name: driver, kind, records, numbers, options
    "glucose-1": ("bt_glucose", "glucose", 70, glucose, ("--pace", "0.2")),
    "glucose-2": ("bt_glucose", "glucose", 70, glucose, ("--pace", "0.2", "--gaps", "0.3")),
    "glucose-3": ("bt_glucose", "glucose", 70, glucose, ("--pace", "0.2", "--base-offset", "90")),
    "spot": ("bt_plx", "plx", 60, oxygen, ("--pace", "0.3")),
    "thermometer": ("bt_thermometer", "thermometer", 120, temperature, ()),
    "scale-1": ("bt_scale", "scale", 60, weight, ()),
    "scale-2": ("bt_scale", "scale", 60, weight, ("--multi-packet",)),
}
DEAD_S = 3


def most_at_once(meters):
    """Links that were up together."""
    events = sorted((e["boot_us"], 1 if what == "connected" else -1)
                    for m in meters for what in ("connected", "disconnected")
                    for e in m.events(what))
    most = links = 0
    for _, step in events:
        links += step
        most = max(most, links)
    return most


class Scenario:
    def __init__(self, build, emulator):
        self.stack = Stack(1, "-l1", "-s", emulator=emulator)
        self.broker = Broker()
        self.addresses = {name: f"C0:11:22:33:44:{n:02X}" for n, name in enumerate(METERS)}
        self.gateway = Gateway(build, *(
            {"id": name, "driver": driver, "transport": "ble", "address": self.addresses[name],
             "adapter": "hci0", "random_address": True}
            for name, (driver, *_) in METERS.items()))
        self.books = {name: Book(self.broker, name) for name in METERS}
        self.meters = {}

    def told(self):
        return sum(book.count("sent") for book in self.books.values())

    def flowing(self, more):
        """Data flows on some link."""
        begin = self.told()
        wait_for(f"{more} more records", lambda: self.told() >= begin + more)

    def started(self):
        for seed, (name, (_, kind, records, _, options)) in enumerate(METERS.items(), 1):
            self.meters[name] = air_meter(
                self.books[name], self.addresses[name], kind, "--records", str(records), "--seed",
                str(seed), "--once", *options)
        for meter in self.meters.values():
            meter.wait("advertising")
        self.gateway.start()
        wait_for("all links", lambda: most_at_once(self.meters.values()) == len(METERS))
        check(f"{len(METERS)} links at once", True)

    def bluetoothd_killed(self):
        self.flowing(20)
        ends = sum(len(m.events("disconnected")) for m in self.meters.values())
        self.stack.stop_bluetoothd(signal.SIGKILL)
        self.flowing(20)
        check("bluetoothd killed: data flows on", True)
        time.sleep(DEAD_S)
        self.stack.start_bluetoothd()
        wait_for("adapter", lambda: self.stack.powered() >= 1)
        lost = sum(e["why"] not in ("idle", "peer closed") for book in self.books.values()
                   for e in book.events("closed"))
        check("bluetoothd killed: no link was lost", not lost,
              f"{lost}, links ended before: {ends}")

    def core_killed(self):
        for _ in range(2):
            self.flowing(30)
            self.gateway.kill()
            self.gateway.start()

    def books_balance(self):
        for name, (_, _, records, numbers, _) in METERS.items():
            self.books[name].check(name, numbers, records, 90)
        for meter in self.meters.values():
            meter.wait_off(60)
        check("gateway stops cleanly", self.gateway.stop() == 0)


def scenario(build, emulator):
    s = Scenario(build, emulator)
    run_tests([
        ("seven links", s.started),
        ("bluetoothd killed", s.bluetoothd_killed),
        ("core killed", s.core_killed),
        ("books", s.books_balance),
    ])
    return 0


sys.exit(main(scenario))
