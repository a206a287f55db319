# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and what they refuse. FOLLOWUP.md section 8. A refused one has changed nothing."""
import csv
import io

import followup_tables as tables
from followup_store import CLOCK_WAS_SET, Reading, Resident, Visit
from followup_tables import FORMS, number
from followup_visit import BY_PURPOSE, conclude

KNOWN = {"token", "settings"} | set(("birth_date sex programmes populations conditions setting doctor team chain "
                                     "signed_on valid_from valid_to owner").split())

LEAVE = {"deceased": ("active", "moved", "unlisted"), "moved": ("active", "unlisted"),
         "withdrawn": ("active", "moved", "unlisted", "deceased")}  # from which states


class Refused(Exception):
    """Its text is the code."""


class Commands:
    """Part of the model; self has everything."""

    def command(self, name, args, by):
        """Its result: what `as` keeps."""
        return getattr(self, "do_" + name)(args, by)

    # --- what arguments name

    def resident(self, token):
        if token not in self.residents:
            raise Refused("unknown_resident")
        return self.residents[token]

    def active(self, token):
        resident = self.resident(token)
        if resident.state != "active":
            raise Refused("not_active")
        return resident

    def station(self, name):
        if name not in self.stations:
            raise Refused("unknown_station")
        return self.stations[name]

    def device(self, name):
        if name not in self.devices:
            raise Refused("unknown_device")
        return self.devices[name]

    def reading(self, name):
        """"@key", and "@@1" or "@1" for what was entered."""
        for key in (name, name[1:]):
            if key in self.readings:
                return self.readings[key]
        raise Refused("bad_argument")

    def form(self, name):
        if name not in FORMS:
            raise Refused("unknown_form")
        return name

    def enrolled(self, resident, form):
        old = form == "elderly" and tables.at_least(resident.age(self.zone.day(self.now)), number("kpi.elderly_age"))
        if tables.PROGRAMME_OF[form] not in resident.programmes and not old:
            raise Refused("not_enrolled")

    # --- check-ins

    def do_checkin(self, args, _by):
        station = self.station(args["station"])
        if args.get("undo"):
            return self.undo(self.latest(station))
        token = self.cards.get(args["card"]) if "card" in args else args["resident"]
        resident = self.active(token)
        booked = station.booked.get(self.zone.day(self.now), {})
        purpose = args.get("purpose") or booked.get(token) or "follow-up"
        if purpose not in BY_PURPOSE:
            raise Refused("bad_argument")
        if args.get("instead"):
            window = self.instead(self.latest(station), token, purpose)
        else:
            window = self.check_in(station, token, purpose)
        visits = self.open_visits(resident, purpose, window)
        for visit in visits.values():
            if args.get("way"):
                visit.answers["visit_way"] = str(args["way"])
        return visits

    def latest(self, station):
        """The latest check-in, as long as it can be taken back."""
        if not station.windows:
            raise Refused("nobody_checked_in")
        window = station.windows[-1]
        if self.now - window.since > 60 * number("identity.undo_minutes"):
            raise Refused("too_late")
        return window

    def undo(self, window):
        if window.undone:
            raise Refused("already_so")
        self.leave(window)
        window.undone = True
        self.decide_again(window.station, window.since)

    def instead(self, window, token, purpose):
        if not window.undone and window.token == token:
            raise Refused("already_so")
        if not window.undone:
            self.leave(window)
        window.token, window.purpose, window.undone = token, purpose, False
        self.decide_again(window.station, window.since)
        return window

    def do_checkout(self, args, _by):
        window = self.station(args["station"]).open_window(self.now)
        if not window:
            raise Refused("nobody_checked_in")
        window.end(self.now)

    def do_split(self, args, _by):
        reading, resident = self.reading(args["reading"]), self.active(args["resident"])
        if not reading.window:
            raise Refused("nobody_checked_in")
        if reading.window.token == resident.token:
            raise Refused("already_so")
        made = self.split(reading.window, reading.begin, resident.token)
        return self.open_visits(resident, made.purpose, made)

    def do_book(self, args, _by):
        station = self.station(args["station"])
        for entry in args["residents"]:
            self.resident(entry["resident"])
        station.booked[tables.day_of(args["day"])] = {e["resident"]: e.get("purpose") for e in args["residents"]}

    def do_card(self, args, _by):
        self.cards[args["card"]] = self.resident(args["resident"]).token

    # --- readings by a person

    def do_assign(self, args, _by):
        reading = self.reading(args["reading"])
        token = None if args["resident"] == "-" else self.final(self.resident(args["resident"]).token)
        if token and self.residents[token].state in ("withdrawn", "erased"):
            raise Refused("not_active")
        if reading.void:
            raise Refused("voided")
        if reading.by_person and reading.resident == token:
            raise Refused("already_so")
        self.file(reading, token, "assigned_by_person", "person")
        reading.by_person = True
        reading.revision += 1

    def do_void(self, args, _by):
        reading = self.reading(args["reading"])
        if not args.get("reason"):
            raise Refused("reason_missing")
        if reading.void:
            raise Refused("already_so")
        reading.void = True
        reading.revision += 1

    def do_annotate(self, args, _by):
        reading = self.reading(args["reading"])
        if reading.void:
            raise Refused("voided")
        marks = {name: args[name] for name in tables.ANNOTATIONS if name in args}
        self.check_marks(marks, reading.values)
        self.mark(reading, marks)
        reading.revision += 1

    @staticmethod
    def check_marks(marks, values):
        if any(value not in tables.ANNOTATIONS[name] for name, value in marks.items()):
            raise Refused("bad_value")
        if "meal" in marks and not any(kind in tables.BLOOD_GLUCOSE for kind in values):
            raise Refused("bad_kind")
        if "arm" in marks and not any(kind in values for kind in ("bp.sbp", "bp.dbp")):
            raise Refused("bad_kind")

    @staticmethod
    def mark(reading, marks):
        reading.marks.update(marks)
        if "meal" in marks:
            kind = next(k for k in reading.values if k in tables.BLOOD_GLUCOSE)
            reading.values[tables.MEAL_KIND[marks["meal"]]] = reading.values.pop(kind)

    def do_enter(self, args, _by):
        resident = self.active(self.final(self.resident(args["resident"]).token))
        units, values = args.get("units") or {}, {}
        for kind, text in args["values"].items():
            if kind not in tables.KINDS:
                raise Refused("bad_kind")
            try:
                values[kind] = (tables.value_of(kind, text, units.get(kind) or ""), "")
            except tables.BadValue:
                raise Refused("bad_value") from None
            if values[kind][0] is None:
                raise Refused("bad_value")
        marks = {name: args[name] for name in tables.ANNOTATIONS if name in args}
        self.check_marks(marks, values)
        self.entered += 1
        reading = Reading(f"@{self.entered}", kind_of(values), values, (), self.now, len(self.readings))
        reading.taken = self.zone.seconds(args["taken"]) if args.get("taken") else self.now
        reading.trust = "live" if args.get("taken") or self.now >= CLOCK_WAS_SET else "unknown"
        reading.by_person = True
        self.readings[reading.key] = reading
        self.file(reading, resident.token, "entered_by_person", "person")
        self.mark(reading, marks)

    # --- instruments

    def do_bind(self, args, _by):
        device = self.device(args["device"])
        token = None if args["resident"] == "-" else self.resident(args["resident"]).token
        since = self.zone.seconds(args["from"]) if args.get("from") else self.now
        device.bind(token, args.get("slot"), since, self.zone.seconds(args["to"]) if args.get("to") else None)

    def do_handover(self, args, _by):
        device = self.device(args["device"])
        device.waits = self.resident(args["resident"]).token
        device.bind(None, None, self.now, None)

    # --- residents

    def do_import(self, args, _by):
        if self.roster_version is not None:
            raise Refused("roster_owned")
        lines = list(csv.DictReader(io.StringIO(args["csv"])))
        for line in lines:
            if None in line or None in line.values():
                raise Refused("bad_lines")
            self.check_resident(line)
        for line in lines:
            self.put(line)

    @staticmethod
    def check_resident(fields):
        try:
            if not fields.get("token") or set(fields) - KNOWN or fields.get("sex") not in (None, "", "M", "F"):
                raise ValueError
            if fields.get("birth_date"):
                tables.check_birth(fields["birth_date"])
            for name in ("signed_on", "valid_from", "valid_to"):
                if fields.get(name):
                    tables.day_of(fields[name])
            if fields.get("valid_to") and not fields.get("valid_from"):
                raise ValueError
        except ValueError:
            raise Refused("bad_lines") from None

    def put(self, fields):
        token = fields["token"]
        resident = self.residents.setdefault(token, Resident(token))
        resident.set(fields)
        if resident.state == "unlisted":
            resident.state = "active"

    def do_roster(self, args, _by):
        if args["mode"] == "delta" and args.get("base") != self.roster_version:
            raise Refused("wrong_base")
        for fields in args.get("residents") or []:
            self.check_resident(fields)
        n, of = args.get("n", 1), args.get("of", 1)
        if n == 1:
            self.chunks = []
        if n != len(self.chunks) + 1:
            raise Refused("bad_argument")
        self.chunks.append(args)
        if n < of:
            return
        chunks, self.chunks = self.chunks, []
        listed = set()
        for chunk in chunks:
            for fields in chunk.get("residents") or []:
                self.put(fields)
                listed.add(fields["token"])
        removed = {token for chunk in chunks for token in chunk.get("removed") or []}
        if args["mode"] == "full":
            removed = set(self.residents) - listed
        for token in removed & set(self.residents):
            if self.residents[token].state == "active":
                self.residents[token].state = "unlisted"
        self.roster_version = args["version"]

    def do_merge(self, args, _by):
        resident, into = self.resident(args["resident"]), self.resident(args["into"])
        if resident is into:
            raise Refused("bad_argument")
        if any(r.state in ("merged", "erased", "withdrawn") for r in (resident, into)):
            raise Refused("not_active")
        resident.state, resident.into = "merged", into.token
        for reading in list(resident.readings.values()):
            self.file(reading, into.token, reading.evidence, reading.grade)
            reading.revision += 1
        for visit in resident.visits:
            visit.resident = into
        into.visits += resident.visits
        resident.visits = []
        for form, plan in resident.plans.items():  # (when it was set, the day)
            if form not in into.plans or into.plans[form][0] <= plan[0]:
                into.plans[form] = plan
        resident.plans = {}

    def leaves(self, args, state):
        resident = self.resident(args["resident"])
        if resident.state == state:
            raise Refused("already_so")
        if resident.state not in LEAVE[state]:
            raise Refused("not_active")
        resident.state = state

    def do_died(self, args, _by):
        self.leaves(args, "deceased")

    def do_moved(self, args, _by):
        self.leaves(args, "moved")

    def do_withdraw(self, args, _by):
        self.leaves(args, "withdrawn")

    def do_erase(self, args, _by):
        resident = self.resident(args["resident"])
        if not args.get("reason"):
            raise Refused("reason_missing")
        for reading in list(resident.readings.values()):
            self.file(reading, None, "consent_withdrawn", None)
            reading.revision += 1
        resident.state = "erased"

    def do_team(self, args, _by):
        self.teams[args["team"]] = {m["member"]: m.get("role") for m in args["members"]}

    # --- visits

    def do_visit_open(self, args, _by):
        form = self.form(args["form"])
        resident = self.active(args["resident"])
        self.enrolled(resident, form)
        visit = self.visit_for(resident, form)
        visit.own.append([self.now, None])
        if args.get("way"):
            visit.answers["visit_way"] = str(args["way"])
        return visit

    def do_visit_close(self, args, _by):
        open_ones = [span for span in args["visit"].own if span[1] is None]
        if not open_ones:
            raise Refused("already_so")
        for span in open_ones:
            span[1] = self.now

    @staticmethod
    def check_answers(visit, answers):
        if any(not tables.may_answer(visit.form, key) for key in answers):
            raise Refused("unknown_key")

    def do_visit_set(self, args, _by):
        visit = args["visit"]
        self.check_answers(visit, args["answers"])
        if visit.confirmed_at is not None:
            raise Refused("already_confirmed")
        visit.answers.update({key: str(value) for key, value in args["answers"].items()})

    def may_confirm(self, resident, by):
        if by != resident.doctor and self.teams.get(resident.team, {}).get(by) != "doctor":
            raise Refused("not_allowed")

    def do_visit_confirm(self, args, by):
        visit = args["visit"]
        if visit.confirmed_at is not None:
            raise Refused("already_confirmed")
        self.may_confirm(visit.resident, by)
        if not visit.answers.get("visit_way"):
            raise Refused("way_missing")
        evidence = self.collect(visit)
        result = conclude(evidence, visit.answers)
        if result["class"] is None:
            raise Refused("class_missing")
        visit.evidence, visit.result, visit.confirmed_at = evidence, result, self.now

    def do_visit_correct(self, args, by):
        visit = args["visit"]
        if not visit.counts():
            raise Refused("not_confirmed")
        self.may_confirm(visit.resident, by)
        if not args.get("reason"):
            raise Refused("reason_missing")
        self.check_answers(visit, args["answers"])
        visit.answers.update({key: str(value) for key, value in args["answers"].items()})
        visit.evidence = self.collect(visit)  # as it is filed now
        visit.result = conclude(visit.evidence, visit.answers)

    def do_visit_void(self, args, _by):
        if not args.get("reason"):
            raise Refused("reason_missing")
        if args["visit"].void:
            raise Refused("already_so")
        args["visit"].void = True

    def do_visit_elsewhere(self, args, _by):
        form = self.form(args["form"])
        resident = self.resident(args["resident"])
        self.enrolled(resident, form)
        if any(v.elsewhere and v.form == form and v.day == tables.day_of(args["day"]) and not v.void
               for v in resident.visits):
            raise Refused("already_so")
        visit = Visit(len(self.visits) + 1, resident, form, self.zone.midnight(tables.day_of(args["day"])))
        visit.elsewhere, visit.day, visit.confirmed_at = True, tables.day_of(args["day"]), self.now
        for key, name in (("visit_way", "way"), ("classification", "class"), ("next_visit_date", "next_day"),
                          ("referral", "referral"), ("referral_result", "referral_result")):
            if args.get(name) is not None:
                visit.answers[key] = str(args[name])
        self.visits.append(visit)
        resident.visits.append(visit)
        visit.evidence = self.collect(visit)
        visit.result = conclude(visit.evidence, visit.answers)
        visit.result.update({"at_goal": None, "class_why": "", "next": args.get("next_day"), "measures": None,
                             "referrals": []})
        return visit

    def do_plan(self, args, _by):
        form = self.form(args["form"])
        resident = self.active(args["resident"])
        self.enrolled(resident, form)
        resident.plans[form] = (self.now, tables.day_of(args["day"]))


def kind_of(values):
    """What kind of reading these values are: by the first."""
    first = next(iter(values))
    family = first.split(".")[0]
    return {"bp": "bp", "glu": "glucose", "lipid": "lipids", "weight": "weight", "temp": "temperature",
            "spo2": "spo2", "hba1c": "hba1c", "height": "height"}.get(family, "entry")
