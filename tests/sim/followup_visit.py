# SPDX-License-Identifier: GPL-3.0-or-later
"""Visits: which readings, which fields, what is proposed. FOLLOWUP.md section 4.

collect() looks at readings and gives evidence, which is frozen when the visit is confirmed; conclude() puts
a person's answers beside it."""
from fractions import Fraction

import followup_tables as tables
from followup_store import Visit
from followup_tables import BLOOD_GLUCOSE, FORMS, number, shown_kind, thousandths

BY_PURPOSE = {"follow-up": ("htn", "t2dm", "copd"), "home-bed": ("htn", "t2dm", "copd"), "exam": ("elderly",),
              "hut": ()}
ARMS = ("right", "left", None)
PULSES = ("bp.pulse", "spo2.pulse", "ecg.hr")
URGENT_REASONS = {"bp_urgent", "pregnant_bp", "glucose_high", "glucose_low", "pregnant_glucose", "temperature",
                  "heart_rate"}
TWICE_REASONS = {"complication", "adverse_twice", "not_controlled_twice"}


def field_of(value, by, readings=(), **more):
    return {"value": value, "by": by, **({"readings": [r.key for r in readings]} if readings else {}), **more}


def last_usable(readings, kinds, refuse=lambda reading, kind: False):
    """(reading, kind, number): the last one of the first kind that has one."""
    for kind in kinds:
        for reading in reversed(readings):
            value = reading.number_of(kind)
            if value is not None and not refuse(reading, kind):
                return reading, kind, value
    return None


# --- blood pressure of a visit

def chosen(group):
    """(readings, note) of one arm's pressures, in order of taken."""
    first = group[0]
    gap = number("bp_visit.gap_s")

    def after(reading):
        return next((r for r in group if r.taken >= reading.taken + gap), None)

    second = after(first)
    if not second:
        return [first], "single"
    differ = any(abs(a - b) > thousandths("bp_visit.third_over")
                 for a, b in zip(first.pressure(), second.pressure()))
    if not differ:
        return [first, second], None
    third = after(second)
    return ([first, second, third], None) if third else ([first, second], "third_needed")


def pressure_of(readings, arms=ARMS):
    """(systolic, diastolic, readings, note) of the arm with the higher one, None without any."""
    best = None
    for arm in arms:
        group = [r for r in readings if r.pressure() and r.marks.get("arm") == arm]
        if not group:
            continue
        used, note = chosen(group)
        exact = tuple(Fraction(sum(r.pressure()[i] for r in used), len(used)) for i in (0, 1))
        if best is None or exact > best[0]:
            best = exact, used, note
    if not best:
        return None
    exact, used, note = best
    return (*(tables.round_half_away(part / 1000, tables.KINDS[kind].decimals)
              for part, kind in zip(exact, ("bp.sbp", "bp.dbp"))), used, note)


def pressure_field(found):
    systolic, diastolic, used, note = found
    text = f"{shown_kind('bp.sbp', systolic)}/{shown_kind('bp.dbp', diastolic)}"
    return field_of(text, "device", used, **({"note": note} if note else {}))


# --- conclusions from evidence and answers

def person_pressure(text):
    """A pressure that a person answered, "150/90"."""
    try:
        systolic, diastolic = (tables.value_of(kind, part) for kind, part in
                               zip(("bp.sbp", "bp.dbp"), text.split("/", 1)))
        return systolic, diastolic
    except (ValueError, AttributeError):
        return None


def goal_of(evidence, answers):
    """(yes, no, unknown or None, reason)."""
    form = evidence["form"]
    if form == "htn":
        pressure = person_pressure(answers["bp"]) if "bp" in answers else evidence["pressure"]
        if not pressure:
            return "unknown", "no_value"
        systolic, diastolic = pressure

        def under(limit):
            return systolic < thousandths(limit) and diastolic < thousandths("goal_htn.dbp_below")

        young, old = under("goal_htn.sbp_below"), under("goal_htn.sbp_below_from_65")
        elder = tables.at_least(evidence["age"], number("goal_htn.older_age"))
        if elder is None and young != old:
            return "unknown", "age_unknown"
        return ("yes" if (old if elder else young) else "no"), ""
    if form == "t2dm":
        value = evidence["fasting"]
        if "fasting_glucose" in answers:
            try:
                value = tables.value_of("glu.fasting", answers["fasting_glucose"])
            except ValueError:
                value = None
        elif evidence["fasting_beyond"]:
            return "no", ""
        if value is None:
            return "unknown", "no_value"
        good = thousandths("goal_t2dm.fasting_above") < value < thousandths("goal_t2dm.fasting_below")
        return ("yes" if good else "no"), ""
    return None, ""


