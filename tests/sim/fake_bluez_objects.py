# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that fake_bluez.py shows on the bus: adapters, devices, agents.

From BlueZ's own description of its interfaces: doc/adapter-api.txt, device-api.txt, agent-api.txt of 5.66."""
import dbus
import dbus.service
from gi.repository import GLib

ERROR = "org.bluez.Error."
PROPERTIES = "org.freedesktop.DBus.Properties"
MANAGER = "org.freedesktop.DBus.ObjectManager"
TEMPORARY_S = 30  # main.conf: TemporaryTimeout
# v: Linux Foundation, p: BlueZ, d: version 5.66 (src/main.c, init_defaults)
MODALIAS_5_66 = "usb:v1D6Bp0246d0542"
AGENT_PATIENCE_S = 60


def error(name, message=""):
    if "." not in name:
        name = ERROR + name
    return dbus.DBusException(message or name, name=name)


def uuid(short):
    return short if len(short) > 8 else f"{int(short, 16):08x}-0000-1000-8000-00805f9b34fb"


def octets(text):
    return dbus.Array(bytes.fromhex(text), signature="y", variant_level=1)


def method(interface, takes="", gives=""):
    """A D-Bus method whose body gets (self, args, sender, ok, fail); faults on order come first."""
    def decorate(body):
        def enter(self, *args):
            *args, sender, ok, fail = args
            self.world.note(body.__name__, self.path, args)
            fault = self.world.fault(body.__name__)
            if fault == "die":
                self.world.die()
            elif fault == "hang":
                self.world.hung.append((ok, fail))
            elif fault:
                fail(fault)
            else:
                try:
                    body(self, args, sender, ok, fail)
                except dbus.DBusException as e:
                    fail(e)

        # dbus-python wants to see arguments with names.
        names = [f"arg{i}" for i, _ in enumerate(dbus.Signature(takes))]
        shell = eval(f"lambda {', '.join(['self', *names, 'sender=None', 'ok=None', 'fail=None'])}: "
                     f"enter({', '.join(['self', *names, 'sender', 'ok', 'fail'])})", {"enter": enter})
        shell.__name__ = body.__name__
        return dbus.service.method(interface, in_signature=takes, out_signature=gives,
                                   sender_keyword="sender", async_callbacks=("ok", "fail"))(shell)
    return decorate


class Thing(dbus.service.Object):
    """An object with one interface of properties."""
    interface = None
    SUPPORTS_MULTIPLE_CONNECTIONS = True  # one after the other: bluetoothd comes back under another name

    def __init__(self, world, path):
        super().__init__()
        self.world, self.path, self.shown = world, path, False
        self.properties = {}

    def show(self):
        if self.shown or not self.world.connection:
            return
        self.shown = True
        self.add_to_connection(self.world.connection, self.path)
        self.world.root.InterfacesAdded(dbus.ObjectPath(self.path), self.interfaces())

    def hide(self, tell=True):
        if not self.shown:
            return
        self.shown = False
        self.remove_from_connection()
        if tell:
            self.world.root.InterfacesRemoved(dbus.ObjectPath(self.path), [self.interface, PROPERTIES])

    def interfaces(self):
        return dbus.Dictionary({self.interface: dbus.Dictionary(self.properties, signature="sv"),
                                PROPERTIES: dbus.Dictionary({}, signature="sv")}, signature="sa{sv}")

    def change(self, values, gone=()):
        self.properties.update(values)
        for name in gone:
            self.properties.pop(name, None)
        if self.shown and (values or gone):
            self.PropertiesChanged(self.interface, dbus.Dictionary(values, signature="sv"),
                                   dbus.Array(gone, signature="s"))

    @dbus.service.signal(PROPERTIES, signature="sa{sv}as")
    def PropertiesChanged(self, interface, changed, invalidated):
        pass

    @method(PROPERTIES, "s", "a{sv}")
    def GetAll(self, args, sender, ok, fail):
        ok(dbus.Dictionary(self.properties, signature="sv"))

    @method(PROPERTIES, "ss", "v")
    def Get(self, args, sender, ok, fail):
        if args[1] not in self.properties:
            raise error("org.freedesktop.DBus.Error.InvalidArgs", "No such property")
        ok(self.properties[args[1]])

    @method(PROPERTIES, "ssv", "")
    def Set(self, args, sender, ok, fail):
        self.set_by_client(str(args[1]), args[2])
        ok()

    def set_by_client(self, name, value):
        raise error("org.freedesktop.DBus.Error.PropertyReadOnly", name)


