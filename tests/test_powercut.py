#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power is cut while instruments deliver: what they were told is received must be there.

The store lies on an ext4 of its own in a loop device. EXT4_IOC_SHUTDOWN without flushing the
journal ends it in the middle of whatever it does, as a pulled plug would: from then on nothing
reaches the "disk", not even what the kernel had promised to write later. Then the daemon is killed,
the file system checked and mounted again, and the daemon has to start and to hold all that was
acknowledged.

The kernel has a weakness of its own: an fsync() that runs while the file system is shut down may
say yes to what is lost (in 73 of 1000 cuts of a bare file, always after the cut had begun). A
pulled plug has no such moment. What was acknowledged after the cut began is therefore not asked
for.

Needs root and loop devices. VITALGATE_CUTS: how many (15). VITALGATE_SEED: of their moments.
"""
import fcntl
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Site, Tap, cuff_device, lab_device, wait_until  # noqa: E402

CUTS = int(os.environ.get("VITALGATE_CUTS", "15"))
SEED = int(os.environ.get("VITALGATE_SEED", random.randrange(1 << 30)))
EXT4_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2
DISK_MB = 64
START_S = 20            # on a busy machine; by itself it takes 0.1 s
INSTRUMENTS = ("cuff-1", "cuff-2", "lab-1")
HIGH = "r.kind='bp' AND json_extract(r.body,'$.values.\"bp.sbp\".value')>=180"
DOUBTFUL = ("EXISTS (SELECT 1 FROM json_each({}.body,'$.flags') WHERE value IN"
            " ('body_movement','cuff_too_loose','improper_position'))")  # a clean one is asked for


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=300)


class PowerSite(Site):
    """A site whose store is a disk that loses its power."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.image, self.disk, self.device = self.path("disk.img"), self.path("store"), None
        self.doubtful = []  # (from, to): between a cut and the death of the daemon
        os.mkdir(self.disk)
        with open(self.image, "wb") as f:
            f.truncate(DISK_MB << 20)

    def mount(self):
        return run("mount", self.device, self.disk)

    def format(self):
        """Why it is not possible here; "" when it is. One loop device for the whole time, so that
        nobody works on what an older one remembers of the disk."""
        made = run("losetup", "--find", "--show", self.image)
        self.device = made.stdout.strip() or None
        if made.returncode == 0:
            made = run("mkfs.ext4", "-q", "-F", self.device)
        if made.returncode == 0:
            made = self.mount()
        return made.stderr.strip() or "mount failed" if made.returncode else ""

    def cut(self):
        fd = os.open(self.disk, os.O_RDONLY | os.O_DIRECTORY)
        try:
            begin = time.clock_gettime(time.CLOCK_BOOTTIME)  # the ledgers' clock
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)
        return begin

    def power_on(self):
        """After a cut: what e2fsck says, when it could not mend everything."""
        umounted = wait_until(lambda: run("umount", self.disk).returncode == 0)
        fsck = run("e2fsck", "-f", "-y", self.device)
        mounted = self.mount()
        if not umounted or fsck.returncode > 1 or mounted.returncode:
            return f"umount {umounted}; {fsck.stdout}{fsck.stderr}; {mounted.stderr}"
        return ""

    def close(self, keep=False):
        super().close(keep=True)
        run("umount", self.disk)
        if self.device:
            run("losetup", "--detach", self.device)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def rows(self, sql):
        path = self.path("store/vitalgate.db")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            return db.execute(sql).fetchall()

    def told(self, proven=False):
        """{(instrument, key): bytes of the record} that were acknowledged; `proven`: without those
        that were after a cut had begun."""
        return {(name, e["key"]): bytes.fromhex(e["hex"]) for name in INSTRUMENTS
                for e in self.ledger(name) if e["event"] == "told"
                and not (proven and any(a <= e["t"] <= b for a, b in self.doubtful))}

    def measured(self):
        return {(name, e["key"]) for name in INSTRUMENTS
                for e in self.ledger(name) if e["event"] == "measured"}


def start_instruments(site):
    """They have more to tell than any machine takes: something is delivered before each cut."""
    seconds = CUTS * 16
    for name, rate in (("cuff-1", 25), ("cuff-2", 10)):
        site.cuff(name, "--random", str(int(seconds * rate)), "--rate", str(rate), "--seed",
                  str(SEED), "--criticals", "0.3")
    site.analyser("lab-1", "--random", str(int(seconds * 10)), "--rate", "10", "--per-message",
                  "3", "--retry", "0.2", "--ack-timeout", "6", "--seed", str(SEED))


def missing(site, told):
    """What was acknowledged and is not there: neither as a reading nor as what it was kept as. Two
    specimens of one second may have the same bytes: then there must be two."""
    stored = Counter((name, raw.rstrip(b"\r\n")) for name, raw in site.rows(
        "SELECT name, raw FROM reading JOIN device ON device.id=device"
        " UNION ALL SELECT name, raw FROM event JOIN device ON device.id=device"
        " WHERE raw IS NOT NULL"))
    wanted = Counter((name, raw.rstrip(b"\r\n")) for (name, _), raw in told.items())
    return list((wanted - stored).elements())


