# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower half of a peripheral on a controller of `btvirt -s`: HCI, advertising, the link and L2CAP.
It shares no code with BlueZ or with the gateway, so what stands on it can judge and can misbehave.

Layouts: Core Specification, Vol 4 Part E (HCI), Vol 3 Part A (L2CAP).
"""
import json
import select
import socket
import struct
import sys
import time
from collections import deque

SOCKET = "/tmp/bt-server-bredrle"
HCI_COMMAND, HCI_ACL, HCI_EVENT = 1, 2, 4
EVT_DISCONNECTED, EVT_ENCRYPTION, EVT_COMPLETE, EVT_STATUS, EVT_LE = 0x05, 0x08, 0x0E, 0x0F, 0x3E
CID_ATT, CID_SIGNAL, CID_SMP = 4, 5, 6


def now_us():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def say(what, **more):
    print(json.dumps({"boot_us": now_us(), "what": what, **more}), flush=True)


class Controller:
    """HCI over the emulator's socket; what arrives while a command waits is kept in order."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.waiting = deque()

    def _need(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                sys.exit("rawlink: the controller is gone")
            data += part
        return data

    def _packet(self):
        kind = self._need(1)[0]
        if kind == HCI_EVENT:
            code, length = self._need(2)
            return kind, code, self._need(length)
        if kind == HCI_ACL:
            handle, length = struct.unpack("<HH", self._need(4))
            return kind, handle, self._need(length)
        sys.exit(f"rawlink: packet type {kind}")

    def command(self, ogf, ocf, parameters=b""):
        opcode = ogf << 10 | ocf
        self.socket.sendall(struct.pack("<BHB", HCI_COMMAND, opcode, len(parameters)) + parameters)
        while True:
            kind, code, data = self._packet()
            at = {EVT_COMPLETE: 1, EVT_STATUS: 2}.get(code) if kind == HCI_EVENT else None
            if at is None or struct.unpack_from("<H", data, at)[0] != opcode:
                self.waiting.append((kind, code, data))
                continue
            status = data[3] if code == EVT_COMPLETE else data[0]
            if status:
                say("hci-error", opcode=f"{opcode:04x}", status=status)
            return

    def receive(self, timeout_s):
        if not self.waiting and not select.select([self.socket], [], [], timeout_s)[0]:
            return None
        return self.waiting.popleft() if self.waiting else self._packet()

    def send(self, link, cid, payload):
        head = struct.pack("<BHHHH", HCI_ACL, link, len(payload) + 4, len(payload), cid)
        self.socket.sendall(head + payload)


class RawLink:
    """One peripheral and its link. Whoever stands on it has connected(), disconnected(reason) and
    att_input(pdu)."""

    def __init__(self, path, address, name, service):
        self.address = bytes.fromhex(address.replace(":", ""))[::-1]
        self.advertised = (b"\x02\x01\x06" + b"\x03\x03" + struct.pack("<H", service)
                           + bytes([len(name) + 1, 9]) + name)
        self.visible = False
        self.forget_link()
        self.controller = Controller(path)

    def forget_link(self):
        self.link, self.partial, self.leaving = None, b"", False
        self.encrypted, self.peer = False, bytes(7)

    def switch_on(self):
        c = self.controller
        c.command(3, 0x03)
        c.command(3, 0x01, b"\xff" * 7 + b"\x3f")
        c.command(8, 0x01, b"\x1f" + bytes(7))

    def advertise(self):
        # Extended commands with a legacy PDU: in btvirt a host that has these sees no others.
        c = self.controller
        c.command(8, 0x36, struct.pack("<BH3s3sBBB6sBbBBBBB", 1, 0x13, b"\x20\0\0", b"\x30\0\0",
                                       7, 1, 0, bytes(6), 0, 127, 1, 0, 1, 0, 0))
        c.command(8, 0x35, b"\x01" + self.address)
        c.command(8, 0x37, bytes([1, 3, 1, len(self.advertised)]) + self.advertised)
        c.command(8, 0x39, b"\x01\x01\x01\0\0\0")
        self.visible = True
        say("advertising")

    def hide(self):
        if self.visible:
            self.visible = False
            self.controller.command(8, 0x39, b"\0\0")

    def disconnect(self):
        """What still comes in is not heard any more: it is as if it had been lost in the air."""
        if self.link is not None and not self.leaving:
            self.leaving = True
            self.controller.command(1, 0x06, struct.pack("<HB", self.link, 0x13))

    def att(self, pdu):
        self.controller.send(self.link, CID_ATT, pdu)

    def l2cap_input(self, handle, data):
        start = handle >> 12 & 3 != 1
        self.partial = data if start else self.partial + data
        if len(self.partial) < 4:
            return
        length, cid = struct.unpack_from("<HH", self.partial)
        if len(self.partial) < length + 4:
            return
        pdu, self.partial = self.partial[4:4 + length], b""
        if not pdu:
            return
        if cid == CID_ATT:
            self.att_input(pdu)
        elif cid == CID_SMP:
            self.smp_input(pdu)
        elif cid == CID_SIGNAL and len(pdu) >= 4 and pdu[0] not in (0x01, 0x13):
            self.controller.send(self.link, CID_SIGNAL, struct.pack("<BBHH", 1, pdu[1], 2, 0))

    def event_input(self, code, data):
        if code == EVT_LE and data[0] in (0x01, 0x0A) and data[1] == 0:
            self.visible = False
            self.connected(struct.unpack_from("<H", data, 2)[0])
            self.peer = data[5:12]       # type, address
        elif code == EVT_LE and data[0] == 0x05:
            self.key_wanted(data[3:11], data[11:13])
        elif code == EVT_ENCRYPTION and data[0] == 0:
            self.encrypted = bool(data[3])
            if self.encrypted:
                self.secured()
        elif code == EVT_DISCONNECTED and data[0] == 0:
            self.disconnected(data[3])

    # Pairing: this one cannot. See rawpair.py.

    def smp(self, pdu):
        self.controller.send(self.link, CID_SMP, pdu)

    def smp_input(self, pdu):
        if pdu[0] == 0x01:
            self.smp(b"\x05\x05")

    def key_wanted(self, _random, _diversifier):
        self.controller.command(8, 0x1B, struct.pack("<H", self.link))

    def secured(self):
        """The link has become encrypted."""

    def serve(self, timeout_s):
        """One packet from the controller, if there is one in time."""
        packet = self.controller.receive(timeout_s)
        if packet and packet[0] == HCI_EVENT:
            self.event_input(packet[1], packet[2])
        elif packet and self.link is not None:
            self.l2cap_input(packet[1], packet[2])
