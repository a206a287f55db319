#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vitalgate costs, as ratios to what this machine allows: `make bench`, or bench.py --quick.

Wall times of one machine say little about another, and little about the same one an hour later. So
each figure stands beside a lower bound taken in the same run, in turns or at the same time with it:

    steps   one append of 4 KiB and fdatasync, then one QoS 1 publish and its PUBACK (bench/steps.c)
    floor   one thread that carries the same frames from the same sender through the same rows and
            the same messages to the same subscriber, and does nothing else (bench/floor.c)

Both sides see the sender bench/analysers.c and the subscriber in bench/ends.py. A table is printed,
everything goes to bench.json in the current directory. Nothing here passes or fails, but a lost
reading is shown.
"""
import argparse
import json
import os
import platform
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

from harness import ROOT, Site, wait_until

BENCH = os.path.join(ROOT, "tests", "bench")
sys.path.insert(0, BENCH)
from ends import (OUT, RESIDENTS, Side, Subscriber, boot_us, cpu_us, memory_kib,  # noqa: E402
                  switches)

LIBRARIES = {"analysers": ["-lutil"], "steps": ["-lpaho-mqtt3as"],
             "floor": ["-lpaho-mqtt3as", "-lsqlite3"]}
IN_MESSAGE = 100        # results of one message in a flood
FLOOR_TOPIC = "bench/floor/up/reading"


def build():
    os.makedirs(OUT, exist_ok=True)
    for name, libraries in LIBRARIES.items():
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-pthread", "-o",
                        f"{OUT}/{name}", f"{BENCH}/{name}.c", *libraries], check=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


# The site

def tty(name):
    return {"id": name, "driver": "lis01", "transport": "serial", "address": f"{{dir}}/{name}.tty",
            "patient_id": "token"}


def write_residents(site, programme):
    with open(site.path("residents.csv"), "w", encoding="ascii") as f:
        f.write("token,birth_date,sex,programmes,doctor,team\n")
        f.writelines(f"R-{i:04d},1950,F,{programme},D-0001,T-0001\n"
                     for i in range(1, RESIDENTS + 1))
    site.cli("import", site.path("residents.csv"))


def make_site(lines, absent=0):
    """Broker, core, uplink, residents whose programmes ask for no form. First devices: lab-1..."""
    devices = [tty(f"lab-{i + 1}") for i in range(lines)]
    devices += [tty(f"tty-{i}") for i in range(absent // 2)]
    devices += [{"id": f"cuff-{i}", "driver": "bt_blp", "transport": "ble",
                 "address": f"unix:{{dir}}/cuff-{i}.sock"} for i in range(absent - absent // 2)]
    site = Site(devices=devices, receipt="broker")
    if not (site.broker() and site.core()):
        raise RuntimeError(site.log("broker") + site.log("core"))
    site.uplink()
    write_residents(site, "elderly")
    wait_until(lambda: "connected" in site.log("core"))
    return site


def start_floor(site, links, database="floor.db"):
    return site.start("floor", [OUT + "/floor", str(site.port), site.path(database),
                                ROOT + "/daemon/schema.sql", FLOOR_TOPIC, *links])


def both_sides(site, subscriber, lines):
    """Both sides with `lines` lines each, both up."""
    floor_links = [site.path(f"floor-{i + 1}.tty") for i in range(lines)]
    floor = Side("floor", site, subscriber, FLOOR_TOPIC, floor_links)
    start_floor(site, floor_links)
    ours = Side("vitalgate", site, subscriber, site.base + "/up/reading",
                [site.path(f"lab-{i + 1}.tty") for i in range(lines)])
    return floor, ours


# The table

class Table:
    def __init__(self):
        self.rows, self.lost, self.doubles = [], 0, 0

    def head(self, text):
        print(f"\n{text}\n{'':44}{'floor':>11}{'vitalgate':>11}{'ratio':>8}", flush=True)

    def add(self, name, unit, floor, value, ratio=None, note=""):
        """`ratio`: of vitalgate to the floor; from pairs of runs, else of the two figures."""
        if ratio is None and floor and value is not None:
            ratio = value / floor
        self.rows.append({"name": name, "unit": unit, "floor": floor, "vitalgate": value,
                          "ratio": ratio, "note": note})
        shown = [f"{v:>11.{0 if v >= 1000 else 1 if v >= 10 else 2}f}" if v is not None else
                 f"{'-':>11}" for v in (floor, value)]
        print(f"{name + ', ' + unit:44}{shown[0]}{shown[1]}"
              f"{f'{ratio:8.2f}' if ratio is not None else '       -'}  {note}", flush=True)

    def account(self, *runs):
        for run in runs:
            self.lost += run["lost"]
            self.doubles += run["doubles"]


def median_pairs(table, name, unit, floors, values, note=""):
    table.add(name, unit, statistics.median(floors), statistics.median(values),
              statistics.median(v / f for f, v in zip(floors, values)), note)


# The measurements

def measure_idle(table, site, seconds):
    """30 devices, none of them there. The floor has a broker and no lines."""
    start_floor(site, [])
    time.sleep(3)
    names = ("core", "uplink", "floor")
    pids = {n: site.processes[n].pid for n in names}
    before = {n: (switches(p), cpu_us(p)) for n, p in pids.items()}
    begin = time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - begin
    after = {n: (switches(p), cpu_us(p)) for n, p in pids.items()}
    wakes, cpu = ({n: (after[n][i] - before[n][i]) / span for n in names} for i in (0, 1))
    memory = {n: memory_kib(p) for n, p in pids.items()}
    site.kill("floor")
    table.head("idle, 30 devices that are not there (floor: paho alone)")
    for name in ("core", "uplink"):
        table.add(f"{name}: context switches", "1/s", wakes["floor"], wakes[name])
        table.add(f"{name}: CPU", "us/s", cpu["floor"], cpu[name])
    return memory


def measure_latency(table, site, floor, ours, rate, seconds):
    """All three at the same time, a third of a period apart: the same noise for all."""
    steps = subprocess.Popen(
        [OUT + "/steps", str(site.port), site.dir, str(rate), str(seconds), "0"],
        stdout=subprocess.PIPE, text=True)
    result = {}
    order = (1, 1, "message", rate, seconds)
    thread = threading.Thread(target=lambda: result.update(floor=floor.run(*order, 0.33)))
    thread.start()
    result["ours"] = ours.run(*order, 0.66)
    thread.join()
    single = [[int(n) / 1000 for n in line.split()] for line in steps.communicate()[0].splitlines()]
    table.account(result["floor"], result["ours"])
    table.head(f"{rate} readings/s, one a message: us from the last byte, n={result['ours']['n']}")
    columns = {"fdatasync alone": [a for a, _ in single], "PUBACK alone": [b for _, b in single],
               "fdatasync + PUBACK": [a + b for a, b in single]}
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        bound = {k: percentile(v, share) for k, v in columns.items()}
        both = bound["fdatasync + PUBACK"]
        (arrive, told), (low, low_told) = (
            [percentile(result[side][what], share) for what in ("arrive_us", "told_us")]
            for side in ("ours", "floor"))
        table.add(f"{name} at the subscriber", "us", low, arrive, None,
                  f"{arrive / both:.2f} x (fdatasync + PUBACK = {bound['fdatasync alone']:.0f} + "
                  f"{bound['PUBACK alone']:.0f} us, together {both:.0f})")
        table.add(f"{name} until the instrument is told", "us", low_told, told)
        table.rows[-2]["steps_us"] = bound
    table.add("CPU of a reading", "us", *(sum(result[k]["cpu_us"]) for k in ("floor", "ours")),
              None, "core {:.0f} + uplink {:.0f}".format(*result["ours"]["cpu_us"]))


def flood_rows(table, name, floors, runs, streams=()):
    table.account(*floors, *runs, *streams)
    others = [statistics.median(r["others_us"][i] for r in runs) for i in range(3)]
    core, uplink = (statistics.median(r["cpu_us"][i] for r in runs) for i in (0, 1))
    most = [r["per_s"] / s["per_s"] for r, s in zip(runs, streams)]
    median_pairs(table, f"{name}: readings", "1/s", [f["per_s"] for f in floors],
                 [r["per_s"] for r in runs],
                 f"{statistics.median(most):.2f} x stream" if most else "")
    median_pairs(table, f"{name}: CPU", "us", [sum(f["cpu_us"]) for f in floors],
                 [sum(r["cpu_us"]) for r in runs],
                 f"core {core:.0f} + uplink {uplink:.0f}; beside: sender {others[0]:.0f}, "
                 f"broker {others[1]:.0f}, subscriber {others[2]:.0f}")


def in_turns(rounds, *measures):
    """Lists of what each measure gave; every second round they run the other way round."""
    results = [[] for _ in measures]
    for turn in range(rounds):
        for result, measure in list(zip(results, measures))[::-1 if turn % 2 else 1]:
            result.append(measure())
    return results


def measure_flood(table, site, floor, ours, rounds, seconds):
    """Stream: one line that waits for no answers, the most that the floor can."""
    table.head(f"flood, {IN_MESSAGE} results a message, {rounds} x {seconds} s, in turns")
    streams = []

    def flood(lines, shape, text, how_long=seconds):
        order = (lines, IN_MESSAGE, shape, 0, how_long)
        *both, stream = in_turns(rounds, lambda: floor.run(*order), lambda: ours.run(*order),
                                 lambda: floor.run(1, IN_MESSAGE, "stream", 0, how_long))
        flood_rows(table, f"{lines} x {text}", *both, stream)
        streams.extend(stream)

    for shape, text in (("message", "a message a frame"), ("results", "a result a frame")):
        for lines in (1, 4, 8):
            flood(lines, shape, text)
    write_residents(site, "t2dm")
    flood(4, "message", "the same, follow-up drafts", min(seconds, 0.1))
    table.add("stream: readings", "1/s", statistics.median(r["per_s"] for r in streams), None)
    table.add("stream: CPU", "us", statistics.median(sum(r["cpu_us"]) for r in streams), None)


def memory_rows(table, site, idle):
    after = {n: memory_kib(site.processes[n].pid) for n in ("core", "uplink", "floor")}
    for when, memory in (("idle", idle), ("after the flood", after)):
        table.head(f"memory {when}, KiB")
        for name in ("core", "uplink"):
            for kind in ("rss", "pss", "anon"):
                table.add(f"{name}: {kind}", "KiB", memory["floor"][kind], memory[name][kind])


def uplink_ready(site):
    wait_until(lambda: "connected" in json.dumps(site.cli("status")["uplink"]))


def first_reading(side, names):
    """ms from exec of `names` to the first reading at the subscriber, which an instrument has."""
    for name in names:
        side.site.kill(name)
    side.subscriber.clear(side.topic)
    side.sender.order(1, 1, "message", 0, 0.001)
    time.sleep(0.1)
    begin = boot_us()
    for name in names:
        side.site.restart(name)
    seen, _ = side.subscriber.arrivals(side.topic, side.sender.first, 1)
    side.sender.started()
    side.sender.sent()
    return (min(seen.values(), default=begin) - begin) / 1000


def killed(side, name, serving=None):
    """ms from SIGKILL, with the next start at once, to the arrival of the first reading sent after
    it; 100 readings/s. `serving`: gets the ms until the core's socket answers."""
    times = []

    def kill():
        time.sleep(0.4)
        times.append(boot_us())
        side.site.kill(name)
        side.site.restart(name)
        if serving is not None:
            wait_until(side.site.answers, 60, 0.001)
            serving.append((boot_us() - times[0]) / 1000)

    ours = side.name == "vitalgate"
    run = side.run(1, 1, "message", 100, 2, meanwhile=kill, patience=60 if ours else 0.5)
    if ours:        # the floor forgets what it had not published
        side.accounts.append(run)
    later = [when for n, when in run["seen"].items() if run["sent"][n][0] > times[0]]
    return (min(later, default=times[0]) - times[0]) / 1000


