# SPDX-License-Identifier: GPL-3.0-or-later
"""How many alerts a person has to handle: a simulated population of home hypertensives (people.py) through the rooms
of the daemon (build/tests/scenario), with a doctor at the other end, beside the published clinic: 30,184
measurements, 17,293 alerts, 13,647 of them closed by the platform itself, 3,646 not (S-JMIR).

The doctor    is told as the alert says (`deliver`), and answers a critical one after 2 to 40 minutes, one of the
              morning's list within an hour of it; a warning on the next working day from 9:00 to 11:00, unless it is
              over by itself then. One call in ten reaches nobody at first; every second artefact of somebody who
              is well is recognised, and voided.
Handled       is what a person acknowledged, each severity of it once; an alert that is still open in the end counts,
              too. Machine-closed: over before anybody had to look.
Seen          is a critical event (a crisis, people.py) of which each critical reading is in an alert that a person
              acknowledged then or later; one whose signal was in doubt may have been settled by a clean repeat.
              What is critical is said by the numbers of the national rule, not by config/alerts.yaml.
"""
import collections
import datetime
import heapq
import itertools
import json
import os
import random
import statistics
import subprocess

from harness import BUILD, ROOT

from people import BEGIN, DAY, DAYS, HIGH_DIA, HIGH_SYS, HOUR, Population

PUBLISHED = 3646 / 30184 * 100
DOUBTS = {"body_movement", "cuff_too_loose"}
WAIT_S = 600            # repeat.within_s
END = DAYS + 8          # days, the last warnings are handled


def text(t):
    return (BEGIN + datetime.timedelta(seconds=int(t))).isoformat()


