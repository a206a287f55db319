# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions at the clinic's desks, exams, laboratory, visits elsewhere: part of township.py. Whoever measures
sits where somebody says; what goes wrong is put right, or stays nobody's."""
from township_people import DAYS, DOCTORS, day_text

GUEST = "guest"  # somebody without a record


class Clinic:
    def pressure_values(self, person):
        """As a cuff tells them; some with a decimal, which is rounded."""
        dice = self.dice
        systolic = min(225, max(82, round(person.systolic + dice.gauss(0, 7))))
        diastolic = min(systolic - 15, 125, max(45, round(person.diastolic + dice.gauss(0, 5))))
        if dice.random() < 0.08:
            systolic = dice.choice((139, 140, 149, 150, 179, 180, 181, systolic))
            diastolic = dice.choice((89, 90, 109, 110, diastolic))
        values = {"bp.sbp": str(systolic), "bp.dbp": str(diastolic)}
        if dice.random() < 0.03:
            values["bp.sbp"] += dice.choice((".5", ".4", ".49", ".6"))
        if dice.random() < 0.9:
            values["bp.pulse"] = str(dice.randint(55, 112))
        return values

    def pressure_flags(self):
        return [name for name, share in (("body_movement", 0.03), ("irregular_pulse", 0.04), ("cuff_too_loose", 0.01),
                                         ("improper_position", 0.01)) if self.dice.random() < share]

    def glucose_values(self, person):
        """(values, comparators)."""
        dice = self.dice
        kind = dice.choice(("glu.random", "glu.capillary_plasma", "glu.undetermined_plasma"))
        draw = dice.random()
        if draw < 0.03:
            return {kind: "33.3"}, {kind: ">"}
        if draw < 0.06:
            return {kind: "0.6"}, {kind: "<"}
        if draw < 0.14:
            return {kind: dice.choice(("3.8", "3.85", "3.9", "4.0", "6.9", "6.95", "7.0", "16.6", "16.65", "16.7"))}, {}
        value = max(1.5, dice.gauss(person.glucose, 1.6))
        return {kind: f"{value:.{dice.choice((1, 1, 2))}f}"}, {}

    # --- one desk session: returns the second at which the desk is free

    def measured_at(self, person, desk, t, clean_first):
        """Everything that is measured; (second of the last, key of a first clean pressure or None)."""
        dice, truth = self.dice, person
        count = 8 if person.nervous else dice.choice((1, 2, 2, 2, 2, 3))
        first, fasting = None, False
        t += dice.randint(52, 75)
        for n in range(count):
            flags = [] if n == 0 and clean_first else self.pressure_flags()
            odd = dice.choices((None, "spot", "untimed", "plain"), (97, 1, 1, 1))[0] if n and desk is self.desks[0] and \
                desk.lives(t) else None
            key = self.station_reading(desk, odd or "cuff", truth, t, "bp", self.pressure_values(person),
                                       flags=flags)
            if dice.random() < 0.06 and desk.offline != self.day_of(t):
                self.cmd(t + 5, "annotate", {"reading": "@" + key, "arm": dice.choice(("left", "right"))})
            if desk.lives(t) and not odd and desk.offline != self.day_of(t) and dice.random() < 0.01:
                self.assigned.add(key)
                self.cmd(t + 3, "assign", {"reading": "@" + key, "resident": person.name_now()})
            if not flags and first is None and not odd:
                first = key
                self.assigned.add(key)
            t += dice.randint(50, 110)
        if dice.random() < 0.6:
            self.station_reading(desk, "scale", truth, t, "weight",
                                 {"weight": f"{person.weight + dice.gauss(0, 1):.{dice.choice((2, 2, 3))}f}"})
            t += dice.randint(15, 60)
        if "t2dm" in person.programmes and dice.random() < 0.85:
            values, comparators = self.glucose_values(person)
            key = self.station_reading(desk, "meter", truth, t, "glucose", values, comparators=comparators)
            if dice.random() < 0.7:
                self.cmd(t + 4, "annotate", {"reading": "@" + key, "meal": "fasting", "operator": "nurse"})
                fasting = desk.alive == t
                self.assigned.add(key)
            elif dice.random() < 0.3:
                self.cmd(t + 4, "annotate", {"reading": "@" + key, "meal": dice.choice(("postprandial_2h", "random"))})
            t += dice.randint(20, 70)
        if "copd" in person.programmes or dice.random() < 0.1:
            self.station_reading(desk, "oxi", truth, t, "spo2", {"spo2": str(dice.randint(86, 99)),
                                                                 "spo2.pulse": str(dice.randint(58, 112))})
            t += dice.randint(20, 60)
        if desk is self.desks[0] and dice.random() < 0.08:
            self.sample(person if dice.random() < 0.5 else dice.choice(self.people), t)
            t += 20
        if dice.random() < 0.15:
            self.station_reading(desk, "therm", truth, t, "temperature", {"temp": f"{dice.gauss(36.7, 0.7):.1f}"})
            t += dice.randint(20, 60)
        return t, first, fasting

    def desk_session(self, person, desk, t, purpose="follow-up"):
        dice = self.dice
        kind = dice.random()
        day = self.day_of(t)
        person.busy_on.add(day)
        if kind < 0.02:
            return self.session_forgotten(person, desk, t)
        if kind > 0.985 and desk.offline != day:
            return self.session_mistaken(person, desk, t)
        wrong = self.somebody_else(day) if kind < 0.06 else None
        if wrong and kind < 0.04:
            return self.session_undone(person, wrong, desk, t)
        if wrong:
            name, t = self.session_instead(person, wrong, desk, t, purpose)
        else:
            name = self.check_in(person, desk, t, purpose)
        offline = desk.offline == day
        if not wrong and not offline and dice.random() < 0.03:
            name, t = self.twice_a_day(person, name, desk, t, purpose)
        t, first, fasting = self.measured_at(person, desk, t, not wrong)
        clear = bool(first) and not offline and not wrong
        self.write_visits(person, name, t, purpose, clear, fasting)
        end = dice.random()
        if end < 0.5:
            self.check_out(desk, t + 3)
        else:
            desk.idle_from = t + 190
        return t + dice.choice((4, 4, 30, 250))

    def check_in(self, person, desk, t, purpose, **more):
        name = self.fresh("c")
        args = {"station": desk.id, "resident": person.name_now(), "purpose": purpose, **more}
        if self.dice.random() < 0.6:
            args.setdefault("way", "1")
        self.cmd(t, "checkin", args, name=name)
        desk.alive, desk.undone = desk.alive if more.get("instead") else t, False
        self.last_way = args.get("way")
        return name

    def twice_a_day(self, person, name, desk, t, purpose):
        """Out and in again: the visit goes on, under both names."""
        self.station_reading(desk, "cuff", person, t + 60, "bp", self.pressure_values(person))
        self.check_out(desk, t + 70)
        way, t = self.last_way, t + self.dice.randint(75, 600)
        again = self.check_in(person, desk, t, purpose)
        self.last_way = way or self.last_way
        if person.ours():
            self.visit_names += [f"${name}.{form}" for form in person.forms()]
        return again, t

    def check_out(self, desk, t):
        if desk.lives(t):
            self.cmd(t, "checkout", {"station": desk.id})
            desk.idle_from = t + 1
        else:
            desk.idle_from = t + 190

    def somebody_else(self, day):
        """A wrong one, who has nothing planned today."""
        for _ in range(20):
            other = self.dice.choice(self.people)
            if other.here(day) and day not in other.busy_on and not other.old_token:
                other.busy_on.add(day)
                return other
        return None

    def session_forgotten(self, person, desk, t):
        """Nobody was checked in; days later it is found in the inbox."""
        dice = self.dice
        t = max(t, desk.idle_from + 60)
        for _ in range(dice.randint(1, 3)):
            t += dice.randint(50, 90)
            key = self.station_reading(desk, "cuff", person, t, "bp", self.pressure_values(person))
            if dice.random() < 0.7 and desk.offline != self.day_of(t):
                self.later_assigned(person, key, t)
        return t + 200

    def session_mistaken(self, person, desk, t):
        """Somebody else was checked in, and it is noticed the day after: each reading is assigned."""
        day = self.day_of(t)
        wrong = self.somebody_else(day)
        late = self.at(day + 1, 17)
        if not wrong or not person.here(day + 1) or day + 1 >= DAYS:
            return t
        self.check_in(wrong, desk, t, "follow-up")
        for n in range(2):
            key = self.station_reading(desk, "cuff", person, t + 60 + 70 * n, "bp",
                                       self.pressure_values(person))
            self.assigned.add(key)
            self.cmd(late + n, "assign", {"reading": "@" + key, "resident": person.name_now()})
        self.check_out(desk, t + 140)
        return t + 150

    def later_assigned(self, person, key, t):
        self.assigned.add(key)
        late = t + self.dice.randint(3600, 6 * 86400)
        if person.here(self.day_of(late)) and self.day_of(late) < DAYS:
            self.cmd(late, "assign", {"reading": "@" + key, "resident": person.name_now()})

    def session_undone(self, person, wrong, desk, t):
        self.check_in(wrong, desk, t, "follow-up")
        keys, begun = [], t
        t += 60
        for _ in range(self.dice.randint(1, 2)):
            keys.append(self.station_reading(desk, "cuff", person, t, "bp", self.pressure_values(person)))
            t += self.dice.randint(60, 90)
        if desk.offline != self.day_of(t) and self.dice.random() < 0.2:
            self.cmd(begun + 901, "checkin", {"station": desk.id, "undo": True}, refused="too_late")
            for key in keys:
                self.assigned.add(key)
                self.cmd(begun + 1000, "assign", {"reading": "@" + key, "resident": person.name_now()})
            return begun + 1010
        self.cmd(t, "checkin", {"station": desk.id, "undo": True})
        desk.undone = True
        if self.dice.random() < 0.3:
            self.cmd(t + 9, "checkin", {"station": desk.id, "undo": True}, refused="already_so")
        if desk.offline != self.day_of(t):
            for key in keys:
                if self.dice.random() < 0.4:
                    self.later_assigned(person, key, t)
        desk.idle_from = t + 400
        return t + 420

    def session_instead(self, person, wrong, desk, t, purpose):
        """(name, second): the wrong one was checked in, and after a measurement the nurse says so."""
        self.check_in(wrong, desk, t, purpose)
        begun, t = t, t + 60
        self.station_reading(desk, "cuff", person, t, "bp", self.pressure_values(person))
        t += self.dice.randint(10, 40)
        if self.dice.random() < 0.2:  # at the last moment: that check-in ended long ago
            t = begun + 15 * 60
            self.check_in(person, desk, t, purpose, instead=True)
            way, name = self.last_way, self.check_in(person, desk, t + 20, purpose)
            self.last_way = way or self.last_way
            return name, t + 20
        return self.check_in(person, desk, t, purpose, instead=True), t

    def session_split(self, person, second, desk, t):
        """The second one sat down without a check-in; the nurse splits at the first reading."""
        day = self.day_of(t)
        for somebody in (person, second):
            somebody.busy_on.add(day)
        name = self.check_in(person, desk, t, "follow-up")
        way = self.last_way
        t, first, fasting = self.measured_at(person, desk, t, True)
        t = desk.last_reading + 75
        if desk.lives(t):
            key = self.station_reading(desk, "cuff", second, t, "bp", self.pressure_values(second))
            other = self.fresh("s")
            self.cmd(t + 20, "split", {"reading": "@" + key, "resident": second.name_now()}, name=other)
        else:
            other = self.check_in(second, desk, t + 20, "follow-up", way="1")
        self.last_way = way
        self.write_visits(person, name, t + 60, "follow-up", bool(first), fasting)
        t, first, fasting = self.measured_at(second, desk, t + 21, True)
        self.last_way = None if other[0] == "s" else "1"
        self.write_visits(second, other, t, "follow-up", bool(first), fasting)
        self.check_out(desk, t + 3)
        return t + 10

    def session_minute(self, person, second, desk, t):
        """Two within a minute: what the first one's last seconds and the second one's first ones overlap is nobody's."""
        dice, day = self.dice, self.day_of(t)
        for somebody in (person, second):
            somebody.busy_on.add(day)
        name = self.check_in(person, desk, t, "follow-up")
        way, t = self.last_way, t + dice.randint(40, 58)
        self.station_reading(desk, "cuff", person, t, "bp", self.pressure_values(person))
        t += dice.randint(2, 9)
        other = self.check_in(second, desk, t, "follow-up")
        other_way, begun = self.last_way, t
        tool, kind, values = dice.choice((("scale", "weight", {"weight": f"{second.weight:.2f}"}),
                                          ("oxi", "spo2", {"spo2": str(dice.randint(88, 99))})))
        if dice.random() < 0.5:
            self.station_reading(desk, tool, second, t + dice.choice((2, 3, 4, 9, 10, 11)), kind, values)
        elif desk is self.desks[0]:
            self.sample(person, t + dice.randint(1, 4))
        key = self.station_reading(desk, "cuff", second, t + dice.randint(12, 26), "bp",
                                   self.pressure_values(second))
        if dice.random() < 0.5 and desk.offline != day:
            self.later_assigned(second, key, t)
        t, first, fasting = self.measured_at(second, desk, begun, False)
        self.last_way = way
        self.write_visits(person, name, t, "follow-up", False, False)
        self.last_way = other_way
        self.write_visits(second, other, t, "follow-up", False, fasting)
        self.check_out(desk, t + 3)
        return t + 10

    # --- what people write

    def write_visits(self, person, name, t, purpose, clear, fasting):
        """Answers, confirmation, corrections of the visits of a check-in."""
        if not person.ours():
            return
        forms = person.forms() if purpose != "exam" else ["elderly"]
        for n, form in enumerate(forms):
            self.write_visit(person, f"${name}.{form}", form, t + 30 + 40 * n, clear, fasting)

    def answers_for(self, person, form, certain):
        """(answers, whether a class comes of them)."""
        dice = self.dice
        answers = {}
        if form in ("htn", "t2dm") and dice.random() < 0.85:
            answers = {"adverse_reaction": dice.choice("11111112"), "complication": dice.choice("1111111112")}
            if dice.random() < 0.1:
                del answers[dice.choice(list(answers))]
        if len(answers) < 2 or not certain or dice.random() < 0.1:
            answers["classification"] = dice.choice("1122234")
        if form == "htn" and dice.random() < 0.3:
            answers.update({"symptoms": "1", "smoking": "5", "salt": dice.choice(("轻", "中", "重"))})
        if dice.random() < 0.03:
            answers["referral"] = "county hospital"
        for key, text, share in (("bp", dice.choice(("128/82", "140/90", "152/94", "186/98")), 0.03),
                                 ("weight", f"{person.weight:.1f}", 0.03),
                                 ("fasting_glucose", dice.choice(("3.9", "6.4", "7.0", "17.2")), 0.04)):
            if dice.random() < share and (form == "t2dm" or form == "htn" and key != "fasting_glucose"):
                answers[key] = text
        if dice.random() < 0.03 and form in ("htn", "t2dm"):
            answers["next_visit_date"] = day_text(min(self.today + dice.randint(10, 120), DAYS + 90))
        return answers

    def write_visit(self, person, visit, form, t, clear, fasting):
        dice, way, day = self.dice, self.last_way, self.day_of(t)
        self.visit_names.append(visit)
        if dice.random() < 0.2:
            self.ask(t, "visit", visit=visit)
        certain = form == "htn" and clear and person.age_is_clear() or form == "t2dm" and clear and fasting
        answers = self.answers_for(person, form, certain)
        doctor = person.doctor
        draw = dice.random()
        if draw < 0.02:
            self.cmd(t + 1, "visit_confirm", {"visit": visit}, by="N-0001", refused="not_allowed")
        elif draw < 0.04 and not way:
            self.cmd(t + 1, "visit_confirm", {"visit": visit}, by=doctor, refused="way_missing")
        elif draw < 0.06:
            self.cmd(t + 1, "visit_set", {"visit": visit, "answers": {"shoe_size": "42"}}, refused="unknown_key")
        elif draw < 0.08:
            self.cmd(t + 1, "visit_correct", {"visit": visit, "answers": answers, "reason": "typing"}, by=doctor,
                     refused="not_confirmed")
        if not way:
            answers["visit_way"] = dice.choice("1112")
        self.cmd(t + 2, "visit_set", {"visit": visit, "answers": answers})
        if dice.random() < 0.08:
            return  # nobody ever confirms it
        done = t + dice.choice((20, 300, 1200, 86400, 3 * 86400))
        if not person.here(self.day_of(done)) or self.day_of(done) >= DAYS:
            return
        if dice.random() < 0.15:
            members = [d for d in range(1, DOCTORS + 1) if d % 3 == int(person.team[-1]) % 3]
            doctor = f"D-{dice.choice(members):04}"
        self.cmd(done, "visit_confirm", {"visit": visit}, by=doctor)
        self.after_confirmation(person, visit, answers, done + 30)

    def after_confirmation(self, person, visit, answers, t):
        dice = self.dice
        if dice.random() < 0.01:
            self.cmd(t, "visit_confirm", {"visit": visit}, by=person.doctor, refused="already_confirmed")
        if dice.random() < 0.01:
            self.cmd(t + 1, "visit_set", {"visit": visit, "answers": answers}, refused="already_confirmed")
        if dice.random() < 0.01:
            self.cmd(t + 2, "visit_correct", {"visit": visit, "answers": {"referral_result": "1"}}, by=person.doctor,
                     refused="reason_missing")
        late = t + dice.randint(600, 20 * 86400)
        if not person.here(self.day_of(late)) or self.day_of(late) >= DAYS:
            return
        if dice.random() < 0.05:
            self.cmd(late, "visit_correct", {"visit": visit, "answers": {"classification": dice.choice("1234")},
                                             "reason": "wrong line"}, by=person.doctor)
        elif "referral" in answers and dice.random() < 0.5 or dice.random() < 0.05:
            self.cmd(late, "visit_correct", {"visit": visit, "answers": {"referral_result": dice.choice("12")},
                                             "reason": "the hospital called"}, by=person.doctor)
        elif dice.random() < 0.01:
            self.cmd(late, "visit_void", {"visit": visit, "reason": "another one's"}, by=person.doctor)
