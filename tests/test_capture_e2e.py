#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session of each kind of instrument, recorded by `vitalgate capture` from a running daemon, then
decoded by the companion and replayed to another daemon: the same rows every time, and nobody's name
in the capture. VITALGATE_ONLY=words runs the instruments with these words in their title.

A further instrument is one more row of INSTRUMENTS.
"""
import json
import os
import signal
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (BUILD, PYTHON, ROOT, SIM, Site, Tap, cuff_device, free_port,  # noqa: E402
                     holds, lab_device, same, wait_until)

tap = Tap()
NAME = "it"  # of the instrument under test

# title; device: as in vitalgate.yaml; start(site): the simulator; deliver(site): what is measured;
# rows: readings that come of it, or more; secrets: what must not be in the capture; session:
#   own     it comes, delivers and goes by itself
#   open    its line is open before the capture begins and stays so: Ctrl-C ends the capture
#   plug    it is plugged in when the capture waits for it, and pulled out to end it
Instrument = namedtuple("Instrument", "title device start deliver rows secrets session")


# --- the instruments

def told(site, count):
    holds(wait_until(lambda: len(site.events(NAME, "told")) >= count),
          f"{NAME} was not told that {count} are received: {site.ledger(NAME)[-4:]}")


def order(site, *records):
    for record_ in records:
        site.control(NAME, "record " + json.dumps({"time": "now", **record_}))


def measure_pressures(site):
    order(site, {"sys": 190, "dia": 115, "map": 140, "pulse": 88, "unit": "mmHg", "user": 1,
                 "status": 4},
          {"sys": 16.3, "dia": 10.1, "map": 12.2, "pulse": 71, "unit": "kPa"}, {"nan": True})
    told(site, 3)


def measure_as_beurer(site):
    order(site, {"sys": 190, "dia": 115, "pulse": 88, "user": 1, "status": 4},
          {"sys": 121, "dia": 79, "pulse": 64, "user": 2})
    told(site, 2)


def sample(patient, specimen, test, value, **more):
    return {"patient": patient, "specimen": specimen, "test": test, "value": value,
            "unit": "mmol/L", "status": "F", **more}


def measure_samples(site):
    order(site, sample("R-0002", "TUBE-4417", "GLU", "18.4", flag="HH"),
          sample("TYPED-7741-NOBODY", "13912345678", "GLU", "HI"),
          sample("R-0004", "S-2", "K", "4.1", qc="control"),
          sample("R-0003", "S-3", "HbA1c", "7.1", unit="%"))
    told(site, 4)


TYPED = ("R-0002", "R-0003", "R-0004", "TUBE-4417", "TYPED-7741", "NOBODY", "13912345678", "S-2",
         "S-3")


def print_pressures(site):
    for words in ("sys=128 dia=82 pulse=72 id=R-0001 time=2026-07-11T08:30",
                  "sys=181 dia=97 pulse=88 id=139-1741-7741 move=1 time=2026-07-11T08:32",
                  "error=1"):
        site.control(NAME, "measure " + words)
    holds(wait_until(lambda: len(site.events(NAME, "sent")) >= 3), site.ledger(NAME)[-4:])


def wear(site):
    """The rest, long enough for a spot reading, is waited for where the rows are."""
    holds(wait_until(lambda: site.events(NAME, "measured")), "no finger")


def fill_fridge(site):
    holds(wait_until(lambda: rows(site)), "no reading")
    for temperature in ("4.5", "9.5"):
        count = len(rows(site))
        site.control(NAME, f"set 3 temp {temperature}")
        holds(wait_until(lambda: len(rows(site)) > count), f"no reading of {temperature}")


def simulator(program, *words):
    return lambda site: site.start(NAME, [
        PYTHON, f"{SIM}/{program}.py", "--name", NAME, "--ledger", site.path(NAME + ".ledger"),
        "--control", site.path(NAME + ".ctl"), *(w.replace("{dir}", site.dir) for w in words)],
        {"TZ": Site.ZONE})


LINE = "{dir}/" + NAME + ".tty"
FRIDGE = free_port()


def line_device(driver, **more):
    return {"id": NAME, "driver": driver, "transport": "serial", "address": LINE, **more}


INSTRUMENTS = [
    Instrument("bt_blp: a cuff that comes, delivers and goes", cuff_device(NAME),
               lambda site: site.cuff(NAME, "--idle", "1"), measure_pressures, 2, (), "own"),
    Instrument("bt_blp: a Beurer, by its option", cuff_device(NAME, options={"quirk": "beurer"}),
               lambda site: site.cuff(NAME, "--idle", "1", "--beurer"), measure_as_beurer, 2, (),
               "own"),
    Instrument("lis01: an analyser, a record in a frame", lab_device(NAME),
               lambda site: site.analyser(NAME), measure_samples, 3, TYPED, "open"),
    Instrument("lis01: an analyser on a bad day", lab_device(NAME, options={"hi": "500 mg/dL"}),
               lambda site: site.analyser(NAME, "--one-frame", "--bad-checksum", "1", "--junk", "1"),
               measure_samples, 3, TYPED, "open"),
    Instrument("nonin: an oximeter, one spot reading",
               line_device("nonin", options={"mode": "spot", "steady_s": "4"}),
               simulator("oximeter", "--link", LINE, "--dtr", "--acquire", "1", "--script",
                         "finger in spo2=96 pulse=71"), wear, 1, (), "plug"),
    Instrument("a line profile: a blood pressure station",
               line_device("hbp9030", patient_id="token"),
               simulator("printer", "--link", LINE, "--dtr", "--model", "hbp9030"),
               print_pressures, 2, ("R-0001", "139-1741", "7741"), "plug"),
    Instrument("registers: a fridge over TCP",
               {"id": NAME, "driver": "fridge_eid041", "transport": "modbus",
                "address": f"tcp:127.0.0.1:{FRIDGE}", "slave": 3, "poll_ms": 500},
               simulator("modbus", "--tcp", str(FRIDGE), "--slave", "3:fridge"),
               fill_fridge, 3, (), "plug"),
]


# --- rows

def of_reading(kind, taken, user, seq, body):
    values = {code: (v["value"], v["unit"], v.get("comparator"))
              for code, v in body["values"].items()}
    return (kind, taken, user, seq, values, sorted(body["flags"]))


def rows(site):
    """What the daemon stored, but for what differs in a replay: ids, residents, arrival."""
    return [of_reading(kind, taken, user, seq, json.loads(body))
            for kind, taken, user, seq, body in site.query(
                "SELECT kind,device_time,user_slot,seq,body FROM reading ORDER BY id")]


def decoded(path):
    done = subprocess.run([BUILD + "/vitalgate", "decode", "--capture", path], capture_output=True,
                          text=True, timeout=180, check=False,
                          env=dict(os.environ, VITALGATE_TABLES=ROOT + "/config", TZ=Site.ZONE))
    holds(done.returncode == 0, done.stderr)
    return [of_reading(r["kind"], r["device_time"], r["user"], r["seq"], r)
            for r in json.loads(done.stdout)["readings"]]


# --- record, decode, replay

def live(site):
    return site.cli("devices")["live"].get(NAME, {"state": "not yet"})


def capture(site, *words):
    """A companion that captures; what it says goes to capture.log."""
    process = site.start("capture", [BUILD + "/vitalgate", "--config", site.config, "capture", NAME,
                                     "--output", site.path(NAME + ".cap"), *words])
    holds(wait_until(lambda: "capturing " + NAME in site.log("capture")), site.log("capture"))
    return process


def record(site, instrument):
    """Path of the capture; the site's daemon has stored what is in it."""
    plug = instrument.session == "plug"
    if not plug:
        instrument.start(site)
    holds(site.core(), "the daemon did not start" + site.tails())
    if instrument.session == "open":
        holds(wait_until(lambda: live(site)["state"] == "connected"), "no line")
    companion = capture(site, "--seconds", "300")
    if plug:
        instrument.start(site)
    instrument.deliver(site)
    holds(wait_until(lambda: len(rows(site)) >= instrument.rows), f"stored: {rows(site)}")
    if plug:
        site.kill(NAME, signal.SIGTERM)
    elif instrument.session == "open":
        companion.send_signal(signal.SIGINT)
    same(companion.wait(180), 0, "status of `vitalgate capture`; " + site.log("capture"))
    return site.path(NAME + ".cap")


