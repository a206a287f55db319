#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated BLE peripherals, the real core, uplink and broker, a simulated platform.

The rows at the platform are compared with the peripherals' own ledgers: every record once, with its
value, unit, comparator, site and the time at which it was really made. Each function of SITES is
one site; those of one row run side by side. VITALGATE_ONLY=name runs one of them.
"""
import os
import select
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, Site, Tap, ble_device, holds, same, wait_until  # noqa: E402
from test_e2e import drained, nothing_wrong  # noqa: E402
from test_instruments_e2e import happened, opened, restart_core  # noqa: E402

tap = Tap()
WHAT = ("normal,before,after,fasting,casual,bedtime,hi,lo,hi-inf,control,control-site,ketone,isf,"
        "error,none")
SANITIZED = "san" in os.path.basename(BUILD)  # it keeps what was freed for a while, to catch its use
NO_READING = ("control", "control-site", "error", "none")
MG_PER_MMOL = 18.016
SITES_OF_A_BODY = {1: "armpit", 2: "body", 3: "ear"}


# --- what the ledger says, and what the platform has

def measured(site, name):
    """{key: record} of all that the peripheral ever had; a record as it was last sent, for some are
    dated only then."""
    found = {e["key"]: e["record"] for e in site.events(name, "measured")}
    found.update({e["key"]: e["record"] for e in site.events(name, "sent") if e["key"] in found})
    return found


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def true_time(record):
    return datetime.fromisoformat(record["true"]).replace(
        tzinfo=ZoneInfo(Site.ZONE)).astimezone(timezone.utc)


def value(row, kind):
    return row["values"].get(kind, {}).get("value")


def by_time(site, name):
    """{what the device's clock showed: row}; two rows of one moment are a fault here."""
    rows = site.readings(name)
    twice = [t for t, n in Counter(r["time"]["device"] for r in rows).items() if n > 1]
    same(twice, [], f"{name}: moments of which there are several readings")
    return {r["time"]["device"]: r for r in rows}


def in_time(row, record, name):
    """It is dated to when it was made, within what it says of itself."""
    off = abs((instant(row["time"]["taken"]) - true_time(record)).total_seconds())
    known = row["time"]["trust"] in ("corrected", "device")
    holds(known and off <= row["time"]["uncertainty_s"] + 2,
          f"{name}: made {true_time(record)}, filed {row['time']}")


def passes(check, row, record):
    try:
        check(row, record)
    except Exception:
        return False
    return True


def every_record(site, name, check, count, seconds=120):
    """Each of `count` records of the ledger is one row, and no row is anything else. check(row,
    record)."""
    def wanted():
        return [r for r in measured(site, name).values() if r.get("what") not in NO_READING]

    wait_until(lambda: len(measured(site, name)) >= count
               and len(site.readings(name)) >= len(wanted()), seconds, 0.1)
    same(len(measured(site, name)), count, f"records that {name} made")
    rows, records = by_time(site, name), {r.get("time"): r for r in wanted()}
    missing, odd = sorted(set(records) - set(rows)), sorted(set(rows) - set(records))
    holds(not missing and not odd, f"{name}: no reading of {len(missing)} records: {missing[:9]}; "
                                   f"{len(odd)} readings of no record: {odd[:9]}")
    for moment, record in records.items():
        # the second half of a weighing may come late, by a next revision
        wait_until(lambda: passes(check, by_time(site, name)[moment], record), 60, 0.2)
        rows = by_time(site, name)
        check(rows[moment], record)
        in_time(rows[moment], record, name)
    same(site.events(name, "deleted"), [], f"{name}: deleted by the gateway")
    return rows


def is_glucose(row, record):
    what, kinds = record["what"], set(row["values"])
    want = {"fasting": {"glu.fasting"}, "ketone": {"ketone"}, "isf": {"glu.isf"}}
    same(kinds, want.get(what, {"glu.random"}), f"what {record} became")
    shown = row["values"][kinds.pop()]
    same(shown["unit"], "mmol/L", "unit")
    same(shown.get("comparator"), {"hi": ">", "hi-inf": ">", "lo": "<"}.get(what), what)
    if what == "hi-inf":
        return
    number = float(record["value"]) / (MG_PER_MMOL if record["unit"] == "mg/dL" else 1)
    holds(abs(shown["value"] - number) < 0.0501 + 0.0005 * number, f"{record} became {shown}")


def is_temperature(row, record):
    got = value(row, "temp")
    number = float(record["value"])
    if record["unit"] == "F":
        number = (number - 32) / 1.8
    holds(abs(got - number) < 0.051, f"{record} became {row['values']}")
    same((row.get("notes") or {}).get("site"), SITES_OF_A_BODY.get(record.get("site")), "site")


def is_weight(row, record):
    factor = 0.45359237 if record["unit"] == "lb" else 1
    for kind, name in (("weight", "weight"), ("body.water", "water")):
        holds(abs(value(row, kind) - float(record[name]) * factor) < 0.0051,
              f"{name} of {record} became {row['values']}")
    same((value(row, "body_fat"), value(row, "body.impedance")),
         (float(record["fat_pct"]), float(record["impedance"])), "the second half")


def is_oxygen(row, record):
    same([value(row, k) for k in ("spo2", "spo2.pulse")], [record["spo2"], record["pulse"]],
         "numbers")


def is_pressure(row, record):
    same([value(row, "bp." + k) for k in ("sbp", "dbp", "map", "pulse")],
         [record[k] for k in ("sys", "dia", "map", "pulse")], "numbers")


def of_a_finger(site, name, kinds, count=1):
    """One reading of each finger that stayed, with numbers that were shown."""
    def fingers():
        return [e["record"] for e in site.events(name, "complete")
                if e["record"]["phase"] == "steady"]

    wait_until(lambda: len(fingers()) >= count and len(site.readings(name)) >= count, 120, 0.1)
    same((len(fingers()), len(site.readings(name))), (count, count), f"{name}: fingers, readings")
    rows = sorted(site.readings(name), key=lambda r: r["time"]["boot_ms"])
    for row, shown in zip(rows, fingers()):
        for kind, what in kinds.items():
            least, _, most = shown[what]
            holds(least <= value(row, kind) <= most, f"{name}: {row['values']} of {shown}")
        same(row["time"]["trust"], "live", "trust")


def all_there(site):
    drained(site)
    nothing_wrong(site)


# --- every kind

FINGER = "finger in spo2=96 pulse={}; wait 12; finger out"
BOTH = {"spo2": "spo2_shown", "spo2.pulse": "pulse_shown"}
KINDS = (
    # name, driver, records in the end, options, check
    ("glucose", "bt_glucose", 15, ("--records", "15", "--what", WHAT), is_glucose),
    ("glucose-mg", "bt_glucose", 15, ("--records", "15", "--what", WHAT, "--unit", "mg/dL",
                                      "--no-offset"), is_glucose),
    ("thermometer", "bt_thermometer", 3, ("--records", "3", "--site", "3"), is_temperature),
    ("thermometer-f", "bt_thermometer", 2, ("--records", "2", "--unit", "F", "--site", "1",
                                            "--site-apart"), is_temperature),
    ("scale", "bt_scale", 3, ("--records", "3",), is_weight),
    ("scale-lb", "bt_scale", 2, ("--records", "2", "--unit", "lb", "--multi-packet"), is_weight),
    ("plx", "bt_plx", 4, ("--records", "4"), is_oxygen),
    ("plx-now", "bt_plx", 2, ("--records", "2", "--no-storage"), is_oxygen),
    ("cgm", "bt_cgm", 8, ("--records", "5", "--live", "3", "--hz", "2", "--crc"), is_glucose),
)
STREAMS = (("plx_continuous", "bt_plx", BOTH), ("berrymed", "berrymed", BOTH),
           ("jumper", "jumper_oximeter", BOTH), ("contec", "contec_bt", BOTH),
           ("nonin3230", "nonin_3230", BOTH), ("heartrate", "bt_heart_rate", {"hr": "pulse_shown"}))


def every_kind():
    devices = [ble_device(name, driver) for name, driver, *_ in KINDS + STREAMS]
    with Site(devices=devices + [ble_device("scale-uds", "bt_scale", options={
            "consent": 1234, "user_index": 1})]) as site:
        opened(site, glucose="R-0002", thermometer="R-0001")
        for name, _, _, options, _ in KINDS:
            site.peripheral(name.partition("-")[0], name, *options)
        site.peripheral("scale", "scale-uds", "--records", "1", "--consent", "1234")
        for place, (name, _, _) in enumerate(STREAMS):
            site.peripheral(name, name, "--acquire", "1", "--script",
                            FINGER.format(70 + 15 * place))
        for name, driver, count, _, check in KINDS:
            with tap.case(f"{driver}, {name}: the rows are the ledger", site):
                every_record(site, name, check, count)
        with tap.case("bt_plx: a memory that can only be read whole is stored once", site):
            site.control("plx", "random 2")
            every_record(site, "plx", is_oxygen, 6)
        with tap.case("bt_scale: with consent it tells, without it would not", site):
            every_record(site, "scale-uds", is_weight, 1)
        with tap.case("bt_glucose: control solution and failures are events, no readings", site):
            for name in ("glucose", "glucose-mg"):
                holds(wait_until(lambda n=name: len(happened(site, n, "failed_measurement")) == 2),
                      "failures are no events")
                same(len(happened(site, name, "control_solution")), 2, "control solutions")
        with tap.case("what is bound is filed; what is not waits for somebody", site):
            same({r["resident"] for r in site.readings("glucose")}, {"R-0002"}, "resident")
            same({r["status"] for r in site.readings("plx")}, {"unassigned"}, "status")
        for name, driver, kinds in STREAMS:
            with tap.case(f"{driver}, {name}: a finger is a reading of what was shown", site):
                of_a_finger(site, name, kinds)
        with tap.case("every kind: nothing but what is needed was written to them", site):
            names = [k[0] for k in KINDS + STREAMS]
            same([(n, e) for n in names for e in site.events(n, "clock", "refused", "deleted")], [],
                 "written")
            all_there(site)


# --- numbers of a glucose meter, and its clock

NUMBERS = {
    "gaps": ("--records", "20", "--gaps", "0.5"), "hole": ("--records", "8", "--hole", "3"),
    "strip": ("--records", "8", "--strip-at", "4"), "busy": ("--records", "3", "--busy", "1"),
    "count": ("--records", "3", "--no-count"), "old": (
        "--records", "3", "--operators", "1,5,6", "--old-errors"),
    "wrap": ("--records", "6", "--first-seq", "65533"),
    "reset": ("--records", "9"), "reverse": ("--records", "4", "--reverse"),
    "off": ("--records", "3", "--clock-offset", "-7200"), "base": (
        "--records", "3", "--base-offset", "334"),
    "locked": ("--records", "3", "--insufficient-encryption", "2"),
}


def numbers():
    reverse = {"options": {"order": "reverse"}}
    with Site(devices=[ble_device(n, "bt_glucose", **(reverse if n == "reverse" else {}))
                       for n in NUMBERS]) as site:
        opened(site)
        for name, options in NUMBERS.items():
            site.peripheral("glucose", name, *options)
        first = {name: int(options[1]) for name, options in NUMBERS.items()}
        wait_until(lambda: all(len(site.readings(n)) >= c for n, c in first.items()), 120, 0.1)
        for name in NUMBERS:
            if name == "reset":
                site.control(name, "reset")
            site.control(name, "random 2")
        for name, what in (("gaps", "numbers that are left out are no holes"),
                           ("hole", "a record that got lost on the air is fetched again"),
                           ("strip", "the meter leaves for a strip and comes back"),
                           ("busy", "a procedure of somebody else is waited for"),
                           ("count", "a meter that cannot count"),
                           ("old", "a meter that knows all, first and last only"),
                           ("wrap", "numbers begin again behind 65535"),
                           ("reset", "a meter that lost its memory numbers anew, and is believed"),
                           ("reverse", "a meter whose newest record is number 1"),
                           ("off", "a clock that is two hours slow: the rows have the right time"),
                           ("base", "an offset from the base time"),
                           ("locked", "encryption that comes late")):
            with tap.case(f"bt_glucose: {what}: every record once", site):
                every_record(site, name, is_glucose, first[name] + 2)
        with tap.case("bt_glucose: no record is asked for twice once it is kept", site):
            sent = Counter(e["key"] for e in site.events("gaps", "sent"))
            same(set(sent.values()), {1}, "times that a record was sent")
            all_there(site)


def interrupted():
    """Reports that never come to their end: each goes on behind what is kept."""
    with Site(devices=[ble_device(n, "bt_glucose") for n in ("fails", "weak")]) as site:
        opened(site)
        site.peripheral("glucose", "fails", "--records", "9", "--fail-at", "4")
        site.peripheral("glucose", "weak", "--records", "60", "--die-at", ",".join(["90"] * 400))
        for name, what, count in (("fails", "reports that end after three records", 9),
                                  ("weak", "links that end after fifty records", 60)):
            with tap.case(f"bt_glucose: {what} get on, from one to the next", site):
                every_record(site, name, is_glucose, count)
                links = len(site.events(name, "connected"))
                holds(links < 20, f"{links} links")


def clocks():
    off = ("--clock-offset", "-5400")
    devices = [ble_device("and", "bt_blp", options={"clock": "set"}),
               ble_device("and-keep", "bt_blp"),
               ble_device("glucose", "bt_glucose", options={"clock": "set"}),
               ble_device("thermometer", "bt_thermometer", options={"clock": "set"}),
               ble_device("keep", "bt_thermometer")]
    with Site(devices=devices) as site:
        opened(site)
        site.peripheral("and_cuff", "and", "--records", "3")
        site.peripheral("and_cuff", "and-keep", "--records", "3")
        for kind, name in (("glucose", "glucose"), ("thermometer", "thermometer"),
                           ("thermometer", "keep")):
            site.peripheral(kind, name, "--records", "3", *off)
        with tap.case("A&D: its clock is set before indications are switched on", site):
            every_record(site, "and", is_pressure, 3)
            kinds = [e["event"] for e in site.events("and", "clock", "subscribed", "refused")]
            same(kinds[:2], ["clock", "subscribed"], "order of what was written")
            holds("refused" not in kinds and not any(
                r.get("unset") for r in measured(site, "and").values()), measured(site, "and"))
        with tap.case("A&D: whose clock may not be set, an unset clock is corrected", site):
            every_record(site, "and-keep", is_pressure, 3)
            same(site.events("and-keep", "clock"), [], "set")
            same({r["unset"] for r in measured(site, "and-keep").values()}, {True}, "unset")
        for name, check in (("glucose", is_glucose), ("thermometer", is_temperature)):
            with tap.case(f"{name}: the clock is set; records from before it keep their true time",
                          site):
                every_record(site, name, check, 3)
                same(len(site.events(name, "clock")), 1, "times that it was set")
                site.control(name, "random 2")
                every_record(site, name, check, 5)
                same(len(site.events(name, "clock")), 1, "times that it was set")
                last = list(measured(site, name).values())[-1]
                late = (datetime.fromisoformat(last["true"])
                        - datetime.fromisoformat(last["time"])).total_seconds()
                holds(abs(late) <= 35, f"its clock is still {late} s late")
        with tap.case("thermometer: a clock that nobody allowed to be set is corrected, not set",
                      site):
            every_record(site, "keep", is_temperature, 3)
            same(site.events("keep", "clock"), [], "set")
            all_there(site)


# --- loans

def loans():
    """A thermometer goes from R-0001 to R-0002, and no temperature takes the wrong name with it."""
    with Site(devices=[ble_device("loan", "bt_thermometer")]) as site:
        opened(site)
        site.cli("import", site.roster())
        site.cli("bind", "loan", "R-0001")

        def owners():
            return [row["resident"] for row in sorted(site.readings("loan"),
                                                      key=lambda row: row["time"]["device"])]

        def told():
            return site.query("SELECT drained IS NOT NULL FROM device")[0][0]

        def measures(count):
            site.control("loan", "random 1")
            every_record(site, "loan", is_temperature, count)

        with tap.case("hand-over: the one before keeps what was measured before", site):
            time.sleep(1)  # device clocks tell whole seconds: the binding is older than the record
            site.peripheral("thermometer", "loan", "--records", "0", "--always")
            measures(1)
            same(owners(), ["R-0001"], "whose")
            holds(wait_until(told, 60, 0.2), "its memory was not told")
            same(site.cli("handover", "loan", "R-0002")["state"], "waits_for_memory", "state")
        with tap.case("hand-over: what is measured before the memory was told is nobody's", site):
            time.sleep(1)
            measures(2)
            same(owners(), ["R-0001", None], "whose")
        with tap.case("hand-over: the next one has it as soon as the memory was told", site):
            holds(wait_until(lambda: not site.query("SELECT * FROM handover"), 60, 0.2), "waits")
            time.sleep(1)
            measures(3)
            same(owners(), ["R-0001", None, "R-0002"], "whose")
            all_there(site)


# --- kills

def sent(site, name):
    return len(site.events(name, "sent"))


def kills():
    """The core dies while each of them is in the middle of its memory."""
    names = {"glucose": ("bt_glucose", is_glucose, 150), "plx": ("bt_plx", is_oxygen, 40),
             "thermometer": ("bt_thermometer", is_temperature, 60),
             "scale": ("bt_scale", is_weight, 40)}
    with Site(devices=[ble_device(n, d) for n, (d, _, _) in names.items()]) as site:
        opened(site)
        for name, (_, _, count) in names.items():
            site.peripheral(name, name, "--records", str(count), "--pace", "0.03")
        deaths = 0
        for share in (1, 12, 25, 40, 60):
            # at the first death a meter is in its report, too: its memory takes longest
            holds(wait_until(lambda s=share: sent(site, "thermometer") >= s and
                             sent(site, "glucose")), "the thermometer does not go on")
            site.kill("core")
            deaths += 1
            restart_core(site, 0)
        for name, (driver, check, count) in names.items():
            with tap.case(f"{driver}: killed {deaths} times in the middle, no record is lost and "
                          "none is there twice", site):
                every_record(site, name, check, count, seconds=180)
        with tap.case("the core died while meters were reporting, and while they waited", site):
            lost = [name for name in names if site.events(name, "lost")]
            holds(len(lost) > 1, f"only {lost} lost something under way")
        with tap.case("after the kills: everything was told to the peripherals, too", site):
            for name in names:
                # a meter's report goes on behind what is kept, so no whole one has all
                made = list(measured(site, name))
                wanted = set(made[-1:] if name == "glucose" else made)
                holds(wait_until(lambda n=name, w=wanted: w <= {
                    e["key"] for e in site.events(n, "told")}), f"{name} was not told of all")
            all_there(site)


def each_step():
    """The peripheral leaves after its first PDU, after its second .., and comes back."""
    names = {"glucose": ("bt_glucose", is_glucose), "scale": ("bt_scale", is_weight)}
    steps = ",".join(map(str, range(1, 33)))
    with Site(devices=[ble_device(n, d) for n, (d, _) in names.items()]) as site:
        opened(site)
        for name in names:
            site.peripheral(name, name, "--records", "6", "--die-at", steps)
        for name, (driver, check) in names.items():
            with tap.case(f"{driver}: a peripheral that leaves at every step loses nothing", site):
                every_record(site, name, check, 6, seconds=180)
                left = len([e for e in site.events(name, "closed") if e["why"] == "die-at"])
                holds(left > 20, f"{name} left only {left} times")


def full_memory():
    with Site(devices=[ble_device("glucose", "bt_glucose"),
                       ble_device("thermometer", "bt_thermometer")]) as site:
        opened(site, glucose="R-0002")
        site.peripheral("glucose", "glucose", "--records", "500", "--what", WHAT)
        site.peripheral("thermometer", "thermometer", "--records", "500")
        for name, check in (("glucose", is_glucose), ("thermometer", is_temperature)):
            with tap.case(f"{name}: a full memory of 500 records arrives", site):
                rows = every_record(site, name, check, 500, seconds=180)
                holds(len(rows) > 350, f"{len(rows)} rows")
        all_there(site)


# --- bad company

HOSTILE = {
    "glucose": ("any-length", "any-order", "early", "wrong-opcode", "mtu", "silent", "hang-up",
                "moving-handles", "twin-service", "racp-wrong", "after-response", "endless",
                "backwards", "duplicates"),
    "thermometer": ("any-length", "no-wait", "endless", "duplicates", "backwards"),
    "scale": ("any-length", "any-order", "no-wait"), "plx": ("any-length", "no-wait"),
    "cgm": ("any-length", "endless"), "heartrate": ("flood",), "nonin3230": ("any-length",),
    "berrymed": ("any-length",), "and_cuff": ("any-length",)}
DRIVER = {"glucose": "bt_glucose", "thermometer": "bt_thermometer", "scale": "bt_scale",
          "plx": "bt_plx", "cgm": "bt_cgm", "heartrate": "bt_heart_rate",
          "nonin3230": "nonin_3230", "berrymed": "berrymed", "and_cuff": "bt_blp"}
TRUE_THOUGH_RUDE = (
    ("glucose", "moving-handles"), ("glucose", "twin-service"), ("glucose", "after-response"),
    ("glucose", "backwards"), ("glucose", "duplicates"), ("glucose", "early"),
    ("thermometer", "duplicates"), ("thermometer", "backwards"), ("thermometer", "no-wait"),
    ("scale", "no-wait"), ("plx", "no-wait"))
CHECK = {"glucose": is_glucose, "thermometer": is_temperature, "scale": is_weight,
         "plx": is_oxygen}


def core_size(site):
    """(open files, resident KiB) of the core."""
    pid = site.processes["core"].pid
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        kib = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    return len(os.listdir(f"/proc/{pid}/fd")), kib


def hostile():
    pairs = [(kind, how) for kind, ways in HOSTILE.items() for how in ways]
    rude = [f"{kind}-{how}" for kind, how in pairs]
    devices = [ble_device(f"{kind}-{how}", DRIVER[kind]) for kind, how in pairs]
    with Site(devices=devices + [ble_device("good", "bt_glucose"),
                                 ble_device("good-too", "bt_thermometer")]) as site:
        opened(site)
        wait_until(lambda: "connected to the broker" in site.log("core"))
        files, size = core_size(site)
        for kind, how in pairs:
            site.peripheral(kind, f"{kind}-{how}", "--misbehave", how, "--always", "--records", "5",
                            "--pace", "0.05", "--script", "finger in; wait 600")
        site.peripheral("glucose", "good", "--records", "5")
        site.peripheral("thermometer", "good-too", "--records", "5")
        with tap.case(f"beside {len(rude)} hostile peripherals the good ones arrive", site):
            every_record(site, "good", is_glucose, 5, seconds=180)
            for _ in range(5):
                site.control("good", "random 1")
                site.control("good-too", "random 1")
                time.sleep(1)
            every_record(site, "good", is_glucose, 10, seconds=180)
            every_record(site, "good-too", is_temperature, 10, seconds=180)
        for kind, how in TRUE_THOUGH_RUDE:
            with tap.case(f"{kind}, {how}: what it says is true all the same, and is here once",
                          site):
                every_record(site, f"{kind}-{how}", CHECK[kind], 5)
        most = core_size(site)[1]
        for name in rude:
            site.kill(name)
        with tap.case("hostile peripherals do not grow the core", site):
            wait_until(lambda: core_size(site)[0] <= files, 60, 0.1)
            now, after = core_size(site)
            tap.note(f"hostile: {size} KiB became {most}, then {after}; {files} files, then {now}")
            holds(now <= files, f"{files} files became {now}")
            holds(SANITIZED or max(most, after) < size + 16 * 1024, f"{size} KiB became {most}, then {after}")
        with tap.case("rubbish is no reading", site):
            drained(site, 180)
            for kind, how in pairs:
                if how == "any-length" or kind == "heartrate":
                    continue
                true = {r.get("time") for r in measured(site, f"{kind}-{how}").values()}
                odd = [r for r in site.readings(f"{kind}-{how}") if r["time"]["device"] not in true]
                same(odd, [], f"{kind}-{how}: readings that nobody measured")


# --- links that come and go

@contextmanager
def doors(paths):
    """Sockets that take a connection and close it; {path: how often}."""
    count, stop = Counter(), threading.Event()
    poller, listeners = select.poll(), {}
    for path in paths:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.bind(path)
        sock.listen(4)
        poller.register(sock, select.POLLIN)
        listeners[sock.fileno()] = (sock, path)

    def serve():
        while not stop.is_set():
            for number, _ in poller.poll(100):
                sock, path = listeners[number]
                link, _ = sock.accept()
                if count[path] % 3 == 1:        # every third hears a request first
                    link.settimeout(2)
                    with suppress(OSError):
                        link.recv(600)
                link.close()
                count[path] += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()
        for sock, _ in listeners.values():
            sock.close()


def cycles(total=1000, width=30):
    names = [f"door-{n}" for n in range(width)]
    with Site(devices=[ble_device(n, "bt_thermometer") for n in names]) as site:
        opened(site)
        with tap.case(f"{total} connect cycles: neither files nor memory grow", site):
            with doors([site.path(n + ".sock") for n in names]) as count:
                holds(wait_until(lambda: count.total() >= total // 5, 120), f"{count} cycles")
                files, size = core_size(site)
                started = time.monotonic()
                holds(wait_until(lambda: count.total() >= total, 240), f"{count.total()} cycles")
                took = time.monotonic() - started
                now, grown = core_size(site)
            tap.note(f"{count.total()} cycles, the last four fifths in {took:.1f} s; {size} KiB "
                     f"became {grown}, {files} files {now}")
            holds(now <= files + width, f"{files} files became {now}")
            holds(SANITIZED or grown <= size + 1024, f"{size} KiB became {grown}")
            same(site.query("SELECT count(*) FROM reading")[0][0], 0, "readings")


SITES = ((every_kind, numbers, interrupted, clocks, loans), (kills, each_step, full_memory),
         (hostile, cycles))


def run(site):
    try:
        site()
    except Exception as error:  # outside a case: the site itself did not come up
        tap.result(False, f"{site.__name__}: could not go on", f"{type(error).__name__}: {error}")


def main():
    only = os.environ.get("VITALGATE_ONLY")
    for row in SITES:
        chosen = [s for s in row if not only or s.__name__ == only]
        if chosen:
            with ThreadPoolExecutor(len(chosen)) as pool:
                list(pool.map(run, chosen))
    tap.done()


if __name__ == "__main__":
    main()
