#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-test of the simulated ECG cart and the narrow line.

The receiver of XMODEM here is written from the protocol, and `rx` and `rb` of lrzsz are somebody
else's. Prints TAP. Arguments, if any, select tests by name.
"""
import binascii
import fcntl
import hashlib
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "sim")]
import scp_file  # noqa: E402
from cart import Noise  # noqa: E402
from harness import Failure, Skip, Tap, holds, read_ledger, same, wait_until  # noqa: E402

SHARED = os.environ.get("VITALGATE_SHARED") or os.path.join(HERE, "..", "..", "shared")
SOH, STX, EOT, ACK, NAK, CAN = 1, 2, 4, 6, 0x15, 0x18
tap = Tap()


def sha(data):
    return hashlib.sha256(data).hexdigest()


# --- files


def sections(data):
    """{id: body}; checks all that a reader must check."""
    same(struct.unpack_from("<HI", data), (binascii.crc_hqx(data[2:], 0xFFFF), len(data)))
    found, count = {}, (struct.unpack_from("<I", data, 10)[0] - 16) // 10
    for n in range(count):
        number, length, index = struct.unpack_from("<HII", data, 22 + 10 * n)
        if not length:
            continue
        body = data[index - 1:index - 1 + length]
        crc, inner, inner_length = struct.unpack_from("<HHI", body)
        same((inner, inner_length, length % 2), (number, length, 0), f"head of section {number}")
        same(crc, binascii.crc_hqx(body[2:], 0xFFFF), f"crc of section {number}")
        found[number] = body[16:]
    return found


def tags(body):
    at, found = 0, {}
    while body[at] != 255:
        length, = struct.unpack_from("<H", body, at + 1)
        found[body[at]] = body[at + 3:at + 3 + length]
        at += 3 + length
    return found


def bits_of(data):
    return "".join(format(byte, "08b") for byte in data)


def unpack(data, count):
    """First differences by the default table."""
    bits, at, out, value = bits_of(data), 0, [], 0
    while len(out) < count:
        ones = 0
        while ones < 10 and bits[at + ones] == "1":
            ones += 1
        if ones == 10:
            step, at = int(bits[at + 10:at + 26], 2), at + 26
            step -= (step >= 1 << 15) << 16
        elif ones == 9:
            step, at = int(bits[at + 10:at + 18], 2), at + 18
            step -= (step >= 128) << 8
        elif ones:
            step, at = ones * (-1 if bits[at + ones + 1] == "1" else 1), at + ones + 2
        else:
            step, at = 0, at + 1
        value += step
        out.append(value)
    return out


def test_files():
    with tap.case("a file has its sections, text in GB2312, checksums and measurements"):
        parts = sections(scp_file.make({"patient": "R-0001", "last_name": "测试甲", "hr": 75,
                                        "statements": ["窦性心律", ""]}))
        same(sorted(parts), [0, 1, 3, 6, 7, 8])
        found = tags(parts[1])
        same((found[0], found[2], found[14][16]),
             ("测试甲".encode("gb2312") + b"\0", b"R-0001\0", 0x27))
        same(found[25] + found[26], struct.pack("<HBBBBB", 2026, 1, 31, 8, 9, 10))
        same(struct.unpack_from("<BBHH5H3h", parts[7]),
             (1, 0, 800, 800, 100, 200, 260, 350, 640, 45, 50, 40))
        same(parts[8][8:], b"\2\1\x09\0" + "窦性心律".encode("gb2312") + b"\0\2\1\0\0" + b"\0")
    with tap.case("raw and Huffman-coded files have the same samples"):
        study = {"samples": 1000, "nv_per_lsb": 100}        # coarse enough for long codes
        raw, packed = (sections(scp_file.make({**study, "huffman": h}))[6] for h in (False, True))
        samples = struct.unpack_from("<1000h", raw, 6 + 16)
        holds(max(map(abs, samples)) > 2000, "nothing in it")
        same(unpack(packed[6 + 16:], 1000), list(samples))
        same((raw[4], packed[4]), (0, 1), "differences")
        same([n % 2 for n in struct.unpack_from("<8H", packed, 6)], [0] * 8, "odd lengths")
    with tap.case("any even size up to 4 MiB; what is too small is refused"):
        for size in (10240, 65536, 4 << 20):
            same(len(scp_file.make({"samples": 400, "bytes": size})), size)
        for size in (100, 10241):
            try:
                scp_file.make({"samples": 400, "bytes": size})
                raise Failure(f"{size} was made")
            except ValueError:
                pass
    with tap.case("an independent reader takes them: tools/scpdump.py"):
        tool = os.path.join(SHARED, "tools", "scpdump.py")
        if not os.path.exists(tool):
            raise Skip("no shared data")
        for huffman in (False, True):
            with tempfile.NamedTemporaryFile(suffix=".scp") as f:
                f.write(scp_file.make({"huffman": huffman}))
                f.flush()
                dump = json.loads(subprocess.run([sys.executable, tool, f.name], check=True,
                                                 capture_output=True, text=True).stdout)
            same((dump["warn"], dump["file_crc_ok"], len(dump["leads"]), dump["sec7"]["vent_rate"],
                  [lead["n"] for lead in dump["leads"]]), ([], True, 8, 75, [5000] * 8))


# --- a cart and its receivers


class Cart:
    def __init__(self, where, *options):
        self.where = where
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.join(HERE, "sim", "cart.py"), "--link",
             self.path("cart.tty"), "--ledger", self.path("ledger"), "--control",
             self.path("ctl"), *options])
        holds(wait_until(lambda: os.path.exists(self.path("cart.tty"))), "the cart did not start")

    def path(self, name):
        return os.path.join(self.where, name)

    def events(self, *kinds):
        return [e for e in read_ledger(self.path("ledger")) if e["event"] in kinds]

    def data(self, key):
        record = next(e for e in self.events("measured") if e["key"] == key)["record"]
        with open(record["file"], "rb") as f:
            data = f.read()
        same((len(data), sha(data)), (record["bytes"], record["sha256"]), "the ledger's own")
        return data

    def say(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            holds(wait_until(lambda: not s.connect_ex(self.path("ctl"))), "it takes no orders")
            s.send(text.encode())

    def end(self):
        self.process.terminate()
        return self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Receiver(threading.Thread):
    """XMODEM with CRC, and YMODEM, on a cart's line, file after file; `files` has what came whole.
    die_at: blocks after which it drops dead for a moment, once each, without a word."""

    def __init__(self, path, die_at=(), checksum=False):
        super().__init__(daemon=True)
        self.path, self.files, self.die_at = path, [], list(die_at)
        self.checksum = checksum
        self.blocks = self.bad = self.deaths = 0
        self.stopped = False
        self.open()
        self.start()

    def open(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)

    def read(self, count, seconds):
        data = b""
        while len(data) < count:
            if not select.select([self.fd], [], [], seconds)[0]:
                return data
            data += os.read(self.fd, count - len(data))
        return data

    def purge(self, quiet=0.2):
        while self.read(1, quiet):
            pass

    def answer(self, byte):
        os.write(self.fd, bytes([byte]))

    def block(self, first):
        """(number, data) of a good block, else None."""
        size = {SOH: 128, STX: 1024}[first]
        check = 1 if self.checksum else 2
        rest = self.read(2 + size + check, 0.5)
        if len(rest) != 2 + size + check or rest[0] ^ rest[1] != 255:
            return None
        body = rest[2:2 + size]
        good = sum(body) % 256 == rest[-1] if self.checksum else \
            binascii.crc_hqx(body, 0) == int.from_bytes(rest[-2:], "big")
        return (rest[0], body) if good else None

    def session(self):
        """The bytes of one file, or None."""
        call = NAK if self.checksum else ord("C")
        head = b""
        while not head:
            if self.stopped:
                return None
            self.answer(call)
            head = self.read(1, 0.5)
        data, expected, size, bad, ended = b"", 1, None, 0, False
        while True:
            head = head or b"\0"            # silence: ask for the block again
            got = self.block(head[0]) if head[0] in (SOH, STX) else None
            if head[0] == EOT and ended:
                self.answer(ACK)
                if size is not None:        # YMODEM: an empty name is to come
                    self.end_batch()
                return data if size is None else data[:size]
            if head[0] == EOT:
                ended = True
                self.answer(NAK)
            elif head[0] == CAN and self.read(1, 0.2) == bytes([CAN]):
                return None
            elif got is None:
                self.bad, bad = self.bad + 1, bad + 1
                self.purge()
                if bad > 10:
                    break
                self.answer(NAK if data or size is not None else call)
            elif got[0] == 0 and expected == 1 and not data:
                size = int(got[1].split(b"\0")[1].split()[0])
                self.answer(ACK)
                self.answer(call)
            elif got[0] == expected % 256:
                data, expected, bad, ended = data + got[1], expected + 1, 0, False
                self.blocks += 1
                if self.die_at and self.blocks >= self.die_at[0]:
                    self.die()
                    return None
                self.answer(ACK)
            elif got[0] == (expected - 1) % 256:
                self.answer(ACK)
            else:
                break
            head = self.read(1, 0.8)
        os.write(self.fd, bytes([CAN] * 3))
        self.purge()
        return None

    def end_batch(self):
        self.answer(ord("C"))
        if self.read(1, 1) and self.read(132, 1):
            self.answer(ACK)

    def die(self):
        self.die_at.pop(0)
        self.deaths += 1
        os.close(self.fd)
        time.sleep(0.3)
        self.open()

    def run(self):
        while not self.stopped:
            data = self.session()
            if data:        # an EOT again, whose ACK was lost, is no file
                self.files.append(data)

    def stop(self):
        self.stopped = True
        self.join(60)
        os.close(self.fd)


def cut(data):
    """XMODEM pads: an SCP file says its length itself."""
    return data[:struct.unpack_from("<I", data, 2)[0]]


def carry(fd, sock):
    """Between a tty and a program on a socket, until the program is gone. (Had rx the tty itself,
    its last act would be to flush it, and its last ACK with it.)"""
    while True:
        for ready in select.select([fd, sock], [], [])[0]:
            data = os.read(fd, 4096) if ready == fd else sock.recv(4096)
            if ready == sock and not data:
                return
            os.write(fd, data) if ready == sock else sock.sendall(data)


def test_lrzsz(where):
    for how, receiver in (("sx", ["rx", "got"]), ("sx", ["rx", "-c", "got"]),
                          ("sx-k", ["rx", "-c", "got"]), ("sb", ["rb"])):
        folder = os.path.join(where, how + "-".join(receiver))
        os.mkdir(folder)
        with tap.case(f"{how} to {' '.join(receiver)}: byte-identical, and the person is told"), \
                Cart(folder, "--how", how) as cart:
            fd = os.open(cart.path("cart.tty"), os.O_RDWR | os.O_NOCTTY)
            tty.setraw(fd)
            ours, its = socket.socketpair()
            rx = subprocess.Popen(receiver, stdin=its, stdout=its, stderr=subprocess.DEVNULL,
                                  cwd=folder)
            its.close()
            line = threading.Thread(target=carry, args=(fd, ours))
            line.start()
            cart.say('record {"patient":"R-0001","huffman":true}')
            holds(wait_until(lambda: cart.events("told"), 120), cart.events("sent", "lost"))
            same(rx.wait(120), 0, "exit status of the receiver")
            line.join(60)
            os.close(fd)
            name = "got" if how != "sb" else "ECG00001.SCP"
            with open(os.path.join(folder, name), "rb") as f:
                got = f.read()
            same(sha(got if how == "sb" else cut(got)), sha(cart.data("000001")))
            same([e["key"] for e in cart.events("sent", "told")], ["000001"] * 2)
            same(cart.end(), 0)


def test_noise_is_fair(where):
    del where
    with tap.case("noise changes bytes both ways, but makes no ACK and no EOT"):
        for outwards in (False, True):
            noise = Noise(1)
            noise.set("1")
            out = noise.spoil(bytes([7, 5, 2, 0x0c]) * 20000, outwards)
            same(set(out) & {ACK, EOT}, set())
            holds(len(set(out)) > 200 and len(noise.counts) == 3, noise.counts)


def test_noise(where):
    options = ["--noise", "0.01", "--how", "mix", "--random", "5", "--seed", "5"]
    with tap.case("noise both ways: what was told came whole"), Cart(where, *options) as cart:
        receiver = Receiver(cart.path("cart.tty"))
        wait_until(lambda: len(cart.events("told")) == 5, 300, 0.1)
        told = [e["key"] for e in cart.events("told")]
        same(len(told), 5, "told")
        receiver.stop()
        came = {sha(cut(f)) for f in receiver.files}
        holds({sha(cart.data(key)) for key in told} <= came, "one that was told is missing")
        faults = [e["record"] for e in cart.events("fault")]
        holds({k for f in faults for k in f} == {"flip", "drop", "insert"}, faults)
        holds(receiver.bad >= 3, f"only {receiver.bad} bad blocks")
        same(len({e["record"]["how"] for e in cart.events("measured")}), 3, "ways of sending")


def test_dying(where):
    options = ["--how", "sx-k", "--record", '{"bytes":40960,"samples":1000}',
               "--record", '{"samples":1500}', "--seed", "2"]
    with tap.case("a receiver that drops dead: the nurse sends again"), \
            Cart(where, *options) as cart:
        receiver = Receiver(cart.path("cart.tty"), die_at=(5,))
        holds(wait_until(lambda: len(cart.events("told")) == 2, 180, 0.1), cart.events("lost"))
        receiver.stop()
        same(receiver.deaths, 1)
        holds([e for e in cart.events("lost") if e["why"].startswith("exit")], cart.events("lost"))
        for key in ("000001", "000002"):
            holds(sha(cart.data(key)) in {sha(cut(f)) for f in receiver.files}, key)


def test_giving_up(where):
    with tap.case("nobody answers: given up after so many tries, and never told"), \
            Cart(where, "--tries", "2", "--patience", "0.5", "--pause", "0.1") as cart:
        cart.say("record {}")
        time.sleep(0.5)
        same(cart.events("sent"), [], "sent while nobody has the port open")
        fd = os.open(cart.path("cart.tty"), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        holds(wait_until(lambda: len(cart.events("lost")) == 3), cart.events("lost"))
        same([e["why"] for e in cart.events("lost")], ["patience", "patience", "given up"])
        same(cart.events("told"), [])
        os.close(fd)


def test_speed(where):
    options = ["--speed", "11520", "--how", "sx-k"]
    with tap.case("the line's speed holds"), Cart(where, *options) as cart:
        receiver = Receiver(cart.path("cart.tty"))
        cart.say('record {"bytes":20480,"samples":300}')
        holds(wait_until(lambda: cart.events("told"), 120), "not told")
        seconds = cart.events("told")[0]["record"]["seconds"]
        holds(1.7 < seconds < 60, f"{seconds} s")
        receiver.stop()


# --- the narrow line


def unsent_bytes(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def test_slow_line(where):
    del where
    server = socket.create_server(("127.0.0.1", 0))
    far = server.getsockname()[1]
    line = subprocess.Popen([sys.executable, os.path.join(HERE, "sim", "slow_line.py"), "--listen",
                             "0", "--to", str(far), "--bits", "64000"],
                            stdout=subprocess.PIPE, text=True)
    near = json.loads(line.stdout.readline())["port"]
    with tap.case("the narrow line: 64 kbit/s each way, what waits waits at the sender"), \
            server:
        client = socket.socket()
        client.connect(("127.0.0.1", near))
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        begin, data = time.monotonic(), os.urandom(24000)
        sending = threading.Thread(target=client.sendall, args=(data,))
        sending.start()
        time.sleep(1)
        peer.setblocking(False)
        early, took = len(peer.recv(1 << 16)), time.monotonic() - begin
        holds(0 < early < 8000 * took + 1000, f"{early} bytes in {took:.1f} s")
        unsent = 24000 - early
        queued = unsent_bytes(client)
        holds(queued > unsent - 9000, f"{queued} wait at the sender of {unsent}")
        peer.setblocking(True)
        got = early
        while got < len(data):
            got += len(peer.recv(1 << 16))
        seconds = time.monotonic() - begin
        holds(2.9 < seconds < 30, f"24,000 bytes in {seconds} s")
        begin = time.monotonic()
        peer.sendall(bytes(8000))
        got = 0
        while got < 8000:
            got += len(client.recv(1 << 16))
        holds(0.9 < time.monotonic() - begin < 30, f"{time.monotonic() - begin} s downwards")
        client.close()
        same(json.loads(line.stdout.readline())["up"], 24000)
        peer.close()
    line.kill()
    line.wait()


def main():
    chosen = [(n, t) for n, t in globals().items() if n.startswith("test_") and
              (not sys.argv[1:] or any(a in n for a in sys.argv[1:]))]
    for name, test in chosen:
        if name in ("test_lrzsz", "test_noise", "test_dying", "test_giving_up", "test_speed") and \
                not shutil.which("sx"):
            tap.skip(name, "lrzsz is not installed")
            continue
        if not test.__code__.co_argcount:
            test()
            continue
        with tempfile.TemporaryDirectory(prefix="vitalgate-") as where:
            test(where)
    tap.done()


if __name__ == "__main__":
    main()
