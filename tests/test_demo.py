#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` as its audience meets it: in a pipe, in a terminal, interrupted, killed, and red.

Each run has a temporary folder of its own, so that what it leaves behind can be seen.
"""
import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import time

import demo     # and the folder of its modules
import harness
import screen
from accounts import is_reading, reading_key, record_key
from acts import ACTS
from harness import Failure, holds, same
from scene import BATCH

DEMO = os.path.join(harness.ROOT, "tests", "demo.py")
PATIENCE = 400      # seconds for one run on a busy machine; by itself it takes about 75
LAST = re.compile(r"(完成 done|中断 stopped|失败 FAILED) · told (\d+), watched (\d+) · "
                  r"platform (\d+) · (?:missing|under way) (\d+) · twice (\d+) · "
                  r"alerts (\d+), ack (\d+), over (\d+)")
# A platform that never takes an alert: the show must find that it is missing.
RED = """
import sys
sys.path.insert(0, {tests!r})
import demo, harness, scene, show
platform, until = harness.Site.platform, show.Show.until

def impatient(self, check, what):
    if what == "the alert at the platform":
        scene.PATIENCE = 15
    until(self, check, what)

show.Show.until = impatient
demo.DemoSite.platform = lambda site, *o: platform(site, *o, "--reject-kind", "alert")
sys.exit(demo.main(["--fast"]))
"""


def processes(folder):
    """Command lines that name the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


def gone(folder):
    left = harness.wait_until(lambda: not processes(folder)) and os.listdir(folder)
    if left != []:
        raise Failure(f"left running: {processes(folder)}\nleft on disk: {os.listdir(folder)}")


class Run:
    """A demo on its way. terminal: its output is one, 100 columns wide."""

    def __init__(self, *words, terminal=False, **env):
        self.folder = tempfile.TemporaryDirectory(prefix="vgt-", dir="/tmp")
        self.text, self.master = "", None
        where = dict(os.environ, TMPDIR=self.folder.name, TERM="xterm", **env)
        where.pop("NO_COLOR", None) if "NO_COLOR" not in env else None
        if terminal:
            pid, self.master = pty.fork()
            if pid == 0:
                os.execve(words[0], words, where)
            self.pid, self.out = pid, self.master
        else:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=where,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.pid, self.out = self.process.pid, self.process.stdout.fileno()
        os.set_blocking(self.out, False)

    def read(self):
        """False at the end."""
        try:
            data = os.read(self.out, 65536)
        except BlockingIOError:
            return True
        except OSError:     # a terminal without anybody
            return False
        self.raw = getattr(self, "raw", b"") + data
        self.text = self.raw.decode(errors="replace")
        return bool(data)

    def until(self, words):
        if not harness.wait_until(lambda: not self.read() or words in self.text, PATIENCE):
            raise Failure(f"{words!r} was not shown within {PATIENCE} s:\n{self.text[-500:]}")
        holds(words in self.text, f"ended without {words!r}:\n{self.text[-800:]}")

    def end(self):
        """The exit status, or minus the signal's number."""
        if not harness.wait_until(lambda: not self.read(), PATIENCE):
            os.kill(self.pid, signal.SIGKILL)
            raise Failure(f"did not end within {PATIENCE} s:\n{self.text[-500:]}")
        if self.master is None:
            return self.process.wait(harness.PATIENCE_S)
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def lines(self):
        return self.text.replace("\r\n", "\n").splitlines()

    def last(self):
        match = LAST.fullmatch(self.lines()[-1])
        holds(match, f"last line: {self.lines()[-1]!r}")
        return (match[1], *map(int, match.groups()[1:]))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.master is None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        self.folder.cleanup()


