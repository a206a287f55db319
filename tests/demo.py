#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: a whole site on loopback for a minute, told as it happens, then its accounts.

Every line comes from somebody's own record: the ledgers of the instruments and of the platform
(tests/sim), `vitalgate readings --follow`, `alerts` and `followup`. All of them tell
CLOCK_BOOTTIME: lines are held back for HOLD seconds and shown in the order of what happened.

Exit status: 0 when each reading that an instrument was told to be received, or that the gateway
made of what another one shows, is at the platform exactly once, and each alert too; 1 when not, or
when the show could not go on; 2 when something is not installed or not built; 130 after Ctrl-C.
"""
import argparse
import heapq
import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import date, datetime

import harness

HOLD = 0.45         # seconds; `readings --follow` looks three times a second
ALERTS_EVERY = 0.3
TALLY_EVERY = 0.7
PATIENCE = 30       # for anything to happen on a busy machine
BATCH = 300         # readings in the visit case
SHORTEST = 36       # seconds; the oximeter and the fridge take their time
PATH_MAX = 60       # of the folder, so that its sockets' names fit

TIE = "\u00a0"

LIMITS = {"limit_tests": "GLU", "hi": "33.3 mmol/L", "lo": "0.6 mmol/L"}
STEADY_S = 4        # how long the oximeter's values must be steady; in doubt it is three times that
FINGER_OUT_S = 3.5  # nothing shown for so long, and it is another measurement
WARM_S = 2          # the fridge's, until staff are told; in config/alerts.yaml it is 600
TOLD = ("cuff-1", "cuff-2", "cuff-3", "lab-1")      # each record is confirmed to them
WATCHED = ("ox-1", "fridge-1")                      # they just show something
DEVICES = [harness.cuff_device(name) for name in TOLD[:3]] + [
    harness.lab_device("lab-1", options=LIMITS),
    harness.line_device("ox-1", "nonin", options={"steady_s": STEADY_S})]
TESTS = {"GLU": "glu.random", "HbA1c": "hba1c"}

VERBS = {"start": ("启动", "started"), "measured": ("测得", "measured"), "told": ("已确认", "told"),
         "again": ("重发", "sent again"), "lost": ("未确认", "unconfirmed"), "shows": ("显示", "shows"),
         "stored": ("入库", "stored"), "unassigned": ("待归属", "unassigned"),
         "record": ("随访表", "record"), "alert": ("警报", "ALERT"), "reading": ("收到", "reading"),
         "followup": ("收到", "follow-up"), "event": ("收到", "event"), "reply": ("收到", "reply"),
         "ack": ("确认", "acknowledges"), "acked": ("收到", "acknowledged"),
         "over": ("解除", "resolved"), "run": ("执行", "runs"), "do": ("处置", "acts"),
         "tally": ("进度", "so far"),
         "down": ("中断", "DOWN"), "up": ("恢复", "UP"), "note": ("说明", "note")}
FIELDS = {"visit_date": "随访日期 visit", "bp": "血压 BP", "heart_rate": "心率 pulse",
          "next_visit_date": "下次随访 next visit", "other_glucose": "血糖 glucose",
          "hba1c": "糖化 HbA1c"}
FORMS = {"hypertension_followup_v3": "高血压 HTN", "t2dm_followup_v3": "糖尿病 DM"}


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


class Gone(Exception):
    """Nobody can read on: the terminal or the pipe was closed."""


class Trouble(Exception):
    """The show cannot go on; the text says why and what to do."""


def boottime():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# How it looks

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
            who if who in ("gateway", "platform") else "site"
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


def number(value):
    return f"{value.get('comparator', '')}{value['value']}"


def values_text(values, brief=False):
    """The values of a reading as people write them; brief: without units and pulse."""
    if "bp.sbp" in values:
        pulse = values.get("bp.pulse")
        return f"{number(values['bp.sbp'])}/{number(values['bp.dbp'])}" + \
            ("" if brief else " mmHg" + (f" {number(pulse)}/min" if pulse else ""))
    if "spo2" in values:
        return f"SpO2 {number(values['spo2'])}" + \
            ("" if brief else f" % {number(values['spo2.pulse'])}/min")
    if "env.temp" in values:
        return f"{number(values['env.temp'])} °C" + \
            (" 门开 door open" if values["env.door_open"]["value"] else "")
    names = {kind: test for test, kind in TESTS.items()}
    return ", ".join(f"{names.get(k, k)} {number(v)}" + ("" if brief else " " + v["unit"])
                     for k, v in values.items())


def record_text(record):
    """What the instrument's own display shows."""
    if record.get("nan"):
        return "袖带错误 cuff error, no pressure measured"
    if "sys" in record:
        return f"{record['sys']}/{record['dia']} mmHg {record['pulse']}/min"
    return " ".join(filter(None, (record["test"], record["value"], record["unit"], "·",
                                  record["patient"], record["specimen"])))


def subject(alert):
    """Whom or what it is about."""
    return alert["resident"] or alert.get("place", "?")


def field_text(field):
    if "systolic" in field:
        return f"{field['systolic']:g}/{field['diastolic']:g}"
    value = field.get("value")
    return number(field) if isinstance(value, (int, float)) else value or "____"


# The accounts

def record_key(sim, record):
    """What must be the same in the instrument's ledger and at the platform."""
    if "test" in record:
        value = record["value"]
        value = {"HI": ">33.3", "LO": "<0.6"}.get(value, value)
        sign = value[0] if value[0] in "<>" else ""
        return sim, record["specimen"], TESTS[record["test"]], sign, float(value.lstrip("<>"))
    return sim, record["time"], record.get("sys"), record.get("dia")


