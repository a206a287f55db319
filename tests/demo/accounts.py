# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that was said, by whom and when, and whether it agrees."""
from collections import Counter, defaultdict

from scene import TOLD, WATCHED
from screen import TIE, boottime, milliseconds, pad, wrap
from words import TESTS


def record_key(sim, record):
    """What must be the same in the instrument's ledger and at the platform."""
    if "test" in record:
        value = record["value"]
        value = {"HI": ">33.3", "LO": "<0.6"}.get(value, value)
        sign = value[0] if value[0] in "<>" else ""
        return sim, record["specimen"], TESTS[record["test"]], sign, float(value.lstrip("<>"))
    if "hr" in record:      # of an ECG, its rate is a reading
        return sim, record["time"], "ecg.hr", float(record["hr"]), False
    if "what" in record:
        kind = {"fasting": "glu.fasting", "ketone": "ketone"}.get(record["what"], "glu.random")
        return sim, record["time"], kind, float(record["value"]), record["what"] == "hi"
    return sim, record["time"], record.get("sys"), record.get("dia")


def is_reading(record):
    """It is of a person: neither failed nor a check of the instrument."""
    return not record.get("nan") and record.get("what") != "control"


def reading_key(reading):
    sim, values = reading["device"]["id"], reading["values"]
    if sim in WATCHED:      # nothing but the instant says which one it is
        shown = [values[kind]["value"] for kind in ("spo2", "spo2.pulse", "env.temp")
                 if kind in values]
        return sim, reading["time"]["boot_ms"] / 1000, *shown
    if "bp.sbp" in values:
        return sim, reading["time"]["device"], values["bp.sbp"]["value"], values["bp.dbp"]["value"]
    kind, value = next(iter(values.items()))
    notes = reading.get("notes", {})
    if "specimen" not in notes:
        return (sim, reading["time"]["device"], kind, float(value["value"]),
                value.get("comparator") == ">")
    return (sim, notes["specimen"], kind, value.get("comparator", ""),
            float(value["value"]))


class Accounts:
    """Everything that was said, by whom, and when."""

    def __init__(self):
        self.measured, self.told = {}, {}       # key: when
        self.shown = defaultdict(list)          # instrument: (since when, values)
        self.expected = Counter()               # instrument: readings of what it showed
        self.aside = {}                         # key of what is no reading: when
        self.aside_arrived = []                 # as what it came to the platform
        self.sent = defaultdict(list)           # key: each time that it went out
        self.kept = {}                          # id: (key, when), at the gateway
        self.resident = {}                      # id: whose it is in the newest revision
        self.tests = set()                      # id: told while an instrument was enrolled
        self.arrived = {}                       # id: (key, when), first time at the platform
        self.alerted = {}                       # id of the reading: when its alert came there
        self.alerts = {}                        # id: newest revision and object, at the gateway
        self.alerts_arrived = {}                # the same, at the platform
        self.repeats = 0
        self.studies = {}                       # id: newest revision, at the platform
        self.originals = {}                     # id: bytes of the original there
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
        return sum("acknowledged" in a for a in self.alerts_arrived.values())

    def over(self):
        """What they were about has ended: the next value was good again."""
        return sum("ended" in a for a in self.alerts_arrived.values())

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
        if self.studies.keys() != self.originals.keys():
            lines.append(f"{len(self.studies)} ECGs, {len(self.originals)} originals at the platform")
        if len(self.aside) != len(self.aside_arrived):
            lines.append(f"{len(self.aside)} were no reading, {len(self.aside_arrived)} at the "
                         "platform")
        for alert, a in self.alerts.items():
            b = self.alerts_arrived.get(alert)
            if not b or b["revision"] < a["revision"]:
                lines.append(f"alert {alert[:8]} revision {a['revision']} is not at the platform")
        return lines + self.wrong


def percentile(values, share):
    """In words."""
    return milliseconds(values[min(len(values) - 1, int(len(values) * share))]) if values else "-"


def summary(screen, a, ended, problem=None):
    """The accounts, and the exit status."""
    missing, twice, _ = a.compare()
    plain, outage = a.delays({reading: t for reading, (_, t) in a.arrived.items()})
    alerts, _ = a.delays(a.alerted)
    screen.headline("∑", "小结", "The accounts", [])
    for zh, en, text in (
            ("仪器已确认", "told to instruments", f"{len(a.told)}  ("
             + ", ".join(f"{name}{TIE}{a.told_by(name)}" for name in TOLD) + ")"),
            ("监测读数", "made of what is shown", f"{a.watched()}  ("
             + ", ".join(f"{name} {a.watched_by(name)}" for name in WATCHED) + ")"),
            ("网关已存", "stored at the gateway", f"{len(a.kept)}"
             + (f", {len(a.tests)} of them a test, filed nowhere" if a.tests else "")),
            ("平台收到", "at the platform", f"{len(a.arrived)}, each once"
             if not twice else f"{len(a.arrived)}, {len(twice)} not only once"),
            ("重复已去除", "repeats removed", f"{a.told_again()} told again by instruments, "
             f"{a.repeats} sent again to the platform"),
            ("不是读数", "no readings", f"{len(a.aside)}, at the platform {len(a.aside_arrived)}"
             + "".join(f" · {kind.replace('_', ' ')}" for kind in a.aside_arrived)),
            ("心电图", "ECGs", f"{len(a.studies)} at the platform, {len(a.originals)} originals whole, "
             "SHA-256 right"),
            ("警报", "alerts", f"{len(a.alerts)} raised, {len(a.alerts_arrived)} at the platform, "
             f"{a.acknowledged()} acknowledged, of {a.over()} the cause is over"),
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
