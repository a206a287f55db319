#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the spot when a value is dangerous, with the real daemon and without any line to the platform: followers,
the site's own program, the words for a display; whatever dies meanwhile."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, Site, Tap, cuff_device, holds, same, wait_until  # noqa: E402

tap = Tap()
HOOK = """#!/bin/sh
echo $$ >{dir}/pid.new
mv {dir}/pid.new {dir}/pid
echo "$1 $2 $3 $4 $(head -c 100000 | tr '\\n' ' ')" >>{dir}/hooked
[ -e {dir}/hang ] && {{ sleep 1000 & sleep 1000; }}
[ ! -e {dir}/fail ]
"""


class Follower:
    """`vitalgate alerts --follow` and what it has said."""

    def __init__(self, site, *words):
        self.lines = []
        self.process = subprocess.Popen([BUILD + "/vitalgate", "--config", site.config, *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def alerts(self):
        told = [json.loads(line) for line in self.lines]
        return [t["alert"] for t in told if t["alert"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def hooked(site):
    """(severity, phase, id, what, alert) of each run."""
    try:
        with open(site.path("hooked"), "rb") as f:
            whole = f.read().rpartition(b"\n")[0].decode()     # the program may be writing
    except FileNotFoundError:
        return []
    return [(*line.split(" ", 4)[:4], json.loads(line.split(" ", 4)[4])) for line in whole.splitlines()]


def until_hooked(site, n):
    holds(wait_until(lambda: len(hooked(site)) >= n), f"expected {n} runs: {hooked(site)}")
    return hooked(site)[n - 1]


def local_site():
    """One with a cuff, and with a program of its own."""
    site = Site(devices=[cuff_device("cuff-1", station="desk-1")], extra=(
        "stations:\n  - {id: desk-1}\nalerting: {quiet: \"\", hook: \"{dir}/siren\", hook_timeout_s: 6}\n"))
    with open(site.path("siren"), "w", encoding="utf-8") as f:
        f.write(HOOK.format(dir=site.dir))
    os.chmod(site.path("siren"), 0o755)
    return site


def enter(site, resident, value):
    return site.cli("enter", resident, value, "--by", "N-0001")


def dies(site):
    site.kill("core")
    site.restart("core")
    holds(wait_until(site.answers), "the daemon did not come back")


def begin(site):
    site.core()
    site.cli("import", site.roster())


def follow_and_hook(site):
    with Follower(site, "--json", "alerts", "--follow") as programme, \
            Follower(site, "--lang", "en", "alerts", "--follow", "--since", "0") as person:  # it may come late
        holds(wait_until(lambda: programme.lines), "nothing was said")
        same(json.loads(programme.lines[0]), {"n": 0, "alert": None})
        enter(site, "R-0001", "bp=192/100")
        severity, phase, alert_id, what, alert = until_hooked(site, 1)
        same((severity, phase, what), ("critical", "start", "page"))
        same((alert["id"], alert["revision"], alert["resident"]), (alert_id, 1, "R-0001"))
        holds("收缩压" in alert["text_zh"] and "5 minutes" in alert["text_en"], alert)
        same(alert["resident_text"]["en"], "sit quietly for 5 minutes and measure again")
        holds(wait_until(lambda: programme.alerts() == [alert]), f"{programme.lines} is not {alert}")
        holds(wait_until(lambda: person.lines), "the person saw nothing")
        holds("R-0001  Critical: systolic pressure critically high. Systolic blood pressure 192 mmHg" in person.lines[0],
              person.lines)
        site.cli("ack", alert_id[:8], "advised", "--by", "D-0001")
        severity, phase, again, what, alert = until_hooked(site, 2)
        same((severity, phase, again, what), ("critical", "update", alert_id, "over"))
        same(alert["acknowledged"]["outcome"], "advised")
        holds(wait_until(lambda: programme.alerts()[-1] == alert), programme.lines)
        # the daemon dies and comes back: nobody has to begin anew, and nothing is told twice
        holds(wait_until(lambda: site.query("SELECT sum(sounding) FROM alert") == [(0,)]), "not written down")
        dies(site)
        n = len(programme.lines)
        enter(site, "R-0003", "bp=130/112")
        until_hooked(site, 3)
        holds(wait_until(lambda: len(programme.lines) > n), "the follower did not come back")
        same([a["resident"] for a in programme.alerts()[n - 1:]], ["R-0003"])
    same(len(hooked(site)), 3)


def killed_while_it_runs(site):
    """kill -9 while the program runs: it is told again, once."""
    open(site.path("hang"), "w", encoding="utf-8").close()
    enter(site, "R-0004", "bp=195/100")
    until_hooked(site, 4)
    site.kill("core")
    os.killpg(group(site), signal.SIGKILL)  # which is systemd's work
    os.unlink(site.path("hang"))
    before = len(hooked(site))
    site.restart("core")
    again = until_hooked(site, before + 1)
    same((again[1], again[3], again[4]["resident"]), ("start", "page", "R-0004"))
    time.sleep(1)
    same(len(hooked(site)), before + 1)


def fails(site):
    """A program that hangs, and one that fails: a message for the platform each, and the next alert is told."""
    open(site.path("hang"), "w", encoding="utf-8").close()
    before = len(hooked(site))
    enter(site, "R-0002", "glu.random=2.5")
    until_hooked(site, before + 1)
    holds(wait_until(lambda: failures(site)), "no event")
    holds("killed" in failures(site)[0], failures(site))
    os.unlink(site.path("hang"))
    enter(site, "R-0002", "bp=170/111")
    last = until_hooked(site, before + 2)
    same(last[4]["condition"], "bp-high")
    holds(wait_until(lambda: not group(site)), "something of the program is left")


def group(site):
    """The group of the program that was run last, while anybody is in it."""
    with open(site.path("pid"), encoding="utf-8") as f:
        pid = int(f.read())
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return None
    return pid


def failures(site):
    return [detail for (detail,) in site.query("SELECT detail FROM event WHERE type='hook_failed'")]


def display(site):
    text = site.cli("alerts", "--display", "desk-1")
    same((text["about"], text["text_en"]), (None, ""))
    site.cuff("cuff-1")
    site.cli("checkin", "desk-1", "R-0001")
    site.control("cuff-1", "record " + json.dumps({"sys": 188, "dia": 99, "map": 120, "pulse": 72, "unit": "mmHg",
                                                   "time": "now"}))
    shown = wait_until(lambda: (t := site.cli("alerts", "--display", "desk-1"))["about"] and t)
    holds(shown, "nothing was shown")
    same((shown["about"], shown["text_en"]), ("alert", "sit quietly for 5 minutes and measure again"))
    said = subprocess.run([BUILD + "/vitalgate", "--config", site.config, "--lang", "zh", "alerts", "--display",
                           "desk-1"], capture_output=True, text=True, check=True).stdout
    same(said, "请静坐5分钟后复测\n")
    holds("R-0001" not in json.dumps(shown) and "188" not in json.dumps(shown), shown)


def main():
    with local_site() as site:
        for case in (follow_and_hook, killed_while_it_runs, fails, display):
            with tap.case(case.__name__.replace("_", " "), site):
                if case is follow_and_hook:
                    begin(site)
                case(site)
    tap.done()


if __name__ == "__main__":
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(1))
    signal.alarm(500)
    main()
