# SPDX-License-Identifier: GPL-3.0-or-later
"""ECG files at the edges: one field each, on both sides of every bound, where random files seldom are.
Each is (name, bytes); what is expected of it says the model."""
import struct

from ecg_damage import seal
from ecg_writer import Record, signal, tag

DAY = tag(25, struct.pack("<HBB", 2026, 1, 31)) + tag(26, bytes([8, 9, 10]))
END = tag(255, b"")


def raw(*values):
    return struct.pack(f"<{len(values)}h", *values)


def scp(sections, pointers=12):
    found = {1: tag(2, b"R-0001\0") + DAY + END, **sections}
    found = {name: body for name, body in found.items() if body is not None}
    return Record(found, pointers=[0, *sorted(found), *[None] * (pointers - 1 - len(found))]).bytes()


def leads(*entries, flags=4):
    """Section 3 of (first sample, last sample, lead)."""
    return bytes([len(entries), flags]) + b"".join(struct.pack("<IIB", *entry) for entry in entries)


def tables(*found):
    """Section 2 of lists of (prefix bits, all bits, mode, value, code)."""
    return struct.pack("<H", len(found)) + b"".join(
        struct.pack("<H", len(one)) + b"".join(struct.pack("<BBBhI", *entry) for entry in one) for one in found)


def about(language=0, strings=b"", maker=255, model=b"SIM\0\0\0", mains=1):
    fixed = struct.pack("<HHHBB6s5B16s", 1, 2, 3, 0, maker, model, 20, 0, language, 0, mains, b"\0" * 16)
    return tag(14, fixed + strings)


# --- SCP-ECG

def frame():
    good = scp({3: leads((1, 3, 1)), 6: signal(1000, 2000, 0, 0, [raw(1, 2, 3)]), 7: b"\0" * 6, 128: b"\1\2\3\4"})
    for n in (0, 8, 21, 22, 31, 32, 33, 48, 60, 141, 142, 157, 158, len(good) - 1):
        yield f"only {n} bytes", good[:n]
    for n in (0, 31, 32, 33, 142, len(good) - 1, len(good) + 1):
        data = bytearray(good)
        struct.pack_into("<I", data, 2, n)
        yield f"record length {n}", bytes(data)
        yield f"record length {n}, sealed", seal(data)
    for magic in (b"SCPECG", b"\0" * 6, b"SCPECg"):
        for pointers in (1, 2):
            record = Record({1: DAY} if pointers == 2 else {}, pointers=[0, 1][:pointers], magic=magic)
            yield f"{pointers} pointers, {magic}", record.bytes()
    for pointers in ([0, 1, 1], [0, 1, 3, 6, 3], [0, 1, 128, 128], [1, 0], [0, 0, 1]):
        yield f"pointers {pointers}", Record({1: DAY, 3: leads(), 6: b"\0" * 6, 128: b""}, pointers=pointers).bytes()
    place = {struct.unpack_from("<H", good, at)[0]: at for at in range(22, 142, 10)}
    for name, field, number in [(name, field, number) for name in (0, 3, 7, 128) for field, numbers in (
            ("<H", [0, 1, 2, 3, 7, 11, 12, 128]), ("<2xI", [0, 15, 16, 17, 2 ** 32 - 1]), ("<6xI", [0, 1, 7, 2 ** 32 - 1]))
            for number in numbers]:
        data = bytearray(good)
        struct.pack_into(field, data, place[name], number)
        yield f"pointer of {name}: {field} {number}", seal(data)
    for name in (1, 3, 6, 7, 128):
        data = bytearray(good)
        data[struct.unpack_from("<6xI", good, place[name])[0] - 1] ^= 1
        yield f"CRC of {name}", seal(data)
    for name in (2, 4, 5, 8, 9, 10, 11):
        sections = {3: leads((1, 3, 1), flags=5), 6: signal(1000, 2000, 0, 0, [raw(1, 2, 3)]), name: b"\0" * 10}
        data = bytearray(scp(sections))
        at = next(at for at in range(22, 142, 10) if struct.unpack_from("<HI", data, at) == (name, 26))
        data[struct.unpack_from("<6xI", data, at)[0] - 1] ^= 1
        yield f"CRC of {name}", seal(data)


