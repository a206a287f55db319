# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of ECG studies share: files of nobody, carts and boxes, and what the platform has."""
import binascii
import contextlib
import glob
import hashlib
import json
import os
import select
import sys
import time
import tty
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "sim")]
import scp_file  # noqa: E402
from harness import holds, same, wait_until  # noqa: E402
from test_e2e import drained, nothing_wrong  # noqa: E402

NAME, TYPED = "测试甲乙丙", "NOBODY-7741"       # must not get out
CHUNK = 8192


def sha(data):
    return hashlib.sha256(data).hexdigest()


def boot_of(text):
    """CLOCK_BOOTTIME of an instant in words."""
    ago = time.time() - datetime.fromisoformat(text).timestamp()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ago


# --- what all sites ask


def opened(site, *platform_options):
    for device in ("box-1", "box-2"):
        os.makedirs(site.path(device + ".box"), exist_ok=True)
    site.all("--forbid", NAME, "--forbid", TYPED, *platform_options)
    site.cli("import", site.roster())


def made(**study):
    """An SCP file of somebody who is not there."""
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 8 * 3600))
    return scp_file.make({"patient": "R-0001", "last_name": NAME, "time": when,
                          "samples": 800, **study})


def pdf():
    return b"%PDF-1.4\n1 0 obj<</Length 3000>>stream\n" + bytes(3000) + \
        b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def dicom():
    """Explicit little endian: modality and patient id, no waveform."""
    def element(group, number, kind, text):
        value = text.encode() + b" " * (len(text) % 2)
        return group.to_bytes(2, "little") + number.to_bytes(2, "little") + kind + \
            len(value).to_bytes(2, "little") + value
    return bytes(128) + b"DICM" + element(2, 0x10, b"UI", "1.2.840.10008.1.2.1") + \
        element(8, 0x60, b"CS", "ECG") + element(0x10, 0x10, b"PN", NAME) + \
        element(0x10, 0x20, b"LO", "R-0002")


def send(site, cart, **study):
    """The cart's file number, once the person is told that it was sent."""
    before = {e["key"] for e in site.events(cart, "measured")}
    site.control(cart, "record " + json.dumps({"last_name": NAME, **study}))
    new = wait_until(lambda: [e["key"] for e in site.events(cart, "measured")
                              if e["key"] not in before])
    holds(new, f"{cart} made nothing of {study}: {site.log(cart)}")
    holds(wait_until(lambda: [e for e in site.events(cart, "told") if e["key"] == new[0]], 180, 0.1),
          f"{cart} could not send {new[0]}: {site.ledger(cart)[-6:]}")
    return new[0]


def file_of(site, cart, key):
    record = next(e["record"] for e in site.events(cart, "measured") if e["key"] == key)
    with open(record["file"], "rb") as f:
        return f.read()


def dropped(site, name, data, device="box-1"):
    """A file in a spool directory, under its name at one stroke."""
    fresh = site.path(f"{name}.fresh")
    with open(fresh, "wb") as f:
        f.write(data)
    os.rename(fresh, site.path(f"{device}.box/{name}"))


def of_file(site, data, **want):
    return [s for s in site.studies(**want) if s["original"]["sha256"] == sha(data)]


def arrived(site, data, seconds=90, **want):
    """The platform's study of a file: one, with its original."""
    wait_until(lambda: any(site.original(s) for s in of_file(site, data, **want)), seconds)
    found = of_file(site, data, **want)
    same(len(found), 1, f"studies {want} of a file of {len(data)} bytes at the platform")
    same((found[0]["original"]["bytes"], sha(site.original(found[0]) or b"")),
         (len(data), sha(data)), "the original")
    return found[0]


def alerts(site, study=None, label=None):
    """Each once, the newest revision."""
    newest = {}
    for (name, revision), a in site.received("up/alert").items():
        if revision >= newest.get(name, a)["revision"]:
            newest[name] = a
    return [a for a in newest.values() if study in (None, a.get("study")) and
            (label is None or label in a["labels"])]


