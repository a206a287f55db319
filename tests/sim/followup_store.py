# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model of the follow-up rules remembers: residents, devices and their clocks, check-ins, readings,
visits. FOLLOWUP.md sections 1 and 2."""
import bisect

import followup_tables as tables
from followup_tables import number

UNCERTAIN_CORRECTED_S, UNCERTAIN_EPOCH_S = 1, 60
NEW_EPOCH_S = 60
AFTER_ARRIVAL_S = 5 * 60
BEFORE_ARRIVAL_S = 400 * 86400
CLOCK_WAS_SET = 1767225600  # 2026-01-01T00:00:00Z: before it the gateway's clock was never set
TRUSTED = ("corrected", "live")
MOVED_FLAGS = {"body_movement", "cuff_too_loose", "improper_position"}
GRADES = {None: 0, "device": 1, "slot": 2, "station": 3, "message": 3, "person": 4}

LISTS = ("programmes", "populations", "conditions", "chain")
PLAIN = ("birth_date", "sex", "setting", "doctor", "team", "signed_on", "valid_from", "valid_to", "owner")


class Resident:
    def __init__(self, token):
        self.token = token
        self.state, self.into = "active", None
        self.readings = {}  # in the order in which they came to it
        self.visits, self.plans = [], {}
        self.set({})

    def set(self, fields):
        for name in PLAIN:
            setattr(self, name, fields.get(name) or "")
        for name in LISTS:
            value = fields.get(name) or []
            setattr(self, name, [v.strip() for v in (value.split(";") if isinstance(value, str) else value)
                                 if v.strip()])

    def contract(self, start):
        """(first day, last day), None without one."""
        if self.valid_from:
            return (tables.day_of(self.valid_from),
                    tables.day_of(self.valid_to) if self.valid_to else tables.day_of("9999-12-31"))
        if not self.signed_on:
            return None
        signed = tables.day_of(self.signed_on)
        if start == "at_once":
            return (signed, tables.anniversary(signed, 1) - 1)
        year = tables.date(signed).year + 1
        return (tables.day_of(f"{year}-01-01"), tables.day_of(f"{year}-12-31"))

    def in_contract(self, day, start):
        held = self.contract(start)
        return bool(held) and held[0] <= day <= held[1]

    def expects_baby(self):
        return "pregnant" in self.conditions or "breastfeeding" in self.conditions

    def age(self, day):
        return tables.age_on(self.birth_date, day)


class Device:
    def __init__(self, config):
        self.id, self.station = config["id"], config.get("station")
        self.patient_id, self.slots = config.get("patient_id"), bool(config.get("slots"))
        self.epochs = []  # offsets of its clock, the newest last
        self.loans = []  # [from, to or None, token, slot or None]
        self.waits = None  # who gets it when its memory was told

    def compared(self, offset):
        """Its clock was seen: device time minus ours."""
        if self.epochs and abs(offset - self.epochs[-1]) <= NEW_EPOCH_S:
            self.epochs[-1] = offset
        else:
            self.epochs.append(offset)

    def date(self, taken, arrived, compared, live):
        """(seconds, trust, uncertainty) of a record."""
        def fits(moment):
            return arrived - BEFORE_ARRIVAL_S <= moment <= arrived + AFTER_ARRIVAL_S

        if arrived < CLOCK_WAS_SET:
            return arrived, "unknown", 0 if live else None
        if taken is not None and compared:
            for age, offset in enumerate(reversed(self.epochs)):
                if fits(taken - offset):
                    return taken - offset, "corrected", UNCERTAIN_EPOCH_S if age else UNCERTAIN_CORRECTED_S
        if live:
            return arrived, "live", 0
        if taken is not None and not compared and fits(taken):
            return taken, "device", 0
        return arrived, "arrival", 0

    def loan_at(self, moment, slot):
        for since, until, token, place in self.loans:
            if place == slot and since <= moment and (until is None or moment < until):
                return token
        return None

    def bind(self, token, slot, since, until):
        """From then on it is another one's; None: nobody's."""
        kept = []
        for loan in self.loans:
            if loan[3] == slot and (loan[1] is None or loan[1] > since):
                loan[1] = since
            if loan[1] is None or loan[0] < loan[1]:
                kept.append(loan)
        self.loans = kept
        if token:
            self.loans.append([since, until, token, slot])


class Window:
    """A check-in. `until` is what ends it as things are now; it moves with its activity while it is open."""

    def __init__(self, number_, station, token, purpose, since, until):
        self.number, self.station, self.token, self.purpose = number_, station, token, purpose
        self.since, self.until, self.ended = since, until, False
        self.made = since  # a hut's window begins before somebody was identified
        self.undone = False
        self.claimed = set()

    def open_at(self, now):
        return not self.ended and self.until > now

    def end(self, now):
        self.until, self.ended = min(self.until, now), True

    def live_on(self, now):
        self.until = now + number("identity.idle_s")


class Station:
    def __init__(self, config):
        self.id = config["id"]
        self.complete = set((config.get("complete") or "").split())
        self.windows = []  # none overlaps another: in order of beginning and of end
        self.readings = []  # of its instruments, in order of arrival
        self.booked = {}  # day: tokens

    def open_window(self, now):
        last = self.windows[-1] if self.windows else None
        return last if last and not last.undone and last.open_at(now) else None

    def overlapping(self, begin, end):
        at = bisect.bisect_right(self.windows, end, key=lambda w: w.since)
        found = []
        while at and self.windows[at - 1].until > begin:
            at -= 1
            if self.windows[at].since < self.windows[at].until:
                found.append(self.windows[at])
        return found


class Reading:
    def __init__(self, key, kind, values, flags, arrived, order):
        self.key, self.kind, self.values, self.flags = key, kind, values, frozenset(flags)
        self.arrived, self.order = arrived, order
        self.taken = self.trust = None
        self.device = None
        self.begin = self.end = None  # when it was measured, beside check-ins
        self.message = self.binding = None  # claims: ("resident", token) or ("reason", text)
        self.window = None  # the check-in that claims it
        self.resident = self.evidence = self.grade = None
        self.by_person = self.void = False
        self.revision = 1
        self.marks = {}

    def status(self):
        if self.void:
            return "entered-in-error"
        if self.resident is None:
            return "unassigned"
        return "amended" if self.revision > 1 else "final"

    def trusted(self):
        return self.trust in TRUSTED

    def at_least(self, grade):
        return GRADES[self.grade] >= GRADES[grade]

    def number_of(self, kind):
        """A usable number, else None."""
        value, comparator = self.values.get(kind, (None, ""))
        return None if comparator else value

    def pressure(self):
        """(systolic, diastolic) of a usable pressure, else None."""
        systolic, diastolic = self.number_of("bp.sbp"), self.number_of("bp.dbp")
        if systolic is None or diastolic is None or self.flags & MOVED_FLAGS:
            return None
        return systolic, diastolic

    def when(self):
        return (self.taken, self.arrived, self.order)


class Visit:
    def __init__(self, number_, resident, form, began):
        self.number, self.resident, self.form, self.began = number_, resident, form, began
        self.windows = []  # check-ins
        self.own = []  # [from, to or None] by command
        self.answers = {}
        self.day = None  # set for one that was held elsewhere
        self.elsewhere = self.void = False
        self.confirmed_at = None
        self.evidence = None  # frozen when it was confirmed or corrected
        self.result = None

    def spans(self):
        """(from, to or None) of all its windows."""
        return [(w.since, w.until) for w in self.windows] + [tuple(span) for span in self.own]

    def open_at(self, now):
        return any(w.open_at(now) for w in self.windows) or any(to is None for _, to in self.own)

    def end(self, now):
        """The end of its last window, now while it is open."""
        return now if self.open_at(now) else max((to for _, to in self.spans()), default=self.began)

    def holds(self, moment, now):
        return any(since <= moment <= min(now, now if to is None else to) for since, to in self.spans())

    def state(self, now):
        if self.void:
            return "entered-in-error"
        if self.confirmed_at is not None:
            return "confirmed"
        return "open" if self.open_at(now) else "closed"

    def counts(self):
        return self.confirmed_at is not None and not self.void
