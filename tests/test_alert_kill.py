#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of the core at random moments while instruments tell dangerous and ordinary values, persons acknowledge by both
doors, and whoever does not answer is passed over for the next one.

Afterwards: every critical value that was told is in one alert of its condition, and in no other; each alert has its
revisions 1 .. n, the platform has the last of them, and nothing that the store does not have; what was said to be
acknowledged is so, once; and from step to step, in its time, everybody was told whose turn it was, and nobody twice.
Who that is and when is worked out here, from the ledgers and the numbers below, not by the daemon's rooms.

VITALGATE_ALERT_KILLS: how many (40); VITALGATE_SEED: of their moments. Intervals are seconds instead of minutes
(ESCALATE), and the disk takes its time (slowdisk.c).
"""
import collections
import json
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import Site, Tap, cuff_device, holds, lab_device, wait_until  # noqa: E402

KILLS = int(os.environ.get("VITALGATE_ALERT_KILLS", "40"))
SECONDS = max(20.0, KILLS * 0.33)
SEED = int(os.environ.get("VITALGATE_SEED", random.randrange(1 << 30)))
DISK_MS = 25
CRITICAL_S, WARNING_S, AGAIN_S = ESCALATE = (6, 8, 7)
LATE_S = 4              # of the daemon's own time, in which it was alive and answered; less than an interval
EARLY_S = 1.5           # the wall's clock and the one of waiting, each read at its own moment by a busy machine
CUFFS, LABS = ("cuff-1", "cuff-2"), ("lab-1", "lab-2")
SLOTS = {1: "R-0001", 2: "R-0002"}  # of cuff-1; its users 1 to 3 measure
OWNER = "R-0003"        # of cuff-2
CHAIN = ("D-0002", "D-0003")  # of every resident, behind the doctor; of staff, S-0002
SETTLED = ("reached", "advised", "referred")


# --- what persons do

class Persons(threading.Thread):
    """Acknowledge what they see, by the local door or the platform's. What they were told stays in `said`:
    [(alert, outcome, door, "ok" | "refused" | "unknown")]."""

    def __init__(self, site, dice):
        super().__init__(daemon=True)
        self.site, self.dice, self.said, self.over, self.n = site, dice, [], False, 0
        self.sent = {}  # id of a command at the platform -> (alert, outcome)

    def run(self):
        while not self.over:
            time.sleep(0.2)
            try:
                rows = self.site.query(
                    "SELECT lower(hex(uuid)) FROM alert WHERE state IN ('active','latched') AND acked IS NULL "
                    "AND severity<>'notice'")
            except Exception:   # noqa: BLE001  the file is opened anew just now
                continue
            # some are left to their escalation
            some = [a for a, in rows if int(a[:4], 16) % 4]
            for alert in self.dice.sample(some, min(len(some), 2)):
                outcome = self.dice.choice(SETTLED + ("not_reached",))
                (self.local if self.dice.random() < 0.5 else self.platform)(alert, outcome)

    def local(self, alert, outcome):
        order = {"v": 1, "cmd": "ack", "args": {"alert": alert, "outcome": outcome}}
        sent, reply = False, b""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(20)
                s.connect(self.site.path("run/control.sock"))
                sent = True
                s.sendall(json.dumps(order).encode() + b"\n")
                while not reply.endswith(b"\n") and (data := s.recv(65536)):
                    reply += data
        except OSError:
            pass
        if sent:
            done = "unknown" if not reply.endswith(b"\n") else "ok" if json.loads(reply)["ok"] else "refused"
            self.said.append((alert, outcome, "local", done))

    def platform(self, alert, outcome):
        self.n += 1
        name = f"ack-{self.n}"
        self.sent[name] = (alert, outcome)
        self.send(name)

    def send(self, name):
        alert, outcome = self.sent[name]
        self.site.control("platform", json.dumps({
            "v": 1, "id": name, "cmd": "ack", "by": "D-0002", "args": {"alert": alert, "outcome": outcome}}))

    def replies(self):
        return {e["object"]["id"]: e["object"] for e in self.site.events("platform", "reply")}

    def finish(self):
        """A command that has no reply yet is sent again: it acts once."""
        self.over = True
        self.join()
        for _ in range(10):
            missing = [name for name in self.sent if name not in self.replies()]
            if not missing:
                break
            for name in missing:
                self.send(name)
            wait_until(lambda: not set(self.sent) - set(self.replies()), 10, 0.2)
        replies = self.replies()
        for name, (alert, outcome) in self.sent.items():
            r = replies.get(name)
            # "already": somebody was first
            done = "unknown" if r is None else "refused" if not r["ok"] or r["result"].get("already") else "ok"
            self.said.append((alert, outcome, "platform", done))


# --- the killing

def start(site, slow):
    year = time.gmtime().tm_year
    rows = "".join(f"R-000{i},19{50 + i}-03-14,F,{programmes},D-0001,{';'.join(CHAIN)},{year - 1}-01-01,"
                   f"{year + 1}-12-31,clinic\n" for i, programmes in
                   enumerate(("hypertension", "t2dm", "hypertension;t2dm", "copd", "hypertension"), 1))
    site.roster("token,birth_date,sex,programmes,doctor,chain,valid_from,valid_to,setting\n" + rows)
    with open(site.path("slow"), "w", encoding="utf-8") as f:
        f.write("0")
    holds(site.broker(), "no broker")
    holds(site.core({"LD_PRELOAD": slow, "SLOWDISK_MS": site.path("slow")}), "no core" + site.tails())
    site.platform()
    site.uplink()
    site.cli("import", site.path("roster.csv"))
    for slot, resident in SLOTS.items():
        site.cli("bind", "cuff-1", resident, "--slot", str(slot), "--from", "2020-01-01")
    site.cli("bind", "cuff-2", OWNER, "--from", "2020-01-01")
    with open(site.path("slow"), "w", encoding="utf-8") as f:
        f.write(str(DISK_MS))


def start_instruments(site):
    beat = ["--criticals", "0.4", "--seed", str(SEED)]
    faults = ["--drop-after-indication", "0.05", "--drop-before-confirm-processing", "0.05"]
    many = ["--random", str(int(SECONDS * 4)), "--rate", "4"]
    site.cuff("cuff-1", *many, *beat, *faults, "--users", "3")
    site.cuff("cuff-2", *many, *beat, *faults)
    for name in LABS:
        site.analyser(name, *beat, "--random", str(int(SECONDS * 4)), "--rate", "4", "--patients", "6", "--per-message", "2",
                      "--ack-timeout", "6", "--restart", "0.1", "--retry", "0.3")


class Alive:
    """When the daemon answered, by the wall's clock."""

    def __init__(self):
        self.spans = []     # [from, to]; to: None, it does still

    def between(self, begin, end):
        """Seconds of it."""
        return sum(max(0.0, min(end, to or end) - max(begin, since)) for since, to in self.spans)

    def born(self, site, seconds):
        """False: not within them."""
        if wait_until(site.answers, max(0.0, seconds)):
            self.spans.append([time.time(), None])
            return True
        return False

    def dies(self):
        if self.spans:
            self.spans[-1][1] = self.spans[-1][1] or time.time()


