#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vitalgate ecg`: files and what is wrong with them, a decoder that misbehaves, studies of a daemon of ours,
reports; what is printed and the exit status: 0 done, 1 could not, 2 used wrongly."""
import base64
import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import threading
import time

from ecg_rig import TWELVE, Cli, Svg, flat, make
from harness import Tap, holds, same

CLI = Cli()
CHINESE = re.compile("[\u4e00-\u9fff]")
MIB = 1024 * 1024


class Daemon:
    """Takes one JSON command in a line and answers with what `answers` has for it: a reply, or a function."""

    def __init__(self, **answers):
        self.path = str(CLI.path / "control.sock")
        self.answers, self.asked = answers, []
        self.socket = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket.bind(self.path)
        self.socket.listen(8)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                order = json.loads(lines.readline())
                self.asked.append(order)
                answer = self.answers[order["cmd"]]
                result = answer(order["args"]) if callable(answer) else answer
                reply = result if "ok" in result else {"v": 1, "ok": True, "result": result}
                client.sendall(json.dumps(reply).encode() + b"\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def ecg(daemon, *words, **more):
    return json.loads(CLI.works("--socket", daemon.path, "ecg", *words, **more))


# --- files

def check_file():
    """Exactly the decoder's object and the checksum; the same with --json."""
    given = make(leads=[{"name": "I", "n": 2, "derived": False}], interval_us=2777.778, uv_per_lsb=4.88,
                 big=9007199254740993)
    path = CLI.give(given)
    wanted = given | {"file_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    text = CLI.works("ecg", path)
    same(json.loads(text), wanted)
    for number in ('"big": 9007199254740993,', '"hr": 75,', "2777.778", "4.88"):
        holds(number in text, f"{number} is not in {text}")
    same(CLI.decoder_arguments(), "")
    same(CLI.works("--json", "ecg", path), text)
    same(CLI.works("ecg", "--json", path), text)
    same(CLI.works("ecg", "-", stdin=path.read_bytes()), text)
    same(CLI.works("ecg", "ecg.json"), text)
    os.rename(path, CLI.path / "abcd")
    same(CLI.works("ecg", "abcd"), text, "a file whose name could be an id")


def check_samples():
    given = make(leads=flat(["I", "II"], 7))
    path = CLI.give(given)
    for n in ("3", "all", "1000000"):
        found = json.loads(CLI.works("ecg", path, "--samples", n))
        same(CLI.decoder_arguments(), f"--samples {n}")
        same(found["leads"], given["leads"], "the decoder cuts, not we")
        found = json.loads(CLI.works("ecg", path, "--samples", n, "--svg", CLI.path / "s.svg"))
        same(CLI.decoder_arguments(), "--samples all")
        same([len(one["samples"]) for one in found["leads"]], [min(7, int(n)) if n != "all" else 7] * 2)
        same([one["n"] for one in found["leads"]], [7, 7])
    found = json.loads(CLI.works("ecg", path, "--png", CLI.path / "s.png"))
    same([list(one) for one in found["leads"]], [["name", "n", "derived"]] * 2)
    text = CLI.works("ecg", path, "--samples", "7")
    holds(len(text.splitlines()) < 70 and text.index('"warnings"') < text.index('"leads"'), text)
    for bad in ("0", "-1", "x", "", "1000001", "3.5", "ALL"):
        CLI.fails(2, "ecg", path, f"--samples={bad}", says="usage:")


def check_terminal():
    """Nothing that a file says is a command for the terminal, and all of it is still there."""
    text = "a\u009bb\u007fc\u001b\u0085\u00a0é测"
    out = CLI.works("ecg", CLI.give(make(patient={"id": text})))
    holds(not re.search("[\u0000-\u0009\u000b-\u001f\u007f-\u009f]", out), ascii(out))
    same(json.loads(out)["patient"]["id"], text)
    holds("é测" in out, "characters that are harmless are escaped")


def check_anonymous():
    path = CLI.give(make())
    found = json.loads(CLI.works("ecg", path, "--anonymous", "--svg", CLI.path / "a.svg"))
    same(set(found["patient"]), {"sex", "age", "height", "weight"})
    drawn = (CLI.path / "a.svg").read_text(encoding="utf-8")
    holds(not re.search("SYN-1|测试甲|1951-03-04", drawn), "a name is in the picture")


def check_bad_files():
    CLI.fails(1, "ecg", "./none.scp", says=("./none.scp", "No such file"))
    CLI.fails(1, "ecg", "/nonexistent/x", says="/nonexistent/x")
    CLI.fails(1, "ecg", CLI.path, says=(str(CLI.path), "Is a directory"))
    long = CLI.path / "long.scp"
    long.write_bytes(bytes(4 * MIB + 1))
    CLI.fails(1, "ecg", long, says=(str(long), "4 MiB"))
    CLI.fails(1, "ecg", "-", stdin=bytes(4 * MIB + 1), says="4 MiB")
    holds(CHINESE.search(CLI.fails(1, "--lang", "zh", "ecg", long).stderr), "not in Chinese")
    locked = CLI.give(make(), "locked.scp")
    locked.chmod(0)
    if os.geteuid():
        CLI.fails(1, "ecg", locked, says=(str(locked), "Permission denied"))
    locked.unlink()
    for word in ("xyz", "abc", "g" * 8, "a" * 33):
        done = CLI.fails(2, "ecg", word, says=(word, "neither a file nor the id"))
        same(done.stdout, "")


def check_rejected():
    path = CLI.give({"format": "scp", "bytes": 9, "rejected": "record_crc", "warnings": []})
    same(json.loads(CLI.works("ecg", path))["rejected"], "record_crc")
    target = CLI.path / "rejected.svg"
    done = CLI.fails(1, "ecg", path, "--svg", target, says=("record_crc", "nothing to draw"))
    same(json.loads(done.stdout)["rejected"], "record_crc")
    holds(not target.exists(), "something was drawn")


# --- the decoder

def check_decoder_misbehaves():
    path = CLI.give(make())
    cases = (("kill -9 $$", "signal 9", "崩溃"), ("cat; kill -SEGV $$", "signal 11", "崩溃"),
             ("cat; exit 3", "status 3", "状态 3"), ("true", "no JSON object", "不是JSON"),
             ("echo hello", "no JSON object", "不是JSON"), ("echo '[1]'", "no JSON object", "不是JSON"),
             ("cat; echo x", "no JSON object", "不是JSON"),
             (r"printf '{\"a\":\"\377\"}'", "no JSON object", "JSON"),
             ("yes | head -c 70000000", "64 MiB", "64 MiB"))
    try:
        for script, says, zh in cases:
            CLI.decoder(script)
            done = CLI.fails(1, "ecg", path, says=("vitalgate-ecg", says))
            same(done.stdout, "", script)
            done = CLI.fails(1, "--lang", "zh", "ecg", path, "--svg", CLI.path / "bad.svg", says=zh)
        for script in ("exec sleep 30", "exec yes", "exec sleep 30 >&-", "cat; exec sleep 30 >&-"):
            CLI.decoder(script)
            began = time.monotonic()
            says = "within 1 s" if script != "exec yes" else "vitalgate-ecg"
            CLI.fails(1, "ecg", path, "--timeout", "1", says=says)
            holds(time.monotonic() - began < 20, f"{script}: {time.monotonic() - began:.1f} s")
        holds(not (CLI.path / "bad.svg").exists(), "something was drawn")
        CLI.decoder("exit 0 <&-; true")  # reads nothing of a long file
        CLI.fails(1, "ecg", "-", stdin=bytes(4 * MIB), says="no JSON object")
        (CLI.path / "vitalgate-ecg").unlink()
        CLI.fails(1, "ecg", path, says=("vitalgate-ecg", "No such file", "installed"))
        CLI.fails(1, "--lang", "zh", "ecg", path, says="安装")
    finally:
        CLI.decoder("exec cat")
    for bad in ("0", "601", "x", "-1"):
        CLI.fails(2, "ecg", path, f"--timeout={bad}", says="usage:")


def check_decoder_is_ended():
    """Nothing goes on working when it took too long."""
    CLI.decoder("echo $$ >pid; exec sleep 30")
    try:
        CLI.fails(1, "ecg", CLI.give(make()), "--timeout", "5")
        pid = int((CLI.path / "pid").read_text())
        holds(not os.path.exists(f"/proc/{pid}"), "it is still there")
    finally:
        CLI.decoder("exec cat")


# --- pictures as files

def check_written_whole():
    path, target = CLI.give(make()), CLI.path / "new.svg"
    before = set(os.listdir(CLI.path)) | {"new.svg"}
    target.write_text("old")
    old = os.umask(0o027)
    CLI.works("ecg", path, "--svg", target)
    os.umask(old)
    Svg(target.read_bytes())
    same(stat.S_IMODE(target.stat().st_mode), 0o640, "mode")
    same(set(os.listdir(CLI.path)), before, "files")
    CLI.fails(1, "ecg", path, "--svg", "/nonexistent/x.svg", says=("/nonexistent/x.svg", "name a place"))
    CLI.fails(1, "ecg", path, "--png", CLI.path, says=(str(CLI.path), "directory"))
    null = CLI.path / "null"
    os.mkfifo(null)
    CLI.fails(1, "ecg", path, "--png", null, says=(str(null), "ordinary file"))
    holds(stat.S_ISFIFO(null.stat().st_mode), "it was replaced")
    null.unlink()
    CLI.fails(1, "--lang", "zh", "ecg", path, "--svg", "/dev/full", says="普通文件")
    same(set(os.listdir(CLI.path)), before, "files")
    one_fails = CLI.fails(1, "ecg", path, "--svg", "/nonexistent/x.svg", "--png", CLI.path / "two.png")
    holds((CLI.path / "two.png").exists() and json.loads(one_fails.stdout), "the rest was not done")


def check_full_disk():
    """A limit on the size of files stands for the full disk: the old picture stays."""
    path, target = CLI.give(make(leads=[])), CLI.path / "full.svg"
    target.write_text("old")
    script = 'trap "" XFSZ; ulimit -f 8; exec "$0" ecg "$1" --svg "$2" >/dev/null'
    before = set(os.listdir(CLI.path))
    done = subprocess.run(["/bin/sh", "-c", script, str(CLI.path / "vitalgate"), str(path), str(target)],
                          capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "ASAN_OPTIONS": "detect_leaks=0"})
    same(done.returncode, 1, done.stderr)
    holds(str(target) in done.stderr and "too large" in done.stderr, done.stderr)
    same(target.read_text(), "old")
    same(set(os.listdir(CLI.path)), before, "files")


