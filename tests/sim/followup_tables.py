# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model of the follow-up rules knows from tables: numbers, kinds, units, forms; days, ages, rounding.

Values are whole thousandths of the canonical unit, times whole seconds, days whole ordinals: no floats.
"""
import csv
import datetime
import functools
import os
import re
import zoneinfo
from fractions import Fraction

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "config")
SHORT = {"hypertension_followup_v3": "htn", "t2dm_followup_v3": "t2dm",
         "elderly_health_check_65plus": "elderly", "copd_followup_2024plus": "copd"}
PROGRAMME_OF = {"htn": "hypertension", "t2dm": "t2dm", "elderly": "elderly", "copd": "copd"}
BLOOD_GLUCOSE = ("glu.fasting", "glu.postprandial_2h", "glu.random", "glu.capillary_plasma",
                 "glu.undetermined_plasma")
MEAL_KIND = {"fasting": "glu.fasting", "postprandial_2h": "glu.postprandial_2h", "random": "glu.random"}
ANNOTATIONS = {"meal": set(MEAL_KIND), "arm": {"left", "right"}, "posture": {"sitting", "lying", "standing"},
               "sample": {"capillary", "venous"},
               "operator": {"nurse", "doctor", "village_doctor", "volunteer", "family", "self"}}
CHECK_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def rows(name):
    with open(os.path.join(CONFIG, name), encoding="utf-8", newline="") as f:
        return list(csv.DictReader(line for line in f if not line.startswith("#")))


class Numbers:
    """config/followup.csv: number("due.red_days") as it stands, thousandths("goal_t2dm.fasting_below")."""

    def __init__(self):
        self.exact = {f"{row['rule']}.{row['name']}": Fraction(row["value"]) for row in rows("followup.csv")}

    def number(self, name):
        value = self.exact[name]
        assert value.denominator == 1, name
        return int(value)

    def thousandths(self, name):
        value = self.exact[name] * 1000
        assert value.denominator == 1, name
        return int(value)

    def measuring(self, kind):
        return self.number(f"measure.{kind}" if f"measure.{kind}" in self.exact else "measure.other")


NUMBERS = Numbers()
number, thousandths = NUMBERS.number, NUMBERS.thousandths


# --- values

class Kind:
    def __init__(self, row):
        self.name, self.unit, self.family = row["kind"], row["ucum"], row["family"]
        self.decimals = int(row["decimals"] or 0)
        self.least, self.most = (Fraction(row[end]) if row[end] else None for end in ("min", "max"))


KINDS = {row["kind"]: Kind(row) for row in rows("codes.csv")}


def plain(unit):
    return unit.replace(" ", "").lower()


UNITS = {(row["family"], plain(row["unit"])): tuple(Fraction(row[part] or default) for part, default in
                                                    (("add", 0), ("multiply", 1), ("divide", 1)))
         for row in rows("units.csv")}


def round_half_away(value, decimals):
    """Thousandths of a fraction, rounded once."""
    scaled = abs(value) * 10 ** decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    whole *= 10 ** (3 - decimals)
    return -whole if value < 0 else whole


class BadValue(ValueError):
    pass


@functools.lru_cache(maxsize=65536)
def value_of(kind, text, unit=""):
    """Thousandths as received and rounded; None for what cannot be true. BadValue: no number, or a unit
    that is not of this family."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", str(text)):
        raise BadValue(text)
    exact, about = Fraction(text), KINDS[kind]
    if unit and plain(unit) != plain(about.unit):
        if (about.family, plain(unit)) not in UNITS:
            raise BadValue(unit)
        add, multiply, divide = UNITS[about.family, plain(unit)]
        exact = (exact + add) * multiply / divide
    value = round_half_away(exact, about.decimals)
    if about.least is not None and value < about.least * 1000 or about.most is not None and value > about.most * 1000:
        return None
    return value


def mean(values, decimals):
    return round_half_away(Fraction(sum(values), 1000 * len(values)), decimals)


def shown(value, decimals):
    """Thousandths as text with so many decimals: 65350, 2 -> 65.35"""
    sign, value = "-" if value < 0 else "", abs(value)
    whole, rest = divmod(value, 1000)
    return f"{sign}{whole}" + (f".{rest:03}"[:1 + decimals] if decimals else "")


def shown_kind(kind, value):
    return shown(value, KINDS[kind].decimals)


# --- forms

class Field:
    def __init__(self, row):
        self.key, self.kinds = row["key"], row["kinds"].split()
        self.fillable = row["device_fillable"] == "y"
        self.fill = row["fill"]