def said(text):
    """All bytes of a capture."""
    return b"".join(bytes.fromhex(line.split(" ", 1)[1]) for line in text.splitlines()
                    if line[0] in "<>")


def replay(instrument, path, count):
    device = {key: value for key, value in instrument.device.items() if key in ("driver", "options")}
    device.update(id=NAME, transport="replay", address=path, test=True)
    with Site(devices=[device]) as site:
        holds(site.core(), "the daemon did not start" + site.tails())
        holds(wait_until(lambda: live(site)["state"] in ("done", "error"), 120),
              "the replay does not end" + site.tails())
        wait_until(lambda: len(rows(site)) >= count)
        same(site.query("SELECT count(*) FROM reading WHERE test=0 OR resident IS NOT NULL"),
             [(0,)], "readings that are not marked as a test")
        end = live(site)
        same((end["state"], end["says"], end["last_end"]),
             ("done", "replay:" + NAME, "played to its end, 0 differences"), site.log("core"))
        return rows(site)


def check(instrument):
    first = []
    with Site(devices=[instrument.device]) as site:
        with tap.case(instrument.title + ": the capture names nobody", site):
            path = record(site, instrument)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            if "VITALGATE_KEEP" in os.environ:
                tap.note(text[:3000])
            wait_until(lambda: len(rows(site)) >= len(decoded(path)))  # the last one may be on its way
            first = rows(site)
            holds("device " + instrument.device["driver"] in text, text)
            same("\nlive\n" in text, instrument.session != "open", "live")
            for secret in instrument.secrets:
                holds(secret.encode() not in said(text), f"{secret} is in {said(text)}")
                holds(secret not in text, f"{secret} is in {text}")
        if not first:  # it was said why
            return
        with tap.case(instrument.title + ": decodes to what was stored"):
            same(decoded(path), first, "readings")
        with tap.case(instrument.title + ": replays to what was stored"):
            same(replay(instrument, path, len(first)), first, "rows")


