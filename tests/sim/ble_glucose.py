# SPDX-License-Identifier: GPL-3.0-or-later
"""A blood glucose meter (0x1808) and a continuous glucose monitor (0x181F).

The meter dates a record by a base time that never moves and an offset in minutes: only the offset
follows when somebody sets the clock. --what says what kinds of record there are, in turns:

    normal      capillary whole blood from the finger
    before, after, fasting, casual, bedtime   the same with a context (2A34) that says so
    hi, lo      beyond the meter's range: the number is its limit, status bit 5 or 6
    hi-inf      the same, the number being +INF
    control     control solution by its type;  control-site: by its place
    ketone      as CareSens sends it: the context says meal 6
    isf         interstitial fluid
    error       a strip error: the number is none
    none        a record without a number

The monitor counts minutes since its session began; a record is glucose in interstitial fluid.
Meaning of the nibbles, meals and status bits: SIG definitions of 2A18, 2A34, 2AA7 to 2AAC.
"""
import struct
from datetime import datetime, timedelta

from att_server import (INDICATE, NOTIFY, READ, WRITE, Characteristic, Service)
from ble_device import Store, readable
from ble_values import cgm, date_time, glucose, glucose_context, with_crc
from ledger import boottime

MEALS = {"before": 1, "after": 2, "fasting": 3, "casual": 4, "bedtime": 5, "ketone": 6}
LIMITS = {"mmol/L": ("1.1", "33.3"), "mg/dL": ("20", "600")}
WHAT = ("normal", "before", "after", "fasting", "casual", "bedtime", "hi", "lo", "hi-inf",
        "control", "control-site", "ketone", "isf", "error", "none")


def glucose_record(dice, what, unit):
    """What the meter puts down, but for number and time."""
    low, high = LIMITS[unit]
    value = str(dice.randint(72, 179)) if unit == "mg/dL" else f"{dice.randint(40, 99) / 10:.1f}"
    record = {"what": what, "value": value, "unit": unit, "type": 1, "site": 1, "status": 0}
    if what in MEALS:
        record["meal"] = MEALS[what]
    if what == "ketone":
        record.update(value=f"{dice.randint(1, 19) / 10:.1f}", unit="mmol/L")
    elif what == "hi":
        record.update(value=high, status=0x20)
    elif what == "hi-inf":
        record.update(value="+INF", status=0x20)
    elif what == "lo":
        record.update(value=low, status=0x40)
    elif what == "control":
        record.update(type=10)
    elif what == "control-site":
        record.update(site=4)
    elif what == "isf":
        record.update(type=9, site=15)
    elif what == "error":
        record.update(value="NaN", status=0x08)
    elif what == "none":
        del record["value"], record["unit"]
    return record


class GlucoseMeter(Store):
    model, main, sends = b"SIM-GM1", 0x1808, (0x2A18, 0x2A34)

    def __init__(self, options, ledger, manners):
        self.next = options.first_seq
        self.base_ahead = options.clock_offset - 60 * options.base_offset
        super().__init__(options, ledger, manners)

    def own_services(self):
        context = [] if self.options.no_context else [Characteristic(0x2A34, NOTIFY)]
        return [Service(0x1808, [
            Characteristic(0x2A18, NOTIFY), *context, readable(0x2A51, b"\xff\x03"),
            Characteristic(0x2A52, WRITE | INDICATE, None, self.write_racp, True)])]

    def set_clock(self, civil):
        """The offset has whole minutes; so the clock may stay off by half of one."""
        super().set_clock(civil)
        self.clock.ahead = self.base_ahead + 60 * self.offset_min()

    def offset_min(self):
        return round((self.clock.ahead - self.base_ahead) / 60)

    def random_record(self, number):
        return glucose_record(self.dice, self.options.what[number % len(self.options.what)],
                              self.options.unit)

    def date(self, record, civil):
        offset = self.offset_min()
        record.setdefault("base", (civil - timedelta(minutes=offset)).isoformat())
        if offset or not self.options.no_offset:
            record.setdefault("offset_min", offset)
        record["time"] = (datetime.fromisoformat(record["base"])
                          + timedelta(minutes=record.get("offset_min", 0))).isoformat()
        super().date(record, civil)
        if not self.options.reverse:
            record.setdefault("seq", self.next & 0xFFFF)
            self.next = record["seq"] + 1
            if self.options.gaps and self.dice.random() < self.options.gaps:
                self.next += self.dice.randint(1, 9)

    def held(self):
        """In the order of their numbers. TaiDoc's kind counts backwards: 1 is the newest."""
        if not self.options.reverse:
            return list(self.entries)
        for place, entry in enumerate(reversed(self.entries), 1):
            entry.record["seq"] = place
        return self.entries[::-1]

    def values(self, entry):
        record = entry.record
        context = {k: record[k] for k in ("meal", "carb", "tester_health", "exercise", "medication",
                                          "hba1c", "extended", "litres") if k in record}
        context = context if not self.options.no_context else {}
        yield 0x2A18, glucose(dict(record, context=bool(context)))
        if context:
            yield 0x2A34, glucose_context(record["seq"], context)

    def ready_for(self, op):
        return self.wants(0x2A52) and (op != 1 or self.wants(0x2A18))

    def reset(self):
        """New batteries, or a new meter in the old case: it begins again from 1."""
        super().reset()
        self.next = 1


