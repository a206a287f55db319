# SPDX-License-Identifier: GPL-3.0-or-later
"""Random SCP-ECG records that are in order, each with the object that a reader must print for it. Nobody's
data: names are words for "test". What is expected is put together here from what was written, not read back."""
import binascii
import struct
from dataclasses import dataclass, field

from ecg_huffman import Tables

LEADS = [(1, "I"), (2, "II"), (3, "V1"), (4, "V2"), (5, "V3"), (6, "V4"), (7, "V5"), (8, "V6"), (61, "III"),
         (62, "aVR"), (63, "aVL"), (64, "aVF"), (9, "V7"), (10, "V2R"), (11, "V3R"), (12, "V4R"), (13, "V5R"),
         (14, "V6R"), (15, "V7R"), (16, "X"), (17, "Y"), (18, "Z"), (65, "-aVR"), (66, "V8"), (67, "V9"),
         (68, "V8R"), (69, "V9R"), (0, "lead-0"), (19, "lead-19"), (60, "lead-60"), (70, "lead-70"),
         (101, "lead-101"), (255, "lead-255")]
# Language code, words of that character set, is it guessed?
LANGUAGES = [
    (0x00, "ascii", ["TEST", "Test A-1", "R-0001"], False),
    (0x01, "latin-1", ["Prüfung", "essai ÿ", "\x85 \xa0 ß"], False),
    (0x03, "iso8859_2", ["próba Łż", "Žluť"], False),
    (0x0B, "iso8859_4", ["Ķļņ", "pārbaude"], False),
    (0x13, "iso8859_5", ["проба", "Тест Ё"], False),
    (0x1B, "iso8859_6", ["اختبار"], False),
    (0x23, "iso8859_7", ["δοκιμή"], False),
    (0x2B, "iso8859_8", ["מבחן"], False),
    (0x33, "iso8859_11", ["ทดสอบ"], False),
    (0x3B, "iso8859_15", ["œuvre €", "Ÿ"], False),
    (0x07, "utf-8", ["测试甲", "essai ÿ", "𝄞 TEST"], False),
    (0x07, "utf-16-le", ["试验", "測試乙丙", "试验1", "TEST", "一 A"], False),
    (0x27, "gb2312", ["测试甲", "测试 B"], False),
    (0x27, "gb18030", ["测试㐂", "測試"], False),
    (0x2F, "euc_kr", ["시험", "시험 A"], False),
    (0x00, "latin-1", ["Prüfung", "essai ÿ", "Ðß Üh"], True),
    (0x00, "utf-8", ["测试甲", "проба"], True),
    (0x00, "gb18030", ["测试甲", "乙测 Test", "测試A丙"], True),
    (0x10, "utf-8", ["测试甲"], True),
    (0x0F, "gb18030", ["测试甲"], True),
    (0x17, "utf-8", ["試験"], True),
    (0x1F, "latin-1", ["Prüfung"], True),
    (0x43, "utf-8", ["δοκιμή"], True),
    (0x27, "latin-1", ["Prüf ÿ 1"], True),
    (0x07, "latin-1", ["ÀÿB"], True),
    (None, "utf-8", ["проба"], True),
]
MAKERS = {1: "Burdick", 6: "HP", 9: "Nihon Kohden", 18: "Picker-Schwarzer", 19: "Elettronica Trentina",
          20: "Zwonitz", 0: None, 21: None, 255: None}


def crc(data):
    return binascii.crc_hqx(data, 0xFFFF)


def section(name, body, version=20, magic=b"\0" * 6):
    body += b"\0" * (len(body) % 2)
    head = struct.pack("<HIBB6s", name, 16 + len(body), version, version, magic)
    return struct.pack("<H", crc(head + body)) + head + body


