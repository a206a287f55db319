# SPDX-License-Identifier: GPL-3.0-or-later
"""The peripheral's side of ATT and GATT: a table of attributes, its server, and a link.

A simulated instrument describes itself as a list of Service, makes a table of it, and has one
AttServer per connection. The server turns requests into responses and knows nothing of sockets;
Link carries it over a unix SOCK_SEQPACKET socket, where one packet is one ATT PDU as on L2CAP
channel 4, and sends indications one at a time.

Values are bytes, or callables that give them; a write handler takes bytes and returns 0 or the
error code to answer with. A UUID is an int of 16 bits or a string of 128.

Source: Bluetooth Core, Vol 3 parts F (ATT) and G (GATT).
"""
import struct
from collections import deque, namedtuple
from itertools import takewhile
from uuid import UUID

from ledger import boottime

ATT_TIMEOUT = 30   # seconds for a confirmation; a bearer that exceeded it is dead (Vol 3 F 3.3.3)
PRIMARY, CHARACTERISTIC, CCC = 0x2800, 0x2803, 0x2902
READ, COMMAND, WRITE, NOTIFY, INDICATE = 0x02, 0x04, 0x08, 0x10, 0x20
INVALID_HANDLE, READ_NOT_PERMITTED, WRITE_NOT_PERMITTED, INVALID_PDU = 1, 2, 3, 4
REQUEST_NOT_SUPPORTED, INVALID_OFFSET, NOT_FOUND, INVALID_LENGTH = 6, 7, 0x0A, 0x0D
INSUFFICIENT_ENCRYPTION, UNSUPPORTED_GROUP_TYPE = 0x0F, 0x10
CCC_IMPROPER, IN_PROGRESS = 0xFD, 0xFE      # common to all services; 0x81 and 0x80 in old ones
UUID_BASE = bytes.fromhex("fb349b5f8000008000100000")   # in front of a short UUID, little-endian

Service = namedtuple("Service", "uuid characteristics start", defaults=(None,))
Characteristic = namedtuple("Characteristic", "uuid properties value write protected",
                            defaults=(None, None, False))
Attribute = namedtuple("Attribute", "type value end write properties protected",
                       defaults=(None, 0, False))


def uuid_bytes(uuid):
    return struct.pack("<H", uuid) if isinstance(uuid, int) else UUID(uuid).bytes[::-1]


def uuid_of(raw):
    """The int or string behind 2 or 16 bytes."""
    if len(raw) == 16 and raw[:12] == UUID_BASE and raw[14:] == b"\0\0":
        raw = raw[12:14]
    if len(raw) == 2:
        return struct.unpack("<H", raw)[0]
    if len(raw) == 16:
        return str(UUID(bytes=raw[::-1]))
    raise AttError(INVALID_PDU)


