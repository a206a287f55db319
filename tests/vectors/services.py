# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers must make of the measurements, clocks and batteries of the standard services."""
from decimal import Decimal

from vectors.compare import (converted, decode, heard, is_number, judged, malformed, minutes_after,
                             no_reading, one_reading, plausible, same, shown, types)


# --- blood pressure

PRESSURE_STATUS = {0: "body_movement", 1: "cuff_too_loose", 2: "irregular_pulse",
                   5: "improper_position"}
PRESSURE_WORDS = {"movement": 0, "cuff_loose": 1, "irregular_pulse": 2, "position": 5}
PRESSURE_RANGE = {"in_range": set(), "above_upper": {"pulse_above_range"},
                  "below_lower": {"pulse_below_range"}}


def pressure(driver, v):
    found = decode(driver, heard("2a35", v.hex))
    if v.error:
        return malformed(found)
    unit = v.get("unit", "mmHg")
    numbers = [("bp.sbp", v.get("sys"), unit), ("bp.dbp", v.get("dia"), unit),
               ("bp.map", v.get("map"), unit),
               ("bp.pulse", v.get("beurer_pulse", v.get("pulse")), "/min")]
    words = v.get("status_bits", [])
    flags = {PRESSURE_STATUS[PRESSURE_WORDS[word]] for word in words}
    flags |= {PRESSURE_STATUS[bit] for bit in PRESSURE_STATUS if v.get("status", 0) >> bit & 1}
    flags |= PRESSURE_RANGE[v.get("rate_range", "in_range")]
    flags |= {"irregular_pulse"} if v.get("irregular_pulse") else set()
    user = v.get("beurer_user", v.get("user"))
    time = v.get("time")
    v.pass_over("extra_bytes")
    if numbers[0][1] == "NaN" or numbers[1][1] == "NaN":
        return no_reading(found, "nothing", "failed_measurement")
    if numbers[0][1] is None:  # only its status is known
        return same(set(found["readings"][0]["flags"]) if found["readings"] else None, flags, "flags")
    if numbers[1][1] >= numbers[0][1]:
        return no_reading(found, "implausible")
    # A mean of 0 is none (Beurer); a number that is NaN was not measured.
    values = {kind: (value, of) for kind, value, of in numbers
              if is_number(value) and not (kind == "bp.map" and value == 0)}
    unsaid = [kind for kind, value, _ in numbers if value is None]
    others = {}
    if user is not None:
        others["user"] = user
    if time:
        others["device_time"] = time
    if {"status", "status_bits", "rate_range", "irregular_pulse"} & set(v.expected):
        others["flags"] = flags
    return judged(found, values, unsaid, **others)


# --- glucose

SAMPLES = {1: ("glu.random", "capillary_whole_blood"),
           2: ("glu.capillary_plasma", "capillary_plasma"),
           3: ("glu.random", "venous_whole_blood"), 4: ("glu.undetermined_plasma", "venous_plasma"),
           5: ("glu.random", "arterial_whole_blood"),
           6: ("glu.undetermined_plasma", "arterial_plasma"), 7: ("glu.random", "whole_blood"),
           8: ("glu.undetermined_plasma", "plasma"), 9: ("glu.isf", "interstitial_fluid")}
SITES = {1: "finger", 2: "alternate_site", 3: "earlobe", 15: None}
GLUCOSE_FLAGS = {0: "battery_low", 7: "strip_too_warm", 8: "strip_too_cold", 11: "time_fault"}
GLUCOSE_REFUSED = (1, 2, 3, 4, 9, 10)  # sensor, sample, strip, pulled out, fault


