#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated peripheral of tests/sim/peripheral.py as a GATT server of bluetoothd (busgatt.py): its
records, its manner of telling them and its ledger, but ATT and L2CAP are BlueZ's.

    gattmeter.py hci1 KIND [options of peripheral.py]

Orders on stdin are those of peripheral.py's --control.
"""
import os
import sys
from collections import deque
from types import SimpleNamespace

import dbus.exceptions
import dbus.service
from gi.repository import GLib

from busgatt import BusPeripheral, Characteristic, Service, say, uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "sim"))

import ledger as common  # noqa: E402  (it is in a folder of its own)
from att_server import (COMMAND, INDICATE, NOTIFY, READ, WRITE, LinkLost,  # noqa: E402
                        attribute_table)
from ble_manners import Manners  # noqa: E402
from peripheral import KINDS, options_of  # noqa: E402

FLAGS = {READ: "read", WRITE: "write", COMMAND: "write-without-response", NOTIFY: "notify",
         INDICATE: "indicate"}
GAP = 0x1800                # bluetoothd has its own
MTU = 100                   # of a link between two BlueZ ends it is larger; no record is


class Value(Characteristic):
    interface = Characteristic.interface

    def __init__(self, meter, service, number, handle, attribute):
        self.meter, self.handle, self.attribute = meter, handle, attribute
        flags = [name for bit, name in FLAGS.items() if attribute.properties & bit]
        super().__init__(meter.bus, service, number, attribute.type, flags, attribute.value or b"")

    @dbus.service.method(interface, in_signature="aya{sv}")
    def WriteValue(self, value, _options):
        self.meter.awake()
        error = self.attribute.write(bytes(value))
        self.meter.soon()
        if error:
            raise dbus.exceptions.DBusException(f"0x{error:02x}", name="org.bluez.Error.Failed")

    @dbus.service.method(interface)
    def StartNotify(self):
        self.meter.subscribe(self, True)

    @dbus.service.method(interface)
    def StopNotify(self):
        self.meter.subscribe(self, False)

    @dbus.service.method(interface)
    def Confirm(self):
        self.meter.confirmed()


class GattMeter(BusPeripheral):
    """For the device it is the link, too."""

    def __init__(self, adapter, options):
        self.options = options
        manners = Manners(options)
        self.device = manners.device = KINDS[options.kind](
            options, common.Ledger(options.ledger, options.name), manners)
        self.device.fill()
        super().__init__(adapter, options.name, self.device.main)
        services = [s for s in self.device.services() if s.uuid != GAP]
        self.table, self.values = attribute_table(services), {}
        self.build(services)
        self.up, self.timer = False, None
        self.server = SimpleNamespace(mtu=MTU)
        self.forget_link()
        self.serve()
        self.soon()

    def build(self, services):
        handles = iter(h for h, a in self.table.items() if a.properties and a.type != 0x2902)
        for n, s in enumerate(services):
            service = Service(self.bus, f"/meter/s{n}", {"UUID": uuid(s.uuid), "Primary": True})
            self.application.members.append(service)
            for m in range(len(s.characteristics)):
                handle = next(handles)
                value = Value(self, service, m, handle, self.table[handle])
                self.values[handle] = value
                self.application.members.append(value)

    # The link, as att_server.Link

    def forget_link(self):
        self.on, self.queue, self.outstanding = set(), deque(), deque()
        self.awake()

    def awake(self):
        self.heard = self.spoke = common.boottime()

    def wants(self, handle):
        return handle in self.on

    def notify(self, handle, value):
        self.spoke = common.boottime()
        self.values[handle].send(value)
        return value

    def indicate(self, handle, value, confirmed=None):
        self.queue.append((handle, value, confirmed))
        self.next_indication()
        return value

    def next_indication(self):
        if self.queue and not self.outstanding:
            handle, value, confirmed = self.queue.popleft()
            self.outstanding.append(confirmed or (lambda: None))
            self.notify(handle, value)

    def confirmed(self):
        self.awake()
        if not self.outstanding:
            self.device.note("unexpected")
            return
        self.outstanding.popleft()()
        self.next_indication()
        self.soon()

    def subscribe(self, value, yes):
        self.awake()
        (self.on.add if yes else self.on.discard)(value.handle)
        self.device.changed(value.attribute.type, yes)
        self.soon()

    def linked(self, up):
        if up == self.up:
            return
        self.up = up
        say("connected" if up else "disconnected")
        self.device.note("connected" if up else "closed", why=None if up else "peer")
        self.forget_link()
        if up:
            self.device.opened(self, self.table)
        else:
            self.device.closed("peer")
        self.soon()

    # Living

    def soon(self, seconds=0.0):
        if self.timer:
            GLib.source_remove(self.timer)
        self.timer = GLib.timeout_add(int(seconds * 1000) + 1, self.live)

    def live(self):
        self.timer = None
        if not self.up:
            self.show(self.options.always or self.device.pending())
            return False
        try:
            wait = self.device.pump()
        except LinkLost:
            self.hang_up()
            return False
        idle = self.device.last_sign() + self.options.idle - common.boottime()
        if not self.device.busy() and not self.outstanding and self.options.idle and idle <= 0:
            self.hang_up()
            return False
        self.soon(min(0.5 if wait is None else wait, max(idle, 0.05)))
        return False

    def command(self, source, _condition):
        word, _, rest = source.readline().strip().partition(" ")
        if not word:
            return False
        if word == "record":
            self.device.measure(common.json_object(rest))
        elif word == "hangup":
            self.hang_up()
        else:
            self.device.order(word, rest)
        self.soon()
        return True


meter = GattMeter(sys.argv[1], options_of([*sys.argv[2:], "--socket", "/nowhere"]))
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, meter.command)
GLib.MainLoop().run()