def whole_show(tap):
    with Run(DEMO, "--fast") as run:
        with tap.case("in a pipe: all acts, exit status 0"):
            same(run.end(), 0, "exit status; the end was\n" + run.text[-1500:])
            heads = re.findall(r"^── (\S+) ", run.text, re.M)
            same(heads, [str(n) for n in range(1, len(ACTS) + 1)] + ["∑"], "headlines")
        with tap.case("the last line's counts agree"):
            word, told, watched, platform, missing, twice, alerts, acked, over = run.last()
            same((word, platform, missing, twice), ("完成 done", told + watched, 0, 0))
            same(acked, alerts)
            holds(3 <= over <= alerts, run.lines()[-1])
            holds(told > BATCH and watched > 20 and alerts >= 9, run.lines()[-1])
        with tap.case("plain text of at most 100 columns"):
            holds("\x1b" not in run.text and "\r" not in run.text, "control characters in a pipe")
            wide = [line for line in run.lines() if screen.columns(line) > 100]
            same(wide, [], "wide lines")
        with tap.case("alert, acknowledgement, record, power cut and backlog are shown"):
            for words in (r"platform +警报 +ALERT +r1 R-0001 → D-0001 · [\d.]+ m?s after",
                          r"platform +收到 +acknowledged r2 R-0001 · reached by D-0001",
                          r"platform +解除 +resolved +r3 R-0001 · bp-high is over, by the next value\n",
                          r"platform +升级 +escalated +r2 R-0002 → D-0003 \(chain\)",
                          r"platform +收到 +acknowledged r3 R-0002 · referred by D-0003",
                          r"glucose\s+critically high: >33\.3", r"cuff-2 failed_measurement",
                          r"assign [0-9a-f]{8} R-0003",
                          r"stored +151/92 → R-0003 by assigned_by_person",
                          r"kill -9 of vitalgated", r"missing 0, twice 0; [1-9]",
                          r"积压 backlog 0, "):
                holds(re.search(words, run.text), f"no line with {words}\n{run.text}")
        with tap.case("a visit: checked in, two measured, answered, confirmed; nothing of home in it"):
            for words in (r"nurse .*checkin desk-1 R-0001", r"stored +150/92 → R-0001 by checkin",
                          r"record +R-0001 高血压 HTN: 随访", r"血压.BP.____.→.150/92",
                          r"HTN: 血压.BP.150/92.→.148/91",
                          r"建议 proposed: 达标 at goal no · 分类 class 2",
                          r"follow-up +r\d+ R-0001 高血压 HTN · confirmed by D-0001"):
                holds(re.search(words, run.text), f"no line with {words}\n{run.text}")
            holds("→ 190/115" not in run.text, "what was measured at home is in a form")
        with tap.case("a meter's memory is read by RACP; control solution is nobody's"):
            told = "told +ATT confirmation of the report's end after commit: "
            for words in (r"how many records\? 5 · RACP 04 01", r"report .* · RACP 01 0",
                          r"report from #6 on · RACP 01 03 01 06 00", told + "[45] records",
                          told + "1 record\n",
                          r"event +meter-1 control_solution: nobody's",
                          r"stored +酮体 ketone 0\.4 → R-0003", r"reading +r1 GLU >33\.3 .* R-0003",
                          r"cuff-4.3, meter-1.5,", r"no readings +2, at the platform 2 "):
                holds(re.search(words, run.text), f"no line with {words}\n{run.text}")
            holds("6.4 mmol/L" not in re.sub("holds .*", "", run.text), "control solution is filed")
        with tap.case("a cuff is enrolled: what to press, its digits, a test, then readings"):
            for words in (r"shows +1 C0:11:22:33:44:04 -58 dBm BM54 · Beurer\n.* measure once, or",
                          r"BM54 · 博雅血压计\n.* 测量一次", r"shows +The six digits that it shows:\n",
                          r"nurse +输入 +types +482913", r"shows +cuff-4 waits for it to connect",
                          r"test +128/82 .*nobody's",
                          r"reading +r1 128/82 mmHg 70/min · test, nobody",
                          r"shows +cuff-4 is enrolled; from now on its readings count",
                          r"stored +146/86 → R-0003 by device_binding",
                          r"answers again[^─]*stored +144/84 → R-0003 by device_binding",
                          r", 1 of them a test"):
                holds(re.search(words, run.text), f"no line with {words}\n{run.text}")
            holds("→ 128/82" not in run.text, "the test reading is in a form")
        with tap.case("an ECG: the cart's statement, its original, the centre's report and read-back"):
            for words in (r"cart-1 +记录 +recorded .*84/min", r"cart_statement\n",
                          r"told +ACK of the end after commit",
                          r"stored +心电图心率 ECG rate 84 → R-0001 by message_token",
                          r"platform .* ECG +r1 R-0001 · 12 leads · unsent",
                          r"original +\d+ bytes in \d+ chunks, SHA-256 right",
                          r"ECG +r2 R-0001 · 12 leads · waiting",
                          r"ecg --open · R-0001 waiting, due", r"--png sheet\.png · \d{5,} bytes",
                          r"centre_report\n", r"12 leads · critical · read back",
                          r"12 leads · final · read back",
                          r"ECGs +1 at the platform, 1 originals whole"):
                holds(re.search(words, run.text), f"no line with {words}\n{run.text}")
        with tap.case("the oximeter's doubt and the fridge's warmth are shown, each with its end"):
            for words in (r"stored +SpO2 97 → R-0004 by device_binding",
                          r"stored +SpO2 86 \(low_perfusion\) → R-0004",
                          r"event +ox-1 repeat_requested", r"event +ox-1 repeat_done",
                          r"critical · R-0004 → D-0002 · 血氧饱和度过低",
                          r"acknowledged r2 R-0004 · reached by D-0002",
                          r"stored +[\d.]+ °C 门开 door open → fridge",
                          r"critical · fridge → S-0001 · 疫苗冰箱温度过高",
                          r"platform +警报 +ALERT +r1 fridge → S-0001",
                          r"platform +解除 +resolved +r2 fridge · fridge-warm is over, by itself · latched",
                          r"platform +收到 +acknowledged r3 fridge · reached by local:",
                          r"made of what is shown +\d+  \(ox-1 [34], fridge-1 \d\d+\)"):
                holds(re.search(words, run.text), f"no line with {words}\n{run.text}")
            holds(not re.search(r"platform +警报.* R-0004 .*\n.*SpO2 86", run.text),
                  "a doctor was called for a value in doubt")
        with tap.case("a moment is never shown before its cause"):
            shown = [line.split() for line in run.lines() if re.match(r" *\d+\.\d\d  ", line)]
            order = [words[3] for words in shown if words[1] in ("lab-1", "gateway", "platform")]
            first = [order.index(w) for w in ("measured", "stored", "ALERT", "acknowledged")]
            same(first, sorted(first), "measured, stored, ALERT, acknowledged")
        with tap.case("nothing is left running or on disk"):
            gone(run.folder.name)


