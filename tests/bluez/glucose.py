#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: glucose meters with a memory (RACP). First one that is a GATT server of BlueZ, then ones
without BlueZ on the air that behave badly, one after another.
"""
import subprocess
import sys

from books import Book, air_meter, bus_meter, glucose
from guest import Broker, Gateway, Stack, check, main, run_tests, wait_for

WHAT = "normal,before,fasting,ketone,isf,control,error,none"
AIR = {"holes": "C0:11:22:33:44:01", "rude": "C0:11:22:33:44:02", "killed": "C0:11:22:33:44:03"}


def device(name, address, **more):
    return {"id": name, "driver": "bt_glucose", "transport": "ble", "address": address,
            "adapter": "hci0", **more}


class Scenario:
    def __init__(self, build):
        self.stack = Stack(2, "-l2", "-s")
        self.broker = Broker()
        self.gateway = Gateway(build, device("bluez", self.stack.address("hci1")), *(
            device(name, address, random_address=True) for name, address in AIR.items()))

    def book(self, name):
        return Book(self.broker, name)

    def bluez(self):
        """Memory first, then what is measured while nobody is connected."""
        self.gateway.start()
        book = self.book("bluez")
        meter = bus_meter(book, "hci1", "glucose", "--records", "16", "--what", WHAT,
                          stdin=subprocess.PIPE)
        book.check("BlueZ's GATT server", glucose, 16)
        meter.wait("disconnected")
        meter.tell("random 3")
        book.check("BlueZ's GATT server, three more", glucose, 19)
        sent = [e["key"] for e in book.events("sent") if e["why"] == "2a18"]
        check("BlueZ's GATT server: no record is asked for twice", len(sent) == len(set(sent)), sent)
        check("BlueZ's GATT server: nothing was deleted", not book.events("deleted", "refused"),
              book.events("deleted", "refused"))
        wait_for("all told", lambda: {e["key"] for e in book.events("told")} == set(book.measured()))
        meter.wait("disconnected", count=2)
        meter.stop()
        self.stack.wait_unlinked("hci1")

    def holes(self):
        """A meter that is busy, a strip in the middle; then a record that is lost on the air."""
        book = self.book("holes")
        meter = air_meter(book, AIR["holes"], "glucose", "--records", "20", "--gaps", "0.3",
                          "--strip-at", "5", "--hole", "10", "--busy", "1", "--once")
        book.check("holes, a strip, a busy meter", glucose, 20)
        meter.wait_off()

    def rude(self):
        """Each record twice, newest first, on every link again; and links that end early."""
        for manner, seed in (("duplicates", "1"), ("backwards", "2"), ("after-response", "3")):
            book = self.book("rude")
            before = len(book.measured())
            meter = air_meter(book, AIR["rude"], "glucose", "--records", "12", "--misbehave",
                              manner, "--die-at", "45,60", "--first-seq", str(before + 1),
                              "--spacing", str(600 + before), "--seed", seed)
            book.check(f"{manner}, and links that end early", glucose, before + 12)
            meter.stop()

    def killed(self):
        """The core dies three times in the middle of a report."""
        book = self.book("killed")
        meter = air_meter(book, AIR["killed"], "glucose", "--records", "60", "--pace", "0.05",
                          "--once")
        for sent in (10, 25, 40):
            wait_for("report", lambda n=sent: book.count("sent") >= n)
            self.gateway.kill()
            self.gateway.start()
        check("core killed in the middle of a report: the meter was not done",
              book.count("told") < 60, book.count("told"))
        book.check("core killed three times in the middle of a report", glucose, 60)
        meter.wait_off()

    def stopped(self):
        check("gateway stops cleanly", self.gateway.stop() == 0)


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("BlueZ's GATT server", s.bluez),
        ("holes, a strip, a busy meter", s.holes),
        ("rude meters", s.rude),
        ("core killed in the middle of a report", s.killed),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
