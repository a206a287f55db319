#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: pulse oximeters. A stream from BlueZ's GATT server, a stream over the air while
bluetoothd dies, spot checks from a memory, and ones that flood the gateway.
"""
import signal
import sys
import time

from books import Book, air_meter, bus_meter, oxygen
from guest import Broker, Gateway, Stack, check, main, run_tests, wait_for

FINGER = "finger in spo2=96 pulse=70; wait 12; finger out; wait 3"
FINGERS = FINGER + "; finger in spo2=91 pulse=88; wait 12; finger out; wait 3"
AIR = {"stream": "C0:11:22:33:44:01", "spot": "C0:11:22:33:44:02", "flood": "C0:11:22:33:44:03"}


def device(name, address, **more):
    return {"id": name, "driver": "bt_plx", "transport": "ble", "address": address,
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
        self.gateway.start()
        book = self.book("bluez")
        meter = bus_meter(book, "hci1", "plx_continuous", "--acquire", "1", "--script", FINGER)
        book.check_fingers("stream from BlueZ's GATT server", 1)
        meter.wait("disconnected")
        meter.stop()
        self.stack.wait_unlinked("hci1")

    def stream(self):
        """The link is the kernel's: nothing is lost while bluetoothd is dead, or comes back."""
        book = self.book("stream")
        meter = air_meter(book, AIR["stream"], "plx_continuous", "--acquire", "1", "--script",
                          FINGERS, "--once")
        wait_for("first finger", lambda: book.count("measured") >= 2)
        time.sleep(3)
        self.stack.stop_bluetoothd(signal.SIGKILL)
        time.sleep(5)
        self.stack.start_bluetoothd()
        wait_for("adapters", lambda: self.stack.powered() >= 2)
        check("bluetoothd killed: the link stays", not meter.events("disconnected"))
        book.check_fingers("stream while bluetoothd is killed and comes back", 2)
        check("bluetoothd killed: one link carried it all", len(meter.events("connected")) == 1)
        meter.wait_off()

    def spot(self):
        book = self.book("spot")
        for manner, seed in (("duplicates", "1"), ("no-wait", "2")):
            before = len(book.measured())
            meter = air_meter(book, AIR["spot"], "plx", "--records", "10", "--misbehave", manner,
                              "--seed", seed, "--spacing", str(60 + before))
            book.check(f"spot checks from a memory, {manner}", oxygen, before + 10)
            meter.stop()

    def flood(self):
        """Rubbish as fast as the link takes it: another one is heard all the same."""
        book = self.book("flood")
        flooder = air_meter(book, AIR["flood"], "plx_continuous", "--misbehave", "flood", "--always")
        flooder.wait("connected")
        time.sleep(5)
        check("flood: the gateway lives", self.gateway.alive())
        flooder.stop()
        other = self.book("spot")
        before = len(other.measured())
        meter = air_meter(other, AIR["spot"], "plx", "--records", "3", "--seed", "9", "--spacing",
                          "37")
        other.check("after a flood, another oximeter", oxygen, before + 3)
        meter.stop()

    def stopped(self):
        check("gateway stops cleanly", self.gateway.stop() == 0)


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("stream from BlueZ's GATT server", s.bluez),
        ("stream while bluetoothd is killed", s.stream),
        ("spot checks from a memory", s.spot),
        ("flood", s.flood),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
