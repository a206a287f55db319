#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-test of the simulated Modbus slaves in tests/sim.

The clients here are written from the specifications, too, and share no code with the simulator. Prints
TAP. Arguments, if any, select tests by name.
"""
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import tty
from decimal import Decimal

from test_sim import HERE, PATIENCE, SIMS, Sim, comment, same, until

sys.path.insert(0, os.path.join(HERE, "sim"))
import register_model   # noqa: E402  (it is in a folder of its own)


class Modbus(Sim):
    def __init__(self, where, *options):
        super().__init__("modbus.py", where, *options)

    def port(self):
        return until(lambda: self.ledger("listening"), "ports")[-1]["record"]["port"]

    def order(self, *texts):
        """Returns the counters when all of it was carried out."""
        before = len(self.ledger("counts"))
        for text in (*texts, "counts"):
            self.say(text)
        until(lambda: len(self.ledger("counts")) > before, "orders")
        return self.ledger("counts")[-1]["record"]

    def values(self, number, item):
        return [x["record"]["value"] for x in self.ledger("measured")
                if (x["record"]["slave"], x["record"]["item"]) == (number, item)]

    def faults(self):
        return [(x["record"]["slave"], x["why"]) for x in self.ledger("fault")]

    def refusals(self):
        with open(self.path("stderr"), encoding="utf-8") as file:
            return len(re.findall("refused", file.read()))


class Tcp:
    def __init__(self, port):
        def connected():
            self.sock = socket.socket()
            if self.sock.connect_ex(("127.0.0.1", port)) == 0:
                return True
            self.sock.close()
            return False

        until(connected, "connection")
        self.sock.settimeout(PATIENCE)

    def send(self, text, tid=7, unit=1):
        pdu = bytes.fromhex(text)
        self.sock.sendall(struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu)

    def bytes(self, length):
        data = b""
        while len(data) < length:
            more = self.sock.recv(length - len(data))
            if not more:
                break
            data += more
        return data

    def receive(self):
        """(transaction, unit, reply in hex); None when the connection was closed instead."""
        try:
            head = self.bytes(7)
        except ConnectionResetError:
            head = b""
        if not head:
            return None
        tid, zero, length, unit = struct.unpack(">HHHB", head)
        same(zero, 0)
        return tid, unit, self.bytes(length - 1).hex()

    def ask(self, text, unit=1, tid=7):
        self.send(text, tid, unit)
        got = self.receive()
        same(got and got[:2], (tid, unit))
        return got[2]


def crc(data):
    """Bit by bit, as the specification has it."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


class Rtu:
    def __init__(self, sim):
        until(lambda: os.path.exists(sim.path("tty")), "the line")
        self.fd = os.open(sim.path("tty"), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.heard = b""

    def send(self, unit, text):
        data = bytes([unit]) + bytes.fromhex(text)
        os.write(self.fd, data + crc(data))

    def bytes(self, length):
        deadline = time.monotonic() + PATIENCE
        while len(self.heard) < length:
            if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"only {self.heard.hex()!r}")
            self.heard += os.read(self.fd, 4096)
        data, self.heard = self.heard[:length], self.heard[length:]
        return data

    def receive(self, length):
        """A frame with a reply of `length` bytes: (slave, reply in hex, is the CRC right?)."""
        data = self.bytes(length + 3)
        return data[0], data[1:-2].hex(), crc(data[:-2]) == data[-2:]

    def ask(self, unit, text, length):
        self.send(unit, text)
        got = self.receive(length)
        same((got[0], got[2]), (unit, True))
        return got[1]

    def quiet(self):
        return not self.heard and not select.select([self.fd], [], [], 0)[0]

    def close(self):
        os.close(self.fd)


def on_line(where, *options):
    return Modbus(where, "--rtu", os.path.join(where, "tty"), *options)


def on_port(where, *options):
    return Modbus(where, "--tcp", "0", *options)


TEMP, TEMP_45 = "0400000001", "0402002d"        # a fridge's temperature, and that it is 4.5


