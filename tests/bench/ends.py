# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of the bench, sender and subscriber, and the side between them that is measured."""
import os
import re
import select
import subprocess
import threading
import time

import paho.mqtt.client as mqtt

from harness import BUILD, wait_until

OUT = os.path.join(BUILD, "bench")
RESIDENTS = 2000
SPECIMEN = re.compile(rb'"specimen":"S-(\d+)"')


def boot_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


# What the kernel says of a process

def tasks(pid, name):
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/{name}", encoding="ascii") as f:
                yield f.read()
        except (FileNotFoundError, ProcessLookupError):
            continue        # the thread has ended


def cpu_us(pid):
    return sum(int(text.split()[0]) for text in tasks(pid, "schedstat")) / 1000


def wakeups(pid):
    """How often its threads have slept; each time something woke them."""
    return sum(int(n) for text in tasks(pid, "status")
               for n in re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M))


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        found = dict(re.findall(r"^(\w+):\s+(\d+) kB", f.read(), re.M))
    return {key: int(found[name]) for key, name in
            (("rss", "Rss"), ("pss", "Pss"), ("anon", "Anonymous"))}


# The two ends

class Subscriber:
    """Stamps each message as it comes; the readings in it are counted at once, looked at later."""

    def __init__(self, port, topics):
        self.lock = threading.Lock()
        self.messages = {topic: [] for topic in topics}
        self.counts = dict.fromkeys(topics, 0)
        self.client = mqtt.Client("bench-subscriber")
        self.client.on_message = self.on_message
        ready = threading.Event()
        self.client.on_connect = lambda *_: self.client.subscribe([(t, 1) for t in topics])
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        ready.wait(10)

    def on_message(self, _client, _data, message):
        now = boot_us()
        with self.lock:
            self.messages[message.topic].append((now, message.payload))
            self.counts[message.topic] += message.payload.count(b'"specimen"')

    def clear(self, topic):
        with self.lock:
            self.messages[topic].clear()
            self.counts[topic] = 0

    def arrivals(self, topic, number_of_first, count, seconds=60):
        """{number of a result: when it first came}, once all `count` are here or the time is over;
        and how many came twice."""
        seen, doubles, end = {}, 0, time.monotonic() + seconds
        while len(seen) < count and time.monotonic() < end:
            wait_until(lambda: self.counts[topic] >= count + doubles, 0.2)
            with self.lock:
                messages, self.messages[topic] = self.messages[topic], []
            for when, payload in messages:
                for number in map(int, SPECIMEN.findall(payload)):
                    if number >= number_of_first:
                        doubles += number in seen
                        seen.setdefault(number, when)
        return seen, doubles

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


class Analysers:
    """The sender, one process with a pty for each link."""

    next_number = 1

    def __init__(self, site, links):
        self.process = subprocess.Popen(
            [OUT + "/analysers", str(RESIDENTS), *links], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, TZ=site.ZONE))
        wait_until(lambda: all(map(os.path.islink, links)))

    def order(self, lines, results, shape, rate, seconds, phase=0.0, value="5.2"):
        self.first = Analysers.next_number
        Analysers.next_number += 1000000
        self.process.stdin.write(
            f"run {lines} {results} {shape} {rate} {seconds} {phase} {self.first} {value}\n")
        self.process.stdin.flush()

    def started(self):
        """When all lines were open; whoever should open them is given a while."""
        if not select.select([self.process.stdout], [], [], 90)[0]:
            raise RuntimeError("nobody opens the lines")
        return int(self.process.stdout.readline().split()[1])

    def sent(self):
        """{number: (written, told)} of all results, once the last message is through."""
        stamps = {}
        for line in self.process.stdout:
            if line == "end\n":
                break
            first, count, written, told = map(int, line.split()[1:])
            stamps.update(dict.fromkeys(range(first, first + count), (written, told)))
        return stamps

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Side:
    """vitalgate, or the floor in its place: its processes, its lines, its topic."""

    def __init__(self, name, site, subscriber, topic, links):
        self.name, self.site, self.subscriber, self.topic = name, site, subscriber, topic
        self.sender = Analysers(site, links)

    def pids(self):
        names = ("core", "uplink") if self.name == "vitalgate" else ("floor",)
        return [self.site.processes[n].pid for n in names]

    def others(self):
        return [self.sender.process.pid, self.site.processes["broker"].pid, os.getpid()]

    def run(self, *order, meanwhile=None, patience=60):
        """One run of the sender. Everything about it in one dictionary."""
        self.subscriber.clear(self.topic)
        self.sender.order(*order)
        begin = self.sender.started()
        before, beside = ([cpu_us(pid) for pid in pids] for pids in (self.pids(), self.others()))
        if meanwhile:
            meanwhile()
        sent = self.sender.sent()
        seen, doubles = self.subscriber.arrivals(self.topic, self.sender.first, len(sent),
                                                  patience)
        time.sleep(0.1)     # the rows of the outbox go a little later
        cpu = [cpu_us(pid) - b for pid, b in zip(self.pids(), before)]
        others = [cpu_us(pid) - b for pid, b in zip(self.others(), beside)]
        n = len(sent)
        last = max(seen.values(), default=begin)
        return {"n": n, "lost": len(set(sent) - set(seen)), "doubles": doubles,
                "per_s": n / max(last - begin, 1) * 1e6, "cpu_us": [c / n for c in cpu],
                "others_us": [c / n for c in others], "sent": sent, "seen": seen,
                "arrive_us": [seen[k] - sent[k][0] for k in sent if k in seen],
                "told_us": [told - written for written, told in sent.values()]}
