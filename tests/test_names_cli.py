#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every word that the daemon can emit has a name in Chinese: they are read from its sources and tables, and shown by the
companion program, of which a test plays the daemon. A nurse reads names; scripts read --json, which stays as it is."""
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from test_words_cli import CHINESE, DAEMON, PROGRAM, ROOT, run  # noqa: E402

STRANGE = "zz_strange"
QUOTED = r'"([A-Za-z][a-z0-9_-]*)"'


def source(name):
    return (ROOT / name).read_text(encoding="utf-8")


def between(text, begin, end):
    at = text.index(begin)
    return text[at:text.index(end, at)]


def words(name, begin, end):
    """The quoted words of a stretch of a source."""
    return set(re.findall(QUOTED, between(source(name), begin, end)))


def found(pattern, *names):
    return {w for name in names for w in re.findall(pattern, source(name), re.S)}


def sources(folder="daemon"):
    return [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / folder).glob("*.c"))]


def comment(table, column):
    """What the schema says of a column: "open, closed"."""
    line = re.search(rf"\n\t{column} TEXT[^\n]*?-- ([^\n]*)", between(source("daemon/schema.sql"), f"CREATE TABLE {table} ", ";\n"))
    return set(re.findall(r"[a-z][a-z-]+", line[1]))


def codes():
    lines = [line for line in source("config/codes.csv").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


# --- the words of each kind, from where the daemon has them

def evidence():
    nobody = re.findall(r"nobody\((?!const)(.*?)\);", source("daemon/resident.c"), re.S)
    return set(re.findall(QUOTED, " ".join(nobody))) | \
        found(r'evidence = [^;,}]*?"(\w+)"', *sources()) | found(r"evidence='(\w+)'", *sources()) | \
        found(r'\.evidence = [^;,}]*? : "(\w+)"', "daemon/resident.c") | \
        words("daemon/resident.c", "static const char *differ", "\n}\n") | \
        found(r'\[STATION_\w+\] = "(\w+)"', "daemon/resident.c") | found(r'why = "(\w+)"', "daemon/resident.c") | \
        found(r'after_handover\[\] = "(\w+)"', "daemon/resident.c")


def events():
    return found(r'(?:intake_event|news_tell|session_add_event)\([^;]*?[ (]"([a-z_]+)"[,)]', *sources()) | \
        found(r'[ (]tell\(c, "(\w+)"', "daemon/resident_command.c") | \
        found(r'struct change\)\{[^}]*"(\w+)"\}', "daemon/resident_command.c") | \
        words("daemon/session_calls.c", "types[VG_EVENTS]", ";") | words("daemon/session.c", "names[VG_RESULTS]", ";")


DEVICE_STATES = ("ble ble_socket rfcomm rfcomm_socket serial modbus_poll spool_folder spool_worker replay advert "
                 "bluez_adapter").split()


def device_states():
    every = {"stopped"} | words("daemon/modbus_bus.c", "*trouble_of(", "\n}\n") | \
        words("daemon/modbus_bus.c", "*absence_of(", "\n}\n") | words("daemon/bluez_watch.c", "*bluez_trouble(", "\n}\n") | \
        found(r'\bend\(r, "(\w+)"', "daemon/replay.c") | found(r'return "(\w+)";', "daemon/replay.c", "daemon/spool_folder.c")
    for name in DEVICE_STATES:
        text = source(f"daemon/{name}.c")
        every |= set(re.findall(r'\bstate = "([a-z-]+)"', text)) | \
            set(re.findall(r'(?:set|poll)_state\([^"]*?"([a-z-]+)"', text))
        for body in re.findall(r"\nconst char \*\w*state\([^{]*\{.*?\n\}\n|\nstatic const char \*\w*state\([^{]*\{.*?\n\}\n", text, re.S):
            every |= set(re.findall(QUOTED, body))
    return every


def notes():
    return words("drivers/bt_glucose.c", "foods[]", "struct buf b")


PROPOSAL = [name for name in sources() if name.startswith("daemon/proposal")]
ANNOTATIONS = {key: re.findall(r'"(\w+)"', values) for key, values in re.findall(
    r'\{"(\w+)",\s*"[^"]*",\s*\{([^}]*)\}', between(source("daemon/annotation.c"), "keys[ANNOTATIONS_MAX]", "\n};"))}


def reading(**more):
    return {"readings": [{"id": "1a2b3c4d5e6f", "resident": "R-0001", "device": {"id": "cuff-1"},
                          "identity": {"evidence": "checkin", **more.pop("identity", {})},
                          "time": {"taken": "2026-11-22T02:00:00.000Z", "trust": "live", **more.pop("time", {})},
                          "values": {"temp": {"value": 36.6, "unit": "Cel"}}, "flags": [], **more}]}


def one(**more):
    return {"reading": "1a2b3c4d5e6f", "resident": "R-0001", "values": {}, "notes": {}, **more}


def resident(**more):
    return {"resident": "R-0001", **more}


def due(**more):
    return {"items": [{"resident": "R-0001", "list": "due", "form": "htn", "reason": "planned", "date": "2026-11-14",
                       "days": 7, "level": "yellow", "in_contract": True, **more}]}


def form(**more):
    field = {"key": "weight", "zh": "体重", "en": "Weight", "filled": True, "by": "device", "value": 65, **more.pop("field", {})}
    return {"resident": "R-0001", "visits": [{"id": "1a2b3c4d", "state": "open", "origin": "here", "day": "2026-11-21", "way": 1,
                                              "form": "copd_followup_2024plus", "fields": [field], **more}]}


def study(**more):
    return {"studies": [{"id": "1a2b3c4d", "device": "cart-1", "resident": "R-0001", "time": {"taken": "2026-11-22T02:00:00.000Z"},
                         "since": "2026-11-22T02:00:00.000Z", "due": "2026-11-22T02:00:00.000Z", **more}]}


def alert(**more):
    return {"alerts": [{"id": "4a14bcde", "severity": "warning", "state": "active", "condition": "bp-high", "resident": "R-0001",
                        "to": {"role": "doctor", "token": "D-0001"}, "delivery": "read", "labels": [],
                        "raised": "2026-11-22T02:00:00.000Z", "rules": [], **more}]}


def status(**more):
    return {"org": "o", "site": "s", "gateway": "g", "now": "now", "clock_plausible": True, "counts": {},
            "store": {"state": "ok"}, **more}


def device(**more):
    return {"devices": [{"id": "cuff-1", "driver": "driver", "ack_mode": "held", "bound_to": "R-0001", **more.pop("of", {})}],
            "live": {"cuff-1": {"state": "connected", **more}}}


# kind of word: (words, at least so many, command, the reply with the word in it)
VIEWS = {
    "evidence": (evidence(), 25, ("readings",), lambda w: reading(identity={"evidence": w})),
    "trust": (words("daemon/clock.c", "*trust_name(", "\n}\n"), 5, ("readings",), lambda w: reading(time={"trust": w})),
    "kinds": ({c["kind"] for c in codes()}, 60, ("unassigned",),
              lambda w: reading(values={w: {"value": 1, "unit": "mm[Hg]"}})),
    "kinds of one": ({c["kind"] for c in codes()}, 60, ("annotate", "last", "fasting"),
                     lambda w: one(values={w: {"value": 1, "unit": "1"}})),
    "kinds of a rule": ({c["kind"] for c in codes()}, 60, ("alerts",),
                        lambda w: alert(rules=[{"kind": w, "value": 1, "unit": "Cel", "text_zh": "高", "text_en": "high"}])),
    "kinds of the latest": ({c["kind"] for c in codes()}, 60, ("followup", "R-0001"),
                            lambda w: {"forms": [{"form": "copd_followup_2024plus", "latest": {w: {"value": 1, "unit": ""}}}]}),
    "kinds of a field": ({c["kind"] for c in codes()}, 60, ("followup", "R-0001"), lambda w: form(field={"origin": w})),
    "kinds of limits": ({c["kind"] for c in codes()}, 60, ("resident", "R-0001"), lambda w: resident(limits=[{"kind": w}])),
    "kinds of a limit": ({c["kind"] for c in codes()}, 60, ("limit", "R-0001", "bp.sbp", "at_least", "end"),
                         lambda w: resident(limit=f"{w} at_least 150 warning")),
    "units": ({c["ucum"] for c in codes()} & {"mm[Hg]", "/min", "Cel", "s", "ms", "kcal/d", "umol/L", "Ohm"}, 8, ("readings",),
              lambda w: reading(values={"temp": {"value": 1, "unit": w}})),
    "purposes": (words("daemon/config_keys.c", "struct choice purposes[]", "{0}"), 4, ("checkin", "desk-1", "R-0001"),
                 lambda w: {"station": "desk-1", "resident": "R-0001", "purpose": w}),
    "purposes at stations": (words("daemon/config_keys.c", "struct choice purposes[]", "{0}"), 4, ("stations",),
                             lambda w: {"stations": [{"id": "desk-1", "resident": "R-0001", "purpose": w}]}),
    "purposes booked": (words("daemon/config_keys.c", "struct choice purposes[]", "{0}"), 4, ("stations",),
                        lambda w: {"stations": [{"id": "desk-1", "booked": [{"resident": "R-0001", "purpose": w}]}]}),
    "notes": (notes(), 25, ("annotate", "last", "fasting"), lambda w: one(notes={"meal": w})),
    **{f"annotation {key}": (set(values), 2, ("annotate", "last", "fasting"), lambda w, k=key: one(notes={k: w}))
       for key, values in ANNOTATIONS.items()},
    "keys of notes": (found(r'NOTE\(&c, "(\w+)"', "drivers/bt_glucose.c") |
                      found(r'struct vg_note(?:\)| note = )\{"(\w+)"', *sources("drivers")) |
                      set(ANNOTATIONS), 14, ("annotate", "last", "fasting"), lambda w: one(notes={w: "1"})),
    "events": (events(), 35, ("events",), lambda w: {"events": [{"type": w, "at": "2026-11-22T02:00:00.000Z"}]}),
    "device states": (device_states(), 18, ("devices",), lambda w: device(state=w)),
    "bluetooth": (device_states(), 18, ("status",), lambda w: status(bluetooth={"state": w})),
    "acks": (found(r'ack_mode = [^;]*?"(\w+)"', *sources()) | found(r'ack_mode = [^;]*: "(\w+)"', *sources()), 2, ("devices",), lambda w: device(of={"ack_mode": w})),
    "sinks": (set(re.findall(r'"([a-z_]+)"', between(source("daemon/forward.c"), 'json_str(j, "state", p->up', ";"))) - {"state"}, 3,
              ("status",), lambda w: status(uplink={"p": {"state": w}})),
    "objects": (words("daemon/query.c", "names[OBJECTS]", ";"), 8, ("status",), lambda w: status(rejected=[{"id": "1", "object": w}])),
    "studies": (comment("study", "status"), 4, ("ecg",), lambda w: study(status=w)),
    "reports": (words("daemon/report_state.c", 'json_str(j, "state"', ";") - {"state", "report"}, 6, ("ecg",),
                lambda w: study(report={"state": w})),
    "open studies": (found(r'return "(\w+)"', "daemon/report_state.c") | {"not_sent", "overdue", "waiting"}, 7,
                     ("ecg", "--open"), lambda w: study(state=w)),
    "delivery": (found(r"'(queued|sent|at_platform|read|acknowledged)'", *sources()) |
                 found(r'"(queued|sent|at_platform|read|acknowledged)"', *sources()), 5, ("alerts",), lambda w: alert(delivery=w)),
    "residents": (found(r'struct change\)\{"\w+", "[^"]*", "(\w+)"', "daemon/resident_command.c") |
                  comment("resident", "state") | {"active"}, 7, ("resident", "R-0001"), lambda w: resident(state=w)),
    "sex": (words("daemon/roster_check.c", "sexes[]", ";"), 2, ("resident", "R-0001"), lambda w: resident(sex=w)),
    "programmes": (words("daemon/traits.c", "trait_programmes[]", ";"), 4, ("resident", "R-0001"), lambda w: resident(programmes=[w])),
    "populations": (words("daemon/traits.c", "trait_populations[]", ";"), 10, ("resident", "R-0001"), lambda w: resident(populations=[w])),
    "conditions": (words("daemon/traits.c", "#define CONDITIONS", "\n"), 6, ("resident", "R-0001"), lambda w: resident(conditions=[w])),
    "settings": (words("daemon/traits.c", "trait_settings[]", ";"), 4, ("resident", "R-0001"), lambda w: resident(setting=w)),
    "roles": (words("daemon/resident_command.c", "roles[] = {", ";"), 6, ("team", "T-0001"),
              lambda w: {"members": [{"member": "D-0001", "role": w}]}),
    "members": (found(r'(?:json_\w+|show_\w+)\((?:j|c->result), "(\w+)"', "daemon/resident_show.c") - {"en", "zh"} |
                found(r'\{"(\w+)", "(?:DELETE|UPDATE)', "daemon/erase.c") | found(r'json_\w+\(report, "(\w+)"', "daemon/erase.c"), 45,
                ("resident", "R-0001"), lambda w: {w: "1"}),
    "members of limits": ({"at_least", "at_most", "kind", "severity", "by", "until"}, 6, ("resident", "R-0001"),
                          lambda w: {"limits": [{w: 1}]}),
    "forms": (found(r'\{"\w+", "(\w+)", "\w+"\},', "daemon/followup.c"), 4, ("followup", "R-0001"), lambda w: form(form=w)),
    "forms of visits": (found(r'\{"\w+", "(\w+)", "\w+"\},', "daemon/followup.c"), 4, ("visit", "open", "R-0001", "htn"),
                        lambda w: {"visit": "1a2b3c4d", "form": w, "day": "2026-11-21", "state": "open"}),
    "forms in brief": (found(r'\{"\w+", "\w+", "(\w+)"\},', "daemon/followup.c"), 4, ("due",), lambda w: due(form=w)),
    "forms at check-in": (found(r'\{"\w+", "\w+", "(\w+)"\},', "daemon/followup.c"), 4, ("checkin", "desk-1", "R-0001"),
                          lambda w: {"station": "desk-1", "resident": "R-0001", "visits": {w: "1a2b3c4d"}}),
    "visits": (comment("visit", "state"), 4, ("visit", "close", "1a2b"),
               lambda w: {"visit": "1a2b3c4d", "form": "copd_followup_2024plus", "state": w}),
    "visits on the form": (comment("visit", "state"), 4, ("followup", "R-0001"), lambda w: form(state=w)),
    "lists": (words("daemon/due.c", "due_lists[LISTS]", ";"), 5, ("due",), lambda w: due(list=w)),
    "reasons of lists": ({"planned", "refollowup", "open", "likely"} & found(QUOTED, "daemon/due.c"), 4, ("due",), lambda w: due(reason=w)),
    "levels": (words("daemon/due.c", "*level(", "\n}\n"), 4, ("due",), lambda w: due(level=w)),
    "rates": (found(r'json_int\(j, "(\w+)"', "daemon/kpi.c"), 7, ("kpi",), lambda w: {"htn": {w: 3}}),
    "fields": (found(r'note = "(\w+)"', *PROPOSAL) | found(r'"note", "(\w+)"', *PROPOSAL), 5, ("followup", "R-0001"),
               lambda w: form(field={"note": w})),
    "reasons of classes": (found(r'_why = [^;]*?"(\w+)"', "daemon/proposal_decide.c"), 4, ("followup", "R-0001"),
                           lambda w: form(proposed={"class_why": w})),
    "referrals": (found(r'refer\(p, "(\w+)"', "daemon/proposal_decide.c"), 10, ("followup", "R-0001"),
                  lambda w: form(proposed={"referrals": [w]})),
    "arms": (words("daemon/proposal.c", "names[ARMS]", ";"), 3, ("followup", "R-0001"),
             lambda w: form(field={"evidence": {"arms": [{"arm": w}, {"arm": "left"}]}})),
    "weeks": (words("daemon/home_week.c", 'return "high"', "\n}\n"), 3, ("followup", "R-0001"),
              lambda w: form(field={"evidence": {"home_week": {"from": "1", "to": "2", "systolic": 130, "diastolic": 80, "verdict": w}}})),
}
# shown only where the reply is known: a strange one is passed over
SILENT = {"rates"}
SAME = {"Ohm": "Ω", "umol/L": "μmol/L"}  # symbols are no Chinese


def shown(command, reply, lang):
    done = run(*command, answers=(reply,), lang=lang)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def whole(word, text):
    """Is it there, and not as a part of a longer one?"""
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])", text, re.A)


def check_of(every, least, command, reply, silent):
    assert len(every) >= least, f"only {sorted(every)}: is the pattern still right?"
    assert STRANGE in shown(command, reply(STRANGE), "zh") or silent, "a word without a name is not shown as it is"
    for word in sorted(every):
        text = shown(command, reply(word), "zh")
        assert not whole(word, text), f"\"{word}\" has no Chinese name: {text}"
        assert word in SAME and SAME[word] in text or CHINESE.search(text), text
        english = shown(command, reply(word), "en")
        assert "_" not in word or not whole(word, english), f"\"{word}\" has no English name: {english}"
        assert not CHINESE.search(english.replace("体重", "")), english
        if word == sorted(every)[0]:
            done = run(*command, "--json", answers=(reply(word),), lang="zh")
            if command[0] not in ("ecg", "due"):
                assert json.loads(done.stdout) == reply(word), done.stdout


def check_tables():
    """A pressure by its looks, everything else by its name; without tables kinds stay codes."""
    values = {"bp.sbp": {"value": 192, "unit": "mm[Hg]"}, "bp.dbp": {"value": 115, "unit": "mm[Hg]"},
              "bp.map": {"value": 140, "unit": "mm[Hg]"}, "bp.pulse": {"value": 88, "unit": "/min"},
              "spo2": {"value": 97, "unit": "%"}, "glu.random": {"value": 33.3, "comparator": ">", "unit": "mmol/L"}}
    text = shown(("readings",), reading(values=values), "zh")
    assert "192/115 mmHg  88 次/分  血氧饱和度 97%  随机血糖值 >33.3 mmol/L" in text, text
    text = shown(("readings",), reading(values=values, flags=["irregular_pulse", "average"]), "en")
    assert "192/115 mmHg  88 /min  Oxygen saturation 97%" in text and "check-in; irregular pulse, mean of several" in text, text
    alone = shown(("readings",), reading(values={"bp.sbp": values["bp.sbp"]}), "zh")
    assert "收缩压 192 mmHg" in alone, alone
    assert "舒张压 115 mmHg" in shown(("readings",), reading(values={"bp.dbp": values["bp.dbp"]}), "zh")
    with tempfile.TemporaryDirectory() as empty:
        text = shown(("--tables", empty, "readings"), reading(values={"temp": {"value": 36.6, "unit": "Cel"}}), "zh")
        assert "temp 36.6 ℃" in text, text


def check_ecg():
    """That an ECG is filed says nothing of its tracing: nobody may read it as a normal one."""
    for status in comment("study", "status"):
        text = shown(("ecg",), study(status=status, report={"state": "waiting"}), "zh")
        assert "正常" not in text, text


def columns(text):
    return sum(2 if ord(c) >= 0x2e80 else 1 for c in text)


def check_columns():
    """What stands behind a wide name stands where it does behind a narrow one."""
    def place(command, reply, last):
        line = next(x for x in shown(command, reply, "zh").splitlines() if last in x)
        return columns(line[:line.index(last)])
    for command, replies, last in (
            (("readings",), (reading(), reading(time={"trust": "corrected"}), reading(values={"bp.sbp": {"value": 192, "unit": "mm[Hg]"}})),
             "工位登记"),
            (("events",), [{"events": [{"type": t, "at": "2026-11-22T02:00:00.000Z", "detail": "LAST"}]} for t in sorted(events())],
             "LAST"),
            (("due",), [due(form=f, date="2026-11-14") for f in ("htn", "t2dm", "copd", None)], "2026-11-14"),
            (("devices",), [device(state=s, of={"last_seen": "LAST"}) for s in sorted(device_states())], "LAST"),
            (("ecg",), [study(status=s, report={"state": "reported"}) for s in ("undecoded", "final")], "已报告")):
        places = {place(command, r, last) for r in replies}
        assert len(places) == 1, f"{command}: {places}"
    head, row = shown(("devices",), device(of={"results": {"implausible": 7}}), "zh").splitlines()
    assert columns(head[:head.index("数值不合理")]) == columns(row[:row.index("7")]), (head, row)


def main():
    checks = [(name, lambda v=view, n=name: check_of(*v, n in SILENT)) for name, view in VIEWS.items()]
    checks += [("tables", check_tables), ("no verdict on an ECG", check_ecg), ("columns", check_columns)]
    harness.Tap().all(checks)


if __name__ == "__main__":
    main()