@dataclass
class Record:
    sections: dict                                   # id: body
    order: list = field(default_factory=list)        # of the sections; those that are not named come behind
    pointers: list = field(default_factory=list)     # of ids; 0 for itself, None for an empty one
    magic: bytes = b"SCPECG"
    version: int = 20
    padding: bytes = b""
    features: set = field(default_factory=set)

    def copy(self):
        return Record(dict(self.sections), list(self.order), list(self.pointers), self.magic, self.version,
                      self.padding, set(self.features))

    def bytes(self):
        names = [name for name in self.order if name in self.sections]
        names += [name for name in self.sections if name not in names]
        listed = [name for name in self.pointers if name in (0, None) or name in self.sections]
        listed += [name for name in names if name not in listed]
        at, where, bodies = 6 + 16 + 10 * len(listed), {}, b""
        where[0] = (0, at - 6, 7)
        for name in names:
            part = section(name, self.sections[name], self.version)
            where[name] = (name, len(part), at + len(bodies) + 1)
            bodies += part
        spare = [name for name in range(1, 12) if name not in listed]
        pointers = b""
        for name in listed:
            empty = (spare.pop() if spare and len(spare) % 2 else 0, 0, 0)
            pointers += struct.pack("<HII", *where.get(name, empty))
        body = section(0, pointers, self.version, self.magic) + bodies
        body = struct.pack("<I", 6 + len(body)) + body
        return struct.pack("<H", crc(body)) + body + self.padding


def shown(text):
    """A text as it is printed."""
    text = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text).strip(" ")
    while len(text.encode()) > 255:
        text = text[:-1]
    return text.rstrip(" ")


class Words:
    """Random texts of one language."""

    def __init__(self, rng):
        self.rng = rng
        self.code, self.charset, self.words, self.is_guess = rng.choice(LANGUAGES)
        self.guessed = False

    def make(self, printed=True, inside=False):
        """(bytes, text as it is printed). inside: the text may have no zero byte."""
        rng = self.rng
        words = self.words + ["TEST", "D-0001"] * (self.code != 0x07)
        if self.charset == "utf-16-le":
            text = rng.choice(words[:2] if inside else words)
            raw = text.encode(self.charset)
            return raw + rng.choice([b"", b"\0\0", b"\0\0AB"] if not inside else [b""]), shown(text)
        text = rng.choice(words)
        if self.code != 0x07 or self.charset == "utf-8":      # else no byte may be added
            text = rng.choice(["", " ", "\t", "\r\n"]) + text + rng.choice(["", " \x7f", "\x1b", " x"])
            text *= rng.choice([1, 1, 1, 1, 40])
        raw = text.encode(self.charset)
        self.guessed |= printed and self.is_guess and not text.isascii()
        ends = [b"", b"\0", b"\0", b"\0behind\xff"] if self.code != 0x07 else [b"", b"\0"]
        return raw + rng.choice(ends if not inside and (self.code, self.charset) != (0x07, "latin-1") else [b""]), shown(text)


def tag(name, value):
    return struct.pack("<BH", name, len(value)) + value


def put(target, key, value):
    if value not in (None, "", {}, []):
        target[key] = value


# --- section 1

def device(rng, words, truth):
    """Tag 14, or None for a file without it."""
    if words.code is None:
        return None
    maker = rng.choice(list(MAKERS))
    mains = rng.choice([0, 1, 2, 3])
    model = rng.choice([b"SIM-1\0", b"SIMUL6", b"\0" * 6, b"S 2\0zz"])
    put(truth, "mains_hz", {1: 50, 2: 60}.get(mains))
    put(truth, "model", model.split(b"\0")[0].decode())
    put(truth, "manufacturer", MAKERS[maker])
    fixed = struct.pack("<HHHBB6s5B16s", 1, 2, 3, rng.randrange(2), maker, model, 20, 0xA0, words.code,
                        rng.randrange(256), mains, b"\0" * 16)
    if rng.random() < 0.1:
        return fixed[:rng.choice([19, 30, 35])]
    strings, texts = [], []
    for k in range(rng.choice([0, 2, 3, 5, 5, 5, 6])):
        raw, text = words.make(k in (1, 2, 4), True) if rng.random() < 0.8 else (b"", "")
        strings.append(raw)
        texts.append(text)
    texts += [""] * 5
    put(truth, "manufacturer", texts[4])
    put(truth, "serial", texts[1])
    put(truth, "software", texts[2])
    first = len(strings[0]) + 1 if strings else 0
    return fixed + bytes([first % 256]) + b"\0".join(strings) + rng.choice([b"", b"\0"]) * bool(strings)


def quantity(rng, units, truth, key, zero):
    value, code = rng.choice([0, 1, 39, 180, 65535, rng.randrange(300)]), rng.randrange(7)
    if 1 <= code <= len(units) and (value or zero):
        truth[key] = {"value": value, "unit": units[code - 1]}
    return struct.pack("<HB", value, code)


