#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own clock is wrong, is set, is set wrong, and the machine starts again: the real daemon under a
clock that can be set (clock_steps/wrongclock.c), simulated instruments, the simulated platform.

The instruments' ledgers say by CLOCK_BOOTTIME when something was measured; what the platform has
in the end must say the same, each thing once, and in the order in which it was told.
VITALGATE_ONLY=name runs one of the sites.
"""
import collections
import json
import os
import random
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from zoneinfo import ZoneInfo

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import Failure, Site, Skip, Tap, cuff_device, holds, lab_device, same, wait_until  # noqa: E402

tap = Tap()
HOUR, DAY = 3600, 86400
TEN_YEARS = 3653 * DAY
# Of an instant: an instrument's clock shows whole seconds, and a busy machine takes its time from looking at it to
# noting that. The least step here is half an hour.
NEAR_S = 10


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Clock:
    """The clock of one gateway."""

    def __init__(self, folder, shim):
        self.path, self.shim = os.path.join(folder, "clock"), shim
        self.set(0, False)

    def set(self, ahead_s, synced=False):
        """So far ahead of the machine's; synced: a time server says that it is right."""
        if not os.path.exists(self.path):
            with open(self.path, "wb") as f:
                f.write(bytes(16))
        with open(self.path, "r+b", buffering=0) as f:
            f.seek(8)  # what the kernel says of it is never better than it is
            f.write(struct.pack("q", 0))
            f.seek(0)
            f.write(struct.pack("q", int(ahead_s * 1000000)))
            f.seek(8)
            f.write(struct.pack("q", int(synced)))

    def set_to(self, utc_s, synced=False):
        self.set(utc_s - time.time(), synced)

    def env(self, boot_id=None):
        env = {"LD_PRELOAD": self.shim, "WRONGCLOCK": self.path}
        return dict(env, WRONGCLOCK_BOOT_ID=boot_id) if boot_id else env


def build_shim(folder):
    made = harness.BUILD + "/tests/wrongclock.so"
    if os.path.exists(made):
        return made
    own = os.path.join(folder, "wrongclock.so")
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-fPIC", "-shared", "-o", own,
                    harness.ROOT + "/tests/clock_steps/wrongclock.c", "-ldl", "-pthread"], check=True)
    return own


def record(sys_, dia):
    return json.dumps({"sys": sys_, "dia": dia, "map": dia + (sys_ - dia) // 3, "pulse": 72,
                       "unit": "mmHg", "time": "now"})


def result(value):
    return json.dumps({"patient": "R-0002", "specimen": "S-1", "test": "GLU", "value": value,
                       "unit": "mmol/L", "flag": "N", "status": "F", "time": "now"})


STATION = "stations: [{id: desk-1}]\n"


def start(site, clock, boot_id=None):
    """Broker, core under its clock, platform, uplink."""
    holds(site.broker() and site.core(clock.env(boot_id)), "not started" + site.tails())
    site.platform("--verbose")
    holds(wait_until(lambda: "connected 0" in site.log("platform")), "no platform" + site.tails())
    site.uplink(clock.env())
    site.roster()
    site.cli("import", site.path("roster.csv"))


def again(site, clock, boot_id=None):
    """A power cut; with a boot id, of the machine: another CLOCK_BOOTTIME as well, if we may."""
    site.kill("core")
    ahead = ("unshare", "--time", "--boottime", str(random.randrange(DAY, 9 * DAY)))
    may = boot_id and subprocess.run([*ahead, "true"], capture_output=True).returncode == 0
    holds(site.core(clock.env(boot_id), ahead if may else ()),
          "not started again" + site.tails())


def measure(site, name, text):
    """One measurement, told; its key."""
    before = {e["key"] for e in site.events(name, "measured")}
    site.control(name, "record " + text)
    new = wait_until(lambda: [e["key"] for e in site.events(name, "measured")
                              if e["key"] not in before])
    holds(new and wait_until(lambda: new[0] in told(site, name)),
          f"{name} was not heard: {site.ledger(name)[-4:]}{site.tails()}")
    return new[0]


def told(site, name):
    return {e["key"] for e in site.events(name, "told")}


def revisions(site):
    """What the platform has: {id: [reading, its next revision ..]}."""
    found = collections.defaultdict(list)
    for (name, _), r in sorted(site.received("up/reading").items(), key=lambda x: x[0][1]):
        found[name].append(r)
    return found


def values(r):
    v = r["values"]
    return (v["bp.sbp"]["value"], v["bp.dbp"]["value"]) if "bp.sbp" in v else \
        next(iter(v.values()))["received"]


