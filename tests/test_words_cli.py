#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the companion program asks a daemon for when persons do something, and how it shows the answer. The daemon here
answers what the test says; the real one is tested in its own rooms and end to end."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "vitalgate"
CHINESE = re.compile("[\u4e00-\u9fff]")


class Daemon(threading.Thread):
    """Takes one line on each connection, keeps it, and gives the next answer."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.path = str(Path(folder) / "control.sock")
        self.asked, self.answers = [], []
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(self.path)
        self.door.listen()

    def run(self):
        while True:
            link, _ = self.door.accept()
            with link, link.makefile("rw", encoding="utf-8") as f:
                self.asked.append(json.loads(f.readline()))
                result = self.answers.pop(0) if self.answers else {}
                refused = "error" in result
                f.write(json.dumps({"v": 1, "id": "", "ok": not refused,
                                    **(result if refused else {"result": result})}))


FOLDER = tempfile.TemporaryDirectory()
DAEMON = Daemon(FOLDER.name)
DAEMON.start()


def run(*words, answers=({},), stdin="", lang="en"):
    DAEMON.asked.clear()
    DAEMON.answers[:] = answers
    done = subprocess.run([PROGRAM, "--socket", DAEMON.path, "--lang", lang, *words], input=stdin,
                          capture_output=True, text=True, timeout=60, check=False,
                          env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]})
    assert done.returncode >= 0 and "Sanitizer" not in done.stderr, f"{words}: {done.stderr}"
    return done


def asks(words, cmd, args, by=None, **more):
    """It asks exactly this, and prints something."""
    done = run(*words, **more)
    assert done.returncode == 0, f"{words}: {done.returncode} {done.stderr}"
    last = DAEMON.asked[-1]
    assert last["cmd"] == cmd and last["args"] == args, f"{words}: {last}"
    assert last.get("by") == by, f"{words}: by {last.get('by')}"
    return done.stdout


def expects(words, *says, **more):
    """Used wrongly: status 2, what is expected on stderr, and the daemon was not asked."""
    for lang in ("en", "zh"):
        done = run(*words, lang=lang, **more)
        assert done.returncode == 2 and not done.stdout, f"{words}: {done.returncode} {done.stdout}"
        assert not DAEMON.asked, f"{words}: {DAEMON.asked}"
        assert bool(CHINESE.search(done.stderr)) == (lang == "zh"), f"{words}: {done.stderr}"
        for text in says:
            assert lang == "zh" or text in done.stderr, f"{words}: \"{text}\" is not in: {done.stderr}"


# --- stations

def check_checkin():
    asks(("checkin", "desk-1", "R-0001"), "checkin", {"station": "desk-1", "resident": "R-0001"})
    asks(("checkin", "desk-1", "R-0001", "--purpose", "exam", "--way", "1", "--by", "N-0001"), "checkin",
         {"station": "desk-1", "resident": "R-0001", "purpose": "exam", "way": "1"}, by="N-0001")
    asks(("checkin", "desk-1", "R-0001", "--card"), "checkin",
         {"station": "desk-1", "resident": "R-0001", "source": "card"})
    asks(("checkin", "desk-1", "R-0001", "--barcode"), "checkin",
         {"station": "desk-1", "resident": "R-0001", "source": "barcode"})
    # the number of a card comes by standard input: a command line is seen by everybody
    asks(("checkin", "desk-1", "--card"), "checkin",
         {"station": "desk-1", "card": "CARD-7", "source": "card"}, stdin="CARD-7\r\n")
    asks(("checkin", "desk-1", "--barcode"), "checkin",
         {"station": "desk-1", "resident": "R-0001", "source": "barcode"}, stdin="R-0001\n")
    assert run("checkin", "desk-1", "--card").returncode == 1 and not DAEMON.asked
    asks(("checkin", "desk-1", "R-0002", "--instead"), "checkin",
         {"station": "desk-1", "resident": "R-0002", "instead": True})
    asks(("checkin", "desk-1", "--undo"), "checkin", {"station": "desk-1", "undo": True})
    asks(("checkout", "desk-1"), "checkout", {"station": "desk-1"})
    shown = asks(("checkin", "desk-1", "R-0001"), "checkin", {"station": "desk-1", "resident": "R-0001"},
                 answers=({"station": "desk-1", "resident": "R-0001", "purpose": "follow-up",
                           "visits": {"htn": "1a2b3c4d5e6f708192a3b4c5d6e7f809"}},))
    assert shown == "desk-1: R-0001 (follow-up) visit hypertension 1a2b3c4d\n", shown
    for words in (("checkin",), ("checkin", "desk-1"), ("checkin", "desk-1", "R-0001", "R-0002"),
                  ("checkin", "desk-1", "R-0001", "--undo"), ("checkin", "desk-1", "--undo", "--instead"),
                  ("checkin", "desk-1", "R-0001", "--form", "htn"), ("checkin", "desk-1", "R-0001", "--purpose")):
        expects(words, "usage: vitalgate checkin STATION R")
    expects(("checkout",), "usage: vitalgate checkout STATION")


# --- alerts

ALERT = {"id": "4a14bcde00112233445566778899aabb", "severity": "warning", "state": "active", "condition": "bp-high",
         "resident": "R-0001", "to": {"role": "doctor", "token": "D-0001"}, "delivery": "at_platform",
         "raised": "2026-11-22T02:00:00.000Z", "labels": ["unconfirmed", "late"], "text_en": "In words.", "text_zh": "说明。",
         "rules": [{"id": "x", "kind": "bp.sbp", "value": 165, "unit": "mm[Hg]", "text_en": "pressure high",
                    "text_zh": "血压高"}]}
WORSE = {**ALERT, "id": "5b25" + ALERT["id"][4:], "severity": "critical", "state": "latched", "resident": None,
         "to": {"role": None, "token": None}, "raised": "2026-11-22T03:00:00.000Z", "labels": [], "delivery": "queued",
         "acknowledged": {"by": "local:x", "outcome": "not_reached"}}


def check_alerts():
    asks(("alerts",), "alerts", {"limit": 50})
    asks(("alerts", "--open"), "alerts", {"limit": 50})
    asks(("alerts", "--all", "--since", "2026-11-21", "--resident", "R-0001", "--limit", "7"), "alerts",
         {"all": True, "limit": 7, "since": "2026-11-21", "resident": "R-0001"})
    asks(("alerts", "--morning"), "alerts", {"morning": True, "limit": 50})
    asks(("alerts", "--history", "4a14"), "alerts", {"history": "4a14"})
    asks(("alerts", "--display", "desk-1"), "display", {"station": "desk-1"},
         answers=({"text_en": "sit", "text_zh": "坐"},))
    answer = {"alerts": [ALERT, WORSE, {**WORSE, "raised": "2026-11-22T01:00:00.000Z"}],
              "repeats": [{"reading": "77665544", "severity": "critical", "device": "cuff-1", "condition": "spo2-low",
                           "labels": ["low_perfusion"], "due": "2026-11-22T02:00:00.000Z"}]}
    shown = asks(("alerts",), "alerts", {"limit": 50}, answers=(answer,)).splitlines()
    assert [line[:8] for line in shown] == ["id      ", "5b25bcde", "5b25bcde", "4a14bcde", "repeat t", "77665544"], shown
    assert shown[1] < shown[2] and "over, open" in shown[1] and "not reached" in shown[1], shown
    assert re.search(r"warning +active +R-0001 +doctor D-0001 +at the platform +pressure high: Systolic blood pressure 165 mmHg "
                     r"\[one measurement, not confirmed yet; arrived late\]$", shown[3]), shown[3]
    assert "low oxygen saturation [weak perfusion]" in shown[5], shown[5]
    zh = asks(("alerts",), "alerts", {"limit": 50}, answers=(answer,), lang="zh")
    for text in ("危急", "已解除待确认", "责任医生 D-0001", "平台已收", "单次测量，尚未确认；数据迟到", "灌注弱", "血压高：收缩压 165 mmHg"):
        assert text in zh, f"{text} is not in {zh}"
    assert asks(("alerts",), "alerts", {"limit": 50}, answers=({"alerts": [], "repeats": []},)) == "no alert\n"
    history = {"alert": ALERT, "history": [
        {"revision": 1, "at": "2026-11-22T02:00:00.000Z", "phase": "start", "severity": "warning", "level": "warning",
         "role": "doctor", "to": "D-0001", "deliver": "now", "labels": []},
        {"revision": 2, "at": "2026-11-22T06:00:00.000Z", "phase": "update", "severity": "warning", "level": "none",
         "role": "chain", "to": "H-0001", "deliver": "now", "labels": ["nobody_answered"],
         "ack": {"by": "local:x/D-0001", "outcome": "referred"}},
        {"revision": 3, "at": None, "phase": "end", "severity": "warning", "level": "none",
         "role": "chain", "to": "H-0001", "deliver": "now", "labels": []}]}
    shown = asks(("alerts", "--history", "4a14"), "alerts", {"history": "4a14"}, answers=(history,))
    assert shown.startswith(ALERT["id"] + "  R-0001\nIn words.\n"), shown
    assert "raised" in shown and "next in the chain H-0001" in shown and "local:x/D-0001 referred" in shown, shown
    assert "  3  time unknown    " in shown, shown
    for words in (("alerts", "x"), ("alerts", "--open", "--all"), ("alerts", "--follow", "--limit", "3"),
                  ("alerts", "--limit", "0"), ("alerts", "--limit", "x"), ("alerts", "--history"),
                  ("alerts", "--display", "desk-1", "--resident", "R-0001"), ("alerts", "--by", "D-0001")):
        expects(words, "usage: vitalgate alerts")
    expects(("alerts", "--follow", "--since", "2026-11-21"), "--since takes the last \"n\"")
    expects(("alerts", "--history"), "option --history is not known, or something is missing")
    expects(("alerts", "--frob"), "option --frob is not known")
    assert "option" not in run("alerts", "--frob", lang="zh").stderr


def check_acknowledging():
    shown = asks(("ack", "4a14", "reached", "--by", "D-0001"), "ack", {"alert": "4a14", "outcome": "reached"}, by="D-0001",
                 answers=({"alert": ALERT["id"], "state": "inactive", "outcome": "reached"},))
    assert shown == "4a14bcde: reached; over\n", shown
    asks(("ack", "4a14", "artefact", "--revision", "3"), "ack", {"alert": "4a14", "outcome": "artefact", "revision": 3})
    asks(("seen", "4a14", "--by", "D-0001"), "alert_read", {"alert": "4a14"}, by="D-0001")
    for words in (("ack", "4a14"), ("ack",), ("ack", "4a14", "reached", "x"), ("ack", "4a14", "reached", "--revision", "0"),
                  ("ack", "4a14", "reached", "--revision", "1x"), ("ack", "4a14", "reached", "--all")):
        expects(words, "usage: vitalgate ack ALERT OUTCOME", "reached", "advised", "referred", "not_reached", "artefact")
    expects(("seen",), "usage: vitalgate seen ALERT")


def check_rota():
    asks(("absence", "D-0001", "2026-12-01", "2026-12-08"), "absence",
         {"member": "D-0001", "from": "2026-12-01", "to": "2026-12-08"})
    asks(("absence", "D-0001", "2026-12-01", "2026-12-08", "D-0002", "--by", "D-0001"), "absence",
         {"member": "D-0001", "from": "2026-12-01", "to": "2026-12-08", "deputy": "D-0002"}, by="D-0001")
    asks(("absence", "D-0001", "2026-12-01", "--undo"), "absence", {"member": "D-0001", "from": "2026-12-01", "end": True})
    asks(("duty", "T-0001", "D-0002", "2026-12-05T18:00", "2026-12-06T08:00"), "duty",
         {"team": "T-0001", "member": "D-0002", "from": "2026-12-05T18:00", "to": "2026-12-06T08:00"})
    asks(("duty", "T-0001", "D-0002", "2026-12-05T18:00", "--undo"), "duty",
         {"team": "T-0001", "member": "D-0002", "from": "2026-12-05T18:00", "end": True})
    answer = {"steps": [{"token": "D-0001", "role": "doctor", "to": {"token": "D-0002", "role": "deputy"}},
                        {"token": "H-0001", "role": "chain", "to": {"token": None, "role": None}},
                        {"token": "I-0001", "role": "institution", "to": {"token": "I-0001", "role": "institution"}}],
              "absences": [{"member": "D-0001", "from": "2026-12-01T00:00:00.000Z", "to": "2026-12-08T00:00:00.000Z",
                            "deputy": "D-0002"}], "duties": []}
    shown = asks(("rota", "R-0001", "--at", "2026-12-02T08:00"), "rota", {"resident": "R-0001", "at": "2026-12-02T08:00"},
                 answers=(answer,))
    assert shown == ("1  doctor D-0001: deputy D-0002\n2  next in the chain H-0001: nobody is there\n"
                     "3  institution I-0001\nabsent D-0001 12-01 00:00:00 - 12-08 00:00:00 D-0002\n"), shown
    for words in (("absence", "D-0001"), ("absence", "D-0001", "2026-12-01"), ("absence", "D-0001", "1", "2", "--undo"),
                  ("absence", "D-0001", "1", "2", "3", "4")):
        expects(words, "usage: vitalgate absence MEMBER")
    for words in (("duty", "T-0001", "D-0001"), ("duty", "T-0001", "D-0001", "1"), ("duty", "T-0001", "D-0001", "1", "--undo", "2")):
        expects(words, "usage: vitalgate duty TEAM")


def check_zone():
    """Times are shown as they are typed: in the gateway's zone, whatever the machine's is."""
    path = Path(FOLDER.name) / "vitalgate.yaml"
    path.write_text(f"version: 1\norg: demo\nsite: village\ngateway: gw-0001\nzone: Asia/Shanghai\n"
                    f"paths: {{runtime: {FOLDER.name}}}\n", encoding="utf-8")
    for env, want in (({}, "12-01 00:00:00 - 12-08 00:00:00"), ({"TZ": "UTC"}, "11-30 16:00:00 - 12-07 16:00:00")):
        DAEMON.answers[:] = [{"steps": [], "duties": [], "absences": [
            {"member": "D-0001", "from": "2026-11-30T16:00:00.000Z", "to": "2026-12-07T16:00:00.000Z", "deputy": "D-0002"}]}]
        done = subprocess.run([PROGRAM, "--config", path, "--lang", "en", "rota"], capture_output=True, text=True, timeout=60,
                              check=False, env={"LC_ALL": "C.UTF-8", **env})
        assert done.stdout == f"absent D-0001 {want} D-0002\n", done


def check_limit():
    asks(("limit", "R-0001", "bp.sbp", "at_least", "150", "warning", "--day", "2026-12-31", "--reason", "kidneys", "--by",
          "D-0001"), "limit", {"resident": "R-0001", "kind": "bp.sbp", "at_least": "150", "severity": "warning",
                               "until": "2026-12-31", "reason": "kidneys"}, by="D-0001")
    asks(("limit", "R-0001", "bp.sbp", "at_least", "190", "confirm", "--by", "D-0002"), "limit",
         {"resident": "R-0001", "kind": "bp.sbp", "at_least": "190", "confirm": True}, by="D-0002")
    end = {"resident": "R-0001", "kind": "bp.sbp", "at_least": "0", "end": True}
    answer = {"resident": "R-0001", "limit": "bp.sbp at_least 190 critical pending", "state": "pending",
              "next_en": "It waits.", "next_zh": "待确认。"}
    for lang, limit, said in (("en", "Systolic blood pressure at least 190 mmHg critical pending", "It waits."),
                              ("zh", "收缩压 ≥190 mmHg 危急 待复核", "待确认。")):
        shown = asks(("limit", "R-0001", "bp.sbp", "at_least", "end", "--by", "D-0001"), "limit", end, by="D-0001", lang=lang,
                     answers=(answer,))
        assert shown == f"R-0001  {limit}\n{said}\n", shown
    for words in (("limit", "R-0001", "bp.sbp", "above", "150", "warning"), ("limit", "R-0001", "bp.sbp", "at_least", "150")):
        expects(words, "usage: vitalgate limit R KIND")


def check_stations():
    answer = {"stations": [{"id": "desk-1", "resident": "R-0001", "purpose": "exam", "devices": ["cuff-1", "lab-1"],
                            "measured": [{"reading": "1a"}, {"reading": "2b"}],
                            "booked": [{"resident": "R-0002", "at": "08:30", "purpose": "follow-up", "was_here": False},
                                       {"resident": "R-0003", "purpose": "exam", "was_here": True}]},
                           {"id": "desk-2", "resident": None, "devices": []}]}
    shown = asks(("stations",), "stations", {}, answers=(answer,))
    assert shown == ("desk-1: R-0001 (exam), 2 readings; cuff-1 lab-1\n  08:30 R-0002 follow-up\n"
                     "        R-0003 exam  was here\ndesk-2: nobody\n"), shown
    expects(("stations", "desk-1"))


def check_book():
    day = {"station": "desk-1", "day": "2026-11-21"}
    asks(("book", "desk-1", "R-0001", "R-0002@08:30", "--day", "2026-11-21"), "book",
         {**day, "residents": [{"resident": "R-0001"}, {"resident": "R-0002", "at": "08:30"}]})
    path = Path(FOLDER.name) / "list.csv"
    path.write_text("token,at,purpose\nR-0001,08:00,exam\nR-0002,,\n", encoding="utf-8")
    asks(("book", "desk-1", path, "--day", "2026-11-21"), "book",
         {**day, "residents": [{"resident": "R-0001", "at": "08:00", "purpose": "exam"}, {"resident": "R-0002"}]})
    asks(("book", "desk-1", "R-0001"), "book", {"station": "desk-1", "residents": [{"resident": "R-0001"}]})
    path.write_text("name,at\nR-0001,08:00\n", encoding="utf-8")
    done = run("book", "desk-1", path)
    assert done.returncode == 1 and "list.csv:2: expected a resident" in done.stderr and not DAEMON.asked
    assert run("book", "desk-1", "none.csv").returncode == 1 and not DAEMON.asked
    expects(("book", "desk-1", "R-0001", "--day", "21.11."), "2026-11-21")
    expects(("book", "desk-1"), "usage")


# --- readings

def check_readings():
    asks(("split", "1a2b", "R-0002"), "split", {"reading": "1a2b", "resident": "R-0002"})
    asks(("void", "last@desk-1", "cuff", "over", "the", "coat"), "void",
         {"reading": "last@desk-1", "reason": "cuff over the coat"})
    one = {"reading": "1a2b3c4d5e6f", "resident": "R-0001", "revision": 2, "status": "amended",
           "values": {"glu.fasting": {"value": 6.8, "unit": "mmol/L"}}, "notes": {"meal": "fasting"}}
    shown = asks(("annotate", "last", "fasting", "arm=left", "坐位", "operator=nurse"), "annotate",
                 {"reading": "last", "meal": "fasting", "arm": "left", "posture": "sitting", "operator": "nurse"},
                 answers=(one,))
    assert shown == "1a2b3c4d  R-0001  Fasting glucose 6.8 mmol/L  meal=fasting  done\n", shown
    asks(("annotate", "last", "2h"), "annotate", {"reading": "last", "meal": "postprandial_2h"})
    for words in (("annotate", "last", "hungry"), ("annotate", "last", "arm=foot"), ("annotate", "last", "leg=left"),
                  ("annotate", "last", "fasting", "=")):
        expects(words, "expected one of", "arm: left, right", "meal: fasting", "operator: nurse")
    expects(("annotate", "last"), "usage: vitalgate annotate READING")
    expects(("void", "last"), "usage: vitalgate void READING REASON")
    expects(("split", "last"), "usage")


def check_enter():
    asks(("enter", "R-0001", "bp=150/90"), "enter",
         {"resident": "R-0001", "values": {"bp.sbp": "150", "bp.dbp": "90"}})
    asks(("enter", "R-0001", "bp=150/90/72", "left", "sitting", "--at", "08:05"), "enter",
         {"resident": "R-0001", "values": {"bp.sbp": "150", "bp.dbp": "90", "bp.pulse": "72"}, "arm": "left",
          "posture": "sitting", "taken": "08:05"})
    asks(("enter", "R-0001", "weight=130jin", "waist=88 cm", "temp=36.6", "glu.random=>33.3", "spo2=97%",
          "lipid.tc=200mg/dL", "meal=fasting"), "enter",
         {"resident": "R-0001",
          "values": {"weight": "130", "waist": "88", "temp": "36.6", "glu.random": ">33.3", "spo2": "97",
                     "lipid.tc": "200"},
          "units": {"weight": "jin", "waist": "cm", "spo2": "%", "lipid.tc": "mg/dL"}, "meal": "fasting"})
    # what is no number goes to the daemon as it is: it knows what was expected
    asks(("enter", "R-0001", "waist=wide"), "enter", {"resident": "R-0001", "values": {"waist": "wide"}})
    refused = {"error": {"code": "bad_value", "en": "expected 30.0 to 250.0 cm", "zh": "应为"}}
    done = run("enter", "R-0001", "waist=8", answers=(refused,))
    assert done.returncode == 1 and "expected 30.0" in done.stderr and not done.stdout
    expects(("enter", "R-0001"), "usage: vitalgate enter R")
    expects(("enter", "R-0001", "waist=88", "foot"), "expected one of")
    expects(("enter", "R-0001", "meal=hungry"), "meal: fasting, postprandial_2h, random")


# --- residents

def check_people():
    asks(("card", "R-0001"), "card", {"resident": "R-0001", "card": "CARD-7"}, stdin="CARD-7\n")
    assert run("card", "R-0001").returncode == 1 and not DAEMON.asked
    expects(("card", "R-0001", "CARD-7"), "usage")
    asks(("merge", "R-0002", "R-0001", "--by", "D-0001"), "merge", {"resident": "R-0002", "into": "R-0001"}, by="D-0001")
    for command in ("died", "moved", "withdraw"):
        asks((command, "R-0001"), command, {"resident": "R-0001"})
        asks((command, "R-0001", "2026-11-20"), command, {"resident": "R-0001", "on": "2026-11-20"})
        expects((command, "R-0001", "yesterday"), "2026-11-21")
        expects((command,), f"usage: vitalgate {command} R")
    shown = asks(("erase", "R-0001", "asked", "by", "the", "resident"), "erase",
                 {"resident": "R-0001", "reason": "asked by the resident"}, answers=({"readings": 12, "visits": 2},))
    assert "readings: 12" in shown and "visits: 2" in shown
    expects(("erase", "R-0001"), "usage")
    asks(("team", "T-1"), "team", {"team": "T-1"})
    asks(("team", "T-1", "D-0001=doctor", "N-0001=nurse,08:00-17:00"), "team",
         {"team": "T-1", "members": [{"member": "D-0001", "role": "doctor"},
                                     {"member": "N-0001", "role": "nurse", "hours": "08:00-17:00"}]})
    expects(("team", "T-1", "D-0001"), "D-0001=doctor")
    shown = asks(("resident", "R-0001"), "resident", {"resident": "R-0001"},
                 answers=({"resident": "R-0001", "state": "active", "age": [60, 64]},))
    assert "state: active" in shown and "range" in shown
    shown = run("resident", "R-0001", lang="zh", answers=({"resident": "R-0001", "state": "active", "age": [60, 60],
                                                           "merged_into": None, "chain": [], "setting": ""},)).stdout
    assert shown == "居民: R-0001\n状态: 在管\n年龄: 60\n", shown


# --- visits and lists

def check_visit():
    vid = "1a2b3c4d5e6f708192a3b4c5d6e7f809"
    shown = asks(("visit", "open", "R-0001", "htn", "--way", "3"), "visit_open",
                 {"resident": "R-0001", "form": "htn", "way": "3"}, answers=({"visit": vid, "form": "hypertension_followup_v3", "day": "2026-11-21",
                                                                           "state": "open"},))
    assert shown == "1a2b3c4d  Hypertension follow-up  2026-11-21  open\n", shown
    asks(("visit", "close", "1a2b"), "visit_close", {"visit": "1a2b"})
    asks(("visit", "set", "1a2b", "complication=1", "adverse_reaction=1"), "visit_set",
         {"visit": "1a2b", "answers": {"complication": "1", "adverse_reaction": "1"}})
    asks(("visit", "confirm", "1a2b", "--by", "D-0001"), "visit_confirm", {"visit": "1a2b"}, by="D-0001")
    asks(("visit", "correct", "1a2b", "weight=65", "--reason", "typing error"), "visit_correct",
         {"visit": "1a2b", "answers": {"weight": "65"}, "reason": "typing error"})
    asks(("visit", "void", "1a2b", "wrong", "resident"), "visit_void", {"visit": "1a2b", "reason": "wrong resident"})
    asks(("visit", "elsewhere", "R-0001", "t2dm", "2026-10-01", "way=1", "class=2", "by=D-0009", "--by", "N-0001"),
         "visit_elsewhere", {"resident": "R-0001", "form": "t2dm", "day": "2026-10-01", "way": "1", "class": "2",
                             "by": "D-0009"}, by="N-0001")
    for words, says in ((("open", "R-0001"), "open R htn"), (("open", "R-0001", "hypertension"), "htn, t2dm"),
                        (("set", "1a2b"), "set VISIT"), (("set", "1a2b", "complication"), "set VISIT"),
                        (("close",), "close VISIT"), (("confirm", "1a2b", "1a2c"), "confirm VISIT"),
                        (("correct", "1a2b", "weight=65"), "--reason"), (("void", "1a2b"), "void VISIT REASON"),
                        (("elsewhere", "R-0001", "htn"), "elsewhere R FORM DAY"),
                        (("elsewhere", "R-0001", "htn", "2026-10-01", "doctor=D"), "class="),
                        (("elsewhere", "R-0001", "htn", "October"), "elsewhere"), (("delete", "1a2b"), "correct VISIT KEY=VALUE"),
                        ((), "usage: vitalgate visit")):
        expects(("visit", *words), says)


def check_visit_of_a_resident():
    """Who stands before the nurse is a resident, not a number of 32 digits."""
    def visits(*states):
        return {"visits": [{"id": f"{i}a2b3c4d5e6f708192a3b4c5d6e7f809", "state": state, "form": "hypertension_followup_v3",
                            "day": "2026-11-21"} for i, state in enumerate(states, 1)]}
    asks(("visit", "confirm", "R-0001", "--by", "D-0001"), "visit_confirm",
         {"visit": "2a2b3c4d5e6f708192a3b4c5d6e7f809"}, by="D-0001",
         answers=(visits("confirmed", "closed", "entered-in-error"), {}))
    assert DAEMON.asked[0]["cmd"] == "followup" and DAEMON.asked[0]["args"] == {"resident": "R-0001"}
    asks(("visit", "set", "R-0001", "complication=1", "--form", "t2dm"), "visit_set",
         {"visit": "1a2b3c4d5e6f708192a3b4c5d6e7f809", "answers": {"complication": "1"}}, answers=(visits("open"), {}))
    assert DAEMON.asked[0]["args"] == {"resident": "R-0001", "form": "t2dm"}
    for states, says in ((("open", "open"), ("2 visits", "1a2b3c4d", "2a2b3c4d")), (("confirmed",), ("0 visits",))):
        done = run("visit", "close", "R-0001", answers=(visits(*states),))
        assert done.returncode == 1 and len(DAEMON.asked) == 1, DAEMON.asked
        assert all(text in done.stderr for text in says), done.stderr
    done = run("visit", "close", "R-0009", answers=({"error": {"code": "unknown_resident", "en": "no such", "zh": "无"}},))
    assert done.returncode == 1 and "no such" in done.stderr and len(DAEMON.asked) == 1


def check_lists():
    asks(("plan", "R-0001", "htn", "2026-12-01"), "plan", {"resident": "R-0001", "form": "htn", "day": "2026-12-01"})
    expects(("plan", "R-0001", "htn", "soon"), "2026-11-21")
    expects(("plan", "R-0001", "high", "2026-12-01"), "htn, t2dm, elderly or copd")
    item = {"resident": "R-0001", "list": "due", "form": "htn", "reason": "refollowup", "date": "2026-11-14", "days": 7,
            "level": "yellow", "in_contract": True}
    answer = {"items": [item, {**item, "list": "recheck", "form": None, "reason": "open", "days": 1, "level": None,
                               "in_contract": False}]}
    shown = asks(("due", "2026-11-21"), "due", {"day": "2026-11-21", "limit": 500}, answers=(answer,))
    assert shown == ("due\n  R-0001           hypertension    2026-11-14  overdue, 7 days  re-follow-up\n"
                     "re-check pressure\n  R-0001                           2026-11-14  open  no contract\n"), shown
    assert "血压复测" in run("due", answers=(answer,), lang="zh").stdout
    assert DAEMON.asked[-1]["args"] == {"limit": 500}
    assert asks(("due",), "due", {"limit": 500}, answers=({"items": []},)) == "nothing is due\n"
    # pages come resident by resident; lists are shown one after the other
    pages = ({"items": [{**item, "list": "recheck"}, {**item, "resident": "R-0002"}], "next": "R-0002"},
             {"items": [{**item, "resident": "R-0003"}, {**item, "resident": "R-0003", "form": "copd"}], "next": None})
    shown = json.loads(asks(("due", "--json"), "due", {"after": "R-0002", "limit": 500}, answers=pages))
    assert [(i["list"], i["resident"], i["form"]) for i in shown["items"]] == [
        ("due", "R-0002", "htn"), ("due", "R-0003", "copd"), ("due", "R-0003", "htn"), ("recheck", "R-0001", "htn")]
    assert len(DAEMON.asked) == 2 and "next" not in shown
    done = run("due", answers=(pages[0], {"error": {"code": "clock_not_set", "en": "no clock", "zh": "无"}}))
    assert done.returncode == 1 and not done.stdout and done.stderr.count("no clock") == 1, done
    expects(("due", "today"), "2026-11-21")
    shown = asks(("kpi", "2026-11"), "kpi", {"month": "2026-11"},
                 answers=({"htn": {"enrolled": 300, "managed": 200, "visits": 500, "standard": 150, "controlled": 120,
                                   "in_contract": 180}, "elderly": {"enrolled": 9, "managed": 3, "age_unknown": 1}},))
    assert "300  enrolled" in shown and "120  controlled" in shown and "of unknown age" in shown, shown
    asks(("kpi",), "kpi", {})
    for month in ("2026", "2026-13", "2026-11-01", "november"):
        expects(("kpi", month), "2026-11")


# --- the form

FORM = {"resident": "R-0001", "visits": [{
    "id": "1a2b3c4d5e6f708192a3b4c5d6e7f809", "state": "open", "origin": "here", "day": "2026-11-21", "way": None,
    "form": "hypertension_followup_v3", "fields": [
        {"key": "visit_date", "zh": "随访日期", "en": "Date of the visit", "filled": True, "by": "derived",
         "value": "2026-11-21", "text": "2026-11-21", "rule": "visit_date"},
        {"key": "bp", "zh": "体征-血压", "en": "Blood pressure", "filled": True, "by": "device", "systolic": 151, "diastolic": 92,
         "unit": "mm[Hg]", "text": "151/92", "note": "third_needed", "readings": ["aabbccdd00112233", "eeff001122334455"],
         "evidence": {"arms": [{"arm": "left", "systolic": 140, "diastolic": 90}, {"arm": "right", "systolic": 151, "diastolic": 92}],
                      "home_week": {"from": "2026-11-14", "to": "2026-11-20", "n": 12, "days": 6, "systolic": 138,
                                    "diastolic": 84, "verdict": "high"}}},
        {"key": "weight", "zh": "体重", "en": "Weight", "filled": True, "by": "device", "value": 65.0, "unit": "kg", "text": "65.00"},
        {"key": "height", "zh": "身高", "en": "Height", "filled": True, "by": "device", "value": 170.0, "unit": "cm", "text": "170.0",
         "from": "2026-01-05"},
        {"key": "heart_rate", "zh": "心率", "en": "Heart rate", "filled": True, "by": "person", "value": "70", "text": "70",
         "evidence": {"proposed": {"by": "device", "value": 72, "unit": "/min", "text": "72"}}},
        {"key": "fasting", "zh": "空腹血糖", "en": "Fasting", "filled": False, "note": "beyond_range",
         "evidence": {"beyond_range": [{"kind": "glu.fasting", "comparator": ">", "value": 33.3}]}},
        {"key": "hypoglycaemia", "zh": "低血糖反应", "en": "Low glucose", "filled": False,
         "evidence": {"hypo": {"episodes": 2, "lowest": 3.1, "unit": "mmol/L", "since": "2026-08-01"}}},
        {"key": "auxiliary_tests", "zh": "辅助检查", "en": "Tests", "filled": True, "by": "device", "items": [
            {"kind": "lipid.tc", "zh": "总胆固醇值", "value": 5.17, "unit": "mmol/L", "text": "5.17", "day": "2026-10-01",
             "reading": "0123456789abcdef"}]},
        {"key": "complication", "zh": "并发症", "en": "Complication", "filled": True, "by": "person", "value": "1", "text": "1",
         "choices": "1无 2有 + which"},
        {"key": "classification", "zh": "此次随访分类", "en": "Class", "filled": False, "evidence": {"proposed": 2}},
        {"key": "symptoms", "zh": "症状", "en": "Symptoms", "filled": False}],
    "proposed": {"at_goal": "no", "goal_why": "", "class": 2, "class_why": "answers_missing", "referrals": ["bp_urgent"],
                 "next_visit_date": "2026-12-05", "measures": 4}}],
    "forms": [{"form": "t2dm_followup_v3", "fields": [
        {"key": "fasting_glucose", "zh": "空腹血糖值", "en": "Fasting glucose", "filled": False}],
        "latest": {"glu.fasting": {"value": 6.8, "unit": "mmol/L", "day": "2026-11-01", "grade": "device"}}}]}


def lines_of(shown):
    """By label; the first of each."""
    found = {}
    for line in shown.splitlines():
        found.setdefault(re.split(r"  +", line.strip())[0], line)
    return found


def check_followup():
    shown = asks(("followup", "R-0001", "--text"), "followup", {"resident": "R-0001"}, answers=(FORM,), lang="zh")
    rows = lines_of(shown)
    for label, *says in (("体征-血压", "151/92 mmHg", "〔建议〕", "请测第三次", "依据 aabbccdd eeff0011", "左臂 140/90", "右臂 151/92",
                          "家庭血压 2026-11-14 至 2026-11-20：138/84，偏高"),
                         ("体重", "65.00 kg", "〔建议〕"), ("身高", "170.0 cm", "测于 2026-01-05"),
                         ("心率", "70", "〔本人填写〕", "〔建议〕 72 次/分"), ("空腹血糖", "____", "超出仪器量程", ">33.3"),
                         ("低血糖反应", "____", "2 次低血糖（自 2026-08-01），最低 3.1"), ("辅助检查", "〔建议〕"),
                         ("总胆固醇值", "5.17 mmol/L", "2026-10-01", "01234567"), ("并发症", "1 无", "〔本人填写〕"),
                         ("此次随访分类", "____", "〔建议〕 2 控制不满意"), ("是否达标", "未达标"), ("转诊", "血压危急升高"),
                         ("下一步管理措施", "4 紧急转诊"), ("下次随访日期", "2026-12-05"), ("空腹血糖值", "6.8 mmol/L", "2026-11-01")):
        for text in says:
            assert text in rows[label], f"{label}: {rows[label]}"
    assert "〔建议〕" not in rows["并发症"] and rows["症状"].rstrip().endswith("____")
    assert "随访方式：____" in shown and "建议，未确认" in shown and "不填入表格" in shown
    order = [shown.index(f"\n  {label} ") for label in ("随访日期", "体征-血压", "体重", "并发症", "症状", "是否达标")]
    assert order == sorted(order)
    assert "\x1b" not in shown  # the marks are words: they survive a black and white printer
    english = asks(("followup", "R-0001", "--form", "htn"), "followup", {"resident": "R-0001", "form": "htn"}, answers=(FORM,))
    assert "[proposed]" in english and "[answered]" in english and "____" in english
    assert set(CHINESE.findall(english)) <= set(CHINESE.findall("总胆固醇值")), CHINESE.findall(english)
    assert json.loads(asks(("followup", "R-0001", "--json"), "followup", {"resident": "R-0001"}, answers=(FORM,))) == FORM
    expects(("followup", "R-0001", "--form", "diabetes"), "htn, t2dm, elderly or copd")
    expects(("followup",), "usage: vitalgate followup R")


def check_followup_confirmed():
    """Nothing of it looks like a proposal any more."""
    def shows(**more):
        answer = {"resident": "R-0001", "visits": [{**FORM["visits"][0], **more}]}
        return run("followup", "R-0001", answers=(answer,), lang="zh").stdout.split("\n", 1)[1]
    body = shows(state="confirmed", way=1)
    assert "建议" not in body, body
    assert "〔本人填写〕" in body and "确认结果" in body and "门诊" in body
    assert "2 控制不满意" in lines_of(body)["此次随访分类"] and "〔已确认〕" in lines_of(body)["此次随访分类"]
    assert "〔已确认〕" in lines_of(body)["体征-血压"]
    one = [{**f, "evidence": {"arms": f["evidence"]["arms"][:1]}} if f["key"] == "bp" else f for f in FORM["visits"][0]["fields"]]
    assert "左臂" not in shows(fields=one)  # the value says it already
    assert "〔已确认〕" not in shows() and "〔已确认〕" not in shows(state="closed")
    assert "外机构" in shows(state="confirmed", origin="elsewhere") and "已作废" in shows(state="entered-in-error")


# --- all of them

def check_help():
    for lang in ("en", "zh"):
        text = run("help", lang=lang).stdout
        for command in ("checkin checkout stations book split void annotate enter visit plan due kpi followup resident "
                        "card team merge died moved withdraw erase").split():
            assert re.search(rf"^  {command}\b", text, re.M), command
            shown = run(command, "--help", lang=lang)
            assert shown.returncode == 0 and f"vitalgate {command}" in shown.stdout, shown
            assert command != "visit" or "elsewhere" in shown.stdout and len(shown.stdout.splitlines()) > 7
            assert bool(CHINESE.search(shown.stdout)) == (lang == "zh")


def check_options():
    """Everywhere on the line; what a command does not take is refused; a word of ours behind another command is its argument."""
    asks(("--json", "checkout", "desk-1"), "checkout", {"station": "desk-1"})
    assert run("checkout", "desk-1", "--json", answers=({"station": "desk-1"},)).stdout.startswith("{")
    assert run("checkout", "--lang", "zh", "desk-1").stdout == "完成\n"
    asks(("--by", "N-0001", "checkout", "desk-1"), "checkout", {"station": "desk-1"}, by="N-0001")
    expects(("checkout", "desk-1", "--undo"), "usage")
    expects(("checkout", "desk-1", "--frobnicate"), "usage")
    asks(("ack", "1234", "reached", "--by", "D-0001"), "ack", {"alert": "1234", "outcome": "reached"}, by="D-0001")
    asks(("assign", "1234", "team", "--by", "D-0001"), "assign", {"reading": "1234", "resident": "team"}, by="D-0001")


def check_not_utf8():
    done = subprocess.run([str(PROGRAM).encode(), b"--socket", DAEMON.path.encode(), b"void", b"last", b"\xb4\xed"],
                          capture_output=True, timeout=60, check=False, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode == 1 and b"UTF-8" in done.stderr


def main():
    checks = [(name[6:], check) for name, check in globals().items() if name.startswith("check_")]
    harness.Tap().all(checks)


if __name__ == "__main__":
    main()