def torn(site):
    """Units of which only a part is there."""
    found = []
    for what, sql in (
            ("readings without a row in the outbox",
             "SELECT count(*) FROM reading r WHERE NOT EXISTS"
             " (SELECT 1 FROM outbox o WHERE o.uuid=r.uuid AND o.revision=r.revision)"),
            ("outbox rows without a reading",
             "SELECT count(*) FROM outbox o WHERE kind=0 AND NOT EXISTS"
             " (SELECT 1 FROM reading r WHERE r.id=o.object)"),
            ("alerts without a row in the outbox",
             "SELECT count(*) FROM alert a WHERE NOT EXISTS"
             " (SELECT 1 FROM outbox o WHERE o.uuid=a.uuid)"),
            ("dangerous readings in no alert",
             f"SELECT count(*) FROM reading r WHERE {HIGH} AND NOT EXISTS (SELECT 1 FROM alert_reading ar"
             " JOIN alert a ON a.uuid=ar.alert WHERE ar.reading=r.uuid AND condition='bp-high')"
             f" AND NOT (({DOUBTFUL.format('r')}) AND (EXISTS (SELECT 1 FROM pending_repeat p WHERE p.reading=r.uuid)"
             # or a clean one of the same cuff settled it
             " OR EXISTS (SELECT 1 FROM reading c WHERE c.kind='bp' AND c.device=r.device AND c.id>r.id"
             f" AND NOT ({DOUBTFUL.format('c')}))))"),
            ("alerts without their readings",
             "SELECT count(*) FROM alert a WHERE readings<>(SELECT count(*) FROM alert_reading ar JOIN"
             " reading r ON r.uuid=ar.reading WHERE ar.alert=a.uuid) OR readings=0"),
            ("alerts without a history",
             "SELECT count(*) FROM alert a WHERE revision<>(SELECT count(*) FROM alert_history h WHERE h.alert=a.uuid)"),
            ("readings stored twice",
             "SELECT count(*) FROM (SELECT 1 FROM reading WHERE kind='bp'"
             " GROUP BY device, raw HAVING count(*)>1)")):
        n = site.rows(sql)[0][0]
        if n:
            found.append(f"{n} {what}")
    return found


def one_cut(site, dice):
    """What is wrong afterwards; [] when nothing is. Then the seconds that the start took."""
    before = len(site.told(proven=True))
    wait_until(lambda: len(site.told(proven=True)) > before + 3)
    time.sleep(dice.uniform(0, 1.2))
    begin = site.cut()
    time.sleep(dice.uniform(0, 0.2))
    site.kill("core")
    broken = site.power_on()
    # until now an instrument may have read, late, what the dead daemon said
    site.doubtful.append((begin, time.clock_gettime(time.CLOCK_BOOTTIME)))
    told = site.told(proven=True)
    begin = time.monotonic()
    started = site.core()
    took = time.monotonic() - begin
    if broken or not started:
        return [broken, f"started: {started}", site.log("core")[-500:]], took
    wrong = []
    if "set aside" in site.log("core"):
        wrong.append("the database was taken for damaged")
    check = site.rows("PRAGMA integrity_check")[0][0]
    wrong.append("" if check == "ok" else f"integrity_check: {check}")
    lost = missing(site, told)
    wrong.append(f"{len(lost)} acknowledged and lost, such as {lost[:3]}" if lost else "")
    if len(told) <= before:
        wrong.append("nothing was delivered in between: the test does not test")
    return [w for w in wrong + torn(site) if w], took


def main():
    tap = Tap()
    if os.geteuid() != 0 or not all(map(shutil.which, ("mkfs.ext4", "e2fsck", "losetup"))):
        tap.skip("power cuts", "needs root, e2fsprogs and loop devices")
        tap.done()
    dice = random.Random(SEED)
    print(f"# seed {SEED}", flush=True)
    site = PowerSite(devices=[cuff_device("cuff-1"), cuff_device("cuff-2"), lab_device("lab-1")],
                     extra="commit_rows: 64\n")
    with site:
        why = site.format()
        if why:
            tap.skip("power cuts", "no loop mount here: " + why.splitlines()[0])
            tap.done()
        site.core()
        start_instruments(site)
        slowest = 0
        for number in range(1, CUTS + 1):
            wrong, took = one_cut(site, dice)
            slowest = max(slowest, took)
            tap.result(not wrong, f"cut {number}: all that was acknowledged is there",
                       "\n".join(wrong))
        tap.result(slowest < START_S, f"the daemon starts within {START_S} s", f"{slowest:.1f} s")
        wanted = site.measured()  # so far: the instruments may not have finished
        done = wait_until(lambda: wanted <= set(site.told()), 240, 0.5)
        lost = missing(site, site.told(proven=True))
        tap.result(done and not lost, "in the end everything was delivered",
                   f"{len(wanted - set(site.told()))} were not told; lost {lost[:3]}")
        print(f"# {CUTS} cuts, {len(site.told())} records acknowledged, "
              f"{len(site.told()) - len(site.told(proven=True))} of them after a cut had begun, "
              f"{len(lost)} lost, slowest start {slowest:.2f} s", flush=True)
    tap.done()


if __name__ == "__main__":
    main()
