#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public SCP-ECG files of the shared directory, decoded by vitalgate-ecg: sample for sample against what the
synthetic ones were made from, the others against what an independent reader found in them."""
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, ROOT, Skip, Tap, holds, same  # noqa: E402

PROGRAM = BUILD + "/vitalgate-ecg"
SAMPLES = Path(ROOT).parent / "shared" / "samples"

AGES = {1: "a", 2: "mo", 3: "wk", 4: "d", 5: "h"}
HEIGHTS = {1: "cm", 2: "[in_i]", 3: "mm"}
WEIGHTS = {1: "kg", 2: "g", 3: "[lb_av]", 4: "[oz_av]"}
ABSENT = (29999, 29998, 19999, 65535)

# What the fact sheet says of them, and nobody's program.
TOLD = {
    "wa-2017-normal": {"hr": 60, "pr": 167, "qrs": 88, "qt": 386, "qtc": 386, "axis": {"p": 48, "qrs": 48, "t": 49}},
    "wa-2007-12lead-interp": {"hr": 75, "pr": 157, "qrs": 88, "qt": 360, "qtc": 402,
                              "axis": {"p": 29, "qrs": 53, "t": 56}},
    "ecgtoolkit-Example": {"pr": 148, "qrs": 120, "qt": 420, "axis": {"p": 44, "qrs": -61, "t": 86}},
}
STATEMENTS = {"wa-2007-12lead-interp": 10, "wa-2017-normal": 4}


def sample(name):
    path = SAMPLES / name
    if not path.exists():
        raise Skip("no shared data")
    return path.read_bytes()


def decode(data):
    done = subprocess.run([PROGRAM, "--samples", "all"], input=data, capture_output=True, timeout=60, check=False)
    holds(done.returncode == 0 and not done.stderr, f"ended with {done.returncode}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def lead(found, name):
    return next(x for x in found["leads"] if x["name"] == name)


def away(twice):
    """Half of it, halves away from zero."""
    return (abs(twice) + 1) // 2 * (1 if twice > 0 else -1)


def check_derived(found):
    one, two = lead(found, "I")["samples"], lead(found, "II")["samples"]
    for name, formula in {"III": lambda a, b: 2 * (b - a), "aVR": lambda a, b: -a - b,
                          "aVL": lambda a, b: 2 * a - b, "aVF": lambda a, b: 2 * b - a}.items():
        got = lead(found, name)
        if got["derived"]:
            same(got["samples"], [away(formula(a, b)) for a, b in zip(one, two)], name)


def check_patient(found, ref):
    patient, want = found["patient"], ref["patient"]
    for ours, theirs in (("id", "id"), ("last_name", "last"), ("first_name", "first"), ("birth_date", "birth")):
        text = want.get(theirs) or None
        if text and ref["device"]["lang"] == 0x27:  # the other reader took it for Latin-1
            text = text.encode("latin-1").decode("gb18030")
        same(patient.get(ours), text, ours)
    same(patient.get("sex"), {1: "M", 2: "F"}.get(want.get("sex")), "sex")
    for key, units in (("age", AGES), ("height", HEIGHTS), ("weight", WEIGHTS)):
        unit, value = units.get(want.get(key + "_unit")), want.get(key)
        good = unit and value is not None and (value or key == "age")
        same(patient.get(key), {"value": value, "unit": unit} if good else None, key)
    zone = ref.get("tz_min")
    offset = "" if zone is None else f"{zone // 60:+03d}:{zone % 60:02d}"
    same(found["acquired_at"], f"{ref['date']}T{ref['time']}{offset}", "acquired_at")
    datetime.datetime.fromisoformat(found["acquired_at"])


def check_device(found, ref):
    device, want = found["device"], ref["device"]
    strings = want["tail"][1:].split("\0") + [""] * 5
    for key, value in (("model", want["model"]), ("serial", strings[1]), ("software", strings[2]),
                       ("manufacturer", strings[4])):
        same(device.get(key, ""), value.strip(), key)
    same(device.get("mains_hz"), {1: 50, 2: 60}.get(want["mains"]), "mains_hz")
    bits, filters = ref.get("filter_bitmap", 0), found["filters"]
    same(filters.get("notch_hz"), 50 if bits & 2 else 60 if bits & 1 else None, "notch_hz")
    same(filters.get("low_pass_hz"), ref.get("lp_hz") or None, "low_pass_hz")
    high = ref.get("hp_centihz")
    same(filters.get("high_pass_hz"), None if high is None else high / 100, "high_pass_hz")


def check_leads(found, ref):
    stored = [x for x in found["leads"] if not x["derived"]]
    same([x["name"] for x in stored], [x["name"] for x in ref["leads"]], "leads")
    for got, want in zip(stored, ref["leads"]):
        values = got["samples"]
        same((got["n"], len(values)), (want["n"], want["n"]), got["name"])
        same(values[:20], want["first20"], got["name"])
        same((min(values), max(values), sum(values)), (want["min"], want["max"], want["sum"]), got["name"])
        same("truncated" in got, want["n"] < want["n_expected"], got["name"])
    same(found["interval_us"], ref["sec6"]["dt_us"], "interval_us")
    same(found["uv_per_lsb"], ref["sec6"]["avm_nV"] / 1000, "uv_per_lsb")
    check_derived(found)


def check_measurements(found, ref):
    got, want = found["measurements"], ref.get("sec7")
    if not want:
        same(got, {}, "measurements")
        return
    beat, derived = want["beats"][0], want["derived"]
    rr, rate = want["rr_ms"], want["vent_rate"]
    same(got.get("rr"), rr if 0 < rr < 19999 else None, "rr")
    same(got.get("hr"), rate if 0 < rate < 500 else derived["HR_from_RR"], "hr")
    for ours, theirs in (("p", "P_dur"), ("pr", "PR"), ("qrs", "QRS"), ("qt", "QT")):
        same(got.get(ours), derived[theirs], ours)
    same(got.get("qtc"), want["QTc"] if want["QTc"] not in ABSENT else None, "qtc")
    same(got.get("qtc_formula"), {1: "bazett", 2: "hodges"}.get(want["QTc_formula"]), "qtc_formula")
    same(got.get("axis"), {k: beat[k.upper() + "_axis"] for k in ("p", "qrs", "t")}, "axis")


def check_statements(found, ref):
    want = ref.get("sec8")
    if not want:
        holds("interpretation" not in found, found)
        return
    got = found["interpretation"]
    same(got["lines"], [s["text"].strip() for s in want["statements"]], "lines")
    same(got["at"], want["datetime"], "at")
    same(got["status"], ("original", "confirmed", "overread")[want["status"]], "status")


def check_against_reference(name):
    data = sample(name + ".scp")
    ref = json.loads(sample(f"ref/{name}.json"))["own_reader"]
    found = decode(data)
    same((found["format"], found["bytes"]), ("scp", len(data)))
    holds("rejected" not in found, found.get("rejected"))
    same(found["warnings"], ["charset_guessed"] if name.startswith("wa-") else [], "warnings")
    check_patient(found, ref)
    check_device(found, ref)
    check_leads(found, ref)
    check_measurements(found, ref)
    check_statements(found, ref)
    for key, value in TOLD.get(name, {}).items():
        same(found["measurements"].get(key), value, key)
    if name in STATEMENTS:
        same(len(found["interpretation"]["lines"]), STATEMENTS[name], "statements")


def check_truth(name):
    truth = json.loads(sample("syn-truth.json"))
    found = decode(sample(name + ".scp"))
    for key, samples in zip(truth["leads"], truth["samples"]):
        same(lead(found, key)["samples"], samples, key)
    same(found["interval_us"], 1e6 / truth["fs"], "interval_us")
    same(found["uv_per_lsb"], truth["avm_nV"] / 1000, "uv_per_lsb")


def main():
    tap = Tap()
    if not SAMPLES.is_dir():
        tap.skip("public samples", "no shared data")
        tap.done()
    synthetic = sorted(p.stem for p in SAMPLES.glob("syn-*.scp"))
    bad = ("bad-broken-anonymizer", "healforce-prince180d-62")
    for name in sorted(p.stem for p in SAMPLES.glob("*.scp") if p.stem not in bad):
        with tap.case(f"{name} is what another reader found"):
            check_against_reference(name)
    for name in synthetic:
        with tap.case(f"{name} is what it was made from"):
            check_truth(name)
    with tap.case("a name in GB 2312"):
        same(decode(sample("syn-gb2312-name.scp"))["patient"]["last_name"], "张三")
    with tap.case("a record that an anonymizer broke is rejected"):
        found = decode(sample("bad-broken-anonymizer.scp"))
        same((found["format"], found["rejected"], found["warnings"]), ("scp", "record_crc", []))
        holds("patient" not in found and "leads" not in found, found)
    with tap.case("what only has the name of SCP is unknown"):
        found = decode(sample("healforce-prince180d-62.scp"))
        same((found["format"], found["leads"], found["warnings"]),
             ("unknown", [], ["waveform_unsupported: unknown"]))
    with tap.case("padding of XMODEM changes nothing but the length"):
        data = sample("wa-2017-normal.scp")
        padded = decode(data + b"\x1a" * 700)
        same(padded.pop("bytes"), len(data) + 700)
        same(padded, {k: v for k, v in decode(data).items() if k != "bytes"})
    with tap.case("a file that is cut is rejected"):
        data = sample("wa-2017-normal.scp")
        same(decode(data[:-1])["rejected"], "truncated")
    tap.done()


if __name__ == "__main__":
    main()
