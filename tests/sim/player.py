# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays a script on a serial line: the line, the remote control, and the pace of the instrument.

The instrument's time goes in ticks of equal length, --pace times as fast as real time; in each it
says some bytes. It counts ticks, so that a script and a seed give the same bytes on any machine,
however busy. Nobody hears a line whose port is closed: the bytes vanish and the story goes on.
With --dtr the instrument's time stands still until somebody has had the port open for half a
second (a reader that has just opened a port may throw away what is in it).

On the control socket: orders as in story.py (several in a datagram, if need be), and at once,
whatever the script does: unplug, plug (the pty goes away and comes back).
"""
import argparse
import random
import select
import time
from datetime import datetime, timedelta

import ledger as common
from analyser import Line
from ledger import boottime

SETTLE_S = 0.5      # from the opening of the port to the first byte, with --dtr
WRITE_S = 2         # a reader that leaves its buffer full for longer loses bytes
LATE_S = 1          # more than this is not caught up with
IDLE_S = 0.05      # between two looks whether somebody has opened the port
NAP_S = 0.004       # bytes that fall due within it go out together


class Stopped(Exception):
    pass


class Player:
    """A subclass sets `story` (a Script), tick_s, and says in tick() what the bytes are."""

    def __init__(self, options):
        self.options = options
        self.ledger = common.Ledger(options.ledger, options.name)
        self.remote = common.Remote(options.control)
        self.line = Line(options)
        self.pace = common.Pace(options.random, options.rate)
        self.dice = random.Random(options.seed)
        self.noise_bytes, self.cutting = 0, False       # faults that are due
        self.opened = self.start = None                 # when

    # For the subclass

    def clock(self):
        """Date and time on the instrument, when it says the next bytes."""
        if self.start is None:
            self.start = self.options.start or datetime.fromtimestamp(
                time.time()).replace(microsecond=0) + timedelta(seconds=self.options.clock)
        return self.start + timedelta(seconds=self.story.now + 1e-6)

    def noise(self, count):
        """Order: bytes that nobody sent, on the line where the subclass puts them."""
        self.noise_bytes += count
        yield 0

    def cut(self):
        """Order: the next thing that is said loses some of its bytes."""
        self.cutting = True
        yield 0

    def take_noise(self, forbidden=b""):
        if not self.noise_bytes:
            return b""
        noise = bytes(self.dice.choice([b for b in range(256) if b not in forbidden])
                      for _ in range(self.noise_bytes))
        self.noise_bytes = 0
        self.ledger.write("fault", raw=noise, why="noise")
        return noise

    def hear(self, data):
        """Most of these instruments take no orders by their line."""

    def linger(self):
        """Closing a pty takes what its reader did not read yet."""
        end = boottime() + 1
        while boottime() < end and self.line.heard():
            self.wait(IDLE_S)

    # Time

    def command(self, word, rest):
        try:
            if word == "unplug":
                self.line.unplug()
                self.ledger.write("closed", why="unplugged")
            elif word == "plug":
                self.line.plug()
                self.ledger.write("connected")
            else:
                self.story.order(f"{word} {rest}")
        except (ValueError, TypeError) as error:
            common.complain(self.options.name, f"order refused: {error}")

    def wait(self, seconds):
        """Serve the remote control and the line; returns early when one of them had something."""
        poller = select.poll()
        self.remote.register(poller)
        if self.line.fd is not None:
            poller.register(self.line.fd, select.POLLIN)
        state = dict(poller.poll(seconds * 1000)).get(self.line.fd, 0)
        if state & select.POLLIN:
            self.hear(self.line.read())
        elif state & select.POLLHUP:        # nobody has the port open; do not spin
            poller.unregister(self.line.fd)
            poller.poll(min(seconds, IDLE_S) * 1000)
        for word, rest in self.remote.commands():
            self.command(word, rest)
        if self.remote.stopped:
            raise Stopped

    def listened(self):
        if not self.line.heard():
            self.opened = None
        elif self.opened is None:
            self.opened = boottime()
        return self.opened is not None and boottime() - self.opened >= SETTLE_S

    def more(self):
        """Add what is due to the queue; False when the play is over."""
        for number in self.pace.due():
            self.story.order(self.random_order(random.Random(f"{self.options.seed}/{number}")))
        if self.options.repeat and not self.story.busy():
            self.story.order(self.options.script)
        return self.story.busy() or self.pace.wait() is not None or not self.options.exit_when_done

    def play(self):
        length, due, more = self.tick_s / self.options.pace, boottime(), True
        while more:
            now, said = boottime(), b""
            if self.options.dtr and not self.listened():
                due = now + IDLE_S
            due = max(due, now - LATE_S)
            while due <= now and (more := self.more()):
                said += self.tick()
                due += length
            self.line.write(said, WRITE_S)
            self.wait(max(due - boottime(), NAP_S))
        self.linger()

    def run(self):
        self.line.plug()
        self.ledger.write("connected")
        try:
            self.play()
        except Stopped:
            pass
        finally:
            self.finish()
            self.line.unplug()
            self.ledger.write("closed", why="stopped" if self.remote.stopped else "done")
            self.remote.close()

    def finish(self):
        """Before the end, however it comes."""


def player_options(parser, name):
    add = parser.add_argument
    common.common_options(parser, name)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--link", metavar="PATH", help="make a pty, symlink its slave as PATH")
    where.add_argument("--tty", metavar="PATH", help="use this serial port")
    add("--baud", type=int, default=9600, help="of --tty (%(default)s)")
    add("--dtr", action="store_true", help="time stands still while nobody has the port open")
    add("--script", default="", metavar="TEXT", help="orders, parted by ; or line ends")
    add("--repeat", action="store_true", help="the script begins anew when it is through")
    add("--pace", type=positive, default=1, metavar="F", help="the instrument's clock runs F "
        "times as fast as real time (1)")
    add("--start", type=datetime.fromisoformat, metavar="TIME",
        help="what its clock shows at the first tick (now)")
    add("--steady", action="store_true", help="values do not drift")
    add("--acquire", type=float, default=4, metavar="S", help="length of a pulse search (4)")


def positive(text):
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def random_visit(dice, options):
    """Orders: somebody measures. Long enough for a spot reading, then the finger is out."""
    spo2, pulse = dice.randint(95, 99), dice.randint(55, 95)
    if dice.random() < options.criticals:
        spo2, pulse = dice.choice(((dice.randint(78, 87), pulse), (spo2, dice.randint(135, 165)),
                                   (spo2, dice.randint(32, 39))))
    perfusion = dice.choice(("good", "good", "good", "marginal"))
    return (f"finger in spo2={spo2} pulse={pulse} perfusion={perfusion}; "
            f"wait {dice.randint(14, 22)}; finger out; wait {dice.randint(4, 8)}")


def start(instrument, options):
    """Run it. A script with a mistake ends here, before anything is said."""
    player = instrument(options)
    try:
        player.story.order(options.script)
    except (ValueError, TypeError) as error:
        raise SystemExit(f"{options.name}: script refused: {error}") from None
    player.run()
