# SPDX-License-Identifier: GPL-3.0-or-later
"""The site at work, and what is told of it."""
import heapq
import json
import math
import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime

import scene
from accounts import is_reading, reading_key, record_key
from scene import ADDRESS, FINGER_OUT_S, HOLD, TOLD, WATCHED, Interrupted, Trouble
from screen import TIE, boottime, milliseconds
from words import FIELDS, FORMS, field_text, record_text, rule_text, subject, values_text

ALERTS_EVERY = 0.3
TALLY_EVERY = 0.7
CONTEXT = "2a34"        # of a glucose record: its second half


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
        self.answered = set()                   # alerts that somebody acknowledged
        self.forms, self.changed = {}, []
        self.visits = {}                        # id: newest revision, at the platform
        self.commands = {}                      # id: when the platform sent it
        self.online = self.dead = False
        self.dice = random.Random(1)
        self.specimen = 0
        self.said = 0                           # by the ECG centre
        self.memories = set()                   # meters whose records are from before
        self.files = {}                         # of the cart, by its number
        self.asked, self.report = b"", None     # RACP: last request; records told by last report

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
        if sim == "cart-1":
            self.hear_cart(e)
            return
        if event in ("request", "response"):
            self.hear_racp(sim, event, bytes.fromhex(e["hex"]), t)
        if "record" not in e:
            return
        if sim in WATCHED:
            if event == "measured":
                self.hear_watched(sim, e["record"], t)
            return
        record, key, loud = e["record"], record_key(sim, e["record"]), sim not in self.folded
        if event == "measured":
            (a.measured if is_reading(record) else a.aside)[key] = t
            if loud:
                self.say(sim, "holds" if sim in self.memories else "measured", record_text(record),
                         t=t)
        elif event == "sent":
            if loud and a.sent[key] and e.get("why") != CONTEXT:
                self.say(sim, "again", record_text(record), "warn", t)
            a.sent[key].append(t)
        elif event == "lost":
            self.say(sim, "lost", f"{record_text(record)}: sent, not confirmed; it keeps it",
                     "warn", t)
        elif event == "told":
            if is_reading(record):
                a.told.setdefault(key, t)
            if "what" in record:
                self.hear_report(sim, t)
            elif loud and is_reading(record):
                how = "ACK" if "test" in record else "ATT confirmation"
                self.say(sim, "told", f"{how} after commit, {milliseconds(t - a.sent[key][-1])} "
                         "after the last byte", "dim", t)

    def hear_cart(self, e):
        """Its file is not sent in one go: no last byte is stamped."""
        a, sim, event, t = self.accounts, e["sim"], e["event"], e["t"]
        if event == "measured":
            self.files[e["key"]] = record = e["record"]
            a.measured[record_key(sim, record)] = t
            self.say(sim, "recorded", record_text(record), t=t)
        elif event in ("sent", "lost"):
            self.say(sim, event, f"{self.files[e['key']]['bytes']} bytes by YMODEM", "dim", t)
        elif event == "told":
            a.told.setdefault(record_key(sim, self.files[e["key"]]), t)
            self.say(sim, "told", "ACK of the end after commit", "dim", t)

    def hear_racp(self, sim, event, value, t):
        """What the gateway asks the memory of a meter, by its Record Access Control Point."""
        if event == "request":
            self.asked = value
            if value[0] == 1:
                self.report = None
                what = f"from #{value[3] + 256 * value[4]} on" if len(value) == 5 else \
                    {5: "the first", 6: "the last"}.get(value[1], "all")
                self.say("gateway", "asks", f"{sim}: report {what} · RACP {value.hex(' ')}", t=t)
        elif value[0] == 5:
            self.say("gateway", "asks", f"{sim}: how many records? {value[2] + 256 * value[3]} · "
                     f"RACP {self.asked.hex(' ')}", t=t)

    def hear_report(self, sim, t):
        """Records of one report are all told by the confirmation of its end: one line."""
        if not self.report:
            self.report = report = Counter()
            self.say(sim, "told", lambda: "ATT confirmation of the report's end after commit: "
                     f"{report[sim]} record" + "s" * (report[sim] > 1), "dim", t)
        self.report[sim] += 1

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
        if r.get("test"):
            self.accounts.tests.add(r["id"])
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
        if r.get("test") and not resident:
            self.say("gateway", "test", f"{values_text(r['values'])}: a test reading, nobody's and "
                     "in no form", t=t)
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
        """What the readings changed in the forms of visits that nobody confirmed yet."""
        for t, resident in self.changed:
            for visit in self.ask("followup", resident).get("visits", ()):
                if visit["status"] != "proposed":
                    continue
                known = self.forms.setdefault(visit["id"], {})
                news = [(f["key"], field_text(f)) for f in visit["fields"]
                        if f["filled"] and f.get("by") != "person"
                        and known.get(f["key"]) != field_text(f)]
                if news:
                    changes = " · ".join(f"{FIELDS.get(k, k)} {known.get(k, '____')} → {v}"
                                         .replace(" ", TIE) for k, v in news)
                    self.say("gateway", "record", f"{resident} {FORMS[visit['form']]}: {changes}",
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
        if "place" not in alert and "study" not in alert:
            return self.committed.get((alert["reading"], 1))
        return datetime.fromisoformat(alert["raised"]).timestamp() - time.time() + boottime()

    def tell_alerts(self):
        """The gateway's line of an alert, as soon as that of its reading is there."""
        for alert, a in self.raised.items():
            t = a and self.raised_at(a)
            if not t:
                continue
            more = len(a["rules"]) - 1
            text = f"{a['severity']} · {subject(a)} → {a['to']['token']} · " \
                   + rule_text(a["rules"][0])
            self.say("gateway", "alert", text + (f" +{more}" if more else ""), "alert", t + 2e-6)
            self.raised[alert] = None

    def hear_platform(self, e):
        a, o, t = self.accounts, e.get("object"), e["t"]
        kind = e.get("topic", "").rsplit("/", 1)[-1]
        if e["event"] == "complete":
            a.originals[e["id"]] = e["bytes"]
            self.say("platform", "original", f"{e['bytes']} bytes in {e['chunks']} chunks, SHA-256 "
                     "right", t=t)
        elif e["event"] == "stored":
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
                 f"{r['resident'] or ('test, nobody' if r.get('test') else 'nobody')}"
                 + (self.late(r["id"], t) if r["revision"] == 1 else ""), t=t)

    def late(self, reading, t):
        delay = self.accounts.delay(reading, t)
        return "" if delay is None else f" · {milliseconds(delay)} after the last byte"

    def take_alert(self, o, t):
        a = self.accounts
        a.alerts_arrived[o["id"]] = o
        self.raised.setdefault(o["id"], o)
        if o["revision"] == 1 and o["reading"]:
            a.alerted[o["reading"]] = t
        name = f"r{o['revision']} {subject(o)}"
        if "acknowledged" in o and o["id"] not in self.answered:
            self.answered.add(o["id"])
            ack, sent = o["acknowledged"], self.commands.get("ack-" + o["id"])
            who = ack["by"].rsplit("/", 1)[-1]
            late = f" · {milliseconds(t - sent)} after the command" if sent else ""
            self.say("platform", "acked", f"{name} · {ack['outcome']} by {who}{late}", "good", t)
        elif o["phase"] == "end":
            how = "by the next value" if o["reading"] and "place" not in o else "by itself"
            waits = " · latched 锁定: nobody has looked yet" if o["state"] == "latched" else ""
            self.say("platform", "over", f"{name} · {o['condition']} is over, {how}{waits}", "good", t)
        elif o["phase"] == "update":
            self.say("platform", "next", f"{name} → {o['to']['token']} ({o['to']['role']}): whoever was "
                     "told before has not answered", "alert", t)
        elif o["phase"] in ("continue", "deescalate"):
            words = ", ".join(w for w in o["labels"] if w in ("confirmed", "downgraded"))
            self.say("platform", "goes_on", f"{name} · {words or o['level']}", "alert", t)
        else:
            self.tell_begun(o, t)

    def tell_begun(self, o, t):
        self.say("platform", "alert", lambda: f"r{o['revision']} {subject(o)} → "
                 + o["to"]["token"] + self.late(o["reading"], t)
                 + (" · " + next(w for w in o["labels"] if w != "unconfirmed") if "study" in o else ""),
                 "alert", t)

    def take_ecg(self, o, t):
        self.accounts.studies[o["id"]] = o
        report = o["report"]
        last = report["revisions"][-1]["status"] if report["revisions"] else report["state"]
        read = report.get("critical") and report["critical"]["readback"]
        self.say("platform", "ecg", f"r{o['revision']} {o['resident'] or 'nobody'} · "
                 f"{len(o['ecg']['leads'])} leads · {last}" + (" · read back" if read else ""), t=t)

    def take_followup(self, o, t):
        self.visits[o["id"]] = o
        by = f" by {o['confirmed']['by']}" if "confirmed" in o else ""
        self.say("platform", "followup", f"r{o['revision']} {o['resident']} {FORMS[o['form']]} · "
                 f"{o['status']}{by}", "good" if by else "dim", t)

    def take_event(self, o, t):
        if o["type"] in ("failed_measurement", "control_solution"):
            self.accounts.aside_arrived.append(o["type"])
        self.repeats_asked += o["type"] == "repeat_requested"
        detail = "nobody's" if o["type"] == "control_solution" else o.get("detail", "")
        self.say("platform", "event", f"{o['device'] or 'gateway'} {o['type']}: {detail}", "warn",
                 t)

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
        end = boottime() + scene.PATIENCE
        while not check():
            if boottime() > end:
                raise Trouble(f"{what}: not within {scene.PATIENCE} s. With VITALGATE_KEEP=1 the "
                              f"folder stays, for a look at its logs.{self.site.tails(4)}")
            self.pump()
            time.sleep(0.005)

    def cli(self, *words):
        try:
            return self.site.cli(*words)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            raise Interrupted if self.stopping else Trouble(f"vitalgate {words[0]}: {error}")

    def watch(self, companion, words=None):
        """Shows what the companion says until these words are among it, or it ends."""
        def seen():
            for line in companion.read():
                if line.strip() and not line.startswith("id "):    # the heads of its columns
                    self.say("vitalgate", "shows", " ".join(line.split()))
            return companion.over() or (words and companion.has_said(words))
        self.until(seen, f"vitalgate enrol: {words or 'its end'}")
        if companion.over() and (words or companion.process.returncode):
            raise Trouble("vitalgate enrol ended: " + " ".join(companion.said[-2:]))

    def list_of(self, *words):
        """Shows the last list of the companion: on a terminal each takes the place of the one
        before."""
        with self.site.companion(*words) as companion:
            self.until(lambda: (companion.read() or True) and companion.over(), "a list")
        at = max((n for n, line in enumerate(companion.said) if ADDRESS in line), default=0)
        for line in filter(str.strip, companion.said[at:]):
            self.say("vitalgate", "shows", " ".join(line.split()))

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
        self.say("doctor", "ack", f"{doctor}: {subject(alert)} {outcome} · "
                 f"down/cmd ack {alert['id'][:8]}")
        self.tell("platform", json.dumps(
            {"v": 1, "id": "ack-" + alert["id"], "cmd": "ack", "by": doctor,
             "args": {"alert": alert["id"], "outcome": outcome}}))
        self.until(lambda: "acknowledged" in self.accounts.alerts_arrived[alert["id"]],
                   "the acknowledgement at the platform")

    def in_form(self, visit, key):
        """What stands in a field of a visit, at the platform."""
        fields = self.visits.get(visit, {}).get("fields", ())
        return next((field_text(f) for f in fields if f["key"] == key), "")

    def open_alerts(self):
        return [a for a in self.accounts.alerts_arrived.values()
                if a["state"] != "inactive" and "acknowledged" not in a]

    def all_here(self):
        """Nothing is on its way any more."""
        a = self.accounts
        if len(a.measured) != len(a.told) or len(a.kept) != len(a.arrived) or a.compare()[0]:
            return False
        counts = self.ask("status").get("counts")
        return bool(counts) and counts["outbox_pending"] + counts["outbox_sent"] == 0
