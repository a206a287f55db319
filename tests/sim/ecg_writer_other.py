# SPDX-License-Identifier: GPL-3.0-or-later
"""Random annotated ECGs (HL7 aECG) and files of the Contec ECG90A that are in order, each with the object that
a reader must print for it. Nobody's data."""
import struct
from fractions import Fraction
from xml.sax.saxutils import escape, quoteattr

from ecg_writer import curve, derive, put, scaled

AECG_LEADS = {"I": "I", "II": "II", "III": "III", "AVR": "aVR", "AVL": "aVL", "AVF": "aVF",
              **{f"V{k}": f"V{k}" for k in range(1, 10)}, "V3R": "V3R", "V4R": "V4R", "X": "X", "Y": "Y", "Z": "Z"}
SCALES = [("2.5", "uV", 2.5), ("5", "uV", 5), ("0.00488", "mV", 4.88), ("3750", "nV", 3.75), ("0.000001", "V", 1),
          ("1.25e-3", "mV", 1.25), ("4.8828125", "uV", 4.882813)]
STEPS = [("0.002", "s", 2000), ("2", "ms", 2000), ("1250", "us", 1250), ("0.0016667", "s", 1666.7),
         ("2.7777777", "ms", 2777.778), ("1e-3", "s", 1000)]
MEASURES = {"hr": ("MDC_ECG_HEART_RATE", "bpm", 40, 200), "pr": ("MDC_ECG_TIME_PD_PR", "ms", 80, 300),
            "qrs": ("MDC_ECG_TIME_PD_QRS", "ms", 50, 200), "qt": ("MDC_ECG_TIME_PD_QT", "ms", 200, 600),
            "qtc": ("MDC_ECG_TIME_PD_QTc", "ms", 200, 600)}
AXES = {"p": "MDC_ECG_ANGLE_P_FRONT", "qrs": "MDC_ECG_ANGLE_QRS_FRONT", "t": "MDC_ECG_ANGLE_T_FRONT"}
TEXTS = ["TEST", "测试甲", "Prüfung <1> & \"2\"", "sinus test"]


def element(name, *inside, **attributes):
    head = name + "".join(f" {key.replace('xsi_', 'xsi:')}={quoteattr(value)}" for key, value in attributes.items())
    inside = "".join(inside)
    return f"<{head}>{inside}</{name}>" if inside else f"<{head}/>"


def annotation(code, value, unit):
    return element("component", element("annotation", element("code", code=code),
                                        element("value", xsi_type="PQ", value=str(value), unit=unit)))


