# SPDX-License-Identifier: GPL-3.0-or-later
"""What vitalgate costs while nothing happens with 30 devices: wake-ups and memory, with TLS or not.

    10 serial lines that are open and silent, 10 serial ports that are not there,
     5 BLE cuffs (simulated) on links that stay, silent, 5 Modbus TCP devices polled once a minute

Before that 100 readings went through, so that all that a reading needs is in memory. And with 30
enrolled BLE cuffs, of which 5 stay connected and 25 are away, beside a fake bluetoothd (asked for
by ble.py).
"""
import json
import os
import re
import socket
import subprocess
import time
from collections import Counter

from harness import PYTHON, SIM, Site, listens, wait_until

from ends import Analysers, cpu_us, memory_kib, wakeups
from peers import write_profile
from pipeline import IN_MESSAGE, begin, start_floor, tty

LINES, ABSENT, CUFFS, SLAVES = 10, 10, 5, 5
ENROLLED, NEAR = 30, 5  # BLE cuffs; of them, on links that stay
BUS = ("<busconfig><type>system</type><listen>unix:path={dir}/bus</listen>"
       '<policy context="default"><allow send_destination="*"/>'
       '<allow eavesdrop="true"/><allow own="*"/><allow send_type="signal"/></policy></busconfig>')


class IdleSite(Site):
    """With `tls` both ends show certificates, P-256."""

    def __init__(self, tls):
        self.tls = tls
        super().__init__(receipt="broker", host="localhost" if tls else "127.0.0.1")
        if tls:
            self.make_certificates()
            with open(self.path("mosquitto.conf"), "a", encoding="ascii") as f:
                f.write(f"cafile {self.dir}/ca.crt\ncertfile {self.dir}/server.crt\n"
                        f"keyfile {self.dir}/server.key\nrequire_certificate true\n"
                        "user root\n")

    def write_config(self, devices):
        super().write_config(devices)
        if not self.tls:
            return
        with open(self.config, encoding="utf-8") as f:
            text = f.read()
        tls = ", ".join(f'"{key}": "{self.dir}/{name}"' for key, name in
                        (("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key")))
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text.replace('"receipt":', f'"tls": {{{tls}}}, "receipt":'))

    def make_certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], cwd=self.dir, check=True, capture_output=True)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        openssl("req", "-x509", *key, "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.crt")
        for name in ("server", "client"):
            openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-CA", "ca.crt",
                    "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{name}.key",
                    "-out", f"{name}.crt")


def thirty(site):
    """The instruments, started, and the 30 devices."""
    for i in range(CUFFS):
        site.cuff(f"cuff-{i}", "--always", "--idle", "0")
    site.start("modbus", [PYTHON, SIM + "/modbus.py", "--ledger", site.path("modbus.ledger"),
                          "--tcp", "0", "--slaves", f"{SLAVES}:stamp"])
    first = int(wait_until(lambda: re.findall(r"port (\d+)\n", site.log("modbus")))[0])
    write_profile(site, 1)
    return ([tty(f"lab-{i}") for i in range(LINES)] + [tty(f"absent-{i}") for i in range(ABSENT)]
            + [{"id": f"cuff-{i}", "driver": "bt_blp", "transport": "ble",
                "address": f"unix:{{dir}}/cuff-{i}.sock"} for i in range(CUFFS)]
            + [{"id": f"m-{i}", "driver": "bench_stamp", "transport": "modbus",
                "address": f"tcp:127.0.0.1:{first + i}"} for i in range(SLAVES)])


def send(site, sender, *order):
    sender.order(*order)
    sender.started()
    sender.sent()
    wait_until(lambda: site.outbox() == 0, 60)


def begin_idle(site):
    """Everything is up and has been used once; returns the sender."""
    site.write_config(thirty(site))
    sender = Analysers(site, [site.path(f"lab-{i}.tty") for i in range(LINES)])
    begin(site)
    wait_until(lambda: all(f"m-{i}: connected" in site.log("core") for i in range(SLAVES)))
    send(site, sender, 1, 1, "message", 100, 1)
    time.sleep(3)
    return sender


def memory_of(site):
    found = [memory_kib(site.processes[name].pid) for name in ("core", "uplink")]
    return {key: [m[key] for m in found] for key in found[0]}


def watch(site, seconds, names):
    """Voluntary context switches and microseconds of CPU, a second, of each."""
    def look():
        return {n: (wakeups(site.processes[n].pid), cpu_us(site.processes[n].pid)) for n in names}

    before, begun = look(), time.monotonic()
    time.sleep(seconds)
    after, span = look(), time.monotonic() - begun
    return {n: [(b - a) / span for a, b in zip(before[n], after[n])] for n in names}