def test_rtu_frames_are_as_specified(where):
    same(crc(b"\x02\x07"), b"\x41\x12")         # the example of the specification
    sim = on_line(where, "--slave", "1:fridge", "--slave", "17:room")
    line = Rtu(sim)
    os.write(line.fd, bytes.fromhex("010400000001 31ca"))
    same(line.bytes(7).hex(), "010402002d" + crc(bytes.fromhex("010402002d")).hex())
    same(line.ask(1, "0400000002", 6), "0404002d01c2")
    same(line.ask(17, "0300000002", 6), "030400d701e0")
    for _ in range(3):
        same(line.ask(1, TEMP, 4), TEMP_45)     # the second time from memory
    for byte in bytes.fromhex("010400000001 31ca"):
        os.write(line.fd, bytes([byte]))
    same(line.receive(4), (1, TEMP_45, True))
    same(sim.order()["line"]["errors"], 0)
    same(sim.terminate(), 0)
    same(os.path.lexists(sim.path("tty")), False)


def test_rtu_is_silent_to_what_is_no_request_for_it(where):
    sim = on_line(where, "--slave", "1:fridge")
    line = Rtu(sim)
    os.write(line.fd, bytes.fromhex("010400000001 31cb"))
    until(lambda: sim.ledger("error"), "wrong CRC")
    line.send(2, TEMP)          # not there
    line.send(0, TEMP)          # everybody: nobody answers
    until(lambda: sim.order()["strangers"] == 2, "strangers")
    os.write(line.fd, bytes.fromhex("0104"))
    time.sleep(0.2)             # more than a frame may pause
    same(line.ask(1, TEMP, 4), TEMP_45)
    same(line.quiet(), True)
    same([x["why"] for x in sim.ledger("error")], ["wrong CRC", "cut off"])
    same(sim.order()["line"]["errors"], 2)


def test_rtu_bytes_are_lost_while_nobody_has_the_port_open(where):
    sim = on_line(where, "--slave", "1:fridge")
    line = Rtu(sim)
    sim.order("late 1 300 1")
    line.send(1, TEMP)
    until(sim.faults, "the request")
    line.close()
    time.sleep(0.5)
    line = Rtu(sim)
    same(line.quiet(), True)
    same(line.ask(1, TEMP, 4), TEMP_45)


