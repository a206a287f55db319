#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clinic analyser on a serial line: the sender's side of LIS01-A2, with LIS02-A2 records.

LIS01-A2 (ASTM E1381), the line:
    analyser                                 gateway
    ENQ                                  ->
                                         <-  ACK, or NAK: busy, come again after 10 s
    STX n text ETX c c CR LF             ->      n = 1,2..7,0,1..; cc = sum of n..ETX, mod 256, hex
                                         <-  ACK: have it; EOT: have it, but please stop;
                                             anything else: once more (six times, then EOT)
    EOT                                  ->  end, no answer
Silence for --ack-timeout: EOT, and the whole message again later. ETB in place of ETX: the text
goes on in the next frame. ENQ from both sides: the analyser wins and repeats its ENQ after 1 s.

LIS02-A2 (E1394), the text: records end with CR, fields are parted by |, components by ^. Counted
from 1, as the standard does (its field 1 is the letter):
    H  5 sender, 12 processing id (P, or Q D T: never file), 13 version, 14 time of this message
    P  3 patient id      O  3 specimen, 5 test ^^^code, 7 requested, 12 action (Q = control)
    R  3 test, 4 value, 5 unit, 7 flag, 9 status, 13 completed      L  3 N = normal end

A result was "told" when the ACK came for the frame that completes its R record. A message that
was not acknowledged to its last frame is sent again whole, its result records byte for byte the
same; "complete" in the ledger is the end of that.