def glucose(driver, v):
    found = decode(driver, heard("2a18", v.hex))
    if v.error:
        return malformed(found)
    status, sample, site = v.get("status", 0), v.get("type"), v.get("location")
    v.pass_over("context_follows", "extra_bytes")
    if "mg_dL" in v:
        value = (v["mg_dL"], "mg/dL")
    elif "mmol_L" in v:
        value = (v["mmol_L"] / 1000, "mol/L")
    else:
        value = (v.get("conc"), v.get("unit", "kg/L"))
    if "unit" in v and ("mmol_L" in v) == (v["unit"] == "kg/L") and "conc" not in v:
        return [f"its unit {v['unit']} is not that of its number"]
    if "conc" in v and "unit" in v and is_number(v["conc"]):  # said twice: the same
        doubt = same(converted("glu.random", v["conc"], v["unit"]),
                     converted("glu.random", *value), "both units")
        if doubt:
            return doubt
    v.pass_over("unit")
    time = minutes_after(v["base_time"], v.get("offset_min", 0)) if "base_time" in v else None
    others = {"seq": v["seq"]}
    if any(status >> bit & 1 for bit in GLUCOSE_REFUSED) or not is_number(value[0]):
        return no_reading(found, "nothing", "failed_measurement")
    if value[0] <= 0 or not plausible("glu.random", *value):
        return no_reading(found, "implausible")
    if sample == 10 or site == 4:  # never a person's
        return no_reading(found, "nothing", "control_solution")
    if time:
        others["device_time"] = time
    if "status" in v:
        others["flags"] = {word for bit, word in GLUCOSE_FLAGS.items() if status >> bit & 1}
    reading = found["readings"][0] if found["readings"] else {"values": {"": 0}}
    notes = reading.get("notes", {})
    kind = SAMPLES[sample][0] if sample is not None else next(iter(reading["values"]))
    faults = [f"{kind} is no blood"] if sample != 9 and kind in ("glu.isf", "glu.control") else []
    faults += [] if kind.startswith("glu.") else [f"{kind} is no glucose"]
    if sample is not None:
        faults += same(notes.get("sample_type"), SAMPLES[sample][1], "sample_type")
    if site is not None:
        faults += same(notes.get("sample_site"), SITES[site], "sample_site")
    return faults + one_reading(found, {kind: value}, **others)


FOODS = {1: "breakfast"}
MEALS = {1: "before_meal", 2: "after_meal", 3: "fasting", 4: "casual", 5: "bedtime"}


def context(driver, v):
    """Behind a measurement of the same number that announces it."""
    seq = v["seq"]
    measurement = "12" + seq.to_bytes(2, "little").hex() + "e80706010c0000" + "6eb0" + "12"
    found = decode(driver, heard("2a18", measurement) + heard("2a34", v.hex))
    meal, food = v.get("meal"), v.get("carb_id")
    v.pass_over("ext_flags")
    kind = "glu.fasting" if meal == 3 else "glu.capillary_plasma"
    last = {"readings": found["readings"][-1:]}  # told without it, then amended
    faults = one_reading(last, {kind: (110, "mg/dL")}, seq=seq, status="corrected")
    notes = last["readings"][0].get("notes", {}) if last["readings"] else {}
    faults += same(notes.get("meal"), MEALS.get(meal), "meal")
    faults += same(notes.get("food"), FOODS.get(food), "food")
    return faults + same(found["results"]["malformed"], 0, "malformed")


RACP_TEXTS = {1: "success", 4: "operator not supported", 5: "invalid operand", 8: "not completed",
              9: "operand not supported", 10: "unknown answer"}


def records(driver, v):
    """An answer of the Record Access Control Point, outside of a session."""
    found = decode(driver, heard("2a52", v.hex))
    if v.error:
        return malformed(found)
    op = v.get("op", 5)
    v.pass_over("operator")
    if op not in (5, 6):  # a request
        return no_reading(found, "unsupported")
    if op == 5:
        text = "counted"
        v.pass_over("count")  # below
    else:
        text = RACP_TEXTS[v["code"]]
        v.pass_over("request_op")
    faults = no_reading(found, "nothing") + same(found["results"]["malformed"], 0, "malformed")
    return faults + same([event.get("detail") for event in found["events"]], [f"records: {text}"],
                         "events")


# --- continuous glucose

CGM_START = "e80701080700002000"  # 2024-01-08 07:00:00 in +08:00
CGM_WORDS = {"st_status": {0: "session_stopped", 1: "battery_low", 2: "wrong_sensor_type",
                           3: "sensor_malfunction", 4: "device_alert", 5: "general_fault"},
             "st_caltemp": {0: "time_sync_required", 2: "calibration_recommended",
                            3: "calibration_required", 4: "sensor_temperature_high",
                            5: "sensor_temperature_low"},
             "st_warning": {0: "below_patient_low", 1: "above_patient_high", 2: "hypo", 3: "hyper",
                            4: "falls_fast", 5: "rises_fast", 6: "below_range", 7: "above_range"}}
CGM_REFUSED = (2, 3, 5)


def cgm_words(octets):
    return {word for key, value in octets.items() for bit, word in CGM_WORDS[key].items()
            if value >> bit & 1}


