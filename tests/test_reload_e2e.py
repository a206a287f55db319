#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of a running site: what SIGHUP takes up, what a broken file does while it runs and at start."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import ROOT, Site, Tap, cuff_device, holds, lab_device, same, wait_until

tap = Tap()
LAB = lab_device("lab-1")


def measure(site, name, sbp, dbp):
    site.control(name, f'record {{"sys": {sbp}, "dia": {dbp}, "map": {dbp + 15}, "pulse": 72, "unit": "mmHg", "time": "now"}}')


def status(site):
    """While its file is broken, the companion is told where the socket is."""
    return site.cli("--socket", site.path("run/control.sock"), "status")


def readings(site, device, n):
    wait_until(lambda: len(site.readings(device)) >= n)
    same(len(site.readings(device)), n, f"readings of {device} at the platform")
    return site.readings(device)


def reload(site, words):
    """The log says these words of this reload, and not of one before."""
    seen = len(site.log("core"))
    site.processes["core"].send_signal(signal.SIGHUP)
    holds(wait_until(lambda: words in site.log("core")[seen:]),
          f"the log never said {words!r}:" + site.tails())


def event(site, kind, words):
    def find():
        return [e for e in site.received("up/event").values()
                if e["type"] == kind and words in (e["detail"] or "")]
    holds(wait_until(find), f"no event {kind} with {words!r} at the platform, there are "
          f"{[(e['type'], e['detail']) for e in site.received('up/event').values()]}")


def until_kept(site, text):
    """It is copied after it was taken."""
    def copied():
        path = site.path("last-good/vitalgate.yaml")
        return os.path.exists(path) and open(path, encoding="utf-8").read() == text
    holds(wait_until(copied), "the copy is stale")


def connected(site, device):
    return site.cli("devices")["live"].get(device, {}).get("state") == "connected"


def main():
    tables = None
    with Site(devices=[cuff_device("cuff-1")]) as probe:  # only its folder
        tables = probe.path("tables")
        shutil.copytree(ROOT + "/config", tables)
        with Site(devices=[cuff_device("cuff-1"), LAB], tables=tables) as site:
            site.all()
            site.cuff("cuff-1")
            site.analyser("lab-1")
            running(site, tables)
            starting(site)


def running(site, tables):
    with tap.case("SIGHUP: a new instrument delivers, and the one beside it stays connected", site):
        holds(wait_until(lambda: connected(site, "lab-1")), "lab-1 did not connect")
        site.write_config([cuff_device("cuff-1"), LAB, cuff_device("cuff-2")])
        reload(site, "devices[cuff-2]: added")
        site.cuff("cuff-2")
        measure(site, "cuff-2", 128, 81)
        readings(site, "cuff-2", 1)
        same(site.log("core").count("lab-1: connected"), 1, "connections of lab-1")
    with tap.case("SIGHUP: a removed instrument is let go, its readings stay", site):
        site.write_config([cuff_device("cuff-1"), LAB])
        reload(site, "devices[cuff-2]: removed")
        holds(wait_until(lambda: "cuff-2" not in site.cli("devices")["live"]), "cuff-2 is there")
        same(site.query("SELECT count(*) FROM reading JOIN device ON device.id=reading.device "
                        "WHERE name='cuff-2'"), [(1,)])
    with tap.case("SIGHUP: a rule that was changed judges the next reading", site):
        measure(site, "cuff-1", 150, 85)
        first, = readings(site, "cuff-1", 1)
        path = tables + "/alerts.yaml"
        with open(path, encoding="utf-8") as f:
            text = f.read()
        changed = text.replace("at_least: 160, margin: 5, severity: warning",
                               "at_least: 145, margin: 5, severity: warning")
        holds(changed != text, "the rules read differently now: mend this test")
        with open(path, "w", encoding="utf-8") as f:
            f.write(changed)
        reload(site, "was read again")
        measure(site, "cuff-1", 151, 85)
        both = readings(site, "cuff-1", 2)
        second = next(r for r in both if r["id"] != first["id"])
        holds(wait_until(lambda: site.alert_of(second)), "151 mmHg raised nothing")
        same(site.alert_of(first), None)
    with tap.case("SIGHUP: nobody for alerts of nobody: it is taken, and said with what to do", site):
        same(site.log("core").count("site_contact is empty"), 0)
        with open(site.config, encoding="utf-8") as f:
            text = f.read()
        without = text.replace("site_contact: S-0001\n", "")
        with open(site.config, "w", encoding="utf-8") as f:
            f.write(without)
        reload(site, "site_contact is empty: alerts of readings of nobody")
        until_kept(site, without)
        same(site.log("core").count("site_contact is empty"), 1)
        site.write_config([cuff_device("cuff-1"), LAB])
        reload(site, 'site_contact: "" -> S-0001')
        same(site.log("core").count("site_contact is empty"), 1)
        until_kept(site, text)
    with tap.case("SIGHUP: a broken file changes nothing, names its line and tells the platform", site):
        site.write_config([{**cuff_device("cuff-1"), "pairng": True}])
        reload(site, "nothing was changed")
        event(site, "config_refused", 'unknown key "pairng"; did you mean "pairing"?')
        holds("pairng" in status(site)["config_fault"], status(site))
        measure(site, "cuff-1", 131, 82)
        readings(site, "cuff-1", 3)


