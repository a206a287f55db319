#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the alerts of ALERTS.md, made from the text alone, on top of the model of the follow-up rules.

    alert_model.py [SCENARIO]      JSON lines, from stdin without a file

Writes one line for each question, as followup_model.py does. The technical family is not in it.
"""
import heapq
import json
import os
import sys
from collections import namedtuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_rules
import followup_model
from alert_days import Days
from alert_judge import NOTHING, History, Judged, overtaken, when_of
from alert_life import CRITICAL, Life, speaks
from alert_limits import Limits
from alert_rota import Rota
from followup_commands import Refused
from followup_model import Surprise
from followup_store import CLOCK_WAS_SET, GRADES

OUTCOMES = ("reached", "advised", "referred", "not_reached", "artefact")
WAIT, ESCALATION = 0, 1

# What of a reading matters to its alerts beside the verdict.
News = namedtuple("News", "age overtaken doubtful to_staff labels")


def is_news(revision):
    """Who has seen what was before does not speak of this."""
    return revision.phase in ("escalate", "start") or revision.phase == "continue" and revision.level == CRITICAL


class Wait:
    """A doubtful critical reading asks for a clean repeat."""

    def __init__(self, number, reading, verdict, until, device, token, age):
        self.number, self.reading, self.verdict, self.until = number, reading, verdict, until
        self.device, self.token, self.age, self.over = device, token, age, False
        self.armed = 0  # when it was asked for


class AlertModel(Rota, Life, Days, Limits, followup_model.Model):
    def __init__(self, config):
        super().__init__(config)
        altitude = (config.get("alerting") or {}).get("altitude_m") or 0
        self.rules = alert_rules.Rules(config.get("rules"), altitude)
        self.rota_init(config)
        self.life_init()
        self.limits_init()
        self.days_init()
        self.histories = {}  # token: History
        self.filed = {}  # order of a reading: (token, its kinds in that history)
        self.moves = {}  # order of a reading: (reading, who had it before the line)
        self.seen = set()  # orders of readings that were judged
        self.judging = config.get("alerts", True)
        self.merging = False
        self.due = []
        self.waits, self.asked = {}, 0  # (device, token): waits
        self.counts = {"judged": 0, "waits": 0, "repeats": 0}

    def step(self, line):
        self.pass_until(self.zone.seconds(line["at"]))
        self.door = line.get("door")
        if "tick" in line or "restart" in line:
            self.now = self.zone.seconds(line["at"])
            if line.get("restart") == "boot":
                self.reboot()
            return None
        return super().step(line)

    # --- time

    def pass_until(self, moment):
        """Whatever is due until then happens at its own instant."""
        while True:
            day_at = self.next_day_at()
            if day_at <= moment and not (self.due and self.due[0][0] <= day_at):
                self.now = day_at
                self.judge_day()
                continue
            if not self.due or self.due[0][0] > moment:
                break
            at, what, _, about = heapq.heappop(self.due)
            if what == WAIT and not about.over:
                self.now = at
                self.wait_is_over(about)
            elif what == ESCALATION and about.due == at and self.is_due(about):
                self.now = at
                self.escalate(about)

    def reboot(self):
        """An interval that our clock cannot tell across it is over."""
        for alert in self.alerts:
            if alert.due is not None and alert.due > self.now and min(alert.armed, self.now) < CLOCK_WAS_SET:
                alert.due = self.now
                self.arm(alert)
        for wait in [w for waits in self.waits.values() for w in waits]:
            if min(wait.armed, self.now) < CLOCK_WAS_SET:
                heapq.heappush(self.due, (self.now, WAIT, wait.number, wait))
        self.pass_until(self.now)

    def arm(self, alert):
        alert.armed = self.now
        if alert.due is not None:
            heapq.heappush(self.due, (alert.due, ESCALATION, alert.number, alert))

    # --- readings are filed

    def day_of(self, reading):
        return self.zone.day(when_of(reading))

    def file(self, reading, token, evidence, grade):
        before = reading.resident
        if not super().file(reading, token, evidence, grade):
            return False
        if before != token:
            self.remember(reading)
            if reading.order in self.seen and not self.merging:
                self.moves.setdefault(reading.order, (reading, before))
        return True

    def remember(self, reading):
        """Its values stand in its resident's history, as they are now."""
        token, kinds = self.filed.pop(reading.order, (None, ()))
        if token is not None:
            self.histories[token].remove(reading, kinds)
        if reading.resident is not None and reading.trusted() and not reading.void:
            self.histories.setdefault(reading.resident, History()).add(reading)
            self.filed[reading.order] = (reading.resident, tuple(reading.values))

    def arrive_one(self, device, record, compared):
        super().arrive_one(device, record, compared)
        self.judge_first(self.readings[record["key"]])

    def do_enter(self, args, by):
        super().do_enter(args, by)
        reading = self.readings[f"@{self.entered}"]
        self.remember(reading)  # a mark may have changed its kind
        self.judge_first(reading)

    def judge_first(self, reading):
        self.seen.add(reading.order)
        self.judge(reading, reading.arrived)

    def command(self, name, args, by):
        result = super().command(name, args, by)
        self.settle_moves()
        return result

    def settle_moves(self):
        moves, self.moves = self.moves, {}
        for _, (reading, before) in sorted(moves.items()):
            if reading.resident != before:
                self.moved(reading, before)

    # --- one reading

    def judge(self, reading, now):
        """Section 3. now: what its age is counted to."""
        if reading.void or "glu.control" in reading.values or not self.judging:
            return
        token = reading.resident
        conditions = self.rules.conditions_for(self.residents.get(token), self.day_of(reading), tuple(reading.values))
        doubtful = bool(reading.flags & self.rules.doubtful)
        if not doubtful and token is not None and speaks(reading):
            self.settle_waits(reading)
        self.counts["judged"] += 1
        conditions, instead = self.with_limits(reading, conditions)
        if not conditions:
            return
        judged = Judged(reading, self.histories.get(token, NOTHING), instead)
        age = now - reading.taken if reading.trusted() else 0
        in_it = {a.condition for a in self.inside.get(reading.order, ()) if a.resident == token}
        for condition in conditions:
            verdict = judged.verdict(condition)
            if condition.name in in_it or verdict.level < CRITICAL and (
                    doubtful or not verdict.level and token and (token, condition.name) not in self.maybe_open):
                continue
            if doubtful and all(kind in self.rules.repeat_kinds for kind in verdict.kinds):
                self.ask_repeat(reading, verdict, age, now)
            else:
                self.apply(reading, verdict, self.news(reading, verdict, age, doubtful))

    def news(self, reading, verdict, age, doubtful, waited=False):
        old = overtaken(reading, verdict.condition, self.histories.get(reading.resident, NOTHING))
        labels = set(reading.flags)
        labels.update({"unknown": ["clock_unknown"], "arrival": ["time_of_arrival"],
                       "device": ["clock_uncompared"]}.get(reading.trust, ()))
        for _, sign in reading.values.values():
            if sign:
                labels.add("above_meter_range" if sign[0] == ">" else "below_meter_range")
        if age > self.rules.late["label_s"]:
            labels.add("late")
        if old and verdict.level == CRITICAL:
            labels.add("overtaken")
        if waited:
            labels.add("no_clean_repeat")
        resident = self.residents.get(reading.resident)
        if not resident:
            labels.add("unassigned")
        elif not self.in_contract(resident, self.day_of(reading)):
            labels.add("out_of_contract")
        return News(age, old, doubtful, waited, frozenset(labels))

    # --- waits (section 5)

    def ask_repeat(self, reading, verdict, age, now):
        until = reading.arrived + self.rules.repeat["within_s"]
        wait = Wait(self.asked, reading, verdict, until, reading.device.id, reading.resident, age)
        if until <= self.now:
            wait.age = now - reading.taken if reading.trusted() else 0
            self.wait_is_over(wait)
            return
        wait.armed = self.now
        self.asked += 1
        self.counts["waits"] += 1
        self.waits.setdefault((wait.device, wait.token), []).append(wait)
        wait.age = reading.arrived - reading.taken if reading.trusted() else 0
        heapq.heappush(self.due, (until, WAIT, wait.number, wait))

    def drop_wait(self, wait):
        wait.over = True
        mine = self.waits.get((wait.device, wait.token), [])
        if wait in mine:
            mine.remove(wait)

    def waits_of(self, reading):
        return [w for w in self.waits.get((reading.device and reading.device.id, reading.resident), ())
                if w.reading is reading]

    def settle_waits(self, reading):
        if not self.waits or not reading.device:
            return
        for wait in list(self.waits.get((reading.device.id, reading.resident), ())):
            if all(reading.values.get(kind, (None,))[0] is not None for kind in wait.verdict.kinds) and \
                    when_of(reading) >= when_of(wait.reading):
                self.counts["repeats"] += 1
                self.drop_wait(wait)

    def wait_is_over(self, wait):
        """Judged as if it were not doubtful; it confirms nothing."""
        self.drop_wait(wait)
        self.apply(wait.reading, wait.verdict, self.news(wait.reading, wait.verdict, wait.age, True, True))

    # --- readings change

    def moved(self, reading, before):
        """It is another resident's now."""
        for wait in [w for waits in self.waits.values() for w in waits if w.reading is reading]:
            self.drop_wait(wait)
        among = [a for a in self.touched(reading) if a.resident != reading.resident]
        if GRADES[reading.grade] >= GRADES["station"]:
            if reading.grade != "person":  # of those before the last one only a person knows
                among = [a for a in among if a.resident == before or not a.has(reading)]
            self.leave_all(reading, "wrong_person", among)
        else:
            for alert in among:
                self.becomes_another(alert, reading, before)
        self.judge(reading, self.now)

    def becomes_another(self, alert, reading, before):
        """By weak evidence: it stays in the alert."""
        if not alert.open():
            return
        if alert.has(reading) and alert.resident == before:
            alert.labels.add("identity_changed")
        if alert.has(reading) and alert.resident == before:
            self.revise(alert, "update")
        self.goes_on(alert, reading)

    def do_void(self, args, by):
        super().do_void(args, by)
        self.voided(self.reading(args["reading"]), "voided")

    def voided(self, reading, reason, acknowledged=None):
        self.remember(reading)
        for wait in self.waits_of(reading):
            self.drop_wait(wait)
        among = self.touched(reading)
        if acknowledged in among:
            among.remove(acknowledged)
            self.leave_alert(acknowledged, reading, reason, ack=reason)
            self.goes_on(acknowledged, reading)
        self.leave_all(reading, reason, among)

    def do_annotate(self, args, by):
        reading = self.reading(args["reading"])
        kinds = set(reading.values)
        super().do_annotate(args, by)
        if set(reading.values) == kinds:
            return
        self.remember(reading)
        for wait in self.waits_of(reading):
            self.drop_wait(wait)
        for alert in [a for a in self.touched(reading) if a.has(reading)]:
            self.leave_alert(alert, reading, "corrected")
        self.judge(reading, self.now)

    def do_merge(self, args, by):
        token = args["resident"]
        self.merging = True
        try:
            super().do_merge(args, by)
        finally:
            self.merging = False
        into = args["into"]
        self.merge_limits(token, into)
        self.merge_days(token, into)
        for (device, whose), waits in list(self.waits.items()):
            if whose == token:
                del self.waits[device, whose]
                self.waits.setdefault((device, into), []).extend(waits)
                for wait in waits:
                    wait.token = into
        mine = [a for a in self.alerts if a.resident == token]
        for alert in mine:
            alert.resident = into
            both = self.by_condition.setdefault((into, alert.condition), [])
            both.append(alert)
            both.sort(key=lambda a: a.number)
            self.by_condition.pop((token, alert.condition), None)
            self.maybe_open.pop((token, alert.condition), None)
            if alert.open():
                self.opens(alert)
                self.revise(alert, "update")

    # --- acknowledging (section 7)

    def alert_named(self, name):
        key, _, condition = name[1:].rpartition(":")
        if self.of_days.get((key, condition)):
            return self.of_days[key, condition][-1]
        if (key, condition) not in self.latest_named:
            raise Refused("unknown_alert")
        return self.latest_named[key, condition]

    def do_ack(self, args, _by):
        alert, outcome = self.alert_named(args["alert"]), args["outcome"]
        if alert.acknowledged:
            if self.door == "platform":
                return
            raise Refused("already_acknowledged")
        seen = args.get("revision")
        if seen is not None and any(outcome == "artefact" or is_news(r) for r in alert.history[seen:]):
            raise Refused("outdated")
        if outcome not in OUTCOMES:
            raise Refused("bad_value")
        if outcome == "artefact":
            self.artefact(alert)
            return
        if outcome != "not_reached":
            alert.acknowledged = True
            if alert.state == "latched" or alert.resident is None and alert.open():
                alert.state, alert.level = "inactive", 0
                alert.labels.discard("downgraded")
        self.revise(alert, "update", outcome)

    def do_alert_read(self, args, _by):
        """Somebody looked at it: no revision."""
        self.alert_named(args["alert"])

    def artefact(self, alert):
        if not alert.entries:
            raise Refused("already_so")
        reading = alert.shown.reading
        reading.void = True
        reading.revision += 1
        self.voided(reading, "artefact", alert)

    # --- questions

    def answer_alerts(self, line):
        whose = line.get("resident")
        return {"alerts": [self.told(a) for a in self.alerts
                           if whose is None or a.resident == (None if whose == "-" else whose)]}

    def told(self, alert):
        words = alert_rules.WORDS
        return {"condition": alert.condition, "resident": alert.resident, "reading": alert.key,
                "shown": alert.shown and alert.shown.reading.key, "readings": [e.reading.key for e in alert.entries],
                "history": [{"at": self.zone.text(r.at), "phase": r.phase, "state": r.state,
                             "severity": words[r.severity], "level": words[r.level], "to": r.to, "role": r.role,
                             "step": r.step, "deliver": r.deliver, "labels": sorted(r.labels), "ack": r.ack}
                            for r in alert.history]}


def main():
    source = open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin
    try:
        with source:
            for _, _, answer in followup_model.run(source, AlertModel):
                print(json.dumps(answer, ensure_ascii=False))
    except Surprise as surprise:
        sys.exit(f"alert_model: {surprise}")


if __name__ == "__main__":
    main()
