#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-test of the simulated instruments in tests/sim, each against a tiny client of its own.

The clients here are written from the standards, too, and import nothing from the simulators: what
both sides agree on is the protocol. Prints TAP. Arguments, if any, select tests by name.
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
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("VITALGATE_SHARED") or os.path.join(HERE, "..", "..", "shared")
PATIENCE = 60     # seconds for anything to happen; a busy machine is no failure


SIMS = []           # those of the running test, so that none outlives it


class Skip(Exception):
    pass


def same(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


class Sim:
    """A running simulator in a directory of its own."""

    def __init__(self, program, where, *options):
        self.where = where
        self.command = [os.path.join(HERE, "sim", program), "--ledger",
                        self.path("ledger"), "--control", self.path("control"), *options]
        SIMS.append(self)
        self.again()

    def path(self, name):
        return os.path.join(self.where, name)

    def ledger(self, *events):
        if not os.path.exists(self.path("ledger")):
            return []
        with open(self.path("ledger"), "rb") as file:
            lines = [json.loads(line) for line in file.read().split(b"\n")[:-1]]
        return [x for x in lines if not events or x["event"] in events]

    def keys(self, event):
        return [x["key"] for x in self.ledger(event)]

    def say(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            until(lambda: sock.connect_ex(self.path("control")) == 0, "control socket")
            sock.send(text.encode())

    def complaints(self):
        with open(self.path("stderr"), encoding="utf-8") as stderr:
            return stderr.read()

    def exit_code(self, receiver=None):
        if receiver:
            receiver.close()
        return self.process.wait(PATIENCE)

    def terminate(self):
        self.process.terminate()
        return self.exit_code()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def again(self):
        with open(self.path("stderr"), "ab") as stderr:
            self.process = subprocess.Popen([sys.executable, "-B", *self.command], stderr=stderr)


# A client for the cuff

class Att:
    def __init__(self, cuff):
        self.indications, self.others = [], []

        def connected():
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            if self.sock.connect_ex(cuff.path("att")) == 0:
                return True
            self.sock.close()
            return False

        until(connected, "connection to the cuff")
        self.sock.settimeout(PATIENCE)

    def receive(self):
        """The next PDU that is no indication; b"" when the link is gone. Indications wait."""
        while True:
            try:
                pdu = self.sock.recv(600)
            except ConnectionError:
                return b""
            if pdu[:1] == b"\x1d" and len(pdu) >= 3:
                self.indications.append(pdu)
                continue
            return pdu

    def request(self, text):
        """Request in hex, response as bytes. Anything that is not its response is set aside."""
        raw = bytes.fromhex(text)
        self.sock.send(raw)
        while True:
            pdu = self.receive()
            if not pdu or pdu[0] == raw[0] + 1 or pdu[:2] == bytes([1, raw[0]]):
                return pdu
            self.others.append(pdu)

    def indication(self, seconds=PATIENCE):
        """Value of the next indication; None when none comes in time or the link is gone."""
        deadline = time.monotonic() + seconds
        while not self.indications:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                return None
            try:
                pdu = self.sock.recv(600)
            except ConnectionError:
                return None
            if not pdu:
                return None
            (self.indications if pdu[:1] == b"\x1d" else self.others).append(pdu)
        return self.indications.pop(0)[3:]

    def confirm(self):
        try:
            self.sock.send(b"\x1e")
        except OSError:
            pass

    def subscribe(self):
        return self.request(f"12 {self.ccc():02x} 00 02 00")

    def ccc(self):
        return self.handles(0x2902)[0]

    def handles(self, uuid):
        return [h for h, u in self.find_information() if u == uuid]

    def find_information(self):
        found, start = [], 1
        while start <= 0xFFFF:
            pdu = self.request(struct.pack("<BHH", 4, start, 0xFFFF).hex())
            if pdu[:1] != b"\x05":
                break
            found += list(struct.iter_unpack("<HH", pdu[2:]))
            start = found[-1][0] + 1
        return found

    def drain(self):
        """Take and confirm everything; the values."""
        values = []
        while (value := self.indication(2)) is not None:
            values.append(value)
            self.confirm()
        return values


def cuff_in(where, *options):
    return Sim("cuff.py", where, "--listen", os.path.join(where, "att"), *options)


ONE = '{"sys":190,"dia":115,"map":140,"pulse":88,"unit":"mmHg","time":"2026-11-21T08:00:00"}'
ONE_HEX = "06be0073008c00ea070b150800005800"
TWO = '{"sys":16.0,"dia":10.7,"map":null,"unit":"kPa","user":2,"status":4}'
TWO_HEX = "19a0f06bf0ff07020400"
FAILED = '{"nan":true,"time":"2026-11-21T08:05:09","status":0}'
FAILED_HEX = "16ff07ff07ff07ea070b15080509ff070000"


def test_cuff_encodes_as_specified(where):
    cuff = cuff_in(where, "--record", ONE, "--record", TWO, "--record", FAILED,
                   "--record", '{"hex":"00"}', "--exit-when-done", "--idle", "0")
    client = Att(cuff)
    same(client.subscribe(), b"\x13")
    same([v.hex() for v in client.drain()], [ONE_HEX, TWO_HEX, FAILED_HEX, "00"])
    same(cuff.exit_code(), 0)
    same([x["hex"] for x in cuff.ledger("told")], [ONE_HEX, TWO_HEX, FAILED_HEX, "00"])
    same(cuff.ledger("told")[0]["record"], json.loads(ONE))


def test_cuff_beurer_quirk(where):
    record = ('{"sys":120,"dia":75,"map":90,"pulse":63,"user":1,"status":4,'
              '"time":"2026-08-11T18:31:00"}')
    cuff = cuff_in(where, "--beurer", "--record", record)
    client = Att(cuff)
    client.subscribe()
    same(client.indication().hex(), "56" "7800" "4b00" "0000" "ea07080b121f00" "003f" "01" "0004")
    cuff.terminate()


def test_cuff_agrees_with_captures_of_real_meters(where):
    path = os.path.join(SHARED, "vectors", "ble.json")
    if not os.path.exists(path):
        raise Skip("no shared data")
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    vectors = vectors if isinstance(vectors, list) else vectors["vectors"]
    wanted = []
    for v in vectors:
        expected, flags = v.get("expected") or {}, int(v["hex"][:2] or "0", 16)
        if (v.get("kind") != "device_capture" or v["characteristic"][-4:].upper() != "2A35"
                or "beurer" in v["note"].lower() or flags & 0xE0):
            continue
        fields = {"map": 1, "time": flags & 2, "pulse": flags & 4, "user": flags & 8,
                  "status": flags & 16}
        if any(present and name not in expected for name, present in fields.items()):
            continue                    # the source does not say what all of its bytes mean
        record = {k: expected.get(k) for k in ("time", "user", "status")}
        record.update({k: None if x == "NaN" else int(x) for k, x in expected.items()
                       if k in ("sys", "dia", "map", "pulse")})
        record["nan"] = expected["sys"] == "NaN"
        wanted.append((json.dumps(record), v["hex"]))
    if not wanted:
        raise AssertionError("no capture fits")
    options = [x for record, _ in wanted for x in ("--record", record)]
    cuff = cuff_in(where, *options, "--exit-when-done", "--idle", "0")
    client = Att(cuff)
    client.subscribe()
    same([v.hex() for v in client.drain()], [h for _, h in wanted])
    same(cuff.exit_code(), 0)


def test_cuff_discovery(where):
    cuff = cuff_in(where, "--always", "--name", "cuff-7", "--clock", "3600")
    client = Att(cuff)
    services, start = {}, 1
    while start <= 0xFFFF:
        pdu = client.request(struct.pack("<BHHH", 0x10, start, 0xFFFF, 0x2800).hex())
        if pdu[0] == 1:
            same(pdu[4], 0x0A)
            break
        same(pdu[1], 6)
        for handle, end, uuid in struct.iter_unpack("<HHH", pdu[2:]):
            services[uuid] = (handle, end)
        start = end + 1
    same(sorted(services), [0x1800, 0x1805, 0x180A, 0x180F, 0x1810])
    same(services[0x1810][1], 0xFFFF)

    first, last = services[0x1810]
    same(client.request(struct.pack("<BHHHH", 6, 1, 0xFFFF, 0x2800, 0x1810).hex()),
         struct.pack("<BHH", 7, first, last))
    pdu = client.request(struct.pack("<BHHH", 8, first, last, 0x2803).hex())
    same(pdu[1], 7)
    found = {uuid: (props, handle) for _, props, handle, uuid
             in struct.iter_unpack("<HBHH", pdu[2:])}
    same({u: p for u, (p, _) in found.items()}, {0x2A35: 0x20, 0x2A49: 0x02})
    long_uuid = bytes.fromhex("fb349b5f80000080001000000328") + b"\0\0"
    same(client.request(struct.pack("<BHH", 8, first, last).hex() + long_uuid.hex()), pdu)

    by_uuid = {u: h for h, u in client.find_information()}
    same(by_uuid[0x2902], found[0x2A35][1] + 1)
    same(client.request(struct.pack("<BH", 0x0A, by_uuid[0x2A25]).hex()), b"\x0bcuff-7")
    same(client.request(struct.pack("<BHHH", 8, 1, 0xFFFF, 0x2A19).hex())[4:], bytes([85]))
    value = b""
    while True:
        pdu = client.request(struct.pack("<BHH", 0x0C, by_uuid[0x2A29], len(value)).hex())
        value += pdu[1:]
        same(len(pdu) <= 23, True)
        if len(pdu) < 23:
            break
    same(value, b"Simulated Instruments, for tests only")
    same(client.request(struct.pack("<BH", 0x0A, by_uuid[0x2A29]).hex())[1:], value[:22])

    clock = client.request(struct.pack("<BH", 0x0A, by_uuid[0x2A2B]).hex())[1:]
    same(len(clock), 10)
    shown = datetime(*struct.unpack_from("<HBBBBB", clock))
    ahead = (shown - datetime.now()).total_seconds()
    if not 3580 < ahead < 3610:
        raise AssertionError(f"clock is {ahead} s ahead")
    same(clock[7], shown.isoweekday())
    same(client.request("02 00 02"), b"\x03\x17\x00")
    same(cuff.terminate(), 0)


def test_cuff_without_clock_service(where):
    cuff = cuff_in(where, "--always", "--no-clock")
    same(Att(cuff).request("06 01 00 ff ff 00 28 05 18"), bytes.fromhex("01 06 01 00 0a"))
    cuff.terminate()


def test_cuff_refuses_by_the_book(where):
    cuff = cuff_in(where, "--always", "--mtu", "100")
    client = Att(cuff)
    for request, response in (("26 00 00", "01 26 00 00 06"),         # unknown request
                              ("0a 00 70", "01 0a 00 70 01"),         # no such handle
                              ("0a 52 00", "01 0a 52 00 02"),         # 2A35 cannot be read
                              ("0c 02 00 99 00", "01 0c 02 00 07"),   # beyond the end
                              ("04 00 00 05 00", "01 04 00 00 01"),   # handle 0
                              ("04 05 00 02 00", "01 04 05 00 01"),   # backwards
                              ("0a 01", "01 0a 00 00 04"),            # cut
                              ("12 02 00 00", "01 12 02 00 03"),      # not writable
                              ("12 53 00 02", "01 12 53 00 0d"),      # a CCC has two bytes
                              ("08 01 00 ff ff 3a 2b", "01 08 01 00 0a"),
                              ("10 01 00 ff ff 03 28", "01 10 01 00 10"),
                              ("02 00 01", "03 64 00")):
        same(client.request(request).hex(), bytes.fromhex(response).hex())
    client.sock.send(bytes.fromhex("52 53 00 02 00"))     # a command: ignored, no answer
    client.sock.send(b"\x1e")
    same(client.request("0a 53 00"), b"\x0b\0\0")
    same(len(cuff.ledger("unexpected")), 1)
    cuff.terminate()


def test_cuff_keeps_a_record_until_its_confirmation(where):
    cuff = cuff_in(where, "--state", os.path.join(where, "state"), "--exit-when-done",
                   "--record", ONE, "--record", TWO, "--record", FAILED, "--idle", "4")
    client = Att(cuff)
    client.subscribe()
    same(client.indication().hex(), ONE_HEX)
    client.request("0a 02 00")                            # it is awake, and yet:
    same(client.indication(0.3), None)                    # one at a time, oldest first
    client.sock.close()
    until(lambda: cuff.ledger("lost"), "the cuff sees the loss")

    client = Att(cuff)
    same(client.indication(0.1), None)                    # this one is not bonded: CCC is off again
    client.subscribe()
    same(client.indication().hex(), ONE_HEX)
    client.confirm()
    same(client.indication().hex(), TWO_HEX)
    cuff.kill()

    cuff.again()
    client = Att(cuff)
    client.subscribe()
    same([v.hex() for v in client.drain()], [TWO_HEX, FAILED_HEX])
    same(cuff.exit_code(), 0)
    same(cuff.keys("told"), ["000001", "000002", "000003"])
    same(len(cuff.keys("measured")), 3)


def test_cuff_advertises_only_with_records_and_hangs_up_when_idle(where):
    cuff = cuff_in(where, "--idle", "3")
    cuff.say("rubbish")
    time.sleep(0.3)
    same(os.path.exists(cuff.path("att")), False)
    cuff.say("record " + ONE)
    client = Att(cuff)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as second:
        until(lambda: cuff.ledger("connected"), "connected")
        same(second.connect_ex(cuff.path("att")) != 0, True)
    client.subscribe()
    same(client.indication().hex(), ONE_HEX)
    same(select.select([client.sock], [], [], 3.5)[0], [])    # not idle: it waits for us
    client.confirm()
    same(client.receive(), b"")
    until(lambda: cuff.ledger("closed"), "closed")
    same([x["why"] for x in cuff.ledger("closed")], ["idle"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as second:
        same(second.connect_ex(cuff.path("att")) != 0, True)
    same(cuff.terminate(), 0)
    same(os.path.exists(cuff.path("control")), False)


def test_cuff_insufficient_encryption(where):
    cuff = cuff_in(where, "--insufficient-encryption", "2", "--record", ONE)
    client = Att(cuff)
    same([client.subscribe()[-1] for _ in range(3)], [0x0F, 0x0F, 0x13])
    same(client.indication().hex(), ONE_HEX)
    cuff.terminate()


def test_cuff_early_indication(where):
    cuff = cuff_in(where, "--early-indication", "--record", ONE,
                   "--state", os.path.join(where, "state"))
    client = Att(cuff)
    same(client.indication(0.2), None)
    client.subscribe()
    same(client.indication().hex(), ONE_HEX)
    cuff.kill()
    cuff.again()
    client = Att(cuff)
    same(client.indication().hex(), ONE_HEX)      # we asked for nothing
    cuff.terminate()


def test_cuff_own_requests(where):
    cuff = cuff_in(where, "--always", "--own-requests", "--mtu", "185")
    client = Att(cuff)
    same(client.receive().hex(), "02b900")
    same(client.request("0a 70 00").hex(), "010a700001")      # crosses its request
    client.sock.send(b"\x03\x40\x00")
    same(client.receive().hex(), "080100ffff3a2b")
    client.sock.send(bytes.fromhex("01 08 01 00 0a"))
    until(lambda: len(cuff.ledger("answer")) == 2, "answers in the ledger")
    same(len(client.request("04 01 00 ff ff")) > 40, True)    # its MTU is in force: 64
    cuff.terminate()


def test_cuff_drops(where):
    cuff = cuff_in(where, "--drop-after-indication", "1", "--record", ONE)
    for _ in range(3):
        client = Att(cuff)
        client.subscribe()
        same(client.indication(), bytes.fromhex(ONE_HEX))
        client.confirm()
        client.sock.close()
    until(lambda: len(cuff.ledger("lost")) == 3, "three losses")
    same(cuff.keys("told"), [])
    cuff.terminate()


def test_cuff_drops_before_the_confirmation_is_processed(where):
    cuff = cuff_in(where, "--drop-before-confirm-processing", "0.5", "--random", "20", "--seed",
                   "4", "--exit-when-done", "--idle", "0")
    values = []
    while len(cuff.keys("told")) < 20:
        client = Att(cuff)
        client.subscribe()
        while (value := client.indication()) is not None:
            values.append(value.hex())
            client.confirm()
    same(cuff.exit_code(), 0)
    same(len(values) > 20, True)
    same(list(dict.fromkeys(values)), [x["hex"] for x in cuff.ledger("measured")])


def test_cuff_mute(where):
    cuff = cuff_in(where, "--mute", "3", "--always", "--own-requests", "--idle", "0.5")
    client = Att(cuff)
    client.sock.send(bytes.fromhex("02 17 00"))
    same(select.select([client.sock], [], [], 0.4)[0], [])
    same(sorted(client.receive()[0] for _ in range(2)), [2, 3])
    client.sock.close()
    client = Att(cuff)
    client.sock.close()
    until(lambda: len(cuff.ledger("closed")) == 2, "hang-up is seen in silence, too")
    cuff.terminate()


def test_cuff_noise(where):
    cuff = cuff_in(where, "--noise", "30", "--random", "10", "--exit-when-done", "--idle", "0")
    client = Att(cuff)
    same(client.subscribe(), b"\x13")
    same(len(client.drain()), 10)
    same(cuff.exit_code(), 0)
    same(len(client.others) > 10, True)
    same([p for p in client.others if p[:1] in (b"\x1d", b"\x01") or p[0] in (3, 5, 9, 0x13)], [])


def test_cuff_now_is_never_the_same_second(where):
    now = json.dumps({"sys": 120, "dia": 80, "time": "now"})
    cuff = cuff_in(where, "--record", now, "--record", now, "--record", now)
    until(lambda: len(cuff.ledger("measured")) == 3, "three records")
    times = [x["record"]["time"] for x in cuff.ledger("measured")]
    same(sorted(set(times)), times)
    same(abs((datetime.fromisoformat(times[0]) - datetime.now()).total_seconds()) < 60, True)
    cuff.terminate()


def test_cuff_random(where):
    cuff = cuff_in(where, "--random", "60", "--rate", "100", "--seed", "9", "--users", "2",
                   "--criticals", "0.2", "--cuff-errors", "0.1", "--exit-when-done",
                   "--idle", "0.5")
    values = []
    while cuff.process.poll() is None and len(values) < 60:
        client = Att(cuff)
        client.subscribe()
        values += client.drain()
    same(cuff.exit_code(), 0)
    same([v.hex() for v in values], [x["hex"] for x in cuff.ledger("told")])
    same(sorted(cuff.keys("told")), sorted(cuff.keys("measured")))
    records = [x["record"] for x in cuff.ledger("told")]
    same(len({r["time"] for r in records}), 60)
    same(max(r["time"] for r in records) <= datetime.now().isoformat(), True)
    same({r["class"] for r in records}, {"normal", "critical", "cuff error"})
    same({r["user"] for r in records}, {1, 2})
    for value, record in zip(values, records):
        flags, high, low = struct.unpack_from("<BHH", value)
        same((flags, high, low), (0x1E, record.get("sys", 0x07FF), record.get("dia", 0x07FF)))


# A receiver for the analyser

class Receiver:
    """The gateway's side. reply(body, checksum_ok) may change what is answered."""

    def __init__(self, analyser, reply=None, fd=None):
        if fd is None:
            path = analyser.path("tty")
            until(lambda: os.path.exists(path), "the tty")
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.fd = fd
        self.reply = reply or (lambda body, good: b"\x06" if good else b"\x15")
        self.bytes, self.frames, self.messages = b"", [], []
        self.text, self.heard, self.idle = b"", bytearray(), True

    def close(self):
        os.close(self.fd)

    def byte(self, seconds):
        """One byte; b"" when none comes; OSError when the line is gone."""
        if not self.heard:
            if not select.select([self.fd], [], [], seconds)[0]:
                return b""
            data = os.read(self.fd, 65536)
            if not data:
                raise OSError("hung up")
            self.heard += data
        value = bytes(self.heard[:1])
        del self.heard[:1]
        return value

    def frame(self):
        """The rest of a frame after STX: body (number to ETX or ETB) and whether its sum fits."""
        body = b""
        while body[-1:] not in (b"\x03", b"\x17"):
            body += self.byte(5) or b"\x03"
        check = self.byte(5) + self.byte(5)
        return body, check == b"%02X" % (sum(body) % 256)

    def event(self, seconds=PATIENCE):
        """Take and answer one thing: "ENQ", "EOT", "frame", or "" for silence. Other bytes are
        skipped, and everything but ENQ while no message is on."""
        while True:
            got = self.byte(seconds)
            if got == b"\x05":
                self.idle, self.text = False, b""
                os.write(self.fd, self.reply(got, True))
                return "ENQ"
            if got == b"\x04" and not self.idle:
                self.idle = True
                self.messages.append(self.text)
                return "EOT"
            if got == b"\x02" and not self.idle:
                body, good = self.frame()
                answer = self.reply(body, good)
                self.frames.append((body, good, answer))
                if answer == b"\x06":
                    self.text += body[1:-1]
                os.write(self.fd, answer)
                return "frame"
            if not got:
                return ""

    def message(self):
        """Records of the next complete message."""
        before, deadline = len(self.messages), time.monotonic() + PATIENCE
        while len(self.messages) == before:
            if not self.event() or time.monotonic() > deadline:
                raise AssertionError("no message comes to its end")
        return records_of(self.messages[-1])


def records_of(text):
    return [r.split("|") for r in text.decode().split("\r") if r]


def analyser_in(where, *options):
    blind = "--blind" in options      # most tests need no vain bids before we have the port open
    options = [x for x in options if x != "--blind"] + ([] if blind else ["--dtr"])
    return Sim("analyser.py", where, "--link", os.path.join(where, "tty"), *options)


def result(number, value="6.1", **more):
    fields = {"patient": "R-0001", "specimen": "S-17", "test": f"T{number}", "value": value,
              "unit": "mmol/L", "flag": "N", "status": "F", "time": "20260131080900"}
    return "--result", json.dumps({**fields, **more})


def test_analyser_message(where):
    analyser = analyser_in(where, *result(1), *result(2, ">33.3", flag=">"),
                           *result(3, "HI", patient="R-0002", specimen="S|18"), "--per-message",
                           "5", "--clock", "-86400", "--name", "lab-1", "--exit-when-done")
    receiver = Receiver(analyser)
    records = receiver.message()
    same(analyser.exit_code(receiver), 0)
    same([r[0] for r in records], ["H", "P", "O", "R", "R", "P", "O", "R", "L"])
    head, patient, order, first, second, other, other_order, third, last = records
    same((head[1], head[4], head[11], head[12]), ("\\^&", "SIMLAB^1.0^lab-1", "P", "LIS2-A2"))
    behind = (datetime.now() - datetime.strptime(head[13], "%Y%m%d%H%M%S")).total_seconds()
    same(86390 < behind < 86440, True)
    same((patient[1:3], other[1:3]), (["1", "R-0001"], ["2", "R-0002"]))
    same((order[2], order[4], order[11]), ("S-17", "^^^T1", "N"))
    same(other_order[2], "S&F&18")
    same("|".join(first), "R|1|^^^T1|6.1|mmol/L||N||F||||20260131080900")
    same((second[1:4], second[6]), (["2", "^^^T2", ">33.3"], ">"))
    same(third[1:4], ["1", "^^^T3", "HI"])
    same(last, ["L", "1", "N"])
    same([body[:1] for body, _, _ in receiver.frames], [b"%d" % (n % 8) for n in range(1, 10)])
    same([good for _, good, _ in receiver.frames], [True] * 9)
    same(analyser.keys("told"), ["000001", "000002", "000003"])
    same(bytes.fromhex(analyser.ledger("told")[0]["hex"]), "|".join(first).encode() + b"\r")
    same(analyser.ledger("told")[1]["record"]["value"], ">33.3")


def test_analyser_is_told_by_the_ack_of_the_completing_frame(where):
    analyser = analyser_in(where, *result(1), *result(2), "--per-message", "2", "--ack-timeout",
                           "2", "--retry", "0.1", "--exit-when-done")
    silent = []

    def reply(body, _good):
        if body[1:4] == b"R|2" and not silent:
            silent.append(body)
            return b""
        return b"\x06"

    receiver = Receiver(analyser, reply)
    receiver.message()                # broken off by EOT
    same(analyser.keys("told"), ["000001"])
    same(analyser.keys("lost"), ["000002"])
    same(analyser.keys("complete"), [])
    records = receiver.message()
    same(analyser.exit_code(receiver), 0)
    same(len(records), 6)
    same(analyser.keys("told"), ["000001", "000001", "000002"])
    same(analyser.keys("complete"), ["000001", "000002"])
    sent = [body for body, _, _ in receiver.frames if body[1:2] == b"R"]
    same(sent[0:2], sent[2:4])


def test_analyser_resends_on_nak_and_gives_up_after_six(where):
    analyser = analyser_in(where, *result(1), "--retry", "0.1", "--exit-when-done")
    left = [2, 6]                     # two NAK for P at first, six for R in the same message

    def reply(body, _good):
        which = {b"P": 0, b"R": 1}.get(body[1:2])
        if which is not None and left[which]:
            left[which] -= 1
            return b"\x15"
        return b"\x06"

    receiver = Receiver(analyser, reply)
    receiver.message()
    kinds = [body[1:2] for body, _, _ in receiver.frames]
    same(b"".join(kinds), b"HPPPORRRRRR")
    same(len({body for body, _, _ in receiver.frames if body[1:2] == b"R"}), 1)
    same(analyser.keys("told"), [])
    same([r[0] for r in receiver.message()], ["H", "P", "O", "R", "L"])
    same(analyser.exit_code(receiver), 0)
    same(analyser.keys("sent"), ["000001", "000001"])


def test_analyser_line_bids(where):
    """Busy, contention, silence; a gateway that bids for the line of an idle analyser; EOT."""
    analyser = analyser_in(where, "--ack-timeout", "2", "--retry", "0.2")
    receiver = Receiver(analyser)
    os.write(receiver.fd, b"\x05")
    same(receiver.byte(PATIENCE), b"\x15")
    answers = [b"\x15", b"\x05", b"", b"\x06", b"\x06", b"\x04"]
    receiver.reply = lambda body, good: answers.pop(0) if answers else b"\x06"
    analyser.say("record " + result(1)[1])
    started = time.monotonic()
    same([receiver.event() for _ in range(3)], ["ENQ"] * 3)
    same(time.monotonic() - started > 1.1, True)          # 0.2 s after NAK, 1 s after contention
    same(receiver.byte(PATIENCE), b"\x04")                # silence
    receiver.idle = True
    same([receiver.event() for _ in range(3)], ["ENQ", "frame", "frame"])   # EOT is an ACK, too
    receiver.message()
    until(lambda: analyser.keys("complete"), "complete")
    same(analyser.terminate(), 0)
    same(os.path.lexists(analyser.path("tty")), False)


def test_analyser_one_frame(where):
    analyser = analyser_in(where, *result(1), *result(2), "--per-message", "9", "--one-frame",
                           "--pad-bytes", "60000", "--exit-when-done")
    receiver = Receiver(analyser)
    records = receiver.message()
    same(analyser.exit_code(receiver), 0)
    same(len(receiver.frames), 1)
    same(60000 < len(receiver.frames[0][0]) < 65536, True)
    same(len([r for r in records if r[0] == "M"]), 300)
    same(sum(len(r[3]) for r in records if r[0] == "M"), 60000)
    same(analyser.keys("told"), ["000001", "000002"])


def test_analyser_etb(where):
    long_value = "positive, " * 50
    analyser = analyser_in(where, *result(1, long_value), "--etb", "--exit-when-done")
    receiver = Receiver(analyser)
    records = receiver.message()
    same(analyser.exit_code(receiver), 0)
    same(records[3][3], long_value)
    same([body[-1:] for body, _, _ in receiver.frames][3:6], [b"\x17", b"\x17", b"\x03"])
    same(max(len(body) for body, _, _ in receiver.frames), 242)


def test_analyser_etb_across_records(where):
    analyser = analyser_in(where, *result(1), *result(2), "--etb", "--one-frame", "--frame-chars",
                           "32", "--per-message", "2", "--exit-when-done")
    receiver = Receiver(analyser)
    same([r[0] for r in receiver.message()], ["H", "P", "O", "R", "R", "L"])
    same(analyser.exit_code(receiver), 0)
    same([body[-1:] for body, _, _ in receiver.frames[:-1]], [b"\x17"] * (len(receiver.frames) - 1))
    same(len(receiver.frames) > 5, True)
    same(analyser.keys("told"), ["000001", "000002"])


def test_analyser_line_ends(where):
    for name, end in (("cr", b"\r"), ("lf", b"\n"), ("crlf", b"\r\n"), ("none", b"")):
        place = os.path.join(where, name)
        os.mkdir(place)
        analyser = analyser_in(place, *result(1), "--crlf", name, "--exit-when-done")
        receiver = Receiver(analyser)
        same(receiver.byte(PATIENCE), b"\x05")
        os.write(receiver.fd, b"\x06")
        same(receiver.byte(PATIENCE), b"\x02")
        same(receiver.frame()[1], True)
        same(b"".join(receiver.byte(PATIENCE) for _ in end) + receiver.byte(0.2), end)
        analyser.terminate()


def test_analyser_bad_checksum(where):
    analyser = analyser_in(where, "--random", "20", "--bad-checksum", "1", "--exit-when-done")
    receiver = Receiver(analyser)
    for _ in range(20):
        receiver.message()
    same(analyser.exit_code(receiver), 0)
    same([good for _, good, _ in receiver.frames], [False, True] * 100)
    same(len(analyser.keys("complete")), 20)
    same(analyser.ledger("error"), [])


def test_analyser_restart_and_junk(where):
    analyser = analyser_in(where, "--random", "20", "--restart", "1", "--junk", "1",
                           "--exit-when-done", "--ack-timeout", "5")
    receiver, events = Receiver(analyser), []
    while events.count("EOT") < 20:
        events.append(receiver.event())
        same(events[-1] != "" and events.count("ENQ") <= 40, True)
    same(analyser.exit_code(receiver), 0)
    same(events.count("ENQ"), 40)
    same([[r[0] for r in records_of(m)] for m in receiver.messages], [list("HPORL")] * 20)
    same(len([x for x in analyser.ledger("fault") if x["why"] == "junk"]), 20)
    same(len(analyser.ledger("refused")), 0)


def test_analyser_qc_and_unknown(where):
    analyser = analyser_in(where, "--random", "60", "--qc", "0.5", "--unknown", "0.3",
                           "--per-message", "4", "--exit-when-done")
    receiver = Receiver(analyser)
    shown = []
    while len(analyser.keys("complete")) < len(analyser.keys("measured")) or not shown:
        records = receiver.message()
        for r in records:
            if r[0] == "O":
                control = r[11] == "Q"
            if r[0] == "R":
                shown.append((r[2][3:], "control" if control else
                              None if records[0][11] == "P" else records[0][11]))
        until(lambda: len(analyser.keys("complete")) >= len(shown), "what follows the EOT")
    same(analyser.exit_code(receiver), 0)
    results = [x["record"] for x in analyser.ledger("complete")]
    same(shown, [(r["test"], r.get("qc")) for r in results])
    same({r.get("qc") for r in results}, {None, "Q", "D", "T", "control"})
    unknown = [r for r in results if r.get("unknown")]
    same(5 < len(unknown) < 40, True)
    same("Z|1|no such record\r" in b"".join(receiver.messages).decode(), True)


def test_analyser_unplug_and_return(where):
    analyser = analyser_in(where, *result(1), "--ack-timeout", "2", "--retry", "0.2",
                           "--exit-when-done")
    receiver = Receiver(analyser)
    same([receiver.event() for _ in range(3)], ["ENQ", "frame", "frame"])
    analyser.say("unplug")
    try:
        while True:
            receiver.byte(PATIENCE)
    except OSError:
        receiver.close()
    same(os.path.lexists(analyser.path("tty")), False)
    analyser.say("plug")
    receiver = Receiver(analyser)
    receiver.message()
    if not receiver.messages[-1]:     # the first was half over when we opened the port
        receiver.message()
    same(analyser.exit_code(receiver), 0)
    same(analyser.keys("complete"), ["000001"])


def test_analyser_bytes_vanish_while_nobody_listens(where):
    analyser = analyser_in(where, *result(1), "--ack-timeout", "1", "--retry", "0.1", "--blind")
    until(lambda: len(analyser.ledger("refused")) >= 3, "three vain bids")
    receiver = Receiver(analyser)
    try:
        mode = tty_mode(receiver.fd)
        same(mode, "raw")
        receiver.message()
        if not receiver.messages[-1]:
            receiver.message()
        until(lambda: analyser.keys("complete"), "complete")
        same(len(receiver.messages) < 3, True)        # no heap of old ENQ and EOT
    finally:
        receiver.close()
    same(analyser.terminate(), 0)


def test_analyser_on_an_existing_tty(where):
    master, slave = os.openpty()
    analyser = Sim("analyser.py", where, "--tty", os.ttyname(slave), "--baud", "115200",
                   *result(1), "--exit-when-done")
    receiver = Receiver(analyser, fd=master)
    receiver.message()
    same(tty_mode(slave), "raw")
    same(tty.tcgetattr(slave)[4], tty.B115200)
    same(analyser.exit_code(), 0)
    receiver.close()
    os.close(slave)


def tty_mode(fd):
    mode = tty.tcgetattr(fd)
    return "raw" if not mode[3] & (tty.ICANON | tty.ECHO) and not mode[1] & tty.OPOST else "cooked"


def test_analyser_ledger_survives_a_kill(where):
    analyser = analyser_in(where, "--random", "100000", "--rate", "3000", "--ack-timeout", "1",
                           "--retry", "0.1")
    receiver = Receiver(analyser)
    for _ in range(50):
        receiver.message()
    analyser.kill()
    receiver.close()
    with open(analyser.path("ledger"), "rb") as file:
        same(file.read()[-1:], b"\n")
    before = analyser.keys("measured")
    analyser.again()
    until(lambda: len(analyser.keys("measured")) > len(before), "new measurements")
    keys = analyser.keys("measured")
    same(len(set(keys)), len(keys))
    same(analyser.terminate(), 0)


def children_seconds():
    return os.times().children_user + os.times().children_system


def test_analyser_speed(where):
    """At least 300 small messages a second. Measured in processor time of the simulator, so that
    neither a busy machine nor our own client decides."""
    count, before = 600, children_seconds()
    analyser = analyser_in(where, "--random", str(count), "--exit-when-done")
    receiver, started = Receiver(analyser), time.monotonic()
    for _ in range(count):
        receiver.message()
    took = time.monotonic() - started
    same(analyser.exit_code(receiver), 0)
    used = children_seconds() - before
    print(f"# {count / took:.0f} messages/s, {count / used:.0f} per second of processor time")
    same(count / used > 300, True)


def comment(text):
    for line in text.splitlines():
        print("#", line)


def main(names):
    """Runs the tests of a module, each in a directory of its own."""
    tests = [(name[5:], run) for name, run in names.items() if re.match("test_", name)]
    tests = [t for t in tests if not sys.argv[1:] or any(a in t[0] for a in sys.argv[1:])]
    failed = 0
    for number, (name, run) in enumerate(tests, 1):
        where = tempfile.mkdtemp(prefix="vg-sim-")
        try:
            run(where)
            same([sim.command for sim in SIMS if "Traceback" in sim.complaints()], [])
            print(f"ok {number} - {name}")
        except Skip as skip:
            print(f"ok {number} - {name} # SKIP {skip}")
        except Exception:
            failed += 1
            print(f"not ok {number} - {name}")
            comment(traceback.format_exc())
        while SIMS:
            sim = SIMS.pop()
            if sim.process.poll() is None:
                sim.kill()
            comment(sim.complaints())
        shutil.rmtree(where)
        sys.stdout.flush()
    print(f"1..{len(tests)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
