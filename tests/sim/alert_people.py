#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A village for the rules of alerts, as a scenario of ALERTS.md section 10. All invented.

    alert_people.py SEED [--residents 200] [--readings 20000] [--days 60]     lines to stdout

Here: who lives there, their bodies and their instruments. What happens: alert_village.py.
"""
import argparse
import datetime
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

BASE = datetime.datetime(2026, 3, 2)
DAY_S = 86400
DOCTORS, TEAMS = 8, 3
COLUMNS = ("token", "birth_date", "sex", "programmes", "populations", "conditions", "setting", "doctor", "team",
           "chain", "signed_on", "valid_from", "valid_to", "owner")
MOVED, WEAK = ("body_movement", "cuff_too_loose", "improper_position"), ("low_perfusion", "low_signal_iq", "motion")
SETTINGS = ("clinic", "home", "home_bed", "care_home", "")
# What may befall somebody: what of the body goes how far, and for how many minutes (least, most).
EVENTS = {"crisis": ({"sbp": 55, "dbp": 28, "pulse": 15}, 10, 600), "rise": ({"sbp": 32, "dbp": 12}, 600, 9000),
          "collapse": ({"sbp": -42, "dbp": -18, "pulse": 25}, 10, 400), "fast": ({"pulse": 55}, 5, 300),
          "slow": ({"pulse": -34}, 5, 600), "hypo": ({"glucose": -3.2}, 10, 120), "hyper": ({"glucose": 11}, 60, 5000),
          "hypoxia": ({"spo2": -6, "pulse": 18}, 10, 3000), "fever": ({"temp": 2.4, "pulse": 22}, 200, 6000),
          "cold": ({"temp": -1.9}, 30, 300), "swelling": ({"weight": 2.4}, 3000, 9000)}


def text_of(t):
    return (BASE + datetime.timedelta(seconds=t)).isoformat()


class Somebody:
    def __init__(self, dice, number):
        self.token = f"R-{number:04}"
        self.double, self.doubles = None, 0  # a second record, until it is merged
        self.here = True
        self.sex = dice.choice("MF")
        self.years = dice.choice((3, 5, 6, 7, 20, 28, 33, 45, 55, 60, 63, 64, 65, 66, 70, 78, 85))
        self.birth = self.birth_text(dice)
        self.programmes, self.populations, self.conditions = [], [], []
        self.sorts(dice)
        self.setting = dice.choices(SETTINGS, (30, 40, 8, 12, 5))[0]
        self.doctor = f"D-{dice.randint(1, DOCTORS):04}" if dice.random() < 0.94 else ""
        self.team = f"T-{dice.randint(1, TEAMS):04}" if dice.random() < 0.9 else ""
        other = f"D-{dice.randint(1, DOCTORS):04}"
        self.chain = dice.choice(("", "H-0001", "H-0002;H-0003", f"{other};H-0001", "H-0001;I-0001"))
        self.contract(dice)
        self.owner = dice.choice(("", "", "", "gw-0001", "gw-0002"))
        self.body(dice)
        self.event, self.until = {}, 0

    def birth_text(self, dice):
        born = BASE.year - self.years
        kind = dice.random()
        if kind < 0.7:
            return (datetime.date(born, 1, 1) + datetime.timedelta(dice.randrange(200))).isoformat()
        if kind < 0.82:
            return str(born)
        if kind < 0.92:
            low = self.years // 5 * 5
            return f"{low}-{low + 4}@2026-{dice.randint(1, 4):02}-{dice.randint(1, 28):02}"
        return ""

    def sorts(self, dice):
        if self.years < 7 and dice.random() < 0.6:
            self.populations.append("child_0_6")
        if self.sex == "F" and 20 <= self.years <= 45 and dice.random() < 0.5:
            dice.choice((self.conditions, self.populations)).append("pregnant")
        if self.years < 20:
            return
        for name, share in (("hypertension", 0.5), ("t2dm", 0.25), ("copd", 0.1), ("elderly", 0.3)):
            if dice.random() < share:
                self.programmes.append(name)
        if dice.random() < 0.12:
            self.populations.append(dice.choice(("diabetes", "hypertension", "disabled", "poverty")))
        if "t2dm" in self.programmes and dice.random() < 0.6 or dice.random() < 0.03:
            self.conditions.append("treated_diabetes")
        if "copd" in self.programmes and dice.random() < 0.7:
            self.conditions.append("copd")
        if "copd" in self.conditions and dice.random() < 0.5 or dice.random() < 0.02:
            self.conditions.append("on_oxygen")
        if self.years > 50 and dice.random() < 0.12:
            self.conditions.append("heart_failure")

    def contract(self, dice):
        """Current, over, ending or beginning meanwhile, none."""
        self.signed_on = self.valid_from = self.valid_to = ""
        kind = dice.random()
        if kind < 0.7:
            self.valid_from, self.valid_to = "2026-01-01", "2026-12-31"
        elif kind < 0.8:
            self.valid_from, self.valid_to = "2025-01-01", f"2026-{dice.randint(2, 4):02}-{dice.randint(1, 28):02}"
        elif kind < 0.87:
            self.valid_from, self.valid_to = f"2026-{dice.randint(3, 4):02}-{dice.randint(1, 28):02}", "2027-01-01"
        elif kind < 0.92:
            self.signed_on = dice.choice(("2025-05-05", "2026-02-02"))

    def body(self, dice):
        child = self.years < 8
        high = 18 if "hypertension" in self.programmes else 0
        self.usual = {
            "sbp": dice.choice((88, 94)) if dice.random() < 0.05 else dice.gauss(95 if child else 122 + high, 10),
            "dbp": dice.gauss(60 if child else 74 + high / 2, 7), "pulse": dice.gauss(100 if child else 74, 8),
            "glucose": max(3.6, dice.gauss(8.4 if "t2dm" in self.programmes else 5.4, 1.2)),
            "spo2": dice.gauss(90 if "copd" in self.conditions else 97, 1), "temp": 36.6,
            "weight": dice.gauss(18 if child else 64, 9 if not child else 2)}

    def fields(self, token=None):
        return {"token": token or self.token, "birth_date": self.birth, "sex": self.sex,
                "programmes": ";".join(self.programmes), "populations": ";".join(self.populations),
                "conditions": ";".join(self.conditions), "setting": self.setting, "doctor": self.doctor,
                "team": self.team, "chain": self.chain, "signed_on": self.signed_on, "valid_from": self.valid_from,
                "valid_to": self.valid_to, "owner": self.owner}

    def csv(self, token=None):
        fields = self.fields(token)
        return ",".join(fields[name] for name in COLUMNS) + "\n"

    def name_now(self):
        return self.double or self.token

    # --- what is measured of it

    def befalls(self, dice, t, altitude_fall):
        """Now and then something begins; it ends by itself."""
        if t >= self.until:
            self.event = {}
            if dice.random() < 0.05:
                shift, least, most = EVENTS[dice.choice(list(EVENTS))]
                self.event = {name: by * dice.uniform(0.5, 1.3) for name, by in shift.items()}
                self.until = t + 60 * dice.randint(least, most)
        self.fall = altitude_fall

    def now(self, dice, what, noise):
        fall = self.fall if what == "spo2" else 0
        return self.usual[what] + self.event.get(what, 0) - fall + dice.gauss(0, noise)

    def measured(self, dice, tool):
        """(kind, values, comparators, flags)."""
        return getattr(self, "by_" + tool)(dice)

    def by_cuff(self, dice):
        systolic = clamp(self.now(dice, "sbp", 7), 45, 290)
        diastolic = clamp(min(self.now(dice, "dbp", 5), systolic - 8), 25, 190)
        values = {"bp.sbp": f"{systolic:.0f}", "bp.dbp": f"{diastolic:.0f}"}
        if dice.random() < 0.8:
            values["bp.pulse"] = f"{clamp(self.now(dice, 'pulse', 6), 25, 220):.0f}"
        flags = [dice.choice(MOVED)] if dice.random() < (0.2 if self.event else 0.04) else []
        if dice.random() < 0.03:
            flags.append("irregular_pulse")
        return "bp", values, {}, flags

    def by_meter(self, dice):
        value, kind = self.now(dice, "glucose", 0.7), "glu." + dice.choice(
            ("random", "random", "fasting", "postprandial_2h", "capillary_plasma", "isf"))
        if value > 21 and dice.random() < 0.4:
            return "glucose", {kind: "33.3"}, {kind: ">"}, []
        if value < 2.5 and dice.random() < 0.5:
            return "glucose", {kind: "0.6"}, {kind: "<"}, []
        flags = ["questionable"] if dice.random() < 0.01 else []
        return "glucose", {kind: f"{clamp(value, 1.1, 32):.1f}"}, {}, flags

    def by_oxi(self, dice):
        values = {"spo2": f"{clamp(self.now(dice, 'spo2', 1.1), 55, 100):.0f}",
                  "spo2.pulse": f"{clamp(self.now(dice, 'pulse', 6), 25, 220):.0f}"}
        flags = [dice.choice(WEAK)] if dice.random() < (0.25 if self.event else 0.05) else []
        return "spo2", values, {}, flags

    def by_night(self, dice):
        """The seconds below the limit, of part of a night."""
        low = 60 if self.usual["spo2"] > 93 else 260
        return "spo2", {"spo2.low_s": f"{clamp(dice.expovariate(1 / low), 0, 3600):.0f}"}, {}, []

    def by_therm(self, dice):
        return "temperature", {"temp": f"{clamp(self.now(dice, 'temp', 0.3), 31, 43):.1f}"}, {}, []

    def by_scale(self, dice):
        return "weight", {"weight": f"{clamp(self.now(dice, 'weight', 0.35), 4, 200):.2f}"}, {}, []


def clamp(value, least, most):
    return max(least, min(most, value))


class Instrument:
    """mode: live, clock (its clock is compared), plain (it is not), untimed. Offline, it keeps what it measured."""

    def __init__(self, dice, name, tool, mode, people, slots=False):
        self.id, self.tool, self.mode, self.slots = name, tool, mode, slots
        self.people = people  # of whom it is; with slots the place is the slot
        self.offset = dice.choice((0, 0, 3, -45, 600, -3600, 8 * 3600))
        self.newest_first = dice.random() < 0.25
        self.offline_until, self.kept = 0, []

    def config(self):
        return {"id": self.id, **({"slots": True} if self.slots else {})}


def main():
    from alert_village import Village
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("seed", type=int)
    options.add_argument("--residents", type=int, default=200)
    options.add_argument("--readings", type=int, default=20000)
    options.add_argument("--days", type=int, default=60)
    chosen = options.parse_args()
    for line, _ in Village(random.Random(chosen.seed), chosen.residents, chosen.readings, chosen.days).lines():
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