def measure_start(table, site, floor, ours, rounds, what):
    def start_ours():
        taken = first_reading(ours, ["core", "uplink"])
        uplink_ready(site)
        return taken

    def kill_core():
        taken = killed(ours, "core", serving)
        uplink_ready(site)
        return taken

    serving, ours.accounts = [], []
    floors, starts, floor_kills, cores, uplinks = in_turns(
        rounds, lambda: first_reading(floor, ["floor"]), start_ours,
        lambda: killed(floor, "floor"), kill_core, lambda: killed(ours, "uplink"))
    table.account(*ours.accounts)
    table.head(f"start, {what}, {rounds} times each, in turns")
    median_pairs(table, "core and uplink: first reading", "ms", floors, starts)
    median_pairs(table, "core killed: next reading", "ms", floor_kills, cores)
    table.add("core killed: its socket answers", "ms", None, statistics.median(serving))
    median_pairs(table, "uplink killed: next reading", "ms", floor_kills, uplinks)


def prefill(path, total):
    """Readings of a year, as the daemon stores them, until there are `total`."""
    db = sqlite3.connect(path)
    db.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-200000; PRAGMA temp_store=MEMORY")
    have = db.execute("SELECT count(*) FROM reading").fetchone()[0]
    body = ('{"values":{"glu.random":{"value":5.2,"unit":"mmol/L","received":"5.2",'
            '"ws":"DE04.50.102.00","loinc":"14743-9","mdc":"160184"}},"flags":[],'
            '"notes":{"specimen":"S-000000000"}}')
    # id * 7919 % n goes through all residents, in an order that is not theirs
    db.execute(
        "INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,in_contract,"
        "test,device_time,arrived,boot_id,boot_us,offset_us,taken,uncertainty_us,trust,body,"
        "patient_hash,content,raw,driver,tables_version,committed_boot_us) "
        "WITH RECURSIVE c(i) AS (SELECT ? UNION ALL SELECT i+1 FROM c WHERE i<?-1) "
        "SELECT randomblob(16),1,'final','lab',1,i*7919%?+1,'message_token','message',0,0,"
        "'2026-01-01T08:00:00',1767225600000000+i*30000000,randomblob(16),i*30000000,0,"
        "1767225600000000+i*30000000,1000000,'corrected',?,randomblob(32),randomblob(16),"
        "randomblob(50),'lis01/1','codes:1 units:1 local_codes:1',i*30000000 FROM c",
        (have, total, RESIDENTS, body))
    db.execute(
        "INSERT INTO evidence SELECT resident,'glu.random',taken,id,5200,1,NULL,trust,"
        "tables_version FROM reading WHERE id>(SELECT coalesce(max(reading),0) FROM evidence)")
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def measure_growth(table, site, floor, ours, sizes, rounds, seconds):
    """The same flood upon few and upon many stored readings. The floor uses the daemon's own
    database while the daemon is stopped."""
    links = site.commands["floor"][0][5:]
    order = (1, IN_MESSAGE, "message", 0, seconds)
    results = []
    for size in sizes:
        begin = time.monotonic()
        site.kill("core", 15)
        site.kill("floor")
        prefill(site.path("store/vitalgate.db"), size)
        print(f"({size} readings stored after {time.monotonic() - begin:.0f} s)", flush=True)
        floors, runs = [], []
        for _ in range(rounds):
            start_floor(site, links, "store/vitalgate.db")
            floors.append(floor.run(*order))
            time.sleep(0.1)     # its last deletes
            site.kill("floor")
            site.restart("core")
            wait_until(site.answers, 60)
            uplink_ready(site)
            runs.append(ours.run(*order))
            site.kill("core", 15)
        table.head(f"flood upon {size} stored readings, {rounds} x {seconds} s, in turns")
        flood_rows(table, "1 x a message a frame", floors, runs)
        results.append((floors, runs))
        site.restart("core")
        wait_until(site.answers, 60)
    (few_f, few), (many_f, many) = results
    table.head(f"growth: {sizes[1]} against {sizes[0]} stored readings, as a factor")
    for name, of in (("CPU of a reading", lambda r: sum(r["cpu_us"])),
                     ("readings/s", lambda r: r["per_s"])):
        factor = [statistics.median(map(of, b)) / statistics.median(map(of, a))
                  for a, b in ((few_f, many_f), (few, many))]
        table.add(name, "x", *factor)