def events(site, kind):
    return [e for e in site.received("up/event").values() if e["type"] == kind]


def noticed(site, steps):
    """The core knows of so many steps of its clock, and with the last of them that there is something to repair."""
    count = lambda: site.query("SELECT count(*) FROM event WHERE type='clock_stepped'")[0][0]  # noqa: E731
    holds(wait_until(lambda: count() >= steps), f"{count()} of {steps} steps were noticed" + site.tails())


def settled(site, seconds=harness.PATIENCE_S):
    """Nothing is left to repair or to send; a core that has just begun may not know yet that there is."""
    return wait_until(lambda: not site.query("SELECT 1 FROM clock_repair") and
                      site.outbox() == 0, seconds, 0.1)


def repaired(site):
    """The end of a repair, once the platform was told of it and of all else."""
    return wait_until(lambda: events(site, "clock_repaired")) and settled(site)


def measured_at(site, name):
    """{key: when it was measured}: the instruments' clocks are the machine's, and right."""
    return {e["key"]: shown(e["record"]["time"]) for e in site.events(name, "measured")}


def shown(text):
    """The instant at which an instrument's clock shows this."""
    digits = "".join(c for c in text if c.isdigit())
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(
        tzinfo=ZoneInfo(Site.ZONE)).timestamp()


def check_ledgers(site, names, every_one=True):
    """Each thing that was told is at the platform once, in order, and in the end with its instant."""
    odd = [e for e in site.ledger("platform") if e["event"] in ("conflict", "invalid", "rejected")]
    holds(not odd, f"{len(odd)} such as {odd[:2]}")
    for name in names:
        mine = sorted((rs for rs in revisions(site).values() if rs[0]["device"]["id"] == name),
                      key=lambda rs: rs[0]["seq"])
        keys = [e["key"] for e in site.events(name, "measured") if e["key"] in told(site, name)]
        records = {e["key"]: e["record"] for e in site.events(name, "measured")}
        same(len(mine), len(keys), f"{name}: readings at the platform, of what was told")
        at = measured_at(site, name)
        for key, rs in zip(keys, mine):  # in order of the first telling
            last = rs[-1]
            same([r["revision"] for r in rs], list(range(1, len(rs) + 1)), f"revisions of {key}")
            want = records[key]
            wanted = (want["sys"], want["dia"]) if "sys" in want else want["value"]
            same(values(rs[0]), wanted, f"{name} {key}: the order of the tellings")
            off = instant(last["time"]["taken"]) - at[key]
            if every_one:
                holds(abs(off) <= NEAR_S, f"{name} {key} is off by {off:.0f} s: {json.dumps(last)}")
                same(last["time"]["trust"], "corrected" if name.startswith("cuff") else "device",
                     f"trust of {name} {key} {json.dumps(last['time'])}")


# --- sites


def born_in_1970(site, clock, shim):
    clock.set_to(1000)
    start(site, clock)
    site.cli("bind", "cuff-1", "R-0001", "--from", "2020-01-01")
    site.cuff("cuff-1")
    site.analyser("lab-1")
    with tap.case("1970: readings come labelled, and a dangerous one is an alert at once", site):
        measure(site, "cuff-1", record(121, 81))
        measured = time.time()
        measure(site, "cuff-1", record(201, 121))
        # the clock is not set before it: it may not wait for that
        holds(wait_until(lambda: site.received("up/alert")), "no alert" + site.tails())
        first, = site.received("up/alert").values()
        holds("clock_unknown" in first["labels"] and first["raised"].startswith("1970-"), first)
        measure(site, "lab-1", result("6.1"))
        holds(wait_until(lambda: len(revisions(site)) == 3), "not all came" + site.tails())
        for rs in revisions(site).values():
            same((rs[0]["time"]["trust"], "uncertainty_s" in rs[0]["time"]), ("unknown", False))
    with tap.case("1970: a kill -9, and it goes on in 1970", site):
        again(site, clock)
        measure(site, "cuff-1", record(122, 82))
        holds(wait_until(lambda: len(revisions(site)) == 4), "not all came" + site.tails())
        same(events(site, "clock_repaired"), [])
    with tap.case("the clock is set, and killed in the middle of it: the same ids, dated", site):
        clock.set(0)
        again(site, clock)
        holds(repaired(site), "not repaired" + site.tails())
        holds(all(len(rs) > 1 for rs in revisions(site).values()), "no second revision" + site.tails())
        check_ledgers(site, ["cuff-1", "lab-1"])
        same({rs[-1]["resident"] for rs in revisions(site).values()}, {"R-0001", "R-0002"})
        once, = events(site, "clock_repaired")
        same(once["detail"], "4 readings")
        stepped, = events(site, "clock_stepped")
        holds(stepped["detail"].startswith("from 1970-01-01T00:"), stepped)
    with tap.case("the doctor is told of it, dated and in doubt no more; staff's alert says when it was", site):
        doctors_and_staffs(site, first, measured)
    with tap.case("a time server says so, too: nothing is told again", site):
        holds(settled(site), "not settled" + site.tails())
        before = len(site.received())
        clock.set(0, synced=True)
        again(site, clock)
        measure(site, "cuff-1", record(123, 83))
        holds(wait_until(lambda: len(revisions(site)) == 5), "it did not come" + site.tails())
        holds(settled(site), "not settled" + site.tails())
        same(len(site.received()), before + 1)
    earlier_boot(site, clock)


