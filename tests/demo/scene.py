# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is there, and how long things take."""
import harness

HOLD = 0.45         # seconds; `readings --follow` looks three times a second
PATIENCE = 60       # for anything to happen on a busy machine
BATCH = 300         # readings in the visit case

LIMITS = {"limit_tests": "GLU", "hi": "33.3 mmol/L", "lo": "0.6 mmol/L"}
STEADY_S = 4        # how long the oximeter's values must be steady; in doubt it is three times that
FINGER_OUT_S = 3.5  # nothing shown for so long, and it is another measurement
GAP_S = 2           # between two blood pressures of a visit; in config/followup.csv it is 60
WARM_S = 2          # the fridge's, until staff are told; in config/alerts.yaml it is 600
# Until the next person is told: of critical alerts, of others, and again; in config/alerts.yaml minutes and hours
ESCALATE = (5, 20, 60)
CHAIN = "D-0003"    # who is told behind each resident's doctor

# Each record is confirmed to these; cuff-4 is not configured, but enrolled.
TOLD = ("cuff-1", "cuff-2", "cuff-3", "cuff-4", "meter-1", "lab-1", "cart-1")
WATCHED = ("ox-1", "fridge-1")                      # they just show something
DEVICES = [
    harness.cuff_device("cuff-1"), harness.cuff_device("cuff-2", station="desk-1"),
    harness.cuff_device("cuff-3"),
    harness.ble_device("meter-1", "bt_glucose"),
    harness.lab_device("lab-1", options=LIMITS), harness.cart_device("cart-1"),
    harness.line_device("ox-1", "nonin", options={"steady_s": STEADY_S})]
ADDRESS = "C0:11:22:33:44:04"                       # of cuff-4


def roster():
    """With somebody behind each doctor."""
    head, *rows = harness.roster().splitlines()
    return "\n".join([head + ",chain", *(row + "," + CHAIN for row in rows)]) + "\n"


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


class Gone(Exception):
    """Nobody can read on: the terminal or the pipe was closed."""


class Trouble(Exception):
    """The show cannot go on; the text says why and what to do."""
