#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BLE blood-pressure cuff: the peripheral's side of ATT and of the Blood Pressure Profile.

The link is a unix SOCK_SEQPACKET socket: one packet is one ATT PDU, as on L2CAP channel 4. The
socket accepts connections while the cuff "advertises": it has unsent records and no link (or
--always). At all other times connect() is refused, as a radio that is off would be silent.

On the link, in order: the client (gateway) discovers, writes 0x0002 to the client characteristic
configuration (CCC) of 2A35, and the cuff indicates its records, oldest first, one at a time. The
next one goes out when the client has sent the Handle Value Confirmation (0x1E). Only that
confirmation takes a record out of the memory; whatever ends the link earlier, the same bytes come
again on the next link. After --idle seconds without traffic the cuff hangs up.

2A35 Blood Pressure Measurement, little-endian, optional fields strictly in this order:
    flags u8   b0 kPa (else mmHg), b1 time, b2 pulse, b3 user, b4 status follow
    sys, dia, map  SFLOAT: 12 bits of mantissa, 4 bits of exponent, two's complement; 07FF = NaN
    [time]     year u16, month, day, hour, minute, second: civil local time without zone
    [pulse]    SFLOAT
    [user]     u8, 255 = unknown
    [status]   u16, b0 movement, b1 loose cuff, b2 irregular pulse, b3-4 pulse range, b5 position
A measurement that failed is sent with NaN in all four numbers (seen on a boso medicus). Beurer
BM85 and its kin send flags 0x56: a user byte that the flags deny, pulse and status big-endian.

