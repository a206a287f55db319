#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""End to end: simulated instruments, the real core, uplink and broker, a simulated platform.

What the simulators' ledgers and the platform's ledger say is the truth; the database is looked at
only where nobody else can know. Each function of SITES is one site; the sites run side by side.
VITALGATE_ONLY=name runs one of them.
"""
import contextlib
import glob
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import (PATIENCE_S, Failure, Site, Tap, cuff_device, holds, lab_device, same,  # noqa: E402
                     wait_until)

tap = Tap()
TYPED = "TYPED-7741-NOBODY"  # what somebody keyed in at an instrument: it must not get out


def record(sys_, dia, **more):
    return json.dumps({"sys": sys_, "dia": dia, "map": dia + (sys_ - dia) // 3, "pulse": 72,
                       "unit": "mmHg", "time": "now", **more})


def result(value, test="GLU", unit="mmol/L", **more):
    return json.dumps({"patient": "R-0002", "specimen": "S-1", "test": test, "value": value,
                       "unit": unit, "flag": "N", "status": "F", "time": "now", **more})


def measure(site, name, text):
    """One new measurement; returns its key once the instrument was told that it is received."""
    before = {e["key"] for e in site.events(name, "measured")}
    site.control(name, "record " + text)
    new = wait_until(lambda: [e["key"] for e in site.events(name, "measured")
                              if e["key"] not in before])
    holds(new, f"{name} did not measure {text}")
    holds(wait_until(lambda: told(site, name, new[0])),
          f"{name} was not told that {text} is received: {site.ledger(name)[-4:]}")
    return new[0]


def civil(ago_s):
    """What an analyser's clock showed so many seconds ago."""
    return datetime.fromtimestamp(time.time() - ago_s, ZoneInfo(Site.ZONE)).strftime("%Y%m%d%H%M%S")


def told(site, name, key):
    return any(e["key"] == key for e in site.events(name, "told"))


def delivered(site, device, count, seconds=PATIENCE_S, **want):
    """The platform's readings of a device, once there are `count`."""
    wait_until(lambda: len(site.readings(device, **want)) >= count, seconds)
    got = site.readings(device, **want)
    same(len(got), count, f"readings of {device} {want} at the platform")
    return got


def alert(site, reading, revision=1, seconds=PATIENCE_S, **want):
    """The alert that a reading raised, in one of its revisions."""
    found = wait_until(lambda: site.alert_of(reading, revision, **want), seconds)
    holds(found, f"no alert {want}, revision {revision}, of reading {reading['id']}; there are "
                 f"{[(a['id'], a['revision']) for a in site.received('up/alert').values()]}")
    return found


def shown(site, reading, seconds=PATIENCE_S, **want):
    """The revision of an alert by which a person is shown a reading that joined it."""
    found = wait_until(lambda: site.alert_showing(reading, **want), seconds)
    holds(found, f"no alert {want} shows reading {reading['id']}; there are "
                 f"{[(a['id'], a['revision'], a.get('shown')) for a in site.received('up/alert').values()]}")
    return found


def visits(site, resident, form="hypertension_followup_v3"):
    return [v for v in site.received("up/followup").values()
            if v["resident"] == resident and v["form"] == form]


def filled(visit):
    return {f["key"]: f for f in visit["fields"] if f["filled"]}


def drained(site, seconds=PATIENCE_S):
    if wait_until(lambda: site.outbox() == 0, seconds):
        return
    rows = site.query("SELECT id,lane,kind,hex(uuid),revision,state,tries,next_try FROM outbox")
    raise Failure(f"{len(rows)} rows wait in the outbox: {rows[:5]}")


def nothing_wrong(site):
    """The platform saw neither nonsense nor the same (id, revision) with other content."""
    same([e for e in site.events("platform", "invalid", "conflict")], [], "at the platform")


def device_counts(site, device):
    return next(d["results"] for d in site.cli("devices")["devices"] if d["id"] == device)


# --- one busy clinic


def clinic():
    devices = [cuff_device("cuff-1"), cuff_device("cuff-2"), cuff_device("cuff-3"),
               cuff_device("cuff-4"), cuff_device("cuff-5"), cuff_device("cuff-6", station="desk-1"),
               lab_device("lab-1", "token"), lab_device("lab-2", "ignore"),
               lab_device("lab-3", "sample")]
    with Site(devices=devices, extra="stations:\n  - {id: desk-1}\n") as site:
        site.all()
        site.cli("import", site.roster())
        for words in (("cuff-1", "R-0001"), ("cuff-2", "R-0002", "--slot", "1"),
                      ("cuff-2", "R-0003", "--slot", "2"), ("cuff-4", "R-0005"),
                      ("cuff-5", "R-0004")):
            site.cli("bind", *words, "--from", "2020-01-01")
        clinic_cuff(site)
        clinic_slots(site)
        clinic_unbound(site)
        clinic_out_of_contract(site)
        clinic_faults(site)
        clinic_visit(site)
        clinic_lab(site)
        clinic_typed(site)
        clinic_same_again(site)
        clinic_import(site)
        clinic_ack_offline(site)
        clinic_follow(site)
        with tap.case("clinic: at the end everything is receipted and nothing was wrong", site):
            drained(site)
            nothing_wrong(site)
            same(site.events("platform", "rejected"), [], "rejected")
            for lab in ("lab-1", "lab-2", "lab-3"):
                same(site.events(lab, "error"), [], lab)


