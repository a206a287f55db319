# SPDX-License-Identifier: GPL-3.0-or-later
"""Home weeks, lists of a day, rates of a month. FOLLOWUP.md sections 5, 6 and 7."""
import datetime

import followup_tables as tables
from followup_tables import number, thousandths

FORMS = ("htn", "t2dm", "elderly", "copd")


def level_of(days):
    if days < 0:
        return "ahead"
    if days < number("due.yellow_days"):
        return "due"
    return "yellow" if days < number("due.red_days") else "red"


def mean_pressure(pressures):
    return tuple(tables.mean([p[i] for p in pressures], tables.KINDS[kind].decimals)
                 for i, kind in enumerate(("bp.sbp", "bp.dbp")))


class Lists:
    """Part of the model; self has residents, zone, now, config."""

    def owns(self, resident):
        return resident.owner in ("", self.gateway)

    def counted(self):
        return [r for r in self.residents.values() if r.state == "active" and self.owns(r)]

    def in_contract(self, resident, day):
        return resident.in_contract(day, self.contract_start)

    # --- home week

    def home_readings(self, resident):
        """[(taken, pressure)] that may count for a home week, in order."""
        spans, found = None, []
        for reading in resident.readings.values():
            pressure = reading.pressure()
            at_station = reading.device and reading.device.station
            if not pressure or reading.void or not reading.trusted() or at_station or \
                    reading.grade not in ("device", "slot", "person"):
                continue
            if spans is None:
                spans = [s for v in resident.visits if not v.void for s in v.spans()]
            if not any(since <= reading.taken <= (self.now if to is None else to) for since, to in spans):
                found.append((reading.when(), reading.taken, pressure))
        return [(taken, pressure) for _, taken, pressure in sorted(found)]

    def home_slots(self, resident):
        """{day: {"morning": [pressures], "evening": ..}}, the first ones of each."""
        return self.slots_of(self.home_readings(resident))

    def slots_of(self, readings):
        per_window, found = number("home_week.per_window"), {}
        for taken, pressure in readings:
            hour = self.zone.of_day(taken) // 3600
            for part in ("morning", "evening"):
                if number(f"home_week.{part}_from") <= hour < number(f"home_week.{part}_to"):
                    slot = found.setdefault(self.zone.day(taken), {}).setdefault(part, [])
                    if len(slot) < per_window:
                        slot.append(pressure)
        return found

    def home_week(self, resident, day):
        """The latest valid week that ended before this day, or None."""
        return self.latest_week(self.home_slots(resident), day)

    def latest_week(self, slots, day):
        if not slots:
            return None
        for last in range(day - 1, day - number("home_week.look_back_days") - 1, -1):
            week = self.week_ending(slots, last)
            if week:
                return week
        return None

    @staticmethod
    def week_ending(slots, last):
        first = last - number("home_week.days") + 1
        kept = {d: slots[d] for d in range(first + number("home_week.drop_days"), last + 1) if d in slots}
        pressures = [p for parts in kept.values() for slot in parts.values() for p in slot]
        if len(pressures) < number("home_week.at_least") or len(kept) < number("home_week.at_least_days") or \
                not all(any(part in parts for parts in kept.values()) for part in ("morning", "evening")):
            return None
        systolic, diastolic = mean_pressure(pressures)
        if systolic >= thousandths("home_week.sbp_high") or diastolic >= thousandths("home_week.dbp_high"):
            verdict = "high"
        elif systolic < thousandths("home_week.sbp_normal_below") and \
                diastolic < thousandths("home_week.dbp_normal_below"):
            verdict = "normal"
        else:
            verdict = "between"
        return {"from": tables.day_text(first), "to": tables.day_text(last), "n": len(pressures), "days": len(kept),
                "systolic": systolic // 1000, "diastolic": diastolic // 1000, "verdict": verdict}

    # --- lists

    def history(self, resident, form):
        """Confirmed visits, the last one at the end."""
        return sorted((v for v in resident.visits if v.form == form and v.counts()),
                      key=lambda v: (self.day_of_visit(v), v.number))

    @staticmethod
    def has_referral(visit):
        return bool(visit.result["referrals"] or visit.answers.get("referral"))

    def lists_of(self, resident, day):
        items = []

        def add(name, form, reason, since, days, level):
            items.append({"resident": resident.token, "list": name, "form": form, "reason": reason,
                          "date": tables.day_text(since), "days": days, "level": level,
                          "in_contract": self.in_contract(resident, day)})

        for form in FORMS:
            history = self.history(resident, form)
            last = history[-1] if history else None
            found = self.due_of(resident, form, last, day)
            if found:
                reason, after = found
                add("due", form, reason, after, day - after, level_of(day - after))
            if last and self.has_referral(last) and not last.answers.get("referral_result"):
                asked = self.day_of_visit(last) + number("due.referral_days")
                if asked <= day:
                    add("referral_result", form, "referral_result", asked, day - asked, level_of(day - asked))
            if form in ("htn", "t2dm") and len(history) > 1 and all(v.result["class"] == 2 for v in history[-2:]):
                add("twice", form, "not_controlled_twice", self.day_of_visit(last), 0, None)
        contact = self.last_contact(resident)
        if contact and day - contact > number("due.no_contact_days"):
            since = contact + number("due.no_contact_days")
            add("no_contact", None, "no_contact", since, day - since, level_of(day - since))
        found = self.recheck(resident, day)
        if found and found[0] in ("open", "likely"):
            add("recheck", None, found[0], found[1], found[2], None)
        return items

    def due_of(self, resident, form, last, day):
        """(reason, next date) of the item of list due; last: the last visit of the form."""
        plan = resident.plans.get(form)
        if plan and last and plan[0] <= last.confirmed_at:
            plan = None
        after = plan[1] if plan else last and last.result["next"] and tables.day_of(last.result["next"])
        if not after or tables.PROGRAMME_OF[form] not in resident.programmes or \
                after > day + number("due.ahead_days"):
            return None
        again = not plan and (last.result["class"] in (2, 3, 4) or self.has_referral(last))
        return ("refollowup" if again else "planned", after)

    def last_contact(self, resident):
        days = [self.day_of_visit(v) for v in resident.visits if v.counts()]
        taken = [r.taken for r in resident.readings.values() if r.trusted() and not r.void]
        if taken:
            days.append(self.zone.day(max(taken)))
        return max(days, default=None)

    def recheck(self, resident, day):
        """(state, day 0, days measured) of the present one, None without any."""
        if "hypertension" in resident.programmes:
            return None
        days = {}
        for reading in resident.readings.values():
            pressure = reading.pressure()
            if pressure and reading.trusted() and not reading.void:
                taken = self.zone.day(reading.taken)
                if taken <= day:
                    days.setdefault(taken, []).append(pressure)
        raised = {}
        for taken, pressures in days.items():
            systolic, diastolic = mean_pressure(pressures)
            raised[taken] = systolic >= thousandths("recheck.sbp") or diastolic >= thousandths("recheck.dbp")
        need, within, state = number("recheck.days"), number("recheck.within_days"), None
        for first in sorted(d for d in raised if raised[d]):
            if state and (state[0] == "likely" or first < state[1] + within):
                continue
            if not tables.at_least(resident.age(first), number("recheck.age")):
                continue
            these = [d for d in raised if first <= d < first + within]
            measured = len(these)
            if sum(raised[d] for d in these) >= need:
                state = ("likely", first, measured)
            elif day < first + within:
                state = ("open", first, measured)
            else:
                state = ("not_confirmed" if measured >= need else "lapsed", first, measured)
        return state

    def ask_due(self, day):
        items = [item for resident in self.counted() for item in self.lists_of(resident, day)]
        items.sort(key=lambda i: (i["list"], i["resident"], i["form"] or ""))
        return {"items": items}

    # --- rates

    def ask_kpi(self, month):
        first = tables.day_of(month + "-01")
        day = min(tables.add_months(first, 1) - 1, self.zone.day(self.now))
        year = datetime.date(tables.date(day).year, 1, 1).toordinal()
        residents = self.counted()
        wanted = -(-number("kpi.visits_a_year") * tables.date(first).month // 12)
        answer = {}
        for form in ("htn", "t2dm", "copd"):
            enrolled = [r for r in residents if tables.PROGRAMME_OF[form] in r.programmes]
            counts = {"enrolled": len(enrolled), "managed": 0, "visits": 0, "standard": 0, "in_contract": 0}
            if form != "copd":
                counts["controlled"] = 0
            for resident in enrolled:
                visits = [v for v in self.history(resident, form) if year <= self.day_of_visit(v) <= day]
                if not visits:
                    continue
                counts["managed"] += 1
                counts["visits"] += len(visits)
                counts["standard"] += len(visits) >= wanted
                if form != "copd":
                    counts["controlled"] += visits[-1].result["class"] == 1
                counts["in_contract"] += self.in_contract(resident, day)
            answer[form] = counts
        ages = [(tables.at_least(r.age(day), number("kpi.elderly_age")), r) for r in residents]
        answer["elderly"] = {
            "enrolled": sum(old is True for old, _ in ages),
            "managed": sum(old is True and any(year <= self.day_of_visit(v) <= day
                                               for v in self.history(r, "elderly")) for old, r in ages),
            "age_unknown": sum(old is None for old, _ in ages)}
        return answer
