# SPDX-License-Identifier: GPL-3.0-or-later
"""Care homes, health huts, home cuffs on loan and with user slots, laboratory, visits by command and elsewhere:
part of township.py."""
from township_clinic import GUEST
from township_people import DAYS, day_text

NOON = 12 * 3600
RESET_CLOCK = -26 * 365 * 86400  # how far back a new battery sets the clock, from 2026


class HomeCuff:
    """A cuff with a memory. `mode`: live, stored (its clock is compared), plain (it is not)."""

    def __init__(self, dice, name, mode):
        self.id, self.mode = name, mode
        self.holders = []  # (from which second, Person)
        self.memory, self.told = [], []
        self.offset = dice.choice((0, 0, 0, 3, -45, 3600, -5 * 3600, 8 * 3600))
        self.newest_first = dice.random() < 0.3
        self.drift = dice.choice((0, 0, 4, -5))  # seconds a day
        self.reset_on = dice.randrange(60, 300) if dice.random() < 0.3 else None
        self.mended_on = self.reset_on + dice.randint(20, 60) if self.reset_on and dice.random() < 0.5 else None
        if self.reset_on:
            self.offset = dice.choice((0, 3, -45))
        self.tells_every = dice.choice((1, 3, 7, 20))
        self.next_tell = dice.randrange(1, 4)

    def clock_error(self, t):
        day = t // 86400
        if self.reset_on and self.reset_on * 86400 + NOON <= t and (
                not self.mended_on or t < self.mended_on * 86400 + NOON):
            return RESET_CLOCK - self.reset_on * 86400
        return self.offset + self.drift * day

    def holder(self, t):
        return next((p for since, p in reversed(self.holders) if since <= t), None)


