#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model of reading ECG files: bytes in, the JSON object of `vitalgate-ecg --samples all` out. Written from
the format facts alone, for tests that compare it with the daemon's reader: slow and short.

Arguments: files, whose objects are printed without the samples."""
import binascii
import json
import struct
import sys
from fractions import Fraction

from ecg_model_base import (AGE, DERIVED, LEADS, SAMPLE_MAX, WARNINGS_MAX, Rejected, Texts, date, derive, half_away,
                            in_range, moment, offset, one_lead, put)
from ecg_model_other import aecg, aecg_like, ecg90a, ecg90a_like

NOT_COMPUTED = {29999, 29998, 19999, 0xFFFF}
MAKERS = dict(enumerate(
    ("Burdick", "Cambridge", "Compumed", "Datamed", "Fukuda", "HP", "Marquette", "Mortara", "Nihon Kohden",
     "Okin", "Quinton", "Siemens", "Spacelabs", "Telemed", "Hellige", "Esaote", "Schiller",
     "Picker-Schwarzer", "Elettronica Trentina", "Zwonitz"), 1))
HEIGHT = {1: "cm", 2: "[in_i]", 3: "mm"}
WEIGHT = {1: "kg", 2: "g", 3: "[lb_av]", 4: "[oz_av]"}


class Unsupported(Exception):
    """A waveform that cannot be decoded."""


def crc(data):
    return binascii.crc_hqx(data, 0xFFFF)


def u16(data, at):
    return struct.unpack_from("<H", data, at)[0]


# --- SCP-ECG: sections

def scp_like(data):
    if len(data) < 32 or u16(data, 8) != 0:
        return False
    length = struct.unpack_from("<I", data, 10)[0]
    return data[16:22] == b"SCPECG" or (26 <= length <= 16 + 10 * 1024 and
                                        struct.unpack_from("<HII", data, 22) == (0, length, 7))


def scp_sections(data, warnings):
    """{id: body} of the sections that are read."""
    stored, size = struct.unpack_from("<HI", data)
    if size > len(data) or size < 32:
        raise Rejected("truncated")
    record = data[:size]
    if crc(record[2:]) != stored:
        raise Rejected("record_crc")
    length = struct.unpack_from("<I", record, 10)[0]
    if length < 26 or length % 10 != 6 or 6 + length > size or crc(record[8:6 + length]) != u16(record, 6):
        raise Rejected("structure")
    found = {}
    for at in range(22, 6 + length, 10):
        name, size_there, index = struct.unpack_from("<HII", record, at)
        if size_there == 0:
            continue
        if size_there < 16 or index < 1 or index - 1 + size_there > size:
            raise Rejected("structure")
        if name >= 12:
            continue
        section = record[index - 1:index - 1 + size_there]
        if struct.unpack_from("<HI", section, 2) != (name, size_there) or name in found:
            raise Rejected("structure")
        found[name] = section
    if 1 not in found:
        raise Rejected("structure")
    wrong = [name for name in sorted(found) if crc(found[name][2:]) != u16(found[name], 0)]
    if {1, 3, 6} & set(wrong):
        raise Rejected("section_crc")
    warnings += [f"section_crc: {name}" for name in wrong if name in (2, 4, 5, 7, 8, 11)]
    return {name: section[16:] for name, section in found.items() if name not in wrong}, set(wrong)


def scp(data, out):
    warnings = out["warnings"]
    sections, dropped = scp_sections(data, warnings)
    tags = scp_tags(sections[1], warnings)
    about = tags.get(14, b"")
    text = Texts(about[16] if len(about) >= 19 else 0, warnings)
    scp_patient(tags, text, out)
    scp_acquired(tags, out)
    scp_device(about, text, out["device"])
    scp_filters(tags, out["filters"])
    before = len(warnings)
    try:
        scp_waveform(sections, dropped, out)
    except Unsupported as e:
        out["leads"] = []
        del warnings[before:]                 # what was said of leads goes with them
        warnings.append(f"waveform_unsupported: {e}")
    if 7 in sections:
        scp_measurements(sections[7], out["measurements"])
    scp_interpretation(sections, text, out)


# --- SCP-ECG: section 1

def scp_tags(body, warnings):
    tags, at = {}, 0
    while at < len(body) and body[at] != 255 and body[at:] != b"\0":   # one zero makes the length even
        end = at + 3 + (u16(body, at + 1) if at + 3 <= len(body) else 0)
        if end > len(body):
            warnings.append("section1_cut")
            break
        tags.setdefault(body[at], body[at + 3:end])
        at = end
    return tags


def fields(tags, tag, form):
    value = tags.get(tag, b"")
    return struct.unpack_from(form, value) if len(value) >= struct.calcsize(form) else None


def scp_patient(tags, text, out):
    patient = out["patient"]
    for key, tag in (("id", 2), ("last_name", 0), ("first_name", 1)):
        put(patient, key, text(tags.get(tag, b"")))
    put(patient, "sex", {1: "M", 2: "F"}.get((fields(tags, 8, "<B") or [None])[0]))
    birth = fields(tags, 5, "<HBB")
    put(patient, "birth_date", str(date(*birth, 1850) or "") if birth else None)
    for key, tag, units in (("age", 4, AGE), ("height", 6, HEIGHT), ("weight", 7, WEIGHT)):
        value, unit = fields(tags, tag, "<HB") or (0, None)
        if unit in units and (value or key == "age"):
            patient[key] = {"value": value, "unit": units[unit]}
    urgency = fields(tags, 24, "<B")
    if urgency:
        out["urgency"] = urgency[0]


def scp_acquired(tags, out):
    day, time, zone = fields(tags, 25, "<HBB"), fields(tags, 26, "<BBB"), fields(tags, 34, "<h")
    out["acquired_at"] = moment(*day, *time) if day and time else None
    if out["acquired_at"] is None:
        out["warnings"].append("bad_date")
    elif zone and -720 <= zone[0] <= 840:
        out["acquired_at"] += offset(zone[0])
        out["tz_source"] = "file"


def scp_device(about, text, device):
    if len(about) < 19:
        return
    strings = about[36:].split(b"\0") + [b""] * 5
    put(device, "manufacturer", text(strings[4]) or MAKERS.get(about[7]))
    put(device, "model", text(about[8:14].split(b"\0")[0]))
    put(device, "serial", text(strings[1]))
    put(device, "software", text(strings[2]))
    put(device, "mains_hz", {1: 50, 2: 60}.get(about[18]))


def scp_filters(tags, filters):
    high, low, bits = (fields(tags, 27, "<H"), fields(tags, 28, "<H"), (fields(tags, 29, "<B") or [0])[0])
    if high:
        filters["high_pass_hz"] = high[0] / 100
    if low and low[0]:
        filters["low_pass_hz"] = low[0]
    if bits & 3:
        filters["notch_hz"] = 50 if bits & 2 else 60
    if bits & 4:
        filters["artifact"] = True
    if bits & 8:
        filters["baseline"] = True


# --- SCP-ECG: Huffman tables. A table is {bits on the wire: (extra bits, base, next table or None)}

def default_table():
    table = {"0": (0, 0, None), "1111111110": (8, 0, None), "1111111111": (16, 0, None)}
    for n in range(1, 9):
        table["1" * n + "00"], table["1" * n + "01"] = (0, n, None), (0, -n, None)
    return table


def huffman_tables(body):
    """None for samples of 16 bits."""
    try:
        count = u16(body, 0)
        if count == 19999:
            return with_lengths([default_table()])
        if count == 0 or count == 1 and u16(body, 2) == 1:
            return None
        if count > 64:
            raise Unsupported("section 2")
        tables, at = [], 2
        for _ in range(count):
            entries = u16(body, at)
            if entries > 1024:
                raise Unsupported("section 2")
            tables.append({})
            for where in range(at + 2, at + 2 + 9 * entries, 9):
                huffman_entry(struct.unpack_from("<BBBhI", body, where), tables[-1], count)
            at += 2 + 9 * entries
        return with_lengths(tables)
    except struct.error:
        raise Unsupported("section 2") from None


def with_lengths(tables):
    return [(table, sorted({len(code) for code in table})) for table in tables]


def huffman_entry(entry, table, count):
    prefix, total, mode, base, word = entry
    bad = (not 1 <= prefix <= 32 or not 0 <= total - prefix <= 24 or mode > 1 or word >> prefix or
           mode == 0 and (total != prefix or not 1 <= base <= count))
    code = f"{word:0{prefix}b}"[::-1] if not bad else ""
    if bad or code in table:
        raise Unsupported("section 2")
    table[code] = (total - prefix, base, base - 1 if mode == 0 else None)


def huffman_values(data, tables, limit):
    """Values of one lead, one after the other; None for a code that is in no table."""
    bits, at, table, lengths = bin(int.from_bytes(b"\1" + data, "big"))[3:], 0, *tables[0]
    while limit and at < len(bits):
        code = next((bits[at:at + n] for n in lengths if bits[at:at + n] in table), None)
        if code is None:
            if not any(longer.startswith(bits[at:]) for longer in table):
                yield None
            return
        at += len(code)
        extra, base, following = table[code]
        if following is not None:
            table, lengths = tables[following]
            continue
        if at + extra > len(bits):
            return
        number = int(bits[at:at + extra] or "0", 2)
        yield base + (number - (1 << extra) if extra and bits[at] == "1" else number)
        at += extra
        limit -= 1


# --- SCP-ECG: sections 3 to 6

class Signal:
    """Section 5 or 6."""

    def __init__(self, body, leads):
        self.avm, self.interval, self.difference, self.bimodal = struct.unpack_from("<HHBB", body)
        self.body, self.leads = body, leads
        self.rest = len(body) - 6 - 2 * leads
        self.lengths = struct.unpack_from(f"<{leads}H", body, 6) if self.rest >= 0 else None

    def fits(self):
        return self.lengths is not None and sum(self.lengths) <= self.rest

    def data(self):
        at = 6 + 2 * self.leads
        for length in self.lengths:
            yield self.body[at:at + length]
            at += length


def lead_samples(data, difference, tables, limit, name, warnings):
    if tables is None:
        values = struct.unpack_from(f"<{min(len(data) // 2, limit)}h", data)
    else:
        values = huffman_values(data, tables, limit)
    samples = []
    for value in values:
        if value is None:
            warnings.append(f"huffman_code: {name}")
            break
        if difference == 1 and samples:
            value += samples[-1]
        elif difference == 2 and len(samples) > 1:
            value += 2 * samples[-1] - samples[-2]
        if abs(value) > SAMPLE_MAX:
            warnings.append(f"sample_range: {name}")
            break
        samples.append(value)
    return samples


def scp_leads(body):
    """Of each lead its name, its first sample and how many samples it should have."""
    if len(body) < 2 or not 1 <= body[0] <= 60 or len(body) < 2 + 9 * body[0]:
        raise Unsupported("section 3")
    leads = []
    for at in range(2, 2 + 9 * body[0], 9):
        start, end, code = struct.unpack_from("<IIB", body, at)
        if end < start:
            raise Unsupported("section 3")
        leads.append((LEADS.get(code, f"lead-{code}"), start, end - start + 1))
    counts = [n for _, _, n in leads]
    if max(counts, default=0) > 1000000 or sum(counts) > 4000000:
        raise Unsupported("too long")
    return leads, body[1]


def scp_waveform(sections, dropped, out):
    warnings = out["warnings"]
    if 6 not in sections:
        warnings.append("no_rhythm")
        return
    avm, interval, difference, bimodal = struct.unpack_from("<HHBB", sections[6][:6] + b"\0" * 6)
    put(out, "interval_us", interval or None)
    put(out, "uv_per_lsb", avm / 1000 or None)
    if len(sections[6]) < 6:
        raise Unsupported("section 6")
    if 3 not in sections:
        raise Unsupported("no section 3")
    leads, flags = scp_leads(sections[3])
    for why, bad in (("bimodal", bimodal), ("difference", difference > 2), ("interval", not interval or not avm),
                     ("section 2", 2 in dropped)):
        if bad:
            raise Unsupported(why)
    tables = huffman_tables(sections[2]) if 2 in sections else None
    rhythm = Signal(sections[6], len(leads))
    declared = [n for _, _, n in leads]
    bare = tables is None and difference == 0 and rhythm.rest >= 0 and rhythm.rest != sum(rhythm.lengths) and \
        len(sections[6]) == 6 + 2 * sum(declared)
    if not bare and not rhythm.fits():
        raise Unsupported("lead lengths")
    beats = scp_beats(sections, leads, rhythm, tables) if flags & 1 else None
    if bare:
        warnings.append("no_lead_lengths")
        rhythm.lengths, rhythm.leads = [2 * n for n in declared], 0
    names = [name for name, _, _ in leads]
    warnings += [f"lead_twice: {name}" for name in sorted(set(names)) if names.count(name) > 1]
    for k, ((name, start, n), part) in enumerate(zip(leads, rhythm.data())):
        samples = lead_samples(part, difference, tables, n, name, warnings)
        if beats:
            samples = with_beats(samples, start, beats, beats["samples"][k], name, warnings)
        out["leads"].append(one_lead(name, samples, len(samples) < n - (start == 0)))
    derive(out["leads"], DERIVED, warnings)


def scp_beats(sections, leads, rhythm, tables):
    """The reference beats, to be added to the rhythm."""
    about, body = sections.get(4, b""), sections.get(5, b"")
    if len(about) < 6 or len(body) < 6:
        raise Unsupported("section 4")
    length, fiducial, count = struct.unpack_from("<HHH", about)
    beat = Signal(body, len(leads))
    if len(about) < 6 + 14 * count or not beat.fits() or beat.difference > 2:
        raise Unsupported("section 4")
    if not beat.avm or beat.interval != rhythm.interval or not fiducial:
        raise Unsupported("section 4")
    limit = length * 1000 // beat.interval
    faults = []
    samples = [lead_samples(data, beat.difference, tables, limit, "", faults) for data in beat.data()]
    if faults:
        raise Unsupported("section 4")
    scale = Fraction(beat.avm, rhythm.avm)
    return {"samples": [[half_away(x * scale) for x in one] for one in samples], "fiducial": fiducial,
            "qrs": [struct.unpack_from("<HIII", about, 6 + 14 * k) for k in range(count)]}


def with_beats(samples, start, beats, beat, name, warnings):
    samples, first = list(samples), max(start, 1)
    for kind, begin, fiducial, end in beats["qrs"]:
        shift = beats["fiducial"] - fiducial
        if kind == 0:
            last = min(end, first + len(samples) - 1, len(beat) - shift)
            for s in range(max(begin, first, 1 - shift), last + 1):
                samples[s - first] += beat[shift + s - 1]
    return in_range(samples, name, warnings)


# --- SCP-ECG: sections 7, 8 and 11

def scp_measurements(body, out):
    def field(at, form="<H"):
        return struct.unpack_from(form, body, at)[0] if at + struct.calcsize(form) <= len(body) else None

    def known(at, low, high):
        value = field(at)
        return value if value is not None and value not in NOT_COMPUTED and low <= value <= high else None

    def between(first, last):
        a, b = known(6 + 2 * first, 0, 65535), known(6 + 2 * last, 0, 65535)
        return b - a if a is not None and b is not None and 1 <= b - a <= 2000 else None

    blocks, spikes = field(0, "<B"), field(1, "<B")
    if blocks is None or spikes is None:
        return
    rr = known(2, 1, 19998)
    put(out, "rr", rr)
    if blocks:
        for key, first, last in (("pr", 0, 2), ("p", 0, 1), ("qrs", 2, 3), ("qt", 2, 4)):
            put(out, key, between(first, last))
        axis = {key: field(6 + at, "<h") for key, at in (("p", 10), ("qrs", 12), ("t", 14))}
        put(out, "axis", {key: x for key, x in axis.items() if x is not None and abs(x) <= 360})
    at = 6 + 16 * blocks + 10 * spikes
    at += 2 + (field(at) or 0)
    rate, qtc = known(at, 1, 499), known(at + 4, 1, 2000)
    if rate is None and rr is not None and 120 <= rr <= 6000:
        rate = half_away(Fraction(60000, rr))
    put(out, "hr", rate)
    put(out, "qtc", qtc)
    if qtc:
        put(out, "qtc_formula", {1: "bazett", 2: "hodges"}.get(field(at + 6, "<B")))


def scp_statements(bodies, name, warnings):
    """Each statement's bytes."""
    body, at, found = bodies.get(name, b"\0" * 9), 9, []
    for _ in range(body[8]):
        end = at + 3 + (u16(body, at + 1) if at + 3 <= len(body) else 0)
        if end > len(body):
            warnings.append(f"section{name}_cut")
            break
        found.append(body[at + 3:end])
        at = end
    return found


