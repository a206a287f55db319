# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told, and when: routes, steps, absences, duties, quiet hours. ALERTS.md sections 6 and 8."""
from followup_commands import Refused
from followup_store import CLOCK_WAS_SET

MOST_DEPUTIES = 5
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def clock_seconds(text):
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def spans_of(words):
    return [tuple(clock_seconds(end) for end in word.split("-")) for word in words]


def hours_of(text):
    """{weekday: [(from, to)]} of "mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00"."""
    hours = {}
    for part in text.lower().split(","):
        days, *words = part.split()
        first, _, last = days.partition("-")
        for day in range(WEEKDAYS.index(first), WEEKDAYS.index(last or first) + 1):
            hours.setdefault(day, []).extend(spans_of(words))
    return hours


class Rota:
    """Part of the model; self has residents, stations, zone, now, alerting."""

    def rota_init(self, config):
        alerting = config.get("alerting") or {}
        self.staff_chain = list(alerting.get("chain") or [])
        self.institution = alerting.get("institution") or ""
        self.quiet = spans_of([alerting["quiet"]])[0] if alerting.get("quiet") else None
        self.morning = clock_seconds(alerting.get("morning") or "08:00")
        self.site_contact = config.get("site_contact") or ""
        self.contacts = {s["id"]: s.get("contact") or "" for s in config.get("stations") or []}
        self.hours = {}  # team: {member: hours}
        self.absences = {}  # member: {from: (to, deputy)}
        self.moment = 0  # for which it is looked up who is there
        self.duties = {}  # team: {(member, from): to}

    # --- commands

    def do_team(self, args, by):
        super().do_team(args, by)
        self.hours[args["team"]] = {m["member"]: hours_of(m["hours"]) for m in args["members"] if m.get("hours")}

    def check_span(self, args):
        member = args["member"]
        if not any(member in team for team in self.teams.values()) and \
                not any(r.doctor == member for r in self.residents.values()):
            raise Refused("unknown_member")
        since = self.zone.seconds(args["from"])
        if args.get("end"):
            return since, None
        until = self.zone.seconds(args["to"])
        if until <= since:
            raise Refused("bad_value")
        return since, until

    def do_absence(self, args, _by):
        since, until = self.check_span(args)
        mine = self.absences.setdefault(args["member"], {})
        if until is None:
            mine.pop(since, None)
        else:
            mine[since] = (until, args.get("deputy") or "")

    def do_duty(self, args, _by):
        since, until = self.check_span(args)
        mine = self.duties.setdefault(args["team"], {})
        mine.pop((args["member"], since), None)  # given again: it is the last of equal ones
        if until is not None:
            mine[args["member"], since] = until

    # --- who is there

    def absence(self, member):
        """(from, to, deputy) that holds now, the one that began last."""
        held = [(since, until, deputy) for since, (until, deputy) in self.absences.get(member, {}).items()
                if since <= self.moment < until]
        return max(held, default=None)

    def deputy_of(self, member, absence):
        seen = {member}
        for _ in range(MOST_DEPUTIES):
            member = absence[2]
            if not member or member in seen:
                return None
            absence = self.absence(member)
            if not absence:
                return member
            seen.add(member)
        return None

    def team_with_hours(self, member, resident):
        own = resident.team if resident else ""
        if member in self.hours.get(own, ()):
            return own
        return min((team for team, members in self.hours.items() if member in members), default=None)

    def on_duty(self, team):
        held = [(since, order, member) for order, ((member, since), until) in
                enumerate(self.duties.get(team, {}).items())
                if since <= self.moment < until and not self.absence(member)]
        return max(held)[2] if held else None

    def within_hours(self, hours):
        weekday, second = (self.zone.day(self.moment) + 6) % 7, self.zone.of_day(self.moment)
        return any(since <= second < until for since, until in hours.get(weekday, ()))

    def there(self, token, role, resident):
        """(who is told in this one's place, as what), None when there is nobody."""
        absence = self.absence(token) if self.absences else None
        if absence:
            deputy = self.deputy_of(token, absence)
            return (deputy, "deputy") if deputy else None
        team = self.team_with_hours(token, resident)
        if team is not None and not self.within_hours(self.hours[team][token]):
            member = self.on_duty(team)
            if member and member != token:
                return member, "duty"
        return token, role

    # --- routes and steps

    def route(self, reading):
        """("doctor", "") or ("staff", contact): decided by a reading."""
        resident = self.residents.get(reading.resident)
        if resident and reading.trust != "unknown" and resident.doctor and \
                self.in_contract(resident, self.day_of(reading)):
            return ("doctor", "")
        return self.staff_route(reading)

    def staff_route(self, reading):
        station = reading.device.station if reading.device else None
        return ("staff", self.contacts.get(station) or self.site_contact)

    def steps(self, alert):
        """[(token, role)], each token once."""
        resident = self.residents.get(alert.resident)
        kind, contact = alert.route
        own = [(resident.doctor, "doctor")] + [(token, "chain") for token in resident.chain] if resident else []
        steps = list(own)
        if kind == "staff":
            steps = [(contact, "staff")] if contact else own[:1]
            steps += [(token, "chain") for token in self.staff_chain] + own
        steps.append((self.institution, "institution"))
        once = {}
        for token, role in steps:
            if token:
                once.setdefault(token, role)
        return list(once.items())

    def find_step(self, steps, places, alert):
        """(place, token, role) of the first of these places where somebody is."""
        resident = self.residents.get(alert.resident)
        for place in places:
            found = self.there(*steps[place], resident)
            if found:
                return (place, *found)
        return None

    def tell(self, alert, found, steps):
        """Nobody found: the site's contact, else the first step's own token."""
        if not found:
            last = steps[0] if steps else (None, None)
            found = (0, self.site_contact, "staff") if self.site_contact else (0, *last)
        alert.step, alert.to, alert.role = found

    def tell_first(self, alert):
        steps, self.moment = self.steps(alert), max(self.now, alert.not_before)
        self.tell(alert, self.find_step(steps, range(len(steps)), alert), steps)

    def tell_next(self, alert):
        """False: it was the last step, and it is told again."""
        steps, self.moment = self.steps(alert), self.now
        found = self.find_step(steps, range(alert.step + 1, len(steps)), alert)
        if found:
            self.tell(alert, found, steps)
            return True
        last = min(alert.step, len(steps) - 1)
        self.tell(alert, self.find_step(steps, range(last, -1, -1), alert), steps)
        return False

    # --- when

    def is_quiet(self, moment):
        if not self.quiet or moment < CLOCK_WAS_SET:
            return False
        since, until = self.quiet
        second = self.zone.of_day(moment)
        return since <= second < until if since <= until else second >= since or second < until

    def next_clock(self, second):
        """The first such moment that is not before now."""
        today = self.zone.midnight(self.zone.day(self.now)) + second
        return today if today >= self.now else self.zone.midnight(self.zone.day(self.now) + 1) + second
