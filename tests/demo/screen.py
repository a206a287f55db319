# SPDX-License-Identifier: GPL-3.0-or-later
"""How the show looks."""
import os
import shutil
import time
import unicodedata

from scene import TOLD, WATCHED, Gone

TIE = "\u00a0"

VERBS = {"start": ("启动", "started"), "measured": ("测得", "measured"), "told": ("已确认", "told"),
         "again": ("重发", "sent again"), "lost": ("未确认", "unconfirmed"), "shows": ("显示", "shows"),
         "holds": ("存有", "holds"), "asks": ("询问", "asks"), "types": ("输入", "types"),
         "stored": ("入库", "stored"), "unassigned": ("待归属", "unassigned"),
         "test": ("测试", "test"),
         "record": ("随访表", "record"), "alert": ("警报", "ALERT"), "reading": ("收到", "reading"),
         "followup": ("收到", "follow-up"), "event": ("收到", "event"), "reply": ("收到", "reply"),
         "ack": ("确认", "acknowledges"), "confirms": ("确认", "confirms"),
         "acked": ("收到", "acknowledged"),
         "over": ("解除", "resolved"), "next": ("升级", "escalated"), "goes_on": ("警报", "update"), "run": ("执行", "runs"), "do": ("处置", "acts"),
         "recorded": ("记录", "recorded"), "sent": ("发送", "sends"), "ecg": ("收到", "ECG"),
         "original": ("收到", "original"), "reports": ("报告", "reports"),
         "tally": ("进度", "so far"),
         "down": ("中断", "DOWN"), "up": ("恢复", "UP"), "note": ("说明", "note")}


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)

def columns(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else
               0 if unicodedata.combining(c) else 1 for c in text)


def pad(text, width):
    return text + " " * max(0, width - columns(text))


def wrap(text, width):
    """Lines of at most `width` columns, broken at blanks, or anywhere in what is longer. A TIE is a
    blank at which nothing breaks."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while columns(line) > width:
            n = next(n for n in range(len(line), 0, -1) if columns(line[:n]) <= width)
            lines.append(line[:n])
            line = line[n:]
    return [part.replace(TIE, " ") for part in lines + [line]]


class Screen:
    WHO, ZH, EN = 10, 8, 13
    COLOURS = {"dim": "2", "bold": "1", "alert": "1;31", "good": "32", "warn": "33",
               "instrument": "36", "gateway": "32", "platform": "35", "person": "33", "site": "2"}

    def __init__(self, out):
        self.out, self.start = out, boottime()
        terminal = out.isatty()
        self.colours = terminal and "NO_COLOR" not in os.environ and \
            os.environ.get("TERM") not in (None, "", "dumb")
        size = shutil.get_terminal_size((100, 24)).columns if terminal else 100
        self.width = max(64, min(100, size))
        out.reconfigure(errors="replace")

    def paint(self, text, tone):
        return f"\x1b[{self.COLOURS[tone]}m{text}\x1b[0m" if self.colours and tone else text

    def print(self, text="", tone=None):
        try:
            print(self.paint(text, tone), file=self.out, flush=True)
        except OSError as error:
            raise Gone from error

    def headline(self, number, zh, en, text):
        head = f"── {number}  {zh} {en} "
        self.print()
        self.print(head + "─" * (self.width - columns(head)), "bold")
        for line in text:
            for part in wrap(line, self.width - 6):
                self.print("      " + part, "dim")

    def line(self, t, who, verb, text, tone):
        kind = "instrument" if who in TOLD + WATCHED else \
            "person" if who in ("doctor", "nurse") else \
            "gateway" if who in ("gateway", "vitalgate") else \
            "platform" if who == "platform" else "site"
        zh, en = VERBS[verb]
        room = 7 + 2 + self.WHO + self.ZH + self.EN
        first, *more = wrap(text, self.width - room)
        self.print(self.paint(f"{max(0, t - self.start):7.2f}", "dim") + "  "
                   + self.paint(pad(who, self.WHO), kind)
                   + self.paint(pad(zh, self.ZH) + pad(en, self.EN), tone or kind)
                   + self.paint(first, tone))
        for part in more:
            self.print(" " * room + self.paint(part, tone))


def milliseconds(seconds):
    ms = seconds * 1000
    return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms" if ms < 1000 else f"{seconds:.1f} s"
