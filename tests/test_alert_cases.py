#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-written cases tests/alerts/*.jsonl, through the model tests/sim/alert_model.py and through the daemon's
rooms (build/tests/scenario). Prints TAP, a line for each case and side. Arguments, if any, select cases by what
their names hold.
"""
from cases import run
from harness import BUILD, PYTHON, SIM

if __name__ == "__main__":
    run("alerts", {"model": [PYTHON, SIM + "/alert_model.py"], "daemon": [BUILD + "/tests/scenario"]}, each=True)