def interrupted(tap):
    with Run(DEMO, "--fast") as early, Run(DEMO, "--fast") as late:
        for run, title, words in ((early, "in an enrolment", "The six digits"),
                                  (late, "with the daemon down", "kill -9 of vitalgated")):
            with tap.case(f"SIGINT {title}: accounts so far, status 130"):
                run.until(words)
                os.kill(run.pid, signal.SIGINT)
                begun = time.monotonic()
                same(run.end(), 130, "exit status")
                holds(time.monotonic() - begun < harness.END_S, "slow to stop: one of them did not end when it was told to")
                same(run.last()[0], "中断 stopped")
                gone(run.folder.name)


def in_terminal(tap):
    for name, env in (("colours", {}), ("no colours with NO_COLOR", {"NO_COLOR": "1"})):
        with Run(DEMO, "--fast", terminal=True, **env) as run, \
                tap.case(f"in a terminal: {name}; Ctrl-C ends it"):
            run.until("R-0002 S-0001")
            same("\x1b[" in run.text, not env, "escape codes")
            os.write(run.master, b"\x03")
            same(run.end(), 130, "exit status")
            gone(run.folder.name)


def no_reader(tap):
    with Run("/bin/sh", "-c", f"{DEMO} --fast | head -n 20") as run, \
            tap.case("a reader that goes away"):
        same(run.end(), 0, "exit status of head")
        holds("Traceback" not in run.text, run.text)
        gone(run.folder.name)


def killed(tap):
    with Run(DEMO, "--fast") as run, tap.case("kill -9 of the demo leaves nothing running"):
        run.until("R-0002 S-0001")
        os.kill(run.pid, signal.SIGKILL)
        run.end()
        holds(harness.wait_until(lambda: not processes(run.folder.name)),
              processes(run.folder.name))


def environment(tap):
    with Run(DEMO, VITALGATE_BUILD="/nonexistent") as run, \
            tap.case("not built: one sentence with the next step"):
        same(run.end(), 2, "exit status")
        same(len(run.lines()), 1, run.text)
        holds("run `make`" in run.text, run.text)
        gone(run.folder.name)


def red(tap):
    script = RED.format(tests=os.path.join(harness.ROOT, "tests"))
    with Run(harness.PYTHON, "-c", script) as run, \
            tap.case("an alert that never arrives: exit status 1, and it is named"):
        same(run.end(), 1, "exit status; the end was\n" + run.text[-1500:])
        holds(re.search(r"alert [0-9a-f]{8} revision \d+ is not at the platform", run.text), run.text)
        holds("the alert at the platform: not within" in run.text, run.text)
        same(run.last()[0], "失败 FAILED")
        gone(run.folder.name)


