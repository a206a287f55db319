#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The companion program without a daemon: what it says when it is used wrongly, and its exit status:
0 done, 1 could not, 2 used wrongly. What it says with a daemon is tested end to end."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / os.environ.get("VITALGATE_BUILD", "build") / "vitalgate"
PRESSURE = "167c0056006100e807060f11111b33000000"  # 124/86, pulse 51, 2024-06-15T17:17:27
COMMANDS = ("status devices readings alerts ack followup unassigned assign import bind events resend "
            "decode check-config capture").split()
CHINESE = re.compile("[\u4e00-\u9fff]")


def run(*words, **env):
    clean = {key: value for key, value in os.environ.items()
             if key not in ("LANG", "LC_ALL", "VITALGATE_CONFIG", "VITALGATE_TABLES")}
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False,
                          env={**clean, "LC_ALL": "C.UTF-8", **env})
    assert done.returncode >= 0, f"{words}: killed by signal {-done.returncode}: {done.stderr}"
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


def fails(status, *words, says=(), **env):
    """It fails with this status, says why on stderr, and prints no result."""
    done = run(*words, **env)
    assert done.returncode == status, f"{words}: status {done.returncode}, {done.stderr}"
    assert not done.stdout, f"{words}: printed {done.stdout}"
    assert done.stderr.strip(), f"{words}: says nothing"
    for text in [says] if isinstance(says, str) else says:
        assert text in done.stderr, f"{words}: \"{text}\" is not in: {done.stderr}"
    return done


def works(*words, **env):
    done = run(*words, **env)
    assert done.returncode == 0, f"{words}: status {done.returncode}, {done.stderr}"
    return done.stdout


# --- decode

def check_decode_lists_drivers():
    text = works("decode")
    listed = [line.split()[0] for line in text.splitlines() if line[:1].strip()]
    table = re.findall(r"VG_DRIVER\((\w+)\)", (ROOT / "drivers" / "list.h").read_text("utf-8")) + \
        sorted(path.stem for path in (ROOT / "config" / "profiles").glob("*.yaml"))
    assert listed == table, f"{listed} is not {table}"
    assert text.count("channels:") == len(table) and "2a35" in text
    assert CHINESE.search(text)


def check_decode_bytes():
    found = json.loads(works("decode", "bt_blp", "2a35", PRESSURE))
    assert found["readings"][0]["values"]["bp.sbp"]["value"] == 124
    assert found["results"]["reading"] == 1
    spaced = ":".join(PRESSURE[i:i + 2] for i in range(0, len(PRESSURE), 2)).upper()
    for form in (spaced, spaced.replace(":", " "), spaced.replace(":", "-")):
        assert json.loads(works("decode", "bt_blp", "2A35", form)) == found, form
    twice = json.loads(works("decode", "bt_blp", "2a35", PRESSURE, PRESSURE))
    assert len(twice["readings"]) == 2
    nothing = json.loads(works("decode", "bt_blp", "2a35", ""))
    assert nothing["readings"] == [] and nothing["results"]["malformed"] == 1


def check_decode_usage():
    fails(2, "decode", "bt_blp", says="usage:")
    fails(2, "decode", "bt_blp", "2a35", says="usage:")
    fails(2, "decode", "--capture", says="usage:")
    fails(2, "decode", "no_such", "2a35", "00", says=("no_such", "lis01", "channels:"))
    fails(2, "decode", "bt_blp", "2a36", "00", says=("2a36", "2a35"))
    fails(2, "decode", "lis01", "1", "00", says="channels:")
    for bad in ("0", "0g", "001", "0x00", "00,00", "血压"):
        fails(2, "decode", "bt_blp", "2a35", bad, says="argument 3 is not hexadecimal bytes")
    fails(2, "decode", "bt_blp", "2a35", PRESSURE, "zz", says="argument 4")