def killing(site, dice, alive):
    """How often it had died by itself. It may be killed before it answers, but not twice in a row: a slow machine
    would never get on."""
    begin, died, answered = time.monotonic(), 0, True
    alive.born(site, harness.PATIENCE_S)
    for moment in sorted(dice.uniform(0, SECONDS) for _ in range(KILLS)):
        time.sleep(max(0.0, begin + moment - time.monotonic()))
        died += not site.running("core")
        alive.dies()
        site.kill("core")
        site.restart("core")
        answered = alive.born(site, min(0.15, SECONDS / KILLS) if answered else harness.PATIENCE_S)
    time.sleep(max(0.0, begin + SECONDS - time.monotonic()))
    if not answered:
        alive.born(site, harness.PATIENCE_S)
    return died


def untold(site):
    """What instruments still have: {(name, key)}"""
    return {(n, key) for n in CUFFS + LABS for key in {e["key"] for e in site.events(n, "measured")}
            - {e["key"] for e in site.events(n, "told")}}


def drain(site):
    with open(site.path("slow"), "w", encoding="utf-8") as f:
        f.write("0")
    wait_until(lambda: not untold(site), 240, 0.5)


def freeze(site, alive):
    """Nothing changes any more: when that was."""
    alive.dies()
    site.kill("core")
    return time.time()


# --- what should be there

