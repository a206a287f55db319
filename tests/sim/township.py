#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted year of a township as a scenario of FOLLOWUP.md section 9, and the truth beside it.

    township.py --seed N [--residents 3000] [--readings 100000] [--truth FILE] [--out FILE]

The truth is {key of a reading: the resident who was really measured}; "guest": somebody without a record.
"""
import argparse
import datetime
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from township_clinic import GUEST, Clinic
from township_people import BASE, DAYS, DISEASES, GATEWAY, People, day_text, write_line
from township_places import Places

TOOLS = {"cuff": "live", "scale": "live", "meter": "clock", "oxi": "live", "therm": "clock"}
ODD = {"spot": "live", "untimed": "untimed", "plain": "plain"}  # spot: on loan to somebody


class Station:
    def __init__(self, name, tools, complete=""):
        self.id, self.tools, self.complete = name, tools, complete
        self.idle_from = 0  # from then on nobody is checked in
        self.alive = 0  # the last activity of the present check-in, as far as one can be sure
        self.last_reading = 0
        self.undone = False  # the last check-in
        self.offline = None  # a day on which its cuff tells everything in the evening
        self.kept = []

    def device(self, tool):
        return f"{tool}-{self.id}"

    def lives(self, t):
        return t - self.alive < 170

    def see(self, t):
        if self.lives(t):
            self.alive = t


class Township(People, Clinic, Places):
    def __init__(self, seed, residents, readings):
        self.dice = random.Random(seed)
        self.residents, self.wanted = residents, readings
        self.lines, self.truth, self.names, self.entered = [], {}, 0, []
        self.visit_names, self.last_way, self.today = [], None, 0
        self.booked = []
        self.voidable, self.assigned = [], set()  # keys of today; keys that a person decides about later
        self.make_people()
        desks = max(1, min(3, residents // 800))
        self.desks = [Station(f"desk-{n + 1}", {**TOOLS, **ODD} if n == 0 else TOOLS) for n in range(desks)]
        self.exam = Station("exam-1", TOOLS, "bp weight spo2")
        carers = [p for p in self.people if p.setting == "care_home"]
        self.homes = [(Station(f"care-{n + 1}", {"cuff": "live"}), carers[n::max(1, len(carers) // 50)])
                      for n in range(max(1, len(carers) // 50))]
        self.huts = [Station(f"hut-{n + 1}", {"cuff": ("live", "clock")[n % 2], "oxi": "live"})
                     for n in range(max(1, residents // 1000))]
        self.make_home_cuffs()

    # --- how lines come about

    @staticmethod
    def at(day, hour, minute=0, second=0):
        return day * 86400 + hour * 3600 + minute * 60 + second

    @staticmethod
    def text(t):
        return (BASE + datetime.timedelta(seconds=t)).isoformat()

    @staticmethod
    def day_of(t):
        return t // 86400

    def put(self, t, line):
        self.lines.append((t, len(self.lines), {"at": self.text(t), **line}))

    def fresh(self, letter):
        self.names += 1
        return f"{letter}{self.names}"

    def cmd(self, t, command, args, by="N-0001", name=None, refused=None):
        line = {"cmd": command, "args": args, "by": by}
        if name:
            line["as"] = name
        if refused:
            line["refused"] = refused
        self.put(t, line)

    def ask(self, t, what, **more):
        self.put(t, {"ask": what, **more})

    def enter(self, t, person, values, **more):
        """What a person types; the number is its place in the year."""
        self.entered.append((t, len(self.lines), person.token))
        self.cmd(t, "enter", {"resident": person.name_now(), "values": values, **more})

    def unit(self, t, device, records, clock=None):
        self.put(t, {"unit": {"device": device, "clock": clock, "readings": records}})

    def record(self, person, _t, kind, values, flags=(), comparators=None, **more):
        key = f"r{len(self.truth) + 1:06}"
        self.truth[key] = person if person == GUEST else person.token
        record = {"key": key, "kind": kind, "values": values, "taken": None, **more}
        if comparators:
            record["comparators"] = comparators
        if flags:
            record["flags"] = flags
        return record

    def station_reading(self, station, tool, person, t, kind, values, flags=(), comparators=None):
        """Told at t; the key."""
        record = self.record(person, t, kind, values, flags, comparators)
        station.last_reading = max(station.last_reading, t)
        if tool in TOOLS and station.offline != self.day_of(t):
            station.see(t)
        if station.offline == self.day_of(t) and tool == "cuff":
            record["taken"] = self.text(t - 4)
            station.kept.append((t, record))
        elif station.tools[tool] == "live":
            record["live"] = True
            self.unit(t, station.device(tool), [record])
            self.voidable.append(record["key"])
        elif station.tools[tool] in ODD:
            if tool == "plain":
                record["taken"] = self.text(t - 3)
            self.unit(t, station.device(tool), [record])
        else:
            ahead = 37 if station.id[-1] == "1" else -900
            record["taken"] = self.text(t - self.dice.randint(2, 9) + ahead)
            self.unit(t, station.device(tool), [record], self.text(t + ahead))
        return record["key"]

    # --- a day

    def sunday(self, day):
        return (BASE + datetime.timedelta(days=day)).weekday() == 6

    def clinic_day(self, day):
        dice, mine = self.dice, []
        for person in self.people:
            if person.next_visit <= day and person.here(day) and day not in person.busy_on and \
                    (not person.old_token or person.merged_on is not None) and person.setting != "care_home":
                mine.append(person)
                person.next_visit = day + dice.choice((14, 80, 88, 91, 95, 110))
        dice.shuffle(mine)
        mine = mine[:60 * len(self.desks)]
        self.booked = mine
        if mine:
            self.cmd(self.at(day, 7), "book", {"station": "desk-1", "day": day_text(day), "residents": [
                {"resident": p.name_now(), "purpose": "follow-up"} for p in mine]})
        free = [self.at(day, 8, n) for n in range(len(self.desks))]
        for desk in self.desks:
            desk.offline = day if dice.random() < 0.01 else None
        waiting = list(mine)
        while waiting:
            n = free.index(min(free))
            desk, person, t = self.desks[n], waiting.pop(), min(free) + dice.randint(5, 60)
            kind = dice.random()
            if person.forms() and person.ours() and kind < (0.6 if self.live_cuff_of(person, t) else 0.04):
                self.visit_by_command(person, t)
                free[n] += 60
            elif kind < 0.06 and waiting and desk.offline != day:
                free[n] = self.session_split(person, waiting.pop(), desk, t)
            elif kind < 0.10 and waiting and desk.offline != day:
                free[n] = self.session_minute(person, waiting.pop(), desk, t)
            else:
                free[n] = self.desk_session(person, desk, t)
        for desk in self.desks:
            if desk.kept:
                t = self.at(day, 19, 30)
                self.unit(t, desk.device("cuff"), [r for _, r in desk.kept], self.text(t))
                desk.kept = []
        self.exams(day)
        self.laboratory(day, mine)

    def exams(self, day):
        """The yearly check of elder people; the check-in ends when everything was measured."""
        dice, t = self.dice, self.at(day, 8, 30)
        for person in self.people:
            if person.exam_on > day or not person.here(day) or day in person.busy_on or person.old_token or \
                    not ("elderly" in person.programmes or person.examined_too):
                continue
            person.exam_on = 10 ** 6
            person.busy_on.add(day)
            name = self.check_in(person, self.exam, t, "exam")
            t += dice.randint(50, 70)
            for arm in ("left", "right", "right")[:dice.randint(1, 3)]:
                key = self.station_reading(self.exam, "cuff", person, t, "bp",
                                           self.pressure_values(person), flags=self.pressure_flags())
                self.cmd(t + 7, "annotate", {"reading": "@" + key, "arm": arm, "posture": "sitting"})
                t += dice.randint(60, 100)
            self.station_reading(self.exam, "scale", person, t, "weight", {"weight": f"{person.weight:.2f}"})
            self.enter(t + 5, person, {"height": f"{person.height:.1f}"})
            self.enter(t + 10, person, {"waist": f"{2 + person.weight / 80:.2f}"}, units={"waist": "ft"})
            t += dice.randint(30, 60)
            if dice.random() < 0.7:
                self.station_reading(self.exam, "oxi", person, t, "spo2", {"spo2": str(dice.randint(90, 99)),
                                                                           "spo2.pulse": str(dice.randint(55, 99))})
                t += 20
            self.write_visits(person, name, t + 60, "exam", False, False)
            t += dice.randint(90, 300)
            if self.day_of(t + 7200) != day:
                break

    def other_places(self, day):
        dice = self.dice
        for home, people in self.homes:
            if day % 7 == 1:
                purpose = "home-bed" if day % 91 == 1 else "hut"
                self.care_round(home, people, self.at(day, 9), purpose)
        for hut in self.huts:
            t = self.at(day, 8)
            for _ in range(dice.randint(0, max(1, min(9, self.residents // 300)))):
                person = GUEST if dice.random() < 0.1 else dice.choice(self.people)
                if person != GUEST and (not person.here(day) or person.old_token):
                    continue
                t = self.hut_session(hut, person, t + dice.randint(60, 3000))

    def mishaps(self, day):
        """What must be refused, one or two a day."""
        dice, t = self.dice, self.at(day, 20, self.dice.randrange(50))
        person = dice.choice(self.people)
        if not person.here(day) or person.old_token or day in person.busy_on or not person.ours():
            return
        name = person.token
        programmes = set(person.programmes)
        choices = [("checkin", {"station": "desk-1", "resident": "R-99999X", "purpose": "exam"}, "unknown_resident"),
                   ("checkin", {"station": "desk-77", "resident": name, "purpose": "exam"}, "unknown_station"),
                   ("checkin", {"station": "desk-1", "undo": True}, "too_late"),
                   ("checkout", {"station": "desk-1"}, "nobody_checked_in"),
                   ("bind", {"device": "home-999", "resident": name}, "unknown_device"),
                   ("enter", {"resident": name, "values": {"bp.foo": "12"}}, "bad_kind"),
                   ("enter", {"resident": name, "values": {"weight": "heavy"}}, "bad_value"),
                   ("enter", {"resident": name, "values": {"weight": "60"}, "units": {"weight": "cm"}}, "bad_value"),
                   ("visit_open", {"resident": name, "form": "gout"}, "unknown_form"),
                   ("merge", {"resident": name, "into": "R-99999X"}, "unknown_resident"),
                   ("plan", {"resident": "R-99999X", "form": "htn", "day": "2026-12-01"}, "unknown_resident")]
        missing = [n for n in DISEASES if n not in programmes]
        gone = [p.token for p in self.people if p.gone and p.gone[0] < day and p.gone[1] == "withdraw" and not p.joined]
        if gone:
            choices.append(("merge", {"resident": name, "into": gone[0]}, "not_active"))
        if person.years < 60 and person.birth and "elderly" not in programmes:
            choices.append(("visit_open", {"resident": name, "form": "elderly"}, "not_enrolled"))
        if self.voidable:
            choices.append(("annotate", {"reading": "@" + self.voidable[0], "meal": "before_bed"}, "bad_value"))
        if missing:
            short = {"hypertension": "htn"}.get(missing[0], missing[0])
            choices.append(("visit_open", {"resident": name, "form": short}, "not_enrolled"))
        if not self.desks[0].last_reading or self.desks[0].undone:
            choices = [c for c in choices if c[2] != "too_late"]
        command, args, code = dice.choice(choices)
        self.cmd(t, command, args, refused=code)

    def paper(self, day):
        """Visits elsewhere, plans, voids, questions."""
        dice = self.dice
        for _ in range(max(1, self.residents // 500)):
            person = dice.choice(self.people)
            t = self.at(day, 18, dice.randrange(60), dice.randrange(60))
            if not person.here(day) or person.old_token or not person.forms() or not person.ours():
                continue
            draw = dice.random()
            if draw < 0.5:
                self.visit_elsewhere(person, t)
            elif draw < 0.8:
                self.cmd(t, "plan", {"resident": person.token, "form": dice.choice(person.forms()),
                                     "day": day_text(day + dice.randint(-3, 90))}, by=person.doctor)
        keys = [key for key in self.voidable if key not in self.assigned]
        if keys and dice.random() < 0.5:
            self.cmd(self.at(day, 23, 55), "void", {"reading": "@" + dice.choice(keys), "reason": "over the coat"})
        if self.voidable and day % 9 == 4:
            self.ask(self.at(day, 23, 56), "filing", keys=self.voidable[:60])
        self.voidable = []
        if day % 14 == 5:
            self.ask(self.at(day, 7, 30), "due", day=day_text(day))
        if self.day_of(self.at(day + 1, 0)) < DAYS and day_text(day + 1).endswith("-01") or day == DAYS - 1:
            self.ask(self.at(day, 23, 58), "kpi", month=day_text(day)[:7])
        if day % 10 == 9:
            for cuff in self.home_cuffs[day % 3::6]:
                person = cuff.holder(self.at(day, 12))
                if person and person.here(day):
                    self.ask(self.at(day, 7, 40), "home_week", resident=person.name_now(), day=day_text(day))
        if day % 30 == 29:
            for person in dice.sample(self.people, min(20, self.residents)):
                if person.here(day):
                    self.ask(self.at(day, 7, 45), "resident", resident=person.token)

    def closing(self):
        t = self.at(DAYS, 7)
        self.ask(t, "filing")
        for n, visit in enumerate(self.visit_names):
            self.ask(t + 60 + n // 10, "visit", visit=visit)
        for n in range(0, 40, 8):
            self.ask(t + 3600, "due", day=day_text(DAYS + n))
        for month in range(1, 13):
            self.ask(t + 3601, "kpi", month=f"2026-{month:02}")
        for cuff in self.home_cuffs:
            if cuff.holders and cuff.holders[-1][1].here(DAYS):
                self.ask(t + 3602, "home_week", resident=cuff.holders[-1][1].name_now(), day=day_text(DAYS))

    def config(self):
        stations = self.desks + [self.exam] + [home for home, _ in self.homes] + self.huts
        devices = [{"id": s.device(tool), "station": s.id} for s in stations for tool in s.tools]
        devices += [{"id": "lab-typed", "station": "desk-1", "patient_id": "typed"},
                    {"id": "lab-token", "patient_id": "token"}]
        devices += [{"id": c.id} for c in self.home_cuffs] + [{"id": c.id, "slots": True} for c in self.slot_cuffs]
        return {"config": {"zone": "Asia/Shanghai", "gateway": GATEWAY, "contract_start": "next_january",
                           "stations": [{"id": s.id, **({"complete": s.complete} if s.complete else {})}
                                        for s in stations], "devices": devices}}

    def year(self):
        dice = self.dice
        for person in self.people:
            ill = bool(person.forms())
            person.next_visit = dice.randrange(2, 95) if ill else 10 ** 6
            person.exam_on = dice.randrange(20, 340)
            person.examined_too = dice.random() < 0.03
        self.open_roster()
        self.bind_slots()
        for month in range(12):
            person = dice.choice([p for p in self.people if p.here(40 * month) and not p.old_token] or self.people[:1])
            self.cmd(self.at(30 * month + 1, 6, 59), "bind", {"device": self.desks[0].device("spot"),
                                                              "resident": person.token})
        for day in range(1, DAYS):
            self.today = day
            before = len(self.truth)
            self.lives_of(day)
            self.hand_overs(day)
            if not self.sunday(day):
                self.clinic_day(day)
            self.other_places(day)
            self.paper(day)
            self.mishaps(day)
            cuffs = len(self.home_cuffs) + 2 * len(self.slot_cuffs)
            rest = self.wanted - len(self.truth)
            ahead = (DAYS - day) * (len(self.truth) - before)
            share = max(0, (rest - ahead) / (DAYS - day) / cuffs)
            self.home_day(day, min(4, share))
        self.closing()

    def write(self, out, truth):
        self.lines.sort(key=lambda line: line[:2])
        write_line(out, self.config())
        for _, _, line in self.lines:
            write_line(out, line)
        for n, (_, _, token) in enumerate(sorted(self.entered), 1):
            self.truth[f"@{n}"] = token
        json.dump(self.truth, truth)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--residents", type=int, default=3000)
    options.add_argument("--readings", type=int, default=100000)
    options.add_argument("--truth", default="/dev/null")
    options.add_argument("--out", default="/dev/stdout")
    chosen = options.parse_args()
    town = Township(chosen.seed, chosen.residents, chosen.readings)
    town.year()
    with open(chosen.out, "w", encoding="utf-8") as out, open(chosen.truth, "w", encoding="utf-8") as truth:
        town.write(out, truth)
    print(f"township: seed {chosen.seed}, {len(town.people)} residents, {len(town.truth)} readings, "
          f"{len(town.visit_names)} visits, {len(town.lines)} lines", file=sys.stderr)


if __name__ == "__main__":
    main()