class Rooms:
    """build/tests/scenario, one line after the other."""

    def __init__(self, first):
        # what it answers comes line by line
        self.process = subprocess.Popen(["stdbuf", "-oL", BUILD + "/tests/scenario"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.tell(first)

    def tell(self, line):
        try:
            self.process.stdin.write(json.dumps(line) + "\n")
        except BrokenPipeError:
            self.broken()

    def ask(self, t, **what):
        self.tell({"at": text(t), "ask": "alerts", **what})
        self.flush()
        line = self.process.stdout.readline()
        if not line:
            self.broken()
        return json.loads(line)["answer"]["alerts"]

    def flush(self):
        try:
            self.process.stdin.flush()
        except BrokenPipeError:
            self.broken()

    def broken(self):
        raise RuntimeError("the scenario ended: " + self.process.stderr.read())

    def close(self):
        self.process.stdin.close()
        errors = self.process.stderr.read()
        if self.process.wait():
            raise RuntimeError("the scenario ended: " + errors)


# The scenario

def first_line(people):
    cuffs = {p.cuff: {"id": p.cuff, **({"slots": True} if p.slot else {})} for p in people}
    return {"config": {"zone": "Asia/Shanghai", "gateway": "gw-0001", "stations": [],
                       "devices": list(cuffs.values()), "alerts": True, "site_contact": "S-0001",
                       "alerting": {"chain": ["S-0002"]}}}


def roster(people):
    rows = "token,birth_date,sex,programmes,populations,setting,doctor,chain,valid_from,valid_to\n"
    for p in people:
        last = (BEGIN + datetime.timedelta(p.lapse if p.lapse else 400)).date()
        rows += (f"{p.token},{p.birth},M,hypertension,hypertension,home,D-000{p.number % 3 + 1},D-0004,2025-12-01,"
                 f"{last}\n")
    return rows


def prepare(rooms, people):
    rooms.tell({"at": text(-DAY), "cmd": "import", "by": "N-0001", "args": {"csv": roster(people)}})
    for p in people:
        slot = {"slot": p.slot} if p.slot else {}
        rooms.tell({"at": text(-DAY + 60), "cmd": "bind", "by": "N-0001",
                    "args": {"device": p.cuff, "resident": p.token, "from": "2025-12-01", **slot}})


def unit_line(readings):
    """What a cuff delivers at once."""
    p, t = readings[0].person, readings[0].arrives
    items = []
    for r in readings:
        items.append({"key": r.key, "kind": "bp", "flags": r.flags, "taken": text(r.t) if p.clock else None,
                      "values": dict(zip(("bp.sbp", "bp.dbp", "bp.pulse"), map(str, r.values))),
                      **({} if p.clock else {"live": True}),
                      **({"slot": r.person.slot} if r.person.slot else {})})
    return {"at": text(t), "unit": {"device": p.cuff, "clock": text(t) if p.clock else None, "readings": items}}


# What an alert says of itself

def acknowledged(alert):
    """Of its present severity."""
    for entry in reversed(alert["history"]):
        if entry["ack"] in ("reached", "advised", "referred"):
            return True
        if entry["phase"] in ("start", "escalate"):
            return False
    return False


def waits(alert):
    last = alert["history"][-1]
    return last["state"] != "inactive" and last["severity"] in ("warning", "critical") and not acknowledged(alert)


def raised(alert):
    """How often it began or became worse: the present severity's number."""
    return sum(entry["phase"] in ("start", "escalate") for entry in alert["history"])


class Doctor:
    def __init__(self, rooms, dice, by_key):
        self.rooms, self.dice, self.by_key = rooms, dice, by_key
        self.agenda, self.order = [], itertools.count()
        self.planned, self.voided = set(), set()

    def plan(self, t, what, *args):
        heapq.heappush(self.agenda, (t, next(self.order), what, args))

    def until(self, t):
        while self.agenda and self.agenda[0][0] <= t:
            when, _, what, args = heapq.heappop(self.agenda)
            what(when, *args)

    def working_day(self, t):
        day = int(t // DAY) + 1
        while (BEGIN + datetime.timedelta(day)).weekday() > 4:
            day += 1
        return day * DAY + 9 * HOUR + self.dice.uniform(0, 2) * HOUR

    def look(self, t, token):
        """What is there for whoever is told of this resident."""
        for alert in self.rooms.ask(t, resident=token):
            name = (alert["reading"], alert["condition"], raised(alert))
            if not waits(alert) or name in self.planned:
                continue
            self.planned.add(name)
            last = alert["history"][-1]
            if last["severity"] == "warning":
                when = self.working_day(t)
            elif last["deliver"] == "morning":
                when = (t + DAY - 8 * HOUR) // DAY * DAY + (8 + self.dice.uniform(0, 1)) * HOUR
            else:
                when = t + self.dice.uniform(120, 2400)
            self.plan(when, self.answer, token, name)

    def answer(self, t, token, name):
        alerts = [a for a in self.rooms.ask(t, resident=token) if (a["reading"], a["condition"]) == name[:2]]
        if not alerts or not waits(alerts[-1]) or raised(alerts[-1]) != name[2]:
            return              # over by itself, or another one
        alert, dice = alerts[-1], self.dice
        outcome = dice.choices(("reached", "advised", "referred", "not_reached"), (54, 27, 9, 10))[0]
        shown = self.by_key[alert["shown"]]
        if shown.artefact and not shown.crisis and dice.random() < 0.5:
            outcome = "artefact"
            self.voided.add(shown.key)
        self.rooms.tell({"at": text(t), "cmd": "ack", "by": alert["history"][-1]["to"],
                         "args": {"alert": f"!{name[0]}:{name[1]}", "outcome": outcome}})
        if outcome in ("not_reached", "artefact"):
            self.planned.discard(name)
            self.plan(t + 60, self.look, token)


def doubted(r):
    return r.critical and DOUBTS & set(r.flags)


def odd(r):
    """Whoever measures so may have an alert: the doctor looks."""
    sys, dia, pulse = r.values
    return sys >= 145 or dia >= 95 or sys <= 105 or pulse >= 105 or pulse <= 45


def run(seed, spread=1.0):
    """The population, all its alerts, and what a person found to be an artefact."""
    population = Population(seed, spread)
    rooms = Rooms(first_line(population.people))
    prepare(rooms, population.people)
    doctor = Doctor(rooms, random.Random(seed), {r.key: r for r in population.readings})
    for (arrives, _), group in itertools.groupby(population.readings, lambda r: (r.arrives, r.person.cuff)):
        group = list(group)
        doctor.until(arrives)
        rooms.tell(unit_line(group))
        if any(map(odd, group)):
            doctor.look(arrives, group[0].person.token)
        if any(map(doubted, group)):
            doctor.plan(arrives + WAIT_S + 1, doctor.look, group[0].person.token)
    doctor.until(END * DAY)
    alerts = rooms.ask(END * DAY)
    rooms.close()
    return population, alerts, doctor.voided


# What came of it

class Burden:
    def __init__(self, population, alerts, voided):
        self.n = len(population.readings)
        self.alerts = len(alerts)
        self.kinds = collections.Counter()          # (severity, condition) of what was handled
        self.closed = collections.Counter()         # by the machine, the same
        # each revision that tells somebody anew: it began, became worse, or nobody had answered
        self.told = sum(e["phase"] in ("start", "escalate") or (e["phase"] == "update" and not e["ack"])
                        for a in alerts for e in a["history"])
        for alert in alerts:
            self.count(alert)
        self.see(population, alerts, voided)

    def count(self, alert):
        top, handled = "warning", 0
        for entry in alert["history"]:
            if entry["severity"] == "critical":
                top = "critical"
            handled += entry["ack"] in ("reached", "advised", "referred", "artefact")
        handled += waits(alert)
        (self.kinds if handled else self.closed)[top, alert["condition"]] += max(1, handled)

    def see(self, population, alerts, voided):
        """Who answered for what: by the readings, whatever alert they are in."""
        seen = set(voided)
        for alert in alerts:
            if any(e["ack"] in ("reached", "advised", "referred", "artefact") for e in alert["history"]):
                seen.update(alert["readings"], [alert["shown"], alert["reading"]])
        events = collections.defaultdict(list)
        for r in population.readings:
            if r.crisis and r.critical:
                events[r.crisis.number].append(r)
        self.crises, self.events = len(population.crises), len(events)
        self.missed = {n: [r for r in rs if r.key not in seen and not doubted(r)] for n, rs in events.items()}
        self.unseen = [n for n, rs in events.items() if self.missed[n] or not any(r.key in seen for r in rs)]
        clean = [r for r in population.readings if r.critical and not DOUBTS & set(r.flags)]
        self.critical, self.critical_unseen = len(clean), [r for r in clean if r.key not in seen]
        # what the clinic's rule of thumb would have been: any value not at goal
        self.not_at_goal = sum(r.values[0] >= 140 or r.values[1] >= 90 for r in population.readings)
        self.beyond = sum(r.values[0] >= HIGH_SYS or r.values[1] >= HIGH_DIA for r in population.readings)

    @property
    def handled(self):
        return sum(self.kinds.values())

    @property
    def per_100(self):
        return self.handled / self.n * 100


def show(name, b):
    print(f"{name}: {b.n} measurements ({b.not_at_goal / b.n * 100:.0f} of 100 at or above 140/90, "
          f"{b.beyond / b.n * 100:.1f} at or above 180/110), {b.alerts} alerts; handled by a person {b.handled}, closed "
          f"by the machine {sum(b.closed.values())}; somebody was told {b.told / b.n * 100:.1f} times per 100")
    for word, counter in (("handled", b.kinds), ("machine-closed", b.closed)):
        split = ", ".join(f"{severity} {condition} {n}" for (severity, condition), n in sorted(counter.items()))
        print(f"  {word}: {split or 'none'}")
    print(f"  no critical event unseen by a person: {b.events - len(b.unseen)} of {b.events}"
          f" ({b.crises - b.events} crises more passed while nobody measured); clean critical readings of all causes: "
          f"{b.critical - len(b.critical_unseen)} of {b.critical}", flush=True)
    for n in b.unseen[:5]:
        print(f"  UNSEEN: crisis {n}: {[(r.key, r.person.token, text(r.t), r.values) for r in b.missed[n]][:5]}")
    for r in b.critical_unseen[:5]:
        print(f"  UNSEEN: {r.key} of {r.person.token}, {text(r.t)}, {r.values}, {r.flags}")


def burden(table, options):
    subprocess.run(["make", "-s", "-C", ROOT, os.path.relpath(BUILD + "/tests/scenario", ROOT)], check=True)
    seeds = (1,) if options.quick else (1, 2, 3)
    print(f"\nalerts of a simulated population of home hypertensives, {DAYS} days", flush=True)
    found = []
    for seed in seeds:
        found.append(Burden(*run(seed)))
        show(f"seed {seed}", found[-1])
    x = statistics.mean(b.per_100 for b in found)
    print(f"alerts needing a person per 100 measurements: {x:.2f}; published: {PUBLISHED:.0f}")
    table.head("alerts needing a person; floor: the published clinic")
    table.add("per 100 measurements", "alerts", PUBLISHED, x, note=", ".join(f"{b.per_100:.2f}" for b in found))
    for name, spread in () if options.quick else (("-20 %", 0.8), ("+20 %", 1.2)):
        b = Burden(*run(seeds[0], spread))
        show(f"every sd {name}", b)
        table.add(f"the same, every sd {name}", "alerts", PUBLISHED, b.per_100)
        found.append(b)
    table.aim("alerts needing a person per 100 measurements", "alerts", 3, x)
    table.aim("critical events that no person saw", "events", 0, sum(len(b.unseen) for b in found))
    for b in found:
        table.keep("burden", {"measurements": b.n, "alerts": b.alerts, "handled": b.handled, "per_100": b.per_100,
                              "told": b.told, "events": b.events, "unseen": len(b.unseen),
                              "critical": b.critical, "critical_unseen": len(b.critical_unseen),
                              "split": {f"{s} {c}": n for (s, c), n in b.kinds.items()},
                              "closed": {f"{s} {c}": n for (s, c), n in b.closed.items()}})
