#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake org.bluez for a private bus: adapters, instruments that advertise and pair, and what goes wrong.

    DBUS_SYSTEM_BUS_ADDRESS=unix:path=/dir/bus fake_bluez.py /dir/control

Written from BlueZ's own description of its interfaces (fake_bluez_objects.py). Tests steer it over the unix
socket /dir/control: a JSON object a line in, one a line back, {"ok": true, ...} or {"ok": false, "error":
...}. What an order says is done before the answer comes.

    {"do": "adapter", "name": "hci0"}       also address, address_type, powered, modalias
    {"do": "remove_adapter", "name": "hci0"}
    {"do": "set", "name": "hci0", "powered": false}     as somebody else would
    {"do": "device", "address": "C0:00:00:00:00:01"}    also adapter, name, type, rssi, uuids ["1810"],
        manufacturer {"0157": "hex"}, service {"181d": "hex"}, every_ms (100; 0: it is silent), bonded,
        pair {model, passkey, pin, after_ms, error, message, hang, identity}. Told again: what is given
        changes.
        identity: its address after pairing, when it advertises a private one
    {"do": "advertise", "address": A}       once, now; also rssi, manufacturer, service, times
    {"do": "remove_device", "address": A}   as bluetoothctl would
    {"do": "flood", "per_s": 1000, "seconds": 3, "addresses": 200}      strangers; "data": true: with
        manufacturer data that change; "rssi" of all of them
    {"do": "fail", "method": "StartDiscovery", "error": "Failed", "message": "x", "times": 1}
    {"do": "hang", "method": "Pair", "times": 1}        it is never answered
    {"do": "die_at", "method": "Pair"}      bluetoothd goes when that is called; a method of the agent:
        when it would be called
    {"do": "die"}, {"do": "return"}         it goes; it is back under another name, with its bonds
    {"do": "typed", "address": A, "passkey": 123456}    a person types on the instrument what was shown
    {"do": "call_agent", "method": "RequestPasskey", "address": A}      out of turn; its answer comes under
        "calls" as "answered.RequestPasskey" with the name of the error, or ""
    {"do": "odd", "address": A}             properties of other types than they ought to have
    {"do": "calls"}                         -> calls [{method, path, args}] since the last time
    {"do": "state"}                         -> adapters, devices, agents, default_agent, ...

