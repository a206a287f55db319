#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An analyser with Bluetooth serial: an SPP server on an adapter of its own, that sends LIS01 messages.

    sppmeter.py ADDRESS CHANNEL               with an SDP server of its own, written here
    sppmeter.py ADDRESS CHANNEL --bluetoothd  the record and the listening are bluetoothd's

It keeps its messages until they are acknowledged (the ACK for their one frame), and sends the oldest first,
whenever somebody is connected. Lines on stdin:
    pair            accept whoever wants a bond (Just Works)
    message HEX     the records, H to L, of one message to send
    hang-up         end the connection
    move N          listen on channel N from now on
    advertise N     what SDP says from now on; 0: no serial port
What it sees goes to stdout as JSON lines with CLOCK_BOOTTIME in microseconds.

SDP: Core Specification, Vol 3, Part B. The answer comes in two parts, as a small device would send it. The
kernel gives a question to the server that listened first: this must run before bluetoothd does.
"""
import json
import os
import socket
import struct
import sys
import time
from collections import deque

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

ENQ, ACK, STX, ETX, EOT = b"\x05", b"\x06", b"\x02", b"\x03", b"\x04"
SERIAL_PORT = "00001101-0000-1000-8000-00805f9b34fb"
NEW_CONNECTION_S = 0.3
RESEND_MS = 5000  # without an answer; by the book it is 15 s


def say(what, **more):
    us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    print(json.dumps({"boot_us": us, "what": what, **more}), flush=True)


def watch(sock, call):
    """`call` whenever there is something to read, as long as it returns true."""
    return GLib.io_add_watch(sock.fileno(), GLib.IO_IN | GLib.IO_HUP | GLib.IO_ERR,
                             lambda _fd, _why: call())


class Discovery:
    """SDP server on this adapter only."""

    def __init__(self, address, channel):
        self.channel = channel
        self.listener = socket.socket(socket.AF_BLUETOOTH, socket.SOCK_SEQPACKET,
                                      socket.BTPROTO_L2CAP)
        self.listener.bind((address, 1))
        self.listener.listen(2)
        watch(self.listener, self.accept)

    def accept(self):
        link, _ = self.listener.accept()
        watch(link, lambda: self.answer(link))
        return True

    def lists(self):
        if not self.channel:
            return bytes([0x35, 0])
        l2cap = bytes([0x35, 3, 0x19, 0x01, 0x00])
        rfcomm = bytes([0x35, 5, 0x19, 0x00, 0x03, 0x08, self.channel])
        stack = bytes([0x35, len(l2cap + rfcomm)]) + l2cap + rfcomm
        record = bytes([0x09, 0x00, 0x04]) + stack
        return bytes([0x35, len(record) + 2, 0x35, len(record)]) + record

    def answer(self, link):
        try:
            request = link.recv(1024)
        except OSError:
            request = b""
        if not request:
            link.close()
            return False
        kind, number, length = struct.unpack(">BHH", request[:5])
        body = request[5:]
        # Service Search Attribute for class 0x1101, attribute 0x0004; then its continuation. bluetoothd asks
        # for other things and is told that there is nothing.
        ours = kind == 6 and length == len(body) and body[:5] == bytes.fromhex("3503191101") and \
            body[7:12] == bytes.fromhex("3503090004")
        lists = self.lists()
        if not ours:
            part, more = bytes([0x35, 0]), b""
        elif body[12:] == b"\0":
            say("asked", channel=self.channel)
            part, more = lists[:4], lists[4:]
        else:
            part, more = lists[4:], b""
        text = struct.pack(">H", len(part)) + part + (b"\x02\x77\x77" if more else b"\0")
        link.send(struct.pack(">BHH", 7, number, len(text)) + text)
        return True


class Agent(dbus.service.Object):
    interface = "org.bluez.Agent1"

    def __init__(self):
        bus = dbus.SystemBus()
        super().__init__(bus, "/sppmeter/agent")
        manager = dbus.Interface(bus.get_object("org.bluez", "/org/bluez"),
                                 "org.bluez.AgentManager1")
        manager.RegisterAgent("/sppmeter/agent", "NoInputNoOutput")
        manager.RequestDefaultAgent("/sppmeter/agent")
        say("pairable")

    @dbus.service.method(interface)
    def Release(self):
        pass

    @dbus.service.method(interface, in_signature="os")
    def AuthorizeService(self, _device, _uuid):
        pass

    @dbus.service.method(interface, in_signature="o")
    def RequestAuthorization(self, _device):
        say("pairing-authorized")


class Profile(dbus.service.Object):
    """The same by bluetoothd (org.bluez.Profile1)."""

    interface = "org.bluez.Profile1"

    def __init__(self, meter, channel):
        self.meter = meter
        bus = dbus.SystemBus()
        super().__init__(bus, "/sppmeter")
        manager = dbus.Interface(bus.get_object("org.bluez", "/org/bluez"),
                                 "org.bluez.ProfileManager1")
        manager.RegisterProfile("/sppmeter", SERIAL_PORT, {
            "Name": "serial port", "Role": "server", "Channel": dbus.UInt16(channel),
            "RequireAuthentication": False, "RequireAuthorization": False})

    @dbus.service.method(interface, in_signature="oha{sv}")
    def NewConnection(self, _device, fd, _properties):
        self.meter.connected(socket.socket(fileno=fd.take()))

    @dbus.service.method(interface, in_signature="o")
    def RequestDisconnection(self, _device):
        self.meter.hang_up()

    @dbus.service.method(interface)
    def Release(self):
        pass


class Meter:
    def __init__(self, address):
        self.address = address
        self.messages = deque()
        self.listener = self.listening = self.link = self.timer = self.agent = None
        self.step = ""  # what was sent last: "", ENQ, STX
        self.typed = b""

    def listen(self, channel):
        if self.listener:
            GLib.source_remove(self.listening)
            self.listener.close()
        self.listener = socket.socket(socket.AF_BLUETOOTH, socket.SOCK_STREAM,
                                      socket.BTPROTO_RFCOMM)
        self.listener.bind((self.address, channel))
        self.listener.listen(1)
        self.listening = watch(self.listener, self.accept)
        say("listening", channel=channel)

    def accept(self):
        self.connected(self.listener.accept()[0])
        return True

    def connected(self, link):
        self.hang_up()
        self.link, self.step = link, ""
        say("connected", peer=link.getpeername()[0])
        watch(link, lambda: self.heard(link))
        self.later(int(NEW_CONNECTION_S * 1000))

    def hang_up(self):
        if self.link:
            say("disconnected", left=len(self.messages))
            self.link.close()
            self.link = None

    def later(self, ms):
        if self.timer:
            GLib.source_remove(self.timer)
        self.timer = GLib.timeout_add(ms, self.enquire)

    def put(self, data):
        try:
            self.link.sendall(data)
        except OSError:
            self.hang_up()

    def enquire(self):
        self.timer = None
        if self.link and self.messages:
            self.step = ENQ
            self.put(ENQ)
            self.later(RESEND_MS)
        return False

    def heard(self, link):
        """False: this link is no longer ours."""
        if link is not self.link:
            return False
        try:
            data = link.recv(100)
        except OSError:
            data = b""
        if not data:
            self.hang_up()
            return False
        for byte in data:
            self.heard_byte(bytes([byte]))
        return self.link is link

    def heard_byte(self, byte):
        if byte != ACK or not self.step:
            say("unexpected-confirm", byte=byte.hex())
        elif self.step == ENQ:
            say("indicated", hex=self.messages[0].hex())
            body = b"1" + self.messages[0] + ETX
            self.step = STX
            self.put(STX + body + b"%02X\r\n" % (sum(body) % 256))
            self.later(RESEND_MS)
        else:
            self.step = ""
            say("confirmed", hex=self.messages.popleft().hex())
            self.put(EOT)
            self.later(200)

    def command(self, discovery):
        got = os.read(0, 4096)
        self.typed += got
        *lines, self.typed = self.typed.split(b"\n")
        for line in lines:
            word, _, rest = line.decode().partition(" ")
            if word == "pair":
                self.agent = Agent()
            elif word == "message":
                self.messages.append(bytes.fromhex(rest))
                if not self.step:
                    self.enquire()
            elif word == "hang-up":
                self.hang_up()
            elif word == "move":
                self.listen(int(rest))
            elif word == "advertise":
                discovery.channel = int(rest)
        return bool(got)


def main():
    address, channel = sys.argv[1], int(sys.argv[2])
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    meter = Meter(address)
    discovery = None
    if "--bluetoothd" in sys.argv:
        discovery = Profile(meter, channel)
        say("listening", channel=channel)
    else:
        discovery = Discovery(address, channel)
        meter.listen(channel)
    watch(sys.stdin, lambda: meter.command(discovery))
    GLib.MainLoop().run()


main()
