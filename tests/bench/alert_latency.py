# SPDX-License-Identifier: GPL-3.0-or-later
"""From the commit of a reading to the platform: ordinary readings when idle, alerts when idle, alerts while what
waited for the broker drains.

Begins at the reading's committed_boot_us (taken when its transaction is written, so the disk is in it), ends as a
subscriber of its own, a process for each topic, has the message. Each result is of another resident, so that each
dangerous one is an alert of its own. "Drains": so many readings wait in the outbox as the uplink starts; what counts
are alerts that were written and arrived before the last of these.
"""
import re
import statistics
import time

from harness import Site, wait_until

from ends import Analysers, boot_us
from pipeline import begin, tty, uplink_ready
from table import in_turns, percentile

DANGEROUS = "2.4"       # mmol/L: critical, whoever it is of
FILLERS, IN_MESSAGE = 4, 100
SHOWN = re.compile(rb'"shown":"([0-9a-f]{32})"')     # the latest of an alert's readings
COMMITTED = re.compile(rb'"committed_boot_us":(\d+)')


class Listener:
    """mosquitto_sub on one topic below the base: when each message came. `whole`: and what it was."""

    count = 0

    def __init__(self, site, topic, whole):
        Listener.count += 1
        self.site, self.name = site, f"listener-{Listener.count}"
        site.start(self.name, ["mosquitto_sub", "-p", str(site.port), "-q", "1", "-t", f"{site.base}/{topic}",
                               "-F", "%U %p" if whole else "%U %l"])
        time.sleep(0.3)
        self.real_us = time.time_ns() / 1000 - boot_us()

    def messages(self):
        """[(when, us of CLOCK_BOOTTIME, text)]"""
        found = []
        with open(self.site.path(self.name + ".log"), "rb") as f:
            for line in f:
                at, _, rest = line.partition(b" ")
                found.append((float(at) * 1e6 - self.real_us, rest))
        return found

    def close(self):
        self.site.kill(self.name, 15)


class Clinic(Site):
    """FILLERS lines for what waits, one more for what is measured."""

    def __init__(self):
        super().__init__(receipt="broker", devices=[tty(f"lab-{i + 1}") for i in range(FILLERS + 1)])

    def open(self):
        begin(self)
        links = [self.path(f"lab-{i + 1}.tty") for i in range(FILLERS + 1)]
        self.filler, self.sender = Analysers(self, links[:-1]), Analysers(self, links[-1:])

    def send(self, rate, seconds, value):
        self.sender.order(1, 1, "message", rate, seconds, value=value)
        self.sender.started()

    def fill(self, count):
        """So many readings for which there is no uplink."""
        self.kill("uplink", 15)
        before = self.query("SELECT count(*) FROM outbox")[0][0]
        while (have := self.query("SELECT count(*) FROM outbox")[0][0] - before) < count:
            self.filler.order(FILLERS, IN_MESSAGE, "message", 0, max(0.2, (count - have) / 40000))
            self.filler.started()
            self.filler.sent()

    def close(self, keep=False):
        for end in ("filler", "sender"):
            if hasattr(self, end):
                getattr(self, end).close()
        super().close(keep)


def of_readings(site, rate, seconds):
    """us of ordinary ones."""
    listener = Listener(site, "up/reading", True)
    site.send(rate, seconds, "5.2")
    n = len(site.sender.sent())
    wait_until(lambda: len(listener.messages()) >= n, 10)
    listener.close()
    return [at - int(since) for at, text in listener.messages() for since in COMMITTED.findall(text)]


def alerts_of(site, listener, begun):
    """[(arrived, committed)] of the first revision with each reading since then."""
    committed = dict(site.query("SELECT lower(hex(uuid)),committed_boot_us FROM reading WHERE id>"
                                "(SELECT max(id)-50000 FROM reading) AND revision=1"))
    seen = {}
    for at, text in listener.messages():
        for reading in SHOWN.findall(text):
            seen.setdefault(reading.decode(), at)
    return [(at, committed[reading]) for reading, at in seen.items()
            if committed.get(reading, 0) >= begun]


def of_alerts(site, rate, seconds):
    listener, begun = Listener(site, "up/alert", True), boot_us()
    site.send(rate, seconds, DANGEROUS)
    n = len(site.sender.sent())
    wait_until(lambda: len(listener.messages()) >= n, 10)
    listener.close()
    return [at - since for at, since in alerts_of(site, listener, begun)]


def while_draining(site, count, rate):
    """us of alerts, and readings a second of what drained."""
    site.fill(count)
    listener, drain = Listener(site, "up/alert", True), Listener(site, "up/reading", False)
    last = site.query("SELECT max(id) FROM outbox")[0][0]
    begun = boot_us()
    site.start("uplink", *site.commands["uplink"])
    uplink_ready(site)
    while site.query("SELECT count(*) FROM outbox WHERE id<=?", last)[0][0]:
        site.send(rate, 1, DANGEROUS)
        site.sender.sent()
    listener.close()
    drain.close()
    arrived = sorted(at for at, _ in drain.messages())
    # the messages of the backlog are of many readings, those that come beside them of one
    end = max((at for at, text in drain.messages() if int(text) > 20000), default=arrived[-1])
    took = end - max(begun, arrived[0])
    return [at - since for at, since in alerts_of(site, listener, begun) if at < end], count / took * 1e6


def rows(table, name, us, floor=None):
    found = [percentile(us, share) for share in (0.5, 0.99)]
    for share, value, least in zip(("p50", "p99"), found, floor or (None, None)):
        table.add(f"{share}, {name}", "us", least, value, note=f"{len(us)}")
    return found


def alert_latency(table, options):
    count, rate, seconds, rounds = (20000, 50, 2, 2) if options.quick else (100000, 50, 4, 4)
    with Clinic() as site:
        site.open()
        of_readings(site, rate, 1)      # all that a reading needs is in memory
        readings, alerts, drains = in_turns(
            rounds, lambda: of_readings(site, rate, seconds), lambda: of_alerts(site, rate, seconds),
            lambda: while_draining(site, count, rate))
    readings, alerts, busy = (sum(each, []) for each in (readings, alerts, [us for us, _ in drains]))
    table.head(f"from commit to platform, {rate} a second; us")
    ordinary = rows(table, "ordinary readings, idle", readings)
    idle = rows(table, "alerts, idle; floor: ordinary readings", alerts, ordinary)
    drained = rows(table, f"alerts while {count} drain; floor: idle", busy, idle)
    table.add("readings that drained meanwhile", "1/s", None, statistics.median(n for _, n in drains))
    table.aim("alert when idle, p99", "x ordinary reading", 1.5, idle[1] / ordinary[1])
    table.aim(f"alert while {count} readings drain, p99", "x idle", 2, drained[1] / idle[1])
