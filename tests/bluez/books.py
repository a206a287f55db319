# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of a simulated peripheral against what the platform has of it: every record once, with its
number, and nothing else.
"""
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

from guest import OUT, Failed, Meter, check, json_lines, wait_for

ZONE = {"TZ": "Asia/Shanghai"}  # what the instruments' clocks show
NO_READING = ("control", "control-site", "error", "none")
GLUCOSE = {"fasting": "glu.fasting", "ketone": "ketone", "isf": "glu.isf"}


def glucose(record):
    """{kind: number} of a record in mmol/L."""
    return {GLUCOSE.get(record["what"], "glu.random"): float(record["value"])}


def pressure_of(record):
    return {"bp.sbp": record["sys"], "bp.dbp": record["dia"]}


def oxygen(record):
    return {"spo2": record["spo2"], "spo2.pulse": record["pulse"]}


def weight(record):
    """The scale has steps of 5 g, the platform's kilograms two decimals."""
    return {"weight": float(Decimal(record["weight"]).quantize(Decimal("0.01"), ROUND_HALF_UP))}


def temperature(record):
    return {"temp": float(record["value"])}


class Book:
    """`device` is the gateway's name of it and the peripheral's own."""

    def __init__(self, broker, device):
        self.broker, self.device = broker, device
        self.path = f"{OUT}/{device}.ledger"

    def options(self):
        return "--name", self.device, "--ledger", self.path

    def events(self, *what):
        return [e for e in json_lines(self.path) if e["event"] in what]

    def count(self, *what):
        return len(self.events(*what))

    def measured(self):
        """{key: record}, as it was last sent."""
        found = {e["key"]: e["record"] for e in self.events("measured")}
        found.update({e["key"]: e["record"] for e in self.events("sent") if e["key"] in found})
        return found

    def wanted(self):
        return [r for r in self.measured().values() if r.get("what") not in NO_READING]

    def rows(self):
        """What the platform has of it, the newest revision of each id."""
        newest = {}
        for message in self.broker.messages("up/reading"):
            for row in message["readings"]:
                if (row["device"]["id"] == self.device
                        and row["revision"] >= newest.get(row["id"], row)["revision"]):
                    newest[row["id"]] = row
        return list(newest.values())

    def check_fingers(self, name, count, timeout_s=90):
        """One reading of each finger that stayed, with numbers that were shown."""
        def steady():
            return [e["record"] for e in self.events("complete")
                    if e["record"]["phase"] == "steady"]

        try:
            wait_for(name, lambda: len(steady()) >= count and len(self.rows()) >= count, timeout_s)
        except Failed:
            pass
        shown, rows = steady(), sorted(self.rows(), key=lambda r: r["time"]["boot_ms"])
        fits = [dict(numbered(row)) for row in rows]
        check(f"{name}: readings of {count} fingers, with numbers that were shown",
              len(shown) == len(rows) == count and all(
                  least <= row.get(kind, -1) <= most for s, row in zip(shown, fits)
                  for kind, (least, _, most) in (("spo2", s["spo2_shown"]),
                                                 ("spo2.pulse", s["pulse_shown"]))),
              f"shown {shown}", f"rows {fits}")

    def check(self, name, numbers, records, timeout_s=60):
        """Waits until there is a row for each of so many records, and compares."""
        try:
            wait_for(name, lambda: len(self.measured()) >= records
                     and len(self.rows()) >= len(self.wanted()), timeout_s)
        except Failed:
            pass
        rows = Counter((r["time"]["device"], numbered(r)) for r in self.rows())
        ledger = Counter((r["time"], frozenset(numbers(r).items())) for r in self.wanted())
        check(f"{name}: the platform's {len(self.wanted())} rows are the ledger, each once",
              len(self.measured()) == records and covers(rows, ledger),
              f"records {len(self.measured())} of {records}, rows {sum(rows.values())}",
              f"missing {list((ledger - thin(rows, ledger)).items())[:5]}",
              f"rows {list(rows.items())[:5]}")


def numbered(row):
    return frozenset((k, v["value"]) for k, v in row["values"].items() if "value" in v)


def thin(rows, ledger):
    """Rows, cut to the numbers that a ledger's record has: a row may have more."""
    kinds = {moment: {k for k, _ in numbers} for moment, numbers in ledger}
    cut = Counter()
    for (moment, numbers), n in rows.items():
        cut[moment, frozenset((k, v) for k, v in numbers if k in kinds.get(moment, ()))] += n
    return cut


def covers(rows, ledger):
    return thin(rows, ledger) == ledger


def air_meter(book, address, kind, *options):
    return Meter("airmeter.py", address, kind, *book.options(), *options, env=ZONE)


def bus_meter(book, adapter, kind, *options, **more):
    return Meter("gattmeter.py", adapter, kind, *book.options(), *options, env=ZONE, **more)
