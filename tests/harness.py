# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole site on loopback for tests and the demo: broker, core, uplink, platform, instruments.

Everything lives in one temporary folder; every process is started here and ended here, by pid.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from datetime import datetime
from zoneinfo import ZoneInfo

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("VITALGATE_BUILD", "build"))
PYTHON = "/usr/bin/python3"
SIM = os.path.join(ROOT, "tests", "sim")


PATIENCE_S = 60     # for anything to happen: a machine may be busy, and its disk slow
END_S = 30          # for a program that was told to end
KEPT = []           # sockets, so that nobody else is given their ports while this program runs


def free_port():
    """A port that is free, and stays so for a server of ours: it sets SO_REUSEADDR, as servers do."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    KEPT.append(s)
    return s.getsockname()[1]


def wait_until(check, seconds=PATIENCE_S, step=0.02):
    """The first true value of check() within `seconds`, else the last value. The last look is taken
    when they are over."""
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() > end
        value = check()
        if value or late:
            return value
        time.sleep(step)


def listens(path):
    """Does somebody take connections there? The file alone comes a moment before."""
    with socket.socket(socket.AF_UNIX) as s:
        return not s.connect_ex(path)


def read_ledger(path):
    """JSON lines; a last line that a kill cut off, or that is being written, is passed over."""
    lines = []
    try:
        with open(path, "rb") as f:     # as bytes: it may end in the middle of a character
            for line in f:
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    continue
    except FileNotFoundError:
        pass
    return lines


class Skip(Exception):
    """Raised inside a case that cannot run here."""


class Failure(Exception):
    """A comparison that did not hold; its text says what was found."""


def same(got, want, what=""):
    if got != want:
        raise Failure(f"{what or 'value'}: expected {want!r}, found {got!r}")


def holds(good, detail):
    """detail: text, or anything that shows what was found instead."""
    if not good:
        raise Failure(detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False))


class Tap:
    """Counts and prints results; `with tap.case(name):` turns an exception into a failure. Threads
    may share one."""

    def __init__(self):
        self.count = self.failed = 0
        self.lock = threading.Lock()

    def result(self, good, name, detail=""):
        with self.lock:
            self.count += 1
            self.failed += not good
            print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)
            if not good and detail:
                print("\n".join("# " + line for line in str(detail).splitlines()), flush=True)
        return good

    def skip(self, name, reason):
        with self.lock:
            self.count += 1
            print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)

    def note(self, text):
        with self.lock:
            print("\n".join("# " + line for line in text.splitlines()), flush=True)

    @contextlib.contextmanager
    def case(self, name, site=None):
        """With a site, a failure also shows the end of its programs' logs."""
        try:
            yield
        except Skip as reason:
            self.skip(name, reason)
        except Exception as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__)
                      if f.filename != os.path.abspath(__file__)]
            where = f"line {frames[-1].lineno}: {frames[-1].line}\n" if frames else ""
            kind = "" if isinstance(error, Failure) else f"{type(error).__name__}: "
            self.result(False, name, where + kind + str(error) + (site.tails() if site else ""))
        else:
            self.result(True, name)

    def all(self, checks):
        """Each (name, function), and the end."""
        for name, check in checks:
            with self.case(name):
                check()
        self.done()

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


def build_slowdisk(folder):
    """tests/bluez/slowdisk.c as a library: the one of `make`, else one built into `folder`."""
    made = BUILD + "/tests/slowdisk.so"
    if os.path.exists(made):
        return made
    own = os.path.join(folder, "slowdisk.so")
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-fPIC", "-shared", "-o", own,
                    ROOT + "/tests/bluez/slowdisk.c", "-ldl"], check=True)
    return own


ROSTER_HEAD = "token,birth_date,sex,programmes,doctor,team,valid_from,valid_to,setting\n"


