# SPDX-License-Identifier: GPL-3.0-or-later
"""Modbus TCP devices, polled once a second and at once again: what a reading costs, how late it is.

Everybody (peers.py) polls the same simulated devices in turns, alone. A reading is what a device
answers, two values or seven. It counts when the subscriber has it within the window, and CPU is
what the peer used in the window: who falls behind pays for what it did not deliver.
"""
import re
import statistics
import time

from harness import PYTHON, SIM, Site, wait_until

from ends import cpu_us, memory_kib
from peers import Collectd, Floor, NodeRed, Vitalgate
from table import in_turns, percentile

SECOND, AT_ONCE = 1000, 1       # ms from poll to poll
CASES = [(1, SECOND, 2), (20, SECOND, 2), (200, SECOND, 2), (200, SECOND, 7),
         (1, AT_ONCE, 2), (20, AT_ONCE, 2), (200, AT_ONCE, 2)]
QUICK = [CASES[2]]              # (devices, ms, values of a device)
COLUMNS = (("per_s", "readings/s", "{:.0f}"), ("cpu_s", "CPU s/1000", "{:.3f}"),
           ("floor", "x floor", "{:.2f}"), ("collectd", "x collectd", "{:.2f}"),
           ("p50_us", "p50 us", "{:.0f}"), ("p99_us", "p99 us", "{:.0f}"),
           ("rss_kib", "RSS KiB", "{:.0f}"), ("pss_kib", "PSS KiB", "{:.0f}"))


class Bus:
    """Broker and simulated devices, with the peers that can poll them."""

    def __init__(self, site, devices):
        self.site = site
        open(site.path("modbus.log"), "w", encoding="ascii").close()
        site.start("modbus", [PYTHON, SIM + "/modbus.py", "--ledger", site.path("modbus.ledger"),
                              "--tcp", "0", "--slaves", f"{devices}:stamp"])
        port = wait_until(lambda: re.search(r"port (\d+)\n", site.log("modbus")))
        if not port:
            raise RuntimeError(site.log("modbus"))
        first = int(port[1])
        self.ports = range(first, first + devices)

    def close(self):
        self.site.kill("modbus", 15)


def arrivals(site, peer, begin_us, end_us):
    """Microseconds from the stamp to the subscriber, of all readings that came in between."""
    real_us = (time.time_ns() - time.monotonic_ns()) / 1000
    late = []
    with open(site.path("listener.log"), "rb") as f:
        for line in f:
            at_us = float(line.split(b" ", 1)[0]) * 1e6 - real_us
            if begin_us <= at_us < end_us:
                late += [(at_us - int(stamp)) % 2**32 for stamp in re.findall(peer.stamp, line)]
    return late


def watch(bus, peer, period_ms, seconds):
    """One window of one peer; None when nothing came."""
    site = bus.site
    open(site.path("listener.log"), "w", encoding="ascii").close()
    site.start("listener", ["mosquitto_sub", "-p", str(site.port), "-q", "1", "-t", peer.topic,
                            "-F", "%U %p"])
    peer.start(bus.ports, period_ms)
    time.sleep(max(peer.settle, 1.2 * period_ms / 1000))
    pids = peer.pids()
    begin, before = time.monotonic_ns() // 1000, [cpu_us(pid) for pid in pids]
    time.sleep(seconds)
    after, end = [cpu_us(pid) for pid in pids], time.monotonic_ns() // 1000
    memory = [memory_kib(pid) for pid in pids]
    peer.stop()
    site.kill("listener", 15)
    late = arrivals(site, peer, begin, end)
    if not late:
        return None
    return {"n": len(late), "per_s": len(late) / (end - begin) * 1e6,
            "cpu_s": (sum(after) - sum(before)) / len(late) / 1000,
            "p50_us": percentile(late, 0.5), "p99_us": percentile(late, 0.99),
            "rss_kib": sum(m["rss"] for m in memory), "pss_kib": sum(m["pss"] for m in memory)}


def row_of(name, runs, others):
    """Medians; the ratios are those of windows of the same round."""
    good = [r for r in runs if r]
    row = {key: statistics.median(r[key] for r in good) for key in good[0]}
    for other in ("floor", "collectd"):
        pairs = [r["cpu_s"] / o["cpu_s"] for r, o in zip(runs, others.get(other, [])) if r and o]
        row[other] = statistics.median(pairs) if pairs else None
    return {"name": name, **row}


def show(row):
    texts = [form.format(row[key]) if row.get(key) is not None else "-" for key, _, form in COLUMNS]
    print(f"{row['name']:12}" + "".join(f"{t:>12}" for t in texts), flush=True)


def measure_polling(table, site, case, rounds, seconds):
    devices, period_ms, values = case
    bus = Bus(site, devices)
    peers = [p for p in (kind(site, values - 1) for kind in (Floor, Vitalgate, Collectd, NodeRed))
             if not p.missing]
    windows = in_turns(rounds, *(lambda p=p: watch(bus, p, period_ms, seconds) for p in peers))
    bus.close()
    pace = "once a second" if period_ms == SECOND else "at once"
    text = f"{devices} x Modbus TCP, {values} values {pace}"
    print(f"\n{text}; {rounds} x {seconds} s, in turns\n{'':12}"
          + "".join(f"{head:>12}" for _, head, _ in COLUMNS), flush=True)
    results = {p.name: runs for p, runs in zip(peers, windows)}
    for name, runs in results.items():
        row = row_of(name, runs, results) if any(runs) else {"name": name, "per_s": 0}
        show(row)
        table.keep("modbus", {"devices": devices, "period_ms": period_ms, "values": values, **row})
        if name == "vitalgate" and "collectd" in results:
            table.aim(f"{text}: CPU of a reading", "x collectd", 0.6, row.get("collectd"))


def polling(table, options):
    quick = options.quick
    with Site(receipt="broker") as site:
        if not site.broker():
            raise RuntimeError(site.log("broker"))
        for peer in (Collectd(site), NodeRed(site)):
            if peer.missing:
                print(f"\n{peer.name}: not installed: {peer.missing}")
        for case in QUICK if quick else CASES:
            slow = case[1] == SECOND
            measure_polling(table, site, case, 1 if quick else 2,
                            3 if slow and not quick else 1)
