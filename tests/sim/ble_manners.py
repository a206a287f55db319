# SPDX-License-Identifier: GPL-3.0-or-later
"""How a simulated BLE peripheral behaves on the link: politely, or in one of the ways in which a
broken or hostile one would. Each class is one --misbehave, by the text in front of its colon.
"""
import itertools
import random
import socket
import struct

from att_server import COMMAND, INDICATE, NOTIFY, Characteristic, LinkLost, Service

VALUE = (0x1B, 0x1D)        # notification, indication
BURST = 64                  # PDUs of a flood between two looks at what the client says


class Manners:
    """Polite."""

    hasty = False           # indications do not wait for confirmations
    keeps = False           # confirmed records stay in the memory

    def __init__(self, options):
        self.dice = random.Random(f"manners {options.seed}")
        self.device = None

    def shape(self, services):
        """The services of the next connection."""
        return services

    def opened(self, link):
        """The link is there, and nothing has been said."""

    def hears(self, pdu):
        """Whether it takes notice of a PDU."""
        return True

    def outgoing(self, pdu):
        """The PDUs that go out in place of this one."""
        return [pdu]

    def tick(self, link):
        """What it does of its own accord; seconds until the next time, None: never."""
        return None

    def choose(self, entries):
        """The next record to be told, of those that are left; None: no more on this link."""
        return entries[0] if entries else None

    def arrange(self, entries):
        """The records of a report in the order in which they are sent."""
        return entries

    def answers(self, answer):
        """What is sent as the answer of a procedure."""
        return [answer]

    def answered(self):
        """The answer was confirmed."""

    def stragglers(self, entries):
        """Records that are sent though no procedure runs."""
        return []


class AnyLength(Manners):
    """any-length: values of notifications, indications and reads are rubbish of any length"""

    def outgoing(self, pdu):
        head = 3 if pdu[0] in VALUE else 1
        if pdu[0] not in (*VALUE, 0x0B) or self.dice.random() < 0.3:
            return [pdu]
        most = self.dice.choice((1, 4, 20, 20, 64, 512))
        return [pdu[:head] + self.dice.randbytes(self.dice.randint(0, most))]


class AnyOrder(Manners):
    """any-order: PDUs wait for others and go out in any order"""

    def __init__(self, options):
        super().__init__(options)
        self.held = []

    def opened(self, link):
        self.held = []

    def outgoing(self, pdu):
        self.held.append(pdu)
        return self.release() if len(self.held) > 3 else []

    def release(self):
        out, self.held = self.held, []
        self.dice.shuffle(out)
        return out

    def tick(self, link):
        for pdu in self.release():
            link.say(pdu)
        return 0.05


def rubbish(dice, table, opcode):
    """A value for each characteristic that can be sent so."""
    bit = NOTIFY if opcode == 0x1B else INDICATE
    handles = [h for h, a in table.items() if a.properties & bit and a.type != 0x2902]
    return [struct.pack("<BH", opcode, h) + dice.randbytes(dice.randint(0, 20)) for h in handles]


