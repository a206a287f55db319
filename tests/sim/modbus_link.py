# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of simulated Modbus slaves: TCP connections and a serial line, and what faults do there.

Made for a benchmark that asks 10000 times a second: the same question to the same slave gets the
same bytes, from a dictionary, until a value changes or a fault is due.
"""
import os
import random
import select
import socket
import struct
import tty
from contextlib import suppress
from time import monotonic

NO_ANSWER = 0x0B    # exception: the converter has no such slave
SILENCE = 0.05      # seconds without a byte: what came before is no beginning of a request
ONLY_TCP, ONLY_RTU = {"close", "wrong_tid"}, {"crc"}


class Link:
    """Where requests come from: a connection or the line."""

    def serve(self, slave, unit, tid, pdu):
        """Answer a request. Returns the frame, if the same request may get it again."""
        slave.asked()
        fault, number = slave.next_fault(self.not_here)
        if fault == "silent":
            return None
        if fault == "close":
            self.close("fault")
            return None
        reply = bytes([pdu[0] | 0x80, number]) if fault == "exception" else slave.respond(pdu)
        frame = self.frame(unit % 247 + 1 if fault == "wrong_slave" else unit,
                           tid + 1 & 0xFFFF if fault == "wrong_tid" else tid, reply)
        if fault == "crc":
            frame = frame[:-1] + bytes([frame[-1] ^ 0xFF])
        elif fault == "short":
            frame = frame[:len(frame) // 2]
        elif fault == "garbage":
            frame = self.sim.noise() + frame
        if fault == "late":
            self.sim.after(number / 1000, self.write, frame)
        else:
            self.write(frame)
        if fault:
            return None
        slave.answers += 1
        if reply[0] & 0x80:
            slave.exceptions += 1
            return None
        return None if slave.stamp or slave.faults_due else frame

    def unasked(self, slave, noise):
        """Bytes that nobody asked for."""
        if noise or not slave.question:
            return self.sim.noise()
        return self.frame(slave.number & 0xFF, 0xFFFF, slave.respond(slave.question))

    def remember(self, cache, slave, request, frame):
        if len(cache) >= 1000:
            cache.clear()
        cache[request] = slave, frame


class Connection(Link):
    not_here = ONLY_RTU

    def __init__(self, sim, port, sock):
        self.sim, self.port, self.sock, self.fd = sim, port, sock, sock.fileno()
        self.heard, self.unsent = b"", b""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sim.listen_to(self.fd, self.ready)
        port.connections.add(self)
        sim.ledger.write("connected", record={"port": port.number})

    def ready(self, events):
        if events & select.EPOLLOUT:
            data, self.unsent = self.unsent, b""
            self.write(data)
            if self.sock and not self.unsent:
                self.sim.poller.modify(self.fd, select.EPOLLIN)
        if not self.sock or not events & ~select.EPOLLOUT:
            return
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close("by peer")
            return
        if not self.heard:
            known = self.port.cache.get(data[2:])
            if known:               # the same question as before, but for the transaction
                slave, frame = known
                slave.asked()
                slave.answers += 1
                self.write(data[:2] + frame)
                return
        self.heard += data
        self.take_requests()

    def take_requests(self):
        while self.sock and len(self.heard) >= 8:
            tid, protocol, length, unit = struct.unpack_from(">HHHB", self.heard)
            if protocol != 0 or not 2 <= length <= 254:
                self.sim.ledger.write("error", raw=self.heard[:260], why="no request")
                self.close("error")
                return
            if len(self.heard) < 6 + length:
                return
            request, self.heard = self.heard[:6 + length], self.heard[6 + length:]
            pdu = request[7:]
            slave = self.sim.addressed(self.port.of, unit, pdu)
            if not slave:
                self.write(self.frame(unit, tid, bytes([pdu[0] | 0x80, NO_ANSWER])))
                continue
            frame = self.serve(slave, unit, tid, pdu)
            if frame:
                self.remember(self.port.cache, slave, request[2:], frame[2:])

    def frame(self, unit, tid, pdu):
        return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu

    def write(self, data):
        """Send now what the peer takes, and the rest when it can take it."""
        if not self.sock:
            return
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close("by peer")
            return
        if sent < len(data):
            self.unsent = data[sent:]
            self.sim.poller.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)

    def pour(self, frame):
        if not self.unsent:
            self.write(frame * (65536 // len(frame)))

    def close(self, why):
        if self.sock:
            self.sim.ignore(self.fd)
            self.sock.close()
            self.sock = None
            self.port.connections.discard(self)
            self.sim.ledger.write("closed", record={"port": self.port.number}, why=why)


class Port:
    """A TCP port with one instrument, or with several behind a converter."""

    def __init__(self, sim, slaves, sock):
        self.sim, self.slaves, self.sock = sim, slaves, sock
        self.number = sock.getsockname()[1]
        self.cache, self.connections = {}, set()
        for slave in slaves.values():
            slave.caches.append(self.cache)
        self.open()

    def of(self, unit):
        return self.slaves.get(unit) or self.slaves.get("any")

    def open(self):
        if not self.sock:
            self.sock = bound(self.number)
        self.sock.listen(128)
        self.sock.setblocking(False)
        self.sim.listen_to(self.sock.fileno(), self.ready)

    def ready(self, _events):
        try:
            sock, _ = self.sock.accept()
        except OSError:         # gone again
            return
        Connection(self.sim, self, sock)

    def close(self, why):
        if self.sock:
            self.sim.ignore(self.sock.fileno())
            self.sock.close()
            self.sock = None
        for connection in list(self.connections):
            connection.close(why)


class Line(Link):
    """A pty whose slave has a symlink. All slaves hear each request; what nobody reads is lost."""
    not_here = ONLY_TCP

    def __init__(self, sim, path):
        self.sim, self.path, self.fd, self.echo = sim, path, None, False
        self.heard, self.heard_at, self.sent_at, self.cache = b"", 0, None, {}
        for slave in sim.slaves.values():
            slave.caches.append(self.cache)
        self.reset()
        self.plug()

    def reset(self):
        self.requests, self.errors, self.min_quiet = 0, 0, None

    def plug(self):
        if self.fd is not None:
            return
        self.fd, slave = os.openpty()
        tty.setraw(slave)
        fresh = f"{self.path}.{os.getpid()}"
        os.symlink(os.ttyname(slave), fresh)
        os.rename(fresh, self.path)
        os.close(slave)
        os.set_blocking(self.fd, False)
        # Edge-triggered: while nobody has the port open it is in the state of being hung up.
        self.sim.listen_to(self.fd, self.ready, select.EPOLLET)
        self.sim.ledger.write("connected")

    def close(self, why):
        if self.fd is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            self.sim.ignore(self.fd)
            os.close(self.fd)
            self.fd = None
            self.sim.ledger.write("closed", why=why)

    def ready(self, _events):
        with suppress(OSError):             # nothing more, or nobody has it open
            while self.fd is not None:
                self.receive(os.read(self.fd, 4096))

    def receive(self, data):
        now = monotonic()
        if self.heard and now - self.heard_at > SILENCE:
            self.discard("cut off")
        self.heard_at = now
        if self.sent_at is not None:
            quiet, self.sent_at = now - self.sent_at, None
            self.min_quiet = quiet if self.min_quiet is None else min(quiet, self.min_quiet)
        if self.echo:
            self.write(data)
        known = None if self.heard else self.cache.get(data)
        if known:
            slave, frame = known
            self.requests += 1
            slave.asked()
            slave.answers += 1
            self.write(frame)
            return
        self.heard += data
        while len(self.heard) >= max(4, size := request_size(self.heard)):
            request = self.heard[:size]
            if crc16(request) != 0:
                self.discard("wrong CRC")
                return
            self.heard = self.heard[size:]
            self.take_request(request)

    def take_request(self, request):
        self.requests += 1
        pdu = request[1:-2]
        slave = self.sim.addressed(self.sim.slaves.get, request[0], pdu)
        frame = slave and self.serve(slave, request[0], 0, pdu)
        if frame:
            self.remember(self.cache, slave, request, frame)

    def discard(self, why):
        self.errors += 1
        self.sim.ledger.write("error", raw=self.heard[:260], why=why)
        self.heard = b""

    def frame(self, unit, _tid, pdu):
        data = bytes([unit]) + pdu
        return data + struct.pack("<H", crc16(data))

    def write(self, data):
        if self.fd is None:
            return
        poller = select.poll()
        poller.register(self.fd, select.POLLOUT)
        ready = poller.poll(0)
        if ready and not ready[0][1] & (select.POLLHUP | select.POLLERR):
            self.sent_at = monotonic()
            with suppress(OSError):
                os.write(self.fd, data)

    def pour(self, frame):
        self.write(frame * (4096 // len(frame)))

    def counts(self):
        quiet = None if self.min_quiet is None else round(self.min_quiet * 1000, 3)
        return {"requests": self.requests, "errors": self.errors, "min_quiet_ms": quiet}


def request_size(data):
    """Bytes of the RTU request that begins data, with its CRC; what is unknown ends with the data."""
    code = data[1] if len(data) > 1 else 0
    if code in (15, 16, 23):
        at = 10 if code == 23 else 6
        return at + 3 + data[at] if len(data) > at else at + 3
    return {7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10}.get(code, 8 if 1 <= code <= 6 else len(data))


def crc_of(byte):
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


CRCS = [crc_of(byte) for byte in range(256)]


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ CRCS[(crc ^ byte) & 0xFF]
    return crc


def bound(number):
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", number))
    except BaseException:
        sock.close()
        raise
    return sock


def bound_row(first, length):
    """Sockets on `length` ports in a row, from `first` or, if that is 0, from anywhere below the ports
    that connections get by themselves: among those one that ended a minute ago may be in the way,
    and a client that tries a closed one again and again may end up connected to itself."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        end = int(file.read().split()[0])
    for attempts_left in range(100, -1, -1):
        start = first or random.SystemRandom().randrange(1024, max(end - length, 1025))
        socks = []
        try:
            for number in range(start, start + length):
                socks.append(bound(number))
            return socks
        except (OSError, OverflowError):
            for sock in socks:
                sock.close()
            if first or not attempts_left:
                raise
    return []
