# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw peripheral that pairs: LE legacy pairing as the responder (Just Works, or six digits that it
shows), the bond, and resolvable private addresses. AES is the kernel's.

Source: Core Specification, Vol 3 Part H (SMP): 2.2 functions, 2.3.5 phase 2, 3.5 and 3.6 packets. Here
all numbers are little-endian, as on the air.
"""
import json
import os
import socket
import struct

from rawlink import RawLink, say

REQUEST, RESPONSE, CONFIRM, RANDOM, FAILED = 1, 2, 3, 4, 5
ENCRYPTION_INFORMATION, CENTRAL_IDENTIFICATION = 6, 7
IDENTITY_INFORMATION, IDENTITY_ADDRESS_INFORMATION = 8, 9
DISPLAY_ONLY, NO_INPUT_NO_OUTPUT = 0, 3
BONDING, MITM = 0x01, 0x04
ENC_KEY, ID_KEY = 0x01, 0x02
CONFIRM_VALUE_FAILED = 0x04
RANDOM_ADDRESS = 1


def e(key, block):
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as alg:
        alg.bind(("skcipher", "ecb(aes)"))
        alg.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, key[::-1])
        op, _ = alg.accept()
        with op:
            op.sendmsg_afalg([block[::-1]], op=socket.ALG_OP_ENCRYPT)
            return op.recv(16)[::-1]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def c1(key, rand, request, response, initiator, responder):
    """initiator, responder: type and address, 7 bytes."""
    p1 = initiator[:1] + responder[:1] + request + response
    p2 = responder[1:] + initiator[1:] + bytes(4)
    return e(key, xor(e(key, xor(rand, p1)), p2))


def s1(key, responder_rand, initiator_rand):
    return e(key, initiator_rand[:8] + responder_rand[:8])


def private_address(irk):
    """A new one; whoever has the key can tell whose it is."""
    prand = bytearray(os.urandom(3))
    prand[2] = prand[2] & 0x3F | 0x40
    return e(irk, bytes(prand) + bytes(13))[:3] + bytes(prand)


class PairingLink(RawLink):
    """kind: None (it cannot), "just-works" or "passkey". bond: file of its keys; then it is private, too."""

    def __init__(self, path, address, name, service, kind=None, bond=None):
        self.kind, self.bond = kind, bond
        self.keys = self.load()
        super().__init__(path, address, name, service)
        self.identity = self.address
        if bond:
            self.address = private_address(bytes.fromhex(self.keys["irk"]))

    def load(self):
        if self.bond and os.path.exists(self.bond):
            with open(self.bond, encoding="ascii") as f:
                return json.load(f)
        return {"irk": os.urandom(16).hex()}

    def save(self):
        if self.bond:
            with open(self.bond, "w", encoding="ascii") as f:
                json.dump(self.keys, f)

    def forget_link(self):
        super().forget_link()
        self.request = self.response = self.temporary = self.short_term = None
        self.confirm = self.random = None

    def locked(self):
        return bool(self.kind) and not self.encrypted

    def own(self):
        return bytes([RANDOM_ADDRESS]) + self.address

    def fail(self, reason):
        say("pairing-failed", reason=reason)
        self.smp(bytes([FAILED, reason]))

    def smp_input(self, pdu):
        handlers = {REQUEST: self.requested, CONFIRM: self.confirmed_by, RANDOM: self.revealed}
        if not self.kind or pdu[0] == REQUEST and len(pdu) != 7:
            super().smp_input(pdu)
        elif pdu[0] in handlers:
            handlers[pdu[0]](pdu)
        elif pdu[0] == FAILED:
            say("pairing-failed", reason=pdu[1])

    def requested(self, pdu):
        """Legacy pairing: the answer does not offer Secure Connections."""
        shows = self.kind == "passkey"
        digits = int.from_bytes(os.urandom(4), "little") % 1000000 if shows else 0
        self.temporary = digits.to_bytes(16, "little")
        keys = ENC_KEY | (ID_KEY if self.bond else 0)
        self.request = pdu
        self.response = bytes([RESPONSE, DISPLAY_ONLY if shows else NO_INPUT_NO_OUTPUT, 0,
                               BONDING | (MITM if shows else 0), 16, 0, keys])
        if shows:
            say("displayed", passkey=f"{digits:06}")
        self.smp(self.response)

    def value(self, rand):
        return c1(self.temporary, rand, self.request, self.response, self.peer, self.own())

    def confirmed_by(self, pdu):
        self.confirm, self.random = pdu[1:], os.urandom(16)
        self.smp(bytes([CONFIRM]) + self.value(self.random))

    def revealed(self, pdu):
        if self.value(pdu[1:]) != self.confirm:
            self.fail(CONFIRM_VALUE_FAILED)
            return
        self.short_term = s1(self.temporary, self.random, pdu[1:])
        self.smp(bytes([RANDOM]) + self.random)

    def key_wanted(self, random, diversifier):
        key = self.short_term
        if self.keys.get("id") == (diversifier + random).hex():
            key = bytes.fromhex(self.keys["ltk"])
        if not key:
            super().key_wanted(random, diversifier)
            return
        self.controller.command(8, 0x1A, struct.pack("<H", self.link) + key)

    def secured(self):
        """The keys of the bond go out on the link that the pairing has encrypted."""
        if not self.short_term:
            say("encrypted")
            return
        self.short_term = None
        ltk, name = os.urandom(16), os.urandom(10)
        self.keys.update(ltk=ltk.hex(), id=name.hex())
        self.save()
        self.smp(bytes([ENCRYPTION_INFORMATION]) + ltk)
        self.smp(bytes([CENTRAL_IDENTIFICATION]) + name)
        if self.bond:
            self.smp(bytes([IDENTITY_INFORMATION]) + bytes.fromhex(self.keys["irk"]))
            self.smp(bytes([IDENTITY_ADDRESS_INFORMATION, RANDOM_ADDRESS]) + self.identity)
        say("bonded")
