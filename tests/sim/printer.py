#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instruments that print one line of text per reading on a serial line: --model.

Monitors, which print all the time and follow a story (CR LF ends a line; 9600 8N1):

masimo          Rad-8/Radical "ASCII 1", a line a second (the maker's manual):
    02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% SPMET=--.-% DESAT=--
    PIDELTA=+-- ALARM=0000 EXC=000800       dashes: no value. EXC in hex: 001 no sensor, 004 low
    perfusion, 008 pulse search, 010 interference, 020 sensor off, 400 low signal IQ, 800 running.
    A value counts when EXC & 0FF is 0. ALARM is proprietary; here always 0
masimo_root     a newer one: .. PI=00.55 SPCO=--% ALARM=000000 EXC=0000C00 EXC1=00000000
nellcor         N-595, a line every 2 s, two lines of headings before each 25 (shape of the headings
    from manuals of its kin, spaces assumed):
    14-Mar-13 12:34:56    97     72     48   status..    SpO2, pulse, pulse amplitude; --- no value;
    a star after a number: out of its limits. SD no sensor, SO sensor off, PS pulse search,
    MO motion, SL PH PL limits, LB low battery
nonin_ascii     9600/Avant 4000, a line a second, a heading at the start (its text is invented):
    SPO2=097 HR=072     --- no value; " F" with --fast; * after an event. It has no place for flags:
    during artifact and held its lines look like good ones

One-shot instruments, which print when they are told to measure:

gtech           G-Tech height-weight: STX height,weight,?,?,BMI ETX, no line end. cm and kg; the two
    unknown fields are 0, and so is what was not measured (assumed)
hbp9030         Omron HBP-9030 "format 5", CR LF:
    YYYY,MM,DD,hh,mm,ID(20),err(1),SYS(3),DIA(3),PR(3),move(1)     53 characters
    err other than 0: the three values are spaces. ID is filled up with spaces (assumed: on the
    right)
cms_scale       a plain height-weight station. Its lines are invented, after nothing in particular:
    W:070.5 H:172.0     dashes for what was not measured; ERR:3

Orders of the monitors: those of story.py, and event (nonin_ascii: a star on the next line). Of the
one-shot ones: wait N, and
    measure height=170.5 weight=65.3            gtech, cms_scale
    measure sys=128 dia=82 pulse=72 [id=R-0001] [move=1] [time=2026-07-11T08:30]
    measure error=1                             hbp9030, cms_scale
    reprint                                     the last line once more
Of all: noise N: N bytes of rubbish, no line ends among them, right before the next line; cut: the
next line breaks off in its middle and has no end.

Ledger of the monitors: as story.py. Of the one-shot ones: measured with the record as ordered (what
was not measured is null), then sent with the same key and the bytes, or lost with what was left of
them after cut. Faults: noise and cut.
"""
import argparse
import sys
from collections import namedtuple
from datetime import datetime

from player import Player, player_options, random_visit, start
from story import Script, Story

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
ONE_SHOT_TICK_S = 0.1


def digits(value, width, dashes):
    """A number with leading zeros; dashes for none."""
    return dashes if value is None else f"{value:0{width}}"


# The monitors: a View (story.py) to a line

EXC = {"sensor off": 0x001, "finger out": 0x020, "held": 0x020, "searching": 0x008,
       "artifact": 0x010}
PERFUSION_EXC = {"good": 0, "marginal": 0x400, "low": 0x004}
PERFUSION_INDEX = {"good": 3.6, "marginal": 0.55, "low": 0.12}
AMPLITUDE = {"good": 48, "marginal": 12, "low": 3}
NELLCOR_STATUS = {"sensor off": "SD", "finger out": "SO", "held": "SO", "searching": "PS",
                  "artifact": "MO"}


def masimo_values(view):
    """The fields that all models have, and EXC."""
    none = view.spo2 is None
    index = None if none else PERFUSION_INDEX[view.perfusion]
    exceptions = 0x800 | EXC.get(view.phase, 0) | (0 if none else PERFUSION_EXC[view.perfusion])
    index = "--.--" if none else f"{index:05.2f}"
    return (f"SPO2={digits(view.spo2, 3, '---')}% BPM={digits(view.pulse, 3, '---')} "
            f"PI={index}"), exceptions


def masimo(view, moment, options, _lines):
    values, exceptions = masimo_values(view)
    return (f"{moment:%m/%d/%y %H:%M:%S} SN={options.serial} {values}% SPCO=--.-% SPMET=--.-% "
            f"DESAT=-- PIDELTA=+-- ALARM=0000 EXC={exceptions:06X}\r\n")


def masimo_root(view, moment, _options, _lines):
    values, exceptions = masimo_values(view)
    return (f"{moment:%m/%d/%y %H:%M:%S} SN=---------- {values} SPCO=--% ALARM=000000 "
            f"EXC={exceptions:07X} EXC1=00000000\r\n")


def nellcor(view, moment, options, lines):
    low, slow, fast = options.spo2_limit, 40, 170
    status = [NELLCOR_STATUS[view.phase]] if view.phase in NELLCOR_STATUS else []
    stars = [" ", " "]
    if view.spo2 is not None and view.spo2 < low:
        stars[0], status = "*", status + ["SL"]
    if view.pulse is not None and not slow <= view.pulse <= fast:
        stars[1], status = "*", status + ["PH" if view.pulse > fast else "PL"]
    if view.battery == "low":
        status.append("LB")
    amplitude = "---" if view.spo2 is None else AMPLITUDE[view.perfusion]
    date = f"{moment:%d}-{MONTHS[moment.month - 1]}-{moment:%y %H:%M:%S}"
    head = "" if lines % 25 else (
        f"N-595    VERSION 1.0.0.0    CRC: 0A1B    SpO2 Limit: {low}-100%    "
        f"PR Limit: {slow}-{fast}BPM\r\nTIME                %SpO2   BPM     PA   Status\r\n")
    values = f"{view.spo2 or '---':>6}{stars[0]}{view.pulse or '---':>6}{stars[1]}{amplitude:>6}"
    return head + f"{date}{values}" + "".join(f"   {word}" for word in status) + "\r\n"


def nonin_ascii(view, moment, options, lines):
    head = "" if lines else f"NONIN REAL-TIME DATA {moment:%m/%d/%y %H:%M:%S}\r\n"
    return (head + f"SPO2={digits(view.spo2, 3, '---')} HR={digits(view.pulse, 3, '---')}"
            + " F" * options.fast + "\r\n")


# The one-shot instruments: named values of an order to a record, a record to a line

def body_record(height=None, weight=None):
    bmi = round(weight / (height / 100) ** 2, 1) if height and weight else None
    return {"height_cm": height, "weight_kg": weight, "bmi": bmi}


def station_record(height=None, weight=None, error=0):
    if error:
        height = weight = None
    return body_record(height, weight) | {"error": error}


def pressure_record(sys=None, dia=None, pulse=None, error=0, move=0, id="", time=None):
    """The names are those of the order."""
    if not error and None in (sys, dia, pulse):
        raise ValueError("sys, dia and pulse, or error")
    if len(id) > 20 or not 0 <= error <= 9 or not 0 <= move <= 9:
        raise ValueError("id has 20 characters, error and move are one digit")
    if error:
        sys = dia = pulse = None
    time = datetime.fromisoformat(time).strftime("%Y-%m-%dT%H:%M") if time else None
    return {"sys": sys, "dia": dia, "pulse": pulse, "error": error, "move": move, "id": id,
            "time": time}


def gtech(record):
    values = (record["height_cm"], record["weight_kg"], None, None, record["bmi"])
    return "\x02" + ",".join("0" if v is None else f"{v:.1f}" for v in values) + "\x03"


def hbp9030(record):
    values = ",".join(digits(record[k], 3, "   ") for k in ("sys", "dia", "pulse"))
    moment = datetime.fromisoformat(record["time"])
    return (f"{moment:%Y,%m,%d,%H,%M},{record['id']:<20},{record['error']},{values},"
            f"{record['move']}\r\n")


def cms_scale(record):
    if record["error"]:
        return f"ERR:{record['error']}\r\n"
    weight, height = ("---.-" if record[k] is None else f"{record[k]:05.1f}"
                      for k in ("weight_kg", "height_cm"))
    return f"W:{weight} H:{height}\r\n"


def random_body(dice, _options):
    height = dice.randint(1480, 1850) / 10
    return f"measure height={height} weight={dice.randint(450, 980) / 10}; wait 20"


def random_pressure(dice, options):
    high, low = dice.randint(105, 138), dice.randint(62, 84)
    if dice.random() < options.criticals:
        high, low = dice.choice(((dice.randint(180, 218), dice.randint(96, 125)),
                                 (dice.randint(74, 89), dice.randint(42, 56))))
    return f"measure sys={high} dia={low} pulse={dice.randint(52, 108)}; wait 60"


Monitor = namedtuple("Monitor", "interval_s line")
Station = namedtuple("Station", "record line random")
MODELS = {"masimo": Monitor(1, masimo), "masimo_root": Monitor(1, masimo_root),
          "nellcor": Monitor(2, nellcor), "nonin_ascii": Monitor(1, nonin_ascii),
          "gtech": Station(body_record, gtech, random_body),
          "hbp9030": Station(pressure_record, hbp9030, random_pressure),
          "cms_scale": Station(station_record, cms_scale, random_body)}


class Printer(Player):
    """What both kinds do with a line on its way out."""

    def __init__(self, options):
        super().__init__(options)
        self.model = MODELS[options.model]

    def spoil(self, line):
        """The line after the faults that are due, and whether it was cut."""
        cutting, self.cutting = self.cutting, False
        if cutting:
            self.ledger.write("fault", raw=line, why="cut")
            line = line[:len(line) // 2]
        return self.take_noise(b"\r\n\x02\x03") + line, cutting


class MonitorPrinter(Printer):
    def __init__(self, options):
        super().__init__(options)
        self.tick_s = self.model.interval_s
        self.story = Story(self.ledger, self.dice, options)
        self.story.orders |= {"noise": self.noise, "cut": self.cut}
        if options.model == "nonin_ascii":
            self.story.orders["event"] = self.event
        self.lines, self.star = 0, False

    def event(self):
        self.star = True
        yield 0

    def tick(self):
        moment, view = self.clock(), self.story.step(self.tick_s)
        if view.phase == "silent":
            return b""
        line = self.model.line(view, moment, self.options, self.lines)
        if self.star:
            line, self.star = line[:-2] + "*\r\n", False
        self.lines += 1
        return self.spoil(line.encode())[0]

    def random_order(self, dice):
        return random_visit(dice, self.options)

    def finish(self):
        self.story.end()


class StationPrinter(Printer):
    tick_s = ONE_SHOT_TICK_S

    def __init__(self, options):
        super().__init__(options)
        self.story = Script()
        self.story.orders |= {"measure": self.measure, "reprint": self.reprint,
                              "noise": self.noise, "cut": self.cut}
        self.number = self.ledger.last_number()
        self.last = None        # key, record and bytes of the last line
        self.out = b""

    def measure(self, **values):
        """Refuses what the instrument does not measure when it is ordered, not when it is due."""
        return self._measure(self.model.record(**values))

    def _measure(self, record):
        if "time" in record:
            record["time"] = record["time"] or self.clock().strftime("%Y-%m-%dT%H:%M")
        self.number += 1
        self.last = f"{self.number:06d}", record, self.model.line(record).encode()
        self.ledger.write("measured", *self.last)
        yield from self.reprint()

    def reprint(self):
        if self.last:
            key, record, line = self.last
            line, cut = self.spoil(line)
            self.ledger.write("lost" if cut else "sent", key, record, line)
            self.out += line
        yield 0

    def tick(self):
        self.story.step(self.tick_s)
        out, self.out = self.out, b""
        return out

    def random_order(self, dice):
        return self.model.random(dice, self.options)


def options_of(arguments):
    parser = argparse.ArgumentParser(description="Simulated instruments that print lines of text.")
    player_options(parser, "printer-1")
    add = parser.add_argument
    add("--model", choices=MODELS, required=True)
    add("--serial", default="0000056661", help="masimo: its serial number (%(default)s)")
    add("--spo2-limit", type=int, default=85, help="nellcor: alarm below this (%(default)s)")
    add("--fast", action="store_true", help="nonin_ascii: fast values, marked F")
    return parser.parse_args(arguments)


def printer(options):
    return (MonitorPrinter if isinstance(MODELS[options.model], Monitor) else
            StationPrinter)(options)


if __name__ == "__main__":
    start(printer, options_of(sys.argv[1:]))
