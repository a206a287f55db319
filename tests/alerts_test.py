#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-alerts`: villages (tests/sim/alert_people.py) through the daemon's rooms (build/tests/scenario) and
through the model (tests/sim/alert_model.py) at the same time; the histories of all alerts must be the same.

    alerts_test.py [SEED ..] [--residents 250] [--readings 50000] [--days 60] [--jobs 2] [--model-only] [--keep FOLDER]
"""
import argparse
import collections
import itertools
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

from harness import BUILD, ROOT, SIM

sys.path.insert(0, SIM)
from alert_rules import WORDS
from alert_village import Village

SCENARIO = BUILD + "/tests/scenario"
LINES_SHOWN = 16
FIELDS = ("at", "phase", "state", "severity", "level", "to", "role", "step", "deliver", "labels", "ack")


class Daemon:
    """The daemon's rooms, told one line after the other."""

    def __init__(self, folder):
        self.out, self.err = folder + "/daemon.jsonl", folder + "/daemon.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen([SCENARIO], stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=ROOT)
        self.seconds, self.trouble = 0.0, ""

    def tell(self, text):
        if not self.trouble:
            try:
                self.process.stdin.write(text.encode())
            except BrokenPipeError:
                self.trouble = "daemon: it ended early"

    def end(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = usage.ru_utime + usage.ru_stime
        if self.process.returncode or self.trouble:
            with open(self.err, encoding="utf-8", errors="replace") as f:
                self.trouble = f"daemon: exit status {self.process.returncode}: {f.read().strip()[-2000:]}"

    def answers(self):
        with open(self.out, encoding="utf-8") as f:
            for text in f:
                yield json.loads(text)


class Run:
    """A village, and what both sides said."""

    def __init__(self, seed, residents, readings, days, folder, model_only=False):
        self.seed, self.scenario, self.answers = seed, folder + "/scenario.jsonl", folder + "/model.jsonl"
        self.village = Village(random.Random(seed), residents, readings, days, folder)
        self.daemon = None if model_only else Daemon(folder)
        self.asked = 0
        began = time.monotonic()
        with open(self.scenario, "w", encoding="utf-8") as out, open(self.answers, "w", encoding="utf-8") as answers:
            for number, (line, answer) in enumerate(self.village.lines(), 1):
                text = json.dumps(line, ensure_ascii=False) + "\n"
                out.write(text)
                if self.daemon:
                    self.daemon.tell(text)
                if answer:
                    answers.write(json.dumps([number, line, answer], ensure_ascii=False) + "\n")
                    self.asked += 1
        if self.daemon:
            self.daemon.end()
        self.seconds = time.monotonic() - began
        self.model = self.village.model

    def totals(self):
        return collections.Counter(readings=len(self.model.readings), alerts=len(self.model.alerts),
                                   revisions=sum(len(a.history) for a in self.model.alerts))

    def report(self):
        counts = collections.Counter()
        for alert in self.model.alerts:
            counts[alert.condition, WORDS[max(r.severity for r in alert.history)]] += 1
        totals, told = self.totals(), self.model.counts
        readings = totals["readings"]
        speeds = f"model {readings / max(self.village.model_seconds, 1e-9):,.0f} readings/s"
        if self.daemon and self.daemon.seconds:
            speeds += f", daemon {readings / self.daemon.seconds:,.0f}"
        rules = self.village.config.get("rules") or "config/alerts.yaml"
        rules = "a rule file by dice" if rules.startswith("..") else rules
        return f"seed {self.seed}: {readings} readings, {totals['alerts']} alerts, {totals['revisions']} revisions, " \
            f"{told['waits']} waits ({told['repeats']} settled), {self.asked} questions, {rules} " \
            f"({len(self.model.rules.rules)} rules), {self.seconds:.0f} s; {speeds}\n    " + \
            ", ".join(f"{name} {level} {n}" for (name, level), n in sorted(counts.items()))

    def trouble(self):
        """The smallest text that helps, empty when both sides say the same."""
        if not self.daemon:
            return ""
        with open(self.answers, encoding="utf-8") as f:
            for theirs, text in itertools.zip_longest(self.daemon.answers(), f):
                number, line, ours = json.loads(text) if text else (0, {}, None)
                if theirs is None and self.daemon.trouble:
                    break
                if theirs != ours and in_order(theirs) != in_order(ours):
                    return f"{self.daemon.trouble}\nline {number}, {line.get('at')}: " + \
                        self.explain(theirs, ours, number)
        return self.daemon.trouble

    def explain(self, theirs, ours, number):
        left, right = (by_name((answer or {}).get("answer", {}).get("alerts", ())) for answer in (theirs, ours))
        found = [(moment, name) for name in {**left, **right}
                 for moment in [first_difference(left.get(name), right.get(name))] if moment]
        if not found:
            return "the same alerts, not in order of raising"
        moment, name = min(found, key=lambda f: (f[0], str(f[1])))
        text = [f"{len(found)} alerts differ; the first of {name[0]}, {name[1] or 'nobody'}, raised by {name[2]}"]
        for side, alert in (("daemon", left.get(name)), ("model", right.get(name))):
            text.append(f"  {side}: " + (told_of(alert, moment) if alert else "no such alert"))
        keys = {key for alert in (left.get(name), right.get(name)) if alert
                for key in alert["readings"] + [alert["reading"]] if key}
        return "\n".join(text + self.lines_about(name, keys, moment, number))

    def lines_about(self, name, keys, moment, number):
        """The last lines about the alert's resident until the difference."""
        token = name[1]
        kinds = {kind for rule in self.model.rules.rules if rule.condition == name[0] for kind in rule.kinds}
        keys |= {r.key for r in self.model.readings.values() if token and r.resident == token and kinds & set(r.values)}
        found = collections.deque(maxlen=LINES_SHOWN)
        marks = [f'"{token}"', f'!{name[2]}:'] if token else [f'!{name[2]}:']
        with open(self.scenario, encoding="utf-8") as f:
            for n, text in enumerate(f, 1):
                if n > number or n > 1 and json.loads(text)["at"] > moment:
                    break
                if any(mark in text for mark in marks) or mentions(text, keys):
                    found.append(f"  {n}: {text.strip()[:400]}")
        return list(found)


def mentions(text, keys):
    """A unit with one of these readings, or a command about one."""
    line = json.loads(text)
    if "unit" in line:
        return any(record["key"] in keys for record in line["unit"]["readings"])
    return (line.get("args") or {}).get("reading", "@")[1:] in keys


def in_order(answer):
    """Alerts that were raised at the same moment have no order."""
    alerts = answer["answer"].get("alerts") if isinstance((answer or {}).get("answer"), dict) else None
    if not alerts or any(a["history"][0]["at"] > b["history"][0]["at"] for a, b in zip(alerts, alerts[1:])):
        return answer
    return sorted(alerts, key=lambda a: (a["history"][0]["at"], a["condition"], a["resident"] or "", a["reading"] or ""))


def by_name(alerts):
    return {(a["condition"], a["resident"], a["reading"] or a["history"][0]["at"]): a for a in alerts}


def first_difference(left, right):
    """The local time of the first revision that differs; empty when nothing does."""
    if left == right:
        return ""
    if not left or not right:
        return (left or right)["history"][0]["at"]
    for a, b in zip(left["history"], right["history"]):
        if a != b:
            return min(a["at"], b["at"])
    longer = max(left["history"], right["history"], key=len)
    shorter = min(left["history"], right["history"], key=len)
    return longer[len(shorter)]["at"] if len(longer) > len(shorter) else longer[-1]["at"] + "+"


def told_of(alert, moment):
    rows = [" ".join(str(entry.get(f)) for f in FIELDS) for entry in alert["history"]]
    at = next((n for n, e in enumerate(alert["history"]) if e["at"] >= moment.rstrip("+")), len(rows))
    rows = [f"\n      {n + 1}: {row}" for n, row in enumerate(rows)][max(0, at - 3):at + 3]
    return f"shown {alert['shown']}, readings {alert['readings'][-8:]}" + "".join(rows)


def one(job):
    """(what is said of a village, totals, whether there is a difference), in a process of its own."""
    seed, chosen = job
    with tempfile.TemporaryDirectory() as folder:
        if chosen.keep:
            folder = f"{chosen.keep}/{seed}"
            os.makedirs(folder, exist_ok=True)
        run = Run(seed, chosen.residents, chosen.readings, chosen.days, folder, chosen.model_only)
        trouble = run.trouble()
        return f"{run.report()}\n{trouble or '    no difference'}", run.totals(), bool(trouble)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("seeds", type=int, nargs="*", default=range(1, 21))
    options.add_argument("--residents", type=int, default=250)
    options.add_argument("--readings", type=int, default=50000)
    options.add_argument("--days", type=int, default=60)
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--model-only", action="store_true", help="without the daemon's rooms")
    options.add_argument("--keep", help="a folder for the scenarios and answers")
    chosen = options.parse_args()
    if not chosen.model_only and not os.path.exists(SCENARIO):
        sys.exit(f"{os.path.relpath(SCENARIO, ROOT)} is not built: make {os.path.relpath(SCENARIO, ROOT)}")
    began, totals, differ = time.monotonic(), collections.Counter(), []
    with multiprocessing.Pool(chosen.jobs, maxtasksperchild=1) as pool:
        for seed, (text, counts, wrong) in zip(chosen.seeds, pool.imap(one, [(s, chosen) for s in chosen.seeds], 1)):
            print(text, flush=True)
            totals += counts
            differ += [seed] if wrong else []
    print(f"{len(chosen.seeds)} villages: {totals['readings']} readings, {totals['alerts']} alerts, "
          f"{totals['revisions']} revisions, {time.monotonic() - began:.0f} s, "
          f"at most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB a process; " +
          ("not compared" if chosen.model_only else
           f"{len(differ)} differ: seeds {' '.join(map(str, differ))}" if differ else "no difference"))
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