class Aecg:
    """Parts of one file: text, and what is expected of it."""

    def __init__(self, rng):
        self.rng = rng
        self.truth = {"format": "aecg", "patient": {}, "device": {}, "filters": {}, "leads": [],
                      "measurements": {}, "acquired_at": None, "tz_source": "none", "warnings": []}

    def sometimes(self, share=0.8):
        return self.rng.random() < share

    def subject(self):
        rng, patient, inside, person = self.rng, self.truth["patient"], "", ""
        if self.sometimes():
            patient["id"] = rng.choice(["R-0001", "SYN-1", "测试1"])
            inside += element("id", root="1.2.3", extension=patient["id"])
        if self.sometimes():
            sex = rng.choice(["M", "F", "UN"])
            put(patient, "sex", sex if sex != "UN" else None)
            person += element("administrativeGenderCode", code=sex)
        if self.sometimes():
            family, given = rng.choice([("TEST", "A"), ("测试", "甲"), ("TEST", ""), ("", "B"), ("TEST", None)])
            put(patient, "last_name", family)
            put(patient, "first_name", given)
            person += element("name", family if given is None else "".join(
                element(name, text) for name, text in (("given", given), ("family", family)) if text))
        if self.sometimes():
            birth, shown = rng.choice([("19500304", "1950-03-04"), ("20000229", "2000-02-29"), ("19010229", None)])
            put(patient, "birth_date", shown)
            person += element("birthTime", value=birth)
        return element("trialSubject", inside, element("subjectDemographicPerson", person))

    def time(self):
        rng, truth = self.rng, self.truth
        text, shown = rng.choice([("20260131080910", "2026-01-31T08:09:10"), ("20240229235959", "2024-02-29T23:59:59"),
                                  ("20230229000000", None), ("20260131240000", None), ("19791231000000", None)])
        text += rng.choice(["", ".000", ".5"])
        zone, printed = rng.choice([("", ""), ("+0800", "+08:00"), ("-0330", "-03:30"), ("+0000", "+00:00")])
        truth["acquired_at"] = shown + printed if shown else None
        truth["tz_source"] = "file" if shown and zone else "none"
        if not shown:
            truth["warnings"].append("bad_date")
        if self.sometimes():
            return element("effectiveTime", element("low", value=text + zone), element("high", value="20270101000000"))
        return element("effectiveTime", value=text + zone)

    def author(self):
        rng, device = self.rng, self.truth["device"]
        machine = maker = ""
        for key, name in (("model", "manufacturerModelName"), ("serial", "serialNumber"), ("software", "softwareName")):
            if self.sometimes():
                device[key] = rng.choice(["SIM 1", "5.3", "Prüf & Söhne"])
                machine += element(name, escape(f" {device[key]}\n"))
        if self.sometimes():
            device["manufacturer"] = rng.choice(["Synthetic Instruments", "测试"])
            maker = element("manufacturerOrganization", element("name", device["manufacturer"]))
        return element("author", element("seriesAuthor", element("manufacturedSeriesDevice", machine), maker))

    def conditions(self):
        """Control variables: the age, and filters."""
        rng, filters, text = self.rng, self.truth["filters"], ""
        if self.sometimes(0.5):
            unit = rng.choice(["a", "mo", "wk", "d", "h", "year"])
            put(self.truth["patient"], "age", {"value": 46, "unit": unit} if unit != "year" else None)
            text += element("controlVariable", element("relatedObservation", element("code", code="21612-7"), element(
                "value", value="46", unit=unit)))
        for key, code, inner, value in (("low_pass_hz", "LOW_PASS", "CUTOFF_FREQ", rng.choice([40, 150])),
                                        ("high_pass_hz", "HIGH_PASS", "CUTOFF_FREQ", rng.choice([0, 0.05, 0.5])),
                                        ("notch_hz", "NOTCH", "NOTCH_FREQ", rng.choice([50, 60]))):
            if self.sometimes(0.5):
                filters[key] = value
                code, inner = (element("code", code="MDC_ECG_CTL_VBL_ATTR_FILTER_" + x) for x in (code, inner))
                text += element("controlVariable", element("controlVariable", code, element(
                    "component", element("controlVariable", inner, element("value", value=str(value), unit="Hz")))))
        return text

    def lead(self, code, name, scale, n):
        rng = self.rng
        text, unit, microvolt = scale
        step, shift, samples = Fraction(text) * {"uV": 1, "mV": 1000, "nV": Fraction(1, 1000), "V": 10 ** 6}[unit], 0, []
        origin = element("origin", value="0", unit=unit)
        kind = rng.random()
        if kind < 0.2:
            shift = rng.randrange(-500, 500)
            origin = element("origin", value=f"{float(step * shift):.9f}", unit="uV")
            if Fraction(f"{float(step * shift):.9f}") != step * shift:
                origin, shift = "", 0
        elif kind < 0.3:
            origin = element("origin", value=f"{float(step) / 2:.9f}", unit="uV")
            self.truth["warnings"].append("origin")
        elif kind < 0.4:
            origin = ""
        samples = curve(rng, n, 3000)
        digits = rng.choice([" ", "\n", "\t  ", "\r\n"]).join(map(str, samples))
        lead = {"name": name, "n": n, "derived": False}
        if rng.random() < 0.15 and n:
            lead["truncated"] = True
            digits += rng.choice([" x", " NaN 7 8", " 1.5 2", " 7,8", " --1 3"])
        if rng.random() < 0.5:
            digits = " " + digits + "\n"
        lead["samples"] = [x + shift for x in samples]
        if self.truth.setdefault("uv_per_lsb", microvolt) != microvolt:
            lead["uv_per_lsb"] = microvolt
        self.truth["leads"].append(lead)
        return element("component", element("sequence", element("code", code="MDC_ECG_LEAD_" + code), element(
            "value", origin, element("scale", value=text, unit=unit), element("digits", digits), xsi_type="SLIST_PQ")))

    def sequences(self):
        rng = self.rng
        text, unit, self.truth["interval_us"] = rng.choice(STEPS)
        clock = element("component", element("sequence", element("code", code=rng.choice(
            ["TIME_ABSOLUTE", "TIME_RELATIVE"])), element("value", element("head", value="20260131080910.000"),
            element("increment", value=text, unit=unit), xsi_type="GLIST_TS")))
        n, scale = rng.choice([1, 30, 200]), rng.choice(SCALES)
        leads = [self.lead(code, name, scale if self.sometimes(0.9) else rng.choice(SCALES), n)
                 for code, name in rng.sample(list(AECG_LEADS.items()), rng.randrange(1, 13))]
        scales = {lead["name"]: lead.get("uv_per_lsb") for lead in self.truth["leads"]}
        if scales.get("I", 0) == scales.get("II", 0):
            derive(self.truth["leads"])
        return element("sequenceSet", clock, *leads)

    def findings(self):
        rng, found, parts = self.rng, self.truth["measurements"], []
        for key, (code, unit, low, high) in MEASURES.items():
            if self.sometimes(0.6):
                found[key] = rng.randint(low, high)
                parts.append(annotation(code, found[key], unit))
                if rng.random() < 0.3:
                    parts.append(annotation(code, found[key] + 1, unit))
        axis = {key: rng.randint(-180, 180) for key in AXES if self.sometimes(0.6)}
        parts += [annotation(AXES[key], value, "deg") for key, value in axis.items()]
        put(found, "axis", axis)
        lines = [rng.choice(TEXTS) for _ in range(rng.randrange(4))]
        if lines:
            self.truth["interpretation"] = {"status": "original", "lines": lines}
            parts.append(element("component", element("annotation", element(
                "code", code="MDC_ECG_INTERPRETATION"), *(element("component", element(
                    "annotation", element("code", code="MDC_ECG_INTERPRETATION_STATEMENT"),
                    element("value", escape(line), xsi_type="ST"))) for line in lines))))
        if self.sometimes(0.5):
            parts.insert(0, element("activityTime", value="20260131091011"))
            if lines:
                self.truth["interpretation"]["at"] = "2026-01-31T09:10:11"
        return element("subjectOf", element("annotationSet", *parts))

    def other_lead(self):
        """A lead that is of no rhythm."""
        return element("component", element("sequenceSet", element("component", element(
            "sequence", element("code", code="MDC_ECG_LEAD_II"), element(
                "value", element("scale", value="1", unit="uV"), element("digits", "1 2 3"), xsi_type="SLIST_PQ")))))

    def text(self):
        rng = self.rng
        head = element("id", root="1.2.3") + element("code", code="93000")
        subject = element("componentOf", element("timepointEvent", element("componentOf", element(
            "subjectAssignment", element("subject", self.subject())))))
        beat = element("derivation", element("derivedSeries", element(
            "code", code="REPRESENTATIVE_BEAT"), self.other_lead(), self.findings()))
        rhythm = element("component", element("series", element("code", code=rng.choice(["RHYTHM"] * 4 + ["OTHER"])),
                                              self.time(), self.author(), self.conditions(),
                                              element("component", self.sequences()), beat))
        others = element("component", element("series", element("code", code="OTHER"), self.other_lead()))
        series = rhythm + others if rng.random() < 0.3 else rhythm
        if 'code="RHYTHM"' in rhythm and rng.random() < 0.3:
            series = others + rhythm
        if rng.random() < 0.5:
            series = series.replace("><", ">\n  <!-- a note --><")
        text = rng.choice(['<?xml version="1.0" encoding="UTF-8"?>\n', '<?xml version="1.0"?>', ""])
        text += rng.choice(["", "", "<!-- AnnotatedECG -->\n", '<!DOCTYPE AnnotatedECG SYSTEM "none.dtd">\n'])
        return text + element("AnnotatedECG", head, subject, series, xmlns="urn:hl7-org:v3",
                              **{"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"})


