#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the follow-up rules of FOLLOWUP.md, made from the text alone, to compare the daemon with.

    followup_model.py [SCENARIO]      JSON lines, from stdin without a file

Writes one line for each question. A command that it refuses and the scenario does not, or the reverse, ends
it with the number of the line.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import followup_tables as tables
from followup_commands import Commands, Refused
from followup_identity import Identity
from followup_lists import Lists
from followup_store import Device, Station
from followup_visit import Visits


class Surprise(Exception):
    """The scenario and the model do not agree about a refusal."""


class Model(Identity, Visits, Lists, Commands):
    def __init__(self, config):
        self.zone = tables.Zone(config["zone"])
        self.gateway, self.contract_start = config.get("gateway"), config.get("contract_start", "next_january")
        self.stations = {s["id"]: Station(s) for s in config.get("stations") or []}
        self.devices = {d["id"]: Device(d) for d in config.get("devices") or []}
        self.residents, self.readings, self.visits = {}, {}, []
        self.cards, self.teams, self.names = {}, {}, {}
        self.roster_version, self.chunks = None, []
        self.windows = self.entered = 0
        self.now = 0

    def step(self, line):
        """One line of a scenario; the answer to a question, else None."""
        self.now = self.zone.seconds(line["at"])
        if "unit" in line:
            self.arrive(line["unit"])
        elif "cmd" in line:
            self.do(line)
        elif "ask" in line:
            return {"ask": line["ask"], "answer": getattr(self, "answer_" + line["ask"])(line)}
        return None

    def do(self, line):
        args = dict(line["args"])
        if isinstance(args.get("visit"), str) and args["visit"].startswith("$"):
            args["visit"] = self.named(args["visit"])
        try:
            result = self.command(line["cmd"], args, line.get("by"))
        except Refused as code:
            if line.get("refused") != str(code):
                raise Surprise(f"{line['cmd']} is refused: {code}, the scenario says "
                               f"{line.get('refused')}") from None
            return
        if "refused" in line:
            raise Surprise(f"{line['cmd']} is done, the scenario says it is refused: {line['refused']}")
        if "as" in line:
            if isinstance(result, dict):
                self.names.update({f"${line['as']}.{form}": visit for form, visit in result.items()})
            self.names["$" + line["as"]] = result

    def named(self, name):
        if name not in self.names:
            raise Surprise(f"nothing is named {name}")
        return self.names[name]

    # --- questions

    def answer_filing(self, line):
        keys = line["keys"] if "keys" in line else sorted(self.readings)
        return {key: self.filing(self.readings[key]) for key in keys}

    def filing(self, reading):
        return {"status": reading.status(), "resident": reading.resident, "evidence": reading.evidence,
                "kind": reading.kind, "taken": self.zone.text(reading.taken), "trust": reading.trust}

    def answer_visit(self, line):
        return self.ask_visit(self.named(line["visit"]))

    def answer_due(self, line):
        return self.ask_due(tables.day_of(line["day"]))

    def answer_kpi(self, line):
        return self.ask_kpi(line["month"])

    def answer_home_week(self, line):
        return self.home_week(self.residents[line["resident"]], tables.day_of(line["day"]))

    def answer_resident(self, line):
        resident, today = self.residents[line["resident"]], self.zone.day(self.now)
        age = resident.age(today)
        answer = {"state": resident.state, "in_contract": self.in_contract(resident, today),
                  "age": list(age) if age else None}
        if resident.into:
            answer["merged_into"] = resident.into
        return answer


def run(lines, make=Model):
    """Yields (number of the line, question, answer). make: of the configuration in the first line."""
    model = None
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = json.loads(text)
        if "case" in line:
            continue
        if "config" in line:
            model = make(line["config"])
            continue
        try:
            answer = model.step(line)
        except Surprise as surprise:
            raise Surprise(f"line {number}: {surprise}") from None
        if answer:
            yield number, line, answer


def main():
    source = open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin
    try:
        with source:
            for _, _, answer in run(source):
                print(json.dumps(answer, ensure_ascii=False))
    except Surprise as surprise:
        sys.exit(f"followup_model: {surprise}")


if __name__ == "__main__":
    main()
