#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""vitalgate-uplink between a core played here and brokers: mosquitto, and one that misbehaves.

Needs mosquitto, openssl and python3-paho-mqtt. The binary comes from $VITALGATE_BUILD, else build/.
Arguments: words; only tests whose name contains one of them run.
"""
import json
import os
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import paho.mqtt.client as paho

from harness import free_port, read_ledger

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.path.join(os.environ.get("VITALGATE_BUILD", os.path.join(ROOT, "build")),
                      "vitalgate-uplink")
BASE = "vg/v1/demo/village/gw-0001"
PATIENCE_S = 60  # for what has to happen: a busy machine is no failure
ENDS_S = 10      # less than systemd or paho would wait
KEEPALIVE_S = 5  # the smallest that the configuration takes
PACKET_MAX = 160 * 1024
PUBLISH, HELLO, UP, DOWN, SENT, FAILED, MESSAGE = range(1, 8)
RETAIN = 1
HEAD = struct.Struct("=BBBBIHH")


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"waited {seconds} s for {what}")
        time.sleep(0.01)


def sanitized():
    """Then memory says nothing about the program."""
    with open(BINARY, "rb") as f:
        return b"__asan_init" in f.read()


class Packet:
    def __init__(self, data):
        self.version, self.type, self.flags, _, self.tag, topic_len, _ = HEAD.unpack_from(data)
        self.topic = data[HEAD.size:HEAD.size + topic_len].decode()
        self.payload = data[HEAD.size + topic_len:]

    def __repr__(self):
        return f"type {self.type} tag {self.tag} {self.topic} {self.payload[:60]}"


class Core:
    """The listening end of the link, as in daemon/link.h."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "uplink.sock")
        self.peer = None
        self.listen()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.listener.settimeout(PATIENCE_S)

    def accept(self):
        self.peer = self.listener.accept()[0]
        return self.expect(HELLO)

    def close(self, listener=False):
        if self.peer:
            self.peer.close()
            self.peer = None
        if listener:
            self.listener.close()
            os.unlink(self.path)

    def raw(self, data):
        self.peer.settimeout(PATIENCE_S)
        self.peer.send(data)

    def publish(self, tag, topic, payload, flags=0):
        self.raw(self.packet(tag, topic, payload, flags))

    @staticmethod
    def packet(tag, topic, payload, flags=0, kind=PUBLISH, version=1):
        topic = topic.encode()
        return HEAD.pack(version, kind, flags, 0, tag, len(topic), 0) + topic + payload

    def receive(self, seconds):
        """The next packet, or None."""
        self.peer.settimeout(max(seconds, 0.001))
        try:
            data = self.peer.recv(PACKET_MAX + 1)
        except (TimeoutError, BlockingIOError):
            return None
        check(data, "the uplink closed the link")
        return Packet(data)

    def expect(self, kind, seconds=PATIENCE_S):
        """Skips nothing: the next packet must be of this kind."""
        packet = self.receive(seconds)
        check(packet, f"no packet within {seconds} s, wanted type {kind}")
        check(packet.type == kind, f"wanted type {kind}, got {packet}")
        return packet

    def wait(self, kind, seconds=PATIENCE_S):
        """Skips other kinds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            packet = self.receive(end - time.monotonic())
            if packet and packet.type == kind:
                return packet
        raise Failure(f"no packet of type {kind} within {seconds} s")


class Mosquitto:
    def __init__(self, directory, port=None, extra=""):
        self.port = port or free_port()
        self.config = os.path.join(directory, f"mosquitto-{self.port}.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            user = "user root\n" if os.getuid() == 0 else ""
            f.write(f"listener {self.port} 127.0.0.1\n{user}allow_anonymous true\n"
                    f"max_queued_messages 100000\nmax_queued_bytes 0\n{extra}")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, PATIENCE_S, "mosquitto")

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number=signal.SIGKILL):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


class Watcher:
    """A client of the broker that keeps what it hears."""

    def __init__(self, port, topic, version=paho.MQTTv5):
        self.messages = []
        ready = threading.Event()
        self.client = paho.Client(protocol=version)
        self.client.on_connect = lambda c, *_: c.subscribe(topic, 1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _c, _u, m: self.messages.append(m)
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        check(ready.wait(PATIENCE_S), "the watching client cannot subscribe")

    def publish(self, topic, payload, retain=False):
        self.client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE_S)

    def wait(self, count, seconds=PATIENCE_S):
        wait_for(lambda: len(self.messages) >= count, seconds, f"{count} messages")
        return self.messages

    def states(self):
        return [json.loads(m.payload) for m in self.messages if m.topic == BASE + "/state"]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Uplink:
    def __init__(self, directory, port, host="127.0.0.1", tls=None, window=100, prefix=(), more=""):
        self.log_path = os.path.join(directory, "uplink.log")
        config = os.path.join(directory, "vitalgate.yaml")
        text = (f"version: 1\norg: demo\nsite: village\ngateway: gw-0001\n"
                f"paths:\n  runtime: {directory}\n  store: {directory}\n"
                f"sinks:\n  - name: platform\n    host: {host}\n    port: {port}\n"
                f"    keepalive_s: {KEEPALIVE_S}\n    window: {window}\n{more}")
        if tls:
            text += "    tls:\n" + "".join(f"      {k}: {v}\n" for k, v in tls.items())
        with open(config, "w", encoding="utf-8") as f:
            f.write(text)
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([*prefix, BINARY, "--config", config, "-v"], stderr=log)
        log.close()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, number=signal.SIGTERM):
        """Seconds that it took to end."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the uplink does not end") from None
        return time.monotonic() - start

    def alive(self):
        return self.process.poll() is None

    def memory_kib(self, what="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(what))


# ---- a broker that misbehaves on order ----

def text16(data):
    return struct.pack(">H", len(data)) + data


def varint(n):
    out = b""
    while True:
        n, byte = n >> 7, n & 127
        out += bytes([byte | (128 if n else 0)])
        if not n:
            return out


def mqtt_packet(kind, body):
    return bytes([kind]) + varint(len(body)) + body


class FakeBroker:
    """Speaks just enough MQTT 5 and 3.1.1; subclasses say what it does wrong."""

    properties = b""  # of the MQTT 5 CONNACK
    suback = 1

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connects = []  # (protocol level, client id)
        self.published = []  # (packet id, topic, payload, flags)
        self.acked = []
        self.socket = None
        self.closing = False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.closing:
            try:
                self.socket = self.listener.accept()[0]
            except OSError:
                return
            try:
                while self.one():
                    pass
            except OSError:
                pass
            self.socket.close()

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def send(self, data):
        with self.lock:
            self.socket.sendall(data)

    def one(self):
        """One packet; False ends the connection."""
        first, n, shift = self.read(1)[0], 0, 0
        while True:
            byte = self.read(1)[0]
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        body = self.read(n)
        kind = first & 0xF0
        if kind == 0x10:
            self.v5 = body[6] == 5
            at = 10 + (1 + body[10] if self.v5 else 0)
            size = struct.unpack_from(">H", body, at)[0]
            self.connects.append((body[6], body[at + 2:at + 2 + size].decode()))
            return self.on_connect()
        if kind == 0x80:
            self.on_subscribe(body[:2])
        if kind == 0x30:
            size = struct.unpack_from(">H", body)[0]
            at = 2 + size
            pid = struct.unpack_from(">H", body, at)[0]
            at += 2
            if self.v5:
                at += 1 + body[at]
            topic = body[2:2 + size].decode()
            self.published.append((pid, topic, body[at:], first & 15))
            return self.on_publish(pid, topic) is not False
        if kind == 0xC0:
            self.send(b"\xd0\0")
        return kind != 0xE0

    def on_connect(self):
        self.connack(0)
        return True

    def connack(self, code):
        body = bytes([0, code])
        if self.v5:
            body += varint(len(self.properties)) + self.properties
        self.send(mqtt_packet(0x20, body))

    def on_subscribe(self, pid):
        self.send(mqtt_packet(0x90, pid + (b"\0" if self.v5 else b"") + bytes([self.suback])))

    def on_publish(self, pid, topic):
        self.puback(pid)

    def puback(self, pid, code=0):
        self.acked.append(pid)
        body = struct.pack(">H", pid) + (bytes([code]) if code and self.v5 else b"")
        self.send(mqtt_packet(0x40, body))

    def close(self):
        self.closing = True
        for s in (self.listener, self.socket):
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()


class Bench:
    """One test's processes, all ended by close()."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="vg-uplink-")
        self.core = Core(self.directory)
        self.things, self.processes, self.up = [], [], None

    def mosquitto(self, **options):
        self.broker = Mosquitto(self.directory, **options)
        return self.broker

    def fake(self, kind=FakeBroker):
        self.things.append(kind())
        return self.things[-1]

    def watch(self, topic=BASE + "/#", port=None, **options):
        self.things.append(Watcher(port or self.broker.port, topic, **options))
        return self.things[-1]

    def uplink(self, port=None, **options):
        self.up = Uplink(self.directory, port or self.broker.port, **options)
        return self.up

    def connected(self, port=None, **options):
        """An uplink that is up."""
        self.uplink(port, **options)
        check(self.core.accept().topic == "platform", "HELLO names the sink")
        self.core.wait(UP)
        return self.core

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        for thing in self.things:
            thing.close()
        if self.up and self.up.alive():
            self.up.stop(signal.SIGKILL)
        if getattr(self, "broker", None):
            self.broker.stop()
        self.core.close()
        self.core.listener.close()
        shutil.rmtree(self.directory)


# ---- the tests ----

def test_hello_up_publish_sent(b):
    b.mosquitto()
    watcher = b.watch()
    core = b.connected()
    watcher.publish(BASE + "/down/cmd", b"{}")  # subscribed before UP
    core.expect(MESSAGE)
    core.publish(7, "up/reading", b'{"x":1}')
    packet = core.expect(SENT)
    check(packet.tag == 7, "tag of SENT")
    message = [m for m in watcher.wait(3) if m.topic.endswith("/up/reading")][0]
    check(message.payload == b'{"x":1}' and message.qos == 1, "the message as it was given")
    check(message.properties.ContentType == "application/json", "content type")
    state = watcher.states()
    check(len(state) == 1 and state[0]["online"] is True, f"online state, got {state}")
    check(state[0]["gateway"] == "gw-0001" and state[0]["since"].endswith("Z"), "state's fields")


def test_retain_flag(b):
    b.mosquitto()
    core = b.connected()
    core.publish(1, "up/kept", b"k", RETAIN)
    core.publish(2, "up/gone", b"g")
    check([core.expect(SENT).tag for _ in range(2)] == [1, 2], "two SENT")
    late = b.watch(BASE + "/up/#")
    late.wait(1)
    time.sleep(0.2)  # and no more come
    check([m.topic for m in late.messages] == [BASE + "/up/kept"], "only the retained one is kept")


def test_messages_in_order(b):
    b.mosquitto()
    watcher = b.watch()
    watcher.publish(BASE + "/down/cmd", b"stored", retain=True)
    core = b.connected()
    for i in range(3000):  # more than the link's socket holds
        topic = "ack" if i % 3 else "cmd"
        watcher.client.publish(f"{BASE}/down/{topic}", b"%d" % i, 1)
    watcher.publish("elsewhere", b"")
    for i in range(3000):
        packet = core.expect(MESSAGE)
        check(packet.payload == b"%d" % i, f"message {i}, got {packet}")
        check(packet.topic == ("down/ack" if i % 3 else "down/cmd"), "topic without the base")
    big = b"x" * (PACKET_MAX - HEAD.size - len("down/ack"))
    watcher.publish(BASE + "/down/ack", big)
    check(core.expect(MESSAGE).payload == big, "the longest message")
    watcher.publish(BASE + "/down/ack", big + b"y")
    watcher.publish(BASE + "/down/ack", b"z" * (PACKET_MAX + 1))
    watcher.publish(BASE + "/down/" + "l" * 70, b"long topic")
    watcher.publish(BASE + "/down/ack", b"after")
    check(core.expect(MESSAGE).payload == b"after", "too long ones are dropped, no more")
    wait_for(lambda: "dropped" in b.up.log(), PATIENCE_S, "a word about it in the log")


def test_rate(b):
    """Naps of paho would be a thousand a second at most. The best of some, for others may be at work here."""
    b.mosquitto(extra="max_inflight_messages 100\n")  # its Receive Maximum
    core = b.connected(window=100)
    best = 0
    for _ in range(5):
        best = max(best, rate_of(core))
        if best > 3000:
            break
    check(best > 1500, f"only {best:.0f}/s")


def rate_of(core):
    total, payload = 20000, b"p" * 500
    packets = [core.packet(i, "up/reading", payload) for i in range(total)]
    core.peer.setblocking(False)
    poller = select.poll()
    sent, got, start = 0, [], time.monotonic()
    while len(got) < total:
        poller.register(core.peer, select.POLLIN | (select.POLLOUT if sent < total else 0))
        check(poller.poll(1000 * PATIENCE_S), f"stalls after {len(got)}")
        try:
            while sent < total:
                core.peer.send(packets[sent])
                sent += 1
        except BlockingIOError:
            pass
        try:
            while True:
                got.append(Packet(core.peer.recv(PACKET_MAX)))
        except BlockingIOError:
            pass
    rate = total / (time.monotonic() - start)
    print(f"# {rate:.0f} publishes a second of 500 bytes, window 100, this test on the same cores")
    check({p.type for p in got} == {SENT}, "nothing but SENT")
    check([p.tag for p in got] == list(range(total)), "for all, in order")
    return rate


def test_bad_packets(b):
    b.mosquitto()
    core = b.connected()
    core.raw(b"short")
    core.raw(core.packet(1, "up/x", b"", version=9))
    core.raw(HEAD.pack(1, PUBLISH, 0, 0, 2, 65, 0) + b"t" * 65)
    core.raw(HEAD.pack(1, PUBLISH, 0, 0, 2, 60, 0) + b"t")
    core.raw(core.packet(3, "up/x", b"", kind=SENT))
    core.raw(core.packet(3, "up/x", b"", kind=99))
    core.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    core.raw(core.packet(4, "up/x", b"x" * PACKET_MAX))
    for tag, topic in enumerate(("up/+", "#", "", "up/\0", "up/a b"), 10):
        core.publish(tag, topic, b"poison")
        packet = core.expect(FAILED)
        check(packet.tag == tag and b"topic" in packet.payload, f"refused, got {packet}")
    watcher = b.watch(BASE + "/up/#")
    longest = b"x" * (PACKET_MAX - HEAD.size - 4)
    core.publish(20, "up/x", longest)
    check(core.expect(SENT).tag == 20, "still working")
    check(watcher.wait(1)[0].payload == longest, "the longest packet arrives whole")
    check("7 so far" not in b.up.log() and "malformed packet" in b.up.log(), "logged, not flooded")


def test_core_restart(b):
    broker = b.mosquitto()
    watcher = b.watch()
    core = b.connected()
    broker.process.send_signal(signal.SIGSTOP)
    for tag in range(10):
        core.publish(tag, "up/reading", b"in flight")
    time.sleep(0.1)
    core.close(listener=True)
    time.sleep(0.3)
    core.listen()
    core.accept()
    core.expect(UP)
    broker.process.send_signal(signal.SIGCONT)
    check(core.receive(0.3) is None, "nothing of the former core's is reported to the new one")
    core.publish(99, "up/reading", b"new")
    check(core.expect(SENT).tag == 99, "works on")
    check([s["online"] for s in watcher.states()] == [True], "the broker connection stayed")


def test_broker_killed(b):
    broker = b.mosquitto()
    core = b.connected()
    core.publish(1, "up/reading", b"1")
    core.expect(SENT)
    start = time.monotonic()
    broker.stop(signal.SIGKILL)
    check(b"lost" in core.expect(DOWN).payload, "the reason")
    down_s = time.monotonic() - start
    core.publish(2, "up/reading", b"stale")  # the core has not read DOWN yet
    check(core.expect(DOWN).payload.startswith(b"cannot connect"), "the next reason")
    start = time.monotonic()
    broker.start()
    watcher = b.watch()
    core.expect(UP)
    up_s = time.monotonic() - start
    print(f"# DOWN {down_s * 1000:.0f} ms after the kill, UP {up_s:.1f} s after the restart")
    core.publish(3, "up/reading", b"3")
    check(core.expect(SENT).tag == 3, "works on")
    readings = [m.payload for m in watcher.wait(2) if m.topic.endswith("reading")]
    check(readings == [b"3"], f"what came while down is not sent, got {readings}")


def test_will(b):
    b.mosquitto()
    watcher = b.watch(BASE + "/state")
    b.connected()
    watcher.wait(1)
    b.up.stop(signal.SIGKILL)
    watcher.wait(2)
    check(watcher.states()[1] == {"v": 1, "gateway": "gw-0001", "online": False}, "the will")
    late = b.watch(BASE + "/state")
    check(not json.loads(late.wait(1)[0].payload)["online"], "the will is retained")


def test_nobody_listens(b):
    b.uplink(free_port())
    core = b.core
    core.accept()
    check(b"cannot connect" in core.expect(DOWN).payload, "told why")
    check(core.receive(2) is None, "told once")
    check(b.up.stop() < ENDS_S and b.up.process.returncode == 0, "ends")


def test_sigterm(b):
    broker = b.mosquitto()
    watcher = b.watch()
    core = b.connected()
    took = b.up.stop()
    check(took < ENDS_S and b.up.process.returncode == 0, f"ended after {took:.1f} s")
    check(core.expect(DOWN).payload == b"stopping", "the core is told")
    wait_for(lambda: len(watcher.states()) == 2, PATIENCE_S, "offline state")
    check(watcher.states()[1]["online"] is False, "offline state")
    core.close()
    core = b.connected()
    broker.process.send_signal(signal.SIGSTOP)
    took = b.up.stop()
    check(took < ENDS_S and b.up.process.returncode == 0, f"frozen broker: ended after {took:.1f} s")


def make_certificates(directory):
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca in ("ca", "other"):
        openssl("req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-days", "2",
                "-subj", f"/CN=test {ca}")
    for name, san in (("server", "DNS:localhost"), ("elsewhere", "DNS:elsewhere.example"),
                      ("client", "DNS:gw-0001")):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")
        with open(os.path.join(directory, f"{name}.ext"), "w", encoding="ascii") as f:
            f.write(f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def tls_options(directory, **changes):
    names = {"ca": "ca.crt", "cert": "client.crt", "key": "client.key", **changes}
    return {k: os.path.join(directory, v) for k, v in names.items()}


def tls_listener(directory, name):
    return (f"cafile {directory}/ca.crt\ncertfile {directory}/{name}.crt\n"
            f"keyfile {directory}/{name}.key\nrequire_certificate true\n")


def refused(b, port, word, **options):
    """Starts an uplink that must not get up."""
    b.uplink(port, host="localhost", **options)
    b.core.accept()
    reason = b.core.expect(DOWN).payload.decode()
    check(word in reason, f"reason {reason}")
    more = b.core.receive(0.3)
    check(more is None or more.type == DOWN, f"not up, but {more}")
    b.up.stop()
    b.core.close()


def test_tls(b):
    make_certificates(b.directory)
    broker = b.mosquitto(extra=tls_listener(b.directory, "server"))
    core = b.connected(host="localhost", tls=tls_options(b.directory))
    core.publish(1, "up/reading", b"secret")
    core.expect(SENT)
    check("over TLS" in b.up.log(), "log says TLS")
    b.up.stop()
    core.close()
    refused(b, broker.port, "certificate verify failed",
            tls=tls_options(b.directory, ca="other.crt"))
    refused(b, broker.port, "", tls={"ca": os.path.join(b.directory, "ca.crt")})
    refused(b, broker.port, "No such file", tls=tls_options(b.directory, cert="none.crt"))
    os.chmod(os.path.join(b.directory, "client.key"), 0o644)
    refused(b, broker.port, "everybody can read", tls=tls_options(b.directory))
    os.chmod(os.path.join(b.directory, "client.key"), 0o600)
    wrong = Mosquitto(b.directory, extra=tls_listener(b.directory, "elsewhere"))
    try:
        refused(b, wrong.port, "another name", tls=tls_options(b.directory))
    finally:
        wrong.stop()


def test_old_tls(b):
    make_certificates(b.directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(os.path.join(b.directory, "server.crt"),
                            os.path.join(b.directory, "server.key"))
    shaken = []

    class Old(FakeBroker):
        def serve(self):
            while not self.closing:
                try:
                    self.socket = self.listener.accept()[0]
                    shaken.append(context.wrap_socket(self.socket, server_side=True).version())
                except OSError:
                    pass

    old = b.fake(Old)
    client = ssl.create_default_context(cafile=os.path.join(b.directory, "ca.crt"))
    client.minimum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("localhost", old.port)) as s:
        with client.wrap_socket(s, server_hostname="localhost") as t:
            check(t.version() == "TLSv1.1", "the server really speaks TLS 1.1")
    refused(b, old.port, "TLS", tls={"ca": os.path.join(b.directory, "ca.crt")})
    check(shaken == ["TLSv1.1"], "no second handshake")


def test_password(b):
    path = os.path.join(b.directory, "password")
    passwd = os.path.join(b.directory, "passwd")
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwd, "gw", "right"], check=True,
                   capture_output=True)
    os.chmod(passwd, 0o644)
    more = f"    user: gw\n    password_file: {path}\n"
    for word in ("wrong", "right"):
        with open(path, "w", encoding="ascii") as f:
            f.write(word + "\n")
        os.chmod(path, 0o600)
        if word == "wrong":
            b.mosquitto(extra=f"allow_anonymous false\npassword_file {passwd}\n")
            b.uplink(more=more)
            b.core.accept()
            reason = b.core.expect(DOWN).payload
            check(b"uthor" in reason or b"assword" in reason, f"reason {reason}")
    b.core.expect(UP)  # the changed file is read at the next attempt


def test_only_acknowledged_is_sent(b):
    class Half(FakeBroker):
        def on_publish(self, pid, topic):
            if topic.endswith("state"):
                return self.puback(pid)
            if pid % 2:
                self.puback(pid)
            self.send(mqtt_packet(0x40, struct.pack(">H", pid + 1000)))  # nobody's
            if len(self.published) > 40:
                self.socket.shutdown(socket.SHUT_WR)  # what was acknowledged is read, and then the end
                while self.socket.recv(65536):
                    pass
                return False
            return None

    broker = b.fake(Half)
    core = b.connected(broker.port)
    for tag in range(100, 200):
        core.publish(tag, "up/reading", b"%d" % tag)
    tags, packet = [], None
    while not packet or packet.type == SENT:
        packet = core.receive(PATIENCE_S)
        check(packet, "SENT or DOWN")
        if packet.type == SENT:
            tags.append(packet.tag)
    check(packet.type == DOWN, f"DOWN after the cut, got {packet}")
    given = {pid: int(payload) for pid, topic, payload, _ in broker.published
             if not topic.endswith("state")}
    wanted = [given[pid] for pid in broker.acked if pid in given]
    check(tags == wanted, f"SENT {tags}, acknowledged {wanted}")
    core.expect(UP)
    check(core.receive(0.5) is None, "nothing is reported after the loss")


def test_late_and_refused(b):
    class Late(FakeBroker):
        def on_publish(self, pid, topic):
            if topic.endswith("late"):
                self.late = pid
                return
            self.puback(pid, 0x87 if topic.endswith("refused") else 0x10)
            if topic.endswith("nobody"):
                self.puback(self.late)

    core = b.connected(b.fake(Late).port)
    core.publish(1, "up/late", b"")
    core.publish(2, "up/refused", b"")
    core.publish(3, "up/nobody", b"")
    packet = core.expect(FAILED)
    check(packet.tag == 2 and b"uthor" in packet.payload, f"refused, got {packet}")
    check(core.expect(SENT).tag == 3, "no subscriber is no failure")
    check(core.expect(SENT).tag == 1, "the late one")


def test_no_puback(b):
    class Mute(FakeBroker):
        def on_publish(self, pid, topic):
            if len(self.connects) > 1:
                self.puback(pid)

    broker = b.fake(Mute)
    core = b.connected(broker.port, window=5)
    start = time.monotonic()
    core.publish(1, "up/reading", b"first")
    core.peer.setblocking(False)
    taken = 1
    try:
        while taken < 100000:
            core.peer.send(core.packet(100 + taken, "up/reading", b"x" * 1000))
            taken += 1
    except BlockingIOError:
        pass
    check(taken < 1000, f"back-pressure, not {taken} messages taken")
    check(len(broker.published) <= 5, f"{len(broker.published)} in flight, window 5")
    check(b"no acknowledgement" in core.expect(DOWN).payload, "the reason")
    took = time.monotonic() - start
    check(KEEPALIVE_S < took < PATIENCE_S, f"after {took:.1f} s")
    core.wait(UP)
    core.publish(9, "up/reading", b"again")
    check(core.expect(SENT).tag == 9, "works on")


def test_no_suback(b):
    class Mute(FakeBroker):
        def on_subscribe(self, pid):
            pass

    b.uplink(b.fake(Mute).port)
    b.core.accept()
    check(b"no acknowledgement" in b.core.expect(DOWN).payload, "never up without it")


def test_receive_maximum(b):
    class Narrow(FakeBroker):
        # Receive Maximum 2, Maximum Packet Size 200, Retain Available 0
        properties = b"\x21\0\x02" + b"\x27\0\0\0\xc8" + b"\x25\0"
        outstanding = most = 0
        acked_at, gaps = None, ()

        def on_publish(self, pid, topic):
            if self.acked_at:
                self.gaps += (time.monotonic() - self.acked_at,)
            self.outstanding += 1
            self.most = max(self.most, self.outstanding)
            threading.Timer(0.01, self.later, (pid,)).start()

        def later(self, pid):
            self.outstanding -= 1
            self.acked_at = time.monotonic()
            self.puback(pid)

    broker = b.fake(Narrow)
    core = b.connected(broker.port)
    for tag in range(60):
        core.publish(tag, "up/reading", b"x", RETAIN)
    # two timers of the broker may fire in either order
    check(sorted(core.expect(SENT).tag for _ in range(60)) == list(range(60)), "all SENT")
    check(broker.most <= 2, f"{broker.most} in flight")
    gaps = sorted(broker.gaps)  # from an acknowledgement to the next publish; most of them
    check(gaps[len(gaps) // 2] < 0.1, f"without paho's naps of up to a second: {gaps}")
    check(not any(flags & 1 for *_, flags in broker.published), "nothing retained")
    core.publish(70, "up/reading", b"x" * 200)
    packet = core.expect(FAILED)
    check(packet.tag == 70 and b"limit" in packet.payload, f"too long, got {packet}")


def test_web_proxy(b):
    """paho obeys http_proxy, even an empty one; the broker that was configured is meant."""
    b.mosquitto()
    for proxy in ("http_proxy=", "http_proxy=http://127.0.0.1:9"):
        core = b.connected(prefix=("env", proxy))
        core.publish(1, "up/reading", b"{}")
        check(core.expect(SENT).tag == 1, f"sent with {proxy}")
        b.up.stop()


def test_version_fallback(b):
    class Old(FakeBroker):
        def on_connect(self):
            self.connack(1 if self.v5 else 0)
            return not self.v5

        def on_publish(self, pid, topic):
            self.puback(pid)
            if topic.endswith("reading"):
                for first, text in ((0x31, b"stored"), (0x30, b"live")):
                    topic = f"{BASE}/down/cmd".encode()
                    self.send(mqtt_packet(first, text16(topic) + text))

    class HangsUp(FakeBroker):
        def on_connect(self):
            if not self.v5:
                self.connack(0)
            return not self.v5

    for kind in (Old, HangsUp):
        broker = b.fake(kind)
        start = time.monotonic()
        core = b.connected(broker.port)
        print(f"# {kind.__name__}: up with 3.1.1 after {time.monotonic() - start:.1f} s")
        check([level for level, _ in broker.connects] == [5, 4], f"{broker.connects}")
        check(broker.connects[1][1] == "vg-gw-0001", "client id")
        core.publish(1, "up/reading", b"x")
        check(core.expect(SENT).tag == 1, "works")
        if kind is Old:
            check(core.expect(MESSAGE).payload == b"live", "a stored command is no command")
        b.up.stop()
        core.close()


def test_refusals(b):
    class NoSubscription(FakeBroker):
        suback = 0x87

    class OnlyQos0(FakeBroker):
        properties = b"\x24\0"

    class NotAuthorised(FakeBroker):
        def on_connect(self):
            self.connack(0x87)
            return False

    for kind, word in ((NoSubscription, b"subscription"), (OnlyQos0, b"QoS 0"),
                       (NotAuthorised, b"uthor")):
        broker = b.fake(kind)
        b.uplink(broker.port)
        b.core.accept()
        reason = b.core.expect(DOWN).payload
        check(word in reason, f"reason {reason}")
        b.up.stop()
        b.core.close()


def test_taken_over(b):
    class Thief(FakeBroker):
        def on_subscribe(self, pid):
            super().on_subscribe(pid)
            time.sleep(0.05)
            self.send(b"\xe0\x02\x8e\0")

    broker = b.fake(Thief)
    b.uplink(broker.port)
    b.core.accept()
    for _ in range(3):
        b.core.expect(UP)
        reason = b.core.expect(DOWN).payload
        check(b"aken over" in reason, f"reason {reason}")
    check(b.core.receive(3.5) is None, "waits much longer now")
    check("another machine" in b.up.log(), "says so")
    check(b.up.stop() < ENDS_S, "ends while it waits")


def test_garbage(b):
    class Liar(FakeBroker):
        junk = [b"\x90\x7f" + b"\xff" * 127, b"\x30\x02\xff\xff", b"\x40\x00",
                b"\x30\xff\xff\xff\xff", b"\x20\x02\0\0", b"\xf0\x10" + bytes(16),
                b"\x32\x06\0\x09abcd", os.urandom(400)]
        chosen = b""

        def on_subscribe(self, pid):
            super().on_subscribe(pid)
            time.sleep(0.02)
            self.send(self.chosen)
            time.sleep(0.05)
            self.socket.shutdown(socket.SHUT_RDWR)

    broker = b.fake(Liar)
    for broker.chosen in Liar.junk:
        b.uplink(broker.port)
        b.core.accept()
        b.core.wait(DOWN)
        check(b.up.alive(), "survives")
        took = b.up.stop()
        check(took < ENDS_S and b.up.process.returncode == 0, f"status {b.up.process.returncode}")
        b.core.close()


def test_huge_packet(b):
    class Huge(FakeBroker):
        def on_subscribe(self, pid):
            super().on_subscribe(pid)
            self.send(b"\x30\xff\xff\xff\x7f\0\x04abcd")  # 256 MB are announced
            for _ in range(256):
                self.send(bytes(1 << 20))

    b.uplink(b.fake(Huge).port)
    b.core.accept()
    b.core.wait(DOWN)
    peak = b.up.memory_kib("VmHWM")
    check(b.up.alive(), "lives")
    check(peak < 40000 or sanitized(), f"took {peak} KiB")


def test_core_does_not_read(b):
    b.mosquitto()
    core = b.connected()
    watcher = b.watch("nothing")
    before = b.up.memory_kib()
    for i in range(2000):
        watcher.client.publish(BASE + "/down/ack", b"%04d" % i + b"x" * 10000, 1)
    watcher.publish("nothing", b"")
    sizes = [before]
    while sizes[-1] - before < 1000 or len(set(sizes[-4:])) > 1:  # until it has taken what it takes
        check(len(sizes) < 4 * PATIENCE_S, f"KiB: {sizes}")
        time.sleep(0.25)
        sizes.append(b.up.memory_kib())
    grown = sizes[-1] - before
    print(f"# 20 MB unread: grew by {grown} KiB")
    check(grown < 16000 or sanitized(), f"grew by {grown} KiB")
    b.broker.stop()
    numbers, packet = [], core.receive(PATIENCE_S)
    while packet and packet.type == MESSAGE:
        numbers.append(int(packet.payload[:4]))
        packet = core.receive(PATIENCE_S)
    check(packet and packet.type == DOWN, f"DOWN after them, got {packet}")
    check(100 < len(numbers) < 1500 and numbers == sorted(numbers), f"{len(numbers)}, in order")
    wait_for(lambda: "dropped" in b.up.log(), PATIENCE_S, "a word about the others in the log")
    b.broker.start()
    core.wait(UP)
    core.publish(1, "up/reading", b"x")
    check(core.expect(SENT).tag == 1, "works on")


def test_dead_name_server(b):
    trial = subprocess.run(["unshare", "-m", "true"], capture_output=True)
    if trial.returncode:
        return "unshare -m is not allowed here"
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    b.things.append(silent)
    try:
        silent.bind(("127.0.0.53", 53))
    except OSError:
        return "port 53 of 127.0.0.53 is not ours to take"
    for name, text in (("resolv.conf", "nameserver 127.0.0.53\n"),
                       ("hosts", "127.0.0.1 localhost\n"), ("nsswitch.conf", "hosts: files dns\n")):
        with open(os.path.join(b.directory, name), "w", encoding="ascii") as f:
            f.write(text)
    script = "".join(f"mount --bind '{b.directory}/{name}' /etc/{name} && "
                     for name in ("resolv.conf", "hosts", "nsswitch.conf")) + 'exec "$@"'
    b.uplink(1883, host="broker.example", prefix=("unshare", "-m", "sh", "-c", script, "sh"))
    b.core.accept()
    silent.settimeout(PATIENCE_S)
    check(silent.recv(512), "it asks the name server")
    b.core.close()
    b.core.accept()  # the main thread lives while paho waits
    took = b.up.stop()
    check(took < ENDS_S and b.up.process.returncode == 0, f"ended after {took:.1f} s")
    return None


def test_simulated_platform(b):
    b.mosquitto()
    core = b.connected()
    ledger, control = (os.path.join(b.directory, n) for n in ("ledger", "control"))
    item = {"id": "0123456789abcdef" * 2, "revision": 1, "seq": 1, "value": "6.10"}

    def start(*more):
        process = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "tests/sim/health_platform.py"), "--port",
             str(b.broker.port), "--base", BASE, "--ledger", ledger, "--control", control, *more])
        b.processes.append(process)
        return process

    def events():
        return read_ledger(ledger)  # its last line may be half written

    def ask(*items, key="readings", topic="up/reading"):
        envelope = {"v": 1, "gateway": "gw-0001", "epoch": "e", "test": False, key: items}
        core.publish(1, topic, json.dumps(envelope).encode())
        while True:  # a platform that was killed may answer once more what it answered before
            receipts = json.loads(core.wait(MESSAGE).payload)["receipts"]
            if [r["id"] for r in receipts] == [i["id"] for i in items]:
                return receipts

    process = start()
    wait_for(lambda: events(), PATIENCE_S, "the gateway's state in the ledger")
    check(events()[0]["event"] == "state" and events()[0]["object"]["online"], "state")
    receipt = {"id": item["id"], "revision": 1, "result": "accepted", "reason": ""}
    check(ask(item) == [receipt], "accepted")
    process.kill()
    process.wait()
    process = start("--reject-kind", "event")
    check(ask({**item, "seq": 9}) == [receipt], "again, after kill -9 and a restart")
    results = [r["result"] for r in ask({**item, "value": "6.2"}, {**item, "revision": 2})]
    check(results == ["rejected", "accepted"], f"conflict and amendment, got {results}")
    check(ask({**item, "id": "0" * 32}, key="events", topic="up/event")[0]["reason"] == "simulated",
          "rejected on purpose")
    check(ask({**item, "id": "1" * 32, "seq": None})[0]["result"] == "rejected", "no seq")
    command = {"v": 1, "id": "c-1", "cmd": "ack", "args": {"alert": "x"}, "by": "D-0001"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(json.dumps(command).encode(), control)
    check(json.loads(core.wait(MESSAGE).payload) == command, "the command arrives")
    core.publish(2, "up/reply", b'{"v":1,"id":"c-1","ok":true}')
    wait_for(lambda: events()[-1]["event"] == "reply", PATIENCE_S, "the reply in the ledger")
    names = [e["event"] for e in events() if e["event"] != "state"]
    while names[1:3] == ["duplicate"] * 2:
        del names[1]
    check(names == ["stored", "duplicate", "conflict", "stored", "rejected", "rejected", "command",
                    "reply"], f"ledger: {names}")
    process.terminate()
    check(process.wait(PATIENCE_S) == 0, "ends")


def test_configuration_errors(b):
    config = os.path.join(b.directory, "none.yaml")
    done = subprocess.run([BINARY, "--config", config], capture_output=True, timeout=PATIENCE_S)
    check(done.returncode == 1 and done.stderr, "no file")
    done = subprocess.run([BINARY, "--nonsense"], capture_output=True, timeout=PATIENCE_S)
    check(done.returncode == 2 and b"usage" in done.stderr, "usage")
    b.uplink(1)
    b.core.accept()
    b.up.stop()
    config = os.path.join(b.directory, "vitalgate.yaml")
    done = subprocess.run([BINARY, "--config", config, "--sink", "other"], capture_output=True,
                          timeout=PATIENCE_S)
    check(done.returncode == 1 and b"no such sink" in done.stderr, "unknown sink")


def main():
    warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is old, that is the point
    words = sys.argv[1:]
    tests = [(name[5:].replace("_", " "), function) for name, function in list(globals().items())
             if name.startswith("test_")]
    tests = [t for t in tests if not words or any(w in t[0] for w in words)]
    bad = 0
    for number, (name, function) in enumerate(tests, 1):
        if not shutil.which("mosquitto") or not shutil.which("openssl"):
            print(f"ok {number} - {name} # SKIP mosquitto or openssl is missing")
            continue
        b, start, skip, error = Bench(), time.monotonic(), None, None
        try:
            skip = function(b)
        except Exception as e:
            error = f"{type(e).__name__}: {e}"
        if error is None and b.up and b.up.process.poll() not in (None, 0, -signal.SIGKILL):
            error = f"the uplink ended with {b.up.process.returncode}"
        if error:
            bad += 1
            print(f"not ok {number} - {name}\n# {error}")
            if b.up:
                print("# " + "\n# ".join(b.up.log().splitlines()[-20:]))
        else:
            note = f" # SKIP {skip}" if skip else f" # {time.monotonic() - start:.1f} s"
            print(f"ok {number} - {name}{note}", flush=True)
        b.close()
    print(f"1..{len(tests)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