# --- studies of the daemon

ID = "1a2b3c4d"


def study(original=b"", **more):
    return {"id": ID * 4, "revision": 2, "status": "final", "resident": "R-0001",
            "time": {"taken": "2026-02-01T00:30:00.000Z", "trust": "corrected"},
            "device": {"id": "ecg-1"}, "ecg": {"format": "scp"},
            "original": {"bytes": len(original), "sha256": hashlib.sha256(original).hexdigest(), "chunks": 1},
            "report": {"state": "reported", "revisions": [
                {"revision": 1, "status": "final", "text": "normal", "by": "D-0001"}]}} | more


def pieces(original, size):
    def answer(args):
        same(args["study"], ID)
        data = original[args["from"]:args["from"] + size]
        return {"data": base64.b64encode(data).decode(), "bytes": len(original),
                "next": args["from"] + len(data)}
    return answer


def check_study():
    with Daemon(ecg=study()) as daemon:
        same(ecg(daemon, ID), study())
        same(ecg(daemon, "--json", ID), study())
        same(daemon.asked[0], {"v": 1, "cmd": "ecg", "args": {"study": ID}})
        found = ecg(daemon, ID, "--anonymous")
        holds("R-0001" not in json.dumps(found), found)
        same({order["cmd"] for order in daemon.asked}, {"ecg"}, "commands")


