#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables in config/: their form, their references to each other, and every conversion computed
a second time with fractions. Runs from anywhere."""

import csv
import datetime
import os
import random
import re
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config"
SHARED = Path(os.environ.get("VITALGATE_SHARED", ROOT.parent / "shared"))
FILLS = ["visit_date", "bp", "bp_left", "bp_right", "last", "height", "bmi", "heart_rate", "fasting",
         "other_glucose", "aux", "next_visit", "class", "referral", "measures"]
WS = re.compile(r"DE\d\d\.\d\d\.\d\d\d\.\d\d")
OK, RANGE, OVERFLOW = 0, -34, -75  # -ERANGE, -EOVERFLOW


class Skip(Exception):
    pass


def read(name, folder=CONFIG):
    with open(folder / name, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(line for line in f if not line.startswith("#")))


def kinds():
    return {row["kind"]: row for row in read("codes.csv")}


def check_shape():
    """No field lost or too many, no blanks around, a version."""
    for name in ("codes", "units", "local_codes", "forms", "residents.example"):
        text = (CONFIG / f"{name}.csv").read_text(encoding="utf-8")
        assert "\t" not in text and "\r" not in text and text.endswith("\n"), name
        assert name.startswith("residents") or text.startswith("# version: "), name
        rows = list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))
        for row in rows:
            assert len(row) == len(rows[0]), f"{name}: {row}"
            assert all(field == field.strip() for field in row), f"{name}: {row}"


def check_codes():
    seen = set()
    for row in read("codes.csv"):
        kind = row["kind"]
        assert re.fullmatch(r"[a-z0-9_.]+", kind) and kind not in seen, kind
        seen.add(kind)
        assert row["name_zh"] and row["name_en"] and row["source"] and row["confidence"], kind
        assert not row["ws_de"] or WS.fullmatch(row["ws_de"]), kind
        assert not row["mdc"] or row["mdc"].isdigit(), kind
        assert not row["loinc"] or luhn(row["loinc"]), kind
        assert row["decimals"] in "0123" and row["decimals"], kind
        assert bool(row["min"]) == bool(row["max"]) and bool(row["ucum"]) == bool(row["family"])
        # what no public table knows is ours and carries no public code
        public = row["ws_de"] or row["mdc"] or row["loinc"]
        assert row["confidence"] != "project" or not public, kind
        assert not kind.startswith("env.") or row["confidence"] == "project", kind
        if row["min"]:
            low, high = Fraction(row["min"]), Fraction(row["max"])
            places = 10 ** int(row["decimals"])
            assert low < high and (low >= 0 or kind == "env.temp"), kind
            assert (low * places).denominator == (high * places).denominator == 1, kind
        if "recalled" in row["source"] or "says" in row["source"]:
            assert re.search("recalled|CONFLICT", row["confidence"]), kind


def luhn(code):
    """LOINC part numbers end in a check digit (LOINC Users' Guide, appendix C)."""
    digits, check = code.split("-")
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return (10 - total % 10) % 10 == int(check)


def check_references():
    known = kinds()
    families = {row["family"] for row in known.values()} - {""}
    for row in read("units.csv"):
        assert row["family"] in families and row["source"], row
        if row["add"] and row["family"] == "hba1c":  # NGSP = IFCC / d + 2.15 = (IFCC + 2.15 d) / d
            assert Fraction(row["add"]) == Fraction("2.15") * Fraction("10.929"), row
            assert Fraction(row["divide"]) == Fraction("10.929"), row
    for row in read("local_codes.csv"):
        assert row["kind"] in known and row["source"] and row["local"], row
        assert (ROOT / "drivers" / f"{row['driver']}.c").exists(), row
    for row in read("forms.csv"):
        for kind in row["kinds"].split():
            assert kind in known, row
    # Kinds that are never a person's blood value must not be reachable from a form or a test name.
    barred = {"glu.isf", "glu.control"}
    used = {row["kind"] for row in read("local_codes.csv")}
    for row in read("forms.csv"):
        used |= set(row["kinds"].split())
    assert not used & barred


def check_driver_kinds():
    """Quantities that drivers name are in the vocabulary."""
    known = kinds()
    found = set()
    for path in sorted((ROOT / "drivers").glob("*.c")):
        for kind in re.findall(r'\.kind = "([^"]+)",\s*\.value', path.read_text("utf-8")):
            assert kind in known, f"{path.name}: {kind}"
            found.add(kind)
    assert found, "no driver names a kind"


def check_forms():
    forms = {}
    for row in read("forms.csv"):
        forms.setdefault(row["form"], []).append(row)
        assert row["device_fillable"] in ("y", "n"), row
        assert row["label_zh"] and row["label_en"] and row["source"], row
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["key"]), row
        assert all(WS.fullmatch(code) for code in row["ws_de"].split()), row
        assert row["device_fillable"] == "y" or not row["kinds"], row
        assert row["fill"] in ["", *FILLS], row
        assert (row["fill"] in FILLS[:12]) == (row["device_fillable"] == "y"), row
    assert set(forms) == {"hypertension_followup_v3", "t2dm_followup_v3",
                          "elderly_health_check_65plus", "copd_followup_2024plus"}
    for form, rows in forms.items():
        assert [int(row["order"]) for row in rows] == list(range(1, len(rows) + 1)), form
        keys = [row["key"] for row in rows]
        assert len(set(keys)) == len(keys), form
        never = {row["key"]: row["device_fillable"] for row in rows}
        for key in ("visit_way", "classification", "doctor_signature", "referral", "complication",
                    "referral_result"):
            assert never[key] == "n", f"{form}: {key}"
        assert never.get("symptoms", "n") == "n", form
        for key in ("visit_date", "next_visit_date"):
            assert key in keys, f"{form}: {key}"