def newest_alerts(site):
    newest = {}
    for (name, revision), a in site.received("up/alert").items():
        if revision >= newest.get(name, a)["revision"]:
            newest[name] = a
    return newest


def doctors_and_staffs(site, first, measured):
    """Nobody's alert stays what staff were told, but for its instants; whose it was is known by the cuff alone."""
    alerts = wait_until(lambda: (lambda found: len(found) > 1 and found)(newest_alerts(site)))
    holds(alerts, "nobody was told whose it was" + site.tails())
    old, (new,) = alerts.pop(first["id"]), alerts.values()
    same((old["resident"], old["to"], old["state"]), (None, first["to"], "active"))
    holds({"identity_changed", "clock_unknown"} <= set(old["labels"]), old["labels"])
    same((new["resident"], new["to"], new["condition"], new["severity"], new["shown"], new["readings"]),
         ("R-0001", {"role": "doctor", "token": "D-0001"}, "bp-high", "critical", first["reading"], 1))
    holds("clock_unknown" not in new["labels"], new)
    for a in (old, new):
        for key in ("since", "raised"):
            holds(measured - NEAR_S < instant(a[key]) < time.time() + NEAR_S, a)


def checked_in(site, clock, shim):
    """A morning in 1970 at a station: who was there when is known all the same."""
    clock.set_to(5000)
    start(site, clock)
    site.cuff("cuff-1")
    with tap.case("checked in and measured while nobody knew the time", site):
        site.cli("checkin", "desk-1", "R-0001", "--purpose", "follow-up")
        measure(site, "cuff-1", record(131, 81))
        site.cli("checkin", "desk-1", "R-0003", "--purpose", "follow-up")
        measure(site, "cuff-1", record(133, 83))
        site.cli("checkout", "desk-1")
        holds(wait_until(lambda: len(revisions(site)) == 2), "not all came" + site.tails())
    with tap.case("the time is known: whose it was, at a trusted time, in a visit of today", site):
        time.sleep(2.5)  # past the readings, which are dated to a second
        clock.set(0, synced=True)
        holds(repaired(site), "not repaired" + site.tails())
        last = {values(rs[-1]): rs[-1] for rs in revisions(site).values()}
        same([(last[v]["time"]["trust"], last[v]["resident"]) for v in ((131, 81), (133, 83))],
             [("corrected", "R-0001"), ("corrected", None)], json.dumps(last[131, 81]))
        same(last[133, 83]["identity"]["evidence"], "between_two_checkins")  # in one minute
        today = datetime.now(ZoneInfo(Site.ZONE)).date().isoformat()
        same({d for d, in site.query("SELECT day FROM visit")}, {today})
        wrong = site.query("SELECT * FROM checkin WHERE from_us<1700000000000000 OR "
                           "to_us<1700000000000000")
        same(wrong, [])


def earlier_boot(site, clock):
    with tap.case("a boot whose clock never became known: its readings stay labelled", site):
        clock.set_to(2000)
        again(site, clock, "6e6f2073-7563-6820-626f-6f7420310000")
        measure(site, "cuff-1", record(124, 84))
        holds(wait_until(lambda: len(revisions(site)) == 6), "it did not come" + site.tails())
        clock.set(0)
        again(site, clock, "6e6f2073-7563-6820-626f-6f7420320000")
        measure(site, "cuff-1", record(125, 85))
        holds(settled(site), "not settled" + site.tails())
        found = {values(rs[-1]): rs for rs in revisions(site).values()}
        same([r["time"]["trust"] for r in found[124, 84]], ["unknown"])
        same([r["time"]["trust"] for r in found[125, 85]], ["corrected"])