def reading_key(reading):
    sim, values = reading["device"]["id"], reading["values"]
    if sim in WATCHED:      # nothing but the instant says which one it is
        shown = [values[kind]["value"] for kind in ("spo2", "spo2.pulse", "env.temp")
                 if kind in values]
        return sim, reading["time"]["boot_ms"] / 1000, *shown
    if "bp.sbp" in values:
        return sim, reading["time"]["device"], values["bp.sbp"]["value"], values["bp.dbp"]["value"]
    kind, value = next(iter(values.items()))
    return (sim, reading.get("notes", {}).get("specimen"), kind, value.get("comparator", ""),
            float(value["value"]))


class Accounts:
    """Everything that was said, by whom, and when."""

    def __init__(self):
        self.measured, self.told = {}, {}       # key: when
        self.shown = defaultdict(list)          # instrument: (since when, values)
        self.expected = Counter()               # instrument: readings of what it showed
        self.errors = {}                        # key of a failed measurement: told when, or None
        self.sent = defaultdict(list)           # key: each time that it went out
        self.kept = {}                          # id: (key, when), at the gateway
        self.resident = {}                      # id: whose it is in the newest revision
        self.arrived = {}                       # id: (key, when), first time at the platform
        self.alerted = {}                       # id of the reading: when its alert came there
        self.alerts = {}                        # id: newest revision and object, at the gateway
        self.alerts_arrived = {}                # the same, at the platform
        self.failures_arrived = self.repeats = 0
        self.wrong = []                         # what the platform refused, or could not match
        self.outages = []                       # [from, to]

    def told_by(self, device):
        return sum(key[0] == device for key in self.told)

    def watched_by(self, device):
        return sum(key[0] == device for key, _ in self.kept.values())

    def watched(self):
        return sum(map(self.watched_by, WATCHED))

    def known(self, key):
        """Did an instrument measure it, or show it by then?"""
        return key in self.measured or any(
            t <= key[1] + 0.001 and values == key[2:] for t, values in self.shown.get(key[0], ()))

    def compare(self):
        """(missing at the platform, twice at the platform, not from any instrument)"""
        there = Counter(key for key, _ in self.arrived.values())
        return ([k for k in self.told if not there[k]], [k for k, n in there.items() if n > 1],
                [k for k in there if not self.known(k)])

    def delay(self, reading, t):
        """Seconds from a reading's last byte at its instrument's link until t; None: not known."""
        key = self.arrived.get(reading, self.kept.get(reading, (None,)))[0]
        before = [s for s in self.sent.get(key, ()) if s <= t]
        return t - before[-1] if before else None

    def delays(self, moments):
        """Of {reading: when}: (with all links up, through an outage), each in order of length."""
        plain, outage = [], []
        for reading, t in moments.items():
            delay = self.delay(reading, t)
            if delay is not None:
                hit = any(t >= a and t - delay <= (b or t) for a, b in self.outages)
                (outage if hit else plain).append(delay)
        return sorted(plain), sorted(outage)

    def told_again(self):
        """Readings that were in the store already when the instrument told them once more."""
        return sum(key in self.sent and self.sent[key][-1] > t for key, t in self.kept.values())

    def acknowledged(self):
        return sum(a["state"] == "acknowledged" for a in self.alerts_arrived.values())

    def over(self):
        """Those that ended by themselves."""
        return sum(a["state"] == "resolved" for a in self.alerts_arrived.values())

    def faults(self):
        """What does not agree, in words. Empty: all is well."""
        missing, twice, strange = self.compare()
        lines = [f"{len(keys)} {what}: " + ", ".join(" ".join(map(str, k)) for k in keys[:5])
                 for keys, what in ((missing, "told, but missing at the platform"),
                                    (twice, "more than once at the platform"),
                                    (strange, "at the platform, but from no instrument")) if keys]
        stayed = [r for r, (_, t) in self.kept.items()
                  if r not in self.arrived and t < boottime() - 1]     # what is on its way may be
        if stayed:
            lines.append(f"{len(stayed)} in the store, but not at the platform: {stayed[0][:8]} ..")
        for device, n in self.expected.items():
            if self.watched_by(device) != n:
                lines.append(f"{device}: readings due {n}, in the store {self.watched_by(device)}")
        if len(self.errors) != self.failures_arrived:
            lines.append(f"{len(self.errors)} cuff errors, {self.failures_arrived} at the platform")
        for alert, a in self.alerts.items():
            b = self.alerts_arrived.get(alert)
            if not b or b["revision"] < a["revision"]:
                lines.append(f"alert {alert[:8]} revision {a['revision']} is not at the platform")
        return lines + self.wrong


def percentile(values, share):
    """In words."""
    return milliseconds(values[min(len(values) - 1, int(len(values) * share))]) if values else "-"


# The show

class Tail:
    """New whole lines of a growing file, as JSON; others are passed over."""

    def __init__(self, path):
        self.path, self.offset, self.rest = path, 0, b""

    def read(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.offset)
                data = f.read()
        except FileNotFoundError:
            return
        self.offset += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry


class DemoSite(harness.Site):
    """Its processes do not hear the terminal's Ctrl-C, so that we end them in order; and should we
    be killed, they end as well."""

    ALONE = ["setsid", "setpriv", "--pdeathsig", "TERM"]

    def __init__(self, devices):
        super().__init__(devices, tables={"fridge_warm": WARM_S})
        with open(self.path("mosquitto.conf"), "a", encoding="utf-8") as f:
            f.write("set_tcp_nodelay true\n"    # else it holds small messages back for 40 ms
                    "user root\n")              # who changes the user forgets --pdeathsig

    def __exit__(self, *_):
        self.close(keep="VITALGATE_KEEP" in os.environ)

    def start(self, name, argv, env=None):
        return super().start(name, argv if argv[:4] == self.ALONE else self.ALONE + argv, env)


