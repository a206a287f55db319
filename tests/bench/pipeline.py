# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a reading, pty -> store -> broker: latency, flood, memory, start, beside the floor."""
import json
import socket
import statistics
import subprocess
import time

from harness import ROOT, Site, wait_until

from ends import OUT, RESIDENTS, Side, Subscriber, boot_us, memory_kib
from table import in_turns, percentile

IN_MESSAGE = 100        # results of one message in a flood
FLOOR_TOPIC = "bench/floor/up/reading"


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


def open_visits(site, form):
    """Each resident is visited just now: what is filed changes what a form says."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(site.path("run/control.sock"))
        replies = s.makefile()
        for i in range(1, RESIDENTS + 1):
            order = {"v": 1, "cmd": "visit_open", "args": {"resident": f"R-{i:04d}", "form": form}}
            s.sendall(json.dumps(order).encode() + b"\n")
            reply = json.loads(replies.readline())
            if not reply["ok"]:
                raise RuntimeError(reply["error"]["en"])


def uplink_ready(site):
    wait_until(lambda: "connected" in json.dumps(site.cli("status")["uplink"]))


def begin(site):
    """Broker, core, uplink, and residents whose programmes ask for no form."""
    if not (site.broker() and site.core()):
        raise RuntimeError(site.log("broker") + site.log("core"))
    site.uplink()
    write_residents(site, "elderly")
    uplink_ready(site)


def start_floor(site, links, database="floor.db"):
    return site.start("floor", [OUT + "/floor", str(site.port), site.path(database),
                                ROOT + "/daemon/schema.sql", FLOOR_TOPIC, *links])


class Pipeline:
    """A site with `lines` analysers lab-1.. and the floor with as many, one subscriber for both."""

    def __init__(self, lines):
        self.site = site = Site(devices=[tty(f"lab-{i + 1}") for i in range(lines)],
                                receipt="broker")
        begin(site)
        self.subscriber = Subscriber(site.port, [site.base + "/up/reading", FLOOR_TOPIC])
        self.floor_links = [site.path(f"floor-{i + 1}.tty") for i in range(lines)]
        self.floor = Side("floor", site, self.subscriber, FLOOR_TOPIC, self.floor_links)
        start_floor(site, self.floor_links)
        self.ours = Side("vitalgate", site, self.subscriber, site.base + "/up/reading",
                         [site.path(f"lab-{i + 1}.tty") for i in range(lines)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in (self.floor.sender, self.ours.sender, self.subscriber):
            end.close()
        self.site.close()


# Latency

def steps(site, rate, seconds):
    """[(us of fdatasync, us until the PUBACK)], one after the other at this rate."""
    done = subprocess.run([OUT + "/steps", str(site.port), site.dir, str(rate), str(seconds), "0"],
                          stdout=subprocess.PIPE, text=True, check=True)
    return [[int(n) / 1000 for n in line.split()] for line in done.stdout.splitlines()]


def measure_latency(table, p, lines, rate, rounds, seconds):
    """`rate` messages with one reading each a second, over so many lines that take turns."""
    order = (lines, 1, "message", rate / lines, seconds)
    singles, floors, runs = in_turns(
        rounds, lambda: steps(p.site, rate, seconds), lambda: p.floor.run(*order),
        lambda: p.ours.run(*order))
    table.account(*floors, *runs)
    table.head(f"{rate} readings/s over {lines} lines, {rounds} x {seconds} s, in turns; "
               "us from the last byte")
    for share, name, most in ((0.5, "p50", 1.5), (0.99, "p99", 2)):
        disk, broker, both = (
            statistics.median(percentile([of(s) for s in single], share) for single in singles)
            for of in (lambda s: s[0], lambda s: s[1], sum))
        arrive, told = ([[percentile(r[what], share) for r in side] for side in (floors, runs)]
                        for what in ("arrive_us", "told_us"))
        ratio = table.add_pairs(
            f"{name} at the subscriber", "us", *arrive,
            f"{statistics.median(arrive[1]) / both:.2f} x (fdatasync + PUBACK = {disk:.0f} + "
            f"{broker:.0f} us, together {both:.0f})")
        table.rows[-1]["steps_us"] = {"fdatasync": disk, "PUBACK": broker, "both": both}
        table.add_pairs(f"{name} until the instrument is told", "us", *told)
        table.aim(f"{name} at {rate} readings/s", "x floor", most, ratio)
    core, uplink = (statistics.median(r["cpu_us"][i] for r in runs) for i in (0, 1))
    table.add_pairs("CPU of a reading", "us", *([sum(r["cpu_us"]) for r in side]
                                                for side in (floors, runs)),
                    f"core {core:.0f} + uplink {uplink:.0f}")


# Flood

def flood_rows(table, name, floors, runs, streams=()):
    """Returns readings/s, as a factor of the floor's."""
    table.account(*floors, *runs, *streams)
    others = [statistics.median(r["others_us"][i] for r in runs) for i in range(3)]
    core, uplink = (statistics.median(r["cpu_us"][i] for r in runs) for i in (0, 1))
    most = [r["per_s"] / s["per_s"] for r, s in zip(runs, streams)]
    ratio = table.add_pairs(
        f"{name}: readings", "1/s", [f["per_s"] for f in floors], [r["per_s"] for r in runs],
        f"{statistics.median(most):.2f} x stream" if most else "")
    table.add_pairs(f"{name}: CPU", "us", [sum(f["cpu_us"]) for f in floors],
                    [sum(r["cpu_us"]) for r in runs],
                    f"core {core:.0f} + uplink {uplink:.0f}; beside: sender {others[0]:.0f}, "
                    f"broker {others[1]:.0f}, subscriber {others[2]:.0f}")
    return ratio


