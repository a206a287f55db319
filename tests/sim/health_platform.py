#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated regional health platform: takes what a gateway publishes, keeps it, sends receipts.

Its ledger is its whole memory: what is in there was fsynced before the receipt went out, and a
platform that was killed reads it again at its start. One JSON object per line, one write() each:

    t         CLOCK_BOOTTIME in seconds
    event     stored     a new (id, revision); object: as it came
              duplicate  one that is stored already, with the same content; receipt: accepted
              conflict   one that is stored already, with other content; must never happen
              rejected   refused on purpose (--reject, --reject-kind) or because it is not valid
              retry      put off on purpose (--retry)
              invalid    a message that is no envelope; nothing can be answered
              state      the gateway's retained state; object: as it came
              reply      a gateway's answer to a command; object: as it came
              command    sent to the gateway; object: as it went
    topic     below the base
    id, revision, seq, object, reason   where the event has them

Envelopes and receipts: README "What the platform gets". ECG studies and their chunks go to the
centre of ecg_centre.py, which has events of its own. Other programs use class Platform: start(),
wait_ready(), command(), stop(); entries() and stored() read a ledger.

On the control socket: a command to publish, or {"faults": {..}} to change what the centre does
wrong.
"""
import argparse
import json
import os
import random
import re
import signal
import socket
import sys
import threading
import time

import paho.mqtt.client as paho

from ecg_centre import Centre, CentreFaults, Words, report_plan

LISTS = {"up/reading": "readings", "up/alert": "alerts", "up/followup": "followups",
         "up/event": "events"}
STUDIES, CHUNKS = "up/ecg", "up/ecg/chunk"
CENTRE_LISTS = {STUDIES: "studies", CHUNKS: "chunks"}
ID = re.compile(r"[0-9a-f]{32}\Z")


class Ledger:
    """Append-only list of what happened; fsynced by sync()."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self.fd).st_size
        if size and os.pread(self.fd, 1, size - 1) != b"\n":
            os.write(self.fd, b"\n")  # a power cut tore the last line
            os.fsync(self.fd)

    def write(self, event, **fields):
        line = {"t": round(time.clock_gettime(time.CLOCK_BOOTTIME), 6), "event": event, **fields}
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        if os.write(self.fd, data) != len(data):
            raise OSError("ledger: short write")

    def sync(self):
        os.fsync(self.fd)

    def close(self):
        os.close(self.fd)


def entries(path):
    """All whole lines of a ledger."""
    with open(path, "rb") as lines:     # as bytes: it may end in the middle of a character
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # torn, or not written to its end yet
            if isinstance(entry, dict):
                yield entry


def stored(path):
    """(id, revision) -> object."""
    return {(e["id"], e["revision"]): e["object"] for e in entries(path)
            if e["event"] == "stored"}


def content(item):
    """What must be the same each time: all but the sequence number, which is the sending's."""
    return json.dumps({k: v for k, v in item.items() if k != "seq"}, sort_keys=True)


class Faults:
    """What this platform does wrong on purpose; probabilities from 0 to 1."""

    def __init__(self, reject_kind=None, reject=0.0, retry=0.0, silent=False, drop_receipts=0.0,
                 delay=0.0, seed=1):
        self.reject_kind, self.reject, self.retry = reject_kind, reject, retry
        self.silent, self.drop_receipts, self.delay = silent, drop_receipts, delay
        self.dice = random.Random(seed)

    def refuse(self, item_id):
        """The same objects each time they come: a rejection is final."""
        return random.Random(item_id).random() < self.reject

    def put_off(self):
        return self.dice.random() < self.retry

    def lose_receipt(self):
        return self.silent or self.dice.random() < self.drop_receipts