def expected(site):
    """{(device, time, ..): (resident, {condition})} of the critical records that were told, without doubt."""
    want = {}
    for name in CUFFS:
        for e in site.events(name, "told"):
            r = e["record"]
            if r.get("nan"):
                continue
            about = set()
            if r["sys"] >= 180 or r["dia"] >= 110:
                about.add("bp-high")
            if r["sys"] <= 80:  # up to 90 it may be what is usual
                about.add("bp-low")
            doubtful = bool(r["status"] & 0x03) or bool(r["status"] & 0x20)
            key = (name, r["time"], r["user"], r["sys"], r["dia"])
            want[key] = (SLOTS.get(r["user"]) if name == "cuff-1" else OWNER, set() if doubtful else about)
    for name in LABS:
        for e in site.events(name, "told"):
            r = e["record"]
            if r.get("test") != "GLU":
                continue
            text = r["value"]
            number = 99.0 if text.startswith(">") or text == "HI" else 0.0 if text.startswith("<") or text == "LO" \
                else float(text)
            about = {"glucose-high"} if number >= 16.7 else {"glucose-low"} if number < 2.8 else set()
            t = r["time"]
            moment = f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[8:10]}:{t[10:12]}:{t[12:14]}"
            want[name, moment, r["specimen"]] = (r["patient"] if r["patient"] < "R-0006" else None, about)
    return want


def stored(site):
    """{the same key: (id of the reading, resident)}"""
    found = {}
    for uuid, device, when, user, resident, body in site.query(
            "SELECT lower(hex(uuid)),d.name,device_time,user_slot,token,body FROM reading r JOIN device d ON d.id=r.device "
            "LEFT JOIN resident ON resident.id=r.resident WHERE superseded=0"):
        body = json.loads(body)
        if device in CUFFS:
            values = body["values"]
            key = (device, when, user, values["bp.sbp"]["value"], values["bp.dbp"]["value"])
        elif "glu.random" in body["values"]:
            key = (device, when, body["notes"]["specimen"])
        else:
            continue
        found[key] = (uuid, resident)
    return found


def compare_readings(tap, site):
    want, have = expected(site), stored(site)
    missing = [k for k in want if k not in have]
    tap.result(not missing, "every record that was told is stored", f"{len(missing)}, such as {missing[:3]}")
    of = collections.defaultdict(list)
    for reading, condition, alert in site.query(
            "SELECT lower(hex(ar.reading)),condition,lower(hex(ar.alert)) FROM alert_reading ar JOIN alert a ON "
            "a.uuid=ar.alert"):
        of[reading].append((condition, alert))
    critical = {k: x for k, x in want.items() if x[1] and k in have}
    lost = [(k, c) for k, (_, about) in critical.items() for c in about
            if c not in [condition for condition, _ in of[have[k][0]]]]
    tap.note(f"told: {len(want)} records, {len(critical)} of them critical without doubt")
    tap.result(len(critical) > KILLS / 4 and not lost, "no alert is lost: each critical value is in one",
               f"{len(critical)} critical; {len(lost)} lost, such as {lost[:5]}")
    twice = [(r, alerts) for r, alerts in of.items() if len({c for c, _ in alerts}) != len(alerts)]
    tap.result(not twice, "and none is doubled: in one of each condition", f"{len(twice)}, such as {twice[:3]}")
    wrong = [(k, x[0], have[k][1]) for k, x in critical.items() if x[0] != have[k][1]]
    tap.result(not wrong, "and of whom it was measured", wrong[:3])


# --- histories

def instant(us):
    return us / 1e6


