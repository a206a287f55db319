#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bytes of Modbus registers mean: the rules once more, in exact arithmetic, for comparison.

decode(item, data): item is a line of a profile as a dict, data its bytes as they were on the wire:

    type      bit int16 uint16 int32 uint32 float32 bcd16 string
    order     of the four bytes of two registers: ABCD (highest first, also when absent), CDAB, BADC,
              DCBA. BADC and DCBA swap the bytes of a single register, too. In a string only the bytes
              within registers are swapped, the registers stay.
    invalid   list of bare values in hex, such as "7fff", put into the order ABCD: before mask and scale
    mask      hex text or number, shift: (raw & mask) >> shift. With a mask or a shift the bytes are an
              unsigned number. Not for float32 and string. Of a bit in a byte (coil): its lowest.
    enum      {"0": "off", ..}: of that number, before scale; a number that is not in it is a value
    scale, offset, min, max     decimals as text; value = number * scale + offset, exactly; then the
              range, its ends belong to it
    decimals  is for whoever shows it: nothing is rounded here

The answers: ("value", Decimal), ("invalid",), ("out_of_range", Decimal), ("text", str), ("enum", str).

float32: NaN and the infinities are invalid; else the number is the first of %.1g to %.9g that reads
back as the same single. bcd16: a digit above 9 is invalid, looked for after the mask. string: ends
before the first NUL, without spaces at its end; a byte that is no printable ASCII makes it invalid.

    register_model.py --random N --seed S [--types int16,float32] [--digits 18]

prints N lines {"item", "hex", "expect"}: expect is the answer as a list, its number in plain digits
without needless zeros. Cases of which a term needs more than --digits digits are left out.
"""
import argparse
import json
import random
from decimal import Context, Decimal, Inexact, localcontext
from fractions import Fraction

LENGTH = {"int16": 2, "uint16": 2, "bcd16": 2, "int32": 4, "uint32": 4, "float32": 4}
TYPES = ("bit", *LENGTH, "string")
EXACT = Context(prec=400, Emin=-999, Emax=999, traps=[Inexact])


def ordered(data, order, is_text):
    """The bytes in the order ABCD."""
    pairs = [data[at:at + 2] for at in range(0, len(data), 2)]
    if order[0] in "BD":
        pairs = [bytes(reversed(pair)) for pair in pairs]
    if order in ("CDAB", "DCBA") and not is_text:
        pairs.reverse()
    return b"".join(pairs)


def single(bits):
    """(value, lower and upper bound of what reads back as it, do the bounds belong to it?)."""
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    unit = Fraction(2) ** (max(exponent, 1) - 150)
    value = (fraction + (0x800000 if exponent else 0)) * unit
    below = unit / 4 if exponent > 1 and fraction == 0 else unit / 2
    return value, value - below, value + unit / 2, bits % 2 == 0


def float_number(bits):
    """Shortest decimal of a finite single; None for what is no number."""
    if bits >> 23 & 0xFF == 0xFF:
        return None
    value, low, high, inclusive = single(bits & 0x7FFFFFFF)
    sign = -1 if bits >> 31 else 1
    for digits in range(1, 10):
        number = Decimal(f"{float(value):.{digits}g}")      # a single is exact as a double
        if low < number < high or inclusive and number in (low, high):
            return number * sign
    raise AssertionError(f"{bits:08x}: nine digits are enough for every single")


def text_of(data):
    data = data.split(b"\0")[0].rstrip(b" ")
    if any(byte < 0x20 or byte > 0x7E for byte in data):
        return ("invalid",)
    return ("text", data.decode("ascii"))


def number_of(item, data):
    """The number in the bytes, before enum and scale; None for what is none."""
    kind, bits = item["type"], int.from_bytes(data, "big")
    mask, shift = item.get("mask"), int(item.get("shift", 0))
    if kind == "float32":
        if mask is not None or shift:
            raise ValueError("a float32 has no mask")
        return float_number(bits)
    if kind == "bit":
        return Decimal(bits >> (shift if len(data) == 2 else 0) & 1)
    if mask is None and not shift and kind[0] == "i":
        return Decimal(int.from_bytes(data, "big", signed=True))
    bits = (bits if mask is None else bits & int(str(mask), 0)) >> shift
    if kind == "bcd16":
        digits = f"{bits:x}"
        return Decimal(digits) if digits.isdecimal() else None
    return Decimal(bits)


def decode(item, data):
    kind = item["type"]
    if len(data) != LENGTH.get(kind, len(data)) or kind == "bit" and len(data) not in (1, 2):
        raise ValueError(f"{kind} from {len(data)} bytes")
    if kind != "bit" or len(data) == 2:
        data = ordered(data, item.get("order", "ABCD"), kind == "string")
    if int.from_bytes(data, "big") in [int(text, 16) for text in item.get("invalid", [])]:
        return ("invalid",)
    if kind == "string":
        return text_of(data)
    number = number_of(item, data)
    if number is None:
        return ("invalid",)
    if "enum" in item and str(number) in item["enum"]:
        return ("enum", item["enum"][str(number)])
    with localcontext(EXACT):
        value = number * Decimal(item.get("scale", "1")) + Decimal(item.get("offset", "0"))
    if "min" in item and value < Decimal(item["min"]) or "max" in item and value > Decimal(item["max"]):
        return ("out_of_range", value)
    return ("value", value)


# Random cases

def plain(value):
    """A decimal as digits without exponent and needless zeros."""
    with localcontext(EXACT):
        return f"{value.normalize():f}" if value else "0"


def digits_needed(item, data):
    """Of the number, its product and the sum, each as an integer times the sum's power of ten."""
    number = number_of(item, ordered(data, item.get("order", "ABCD"), False))
    if number is None:
        return 0
    with localcontext(EXACT):
        scale, offset = Decimal(item.get("scale", "1")), Decimal(item.get("offset", "0"))
        terms = [number, number * scale, offset, number * scale + offset]
        finest = min(t.normalize().as_tuple().exponent for t in terms)
        return max(len(str(abs(int(t.scaleb(-finest))))) for t in terms)