def starting(site):
    with tap.case("start: a broken file falls back to the last good one, loudly", site):
        site.kill("core")
        seen, said = len(site.received("up/event")), len(site.log("core"))
        holds(site.core(), "the core did not start")
        holds("RUNNING WITH THE LAST GOOD CONFIGURATION" in site.log("core")[said:], site.tails())
        holds(wait_until(lambda: len(site.received("up/event")) > seen), "no event")
        holds("pairng" in status(site)["config_fault"], status(site))
        measure(site, "cuff-1", 132, 82)
        readings(site, "cuff-1", 4)
    with tap.case("start: the uplink with the same broken file goes by what the core has", site):
        site.kill("uplink")
        site.uplink()
        measure(site, "cuff-1", 133, 82)
        readings(site, "cuff-1", 5)
        holds("running with what the core goes by" in site.log("uplink"), site.tails())
    with tap.case("start: broken rules fall back, too", site):
        path = site.settings[5] + "/alerts.yaml"
        site.write_config([cuff_device("cuff-1")])
        with open(path, "a", encoding="utf-8") as f:
            f.write("  - {id: half a ru\n")
        site.kill("core")
        holds(site.core(), "the core did not start")
        holds("alerts.yaml:" in status(site)["config_fault"], status(site))
        measure(site, "cuff-1", 195, 117)
        last = [r for r in readings(site, "cuff-1", 6)
                if r["values"]["bp.sbp"]["value"] == 195]
        holds(wait_until(lambda: site.alert_of(last[0])), "195 mmHg raised nothing")
    with tap.case("SIGHUP: mended files end the fall-back and say so", site):
        shutil.copyfile(ROOT + "/config/alerts.yaml", site.settings[5] + "/alerts.yaml")
        reload(site, "was read again")
        event(site, "config_mended", "vitalgate.yaml")
        holds("config_fault" not in status(site), status(site))
        mended = open(ROOT + "/config/alerts.yaml", encoding="utf-8").read()
        holds(wait_until(lambda: open(site.path("last-good/tables/alerts.yaml"),
                                      encoding="utf-8").read() == mended), "the copy is stale")
        measure(site, "cuff-1", 134, 82)
        readings(site, "cuff-1", 7)
    with tap.case("start: without a last good one it does not start, and says both reasons", site):
        site.kill("core")
        site.write_config([{**cuff_device("cuff-1"), "pairng": True}])
        shutil.rmtree(site.path("last-good"))
        site.start("core2", [*site.commands["core"][0]])
        same(wait_until(lambda: site.processes["core2"].poll()), 2, "exit status")
        holds("and there is no last good one" in site.log("core2"), site.log("core2"))


main()
tap.done()