def check_study_original():
    """Every length of the last piece, and pieces of every length."""
    text = json.dumps(make(leads=flat(TWELVE, 10), interval_us=2000))
    for size in (1000, 8192, 57, 5, 10 ** 7):
        for pad in range(4):
            original = text.encode() + b" " * pad
            with Daemon(ecg=study(original), ecg_original=pieces(original, size)) as daemon:
                found = ecg(daemon, ID, "--samples", "10")
                given = json.loads(text)
                same({k: found[k] for k in given}, given)
                same(found["file_sha256"], hashlib.sha256(original).hexdigest())
                same(found["study"], {k: study()[k] for k in
                                      ("id", "revision", "status", "resident", "time", "report")})
            if size in (57, 5):
                break
    with Daemon(ecg=study(original), ecg_original=pieces(original, 8192)) as daemon:
        ecg(daemon, ID, "--svg", CLI.path / "study.svg", "--png", CLI.path / "study.png")
        words = Svg((CLI.path / "study.svg").read_bytes()).all_text()
        for text in ("R-0001", "2026-02-01 08:30:00 +0800", "study 1a2b3c4d", "Report of the ECG centre: final",
                     "SHA-256 " + hashlib.sha256(original).hexdigest()[:12]):
            holds(text in words, f"{text!r} is not in {words}")
        holds("测试甲" not in words, "the name is drawn beside the token")