class Show:
    def __init__(self, site, screen, accounts, seconds, pace):
        self.site, self.screen, self.accounts = site, screen, accounts
        self.end, self.pace = screen.start + seconds, pace
        self.stopping = False
        self.lines, self.count = [], 0          # heap of lines to come
        self.tails = {name: Tail(site.path(name + ".ledger")) for name in TOLD + WATCHED}
        self.platform_tail = Tail(site.path("platform.ledger"))
        self.follow_tail = Tail(site.path("follow.log"))
        self.folded = {}                        # device: resident; told as a tally only
        self.in_fridge = False                  # the fridge is what this is about
        self.fridge_said = None                 # what was last told of it
        self.repeats_asked = 0
        self.finger_gone = -math.inf            # when; inf: it is on its way out
        self.tally, self.tally_at, self.alerts_at = (0, 0, 0), 0, 0
        self.committed = {}                     # (reading, revision): when
        self.stored_keys = {}                   # key: when, whoever told it first
        self.raised = {}                        # alerts by id; None when its line was told
        self.drafts, self.changed = {}, []
        self.commands = {}                      # id: when the platform sent it
        self.online = self.dead = False
        self.dice = random.Random(1)
        self.specimen = 0

    # Telling

    def say(self, who, verb, text, tone=None, t=None):
        """text may be a function: it is asked when the line is shown, and knows what came since."""
        self.count += 1
        t = boottime() if t is None else t
        heapq.heappush(self.lines, (t, self.count, who, verb, text, tone))

    def show_lines(self, until):
        while self.lines and self.lines[0][0] <= until:
            t, _, who, verb, text, tone = heapq.heappop(self.lines)
            self.screen.line(t, who, verb, text() if callable(text) else text, tone)

    def act(self, number_, zh, en, *text):
        self.breathe(HOLD, scaled=False)
        self.show_lines(float("inf"))
        self.screen.headline(number_, zh, en, text)

    # Listening

    def hear_instrument(self, e):
        a, sim, event, t = self.accounts, e["sim"], e["event"], e["t"]
        if "record" not in e:
            return
        if sim in WATCHED:
            if event == "measured":
                self.hear_watched(sim, e["record"], t)
            return
        record, key, loud = e["record"], record_key(sim, e["record"]), sim not in self.folded
        if event == "measured":
            (a.errors if record.get("nan") else a.measured)[key] = t
            if loud:
                self.say(sim, "measured", record_text(record), t=t)
        elif event == "sent":
            if loud and a.sent[key]:
                self.say(sim, "again", record_text(record), "warn", t)
            a.sent[key].append(t)
        elif event == "lost":
            self.say(sim, "lost", f"{record_text(record)}: sent, not confirmed; it keeps it",
                     "warn", t)
        elif event == "told" and not record.get("nan"):
            a.told.setdefault(key, t)
            if loud:
                how = "ACK" if "test" in record else "ATT confirmation"
                self.say(sim, "told", f"{how} after commit, {milliseconds(t - a.sent[key][-1])} "
                         "after the last byte", "dim", t)

    def hear_watched(self, sim, record, t):
        """What it shows has changed. The fridge has a word only while it is about the fridge."""
        if record.get("item") == "temp":
            self.accounts.shown[sim].append((t, (float(record["value"]),)))
            if self.in_fridge:
                self.say(sim, "shows", f"{record['value']} °C", t=t)
        elif record.get("phase") == "finger out":
            self.finger_gone = min(self.finger_gone, t)
        elif record.get("spo2"):
            self.accounts.shown[sim].append((t, (record["spo2"], record["pulse"])))
            if record["phase"] == "steady":
                weak = " · 灌注低 low perfusion" if record["perfusion"] == "low" else ""
                self.say(sim, "shows", f"SpO2 {record['spo2']} % {record['pulse']}/min{weak}", t=t)

    def hear_gateway(self, r):
        self.accounts.kept.setdefault(r["id"], (reading_key(r), r["committed_boot_us"] / 1e6))
        if "place" not in r:
            self.accounts.resident[r["id"]] = r["resident"]
        self.tell_stored(r)

    def tell_stored(self, r):
        """The gateway's line of a reading, from --follow or from the platform's copy of it."""
        version, t, resident = (r["id"], r["revision"]), r["committed_boot_us"] / 1e6, r["resident"]
        if version in self.committed:
            return
        self.committed[version] = t
        self.stored_keys.setdefault(reading_key(r), t)
        self.alerts_at = 0
        if r["device"]["id"] in self.folded:
            return
        if "place" in r:
            self.tell_place(r, t)
            return
        if not resident:
            self.say("gateway", "unassigned", f"{r['id'][:8]} {values_text(r['values'])}: nobody "
                     f"is named ({r['identity']['evidence']})", "warn", t)
            return
        clock = r["time"].get("device_offset_s", 0) / 60
        doubt = "" if abs(clock) < 1 else \
            f" (its clock is {abs(clock):.0f} min {'fast' if clock > 0 else 'slow'})"
        flags = " (" + ", ".join(r["flags"]) + ")" if r["flags"] else ""
        self.say("gateway", "stored", f"{values_text(r['values'], True)}{flags} → {resident} by "
                 f"{r['identity']['evidence']} · time {r['time']['trust']}{doubt}", t=t)
        self.changed.append((t, resident))

    def tell_place(self, r, t):
        text = values_text(r["values"])
        if self.in_fridge and text != self.fridge_said:
            self.say("gateway", "stored", f"{text} → {r['place']}", t=t)
        self.fridge_said = text

    def ask(self, *words):
        """The companion's answer; {} while the daemon is down."""
        with suppress(RuntimeError, OSError, subprocess.TimeoutExpired):
            return self.site.cli(*words)
        return {}

    def hear_changes(self):
        """What the readings changed in the drafts of the follow-up forms."""
        for t, resident in self.changed:
            for draft in self.ask("followup", resident).get("drafts", ()):
                known = self.drafts.setdefault((resident, draft["form"]), {})
                news = [(f["key"], field_text(f)) for f in draft["fields"]
                        if f["filled"] and known.get(f["key"]) != field_text(f)]
                if news:
                    changes = " · ".join(f"{FIELDS.get(k, k)} {known.get(k, '____')} → {v}"
                                         .replace(" ", TIE) for k, v in news)
                    self.say("gateway", "record", f"{resident} {FORMS[draft['form']]}: {changes}",
                             t=t + 1e-6)
                known.update(news)
        self.changed.clear()

    def hear_alerts(self):
        for a in self.ask("alerts", "--all", "--limit", "500").get("alerts", ()):
            if a["id"] not in self.accounts.alerts:
                self.raised.setdefault(a["id"], a)
            self.accounts.alerts[a["id"]] = a

    def raised_at(self, alert):
        """None: the line of its reading is not there yet."""
        if "place" not in alert:
            return self.committed.get((alert["reading"], 1))
        return datetime.fromisoformat(alert["raised"]).timestamp() - time.time() + boottime()

    def tell_alerts(self):
        """The gateway's line of an alert, as soon as that of its reading is there."""
        for alert, a in self.raised.items():
            t = a and self.raised_at(a)
            if not t:
                continue
            rule, more = a["rules"][0], len(a["rules"]) - 1
            text = f"{a['severity']} · {subject(a)} → {a['to']['token']} · " \
                   f"{rule['text_zh']} {rule['text_en']}: {number(rule)} (limit {rule['limit']:g})"
            self.say("gateway", "alert", text + (f" +{more}" if more else ""), "alert", t + 2e-6)
            self.raised[alert] = None

    def hear_platform(self, e):
        a, o, t = self.accounts, e.get("object"), e["t"]
        kind = e["topic"].rsplit("/", 1)[-1]
        if e["event"] == "stored":
            getattr(self, f"take_{kind}")(o, t)
        elif e["event"] == "duplicate":
            a.repeats += 1
        elif e["event"] == "state":
            self.online = o["online"]
        elif e["event"] == "command":
            self.commands[o["id"]] = t
        elif e["event"] == "reply" and not o["ok"]:
            self.say("platform", "reply", o["error"]["en"], "warn", t)
        elif e["event"] in ("conflict", "rejected", "invalid"):
            a.wrong.append(f"platform: {e['event']} {kind} {e.get('reason', '')}")

    def take_reading(self, r, t):
        a, key = self.accounts, reading_key(r)
        a.arrived.setdefault(r["id"], (key, t))
        self.tell_stored(r)
        if r["device"]["id"] in self.folded or "place" in r:
            return
        self.say("platform", "reading", f"r{r['revision']} {values_text(r['values'])} · "
                 f"{r['resident'] or 'nobody'}"
                 + (self.late(r["id"], t) if r["revision"] == 1 else ""), t=t)

    def late(self, reading, t):
        delay = self.accounts.delay(reading, t)
        return "" if delay is None else f" · {milliseconds(delay)} after the last byte"

    def take_alert(self, o, t):
        a = self.accounts
        a.alerts_arrived[o["id"]] = o
        self.raised.setdefault(o["id"], o)
        if o["revision"] == 1:
            a.alerted[o["reading"]] = t
        if o["state"] == "resolved":
            begun, ended = (datetime.fromisoformat(o[k]) for k in ("since", "ended"))
            self.say("platform", "over", f"r{o['revision']} {subject(o)} · by itself, after "
                     + milliseconds((ended - begun).total_seconds()), "good", t)
            return
        if o["state"] == "acknowledged":
            ack, sent = o["acknowledged"], self.commands.get("ack-" + o["id"])
            who = ack["by"].rsplit("/", 1)[-1]
            late = f" · {milliseconds(t - sent)} after the command" if sent else ""
            self.say("platform", "acked", f"r{o['revision']} {o['resident']} · {ack['outcome']} by "
                     f"{who}{late}", "good", t)
            return
        self.say("platform", "alert", lambda: f"r{o['revision']} {subject(o)} → "
                 + o["to"]["token"] + self.late(o["reading"], t), "alert", t)

    def take_followup(self, o, t):
        if o["resident"] not in self.folded.values():
            self.say("platform", "followup", f"r{o['revision']} {o['resident']} {FORMS[o['form']]}",
                     "dim", t)

    def take_event(self, o, t):
        self.accounts.failures_arrived += o["type"] == "failed_measurement"
        self.repeats_asked += o["type"] == "repeat_requested"
        self.say("platform", "event", f"{o['device'] or 'gateway'} {o['type']}: "
                 f"{o.get('detail', '')}", "warn", t)

    def hear_all(self):
        for tail in self.tails.values():
            for e in tail.read():
                self.hear_instrument(e)
        for r in self.follow_tail.read():
            if "committed_boot_us" in r:
                self.hear_gateway(r)
        for e in self.platform_tail.read():
            self.hear_platform(e)

    def progress(self, device, until):
        """How many readings of a device were told, stored and at the platform at a moment."""
        return tuple(sum(key[0] == device and t <= until for key, t in entries) for entries in (
            self.accounts.told.items(), self.stored_keys.items(), self.accounts.arrived.values()))

    def say_tally(self, now):
        if not self.folded or now < self.tally_at + TALLY_EVERY:
            return
        device = next(iter(self.folded))
        tally = self.progress(device, now)
        if tally != self.tally:
            self.say(device, "tally", lambda: "已确认 told {} · 入库 stored {} · 平台 platform {}"
                     .format(*self.progress(device, now)), t=now)
        self.tally, self.tally_at = tally, now

    def pump(self):
        """Hear what is new, show what is due."""
        if self.stopping:
            raise Interrupted
        now = boottime()
        self.hear_all()
        self.hear_changes()
        if now >= self.alerts_at + ALERTS_EVERY and self.site.running("core"):
            self.hear_alerts()
            self.alerts_at = now
        self.tell_alerts()
        self.say_tally(now)
        self.show_lines(now - HOLD)
        for name in self.site.processes:
            if not self.site.running(name) and not self.dead:
                self.dead = True
                last = self.site.log(name).strip().splitlines()[-1:] or ["it said nothing"]
                raise Trouble(f"{name} ended by itself: {last[0]}")

    # Doing

    def breathe(self, seconds, scaled=True):
        end = boottime() + seconds * (self.pace if scaled else 1)
        while boottime() < end:
            self.pump()
            time.sleep(0.02)

    def until(self, check, what):
        end = boottime() + PATIENCE
        while not check():
            if boottime() > end:
                raise Trouble(f"{what}: not within {PATIENCE} s. With VITALGATE_KEEP=1 the folder "
                              f"stays, for a look at its logs.{self.site.tails(4)}")
            self.pump()
            time.sleep(0.005)

    def cli(self, *words):
        try:
            return self.site.cli(*words)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            raise Interrupted if self.stopping else Trouble(f"vitalgate {words[0]}: {error}")

    def cuff(self, name, high, low, pulse):
        record = {"sys": high, "dia": low, "map": round(low + (high - low) / 3), "pulse": pulse,
                  "unit": "mmHg", "time": "now", "status": 0}
        self.tell(name, "record " + json.dumps(record))

    def tell(self, name, text):
        try:
            self.site.control(name, text)
        except OSError as error:
            raise Trouble(f"{name} takes no orders: {error}") from error

    def lab(self, patient, test, value, unit, flag="N"):
        self.specimen += 1
        self.tell("lab-1", "record " + json.dumps(
            {"patient": patient, "specimen": f"S-{self.specimen:04d}", "test": test, "value": value,
             "unit": unit, "flag": flag, "status": "F", "time": "now"}))

    def finger(self, spo2, pulse, perfusion="good"):
        """The oximeter measures somebody, until finger_out()."""
        self.until(lambda: boottime() > self.finger_gone + FINGER_OUT_S, "the last finger's end")
        self.tell("ox-1", f"finger in spo2={spo2} pulse={pulse} perfusion={perfusion}")
        self.accounts.expected["ox-1"] += 1

    def finger_out(self):
        self.until(lambda: self.accounts.watched_by("ox-1") == self.accounts.expected["ox-1"],
                   "the oximeter's reading")
        self.finger_gone = math.inf
        self.tell("ox-1", "finger out")

    def acknowledge(self, alert, outcome):
        doctor = alert["to"]["token"]
        self.say("doctor", "ack", f"{doctor}: {alert['resident'] or 'nobody yet'} {outcome} · "
                 f"down/cmd ack {alert['id'][:8]}")
        self.tell("platform", json.dumps(
            {"v": 1, "id": "ack-" + alert["id"], "cmd": "ack", "by": doctor,
             "args": {"alert": alert["id"], "outcome": outcome}}))
        self.until(lambda: self.accounts.alerts_arrived[alert["id"]]["state"] == "acknowledged",
                   "the acknowledgement at the platform")

    def open_alerts(self):
        return [a for a in self.accounts.alerts_arrived.values() if a["state"] == "active"]

    def all_here(self):
        """Nothing is on its way any more."""
        a = self.accounts
        if len(a.measured) != len(a.told) or len(a.kept) != len(a.arrived) or a.compare()[0]:
            return False
        counts = self.ask("status").get("counts")
        return bool(counts) and counts["outbox_pending"] + counts["outbox_sent"] == 0