def check_fills():
    """The rules that the table names are those that the program knows, each of them used."""
    known = re.findall(r"\[FILL_\w+\] = \"(\w*)\"", (ROOT / "daemon/followup.c").read_text("utf-8"))
    assert known[0] == "" and sorted(known[1:]) == sorted(FILLS), known
    assert {row["fill"] for row in read("forms.csv")} == set(FILLS) | {""}
    for row in read("forms.csv"):
        by_arm = {"bp_left": "bp_left", "bp_right": "bp_right"}
        assert row["fill"] == by_arm.get(row["key"], row["fill"]), row
        if row["fill"] == "fasting":
            assert row["kinds"] == "glu.fasting", row
        if row["fill"] == "heart_rate":
            assert "hr" not in row["kinds"].split(), row  # a strap's


def check_ws_elements():
    """Only elements that forms and codes use; a kind fits the element that prints it."""
    known = kinds()
    rows = {row["ws_de"]: row for row in read("ws_elements.csv")}
    used = {code for row in read("forms.csv") for code in row["ws_de"].split()}
    used |= {row["ws_de"] for row in known.values()}
    assert rows.keys() <= used, rows.keys() - used
    for code, row in rows.items():
        assert WS.fullmatch(code) and row["name"] and row["source"] and row["confidence"], row
        found = re.fullmatch(r"N(\d*)(?:(\.\.)(\d+))?(?:,(\d))?", row["format"])
        for kind in known.values() if found else ():
            if kind["ws_de"] != code:
                continue
            decimals, longest = int(found[4] or 0), int(found[3] or found[1])
            assert int(kind["decimals"]) == decimals, (kind["kind"], row)
            for end in (kind["min"], kind["max"]):
                text = f"{Fraction(end).limit_denominator(1000).__float__():.{decimals}f}"
                assert int(found[1] or 0) <= len(text) <= longest, (kind["kind"], text, row)


def check_pressures():
    """Means of a week are whole numbers of mm[Hg] in daemon/home_week.c, which does not see this table."""
    known = kinds()
    assert known["bp.sbp"]["decimals"] == known["bp.dbp"]["decimals"] == "0"
    assert "#define PRESSURE_DECIMALS 0\n" in (ROOT / "daemon/home_week.c").read_text("utf-8")