class Platform:
    def __init__(self, base, ledger, faults=None, log=None, forbid=(), centre_faults=None,
                 reports=()):
        self.base, self.faults = base.rstrip("/"), faults or Faults()
        self.log = log or (lambda *words: None)
        self.forbidden = Words(forbid)
        self.ready = threading.Event()
        self.lock = threading.Lock()
        before = list(entries(ledger)) if os.path.exists(ledger) else []
        self.seen = {(e["id"], e["revision"]): content(e["object"]) for e in before
                     if e["event"] == "stored"}
        self.ledger = Ledger(ledger)
        self.centre = Centre(ledger + ".originals", self.ledger, before, centre_faults, reports,
                             self.command)
        gateway = self.base.rsplit("/", 1)[-1]
        self.client = paho.Client(f"platform-{gateway}", clean_session=False)
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._arrived
        self.client.max_inflight_messages_set(1000)
        self.client.max_queued_messages_set(0)
        self.client.reconnect_delay_set(1, 5)

    def start(self, host, port, tls=None):
        """tls: dict of ca, cert, key, or None. Returns at once, connects as often as needed."""
        if tls:
            self.client.tls_set(tls["ca"], tls.get("cert"), tls.get("key"))
        self.client.connect_async(host, port, 20)
        self.client.loop_start()

    def wait_ready(self, seconds=10):
        return self.ready.wait(seconds)

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()
        self.ledger.close()

    def command(self, command):
        """Publishes a command; its reply comes into the ledger."""
        with self.lock:
            self.ledger.write("command", topic="down/cmd", object=command)
            self.ledger.sync()
        return self.client.publish(f"{self.base}/down/cmd", json.dumps(command), 1)

    def _connected(self, client, _data, _flags, code):
        self.log("connected", code)
        if code == 0:
            client.subscribe([(f"{self.base}/up/#", 1), (f"{self.base}/state", 1)])

    def _arrived(self, client, _data, message):
        topic = message.topic[len(self.base) + 1:]
        self.log(topic, len(message.payload))
        if self.faults.delay:
            time.sleep(self.faults.delay)
        with self.lock:
            receipts = self.take(topic, message.payload)
            self.ledger.sync()
        if receipts and not self.faults.lose_receipt():
            answer = json.dumps({"v": 1, "receipts": receipts})
            client.publish(f"{self.base}/down/ack", answer, 1)

    def take(self, topic, payload):
        """Writes one message into the ledger; the receipts that it earns."""
        if self.forbidden.found(payload):
            self.ledger.write("forbidden", topic=topic, reason="a word that must not get out")
        try:
            envelope = json.loads(payload)
        except ValueError:
            envelope = None
        if topic in ("state", "up/reply") and isinstance(envelope, dict):
            self.ledger.write(topic.rsplit("/", 1)[-1], topic=topic, object=envelope)
            return []
        name = LISTS.get(topic, CENTRE_LISTS.get(topic))
        items = envelope.get(name) if isinstance(envelope, dict) else None
        if not isinstance(items, list) or envelope.get("v") != 1:
            self.ledger.write("invalid", topic=topic, object=repr(payload[:200]))
            return []
        gateway = self.base.rsplit("/", 1)[-1]
        if envelope.get("gateway") != gateway or not isinstance(envelope.get("epoch"), str) or \
                not isinstance(envelope.get("test", False), bool):
            self.ledger.write("invalid", topic=topic, object=envelope)
            return []
        if topic == CHUNKS:
            return [r for chunk in items for r in self.centre.take_chunk(chunk)]
        if topic == STUDIES:
            return [r for study in items
                    for r in self.centre.take_study(study, self.validate(study), content)]
        return [r for r in (self.take_item(topic, item) for item in items) if r]

    def take_item(self, topic, item):
        item_id, revision, reason = self.validate(item)
        kind = LISTS[topic][:-1]
        if reason:
            event, result = "rejected", "rejected"
        elif (item_id, revision) in self.seen:
            same = self.seen[item_id, revision] == content(item)
            event, result = ("duplicate", "accepted") if same else ("conflict", "rejected")
            reason = None if same else "stored with other content"
        elif kind == self.faults.reject_kind or self.faults.refuse(item_id):
            event, result, reason = "rejected", "rejected", "simulated"
        elif self.faults.put_off():
            event, result, reason = "retry", "retry", "simulated"
        else:
            event, result = "stored", "accepted"
            self.seen[item_id, revision] = content(item)
        fields = {"reason": reason} if reason else {}
        seq = item.get("seq") if isinstance(item, dict) else None
        self.ledger.write(event, topic=topic, id=item_id, revision=revision, seq=seq, object=item,
                          **fields)
        if item_id is None or revision is None:
            return None  # nothing that a receipt could name
        return {"id": item_id, "revision": revision, "result": result, "reason": reason or ""}

    @staticmethod
    def validate(item):
        """id and revision, None where unusable; what is wrong, or None."""
        if not isinstance(item, dict):
            return None, None, "not an object"
        item_id, revision, seq = item.get("id"), item.get("revision"), item.get("seq")
        if not isinstance(item_id, str) or not ID.match(item_id):
            return None, None, "id is not 32 hexadecimal digits"
        if type(revision) is not int or revision < 1:
            return item_id, None, "revision is not a whole number from 1"
        if type(seq) is not int:
            return item_id, revision, "seq is not a whole number"
        return item_id, revision, None