def accounts(tap):
    with tap.case("accounts: missing, twice, strange, changed"):
        key, other = ("cuff-1", "2026-01-01T08:00:00", 120, 80), ("lab-1", "S-1", "hba1c", "", 7.1)
        a = demo.Accounts()
        a.measured = a.told = {key: 1.0, other: 2.0}
        a.kept = a.arrived = {"a": (key, 3.0), "b": (other, 3.0)}
        same(a.faults(), [])
        a.arrived = {"a": (key, 3.0)}
        holds("missing" in a.faults()[0] and "hba1c" in a.faults()[0], a.faults())
        a.arrived = {"a": (key, 3.0), "b": (other, 3.0), "c": (other, 4.0)}
        holds("more than once" in a.faults()[0], a.faults())
        changed = ("cuff-1", "2026-01-01T08:00:00", 121, 80)
        a.arrived = {"a": (changed, 3.0), "b": (other, 3.0)}
        same(len(a.faults()), 2, json.dumps(a.faults()))
    with tap.case("accounts: what is watched was shown by then, and is all that was due"):
        a = demo.Accounts()
        a.shown["ox-1"] = [(1.0, (97, 70)), (9.0, (86, 64))]
        a.expected["ox-1"] = 1
        key = ("ox-1", 5.0, 97, 70)
        a.kept = a.arrived = {"a": (key, 5.1)}
        same((a.faults(), a.watched()), ([], 1))
        a.kept = a.arrived = {"a": (("ox-1", 5.0, 86, 64), 5.1)}
        holds("from no instrument" in a.faults()[0], a.faults())
        a.kept = a.arrived = {"a": (key, 5.1), "b": (key, 5.2)}
        holds("more than once" in a.faults()[0] and "due 1, in the store 2" in a.faults()[1],
              a.faults())
        a.kept, a.arrived, a.expected = {"a": (key, 5.1), "b": (key, 5.2)}, {"a": (key, 5.1)}, {}
        holds("in the store, but not" in a.faults()[0], a.faults())
    with tap.case("accounts: a glucose record, its comparator, and what is no reading"):
        fasting = {"what": "fasting", "value": "7.4", "time": "2026-01-01T06:55:00"}
        high = {"what": "hi", "value": "33.3", "time": "2026-01-01T21:30:00"}
        rows = [{"device": {"id": "meter-1"}, "time": {"device": r["time"]}, "notes": {},
                 "values": {kind: v}} for r, kind, v in (
                     (fasting, "glu.fasting", {"value": 7.4}),
                     (high, "glu.random", {"value": 33.3, "comparator": ">"}))]
        same([reading_key(r) for r in rows], [record_key("meter-1", r) for r in (fasting, high)])
        del rows[1]["values"]["glu.random"]["comparator"]
        holds(reading_key(rows[1]) != record_key("meter-1", high), "HI without its comparator")
        same([is_reading(r) for r in (fasting, {"what": "control"}, {"nan": True})],
             [True, False, False])
        a = demo.Accounts()
        a.aside = {"control": 1.0}
        holds("1 were no reading, 0 at the platform" in a.faults()[0], a.faults())
        a.aside_arrived = ["control_solution"]
        same(a.faults(), [])
    with tap.case("accounts: a delay is that of the last time it was sent before it arrived"):
        a.sent, a.arrived = {key: [1.0, 2.0, 9.0]}, {"a": (key, 2.5)}
        same(a.delays({"a": 2.5}), ([0.5], []))
        a.outages = [[2.2, 2.3]]
        same(a.delays({"a": 2.5}), ([], [0.5]))
    with tap.case("wide characters are counted and wrapped as two columns"):
        same(screen.columns("警报 a"), 6)
        same(screen.wrap("收缩压 达到危急值 a", 10), ["收缩压", "达到危急值", "a"])
        same(screen.wrap("达到危急值", 4), ["达到", "危急", "值"])


def main():
    tap = harness.Tap()
    lacking = demo.missing_pieces()
    accounts(tap)
    if lacking:
        tap.skip("the show", lacking)
        tap.done()
    for test in (environment, whole_show, interrupted, in_terminal, no_reader, killed, red):
        test(tap)
    tap.done()


if __name__ == "__main__":
    main()