def clinic_cuff(site):
    site.cuff("cuff-1")
    with tap.case("cuff: 190/115 reaches the platform with codes, unit and resident", site):
        measure(site, "cuff-1", record(190, 115, user=1))
        r, = delivered(site, "cuff-1", 1)
        same((r["resident"], r["status"], r["kind"]), ("R-0001", "final", "bp"))
        same((r["identity"]["evidence"], r["identity"]["grade"], r["identity"]["in_contract"]),
             ("device_binding", "device", True), "identity")
        for kind, value, unit, ws, loinc, mdc in (
                ("bp.sbp", 190, "mm[Hg]", "DE04.10.174.00", "8480-6", "150021"),
                ("bp.dbp", 115, "mm[Hg]", "DE04.10.176.00", "8462-4", "150022"),
                ("bp.pulse", 72, "/min", "DE04.10.118.00", "8867-4", "149546")):
            v = r["values"][kind]
            same((v["value"], v["unit"], v["ws"], v["loinc"], v["mdc"]),
                 (value, unit, ws, loinc, mdc), kind)
        same(r["time"]["trust"], "corrected")
        holds(abs(r["time"]["device_offset_s"]) < 10, r["time"])  # whole seconds, and a busy machine
        told_at = site.events("cuff-1", "told")[-1]
        same(r["time"]["device"], told_at["record"]["time"], "device time")
        holds(r["committed_boot_us"] <= told_at["t"] * 1e6,
              f"confirmed at {told_at['t']}, committed at {r['committed_boot_us']}")
    with tap.case("cuff: what is measured at home opens no visit and fills none", site):
        same(site.received("up/followup"), {}, "visits before anybody opened one")
        site.cli("visit", "open", "R-0001", "htn", "--way", "3")
        visit = wait_until(lambda: visits(site, "R-0001"))
        holds(visit, "the visit did not come")
        same((visit[-1]["status"], visit[-1]["state"], visit[-1]["way"]), ("proposed", "open", 3))
        same(list(filled(visit[-1])), ["visit_date", "visit_way"])
    with tap.case("cuff: the critical alert goes to the doctor; `ack` makes revision 2, and does not end it",
                  site):
        a = alert(site, site.readings("cuff-1")[0])
        same((a["severity"], a["state"], a["to"]), ("critical", "active",
             {"role": "doctor", "token": "D-0001"}))
        same(sorted(rule["id"] for rule in a["rules"]), ["dbp-critical-high", "sbp-critical-high"])
        site.cli("ack", a["id"][:8], "reached", "--by", "D-0001")
        b = alert(site, site.readings("cuff-1")[0], 2)
        same((b["id"], b["phase"], b["state"], b["inactivation"], b["acknowledged"]["outcome"]),
             (a["id"], "update", "active", "alert-acknowledged", "reached"))
        holds(b["acknowledged"]["by"].endswith("/D-0001"), b["acknowledged"])
        again = site.refusal("--lang", "en", "ack", a["id"], "reached")
        holds("before" in again, f"acknowledged twice: {again}")
    with tap.case("cuff: a later reading makes the next revision of the same visit", site):
        old = visits(site, "R-0001")[-1]
        measure(site, "cuff-1", record(131, 79))
        new = wait_until(lambda: [v for v in visits(site, "R-0001")
                                  if v["revision"] > old["revision"]])
        holds(new, "no new revision")
        same(new[-1]["id"], old["id"])
        holds("bp" not in filled(new[-1]), "a cuff that is lent fills a form")
        good = delivered(site, "cuff-1", 2)[1]
        over = alert(site, site.readings("cuff-1")[0], 3)
        same((over["phase"], over["state"], over["level"], over["severity"], over["ended"]),
             ("end", "inactive", "none", "critical", good["time"]["taken"]))
        same(sorted(over["labels"]), ["resolved_by_repeat", "unconfirmed"])
        same((site.alert_of(good), site.alert_showing(good)), (None, None), "alert of 131/79")


def newest(site, resident, status, fills=None):
    """The visit of a resident at the platform, once it says so, and this field of it is filled."""
    def found():
        of = visits(site, resident)
        return of[-1] if of and of[-1]["status"] == status and (not fills or fills in filled(of[-1])) else None
    visit = wait_until(found)
    holds(visit, f"no {status} visit of {resident}" + (f" with {fills}" if fills else ""))
    return visit


def clinic_visit(site):
    site.cuff("cuff-6")
    with tap.case("visit: checked in, measured: the form is filled, and people's fields stay open", site):
        opened = site.cli("checkin", "desk-1", "R-0003", "--purpose", "follow-up", "--way", "1")
        same(sorted(opened["visits"]), ["htn", "t2dm"])
        measure(site, "cuff-6", record(152, 93, pulse=72))
        r, = delivered(site, "cuff-6", 1)
        same((r["resident"], r["identity"]["evidence"], r["identity"]["grade"]),
             ("R-0003", "checkin", "station"))
        visit = newest(site, "R-0003", "proposed", "bp")
        same(visit["id"], opened["visits"]["htn"])
        fields = filled(visit)
        bp = fields["bp"]
        same((bp["systolic"], bp["diastolic"], bp["readings"], bp["note"], bp["by"]),
             (152, 93, [r["id"]], "single", "device"))
        same((fields["heart_rate"]["value"], fields["heart_rate"]["origin"]), (72, "bp.pulse"))
        same((visit["proposed"]["at_goal"], visit["proposed"]["class"]), ("no", 2))
        for key in ("symptoms", "doctor_signature", "medication", "adverse_reaction"):
            holds(key not in fields, f"{key} was filled by a machine: {fields.get(key)}")
    with tap.case("visit: answered by the nurse, confirmed by the doctor and by nobody else", site):
        site.cli("checkout", "desk-1")
        site.cli("visit", "set", visit["id"], "complication=1", "adverse_reaction=1", "symptoms=1")
        holds("D-0002" not in site.refusal("--lang", "en", "visit", "confirm", visit["id"], "--by",
                                           "D-0001"), "another one's doctor")
        site.cli("visit", "confirm", visit["id"], "--by", "D-0002")
        visit = newest(site, "R-0003", "confirmed")
        same((visit["confirmed"]["by"], visit["answers"]["symptoms"], visit["proposed"]["class"]),
             ("D-0002", "1", 2))
        same(filled(visit)["bp"]["systolic"], 152)
        holds(visit["proposed"]["next_visit_date"] > visit["day"], visit["proposed"])
    with tap.case("visit: what becomes of a reading does not change what was confirmed", site):
        site.cli("void", r["id"], "wrong cuff")
        changed = wait_until(lambda: [e for e in site.received("up/event").values()
                                      if e["type"] == "confirmed_visit_changed"])
        holds(changed, "the platform does not hear of it")
        same(changed[0]["detail"], visit["id"])
        same(visits(site, "R-0003")[-1]["revision"], visit["revision"])
        shown = site.cli("followup", "R-0003", "--form", "htn")["visits"][0]
        same((shown["status"], shown["evidence_changed"]), ("confirmed", True))
        same(filled(shown)["bp"]["systolic"], 152)
    with tap.case("visit: a correction is a revision with its reason", site):
        site.cli("visit", "correct", visit["id"], "classification=2", "--reason", "cuff was wrong",
                 "--by", "D-0002")
        visit = newest(site, "R-0003", "amended")
        same((visit["confirmed"]["reason"], "bp" in filled(visit)), ("cuff was wrong", False))


