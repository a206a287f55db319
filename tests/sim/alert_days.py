# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a day: mean, overdue, missing. ALERTS.md section 2.2, made from the text alone."""
from alert_life import CRITICAL
from followup_store import CLOCK_WAS_SET

HOUR_S = 7 * 3600  # lists.at
WEEK_DAYS = 7
PRESSURES = {"bp.sbp": "systolic", "bp.dbp": "diastolic"}


class Facts:
    """What is known of a resident on a day; looked up when a rule asks."""

    def __init__(self, model, resident, day):
        self.model, self.resident, self.day = model, resident, day
        self.readings = self.slots = None

    def home(self):
        if self.readings is None:
            self.readings = self.model.home_readings(self.resident)
            self.slots = self.model.slots_of(self.readings)
        return self.slots

    def mean(self, rule):
        week = self.model.latest_week(self.home(), self.day)
        return bool(week) and rule.breaks(1000 * week[PRESSURES[rule.kinds[0]]], "")

    def overdue(self, rule):
        history = self.model.history(self.resident, rule.form)
        found = self.model.due_of(self.resident, rule.form, history[-1] if history else None, self.day)
        return bool(found) and self.day - found[1] >= rule.days

    def missing(self, _rule):
        slots, zone = self.home(), self.model.zone
        measured = any(self.day - WEEK_DAYS <= zone.day(taken) < self.day for taken, _ in self.readings)
        return measured and not self.model.week_ending(slots, self.day - 1)


class Days:
    """Part of the model; self has rules, residents, alerts, zone, now."""

    def days_init(self):
        self.judged_day = None  # the last one
        self.day_at = None  # when the next one will be
        self.of_days = {}  # (token, condition): alerts without a reading, in order of raising
        self.maybe_active = []  # of these: that may be active

    def next_day_at(self):
        """The first moment at which a day is to be judged that was not."""
        if self.day_at is not None:
            return self.day_at
        moment = max(self.now, CLOCK_WAS_SET)
        day = self.zone.day(moment)
        if self.judged_day is not None and day <= self.judged_day:
            day = self.judged_day + 1
        self.day_at = max(self.zone.midnight(day) + HOUR_S, moment)
        return self.day_at

    def judge_day(self):
        self.judged_day, self.day_at = self.zone.day(self.now), None
        if not self.judging:
            return
        if self.rules.daily:
            for resident in sorted(self.counted(), key=lambda r: r.token):
                self.judge_resident(resident, self.judged_day)
        self.maybe_active = [a for a in self.maybe_active if a.state != "inactive"]
        for alert in list(self.maybe_active):
            resident = self.residents[alert.resident]
            if resident.state != "active" or not self.owns(resident):
                self.day_is_over(alert)

    def judge_resident(self, resident, day):
        person, facts = self.rules.person(resident, day), Facts(self, resident, day)
        for condition, rules in self.rules.daily.items():
            level = max((rule.level for rule in rules if rule.level >= self.rules.least and
                         rule.is_for(person, self.rules.altitude) and getattr(facts, rule.type)(rule)), default=0)
            self.stand(resident, condition, level)

    def stand(self, resident, condition, level):
        mine = [a for a in self.of_days.get((resident.token, condition), ()) if a.open()]
        if not level:
            for alert in mine:
                self.day_is_over(alert)
            return
        alert = max(mine, key=lambda a: (a.state == "active", a.number), default=None)
        if not alert:
            self.raise_by_day(resident, condition, level)
        elif alert.state != "active" or alert.level != level:
            self.change_by_day(alert, resident, level)

    def day_is_over(self, alert):
        if alert.state == "active":
            self.over(alert, None, set())

    def raise_by_day(self, resident, condition, level):
        alert = self.new_alert(condition, resident.token, None)
        self.of_days.setdefault((resident.token, condition), []).append(alert)
        self.maybe_active.append(alert)
        alert.level = alert.severity = level
        self.page_by_contract(alert, resident)
        self.revise(alert, "start")

    def page_by_contract(self, alert, resident):
        inside = self.in_contract(resident, self.judged_day)
        alert.labels.discard("out_of_contract")
        if not inside:
            alert.labels.add("out_of_contract")
        self.page(alert, 0, ("doctor", "") if inside and resident.doctor else ("staff", self.site_contact))

    def change_by_day(self, alert, resident, level):
        if level > alert.severity:
            alert.severity, alert.acknowledged = level, False
            alert.active_again()
            alert.to_level(level)
            self.page_by_contract(alert, resident)
            self.revise(alert, "escalate")
        elif level == CRITICAL and alert.acknowledged:
            alert.state, alert.level = "inactive", 0
            alert.labels.discard("downgraded")
            alert.labels.add("superseded")
            self.revise(alert, "end")
            self.raise_by_day(resident, alert.condition, level)
        else:
            lower = level < alert.level
            alert.to_level(level)
            if lower:
                alert.labels.add("downgraded")
            self.unlatch(alert)
            self.revise(alert, "deescalate" if lower else "continue")

    def merge_days(self, token, into):
        for whose, condition in [name for name in self.of_days if name[0] == token]:
            both = self.of_days.pop((whose, condition)) + self.of_days.get((into, condition), [])
            self.of_days[into, condition] = sorted(both, key=lambda a: a.number)
