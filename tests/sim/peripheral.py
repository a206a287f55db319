#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BLE peripheral of one kind: meter, scale, thermometer, oximeter ..

The link is a unix SOCK_SEQPACKET socket: one packet is one ATT PDU, as on L2CAP channel 4. The
socket accepts a connection while the peripheral "advertises": it has no link, and something that
nobody was told of (a record, for those with RACP one that no whole report had) or --always. At all
other times connect() is refused, as a radio that is off would be silent. It hangs up after --idle
seconds without traffic in which it is not in the middle of something.

The ledger is that of ledger.py. "told" is here: the confirmation has come of the indication (its
last part, for a scale) or of the answer that ended a whole RACP report. Besides:

    subscribed, unsubscribed   why: the characteristic
    request, response          hex: what was written to a control point and what it answered
    clock     the clock was set; record: was, now (civil time on the device)
    refused   something was written that is refused; why
    reset     the device lost its memory and numbers anew
    deleted   a record was deleted because the client asked for it

A record says what the device shows: `time` by its own clock, and the right one as `true`.

Orders on --control: record {json}; random N; clock S (ahead of real time from now on); reset;
hangup; die-at N (the next link); for oximeters and the belt those of story.py.
"""
import argparse
import os
import select
import socket
import struct
import sys

import ledger as common
from att_server import AttServer, Link, LinkLost, attribute_table
from ble_bodies import AndCuff, HeartRate, Scale, Thermometer
from ble_glucose import WHAT, GlucoseMeter, Monitor
from ble_manners import MISBEHAVIOURS, Manners
from ble_oximeters import (Berrymed, Contec, ContinuousOximeter, Jumper, Nonin3230, SpotOximeter)
from ble_racp import ALL, LAST
from ledger import boottime

KINDS = {"glucose": GlucoseMeter, "cgm": Monitor, "plx": SpotOximeter,
         "plx_continuous": ContinuousOximeter, "scale": Scale, "thermometer": Thermometer,
         "heartrate": HeartRate, "and_cuff": AndCuff, "berrymed": Berrymed, "jumper": Jumper,
         "contec": Contec, "nonin3230": Nonin3230}
HZ = {"berrymed": 25}       # samples a second of the real one; others 1


class Peripheral:
    def __init__(self, options):
        self.options = options
        self.ledger = common.Ledger(options.ledger, options.name)
        self.remote = common.Remote(options.control)
        self.manners = MISBEHAVIOURS.get(options.misbehave, Manners)(options)
        self.device = self.manners.device = KINDS[options.kind](options, self.ledger, self.manners)
        self.listener, self.link = None, None
        self.refusals = options.insufficient_encryption
        self.ccc = {}                    # by characteristic, what a bonded one remembers
        self.deaths, self.left = list(options.die_at), None
        self.device.fill()

    # The link

    def advertise(self):
        """Listen exactly while it would advertise."""
        wanted = not self.link and (self.options.always or self.device.pending())
        if wanted and not self.listener:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            common.bind_over(self.listener, self.options.socket)
            self.listener.listen(1)
        elif not wanted and self.listener:
            self.listener.close()
            self.listener = None

    def connect(self):
        sock, _ = self.listener.accept()
        table = attribute_table(self.manners.shape(self.device.services()))
        remembered = {h: self.ccc.get(a.type, 0) for h, a in table.items() if a.type in self.ccc}
        server = AttServer(table, self.options.mtu, self.changed,
                           remembered if self.options.bonded else None, self.locked)
        self.link = Link(sock, server, self.outgoing, self.strange)
        self.left = self.deaths.pop(0) if self.deaths else None
        self.device.note("connected")
        self.device.opened(self.link, table)
        self.advertise()
        if self.left == 0:
            raise LinkLost("die-at")
        self.manners.opened(self.link)

    def disconnect(self, why):
        self.device.closed(why)
        self.device.note("closed", why=why)
        self.link.sock.close()
        self.link = None

    def counted(self):
        """One more PDU, in or out; --die-at ends the link after so many."""
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                self.left = None
                raise LinkLost("die-at")

    def outgoing(self, pdu):
        for one in self.manners.outgoing(pdu):
            yield one
            self.counted()

    def strange(self, pdu):
        self.device.note("unexpected", raw=pdu)

    def locked(self):
        self.refusals -= 1
        if self.refusals < 0:
            return False
        self.device.note("refused", why="insufficient encryption")
        return True

    def changed(self, handle, value):
        uuid = self.link.server.table[handle].type
        error = self.device.changed(uuid, value)
        if not error:
            self.ccc[uuid] = value
        return error

    def receive(self):
        pdu = self.link.receive()
        self.counted()
        if self.manners.hears(pdu):
            self.link.serve(pdu)

    # Living

    def idle_left(self):
        """Seconds until it hangs up; None while it has a reason to stay."""
        if self.link.outstanding or self.device.busy() or not self.options.idle:
            return None
        return self.device.last_sign() + self.options.idle - boottime()

    def command(self, word, rest):
        try:
            if word == "record":
                self.device.measure(common.json_object(rest))
            elif word == "hangup":
                if self.link:
                    self.disconnect("hangup")
            elif word == "die-at":
                self.deaths.insert(0, int(rest))
            else:
                self.device.order(word, rest)
        except (ValueError, TypeError, KeyError, ArithmeticError, struct.error) as error:
            common.complain(self.options.name, f"command refused: {error}")

    def wait(self, limits):
        """Sleep until something happens or a time is up; serve what came."""
        poller, link = select.poll(), self.link
        self.remote.register(poller)
        if self.listener:
            poller.register(self.listener, select.POLLIN)
        if link:
            poller.register(link.sock, select.POLLIN)
        limit = min((x for x in limits if x is not None), default=None)
        ready = dict(poller.poll(None if limit is None else max(0, limit) * 1000))
        for word, rest in self.remote.commands():
            self.command(word, rest)
        if self.listener and self.listener.fileno() in ready:
            self.connect()
        elif self.link and link is self.link and link.sock.fileno() in ready:
            self.receive()

    def step(self):
        self.advertise()
        try:
            limits = []
            if self.link:
                limits = [self.manners.tick(self.link), self.device.pump(), self.link.patience(),
                          self.idle_left()]
            self.wait(limits)
            if self.link:
                idle, patience = self.idle_left(), self.link.patience()
                if patience is not None and patience <= 0:
                    raise LinkLost("no confirmation")
                if idle is not None and idle <= 0:
                    raise LinkLost("idle")
        except LinkLost as lost:
            self.disconnect(str(lost))

    def run(self):
        while not self.remote.stopped:
            if self.options.once and not self.link and not self.device.pending():
                break
            self.step()
        if self.link:
            self.disconnect("stopped")
        self.device.end()
        if self.listener:
            self.listener.close()
        if os.path.exists(self.options.socket):
            os.unlink(self.options.socket)
        self.remote.close()


def pair(text):
    op, operator = text.split(":")
    return int(op), int(operator)


def numbers(text):
    return [int(x) for x in text.split(",")]


def kinds_of_record(text):
    words = text.split(",")
    if not set(words) <= set(WHAT):
        raise ValueError(text)
    return words


def common_part(parser):
    add = parser.add_argument
    add("kind", choices=KINDS)
    add("--socket", required=True, metavar="PATH", help="unix seqpacket socket of the ATT link")
    add("--name", help="in the ledger and of the device (the kind)")
    add("--ledger", default="-", metavar="FILE", help="where to write down what happens (stdout)")
    add("--control", metavar="PATH", help="unix datagram socket that takes orders")
    add("--seed", type=int, default=1, metavar="K", help="of all that is random (%(default)s)")
    add("--records", type=int, default=0, metavar="N", help="plausible records in its memory")
    add("--record", action="append", default=[], type=common.json_object, metavar="JSON",
        help="one more, as the ledger would show it; repeatable")
    add("--spacing", type=float, default=600, metavar="S", help="seconds between them (600)")
    add("--serial", help="serial number, 2A25 (the name)")
    add("--system-id", type=bytes.fromhex, metavar="HEX", help="2A23 (made of the name)")
    add("--battery", type=int, default=85, metavar="P", help="percent (%(default)s)")
    add("--always", action="store_true", help="advertise also with nothing to tell")
    add("--once", action="store_true", help="exit 0 when everything is told")
    add("--idle", type=float, default=3, metavar="S", help="hang up when idle; 0 = stay (3)")
    add("--mtu", type=int, default=23, metavar="N", help="the largest PDU it takes (%(default)s)")
    add("--bonded", action="store_true", help="remember what the last link switched on")
    add("--pace", type=float, default=0, metavar="S", help="seconds between two records (0)")
    add("--clock-offset", type=float, default=0, metavar="S", help="clock ahead of real time (0)")
    add("--no-clock", action="store_true", help="no Current Time service")
    add("--clock-readonly", action="store_true", help="2A2B cannot be written")
    add("--clock-error", type=lambda x: int(x, 0), default=0, metavar="CODE",
        help="what a write of it is answered with, though it was taken")


def own_part(parser):
    add = parser.add_argument_group("of single kinds").add_argument
    add("--unit", help="mmol/L, mg/dL; kg, lb; C, F")
    add("--what", type=kinds_of_record, default=["normal"], metavar="A,B",
        help="glucose: kinds of records, in turns: " + ", ".join(WHAT))
    add("--first-seq", type=int, default=1, metavar="N", help="glucose: of its first record (1)")
    add("--gaps", type=float, default=0, metavar="P", help="glucose: share of gaps")
    add("--reverse", action="store_true", help="glucose: the newest record is number 1")
    add("--no-context", action="store_true", help="glucose: no 2A34")
    add("--no-offset", action="store_true", help="glucose: no offset in a record when it is 0")
    add("--base-offset", type=int, default=0, metavar="MIN", help="glucose: offset from the start")
    add("--live", type=int, default=0, metavar="N", help="cgm: records that come while linked")
    add("--pack", type=int, default=1, metavar="N", help="cgm: of them in one PDU")
    add("--crc", action="store_true", help="cgm: with E2E-CRC")
    add("--no-storage", action="store_true", help="plx: no RACP, a new measurement is indicated")
    add("--clock-unset", action="store_true", help="plx: says that its clock is not set")
    add("--user", type=int, default=1, metavar="N", help="scale: index in the records (1)")
    add("--consent", type=int, metavar="CODE", help="scale: tells nothing without it")
    add("--bmi", action="store_true", help="scale: with BMI and height")
    add("--weight-only", action="store_true", help="scale: no 181B")
    add("--multi-packet", action="store_true", help="scale: body composition in two packets")
    add("--site", type=int, default=2, metavar="N", help="thermometer: 1 armpit .. 9 tympanum (2)")
    add("--site-apart", action="store_true", help="thermometer: the site stands in 2A1D only")
    add("--sfloat", action="store_true", help="thermometer: SFLOAT, as one kind of Yuwell")
    add("--probe-errors", type=common.probability, default=0, metavar="P", help="thermometer: NaN")
    add("--no-rr", action="store_true", help="heartrate: no RR intervals")
    add("--script", help="oximeters, heartrate: what happens, as in story.py")
    add("--steady", action="store_true", help="values do not drift")
    add("--acquire", type=float, default=2, metavar="S", help="length of the pulse search (2)")
    add("--hz", type=float, metavar="R", help="samples a second, of real time")
    add("--cut", type=int, default=20, metavar="N", help="berrymed: bytes in a PDU (20)")
    add("--keepalive", type=float, default=60, metavar="S", help="contec: silent without it (60)")


def fault_part(parser):
    add = parser.add_argument_group("RACP").add_argument
    add("--no-count", action="store_true", help="it cannot tell the number of records")
    add("--operators", type=numbers, metavar="N,N", help="those that it knows (1 to 6; plx: 1)")
    add("--unsupported", type=pair, action="append", default=[], metavar="OP:OPERATOR")
    add("--filters", type=numbers, default=[1, 2], metavar="N,N", help="filter types (1,2)")
    add("--busy", type=int, default=0, metavar="N", help="first N requests: already in progress")
    add("--old-errors", action="store_true", help="0x80 and 0x81 instead of 0xFE and 0xFD")
    add("--abort-fails", action="store_true")
    add("--hole", type=int, metavar="N", help="the Nth record of a report gets lost, once")
    add("--strip-at", type=int, metavar="N", help="drops the link instead of the Nth, once")
    add("--fail-at", type=int, metavar="N", help="a report ends there with 'not completed'")
    faults = parser.add_argument_group("faults").add_argument
    faults("--insufficient-encryption", type=int, default=0, metavar="N",
           help="answer the first N uses of protected characteristics with error 0x0F")
    faults("--die-at", type=numbers, default=[], metavar="N,N",
           help="end the first link after its Nth PDU, the second ..; 0: at once")
    faults("--misbehave", choices=MISBEHAVIOURS, metavar="NAME",
           help="; ".join(c.__doc__ for c in MISBEHAVIOURS.values()).replace("%", "%%"))


def options_of(arguments):
    parser = argparse.ArgumentParser(description="A simulated BLE peripheral.")
    common_part(parser)
    own_part(parser)
    fault_part(parser)
    options = parser.parse_args(arguments)
    options.name = options.name or options.kind
    options.unit = options.unit or "mmol/L"
    options.hz = options.hz or HZ.get(options.kind, 1)
    if options.operators is None:
        options.operators = [ALL] if options.kind == "plx" else list(range(ALL, LAST + 1))
    return options


if __name__ == "__main__":
    Peripheral(options_of(sys.argv[1:])).run()