def measure_idle(table, tls, seconds):
    """The floor has a broker and no lines: paho alone. It runs beside after the memory was read."""
    what = "with TLS" if tls else "without TLS"
    with IdleSite(tls) as site:
        sender = begin_idle(site)
        states = Counter(d["state"] for d in site.cli("status")["live"].values())
        memory = {"idle": memory_of(site)}
        names = ["core", "uplink"]
        if not tls:     # the floor speaks no TLS
            start_floor(site, [])
            time.sleep(3)
            names.append("floor")
        rates = watch(site, seconds, names)
        site.kill("floor")
        send(site, sender, 4, IN_MESSAGE, "message", 0, 0.5)
        memory["after a flood"] = memory_of(site)
        sender.close()
    floor = rates.get("floor", [None, None])
    table.head(f"30 devices {what}, {seconds} s: "
               + ", ".join(f"{n} {state}" for state, n in states.items()))
    for i, text, unit in ((0, "wake-ups", "1/s"), (1, "CPU", "us/s")):
        for name in ("core", "uplink"):
            table.add(f"{name}: {text}", unit, floor[i], rates[name][i])
    for when, of in memory.items():
        for key in ("pss", "rss", "anon"):
            table.add(f"{key} {when}, core + uplink", "KiB", None, sum(of[key]), None,
                      "core {} + uplink {}".format(*of[key]))
    if tls:
        wakes = rates["core"][0] + rates["uplink"][0]
        table.aim(f"30 devices {what}, idle: wake-ups of core and uplink", "1/s", 4.5, wakes)
        for when, of in memory.items():
            table.aim(f"30 devices {what}, {when}: PSS of core and uplink", "MB", 14,
                      sum(of["pss"]) * 1024 / 1e6)


# Enrolled BLE devices

def address(i):
    return f"C0:00:00:00:00:{i:02X}"


class AirSite(Site):
    """Cuffs with addresses, in a folder that stands for the air, and a bluetoothd with one adapter
    on a bus of its own."""

    def __init__(self):
        super().__init__(receipt="broker", devices=[
            {"id": f"cuff-{i}", "driver": "bt_blp", "transport": "ble", "address": address(i),
             "random_address": True} for i in range(ENROLLED)])
        self.bus = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/bus"}
        self.away = []

    def open(self):
        os.mkdir(self.path("air"))
        self.away = [self.listen_to_nobody(address(i)) for i in range(NEAR, ENROLLED)]
        for i in range(NEAR):
            self.instrument("cuff", f"cuff-{i}", "--listen", self.path("air/" + address(i)),
                            "--state", self.path(f"cuff-{i}.state"), "--always", "--idle", "0")
        with open(self.path("bus.conf"), "w", encoding="ascii") as f:
            f.write(BUS.format(dir=self.dir))
        self.start("bus", ["dbus-daemon", f"--config-file={self.dir}/bus.conf", "--nofork",
                           "--nopidfile"])
        wait_until(lambda: listens(self.path("bus")))
        self.start("bluetoothd", [PYTHON, SIM + "/fake_bluez.py", self.path("bluez")], self.bus)
        wait_until(lambda: listens(self.path("bluez")))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path("bluez"))
            s.send(json.dumps({"do": "adapter", "name": "hci0"}).encode() + b"\n")
            s.recv(4096)
        begin(self)

    def listen_to_nobody(self, name):
        """A device that is away: a connect to it finds no room, now and later."""
        listener, first = (socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2))
        listener.bind(self.path("air/" + name))
        listener.listen(0)
        first.connect(self.path("air/" + name))
        return listener, first

    def core(self, env=None, prefix=(), options=()):
        return super().core({**self.bus, "VITALGATE_AIR": self.path("air"), **(env or {})}, prefix,
                            options)

    def close(self, keep=False):
        for pair in self.away:
            for s in pair:
                s.close()
        super().close(keep)


def enrolled(table, seconds, settle):
    """A connect to a device that is away waits, as the kernel's does, in turns of some seconds when
    many do."""
    with AirSite() as site:
        site.open()
        wait_until(lambda: all(f"cuff-{i}: connected" in site.log("core") for i in range(NEAR)))
        time.sleep(settle)
        states = Counter(d["state"] for d in site.cli("status")["live"].values())
        memory = memory_of(site)
        start_floor(site, [])
        time.sleep(1)
        rates = watch(site, seconds, ["core", "uplink", "floor"])
    table.head(f"{ENROLLED} enrolled BLE devices, {seconds} s: "
               + ", ".join(f"{n} {state}" for state, n in states.items()))
    for i, text, unit in ((0, "wake-ups", "1/s"), (1, "CPU", "us/s")):
        for name in ("core", "uplink"):
            table.add(f"{name}: {text}", unit, rates["floor"][i], rates[name][i])
    for key in ("pss", "rss", "anon"):
        table.add(f"{key}, core + uplink", "KiB", None, sum(memory[key]), None,
                  "core {} + uplink {}".format(*memory[key]))
    table.aim(f"{ENROLLED} enrolled BLE devices, idle: wake-ups of core and uplink", "1/s", 4.5,
              rates["core"][0] + rates["uplink"][0])
    table.aim(f"{ENROLLED} enrolled BLE devices, idle: PSS of core and uplink", "MB", 14,
              sum(memory["pss"]) * 1024 / 1e6)


def idle(table, options):
    measure_idle(table, True, 3 if options.quick else 20)
    if not options.quick:
        measure_idle(table, False, 10)