def check_roster():
    rows = read("residents.example.csv")
    assert list(rows[0]) == ["token", "birth_date", "sex", "programmes", "populations", "conditions", "setting", "doctor",
                             "team", "chain", "signed_on", "valid_from", "valid_to", "owner"]
    programmes = set()
    for row in rows:
        assert re.fullmatch(r"R-\d{4}", row["token"]), row
        assert re.fullmatch(r"D-\d{4}", row["doctor"]), row
        assert row["sex"] in ("M", "F", "")
        assert re.fullmatch(r"\d{4}(-\d\d-\d\d)?|\d+-\d+@\d{4}-\d\d-\d\d", row["birth_date"]), row
        if row["valid_from"]:
            assert datetime.date.fromisoformat(row["valid_from"]) <= datetime.date.fromisoformat(row["valid_to"])
        else:
            datetime.date.fromisoformat(row["signed_on"])
        programmes |= set(row["programmes"].split(";"))
    assert programmes == {"hypertension", "t2dm", "copd", "elderly"}
    assert len({row["token"] for row in rows}) == len(rows)


def shared(name):
    if not (SHARED / "codes" / name).exists():
        raise Skip("no shared data")
    return read(name, SHARED / "codes")


def check_facts_codes():
    """Every code number of ours is one of the shared table's for the same kind. What is not in it names the public
    list that it was read in, or is the project's own and has none."""
    facts = {row["kind"]: row for row in shared("codes.csv")}
    for kind, row in kinds().items():
        if kind not in facts:
            coded = row["ws_de"] or row["mdc"] or row["loinc"]
            assert not coded if row["confidence"] == "project" else "S-" in row["source"], kind
            continue
        assert row["confidence"] != "project", kind
        for ours, theirs in (("ws_de", "ws_de"), ("mdc", "mdc_code"), ("loinc", "loinc")):
            allowed = facts[kind][theirs].split("|") + [""]
            assert row[ours] in allowed, f"{kind}: {row[ours]} is none of {allowed}"
        assert row["ucum"] in (facts[kind]["ucum"], ""), kind
        if "recalled" in facts[kind]["confidence"]:
            assert "recalled" in row["confidence"], kind


def check_facts_forms():
    """Every field of ours is one of the shared form's, in its order; what is not in it says "project" or which variant
    has it. The elderly check and COPD are split into single fields."""
    facts = {}
    for row in shared("forms.csv"):
        facts.setdefault(row["form"], []).append(row)
    of_kinds = {row["ws_de"] for row in kinds().values()}
    for form, theirs in facts.items():
        rows = [row for row in read("forms.csv") if row["form"] == form]
        their_ws = {code for row in theirs for code in WS.findall(row["ws_de"])} | of_kinds
        assert {code for row in rows for code in row["ws_de"].split()} <= their_ws, form
        at = 0
        for row in rows:
            if "project" in row["source"]:
                continue
            label = row["label_zh"].split()[0].replace("随访方式", "方式")
            while label not in theirs[at]["field"]:
                at += 1
                assert at < len(theirs), f"{form}: {row['label_zh']}"
        assert at == len(theirs) - 1, form


def check_facts_elements():
    """Format, as far as anybody has read it, and name are the shared table's."""
    facts = {row["ws_de"]: row for row in shared("ws_elements.csv")}
    for row in read("ws_elements.csv"):
        theirs = facts[row["ws_de"]]
        assert row["name"] == theirs["name_zh"] and row["unit"] == theirs["unit"], row
        asked = row["format"].rstrip("?")
        assert asked in theirs["format"] or theirs["format"].startswith("as "), row
        if "recalled" in theirs["format"].split("/")[-1] or "?" in theirs["format"]:
            assert row["format"].endswith("?"), row


def check_facts_ranges():
    """No alert limit lies outside the plausible range: it could never be reached."""
    known = kinds()
    seen = 0
    for row in shared("thresholds.csv"):
        kind = {"hr": "bp.pulse", "glu.any": "glu.random"}.get(row["kind"], row["kind"])
        if kind in known and re.fullmatch(r"\d+(\.\d+)?", row["value"]):
            value = Fraction(row["value"])
            assert Fraction(known[kind]["min"]) < value < Fraction(known[kind]["max"]), row
            seen += 1
    assert seen > 20


