#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ECG cart on a serial line, and the nurse who presses "send" again until it says "sent".

Studies are synthetic SCP files (scp_file.py), or files that are there. They go out by the real
programs of Debian's lrzsz, each on a pty of its own:

    sx      XMODEM, blocks of 128 bytes; CRC or checksum, as the gateway asks for
    sx-k    XMODEM, blocks of 1024
    sb      YMODEM: name and size go ahead

Between that pty and the gateway's is a relay: the line, with its noise and its speed. Bytes that
come while nobody has the gateway's end open are gone, as on a wire. The noise flips a bit, drops
or inserts one to four bytes, with a chance per 128 bytes of the sender's and per byte of the
gateway's, whose answers have one. It never makes an ACK (06) or an EOT (04) that nobody said:
against those no XMODEM is safe, whoever is at the other end.

Orders on the control socket:

    record JSON     a study of scp_file.py (time: now), or {"file": path}; "how": sx, sx-k, sb
    noise P [WAY]   from now on; WAY: both, out (to the gateway), in
    speed N         bytes per second each way from now on; 0: as fast as it goes
    unplug, plug    the line

Ledger, with the file's number as key: measured (record: file, bytes, sha256, how, and the study),
sent (one attempt begins), lost (why: exit N, patience, stopped; "given up" when it was the last
try), told (the sender's exit status was 0: the person is told that it was sent; record: tries,
seconds), fault (what the noise did in one attempt).
"""
import argparse
import hashlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import tty
from collections import Counter, deque
from contextlib import suppress

import ledger as common
import scp_file
from analyser import Line
from ledger import boottime

SENDERS = {"sx": ["sx"], "sx-k": ["sx", "-k"], "sb": ["sb"]}
WAYS = ("both", "out", "in")
BLOCK = 128
ACK, EOT = 0x06, 0x04
FORBIDDEN = (ACK, EOT)
MOST_WAITING = 4096     # bytes in one direction that the line holds, as the buffers of a UART
IDLE_S = 0.05           # between two looks whether somebody has opened the port
NAP_S = 0.01            # at most, while bytes wait for their time
LINGER_S = 1            # for the last ACK to be read before the next attempt


class Stopped(Exception):
    pass


class Noise:
    """What happens to bytes on their way. Seeded: the same bytes meet the same fate."""

    def __init__(self, seed):
        self.dice, self.chance, self.way = random.Random(seed), 0.0, "both"
        self.counts = Counter()

    def set(self, chance, way="both"):
        if way not in WAYS:
            raise ValueError(f"noise goes {', '.join(WAYS)}")
        self.chance, self.way = common.probability(chance), way

    def harmless(self, byte):
        """Another value of a byte."""
        while True:
            other = byte ^ 1 << self.dice.randrange(8)
            if other not in FORBIDDEN:
                return other

    def strange(self, count):
        return bytes(self.dice.choice([b for b in range(256) if b not in FORBIDDEN])
                     for _ in range(count))

    def spoil(self, data, outwards):
        if not self.chance or self.way == ("in" if outwards else "out"):
            return data
        per_byte = self.chance / BLOCK if outwards else self.chance
        out, skip = bytearray(), 0
        for byte in data:
            if skip:
                skip -= 1
            elif self.dice.random() >= per_byte:
                out.append(byte)
            else:
                kind = self.dice.choice(("flip", "drop", "insert"))
                self.counts[kind] += 1
                if kind == "flip":
                    out.append(self.harmless(byte))
                elif kind == "insert":
                    out += self.strange(self.dice.randint(1, 4)) + bytes([byte])
                else:
                    skip = self.dice.randint(0, 3)
        return bytes(out)


class Way:
    """One direction of the line."""

    def __init__(self):
        self.waiting, self.size = deque(), 0
        self.free_at = 0.0

    def room(self):
        return self.size < MOST_WAITING

    def put(self, data):
        if data:
            self.waiting.append(data)
            self.size += len(data)

    def take(self, speed):
        """The bytes whose time has come."""
        now = boottime()
        if not self.size or self.free_at > now:
            return b""
        most = self.size
        if speed:
            most = min(most, max(1, int(speed * NAP_S)))
            self.free_at = max(self.free_at, now - NAP_S) + most / speed
        out = b"".join(self.waiting)
        self.clear()
        self.put(out[most:])
        return out[:most]

    def clear(self):
        self.waiting.clear()
        self.size = 0


class Cart:
    def __init__(self, options):
        self.options = options
        self.ledger = common.Ledger(options.ledger, options.name)
        self.number = self.ledger.last_number()
        self.remote = common.Remote(options.control)
        signal.signal(signal.SIGCHLD, lambda *_: None)      # wakes the loop
        self.line = Line(options)
        self.noise = Noise(options.seed)
        self.noise.set(options.noise, options.direction)
        self.speed = options.speed
        self.pace = common.Pace(options.random, options.rate)
        self.queue = deque()
        self.folder = options.folder or (
            options.name if options.ledger == "-" else options.ledger + ".files")
        os.makedirs(self.folder, exist_ok=True)
        self.sender_fd = None       # our end of the sender's pty
        self.out, self.into = Way(), Way()

    # Studies

    def measure(self, record):
        """A study of scp_file.py, or {"file": path}; how, if it matters."""
        record = dict(record)
        how = record.pop("how", self.options.how)
        how = random.Random(f"{self.options.seed}/{self.number}").choice(
            sorted(SENDERS)) if how == "mix" else how
        if how not in SENDERS:
            raise ValueError(f"how is {', '.join(SENDERS)}")
        if "file" in record:
            with open(record["file"], "rb") as f:
                data = f.read()
        else:
            record.setdefault("time", time.strftime("%Y-%m-%dT%H:%M:%S"))
            data = scp_file.make({"number": self.number + 1, **record})
        self.number += 1
        path = os.path.join(self.folder, f"ECG{self.number:05d}.SCP")
        with open(path, "wb") as f:
            f.write(data)
        study = {"key": f"{self.number:06d}", "path": path, "how": how}
        self.ledger.write("measured", study["key"], {
            **record, "file": path, "bytes": len(data), "how": how,
            "sha256": hashlib.sha256(data).hexdigest()})
        self.queue.append(study)

    def measure_random(self):
        for number in self.pace.due():
            dice = random.Random(f"{self.options.seed}/{number}")
            hr = dice.randint(48, 120)
            self.measure({
                "patient": f"R-{dice.randint(1, self.options.patients):04d}", "hr": hr,
                "seed": dice.randrange(1 << 30), "age": dice.randint(30, 90),
                "sex": dice.choice("MF"), "samples": dice.randint(500, self.options.samples),
                "huffman": dice.random() < 0.5, "pr": dice.randint(120, 210),
                "qrs": dice.randint(70, 120), "qt": dice.randint(340, 440),
                "time": f"2026-01-{dice.randint(1, 28):02d}T{dice.randint(8, 17):02d}:"
                        f"{dice.randint(0, 59):02d}:{dice.randint(0, 59):02d}"})

    # The line

    def command(self, word, rest):
        try:
            if word == "record":
                self.measure(common.json_object(rest))
            elif word == "noise":
                self.noise.set(*rest.split())
            elif word == "speed":
                self.speed = max(0, int(rest))
            elif word == "unplug":
                self.line.unplug()
                self.ledger.write("closed", why="unplugged")
            elif word == "plug":
                self.line.plug()
                self.ledger.write("connected")
            else:
                raise ValueError(f"no order {word}")
        except (ValueError, TypeError, OSError, argparse.ArgumentTypeError) as error:
            common.complain(self.options.name, f"order refused: {error}")

    def wait(self, seconds):
        """Carry what is on the line, obey orders; at most so long."""
        poller = select.poll()
        self.remote.register(poller)
        heard = self.line.heard()
        if heard and self.into.room():
            poller.register(self.line.fd, select.POLLIN)
        if self.sender_fd is not None and self.out.room():
            poller.register(self.sender_fd, select.POLLIN)
        nap = NAP_S if self.out.size or self.into.size else seconds if heard else IDLE_S
        ready = dict(poller.poll(max(0.0, min(seconds, nap)) * 1000))
        with suppress(BlockingIOError):
            self.remote.wake.recv(64, socket.MSG_DONTWAIT)
        if ready.get(self.line.fd if heard else None, 0) & select.POLLIN:
            self.into.put(self.noise.spoil(self.line.read(), outwards=False))
        if ready.get(self.sender_fd, 0) & select.POLLIN:
            self.out.put(self.noise.spoil(self.read_sender(), outwards=True))
        self.carry()
        for word, rest in self.remote.commands():
            self.command(word, rest)
        if self.remote.stopped:
            raise Stopped

    def read_sender(self):
        try:
            return os.read(self.sender_fd, MOST_WAITING)
        except OSError:
            return b""

    def carry(self):
        if not self.line.heard():
            self.out.clear()
            self.into.clear()
        self.line.write(self.out.take(self.speed), 1)
        data = self.into.take(self.speed)
        if self.sender_fd is not None and data:
            with suppress(OSError):
                os.write(self.sender_fd, data)

    # Sending

    def send_once(self, study):
        """The sender's exit status, or why there is none."""
        self.sender_fd, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self.sender_fd, False)
        self.into.clear()
        with open(os.path.join(self.folder, "sender.log"), "ab") as log:
            sender = subprocess.Popen([*SENDERS[study["how"]], study["path"]], stdin=slave,
                                      stdout=slave, stderr=log, start_new_session=True)
        os.close(slave)
        end = boottime() + self.options.patience
        try:
            while sender.poll() is None:
                self.wait(1)
                if boottime() > end:
                    return "patience"
            return sender.returncode
        finally:
            if sender.poll() is None:
                sender.kill()
                sender.wait()
            self.finish_attempt()

    def finish_attempt(self):
        """What the sender said last goes out; then its end of the line is gone."""
        end = boottime() + LINGER_S
        with suppress(Stopped):
            while boottime() < end and (rest := self.read_sender()):
                self.out.put(rest)
            while boottime() < end and self.out.size:
                self.carry()
        os.close(self.sender_fd)
        self.sender_fd = None

    def send(self, study):
        """Press "send" until it was sent, at most so often."""
        key, begin = study["key"], boottime()
        for attempt in range(1, self.options.tries + 1):
            while not self.line.heard():        # nobody presses it beside a dead gateway
                self.wait(IDLE_S)
            self.ledger.write("sent", key, {"try": attempt, "how": study["how"]})
            self.noise.counts.clear()
            try:
                status = self.send_once(study)
            except Stopped:
                self.ledger.write("lost", key, why="stopped")
                raise
            if self.noise.counts:
                self.ledger.write("fault", key, dict(self.noise.counts), why="noise")
            if status == 0:
                self.ledger.write("told", key, {"tries": attempt,
                                                "seconds": round(boottime() - begin, 3)})
                return
            self.ledger.write("lost", key, why=f"exit {status}" if status != "patience" else status)
            pause = boottime() + self.options.pause
            while boottime() < pause:
                self.wait(pause - boottime())
        self.ledger.write("lost", key, why="given up")

    def work(self):
        for record in self.options.record:
            self.measure(record)
        while True:
            self.measure_random()
            if self.queue:
                self.send(self.queue[0])
                self.queue.popleft()
            elif self.options.exit_when_done and self.pace.wait() is None:
                return
            else:
                due = self.pace.wait()
                self.wait(1 if due is None else max(due, NAP_S))

    def run(self):
        self.line.plug()
        self.ledger.write("connected")
        try:
            self.work()
        except Stopped:
            pass
        finally:
            self.line.unplug()
            self.ledger.write("closed", why="stopped" if self.remote.stopped else "done")
            self.remote.close()


