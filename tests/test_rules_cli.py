#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vitalgate rules test`: what another rule file would have made of readings, from tables and from a running daemon's store.
What is expected was counted by hand."""
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, ROOT, Site, Tap, holds, same, wait_until  # noqa: E402

tap = Tap()
FOLDER = tempfile.TemporaryDirectory()
HERE = Path(FOLDER.name)
CONFIG = HERE / "vitalgate.yaml"
RULES = ROOT + "/config/alerts.yaml"
CONFIG.write_text(f"""version: 1
org: demo
site: village
gateway: gw-0001
zone: Asia/Shanghai
site_contact: S-0001
paths: {{store: {HERE}/store, runtime: {HERE}, tables: {ROOT}/config}}
""", encoding="utf-8")


def run(*words, config=CONFIG):
    (HERE / "tmp").mkdir(exist_ok=True)
    done = subprocess.run([BUILD + "/vitalgate", "--config", str(config), "--lang", "en", "rules", *map(str, words)],
                          capture_output=True, text=True, timeout=300, check=False,
                          env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "TMPDIR": str(HERE / "tmp")})
    holds("Sanitizer" not in done.stderr and done.returncode >= 0, done.stderr)
    same(list((HERE / "tmp").iterdir()), [], "what was left behind")
    return done


def rules(*changes):
    """A copy of the rule file; each change: (what is found once, what stands there instead)."""
    text = Path(RULES).read_text(encoding="utf-8")
    for old, new in changes:
        same(text.count(old), 1, f"how often \"{old}\" stands in the rules")
        text = text.replace(old, new)
    path = HERE / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def table(*lines, head="taken,resident,sbp,dbp,setting"):
    path = HERE / "table.csv"
    path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
    return path


def counted(file, *words, **more):
    done = run("test", file, *words, "--json", **more)
    same((done.returncode, done.stderr), (0, ""))
    got = json.loads(done.stdout)
    for side in ("file", "present"):
        got[side]["kinds"] = {f"{k['condition']} {k['severity']}": (k["alerts"], k["handled"])
                              for k in got[side]["kinds"]}
    return got


def kinds(readings, file=RULES):
    return counted(file, readings)["file"]["kinds"]


def check_counts():
    """A critical one is a person's; a warning that is over within four hours is nobody's."""
    same(kinds(table("2026-03-02T08:00,R-0001,192,100,clinic")), {"bp-high critical": (1, 1)})
    same(kinds(table("2026-03-02T08:00,R-0001,165,95,clinic", "2026-03-02T11:59,R-0001,140,80,clinic")),
         {"bp-high warning": (1, 0)})
    same(kinds(table("2026-03-02T08:00,R-0001,165,95,clinic", "2026-03-02T12:01,R-0001,140,80,clinic")),
         {"bp-high warning": (1, 1)})
    # within fifteen minutes, and afterwards: the second is another one, of another day's doctor
    same(kinds(table("2026-03-02T08:00,R-0001,192,100,clinic", "2026-03-02T08:10,R-0001,193,100,clinic")),
         {"bp-high critical": (1, 1)})
    same(kinds(table("2026-03-02T08:00,R-0001,192,100,clinic", "2026-03-02T08:20,R-0001,193,100,clinic")),
         {"bp-high critical": (2, 2)})
    # over by itself after ten minutes, and yet somebody has to look at it
    same(kinds(table("2026-03-02T08:00,R-0001,192,100,clinic", "2026-03-02T08:10,R-0001,120,70,clinic")),
         {"bp-high critical": (1, 1)})
    # nobody's: each by itself
    same(kinds(table("2026-03-02T08:00,,192,100,", "2026-03-02T08:10,,193,100,")), {"bp-high critical": (2, 2)})
    # at home, single values of grade 2 belong to the mean of the week
    same(kinds(table("2026-03-02T08:00,R-0001,165,95,home")), {})


def check_columns():
    same(kinds(table("2026-03-02 08:00:30,R-0001,> 33.3", head="taken,resident,glucose")),
         {"glucose-high critical": (1, 1)})
    same(kinds(table("2026-03-02T08:00,R-0001,3.5,", "2026-03-02T09:00,R-0002,3.5,treated_diabetes",
                     head="taken,resident,glu.random,conditions")), {"glucose-low critical": (1, 1)})
    same(kinds(table("2026-03-02T08:00,R-0001,170,95,2024-01-05", "2026-03-02T08:00,R-0002,170,95,1950",
                     head="taken,resident,sbp,dbp,birth_date")), {"bp-high warning": (1, 1)})
    # three hours late: it waits for the morning, and is a person's then
    same(kinds(table("2026-03-02T08:00,2026-03-02T11:00,R-0001,200", head="taken,arrived,resident,sbp")),
         {"bp-high critical": (1, 1)})
    # lines in any order: the later one overtook the earlier when that arrived
    same(kinds(table("2026-03-02T09:00,2026-03-02T09:00,R-0001,120", "2026-03-02T08:00,2026-03-02T09:30,R-0001,165",
                     head="taken,arrived,resident,sbp")), {})


def check_doubt():
    head = "taken,resident,spo2,flags"
    got = counted(RULES, table("2026-03-02T08:00,R-0001,84,low_perfusion", "2026-03-02T08:05,R-0001,97,", head=head))
    same((got["file"]["kinds"], got["file"]["repeats"]), ({}, 1))
    got = counted(RULES, table("2026-03-02T08:00,R-0001,84,low_perfusion;motion", head=head))
    same((got["file"]["kinds"], got["file"]["repeats"]), ({"spo2-low critical": (1, 1)}, 1))


def check_both_files():
    readings = table(*(f"2026-03-{day:02}T08:00,R-0001,175,90,clinic" for day in range(2, 12)),
                     "2026-03-20T08:00,R-0001,190,90,clinic")
    got = counted(rules(("id: sbp-critical-high, condition: bp-high, kind: bp.sbp, advice: bp-high, "
                         "at_least: 180", "id: sbp-critical-high, condition: bp-high, kind: bp.sbp, advice: bp-high, "
                         "at_least: 170")), readings)
    same((got["readings"], got["residents"]), (11, 1))
    same(got["file"]["kinds"], {"bp-high critical": (11, 11)})
    # one alert, which somebody saw as a warning, and again when it became critical
    same(got["present"]["kinds"], {"bp-high critical": (1, 2)})
    same(got["file"]["handled_per_100"], 100.0)
    holds(got["present"]["alerts"] < got["file"]["alerts"], got)
    shown = run("test", rules(), readings).stdout
    holds(shown.startswith("11 readings of 1 residents, 2026-03-02 to 2026-03-20\n"), shown)
    row = next(line for line in shown.splitlines() if line.startswith("high blood pressure              critical"))
    same(row.split()[-4:], ["1", "2", "1", "2"])
    holds(re.search(r"^per 100 measurements +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+$", shown, re.M), shown)


def check_wrong():
    for words, said in ((("test",), "usage"), ((), "usage"), (("frob", "a"), "usage"), (("test", "a", "b", "c"), "usage"),
                        (("test", "--history", RULES, "t.csv"), "usage")):
        done = run(*words)
        same((done.returncode, done.stdout), (2, ""))
        holds(said in done.stderr, done.stderr)
    same(run("--help").returncode, 0)
    for readings, said in (
            (lambda: table("2026-03-02T08:00,R-0001,x,90,"), "table.csv:2: sbp: expected a number"),
            (lambda: table("2026-03-02T08:00,R-0001,9999,90,"), "table.csv:2: sbp: expected a number"),
            (lambda: table("yesterday,R-0001,120,90,"), "table.csv:2: taken: expected a local time"),
            (lambda: table("2026-03-02T08:00,R-0001,,,"), "table.csv:2: values: expected at least one"),
            (lambda: table("2026-03-02T08:00,1", head="taken,mood"), "mood: expected a kind of the code table"),
            (lambda: table("1", head="sbp"), "taken: expected a column of this name"),
            (lambda: table("2026-03-02T08:00,2026-03-02T07:00,120", head="taken,arrived,sbp"), "arrived: expected"),
            (lambda: HERE / "missing.csv", "missing.csv")):
        done = run("test", RULES, readings())
        same((done.returncode, done.stdout), (1, ""))
        holds(said in done.stderr, f"{said} / {done.stderr}")
    broken = rules(("id: sbp-critical-high, condition: bp-high, kind: bp.sbp", "id: sbp-critical-high, kind: bp.sbb"))
    done = run("test", broken, table("2026-03-02T08:00,R-0001,120,80,"))
    same(done.returncode, 1)
    holds("rules.yaml" in done.stderr and "bp.sbb" in done.stderr, done.stderr)
    said = run("test", broken, table("2026-03-02T08:00,R-0001,120,80,"), "--lang", "zh").stderr
    holds("rules.yaml" in said and "项目“bp.sbb”" in said and "expected" not in said, said)
    same(run("test", RULES).returncode, 1)  # there is no store


def contents(site):
    return hashlib.sha256(json.dumps([site.query(f"SELECT * FROM {t}") for t in ("alert", "alert_history", "outbox")],
                                     default=repr).encode()).hexdigest()


def check_history():
    """Beside a running daemon, which does not notice."""
    with Site(devices=[]) as site:
        site.core()
        site.cli("import", site.roster())
        for words in (("R-0001", "bp=192/100"), ("R-0001", "bp=120/70"), ("R-0002", "bp=165/95"), ("R-0003", "bp=130/80")):
            site.cli("enter", *words, "--by", "N-0001")
        holds(wait_until(lambda: len(site.query("SELECT 1 FROM alert")) >= 1), "no alert")
        before = contents(site)
        got = counted(RULES, "--history", config=site.config)
        same((got["readings"], got["residents"]), (4, 3))
        same(got["file"], got["present"])
        same(got["file"]["kinds"]["bp-high critical"], (1, 1))
        same(got, counted(RULES, config=site.config))
        same(contents(site), before, "the daemon's store")
        site.cli("enter", "R-0003", "bp=185/80", "--by", "N-0001")  # it goes on
        same(counted(RULES, config=site.config)["file"]["kinds"]["bp-high critical"], (2, 2))


for name, check in sorted(globals().copy().items()):
    if name.startswith("check_"):
        with tap.case(name[6:].replace("_", " ")):
            check()
tap.done()