def roster():
    """R-0001 to R-0004 have a contract; that of R-0005 ended long ago."""
    year = time.gmtime().tm_year
    now, past = f"{year - 1}-01-01,{year + 1}-12-31", f"{year - 3}-01-01,{year - 2}-12-31"
    return ROSTER_HEAD + (f"R-0001,1958-03-14,M,hypertension,D-0001,T-0001,{now},\n"
                          f"R-0002,1963-11-02,F,t2dm,D-0001,T-0001,{now},\n"
                          f"R-0003,1949-07-21,F,hypertension;t2dm;elderly,D-0002,T-0001,{now},\n"
                          f"R-0004,1951-05-09,M,copd;elderly,D-0002,T-0002,{now},\n"
                          f"R-0005,1970-09-30,M,hypertension,D-0001,T-0001,{past},\n")


def cuff_device(name, **more):
    return {"id": name, "driver": "bt_blp", "transport": "ble",
            "address": "unix:{dir}/" + name + ".sock", **more}


def ble_device(name, driver, **more):
    """A peripheral of tests/sim/peripheral.py."""
    return {"id": name, "driver": driver, "transport": "ble",
            "address": "unix:{dir}/" + name + ".sock", **more}


def lab_device(name, patient_id="token", **more):
    return {"id": name, "driver": "lis01", "transport": "serial",
            "address": "{dir}/" + name + ".tty", "patient_id": patient_id, **more}


def line_device(name, driver, **more):
    """An instrument of the serial simulators: oximeter() and printer()."""
    return {"id": name, "driver": driver, "transport": "serial",
            "address": "{dir}/" + name + ".tty", **more}


def cart_device(name, **more):
    """An ECG cart; residents' tokens are typed at it."""
    return {"id": name, "driver": "xmodem", "transport": "serial",
            "address": "{dir}/" + name + ".tty", "baud": 115200, "patient_id": "token", **more}


def box_device(name, **more):
    """A directory into which ECG machines drop files: {dir}/<name>.box."""
    return {"id": name, "driver": "dropped_file", "transport": "spool",
            "address": "{dir}/" + name + ".box", "patient_id": "token", **more}


def modbus_device(name, driver, address, **more):
    return {"id": name, "driver": driver, "transport": "modbus", "address": address, **more}


