#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-test of the simulated oximeter and the simulated printers, against tiny clients of its own.

The clients are written from the protocol sheets and import nothing from the simulators. Where the shared test
vectors are at hand, the simulators must say the same bytes. Prints TAP. Arguments, if any, select tests by name."""
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

from harness import PYTHON, ROOT, SIM, Skip, Tap, holds, read_ledger, same, wait_until

SHARED = os.environ.get("VITALGATE_SHARED") or os.path.join(ROOT, "..", "shared")
PATIENCE_S = 60     # for anything to happen; a busy machine is no failure


def vector(name):
    """(bytes, what they mean) of a shared test vector."""
    path = os.path.join(SHARED, "vectors", "serial.json")
    if not os.path.exists(path):
        raise Skip("no shared data")
    with open(path, encoding="utf-8") as file:
        found = next(v for v in json.load(file) if v["id"] == name)
    return bytes.fromhex(found["hex"]), found["expected"], found.get("more")


class Sim:
    """A running simulator in a directory of its own, and what its line said."""

    def __init__(self, program, *options, dtr=True):
        self.dir = tempfile.mkdtemp(prefix="vg-lines-")
        self.command = [PYTHON, "-B", os.path.join(SIM, program), "--link", self.path("tty"),
                        "--ledger", self.path("ledger"), "--control", self.path("control"),
                        *(["--dtr"] if dtr else []), *options]
        self.fd, self.said = None, b""
        self.start()

    def start(self):
        with open(self.path("stderr"), "ab") as errors:
            self.process = subprocess.Popen(self.command, stderr=errors)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def open(self):
        self.wait(lambda: os.path.exists(self.path("tty")), "the tty")
        self.fd = os.open(self.path("tty"), os.O_RDWR | os.O_NOCTTY)

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    def until(self, enough):
        """Read until enough(all that it said); all that it said."""
        if self.fd is None:
            self.open()
        end = time.monotonic() + PATIENCE_S
        while not enough(self.said):
            left = end - time.monotonic()
            if left < 0 or not select.select([self.fd], [], [], left)[0]:
                raise TimeoutError(f"not within {PATIENCE_S} s, after {self.said[-200:]!r}")
            data = os.read(self.fd, 65536)
            if not data:
                raise ConnectionError("hung up")
            self.said += data
        return self.said

    def say(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            self.wait(lambda: not sock.connect_ex(self.path("control")), "the control socket")
            sock.send(text.encode())

    def ledger(self, *events):
        return [e for e in read_ledger(self.path("ledger")) if e["event"] in events]

    def wait(self, check, what):
        holds(wait_until(check, PATIENCE_S), f"{what}: not within {PATIENCE_S} s")

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def errors(self):
        with open(self.path("stderr"), encoding="utf-8") as file:
            return file.read()


# A client for the oximeter

def frames(data, number):
    """Frames of data format `number`, and the bytes between them that are in none."""
    found, rest, between, at = [], b"", b"", 0
    while at + 5 <= len(data):
        f = data[at:at + 5]
        status = f[1] if number == 2 else f[0]
        if status & 0x80 and sum(f[:4]) % 256 == f[4] and (number == 7 or f[0] == 1):
            rest += between if found else b""
            found.append(f)
            between = b""
            at += 5
        else:
            between += data[at:at + 1]
            at += 1
    return found, rest


def packets(data, number=2):
    """The whole packets, decoded."""
    groups = []
    for f in frames(data, number)[0]:
        status = f[1] if number == 2 else f[0]
        if status & 1:
            groups.append([])
        if groups:
            groups[-1].append(f)
    return [decoded(g, number) for g in groups if len(g) == 25]


def decoded(group, number):
    d = [None] + [f[3] for f in group]
    status = [f[1] if number == 2 else f[0] for f in group]
    pleth = [f[2] if number == 2 else f[1] << 8 | f[2] for f in group]

    def rate(at):
        return (d[at] & 3) << 7 | d[at + 1] & 0x7F

    def spo2(at):
        return d[at] & 0x7F

    flags = {bit for bit in (0x40, 0x20, 0x10, 0x08) if all(s & bit for s in status)}
    return SimpleNamespace(
        raw=b"".join(group), status=status, flags=flags, pleth=pleth, revision=d[4],
        timer=(d[6] & 0x7F) << 7 | d[7] & 0x7F, status2=d[8], colours={s & 6 for s in status} - {0},
        value=(spo2(17), rate(22)),
        others=[(spo2(3), rate(1)), (spo2(9), rate(20)), (spo2(10), rate(20)), (spo2(11), rate(20)),
                (spo2(16), rate(14))])


def oximeter(*options, **more):
    return Sim("oximeter.py", "--pace", "80", *options, **more)


def has_flag(flag, number=2):
    return lambda said: any(flag in p.flags for p in packets(said, number))


NONE = (127, 511)
STEADY = ("--steady", "--acquire", "0")
END = "; sensor off; wait 2"        # has_flag(0x40) says that a script is through


def test_the_oximeter_says_the_packet_of_the_vector():
    wanted, expected, _ = vector("nonin-df2-packet")
    script = f"finger in spo2={expected['spo2']} pulse={expected['hr']}"
    with oximeter(*STEADY, "--script", script) as sim:
        got = packets(sim.until(packets))[0]
        plain = b""         # without pleth and perfusion, which the vector has not
        for place in range(0, 125, 5):
            one, status, _, data = got.raw[place:place + 4]
            body = bytes((one, status & ~6, 1, data))
            plain += body + bytes([sum(body) % 256])
        same(plain, wanted)
        same(got.value, (expected["e_spo2_d"], expected["e_hr_d"]))
        same(packets(wanted)[0].value, got.value, "our client and the vector")


def test_the_oximeter_has_nine_bits_of_heart_rate():
    wanted, expected, _ = vector("nonin-df2-hr150")
    with oximeter(*STEADY, "--script", "finger in; hr 150; wait 1; hr 300; wait 1" + END) as sim:
        seen = [p for p in packets(sim.until(has_flag(0x40))) if p.value != NONE]
        same(seen[0].raw[3], wanted[3])
        same(seen[0].raw[8], wanted[8])
        same([p.value[1] for p in seen], [expected["hr"]] * 3 + [300] * 3)


def test_the_oximeter_has_the_status_bits_of_the_vector():
    raw, expected, more = vector("nonin-status-bits")
    names = {value: int(key, 16) & 0x7F for key, value in more.items()}
    names[expected["perfusion"]] = raw[0] & 0x7F
    script = ("finger in; wait 3; perfusion marginal; wait 3; perfusion low; wait 3; artifact 1;"
              "finger out; wait 1") + END
    with oximeter(*STEADY, "--script", script) as sim:
        said = packets(sim.until(has_flag(0x40)))
        same([p.status[0] & 1 for p in said], [1] * len(said))
        same({s & 1 for p in said for s in p.status[1:]}, {0})
        for part, colour in ((said[:9], "green"), (said[9:18], "yellow"), (said[18:27], "red")):
            same(set().union(*(p.colours for p in part)), {names[colour]}, colour)
            same(set().union(*(p.flags for p in part)), set(), colour)
        for part, flags in ((said[27:30], ("artifact",)), (said[-1:], ("sensor disconnected",)),
                            (said[30:36], ("sensor alarm", "out of track"))):
            same([p.flags for p in part], [{names[f] for f in flags}] * len(part))


def test_perfusion_is_shown_for_twelve_frames_after_each_beat():
    with oximeter(*STEADY, "--script", "finger in pulse=60; wait 4" + END) as sim:
        said = packets(sim.until(has_flag(0x40)))[:12]
        shown = "".join("#" if s & 6 else "." for p in said for s in p.status)
        same([len(run) for run in re.findall("#+", shown)[1:-1]], [12, 12])
        same([len(run) for run in re.findall(r"\.+", shown)[1:-1]], [63, 63])
        holds(len({x for p in said for x in p.pleth}) > 20, "a flat pulse wave")


def test_values_come_after_a_search_stay_flagged_for_a_second_and_are_missing_then():
    script = "wait 1; finger in spo2=95 pulse=66; wait 2; finger out; wait 1" + END
    with oximeter("--steady", "--acquire", "2", "--script", script) as sim:
        said = packets(sim.until(has_flag(0x40)))
        out, search, gone = {0x10, 0x08}, {0x10}, {0x40}
        want = [(NONE, out)] * 3 + [(NONE, search)] * 6 + [((95, 66), set())] * 6 + \
            [((95, 66), out)] * 3 + [(NONE, out)] * 3 + [(NONE, gone)]
        same([(p.value, p.flags) for p in said[:len(want)]], want)
        same({x for p in said if p.value == NONE for x in p.others}, {NONE})
        records = [e["record"] for e in sim.ledger("complete")]
        same([r["phase"] for r in records],
             ["finger out", "searching", "steady", "held", "finger out"])
        same([r["samples"] for r in records], [0, 0, 6, 3, 0])
        same([r["seconds"] for r in records], [1, 2, 2, 1, 1])
        same(records[2], {"phase": "steady", "spo2": 95, "pulse": 66, "perfusion": "good",
                          "flags": [], "seconds": 2.0, "samples": 6,
                          "spo2_shown": [95, 95, 95], "pulse_shown": [66, 66, 66]})
        same(records[4]["spo2"], None)


def test_the_display_values_are_those_of_the_ledger_and_the_others_wander():
    with oximeter("--acquire", "0", "--script", "finger in; wait 60; artifact 10" + END) as sim:
        said = packets(sim.until(has_flag(0x40)))
        good, moved = said[:180], said[180:210]
        spo2, pulse = zip(*(p.value for p in good))
        record = sim.ledger("complete")[0]["record"]
        same(record["spo2_shown"], [min(spo2), sorted(spo2)[89], max(spo2)])
        same(record["pulse_shown"], [min(pulse), sorted(pulse)[89], max(pulse)])
        holds(set(spo2) <= {96, 97, 98} and 69 <= min(pulse) and max(pulse) <= 75, record)
        holds(len(set(spo2)) > 1 and len(set(pulse)) > 2, f"no drift: {record}")
        same({p.value for p in moved}, {good[-1].value})
        holds(any(abs(x[0] - p.value[0]) > 2 for p in moved for x in p.others), "no wandering")


def test_a_desaturation_falls_stays_and_comes_back():
    script = "finger in spo2=97; wait 1; desaturate to=84 over=10 hold=20; wait 1" + END
    with oximeter(*STEADY, "--script", script) as sim:
        course = [p.value[0] for p in packets(sim.until(has_flag(0x40)))]
        course = course[:course.index(127)]
        same(len(course), 3 + 30 + 60 + 30 + 3)
        same(course[:3] + course[-3:], [97] * 6)
        same(course[33:93], [84] * 60)
        same((len(set(course[:33])), len(set(course[93:]))), (14, 14), "an even slope")
        same(course[3:33], sorted(course[3:33], reverse=True))
        same(course[93:123], sorted(course[93:123]))
        same([(e["record"]["phase"], e["record"]["spo2"], e["record"]["spo2_shown"][1])
              for e in sim.ledger("complete")][:5],
             [("steady", 97, 97), ("falling", 84, course[3:33][15]), ("low", 84, 84),
              ("rising", 97, course[93:123][14]), ("steady", 97, 97)])


def test_format_7_has_a_wide_wave_a_timer_and_a_second_status():
    script = ("finger in; wait 5; battery low; wait 1; perfusion low; wait 1; silence 5; wait 1" +
              END)
    with oximeter(*STEADY, "--format", "7", "--script", script) as sim:
        said = packets(sim.until(has_flag(0x40, 7)), 7)
        same([p.timer for p in said[:21]], list(range(21)))
        same([p.timer for p in said[21:24]], [36, 37, 38], "after the silence")
        holds(max(x for p in said for x in p.pleth) > 0xC000, "a low wave")
        wave = [x for p in said[:15] for x in p.pleth]
        holds(len({x & 0xFF for x in wave}) > 50, "a coarse wave")
        holds(max(abs(b - a) for a, b in zip(wave, wave[1:])) < 0x1000, "a wave with leaps")
        same([p.status2 for p in said[:24]],
             [0] * 8 + [0x20] * 7 + [0x21] * 3 + [0x01] * 6)
        same({p.value for p in said[:24]}, {(97, 72)})
        same({p.revision for p in said}, {48})


def test_noise_and_a_cut_frame_are_on_the_line_as_in_the_ledger():
    script = "finger in; wait 2; noise 7; wait 1; cut; wait 2" + END
    with oximeter(*STEADY, "--script", script) as sim:
        said = sim.until(has_flag(0x40))
        noise, cut = sim.ledger("fault")
        same((noise["why"], len(noise["hex"]), cut["why"], len(cut["hex"])),
             ("noise", 14, "cut", 10))
        rest = frames(said, 2)[1]
        same(rest[:7], bytes.fromhex(noise["hex"]))
        whole, left = bytes.fromhex(cut["hex"]), rest[7:]
        holds(1 <= len(left) <= 4, f"{left.hex()} of {cut['hex']}")
        same(left in [whole[:a] + whole[a + 5 - len(left):] for a in range(5)], True, left.hex())
        same(len([p for p in packets(said) if p.value == (97, 72)]), 14, "whole packets of 15")


def test_the_format_is_chosen_by_command():
    with oximeter(*STEADY, "--script", "finger in") as sim:
        sim.until(packets)

        def ask(text, answer):
            before = len(sim.ledger("answer"))
            os.write(sim.fd, bytes.fromhex(text))
            sim.wait(lambda: len(sim.ledger("answer")) > before, text)
            same(sim.ledger("answer")[-1]["why"], answer, text)

        def follow(number, answers=None):
            """Some packets come, with these bytes between the frames or right before them."""
            start = max(0, len(sim.said) - 50)
            said = sim.until(lambda said: len(packets(said[start:], number)) > 4 and answers in
                             (None, frames(said[start:], number)[1]))
            same(packets(said[start:], number)[-1].value, (97, 72))

        ask("02 70 02 02 02 03", "ack 2")
        follow(2, b"\x06")
        for text in ("02 70 04 02 07 00 78 03", "02 70 02 02 08 03", "02 70 02 02 07 04",
                     "02 71 02 02 07 03"):
            ask(text, "nak")
        follow(2, b"\x15" * 4)
        ask("02 70 02 02 07 03", "ack 7")
        follow(7)
        ask("02 70 04 02 02 00 78 03", "ack 2")
        follow(2)
        os.write(sim.fd, bytes.fromhex("02 70 02"))
        follow(2)
        ask("02 07 03", "ack 7")
        same([e["hex"] for e in sim.ledger("answer")][-1], "027002020703")


def test_a_deaf_oximeter_takes_no_command():
    with oximeter(*STEADY, "--deaf") as sim:
        sim.until(packets)
        os.write(sim.fd, bytes.fromhex("02 70 02 02 07 03"))
        start = len(sim.said)
        sim.until(lambda said: len(packets(said[start:])) > 30)
        same(frames(sim.said, 2)[1], b"")
        same(sim.ledger("answer"), [])


def test_a_script_can_begin_anew():
    with oximeter(*STEADY, "--repeat", "--script", "finger in; wait 1; finger out") as sim:
        said = sim.until(lambda said: len(packets(said)) > 25)
        values = [(p.value, bool(p.flags)) for p in packets(said)]
        good, held, none = ((97, 72), False), ((97, 72), True), (NONE, True)
        once = values[:values.index(none) + 1]
        same(once, [good] * 3 + [held] * 3 + [none])
        same(values[:21], once * 3)


def test_a_seed_gives_the_same_bytes_again():
    said = []
    for seed in ("7", "7", "8"):
        with oximeter("--seed", seed, "--script",
                      "finger in; wait 20; noise 9; cut; wait 2" + END) as sim:
            said.append(sim.until(has_flag(0x40))[:125 * 75])
    same(said[0] == said[1], True, "seed 7 twice")
    same(said[0] == said[2], False, "seeds 7 and 8")


def test_random_visits_come_and_go():
    with Sim("oximeter.py", "--pace", "120", "--random", "12", "--criticals", "0.5",
             "--exit-when-done") as sim:
        try:
            while True:
                sim.until(lambda said: False)
        except ConnectionError:
            pass
        same(sim.process.wait(PATIENCE_S), 0)
        steady = [e["record"] for e in sim.ledger("complete") if e["record"]["phase"] == "steady"]
        same(len(steady), 12)
        holds(all(14 <= r["seconds"] <= 23 for r in steady), steady)
        dangerous = [r for r in steady if r["spo2"] < 90 or not 40 <= r["pulse"] <= 130]
        holds(2 < len(dangerous) < 10, steady)
        same(len([p for p in packets(sim.said) if p.value != NONE and not p.flags]),
             sum(r["samples"] for r in steady))


def test_orders_come_by_the_control_socket_and_now_is_at_once():
    with oximeter(*STEADY, "--script", "finger in; wait 100000") as sim:
        sim.until(lambda said: any(p.value == (97, 72) for p in packets(said)))
        sim.say("hr 80")            # behind the long wait
        sim.say("finger up")
        sim.say("finger in spo2=high")
        sim.say("now hr 90; wait 1; finger out")
        sim.until(lambda said: any(p.value == NONE for p in packets(said)))
        rates = {p.value[1] for p in packets(sim.said)}
        same(rates, {72, 90, 511})
        holds("no order 'finger up'" in sim.errors(), sim.errors())
        same(sim.errors().count("refused"), 2)
        same(sim.stop(), 0)
        same(sim.ledger("closed")[-1]["why"], "stopped")
        same(len(sim.ledger("measured")), len(sim.ledger("complete")))


def test_a_script_with_a_mistake_is_refused_at_once():
    for script in ("finger sideways", "wait", "desaturate 5 6 7 8", "finger in perfusion=blue"):
        with oximeter("--script", f"wait 1; {script}") as sim:
            same(sim.process.wait(PATIENCE_S), 1, script)
            holds("script refused" in sim.errors(), sim.errors())


def test_the_line_can_be_unplugged_and_the_story_goes_on_unheard():
    with oximeter(*STEADY, "--script", "finger in; wait 9; finger out", dtr=False) as sim:
        sim.wait(lambda: [e for e in sim.ledger("measured") if e["record"]["phase"] == "held"],
                 "the story without a listener")
        sim.until(lambda said: any(p.value == NONE for p in packets(said)))
        same({p.value for p in packets(sim.said)} - {(97, 72)}, {NONE})
        sim.say("unplug")
        sim.wait(lambda: not os.path.lexists(sim.path("tty")), "unplugged")
        sim.close()
        sim.say("plug")
        before = len(packets(sim.said))
        sim.until(lambda said: len(packets(said)) > before + 2)


def test_keys_count_on_after_a_kill():
    with oximeter(*STEADY, "--script", "finger in; wait 1; finger out", dtr=False) as sim:
        sim.wait(lambda: len(sim.ledger("measured")) >= 3, "three phases")
        sim.process.kill()
        sim.process.wait()
        before = len(sim.ledger("measured"))
        sim.start()
        sim.wait(lambda: len(sim.ledger("measured")) > before, "a phase of the second life")
        keys = [e["key"] for e in sim.ledger("measured")]
        same(len(set(keys)), len(keys))


# The printers

def printer(model, *options):
    return Sim("printer.py", "--model", model, "--pace", "80", *options)


def monitor(model, *options):
    return printer(model, *STEADY, *options)


def lines_of(sim, count):
    """The first `count` lines, without their ends."""
    said = sim.until(lambda said: said.count(b"\r\n") >= count)
    return said.decode("latin-1").split("\r\n")[:count]


def fields(line):
    """KEY=VALUE pairs of a Masimo line; dashes are None."""
    pairs = dict(re.findall(r"(\w+)=(\S+)", line))
    return {k: None if "-" in v else v.strip("%") for k, v in pairs.items()}


def test_masimo_prints_the_lines_of_the_vectors():
    line, expected, _ = vector("masimo-ascii1")
    script = f"finger in spo2={expected['spo2']} pulse={expected['pulse']}"
    with monitor("masimo", "--serial", expected["serial"], "--start", expected["time"],
                 "--script", script) as sim:
        same(sim.until(lambda said: len(said) >= len(line))[:len(line)], line)
    line, _, _ = vector("masimo-root-variant")
    with monitor("masimo_root", "--start", "2016-03-17T19:19:36", "--script",
                 "finger in spo2=98 pulse=123 perfusion=marginal") as sim:
        same(sim.until(lambda said: len(said) >= len(line))[:len(line)], line)


def test_masimo_says_in_exc_why_there_is_no_value():
    script = ("finger in; wait 1; perfusion marginal; wait 1; perfusion low; wait 1;"
              "artifact 1; finger out; wait 1; sensor off; wait 1; perfusion good; finger in")
    with printer("masimo", "--steady", "--acquire", "1", "--script", script) as sim:
        got = [fields(line) for line in lines_of(sim, 9)]
        same([(f["SPO2"], f["BPM"], f["PI"], f["EXC"]) for f in got],
             [(None, None, None, "000808"), ("097", "072", "03.60", "000800"),
              ("097", "072", "00.55", "000C00"), ("097", "072", "00.12", "000804"),
              ("097", "072", "00.12", "000814"), ("097", "072", "00.12", "000824"),
              (None, None, None, "000820"), (None, None, None, "000801"),
              (None, None, None, "000808")])


def test_nellcor_prints_the_lines_of_the_vectors():
    first, expected, _ = vector("nellcor-n595-line")
    second, alarm, _ = vector("nellcor-n595-alarm")
    script = f"finger in spo2={expected['spo2']}; wait 2; spo2 {alarm['spo2']}"
    with monitor("nellcor", "--start", expected["time"], "--spo2-limit", "90",
                 "--script", script) as sim:
        head = sim.until(lambda said: said.count(b"\r\n") >= 4).split(b"\r\n")
        same(b"\r\n".join(head[2:4]) + b"\r\n", first + second)


def test_nellcor_prints_headings_dashes_stars_and_status():
    script = ("wait 2; finger in pulse=190; wait 2; pulse 35; battery low; wait 2; pulse 60;"
              "artifact 2; finger out; sensor off; wait 2; battery good; finger in pulse=100")
    with printer("nellcor", "--steady", "--acquire", "2", "--script", script) as sim:
        lines = lines_of(sim, 2 + 25 + 2 + 1)
        same([n for n, line in enumerate(lines) if "%SpO2" in line], [1, 28])
        same([n for n, line in enumerate(lines) if "SpO2 Limit" in line], [0, 27])
        same([line.split()[2:] for line in lines[2:10]],
             [["---", "---", "---", "SO"], ["---", "---", "---", "PS"],
              ["97", "190*", "48", "PH"], ["97", "35*", "48", "PL", "LB"],
              ["97", "60", "48", "MO", "LB"], ["97", "60", "48", "SO", "LB"],
              ["---", "---", "---", "SD", "LB"], ["---", "---", "---", "PS"]])
        times = [line.split()[1] for line in lines[2:5]]
        same([int(t[-2:]) % 2 for t in times], [int(times[0][-2:]) % 2] * 3)
        same((int(times[1][-2:]) - int(times[0][-2:])) % 60, 2)


def test_nonin_ascii_prints_the_lines_of_the_vectors():
    value, expected, _ = vector("nonin-ascii")
    dashes, _, _ = vector("nonin-ascii-nodata")
    script = f"wait 1; finger in spo2={expected['spo2']} pulse={expected['pulse']}; wait 1; event"
    with monitor("nonin_ascii", "--script", script) as sim:
        head, *lines = lines_of(sim, 5)
        holds("=" not in head, head)
        said = "".join(line + "\r\n" for line in lines).encode()
        same(said, dashes + value + value[:-2] + b"*\r\n" + value)
    with monitor("nonin_ascii", "--fast", "--script", "finger in") as sim:
        same(lines_of(sim, 2)[1], "SPO2=097 HR=072 F")


def test_a_line_is_cut_and_noise_is_in_front_of_a_line():
    script = "finger in; wait 2; cut; wait 2; noise 5; wait 1; silence 3; pulse 80"
    with monitor("nonin_ascii", "--script", script) as sim:
        lines = lines_of(sim, 6)[1:]
        good = "SPO2=097 HR=072"
        noise = bytes.fromhex([e for e in sim.ledger("fault") if e["why"] == "noise"][0]["hex"])
        same(lines, [good, good, good[:8] + good, noise.decode("latin-1") + good,
                     "SPO2=097 HR=080"])
        same([e["why"] for e in sim.ledger("fault")], ["cut", "noise"])
        same([e["record"]["phase"] for e in sim.ledger("complete")], ["steady", "silent"])


def test_the_height_and_weight_station_prints_the_line_of_the_vector():
    wanted, expected, _ = vector("gtech-gl150")
    script = (f"measure height={expected['height_cm']} weight={expected['weight_kg']};"
              "wait 1; measure weight=50")
    with printer("gtech", "--script", script) as sim:
        same(sim.until(lambda said: said.count(b"\x03") == 2), wanted + b"\x020,50.0,0,0,0\x03")
        sim.wait(lambda: len(sim.ledger("sent")) == 2, "two in the ledger")
        first, second = sim.ledger("sent")
        same(first["record"], {k: expected[k] for k in ("height_cm", "weight_kg", "bmi")})
        same((first["key"], first["hex"]), ("000001", wanted.hex()))
        same(second["record"], {"height_cm": None, "weight_kg": 50, "bmi": None})


def test_the_cuff_prints_the_lines_of_the_vectors():
    wanted, v, _ = vector("omron-hbp9030-f5")
    failed, _, _ = vector("omron-hbp9030-f5-err")
    script = (f"measure sys={v['sys']} dia={v['dia']} pulse={v['pulse']} time={v['time']};"
              f"measure error=1 time={v['time']}; measure sys=140 dia=90 pulse=60 id=R-0001 move=1")
    with printer("hbp9030", "--start", "2026-01-02T03:04:05", "--script", script) as sim:
        said = sim.until(lambda said: said.count(b"\r\n") == 3)
        sim.wait(lambda: len(sim.ledger("sent")) == 3, "three in the ledger")
        same(said[:110], wanted + failed)
        same(said[110:], b"2026,01,02,03,04,R-0001              ,0,140,090,060,1\r\n")
        same({len(line) for line in said.split(b"\r\n")[:3]}, {53})
        same(sim.ledger("sent")[2]["record"],
             {"sys": 140, "dia": 90, "pulse": 60, "error": 0, "move": 1, "id": "R-0001",
              "time": "2026-01-02T03:04"})
        same(sim.ledger("measured")[1]["record"]["sys"], None)


def test_a_printed_reading_that_was_cut_is_lost_and_may_be_printed_again():
    with printer("cms_scale", "--script", "cut; measure height=172 weight=70.5; reprint;"
                 "measure height=171.2; measure error=3") as sim:
        said = sim.until(lambda said: b"ERR" in said and said.endswith(b"\n"))
        good = b"W:070.5 H:172.0\r\n"
        same(said, good[:8] + good + b"W:---.- H:171.2\r\nERR:3\r\n")
        sim.wait(lambda: len(sim.ledger("sent")) == 3, "three in the ledger")
        same([(e["event"], e["key"]) for e in sim.ledger("measured", "sent", "lost")],
             [("measured", "000001"), ("lost", "000001"), ("sent", "000001"),
              ("measured", "000002"), ("sent", "000002"), ("measured", "000003"),
              ("sent", "000003")])
        same(bytes.fromhex(sim.ledger("lost")[0]["hex"]), good[:8])
        sim.say("measure sys=120 dia=80 pulse=70")
        sim.wait(lambda: "refused" in sim.errors(), "an order that a scale does not take")


def test_random_readings_are_printed_by_the_one_shot_instruments():
    for model in ("gtech", "hbp9030", "cms_scale"):
        with Sim("printer.py", "--model", model, "--pace", "2000", "--random", "8") as sim:
            sim.until(lambda said: said.count(b"\x03" if model == "gtech" else b"\n") == 8)
            sim.wait(lambda: len(sim.ledger("sent")) == 8, "eight in the ledger")
            same(sim.said, b"".join(bytes.fromhex(e["hex"]) for e in sim.ledger("sent")))
            same(len({e["key"] for e in sim.ledger("sent")}), 8)


def main():
    tap = Tap()
    for name, run in list(globals().items()):
        if name.startswith("test_") and (not sys.argv[1:] or any(a in name for a in sys.argv[1:])):
            with tap.case(name[5:].replace("_", " ")):
                run()
    tap.done()


if __name__ == "__main__":
    main()
