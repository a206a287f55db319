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
SPEED = 5  # the receiver's clock; the senders' is what it is
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
                 cut=None, timeout=300, wanted=None):
        self.files = wanted or files
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
                time.sleep(0.2 if cut is None else 60 / speed)
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


def record_of(content):
    """What is kept of a file without a size: an SCP-ECG record ends where it says, if nothing but padding
    stands behind it."""
    length = struct.unpack_from("<I", content, 2)[0]
    behind = content[length:]
    padded = not behind.strip(b"\x1a") or not behind.strip(b"\0")
    return content[:length] if content[16:22] == b"SCPECG" and padded else content


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


# --- tests

def batch(kind, seed):
    """What one run sends: one file, or a batch."""
    if kind.startswith("xmodem"):
        return [scp(9000, seed) if seed % 2 else plain(9000, seed)]
    return [scp(5000, seed), plain(1, seed), plain(2048, seed + 100), scp(700, seed)]


def check_all(name, transfers, least):
    """`least`: of the transfers so many must succeed."""
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda given: Transfer(*given[0], **given[1]), transfers))
    faults = [f"{i}: {fault}" for i, t in enumerate(done) for fault in t.faults()]
    good = sum(t.done == 0 and t.kept == t.files for t in done)
    if good < least:
        faults += [f"{good} of {len(done)} succeeded"] + [
            f"exit status {t.done}, {t.relay.damaged} damaged, {t.said}" for t in done if t.done != 0]
    damaged = [sum(t.relay.damaged[way] for t in done) for way in (0, 1)]
    tell(faults, f"{name}: {good} of {len(done)} in {max(t.seconds for t in done):.1f} s at most; "
         f"{damaged[0]} bytes and {damaged[1]} answers damaged")
    return done


def test_good_line():
    check_all("a good line", [((kind, batch(kind, seed)), {"keep_ms": 3000})
                              for kind in SENDERS for seed in (1, 2)], 8)
    check_all("only checksums are asked for", [((kind, batch(kind, 1)), {"check": "sum"})
                                               for kind in SENDERS], 4)


def test_public_files():
    folder = Path(os.environ.get("VITALGATE_SHARED", ROOT.parent / "shared")) / "samples"
    files = sorted(folder.glob("*.scp")) + sorted(folder.glob("*.xml"))
    files = [path.read_bytes() for path in files]
    if not files:
        global count
        count += 1
        print(f"ok {count} - public files # SKIP no shared data")
        return
    check_all("public files in a batch", [(("ymodem-1k", files), {})], 1)
    # without a size a receiver cannot know how much of 1A at the end is the file's
    files = [content for content in files if not content.endswith(b"\x1a")]
    check_all("public files one by one",
              [(("xmodem-1k", [content]), {"wanted": [record_of(content)]}) for content in files], len(files))


def test_damage():
    for rate, least in ((0.01, 12), (0.05, 12), (0.2, 11)):
        check_all(f"{rate:.0%} of the blocks damaged",
                  [((kind, batch(kind, seed), seed, per_byte(kind, rate)), {})
                   for kind in SENDERS for seed in (3, 4, 5)], least)
    check_all("5% of the blocks, 3% of the answers",
              [((kind, batch(kind, seed), seed, per_byte(kind, 0.05), 0.03), {"keep_ms": 3000})
               for kind in SENDERS for seed in (6, 7, 8)], 10)


def test_acknowledged_behind_the_commit():
    """What the sender is told at last, and when."""
    begun = {}

    def timed(kind):
        t = Transfer(kind, [scp(500, 1)], keep_ms=1000 * SPEED)  # 1 s of ours
        begun[kind] = t.seconds
        return t

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(timed, SENDERS))
    faults = [fault for t in done for fault in t.faults()]
    faults += [f"{kind}: over after {seconds:.2f} s" for kind, seconds in begun.items() if seconds < 1]
    faults += [f"{t.done}: {t.said}" for t in done if t.done != 0]
    tell(faults, "the sender hears of its end when the file is safe")


def test_cut():
    """The line is cut in the middle: nothing is kept, and it is told."""
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda kind: Transfer(kind, [plain(9000, 1)], cut=5000, timeout=4), SENDERS))
    faults = [f"{t.done}: {len(t.kept)} kept, {t.said}" for t in done
              if t.done == 0 or t.kept or
              t.said != ["event device_error transfer given up: the sender fell silent"]]
    tell(faults, "a line that is cut: nothing is kept, and it is told")


def main():
    test_good_line()
    test_public_files()
    test_damage()
    test_acknowledged_behind_the_commit()
    test_cut()
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(measure() if sys.argv[1:] == ["--measure"] else main())
