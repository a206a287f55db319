#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enrolment from the list of what advertises to the first reading that counts: the real daemon and companion, a
fake org.bluez on a private bus, and cuffs at the addresses of a directory that stands for the air.
VITALGATE_ONLY=words runs the cases with these words in their title.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (BUILD, PYTHON, SIM, Failure, Site, Tap, holds, listens, same,  # noqa: E402
                     wait_until)

tap = Tap()
A, B = "C0:11:22:33:44:0A", "C0:11:22:33:44:0B"
BUS = """<busconfig><type>system</type><listen>unix:path={0}/bus</listen><policy context='default'>
<allow send_destination='*'/><allow eavesdrop='true'/><allow own='*'/><allow send_type='signal'/></policy></busconfig>
"""
READING = {"sys": 128, "dia": 82, "map": 97, "pulse": 70, "time": "now"}


class Village(Site):
    """A site with a radio: what bluetoothd shows, and instruments in the air."""

    def __init__(self, devices=()):
        super().__init__(devices)
        try:
            self.begin()
        except BaseException:
            self.close()
            raise

    def begin(self):
        self.air = self.path("air")
        os.mkdir(self.air)
        with open(self.path("bus.conf"), "w") as f:
            f.write(BUS.format(self.dir))
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/bus", "VITALGATE_AIR": self.air}
        self.start("bus", ["dbus-daemon", "--config-file=" + self.path("bus.conf"), "--nofork",
                           "--nopidfile"])
        holds(wait_until(lambda: listens(self.path("bus"))), "no bus")
        self.start("bluez", [PYTHON, SIM + "/fake_bluez.py", self.path("bluez.ctl")], self.env)
        holds(wait_until(lambda: listens(self.path("bluez.ctl"))), self.log("bluez"))
        self.bluez("adapter", name="hci0", address="00:1A:7D:DA:71:13")
        if not self.core(self.env):
            raise Failure("the core did not start" + self.tails())
        self.cli("import", self.roster())

    def bluez(self, what, **more):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.path("bluez.ctl"))
            s.sendall(json.dumps({"do": what, **more}).encode() + b"\n")
            answer = json.loads(s.makefile().readline())
        holds(answer["ok"], answer)
        return answer

    def appears(self, name, address, advertised="A&D_UA-651BLE_0001", pair="just_works", options=(),
                process=None, **more):
        """A cuff: on the air, and in what bluetoothd shows."""
        self.start(process or name, [
            PYTHON, SIM + "/cuff.py", "--name", name, "--ledger", self.path(f"{process or name}.ledger"),
            "--control", self.path(f"{process or name}.ctl"), "--listen", f"{self.air}/{address}",
            "--idle", "1", *options], {"TZ": self.ZONE})
        self.bluez("device", address=address, name=advertised, type="random", rssi=-60,
                   uuids=["1810"], pair={"model": pair, **more})

    def measure(self, name, **more):
        self.control(name, "record " + json.dumps({**READING, **more}))

    def measure_later(self, name, **more):
        """Not in the second in which a binding began: instruments tell whole seconds."""
        time.sleep(1.1)
        self.measure(name, **more)

    def enrol(self, *words, stdin=subprocess.DEVNULL):
        """The companion at work; its lines of JSON."""
        return Enrolling(self, words, stdin)

    def paired(self, address):
        return self.bluez("state")["devices"].get(address, {}).get("paired", False)

    def live(self):
        return self.cli("devices")["live"]

    def nothing_left(self, address=A, name="cuff-2"):
        wait_until(lambda: not self.paired(address) and name not in self.live())
        same(self.paired(address), False, "bond")
        holds(name not in self.live(), "the device runs on")
        holds(not os.path.exists(self.path("store/enrolled.yaml")), "it is written down")
        same(self.bluez("state")["agents"], [], "agents")

    def rows(self, what="test, evidence, (SELECT token FROM resident WHERE id=resident)"):
        return self.query(f"SELECT {what} FROM reading WHERE superseded=0 ORDER BY id")


