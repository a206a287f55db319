# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits that a doctor sets for one resident. ALERTS.md section 2.1."""
import alert_rules
import followup_tables as tables
from alert_judge import when_of
from alert_rules import LEVELS, Condition, Rule, kinds_of, thousandths
from followup_commands import Refused

MOST = 16
REPLACED = ("limit", "repeated")
URGENT = {(kind, "at_most" if name == "glucose_low" else "at_least"): tables.thousandths("urgent." + name)
          for name, kinds in (("sbp", ("bp.sbp",)), ("dbp", ("bp.dbp",)),
                              ("glucose_high", (*tables.BLOOD_GLUCOSE, "glu.*")),
                              ("glucose_low", (*tables.BLOOD_GLUCOSE, "glu.*")))
          for kind in kinds}


class Limit:
    def __init__(self, resident, args, side, by):
        self.resident, self.kind, self.side, self.by = resident, args["kind"], side, by
        self.kinds, self.value = kinds_of(args["kind"]), thousandths(args[side])
        self.level, self.until = LEVELS[args["severity"]], tables.day_of(args["until"])
        self.since = self.ended = None  # seconds
        self.rule = None

    def upper(self):
        return self.side == "at_least"

    def same_place(self, kind, side):
        return self.kind == kind and self.side == side

    def is_looser(self, than):
        return self.value > than if self.upper() else self.value < than


class Limits:
    """Part of the model; self has rules, residents, teams, zone, now."""

    def limits_init(self):
        self.limits = {}  # token: limits that hold or held
        self.waiting = {}  # (token, kind, side): the one that waits for a second doctor

    def doctors(self, resident):
        team = self.teams.get(resident.team, {})
        return {resident.doctor} | {member for member, role in team.items() if role == "doctor"}

    def do_limit(self, args, by):
        resident = self.active(args["resident"])
        side = "at_least" if "at_least" in args else "at_most"
        if args.get("confirm"):
            self.confirm(resident, args, side, by)
            return
        if by not in self.doctors(resident):
            raise Refused("not_allowed")
        if args.get("end"):
            self.end_limit(resident, args["kind"], side)
            return
        if not args.get("reason"):
            raise Refused("reason_missing")
        limit = Limit(resident.token, args, side, by)
        if self.waits_for_second(limit, resident):
            self.waiting[resident.token, limit.kind, side] = limit
        else:
            self.hold(limit)

    def confirm(self, resident, args, side, by):
        if by not in self.doctors(resident) | set(resident.chain):
            raise Refused("not_allowed")
        limit = self.still_waits(resident, args["kind"], side)
        if not limit or limit.value != thousandths(args[side]):
            raise Refused("nothing_pending")
        if limit.by == by:
            raise Refused("same_person")
        del self.waiting[resident.token, args["kind"], side]
        self.hold(limit)

    def still_waits(self, resident, kind, side):
        limit = self.waiting.get((resident.token, kind, side))
        return limit if limit and self.zone.day(self.now) <= limit.until else None

    def holding(self, token):
        return [x for x in self.limits.get(token, ()) if x.ended is None and self.zone.day(self.now) <= x.until]

    def end_limit(self, resident, kind, side):
        held = [x for x in self.holding(resident.token) if x.same_place(kind, side)]
        if not held and not self.still_waits(resident, kind, side):
            raise Refused("already_so")
        self.waiting.pop((resident.token, kind, side), None)
        for limit in held:
            limit.ended = self.now

    def hold(self, limit):
        others = [x for x in self.holding(limit.resident) if not x.same_place(limit.kind, limit.side)]
        if len(others) >= MOST:
            raise Refused("too_many")
        for before in self.limits.setdefault(limit.resident, []):
            if before.same_place(limit.kind, limit.side) and before.ended is None:
                before.ended = self.now
        self.waiting.pop((limit.resident, limit.kind, limit.side), None)
        limit.since = self.now
        limit.rule = self.rule_of(limit)
        self.limits[limit.resident].append(limit)

    def merge_limits(self, token, into):
        """They go along; where both have one of (kind, side), that of who goes on stays."""
        for name in [name for name in self.waiting if name[0] == token]:
            limit = self.waiting.pop(name)
            limit.resident = into
            self.waiting.setdefault((into, *name[1:]), limit)
        held = self.holding(into)
        for limit in self.limits.pop(token, []):
            if limit.ended is None and any(x.same_place(limit.kind, limit.side) for x in held):
                limit.ended = self.now
            limit.resident = into
            self.limits.setdefault(into, []).append(limit)

    def waits_for_second(self, limit, resident):
        urgent = URGENT.get((limit.kind, limit.side))
        if urgent is not None and limit.is_looser(urgent):
            return True
        if limit.level < LEVELS["critical"]:
            return False
        person = self.rules.person(resident, self.zone.day(self.now))
        return any(limit.is_looser(rule.limits[0][2]) for rule in self.like(limit)
                   if rule.level == LEVELS["critical"] and rule.is_for(person, self.rules.altitude))

    def like(self, limit):
        """Limit rules of the same side about its kind."""
        return [rule for rule in self.rules.rules if rule.type == "limit" and rule.limits[0][0] == limit.upper() and
                set(rule.kinds) & set(limit.kinds)]

    def rule_of(self, limit):
        """Condition and margin are those of a rule of the file that is like it."""
        found = self.like(limit)
        model = next((rule for rule in found if rule.level == limit.level), found[0] if found else None)
        rule = Rule({"id": "personal", "kind": limit.kind, "severity": alert_rules.WORDS[limit.level], limit.side: 0,
                     "condition": model.condition if model else
                     f"personal-{limit.kind}-{'high' if limit.upper() else 'low'}"})
        rule.limits = ((*rule.limits[0][:2], limit.value),)
        rule.margin = model.margin if model else 0
        return rule

    def with_limits(self, reading, conditions):
        """The conditions of a reading, with what is said of its resident alone; (rule, kind) that do not count."""
        mine = self.limits.get(reading.resident)
        if not mine:
            return conditions, ()
        when, unknown = when_of(reading), reading.trust == "unknown"
        held = [x for x in mine if unknown or x.since <= when and (x.ended is None or when < x.ended) and
                self.zone.day(when) <= x.until]
        held = [x for x in held if set(x.kinds) & set(reading.values)]
        if not held:
            return conditions, ()
        by_name = {c.name: list(c.rules) for c in conditions}
        for limit in held:
            by_name.setdefault(limit.rule.condition, []).append(limit.rule)
        instead = () if unknown else {(rule, kind) for limit in held for rules in by_name.values() for rule in rules
                                      for kind in limit.kinds if stands_in(limit, rule)}
        return [Condition(name, rules) for name, rules in by_name.items()], instead


def stands_in(limit, rule):
    if rule.id == "personal" or rule.type not in REPLACED:
        return False
    return rule.level == limit.level and rule.limits[0][0] == limit.upper() and "pregnant" not in rule.trait
