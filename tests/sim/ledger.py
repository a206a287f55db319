# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated instruments share: the ledger, the remote control and the pace.

The ledger is the truth that a test compares with what the gateway kept. One JSON object per line:

    t       seconds, CLOCK_BOOTTIME (the clock that both ends of a test can read)
    sim     name of the simulator
    event   measured  a new measurement is in the instrument's memory
            sent      its bytes are about to go out (again, perhaps)
            told      the instrument was told that it is received: ATT confirmation, LIS01 ACK
            lost      it was sent, but the link or the message ended before it was told
            complete  analyser: its whole message was acknowledged, it will not come again;
                      monitors: the phase is over, record says what was shown
            connected, closed, refused, fault, answer, unexpected, error: what befell the link
    key     the measurement, unique within the simulator, also after a restart
    record  the measurement in plain words
    hex     the bytes of the record; with "sent", as they go out: cut to the MTU if need be
    why     one word or two, where an event needs it

Only t, sim and event are always there. A line is one write() to a file opened with O_APPEND: a
killed simulator leaves whole lines, and several simulators may share a file. "sent" is written
before the bytes go out and "told" before the instrument forgets the record, so that whatever
moment the simulator is killed in, the ledger never claims less than what happened.
"""
import argparse
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Ledger:
    """Append-only list of what happened. path "-" is standard output."""

    def __init__(self, path, sim):
        self.path, self.sim = path, sim
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self.fd = 1 if path == "-" else os.open(path, flags, 0o644)

    def write(self, event, key=None, record=None, raw=None, why=None):
        line = {"t": round(boottime(), 6), "sim": self.sim, "event": event}
        if key is not None:
            line["key"] = key
        if record is not None:
            line["record"] = record
        if raw is not None:
            line["hex"] = raw.hex()
        if why is not None:
            line["why"] = why
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        if os.write(self.fd, data) != len(data):
            raise OSError("ledger: short write")

    def last_number(self):
        """Highest key of this simulator in the file, so that a restarted one counts on."""
        if self.path == "-":
            return 0
        with open(self.path, encoding="utf-8") as lines:
            keys = [e["key"] for e in map(json.loads, lines) if e["sim"] == self.sim and "key" in e]
        return max(map(int, keys), default=0)


class Remote:
    """Orders from outside: SIGTERM or SIGINT, and text datagrams on the --control socket."""

    def __init__(self, path):
        self.path, self.stopped, self.control = path, False, None
        self.wake, wake_end = socket.socketpair()
        wake_end.setblocking(False)
        self.wake_end = wake_end
        signal.set_wakeup_fd(wake_end.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if path:
            self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            bind_over(self.control, path)
            self.control.setblocking(False)

    def _stop(self, _number, _frame):
        self.stopped = True

    def register(self, poller):
        poller.register(self.wake, select.POLLIN)
        if self.control:
            poller.register(self.control, select.POLLIN)

    def commands(self):
        """The commands that have come, as (word, argument)."""
        while self.control:
            try:
                text = self.control.recv(65536).decode(errors="replace")
            except BlockingIOError:
                return
            word, _, rest = text.strip().partition(" ")
            yield word, rest

    def close(self):
        if self.control:
            self.control.close()
            with suppress(FileNotFoundError):
                os.unlink(self.path)


class Pace:
    """Says which of `total` measurements are due: `rate` per second, 0 = all at once."""

    def __init__(self, total, rate, made=0):
        self.total, self.rate, self.made = total, rate, made
        self.next = boottime()

    def due(self):
        count, late = self.total - self.made, boottime() - self.next
        if count > 0 and self.rate > 0:
            count = min(count, int(late * self.rate) + 1 if late >= 0 else 0)
            self.next += count / self.rate
        numbers = range(self.made, self.made + max(count, 0))
        self.made = max(self.made, numbers.stop)
        return numbers

    def wait(self):
        """Seconds until the next one; None when all are made."""
        return None if self.made >= self.total else max(0.0, self.next - boottime())


def bind_over(sock, path):
    """Bind a unix socket, replacing at one stroke what a killed simulator left there."""
    fresh = f"{path}.{os.getpid()}"
    sock.bind(fresh)
    os.rename(fresh, path)


def probability(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("a probability is 0 to 1")
    return value


def json_object(text):
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def common_options(parser, name):
    add = parser.add_argument
    add("--name", default=name, help="name in the ledger and of the device (%(default)s)")
    add("--ledger", default="-", metavar="FILE", help="where to write down what happens (stdout)")
    add("--control", metavar="PATH", help="unix datagram socket that takes commands")
    add("--exit-when-done", action="store_true", help="exit 0 when every record was told")
    add("--random", type=int, default=0, metavar="N", help="make N plausible measurements")
    add("--seed", type=int, default=1, metavar="K", help="of all that is random (%(default)s)")
    add("--rate", type=float, default=0, metavar="R", help="of them per second; 0 = all at once")
    add("--criticals", type=probability, default=0.05, metavar="P",
        help="share of dangerous values among the random ones (%(default)s)")
    add("--clock", type=float, default=0, metavar="S",
        help="seconds that the instrument's clock is ahead of real time (%(default)s)")


def complain(name, text):
    print(f"{name}: {text}", file=sys.stderr, flush=True)
