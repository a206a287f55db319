#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing slow may hold up the rest: a disk that hangs, a dead name server. What is asked for is what happens
meanwhile, and not how quickly: the machine, too, may be slow.

The slow disk is slowdisk.c under LD_PRELOAD; its log says when bytes were on disk, the simulators'
ledgers say when an instrument heard of it. The name server is ours, on a loopback address that only
the programs under test know (a mount namespace with its own resolv.conf: root).
"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import (Beats, Site, Skip, Tap, cuff_device, holds, lab_device, same,  # noqa: E402
                     wait_until)

tap = Tap()
STALL_S = 1         # of each fsync of a slow disk
HANG_S = 600        # of one that hangs, until the test lets it go
NAME = "platform.vitalgate.test"
NAME_SERVER = "127.0.0.153"
LOOKUP_S = 30       # for which a look-up waits before it asks again: whoever waits for it, waits for so long
HELD_S = 15         # for which a busy machine may take


def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def record(high):
    return "record " + json.dumps({"sys": high, "dia": 75, "map": 90, "pulse": 70, "unit": "mmHg",
                                   "time": "now"})


def result(specimen, value="5.0"):
    return "record " + json.dumps({"patient": "R-0002", "specimen": specimen, "test": "GLU",
                                   "value": value, "unit": "mmol/L", "flag": "N", "status": "F",
                                   "time": "now"})


def spans(site, name):
    """[(measured, first sent, told)] of each record of an instrument; None: not yet."""
    found = {}
    for e in site.ledger(name):
        if "key" in e:
            found.setdefault(e["key"], {}).setdefault(e["event"], e["t"])
    return [(f.get("measured"), f.get("sent"), f.get("told")) for f in found.values()]


def all_told(site, name, count):
    holds(wait_until(lambda: sum(s[2] is not None for s in spans(site, name)) >= count),
          f"{name}: {count} should be told, found (measured, sent, told) {spans(site, name)}")
    return spans(site, name)


def connects(path):
    """Does the control socket take a connection? It must not wait for the disk."""
    with socket.socket(socket.AF_UNIX) as s:
        return not s.connect_ex(path)


# --- a stalled disk


def syncs(site):
    """[(begun, done)] of the syncs of the database so far, in seconds of CLOCK_BOOTTIME."""
    return [(e["begun_us"] / 1e6, e["done_us"] / 1e6)
            for e in harness.read_ledger(site.path("syncs")) if "vitalgate.db" in e["file"]]


def on_disk(site, sent, told_):
    """Was there a sync that began after the record went out and ended before it was confirmed?"""
    return [s for s in syncs(site) if sent <= s[0] and s[1] <= told_]


def slow(site, ms):
    with open(site.path("slow.new"), "w", encoding="utf-8") as f:
        f.write(str(ms))
    os.rename(site.path("slow.new"), site.path("slow"))


def stalled_disk():
    devices = [cuff_device("cuff-1"), cuff_device("cuff-2"),
               lab_device("lab-1"), lab_device("lab-2")]
    with Site(devices=devices) as site:
        beats = Beats(site.path("notify"))
        env = {"LD_PRELOAD": harness.build_slowdisk(site.dir), "SLOWDISK_MS": site.path("slow"),
               "SLOWDISK_LOG": site.path("syncs"), "SLOWDISK_BEGUN": site.path("begun"), **beats.env}
        slow(site, 0)
        holds(site.broker() and site.core(env), "broker or core did not start")
        site.platform()
        site.uplink()
        site.cuff("cuff-1", "--idle", "0", "--always")
        site.cuff("cuff-2", "--idle", "0")  # out of reach until it has something to tell
        site.analyser("lab-1", "--ack-timeout", "60")
        site.analyser("lab-2", "--ack-timeout", "60")
        site.cli("import", site.roster())
        for name, text in (("cuff-1", record(120)), ("lab-1", result("S-1")),
                           ("lab-2", result("S-2"))):
            site.control(name, text)
            all_told(site, name, 1)
        wait_until(lambda: site.outbox() == 0)
        stalled_disk_traffic(site, beats)
        stalled_disk_cases(site, beats)