def class_of(goal, why, answers):
    """(class or None, note)."""
    if "classification" in answers:
        return int(answers["classification"]), ""
    both = answers.get("complication") == "1" and answers.get("adverse_reaction") == "1"
    if answers.get("complication") == "2":
        return 4, ""
    if answers.get("adverse_reaction") == "2":
        return 3, ""
    if goal == "no":
        return 2, "" if both else "answers_missing"
    if goal == "yes":
        return (1, "") if both else (None, "answer_first")
    return None, why


def reasons_of(evidence, level):
    found = list(evidence["urgent"])
    if level == 4:
        found.append("complication")
    if level == 3 and evidence["class_before"] == 3:
        found.append("adverse_twice")
    if level == 2 and evidence["class_before"] == 2:
        found.append("not_controlled_twice")
    return found


def conclude(evidence, answers):
    """What `ask visit` tells, without state and way."""
    goal, why = goal_of(evidence, answers)
    level, note = class_of(goal, why, answers)
    reasons = reasons_of(evidence, level)
    after = None
    if evidence["form"] in ("htn", "t2dm"):
        if reasons or level in (2, 3, 4):
            after = tables.day_text(evidence["day"] + number("next.refollow_days"))
        elif level == 1:
            after = tables.day_text(tables.add_months(evidence["day"], number("next.months")))
    measures = 4 if URGENT_REASONS & set(reasons) else 3 if TWICE_REASONS & set(reasons) else \
        {1: 1, 2: 2, 3: 2}.get(level)
    fields = dict(evidence["fields"])
    if after and any(field.fill == "next_visit" for field in FORMS[evidence["form"]]):
        fields["next_visit_date"] = field_of(after, "derived")
    for key, text in answers.items():
        fields[key] = field_of(text, "person")
    if "next_measures" in answers:
        measures = int(answers["next_measures"])
    return {"fields": fields, "at_goal": goal, "class": level, "class_why": note,
            "next": answers.get("next_visit_date", after), "measures": measures, "referrals": reasons,
            "home_week": evidence["home_week"], "hypo": evidence["hypo"]}