class Adapter(Thing):
    interface = "org.bluez.Adapter1"

    def __init__(self, world, name):
        super().__init__(world, f"/org/bluez/{name}")
        self.filters, self.sessions = {}, set()
        self.properties = dict(Address=dbus.String("00:1A:7D:DA:71:01"), AddressType=dbus.String("public"),
                               Name=dbus.String("gateway"), Alias=dbus.String("gateway"),
                               Class=dbus.UInt32(0),
                               Powered=dbus.Boolean(True), Discoverable=dbus.Boolean(False),
                               Pairable=dbus.Boolean(True), Discovering=dbus.Boolean(False),
                               UUIDs=dbus.Array([], signature="s"), Modalias=dbus.String(MODALIAS_5_66))

    def set_by_client(self, name, value):
        if name != "Powered":
            super().set_by_client(name, value)
        self.power(bool(value))

    def power(self, on):
        if not on:
            self.sessions.clear()
            self.discover()
        self.change({"Powered": dbus.Boolean(on)})

    def discover(self):
        on = bool(self.sessions)
        if on == bool(self.properties["Discovering"]):
            return
        self.change({"Discovering": dbus.Boolean(on)})
        for device in self.world.devices.values():
            if device.adapter is not self:
                continue
            if on and device.every_ms:
                device.advertise()
            elif not on and "RSSI" in device.properties:
                device.change({}, ["RSSI"])

    def duplicates(self):
        return any(f.get("DuplicateData") for who, f in self.filters.items() if who in self.sessions)

    def filtered(self):
        """Then every RSSI is told, else only what is clearly another."""
        return any(who in self.sessions for who in self.filters)

    def client_gone(self, who):
        self.filters.pop(who, None)
        self.sessions.discard(who)
        self.discover()

    def needs_power(self):
        if not self.properties["Powered"]:
            raise error("NotReady", "Resource Not Ready")

    @method("org.bluez.Adapter1", "a{sv}", "")
    def SetDiscoveryFilter(self, args, sender, ok, fail):
        self.needs_power()
        if args[0].get("Transport", "auto") not in ("auto", "le", "bredr"):
            raise error("InvalidArguments", "Invalid arguments in method call")
        self.filters[sender] = args[0]
        ok()

    @method("org.bluez.Adapter1", "", "")
    def StartDiscovery(self, args, sender, ok, fail):
        self.needs_power()
        if sender in self.sessions:
            raise error("InProgress", "Operation already in progress")
        self.world.follow(sender)
        self.sessions.add(sender)
        ok()
        self.discover()

    @method("org.bluez.Adapter1", "", "")
    def StopDiscovery(self, args, sender, ok, fail):
        self.needs_power()
        if sender not in self.sessions:
            raise error("Failed", "No discovery started")
        self.sessions.discard(sender)
        ok()
        self.discover()

    @method("org.bluez.Adapter1", "o", "")
    def RemoveDevice(self, args, sender, ok, fail):
        for device in list(self.world.devices.values()):
            if device.path == args[0] and device.shown:
                device.forget()
                ok()
                return
        raise error("DoesNotExist", "Does Not Exist")


