# SPDX-License-Identifier: GPL-3.0-or-later
"""The people of the scripted year of township.py, and what the platform says about them. All invented."""
import datetime
import json

from followup_tables import check_character, check_character_holds

BASE = datetime.datetime(2026, 1, 1)
DAYS = 365
DOCTORS, TEAMS = 6, 3
GATEWAY = "gw-0001"
DISEASES = ("hypertension", "t2dm", "copd")
FORM_OF = {"hypertension": "htn", "t2dm": "t2dm", "copd": "copd"}


def day_text(day):
    return (BASE + datetime.timedelta(days=day)).date().isoformat()


class Person:
    """`gone`: (day, how) or None; `token`: the name under which the year ends."""

    def __init__(self, dice, number):
        digits = f"R-{number:05}"
        self.token = digits + check_character(digits)
        if dice.random() < 0.1:
            self.token = next(name for name in (f"L-{number:05}", f"K-{number:05}")
                              if not check_character_holds(name))
        self.old_token = None  # a second record of the same person, until it is merged
        self.merged_on = None
        self.joined, self.gone = 0, None
        self.listed = False
        self.sex = dice.choice("MF")
        self.years = self.age_drawn(dice)
        self.birth = self.birth_text(dice)
        self.conditions, self.populations = [], []
        self.programmes = self.programmes_drawn(dice)
        if self.sex == "F" and 22 <= self.years <= 40 and dice.random() < 0.5:
            self.conditions.append("pregnant")
            self.programmes = self.programmes or [dice.choice(DISEASES[:2])]
        self.doctor, self.team = f"D-{dice.randint(1, DOCTORS):04}", f"T-{dice.randint(1, TEAMS):04}"
        self.setting = dice.choices(("clinic", "home", "home_bed", "care_home"), (80, 10, 4, 6))[0]
        if self.years < 65 and self.setting == "care_home":
            self.setting = "clinic"
        self.owner = "gw-0002" if dice.random() < 0.03 else dice.choice(("", GATEWAY))
        self.contract(dice)
        self.systolic = dice.gauss(146 if "hypertension" in self.programmes else 131, 13)
        self.diastolic = 0.45 * self.systolic + dice.gauss(17, 5)
        self.glucose = max(3.4, dice.gauss(7.6 if "t2dm" in self.programmes else 5.4, 1.3))
        self.weight, self.height = dice.gauss(63, 10), dice.gauss(162, 8)
        self.nervous = dice.random() < 0.04
        self.busy_on = set()  # days on which something is planned: one visit a day
        self.card, self.has_card = f"CARD-{number:06}", False

    @staticmethod
    def age_drawn(dice):
        kind = dice.random()
        if kind < 0.12:
            return 65
        if kind < 0.17:
            return 80
        if kind < 0.21:
            return dice.randint(1, 17)
        return dice.randint(25, 64) if kind < 0.5 else dice.randint(66, 92)

    def birth_text(self, dice):
        born = 2026 - self.years
        kind = dice.random()
        if kind < 0.7:
            if born % 4 == 0 and dice.random() < 0.05:
                return f"{born}-02-29"
            return (datetime.date(born, 1, 1) + datetime.timedelta(dice.randrange(365))).isoformat()
        if kind < 0.85:
            return str(born)
        if kind < 0.95:
            low = self.years // 5 * 5
            since = datetime.date(2025, 11, 1) + datetime.timedelta(dice.randrange(300))
            return f"{low}-{low + 4}@{since.isoformat()}"
        return ""

    def programmes_drawn(self, dice):
        found = []
        if self.years >= 35:
            found = [name for name, share in zip(DISEASES, (0.42, 0.16, 0.05)) if dice.random() < share]
        if self.years >= 65 and dice.random() < 0.8:
            found.append("elderly")
        return found

    def contract(self, dice):
        """40 % of those whose year ends in June do not renew."""
        kind = dice.random()
        self.signed_on = self.valid_from = self.valid_to = ""
        self.renews = False
        if kind < 0.5:
            self.valid_from, self.valid_to = "2026-01-01", "2026-12-31"
        elif kind < 0.85:
            self.valid_from, self.valid_to = "2025-07-01", "2026-06-30"
            self.renews = dice.random() < 0.6
        elif kind < 0.95:
            self.signed_on = dice.choice(("2025-03-04", "2025-12-31", "2026-04-01"))

    def fields(self, token=None):
        """As a roster tells it; what is empty is left out."""
        all_of = {"token": token or self.token, "birth_date": self.birth, "sex": self.sex,
                  "programmes": ";".join(self.programmes), "populations": ";".join(self.populations),
                  "conditions": ";".join(self.conditions), "setting": self.setting, "doctor": self.doctor,
                  "team": self.team, "signed_on": self.signed_on, "valid_from": self.valid_from,
                  "valid_to": self.valid_to, "owner": self.owner}
        return {name: value for name, value in all_of.items() if value}

    def here(self, day):
        """Listed, active, and not about to leave."""
        return self.listed and self.joined <= day and (self.gone is None or day < self.gone[0])

    def ours(self):
        return self.owner in ("", GATEWAY)

    def forms(self):
        return [FORM_OF[name] for name in DISEASES if name in self.programmes]

    def name_now(self):
        """The record that the clinic uses."""
        return self.old_token if self.old_token and self.merged_on is None else self.token

    def age_is_clear(self):
        """No doubt at the border of 65 this year."""
        return len(self.birth) == 10 or bool(self.birth) and not 57 < self.years < 73


