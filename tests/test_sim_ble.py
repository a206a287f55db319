#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-test of the simulated BLE peripherals in tests/sim.

The client here is written from the specifications, too, and shares no code with the simulators; the
bytes that are expected were put together by hand. Prints TAP. Arguments, if any, select tests by
name.
"""
import json
import os
import select
import socket
import struct
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

from test_sim import HERE, PATIENCE, Sim, main, same, until

sys.path.insert(0, os.path.join(HERE, "sim"))
import att_server   # noqa: E402  (they are in a folder of their own)
import ble_values   # noqa: E402

BERRYMED = "49535343-1e4d-4bd9-ba61-23c647249616"
JUMPER = "cdeacb81-5235-4c07-8846-93a37ee6b86d"
NONIN = "0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b"
NONIN_CONTROL = "1447af80-0d60-11e2-88b6-0002a5d5c51b"
MOMENT, MOMENT_HEX = "2026-11-21T08:00:09", "ea070b15080009"
SUCCESS = "06000101"


def peripheral(where, kind, *options):
    """Each in a directory of its own."""
    where = tempfile.mkdtemp(dir=where)
    return Sim("peripheral.py", where, kind, "--socket", os.path.join(where, "att"), *options)


class Client:
    """Reads everything in one place; what is no response waits in `values`."""

    def __init__(self, sim):
        def connected():
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if self.sock.connect_ex(sim.path("att")) == 0:
                return True
            self.sock.close()
            return False

        until(connected, "connection")
        self.values = []                # (opcode, handle, value)
        self.closed, self.holding = False, False
        self.handles = {}

    def read(self, seconds=PATIENCE):
        """The next PDU; None: none came, or the link is gone."""
        if self.closed or not select.select([self.sock], [], [], seconds)[0]:
            return None
        try:
            pdu = self.sock.recv(1024)
        except ConnectionError:
            pdu = b""
        self.closed = not pdu
        return pdu or None

    def keep(self, pdu):
        """Values are put aside, indications confirmed. Anything else is returned."""
        if pdu and pdu[0] in (0x1B, 0x1D):
            self.values.append((pdu[0], int.from_bytes(pdu[1:3], "little"), pdu[3:]))
            if pdu[0] == 0x1D and not self.holding:
                self.confirm()
            return None
        return pdu

    def confirm(self):
        with suppress(OSError):
            self.sock.send(b"\x1e")

    def request(self, raw):
        with suppress(OSError):
            self.sock.send(raw)
        while (pdu := self.read()) is not None:
            pdu = self.keep(pdu)
            if pdu and (pdu[0] == raw[0] + 1 or pdu[:2] == bytes([1, raw[0]])):
                return pdu
        return b""

    def discover(self):
        """{uuid: [handles]} of all attributes."""
        start = 1
        while start <= 0xFFFF:
            pdu = self.request(struct.pack("<BHH", 4, start, 0xFFFF))
            if pdu[:1] != b"\x05":
                return self.handles
            size = {1: 2, 2: 16}[pdu[1]]
            for at in range(2, len(pdu), 2 + size):
                start, = struct.unpack_from("<H", pdu, at)
                raw = pdu[at + 2:at + 2 + size][::-1].hex()
                uuid = int(raw, 16) if size == 2 else "-".join(
                    (raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
                self.handles.setdefault(uuid, []).append(start)
            start += 1
        return self.handles

    def handle(self, uuid):
        return (self.handles or self.discover())[uuid][0]

    def on(self, *uuids):
        """Switch them on; the answer to the last."""
        for uuid in uuids:
            pdu = self.request(struct.pack("<BHH", 0x12, self.handle(uuid) + 1, 3))
        return pdu

    def write(self, uuid, text):
        return self.request(struct.pack("<BH", 0x12, self.handle(uuid)) + bytes.fromhex(text))

    def get(self, uuid):
        return self.request(struct.pack("<BH", 0x0A, self.handle(uuid)))[1:]

    def take(self, count, seconds=PATIENCE):
        """The next values, as hex; fewer when no more come."""
        deadline = time.monotonic() + seconds
        while len(self.values) < count and not self.closed and time.monotonic() < deadline:
            self.keep(self.read(max(0.0, deadline - time.monotonic())))
        taken, self.values = self.values[:count], self.values[count:]
        return [value.hex() for _, _, value in taken]

    def racp(self, text, seconds=PATIENCE):
        """A request and (values that came before its answer, the answer), in hex."""
        same(self.write(0x2A52, text).hex(), "13")
        control, found = self.handle(0x2A52), []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while self.values:
                _, handle, value = self.values.pop(0)
                if handle == control:
                    return found, value.hex()
                found.append(value.hex())
            if self.closed:
                break
            self.keep(self.read(0.2))
        return found, None


def meter(where, *options):
    sim = peripheral(where, "glucose", "--always", *options)
    client = Client(sim)
    client.on(0x2A18, 0x2A34, 0x2A52)
    return sim, client


def seqs(values):
    return [int.from_bytes(bytes.fromhex(v)[1:3], "little") for v in values]


def given(**record):
    return "--record", json.dumps(record)


# What it says, byte by byte

def test_glucose_records_and_their_context(where):
    base = {"base": MOMENT, "offset_min": -5, "status": 0, "type": 1, "site": 1, "unit": "mmol/L"}
    sim, client = meter(
        where, *given(value="5.6", seq=258, **base), *given(value="+INF", seq=259, meal=2, **base),
        *given(seq=300, base=MOMENT, value="104", unit="mg/dL", type=10, site=4, status=0x20,
               offset_min=0))
    found, answer = client.racp("0101")
    same(found, ["0f0201" + MOMENT_HEX + "fbff" "38c0" "11" "0000",
                 "1f0301" + MOMENT_HEX + "fbff" "fe07" "11" "0000", "02" "0301" "02",
                 "0b2c01" + MOMENT_HEX + "0000" "68b0" "4a" "2000"])
    same(answer, SUCCESS)
    until(lambda: len(sim.keys("told")) == 3, "all are told")
    same(sim.ledger("told")[0]["record"]["time"], "2026-11-21T07:55:09")


def test_glucose_kinds_of_records(where):
    _, client = meter(where, "--records", "15", "--unit", "mg/dL", "--what", "normal,before,after,"
                      "fasting,casual,bedtime,hi,lo,hi-inf,control,control-site,ketone,isf,error,"
                      "none")
    found = [bytes.fromhex(v) for v in client.racp("0101")[0]]
    context = {v[1]: v[-1] for v in found if len(v) == 4}
    same(context, {2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 12: 6})
    records = {v[1]: v for v in found if len(v) > 4}
    same(sorted(records), list(range(1, 16)))
    same({n: (v[14], v[15:].hex()) for n, v in records.items() if n in (7, 8, 9, 10, 11, 13, 14)},
         {7: (0x11, "2000"), 8: (0x11, "4000"), 9: (0x11, "2000"), 10: (0x1A, "0000"),
          11: (0x41, "0000"), 13: (0xF9, "0000"), 14: (0x11, "0800")})
    same([records[n][12:14].hex() for n in (7, 8, 9, 14)], ["58b2", "14b0", "fe07", "ff07"])
    same(records[15][0] & 2, 0)


def test_push_kinds_say_their_bytes(where):
    for kind, uuids, options, record, wanted in (
            ("thermometer", (0x2A1C,), (), {"value": "36.60", "unit": "C", "site": 3},
             ["06" "4c0e00fe" + MOMENT_HEX + "03"]),
            ("thermometer", (0x2A1C,), ("--sfloat",), {"value": "36.6", "unit": "C"},
             ["02" "6ef1" + MOMENT_HEX]),
            ("thermometer", (0x2A1C,), (), {"value": None, "unit": "F"},
             ["03" "ffff7f00" + MOMENT_HEX]),
            ("scale", (0x2A9D, 0x2A9C), (),
             {"weight": "72.405", "unit": "kg", "user": 2, "bmi": "23.4", "height": "1.765",
              "fat_pct": "21.5", "impedance": "512.5"},
             ["0e" "9138" + MOMENT_HEX + "02" "ea00" "e506",
              "0602" "d700" + MOMENT_HEX + "02" "0514"]),
            ("scale", (0x2A9D, 0x2A9C), ("--multi-packet",),
             {"weight": "100.00", "unit": "lb", "user": 1, "fat_pct": "21.5", "muscle_pct": "40.0",
              "water": "60.00"},
             ["07" "1027" + MOMENT_HEX + "01", "1710" "d700" + MOMENT_HEX + "01" "9001",
              "0711" "d700" + MOMENT_HEX + "01" "7017"]),
            ("plx", (0x2A5E,), ("--no-storage",), {"spo2": 97, "pulse": 61, "status": 0x100,
                                                   "sensor": 0, "pai": "4.2"},
             ["0f" "6100" "3d00" + MOMENT_HEX + "0001" "000000" "2af0"])):
        record["time"] = MOMENT
        sim = peripheral(where, kind, *options, *given(**record), "--once", "--idle", "1")
        client = Client(sim)
        client.on(*uuids)
        same((kind, client.take(len(wanted) + 1)), (kind, wanted))
        same(sim.exit_code(), 0)
        told = [x["record"] for x in sim.ledger("told")]
        same({k: told[-1].get(k) for k in record}, record)


def test_oximeters_say_their_bytes(where):
    script = ("--script", "finger in spo2=97 pulse=144", "--steady", "--acquire", "0")
    for kind, uuid, wanted in (
            ("plx_continuous", 0x2A5F, ["1c" "6100" "9000" "2000" "000000" "a4e1"] * 3),
            ("jumper", JUMPER, ["8190612a"] * 3), ("contec", 0xFF02, ["eb010490617f0060"] * 3),
            ("nonin3230", NONIN, [f"0a501b01a4{n:04x}610090" for n in (1, 2, 3)]),
            ("heartrate", 0x2A37, ["1e" "90" "0100" "ab01ab01", "1e" "90" "0200" "ab01ab01",
                                   "1e" "90" "0300" "ab01ab01ab01"])):
        sim = peripheral(where, kind, "--hz", "50", *script)
        client = Client(sim)
        same(client.on(uuid), b"\x13")
        values = client.take(3 if kind != "jumper" else 9)
        same((kind, [v for v in values if not v.startswith("80")]), (kind, wanted))
        sim.terminate()
        shown = sim.ledger("complete")[-1]["record"]
        same((shown["phase"], shown["spo2_shown"], shown["pulse_shown"]),
             ("steady", [97] * 3, [144] * 3))


def test_berrymed_cuts_its_frames_anywhere(where):
    sim = peripheral(where, "berrymed", "--cut", "7", "--steady", "--acquire", "0", "--script",
                     "finger in spo2=98 pulse=200; wait 0.08; finger out; wait 2")
    client = Client(sim)
    client.on(BERRYMED)
    values = client.take(100)
    same({len(v) for v in values}, {14})
    text = bytes.fromhex("".join(values))
    frames = [text[n:n + 5] for n in range(0, len(text) - 4, 5)]
    same({(f[0] >> 7, max(f[1:]) >> 7) for f in frames}, {(1, 0)})
    shown = [((f[2] & 0x40) << 1 | f[3], f[4]) for f in frames]
    same(shown[:8], [(200, 98)] * 8)
    same(shown[-1], (255, 127))


def test_contec_falls_silent_without_keep_alive(where):
    sim = peripheral(where, "contec", "--keepalive", "0.4", "--hz", "50", "--script",
                     "finger in; wait 60")
    client = Client(sim)
    client.on(0xFF02)
    until(lambda: len(client.take(50, 0.5)) < 5, "silence")
    same(client.write(0xFF01, "9b011c").hex(), "13")
    same(len(client.take(5)), 5)
    until(lambda: len(client.take(50, 0.5)) < 5, "silence")
    client.sock.send(struct.pack("<BH", 0x52, client.handle(0xFF01)) + bytes.fromhex("9b011c"))
    same(len(client.take(5)), 5)                # a command does as well


def test_nonin_ends_its_spot_check(where):
    sim = peripheral(where, "nonin3230", "--hz", "40", "--script", "finger in; wait 60")
    client = Client(sim)
    client.on(NONIN)
    until(lambda: any(bytes.fromhex(v)[1] & 4 for v in client.take(1)), "SmartPoint")
    client.write(NONIN_CONTROL, "624e4d49")
    until(lambda: not client.take(1) and client.closed, "it hangs up")
    same(sim.ledger("closed")[0]["why"], "measurement complete")


def test_monitor_stored_live_and_with_crc(where):
    sim = peripheral(where, "cgm", "--crc", "--records", "3", "--live", "4", "--pack", "2", "--hz",
                     "20", "--always")
    client = Client(sim)
    client.on(0x2A52)
    feature, start = client.get(0x2AA8), client.get(0x2AAA)
    same((feature[:4].hex(), len(feature), len(start)), ("00100059", 6, 11))
    same(client.write(0x2AAC, "1a").hex()[-2:], "03")       # a session is not ours to start
    client.on(0x2AA7)
    live = client.take(2)
    same([len(v) for v in live], [32, 32])
    found, answer = client.racp("0103010500")
    same(answer, SUCCESS)
    minutes = [bytes.fromhex(v)[4] for v in found]
    same(minutes, [5, 10, 15, 20, 25, 30, 35])
    told = until(lambda: len(sim.ledger("told")) == 7 and sim.ledger("told"), "told")
    began = datetime(*struct.unpack("<HBBBBB", start[:7]))
    same([x["record"]["time"] for x in told],
         [(began + timedelta(minutes=m)).isoformat() for m in minutes])


# RACP

def test_racp_operators(where):
    sim, client = meter(where, "--records", "6", "--first-seq", "10")
    for text, wanted in (("0101", range(10, 16)), ("0105", [10]), ("0106", [15]),
                         ("0103010d00", [13, 14, 15]), ("0102010b00", [10, 11]),
                         ("0104010b000c00", [11, 12])):
        found, answer = client.racp(text)
        same((text, seqs(found), answer), (text, list(wanted), SUCCESS))
    third = sim.ledger("measured")[2]["record"]["time"]
    moment = ble_values.date_time(third).hex()
    same(seqs(client.racp("010302" + moment)[0]), [12, 13, 14, 15])
    for text, answer in (("0401", "05000600"), ("0403010e00", "05000200"),
                         ("0403011000", "05000000"), ("0103011000", "06000106")):
        same((text, client.racp(text)), (text, ([], answer)))


def test_racp_refuses_by_the_book(where):
    sim, client = meter(where, "--records", "2", "--no-count", "--unsupported", "1:4",
                        "--filters", "1")
    for text, answer in (("0901", "06000902"), ("0401", "06000402"), ("0100", "06000103"),
                         ("0107", "06000103"), ("01040101000200", "06000104"),
                         ("0103", "06000105"), ("010301", "06000105"), ("010101", "06000105"),
                         ("01030201000000000000", "06000109"), ("01030701", "06000109"),
                         ("0301", "06000303"), ("0300", "06000301")):
        same((text, client.racp(text)[1]), (text, answer))
    same(client.racp("0201"), ([], "06000201"))             # it does delete
    same(len(sim.ledger("deleted")), 2)
    same(client.racp("0101"), ([], "06000106"))


def test_racp_wants_to_be_switched_on_and_one_at_a_time(where):
    for options, code in (((), "fefd"), (("--old-errors",), "8081")):
        sim = peripheral(where, "glucose", "--always", "--records", "50", "--pace", "0.02",
                         *options)
        client = Client(sim)
        same(client.write(0x2A52, "0101").hex()[-2:], code[2:])
        client.on(0x2A52)
        same(client.write(0x2A52, "0101").hex()[-2:], code[2:])
        client.on(0x2A18)
        same(client.write(0x2A52, "0101").hex(), "13")
        same(len(client.take(2)), 2)
        same(client.write(0x2A52, "0401").hex()[-2:], code[:2])
        found, answer = client.racp("0300")
        same((answer, len(found) < 48), ("06000301", True))
        same(client.take(1, 0.2), [])
        same(sim.keys("told"), [])


def test_racp_goes_wrong(where):
    sim, client = meter(where, "--records", "5", "--hole", "3", "--busy", "1")
    same(client.write(0x2A52, "0101").hex()[-2:], "fe")
    same(seqs(client.racp("0101")[0]), [1, 2, 4, 5])
    same(seqs(client.racp("0101")[0]), [1, 2, 3, 4, 5])
    _, client = meter(where, "--records", "5", "--fail-at", "3", "--abort-fails")
    same([client.racp("0101")[1], client.racp("0300")[1]], ["06000108", "06000307"])
    sim, client = meter(where, "--records", "5", "--strip-at", "3")
    found, answer = client.racp("0101")
    same((seqs(found), answer), ([1, 2], None))
    same([x["why"] for x in sim.ledger("lost", "closed")[-3:]], ["strip inserted"] * 3)
    client = Client(sim)
    client.on(0x2A18, 0x2A52)
    same(seqs(client.racp("0101")[0]), [1, 2, 3, 4, 5])


def test_meter_numbers_with_gaps_backwards_and_anew(where):
    sim, client = meter(where, "--records", "20", "--gaps", "0.5")
    numbers = seqs(client.racp("0101")[0])
    same((numbers == sorted(set(numbers)), numbers[-1] > 20), (True, True))
    sim.say("reset")
    sim.say("random 2")
    until(lambda: len(sim.ledger("measured")) == 22, "two more")
    same(seqs(client.racp("0101")[0]), [1, 2])
    sim, client = meter(where, "--records", "3", "--reverse")
    first = client.racp("0105")[0][0]
    same((seqs([first]), client.racp("0101")[0][0]), ([1], first))
    sim.say("random 1")
    until(lambda: len(sim.keys("measured")) == 4, "one more")
    found = client.racp("0101")[0]
    same((seqs(found), found[1][6:]), ([1, 2, 3, 4], first[6:]))      # what was first is second


def test_stored_oximeter_knows_only_all(where):
    sim = peripheral(where, "plx", "--records", "3", "--clock-unset")
    client = Client(sim)
    client.on(0x2A5E, 0x2A52)
    found, answer = client.racp("0101")
    same((len(found), answer, {v[:2] for v in found}), (3, SUCCESS, {"17"}))
    same({bytes.fromhex(v)[12:14].hex() for v in found}, {"0003"})    # from storage
    same(client.racp("0106")[1], "06000104")
    same(len(sim.keys("told")), 3)


# Clocks and identity

def test_clock_is_off_can_be_set_and_dates_the_records(where):
    sim, client = meter(where, "--records", "1", "--clock-offset", "-7200")
    shown = datetime(*struct.unpack_from("<HBBBBB", client.get(0x2A2B)))
    same(7195 < (datetime.now() - shown).total_seconds() < 7210, True)
    old = sim.ledger("measured")[0]["record"]
    same(datetime.fromisoformat(old["true"]) - datetime.fromisoformat(old["time"]),
         timedelta(hours=2))
    now = datetime.now()
    same(client.write(0x2A2B, ble_values.current_time(now).hex()).hex(), "13")
    same(len(sim.ledger("clock")), 1)
    sim.say("random 1")
    until(lambda: len(sim.keys("measured")) == 2, "another")
    new = sim.ledger("measured")[1]["record"]
    same((old["offset_min"], new["offset_min"]), (0, 120))            # the base never moves
    same(abs((datetime.fromisoformat(new["time"]) - now).total_seconds()) < 40, True)
    same(client.write(0x2A2B, "00000000000000000000").hex()[-2:], "80")


def test_and_cuff_has_to_be_told_the_time_first(where):
    sim = peripheral(where, "and_cuff", "--records", "2", "--idle", "2")
    client = Client(sim)
    client.on(0x2A35)
    client.holding = True
    first = bytes.fromhex(client.take(1)[0])
    same(struct.unpack_from("<H", first, 7)[0], 2000)
    client.write(0x2A08, ble_values.date_time(datetime.now()).hex())
    same(sim.ledger("refused")[0]["why"], "too late: indications are on")
    client.sock.close()
    until(lambda: sim.ledger("lost"), "loss")
    client = Client(sim)
    client.write(0x2A08, ble_values.date_time(datetime.now()).hex())
    client.on(0x2A35)
    dates = [datetime(*struct.unpack_from("<HBBBBB", bytes.fromhex(v), 7)) for v in client.take(2)]
    for date, back in zip(dates, (1200, 600)):
        same(abs((datetime.now() - date).total_seconds() - back) < 20, True)
    until(lambda: sim.ledger("closed")[1:], "it hangs up")
    same(len(sim.keys("told")), 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as second:
        same(second.connect_ex(sim.path("att")) != 0, True)


def test_scale_tells_only_after_consent(where):
    sim = peripheral(where, "scale", "--consent", "1234", "--records", "1")
    client = Client(sim)
    client.on(0x2A9D, 0x2A9C, 0x2A9F)
    same(client.take(1, 0.3), [])
    client.holding = True
    client.write(0x2A9F, "02010000")
    client.write(0x2A9F, "03")
    same(client.take(2, 0.3), ["200205"])       # one indication at a time
    client.holding = False
    client.confirm()
    same(client.take(1), ["200302"])
    client.write(0x2A9F, "0201d204")
    same(client.take(1), ["200201"])
    same(len(client.take(2)), 2)
    same(client.get(0x2A9A), b"\1")


def test_identity_and_refused_encryption(where):
    sim = peripheral(where, "glucose", "--serial", "SN-1", "--system-id", "0102030405060708",
                     "--battery", "33", "--insufficient-encryption", "2", "--records", "1")
    client = Client(sim)
    same([client.on(0x2A52)[-1] for _ in range(3)], [0x0F, 0x0F, 0x13])
    same((client.get(0x2A25), client.get(0x2A23).hex(), client.get(0x2A19)),
         (b"SN-1", "0102030405060708", b"!"))


def test_a_bit_that_a_characteristic_lacks_is_not_kept(where):
    client = Client(peripheral(where, "thermometer", "--records", "1"))
    ccc = client.handle(0x2A1C) + 1
    for bits, kept in ((1, 0), (3, 2)):         # it can only indicate
        same(client.request(struct.pack("<BHH", 0x12, ccc, bits)), b"\x13")
        same(client.request(struct.pack("<BH", 0x0A, ccc)), bytes([0x0B, kept, 0]))


def test_a_list_ends_before_an_entry_of_another_length(where):
    short, long = att_server.Characteristic(0x2A00, 2, b"x"), "cdeacb81-5235-4c07-8846-93a37ee6b86d"
    table = att_server.attribute_table([
        att_server.Service(0x1800, [short]), att_server.Service(long, [short._replace(uuid=long)]),
        att_server.Service(0x180F, [short])])
    answer = att_server.AttServer(table, 100).respond
    same(answer(bytes.fromhex("100100ffff0028")).hex(), "1106" "010003000018")
    same(answer(bytes.fromhex("080100ffff0328")).hex(), "0907" "02000203" "00002a")
    same(answer(bytes.fromhex("040100ffff")).hex(), "0501" "01000028" "02000328" "0300002a"
         "10000028" "11000328")


def test_a_bonded_one_remembers(where):
    sim = peripheral(where, "thermometer", "--records", "2", "--bonded")
    client = Client(sim)
    client.holding = True
    client.on(0x2A1C)
    same(len(client.take(1)), 1)
    client.sock.close()
    client = Client(sim)
    same(len(client.take(2)), 2)        # we asked for nothing
    until(lambda: len(sim.keys("told")) == 2, "told")


# Manners

def test_dies_after_so_many_pdus(where):
    sim = peripheral(where, "glucose", "--records", "9", "--die-at", "0,1,2,5,9")
    for count in (0, 1, 2, 5, 9):
        client = Client(sim)
        answers = sum(iter(lambda: client.request(b"\x0a\x03\0") != b"", False))
        same((answers, client.closed), (count // 2, True))
    same([x["why"] for x in sim.ledger("closed")], ["die-at"] * 5)
    client = Client(sim)
    client.on(0x2A18, 0x2A52)
    same(client.racp("0101")[1], SUCCESS)


def test_bad_manners_on_the_link(where):
    def first(name, *options):
        sim = peripheral(where, "glucose", "--misbehave", name, "--records", "9", "--always",
                         *options)
        return sim, Client(sim)

    _, client = first("silent")
    client.sock.send(b"\x02\x17\x00")
    same(client.read(0.3), None)
    same(first("hang-up")[1].read(), None)
    _, client = first("early")
    same(len(client.take(20)), 20)
    _, client = first("flood")
    same(len(client.take(3000)), 3000)
    _, client = first("mtu")
    same([client.read().hex() for _ in range(3)], ["020000", "021600", "02ffff"])
    sizes = {client.request(b"\x02\x64\0")[1:] for _ in range(30)}
    same(len(sizes) > 5, True)
    _, client = first("wrong-opcode")
    for _ in range(20):
        client.sock.send(b"\x0a\x02\0")
    opcodes = [pdu[0] for pdu in iter(lambda: client.read(0.3), None)]
    same((len(opcodes) != 20 or set(opcodes) != {0x0B}, 0x0B in opcodes), (True, True))
    _, client = first("any-order")
    for handle in range(1, 9):
        client.sock.send(bytes([0x0A, handle, 0]))
    answers = list(islice(iter(client.read, None), 8))
    same((len(answers), answers[0][:1] == b"\x01"), (8, False))
    _, client = first("any-length")
    client.on(0x2A18, 0x2A34, 0x2A52)
    lengths = {len(client.get(0x2A25)) for _ in range(30)}
    same(len(lengths) > 5, True)
    _, client = first("twin-service")
    found = client.discover()
    same([len(found[u]) for u in (0x2A18, 0x2A52)], [2, 2])
    sim, client = first("moving-handles")
    seen = {client.handle(0x2A18)}
    for _ in range(5):
        client.sock.close()
        client = Client(sim)
        seen.add(client.handle(0x2A18))
    same(len(seen) > 2, True)
    client.on(0x2A18, 0x2A52)
    same(client.racp("0101")[1], SUCCESS)


def test_bad_manners_with_records(where):
    def report(name, *options):
        return meter(where, "--misbehave", name, "--records", "9", *options)[1]

    same(seqs(report("backwards").racp("0101")[0]), [9, 8, 7, 6, 5, 4, 3, 2, 1])
    same(seqs(report("duplicates").racp("0101")[0])[:4], [1, 1, 2, 2])
    client = report("racp-wrong")
    answers = {client.racp("0101", 1)[1] for _ in range(8)}
    same((len(answers) > 3, SUCCESS in answers), (True, False))
    client = report("after-response")
    same(client.racp("0101")[1], SUCCESS)
    same(seqs(client.take(5)), [1, 2, 3, 4, 5])
    client = report("endless", "--pace", "0.001")
    client.write(0x2A52, "0101")
    same(len(client.take(60)), 60)
    same(client.racp("0300")[1], "06000301")

    def push(name):
        sim = peripheral(where, "thermometer", "--misbehave", name, "--records", "4")
        client = Client(sim)
        client.holding = name == "no-wait"
        client.on(0x2A1C)
        return sim, client

    sim, client = push("no-wait")
    same(len(client.take(4)), 4)
    for _ in range(4):
        client.confirm()
    until(lambda: len(sim.keys("told")) == 4, "all are told")
    _, client = push("duplicates")
    values = client.take(8)
    same(values[::2], values[1::2])
    _, client = push("backwards")
    dates = [bytes.fromhex(v)[5:12] for v in client.take(4)]
    same(dates, sorted(dates, reverse=True))
    _, client = push("endless")
    same(len(client.take(12)), 12)


if __name__ == "__main__":
    sys.exit(main(globals()))
