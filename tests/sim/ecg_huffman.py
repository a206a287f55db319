# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes samples of SCP-ECG: 16 bits, the default Huffman table, random tables, random tables that switch."""
import struct

KINDS = ("none", "zero", "single", "default", "default", "custom", "custom", "switch", "switch")


def leaves(rng, count, deepest):
    """Codes none of which is the beginning of another, and of which one has `deepest` bits."""
    found = ["0" * k + "1" for k in range(deepest)] + ["0" * deepest]
    if rng.random() < 0.5:
        flip = bytes.maketrans(b"01", b"10")
        found = [code.encode().translate(flip).decode() for code in found]
    while len(found) < count:
        code = found.pop(rng.randrange(min(len(found), 12)))
        if len(code) < 32:
            found += [code + "0", code + "1"]
        else:
            found.append(code)
    rng.shuffle(found)
    return found


class Tables:
    """Of one record. A table is a list of (code, extra bits, base, next table or None)."""

    def __init__(self, rng):
        self.rng, self.kind = rng, rng.choice(KINDS)
        self.section, self.tables = None, None
        if self.kind == "zero":
            self.section = struct.pack("<H", 0)
        elif self.kind == "single":
            self.section = struct.pack("<HHBBBhI", 1, 1, 16, 16, 1, 0, 0)
        elif self.kind == "default":
            self.section = struct.pack("<H", 19999) + rng.choice([b"", b"\0\0"])
            self.tables = [[("0", 0, 0, None), ("1111111110", 8, 0, None), ("1111111111", 16, 0, None),
                            *(("1" * n + "0" + sign, 0, n if sign == "0" else -n, None)
                              for n in range(1, 9) for sign in "01")]]
        elif self.kind in ("custom", "switch"):
            count = 1 if self.kind == "custom" else rng.choice([2, 3, 5])
            self.tables = [self.table(k, count) for k in range(count)]
            self.section = struct.pack("<H", count) + b"".join(map(self.packed, self.tables))
        # Where the bytes end before the samples do, no filling may look like a sample.
        self.can_stop_early = self.tables is None or self.kind == "default"

    def table(self, index, count):
        rng = self.rng
        codes = leaves(rng, rng.choice([12, 24, 40]), rng.choice([4, 8, 14, 32]))
        entries = [(codes.pop(), 24, 0, None)]        # takes every value there is
        if count > 1:
            others = [k for k in range(count) if k != index]
            entries += [(codes.pop(), 0, k + 1, k) for k in rng.sample(others, min(len(others), 3))]
        values = iter(sorted(range(-60, 60), key=lambda x: abs(x) + rng.random() * 3))
        for code in codes:
            if rng.random() < 0.2:
                entries.append((code, rng.randrange(1, 25), rng.randrange(-300, 300), None))
            elif rng.random() < 0.8:           # the others are in no table
                entries.append((code, 0, next(values), None))
        if rng.random() < 0.3:                        # never read: something shorter always fits before
            entries += [(code + "01", 0, 77, None) for code, *_ in entries[:3] if len(code) < 31]
        rng.shuffle(entries)
        return entries

    @staticmethod
    def packed(table):
        found = struct.pack("<H", len(table))
        for code, extra, base, following in table:
            found += struct.pack("<BBBhI", len(code), len(code) + extra, following is None, base,
                                 int(code[::-1], 2))
        return found

    def encode(self, values, stop=False):
        """The bytes of one lead. stop: the reader must find nothing behind them."""
        rng = self.rng
        if self.tables is None:
            return struct.pack(f"<{len(values)}h", *values)
        dead = [{code + "01" for code, *_ in table} for table in self.tables]
        bits, current, left = [], 0, 20
        for value in values:
            table = self.tables[current]
            jumps = [entry for entry in table if entry[3] is not None]
            while jumps and left and rng.random() < 0.1:
                bits.append(jumps[0][0] if len(jumps) == 1 else rng.choice(jumps)[0])
                current = next(e[3] for e in jumps if e[0] == bits[-1])
                table, left = self.tables[current], left - 1
                jumps = [entry for entry in table if entry[3] is not None]
            fits = [e for e in table if e[3] is None and e[0] not in dead[current] and self.takes(e, value)]
            code, extra, base, _ = rng.choice(sorted(fits, key=lambda e: len(e[0]) + e[1])[:2])
            bits.append(code + (format((value - base) % (1 << extra), f"0{extra}b") if extra else ""))
        text = "".join(bits)
        text += ("1" if stop else rng.choice("01")) * (-len(text) % 8)
        data = int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:]
        return data if stop else data + b"\0" * (len(data) % 2)

    @staticmethod
    def takes(entry, value):
        _, extra, base, _ = entry
        if not extra:
            return value == base
        return -(1 << extra - 1) <= value - base < 1 << extra - 1
