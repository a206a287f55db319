#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls of the tree: who may include what, which symbols a driver may need, which file has which test,
and what no file may contain. Where a wall has a door, the door is listed here with its reason."""
import fnmatch
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
LINES_MAX = 600

DRIVER_MAY_INCLUDE = {"string.h", "stddef.h", "stdint.h", "stdbool.h"}
DRIVER_MAY_NEED = {"memcpy", "memmove", "memset", "memcmp", "memchr"}
# As a compiler would build it without hardening and sanitizers, which add symbols of their own.
DRIVER_FLAGS = ["-std=gnu17", "-O2", "-fno-stack-protector", "-U_FORTIFY_SOURCE", "-fno-pie",
                "-fno-sanitize=all", "-Iinclude"]

# Engines: what profiles of config/profiles/ are decoded by; each profile has captures of its own.
ENGINES = {"line": "vg_line", "registers": "vg_registers"}

# Foreign headers, and the only files that may name them.
FOREIGN = {
    "sqlite3.h": ["daemon/db.c"],
    "MQTT*.h": ["daemon/uplink/*"],
    "bluetooth/*.h": ["daemon/ble*", "daemon/rfcomm*", "daemon/sdp*"],
    "modbus/*.h": ["daemon/modbus*"],
    "systemd/sd-bus.h": ["daemon/bluez*"],
    "systemd/sd-event.h": ["daemon/*"],
    "systemd/sd-daemon.h": ["daemon/main.c", "daemon/uplink/main.c"],
    "yaml.h": ["daemon/config*.c", "daemon/yamlmap.*"],
    "jansson.h": [
        "daemon/command.h",  # commands
        "daemon/stored.c",
        "daemon/alert_text.c",  # rules that fired, as they are stored
        "daemon/outbox_receipt.c",
        "daemon/study.c",  # what the decoder said
        "daemon/proposal*",  # answers of persons
        "daemon/cli/*",  # replies
    ],
    "sha2.h": ["daemon/reading.c", "daemon/intake.c", "daemon/card.c", "daemon/study.c", "daemon/cli/*"],
    "sodium.h": ["daemon/label.c"],
    "expat.h": ["daemon/ecg/aecg.c"],
    "seccomp.h": ["daemon/ecg/sandbox.c"],
    "iconv.h": ["daemon/ecg/text.c"],
    "cairo/*.h": ["daemon/cli/sheet*"],
}

C_LIBRARY = set("""
    assert.h ctype.h dirent.h errno.h fcntl.h ftw.h getopt.h grp.h inttypes.h limits.h locale.h math.h netdb.h
    poll.h pthread.h pwd.h sched.h signal.h spawn.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h
    stdlib.h string.h strings.h sys/epoll.h sys/eventfd.h sys/file.h sys/inotify.h sys/ioctl.h sys/mman.h
    sys/syscall.h
    netinet/in.h netinet/tcp.h sys/prctl.h sys/random.h sys/resource.h sys/select.h sys/socket.h sys/stat.h sys/statvfs.h sys/time.h sys/timerfd.h sys/timex.h
    sys/types.h sys/uio.h sys/un.h sys/utsname.h sys/wait.h sysexits.h syslog.h termios.h time.h unistd.h
    wchar.h wctype.h
