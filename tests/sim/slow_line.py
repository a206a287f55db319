#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A narrow line: a TCP relay that lets through so many bits per second, each way.

Its socket buffers and segments are small, so that what is on its way waits at the sender and not
here. What is in here when a connection ends is lost. One JSON line per connection that ended goes
to standard output: {"up": bytes, "down": bytes, "seconds": s}.
"""
import argparse
import asyncio
import json
import signal
import socket
import sys
import time

TICK_S = 0.05
SEGMENT = 536           # the least that any line takes
BUFFER = 2048           # the kernel doubles it; a window of a few segments


def narrow(sock):
    """Small buffers; for a listener before listen(), for a client before connect()."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


class Budget:
    """All connections share the line."""

    def __init__(self, bits):
        self.bytes_s, self.free_at = bits / 8, time.monotonic()

    async def pay(self, count):
        """Wait until so many bytes have gone over the line."""
        self.free_at = max(self.free_at, time.monotonic()) + count / self.bytes_s
        await asyncio.sleep(self.free_at - time.monotonic())

    def piece(self):
        return max(1, min(SEGMENT, int(self.bytes_s * TICK_S)))


async def carry(source, target, budget, done, way):
    """Until one end closes. A piece is read only when the one before it has gone."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, budget.piece()):
        await budget.pay(len(data))
        await loop.sock_sendall(target, data)
        done[way] += len(data)


async def connection(near, to, budgets):
    begin, done = time.monotonic(), {"up": 0, "down": 0}
    far = narrow(socket.socket())
    try:
        await asyncio.get_running_loop().sock_connect(far, to)
        ways = [asyncio.create_task(carry(near, far, budgets["up"], done, "up")),
                asyncio.create_task(carry(far, near, budgets["down"], done, "down"))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    except OSError as error:
        print(f"slow_line: {error}", file=sys.stderr, flush=True)
    finally:
        near.close()
        far.close()
        print(json.dumps({**done, "seconds": round(time.monotonic() - begin, 3)}), flush=True)


async def serve(options):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    narrow(listener).bind(("127.0.0.1", options.listen))
    listener.listen(8)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    budgets = {way: Budget(options.bits) for way in ("up", "down")}
    tasks = set()
    while True:
        near, _ = await asyncio.get_running_loop().sock_accept(listener)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.setblocking(False)
        task = asyncio.create_task(connection(near, ("127.0.0.1", options.to), budgets))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", type=int, required=True, metavar="PORT",
                        help="0: any that is free; it is printed")
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--bits", type=float, required=True, help="per second, each way")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
