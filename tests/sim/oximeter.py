#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Nonin oximeter on a serial line (OEM III, Xpod, WristOx2 and kin): data formats 2 and 7.

9600 8N1. 75 frames of 5 bytes a second; 25 frames are a packet, which has each number once:

    format 2    01 | status | pleth | data | sum
    format 7    status | pleth u16, big-endian | data | sum
    sum: of the four bytes before it, mod 256
    status      7 always 1, 6 sensor disconnected, 5 artifact, 4 out of track, 3 sensor alarm,
                2-1 perfusion: 10 red (low), 11 yellow (marginal), 01 green (good), only in the 12
                frames after each beat; 0 sync: the first frame of a packet
    data, by frame from 1
                1,2 HR      3 SpO2      4 firmware      6,7 timer (format 7)
                8 status 2 (format 7: bit 5 SmartPoint, bit 0 low battery)
                9 SpO2-D    10 SpO2 fast    11 SpO2 beat to beat    14,15 E-HR      16 E-SpO2
                17 E-SpO2-D     20,21 HR-D      22,23 E-HR-D        the others 0
    HR          two bytes of 7 bits each, of the first only the low two: 9 bits; 511: missing
    SpO2        127: missing
    E- is the average of 8 beats, else of 4; -D is for display: the E-..-D values are those to file

    02 70 02 02 fmt 03              choose a data format; 06: done, 15: refused
    02 70 04 02 fmt opt sum 03      the same; sum = 70 + 04 + 02 + fmt + opt, mod 256

Not in the sources, and made up here: that all values are missing at once; what is in the timer
(here packets since the start, 14 bits in 7-bit halves); when SmartPoint is set (here after 3 s of
good values); that E-..-D values stay during an artifact while the others wander; and that the
oximeter knows no format but these two. That it answers 06 and 15 is from a public driver.

Orders: those of story.py, and
    noise N     N bytes of rubbish between two frames
    cut         a frame loses one to four of its bytes