def clinic_slots(site):
    with tap.case("user slots: one cuff, two residents; unknown slots are nobody's", site):
        earlier = datetime.now(ZoneInfo(Site.ZONE)).replace(microsecond=0, tzinfo=None)
        earlier = {"time": (earlier - timedelta(hours=1)).isoformat()}
        site.cuff("cuff-2", "--record", record(121, 71, user=1, **earlier),
                  "--record", record(122, 72, user=2, **earlier),
                  "--record", record(123, 73, user=3, **earlier),
                  "--record", record(124, 74, **earlier))
        got = {r["values"]["bp.sbp"]["value"]: (r["resident"], r["identity"]["evidence"],
                                                r["status"]) for r in delivered(site, "cuff-2", 4)}
        same(got, {121: ("R-0002", "user_slot", "final"), 122: ("R-0003", "user_slot", "final"),
                   123: (None, "user_slot_not_bound", "unassigned"),
                   124: (None, "user_slot_missing", "unassigned")})


def clinic_unbound(site):
    with tap.case("bound to nobody: critical goes to the site's contact at once, labelled", site):
        site.cuff("cuff-3")
        measure(site, "cuff-3", record(205, 99))
        r, = delivered(site, "cuff-3", 1)
        same((r["resident"], r["status"], r["identity"]["evidence"]),
             (None, "unassigned", "not_bound"))
        a = alert(site, r)
        same((a["resident"], a["to"]), (None, {"role": "staff", "token": "S-0001"}))
        holds("unassigned" in a["labels"], a["labels"])
        listed = [u["id"] for u in site.cli("unassigned")["readings"]]
        holds(r["id"] in listed, f"not in the inbox: {listed}")
    with tap.case("assign: next revision, evidence; nobody's alert is withdrawn, the resident's goes to the doctor",
                  site):
        site.cli("assign", r["id"], "R-0003")
        holds(wait_until(lambda: site.readings("cuff-3")[0]["revision"] == 2),
              "no revision 2 at the platform")
        n = site.readings("cuff-3")[0]
        same((n["resident"], n["status"], n["identity"]["evidence"], n["identity"]["grade"]),
             ("R-0003", "amended", "assigned_by_person", "person"))
        same(n["values"], r["values"], "values")
        gone = alert(site, r, 2, resident=None)
        same((gone["id"], gone["phase"], gone["state"]), (a["id"], "end", "inactive"))
        same(sorted(set(gone["labels"]) & {"withdrawn", "wrong_person"}), ["withdrawn", "wrong_person"])
        b = alert(site, r, resident="R-0003")
        same((b["to"], b["state"], b["severity"], b["shown"]),
             ({"role": "doctor", "token": "D-0002"}, "active", "critical", r["id"]))
        holds(b["id"] != a["id"], "two persons' alert has one id")
        holds("unassigned" not in b["labels"], f"stale label: {b['labels']}")
        holds("already" in site.refusal("--lang", "en", "assign", r["id"], "R-0003"), "twice")
    with tap.case("assign to nobody takes it back: reading and alert follow", site):
        site.cli("assign", r["id"], "-")
        gone = alert(site, r, 2, resident="R-0003")
        same((gone["id"], gone["phase"], gone["state"]), (b["id"], "end", "inactive"))
        holds("withdrawn" in gone["labels"] and "wrong_person" in gone["labels"], gone["labels"])
        c = alert(site, r, 3, resident=None)
        same((c["id"], c["phase"], c["state"], c["to"]["token"]), (a["id"], "start", "active", "S-0001"))
        holds("unassigned" in c["labels"], c["labels"])
        holds(wait_until(lambda: site.readings("cuff-3")[0]["resident"] is None), "still hers")


def clinic_out_of_contract(site):
    with tap.case("outside a contract: filed, and critical goes to the site, labelled", site):
        site.cuff("cuff-4", "--record", record(188, 100))
        r, = delivered(site, "cuff-4", 1)
        same((r["resident"], r["identity"]["in_contract"]), ("R-0005", False))
        a = alert(site, r)
        same((a["resident"], a["to"]), ("R-0005", {"role": "staff", "token": "S-0001"}))
        holds("out_of_contract" in a["labels"], a["labels"])


