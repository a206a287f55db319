# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule file: limits, for whom a rule is. ALERTS.md sections 1 and 2, made from the text alone.

Values are thousandths of the canonical unit; a value is (number, comparator).
"""
import functools
import os
from fractions import Fraction

import yaml

import followup_tables as tables

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LEVELS = {"none": 0, "notice": 1, "warning": 2, "critical": 3}
WORDS = {number: word for word, number in LEVELS.items()}
CHILD_BELOW = 7
DAY_S = 86400
MEDIAN_S, MEDIAN_LEAST = 14 * DAY_S, 5
DAILY = ("mean", "overdue", "missing")
# limit: (upper side, the number itself is beyond)
LIMITS = {"at_least": (True, True), "above": (True, False), "at_most": (False, True), "below": (False, False)}


def thousandths(number):
    value = Fraction(str(number)) * 1000
    assert value.denominator == 1, number
    return int(value)


def kinds_of(pattern):
    """"glu.*": every kind that begins so; control solution is nobody's glucose."""
    if pattern.endswith("*"):
        return tuple(kind for kind in tables.KINDS if kind.startswith(pattern[:-1]) and kind != "glu.control")
    return (pattern,)


def limits_of(keys):
    return tuple((*LIMITS[name], thousandths(keys[name])) for name in LIMITS if name in keys)


def breaks(limits, number, sign):
    """Whether a value breaks one of the limits; a censored one breaks all on its side."""
    for upper, itself, limit in limits:
        if number == limit and itself or (number > limit if upper else number < limit) or \
                sign and sign[0] == (">" if upper else "<"):
            return True
    return False


class Rule:
    def __init__(self, keys):
        self.id, self.type = keys["id"], keys.get("type", "limit")
        self.condition = keys.get("condition", self.id)
        self.level = LEVELS[keys["severity"]]
        self.limits = limits_of(keys)
        self.margin = thousandths(keys.get("margin", 0))
        self.by, self.usual_by = (thousandths(keys[name]) if name in keys else None for name in ("by", "usual_by"))
        self.within_s = keys.get("within_s", MEDIAN_S)
        self.least = keys.get("least", MEDIAN_LEAST)
        self.k, self.n = keys.get("k"), keys.get("n")
        self.parts = [(kinds_of(part["kind"]), limits_of(part)) for part in keys.get("parts", ())]
        self.kinds = kinds_of(keys["kind"]) if "kind" in keys and not self.parts else \
            tuple(dict.fromkeys(kind for kinds, _ in self.parts for kind in kinds))
        self.form, self.days = keys.get("form"), keys.get("days")
        self.holds_on = self.type in ("limit", "range")
        # for whom
        self.trait, self.without = tuple(keys.get("trait", ())), tuple(keys.get("not", ()))
        self.lists = [(name, frozenset(keys[name])) for name in ("programme", "population") if name in keys]
        self.setting = frozenset(keys["setting"]) if "setting" in keys else None
        self.age_from, self.age_below = keys.get("age_from"), keys.get("age_below")
        self.altitude_from, self.altitude_below = keys.get("altitude_from"), keys.get("altitude_below")
        self.unknown_fires = keys.get("unknown") == "fires"

    def breaks(self, number, sign):
        return breaks(self.limits, number, sign)

    def held(self, number, sign):
        """Not further inside than the margin."""
        return any(breaks((limit,), number + (self.margin if limit[0] else -self.margin), sign)
                   for limit in self.limits)

    def is_for(self, person, altitude):
        if self.altitude_from is not None and altitude < self.altitude_from or \
                self.altitude_below is not None and altitude >= self.altitude_below:
            return False
        if person is None:
            return self.unknown_fires or not (self.trait or self.lists or self.setting is not None or
                                              self.age_from is not None or self.age_below is not None)
        return (all(trait in person.traits for trait in self.trait) and
                not any(trait in person.traits for trait in self.without) and
                all(words & getattr(person, name) for name, words in self.lists) and
                self.fits_setting(person.setting) and self.fits_age(person.age))

    def fits_setting(self, setting):
        if self.setting is None:
            return True
        return setting in self.setting or not setting and self.unknown_fires

    def fits_age(self, age):
        for years, wanted in ((self.age_from, True), (self.age_below, False)):
            if years is not None:
                told = tables.at_least(age, years)
                if not (self.unknown_fires if told is None else told == wanted):
                    return False
        return True