Ledger: phases as in story.py; fault (why noise with the bytes, or cut with the whole frame), answer
(the command's bytes; why: "ack 7" or "nak").
"""
import argparse
import math
import sys
from collections import deque

from ledger import boottime
from player import Player, player_options, random_visit, start
from story import Story

FRAMES, RATE_HZ = 25, 75
MISSING_HR, MISSING_SPO2 = 511, 127
STATUS_BITS = {"sensor_disconnected": 0x40, "artifact": 0x20, "out_of_track": 0x10,
               "sensor_alarm": 0x08}
COLOURS = {"low": 0x04, "marginal": 0x06, "good": 0x02}
COLOUR_FRAMES = 12      # after a beat
SMARTPOINT_S = 3
COMMAND_S = 5           # a command that takes longer is forgotten
ACK, NAK = b"\x06", b"\x15"


def frame(number, status, pleth, data):
    """In data format `number`; pleth has 16 bits."""
    body = bytes((1, status, pleth >> 8, data)) if number == 2 else \
        bytes((status, pleth >> 8, pleth & 0xFF, data))
    return body + bytes([sum(body) % 256])


def halves(value):
    return value >> 7 & 0x7F, value & 0x7F


def command(data):
    """(bytes of the command at the start of data, its format): format None: refused; bytes 0:
    more are to come."""
    if data[0] != 2:
        return 1, None
    if len(data) < 3:
        return 0, None
    length = data[2] + 4        # counts what is between it and the end mark
    if data[1] != 0x70 or data[2] not in (2, 4):
        return len(data), None
    if len(data) < length:
        return 0, None
    good = data[3] == 2 and data[length - 1] == 3
    if length == 8:
        good = good and data[6] == sum(data[1:6]) % 256
    return length, data[4] if good and data[4] in (2, 7) else None


class Oximeter(Player):
    tick_s = 1 / RATE_HZ

    def __init__(self, options):
        super().__init__(options)
        self.story = Story(self.ledger, self.dice, options)
        self.story.orders |= {"noise": self.noise, "cut": self.cut}
        self.format = options.format
        self.frames = deque()
        self.packets = 0
        self.beat = 0.0                 # 0 to 1, from one beat to the next
        self.good_s = 0                 # how long the values have been good
        self.heard, self.heard_at = b"", 0

    # What it says

    def near(self, value, view):
        """One of the faster values; the less they are averaged, the more they wander."""
        spread = 6 if view.flags else 0 if self.options.steady else 2
        return max(1, value + self.dice.randint(-spread, spread))

    def numbers(self, view):
        """The 25 data bytes."""
        spo2s = hrs = dict.fromkeys(("now", "D", "fast", "beat", "E", "ED"))
        if view.spo2 is None:
            spo2s, hrs = dict.fromkeys(spo2s, MISSING_SPO2), dict.fromkeys(hrs, MISSING_HR)
        else:
            spo2s = {k: min(100, self.near(view.spo2, view)) for k in spo2s} | {"ED": view.spo2}
            hrs = {k: self.near(view.pulse, view) for k in hrs} | {"ED": view.pulse}
        timer = status2 = 0
        if self.format == 7:
            timer = self.packets & 0x3FFF
            status2 = (view.battery == "low") | (self.good_s >= SMARTPOINT_S) << 5
        return bytes((*halves(hrs["now"]), spo2s["now"], self.options.firmware, 0, *halves(timer),
                      status2, spo2s["D"], spo2s["fast"], spo2s["beat"], 0, 0, *halves(hrs["E"]),
                      spo2s["E"], spo2s["ED"], 0, 0, *halves(hrs["D"]), *halves(hrs["ED"]), 0, 0))

    def wave(self, view):
        """(pleth, perfusion bits) of the next frame."""
        if view.pulse is None:
            return 0x8000, 0
        per_beat = RATE_HZ * 60 / view.pulse
        self.beat = (self.beat + 1 / per_beat) % 1
        height = {"good": 0x6000, "marginal": 0x2000, "low": 0x0800}[view.perfusion]
        pleth = 0x8000 + height * math.sin(2 * math.pi * self.beat) * (1 - self.beat)
        return int(pleth), COLOURS[view.perfusion] if self.beat * per_beat < COLOUR_FRAMES else 0

    def packet(self, view):
        bits = 0x80 | sum(STATUS_BITS[flag] for flag in view.flags)
        for place, data in enumerate(self.numbers(view)):
            pleth, colour = self.wave(view)
            yield frame(self.format, bits | colour | (place == 0), pleth, data)

    def spoil(self, frames):
        """The faults that are due, in this packet."""
        place = self.dice.randrange(1, FRAMES)
        if self.cutting:
            whole, lost = frames[place], self.dice.randint(1, 4)
            first = self.dice.randint(0, len(whole) - lost)
            frames[place] = whole[:first] + whole[first + lost:]
            self.cutting = False
            self.ledger.write("fault", raw=whole, why="cut")
        frames[self.dice.randrange(1, FRAMES)] += self.take_noise()

    def tick(self):
        if not self.frames:
            view = self.story.step(FRAMES / RATE_HZ)
            clean = view.spo2 is not None and not view.flags and view.perfusion == "good"
            self.good_s = self.good_s + FRAMES / RATE_HZ if clean else 0
            frames = list(self.packet(view))
            self.packets += 1
            if view.phase == "silent":
                frames = [b""] * FRAMES
            elif self.cutting or self.noise_bytes:
                self.spoil(frames)
            self.frames.extend(frames)
        return self.frames.popleft()

    def random_order(self, dice):
        return random_visit(dice, self.options)

    def finish(self):
        self.story.end()

    # What it is told

    def hear(self, data):
        if boottime() - self.heard_at > COMMAND_S:
            self.heard = b""
        self.heard, self.heard_at = self.heard + data, boottime()
        while self.heard and not self.options.deaf:
            length, chosen = command(self.heard)
            if not length:
                return
            if self.heard[0] == 2:      # anything else is no command, and not answered
                self.answer(self.heard[:length], chosen)
            self.heard = self.heard[length:]

    def answer(self, raw, chosen):
        """The choice holds from the next packet on."""
        self.ledger.write("answer", raw=raw, why=f"ack {chosen}" if chosen else "nak")
        self.line.write(ACK if chosen else NAK, 1)
        self.format = chosen or self.format


def options_of(arguments):
    parser = argparse.ArgumentParser(description="A simulated Nonin oximeter (formats 2 and 7).")
    player_options(parser, "oximeter-1")
    add = parser.add_argument
    add("--format", type=int, choices=(2, 7), default=2, help="data format (%(default)s)")
    add("--firmware", type=int, default=48, help="what frame 4 says (%(default)s)")
    add("--deaf", action="store_true", help="an older one, which does not answer commands")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    start(Oximeter, options_of(sys.argv[1:]))