def cgm_record(reading, r):
    """One reading against one record that is expected."""
    faults = same(set(r) - {"conc_mg_dL", "time_min", "crc_ok", "trend", "quality", *CGM_WORDS},
                  set(), "fields that were not compared")
    flags = cgm_words({key: r[key] for key in CGM_WORDS if key in r})
    comparator = None
    if len(flags & {"below_range", "above_range"}) == 1:
        comparator = "<" if "below_range" in flags else ">"
        flags -= {"below_range", "above_range"}
    faults += one_reading({"readings": [reading]}, {"glu.isf": (r["conc_mg_dL"], "mg/dL")},
                          seq=r["time_min"], flags=flags,
                          device_time=minutes_after("2024-01-08T07:00:00", r["time_min"]))
    faults += same(reading["values"]["glu.isf"].get("comparator"), comparator, "comparator")
    for key, unit in (("trend", "mg/dL/min"), ("quality", "%")):
        number = reading.get("notes", {}).get(key, "").removesuffix(f" {unit}")
        faults += same(Decimal(number) if number else None,
                       Decimal(str(r[key])) if key in r else None, key)
    return faults


def cgm_measurement(driver, v):
    found = decode(driver, heard("2aaa", CGM_START) + heard("2aa7", v.hex))
    wanted = v["records"]
    if not all(r.get("crc_ok", True) for r in wanted):
        return no_reading(found, "malformed")
    faults = same(len(found["readings"]), len(wanted), "readings")
    return faults or [fault for reading, r in zip(found["readings"], wanted)
                      for fault in cgm_record(reading, r)]


def cgm_status(driver, v):
    found = decode(driver, heard("2aaa", CGM_START) + heard("2aa9", v.hex))
    if v.error or not v.get("crc_ok", True):
        return no_reading(found, "malformed")
    octets = {"st_status": v["status"], "st_caltemp": v["caltemp"]}
    v.pass_over("warning")  # of values, and there is none
    told = [event for event in found["events"] if event["type"] == "device_clock"]
    clock = minutes_after("2024-01-08T07:00:00", v["time_min"])
    wanted = [] if v["status"] & 1 else [clock]  # a session that was stopped counts no more
    errors = {event["detail"] for event in found["events"] if event["type"] == "device_error"}
    return (no_reading(found, "nothing") + same(found["results"]["malformed"], 0, "malformed")
            + same([event["device_time"] for event in told], wanted, "device_clock")
            + same(errors, cgm_words(octets), "device_error"))


def zone_text(quarters):
    return f"{'-' if quarters < 0 else '+'}{abs(quarters) // 4:02}:{abs(quarters) % 4 * 15:02}"


def cgm_start(driver, v):
    """Shown by a record behind it, 5 minutes after the start."""
    found = decode(driver, heard("2aaa", v.hex) + heard("2aa7", "06000c100500"))
    if len(found["readings"]) != 1:
        return [f"expected one reading, found {found}"]
    reading = found["readings"][0]
    good = v.get("crc_ok", True)
    faults = same(found["results"]["malformed"], 0 if good else 1, "malformed")
    known = good and not v["time"].startswith("0000")
    faults += same(reading["device_time"], minutes_after(v["time"], 5) if known else None,
                   "device_time")
    v.pass_over(*([] if known else ["tz_quarters", "dst"]))  # of a start that is unknown
    zone = zone_text(v["tz_quarters"] + v["dst"]) if known else None
    return faults + same(reading.get("notes", {}).get("zone"), zone, "zone")


def cgm_checked(channel):
    """What says nothing that is stored: its CRC decides."""
    def check(driver, v):
        found = decode(driver, heard(channel, v.hex))
        v.pass_over("hours", "features", "type", "location", "e2e_crc_supported")
        if v.error or not v.get("crc_ok", True):
            return malformed(found)
        return no_reading(found, "nothing") + same(found["results"]["malformed"], 0, "malformed")
    return check


def sfloat(driver, v):
    """In the place of the trend, which is written out as it came."""
    found = decode(driver, heard("2aa7", "0801" + "0c100500" + v.hex))
    if len(found["readings"]) != 1:
        return [f"expected one reading, found {found}"]
    trend = found["readings"][0].get("notes", {}).get("trend", "").removesuffix(" mg/dL/min")
    number = v["value"]
    return same(Decimal(trend) if trend else None,
                Decimal(str(number)) if is_number(number) else None, "number")


# --- oximeters

PLX_REFUSED = {"demo", "test", "calibration", "unavailable", "invalid", "equipment_malfunction",
               "nonpulsatile", "unconnected_to_user", "unknown_sensor", "sensor_displaced",
               "sensor_malfunction", "sensor_disconnected"}
PLX_DOUBTS = {"early_estimate": "early_estimate", "questionable": "questionable",
              "signal_irregular": "signal_irregular", "inadequate_signal": "inadequate_signal",
              "poor_signal": "poor_signal", "low_perfusion": "low_perfusion",
              "erratic": "erratic", "questionable_pulse": "questionable_pulse",
              "interference": "interference"}