def random_bits(dice, kind, size):
    """Bytes in the order ABCD: anything, often what is rare."""
    if kind == "string":
        text = bytes(dice.choice(b"ABC xyz-019.") for _ in range(dice.randint(0, size)))
        text = text.ljust(size, dice.choice((b"\0", b" ")))
        return dice.randbytes(size) if dice.random() < 0.1 else text
    if kind == "bit":
        return bytes([dice.randrange(2)])
    if kind == "float32" and dice.random() < 0.7:
        exponent = dice.choice((0, 1, 254, 255)) if dice.random() < 0.1 else dice.randint(100, 150)
        fraction = dice.choice((0, 1, 0x7FFFFF, 0x400000, dice.getrandbits(23)))
        return (dice.getrandbits(1) << 31 | exponent << 23 | fraction).to_bytes(4, "big")
    if kind == "bcd16" and dice.random() < 0.7:
        return bytes.fromhex(f"{dice.randrange(10000):04d}")
    edges = (b"\x7f" + b"\xff" * (size - 1), b"\x80" + bytes(size - 1), b"\xff" * size, bytes(size))
    return dice.choice(edges) if dice.random() < 0.2 else dice.randbytes(size)


def random_item(dice, kind, data):
    """An item for these bytes. Masks only where every reading of the rules agrees: unsigned types."""
    item = {"type": kind}
    if len(data) == 4 and kind != "string":
        item["order"] = dice.choice(("ABCD", "CDAB", "BADC", "DCBA"))
    if kind == "string":
        return item
    if kind in ("uint16", "uint32") and dice.random() < 0.4:
        bits, shift = dice.randint(1, 8), dice.randint(0, 8)
        item.update(mask=f"0x{((1 << bits) - 1) << shift:x}", shift=shift)
    if kind != "bit" and dice.random() < 0.4:
        item["invalid"] = [dice.choice((data.hex(), f"{dice.getrandbits(8 * len(data)):x}"))
                           for _ in range(dice.randint(1, 3))]
    number = number_of(item, data)
    if kind in ("bit", "uint16", "bcd16") and number is not None and dice.random() < 0.3:
        item["enum"] = {str(n): f"state{n}" for n in {0, 1, 2, int(number)}}
        return item
    if dice.random() < 0.7:
        item["scale"] = dice.choice(("1", "0.1", "0.01", "10", "0.5", "-0.1", "2.5", "0.0625"))
    if dice.random() < 0.4:
        item["offset"] = dice.choice(("0", "-40", "0.5", "273.15", "-1000"))
    if dice.random() < 0.4:
        value = decode(dict(item, order="ABCD", invalid=[]), data)[-1]
        near = plain(value) if isinstance(value, Decimal) and dice.random() < 0.3 else "0"
        item["min"], item["max"] = sorted((near, dice.choice(("-45", "85", "100", "2000"))), key=Decimal)
    if dice.random() < 0.3:
        item["decimals"] = dice.randint(0, 3)
    return item


def cases(total, seed, types=TYPES, digits=18):
    dice = random.Random(seed)
    while total > 0:
        kind = dice.choice(types)
        size = LENGTH.get(kind) or (1 if kind == "bit" else 2 * dice.randint(1, 16))
        bits = random_bits(dice, kind, size)
        item = random_item(dice, kind, bits)
        data = bits if kind in ("bit", "string") else ordered(bits, item.get("order", "ABCD"), False)
        if kind not in ("bit", "string") and digits_needed(item, data) > digits:
            continue
        answer = decode(item, data)
        expect = [plain(part) if isinstance(part, Decimal) else part for part in answer]
        yield {"item": item, "hex": data.hex(), "expect": expect}
        total -= 1


def main():
    parser = argparse.ArgumentParser(description="Random registers and what they mean.")
    parser.add_argument("--random", type=int, required=True, metavar="N", help="this many cases")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="(%(default)s)")
    parser.add_argument("--types", default=",".join(TYPES), help="(%(default)s)")
    parser.add_argument("--digits", type=int, default=18, help="the most that is needed (%(default)s)")
    options = parser.parse_args()
    types = tuple(options.types.split(","))
    if not set(types) <= set(TYPES):
        parser.error("no such type")
    for case in cases(options.random, options.seed, types, options.digits):
        print(json.dumps(case))


if __name__ == "__main__":
    main()