class Places:
    # --- care home: one cuff, cards

    def care_round(self, home, people, t, purpose):
        dice, first = self.dice, t
        for person in people:
            day = self.day_of(t)
            if not person.here(day) or not person.has_card or (purpose == "home-bed" and day in person.busy_on):
                continue
            name = self.fresh("h")
            self.cmd(t, "checkin", {"station": home.id, "card": person.card, "purpose": purpose, "source": "card",
                                    "way": "2"}, name=name)
            quick = t > first and dice.random() < 0.05
            t += dice.randint(14, 27) if quick else dice.randint(45, 70)
            for n in range(dice.choice((1, 1, 2))):
                key = self.station_reading(home, "cuff", person, t, "bp", self.pressure_values(person),
                                           flags=self.pressure_flags())
                if quick and not n and dice.random() < 0.3:
                    self.later_assigned(person, key, t)
                t += dice.randint(35, 65)
            if purpose == "home-bed":
                person.busy_on.add(day)
                self.last_way = "2"
                self.write_visits(person, name, t, purpose, False, False)
        return t

    # --- health hut: measured first

    def hut_session(self, hut, person, t):
        """person: GUEST for somebody without a record. Ends when the hut has been quiet for a while."""
        dice = self.dice
        keys = []
        for n in range(dice.randint(1, 4)):
            t += dice.randint(40, 100)
            body = self.people[0] if person == GUEST else person
            if n < 3:
                keys.append(self.station_reading(hut, "cuff", person, t, "bp", self.pressure_values(body)))
            else:
                keys.append(self.station_reading(hut, "oxi", person, t, "spo2", {"spo2": str(dice.randint(90, 99))}))
        if person == GUEST or dice.random() < 0.15:
            if person != GUEST and dice.random() < 0.3:
                for key in keys:
                    self.later_assigned(person, key, t)
            return t + 400
        t += dice.randint(10, 170) if dice.random() < 0.85 else dice.randint(540, 660)
        self.cmd(t, "checkin", {"station": hut.id, "resident": person.name_now(), "purpose": "hut"})
        if dice.random() < 0.3:
            t += dice.randint(50, 100)
            self.station_reading(hut, "cuff", person, t, "bp", self.pressure_values(person))
        return t + 400

    # --- laboratory: ids that are typed, and ids of a system

    def laboratory(self, day, booked):
        dice = self.dice
        people = [p for p in booked if dice.random() < 0.4] + [
            p for p in dice.sample(self.people, max(1, self.residents // 400)) if p.here(day)]
        t = self.at(day, 14)
        for person in people:
            t += dice.randint(200, 500)
            self.sample(person, t, booked)

    def sample(self, person, t, booked=()):
        """Whoever sits at the desk, it is of this one."""
        dice = self.dice
        device, text = ("lab-typed", self.typed(person)) if not booked or dice.random() < 0.6 else \
            ("lab-token", person.name_now())
        if dice.random() < 0.05:
            text = "X" + text[1:]
        kind, values, comparators = self.lab_values(person)
        self.unit(t, device, [self.record(person, t, kind, values, comparators=comparators, patient=text, live=True)])

    def typed(self, person):
        """With a slip of one digit now and then; never into the name of another who is booked."""
        dice, text = self.dice, person.name_now()
        if dice.random() > 0.12:
            return text
        at = dice.randrange(2, 7)
        slip = text[:at] + dice.choice([d for d in "0123456789" if d != text[at]]) + text[at + 1:]
        return text if any(slip in (p.token, p.old_token) for p in self.booked) else slip

    def lab_values(self, person):
        dice = self.dice
        kind = dice.choice(("glucose", "glucose", "lipids", "hba1c"))
        if kind == "glucose":
            values, comparators = self.glucose_values(person)
            if dice.random() < 0.5:
                values = {"glu.fasting": text for text in values.values()}
                comparators = {"glu.fasting": sign for sign in comparators.values()}
            return kind, values, comparators
        if kind == "hba1c":
            return kind, {"hba1c": f"{max(4, dice.gauss(6.8, 1)):.1f}"}, {}
        return kind, {"lipid.tc": f"{dice.gauss(5, 0.8):.2f}", "lipid.tg": f"{abs(dice.gauss(1.6, 0.4)) + 0.3:.2f}",
                      "lipid.ldl": f"{abs(dice.gauss(3, 0.5)) + 0.3:.2f}", "lipid.hdl": f"{abs(dice.gauss(1.3, 0.2)) + 0.3:.2f}"}, {}

    # --- at home

    def make_home_cuffs(self):
        dice = self.dice
        self.home_cuffs, self.slot_cuffs = [], []
        count = max(6, self.residents // 20)
        takers = [p for p in self.people if p.setting != "care_home" and not p.joined]
        dice.shuffle(takers)
        for n in range(count):
            mode = ("live", "stored", "stored", "stored", "plain")[n % 5]
            cuff = HomeCuff(dice, f"home-{n + 1:03}", mode)
            periods = 1 if mode == "plain" else dice.choice((1, 2, 3, 4))
            for k in range(periods):
                if takers:
                    day = 1 + k * (DAYS // periods) + (dice.randrange(12) if k else 0)
                    cuff.holders.append((self.at(day, 10, n % 60), takers.pop()))
            self.home_cuffs.append(cuff)
        for n in range(max(2, self.residents // 75)):
            cuff = HomeCuff(dice, f"family-{n + 1:03}", ("live", "stored")[n % 2])
            cuff.family = [takers.pop() for _ in range(2) if takers]
            self.slot_cuffs.append(cuff)

    def bind_slots(self):
        for n, cuff in enumerate(self.slot_cuffs):
            for slot, person in enumerate(cuff.family, 1):
                self.cmd(self.at(0, 7, n % 60, slot), "bind", {"device": cuff.id, "resident": person.name_now(),
                                                               "slot": slot})

    def hand_overs(self, day):
        for cuff in self.home_cuffs:
            for since, person in cuff.holders:
                if self.day_of(since) == day and person.listed:
                    self.cmd(since, "bind", {"device": cuff.id, "resident": person.name_now()})

    def home_day(self, day, share):
        """share: how many measurements a cuff has on a day that is not of a home week."""
        for cuff in self.home_cuffs:
            self.cuff_day(cuff, day, share, None)
        for cuff in self.slot_cuffs:
            for slot, person in enumerate(cuff.family, 1):
                self.cuff_day(cuff, day, share, (slot, person))
            if self.dice.random() < 0.01:
                body = self.people[0]
                self.home_record(cuff, GUEST, body, self.at(day, 15, self.dice.randrange(60)),
                                 self.dice.choice((3, None)))
        for cuff in self.home_cuffs + self.slot_cuffs:
            cuff.next_tell -= 1
            if cuff.mode != "live" and cuff.next_tell <= 0 or day == DAYS - 1:
                self.tell(cuff, day)
                cuff.next_tell = self.dice.randint(1, 2 * cuff.tells_every)

    def cuff_day(self, cuff, day, share, place):
        """A home week every twelve weeks, else now and then."""
        dice = self.dice
        week = (day + int(cuff.id[-3:]) * 5) % 84 < 7
        times = []
        if week:
            for hour in (6, 7, 8, 18, 20, 21)[dice.randrange(3)::3]:
                begin = self.at(day, hour, dice.randrange(50), dice.randrange(60))
                times += [begin + 90 * n for n in range(dice.choice((1, 2, 2, 2, 3)))]
        else:
            whole = int(share) + (dice.random() < share % 1)
            times = [self.at(day, dice.choice((4, 6, 7, 9, 13, 17, 18, 22)), dice.randrange(60), dice.randrange(60))
                     for _ in range(whole)]
        for n, t in enumerate(sorted(times)):
            slot, person = place or (None, cuff.holder(t))
            if person is None or not person.listed or person.joined > day or \
                    person.gone and person.gone[0] <= day and person.gone[1] != "removed" and dice.random() < 0.9:
                continue
            if any(self.at(day, 8) <= since - 0 < self.at(day, 13) and self.at(day, 7) < t < self.at(day, 14)
                   for since, _ in cuff.holders):
                continue
            self.home_record(cuff, person, person, t + n, slot)
            if "t2dm" in person.programmes and dice.random() < 0.03:
                for _ in range(dice.randint(2, 4)):
                    t += 60 * dice.choice((20, 60, 119, 120, 121, 180))
                    if t < self.at(day, 22, 50):
                        self.home_low(cuff, person, t + n, slot)

    def home_low(self, cuff, person, t, slot):
        """One of several lows of a day."""
        values = {"glu.random": self.dice.choice(("2.9", "3.4", "3.8", "3.9", "4.0"))}
        self.keep_home(cuff, self.record(person, t, "glucose", values, **({"slot": slot} if slot else {})), t)

    def home_record(self, cuff, person, body, t, slot):
        dice = self.dice
        glucose = "t2dm" in body.programmes and dice.random() < 0.3
        more = {"slot": slot} if slot else {}
        if glucose:
            values, comparators = self.glucose_values(body)
            record = self.record(person, t, "glucose", values, comparators=comparators, **more)
        else:
            record = self.record(person, t, "bp", self.pressure_values(body), flags=self.pressure_flags(),
                                 **more)
        self.keep_home(cuff, record, t)

    def keep_home(self, cuff, record, t):
        if cuff.mode == "live":
            record["live"] = True
            self.unit(t, cuff.id, [record])
            return
        error = cuff.clock_error(t) if cuff.mode == "stored" else 0
        record["taken"] = self.text(t + error)
        cuff.memory.append(record)

    def tell(self, cuff, day):
        """What is in its memory, and sometimes again what was told before."""
        if not cuff.memory:
            return
        t = self.at(day, 23, self.dice.randrange(50), self.dice.randrange(60))
        clock = self.text(t + cuff.clock_error(t)) if cuff.mode == "stored" else None
        again = cuff.told[-3:] if self.dice.random() < 0.05 else []
        told = again + cuff.memory
        self.unit(t, cuff.id, told[::-1] if cuff.newest_first else told, clock)
        cuff.told, cuff.memory = cuff.memory, []

    # --- visits without a check-in

    def visit_by_command(self, person, t):
        """At home or by telephone; what is typed counts, what its cuff tells does not."""
        dice = self.dice
        form = dice.choice(person.forms())
        person.busy_on.add(self.day_of(t))
        name = self.fresh("v")
        way = dice.choice("23")
        self.cmd(t, "visit_open", {"resident": person.token, "form": form, "way": way}, name=name)
        clear = False
        if way == "2":
            values = self.pressure_values(person)
            values.pop("bp.pulse", None)
            self.enter(t + 200, person, values)
            if dice.random() < 0.3:
                self.enter(t + 260, person, {"weight": f"{2 * person.weight:.1f}"}, units={"weight": "jin"})
            clear = True
            cuff = self.live_cuff_of(person, t)
            if cuff:
                self.home_record(cuff, person, person, t + dice.choice((0, 300, 600)), None)
            if dice.random() < 0.2:
                self.enter(t + 650, person, {"weight": f"{person.weight:.1f}"},
                           taken=self.text(t + dice.choice((0, 500, 600, 601))))
        self.cmd(t + 600, "visit_close", {"visit": "$" + name})
        self.last_way = way
        self.write_visit(person, "$" + name, form, t + 700, clear and form == "htn", False)

    def live_cuff_of(self, person, t):
        return next((c for c in self.home_cuffs if c.mode == "live" and c.holder(t) is person), None)

    def visit_elsewhere(self, person, t):
        dice = self.dice
        form = dice.choice(person.forms())
        day = self.day_of(t) - dice.randint(1, 25)
        if day in person.busy_on:
            return
        person.busy_on.add(day)
        args = {"resident": person.token, "form": form, "day": day_text(day)}
        for key, value, share in (("way", dice.choice("12"), 0.9), ("class", dice.choice((1, 1, 2, 2, 3)), 0.9),
                                  ("next_day", day_text(day + dice.randint(14, 100)), 0.7),
                                  ("referral", "county hospital", 0.15), ("institution", "county hospital", 0.5)):
            if dice.random() < share:
                args[key] = value
        if args.get("referral") and dice.random() < 0.4:
            args["referral_result"] = "1"
        self.cmd(t, "visit_elsewhere", args, by=person.doctor)
        if dice.random() < 0.05:
            self.cmd(t + 5, "visit_elsewhere", args, by=person.doctor, refused="already_so")
