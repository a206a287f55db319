# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of a day are about, in the village of alert_village.py: weeks at home, and visits that are due."""
from alert_people import COLUMNS, DAY_S, text_of

FORMS = (("htn", "hypertension"), ("t2dm", "t2dm"), ("copd", "copd"), ("elderly", "elderly"))
HOURS = ((7, 7, 20, 20), (6, 9, 18, 22), (5, 8, 17, 19), (4, 9, 16, 22), (9, 10, 17, 23), (7, 7, 8, 8))
AHEAD_DAYS, BEHIND_DAYS = 50, 75  # of the first planned visits


class Plans:
    """Part of the village; self has dice, people, own, events."""

    def visits_before(self):
        """What was held before, and what it planned."""
        for person in self.people:
            for form, programme in FORMS:
                if programme in person.programmes and person.owner != "gw-0002" and self.dice.random() < 0.6:
                    planned = self.dice.randint(-BEHIND_DAYS, AHEAD_DAYS)
                    self.visited(person, form, planned - 90, planned)

    def visited(self, person, form, day, planned):
        """Days since the village began; planned: None, nothing."""
        args = {"resident": person.name_now(), "form": form, "day": text_of(day * DAY_S)[:10], "way": "1",
                "class": self.dice.choice("1123")}
        if planned is not None:
            args["next_day"] = text_of(planned * DAY_S)[:10]
        self.cmd("visit_elsewhere", args, by=person.doctor or "D-0001")

    def plan_days(self, day):
        """Visits, plans, and the beginnings of weeks at home, of a day."""
        dice, start = self.dice, day * DAY_S
        for _ in range(max(1, len(self.people) // 60)):
            self.after(start + 8 * 3600 + dice.randrange(9 * 3600), self.some_visit)
        for _ in range(dice.choice((0, 1, 1, 2, 3)) if self.wanted > self.made else 0):
            self.begin_week(start)
        if dice.random() < 0.3:
            self.after(start + dice.randrange(DAY_S), self.to_another_gateway)

    def some_visit(self):
        """Held, or only planned."""
        dice, person = self.dice, self.dice.choice(self.people)
        resident = self.model.residents.get(person.name_now())
        forms = [form for form, programme in FORMS if resident and programme in resident.programmes]
        if not forms or resident.state != "active" or resident.owner == "gw-0002":
            return
        form, today = dice.choice(forms), self.t // DAY_S
        planned = today + dice.choice((-40, -29, -8, -1, 0, 1, 14, 90))
        if dice.random() < 0.4:
            self.cmd("plan", {"resident": resident.token, "form": form, "day": text_of(planned * DAY_S)[:10]},
                     by=person.doctor or "D-0001")
        else:
            self.visited(person, form, today, dice.choice((planned, planned, None)))

    def begin_week(self, start):
        """Somebody measures every morning and evening for some days, and forgets it now and then."""
        dice = self.dice
        cuffs = [i for i in self.own if i.tool == "cuff" and i.mode in ("live", "clock") and len(i.people) < 5]
        if not cuffs:
            return
        instrument, hours, skips = dice.choice(cuffs), dice.choice(HOURS), dice.choice((0, 0, 0.1, 0.3))
        person = dice.choice(instrument.people) if instrument.slots else None
        for day in range(dice.choice((1, 4, 5, 7, 7, 8, 14))):
            for n, hour in enumerate(hours):
                if dice.random() >= skips:
                    at = start + day * DAY_S + hour * 3600 + n * 400 + dice.randrange(300)
                    self.after(at, self.at_home, instrument, person, 0)

    def to_another_gateway(self):
        person = self.dice.choice(self.people)
        if person.here and not person.double:
            person.owner = self.dice.choice(("", "gw-0001", "gw-0002"))
            self.cmd("import", {"csv": ",".join(COLUMNS) + "\n" + person.csv()})