def scp_interpretation(sections, text, out):
    warnings = out["warnings"]
    bodies = {}
    for name in (8, 11):
        if name in sections and len(sections[name]) < 9:
            warnings.append(f"section{name}_cut")
        elif name in sections:
            bodies[name] = sections[name]
    if not bodies:
        return
    head = bodies.get(8) or bodies[11]
    found = {"status": {1: "confirmed", 2: "overread"}.get(head[0], "original")}
    if head[0] > 2:
        warnings.append("status")
    put(found, "at", moment(*struct.unpack_from("<HBBBBB", head, 1)))
    found["lines"] = [text(line) for line in scp_statements(bodies, 8, warnings)]
    for raw in scp_statements(bodies, 11, warnings):
        kind = {1: "coded", 2: "text", 3: "logic"}.get(raw[0]) if raw else None
        found.setdefault("statements", []).append({**({"type": kind} if kind else {}), "text": text(raw[1:])})
    out["interpretation"] = found


# --- all

FORMATS = (("scp", scp_like, scp),
           ("aecg", aecg_like, aecg),
           ("ecg90a", ecg90a_like, ecg90a),
           ("dicom", lambda data: data[128:132] == b"DICM", None),
           ("pdf", lambda data: b"%PDF-" in data[:1024], None),
           ("unknown", lambda data: True, None))


def read(data):
    """The object for a file. Of DICOM and PDF only the format is looked at."""
    name, reader = next((name, reader) for name, fits, reader in FORMATS if fits(data))
    out = {"format": name, "bytes": len(data), "patient": {}, "acquired_at": None, "tz_source": "none",
           "device": {}, "filters": {}, "leads": [], "measurements": {}, "warnings": []}
    if reader is None:
        out["warnings"].append(f"waveform_unsupported: {name}")
        return out
    try:
        reader(data, out)
    except Rejected as e:
        return {"format": name, "bytes": len(data), "rejected": str(e), "detail": "", "warnings": []}
    warnings = list(dict.fromkeys(out["warnings"]))
    out["warnings"] = warnings if len(warnings) <= WARNINGS_MAX else [*warnings[:WARNINGS_MAX - 1], "more_warnings"]
    return out


if __name__ == "__main__":
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            shown = read(file.read())
        for one in shown.get("leads", []):
            one["samples"] = one["samples"][:8]
        print(json.dumps(shown, ensure_ascii=False, indent=1))
