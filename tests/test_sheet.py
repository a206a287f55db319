#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sheet of an ECG, measured: `vitalgate ecg` draws synthetic ECGs, their SVG is read back in mm."""
import copy
import json
import random

from ecg_rig import TWELVE, Cli, Png, beats, flat, heart, lead, make
from harness import Tap, holds, same

LEFT, TOP, WIDTH, HEIGHT = 8.5, 53, 280, 145  # the grid
START = LEFT + 25  # of the first sample
COLUMN = 62.5
BOX = "NOT FOR DIAGNOSIS / 不可用于诊断"

CLI = Cli()


def near(got, want, what, within=.02):
    holds(abs(got - want) <= within, f"{what}: expected {want}, found {got}")


def square(n=5000, interval_s=.002, at=(1, 2), mv=1.0):
    """mv from at[0] to at[1] s, else 0."""
    return [mv if at[0] <= i * interval_s < at[1] else 0 for i in range(n)]


def says(svg, *texts):
    for text in texts:
        holds(text in svg.all_text(), f"{text!r} is not on the sheet:\n{svg.all_text()}")


def says_not(svg, *texts):
    for text in texts:
        holds(text not in svg.all_text(), f"{text!r} is on the sheet")


def peaks(wave):
    ys = [y for line in wave for _, y in line]
    return min(ys), max(ys)


# --- scales

