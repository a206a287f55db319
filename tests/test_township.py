#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small township (tests/sim/township.py) for several seeds: the daemon's rooms and the model answer the same,
and nothing is filed under a wrong resident. Prints TAP. Arguments, if any, are seeds.

`make test-township` runs a whole one.
"""
import os
import sys
import tempfile

from harness import ROOT, Failure, Tap
from township_test import SCENARIO, SHOWN, Year, short

SEEDS = (1, 2, 3, 4)
RESIDENTS, READINGS = 100, 3000


def nothing_wrong(tap, year, side):
    with tap.case(f"seed {year.seed}: {side.name}: nothing under a wrong resident"):
        if side.trouble:
            raise Failure(side.trouble)
        texts, reasons, count = year.wrong(side)
        if texts:
            raise Failure("\n".join(texts[:SHOWN]))
        nobody = sum(reasons.values())
        if not count or nobody > count // 8:
            raise Failure(f"{nobody} of {count} readings are nobody's: {short(dict(reasons))}")


def checker_sees(tap, year):
    """A checker that cannot fail shows nothing."""
    with tap.case(f"seed {year.seed}: another one's reading is seen"):
        key = next(k for k, real in sorted(year.truth.items()) if
                   (year.sides[0].last_filing().get(k) or {}).get("resident") == real)
        real, year.truth[key] = year.truth[key], "R-somebody-else"
        texts = year.wrong(year.sides[0])[0]
        year.truth[key] = real
        if len(texts) != 1 or real not in texts[0]:
            raise Failure(f"{key} is {real}'s, said was {texts}")


def main():
    tap = Tap()
    built = os.path.exists(SCENARIO)
    for seed in [int(word) for word in sys.argv[1:]] or SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            year = Year(folder, seed, RESIDENTS, READINGS, model_only=not built)
            for side in year.sides:
                nothing_wrong(tap, year, side)
            title = f"seed {seed}: both sides answer the same"
            if not built:
                tap.skip(title, f"{os.path.relpath(SCENARIO, ROOT)} is not built")
                continue
            with tap.case(title):
                if year.troubles():
                    raise Failure("\n".join(year.troubles()))
                texts, count = year.compared()
                if count:
                    raise Failure(f"{count} differences\n" + "\n".join(texts))
            if seed == 1:
                checker_sees(tap, year)
    tap.done()


if __name__ == "__main__":
    main()