class Device(Thing):
    interface = "org.bluez.Device1"

    def __init__(self, world, adapter, address):
        super().__init__(world, f"{adapter.path}/dev_{address.replace(':', '_')}")
        self.adapter, self.address = adapter, address
        self.every_ms, self.timer, self.expiry, self.pair = 100, 0, 0, {}
        self.rssi, self.advertised = -60, {}
        self.stranger = False
        self.pairing = None  # (ok, fail) of who called Pair
        self.properties = dict(Address=dbus.String(address), AddressType=dbus.String("random"),
                               Alias=dbus.String(address.replace(":", "-")), Paired=dbus.Boolean(False),
                               Trusted=dbus.Boolean(False), Blocked=dbus.Boolean(False),
                               LegacyPairing=dbus.Boolean(False), Connected=dbus.Boolean(False),
                               UUIDs=dbus.Array([], signature="s"), Adapter=dbus.ObjectPath(adapter.path),
                               ServicesResolved=dbus.Boolean(False))

    def told(self, order):
        known = self.properties
        if "name" in order:
            known["Name"] = known["Alias"] = dbus.String(order["name"])
        if "type" in order:
            known["AddressType"] = dbus.String(order["type"])
        if "uuids" in order:
            known["UUIDs"] = dbus.Array([uuid(u) for u in order["uuids"]], signature="s")
        if "bonded" in order:
            known["Paired"] = dbus.Boolean(order["bonded"])
        self.pair = order.get("pair", self.pair)
        self.take_data(order)
        if self.properties["Paired"]:
            self.show()
        if "every_ms" in order or not self.timer:
            self.every_ms = order.get("every_ms", self.every_ms)
            if self.timer:
                GLib.source_remove(self.timer)
            self.timer = GLib.timeout_add(self.every_ms, self.tick) if self.every_ms else 0
            if self.every_ms:
                self.advertise()

    def take_data(self, order):
        self.rssi = order.get("rssi", self.rssi)
        if "manufacturer" in order:
            self.advertised["ManufacturerData"] = dbus.Dictionary(
                {dbus.UInt16(int(k, 16)): octets(v) for k, v in order["manufacturer"].items()},
                signature="qv")
        if "service" in order:
            self.advertised["ServiceData"] = dbus.Dictionary(
                {uuid(k): octets(v) for k, v in order["service"].items()}, signature="sv")

    def tick(self):
        self.advertise()
        return True

    def advertise(self):
        """On the air; bluetoothd shows it only while somebody discovers."""
        if not self.adapter.sessions or self.properties["Connected"] or not self.world.connection:
            return
        heard = dict(self.advertised)
        for name in list(heard):
            if self.shown and not self.adapter.duplicates() and self.properties.get(name) == heard[name]:
                del heard[name]
        if self.properties.get("RSSI") != self.rssi or self.adapter.filtered():
            heard["RSSI"] = dbus.Int16(self.rssi)
        if self.shown:
            self.change(heard)
        else:
            self.properties.update(heard)
            self.show()
        if self.expiry:
            GLib.source_remove(self.expiry)
        self.expiry = GLib.timeout_add_seconds(TEMPORARY_S, self.expire)

    def expire(self):
        self.expiry = 0
        if not self.properties["Paired"] and not self.properties["Connected"]:
            self.hide()
        return False

    def forget(self):
        self.end_pairing(error("AuthenticationCanceled", "Authentication Canceled"))
        self.properties.update(Paired=dbus.Boolean(False), Connected=dbus.Boolean(False),
                               Trusted=dbus.Boolean(False))
        self.properties.pop("RSSI", None)
        self.hide()

    def stop(self):
        for source in (self.timer, self.expiry):
            if source:
                GLib.source_remove(source)
        self.timer = self.expiry = 0

    def set_by_client(self, name, value):
        if name not in ("Trusted", "Blocked", "Alias"):
            super().set_by_client(name, value)
        self.change({name: value})

    @method("org.bluez.Device1", "", "")
    def Connect(self, args, sender, ok, fail):
        self.change({"Connected": dbus.Boolean(True)})
        ok()

    @method("org.bluez.Device1", "", "")
    def Disconnect(self, args, sender, ok, fail):
        if not self.properties["Connected"]:
            raise error("NotConnected", "Not Connected")
        self.change({"Connected": dbus.Boolean(False), "ServicesResolved": dbus.Boolean(False)})
        ok()

    @method("org.bluez.Device1", "", "")
    def CancelPairing(self, args, sender, ok, fail):
        if not self.pairing:
            raise error("DoesNotExist", "Does Not Exist")
        ok()
        self.end_pairing(error("AuthenticationCanceled", "Authentication Canceled"))

    @method("org.bluez.Device1", "", "")
    def Pair(self, args, sender, ok, fail):
        if self.properties["Paired"]:
            raise error("AlreadyExists", "Already Exists")
        if self.pairing:
            raise error("InProgress", "Operation already in progress")
        if self.adapter.sessions:
            self.world.discovered_while_pairing += 1
        self.pairing = (ok, fail)
        self.change({"Connected": dbus.Boolean(True)})
        agent = self.world.agents.get(sender) or self.world.agents.get(self.world.default_agent)
        GLib.timeout_add(self.pair.get("after_ms", 20), self.associate, agent)

    def associate(self, agent):
        """The association model begins: the agent is asked, or not."""
        model, passkey = self.pair.get("model", "just_works"), dbus.UInt32(self.pair.get("passkey", 0))
        me = dbus.ObjectPath(self.path)
        if not self.pairing or self.pair.get("hang"):
            return False
        if self.pair.get("error"):
            self.end_pairing(error(self.pair["error"], self.pair.get("message", "")))
        elif model == "just_works":
            self.paired()
        elif not agent:
            self.end_pairing(error("AuthenticationFailed", "Authentication Failed"))
        elif model == "authorize":
            agent.ask("RequestAuthorization", "o", [me], self.answered, self.refused)
        elif model == "passkey_entry":
            agent.ask("RequestPasskey", "o", [me], self.answered, self.refused)
        elif model == "passkey_display":
            agent.ask("DisplayPasskey", "ouq", [me, passkey, dbus.UInt16(0)], None, self.refused)
        elif model == "compare":
            agent.ask("RequestConfirmation", "ou", [me, passkey], self.answered, self.refused)
        elif model == "pin":
            agent.ask("RequestPinCode", "o", [me], self.answered, self.refused)
        elif model == "pin_display":
            agent.ask("DisplayPinCode", "os", [me, f"{int(passkey):06d}"], None, self.refused)
        return False

    def answered(self, *values):
        wanted = self.pair.get("pin") if self.pair.get("model") == "pin" else self.pair.get("passkey", 0)
        if values and (str(values[0]) if isinstance(wanted, str) else int(values[0])) != wanted:
            self.end_pairing(error("AuthenticationFailed", "Authentication Failed"))
        else:
            self.paired()

    def refused(self, e):
        canceled = e.get_dbus_name() == ERROR + "Canceled"
        self.end_pairing(error("AuthenticationCanceled", "Authentication Canceled") if canceled else
                         error("AuthenticationFailed", "Authentication Failed"))

    def typed(self, passkey):
        if passkey == self.pair.get("passkey", 0):
            self.paired()
        else:
            self.end_pairing(error("AuthenticationFailed", "Authentication Failed"))

    def paired(self):
        if self.pairing:
            if "identity" in self.pair:  # it advertised a private address; the path stays
                self.change({"Address": dbus.String(self.pair["identity"]),
                             "AddressType": dbus.String("public")})
            self.change({"Paired": dbus.Boolean(True), "ServicesResolved": dbus.Boolean(True)})
            self.end_pairing(None)

    def end_pairing(self, e):
        if not self.pairing:
            return
        ok, fail = self.pairing
        self.pairing = None
        if e:
            self.change({"Connected": dbus.Boolean(False)})
            fail(e)
        else:
            ok()


