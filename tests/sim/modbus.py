#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modbus slaves: fridges, rooms, gas and oxygen plant, meters, on TCP ports and on one serial line.

Written from the Modbus application protocol V1.1b3, "Modbus over serial line" V1.02 and "Messaging on
TCP/IP" V1.0b. A request is a function code and what it asks for; a reply repeats the code, or has it
with 0x80 and an exception code:

    01 coils, 02 discrete inputs    address u16, count u16 1..2000  ->  bytes u8, bits, lowest first
    03 holding, 04 input registers  address u16, count u16 1..125   ->  bytes u8, words
    exceptions: 1 function, 2 address, 3 value, 4 failure, 6 busy, 0x0B no answer behind a gateway

    RTU   slave u8 | request | CRC-16 (0xA001 reflected, from 0xFFFF) low byte first; slave 0: nobody answers
    TCP   transaction u16 | 0 u16 | length u16 of what follows | unit u8 | request

Nothing here can be written: other functions get exception 1 and the ledger's event "unexpected".

    --slave 3:fridge        slave 3. On TCP all of these are behind one port, as behind a converter: the
                            unit chooses, one that is not there gets exception 0x0B. On the line it is
                            silence.
    --slaves 200:stamp      200 slaves, numbered on from the highest; on TCP each has a port of its own,
                            and answers to any unit, as instruments with a network plug do.

Ports: PORT is the converter's, if there are --slave, and the others follow one by one. With PORT 0 free
ones are taken, below those that connections get; the first stands in the ledger and on standard
output ("port 20123").

Orders, on the control socket or at start with --order. S is a number, 3-7 or all; N is how many
requests it befalls, or "forever"; faults that are ordered one after the other happen in that order.

    set S ITEM VALUE         in the item's unit; text; nan, inf; 0x7FFF = the bare register, high byte first
    drift S ITEM STEP SECONDS [LOW HIGH] | off     adds STEP again and again, turning at LOW and HIGH
    stuck S ITEM on|off      set (but for 0x) and drift do not reach the register
    silent S N               no answer               late S MS N          answer after MS
    short S N                half the answer         crc S N              RTU: wrong CRC
    wrong_slave S N          of slave (unit) + 1     wrong_tid S N        TCP: of transaction + 1
    exception S CODE N                               garbage S N          3 to 8 bytes before the answer
    close S N                TCP: hangs up instead   clear S              no more faults
    babble S SECONDS         talks unasked: noise, and answers to the last question
    flood S SECONDS          the same answer as fast as the link takes it
    refuse S on|off          TCP: its port is closed, also to whoever was connected
    echo on|off              RTU: the line gives back what it is sent, before the answer
    unplug, plug             RTU
    counts [reset]           the counters go to the ledger, and start again from 0

Ledger: the events of ledger.py, of them measured (what a register says has changed; record: slave,
item, value as text or null, raw = its bytes as on the wire), fault (record: slave; why = which),
connected, closed, unexpected (a request that is no read), error (no request at all), and of its own:

    listening   record: port, ports
    counts      record: slaves: {"3": {requests, answers, exceptions, faults, max_gap_ms, since_ms}},
                strangers (requests to slaves that are not there), line: {requests, errors,
                min_quiet_ms}. answers = without a fault, exceptions among them; max_gap_ms = longest
                time between two requests, since_ms = since the last; min_quiet_ms = shortest silence
                between our last byte and a request. Null = there was none.
