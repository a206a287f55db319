#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of ECG files against a model of it: 1,000 generated and damaged files, and 1,400 with one field at
an edge, whose objects must be equal to the last sample. The model (sim/ecg_model.py) knows nothing of the daemon,
the writer nothing of the model. Of warnings and of what is rejected the code is compared, not the detail. Prints TAP.

Arguments: --save FOLDER writes the files that are read differently; other words select tests by name.
VITALGATE_SEED=word: other generated files. What both implement is written down in sim/ECG.md."""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "sim"))
import ecg_damage  # noqa: E402
import ecg_edges  # noqa: E402
import ecg_model  # noqa: E402
import ecg_writer  # noqa: E402
import ecg_writer_other  # noqa: E402

PROGRAM = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "vitalgate-ecg"
SAMPLES = Path(os.environ.get("VITALGATE_SHARED", ROOT.parent / "shared")) / "samples"
SEED = os.environ.get("VITALGATE_SEED", "")      # other files than those of every day
GROUPS = {  # format: writer, kinds of damage, how many files of each
    "scp": (ecg_writer.scp, ecg_damage.SCP, {
        "none": 170, "flipped": 30, "spliced": 20, "shortened": 20, "record length": 15, "flipped, repaired": 85,
        "numbers, repaired": 75, "fields, repaired": 110, "spliced, repaired": 45, "section cut, repaired": 40,
        "sections missing": 20, "large samples": 10, "pointers, repaired": 40, "section CRC": 20}),
    "aecg": (ecg_writer_other.aecg, ecg_damage.AECG, {"none": 50, "bytes": 25, "values": 60, "doctype": 15}),
    "ecg90a": (ecg_writer_other.ecg90a, ecg_damage.ECG90A, {
        "none": 40, "bytes": 40, "spliced": 15, "shortened": 10, "header": 25, "rows": 20}),
}


def files(form, kind):
    """(name, bytes, what was written, what is expected of it or None) of one group."""
    writer, damages, counts = GROUPS[form]
    for k in range(counts[kind]):
        rng = random.Random(f"{form} {kind} {k}{SEED}")
        written, truth = writer(rng)
        data = damages[kind](rng, written) if kind != "none" else written
        yield (f"{form} {kind} {k}", data if isinstance(data, bytes) else data.bytes(), written,
               truth if kind == "none" else None)


# --- comparing

def once(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key twice in {[key for key, _ in pairs]}")
    return found


def program(data):
    done = subprocess.run([PROGRAM, "--samples", "all"], input=data, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        return {"exit status": done.returncode, "stderr": done.stderr.decode(errors="replace")}
    try:
        return json.loads(done.stdout.decode(), object_pairs_hook=once)
    except ValueError as e:
        return {"bad JSON": str(e)}


def code(warning):
    return warning.split(":")[0]


def comparable(found):
    found = {key: value for key, value in found.items() if key != "detail"}
    found["warnings"] = sorted(map(code, found.get("warnings", [])))
    return found


def differences(got, want, path=""):
    if isinstance(got, dict) and isinstance(want, dict):
        for key in sorted(got.keys() | want.keys()):
            if key not in want:
                yield f"{path}.{key}: got {short(got[key])}, want nothing"
            elif key not in got:
                yield f"{path}.{key}: got nothing, want {short(want[key])}"
            else:
                yield from differences(got[key], want[key], f"{path}.{key}")
    elif isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        for k, (a, b) in enumerate(zip(got, want)):
            yield from differences(a, b, f"{path}[{k}]")
    elif isinstance(got, bool) != isinstance(want, bool) or not equal(got, want):
        yield f"{path}: got {short(got)}, want {short(want)}"


def equal(got, want):
    if isinstance(got, float) or isinstance(want, float):
        return isinstance(got, (int, float)) and isinstance(want, (int, float)) and abs(got - want) < 1e-9
    return got == want


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:60]} ... {text[-30:]}"


def same(got, want, what):
    found = list(differences(comparable(got), comparable(want)))
    if found:
        raise AssertionError(f"{what}: " + "; ".join(found[:4]))


# --- tests

class Known:
    """What the model says of all files, computed once."""

    def __init__(self):
        self.all = {}

    def group(self, form, kind):
        if (form, kind) not in self.all:
            self.all[form, kind] = [(*file, ecg_model.read(file[1])) for file in files(form, kind)]
        return self.all[form, kind]

    def every(self, form):
        return [file for kind in GROUPS[form][2] for file in self.group(form, kind)]


def test_model_gives_back_what_was_written(known):
    for form in GROUPS:
        for name, _, _, truth, want in known.group(form, "none"):
            same(want, truth, name)


def test_model_reads_the_synthetic_samples(_known):
    truth = json.loads((SAMPLES / "syn-truth.json").read_text())
    found = [path for path in sorted(SAMPLES.glob("syn-*.scp"))]
    assert len(found) >= 7, found
    for path in found:
        got = ecg_model.read(path.read_bytes())
        stored = {lead["name"]: lead["samples"] for lead in got["leads"] if not lead["derived"]}
        assert stored == dict(zip(truth["leads"], truth["samples"])), path
        assert (got["interval_us"], got["uv_per_lsb"], got["warnings"]) == (2000, truth["avm_nV"] / 1000, []), path
        assert got["patient"]["last_name"] == ("张三" if "gb2312" in path.name else "Test"), got["patient"]


def test_model_agrees_with_other_readers(_known):
    for path in sorted((SAMPLES / "ref").glob("*.json")):
        entry = json.loads(path.read_text())
        got = ecg_model.read((SAMPLES / (path.stem + ".scp")).read_bytes())
        want = entry["own_reader"]
        if want["warn"]:
            assert "rejected" in got or got["format"] == "unknown", path
            continue
        for lead, other in zip(got["leads"], want["leads"], strict=False):
            x = lead["samples"]
            assert (lead["name"], len(x), sum(x), min(x), max(x), x[:20]) == \
                tuple(other[key] for key in ("name", "n", "sum", "min", "max", "first20")), (path, lead["name"])
        names = {"I", "II", "III", "aVR", "aVL", "aVF"} | {lead["name"] for lead in want["leads"]}
        assert {lead["name"] for lead in got["leads"]} == names, path
        assert got["patient"]["id"] == want["patient"]["id"], path
        assert got["interval_us"] == want["sec6"]["dt_us"] and got["uv_per_lsb"] * 1000 == want["sec6"]["avm_nV"]
        assert got["acquired_at"][:19] == f"{want['date']}T{want['time']}", path
        if "sec7" in want:
            seven, measured = want["sec7"], got["measurements"]
            assert [measured.get(key) for key in ("p", "pr", "qrs", "qt")] == \
                [seven["derived"][key] for key in ("P_dur", "PR", "QRS", "QT")], path
            assert list(measured["axis"].values()) == [seven["beats"][0][k + "_axis"] for k in ("P", "QRS", "T")]
            assert (measured.get("hr", 0), measured["qtc"]) == (seven["vent_rate"], seven["QTc"]), path
        lines = [x["text"].strip() for x in want.get("sec8", {"statements": []})["statements"]]
        assert got.get("interpretation", {"lines": []})["lines"] == lines, path


def test_program_agrees_about_the_samples(_known):
    for path in sorted(SAMPLES.glob("*.*")):
        if path.suffix in (".scp", ".xml"):
            data = path.read_bytes()
            same(program(data), ecg_model.read(data), path.name)


SHARED = (test_model_reads_the_synthetic_samples, test_model_agrees_with_other_readers,
          test_program_agrees_about_the_samples)


def test_files_reach_what_they_are_meant_to(known):
    """Of the 1,000 files of every day: every way to be rejected, every warning, every kind of table, often enough."""
    every = [file for form in GROUPS for file in known.every(form)]
    assert len(every) == 1000
    assert len([file for file in every if " none " not in file[0]]) >= 500
    assert sum(1 for makers in ecg_edges.ALL.values() for maker in makers for _ in maker()) >= 1400
    formats = Counter(want["format"] for *_, want in every)
    rejected = Counter((want["format"], want["rejected"]) for *_, want in every if "rejected" in want)
    warnings = Counter((want["format"], w if w.startswith("waveform") else code(w))
                       for *_, want in every for w in want["warnings"])
    features = Counter(x for _, _, written, *_ in known.every("scp") for x in written.features)
    decoded = Counter(x for _, _, written, _, want in known.every("scp") for x in written.features
                      if any(lead["n"] for lead in want.get("leads", [])))
    keys = Counter(key for *_, want in every for part in ("patient", "device", "filters", "measurements")
                   for key in want.get(part, {}))
    missing = []
    if SEED:
        return
    for what, counted, least in (
            ("format", formats, {"scp": 600, "aecg": 120, "ecg90a": 100, "unknown": 5}),
            ("rejected", rejected, {("scp", "truncated"): 20, ("scp", "record_crc"): 30, ("scp", "structure"): 20,
                                    ("scp", "section_crc"): 5, ("aecg", "xml"): 10, ("aecg", "doctype"): 5,
                                    ("ecg90a", "structure"): 10}),
            ("warning", warnings, {("scp", x): n for x, n in {
                "section_crc": 5, "section1_cut": 5, "bad_date": 30, "charset_guessed": 30, "no_rhythm": 10,
                "no_lead_lengths": 5, "huffman_code": 8, "sample_range": 5, "section8_cut": 5, "status": 20,
                "waveform_unsupported: bimodal": 3, "waveform_unsupported: difference": 3,
                "waveform_unsupported: interval": 3, "waveform_unsupported: section 2": 10,
                "waveform_unsupported: section 3": 5, "waveform_unsupported: no section 3": 2,
                "waveform_unsupported: section 4": 10, "waveform_unsupported: lead lengths": 5,
                "waveform_unsupported: too long": 2}.items()}),
            ("warning", warnings, {("aecg", "bad_date"): 10, ("aecg", "origin"): 10, ("aecg", "scale"): 3,
                                   ("aecg", "sample_range"): 1, ("ecg90a", "bad_date"): 10,
                                   ("ecg90a", "off_scale"): 5, ("ecg90a", "lead_off"): 1, ("ecg90a", "charset_guessed"): 20}),
            ("feature", decoded, {
                **{f"table {x}": 20 for x in ("none", "zero", "single", "default", "custom", "switch")},
                **{f"difference {x}": 80 for x in range(3)}, **{f"start {x}": 40 for x in range(3)}, "beats": 50}),
            ("feature", features, {
                "no SCPECG": 40, "padding": 100, "pointers in any order": 100, "sections in any order": 100,
                "manufacturer section": 100, "section 7": 200, "section 8": 200, "section 11": 100,
                **{f"charset {x}": 4 for x in ("gb2312", "gb18030", "latin-1", "utf-16-le", "euc_kr", "iso8859_5",
                                               "latin-1 guessed", "utf-8 guessed", "gb18030 guessed")}}),
            ("key", keys, {x: 50 for x in (
                "id", "last_name", "first_name", "sex", "birth_date", "age", "height", "weight", "manufacturer",
                "model", "serial", "software", "mains_hz", "high_pass_hz", "low_pass_hz", "notch_hz", "artifact", "baseline",
                "hr", "rr", "pr", "p", "qrs", "qt", "qtc", "qtc_formula", "axis")})):
        missing += [f"{what} {key}: {counted[key]} of {n}" for key, n in least.items() if counted[key] < n]
    assert not missing, "; ".join(missing)


def read_all(group, save):
    """Files (name, bytes, object of the model) through the program."""
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(program, [data for _, data, _ in group]))
    faults = []
    for (name, data, want), got in zip(group, answers):
        found = list(differences(comparable(got), comparable(want)))
        if found:
            faults.append(f"{name} ({len(data)} bytes, {data[:24].hex()}...): " + "; ".join(found[:4]))
            if save:
                Path(save, re.sub(r"[^\w.]+", "-", name)).write_bytes(data)
    if faults:
        raise AssertionError(f"{len(faults)} of {len(group)} files are read differently\n" + "\n".join(faults[:6]))


def groups(save):
    """{title: test} of everything that goes through the program."""
    found = {}
    for form, (_, _, counts) in GROUPS.items():
        for kind, n in counts.items():
            found[f"{n} files {form}, damage: {kind}"] = lambda known, form=form, kind=kind: read_all(
                [(name, data, want) for name, data, _, _, want in known.group(form, kind)], save)
    for form, makers in ecg_edges.ALL.items():
        for maker in makers:
            found[f"files {form}, edges: {maker.__name__}"] = lambda _, maker=maker: read_all(
                [(f"{maker.__name__} {name}", data, ecg_model.read(data)) for name, data in maker()], save)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save")
    parser.add_argument("names", nargs="*")
    asked, known = parser.parse_args(), Known()
    tests = {name[5:].replace("_", " "): run for name, run in globals().items() if name.startswith("test_")}
    tests |= groups(asked.save)
    tests = {name: run for name, run in tests.items() if not asked.names or any(x in name for x in asked.names)}
    failed = 0
    for number, (name, run) in enumerate(tests.items(), 1):
        if run in SHARED and not SAMPLES.is_dir():
            print(f"ok {number} - {name} # skip no shared data")
            continue
        try:
            run(known)
            print(f"ok {number} - {name}")
        except Exception as e:
            failed += 1
            print(f"not ok {number} - {name}")
            text = str(e) if isinstance(e, AssertionError) and str(e) else traceback.format_exc()
            print("".join(f"# {line[:600]}\n" for line in text.split("\n")), end="")
        sys.stdout.flush()
    print(f"1..{len(tests)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
