#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A blood-pressure meter that bonds: a GATT server of bluetoothd on its own adapter, over D-Bus.

    bondmeter.py hci1 FLAG          FLAG of 2A35, for example encrypt-indicate

It keeps its records until they are confirmed and sends the oldest first: when a gateway subscribes,
and by itself one second after a bonded gateway is back (bluetoothd remembers the subscription and
does not announce it again). Lines on stdin: `record HEX` stores one, `hang-up` ends the link.
What it sees goes to stdout as JSON lines with CLOCK_BOOTTIME in microseconds.
"""
import json
import sys
import time
from collections import deque

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

PROPERTIES = "org.freedesktop.DBus.Properties"
BACK_MS = 1000


def uuid(short):
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


def say(what, **more):
    us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    print(json.dumps({"boot_us": us, "what": what, **more}), flush=True)


class Exported(dbus.service.Object):
    """An object with the properties of one interface."""

    interface = None

    def __init__(self, bus, path, properties):
        self.path, self.properties = path, properties
        super().__init__(bus, path)

    @dbus.service.method(PROPERTIES, in_signature="s", out_signature="a{sv}")
    def GetAll(self, _interface):
        return self.properties

    @dbus.service.signal(PROPERTIES, signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass


class Application(dbus.service.Object):
    def __init__(self, bus, path):
        self.members = []
        super().__init__(bus, path)

    @dbus.service.method("org.freedesktop.DBus.ObjectManager", out_signature="a{oa{sa{sv}}}")
    def GetManagedObjects(self):
        return {dbus.ObjectPath(m.path):
                {m.interface: dbus.Dictionary(m.properties, signature="sv")} for m in self.members}


class Service(Exported):
    interface = "org.bluez.GattService1"


class Characteristic(Exported):
    interface = "org.bluez.GattCharacteristic1"

    def __init__(self, bus, service, number, short, flag, value=b""):
        self.value = value
        super().__init__(bus, f"{service.path}/c{number}", {
            "UUID": uuid(short), "Service": dbus.ObjectPath(service.path),
            "Flags": dbus.Array([flag], signature="s")})

    @dbus.service.method(interface, in_signature="a{sv}", out_signature="ay")
    def ReadValue(self, _options):
        say("read", type=self.properties["UUID"][4:8])
        return dbus.ByteArray(self.value)


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
        GLib.timeout_add(50, self.send)

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
        self.send()

    def linked(self, up):
        if up == self.up:
            return
        say("connected" if up else "disconnected", left=len(self.records))
        self.up, self.outstanding = up, False
        if up:
            GLib.timeout_add(BACK_MS, self.send)

    def send(self):
        if self.up and self.subscribed and self.records and not self.outstanding:
            self.outstanding = True
            say("indicated", hex=self.records[0].hex())
            value = dbus.ByteArray(self.records[0])
            self.PropertiesChanged(self.interface, {"Value": value}, [])
        return False


class Advertisement(Exported):
    interface = "org.bluez.LEAdvertisement1"

    @dbus.service.method(interface)
    def Release(self):
        say("advertisement-released")


class Agent(dbus.service.Object):
    interface = "org.bluez.Agent1"

    @dbus.service.method(interface)
    def Release(self):
        pass

    @dbus.service.method(interface, in_signature="os")
    def AuthorizeService(self, _device, _uuid):
        pass

    @dbus.service.method(interface, in_signature="o")
    def RequestAuthorization(self, _device):
        say("pairing-authorized")


class Meter:
    def __init__(self, adapter, flag):
        self.bus = dbus.SystemBus()
        self.path = "/org/bluez/" + adapter
        self.adapter = self.bus.get_object("org.bluez", self.path)
        self.adjust("Alias", "BOND-BPM")
        self.adjust("Pairable", True)
        self.application = Application(self.bus, "/meter")
        self.measurement = None
        self.build(flag)
        self.advertisement = Advertisement(self.bus, "/meter/advertisement", {
            "Type": "peripheral", "LocalName": "BOND-BPM",
            "ServiceUUIDs": dbus.Array([uuid(0x1810)], signature="s")})
        self.agent = Agent(self.bus, "/meter/agent")
        self.bus.add_signal_receiver(self.changed, "PropertiesChanged", PROPERTIES,
                                     path_keyword="path")
        self.bus.add_signal_receiver(self.added, "InterfacesAdded")

    def adjust(self, name, value):
        """bluetoothd may still be busy with the adapter that it has just switched on."""
        for left in reversed(range(50)):
            try:
                dbus.Interface(self.adapter, PROPERTIES).Set("org.bluez.Adapter1", name, value)
                return
            except dbus.DBusException as e:
                if e.get_dbus_name() != "org.bluez.Error.Busy" or not left:
                    raise
                time.sleep(0.1)

    def build(self, flag):
        pressure = Service(self.bus, "/meter/s0", {"UUID": uuid(0x1810), "Primary": True})
        self.measurement = Measurement(self.bus, pressure, 0, 0x2A35, flag)
        feature = Characteristic(self.bus, pressure, 1, 0x2A49, "read", b"\x3f\0")
        about = Service(self.bus, "/meter/s1", {"UUID": uuid(0x180A), "Primary": True})
        serial = Characteristic(self.bus, about, 0, 0x2A25, "encrypt-read", b"SN-BOND-0001")
        self.application.members = [pressure, self.measurement, feature, about, serial]

    def changed(self, interface, changes, _invalidated, path):
        ours = path.startswith(self.path + "/dev_")
        if ours and interface == "org.bluez.Device1" and "Connected" in changes:
            self.measurement.linked(bool(changes["Connected"]))

    def added(self, path, interfaces):
        """A gateway that was never here: its object may be born connected."""
        self.changed("org.bluez.Device1", interfaces.get("org.bluez.Device1", {}), [], path)

    def switch_on(self):
        manager = dbus.Interface(self.bus.get_object("org.bluez", "/org/bluez"),
                                 "org.bluez.AgentManager1")
        manager.RegisterAgent("/meter/agent", "NoInputNoOutput")
        manager.RequestDefaultAgent("/meter/agent")

        def failed(error):
            say("failed", error=str(error))
            sys.exit(1)
        dbus.Interface(self.adapter, "org.bluez.GattManager1").RegisterApplication(
            "/meter", {}, reply_handler=lambda: say("served"), error_handler=failed)
        dbus.Interface(self.adapter, "org.bluez.LEAdvertisingManager1").RegisterAdvertisement(
            "/meter/advertisement", {}, reply_handler=lambda: say("advertising"),
            error_handler=failed)

    def hang_up(self):
        objects = dbus.Interface(self.bus.get_object("org.bluez", "/"),
                                 "org.freedesktop.DBus.ObjectManager").GetManagedObjects()
        for path, interfaces in objects.items():
            device = interfaces.get("org.bluez.Device1")
            if device and path.startswith(self.path + "/") and device["Connected"]:
                dbus.Interface(self.bus.get_object("org.bluez", path),
                               "org.bluez.Device1").Disconnect()

    def command(self, source, _condition):
        words = source.readline().split()
        if not words:
            return False
        if words[0] == "record":
            self.measurement.records.append(bytes.fromhex(words[1]))
            self.measurement.send()
        elif words[0] == "hang-up":
            self.hang_up()
        return True


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    meter = Meter(sys.argv[1], sys.argv[2])
    GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, meter.command)
    meter.switch_on()
    GLib.MainLoop().run()


main()
