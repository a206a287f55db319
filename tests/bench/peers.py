# SPDX-License-Identifier: GPL-3.0-or-later
"""Who polls Modbus TCP devices for the bench: the floor, vitalgate, and what people use instead.

All read the same values of each device "stamp" of tests/sim/modbus.py: the stamp in input registers
0 and 1, microseconds of CLOCK_MONOTONIC at the answer, and one to six of the registers that follow.
All publish them with QoS 1. Only vitalgate stores them. collectd asks for each value on its own and
sends a message for each. The flow for Node-RED follows its nodes' published examples.
"""
import json
import os
import shutil

from harness import free_port, wait_until

from ends import OUT

PROFILE = """version: 1
bus: registers
title: Bench
title_zh: Bench
source: tests/sim/modbus.py, stamp
kind: environment
items:
  - {name: stamp, fc: 4, addr: 0, type: uint32}
"""
ITEMS = [
    "{name: pressure, fc: 4, addr: 2, type: uint16, unit: kPa, code: env.gas_pressure}",
    '{name: gas, fc: 4, addr: 3, type: uint16, scale: 0.01, unit: "%", code: env.gas}',
    "{name: temp, fc: 4, addr: 4, type: int16, scale: 0.01, unit: Cel, code: env.temp}",
    '{name: humidity, fc: 4, addr: 5, type: uint16, scale: 0.01, unit: "%", code: env.humidity}',
    "{name: hours, fc: 4, addr: 6, type: uint16}",
    "{name: serial, fc: 4, addr: 7, type: uint16}"]

COLLECTD = """BaseDir "{dir}"
PIDFile "{dir}/collectd.pid"
TypesDB "/usr/share/collectd/types.db"
Interval {seconds}
FQDNLookup false
LoadPlugin modbus
LoadPlugin mqtt
<Plugin modbus>
  <Data "stamp">
    RegisterBase 0
    RegisterType Uint32
    RegisterCmd ReadInput
    Type gauge
    Instance "stamp"
  </Data>
{data}{hosts}</Plugin>
<Plugin mqtt>
  <Publish "bench">
    Host "127.0.0.1"
    Port {port}
    ClientId "collectd"
    QoS 1
    Prefix "bench/collectd"
    StoreRates false
  </Publish>
</Plugin>
"""

COLLECTD_DATA = """  <Data "v{register}">
    RegisterBase {register}
    RegisterType Uint16
    RegisterCmd ReadInput
    Type gauge
    Instance "v{register}"
  </Data>
"""

COLLECTD_HOST = """  <Host "m-{number}">
    Address "127.0.0.1"
    Port "{port}"
    Interval {seconds}
    <Slave 1>
      Instance "one"
      Collect "stamp"
{collect}    </Slave>
  </Host>
"""


def write_profile(site, values):
    """The driver bench_stamp: the stamp and so many values more."""
    os.makedirs(site.path("profiles"), exist_ok=True)
    with open(site.path("profiles/bench_stamp.yaml"), "w", encoding="ascii") as f:
        f.write(PROFILE + "".join(f"  - {item}\n" for item in ITEMS[:values]))


class Peer:
    """`values`: of a device, beside the stamp. `stamp`: what finds the stamps in a payload.
    `settle`: seconds that it takes to be up. `missing`: why it cannot run here."""
    name, topic, stamp, processes, settle, missing = "", "", rb"", (), 0.7, ""

    def __init__(self, site, values=1):
        self.site, self.values = site, values

    def pids(self):
        return [self.site.processes[name].pid for name in self.processes]

    def stop(self):
        for name in self.processes:
            self.site.kill(name)


class Floor(Peer):
    name, topic, stamp = "floor", "bench/floor", rb'"stamp":(\d+)'
    processes = ("modbus-floor",)

    def start(self, ports, period_ms):
        self.site.start("modbus-floor", [
            OUT + "/modbus_floor", str(self.site.port), self.topic,
            str(period_ms if period_ms > 1 else 0), str(ports[0]), str(len(ports)),
            str(1 + self.values)])