""".split())

# Files without a test of their own name, and the test that goes through them instead.
TESTED_BY = {
    "daemon/main.c": "tests/test_e2e.py",  # a program's beginning and end
    "daemon/filing.c": "tests/test_intake.c",  # what follows from a reading
    "daemon/assign.c": "tests/test_intake.c",
    "daemon/db_steps.c": "tests/test_migrate.c",
    "daemon/fault.c": "tests/test_rule_read.c",  # each sentence of a rule file in both languages
    "daemon/condition.c": "tests/test_place.c",
    "daemon/report_state.c": "tests/test_report.c",
    "daemon/study_later.c": "tests/test_study.c",
    "daemon/card.c": "tests/test_station_command.c",  # and its table
    "daemon/visit_ask.c": "tests/test_visit_command.c",
    "daemon/visit_body.c": "tests/test_visit_command.c",
    "daemon/visit_freeze.c": "tests/test_visit_command.c",
    "daemon/merge.c": "tests/test_resident_command.c",
    "daemon/erase.c": "tests/test_resident_command.c",
    "daemon/roster_check.c": "tests/test_roster.c",
    "daemon/resident_show.c": "tests/test_resident_command.c",
    "daemon/acknowledge.c": "tests/test_alert_command.c",
    "daemon/alert_sent.c": "tests/test_outbox.c",
    "daemon/outbox_sinks.c": "tests/test_outbox.c",
    "daemon/outbox_body.c": "tests/test_outbox.c",
    "daemon/outbox_receipt.c": "tests/test_outbox.c",
    "daemon/act.c": "tests/test_command.c",  # what the table of commands calls
    "daemon/query.c": "tests/test_command.c",
    "daemon/config_keys.c": "tests/test_config.c",  # the table of keys
    "daemon/config_check.c": "tests/test_config.c",
    "daemon/bluez_adapter.c": "tests/test_bluez_bus.c",
    "daemon/bluez_device.c": "tests/test_bluez_scan.c",
    "daemon/bluez_forget.c": "tests/test_bluez_pair.c",
    "daemon/device.c": "tests/test_devices.c",
    "daemon/enrol_match.c": "tests/test_enrol_judge.c",
    "daemon/enrol_gateway.c": "tests/test_enrol_e2e.py",
    "daemon/enrol_command.c": "tests/test_enrol_e2e.py",
    "daemon/news.c": "tests/test_reload.c",
    "daemon/driver.c": "tests/test_policy.c",
    "daemon/session_calls.c": "tests/test_session.c",
    "daemon/yamlmap.c": "tests/test_profile.c",
    "daemon/profile_line.c": "tests/test_profile.c",
    "daemon/profile_registers.c": "tests/test_registers.c",
    "daemon/ble_socket.c": "tests/test_ble.c",
    "daemon/ble_wants.c": "tests/test_ble.c",
    "daemon/ble_uid.c": "tests/test_ble.c",
    "daemon/modbus_bus.c": "tests/test_modbus.c",  # the thread's side of the transport
    "daemon/modbus_link.c": "tests/test_modbus.c",
    "daemon/modbus_poll.c": "tests/test_modbus.c",
    "daemon/modbus_worker.c": "tests/test_modbus.c",
    "daemon/rfcomm_socket.c": "tests/test_rfcomm.c",
    "daemon/tty.c": "tests/test_serial.c",
    "daemon/spool_worker.c": "tests/test_spool.c",  # the thread's side of the transport
    "daemon/child.c": "tests/test_hook.c",
    "daemon/decoder_start.c": "tests/test_decoder.c",
    "daemon/cli/client.c": "tests/test_cli.py",
    "daemon/cli/alerts.c": "tests/test_words_cli.py",
    "daemon/cli/rules.c": "tests/test_rules_cli.py",
    "daemon/cli/rehearse.c": "tests/test_rules_cli.py",
    "daemon/cli/rehearse_from.c": "tests/test_rules_cli.py",
    "daemon/cli/decode.c": "tests/test_captures.py",
    "daemon/cli/ecg.c": "tests/test_ecg_cli.py",
    "daemon/cli/ecg_decoder.c": "tests/test_ecg_cli.py",
    "daemon/cli/ecg_original.c": "tests/test_ecg_cli.py",
    "daemon/cli/main.c": "tests/test_cli.py",
    "daemon/cli/names.c": "tests/test_names_cli.py",
    "daemon/cli/people.c": "tests/test_words_cli.py",
    "daemon/cli/readings.c": "tests/test_words_cli.py",
    "daemon/cli/visit.c": "tests/test_words_cli.py",
    "daemon/cli/followup.c": "tests/test_words_cli.py",
    "daemon/cli/words.c": "tests/test_words_cli.py",
    "daemon/cli/sheet_head.c": "tests/test_sheet.py",
    "daemon/cli/sheet_picture.c": "tests/test_sheet.py",
    "daemon/cli/sheet_type.c": "tests/test_sheet.py",
    "daemon/cli/sheet_wave.c": "tests/test_sheet.py",
    "daemon/cli/sheet_words.c": "tests/test_sheet.py",
    "daemon/cli/show.c": "tests/test_e2e.py",  # texts from a daemon's replies
    "daemon/uplink/main.c": "tests/test_uplink.py",
    "daemon/uplink/mqtt.c": "tests/test_uplink.py",
    "daemon/uplink/notes.c": "tests/test_uplink.py",
    "daemon/uplink/credential.c": "tests/test_uplink.py",
    "daemon/cli/udev.c": "tests/test_systemd.py",
    "daemon/ecg/main.c": "tests/test_ecg_sandbox.py",
    "daemon/ecg/sandbox.c": "tests/test_ecg_sandbox.py",
    "daemon/ecg/formats.c": "tests/test_ecg_sandbox.py",
    "daemon/ecg/scp_signal.c": "tests/test_scp_rhythm.c",
    "daemon/ecg/pdf.c": "tests/test_dicom.c",
}

# Longer than LINES_MAX, and why they are still one file.
LONG = {
    "drivers/xmodem.c": "a driver is one file: XMODEM and YMODEM, and what a bad line does to them",
    "drivers/lis01.c": "a driver is one file: link layer and records of one standard",
    "drivers/xmodem.c": "a driver is one file: blocks, files, and what may leave of them",
    "tests/test_config.c": "every sentence that refuses a file",
    "tests/test_uplink.py": "scenarios with one broker and one rig",
    "tests/test_sim.py": "both simulated instruments, one after the other",
    "tests/test_ble.c": "one rig: a peer that answers packet by packet",
    "tests/test_e2e.py": "scenarios with one site",
    "tests/test_outbox.c": "one rig: a database and a clock",
    "tests/test_instruments_e2e.py": "scenarios of every kind of instrument",
    "tests/test_registers.c": "one case for each step of an item",
    "tests/test_sim_modbus.py": "each fault on both kinds of link",
    "tests/test_study.c": "every word of a decoder and what follows from it, with one rig",
    "tests/test_report.c": "every word of the centre and every clock, with one rig",
    "tests/test_visit_facts.c": "every condition under which a reading is a visit's, with one rig",
    "tests/test_intake.c": "every decision about a unit, with one rig",
    "tests/test_session.c": "every call of a driver and every word to it, with one rig",
    "tests/test_xmodem.c": "the receiver against captures, a clock and a model sender, with one rig",
    "drivers/bt_glucose.c": "a driver is one file: measurements, contexts and records of one service",
}


def files(*patterns):
    """Paths under the root, without what is built and what git keeps."""
    for path in sorted(ROOT.rglob("*")):
        name = path.relative_to(ROOT).as_posix()
        top = name.split("/", 1)[0]
        if path.is_file() and not top.startswith(("build", ".git/")) and top != ".git" and \
                "__pycache__" not in name and \
                (not patterns or any(fnmatch.fnmatch(name, p) for p in patterns)):
            yield name


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def includes(name):
    """(line, header, quoted) of each include."""
    for number, line in enumerate(read(name).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found[2], found[1] == '"'


def drivers():
    return re.findall(r"^VG_DRIVER\((\w+)\)", read("drivers/list.h"), re.M)


# --- includes

def check_drivers_see_only_the_contract():
    faults = []
    for name in files("drivers/*.c", "drivers/*.h", "tests/skeletons/*"):
        for line, header, quoted in includes(name):
            own = quoted and header == "skeletons.h" and name.startswith("tests/")
            if quoted and not own or not quoted and not (
                    header.startswith("vitalgate/") or header in DRIVER_MAY_INCLUDE):
                faults.append(f"{name}:{line}: a driver must not include {header}")
    return faults


def check_contract_sees_nothing_of_the_daemon():
    return [f"{name}:{line}: the contract must not include {header}"
            for name in files("include/*") for line, header, quoted in includes(name)
            if quoted or not (header in DRIVER_MAY_INCLUDE or
                              (header.startswith("vitalgate/") and (ROOT / "include" / header).exists()))]


def check_daemon_names_no_driver():
    word = re.compile(r"\b(" + "|".join(drivers()) + r")\b")
    faults = [f"{name}:{number}: names the driver {word.search(line)[1]}"
              for name in files("daemon/*.[ch]", "include/*")
              for number, line in enumerate(read(name).splitlines(), 1) if word.search(line)]
    for name in files("daemon/*.[ch]"):
        for line, header, _ in includes(name):
            target = ((ROOT / name).parent / header).resolve()
            if header.startswith("../") and ROOT / "daemon" not in target.parents and \
                    target != ROOT / "drivers" / "list.h":
                faults.append(f"{name}:{line}: includes {header}")
    return faults


def check_foreign_libraries():
    faults, used = [], set()
    for name in files("daemon/*.[ch]", "include/*", "drivers/*.[ch]"):
        for line, header, quoted in includes(name):
            for pattern, allowed in FOREIGN.items():
                if quoted or not fnmatch.fnmatch(header, pattern):
                    continue
                used.add(pattern)
                if not any(fnmatch.fnmatch(name, a) for a in allowed):
                    faults.append(f"{name}:{line}: {header} belongs into {', '.join(allowed)}")
    return faults + [f"{pattern}: nobody includes it any more" for pattern in FOREIGN
                     if pattern not in used]


def check_no_other_library():
    """Every other header in angle brackets is the C library's or the contract's."""
    return [f"{name}:{line}: {header} is of a library that is not on the list"
            for name in files("daemon/*.[ch]") for line, header, quoted in includes(name)
            if not quoted and not header.startswith("vitalgate/") and header not in C_LIBRARY and
            not any(fnmatch.fnmatch(header, pattern) for pattern in FOREIGN)]


# --- symbols

def contract_calls():
    """The functions that the contract declares."""
    text = re.sub(r"/\*.*?\*/", "", read("include/vitalgate/driver.h"), flags=re.S)
    return set(re.findall(r"^[a-z][\w ]*[ *](vg_\w+)\([^)]*\);", text, re.M))


def check_driver_symbols():
    allowed = contract_calls() | DRIVER_MAY_NEED
    if len(allowed) < 15:
        return [f"found only {sorted(allowed)} in the contract"]
    faults = []
    sources = [*files("drivers/*.c"), *files("tests/skeletons/skeleton_*.c")]
    with tempfile.TemporaryDirectory() as folder:
        for name in sources:
            target = str(Path(folder) / "x.o")
            done = subprocess.run(["gcc", *DRIVER_FLAGS, "-c", "-o", target, name], cwd=ROOT,
                                  capture_output=True, text=True, check=False)
            if done.returncode:
                return [f"{name}: {done.stderr}"]
            table = subprocess.run(["nm", target], capture_output=True, text=True, check=True).stdout
            for line in table.splitlines():
                kind, symbol = line.split()[-2:]
                if kind == "U" and symbol not in allowed:
                    faults.append(f"{name}: needs {symbol}")
                if kind in "BbDdCSs" and name.startswith("drivers/"):
                    faults.append(f"{name}: {symbol} changes between sessions")
                own = ENGINES.get(Path(name).stem, Path(name).stem)
                if kind in "TR" and name.startswith("drivers/") and symbol != own:
                    faults.append(f"{name}: {symbol} is visible from outside")
    return faults


def fuzzer(name):
    """Drivers of channels have one fuzzer, which is built for each of them."""
    channels = re.search(r"\.bus = VG_BUS_(GATT|ADVERT)", read(f"drivers/{name}.c"))
    return "tests/fuzz/fuzz_gatt.c" if channels else f"tests/fuzz/fuzz_{name}.c"


def check_driver_files():
    """One file and one line for each, with captures and a fuzz target. A profile has captures."""
    found = {Path(name).stem for name in files("drivers/*.c")}
    faults = [f"{name}: not in drivers/list.h" for name in found - set(drivers()) - set(ENGINES)]
    captured = [*drivers(), *(Path(name).stem for name in files("config/profiles/*.yaml"))]
    for path in [f"drivers/{name}.c" for name in drivers()] + \
            [fuzzer(name) for name in (*drivers(), *ENGINES)] + \
            [f"tests/captures/{name}" for name in captured]:
        if not (ROOT / path).exists():
            faults.append(f"{path}: is missing")
    return faults


def check_instrument_table():
    """README's table has each driver once, and says of it what the driver says of itself."""
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", read("README.md"), re.M))
    told = {name: "experimental" if ".experimental = true" in read(f"drivers/{name}.c") else "stable"
            for name in drivers()}
    return [f"README.md: {name} is {told.get(name, 'no driver')}, the table says {rows.get(name)}"
            for name in sorted(rows.keys() | told.keys()) if rows.get(name) != told.get(name)]


