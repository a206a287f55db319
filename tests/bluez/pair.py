#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engineer does with bluetoothctl: finds a meter, pairs with it, and hangs up.

    pair.py hci0 00:AA:01:01:00:01          exit status 0: the bond is stored
"""
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

TIMEOUT_S = 60


class Agent(dbus.service.Object):
    """Just Works: the meters of these tests have neither display nor keys."""

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


def main():
    adapter_path = "/org/bluez/" + sys.argv[1]
    device_path = adapter_path + "/dev_" + sys.argv[2].replace(":", "_")
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SystemBus()
    loop = GLib.MainLoop()
    outcome = ["time is up"]
    started = []

    def finish(error=None):
        outcome[0] = str(error) if error else None
        loop.quit()

    def pair():
        device = dbus.Interface(bus.get_object("org.bluez", device_path), "org.bluez.Device1")
        device.Pair(reply_handler=finish, error_handler=finish, timeout=TIMEOUT_S)

    def found(path, interfaces):
        if path == device_path and "org.bluez.Device1" in interfaces and not started:
            started.append(path)
            adapter.StopDiscovery()
            pair()

    agent = Agent(bus, "/pair/agent")
    manager = dbus.Interface(bus.get_object("org.bluez", "/org/bluez"), "org.bluez.AgentManager1")
    manager.RegisterAgent("/pair/agent", "NoInputNoOutput")
    adapter = dbus.Interface(bus.get_object("org.bluez", adapter_path), "org.bluez.Adapter1")
    objects = dbus.Interface(bus.get_object("org.bluez", "/"),
                             "org.freedesktop.DBus.ObjectManager")
    if device_path in objects.GetManagedObjects():
        pair()
    else:
        objects.connect_to_signal("InterfacesAdded", found)
        adapter.SetDiscoveryFilter({"Transport": "le"})
        adapter.StartDiscovery()
    GLib.timeout_add_seconds(TIMEOUT_S, loop.quit)
    loop.run()
    agent.remove_from_connection()
    if outcome[0]:
        sys.exit(f"pair.py: {outcome[0]}")
    device = bus.get_object("org.bluez", device_path)
    dbus.Interface(device, "org.bluez.Device1").Disconnect()


main()
