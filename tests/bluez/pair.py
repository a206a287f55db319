#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engineer does with bluetoothctl: finds a meter, pairs with it, and hangs up.

    pair.py hci0 00:AA:01:01:00:01          exit status 0: the bond is stored
    pair.py hci0 BOND-BPM KeyboardOnly      the meter is known by its name, and shows six digits that
                                            are typed here: a line on stdin

Prints the address under which the bond is kept: another one than before when the meter hides it.
"""
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

TIMEOUT_S = 60


class Agent(dbus.service.Object):
    """Just Works, or a number that somebody types."""

    interface = "org.bluez.Agent1"

    @dbus.service.method(interface)
    def Release(self):
        pass

    @dbus.service.method(interface, in_signature="o")
    def RequestAuthorization(self, _device):
        pass

    @dbus.service.method(interface, in_signature="os")
    def AuthorizeService(self, _device, _uuid):
        pass

    @dbus.service.method(interface, in_signature="o", out_signature="u",
                         async_callbacks=("reply", "error"))
    def RequestPasskey(self, _device, reply, error):
        def typed(source, _condition):
            reply(dbus.UInt32(int(source.readline())))
            return False
        GLib.io_add_watch(sys.stdin, GLib.IO_IN, typed)

    @dbus.service.method(interface)
    def Cancel(self):
        pass


def main():
    adapter_path, wanted = "/org/bluez/" + sys.argv[1], sys.argv[2]
    capability = sys.argv[3] if len(sys.argv) > 3 else "NoInputNoOutput"
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    loop = GLib.MainLoop()
    outcome = ["time is up"]
    started = []

    def finish(error=None):
        outcome[0] = str(error) if error else None
        loop.quit()

    def found(path, interfaces):
        device = interfaces.get("org.bluez.Device1")
        if (started or not device or not path.startswith(adapter_path + "/")
                or wanted not in (device["Address"], device.get("Name"))):
            return
        started.append(path)
        adapter.StopDiscovery()
        dbus.Interface(bus.get_object("org.bluez", path), "org.bluez.Device1").Pair(
            reply_handler=finish, error_handler=finish, timeout=TIMEOUT_S)

    agent = Agent(bus, "/pair/agent")
    manager = dbus.Interface(bus.get_object("org.bluez", "/org/bluez"), "org.bluez.AgentManager1")
    manager.RegisterAgent("/pair/agent", capability)
    adapter = dbus.Interface(bus.get_object("org.bluez", adapter_path), "org.bluez.Adapter1")
    objects = dbus.Interface(bus.get_object("org.bluez", "/"),
                             "org.freedesktop.DBus.ObjectManager")
    objects.connect_to_signal("InterfacesAdded", found)
    adapter.SetDiscoveryFilter({"Transport": "le"})
    adapter.StartDiscovery()
    for path, interfaces in objects.GetManagedObjects().items():
        found(path, interfaces)
    GLib.timeout_add_seconds(TIMEOUT_S, loop.quit)
    loop.run()
    agent.remove_from_connection()
    if outcome[0]:
        sys.exit(f"pair.py: {outcome[0]}")
    device = bus.get_object("org.bluez", started[0])
    print(dbus.Interface(device, "org.freedesktop.DBus.Properties").Get(
        "org.bluez.Device1", "Address"))
    dbus.Interface(device, "org.bluez.Device1").Disconnect()


main()