def wait_for(check, what):
    holds(wait_until(check), f"while the disk hung: {what}")


def stalled_disk_traffic(site, beats):
    """A record of a cuff and a result hang in a sync that does not end; meanwhile come a second cuff and a second
    analyser. Then the disk is just slow."""
    slow(site, HANG_S * 1000)
    site.hung = now()
    site.control("cuff-1", record(121))
    site.control("lab-1", result("S-10"))
    for name in ("cuff-1", "lab-1"):
        wait_for(lambda n=name: len([s for s in spans(site, n) if s[1]]) == 2, f"{name} did not send")
    wait_for(lambda: [e for e in harness.read_ledger(site.path("begun"))
                      if "vitalgate.db" in e["file"] and e["begun_us"] > site.hung * 1e6], "no sync")
    fed = len(beats.times)
    site.control("cuff-2", record(130))
    site.control("lab-2", result("S-20"))
    for _ in range(20):     # more than wait in a queue
        wait_for(lambda: connects(site.path("run/control.sock")), "the control socket took no connection")
    wait_for(lambda: [s for s in spans(site, "cuff-2") if s[1]], "cuff-2 did not send")
    wait_for(lambda: len([s for s in spans(site, "lab-2") if s[1]]) == 2, "lab-2 did not send")
    wait_for(lambda: len(beats.times) >= fed + 3, "the watchdog was not fed")
    site.released = now()
    slow(site, STALL_S * 1000)
    for n in (1, 2):
        site.control("cuff-1", record(121 + n))
        site.control("lab-1", result(f"S-1{n}"))
    for name, count in (("cuff-1", 4), ("lab-1", 4), ("lab-2", 2), ("cuff-2", 1)):
        all_told(site, name, count)


def stalled_disk_cases(site, beats):
    tap.note(f"hung for {site.released - site.hung:.1f} s, {len(syncs(site))} syncs")
    for name, what in (("cuff-1", "an indication is confirmed"), ("lab-1", "a LIS ACK comes")):
        with tap.case(f"slow disk: {what} only after its bytes are on disk", site):
            hung, *others = all_told(site, name, 4)[1:]
            holds(hung[2] > site.released, f"{hung}: told while the disk hung, until {site.released}")
            for _, sent, told in (hung, *others):
                holds(told - sent >= STALL_S, f"sent {sent}, told {told}: no sync took so little")
                holds(on_disk(site, sent, told), f"sent {sent}, told {told}; syncs {syncs(site)}")
    with tap.case("slow disk: no link was dropped, nothing was told twice", site):
        for name in ("cuff-1", "cuff-2", "lab-1", "lab-2"):
            same(site.events(name, "closed", "lost", "refused", "error"), [], name)
            keys = [e["key"] for e in site.events(name, "sent")]
            same(len(keys), len(set(keys)), f"sendings of {name}")
    with tap.case("slow disk: another cuff is discovered, read and subscribed in one sync", site):
        in_one_sync(site, site.events("cuff-2", "connected")[0]["t"], all_told(site, "cuff-2", 1)[0][1])
    with tap.case("slow disk: ENQ and the frames before a result are answered in one sync", site):
        in_one_sync(site, *all_told(site, "lab-2", 2)[1][:2])
    with tap.case("slow disk: the control socket takes connections, and the watchdog is fed", site):
        fed = [t for t in beats.times if site.hung < t < site.released]
        holds(len(fed) >= 3, f"fed at {fed}")
        holds("READY=1" in beats.words, f"no READY=1: {beats.words[:3]}")
    with tap.case("slow disk: when it is fast again, all is at the platform", site):
        slow(site, 0)
        holds(wait_until(lambda: len(site.received("up/reading")) == 11),
              f"{len(site.received('up/reading'))} of 11 readings came")
        holds(wait_until(lambda: site.outbox() == 0), f"{site.outbox()} rows wait")


def in_one_sync(site, begin, end):
    holds([s for s in syncs(site) if s[0] < begin and end < s[1]],
          f"it took from {begin} to {end}; the syncs: {syncs(site)}")


# --- a dead name server