def moment(rng):
    """(bytes of the day, bytes of the time, how it is printed or None)."""
    day = rng.choice([(2026, 1, 31), (2024, 2, 29), (1980, 1, 1), (2200, 12, 31)] * 3 +
                     [(1979, 12, 31), (2201, 1, 1), (2023, 2, 29), (2026, 0, 1), (2026, 13, 1), (0, 0, 0)])
    time = rng.choice([(8, 9, 10), (0, 0, 0), (23, 59, 59)] * 3 + [(24, 0, 0), (1, 60, 1), (1, 1, 60)])
    good = (1979, 12, 31) < day < (2201, 1, 1) and day[1] in range(1, 13) and day != (2023, 2, 29) and \
        time[0] < 24 and max(time) < 60 and day[2] > 0
    text = "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*day, *time)
    return struct.pack("<HBB", *day), bytes(time), text if good else None


def filters(rng, truth):
    high, low, bits = rng.choice([0, 5, 15, 50, 65535]), rng.choice([0, 35, 150]), rng.randrange(32)
    found = []
    if rng.random() < 0.7:
        found.append(tag(27, struct.pack("<H", high)))
        truth["high_pass_hz"] = high / 100
    if rng.random() < 0.7:
        found.append(tag(28, struct.pack("<H", low)))
        put(truth, "low_pass_hz", low or None)
    if rng.random() < 0.7:
        found.append(tag(29, bytes([bits])))
        put(truth, "notch_hz", 50 if bits & 2 else 60 if bits & 1 else None)
        put(truth, "artifact", bool(bits & 4) or None)
        put(truth, "baseline", bool(bits & 8) or None)
    return found


def section1(rng, words, truth):
    patient, tags = truth["patient"], []
    for name, key in ((2, "id"), (0, "last_name"), (1, "first_name")):
        if rng.random() < 0.8:
            raw, text = words.make()
            put(patient, key, text)
            tags.append(tag(name, raw))
    if rng.random() < 0.6:
        day = rng.choice([(1950, 3, 4), (1850, 1, 1), (2200, 12, 31), (1849, 12, 31), (1951, 2, 29), (0, 0, 0)])
        tags.append(tag(5, struct.pack("<HBB", *day)))
        put(patient, "birth_date", None if day in ((1849, 12, 31), (1951, 2, 29), (0, 0, 0)) else
            "{:04}-{:02}-{:02}".format(*day))
    if rng.random() < 0.6:
        sex = rng.choice([0, 1, 2, 9, 77])
        put(patient, "sex", {1: "M", 2: "F"}.get(sex))
        tags.append(tag(8, bytes([sex]) + b"more" * rng.randrange(2)))
    for name, key, units in ((4, "age", ("a", "mo", "wk", "d", "h")), (6, "height", ("cm", "[in_i]", "mm")),
                             (7, "weight", ("kg", "g", "[lb_av]", "[oz_av]"))):
        if rng.random() < 0.5:
            value = quantity(rng, units, patient, key, key == "age")
            tags.append(tag(name, value))
    if rng.random() < 0.3:
        truth["urgency"] = rng.randrange(256)
        tags.append(tag(24, bytes([truth["urgency"]])))
    day, time, text = moment(rng)
    for name, value in ((25, day), (26, time)):
        if rng.random() < 0.95:
            tags.append(tag(name, value))
        else:
            text = None
    zone = rng.choice([480, -720, 840, -210, 0, -721, 841, None, None])
    if zone is not None:
        tags.append(tag(34, struct.pack("<hH", zone, 0) + b"\0"))
    truth["acquired_at"], truth["tz_source"] = text, "none"
    if text is None:
        truth["warnings"].append("bad_date")
    elif zone is not None and -720 <= zone <= 840:
        truth["acquired_at"] += "{}{:02}:{:02}".format("+-"[zone < 0], *divmod(abs(zone), 60))
        truth["tz_source"] = "file"
    about = device(rng, words, truth["device"])
    if about is not None:
        tags.append(tag(14, about))
    tags += filters(rng, truth["filters"])
    rng.shuffle(tags)
    tags += [tag(2, b"R-0002\0") for _ in range(rng.randrange(2)) if any(t[0] == 2 for t in tags)]
    tags += [tag(x, rng.randbytes(rng.randrange(9))) for x in rng.sample([3, 9, 10, 13, 30, 33, 200, 254], 3)]
    body = b"".join(tags)
    if len(body) % 2 or rng.random() < 0.8:
        body += tag(255, b"") + rng.choice([b"", b"\0\0\0\0", b"\2\xff\xff"])
    return body