Nobody hears a serial line whose cable is pulled or whose port is closed: the bytes vanish, and the
analyser notices nothing but silence. Only with --dtr it looks first whether the port is open.
"""
import argparse
import os
import random
import select
import sys
import termios
import time
import tty
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import takewhile

import ledger as common
from ledger import boottime

STX, ETX, EOT, ENQ, ACK, NAK, ETB = (bytes([n]) for n in (2, 3, 4, 5, 6, 21, 23))
REJECTIONS = 6      # of one frame, then the sender gives up
FRAME_CHARS = 240   # of text in a frame, by the book
LINE_ENDS = {"cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "none": b""}
ESCAPES = str.maketrans({"&": "&E&", "|": "&F&", "^": "&S&", "\\": "&R&"})
# test, unit, usual values, dangerous values with their flag
TESTS = [("GLU", "mmol/L", ("4.4", "5.2", "6.1", "7.8", "9.3"),
          ((">33.3", ">"), ("HI", "HH"), ("18.4", "HH"), ("2.6", "LL"), ("<0.6", "<"))),
         ("K", "mmol/L", ("3.7", "4.1", "4.8"), (("6.9", "HH"), ("2.3", "LL"))),
         ("HbA1c", "%", ("5.4", "6.3", "7.1"), (("13.8", "HH"), (">14.0", ">")))]


# Records

def record(letter, **fields):
    """One record from its numbered fields: record("L", f2="1", f3="N") is L|1|N and CR."""
    numbered = {int(name[1:]): text or "" for name, text in fields.items()}
    texts = [numbered.get(n, "") for n in range(2, max(numbered) + 1)]
    return "|".join([letter] + texts).encode() + b"\r"


def plain(text):
    text = str(text or "")
    if not text.isprintable():
        raise ValueError("control characters in a field")
    return text.translate(ESCAPES)


def result_record(number, result):
    return record("R", f2=str(number), f3="^^^" + plain(result["test"]), f4=plain(result["value"]),
                  f5=plain(result.get("unit")), f7=plain(result.get("flag")),
                  f9=plain(result.get("status", "F")), f13=plain(result.get("time")))


def header(results, name, moment):
    qc = results[0]["record"].get("qc")
    return record("H", f2="\\^&", f5=f"SIMLAB^1.0^{plain(name)}",
                  f12=qc if qc in ("Q", "D", "T") else "P", f13="LIS2-A2", f14=moment)


def body_records(results, pad_bytes):
    """What follows H, as (bytes, entry): entry is the result that the record completes, if any.
    Results in a row share the patient and the specimen record when those are the same."""
    patient = specimen = ()
    patients = orders = numbers = 0
    for entry in results:
        result = entry["record"]
        if result.get("patient") != patient:
            patient, specimen, orders = result.get("patient"), (), 0
            patients += 1
            yield record("P", f2=str(patients), f3=plain(patient)), None
        if result.get("specimen") != specimen:
            specimen, numbers = result.get("specimen"), 0
            orders += 1
            yield record("O", f2=str(orders), f3=plain(specimen), f5="^^^" + plain(result["test"]),
                         f6="R", f7=plain(result.get("time")),
                         f12="Q" if result.get("qc") == "control" else "N", f26="F"), None
        if result.get("unknown"):
            yield record("M", f2="1", f3="RR^BM^SIM^1", f4="-21", f5="0.0318"), None
            yield record("Z", f2="1", f3="no such record"), None
        numbers += 1
        yield result_record(numbers, result), entry
    for start in range(0, pad_bytes, 200):
        yield record("M", f2="1", f3="PAD", f4="x" * min(200, pad_bytes - start)), None
    yield record("L", f2="1", f3="N"), None


class Frame:
    """text of one frame, ETX or ETB after it, and the results that it completes."""

    def __init__(self, number, text, end, entries):
        self.number, self.text, self.end, self.entries = number, text, end, entries

    def encode(self, line_end):
        body = b"%d" % (self.number % 8) + self.text + self.end
        return STX + body + b"%02X" % (sum(body) % 256) + line_end


def frames_of(records, options):
    """A record in a frame each, or all in one (--one-frame), cut to 240 characters (--etb)."""
    units = [(text, [(len(text), entry)]) for text, entry in records]
    if options.one_frame:
        whole, marks = b"", []
        for text, entry in records:
            whole += text
            marks.append((len(whole), entry))
        units = [(whole, marks)]
    frames = []
    for text, marks in units:
        size = options.frame_chars if options.etb else len(text)
        for start in range(0, len(text), size):
            stop = start + size
            done = [e for end, e in marks if e and start < end <= stop]
            frames.append(Frame(len(frames) + 1, text[start:stop],
                                ETX if stop >= len(text) else ETB, done))
    return frames


def spoil(frame, dice):
    """What a disturbed line makes of an encoded frame: one character of its text is another."""
    at = dice.randrange(2, max(frame.rfind(ETX), frame.rfind(ETB)))
    other = dice.choice([c for c in b"0123456789" if c != frame[at]])
    return frame[:at] + bytes([other]) + frame[at + 1:]


# The line

class Line:
    """A pty of our own whose slave has a symlink, or an existing tty."""

    def __init__(self, options):
        self.link, self.path, self.baud = options.link, options.tty, options.baud
        self.fd = None

    def plug(self):
        if self.fd is not None:
            return
        if self.link:
            self.fd, slave = os.openpty()
            tty.setraw(slave)
            fresh = f"{self.link}.{os.getpid()}"
            os.symlink(os.ttyname(slave), fresh)
            os.rename(fresh, self.link)
            os.close(slave)     # from here on the line is heard only while somebody has it open
        else:
            self.fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            tty.setraw(self.fd)
            mode = termios.tcgetattr(self.fd)
            mode[2] = mode[2] & ~termios.CRTSCTS | termios.CLOCAL | termios.CREAD
            mode[4] = mode[5] = getattr(termios, f"B{self.baud}")
            termios.tcsetattr(self.fd, termios.TCSANOW, mode)
        os.set_blocking(self.fd, False)

    def unplug(self):
        if self.fd is None:
            return
        if self.link:
            with suppress(FileNotFoundError):
                os.unlink(self.link)
        os.close(self.fd)
        self.fd = None

    def heard(self):
        """Does anybody have the port open?"""
        if self.fd is None:
            return False
        poller = select.poll()
        poller.register(self.fd, 0)
        return not poller.poll(0)       # POLLHUP and POLLERR always come

    def read(self):
        try:
            return os.read(self.fd, 4096) if self.fd is not None else b""
        except OSError:
            return b""

    def write(self, data, limit):
        """Write within `limit` seconds. What cannot be written is lost, as on a real line."""
        deadline = boottime() + limit
        while data and self.fd is not None:
            poller = select.poll()
            poller.register(self.fd, select.POLLOUT)
            ready = poller.poll(max(0.0, deadline - boottime()) * 1000)
            if not ready or ready[0][1] & (select.POLLHUP | select.POLLERR):
                return
            try:
                data = data[os.write(self.fd, data):]
            except BlockingIOError:
                continue
            except OSError:
                return


# The analyser

class Stopped(Exception):
    pass


class Analyser:
    def __init__(self, options):
        self.options = options
        self.ledger = common.Ledger(options.ledger, options.name)
        self.number = self.ledger.last_number()
        self.remote = common.Remote(options.control)
        self.line = Line(options)
        self.pace = common.Pace(options.random, options.rate)
        self.dice = random.Random(options.seed)
        self.heard = bytearray()    # read from the line, not yet looked at
        self.queue = []             # results that are not yet in a complete message
        self.patient = self.specimen = None

    def chance(self, share):
        return share > 0 and self.dice.random() < share

    # Results

    def clock(self):
        moment = datetime.fromtimestamp(time.time()) + timedelta(seconds=self.options.clock)
        return moment.strftime("%Y%m%d%H%M%S")

    def measure(self, result):
        result = dict(result)
        if result.get("time") == "now":
            result["time"] = self.clock()
        if "qc" not in result and self.chance(self.options.qc):
            result["qc"] = self.dice.choice(("Q", "D", "T", "control"))
        raw = result_record(1, result)      # also refuses what cannot be sent
        self.number += 1
        entry = {"key": f"{self.number:06d}", "record": result}
        self.ledger.write("measured", entry["key"], result, raw)
        self.queue.append(entry)
        if not result.get("unknown") and self.chance(self.options.unknown):
            self.measure(dict(result, test=f"XX{self.dice.randrange(90)}", unknown=True))

    def measure_random(self):
        """All our tests on each specimen. Specimen numbers go on where the ledger ends."""
        for number in self.pace.due():
            dice = random.Random(f"{self.options.seed}/{number}")
            test, unit, usual, dangerous = TESTS[number % len(TESTS)]
            if number % len(TESTS) == 0:
                self.specimen = f"S-{self.number + 1:06d}"
                self.patient = f"R-{dice.randint(1, self.options.patients):04d}"
            critical = dice.random() < self.options.criticals
            value, flag = dice.choice(dangerous) if critical else (dice.choice(usual), "N")
            self.measure({"patient": self.patient, "specimen": self.specimen, "test": test,
                          "value": value, "unit": unit, "flag": flag, "status": "F",
                          "time": "now", "class": "critical" if critical else "normal"})

    # Waiting

    def command(self, word, rest):
        try:
            if word == "record":
                self.measure(common.json_object(rest))
            elif word == "unplug":
                self.line.unplug()
                self.ledger.write("closed", why="unplugged")
            elif word == "plug":
                self.line.plug()
                self.ledger.write("connected")
            else:
                raise ValueError("commands are: record {json}, unplug, plug")
        except (ValueError, TypeError, KeyError) as error:
            common.complain(self.options.name, f"command refused: {error}")

    def wait(self, limit, until=lambda: False):
        """Serve the remote control and the line until a byte came, `limit` seconds are over (None:
        no limit) or until() holds. Returns the byte or b""."""
        deadline = float("inf") if limit is None else boottime() + limit
        while not self.heard:
            left = deadline - boottime()
            if left <= 0 or until():
                return b""
            left = min(left, 60) * 1000
            poller = select.poll()
            self.remote.register(poller)
            if self.line.fd is not None:
                poller.register(self.line.fd, select.POLLIN)
            state = dict(poller.poll(left)).get(self.line.fd, 0)
            if state & select.POLLIN:
                self.heard += self.line.read()
            if state & select.POLLHUP and not self.heard:   # nobody has the port open
                poller.unregister(self.line.fd)
                poller.poll(min(left, 50))
            for word, rest in self.remote.commands():
                self.command(word, rest)
            if self.remote.stopped:
                raise Stopped
        return bytes([self.heard.pop(0)])

    def pause(self, seconds, until=lambda: False):
        """Stay idle. We take no orders: a gateway that wants to send some gets NAK."""
        deadline = float("inf") if seconds is None else boottime() + seconds
        while boottime() < deadline and not until():
            if self.wait(deadline - boottime(), until) == ENQ:
                self.put(NAK)

    def put(self, data):
        self.line.write(data, self.options.ack_timeout)

    # Sending

    def enquire(self):
        """Ask for the line until the gateway gives it; False when it does not."""
        while True:
            if self.options.dtr:
                self.pause(None, until=self.line.heard)
            self.heard.clear()
            while self.line.read():
                pass
            self.put(ENQ)
            reply = self.wait(self.options.ack_timeout)
            if reply == ACK:
                return True
            if reply != ENQ:
                self.ledger.write("refused", why="busy" if reply else "no answer to ENQ")
                if reply != NAK:
                    self.put(EOT)
                return False
            self.pause(1)

    def send_frame(self, frame):
        """True when it was acknowledged. It is sent the same each time, but for our own faults."""
        good = frame.encode(LINE_ENDS[self.options.crlf])
        for attempt in range(REJECTIONS):
            bad = attempt == 0 and self.chance(self.options.bad_checksum)
            if bad:
                self.ledger.write("fault", why="bad checksum")
            self.put(spoil(good, self.dice) if bad else good)
            reply = self.wait(self.options.ack_timeout)
            if reply in (ACK, EOT):
                if bad:
                    self.ledger.write("error", why="bad checksum was acknowledged")
                return True
            if not reply:
                self.ledger.write("refused", why="silence")
                return False
            self.ledger.write("refused", raw=reply, why="NAK" if reply == NAK else "neither")
        return False

    def note(self, event, entries):
        for entry in entries:
            self.ledger.write(event, entry["key"], entry["record"], entry["raw"])

    def send_frames(self, frames, break_at):
        """Frames and EOT. Returns "complete", "failed", or "restart": broken off on purpose."""
        for index, frame in enumerate(frames):
            if index == break_at:
                self.ledger.write("fault", why="restart")
                return "restart"
            self.note("sent", frame.entries)
            if not self.send_frame(frame):
                self.note("lost", frame.entries)
                self.put(EOT)
                return "failed"
            self.note("told", frame.entries)
        self.put(EOT)
        return "complete"

    def next_message(self):
        """As many of the waiting results as a message takes; QC never shares one with others."""
        first, *rest = self.queue[:self.options.per_message]
        same = takewhile(lambda e: e["record"].get("qc") == first["record"].get("qc"), rest)
        return [first, *same]

    def deliver(self):
        """Send the next message until it is complete."""
        if self.chance(self.options.junk):
            noise = bytes(b for b in self.dice.randbytes(40) if b not in ENQ)
            self.ledger.write("fault", raw=noise, why="junk")
            self.put(noise)
        results = self.next_message()
        body = list(body_records(results, self.options.pad_bytes))
        for raw, entry in body:
            if entry:
                entry["raw"] = raw
        restart, outcome = self.chance(self.options.restart), None
        while outcome != "complete":
            head = header(results, self.options.name, self.clock())
            frames = frames_of([(head, None)] + body, self.options)
            break_at = None
            if restart and len(frames) > 1:
                break_at, restart = self.dice.randrange(1, len(frames)), False
            outcome = self.send_frames(frames, break_at) if self.enquire() else "failed"
            if outcome == "failed":
                self.pause(self.options.retry)
        self.note("complete", results)
        del self.queue[:len(results)]

    def work(self):
        for result in self.options.result:
            self.measure(result)
        while True:
            self.measure_random()
            if self.queue:
                self.deliver()
            elif self.options.exit_when_done and self.pace.wait() is None:
                # Closing a pty takes what its reader did not read yet, and that may be our EOT.
                self.pause(1, until=lambda: not self.line.heard())
                return
            else:
                self.pause(self.pace.wait(), until=lambda: self.queue)

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
    parser = argparse.ArgumentParser(description="A simulated clinic analyser (LIS01-A2/LIS02-A2).")
    add = parser.add_argument
    common.common_options(parser, "analyser-1")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--link", metavar="PATH", help="make a pty, symlink its slave as PATH")
    where.add_argument("--tty", metavar="PATH", help="use this serial port")
    add("--baud", type=int, default=9600, help="of --tty (%(default)s)")
    add("--result", action="append", default=[], type=common.json_object, metavar="JSON",
        help='{"patient":"R-0001","specimen":"S-17","test":"GLU","value":"6.1","unit":"mmol/L",'
        '"flag":"N","status":"F","time":"20260131080900"}; time may be "now"; repeatable')
    add("--patients", type=int, default=10, metavar="N", help="random ones are R-0001..N (10)")
    add("--per-message", type=int, default=1, metavar="N", help="results in a message (1)")
    add("--ack-timeout", type=float, default=15, metavar="S", help="wait for an answer (15)")
    add("--retry", type=float, default=10, metavar="S", help="wait before a new attempt (10)")
    add("--dtr", action="store_true", help="bid only while somebody has the port open")
    add("--one-frame", action="store_true", help="the whole message in one frame")
    add("--pad-bytes", type=int, default=0, metavar="M", help="M bytes of manufacturer records")
    add("--etb", action="store_true", help="cut long texts into frames that end with ETB")
    add("--frame-chars", type=int, default=FRAME_CHARS, metavar="N", help="where (%(default)s)")
    add("--crlf", choices=LINE_ENDS, default="crlf", help="what follows the checksum (crlf)")
    faults = parser.add_argument_group("faults, each with a probability").add_argument
    for name, text in (("bad-checksum", "a frame is spoilt when first sent"),
                       ("restart", "a message is broken off between frames, new ENQ at once"),
                       ("junk", "noise before a message"),
                       ("unknown", "a result of an unknown test and unknown records are added"),
                       ("qc", "a result is of quality control or a test: must not be filed")):
        faults(f"--{name}", type=common.probability, default=0, metavar="P", help=text)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    Analyser(options_of(sys.argv[1:])).run()