class Person:
    """What is known of a resident on a day."""

    def __init__(self, programmes, populations, conditions, setting, age):
        self.programme, self.population, self.setting, self.age = programmes, populations, setting, age
        traits = set(conditions)
        if "pregnant" in populations:
            traits.add("pregnant")
        if "t2dm" in programmes or "diabetes" in populations or "treated_diabetes" in conditions:
            traits.add("diabetes")
        if "hypertension" in programmes or "hypertension" in populations:
            traits.add("hypertension")
        if "child_0_6" in populations or tables.at_least(age, CHILD_BELOW) is False:
            traits.add("child")
        self.traits = traits


@functools.lru_cache(maxsize=1 << 16)
def age_on(birth, day):
    return tables.age_on(birth, day)


class Condition:
    """The rules of a condition that are for somebody and about one of a reading's kinds."""

    def __init__(self, name, rules):
        self.name, self.rules = name, rules
        self.kinds = frozenset(kind for rule in rules for kind in rule.kinds)


class Rules:
    def __init__(self, path=None, altitude=0):
        with open(os.path.join(ROOT, path or "config/alerts.yaml"), encoding="utf-8") as f:
            keys = yaml.load(f, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.least = LEVELS[keys.get("least", "warning")]
        self.escalate = {"critical_s": 900, "warning_s": 14400, "again_s": 14400, **keys.get("escalate", {})}
        self.late = {"label_s": 600, "page_s": 7200, **keys.get("late", {})}
        self.repeat = {"flags": (), "kinds": (), "resolves_s": 1800, **keys.get("repeat", {})}
        self.doubtful = frozenset(self.repeat["flags"])
        self.repeat_kinds = frozenset(kind for pattern in self.repeat["kinds"] for kind in kinds_of(pattern))
        self.altitude = altitude
        rules = [Rule(rule) for rule in keys["rules"] if rule.get("enabled", True) and rule.get("family") != "technical"]
        self.rules = [rule for rule in rules if rule.type not in DAILY]
        self.daily = {}  # condition: rules of a day, in the order of the file
        for rule in rules:
            if rule.type in DAILY:
                self.daily.setdefault(rule.condition, []).append(rule)
        self.ages = sorted({years for rule in self.rules for years in (rule.age_from, rule.age_below)
                            if years is not None} | {CHILD_BELOW})
        self.chosen = {}

    @staticmethod
    def person(resident, day):
        return Person(*(frozenset(words) for words in (resident.programmes, resident.populations, resident.conditions)),
                      resident.setting, age_on(resident.birth_date, day))

    def conditions_for(self, resident, day, kinds):
        """[Condition] that values of these kinds are about; the resident None: nobody."""
        who = None
        if resident is not None:
            age = age_on(resident.birth_date, day)
            told = tuple(tables.at_least(age, years) for years in self.ages)
            who = (tuple(resident.programmes), tuple(resident.populations), tuple(resident.conditions),
                   resident.setting, told)
        found = self.chosen.get((who, kinds))
        if found is None:
            person = who and self.person(resident, day)
            found = self.chosen[who, kinds] = self.choose(person, kinds)
        return found

    def choose(self, person, kinds):
        conditions = {}
        for rule in self.rules:
            if rule.is_for(person, self.altitude):
                conditions.setdefault(rule.condition, []).append(rule)
        found = [Condition(name, rules) for name, rules in conditions.items()]
        return [condition for condition in found if any(kind in condition.kinds for kind in kinds)]