class Vitalgate(Peer):
    """Each time with an empty database: what the run before could not send does not come now."""
    name, stamp, processes = "vitalgate", rb'"stamp":"(\d+)', ("uplink", "core")

    def __init__(self, site, values=1):
        super().__init__(site, values)
        self.topic = site.base + "/up/reading"
        write_profile(site, values)

    def start(self, ports, period_ms):
        shutil.rmtree(self.site.path("store"), ignore_errors=True)
        self.site.write_config([
            {"id": f"m-{i}", "driver": "bench_stamp", "transport": "modbus",
             "address": f"tcp:127.0.0.1:{port}", "poll_ms": period_ms}
            for i, port in enumerate(ports)])
        if not self.site.core():
            raise RuntimeError(self.site.log("core"))
        self.site.uplink()
        wait_until(lambda: "connected" in json.dumps(self.site.cli("status")["uplink"]))


class Collectd(Peer):
    name, topic = "collectd", "bench/collectd/+/+/gauge-stamp"
    stamp, processes = rb" \d+\.\d+:(\d+)", ("collectd",)
    program = shutil.which("collectd") or "/usr/sbin/collectd"

    @property
    def missing(self):
        have = os.path.exists(self.program) and os.path.exists("/usr/lib/collectd/mqtt.so")
        return "" if have else "apt-get install collectd-core"

    def start(self, ports, period_ms):
        seconds = period_ms / 1000
        registers = range(2, 2 + self.values)
        data = "".join(COLLECTD_DATA.format(register=r) for r in registers)
        collect = "".join(f'      Collect "v{r}"\n' for r in registers)
        hosts = "".join(COLLECTD_HOST.format(number=i, port=port, seconds=seconds, collect=collect)
                        for i, port in enumerate(ports))
        with open(self.site.path("collectd.conf"), "w", encoding="ascii") as f:
            f.write(COLLECTD.format(dir=self.site.dir, seconds=seconds, hosts=hosts,
                                    data=data, port=self.site.port))
        self.site.start("collectd", [self.program, "-f", "-C", self.site.path("collectd.conf")])


class NodeRed(Peer):
    name, topic, stamp = "Node-RED", "bench/node-red", rb'"stamp":(\d+)'
    processes, settle = ("node-red",), 8
    program = shutil.which("node-red")
    contributed = "node-red-contrib-modbus"

    def modules(self):
        """The folder node_modules that has Node-RED's Modbus nodes."""
        near = os.path.dirname(os.path.realpath(self.program or "")) + "/.."
        for folder in (os.path.expanduser("~/.node-red/node_modules"), near):
            if os.path.isdir(os.path.join(folder, self.contributed)):
                return os.path.realpath(folder)
        return None

    @property
    def missing(self):
        return "" if self.program and self.modules() else (
            f"not in Debian; npm install -g node-red {self.contributed}")

    def flow(self, ports, period_ms):
        yield {"id": "tab", "type": "tab", "label": "bench"}
        yield {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "clientid": "node-red",
               "port": str(self.site.port), "protocolVersion": "4", "keepalive": "60",
               "cleansession": True}
        yield {"id": "out", "type": "mqtt out", "z": "tab", "broker": "broker", "qos": "1",
               "topic": self.topic, "retain": "", "wires": []}
        yield {"id": "pack", "type": "function", "z": "tab", "outputs": 1, "wires": [["out"]],
               "func": "const [high, low, ...values] = msg.payload;\n"
                       "return {payload: {stamp: high * 65536 + low, values}};"}
        for i, port in enumerate(ports):
            yield {"id": f"c{i}", "type": "modbus-client", "clienttype": "tcp",
                   "tcpHost": "127.0.0.1", "tcpPort": str(port), "tcpType": "DEFAULT",
                   "unit_id": "1", "bufferCommands": True, "commandDelay": "1",
                   "clientTimeout": "1000", "reconnectOnTimeout": True,
                   "reconnectTimeout": "2000", "parallelUnitIdsAllowed": True}
            yield {"id": f"r{i}", "type": "modbus-read", "z": "tab", "unitid": "1",
                   "dataType": "InputRegister", "adr": "0", "quantity": str(2 + self.values),
                   "rate": str(period_ms), "rateUnit": "ms", "server": f"c{i}",
                   "wires": [["pack"], []]}

    def start(self, ports, period_ms):
        folder = self.site.path("node-red")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        os.symlink(self.modules(), folder + "/node_modules")
        with open(folder + "/flows.json", "w", encoding="ascii") as f:
            json.dump(list(self.flow(ports, period_ms)), f)
        with open(folder + "/settings.js", "w", encoding="ascii") as f:
            f.write(f'module.exports = {{uiHost: "127.0.0.1", uiPort: {free_port()}, '
                    'flowFile: "flows.json", disableEditor: true};\n')
        self.site.start("node-red", [self.program, "--userDir", folder])
