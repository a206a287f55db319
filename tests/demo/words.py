# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read of values, records and forms."""
FIELDS = {"visit_date": "随访日期 visit", "bp": "血压 BP", "heart_rate": "心率 pulse",
          "next_visit_date": "下次随访 next visit", "auxiliary_tests": "辅助检查 tests"}
FORMS = {"hypertension_followup_v3": "高血压 HTN", "t2dm_followup_v3": "糖尿病 DM",
         "copd_followup_2024plus": "慢阻肺 COPD", "elderly_health_check_65plus": "老年体检 elderly"}
TESTS = {"GLU": "glu.random", "HbA1c": "hba1c"}
KINDS = {"ecg.hr": "心电图心率 ECG rate", "glu.fasting": "空腹 FBG", "ketone": "酮体 ketone",
         **{kind: test for test, kind in TESTS.items()}}
WHAT = {"control": "质控液 control solution", "fasting": "空腹 fasting", "ketone": "酮体 ketone"}


def number(value):
    return f"{value.get('comparator', '')}{value['value']}"


def values_text(values, brief=False):
    """The values of a reading as people write them; brief: without units and pulse."""
    if "bp.sbp" in values:
        pulse = values.get("bp.pulse")
        return f"{number(values['bp.sbp'])}/{number(values['bp.dbp'])}" + \
            ("" if brief else " mmHg" + (f" {number(pulse)}/min" if pulse else ""))
    if "spo2" in values:
        return f"SpO2 {number(values['spo2'])}" + \
            ("" if brief else f" % {number(values['spo2.pulse'])}/min")
    if "env.temp" in values:
        return f"{number(values['env.temp'])} °C" + \
            (" 门开 door open" if values["env.door_open"]["value"] else "")
    return ", ".join(f"{KINDS.get(k, k)} {number(v)}" + ("" if brief else " " + v["unit"])
                     for k, v in values.items())


def record_text(record):
    """What the instrument's own display shows."""
    if record.get("nan"):
        return "袖带错误 cuff error, no pressure measured"
    if "hr" in record:
        return f"12导联心电图 ECG {record['hr']}/min · {record['patient']} · " + \
            " ".join(record["statements"])
    if "sys" in record:
        return f"{record['sys']}/{record['dia']} mmHg {record['pulse']}/min"
    if "what" in record:
        value = "HI" if record["what"] == "hi" else f"{record['value']} {record['unit']}"
        return " · ".join(filter(None, (f"#{record['seq']} {value}", WHAT.get(record["what"]),
                                        record["time"][5:16].replace("T", " "))))
    return " ".join(filter(None, (record["test"], record["value"], record["unit"], "·",
                                  record["patient"], record["specimen"])))


def subject(alert):
    """Whom or what it is about."""
    return alert["resident"] or alert.get("place", "?")


def rule_text(rule):
    """What fired, and on what: a number beyond its limit, or somebody's words."""
    text = f"{rule['text_zh']} {rule['text_en']}"
    if "statement" in rule:
        return f"{text}: “{rule['statement']}”"
    return f"{text}: {number(rule)} (limit {rule['limit']:g})"


def field_text(field):
    """What stands in a field of a form; results are told with their day."""
    items = [f"{i['text']} {i['unit']} {i['day'][5:]}" for i in field.get("items", ()) if "text" in i]
    return field.get("text") or ", ".join(items) or "____"
