# SPDX-License-Identifier: GPL-3.0-or-later
"""ECG studies: what decoding costs, how long a study takes to the platform, by line and by spool,
and whether an alert gets past one that fills a narrow line.

Files are synthetic (ecg_files.py). The platform is a subscriber that puts the originals together;
a study that did not come whole is lost. A cart's line here is a pty: what a UART's speed adds is
not in these figures.
"""
import base64
import hashlib
import itertools
import json
import os
import select
import statistics
import subprocess
import tempfile
import time

import scp_file
from ecg_files import PROGRAM, kinds, studies
from ecg_site import CALL, Sender
from ends import OUT, Subscriber, boot_us, cpu_us, memory_kib
from harness import Site, box_device, cart_device, cuff_device, wait_until
from pipeline import begin, steps
from table import in_turns, percentile

BYTES = 30 * 1024       # of a study
NARROW_BITS, QUICK_BITS = 16000, 64000      # a second, each way
MQTT_BYTES = 8          # of a PUBLISH, beside topic and payload
QUIET_S = 0.4           # PUBACKs are written down by then


# Decoding

def numbers(*words):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, text=True, check=True)
    return list(zip(*(map(float, line.split()) for line in done.stdout.splitlines())))


def written(folder, data):
    with open(os.path.join(folder, "study"), "wb") as f:
        f.write(data)
    return f.name


def measure_decoding(table, folder, rounds):
    runs = {}
    for name, (data, samples) in kinds().items():
        path = written(folder, data)
        runs[name] = (len(data), samples,
                      *numbers(OUT + "/ecg_decode", rounds, samples, path))
    table.head(f"decoding 8 leads of 10 s, {rounds} rounds, in turns, ns of CPU a sample; "
               "floor: memcpy and sum")
    for name, (_, samples, decode, floor, _) in runs.items():
        ratio = table.add_pairs(name, "ns", [ns / samples for ns in floor],
                                [ns / samples for ns in decode])
        if name == "SCP 2nd differences":
            table.aim(f"decoding, {name}, default table: a sample", "x memcpy and sum", 30, ratio)
    table.head("the same for each file; floor: CRC over its bytes, one look at a table a byte")
    for name, (size, _, decode, _, crc) in runs.items():
        table.add_pairs(name, "us", [ns / 1000 for ns in crc], [ns / 1000 for ns in decode],
                        f"{size} bytes")


def measure_spawn(table, folder, rounds):
    """CPU of one run of the decoder, us."""
    path = written(folder, next(studies(1, BYTES, 0)))
    floor, ours, floor_cpu, cpu = numbers(OUT + "/ecg_spawn", rounds, path, PROGRAM)
    table.head(f"vitalgate-ecg from spawn to exit, {BYTES // 1024} KiB, {rounds} times, in turns; "
               "floor: one that reads and writes as much")
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        table.add(name, "us", percentile(floor, share) / 1000, percentile(ours, share) / 1000)
    table.add_pairs("CPU", "us", floor_cpu, cpu)
    return statistics.median(cpu)


# The platform

class Centre(Subscriber):
    """Puts studies together. Messages are looked at when somebody asks."""

    def __init__(self, site):
        self.arrived, self.studies, self.chunks, self.sizes = [], {}, {}, []
        self.revisions, self.doubles = set(), 0
        super().__init__(site.port, [site.base + "/up/ecg", site.base + "/up/ecg/chunk"])

    def on_message(self, _client, _data, message):
        self.arrived.append((boot_us(), message.topic, message.payload))

    def look(self):
        while self.arrived:
            when, topic, payload = self.arrived.pop(0)
            envelope = json.loads(payload)
            for study in envelope.get("studies", []):
                self.doubles += (study["id"], study["revision"]) in self.revisions
                self.revisions.add((study["id"], study["revision"]))
                self.studies.setdefault(study["original"]["sha256"], (when, study))
            for chunk in envelope.get("chunks", []):
                of = self.chunks.setdefault(chunk["id"], {})
                self.doubles += chunk["n"] in of
                of[chunk["n"]] = when, base64.b64decode(chunk["data"])
                self.sizes.append((len(topic) + len(payload) + MQTT_BYTES, len(of[chunk["n"]][1])))

    def whole(self, data):
        """When the metadata and the last of a file were here, and the number of messages."""
        self.look()
        sha = hashlib.sha256(data).hexdigest()
        when, study = self.studies.get(sha, (0, None))
        pieces = self.chunks.get(study["id"], {}) if study else {}
        original = b"".join(pieces[n][1] for n in sorted(pieces))
        if not study or hashlib.sha256(original).hexdigest() != sha:
            return None
        return when, max(when, *(at for at, _ in pieces.values())), 1 + len(pieces)


