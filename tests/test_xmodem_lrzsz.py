#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real senders (sx, sx -k and sb of lrzsz) against the receiver, over two pseudo-terminals and a relay between them
that damages bytes both ways. Whatever happens on the line: what is kept is what was sent, a sender that is content
was told so by the receiver behind the commit, and most get there.

--measure: the whole table, at true speed, in minutes."""
import os
import pty
import random
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tty
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "tests" / "xmodem_probe"
SENDERS = {"xmodem": ["sx"], "xmodem-1k": ["sx", "-k"], "ymodem": ["sb"], "ymodem-1k": ["sb", "-k"]}
BLOCK = {"xmodem": 133, "xmodem-1k": 1029, "ymodem": 133, "ymodem-1k": 1029}
SPEED = 20  # the receiver's clock; the senders' is what it is
ACK = 0x06

count = failed = 0


def tell(faults, name):
    global count, failed
    count += 1
    failed += bool(faults)
    print(f"{'not ok' if faults else 'ok'} {count} - {name}", flush=True)
    for fault in faults[:20]:
        print(f"# {fault}")


class Relay(threading.Thread):
    """Two lines and what passes between them. `there`, `back`: how often a byte is damaged, to the receiver and to
    the sender."""

    def __init__(self, seed, there=0.0, back=0.0):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.rates = (there, back)
        self.lines = [pty.openpty() for _ in range(2)]
        for line in self.lines:
            for fd in line:
                tty.setraw(fd)
        self.damaged = [0, 0]
        self.passed = [bytearray(), bytearray()]
        self.cut = None  # after so many bytes of the sender nothing passes any more
        self.stopped = False

    def damage(self, way, data):
        out = bytearray()
        for byte in data:
            if self.random.random() >= self.rates[way]:
                out.append(byte)
                continue
            self.damaged[way] += 1
            kind = self.random.randrange(3)
            if kind == 0:
                out.append(byte ^ 1 << self.random.randrange(8))
            elif kind == 1:
                out += bytes([self.random.randrange(256), byte])
        return bytes(out)

    def run(self):
        masters = [line[0] for line in self.lines]
        while not self.stopped:
            for fd in select.select(masters, [], [], 0.2)[0]:
                way = masters.index(fd)
                data = os.read(fd, 4096)
                if self.cut is not None:
                    data = data[:max(self.cut - len(self.passed[0]), 0)] if way == 0 else data
                self.passed[way] += data
                os.write(masters[1 - way], self.damage(way, data))

    def close(self):
        self.stopped = True
        self.join()
        for line in self.lines:
            for fd in line:
                os.close(fd)


class Transfer:
    """One run of a sender."""

    def __init__(self, kind, files, seed=0, there=0.0, back=0.0, *, keep_ms=0, speed=SPEED, check="auto",
                 cut=None, timeout=120):
        self.files = files
        with tempfile.TemporaryDirectory() as folder:
            names = []
            for i, content in enumerate(files):
                names.append(f"TEST-{i}.scp")
                (Path(folder) / names[-1]).write_bytes(content)
            kept = Path(folder) / "kept"
            kept.mkdir()
            self.relay = Relay(seed, there, back)
            self.relay.cut = cut
            sender, receiver = (line[1] for line in self.relay.lines)
            self.relay.start()
            begun = time.monotonic()
            with subprocess.Popen([PROBE, os.ttyname(receiver), kept, str(keep_ms), str(speed), check],
                                  stdout=subprocess.PIPE, text=True) as probe:
                try:
                    done = subprocess.run([*SENDERS[kind], "-q", *names], stdin=sender, stdout=sender,
                                          stderr=subprocess.DEVNULL, cwd=folder, timeout=timeout,
                                          check=False).returncode
                except subprocess.TimeoutExpired:
                    done = "time"
                self.seconds = time.monotonic() - begun
                time.sleep(0.2 if cut is None else 40 / speed)
                probe.terminate()
                self.said = probe.stdout.read().splitlines()
            self.relay.close()
            self.done = done
            self.kept = [path.read_bytes() for path in sorted(kept.iterdir(), key=lambda p: int(p.name))]

    def faults(self):
        """What must never be."""
        faults = [f"study {i} is none of the files: {len(study)} bytes; {self.said}"
                  for i, study in enumerate(self.kept) if study not in self.files]
        if self.done == 0 and self.kept != self.files:
            faults.append(f"the sender was content, but {len(self.kept)} of {len(self.files)} are there; {self.said}")
        if len(self.kept) != len(set(self.kept)):
            faults.append("a study is there twice")
        return faults


def scp(length, seed):
    """What a cart would send, as far as a receiver looks: the length of the record and its mark."""
    body = bytearray(random.Random(seed).randbytes(length))
    body[2:6] = struct.pack("<I", length)
    body[16:22] = b"SCPECG"
    return bytes(body)


def plain(length, seed):
    """Another kind of file; its last byte is no padding."""
    return random.Random(seed).randbytes(length - 1) + b"."


def per_byte(kind, damaged_blocks):
    return 1 - (1 - damaged_blocks) ** (1 / BLOCK[kind])


def measure():
    print("kind          blocks damaged   files identical/given up/wrong   s per 100 KB")
    for kind in SENDERS:
        for rate in (0, 0.01, 0.05, 0.2):
            runs = 8 if rate else 2
            with ThreadPoolExecutor(runs) as pool:
                done = list(pool.map(lambda n: Transfer(
                    kind, [scp(30000 if rate else 400000, n)], n, per_byte(kind, rate), 0, speed=1,
                    timeout=900), range(runs)))
            good = sum(t.kept == t.files and t.done == 0 for t in done)
            wrong = sum(bool(t.faults()) for t in done)
            seconds = sum(t.seconds for t in done) / sum(len(t.files[0]) for t in done) * 1e5
            print(f"{kind:12s} {rate:10.0%} {good:18d}/{len(done) - good - wrong}/{wrong} {seconds:22.2f}", flush=True)


if __name__ == "__main__":
    measure()
