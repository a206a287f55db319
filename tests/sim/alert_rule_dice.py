# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule files by dice, for villages: every type of rule of ALERTS.md section 2, and every key of whom it is for. The
national limits stand in each, so that none is refused as looser.
"""
import json

DAY_S = 86400
# (condition, kind, side, what a notice, a warning and a critical one may begin at: least, most, decimals)
LADDERS = (("bp-high", "bp.sbp", 1, ((128, 140), (142, 158), (160, 178)), 0),
           ("bp-high", "bp.dbp", 1, ((80, 90), (91, 99), (100, 109)), 0),
           ("bp-low", "bp.sbp", 0, ((102, 112), (93, 100), (78, 92)), 0),
           ("pulse-high", "bp.pulse", 1, ((85, 95), (100, 112), (115, 135)), 0),
           ("pulse-high", "spo2.pulse", 1, ((85, 95), (100, 112), (115, 135)), 0),
           ("pulse-low", "bp.pulse", 0, ((58, 64), (48, 56), (38, 46)), 0),
           ("glucose-high", "glu.*", 1, ((7.0, 9.0), (10.0, 13.0), (13.5, 16.5)), 1),
           ("glucose-low", "glu.*", 0, ((4.6, 5.2), (4.1, 4.5), (3.0, 4.0)), 1),
           ("spo2-low", "spo2", 0, ((95, 97), (92, 94), (85, 91)), 0),
           ("temp-high", "temp", 1, ((37.3, 37.9), (38.0, 38.6), (38.7, 40.0)), 1),
           ("temp-low", "temp", 0, ((36.0, 36.3), (35.4, 35.9), (34.0, 35.3)), 1),
           ("resp-high", "resp", 1, ((18, 20), (21, 23), (24, 30)), 0))
NATIONAL = (("bp-high", "bp.sbp", {"at_least": 180}), ("bp-high", "bp.dbp", {"at_least": 110}),
            ("glucose-high", "glu.*", {"at_least": 16.7}), ("glucose-low", "glu.*", {"below": 3.0}))
WORDS = ("notice", "warning", "critical")
TRAITS = ("pregnant", "on_oxygen", "copd", "treated_diabetes", "heart_failure", "diabetes", "hypertension", "child")
SPANS_S = (600, 3600, 8 * 3600, DAY_S, 3 * DAY_S, 14 * DAY_S, 60 * DAY_S)


def side(dice, upper, value):
    """One limit."""
    return {dice.choice(("at_least", "above") if upper else ("at_most", "below")): value}


def whom(dice):
    """For whom; mostly for everybody."""
    keys = {}
    if dice.random() < 0.6:
        return keys
    if dice.random() < 0.25:
        keys["trait"] = dice.sample(TRAITS, dice.choice((1, 1, 2)))
    if dice.random() < 0.25:
        keys["not"] = [t for t in dice.sample(TRAITS, dice.choice((1, 1, 2))) if t not in keys.get("trait", ())]
    if dice.random() < 0.2:
        keys["programme"] = dice.sample(("hypertension", "t2dm", "copd", "elderly"), dice.choice((1, 2)))
    if dice.random() < 0.1:
        keys["population"] = dice.sample(("diabetes", "hypertension", "disabled", "pregnant"), dice.choice((1, 3)))
    if dice.random() < 0.25:
        keys["setting"] = dice.sample(("clinic", "home", "home_bed", "care_home"), dice.choice((1, 2, 3)))
    if dice.random() < 0.25:
        keys["age_from"] = dice.choice((7, 18, 35, 65))
    if dice.random() < 0.2:
        keys["age_below"] = dice.choice((66, 70, 80))
    if dice.random() < 0.15:
        keys[dice.choice(("altitude_from", "altitude_below"))] = dice.choice((1500, 2500, 3500))
    if dice.random() < 0.5:
        keys["unknown"] = "fires"
    return {name: value for name, value in keys.items() if value}


def ladder(dice, condition, kind, upper, steps, decimals):
    """A condition's limits, the graver the further out."""
    rules, inner = [], round(dice.uniform(*steps[0]), decimals)
    for word, (least, most) in zip(WORDS, steps):
        for _ in range(dice.choice((0, 1, 1, 2))):
            rule = {"condition": condition, "kind": kind, **side(dice, upper, round(dice.uniform(least, most), decimals)),
                    "severity": word, **whom(dice)}
            if dice.random() < 0.6:
                rule["margin"] = dice.choice((1, 3, 5)) if decimals == 0 else dice.choice((0.2, 0.5))
            if dice.random() < 0.25:
                rule["usual_by"] = dice.choice((4, 10, 15)) if decimals == 0 else dice.choice((0.4, 1.5))
                if dice.random() < 0.5:
                    rule["least"] = dice.choice((1, 3, 8))
            rules.append(rule)
    about = {"condition": condition, "kind": kind, **side(dice, upper, inner), "severity": dice.choice(WORDS)}
    kinds = [{"type": "repeated", "k": 2, "n": dice.choice((2, 3, 5)), "within_s": dice.choice(SPANS_S)},
             {"type": "rise" if upper else "fall", "by": dice.choice((10, 25) if decimals == 0 else (0.8, 2.5)),
              **dice.choice(({}, {"within_s": dice.choice(SPANS_S[2:])}, {"least": 2}))}]
    kinds.append({"type": "gain", "by": dice.choice((8, 30) if decimals == 0 else (0.7, 3)),
                  "within_s": dice.choice(SPANS_S)} if upper else
                 {"type": "repeated_low", "k": dice.choice((2, 3)), "within_s": dice.choice(SPANS_S[2:])})
    return rules + [{**about, **more, **whom(dice)} for more in kinds if dice.random() < 0.4]