class Enrolling:
    def __init__(self, site, words, stdin):
        self.site, self.states = site, []
        self.process = subprocess.Popen(
            [BUILD + "/vitalgate", "--config", site.config, "enrol", "--json", *words], text=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = ""

    def hear(self):
        try:
            self.rest += os.read(self.process.stdout.fileno(), 65536).decode()
        except BlockingIOError:
            pass
        *lines, self.rest = self.rest.split("\n")
        self.states += [json.loads(line) for line in lines]
        return self.states

    def reaches(self, check, seconds=90):
        """The first state for which check holds."""
        def found():
            return next((s for s in self.hear() if check(s)), None)
        state = wait_until(found, seconds)
        holds(state, f"{self.states[-1:]} {self.process.poll()}" + self.site.tails())
        return state

    def phase(self, name):
        return self.reaches(lambda s: s["phase"] == name)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ends(self, status=0):
        try:
            code = self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure(f"it does not end: {self.hear()[-1:]}" + self.site.tails()) from None
        self.hear()
        errors = self.process.stderr.read()
        same(code, status, f"status ({errors.strip()}; {self.states[-1:]})")
        return errors

    def result(self):
        return self.states[-1]["last"]["result"]["state"]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)


def in_hand(site, name="cuff", address=A, *words):
    """One that was enrolled for R-0001, with its test reading."""
    site.measure(name)
    work = site.enrol(address, "--id", "cuff-2", "--resident", "R-0001", *words)
    work.ends()
    same(work.result(), "fine")


# --- cases

def shows_what_advertises(site):
    site.appears("cuff", A)
    site.bluez("device", address="C0:00:00:00:00:99", name="TV", rssi=-80)
    work = site.enrol("--seconds", "120")
    work.reaches(lambda s: len(s["list"]) == 2)
    work.interrupt()
    work.ends(1)
    found = {s["address"]: s for s in work.states[-1]["list"]}
    same(sorted(found), ["C0:00:00:00:00:99", A])
    cuff = found[A]
    same([cuff["name"], cuff["signal"], cuff["known"], cuff["services"]],
         ["A&D_UA-651BLE_0001", -60, None, ["1810"]])
    same([cuff["model"]["driver"], cuff["model"]["pairing"]], ["bt_blp", True])
    holds("START" in cuff["model"]["press_en"] and "开始" in cuff["model"]["press_zh"], cuff)
    same(found["C0:00:00:00:00:99"]["model"], None)
    text = subprocess.run([BUILD + "/vitalgate", "--config", site.config, "enrol", "--lang", "zh",
                           "--seconds", "10"], capture_output=True, text=True, timeout=180,
                          stdin=subprocess.DEVNULL)
    holds(A in text.stdout and "开始" in text.stdout and "TV" not in text.stdout, text)


def refuses_outside_the_window(site):
    site.appears("cuff", A)

    def refused(order, window):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(site.path("run/control.sock"))
            s.sendall(json.dumps({"v": 1, "cmd": "enrol", "args": {
                "order": order, "device": A, "window": window}}).encode() + b"\n")
            return json.loads(s.makefile().readline())["error"]["code"]

    for order in ("begin", "answer", "finish", "look"):
        same(refused(order, 1), "no_window")
    site.nothing_left()
    work = site.enrol("--seconds", "30")
    work.phase("looking")
    holds("local:root enrols" in site.refusal("enrol", A), "a second window")
    for order in ("begin", "close"):
        same(refused(order, 99), "not_your_window")
    work.interrupt()
    work.ends(1)