MEASURED, TESTED = 120, 60
STEPS = [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS]


def steps(site, clock, shim):
    """A step by hand into the middle of the delivery, and a time server that puts it right, again and
    again; a kill in between."""
    clock.set(0, synced=True)
    start(site, clock)
    site.cli("bind", "cuff-1", "R-0001", "--from", "2020-01-01")
    site.cuff("cuff-1", "--random", str(MEASURED), "--rate", "10", "--criticals", "0.3", "--cuff-errors", "0",
              "--seed", "7")
    site.analyser("lab-1", "--random", str(TESTED), "--rate", "5", "--per-message", "2", "--retry", "0.3",
                  "--ack-timeout", "6", "--patients", "4", "--criticals", "0.1")
    with tap.case("+1 h, -1 h, +10 y, -10 y in the middle of the delivery, and right again", site):
        for i, ahead_s in enumerate(STEPS):
            time.sleep(1)
            clock.set(ahead_s)
            delivered = len(told(site, "cuff-1"))
            time.sleep(1)
            noticed(site, 2 * i + 1)
            holds(wait_until(lambda n=delivered: len(told(site, "cuff-1")) > n + 3), "nothing by the wrong clock")
            if i % 2:
                site.kill("core")
            clock.set(0, synced=True)
            if i % 2:
                holds(site.core(clock.env()), "not started again" + site.tails())
            noticed(site, 2 * i + 2)
        for name, count in (("cuff-1", MEASURED), ("lab-1", TESTED)):
            holds(wait_until(lambda n=name, m=count: len(told(site, n)) == m, 180), f"{name} waits")
        holds(settled(site, 180), "not settled" + site.tails())
    with tap.case("nothing is lost, told twice or out of order; all instants are right", site):
        check_steps(site)
    with tap.case("each step was told, and each repair; alerts were never late", site):
        same(len(events(site, "clock_stepped")), 2 * len(STEPS), "steps")
        holds(events(site, "clock_repaired"), "no repair was told")
        check_alerts(site)
    with tap.case("and nobody thought that the instruments' clocks had been set", site):
        same(events(site, "clock_epoch"), [])


def check_steps(site):
    readings = [r for (_, revision), r in site.received("up/reading").items() if revision == 1]
    holds(len([r for r in readings if r["time"]["trust"] == "unknown"]) > 3, "never in 2016")
    check_ledgers(site, ["cuff-1"])
    for rs in revisions(site).values():  # the analyser also sends what becomes no reading
        r = rs[-1]
        if r["device"]["id"] == "lab-1":
            off = instant(r["time"]["arrived"]) - shown(r["time"]["device"])
            holds(-NEAR_S <= off < HOUR / 2, f"off by {off} s: {json.dumps(r)}")  # it may wait its turn


def alerted(site):
    """When the platform first had an alert that has this reading, by the reading."""
    counts = {}
    for e in site.ledger("platform"):
        if e["event"] == "stored" and e["topic"] == "up/alert":
            a = e["object"]
            holds(a["to"]["token"] or a["phase"] == "end", f"told to nobody: {a}")
            counts.setdefault(a["id"], []).append((e["t"], a.get("readings", 0)))
    found = {}
    for alert, reading, n in site.query("SELECT lower(hex(alert)),lower(hex(reading)),n FROM alert_reading WHERE level=3"):
        times = [t for t, count in counts.get(alert, []) if count >= n]
        if times:
            found[reading] = min(times + [found.get(reading, times[0])])
    return found


def asked_for(site):
    """When the platform first heard that a doubtful one has to be measured again, by the reading's first digits;
    and those that are settled, or wait still."""
    asked, waiting = {}, {r for r, in site.query("SELECT lower(substr(hex(reading),1,8)) FROM pending_repeat")}
    for e in site.ledger("platform"):
        if e["event"] == "stored" and e["topic"] == "up/event":
            reading = e["object"].get("detail", "")[len("reading "):][:8]
            if e["object"]["type"] == "repeat_requested":
                asked.setdefault(reading, e["t"])
            elif e["object"]["type"] == "repeat_done":
                waiting.add(reading)
    return asked, waiting


DOUBTS = 0x23  # of a cuff: body movement, too loose, improper position