def rules_of(alert):
    return [r["id"] for r in alert["rules"]]


def silent_about(site):
    """Nothing that names a person, in payloads (the platform looks) and in logs."""
    same(site.events("platform", "forbidden"), [], "payloads with a name or an id")
    for path in glob.glob(site.path("*.log")):
        with open(path, "rb") as f:
            text = f.read()
        for word in (NAME.encode(), NAME.encode("gb2312"), TYPED.encode(),
                     json.dumps(NAME)[1:-1].encode()):
            holds(word not in text, f"{os.path.basename(path)} has {word!r}")


def all_right(site):
    drained(site)
    nothing_wrong(site)
    same(site.events("platform", "rejected", "mismatch"), [], "refused by the platform")
    silent_about(site)


# --- reports


def command(site, name, study, status, **more):
    """An ecg_report of the centre; its reply."""
    site.control("platform", json.dumps({
        "v": 1, "id": name, "cmd": "ecg_report", "by": "D-0009",
        "args": {"study": study["id"], "status": status, **more}}))
    replies = lambda: [e["object"] for e in site.events("platform", "reply")  # noqa: E731
                       if e["object"].get("id") == name]
    holds(wait_until(replies), f"no reply to {name}")
    return replies()[0]


def now_is(site, study, state, revisions, seconds=90):
    """The study's newest revision, once its report says so."""
    good = lambda: [s for s in site.studies(id=study["id"])  # noqa: E731
                    if (s["report"]["state"], len(s["report"].get("revisions", []))) ==
                    (state, revisions)]
    found = wait_until(good, seconds)
    holds(found, f"expected {state} with {revisions}: "
                 f"{[s['report'] for s in site.studies(id=study['id'])]}")
    return found[0]


def open_studies(site):
    return {s["id"]: s["state"] for s in site.cli("ecg", "--open")["studies"]}


# --- a sender whose every byte is ours

SOH, EOT, ACK, NAK, CAN, CALL = 1, 4, 6, 0x15, 0x18, 0x43


class Sender:
    """XMODEM with CRC on the line of a cart, block by block."""

    def __init__(self, site, cart):
        self.link = site.path(cart + ".tty")
        self.fd, slave = os.openpty()
        tty.setraw(slave)
        os.symlink(os.ttyname(slave), self.link)
        os.close(slave)
        self.heard = b""

    def hear(self, wanted, seconds):
        """The first byte that is one of `wanted`, None if there is none; `heard` has all."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], min(left, 0.1))[0]:
                continue
            byte = b""
            with contextlib.suppress(OSError):      # nobody has the port open
                byte = os.read(self.fd, 1)
            if not byte:
                time.sleep(0.02)
                continue
            self.heard += byte
            if byte[0] in wanted:
                return byte[0]
        return None

    def say(self, data):
        os.write(self.fd, data)

    def block(self, number, data):
        """A block of 128 bytes, and what came for it."""
        data = data.ljust(128, b"\x1a")
        self.say(bytes([SOH, number % 256, 255 - number % 256]) + data +
                 binascii.crc_hqx(data, 0).to_bytes(2, "big"))
        return self.hear((ACK, NAK, CAN, CALL), 30)

    def blocks(self, data, first=1):
        """All of them; None when each was acknowledged, else what came instead."""
        for n in range(-(-len(data) // 128)):
            answer = self.block(first + n, data[128 * n:128 * (n + 1)])
            if answer != ACK:
                return answer
        return None

    def finish(self, times=10):
        """Say EOT as often as lrzsz does. True: the person is told that it was sent."""
        for _ in range(times):
            self.say(bytes([EOT]))
            answer = self.hear((ACK, NAK, CAN, CALL), 2)
            if answer in (ACK, CAN):
                return answer == ACK
        return False

    def close(self):
        os.unlink(self.link)
        os.close(self.fd)
