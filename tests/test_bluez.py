#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway against the real Bluetooth stack (`make test-bluez`): boots a QEMU guest for each
scenario in tests/bluez/ and prints its results as TAP. What this machine cannot run is skipped with
a reason; with VITALGATE_BLUEZ=required in the environment that is a failure.

    tests/test_bluez.py [BUILD] [SCENARIO ...]       BUILD: folder of the binaries (build)

Logs of the guests: BUILD/bluez/SCENARIO/. See tests/bluez/rig.sh for more settings.
"""
import os
import shutil
import subprocess
import sys

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RIG = REPOSITORY + "/tests/bluez/rig.sh"
SCENARIOS = {"raw": 320, "bonded": 180, "spp": 420, "glucose": 240}  # seconds; on a quiet machine they need 110, 30, 155
BINARIES = ("vitalgated", "vitalgate", "vitalgate-uplink", "tests/slowdisk.so")
CANNOT = 77


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def result(self, ok, text):
        self.count += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {text}", flush=True)

    def skip(self, name, reason):
        reason = " ".join(reason.split())
        if os.environ.get("VITALGATE_BLUEZ") == "required":
            self.result(False, f"{name}: {reason}")
        else:
            self.result(True, f"{name} # SKIP {reason}")

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def setup():
    """What is missing, or None."""
    done = subprocess.run([RIG, "setup"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return done.stderr.strip() or f"rig.sh setup: exit status {done.returncode}"
    return None


def boot(tap, scenario, build):
    """One guest: passes its TAP lines on, numbered."""
    out = f"{build}/bluez/{scenario}"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    before = tap.count
    env = {"RIG_TIMEOUT": str(SCENARIOS[scenario]), "RIG_MEM": "768", **os.environ, "RIG_OUT": out}
    trouble = ""
    with subprocess.Popen(
            [RIG, "run", "/usr/bin/python3", f"{REPOSITORY}/tests/bluez/{scenario}.py", build],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=env, errors="replace") as rig:
        for line in rig.stdout:
            line = line.rstrip()
            for word, ok in (("ok - ", True), ("not ok - ", False)):
                if line.startswith(word):
                    tap.result(ok, f"{scenario}: {line[len(word):]}")
                    break
            else:
                print(line if line.startswith("#") else "# " + line, flush=True)
                trouble = line.lstrip("# ")
        trouble = rig.stderr.read().strip() or trouble
    if rig.returncode == CANNOT and tap.count == before:
        tap.skip(scenario, trouble)
    elif rig.returncode:
        tap.result(False, f"{scenario}: guest finished (exit status {rig.returncode}) {trouble}")


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY + "/build")
    scenarios = sys.argv[2:] or SCENARIOS
    tap = Tap()
    missing = [b for b in BINARIES if not os.access(f"{build}/{b}", os.X_OK)]
    if missing:
        tap.result(False, f"not built: {' '.join(missing)}")
        return tap.end()
    reason = setup()
    if reason:
        for scenario in scenarios:
            tap.skip(scenario, reason)
        return tap.end()
    for scenario in scenarios:
        boot(tap, scenario, build)
    return tap.end()


sys.exit(main())
