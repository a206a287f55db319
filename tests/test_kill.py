#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of core, uplink, broker and platform at random moments while instruments deliver.

Afterwards: every record that an instrument was told is received is at the platform exactly once by
(id, revision), under the resident that it belongs to; every dangerous one is in one alert of its
condition. Who that is and what is dangerous is worked out here, from the simulators' ledgers and
config/alerts.yaml.

VITALGATE_KILLS: how many (300); VITALGATE_KILL_SECONDS: in how long; VITALGATE_SEED: of their
moments and of the measurements. The disk takes its time (slowdisk.c): between what was heard and
what is stored there is time to die.
"""
import collections
import contextlib
import operator
import os
import random
import shutil
import sqlite3
import sys
import time

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import Site, Tap, cuff_device, holds, lab_device, same, wait_until  # noqa: E402

KILLS = int(os.environ.get("VITALGATE_KILLS", "300"))
SECONDS = float(os.environ.get("VITALGATE_KILL_SECONDS", KILLS * 0.33))
SEED = int(os.environ.get("VITALGATE_SEED", random.randrange(1 << 30)))
VICTIMS = ["core"] * 11 + ["uplink"] * 4 + ["broker"] * 4 + ["platform"]
DISK_MS = 25
CUFFS, LABS = ("cuff-1", "cuff-2"), ("lab-1", "lab-2")
SLOTS = {1: "R-0001", 2: "R-0002"}  # of cuff-1; its users 1 to 3 measure
OWNER = "R-0003"  # of cuff-2
TOKENS = {"R-0001", "R-0002", "R-0003", "R-0004", "R-0005"}  # of the roster; R-0006 is unknown
DIABETES = {"R-0002", "R-0003"}  # of their programmes
SIDES = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}
KINDS = {"GLU": "glu.random", "HbA1c": "hba1c"}  # K and XX.. are tests that the code table lacks


# --- what should be there, from the simulators' ledgers


def rules():
    """Of config/alerts.yaml: those that judge numbers of persons, [(rule, kind pattern, side, limit)]."""
    with open(harness.ROOT + "/config/alerts.yaml", encoding="utf-8") as f:
        all_of = yaml.safe_load(f)["rules"]
    found = [(rule, rule["kind"], side, rule[side]) for rule in all_of for side in SIDES
             if rule.get("family") != "technical" and "kind" in rule and side in rule]
    holds(len(found) > 10, "config/alerts.yaml is not read any more")
    return found


def breaks(rule, values):
    """values: [(kind, number, comparator)]"""
    _, pattern, side, limit = rule
    for kind, number, comparator in values:
        if kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern:
            if comparator == ("<" if side in ("at_most", "below") else ">") or SIDES[side](number, limit):
                return True
    return False


def concerns(rule, resident):
    """Is it for this one, without any doubt? All are adults, and of no setting; the site lies at the sea."""
    rule = rule[0]
    if rule.get("trait") == ["diabetes"] and resident in DIABETES:
        return True
    if rule.get("altitude_from", 0) > 0:
        return False
    asked = {"trait", "programme", "population", "age_from", "age_below"} & set(rule)
    if resident is None:
        return rule.get("unknown") == "fires" or not asked and "setting" not in rule
    return not asked and ("setting" not in rule or rule.get("unknown") == "fires") and \
        not ("diabetes" in rule.get("not", ()) and resident in DIABETES)


RULES = rules()


class Expected:
    """One record that must become one reading. `must`: {condition: severity} of rules that nothing but the value
    decides; `may`: whatever a rule could say of it."""

    def __init__(self, key, resident, values, doubtful=False):
        self.key, self.resident, self.values, self.doubtful = key, resident, values, doubtful
        self.device, self.when = key[0], key[1]
        broken = [rule for rule in RULES if breaks(rule, values)]
        self.may = {rule["condition"] for rule, *_ in broken}
        self.must = {}
        for rule in broken:
            severity = rule[0]["severity"]
            if rule[0].get("type", "limit") == "limit" and concerns(rule, resident) and severity in ("critical", "warning") \
                    and not ("usual_by" in rule[0] and resident) and self.must.get(rule[0]["condition"]) != "critical":
                self.must[rule[0]["condition"]] = severity


def expect_cuff(name, record):
    """None: a failed measurement, which is no reading."""
    if record.get("nan"):
        return None
    user = record["user"]
    key = (name, record["time"], user, record["sys"], record["dia"], record["map"], record["pulse"])
    return Expected(key, SLOTS.get(user) if name == "cuff-1" else OWNER,
                    [("bp.sbp", record["sys"], ""), ("bp.dbp", record["dia"], ""),
                     ("bp.pulse", record["pulse"], "")],
                    bool(record["status"] & 0x23))  # moved, loose, badly placed: a repeat is asked for


def expect_lab(name, record):
    """None: quality control, or a test that we do not know."""
    if "qc" in record or record["test"] not in KINDS:
        return None
    t, kind, text = record["time"], KINDS[record["test"]], record["value"]
    moment = f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[8:10]}:{t[10:12]}:{t[12:14]}"
    if text == "HI":
        number, comparator = 33.3, ">"
    else:
        number, comparator = float(text.lstrip("<>")), text[0] if text[0] in "<>" else ""
    patient = record["patient"]
    return Expected((name, moment, record["specimen"], kind, text),
                    patient if patient in TOKENS else None, [(kind, number, comparator)])


def expectations(site):
    """{key: Expected} of all that was told, and what is wrong with the ledgers themselves."""
    told, wrong = {}, []
    for name in CUFFS + LABS:
        for e in site.events(name, "told"):
            x = (expect_cuff if name in CUFFS else expect_lab)(name, e["record"])
            if x:
                told[x.key] = x
        for e in site.events(name, "error", "unexpected"):
            if not e.get("hex", "").startswith("01"):  # that is the right answer to noise
                wrong.append(e)
    return told, wrong


def measured(site, name):
    return {e["key"] for e in site.events(name, "measured")}


def told(site, name):
    return {e["key"] for e in site.events(name, "told")}


# --- what is there


def key_of(r):
    values, device, when = r["values"], r["device"], r["time"]["device"]
    if r["kind"] == "bp":
        return (device["id"], when, device.get("user"), *(values[k]["value"] for k in
                ("bp.sbp", "bp.dbp", "bp.map", "bp.pulse")))
    kind, = values
    return (device["id"], when, r["notes"]["specimen"], kind, values[kind]["received"])


# --- the killing


def start(site, slow):
    site.roster()
    with open(site.path("slow"), "w", encoding="utf-8") as f:
        f.write("0")
    holds(site.broker(), "no broker")
    holds(site.core({"LD_PRELOAD": slow, "SLOWDISK_MS": site.path("slow")}), "no core")
    site.platform()
    site.uplink()
    site.cli("import", site.path("roster.csv"))
    for slot, resident in SLOTS.items():
        site.cli("bind", "cuff-1", resident, "--slot", str(slot), "--from", "2020-01-01")
    site.cli("bind", "cuff-2", OWNER, "--from", "2020-01-01")
    with open(site.path("slow"), "w", encoding="utf-8") as f:
        f.write(str(DISK_MS))


def start_instruments(site):
    """As many records as fit into the killing."""
    beat = ["--criticals", "0.25", "--seed", str(SEED)]
    faults = ["--drop-after-indication", "0.05", "--drop-before-confirm-processing", "0.05"]
    rate = 4
    many = ["--random", str(int(SECONDS * rate)), "--rate", str(rate)]
    site.cuff("cuff-1", *many, *beat, *faults, "--users", "3")
    site.cuff("cuff-2", *many, *beat, *faults, "--early-indication", "--noise", "2")
    # a frame that was cut off blocks the line for 5 s: wait a little longer for an answer
    lab = [*beat, "--random", str(int(SECONDS * 3)), "--rate", "3", "--patients", "6",
           "--bad-checksum", "0.05", "--restart", "0.1", "--qc", "0.03", "--unknown", "0.03",
           "--retry", "0.3"]
    site.analyser("lab-1", *lab, "--per-message", "3", "--ack-timeout", "6")
    site.analyser("lab-2", *lab, "--per-message", "2", "--ack-timeout", "6", "--one-frame",
                  "--crlf", "lf")


def killing(site, dice):
    """Returns how often each was killed. A process that ended by itself is a failure."""
    kills, died = collections.Counter(), []
    begin = time.monotonic()
    moments = sorted(dice.uniform(0, SECONDS) for _ in range(KILLS))
    for moment in moments:
        time.sleep(max(0.0, begin + moment - time.monotonic()))
        victim = dice.choice(VICTIMS)
        for name in ("core", "uplink", "broker", "platform", *CUFFS, *LABS):
            if not site.running(name):
                died.append(f"{name} ended by itself: {site.log(name)[-300:]}")
                site.restart(name)
        site.kill(victim)
        site.restart(victim)
        kills[victim] += 1
    holds(not died, died)
    return kills


def drain(site, seconds):
    """Everything told, everything receipted. Fresh processes have no back-off."""
    with open(site.path("slow"), "w", encoding="utf-8") as f:
        f.write("0")
    wait_until(lambda: all(measured(site, n) == told(site, n) for n in CUFFS + LABS), seconds, 0.5)
    for name in ("uplink", "core"):
        site.kill(name)
    site.restart("core")
    wait_until(site.answers)
    site.restart("uplink")
    wait_until(lambda: site.outbox() == 0, seconds, 0.5)


# --- comparing


def compare(tap, site):
    want, wrong = expectations(site)
    ledger = site.ledger("platform")
    stored = [e for e in ledger if e["event"] == "stored"]
    counts = collections.Counter(e["event"] for e in ledger)
    readings = [e["object"] for e in stored if e["topic"] == "up/reading"]
    by_key = collections.defaultdict(list)
    for r in readings:
        by_key[key_of(r)].append(r)
    alerts = {}
    for a in (e["object"] for e in stored if e["topic"] == "up/alert"):
        if a["id"] not in alerts or alerts[a["id"]]["revision"] < a["revision"]:
            alerts[a["id"]] = a
    tap.note(f"told {sum(len(told(site, n)) for n in CUFFS + LABS)}, of them readings {len(want)}; "
             f"at the platform: readings {len(readings)}, alerts {len(alerts)}, "
             f"duplicates {counts['duplicate']}")
    tap.result(not wrong, "instruments: no bad checksum was acknowledged, nothing unexpected came",
               wrong[:5])
    for name in CUFFS + LABS:
        left = measured(site, name) - told(site, name)
        tap.result(not left, f"{name}: everything measured was told in the end",
                   f"{len(left)} were not, such as {sorted(left)[:5]}; {site.ledger(name)[-3:]}")
    missing = [k for k in want if k not in by_key]
    tap.result(not missing, "every record that was told is at the platform",
               f"{len(missing)} are missing, such as {missing[:5]}")
    twice = [(k, [r["id"] for r in rs]) for k, rs in by_key.items() if len(rs) != 1]
    tap.result(not twice, "each exactly once by (id, revision)",
               f"{len(twice)} are not, such as {twice[:5]}")
    phantoms = [k for k in by_key if k not in want]
    tap.result(not phantoms, "and nothing that no instrument told",
               f"{len(phantoms)}, such as {phantoms[:5]}")
    odd = [e for e in ledger if e["event"] in ("conflict", "invalid", "rejected")]
    tap.result(not odd, "the platform saw repetitions only as duplicates, never as conflicts",
               f"{len(odd)}, such as {odd[:2]}")
    stolen = [(k, x.resident, by_key[k][0]["resident"]) for k, x in want.items()
              if k in by_key and by_key[k][0]["resident"] != x.resident]
    tap.result(not stolen, "no reading under a wrong resident",
               f"{len(stolen)} (record, expected, found), such as {stolen[:5]}")
    compare_alerts(tap, site, {by_key[k][0]["id"]: x for k, x in want.items() if k in by_key}, alerts)
    compare_events(tap, site, stored)


def unusual_lows(want):
    """A systolic pressure of 90 is of nobody's usual here, but while hardly anything of a resident is known: those readings
    whose resident was seldom low before are critical, too. (usual_by: not near the median of at least 5)"""
    for x in want.values():
        low = [r for r in RULES if "usual_by" in r[0] and breaks(r, x.values)]
        if not low or x.resident is None:
            continue
        before = [dict((k, n) for k, n, _ in y.values)["bp.sbp"] for y in want.values()
                  if y.resident == x.resident and y.device in CUFFS and y is not x and y.when <= x.when]
        of_late = max(sum(y.when == x.when for y in want.values()), 1)  # of one second: their order is not known
        if len(before) < 5 or 2 * sum(v < 105 for v in before) + of_late + 2 < len(before):
            x.must["bp-low"] = "critical"


def left_out(x, condition, others, waiting):
    """Why it may be in no alert; None: for no reason."""
    if x.doubtful and x.must[condition] == "critical":
        if waiting:
            return "waits for a clean one"
        if any(y.device == x.device and y.resident == x.resident and not y.doubtful and y.when >= x.when and y is not x
               for y in others):
            return "a clean one followed"
    if x.must[condition] == "warning" and x.resident:
        if any(y.resident == x.resident and y.when >= x.when and y is not x and y.values[0][0] == x.values[0][0]
               for y in others):
            return "overtaken"
    return None


def compare_alerts(tap, site, want, alerts):
    """want: {id of a reading: Expected}; alerts: {id: its newest revision at the platform}."""
    of, inside = collections.defaultdict(list), collections.defaultdict(dict)
    for reading, condition, alert, level in site.query(
            "SELECT lower(hex(ar.reading)),condition,lower(hex(ar.alert)),ar.level FROM alert_reading ar JOIN alert a ON "
            "a.uuid=ar.alert"):
        of[reading].append(condition)
        inside[alert][reading] = level
    waiting = set(site.query("SELECT lower(hex(reading)),condition FROM pending_repeat"))
    unusual_lows(want)
    danger = {(r, c): x for r, x in want.items() for c in x.must}
    out = {k: left_out(x, k[1], want.values(), k in waiting) for k, x in danger.items() if k[1] not in of[k[0]]}
    lost = [(danger[k].key, k[1], danger[k].must[k[1]]) for k, why in out.items() if not why]
    tap.note(f"dangerous values: {len(danger)}, of them critical "
             f"{sum(x.must[c] == 'critical' for (_, c), x in danger.items())}; in no alert, with their reason: "
             f"{dict(collections.Counter(w for w in out.values() if w))}")
    tap.result(danger and not lost, "every dangerous value is in an alert of its condition",
               f"{len(lost)} are not, such as {lost[:5]}")
    twice = [(r, found) for r, found in of.items() if len(found) != len(set(found))]
    tap.result(not twice, "and in one of each condition", f"{len(twice)} are not, such as {twice[:5]}")
    extra = [(r, c, want[r].key if r in want else None) for r, found in of.items() for c in found
             if r not in want or c not in want[r].may]
    tap.result(not extra, "and there is no alert without one", f"{len(extra)}, such as {extra[:5]}")
    last = dict(site.query("SELECT lower(hex(uuid)),revision FROM alert"))
    missing = [a for a, n in last.items() if a not in alerts or alerts[a]["revision"] != n]
    tap.result(set(alerts) == set(last) and not missing, "the platform has the last revision of each alert, and no other",
               f"{len(missing)}, such as {missing[:5]}; {sorted(set(alerts) - set(last))[:3]}")
    wrong = [(a, there["readings"], there["shown"], inside[a]) for a, there in alerts.items()
             if there["readings"] != len(inside[a]) or not there["to"]["token"]
             or inside[a].get(there["shown"]) != max(inside[a].values())]
    tap.result(not wrong, "which tells somebody of all its readings, and shows one of the gravest",
               f"{len(wrong)}, such as {wrong[:3]}")


def compare_events(tap, site, stored):
    """An event has no identity inside the instrument: told again, it is another event."""
    for name in CUFFS:
        failed = sum(bool(e["record"].get("nan")) for e in site.events(name, "told"))
        there = sum(e["topic"] == "up/event" and e["object"]["type"] == "failed_measurement" and
                    e["object"]["device"] == name for e in stored)
        tap.result(there >= failed, f"{name}: failed measurements that were told are events there",
                   f"told {failed}, at the platform {there}")


def check_store(tap, site):
    with tap.case("the outbox is empty, and nothing was refused", site):
        rows = site.query("SELECT id,lane,kind,hex(uuid),revision,state,tries FROM outbox")
        same(rows, [], "rows in the outbox")
    with tap.case("the database is sound (a copy of it, after one last kill)", site):
        site.kill("core")
        copy = site.path("copy")
        os.mkdir(copy)
        for name in os.listdir(site.path("store")):
            if name.startswith("vitalgate.db"):
                shutil.copy(site.path("store/" + name), copy)
        damaged = [n for n in os.listdir(site.path("store")) if n.startswith("damaged")]
        same(damaged, [], "set aside")
        with contextlib.closing(sqlite3.connect(copy + "/vitalgate.db")) as db:
            same(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            same(db.execute("SELECT count(*) FROM reading WHERE revision<>1").fetchall(), [(0,)],
                 "readings that are not revision 1")


def main():
    tap = Tap()
    dice = random.Random(SEED)
    tap.note(f"{KILLS} kills in {SECONDS:.0f} s, seed {SEED}")
    devices = [cuff_device(n) for n in CUFFS] + [lab_device(n) for n in LABS]
    with Site(devices=devices, receipt_timeout=1) as site:
        try:
            start(site, harness.build_slowdisk(site.dir))
            start_instruments(site)
            with tap.case("nothing ended by itself", site):
                kills = killing(site, dice)
                tap.note("killed: " + ", ".join(f"{n} {c}" for n, c in sorted(kills.items())))
            drain(site, 240)
            compare(tap, site)
            check_store(tap, site)
        finally:
            if tap.failed:
                tap.note(site.tails())
    tap.done()


if __name__ == "__main__":
    main()