# --- the waveform: sections 2 to 6

def curve(rng, n, most):
    values, x, speed = [], rng.randrange(-50, 50), 0.0
    for _ in range(n):
        speed += rng.gauss(0, 3) - x / 100
        x += int(speed)
        if rng.random() < 0.01:
            x += rng.randrange(-most, most)
        x = max(-most, min(most, x))
        values.append(x)
    return values


def differences(x, order):
    if order == 1:
        return x[:1] + [b - a for a, b in zip(x, x[1:])]
    return x[:2] + [c - 2 * b + a for a, b, c in zip(x, x[1:], x[2:])] if order == 2 else list(x)


def scaled(value, numerator, denominator):
    """The nearest integer, halves away from zero."""
    size = (2 * abs(value) * numerator + denominator) // (2 * denominator)
    return size if value >= 0 else -size


def signal(avm, interval, order, last, parts, behind=b""):
    return (struct.pack("<HHBB", avm, interval, order, last) + struct.pack(f"<{len(parts)}H", *map(len, parts)) +
            b"".join(parts) + behind)


def beats(rng, tables, leads, avm, interval, sections):
    """Subtracts reference beats from the rhythm; writes sections 4 and 5."""
    length_ms, order = rng.choice([60, 101, 200]), rng.randrange(3)
    other = rng.choice([avm, avm, min(avm * 2, 65535), max(1, avm // 3), max(1, avm - 1)])
    n = length_ms * 1000 // interval
    fiducial, total = rng.randrange(1, n + 2), max(len(x) for _, _, x in leads)
    entries = []
    for _ in range(rng.randrange(5)):
        middle = rng.randrange(1, total + 2)
        begin, end = max(0, middle - rng.randrange(n + 4)), middle + rng.randrange(n + 4)
        entries.append((rng.choice([0, 0, 0, 1, 258]), begin, middle, end))
    parts = []
    for _, start, samples in leads:
        beat, first = curve(rng, n, 300), max(start, 1)
        for kind, begin, middle, end in entries:
            for s in range(begin, end + 1):
                k, j = s - first, fiducial - middle + s
                if kind == 0 and 0 <= k < len(samples) and 1 <= j <= n:
                    samples[k] -= scaled(beat[j - 1], other, avm)
        beat += curve(rng, rng.randrange(3), 300)     # what is longer than declared is not read
        parts.append(tables.encode(differences(beat, order)))
    sections[4] = struct.pack("<HHH", length_ms, fiducial, len(entries)) + \
        b"".join(struct.pack("<HIII", *entry) for entry in entries) + \
        b"".join(struct.pack("<II", entry[1], entry[3]) for entry in entries) * rng.randrange(2)
    sections[5] = signal(other, interval, order, rng.randrange(2), parts)


def waveform(rng, truth, sections, features):
    names = rng.choice([LEADS[:2], LEADS[:8], LEADS[:12], rng.sample(LEADS, rng.randrange(1, 13)),
                        [LEADS[0], *rng.sample(LEADS[2:], 3), LEADS[1]]])
    order, tables = rng.randrange(3), Tables(rng)
    avm, interval = rng.choice([1, 183, 1000, 2500, 3750, 4880, 65535]), rng.choice([1000, 1667, 2000, 4000])
    flags, most = rng.choice([0, 4, 0x64]), rng.choice([60, 1000, 5000])
    same, base = rng.random() < 0.7, (rng.choice([20, 100, 300]), rng.choice([0, 1, 1, 37]))
    leads, ends, lacking = [], [], rng.choice([[0], [0], [0, 0, 1, 7]])
    for code, name in names:
        n, start = base if same else (rng.randrange(1, 60), rng.choice([0, 1, 5000]))
        missing = rng.choice(lacking) if tables.can_stop_early else 0
        leads.append((name, start, curve(rng, n, most)))
        ends.append((start, start + n + missing - 1, code))
        cut = missing > (start == 0)
        truth["leads"].append({"name": name, "n": n, "derived": False, **({"truncated": True} if cut else {}),
                               "samples": list(leads[-1][2])})
    if rng.random() < 0.3:
        flags |= 1
        beats(rng, tables, leads, avm, interval, sections)
        features.add("beats")
    stops = [ends[k][1] - ends[k][0] + 1 > len(x) for k, (_, _, x) in enumerate(leads)]
    parts = [tables.encode(differences(x, order), stop) for (_, _, x), stop in zip(leads, stops)]
    sections[2] = tables.section
    sections[3] = bytes([len(names), flags]) + b"".join(struct.pack("<IIB", *end) for end in ends)
    behind = rng.choice([b"", b"", b"\0\0", b"\xff" * 8])
    if sum(map(len, parts)) + 2 * len(parts) + len(behind) == 2 * sum(end - start + 1 for start, end, _ in ends):
        behind = b""                                   # else it looks like samples without length words
    sections[6] = signal(avm, interval, order, 0, parts, behind)
    if tables.kind in ("none", "zero", "single") and order == 0 and not any(stops) and rng.random() < 0.6 and \
            bare(sections, leads):
        truth["warnings"].append("no_lead_lengths")
    features |= {"table " + tables.kind, f"difference {order}", *(f"start {min(e[0], 2)}" for e in ends)}
    truth["interval_us"], truth["uv_per_lsb"] = interval, avm / 1000
    derive(truth["leads"])


def bare(sections, leads):
    """Leaves the length words out, if what stands in their place then is not what they would be."""
    body = sections[6][:6] + b"".join(struct.pack(f"<{len(x)}h", *x) for _, _, x in leads)
    n = len(leads)
    if sum(struct.unpack_from(f"<{n}H", body, 6)) == len(body) - 6 - 2 * n:
        return False
    sections[6] = body
    return True


def derive(leads):
    by_name = {lead["name"]: lead for lead in reversed(leads)}
    one, two = by_name.get("I"), by_name.get("II")
    if not one or not two or one["n"] != two["n"]:
        return
    cut = {"truncated": True} if "truncated" in one or "truncated" in two else {}
    pairs = list(zip(one["samples"], two["samples"]))
    for name, values in (("III", [2 * (b - a) for a, b in pairs]), ("aVR", [-a - b for a, b in pairs]),
                         ("aVL", [2 * a - b for a, b in pairs]), ("aVF", [2 * b - a for a, b in pairs])):
        if name not in by_name:
            leads.append({"name": name, "n": one["n"], "derived": True, **cut,
                          "samples": [scaled(value, 1, 2) for value in values]})
            put(leads[-1], "uv_per_lsb", one.get("uv_per_lsb"))


# --- sections 7, 8 and 11

UNKNOWN = [29999, 29998, 19999, 65535]


def section7(rng, truth):
    """Field by field; where the section ends early, what follows is not expected."""
    def maybe(low, high):
        return rng.choice([rng.randint(low, high)] * 6 + UNKNOWN + [0])

    blocks, spikes, n_qrs = rng.randrange(4), rng.randrange(3), rng.choice([0, 2, 6])
    rr, rate, qtc, formula = maybe(100, 7000), maybe(1, 600), maybe(1, 2100), rng.choice([0, 1, 1, 2, 2, 3])
    body = struct.pack("<BBHH", blocks, spikes, rr, maybe(1, 3000))
    first = None
    for _ in range(blocks):
        bounds = [maybe(low, low + 80) for low in (100, 180, 260, 340, 600)]
        axes = [rng.choice([-360, 360, -361, 361, 999, 29999, rng.randint(-180, 180)]) for _ in range(3)]
        body += struct.pack("<5H3h", *bounds, *axes)
        first = first or (bounds, axes)
    body += rng.randbytes(10 * spikes) + struct.pack("<H", n_qrs) + rng.randbytes(n_qrs)
    tail = len(body)
    body += struct.pack("<HHHBH", rate, 29999, qtc, formula, 0)
    end = len(body) if rng.random() < 0.7 else rng.randrange(0, len(body), 2)
    reached = {"rr": 4, "rate": tail + 2, "qtc": tail + 6, "formula": tail + 7}
    put(truth, "rr", rr if 1 <= rr < 19999 and end >= reached["rr"] else None)
    if first:
        for key, a, b in (("p", 0, 1), ("pr", 0, 2), ("qrs", 2, 3), ("qt", 2, 4)):
            low, high = first[0][a], first[0][b]
            if low not in UNKNOWN and high not in UNKNOWN and 1 <= high - low <= 2000 and end >= 8 + 2 * b:
                truth[key] = high - low
        axis = {key: x for key, x, at in zip(("p", "qrs", "t"), first[1], (18, 20, 22)) if abs(x) < 361 and end >= at}
        put(truth, "axis", axis)
    if end >= reached["rate"] and 1 <= rate <= 499:
        truth["hr"] = rate
    elif "rr" in truth and 120 <= rr <= 6000:
        truth["hr"] = (120000 + rr) // (2 * rr)
    if end >= reached["qtc"] and 1 <= qtc <= 2000:
        truth["qtc"] = qtc
        put(truth, "qtc_formula", {1: "bazett", 2: "hodges"}.get(formula) if end >= reached["formula"] else None)
    return body[:end]


def head8(rng, truth):
    status = rng.choice([0, 1, 2, 0, 1, 2, 3, 255])
    day, time, text = moment(rng)
    truth["interpretation"] = {"status": ["original", "confirmed", "overread", "original"][min(status, 3)]}
    put(truth["interpretation"], "at", text)
    if status > 2:
        truth["warnings"].append("status")
    return bytes([status]) + day + time


def section8(rng, words, truth):
    head, lines = head8(rng, truth), []
    body = b""
    for k in range(rng.randrange(5)):
        raw, text = words.make() if rng.random() < 0.6 else (rng.choice([b"", b"\0", b" \0"]), "")
        lines.append(text)
        body += struct.pack("<BH", k + 1, len(raw)) + raw
    truth["interpretation"]["lines"] = lines
    return head + bytes([len(lines)]) + body + b"\0" * rng.randrange(2)


def section11(rng, words, truth):
    """Its head counts only without a section 8."""
    head = head8(rng, truth) if "interpretation" not in truth else bytes([9]) * 8
    truth["interpretation"].setdefault("lines", [])
    statements, body = [], b""
    for k in range(rng.randrange(5)):
        raw, text = words.make()
        kind = rng.choice([1, 2, 3, 4, 0])
        statements.append({**({"type": ["coded", "text", "logic"][kind - 1]} if 1 <= kind <= 3 else {}),
                           "text": text})
        body += struct.pack("<BHB", k + 1, 1 + len(raw), kind) + raw
    put(truth["interpretation"], "statements", statements)
    return head + bytes([len(statements)]) + body


# --- a record

def scp(rng):
    """(record, the object that is expected)."""
    words, sections, features = Words(rng), {}, set()
    truth = {"format": "scp", "patient": {}, "device": {}, "filters": {}, "leads": [], "measurements": {},
             "warnings": []}
    sections[1] = section1(rng, words, truth)
    if rng.random() < 0.95:
        waveform(rng, truth, sections, features)
    else:
        truth["warnings"].append("no_rhythm")
    if rng.random() < 0.7:
        sections[7] = section7(rng, truth["measurements"])
    if rng.random() < 0.6:
        sections[8] = section8(rng, words, truth)
    if rng.random() < 0.4:
        sections[11] = section11(rng, words, truth)
    if words.guessed:
        truth["warnings"].append("charset_guessed")
    for name in (9, 10, rng.randrange(128, 1024), 12):
        if rng.random() < 0.3:
            sections[name] = rng.randbytes(2 * rng.randrange(20))
            features.add("manufacturer section" if name > 11 else f"section {name}")
    sections = {name: body for name, body in sections.items() if body is not None}
    record = Record(sections, features=features, version=rng.choice([13, 20]))
    if rng.random() < 0.5:
        record.order = rng.sample(list(sections), len(sections))
        features.add("sections in any order")
    record.pointers = [0, *sorted(sections), *[None] * rng.randrange(6)]
    if rng.random() < 0.5:
        rng.shuffle(record.pointers)
        features.add("pointers in any order")
    if record.pointers[0] == 0 and rng.random() < 0.3:
        record.magic = b"\0" * 6
        features.add("no SCPECG")
    if rng.random() < 0.4:
        record.padding = rng.choice([b"\x1a", b"\0"]) * rng.randrange(1, 128)
        features.add("padding")
    features |= {f"section {name}" for name in sections if name < 12}
    features.add(f"charset {words.charset}{' guessed' if words.guessed else ''}")
    truth["bytes"] = len(record.bytes())
    return record, truth
