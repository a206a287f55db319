#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Oximeters, a fridge on Modbus, and instruments that print lines, all the way to the platform.

What the simulators' ledgers say was shown is compared with what the platform has. Nothing is ever
confirmed to such instruments: what they show while nobody listens is gone, and is no fault. Each
function of SITES is one site; the sites run side by side. VITALGATE_ONLY=name runs one of them.
"""
import glob
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "demo")]
from accounts import reading_key, record_key  # noqa: E402
from harness import (Site, Tap, cuff_device, holds, lab_device, line_device,  # noqa: E402
                     modbus_device, same, wait_until)
from test_e2e import alert, delivered, drained, nothing_wrong  # noqa: E402
from test_e2e import record as cuff_record, result as lab_result  # noqa: E402

tap = Tap()
STEADY_S = 4        # of a spot reading, the least
STAYS_S = 9         # a finger, in the midst of kills: whole however late either side is scheduled
DOUBT_S = 120        # 12 s of values in doubt, on a busy machine
LATE_S = 3          # what was shown may be heard so much later; the next finger comes later still
TYPED = "NOBODY-77"


# --- what all sites ask


def monitor(name, driver="nonin", **options):
    return line_device(name, driver, options={"steady_s": STEADY_S, **options})


def opened(site, **bound):
    """Everything runs but the instruments. ox_1="R-0001" binds ox-1."""
    site.all()
    site.cli("import", site.roster())
    for device, resident in bound.items():
        site.cli("bind", device.replace("_", "-"), resident, "--from", "2020-01-01")


def restart_core(site, away_s=0.3):
    site.kill("core")
    time.sleep(away_s)
    holds(site.restart("core") and wait_until(site.answers), "the core does not start again")


def happened(site, device, kind):
    """Events of this kind at the platform."""
    return [e for e in site.received("up/event").values()
            if (e["device"], e["type"]) == (device, kind)]


def waited(site, device, kind, count=1, seconds=60):
    wait_until(lambda: len(happened(site, device, kind)) >= count, seconds)
    found = happened(site, device, kind)
    same(len(found), count, f"events {kind} of {device}: {[e.get('detail') for e in found]}")
    return found


def in_order(site, device):
    return sorted(site.readings(device), key=lambda r: r["time"]["boot_ms"])


def value(reading, kind):
    return reading["values"].get(kind, {}).get("value")


def instant(text):
    return datetime.fromisoformat(text).timestamp()


def results(site, device):
    return next(d["results"] for d in site.cli("devices")["devices"] if d["id"] == device)


def alerts(site, rule=None):
    """{id: {revision: object}}, of one rule only if it is named."""
    found = {}
    for (name, revision), a in site.received("up/alert").items():
        if rule in (None, a["rules"][0]["id"]):
            found.setdefault(name, {})[revision] = a
    return found


def all_there(site):
    drained(site)
    nothing_wrong(site)
    same(site.events("platform", "rejected"), [], "rejected")


# --- oximeters

OUT = "finger out; wait 3.5; "      # and the pulse search of the next one


def fingers(site, name):
    """What was shown of each finger that stayed: (begin, end, record)."""
    begun = {e["key"]: e["t"] for e in site.events(name, "measured")}
    return [(begun[e["key"]], e["t"], e["record"]) for e in site.events(name, "complete")
            if e["record"]["phase"] == "steady" and e["record"]["seconds"] > STEADY_S]


def made_of(reading, finger):
    """It was shown by this finger, at this time."""
    begin, end, shown = finger
    at = reading["time"]["boot_ms"] / 1000
    holds(begin <= at <= end + LATE_S, f"made at {at}, of a finger from {begin} to {end}")
    for kind, name in (("spo2", "spo2_shown"), ("spo2.pulse", "pulse_shown")):
        least, _, most = shown[name]
        holds(least <= value(reading, kind) <= most,
              f"{kind} {value(reading, kind)}, shown were {least} to {most}")


def one_each(site, device, count, resident):
    """As many clean readings as fingers that stayed, each of its own."""
    wait_until(lambda: len(fingers(site, device)) >= count, 180, 0.2)
    shown = fingers(site, device)
    same(len(shown), count, f"fingers that stayed in {device}")
    got = delivered(site, device, count)
    for reading, finger in zip(in_order(site, device), shown):
        made_of(reading, finger)
    same({(r["resident"], r["status"], r["kind"], r["identity"]["evidence"], *r["flags"])
          for r in got}, {(resident, "final", "spo2", "device_binding")})
    v = got[0]["values"]
    same([(v[k]["unit"], v[k]["loinc"]) for k in ("spo2", "spo2.pulse")],
         [("%", "59408-5"), ("/min", "8867-4")])


# The first stays long enough to be steady twice.
THREE = ("finger in spo2=97 pulse=72; wait 10; " + OUT + "noise 40; cut; "
         "finger in spo2=95 pulse=144; wait 1.2; noise 23; wait 0.4; cut; wait 5.4; " + OUT +
         "finger in spo2=96 pulse=88 perfusion=marginal; wait 6; " + OUT)
HASTY = "finger in; wait 0.5; " + OUT + "finger in; wait 2.8; " + OUT


def oximeters():
    with Site(devices=[monitor("ox-2"), monitor("ox-7"), monitor("ox-asked", request=7),
                       monitor("ox-hasty")]) as site:
        opened(site, ox_2="R-0001", ox_7="R-0003", ox_asked="R-0004")
        site.oximeter("ox-2", "--acquire", "1", "--script", THREE)
        site.oximeter("ox-7", "--acquire", "1", "--script", THREE, "--format", "7")
        site.oximeter("ox-asked", "--acquire", "1", "--script", THREE)
        site.oximeter("ox-hasty", "--acquire", "1", "--script", HASTY)
        for name, what, resident in (("ox-7", "format 7", "R-0003"), ("ox-2", "format 2", "R-0001"),
                                     ("ox-asked", "asked for format 7", "R-0004")):
            with tap.case(f"oximeter, {what}: a finger is a reading, between noise and cut frames",
                          site):
                one_each(site, name, 3, resident)
                same(Counter(e["why"] for e in site.events(name, "fault")),
                     Counter(noise=2, cut=2), "faults on the line")
                holds(results(site, name)["malformed"], results(site, name))
        with tap.case("oximeter: a finger that leaves too early failed; one that touched did not",
                      site):
            waited(site, "ox-hasty", "failed_measurement")
            same(site.readings("ox-hasty"), [], "readings")
        with tap.case("oximeter: asked for format 7, it changes to it", site):
            same([e["why"] for e in site.events("ox-asked", "answer")], ["ack 7"])
        with tap.case("oximeter: what the gateway saw happen is dated to the minute", site):
            times = [r["time"] for r in in_order(site, "ox-2")]
            same({(t["device"], t["trust"]) for t in times}, {(None, "live")})
            holds(all(t["uncertainty_s"] <= 60 for t in times), times[0])
        with tap.case("oximeters: a pulse above 127 is one, and alarming; all is receipted", site):
            all_there(site)
            fast = {in_order(site, name)[1]["id"] for name in ("ox-2", "ox-7", "ox-asked")}
            same({a[1]["reading"] for a in alerts(site).values()}, fast, "alarming readings")
            same(set(alerts(site)), set(alerts(site, "spo2-pulse-critical-high")))


def continuous():
    with Site(devices=[line_device("ox-1", "nonin", options={"mode": "continuous",
                                                             "interval_s": 30})]) as site:
        opened(site, ox_1="R-0004")
        site.oximeter("ox-1", "--steady", "--acquire", "1", "--script",
                      "finger in spo2=97 pulse=72;"
                      " wait 5; desaturate to=84 over=1 hold=12; wait 30")
        with tap.case("continuous: a desaturation is told at once, and the doctor with it", site):
            wait_until(lambda: site.readings("ox-1"))
            r, = delivered(site, "ox-1", 1)
            same((r["resident"], r["flags"], value(r, "spo2")), ("R-0004", ["desaturation"], 84))
            a = alert(site, r)
            same((a["severity"], a["to"]["token"], a["rules"][0]["id"]),
                 ("critical", "D-0002", "spo2-critical-low"))
            low = next(e for e in site.events("ox-1", "measured") if e["record"]["phase"] == "low")
            late = r["time"]["boot_ms"] / 1000 - low["t"]
            holds(8 < late < 20, f"{late:.1f} s after it began: 10 s of it are an episode")
        with tap.case("continuous: its end is an event with length and lowest value", site):
            e, = waited(site, "ox-1", "episode")
            words = e["detail"].split()
            same(words[-2:], ["84", "%"], f"the lowest in {e['detail']!r}")
            holds(11 <= int(words[0]) <= 18, e["detail"])
        with tap.case("continuous: each interval is a summary of what was shown", site):
            wait_until(lambda: len(site.readings("ox-1")) > 1)
            delivered(site, "ox-1", 2)
            s = in_order(site, "ox-1")[1]
            same((s["flags"], value(s, "spo2"), value(s, "spo2.pulse"), value(s, "spo2.min")),
                 (["summary"], 97, 72, 84))
            holds(11 <= value(s, "spo2.low_s") <= 18, s["values"]["spo2.low_s"])
            holds(2 <= value(s, "spo2.artifact") <= 15, s["values"]["spo2.artifact"])
            apart = (s["time"]["boot_ms"] - r["time"]["boot_ms"]) / 1000
            same(site.alert_of(s), None, f"alert of the summary, {apart:.0f} s later")
            b = alert(site, r, 2)
            same((b["phase"], b["state"], b["level"], b["severity"], b["shown"], b["readings"]),
                 ("end", "latched", "none", "critical", r["id"], 1), "the alert, by the summary")
        with tap.case("continuous: all is receipted", site):
            all_there(site)


# --- a critical value in doubt


def doubtful(site, device, spo2):
    """The oximeter shows it on a weak signal; returns the reading once its repeat is asked for."""
    asked = waited(site, device, "repeat_requested", 1, DOUBT_S)[0]
    r, = delivered(site, device, 1)
    same((r["flags"], value(r, "spo2"), r["status"]), (["low_perfusion"], spo2, "final"))
    holds(r["id"][:8] in asked["detail"] and "low_perfusion" in asked["detail"], asked)
    same(site.alert_of(r), None, "alert of a value in doubt")
    return r


def settled(site, device, reading, spo2, doctor):
    """A clean reading came: it is the one that is alarming."""
    done = waited(site, device, "repeat_done", 1, DOUBT_S)[0]
    holds(reading["id"][:8] in done["detail"], done)
    clean = delivered(site, device, 2)[1]
    same((clean["flags"], value(clean, "spo2")), ([], spo2))
    a = alert(site, clean)
    same((a["severity"], a["to"], a["shown"], a["readings"]),
         ("critical", {"role": "doctor", "token": doctor}, clean["id"], 1))
    holds("low_perfusion" not in a["labels"] and "no_clean_repeat" not in a["labels"], a["labels"])


def unsettled(site, reading, within_s):
    """No clean one came: staff are told of the doubtful one, not before its time is over."""
    a = alert(site, reading, 1, within_s + 60)
    same((a["severity"], a["state"], a["resident"], a["to"], a["shown"]),
         ("critical", "active", reading["resident"], {"role": "staff", "token": "S-0001"},
          reading["id"]))
    holds({"low_perfusion", "no_clean_repeat", "unconfirmed"} <= set(a["labels"]), a["labels"])
    rule = a["rules"][0]
    same((rule["id"], rule["value"]), ("spo2-critical-low", value(reading, "spo2")))
    after = instant(a["raised"]) - instant(reading["time"]["arrived"])
    holds(within_s - 0.5 <= after < within_s + 30, f"told {after:.1f} s after the reading")


def repeated():
    with Site(devices=[monitor("ox-1"), monitor("ox-2")], tables={"within_s": 25}) as site:
        opened(site, ox_1="R-0004", ox_2="R-0003")
        for name, spo2 in (("ox-1", 86), ("ox-2", 85)):
            site.oximeter(name, "--steady", "--acquire", "0.5", "--script",
                          f"finger in spo2={spo2} pulse=64 perfusion=low")
        with tap.case("in doubt and critical: filed, no doctor called, a repeat asked for", site):
            first, second = doubtful(site, "ox-1", 86), doubtful(site, "ox-2", 85)
            same((first["resident"], second["resident"]), ("R-0004", "R-0003"))
            site.control("ox-1", "now perfusion good; spo2 88")
            site.control("ox-2", "now finger out")
        with tap.case("a clean reading within time: the doctor is told of that one alone", site):
            settled(site, "ox-1", first, 88, "D-0002")
        with tap.case("none within time: staff are told of the doubtful one, with its doubt", site):
            unsettled(site, second, 25)
            same(site.alert_of(first), None, "alert of the one that was settled")
            same(happened(site, "ox-2", "repeat_done"), [])
            all_there(site)


def repeated_through_kills():
    with Site(devices=[monitor("ox-1"), monitor("ox-2")], tables={"within_s": 40}) as site:
        opened(site, ox_1="R-0004", ox_2="R-0003")
        for name, spo2 in (("ox-1", 86), ("ox-2", 85)):
            site.oximeter(name, "--steady", "--acquire", "0.5", "--script",
                          f"finger in spo2={spo2} pulse=64 perfusion=low")
        with tap.case("kill -9 between request and repeat: a clean reading still settles it", site):
            first, second = doubtful(site, "ox-1", 86), doubtful(site, "ox-2", 85)
            site.kill("core")
            site.control("ox-1", "now finger out; wait 3.5; finger in spo2=88 perfusion=good")
            site.control("ox-2", "now finger out")
            holds(site.restart("core") and wait_until(site.answers), "no core")
            settled(site, "ox-1", first, 88, "D-0002")
        with tap.case("kill -9 between request and due time: staff are told all the same", site):
            unsettled(site, second, 40)
        with tap.case("another kill -9: nothing was asked or told twice", site):
            restart_core(site)
            time.sleep(2)
            for device in ("ox-1", "ox-2"):
                waited(site, device, "repeat_requested")
            waited(site, "ox-1", "repeat_done")
            same(sorted(map(sorted, alerts(site).values())), [[1], [1]], "revisions of the alerts")
            all_there(site)


# --- places

FRIDGE = {"place": "fridge", "poll_ms": 500, "response_ms": 1500}
WARM_S = 2
DOOR_S = 8      # open for less: whole however long the platform takes to hear of it


def said(site, simulator, item, slave=1):
    """What a register has said."""
    return {float(e["record"]["value"]) for e in site.events(simulator, "measured")
            if (e["record"]["slave"], e["record"]["item"]) == (slave, item)}


def newest(site, device, kind, seconds=60):
    """Waits for the next readings; the newest number of this kind, None when it has none."""
    count = len(site.readings(device))
    holds(wait_until(lambda: len(site.readings(device)) > count + 1, seconds),
          f"no more readings of {device}")
    return value(in_order(site, device)[-1], kind)


def shows(site, kind, want):
    """The fridge's readings come to say so: what was asked before may still be on its way."""
    wait_until(lambda: newest(site, "fridge-1", kind) == want)
    same(newest(site, "fridge-1", kind), want, kind)


