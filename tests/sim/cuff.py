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
from datetime import datetime, timedelta
from zlib import crc32

import ledger as common
from att_server import (ATT_TIMEOUT, INDICATE, INSUFFICIENT_ENCRYPTION, READ, AttServer,
                        Characteristic, LinkLost, Service, attribute_table, handle_of)
from ble_values import blood_pressure, current_time
from ledger import boottime


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


def services_of(name, options, clock):
    """What the cuff offers; clock gives the value of 2A2B."""
    def readable(uuid, value):
        return Characteristic(uuid, READ, value)

    system_id = struct.pack("<IB", crc32(name.encode()), 0) + b"\x56\x34\x12"
    model = b"BM85" if options.beurer else b"SIM-BP1"
    services = [
        Service(0x1800, [readable(0x2A00, model)], 0x0001),
        Service(0x180A, [readable(0x2A29, b"Simulated Instruments, for tests only"),
                         readable(0x2A24, model),
                         readable(0x2A25, (options.serial or name).encode()),
                         readable(0x2A26, b"1.0"),
                         readable(0x2A23, system_id)], 0x0010),
        Service(0x180F, [readable(0x2A19, bytes([85]))], 0x0030),
        Service(0x1805, [readable(0x2A2B, clock)], 0x0040),
        Service(0x1810, [Characteristic(0x2A35, INDICATE), readable(0x2A49, b"\x1f\x00")], 0x0050),
    ]
    return [s for s in services if s.uuid != 0x1805 or not options.no_clock]


class Link:
    """One connection: what is true only as long as it lasts."""

    def __init__(self, sock, options):
        self.sock = sock
        self.outstanding = None          # the record that waits for its confirmation
        self.since = self.heard = self.opened = boottime()
        self.noise = options.noise
        self.asked = None                # our own request that waits for its answer
        self.questions = []
        if options.own_requests:
            self.questions = [struct.pack("<BH", 0x02, options.mtu),
                              struct.pack("<BHHH", 0x08, 1, 0xFFFF, 0x2B3A)]


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
        self.table = attribute_table(services_of(options.name, options, self.clock_bytes))
        self.measurement = handle_of(self.table, 0x2A35)
        if not self.memory.restored:
            self.measure(options.record)

    # Measuring

    def civil_now(self):
        return datetime.fromtimestamp(time.time() + self.options.clock)

    def clock_bytes(self):
        return current_time(self.civil_now())

    def measure(self, records):
        """New measurements: into the memory first, then into the ledger."""
        new = []
        for record in records:
            record = dict(record)
            if record.get("time") == "now":
                record["time"] = self.memory.distinct(self.civil_now())
            raw = (bytes.fromhex(record.pop("hex")) if "hex" in record
                   else blood_pressure(record, self.options.beurer))
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
        wanted = self.options.early_indication and self.memory.state["ccc"]
        self.link = Link(sock, self.options)
        self.server = AttServer(self.table, self.options.mtu, self.write_ccc,
                                {self.measurement: 2 if wanted else 0})
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

    def write_ccc(self, _handle, value):
        if self.refusals > 0:
            self.refusals -= 1
            self.note("refused", why="insufficient encryption")
            return INSUFFICIENT_ENCRYPTION
        if self.options.early_indication:
            self.memory.state["ccc"] = bool(value & 0x0002)
            self.memory.save()
        return 0

    def indicate(self):
        """Send the oldest record, if the client wants records and none is on its way."""
        link = self.link
        wanted = self.server.ccc[self.measurement]
        if not wanted or link.outstanding or not self.memory.records:
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
