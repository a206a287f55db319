# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a reading is: claims, check-ins, decisions. FOLLOWUP.md section 3."""
import followup_tables as tables
from followup_store import Reading, Window
from followup_tables import number

GRADE_OF = {"message_token": "message", "checkin": "station", "identified_after": "station",
            "user_slot": "slot", "device_binding": "device"}
NEVER_FILED = ("withdrawn", "erased")


class Identity:
    """Part of the model; self has residents, devices, stations, zone, now."""

    # --- claims

    def message_claim(self, device, patient):
        if not device.patient_id or not patient:
            return None
        if patient not in self.residents:
            return ("reason", "unknown_patient_id")
        if device.patient_id == "typed" and not tables.check_character_holds(patient):
            station = self.stations.get(device.station)
            if not station or patient not in station.booked.get(self.zone.day(self.now), ()):
                return ("reason", "typed_id_unproven")
        return ("resident", patient)

    @staticmethod
    def binding_claim(device, moment, slot):
        if device.slots and slot is None:
            return ("reason", "user_slot_missing")
        token = device.loan_at(moment, slot if device.slots else None)
        if token:
            return ("resident", token)
        return ("reason", "user_slot_not_bound" if device.slots else "not_bound")

    def measured(self, reading, uncertainty):
        """The interval beside check-ins; None and None when nothing is known."""
        arrived, took = reading.arrived, number_measuring(reading.kind)
        if reading.trust == "corrected":
            return reading.taken - uncertainty - took, min(arrived, reading.taken + uncertainty)
        if reading.trust == "live" or reading.trust == "unknown" and uncertainty is not None:  # told live
            return arrived - took, arrived
        if reading.trust == "device":
            return min(reading.taken, arrived) - number("identity.uncompared_s"), arrived
        return None, None

    def final(self, token):
        """Who has the readings of a resident: one that was merged has none."""
        while self.residents[token].state == "merged":
            token = self.residents[token].into
        return token

    def station_claim(self, reading):
        """(claim, the check-in that claims, tokens of the windows)."""
        station = self.stations.get(reading.device.station)
        if not station:
            return None, None, ()
        if reading.begin is None:
            return ("reason", "time_unknown_at_station"), None, ()
        windows = station.overlapping(reading.begin, reading.end)
        tokens = {None if w.undone else self.final(w.token) for w in windows}
        if not tokens:
            return None, None, ()
        if len(tokens) > 1:
            return ("reason", "between_two_checkins"), None, tokens
        if None in tokens:
            return ("reason", "checkin_undone"), None, tokens
        return ("resident", tokens.pop()), windows[0], ()

    # --- decision

    def decided(self, reading):
        """(token or None, evidence, grade, the check-in that claims)."""
        at_station, window, between = self.station_claim(reading)
        message, binding = self.who(reading.message), self.who(reading.binding)
        if reading.message and not message:
            return None, reading.message[1], None, None
        if between and len(between) > 1:
            if not message or message not in between:
                return None, "between_two_checkins", None, None
            at_station = None
        station = self.who(at_station)
        claims = {token for token in (message, station, binding) if token}
        if len(claims) > 1:
            return None, contradiction(message, station, binding), None, None
        if not claims:
            reason = at_station or reading.binding
            return None, reason[1] if reason else "not_bound", None, None
        token = claims.pop()
        if self.residents[token].state in NEVER_FILED:
            return None, "consent_withdrawn", None, None
        if message:
            evidence = "message_token"
        elif station:
            hut = window.purpose == "hut" and reading.arrived < window.made
            evidence = "identified_after" if hut else "checkin"
        else:
            evidence = "user_slot" if reading.device.slots else "device_binding"
        return token, evidence, GRADE_OF[evidence], window

    def who(self, claim):
        return self.final(claim[1]) if claim and claim[0] == "resident" else None

    def file(self, reading, token, evidence, grade):
        """What was decided; True when it is another than before."""
        if (reading.resident, reading.evidence, reading.grade) == (token, evidence, grade):
            return False
        if reading.resident:
            del self.residents[reading.resident].readings[reading.order]
        if token:
            self.residents[token].readings[reading.order] = reading
        reading.resident, reading.evidence, reading.grade = token, evidence, grade
        return True

    def decide(self, reading):
        token, evidence, grade, reading.window = self.decided(reading)
        return False if reading.by_person else self.file(reading, token, evidence, grade)

    def decide_again(self, station, since):
        """What was measured in a window that is another one's now."""
        for reading in reversed(station.readings):
            if reading.arrived < since:
                break
            if not reading.void and self.decide(reading):
                reading.revision += 1
            if reading.window:
                reading.window.claimed.add(reading.kind)

    # --- a unit arrives

    def arrive(self, unit):
        device = self.devices[unit["device"]]
        clock = unit.get("clock")
        if clock is not None:
            device.compared(self.zone.seconds(clock) - self.now)
        for record in unit["readings"]:
            if record["key"] not in self.readings:
                self.arrive_one(device, record, clock is not None)
        if device.waits:
            device.bind(device.waits, None, self.now, None)
            device.waits = None

    def arrive_one(self, device, record, compared):
        comparators = record.get("comparators") or {}
        values = {kind: (tables.value_of(kind, text), comparators.get(kind) or "")
                  for kind, text in record["values"].items()}
        reading = Reading(record["key"], record["kind"], values, record.get("flags") or (), self.now,
                          len(self.readings))
        reading.device = device
        taken = record.get("taken")
        reading.taken, reading.trust, uncertainty = device.date(
            None if taken is None else self.zone.seconds(taken), self.now, compared, record.get("live"))
        reading.begin, reading.end = self.measured(reading, uncertainty)
        reading.message = self.message_claim(device, record.get("patient"))
        reading.binding = self.binding_claim(device, reading.taken, record.get("slot"))
        self.readings[reading.key] = reading
        self.decide(reading)
        station = self.stations.get(device.station)
        if station:
            station.readings.append(reading)
            self.lives_on(station, reading)

    def lives_on(self, station, reading):
        """A check-in that claims lives on, or is complete."""
        window = reading.window
        if not window:
            return
        window.claimed.add(reading.kind)
        if window.open_at(self.now):
            if reading.resident == self.final(window.token):
                window.live_on(self.now)
            if station.complete and station.complete <= window.claimed:
                window.end(self.now)

    # --- check-ins

    def check_in(self, station, token, purpose):
        """The window that is open then."""
        window = station.open_window(self.now)
        if window and window.token == token:
            window.purpose = purpose
            window.live_on(self.now)
            return window
        if station.windows and station.windows[-1].open_at(self.now):
            station.windows[-1].end(self.now)
        since = self.now
        if purpose == "hut" and not window:
            since = self.session_began(station)
        self.windows += 1
        made = Window(self.windows, station, token, purpose, since, 0)
        made.made = self.now
        made.live_on(self.now)
        station.windows.append(made)
        if since < self.now:
            self.decide_again(station, since)
        return made

    def session_began(self, station):
        """A hut: where the measuring of the present session began."""
        since, follower = self.now, None
        for reading in reversed(station.readings):
            if follower is None and reading.arrived < self.now - 60 * number("identity.hut_minutes"):
                break
            if follower is not None and follower - reading.arrived > number("identity.idle_s"):
                break
            if reading.resident or reading.evidence != "not_bound" or reading.void or not reading.trusted():
                continue
            if reading.arrived - reading.end > number("identity.idle_s"):   # out of a memory
                continue
            follower = reading.arrived
            since = min(since, reading.begin)
        before = station.windows[-1].until if station.windows else since
        return max(since, min(before, self.now))

    def split(self, window, moment, token):
        """The check-in ends where that reading's measuring began, and another one runs from there."""
        self.windows += 1
        moment = max(moment, window.since)
        made = Window(self.windows, window.station, token, window.purpose, moment, window.until)
        made.ended = window.ended
        window.until, window.ended = moment, True
        window.station.windows.insert(window.station.windows.index(window) + 1, made)
        self.decide_again(window.station, moment)
        return made


def number_measuring(kind):
    return tables.NUMBERS.measuring(kind)


def contradiction(message, station, binding):
    if message and station and binding and len({message, station, binding}) == 3:
        return "checkin_contradicts_message"
    if message and binding and message != binding:
        return "patient_id_contradicts_binding"
    if station and message and station != message:
        return "checkin_contradicts_message"
    return "checkin_contradicts_binding"