def staff_alert(site, rule, severity):
    """The one alert of a technical rule, active."""
    holds(wait_until(lambda: alerts(site, rule)), f"no alert {rule}")
    same(len(alerts(site, rule)), 1, f"alerts {rule}")
    a, = [revisions[max(revisions)] for revisions in alerts(site, rule).values()]
    same((a["severity"], a["type"], a["state"], a["place"], a["resident"], a["to"]),
         (severity, "ST", "active", "fridge", None, {"role": "staff", "token": "S-0001"}))
    return a


def revision(site, a, number):
    holds(wait_until(lambda: number in alerts(site).get(a["id"], {})),
          f"no revision {number} of {a['id']}")
    return alerts(site)[a["id"]][number]


def over(site, a):
    """It ends by itself; a critical one is left to be seen by somebody."""
    b = revision(site, a, 2)
    left = "latched" if a["severity"] == "critical" else "inactive"
    same((b["state"], b["phase"], b["level"], b["severity"], b["to"]),
         (left, "end", "none", a["severity"], a["to"]))
    holds(instant(b["since"]) < instant(b["ended"]), b)


def seen(site, a):
    """Somebody has seen the critical one that is over."""
    site.cli("ack", a["id"][:8], "reached", "--by", "S-0001")
    b = revision(site, a, 3)
    same((b["state"], b["phase"], b["inactivation"], b["acknowledged"]["outcome"], "ended" in b),
         ("inactive", "update", "alert-acknowledged", "reached", True))