def section1():
    for name, tags in (("tag cut", b"\1\5\0abc"), ("whole", b"\1\4\0abcd"), ("head cut", b"\5\0"), ("zero", b"\0\0"),
                       ("255 cut", b"\xff"), ("255 long", b"\xff\5\0"), ("nothing", b"")):
        yield "section 1 ends: " + name, scp({1: DAY + tags})
    for days in ((1979, 12, 31), (1980, 1, 1), (2200, 12, 31), (2201, 1, 1), (2100, 2, 29), (2000, 2, 29), (2026, 0, 1)):
        for name in (25, 5):
            yield f"day {days} in {name}", scp({1: tag(name, struct.pack("<HBB", *days)) + tag(26, b"\1\2\3")})
    for year in (1849, 1850):
        yield f"born {year}", scp({1: DAY + tag(5, struct.pack("<HBB", year, 12, 31))})
    for time in ((23, 59, 59), (24, 0, 0), (0, 60, 0), (0, 0, 60)):
        yield f"time {time}", scp({1: DAY[:7] + tag(26, bytes(time))})
    for minutes in (-721, -720, -1, 0, 1, 840, 841):
        yield f"zone {minutes}", scp({1: DAY + tag(34, struct.pack("<h", minutes))})
    for name in (4, 6, 7):
        for value, unit in [(0, 1), (1, 0), (65535, 1), *((7, unit) for unit in range(7))]:
            yield f"tag {name}: {value} {unit}", scp({1: DAY + tag(name, struct.pack("<HB", value, unit))})
    for name in (4, 5, 6, 7, 8, 24, 25, 26, 27, 28, 29, 34):
        for n in range(5):
            yield f"tag {name} of {n} bytes", scp({1: (DAY if name not in (25, 26) else b"") + tag(name, b"\1" * n)})
    yield "first tag counts", scp({1: DAY + tag(8, b"") + tag(8, b"\1") + tag(0, b"A") + tag(0, b"B")})
    for maker in (0, 1, 20, 21, 99, 100, 255):
        yield f"maker {maker}", scp({1: DAY + about(maker=maker)})
        yield f"maker {maker} by name", scp({1: DAY + about(maker=maker, strings=b"\1\0\0\0\0NAME\0")})
    for n in range(14, 46):
        value = about(0x27, b"\1a\0b\0c\0d\0e\0", 6, mains=2)[3:3 + n]
        yield f"tag 14 of {n} bytes", scp({1: DAY + tag(14, value) + tag(0, "测".encode("gb2312"))})
    for value in (b"x" * 255, b"x" * 256, b"x" * 254 + b"  yy", "测".encode() * 100, b"a" + "测".encode() * 100, b" \t ",
                  "𝄞".encode() * 64):
        yield f"long text {value[:3]}", scp({1: DAY + tag(0, value)})


