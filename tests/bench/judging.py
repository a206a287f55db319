# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to judge a reading with the rules of config/alerts.yaml, and with two hundred, of three thousand residents who
measured before (bench/judging.c)."""
import os
import re
import shutil
import statistics
import subprocess
import tempfile

from ends import OUT
from harness import ROOT

RULES, RESIDENTS, DAYS, READINGS = 200, 3000, 30, 30000
AIM_US = 20


def more(n):
    """Rules beside ours, of all types that look at one kind: a county's own, for its own groups."""
    kinds = (("bp.sbp", "at_least", 150, 1), ("bp.dbp", "at_least", 95, 1), ("bp.pulse", "at_least", 105, 1),
             ('"glu.*"', "at_least", 9, 0.1), ("spo2", "at_most", 94, -1), ("temp", "at_least", 37.5, 0.1))
    groups = ("population: [poverty]", "programme: [hypertension]", "age_from: 70", "setting: [home]", "trait: [diabetes]",
              "not: [pregnant]")
    types = ("", "type: repeated, k: 2, n: 3, within_s: 86400, ", "type: RISE, by: 20, ")
    for i in range(n):
        kind, side, limit, step = kinds[i % len(kinds)]
        kind_of = types[i // len(kinds) % len(types)].replace("RISE", "fall" if side == "at_most" else "rise")
        yield (f"  - {{id: county-{i}, {kind_of}condition: county-{i % len(kinds)}, kind: {kind}, {side}: "
               f"{limit + step * (i // len(kinds) % 20):g}, {groups[i // 7 % len(groups)]}, severity: notice, zh: 县, en: county, "
               "source: bench}\n")


def rule_file(folder):
    with open(ROOT + "/config/alerts.yaml", encoding="utf-8") as f:
        text = f.read()
    there = len(re.findall(r"^  - \{id: [\w-]+, .*severity: ", text, re.M))
    head, tail = text.split("\nadvice:\n")
    path = folder + "/alerts.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + "\n" + "".join(more(RULES - there)) + "\nadvice:\n" + tail)
    return path


def measure(rules, rounds):
    folder = tempfile.mkdtemp(prefix="vitalgate-judging-")
    try:
        os.mkdir(folder + "/store")
        done = subprocess.run([OUT + "/judging", folder + "/store", rules or rule_file(folder), str(RESIDENTS), str(DAYS),
                               str(READINGS), str(rounds)], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        rows = [[float(n) for n in line.split()] for line in done.stdout.splitlines()]
        return [statistics.median(part) for part in zip(*rows)]
    finally:
        shutil.rmtree(folder)


def judging(table, options):
    table.head("judging: a person, limits, rules and history of one reading; CPU of it (floor: one row of the resident)")
    for rules in (ROOT + "/config/alerts.yaml", None):
        floor, us, asked, n = measure(rules, 3 if options.quick else 7)
        table.add(f"{n:.0f} rules, {RESIDENTS} residents", "us", floor, us,
                  note=f"{100 * asked:.0f} % of the readings asked for a history")
        if not rules:
            table.aim(f"judging a reading, {n:.0f} rules, {RESIDENTS} residents", "us", AIM_US, us)
