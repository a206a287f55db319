# SPDX-License-Identifier: GPL-3.0-or-later
"""The Record Access Control Point (2A52), the side of the instrument that holds the records.

    request     op u8, operator u8, [filter type u8, value(s)]
    op          1 report, 2 delete, 3 abort, 4 report the number of records
    operator    0 none (abort), 1 all, 2 <=, 3 >=, 4 within (inclusive), 5 first, 6 last
    filter      1 sequence number u16 (CGM: minutes since the session began), 2 time, 7 bytes
    answers     05 00 count u16; 06 00 op code: 1 success, 2 op not supported, 3 invalid operator,
                4 operator not supported, 5 invalid operand, 6 no records found, 7 abort
                unsuccessful, 8 procedure not completed, 9 operand not supported

One procedure at a time: until the answer is confirmed, every other write but an abort is refused
with an ATT error. The records themselves go out through the measurement characteristic.
"""
import struct

from att_server import CCC_IMPROPER, IN_PROGRESS
from ble_values import civil_of

REPORT, DELETE, ABORT, COUNT, NUMBER, RESPONSE = 1, 2, 3, 4, 5, 6
NONE, ALL, UP_TO, FROM, WITHIN, FIRST, LAST = range(7)
SUCCESS, NO_OP, BAD_OPERATOR, NO_OPERATOR, BAD_OPERAND, NO_RECORDS = 1, 2, 3, 4, 5, 6
ABORT_FAILED, NOT_COMPLETED, NO_OPERAND = 7, 8, 9


class Refusal(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


def operand(operator, rest, filters):
    """(filter type, low, high) of what follows the operator; None where nothing may follow."""
    if operator not in (UP_TO, FROM, WITHIN):
        if rest:
            raise Refusal(BAD_OPERAND)
        return None
    if not rest:
        raise Refusal(BAD_OPERAND)
    size = {1: 2, 2: 7}.get(rest[0])
    if not size or rest[0] not in filters:
        raise Refusal(NO_OPERAND)
    if len(rest) != 1 + size * (2 if operator == WITHIN else 1):
        raise Refusal(BAD_OPERAND)
    values = [rest[i:i + size] for i in range(1, len(rest), size)]
    values = [struct.unpack("<H", v)[0] if size == 2 else civil_of(v) for v in values]
    if None in values or values[0] > values[-1]:
        raise Refusal(BAD_OPERAND)
    return rest[0], values[0], values[-1]


def select(entries, operator, limits, key):
    """Those that the request means. entries are in the order of their numbers; key(entry, filter
    type) is what they are filtered by."""
    if operator == ALL:
        return list(entries)
    if operator == FIRST:
        return entries[:1]
    if operator == LAST:
        return entries[-1:]
    kind, low, high = limits
    return [e for e in entries if (operator == UP_TO or key(e, kind) >= low)
            and (operator == FROM or key(e, kind) <= high)]


class Racp:
    """held(): the entries in the order of their numbers; key(entry, filter type); ready(op):
    whether the client has switched on what an answer needs; erase(entries). What to do next is left
    in report (entries that are to go out, None: no report runs) and answer (bytes)."""

    def __init__(self, options, held, key, ready, erase, note):
        self.options, self.held, self.key = options, held, key
        self.ready, self.erase, self.note = ready, erase, note
        self.busy = options.busy
        self.reset()

    def reset(self):
        """The link is gone, and the procedure with it."""
        self.report, self.answer, self.answering = None, None, False

    def running(self):
        return self.report is not None or self.answer is not None or self.answering

    def write(self, value):
        """The client's write; an ATT error code or 0."""
        old = self.options.old_errors
        op = value[0] if value else 0
        if not self.ready(op):
            self.note("refused", raw=value, why="notifications are off")
            return 0x81 if old else CCC_IMPROPER
        if self.busy > 0 or (self.running() and op != ABORT):
            self.busy -= op != ABORT
            self.note("refused", raw=value, why="procedure in progress")
            return 0x80 if old else IN_PROGRESS
        self.note("request", raw=value)
        try:
            self.serve(value)
        except Refusal as refusal:
            self.answer = struct.pack("<BBBB", RESPONSE, NONE, op, refusal.code)
        return 0

    def serve(self, value):
        if len(value) < 2:
            raise Refusal(BAD_OPERAND)
        op, operator = value[0], value[1]
        if op not in (REPORT, DELETE, ABORT, COUNT) or (op == COUNT and self.options.no_count):
            raise Refusal(NO_OP)
        if op == ABORT:
            self.abort(operator, value[2:])
            return
        if not ALL <= operator <= LAST:
            raise Refusal(BAD_OPERATOR)
        if operator not in self.options.operators or (op, operator) in self.options.unsupported:
            raise Refusal(NO_OPERATOR)
        limits = operand(operator, value[2:], self.options.filters)
        found = select(self.held(), operator, limits, self.key)
        if op == COUNT:
            self.answer = struct.pack("<BBH", NUMBER, NONE, min(len(found), 0xFFFF))
        elif not found:
            raise Refusal(NO_RECORDS)
        elif op == DELETE:
            self.erase(found)
            raise Refusal(SUCCESS)
        else:
            self.report = found

    def abort(self, operator, rest):
        if operator != NONE:
            raise Refusal(BAD_OPERATOR)
        if rest:
            raise Refusal(BAD_OPERAND)
        if self.options.abort_fails:
            raise Refusal(ABORT_FAILED)
        self.report = None
        raise Refusal(SUCCESS)

    def complete(self, code=SUCCESS):
        """All of the report has gone out, or no more will."""
        self.report = None
        self.answer = struct.pack("<BBBB", RESPONSE, NONE, REPORT, code)