def just_works(site):
    site.appears("cuff", A)
    work = site.enrol(A, "--id", "cuff-2", "--resident", "R-0001", "--resident", "R-0002")
    work.phase("trial")
    same(site.paired(A), True)
    site.measure("cuff", sys=131)
    holds("user slot" in work.ends(1), "two residents without slots")
    site.nothing_left()
    same(site.rows(), [(1, "test", None)])

    work = site.enrol(A, "--id", "cuff-2", "--resident", "R-0001")
    work.phase("trial")
    site.measure("cuff", sys=132)
    shown = work.phase("whose")
    same(shown["reading"]["values"]["bp.sbp"]["value"], 132)
    same(shown["reading"]["test"], True)
    work.ends()
    same(work.result(), "fine")
    same(site.rows()[1:], [(1, "test", None)])
    holds("id: \"cuff-2\"" in open(site.path("store/enrolled.yaml")).read(), "enrolled.yaml")
    site.measure_later("cuff", sys=133)
    holds(wait_until(lambda: len(site.rows()) == 3), "no reading" + site.tails())
    same(site.rows()[2], (0, "device_binding", "R-0001"))
    same(site.rows("test")[:2], [(1,), (1,)], "the test readings stay what they are")
    holds("as cuff-2" in site.refusal("enrol", A), "it is enrolled already")
    actions = [a for a, in site.query("SELECT action FROM audit ORDER BY id")]
    holds({"enrol_window", "enrol", "bind"} <= set(actions), actions)


def memory_before_the_enrolment_is_nobodys(site):
    """What it had in its memory comes as a test, all of it, before it is anybody's."""
    site.appears("cuff", A, options=["--idle", "4"] + [
        w for n in range(200) for w in ("--record", json.dumps(dict(READING, sys=100 + n % 50)))])
    work = site.enrol(A, "--id", "cuff-2", "--resident", "R-0001")
    work.ends()
    same(site.rows("DISTINCT test, resident"), [(1, None)])
    same(len(site.rows()), 200)
    site.measure_later("cuff", sys=133)
    holds(wait_until(lambda: site.rows()[-1] == (0, "device_binding", "R-0001")), site.rows())


def stays_over_restarts(site):
    site.appears("cuff", A)
    in_hand(site)
    site.kill("core", signal.SIGKILL)
    holds(site.core(site.env), "restart" + site.tails())
    site.measure_later("cuff", sys=133)
    holds(wait_until(lambda: site.rows()[-1] == (0, "device_binding", "R-0001")), site.rows())
    checked = subprocess.run([BUILD + "/vitalgate", "--config", site.config, "check-config"],
                             capture_output=True, text=True, timeout=180).stdout
    holds("1 devices, 1 of them enrolled" in checked, checked)
    site.processes["core"].send_signal(signal.SIGHUP)
    holds(wait_until(lambda: "was read again" in site.log("core")), "reload")
    holds("cuff-2" in site.live(), "gone with a reload")
    # a file that names what is being enrolled comes first, and is not touched when that is given up
    site.appears("other", B)
    work = site.enrol(B, "--id", "cuff-3")
    work.phase("trial")
    mine = {"id": "cuff-3", "driver": "bt_blp", "transport": "ble", "address": "unix:/nowhere"}
    site.write_config([mine])
    site.processes["core"].send_signal(signal.SIGHUP)
    work.ends(1)
    same(work.result(), "refused")
    same(sorted(site.live()), ["cuff-2", "cuff-3"])
    address = lambda: site.query("SELECT address FROM device WHERE name='cuff-3'")  # noqa: E731
    wait_until(lambda: address() == [("unix:/nowhere",)])
    same(address(), [("unix:/nowhere",)])
    # the same name in the file: refused whole, and told why
    site.write_config([{"id": "cuff-2", "driver": "bt_blp", "transport": "ble", "address": B}])
    site.processes["core"].send_signal(signal.SIGHUP)
    holds(wait_until(lambda: "of vitalgate.yaml; nothing was changed" in site.log("core")), site.tails())
    site.kill("core", signal.SIGTERM)
    holds(site.core(site.env), "a conflict at start silences nobody" + site.tails())
    holds(wait_until(lambda: "cuff-2" in site.live()), "gone with the last good copy")