def fridge_line():
    bus = "{dir}/bus.tty"
    devices = [modbus_device("fridge-1", "fridge_eid041", bus, slave=1, **FRIDGE),
               modbus_device("room-1", "room_th_cn", bus, slave=2, **FRIDGE | {"place": "room", "response_ms": 200})]
    with Site(devices=devices, tables={"fridge_warm": WARM_S, "fridge_door": DOOR_S}) as site:
        site.modbus_line("bus", "1:fridge", "2:room")
        site.control("bus", "silent 2 forever")
        opened(site)
        with tap.case("fridge: its readings keep coming beside a silent slave, and are of a place",
                      site):
            wait_until(lambda: len(site.readings("fridge-1")) >= 10)
            got = in_order(site, "fridge-1")
            gaps = [(b["time"]["boot_ms"] - a["time"]["boot_ms"]) for a, b in zip(got, got[1:])]
            holds(len(got) >= 10 and max(gaps) < 8000, f"{len(got)} readings, gaps {gaps}")
            same({(r["place"], r["resident"], r["status"], r["kind"], value(r, "env.temp"),
                   value(r, "env.humidity"), value(r, "env.door_open")) for r in got},
                 {("fridge", None, "final", "environment", 4.5, 45.0, 0)})
            same((site.readings("room-1"), site.cli("unassigned")["readings"]), ([], []))
        fridge_limits(site)
        fridge_probe(site)
        with tap.case("fridge: the line is pulled and comes back", site):
            site.control("bus", "unplug")
            time.sleep(1.5)
            site.control("bus", "plug")
            shows(site, "env.temp", 4.6)
        with tap.case("fridge: each round of answers was one reading, each of what it said", site):
            site.control("bus", "silent 1 forever")
            time.sleep(1.5)
            site.control("bus", "counts")
            holds(wait_until(lambda: site.events("bus", "counts")), "no counts")
            answers = site.events("bus", "counts")[-1]["record"]["slaves"]["1"]["answers"]
            all_there(site)
            count = len(site.readings("fridge-1"))
            # the pulled line and the end may have cut a round in two
            holds(0 <= count - answers // 2 <= 2, f"{count} readings, {answers} answers")
            shown = said(site, "bus", "temp") | {4.5}
            same({value(r, "env.temp") for r in site.readings("fridge-1")} - {None} - shown, set(),
                 "temperatures that the fridge never showed")


def fridge_limits(site):
    with tap.case("fridge: too warm for some time calls staff and no doctor; good again, it ends",
                  site):
        site.control("bus", "set 1 temp 9.5")
        a = staff_alert(site, "fridge-warm", "critical")
        same((a["rules"][0]["value"], a["rules"][0]["limit"], a["device"]), (9.5, 8.0, "fridge-1"))
        holds(instant(a["raised"]) - instant(a["since"]) > WARM_S - 0.1, a)
        site.control("bus", "set 1 temp 7.8")       # inside the limit, not inside its margin
        shows(site, "env.temp", 7.8)
        same(list(alerts(site)[a["id"]]), [1])
        site.control("bus", "set 1 temp 4.6")
        over(site, a)
        seen(site, a)
    with tap.case("fridge: an open door calls staff, one that was closed in time does not", site):
        site.control("bus", "set 1 door 1")
        shows(site, "env.door_open", 1)
        site.control("bus", "set 1 door 0")
        shows(site, "env.door_open", 0)
        time.sleep(DOOR_S + 0.5)
        same(alerts(site, "fridge-door"), {})
        site.control("bus", "set 1 door 1")
        a = staff_alert(site, "fridge-door", "warning")
        site.control("bus", "set 1 door 0")
        over(site, a)


def fridge_probe(site):
    with tap.case("fridge: a dead probe is one event and no temperature; its end is another", site):
        before = len(happened(site, "fridge-1", "device_error"))
        site.control("bus", "set 1 temp 0x7FFF")
        wait_until(lambda: newest(site, "fridge-1", "env.temp") is None)
        for _ in range(3):
            same(newest(site, "fridge-1", "env.temp"), None, "temperature of a dead probe")
        last = in_order(site, "fridge-1")[-1]
        same((value(last, "env.humidity"), value(last, "env.door_open")), (45.0, 0))
        e = waited(site, "fridge-1", "device_error", before + 1)[-1]
        same(e["detail"], "temp: invalid")
        site.control("bus", "set 1 temp 4.6")
        wait_until(lambda: newest(site, "fridge-1", "env.temp") == 4.6)
        e = waited(site, "fridge-1", "device_error", before + 2)[-1]
        same(e["detail"], "temp: good again")
        same(len(alerts(site, "fridge-warm")), 1, "alerts of the warmth before")


def fridge_port():
    with Site(tables={"fridge_warm": WARM_S}) as site:
        site.write_config([modbus_device("fridge-1", "fridge_eid041",
                                         site.modbus_port("tcp", "1:fridge"), slave=1, **FRIDGE)])
        opened(site)
        with tap.case("fridge over TCP: hung up on, it connects again", site):
            same(newest(site, "fridge-1", "env.temp"), 4.5)
            site.control("tcp", "close 1 2")
            holds(wait_until(lambda: site.events("tcp", "fault")), "it never hung up")
            site.control("tcp", "set 1 temp 4.9")
            holds(wait_until(lambda: newest(site, "fridge-1", "env.temp") == 4.9), "not again")
        with tap.case("fridge over TCP: refused for some seconds, it says so once and goes on",
                      site):
            site.control("tcp", "refuse 1 on")
            time.sleep(4)
            held = len(site.readings("fridge-1"))
            site.control("tcp", "set 1 temp 5.2")
            site.control("tcp", "refuse 1 off")
            holds(wait_until(lambda: newest(site, "fridge-1", "env.temp") == 5.2), "not again")
            same({value(r, "env.temp") for r in in_order(site, "fridge-1")[held:]}, {5.2})
            details = [e["detail"] for e in happened(site, "fridge-1", "device_error")]
            same(details, [], "a slave that is gone is the link's affair, no error of its values")
        with tap.case("fridge: kill -9 while its alert is open: raised once, and still ends", site):
            site.control("tcp", "set 1 temp 9")
            a = staff_alert(site, "fridge-warm", "critical")
            for _ in range(2):
                restart_core(site)
                newest(site, "fridge-1", "env.temp")
            time.sleep(WARM_S)
            same({k: list(v) for k, v in alerts(site, "fridge-warm").items()}, {a["id"]: [1]})
            site.control("tcp", "set 1 temp 4.5")
            over(site, a)
        with tap.case("fridge: kill -9 before the alert is due: the warmth is not forgotten", site):
            site.control("tcp", "set 1 temp 9.9")
            holds(wait_until(lambda: newest(site, "fridge-1", "env.temp") == 9.9), "not warm")
            restart_core(site)
            holds(wait_until(lambda: len(alerts(site, "fridge-warm")) == 2), "no second alert")
            time.sleep(WARM_S)
            same(sorted(map(sorted, alerts(site, "fridge-warm").values())), [[1], [1, 2]], "revisions")
            same({value(r, "env.temp") for r in site.readings("fridge-1")}
                 - said(site, "tcp", "temp") - {4.5}, set(), "never shown")
            all_there(site)


def device_of(model):
    return model.replace("_", "-")


def sent(site, device):
    return [e["record"] for e in site.events(device, "sent")]


# --- line printers

MONITORS = {"masimo": "masimo_ascii1", "masimo_root": "masimo_ascii1", "nellcor": "nellcor",
            "nonin_ascii": "nonin_ascii"}
SCALES = {"gtech": "gtech_scale", "cms_scale": "height_weight"}


def printers():
    devices = [monitor(device_of(m), driver) for m, driver in MONITORS.items()] + \
        [line_device(device_of(m), driver) for m, driver in SCALES.items()] + \
        [line_device("hbp", "hbp9030", patient_id="token")]
    with Site(devices=devices) as site:
        opened(site, masimo="R-0001", masimo_root="R-0002", nellcor="R-0003", nonin_ascii="R-0004",
               gtech="R-0001", cms_scale="R-0002")
        visit = "wait 9; " + "finger out; wait 6; "     # Nellcor prints every other second
        for model in MONITORS:
            site.printer(device_of(model), model, "--acquire", "1", "--script",
                         "wait 1; cut; wait 4; noise 9; finger in spo2=97 pulse=72; " + visit
                         + "finger in spo2=94 pulse=131 perfusion=good; " + visit)
        scales(site)
        station(site)
        for model, resident in zip(MONITORS, ("R-0001", "R-0002", "R-0003", "R-0004")):
            with tap.case(f"{model}: a finger is a reading; a line that was cut is none", site):
                name = device_of(model)
                one_each(site, name, 2, resident)
                same(Counter(e["why"] for e in site.events(name, "fault")),
                     Counter(cut=1, noise=1))
                holds(results(site, name)["malformed"], results(site, name))
        with tap.case("line printers: all is receipted", site):
            all_there(site)


def scales(site):
    for model in SCALES:
        site.printer(device_of(model), model)
    with tap.case("height and weight: values, units and resident; a cut line is no reading", site):
        for name in map(device_of, SCALES):
            site.control(name, "measure height=170.5 weight=65.3; wait 0.5; measure weight=61.2; "
                               "wait 0.5; cut; measure height=150.1 weight=40.4; wait 4; "
                               "measure height=181 weight=88.8")
        for name, resident in (("gtech", "R-0001"), ("cms-scale", "R-0002")):
            delivered(site, name, 3)
            got = in_order(site, name)
            same([(value(r, "weight"), value(r, "height"), r["resident"]) for r in got],
                 [(e["weight_kg"], e["height_cm"], resident) for e in sent(site, name)])
            same((got[0]["kind"], got[0]["values"]["weight"]["unit"],
                  got[0]["values"]["height"]["unit"]), ("weight", "kg", "cm"))
            same(len(site.events(name, "lost")), 1, "lines that were cut")
    with tap.case("height and weight: an error is an event and no reading", site):
        site.control("cms-scale", "measure error=3")
        holds("3" in waited(site, "cms-scale", "failed_measurement")[0]["detail"], "which error?")
        same(len(site.readings("cms-scale")), 3)


def station(site):
    site.printer("hbp", "hbp9030")
    with tap.case("pressure station: filed under whose token was scanned, else under nobody", site):
        site.control("hbp", "measure sys=128 dia=82 pulse=72 id=R-0001; wait 0.5; "
                            "measure sys=190 dia=112 pulse=90 id=R-0003; wait 0.5; "
                            f"measure sys=131 dia=79 pulse=66 id={TYPED}; wait 0.5; "
                            "measure sys=133 dia=77 pulse=65 id=R-0002 move=1")
        delivered(site, "hbp", 4)
        got = in_order(site, "hbp")
        same([tuple(value(r, "bp." + k) for k in ("sbp", "dbp", "pulse")) for r in got],
             [(e["sys"], e["dia"], e["pulse"]) for e in sent(site, "hbp")])
        same([(r["resident"], r["identity"]["evidence"]) for r in got],
             [("R-0001", "message_token"), ("R-0003", "message_token"),
              (None, "unknown_patient_id"), ("R-0002", "message_token")])
        same([r["flags"] for r in got], [[], [], [], ["body_movement"]])
        same([r["time"]["device"][:16] for r in got], [e["time"] for e in sent(site, "hbp")])
        same(alert(site, got[1])["to"]["token"], "D-0002")
    with tap.case("pressure station: told again makes no row, cut no reading, an error an event",
                  site):
        site.control("hbp", "reprint; wait 0.5; measure error=1; wait 0.5; cut; "
                            "measure sys=111 dia=71 pulse=61; wait 4; "
                            "measure sys=112 dia=72 pulse=62 id=R-0001")
        delivered(site, "hbp", 5)
        same(value(in_order(site, "hbp")[4], "bp.sbp"), 112)
        holds("1" in waited(site, "hbp", "failed_measurement")[0]["detail"], "which error?")
        same((len(site.events("hbp", "lost")), len(sent(site, "hbp"))), (1, 7), "printed")
    with tap.case("pressure station: what was typed is nowhere in clear", site):
        holds(any(e["record"]["id"] == TYPED for e in site.events("hbp", "sent")), "not typed")
        for path in glob.glob(site.path("store/*")) + [site.path("core.log"),
                                                       site.path("platform.ledger")]:
            with open(path, "rb") as f:
                holds(TYPED.encode() not in f.read(), f"the typed id is in {path}")


# --- all of it, and kill -9


def everything():
    devices = [cuff_device("cuff-1"), lab_device("lab-1"), monitor("ox-1"),
               monitor("masimo", "masimo_ascii1"), line_device("hbp", "hbp9030")]
    with Site(devices=devices, tables={"fridge_warm": WARM_S}) as site:
        site.write_config(devices + [modbus_device(
            "fridge-1", "fridge_eid041", site.modbus_port("fridge", "1:fridge"), slave=1,
            **FRIDGE)])
        opened(site, cuff_1="R-0001", ox_1="R-0004", masimo="R-0003", hbp="R-0002")
        site.cuff("cuff-1")
        site.analyser("lab-1", "--retry", "0.5", "--ack-timeout", "3")
        again = ("--acquire", "0.5", "--steady", "--repeat", "--script",
                 f"finger in spo2=97 pulse=72; wait {STAYS_S}; finger out; wait 4")
        site.oximeter("ox-1", *again)
        site.printer("masimo", "masimo", *again)
        site.printer("hbp", "hbp9030")
        site.control("fridge", "set 1 temp 9.3")
        with tap.case("kill -9 in the middle of all of it: nothing confirmed is lost", site):
            kills = busy(site)
            for device in ("cuff-1", "lab-1"):
                told = {record_key(device, e["record"]) for e in site.events(device, "told")}
                delivered(site, device, len(told))
                same({reading_key(r) for r in site.readings(device)}, told, device)
        with tap.case("kill -9: no instrument's reading is there twice, or shown by none", site):
            for device in ("ox-1", "masimo"):
                spot_through_kills(site, device, kills)
            printed = Counter((e["record"]["sys"], e["record"]["dia"])
                              for e in site.events("hbp", "sent"))
            stored = Counter((value(r, "bp.sbp"), value(r, "bp.dbp")) for r in site.readings("hbp"))
            same(stored - printed, Counter(), "not printed, or twice")
            holds(stored.total() >= printed.total() - 2 * len(kills),
                  f"{stored.total()} of {printed.total()} lines")
            for device in ("fridge-1", "ox-1", "masimo"):
                moments = Counter(r["time"]["boot_ms"] for r in site.readings(device))
                same(moments.most_common(1)[0][1], 1, f"{device}: readings of one moment")
            same({value(r, "env.temp") for r in site.readings("fridge-1")} - {4.5, 9.3}, set())
        with tap.case("kill -9: the fridge's alert was raised once, and ends once", site):
            a = staff_alert(site, "fridge-warm", "critical")
            same({k: list(v) for k, v in alerts(site).items()}, {a["id"]: [1]}, "all alerts")
            site.control("fridge", "set 1 temp 4.5")
            over(site, a)
        with tap.case("kill -9: in the end all is receipted", site):
            all_there(site)


def wait_told(site, device, count):
    return wait_until(lambda: len(site.events(device, "told")) >= count, 180)


def wait_finger(site, device, since):
    """One that began after that, and is over."""
    return wait_until(lambda: [f for f in fingers(site, device) if f[0] > since], 120, 0.1)


def busy(site):
    """Readings from all sides, kills among them; returns when those were: (down, up)."""
    kills = []
    for n in range(30):
        site.control("cuff-1", "record " + cuff_record(110 + n, 60 + n))
        site.control("lab-1", "record " + lab_result(f"{4 + n / 10:.1f}", specimen=f"S-{n}"))
        site.control("hbp", f"measure sys={112 + n} dia={62 + n} pulse=70")
        if n == 2:
            holds(wait_until(lambda: alerts(site, "fridge-warm")), "the fridge is not warm")
        if n in (6, 13, 14, 22):
            down = time.clock_gettime(time.CLOCK_BOOTTIME)
            restart_core(site, 0.4)
            wait_until(lambda: site.cli("devices")["live"].get("hbp", {}).get("state") == "connected")
            kills.append((down, time.clock_gettime(time.CLOCK_BOOTTIME)))
        time.sleep(0.7)
    for device in ("cuff-1", "lab-1"):
        holds(wait_told(site, device, 30), f"{device} was told {len(site.events(device, 'told'))}")
    for device in ("ox-1", "masimo"):
        holds(wait_finger(site, device, kills[-1][1]), f"{device}: no finger after the last kill")
        site.control(device, "now finger out")
    wait_until(lambda: site.events("hbp", "measured")[-1]["record"]["sys"] == 141)
    wait_until(lambda: [r for r in site.readings("hbp") if value(r, "bp.sbp") == 141])
    return kills


def spot_through_kills(site, device, kills):
    """A finger that nobody disturbed is one reading; one that was pulled out early may be none. After
    a kill, one that is still in is measured anew."""
    explained = 0
    for begin, end, record in fingers(site, device):
        mine = [r for r in site.readings(device) if begin <= r["time"]["boot_ms"] / 1000 <= end + LATE_S]
        for reading in mine:
            made_of(reading, (begin, end, record))
        hit = sum(down < end + LATE_S and up > begin for down, up in kills)
        least = not hit and record["seconds"] >= STAYS_S
        holds(least <= len(mine) <= 1 + hit,
              f"{device}: {len(mine)} readings of a finger of {record['seconds']} s, {hit} kills")
        explained += len(mine)
    same(len(site.readings(device)), explained, f"{device}: readings, and those of a finger")


SITES = [oximeters, printers, repeated_through_kills, everything, continuous, fridge_line,
         fridge_port, repeated]


def run(site):
    try:
        site()
    except Exception as error:  # outside a case: the site itself did not come up
        tap.result(False, f"{site.__name__}: could not go on", f"{type(error).__name__}: {error}")


def main():
    only = os.environ.get("VITALGATE_ONLY")
    chosen = [s for s in SITES if not only or s.__name__ == only]
    with ThreadPoolExecutor(len(chosen)) as pool:
        list(pool.map(run, chosen))
    tap.done()


if __name__ == "__main__":
    main()
