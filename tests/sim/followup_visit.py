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
URGENT_REASONS = ("bp_urgent", "pregnant_bp", "glucose_high", "glucose_low", "pregnant_glucose", "temperature",
                  "heart_rate")
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
        found = evidence["last_fasting"]
        if "fasting_glucose" in answers:
            found = typed("glu.fasting", answers["fasting_glucose"])
        if not found:
            return "unknown", "no_value"
        value, sign = found
        if sign:
            return "no", ""
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


def typed(kind, text):
    """(value, comparator) of a number that a person answered, None when it is none."""
    sign = text[:1] if text[:1] in "<>" else ""
    try:
        value = tables.value_of(kind, text[len(sign):].strip())
    except ValueError:
        return None
    return None if value is None else (value, sign)


def urgent_answers(evidence, answers):
    """Reasons that a person's own numbers give, beside those of the readings."""
    if evidence["form"] not in ("htn", "t2dm"):
        return set()
    found, pressure = set(), person_pressure(answers.get("bp"))
    if pressure:
        found |= pressure_reasons(pressure, evidence["baby"])
    if evidence["form"] == "t2dm":
        told = {key: typed("glu.fasting", answers[key]) for key in ("fasting_glucose", "other_glucose")
                if key in answers}
        found |= glucose_reasons([value for value in told.values() if value])
        if evidence["baby"] and told.get("fasting_glucose") and pregnant_fasting(told["fasting_glucose"]):
            found.add("pregnant_glucose")
    return found


def pressure_reasons(pressure, baby):
    found = set()
    if pressure[0] >= thousandths("urgent.sbp") or pressure[1] >= thousandths("urgent.dbp"):
        found.add("bp_urgent")
    if baby and (pressure[0] >= thousandths("urgent.pregnant_sbp") or
                 pressure[1] >= thousandths("urgent.pregnant_dbp")):
        found.add("pregnant_bp")
    return found


def glucose_reasons(values):
    found = set()
    if any(v >= thousandths("urgent.glucose_high") and sign != "<" or sign == ">" for v, sign in values):
        found.add("glucose_high")
    if any(v <= thousandths("urgent.glucose_low") and sign != ">" or sign == "<" for v, sign in values):
        found.add("glucose_low")
    return found


def pregnant_fasting(value):
    """What the field holds: with a comparator it is not filled, and `glucose_high` says it."""
    return not value[1] and value[0] >= thousandths("urgent.pregnant_fasting")


def reasons_of(evidence, answers, level):
    urgent = evidence["urgent"] | urgent_answers(evidence, answers)
    found = [reason for reason in URGENT_REASONS if reason in urgent]
    if level == 4:
        found.append("complication")
    if level == 3 and evidence["class_before"] == 3:
        found.append("adverse_twice")
    if level == 2 and evidence["class_before"] == 2:
        found.append("not_controlled_twice")
    return found


def mass_index(evidence, answers):
    """The field, of what stands in the form; None when something is missing or cannot be true."""
    values, used, more = [], [], {}
    for name, at in (("weight", 2), ("height", 1)):
        own, found = typed(name, answers[name]) if name in answers else None, evidence[name]
        if own and not own[1]:
            values.append(own[0])
        elif found and name not in answers:
            values.append(found[at])
            used.append(found[0])
            more.update(evidence["height_from"] if name == "height" else {})
        else:
            return None
    index = tables.round_half_away(Fraction(values[0], 1000) / Fraction(values[1], 100000) ** 2,
                                   tables.KINDS["bmi"].decimals)
    about = tables.KINDS["bmi"]
    if not about.least * 1000 <= index <= about.most * 1000:
        return None
    return field_of(shown_kind("bmi", index), "derived", used, **more)