class History:
    """One alert, revision by revision. `complaints`: what cannot be."""

    def __init__(self, alert, entries, last_step, alive):
        self.alert, self.entries, self.last, self.alive = alert, entries, last_step, alive
        self.complaints, self.tells = [], 0
        self.step = self.severity = self.state = None
        self.due = None     # until then somebody has to be told, unless it is acknowledged; None: nobody
        self.told_at = self.acknowledged = None
        self.again = False

    def complain(self, entry, what):
        self.complaints.append(f"{self.alert[:8]} revision {entry['revision']}: {what}")

    def late(self, at):
        """For how long it had something to tell, and was alive to do so; 0: no longer than it may."""
        seconds = self.alive.between(self.due, at) if self.due is not None else 0
        return seconds if seconds > LATE_S else 0

    def interval(self):
        return CRITICAL_S if self.severity == "critical" and self.state == "active" else WARNING_S

    def follow(self, until):
        if not self.entries:
            self.complaints.append(f"{self.alert[:8]} has no history")
            return
        for n, entry in enumerate(self.entries, 1):
            if entry["revision"] != n:
                self.complain(entry, f"expected {n}")
                return
            self.one(entry)
        last = self.entries[-1]
        if self.late(until):
            self.complain(last, f"then nobody was told, for {until - self.due:.1f} s")

    def tell(self, entry, at):
        """Its time has come: not before, and not long after."""
        self.tells += 1
        if self.due is None:
            self.complain(entry, "told, and nothing was due")
            return
        if self.late(at):
            self.complain(entry, f"told {at - self.due:.1f} s late: a step was skipped")
        least = self.told_at + min(AGAIN_S if self.again else CRITICAL_S, WARNING_S)
        if at < least - EARLY_S:
            self.complain(entry, f"told {least - at:.1f} s early: a step was repeated")
        step = min(self.step + 1, self.last)
        self.again = self.step == self.last
        if entry["step"] != step:
            self.complain(entry, f"step {entry['step']} behind {self.step}")
        if self.again != ("nobody_answered" in entry["labels"]):
            self.complain(entry, f"labels {entry['labels']} at step {step}")
        self.told_at, self.due = at, at + (AGAIN_S if self.again else self.interval())

    def one(self, entry):
        at, was = entry["at"], self.state
        settles = entry["ack"] in SETTLED
        self.state, self.severity = entry["state"], entry["severity"]
        if entry["phase"] in ("start", "escalate"):
            self.begin(entry, at)
            return
        if entry["phase"] == "update" and not entry["ack"]:
            self.tell(entry, at)
            self.step = entry["step"]
            return
        if entry["step"] != self.step:
            self.complain(entry, f"step {entry['step']}, and nobody was told")
        if self.late(at) and was != "inactive":
            self.complain(entry, f"before it nobody was told, for {at - self.due:.1f} s")
        if settles:
            if self.acknowledged:
                self.complain(entry, "acknowledged a second time")
            self.acknowledged, self.due = True, None
        elif self.state == "inactive":
            self.due = None
        elif was == "inactive":     # it goes on today
            self.due = None if self.acknowledged else at + self.interval()
        elif self.state == "latched" and was == "active" and self.due is not None:
            self.due = max(self.due, at + WARNING_S)

    def begin(self, entry, at):
        if (entry["phase"] == "start") != (entry["revision"] == 1):
            self.complain(entry, f"phase {entry['phase']}")
        if self.late(at):
            self.complain(entry, f"before it nobody was told, for {at - self.due:.1f} s")
        if entry["step"] != 0:
            self.complain(entry, f"begins at step {entry['step']}")
        self.step, self.again, self.acknowledged = 0, False, False
        self.told_at, self.due = at, at + self.interval()


def histories(site, alive, until):
    entries = collections.defaultdict(list)
    for alert, revision, at, phase, state, severity, step, labels, outcome, author in site.query(
            "SELECT lower(hex(alert)),revision,at,phase,state,severity,step,labels,ack_outcome,ack_author FROM "
            "alert_history ORDER BY alert,revision"):
        entries[alert].append({"revision": revision, "at": instant(at), "phase": phase, "state": state, "step": step,
                               "severity": severity, "labels": json.loads(labels), "ack": outcome, "author": author})
    found = []
    for alert, staff, owned in site.query("SELECT lower(hex(uuid)),staff,resident IS NOT NULL FROM alert"):
        # the resident's: the doctor and the chain; for staff, before them: the station's, and alerting.chain
        last = 2 * staff - 1 + (1 + len(CHAIN)) * (owned or not staff)
        h = History(alert, entries.pop(alert, []), last, alive)
        h.follow(until)
        found.append(h)
    holds(not entries, f"histories of no alert: {list(entries)[:3]}")
    return found