"""
import argparse
import heapq
import random
import resource
import select
import sys
from decimal import Decimal
from itertools import count
from time import monotonic

import ledger as common
from modbus_link import ONLY_RTU, ONLY_TCP, Line, Port, bound_row
from modbus_slave import COUNT_MAX, MODELS, Slave

COUNTED = {"silent", "short", "crc", "wrong_slave", "wrong_tid", "garbage", "close"}


class Simulator:
    def __init__(self, options):
        self.options = options
        self.ledger = common.Ledger(options.ledger, options.name)
        self.key = self.ledger.last_number()
        self.dice = random.Random(options.seed)
        self.timers, self.turn = [], count()        # (when, turn, call, arguments), a heap
        self.poller, self.ready = select.epoll(), {}
        self.remote = common.Remote(options.control)
        self.remote.register(self.poller)
        self.strangers = 0
        self.slaves = {number: Slave(self, number, model) for number, model in options.slaves}
        self.ports = self.open_ports() if options.tcp is not None else []
        self.line = Line(self, options.rtu) if options.rtu else None

    def open_ports(self):
        shared = {n: s for n, s in self.slaves.items() if n not in self.options.alone}
        groups = [shared] * bool(shared) + [{"any": self.slaves[n]} for n in self.options.alone]
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        socks = bound_row(self.options.tcp, len(groups))
        ports = [Port(self, group, sock) for group, sock in zip(groups, socks)]
        self.ledger.write("listening", record={"port": ports[0].number, "ports": len(ports)})
        if self.options.ledger != "-":
            print("port", ports[0].number, flush=True)
        return ports

    def listen_to(self, fd, call, flags=0):
        self.ready[fd] = call
        self.poller.register(fd, select.EPOLLIN | flags)

    def ignore(self, fd):
        self.poller.unregister(fd)
        del self.ready[fd]

    def after(self, seconds, call, *arguments):
        heapq.heappush(self.timers, (monotonic() + seconds, next(self.turn), call, arguments))

    def measured(self, slave, item, value, data):
        self.key += 1
        self.ledger.write("measured", f"{self.key:06d}", {"slave": slave.number, "item": item,
                                                          "value": value, "raw": data.hex()})

    def noise(self):
        return self.dice.randbytes(self.dice.randint(3, 8))

    def addressed(self, lookup, unit, pdu):
        """The slave that a request is for; None if there is none."""
        if pdu[0] not in COUNT_MAX:
            self.ledger.write("unexpected", record={"slave": unit}, raw=pdu, why="not a read")
        slave = lookup(unit)
        if not slave:
            self.strangers += 1
        return slave

    def run(self):
        try:
            for text in self.options.order:
                self.order(*text.partition(" ")[::2])
            while not self.remote.stopped:
                self.turn_once()
        finally:
            if self.options.count:
                self.counts()
            for link in [*self.ports, *([self.line] if self.line else [])]:
                link.close("stopped")
            self.remote.close()

    def turn_once(self):
        wait = max(0.0, self.timers[0][0] - monotonic()) if self.timers else None
        for fd, events in self.poller.poll(wait):
            call = self.ready.get(fd)
            if call:
                call(events)
            else:
                for word, rest in self.remote.commands():
                    self.order(word, rest)
        while self.timers and self.timers[0][0] <= monotonic():
            _, _, call, arguments = heapq.heappop(self.timers)
            call(*arguments)

    # Orders

    def order(self, word, rest):
        try:
            self.obey(word, rest.split())
        except (ValueError, TypeError, LookupError, ArithmeticError, OSError) as error:
            common.complain(self.options.name, f"refused: {word} {rest}: {error!r}")

    def obey(self, word, words):
        if word == "counts" and words in ([], ["reset"]):
            self.counts(reset=bool(words))
        elif word in ("echo", "plug", "unplug"):
            self.obey_line(word, *words)
        else:
            slaves = self.named(words[0] if words else "")
            for slave in slaves:
                self.obey_slave(slave, word, words[1:])

    def obey_line(self, word, *words):
        if not self.line:
            raise ValueError("there is no line")
        if word == "echo":
            self.line.echo = switch(*words)
        elif word == "plug":
            self.line.plug()
        else:
            self.line.close("unplugged")

    def named(self, text):
        if text == "all":
            return list(self.slaves.values())
        first, _, last = text.partition("-")
        return [self.slaves[n] for n in range(int(first), int(last or first) + 1)]

    def obey_slave(self, slave, word, words):
        if word in COUNTED:
            self.plan(slave, word, None, *words)
        elif word in ("late", "exception"):
            self.plan(slave, word, int(words[0]), *words[1:])
        elif word == "clear" and not words:
            slave.faults_due.clear()
        elif word in ("babble", "flood"):
            seconds, = map(float, words)
            self.ledger.write("fault", record={"slave": slave.number}, why=word)
            self.talk(slave, word == "flood", monotonic() + seconds)
        elif word == "refuse":
            self.refuse(slave, switch(*words))
        elif word in ("set", "drift", "stuck"):
            self.obey_item(slave, word, words[0], words[1:])
        else:
            raise ValueError("no such order")

    def obey_item(self, slave, word, name, words):
        item = slave.items[name]
        if word == "set":
            slave.set(name, " ".join(words))
        elif word == "stuck":
            on = switch(*words)
            self.ledger.write("fault", record={"slave": slave.number}, why=f"stuck {name} {words[0]}")
            slave.stick(name, on)
        elif words == ["off"]:
            slave.drifts.pop(name, None)
        elif item.type in ("bit", "string") or len(words) not in (2, 4):
            raise ValueError("drift S ITEM STEP SECONDS [LOW HIGH]")
        else:
            step, seconds, low, high = *map(Decimal, words), *[None] * (4 - len(words))
            if not (step.is_finite() and Decimal("0.001") <= seconds):
                raise ValueError("drift by what, how often?")
            slave.drift(name, step, float(seconds), low, high)

    def plan(self, slave, name, number, times):
        left = float("inf") if times == "forever" else int(times)
        links = (self.ports and name not in ONLY_RTU) or (self.line and name not in ONLY_TCP)
        if left < 1 or not links or number is not None and not 0 <= number <= 3600000:
            raise ValueError("no such fault here")
        if name == "exception" and not 1 <= number <= 255:
            raise ValueError("an exception is 1 to 255")
        slave.faults_due.append([left, name, number])
        slave.forget_answers()

    def links_of(self, slave):
        links = [c for p in self.ports if slave in p.slaves.values() for c in p.connections]
        return links + [self.line] * bool(self.line)

    def talk(self, slave, flood, until):
        for link in self.links_of(slave):
            data = link.unasked(slave, noise=not flood and self.dice.random() < 0.5)
            (link.pour if flood else link.write)(data)
        if monotonic() < until:
            self.after(0.001 if flood else 0.05, self.talk, slave, flood, until)

    def refuse(self, slave, on):
        if not self.ports:
            raise ValueError("there is no port")
        for port in self.ports:
            if slave in port.slaves.values():
                if on:
                    port.close("refuse")
                elif not port.sock:
                    port.open()
        self.ledger.write("fault", record={"slave": slave.number}, why=f"refuse {'on' if on else 'off'}")

    def counts(self, reset=False):
        record = {"slaves": {str(n): s.counts() for n, s in self.slaves.items()},
                  "strangers": self.strangers}
        if self.line:
            record["line"] = self.line.counts()
        self.ledger.write("counts", record=record)
        if reset:
            self.strangers = 0
            for counted in [*self.slaves.values(), *([self.line] if self.line else [])]:
                counted.reset()


def switch(text):
    return {"on": True, "off": False}[text]


def slaves_of(parser, options):
    """options.slaves = [(number, model)], options.alone = numbers of those with their own port."""
    slaves, alone = {}, []
    try:
        for text in options.slave:
            number, model = text.split(":")
            if not 1 <= int(number) <= 247 or int(number) in slaves:
                raise ValueError("a number is 1 to 247, and there once")
            slaves[int(number)] = model
        for text in options.slaves:
            many, model = text.split(":")
            for number in range(max(slaves, default=0) + 1, max(slaves, default=0) + 1 + int(many)):
                slaves[number] = model
                alone.append(number)
        if not slaves or not set(slaves.values()) <= set(MODELS):
            raise ValueError("models are " + ", ".join(MODELS))
        if options.tcp is None and not options.rtu:
            raise ValueError("--tcp, --rtu or both")
        if options.rtu and max(slaves) > 247:
            raise ValueError("a line has room for 247")
    except ValueError as error:
        parser.error(str(error))
    options.slaves, options.alone = list(slaves.items()), alone
    return options


def options_of(arguments):
    parser = argparse.ArgumentParser(description="Simulated Modbus slaves, on TCP and on a line.")
    add = parser.add_argument
    add("--name", default="modbus-1", help="in the ledger (%(default)s)")
    add("--ledger", default="-", metavar="FILE", help="where to write down what happens (stdout)")
    add("--control", metavar="PATH", help="unix datagram socket that takes orders")
    add("--tcp", type=int, metavar="PORT", help="listen on 127.0.0.1; 0 = on free ports")
    add("--rtu", metavar="PATH", help="make a pty, symlink its slave as PATH")
    add("--slave", action="append", default=[], metavar="N:MODEL", help="repeatable")
    add("--slaves", action="append", default=[], metavar="MANY:MODEL", help="repeatable")
    add("--order", action="append", default=[], metavar="TEXT", help="carry it out at start")
    add("--count", action="store_true", help="write the counters at the end, too")
    add("--seed", type=int, default=1, metavar="K", help="of all that is random (%(default)s)")
    return slaves_of(parser, parser.parse_args(arguments))


if __name__ == "__main__":
    Simulator(options_of(sys.argv[1:])).run()
