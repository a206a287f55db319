#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A blood-pressure meter with its own small host stack: an ATT server on rawlink.py. It shares no code
with BlueZ or with the gateway, so it can judge and it can misbehave.

It keeps its records like a real meter: it advertises, waits for a gateway that enables indications,
sends the oldest record, forgets it when it is confirmed, sends the next one, and switches itself
off when nothing is left. What it sees goes to stdout as JSON lines with CLOCK_BOOTTIME in
microseconds: `indicated` is stamped before the packet leaves, `confirmed` after it was read.

Layouts: Core Specification, Vol 3 Part F (ATT), Part G (GATT).
"""
import argparse
import signal
import struct
import time
from collections import deque

from rawlink import SOCKET, say
from rawpair import PairingLink

PRIMARY, CHARACTERISTIC, CCC = 0x2800, 0x2803, 0x2902
BPM, NAME = 0x2A35, b"RAW-BPM1"
READ, WRITE, INDICATE = 0x02, 0x08, 0x20
ATT_MTU = 64
TRANSACTION_S = 30


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


class Meter(PairingLink):
    def __init__(self, options):
        self.options = options
        self.db = Database()
        self.records = deque(bytes.fromhex(r) for r in options.record)
        self.drops, self.mutes = options.drop, options.mute
        self.running = True
        super().__init__(options.socket, options.address, NAME, 0x1810, options.pair, options.bond)

    def forget_link(self):
        super().forget_link()
        self.off_at = None
        self.subscribed = self.outstanding = self.mute = False
        self.asked = None      # opcode of our own unanswered request
        self.questions = deque()

    # Link layer

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
        elif handle == self.db.serial and self.locked():
            self.error(p[0], handle, 0x05)
        else:
            self.att(bytes([p[0] + 1]) + self.db.rows[handle][1][offset:])

    def write(self, p):
        handle, value = struct.unpack_from("<H", p, 1)[0], p[3:]
        kind = self.db.rows.get(handle, (0,))[0]
        say("written", handle=handle, type=f"{kind:04x}", hex=value.hex())
        if handle not in (self.db.ccc, self.db.time):
            self.error(p[0], handle, 0x03 if handle in self.db.rows else 0x01)
            return
        if handle == self.db.ccc and self.locked():
            self.error(p[0], handle, 0x05)
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

    def run(self):
        self.switch_on()
        self.advertise()
        while self.running:
            self.serve(0.2 if self.off_at is None
                       else min(0.2, max(0, self.off_at - time.monotonic())))
            if self.off_at is not None and time.monotonic() >= self.off_at:
                say("hanging-up", asked=self.asked, outstanding=self.outstanding)
                self.off_at = None
                self.disconnect()
        self.disconnect()
        self.hide()
        say("off", left=len(self.records))

    def stop(self, *_):
        self.running = False


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--socket", default=SOCKET)
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
    add("--pair", choices=("just-works", "passkey"), help="tell nothing without a bond")
    add("--bond", metavar="FILE", help="keys, kept between two lives; with it, its address is private")
    add("--mute", type=int, default=0, metavar="N",
        help="answer nothing in the first N connections")
    add("--idle", type=float, default=1, metavar="S", help="hang up so long after the last record")
    meter = Meter(p.parse_args())
    signal.signal(signal.SIGTERM, meter.stop)
    meter.run()


main()
