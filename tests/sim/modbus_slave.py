# SPDX-License-Identifier: GPL-3.0-or-later
"""What simulated Modbus slaves have: models with their registers, values, faults to come, replies.

A model is the register sheet of an instrument: what is not on it is answered with an exception, and a
table of which it has nothing is a function that it does not know. Bytes on a link: modbus_link.py.
"""
import struct
from collections import namedtuple
from decimal import ROUND_HALF_UP, Decimal
from time import monotonic

COUNT_MAX = {1: 2000, 2: 2000, 3: 125, 4: 125}      # bits or registers in one reply, by function
FUNCTION, ADDRESS, VALUE = 1, 2, 3                  # exceptions
WORDS = {"int16": 1, "uint16": 1, "bcd16": 1, "int32": 2, "uint32": 2, "float32": 2}


class Item(namedtuple("Item", "name fc address type start order decimals words mask fed_by",
                      defaults=("ABCD", 0, 1, 0, None))):
    """One value: `words` registers, or one bit of table fc, or the bits `mask` of a register. It
    goes along when the item `fed_by` is set: one probe, two registers."""

    def __new__(cls, *args, **more):
        item = super().__new__(cls, *args, **more)
        return item._replace(words=WORDS.get(item.type, item.words))

    @property
    def addresses(self):
        return range(self.address, self.address + self.words)

    def whole(self, text):
        """The number that the register holds for a value: rounded as instruments do."""
        number = Decimal(text).scaleb(self.decimals)
        if not number.is_finite():
            raise ValueError(f"{self.name} cannot be {text}")
        return int(number.to_integral_value(ROUND_HALF_UP))

    def encode(self, text, old):
        """Words from a value. `old` is what the register holds, for an item that is a part of it."""
        if text[:2] == "0x":
            data = bytes.fromhex(text[2:])
            if len(data) != 2 * self.words:
                raise ValueError(f"{self.name} has {2 * self.words} bytes")
        elif self.mask:
            low = self.mask & -self.mask
            part = self.whole(text) * low
            if part & ~self.mask:
                raise ValueError(f"{self.name} cannot be {text}")
            data = (old & ~self.mask | part).to_bytes(2, "big")
        elif self.type == "float32":
            data = struct.pack(">f", float(text))
        elif self.type == "string":
            data = text.encode("ascii").ljust(2 * self.words, b"\0")
            if len(data) != 2 * self.words:
                raise ValueError(f"{self.name} has room for {2 * self.words} characters")
        elif self.type == "bcd16":
            data = bytes.fromhex(f"{self.whole(text):04d}")
            if len(data) != 2:
                raise ValueError(f"{self.name} has four digits")
        else:
            data = self.whole(text).to_bytes(2 * self.words, "big", signed=self.type[0] == "i")
        return list(struct.unpack(f">{self.words}H", arranged(data, self.order)))

    def decode(self, data):
        """What the bytes on the wire say, as text; None when that is no number."""
        data = arranged(data, self.order)
        number = int.from_bytes(data, "big", signed=self.type[0] == "i")
        if self.mask:
            number = (number & self.mask) // (self.mask & -self.mask)
        elif self.type == "string":
            return data.split(b"\0")[0].decode("ascii", "replace")
        elif self.type == "float32":
            value, = struct.unpack(">f", data)
            texts = (f"{value:.{digits}g}" for digits in range(1, 10))
            return next((t for t in texts if struct.pack(">f", float(t)) == data), "nan")
        elif self.type == "bcd16":
            if not data.hex().isdecimal():
                return None
            number = int(data.hex())
        return str(Decimal(number).scaleb(-self.decimals))


def arranged(data, order):
    """From value order (ABCD) to wire order and back: both swaps undo themselves."""
    words = [data[at:at + 2] for at in range(0, len(data), 2)]
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return b"".join(words[::-1] if order in ("CDAB", "DCBA") else words)


