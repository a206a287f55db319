#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""vitalgate-ecg as a program: what it answers, and that its sandbox holds.

A library under LD_PRELOAD (ecg_sandbox/escape.c) does from inside what a reader would do that a file has
taken over: each time the kernel must end the program, and nothing may have come out of it.
"""
import binascii
import json
import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, ROOT, Skip, Tap, holds, same, wait_until  # noqa: E402

sys.path.insert(0, ROOT + "/tests/sim")
import ecg_edges  # noqa: E402
import ecg_writer  # noqa: E402
import ecg_writer_other  # noqa: E402

PROGRAM = BUILD + "/vitalgate-ecg"
SAMPLES = Path(ROOT).parent / "shared" / "samples"
MIB = 1 << 20
MEMORY_MAX_KB = 256 << 10
CPU_S = 10
WORDS = ("OPEN SOCKET FORK EXEC KILL SELF PRCTL LIMIT IOCTL PTRACE DUP CLOSE READ3 READ1 WRITE0 WRITE3 RUNMAP "
         "SHAREDMAP FILEMAP PROTECT MEMFD URING BPF FILTER UNKNOWN X32 I386").split()
# The bombs that need much memory.
LITTLE = ("a Huffman stream of single bits", "half a million attributes", "one long name",
          "as many samples as there is room for", "rows of electrodes")
# AddressSanitizer cannot live inside: such a build has no filter.
SANITIZED = BUILD.endswith("-san")

AECG = b"""<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3"><component><series><code code="RHYTHM"/>
<component><sequenceSet><component><sequence><code code="TIME_ABSOLUTE"/><value><increment value="2" unit="ms"/>
</value></sequence></component><component><sequence><code code="MDC_ECG_LEAD_I"/><value><scale value="5" unit="uV"/>
<digits>1 2 3 4</digits></value></sequence></component></sequenceSet></component></series></component></AnnotatedECG>
"""

# qsort() is none: it asks how much memory there is. assert() ends the program either way. iconv_open() is called
# before the sandbox is closed. divmodti4() and the like divide numbers of 128 bits.
HARMLESS = set("""assert_fail calloc ctype_b_loc divmodti4 divti3 modti3 errno_location free iconv iconv_open malloc memchr memcmp memcpy memmem
memmove memset realloc snprintf stack_chk_fail strcasecmp strchr strcmp strcspn strdup strlen strnlen strspn
strstr""".split())

tap = Tap()


def run(data, *words, **more):
    return subprocess.run([PROGRAM, *words], input=data, capture_output=True, timeout=300, check=False, **more)


def answer(data, *words):
    done = run(data, *words)
    same((done.returncode, done.stderr), (0, b""), "end")
    holds(done.stdout.endswith(b"}\n"), f"ends with {done.stdout[-20:]!r}")
    return json.loads(done.stdout)


def measured(data, *words):
    """The answer, or None; seconds of processor time; KiB of memory at most, which is never less than what
    this program has: a process inherits the peak of what it was forked from."""
    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.seek(0)
        child = subprocess.Popen([PROGRAM, *words], stdin=f, stdout=subprocess.PIPE)
        with child.stdout:
            out = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return (json.loads(out) if child.returncode == 0 else None, usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss)


# --- what it answers


def ecg90a(rows):
    row = struct.pack("<8H", *range(2048, 2056))
    return (b"0000001\0\0\0" + b"2026-01-31 08:09:10\0" + b"\0\0" + b"TEST\0\0\0\0" + bytes([1, 39, 80]) +
            row * rows + bytes(37))


def check_answers():
    with tap.case("good files"):
        same(answer(AECG)["leads"], [{"name": "I", "n": 4, "derived": False}])
        same(answer(ecg90a(8))["format"], "ecg90a")
        same(answer(bytes(128) + b"DICM")["format"], "dicom")
        same(answer(b"%PDF-1.4\n")["format"], "pdf")
    with tap.case("as many samples as were asked for"):
        for words, want in (((), None), (("--samples", "0"), None), (("--samples", "3"), [1, 2, 3]),
                            (("--samples", "4294967295"), [1, 2, 3, 4]), (("--samples", "all"), [1, 2, 3, 4])):
            same(answer(AECG, *words)["leads"][0].get("samples"), want, words)
    with tap.case("public samples"):
        if not SAMPLES.is_dir():
            raise Skip("no shared data")
        scp = answer((SAMPLES / "ecgtoolkit-Example.scp").read_bytes(), "--samples", "all")
        xml = answer((SAMPLES / "ecgtoolkit-Example.aecg.xml").read_bytes(), "--samples", "all")
        same(xml["format"], "aecg")
        same(xml["leads"], scp["leads"], "the same recording in both formats")
        same(xml["measurements"], scp["measurements"])
        same(answer((SAMPLES / "ecgtoolkit-Example.dcm").read_bytes())["patient"]["id"], "SBJ-123")
    with tap.case("an empty file is of no format"):
        same(answer(b"")["format"], "unknown")
        same(answer(b"")["warnings"], ["waveform_unsupported: unknown"])
    with tap.case("4 MiB are the most"):
        same(answer(bytes(4 * MIB)).get("rejected"), None)
        for size in (4 * MIB + 1, 5 * MIB):
            found = answer(bytes(size))
            same((found["format"], found["rejected"], found["bytes"]), ("unknown", "too_long", size))
    with tap.case("garbage is answered too"):
        rnd = random.Random(20261122)
        heads = [b"", AECG, ecg90a(4), bytes(128) + b"DICM" + bytes(100), b"%PDF-", syn_scp(3)]
        for turn in range(200):
            data = bytearray(rnd.choice(heads))
            for _ in range(rnd.randrange(8)):
                if data:
                    data[rnd.randrange(len(data))] = rnd.randrange(256)
            data += rnd.randbytes(rnd.choice((0, 0, 1, 40, 4000)))
            found = answer(bytes(data), "--samples", "all")
            holds(found["format"] in ("scp", "aecg", "ecg90a", "dicom", "pdf", "unknown"), found["format"])
    with tap.case("a file that comes byte by byte"):
        child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        for i in range(len(AECG)):
            child.stdin.write(AECG[i:i + 1])
        child.stdin.close()
        same(json.loads(child.stdout.read())["format"], "aecg")
        child.stdout.close()
        same(child.wait(120), 0)


def dicom(charset, name):
    parts = b"".join(struct.pack("<HHI", group, number, len(value)) + value
                     for group, number, value in ((8, 5, charset), (0x10, 0x10, name)))
    return bytes(128) + b"DICM" + b"\2\0\x10\0UI\x11\x001.2.840.10008.1.2" + parts


def check_texts():
    """Converters were opened before the sandbox was closed: none may want anything more."""
    with tap.case("texts in every charset"):
        for code, raw, text in ((0x01, b"\xe9", "é"), (0x03, b"\xb3", "ł"), (0x0b, b"\xe0", "ā"), (0x13, b"\xd0", "а"),
                                (0x1b, b"\xc7", "ا"), (0x23, b"\xe1", "α"), (0x2b, b"\xe0", "א"), (0x33, b"\xa1", "ก"),
                                (0x3b, b"\xa4", "€"), (0x07, b"\xab\x91", "醫"), (0x27, b"\xb2\xe2", "测"),
                                (0x2f, b"\xb0\xa1", "가")):
            same(answer(syn_scp(4, name=raw, language=code))["patient"]["last_name"], text, hex(code))
        for charset, raw, text in ((b"ISO_IR 100", b"\xe9", "é"), (b"ISO_IR 192", "测".encode(), "测"),
                                   (b"GB18030", b"\xb2\xe2", "测"), (b"", b"\xb2\xe2", "测")):
            same(answer(dicom(charset, raw))["patient"]["last_name"], text, charset)
        xml = AECG.replace(b'"1.0"', b'"1.0" encoding="GBK"').replace(b"MDC_ECG_LEAD_I", b"\xb2\xe2")
        same(answer(xml)["leads"], [])


def most_codes():
    """64 Huffman tables of 1024 codes, from the longest to the shortest, none of them of use to a sample of 0."""
    entries = [struct.pack("<BBBhI", 11, 11, 1, 0, int(f"{k:011b}"[::-1], 2)) for k in range(1024, 2048)]
    tables = struct.pack("<H", 64) + (struct.pack("<H", 1024) + b"".join(reversed(entries))) * 64
    found = ecg_edges.scp({2: tables, 3: ecg_edges.leads((1, 8, 1)), 6: ecg_edges.signal(1, 1, 0, 0, [b"\xff" * 11])})
    same(answer(found, "--samples", "all")["leads"][0]["samples"], [0] * 8, "samples")
    return found


def check_files():
    """A reader that asks the system for anything dies of it, and only here: tests of its parts have no sandbox."""
    with tap.case("no file makes a reader ask for what the sandbox forbids"):
        rng = random.Random(20261122)
        files = [(f"{form} {maker.__name__} {name}", data) for form, makers in ecg_edges.ALL.items() for maker in makers
                 for name, data in maker()]
        files += [(f"{maker.__name__} {turn}", maker(rng)[0]) for turn in range(60)
                  for maker in (ecg_writer.scp, ecg_writer_other.aecg, ecg_writer_other.ecg90a)]
        files.append(("most codes", most_codes()))
        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(lambda file: run(file[1] if isinstance(file[1], bytes) else file[1].bytes(),
                                                  "--samples", "all"), files))
        same([(name, done.returncode, done.stderr) for (name, _), done in zip(files, ends)
              if (done.returncode, done.stderr) != (0, b"")], [], "not answered")
        holds(len(files) > 1300, len(files))
    with tap.case("of the C library the readers call what is known to need nothing"):
        inside = [f"{BUILD}/daemon/json.o", *(f"{BUILD}/daemon/ecg/{path.stem}.o" for path in
                                              Path(ROOT, "daemon/ecg").glob("*.c") if path.stem not in ("main", "sandbox"))]
        names = [line.split()[-2:] for line in subprocess.run(
            ["nm", *inside], capture_output=True, check=True, text=True).stdout.splitlines() if len(line.split()) > 1]
        called = {name for kind, name in names if kind == "U"} - {name for kind, name in names if kind != "U"}
        called = {name.removeprefix("__").removesuffix("_chk") for name in called if not name.startswith("XML_")}
        same(sorted(called - HARMLESS), [], "others")


def check_wrong_use():
    with tap.case("wrong words"):
        for words in (["x"], ["--samples"], ["--samples", ""], ["--samples", "-1"], ["--samples", "1x"],
                      ["--samples", "4294967296"], ["--samples", "99999999999999999999"],
                      ["--samples", "1", "2"], ["--sample", "1"]):
            done = run(AECG, *words)
            same((done.returncode, done.stdout), (2, b""), words)
            holds(done.stderr.startswith(b"usage:"), done.stderr.decode())
    with tap.case("an answer that cannot be given"):
        with tempfile.TemporaryFile() as f:
            done = subprocess.run([PROGRAM], input=AECG, stdout=f, stderr=subprocess.PIPE, check=False)
            same(done.returncode, 1)
            same(os.fstat(f.fileno()).st_size, 0, "bytes in the file")
            holds(b"stdout cannot be written" in done.stderr, done.stderr.decode())
        done = subprocess.run(["/bin/sh", "-c", '"$0" <&-', PROGRAM], capture_output=True, check=False)
        same((done.returncode, done.stdout), (1, b""))
        holds(b"stdin cannot be read" in done.stderr, done.stderr.decode())


# --- the sandbox


def build_escape(folder):
    made = BUILD + "/tests/escape.so"
    if os.path.exists(made):
        return made
    own = os.path.join(folder, "escape.so")
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-fPIC", "-shared", "-o", own,
                    ROOT + "/tests/ecg_sandbox/escape.c", "-ldl"], check=True)
    return own


def preloaded(library, **more):
    return {**os.environ, "LD_PRELOAD": library, **more}


def start_spin(library):
    child = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=preloaded(library))
    child.stdin.write(b"SPIN\n")
    child.stdin.close()
    return child


def check_spin(child):
    with tap.case(f"no more than {CPU_S} s of processor time"):
        out = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        same((child.returncode, out), (-signal.SIGXCPU, b""))
        holds(abs(usage.ru_utime + usage.ru_stime - CPU_S) < 1.5, f"{usage.ru_utime + usage.ru_stime} s")


def check_escapes(library):
    env = preloaded(library)
    if os.uname().machine != "x86_64":
        WORDS[:] = [word for word in WORDS if word not in ("X32", "I386")]
    with tap.case("the same without a sandbox harms nobody, so that it is the sandbox that ends it"):
        for word in WORDS:
            done = subprocess.run(["cat"], input=word.encode() + b"\n", env=env, capture_output=True,
                                  check=False)
            same(done.returncode, 0, word)
    for word in WORDS:
        with tap.case(f"{word.lower()} ends it"):
            done = run(word.encode() + b"\n", env=env)
            same((done.returncode, done.stdout), (-signal.SIGSYS, b""))
    with tap.case("no more than 256 MiB of memory"):
        done = run(b"EAT\n", env=env)
        same((done.returncode, done.stdout), (42, b""))
    with tap.case("nothing but these deeds ends it"):
        same(json.loads(run(b"WORD\n", env=env).stdout)["format"], "unknown")


def status_of(pid):
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    status = dict(re.findall(r"^(\w+):\t(.*)$", text, re.M))
    return status, {name.strip(): (soft, hard) for name, soft, hard in
                    re.findall(r"^(Max [a-z ]+?)  +(\S+) +(\S+)", limits, re.M)}


def start_as_nobody(**more):
    """Whose memory image it is shows only where root is somebody else."""
    more.update(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        return subprocess.Popen([PROGRAM], user=65534, group=65534, extra_groups=[], **more)
    except PermissionError:
        return subprocess.Popen([PROGRAM], **more)


def check_closed():
    spare, kept = os.pipe()  # the first is 3, the lowest that there can be
    reader, writer = os.pipe()
    child = start_as_nobody(pass_fds=[writer, spare])
    os.close(writer)
    os.close(spare)
    try:
        with tap.case("inherited descriptors are closed"):
            same(spare, 3, "lowest descriptor")
            os.set_blocking(reader, False)
            holds(wait_until(lambda: ended(reader)), "the writing end is still open")
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            try:
                os.write(kept, b"x")
                holds(False, "the reading end is still open")
            except BrokenPipeError:
                pass
            same(child.poll(), None, "end")
        with tap.case("the process before the first byte"):
            wait_until(lambda: status_of(child.pid)[0]["Seccomp"] == "2")
            status, limits = status_of(child.pid)
            same((status["Seccomp"], status["NoNewPrivs"], status["Threads"]), ("2", "1", "1"))
            same(limits["Max cpu time"], (str(CPU_S), str(CPU_S + 1)))
            for name, want in (("Max address space", 256 * MIB), ("Max file size", 0), ("Max open files", 0),
                               ("Max core file size", 0), ("Max processes", 0)):
                same(limits[name], (str(want), str(want)), name)
            same(os.stat(f"/proc/{child.pid}/mem").st_uid, 0, "owner of its memory image")
    finally:
        os.close(reader)
        os.close(kept)
        out, _ = child.communicate(AECG, timeout=120)
    with tap.case("and it works"):
        same((child.returncode, json.loads(out)["format"]), (0, "aecg"))


def ended(fd):
    """Is every writing end closed?"""
    try:
        return os.read(fd, 1) == b""
    except BlockingIOError:
        return False


def check_parent():
    with tap.case("it ends with whoever waits for it"):
        code = ("import subprocess, sys\n"
                "child = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)\n"
                "print(child.pid, flush=True)\nsys.stdin.read()\n")
        reader, writer = os.pipe()  # stays open here: not the end of its input is what ends it
        parent = subprocess.Popen([sys.executable, "-c", code.replace("stdin=subprocess.PIPE", f"stdin={reader}"),
                                   PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[reader])
        os.close(reader)
        pid = int(parent.stdout.readline())
        wait_until(lambda: status_of(pid)[0]["Seccomp"] == "2")
        parent.kill()
        parent.wait()
        gone = wait_until(lambda: not alive(pid))
        os.close(writer)
        parent.stdin.close()
        parent.stdout.close()
        holds(gone, "it is still there")


def alive(pid):
    try:
        return not status_of(pid)[0]["State"].startswith("Z")
    except FileNotFoundError:
        return False


def check_refusal(library):
    with tap.case("it does not work in an open sandbox"):
        limits = [f"setrlimit:{getattr(resource, 'RLIMIT_' + n)}"
                  for n in ("AS", "CPU", "FSIZE", "NOFILE", "CORE", "NPROC")]
        for call in [*limits, "prctl:38", "prctl:4", "prctl:1", "close_range", "seccomp_init", "seccomp_load"]:
            done = run(AECG, env=preloaded(library, ESCAPE_FAIL=call))
            same((done.returncode, done.stdout), (3, b""), call)
            holds(done.stderr.startswith(b"vitalgate-ecg: the sandbox cannot be closed: "), done.stderr.decode())


# --- files that want too much


def section(number, body):
    body += bytes(len(body) % 2)
    head = struct.pack("<HIBB6x", number, 16 + len(body), 20, 20) + body
    return struct.pack("<H", binascii.crc_hqx(head, 0xffff)) + head


def syn_scp(stored, leads=1, name=b"SYN", language=0):
    """SCP-ECG: leads of `stored` zero bytes of the default Huffman table, where a zero bit is a sample."""
    samples = 8 * stored
    device = bytes(16) + bytes([language]) + bytes(23)
    parts = [section(1, b"".join(struct.pack("<BH", tag, len(text)) + text
                                 for tag, text in ((14, device), (0, name), (255, b"")))),
             section(2, struct.pack("<H", 19999)),
             section(3, bytes([leads, 4 | leads << 3 & 0xff]) +
                     b"".join(struct.pack("<IIB", 1, samples, i + 1) for i in range(leads))),
             section(6, struct.pack("<HHBB", 1000, 2000, 2, 0) + struct.pack("<H", stored) * leads +
                     bytes(stored * leads))]
    numbers, index, pointers = (1, 2, 3, 6), 7 + 136, {}
    for number, part in zip(numbers, parts):
        pointers[number] = (len(part), index)
        index += len(part)
    table = b"".join(struct.pack("<HII", n, *((136, 7) if n == 0 else pointers.get(n, (0, 0)))) for n in range(12))
    body = section(0, table) + b"".join(parts)
    record = struct.pack("<I", 6 + len(body)) + body
    return struct.pack("<H", binascii.crc_hqx(record, 0xffff)) + record


def lead_xml(name, digits):
    return (b'<sequence><code code="MDC_ECG_LEAD_' + name + b'"/><value><scale value="1" unit="uV"/><digits>' +
            digits + b"</digits></value></sequence>")


def document(content):
    return b"<AnnotatedECG><series>" + content + b"</series></AnnotatedECG>"


def filled(head, unit, tail):
    """As many units as 4 MiB hold."""
    return head + unit * ((4 * MIB - len(head) - len(tail)) // len(unit)) + tail


def bombs():
    most = 4 * MIB - 64
    many = b"".join(b'a%x="" ' % i for i in range(500000))
    yield "a Huffman stream of single bits", syn_scp(65534, 7), None
    yield "more samples than are taken", syn_scp(65534, 60), None
    yield "half a million attributes", document(b"<a " + many[:most - 64].rsplit(b" ", 1)[0] + b"/>"), None
    yield "half a million elements' names", document(b"".join(b"<a%x/>" % i for i in range(400000))), None
    yield "a deep document", filled(b"<AnnotatedECG>", b"<a>", b""), "xml"
    yield "one long text", filled(b"<AnnotatedECG><name>", b"x", b"</name></AnnotatedECG>"), None
    yield "one long name", filled(b"<AnnotatedECG><", b"x", b"/></AnnotatedECG>"), None
    yield "one long attribute", filled(b'<AnnotatedECG a="', b"&#65;", b'"/>'), None
    yield "one long comment", filled(b"<AnnotatedECG><!--", b"x", b"--></AnnotatedECG>"), None
    yield "a token without an end", filled(b"<AnnotatedECG><", b"x", b""), "xml"
    yield "as many samples as there is room for", document(b"".join(
        lead_xml(b"V%d" % i, b"1 " * 999999) for i in (1, 2))), None
    yield "as many leads as there is room for", document(b"".join(
        lead_xml(b"V%d" % i, b"1") for i in range(30000))), None
    yield "as many statements", filled(
        b"<AnnotatedECG>", b'<annotation><code code="MDC_ECG_INTERPRETATION_STATEMENT"/><value>x</value></annotation>',
        b"</AnnotatedECG>"), None
    yield "GBK from end to end", filled(b'<?xml version="1.0" encoding="GBK"?><AnnotatedECG>', b"\xb2\xe2",
                                        b"</AnnotatedECG>"), None
    entities = b"".join(b'<!ENTITY a%d "%s">' % (i + 1, b"&a%d;" % i * 10) for i in range(9))
    yield ("entities that expand", b'<!DOCTYPE AnnotatedECG [<!ENTITY a0 "x">' + entities + b"]><AnnotatedECG>&a9;"
           b"</AnnotatedECG>", "doctype")
    yield "rows of electrodes", ecg90a((4 * MIB - 80) // 16), None
    yield "nested sequences of DICOM", bytes(128) + b"DICM" + b"\x08\0\x32\x10SQ\0\0\xff\xff\xff\xff" * 300000, None


def check_bombs():
    for name, data, rejected in bombs():
        with tap.case(f"{name}: within its limits"):
            holds(len(data) <= 4 * MIB, f"{len(data)} bytes")
            found, cpu_s, memory_kb = measured(data, "--samples", "all")
            holds(found is not None, "no answer")
            same(found.get("rejected"), rejected)
            holds(cpu_s < CPU_S / 2 and memory_kb < MEMORY_MAX_KB, f"{cpu_s:.1f} s, {memory_kb} KiB")
            tap.note(f"{name}: {len(data)} bytes, {cpu_s:.2f} s, {memory_kb // 1024} MiB, "
                     f"{sum(lead['n'] for lead in found.get('leads', []))} samples")


def check_little_memory(library):
    """Wherever memory ends, the answer is whole or there is none."""
    with tap.case("little memory"):
        cases = [(data, run(data, "--samples", "all").stdout) for name, data, _ in bombs() if name in LITTLE]
        ends = {0: 0, 1: 0}
        for kib in range(12 << 10, 100 << 10, 7 << 10):
            for data, want in cases:
                done = run(data, "--samples", "all",
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (kib << 10, kib << 10)))
                holds(done.returncode in ends, f"{kib} KiB: {done}"[:300])
                ends[done.returncode] += 1
                if done.returncode:
                    same((done.stdout, done.stderr), (b"", b"vitalgate-ecg: out of memory\n"))
                else:
                    holds(done.stdout == want, f"{kib} KiB: {done.stdout[:200]}")
        holds(min(ends.values()) > 5, ends)
    with tap.case("a closer limit stays"):
        done = run(b"SPIN\n", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 1)),
                   env=preloaded(library))
        same(done.returncode, -signal.SIGKILL)


def main():
    check_answers()
    check_texts()
    check_wrong_use()
    if SANITIZED:
        tap.skip("the sandbox", "a build with sanitizers has none")
        tap.done()
    check_files()
    with tempfile.TemporaryDirectory() as folder:
        library = build_escape(folder)
        spin = start_spin(library)
        check_escapes(library)
        check_closed()
        check_parent()
        check_refusal(library)
        check_bombs()
        check_little_memory(library)
        check_spin(spin)
    tap.done()


if __name__ == "__main__":
    main()
