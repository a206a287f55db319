#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A nurse's morning at one station, with the programs and instruments that she would have: the resident is checked in,
three pressures and one glucose are measured, the glucose is marked as fasting, the form is looked at, the resident leaves,
and the doctor confirms. What is printed is how many commands and how many seconds that took her.

The instruments measure as fast as a simulator does: between two pressures lie seconds and not minutes, so the table says
here that one second is enough. All other numbers are those of config/.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import Site, Tap, ble_device, cuff_device, holds, same, wait_until  # noqa: E402

tap = Tap()
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PRESSURES = ((152, 94), (164, 96), (150, 92))  # the second is 12 above the first: a third is wanted


class Nurse:
    """Types commands, reads what is printed, and counts."""

    def __init__(self, site):
        self.site, self.commands, self.seconds = site, [], 0.0

    def types(self, *words, stdin=None, status=0):
        begin = time.monotonic()
        done = subprocess.run([harness.BUILD + "/vitalgate", "--config", self.site.config, "--lang", "zh", *words],
                              capture_output=True, text=True, timeout=60, input=stdin, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": Site.ZONE})
        self.seconds += time.monotonic() - begin
        self.commands.append(" ".join(words))
        same(done.returncode, status, f"{words}: {done.stderr}{done.stdout}")
        return done.stdout if status == 0 else done.stderr


def tables(folder):
    shutil.copytree(ROOT + "/config", folder)
    path = folder + "/followup.csv"
    with open(path, encoding="utf-8") as f:
        text = f.read()
    text, n = re.subn(r"(?m)^bp_visit,gap_s,60,", "bp_visit,gap_s,1,", text)
    assert n == 1, "followup.csv has no bp_visit,gap_s"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return folder


def filed(site, count):
    """The gateway has so many readings of this morning; the newest first."""
    def readings():
        return site.cli("readings", "--limit", "20")["readings"]
    holds(wait_until(lambda: len(readings()) >= count), f"not {count} readings")
    return readings()


def rows(text):
    """The lines of a form by their label."""
    return {re.split(r"  +", line.strip())[0]: line for line in text.splitlines() if line.startswith("  ")}


def form_of(site, form):
    return next(v for v in site.cli("followup", "R-0003", "--form", form)["visits"])


def pressure_record(high, low):
    return {"sys": high, "dia": low, "map": low + 20, "pulse": 72, "unit": "mmHg", "time": "now", "user": None, "status": 0,
            "class": "normal"}


def measure(site, name, record, count):
    site.control(name, "record " + json.dumps(record))
    return filed(site, count)


def morning(site, nurse):
    begin = time.monotonic()
    with tap.case("the resident is checked in, by one command, with a visit for each programme", site):
        shown = nurse.types("checkin", "desk-1", "R-0003", "--way", "1", "--by", "N-0001")
        holds("R-0003" in shown and "高血压" in shown and "2型糖尿病" in shown, shown)
    with tap.case("three pressures and one glucose, and nothing to be typed", site):
        for n, (high, low) in enumerate(PRESSURES, 1):
            measure(site, "cuff-1", pressure_record(high, low), n)
            if n == 2:
                shown = nurse.types("followup", "R-0003", "--form", "htn")
                holds("请测第三次" in shown, f"the form does not ask for a third: {shown}")
            time.sleep(1.1)
        got = measure(site, "meter-1", {"what": "normal", "value": "6.8", "unit": "mmol/L", "type": 1, "site": 1,
                                        "status": 0}, 4)
        same({(r["resident"], r["identity"]["evidence"], r["identity"]["grade"]) for r in got},
             {("R-0003", "checkin", "station")}, "whose they are")
        same({r["time"]["trust"] for r in got} <= {"corrected", "live"}, True, "trusted")
    with tap.case("the glucose is marked as fasting", site):
        shown = nurse.types("annotate", "last@desk-1", "空腹", "--by", "N-0001")
        holds("空腹血糖值" in shown and "R-0003" in shown, shown)
    with tap.case("the form is looked at: proposed, with what is still open", site):
        shown = rows(nurse.types("followup", "R-0003", "--form", "htn"))
        pressure = next(v for k, v in shown.items() if "血压" in k and "左" not in k and "右" not in k)
        holds("155/94" in pressure and "〔建议〕" in pressure, pressure)  # (152+164+150)/3, (94+96+92)/3
        holds("未达标" in shown["是否达标"] and "____" in shown["药物不良反应"], shown)
        shown = rows(nurse.types("followup", "R-0003", "--form", "t2dm"))
        fasting = next(v for k, v in shown.items() if "空腹" in k)
        holds("〔建议〕" in fasting, fasting)
    with tap.case("what only a person can know is answered", site):
        for form in ("htn", "t2dm"):
            nurse.types("visit", "set", "R-0003", "--form", form, "adverse_reaction=1", "complication=1", "--by", "N-0001")
    with tap.case("the resident leaves", site):
        nurse.types("checkout", "desk-1", "--by", "N-0001")
    return time.monotonic() - begin


def next_one(site, nurse):
    """At once: a cuff takes half a minute, so whose pressure it is may be in doubt for no longer."""
    with tap.case("the next one sits down within half a minute: it may be either's pressure until a person says", site):
        nurse.types("checkin", "desk-1", "R-0001", "--by", "N-0001")
        got = measure(site, "cuff-1", pressure_record(128, 82), 5)[0]
        same((got["resident"], got["identity"]["evidence"]), (None, "between_two_checkins"), "whose it is")
        nurse.types("assign", "last@desk-1", "R-0001", "--by", "N-0001")
        same(site.cli("readings", "--limit", "1")["readings"][0]["resident"], "R-0001", "whose it is now")
        nurse.types("checkout", "desk-1", "--by", "N-0001")


def afternoon(site, doctor):
    with tap.case("a nurse does not confirm", site):
        said = doctor.types("visit", "confirm", "R-0003", "--form", "htn", "--by", "N-0001", status=1)
        holds("医生" in said, said)
        same(form_of(site, "htn")["state"], "closed", "state")
    doctor.commands.clear()
    doctor.seconds = 0.0
    with tap.case("the doctor confirms", site):
        for form in ("htn", "t2dm"):
            doctor.types("visit", "confirm", "R-0003", "--form", form, "--by", "D-0002")
            same(form_of(site, form)["state"], "confirmed", "state")
        htn = form_of(site, "htn")
        fields = {f["key"]: f for f in htn["fields"]}
        same((fields["bp"]["systolic"], fields["bp"]["diastolic"]), (155, 94), "pressure")
        same(len(fields["bp"]["readings"]), 3, "readings that it rests on")
        same(fields["adverse_reaction"]["by"], "person", "who answered")
        same(htn["proposed"]["class"], 2, "class")
        shown = doctor.types("followup", "R-0003", "--form", "htn").split("\n", 1)[1]
        holds("〔已确认〕" in shown and "〔建议〕" not in shown and "〔本人填写〕" in shown, shown)
    with tap.case("the platform has both visits, confirmed", site):
        def confirmed():
            return {v["form"] for v in site.received("up/followup").values() if v.get("state") == "confirmed"}
        holds(wait_until(lambda: len(confirmed()) == 2), f"confirmed: {confirmed()}")
        same({v["resident"] for v in site.received("up/followup").values() if v.get("state") == "confirmed"}, {"R-0003"}, "residents")
    with tap.case("the platform has the glucose as fasting, as the next revision", site):
        def glucose():
            return [r for r in site.readings("meter-1") if "glu.fasting" in r["values"]]
        holds(wait_until(glucose), "no fasting glucose at the platform")
        same((glucose()[0]["revision"], glucose()[0]["notes"]["meal"]), (2, "fasting"), "revision and note")
        same(site.events("platform", "invalid", "conflict"), [], "what the platform could not take")


def main():
    devices = [cuff_device("cuff-1", station="desk-1"), ble_device("meter-1", "bt_glucose", station="desk-1")]
    folder = harness.tempfile.mkdtemp(prefix="vitalgate-tables-")
    shutil.rmtree(folder)
    try:
        with Site(devices=devices, tables=tables(folder)) as site:
            site.all()
            site.cli("import", site.roster())
            site.cuff("cuff-1")
            site.peripheral("glucose", "meter-1", "--what", "normal")
            nurse, doctor = Nurse(site), Nurse(site)
            seconds = morning(site, nurse)
            next_one(site, Nurse(site))
            afternoon(site, doctor)
            tap.note(f"nurse: {len(nurse.commands)} commands, {nurse.seconds:.1f} s of them waited for; the visit took "
                     f"{seconds:.1f} s with instruments that measure at once\n"
                     f"doctor: {len(doctor.commands)} commands, {doctor.seconds:.1f} s\n" +
                     "\n".join("  vitalgate " + c for c in nurse.commands + doctor.commands))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
