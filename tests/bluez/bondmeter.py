#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A blood-pressure meter that bonds: a GATT server of bluetoothd on its own adapter, over D-Bus.

    bondmeter.py hci1 FLAG [CAPABILITY]     FLAG of 2A35, for example encrypt-indicate; CAPABILITY of
                                            its agent (NoInputNoOutput)

It keeps its records until they are confirmed and sends the oldest first: when a gateway subscribes,
and by itself one second after a bonded gateway is back (bluetoothd remembers the subscription and
does not announce it again). Lines on stdin: `record HEX` stores one, `hang-up` ends the link.
What it sees goes to stdout as JSON lines with CLOCK_BOOTTIME in microseconds.
"""
import sys
from collections import deque

import dbus.service
from gi.repository import GLib

from busgatt import BusPeripheral, Characteristic, Service, say, uuid

BACK_MS = 1000


class Measurement(Characteristic):
    interface = Characteristic.interface

    def __init__(self, *args):
        self.records = deque()
        self.up = self.subscribed = self.outstanding = False
        super().__init__(*args)

    @dbus.service.method(interface)
    def StartNotify(self):
        say("subscribed")
        self.subscribed = True
        GLib.timeout_add(50, self.next)

    @dbus.service.method(interface)
    def StopNotify(self):
        say("unsubscribed")
        self.subscribed = False

    @dbus.service.method(interface)
    def Confirm(self):
        if not self.outstanding:
            say("unexpected-confirm")
            return
        self.outstanding = False
        say("confirmed", hex=self.records.popleft().hex())
        self.next()

    def linked(self, up):
        if up == self.up:
            return
        say("connected" if up else "disconnected", left=len(self.records))
        self.up, self.outstanding = up, False
        if up:
            GLib.timeout_add(BACK_MS, self.next)

    def next(self):
        if self.up and self.subscribed and self.records and not self.outstanding:
            self.outstanding = True
            say("indicated", hex=self.records[0].hex())
            self.send(self.records[0])
        return False


class Meter(BusPeripheral):
    def __init__(self, adapter, flag, *capability):
        super().__init__(adapter, "BOND-BPM", 0x1810, *capability)
        pressure = Service(self.bus, "/meter/s0", {"UUID": uuid(0x1810), "Primary": True})
        self.measurement = Measurement(self.bus, pressure, 0, 0x2A35, [flag])
        feature = Characteristic(self.bus, pressure, 1, 0x2A49, ["read"], b"\x3f\0")
        about = Service(self.bus, "/meter/s1", {"UUID": uuid(0x180A), "Primary": True})
        serial = Characteristic(self.bus, about, 0, 0x2A25, ["encrypt-read"], b"SN-BOND-0001")
        self.application.members = [pressure, self.measurement, feature, about, serial]
        self.linked = self.measurement.linked
        self.serve()
        self.show()

    def command(self, source, _condition):
        words = source.readline().split()
        if not words:
            return False
        if words[0] == "record":
            self.measurement.records.append(bytes.fromhex(words[1]))
            self.measurement.next()
        elif words[0] == "hang-up":
            self.hang_up()
        return True


meter = Meter(*sys.argv[1:])
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, meter.command)
GLib.MainLoop().run()
