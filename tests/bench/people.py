# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated population of home hypertensives: who they are, what their pressure does, what their cuffs deliver.

Sizes are those of the published clinic (S-JMIR: 174 patients, mean 207 days, 30,184 measurements). It does not
say how its patients' pressures were spread: what stands below without a tag is assumed.

People      40 to 85 years; every seventh cuff is a couple's and has user slots. Home mean when they come: systolic
            144, sd 13 between persons; diastolic 84 + 0.45 of what the systolic is off its mean, sd 7; pulse 72,
            sd 9 (half of that in age and medicine is not modelled).
Level       slowly: titration takes 60 % of what is above 132 within some months (four of five persons; of the
            fifth 15 %); who comes because of a high value comes on a high day: 6, gone in ten days; winter to summer
            -4 (the year begins in January); a wandering of sd 4 over some 10 days. Within a day: mornings higher than
            evenings by 3, sd 4 between persons. From one reading to the next white noise, sd 8 / 5 / 4 (systolic,
            diastolic, pulse), of which diastolic shares 0.4 of the systolic's. The first of a sitting is 3 higher.
Adherence   half of them measure as S-TAS: the first week of each month, twice every morning and evening, 95 % of the
            sittings. The others once a day, on 70 to 100 % of the days. One in 20 stops after some weeks.
Crises      0.4 in a patient's year: pressure up by 55 to 90 (an emergency), pressure down to 65 to 80, pulse of 140 to
            170 (irregular), pulse of 30 to 38. Each comes within 0.5 to 3 hours, stays for 1 to 8 and goes within 3 to
            18. Three of four feel it, and measure every 10 to 40 minutes for up to five hours.
Artefacts   moved: 3 % of readings, value off by 8, sd 18; the cuff says so in 70 %. Loose cuff: 1.5 %, off by 12,
            sd 14; said in 60 %. Arm too low: 3 %, off by 8, sd 4; never said.
Repeats     after a value that the display calls critical, or that it doubts: the advice of config/alerts.yaml (sit for
            five minutes) is followed by 80 %, at most twice; after 160 or more by 30 %.
Delivery    at once, but for 4 % of the sittings: these wait in the cuff's memory for the next sitting or up to three
            days. One cuff in 40 has no clock: its readings are dated by their arrival.
