# SPDX-License-Identifier: GPL-3.0-or-later
"""Model of reading HL7 annotated ECGs and files of the Contec ECG90A: see ecg_model.py."""
import re
import struct
from fractions import Fraction
from xml.parsers import expat

from ecg_model_base import (AGE, DERIVED, SAMPLE_MAX, Rejected, Texts, date, decoded, derive, half_away, moment,
                            offset, one_lead, put, tidy)

# --- HL7 annotated ECG

MICROVOLT = {"uV": Fraction(1), "mV": Fraction(1000), "nV": Fraction(1, 1000), "V": Fraction(1000000)}
MICROSECOND = {"us": 1, "ms": 1000, "s": 1000000}
AECG_MEASURES = {"HEART_RATE": ("hr", 499), "TIME_PD_RR": ("rr", 19998), "TIME_PD_PR": ("pr", 2000),
                 "TIME_PD_P": ("p", 2000), "TIME_PD_QRS": ("qrs", 2000), "TIME_PD_QT": ("qt", 2000),
                 "TIME_PD_QTC": ("qtc", 2000)}
AECG_AXES = {"ANGLE_P_FRONT": "p", "ANGLE_QRS_FRONT": "qrs", "ANGLE_T_FRONT": "t"}
AECG_FILTERS = {"LOW_PASS": ("low_pass_hz", "CUTOFF_FREQ"), "HIGH_PASS": ("high_pass_hz", "CUTOFF_FREQ"),
                "NOTCH": ("notch_hz", "NOTCH_FREQ")}
DEPTH_MAX = 64
STAMP = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(\d\d)?)?)?)?)?(?:\.\d*)?(?:([+-])(\d\d)(\d\d))?", re.A)
PER_MINUTE = dict.fromkeys(("bpm", "/min", "1/min", "{beats}/min", "{beat}/min"), 1)
MILLISECOND = {"us": Fraction(1, 1000), "ms": 1, "s": 1000}


class Element:
    def __init__(self, name, attributes):
        self.name = local(name)
        self.attributes = {local(key): value for key, value in attributes.items()}
        self.children, self.text = [], ""

    def walk(self, without=()):
        """Itself and all that is in it, but for what is in `without` (by id)."""
        if id(self) not in without:
            yield self
            for child in self.children:
                yield from child.walk(without)

    def all(self, path):
        """Elements at a path of names below this one."""
        head, _, rest = path.partition("/")
        for child in self.children:
            if child.name == head:
                yield from child.all(rest) if rest else (child,)

    def get(self, path, attribute):
        """An attribute of the first element at a path that has it; "" when there is none."""
        return next((e.attributes[attribute] for e in self.all(path) if e.attributes.get(attribute)), "")


class Stopped(Exception):
    """The root is known: is it that of an annotated ECG?"""


def local(name):
    return name.split(":")[-1]