class Room(Site):
    """A cart and a box, with residents of no programme that asks for a form. `nagle`: the broker's
    kernel holds a PUBACK back as long as the one before it is not acknowledged, and the uplink's
    acknowledges late when it has nothing to say: 40 ms before the second chunk of a study. That is
    mosquitto as it comes; README says how to switch it off."""

    def __init__(self, nagle):
        super().__init__(devices=[cart_device("cart-1"), box_device("box-1")], receipt="broker")
        os.makedirs(self.path("box-1.box/done"))
        with open(self.path("mosquitto.conf"), "a", encoding="ascii") as f:
            f.write(f"set_tcp_nodelay {'false' if nagle else 'true'}\n")

    def open(self):
        begin(self)
        self.centre = Centre(self)
        self.sender = Sender(self, "cart-1")
        if not self.sender.hear((CALL,), 15):
            raise RuntimeError("nobody asks for files" + self.tails())

    def rest(self):
        wait_until(lambda: self.outbox() == 0, 60)
        time.sleep(QUIET_S)

    def cpu_us(self):
        return [cpu_us(self.processes[name].pid) for name in ("core", "uplink")]

    def close(self, keep=False):
        for end in ("sender", "centre"):
            if hasattr(self, end):
                getattr(self, end).close()
        super().close(keep)


# By line

def send(room, data):
    """One study: us from the ACK of EOT to its metadata and to all of it, and to all of it from
    that of the last block."""
    sender = room.sender
    while select.select([sender.fd], [], [], 0)[0]:
        os.read(sender.fd, 4096)        # calls that nobody answered
    if sender.blocks(data) is not None:
        raise RuntimeError(f"a block was not acknowledged: {sender.heard[-12:].hex()}")
    last = boot_us()
    if not sender.finish():
        raise RuntimeError(f"the end was not acknowledged: {sender.heard[-12:].hex()}")
    told = boot_us()
    found = wait_until(lambda: room.centre.whole(data), 30)
    if not found:
        return {"lost": 1, "doubles": 0}
    metadata, complete, messages = found
    return {"lost": 0, "doubles": 0, "metadata": metadata - told, "complete": complete - told,
            "blocks": complete - last, "messages": messages}


def send_some(room, files):
    """Studies, and us of CPU for each of them."""
    before = room.cpu_us()
    runs = [send(room, data) for data in files]
    room.rest()
    return runs, [(b - a) / len(files) for a, b in zip(before, room.cpu_us())]


def line_rows(table, singles, turns):
    """p50 of metadata and of all, against one step for each message; returns the ratio of all."""
    good = [[run for run in runs if not run["lost"]] for runs, _ in turns]
    every = [run for runs in good for run in runs]
    table.account(*(run for runs, _ in turns for run in runs))
    step = [percentile([sum(s) for s in single], 0.5) for single in singles]
    messages = max(run["messages"] for run in every)
    metadata, complete = ([statistics.median(run[key] for run in runs) for runs in good]
                          for key in ("metadata", "complete"))
    table.add_pairs("metadata, p50", "us", step, metadata, "floor: one step")
    ratio = table.add_pairs("all of it, p50", "us", [s * messages for s in step], complete,
                            f"floor: {messages} messages x ({statistics.median(step):.0f} us)")
    table.add("all of it, p90", "us", None, percentile([run["complete"] for run in every], 0.9))
    table.add("all of it from the last block, p50", "us", None,
              statistics.median(run["blocks"] for run in every), None,
              "the line must be quiet behind EOT: twice 300 ms")
    return ratio