def clinic_faults(site):
    with tap.case("cuff error: an event at the platform, confirmed, and no reading", site):
        site.cuff("cuff-5", "--noise", "5", "--early-indication",
                  "--drop-after-indication", "0.3", "--drop-before-confirm-processing", "0.3")
        measure(site, "cuff-5", json.dumps({"nan": True, "time": "now"}))
        holds(wait_until(lambda: [e for e in site.received("up/event").values()
                                  if (e["type"], e["device"]) == ("failed_measurement", "cuff-5")]),
              "no event")
        same(site.readings("cuff-5"), [])
    with tap.case("records told again make no new rows", site):
        keys = [measure(site, "cuff-5", record(110 + n, 65)) for n in range(12)]
        delivered(site, "cuff-5", len(keys))
        sent = [e["key"] for e in site.events("cuff-5", "sent")]
        holds(len(sent) > len(set(sent)), "the cuff repeated nothing: the test proves nothing")
        same(site.query("SELECT count(*) FROM reading JOIN device ON device.id=device"
                        " WHERE name='cuff-5'")[0][0], len(keys), "rows")
    with tap.case("a poison record is confirmed, counted, and holds up nothing", site):
        before = device_counts(site, "cuff-5")
        measure(site, "cuff-5", '{"hex":"1ebe007300"}')
        measure(site, "cuff-5", record(109, 64))
        counts = device_counts(site, "cuff-5")
        holds(counts["malformed"] > before["malformed"], f"{before} -> {counts}")
        raw = site.query("SELECT count(*) FROM event WHERE hex(raw)='1EBE007300'")[0][0]
        holds(raw >= 1, "its bytes were not kept")


def clinic_lab(site):
    # a frame that noise seems to have begun is given up after 5 s of silence: wait for longer
    site.analyser("lab-1", "--ack-timeout", "6", "--retry", "0.5", "--junk", "0.5",
                  "--unknown", "0.3", "--bad-checksum", "0.3", "--restart", "0.3")
    with tap.case("lab: \"> 33.3\" keeps its sign and is critical", site):
        measure(site, "lab-1", result(">33.3", specimen="S-10", flag=">"))
        r = delivered(site, "lab-1", 1)[0]
        v = r["values"]["glu.random"]
        same((v["value"], v["comparator"], v["unit"], v["received"]),
             (33.3, ">", "mmol/L", ">33.3"))
        same((r["resident"], r["identity"]["evidence"]), ("R-0002", "message_token"))
        a = alert(site, r)
        same((a["severity"], a["rules"][0].get("comparator"), a["to"]["token"]),
             ("critical", ">", "D-0001"))
        holds("above_meter_range" in a["labels"], a["labels"])
    with tap.case("lab: HI without a number is critical, too, and joins the same alert", site):
        measure(site, "lab-1", result("HI", specimen="S-11", flag="HH"))
        r = delivered(site, "lab-1", 2)[-1]
        same(r["values"]["glu.random"].get("comparator"), ">")
        b = shown(site, r)
        same((b["id"], b["phase"], b["state"], b["severity"], b["level"], b["readings"]),
             (a["id"], "continue", "active", "critical", "critical", 2))
        same((b["reading"], b["rules"][0].get("comparator"), b["to"]), (a["reading"], ">", a["to"]))
        holds("above_meter_range" in b["labels"], b["labels"])
        same(site.alert_of(r), None, "a second alert")
    with tap.case("platform's ack by down/cmd: the same id twice acts once, replies twice", site):
        a = alert(site, site.readings("lab-1")[0])
        command = {"v": 1, "id": "c-1", "cmd": "ack", "by": "D-0001",
                   "args": {"alert": a["id"], "outcome": "advised"}}
        for _ in range(2):
            site.control("platform", json.dumps(command))
            time.sleep(0.3)
        wait_until(lambda: len(site.events("platform", "reply")) >= 2)
        replies = [e["object"] for e in site.events("platform", "reply")]
        same([(r["id"], r["ok"]) for r in replies], [("c-1", True)] * 2, "replies")
        same(replies[0], replies[1], "the second reply")
        b = alert(site, site.readings("lab-1")[0], 3)
        same((b["id"], b["phase"], b["state"], b["inactivation"]),
             (a["id"], "update", "active", "alert-acknowledged"))
        same((b["acknowledged"]["by"], b["acknowledged"]["outcome"]), ("platform:platform/D-0001", "advised"))
        audit = site.query("SELECT author FROM audit WHERE action='ack' AND object=?", a["id"])
        same(audit, [("platform:platform/D-0001",)], "audit lines")
        open_one = alert(site, site.readings("cuff-4")[0])
        site.control("platform", json.dumps(dict(command, id="c-2", args={"alert": open_one["id"]})))
        wait_until(lambda: len(site.events("platform", "reply")) >= 3)
        bad = site.events("platform", "reply")[-1]["object"]
        same((bad["id"], bad["ok"], bad["error"]["code"]), ("c-2", False, "bad_value"))
    with tap.case("platform's ack: somebody was first, which is no error and acts no more", site):
        site.control("platform", json.dumps(dict(command, id="c-3", by="D-0002")))
        wait_until(lambda: len(site.events("platform", "reply")) >= 4)
        late = site.events("platform", "reply")[-1]["object"]
        same((late["id"], late["ok"], late["result"]["already"], late["result"]["by"], late["result"]["outcome"]),
             ("c-3", True, True, "platform:platform/D-0001", "advised"))
        drained(site)
        same(site.alert_of(site.readings("lab-1")[0], 4), None, "a revision by the second one")
    with tap.case("lab: noise and unknown records are counted by class, and shown", site):
        holds(site.events("lab-1", "fault"), "the analyser made no noise")
        measure(site, "lab-1", result("5.1", test="NOSUCH", specimen="S-12"))
        counts = wait_until(lambda: (lambda c: c["unsupported"] and c["malformed"] and c)(
            device_counts(site, "lab-1")))
        holds(counts, f"counted: {device_counts(site, 'lab-1')}")
        holds(wait_until(lambda: [e for e in site.received("up/event").values() if e["type"] == "unsupported"
                                  and "NOSUCH" in e.get("detail", "")]), "no event names the unknown test")
        text = subprocess.run([harness.BUILD + "/vitalgate", "--config", site.config,
                               "--lang", "en", "devices"],
                              capture_output=True, text=True, timeout=120).stdout
        holds("lab-1" in text and "unsupported" in text, text)