def check_decode_tables():
    """What the option says holds; without it the tables are found by themselves."""
    words = ("decode", "bt_blp", "2a35", PRESSURE)
    found = works(*words)
    assert works("--tables", ROOT / "config", *words) == found
    with tempfile.TemporaryDirectory() as folder:
        fails(1, "--tables", folder, *words, says=(folder, "codes.csv", "--tables DIR"))
        assert works(*words, VITALGATE_TABLES=folder) == found


def check_decode_captures():
    cases = (  # text of the capture, what is said, at which line
        ("< 00\n", "`device`", 1),
        ("# only words\ndevice no_such\n", "no such driver", 2),
        ("device bt_blp\nchannel 1234\n", "no such channel", 2),
        ("device bt_blp\nchannel 2a35\n< 0\n", "hexadecimal", 3),
        ("device bt_blp\nfrobnicate\n", "unknown word", 2),
        ("option quirk\ndevice bt_blp\n", "option NAME VALUE", 1),
        ("device lis01\n< 05\n", "had sent more", 2),
        ("device lis01\n< 05\n> 15\n", 'answered "06" instead', 3),
        ("device lis01\n< 05\n> 0606\n", 'answered "06" instead', 3),
        ("device lis01\n> 06\n", 'answered "" instead', 2),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.cap"
        for text, says, line in cases:
            path.write_text(text)
            fails(1, "decode", "--capture", path, says=(says, f"x.cap:{line}: "))
        fails(1, "decode", "--capture", Path(folder) / "none.cap", says="none.cap")
        path.write_text(f"device bt_blp\nchannel 2a35\n< {PRESSURE}\n")
        assert json.loads(works("decode", "--capture", path)) == json.loads(
            works("decode", "bt_blp", "2a35", PRESSURE))


# --- check-config

GOOD = """version: 1
org: demo
site: village
gateway: gw-1
paths: {store: /nonexistent/store, runtime: /nonexistent/run, tables: %s}
devices:
  - {id: cuff-1, driver: bt_blp, transport: ble, address: "C0:11:22:33:44:55"}
"""


def config(folder, text=GOOD, tables=ROOT / "config"):
    path = Path(folder) / "vitalgate.yaml"
    path.write_text(text % tables)
    return path


def check_config_good():
    with tempfile.TemporaryDirectory() as folder:
        path = config(folder)
        text = works("check-config", path)
        assert str(path) in text and "good (1 devices" in text and "codes:1" in text, text
        assert works("--config", path, "check-config") == text
        assert works("check-config", VITALGATE_CONFIG=str(path)) == text
        chinese = works("--lang", "zh", "check-config", path)
        assert "正确" in chinese and chinese != text
        # nobody for alerts of nobody: good all the same
        assert "\nhint: site_contact is empty: " in text and "S-0001" in text, text
        assert "\n提示：未设置 site_contact：" in chinese, chinese
        for line in ("site_contact: S-0001\n", "alerts: false\n"):
            assert "site_contact" not in works("check-config", config(folder, GOOD + line))


def check_config_bad():
    cases = (  # what is changed, into what, the line, what is said
        ("gateway: gw-1", "gatway: gw-1", 4, "gatway"),
        ("version: 1", "version: 99", 1, "version"),
        ("driver: bt_blp", "driver: bt_glp", 7, "decode"),
        ("driver: bt_blp", "driver: bt_blp, colour: red", 7, "colour"),
        ("transport: ble", "transport: pigeon", 7, "pigeon"),
        ("org: demo", "org: 'a/b'", 2, "org"),
    )
    with tempfile.TemporaryDirectory() as folder:
        for old, new, line, says in cases:
            path = config(folder, GOOD.replace(old, new))
            fails(1, "check-config", path, says=(f"{path}:{line}: ", says))
        fails(1, "check-config", Path(folder) / "none.yaml", says="none.yaml")
        fails(1, "check-config", config(folder, tables=folder), says="codes.csv")


def check_config_bad_tables():
    """A typo in a rule or a form is found before it silences anybody."""
    for name, old, new in (("alerts.yaml", "kind: bp.sbp", "kind: bp.sbb"),
                           ("alerts.yaml", 'kind: "glu.*"', 'kind: "gluc.*"'),
                           ("forms.csv", ",bp.sbp bp.dbp,", ",bp.sbb bp.dbp,"),
                           ("units.csv", "pressure,kPa,,7.50062", "pressure,kPa,,7,50062"),
                           ("profiles/nellcor.yaml", "version: 1", "version: one")):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "config", folder, dirs_exist_ok=True)
            path = Path(folder) / name
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{name}: {old}"
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
            done = fails(1, "check-config", config(folder, tables=folder), says=name)
            assert re.search(re.escape(name) + r":\d+: ", done.stderr), done.stderr
            if name.endswith(".yaml"):
                chinese = fails(1, "--lang", "zh", "check-config", config(folder, tables=folder), says=name)
                assert done.stderr.split(": ")[0] == chinese.stderr.split(": ")[0], chinese.stderr  # file:line
                assert CHINESE.search(chinese.stderr) and "expected" not in chinese.stderr, chinese.stderr