def measure_line(table, room, rounds, each, decoder_us=None):
    """A step: one fdatasync and one PUBACK. `decoder_us`: of CPU; None: no row for that."""
    files = iter(list(studies(rounds * each, BYTES, 1000)))
    singles, turns = in_turns(rounds, lambda: steps(room, 50, 0.6),
                              lambda: send_some(room, [next(files) for _ in range(each)]))
    table.head(f"{rounds * each} studies of {BYTES // 1024} KiB by line, {rounds} turns, us from "
               f"the ACK of EOT{'' if decoder_us else '; Nagle in the broker'}")
    ratio = line_rows(table, singles, turns)
    if decoder_us is None:
        return
    table.aim("a study by line, from the ACK of EOT to all of it, p50", "x floor", 2.5, ratio)
    core, uplink = (statistics.median(cpu[i] for _, cpu in turns) for i in (0, 1))
    table.add("CPU of a study", "us", None, core + decoder_us + uplink, None,
              f"core {core:.0f} + decoder {decoder_us:.0f} + uplink {uplink:.0f}")
    carried, data = max(room.centre.sizes)
    table.add("a chunk's message", "bytes", data, carried, None, "base64 and what is around it")


# By spool

def drop(room, files):
    """All at once: files/s, from the first that was done to the last, and to the platform."""
    box = room.path("box-1.box/")
    before = room.cpu_us()
    begun = len(os.listdir(box + "done"))
    for n, data in enumerate(files):
        with open(box + f"{begun + n:04d}.part", "wb") as f:
            f.write(data)
    for n in range(len(files)):
        os.rename(box + f"{begun + n:04d}.part", box + f"{begun + n:04d}.scp")
    wait_until(lambda: len(os.listdir(box + "done")) == begun + len(files), 120, 0.1)
    done = sorted(os.stat(box + "done/" + name).st_ctime_ns / 1e9
                  for name in os.listdir(box + "done"))[begun:]
    left = list(files)

    def all_whole():
        left[:] = [data for data in left if not room.centre.whole(data)]
        return not left

    wait_until(all_whole, 120, 0.1)
    last = max((room.centre.whole(data) or (0, 0))[1] for data in files) / 1e6
    real = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    room.rest()
    cpu = [(b - a) / len(files) for a, b in zip(before, room.cpu_us())]
    return {"lost": len(left), "doubles": 0, "cpu": cpu,
            "per_s": (len(done) - 1) / (done[-1] - done[0]) if len(done) > 1 else 0,
            "whole_per_s": len(files) / (last + real - done[0])}


def memory_rows(table, seen, warm, each):
    """`seen`: memory of core and uplink after `warm` studies, and after `each` more."""
    grown = each * (len(seen) - 1)
    for i, name in enumerate(("core", "uplink")):
        for key in ("pss", "anon"):
            after = [of[i][key] for of in seen]
            table.add(f"{name}: {key} after {warm} studies", "KiB", None, after[0], None,
                      f"after each {each} more: " + ", ".join(map(str, after[1:])))
    # PSS also falls when somebody else begins to use the same libraries. The uplink's table of what
    # is on its way comes into memory page by page, once.
    table.aim(f"growth of the core (anonymous memory) in {grown} more studies", "KiB", 128,
              seen[-1][0]["anon"] - seen[0][0]["anon"])


def measure_spool(table, room, rounds, each, warm, decoder_us):
    firsts = itertools.count(10000, 1000)

    def some(count):
        run = drop(room, list(studies(count, BYTES, next(firsts))))
        memory.append([memory_kib(room.processes[name].pid) for name in ("core", "uplink")])
        return run

    memory = []
    table.account(some(warm))       # caches are full then
    singles, runs = in_turns(rounds, lambda: steps(room, 200, 0.5), lambda: some(each))
    table.account(*runs)
    table.head(f"{each} files of {BYTES // 1024} KiB in a spool directory, {rounds} turns; floor: "
               "fdatasync")
    floors = [1e6 / percentile([s[0] for s in single], 0.5) for single in singles]
    table.add_pairs("files in done/", "1/s", floors, [r["per_s"] for r in runs])
    table.add_pairs("files at the platform", "1/s", floors, [r["whole_per_s"] for r in runs])
    core, uplink = (statistics.median(r["cpu"][i] for r in runs) for i in (0, 1))
    table.add("CPU of a study", "us", None, core + decoder_us + uplink, None,
              f"core {core:.0f} + decoder {decoder_us:.0f} + uplink {uplink:.0f}")
    memory_rows(table, memory, warm, each)