def aecg(rng):
    """(bytes, the object that is expected)."""
    file = Aecg(rng)
    data = file.text().encode()
    file.truth["bytes"] = len(data)
    return data, file.truth


def ecg90a(rng):
    """(bytes, the object that is expected)."""
    truth = {"format": "ecg90a", "patient": {}, "acquired_at": None, "tz_source": "none", "filters": {},
             "device": {"manufacturer": "Contec", "model": "ECG90A"}, "interval_us": 1250, "uv_per_lsb": 5,
             "leads": [], "measurements": {}, "warnings": []}
    day, shown = rng.choice([("2026-01-31 08:09:10", "2026-01-31T08:09:10")] * 4 + [("2023-02-29 00:00:00", None),
                                                                                 ("1979-01-01 00:00:00", None)])
    truth["acquired_at"] = shown
    if not shown:
        truth["warnings"].append("bad_date")
    case = rng.choice([b"0000042\0", b"R-0001\0\0", b"\0" * 8, b"12345678"])
    name = rng.choice(["TEST", "测试甲", "Prüfg", ""])
    raw = name.encode("latin-1" if name == "Prüfg" else "gb18030").ljust(8, b"\0")
    put(truth["patient"], "last_name", name)
    if not name.isascii():
        truth["warnings"].append("charset_guessed")
    sex, age, weight = rng.choice([0, 1, 2, 255]), rng.choice([0, 1, 66, 200, 201, 255]), rng.choice([0, 60, 120])
    put(truth["patient"], "sex", {0: "F", 1: "M"}.get(sex))
    put(truth["patient"], "age", {"value": age, "unit": "a"} if 0 < age <= 200 else None)
    put(truth["patient"], "weight", {"value": weight, "unit": "kg"} if weight else None)
    data = case + b"\1\2" + day.encode() + rng.choice([b"\0", b" "]) + b"\3\4" + raw + bytes([sex, age, weight])
    n, cut = rng.choice([0, 1, 50, 300]), {"truncated": True} if rng.random() < 0.3 else {}
    columns = [curve(rng, n, 2000) for _ in range(8)]
    off = set()
    if n and rng.random() < 0.2:
        off = {rng.randrange(8)}
        columns[min(off)][rng.randrange(n)] = 0x6800 - 2048
    for k, name in enumerate(("II", "III", "V1", "V2", "V3", "V4", "V5", "V6") if n else ()):
        if k in off and n == 1:
            continue
        truth["leads"].append({"name": name, "n": n, "derived": False, **cut, "samples": columns[k]})
    truth["warnings"] += ["lead_off" if n == 1 else "off_scale"] * len(off) + ["no_rhythm"] * (not n)
    data += b"".join(struct.pack("<8H", *(x + 2048 for x in row)) for row in zip(*columns))
    if cut:                                           # the row of zeros comes before the rows are all there
        data += b"\0" * 16 + b"\x55" * rng.choice([0, 16, 32])
    data += b"\0" * 37
    if n and not off & {0, 1}:
        pairs = list(zip(columns[0], columns[1]))
        for name, doubled in (("I", [2 * (a - b) for a, b in pairs]), ("aVR", [b - 2 * a for a, b in pairs]),
                              ("aVL", [a - 2 * b for a, b in pairs]), ("aVF", [a + b for a, b in pairs])):
            truth["leads"].append({"name": name, "n": n, "derived": True, **cut,
                                   "samples": [scaled(x, 1, 2) for x in doubled]})
    truth["bytes"] = len(data)
    return data, truth
