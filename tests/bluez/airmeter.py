#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated peripheral of tests/sim/peripheral.py on the air: its ATT goes over rawlink.py instead of
a unix socket, and it advertises exactly while the socket would accept a connection.

    airmeter.py ADDRESS KIND [options of peripheral.py]      ADDRESS: random static

Its truth is the --ledger; stdout has what the radio saw, as JSON lines.
"""
import os
import select
import socket
import sys
import threading
from collections import deque

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "sim"))

from peripheral import Peripheral, options_of  # noqa: E402  (it is in a folder of its own)
from rawlink import SOCKET, RawLink, say  # noqa: E402

GOODBYE_S = 5
WAKE, SHOW, HIDE, OFF = b".", b"+", b"-", b"!"


class Radio(RawLink):
    """Runs in a thread of its own. For the peripheral it is the listener: accept() gives a socket on
    which each packet is an ATT PDU."""

    def __init__(self, address, name, service):
        super().__init__(SOCKET, address, name, service)
        self.orders, self.order_end = socket.socketpair()
        self.news, self.news_end = socket.socketpair()
        self.fresh = deque()             # the peripheral's ends of links that it has not accepted
        self.near = None                 # our end
        self.wanted = False              # it is to be visible whenever there is no link
        self.on = True

    # The peripheral's thread

    def show(self):
        self.orders.send(SHOW)

    def switch_off(self):
        self.orders.send(OFF)

    def fileno(self):
        return self.news.fileno()

    def accept(self):
        self.news.recv(1)
        return self.fresh.popleft(), None

    def close(self):
        """Links that came too late find nobody."""
        self.orders.send(HIDE)
        while self.fresh:
            self.accept()[0].close()

    # Its own

    def connected(self, link):
        self.forget_link()
        self.link = link
        self.near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.fresh.append(far)
        self.news_end.send(WAKE)
        say("connected")

    def disconnected(self, reason):
        say("disconnected", reason=reason)
        self.forget_link()
        if self.near:
            self.near.close()
            self.near = None
        self.appear()

    def appear(self):
        if self.wanted and self.link is None and not self.visible:
            self.advertise()

    def att_input(self, pdu):
        if self.near and not self.leaving:
            try:
                self.near.send(pdu)
            except OSError:              # the peripheral hangs up, and we shall read that
                pass

    def order(self):
        for word in self.order_end.recv(64):
            self.wanted = word == SHOW[0]
            self.on = word != OFF[0]
            if self.wanted:
                self.appear()
            else:
                self.hide()

    def pass_on(self):
        """A PDU of the peripheral, or its end of the link."""
        try:
            pdu = self.near.recv(4096)
        except OSError:
            pdu = b""
        if pdu:
            self.att(pdu)
            return
        self.near.close()
        self.near = None
        self.disconnect()

    def run(self):
        self.switch_on()
        while self.on or self.link is not None:
            sources = [self.controller.socket, self.order_end] + ([self.near] if self.near else [])
            ready = sources if self.controller.waiting else select.select(sources, [], [])[0]
            if self.controller.waiting or self.controller.socket in ready:
                self.serve(0)
                continue
            if self.order_end in ready:
                self.order()
            if self.near and self.near in ready:
                self.pass_on()


class OnAir(Peripheral):
    def __init__(self, options, radio):
        self.radio = radio
        super().__init__(options)

    def advertise(self):
        wanted = not self.link and (self.options.always or self.device.pending())
        if wanted and not self.listener:
            self.radio.show()
            self.listener = self.radio
        elif not wanted and self.listener:
            self.listener.close()
            self.listener = None


def main():
    options = options_of([*sys.argv[2:], "--socket", "/nowhere"])
    service = {"glucose": 0x1808, "plx": 0x1822, "plx_continuous": 0x1822,
               "thermometer": 0x1809, "scale": 0x181D}.get(options.kind, 0x180A)
    radio = Radio(sys.argv[1], options.name.encode(), service)
    thread = threading.Thread(target=radio.run, daemon=True)
    thread.start()
    OnAir(options, radio).run()
    radio.switch_off()
    thread.join(GOODBYE_S)


main()