def test_waiting_takes_no_processor_time(where):
    sim = Modbus(where, "--tcp", "0", "--rtu", os.path.join(where, "tty"), "--slave", "1:fridge")

    def used():
        with open(f"/proc/{sim.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    line, _client = Rtu(sim), Tcp(sim.port())
    line.ask(1, TEMP, 4)
    line.close()                # a pty that nobody has open is hung up all the time
    sim.order()
    before = used()
    time.sleep(1)
    same(used() - before < 0.2, True)


def test_rtu_line_is_unplugged_and_plugged(where):
    sim = on_line(where, "--slave", "1:fridge")
    line = Rtu(sim)
    same(line.ask(1, TEMP, 4), TEMP_45)
    sim.order("unplug")
    same(os.path.lexists(sim.path("tty")), False)
    sim.order("plug", "plug")
    line.close()
    line = Rtu(sim)
    same(line.ask(1, TEMP, 4), TEMP_45)
    same(len(sim.ledger("connected")), 2)
    same([x["why"] for x in sim.ledger("closed")], ["unplugged"])


def test_tcp_frames_are_as_specified(where):
    sim = on_port(where, "--slave", "3:fridge", "--slave", "4:room")
    client = Tcp(sim.port())
    request = bytes.fromhex("abcd 0000 0006 03 04 0000 0002")
    client.sock.sendall(request)
    same(client.bytes(13).hex(), "abcd0000000703" + "0404002d01c2")
    client.sock.sendall(request + b"\x12\x34" + request[2:])
    same([client.receive()[0] for _ in range(2)], [0xABCD, 0x1234])
    for byte in request:
        client.sock.send(bytes([byte]))
    same(client.receive(), (0xABCD, 3, "0404002d01c2"))
    same(client.ask("0300000001", unit=4), "030200d7")
    client.sock.sendall(bytes.fromhex("abcd 0001 0006 03 04 0000 0002"))
    same(client.receive(), None)
    until(lambda: sim.ledger("closed"), "closed")
    same([x["why"] for x in sim.ledger("error", "closed")], ["no request", "error"])
    same(len(sim.ledger("connected")), 1)


def test_ports_are_one_for_the_converter_and_one_for_each_other(where):
    sim = on_port(where, "--slave", "3:fridge", "--slaves", "2:room")
    first = sim.port()
    same(sim.ledger("listening")[0]["record"]["ports"], 3)
    converter, alone = Tcp(first), [Tcp(first + 1), Tcp(first + 2)]
    same(converter.ask(TEMP, unit=3), TEMP_45)
    same(converter.ask(TEMP, unit=4), "840b")       # a gateway: nobody there
    for unit in (4, 255, 0):
        same([c.ask("0301000001", unit=unit) for c in alone], ["03020004", "03020005"])
    same(sim.order()["strangers"], 1)


def test_exceptions_are_as_specified(where):
    sim = on_port(where, "--slave", "1:meter", "--slave", "2:oxygen", "--slave", "3:fridge")
    client = Tcp(sim.port())
    for unit, request, reply in ((3, "0300000001", "8301"),     # a table that it does not have
                                 (3, "0400050002", "8402"),     # beyond the end
                                 (3, "04ffff0002", "8402"),
                                 (1, "0300080003", "8302"),     # a hole within
                                 (1, "03000000 00", "8303"),
                                 (1, "0300000000", "8303"),     # nothing
                                 (1, "0300000000 00", "8303"),
                                 (1, "030000007e", "8303"),     # 126, looked at before the address
                                 (1, "030000007d", "8302"),     # 125
                                 (2, "01000007d1", "8103"),     # 2001
                                 (2, "01000007d0", "8102"),     # 2000
                                 (2, "010000000d", "8102")):
        same((request, client.ask(request, unit=unit)), (request, reply))
    counts = sim.order()["slaves"]["3"]
    same((counts["requests"], counts["answers"], counts["exceptions"]), (3, 3, 3))


def test_nothing_can_be_written(where):
    sim = Modbus(where, "--tcp", "0", "--rtu", os.path.join(where, "tty"), "--slave", "1:sm100")
    client, line = Tcp(sim.port()), Rtu(sim)
    writes = ["059c40ff00", "069c400002", "0f9c4000080101", "109c4000010200020000"[:16],
              "169c4000f20025", "170000000100000001020002", "2b0e0100", "11", "41aa"]
    for text in writes:
        reply = f"{int(text[:2], 16) | 0x80:02x}01"
        same(client.ask(text), reply)
        same(line.ask(1, text, 2), reply)
    same([x["hex"] for x in sim.ledger("unexpected")], [t for t in writes for _ in range(2)])
    line.send(0, writes[1])         # to everybody
    until(lambda: len(sim.ledger("unexpected")) == 2 * len(writes) + 1, "broadcast")
    same(line.ask(1, "0475340001", 4), "0402ff4a")


MAPS = {
    "fridge": {"temp": ("0400000001", "0402002d"), "rh": ("0400010001", "040201c2"),
               "tempf": ("0400020002", "040440900000"), "rhf": ("0400040002", "040442340000"),
               "door": ("0200000001", "020100")},
    "room": {"temp": ("0300000001", "030200d7"), "humidity": ("0300010001", "030201e0"),
             "id": ("0301000001", "03020002")},
    "sm100": {"temp": ("0475340001", "0402ff4a")},
    "gas": {"o2": ("0400010002", "0404333341a7"), "co2": ("0400030002", "0404c28f3d75"),
            "flow": ("0400050002", "040400004020")},
    "oxygen": {"low_pressure": ("0100000001", "010100"), "power_failure": ("0100030001", "010100"),
               "bank": ("0300000001", "03025d11"), "pressure": ("0300010001", "030201a4")},
    "meter": {"power": ("0300000002", "0304fffffa24"), "energy": ("0300020002", "0304003eeb40"),
              "power_low": ("0300040002", "0304fa24ffff"),
              "energy_low": ("0300060002", "0304eb40003e"), "hours": ("0300080001", "03021024"),
              "model": ("03000a0008", "031053494d2d4d4554455220310000000000"),
              "voltage": ("0300140002", "0304654333b3"), "frequency": ("0300160002", "03047b144842")},
}


def test_models_have_their_registers(where):
    sim = on_port(where, *(x for n, m in enumerate(MAPS, 1) for x in ("--slave", f"{n}:{m}")))
    client = Tcp(sim.port())
    for unit, (model, items) in enumerate(MAPS.items(), 1):
        for name, (request, reply) in items.items():
            same((model, name, client.ask(request, unit=unit)), (model, name, reply))
            raw = [x["record"]["raw"] for x in sim.ledger("measured")
                   if (x["record"]["slave"], x["record"]["item"]) == (unit, name)]
            same((model, name, raw), (model, name, [reply[4:]]))


SHEETS = {
    "fridge": {"temp": {"type": "int16", "scale": "0.1"}, "rh": {"type": "uint16", "scale": "0.1"},
               "tempf": {"type": "float32"}, "rhf": {"type": "float32"}, "door": {"type": "bit"}},
    "gas": {"o2": {"type": "float32", "order": "CDAB"}},
    "oxygen": {"bank": {"type": "uint16", "mask": "0x0003"},
               "mode": {"type": "uint16", "mask": "0x0070", "shift": 4},
               "purity": {"type": "uint16", "mask": "0x7f00", "shift": 8}},
    "meter": {"power": {"type": "int32"}, "energy": {"type": "uint32", "scale": "0.01"},
              "power_low": {"type": "int32", "order": "CDAB"},
              "energy_low": {"type": "uint32", "order": "CDAB", "scale": "0.01"},
              "hours": {"type": "bcd16"}, "model": {"type": "string"},
              "voltage": {"type": "float32", "order": "BADC"},
              "frequency": {"type": "float32", "order": "DCBA"}},
}


def test_simulator_and_model_agree_on_values(where):
    models = list(SHEETS)
    sim = on_port(where, *(x for n, m in enumerate(models, 1) for x in ("--slave", f"{n}:{m}")))
    sim.port()
    sim.order("set 1 temp -12.34", "set 1 rh 6553.5", "set 1 tempf 1e-7", "set 2 o2 16777217",
              "set 3 mode 5", "set 3 purity 127", "set 4 power -2147483648", "set 4 hours 9999",
              "set 4 energy 42949672.95", "set 4 voltage -0.1", "set 4 frequency 3.4e38",
              "set 4 model abc def")
    seen = 0
    for line in sim.ledger("measured"):
        record = line["record"]
        sheet = SHEETS[models[record["slave"] - 1]].get(record["item"])
        if sheet:
            got = register_model.decode(sheet, bytes.fromhex(record["raw"]))
            want = record["value"] if got[0] == "text" else Decimal(record["value"])
            same((record["item"], got[1]), (record["item"], want))
            seen += 1
    same(seen, 17 + 16)
    same(sim.refusals(), 0)


def test_set_changes_registers_as_an_instrument_would(where):
    sim = on_port(where, "--slave", "1:fridge", "--slave", "2:oxygen", "--slave", "3:meter")
    client = Tcp(sim.port())
    sim.order("set 1 temp 8.44", "set 1 door 1", "set 1 rhf nan", "set 2 bank 2", "set 2 low_purity 1",
              "set 3 hours 0x1A24")
    same(client.ask("0400000004"), "04080054" "01c2" "41070a3d")    # the float has the same probe
    same(client.ask("0200000001"), "020101")
    same(client.ask("0400040002")[4:6], "7f")
    same(client.ask("0300000001", unit=2), "03025d12")              # the other bits are as they were
    same(client.ask("0100000004", unit=2), "010104")
    sim.order("set 2 cylinder6 1")
    same(client.ask("010000000c", unit=2), "01020402")
    same(client.ask("0100090003", unit=2), "010101")
    same(client.ask("0300080001", unit=3), "03021a24")
    same(sim.values(1, "temp"), ["4.5", "8.4"])
    same(sim.values(1, "rhf"), ["45", "nan"])
    same((sim.values(2, "bank"), sim.values(2, "mode")), (["1", "2"], ["1"]))
    same(sim.values(3, "hours"), ["1024", None])
    for text, reply in (("0x7fff", "7fff"), ("0x8000", "8000"), ("0xFFFF", "ffff"), ("-0.05", "ffff"),
                        ("-40", "fe70")):
        sim.order(f"set 1 temp {text}")
        same(client.ask(TEMP), "0402" + reply)
    lines = len(sim.ledger("measured"))
    sim.order("set 1 temp -40.0", "set 1 temp -40")
    same(len(sim.ledger("measured")), lines)        # only changes


def test_orders_that_make_no_sense_are_refused(where):
    sim = on_port(where, "--slave", "1:fridge", "--slave", "2:meter", "--slave", "3:oxygen")
    client = Tcp(sim.port())
    nonsense = ["set 1 temp 4000", "set 1 temp hot", "set 1 temp nan", "set 1 nothing 1", "set 9 temp 1",
                "set 1 temp 0x1", "set 1 temp 0x123456", "set 1 rh -1", "set 1 door 2", "set 1",
                "set 1 tempf 1e40", "set 2 hours 10000", "set 2 hours -1", "set 2 model " + "x" * 17,
                "set 3 bank 4", "set 3 bank -1", "stuck 1 temp perhaps", "drift 1 temp 1",
                "drift 1 door 1 1", "drift 1 temp 1 0", "silent 1", "silent 1 0", "silent 1 -1",
                "silent x 1", "late 1 x 1", "late 1 -1 1", "exception 1 256 1", "exception 1 0 1",
                "crc 1 1", "echo on", "unplug", "babble 1 long", "refuse 1 maybe", "clear 1 2", "dance 1",
                "counts now", "close 1 1 1", ""]
    sim.order(*nonsense)
    same(sim.refusals(), len(nonsense))
    same(client.ask("0400000006"), "040c002d01c24090000042340000")
    same(sim.faults(), [])
    sim.order("set 1 temp 1")
    same(client.ask(TEMP), "0402000a")


def test_stuck_probe_keeps_its_register(where):
    sim = on_port(where, "--slave", "1:fridge")
    client = Tcp(sim.port())
    sim.order("stuck 1 temp on", "set 1 temp 9.9")
    same(client.ask("0400000004")[4:8], "002d")
    same((sim.values(1, "temp"), sim.values(1, "tempf")), (["4.5"], ["4.5", "9.9"]))
    sim.order("set 1 temp 0x7fff")
    same(client.ask(TEMP), "04027fff")
    sim.order("stuck 1 temp off")
    same(client.ask(TEMP), "04020063")
    same(sim.values(1, "temp"), ["4.5", "3276.7", "9.9"])
    same(sim.faults(), [(1, "stuck temp on"), (1, "stuck temp off")])


def test_drift_goes_on_and_turns_at_its_ends(where):
    sim = on_port(where, "--slave", "1:fridge", "--order", "drift 1 temp 0.5 0.01 4 5.5")
    sim.port()
    until(lambda: len(sim.values(1, "temp")) > 12, "drift")
    values = sim.values(1, "temp")
    same(values[:12], ["4.5", "5.0", "5.5", "5.0", "4.5", "4.0", "4.5", "5.0", "5.5", "5.0", "4.5", "4.0"])
    sim.order("drift 1 temp off")
    count = len(sim.values(1, "temp"))
    time.sleep(0.2)
    same(len(sim.values(1, "temp")), count)
    same(sim.values(1, "tempf")[:3], ["4.5", "5", "5.5"])
    sim.order("set 1 temp 3276", "drift 1 temp 1 0.001")        # the register's end
    until(lambda: sim.values(1, "tempf")[-1] == "3276", "set")
    time.sleep(0.2)
    same(sim.values(1, "temp")[-1], "3276.0")
    same(sim.order("set 1 temp 5")["strangers"], 0)


def test_rtu_faults(where):
    sim = on_line(where, "--slave", "1:fridge", "--slave", "2:fridge")
    line = Rtu(sim)
    frame = bytes.fromhex("010402002d")
    frame += crc(frame)

    sim.order("silent 1 2")
    for count in (1, 2):
        line.send(1, TEMP)
        until(lambda: len(sim.faults()) == count, "silence")
        same(line.ask(2, TEMP, 4), TEMP_45)         # the neighbour answers
    same(line.quiet(), True)

    sim.order("crc 1 1", "short 1 1", "garbage 1 1", "wrong_slave 1 1", "exception 1 6 1")
    line.send(1, TEMP)
    same(line.receive(4), (1, TEMP_45, False))
    line.send(1, TEMP)
    same(line.bytes(3), frame[:3])
    line.send(1, TEMP)
    heard = line.bytes(10)
    while not heard.endswith(frame):
        heard += line.bytes(1)
    same(3 <= len(heard) - len(frame) <= 8, True)
    line.send(1, TEMP)
    same(line.receive(4), (2, TEMP_45, True))
    same(line.ask(1, TEMP, 2), "8406")
    same(line.ask(1, TEMP, 4), TEMP_45)             # that was all
    same(line.quiet(), True)

    sim.order("wrong_tid 1 1", "close 1 1")         # not of a line
    same(line.ask(1, TEMP, 4), TEMP_45)
    same(sim.refusals(), 2)
    same([why for _, why in sim.faults()], ["silent", "silent", "crc", "short", "garbage", "wrong_slave",
                                            "exception"])
    counts = sim.order()["slaves"]["1"]
    same((counts["requests"], counts["answers"], counts["exceptions"], counts["faults"]), (9, 2, 0, 7))


def test_rtu_late_answer_comes_in_the_middle_of_something_else(where):
    sim = on_line(where, "--slave", "1:fridge", "--slave", "2:room")
    line = Rtu(sim)
    sim.order("late 1 3000 1")
    line.send(1, TEMP)
    until(sim.faults, "the request")
    same(line.quiet(), True)
    sim.order("set 1 temp 7", "silent 1 1")
    line.send(1, TEMP)
    same(line.receive(4), (1, TEMP_45, True))       # the old value, as if it were the answer
    same(line.ask(1, TEMP, 4), "04020046")


def test_rtu_echo_comes_before_the_answer(where):
    sim = on_line(where, "--slave", "1:fridge")
    line = Rtu(sim)
    sim.order("echo on")
    for _ in range(2):
        line.send(1, TEMP)
        same(line.bytes(8).hex(), "01040000000131ca")
        same(line.receive(4), (1, TEMP_45, True))
    line.send(9, "11")
    same(line.bytes(4)[:2], b"\x09\x11")
    sim.order("echo off")
    same(line.ask(1, TEMP, 4), TEMP_45)


def test_rtu_talks_unasked(where):
    sim = on_line(where, "--slave", "1:fridge")
    line = Rtu(sim)
    same(line.ask(1, TEMP, 4), TEMP_45)
    frame = bytes.fromhex("010402002d")
    frame += crc(frame)
    sim.order("babble 1 0.5")
    heard = b""
    while frame not in heard or not heard.replace(frame, b""):
        heard += line.bytes(1)                      # noise and answers
    sim.order("flood 1 5")
    while heard.count(frame) < 3000:
        heard += line.bytes(1) + line.heard
        line.heard = b""
    same(sim.faults(), [(1, "babble"), (1, "flood")])

    def answers():
        line.heard = b""
        while select.select([line.fd], [], [], 0.2)[0]:
            os.read(line.fd, 4096)
        line.send(1, "0400010001")
        return line.receive(4)[:2] == (1, "040201c2")

    until(answers, "order again")


def test_tcp_faults(where):
    sim = on_port(where, "--slaves", "1:fridge")
    client = Tcp(sim.port())
    sim.order("silent all 1", "wrong_tid 1 1", "wrong_slave 1 1", "exception 1 4 1", "garbage 1 1",
              "late 1 1500 1")
    client.send(TEMP, tid=1)
    client.send(TEMP, tid=2)
    same(client.receive(), (3, 1, TEMP_45))
    client.send(TEMP, tid=3)
    same(client.receive(), (3, 2, TEMP_45))
    same(client.ask(TEMP, tid=4), "8404")
    client.send(TEMP, tid=5)
    frame, heard = bytes.fromhex("0005000000050104" "02002d"), b""
    while not heard.endswith(frame):
        heard += client.bytes(1)
    same(3 <= len(heard) - len(frame) <= 8, True)
    client.send(TEMP, tid=6)
    client.send(TEMP, tid=7)
    same([client.receive()[0] for _ in range(2)], [7, 6])           # the late one is the last
    sim.order("short 1 1", "close 1 2")
    client.send(TEMP, tid=0x0809)
    same(client.bytes(5).hex(), "0809000000")
    for _ in range(2):
        client.send(TEMP)
        same(client.receive(), None)
        client = Tcp(sim.port())
    same(client.ask(TEMP), TEMP_45)
    same([why for _, why in sim.faults()], ["silent", "wrong_tid", "wrong_slave", "exception", "garbage",
                                            "late", "short", "close", "close"])
    same([x["why"] for x in sim.ledger("closed")], ["fault", "fault"])
    counts = sim.order()["slaves"]["1"]
    same((counts["requests"], counts["answers"], counts["faults"]), (11, 2, 9))


def test_faults_last_until_they_are_cleared(where):
    sim = on_port(where, "--slave", "1:fridge", "--slave", "2:fridge", "--slave", "3:fridge")
    client = Tcp(sim.port())
    same(client.ask(TEMP), TEMP_45)
    sim.order("exception 1-2 6 forever")
    for _ in range(5):
        same([client.ask(TEMP, unit=u) for u in (1, 2, 3)], ["8406", "8406", TEMP_45])
    sim.order("clear 1")
    same([client.ask(TEMP, unit=u) for u in (1, 2, 3)], [TEMP_45, "8406", TEMP_45])


def test_fault_of_another_kind_of_link_waits_for_it(where):
    sim = Modbus(where, "--tcp", "0", "--rtu", os.path.join(where, "tty"), "--slave", "1:fridge")
    client, line = Tcp(sim.port()), Rtu(sim)
    sim.order("crc 1 1", "wrong_tid 1 1")
    client.send(TEMP, tid=8)
    same(client.receive(), (9, 1, TEMP_45))
    same(client.ask(TEMP), TEMP_45)
    line.send(1, TEMP)
    same(line.receive(4), (1, TEMP_45, False))
    same(line.ask(1, TEMP, 4), TEMP_45)


def test_tcp_port_refuses(where):
    sim = on_port(where, "--slaves", "2:fridge")
    port = sim.port()
    client, neighbour = Tcp(port), Tcp(port + 1)
    same(client.ask(TEMP), TEMP_45)
    sim.order("refuse 1 on")
    same(client.receive(), None)
    with socket.socket() as sock:
        same(sock.connect_ex(("127.0.0.1", port)) != 0, True)
    same(neighbour.ask(TEMP), TEMP_45)
    sim.order("refuse 1 off", "refuse 1 off")
    same(Tcp(port).ask(TEMP), TEMP_45)
    same(sim.ledger("closed")[0]["why"], "refuse")


def test_tcp_talks_unasked_in_whole_frames(where):
    sim = on_port(where, "--slaves", "1:fridge")
    client = Tcp(sim.port())
    same(client.ask(TEMP), TEMP_45)
    sim.order("flood 1 2")
    for _ in range(10000):
        same(client.receive(), (0xFFFF, 1, TEMP_45))
    client.send("0400010001", tid=5)
    got = client.receive()
    while got == (0xFFFF, 1, TEMP_45):
        got = client.receive()
    same(got, (5, 1, "040201c2"))
    sim.order("babble 1 0.2")
    same(len(client.bytes(20)), 20)


def test_flood_stops_for_one_who_does_not_read(where):
    sim = on_port(where, "--slaves", "2:fridge")

    def memory():
        with open(f"/proc/{sim.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    client, neighbour = Tcp(sim.port()), Tcp(sim.port() + 1)
    client.ask(TEMP)
    before = memory()
    sim.order("flood 1 1")
    for _ in range(200):
        same(neighbour.ask(TEMP), TEMP_45)
    time.sleep(1)
    same(memory() - before < 8 << 20, True)
    client.sock.close()
    same(neighbour.ask(TEMP), TEMP_45)


def test_two_hundred_slaves_answer_from_one_process(where):
    sim = on_port(where, "--slaves", "100:fridge", "--slaves", "100:stamp")
    first = sim.port()
    clients = [Tcp(first + n) for n in range(200)]
    rounds, started = 20, time.monotonic()
    for tid in range(rounds):
        for number, client in enumerate(clients):
            client.send("0400000006" if number < 100 else "0400000008", tid=tid)
        for number, client in enumerate(clients):
            got = client.receive()
            same(got[0], tid)
            same(got[2][:6] if number < 100 else got[2][12:16], "040c00" if number < 100 else "03ea")
    took = time.monotonic() - started
    print(f"# {200 * rounds / took:.0f} questions/s, asked by Python")
    counts = sim.order()["slaves"]
    same({(c["requests"], c["answers"]) for c in counts.values()}, {(rounds, rounds)})
    same(sorted(map(int, counts)), list(range(1, 201)))
    same(len(sim.ledger()), 500 + 1200 + 1 + 200 + 1)       # measured, listening, connected, counts


def test_stamp_is_the_moment_of_the_answer(where):
    sim = on_port(where, "--slaves", "1:stamp")
    client, last = Tcp(sim.port()), 0
    for code in ("04", "03", "04"):
        before = time.monotonic_ns() // 1000 & 0xFFFFFFFF
        reply = client.ask(code + "00000008")
        after = time.monotonic_ns() // 1000 & 0xFFFFFFFF
        stamp = int(reply[4:12], 16)
        same(before <= stamp <= after or after < before, True)
        same(stamp != last, True)
        last = stamp
        same(reply[12:], "03ea03eb03ec03ed03ee03ef")


def test_counters_show_gaps_and_quiet(where):
    sim = on_line(where, "--slave", "1:fridge", "--slave", "2:fridge", "--count")
    line = Rtu(sim)
    same(sim.order()["slaves"]["1"], {"requests": 0, "answers": 0, "exceptions": 0, "faults": 0,
                                      "max_gap_ms": None, "since_ms": None})
    line.ask(1, TEMP, 4)
    sim.order("counts reset")
    for _ in range(3):
        time.sleep(0.03)
        line.ask(1, TEMP, 4)
    counts = sim.order()
    same(counts["slaves"]["1"]["requests"], 3)
    same(counts["slaves"]["1"]["max_gap_ms"] >= 30, True)
    same(counts["line"]["min_quiet_ms"] >= 30, True)
    same(counts["line"]["requests"], 3)
    sim.order("counts reset")
    same(sim.order()["line"], {"requests": 0, "errors": 0, "min_quiet_ms": None})
    time.sleep(0.1)
    line.ask(2, TEMP, 4)
    counts = sim.order()["slaves"]
    same(counts["1"]["since_ms"] >= 100, True)      # that one was left alone all the time
    same(counts["1"]["max_gap_ms"], None)
    before = len(sim.ledger("counts"))
    same(sim.terminate(), 0)
    same(len(sim.ledger("counts")), before + 1)


def test_restarted_simulator_counts_on(where):
    sim = on_port(where, "--slaves", "1:sm100")
    sim.port()
    sim.kill()
    sim.again()
    until(lambda: len(sim.ledger("listening")) == 2, "the second start")
    same(sim.keys("measured"), ["000001", "000002"])
    same(Tcp(sim.port()).ask("0475340001"), "0402ff4a")


def test_command_line_that_makes_no_sense_is_refused(where):
    for words in ([], ["--tcp", "0"], ["--slave", "1:fridge"], ["--tcp", "0", "--slave", "1:toaster"],
                  ["--tcp", "0", "--slave", "248:room"], ["--tcp", "0", "--slave", "0:room"],
                  ["--tcp", "0", "--slave", "1:room", "--slave", "1:room"],
                  ["--rtu", "x", "--slaves", "248:room"], ["--tcp", "0", "--slaves", "room"]):
        done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "sim", "modbus.py"), *words],
                              cwd=where, capture_output=True, timeout=PATIENCE, check=False)
        same((words, done.returncode), (words, 2))


def main(names):
    """Runs the tests of a module, each in a directory of its own."""
    tests = [(name[5:], run) for name, run in names.items() if name.startswith("test_")]
    tests = [t for t in tests if not sys.argv[1:] or any(a in t[0] for a in sys.argv[1:])]
    failed = 0
    for number, (name, run) in enumerate(tests, 1):
        where = tempfile.mkdtemp(prefix="vg-modbus-")
        try:
            run(where)
            print(f"ok {number} - {name.replace('_', ' ')}")
        except Exception:
            failed += 1
            print(f"not ok {number} - {name.replace('_', ' ')}")
            comment(traceback.format_exc())
        while SIMS:
            sim = SIMS.pop()
            if sim.process.poll() is None:
                sim.kill()
            with open(sim.path("stderr"), encoding="utf-8") as stderr:
                comment(stderr.read())
        shutil.rmtree(where)
        sys.stdout.flush()
    print(f"1..{len(tests)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
