# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand-written cases: JSON lines, one scenario behind each line that names a case, run through a program that
answers one line for each question. See tests/followup/README.md and tests/alerts/README.md.
"""
import glob
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from harness import ROOT, Failure, Tap


def missing(expected, found, where="answer", each=False):
    """What of `expected` is not in `found`: objects member by member, everything else whole; with `each`, lists
    element by element. Texts."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [text for name, value in expected.items() for text in
                (missing(value, found[name], f"{where}.{name}", each) if name in found else
                 [f"{where}.{name}: expected {json.dumps(value, ensure_ascii=False)}, it is not there"])]
    if each and isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [text for n, (one, other) in enumerate(zip(expected, found))
                for text in missing(one, other, f"{where}[{n}]", each)]
    same = type(expected) is type(found) and expected == found
    return [] if same else [f"{where}: expected {json.dumps(expected, ensure_ascii=False)}, "
                            f"found {json.dumps(found, ensure_ascii=False)}"]


def cases(folder):
    """(file, {"case", "rule"}, [lines])."""
    for path in sorted(glob.glob(f"{ROOT}/tests/{folder}/*.jsonl")):
        with open(path, encoding="utf-8") as f:
            for text in f:
                if not text.strip():
                    continue
                line = json.loads(text)
                if "case" in line:
                    head, lines = line, []
                    yield os.path.basename(path).removesuffix(".jsonl"), head, lines
                else:
                    lines.append(line)


def chosen(folder):
    """Those whose names hold one of the arguments; without any, all."""
    return [case for case in list(cases(folder)) if not sys.argv[1:] or
            any(word in case[0] + " " + case[1]["case"] for word in sys.argv[1:])]


def answers(program, lines):
    done = subprocess.run(program, input="".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines),
                          capture_output=True, text=True, timeout=300, cwd=ROOT)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}: {done.stderr.strip()[-2000:]}")
    return [a for a in map(json.loads, done.stdout.splitlines()) if "ask" in a]


def answered(program, chosen_cases):
    """The answers of each case, from one process for all; where that ends early, from one for each."""
    try:
        got = iter(answers(program, [line for _, _, lines in chosen_cases for line in lines]))
    except Failure:
        return [None] * len(chosen_cases)
    return [[next(got, {}) for line in lines if "ask" in line] for _, _, lines in chosen_cases]


def check(lines, found, each=False):
    asked = [line for line in lines if "ask" in line]
    if len(asked) != len(found):
        raise Failure(f"{len(asked)} questions, {len(found)} answers")
    wrong = []
    for line, answer in zip(asked, found):
        if answer.get("ask") != line["ask"]:
            wrong.append(f"{line['at']}: asked {line['ask']}, answered {answer.get('ask')}")
        elif "expect" in line:
            wrong += [f"{line['at']} {line['ask']}: {text}"
                      for text in missing(line["expect"], answer["answer"], each=each)]
    if wrong:
        raise Failure("\n".join(wrong))


def run(folder, sides, each=False):
    """`sides`: name: program. A side that is not there is a failure of each case."""
    tap = Tap()
    these = chosen(folder)
    with ThreadPoolExecutor(len(sides)) as pool:
        found = dict(zip(sides, pool.map(lambda p: answered(p, these) if os.path.exists(p[-1]) else
                                         [None] * len(these), sides.values())))
    for n, (name, head, lines) in enumerate(these):
        for side, program in sides.items():
            with tap.case(f"{side}: {name}: {head['case']}"):
                if not os.path.exists(program[-1]):
                    raise Failure(f"{os.path.relpath(program[-1], ROOT)} is not there")
                all_at_once = found[side][n]
                check(lines, answers(program, lines) if all_at_once is None else all_at_once, each)
    tap.done()
