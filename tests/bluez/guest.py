# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Bluetooth tests share inside the guest: TAP lines, the Bluetooth stack, the broker, the
gateway under test and the meters. Everything here runs as root in a machine that is thrown away, so
fixed paths are good enough; logs go to /out, which the host keeps.
"""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import dbus

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
OUT = "/out"
RUN = "/run/vg"
CONFIG = RUN + "/vitalgate.yaml"
TOPIC = "vg/v1/demo/village/gw-0001"
SLOW_MS = RUN + "/slow_ms"
SYNCS = OUT + "/syncs.jsonl"
BLUETOOTHD = "/usr/libexec/bluetooth/bluetoothd"
PATIENCE_S = 30


class CannotRun(Exception):
    """The rig is at fault, not what it tests."""


class Failed(Exception):
    """A test cannot go on."""


class Died(Exception):
    """A process that every further test needs has ended."""


def boot_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def wait_for(what, predicate, timeout_s=PATIENCE_S):
    """Polls until the predicate gives something true, and returns that."""
    end = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        Process.check_needed()
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {timeout_s} s")
        time.sleep(0.1)


def json_lines(path):
    try:
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("}\n")]
    except FileNotFoundError:
        return []


def check(name, ok, *diagnosis):
    print(("ok - " if ok else "not ok - ") + name)
    for line in diagnosis if not ok else ():
        print("# " + str(line).replace("\n", "\n# "))
    sys.stdout.flush()
    return ok


def run_tests(tests):
    """Runs each (name, function); a function checks by itself or raises Failed."""
    for name, test in tests:
        print(f"# {name}, {boot_us() / 1e6:.1f} s after boot", flush=True)
        try:
            test()
        except Failed as e:
            check(name, False, e)
        except Died as e:
            check(f"{name}; the tests after it cannot run", False, e)
            return
        except Exception as e:  # one broken test must not hide the others
            check(name, False, f"{type(e).__name__}: {e}")


class Process:
    """A program whose output goes to /out/NAME.log, or to `data` and its complaints to the log."""

    needed = []  # those that nobody may miss

    def __init__(self, name, *command, env=None, stdin=subprocess.DEVNULL, data=None, needed=False):
        self.name, self.log = name, f"{OUT}/{name}.log"
        with open(self.log, "ab") as log, open(data or self.log, "ab") as out:
            self.child = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=log,
                                          env={**os.environ, **(env or {})})
        if needed:
            Process.needed.append(self)

    @staticmethod
    def check_needed():
        for p in Process.needed:
            if not p.running():
                with open(p.log, encoding="utf-8", errors="replace") as f:
                    raise Died(f"{p.name} ended ({p.child.returncode})\n{f.read()[-3000:]}")

    def running(self):
        return self.child.poll() is None

    def stop(self, how=signal.SIGTERM, timeout_s=20):
        if self in Process.needed:
            Process.needed.remove(self)
        if self.running():
            self.child.send_signal(how)
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failed(f"{self.name} did not stop within {timeout_s} s") from None


class Stack:
    """System bus, btvirt with its virtual controllers, bluetoothd."""

    def __init__(self, controllers, *btvirt, emulator="btvirt"):
        self.emulator = self.daemon = None
        self.program = emulator
        os.makedirs("/run/dbus", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib/bluetooth"], check=True)
        # Two BlueZ ends would open EATT channels; no meter has them, and confirmations go astray.
        main = "/etc/bluetooth/main.conf"
        with open(main, encoding="utf-8") as f:
            text = re.sub(r"(?m)^#?Channels = .*", "Channels = 1", f.read())
        with open(main, "w", encoding="utf-8") as f:
            f.write(text)
        subprocess.run(["dbus-daemon", "--system", "--fork"], check=True)
        self.bus = dbus.SystemBus()
        # Paged in beforehand: the kernel gives a controller two seconds for its first command.
        subprocess.run([self.program, "--help"], stdout=subprocess.DEVNULL, check=True)
        for _ in range(4):
            if self._start(controllers, btvirt):
                return
            self.emulator.stop(signal.SIGKILL)
        raise CannotRun("the virtual controllers did not come up (is the machine overloaded?)")

    def _start(self, controllers, btvirt):
        self.emulator = Process("btvirt", self.program, *btvirt)
        try:
            wait_for("controllers", lambda: self._initialised() >= controllers, 6)
        except Failed:
            pass
        if not self.daemon:
            self.start_bluetoothd()
        try:
            wait_for("adapters", lambda: self.powered() >= controllers, 10)
        except Failed:
            return False
        return True

    @staticmethod
    def _initialised():
        listing = subprocess.run(["hciconfig"], capture_output=True, text=True, check=False).stdout
        return listing.count("BD Address: 00:AA")

    def start_bluetoothd(self):
        self.daemon = Process("bluetoothd", BLUETOOTHD, "-n", "-d")

    def stop_bluetoothd(self, how=signal.SIGTERM):
        self.daemon.stop(how)

    def objects(self, interface):
        try:
            root = dbus.Interface(self.bus.get_object("org.bluez", "/"),
                                  "org.freedesktop.DBus.ObjectManager")
            return {path: i[interface] for path, i in root.GetManagedObjects().items()
                    if interface in i}
        except dbus.DBusException:
            return {}

    def powered(self):
        return sum(bool(a["Powered"]) for a in self.objects("org.bluez.Adapter1").values())

    def power(self, adapter, on):
        properties = dbus.Interface(self.bus.get_object("org.bluez", "/org/bluez/" + adapter),
                                    "org.freedesktop.DBus.Properties")

        def done():
            try:
                properties.Set("org.bluez.Adapter1", "Powered", on)
                return True
            except dbus.DBusException as e:
                if e.get_dbus_name() != "org.bluez.Error.Busy":
                    raise
                return False
        wait_for(f"{adapter} {'on' if on else 'off'}", done)

    @staticmethod
    def btmgmt(adapter, *words):
        """It says nothing without a terminal."""
        line = " ".join(("btmgmt", "--index", adapter.removeprefix("hci"), *words))
        subprocess.run(["script", "-qec", line, "/dev/null"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, check=True)

    @staticmethod
    def answer_pages(adapter, yes):
        """What a classic device does while it is switched on."""
        subprocess.run(["hciconfig", adapter, "pscan" if yes else "noscan"], check=True)

    def address(self, adapter):
        return str(self.objects("org.bluez.Adapter1")["/org/bluez/" + adapter]["Address"])

    def peers(self, adapter, state):
        """Addresses of the devices that are "Paired" or "Connected"."""
        return [str(d["Address"]) for path, d in self.objects("org.bluez.Device1").items()
                if path.startswith("/org/bluez/" + adapter + "/") and d[state]]

    def forget(self, adapter, address):
        """Removes a device and its bond."""
        path = "/org/bluez/" + adapter
        dbus.Interface(self.bus.get_object("org.bluez", path), "org.bluez.Adapter1").RemoveDevice(
            f"{path}/dev_{address.replace(':', '_')}")

    def wait_unlinked(self, adapter):
        wait_for("link down", lambda: not self.peers(adapter, "Connected"))


class Broker:
    """mosquitto on loopback and one subscriber that writes down everything."""

    def __init__(self):
        with open("/run/mosquitto.conf", "w", encoding="utf-8") as f:
            f.write("listener 1883 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n")
        self.server = Process("mosquitto", "mosquitto", "-c", "/run/mosquitto.conf")
        self.lines = OUT + "/broker.txt"
        wait_for("broker", lambda: subprocess.run(
            ["mosquitto_pub", "-t", "hello", "-m", "1"], capture_output=True, check=False
        ).returncode == 0)
        self.subscriber = Process("mosquitto_sub", "mosquitto_sub", "-q", "1", "-t", TOPIC + "/#",
                                  "-F", "%t %p", data=self.lines)

    def messages(self, topic):
        """Payloads of one topic below the gateway's."""
        found = []
        with open(self.lines, encoding="utf-8") as f:
            for line in f:
                name, _, payload = line.partition(" ")
                if name == f"{TOPIC}/{topic}" and payload.endswith("\n"):
                    found.append(json.loads(payload))
        return found

    def readings(self, record):
        """What arrived of one record, once for each (id, revision), as a platform would keep it."""
        rows = [r for m in self.messages("up/reading") for r in m["readings"]]
        kept = {(r["id"], r["revision"]): r for r in rows if record.matches(r)}
        return list(kept.values())