def check_grid():
    svg = CLI.svg(make())
    for width, step in ((.1, 1), (.18, 5)):
        xs, ys = svg.grid(width)
        same((len(xs), len(ys)), (WIDTH // step + 1, HEIGHT // step + 1), f"lines every {step} mm")
        for values, first in ((xs, LEFT), (ys, TOP)):
            for i, v in enumerate(values):
                near(v, first + i * step, f"line {i} of the {step} mm grid", .005)


def check_calibration():
    """1 mV high, 200 ms wide, one in each row, on the base line of its row."""
    svg = CLI.svg(make(leads=heart()))
    pulses = svg.pulses()
    same(len(pulses), 4, "pulses")
    for p in pulses:
        near(p[1][1] - p[2][1], 10, "height")
        near(p[3][0] - p[2][0], 5, "width")
        near(p[0][1], p[5][1], "base line")
        holds(p[5][0] < START, "a pulse runs into the wave")
    ys = [p[0][1] for p in pulses]
    same(ys, sorted(ys), "rows")
    same(len(set(round(b - a, 2) for a, b in zip(ys, ys[1:]))), 1, "distances of rows")


def check_square_wave():
    """1 mV for 1 s is 10 mm by 25 mm, whatever the sampling and the units are."""
    for interval_us, uv, n in ((2000, 2.5, 5000), (1667, 3.75, 6000), (4000, 1, 2500), (1000, .183, 10000),
                               (2777.778, 4.88, 3600), (100, 1, 100000)):
        signal = square(n, interval_us / 1e6)
        ecg = make(interval_us=interval_us, uv_per_lsb=uv, leads=[lead("II", signal, uv)])
        svg = CLI.svg(ecg)
        wave, (pulse,) = svg.waves(), svg.pulses()
        same(len(wave), 1, "waves")
        line = [point for piece in wave[0] for point in piece]
        top, bottom = peaks(wave[0])
        near(bottom - top, 10, f"height at {interval_us} us", .03)
        near(bottom, pulse[0][1], "base line")
        middle = (top + bottom) / 2
        up = [b[0] for a, b in zip(line, line[1:]) if a[1] > middle >= b[1]]
        down = [b[0] for a, b in zip(line, line[1:]) if a[1] <= middle < b[1]]
        same((len(up), len(down)), (1, 1), "edges")
        near(up[0], START + 25, "rising edge", .08)
        near(down[0] - up[0], 25, f"width at {interval_us} us", .08)
        near(line[0][0], START, "first sample")
        near(line[-1][0], START + 25 * (n - 1) * interval_us / 1e6 if n * interval_us < 1e7 else START + 250,
             "last sample", .11)


def check_own_scale_of_a_lead():
    svg = CLI.svg(make(leads=[lead("I", square()), lead("II", square(), 5, uv_per_lsb=5)]))
    for wave in svg.waves():
        top, bottom = peaks(wave)
        near(bottom - top, 10, "height", .03)


# --- layouts

def check_twelve_leads():
    """Each lead has a step of its own height, in the quarter of its column."""
    leads = [lead(name, square(at=(2.5 * (i % 4) + 1, 2.5 * (i % 4) + 2), mv=.3 + .05 * i))
             for i, name in enumerate(TWELVE)]
    svg = CLI.svg(make(leads=list(reversed(leads))))
    rows = [p[0][1] for p in svg.pulses()]
    for i, name in enumerate(TWELVE):
        x, y = START + COLUMN * (i % 4), rows[i // 4]
        wave = svg.wave_at(x, y)
        near(wave[0][0][0], x, f"beginning of {name}")
        near(wave[-1][-1][0], x + COLUMN, f"end of {name}", .06)
        top, bottom = peaks(wave)
        near(bottom - top, 3 + .5 * i, f"height of {name}", .03)
        edge = next(b[0] for a, b in zip(wave[0], wave[0][1:]) if b[1] < a[1] - .5)
        near(edge, x + 25, f"edge of {name}", .06)
        text = next(t for t in svg.texts if t[0] == name)
        near(text[1], x + 1, f"x of the name {name}", .5)
        holds(rows[i // 4] - 25 < text[2] < rows[i // 4], f"y of the name {name}")
    rhythm = svg.wave_at(START, rows[3])
    top, bottom = peaks(rhythm)
    near(bottom - top, 3 + .5 * 4, "height of the rhythm strip", .03)
    near(rhythm[-1][-1][0], START + 250, "end of the rhythm strip", .06)
    same([t[0] for t in svg.texts if t[0] in TWELVE], TWELVE + ["II"], "names")


def check_columns_follow_in_time():
    """What happens at 6 s stands in the third column only, and in the strip."""
    svg = CLI.svg(make(leads=[lead(name, square(at=(6, 6.1))) for name in TWELVE]))
    seen = [(round((w[0][0][0] - START) / COLUMN), peaks(w)[1] - peaks(w)[0] > 9) for w in svg.waves()]
    same(seen, [(0, False), (1, False), (2, True), (3, False)] * 3 + [(0, True)])


def check_separators():
    svg = CLI.svg(make())
    ticks = [line for colour, w, lines in svg.strokes if colour == (0, 0, 0) and abs(w - .3) < .01
             for line in lines]
    xs = sorted({round(a[0], 2) for a, _ in ticks})
    same(xs, [START + COLUMN * i for i in (1, 2, 3)], "separators")
    same(len(ticks), 3 * 3 * 2, "ticks")


def check_missing_leads():
    """Its place stays empty; the strip is V1 when there is no II."""
    svg = CLI.svg(make(leads=flat([n for n in TWELVE if n not in ("II", "V4")])))
    same(len(svg.waves()), 11, "waves")
    svg.place("V4 -")
    svg.place("II -")
    same([t[0] for t in svg.texts if t[0] == "V1"], ["V1", "V1"], "V1 and its strip")
    svg = CLI.svg(make(leads=flat(TWELVE[:-1]) + [{"name": "V6", "n": 0, "derived": False, "samples": []}]))
    svg.place("V6 -")
    says(svg, "not drawn: V6")


def check_other_sets():
    for names, rows in ((["II"], 1), (["I", "II"], 2), (["X", "Y", "Z"], 3), (TWELVE[:7], 7),
                        (["lead-%d" % i for i in range(12)], 12)):
        svg = CLI.svg(make(leads=flat(names, 2500)))
        same(len(svg.pulses()), rows, f"rows of {len(names)} leads")
        same([t[0] for t in svg.texts if t[0] in names], names, "names")
        for wave in svg.waves():
            near(wave[0][0][0], START, "beginning")
            near(wave[-1][-1][0], START + 125, "end", .06)
        ys = [p[0][1] for p in svg.pulses()]
        holds(min(ys) > TOP + 9 and max(ys) < TOP + HEIGHT - 5, f"base lines {ys}")
        holds(rows == 1 or min(b - a for a, b in zip(ys, ys[1:])) >= 10, f"base lines {ys}")
    svg = CLI.svg(make(leads=flat(TWELVE + ["V7", "V8", "V9"])))
    same((len(svg.waves()), len(svg.pulses())), (16, 7), "waves and rows of 15 leads")
    for name in ("V7", "V8", "V9"):
        svg.place(name)
    svg = CLI.svg(make(leads=flat(["lead-%d" % i for i in range(14)], 500)))
    says(svg, "not drawn: lead-12 lead-13")
    same(len(svg.waves()), 12, "waves")


def check_same_name_twice():
    """Neither is lost, and none is drawn in the other's place."""
    leads = flat(TWELVE) + [lead("II", square())]
    svg = CLI.svg(make(leads=leads))
    heights = [round(peaks(w)[1] - peaks(w)[0]) for w in svg.waves()]
    same(heights, [0] * 13 + [10])


def check_length_of_the_record():
    svg = CLI.svg(make(interval_us=4000, leads=flat(["I", "II"], 7500)), "en")
    says(svg, "first 10 s of 30 s")
    for wave in svg.waves():
        near(wave[-1][-1][0], START + 250, "end")
    says(CLI.svg(make(interval_us=4000, leads=flat(["I", "II"], 7500)), "zh"), "前 10 秒，共 30 秒")
    svg = CLI.svg(make(leads=flat(TWELVE, 2500)), "en")
    says(svg, "the record ends after 5 s", "not drawn: V1 V4 V2 V5 V3 V6")
    same(len(svg.waves()), 7, "waves")
    svg.place("V1 -")
    for n in (4990, 5000, 5001):
        svg = CLI.svg(make(leads=flat(TWELVE, n)))
        says_not(svg, "first 10", "record ends", "not drawn")


def check_unknown_scales():
    """Without its scale a wave would be a lie."""
    for change, why in (({"interval_us": None}, "sampling interval unknown"),
                        ({"interval_us": 0}, "sampling interval unknown"),
                        ({"interval_us": -2000}, "sampling interval unknown"),
                        ({"uv_per_lsb": None}, "amplitude scale unknown"),
                        ({"uv_per_lsb": 1e300}, "amplitude scale unknown"),
                        ({"leads": flat(TWELVE, uv_per_lsb=-1)}, "amplitude scale unknown")):
        svg = CLI.svg(make(**change))
        same(len(svg.waves()), 0, f"waves, {why}")
        says(svg, why, "not drawn: I aVR")
        svg.place("V6 -")


def check_offset():
    """An offset of 40 mV does not push it off the page, and does not change its height."""
    svg = CLI.svg(make(leads=[lead("II", [v + 40 for v in square()])]))
    top, bottom = peaks(svg.waves()[0])
    near(bottom - top, 10, "height", .03)
    near(bottom, svg.pulses()[0][0][1], "base line", .03)


def check_clipping():
    """Nothing leaves its band or the grid, and an arrowhead stands where it would."""
    for sign in (1, -1):
        leads = flat(TWELVE)
        leads[5] = lead("aVL", [sign * v for v in square(at=(3, 3.2), mv=60)])  # second row, second column
        svg = CLI.svg(make(leads=leads))
        y = svg.pulses()[1][0][1]
        piece = svg.wave_at(START + COLUMN, y)
        top, bottom = peaks(piece)
        holds(20 < (y - top if sign > 0 else bottom - y) < 36, f"clipped at {top}, {bottom} of {y}")
        marks = [lines[0] for colour, _, lines in svg.fills if colour == (0, 0, 0) and len(lines[0]) == 3]
        same(len(marks), 1, "arrowheads")
        near(marks[0][0][0], START + COLUMN + 25 * .6, "x of the arrowhead", 1)
        near(marks[0][0][1], top if sign > 0 else bottom, "tip of the arrowhead", .05)
        holds((marks[0][1][1] - marks[0][0][1]) * sign > 1, "the arrowhead points inwards")
    wild = random.Random(1)
    leads = [lead(name, [wild.choice((-80, 0, 3, 80)) for _ in range(5000)]) for name in TWELVE]
    svg = CLI.svg(make(leads=leads))
    for lines in [w for w in svg.waves()] + [lines for c, _, lines in svg.fills if c == (0, 0, 0)]:
        for line in lines:
            for x, y in line:
                holds(LEFT <= x <= LEFT + WIDTH and TOP - .01 <= y <= TOP + HEIGHT + .01, f"{x}, {y}")


def check_gaps():
    """What is no number, or no amplitude, leaves a gap and nothing else."""
    samples = lead("II", square())["samples"]
    for i, bad in enumerate(("x", None, [], {}, True, 1e300, -1e300, 10 ** 15)):
        samples[3000 + i] = bad
    svg = CLI.svg(make(leads=[{"name": "II", "samples": samples}]))
    same(len(svg.waves()[0]), 2, "pieces")
    near(svg.waves()[0][0][-1][0], START + 2999 * .05, "end before the gap", .06)
    near(svg.waves()[0][1][0][0], START + 3008 * .05, "beginning behind the gap", .06)


def check_dense():
    """Far more samples than a printer has dots: fewer points, the same peaks."""
    n = 400000
    signal = [v + .02 * (i % 2) for i, v in enumerate(square(n, 25e-6))]  # no straight lines that cairo joins
    signal[200013] = 1.5
    signal[300001] = -.5
    svg = CLI.svg(make(interval_us=25, uv_per_lsb=1, leads=[lead("II", signal, 1)]))
    line = svg.waves()[0][0]
    holds(len(line) < 60000, f"{len(line)} points")
    top, bottom = peaks(svg.waves()[0])
    near(bottom - top, 20, "height", .03)
    near(next(x for x, y in line if y == top), START + 200013 * 25e-6 * 25, "x of the peak", .03)
    near(next(x for x, y in line if y == bottom), START + 300001 * 25e-6 * 25, "x of the trough", .03)


# --- texts

def check_head_in_words():
    for language, words in (
            ("en", ("SYN-1  测试甲 TEST", "female  74 years  158 cm  61 kg  born 1951-03-04",
                    "2026-01-31 08:09:10 +08:00 (the device's clock)", "TESTMAKER  CART1  SN SER-9  1.7",
                    "0.05–150 Hz, notch 50 Hz, artefact filter", "75 /min", "801 ms", "157 ms", "104 ms",
                    "88 ms", "360 / 402 ms (Bazett)", "49 / -53 / 46 °", "窦性心律", "正常心电图",
                    "Statement of the cart, not confirmed by a physician  2026-01-31 08:09:30",
                    "25 mm/s  10 mm/mV", "SCP-ECG", "2000 µs (500 Hz)", "vitalgate ")),
            ("zh", ("SYN-1  测试甲 TEST", "女  74岁  158 cm  61 kg  出生 1951-03-04",
                    "2026-01-31 08:09:10 +08:00 (设备时钟)", "工频 50 Hz", "心率", "电轴 P/QRS/T",
                    "心电图机自动分析，未经医生确认  2026-01-31 08:09:30"))):
        svg = CLI.svg(make(), language)
        says(svg, *words)
        says_not(svg, BOX, "Warnings", "警告")


def check_statuses():
    for status, en, zh in (("confirmed", "Confirmed by a physician", "已由医生确认"),
                           ("overread", "not confirmed", "未确认"),
                           ("original", "not confirmed", "未经医生确认"),
                           ("strange", "not confirmed", "未经医生确认")):
        ecg = make(interpretation={"status": status, "lines": ["SINUS"]})
        says(CLI.svg(ecg, "en"), en, "SINUS")
        says(CLI.svg(ecg, "zh"), zh)
    svg = CLI.svg(make(interpretation={"status": "original", "lines": [], "statements": [
        {"type": "coded", "text": "NSR"}, {"text": "另见文字"}]}))
    says(svg, "NSR", "另见文字")
    says(CLI.svg(make(interpretation=None), "en"), "states no interpretation")


def check_nothing_known():
    """Each absent value is said to be absent."""
    svg = CLI.svg({"format": "scp", "leads": flat(["I"])}, "en")
    says(svg, "(no patient id)", "sex -  age -", "time of recording -", "- / - ms", "- / - / - °", "- µs")
    same([t[0] for t in svg.texts].count("-"), 8, "texts that say -")  # 5 measurements, device, filters, lead
    svg = CLI.svg(make(measurements={"hr": 75, "qt": 400, "axis": {"t": 10}}), "en")
    says(svg, "75 /min", "400 / - ms", "- / - / 10 °")


def check_anonymous():
    ecg = make(study={"id": "1a2b3c4d5e6f", "resident": "R-0001"})
    says(CLI.svg(ecg), "R-0001", "study 1a2b3c4d")
    says_not(CLI.svg(ecg), "SYN-1", "测试甲", "1951")
    for given in (make(), ecg):
        svg = CLI.svg(given, "--anonymous")
        says_not(svg, "SYN-1", "测试甲", "TEST\n", "1951", "R-0001")
        says(svg, "(anonymous)", "74 years")


def check_study():
    """What the gateway knows stands before what the file says."""
    study = {"id": "1a2b3c4d5e6f", "resident": None, "time": {"taken": "2026-02-01T00:30:00.000Z",
                                                            "trust": "corrected"},
             "report": {"state": "reported", "critical": {"text": "ACUTE ANTERIOR INFARCT", "by": "D-0001"},
                        "revisions": [
                            {"revision": 1, "status": "preliminary", "by": "D-0002", "text": "superseded"},
                            {"revision": 2, "status": "critical", "by": "D-0001", "text": "ST elevation in V1 to V4",
                             "critical": "ACUTE ANTERIOR INFARCT"},
                            {"revision": 3, "status": "final", "by": "D-0003", "text": "old infarct, too"}]}}
    svg = CLI.svg(make(study=study), "en")
    says(svg, "SYN-1  测试甲", "2026-02-01 08:30:00 +0800 (clock corrected)",
         "Report of the ECG centre: critical, D-0001", "ACUTE ANTERIOR INFARCT", "ST elevation in V1 to V4",
         "Report of the ECG centre: final, D-0003", "old infarct, too")
    says_not(svg, "superseded")
    says(CLI.svg(make(study=study), "zh"), "设备时钟，已校正", "心电诊断中心报告: 危急值, D-0001")


def check_warnings():
    warnings = ["bad_date", "section_crc: 7", "strange_code: xyz"]
    says(CLI.svg(make(warnings=warnings), "en"),
         "Warnings: no valid time of recording; damaged section left out (7); strange_code (xyz)")
    says(CLI.svg(make(warnings=warnings), "zh"), "警告：采集时间无效；损坏的数据段已忽略 (7)")


def check_not_for_diagnosis():
    """Exactly where leads are derived or cut off, or the waveform is unsupported."""
    def with_flag(flag, value):
        leads = flat(TWELVE)
        leads[9][flag] = value
        return make(leads=leads)
    cases = ((make(), False), (with_flag("derived", True), True), (with_flag("truncated", True), True),
             (with_flag("derived", False), False), (with_flag("truncated", 1), False),
             (make(leads=[], warnings=["waveform_unsupported: bimodal"]), True),
             (make(leads=[], warnings=["waveform_unsupported"]), True),
             (make(leads=[], warnings=["no_rhythm"]), False),
             (make(warnings=["charset_guessed", "bad_date", "section_crc: 7"]), False))
    for ecg, wanted in cases:
        for language in ("en", "zh"):
            svg = CLI.svg(ecg, language)
            same(BOX in svg.words, wanted, f"the box, {ecg['warnings']}")
            red = [lines for colour, w, lines in svg.strokes if colour == (192, 0, 0) and abs(w - .6) < .01]
            same(len(red), int(wanted), "frames")
            if wanted:
                (x0, y0), (x1, y1) = red[0][0][0], red[0][0][2]
                text = svg.place(BOX)
                holds(x0 < text[1] < text[3] < x1 and y0 < text[2] < y1, "the words are not in the frame")
    says(CLI.svg(with_flag("derived", True)), "aVF*", "* computed from I and II")
    says(CLI.svg(with_flag("truncated", True)), "aVF (cut off)", "leads cut off")


def check_no_waveform():
    svg = CLI.svg(make(leads=[], warnings=["waveform_unsupported: pdf"]), "zh")
    says(svg, "没有波形", "波形不受支持 (pdf)")
    same((len(svg.waves()), len(svg.pulses())), (0, 0), "waves and pulses")


def check_chinese_has_glyphs():
    """Characters that no font has come out as one and the same box."""
    text = "窦性心律不齐伴室早，提示心肌缺血"
    glyphs = CLI.svg(make(interpretation={"status": "original", "lines": [text]})).place(text)[4]
    same(len(set(glyphs)), len(set(text)), f"shapes of {text}")


def extents(svg):
    """Left, right, top, bottom of each text, about: a character is no wider than its size, 4.6 mm at most."""
    return [(x, last + 1, y - 2, y + .3, text) for text, x, y, last, _ in svg.texts]


def check_texts_keep_to_their_boxes():
    long = "长长的文字 very long text " * 30
    leads = flat(TWELVE)
    for one in leads:
        one.update(derived=True, truncated=True)
    rows = flat(["long-name-" * 4 + str(i) for i in range(12)], truncated=True, derived=True)
    for which in (leads, rows, leads + rows):
        svg = CLI.svg(make(
            leads=which, patient={"id": long, "last_name": long, "sex": long, "birth_date": long,
                                  "age": {"value": 1e6, "unit": long}},
            acquired_at=long, format=long, device={"manufacturer": long, "model": long, "serial": long},
            filters={"high_pass_hz": 0.123456, "low_pass_hz": 123456, "notch_hz": 123456, "artifact": True,
                     "baseline": True},
            measurements={k: 123456 for k in ("hr", "rr", "p", "pr", "qrs", "qt", "qtc")} |
            {"axis": {"p": -123456, "qrs": -123456, "t": -123456}, "qtc_formula": "bazett"},
            interpretation={"status": "original", "at": long, "lines": [long] * 40},
            study={"id": long, "report": {"revisions": [
                {"status": long, "by": long, "text": long, "critical": long}]}},
            warnings=[f"{long}: {long}", long]), "zh")
        found = extents(svg)
        for i, (left, right, top, bottom, text) in enumerate(found):
            holds(LEFT <= left and right <= LEFT + WIDTH + 1 and 2 < top and bottom < 208,
                  f"off the page: {text}")
            for other in found[:i]:
                apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
                holds(apart, f"{text[:40]!r} runs over {other[4][:40]!r}")
        holds(any(t.startswith("……另有") for t in svg.words), "what has no room is not counted")


def check_strange_characters():
    """Control characters and marks of direction are not drawn; the rest of the text is."""
    line = "A\u0001\u001b[31mB\u0085\u202eC\ufffe\u200bD \U0001f600 & <E> \"ف\u0301"
    svg = CLI.svg(make(patient={"id": line}, interpretation={"status": "original", "lines": [line, "\t"]}))
    drawn = next(w for w in svg.words if w.startswith("A"))
    same(drawn, "A  [31mB  C  D \U0001f600 & <E> \"ف\u0301")


# --- PNG

def check_png():
    png = Png(CLI.png(make(leads=heart())))
    same((png.width, png.height), (2339, 1654))
    same(png.per_metre, (7874, 7874, 1), "pixels to a metre")
    dark = sum(sum(1 for i in range(0, len(row), 3) if max(row[i:i + 3]) < 64) for row in png.rows)
    holds(8000 < dark < 80000, f"{dark} dark pixels")
    svg = CLI.svg(make(leads=heart()))
    for pulse in svg.pulses():
        y = pulse[2][1]
        holds(max(png.at(pulse[2][0] + 2.5, y)) < 128, f"no pulse at {y}: {png.at(pulse[2][0] + 2.5, y)}")
        holds(min(png.at(pulse[2][0] + 2.5, y + 1.5)) > 150, "the pulse is filled")
    for x, y, want in ((LEFT + 5, TOP + 2.5, True), (LEFT - 2, TOP + 2.5, False)):
        red, green, _ = png.at(x, y)
        same(red > green + 15, want, f"red at {x}, {y}")


# --- hostile JSON

def draws(ecg, *options):
    CLI.works("ecg", CLI.give(ecg), "--svg", CLI.path / "h.svg", "--png", CLI.path / "h.png", *options)


def check_hostile():
    huge = [0, -1, 1e300, -1e300, 1e-300, 9223372036854775807, -9223372036854775808, "x" * 3000, None, True,
            [], {}, [[]], {"value": {}}]
    names = ["interval_us", "uv_per_lsb", "leads", "patient", "measurements", "interpretation", "warnings",
             "device", "filters", "format", "acquired_at", "study"]
    small = make(leads=flat(TWELVE, 300))
    draws({})
    for name in names:
        members = {name: None}
        draws(make(leads=flat(["I"], 100)) | members)
        ecg = copy.deepcopy(small)
        for i, value in enumerate(huge):
            ecg[name] = value
            if i % 3 == 0 or name in ("interval_us", "uv_per_lsb", "leads"):
                CLI.works("ecg", CLI.give(ecg), "--svg", CLI.path / "h.svg")


def check_hostile_leads():
    draws(make(leads=flat(["lead-%d" % i for i in range(64)], 300)))
    draws(make(leads=flat(["lead-%d" % i for i in range(300)], 10)))
    draws(make(leads=[None, 1, "x", [], {}, {"name": 7}, {"samples": 7}, {"name": "I", "samples": {}},
                      {"name": "\u0001\u009b" * 50, "samples": [1]}]))
    draws(make(leads=[lead("I", [0]), lead("II", [])], interval_us=1e6))


def check_million_samples():
    """Every interval that the decoder may say, on more samples than any page has."""
    wild = random.Random(2)
    text = json.dumps(make(leads=[], interval_us="INTERVAL"))
    samples = ",".join(str(wild.randint(-9, 9)) for _ in range(1000000))
    text = text.replace('"leads": []', '"leads": [{"name": "II", "samples": [%s]}]' % samples)
    for interval in ("1", "9.999", "2000"):
        draws(text.replace('"INTERVAL"', interval))


def mutate(value, rng):
    """One member somewhere below becomes something else."""
    if isinstance(value, (dict, list)) and value and rng.random() < .8:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value[key] = mutate(value[key], rng)
        return value
    return rng.choice([None, True, -1, 0, 3.7e9, 1e308, -9223372036854775808, "", "text",
                       "\u009b\u202e" * 9, [], {}, [1, "x", None], {"value": -5, "unit": "a"}])


def check_mutants():
    rng = random.Random(3)
    for _ in range(60):
        ecg = make(leads=flat(TWELVE, 40) + [lead("V7", beats("V1", 40, .02))],
                   warnings=["bad_date"], study={"id": "1a2b", "time": {"taken": "2026-02-01T00:30:00Z"},
                                                 "report": {"revisions": [{"status": "final", "text": "x"}]}})
        for _ in range(rng.randint(1, 6)):
            ecg = mutate(ecg, rng)
            if not isinstance(ecg, dict):
                ecg = {"leads": ecg}
        CLI.works("ecg", CLI.give(ecg), "--svg", CLI.path / "h.svg")


def main():
    tap = Tap()
    with CLI:
        for name, check in list(globals().items()):
            if name.startswith("check_"):
                with tap.case(name[6:].replace("_", " ")):
                    check()
    tap.done()


if __name__ == "__main__":
    main()
