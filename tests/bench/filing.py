# SPDX-License-Identifier: GPL-3.0-or-later
"""What filing costs with more residents and more stored readings: identity, visits and evidence through the rooms
(build/tests/scenario), without a platform and without fsync, so that nothing but the filing is measured. What the
kernel copies of a larger file stands beside it; the part `growth` has a floor for that."""
import datetime
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import tempfile

from harness import BUILD, ROOT

SITTINGS = 300          # check-ins of one run, each with READINGS
READINGS = 5
CUFFS = 50              # instruments on loan, one reading each after every tenth sitting


def config(store):
    devices = [{"id": f"{kind}-desk", "station": "desk-1"} for kind in ("cuff", "meter", "scale")]
    devices += [{"id": f"home-{i}"} for i in range(CUFFS)]
    return {"config": {"zone": "Asia/Shanghai", "gateway": "gw-0001", "store": store,
                       "stations": [{"id": "desk-1"}], "devices": devices}}


def run(lines):
    """The answers to what is asked."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([BUILD + "/tests/scenario"], input=text, capture_output=True, text=True, cwd=ROOT,
                          check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [json.loads(line)["answer"] for line in done.stdout.splitlines()]


def prefill(folder, residents, stored):
    rows = "".join(f"R-{i:05d},1950,hypertension;t2dm,D-0001,2026-01-01,2026-12-31\n" for i in range(1, residents + 1))
    run([config(folder),
         {"at": "2026-01-01T06:00:00", "cmd": "import", "by": "N-0001",
          "args": {"csv": "token,birth_date,programmes,doctor,valid_from,valid_to\n" + rows}},
         *({"at": "2026-01-01T06:10:00", "cmd": "bind", "by": "N-0001",
            "args": {"device": f"home-{i}", "resident": f"R-{i % residents + 1:05d}"}} for i in range(CUFFS)),
         {"at": "2026-01-01T06:20:00", "ask": "cost"}])
    db = sqlite3.connect(folder + "/vitalgate.db")
    db.executescript("PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000")
    body = ('{"values":{"bp.sbp":{"value":150,"unit":"mm[Hg]"},"bp.dbp":{"value":92,"unit":"mm[Hg]"}},"flags":[],"notes":{}}')
    # a year of it: id * 7919 % n goes through all residents, in an order that is not theirs
    step = 180 * 86400 * 10**6 // stored
    db.execute("INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,in_contract,test,arrived,"
               "boot_id,boot_us,taken,uncertainty_us,trust,body,content,raw,driver,tables_version,committed_boot_us) "
               "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<?1-1) SELECT randomblob(16),1,"
               "'final','bp',1,i*7919%?2+1,'device_binding','device',1,0,1767225600000000+i*?3,"
               "randomblob(16),i*?3,1767225600000000+i*?3,1000000,'corrected',?4,randomblob(16),randomblob(50),"
               "'lis01/1','codes:1',i*?3 FROM c", (stored, residents, step, body))
    for kind, milli in (("bp.sbp", 150000), ("bp.dbp", 92000)):
        db.execute("INSERT INTO evidence(resident,kind,taken,reading,milli,decimals,trust,tables_version) SELECT "
                   "resident,?,taken,id,?,0,trust,tables_version FROM reading", (kind, milli))
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def unit(at, device, key, kind, values):
    return {"at": at.isoformat(), "unit": {"device": device, "clock": None, "readings": [
        {"key": key, "kind": kind, "values": values, "taken": None, "live": True}]}}


def sittings(residents):
    """Residents who come to the desk one after the other, while others measure at home."""
    at = datetime.datetime(2026, 7, 6, 8)
    for n in range(SITTINGS):
        yield {"at": at.isoformat(), "cmd": "checkin", "by": "N-0001",
               "args": {"station": "desk-1", "resident": f"R-{n * 7919 % residents + 1:05d}", "purpose": "follow-up"}}
        for i, (device, kind, values) in enumerate((
                ("cuff-desk", "bp", {"bp.sbp": "150", "bp.dbp": "92", "bp.pulse": "70"}),
                ("cuff-desk", "bp", {"bp.sbp": "146", "bp.dbp": "90", "bp.pulse": "72"}),
                ("meter-desk", "glucose", {"glu.fasting": "7.2"}), ("scale-desk", "weight", {"weight": "65.3"}),
                ("cuff-desk", "bp", {"bp.sbp": "144", "bp.dbp": "88", "bp.pulse": "71"}))):
            yield unit(at + datetime.timedelta(seconds=60 + 62 * i), device, f"d{n}-{i}", kind, values)
        if n % 10 == 9:
            for i in range(CUFFS):
                yield unit(at + datetime.timedelta(seconds=400), f"home-{i}", f"h{n}-{i}", "bp",
                           {"bp.sbp": "138", "bp.dbp": "84"})
        at += datetime.timedelta(minutes=7)


def measure(residents, stored, rounds):
    """us of our own and of the kernel for a reading, KiB at the highest."""
    filed = SITTINGS * READINGS + SITTINGS // 10 * CUFFS
    full = tempfile.mkdtemp(prefix="vitalgate-filing-")
    try:
        prefill(full, residents, stored)
        costs = []
        for _ in range(rounds):
            once = tempfile.mkdtemp(prefix="vitalgate-filing-")
            shutil.copy(full + "/vitalgate.db", once)
            end = {"at": "2026-07-31T06:00:00", "ask": "cost"}
            before, after = run([config(once), {"at": "2026-07-05T06:00:00", "ask": "cost"},
                                 *sittings(residents), end])
            costs.append((*((after[part] - before[part]) / filed for part in ("user_us", "kernel_us")), after["peak_kib"]))
            shutil.rmtree(once)
        return [statistics.median(part) for part in zip(*costs)]
    finally:
        shutil.rmtree(full)


def filing(table, options):
    sizes = [(100, 10**2), (100, 10**6), (3000, 10**4), (30000, 10**2), (30000, 10**6)]
    if options.quick:
        sizes = [(100, 10**2), (3000, 10**4), (30000, 10**5)]
    subprocess.run(["make", "-s", "-C", ROOT, os.path.relpath(BUILD + "/tests/scenario", ROOT)], check=True)
    table.head("filing: check-in, identity, visit, evidence; CPU of a reading and memory at the highest")
    base = None
    for residents, stored in sizes:
        found = measure(residents, stored, 3 if options.quick else 5)
        base = base or found
        name = f"{residents} residents, {stored} stored"
        for unit, what, was, now in zip(("us", "us", "KiB"), ("", ": kernel", ": memory"), base, found):
            table.add(name + what, unit, was, now)
        if found is not base:
            table.aim(f"filing, {name}, to {sizes[0][0]} and {sizes[0][1]}: CPU", "x", 1.3, found[0] / base[0])
            table.aim(f"filing, {name}: memory", "x", 1.3, found[2] / base[2])
