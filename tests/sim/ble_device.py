# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated BLE peripherals have in common: a clock of their own, records, and the three
ways of giving them away.

    Pusher    indicates its records once the client has switched indications on; what was confirmed
              is forgotten
    Store     keeps its records and reports them when its Record Access Control Point is asked
    Stream    notifies what it shows at this moment, as a script (story.py) tells it

A subclass says what its services are, how a record is made, and what its bytes are. pump() is
called whenever the link may carry more; it returns the seconds after which it wants to be called
again, None for "when something has happened".
"""
import random
import struct
import time
from collections import namedtuple
from datetime import datetime, timedelta
from zlib import crc32

from att_server import READ, WRITE, Characteristic, LinkLost, Service, handle_of
from ble_racp import (ABORT, NO_RECORDS, NONE, NOT_COMPLETED, NUMBER, REPORT, RESPONSE, SUCCESS,
                      Racp)
from ble_values import civil_of, current_time
from ledger import boottime
from story import Story

Entry = namedtuple("Entry", "key record")


def readable(uuid, value, protected=False):
    return Characteristic(uuid, READ, value, None, protected)


class Clock:
    """Civil time without a zone, `ahead` seconds before the right one."""

    def __init__(self, ahead):
        self.ahead = ahead

    def now(self):
        return datetime.fromtimestamp(time.time() + self.ahead)

    def set(self, civil):
        self.ahead += (civil - self.now()).total_seconds()

    def true(self, civil):
        """The right time at the moment at which this clock shows `civil`."""
        return civil - timedelta(seconds=self.ahead)


class Device:
    model = b"SIM"
    main = None             # the service that it is about
    firmware = b"1.0"
    sends = ()              # characteristics that carry its measurements

    def __init__(self, options, ledger, manners):
        self.options, self.ledger, self.manners = options, ledger, manners
        self.clock = Clock(options.clock_offset)
        self.dice = random.Random(options.seed)
        self.entries = []                # what is in the memory, oldest first
        self.number = ledger.last_number()
        self.last_time = None
        self.link, self.table = None, None

    # Records

    def note(self, event, entry=None, raw=None, why=None, record=None):
        if entry:
            self.ledger.write(event, entry.key, entry.record, raw, why)
        else:
            self.ledger.write(event, record=record, raw=raw, why=why)

    def fill(self):
        """What is in the memory from the start, spread over the past."""
        count = self.options.records
        for n in range(count):
            back = timedelta(seconds=self.options.spacing * (count - n))
            self.measure(self.random_record(n), back)
        for record in self.options.record:
            self.measure(record)

    def measure(self, record, back=timedelta()):
        """A measurement that was made so long ago. No two show the same second."""
        civil = (self.clock.now() - back).replace(microsecond=0)
        if self.last_time and not back:
            civil = max(civil, self.last_time + timedelta(seconds=1))
        self.last_time = civil
        record = dict(record)
        self.date(record, civil)
        self.number += 1
        entry = Entry(f"{self.number:06d}", record)
        self.entries.append(entry)
        self.note("measured", entry)
        return entry

    def date(self, record, civil):
        """Writes into the record when it was made: what the clock showed, unless the record says so
        itself, and what was right."""
        record["true"] = self.clock.true(civil).replace(microsecond=0).isoformat()
        if "time" not in record:
            record["time"] = civil.isoformat()
        elif record["time"] is None:
            del record["time"]

    def random_record(self, number):
        raise NotImplementedError

    # Services

    def clock_service(self):
        """Current Time; empty for those that have none."""
        if self.options.no_clock:
            return []
        writable = 0 if self.options.clock_readonly else WRITE
        return [Service(0x1805, [Characteristic(
            0x2A2B, READ | writable, lambda: current_time(self.clock.now()), self.write_clock)])]

    def write_clock(self, value):
        """2A2B or 2A08: what comes first in both is the same."""
        civil = civil_of(value)
        if not civil:
            self.note("refused", raw=value, why="no date")
            return 0x80
        was = self.clock.now()
        self.set_clock(civil)
        self.note("clock", raw=value, record={"was": was.isoformat("T", "seconds"),
                                              "now": self.clock.now().isoformat("T", "seconds")})
        return self.options.clock_error

    def set_clock(self, civil):
        self.clock.set(civil)

    def identity(self):
        name = self.options.name.encode()
        system_id = self.options.system_id or struct.pack("<IB", crc32(name), 0) + b"\x56\x34\x12"
        serial = (self.options.serial or self.options.name).encode()
        return [Service(0x1800, [readable(0x2A00, self.model)]),
                Service(0x180A, [readable(0x2A29, b"Simulated Instruments, for tests only"),
                                 readable(0x2A24, self.model), readable(0x2A25, serial),
                                 readable(0x2A26, self.firmware), readable(0x2A23, system_id)]),
                Service(0x180F, [readable(0x2A19, bytes([self.options.battery]))])]

    def services(self):
        return self.identity() + self.clock_service() + self.own_services()

    def own_services(self):
        raise NotImplementedError

    # The link

    def handle(self, uuid):
        return handle_of(self.table, uuid)

    def wants(self, uuid):
        return self.link is not None and self.link.wants(self.handle(uuid))

    def opened(self, link, table):
        self.link, self.table = link, table

    def closed(self, why):
        self.link = None

    def changed(self, uuid, value):
        """The client has switched a characteristic on or off; 0 or an error."""
        self.note("subscribed" if value else "unsubscribed", why=f"{uuid:04x}" if isinstance(
            uuid, int) else uuid)
        return 0

    def pump(self):
        return None

    def pending(self):
        """There is something for which it would call."""
        return bool(self.entries)

    def busy(self):
        """In the middle of something: it does not hang up."""
        return False

    def last_sign(self):
        """When the link was last of use."""
        return max(self.link.heard, self.link.spoke)

    def end(self):
        """The simulator ends."""

    def order(self, word, rest):
        """Of the control socket; raises ValueError on what is none."""
        if word != "clock":
            raise ValueError(f"no order '{word}'")
        self.clock.ahead = float(rest)


class Pusher(Device):
    """parts(entry): the (characteristic, bytes) of a record, one after another."""

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.telling = []                # entries that were begun and not confirmed
        self.rest = []                   # (characteristic, bytes) of the last one that follow
        self.due = 0                     # when the next one begins

    def parts(self, entry):
        raise NotImplementedError

    def ready(self):
        return all(self.wants(uuid) for uuid in self.sends)

    def pump(self):
        link = self.link
        if not self.ready() or (link.outstanding and not self.manners.hasty):
            return None
        if not self.rest:
            if self.due > boottime():
                return self.due - boottime()
            entry = self.manners.choose(self.entries)
            if not entry:
                return None
            self.due = boottime() + self.options.pace
            self.telling.append(entry)
            self.rest = list(self.parts(entry))
        entry, (uuid, value) = self.telling[-1], self.rest.pop(0)
        self.note("sent", entry, value[:link.server.mtu - 3], f"{uuid:04x}")
        link.indicate(self.handle(uuid), value, None if self.rest else lambda: self.told(entry))
        return self.options.pace if self.manners.hasty else None

    def told(self, entry):
        self.note("told", entry)
        self.telling.remove(entry)
        if not self.manners.keeps and entry in self.entries:
            self.entries.remove(entry)

    def closed(self, why):
        for entry in self.telling:
            self.note("lost", entry, why=why)
        super().closed(why)
        self.telling, self.rest = [], []

    def order(self, word, rest):
        if word == "random":
            for n in range(int(rest)):
                self.measure(self.random_record(n))
        else:
            super().order(word, rest)


class Store(Device):
    """value(entry): (characteristic, bytes) of a record, and further ones that belong to it."""

    indicates = False       # whether the records are indicated or notified

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.racp = Racp(options, self.held, self.filtered_by, self.ready_for, self.erase,
                         self.note)
        self.hole, self.strip = options.hole, options.strip_at
        self.fresh = False               # records that no client has had in a whole report
        self.report_begins()

    def report_begins(self):
        self.reported, self.position, self.due = [], 0, 0.0

    def held(self):
        return self.entries

    def filtered_by(self, entry, kind):
        if kind == 2:
            return datetime.fromisoformat(entry.record["time"])
        return entry.record["seq"]

    def ready_for(self, op):
        return self.wants(0x2A52) and (op != REPORT or self.wants(self.sends[0]))

    def values(self, entry):
        raise NotImplementedError

    def measure(self, record, back=timedelta()):
        self.fresh = True
        return super().measure(record, back)

    def erase(self, entries):
        for entry in entries:
            self.note("deleted", entry)
            self.entries.remove(entry)

    def write_racp(self, value):
        error = self.racp.write(value)
        if not error and value[:1] != bytes([ABORT]):
            self.report_begins()
            if self.racp.report is not None:
                self.racp.report = iter(self.manners.arrange(self.racp.report))
        return error

    def pump(self):
        link, racp = self.link, self.racp
        if racp.answer is not None:
            answer, racp.answer, racp.answering = racp.answer, None, True
            for one in self.manners.answers(answer):
                self.note("response", raw=one)
                link.indicate(self.handle(0x2A52), one, lambda: self.answered(answer))
            return None
        if racp.report is None:
            return self.stray()
        if self.indicates and link.outstanding and not self.manners.hasty:
            return None
        if self.due > boottime():
            return self.due - boottime()
        entry = next(racp.report, None)
        if entry is None:
            racp.complete()
            return 0
        self.report_one(entry)
        self.due = boottime() + self.options.pace
        return self.options.pace

    def stray(self):
        """After the answer: bad manners go on."""
        for entry in self.manners.stragglers(self.entries):
            self.send(entry)
        return None

    def report_one(self, entry):
        self.position += 1
        if self.position == self.strip:
            self.strip = None
            raise LinkLost("strip inserted")
        if self.position == self.options.fail_at:
            self.racp.complete(NOT_COMPLETED)
            return
        if self.position == self.hole:
            self.hole = None
            self.note("fault", entry, why="lost on the air")
            return
        self.reported.append(entry)
        self.send(entry)

    def send(self, entry):
        for uuid, value in self.values(entry):
            if not self.wants(uuid):
                continue
            self.note("sent", entry, value[:self.link.server.mtu - 3], f"{uuid:04x}")
            (self.link.indicate if self.indicates else self.link.notify)(self.handle(uuid), value)

    def answered(self, answer):
        """The client has confirmed it. It has nothing more to fetch once it had the newest, or
        heard that there is none."""
        self.racp.answering = False
        if answer == bytes([RESPONSE, NONE, REPORT, SUCCESS]):
            for entry in self.reported:
                self.note("told", entry)
            self.fresh = not self.entries or self.entries[-1] not in self.reported
        elif answer in (bytes([NUMBER, NONE, 0, 0]), bytes([RESPONSE, NONE, REPORT, NO_RECORDS])):
            self.fresh = False
        self.reported = []
        self.manners.answered()

    def closed(self, why):
        for entry in self.reported:
            self.note("lost", entry, why=why)
        super().closed(why)
        self.racp.reset()
        self.report_begins()

    def pending(self):
        return self.fresh and bool(self.entries)

    def busy(self):
        return self.racp.running()

    def order(self, word, rest):
        if word == "random":
            for n in range(int(rest)):
                self.measure(self.random_record(n))
        elif word == "reset":
            self.reset()
            self.note("reset")
        else:
            super().order(word, rest)

    def reset(self):
        self.entries.clear()


class Stream(Device):
    """sample(view): the (characteristic, bytes) of what the story shows, --hz times a second of the
    client's; --seconds is how long such a sample lasts in the story."""

    step_s = 1.0            # of the story, between two samples

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.story = Story(ledger, self.dice, options)
        self.due, self.alive = None, 0.0
        if options.script:
            self.story.order(options.script)

    def sample(self, view):
        raise NotImplementedError

    def listening(self):
        return all(self.wants(uuid) for uuid in self.sends)

    def pump(self):
        """Time passes in the story only while somebody listens."""
        if not self.listening():
            self.due = None
            return None
        now = boottime()
        if self.due is None or now - self.due > 1:
            self.due = now
        if self.busy():
            self.alive = now
        while self.due <= now:
            view = self.story.step(self.step_s)
            if view.phase != "silent":
                for uuid, value in self.sample(view):
                    self.link.notify(self.handle(uuid), value)
            self.due += 1 / self.options.hz
        return max(0.0, self.due - now)

    def pending(self):
        """It is switched on while there is a finger, or one is to come."""
        return self.story.busy() or self.story.rest == "steady"

    def busy(self):
        return self.listening() and self.pending()

    def last_sign(self):
        return max(self.link.heard, self.alive)

    def end(self):
        self.story.end()

    def order(self, word, rest):
        try:
            super().order(word, rest)
        except ValueError:
            self.story.order(f"{word} {rest}")

