#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-township`: a scripted year (tests/sim/township.py) through the daemon's rooms (build/tests/scenario)
and through the model (tests/sim/followup_model.py), compared question by question, and both against who was
really measured.

    township_test.py [--seed 1] [--residents 3000] [--readings 100000] [--model-only] [--keep FOLDER]
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time

from harness import BUILD, PYTHON, ROOT, SIM

SCENARIO = BUILD + "/tests/scenario"
SHOWN = 20


def differences(left, right, where=""):
    """Texts (where, both sides) of what is not the same."""
    if isinstance(left, dict) and isinstance(right, dict):
        return [text for name in sorted({**left, **right}) for text in
                (differences(left[name], right[name], f"{where}.{name}") if name in left and name in right else
                 [f"{where}.{name}: daemon {short(left.get(name, '-'))}, model {short(right.get(name, '-'))}"])]
    if isinstance(left, list) and isinstance(right, list) and all(isinstance(x, dict) for x in left + right):
        return list_differences(left, right, where)
    same = type(left) is type(right) and left == right
    return [] if same else [f"{where}: daemon {short(left)}, model {short(right)}"]


def list_differences(left, right, where):
    """Items of a due list, each found by what it is about; then their order."""
    def named(items):
        return {f"{i.get('list')}/{i.get('resident')}/{i.get('form')}": i for i in items}

    texts = differences(named(left), named(right), where)
    if not texts and left != right:
        texts = [f"{where}: the same items in another order"]
    return texts


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + ".."


class Side:
    """One program's answers."""

    def __init__(self, name, program, scenario, out):
        self.name, self.out = name, out
        began = time.monotonic()
        with open(scenario, encoding="utf-8") as source, open(out, "w", encoding="utf-8") as told:
            done = subprocess.run(program, stdin=source, stdout=told, stderr=subprocess.PIPE, text=True, check=False)
        self.seconds = time.monotonic() - began
        self.trouble = f"{name}: exit status {done.returncode}: {done.stderr.strip()[-2000:]}" if done.returncode else ""

    def answers(self):
        with open(self.out, encoding="utf-8") as f:
            for text in f:
                yield json.loads(text)

    def last_filing(self):
        found = {}
        for answer in self.answers():
            if answer["ask"] == "filing":
                found = answer["answer"]
        return found


class Year:
    """A generated year and what came of it."""

    def __init__(self, folder, seed, residents, readings, model_only=False):
        self.scenario, truth = folder + "/scenario.jsonl", folder + "/truth.json"
        self.seed = seed
        subprocess.run([PYTHON, SIM + "/township.py", "--seed", str(seed), "--residents", str(residents), "--readings",
                        str(readings), "--out", self.scenario, "--truth", truth], check=True,
                       stderr=subprocess.DEVNULL)
        with open(truth, encoding="utf-8") as f:
            self.truth = json.load(f)
        self.sides = [Side("model", [PYTHON, SIM + "/followup_model.py"], self.scenario, folder + "/model.jsonl")]
        if not model_only:
            self.sides.append(Side("daemon", [SCENARIO], self.scenario, folder + "/daemon.jsonl"))
        self.asked = []
        self.people = set()
        with open(self.scenario, encoding="utf-8") as f:
            for number, text in enumerate(f, 1):
                if '"ask"' in text:
                    line = json.loads(text)
                    if "ask" in line:
                        self.asked.append((number, {k: v for k, v in line.items() if k != "keys"}))

    def troubles(self):
        return [side.trouble for side in self.sides if side.trouble]

    def compared(self):
        """Texts of the first differences, and how many there are."""
        model, daemon = (side.answers() for side in self.sides)
        texts, count = [], 0
        for (number, question), theirs, ours in zip(self.asked, daemon, model):
            if theirs == ours:
                continue
            found = differences(theirs, ours)
            count += len(found)
            what = " ".join(str(v) for k, v in question.items() if k not in ("at", "expect"))
            texts += [f"line {number}, {question['at']}, {what}: {text}" for text in found[:SHOWN - len(texts)]]
        for side in self.sides:
            told = sum(1 for _ in side.answers())
            if told != len(self.asked):
                count += 1
                texts.append(f"{side.name}: {len(self.asked)} questions, {told} answers")
        return texts, count

    def wrong(self, side):
        """(texts of readings under a wrong resident, reasons of those that are under nobody, all readings)."""
        texts, reasons, filing = [], collections.Counter(), side.last_filing()
        for key, real in self.truth.items():
            if key not in filing:
                texts.append(f"{key}: {real}'s, it is not there")
                continue
            found = filing[key]
            if found["resident"] is None:
                reasons[found["evidence"]] += 1
            elif found["resident"] != real:
                texts.append(f"{key}: {real}'s, filed under {found['resident']} by {found['evidence']}")
        return texts, reasons, len(filing)


def report(year, side):
    texts, reasons, count = year.wrong(side)
    nobody = sum(reasons.values())
    print(f"{side.name}: {count} readings, {side.seconds:.1f} s; {nobody} unassigned "
          f"({100 * nobody / max(1, count):.1f} %): " + ", ".join(f"{why} {n}" for why, n in reasons.most_common()))
    print(f"{side.name}: {len(texts)} under a wrong resident")
    for text in texts[:SHOWN]:
        print("    " + text)
    return not texts and count


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--residents", type=int, default=3000)
    options.add_argument("--readings", type=int, default=100000)
    options.add_argument("--model-only", action="store_true", help="without the daemon's rooms")
    options.add_argument("--keep", help="a folder for the scenario and the answers")
    chosen = options.parse_args()
    if not chosen.model_only and not os.path.exists(SCENARIO):
        sys.exit(f"{os.path.relpath(SCENARIO, ROOT)} is not built: make {os.path.relpath(SCENARIO, ROOT)}")
    with tempfile.TemporaryDirectory() as folder:
        if chosen.keep:
            os.makedirs(chosen.keep, exist_ok=True)
        year = Year(chosen.keep or folder, chosen.seed, chosen.residents, chosen.readings, chosen.model_only)
        print(f"seed {chosen.seed}: {chosen.residents} residents, {len(year.truth)} readings, "
              f"{len({q['visit'] for _, q in year.asked if q['ask'] == 'visit'})} visits, {len(year.asked)} questions")
        good = True
        for trouble in year.troubles():
            print(trouble)
            good = False
        for side in year.sides:
            if not side.trouble:
                good = report(year, side) and good
        if good and not chosen.model_only:
            texts, count = year.compared()
            print(f"{count} differences" if count else "no difference")
            print("".join(f"    {text}\n" for text in texts), end="")
            good = not count
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
