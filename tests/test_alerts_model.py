#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of alerts keeps what ALERTS.md promises above its single rules, and small villages have the same
histories in the daemon's rooms. Prints TAP. Arguments, if any, are seeds. `make test-alerts` runs big ones.
"""
import json
import os
import random
import sys
import tempfile

from harness import ROOT, SIM, Failure, Tap

sys.path.insert(0, SIM)
import followup_model
from alert_judge import NOTHING, Judged
from alert_life import CRITICAL
from alert_model import AlertModel
from alert_village import Village
from alerts_test import SCENARIO, Run

SEEDS = (1, 2, 3)
RESIDENTS, READINGS, DAYS = 40, 3000, 30
FINAL = ("withdrawn", "superseded")


class Watched(AlertModel):
    """Looks whether a critical reading reaches somebody: the rule above the others (P5)."""

    def __init__(self, config):
        super().__init__(config)
        self.lost, self.critical = [], 0

    def judge(self, reading, now):
        super().judge(reading, now)
        if reading.void or "glu.control" in reading.values:
            return
        token = reading.resident
        judged = Judged(reading, self.histories.get(token, NOTHING))
        for condition in self.rules.conditions_for(self.residents.get(token), self.day_of(reading),
                                                   tuple(reading.values)):
            if judged.verdict(condition).level == CRITICAL:
                self.critical += 1
                if not self.told_or_waits(reading, condition.name):
                    self.lost.append((reading.key, condition.name))

    def told_or_waits(self, reading, name):
        told = any(a.condition == name and a.has(reading) for a in self.alerts)
        return told or any(w.verdict.condition.name == name for w in self.waits_of(reading))

    def wait_is_over(self, wait):
        super().wait_is_over(wait)
        if not any(a.condition == wait.verdict.condition.name and a.has(wait.reading) for a in self.alerts):
            self.lost.append((wait.reading.key, "after a wait"))


def village_lines(seed):
    village = Village(random.Random(seed), RESIDENTS, READINGS, DAYS)
    return [json.dumps(line, ensure_ascii=False) for line, _ in village.lines()]


def answers(lines, make=AlertModel):
    return [answer for _, _, answer in followup_model.run(lines, make)]


def watched(lines):
    made = []

    def make(config):
        made.append(Watched(config))
        return made[0]

    answers(lines, make)
    return made[0]


def silent_end(alert):
    """The first revision that leaves a critical alert without anybody; None: it is never so."""
    acknowledged = False
    for entry in alert["history"]:
        if entry["phase"] in ("start", "escalate"):
            acknowledged = False
        if entry["ack"] in ("reached", "advised", "referred"):
            acknowledged = True
        if entry["state"] == "inactive" and entry["severity"] == "critical" and not acknowledged and \
                not any(word in entry["labels"] for word in FINAL):
            return entry
    return None


def critical_is_told(tap, seed, lines):
    with tap.case(f"seed {seed}: every critical reading is in an alert or waits for a repeat"):
        model = watched(lines)
        if model.lost or not model.critical:
            raise Failure(f"{model.critical} critical ones, lost: {model.lost[:10]}")


def nothing_ends_unheard(tap, seed, found):
    with tap.case(f"seed {seed}: no critical alert ends without a person"):
        wrong = [(a["resident"], a["reading"], a["condition"], e["at"]) for a in found for e in [silent_end(a)] if e]
        if wrong or not any(e["severity"] == "critical" for a in found for e in a["history"]):
            raise Failure(str(wrong[:5]))


def promptness(tap, seed, found):
    """An open critical alert that nobody acknowledged is told to somebody again and again."""
    with tap.case(f"seed {seed}: nobody waits longer than a round of telling"):
        longest = 14400 + 1
        for alert in found:
            for a, b in zip(alert["history"], alert["history"][1:]):
                unheard = a["state"] != "inactive" and a["severity"] == "critical" and a["deliver"] == "now" and \
                    not acknowledged_by(alert, a)
                if unheard and seconds(b["at"]) - seconds(a["at"]) > longest:
                    raise Failure(f"{alert['reading']} {alert['condition']}: nothing from {a['at']} to {b['at']}")


def acknowledged_by(alert, entry):
    state = False
    for one in alert["history"]:
        if one["phase"] in ("start", "escalate"):
            state = False
        if one["ack"] in ("reached", "advised", "referred"):
            state = True
        if one is entry:
            return state
    return state


def seconds(text, zone=followup_model.tables.Zone("Asia/Shanghai")):
    return zone.seconds(text)


def restarts_change_nothing(tap, seed, lines):
    """Other restarts, other ticks, other times at which somebody looks."""
    with tap.case(f"seed {seed}: restarts and ticks change nothing"):
        dice, told = random.Random(seed), [answers(lines)[-1]]
        for share in (0, 0.1):
            other = []
            for text in lines:
                line = json.loads(text)
                if "tick" in line or "restart" in line:
                    continue
                if "at" in line and dice.random() < share:
                    other.append(json.dumps({"at": line["at"], **dice.choice((
                        {"tick": True}, {"restart": "process"}, {"restart": "boot"}))}))
                other.append(text)
            told.append(answers(other)[-1])
        if told[0] != told[1] or told[0] != told[2]:
            raise Failure("another history")


def watcher_sees(tap, lines):
    """A checker that cannot fail shows nothing."""
    class Deaf(Watched):
        def start(self, reading, verdict, news):
            if reading.order % 5 or verdict.level < CRITICAL:
                super().start(reading, verdict, news)

    with tap.case("a critical reading that nobody is told of is seen"):
        made = []
        answers([text for text in lines if '"alert"' not in text], lambda config: made.append(Deaf(config)) or made[0])
        if not made[0].lost:
            raise Failure("it was not")


def main():
    tap = Tap()
    for seed in [int(word) for word in sys.argv[1:]] or SEEDS:
        lines = village_lines(seed)
        found = answers(lines)[-1]["answer"]["alerts"]
        critical_is_told(tap, seed, lines)
        nothing_ends_unheard(tap, seed, found)
        promptness(tap, seed, found)
        restarts_change_nothing(tap, seed, lines)
        if seed == 1:
            watcher_sees(tap, lines)
        title = f"seed {seed}: both sides tell the same"
        if not os.path.exists(SCENARIO):
            tap.skip(title, f"{os.path.relpath(SCENARIO, ROOT)} is not built")
            continue
        with tap.case(title), tempfile.TemporaryDirectory() as folder:
            trouble = Run(seed, RESIDENTS, READINGS, DAYS, folder).trouble()
            if trouble:
                raise Failure(trouble)
    tap.done()


if __name__ == "__main__":
    main()
