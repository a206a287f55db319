# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic SCP-ECG records (EN 1064), as an ECG cart writes them. Nobody's heart: eight leads of a
drawn beat and some noise. Only what the tests need: sections 0, 1, 2 (default Huffman table), 3, 6,
7, 8, and section 9, a manufacturer's own, as ballast to a wanted size.

    record  u16 crc | u32 length | section 0 | sections     crc: CCITT, from FFFF, over [2, length)
    section u16 crc | u16 id | u32 length | u8 version | u8 protocol | 6 bytes | body, even
    section 0 body: 12 pointers u16 id | u32 length | u32 index; index counts bytes from 1

A study is a dict; every key may be left out:

    patient, last_name, first_name, sex (M, F), age, birth ("1950-03-04"), time (ISO, local)
    statements  list of lines; status: 0 original, 1 confirmed
    hr, pr, qrs, qt, qtc, axis [p, qrs, t]
    samples     of each lead (5000); interval_us (2000); nv_per_lsb (2500)
    huffman     true: first differences by the default table; false (default): raw, no section 2
    bytes       of the whole file; more than the ECG takes is filled by section 9
    language    code of tag 14 (0x27: GB 2312; 0: what follows is ASCII); seed; number
"""
import binascii
import math
import random
import struct
from datetime import datetime

LEADS = {"I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8}
GAINS = {"I": 0.6, "II": 1.0, "V1": -0.5, "V2": -0.2, "V3": 0.4, "V4": 1.1, "V5": 1.2, "V6": 0.9}
GB2312, ASCII = 0x27, 0
CHARSETS = {GB2312: "gb2312", ASCII: "ascii"}
VERSION = 20
SECTIONS = 12
HEAD, POINTER, RECORD_HEAD = 16, 10, 6
DEFAULT_TABLE = 19999
MOST_SAMPLES = 32767        # a lead's length in bytes is 16 bits
DEFAULTS = {"patient": "SYN-1", "last_name": "测试甲", "first_name": "", "sex": "M", "age": 61,
            "birth": None, "time": "2026-01-31T08:09:10", "statements": ["窦性心律", "正常心电图"],
            "status": 0, "hr": 75, "pr": 160, "qrs": 90, "qt": 380, "qtc": 410,
            "axis": [45, 50, 40], "samples": 5000, "interval_us": 2000, "nv_per_lsb": 2500,
            "huffman": False, "bytes": 0, "language": GB2312, "seed": 1, "number": 1}


def crc(data):
    return binascii.crc_hqx(data, 0xFFFF)


def section(number, body):
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6s", number, HEAD + len(body), VERSION, VERSION,
                       b"SCPECG" if number == 0 else bytes(6)) + body
    return struct.pack("<H", crc(rest)) + rest


def text(value, s):
    return value.encode(CHARSETS[s["language"]]) + b"\0"


def tag(number, value):
    return struct.pack("<BH", number, len(value)) + value


def device(s):
    """Tag 14: no institution, department or number; a cart; who made it is in the last string."""
    head = struct.pack("<HHHBB6sBBBBB16sB", 0, 0, 0, 0, 255, b"VGCRT", VERSION, 0xA0, s["language"],
                       0, 1, bytes(16), len("1.0") + 1)
    return head + b"".join(w.encode() + b"\0" for w in ("1.0", "SN-0001", "2.1", "3.0", "Vgsim"))


def patient(s):
    when = datetime.fromisoformat(s["time"])
    body = b"".join(tag(n, text(s[key], s)) for n, key in
                    ((0, "last_name"), (1, "first_name"), (2, "patient")) if s[key])
    if s["age"] is not None:
        body += tag(4, struct.pack("<HB", s["age"], 1))
    if s["birth"]:
        body += tag(5, struct.pack("<HBB", *map(int, s["birth"].split("-"))))
    return (body + tag(8, bytes([{"M": 1, "F": 2}.get(s["sex"], 0)])) + tag(14, device(s)) +
            tag(25, struct.pack("<HBB", when.year, when.month, when.day)) +
            tag(26, struct.pack("<BBB", when.hour, when.minute, when.second)) +
            tag(27, struct.pack("<H", 5)) + tag(28, struct.pack("<H", 150)) + tag(29, b"\x02") +
            tag(31, str(s["number"]).encode() + b"\0") + tag(255, b""))


def beat(phase):
    """A heart's deflection in mV, by the part of a beat that has passed."""
    waves = ((0.16, 0.03, 0.12), (0.27, 0.008, -0.1), (0.30, 0.012, 1.1), (0.33, 0.01, -0.25),
             (0.60, 0.06, 0.3))
    return sum(mv * math.exp(-((phase - at) / width) ** 2 / 2) for at, width, mv in waves)


