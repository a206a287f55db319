# SPDX-License-Identifier: GPL-3.0-or-later
"""BLE meters (meters.c) on simulated links: confirmations, floods, streams, and 30 at rest.

A link here is a unix socket that carries the same PDUs: what radio, kernel and controller add is
not in these figures.
"""
import calendar
import os
import re
import statistics
import subprocess
import time
import tty as terminal

from harness import Site, wait_until

from ends import OUT, Analysers, Side, Subscriber, boot_us, cpu_us
from idle import enrolled
from pipeline import FLOOR_TOPIC, begin, flood_rows, start_floor, steps
from table import in_turns, percentile

CUFFS, OXIMETERS = 8, 16
AGO = 100 * 86400       # cuffs date their measurements from so many seconds ago on
DATED = re.compile(rb'"device":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"')


def seconds_of(text):
    return calendar.timegm(time.strptime(text.decode(), "%Y-%m-%dT%H:%M:%S"))


class Readings(Subscriber):
    """Knows a cuff's reading by what its clock showed: no two are the same."""

    def on_message(self, _client, _data, message):
        now = boot_us()
        with self.lock:
            self.messages[message.topic].append((now, message.payload))
            self.counts[message.topic] += len(DATED.findall(message.payload))

    def arrivals(self, topic, number_of_first, count, seconds=60):
        if topic == FLOOR_TOPIC:
            return super().arrivals(topic, number_of_first, count, seconds)
        seen, doubles = {}, 0
        wait_until(lambda: self.counts[topic] >= count, seconds)
        with self.lock:
            messages = list(self.messages[topic])
        for when, payload in messages:
            for number in map(seconds_of, DATED.findall(payload)):
                if number >= number_of_first:
                    doubles += number in seen
                    seen.setdefault(number, when)
        return seen, doubles