def check_study_pieces_are_wrong():
    """A reply that is no piece ends it; it never goes on for ever."""
    original = json.dumps(make(leads=[])).encode()
    good = pieces(original, 300)
    def other(**change):
        return lambda args: good(args) | change
    def text(change):
        return lambda args: (lambda r: r | {"data": change(r["data"])})(good(args))
    cases = [other(data=None), other(data=7), other(bytes="x"), other(bytes=-1), other(bytes=5 * MIB),
             other(next=0), other(next=10 ** 9), other(next=299), other(data="", next=0), other(bytes=10),
             text(lambda d: d[:-1]), text(lambda d: d + "="), text(lambda d: d[:-4] + "===="),
             text(lambda d: "\n" + d[1:]), text(lambda d: d[:8] + "=" + d[9:]),
             text(lambda d: d[:8] + "-" + d[9:]),
             text(lambda d: d + "AAAA"), text(lambda d: d[:8] + "ÿ" + d[9:]),
             lambda args: {"data": "QQ==", "bytes": 1, "next": 1},  # another file
             lambda args: {"data": "QR==", "bytes": 1, "next": 1},  # bits that no byte has
             lambda args: {"data": "A" * (6 * MIB), "bytes": 4 * MIB, "next": 4 * MIB + MIB // 2},
             lambda args: (lambda r: r | {"next": min(r["next"] + 1, r["bytes"])})(good(args)),
             lambda args: {}]
    for number, answer in enumerate(cases):
        with Daemon(ecg=study(original), ecg_original=answer) as daemon:
            done = CLI.fails(1, "--socket", daemon.path, "ecg", ID, "--samples", "1", says="did not come whole")
            same(done.stdout, "", f"case {number}")
            holds(len(daemon.asked) < 12, f"case {number}: asked {len(daemon.asked)} times")
    refused = {"v": 1, "ok": False, "error": {"code": "gone", "en": "the original is gone", "zh": "原始文件已删除"}}
    with Daemon(ecg=study(original), ecg_original=refused) as daemon:
        done = CLI.fails(1, "--socket", daemon.path, "ecg", ID, "--samples", "1", says="the original is gone")
        holds("whole" not in done.stderr, done.stderr)


def check_base64_bits():
    """What the last characters leave over has to be nothing."""
    for data, good in (("e30=", True), ("e31=", False), ("e30", False), ("e30=\n", False)):
        answer = {"data": data, "bytes": 2, "next": 2}
        with Daemon(ecg=study() | {"original": {}}, ecg_original=answer) as daemon:
            done = CLI.run("--socket", daemon.path, "ecg", ID, "--samples", "1")
            same(done.returncode == 0, good, data)


def check_refused():
    refused = {"v": 1, "ok": False, "error": {"code": "unknown", "en": "no such study", "zh": "没有这个检查"}}
    answers = dict.fromkeys(("ecg", "ecg_list", "ecg_open", "ecg_report", "ecg_readback"), refused)
    with Daemon(**answers) as daemon:
        for words in ((ID,), ("--open",), (), ("report", ID, "final"), ("readback", ID, "x", "--by", "D-0001")):
            CLI.fails(1, "--socket", daemon.path, "ecg", *words, says="no such study")
            CLI.fails(1, "--socket", daemon.path, "--lang", "zh", "ecg", *words, says="没有这个检查")
    for words in ((ID,), ("--open",), (), ("report", ID, "final"), ("readback", ID, "x", "--by", "D-0001")):
        CLI.fails(1, "--socket", CLI.path / "none.sock", "ecg", *words, says="none.sock")


# --- tables

def check_open():
    rows = [{"id": ID * 4, "resident": "R-0001", "device": "ecg-1", "acquired": "2026-01-31T08:09:10+08:00",
             "state": state, "since": "2026-01-31T00:10:00Z", "due": "2026-01-31T00:40:00Z"}
            for state in ("not_sent", "waiting", "overdue", "repeat", "critical_unread", "unreadable", "preliminary", "novel")]
    rows.append({"id": "ff", "resident": None, "state": "waiting", "acquired": None})
    with Daemon(ecg_open={"studies": rows}) as daemon:
        english = CLI.works("--socket", daemon.path, "ecg", "--open")
        chinese = CLI.works("--socket", daemon.path, "--lang", "zh", "ecg", "--open")
        same(json.loads(CLI.works("--socket", daemon.path, "ecg", "--open", "--json")), {"studies": rows})
    holds(not CHINESE.search(english), english)
    for table, words in ((english, ("not sent yet", "waits for its report", "overdue", "record again",
                                    "read it back", "send it again", "final report is to come", "novel")),
                         (chinese, ("尚未发送", "等待报告", "报告超时", "重新采集", "复述", "重新发送", "等待最终报告",
                                    "novel"))):
        lines = table.splitlines()
        same(len(lines), 1 + len(rows))
        for line, word in zip(lines[1:], words):
            for text in ("1a2b3c4d ", "R-0001", "ecg-1", "01-31 08:09:10", "01-31 08:10:00", "01-31 08:40:00",
                         word):
                holds(text in line, f"{text!r} is not in {line!r}")
        columns = [line.index("R-0001") for line in lines[1:-1]]
        same(len(set(columns)), 1, "columns")
        holds("-" in lines[-1], lines[-1])
    with Daemon(ecg_open={"studies": []}) as daemon:
        holds("nothing is open" in CLI.works("--socket", daemon.path, "ecg", "--open"), "not in words")
        holds("没有待处理" in CLI.works("--socket", daemon.path, "--lang", "zh", "ecg", "--open"), "not in words")


def check_latest():
    rows = [study(report={"state": "reported", "revisions": []}), study(report={"state": "novel"}, resident=None)]
    with Daemon(ecg_list={"studies": rows}) as daemon:
        table = CLI.works("--socket", daemon.path, "ecg", "--limit", "7")
        same((daemon.asked[0]["cmd"], daemon.asked[0]["args"]), ("ecg_list", {"limit": 7}))
        for text in ("1a2b3c4d", "R-0001", "ecg-1", "02-01 08:30:00", "final", "reported"):
            holds(text in table.splitlines()[1], table)
        holds("novel" in table.splitlines()[2], table)
        holds("已报告" in CLI.works("--socket", daemon.path, "--lang", "zh", "ecg"), "not in words")
        same(json.loads(CLI.works("--socket", daemon.path, "--json", "ecg")), {"studies": rows})
    with Daemon(ecg_list={"studies": []}) as daemon:
        holds("no ECG" in CLI.works("--socket", daemon.path, "ecg"), "not in words")


# --- reports

def check_report():
    with Daemon(ecg_decode={"study": ID}) as daemon:
        same(CLI.works("--socket", daemon.path, "--lang", "en", "ecg", "decode", ID), "done\n")
        same(daemon.asked.pop(), {"v": 1, "cmd": "ecg_decode", "args": {"study": ID}})
        CLI.fails(2, "--socket", daemon.path, "ecg", "decode", says="usage:")
        CLI.fails(2, "--socket", daemon.path, "ecg", "decode", ID, ID, says="usage:")
    with Daemon(ecg_report={"revision": 3}, ecg_readback={}) as daemon:
        says = CLI.works("--socket", daemon.path, "ecg", "report", ID, "critical", "--text", "急性心梗",
                         "--critical", "STEMI", "--by", "D-0001")
        same(says, "done\n")
        same(daemon.asked.pop(), {"v": 1, "cmd": "ecg_report", "by": "D-0001", "args": {
            "study": ID, "status": "critical", "text": "急性心梗", "critical": "STEMI"}})
        for status in ("preliminary", "final", "amended", "poor_tracing"):
            CLI.works("--socket", daemon.path, "ecg", "report", ID, status)
            same(daemon.asked.pop(), {"v": 1, "cmd": "ecg_report", "args": {"study": ID, "status": status}})
        same(CLI.works("--socket", daemon.path, "--lang", "zh", "ecg", "readback", ID, "STEMI", "--by",
                       "D-0001"), "完成\n")
        same(daemon.asked.pop(), {"v": 1, "cmd": "ecg_readback", "by": "D-0001",
                                  "args": {"study": ID, "text": "STEMI"}})
        same(json.loads(CLI.works("--socket", daemon.path, "ecg", "report", ID, "final", "--json")),
             {"revision": 3})
        daemon.asked.clear()
        for language, says in (("en", "not UTF-8"), ("zh", "不是UTF-8")):
            CLI.fails(1, "--socket", daemon.path, "--lang", language, "ecg", "report", ID, "final", "--text",
                      os.fsdecode("心梗".encode("gbk")), says=says)
        same(daemon.asked, [])


def check_usage():
    for words in (("report",), ("report", ID), ("report", ID, "good"), ("report", ID, "final", "x"),
                  ("readback", ID, "x"), ("readback", ID, "--by", "D"), (ID, ID), ("--open", ID),
                  ("--frobnicate",),
                  (ID, "--by", "D"), ("--samples",), ("report", ID, "final", "x", "y"), (ID, "--text", "x")):
        CLI.fails(2, "ecg", *words, says="usage: vitalgate ecg")
        holds(CHINESE.search(CLI.fails(2, "--lang", "zh", "ecg", *words).stderr), f"{words}: not in Chinese")
    english, chinese = CLI.works("ecg", "--help"), CLI.works("ecg", "--lang", "zh", "--help")
    same(len(english.splitlines()), len(chinese.splitlines()))
    for option in ("--samples", "--svg", "--png", "--anonymous", "--open", "--text", "--critical", "--by",
                   "--timeout", "--limit", "report", "readback", "poor_tracing"):
        holds(option in english and option in chinese, option)
    for language in ("en", "zh"):
        holds("  ecg [" in CLI.works("--lang", language, "--help"), "not in the help")


def main():
    tap = Tap()
    with CLI:
        for name, check in list(globals().items()):
            if name.startswith("check_"):
                with tap.case(name[6:].replace("_", " ")):
                    check()
    tap.done()


if __name__ == "__main__":
    main()
