# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic ECGs of nobody for the bench: one heart, written in every way that the decoder knows.

SCP records come from tests/sim/scp_file.py, which writes samples raw and as first differences by
the default Huffman table. Second differences and a table of the file's own are put into its record.
"""
import heapq
import itertools
import json
import os
import random
import struct
import subprocess
from collections import Counter

import scp_file
from harness import BUILD

SAMPLES = 5000          # of each lead: ten seconds
ESCAPE_BITS = 16        # of a value that has no code of its own
COMMON = 127            # greatest magnitude of one that has
PROGRAM = os.path.join(BUILD, "vitalgate-ecg")


def sections_of(record):
    """{number: body} of all sections but the first."""
    found, head = {}, scp_file.RECORD_HEAD + scp_file.HEAD
    for i in range(scp_file.SECTIONS):
        number, length, index = struct.unpack_from("<HII", record, head + i * scp_file.POINTER)
        if number and length:
            found[number] = record[index - 1 + scp_file.HEAD:index - 1 + length]
    return found


def record_of(bodies):
    """A record of these sections."""
    first = scp_file.HEAD + scp_file.SECTIONS * scp_file.POINTER
    pointers, at, rest = [struct.pack("<HII", 0, first, 7)], scp_file.RECORD_HEAD + first, b""
    for number in range(1, scp_file.SECTIONS):
        section = scp_file.section(number, bodies[number]) if number in bodies else b""
        pointers.append(struct.pack("<HII", number, len(section), at + 1 if section else 0))
        at += len(section)
        rest += section
    rest = struct.pack("<I", at) + scp_file.section(0, b"".join(pointers)) + rest
    return struct.pack("<H", scp_file.crc(rest)) + rest


def second_differences(samples):
    """The first two samples stand as they are."""
    return samples[:2] + [c - 2 * b + a for a, b, c in zip(samples, samples[1:], samples[2:])]


def packed(bits):
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def own_codes(values):
    """{value: bits} for those that are common, None for the others: a Huffman code of their own."""
    counts = Counter(v if abs(v) <= COMMON else None for v in values)
    counts.setdefault(None, 1)
    order = itertools.count()
    heap = [(n, next(order), [value]) for value, n in counts.items()]
    codes = dict.fromkeys(counts, "")
    heapq.heapify(heap)
    while len(heap) > 1:
        (n0, _, zeros), (n1, _, ones) = heapq.heappop(heap), heapq.heappop(heap)
        for bit, of in (("0", zeros), ("1", ones)):
            codes.update((v, bit + codes[v]) for v in of)
        heapq.heappush(heap, (n0 + n1, next(order), zeros + ones))
    return codes


def own_table(codes):
    """Section 2 with this one table. The first bit of a code is bit 0 of its word."""
    entries = b"".join(
        struct.pack("<BBBhI", len(bits), len(bits) + (ESCAPE_BITS if value is None else 0), 1,
                    value or 0, int(bits[::-1], 2)) for value, bits in codes.items())
    return struct.pack("<HH", 1, len(codes)) + entries


def own_code(codes, value):
    if abs(value) <= COMMON:
        return codes[value]
    return codes[None] + format(value & 0xFFFF, f"0{ESCAPE_BITS}b")


def scp(leads, own=False):
    """A record of these leads in second differences."""
    bodies = sections_of(scp_file.make({"samples": SAMPLES, "huffman": True}))
    values = [second_differences(samples) for samples in leads.values()]
    code = scp_file.huffman_code
    if own:
        codes = own_codes(itertools.chain.from_iterable(values))
        bodies[2], code = own_table(codes), lambda value: own_code(codes, value)
    pieces = [packed("".join(map(code, of))) for of in values]
    bodies[6] = bodies[6][:4] + b"\x02\0" + b"".join(
        struct.pack("<H", len(p)) for p in pieces) + b"".join(pieces)
    return record_of(bodies)


def aecg(leads):
    """HL7 annotated ECG, digits in lines of 20."""
    def lines(samples):
        return "\n".join(" ".join(map(str, samples[i:i + 20])) for i in range(0, len(samples), 20))

    sequences = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}"/>'
        '<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/><scale value="2.5" unit="uV"/>\n'
        f"<digits>{lines(samples)}</digits></value></sequence></component>\n"
        for name, samples in leads.items())
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<AnnotatedECG xmlns="urn:hl7-org:v3" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n<component><series>'
            '<code code="RHYTHM"/><effectiveTime><low value="20260131080910+0800"/></effectiveTime>'
            '<component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/>'
            '<value xsi:type="GLIST_TS"><head value="20260131080910"/>'
            '<increment value="0.002" unit="s"/></value></sequence></component>\n'
            f"{sequences}</sequenceSet></component></series></component></AnnotatedECG>\n").encode()


def checked(name, data, leads):
    """`data`, when the decoder finds these leads in it: else its speed says nothing."""
    said = json.loads(subprocess.run([PROGRAM, "--samples", "all"], input=data, check=True,
                                     stdout=subprocess.PIPE).stdout)
    found = {x["name"]: x["samples"] for x in said.get("leads", []) if not x["derived"]}
    if found != leads or said["warnings"]:
        raise RuntimeError(f"{name} is decoded wrong: {said.get('rejected')} {said['warnings']}")
    return data


def kinds():
    """{name: (bytes, samples of all leads)}; the table is the default one where nothing is said."""
    leads = scp_file.waveform(scp_file.DEFAULTS, SAMPLES)
    made = {"SCP raw": scp_file.make({"samples": SAMPLES}),
            "SCP 1st differences": scp_file.make({"samples": SAMPLES, "huffman": True}),
            "SCP 2nd differences": scp(leads),
            "SCP 2nd differences, own table": scp(leads, own=True),
            "aECG": aecg(leads)}
    return {name: (checked(name, data, leads), SAMPLES * len(leads)) for name, data in made.items()}


def studies(count, size, first):
    """So many records of so many bytes, each another one: what fills them up differs."""
    bodies = sections_of(scp_file.make({"patient": "R-0001", "huffman": True, "bytes": size}))
    for number in range(first, first + count):
        ballast = random.Random(number).randbytes(len(bodies[9]))
        yield record_of({**bodies, 9: ballast})