def pressure(row):
    """(systolic, diastolic) of a reading, as the gateway writes them; None for something else."""
    values = row["values"]
    return (values["bp.sbp"]["value"], values["bp.dbp"]["value"]) if "bp.sbp" in values else None


def identity(rows):
    return sorted((r["id"], r["revision"]) for r in rows)


def yaml(value):
    return str(value).lower() if isinstance(value, bool) else json.dumps(value)


def cuff(address, **more):
    """One of the devices that a Gateway is configured with."""
    return {"id": "cuff-1", "driver": "bt_blp", "transport": "ble", "address": address,
            "adapter": "hci0", **more}


class Gateway:
    """vitalgated and its uplink. `slowdisk`: path of the shim, see slowdisk.c."""

    def __init__(self, build, *devices, slowdisk=None):
        self.build, self.slowdisk = build, slowdisk
        self.device = devices[0]["id"] if devices else None
        self.core = self.uplink = None
        os.makedirs(RUN + "/store", exist_ok=True)
        os.makedirs(RUN + "/run", exist_ok=True)
        lines = [", ".join(f"{key}: {yaml(value)}" for key, value in d.items()) for d in devices]
        with open(CONFIG, "w", encoding="utf-8") as f:
            f.write("\n".join([
                "version: 1", "org: demo", "site: village", "gateway: gw-0001",
                "zone: Asia/Shanghai", "site_contact: S-0001",
                f"paths: {{store: {RUN}/store, runtime: {RUN}/run, tables: {REPOSITORY}/config}}",
                "sinks:", "  - {name: platform, host: 127.0.0.1, port: 1883, receipt: broker}",
                *(["devices:"] if lines else []), *(f"  - {{{line}}}" for line in lines), ""]))

    def start(self):
        env = {}
        if self.slowdisk:
            env = {"LD_PRELOAD": self.slowdisk, "SLOWDISK_MS": SLOW_MS, "SLOWDISK_LOG": SYNCS}
        self.core = Process("vitalgated", self.build + "/vitalgated", "--config", CONFIG, env=env,
                            needed=True)
        wait_for("control socket", lambda: self.ask("status") is not None)
        self.uplink = Process("vitalgate-uplink", self.build + "/vitalgate-uplink",
                              "--config", CONFIG, needed=True)

    def stop(self):
        self.uplink.stop()
        return self.core.stop()

    def kill(self):
        self.uplink.stop(signal.SIGKILL)
        self.core.stop(signal.SIGKILL)

    def alive(self):
        return self.core.running() and self.uplink.running()

    def ask(self, *words):
        """Answer of `vitalgate WORDS --json`, or None."""
        answer = subprocess.run([self.build + "/vitalgate", "--config", CONFIG, *words, "--json"],
                                capture_output=True, text=True, timeout=30, check=False)
        return None if answer.returncode else json.loads(answer.stdout)

    def readings(self, record=None):
        """All rows, or those of one record of a meter."""
        rows = self.ask("readings")["readings"]
        return [r for r in rows if record is None or record.matches(r)]

    def state(self, device=None):
        return self.ask("devices")["live"][device or self.device]["state"]

    def logged(self, words):
        """Lines of the log with these words."""
        with open(self.core.log, encoding="utf-8") as f:
            return [line.rstrip() for line in f if words in line]


