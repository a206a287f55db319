#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Public bytes of Bluetooth instruments (vectors/ble.json of the shared directory), decoded by the drivers
that are compiled in and compared, field by field, with what their collectors say they mean.

A row of ROWS says which drivers read a characteristic, how the bytes get to them, and what they must make of
them. A row whose drivers are not compiled in is shown as not covered, and counts from the day they are. What no row
covers is listed with its reason: nothing is left out in silence. Every field of `expected` is either compared or
passed over by name. Numbers that the code table takes for no person's must be refused, whatever they decode
to. Prints TAP.

Arguments, if any: ids of vectors, whose decoding is shown."""
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from vectors import makers, services
from vectors.compare import ENVIRONMENT, PROGRAM, ROOT, Failed, Vector, decode, heard, seen

SHARED = Path(os.environ.get("VITALGATE_SHARED", ROOT.parent / "shared"))


def drivers():
    """{name: its channels} of the drivers that are compiled in."""
    listed = subprocess.run([PROGRAM, "decode"], capture_output=True, text=True, check=True,
                            env=ENVIRONMENT, timeout=60).stdout.splitlines()
    names = [line.split()[0] for line in listed if line[:1].strip()]
    channels = [line.split()[1:] for line in listed if line.lstrip().startswith("channels:")]
    return dict(zip(names, channels, strict=True))


# --- the table

ALL = object()  # every driver with this channel
ROWS = [
    # service, characteristic: regular expressions of the whole; drivers; channel (None: any); check
    ("1810", "2A35", ["bt_blp"], "2a35", services.pressure),
    ("1808", "2A18", ["bt_glucose"], "2a18", services.glucose),
    ("1808", "2A34", ["bt_glucose"], "2a34", services.context),
    ("1808", "2A52", ALL, "2a52", services.records),
    ("181F", "2AA7", ["bt_cgm"], "2aa7", services.cgm_measurement),
    ("181F", "2AA8", ["bt_cgm"], "2aa8", services.cgm_checked("2aa8")),
    ("181F", "2AA9", ["bt_cgm"], "2aa9", services.cgm_status),
    ("181F", "2AAA", ["bt_cgm"], "2aaa", services.cgm_start),
    ("181F", "2AAB", ["bt_cgm"], "2aab", services.cgm_checked("2aab")),
    ("1822", "2A5E", ["bt_plx"], "2a5e", services.plx_spot),
    ("1822", "2A5F", ["bt_plx"], "2a5f", services.plx_stream),
    ("1822", "2A60", ["bt_plx"], "2a60", services.plx_features),
    ("181D", "2A9D", ["bt_scale"], "2a9d", services.weight),
    ("181B", r"2A9C \(Mi scale, own layout\)", ["bt_scale"], "2a9c", makers.mi_composition),
    ("1809", "2A1C", ["bt_thermometer"], "2a1c", services.temperature),
    ("180D", "2A37", ["bt_heart_rate"], "2a37", services.heart),
    ("180D", "2A38", ["bt_heart_rate"], "2a38", services.unshown("2a38", "location")),
    ("181[BD].*", "Mi .*", ["mi_scale"], None, makers.mi_advert),
    ("54C21000-.*", ".*", ["mightysat"], "54c21002", makers.mightysat),
    ("CDEACB80-.*", "CDEACB81-.*", ["jumper_oximeter"], "cdeacb81", makers.oximeter("cdeacb81")),
    ("FF00.*", "FF02 notify", ["contec_bt"], "ff02", makers.oximeter("ff02")),
    ("14839AC4-.*", ".*0x17", ["o2ring"], "0734594a", makers.oximeter("0734594a", makers.o2ring_frame)),
    ("1805", "2A08", ALL, "2a08", services.clock("2a08")),
    ("1805", "2A2B", ALL, "2a2b", services.clock("2a2b")),
    ("180F", "2A19", ALL, "2a19", services.battery),
    ("-", "SFLOAT", ["bt_cgm"], "2aa7", services.sfloat),
    ("-", "FLOAT", ["bt_thermometer"], "2a1c", services.float32),
]
# What no driver reads, and why. A row above wins.
NOT_READ = [
    ("1810", "2A36", "the pressure while the cuff inflates is no measurement"),
    (r"1810 \(Omron\)", "2A52", "records of Omron's own numbering"),
    ("180A", "2A23", "the identity of a device, which the daemon reads (ble_uid)"),
    ("181F", "2AAC", "the control point that starts and stops sessions is never used"),
    ("CDEACD80-.*", ".*", "no driver for monitors of Yonker"),
    ("FE95.*", ".*", "encrypted advertisements of Xiaomi, with a key of the owner"),
    ("FFF0.*", ".*", "no driver for the own protocols of Microlife and CareSens"),
    ("Omron vendor.*", ".*", "no driver for Omron's own protocol"),
    ("adv manufacturer data.*", ".*", "no driver for what Omron advertises"),
]

# Notes of collectors which say that nothing of it may be stored, whatever it decodes to.
REFUSED = re.compile("refuse|must not be stored|do not store|no reading|not a live value|absurd|implausible")


def fits(row, entry):
    return re.fullmatch(row[0], entry["service"]) and re.fullmatch(row[1], entry["characteristic"])


def row_of(table, entry):
    return next((row for row in table if fits(row, entry)), None)


def drivers_of(row, present):
    """Those of a row that are compiled in and have its channel."""
    _, _, names, channel, _ = row
    return [name for name, channels in present.items()
            if (names is ALL or name in names) and (channel is None or channel in channels)]


def check(row, entry, driver):
    v = Vector(entry)
    seen.clear()
    try:
        faults = row[4](driver, v)
    except (Failed, KeyError, IndexError, TypeError) as e:
        faults = [f"cannot be compared: {e!r}"]
    if not v.error and not faults:
        faults = v.forgotten()
    if REFUSED.search(v.note) and any(found["readings"] for found in seen):
        faults.append(f"a reading in spite of the note \"{v.note}\"")
    return [f"{entry['id']} {driver}: {fault}" for fault in faults]


def checked(entries, present):
    """{row index: (vectors, faults)} of what a driver covers, and the rest."""
    done, rest = {}, []
    for entry in entries:
        row = row_of(ROWS, entry)
        names = drivers_of(row, present) if row else []
        if not names:
            rest.append(entry)
            continue
        n, faults = done.setdefault(ROWS.index(row), (0, []))
        for name in names:
            faults += check(row, entry, name)
        done[ROWS.index(row)] = (n + 1, faults)
    return done, rest


def why_not(entry):
    row = row_of(ROWS, entry)
    if row:
        return "no driver yet: " + (" ".join(row[2]) if row[2] is not ALL else row[3])
    row = row_of(NOT_READ, entry)
    return row[2] if row else None


def show(entries, present):
    for entry in entries:
        row = row_of(ROWS, entry)
        for driver in drivers_of(row, present) if row else []:
            print(entry["id"], driver, json.dumps(entry["expected"]), entry.get("note", ""))
            print("   ", json.dumps(decode(driver, heard(row[3], entry["hex"])), default=str))
            print("   ", check(row, entry, driver) or "as expected")


def main():
    path = SHARED / "vectors" / "ble.json"
    title = "public bytes of Bluetooth instruments"
    if not path.exists():
        print(f"ok 1 - {title} # SKIP no shared data\n1..1")
        return 0
    entries, present = json.loads(path.read_text(encoding="utf-8")), drivers()
    if sys.argv[1:]:
        show([e for e in entries if e["id"] in sys.argv[1:]], present)
        return 0
    done, rest = checked(entries, present)
    count = failed = 0
    for index, row in enumerate(ROWS):
        if index not in done:
            continue
        n, faults = done[index]
        count += 1
        failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {count} - {row[0]} {row[1]}: {n} vectors decode as "
              f"expected with {' '.join(drivers_of(row, present))}")
        print("".join(f"# {fault}\n" for fault in faults[:20]), end="")
    reasons = Counter((e["service"], e["characteristic"], why_not(e)) for e in rest)
    for (service, characteristic, why), n in sorted(reasons.items(), key=str):
        print(f"# not covered: {n} of {service} {characteristic}: {why}")
    nobody = [e["id"] for e in rest if why_not(e) is None]
    count += 1
    failed += bool(nobody)
    total = sum(n for n, _ in done.values())
    print(f"{'not ok' if nobody else 'ok'} {count} - {total} of {len(entries)} vectors are covered, "
          f"{len(rest)} are listed with a reason")
    print("".join(f"# {name}: no row and no reason\n" for name in nobody), end="")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
