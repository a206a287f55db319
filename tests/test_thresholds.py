#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""config/alerts.yaml against the shared table of thresholds: each row of it is a rule of ours with the same number, side and
severity, or it is named here with the reason why it is not (the review of alerts corrected the table). Runs from anywhere."""

import csv
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("VITALGATE_SHARED", ROOT.parent / "shared")) / "codes" / "thresholds.csv"

# (kind, population, severity, op, value): the rules that say so
RULES = {
    ("bp.sbp", "adult", "critical", ">=", "180"): "sbp-critical-high",
    ("bp.dbp", "adult", "critical", ">=", "110"): "dbp-critical-high",
    ("bp.sbp", "adult", "warning", ">=", "160"): "sbp-warning-high sbp-home-repeated",
    ("bp.dbp", "adult", "warning", ">=", "100"): "dbp-warning-high dbp-home-repeated",
    ("bp.sbp", "adult <65", "notice", ">=", "140"): "sbp-notice-high",
    ("bp.dbp", "adult", "notice", ">=", "90"): "dbp-notice-high",
    ("bp.sbp", ">=65", "notice", ">=", "150"): "sbp-notice-high-65",
    ("bp.sbp.avg", "adult", "notice", ">=", "135"): "home-week-sbp",
    ("bp.dbp.avg", "adult", "notice", ">=", "85"): "home-week-dbp",
    ("bp.sbp", "adult", "critical", "<=", "90"): "sbp-critical-low",
    ("bp.sbp", "adult", "notice", "91-100", "91-100"): "sbp-notice-low",
    ("bp.rise", "known baseline", "warning", "rise", "SBP >= personal 14-day median + 30 and SBP >= 150"): "sbp-rise",
    ("hr", "adult rest", "critical", "<=", "40"):
        "pulse-critical-low spo2-pulse-critical-low ecg-rate-critical-low strap-rate-critical-low",
    ("hr", "adult rest", "warning", "111-130", "111-130"):
        "pulse-warning-high spo2-pulse-warning-high ecg-rate-warning-high",
    ("hr", "adult rest", "critical", ">=", "131"):
        "pulse-critical-high spo2-pulse-critical-high ecg-rate-critical-high",
    ("spo2", "adult, scale 1", "critical", "<=", "91"): "spo2-critical-low",
    ("spo2", "adult, scale 1", "warning", "92-93", "92-93"): "spo2-warning-low",
    ("spo2", "adult, scale 1", "notice", "94-95", "94-95"): "spo2-notice-low",
    ("spo2", "COPD / hypercapnic, scale 2 (doctor sets)", "critical", "<=", "83"): "spo2-copd-critical",
    ("spo2", "COPD / hypercapnic, scale 2", "warning", "84-85", "84-85"): "spo2-copd-warning",
    ("spo2", "COPD / hypercapnic, scale 2", "notice", "86-87", "86-87"): "spo2-copd-notice",
    ("glu.any", "adult", "critical", ">=", "16.7"): "glucose-critical-high",
    ("glu.any", "adult", "critical", "<=", "3.9"): "glucose-treated-low",
    ("glu.any", "adult", "critical+", "<", "3.0"): "glucose-critical-low",
    ("glu.any", "adult", "warning", "13.9-<16.7", "13.9"): "glucose-warning-high",
    ("glu.any", "treated", "notice", "3.9-<4.4", "4.4"): "glucose-treated-notice",
    ("glu.fasting", "T2DM managed", "notice", ">=", "7.0"): "glucose-fasting-notice",
    ("glu.postprandial_2h", "T2DM managed", "notice", ">=", "10.0"): "glucose-after-meal-notice",
    ("glu.repeat_low", "T2DM", "referral", "count", ">=2 in 14 d or >=3 in 30 d of <=3.9"):
        "glucose-lows-14 glucose-lows-30",
    ("temp", "adult", "critical", "<=", "35.0"): "temp-critical-low",
    ("temp", "adult", "notice", "38.1-39.0", "38.1-39.0"): "temp-notice-high",
    ("temp", "adult", "warning", ">=", "39.1"): "temp-warning-high",
    ("temp+hr", "T2DM follow-up", "critical", "and", "temp >39 or HR >100 listed among urgent signs"): "fever-pulse",
    ("resp", "adult", "critical", "out", "<=8 or >=25"): "resp-critical-low resp-critical-high",
    ("resp", "adult", "warning", "21-24", "21-24"): "resp-warning-high",
    ("weight.gain", "heart failure", "warning", "rise", ">=2 kg in 3 d (or 1.4 kg in 1 d / 2.3 kg in 7 d)"):
        "weight-gain-1 weight-gain-3 weight-gain-7",
    ("overdue.followup", "hypertension / T2DM", "critical-task", "late", ">=30 d"): "overdue-htn overdue-t2dm",
    ("overdue.home_bp", "enrolled in HBPM week", "notice", "missing", "fewer than 12 valid readings by day 7"):
        "home-missing",
    ("overdue.device", "any", "technical", "silent", "no contact for 2 x expected interval"): "device-silent",
}

# What the rule says of the row's number where it is another, and why: the corrections.
OTHERWISE = {
    "glucose-treated-low": "3.9 concerns people with diabetes: critical when treated, else a warning (glucose-diabetes-low)",
    "overdue-htn": "the plan is a task of the team: a notice, and a list of its own",
    "overdue-t2dm": "as above",
    "device-silent": "of family technical, which has no severity of that name",
    "glucose-critical-low": "critical+ is critical: nothing waits for a repeat of glucose",
    "glucose-lows-14": "a referral is proposed by the form; here it is a warning",
    "glucose-lows-30": "as above",
}

# Rows that no rule of a reading says.
NONE = {
    ("bp.sbp", "adult <80 (2025 guideline target)", "target", ">=", "130"): "a target is no alert",
    ("bp.sbp", ">=80 (2025 guideline target)", "target", ">=", "150"): "a target is no alert",
    ("hba1c", "T2DM", "target", ">=", "7.0"): "a target is no alert",
    ("bp.sbp", "adult", "critical", ">=", "220"): "180 is critical already",
    ("bp.pp", "adult", "notice", "out", "pulse pressure <20 or >60"): "off by default in the table itself",
    ("hr", "adult rest", "notice", "41-50", "41-50"): "a notice that nobody sees (least: warning)",
    ("hr", "adult rest", "notice", "91-110", "91-110"): "off by default in the table itself",
    ("hr", "health exam A class", "critical", "out", ">=150 or <=45"): "an alternative; NEWS2 holds",
    ("spo2", "adult, COVID@home programme", "critical", "<=", "92"): "of a programme that is over",
    ("glu.fasting", "health exam A class", "critical", "out", "<=2.8 or >=16.7"): "both are critical for all kinds",
    ("glu.random", "health exam A class", "critical", ">=", "20.0"): "16.7 is critical already",
    ("temp", "adult", "notice", "35.1-36.0", "35.1-36.0"): "a notice that nobody sees (least: warning)",
    ("news2", "adult", "critical", ">=", "7"): "only where all seven items are there: in no hut",
    ("news2", "adult", "warning", ">=", "5 (or one 3)"): "as above",
    ("ecg.critical", "adult", "critical", "any"): "from the cart's or the centre's words: statements",
    ("overdue.followup", "hypertension / T2DM", "notice", "late", ">0 d past the planned date"): "the list `due`",
    ("overdue.followup", "hypertension / T2DM", "warning", "late", ">=7 d"): "the list `due`, yellow",
    ("overdue.refollow", "not controlled once", "notice", "due", "14 d"): "the list `due`, reason refollowup",
    ("overdue.referral", "referred", "notice", "due", "14 d"): "the list `due`, reason referral_result",
    ("alert.consecutive", "any", "raise-one-level", "count", "2 consecutive abnormal readings of the same kind"):
        "a second abnormal value confirms, and raises no level: the severity is the value's",
    ("alert.cooldown", "any", "suppress", "time", "same kind and level: once per local day unless the level rises"):
        "no rule but the life of every alert (ALERTS.md, section 4), and never of critical ones",
}

def rules():
    """{id: {key: text}}, of the lines of config/alerts.yaml."""
    found = {}
    for line in (ROOT / "config" / "alerts.yaml").read_text(encoding="utf-8").splitlines():
        m = re.match(r"  - \{id: ([\w-]+), (.*)\}$", line)
        if m and "severity: " in m[2]:
            found[m[1]] = dict(re.findall(r"(\w+): (\"[^\"]*\"|\[[^\]]*\]|[^,]*)(?:, |$)", m[2]))
    assert len(found) > 80, "config/alerts.yaml is not read any more"
    return found


def thresholds():
    with open(SHARED, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def key_of(row, table):
    """The key of the table that this row begins with; None."""
    whole = (row["kind"], row["population"], row["severity"], row["op"], row["value"])
    return next((key for key in table if whole[:len(key)] == key), None)


def numbers(text):
    return {float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)}


def side(row):
    """at_least or at_most; of a span, the side that is nearer to its neighbours is known by the rule alone."""
    return {">=": ("at_least",), "<=": ("at_most",), "<": ("below",)}.get(row["op"], ("at_least", "above", "at_most",
                                                                                     "below"))


def check_every_row():
    ours, seen = rules(), set()
    for row in thresholds():
        key, left_out = key_of(row, RULES), key_of(row, NONE)
        assert (key is None) != (left_out is None), f"not named once: {row}"
        seen.add(key or left_out)
        for name in RULES[key].split() if key else ():
            rule = ours[name]
            if name not in OTHERWISE:
                assert rule["severity"] == row["severity"], (name, row)
            if rule.get("type") == "missing":
                continue        # its numbers are those of the home week (followup.csv)
            limits = {float(rule[op]) for op in side(row) if op in rule} | numbers(
                " ".join(re.findall(r"above: [\d.]+", rule.get("parts", ""))))
            said = {float(rule[k]) for k in ("by", "days", "times") if k in rule}
            if rule.get("type") == "repeated_low":
                said |= limits | {float(rule["k"])}
            elif rule.get("type") != "gain":    # a weight gained is judged whatever the weight
                said |= limits
            assert said and said <= numbers(row["value"] + " " + row["op"]), (name, said, row)
    assert seen == set(RULES) | set(NONE), (set(RULES) | set(NONE)) - seen


def check_spans():
    """A span is of the levels around it: its rule begins at its safe end."""
    ours = rules()
    for row in thresholds():
        m = re.fullmatch(r"([\d.]+)-([\d.]+)", row["value"])
        key = key_of(row, RULES)
        for name in RULES[key].split() if key and m else ():
            rule = ours[name]
            if "at_least" in rule:
                assert float(rule["at_least"]) == float(m[1]), (name, row)
            else:
                assert float(rule["at_most"]) == float(m[2]), (name, row)


def check_corrections():
    """What the review says of the table, by number."""
    ours = rules()

    def says(name, **keys):
        for key, value in keys.items():
            assert ours[name].get(key) == value, (name, key, ours[name].get(key))

    says("glucose-treated-low", at_most="3.9", severity="critical", trait="[treated_diabetes]", unknown="fires")
    says("glucose-diabetes-low", at_most="3.9", severity="warning", trait="[diabetes]")
    says("glucose-critical-low", below="3.0", severity="critical", trait=None)
    says("glucose-others-low", below="2.8", severity="critical")
    says("sbp-pregnant-warning", at_least="140", severity="warning", trait="[pregnant]")
    says("dbp-pregnant-warning", at_least="90", severity="warning", trait="[pregnant]")
    says("sbp-pregnant-critical", at_least="160", severity="critical", trait="[pregnant]")
    says("dbp-pregnant-critical", at_least="110", severity="critical", trait="[pregnant]")
    says("sbp-notice-high-65", age_from="65")
    says("sbp-critical-low", usual_by="15")
    for name, rule in ours.items():
        if rule.get("kind", "").split(".")[0] in ("bp", "hr", "ecg", "resp") and rule.get("type", "limit") == "limit":
            everybody = name in ("sbp-critical-high", "dbp-critical-high")
            assert everybody != ("child" in rule.get("not", "")) or rule.get("trait") == "[pregnant]" or "age_from" in rule, \
                f"{name}: a limit of adults"
        if rule.get("kind") == "temp.surface":
            assert rule["severity"] != "critical", name
        if rule.get("kind") == "spo2" and rule.get("type", "limit") == "limit" and "trait" not in rule:
            assert "altitude_below" in rule or "altitude_from" in rule, name
    # whoever is told is told what to do
    said = set(re.findall(r"^  - \{id: ([\w-]+), zh: ", (ROOT / "config" / "alerts.yaml").read_text(encoding="utf-8"), re.M))
    assert "statement" in said, said
    for name, rule in ours.items():
        assert rule["severity"] == "notice" or rule.get("advice") in said, name


def main():
    checks = [(name[6:], check) for name, check in globals().items() if name.startswith("check_")]
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        if "corrections" not in name and not SHARED.exists():
            print(f"ok {number} - {name} # SKIP no shared data")
            continue
        try:
            check()
            print(f"ok {number} - {name}")
        except (AssertionError, OSError, KeyError, ValueError) as why:
            failed += 1
            print(f"not ok {number} - {name}")
            print(f"# {type(why).__name__}: {why}")
    print(f"1..{len(checks)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