def measure_flood(table, p, rounds, seconds):
    """Stream: one line that waits for no answers, the most that the floor can."""
    table.head(f"flood, {IN_MESSAGE} results a message, {rounds} x {seconds} s, in turns")
    streams = []

    def flood(lines, shape, text, how_long=seconds):
        order = (lines, IN_MESSAGE, shape, 0, how_long)
        *both, stream = in_turns(rounds, lambda: p.floor.run(*order), lambda: p.ours.run(*order),
                                 lambda: p.floor.run(1, IN_MESSAGE, "stream", 0, how_long))
        streams.extend(stream)
        return flood_rows(table, f"{lines} x {text}", *both, stream)

    for shape, text in (("message", "a message a frame"), ("results", "a result a frame")):
        worst = min(flood(lines, shape, text) for lines in (1, 4, 8))
        table.aim(f"flood, {text}: worst of 1, 4 and 8 lines", "x floor", None, worst, 0.7)
    write_residents(p.site, "t2dm")
    open_visits(p.site, "t2dm")
    flood(4, "message", "the same, follow-up visits", min(seconds, 0.1))
    table.add("stream: readings", "1/s", statistics.median(r["per_s"] for r in streams), None)
    table.add("stream: CPU", "us", statistics.median(sum(r["cpu_us"]) for r in streams), None)


def memory_rows(table, site, when):
    memory = {n: memory_kib(site.processes[n].pid) for n in ("core", "uplink", "floor")}
    table.head(f"memory {when}, KiB")
    for name in ("core", "uplink"):
        for kind in ("rss", "pss", "anon"):
            table.add(f"{name}: {kind}", "KiB", memory["floor"][kind], memory[name][kind])


# Start

def first_reading(side, names):
    """ms from exec of `names`, after an orderly end, to the first reading at the subscriber; an
    instrument has it ready."""
    for name in names:
        side.site.kill(name, 15)
    side.subscriber.clear(side.topic)
    side.sender.order(1, 1, "message", 0, 0.001)
    time.sleep(0.1)
    begun = boot_us()
    for name in names:
        side.site.restart(name)
    seen, _ = side.subscriber.arrivals(side.topic, side.sender.first, 1)
    side.sender.started()
    side.sender.sent()
    return (min(seen.values(), default=begun) - begun) / 1000


def killed(side, name, seconds, serving=None):
    """ms from SIGKILL, with the next start at once, to the arrival of the first reading sent after
    it; 100 readings/s for so long. `serving`: gets the ms until the core's socket answers."""
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
    run = side.run(1, 1, "message", 100, seconds, meanwhile=kill, patience=60 if ours else 0.5)
    if ours:        # the floor forgets what it had not published
        side.accounts.append(run)
    later = [when for n, when in run["seen"].items() if run["sent"][n][0] > times[0]]
    return (min(later, default=times[0]) - times[0]) / 1000


def measure_start(table, p, rounds, stored):
    seconds = max(2, stored / 500000)   # a start after a kill reads all that is stored

    def start_ours():
        taken = first_reading(p.ours, ["core", "uplink"])
        uplink_ready(p.site)
        return taken

    def kill_core():
        taken = killed(p.ours, "core", seconds, serving)
        uplink_ready(p.site)
        return taken

    serving, p.ours.accounts = [], []
    floors, starts, floor_kills, cores, uplinks = in_turns(
        rounds, lambda: first_reading(p.floor, ["floor"]), start_ours,
        lambda: killed(p.floor, "floor", 2), kill_core, lambda: killed(p.ours, "uplink", 2))
    table.account(*p.ours.accounts)
    table.head(f"start, {stored} readings stored, {rounds} times each, in turns")
    table.add_pairs("core and uplink: first reading", "ms", floors, starts)
    table.add_pairs("core killed: next reading", "ms", floor_kills, cores)
    table.add("core killed: its socket answers", "ms", None, statistics.median(serving))
    table.add_pairs("uplink killed: next reading", "ms", floor_kills, uplinks)


def pipeline(table, options):
    quick = options.quick
    with Pipeline(8) as p:
        measure_latency(table, p, 1, 100, 2 if quick else 4, 1 if quick else 2)
        measure_latency(table, p, 8, 1000, 2 if quick else 5, 0.5 if quick else 1)
        measure_flood(table, p, 1 if quick else 3, 0.1 if quick else 0.5)
        memory_rows(table, p.site, "after the flood")
