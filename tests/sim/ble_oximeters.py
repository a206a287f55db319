# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse oximeters: the standard service (0x1822) and four makers' own.

    berrymed      49535343-FE7D.., frames of 5 bytes without regard to the PDU's ends: bit 7 only in
                  the first; pulse = byte 3 and bit 6 of byte 2, SpO2 = byte 4; 255 and 127: none.
                  The maker sends 100 frames a second
    jumper        CDEACB80..: 81 pulse SpO2 PI, 80 and ten bytes of curve; 255 and 127: none
    contec        FF00: eb 01 xx pulse SpO2 .., and a sum of 7 bits. Without 9b 01 1c once a minute
                  (--keepalive) it falls silent
    nonin3230     46A970E0..: length, status, battery, perfusion, counter, SpO2, pulse, big-endian.
                  62 4e 4d 49 ends the spot check: it has done its work and hangs up. (The length
                  byte, battery and perfusion, and that it hangs up, are recalled, not read)

What is shown is told by a script (story.py).
"""
import struct

from att_server import (COMMAND, INDICATE, NOTIFY, READ, WRITE, Characteristic, LinkLost, Service)
from ble_device import Store, Stream, readable
from ble_values import plx
from ledger import boottime

FROM_STORAGE, ONGOING, QUALIFIED, QUESTIONABLE = 0x0200, 0x0020, 0x0100, 0x4000
NOT_ON_USER, LOW_PERFUSION, SEARCHING, DISCONNECTED, ERRATIC = 0x800, 0x20, 0x200, 0x8000, 0x40
SENSOR = {"sensor_disconnected": DISCONNECTED, "sensor_alarm": NOT_ON_USER,
          "out_of_track": SEARCHING, "artifact": ERRATIC}
PERFUSION = {"good": "4.20", "marginal": "0.80", "low": "0.20"}


class SpotOximeter(Store):
    """Stores its measurements; with --no-storage it tells a new one when it has one. The service
    has one operator only: all records."""

    model, main, sends = b"SIM-PLX1", 0x1822, (0x2A5E,)
    indicates = True

    def own_services(self):
        found = [Characteristic(0x2A5E, INDICATE),
                 readable(0x2A60, struct.pack("<HHI", 0x0B | (not self.options.no_storage) << 2,
                                              0xFFE0, 0xFFFF)[:7])]
        if not self.options.no_storage:
            found.append(Characteristic(0x2A52, WRITE | INDICATE, None, self.write_racp, True))
        return [Service(0x1822, found)]

    def random_record(self, number):
        return {"spo2": self.dice.randint(91, 99), "pulse": self.dice.randint(52, 108),
                "status": QUALIFIED | (0 if self.options.no_storage else FROM_STORAGE),
                "sensor": 0}

    def values(self, entry):
        record = dict(entry.record)
        if self.clock_unset():
            record["clock_unset"] = True
        yield 0x2A5E, plx(record, False)

    def clock_unset(self):
        return self.options.clock_unset

    def wants(self, uuid):
        return not (uuid == 0x2A52 and self.options.no_storage) and super().wants(uuid)

    def pump(self):
        if not self.options.no_storage:
            return super().pump()
        if not self.wants(0x2A5E) or (self.link.outstanding and not self.manners.hasty):
            return None
        entry = self.manners.choose(self.entries)
        if entry:
            (_, value), = self.values(entry)
            self.note("sent", entry, value, "2a5e")
            self.link.indicate(self.handle(0x2A5E), value, lambda: self.forget(entry))
        return self.options.pace if self.manners.hasty else None

    def forget(self, entry):
        self.note("told", entry)
        if not self.manners.keeps and entry in self.entries:
            self.entries.remove(entry)
        self.fresh = bool(self.entries)


class ContinuousOximeter(Stream):
    model, main, sends = b"SIM-PLX2", 0x1822, (0x2A5F,)

    def own_services(self):
        return [Service(0x1822, [Characteristic(0x2A5F, NOTIFY),
                                 readable(0x2A60, struct.pack("<HHI", 0x43, 0xFFE0, 0xFFFF)[:7])])]

    def sample(self, view):
        sensor = LOW_PERFUSION if view.perfusion == "low" else 0
        for flag in view.flags:
            sensor |= SENSOR[flag]
        record = {"spo2": view.spo2, "pulse": view.pulse, "sensor": sensor,
                  "status": ONGOING | (QUESTIONABLE if "artifact" in view.flags else 0)}
        if view.spo2 is not None:
            record["pai"] = PERFUSION[view.perfusion]
        yield 0x2A5F, plx(record, True)


class VendorOximeter(Stream):
    def clock_service(self):
        return []


class Berrymed(VendorOximeter):
    model, main = b"BerryMed", "49535343-fe7d-4ae5-8fa9-9fafd205e455"
    sends = ("49535343-1e4d-4bd9-ba61-23c647249616",)
    step_s = 0.04           # a PDU has four frames, and a fifth every now and then

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.waiting, self.beat = b"", 0

    def own_services(self):
        return [Service(self.main, [Characteristic(self.sends[0], NOTIFY)])]

    def frame(self, view):
        pulse, spo2 = view.pulse or 255, view.spo2 or 127
        pulse, self.beat = min(pulse, 255), (self.beat + 1) % 80
        searching, out = view.phase == "searching", view.spo2 is None
        return bytes([0x80 | (self.beat == 0) << 6 | {"good": 7, "marginal": 3, "low": 1}[
            view.perfusion], self.beat, (pulse & 0x80) >> 1 | searching << 5 | out << 4 | 5,
            pulse & 0x7F, spo2])

    def sample(self, view):
        """The frames are cut wherever a PDU of --cut bytes ends."""
        self.waiting += b"".join(self.frame(view) for _ in range(4))
        while len(self.waiting) >= self.options.cut:
            piece, self.waiting = self.waiting[:self.options.cut], self.waiting[self.options.cut:]
            yield self.sends[0], piece


class Jumper(VendorOximeter):
    model, main = b"JPD-500F", "cdeacb80-5235-4c07-8846-93a37ee6b86d"
    sends = ("cdeacb81-5235-4c07-8846-93a37ee6b86d",)

    def own_services(self):
        return [Service(self.main, [Characteristic(self.sends[0], NOTIFY)])]

    def sample(self, view):
        pulse, spo2 = min(view.pulse or 255, 255), view.spo2 or 127
        for _ in range(2):
            yield self.sends[0], b"\x80" + self.dice.randbytes(10)
        index = round(float(PERFUSION[view.perfusion]) * 10) if view.spo2 else 0
        yield self.sends[0], bytes([0x81, pulse, spo2, index])


class Contec(VendorOximeter):
    model, main, sends = b"CMS50D-BT", 0xFF00, (0xFF02,)
    KEEP_ALIVE = bytes.fromhex("9b011c")

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.until = 0.0

    def own_services(self):
        return [Service(0xFF00, [Characteristic(0xFF01, WRITE | COMMAND, None, self.write_order),
                                 Characteristic(0xFF02, NOTIFY)])]

    def write_order(self, value):
        self.note("request", raw=value)
        if value == self.KEEP_ALIVE:
            self.until = boottime() + self.options.keepalive
        return 0

    def changed(self, uuid, value):
        self.until = boottime() + self.options.keepalive
        return super().changed(uuid, value)

    def listening(self):
        return super().listening() and boottime() < self.until

    def sample(self, view):
        """The sum is what makes both known examples right: eb 01 .. 12 and 9b 01 1c."""
        body = bytes([0xEB, 0x01, 0x04 if view.spo2 else 0x14, min(view.pulse or 0xFF, 255),
                      view.spo2 or 0x7F, 0x7F, 0])
        yield 0xFF02, body + bytes([sum(body) & 0x7F])


class Nonin3230(VendorOximeter):
    model, main = b"Nonin3230", "46a970e0-0d5f-11e2-8b5e-0002a5d5c51b"
    sends = ("0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b",)
    ENCRYPTED, BATTERY_LOW, CORRECT, SEARCHES, SMARTPOINT = 0x40, 0x20, 0x10, 0x08, 0x04
    SETTLED_S = 5

    def __init__(self, options, ledger, manners):
        super().__init__(options, ledger, manners)
        self.counter, self.good_s, self.complete = 0, 0, False

    def own_services(self):
        return [Service(self.main, [
            Characteristic(self.sends[0], NOTIFY, None, None, True),
            Characteristic("1447af80-0d60-11e2-88b6-0002a5d5c51b", READ | WRITE | INDICATE, b"\0",
                           self.write_order, True)])]

    def write_order(self, value):
        self.note("request", raw=value)
        self.complete = self.complete or value == b"bNMI"
        return 0

    def sample(self, view):
        if self.complete:
            self.complete = False
            raise LinkLost("measurement complete")
        clean = view.spo2 is not None and not view.flags
        self.good_s = self.good_s + self.step_s if clean else 0
        status = (self.ENCRYPTED | (self.CORRECT if clean else 0)
                  | (self.BATTERY_LOW if view.battery == "low" else 0)
                  | (self.SEARCHES if view.phase == "searching" else 0)
                  | (self.SMARTPOINT if self.good_s >= self.SETTLED_S else 0))
        index = round(float(PERFUSION[view.perfusion]) * 100) if view.spo2 else 0
        self.counter = (self.counter + 1) & 0xFFFF
        yield self.sends[0], struct.pack(">BBBHHBH", 10, status, 27, index, self.counter,
                                         view.spo2 or 127, view.pulse or 511)