class Monitor(Store):
    """--records of them are stored; --live more come, --hz a second, 5 minutes apart in the
    sensor's own time. The session began so that the last one is made now."""

    model, main, sends = b"SIM-CGM1", 0x181F, (0x2AA7,)
    step_min = 5

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        total = options.records + options.live
        self.start = (self.clock.now() - timedelta(minutes=self.step_min * total)).replace(
            microsecond=0)
        self.minutes, self.live, self.next_live = 0, options.live, None

    def clock_service(self):
        return []

    def own_services(self):
        crc = self.options.crc
        features = 0x1000 if crc else 0
        feature = struct.pack("<I", features)[:3] + b"\x59"
        feature = with_crc(feature, True) if crc else feature + b"\xff\xff"
        return [Service(0x181F, [
            Characteristic(0x2AA7, NOTIFY, None, None, True), readable(0x2AA8, feature),
            readable(0x2AA9, lambda: with_crc(struct.pack("<HBBB", self.minutes, 0, 0, 0), crc)),
            Characteristic(0x2AAA, READ | WRITE, self.session_start, self.forbidden),
            readable(0x2AAB, with_crc(struct.pack("<H", 14 * 24), crc)),
            Characteristic(0x2A52, WRITE | INDICATE, None, self.write_racp, True),
            Characteristic(0x2AAC, WRITE | INDICATE, None, self.forbidden)])]

    def session_start(self):
        return with_crc(date_time(self.start) + struct.pack("<bB", 32, 0), self.options.crc)

    def forbidden(self, value):
        """Session start and the control point are not a gateway's to write."""
        self.note("refused", raw=value, why="a gateway must not write this")
        return 0x03

    def random_record(self, number):
        return {"what": "isf", "value": str(self.dice.randint(72, 179)), "unit": "mg/dL"}

    def date(self, record, civil):
        self.minutes += self.step_min
        record.setdefault("minutes", self.minutes)
        record["seq"] = record["minutes"]
        record["time"] = (self.start + timedelta(minutes=record["minutes"])).isoformat()
        super().date(record, datetime.fromisoformat(record["time"]))

    def values(self, entry):
        yield 0x2AA7, cgm(entry.record, self.options.crc)

    def pump(self):
        wait = super().pump()
        if self.racp.running() or not self.wants(0x2AA7) or not self.live:
            self.next_live = None
            return wait
        now = boottime()
        self.next_live = self.next_live or now + 1 / self.options.hz
        if now < self.next_live:
            return self.next_live - now
        self.next_live += 1 / self.options.hz
        entries = [self.measure(self.random_record(0))
                   for _ in range(min(self.options.pack, self.live))]
        self.live -= len(entries)
        pdu = b"".join(cgm(e.record, self.options.crc) for e in entries)
        for entry in entries:
            self.note("sent", entry, pdu, "2aa7")
        self.link.notify(self.handle(0x2AA7), pdu)
        return 0

    def pending(self):
        return super().pending() or self.live > 0

    def busy(self):
        return super().busy() or (self.live > 0 and self.wants(0x2AA7))

    def reset(self):
        """A new sensor: the session begins now."""
        super().reset()
        self.start, self.minutes = self.clock.now().replace(microsecond=0), 0