class Visits:
    """Part of the model; self has residents, zone, now, visits."""

    def open_visits(self, resident, purpose, window):
        """{form: visit} that a check-in opens or goes on with."""
        if not self.owns(resident):
            return {}
        return {form: self.visit_for(resident, form, window) for form in BY_PURPOSE[purpose]
                if tables.PROGRAMME_OF[form] in resident.programmes}

    def visit_for(self, resident, form, window=None):
        began = window.since if window else self.now
        visit = next((v for v in resident.visits if v.form == form and not v.void and not v.elsewhere and
                      v.confirmed_at is None and self.zone.day(v.began) == self.zone.day(began)), None)
        if not visit:
            visit = Visit(len(self.visits) + 1, resident, form, began)
            self.visits.append(visit)
            resident.visits.append(visit)
        if window and window not in visit.windows:
            visit.windows.append(window)
        return visit

    def leave(self, window):
        """The check-in is another one's, or nobody's: its visits lose it."""
        for visit in self.visits_of(window):
            visit.windows.remove(window)
            if not visit.windows and not visit.own:
                visit.void = True

    def visits_of(self, window):
        return [v for v in self.residents[window.token].visits if window in v.windows]

    def day_of_visit(self, visit):
        return visit.day if visit.elsewhere else self.zone.day(visit.began)

    def visit_before(self, visit):
        """The last confirmed one of the same resident and form of an earlier day."""
        day = self.day_of_visit(visit)
        return max((v for v in visit.resident.visits if v.form == visit.form and v.counts() and
                    self.day_of_visit(v) < day), key=lambda v: (self.day_of_visit(v), v.confirmed_at, v.number),
                   default=None)

    def readings_of(self, visit):
        return sorted((r for r in visit.resident.readings.values()
                       if not r.void and r.trusted() and r.at_least("station") and
                       (r.window in visit.windows if r.window else False) or
                       not r.void and r.trusted() and r.grade in ("message", "person") and
                       visit.holds(r.taken, self.now)), key=lambda r: r.when())

    def known_before(self, visit, since, grade):
        """Trusted readings, of this grade at least, taken from the day `since` until the visit's end; and those
        of the visit, whose measuring may have ended a moment after it."""
        begin, end = self.zone.midnight(since), visit.end(self.now)
        return sorted((r for r in visit.resident.readings.values() if not r.void and r.trusted() and
                       r.at_least(grade) and begin <= r.taken and
                       (r.taken <= end or r.window in visit.windows)), key=lambda r: r.when())

    def look_back(self, visit, day):
        before = self.visit_before(visit)
        return self.day_of_visit(before) if before else day - number("aux.days")

    # --- evidence

    def collect(self, visit):
        form, resident = visit.form, visit.resident
        day = self.day_of_visit(visit)
        evidence = {"form": form, "day": day, "age": resident.age(day), "fields": {}, "pressure": None,
                    "fasting": None, "fasting_beyond": False, "urgent": [], "class_before": None,
                    "home_week": None, "hypo": None}
        before = self.visit_before(visit)
        evidence["class_before"] = before.result["class"] if before else None
        evidence["fields"]["visit_date"] = field_of(tables.day_text(day), "derived")
        if visit.elsewhere:
            return evidence
        readings = self.readings_of(visit)
        for field in FORMS[form]:
            if field.fillable:
                self.fill(evidence, visit, field, readings)
        evidence["urgent"] = self.urgent(evidence, resident, readings)
        if any(field.fill == "bp" for field in FORMS[form]):
            evidence["home_week"] = self.home_week(resident, day)
        if form == "t2dm":
            evidence["hypo"] = self.low_episodes(visit, day)
        return evidence

    def fill(self, evidence, visit, field, readings):
        how = field.fill
        filled = evidence["fields"]
        if how in ("bp", "bp_left", "bp_right"):
            found = pressure_of(readings, ARMS if how == "bp" else (how[3:],))
            if found:
                filled[field.key] = pressure_field(found)
                if how == "bp":
                    evidence["pressure"] = found[:2]
        elif how == "heart_rate":
            found = last_usable(readings, field.kinds,
                                lambda r, kind: kind == "bp.pulse" and "irregular_pulse" in r.flags)
            if found:
                filled[field.key] = field_of(shown_kind(found[1], found[2]), "device", [found[0]], origin=found[1])
        elif how == "fasting":
            self.fill_fasting(evidence, field, readings)
        elif how == "height":
            found = self.height(visit, readings)
            if found:
                filled[field.key] = field_of(shown_kind("height", found[1]), "device", [found[0]],
                                             **self.from_day(found))
        elif how == "bmi":
            self.fill_mass_index(filled, field, visit, readings)
        elif how == "aux":
            items = self.results_since(visit, evidence["day"], field.kinds)
            if items:
                filled[field.key] = {"by": "device", "items": items}
        elif how in ("last", "other_glucose"):
            found = last_usable(readings, field.kinds)
            if found:
                filled[field.key] = field_of(shown_kind(found[1], found[2]), "device", [found[0]])

    @staticmethod
    def fill_fasting(evidence, field, readings):
        marked = [r for r in readings if r.values.get("glu.fasting", (None,))[0] is not None]
        if not marked:
            return
        value, comparator = marked[-1].values["glu.fasting"]
        if comparator:
            evidence["fasting_beyond"] = True
            return
        evidence["fasting"] = value
        evidence["fields"][field.key] = field_of(shown_kind("glu.fasting", value), "device", [marked[-1]])

    def height(self, visit, readings):
        """(reading, height, whether it is of this visit)."""
        found = last_usable(readings, ["height"])
        if found:
            return found[0], found[2], True
        day, resident = self.day_of_visit(visit), visit.resident
        for reading in reversed(self.known_before(visit, tables.day_of("1970-01-01"), "station")):
            value = reading.number_of("height")
            if value is None:
                continue
            taken = self.zone.day(reading.taken)
            adult = tables.at_least(resident.age(taken), number("height.adult_age"))
            if adult or day - taken <= number("height.child_days"):
                return reading, value, False
            return None
        return None

    def from_day(self, found):
        return {} if found[2] else {"from": tables.day_text(self.zone.day(found[0].taken))}

    def fill_mass_index(self, filled, field, visit, readings):
        weight, height = last_usable(readings, ["weight"]), self.height(visit, readings)
        if not weight or not height:
            return
        index = tables.round_half_away(Fraction(weight[2], 1000) / Fraction(height[1], 100000) ** 2,
                                       tables.KINDS["bmi"].decimals)
        filled[field.key] = field_of(shown_kind("bmi", index), "derived", [weight[0], height[0]],
                                     **self.from_day(height))

    @staticmethod
    def urgent(evidence, resident, readings):
        """Reasons for a referral that readings give."""
        form, found = evidence["form"], []
        if form not in ("htn", "t2dm"):
            return found
        both = [(r.values["bp.sbp"][0], r.values["bp.dbp"][0]) for r in readings
                if "bp.sbp" in r.values and "bp.dbp" in r.values]
        if any(s is not None and d is not None and
               (s >= thousandths("urgent.sbp") or d >= thousandths("urgent.dbp")) for s, d in both):
            found.append("bp_urgent")
        value = evidence["pressure"]
        if resident.expects_baby() and value and (value[0] >= thousandths("urgent.pregnant_sbp") or
                                                  value[1] >= thousandths("urgent.pregnant_dbp")):
            found.append("pregnant_bp")
        if form == "htn":
            return found
        glucose = [r.values[kind] for r in readings for kind in BLOOD_GLUCOSE if kind in r.values and
                   r.values[kind][0] is not None]
        if any(v >= thousandths("urgent.glucose_high") or sign.startswith(">") for v, sign in glucose):
            found.append("glucose_high")
        if any(v <= thousandths("urgent.glucose_low") or sign.startswith("<") for v, sign in glucose):
            found.append("glucose_low")
        if resident.expects_baby() and evidence["fasting"] is not None and \
                evidence["fasting"] >= thousandths("urgent.pregnant_fasting"):
            found.append("pregnant_glucose")
        if any((r.values.get("temp", (None,))[0] or 0) > thousandths("urgent.temp_above") for r in readings):
            found.append("temperature")
        rates = [(r.order, r.values[kind][0]) for r in readings for kind in PULSES
                 if kind in r.values and r.values[kind][0] is not None]
        if len({order for order, _ in rates}) >= 2 and \
                all(rate > thousandths("urgent.heart_rate_above") for _, rate in rates):
            found.append("heart_rate")
        return found

    def results_since(self, visit, day, kinds):
        """The last result of each kind since the visit before."""
        known = self.known_before(visit, self.look_back(visit, day), "station")
        found = [last_usable(known, [kind]) for kind in kinds]
        return [{"kind": kind, "value": shown_kind(kind, value), "day": tables.day_text(self.zone.day(reading.taken)),
                 "reading": reading.key} for reading, kind, value in filter(None, found)]

    def low_episodes(self, visit, day):
        since = self.look_back(visit, day)
        limit, between = thousandths("hypo.at_most"), 60 * number("hypo.episode_minutes")
        lows = [(r.taken, r.values[kind][0])
                for r in self.known_before(visit, since, None)
                for kind in BLOOD_GLUCOSE if kind in r.values and r.values[kind][0] is not None and
                r.values[kind][0] <= limit and not r.values[kind][1].startswith(">")]
        if not lows:
            return None
        episodes = 1 + sum(b[0] - a[0] >= between for a, b in zip(lows, lows[1:]))
        return {"episodes": episodes, "lowest": shown_kind("glu.fasting", min(value for _, value in lows)),
                "since": tables.day_text(since)}

    # --- what is told

    def result_of(self, visit):
        """What holds now, or what was frozen."""
        return visit.result or conclude(self.collect(visit), visit.answers)

    def ask_visit(self, visit):
        result = self.result_of(visit)
        return {"resident": visit.resident.token, "form": visit.form, "state": visit.state(self.now),
                "day": tables.day_text(self.day_of_visit(visit)), "way": visit.answers.get("visit_way"), **result}