Contract    ends within the time for one person in twenty.
"""
import datetime
import math
import random

PATIENTS, DAYS = 174, 200
BEGIN = datetime.datetime(2026, 1, 5)
HOUR, DAY = 3600.0, 86400.0

CRISES = 0.4 / 365          # a day and patient
KINDS = ("high", "low", "fast", "slow")

# What a person must see: the national rule (S-360HTN) and NEWS2 score 3 (S-NEWS2). A systolic pressure of 81 to 90
# is one where it is not the person's own: `critical` is of these below only.
HIGH_SYS, HIGH_DIA, LOW_SYS, FAST, SLOW = 180, 110, 80, 131, 40


def critical(values):
    """Numbers that a person must see, whoever they are of."""
    sys, dia, pulse = values
    return sys >= HIGH_SYS or dia >= HIGH_DIA or sys <= LOW_SYS or pulse >= FAST or pulse <= SLOW


class Crisis:
    def __init__(self, dice, number, begin):
        self.number, self.begin, self.kind = number, begin, dice.choice(KINDS)
        self.rise, self.stay, self.fall = (dice.uniform(*hours) * HOUR for hours in ((0.5, 3), (1, 8), (3, 18)))
        self.size = {"high": dice.uniform(55, 90), "low": dice.uniform(65, 80), "fast": dice.uniform(140, 170),
                     "slow": dice.uniform(30, 38)}[self.kind]
        self.felt = dice.random() < 0.75
        self.end = begin + self.rise + self.stay + self.fall

    def share(self, t):
        """0 to 1: how much of it there is."""
        since = t - self.begin
        if since < 0 or t > self.end:
            return 0.0
        return min(1.0, since / self.rise, (self.end - t) / self.fall)

    def bend(self, t, level):
        share, (sys, dia, pulse) = self.share(t), level
        if self.kind == "high":
            return sys + share * self.size, dia + share * self.size * 0.5, pulse + share * 12
        if self.kind == "low":
            return (sys + share * (self.size - sys), dia + share * (self.size * 0.62 - dia), pulse + share * 18)
        return sys - share * 5, dia, pulse + share * (self.size - pulse)


class Person:
    """`spread`: factor of every sd."""

    def __init__(self, dice, number, spread):
        self.dice, self.number, self.spread = dice, number, spread
        self.token = f"R-{number:04d}"
        self.birth = f"{2026 - dice.randint(40, 85)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
        off = dice.gauss(0, 13 * spread)
        self.sys, self.dia = 144 + off, 84 + 0.45 * off + dice.gauss(0, 7 * spread)
        self.pulse = max(50, dice.gauss(72, 9 * spread))
        self.titration = max(0.0, self.sys - 132) * (0.6 if dice.random() < 0.8 else 0.15)
        self.pace = dice.uniform(25, 70)
        self.morning = dice.gauss(3, 4 * spread)
        self.wander, self.wandered = 0.0, 0
        self.times = (dice.gauss(7.2, 0.6), dice.gauss(19.8, 0.8))
        self.weeks = dice.random() < 0.5
        self.keen = 0.95 if self.weeks else dice.uniform(0.7, 1)
        self.until = dice.uniform(15, DAYS) if dice.random() < 1 / 20 else DAYS
        self.lapse = int(dice.uniform(20, DAYS)) if dice.random() < 0.05 else None

    def level(self, t):
        """Pressure and pulse at an instant, without a crisis; to be asked in order of time."""
        day = t / DAY
        while self.wandered < day:
            self.wandered += 1
            self.wander = 0.9 * self.wander + self.dice.gauss(0, 4 * math.sqrt(0.19) * self.spread)
        hours = (t % DAY) / HOUR
        sys = (self.sys - self.titration * (1 - math.exp(-day / self.pace)) + 6 * math.exp(-day / 10)
               - 2 * (1 - math.cos(math.pi * day / 182)) + self.wander + self.morning * (0.5 if hours < 13 else -0.5))
        return sys, self.dia + 0.45 * (sys - self.sys), self.pulse

    def sittings(self):
        """Instants at which this person means to measure, and how often."""
        for day in range(int(self.until)):
            if self.weeks and (BEGIN + datetime.timedelta(day)).day > 7:
                continue
            for at in self.times if self.weeks else (self.dice.choice(self.times),):
                if self.dice.random() < self.keen:
                    yield day * DAY + (at + self.dice.gauss(0, 0.35)) * HOUR, 2 if self.weeks else 1


class Reading:
    def __init__(self, person, t, values, flags, crisis, artefact):
        self.person, self.t, self.values, self.flags = person, t, values, flags
        self.crisis, self.artefact, self.key, self.arrives = crisis, artefact, "", t + 10

    @property
    def critical(self):
        return critical(self.values)


ARTEFACTS = (("body_movement", 0.03, 8, 18, 0.7), ("cuff_too_loose", 0.015, 12, 14, 0.6), ("", 0.03, 8, 4, 0))


class Measuring:
    """All readings of one person, in order of time."""

    def __init__(self, person, crises):
        self.person, self.crises, self.readings, self.lates = person, crises, [], []

    def measure(self, t, first):
        p, dice = self.person, self.person.dice
        sys, dia, pulse = p.level(t)
        crisis = next((c for c in self.crises if c.share(t) > 0), None)
        if crisis:
            sys, dia, pulse = crisis.bend(t, (sys, dia, pulse))
        noise = dice.gauss(0, 8 * p.spread)
        sys += noise + (3 if first else 0)
        dia += 0.4 * noise + dice.gauss(0, 5 * math.sqrt(1 - 0.41) * p.spread)
        pulse += dice.gauss(0, 4 * p.spread)
        flags, artefact = [], False
        for flag, share, by, sd, said in ARTEFACTS:
            if dice.random() < share:
                off = dice.gauss(by, sd)
                sys, dia, artefact = sys + off, dia + 0.6 * off, True
                flags += [flag] if dice.random() < said else []
        if crisis and crisis.kind == "fast":
            flags.append("irregular_pulse")
        sys = min(260, max(50, round(sys)))
        values = (sys, min(sys - 12, max(30, round(dia))), min(200, max(25, round(pulse))))
        self.readings.append(Reading(p, t, values, flags, crisis, artefact))
        return self.readings[-1]

    def sit(self, t, n, late):
        """One sitting, with what the display asks for; returns when it is over."""
        begin, repeats, done = len(self.readings), 0, 0
        while True:
            r = self.measure(t, done == 0)
            done += 1
            doubted = bool(set(r.flags) & {"body_movement", "cuff_too_loose"})
            follows = 0.8 if r.critical or (doubted and r.values[0] >= 160) else 0.3 if r.values[0] >= 160 else 0
            if repeats < 2 and self.person.dice.random() < follows:
                repeats += 1
                t += self.person.dice.uniform(120, 420)
            elif done < n:
                t += self.person.dice.uniform(70, 130)
            else:
                break
        if late:
            self.lates += self.readings[begin:]
        return t

    def deliver(self, until=None):
        """What waits in the cuff goes with the next sitting, or by itself."""
        for r in self.lates:
            r.arrives = until if until else r.t + self.person.dice.uniform(1, 72) * HOUR
        self.lates = []

    def run(self):
        dice = self.person.dice
        plan = [(t, n, dice.random() < 0.04) for t, n in self.person.sittings()]
        for c in self.crises:
            t = c.begin + c.rise * dice.uniform(0.5, 1.2)
            while c.felt and t < min(c.end, c.begin + 5 * HOUR):
                plan.append((t, 1, dice.random() < 0.04))
                t += dice.uniform(600, 2400)
        over = 0.0
        for t, n, late in sorted(plan):
            if t < over + 60:
                continue        # still measuring
            if self.lates and not late:
                self.deliver(t + 20 if dice.random() < 0.6 else None)
            over = self.sit(t, n, late)
        self.deliver()
        return self.readings


class Population:
    """`readings` in order of their arrival, `crises`."""

    def __init__(self, seed, spread=1.0):
        dice = random.Random(seed)
        self.people, self.readings, self.crises = [], [], []
        for number in range(1, PATIENTS + 1):
            person = Person(random.Random(dice.random()), number, spread)
            crises, t = [], dice.expovariate(CRISES) * DAY
            while t < DAYS * DAY:
                crises.append(Crisis(dice, len(self.crises) + len(crises), t))
                t = crises[-1].end + dice.expovariate(CRISES) * DAY
            self.people.append(person)
            self.crises += crises
            self.readings += Measuring(person, crises).run()
        self.share_cuffs()
        self.readings.sort(key=lambda r: (r.arrives, r.t))
        for n, r in enumerate(self.readings):
            r.key = f"m{n}"

    def share_cuffs(self):
        """cuff, slot (None: one person's) and clock (False: it has none) of each person."""
        n = 0
        for i, p in enumerate(self.people):
            second = i % 8 == 1
            n += not second
            p.cuff, p.clock = f"cuff-{n}", n % 40 != 0
            p.slot = 2 if second else 1 if i % 8 == 0 and i + 1 < len(self.people) else None