class People:
    """Rosters, deltas, merges, deaths: part of the township."""

    def make_people(self):
        dice = self.dice
        self.people = [Person(dice, n + 1) for n in range(self.residents)]
        for person in self.people:
            kind = dice.random()
            if kind < 0.03:
                person.joined = dice.randrange(10, 300)
            elif kind < 0.10:
                how = dice.choices(("died", "moved", "withdraw", "removed"), (4, 3, 2, 2))[0]
                person.gone = (dice.randrange(40, 350), how)
        doubles = [p for p in self.people if not p.gone and not p.joined and p.setting != "care_home" and p.ours()]
        for n, person in enumerate(dice.sample(doubles, min(len(doubles), self.residents // 100 + 1))):
            digits = f"R-{90000 + n:05}"
            person.old_token = digits + check_character(digits)
            person.merges = dice.randrange(60, 330)
        self.version = 100

    def open_roster(self):
        """A file first; then the platform takes over."""
        head = "token,birth_date,sex,programmes,doctor,team,valid_from,valid_to\n"
        self.cmd(self.at(0, 5), "import", {"csv": "token,birth_date\nR-0000A,1950-02-30\n"}, refused="bad_lines")
        self.cmd(self.at(0, 5, 1), "import", {"csv": head + "".join(
            f"{p.token},{p.birth},{p.sex},{';'.join(p.programmes)},{p.doctor},{p.team},{p.valid_from},{p.valid_to}\n"
            for p in self.people[:20] if not p.joined)})
        self.full_roster(0)
        self.cmd(self.at(0, 5, 50), "import", {"csv": "token\nR-0000A\n"}, refused="roster_owned")
        for n in range(1, TEAMS + 1):
            members = [{"member": f"D-{d:04}", "role": "doctor"} for d in range(1, DOCTORS + 1) if d % TEAMS == n % TEAMS]
            self.cmd(self.at(0, 5, 51, n), "team", {"team": f"T-{n:04}",
                                                     "members": members + [{"member": "N-0001", "role": "nurse"}]})
        for n, person in enumerate(self.people):
            if person.listed and (person.setting == "care_home" or n % 3 == 0):
                self.cmd(self.at(0, 5, 52) + n // 60, "card", {"card": person.card, "resident": person.name_now()})
                person.has_card = True

    def full_roster(self, day):
        """Whoever left is not on it any more."""
        told = []
        for person in self.people:
            if person.gone and person.gone[0] < day and person.gone[1] == "removed" and self.dice.random() < 0.7:
                person.gone = None  # back again
            if person.joined <= day and not (person.gone and person.gone[0] < day + (person.gone[1] == "removed")):
                person.listed = True
                told.append(person.fields())
                if person.old_token and person.merged_on is None:
                    told.append(person.fields(person.old_token))
        self.version += 1
        size = 500 if len(told) > 500 else max(1, len(told) // 3)
        chunks = [told[i:i + size] for i in range(0, len(told), size)]
        for n, chunk in enumerate(chunks, 1):
            self.cmd(self.at(day, 5, 28, n), "roster", {"mode": "full", "version": str(self.version), "n": n,
                                                         "of": len(chunks), "residents": chunk}, by="platform")

    def delta(self, day, changed, removed=()):
        """What changed since the version before; sometimes in chunks, sometimes on a wrong base first."""
        base, self.version = self.version, self.version + 1
        told = [p.fields() for p in changed]
        told += [p.fields(p.old_token) for p in changed if p.old_token and p.merged_on is None]
        body = {"mode": "delta", "version": str(self.version), "base": str(base)}
        if self.dice.random() < 0.2:
            self.cmd(self.at(day, 5, 20), "roster", {**body, "base": str(base - 1), "residents": told},
                     by="platform", refused="wrong_base")
        names = [p.token for p in removed]
        if len(told) > 3 and self.dice.random() < 0.5:
            half = len(told) // 2
            self.cmd(self.at(day, 5, 21), "roster", {**body, "n": 1, "of": 2, "residents": told[:half]}, by="platform")
            self.cmd(self.at(day, 5, 22), "roster", {**body, "n": 2, "of": 2, "residents": told[half:],
                                                     "removed": names}, by="platform")
        else:
            self.cmd(self.at(day, 5, 23), "roster", {**body, "residents": told, "removed": names}, by="platform")

    def lives_of(self, day):
        """What happens to people, before the clinic opens."""
        dice = self.dice
        changed = [p for p in self.people if p.joined == day and day]
        for person in changed:
            person.listed = True
        removed = [p for p in self.people if p.gone == (day, "removed")]
        if day == 175:
            for person in self.people:
                if person.renews and person.here(day):
                    person.valid_to = "2027-06-30"
                    if person not in changed:
                        changed.append(person)
        if day % 7 == 3:
            changed += self.changes(day, changed)
        if changed or removed:
            self.delta(day, changed, removed)
        if day in (90, 270):
            self.full_roster(day)
        for n, person in enumerate(self.people):
            at = self.at(day, 5, 30) + n % 600
            if person.gone and person.gone[0] == day and person.gone[1] != "removed" and person.listed:
                self.cmd(at, person.gone[1], {"resident": person.token})
                if dice.random() < 0.2 and person.gone[1] == "died":
                    self.cmd(at + 700, "checkin", {"station": "desk-1", "resident": person.token,
                                                   "purpose": "follow-up"}, refused="not_active")
            if person.old_token and person.merged_on is None and person.merges == day:
                person.merged_on = day
                self.cmd(at, "merge", {"resident": person.old_token, "into": person.token})

    def changes(self, day, taken):
        """A few are diagnosed, pregnant or mothers."""
        found = []
        for person in self.dice.sample(self.people, max(1, self.residents // 300)):
            if not person.here(day) or person in taken or person.old_token:
                continue
            if "pregnant" in person.conditions:
                person.conditions = ["breastfeeding"]
            elif person.years >= 35 and "hypertension" not in person.programmes:
                person.programmes = [n for n in (*DISEASES, "elderly") if n in person.programmes or n == "hypertension"]
            elif not person.populations:
                person.populations = ["disabled"]
            else:
                continue
            found.append(person)
        return found


def write_line(file, line):
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