def listen(path):
    """Unix datagram socket for --control; a stale one is replaced."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(path)
    return control


def obey(platform_, control, log):
    """Commands from the control socket until SIGTERM."""
    while True:
        data = control.recv(1 << 20)
        try:
            command = json.loads(data)
        except ValueError:
            log("control: not JSON")
            continue
        if "faults" in command:
            with platform_.lock:
                platform_.centre.faults.change(command["faults"])
        else:
            platform_.command(command)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--base", required=True, help="vg/v1/<org>/<site>/<gateway>")
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--reject-kind", metavar="KIND", choices=[v[:-1] for v in LISTS.values()],
                        help="reject every reading, alert, followup or event")
    parser.add_argument("--reject", metavar="P", type=float, default=0.0,
                        help="share of objects that are rejected, always the same ones")
    parser.add_argument("--retry", metavar="P", type=float, default=0.0,
                        help="share of objects that are put off, each time anew")
    parser.add_argument("--silent", action="store_true", help="store, but send no receipts")
    parser.add_argument("--drop-receipts", metavar="P", type=float, default=0.0)
    parser.add_argument("--delay", metavar="S", type=float, default=0.0,
                        help="seconds before each message is looked at")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls-ca", metavar="FILE")
    parser.add_argument("--cert", metavar="FILE")
    parser.add_argument("--key", metavar="FILE")
    parser.add_argument("--control", metavar="PATH",
                        help="unix datagram socket that takes commands (JSON) to publish")
    parser.add_argument("--forbid", metavar="WORD", action="append", default=[],
                        help="must not stand in any payload; repeatable")
    parser.add_argument("--centre-faults", metavar="JSON", type=json.loads, default={},
                        help="as {\"faults\": ..} on the control socket: withhold, refuse, retry, "
                        "ask_at_once, drop_chunks, spoil_chunk")
    parser.add_argument("--report", metavar="S:STATUS:TEXT[:PHRASE]", action="append", default=[],
                        type=report_plan, help="of each study, S seconds after it is complete")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def main():
    a = arguments()

    def log(*words):
        if a.verbose:
            print("platform:", *words, file=sys.stderr, flush=True)

    def end(_number, _frame):
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    faults = Faults(a.reject_kind, a.reject, a.retry, a.silent, a.drop_receipts, a.delay, a.seed)
    platform_ = Platform(a.base, a.ledger, faults, log, a.forbid, CentreFaults(**a.centre_faults),
                         a.report)
    tls = {"ca": a.tls_ca, "cert": a.cert, "key": a.key} if a.tls_ca else None
    control = listen(a.control) if a.control else None
    platform_.start(a.host, a.port, tls)
    try:
        while not control:
            signal.pause()
        obey(platform_, control, log)
    finally:
        platform_.stop()
        if control:
            os.unlink(a.control)


if __name__ == "__main__":
    main()