def attribute_table(services):
    """The GATT database, handle -> Attribute. It has gaps, and its last group ends at 0xFFFF."""
    table, free = {}, 1
    for service in services:
        start = service.start or (1 if free == 1 else (free + 15) // 16 * 16)
        handle = start + 1
        for c in service.characteristics:
            declaration = struct.pack("<BH", c.properties, handle + 1) + uuid_bytes(c.uuid)
            table[handle] = Attribute(CHARACTERISTIC, declaration, handle)
            table[handle + 1] = Attribute(c.uuid, c.value, handle + 1, c.write, c.properties,
                                          c.protected)
            handle += 2
            if c.properties & (NOTIFY | INDICATE):
                table[handle] = Attribute(CCC, None, handle, None, c.properties, c.protected)
                handle += 1
        free = handle
        end = 0xFFFF if service is services[-1] else handle - 1
        table[start] = Attribute(PRIMARY, uuid_bytes(service.uuid), end)
    return dict(sorted(table.items()))


def handle_of(table, uuid, nth=0):
    """Of the value of a characteristic."""
    return [h for h, a in table.items() if a.type == uuid][nth]


class AttError(Exception):
    def __init__(self, code, handle=0):
        super().__init__(code)
        self.code, self.handle = code, handle


class AttServer:
    """Requests in, responses out.

    ccc       {handle of a characteristic's value: what the client wrote}; a bonded meter hands in
              what the last link left
    changed   called with (handle of the value, what the client wants written); 0 or an error
    locked    called for protected attributes: true while the link is not encrypted
    """

    def __init__(self, table, mtu, changed=None, ccc=None, locked=None):
        self.table, self.own_mtu, self.mtu = table, mtu, 23
        self.changed, self.locked = changed, locked
        self.ccc = {} if ccc is None else ccc
        self.requests = {0x02: self.exchange_mtu, 0x04: self.find_information,
                         0x06: self.find_by_type_value, 0x08: self.read_by_type,
                         0x0A: self.read, 0x0C: self.read_blob,
                         0x10: self.read_by_group_type, 0x12: self.write_request}

    def respond(self, pdu):
        """The response to a request; None for commands, which have no answer."""
        opcode = pdu[0]
        if opcode & 0x40:
            self.command(pdu)
            return None
        try:
            if opcode not in self.requests:
                raise AttError(REQUEST_NOT_SUPPORTED)
            return self.requests[opcode](pdu[1:])
        except AttError as error:
            return struct.pack("<BBHB", 0x01, opcode, error.handle, error.code)
        except struct.error:
            return struct.pack("<BBHB", 0x01, opcode, 0, INVALID_PDU)

    def command(self, pdu):
        if pdu[0] == 0x52 and len(pdu) >= 3:
            attribute = self.table.get(struct.unpack_from("<H", pdu, 1)[0])
            if attribute and attribute.write and attribute.properties & COMMAND:
                attribute.write(pdu[3:])

    def agree_mtu(self, theirs):
        self.mtu = max(23, min(theirs, self.own_mtu))

    def exchange_mtu(self, body):
        theirs, = struct.unpack("<H", body)
        self.agree_mtu(theirs)
        return struct.pack("<BH", 0x03, self.own_mtu)

    def in_range(self, body):
        """The attributes between the two handles that most requests begin with."""
        start, end = struct.unpack_from("<HH", body)
        if start == 0 or start > end:
            raise AttError(INVALID_HANDLE, start)
        return start, [(h, a) for h, a in self.table.items() if start <= h <= end]

    def of_type(self, body, uuid):
        start, found = self.in_range(body)
        found = [(h, a) for h, a in found if a.type == uuid]
        if not found:
            raise AttError(NOT_FOUND, start)
        return found

    def attribute(self, handle):
        if handle not in self.table:
            raise AttError(INVALID_HANDLE, handle)
        return self.table[handle]

    def unlock(self, handle):
        if self.table[handle].protected and self.locked and self.locked():
            raise AttError(INSUFFICIENT_ENCRYPTION, handle)

    def value(self, handle):
        attribute = self.attribute(handle)
        if attribute.type == CCC:
            return struct.pack("<H", self.ccc.get(handle - 1, 0))
        value = attribute.value
        if value is None:
            raise AttError(READ_NOT_PERMITTED, handle)
        self.unlock(handle)
        return value() if callable(value) else value

    def find_information(self, body):
        start, found = self.in_range(body)
        if not found:
            raise AttError(NOT_FOUND, start)
        pairs = [(h, uuid_bytes(a.type)) for h, a in found]
        size = len(pairs[0][1])
        pairs = [struct.pack("<H", h) + u for h, u in takewhile(lambda p: len(p[1]) == size, pairs)]
        fit = (self.mtu - 2) // (2 + size)
        return bytes([0x05, 1 if size == 2 else 2]) + b"".join(pairs[:fit])

    def find_by_type_value(self, body):
        uuid, = struct.unpack_from("<H", body, 4)
        wanted = body[6:]
        if len(wanted) == 16:
            wanted = uuid_bytes(uuid_of(wanted))
        found = [(h, a) for h, a in self.of_type(body, uuid) if a.value == wanted]
        if not found:
            raise AttError(NOT_FOUND, struct.unpack_from("<H", body)[0])
        pairs = [struct.pack("<HH", h, a.end) for h, a in found]
        return b"\x07" + b"".join(pairs[:(self.mtu - 1) // 4])

    def list_of(self, opcode, entries):
        """Entries of one length only, up to the first of another, as many as fit."""
        length = len(entries[0])
        size = min(length, self.mtu - 2, 255)
        entries = [e[:size] for e in takewhile(lambda e: len(e) == length, entries)]
        return bytes([opcode, size]) + b"".join(entries[:(self.mtu - 2) // size])

    def read_by_type(self, body):
        entries = []
        for handle, _ in self.of_type(body, uuid_of(body[4:])):
            try:
                entries.append(struct.pack("<H", handle) + self.value(handle))
            except AttError:
                if entries:
                    break
                raise
        return self.list_of(0x09, entries)

    def read_by_group_type(self, body):
        if uuid_of(body[4:]) != PRIMARY:
            raise AttError(UNSUPPORTED_GROUP_TYPE, struct.unpack_from("<H", body)[0])
        return self.list_of(0x11, [struct.pack("<HH", h, a.end) + a.value
                                   for h, a in self.of_type(body, PRIMARY)])

    def read(self, body):
        handle, = struct.unpack("<H", body)
        return b"\x0b" + self.value(handle)[:self.mtu - 1]

    def read_blob(self, body):
        handle, offset = struct.unpack("<HH", body)
        value = self.value(handle)
        if offset > len(value):
            raise AttError(INVALID_OFFSET, handle)
        return b"\x0d" + value[offset:offset + self.mtu - 1]

    def write_request(self, body):
        handle, = struct.unpack_from("<H", body)
        attribute = self.attribute(handle)
        if attribute.type == CCC:
            error = self.write_ccc(handle, attribute, body[2:])
        elif attribute.write and attribute.properties & WRITE:
            self.unlock(handle)
            error = attribute.write(body[2:])
        else:
            error = WRITE_NOT_PERMITTED
        if error:
            raise AttError(error, handle)
        return b"\x13"

    def write_ccc(self, handle, attribute, value):
        """Bits that the characteristic does not have are not kept."""
        if len(value) != 2:
            return INVALID_LENGTH
        self.unlock(handle)
        wanted = struct.unpack("<H", value)[0] & (attribute.properties >> 4 & 3)
        error = self.changed(handle - 1, wanted) if self.changed else 0
        if not error:
            self.ccc[handle - 1] = wanted
        return error


class LinkLost(Exception):
    pass


class Link:
    """A connection: the server's answers, notifications, and indications one at a time.

    outgoing  called with each PDU that is to go out; the PDUs that go out instead of it
    strange   called with a PDU that is no business of a server: a response nobody asked for
    """

    def __init__(self, sock, server, outgoing, strange):
        self.sock, self.server, self.outgoing, self.strange = sock, server, outgoing, strange
        self.hasty = False               # bad manners: it does not wait for confirmations
        self.queue = deque()             # indications that wait for their turn
        self.outstanding = deque()       # what to call at the confirmation of those under way
        self.since = self.heard = self.spoke = self.opened = boottime()
        sock.settimeout(20)              # a client that does not read for so long has hung

    def send(self, pdu):
        for one in self.outgoing(pdu):
            self.say(one)
            self.spoke = boottime()

    def say(self, pdu):
        """A PDU as it is, past outgoing()."""
        try:
            self.sock.send(pdu)
        except OSError as error:
            raise LinkLost("peer gone") from error

    def wants(self, handle):
        """Whether the client has switched this characteristic on."""
        return bool(self.server.ccc.get(handle, 0))

    def notify(self, handle, value):
        """Returns the value as it went out."""
        value = value[:self.server.mtu - 3]
        self.send(struct.pack("<BH", 0x1B, handle) + value)
        return value

    def indicate(self, handle, value, confirmed=None):
        """confirmed() is called when the confirmation has come, or never."""
        self.queue.append((handle, value[:self.server.mtu - 3], confirmed))
        self.next_indication()
        return value[:self.server.mtu - 3]

    def next_indication(self):
        if self.queue and (self.hasty or not self.outstanding):
            handle, value, confirmed = self.queue.popleft()
            self.outstanding.append(confirmed or (lambda: None))
            self.since = boottime()
            self.send(struct.pack("<BH", 0x1D, handle) + value)

    def patience(self):
        """Seconds until the confirmation that we wait for is too late; None when we wait for
        none."""
        return self.since + ATT_TIMEOUT - boottime() if self.outstanding else None

    def receive(self):
        try:
            pdu = self.sock.recv(4096)
        except OSError as error:
            raise LinkLost("peer gone") from error
        if not pdu:
            raise LinkLost("peer closed")
        self.heard = boottime()
        return pdu

    def serve(self, pdu):
        if pdu[0] == 0x1E:
            if self.outstanding:
                self.outstanding.popleft()()
                self.next_indication()
            else:
                self.strange(pdu)
        elif pdu[0] & 0x41 == 0x01:      # a response or notification that nobody asked for
            self.strange(pdu)
        else:
            response = self.server.respond(pdu)
            if response:
                self.send(response)