def run_c(lines):
    """The answers of tests/codes_probe.c, built by make or here."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(os.environ.get("VITALGATE_BUILD", "")) / "tests/codes_probe"
        if "VITALGATE_BUILD" not in os.environ or not probe.exists():
            probe = Path(folder) / "codes_probe"
            sources = [ROOT / "tests/codes_probe.c", ROOT / "daemon/codes.c", ROOT / "daemon/csv.c"]
            command = [os.environ.get("CC", "cc"), "-std=gnu17", "-O1", "-D_GNU_SOURCE",
                       f"-I{ROOT}/include", f"-I{ROOT}/daemon", "-o", probe, *sources]
            try:
                subprocess.run(command, check=True)
            except FileNotFoundError:
                raise Skip("no C compiler")
        done = subprocess.run([probe.resolve(), CONFIG], input="\n".join(lines),
                              stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stdout
        return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def expected(code, unit, mantissa, exponent):
    """(result, milli, decimals) from the tables alone, by fractions."""
    value = Fraction(mantissa) * Fraction(10) ** exponent
    if unit:
        value = ((value + Fraction(unit["add"] or 0)) * Fraction(unit["multiply"] or 1)
                 / Fraction(unit["divide"] or 1))
    decimals = int(code["decimals"])
    scaled = abs(value) * 10 ** decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    if whole > (2 ** 63 - 1) // 10 ** (3 - decimals):
        return (OVERFLOW, 0, 0)
    milli = (-whole if value < 0 else whole) * 10 ** (3 - decimals)
    outside = code["min"] and not (
        Fraction(code["min"]) * 1000 <= milli <= Fraction(code["max"]) * 1000)
    return (RANGE if outside else OK, milli, decimals)


def check_conversions():
    draw = random.Random(20261121)
    units = read("units.csv")
    lines, wanted = [], []

    def ask(code, unit, mantissa, exponent):
        name = (unit["unit"] if unit else code["ucum"]).replace(" ", "")
        lines.append(f"{code['kind']} {mantissa} {exponent} {name}")
        wanted.append(expected(code, unit, mantissa, exponent))

    for code in kinds().values():
        if not code["family"]:
            continue
        for unit in [None] + [u for u in units if u["family"] == code["family"]]:
            # whole numbers and tenths as instruments show them ...
            for n in range(0, 700, 1 if unit and unit["divide"] else 5):
                ask(code, unit, n, 0)
                ask(code, unit, n, -1)
            # ... and random ones: magnitudes, signs, precisions, and exact halves
            for _ in range(200):
                exponent = draw.randrange(-18, 4)
                ask(code, unit, draw.randrange(-10 ** draw.randrange(1, 15),
                                               10 ** draw.randrange(1, 15)), exponent)
            if unit:
                factor = Fraction(unit["multiply"] or 1) / Fraction(unit["divide"] or 1)
                for n in range(100):
                    half = Fraction(2 * n + 1, 2 * 10 ** int(code["decimals"]))
                    value = half / factor - Fraction(unit["add"] or 0)
                    if (10 ** 18) % value.denominator == 0 and abs(value) < 9:
                        ask(code, unit, int(value * 10 ** 18), -18)
                    elif (10 ** 12) % value.denominator == 0:
                        ask(code, unit, int(value * 10 ** 12), -12)
    found = run_c(lines)
    assert len(found) == len(wanted)
    for line, got, want in zip(lines, found, wanted):
        assert got == want, f"{line}: found {got}, expected {want}"
    print(f"# {len(lines)} conversions, {sum(1 for w in wanted if w[0] == OK)} in range")


def main():
    checks = [(name[6:], check) for name, check in globals().items() if name.startswith("check_")]
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        try:
            check()
            print(f"ok {number} - {name}")
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}")
        except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as why:
            failed += 1
            print(f"not ok {number} - {name}")
            print(f"# {type(why).__name__}: {why}")
    print(f"1..{len(checks)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
