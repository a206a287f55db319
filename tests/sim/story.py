# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens at an instrument, told by orders: a queue of them, and the finger in an oximeter.

A script is text: orders parted by ; or a line end, # begins a remark. They are carried out one
after another in the instrument's own time; one that lasts holds up those behind it:

    wait N                              nothing happens for N seconds
    finger in [spo2=97] [pulse=72] [perfusion=good]
                                        pulse search (--acquire seconds), then values
    finger out                          the values stay for a second, flagged; then there are none
    sensor off | sensor on              its plug; after "on" the finger is still out
    spo2 N, pulse N (or hr N)           the values are these from now on
    perfusion good | marginal | low
    desaturate to=84 over=10 hold=20    falls for `over` seconds, stays for `hold`, and comes back
    artifact N                          N seconds of motion: values are flagged, and frozen
    silence N                           nothing is sent for N seconds, as if the instrument slept
    battery low | good

"now" before the first order of a datagram: drop all that is under way and queued, and begin here.

What is shown between two changes is a phase. Each has a key in the ledger: "measured" with its
record when it begins, "complete" with the same key when it is over:

    phase       sensor off, finger out, searching, steady, falling, low, rising, artifact, held,
                silent
    spo2, pulse what it is about (of falling and rising: where it goes); null: no value is shown
    perfusion   good, marginal, low
    flags       what the instrument says is wrong: sensor_disconnected, sensor_alarm, out_of_track,
                artifact. Of the phases with values, steady, falling, low and rising have none
    battery     low, only while it is
    and when it is over:
    seconds     of the instrument's time that it lasted
    spo2_shown, pulse_shown   [least, median, most] of the values sent; null: none was
    samples     how many were sent