def plx_values(v):
    """None: its numbers cannot be true, or are none."""
    spo2, pulse = v.get("spo2"), v.get("pr")
    if not is_number(spo2 if spo2 is not None else 98) or pulse == 0:
        return None
    if spo2 is None or spo2 > 100:
        return None
    values = {"spo2": (spo2, "%")}
    if is_number(pulse):
        values["spo2.pulse"] = (pulse, "/min")
    return values


def plx_words(v):
    words = {*v.get("meas_status", []), *v.get("dev_status", [])}
    flags = {PLX_DOUBTS[word] for word in words & set(PLX_DOUBTS)}
    return words, flags | ({"questionable"} if flags else set())


def plx_stream(driver, v):
    found = decode(driver, shown("2a5f", v.hex))
    values, (words, flags) = plx_values(v), plx_words(v)
    v.pass_over("spo2_fast", "pr_fast", "spo2_slow", "pr_slow", "pai", "extra_bytes")
    if words & PLX_REFUSED or "from_storage" in words:
        return no_reading(found, "nothing")
    if values is None:
        return no_reading(found, "nothing" if isinstance(v["spo2"], str) else "implausible") \
            if "spo2" in v else no_reading(found, "implausible")
    if "pr" not in v:
        return ["it has no pulse to compare"]
    return one_reading(found, values, flags=flags, device_time=None)


def plx_spot(driver, v):
    found = decode(driver, heard("2a5e", v.hex))
    values, (words, flags) = plx_values(v), plx_words(v)
    time = None if v.get("clock_not_set") else v.get("time")
    v.pass_over("extra_bytes", "pai")
    if words & PLX_REFUSED:
        return no_reading(found, "nothing", "failed_measurement")
    if values is None:
        return no_reading(found)
    if is_number(v.get("pai")):
        values["spo2.pi"] = (v["pai"], "%")
    if "ongoing" in words and not words & {"validated", "fully_qualified"}:
        flags |= {"questionable", "ongoing"}
    flags |= words & {"from_storage"}
    return one_reading(found, values, flags=flags, device_time=time)


def plx_features(driver, v):
    """Bit 2: it stores spot checks. Then they are asked for, else its memory has been told."""
    stores = v["features"] >> 2 & 1
    v.pass_over("meas_support", "dev_support")
    asked = ["channel 2a52", "> 0401"] if stores else []
    found = decode(driver, heard("2a60", v.hex) + asked, ["live"])
    return no_reading(found, "nothing") + same(types(found), [] if stores else ["drained"], "events")


# --- scales, thermometers, hearts

def weight(driver, v):
    found = decode(driver, heard("2a9d", v.hex))
    value = (v["weight"], v.get("unit", "kg"))
    if v.get("raw") == 0xffff:
        return no_reading(found, "nothing", "failed_measurement")
    return judged(found, {"weight": value})


def temperature(driver, v):
    found = decode(driver, heard("2a1c", v.hex))
    return malformed(found) if v.error else ["a measurement that nobody has mapped yet"]


def float32(driver, v):
    """As a temperature in Celsius."""
    found = decode(driver, heard("2a1c", "00" + v.hex))
    value = v["value"]
    if not is_number(value):
        return no_reading(found, "nothing", "failed_measurement")
    return judged(found, {"temp": (value, "Cel")})


def heart(driver, v):
    """The same every second. Its times between beats are in 1/1024 s; those that no heart has are left out."""
    found = decode(driver, shown("2a37", v.hex))
    rate, contact = v["hr"], v.get("contact")
    times = [Decimal(time) * 1000 / 1024 for time in v.get("rr", [])]
    times = [time for time in times if plausible("hr.rr_min", time, "ms")]
    v.pass_over("energy_kJ")  # not used
    values = {"hr": (rate, "/min")}
    if times:
        values.update({"hr.rr_min": (min(times), "ms"), "hr.rr_max": (max(times), "ms")})
    others = {} if contact is None else {"flags": {"no_contact"} & {contact}}
    return judged(found, values, **others)


def unshown(channel, *fields):
    """What drivers read only so that a trace of the link has it."""
    def check(driver, v):
        found = decode(driver, heard(channel, v.hex))
        v.pass_over(*fields)
        return no_reading(found, "nothing") + same(found["results"]["malformed"], 0, "malformed")
    return check


# --- what all share

def clock(channel):
    def check(driver, v):
        found = decode(driver, heard(channel, v.hex))
        v.pass_over("dow", "frac256", "reason")
        return (no_reading(found, "nothing", "device_clock")
                + same(found["events"][0].get("device_time") if found["events"] else None, v["time"],
                       "device_time"))
    return check


def battery(driver, v):
    found = decode(driver, heard("2a19", v.hex))
    return (no_reading(found, "nothing", "battery")
            + same([event.get("value") for event in found["events"]], [v["percent"]], "percent"))


