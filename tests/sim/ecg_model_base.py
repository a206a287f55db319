# SPDX-License-Identifier: GPL-3.0-or-later
"""What the models of all ECG formats share: texts and times as they are printed, leads and derived leads."""
import datetime
import re
from fractions import Fraction

SAMPLE_MAX = 8388607  # 24 bits and a sign
WARNINGS_MAX = 32      # the last of more says that there are more
AGE = {1: "a", 2: "mo", 3: "wk", 4: "d", 5: "h"}
LEADS = {1: "I", 2: "II", **{k: f"V{k - 2}" for k in range(3, 10)},
         **{k: f"V{k - 8}R" for k in range(10, 16)}, 16: "X", 17: "Y", 18: "Z", 61: "III", 62: "aVR",
         63: "aVL", 64: "aVF", 65: "-aVR", 66: "V8", 67: "V9", 68: "V8R", 69: "V9R"}
CHARSETS = {0x01: "iso8859_1", 0x03: "iso8859_2", 0x0B: "iso8859_4", 0x13: "iso8859_5", 0x1B: "iso8859_6",
            0x23: "iso8859_7", 0x2B: "iso8859_8", 0x33: "iso8859_11", 0x3B: "iso8859_15", 0x07: "ucs",
            0x27: "gb18030", 0x2F: "korean"}
# Characters which GB 18030 had in the private area until its edition of 2005, and Python still has.
GB_2005 = dict(zip(
    map(ord, "\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7\ue816\ue817\ue818"
             "\ue81e\ue826\ue82b\ue82c\ue831\ue832\ue83b\ue843\ue854\ue855\ue864"),
    "\ufe10\ufe12\ufe11\ufe13\ufe14\ufe15\ufe16\ufe17\ufe18\ufe19\u1e3f\U00020087\U00020089\U000200cc"
    "\u9fb4\u9fb5\u9fb6\u9fb7\U000215d7\u9fb8\U0002298f\u9fb9\u9fba\U000241fe\u9fbb"))


class Rejected(Exception):
    """A file of which nothing is said."""


# --- text and time

def decoded(raw, charset):
    try:
        if charset == "korean":         # KS C 5601: pairs of the upper half; what else is there stands for itself
            pairs = re.findall(rb"[\xa1-\xfe]{2}|[\0-\xff]", raw)
            return "".join(pair.decode("cp949" if len(pair) == 2 or pair > b"\x9f" else "latin-1") for pair in pairs)
        text = raw.decode(charset)
        return text.translate(GB_2005) if charset == "gb18030" else text
    except UnicodeDecodeError:
        return None


def unicode_of(raw):
    """UTF-8, unless a zero inside, two zeros at the end of what is not ASCII, or what is no UTF-8 say that it is
    UTF-16; to the first zero of its size."""
    inner = raw.rstrip(b"\0")
    text = decoded(inner, "utf-8")
    if text is not None and "\0" not in text and (text.isascii() or len(inner) % 2 or len(raw) - len(inner) != 2):
        return text
    if len(raw) % 2 and raw.endswith(b"\0"):
        raw = raw[:-1]
    units = [raw[k:k + 2] for k in range(0, len(raw), 2)]
    return decoded(b"".join(units[:units.index(b"\0\0")] if b"\0\0" in units else units), "utf-16-le")


def guessed(raw):
    text = decoded(raw, "utf-8")
    if text is None and all(len(run) % 2 == 0 for run in re.findall(rb"[\x80-\xff]+", raw)):
        text = decoded(raw, "gb18030")
    return raw.decode("latin-1") if text is None else text


def tidy(text):
    text = re.sub("[\0-\x1f\x7f-\x9f]", " ", text).strip(" ")
    return text.encode()[:255].decode("utf-8", "ignore").rstrip(" ")


class Texts:
    """Strings of one file, in the character set of its language code."""

    def __init__(self, language, warnings):
        self.charset, self.warnings = CHARSETS.get(language), warnings

    def __call__(self, raw):
        whole, raw = raw, raw.split(b"\0")[0]
        text = None
        if self.charset == "ucs":
            text = unicode_of(whole)
        elif raw.isascii():
            text = raw.decode()
        elif self.charset:
            text = decoded(raw, self.charset)
        if text is None:
            text = guessed(raw)
            if "charset_guessed" not in self.warnings:
                self.warnings.append("charset_guessed")
        return tidy(text)


def date(year, month, day, first):
    try:
        return datetime.date(year, month, day) if first <= year <= 2200 else None
    except ValueError:
        return None


def moment(year, month, day, hour, minute, second):
    found = date(year, month, day, 1980)
    if found is None or hour > 23 or minute > 59 or second > 59:
        return None
    return f"{found}T{hour:02}:{minute:02}:{second:02}"


def offset(minutes):
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def half_away(value):
    """The nearest integer of a fraction, halves away from zero."""
    nearest = (abs(value) + Fraction(1, 2)) // 1
    return int(nearest if value >= 0 else -nearest)


def put(target, key, value):
    if value not in (None, "", {}):
        target[key] = value


# --- leads

def in_range(samples, name, warnings):
    """Those before the first that is out of range."""
    end = next((k for k, x in enumerate(samples) if abs(x) > SAMPLE_MAX), None)
    if end is not None:
        warnings.append(f"sample_range: {name}")
    return samples[:end]


def one_lead(name, samples, truncated, derived=False):
    return {"name": name, "n": len(samples), "derived": derived, **({"truncated": True} if truncated else {}),
            "samples": samples}


DERIVED = (("III", lambda i, ii: ii - i), ("aVR", lambda i, ii: Fraction(-i - ii, 2)),
           ("aVL", lambda i, ii: Fraction(2 * i - ii, 2)), ("aVF", lambda i, ii: Fraction(2 * ii - i, 2)))


def derive(leads, wanted, warnings, sources=("I", "II")):
    first, second = (next((lead for lead in leads if lead["name"] == name), None) for name in sources)
    if not first or not second or first["n"] != second["n"] or not first["n"]:
        return
    if first.get("uv_per_lsb") != second.get("uv_per_lsb"):
        return
    names = {lead["name"] for lead in leads}
    cut = "truncated" in first or "truncated" in second
    for name, rule in wanted:
        if name not in names:
            samples = [half_away(rule(a, b)) for a, b in zip(first["samples"], second["samples"])]
            within = in_range(samples, name, warnings)
            leads.append(one_lead(name, within, cut or len(within) < len(samples), True))
            put(leads[-1], "uv_per_lsb", first.get("uv_per_lsb"))