def options_of(arguments):
    parser = argparse.ArgumentParser(description="A simulated ECG cart that sends SCP files.")
    add = parser.add_argument
    common.common_options(parser, "cart-1")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--link", metavar="PATH", help="make a pty, symlink its slave as PATH")
    where.add_argument("--tty", metavar="PATH", help="use this serial port")
    add("--baud", type=int, default=115200, help="of --tty (%(default)s)")
    add("--record", action="append", default=[], type=common.json_object, metavar="JSON",
        help="a study of scp_file.py or {\"file\": path}, and how; repeatable")
    add("--how", choices=(*SENDERS, "mix"), default="sx", help="of records that do not say (sx)")
    add("--folder", metavar="DIR", help="where its files are kept (<ledger>.files)")
    add("--patients", type=int, default=5, metavar="N", help="random ones are R-0001..N (5)")
    add("--samples", type=int, default=5000, metavar="N", help="of each lead, at most (5000)")
    add("--noise", default="0", metavar="P", help="chance per 128 bytes, or per answer (0)")
    add("--direction", choices=WAYS, default="both", help="of the noise (both)")
    add("--speed", type=int, default=0, metavar="N", help="bytes per second, 0: unlimited (0)")
    add("--tries", type=int, default=10, metavar="N", help="at most, for each file (10)")
    add("--patience", type=float, default=120, metavar="S",
        help="a sender that takes longer is stopped (120)")
    add("--pause", type=float, default=0.5, metavar="S", help="before the next try (0.5)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    Cart(options_of(sys.argv[1:])).run()