# --- tests

def check_every_room_has_a_test():
    faults = []
    for name in files("daemon/*.c"):
        stem = Path(name).stem
        own = [f"tests/test_{stem}.c", f"tests/test_{stem}.py"]
        if name not in TESTED_BY:
            if not any((ROOT / path).exists() for path in own):
                faults.append(f"{name}: has no {own[0]}")
        elif not (ROOT / TESTED_BY[name]).exists():
            faults.append(f"{name}: {TESTED_BY[name]} is not there")
        elif any((ROOT / path).exists() for path in own) and name.count("/") == 1:
            faults.append(f"{name}: has a test of its own now: take it off the list")
    return faults + [f"{name}: is on the list and not in the tree" for name in TESTED_BY
                     if not (ROOT / name).exists()]


# --- what stands in the files

def check_licence():
    faults = []
    for name in files():
        if not re.search(r"\.([ch]|py)$", name) and not re.match("#!.*python", read(name)):
            continue
        lines = read(name).splitlines() or [""]
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        wanted = f"/* {LICENCE} */" if re.search(r"\.[ch]$", name) else f"# {LICENCE}"
        if first != wanted:
            faults.append(f"{name}: does not begin with {wanted}")
    return faults


def check_length():
    faults = []
    for name in files("*.c", "*.h", "*.py"):
        length = len(read(name).splitlines())
        if length > LINES_MAX and name not in LONG:
            faults.append(f"{name}: {length} lines; split it by idea, or list it with its reason")
        if length <= LINES_MAX and name in LONG:
            faults.append(f"{name}: {length} lines: take it off the list")
    return faults + [f"{name}: is on the list and not in the tree" for name in LONG
                     if not (ROOT / name).exists()]


def check_no_leftovers():
    """Machine paths, reminders and merge marks. The words are put together so that they are not here."""
    faults = []
    patterns = [re.compile(text) for text in (
        r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!X)", r"(?<![\w./}-])/" + r"work\b",
        r"(?<![\w./}-])/ho" + r"me/\w", r"/tmp/" + r"vg/",
        "^" + "<" * 7 + " |^" + ">" * 7 + " ", r"[ \t]+$")]
    for name in files():
        if re.search(r"\.(cap|expect|patch|png)$", name) or name == "LICENSE":
            continue
        for number, line in enumerate(read(name).splitlines(), 1):
            for pattern in patterns:
                if pattern.search(line):
                    faults.append(f"{name}:{number}: {line.strip()[:80]!r}")
    return faults


def main():
    checks = [(name[6:], check) for name, check in globals().items() if name.startswith("check_")]
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        faults = check()
        failed += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {number} - {name.replace('_', ' ')}")
        for fault in faults[:30]:
            print("\n".join(f"# {line}" for line in fault.splitlines()))
    print(f"1..{len(checks)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