def conclude(evidence, answers):
    """What `ask visit` tells, without state and way."""
    goal, why = goal_of(evidence, answers)
    level, note = class_of(goal, why, answers)
    reasons = reasons_of(evidence, answers, level)
    after = None
    if evidence["form"] in ("htn", "t2dm"):
        if reasons or level in (2, 3, 4):
            after = tables.day_text(evidence["day"] + number("next.refollow_days"))
        elif level == 1:
            after = tables.day_text(tables.add_months(evidence["day"], number("next.months")))
    measures = 4 if set(URGENT_REASONS) & set(reasons) else 3 if TWICE_REASONS & set(reasons) else \
        {1: 1, 2: 2, 3: 2}.get(level)
    fields = dict(evidence["fields"])
    if after and any(field.fill == "next_visit" for field in FORMS[evidence["form"]]):
        fields["next_visit_date"] = field_of(after, "derived")
    index = mass_index(evidence, answers) if any(f.fill == "bmi" for f in FORMS[evidence["form"]]) else None
    if index:
        fields["bmi"] = index
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
                if purpose == "exam" or tables.PROGRAMME_OF[form] in resident.programmes}

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
            if not visit.windows and not visit.own and visit.confirmed_at is None:
                visit.void = True

    def visits_of(self, window):
        return [v for v in self.residents[window.token].visits if window in v.windows]

    def day_of_visit(self, visit):
        return visit.day if visit.elsewhere else self.zone.day(visit.began)

    def visit_before(self, visit):
        """The last confirmed one of the same resident and form of an earlier day."""
        day = self.day_of_visit(visit)
        return max((v for v in visit.resident.visits if v.form == visit.form and v.counts() and
                    self.day_of_visit(v) < day), key=lambda v: (self.day_of_visit(v), v.number), default=None)

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
                    "last_fasting": None, "urgent": set(), "class_before": None, "home_week": None, "hypo": None,
                    "baby": resident.expects_baby(), "weight": None, "height": None}
        before = self.visit_before(visit)
        evidence["class_before"] = before.result["class"] if before else None
        evidence["fields"]["visit_date"] = field_of(tables.day_text(day), "derived")
        if visit.elsewhere:
            return evidence
        readings = self.readings_of(visit)
        for field in FORMS[form]:
            if field.fillable:
                self.fill(evidence, visit, field, readings)
        evidence["urgent"] = self.urgent(evidence, readings)
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
            evidence["weight"], evidence["height"] = last_usable(readings, ["weight"]), self.height(visit, readings)
            if evidence["height"]:
                evidence["height_from"] = self.from_day(evidence["height"])
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
        evidence["last_fasting"] = value, comparator = marked[-1].values["glu.fasting"]
        if not comparator:
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

    @staticmethod
    def urgent(evidence, readings):
        """Reasons for a referral that readings give."""
        form, found = evidence["form"], set()
        if form not in ("htn", "t2dm"):
            return found
        for reading in readings:
            both = tuple(reading.values.get(kind, (None, "")) for kind in ("bp.sbp", "bp.dbp"))
            if all(value is not None for value, _ in both):
                found |= pressure_reasons([0 if sign == "<" else value for value, sign in both], False)
        if evidence["pressure"]:
            found |= pressure_reasons(evidence["pressure"], evidence["baby"])
        if form == "htn":
            return found
        found |= glucose_reasons([r.values[kind] for r in readings for kind in BLOOD_GLUCOSE if kind in r.values and
                                  r.values[kind][0] is not None])
        if evidence["baby"] and evidence["last_fasting"] and pregnant_fasting(evidence["last_fasting"]):
            found.add("pregnant_glucose")
        if any(value is not None and sign != "<" and value > thousandths("urgent.temp_above")
               for value, sign in (r.values.get("temp", (None, "")) for r in readings)):
            found.add("temperature")
        rates = [(r.order, r.values[kind]) for r in readings for kind in PULSES
                 if kind in r.values and r.values[kind][0] is not None]
        if len({order for order, _ in rates}) >= 2 and \
                all(rate > thousandths("urgent.heart_rate_above") and sign != "<" for _, (rate, sign) in rates):
            found.add("heart_rate")
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