# A narrow line

def alerts_at(site):
    """{pressure: when its alert was at the platform}"""
    return {rule["value"]: e["t"] for e in site.events("platform", "stored")
            if e["topic"] == "up/alert" for rule in e["object"]["rules"]
            if rule["kind"] == "bp.sbp"}


def confirmed(site):
    """{pressure: when its reading was confirmed to the cuff, which is after COMMIT}"""
    shown = {e["key"]: e["record"]["sys"] for e in site.events("cuff-1", "measured")}
    return {shown[e["key"]]: e["t"] for e in site.events("cuff-1", "told")}


def begin_transfer(site):
    """A cuff of somebody of whom no form is asked, and a study of which one chunk came."""
    os.makedirs(site.path("box-1.box"))
    site.all("--verbose")
    site.cli("import", site.roster())
    site.cuff("cuff-1", "--always", "--idle", "0")
    site.cli("bind", "cuff-1", "R-0004", "--from", "2020-01-01")
    with open(site.path("large"), "wb") as f:
        f.write(scp_file.make({"patient": "R-0004", "bytes": 4 << 20}))
    os.rename(site.path("large"), site.path("box-1.box/large.scp"))
    if not wait_until(lambda: site.events("platform", "chunk"), 60):
        raise RuntimeError("no chunk came" + site.tails())


def chunk_seconds(site):
    sizes = [int(line.split()[-1]) for line in site.log("platform").splitlines()
             if " up/ecg/chunk " in line]
    topic = len(site.base + "/up/ecg/chunk")
    return (statistics.median(sizes) + topic + MQTT_BYTES) * 8 / site.line_bits


def measure_alerts(table, moments, bits):
    """From chunk to chunk a little later, so that every part of one is met."""
    with Site(devices=[box_device("box-1"), cuff_device("cuff-1")], receipt_timeout=600,
              line_bits=bits) as site:
        begin_transfer(site)
        chunk_s = chunk_seconds(site)
        pressures = range(190, 190 + moments)
        for pressure in pressures:
            site.control("cuff-1", "record " + json.dumps(
                {"sys": pressure, "dia": 115, "map": 140, "pulse": 72, "unit": "mmHg",
                 "time": "now"}))
            time.sleep(chunk_s * 1.27)      # a chunk, the alert and its reading take 1.17
        wait_until(lambda: len(alerts_at(site)) == moments, 4 * chunk_s, 0.1)
        told, came = confirmed(site), alerts_at(site)
        late = [came[p] - told[p] for p in pressures if p in came and p in told]
        table.account({"lost": moments - len(late),
                       "doubles": len(site.events("platform", "again"))})
    table.head(f"{moments} alerts while 4 MiB go over {bits // 1000} kbit/s, from the cuff's "
               "confirmation; floor: one chunk")
    ratios = [table.add(name, "s", chunk_s, percentile(late, share))
              for share, name in ((0, "soonest"), (0.5, "p50"), (1, "latest")) if late]
    table.aim("alert in a transfer over a narrow line, latest", "x a chunk's time", 2,
              ratios[-1] if len(late) == moments else None)


def ecg(table, options):
    quick = options.quick
    with tempfile.TemporaryDirectory(prefix="vitalgate-") as folder:
        measure_decoding(table, folder, 5 if quick else 25)
        decoder_us = measure_spawn(table, folder, 100 if quick else 500)
    with Room(nagle=False) as room:
        room.open()
        measure_line(table, room, 1 if quick else 8, 3, decoder_us)
        measure_spool(table, room, 1 if quick else 2, 20 if quick else 100, 100, decoder_us)
        table.account({"lost": 0, "doubles": room.centre.doubles})
    if not quick:
        with Room(nagle=True) as room:
            room.open()
            measure_line(table, room, 3, 3)
            table.account({"lost": 0, "doubles": room.centre.doubles})
    measure_alerts(table, 3 if quick else 10, QUICK_BITS if quick else NARROW_BITS)