FORMS = {short: [] for short in SHORT.values()}
for _row in rows("forms.csv"):
    FORMS[SHORT[_row["form"]]].append(Field(_row))
MORE_ANSWERS = {"complication", "referral_result", "next_visit_date", "classification", "referral"}


def may_answer(form, key):
    return key in MORE_ANSWERS or any(field.key == key for field in FORMS[form])


# --- ids

def check_character_holds(token):
    """ISO 7064 MOD 37,36; the last character checks the rest."""
    text = re.sub("[-_]", "", token).upper()
    if len(text) < 2 or any(c not in CHECK_CHARACTERS for c in text):
        return False
    carry = 36
    for c in text[:-1]:
        carry = (carry + CHECK_CHARACTERS.index(c)) % 36 or 36
        carry = carry * 2 % 37
    return (carry + CHECK_CHARACTERS.index(text[-1])) % 36 == 1


def check_character(text):
    """What makes text + it hold."""
    return next(c for c in CHECK_CHARACTERS if check_character_holds(text + c))


# --- days and times

def day_of(text):
    """The ordinal of YYYY-MM-DD; ValueError when there is no such day."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return datetime.date.fromisoformat(text).toordinal()


def day_text(day):
    return datetime.date.fromordinal(day).isoformat()


def date(day):
    return datetime.date.fromordinal(day)


def anniversary(day, years):
    """The same day so many years later; 29 February becomes 1 March where there is none."""
    d = date(day)
    if (d.month, d.day) == (2, 29) and not is_leap(d.year + years):
        return datetime.date(d.year + years, 3, 1).toordinal()
    return d.replace(year=d.year + years).toordinal()


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def add_months(day, months):
    """The same day so many months later, or that month's last."""
    d = date(day)
    year, month = divmod(d.year * 12 + d.month - 1 + months, 12)
    first_of_next = datetime.date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (first_of_next - datetime.timedelta(days=1)).day
    return datetime.date(year, month + 1, min(d.day, last)).toordinal()


def completed_years(since, until):
    years = date(until).year - date(since).year
    return years if anniversary(since, years) <= until else years - 1


BAND = re.compile(r"([0-9]{1,3})-([0-9]{1,3})@([0-9]{4}-[0-9]{2}-[0-9]{2})")


def check_birth(text):
    """ValueError for what is no birth date in any of the three forms."""
    band = BAND.fullmatch(text)
    if band:
        day_of(band[3])
        if int(band[1]) > int(band[2]):
            raise ValueError(text)
    elif not re.fullmatch("[0-9]{4}", text):
        day_of(text)


def age_on(birth, day):
    """(lo, hi) of completed years, None when nothing is known."""
    if not birth:
        return None
    band = BAND.fullmatch(birth)
    if band:
        lo, hi, since = int(band[1]), int(band[2]), day_of(band[3])
        if day >= since:
            k = completed_years(since, day)
            return (lo + k, hi + k + (anniversary(since, k) != day))
        k = completed_years(day, since)
        return (lo - k - (anniversary(day, k) != since), hi - k)
    if len(birth) == 4:
        years = date(day).year - int(birth)
        return (years - 1, years)
    years = completed_years(day_of(birth), day)
    return (years, years)


def at_least(age, years):
    """True, False, or None when the range does not tell."""
    if age is None or age[0] < years <= age[1]:
        return None
    return age[0] >= years


class Zone:
    """Local texts and seconds of UTC; offsets are looked up once an hour."""

    EPOCH = datetime.date(1970, 1, 1).toordinal()

    def __init__(self, name):
        self.zone = zoneinfo.ZoneInfo(name)
        self.offsets, self.locals = {}, {}

    def seconds(self, text):
        """A local time, "2026-03-10T08:00:00"; what happens twice is the first one."""
        if text not in self.locals:
            moment = datetime.datetime.fromisoformat(text).replace(tzinfo=self.zone)
            self.locals[text] = round(moment.timestamp())
            if len(self.locals) > 4096:
                return self.locals.pop(text)
        return self.locals[text]

    def _local(self, seconds):
        quarter = seconds // 900
        if quarter not in self.offsets:
            moment = datetime.datetime.fromtimestamp(quarter * 900, self.zone)
            self.offsets[quarter] = int(moment.utcoffset().total_seconds())
        return seconds + self.offsets[quarter]

    def day(self, seconds):
        return self._local(seconds) // 86400 + self.EPOCH

    def of_day(self, seconds):
        return self._local(seconds) % 86400

    def text(self, seconds):
        rest = self.of_day(seconds)
        return f"{day_text(self.day(seconds))}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"

    def midnight(self, day):
        return self.seconds(day_text(day) + "T00:00:00")