def others(dice):
    """Combinations, ranges, sums, a gain of weight."""
    parts = [{"kind": "bp.sbp", **side(dice, True, dice.choice((140, 165)))},
             {"kind": "spo2", **side(dice, False, dice.choice((90, 95)))},
             {"kind": "glu.*", **side(dice, True, dice.choice((7, 11)))},
             {"kind": "bp.pulse", **side(dice, True, dice.choice((90, 105)))},
             {"kind": "temp", **side(dice, True, dice.choice((37, 38)))},
             {"kind": "weight", **side(dice, True, dice.choice((50, 65)))}]
    for n in range(dice.randint(0, 3)):
        yield {"type": "combination", "condition": f"both-{n % 2}", "within_s": dice.choice(SPANS_S),
               "parts": dice.sample(parts, dice.choice((2, 2, 3, 4))), "severity": dice.choice(WORDS), **whom(dice)}
    for condition, kind, inside, margin in (("pulse-range", "bp.pulse", (52, 96), 4), ("temp-range", "temp", (36, 37.6), 0.3),
                                            ("dbp-range", "bp.dbp", (58, 92), 5)):
        if dice.random() < 0.5:
            yield {"type": "range", "condition": condition, "kind": kind, **side(dice, False, inside[0]),
                   **side(dice, True, inside[1]), "severity": dice.choice(WORDS),
                   **dice.choice(({}, {"margin": margin})), **whom(dice)}
    if dice.random() < 0.8:
        yield {"type": "time_below", "condition": "spo2-time", "kind": "spo2.low_s", "within_s": dice.choice(SPANS_S[1:5]),
               **side(dice, True, dice.choice((300, 900, 1500))), "severity": dice.choice(WORDS), **whom(dice)}
    if dice.random() < 0.8:
        yield {"type": "gain", "condition": "weight-gain", "kind": "weight", **side(dice, True, 1), "by": 0.6,
               "within_s": dice.choice(SPANS_S[3:]), "severity": dice.choice(WORDS), **whom(dice)}


def of_days(dice):
    """Judged once a day."""
    for n, (kind, least, most) in enumerate((("bp.sbp", 110, 165), ("bp.dbp", 65, 100)) * 2):
        if dice.random() < 0.7:
            yield {"type": "mean", "condition": "home-week", "kind": kind, **side(dice, True, dice.randint(least, most)),
                   "severity": dice.choice(WORDS), **whom(dice)}
    for form in ("htn", "htn", "t2dm", "copd", "elderly"):
        if dice.random() < 0.7:
            yield {"type": "overdue", "condition": f"overdue-{dice.choice((form, form, 'any'))}", "form": form,
                   "days": dice.choice((1, 7, 30, 60)), "severity": dice.choice(WORDS), **whom(dice)}
    for _ in range(dice.choice((0, 1, 2))):
        yield {"type": "missing", "condition": "home-missing", "severity": dice.choice(WORDS), **whom(dice)}


def rules_of(dice):
    margin = dice.choice((0, 3))
    found = [{"condition": condition, "kind": kind, **limit, "severity": "critical",
              **({"margin": margin} if margin and kind != "glu.*" else {})} for condition, kind, limit in NATIONAL]
    found.append({"condition": "glucose-low", "kind": "glu.*", "at_most": 3.9, "trait": ["treated_diabetes"],
                  "unknown": "fires", "severity": "critical"})
    for condition, kind, upper, steps, decimals in LADDERS:
        found += ladder(dice, condition, kind, upper == 1, steps, decimals)
    found += others(dice)
    found += of_days(dice)
    dice.shuffle(found)
    for n, rule in enumerate(found):
        if rule.get("type", "limit") not in ("limit", "range") and dice.random() < 0.1:
            rule["enabled"] = False
        yield {"id": f"rule-{n}", **rule, "advice": "again", "zh": "测试", "en": "a test", "source": "dice"}


def rule_file(dice):
    """The text of one."""
    head = {"version": "dice"}
    if dice.random() < 0.8:
        head["least"] = dice.choice(("notice", "notice", "warning", "critical"))
    if dice.random() < 0.8:
        head["escalate"] = {"critical_s": dice.choice((120, 600, 900, 3600)), "warning_s": dice.choice((1800, 7200, 30000)),
                            "again_s": dice.choice((3600, 14400, 50000))}
    if dice.random() < 0.8:
        head["late"] = {"label_s": dice.choice((60, 600, 3000)), "page_s": dice.choice((7200, 20000))}
    tail = {"advice": [{"id": "again", "zh": "复测", "en": "measure again"}]}
    if dice.random() < 0.85:
        tail["repeat"] = {"flags": dice.sample(("body_movement", "cuff_too_loose", "low_perfusion", "low_signal_iq",
                                                "motion", "questionable", "irregular_pulse"), dice.choice((2, 4, 6))),
                          "kinds": dice.choice((["bp.*", "spo2*"], ["bp.sbp", "glu.*"], ["spo2*", "bp.*", "glu.*"])),
                          "within_s": dice.choice((60, 300, 600)), **dice.choice(({}, {"resolves_s": 5000}))}
    lines = [f"{name}: {json.dumps(value)}" for name, value in head.items()] + ["rules:"]
    lines += ["  - " + json.dumps(rule, ensure_ascii=False) for rule in rules_of(dice)]
    lines += [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in tail.items()]
    return "# SPDX-License-Identifier: GPL-3.0-or-later\n" + "\n".join(lines) + "\n"
