# SPDX-License-Identifier: GPL-3.0-or-later
"""A scale (0x181D and 0x181B), a thermometer (0x1809), a cuff in the manner of A&D (0x1810), and a
heart rate belt (0x180D).

The scale says one measurement in two halves: the weight by 2A9D, then the body composition of the
same time and user by 2A9C; with --multi-packet the latter in two packets. With --consent it tells
the records of a user only after that user's code was written to the User Control Point (2A9F).

The cuff keeps the age of its records, not their date. Its clock is unset until 2A08 (inside 1810)
is written, on each link anew; it dates its records when indications are switched on. So the clock
has to be written first, else they carry the unset clock, 2000-01-01. (That it works out dates so
late is this simulator's reading of "write the time before enabling indications".)
"""
import struct
from datetime import datetime, timedelta
from decimal import Decimal

from att_server import (COMMAND, INDICATE, INVALID_LENGTH, NOTIFY, READ, WRITE, Characteristic,
                        Service)
from ble_device import Pusher, Stream, readable
from ble_values import (blood_pressure, body_composition, civil_of, date_time, heart_rate,
                        temperature, weight)

CLOCK_UNSET = datetime(2000, 1, 1)


class Scale(Pusher):
    model, main = b"SIM-WS1", 0x181D

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.sends = (0x2A9D,) if options.weight_only else (0x2A9D, 0x2A9C)
        self.user, self.answer = None, None

    def own_services(self):
        # Of 2A9C the service 181B: Weight Scale may include it; here it stands beside.
        found = [Service(0x181D, [readable(0x2A9E, struct.pack("<I", 0x0F)),
                                  Characteristic(0x2A9D, INDICATE, None, None, True)])]
        if not self.options.weight_only:
            found.append(Service(0x181B, [readable(0x2A9B, struct.pack("<I", 0x07FF)),
                                          Characteristic(0x2A9C, INDICATE, None, None, True)]))
        if self.options.consent is not None:
            found.append(Service(0x181C, [
                Characteristic(0x2A99, READ | WRITE, bytes(4), lambda value: 0, True),
                readable(0x2A9A, lambda: bytes([255 if self.user is None else self.user]), True),
                Characteristic(0x2A9F, WRITE | INDICATE, None, self.user_control, True)]))
        return found

    def user_control(self, value):
        """Register, consent, delete, list: only consent is known here. 20, request, result: 1 ok, 2
        not supported, 3 invalid, 5 not authorized."""
        self.note("request", raw=value)
        if not value:
            return INVALID_LENGTH
        result = 2
        if value[0] == 2:
            result = 3 if len(value) != 4 else 5
            if len(value) == 4 and value[2:] == struct.pack("<H", self.options.consent):
                result, self.user = 1, value[1]
        self.answer = bytes([0x20, value[0], result])
        return 0

    def random_record(self, number):
        imperial = self.options.unit == "lb"
        mass, water = self.dice.randint(9000, 19999), self.dice.randint(5000, 8000)
        step = Decimal("0.01" if imperial else "0.005")
        record = {"weight": str(mass * step), "unit": "lb" if imperial else "kg",
                  "user": self.options.user}
        if self.options.bmi:
            record.update(bmi="23.4", height="69.5" if imperial else "1.765")
        if not self.options.weight_only:
            record.update(fat_pct=f"{self.dice.randint(80, 400) / 10}", water=str(water * step),
                          muscle_pct=f"{self.dice.randint(250, 450) / 10}", impedance="512.5",
                          basal_kj=self.dice.randint(5000, 8000))
        return record

    def parts(self, entry):
        r = entry.record
        own = ("weight", "unit", "time", "user", "bmi", "height")
        yield 0x2A9D, weight({k: r[k] for k in own if k in r})
        body = {k: v for k, v in r.items() if k not in ("weight", "bmi", "height")}
        if self.options.weight_only or "fat_pct" not in r:
            return
        if not self.options.multi_packet:
            yield 0x2A9C, body_composition(body)
            return
        second = ("water", "impedance", "basal_kj")
        yield 0x2A9C, body_composition({k: v for k, v in body.items() if k not in second}, True)
        body = {k: v for k, v in body.items() if k in second + ("time", "user", "unit", "fat_pct")}
        yield 0x2A9C, body_composition(body, True)

    def ready(self):
        return super().ready() and (self.options.consent is None or self.user is not None)

    def pump(self):
        if self.answer and self.wants(0x2A9F):
            answer, self.answer = self.answer, None
            self.note("response", raw=answer)
            self.link.indicate(self.handle(0x2A9F), answer)
            return None
        return super().pump()

    def closed(self, why):
        super().closed(why)
        self.user, self.answer = None, None