def passkey_wrong_then_right(site):
    site.appears("cuff", A, pair="passkey_entry", passkey=123456)
    work = site.enrol(A, "--id", "cuff-2", "--no-reading", stdin=subprocess.PIPE)
    site.measure("cuff")
    work.reaches(lambda s: s.get("ask") == {"kind": "type_passkey"})
    work.say("111111")
    work.reaches(lambda s: s.get("note", {}).get("state") == "pairing_refused")
    wait_until(lambda: work.hear()[-1].get("ask"))
    work.say("123456")
    work.phase("whose")
    work.say("R-0001 1 R-0002 2")
    work.ends()
    same(work.result(), "fine")
    same(site.cli("devices")["devices"][0]["bound_to"], "R-0001:1 R-0002:2")


def comparison(site):
    site.appears("cuff", A, pair="compare", passkey=4711)
    work = site.enrol(A, "--id", "cuff-2", "--no-reading", stdin=subprocess.PIPE)
    site.measure("cuff")
    same(work.reaches(lambda s: s.get("ask"))["ask"], {"kind": "compare", "passkey": "004711"})
    work.say("yes")
    work.phase("whose")
    work.say("station desk")
    work.ends()
    holds("station: \"desk\"" in open(site.path("store/enrolled.yaml")).read(), "station")
    same(site.bluez("state")["devices"][A]["trusted"], False)


def given_up_half_way(site):
    site.appears("cuff", A, pair="passkey_entry", passkey=1)
    for phase in ("seeking", "pairing", "trial", "whose"):
        where = B if phase == "seeking" else A
        work = site.enrol(where, "--id", "cuff-2", stdin=subprocess.PIPE)
        if phase != "seeking":
            work.reaches(lambda s: s.get("ask"))
        if phase in ("trial", "whose"):
            work.say("000001")
        if phase == "whose":
            work.phase("trial")
            site.measure("cuff")
        work.phase(phase)
        work.interrupt()
        work.ends(1)
        site.nothing_left()
    work = site.enrol(A, "--id", "cuff-2", stdin=subprocess.PIPE)
    work.reaches(lambda s: s.get("ask"))
    work.say("1")
    work.phase("trial")
    site.kill("core", signal.SIGKILL)
    work.ends(1)
    holds(site.core(site.env), "restart")
    same(site.live(), {})


def bluetoothd_restarts_at_every_step(site):
    site.appears("cuff", A, pair="passkey_entry", passkey=123456)
    work = site.enrol(A, "--id", "cuff-2", "--resident", "R-0001", stdin=subprocess.PIPE)
    for method in ("Pair", "RequestPasskey"):
        site.bluez("die_at", method=method)

    def back():
        holds(wait_until(lambda: not site.bluez("state")["alive"]), "it did not go" + site.tails())
        site.bluez("return")

    back()
    back()
    work.reaches(lambda s: s.get("ask"))
    site.bluez("die")
    wait_until(lambda: not work.hear()[-1].get("ask"))
    site.bluez("return")
    wait_until(lambda: work.hear()[-1].get("ask"))
    work.say("123456")
    work.phase("trial")
    site.bluez("die")
    site.bluez("return")
    site.measure("cuff")
    work.ends()
    same(work.result(), "fine")
    site.bluez("die")
    site.bluez("return")
    site.measure_later("cuff", sys=133)
    holds(wait_until(lambda: site.rows()[-1] == (0, "device_binding", "R-0001")), site.rows())


def unenrolled(site):
    site.appears("cuff", A)
    in_hand(site)
    same(site.paired(A), True)
    site.cli("unenrol", "cuff-2")
    holds(wait_until(lambda: not site.paired(A) and "cuff-2" not in site.live()), "it is still there")
    holds("cuff-2" not in open(site.path("store/enrolled.yaml")).read(), "written down")
    same(site.query("SELECT count(*) FROM binding WHERE valid_to IS NULL"), [(0,)])
    same(site.query("SELECT uid FROM device"), [(None,)])
    holds("no such device" in site.refusal("unenrol", "cuff-2"), "twice")
    # another instrument under the old name is not taken for the old one, nor is it the old one's resident's
    site.appears("other", B)
    site.measure("other")
    work = site.enrol(B, "--id", "cuff-2", "--yes")
    work.ends()
    site.measure_later("other", sys=133)
    holds(wait_until(lambda: len(site.rows()) == 3), site.rows())
    same(site.rows()[2][1:], ("not_bound", None))