# --- help, and commands without a daemon

def check_help():
    english, chinese = works("--help"), works("--lang", "zh", "--help")
    assert not CHINESE.search(english)
    for text in (english, chinese):
        for command in COMMANDS:
            assert re.search(rf"^  {command}\b", text, re.M), f"{command}: {text}"
    assert len(english.splitlines()) == len(chinese.splitlines())
    assert works("help") == english and works("-h") == english
    assert works("help", LC_ALL="", LANG="zh_CN.UTF-8") == chinese
    assert works("help", LC_ALL="zh_CN.UTF-8") == chinese
    assert works("--lang", "en", "help", LC_ALL="zh_CN.UTF-8") == english
    assert re.fullmatch(r"vitalgate \d+\.\d+\.\d+\n", works("--version"))


def check_usage():
    for words in ((), ("frobnicate",), ("--frobnicate",), ("followup",), ("ack", "1"), ("assign", "1"),
                  ("bind", "cuff-1"), ("import",), ("resend",), ("followup", "R-0001", "R-0002"),
                  ("--config",)):
        fails(2, *words, says="usage:")
    assert CHINESE.search(fails(2, "--lang", "zh", "frobnicate").stderr)


def check_without_daemon():
    calls = (("status",), ("devices",), ("readings",), ("readings", "--resident", "R-0001"), ("alerts",),
             ("ack", "1", "reached"), ("followup", "R-0001"), ("unassigned",), ("assign", "1", "R-0001"),
             ("bind", "cuff-1", "R-0001"), ("events",), ("resend", "1"), ("capture", "cuff-1"),
             ("import", ROOT / "config" / "residents.example.csv"))
    assert {call[0] for call in calls} == set(COMMANDS) - {"decode", "check-config"}
    with tempfile.TemporaryDirectory() as folder:
        path = config(folder)
        for call in calls:
            for extra in ((), ("--json",)):
                fails(1, "--config", path, *extra, *call,
                      says=("/nonexistent/run/control.sock", "systemctl status vitalgated"))
        done = fails(1, "--config", path, "--lang", "zh", "status", says="systemctl status vitalgated")
        assert CHINESE.search(done.stderr)
        fails(1, "--socket", Path(folder) / "s.sock", "status", says="s.sock")
        fails(1, "--config", Path(folder) / "none.yaml", "status", says="none.yaml")
        fails(1, "--config", path, "import", Path(folder) / "none.csv", says="none.csv")
        gbk = Path(folder) / "gbk.csv"
        gbk.write_bytes("token,高血压\n".encode("gbk"))
        fails(1, "--config", path, "import", gbk, says="UTF-8")


def main():
    checks = [(name[6:], check) for name, check in globals().items() if name.startswith("check_")]
    failed = 0
    for number, (name, check) in enumerate(checks, 1):
        try:
            check()
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as why:
            failed += 1
            print(f"not ok {number} - {name}\n" +
                  "\n".join("# " + line for line in f"{type(why).__name__}: {why}".splitlines()),
                  flush=True)
    print(f"1..{len(checks)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
