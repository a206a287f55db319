# SPDX-License-Identifier: GPL-3.0-or-later
"""What stored readings cost, in inserts and in starts, and whether a checkpoint is felt."""
import os
import shutil
import sqlite3
import statistics
import threading
import time

from harness import wait_until

from ends import RESIDENTS, boot_us
from pipeline import IN_MESSAGE, Pipeline, flood_rows, measure_start, start_floor, uplink_ready
from table import in_turns, percentile

FREE = 2 * 10**10       # bytes of the disk, for ten million readings
NEAR_US = 30000         # so long before and after a checkpoint a commit may feel it


def prefill(path, total):
    """Readings of a year, as the daemon stores them, until there are `total`."""
    db = sqlite3.connect(path)
    db.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000; "
                     "PRAGMA temp_store=MEMORY")
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


def start_core(site):
    site.restart("core")
    wait_until(site.answers, 120)
    uplink_ready(site)


def measure_size(table, p, size, rounds, seconds):
    """Upon `size` readings: CPU of a reading in a flood (floor, ours) and one at a time (ours). The
    floor uses the daemon's own database while the daemon is stopped."""
    begun = time.monotonic()
    p.site.kill("core", 15)
    p.site.kill("floor")
    prefill(p.site.path("store/vitalgate.db"), size)
    print(f"({size} readings stored after {time.monotonic() - begun:.0f} s)", flush=True)
    flood, single = (1, IN_MESSAGE, "message", 0, seconds), (1, 1, "message", 100, 2 * seconds)

    def run_floor():
        start_floor(p.site, p.floor_links, "store/vitalgate.db")
        run = p.floor.run(*flood)
        time.sleep(0.1)     # its last deletes
        p.site.kill("floor")
        return run

    def run_ours():
        start_core(p.site)
        runs = p.ours.run(*flood), p.ours.run(*single)
        p.site.kill("core", 15)
        return runs

    floors, pairs = in_turns(rounds, run_floor, run_ours)
    runs, singles = zip(*pairs)
    table.head(f"flood upon {size} stored readings, {rounds} x {seconds} s, in turns")
    flood_rows(table, "1 x a message a frame", floors, runs)
    table.account(*singles)
    cpu = [statistics.median(sum(r["cpu_us"]) for r in of) for of in (floors, runs, singles)]
    told = statistics.median(percentile(r["told_us"], 0.5) for r in singles)
    table.add("100 readings/s: CPU", "us", None, cpu[2])
    table.add("100 readings/s: p50 until told", "us", None, told)
    start_core(p.site)
    return {"floor": cpu[0], "flood": cpu[1], "single": cpu[2], "told": told}


def measure_growth(table, p, sizes, rounds, seconds):
    few, *more = [measure_size(table, p, size, rounds, seconds) for size in sizes]
    for size, many in zip(sizes[1:], more):
        table.head(f"growth: {size} against {sizes[0]} stored readings, as a factor")
        factor = {key: many[key] / few[key] for key in few}
        table.add("flood: CPU of a reading", "x", factor["floor"], factor["flood"])
        table.add("100 readings/s: CPU of a reading", "x", None, factor["single"])
        table.add("100 readings/s: p50 until told", "x", None, factor["told"])
        for key, name in (("single", "100 readings/s"), ("flood", "flood")):
            table.aim(f"insert cost, {name}, {size} to {sizes[0]} stored: CPU", "x", 1.3,
                      factor[key])


# Checkpoints

class Checkpoints:
    """When the database file itself was written to, which only a checkpoint does: [(begin, end)],
    in microseconds of boot time."""

    def __init__(self, path):
        self.path, self.seen, self.over = path, [], False
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        last = os.stat(self.path).st_mtime_ns
        while not self.over:
            time.sleep(0.002)
            now, written = boot_us(), os.stat(self.path).st_mtime_ns
            if written != last:
                if self.seen and now - self.seen[-1][1] < 50000:
                    self.seen[-1][1] = now
                else:
                    self.seen.append([now, now])
            last = written

    def near(self, when_us):
        return any(begin - NEAR_US < when_us < end + NEAR_US for begin, end in self.seen)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def steady(p, seconds, held):
    """100 readings/s. `held`: somebody reads an old state of the database all the while, so that no
    checkpoint can do anything."""
    path = p.site.path("store/vitalgate.db")
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    if held:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM outbox").fetchone()
        p.ours.run(1, 1, "message", 100, 1)     # the checkpoint of what was there before
    with Checkpoints(path) as checkpoints:
        run = p.ours.run(1, 1, "message", 100, seconds)
    reader.close()
    near = [told - written for written, told in run["sent"].values() if checkpoints.near(told)]
    return {"run": run, "checkpoints": len(checkpoints.seen), "near": near}


def measure_checkpoints(table, p, rounds, seconds, what):
    free, held = in_turns(rounds, lambda: steady(p, seconds, False),
                          lambda: steady(p, seconds, True))
    table.account(*(s["run"] for s in free + held))
    count = sum(s["checkpoints"] for s in free)
    print(f"\n100 readings/s, {rounds} x {seconds} s, {what}: us until the instrument is told, "
          f"medians\n{'':44}{'without':>11}{'with':>11}{'ratio':>8}", flush=True)
    longest, p99 = ([[of(s["run"]["told_us"]) for s in side] for side in (held, free)]
                    for of in (max, lambda told: percentile(told, 0.99)))
    rows = {"longest": longest, "p99": p99, "longest within 30 ms of a checkpoint":
            [longest[0], [max(s["near"], default=0) for s in free]]}
    print(f"{'checkpoints seen':44}{sum(s['checkpoints'] for s in held):>11}{count:>11}")
    for name, (without, with_them) in rows.items():
        ratio = statistics.median(b / a for a, b in zip(without, with_them))
        print(f"{name:44}{statistics.median(without):>11.0f}{statistics.median(with_them):>11.0f}"
              f"{ratio:>8.2f}", flush=True)
        table.keep("checkpoints", {"of": what, "seen": count, "name": name, "without_us": without,
                                   "with_us": with_them, "ratio": ratio})
    table.aim(f"checkpoint near: longest commit to longest without, {what}", "x", 1.5,
              ratio if count >= 2 else None)


def growth(table, options):
    quick = options.quick
    sizes = [10000, 100000] if quick else [10000, 1000000]
    with Pipeline(1) as p:
        if options.full and shutil.disk_usage(p.site.dir).free > FREE:
            sizes.append(10000000)
        elif not quick:
            print("\n(ten million stored readings: only with --full and 20 GB of free disk)")
        rounds = 1 if quick else 3
        measure_start(table, p, rounds, 0)
        measure_growth(table, p, sizes, rounds, 0.2 if quick else 0.7)
        measure_checkpoints(table, p, rounds, 2 if quick else 3, f"{sizes[-1]} stored")
        if not quick:
            start_floor(p.site, p.floor_links)
            measure_start(table, p, 2, sizes[-1])
