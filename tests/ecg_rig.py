# SPDX-License-Identifier: GPL-3.0-or-later
"""For the tests of `vitalgate ecg`: a copy of the program beside a decoder of ours, synthetic ECGs in the
decoder's JSON, and readers that measure the pictures in millimetres."""
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "vitalgate"
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"

# Row by row, as they stand on the sheet.
TWELVE = "I aVR V1 V4 II aVL V2 V5 III aVF V3 V6".split()
# P, Q, R, S, T in mV
SHAPES = {"I": (.10, -.05, .75, -.10, .22), "II": (.14, -.08, 1.15, -.15, .30),
          "V1": (.05, 0, .22, -.95, -.08), "V2": (.06, 0, .45, -1.5, .45), "V3": (.07, 0, .9, -1.1, .5),
          "V4": (.08, -.05, 1.5, -.7, .45), "V5": (.08, -.08, 1.45, -.35, .38),
          "V6": (.08, -.08, 1.05, -.15, .28)}
WAVES = ((.12, .022), (.235, .008), (.26, .011), (.287, .011), (.50, .045))  # when in a beat, how wide: s


class Cli:
    """The program in a folder of its own. Its decoder answers with what it reads: an ECG is given as JSON."""

    def __init__(self, decoder='exec cat'):
        self.folder = tempfile.TemporaryDirectory(prefix="vg-ecg-")
        self.path = Path(self.folder.name)
        shutil.copy(PROGRAM, self.path / "vitalgate")
        if decoder:
            self.decoder(decoder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def decoder(self, script):
        path = self.path / "vitalgate-ecg"
        path.write_text(f'#!/bin/sh\necho "$@" >"$0.args"\n{script}\n')
        path.chmod(0o755)

    def decoder_arguments(self):
        return (self.path / "vitalgate-ecg.args").read_text().strip()

    def run(self, *words, stdin=b"", timeout=180, **env):
        clean = {k: v for k, v in os.environ.items() if k not in ("LANG", "VITALGATE_CONFIG")}
        done = subprocess.run([self.path / "vitalgate", *map(str, words)], capture_output=True, input=stdin,
                              timeout=timeout, check=False, cwd=self.path,
                              env={**clean, "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=0",
                                   "TZ": "Asia/Shanghai", **env})
        done.stdout, done.stderr = done.stdout.decode("utf-8"), done.stderr.decode("utf-8", "replace")
        assert done.returncode >= 0, f"{words}: killed by signal {-done.returncode}: {done.stderr}"
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        return done

    def works(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, f"{words}: status {done.returncode}, {done.stderr}"
        return done.stdout

    def fails(self, status, *words, says=(), **more):
        """It says why on stderr, and in no other words than these languages have."""
        done = self.run(*words, **more)
        assert done.returncode == status, f"{words}: status {done.returncode}, {done.stderr}"
        for text in [says] if isinstance(says, str) else says:
            assert text in done.stderr, f"{words}: \"{text}\" is not in: {done.stderr}"
        return done

    def give(self, ecg, name="ecg.json"):
        path = self.path / name
        path.write_text(ecg if isinstance(ecg, str) else json.dumps(ecg), encoding="utf-8")
        return path

    def svg(self, ecg, *options):
        self.works(*(["--lang", options[0]] if options[:1] in (("zh",), ("en",)) else []), "ecg",
                   self.give(ecg), "--svg", self.path / "x.svg",
                   *(o for o in options if o not in ("zh", "en")))
        return Svg((self.path / "x.svg").read_bytes())

    def png(self, ecg):
        self.works("ecg", self.give(ecg), "--png", self.path / "x.png")
        return (self.path / "x.png").read_bytes()


# --- synthetic ECGs

def beats(name, n, interval_s, beat_s=.8):
    """A lead of one of SHAPES in mV."""
    noise = random.Random(name)
    shape, values = SHAPES[name], []
    for i in range(n):
        at = (i * interval_s + .3) % beat_s
        wave = sum(a * math.exp(-((at - when) / wide) ** 2 / 2) for a, (when, wide) in zip(shape, WAVES))
        values.append(wave + .03 * math.sin(math.pi / 2 * i * interval_s) + noise.gauss(0, .008))
    return values


def lead(name, millivolts, uv=2.5, **more):
    return {"name": name, "n": len(millivolts), "derived": False,
            "samples": [round(v * 1000 / uv) for v in millivolts], **more}


def heart(n=5000, interval_s=.002):
    """The twelve leads of one synthetic heart."""
    mv = {name: beats(name, n, interval_s) for name in SHAPES}
    both = list(zip(mv["I"], mv["II"]))
    mv |= {"III": [b - a for a, b in both], "aVR": [-(a + b) / 2 for a, b in both],
           "aVL": [a - b / 2 for a, b in both], "aVF": [b - a / 2 for a, b in both]}
    return [lead(name, mv[name]) for name in TWELVE]


def flat(names, n=5000, **more):
    return [lead(name, [0] * n, **more) for name in names]


def make(**members):
    """An ECG with every member of the decoder's JSON; `members` replace some, None takes one away."""
    ecg = {"format": "scp", "bytes": 36000,
           "patient": {"id": "SYN-1", "last_name": "测试甲", "first_name": "TEST", "sex": "F",
                       "birth_date": "1951-03-04", "age": {"value": 74, "unit": "a"},
                       "height": {"value": 158, "unit": "cm"}, "weight": {"value": 61, "unit": "kg"}},
           "acquired_at": "2026-01-31T08:09:10+08:00", "tz_source": "file",
           "device": {"manufacturer": "TESTMAKER", "model": "CART1", "serial": "SER-9", "software": "1.7",
                      "mains_hz": 50},
           "filters": {"high_pass_hz": 0.05, "low_pass_hz": 150, "notch_hz": 50, "artifact": True},
           "interval_us": 2000, "uv_per_lsb": 2.5, "leads": flat(TWELVE),
           "measurements": {"hr": 75, "rr": 801, "pr": 157, "p": 104, "qrs": 88, "qt": 360, "qtc": 402,
                            "qtc_formula": "bazett", "axis": {"p": 49, "qrs": -53, "t": 46}},
           "interpretation": {"status": "original", "at": "2026-01-31T08:09:30",
                              "lines": ["窦性心律", "正常心电图"]},
           "warnings": []}
    ecg |= members
    return {key: value for key, value in ecg.items() if value is not None}


# --- pictures

class Svg:
    """texts: (text, x, y, x of its last character, glyphs); strokes and fills: ((r, g, b), width, lines),
    points and widths in mm."""

    def __init__(self, data):
        root = ElementTree.fromstring(data)
        assert (root.get("width"), root.get("height")) == ("297mm", "210mm"), root.attrib
        box = [float(v) for v in root.get("viewBox").split()]
        self.scale = 297 / box[2]
        assert box[:2] == [0, 0] and abs(box[3] * self.scale - 210) < 1e-9, box
        self.bytes = len(data)
        self.strokes, self.fills, self.glyphs = [], [], []
        self._walk(root)
        self.words = (root.findtext(SVG + "desc") or "").split("\n")
        self.texts, left = [], list(self.glyphs)
        for text in self.words:
            drawn = [left.pop(0) for c in text if c != " "]
            if drawn:
                self.texts.append((text, drawn[0][1], drawn[0][2], drawn[-1][1], [g[0] for g in drawn]))
        assert not left, f"{len(left)} characters were drawn that are not in the description"

    def _walk(self, element):
        for child in element:
            if child.tag in (SVG + "defs", SVG + "desc", SVG + "title"):
                continue
            if child.tag == SVG + "use" and child.get(LINK, "").startswith("#glyph"):
                self.glyphs.append((child.get(LINK), float(child.get("x")) * self.scale,
                                    float(child.get("y")) * self.scale))
            if child.tag == SVG + "path":
                self._path(child)
            self._walk(child)

    def _path(self, element):
        style = dict(part.split(":", 1) for part in element.get("style").replace(" ", "").split(";") if part)
        matrix = element.get("transform", "matrix(1,0,0,1,0,0)")[7:]
        matrix = [float(v) for v in re.findall(r"[-\d.e]+", matrix)]
        lines = []
        for word in re.findall(r"[MLZC][^MLZC]*", element.get("d")):
            v = [float(n) for n in word[1:].split()]
            if word[0] == "M":
                lines.append([])
            if word[0] in "ML":
                lines[-1].append(((matrix[0] * v[0] + matrix[4]) * self.scale,
                                  (matrix[3] * v[1] + matrix[5]) * self.scale))
        stroke = style.get("stroke", "none") != "none"
        colour = tuple(round(float(v) * 2.55) for v in
                       re.findall(r"([\d.]+)%", style["stroke" if stroke else "fill"]))
        width = float(style.get("stroke-width", 0)) * matrix[0] * self.scale
        (self.strokes if stroke else self.fills).append((colour, width, [line for line in lines if line]))

    def all_text(self):
        return "\n".join(self.words)

    def grid(self, width):
        """Lines of the grid of one width: xs of the upright ones, ys of the level ones."""
        lines = [line for colour, w, lines in self.strokes
                 if colour[0] > colour[1] + 20 and abs(w - width) < .01 for line in lines]
        return (sorted(a[0] for a, b in lines if a[0] == b[0]),
                sorted(a[1] for a, b in lines if a[1] == b[1]))

    def _black(self):
        return [lines for colour, w, lines in self.strokes if colour == (0, 0, 0) and abs(w - .25) < .001]

    def pulses(self):
        return [lines[0] for lines in self._black() if is_pulse(lines)]

    def waves(self):
        """Each as a list of lines, in the order in which they were drawn."""
        return [lines for lines in self._black() if not is_pulse(lines)]

    def wave_at(self, x, y):
        """The piece that begins at x in the row whose base line is y."""
        found = [w for w in self.waves() if abs(w[0][0][0] - x) < .3 and abs(w[0][0][1] - y) < 12]
        assert len(found) == 1, f"{len(found)} waves at {x}, {y}"
        return found[0]

    def place(self, text):
        found = [t for t in self.texts if t[0] == text]
        assert found, f"{text!r} is not among {[t[0] for t in self.texts]}"
        return found[0]


def is_pulse(lines):
    """Up by a millivolt, level, and down again."""
    return len(lines) == 1 and len(lines[0]) == 6 and lines[0][1][0] == lines[0][2][0] and \
        lines[0][3][0] == lines[0][4][0] and lines[0][2][1] == lines[0][3][1]


class Png:
    """Width, height, pixels to a metre, and rows of RGB."""

    def __init__(self, data):
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        self.per_metre, packed, at = None, b"", 8
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            body = data[at + 8:at + 8 + size]
            assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body), kind
            if kind == b"IHDR":
                self.width, self.height, depth, colours = struct.unpack(">IIBB", body[:10])
                assert (depth, colours) == (8, 2), (depth, colours)
            elif kind == b"pHYs":
                self.per_metre = struct.unpack(">IIB", body)
            elif kind == b"IDAT":
                packed += body
            at += 12 + size
        self.rows = self._unfilter(zlib.decompress(packed), self.width * 3)

    @staticmethod
    def _unfilter(raw, stride):
        rows, before = [], bytearray(stride)
        for at in range(0, len(raw), stride + 1):
            kind, line = raw[at], bytearray(raw[at + 1:at + 1 + stride])
            for i in range(stride) if kind else ():
                a = line[i - 3] if i > 2 else 0
                b = before[i]
                c = before[i - 3] if i > 2 else 0
                if kind == 4:
                    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                    guess = a if pa <= pb and pa <= pc else b if pb <= pc else c
                else:
                    guess = (0, a, b, (a + b) // 2)[kind]
                line[i] = (line[i] + guess) & 255
            rows.append(bytes(line))
            before = line
        return rows

    def at(self, x_mm, y_mm):
        x, y = int(x_mm * 200 / 25.4), int(y_mm * 200 / 25.4)
        return tuple(self.rows[y][3 * x:3 * x + 3])