MODELS = {
    "fridge": [
        Item("temp", 4, 0, "int16", "4.5", decimals=1),
        Item("rh", 4, 1, "uint16", "45", decimals=1),
        Item("tempf", 4, 2, "float32", "4.5", fed_by="temp"),
        Item("rhf", 4, 4, "float32", "45", fed_by="rh"),
        Item("door", 2, 0, "bit", "0")],
    "room": [
        Item("temp", 3, 0, "int16", "21.5", decimals=1),
        Item("humidity", 3, 1, "uint16", "48", decimals=1),
        Item("id", 3, 0x100, "uint16", "1")],
    "sm100": [Item("temp", 4, 0x7534, "int16", "-18.2", decimals=1)],
    "gas": [
        Item("o2", 4, 1, "float32", "20.9", "CDAB"),
        Item("co2", 4, 3, "float32", "0.06", "CDAB"),
        Item("flow", 4, 5, "float32", "2.5", "CDAB")],
    "oxygen": [
        Item("low_pressure", 1, 0, "bit", "0"),
        Item("high_pressure", 1, 1, "bit", "0"),
        Item("low_purity", 1, 2, "bit", "0"),
        Item("power_failure", 1, 3, "bit", "0"),
        *(Item(f"cylinder{at - 3}", 1, at, "bit", "0") for at in range(4, 12)),     # empty
        Item("bank", 3, 0, "uint16", "1", mask=0x0003),         # 0 none, 1 left, 2 right
        Item("mode", 3, 0, "uint16", "1", mask=0x0070),         # 0 off, 1 supply, 2 reserve, 3 fault
        Item("purity", 3, 0, "uint16", "93", mask=0x7F00),      # %
        Item("pressure", 3, 1, "uint16", "420")],               # kPa
    "meter": [                                                  # register 9 is not there
        Item("power", 3, 0, "int32", "-1500"),                  # W
        Item("energy", 3, 2, "uint32", "41234.56", decimals=2),     # kWh
        Item("power_low", 3, 4, "int32", "-1500", "CDAB", fed_by="power"),
        Item("energy_low", 3, 6, "uint32", "41234.56", "CDAB", 2, fed_by="energy"),
        Item("hours", 3, 8, "bcd16", "1024"),
        Item("model", 3, 10, "string", "SIM-METER 1", words=8),
        Item("voltage", 3, 20, "float32", "229.7", "BADC"),
        Item("frequency", 3, 22, "float32", "50.02", "DCBA")],
    "stamp": [                              # 0-1: microseconds of CLOCK_MONOTONIC at each answer
        *(Item(f"input{at}", 4, at, "uint16", str(1000 + at)) for at in range(2, 8)),
        *(Item(f"held{at}", 3, at, "uint16", str(1000 + at)) for at in range(2, 8))],
}


