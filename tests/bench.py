#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vitalgate costs, as ratios to what this machine allows: `make bench`, or bench.py --quick.

Wall times of one machine say little about another, and little about the same one an hour later. So
each figure stands beside a lower bound taken in the same run, in turns with it:

    steps   one append of 4 KiB and fdatasync, then one QoS 1 publish and its PUBACK (bench/steps.c)
    floor   one thread that carries the same frames from the same sender through the same rows and
            the same messages to the same subscriber, and does nothing else (bench/floor.c); for
            Modbus one that asks, publishes and stores nothing (bench/modbus_floor.c), for BLE
            notifications one that only stamps them (bench/meters_floor.c), for ECG files memcpy
            and sum (bench/ecg_decode.c) and a program that only answers (bench/ecg_spawn.c)
    peers   collectd and Node-RED, when they are installed; they store nothing (bench/peers.py)

Tables are printed, the last one holds the figures against the aims, and everything goes to
bench.json in the current directory. The exit status says nothing of the aims; a lost reading is
shown.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time

from harness import BUILD, ROOT, SIM

BENCH = os.path.join(ROOT, "tests", "bench")
sys.path.insert(0, BENCH)
sys.path.insert(0, SIM)
from alert_latency import alert_latency                         # noqa: E402
from ble import ble                                             # noqa: E402
from burden import burden                                       # noqa: E402
from ecg import ecg                                             # noqa: E402
from ends import OUT                                            # noqa: E402
from filing import filing                                       # noqa: E402
from growth import growth                                       # noqa: E402
from idle import idle                                           # noqa: E402
from judging import judging                                     # noqa: E402
from pipeline import pipeline                                   # noqa: E402
from polling import polling                                     # noqa: E402
from table import Table                                         # noqa: E402

LIBRARIES = {"analysers": ["-lutil"], "steps": ["-lpaho-mqtt3as"],
             "floor": ["-lpaho-mqtt3as", "-lsqlite3"], "modbus_floor": ["-lpaho-mqtt3as"],
             "meters": [], "meters_floor": [], "ecg_spawn": [],
             "ecg_decode": [f"-I{ROOT}/daemon", f"-I{ROOT}/include", BUILD + "/ecg.a",
                            BUILD + "/core.a", "-lexpat"],
             "judging": [f"-I{ROOT}/daemon", f"-I{ROOT}/include", BUILD + "/core.a", "-lsqlite3", "-lyaml",
                         "-ljansson", "-lmd", "-lsystemd", "-lm"]}
PARTS = {"pipeline": pipeline, "ble": ble, "modbus": polling, "ecg": ecg, "filing": filing, "idle": idle,
         "judging": judging, "burden": burden, "alerts": alert_latency, "growth": growth}


def build():
    os.makedirs(OUT, exist_ok=True)
    for name, libraries in LIBRARIES.items():
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-pthread", "-o",
                        f"{OUT}/{name}", f"{BENCH}/{name}.c", *libraries], check=True)


def options_of():
    parser = argparse.ArgumentParser(description="Costs of vitalgate against lower bounds.")
    add = parser.add_argument
    add("--quick", action="store_true", help="under two minutes, for a first look")
    add("--full", action="store_true", help="also with ten million stored readings")
    add("--only", choices=PARTS, help="one part of it")
    return parser.parse_args()


def main():
    options = options_of()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))   # what we started is ended
    build()
    load, begin = os.getloadavg()[0], time.monotonic()
    table = Table()
    print(f"{os.cpu_count()} CPUs, kernel {platform.release()}, load {load:.1f} before we began"
          f"{'; quick: for a first look only' if options.quick else ''}")
    for name, part in PARTS.items():
        if options.only in (None, name):
            since = time.monotonic()
            part(table, options)
            print(f"({name}: {time.monotonic() - since:.0f} s)", flush=True)
    table.show_aims()
    seconds, load_after = time.monotonic() - begin, os.getloadavg()[0]
    print(f"\nlost: {table.lost}, twice: {table.doubles}; {seconds:.0f} s, "
          f"load {load_after:.1f} after")
    with open("bench.json", "w", encoding="utf-8") as f:
        json.dump({"quick": options.quick, "full": options.full, "only": options.only,
                   "cpus": os.cpu_count(), "kernel": platform.release(), "load_before": load,
                   "load_after": load_after, "seconds": round(seconds), "lost": table.lost,
                   "doubles": table.doubles, "aims": table.aims, "rows": table.rows,
                   **table.sections}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    sys.exit(main())