class Record:
    """One measurement as 0x2A35 carries it: mmHg, time, pulse, user 1, status 0."""

    made = 0

    def __init__(self):
        n = Record.made
        Record.made += 1
        self.pressure = (120 + n, 70 + n)
        body = bytes([0x1E]) + b"".join(v.to_bytes(2, "little") for v in (*self.pressure, 93))
        body += (2026).to_bytes(2, "little") + bytes([5, 1 + n // 24, n % 24, 30, 0])
        body += (72).to_bytes(2, "little") + bytes([1, 0, 0])
        self.hex = body.hex()

    def __str__(self):
        return "{}/{}".format(*self.pressure)

    def matches(self, row):
        return pressure(row) == self.pressure


class LabResult:
    """One glucose result as an analyser's message, H to L (LIS02-A2)."""

    made = 0

    def __init__(self):
        n = LabResult.made
        LabResult.made += 1
        self.value = f"{4 + n / 10:.1f}"
        moment = f"202605{1 + n // 24:02}{n % 24:02}3000"
        self.hex = "\r".join([
            f"H|\\^&|||SPP^1.0^SN-SPP-0001|||||||P|LIS2-A2|{moment}", "P|1",
            f"O|1|SP-{n}||^^^GLU|R|{moment}|||||N||||||||||||||F",
            f"R|1|^^^GLU|{self.value}|mmol/L||||F||||{moment}", "L|1|N", ""]).encode().hex()

    def __str__(self):
        return self.value

    def matches(self, row):
        glucose = row["values"].get("glu.random")
        return bool(glucose) and str(glucose["value"]) == self.value


class Meter(Process):
    """A meter's process and what it reported."""

    count = 0

    def __init__(self, script, *arguments, stdin=subprocess.DEVNULL, env=None):
        Meter.count += 1
        name = f"meter-{Meter.count}"
        self.seen = f"{OUT}/{name}.jsonl"
        super().__init__(name, "/usr/bin/python3", f"{HERE}/{script}", *arguments, stdin=stdin,
                         data=self.seen, env=env)

    def events(self, what, record=None):
        return [e for e in json_lines(self.seen)
                if e["what"] == what and (record is None or e["hex"] == record.hex)]

    def wait(self, what, record=None, count=1, timeout_s=PATIENCE_S):
        def there():
            ended = self.child.poll()  # asked first: what it said before its end counts
            found = self.events(what, record)
            if len(found) >= count:
                return found[count - 1]
            if ended:
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    raise Failed(f"{self.name} ended ({ended})\n{f.read()[-2000:]}")
            return None
        return wait_for(f"{self.name}: {what}{f' of {record}' if record else ''}", there, timeout_s)

    def wait_off(self, timeout_s=PATIENCE_S):
        wait_for(f"{self.name} off", lambda: not self.running(), timeout_s)

    def tell(self, line):
        try:
            self.child.stdin.write(line.encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name} has ended") from None


def raw_meter(records, *options):
    arguments = [a for r in records for a in ("--record", r.hex)]
    return Meter("rawmeter.py", *arguments, *options)


@contextlib.contextmanager
def slow_disk(delay_s):
    """For a gateway that was made with the shim."""
    with open(SLOW_MS, "w", encoding="ascii") as f:
        f.write(str(delay_s * 1000))
    try:
        yield
    finally:
        os.unlink(SLOW_MS)


def syncs_between(begin_us, end_us):
    """Complete fsync/fdatasync calls on the store within an interval."""
    return [s for s in json_lines(SYNCS) if s["file"].startswith(RUN + "/store")
            and begin_us <= s["begun_us"] and s["done_us"] <= end_us]


def check_delivered(name, gateway, broker, meter, record):
    """Stored once, confirmed after its COMMIT, forwarded. Judged by the meter's clock."""
    confirmed = meter.wait("confirmed", record)
    indicated = [e for e in meter.events("indicated", record)
                 if e["boot_us"] < confirmed["boot_us"]]
    rows = gateway.readings(record)
    check(f"{name}: stored once", len(rows) == 1, f"rows: {rows}", f"all: {gateway.readings()}")
    committed = [r["committed_boot_us"] for r in rows]
    # A repeat is confirmed because of the row that is there already: the first indication counts.
    check(f"{name}: confirmed after its commit",
          rows and all(indicated[0]["boot_us"] <= c <= confirmed["boot_us"] for c in committed),
          f"indicated {indicated[0]['boot_us']}, committed {committed}, "
          f"confirmed {confirmed['boot_us']}")
    if gateway.slowdisk:
        check(f"{name}: on disk between indication and confirmation",
              syncs_between(indicated[0]["boot_us"], confirmed["boot_us"]),
              f"no sync of the store in {indicated[0]['boot_us']}..{confirmed['boot_us']}")
    check(f"{name}: no confirmation without an indication", not meter.events("unexpected-confirm"))
    wanted = identity(rows)
    try:
        wait_for("message", lambda: identity(broker.readings(record)) == wanted)
    except Failed:
        pass
    check(f"{name}: forwarded to the broker", rows and identity(broker.readings(record)) == wanted,
          f"stored {wanted}, at the broker {broker.readings(record)}")
    return indicated, confirmed


def main(scenario):
    """Runs a scenario: build folder in argv[1], btvirt with its handles mended in argv[2]. 77: the rig
    could not be brought up."""
    try:
        return scenario(*sys.argv[1:])
    except CannotRun as e:
        print(f"# cannot run: {e}", flush=True)
        return 77
