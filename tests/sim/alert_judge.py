# SPDX-License-Identifier: GPL-3.0-or-later
"""What one reading says of each condition: fires and holds. ALERTS.md sections 2 and 3.

History keeps a resident's values by kind, each list in order of (when, order of filing).
"""
from bisect import bisect_left, bisect_right, insort

import followup_tables as tables
from alert_rules import breaks

LOW_APART_S = 60 * tables.number("hypo.episode_minutes")
MOST_VALUES = 512
ENDLESS = float("inf")
GLUCOSE = tuple(kind for kind in tables.KINDS if kind.startswith("glu.") and kind != "glu.control")


class History:
    """(when, order, number, comparator) of readings with a trusted time."""

    def __init__(self):
        self.kinds = {}

    def add(self, reading):
        for kind, (number, sign) in reading.values.items():
            if number is not None and kind != "glu.control":
                insort(self.kinds.setdefault(kind, []), (reading.taken, reading.order, number, sign))

    def remove(self, reading, kinds):
        for kind in kinds:
            values = self.kinds.get(kind, ())
            at = bisect_left(values, (reading.taken, reading.order))
            if at < len(values) and values[at][1] == reading.order:
                del values[at]

    def before(self, kinds, when, within_s, order):
        """Values of other readings from when - within_s to when, in order."""
        found = []
        for kind in kinds:
            values = self.kinds.get(kind)
            if values:
                found += [v for v in values[bisect_left(values, (when - within_s,)):
                                            bisect_right(values, (when, ENDLESS))] if v[1] != order]
        if len(kinds) > 1:
            found.sort()
        return found[-MOST_VALUES:]

    def later(self, kinds, when):
        """Whether a value of one of these kinds was taken later."""
        return any(self.kinds.get(kind) and self.kinds[kind][-1][0] > when for kind in kinds)


NOTHING = History()


def median(values, least):
    """None while there are too few."""
    if len(values) < least:
        return None
    return sorted(value[2] for value in values)[(len(values) - 1) // 2]


class Verdict:
    """Of one condition: the level that fires, and the kinds of this reading on which rules of that level fired."""

    __slots__ = ("condition", "level", "kinds", "held")

    def __init__(self, condition):
        self.condition, self.level, self.kinds = condition, 0, ()
        self.held = 0  # a bit for each severity of a rule that holds on

    def fired(self, level, kinds):
        if level > self.level:
            self.level, self.kinds = level, ()
        if level == self.level:
            self.kinds = tuple(dict.fromkeys((*self.kinds, *kinds)))

    def holds(self, level):
        return max([self.level] + [n for n in range(1, level + 1) if self.held >> n & 1])


class Judged:
    """A reading on its way through the rules."""

    def __init__(self, reading, history, instead=()):
        self.reading, self.history, self.when = reading, history, when_of(reading)
        self.instead = instead  # (rule, kind) in whose place a personal limit stands

    def verdict(self, condition):
        verdict = Verdict(condition)
        values = self.reading.values
        for rule in condition.rules:
            if rule.type == "combination":
                kinds = self.combined(rule)
                if kinds:
                    verdict.fired(rule.level, kinds)
                continue
            for kind in rule.kinds:
                if kind in values and not (self.instead and (rule, kind) in self.instead):
                    number, sign = values[kind]
                    if number is not None:
                        self.ask(verdict, rule, kind, number, sign)
        return verdict

    def ask(self, verdict, rule, kind, number, sign):
        if rule.type == "time_below":
            total = number + sum(v[2] for v in self.before(rule.kinds, rule.within_s))
            if rule.breaks(total, ""):
                verdict.fired(rule.level, (kind,))
            return
        if rule.breaks(number, sign):
            fires = TYPES[rule.type](self, rule, kind, number, sign)
        elif rule.holds_on and rule.held(number, sign):
            fires = False
        else:
            return
        if rule.holds_on and not (rule.usual_by is not None and self.is_usual(rule, kind, number, sign)):
            verdict.held |= 1 << rule.level
        if fires:
            verdict.fired(rule.level, (kind,))

    def before(self, kinds, within_s):
        return self.history.before(kinds, self.when, within_s, self.reading.order)

    def is_usual(self, rule, kind, number, sign):
        """Near to the own median: the rule is off. What is censored is never usual."""
        if sign:
            return False
        usual = median(self.before((kind,), rule.within_s), rule.least)
        if usual is None:
            return False
        upper = rule.limits[0][0]
        return number < usual + rule.usual_by if upper else number > usual - rule.usual_by

    def limit(self, rule, kind, number, sign):
        return rule.usual_by is None or not self.is_usual(rule, kind, number, sign)

    def range(self, *_):
        return True

    def repeated(self, rule, *_):
        latest = self.before(rule.kinds, rule.within_s)[-(rule.n - 1):] if rule.n > 1 else []
        return 1 + sum(rule.breaks(v[2], v[3]) for v in latest) >= rule.k

    def rise(self, rule, _kind, number, _sign):
        usual = median(self.before(rule.kinds, rule.within_s), rule.least)
        return usual is not None and number >= usual + rule.by

    def fall(self, rule, _kind, number, _sign):
        usual = median(self.before(rule.kinds, rule.within_s), rule.least)
        return usual is not None and number <= usual - rule.by

    def gain(self, rule, _kind, number, _sign):
        earlier = self.before(rule.kinds, rule.within_s)
        return bool(earlier) and number - min(v[2] for v in earlier) >= rule.by

    def repeated_low(self, rule, *_):
        moments = sorted([v[0] for v in self.before(rule.kinds, rule.within_s) if rule.breaks(v[2], v[3])] +
                         [self.when])
        return 1 + sum(b - a >= LOW_APART_S for a, b in zip(moments, moments[1:])) >= rule.k

    def combined(self, rule):
        """The kinds of this reading on which it fires."""
        own, earlier = [], []
        for kinds, limits in rule.parts:
            mine = [kind for kind in kinds if self.reading.values.get(kind, (None,))[0] is not None]
            broken = [kind for kind in mine if part_broken(limits, self.reading.values[kind])]
            if mine and not broken:
                return ()
            own += broken
            if not mine:
                earlier.append((kinds, limits))
        for kinds, limits in earlier if own else ():
            found = self.before(kinds, rule.within_s)
            if not found or not part_broken(limits, found[-1][2:]):
                return ()
        return own


def part_broken(limits, value):
    return breaks(limits, *value)


TYPES = {name: getattr(Judged, name) for name in ("limit", "range", "repeated", "rise", "fall", "gain", "repeated_low")}


def when_of(reading):
    return reading.taken if reading.trusted() else reading.arrived


def overtaken(reading, condition, history):
    """A later value of what the condition is about is known."""
    if reading.resident is None or not reading.trusted():
        return False
    mine = [kind for kind in reading.values if kind in condition.kinds and reading.values[kind][0] is not None]
    about = set(mine)
    if any(kind.startswith("glu.") for kind in mine):
        about.update(GLUCOSE)
    return history.later(about, reading.taken)
