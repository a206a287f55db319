#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make install` puts where, the units' sandbox, and both programs under their own systemd.

The machine is a container: this system's files, below a layer with what `make install DESTDIR=`
made and a layer of settings, in namespaces that end with this test. Needs root and systemd-nspawn.
"""
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "sim")]
import scp_file
from harness import BUILD, PYTHON, ROOT, Failure, Skip, Tap, holds, roster, same, wait_until

CORE, UPLINK = "vitalgated.service", "vitalgate-uplink@platform.service"
UNITS = "/usr/lib/systemd/system"
PORT = "/dev/serial/by-id/usb-Example_Lab-1_0001-if00-port0"
# In place of serial ports, which not every machine has.
PORT_NODE, OTHER_PORT, NOT_OURS = "tty11", "tty12", "tty13"
INSIDE = "VITALGATE_TEST_NAMESPACE"

INSTALLED = {
    "usr/bin/vitalgate": 0o755, "usr/sbin/vitalgated": 0o755, "usr/sbin/vitalgate-uplink": 0o755,
    "usr/libexec/vitalgate/vitalgate-ecg": 0o755,
    "usr/lib/systemd/system/vitalgated.service": 0o644,
    "usr/lib/systemd/system/vitalgate-uplink@.service": 0o644,
    "usr/lib/sysusers.d/vitalgate.conf": 0o644, "usr/lib/tmpfiles.d/vitalgate.conf": 0o644,
    "usr/share/dbus-1/system.d/50-vitalgate.conf": 0o644,
    "etc/vitalgate/vitalgate.yaml": 0o640,
}

CONFIG = f"""version: 1
org: demo
site: village
gateway: gw-0001
site_contact: S-0001
sinks:
  - name: platform
    host: localhost
    port: 8883
    tls: {{ca: credential:ca.pem, cert: credential:gw.pem, key: credential:gw.key}}
devices:
  - {{id: cuff-1, driver: bt_blp, transport: ble, address: "00:11:22:33:44:55"}}
  - {{id: lab-1, driver: lis01, transport: serial, address: {PORT}}}
  - {{id: lab-2, driver: lis01, transport: serial, address: /dev/{OTHER_PORT}}}
  - {{id: box-1, driver: dropped_file, transport: spool, address: /var/spool/vitalgate}}
"""

BROKER = """listener 8883 127.0.0.1
cafile /etc/broker/ca.pem
certfile /etc/broker/broker.pem
keyfile /etc/broker/broker.key
require_certificate true
allow_anonymous true
persistence false
user root
"""

# Tries things inside a unit's sandbox; each answer is 0 or an errno.
PROBE = r"""
import errno, json, os, socket
def code(call, *words):
    try:
        result = call(*words)
        if isinstance(result, socket.socket): result.close()
        return 0
    except OSError as e:
        return e.errno
def door(name, kind):
    with socket.socket(socket.AF_UNIX, kind) as s:
        s.connect("/run/vitalgate/" + name)
def read(path):
    with open(path, "rb") as f: f.read(1)
def write(path):
    with open(path, "wb") as f: f.write(b"x")