def clinic_typed(site):
    with tap.case("typed ids: unknown token, ignored and sample fields file nothing", site):
        site.analyser("lab-2", "--ack-timeout", "3", "--retry", "0.5")
        site.analyser("lab-3", "--ack-timeout", "3", "--retry", "0.5")
        for lab in ("lab-1", "lab-2"):
            measure(site, lab, result("5.5", specimen="S-20", patient=TYPED))
        measure(site, "lab-2", result("5.6", specimen="S-21", patient="R-0001"))
        measure(site, "lab-3", result("5.7", specimen="S-22", patient="K-0042"))
        by = {}
        for lab, count in (("lab-1", 3), ("lab-2", 2), ("lab-3", 1)):
            by.update({r["notes"]["specimen"] + lab: r for r in delivered(site, lab, count)})
        same({k: (by[k]["resident"], by[k]["identity"]["evidence"]) for k in sorted(by)[2:]},
             {"S-20lab-1": (None, "unknown_patient_id"), "S-20lab-2": (None, "not_bound"),
              "S-21lab-2": (None, "not_bound"), "S-22lab-3": (None, "not_bound")})
        holds(by["S-20lab-1"]["identity"].get("patient_id_typed"), "that one was typed is not said")
        holds("patient_id_typed" not in by["S-21lab-2"]["identity"], by["S-21lab-2"]["identity"])
        same(by["S-22lab-3"].get("sample"), "K-0042")
    with tap.case("typed ids: in clear nowhere: store, logs, payloads, command line", site):
        found = []
        for path in glob.glob(site.path("store/*")) + glob.glob(site.path("*.log")) + [
                site.path("platform.ledger")]:
            with open(path, "rb") as f:
                if TYPED.encode() in f.read():
                    found.append(os.path.basename(path))
        for words in (("unassigned",), ("readings",), ("events", "--limit", "500"), ("devices",)):
            if TYPED in json.dumps(site.cli(*words)):
                found.append(words[0])
        same(found, [], "the typed id is in")
        with open(site.path("lab-1.ledger"), encoding="utf-8") as f:
            holds(TYPED in f.read(), "it was never sent: the test proves nothing")


def clinic_same_again(site):
    fixed = civil(3600)
    first = result("6.2", specimen="S-30", time=fixed)
    lab = "lab-3"
    with tap.case("lab: the same result in a second message makes no new row", site):
        n = len(site.readings(lab))
        measure(site, lab, first)
        measure(site, lab, first)
        measure(site, lab, result("6.3", specimen="S-31", time=fixed))
        delivered(site, lab, n + 2)
    with tap.case("lab: same identity, other content: a conflict, kept, nobody's, sent", site):
        measure(site, lab, result("19.9", specimen="S-30", time=fixed))
        got = delivered(site, lab, n + 3)
        kept = [r for r in got if r["notes"]["specimen"] == "S-30"]
        old = next(r for r in kept if "conflicts_with" not in r)
        new = next(r for r in kept if "conflicts_with" in r)
        same((new["conflicts_with"], new["resident"], new["status"], new["identity"]["evidence"]),
             (old["id"], None, "unassigned", "conflicting_content"))
        same([r["values"]["glu.random"]["value"] for r in (old, new)], [6.2, 19.9])
        same(old["revision"], 1, "the first one")
        a = alert(site, new)
        same((a["resident"], a["severity"], a["to"]["token"]), (None, "critical", "S-0001"))
        holds("conflict" in a["labels"], a["labels"])
    site.cli("visit", "open", "R-0002", "t2dm")
    time.sleep(1.1)  # the analyser's clock shows whole seconds: not one that began before the visit
    fixed = civil(0)

    def of_form(key):
        found = visits(site, "R-0002", "t2dm_followup_v3")
        return filled(found[-1]).get(key, {}) if found else {}
    with tap.case("lab: a corrected result is revision 2, amended, of the same resident", site):
        n = len(site.readings("lab-1"))
        measure(site, "lab-1", result("7.1", specimen="S-40", time=fixed))
        measure(site, "lab-1", result("7.9", specimen="S-40", time=fixed, status="C"))
        holds(wait_until(lambda: [r for r in site.readings("lab-1") if r["revision"] == 2]),
              "no revision 2 came")
        r = next(r for r in delivered(site, "lab-1", n + 1) if r["revision"] == 2)
        same((r["status"], r["resident"], r["values"]["glu.random"]["value"]),
             ("amended", "R-0002", 7.9))
        holds("conflicts_with" not in r, r)
        glucose = wait_until(lambda: of_form("other_glucose") if of_form("other_glucose").get("value") == 7.9 else None) \
            or of_form("other_glucose")
        same((glucose.get("value"), glucose.get("readings")), (7.9, [r["id"]]), "in the form")
    with tap.case("lab: a dangerous correction reaches a person, also after an old alert", site):
        measure(site, "lab-1", result("17.7", specimen="S-41", time=fixed))
        measure(site, "lab-1", result("2.7", specimen="S-41", time=fixed, status="C"))
        r = wait_until(lambda: [r for r in site.readings("lab-1") if r["revision"] == 2
                                and r["notes"]["specimen"] == "S-41"])[0]
        a = alert(site, r, 2, condition="glucose-high")
        same((a["phase"], a["state"], a["level"]), ("end", "latched", "none"))  # nobody acknowledged it
        holds("corrected" in a["labels"] and "withdrawn" not in a["labels"], a["labels"])
        b = alert(site, r, condition="glucose-low")
        same((b["state"], b["severity"], b["to"]["token"]), ("active", "critical", "D-0001"))
        same([(rule["id"], rule["value"]) for rule in b["rules"]], [("glucose-critical-low", 2.7)])