class Agent:
    def __init__(self, world, owner, path, capability):
        self.world, self.owner, self.path, self.capability = world, owner, path, capability

    def ask(self, name, signature, args, answered, refused):
        self.world.note("agent." + name, self.path, args)
        if self.world.fault(name) == "die":
            self.world.die()
            return
        self.world.connection.call_async(self.owner, self.path, "org.bluez.Agent1", name, signature, args,
                                         answered or (lambda *_: None), refused or (lambda _: None),
                                         timeout=AGENT_PATIENCE_S)


class Root(dbus.service.Object):
    """ObjectManager at "/"."""
    SUPPORTS_MULTIPLE_CONNECTIONS = True

    def __init__(self, world):
        super().__init__()
        self.world, self.path = world, "/"

    @dbus.service.signal(MANAGER, signature="oa{sa{sv}}")
    def InterfacesAdded(self, path, interfaces):
        pass

    @dbus.service.signal(MANAGER, signature="oas")
    def InterfacesRemoved(self, path, interfaces):
        pass

    @method(MANAGER, "", "a{oa{sa{sv}}}")
    def GetManagedObjects(self, args, sender, ok, fail):
        things = [*self.world.adapters.values(), *self.world.devices.values()]
        ok(dbus.Dictionary({dbus.ObjectPath(t.path): t.interfaces() for t in things if t.shown},
                           signature="oa{sa{sv}}"))


class AgentManager(dbus.service.Object):
    SUPPORTS_MULTIPLE_CONNECTIONS = True

    def __init__(self, world):
        super().__init__()
        self.world, self.path = world, "/org/bluez"

    @method("org.bluez.AgentManager1", "os", "")
    def RegisterAgent(self, args, sender, ok, fail):
        if sender in self.world.agents:
            raise error("AlreadyExists", "Already Exists")
        if args[1] not in ("", "DisplayOnly", "DisplayYesNo", "KeyboardOnly", "NoInputNoOutput",
                           "KeyboardDisplay"):
            raise error("InvalidArguments", "Invalid arguments in method call")
        self.world.follow(sender)
        self.world.agents[sender] = Agent(self.world, sender, args[0], str(args[1]))
        ok()

    @method("org.bluez.AgentManager1", "o", "")
    def UnregisterAgent(self, args, sender, ok, fail):
        agent = self.world.agents.get(sender)
        if not agent or agent.path != args[0]:
            raise error("DoesNotExist", "Does Not Exist")
        self.world.agent_gone(sender)
        ok()

    @method("org.bluez.AgentManager1", "o", "")
    def RequestDefaultAgent(self, args, sender, ok, fail):
        if sender not in self.world.agents:
            raise error("DoesNotExist", "Does Not Exist")
        self.world.default_agent = sender
        ok()


def plain(value):
    """What D-Bus brought, as JSON has it."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dbus.Boolean):
        return bool(value)
    return int(value) if isinstance(value, int) else str(value)