print("PROBE " + json.dumps(dict(
    uid=os.getuid(),
    inet=code(socket.socket, socket.AF_INET, socket.SOCK_STREAM),
    inet6=code(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM),
    netlink=code(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
    packet=code(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
    control=code(door, "control.sock", socket.SOCK_STREAM),
    uplink=code(door, "uplink.sock", socket.SOCK_SEQPACKET),
    store=code(read, "/var/lib/vitalgate/vitalgate.db"),
    config=code(read, "/etc/vitalgate/vitalgate.yaml"),
    key=code(read, "/etc/vitalgate/credentials/gw.key"),
    own_key=code(read, os.environ.get("CREDENTIALS_DIRECTORY", "/none") + "/vitalgate_gw.key"),
    bus=code(read, "/run/dbus"),
    shadow=code(read, "/etc/shadow"),
    boot_id=code(read, "/proc/sys/kernel/random/boot_id"),
    tables=code(read, "/usr/share/vitalgate/codes.csv"),
    etc=code(write, "/etc/probe"),
    usr=code(write, "/usr/probe"),
    home=code(os.listdir, "/root"),
    tmp=code(write, "/tmp/probe"),
    spool=code(write, "/var/spool/vitalgate/probe"),
    spool_folder=code(lambda: (os.mkdir("/var/spool/vitalgate/done", 0o770),
                               os.rename("/var/spool/vitalgate/probe", "/var/spool/vitalgate/done/probe"))),
    chown=code(os.chown, "/tmp/probe", os.getuid(), os.getgid()),
    setuid=code(os.setuid, os.getuid()),
)), flush=True)
"""
EPERM, ENOENT, EACCES, EISDIR, EROFS, EAFNOSUPPORT = 1, 2, 13, 21, 30, 97


def install(dest):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    san = ["SAN=1"] if BUILD.endswith("-san") else []
    subprocess.run(["make", "-s", "-C", ROOT, *san, "install", "DESTDIR=" + dest], env=env,
                   check=True, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_keys(folder):
    """An authority, the broker's certificate for localhost and the gateway's."""
    new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, *new, "-x509", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", "ca.key", "-out", "ca.pem")
    write(folder + "/name", "subjectAltName=DNS:localhost\n")
    for name, subject in ("broker", "localhost"), ("gw", "gw-0001"):
        openssl(folder, *new, "-subj", "/CN=" + subject,
                "-keyout", name + ".key", "-out", name + ".csr")
        openssl(folder, "x509", "-req", "-days", "2", "-in", name + ".csr", "-CA", "ca.pem",
                "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "name", "-out", name + ".pem")


def probe_unit(text, name):
    """The unit with a probe as its program: the same user, sandbox and credentials."""
    text = re.sub(r"(?m)^(Exec|Restart|Watchdog|RuntimeDirectory|Type|Timeout).*\n", "", text)
    text = text.replace("%i", "platform")
    return text.replace("[Service]\n", "[Service]\nType=oneshot\n"
                        f"ExecStart={PYTHON} /usr/lib/probe.py\nSyslogIdentifier={name}\n")


class Machine:
    """A booted container."""

    def __init__(self, folder, dest):
        self.folder, self.root, extra = folder, folder + "/root", folder + "/extra"
        self.log = open(folder + "/console", "wb")
        for name in "root", "upper", "work", "keys":
            os.mkdir(os.path.join(folder, name))
        make_keys(folder + "/keys")
        self._settle(extra)
        self._probes(extra, dest)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={extra}:{dest}:/,"
                        f"upperdir={folder}/upper,workdir={folder}/work", self.root], check=True)
        # Where no systemd runs nobody makes a unit for the container: it stays in our group.
        unit = [] if os.path.isdir("/run/systemd/system") else ["--keep-unit"]
        self.groups = [g for g in self._groups() if not os.path.exists(g)]
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "-D", self.root, "--register=no", *unit,
             "--private-network", "--link-journal=no", "--resolv-conf=off", "--timezone=off", "-b",
             "--system-call-filter=adjtimex clock_adjtime", "--console=pipe", "systemd.unit=basic.target"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.leader = None
        self.leader = wait_until(self._find_leader)
        if not self.leader or not wait_until(self._booted, 180, 0.2):
            raise Skip("systemd does not start in a container here: " + self._last_words())

    def _settle(self, extra):
        write(extra + "/etc/machine-id", "5a5a5a5a5a5a4a5a8a5a5a5a5a5a5a5a\n", 0o444)
        write(extra + "/etc/fstab", "")
        write(extra + "/etc/vitalgate/vitalgate.yaml", CONFIG, 0o640)
        write(extra + "/etc/broker/mosquitto.conf", BROKER)
        write(extra + "/root/roster.csv", roster())
        for name in "ca.pem", "broker.pem", "broker.key":
            shutil.copy(self.folder + "/keys/" + name, extra + "/etc/broker/")
        os.makedirs(extra + "/etc/vitalgate/credentials")
        for name in "ca.pem", "gw.pem", "gw.key":
            shutil.copy(self.folder + "/keys/" + name, extra + "/etc/vitalgate/credentials/")
        # The bluetoothd of this test is a mock.
        os.makedirs(extra + "/etc/systemd/system")
        os.symlink("/dev/null", extra + "/etc/systemd/system/bluetooth.service")
        # As udev's 60-serial.rules would name a USB adapter.
        write(extra + "/etc/udev/rules.d/61-test.rules",
              f'KERNEL=="{PORT_NODE}", SYMLINK+="{PORT[len("/dev/"):]}"\n')

    @staticmethod
    def _probes(extra, dest):
        write(extra + "/usr/lib/probe.py", PROBE)
        for name, unit in ("probe-core", CORE), ("probe-uplink", UPLINK.replace("platform", "")):
            with open(dest + UNITS + "/" + unit, encoding="utf-8") as f:
                write(f"{extra}/etc/systemd/system/{name}.service", probe_unit(f.read(), name))

    def _find_leader(self):
        if self.nspawn.poll() is not None:
            return 0
        pid = self.nspawn.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            for pid in f.read().split():
                try:
                    with open(f"/proc/{pid}/comm", encoding="ascii") as c:
                        if c.read().strip() == "systemd":
                            return int(pid)
                except OSError:
                    continue
        return 0

    @staticmethod
    def _groups():
        """The control groups that nspawn makes below ours."""
        with open("/proc/self/cgroup", encoding="ascii") as f:
            for line in f:
                _, controllers, path = line.strip().split(":", 2)
                tree = "unified" if not controllers else controllers.removeprefix("name=")
                for top in f"/sys/fs/cgroup/{tree}", "/sys/fs/cgroup":
                    for name in "payload", "supervisor":
                        yield top + path.rstrip("/") + "/" + name

    def _booted(self):
        return self.run("systemctl", "is-active", "basic.target").stdout.strip() == "active"

    def _last_words(self):
        with open(self.folder + "/console", encoding="utf-8", errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        return lines[-1][:200] if lines else "no output"

    def run(self, *argv, check=False):
        enter = ["nsenter", "-t", str(self.leader), "-m", "-p", "-u", "-i", "-n", "-C"]
        done = subprocess.run([*enter, *argv], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=180)
        if check and done.returncode:
            raise Failure(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, *words):
        return self.run("journalctl", "--no-pager", "-o", "cat", *words).stdout

    def active(self, unit):
        return self.show(unit, "ActiveState") == "active"

    def start(self, *units):
        done = self.run("systemctl", "start", *units)
        if done.returncode:
            raise Failure(done.stderr + self.run("journalctl", "--no-pager", "-n", "30").stdout)

    def status(self):
        return json.loads(self.run("vitalgate", "--json", "status", check=True).stdout)

    def probe(self, name):
        """What the probe of one unit found."""
        self.run("systemctl", "start", name, check=False)
        found = wait_until(lambda: re.search(r"PROBE (.*)", self.journal("-t", name)))
        if not found:
            raise Failure(self.journal("-u", name))
        return json.loads(found[1])

    def owner(self, path):
        """As "640 root:vitalgate"."""
        return self.run("stat", "-c", "%a %U:%G", path, check=True).stdout.strip()

    def restarted(self, unit, old, seconds=90):
        """Seconds until `unit` is active with another process."""
        began = time.monotonic()
        if not wait_until(lambda: self.show(unit, "MainPID") not in ("0", old)
                          and self.active(unit), seconds, 0.2):
            raise Failure(f"{unit} is {self.show(unit, 'ActiveState')} after {seconds} s\n"
                          + self.journal("-u", unit, "-n", "20"))
        return time.monotonic() - began

    def signal(self, unit, name):
        """To the main process; returns its pid."""
        pid = self.show(unit, "MainPID")
        if pid == "0":  # to kill(2) that is ourselves
            raise Failure(f"{unit} does not run\n" + self.journal("-u", unit, "-n", "20"))
        self.run("kill", "-" + name, pid, check=True)
        return pid

    def close(self):
        if self.leader:
            try:
                os.kill(self.leader, signal.SIGKILL)  # the first process takes all others along
            except ProcessLookupError:
                pass
        elif self.nspawn.poll() is None:
            self.nspawn.kill()
        self.nspawn.wait(60)
        self.log.close()
        for group in self.groups:
            for where, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):  # still busy: it stays
                    os.rmdir(where)


# --- without a machine


def check_install(tap, dest):
    with tap.case("make install puts everything where it belongs"):
        for path, mode in INSTALLED.items():
            st = os.lstat(os.path.join(dest, path))
            holds(stat.S_ISREG(st.st_mode), path)
            same(oct(st.st_mode & 0o7777), oct(mode), path)
        mode = os.stat(dest + "/etc/vitalgate/credentials").st_mode & 0o7777
        same(oct(mode), "0o700", "credentials")
        for table in os.listdir(ROOT + "/config"):
            if table.endswith(".csv") or table == "alerts.yaml":
                holds(os.path.exists(dest + "/usr/share/vitalgate/" + table), table)
        found = {os.path.relpath(os.path.join(where, name), dest)
                 for where, _, names in os.walk(dest) for name in names}
        same({f for f in found - set(INSTALLED) if not f.startswith("usr/share/vitalgate/")}, set(),
             "other files")
    with tap.case("an edited configuration survives the next make install"):
        write(dest + "/etc/vitalgate/vitalgate.yaml", "version: 1 # edited\n", 0o640)
        install(dest)
        with open(dest + "/etc/vitalgate/vitalgate.yaml", encoding="utf-8") as f:
            same(f.read(), "version: 1 # edited\n")


def check_units(tap, dest, folder):
    if not shutil.which("systemd-analyze"):
        tap.skip("the units are valid and closed", "no systemd-analyze")
        return
    paths = []
    for unit in CORE, UPLINK:
        with open(dest + UNITS + "/" + unit.replace("platform", ""), encoding="utf-8") as f:
            text = f.read()
        paths.append(os.path.join(folder, unit))
        write(paths[-1], text.replace("=/usr/sbin/", f"={dest}/usr/sbin/"))
    with tap.case("systemd-analyze verify has nothing to say"):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths],
                              capture_output=True, text=True, timeout=180)
        ours = [line for line in done.stderr.splitlines() if "vitalgate" in line]
        same((done.returncode, ours), (0, []), done.stderr)
    for path, most in zip(paths, (2.0, 1.5)):  # 0.4 for asking adjtimex()
        with tap.case(f"exposure of {os.path.basename(path)} is at most {most}"):
            done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                                   f"--threshold={most * 10:.0f}", path], capture_output=True,
                                  text=True, timeout=180)
            last = (done.stdout or done.stderr).splitlines()[-1:]
            holds(done.returncode == 0, last)
            tap.note(" ".join(last).strip("→ "))


def check_credentials(tap, folder):
    config = folder + "/credential.yaml"
    write(config, CONFIG)
    uplink = [BUILD + "/vitalgate-uplink", "--config", config, "--sink", "platform"]
    env = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}

    def said(**more):
        done = subprocess.run(uplink, env={**env, **more}, capture_output=True, text=True,
                              timeout=120)
        same(done.returncode, 1, "exit status")
        return done.stderr

    with tap.case("the uplink says which credential is missing and does not start without it"):
        holds("tls.ca: credential:ca.pem needs the unit vitalgate-uplink@" in said(), said())
        os.mkdir(folder + "/given")
        write(folder + "/given/vitalgate_ca.pem", "")
        text = said(CREDENTIALS_DIRECTORY=folder + "/given")
        holds("tls.cert: credential:gw.pem: No such file" in text, text)
    with tap.case("a credential is a plain file name"):
        for bad in "credential:", "credential:../shadow", "credential:a/b", "gw.key":
            write(config, CONFIG.replace("credential:gw.key", json.dumps(bad)))
            done = subprocess.run([BUILD + "/vitalgate", "check-config", config],
                                  capture_output=True, text=True, timeout=120)
            holds(done.returncode and "or credential:NAME" in done.stderr, done.stderr or bad)


def check_rules(tap, folder):
    config = folder + "/rules.yaml"
    rules = [BUILD + "/vitalgate", "--config", config, "udev-rules"]
    with tap.case("udev rules name the configured ports and no others"):
        write(config, CONFIG)
        done = subprocess.run(rules, capture_output=True, text=True, timeout=120)
        same(done.returncode, 0, done.stderr)
        lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
        same([re.search(r'(SYMLINK|KERNEL)=="([^"]*)"', line).groups() for line in lines],
             [("SYMLINK", PORT[len("/dev/"):]), ("KERNEL", OTHER_PORT)])
    with tap.case("an address that would widen a rule makes none"):
        for bad in "/dev/ttyUSB*", '/dev/x", MODE="0666', "/tmp/line.tty", "/dev/tty[AB]":
            write(config, CONFIG.replace(PORT, json.dumps(bad)))
            done = subprocess.run(rules, capture_output=True, text=True, timeout=120)
            same(done.returncode, 1, bad)
            holds("lab-1" in done.stderr and "lab-1" not in done.stdout, done.stdout + done.stderr)


# --- on the machine


def check_start(tap, m):
    with tap.case("core and uplink start, and say when they are ready"):
        m.run("systemd-sysusers", "vitalgate.conf", check=True)
        m.run("systemd-tmpfiles", "--create", "vitalgate.conf", check=True)
        m.run("useradd", "--no-create-home", "--groups", "vitalgate", "nurse", check=True)
        m.run("systemd-run", "--unit=broker", "mosquitto", "-c", "/etc/broker/mosquitto.conf",
              check=True)
        m.start(CORE, UPLINK)
        same([m.active(CORE), m.active(UPLINK)], [True, True])
    with tap.case("vitalgate works for root and for members of the group vitalgate"):
        m.run("vitalgate", "import", "/root/roster.csv", check=True)
        m.run("runuser", "-u", "nurse", "--", "vitalgate", "status", check=True)
        refused = m.run("runuser", "-u", "daemon", "--", "vitalgate", "--socket",
                        "/run/vitalgate/control.sock", "status")
        holds(refused.returncode and "Permission denied" in refused.stderr, refused.stderr)
    with tap.case("the uplink reaches the broker with the key that only systemd gave it"):
        if not wait_until(lambda: m.status()["uplink"]["platform"]["state"] == "connected",
                          60, 0.3):
            raise Failure(m.journal("-u", UPLINK) + m.journal("-u", "broker"))
    with tap.case("files and sockets have the modes that we promise"):
        for path, mode in {
                "/etc/vitalgate": "750 root:vitalgate",
                "/etc/vitalgate/credentials": "700 root:root",
                "/etc/vitalgate/vitalgate.yaml": "640 root:vitalgate",
                "/var/lib/vitalgate": "700 vitalgate:vitalgate",
                "/var/lib/vitalgate/vitalgate.db": "600 vitalgate:vitalgate",
                "/var/spool/vitalgate": "2770 vitalgate:vitalgate",
                "/run/vitalgate": "751 vitalgate:vitalgate",
                "/run/vitalgate/control.sock": "660 vitalgate:vitalgate",
                "/run/vitalgate/uplink.sock": "660 vitalgate:vitalgate-uplink"}.items():
            same(m.owner(path), mode, path)


def check_sandbox(tap, m):
    closed = dict(netlink=EAFNOSUPPORT, packet=EAFNOSUPPORT, shadow=EACCES, etc=EROFS, usr=EROFS,
                  home=EACCES, tmp=0, chown=EPERM, setuid=EPERM)
    with tap.case("the core has its store and what it needs, and sockets for Modbus"):
        found = m.probe("probe-core")
        want = dict(closed, inet=0, inet6=0, control=0, store=0, config=0,
                    spool=0, spool_folder=0, key=EACCES, own_key=ENOENT, bus=EISDIR, boot_id=0, tables=0)
        same(({k: found[k] for k in want}, "may not ask" in m.journal("-u", CORE)), (want, False))
    with tap.case("the uplink has the network and its key, no store, no commands, no bus"):
        found = m.probe("probe-uplink")
        want = dict(closed, inet=0, inet6=0, control=EACCES, uplink=0, store=EACCES, config=EACCES, spool=EACCES,
                    key=EACCES, own_key=0, bus=EACCES, tables=0)
        same({k: found[k] for k in want}, want)


def check_decoder(tap, m):
    """Inside the unit's own filter the decoder still closes itself in, and works."""
    with tap.case("an ECG that is dropped into the spool directory is decoded in its sandbox"):
        text = base64.b64encode(scp_file.make({"samples": 200, "patient": "R-0001"})).decode()
        m.run("sh", "-c", f"echo {text} | base64 -d >/var/spool/vitalgate/a.part && chmod 640 "
              "/var/spool/vitalgate/a.part && mv /var/spool/vitalgate/a.part "
              "/var/spool/vitalgate/a.scp", check=True)

        def studies():
            found = m.run("vitalgate", "--json", "ecg", check=True).stdout
            return [s for s in json.loads(found)["studies"] if s["status"] != "undecoded"]
        if not wait_until(studies, 90, 0.5):
            raise Failure(m.journal("-u", CORE))
        study, = studies()
        same((study["ecg"]["format"], study["ecg"].get("rejected")), ("scp", None), "the study")
        m.run("test", "-f", "/var/spool/vitalgate/done/a.scp", check=True)


def check_bus(tap, m):
    def ask(user, *words):
        done = m.run("runuser", "-u", user, "--", "busctl", "--system", "call", "org.bluez", *words)
        return "yes" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    objects = ("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    pairs = ("/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", "os", "/a", "")
    serves = ("/org/bluez", "org.bluez.ProfileManager1", "RegisterProfile", "osa{sv}", "/p",
              "1101", "0")
    with tap.case("the core sees Bluetooth adapters; the uplink sees no bus"):
        if m.run(PYTHON, "-c", "import dbusmock").returncode:
            raise Skip("no python3-dbusmock")
        m.run("systemd-run", "--unit=bluez-mock", PYTHON, "-m", "dbusmock", "--system",
              "--template", "bluez5", check=True)
        holds(wait_until(lambda: ask("root", *objects) == "yes", 60, 0.2), "the mock did not come")
        m.run("busctl", "--system", "call", "org.bluez", "/", "org.bluez.Mock", "AddAdapter",
              "ss", "hci0", "gateway", check=True)
        holds(wait_until(lambda: "adapter hci0" in m.journal("-u", CORE), 60, 0.3),
              m.journal("-u", CORE))
        same(ask("vitalgate", *objects), "yes")
        holds("denied" not in ask("vitalgate", *pairs).lower(), ask("vitalgate", *pairs))
        holds("denied" in ask("vitalgate", *serves).lower(), ask("vitalgate", *serves))
        holds("denied" not in ask("root", *serves).lower(), "our policy binds root, too")
        holds(ask("vitalgate-uplink", *objects) != "yes", "the uplink may ask bluetoothd")


def check_ports(tap, m):
    rules = m.run("vitalgate", "udev-rules", check=True).stdout
    with tap.case("udev gives the configured ports to the core"):
        m.run("sh", "-c", "vitalgate udev-rules >/etc/udev/rules.d/70-vitalgate.rules", check=True)
        uid = m.run("id", "-u", "vitalgate").stdout.strip()
        for port, ours in (PORT_NODE, True), (OTHER_PORT, True), (NOT_OURS, False):
            if not os.path.exists("/sys/class/tty/" + port):
                raise Skip(f"this machine has no {port}")
            text = m.run("udevadm", "test", "--action=add", "/sys/class/tty/" + port)
            text = text.stdout + text.stderr
            lines = [line for line in text.splitlines() if "70-vitalgate.rules" in line]
            same([f"OWNER {uid}" in text, "MODE 0600" in text], [ours, ours],
                 f"{port}: {rules}{lines}")


def check_death(tap, m):
    began = time.monotonic()
    with tap.case("a core that hangs is ended by the watchdog and comes back"):
        pid = m.signal(CORE, "STOP")
        # The uplink dies meanwhile.
        uplink = m.signal(UPLINK, "KILL")
        m.restarted(UPLINK, uplink)
        m.restarted(CORE, pid)
        tap.note(f"back {time.monotonic() - began:.1f} s after SIGSTOP")
        holds(wait_until(lambda: "Watchdog timeout" in m.journal("-u", CORE)), m.journal("-u", CORE))
        m.status()
    with tap.case("a core that is killed comes back, and the uplink finds it again"):
        tap.note(f"back {m.restarted(CORE, m.signal(CORE, 'KILL')):.1f} s after SIGKILL")
        same(m.show(CORE, "NRestarts"), "2")
        m.status()
        same(m.owner("/run/vitalgate/uplink.sock"), "660 vitalgate:vitalgate-uplink")
        holds(wait_until(lambda: m.active(UPLINK)), "the uplink")
    with tap.case("a broken file: both come back with the last good one, and a reload ends it"):
        config = "/etc/vitalgate/vitalgate.yaml"
        m.run("cp", "-p", config, "/root/good.yaml", check=True)
        m.run("sed", "-i", "s/^site:/sight:/", config, check=True)
        m.restarted(CORE, m.signal(CORE, "KILL"))
        m.restarted(UPLINK, m.signal(UPLINK, "KILL"))
        holds(wait_until(lambda: "RUNNING WITH THE LAST GOOD CONFIGURATION" in m.journal("-u", CORE)), "not told")
        holds(wait_until(lambda: "running with what the core goes by" in m.journal("-u", UPLINK)),
              m.journal("-u", UPLINK))
        m.run("cp", "-p", "/root/good.yaml", config, check=True)
        m.run("systemctl", "reload", CORE, check=True)
        holds(wait_until(lambda: "was read again" in m.journal("-u", CORE)),
              m.journal("-u", CORE))
        m.status()
    with tap.case("both stop cleanly and leave the store, not the sockets"):
        m.run("systemctl", "stop", UPLINK, CORE, check=True)
        same([m.show(CORE, "Result"), m.show(UPLINK, "Result")], ["success", "success"])
        holds(m.run("test", "-e", "/run/vitalgate").returncode, "/run/vitalgate is still there")
        m.run("test", "-s", "/var/lib/vitalgate/vitalgate.db", check=True)


def why_no_machine():
    if os.geteuid():
        return "not root"
    if BUILD.endswith("-san"):
        return "sanitizers do not run inside the units' sandbox"
    for program in "systemd-nspawn", "nsenter", "unshare", "mosquitto", "openssl", "busctl":
        if not shutil.which(program):
            return f"no {program}"
    return "" if INSIDE in os.environ else "no namespaces of our own (unshare --mount --pid)"


def main():
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="vitalgate-systemd-")
    reason = why_no_machine()
    machine = None
    try:
        if not reason:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
        dest = folder + "/dest"
        install(dest)
        check_install(tap, dest)
        check_units(tap, dest, folder)
        check_credentials(tap, folder)
        check_rules(tap, folder)
        if reason:
            raise Skip(reason)
        machine = Machine(folder, dest)
        for check in check_start, check_sandbox, check_decoder, check_bus, check_ports, check_death:
            check(tap, machine)
    except Skip as reason:
        tap.skip("core and uplink under systemd in a container", reason)
    finally:
        if machine:
            machine.close()
        if INSIDE in os.environ:
            subprocess.run(["umount", "-l", folder], stderr=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
    tap.done()


if __name__ == "__main__":
    # In a process namespace of its own, which ends with this test however it ends.
    own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if not os.geteuid() and INSIDE not in os.environ and not subprocess.run([*own, "true"], capture_output=True).returncode:
        os.execvpe(own[0], [*own, PYTHON, *sys.argv], dict(os.environ, **{INSIDE: "1"}))
    main()