def check_alerts(site):
    """Every dangerous one is in an alert; of a doubtful one a repeat is asked for; the platform had that with the
    reading itself, however long a kill or a busy machine held up both."""
    alerts, (asked, kept) = alerted(site), asked_for(site)
    first, came = {}, {}
    for e in site.ledger("platform"):
        if e["event"] == "stored" and e["topic"] == "up/reading" and e["revision"] == 1:
            first[values(e["object"]) + (e["object"]["time"]["device"],)
                  if e["object"]["kind"] == "bp" else e["id"]] = e["id"]
            came[e["id"]] = e["t"]
    dangerous = [e for e in site.events("cuff-1", "told") if e["record"]["class"] == "critical"]
    holds(len(dangerous) > 10, "too few")
    last = {}
    for e in dangerous:
        r = e["record"]
        name = first.get((r["sys"], r["dia"], r["time"]))
        holds(name, f"not stored: {r}")
        if r["status"] & DOUBTS:
            holds(name[:8] in kept or name in alerts, f"nobody repeats {r}")
        known = asked.get(name[:8]) if r["status"] & DOUBTS else alerts.get(name)
        holds(known, f"nobody knows of {r}")
        last[name] = known - max(came[name], e["t"])
    late = [v for v in last.values() if v > 6]
    holds(not late, f"late: {late}")


LEAD_S = 6  # for the daemon and the cuff to start in
ZONES = [
    # zone, instants at which its clocks are set: ahead, back
    ("Europe/Berlin", "2027-03-28T01:00:00Z", "2026-10-25T01:00:00Z"),
    ("America/Santiago", "2026-09-06T04:00:00Z", "2027-04-04T03:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2027-04-03T15:00:00Z"),
    ("Asia/Shanghai", "2027-03-28T01:00:00Z", "2026-10-25T01:00:00Z"),
]


def zone(case, shim):
    """The clocks of a zone are set while a cuff delivers: the cuff's follows, its memory does not."""
    name, moment = case
    site = Site([cuff_device("cuff-1")])
    site.ZONE = name
    site.write_config([cuff_device("cuff-1")])
    clock = Clock(site.dir, shim)
    with site, tap.case(f"{name}, clocks are set at {moment}", site):
        ahead = instant(moment) - LEAD_S - time.time()
        clock.set(ahead, synced=True)
        holds(site.broker() and site.core(clock.env()), "not started" + site.tails())
        site.start("cuff-1", [harness.PYTHON, harness.SIM + "/cuff.py", "--name", "cuff-1",
                              "--ledger", site.path("cuff-1.ledger"), "--control",
                              site.path("cuff-1.ctl"), "--listen", site.path("cuff-1.sock"),
                              "--idle", "0.3"], {"TZ": name, **clock.env()})
        for i in range(5):
            time.sleep(max(0, instant(moment) - 3.5 + 1.5 * i - ahead - time.time()))
            measure(site, "cuff-1", record(120 + i, 80))
        rows = site.query("SELECT json_extract(body,'$.values.\"bp.sbp\".value'),taken,trust FROM "
                          "reading WHERE superseded=0 ORDER BY id")
        same([r[0] for r in rows], [120 + i for i in range(5)])
        to_utc = time.time() - boottime() + ahead
        wanted = [e["t"] + to_utc for e in site.events("cuff-1", "measured")]
        if wanted[0] > instant(moment):
            raise Skip(f"on so busy a machine the first measurement came {wanted[0] - instant(moment):.0f} s late")
        for row, want in zip(rows, wanted):
            holds(abs(row[1] / 1e6 - want) < NEAR_S and row[2] == "corrected",
                  f"{row} is off by {row[1] / 1e6 - want:.0f} s; all: {rows}")
        stepped = site.query("SELECT count(*) FROM event WHERE type='clock_stepped'")
        same(stepped, [(0,)], "steps of our own clock")


SITES = {
    "checked_in": ([cuff_device("cuff-1", station="desk-1")], checked_in),
    "born_in_1970": ([cuff_device("cuff-1"), lab_device("lab-1")], born_in_1970),
    "steps": ([cuff_device("cuff-1"), lab_device("lab-1")], steps),
}


def run(name, shim):
    devices, call = SITES[name]
    with Site(devices, extra=STATION) as site:
        try:
            call(site, Clock(site.dir, shim), shim)
        except Exception as error:  # outside a case
            tap.result(False, f"{name}: {error}", site.tails())


def main():
    only = os.environ.get("VITALGATE_ONLY")
    with Site() as folder:
        shim = build_shim(folder.dir)
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(run, name, shim) for name in SITES if only in (None, name)]
            jobs += [pool.submit(zone, (name, moment), shim) for name, *moments in ZONES
                     for moment in moments if only in (None, "zones", name)]
            for job in jobs:
                job.result()
    tap.done()


if __name__ == "__main__":
    main()
