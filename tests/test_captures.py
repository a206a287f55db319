#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of instruments, decoded by the companion program: those of tests/captures against their .expect,
then the public vectors of the shared directory against what their collectors say they mean.

--accept [DRIVER..] writes every .expect that is missing or differs, and shows the difference: read it."""
import csv
import difflib
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "vitalgate"
CAPTURES = ROOT / "tests" / "captures"
SHARED = Path(os.environ.get("VITALGATE_SHARED", ROOT.parent / "shared"))
ENVIRONMENT = dict(os.environ, VITALGATE_TABLES=str(ROOT / "config"), LC_ALL="C.UTF-8")

count = failed = 0


def tell(faults, name):
    global count, failed
    count += 1
    failed += bool(faults)
    print(f"{'not ok' if faults else 'ok'} {count} - {name}", flush=True)
    for fault in faults[:20]:
        print("\n".join("# " + line for line in fault.splitlines()))


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}")


def decode(*words):
    """What it prints, as data; a text when it could not."""
    done = subprocess.run([PROGRAM, "decode", *words], capture_output=True, text=True, timeout=60,
                          env=ENVIRONMENT, check=False)
    if done.returncode:
        return f"exit status {done.returncode}: {done.stderr.strip()}"
    return json.loads(done.stdout, parse_float=Decimal)


def differences(found, wanted, where=""):
    """Where two JSON values differ, one sentence each."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [fault for key in sorted(found.keys() | wanted.keys())
                for fault in differences(found.get(key, "nothing"), wanted.get(key, "nothing"),
                                         f"{where}.{key}")]
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [fault for i, (a, b) in enumerate(zip(found, wanted))
                for fault in differences(a, b, f"{where}[{i}]")]
    same = found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
    return [] if same else [f"{where}: found {found}, expected {wanted}"]


def check_capture(path):
    """The faults of one capture."""
    expect = path.with_suffix(".expect")
    if not expect.exists():
        return [f"{path.name}: has no {expect.name}"]
    wanted = json.loads(expect.read_text(encoding="utf-8"), parse_float=Decimal)
    found = decode("--capture", str(path))
    if isinstance(found, str):
        return [f"{path.name}: {found}"]
    return [f"{path.name}: {fault}" for fault in differences(found, wanted)]


def drivers():
    listed = subprocess.run([PROGRAM, "decode"], capture_output=True, text=True, check=True,
                            env=ENVIRONMENT, timeout=60).stdout
    return [line.split()[0] for line in listed.splitlines() if line[:1].strip()]


def check_drivers():
    for driver in drivers():
        captures = sorted((CAPTURES / driver).glob("*.cap"))
        faults = [fault for path in captures for fault in check_capture(path)]
        faults += [f"{path.name}: has no .cap" for path in (CAPTURES / driver).glob("*.expect")
                   if not path.with_suffix(".cap").exists()]
        tell(faults or ([] if captures else ["no captures"]),
             f"{driver}: {len(captures)} captures decode as expected")
    strangers = {path.name for path in CAPTURES.iterdir()} - set(drivers())
    tell([f"{name}: no such driver" for name in sorted(strangers)],
         "captures belong to a driver")


# --- public vectors

def known_tests():
    with open(ROOT / "config" / "local_codes.csv", encoding="utf-8", newline="") as f:
        rows = csv.DictReader(line for line in f if not line.startswith("#"))
        return {row["local"].lower(): row["kind"] for row in rows if row["driver"] == "lis01"}


def check_analyser(vector):
    found = decode("lis01", "0", vector["hex"])
    wanted = dict(vector["expected"])
    if isinstance(found, str):
        return [found]
    if "record" in wanted:  # the result record itself: test, value and unit stand in it
        fields = wanted["record"].split("|")
        wanted.update(test=fields[2].split("^")[-1], value=fields[3], unit=fields[4])
    kind = known_tests().get(wanted.get("test", "").lower())
    faults = []
    for result in ("malformed", "out_of_sequence"):
        faults += differences(found["results"][result], 0, result)
    if kind is None:  # a test that the tables do not know: nothing is guessed, nothing is lost
        records = len(wanted.get("frame_numbers", [1]))
        faults += differences(found["results"]["unsupported"], records, "unsupported")
        return faults + differences(found["readings"], [], "readings")
    if len(found["readings"]) != 1:
        return faults + [f"expected one reading, found {found}"]
    reading = found["readings"][0]
    value = reading["values"].get(kind, {})
    faults += differences(value.get("value"), Decimal(str(wanted["value"])), kind)
    faults += differences(value.get("unit"), wanted["unit"], "unit")
    if "time" in wanted:
        faults += differences(reading["device_time"], wanted["time"], "device_time")
    if "patient" in wanted:  # there, and never shown
        faults += differences(reading.get("patient"), True, "patient")
        if wanted["patient"] in json.dumps(found, default=str):
            faults.append("the patient field is in the output")
    if wanted.get("flag") == "N":
        faults += differences(reading["flags"], [], "flags")
    if "sample" in wanted:
        faults += differences(reading.get("notes", {}).get("specimen"), wanted["sample"], "specimen")
    return faults


def check_vectors(name, chosen, check, title):
    path = SHARED / "vectors" / name
    if not path.exists():
        skip(title, "no shared data")
        return
    vectors = [v for v in json.loads(path.read_text(encoding="utf-8")) if chosen(v)]
    faults = [f"{v['id']}: {fault}" for v in vectors for fault in check(v)]
    tell(faults or ([] if vectors else ["no vector was chosen"]), f"{title}: {len(vectors)} vectors")


# --- accept

def accept_capture(path):
    """Makes the .expect of one capture what it decodes to now; whether it could."""
    expect = path.with_suffix(".expect")
    found = decode("--capture", str(path))
    if isinstance(found, str):
        print(f"{path.relative_to(ROOT)}: {found}", file=sys.stderr)
        return False
    old = expect.read_text(encoding="utf-8") if expect.exists() else ""
    if old and not differences(found, json.loads(old, parse_float=Decimal)):
        return True
    new = json.dumps(found, indent=2, ensure_ascii=False, default=float) + "\n"
    expect.write_text(new, encoding="utf-8")
    name = str(expect.relative_to(ROOT))
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True),
                                               name if old else "/dev/null", name))
    return True


def accept(chosen):
    done = [accept_capture(path) for driver in chosen or drivers()
            for path in sorted((CAPTURES / driver).glob("*.cap"))]
    return 0 if all(done) else 1


def main():
    check_drivers()
    check_vectors("serial.json", lambda v: v["id"].startswith("astm-"), check_analyser,
                  "public analyser messages")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(accept(sys.argv[2:]) if sys.argv[1:2] == ["--accept"] else main())
