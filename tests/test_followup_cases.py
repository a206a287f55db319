#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-written cases tests/followup/*.jsonl, through the model tests/sim/followup_model.py and through the
daemon's rooms (build/tests/scenario). Prints TAP, a line for each case and side. Arguments, if any, select
cases by what their names hold.
"""
import glob
import json
import os
import subprocess
import sys

from harness import BUILD, PYTHON, ROOT, SIM, Failure, Tap

SCENARIO = BUILD + "/tests/scenario"
SIDES = {"model": [PYTHON, SIM + "/followup_model.py"], "daemon": [SCENARIO]}


def missing(expected, found, where="answer"):
    """What of `expected` is not in `found`: objects member by member, everything else whole. Texts."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [text for name, value in expected.items() for text in
                (missing(value, found[name], f"{where}.{name}") if name in found else
                 [f"{where}.{name}: expected {json.dumps(value, ensure_ascii=False)}, it is not there"])]
    same = type(expected) is type(found) and expected == found
    return [] if same else [f"{where}: expected {json.dumps(expected, ensure_ascii=False)}, "
                            f"found {json.dumps(found, ensure_ascii=False)}"]


def cases():
    """(file, {"case", "rule"}, [lines])."""
    for path in sorted(glob.glob(ROOT + "/tests/followup/*.jsonl")):
        with open(path, encoding="utf-8") as f:
            for text in f:
                if not text.strip():
                    continue
                line = json.loads(text)
                if "case" in line:
                    head, lines = line, []
                    yield os.path.basename(path), head, lines
                else:
                    lines.append(line)


def check(program, lines):
    done = subprocess.run(program, input="".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines),
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}: {done.stderr.strip()[-2000:]}")
    answers = [json.loads(text) for text in done.stdout.splitlines()]
    asked = [line for line in lines if "ask" in line]
    if len(asked) != len(answers):
        raise Failure(f"{len(asked)} questions, {len(answers)} answers")
    wrong = []
    for line, answer in zip(asked, answers):
        if answer.get("ask") != line["ask"]:
            wrong.append(f"{line['at']}: asked {line['ask']}, answered {answer.get('ask')}")
        elif "expect" in line:
            wrong += [f"{line['at']} {line['ask']}: {text}" for text in missing(line["expect"], answer["answer"])]
    if wrong:
        raise Failure("\n".join(wrong))


def main():
    tap = Tap()
    chosen = [case for case in list(cases()) if not sys.argv[1:] or
              any(word in case[0] + " " + case[1]["case"] for word in sys.argv[1:])]
    for name, head, lines in chosen:
        for side, program in SIDES.items():
            title = f"{side}: {name.removesuffix('.jsonl')}: {head['case']}"
            if side == "daemon" and not os.path.exists(SCENARIO):
                tap.skip(title, f"{os.path.relpath(SCENARIO, ROOT)} is not built")
                continue
            with tap.case(title):
                check(program, lines)
    tap.done()


if __name__ == "__main__":
    main()
