# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens in the village of alert_people.py, day by day.

The model runs along, so that people can acknowledge the alerts that there are, and a refused command is marked so.
"""
import heapq
import os
import time

from alert_life import CRITICAL
from alert_model import AlertModel
from alert_people import COLUMNS, DAY_S, DOCTORS, TEAMS, Instrument, Somebody, text_of
from alert_plans import Plans
from alert_rule_dice import rule_file
from alert_rules import ROOT
from followup_commands import Refused

STATION_TOOLS = (("cuff", "live"), ("meter", "clock"), ("oxi", "live"), ("scale", "live"), ("therm", "live"))
OUTCOMES = ("reached", "reached", "advised", "referred", "not_reached", "not_reached", "artefact")
SOON_S, SLOW_S = 6000, 60000  # until somebody answers, mean
MOST_SHARED = 5  # an instrument of more is the village's
MORE_S = (40, 75, 130, 400, 900)  # between a reading that frightens and the next


class Oracle(AlertModel):
    """Marks what it refuses."""

    def do(self, line):
        try:
            self.command(line["cmd"], dict(line["args"]), line.get("by"))
        except Refused as code:
            line["refused"] = str(code)


class Village(Plans):
    def __init__(self, dice, residents, readings, days, folder=None):
        """folder: for a rule file of its own; without one, those of the tree are used."""
        self.dice, self.wanted, self.days, self.folder = dice, readings, days, folder
        self.people = [Somebody(dice, n + 1) for n in range(residents)]
        self.events, self.order, self.out = [], 0, []
        self.made, self.t, self.model_seconds = 0, 0, 0.0
        self.recent = []  # (key, person, tool) of late, for corrections
        self.known = 0  # alerts that somebody has seen
        self.altitude = dice.choice((0, 0, 1600, 2600, 3600))
        self.thin_air = {0: 0, 1600: 3, 2600: 7, 3600: 10}[self.altitude]
        self.make_instruments()
        self.config = self.make_config()
        self.model = Oracle(self.config)

    def make_instruments(self):
        dice, self.own, people = self.dice, [], list(self.people)
        modes = ("live", "live", "clock", "clock", "plain", "untimed")
        self.busy = dice.sample(people, min(len(people), max(12, len(people) // 3)))  # who measures often
        for n, person in enumerate(self.busy[:110]):
            tools = ("cuff", "cuff", "meter", "oxi", "scale", "night")
            self.own.append(Instrument(dice, f"own-{n}", dice.choice(tools), dice.choice(modes), [person]))
        for n, person in enumerate(self.busy[:40]):
            for tool in ("cuff", dice.choice(("meter", "oxi"))):  # the same person, two instruments
                self.own.append(Instrument(dice, f"{tool}-{n}", tool, dice.choice(modes[:4]), [person]))
        for n, person in enumerate(self.busy[:30]):  # and an old one, whose time nobody trusts
            self.own.append(Instrument(dice, f"old-{n}", dice.choice(("cuff", "meter", "oxi")),
                                       dice.choice(("plain", "untimed")), [person]))
        for n in range(min(20, max(1, len(people) // 5))):
            family = dice.sample(self.busy, min(len(self.busy), dice.randint(2, 4)))
            self.own.append(Instrument(dice, f"slots-{n}", dice.choice(("cuff", "cuff", "oxi")), "live", family, True))
        for n in range(3):
            tool, mode = (("cuff", "live"), ("oxi", "live"), ("meter", "plain"))[n]
            self.own.append(Instrument(dice, f"stray-{n}", tool, mode, people))
        self.cared = [p for p in people if p.setting == "care_home"] or people[:2]
        self.stations = ["desk-1", "desk-2", "hut-1", "care-1"]
        self.free = {name: 0 for name in self.stations}
        self.measured_at = {}

    def make_config(self):
        dice = self.dice
        alerting = {"altitude_m": self.altitude}
        if dice.random() < 0.8:
            alerting["quiet"] = dice.choice(("22:00-07:00", "22:00-07:00", "20:30-08:00", "12:00-14:00", "00:00-06:30"))
        if dice.random() < 0.8:
            alerting["morning"] = dice.choice(("07:30", "08:00", "06:00"))
        if dice.random() < 0.6:
            alerting["institution"] = "I-0001"
        if dice.random() < 0.7:
            alerting["chain"] = dice.choice((["S-0003"], ["S-0003", "S-0004"], ["S-0001", "S-0004"]))
        config = {"zone": "Asia/Shanghai", "gateway": "gw-0001", "alerts": True, "alerting": alerting,
                  "stations": [{"id": "desk-1", "contact": "S-0002"}, {"id": "desk-2"}, {"id": "hut-1"},
                               {"id": "care-1", "contact": "S-0005"}],
                  "devices": [i.config() for i in self.own] +
                  [{"id": f"{tool}-{name}", "station": name} for name in self.stations for tool, _ in STATION_TOOLS] +
                  [{"id": "lab-1", "patient_id": "token"}]}
        if dice.random() < 0.85:
            config["site_contact"] = "S-0001"
        rules = self.choose_rules()
        return {**config, "rules": rules} if rules else config

    def choose_rules(self):
        """The path from the root of the tree; empty: the one that is installed."""
        kind = self.dice.random()
        if kind < 0.35:
            return ""
        if kind < 0.5 or not self.folder:
            return self.dice.choice(("tests/alerts/rules.yaml", "tests/alerts/daily.yaml"))
        path = os.path.join(self.folder, "rules.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(rule_file(self.dice))
        return os.path.relpath(path, ROOT)

    # --- how lines come about

    def after(self, t, what, *args):
        self.order += 1
        heapq.heappush(self.events, (max(t, self.t), self.order, what, args))

    def put(self, line):
        line = {"at": text_of(self.t), **line}
        began = time.process_time()
        answer = self.model.step(line)
        if not answer:
            self.model_seconds += time.process_time() - began
        self.out.append((line, answer))
        self.look_at_alerts()

    def cmd(self, name, args, by="N-0001", **more):
        self.put({"cmd": name, "args": args, "by": by, **more})

    def record(self, person, tool, **more):
        self.made += 1
        key = f"r{self.made:07}"
        person.befalls(self.dice, self.t, self.thin_air)
        kind, values, comparators, flags = person.measured(self.dice, tool)
        record = {"key": key, "kind": kind, "values": values, "taken": None, **more}
        if comparators:
            record["comparators"] = comparators
        if flags:
            record["flags"] = flags
        self.recent.append((key, person, tool))
        if len(self.recent) > 300:
            del self.recent[:150]
        return record

    def unit(self, device, records, clock=None):
        self.put({"unit": {"device": device, "clock": clock, "readings": records}})

    def lines(self):
        """Yields (line, answer or None)."""
        yield {"config": self.config}, None
        self.after(0, self.begin)
        for day in range(self.days):
            self.after(day * DAY_S + 60, self.plan_day, day)
        while self.events:
            self.t, _, what, args = heapq.heappop(self.events)
            what(*args)
            yield from self.out
            self.out = []
        self.t += 3 * DAY_S
        self.put({"tick": True})
        self.put({"ask": "alerts"})
        yield from self.out

    # --- the beginning

    def begin(self):
        dice = self.dice
        self.cmd("import", {"csv": ",".join(COLUMNS) + "\n" + "".join(p.csv() for p in self.people)})
        hours = ("mon-sun 08:00-17:00", "mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00", None, None)
        for n in range(1, TEAMS + 1):
            members = [{"member": f"D-{d:04}", "role": "doctor", "hours": dice.choice(hours)}
                       for d in range(1, DOCTORS + 1) if d % TEAMS == n % TEAMS or d == DOCTORS]
            members += [{"member": m, "role": "nurse", "hours": dice.choice(hours)}
                        for m in (f"H-{n:04}", f"S-{n:04}", "N-0001")]
            self.cmd("team", {"team": f"T-{n:04}", "members": [{k: v for k, v in m.items() if v} for m in members]})
        for instrument in self.own:
            if instrument.slots:
                for slot, person in enumerate(instrument.people, 1):
                    self.cmd("bind", {"device": instrument.id, "resident": person.token, "slot": slot})
            elif len(instrument.people) == 1:
                self.cmd("bind", {"device": instrument.id, "resident": instrument.people[0].token})
        self.visits_before()

    def plan_day(self, day):
        """So many readings as are still wanted, divided by the days that are left."""
        dice, start = self.dice, day * DAY_S
        quota = max(0, self.wanted - self.made) // max(1, self.days - day)
        for hour in range(0, 24, 3):
            self.after(start + hour * 3600 + dice.randrange(3600), self.put, {"tick": True})
        self.after(start + dice.randrange(DAY_S), self.put, {"restart": dice.choice(("process", "process", "boot"))})
        for _ in range(int(quota * 0.55)):
            if dice.random() < 0.7:
                at = dice.choice((6, 7, 8, 18, 19, 20, 21)) * 3600 + dice.randrange(3600)
            else:
                at = dice.randrange(DAY_S - 600)
            self.after(start + at, self.at_home, dice.choice(self.own), None)
        for _ in range(int(quota * 0.11)):
            self.after(start + 8 * 3600 + dice.randrange(9 * 3600), self.session, dice.choice(self.stations))
        for _ in range(int(quota * 0.03)):
            self.after(start + 7 * 3600 + dice.randrange(12 * 3600), self.typed)
        self.plan_days(day)
        for what, share in ((self.correct, 0.02), (self.change, 0.008), (self.rota_changes, 0.002),
                            (self.own_limit, 0.002)):
            for _ in range(max(1, int(quota * share)) if dice.random() < 0.8 else 0):
                self.after(start + 6 * 3600 + dice.randrange(16 * 3600), what)

    # --- at home

    def at_home(self, instrument, person, left=None):
        """One reading; what frightens is measured again after minutes."""
        dice = self.dice
        if person is None:
            person = dice.choice(instrument.people)
        if not person.here and dice.random() < 0.9:
            return
        more = {"slot": instrument.people.index(person) + 1} if instrument.slots and dice.random() < 0.95 else {}
        if self.t >= instrument.offline_until and dice.random() < 0.03:
            instrument.offline_until = self.t + dice.choice((300, 1500, 8000, 30000, 200000, 12 * DAY_S))
            self.after(instrument.offline_until, self.tells, instrument)
        record = self.record(person, instrument.tool, **more)
        seen = self.t + instrument.offset
        if self.t < instrument.offline_until:
            instrument.kept.append({**record, "taken": text_of(seen)})
        elif instrument.mode == "live":
            self.unit(instrument.id, [{**record, "live": True}])
        elif instrument.mode == "clock":
            self.unit(instrument.id, [{**record, "taken": text_of(seen - dice.randint(1, 9))}], text_of(seen))
        elif instrument.mode == "plain":
            self.unit(instrument.id, [{**record, "taken": text_of(seen - 3)}])
        else:
            self.unit(instrument.id, [record])
        if record.get("flags") and dice.random() < 0.15:
            self.after(self.t + dice.randint(20, 700), self.correct, record["key"], person, instrument.tool)
        again = dice.choice((0, 1, 1, 2, 3)) if left is None and (person.event or record.get("flags")) else left
        if again:
            if dice.random() < 0.25:
                person.event = {}  # sugar, or a pill
            if dice.random() < 0.35:
                instrument = dice.choice([i for i in self.own if i.tool == instrument.tool and person in i.people and
                                          len(i.people) < MOST_SHARED] or [instrument])
            self.after(self.t + dice.choice(MORE_S) + dice.randrange(20), self.at_home, instrument, person, again - 1)

    def tells(self, instrument):
        """It is back, with everything it has kept."""
        kept, instrument.kept = instrument.kept, []
        if kept:
            if instrument.newest_first:
                kept.reverse()
            compared = instrument.mode in ("live", "clock")
            self.unit(instrument.id, kept, text_of(self.t + instrument.offset) if compared else None)

    # --- at a station

    def session(self, station):
        dice = self.dice
        begins = self.t
        if begins < self.free[station]:
            begins = self.free[station] + dice.randint(5, 90)
        if begins % DAY_S > 19 * 3600:
            return
        person = dice.choice(self.cared if station == "care-1" else dice.choice((self.people, self.busy)))
        t = begins
        measures = dice.randint(1, 4)
        if station == "hut-1":
            for n in range(measures):
                self.after(t + 50 * n + 10, self.at_station, station, person, dice.choice(STATION_TOOLS))
            if dice.random() < 0.8:
                self.after(t + 50 * measures + 20, self.check_in, station, person, "hut")
            t += 400
        else:
            self.after(t, self.check_in, station, person, dice.choice(("follow-up", "exam", "hut")))
            for n in range(measures):
                t += dice.randint(20, 80)
                self.after(t, self.at_station, station, person, dice.choice(STATION_TOOLS))
        self.free[station] = t + dice.choice((30, 60, 200, 400))
        if dice.random() < 0.03:
            self.after(t + 30, self.take_back, {"station": station, "undo": True})
        elif dice.random() < 0.04:
            self.after(t + 40, self.take_back, {"station": station, "instead": True,
                                                "resident": dice.choice(self.people).name_now()})
        elif dice.random() < 0.5:
            self.after(t + 25, self.cmd, "checkout", {"station": station})

    def take_back(self, args):
        """Not what began before somebody was identified."""
        windows = self.model.stations[args["station"]].windows
        if windows and windows[-1].made == windows[-1].since:
            self.cmd("checkin", args)

    def check_in(self, station, person, purpose):
        if self.measured_at.get(station) == self.t:  # of one instant, whose it was would depend on their order
            self.after(self.t + 1, self.check_in, station, person, purpose)
            return
        self.cmd("checkin", {"station": station, "resident": person.name_now(), "purpose": purpose})

    def at_station(self, station, person, tool, left=None):
        name, mode = tool
        record = self.record(person, name)
        self.measured_at[station] = self.t
        if mode == "live":
            self.unit(f"{name}-{station}", [{**record, "live": True}])
        else:
            self.unit(f"{name}-{station}", [{**record, "taken": text_of(self.t + 30)}], text_of(self.t + 37))
        again = self.dice.choice((0, 1, 2)) if left is None and (person.event or record.get("flags")) else left
        if again and station != "hut-1":  # there, whose a reading beside two check-ins is would depend on their order
            self.after(self.t + self.dice.choice(MORE_S[:3]), self.at_station, station, person, tool, again - 1)

    def typed(self):
        """A person types it, or a laboratory tells it with a token."""
        dice, person = self.dice, self.dice.choice(self.people)
        if dice.random() < 0.4:
            self.unit("lab-1", [self.record(person, "meter", live=True, patient=person.name_now()
                                            if dice.random() < 0.95 else "R-9999")])
            return
        values = dice.choice(({"resp": str(dice.choice((7, 8, 9, 14, 18, 20, 21, 22, 24, 25, 30)))},
                              {"temp": f"{dice.uniform(34.5, 40.2):.1f}"},
                              {"ecg.hr": str(dice.choice((38, 40, 60, 112, 135)))},
                              {"spo2": str(dice.randint(80, 99))}, person.measured(dice, "cuff")[1]))
        if not person.here:
            return
        args = {"resident": person.name_now(), "values": values}
        if dice.random() < 0.4:
            args["taken"] = text_of(self.t - dice.choice((60, 700, 7000, 9000, 90000, 10 * DAY_S)))
        self.cmd("enter", args)

    # --- people correct, change, leave

    def correct(self, key=None, person=None, tool=None):
        """Rather what somebody was told of than any other."""
        dice, chosen = self.dice, key
        if self.recent and not chosen:
            key, person, tool = dice.choice(self.recent)
        if not chosen and self.model.alerts and dice.random() < 0.6:
            alert = dice.choice(self.model.alerts[-40:])
            enders = [a.ended_by.key for a in self.model.alerts[-200:] if a.ended_by and a.state == "latched"]
            if enders and dice.random() < 0.4:
                key = dice.choice(enders)
            elif alert.entries:
                key = dice.choice(alert.entries).reading.key
        if key not in self.model.readings or self.model.readings[key].void and dice.random() < 0.9:
            return
        reading, kind, name = self.model.readings[key], dice.random(), "@" + key
        if "glucose" in reading.kind and dice.random() < 0.7:
            kind = 0.7
        if kind < 0.3 or reading.void:
            self.cmd("void", {"reading": name, "reason": "not that of a person"})
        elif kind < 0.6:
            own = person.name_now() if person else "-"
            self.assign(key, dice.choice((own, dice.choice(self.people).name_now(), "-")))
            if dice.random() < 0.2:
                self.after(self.t + dice.randint(60, 4000), self.assign, key, dice.choice(self.people).name_now())
        elif "glu.isf" not in reading.values:
            meal, arm = ("meal", ("fasting", "postprandial_2h", "random")), ("arm", ("left", "right"))
            mark, words = meal if kind < 0.85 else arm
            word = dice.choice(words)
            if reading.marks.get(mark) != word:
                self.cmd("annotate", {"reading": name, mark: word})

    def assign(self, key, token):
        reading = self.model.readings[key]
        if not reading.void and (token != "-" or reading.resident):
            self.cmd("assign", {"reading": "@" + key, "resident": token})

    def change(self):
        """A record changes; somebody dies, moves; an instrument goes to another; two records are one."""
        dice, person = self.dice, self.dice.choice(self.people)
        kind = dice.random()
        if kind < 0.5:
            for name in ("sorts", "contract"):
                if dice.random() < 0.5:
                    self.again(person, name)
            person.setting = dice.choice((person.setting, "home", "clinic", ""))
            self.cmd("import", {"csv": ",".join(COLUMNS) + "\n" + person.csv(person.name_now())})
        elif kind < 0.56 and person.here:
            person.here = False
            self.cmd(dice.choice(("died", "moved", "withdraw")), {"resident": person.name_now()})
        elif kind < 0.75:
            instrument = dice.choice(self.own)
            if self.may_go(instrument):
                instrument.people = [person]
                self.cmd("bind", {"device": instrument.id, "resident": person.name_now()})
        elif not person.double and person.here:
            self.split_record(dice.choice(self.busy))

    def again(self, person, name):
        if name == "sorts":
            person.programmes, person.populations, person.conditions = [], [], []
        getattr(person, name)(self.dice)

    @staticmethod
    def may_go(instrument):
        """To another one: only what tells its time (what is of before the handover would be nobody's)."""
        return not instrument.slots and len(instrument.people) == 1 and instrument.mode in ("live", "clock")

    def split_record(self, person):
        """For a while there is a second record of the same person, and its instruments are that one's."""
        if person.double or not person.here:
            return
        person.doubles += 1
        person.double = f"{person.token}-{person.doubles}"
        self.cmd("import", {"csv": ",".join(COLUMNS) + "\n" + person.csv(person.double)})
        for instrument in self.own:
            if instrument.people == [person] and self.may_go(instrument) and self.dice.random() < 0.7:
                self.cmd("bind", {"device": instrument.id, "resident": person.double})
        self.after(self.t + self.dice.randint(3600, 9 * DAY_S), self.one_record, person)

    def one_record(self, person):
        double, person.double = person.double, None
        self.cmd("merge", {"resident": double, "into": person.token})
        for instrument in self.own:
            if instrument.people == [person] and self.may_go(instrument):
                self.cmd("bind", {"device": instrument.id, "resident": person.token})

    def own_limit(self):
        """A doctor sets a limit for one resident, or ends it; a looser one needs a second doctor."""
        dice, person = self.dice, self.dice.choice(self.people)
        side, kind, values = dice.choice((
            ("at_least", "bp.sbp", (150, 165, 170, 178, 185)), ("at_most", "bp.sbp", (84, 95, 105)),
            ("at_least", "bp.dbp", (95, 105, 115)), ("at_least", "glu.*", (11, 15.5, 18)),
            ("at_most", "glu.*", (3.5, 4.5, 5)), ("at_most", "spo2", (85, 88, 92, 94)),
            ("at_least", "weight", (70, 90))))
        if not person.here:
            return
        args = {"resident": person.name_now(), "kind": kind, side: dice.choice(values)}
        if dice.random() < 0.12:
            self.cmd("limit", {**args, "end": True}, by=person.doctor or "D-0001")
            return
        until = text_of(self.t + dice.choice((1, 5, 30)) * DAY_S)[:10]
        self.cmd("limit", {**args, "severity": dice.choice(("warning", "critical")), "reason": "as agreed",
                           "until": until}, by=person.doctor or "D-0001")
        if dice.random() < 0.6:
            self.after(self.t + dice.randint(60, 90000), self.second_doctor, person, {**args, "confirm": True})

    def second_doctor(self, person, args):
        if person.here:
            self.cmd("limit", args, by=f"D-{self.dice.randint(1, DOCTORS):04}")

    def rota_changes(self):
        dice = self.dice
        since = self.t + dice.choice((-3600, 0, 7200, DAY_S))
        until = since + dice.choice((3600, 30000, 3 * DAY_S, 20 * DAY_S, 0))
        members = [f"D-{n:04}" for n in range(1, DOCTORS + 1)] + ["H-0001", "H-0002", "S-0001", "S-0002", "X-0001"]
        args = {"member": dice.choice(members), "from": text_of(since), "to": text_of(until)}
        if dice.random() < 0.5:
            self.cmd("duty", {"team": f"T-{dice.randint(1, TEAMS):04}", **args})
        else:
            if dice.random() < 0.6:
                args["deputy"] = dice.choice(members[:-1])
            self.cmd("absence", args)

    # --- people answer

    def look_at_alerts(self):
        """Each new alert is looked at some time, or never."""
        while self.known < len(self.model.alerts):
            alert = self.model.alerts[self.known]
            self.known += 1
            if self.dice.random() < 0.98:
                slow = self.dice.random() < (0.2 if alert.severity == CRITICAL else 0.5)
                self.after(self.t + int(self.dice.expovariate(1 / (SLOW_S if slow else SOON_S))) + 20, self.answer, alert,
                           1, len(alert.history))

    def answer(self, alert, attempt, seen):
        """seen: the revision that was there when this person looked at it, some time ago."""
        dice = self.dice
        if alert.acknowledged and dice.random() < 0.7:
            return
        args = {"alert": f"!{alert.key or alert.resident}:{alert.condition}", "outcome": dice.choice(OUTCOMES)}
        if dice.random() < 0.1:
            self.cmd("alert_read", {"alert": args["alert"]}, by="D-0001")
        if dice.random() < 0.5:
            args["revision"] = dice.choice((len(alert.history), seen, seen, dice.randint(1, len(alert.history))))
        door = {"door": "platform"} if dice.random() < 0.4 else {}
        self.cmd("ack", args, by=dice.choice(("D-0001", "S-0001")), **door)
        if dice.random() < (0.1 if alert.resident else 0.01):
            self.put({"ask": "alerts", "resident": alert.resident or "-"})
        if attempt < 9 and not alert.acknowledged or dice.random() < 0.2:
            self.after(self.t + int(dice.expovariate(1 / 20000)) + 20, self.answer, alert, attempt + 1,
                       len(alert.history))