class NameServer:
    """Keeps every question to itself until wake(): NAME is 127.0.0.1."""

    def __init__(self):
        self.awake, self.asked, self.lock = False, [], threading.Lock()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.sock.bind((NAME_SERVER, 53))
        except OSError as error:
            raise Skip(f"cannot listen on {NAME_SERVER}:53: {error.strerror}") from error
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, peer = self.sock.recvfrom(4096)
            with self.lock:
                self.asked.append((query, peer))
                if self.awake:
                    self.sock.sendto(self.answer(query), peer)

    def wake(self):
        """Whoever waits is answered, too."""
        with self.lock:
            self.awake = True
            for query, peer in self.asked:
                self.sock.sendto(self.answer(query), peer)

    @staticmethod
    def answer(query):
        """RFC 1035: the question back, and one A record if it asks for one; else no data."""
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        kind, = struct.unpack(">H", question[-4:-2])
        body = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + bytes([127, 0, 0, 1])
        a = kind == 1
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, a, 0, 0)
        return head + question + (body if a else b"")


def namespace(site):
    """A command prefix: what it starts sees a resolv.conf of ours."""
    with open(site.path("resolv.conf"), "w", encoding="utf-8") as f:
        f.write(f"nameserver {NAME_SERVER}\noptions timeout:{LOOKUP_S} attempts:5\n")
    prefix = ["unshare", "-m", "--propagation", "private", "sh", "-c",
              f"mount --bind {site.path('resolv.conf')} /etc/resolv.conf && exec \"$0\" \"$@\""]
    if os.geteuid():
        raise Skip("needs root")
    done = subprocess.run([*prefix, "true"], capture_output=True, text=True)
    if done.returncode:
        raise Skip("no mount namespace: " + done.stderr.strip())
    return prefix


def dead_name_server():
    with Site(devices=[cuff_device("cuff-1"), lab_device("lab-1")], host=NAME) as site:
        with tap.case("dead name server: the uplink hangs in its look-up, and nobody else", site):
            prefix, names = namespace(site), NameServer()
            beats = Beats(site.path("notify"))
            site.broker()
            holds(site.core(beats.env, prefix), "no core")
            site.uplink(prefix=prefix)
            site.platform("--verbose")
            site.cli("import", site.roster())
            site.cuff("cuff-1", "--idle", "0", "--always")
            site.analyser("lab-1")
            holds(wait_until(lambda: names.asked), "nobody asked the name server")
            begin, slowest = now(), 0
            for n in range(20):
                site.control("cuff-1", record(110 + n))
                site.control("lab-1", result(f"S-{n}"))
                asked = now()
                site.cli("status")
                slowest = max(slowest, now() - asked)
                time.sleep(0.4)
            for name in ("cuff-1", "lab-1"):
                late = [t - s for _, s, t in all_told(site, name, 20) if t - s > HELD_S]
                same(late, [], f"{name}: seconds from sent to told, where above {HELD_S}")
            tap.note(f"the name server was asked {len(names.asked)} times in {now() - begin:.0f} s; "
                     f"slowest status {slowest:.2f} s")
            holds(slowest < HELD_S, f"`status` took {slowest:.2f} s")
            gap = beats.longest_gap(begin, now())
            holds(gap < HELD_S, f"longest gap between two watchdog messages: {gap:.2f} s")
            same(site.received(), {}, "at the platform")
            holds(wait_until(lambda: site.cli("status")["uplink"]["platform"]["state"] == "no_broker"),
                  site.cli("status")["uplink"])
        if site.running("core"):
            with tap.case("dead name server: once it answers, everything arrives", site):
                names.wake()
                holds(wait_until(lambda: len(site.received("up/reading")) == 40, 180, 0.2),
                      f"{len(site.received('up/reading'))} of 40 readings came")
                holds(wait_until(lambda: site.outbox() == 0), f"{site.outbox()} rows wait")


def main():
    for site in (stalled_disk, dead_name_server):
        try:
            site()
        except Exception as error:  # outside a case: the site itself did not come up
            tap.result(False, f"{site.__name__}: could not go on", repr(error))
    tap.done()


if __name__ == "__main__":
    main()
