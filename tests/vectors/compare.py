# SPDX-License-Identifier: GPL-3.0-or-later
"""What `vitalgate decode` makes of bytes, and its comparison with what a collector of vectors says. A check
returns faults, one sentence each."""
import csv
import json
import os
import subprocess
import tempfile
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "vitalgate"
ENVIRONMENT = dict(os.environ, VITALGATE_TABLES=str(ROOT / "config"), LC_ALL="C.UTF-8")


# --- decoding

class Failed(Exception):
    """It could not be decoded."""


seen = []  # what decode() found since the last vector


def decode(driver, lines, head=()):
    """What the driver makes of the lines of a capture."""
    with tempfile.NamedTemporaryFile("w", suffix=".cap") as f:
        f.write("\n".join([*head, f"device {driver}", *lines]) + "\n")
        f.flush()
        done = subprocess.run([PROGRAM, "decode", "--capture", f.name], capture_output=True,
                              text=True, timeout=60, env=ENVIRONMENT, check=False)
    if done.returncode:
        raise Failed(f"exit status {done.returncode}: {done.stderr.strip()}")
    seen.append(json.loads(done.stdout, parse_float=Decimal))
    return seen[-1]


def heard(channel, *values):
    return [f"channel {channel}", *(f"< {value}" for value in values)]


def shown(channel, value, seconds=30):
    """A running measurement that says the same for so long, once a second."""
    return [f"channel {channel}", *(f"< {value}\nwait 1000" for _ in range(seconds))]


# --- numbers

def codes():
    with open(ROOT / "config" / "codes.csv", encoding="utf-8", newline="") as f:
        return {row["kind"]: row for row in csv.DictReader(line for line in f if line[0] != "#")}


CODES = codes()
# Into the unit of the code table. Facts of the collectors, not read from config/units.csv.
FACTORS = {"mmHg": Decimal(1), "kPa": Decimal("7.50062"), "mg/dL": 1 / Decimal("18.016"),
           "kg/L": Decimal(100000) / Decimal("18.016"), "mol/L": Decimal(1000), "kg": Decimal(1),
           "lb": Decimal("0.45359237"), "%": Decimal(1), "/min": Decimal(1), "Cel": Decimal(1),
           "Ohm": Decimal(1), "ms": Decimal(1)}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def converted(kind, value, unit):
    """As the code table has it: half away from zero to its decimals."""
    exact = Decimal(str(value)) * FACTORS[unit]
    return exact.quantize(Decimal(1).scaleb(-int(CODES[kind]["decimals"])), ROUND_HALF_UP)


def plausible(kind, value, unit):
    row = CODES[kind]
    return Decimal(row["min"]) <= converted(kind, value, unit) <= Decimal(row["max"])


# --- comparing

class Vector:
    """What is expected; remembers what was looked at."""

    def __init__(self, entry):
        self.id, self.hex = entry["id"], entry["hex"]
        self.note = entry.get("note", "")
        self.error = entry.get("expect_error", False)
        self.expected = entry["expected"]
        self.looked_at = set()

    def __contains__(self, key):
        return key in self.expected

    def __getitem__(self, key):
        self.looked_at.add(key)
        return self.expected[key]

    def get(self, key, otherwise=None):
        self.looked_at.add(key)
        return self.expected.get(key, otherwise)

    def pass_over(self, *keys):
        """Bytes that were right, or that drivers do not read, show nothing."""
        self.looked_at.update(keys)

    def forgotten(self):
        return [f"\"{key}\" was not compared" for key in self.expected
                if key not in self.looked_at]


def same(found, wanted, what):
    return [] if found == wanted else [f"{what}: found {found}, expected {wanted}"]


def types(found):
    return [event["type"] for event in found["events"]]


def no_reading(found, result=None, event=None):
    """Nothing of it may become a reading; it has this class, and was told as this event."""
    faults = same(found["readings"], [], "readings")
    if result:
        faults += same(found["results"][result] > 0, True, f"a result {result}")
    if event:
        faults += same(types(found), [event], "events")
    return faults


def malformed(found):
    return no_reading(found, "malformed") + same(found["results"]["nothing"], 0, "results nothing")


def one_reading(found, values, unsaid=(), **others):
    """One reading with these {kind: (value, unit)}; what no person has is left out, and flagged. Kinds
    of which the vector says nothing may be there, and no others."""
    if len(found["readings"]) != 1:
        return [f"expected one reading, found {found}"]
    reading = found["readings"][0]
    good = {kind: pair for kind, pair in values.items() if plausible(kind, *pair)}
    faults = same(sorted(reading["values"].keys() - set(unsaid)), sorted(good), "kinds")
    for kind, pair in good.items():
        value = reading["values"].get(kind, {})
        faults += same(value.get("value"), converted(kind, *pair), kind)
        faults += same(value.get("unit"), CODES[kind]["ucum"], f"unit of {kind}")
    flags = set(reading["flags"]) - {"unauthenticated"}  # of the link, not of the bytes
    if "flags" in others and len(good) < len(values):
        others["flags"] = set(others["flags"]) | {"implausible_part"}
    for key, wanted in others.items():
        is_flags = key == "flags"
        faults += same(flags if is_flags else reading.get(key), wanted, key)
    return faults


def judged(found, values, unsaid=(), **others):
    """The same, or refused when the first value is none that a person has."""
    first = next(iter(values))
    if not plausible(first, *values[first]):
        return no_reading(found, "implausible")
    return one_reading(found, values, unsaid, **others)


def minutes_after(text, minutes):
    """Civil time, without a zone."""
    return (datetime.fromisoformat(text) + timedelta(minutes=minutes)).isoformat()