def clinic_import(site):
    with tap.case("import: every line or none; the refusal names the line", site):
        text = harness.ROSTER_HEAD + "R-0100,,,hypertension,D-0001,T-0001,,,\n" \
            "R-0101,1950-13-01,,hypertension,D-0001,T-0001,,,\nR-0102,,,golf,D-0001,,,,\n"
        with open(site.path("bad.csv"), "w", encoding="utf-8") as f:
            f.write(text)
        refusal = site.refusal("--lang", "en", "import", site.path("bad.csv"))
        holds("line 3" in refusal and "birth_date" in refusal and "2 of 3" in refusal, refusal)
        same(site.query("SELECT token FROM resident WHERE token LIKE 'R-01%'"), [], "imported")
        refusal = site.refusal("--lang", "zh", "import", site.path("bad.csv"))
        holds("行" in refusal, f"not in Chinese: {refusal}")
    with tap.case("import: columns that are not ours, a name above all, are refused", site):
        for column in ("name", "phone", "address", "id_number"):
            with open(site.path("bad.csv"), "w", encoding="utf-8") as f:
                f.write(f"token,{column}\nR-0100,x\n")
            refusal = site.refusal("--lang", "en", "import", site.path("bad.csv"))
            holds(f'"{column}"' in refusal and "must not be imported" in refusal, refusal)
        with open(site.path("bad.csv"), "w", encoding="utf-8") as f:
            f.write("token\n11010119900101123X\n")
        holds("looks like" in site.refusal("--lang", "en", "import", site.path("bad.csv")), "taken")
        same(site.query("SELECT count(*) FROM resident")[0][0], 5, "residents")


def clinic_ack_offline(site):
    with tap.case("an alert raised and acknowledged while the broker is down arrives, settles",
                  site):
        site.kill("broker")
        measure(site, "cuff-1", record(199, 118))
        found = wait_until(lambda: [a for a in site.cli("alerts")["alerts"]
                                    if a["resident"] == "R-0001"])
        site.cli("ack", found[0]["id"], "referred")
        site.broker()
        holds(wait_until(lambda: [a for a in site.received("up/alert").values()
                                  if a["id"] == found[0]["id"] and a["revision"] == 2]),
              "revision 2 did not come")
        drained(site)


def clinic_follow(site):
    with tap.case("readings --follow survives a restart of the core, says each once", site):
        out = open(site.path("follow.out"), "wb")
        follow = subprocess.Popen([harness.BUILD + "/vitalgate", "--config", site.config, "--json",
                                   "readings", "--follow"], stdout=out, stderr=subprocess.DEVNULL)
        out.close()
        try:
            before = site.query("SELECT count(*) FROM reading")[0][0]
            seen = lambda: harness.read_ledger(site.path("follow.out"))  # noqa: E731
            holds(wait_until(lambda: len(seen()) == before), f"{len(seen())} of {before} shown")
            site.kill("core")
            site.restart("core")
            holds(wait_until(site.answers), "no core")
            measure(site, "cuff-1", record(127, 81))
            holds(wait_until(lambda: len(seen()) > before), "the new one is not shown")
            last = seen()
            same((len(last), last[-1]["values"]["bp.sbp"]["value"]), (before + 1, 127))
            holds(follow.poll() is None, "it ended")
        finally:
            follow.kill()
            follow.wait()


# --- what a platform may answer


def rejecting():
    with Site(devices=[cuff_device("cuff-1")]) as site:
        with tap.case("rejected objects are visible with their reason; the others go on", site):
            site.all("--reject-kind", "alert")
            site.cli("import", site.roster())
            site.cli("bind", "cuff-1", "R-0001", "--from", "2020-01-01")
            site.cuff("cuff-1")
            measure(site, "cuff-1", record(191, 111))
            listed = lambda: [(r["object"], r["reason"], r["sink"], r["revision"])  # noqa: E731
                              for r in site.cli("status")["rejected"]]
            holds(wait_until(lambda: listed() == [("alert", "simulated", "platform", 1)]), listed())
            measure(site, "cuff-1", record(118, 77))  # which ends the alert: its next revision
            delivered(site, "cuff-1", 2)
            holds(wait_until(lambda: listed() == [("alert", "simulated", "platform", n) for n in (1, 2)]), listed())
            rejected = site.cli("status")["rejected"]
            drained(site)
            time.sleep(3)
            same([e["revision"] for e in site.events("platform", "rejected")], [1, 2], "each was sent once")
            same(site.cli("status")["counts"]["outbox_rejected"], 2)
        with tap.case("resend: what was refused is sent again and leaves the list", site):
            site.kill("platform")
            site.platform()
            site.cli("resend", rejected[0]["id"][:6])
            came = lambda: list(site.received("up/alert").values())  # noqa: E731
            wait_until(lambda: len(came()) >= 2)
            same([(a["revision"], a["phase"], a["state"], a["severity"]) for a in came()],
                 [(1, "start", "active", "critical"), (2, "end", "latched", "critical")], "each as it was")
            holds(wait_until(lambda: not site.cli("status")["rejected"]), "still listed")
            drained(site)
            nothing_wrong(site)


