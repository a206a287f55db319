#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vitalgate rules test`: what another rule file would have made of readings, from tables and from a running daemon's store.
What is expected was counted by hand."""
import contextlib
import datetime
import hashlib
import json
import os
import re
import signal
import sqlite3
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
DAILY = ROOT + "/tests/alerts/daily.yaml"  # home-week from 135 on, grave from 160 on; overdue by 30 days; home-missing of setting home
CONFIG.write_text(f"""version: 1
org: demo
site: village
gateway: gw-0001
zone: Asia/Shanghai
site_contact: S-0001
paths: {{store: {HERE}/store, runtime: {HERE}, tables: {ROOT}/config}}
""", encoding="utf-8")


def run(*words, config=CONFIG, lang="en"):
    (HERE / "tmp").mkdir(exist_ok=True)
    done = subprocess.run([BUILD + "/vitalgate", "--config", str(config), "--lang", lang, "rules", *map(str, words)],
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


def home(resident, setting, pressure, first, last):
    """Lines of a table: twice every morning and evening of these days of March."""
    return [f"2026-03-{day:02}T{at},{resident},{pressure},{setting}"
            for day in range(first, last + 1) for at in ("07:01", "07:03", "20:01", "20:03")]


def check_rules_of_a_day():
    # 03-03 to 03-05: measured, and no valid week yet (4, 8 and 12 readings, on 3 days). On 03-06 it is: 16 on 4 days.
    week = home("R-0001", "home", "150,80", 2, 8)
    same(kinds(table(*week), DAILY), {"home-missing notice": (1, 0), "home-week warning": (1, 1)})
    same(kinds(table(*home("R-0001", "home", "165,80", 2, 8)), DAILY),
         {"home-missing notice": (1, 0), "home-week critical": (1, 1)})
    # a warning on 03-06, answered; the mean is 155.8 on 03-07, (16 x 150 + 8 x 179) / 24 = 159.7, rounded 160, on 03-08:
    # the same alert, answered once more
    same(kinds(table(*week[:16], *home("R-0001", "home", "179,80", 6, 10)), DAILY),
         {"home-missing notice": (1, 0), "home-week critical": (1, 2)})
    same(kinds(table(*home("R-0001", "home", "134,80", 2, 8)), DAILY), {"home-missing notice": (1, 0)})
    same(kinds(table(*home("R-0001", "clinic", "150,80", 2, 8)), DAILY), {})
    # a flag of the cuff: no valid week, and nothing that was measured
    flagged = [line + ",body_movement" for line in week]
    same(kinds(table(*flagged, head="taken,resident,sbp,dbp,setting,flags"), DAILY), {})
    # over after seven days, and once more: the second on the morning behind the last reading
    twice = table("2026-03-02T08:00,R-0001,120,80,home", "2026-03-20T08:00,R-0001,120,80,home")
    same(kinds(twice, DAILY), {"home-missing notice": (2, 0)})
    # long after, and at once
    same(kinds(table("2026-03-02T08:00,R-0001,120,80,home", "2056-03-20T08:00,R-0001,120,80,home"), DAILY),
         {"home-missing notice": (2, 0)})
    # what came ten days late was not known on the day behind it
    same(kinds(table("2026-03-02T08:00,2026-03-12T08:00,R-0001,120,80,home", "2026-03-02T06:00,,R-0002,120,80,clinic",
                     head="taken,arrived,resident,sbp,dbp,setting"), DAILY), {})
    # by rules that make no alert of them, none
    same(kinds(table(*week)), {})


def check_not_replayed():
    """What cannot be known is said, not counted as none."""
    overdue = [{"rule": f"overdue-{form}", "why": "no_visits"} for form in ("htn", "htn-grave", "t2dm")]
    at_home = table(*home("R-0001", "home", "150,80", 2, 8))
    got = counted(DAILY, at_home)
    same(got["file"]["not_replayed"], overdue)
    technical = re.findall(r"id: ([\w-]+),.*family: technical", Path(RULES).read_text(encoding="utf-8"))
    holds(len(technical) > 20, technical)
    same(got["present"]["not_replayed"], [{"rule": rule, "why": "technical"} for rule in technical])
    shown = run("test", DAILY, at_home).stdout.splitlines()
    same([line for line in shown if "not replayed" in line],
         ["not replayed (this file): overdue-htn overdue-htn-grave overdue-t2dm (a table has no visits; take --history)",
          f"not replayed (in force): {len(technical)} (technical ones, of devices and places)"])
    elsewhere = table(*home("R-0001", "clinic", "150,80", 2, 8))
    same(counted(DAILY, elsewhere)["file"]["not_replayed"],
         [{"rule": rule, "why": "not_at_home"} for rule in ("home-week-grave", "home-week-sbp", "home-week-dbp")] +
         overdue + [{"rule": "home-missing", "why": "not_at_home"}])
    shown = run("test", DAILY, elsewhere, lang="zh").stdout.splitlines()
    same([line for line in shown if "未重放（此文件）" in line],
         ["未重放（此文件）：overdue-htn overdue-htn-grave overdue-t2dm（表中没有随访，请用 --history）",
          "未重放（此文件）：home-week-grave home-week-sbp home-week-dbp home-missing（表中没有 setting 为 home 的居民）"])


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


class Past:
    """The store of a site whose daemon has ended, in which what was told today happened so many days ago."""

    def __init__(self, site):
        self.db = sqlite3.connect(site.path("store/vitalgate.db"), isolation_level=None)
        self.midnight = datetime.datetime.combine(today(), datetime.time(), datetime.timezone(datetime.timedelta(hours=8)))

    def at(self, ago, hour=8, minute=0):
        when = self.midnight + datetime.timedelta(days=-ago, hours=hour, minutes=minute)
        return int(when.timestamp()) * 1_000_000

    def row(self, table, where, **values):
        """A row like one that is there, but for these."""
        rows = self.db.execute(f"SELECT * FROM {table} WHERE {where}")
        row = dict(zip((d[0] for d in rows.description), rows.fetchone())) | {"id": None} | values
        self.db.execute(f"INSERT INTO {table}({','.join(row)}) VALUES({','.join('?' * len(row))})", list(row.values()))

    def readings(self, template, resident, *times):
        for at in times:
            self.row("reading", f"id={template}", uuid=os.urandom(16), arrived=at, taken=at,
                     resident=self.resident(resident))

    def resident(self, token):
        return self.db.execute("SELECT id FROM resident WHERE token=?", (token,)).fetchone()[0]


def today():
    return datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()


def ago(days):
    return (today() - datetime.timedelta(days)).isoformat()


def tell_visits(site):
    """Each with the day on which the gateway heard of it: (token, days ago)."""
    heard = []
    for token, form, day, next_day, known in (("R-0001", "htn", 298, 170, 298), ("R-0001", "htn", 120, 70, 100), ("R-0001", "htn", 20, -70, 20),
                                              ("R-0002", "t2dm", 120, 45, 100),
                                              ("R-0003", "htn", 120, 75, 100)):
        site.cli("visit", "elsewhere", token, form, ago(day), "way=1", "class=1", f"next_day={ago(next_day)}", "by=D-0001",
                 "--by", "D-0001")
        heard.append((known, site.query("SELECT max(id) FROM visit")[0][0]))
    for token, form, day in (("R-0002", "t2dm", -5), ("R-0002", "t2dm", -10), ("R-0003", "htn", -20)):
        site.cli("plan", token, form, ago(day), "--by", "D-0001")
    return heard


def make_past(site, heard):
    past = Past(site)
    with contextlib.closing(past.db):
        for known, visit in heard:
            past.db.execute("UPDATE visit SET confirmed_at=? WHERE id=?", (past.at(known), visit))
        for token, known in (("R-0002", 20), ("R-0003", 40)):
            past.db.execute("UPDATE plan SET at=? WHERE resident=?", (past.at(known), past.resident(token)))
        template = past.db.execute("SELECT max(id) FROM reading").fetchone()[0]
        week = [past.at(day, *time) for day in range(30, 26, -1) for time in ((7, 1), (7, 3), (20, 1), (20, 3))]
        past.readings(template, "R-0001", past.at(300), past.at(50))
        past.readings(template, "R-0004", *week)
        past.readings(template, "R-0005", *week)
        # R-0005 was visited all the time: that is not at home
        past.row("visit", f"id={heard[0][1]}", uuid=os.urandom(16), resident=past.resident("R-0005"), state="open")
        past.db.execute("INSERT INTO visit_window(visit,from_us,to_us) SELECT max(id),?,? FROM visit", (week[0], week[-1]))
        past.db.execute("DELETE FROM reading WHERE id=?", (template,))


def check_history_of_days():
    """Visits and plans as they were known then. R-0001: due 70 days ago, overdue by 30 from 40 to 20 days ago (by 60 it would
    have been 10 days ago). R-0003: due 75 days ago, overdue from 45 to 40 days ago, when it was planned anew. R-0002: due 45
    days ago, and planned anew 20 days ago, 5 before anybody was told. R-0004: a high week, from 26 days ago on. Between 300 and
    50 days ago nothing was measured: from 208 to 50 days ago the gateway was off, so that nobody was told of R-0001, overdue by
    30 from 140 to 100 days ago."""
    with Site(devices=[]) as site:
        site.core()
        site.cli("import", site.roster())
        site.cli("enter", "R-0001", "bp=150/80", "--by", "N-0001")
        heard = tell_visits(site)
        site.kill("core", signal.SIGTERM)
        make_past(site, heard)
        got = counted(DAILY, "--history", config=site.config)
        same((got["readings"], got["residents"]), (34, 3))
        same(got["file"]["kinds"], {"overdue-htn warning": (2, 2), "home-week warning": (1, 1)})
        same(got["present"]["kinds"], {})
        same((got["file"]["not_replayed"], got["file"]["plans_replaced"]), ([], 1))
        same(got["present"]["plans_replaced"], 0)  # its rules of visits make no alert
        shown = run("test", DAILY, config=site.config).stdout
        holds("overdue (this file): up to 1 plans were replaced by later ones and are not known" in shown, shown)
        holds("overdue (in force)" not in shown, shown)


for name, check in sorted(globals().copy().items()):
    if name.startswith("check_"):
        with tap.case(name[6:].replace("_", " ")):
            check()
tap.done()