def hurried_tables(folder, within_s=None, gap_s=None, escalate=None, **for_s):
    """A copy of config/ in `folder`, in which alerts are in a hurry: for_s of each rule that is
    named (_ for -), within_s of a repeat, and the seconds of `escalate`: (critical, warning,
    again). gap_s: between two blood pressures of a visit. Returns the folder."""
    shutil.copytree(ROOT + "/config", folder)
    if gap_s is not None:
        path = os.path.join(folder, "followup.csv")
        with open(path, encoding="utf-8") as f:
            text, n = re.subn(r"(bp_visit,gap_s,)\d+", rf"\g<1>{gap_s}", f.read())
        assert n == 1, "no gap_s in followup.csv"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    path = os.path.join(folder, "alerts.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for rule, seconds in for_s.items():
        line = rf"(id: {rule.replace('_', '-')},.* for_s: )\d+"
        text, n = re.subn(line, rf"\g<1>{seconds}", text)
        assert n == 1, f"{rule} has no for_s in alerts.yaml"
    if within_s is not None:
        text, n = re.subn(r"(\n  within_s: )\d+", rf"\g<1>{within_s}", text)
        assert n == 1, "no within_s in alerts.yaml"
    if escalate is not None:
        words = "escalate: {critical_s: %d, warning_s: %d, again_s: %d}" % escalate
        text, n = re.subn(r"^escalate: .*$", words, text, flags=re.M)
        assert n == 1, "no escalate in alerts.yaml"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return folder


class Beats:
    """Stands in for systemd: hears READY=1 and WATCHDOG=1 of one process."""

    def __init__(self, path, watchdog_s=2):
        self.path, self.times, self.words = path, [], []
        self.env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        while True:
            words = self.sock.recv(4096).decode(errors="replace").split("\n")
            self.words += words
            if "WATCHDOG=1" in words:
                self.times.append(time.clock_gettime(time.CLOCK_BOOTTIME))

    def longest_gap(self, begin, end):
        """Seconds without a beat between the two instants (CLOCK_BOOTTIME)."""
        inside = [begin] + [t for t in self.times if begin < t < end] + [end]
        return max(b - a for a, b in zip(inside, inside[1:]))


def zone_of_tests():
    """What happens in a test is of one day: a zone without summer time in which midnight is hours away."""
    home, other = "Asia/Shanghai", "America/Bogota"     # 13 hours behind
    return home if 3 <= datetime.now(ZoneInfo(home)).hour < 22 else other


class Site:
    """devices: list of dicts as in vitalgate.yaml, "{dir}" in them is the site's folder. The
    simulated instruments stand at unix:{dir}/<name>.sock (cuff, peripheral) and {dir}/<name>.tty
    (analyser, cart, oximeter, printer, and modbus_line); modbus_port has a port of its own choice.

    line_bits: the uplink's line to the broker lets through so many bits per second each way.

    tables: a folder, or what hurried_tables() is to be told."""

    GATEWAY = "gw-0001"
    ZONE = zone_of_tests()  # what the instruments' clocks show

    def __init__(self, devices=(), receipt="platform", receipt_timeout=2, extra="", window=20,
                 host="127.0.0.1", tables=ROOT + "/config", line_bits=None):
        self.dir = tempfile.mkdtemp(prefix="vitalgate-")
        self.port = free_port()
        self.base = f"vg/v1/demo/village/{self.GATEWAY}"
        self.processes = {}
        self.commands = {}
        self.line_bits = line_bits
        self.line_port = self.slow_line(line_bits) if line_bits else self.port
        self.config = self.path("vitalgate.yaml")
        if isinstance(tables, dict):
            tables = hurried_tables(self.path("tables"), **tables)
        self.settings = (receipt, receipt_timeout, extra.replace("{dir}", self.dir), window, host, tables)
        self.write_config(devices)
        with open(self.path("mosquitto.conf"), "w") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                    "max_queued_messages 0\n")

    def path(self, name):
        return os.path.join(self.dir, name)

    def write_config(self, devices):
        receipt, receipt_timeout, extra, window, host, tables = self.settings
        sink = {"name": "platform", "host": host, "port": self.line_port, "receipt": receipt,
                "receipt_timeout_s": receipt_timeout, "window": window}
        text = ("version: 1\norg: demo\nsite: village\n"
                f"gateway: {self.GATEWAY}\nzone: {self.ZONE}\nsite_contact: S-0001\n"
                f"paths: {{store: {self.dir}/store, runtime: {self.dir}/run, "
                f"tables: {tables}, profiles: {self.dir}/profiles}}\n"
                f"{extra}"
                f"sinks:\n  - {json.dumps(sink)}\n")
        if "alerting:" not in extra:  # tests run at any hour
            text += 'alerting: {quiet: ""}\n'
        if devices:
            text += "devices:\n" + "".join(
                "  - " + json.dumps(d).replace("{dir}", self.dir) + "\n" for d in devices)
        with open(self.config, "w") as f:
            f.write(text)

    # --- processes

    def start(self, name, argv, env=None):
        """Starts or restarts a process under a name; its output goes to <name>.log."""
        env = dict(os.environ, **(env or {}))
        if "LD_PRELOAD" in env:  # builds with AddressSanitizer insist on being the first library
            env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        log = open(self.path(name + ".log"), "ab")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=self.dir, env=env)
        log.close()
        self.processes[name] = process
        self.commands[name] = (argv, env)
        return process

    def restart(self, name):
        argv, env = self.commands[name]
        return self.start(name, argv, env)

    def kill(self, name, sig=signal.SIGKILL):
        process = self.processes.pop(name, None)
        if process and process.poll() is None:
            process.send_signal(sig)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode if process else None

    def running(self, name):
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def log(self, name):
        try:
            with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def broker(self):
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.start("broker", [binary, "-c", self.path("mosquitto.conf")])
        return wait_until(self.broker_answers)

    def broker_answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def core(self, env=None, prefix=(), options=(), folder=BUILD):
        self.start("core", [*prefix, folder + "/vitalgated", "--config", self.config,
                            "--last-good", self.path("last-good"), *options], env)
        return wait_until(self.answers)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path("run/control.sock")) == 0

    def uplink(self, env=None, prefix=()):
        return self.start(
            "uplink", [*prefix, BUILD + "/vitalgate-uplink", "--config", self.config,
                       "--last-good", self.path("run/vitalgate.yaml")], env)

    def platform(self, *options):
        return self.start("platform", [
            PYTHON, SIM + "/health_platform.py", "--host", "127.0.0.1", "--port", str(self.port),
            "--base", self.base, "--ledger", self.path("platform.ledger"),
            "--control", self.path("platform.ctl"), *options])

    def instrument(self, program, name, *options):
        """A simulator of tests/sim that keeps a ledger and takes orders."""
        return self.start(name, [
            PYTHON, f"{SIM}/{program}.py", "--name", name, "--ledger", self.path(name + ".ledger"),
            "--control", self.path(name + ".ctl"), *options], {"TZ": self.ZONE})

    def cuff(self, name, *options):
        return self.instrument("cuff", name, "--listen", self.path(name + ".sock"),
                               "--state", self.path(name + ".state"), *options)

    def peripheral(self, kind, name, *options):
        return self.instrument("peripheral", name, kind, "--socket", self.path(name + ".sock"),
                               *options)

    def analyser(self, name, *options):
        return self.instrument("analyser", name, "--link", self.path(name + ".tty"), "--dtr",
                               *options)

    def cart(self, name, *options):
        return self.instrument("cart", name, "--link", self.path(name + ".tty"), *options)

    def slow_line(self, bits):
        """Its port: one that nobody can take before it does."""
        self.start("slow_line", [PYTHON, SIM + "/slow_line.py", "--listen", "0", "--to",
                                 str(self.port), "--bits", str(bits)])
        if not wait_until(lambda: "\n" in self.log("slow_line")):
            raise Failure("slow_line does not listen: " + self.log("slow_line"))
        return json.loads(self.log("slow_line").splitlines()[0])["port"]

    def oximeter(self, name, *options):
        return self.instrument("oximeter", name, "--link", self.path(name + ".tty"), "--dtr",
                               *options)

    def printer(self, name, model, *options):
        return self.instrument("printer", name, "--model", model, "--link",
                               self.path(name + ".tty"), "--dtr", *options)

    def modbus_line(self, name, *slaves):
        """slaves: "1:fridge", all on one RS-485 line."""
        return self.instrument("modbus", name, "--rtu", self.path(name + ".tty"),
                               *(word for slave in slaves for word in ("--slave", slave)))

    def modbus_port(self, name, *slaves):
        """The same behind a network converter; returns its address, as for a device."""
        self.instrument("modbus", name, "--tcp", "0",
                        *(word for slave in slaves for word in ("--slave", slave)))
        heard = wait_until(lambda: self.events(name, "listening"))
        if not heard:
            raise Failure(f"{name} did not open a port: {self.log(name)}")
        return f"tcp:127.0.0.1:{heard[-1]['record']['port']}"

    def all(self, *platform_options):
        """Broker, core, platform and uplink, in the order in which nothing is missed."""
        if not self.broker() or not self.core():
            raise Failure("broker or core did not start" + self.tails())
        self.platform("--verbose", *platform_options)
        if not wait_until(lambda: "connected 0" in self.log("platform")):
            raise Failure("the platform did not connect" + self.tails())
        self.uplink()

    def tails(self, lines=12):
        text = ""
        for name in ("core", "uplink", "platform", "broker"):
            last = self.log(name).splitlines()[-lines:]
            text += "".join(f"\n{name}| {line}" for line in last)
        return text

    # --- talking

    def cli(self, *words):
        """The result as JSON; raises with the printed reason when the command was refused."""
        done = subprocess.run([BUILD + "/vitalgate", "--config", self.config, "--json", *words],
                              capture_output=True, text=True, timeout=2 * PATIENCE_S)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or done.stdout)
        return json.loads(done.stdout)

    def refusal(self, *words):
        """What the companion says when it refuses; "" when it did not."""
        done = subprocess.run([BUILD + "/vitalgate", "--config", self.config, *words],
                              capture_output=True, text=True, timeout=2 * PATIENCE_S)
        return done.stderr.strip() if done.returncode else ""

    def control(self, name, text):
        """One datagram to a simulator: "record {...}", "unplug" or, to the platform, a command."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            holds(wait_until(lambda: not s.connect_ex(self.path(name + ".ctl"))), f"{name} takes no orders")
            s.send(text.encode())

    def ledger(self, name):
        return read_ledger(self.path(name + ".ledger"))

    def received(self, topic=None):
        """What the platform stored, each once: {(id, revision): object}."""
        return {(e["id"], e["revision"]): e["object"] for e in self.ledger("platform")
                if e["event"] == "stored" and (topic is None or e["topic"].endswith(topic))}

    def roster(self, text=None):
        with open(self.path("roster.csv"), "w", encoding="utf-8") as f:
            f.write(roster() if text is None else text)
        return self.path("roster.csv")

    def query(self, sql, *values):
        """Rows of the live database, read only."""
        with contextlib.closing(sqlite3.connect(
                f"file:{self.path('store/vitalgate.db')}?mode=ro", uri=True,
                timeout=PATIENCE_S)) as db:
            return db.execute(sql, values).fetchall()

    def outbox(self):
        """Rows that have no receipt yet; what the platform refused is not among them."""
        return self.query("SELECT count(*) FROM outbox WHERE state<>3")[0][0]

    def events(self, name, *kinds):
        return [e for e in self.ledger(name) if e["event"] in kinds]

    def readings(self, device, **want):
        """What the platform has of a device, newest revision of each id, in order of arrival."""
        newest = {}
        for (_, revision), r in self.received("up/reading").items():
            if r["device"]["id"] == device and revision >= newest.get(r["id"], r)["revision"]:
                newest[r["id"]] = r
        return [r for r in newest.values() if all(r[k] == v for k, v in want.items())]

    def studies(self, **want):
        """What the platform has of ECG studies, the newest revision of each."""
        newest = {}
        for (name, revision), study in self.received("up/ecg").items():
            if revision >= newest.get(name, study)["revision"]:
                newest[name] = study
        return [s for s in newest.values() if all(s[k] == v for k, v in want.items())]

    def original(self, study):
        """The bytes that the platform has of a study, None until they are whole."""
        try:
            with open(self.path("platform.ledger.originals/" + study["id"]), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def alert_of(self, reading, revision=1, **want):
        """The platform's alert that a reading raised, or None. A reading of several conditions, or of several residents
        one after the other, raises several."""
        for a in self.received("up/alert").values():
            if a["reading"] == reading["id"] and a["revision"] == revision and \
                    all(a[k] == v for k, v in want.items()):
                return a
        return None

    def alert_showing(self, reading, **want):
        """The platform's newest revision of an alert that shows a reading, or None: it may have joined what another one
        raised."""
        found = [a for a in self.received("up/alert").values()
                 if a.get("shown") == reading["id"] and all(a[k] == v for k, v in want.items())]
        return max(found, key=lambda a: a["revision"]) if found else None

    def close(self, keep=False):
        order = [n for n in self.processes if n not in ("core", "uplink", "broker")]
        for name in order + ["uplink", "core", "broker"]:
            self.kill(name, signal.SIGTERM)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(keep=kind is not None and "VITALGATE_KEEP" in os.environ)