class Slave:
    def __init__(self, sim, number, model):
        self.sim, self.number, self.stamp = sim, number, model == "stamp"
        self.items = {item.name: item for item in MODELS[model]}
        self.tables = {item.fc: {} for item in self.items.values()}
        self.real = {}          # what the probe says, by item: text
        self.shown = {}         # what the ledger knows: (value, bytes)
        self.stuck, self.drifts = set(), {}
        self.faults_due = []    # [requests left, name, number], oldest first
        self.caches = []        # of the links: answers that are ready
        self.question = None    # the last one that was answered with values
        self.asked_at = None
        self.reset()
        for item in self.items.values():
            self.tables[item.fc].update(dict.fromkeys(item.addresses, 0))
        for item in self.items.values():
            self.put(item, str(number) if item.name == "id" and number <= 247 else item.start)
        if self.stamp:
            for table in self.tables.values():
                table.update({0: 0, 1: 0})
        self.note_changes()

    def reset(self):
        self.requests = self.answers = self.exceptions = self.faults = 0
        self.max_gap = 0

    # Values

    def put(self, item, text):
        table = self.tables[item.fc]
        if item.type == "bit":
            if text not in ("0", "1"):
                raise ValueError("a bit is 0 or 1")
            words = [int(text)]
        else:
            words = item.encode(text, table[item.address])
        if text[:2] != "0x" or item.type == "bit":
            self.real[item.name] = text
            if item.name in self.stuck:
                return
        table.update(zip(item.addresses, words))

    def set(self, name, text):
        for item in self.items.values():
            if item.name == name or item.fed_by == name and text[:2] != "0x":
                self.put(item, text)
        self.note_changes()

    def stick(self, name, on):
        (self.stuck.add if on else self.stuck.discard)(name)
        if not on:
            self.set(name, self.real[name])

    def note_changes(self):
        for item in self.items.values():
            words = [self.tables[item.fc][at] for at in item.addresses]
            bit = item.type == "bit"
            data = bytes(words) if bit else struct.pack(f">{len(words)}H", *words)
            value = str(words[0]) if bit else item.decode(data)
            old_value, old_data = self.shown.get(item.name, (None, None))
            if value != old_value or not item.mask and data != old_data:
                self.shown[item.name] = value, data
                self.sim.measured(self, item.name, value, data)
        self.forget_answers()

    def drift(self, name, step, seconds, low, high):
        token = self.drifts[name] = object()

        def move(step):
            if self.drifts.get(name) is not token:
                return
            now = Decimal(self.real[name])
            if now.is_finite():
                if low is not None and not low <= now + step <= high:
                    step = -step
                try:
                    self.set(name, str(now + step))
                except (ValueError, ArithmeticError):       # the register cannot hold more
                    del self.drifts[name]
                    return
            self.sim.after(seconds, move, step)

        self.sim.after(seconds, move, step)

    # Requests

    def asked(self):
        now = monotonic()
        if self.asked_at is not None and now - self.asked_at > self.max_gap:
            self.max_gap = now - self.asked_at
        self.asked_at = now
        self.requests += 1

    def respond(self, pdu):
        """The reply to a request: values or an exception."""
        code = pdu[0]
        table = self.tables.get(code)
        if table is None:
            return bytes([code & 0x7F | 0x80, FUNCTION])
        if len(pdu) != 5:
            return bytes([code | 0x80, VALUE])
        start, wanted = struct.unpack_from(">HH", pdu, 1)
        if not 1 <= wanted <= COUNT_MAX[code]:
            return bytes([code | 0x80, VALUE])
        if self.stamp:
            table[0], table[1] = divmod(int(monotonic() * 1000000) & 0xFFFFFFFF, 0x10000)
        try:
            values = [table[at] for at in range(start, start + wanted)]
        except KeyError:
            return bytes([code | 0x80, ADDRESS])
        if code <= 2:
            bits = sum(bit << at for at, bit in enumerate(values))
            data = bits.to_bytes((wanted + 7) // 8, "little")
        else:
            data = struct.pack(f">{wanted}H", *values)
        self.question = pdu
        return bytes([code, len(data)]) + data

    def next_fault(self, not_here):
        """(name, number) of what befalls this request; what only another kind of link does waits."""
        for due in self.faults_due:
            if due[1] not in not_here:
                due[0] -= 1
                if due[0] <= 0:
                    self.faults_due.remove(due)
                self.faults += 1
                self.sim.ledger.write("fault", record={"slave": self.number}, why=due[1])
                return due[1:]
        return None, None

    def forget_answers(self):
        for cache in self.caches:
            cache.clear()

    def counts(self):
        age = None if self.asked_at is None else round((monotonic() - self.asked_at) * 1000, 3)
        return {"requests": self.requests, "answers": self.answers, "exceptions": self.exceptions,
                "faults": self.faults, "max_gap_ms": round(self.max_gap * 1000, 3) or None,
                "since_ms": age}