# The acts

def act_site(show):
    site = show.site
    show.screen.headline(1, "现场", "The site", [
        "一个村卫生室网关：全部在本机回环地址，数据存于临时目录，结束时删除。",
        "The gateway of a village clinic, all on loopback, its store in a folder that goes at the "
        "end."])
    show.say("site", "start", f"mosquitto on 127.0.0.1:{site.port}, keeps nothing over a restart")
    if not site.broker():
        raise Trouble("mosquitto does not answer: " + site.log("broker").strip()[-200:])
    site.write_config(DEVICES + [harness.modbus_device(
        "fridge-1", "fridge_eid041", site.modbus_port("fridge-1", "1:fridge"), place="fridge",
        poll_ms=500)])
    site.platform("--verbose")
    show.until(lambda: "connected 0" in site.log("platform"), "the platform's subscription")
    show.say("platform", "start", f"simulated, listens to {site.base}/up/#")
    if not site.core():
        raise Trouble("vitalgated does not start: " + site.log("core").strip()[-300:])
    show.say("gateway", "start", f"vitalgated, store {site.dir}/store")
    site.uplink()
    show.until(lambda: show.online, "the uplink's connection")
    show.say("gateway", "start", "vitalgate-uplink, connected to the broker")
    site.start("follow", [harness.BUILD + "/vitalgate", "--config", site.config, "--json",
                          "readings", "--follow"])
    with open(site.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write(harness.roster())
    n = show.cli("import", site.path("roster.csv"))["residents"]
    show.say("nurse", "run", f"vitalgate import roster.csv · {n} residents, pseudonyms only")
    for device, resident in (("cuff-1", "R-0001"), ("cuff-3", "R-0004"), ("ox-1", "R-0004")):
        show.cli("bind", device, resident, "--from", f"{date.today().year - 1}-01-01")
        show.say("nurse", "run", f"vitalgate bind {device} {resident}")
    site.cuff("cuff-1")
    show.say("cuff-1", "start", "BLE cuff at home of R-0001")
    site.cuff("cuff-2", "--clock", "-2400")
    show.say("cuff-2", "start", "BLE cuff for everybody at the health post; its clock is slow")
    site.analyser("lab-1", "--retry", "1", "--ack-timeout", "3")
    show.say("lab-1", "start", "analyser in the clinic, LIS01-A2 on a serial line")
    site.oximeter("ox-1", "--steady", "--acquire", "0.5")
    show.say("ox-1", "start", "oximeter at home of R-0004, Nonin format 2 on a serial line")
    show.say("fridge-1", "start", "vaccine fridge, Modbus TCP, asked twice a second")
    show.until(lambda: all(os.path.exists(site.path(name + ".ctl"))
                           for name in ("cuff-1", "cuff-2", "lab-1", "ox-1")), "the instruments")
    show.breathe(2)


def act_ordinary(show):
    show.act(2, "平常读数", "Ordinary readings",
             "先写入磁盘，再向仪器确认，再送平台；随访表草稿随之改变，仅为建议。"
             f"血氧稳定 {STEADY_S} 秒才算一条读数。",
             "On disk first, then confirmed to the instrument, then to the platform. The draft of "
             "the follow-up form changes with it; it stays a proposal. The oximeter talks without "
             f"end: what was steady for {STEADY_S} s is a reading.")
    show.finger(97, 68)
    show.lab("R-0002", "GLU", "6.1", "mmol/L")
    show.breathe(1.6)
    show.cuff("cuff-1", 136, 84, 71)
    show.breathe(2.4)
    show.lab("R-0002", "HbA1c", "7.1", "%")
    show.breathe(1.6)
    show.cuff("cuff-1", 142, 88, 74)
    show.breathe(2.4)
    show.finger_out()


def alert_and_answer(show, known, outcome):
    """Waits for a new alert at the platform; its doctor answers."""
    show.until(lambda: len(show.accounts.alerts_arrived) > known, "the alert at the platform")
    show.breathe(2)
    show.acknowledge(show.open_alerts()[-1], outcome)
    show.breathe(1.6)


def act_pressure(show):
    show.act(3, "危急血压", "A dangerous blood pressure",
             "R-0001，1958年生，在家自测 190/115。警报直达签约医生，直到有人确认。",
             "R-0001, a man born in 1958, measures 190/115 at home. His doctor is told at once, "
             "until somebody acknowledges.")
    known = len(show.accounts.alerts_arrived)
    show.cuff("cuff-1", 190, 115, 88)
    alert_and_answer(show, known, "reached")


def act_glucose(show):
    show.act(4, "血糖超量程", "Glucose off the scale",
             "分析仪只显示 HI，没有数字：按“高于量程”处理，照样报警。",
             "The analyser says HI and no number: a value above its range, and an alert like any "
             "other.")
    known = len(show.accounts.alerts_arrived)
    show.lab("R-0002", "GLU", "HI", "", "HH")
    alert_and_answer(show, known, "referred")


def act_nobody(show):
    show.act(5, "误测与无主读数", "A cuff error, and a reading of nobody",
             "袖带未绑好：记为事件，不是读数。公用血压计不知道是谁：不猜，进待归属箱，由护士指定。",
             "A failed measurement is an event, no reading. The shared cuff does not know who sits "
             "there: nothing is guessed, the reading waits until the nurse says whose it is.")
    a = show.accounts
    show.tell("cuff-2", 'record {"nan":true,"time":"now"}')
    show.until(lambda: a.failures_arrived, "the cuff error at the platform")
    show.breathe(1.2)
    show.cuff("cuff-2", 151, 92, 79)
    show.until(lambda: None in a.resident.values() and len(a.arrived) == len(a.kept),
               "the reading of nobody")
    show.breathe(2)
    waiting = show.cli("unassigned")["readings"][0]["id"]
    show.say("nurse", "run", f"vitalgate assign {waiting[:8]} R-0003")
    show.cli("assign", waiting[:8], "R-0003")
    show.until(lambda: a.resident[waiting] == "R-0003", "the assignment")
    show.breathe(1.6)


def act_fingers(show):
    show.act(6, "冷手指", "Cold fingers",
             "R-0004 手冷：血氧 86，但灌注低。照存照示，先请复测；捂热后 88，可信，警报到医生。",
             "R-0004 has cold hands: 86 % on a weak signal is stored and shown, and a repeat is "
             "asked for. Warm, it is 88 % without a doubt, and the doctor is told. Should no clean "
             "value come in time, staff are told of the doubtful one.")
    asked, known = show.repeats_asked, len(show.accounts.alerts_arrived)
    show.finger(86, 64, "low")
    show.breathe(STEADY_S, scaled=False)
    show.cuff("cuff-1", 133, 81, 70)
    show.breathe(STEADY_S, scaled=False)
    show.say("ox-1", "note", f"{2 * STEADY_S} s, and no value without a doubt; all others go on",
             "dim")
    show.until(lambda: show.repeats_asked > asked, "the request to repeat it")
    show.breathe(0.5)
    show.say("nurse", "do", "warms the hand 捂热手指")
    show.tell("ox-1", "perfusion good; spo2 88")
    show.accounts.expected["ox-1"] += 1
    alert_and_answer(show, known, "reached")
    show.finger_out()


def act_fridge(show):
    show.act(7, "疫苗冰箱", "The vaccine fridge",
             f"门没关，超过 8 °C。演示中 {WARM_S} 秒即报，实际 10 分钟；恢复后警报自行解除。",
             "Its door stands open. Above 8 °C staff are told, no doctor: in this hurry after "
             f"{WARM_S} s, else after 10 minutes. When it is good again the alert ends by itself.")
    a = show.accounts
    known, show.in_fridge = len(a.alerts_arrived), True
    show.tell("fridge-1", "set 1 door 1")
    show.tell("fridge-1", "drift 1 temp 1.3 0.5")
    show.until(lambda: a.shown["fridge-1"][-1][1] > (8,), "the fridge's warmth")
    show.tell("fridge-1", "drift 1 temp off")
    show.until(lambda: len(a.alerts_arrived) > known, "the alert at the platform")
    show.breathe(1.2)
    show.say("nurse", "do", "closes the door 关好冰箱门")
    show.tell("fridge-1", "set 1 door 0")
    show.tell("fridge-1", "set 1 temp 4.8")
    show.until(a.over, "the end of the fridge's alert")
    show.breathe(1.2)
    show.in_fridge = False


def act_power(show):
    show.act(8, "断电", "Power cut",
             f"巡诊包里的血压计存有 {BATCH} 条读数，无线信号不稳；传到一半，守护进程被 kill -9。",
             f"The cuff of the visit case delivers {BATCH} readings over a weak radio link. In the "
             "middle of it the daemon is killed. What was not confirmed stays in the cuff and "
             "comes again; what comes twice is known.")
    a, site = show.accounts, show.site
    show.folded = {"cuff-3": "R-0004"}
    site.cuff("cuff-3", "--random", str(BATCH), "--cuff-errors", "0", "--criticals", "0.008",
              "--seed", "195", "--drop-before-confirm-processing", "0.01")

    def told():
        show.hear_all()     # and nothing slow: it must be the middle
        return a.told_by("cuff-3") >= BATCH // 4
    show.until(told, "the first readings of the visit case")
    site.kill("core")
    a.outages.append([boottime(), None])
    show.say("gateway", "down", "kill -9 of vitalgated, in the middle of it", "alert")
    if os.geteuid():    # a pty, unlike a real line, stays in exclusive use; only root may pass
        for name in ("lab-1", "ox-1"):
            show.tell(name, "unplug")
            show.tell(name, "plug")
    show.breathe(0.5)
    show.cuff("cuff-1", 138, 86, 70)
    show.lab("R-0002", "GLU", "7.8", "mmol/L")
    show.breathe(2.5)
    kept = a.told_by("cuff-3")
    show.say("cuff-3", "note", f"{kept} of {BATCH} were confirmed to it; it keeps the other "
             f"{BATCH - kept}")
    t = boottime()
    site.restart("core")
    show.until(site.answers, "the daemon's start")
    show.say("gateway", "up", f"vitalgated answers again after {milliseconds(boottime() - t)}",
             "good")
    show.until(show.all_here, "everything at the platform after the power cut")
    a.outages[-1][1] = boottime()
    show.tally_at = 0
    show.say_tally(boottime())
    missing, twice, _ = a.compare()
    show.say("gateway", "note", f"missing {len(missing)}, twice {len(twice)}; {a.told_again()} "
             "came again and were known", "good")
    show.breathe(1)
    show.folded = {}


def act_broker(show):
    show.act(9, "断网", "The network goes away",
             "平台连不上：读数照收、照存、照确认；恢复后警报先行，积压送清。",
             "No broker: readings are taken, stored and confirmed all the same. When it is back, "
             "alerts go first and the backlog drains, until the platform has receipted each.")
    a, site = show.accounts, show.site
    site.kill("broker")
    a.outages.append([boottime(), None])
    show.say("site", "down", "mosquitto is gone", "alert")
    for high, low, pulse in ((134, 82, 72), (184, 112, 90), (139, 85, 75)):
        show.breathe(1)
        show.cuff("cuff-1", high, low, pulse)
        show.lab("R-0002", "GLU", f"{show.dice.uniform(4.5, 9):.1f}", "mmol/L")
    show.breathe(1.5)
    show.until(lambda: len(a.told) == len(a.measured), "the instruments' confirmations")
    waiting = show.cli("status")["counts"]
    show.say("gateway", "note", f"积压 backlog: {waiting['outbox_pending'] + waiting['outbox_sent']} "
             "messages wait in the store", "warn")
    show.breathe(1)
    t = boottime()
    site.restart("broker")
    if not harness.wait_until(site.broker_answers):
        raise Trouble("mosquitto does not come back: " + site.log("broker").strip()[-200:])
    show.say("site", "up", "mosquitto is back, and has forgotten everything", "good")
    show.until(show.all_here, "the backlog at the platform")
    a.outages[-1][1] = boottime()
    show.say("gateway", "note", f"积压 backlog 0, {milliseconds(boottime() - t)} after the "
             "broker's return", "good")
    show.breathe(1)
    for alert in show.open_alerts():
        show.acknowledge(alert, show.dice.choice(("reached", "advised", "referred")))


def act_day(show):
    show.act(10, "平常的一天", "An ordinary day", "直到时间结束，或按 Ctrl-C。",
             "Until the time is over, or Ctrl-C.")
    dice = show.dice
    measures = boottime() < show.end - 12
    if measures:
        show.finger(96, 66)
    for n in itertools.count():
        if n > 1 and boottime() > show.end - 2.5:
            break
        if dice.random() < 0.5:
            high = dice.randint(112, 148)
            show.cuff("cuff-1", high, high * 3 // 5, dice.randint(58, 88))
        else:
            show.lab("R-0002", *dice.choice((("GLU", f"{dice.uniform(4.5, 11):.1f}", "mmol/L"),
                                             ("HbA1c", f"{dice.uniform(5.5, 8):.1f}", "%"))))
        show.breathe(dice.uniform(1.5, 2.5) * min(1, show.pace), scaled=False)
    if measures:
        show.finger_out()
    show.tell("fridge-1", "refuse 1 on")
    show.say("fridge-1", "note", "off the network, so that the accounts stand still", "dim")
    show.until(show.all_here, "the last readings at the platform")


ACTS = (act_site, act_ordinary, act_pressure, act_glucose, act_nobody, act_fingers, act_fridge,
        act_power, act_broker, act_day)


def summary(screen, a, ended, problem=None):
    """The accounts, and the exit status."""
    missing, twice, _ = a.compare()
    plain, outage = a.delays({reading: t for reading, (_, t) in a.arrived.items()})
    alerts, _ = a.delays(a.alerted)
    screen.headline("∑", "小结", "The accounts", [])
    for zh, en, text in (
            ("仪器已确认", "told to instruments", f"{len(a.told)}  ("
             + ", ".join(f"{name} {a.told_by(name)}" for name in TOLD) + ")"),
            ("监测读数", "made of what is shown", f"{a.watched()}  ("
             + ", ".join(f"{name} {a.watched_by(name)}" for name in WATCHED) + ")"),
            ("网关已存", "stored at the gateway", str(len(a.kept))),
            ("平台收到", "at the platform", f"{len(a.arrived)}, each once"
             if not twice else f"{len(a.arrived)}, {len(twice)} not only once"),
            ("重复已去除", "repeats removed", f"{a.told_again()} told again by instruments, "
             f"{a.repeats} sent again to the platform"),
            ("袖带错误", "cuff errors", f"{len(a.errors)}, at the platform {a.failures_arrived}"),
            ("警报", "alerts", f"{len(a.alerts)} raised, {len(a.alerts_arrived)} at the platform, "
             f"{a.acknowledged()} acknowledged, {a.over()} over by itself"),
            ("延迟", "last byte to platform", f"p50 {percentile(plain, 0.5)}, "
             f"p99 {percentile(plain, 0.99)}  ({len(plain)} readings, all links up)"),
            ("警报延迟", "last byte to alert", f"p50 {percentile(alerts, 0.5)}, "
             f"longest {percentile(alerts, 1)}  ({len(alerts)} alerts, all links up)"),
            ("中断期间", "through the outages", f"longest {percentile(outage, 1)}  "
             f"({len(outage)} readings)")):
        first, *more = wrap(text, screen.width - 38)
        screen.print("  " + pad(zh, 12) + pad(en, 24) + first)
        for part in more:
            screen.print(" " * 38 + part)
    screen.print()
    faults = [] if ended == "interrupted" else ([problem] if problem else []) + a.faults()
    for fault in faults:
        parts = [part for line in fault.splitlines() for part in wrap(line, screen.width - 4)]
        for n, part in enumerate(parts):
            screen.print(("  ! " if n == 0 else "    ") + part, "alert")
    word, tone, status = ("失败 FAILED", "alert", 1) if faults else \
        ("中断 stopped", "warn", 130) if ended == "interrupted" else ("完成 done", "good", 0)
    absent = "under way" if status == 130 else "missing"
    screen.print(f"{word} · told {len(a.told)}, watched {a.watched()} · "
                 f"platform {len(a.arrived)} · {absent} {len(missing)} · twice {len(twice)} · "
                 f"alerts {len(a.alerts)}, ack {a.acknowledged()}, over {a.over()}", tone)
    return status


def missing_pieces():
    """What the machine lacks, with the next step; "" when nothing."""
    for name in ("vitalgated", "vitalgate-uplink", "vitalgate"):
        if not os.access(os.path.join(harness.BUILD, name), os.X_OK):
            return f"{name} is not built in {harness.BUILD}: run `make` first."
    if not shutil.which("mosquitto") and not os.access("/usr/sbin/mosquitto", os.X_OK):
        return "mosquitto is missing: run `make deps` as root (or apt-get install mosquitto)."
    if subprocess.run([harness.PYTHON, "-c", "import paho.mqtt"], capture_output=True).returncode:
        return "python3-paho-mqtt is missing: run `make deps` as root."
    folder = tempfile.gettempdir()
    if len(folder) > PATH_MAX:
        return f"{folder} is too long a name for sockets: set TMPDIR=/tmp."
    if shutil.disk_usage(folder).free < 100e6:
        return f"{folder} has less than 100 MB free: make room, or set TMPDIR to another folder."
    return ""


def play(site, screen, accounts, options):
    show = Show(site, screen, accounts, options.seconds, options.pace)

    def stop(_number, _frame):
        show.stopping = True
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop)
    ended, problem = "over", None
    try:
        for act in ACTS:
            act(show)
        show.breathe(HOLD, scaled=False)
    except Interrupted:
        ended = "interrupted"
    except Trouble as trouble:
        problem = str(trouble)
    show.stopping = False
    show.hear_all()
    show.show_lines(float("inf"))
    return summary(screen, accounts, ended, problem)


def options_of(arguments):
    parser = argparse.ArgumentParser(description="A simulated site for a minute, and its accounts.")
    parser.add_argument("--seconds", type=float, default=70, metavar="N",
                        help=f"how long, at least {SHORTEST} (%(default)s)")
    parser.add_argument("--fast", action="store_true", help=f"the same acts in about {SHORTEST} s")
    options = parser.parse_args(arguments)
    if options.seconds < SHORTEST:
        parser.error(f"--seconds: expected {SHORTEST} or more")
    if options.fast:
        options.seconds = SHORTEST
    options.pace = min(1.2, max(0.1, (options.seconds - SHORTEST) / 44))
    return options


def main(arguments):
    options = options_of(arguments)
    lacking = missing_pieces()
    if lacking:
        print("demo: " + lacking, file=sys.stderr)
        return 2
    try:
        screen = Screen(sys.stdout)
        with DemoSite(DEVICES) as site:
            return play(site, screen, Accounts(), options)
    except Gone:        # `make demo | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