def retrying():
    with Site(devices=[cuff_device("cuff-1")]) as site:
        with tap.case("\"retry\" is not a loss and not a loop: sent again later, once", site):
            site.all("--retry", "1")
            site.cuff("cuff-1", "--record", record(192, 100))
            wait_until(lambda: len(site.events("platform", "retry")) >= 2)
            time.sleep(5)
            put_off = site.events("platform", "retry")
            same(sorted(e["topic"] for e in put_off), ["up/alert", "up/reading"], "put off in 5 s")
            same(site.outbox(), 2, "rows that wait")
            site.kill("platform")
            site.platform()
            delivered(site, "cuff-1", 1)
            holds(wait_until(lambda: site.received("up/alert")), "the alert did not come")
            drained(site)
            nothing_wrong(site)


def silent():
    with Site(devices=[cuff_device("cuff-1")], receipt_timeout=1) as site:
        with tap.case("a silent platform gets everything again; nothing is lost or doubled", site):
            site.all("--silent")
            site.cuff("cuff-1", "--record", record(193, 100), "--record", record(117, 70))
            delivered(site, "cuff-1", 2)
            again = lambda: {e["id"] for e in site.events("platform", "duplicate")}  # noqa: E731
            holds(wait_until(lambda: len(again()) == 3), f"sent again: {again()}")
            same(site.outbox(), 3, "rows without a receipt")
            site.kill("platform")
            site.platform()
            drained(site)
            delivered(site, "cuff-1", 2)
            same(len(site.events("platform", "stored")), 3, "objects stored")
            nothing_wrong(site)


def rebooted():
    with Site(devices=[cuff_device("cuff-1")]) as site:
        with tap.case("what has no receipt is sent again after a reboot of the machine", site):
            site.all("--silent")
            site.cuff("cuff-1", "--record", record(195, 100))
            sent = lambda: site.query("SELECT count(*) FROM outbox WHERE state=1")  # noqa: E731
            holds(wait_until(lambda: sent() == [(2,)]), f"{sent()} wait for their receipt")
            holds(wait_until(lambda: len(site.events("platform", "stored")) == 2), "not all came")
            site.kill("core")
            site.kill("platform")
            # CLOCK_BOOTTIME begins anew: to the next boot, instants of a long one lie far ahead
            with contextlib.closing(sqlite3.connect(site.path("store/vitalgate.db"))) as db:
                db.execute("UPDATE outbox SET next_try=next_try+?", (10 * 86400 * 10**6,))
                db.commit()
            site.platform()
            site.restart("core")
            drained(site)
            again = {e["id"] for e in site.events("platform", "duplicate")}
            same(len(again), 2, "objects that were sent again")
            nothing_wrong(site)


def broker_receipt():
    with Site(devices=[cuff_device("cuff-1")], receipt="broker") as site:
        with tap.case("receipt: broker: the PUBACK empties the outbox, and only the PUBACK", site):
            holds(site.core(), "no core")
            site.uplink()
            site.cuff("cuff-1", "--record", record(194, 100), "--record", record(116, 70))
            wait_until(lambda: len(site.events("cuff-1", "told")) == 2)
            time.sleep(0.5)
            same(site.outbox(), 3, "rows while there is no broker")
            site.broker()
            drained(site)


def backlog():
    count = 2000
    with Site(devices=[cuff_device("cuff-1"), cuff_device("cuff-2")]) as site:
        with tap.case("an alert overtakes a backlog of 2,000 readings", site):
            holds(site.core(), "no core")
            site.cli("import", site.roster())
            site.cli("bind", "cuff-1", "R-0001", "--from", "2020-01-01")
            site.cuff("cuff-1", "--random", str(count), "--criticals", "0", "--cuff-errors", "0",
                      "--state", "")
            wait_until(lambda: len(site.events("cuff-1", "told")) >= count, 300, 0.5)
            site.cuff("cuff-2", "--record", record(212, 120))
            holds(wait_until(lambda: site.events("cuff-2", "told")), "cuff-2 was not told")
            before = site.outbox()
            holds(before > count, f"only {before} rows wait")
            site.broker()
            site.platform("--verbose")
            wait_until(lambda: "connected 0" in site.log("platform"))
            site.uplink()
            holds(wait_until(lambda: len(site.received("up/reading")) == count + 1, 300, 0.5),
                  f"{len(site.received('up/reading'))} readings came")
            order = [e["topic"] for e in site.events("platform", "stored")]
            ahead = order[:order.index("up/alert")].count("up/reading")
            tap.note(f"readings of the backlog ahead of the alert: {ahead} of {count}")
            holds(ahead <= count * 0.05, f"{ahead} of {count} readings came before the alert")
            drained(site)
            nothing_wrong(site)
            same(len({e["object"]["time"]["device"] for e in site.events("platform", "stored")
                      if e["topic"] == "up/reading" and e["object"]["device"]["id"] == "cuff-1"}),
                 count, "different device times")


# --- things that go wrong at the gateway


