#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test of the model of register decoding, tests/sim/register_model.py, with numbers worked out by hand.
Prints TAP. Arguments, if any, select tests by name.
"""
import json
import os
import re
import subprocess
import sys
from decimal import Decimal

from test_sim import HERE, same
from test_sim_modbus import main, register_model


def decoded(raw, **item):
    return register_model.decode(item, bytes.fromhex(raw))


def test_model_decodes_floats_of_every_order(_where):
    for order, raw in (("ABCD", "47f12000"), ("CDAB", "200047f1"), ("BADC", "f1470020"),
                       ("DCBA", "0020f147")):
        same(decoded(raw, type="float32", order=order), ("value", Decimal(123456)))
    for raw, text in (("3dcccccd", "0.1"), ("41070a3d", "8.44"), ("4b800000", "16777216"),
                      ("00000001", "1e-45"), ("7f7fffff", "3.4028235e38"), ("80000000", "0"),
                      ("4c000004", "33554450"), ("4c000005", "33554452"),
                      ("39000000", "0.00012207031"), ("bf9df3b6", "-1.234")):
        same((raw, decoded(raw, type="float32")), (raw, ("value", Decimal(text))))
    for raw in ("7fc00000", "ffc00001", "7f800000", "ff800000", "7f800001"):
        same(decoded(raw, type="float32"), ("invalid",))
    same(decoded("42c80000", type="float32", scale="0.1", offset="-0.3"), ("value", Decimal("9.7")))
    same(decoded("c479c000", type="float32", invalid=["0xC479C000"]), ("invalid",))


def test_model_decodes_integers(_where):
    same(decoded("ffd3", type="int16", scale="0.1"), ("value", Decimal("-4.5")))
    same(decoded("ffd3", type="uint16", scale="0.1"), ("value", Decimal("6549.1")))
    same(decoded("fa24ffff", type="int32", order="CDAB"), ("value", Decimal(-1500)))
    same(decoded("24faffff", type="int32", order="DCBA"), ("value", Decimal(-1500)))
    same(decoded("fffffa24", type="uint32"), ("value", Decimal(4294965796)))
    same(decoded("5d12", type="uint16", mask="0x7f00", shift=8), ("value", Decimal(93)))
    same(decoded("5d12", type="uint16", mask=0x0070, shift=4), ("value", Decimal(1)))
    same(decoded("ff80", type="int16", mask="0xff80", shift=7), ("value", Decimal(511)))
    same(decoded("7fff", type="int16", invalid=["8000", "7FFF"]), ("invalid",))
    same(decoded("ff7f", type="int16", order="BADC", invalid=["7fff"]), ("invalid",))
    same(decoded("7fff", type="uint16", mask="0xff", invalid=["ff"]), ("value", Decimal(255)))
    same(decoded("01", type="bit"), ("value", Decimal(1)))
    same(decoded("0008", type="bit", shift=3), ("value", Decimal(1)))
    same(decoded("9999", type="bcd16", scale="0.01"), ("value", Decimal("99.99")))
    same(decoded("1a24", type="bcd16"), ("invalid",))
    same(decoded("a124", type="bcd16", mask="0x0fff"), ("value", Decimal(124)))


def test_model_knows_ranges_enums_and_texts(_where):
    same(decoded("0050", type="int16", scale="0.1", min="-45", max="8"), ("value", Decimal("8.0")))
    same(decoded("0051", type="int16", scale="0.1", max="8"), ("out_of_range", Decimal("8.1")))
    same(decoded("fe3e", type="int16", scale="0.1", min="-45"), ("value", Decimal(-45)))
    same(decoded("fe3d", type="int16", scale="0.1", min="-45"), ("out_of_range", Decimal("-45.1")))
    same(decoded("0022", type="uint16", mask="0x70", shift=4, enum={"2": "reserve"}), ("enum", "reserve"))
    same(decoded("0002", type="uint16", enum={"1": "on"}, scale="3"), ("value", Decimal(6)))
    same(decoded("414220202000ff", type="string"), ("text", "AB"))
    same(decoded("42412043", type="string", order="BADC"), ("text", "ABC"))
    same(decoded("42412043", type="string", order="CDAB"), ("text", "BA C"))
    same(decoded("0000", type="string"), ("text", ""))
    same(decoded("41c3", type="string"), ("invalid",))
    for raw, item in (("00", {"type": "int16"}), ("000000", {"type": "bit"}),
                      ("00000000", {"type": "float32", "mask": "0xff"})):
        try:
            same(decoded(raw, **item), "an error")
        except ValueError:
            pass


def test_model_makes_the_same_random_cases_again(_where):
    def run(*words):
        return subprocess.run([sys.executable, "-B", os.path.join(HERE, "sim", "register_model.py"),
                               *words], capture_output=True, text=True, check=True).stdout.splitlines()

    lines = run("--random", "3000", "--seed", "5")
    same(len(lines), 3000)
    same(run("--random", "3000", "--seed", "5"), lines)
    same(run("--random", "3000", "--seed", "6") != lines, True)
    kinds = set()
    for case in map(json.loads, lines):
        got = decoded(case["hex"], **case["item"])
        kinds.add((case["item"]["type"], got[0]))
        same(case["expect"][0], got[0])
        if got[0] in ("value", "out_of_range"):
            same(re.fullmatch(r"0|-?(0|[1-9]\d*)(\.\d*[1-9])?", case["expect"][1]) is not None, True)
            same(Decimal(case["expect"][1]), got[1])
        else:
            same(case["expect"][1:], list(got[1:]))
    for kind in ("int16", "uint16", "int32", "uint32", "float32"):
        same({k for k in kinds if k[0] == kind} >= {(kind, x) for x in ("value", "invalid",
                                                                         "out_of_range")}, True)
    same(kinds >= {("bit", "enum"), ("bcd16", "invalid"), ("string", "text"), ("string", "invalid")}, True)
    same({json.loads(x)["item"]["type"] for x in run("--random", "50", "--types", "bcd16")}, {"bcd16"})


if __name__ == "__main__":
    sys.exit(main(globals()))