# --- what is refused

def check_refusals():
    with Site(devices=[cuff_device(NAME)]) as site:
        site.all()
        with tap.case("a capture is refused with a reason", site):
            holds("no such device" in site.refusal("capture", "nothing"), "no such device")
            holds("3600" in site.refusal("capture", NAME, "--seconds", "3601"), "too long")
            holds("none.cap" in site.refusal("capture", NAME, "--output", "/nowhere/none.cap"),
                  "no place")
        with tap.case("two at once are one too many, and one that heard nothing says so", site):
            first = capture(site)
            holds("already" in site.refusal("capture", NAME), "two at once")
            first.send_signal(signal.SIGINT)
            same(first.wait(120), 1, "status")
            holds("nothing was captured" in site.log("capture"), site.log("capture"))
        with tap.case("the platform cannot ask for one", site):
            holds(wait_until(lambda: site.events("platform", "state")), "the uplink is not there")
            site.control("platform", json.dumps({
                "v": 1, "id": "c-1", "cmd": "capture", "args": {"device": NAME, "order": "start"}}))
            holds(wait_until(lambda: "local_only" in json.dumps(site.ledger("platform"))),
                  site.ledger("platform")[-3:])


def main():
    only = os.environ.get("VITALGATE_ONLY", "")
    with ThreadPoolExecutor() as pool:  # they mostly wait
        done = [pool.submit(check, i) for i in INSTRUMENTS if only in i.title]
        done.append(pool.submit(check_refusals))
    for task in done:
        task.result()
    tap.done()


if __name__ == "__main__":
    main()
