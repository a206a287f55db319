# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement looks like on the air: a record in plain words -> the bytes of its value.

Everything is little-endian. A field that the record lacks is left out together with its flag;
optional fields stand strictly in the order of the specification. A number is None for NaN, one of
"NaN", "NRes", "+INF", "-INF", or anything that Decimal reads; it keeps the decimals it is written
with.

Sources: IEEE 11073-20601 (SFLOAT, FLOAT); SIG definitions of 2A08, 2A18, 2A1C, 2A2B, 2A34, 2A35,
2A37, 2A5E, 2A5F, 2A9C, 2A9D, 2AA7, 2AA8, 2AA9, 2AAA, 2AAB.
"""
import struct
from datetime import datetime
from decimal import Decimal

NAN = 0x07FF
SPECIAL = {"NaN": 0x07FF, "NRes": 0x0800, "+INF": 0x07FE, "-INF": 0x0802}
SPECIAL_LONG = {"NaN": 0x7FFFFF, "NRes": 0x800000, "+INF": 0x7FFFFE, "-INF": 0x800002}


def parts(value):
    """Mantissa and exponent of a number, with as many decimals as were written."""
    sign, digits, exponent = Decimal(str(value)).as_tuple()
    return int("".join(map(str, digits))) * (-1 if sign else 1), exponent


def sfloat(value):
    """Number -> the 16 bits of an IEEE 11073 SFLOAT: 12 bits of mantissa, 4 of exponent."""
    if value is None or value in SPECIAL:
        return SPECIAL[value or "NaN"]
    mantissa, exponent = parts(value)
    if not (-2045 <= mantissa <= 2045 and -8 <= exponent <= 7):
        raise ValueError(f"{value} does not fit an SFLOAT")
    return (exponent & 0xF) << 12 | mantissa & 0xFFF


def float32(value):
    """Number -> the 32 bits of an IEEE 11073 FLOAT: 24 bits of mantissa, 8 of exponent."""
    if value is None or value in SPECIAL_LONG:
        return SPECIAL_LONG[value or "NaN"]
    mantissa, exponent = parts(value)
    if not (-8388605 <= mantissa <= 8388605 and -128 <= exponent <= 127):
        raise ValueError(f"{value} does not fit a FLOAT")
    return (exponent & 0xFF) << 24 | mantissa & 0xFFFFFF


def steps(value, step):
    """A number in whole steps, as 16 bits; None is the value of an unsuccessful measurement."""
    if value is None:
        return 0xFFFF
    count = Decimal(str(value)) / Decimal(step)
    if count != int(count) or not 0 <= count <= 0xFFFF:
        raise ValueError(f"{value} is no number of steps of {step}")
    return int(count)


def date_time(civil):
    """2A08. A text is ISO 8601; year 0 means unknown and is written 0000-MM-DDThh:mm:ss."""
    if isinstance(civil, str):
        date, _, clock = civil.partition("T")
        fields = [int(x) for x in date.split("-") + clock.split(":")]
    else:
        fields = civil.timetuple()[:6]
    return struct.pack("<HBBBBB", *fields)


def civil_of(raw):
    """The seven bytes of 2A08 -> datetime; None when they are none."""
    try:
        return datetime(*struct.unpack_from("<HBBBBB", raw))
    except (struct.error, ValueError):
        return None


def current_time(civil, reason=0):
    """2A2B: date and time, day of week (1 Monday), 1/256 seconds, reason of adjustment."""
    return date_time(civil) + bytes([civil.isoweekday(), civil.microsecond * 256 // 1000000,
                                     reason])


def crc16(data):
    """CRC-16/MCRF4XX, the E2E-CRC of the newer services."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def optional(record, fields):
    """(flags, bytes) of the optional fields: (bit, key, how to make bytes of it)."""
    flags, tail = 0, b""
    for bit, key, encode in fields:
        if record.get(key) is not None:
            flags, tail = flags | 1 << bit, tail + encode(record[key])
    return flags, tail


def u8(value):
    return struct.pack("<B", value)


def u16(value):
    return struct.pack("<H", value)


def u24(value):
    return struct.pack("<I", value)[:3]


def s16(value):
    return struct.pack("<h", value)


def number(value):
    return u16(sfloat(value))


def blood_pressure(record, beurer=False):
    """2A35; a record with "nan" is a failed measurement: NaN in all four numbers (seen on a boso
    medicus). Beurer BM85 and its kin send flags 0x56: a user byte that the flags deny, pulse and
    status big-endian, zero for the mean."""
    def part(name):
        return NAN if record.get("nan") else sfloat(record.get(name))

    if beurer:
        pressures = struct.pack("<HHH", part("sys"), part("dia"), NAN if record.get("nan") else 0)
        moment = date_time(record["time"]) if record.get("time") else bytes(7)
        return (b"\x56" + pressures + moment
                + struct.pack(">HBH", part("pulse"), record.get("user") or 0,
                              record.get("status") or 0))
    flags, tail = optional(record, ((1, "time", date_time),))
    if record.get("nan") or record.get("pulse") is not None:
        flags, tail = flags | 4, tail + u16(part("pulse"))
    more, rest = optional(record, ((3, "user", u8), (4, "status", u16)))
    return (bytes([(record.get("unit") == "kPa") | flags | more])
            + struct.pack("<HHH", part("sys"), part("dia"), part("map")) + tail + rest)