"""
import re
from collections import deque, namedtuple
from functools import partial
from statistics import median_low

STEP = 1 / 3            # seconds between two values of something that falls or rises
HELD = 1                # seconds that values stay after the finger is gone
EPSILON = 1e-6          # thirds of a second do not add up exactly

View = namedtuple("View", "phase spo2 pulse perfusion flags battery")
FLAGS = {"sensor off": ("sensor_disconnected",),
         "finger out": ("sensor_alarm", "out_of_track"), "held": ("sensor_alarm", "out_of_track"),
         "searching": ("out_of_track",), "artifact": ("artifact",)}
BLANK = ("sensor off", "finger out", "searching", "silent")     # no values
FROZEN = ("artifact", "held")
TEXTS = ("id", "time", "perfusion")     # of these the value is no number


def number(text):
    return float(text) if "." in text else int(text)


def parse(text):
    """(name, numbers, named values) of each order: "finger in spo2=97" is ("finger in", [],
    {"spo2": 97})."""
    for line in re.split(r"[;\n]", text):
        name, numbers, named = [], [], {}
        for word in line.split("#")[0].split():
            key, equals, value = word.partition("=")
            if equals:
                named[key] = value if key in TEXTS else number(value)
            elif re.fullmatch(r"-?\d+(\.\d+)?", word):
                numbers.append(number(word))
            else:
                name.append(word)
        if name or numbers or named:
            yield " ".join(name), numbers, named


class Script:
    """A queue of orders and the time in which they are carried out. An order is a function that
    returns a generator: what it yields is the seconds that it lasts until its next act."""

    def __init__(self):
        self.now = self.due = 0.0
        self.queue, self.course = deque(), None
        self.orders = {"wait": self.wait}

    def order(self, text):
        """Refuses with ValueError or TypeError, before anything is queued."""
        words = text.split(None, 1)
        at_once = words[:1] == ["now"]
        made = []
        for name, numbers, named in parse(words[1] if at_once and words[1:] else text):
            if name not in self.orders:
                raise ValueError(f"no order '{name}'; there are: {', '.join(self.orders)}")
            made.append(self.orders[name](*numbers, **named))
        if at_once:
            self.drop()
        if not self.busy():
            self.due = self.now
        self.queue.extend(made)

    def drop(self):
        self.queue.clear()
        self.course = None

    def busy(self):
        return bool(self.course or self.queue)

    def run(self):
        """Carry out all that is due."""
        while self.due <= self.now + EPSILON:
            if not self.busy():
                return
            self.course = self.course or self.queue.popleft()
            try:
                self.due += next(self.course)
            except StopIteration:
                self.course = None

    def step(self, seconds):
        """Carry out what is due, then let time pass."""
        self.run()
        self.now += seconds

    def wait(self, seconds):
        yield seconds


class Story(Script):
    """The finger. Values drift by a little, unless --steady."""

    def __init__(self, ledger, dice, options):
        super().__init__()
        self.ledger, self.dice = ledger, dice
        self.steady, self.acquire = options.steady, options.acquire
        self.number = ledger.last_number()
        self.spo2, self.pulse, self.perfusion, self.battery = 97, 72, "good", "good"
        self.drift = [0, 0]             # of SpO2 and pulse
        self.drifted = 0.0              # when
        self.rest = "finger out"        # the phase that it comes back to
        self.key = None                 # of the phase, once it is in the ledger
        self.turn(self.rest)
        self.orders |= {
            "finger in": self.finger_in, "finger out": self.finger_out,
            "sensor off": partial(self.plug, "sensor off"),
            "sensor on": partial(self.plug, "finger out"),
            "spo2": lambda value: self.set(spo2=value),
            "pulse": lambda value: self.set(pulse=value),
            "hr": lambda value: self.set(pulse=value),
            "desaturate": self.desaturate,
            "artifact": partial(self.spell, "artifact"),
            "silence": partial(self.spell, "silent")}
        for level in ("good", "marginal", "low"):
            self.orders[f"perfusion {level}"] = partial(self.set, perfusion=level)
        for level in ("good", "low"):
            self.orders[f"battery {level}"] = partial(self.set, battery=level)

    # Phases

    def view(self):
        """What is shown now."""
        spo2 = pulse = None
        if self.phase not in BLANK:
            spo2 = max(1, min(100, round(self.spo2) + self.drift[0]))
            pulse = max(1, min(300, round(self.pulse) + self.drift[1]))
        return View(self.phase, spo2, pulse, self.perfusion, FLAGS.get(self.phase, ()),
                    self.battery)

    def turn(self, phase, spo2=None):
        """A new phase begins; spo2: where it goes."""
        self.end()
        self.phase, self.began = phase, self.now
        self.shown = []
        blank = phase in BLANK
        self.record = {"phase": phase, "spo2": None if blank else round(spo2 or self.spo2),
                       "pulse": None if blank else round(self.pulse),
                       "perfusion": self.perfusion, "flags": list(FLAGS.get(phase, ()))}
        if self.battery == "low":
            self.record["battery"] = "low"
        self.key = None

    def end(self):
        """The phase is over. One that nobody saw is not in the ledger."""
        if not self.key:
            return
        self.record["seconds"] = round(self.now - self.began, 3)
        self.record["samples"] = len(self.shown)
        for place, name in enumerate(("spo2_shown", "pulse_shown")):
            values = [x[place] for x in self.shown]
            self.record[name] = [min(values), median_low(values), max(values)] if values else None
        self.ledger.write("complete", self.key, self.record)
        self.key = None

    def step(self, seconds):
        """Carry out what is due, let time pass, and say what was shown meanwhile."""
        self.run()
        if not self.key:
            self.number += 1
            self.key = f"{self.number:06d}"
            self.ledger.write("measured", self.key, self.record)
        while self.drifted + 1 <= self.now and not self.steady:
            self.drifted += 1
            if self.phase not in FROZEN:
                self.drift = [max(-1, min(1, self.drift[0] + self.dice.choice((-1, 0, 0, 0, 1)))),
                              max(-3, min(3, self.drift[1] + self.dice.choice((-1, 0, 1))))]
        view = self.view()
        if view.spo2 is not None:
            self.shown.append((view.spo2, view.pulse))
        self.now += seconds
        return view

    def drop(self):
        """What was under way ends here; the finger stays where it was going."""
        super().drop()
        if self.phase != self.rest:
            self.turn(self.rest)

    # Orders

    def finger_in(self, spo2=97, pulse=72, perfusion=None):
        if perfusion not in (None, "good", "marginal", "low"):
            raise ValueError(f"perfusion '{perfusion}'")
        return self._finger_in(spo2, pulse, perfusion)

    def _finger_in(self, spo2, pulse, perfusion):
        self.spo2, self.pulse = spo2, pulse
        self.perfusion = perfusion or self.perfusion
        self.drift, self.drifted = [0, 0], self.now
        self.rest = "steady"
        if self.acquire > 0:
            self.turn("searching")
            yield self.acquire
        self.turn("steady")

    def finger_out(self):
        shown, self.rest = self.phase not in BLANK, "finger out"
        if shown:
            self.turn("held")
            yield HELD
        self.turn("finger out")
        yield 0

    def plug(self, rest):
        self.rest = rest
        self.turn(rest)
        yield 0

    def set(self, **values):
        vars(self).update(values)
        self.turn(self.phase)
        yield 0

    def spell(self, phase, seconds):
        """For a while it is otherwise."""
        self.turn(phase)
        yield seconds
        self.turn(self.rest)

    def desaturate(self, to, over=10, hold=20):
        was = self.spo2
        yield from self.slope("falling", to, over)
        self.turn("low")
        yield hold
        yield from self.slope("rising", was, over)
        self.turn("steady")

    def slope(self, phase, to, over):
        start, steps = self.spo2, max(1, round(over / STEP))
        self.turn(phase, to)
        for n in range(1, steps + 1):
            yield over / steps
            self.spo2 = start + (to - start) * n / steps