def the_name_of_another_one(site):
    """A name that stood in the file, with a binding, is given to an instrument that is enrolled."""
    site.write_config([{"id": "cuff-2", "driver": "bt_blp", "transport": "ble", "address": B,
                        "random_address": True}])
    site.processes["core"].send_signal(signal.SIGHUP)
    holds(wait_until(lambda: "cuff-2" in site.live()), "reload")
    site.cli("bind", "cuff-2", "R-0001")
    site.appears("other", B)
    site.measure_later("other")
    holds(wait_until(lambda: site.rows() == [(0, "device_binding", "R-0001")]), site.rows())
    site.write_config([])
    site.processes["core"].send_signal(signal.SIGHUP)
    holds(wait_until(lambda: "cuff-2" not in site.live()), "reload")
    site.appears("cuff", A)
    site.measure("cuff")
    work = site.enrol(A, "--id", "cuff-2", "--yes")
    work.ends()
    site.measure_later("cuff", sys=133)
    holds(wait_until(lambda: len(site.rows()) == 3), site.rows())
    same(site.rows()[1:], [(1, "test", None), (0, "not_bound", None)])


def unenrolled_while_bluetoothd_is_away(site):
    site.appears("cuff", A)
    in_hand(site)
    site.bluez("die")
    site.cli("unenrol", "cuff-2")
    site.bluez("return")
    holds(wait_until(lambda: not site.paired(A)), "the bond stays")


def same_serial_at_another_address(site):
    site.appears("cuff", A)
    in_hand(site)
    site.kill("cuff", signal.SIGTERM)
    site.bluez("device", address=A, every_ms=0)
    site.appears("cuff", B, process="moved")
    site.measure("moved", sys=121)
    work = site.enrol(B, "--id", "cuff-3", "--yes")
    errors = work.ends(1)
    same(work.result(), "address_changed")
    same(work.states[-1]["last"]["result"]["other"], "cuff-2")
    holds("cuff-3" not in site.live(), errors)
    site.measure("moved", sys=122)
    work = site.enrol(B, "--replace", "cuff-2", "--yes")
    work.ends()
    same(work.result(), "fine")
    site.measure_later("moved", sys=123)
    holds(wait_until(lambda: site.rows()[-1] == (0, "device_binding", "R-0001")), site.rows())
    holds(wait_until(lambda: not site.paired(A)), "the bond of the old address stays")
    same(len(site.live()), 1)


def another_one_replaces_nobody(site):
    site.appears("cuff", A)
    in_hand(site)
    site.appears("other", B)
    site.measure("other")
    work = site.enrol(B, "--replace", "cuff-2", "--yes")
    work.ends(1)
    same(work.result(), "not_the_same")
    site.measure_later("cuff", sys=133)
    holds(wait_until(lambda: site.rows()[-1] == (0, "device_binding", "R-0001")), site.rows())


def content(site):
    """The cuff has keys now."""
    holds(wait_until(lambda: site.paired(A)), "not paired" + site.tails())
    site.kill("cuff", signal.SIGTERM)
    site.appears("cuff", A, advertised="BP")
    site.measure("cuff")