SCALE = {"mg/dL": -5, "mmol/L": -3}     # the wire has kg/L and mol/L


def glucose(record):
    """2A18. unit mg/dL or mmol/L, as on the meter's display; type and site are the nibbles."""
    value, unit = record.get("value"), record.get("unit", "mmol/L")
    flags, tail = optional(record, ((0, "offset_min", s16),))
    if "value" in record:
        if value is not None and value not in SPECIAL:
            value = Decimal(str(value)).scaleb(SCALE[unit])
        flags |= 2 | (unit == "mmol/L") << 2
        tail += number(value) + u8(record.get("site", 1) << 4 | record.get("type", 1))
    more, rest = optional(record, ((3, "status", u16),))
    flags |= more | bool(record.get("context")) << 4
    return bytes([flags]) + u16(record["seq"]) + date_time(record["base"]) + tail + rest


def glucose_context(seq, context):
    """2A34. The extended flags come right after the number."""
    flags, tail = optional(context, (
        (7, "extended", u8),
        (0, "carb", lambda c: u8(c[0]) + number(c[1])),
        (1, "meal", u8),
        (2, "tester_health", lambda t: u8(t[0] | t[1] << 4)),
        (3, "exercise", lambda e: struct.pack("<HB", *e)),
        (4, "medication", lambda m: u8(m[0]) + number(m[1])),
        (6, "hba1c", number)))
    return bytes([flags | bool(context.get("litres")) << 5]) + u16(seq) + tail


def cgm(record, crc=False):
    """One record of 2AA7: mg/dL at so many minutes since the session began."""
    flags, tail = optional(record, ((7, "status", u8), (6, "cal_temp", u8), (5, "warning", u8),
                                    (0, "trend", number), (1, "quality", number)))
    body = number(record["value"]) + u16(record["minutes"]) + tail
    body = bytes([2 + len(body) + 2 * crc, flags]) + body
    return body + crc16(body) if crc else body


def with_crc(body, crc):
    return body + crc16(body) if crc else body


def plx(record, continuous):
    """2A5E or 2A5F. fast and slow: (SpO2, pulse)."""
    def pair(values):
        return number(values[0]) + number(values[1])

    tail = ((16, "status", u16), (17, "sensor", u24), (18, "pai", number))
    if continuous:
        fields = ((0, "fast", pair), (1, "slow", pair)) + tail
        first_status = 2
    else:
        fields = ((0, "time", date_time),) + tail
        first_status = 1
    flags, rest = optional(record, fields)
    flags = flags & 0xFF | flags >> 16 << first_status
    if not continuous and record.get("clock_unset"):
        flags |= 0x10
    return bytes([flags]) + number(record["spo2"]) + number(record["pulse"]) + rest


def weight(record):
    """2A9D: kg in steps of 0.005, lb of 0.01; height in m or in inches."""
    imperial = record.get("unit") == "lb"
    flags, tail = optional(record, ((1, "time", date_time), (2, "user", u8)))
    if record.get("bmi") is not None:
        flags |= 8
        tail += u16(steps(record["bmi"], "0.1"))
        tail += u16(steps(record["height"], "0.1" if imperial else "0.001"))
    return (bytes([imperial | flags]) + u16(steps(record["weight"], "0.01" if imperial
                                                  else "0.005")) + tail)


def body_composition(record, multiple=False):
    """2A9C. multiple: the rest comes in the next one, of the same time and user."""
    imperial = record.get("unit") == "lb"

    def mass(value):
        return u16(steps(value, "0.01" if imperial else "0.005"))

    def tenths(value):
        return u16(steps(value, "0.1"))

    flags, tail = optional(record, (
        (1, "time", date_time), (2, "user", u8), (3, "basal_kj", u16), (4, "muscle_pct", tenths),
        (5, "muscle", mass), (6, "fat_free", mass), (7, "soft_lean", mass), (8, "water", mass),
        (9, "impedance", tenths), (10, "weight", mass),
        (11, "height", lambda h: u16(steps(h, "0.1" if imperial else "0.001")))))
    return u16(imperial | flags | multiple << 12) + tenths(record.get("fat_pct")) + tail


def temperature(record, short=False):
    """2A1C. short: one kind of Yuwell sends an SFLOAT."""
    flags, tail = optional(record, ((1, "time", date_time), (2, "site", u8)))
    raw = number(record["value"]) if short else struct.pack("<I", float32(record["value"]))
    return bytes([(record.get("unit") == "F") | flags]) + raw + tail


def heart_rate(record):
    """2A37. rr in 1/1024 s; contact: None where the sensor cannot tell."""
    rate, contact = record["rate"], record.get("contact")
    flags = 0 if contact is None else 0x06 if contact else 0x04
    wide = rate > 255 or record.get("wide", False)
    tail = u16(rate) if wide else u8(rate)
    if record.get("energy") is not None:
        flags, tail = flags | 8, tail + u16(record["energy"])
    if record.get("rr"):
        flags, tail = flags | 16, tail + b"".join(u16(x) for x in record["rr"])
    return bytes([flags | wide]) + tail