def exchanged():
    with Site(devices=[cuff_device("cuff-1")]) as site:
        with tap.case("a cuff that answers with another serial number files under nobody", site):
            site.all()
            site.cli("import", site.roster())
            site.cli("bind", "cuff-1", "R-0001", "--from", "2020-01-01")
            site.cuff("cuff-1", "--serial", "A-1")
            measure(site, "cuff-1", record(128, 80))
            same(delivered(site, "cuff-1", 1)[0]["resident"], "R-0001")
            site.kill("cuff-1", signal.SIGTERM)
            site.cuff("cuff-1", "--serial", "B-2")
            measure(site, "cuff-1", record(198, 101))
            r = delivered(site, "cuff-1", 2)[1]
            same((r["resident"], r["status"], r["identity"]["evidence"]),
                 (None, "unassigned", "device_identity_changed"))
            same(alert(site, r)["to"]["token"], "S-0001")
        with tap.case("that is still known after the core was killed", site):
            site.kill("core")
            site.restart("core")
            holds(wait_until(site.answers), "no core")
            measure(site, "cuff-1", record(126, 79))
            same(delivered(site, "cuff-1", 3)[2]["identity"]["evidence"], "device_identity_changed")
            site.kill("cuff-1", signal.SIGTERM)
            site.cuff("cuff-1", "--serial", "A-1")
            measure(site, "cuff-1", record(125, 78))
            same(delivered(site, "cuff-1", 4)[3]["resident"], "R-0001")


# LD_PRELOAD: CLOCK_REALTIME began at 1970 when the machine was started, as without a battery.
# (libfaketime also changes timerfd_settime(), on which the event loop rests.)
OLD_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	return real(id == CLOCK_REALTIME ? CLOCK_BOOTTIME : id, t);
}
time_t time(time_t *ret)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}
"""


def clockless():
    name = "a gateway whose clock says 1970 delivers and alerts, and says what it does not know"
    with Site(devices=[cuff_device("cuff-1")]) as site:
        with tap.case(name, site):
            site.broker()
            library = site.path("oldclock.so")
            subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, "-xc", "-"], check=True,
                           input=OLD_CLOCK, text=True)
            holds(site.core({"LD_PRELOAD": library}), "no core")
            site.platform("--verbose")
            wait_until(lambda: "connected 0" in site.log("platform"))
            site.uplink()
            status = site.cli("status")
            holds(status["now"].startswith("1970") and not status["clock_plausible"],
                  status["now"])
            site.cli("import", site.roster())
            site.cli("bind", "cuff-1", "R-0001")
            site.cuff("cuff-1", "--record", record(197, 102))
            r, = delivered(site, "cuff-1", 1)
            same(r["time"]["trust"], "unknown")
            holds(r["time"]["taken"].startswith("1970"), r["time"])
            same(r["time"]["device"], site.events("cuff-1", "told")[0]["record"]["time"])
            holds("uncertainty_s" not in r["time"], r["time"])
            a = alert(site, r)
            holds("clock_unknown" in a["labels"], a["labels"])
            same(a["severity"], "critical")
            drained(site)
            nothing_wrong(site)


def full_disk():
    name = "disk full: no acknowledgement, no crash, and everything comes once there is room"
    with Site(devices=[cuff_device("cuff-1"), lab_device("lab-1")]) as site:
        store = site.path("store")
        os.mkdir(store)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", store],
                               capture_output=True, text=True)
        if mount.returncode:
            tap.skip(name, "cannot mount a small tmpfs: " + mount.stderr.strip())
            return
        try:
            with tap.case(name, site):
                full_disk_case(site, store)
        finally:
            site.kill("core")
            subprocess.run(["umount", "-l", store])


def fill(path):
    with open(path, "ab", buffering=0) as f:
        try:
            while True:
                f.write(bytes(65536))
        except OSError:
            pass


def full_disk_case(site, store):
    site.all()
    total = 1200
    site.cuff("cuff-1", "--random", str(total), "--criticals", "0.1", "--cuff-errors", "0",
              "--rate", "150", "--state", "")
    site.analyser("lab-1", "--ack-timeout", "3", "--retry", "0.5")
    wait_until(lambda: site.events("cuff-1", "told"))
    count = lambda: len(site.events("cuff-1", "told"))  # noqa: E731
    # the daemon gives its ballast back at the first refusal: fill that, too, until nothing is taken for a while
    stalled, since, end = -1, 0, time.monotonic() + 120
    while time.monotonic() < end and ("No space" not in site.log("core") or time.monotonic() < since + 3):
        fill(store + "/filler")
        if stalled != count():
            stalled, since = count(), time.monotonic()
        time.sleep(0.2)
    holds(0 < stalled == count() < total, f"told {count()} of {total}: the disk never was full")
    site.control("lab-1", "record " + result("5.0", specimen="S-50"))
    naks = lambda: [e for e in site.events("lab-1", "refused") if e["why"] in ("busy", "NAK")]  # noqa: E731
    holds(wait_until(naks), "the analyser heard nothing: it must hear NAK")
    time.sleep(2)
    same(count(), stalled, "readings acknowledged on a full disk")
    same(site.events("lab-1", "told"), [], "results acknowledged on a full disk")
    holds(site.running("core"), "the core died")
    same(site.query("SELECT count(*) FROM reading")[0][0], stalled, "rows, as many as were told")
    os.unlink(store + "/filler")
    holds(wait_until(lambda: count() == total, 180, 0.5), f"{count()} of {total} told after that")
    holds(wait_until(lambda: site.events("lab-1", "told")), "the analyser was not told then")
    holds(wait_until(lambda: len(site.received("up/reading")) == total + 1, 180, 0.5),
          f"{len(site.received('up/reading'))} at the platform")
    drained(site)
    nothing_wrong(site)


SITES = [clinic, retrying, full_disk, backlog, silent, rejecting, rebooted, broker_receipt,
         exchanged, clockless]


def run(site):
    try:
        site()
    except Exception as error:  # outside a case: the site itself did not come up
        tap.result(False, f"{site.__name__}: could not go on", f"{type(error).__name__}: {error}")


def main():
    only = os.environ.get("VITALGATE_ONLY")
    chosen = [s for s in SITES if not only or s.__name__ == only]
    with ThreadPoolExecutor(len(chosen)) as pool:
        list(pool.map(run, chosen))
    tap.done()


if __name__ == "__main__":
    main()