Sources: Bluetooth Core, Vol 3 parts F (ATT) and G (GATT); SIG definitions of 1805, 1810 and 2A35.
"""
import argparse
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections import namedtuple
from datetime import datetime, timedelta
from decimal import Decimal
from zlib import crc32

import ledger as common
from ledger import boottime

ATT_TIMEOUT = 30   # seconds for a confirmation; a bearer that exceeded it is dead (Vol 3 F 3.3.3)
PRIMARY, CHARACTERISTIC, CCC = 0x2800, 0x2803, 0x2902
INVALID_HANDLE, READ_NOT_PERMITTED, WRITE_NOT_PERMITTED, INVALID_PDU = 1, 2, 3, 4
REQUEST_NOT_SUPPORTED, INVALID_OFFSET, NOT_FOUND, INVALID_LENGTH = 6, 7, 0x0A, 0x0D
INSUFFICIENT_ENCRYPTION, UNSUPPORTED_GROUP_TYPE = 0x0F, 0x10
NAN = 0x07FF
UUID_BASE = bytes.fromhex("fb349b5f8000008000100000")   # in front of a short UUID, little-endian


# What a record looks like on the air

def sfloat(value):
    """Number -> the 16 bits of an IEEE 11073 SFLOAT, with as many decimals as were written."""
    sign, digits, exponent = Decimal(str(value)).as_tuple()
    mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
    if not (-2045 <= mantissa <= 2045 and -8 <= exponent <= 7):
        raise ValueError(f"{value} does not fit an SFLOAT")
    return (exponent & 0xF) << 12 | mantissa & 0xFFF


def date_time(civil):
    return struct.pack("<HBBBBB", civil.year, civil.month, civil.day,
                       civil.hour, civil.minute, civil.second)


def encode_measurement(record, beurer=False):
    """The value of 2A35 for a record; a missing number is NaN, a missing field is left out."""
    def number(name):
        value = record.get(name)
        return NAN if record.get("nan") or value is None else sfloat(value)

    pressures = struct.pack("<HHH", number("sys"), number("dia"), number("map"))
    moment = record.get("time")
    moment = date_time(datetime.fromisoformat(moment)) if moment else b""
    if beurer:
        mean = 0 if not record.get("nan") else NAN
        return (b"\x56" + pressures[:4] + struct.pack("<H", mean) + (moment or bytes(7))
                + struct.pack(">HBH", number("pulse"), record.get("user") or 0,
                              record.get("status") or 0))
    flags, tail = int(record.get("unit") == "kPa"), b""
    if moment:
        flags, tail = flags | 0x02, tail + moment
    if record.get("nan") or record.get("pulse") is not None:
        flags, tail = flags | 0x04, tail + struct.pack("<H", number("pulse"))
    if record.get("user") is not None:
        flags, tail = flags | 0x08, tail + struct.pack("<B", record["user"])
    if record.get("status") is not None:
        flags, tail = flags | 0x10, tail + struct.pack("<H", record["status"])
    return bytes([flags]) + pressures + tail


def random_record(dice, options):
    kind = dice.random()
    record = {"unit": "mmHg", "time": "now", "user": None, "status": 0, "class": "normal"}
    if options.users:
        record["user"] = dice.randint(1, options.users)
    if kind < options.cuff_errors:
        return dict(record, nan=True, **{"class": "cuff error"})
    high, low = dice.randint(105, 138), dice.randint(62, 84)
    if kind < options.cuff_errors + options.criticals:
        high, low = dice.choice([(dice.randint(180, 218), dice.randint(96, 125)),
                                 (dice.randint(150, 178), dice.randint(110, 124)),
                                 (dice.randint(74, 89), dice.randint(42, 56))])
        record["class"] = "critical"
    record.update(sys=high, dia=low, map=round(low + (high - low) / 3),
                  pulse=dice.randint(52, 108), status=dice.choice([0] * 8 + [0x01, 0x04]))
    return record


class Memory:
    """The records that nobody confirmed yet. With a file it survives the death of the cuff."""

    def __init__(self, path):
        self.path = path
        self.state = {"next": 1, "made": 0, "last_time": None, "ccc": False, "records": []}
        self.restored = bool(path) and os.path.exists(path)
        if self.restored:
            with open(path, encoding="utf-8") as file:
                self.state = json.load(file)
        self.records = self.state["records"]

    def save(self):
        if not self.path:
            return
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.state, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(self.path + ".new", self.path)
        directory = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)

    def distinct(self, civil):
        """Civil time with whole seconds, later than every one handed out before."""
        civil, last = civil.replace(microsecond=0), self.state["last_time"]
        if last:
            civil = max(civil, datetime.fromisoformat(last) + timedelta(seconds=1))
        self.state["last_time"] = civil.isoformat()
        return civil.isoformat()


# The attribute server

Attribute = namedtuple("Attribute", "type value end")   # value: bytes, callable or None (no read)


def attribute_table(name, options, clock, ccc):
    """The GATT database, handle -> Attribute. It has gaps, and its last group ends at 0xFFFF."""
    system_id = struct.pack("<IB", crc32(name.encode()), 0) + b"\x56\x34\x12"
    model = b"BM85" if options.beurer else b"SIM-BP1"
    services = [
        (0x0001, 0x1800, [(0x2A00, 0x02, model)]),
        (0x0010, 0x180A, [(0x2A29, 0x02, b"Simulated Instruments, for tests only"),
                          (0x2A24, 0x02, model),
                          (0x2A25, 0x02, (options.serial or name).encode()),
                          (0x2A26, 0x02, b"1.0"),
                          (0x2A23, 0x02, system_id)]),
        (0x0030, 0x180F, [(0x2A19, 0x02, bytes([85]))]),
        (0x0040, 0x1805, [(0x2A2B, 0x02, clock)]),
        (0x0050, 0x1810, [(0x2A35, 0x20, None), (0x2A49, 0x02, b"\x1f\x00")]),
    ]
    if options.no_clock:
        services = [s for s in services if s[1] != 0x1805]
    table = {}
    for start, service, characteristics in services:
        handle = start + 1
        for uuid, properties, value in characteristics:
            declaration = struct.pack("<BHH", properties, handle + 1, uuid)
            table[handle] = Attribute(CHARACTERISTIC, declaration, handle)
            table[handle + 1] = Attribute(uuid, value, handle + 1)
            handle += 2
            if properties & 0x30:
                table[handle] = Attribute(CCC, ccc, handle)
                handle += 1
        end = 0xFFFF if service == services[-1][1] else handle - 1
        table[start] = Attribute(PRIMARY, struct.pack("<H", service), end)
    return dict(sorted(table.items()))


class AttError(Exception):
    def __init__(self, code, handle=0):
        super().__init__(code)
        self.code, self.handle = code, handle


class AttServer:
    """Requests in, responses out. It knows the table and the MTU, but nothing of sockets."""

    def __init__(self, table, mtu, write):
        self.table, self.own_mtu, self.mtu, self.write = table, mtu, 23, write
        self.requests = {0x02: self.exchange_mtu, 0x04: self.find_information,
                         0x06: self.find_by_type_value, 0x08: self.read_by_type,
                         0x0A: self.read, 0x0C: self.read_blob,
                         0x10: self.read_by_group_type, 0x12: self.write_request}

    def respond(self, pdu):
        """The response to a request; None for commands, which have no answer."""
        opcode = pdu[0]
        if opcode & 0x40:
            return None
        try:
            if opcode not in self.requests:
                raise AttError(REQUEST_NOT_SUPPORTED)
            return self.requests[opcode](pdu[1:])
        except AttError as error:
            return struct.pack("<BBHB", 0x01, opcode, error.handle, error.code)
        except struct.error:
            return struct.pack("<BBHB", 0x01, opcode, 0, INVALID_PDU)

    def agree_mtu(self, theirs):
        self.mtu = max(23, min(theirs, self.own_mtu))

    def exchange_mtu(self, body):
        theirs, = struct.unpack("<H", body)
        self.agree_mtu(theirs)
        return struct.pack("<BH", 0x03, self.own_mtu)

    def in_range(self, body):
        """The attributes between the two handles that most requests begin with."""
        start, end = struct.unpack_from("<HH", body)
        if start == 0 or start > end:
            raise AttError(INVALID_HANDLE, start)
        return start, [(h, a) for h, a in self.table.items() if start <= h <= end]

    def of_type(self, body, uuid):
        start, found = self.in_range(body)
        found = [(h, a) for h, a in found if a.type == uuid]
        if not found:
            raise AttError(NOT_FOUND, start)
        return found

    def uuid(self, body):
        """The 16 or 128 bit UUID behind the handles; None when it cannot be in our table."""
        raw = body[4:]
        if len(raw) not in (2, 16):
            raise AttError(INVALID_PDU)
        if len(raw) == 16:
            if raw[:12] != UUID_BASE or raw[14:] != b"\0\0":
                return None
            raw = raw[12:14]
        return struct.unpack("<H", raw)[0]

    def value(self, handle):
        if handle not in self.table:
            raise AttError(INVALID_HANDLE, handle)
        value = self.table[handle].value
        if value is None:
            raise AttError(READ_NOT_PERMITTED, handle)
        return value() if callable(value) else value

    def find_information(self, body):
        start, found = self.in_range(body)
        if not found:
            raise AttError(NOT_FOUND, start)
        pairs = [struct.pack("<HH", h, a.type) for h, a in found]
        return b"\x05\x01" + b"".join(pairs[:(self.mtu - 2) // 4])

    def find_by_type_value(self, body):
        uuid, = struct.unpack_from("<H", body, 4)
        wanted = body[6:]
        if len(wanted) == 16:
            wanted = wanted[12:14]
        found = [(h, a) for h, a in self.of_type(body, uuid) if a.value == wanted]
        if not found:
            raise AttError(NOT_FOUND, struct.unpack_from("<H", body)[0])
        pairs = [struct.pack("<HH", h, a.end) for h, a in found]
        return b"\x07" + b"".join(pairs[:(self.mtu - 1) // 4])

    def list_of(self, opcode, entries):
        """Entries of one length only, that of the first, as many as fit."""
        size = min(len(entries[0]), self.mtu - 2, 255)
        entries = [e[:size] for e in entries if len(e) == len(entries[0])]
        return bytes([opcode, size]) + b"".join(entries[:(self.mtu - 2) // size])

    def read_by_type(self, body):
        entries = []
        for handle, _ in self.of_type(body, self.uuid(body)):
            try:
                entries.append(struct.pack("<H", handle) + self.value(handle))
            except AttError:
                if entries:
                    break
                raise
        return self.list_of(0x09, entries)

    def read_by_group_type(self, body):
        if self.uuid(body) != PRIMARY:
            raise AttError(UNSUPPORTED_GROUP_TYPE, struct.unpack_from("<H", body)[0])
        return self.list_of(0x11, [struct.pack("<HH", h, a.end) + a.value
                                   for h, a in self.of_type(body, PRIMARY)])

    def read(self, body):
        handle, = struct.unpack("<H", body)
        return b"\x0b" + self.value(handle)[:self.mtu - 1]

    def read_blob(self, body):
        handle, offset = struct.unpack("<HH", body)
        value = self.value(handle)
        if offset > len(value):
            raise AttError(INVALID_OFFSET, handle)
        return b"\x0d" + value[offset:offset + self.mtu - 1]

    def write_request(self, body):
        handle, = struct.unpack_from("<H", body)
        if handle not in self.table:
            raise AttError(INVALID_HANDLE, handle)
        if self.table[handle].type != CCC:
            raise AttError(WRITE_NOT_PERMITTED, handle)
        if len(body) != 4:
            raise AttError(INVALID_LENGTH, handle)
        error = self.write(struct.unpack_from("<H", body, 2)[0])
        if error:
            raise AttError(error, handle)
        return b"\x13"


# The cuff

class Link:
    """One connection: what is true only as long as it lasts."""

    def __init__(self, sock, options, ccc):
        self.sock, self.ccc = sock, ccc
        self.outstanding = None          # the record that waits for its confirmation
        self.since = self.heard = self.opened = boottime()
        self.noise = options.noise
        self.asked = None                # our own request that waits for its answer
        self.questions = []
        if options.own_requests:
            self.questions = [struct.pack("<BH", 0x02, options.mtu),
                              struct.pack("<BHHH", 0x08, 1, 0xFFFF, 0x2B3A)]


class LinkLost(Exception):
    pass


class Cuff:
    def __init__(self, options):
        self.options = options
        self.ledger = common.Ledger(options.ledger, options.name)
        self.remote = common.Remote(options.control)
        self.memory = Memory(options.state)
        self.memory.state["next"] = max(self.memory.state["next"], self.ledger.last_number() + 1)
        self.dice = random.Random(options.seed)
        self.pace = common.Pace(options.random, options.rate, self.memory.state["made"])
        self.refusals = options.insufficient_encryption
        self.listener, self.link, self.server = None, None, None
        self.table = attribute_table(options.name, options, self.clock_bytes, self.ccc_bytes)
        self.measurement = next(h for h, a in self.table.items() if a.type == 0x2A35)
        if not self.memory.restored:
            self.measure(options.record)

    # Measuring

    def civil_now(self):
        return datetime.fromtimestamp(time.time() + self.options.clock)

    def clock_bytes(self):
        """2A2B: date and time, day of week (1 Monday), 1/256 seconds, reason of adjustment."""
        now = self.civil_now()
        return date_time(now) + bytes([now.isoweekday(), now.microsecond * 256 // 1000000, 0])

    def measure(self, records):
        """New measurements: into the memory first, then into the ledger."""
        new = []
        for record in records:
            record = dict(record)
            if record.get("time") == "now":
                record["time"] = self.memory.distinct(self.civil_now())
            raw = (bytes.fromhex(record.pop("hex")) if "hex" in record
                   else encode_measurement(record, self.options.beurer))
            key = f"{self.memory.state['next']:06d}"
            self.memory.state["next"] += 1
            new.append({"key": key, "hex": raw.hex(), "record": record})
        if new:
            self.memory.records.extend(new)
            self.memory.save()
        for entry in new:
            self.note("measured", entry)

    def measure_random(self):
        """Those that are due. They never show the future: a crowd of them began in the past."""
        records, rate = [], self.options.rate
        step = 60 if rate == 0 else 1 if rate > 1 else 0
        for number in self.pace.due():
            record = random_record(random.Random(f"{self.options.seed}/{number}"), self.options)
            back = timedelta(seconds=step * (self.pace.total - 1 - number))
            record["time"] = self.memory.distinct(self.civil_now() - back)
            records.append(record)
        self.memory.state["made"] = self.pace.made
        self.measure(records)

    def note(self, event, entry=None, raw=None, why=None):
        if entry is None:
            self.ledger.write(event, raw=raw, why=why)
        else:
            self.ledger.write(event, entry["key"], entry["record"],
                              bytes.fromhex(entry["hex"]) if raw is None else raw, why)

    # The link

    def advertise(self):
        """Listen exactly while the cuff would advertise."""
        wanted = not self.link and (self.options.always or bool(self.memory.records))
        if wanted and not self.listener:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            common.bind_over(self.listener, self.options.listen)
            self.listener.listen(1)
        elif not wanted and self.listener:
            self.listener.close()
            self.listener = None

    def connect(self):
        sock, _ = self.listener.accept()
        sock.settimeout(5)
        ccc = self.options.early_indication and self.memory.state["ccc"]
        self.link = Link(sock, self.options, ccc)
        self.server = AttServer(self.table, self.options.mtu, self.write_ccc)
        self.note("connected")
        self.advertise()

    def disconnect(self, why):
        if self.link.outstanding:
            self.note("lost", self.link.outstanding, why=why)
        self.link.sock.close()
        self.link = None
        self.note("closed", why=why)

    def send(self, pdu):
        try:
            if self.link.noise > 0:
                self.link.noise -= 1
                self.link.sock.send(self.noise())
            self.link.sock.send(pdu)
        except OSError as error:
            raise LinkLost("peer gone") from error

    def noise(self):
        """Rubbish that a client has to survive. None of it looks like an answer or an indication:
        those would rightly confuse a correct client."""
        rubbish = self.dice.randbytes(self.dice.randint(0, 18))
        unknown = struct.pack("<H", self.dice.randint(0x0100, 0xFFFF))
        return self.dice.choice([b"\x1b" + unknown + rubbish,   # notification, unknown handle
                                 b"\x1b", b"\x1b\x99",          # cut notifications
                                 b"\x7f" + rubbish,             # unknown command
                                 b"\x26" + rubbish,             # unknown request
                                 b"\x0a",                       # cut request
                                 b"\x1e"])                      # confirmation of nothing

    def ccc_bytes(self):
        return struct.pack("<H", 2 if self.link.ccc else 0)

    def write_ccc(self, value):
        if self.refusals > 0:
            self.refusals -= 1
            self.note("refused", why="insufficient encryption")
            return INSUFFICIENT_ENCRYPTION
        self.link.ccc = bool(value & 0x0002)
        if self.options.early_indication:
            self.memory.state["ccc"] = self.link.ccc
            self.memory.save()
        return 0

    def indicate(self):
        """Send the oldest record, if the client wants records and none is on its way."""
        link = self.link
        if not link.ccc or link.outstanding or not self.memory.records:
            return
        entry = self.memory.records[0]
        value = bytes.fromhex(entry["hex"])[:self.server.mtu - 3]
        link.outstanding, link.since = entry, boottime()
        self.note("sent", entry, value)
        self.send(struct.pack("<BH", 0x1D, self.measurement) + value)
        if self.dice.random() < self.options.drop_after_indication:
            raise LinkLost("dropped after indication")

    def confirmed(self):
        """The ledger hears of it first: a record may be told twice, but never silently once."""
        entry = self.link.outstanding
        if not entry:
            self.note("unexpected", raw=b"\x1e", why="confirmation of nothing")
            return
        if self.dice.random() < self.options.drop_before_confirm_processing:
            raise LinkLost("dropped before confirmation was processed")
        self.note("told", entry)
        self.link.outstanding = None
        self.memory.records.pop(0)
        self.memory.save()

    def receive(self):
        try:
            pdu = self.link.sock.recv(4096)
        except OSError as error:
            raise LinkLost("peer gone") from error
        if not pdu:
            raise LinkLost("peer closed")
        self.link.heard = boottime()
        asked = self.link.asked
        if pdu[0] == 0x1E:
            self.confirmed()
        elif asked and (pdu[0] == asked[0] + 1 or pdu[:2] == bytes([1, asked[0]])):
            self.note("answer", raw=pdu)
            if pdu[0] == 0x03 and len(pdu) == 3:
                self.server.agree_mtu(struct.unpack_from("<H", pdu, 1)[0])
            self.link.asked = None
        elif pdu[0] & 0x41 == 0x01:      # a response or notification that nobody asked for
            self.note("unexpected", raw=pdu)
        else:
            response = self.server.respond(pdu)
            if response:
                self.send(response)

    def ask(self):
        """Our own requests, one at a time as the rule is."""
        if self.link.questions and not self.link.asked:
            self.link.asked = self.link.questions.pop(0)
            self.send(self.link.asked)

    # Living

    def done(self):
        return not self.memory.records and self.pace.wait() is None

    def silent_left(self):
        return self.link.opened + self.options.mute - boottime() if self.link else 0

    def wait(self):
        """Sleep until something happens or a time is up; serve what came."""
        poller, limits, link = select.poll(), [self.pace.wait()], self.link
        self.remote.register(poller)
        if self.listener:
            poller.register(self.listener, select.POLLIN)
        if link:
            mute = self.silent_left() > 0
            poller.register(link.sock, select.POLLRDHUP if mute else select.POLLIN)
            limits.append(self.silent_left() if mute else None)
            limits.append(link.since + ATT_TIMEOUT - boottime() if link.outstanding else None)
            limits.append(self.idle_left())
        limit = min((x for x in limits if x is not None), default=None)
        ready = dict(poller.poll(None if limit is None else max(0, limit) * 1000 + 1))
        for word, rest in self.remote.commands():
            self.command(word, rest)
        if self.listener and self.listener.fileno() in ready:
            self.connect()
        elif link and link.sock.fileno() in ready:
            if self.silent_left() > 0:
                raise LinkLost("peer closed")
            self.receive()

    def idle_left(self):
        """Seconds until the cuff hangs up; None while it has a reason to stay."""
        if self.link.outstanding or self.silent_left() > 0:
            return None
        if self.options.idle == 0:
            return 0 if self.options.exit_when_done and self.done() else None
        heard = max(self.link.heard, self.link.opened + self.options.mute)
        return heard + self.options.idle - boottime()

    def command(self, word, rest):
        try:
            if word != "record":
                raise ValueError("the only command is: record {json}")
            self.measure([common.json_object(rest)])
        except (ValueError, TypeError, ArithmeticError, struct.error) as error:
            common.complain(self.options.name, f"command refused: {error}")

    def step(self):
        self.measure_random()
        self.advertise()
        try:
            if self.link and self.silent_left() <= 0:
                self.ask()
                self.indicate()
            self.wait()
            if self.link:
                idle = self.idle_left()
                if idle is not None and idle <= 0:
                    self.disconnect("idle")
                elif self.link.outstanding and boottime() - self.link.since > ATT_TIMEOUT:
                    self.disconnect("no confirmation")
        except LinkLost as lost:
            self.disconnect(str(lost))

    def run(self):
        while not self.remote.stopped:
            if self.options.exit_when_done and self.done() and not self.link:
                break
            self.step()
        if self.link:
            self.disconnect("stopped")
        if self.listener:
            self.listener.close()
        if os.path.exists(self.options.listen):
            os.unlink(self.options.listen)
        self.remote.close()


def options_of(arguments):
    parser = argparse.ArgumentParser(description="A simulated BLE blood-pressure cuff.")
    add = parser.add_argument
    common.common_options(parser, "cuff-1")
    add("--listen", required=True, metavar="PATH", help="unix seqpacket socket of the ATT link")
    add("--state", metavar="FILE", help="the cuff's memory, kept over a restart; when it exists, "
        "--record is not taken again and --random goes on where it stopped")
    add("--record", action="append", default=[], type=common.json_object, metavar="JSON",
        help='{"sys":190,"dia":115,"map":140,"pulse":88,"unit":"mmHg","time":"now","user":1,'
        '"status":0}, {"nan":true,"time":"now"} or {"hex":"..."}; repeatable')
    add("--cuff-errors", type=common.probability, default=0.02, metavar="P",
        help="share of failed measurements among the random ones (%(default)s)")
    add("--users", type=int, default=0, metavar="N", help="random records carry a user 1..N")
    add("--serial", help="serial number, 2A25 (the name)")
    add("--no-clock", action="store_true", help="no Current Time service")
    add("--idle", type=float, default=3, metavar="S", help="hang up when idle; 0 = stay (3)")
    add("--always", action="store_true", help="advertise also without records")
    add("--mtu", type=int, default=23, metavar="N", help="the largest PDU we take (%(default)s)")
    faults = parser.add_argument_group("faults").add_argument
    faults("--insufficient-encryption", type=int, default=0, metavar="N",
           help="answer the first N writes of the CCC with error 0x0F")
    faults("--early-indication", action="store_true",
           help="remember the CCC and indicate as soon as connected, as a bonded meter does")
    faults("--own-requests", action="store_true",
           help="send the client Exchange MTU and Read By Type 2B3A, note its answers")
    faults("--drop-after-indication", type=common.probability, default=0, metavar="P",
           help="hang up right after an indication")
    faults("--drop-before-confirm-processing", type=common.probability, default=0, metavar="P",
           help="hang up on a confirmation as if it had not come")
    faults("--mute", type=float, default=0, metavar="S",
           help="say nothing for S seconds after each connection")
    faults("--noise", type=int, default=0, metavar="N",
           help="put N rubbish PDUs between ours, on each connection")
    faults("--beurer", action="store_true", help="encode as a Beurer BM85 does")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    Cuff(options_of(sys.argv[1:])).run()
