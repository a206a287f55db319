# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an alert: raised, joined, lowered, left, over. ALERTS.md sections 4 and 6."""
from collections import namedtuple

from alert_judge import when_of
from followup_store import CLOCK_WAS_SET

CONFIRMED_S = 60
CRITICAL, WARNING = 3, 2
# of the end of an alert; gone when it is active again
LAST_WORDS = {"resolved_by_repeat", "superseded", "corrected", "withdrawn", "wrong_person", "control_solution",
              "voided", "artefact"}

Entry = namedtuple("Entry", "reading level when labels")
Revision = namedtuple("Revision", "at phase state severity level to role step deliver labels ack")


class Alert:
    def __init__(self, number, condition, resident, key):
        self.number, self.condition, self.resident, self.key = number, condition, resident, key
        self.history = []
        self.anew()

    def anew(self):
        self.entries = []  # in order of joining
        self.shown = None
        self.state, self.level, self.severity = "active", 0, 0
        self.acknowledged = False
        self.labels = set()
        self.first = None  # the critical entry that a later one confirms
        self.ended_by = None
        self.last_day = None  # of raising, escalation, reopening
        self.route = self.to = self.role = self.deliver = None
        self.step = 0
        self.not_before = self.due = None
        self.armed = 0  # when `due` was set

    def open(self):
        return self.state != "inactive"

    def has(self, reading):
        return any(entry.reading is reading for entry in self.entries)

    def choose_shown(self):
        if self.entries:
            self.shown = max(self.entries, key=lambda e: (e.level, e.when, e.reading.order))

    def unanswered_critical(self):
        return self.severity == CRITICAL and not self.acknowledged

    def active_again(self):
        self.state = "active"
        self.labels -= LAST_WORDS

    def to_level(self, level):
        if level > self.level:
            self.labels.discard("downgraded")
        self.level = level

    def to_severity(self, severity):
        self.severity = severity
        if severity < CRITICAL:
            self.labels -= {"confirmed", "unconfirmed"}


def speaks(reading):
    """For its resident: neither an old one nor an instrument of several does."""
    return reading.trusted() and reading.grade != "slot"


