# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower half of a peripheral that is a GATT server of bluetoothd on its own adapter, over D-Bus:
services, advertisement, agent, link.
"""
import json
import sys
import time

import dbus
import dbus.mainloop.glib
import dbus.service

PROPERTIES = "org.freedesktop.DBus.Properties"


def uuid(short):
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb" if isinstance(short, int) else short


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
    """`value`: bytes, or what gives them."""

    interface = "org.bluez.GattCharacteristic1"

    def __init__(self, bus, service, number, short, flags, value=b""):
        self.value = value
        super().__init__(bus, f"{service.path}/c{number}", {
            "UUID": uuid(short), "Service": dbus.ObjectPath(service.path),
            "Flags": dbus.Array(flags, signature="s")})

    @dbus.service.method(interface, in_signature="a{sv}", out_signature="ay")
    def ReadValue(self, _options):
        say("read", type=self.properties["UUID"][4:8])
        return dbus.ByteArray(self.value() if callable(self.value) else self.value)

    def send(self, value):
        """A notification or an indication, whichever it has been switched on for."""
        self.PropertiesChanged(Characteristic.interface, {"Value": dbus.ByteArray(value)}, [])


class Advertisement(Exported):
    interface = "org.bluez.LEAdvertisement1"

    @dbus.service.method(interface)
    def Release(self):
        say("advertisement-released")


class Agent(dbus.service.Object):
    """The meter's display. A pairing that the gateway's kernel begins asks the default agent, too: then
    this one is also whoever types at the gateway what the meter shows."""

    interface = "org.bluez.Agent1"

    def __init__(self, bus, path):
        self.shown = self.waiting = None
        super().__init__(bus, path)

    @dbus.service.method(interface)
    def Release(self):
        pass

    @dbus.service.method(interface)
    def Cancel(self):
        say("pairing-cancelled")

    @dbus.service.method(interface, in_signature="os")
    def AuthorizeService(self, _device, _uuid):
        pass

    @dbus.service.method(interface, in_signature="o")
    def RequestAuthorization(self, _device):
        say("pairing-authorized")

    @dbus.service.method(interface, in_signature="ouq")
    def DisplayPasskey(self, _device, passkey, _entered):
        if self.shown is None:
            say("displayed", passkey=f"{passkey:06}")
            self.shown = int(passkey)
            self.answer()

    @dbus.service.method(interface, in_signature="o", out_signature="u",
                         async_callbacks=("reply", "error"))
    def RequestPasskey(self, _device, reply, error):
        say("asked-for-passkey")
        self.waiting = reply
        self.answer()

    def answer(self):
        if self.waiting and self.shown is not None:
            self.waiting(dbus.UInt32(self.shown))
            self.waiting = None

    def forget(self):
        """The link is gone, and what it was about."""
        self.shown = self.waiting = None


class BusPeripheral:
    """Whoever stands on it has linked(up)."""

    def __init__(self, adapter, name, service, capability="NoInputNoOutput"):
        dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
        self.bus = dbus.SystemBus()
        self.path = "/org/bluez/" + adapter
        self.adapter = self.bus.get_object("org.bluez", self.path)
        self.adjust("Alias", name)
        self.adjust("Pairable", True)
        self.application = Application(self.bus, "/meter")
        self.advertisement = Advertisement(self.bus, "/meter/advertisement", {
            "Type": "peripheral", "LocalName": name,
            "ServiceUUIDs": dbus.Array([uuid(service)], signature="s")})
        self.visible = False
        self.agent = Agent(self.bus, "/meter/agent")
        manager = dbus.Interface(self.bus.get_object("org.bluez", "/org/bluez"),
                                 "org.bluez.AgentManager1")
        manager.RegisterAgent("/meter/agent", capability)
        manager.RequestDefaultAgent("/meter/agent")
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

    def changed(self, interface, changes, _invalidated, path):
        ours = path.startswith(self.path + "/dev_")
        if ours and interface == "org.bluez.Device1" and "Connected" in changes:
            if not changes["Connected"]:
                self.agent.forget()
            self.linked(bool(changes["Connected"]))

    def added(self, path, interfaces):
        """A gateway that was never here: its object may be born connected."""
        self.changed("org.bluez.Device1", interfaces.get("org.bluez.Device1", {}), [], path)

    @staticmethod
    def failed(error):
        say("failed", error=str(error))
        sys.exit(1)

    def serve(self):
        dbus.Interface(self.adapter, "org.bluez.GattManager1").RegisterApplication(
            "/meter", {}, reply_handler=lambda: say("served"), error_handler=self.failed)

    def show(self, yes=True):
        """Advertises, or stops."""
        if yes == self.visible:
            return
        self.visible = yes
        manager = dbus.Interface(self.adapter, "org.bluez.LEAdvertisingManager1")
        if yes:
            manager.RegisterAdvertisement(
                "/meter/advertisement", {}, reply_handler=lambda: say("advertising"),
                error_handler=self.failed)
        else:
            manager.UnregisterAdvertisement(
                "/meter/advertisement", reply_handler=lambda: say("hidden"),
                error_handler=self.failed)

    def hang_up(self):
        objects = dbus.Interface(self.bus.get_object("org.bluez", "/"),
                                 "org.freedesktop.DBus.ObjectManager").GetManagedObjects()
        for path, interfaces in objects.items():
            device = interfaces.get("org.bluez.Device1")
            if device and path.startswith(self.path + "/") and device["Connected"]:
                dbus.Interface(self.bus.get_object("org.bluez", path),
                               "org.bluez.Device1").Disconnect()