class Flood(Manners):
    """flood: notifications of all it has and of unknown handles, as fast as the link takes them"""

    def tick(self, link):
        pdus = rubbish(self.dice, link.server.table, 0x1B) + [b"\x1b\xfe\xfe" + bytes(17)]
        try:
            for n in range(BURST):
                link.sock.send(pdus[n % len(pdus)], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0.001
        except OSError as error:
            raise LinkLost("peer gone") from error
        return 0


class Early(Manners):
    """early: notifications, an indication and a response before the client has said anything"""

    def opened(self, link):
        for pdu in rubbish(self.dice, link.server.table, 0x1B) * 10:
            link.say(pdu)
        for pdu in rubbish(self.dice, link.server.table, 0x1D)[:1]:
            link.say(pdu)
        link.say(b"\x13")


class NoWait(Manners):
    """no-wait: all indications at once, without waiting for confirmations"""

    hasty = True

    def opened(self, link):
        link.hasty = True
        self.sent = set()

    def choose(self, entries):
        fresh = [e for e in entries if e.key not in self.sent]
        if not fresh:
            return None
        self.sent.add(fresh[0].key)
        return fresh[0]


class WrongOpcode(Manners):
    """wrong-opcode: every third response has another opcode or comes with one nobody asked for"""

    def outgoing(self, pdu):
        if pdu[0] in VALUE or not pdu[0] & 1 or self.dice.random() > 0.34:
            return [pdu]
        return self.dice.choice(([bytes([self.dice.randrange(256)]) + pdu[1:]],
                                 [bytes([self.dice.choice((3, 5, 7, 9, 11, 13, 17))]), pdu],
                                 [pdu, pdu], [pdu[:1]]))


class Mtu(Manners):
    """mtu: agrees to MTUs that are none, asks for its own again and again, and exceeds it"""

    SIZES = (0, 22, 65535, 517, 1)

    def opened(self, link):
        for size in self.SIZES[:3]:
            link.say(struct.pack("<BH", 0x02, size))

    def outgoing(self, pdu):
        if pdu[0] == 0x03:
            return [struct.pack("<BH", 0x03, self.dice.choice(self.SIZES)) + bytes(
                self.dice.randint(0, 2))]
        return [pdu + bytes(300)] if pdu[0] in VALUE and self.dice.random() < 0.5 else [pdu]


class Silent(Manners):
    """silent: accepts the connection and says nothing"""

    def hears(self, pdu):
        return False

    def outgoing(self, pdu):
        return []


class HangUp(Manners):
    """hang-up: accepts the connection and closes it at once"""

    def opened(self, link):
        raise LinkLost("hang-up")


class MovingHandles(Manners):
    """moving-handles: each connection finds other handles, and the services in another order"""

    def shape(self, services):
        pad = [Characteristic(0xFFF1 + n, COMMAND, b"") for n in range(self.dice.randint(1, 9))]
        rest = services[1:]
        self.dice.shuffle(rest)
        return [services[0], Service(0xFFF0, pad), *rest]


class TwinService(Manners):
    """twin-service: its service is there twice; the second one takes everything and says nothing"""

    def shape(self, services):
        twins = [s._replace(characteristics=[c._replace(value=b"", write=lambda value: 0)
                                             for c in s.characteristics])
                 for s in services if s.uuid == self.device.main]
        return services + twins


class RacpWrong(Manners):
    """racp-wrong: answers of RACP name another request or operator, are unknown, cut or too long"""

    def answers(self, answer):
        return [self.dice.choice((
            bytes([7]) + answer[1:], answer[:1] + b"\5" + answer[2:],
            answer[:2] + bytes([answer[2] ^ 5]) + answer[3:], answer[:3] + b"\x7f",
            answer[:2], answer + bytes(16), b""))]


class AfterResponse(Manners):
    """after-response: five records follow the answer of each procedure"""

    def opened(self, link):
        self.due = False

    def answered(self):
        self.due = True

    def stragglers(self, entries):
        due, self.due = self.due, False
        return entries[:5] if due else []


class Endless(Manners):
    """endless: a report, or the telling of what it has, never comes to its end"""

    def more(self):
        return self.device.measure(self.device.random_record(0))

    def arrange(self, entries):
        return itertools.chain(entries, (self.more() for _ in itertools.count()))

    def choose(self, entries):
        return entries[0] if entries else self.more()


class Backwards(Manners):
    """backwards: the newest record comes first, the sequence numbers fall"""

    def arrange(self, entries):
        return entries[::-1]

    def choose(self, entries):
        return entries[-1] if entries else None


class Duplicates(Manners):
    """duplicates: each record is sent twice, and on every link again"""

    keeps = True

    def opened(self, link):
        self.sent = {}

    def arrange(self, entries):
        return [e for e in entries for _ in range(2)]

    def choose(self, entries):
        for entry in entries:
            if self.sent.get(entry.key, 0) < 2:
                self.sent[entry.key] = self.sent.get(entry.key, 0) + 1
                return entry
        return None


MISBEHAVIOURS = {c.__doc__.partition(":")[0]: c for c in Manners.__subclasses__()}
