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
# Seconds; on a quiet machine they need 110, 30, 155, 45, 90, 45, 35, 50.
SCENARIOS = {"raw": 320, "bonded": 180, "spp": 420, "glucose": 240, "oximeter": 300,
             "several": 240, "passkey": 240, "enrol": 240}
MENDED = ("several",)  # need btvirt with its handles mended
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


class Missing(Exception):
    pass


def prepare(what):
    """Has rig.sh make something; what it says."""
    done = subprocess.run([RIG, what], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Missing(done.stderr.strip() or f"rig.sh {what}: exit status {done.returncode}")
    return done.stdout.strip()


def boot(tap, scenario, build):
    """One guest: passes its TAP lines on, numbered."""
    more = [prepare("emulator")] if scenario in MENDED else []
    out = f"{build}/bluez/{scenario}"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    before = tap.count
    env = {"RIG_TIMEOUT": str(SCENARIOS[scenario]), "RIG_MEM": "768", **os.environ, "RIG_OUT": out}
    trouble = ""
    with subprocess.Popen(
            [RIG, "run", "/usr/bin/python3", f"{REPOSITORY}/tests/bluez/{scenario}.py", build, *more],
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
    for scenario in scenarios:
        try:
            prepare("setup")
            boot(tap, scenario, build)
        except Missing as reason:
            tap.skip(scenario, str(reason))
    return tap.end()


sys.exit(main())