class Thermometer(Pusher):
    """site: 1 armpit, 2 body, 3 ear, 4 finger, 5 GI, 6 mouth, 7 rectum, 8 toe, 9 tympanum. It is in
    each record, or with --site-apart only in 2A1D, or with --site 0 nowhere."""

    model, main, sends = b"SIM-TH1", 0x1809, (0x2A1C,)

    def own_services(self):
        found = [Characteristic(0x2A1C, INDICATE, None, None, True),
                 Characteristic(0x2A1E, NOTIFY),
                 Characteristic(0x2A21, READ | WRITE | INDICATE, struct.pack("<H", 0),
                                self.write_interval)]
        if self.options.site_apart:
            found.insert(1, readable(0x2A1D, bytes([self.options.site])))
        return [Service(0x1809, found)]

    def write_interval(self, value):
        self.note("request", raw=value)
        return 0x80                     # out of range

    def random_record(self, number):
        tenths = self.dice.randint(361, 379)
        if self.dice.random() < self.options.probe_errors:
            tenths = None
        if self.options.unit == "F":
            tenths = tenths and round(tenths * 1.8 + 320)
        record = {"value": tenths and f"{tenths / 10:.1f}",
                  "unit": "F" if self.options.unit == "F" else "C"}
        if self.options.site:
            record["site"] = self.options.site
        return record

    def parts(self, entry):
        hidden = ("site",) if self.options.site_apart else ()
        record = {k: v for k, v in entry.record.items() if k not in hidden}
        if self.wants(0x2A1E) and record["value"]:
            self.link.notify(self.handle(0x2A1E), temperature(record, self.options.sfloat))
        yield 0x2A1C, temperature(record, self.options.sfloat)


class AndCuff(Pusher):
    model, main, sends = b"UA-651BLE-SIM", 0x1810, (0x2A35,)
    firmware = b"BLP008_d016"
    unset = True            # its clock, on this link
    power_on = None         # when the unset clock began to run

    def clock_service(self):
        return []

    def own_services(self):
        return [Service(0x1810, [Characteristic(0x2A35, INDICATE, None, None, True),
                                 readable(0x2A49, b"\x1f\x00"),
                                 Characteristic(0x2A08, READ | WRITE, self.clock_value,
                                                self.write_clock)]),
                Service("233bf000-5a34-1b6d-975c-000d5690abe4", [
                    Characteristic("233bf001-5a34-1b6d-975c-000d5690abe4", READ | WRITE | COMMAND,
                                   b"\0", self.custom)])]

    def custom(self, value):
        """Its own orders: disconnect, delete, buffer size. Never to be used by a gateway."""
        self.note("refused", raw=value, why="a gateway must not write this")
        return 0

    def clock_value(self):
        now = datetime.now()
        return date_time(CLOCK_UNSET + (now - (self.power_on or now)) if self.unset
                         else self.clock.now())

    def write_clock(self, value):
        if len(value) != 7 or not civil_of(value):
            self.note("refused", raw=value, why="no date")
            return INVALID_LENGTH
        if self.wants(0x2A35):
            self.note("refused", raw=value, why="too late: indications are on")
            return 0
        self.unset = False
        return super().write_clock(value)

    def random_record(self, number):
        low = self.dice.randint(62, 84)
        high = self.dice.randint(105, 138)
        return {"sys": high, "dia": low, "map": round(low + (high - low) / 3), "unit": "mmHg",
                "pulse": self.dice.randint(52, 108), "status": 0}

    def parts(self, entry):
        """Dated as it goes out; once that was by a written clock, it stays."""
        record, true = entry.record, datetime.fromisoformat(entry.record["true"])
        if self.unset:
            dated = CLOCK_UNSET + (true - self.power_on)
        else:
            dated = true + timedelta(seconds=round(self.clock.ahead))
        if record.get("unset", True):
            record.update(time=dated.isoformat(), unset=self.unset)
        yield 0x2A35, blood_pressure(record)

    def date(self, record, civil):
        super().date(record, civil)
        record.pop("time", None)
        self.power_on = self.power_on or datetime.fromisoformat(record["true"])

    def closed(self, why):
        super().closed(why)
        self.unset = True


class HeartRate(Stream):
    """Of the story's finger only the pulse; "finger out" is a belt without contact. RR intervals
    add up to the time that passed; 2A39 sets the energy to zero."""

    model, main, sends = b"SIM-HR1", 0x180D, (0x2A37,)

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.energy, self.left = 0, 0.0     # kJ; ms since the last beat

    def own_services(self):
        return [Service(0x180D, [Characteristic(0x2A37, NOTIFY), readable(0x2A38, b"\x01"),
                                 Characteristic(0x2A39, WRITE, None, self.write_energy)])]

    def write_energy(self, value):
        self.note("request", raw=value)
        if value != b"\1":
            return 0x80
        self.energy = 0
        return 0

    def sample(self, view):
        if view.pulse is None:
            yield 0x2A37, heart_rate({"rate": 0, "contact": False})
            return
        beat, rr = 60 / view.pulse, []
        self.left += self.step_s
        while self.left >= beat:
            self.left -= beat
            rr.append(round(beat * 1024))
        self.energy += 1
        yield 0x2A37, heart_rate({"rate": view.pulse, "contact": not view.flags,
                                  "energy": min(self.energy, 0xFFFF),
                                  "rr": None if self.options.no_rr else rr})