def parser_of(data):
    """A parser, and the document in a character set that it knows: GBK is another one."""
    data = data.rstrip(b"\x1a")
    found = re.match(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", data)
    name = found[1].lower().decode() if found else "utf-8"
    if name in ("gb2312", "gbk", "gb18030"):
        pairs = re.findall(rb"[\x80-\xff][\0-\xff]|[\0-\x7f]|[\x80-\xff]", data)
        text = "".join(decoded(pair, "gb18030") or "\uffff" for pair in pairs)         # which is none of XML
        return expat.ParserCreate("utf-8"), text.encode()
    if name not in ("utf-8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "us-ascii"):
        raise LookupError(name)
    return expat.ParserCreate(), data


def aecg_like(data):
    """Is there a root of that name? A DOCTYPE that is not taken stands for its root."""
    def begin(name, *_):
        raise Stopped(local(name) == "AnnotatedECG")

    def doctype(name, _system, _public, internal):
        if internal:
            begin(name)

    try:
        parser, data = parser_of(data)
        parser.StartElementHandler, parser.StartDoctypeDeclHandler = begin, doctype
        parser.Parse(data, True)
    except Stopped as e:
        return e.args[0]
    except (expat.ExpatError, ValueError, LookupError):
        pass
    return False


def parse_xml(data):
    stack = [Element("", {})]

    def begin(name, attributes):
        if len(stack) > DEPTH_MAX:
            raise Rejected("xml")
        stack.append(Element(name, attributes))
        stack[-2].children.append(stack[-1])

    def text(more):
        stack[-1].text += more

    def doctype(_name, _system, _public, internal):
        if internal:
            raise Rejected("doctype")

    parser, data = parser_of(data)
    parser.StartElementHandler, parser.EndElementHandler = begin, lambda name: stack.pop()
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise Rejected("xml") from None
    return stack[0].children[0]


def number(text):
    good = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", text, re.A)
    return Fraction(text) if good else None


def quantity(element, units):
    """Value of an element in the unit of which the table has 1."""
    value = number(element.attributes.get("value", "")) if element else None
    unit = units.get(element.attributes.get("unit")) if element else None
    return value * unit if value is not None and unit is not None else None


def decimals(value, places):
    return half_away(value * 10 ** places) / 10 ** places


def first_text(element, path):
    return next((text for text in (tidy(e.text) for e in element.all(path)) if text), "")


def aecg(data, out):
    root = parse_xml(data)
    subject = next((e for e in root.walk() if e.name == "trialSubject"), Element("", {}))
    aecg_patient(subject, out["patient"])
    every = [e for e in root.walk() if e.name == "series"]
    rhythms = [e for e in every if e.get("code", "code") == "RHYTHM"]
    series = (rhythms + every + [Element("", {})])[0]
    aecg_acquired([e.get("effectiveTime" + where, "value") for e in (series, root) for where in ("/low", "", "/center")],
                  out)
    author = "author/seriesAuthor/"
    for key, path in (("manufacturer", "manufacturerOrganization/name"),
                      ("model", "manufacturedSeriesDevice/manufacturerModelName"),
                      ("serial", "manufacturedSeriesDevice/serialNumber"),
                      ("software", "manufacturedSeriesDevice/softwareName")):
        put(out["device"], key, first_text(series, author + path))
    for one in root.walk({id(e) for e in every if e is not series}):
        aecg_condition(one, out)
    aecg_waveform(series, out)
    aecg_annotations(series, out)


def aecg_patient(subject, patient):
    person = "subjectDemographicPerson"
    ids = [tidy(e.attributes.get("extension", "")) for path in ("id", person + "/id") for e in subject.all(path)]
    put(patient, "id", next((text for text in ids if text), ""))
    put(patient, "first_name", first_text(subject, person + "/name/given"))
    put(patient, "last_name", first_text(subject, person + "/name/family"))
    if "first_name" not in patient and "last_name" not in patient:
        put(patient, "last_name", first_text(subject, person + "/name"))
    sex = subject.get(person + "/administrativeGenderCode", "code")
    put(patient, "sex", sex if sex in ("M", "F") else None)
    births = [STAMP.fullmatch(e.attributes.get("value", "")) for e in subject.all(person + "/birthTime")]
    days = [date(*map(int, birth.groups()[:3]), 1850) for birth in births if birth and birth[3]]
    put(patient, "birth_date", next((str(day) for day in days if day), None))


def aecg_condition(one, out):
    """Of any control variable: the age that was told, filters. The first of each counts."""
    code = one.get("code", "code")
    if code == "21612-7" and "age" not in out["patient"]:
        value = next(one.all("value"), None)
        age, unit = quantity(value, dict.fromkeys(AGE.values(), 1)), value.attributes.get("unit") if value else ""
        if age is not None and 0 <= half_away(age) <= 65535:
            out["patient"]["age"] = {"value": half_away(age), "unit": unit}
    key, inner = AECG_FILTERS.get(code.removeprefix("MDC_ECG_CTL_VBL_ATTR_FILTER_"), (None, None))
    for value in [e for x in one.walk() if x.get("code", "code").endswith("FILTER_" + inner) for e in x.all("value")] \
            if key else []:
        hertz = quantity(value, {"Hz": 1})
        places, least = (3, 0) if key == "high_pass_hz" else (0, 1)
        if hertz is not None and least <= half_away(hertz * 10 ** places) <= 100000:
            out["filters"].setdefault(key, decimals(hertz, places) if places else half_away(hertz))


def aecg_moment(found):
    """Of a stamp that says the minute."""
    return moment(*map(int, found.groups("0")[:6])) if found and found[5] else None


def aecg_acquired(texts, out):
    for found in filter(None, map(STAMP.fullmatch, texts)):
        out["acquired_at"] = aecg_moment(found)
        if out["acquired_at"] is None:
            continue
        minutes = int(found[7] + "1") * (int(found[8]) * 60 + int(found[9])) if found[7] else None
        if found[7] and -720 <= minutes <= 840 and int(found[9]) < 60:
            out["acquired_at"] += offset(minutes)
            out["tz_source"] = "file"
        return
    out["warnings"].append("bad_date")


def aecg_waveform(series, out):
    """Each set of sequences has its own time base, before its leads; leads of another interval are left out."""
    left_out = []
    for every in series.all("component/sequenceSet"):
        step = None
        for sequence in every.all("component/sequence"):
            code = sequence.get("code", "code")
            if code in ("TIME_ABSOLUTE", "TIME_RELATIVE"):
                step = aecg_step(sequence, step, out)
            if "_ECG_LEAD_" in code:
                value = next(sequence.all("value"), Element("", {}))
                left_out.append(aecg_lead(aecg_name(code), value, step, out))
    derive(out["leads"], DERIVED, out["warnings"])
    if not out["leads"] and not any(left_out):
        out["warnings"].append("no_rhythm")


def aecg_step(sequence, step, out):
    for increment in sequence.all("value/increment"):
        new = quantity(increment, MICROSECOND)
        if new is None or not 1000 <= half_away(new * 1000) <= 10 ** 9:
            out["warnings"].append("interval")
            continue
        step = decimals(new, 3)
        if not out["leads"]:
            out["interval_us"] = step
    return step


def aecg_name(code):
    name = code.split("_ECG_LEAD_", 1)[1]
    name = {"AVR": "aVR", "AVL": "aVL", "AVF": "aVF", "AVRNEG": "-aVR"}.get(name.upper(), name)
    return name[:15] if re.fullmatch(r"[A-Za-z0-9_-]+", name) else "lead"


def aecg_lead(name, value, step, out):
    """True: it is left out, and the reason is told."""
    warnings = out["warnings"]
    if name in [lead["name"] for lead in out["leads"]]:
        warnings.append(f"lead_twice: {name}")
        return True
    if step != out.get("interval_us"):
        warnings.append(f"interval: {name}")
        return True
    scale = quantity(next(value.all("scale"), None), MICROVOLT)
    if not scale or not 1 <= half_away(scale * 10 ** 6) <= 10 ** 12:
        warnings.append(f"scale: {name}")
        return True
    origin, shift = next(value.all("origin"), None), Fraction(0)
    if origin:
        shift = quantity(origin, MICROVOLT)
        if shift is None or (shift / scale).denominator != 1 or abs(shift / scale) > SAMPLE_MAX:
            warnings.append(f"origin: {name}")
            shift = 0
    samples, tokens = [], re.findall(r"[^ \t\r\n]+", next((e.text for e in value.all("digits")), ""))
    for token in tokens:
        if not re.fullmatch(r"[+-]?\d+", token, re.A):
            break
        sample = int(token) + int(shift / scale)
        if abs(sample) > SAMPLE_MAX:
            warnings.append(f"sample_range: {name}")
            break
        samples.append(sample)
    lead, scale = one_lead(name, samples, len(samples) < len(tokens)), decimals(scale, 6)
    if out.setdefault("uv_per_lsb", scale) != scale:
        lead["uv_per_lsb"] = scale
    out["leads"].append(lead)
    return False


def aecg_annotations(series, out):
    """Wherever they are in the series. The interpretation is of the time of the set that has its first statement."""
    lines, axis, found, at = [], {}, out["measurements"], None
    for one, set_at in [(one, moment) for every in series.walk() if every.name == "annotationSet"
                        for moment in [aecg_activity(every)] for one in every.walk() if one.name == "annotation"]:
        code, value = one.get("code", "code").removeprefix("MDC_ECG_"), next(one.all("value"), None)
        short = code.upper() if code.upper() == "TIME_PD_QTC" else code
        if short in AECG_MEASURES:
            key, most = AECG_MEASURES[short]
            number_there = quantity(value, PER_MINUTE if key == "hr" else MILLISECOND)
            whole = half_away(number_there) if number_there is not None else 0
            if 1 <= whole <= most:
                found.setdefault(key, whole)
        if code in AECG_AXES:
            angle = quantity(value, {"deg": 1})
            if angle is not None and abs(half_away(angle)) <= 360:
                axis.setdefault(AECG_AXES[code], half_away(angle))
        if code == "INTERPRETATION_STATEMENT" and value:
            more = [text for text in (tidy(e.text) for e in one.all("value")) if text]
            at = set_at if more and not lines else at
            lines += more
    put(found, "axis", axis)
    if lines:
        out["interpretation"] = {"status": "original", "lines": lines}
        put(out["interpretation"], "at", at)


def aecg_activity(every):
    stamps = [aecg_moment(STAMP.fullmatch(e.attributes.get("value", ""))) for e in every.all("activityTime")]
    return next((stamp for stamp in reversed(stamps) if stamp), None)


# --- Contec ECG90A: 8 case, 2, 20 time, 2, 8 name, sex, age, weight; rows of 8 samples; 37 bytes at the end

OFF_SCALE = 0x6800      # out of scale, or the lead is off


def ecg90a_like(data):
    return len(data) >= 80 and re.fullmatch(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[\0 ]", data[10:30])


def ecg90a(data, out):
    if (len(data) - 80) % 16:
        raise Rejected("structure")
    text, patient = Texts(0, out["warnings"]), out["patient"]
    put(patient, "last_name", text(data[32:40]))
    sex, age, weight = data[40:43]
    put(patient, "sex", {0: "F", 1: "M"}.get(sex))
    put(patient, "age", {"value": age, "unit": "a"} if 0 < age <= 200 else None)
    put(patient, "weight", {"value": weight, "unit": "kg"} if weight else None)
    out["acquired_at"] = moment(*map(int, re.findall(rb"\d+", data[10:29])))
    if out["acquired_at"] is None:
        out["warnings"].append("bad_date")
    out["device"] = {"manufacturer": "Contec", "model": "ECG90A"}
    out["interval_us"], out["uv_per_lsb"] = 1250, 5
    rows = [struct.unpack_from("<8H", data, at) for at in range(43, len(data) - 37, 16)]
    end = next((k for k, row in enumerate(rows) if not any(row)), len(rows))
    if end == 0:
        out["warnings"].append("no_rhythm")
        return
    for k, name in enumerate(("II", "III", "V1", "V2", "V3", "V4", "V5", "V6")):
        column = [row[k] for row in rows[:end]]
        if set(column) == {OFF_SCALE}:
            out["warnings"].append(f"lead_off: {name}")
            continue
        out["leads"].append(one_lead(name, [x - 2048 for x in column], end < len(rows)))
        if OFF_SCALE in column:
            out["warnings"].append(f"off_scale: {name}")
    if not any(OFF_SCALE in row[:2] for row in rows[:end]):
        derive(out["leads"], (("I", lambda ii, iii: ii - iii), ("aVR", lambda ii, iii: Fraction(iii - 2 * ii, 2)),
                              ("aVL", lambda ii, iii: Fraction(ii - 2 * iii, 2)),
                              ("aVF", lambda ii, iii: Fraction(ii + iii, 2))), out["warnings"], ("II", "III"))