def waveform(s, count):
    """{lead: samples in LSB}"""
    dice = random.Random(s["seed"])
    length = max(1, round(60e6 / s["hr"] / s["interval_us"]))
    lsb = 1e6 / s["nv_per_lsb"]
    one = [beat(i / length) * lsb for i in range(length)]
    jitter = [dice.gauss(0, 2) for _ in range(997)]     # as long as no beat
    return {lead: [round(one[i % length] * gain + jitter[(i * 7 + n * 31) % 997])
                   for i in range(count)]
            for n, (lead, gain) in enumerate(GAINS.items())}


def huffman_code(value):
    """Bits of the default table, most significant first."""
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("1" if value < 0 else "0")
    if -128 <= value <= 127:
        return "1" * 9 + "0" + format(value & 0xFF, "08b")
    return "1" * 10 + format(value & 0xFFFF, "016b")


def encode(samples, huffman):
    """One lead: raw, or first differences by the default table, padded to an even length."""
    if not huffman:
        return struct.pack(f"<{len(samples)}h", *samples)
    bits = "".join(huffman_code(v - before) for before, v in zip([0] + samples, samples))
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def rhythm(s, count):
    leads = [encode(samples, s["huffman"]) for samples in waveform(s, count).values()]
    return (struct.pack("<HHBB", s["nv_per_lsb"], s["interval_us"], int(s["huffman"]), 0) +
            b"".join(struct.pack("<H", len(lead)) for lead in leads) + b"".join(leads))


def measurements(s):
    """One reference beat, no spikes, as many QRS as in 10 seconds, all of type 0."""
    rr = round(60000 / s["hr"])
    p_on, qrs_on = 100, 100 + s["pr"]
    block = struct.pack("<5H3h", p_on, p_on + 100, qrs_on, qrs_on + s["qrs"], qrs_on + s["qt"],
                        *s["axis"])
    beats = max(1, 10000 // rr)
    return (struct.pack("<BBHH", 1, 0, rr, rr) + block + struct.pack("<H", beats) + bytes(beats) +
            struct.pack("<HHHBH", s["hr"], s["hr"], s["qtc"], 1, 0))


def report(s):
    when = datetime.fromisoformat(s["time"])
    lines = [text(line, s) for line in s["statements"]]
    return struct.pack("<BHBBBBBB", s["status"], when.year, when.month, when.day, when.hour,
                       when.minute, when.second, len(lines)) + \
        b"".join(struct.pack("<BH", n, len(line)) + line for n, line in enumerate(lines, 1))


def make(study=None):
    """The bytes of a record. ValueError when it does not fit into `bytes`."""
    unknown = set(study or ()) - set(DEFAULTS)
    if unknown:
        raise ValueError(f"a study has no {', '.join(sorted(unknown))}")
    s = DEFAULTS | (study or {})
    count = min(s["samples"], MOST_SAMPLES)
    leads = struct.pack("<BB", len(LEADS), len(LEADS) << 3 | 4) + \
        b"".join(struct.pack("<IIB", 1, count, lead) for lead in LEADS.values())
    bodies = {1: patient(s), 3: leads, 6: rhythm(s, count), 7: measurements(s), 8: report(s)}
    if s["huffman"]:
        bodies[2] = struct.pack("<H", DEFAULT_TABLE)
    sections = {number: section(number, body) for number, body in bodies.items()}
    first = HEAD + SECTIONS * POINTER
    ballast = s["bytes"] - RECORD_HEAD - first - sum(map(len, sections.values()))
    if s["bytes"] and ballast:
        if ballast < HEAD or ballast % 2:
            raise ValueError(f"{s['bytes']} bytes are too few, or odd")
        sections[9] = section(9, random.Random(s["seed"]).randbytes(ballast - HEAD))
    pointers, at = [struct.pack("<HII", 0, first, RECORD_HEAD + 1)], RECORD_HEAD + first
    for number in range(1, SECTIONS):
        length = len(sections.get(number, b""))
        pointers.append(struct.pack("<HII", number, length, at + 1 if length else 0))
        at += length
    rest = struct.pack("<I", at) + section(0, b"".join(pointers)) + \
        b"".join(sections[n] for n in sorted(sections))
    return struct.pack("<H", crc(rest)) + rest