class Meters(Analysers):
    """The sender, one process with a socket for each link."""

    next_number = int(time.time()) - AGO

    def __init__(self, kind, paths):
        self.process = subprocess.Popen([OUT + "/meters", kind, *paths], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        wait_until(lambda: all(map(os.path.exists, paths)))

    def order(self, links, rate, amount, phase=0.0):
        self.first = Meters.next_number
        Meters.next_number += 20000
        self.process.stdin.write(f"run {links} {rate} {amount} {phase} {self.first}\n")
        self.process.stdin.flush()


class Cuffs(Side):
    def __init__(self, site, subscriber, paths):
        self.name, self.site, self.subscriber = "vitalgate", site, subscriber
        self.topic = site.base + "/up/reading"
        self.sender = Meters("cuff", paths)


# Confirmations

class Ward(Site):
    """Cuffs, each bound to a resident; beside them the pipeline's floor with as many analysers."""

    def __init__(self):
        super().__init__(receipt="broker", devices=[
            {"id": f"cuff-{i + 1}", "driver": "bt_blp", "transport": "ble",
             "address": f"unix:{{dir}}/cuff-{i + 1}.sock"} for i in range(CUFFS)])

    def open(self):
        begin(self)
        for i in range(CUFFS):
            self.cli("bind", f"cuff-{i + 1}", f"R-{i + 1:04d}", "--from", "2020-01-01")
        subscriber = Readings(self.port, [self.base + "/up/reading", FLOOR_TOPIC])
        self.ours = Cuffs(self, subscriber,
                          [self.path(f"cuff-{i + 1}.sock") for i in range(CUFFS)])
        links = [self.path(f"floor-{i + 1}.tty") for i in range(CUFFS)]
        self.floor = Side("floor", self, subscriber, FLOOR_TOPIC, links)
        self.ends = [self.floor.sender, self.ours.sender, subscriber]
        start_floor(self, links)
        for _ in range(2):      # all that a reading needs is in memory
            self.floor.run(CUFFS, 1, "message", 0, 0.1)
            self.ours.run(CUFFS, 0, 0.1)

    def close(self, keep=False):
        for end in getattr(self, "ends", []):
            end.close()
        super().close(keep)


def measure_confirmations(table, ward, links, rate, rounds, seconds):
    """Against one step, and in the notes against the floor. Percentiles are of all rounds together:
    one has too few for a p99."""
    order = (rate / links, seconds)
    singles, floors, runs = in_turns(
        rounds, lambda: steps(ward, rate, seconds),
        lambda: ward.floor.run(links, 1, "message", *order), lambda: ward.ours.run(links, *order))
    table.account(*floors, *runs)
    table.head(f"{rate} indications/s over {links} BLE links, {rounds} x {seconds} s, in turns; "
               "us; floor: one step")
    every = [step for single in singles for step in single]
    for share, name, at_most in ((0.5, "p50", 1.5), (0.99, "p99", 2)):
        for text, step, least, what in (
                ("until confirmed", "fdatasync", [disk for disk, _ in every], "told_us"),
                ("at the subscriber", "fdatasync + PUBACK", list(map(sum, every)), "arrive_us")):
            ours, floor = (percentile([us for r in of for us in r[what]], share)
                           for of in (runs, floors))
            ratio = table.add(f"{name} {text}", "us", percentile(least, share), ours,
                              note=f"floor: {step}; {ours / floor:.2f} x the pipeline's floor, "
                              f"{floor:.0f} us")
            table.aim(f"{name} {text}, {rate} indications/s", "x " + step, 2.5, ratio)
            table.aim(f"{name} {text}, {rate} indications/s", "x pipeline's floor", at_most,
                      ours / floor)
    core, uplink = (statistics.median(r["cpu_us"][i] for r in runs) for i in (0, 1))
    table.add_pairs("CPU of a reading; floor: the pipeline's", "us",
                    *([sum(r["cpu_us"]) for r in side] for side in (floors, runs)),
                    f"core {core:.0f} + uplink {uplink:.0f}")


def measure_flood(table, ward, rounds, seconds):
    """The floor speaks no ATT but has the same duty: on each link by itself a reading, a commit, an
    answer. Its readings have one value, a cuff's have four."""
    table.head(f"flood of indications, {rounds} x {seconds} s, in turns; floor: the pipeline's, "
               "a result a frame")
    worst = [flood_rows(table, f"{links} x BLE", *in_turns(
        rounds, lambda n=links: ward.floor.run(n, 100, "results", 0, seconds),
        lambda n=links: ward.ours.run(n, 0, seconds))) for links in (1, 4, 8)]
    table.aim("flood of indications: worst of 1, 4 and 8 links", "x floor", None, min(worst), 0.7)


# Streams

# One packet of data format 2, of a public test; also in tests/captures/nonin.
NONIN = bytes.fromhex("018101008301800148ca01800161e301800130b201800100820180010082018001"
                      "0082018001008201800161e301800161e301800161e30180010082018001008201"
                      "8001008201800148ca01800161e301800161e30180010082018001008201800100"
                      "8201800148ca018001008201800148ca01800100820180010082")
NONIN_PER_S = 3


class Ptys:
    """Nonin oximeters on serial lines, sent to in turns."""

    def __init__(self, paths):
        self.masters = []
        for path in paths:
            master, slave = os.openpty()
            terminal.setraw(slave)
            os.symlink(os.ttyname(slave), path)
            os.close(slave)
            self.masters.append(master)

    def send(self, rate, count):
        """`count` packets on each, `rate` a second."""
        begin, n = time.monotonic(), len(self.masters)
        for i in range(n * count):
            time.sleep(max(0, begin + i / n / rate - time.monotonic()))
            os.write(self.masters[i % n], NONIN)

    def close(self):
        for master in self.masters:
            os.close(master)


def watched(site, names, work):
    """What `work` returns, and us of CPU of each of the processes meanwhile."""
    pids = [site.processes[name].pid for name in names]
    before = [cpu_us(pid) for pid in pids]
    result = work()
    return result, [cpu_us(pid) - b for pid, b in zip(pids, before)]


class Monitors(Site):
    """Oximeters of one driver and nothing else; N in their address is the number."""

    def __init__(self, driver, transport, address):
        self.links = [address.replace("N", str(i)) for i in range(OXIMETERS)]
        super().__init__(receipt="broker", devices=[
            {"id": f"oximeter-{i}", "driver": driver, "transport": transport, "address": link,
             "options": {"mode": "continuous"}} for i, link in enumerate(self.links)])

    def open(self, make_sender):
        """Returns who has the other ends."""
        sender = make_sender([self.path(os.path.basename(link)) for link in self.links])
        begin(self)
        wait_until(lambda: self.log("core").count(": connected (") >= OXIMETERS, 20)
        time.sleep(1)
        return sender


def stream(site, names, meters, *order):
    """One run of them: {"per_s", "cpu_ms": of 1,000 notifications, of each process}."""
    def work():
        meters.order(*order)
        meters.started()
        return meters.sent().values()

    stamps, cpu = watched(site, names, work)
    took = max(taken for _, taken in stamps) - min(written for written, _ in stamps)
    return {"per_s": len(stamps) / took * 1e6, "cpu_ms": [c / len(stamps) for c in cpu]}


def stream_rows(table, name, floors, runs):
    """Returns the CPU of 1,000 as a factor of the floor's."""
    core, uplink = (statistics.median(r["cpu_ms"][i] for r in runs) for i in (0, 1))
    note = f"core {core:.2f} + uplink {uplink:.2f}"
    if not floors:
        return table.add(f"{name}: CPU", "ms", None, core + uplink, note=note)
    return table.add_pairs(f"{name}: CPU", "ms", *([sum(r["cpu_ms"]) for r in side]
                                                   for side in (floors, runs)), note)


def measure_streams(table, rounds, seconds, count):
    """As they stream, and as fast as they are taken, so that what a notification costs is not lost
    in what a wake-up costs."""
    table.head(f"oximeters that stream, {rounds} times, in turns: CPU of 1,000 notifications; "
               "floor: taken and stamped")
    with Monitors("bt_plx", "ble", "unix:{dir}/oximeter-N.sock") as site:
        sender = site.open(lambda paths: Meters("oximeter", paths))
        paths = [site.path(f"floor-{i}.sock") for i in range(OXIMETERS)]
        bare = Meters("oximeter", paths)
        site.start("floor", [OUT + "/meters_floor", *paths])

        def both(*order):
            return in_turns(rounds, lambda: stream(site, ["floor"], bare, *order),
                            lambda: stream(site, ["core", "uplink"], sender, *order))

        ratio = stream_rows(table, f"{OXIMETERS} links, 1/s each", *both(OXIMETERS, 1, seconds))
        table.aim(f"{OXIMETERS} oximeters, 1/s each: CPU of 1,000 notifications", "x floor", 3,
                  ratio)
        for links in (1, OXIMETERS):
            floors, runs = both(links, 0, count // links)
            ratio = stream_rows(table, f"{links} at once", floors, runs)
            table.add_pairs(f"{links} at once: notifications", "1/s",
                            *([r["per_s"] for r in side] for side in (floors, runs)))
            table.aim(f"oximeters, {links} at once: CPU of 1,000 notifications", "x floor", 4,
                      ratio)
        for end in (sender, bare):
            end.close()


def measure_nonin(table, rounds, seconds):
    """The same on serial lines: a packet is a sample, three a second."""
    with Monitors("nonin", "serial", "{dir}/oximeter-N.tty") as site:
        sender, runs = site.open(Ptys), []
        for _ in range(rounds):
            _, cpu = watched(site, ["core", "uplink"],
                             lambda: sender.send(NONIN_PER_S, seconds * NONIN_PER_S))
            runs.append({"cpu_ms": [c / OXIMETERS / seconds / NONIN_PER_S for c in cpu]})
        sender.close()
    stream_rows(table, f"Nonin, {OXIMETERS} lines, {NONIN_PER_S}/s each", None, runs)


def ble(table, options):
    quick = options.quick
    with Ward() as ward:
        ward.open()
        if not quick:
            measure_confirmations(table, ward, 4, 10, 4, 2)
        measure_confirmations(table, ward, 8, 100, 2 if quick else 4, 0.5 if quick else 1)
        measure_flood(table, ward, 1 if quick else 4, 0.2 if quick else 0.3)
    measure_streams(table, 1 if quick else 3, 2 if quick else 3, 4800 if quick else 32000)
    if not quick:
        measure_nonin(table, 3, 2)
    enrolled(table, *((3, 5) if quick else (10, 6)))