Models of `pair`: "just_works" (nobody is asked), "authorize" (RequestAuthorization), "passkey_entry" (the
instrument shows `passkey`: RequestPasskey), "passkey_display" (DisplayPasskey, then "typed"), "compare"
(RequestConfirmation; the instrument agrees), "pin" (RequestPinCode), "pin_display" (DisplayPinCode, then
"typed"). Which of them real ends agree on is not its business: it asks what it is told to.
"""
import json
import os
import socket
import sys

import dbus
import dbus.bus
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

from fake_bluez_objects import Adapter, AgentManager, Device, Root, error, plain, uuid


class World:
    """The machine that bluetoothd runs on: what outlives it, and the orders of a test."""
    def __init__(self, control):
        self.connection, self.root = None, Root(self)
        self.manager = AgentManager(self)
        self.adapters, self.devices, self.agents, self.default_agent = {}, {}, {}, None
        self.faults, self.hung, self.calls, self.watched = {}, [], [], {}
        self.discovered_while_pairing, self.flooding = 0, 0
        self.back()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(control)
        listener.listen()
        GLib.io_add_watch(listener, GLib.IO_IN, self.on_client)

    # --- bluetoothd's life

    def back(self):
        if self.connection:
            return
        self.connection = dbus.bus.BusConnection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
        self.connection.set_exit_on_disconnect(False)
        for thing in (self.root, self.manager):
            thing.add_to_connection(self.connection, thing.path)
        for adapter in self.adapters.values():
            adapter.show()
        for device in self.devices.values():
            if device.properties["Paired"]:
                device.show()
        self.connection.request_name("org.bluez")

    def die(self):
        if not self.connection:
            return
        for device in self.devices.values():
            device.pairing = None
            device.properties["Connected"] = dbus.Boolean(False)
            device.properties.pop("RSSI", None)
            device.hide(tell=False)
        for adapter in self.adapters.values():
            adapter.sessions.clear()
            adapter.filters.clear()
            adapter.properties["Discovering"] = dbus.Boolean(False)
            adapter.hide(tell=False)
        for thing in (self.root, self.manager):
            thing.remove_from_connection()
        self.agents, self.default_agent, self.watched = {}, None, {}
        self.connection.close()
        self.connection = None

    def follow(self, client):
        """What a client had ends with it."""
        if client not in self.watched:
            self.watched[client] = self.connection.watch_name_owner(
                client, lambda owner: None if owner else self.client_gone(client))

    def client_gone(self, client):
        self.watched.pop(client).cancel()
        self.agent_gone(client)
        for adapter in self.adapters.values():
            adapter.client_gone(client)

    def agent_gone(self, client):
        self.agents.pop(client, None)
        if self.default_agent == client:
            self.default_agent = None

    def note(self, name, path, args):
        self.calls.append({"method": name, "path": path, "args": plain(args)})
        del self.calls[:-1000]

    def fault(self, name):
        """None, "die", "hang" or an exception, as a test ordered it."""
        order = self.faults.get(name)
        if not order:
            return None
        order["times"] -= 1
        if order["times"] <= 0:
            del self.faults[name]
        return order["what"]

    # --- orders

    def on_client(self, listener, _):
        client, _ = listener.accept()
        GLib.io_add_watch(client, GLib.IO_IN | GLib.IO_HUP, self.on_line, client.makefile("rwb", 0))
        return True

    def on_line(self, _, __, stream):
        line = stream.readline()
        if not line:
            stream.close()
            return False
        try:
            order = json.loads(line)
            answer = {"ok": True, **(getattr(self, "do_" + order["do"])(order) or {})}
        except (KeyError, ValueError, AttributeError, TypeError, dbus.DBusException) as e:
            answer = {"ok": False, "error": f"{type(e).__name__}: {e}"}
        if self.connection:
            self.connection.flush()
        stream.write(json.dumps(answer).encode() + b"\n")
        return True

    def do_adapter(self, order):
        adapter = Adapter(self, order["name"])
        for key, name in (("address", "Address"), ("address_type", "AddressType"), ("modalias", "Modalias")):
            if key in order:
                adapter.properties[name] = dbus.String(order[key])
        adapter.properties["Powered"] = dbus.Boolean(order.get("powered", True))
        self.adapters[order["name"]] = adapter
        adapter.show()

    def do_remove_adapter(self, order):
        adapter = self.adapters.pop(order["name"])
        for address, device in list(self.devices.items()):
            if device.adapter is adapter:
                device.stop()
                device.hide()
                del self.devices[address]
        adapter.hide()

    def do_set(self, order):
        self.adapters[order["name"]].power(order["powered"])

    def do_device(self, order):
        address = order["address"]
        if address not in self.devices:
            adapter = self.adapters[order.get("adapter", "hci0")]
            self.devices[address] = Device(self, adapter, address)
        self.devices[address].told(order)

    def do_advertise(self, order):
        device = self.devices[order["address"]]
        device.take_data(order)
        for _ in range(order.get("times", 1)):
            device.advertise()

    def do_remove_device(self, order):
        self.devices[order["address"]].forget()

    def do_flood(self, order):
        adapter, many = self.adapters[order.get("adapter", "hci0")], order.get("addresses", 200)
        left, rssi = [int(order["per_s"] * order["seconds"])], order.get("rssi", -90)

        def burst():
            for _ in range(max(1, order["per_s"] // 100)):
                if left[0] <= 0:
                    self.flooding -= 1
                    return False
                left[0] -= 1
                self.stranger(adapter, left[0] % many, rssi, left[0] if order.get("data") else None)
            return True
        self.flooding += 1
        GLib.timeout_add(10, burst)

    def stranger(self, adapter, which, rssi, payload):
        address = f"D0:{which >> 8 & 255:02X}:{which & 255:02X}:00:00:01"
        if address not in self.devices:
            self.devices[address] = Device(self, adapter, address)
            self.devices[address].stranger = True
        device = self.devices[address]
        device.rssi = rssi if device.rssi != rssi else rssi - 1  # each time another
        if payload is not None:
            device.take_data({"manufacturer": {"ffff": f"{payload:08x}"}})
        device.advertise()

    def do_fail(self, order):
        self.faults[order["method"]] = {"what": error(order["error"], order.get("message", "")),
                                        "times": order.get("times", 1)}

    def do_hang(self, order):
        self.faults[order["method"]] = {"what": "hang", "times": order.get("times", 1)}

    def do_die_at(self, order):
        self.faults[order["method"]] = {"what": "die", "times": 1}

    def do_die(self, order):
        self.die()

    def do_return(self, order):
        self.back()

    def do_calls(self, order):
        calls, self.calls = self.calls, []
        return {"calls": calls}

    def do_typed(self, order):
        self.devices[order["address"]].typed(order["passkey"])

    def do_call_agent(self, order):
        agent, name = next(iter(self.agents.values())), order["method"]
        takes, args = {"AuthorizeService": ("os", [uuid("1810")]),
                       "RequestConfirmation": ("ou", [dbus.UInt32(1)]),
                       "Cancel": ("", []), "Release": ("", [])}.get(name, ("o", []))
        if takes:
            args.insert(0, dbus.ObjectPath(self.devices[order["address"]].path))
        self.connection.call_async(agent.owner, agent.path, "org.bluez.Agent1", name, takes, args,
                                   lambda *_: self.note("answered." + name, agent.path, [""]),
                                   lambda e: self.note("answered." + name, agent.path, [e.get_dbus_name()]))

    def do_odd(self, order):
        device = self.devices[order["address"]]
        device.PropertiesChanged(device.interface, dbus.Dictionary(
            {"RSSI": "loud", "ManufacturerData": dbus.UInt32(7)}, signature="sv"),
                                 dbus.Array([], signature="s"))

    def do_state(self, order):
        return {"alive": bool(self.connection), "flooding": bool(self.flooding),
                "discovered_while_pairing": self.discovered_while_pairing,
                "adapters": {name: {"powered": bool(a.properties["Powered"]), "sessions": len(a.sessions),
                                    "filters": plain(list(a.filters.values()))}
                             for name, a in self.adapters.items()},
                "devices": {address: {"shown": d.shown, "paired": bool(d.properties["Paired"]),
                                      "connected": bool(d.properties["Connected"]),
                                      "trusted": bool(d.properties["Trusted"]), "pairing": bool(d.pairing)}
                            for address, d in self.devices.items() if not d.stranger},
                "strangers": sum(d.stranger and d.shown for d in self.devices.values()),
                "agents": [a.capability for a in self.agents.values()],
                "default_agent": bool(self.default_agent)}


def main():
    DBusGMainLoop(set_as_default=True)
    World(sys.argv[1])
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