def keys_that_were_forgotten(site):
    """A cuff that wants keys where its model does not say so, and one that has lost ours."""
    site.appears("cuff", A, advertised="BP", options=("--insufficient-encryption", "1000", "--idle", "60"))
    site.measure("cuff")
    work = site.enrol(A, "--id", "cuff-2", "--driver", "bt_blp", "--resident", "R-0001")
    work.reaches(lambda s: s.get("note", {}).get("state") == "bond_lost_here")
    content(site)
    work.ends()
    same(site.paired(A), True)
    site.kill("cuff", signal.SIGTERM)
    site.appears("cuff", A, advertised="BP", options=("--insufficient-encryption", "1000", "--idle",
                                                      "60", "--always"))
    said = wait_until(lambda: site.cli("devices")["conditions"].get("cuff-2"), 60)
    same(said and said["state"], "bond_lost_there")
    holds("--replace" in said["next_en"] and "--replace" in said["next_zh"], said)
    work = site.enrol(A, "--replace", "cuff-2", "--driver", "bt_blp", "--yes")
    work.reaches(lambda s: s.get("note", {}).get("state") == "bond_lost_there")
    content(site)
    work.ends()
    same(work.result(), "fine")
    holds(wait_until(lambda: site.paired(A)), "no new bond")
    same(site.cli("devices")["devices"][0]["bound_to"], "R-0001")


def two_that_say_the_same_serial(site):
    site.appears("cuff", A)
    site.appears("cuff", B, process="twin")
    site.write_config([{"id": n, "driver": "bt_blp", "transport": "ble", "address": a,
                        "random_address": True} for n, a in (("one", A), ("two", B))])
    site.processes["core"].send_signal(signal.SIGHUP)
    holds(wait_until(lambda: "two" in site.live()), "reload")
    for name in ("one", "two"):
        site.cli("bind", name, "R-0001", "--from", "2026-01-01")
    site.measure("cuff")
    holds(wait_until(lambda: len(site.rows()) == 1), site.tails())
    site.measure("twin", sys=120)
    holds(wait_until(lambda: len(site.rows()) == 2), site.tails())
    site.measure("cuff", sys=119)
    holds(wait_until(lambda: len(site.rows()) == 3), site.tails())
    same([r[2] for r in site.rows()], ["R-0001", None, None])
    wait_until(lambda: len(site.cli("devices")["conditions"]) == 2)
    said = site.cli("devices")["conditions"]
    same({k: (v["state"], v["other"]) for k, v in said.items()},
         {"one": ("cloned", "two"), "two": ("cloned", "one")})
    holds("vitalgate.yaml" in site.refusal("unenrol", "one"), "it stands in the file")
    site.kill("core", signal.SIGTERM)
    holds(site.core(site.env), "restart")
    site.measure("cuff", sys=118)  # before the other one was seen again
    holds(wait_until(lambda: len(site.rows()) == 4), site.tails())
    same(site.rows()[3][2], None)


CASES = [  # the slowest first
    ("keys that were forgotten are a named state, and can be made anew", keys_that_were_forgotten),
    ("the list says who advertises, what it is and what to press", shows_what_advertises),
    ("outside the window everything is refused, and there is one window", refuses_outside_the_window),
    ("Just Works: the test reading is nobody's, the next one the resident's", just_works),
    ("what it had in its memory is nobody's", memory_before_the_enrolment_is_nobodys),
    ("enrolled devices stay over restarts, reloads and a broken file", stays_over_restarts),
    ("a wrong passkey is asked again; user slots", passkey_wrong_then_right),
    ("numeric comparison; a station; never trusted", comparison),
    ("given up half-way, or killed: nothing is left", given_up_half_way),
    ("bluetoothd restarts at every step", bluetoothd_restarts_at_every_step),
    ("un-enrol removes bond, binding and identity", unenrolled),
    ("a name that was another one's brings nothing along", the_name_of_another_one),
    ("un-enrol while bluetoothd is away removes the bond later", unenrolled_while_bluetoothd_is_away),
    ("the same serial at another address is offered to take over", same_serial_at_another_address),
    ("another instrument replaces nobody", another_one_replaces_nobody),
    ("two that say the same serial file nothing", two_that_say_the_same_serial),
]


def run(title, case):
    with tap.case(title), Village() as site:
        case(site)


def main():
    chosen = [c for c in CASES if os.environ.get("VITALGATE_ONLY", "") in c[0]]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda c: run(*c), chosen))
    tap.done()


if __name__ == "__main__":
    main()