class Life:
    """Part of the model; self has rules, alerts, now."""

    def life_init(self):
        self.alerts = []
        self.raised = {}  # (condition, token it was raised for, key): alert
        self.latest_named = {}  # (key, condition): the latest of these
        self.by_condition = {}  # (token, condition): alerts in order of raising
        self.maybe_open = {}  # the same: those that may be open
        self.inside = {}  # order of a reading: alerts that it is in
        self.ended = {}  # order of a reading: alerts that it ended

    def today(self):
        """None: our clock is not set."""
        return self.zone.day(self.now) if self.now >= CLOCK_WAS_SET else None

    # --- what is told of it

    def revise(self, alert, phase, ack=None):
        labels = frozenset(alert.labels) | (alert.shown.labels if alert.shown else frozenset())
        alert.history.append(Revision(self.now, phase, alert.state, alert.severity, alert.level, alert.to, alert.role,
                                      alert.step, alert.deliver, labels, ack))

    def interval(self, alert):
        urgent = alert.deliver == "now" and alert.severity == CRITICAL and alert.state == "active"
        return self.rules.escalate["critical_s" if urgent else "warning_s"]

    def page(self, alert, age, route):
        """Somebody is told anew, from the first step on."""
        alert.route = route
        alert.labels.discard("nobody_answered")
        alert.deliver, alert.not_before = "now", self.now
        if alert.severity < WARNING:
            alert.deliver = "list"
        elif alert.severity == CRITICAL and age > self.rules.late["page_s"]:
            alert.deliver, alert.not_before = "morning", self.next_clock(self.morning)
        elif alert.severity == WARNING and self.is_quiet(self.now):
            alert.deliver, alert.not_before = "after_quiet", self.next_clock(self.quiet[1])
        self.tell_first(alert)
        alert.due = None if alert.deliver == "list" else alert.not_before + self.interval(alert)
        self.arm(alert)

    def is_due(self, alert):
        return alert.open() and alert.severity >= WARNING and not alert.acknowledged and alert.due is not None

    def escalate(self, alert):
        if alert.severity == WARNING and self.is_quiet(self.now):
            alert.due = self.next_clock(self.quiet[1])
            self.arm(alert)
            return
        if self.tell_next(alert):
            alert.due = self.now + self.interval(alert)
        else:
            alert.labels.add("nobody_answered")
            alert.due = self.now + self.rules.escalate["again_s"]
        self.arm(alert)
        self.revise(alert, "update")

    def latch(self, alert):
        alert.state = "latched"
        alert.due = max(alert.due, self.now + self.rules.escalate["warning_s"])
        self.arm(alert)

    def unlatch(self, alert):
        """Active; whoever was waited for is waited for no longer than of a new one."""
        was = alert.state
        alert.active_again()
        if was == "latched":
            alert.due = min(alert.due, max(self.now, alert.not_before) + self.interval(alert))
            self.arm(alert)

    # --- readings come and go

    def join(self, alert, reading, level, labels):
        if level and not alert.has(reading):
            alert.entries.append(Entry(reading, level, when_of(reading), labels))
            self.inside.setdefault(reading.order, []).append(alert)
            alert.choose_shown()

    def open_one(self, reading, condition, old_critical):
        """The open alert that a reading is about; nobody's reading: its own."""
        token = reading.resident
        if token is None:
            own = self.raised.get((condition, None, reading.key))
            return own if own and own.resident is None and own.open() else None
        found = self.maybe_open.get((token, condition))
        if not found:
            return None
        found[:] = [a for a in found if a.open()]
        return max(found, key=lambda a: (old_critical and a.unanswered_critical(), a.state == "active", a.number),
                   default=None)

    def opens(self, alert):
        if alert.resident is not None:
            mine = self.maybe_open.setdefault((alert.resident, alert.condition), [])
            if alert not in mine:
                mine.append(alert)

    def new_alert(self, name, token, key):
        alert = Alert(len(self.alerts), name, token, key)
        self.alerts.append(alert)
        if token is not None:
            self.by_condition.setdefault((token, name), []).append(alert)
        return alert

    def start(self, reading, verdict, news):
        """Raised; the same reading raises the same alert again."""
        token, name = reading.resident, verdict.condition.name
        alert = self.raised.get((name, token, reading.key))
        if not alert:
            alert = self.new_alert(name, token, reading.key)
            self.raised[name, token, reading.key] = alert
            self.latest_named[reading.key, name] = alert
        self.opens(alert)
        for entry in alert.entries:
            self.inside[entry.reading.order].remove(alert)
        alert.anew()
        alert.severity = verdict.level
        alert.last_day = self.today()
        self.join(alert, reading, verdict.level, news.labels)
        if verdict.level == CRITICAL:
            alert.labels.add("unconfirmed")
            alert.first = alert.shown
        if verdict.level == CRITICAL and news.overtaken:
            alert.state = "latched"
        else:
            alert.level = verdict.level
        self.page(alert, news.age, self.staff_route(reading) if news.to_staff else self.route(reading))
        self.revise(alert, "start")

    def apply(self, reading, verdict, news):
        """Section 4: what a reading does to the alert of a condition."""
        alert = self.open_one(reading, verdict.condition.name, news.overtaken and verdict.level == CRITICAL)
        if alert:
            self.apply_open(alert, reading, verdict, news)
        elif verdict.level and verdict.level >= self.rules.least and \
                not (news.overtaken and verdict.level < CRITICAL):
            if not (verdict.level < CRITICAL and self.reopen(reading, verdict, news)):
                self.start(reading, verdict, news)

    def reopen(self, reading, verdict, news):
        """The cool-down."""
        today = self.today()
        for alert in reversed(self.by_condition.get((reading.resident, verdict.condition.name), ())
                              if reading.resident is not None else ()):
            if alert.severity >= verdict.level and today and alert.last_day == today and alert.entries and \
                    "withdrawn" not in alert.labels:
                break
        else:
            return False
        alert.active_again()
        self.opens(alert)
        alert.level, alert.last_day = verdict.level, today
        self.join(alert, reading, verdict.level, news.labels)
        if alert.due is not None:
            alert.due = max(alert.due, self.now)
            self.arm(alert)
        self.revise(alert, "continue")
        return True

    def apply_open(self, alert, reading, verdict, news):
        level = verdict.level
        if news.overtaken:
            if level < CRITICAL:
                return
            if not alert.unanswered_critical():
                self.start(reading, verdict, news)
                return
            self.join(alert, reading, level, news.labels)
            self.page_by_day(alert, reading, news)
            self.revise(alert, "continue")
        elif level == CRITICAL and alert.severity == CRITICAL and alert.acknowledged:
            alert.state, alert.level = "inactive", 0
            alert.labels.discard("downgraded")
            alert.labels.add("superseded")
            self.revise(alert, "end")
            self.start(reading, verdict, news)
        elif level > alert.severity:
            self.rise_to(alert, reading, level, news)
        elif level == CRITICAL:
            self.critical_again(alert, reading, news)
        elif level and level == alert.severity:
            before = (alert.level, alert.state)
            self.join(alert, reading, level, news.labels)
            alert.to_level(max(level, verdict.holds(alert.level)))
            self.unlatch(alert)
            if (alert.level, alert.state) != before:
                self.revise(alert, "continue")
        else:
            self.lower(alert, reading, verdict, news)

    def rise_to(self, alert, reading, level, news):
        alert.severity = level
        alert.acknowledged = False
        alert.last_day = self.today()
        alert.active_again()
        alert.to_level(level)
        self.join(alert, reading, level, news.labels)
        if level == CRITICAL:
            alert.labels.add("unconfirmed")
            alert.first = alert.entries[-1]
        self.page(alert, news.age, self.route(reading))
        self.revise(alert, "escalate")

    def critical_again(self, alert, reading, news):
        if alert.first and not news.doubtful and when_of(reading) >= alert.first.when + CONFIRMED_S:
            alert.labels.discard("unconfirmed")
            alert.labels.add("confirmed")
        self.join(alert, reading, CRITICAL, news.labels)
        alert.first = alert.first or alert.entries[-1]
        alert.to_level(CRITICAL)
        self.unlatch(alert)
        self.page_by_day(alert, reading, news)
        self.revise(alert, "continue")

    def page_by_day(self, alert, reading, news):
        """What waited for the morning does so no longer."""
        if alert.deliver == "morning" and news.age <= self.rules.late["page_s"]:
            self.page(alert, news.age, self.route(reading))

    def lower(self, alert, reading, verdict, news):
        if news.doubtful or alert.unanswered_critical() and not speaks(reading):
            return
        self.join(alert, reading, verdict.level, news.labels)
        level = verdict.holds(alert.level)
        if level < self.rules.least:
            level = 0
        if not level:
            if alert.state == "active":
                resolved = alert.severity == CRITICAL and \
                    when_of(reading) <= alert.shown.when + self.rules.repeat["resolves_s"]
                self.over(alert, reading, {"resolved_by_repeat"} if resolved else set())
            return
        if level == alert.level and alert.state == "active":
            return
        phase = "deescalate" if level < alert.level else "continue"
        alert.to_level(level)
        if phase == "deescalate":
            alert.labels.add("downgraded")
        self.unlatch(alert)
        self.revise(alert, phase)

    def over(self, alert, ended_by, labels):
        alert.level = 0
        alert.labels.discard("downgraded")
        alert.labels |= labels
        alert.ended_by = ended_by
        if alert.unanswered_critical():
            if alert.state == "active":
                self.latch(alert)
            if ended_by:
                self.ended.setdefault(ended_by.order, []).append(alert)
        else:
            alert.state = "inactive"
        self.revise(alert, "end")

    # --- a reading leaves

    def withdraw_alert(self, alert, reason, ack):
        alert.state, alert.level = "inactive", 0
        alert.labels.discard("downgraded")
        alert.labels |= {"withdrawn", reason}
        self.revise(alert, "end", ack)

    def leave_alert(self, alert, reading, reason, ack=None):
        """A reading of an alert leaves it; ack: of the revision, when a person did it by acknowledging."""
        alert.entries = [e for e in alert.entries if e.reading is not reading]
        self.inside[reading.order].remove(alert)
        alert.choose_shown()
        if alert.first and alert.first.reading is reading:
            alert.first = next((e for e in alert.entries if e.level == CRITICAL), None)
        if not alert.open() and not ack:
            return
        if not alert.entries:
            if reason == "corrected":
                self.over(alert, None, {"corrected"})
            else:
                self.withdraw_alert(alert, reason, ack)
            return
        if not alert.open():
            self.revise(alert, "update", ack)
            return
        before = alert.severity
        if not alert.acknowledged:
            alert.to_severity(max(e.level for e in alert.entries))
            alert.level = min(alert.level, alert.severity)
        if alert.level < self.rules.least and not (alert.state == "latched" and alert.severity == CRITICAL):
            alert.state, alert.level = "inactive", 0
            alert.labels.discard("downgraded")
            self.revise(alert, "end", ack)
        else:
            self.revise(alert, "deescalate" if alert.severity < before else "update", ack)

    def back(self, alert):
        """What ended a latched alert does not count: active again."""
        alert.ended_by = None
        alert.to_level(alert.severity)
        self.unlatch(alert)
        self.revise(alert, "continue")

    def touched(self, reading):
        """Alerts that a reading is in or has ended, in order of raising."""
        found = self.inside.get(reading.order, []) + self.ended.get(reading.order, [])
        return sorted(set(found), key=lambda a: a.number)

    def leave_all(self, reading, reason, among):
        """The reading is gone from these; what it ended goes on."""
        for alert in among:
            if alert.has(reading):
                self.leave_alert(alert, reading, reason)
            self.goes_on(alert, reading)

    def goes_on(self, alert, reading):
        if alert.ended_by is reading and alert.state == "latched":
            self.back(alert)