def charsets():
    texts = [b"\xc3\xa9", b"\xd5\xc5", b"a\xe9b", b"\xff", bytes(range(0xA0, 0x100)), b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
             b"\x81\x30\x81\x30", b"\xb0\xa1A", b"\xd5\x40\xd5\x41", b"\x7f\x01\xc3\xa9\x09", b"\xc2\xa0a\xc2\xa0",
             b"\xef\xbb\xbfa\xc3\xa9", b"\x1b$)A\xd5\xc5", b"\xa8\xbc\xfe\x51", b"\0\xe9"]
    for language in (0, 1, 2, 3, 5, 0x07, 0x0B, 0x0F, 0x13, 0x17, 0x1B, 0x1F, 0x23, 0x27, 0x2B, 0x2F, 0x33, 0x3B, 0x40, 255):
        for text in texts:
            yield f"language {language:02x}: {text[:9].hex()}", scp({1: DAY + about(language) + tag(0, text + b"\0")})
    for text in ("TEST", "试验1", "试验", "一", "Prüf", "测试", "测试甲", "Tü", "佔卡", "a\ud800"):
        for end in (b"", b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\0", b"\0\0AB"):
            for charset in ("utf-16-le", "utf-8"):
                yield f"{charset} {text!a} {end}", scp({1: DAY + about(7) + tag(0, text.encode(
                    charset, "surrogatepass") + end)})
    yield "model in two parts", scp({1: DAY + about(7, model=b"S 2\0zz")})


def waveform():
    six = signal(1000, 2000, 0, 0, [raw(1, 2, 3)])
    for n in (0, 2, 4, 6, 8):
        yield f"section 6 of {n} bytes", scp({3: leads((1, 3, 1)), 6: six[:n]})
    for entries in ([(0, 0, 1)], [(0, 3, 1)], [(0, 4, 1)], [(1, 4, 1)], [(5, 4, 1)], [(0, 2 ** 32 - 1, 1)],
                    [(1, 1000000, 1)], [(1, 1000001, 1)], [(1, 3, 1)] * 3, []):
        rhythm = signal(1000, 2000, 0, 0, [raw(1, 2, 3)] * len(entries))
        yield f"leads {entries[:1]}", scp({3: leads(*entries), 6: rhythm})
    for extra in (0, 1):
        million = [(1, 1000000, k) for k in range(1, 5)] + [(1, 1, 5)] * extra
        yield f"{len(million)} leads of a million", scp({3: leads(*million), 6: signal(1, 1, 0, 0, [b""] * len(million))})
        yield f"{60 + extra} leads", scp({3: leads(*[(1, 1, k) for k in range(60 + extra)]),
                                          6: signal(1, 1, 0, 0, [raw(5)] * (60 + extra))})
    for a, b in (((1, 3, 1), (1, 4, 2)), ((1, 3, 1), (1, 2, 2)), ((1, 3, 1), (1, 3, 2))):
        n = min(b[1], 3)
        yield f"I and II {b}", scp({3: leads(a, b), 6: signal(1, 1, 0, 0, [raw(1, 2, 3), raw(4, 5, 7)[:2 * n]])})
    yield "I and II empty", scp({3: leads((1, 3, 1), (1, 3, 2)), 6: signal(1, 1, 0, 0, [b"", b""])})
    for words, body, expected in (([6], raw(1, 2, 3), 4), ([6], raw(1, 2, 3, 4), 5), ([7], raw(1, 2, 3), 4),
                                  ([7], raw(1, 2, 3), 3), ([9], raw(1, 2, 3), 4), ([6, 6], raw(*range(7)), 9)):
        three = leads((1, expected - 2 * len(words) + 2, 1), *[(1, 2, 2)] * (len(words) - 1))
        for order in (0, 1):
            yield f"lengths {words} in {len(body)}, {order}", scp({3: three, 6: struct.pack(
                f"<HHBB{len(words)}H", 1, 1, order, 0, *words) + body})
    # differences up to the bound and beyond it
    for last in (254, 255, 256, 257):
        for sign in (1, -1):
            steps = raw(*[sign * 32767] * 256, sign * last, -sign)
            yield f"differences to {sign} {last}", scp({3: leads((1, 258, 1)), 6: signal(1, 1, 1, 0, [steps])})
    yield "second differences", scp({3: leads((1, 25, 1)), 6: signal(1, 1, 2, 0, [raw(0, 0, *[32767] * 22, 0)])})


def huffman():
    short, long = (1, 1, 1, 5, 0), (2, 2, 1, 7, 1)
    def record(section2, data, n=20, order=0):
        return scp({2: section2, 3: leads((1, n, 1)), 6: signal(1000, 2000, order, 0, [data])})

    for body in (b"", b"\1\0", b"\1\0\1\0", b"\0\0", b"\x1f\x4e", b"\x1f\x4e\0\0", tables([]), tables([], [short])):
        yield f"section 2: {body.hex()}", record(body, raw(1, 2, 3))
    for n in (63, 64, 65):
        yield f"{n} tables", record(tables(*[[short, long]] * n), b"\x2a\xaa")
    for n in (85, 86, 700, 1024):
        places = sorted(range(1, n + 1), key=lambda k: k * 619 % 1031)
        codes = "".join(f"{k:011b}" for k in (1, n, n // 2, n // 3, n - 1, 2, n // 7))
        data = int(codes + "1" * (-len(codes) % 8), 2).to_bytes(len(codes) // 8 + 1, "big")
        entries = [(11, 11, 1, k, int(f"{k:011b}"[::-1], 2)) for k in places]
        yield f"{n} codes in disorder", record(tables(entries), data)
        yield f"{n} codes, one twice", record(tables([*entries[1:], entries[n // 2]]), data)
    for n in (1023, 1024, 1025):
        yield f"{n} codes", record(tables([(11, 11, 1, k, k) for k in range(n)]), b"\x2a\xaa\x2a\xaa")
    for entry in ((0, 0, 1, 0, 0), (32, 32, 1, 9, 2 ** 32 - 1), (33, 33, 1, 9, 1), (2, 1, 1, 9, 1), (1, 25, 1, 0, 1),
                  (1, 26, 1, 0, 1), (2, 2, 2, 9, 1), (2, 3, 0, 1, 1), (2, 2, 0, 0, 1), (2, 2, 0, 1, 1), (2, 2, 0, 2, 1),
                  (2, 2, 0, -1, 1), (2, 2, 1, 9, 5), (1, 1, 1, 9, 0), (2, 2, 1, 9, 0), (32, 56, 1, 0, 2 ** 32 - 1)):
        yield f"entry {entry}", record(tables([short, entry]), bytes([0b00101011, 255] * 6))
    yield "entry cut", record(tables([short, long])[:-2], b"\0\0")
    for data in (0b00000011, 0b00001100, 0b00000001, 0b00000000, 0b10101011):
        yield f"codes {data:08b}", record(tables([short, long]), bytes([data]))
        yield f"long codes {data:08b}", record(tables([short, (4, 4, 1, 3, 1)]), bytes([data]))
        yield f"extra bits {data:08b}", record(tables([short, (1, 9, 1, 0, 1)]), bytes([data]))
    yield "bad code behind the last sample", record(tables([short, long]), b"\3", 6)
    yield "tables that switch for ever", record(tables([short, (1, 1, 0, 2, 1)], [(1, 1, 0, 1, 1)]), b"\xff" * 50)
    for value in (8388606, 8388607, -8388607, -8388608):
        for base in (-1, 0, 1):
            data = (value % (1 << 24)).to_bytes(4, "big")
            bits = int.from_bytes(data, "big") << 7
            yield f"value {value} + {base}", record(tables([(1, 25, 1, base, 0), (2, 2, 1, 9, 3)]), bits.to_bytes(4, "big"))


def beats():
    def four(ms=6, fiducial=1, entries=((0, 1, 1, 3),)):
        return struct.pack("<HHH", ms, fiducial, len(entries)) + b"".join(struct.pack("<HIII", *x) for x in entries)

    beat, six = raw(10, 20, 30), signal(1000, 2000, 0, 0, [raw(1, 2, 3)])
    five = signal(1000, 2000, 0, 0, [beat])
    cases = [(four(), five), (four()[:-2], five), (four(entries=()), five), (b"", five), (four()[:4], five), (None, five),
             (four(), None), (four(), five[:-2]), (four(), five + b"\1\1"), (four(), five[:4]), (four(fiducial=0), five),
             (four(fiducial=65535, entries=((0, 1, 65535, 3),)), five)]
    cases += [(four(), signal(*head, 0, [beat])) for head in (
        (1000, 2000, 1), (1000, 2000, 2), (1000, 2000, 3), (1000, 1999, 0), (0, 2000, 0), (1500, 2000, 0),
        (999, 2000, 0), (65535, 2000, 0), (1050, 2000, 0))]
    cases += [(four(entries=[entry]), five) for entry in (
        (1, 1, 1, 3), (0, 0, 1, 3), (0, 1, 1, 2 ** 32 - 1), (0, 1, 2 ** 32 - 1, 3), (0, 3, 1, 1), (0, 2, 2, 9),
        (0, 1, 3, 3))]
    cases += [(four(ms), five) for ms in (0, 1, 2, 3, 5, 7)]
    cases += [(four(), signal(1050, 2000, 0, 0, [raw(-10, 10, 30)]))]
    cases += [(four(200), signal(1000, 2000, 2, 0, [raw(*[32767] * 40)])), (four(entries=[(0, 1, 1, 3)] * 9), five)]
    for number, (section4, section5) in enumerate(cases):
        for start in (0, 1, 3):
            three = leads((start, start + 2, 1), flags=5)
            yield f"beats {number}, {start}", scp({3: three, 4: section4, 5: section5, 6: six})
    for top in (127, 128, 129):       # 65535 times that, and as much again, is about 24 bits
        for count in (1, 2):
            yield f"beats of {top} {count} times", scp({
                3: leads((1, 3, 1), flags=5), 4: four(entries=((0, 1, 1, 3),) * count),
                5: signal(65535, 2000, 0, 0, [raw(0, top, -top)]), 6: signal(1, 2000, 0, 0, [raw(0, 0, 0)])})
    damaged = tables([(1, 1, 1, 5, 0), (2, 2, 1, 7, 1)])
    for data in (b"\0", b"\xff"):
        yield f"beat of codes {data}", scp({2: damaged, 3: leads((1, 3, 1), flags=5), 4: four(),
                                            5: signal(1, 2, 0, 0, [data]), 6: signal(1, 2, 0, 0, [b"\0\0"])})


def measurements():
    def seven(head, blocks=(), tail=(0, 29999, 0, 0)):
        return struct.pack("<BBHH", len(blocks), 0, head, 0) + b"".join(blocks) + struct.pack("<HHHHBH", 0, *tail, 0)

    block = struct.pack("<5H3h", 100, 180, 260, 340, 600, 1, 2, 3)
    whole = seven(800, [block], (75, 60, 400, 1))
    for n in range(0, len(whole) + 1, 2):
        yield f"section 7 of {n} bytes", scp({7: whole[:n]})
    for rr in (0, 1, 119, 120, 192, 320, 960, 1600, 4800, 6000, 6001, 19998, 19999, 20000, 29998, 29999, 65534, 65535):
        yield f"RR {rr}", scp({7: seven(rr)})
    for rate in (0, 1, 499, 500, 19999, 29998, 29999, 65535):
        yield f"rate {rate}", scp({7: seven(800, tail=(rate, 0, 0, 0))})
    for qtc in (0, 1, 2000, 2001, 29998):
        for formula in range(4):
            yield f"QTc {qtc} {formula}", scp({7: seven(800, tail=(0, 0, qtc, formula))})
    for bounds in ((100, 100, 101, 100, 100), (5, 4, 3, 2, 1), (0, 2000, 2001, 4001, 4002), (0, 2001, 2000, 4000, 4000),
                   *([29998 if k == j else 200 + 50 * j for j in range(5)] for k in range(5)),
                   *([v, v + 80, v + 90, v + 170, v + 500] for v in (19999, 19919, 29999, 29918, 65035))):
        yield f"bounds {bounds}", scp({7: seven(0, [struct.pack("<5H3h", *bounds, 0, 0, 0)])})
    for axes in ((-360, 360, 0), (-361, 361, 999), (29999, 19999, -32768)):
        yield f"axes {axes}", scp({7: seven(0, [struct.pack("<5H3h", 0, 0, 0, 0, 0, *axes)])})


def interpretation():
    def head(status=0, year=2026, n=1, hour=3):
        return struct.pack("<BHBBBBBB", status, year, 1, 2, hour, 4, 5, n)

    def statement(text):
        return struct.pack("<BH", 1, len(text)) + text

    for name in (8, 11):
        for n in (0, 2, 6, 8):
            yield f"section {name} of {n} bytes", scp({name: head()[:n]})
        for year in (0, 1, 1500, 1979, 1980, 2200, 2201, 9999, 65535):
            yield f"section {name} of {year}", scp({name: head(year=year, n=0) + b"\0"})
        for status in (0, 1, 2, 3, 255):
            yield f"section {name}, status {status}", scp({name: head(status, n=0) + b"\0", 8: head(n=0)} if status == 2
                                                         else {name: head(status, n=0) + b"\0"})
        yield f"section {name} at 24 h", scp({name: head(hour=24, n=0)})
        for k, body in enumerate((statement(b"\1ab\0"), statement(b"\1abc")[:-2], statement(b"\1abcd") + b"\1\0",
                                  statement(b"") + statement(b"\0"), statement(b"\2") + statement(b"\2x"),
                                  *(statement(bytes([kind]) + b"x\0") for kind in range(5)))):
            for n in (0, 1, 2, 3):
                yield f"section {name}, {n} of statements {k}", scp({name: head(n=n) + body})
    yield "sections 8 and 11", scp({8: head(1) + statement(b"a"), 11: head(9, 2025) + statement(b"\1b")})
    yield "section 8 short, and 11", scp({8: b"\0\0", 11: head(1) + statement(b"\1b")})


# --- annotated ECGs

def aecg():
    def annotations(*found, before=""):
        return f"<subjectOf><annotationSet>{before}" + "".join(
            f'<component><annotation><code code="{code}"/>{value}</annotation></component>' for code, value in found
        ) + "</annotationSet></subjectOf>"

    def control(kind, inner, value):
        head = '<controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_'
        return (f'{head}{kind}"/><component>{head}{inner}"/><value value="{value}" unit="Hz"/></controlVariable></component>'
                '</controlVariable>')

    def time_base(step, code="TIME_ABSOLUTE", unit="s"):
        return (f'<component><sequence><code code="{code}"/><value><increment value="{step}" unit="{unit}"/></value>'
                '</sequence></component>')

    def lead(code="MDC_ECG_LEAD_I", scale="2.5", unit="uV", digits="1 2 -3", origin=""):
        return (f'<component><sequence><code code="{code}"/><value>{origin}<scale value="{scale}" unit="{unit}"/>'
                f'<digits>{digits}</digits></value></sequence></component>')

    def sequences(*inside):
        return f'<component><sequenceSet>{"".join(inside)}</sequenceSet></component>'

    def document(series, before="", after=""):
        return (f'<AnnotatedECG>{before}<component><series><code code="RHYTHM"/>{series}</series></component>{after}'
                '</AnnotatedECG>').encode()

    def file(scale="2.5", unit="uV", digits="1 2 -3", origin="", step="0.002", time="20260131080910", more="", **places):
        origin = origin and f'<origin value="{origin}" unit="{places.pop("origin_unit", "uV")}"/>'
        return document(f'<effectiveTime><low value="{time}"/></effectiveTime>' + sequences(
            time_base(step), lead("MDC_ECG_LEAD_I", scale, unit, digits, origin)) + more, **places)

    for scale in "1 1. .5 +1 1e2 0x10 inf 1,5 0 -1 1e6 1000001 1e-6 0.0000005 0.0000004 1e400 4.88281250".split():
        yield f"scale {scale}", file(scale)
    for unit in ("uV", "mV", "nV", "V", "kV", "", "UV"):
        yield f"unit {unit}", file("0.5", unit)
    for digits in ("8388607", "8388608", "-8388607", "-8388608", "9" * 30, "+1 2", "-0", "0012", "1.0", "1 2a 3", "--1",
                   "1&#32;2", "1<!-- --> 2", "1\u00a02", "", "1 <x>5</x> 2", "<![CDATA[4]]>"):
        yield f"digits {digits[:9]}", file(digits=digits)
    for scale, origin in (("2.5", "-2090"), ("0.1", "0.3"), ("4.8828125", "-2128.90625"), ("3.3333333", "33.333333"),
                          ("2.5", "1"), ("1", "8388606"), ("1", "8388607"), ("1", "8388608"), ("1", "-8388608"),
                          ("1", "x"), ("1e-6", "8.388607"), ("1e-6", "8.388608"), ("3e-5", "1e-4"), ("3e-5", "9e-5"),
                          ("2.50000000000000000000", "-5.0000000000000000000000"), ("1e5", "1e-300"), ("7", "7e2"),
                          ("0.000001", "1e300"), ("0.333", "-0.999"), ("0.0010", "0"), ("0.4e1", "-.8E+1")):
        yield f"origin {origin} of {scale}", file(scale, origin=origin)
    for step in "1 1.001 0 -1 0.000001 0.0000009 x 0.0027777777".split():
        yield f"step {step}", file(step=step)
    for time in ("202601310809", "20260131", "20260131080960", "20260131240000", "19791231235959", "19800101000000",
                 "22010101000000", "20260131080910Z", "20260131080910.5", "20260131080910+0840", "20260131080910+1400",
                 "20260131080910+1401", "20260131080910-1200", "20260131080910-1201", "20260131080910+0860",
                 "20260131080910+0859", "20260131080910-0330", "20260131080910+08", "202601310", "2026", "x"):
        yield f"time {time}", file(time=time)
    for unit, origin in (("mV", "2.5"), ("nV", "2500"), ("V", "0.0000025"), ("nV", "2501"), ("kV", "1"), ("kV", "0")):
        yield f"origin {origin} {unit}", file(origin=origin, origin_unit=unit)
    for code, unit, values in (("TIME_PD_PR", "ms", "0 0.4 0.5 1 2000 2000.4 2000.5 2001 x"),
                               ("TIME_PD_QT", "s", "0.4 2 2.001"),
                               ("HEART_RATE", "bpm", "0 1 499 500"), ("TIME_PD_RR", "ms", "19998 19999"),
                               ("ANGLE_P_FRONT", "deg", "-361 -360 -0.5 0.5 360 361")):
        for value in values.split():
            yield f"{code} {value}", file(more=annotations((f"MDC_ECG_{code}", f'<value value="{value}" unit="{unit}"/>')))
    for unit in ("bpm", "/min", "1/min", "{beats}/min", "{beat}/min", "Hz", ""):
        yield f"rate in {unit}", file(more=annotations(("MDC_ECG_HEART_RATE", f'<value value="75" unit="{unit}"/>')))
    statement = ("MDC_ECG_INTERPRETATION_STATEMENT", "<value>TEST</value>")
    for n, times in enumerate(([""], ["20260131080910"], ["202601310809"], ["20260131"], ["19791231000000"],
                               ["20260131080910", "20260201000000"], ["20260131080910", "x"], [])):
        activity = "".join(f'<activityTime value="{time}"/>' for time in times)
        yield f"activity {n}", file(more=annotations(statement, before=activity))
        yield f"activity {n}, then another", file(more=annotations(statement, before=activity) +
                                                  annotations(statement, before='<activityTime value="20200101000000"/>'))
        yield f"activity {n}, and none", file(more=annotations(before=activity) + annotations(statement))
    for births in ("1950", "195003", "19500304", "1950030410", "195003041", "19500231", "18491231", "18500101",
                   "22010101", "19500304+0860", "x", "1950 19500304", "19500304 19600101"):
        person = "".join(f'<birthTime value="{birth}"/>' for birth in births.split())
        yield f"born {births}", file(before="<trialSubject><subjectDemographicPerson>" + person +
                                     "</subjectDemographicPerson></trialSubject>")
    two = time_base("0.002") + lead()
    for n, sets in enumerate(([two, time_base("0.002") + lead("MDC_ECG_LEAD_II")], [two, lead("MDC_ECG_LEAD_II")],
                              [two, time_base("0.001") + lead("MDC_ECG_LEAD_II")], [time_base("9") + lead()],
                              [lead()], [lead(), two], [two, two], [two + lead()], [lead() + time_base("0.002")],
                              [time_base("0.002")], [time_base("0.002"), lead()], [time_base("9")],
                              [time_base("0.002") + lead(scale="0")], [time_base("2", unit="ms") + lead()],
                              [time_base("0.002", "TIME_RELATIVE") + lead()], [time_base("0.002", "TIME") + lead()],
                              [time_base("9") + time_base("0.002") + lead()], [time_base("0.001") + time_base("9"), two])):
        yield f"sequences {n}", document("".join(map(sequences, sets)))
    for code in ("MDC_ECG_LEAD_aVR", "MDC_ECG_LEAD_avl", "MDC_ECG_LEAD_AVRneg", "MDC_ECG_LEAD_v1", "MDC_ECG_LEAD_",
                 "MORTARA_ECG_LEAD_TEA", "_ECG_LEAD_I", "ECG_LEAD_I", "MDC_ECG_LEAD_I I", "MDC_ECG_LEAD_测",
                 "MDC_ECG_LEAD_" + "x" * 15, "MDC_ECG_LEAD_" + "x" * 16, "MDC_ECG_LEAD_C_ECG_LEAD_D", "", "OTHER"):
        yield f"lead {code}", document(sequences(time_base("0.002") + lead(code)))
    yield "lead names that are cut alike", document(sequences(time_base("0.002"), *(
        lead("MDC_ECG_LEAD_" + "x" * 15 + end) for end in "ab")))
    yield "warnings for ever", document('<effectiveTime value="20260131080910"/>' + sequences(time_base("0.002"), *(
        lead(f"MDC_ECG_LEAD_{k}", origin='<origin value="1" unit="uV"/>') for k in range(40))))
    for large in ("8388607", "-8388607"):
        yield f"derived from {large}", document(sequences(time_base("0.002"), lead(digits=f"1 {large} 2"), lead(
            "MDC_ECG_LEAD_II", digits=f"1 {large.strip('-') if '-' in large else '-' + large} 3")))
    for kind, inner in (("LOW_PASS", "CUTOFF_FREQ"), ("HIGH_PASS", "CUTOFF_FREQ"), ("NOTCH", "NOTCH_FREQ"), ("LOW_PASS", "NOTCH_FREQ")):
        for value in "-1 0 0.0004 0.0005 0.4 0.5 99.9999 100.0004 100.0005 100000 100001 x".split():
            yield f"{kind} {inner} {value}", file(more=control(kind, inner, value))
    yield "filters of another series", file(after=f"<component><series>{control('NOTCH', 'NOTCH_FREQ', 50)}</series></component>")
    for text in ("SN-1", " \n", "测&#133;试"):
        yield f"serial {text}", file(more="<author><seriesAuthor><manufacturedSeriesDevice><serialNumber>" + text +
                                     "</serialNumber></manufacturedSeriesDevice></seriesAuthor></author>")
    for text in ("<AnnotatedECG/>", "<a:AnnotatedECG/>", "<AnnotatedECGx/>", "<AnnotatedECG", "<AnnotatedECG>",
                 "\ufeff<AnnotatedECG/>", "<AnnotatedECG/>x", "<AnnotatedECG><a></b></AnnotatedECG>",
                 "<AnnotatedECG>&x;</AnnotatedECG>", " <?xml version='1.0'?><AnnotatedECG/>",
                 "<!DOCTYPE AnnotatedECG><AnnotatedECG/>", "<!DOCTYPE AnnotatedECG []><AnnotatedECG/>",
                 "<!-- <!DOCTYPE a []> --><AnnotatedECG/>", "<AnnotatedECG>\1</AnnotatedECG>",
                 "<!DOCTYPE AnnotatedECG [<!ENTITY a 'b'>]><AnnotatedECG>&a;</AnnotatedECG>"):
        yield f"document {text}", text.encode()
        yield f"document {text}, filled up", text.encode() + b"\x1a\x1a"
    name = "<trialSubject><subjectDemographicPerson><name>{}</name></subjectDemographicPerson></trialSubject>"
    for charset, codec in [(charset, codec) for charset in ("UTF-8", "gbk", "GB2312", "gb18030", "ISO-8859-1", "US-ASCII",
                           "windows-1252", "big5", "UTF-16", "x") for codec in ("utf-8", "gb18030", "latin-1", "utf-16")]:
        for text in ("TEST", "é", "测试甲", "㐂"):
            if codec != "latin-1" or text < "\u0100":
                yield f"{text} in {codec}, {charset}", (f'<?xml version="1.0" encoding="{charset}"?>' + file(
                    before=name.format(text)).decode()).encode(codec)
    for n in (63, 64):
        yield f"{n} levels within", b"<AnnotatedECG>" + b"<a>" * n + b"</a>" * n + b"</AnnotatedECG>"


# --- Contec ECG90A

def ecg90a():
    head, row, foot = b"12345678\1\0022026-01-31 08:09:10", struct.pack("<8H", *range(2048, 2056)), b"\0" * 37
    off = [struct.pack("<8H", *(0x6800 if j == k else 2048 + j for j in range(8))) for k in range(8)]
    for k, body in enumerate([b"", row, row * 3, row + b"\0" * 16, row + b"\0" * 16 + row, b"\0" * 16, row + b"\1", row[:-1],
                              *(row + one for one in off), *off, b"\xff" * 16]):
        yield f"rows {k}", head + b"\0\3\4TEST\0\0\0\0\1\x32\x3c" + body + foot
    for k, person in enumerate((b"\0\0\0", b"\1\1\1", b"\2\xfe\xfe", b"\xff\xff\xff")):
        yield f"person {k}", head + b" \3\4TEST\0\0\0\0" + person + row + foot
    for k, time in enumerate((b"2026-13-01 00:00:00\0", b"2026-01-31 24:00:00\0", b"2026-01-31 08:09:10x",
                              b"2026-01-31T08:09:10\0")):
        yield f"time {k}", head[:10] + time + b"\3\4TEST\0\0\0\0\1\x32\x3c" + row + foot
    yield "too short", (head + b" " * 14 + foot)[:79]


ALL = {"scp": (frame, section1, charsets, waveform, huffman, beats, measurements, interpretation), "aecg": (aecg,),
       "ecg90a": (ecg90a,)}
