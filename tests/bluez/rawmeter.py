#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A blood-pressure meter with its own small host stack (HCI, L2CAP, ATT server) on a controller of
`btvirt -s`. It shares no code with BlueZ or with the gateway, so it can judge and it can misbehave.

It keeps its records like a real meter: it advertises, waits for a gateway that enables indications,
sends the oldest record, forgets it when it is confirmed, sends the next one, and switches itself
off when nothing is left. What it sees goes to stdout as JSON lines with CLOCK_BOOTTIME in
microseconds: `indicated` is stamped before the packet leaves, `confirmed` after it was read.

Layouts: Core Specification, Vol 4 Part E (HCI), Vol 3 Part A (L2CAP), Part F (ATT), Part G (GATT).
"""
import argparse
import json
import select
import signal
import socket
import struct
import sys
import time
from collections import deque

HCI_COMMAND, HCI_ACL, HCI_EVENT = 1, 2, 4
EVT_DISCONNECTED, EVT_COMPLETE, EVT_STATUS, EVT_LE = 0x05, 0x0E, 0x0F, 0x3E
CID_ATT, CID_SIGNAL, CID_SMP = 4, 5, 6
PRIMARY, CHARACTERISTIC, CCC = 0x2800, 0x2803, 0x2902
BPM, NAME = 0x2A35, b"RAW-BPM1"
READ, WRITE, INDICATE = 0x02, 0x08, 0x20
ATT_MTU = 64
TRANSACTION_S = 30


def now_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def say(what, **more):
    print(json.dumps({"boot_us": now_us(), "what": what, **more}), flush=True)


class Controller:
    """HCI over the emulator's socket; what arrives while a command waits is kept in order."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.waiting = deque()

    def _need(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                sys.exit("rawmeter: the controller is gone")
            data += part
        return data

    def _packet(self):
        kind = self._need(1)[0]
        if kind == HCI_EVENT:
            code, length = self._need(2)
            return kind, code, self._need(length)
        if kind == HCI_ACL:
            handle, length = struct.unpack("<HH", self._need(4))
            return kind, handle, self._need(length)
        sys.exit(f"rawmeter: packet type {kind}")

    def command(self, ogf, ocf, parameters=b""):
        opcode = ogf << 10 | ocf
        self.socket.sendall(struct.pack("<BHB", HCI_COMMAND, opcode, len(parameters)) + parameters)
        while True:
            kind, code, data = self._packet()
            at = {EVT_COMPLETE: 1, EVT_STATUS: 2}.get(code) if kind == HCI_EVENT else None
            if at is None or struct.unpack_from("<H", data, at)[0] != opcode:
                self.waiting.append((kind, code, data))
                continue
            status = data[3] if code == EVT_COMPLETE else data[0]
            if status:
                say("hci-error", opcode=f"{opcode:04x}", status=status)
            return

    def receive(self, timeout_s):
        if not self.waiting and not select.select([self.socket], [], [], timeout_s)[0]:
            return None
        return self.waiting.popleft() if self.waiting else self._packet()

    def send(self, link, cid, payload):
        head = struct.pack("<BHHHH", HCI_ACL, link, len(payload) + 4, len(payload), cid)
        self.socket.sendall(head + payload)


class Database:
    """Attributes of the meter: handle -> (type, value), and where each service ends."""

    def __init__(self):
        self.rows, self.ends, self.service = {}, {}, 0
        self._service(0x1800)
        self._characteristic(READ, 0x2A00, NAME)
        self._service(0x1810)
        self.value = self._characteristic(INDICATE, BPM, b"")
        self.ccc = self._add(CCC, b"\0\0")
        self._characteristic(READ, 0x2A49, b"\x3f\0")
        self.time = self._characteristic(READ | WRITE, 0x2A08, bytes(7))
        self._service(0x180A)
        self._characteristic(READ, 0x2A29, b"Raw Instruments\0")
        self._characteristic(READ, 0x2A24, b"RAW-1")
        self.serial = self._characteristic(READ, 0x2A25, b"SN-RAW-0001")

    def _add(self, kind, value):
        handle = len(self.rows) + 1
        self.rows[handle] = (kind, value)
        self.ends[self.service] = handle
        return handle

    def _service(self, uuid):
        self.service = len(self.rows) + 1
        self._add(PRIMARY, struct.pack("<H", uuid))

    def _characteristic(self, properties, uuid, value):
        at = len(self.rows) + 2
        self._add(CHARACTERISTIC, struct.pack("<BHH", properties, at, uuid))
        return self._add(uuid, value)

    def between(self, first, last):
        return [h for h in sorted(self.rows) if first <= h <= last]


class Meter:
    def __init__(self, options):
        self.options = options
        self.address = bytes.fromhex(options.address.replace(":", ""))[::-1]
        self.db = Database()
        self.records = deque(bytes.fromhex(r) for r in options.record)
        self.drops, self.mutes = options.drop, options.mute
        self.forget_link()
        self.running = True
        self.controller = Controller(options.socket)

    def forget_link(self):
        self.link = self.off_at = None
        self.partial = b""
        self.subscribed = self.outstanding = self.mute = self.leaving = False
        self.asked = None      # opcode of our own unanswered request
        self.questions = deque()

    # Link layer

    def switch_on(self):
        c = self.controller
        c.command(3, 0x03)
        c.command(3, 0x01, b"\xff" * 7 + b"\x3f")
        c.command(8, 0x01, b"\x1f" + bytes(7))
        self.advertise()

    def advertise(self):
        # Extended commands with a legacy PDU: in btvirt a host that has these sees no others.
        c = self.controller
        c.command(8, 0x36, struct.pack("<BH3s3sBBB6sBbBBBBB", 1, 0x13, b"\x20\0\0", b"\x30\0\0",
                                       7, 1, 0, bytes(6), 0, 127, 1, 0, 1, 0, 0))
        c.command(8, 0x35, b"\x01" + self.address)
        data = b"\x02\x01\x06" + b"\x03\x03\x10\x18" + bytes([len(NAME) + 1, 9]) + NAME
        c.command(8, 0x37, bytes([1, 3, 1, len(data)]) + data)
        c.command(8, 0x39, b"\x01\x01\x01\0\0\0")
        say("advertising")

    def disconnect(self):
        """What still comes in is not heard any more: it is as if it had been lost in the air."""
        if self.link is not None and not self.leaving:
            self.leaving = True
            self.controller.command(1, 0x06, struct.pack("<HB", self.link, 0x13))

    def connected(self, link):
        self.forget_link()
        self.link = link
        self.mute = self.mutes > 0
        self.mutes -= self.mute
        say("connected", mute=self.mute)
        if self.options.own_requests:
            self.ask()

    def disconnected(self, reason):
        say("disconnected", reason=reason, left=len(self.records))
        self.forget_link()
        if self.records:
            self.advertise()
        else:
            self.running = False

    # ATT server

    def att(self, pdu):
        self.controller.send(self.link, CID_ATT, pdu)

    def error(self, opcode, handle, code):
        self.att(struct.pack("<BBHB", 0x01, opcode, handle, code))

    def by_type(self, p):
        """Read By Type and Read By Group Type."""
        group = p[0] == 0x10
        first, last = struct.unpack_from("<HH", p, 1)
        kind = int.from_bytes(p[5:7], "little") if len(p) == 7 else 0
        out, size = b"", 0
        for h in self.db.between(first, last):
            if self.db.rows[h][0] != kind or group and kind != PRIMARY:
                continue
            row = struct.pack("<HH", h, self.db.ends[h]) if group else struct.pack("<H", h)
            row += self.db.rows[h][1]
            if size and len(row) != size or len(out) + len(row) > 20:
                break
            size = len(row)
            out += row
        if out:
            self.att(bytes([p[0] + 1, size]) + out)
        else:
            self.error(p[0], first, 0x0A)

    def find_information(self, p):
        first, last = struct.unpack_from("<HH", p, 1)
        found = self.db.between(first, last)[:5]
        if not found:
            self.error(p[0], first, 0x0A)
            return
        self.att(b"\x05\x01" + b"".join(struct.pack("<HH", h, self.db.rows[h][0]) for h in found))

    def find_by_value(self, p):
        first, last, kind = struct.unpack_from("<HHH", p, 1)
        found = [h for h in self.db.between(first, last) if self.db.rows[h] == (kind, p[7:])]
        if not found or kind != PRIMARY:
            self.error(p[0], first, 0x0A)
            return
        self.att(b"\x07" + b"".join(struct.pack("<HH", h, self.db.ends[h]) for h in found[:4]))

    def read(self, p):
        handle = struct.unpack_from("<H", p, 1)[0]
        offset = struct.unpack_from("<H", p, 3)[0] if p[0] == 0x0C else 0
        if handle not in self.db.rows:
            self.error(p[0], handle, 0x01)
        elif handle == self.db.value:
            self.error(p[0], handle, 0x02)
        elif handle == self.db.serial and self.options.guard_serial:
            self.error(p[0], handle, 0x0F)
        else:
            self.att(bytes([p[0] + 1]) + self.db.rows[handle][1][offset:])

    def write(self, p):
        handle, value = struct.unpack_from("<H", p, 1)[0], p[3:]
        kind = self.db.rows.get(handle, (0,))[0]
        say("written", handle=handle, type=f"{kind:04x}", hex=value.hex())
        if handle not in (self.db.ccc, self.db.time):
            self.error(p[0], handle, 0x03 if handle in self.db.rows else 0x01)
            return
        if len(value) != (2 if handle == self.db.ccc else 7):
            self.error(p[0], handle, 0x0D)
            return
        self.att(b"\x13")
        if handle == self.db.ccc:
            self.subscribed = bool(value[0] & 2)
            self.indicate()

    def indicate(self):
        if not self.subscribed or self.outstanding or self.asked or self.link is None:
            return
        if not self.records:
            self.off_at = time.monotonic() + self.options.idle
            return
        self.outstanding = True
        say("indicated", hex=self.records[0].hex())
        self.att(struct.pack("<BH", 0x1D, self.db.value) + self.records[0])
        drop = self.drops > 0
        self.drops -= drop
        self.off_at = time.monotonic() + (self.options.drop_after if drop else TRANSACTION_S)
        if drop and not self.options.drop_after:
            self.disconnect()

    def confirmed(self):
        if not self.outstanding:
            say("unexpected-confirm")
            return
        record = self.records.popleft()
        self.outstanding = False
        self.off_at = None
        say("confirmed", hex=record.hex())
        self.indicate()

    # ATT client: some meters want to know whom they talk to before they say anything.

    def ask(self):
        self.questions = deque([
            struct.pack("<BH", 0x02, ATT_MTU),
            struct.pack("<BHHH", 0x08, 1, 0xFFFF, 0x2B3A),
            struct.pack("<BHHH", 0x10, 1, 0xFFFF, PRIMARY),
            struct.pack("<BHHH", 0x08, 1, 0xFFFF, 0x2A00),
            struct.pack("<BHH", 0x04, 1, 0xFFFF),
            struct.pack("<BH", 0x0A, 0x7777),
        ])
        self.next_question()

    def next_question(self):
        self.asked = None
        self.off_at = None
        if self.questions:
            q = self.questions.popleft()
            self.asked = q[0]
            self.off_at = time.monotonic() + self.options.patience
            say("asked", opcode=q[0])
            self.att(q)
        else:
            say("satisfied")
            self.indicate()

    def answered(self, p):
        fits = p[0] == self.asked + 1 if self.asked else False
        refused = self.asked and p[0] == 0x01 and len(p) == 5 and p[1] == self.asked
        if not fits and not refused:
            say("unexpected-answer", hex=p.hex(), asked=self.asked)
            return
        say("answered", opcode=self.asked, error=p[4] if refused else 0)
        self.next_question()

    # Dispatch

    def att_input(self, p):
        served = {0x04: self.find_information, 0x06: self.find_by_value, 0x08: self.by_type,
                  0x10: self.by_type, 0x0A: self.read, 0x0C: self.read, 0x12: self.write}
        if self.mute or self.leaving:
            say("ignored", hex=p.hex())
        elif p[0] == 0x1E:
            self.confirmed()
        elif p[0] == 0x02:
            self.att(struct.pack("<BH", 0x03, ATT_MTU))
        elif p[0] in served:
            served[p[0]](p)
        elif p[0] in (0x01, 0x03, 0x05, 0x07, 0x09, 0x0B, 0x0D, 0x11, 0x13):
            self.answered(p)
        elif not p[0] & 0x40:
            self.error(p[0], 0, 0x06)

    def l2cap_input(self, handle, data):
        start = handle >> 12 & 3 != 1
        self.partial = data if start else self.partial + data
        if len(self.partial) < 4:
            return
        length, cid = struct.unpack_from("<HH", self.partial)
        if len(self.partial) < length + 4:
            return
        pdu, self.partial = self.partial[4:4 + length], b""
        if not pdu:
            return
        if cid == CID_ATT:
            self.att_input(pdu)
        elif cid == CID_SMP and pdu[0] == 0x01:
            self.controller.send(self.link, CID_SMP, b"\x05\x05")  # pairing is not supported
        elif cid == CID_SIGNAL and len(pdu) >= 4 and pdu[0] not in (0x01, 0x13):
            self.controller.send(self.link, CID_SIGNAL, struct.pack("<BBHH", 1, pdu[1], 2, 0))

    def event_input(self, code, data):
        if code == EVT_LE and data[0] in (0x01, 0x0A) and data[1] == 0:
            self.connected(struct.unpack_from("<H", data, 2)[0])
        elif code == EVT_LE and data[0] == 0x05:
            self.controller.command(8, 0x1B, data[1:3])  # no long-term key: this meter never pairs
        elif code == EVT_DISCONNECTED and data[0] == 0:
            self.disconnected(data[3])

    def run(self):
        self.switch_on()
        while self.running:
            wait = 0.2 if self.off_at is None else min(0.2, max(0, self.off_at - time.monotonic()))
            packet = self.controller.receive(wait)
            if packet and packet[0] == HCI_EVENT:
                self.event_input(packet[1], packet[2])
            elif packet and self.link is not None:
                self.l2cap_input(packet[1], packet[2])
            if self.off_at is not None and time.monotonic() >= self.off_at:
                say("hanging-up", asked=self.asked, outstanding=self.outstanding)
                self.off_at = None
                self.disconnect()
        self.disconnect()
        self.controller.command(8, 0x39, b"\0\0")
        say("off", left=len(self.records))

    def stop(self, *_):
        self.running = False


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--socket", default="/tmp/bt-server-bredrle")
    add("--address", default="C0:11:22:33:44:55", help="random static address")
    add("--record", action="append", default=[], metavar="HEX", help="stored record, oldest first")
    add("--drop", type=int, default=0, metavar="N",
        help="hang up during the first N indications, before the confirmation")
    add("--drop-after", type=float, default=0, metavar="S",
        help="seconds between such an indication and the hanging up")
    add("--own-requests", action="store_true",
        help="be a client, too: send nothing before every own request was answered")
    add("--patience", type=float, default=5, metavar="S", help="for an own request")
    add("--guard-serial", action="store_true",
        help="want encryption, which this meter cannot do, for the serial number")
    add("--mute", type=int, default=0, metavar="N",
        help="answer nothing in the first N connections")
    add("--idle", type=float, default=1, metavar="S", help="hang up so long after the last record")
    meter = Meter(p.parse_args())
    signal.signal(signal.SIGTERM, meter.stop)
    meter.run()


main()