def first_site(table, options):
    quick = options.quick
    site = make_site(8, 22)
    with site:
        subscriber = Subscriber(site.port, [site.base + "/up/reading", FLOOR_TOPIC])
        idle = measure_idle(table, site, 2 if quick else 10)
        floor, ours = both_sides(site, subscriber, 8)
        measure_latency(table, site, floor, ours, 10, 2 if quick else 15)
        measure_latency(table, site, floor, ours, 100, 1 if quick else 8)
        measure_flood(table, site, floor, ours, 1 if quick else 3, 0.1 if quick else 0.7)
        memory_rows(table, site, idle)
        for end in (floor.sender, ours.sender, subscriber):
            end.close()


def second_site(table, options):
    quick = options.quick
    site = make_site(1)
    sizes = (10000, 100000) if quick else (10000, 1000000)
    with site:
        subscriber = Subscriber(site.port, [site.base + "/up/reading", FLOOR_TOPIC])
        floor, ours = both_sides(site, subscriber, 1)
        measure_start(table, site, floor, ours, 1 if quick else 3, "nothing stored")
        measure_growth(table, site, floor, ours, sizes, 1 if quick else 3, 0.2 if quick else 1)
        start_floor(site, site.commands["floor"][0][5:])
        measure_start(table, site, floor, ours, 1 if quick else 3, f"{sizes[1]} readings stored")
        for end in (floor.sender, ours.sender, subscriber):
            end.close()


def main():
    parser = argparse.ArgumentParser(description="Costs of vitalgate against lower bounds.")
    parser.add_argument("--quick", action="store_true", help="about 20 s, for a first look")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))   # what we started is ended
    build()
    load = os.getloadavg()[0]
    table = Table()
    print(f"{os.cpu_count()} CPUs, kernel {platform.release()}, load {load:.1f} before we began"
          f"{'; quick: for a first look only' if options.quick else ''}")
    begin = time.monotonic()
    first_site(table, options)
    second_site(table, options)
    print(f"\nlost: {table.lost}, twice: {table.doubles}; {time.monotonic() - begin:.0f} s, "
          f"load {os.getloadavg()[0]:.1f} after")
    with open("bench.json", "w", encoding="utf-8") as f:
        json.dump({"quick": options.quick, "cpus": os.cpu_count(), "kernel": platform.release(),
                   "load_before": load, "load_after": os.getloadavg()[0], "lost": table.lost,
                   "doubles": table.doubles, "rows": table.rows}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    sys.exit(main())