def compare_histories(tap, site, persons, alive, until):
    found = histories(site, alive, until)
    complaints = [c for h in found for c in h.complaints]
    tells = sum(h.tells for h in found)
    tap.note(f"{len(found)} alerts, {sum(len(h.entries) for h in found)} revisions, {tells} times somebody else was told")
    tap.result(tells > 3 and not complaints, "revisions have no gap; no step is skipped, repeated, early or late",
               f"{tells} tells; " + "\n".join(complaints[:12]))
    rows = dict(site.query("SELECT lower(hex(uuid)),revision FROM alert"))
    odd = [h.alert for h in found if rows[h.alert] != len(h.entries)]
    tap.result(not odd, "an alert has as many revisions as its history", odd[:3])
    doubled = site.query(
        "SELECT token,condition,count(*) FROM alert a JOIN resident r ON r.id=a.resident WHERE a.state IN "
        "('active','latched') AND NOT EXISTS (SELECT 1 FROM json_each(doubts) WHERE value='overtaken') GROUP BY 1,2 "
        "HAVING count(*)>1")
    tap.result(not doubled, "a resident has one open alert of a condition", doubled)
    compare_acks(tap, persons, found)


def compare_acks(tap, persons, found):
    told, perhaps = collections.Counter(), collections.Counter()
    for alert, outcome, door, done in persons.said:
        told[alert, outcome, door] += done == "ok"
        perhaps[alert, outcome, door] += done == "unknown"
    there = collections.Counter((h.alert, e["ack"], e["author"].split(":")[0]) for h in found for e in h.entries if e["ack"])
    wrong = [(k, told[k], perhaps[k], there[k]) for k in set(told) | set(there)
             if not told[k] <= there[k] <= told[k] + perhaps[k]]
    tap.note("acknowledged: " + ", ".join(f"{door} {done} {n}" for (door, done), n in sorted(collections.Counter(
        (door, done) for _, _, door, done in persons.said).items())))
    tap.result(sum(told.values()) > KILLS / 8 and not wrong,
               "what was said to be acknowledged is so, once, by both doors",
               f"{sum(told.values())} told; (alert, outcome, door), told, perhaps, there: {wrong[:5]}")


def compare_platform(tap, site):
    history = {(alert, revision): rest for alert, revision, *rest in site.query(
        "SELECT lower(hex(alert)),revision,phase,state,severity,step,recipient,role FROM alert_history")}
    ledger = site.ledger("platform")
    there = {(e["id"], e["revision"]): e["object"] for e in ledger if e["event"] == "stored" and e["topic"] == "up/alert"}
    last = dict(site.query("SELECT lower(hex(uuid)),revision FROM alert"))
    # made in the moment before the end: on its way
    last_ones = {a for a, in site.query("SELECT lower(hex(uuid)) FROM outbox WHERE kind=1 AND state<>3")}
    missing = [a for a, n in last.items() if (a, n) not in there and a not in last_ones]
    tap.result(len(last) > 2 * len(last_ones) and not missing, "the platform has the last revision of each alert", f"{len(missing)}, {missing[:3]}")
    wrong = []
    for key, a in there.items():
        says = [a["phase"], a["state"], a["severity"], a["step"], a["to"]["token"], a["to"]["role"]]
        if history.get(key) != says:
            wrong.append((key, says, history.get(key)))
    tap.result(not wrong, "and of each revision that it has what the store has", f"{len(wrong)}, such as {wrong[:2]}")
    odd = [e for e in ledger if e["event"] in ("conflict", "invalid", "rejected")]
    tap.result(not odd, "nothing came twice with other words", odd[:2])


def main():
    tap = Tap()
    dice = random.Random(SEED)
    tap.note(f"{KILLS} kills in {SECONDS:.0f} s, seed {SEED}")
    devices = [cuff_device(n) for n in CUFFS] + [lab_device(n) for n in LABS]
    with Site(devices=devices, receipt_timeout=1, extra="alerting: {quiet: \"\", chain: S-0002}\n",
              tables={"escalate": ESCALATE, "within_s": 10}) as site:
        try:
            start(site, harness.build_slowdisk(site.dir))
            persons = Persons(site, random.Random(SEED))
            start_instruments(site)
            persons.start()
            alive = Alive()
            died = killing(site, dice, alive)
            tap.result(not died, "nothing ended by itself", f"{died} times: {site.log('core')[-500:]}")
            drain(site)
            tap.result(not untold(site), "everything that was measured was told in the end", sorted(untold(site))[:5])
            persons.finish()
            time.sleep(WARNING_S + 1)   # whose turn it is now
            wait_until(lambda: site.outbox() == 0, step=0.2)
            until = freeze(site, alive)
            compare_readings(tap, site)
            compare_histories(tap, site, persons, alive, until)
            compare_platform(tap, site)
        finally:
            if tap.failed:
                tap.note(site.tails())
    tap.done()


if __name__ == "__main__":
    main()
