# SPDX-License-Identifier: GPL-3.0-or-later
"""Damages files of ecg_writer.py and ecg_writer_other.py. Where a kind of damage to an SCP record repairs the
checks, it is written out again with right lengths, pointers and CRCs, so that a reader gets to see it."""
import re
import struct

from ecg_writer import crc

NUMBERS = [0, 1, 2, 3, 9, 12, 60, 61, 65, 127, 128, 255, 256, 1024, 1025, 2000, 2001, 19998, 19999, 20000, 29998, 29999,
           30000, 32767, 32768, 65534, 65535, 65536, 1000000, 1000001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


# --- any bytes

def flipped(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        if data:
            data[rng.randrange(len(data))] ^= rng.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
    return bytes(data)


def spliced(rng, data):
    """Bytes that came in, or got lost."""
    at, n = rng.randrange(len(data) + 1), rng.choice([1, 2, 3, 9, 16])
    return data[:at] + rng.randbytes(n) + data[at:] if rng.random() < 0.5 else data[:at] + data[at + n:]


def shortened(rng, data):
    return data[:rng.choice([rng.randrange(len(data)), len(data) - 1, min(len(data), rng.randrange(200))])]


def numbered(rng, data):
    """A field of 1, 2 or 4 bytes with a number from the edges; early ones more often than late ones."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2])):
        size = rng.choice([1, 1, 2, 2, 2, 4])
        if len(data) >= size:
            at = min(rng.randrange(len(data) - size + 1), rng.choice([8, 40, 200, 10 ** 9]))
            at = rng.randrange(at + 1)
            number = rng.choice(NUMBERS) if rng.random() < 0.8 else rng.getrandbits(32)
            data[at:at + size] = struct.pack("<I", number)[:size]
    return bytes(data)


# --- SCP-ECG, without repair

def scp_bytes(change):
    return lambda rng, record: change(rng, record.bytes())


def record_length(rng, record):
    data = bytearray(record.bytes())
    length = struct.unpack_from("<I", data, 2)[0]
    struct.pack_into("<I", data, 2, rng.choice([0, 31, 32, 33, length - 1, length + 1, length + 4096, 2 ** 32 - 1]))
    return bytes(data)


# --- SCP-ECG, with repair

def scp_section(change):
    """Changes the body of a section; those of the waveform more often."""
    def damage(rng, record):
        record = record.copy()
        names = [name for name in record.sections for _ in range(3 if name in (2, 4, 6) else 1)]
        for _ in range(rng.choice([1, 1, 2])):
            name = rng.choice(names)
            record.sections[name] = change(rng, record.sections[name])
        return record.bytes()
    return damage


# Fields by section: offset, form, numbers.
FIELDS = {
    2: [(0, "<H", [0, 1, 2, 3, 64, 65, 19999, 65535]), (2, "<H", [0, 1, 2, 1024, 1025]), (4, "B", [0, 1, 32, 33, 255]),
        (5, "B", [0, 1, 25, 56, 57]), (6, "B", [0, 1, 2]), (7, "<h", [-1, 0, 1, 2, 3, 999]), (9, "<I", NUMBERS)],
    3: [(0, "B", [0, 1, 2, 60, 61]), (1, "B", [0, 1, 4, 5, 255]), (2, "<I", NUMBERS), (6, "<I", NUMBERS),
        (10, "B", [0, 1, 2, 61, 100])],
    4: [(0, "<H", NUMBERS), (2, "<H", [0, 1, 65535]), (4, "<H", [0, 1, 2, 3, 65535]), (6, "<H", [0, 1]),
        (8, "<I", NUMBERS), (12, "<I", NUMBERS), (16, "<I", NUMBERS)],
    5: [(0, "<H", NUMBERS), (2, "<H", [0, 2000, 1000]), (4, "B", [0, 1, 2, 3]), (5, "B", [0, 1]), (6, "<H", NUMBERS)],
    6: [(0, "<H", [0, 1, 65535]), (2, "<H", [0, 0, 2000]), (4, "B", [0, 1, 2, 3, 4, 255]), (5, "B", [0, 1]),
        (6, "<H", NUMBERS), (8, "<H", NUMBERS)],
    7: [(0, "B", [0, 1, 255]), (1, "B", [0, 1, 255]), (2, "<H", [0, 119, 120, 192, 960, 4800, 6000, 6001, 19998]),
        *((k, "<H", NUMBERS) for k in range(6, 16, 2)), *((k, "<h", [-361, -360, 360, 361]) for k in (16, 18, 20))],
    8: [(0, "B", [0, 1, 2, 3, 255]), (1, "<H", [0, 1979, 1980, 2200, 2201]), (3, "B", [0, 12, 13]), (8, "B", [0, 255]),
        (10, "<H", NUMBERS)],
    11: [(0, "B", [0, 1, 2, 3, 255]), (8, "B", [0, 1, 255]), (10, "<H", [0, 1, 2, 65535]), (12, "B", [0, 1, 2, 3, 4])],
}


def scp_field(rng, record):
    record = record.copy()
    for _ in range(rng.choice([1, 1, 2, 3])):
        weights = {2: 4, 3: 2, 4: 4, 5: 4, 6: 6}
        names = [name for name in record.sections if name in FIELDS for _ in range(weights.get(name, 1))]
        if not names:
            return scp_section(numbered)(rng, record)
        name = rng.choice(names)
        at, form, numbers = rng.choice(FIELDS[name])
        body = bytearray(record.sections[name])
        if name in (2, 4) and rng.random() < 0.5:          # a field of a later entry
            at += (9 if name == 2 else 14) * rng.randrange(4) * (at >= 4)
        size = struct.calcsize(form)
        if at + size <= len(body):
            number = rng.choice(numbers)
            body[at:at + size] = struct.pack(form, number) if form == "<h" else struct.pack("<I", number)[:size]
            record.sections[name] = bytes(body)
    return record.bytes()


def scp_without(rng, record):
    record = record.copy()
    for name in rng.sample(list(record.sections), min(len(record.sections), rng.choice([1, 1, 2]))):
        del record.sections[name]
    return record.bytes()


def scp_wide(rng, record):
    """Samples of 16 bits, second differences, large ones."""
    record, leads = record.copy(), rng.randrange(1, 4)
    n = rng.randrange(20, 60)
    data = [b"".join(struct.pack("<h", rng.choice([32767, 30000, -32768, -30000][k % 2 * 2:][:2])) for _ in range(n))
            for k in range(leads)]
    record.sections.pop(2, None)
    flags = rng.choice([4, 5])
    record.sections[3] = bytes([leads, flags]) + b"".join(struct.pack("<IIB", 1, n, k + 1) for k in range(leads))
    record.sections[6] = struct.pack("<HHBB", 1000, 2000, 2, 0) + struct.pack(f"<{leads}H", *map(len, data)) + b"".join(data)
    return record.bytes()


def located(data):
    """{offset of the pointer: (id, length, offset of the section)} of a record in order."""
    length = struct.unpack_from("<I", data, 10)[0]
    found = {}
    for at in range(22, 6 + length, 10):
        name, size, index = struct.unpack_from("<HII", data, at)
        if size:
            found[at] = (name, size, index - 1)
    return found


def seal(data, sections=()):
    """Repairs the CRCs of section 0, of the record and of sections (offset, length)."""
    for at, size in sections:
        struct.pack_into("<H", data, at, crc(data[at + 2:at + size]))
    length, size = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 2)[0]
    if 6 + length <= len(data):
        struct.pack_into("<H", data, 6, crc(data[8:6 + length]))
    struct.pack_into("<H", data, 0, crc(data[2:size]))
    return bytes(data)


def scp_pointer(rng, record):
    data = bytearray(record.bytes())
    where = located(data)
    at = rng.choice(list(where))
    name, size, offset = where[at]
    kind, total = rng.randrange(6), len(data)
    if kind == 0:
        struct.pack_into("<H", data, at, rng.choice([0, 1, 2, 5, 6, 7, 11, 12, 200]))
    elif kind == 1:
        struct.pack_into("<I", data, at + 2, rng.choice([0, 1, 15, 16, size - 1, size + 1, size + 2, total, 2 ** 32 - 1]))
    elif kind == 2:
        struct.pack_into("<I", data, at + 6, rng.choice([0, 1, 7, offset, offset + 2, total, 2 ** 32 - 1]))
    elif kind == 3:
        struct.pack_into("<H", data, offset + 2, rng.choice([0, 1, 6, 12]))
    elif kind == 4:
        struct.pack_into("<I", data, offset + 4, rng.choice([0, 16, size + 2, 2 ** 32 - 1]))
    else:
        struct.pack_into("<I", data, 10, rng.choice([16, 25, 26, 27, 36, 46, total, total - 6, 2 ** 31]))
    return seal(data, [(start, length) for _, length, start in where.values() if start > 6])


def scp_crc(rng, record):
    """A section with a wrong CRC in a record with a right one."""
    data = bytearray(record.bytes())
    where = [x for x in located(data).values() if x[0]]
    for _, _, at in rng.sample(where, min(len(where), rng.choice([1, 1, 2]))):
        data[at + rng.randrange(2)] ^= 1 << rng.randrange(8)
    return seal(data)


# --- aECG: text in text out, still well formed

def other_value(rng, text):
    """Another value in an attribute."""
    spots = [m for m in re.finditer(r'\b(value|unit|code|extension|type)="([^"]*)"', text)]
    m = rng.choice(spots)
    new = {"value": ["", "0", "-1", "x", "1.5", "5e1", "20260131", "20260131080910+9900", "20261301000000", "1e9"],
           "unit": ["", "uV", "mV", "kV", "s", "ms", "bpm", "Ms"], "extension": ["", " R-0003 ", "\t"],
           "code": ["", "MDC_ECG_LEAD_II", "MDC_ECG_LEAD_I", "RHYTHM", "M", "MDC_ECG_TIME_PD_QT", "MDC_ECG_HEART_RATE"],
           "type": ["PQ", "SLIST_PQ", "ST", ""]}[m[1]]
    return text[:m.start(2)] + rng.choice(new) + text[m.end(2):]


def without_element(rng, text):
    spots = [m for m in re.finditer(r"<(code|effectiveTime|origin|scale|increment|value|id|low)\b[^>]*/>", text)]
    spots += [m for m in re.finditer(r"<(digits|trialSubject|author|derivation)>.*?</\1>", text, re.S)]
    m = rng.choice(spots)
    return text[:m.start()] + text[m.end():]


def other_digits(rng, text):
    spots = [m for m in re.finditer(r"(?<=[ \n\t>])-?\d+(?=[ \n\t\r<])", text)]
    if not spots:
        return other_value(rng, text)
    m = rng.choice(spots)
    new = ["8388607", "8388608", "-8388607", "-8388608", "99999999999999999999", "+7", "-0", "1.0", "1e3", "--5",
           "0x10", "", "&#32;", "&lt;", "<!-- 1 -->", "<x/>", "<![CDATA[ 5 ]]>", "007"]
    return text[:m.start()] + rng.choice(new) + text[m.end():]


def with_doctype(rng, text):
    text = re.sub(r"<!DOCTYPE[^>]*>", "", text)
    head, mark, rest = text.partition("<AnnotatedECG")
    return head + rng.choice([
        '<!DOCTYPE AnnotatedECG [<!ENTITY a "b">]>', "<!DOCTYPE AnnotatedECG []>", '<!DOCTYPE x SYSTEM "a" [ ]>',
        '<!DOCTYPE AnnotatedECG [<!ENTITY % a SYSTEM "b"> %a;]>', "<!DOCTYPE AnnotatedECG>",
        '<!DOCTYPE AnnotatedECG PUBLIC "-//a" "b.dtd">']) + mark + rest


def aecg_value(rng, data):
    text = data.decode()
    for _ in range(rng.choice([1, 1, 2])):
        text = rng.choice([other_value, other_value, without_element, other_digits])(rng, text)
    return text.encode()


def aecg_doctype(rng, data):
    return with_doctype(rng, data.decode()).encode()


def broken_xml(rng, data):
    return rng.choice([flipped, spliced, shortened])(rng, data)


# --- Contec ECG90A: there is no check

def ecg90a_header(rng, data):
    return rng.choice([flipped, numbered])(rng, data[:43]) + data[43:]


def ecg90a_rows(rng, data):
    body, at = data[43:-37], rng.randrange(max(1, len(data) - 80) // 16 + 1) * 16
    row = rng.choice([b"\0" * 16, struct.pack("<H", 0x6800) * 8, struct.pack("<8H", *[2048] * 7, 0x6800),
                      rng.randbytes(16)])
    return data[:43] + body[:at] + row + body[at + 16 * rng.randrange(2):] + data[-37:]


SCP = {
    "flipped": scp_bytes(flipped),
    "spliced": scp_bytes(spliced),
    "shortened": scp_bytes(shortened),
    "record length": record_length,
    "flipped, repaired": scp_section(flipped),
    "numbers, repaired": scp_section(numbered),
    "fields, repaired": scp_field,
    "spliced, repaired": scp_section(spliced),
    "section cut, repaired": scp_section(lambda rng, body: body[:rng.randrange(len(body) + 1)]),
    "sections missing": scp_without,
    "large samples": scp_wide,
    "pointers, repaired": scp_pointer,
    "section CRC": scp_crc,
}
AECG = {"bytes": broken_xml, "values": aecg_value, "doctype": aecg_doctype}
ECG90A = {"bytes": flipped, "spliced": spliced, "shortened": shortened, "header": ecg90a_header, "rows": ecg90a_rows}
