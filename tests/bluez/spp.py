#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the guest: the gateway against sppmeter.py, an analyser with Bluetooth serial on a virtual controller
of its own. The gateway has two, and is configured to use the one that the kernel would not choose.
"""
import contextlib
import socket
import subprocess
import sys
import time

from guest import (Broker, Gateway, LabResult, Meter, Stack, boot_us, check,
                   check_delivered, main, run_tests, slow_disk, syncs_between, wait_for)

OURS, METERS = "hci0", "hci1"
CHANNEL, OTHER_CHANNEL, STACK_CHANNEL = 5, 9, 12
DELAY_S = 3
FOUND_S = 75  # off for long, then switched on: a minute, and what a slow guest adds
AGAIN_S = 25  # after a link that was of use
OFF_S = 45    # the pauses have become longer in it: attempts after 0, 10 and 30 s


class Scenario:
    def __init__(self, build):
        self.build = build
        self.stack = Stack(3, "-l3")
        self.broker = Broker()
        self.address, self.own = self.stack.address(METERS), self.stack.address(OURS)
        self.stack.answer_pages(METERS, False)
        self.meter = None
        self.gateway = self.make_gateway(pairing=True, slowdisk=build + "/tests/slowdisk.so")

    def make_gateway(self, slowdisk=None, **more):
        return Gateway(self.build, {
            "id": "lab-1", "driver": "lis01", "transport": "rfcomm", "address": self.address,
            "adapter": OURS, **more}, slowdisk=slowdisk)

    def wait_state(self, state, timeout_s):
        wait_for(f"state {state}", lambda: self.gateway.state() == state, timeout_s)

    def deliver(self, name, *results):
        for result in results:
            self.meter.tell("message " + result.hex)
        return [check_delivered(f"{name}, {r}", self.gateway, self.broker, self.meter, r)
                for r in results]

    def count(self, what):
        return len(self.meter.events(what))

    def expect_back(self, name, timeout_s):
        """The link is there again; seconds that it took."""
        begun_us, links = boot_us(), self.count("connected")
        event = self.meter.wait("connected", count=links + 1, timeout_s=timeout_s)
        took = (event["boot_us"] - begun_us) / 1e6
        check(f"{name}: connected again within {timeout_s} s", True)
        print(f"# connected again after {took:.1f} s")

    def off(self):
        """Nobody answers: that is normal, said once, and costs one attempt now and then."""
        self.gateway.start()
        self.wait_state("absent", 30)
        time.sleep(OFF_S)
        check("instrument is off: shown as absent", self.gateway.state() == "absent",
              self.gateway.state())
        said = self.gateway.logged("lab-1")
        check("instrument is off: said once", len(said) == 1 and "absent" in said[0], said)
        with open(self.stack.daemon.log, encoding="utf-8", errors="replace") as f:
            calls = [line for line in f if f"{OURS} bdaddr {self.address} type 0 status 0x4" in line]
        check(f"instrument is off: called three times in {OFF_S} s", len(calls) == 3, *calls)

    def on(self):
        """Bonds by itself: `pairing: true`, Just Works."""
        self.stack.stop_bluetoothd()
        self.meter = Meter("sppmeter.py", self.address, str(CHANNEL), stdin=subprocess.PIPE)
        self.meter.wait("listening")
        self.restart_bluetoothd()
        self.meter.tell("pair")
        self.meter.wait("pairable")
        self.stack.answer_pages(METERS, True)
        begun_us = boot_us()
        event = self.meter.wait("connected", timeout_s=FOUND_S)
        check(f"instrument is switched on: found within {FOUND_S} s", True)
        print(f"# found after {(event['boot_us'] - begun_us) / 1e6:.1f} s")
        check("instrument is switched on: called from the adapter that is configured",
              event["peer"] == self.own, event)
        check("instrument is switched on: its channel was asked for",
              self.gateway.logged(f"serial port on channel {CHANNEL}"))
        check("instrument is switched on: with a bond that bluetoothd keeps",
              self.stack.peers(OURS, "Paired") == [self.address])
        link = subprocess.run(["hcitool", "-i", OURS, "con"], capture_output=True, text=True,
                              check=False).stdout
        check("instrument is switched on: the link is encrypted", "ENCRYPT" in link, link)
        wait_for("state connected", lambda: self.gateway.state() == "connected")
        device = self.gateway.ask("devices")["live"]["lab-1"]
        check("instrument is switched on: says who it is",
              device["says"] == "addr:" + self.address, device)
        self.deliver("first result", LabResult())

    def several(self):
        results = [LabResult() for _ in range(4)]
        self.deliver("several results", *results)
        shown = [e["hex"] for e in self.meter.events("confirmed")][-4:]
        check("several results: in the analyser's order", shown == [r.hex for r in results], shown)

    def held(self):
        """A disk that needs three seconds: the ACK must wait for it."""
        with slow_disk(DELAY_S):
            [(sent, confirmed)] = self.deliver("slow disk", LabResult())
        waited = (confirmed["boot_us"] - sent[0]["boot_us"]) / 1e6
        check(f"slow disk: acknowledged {DELAY_S} s or more after the frame", waited >= DELAY_S,
              f"{waited:.3f} s")
        slow = [s for s in syncs_between(sent[0]["boot_us"], confirmed["boot_us"])
                if s["done_us"] - s["begun_us"] >= DELAY_S * 1e6]
        check("slow disk: a slow sync ended before the ACK", slow)
        print(f"# frame to ACK {waited:.3f} s")

    def hangs_up(self):
        asked = self.count("asked")
        self.meter.tell("hang-up")
        self.expect_back("instrument hangs up", AGAIN_S)
        self.deliver("instrument hangs up", LabResult())
        check("instrument hangs up: its channel is known", self.count("asked") == asked)
        check("instrument hangs up: the end was normal",
              self.gateway.logged("lab-1: disconnected: the device closed the link"),
              self.gateway.logged("lab-1"))

    def moves(self):
        """Its serial port is behind another channel after it was switched off and on."""
        asked = self.count("asked")
        self.meter.tell(f"advertise {OTHER_CHANNEL}")
        self.meter.tell(f"move {OTHER_CHANNEL}")
        self.meter.tell("hang-up")
        self.expect_back("another channel", AGAIN_S)
        check("another channel: asked for when the old one was refused",
              self.count("asked") == asked + 1, self.count("asked"))
        self.deliver("another channel", LabResult())

    def busy(self):
        """Another program on the gateway is quicker, and holds the channel."""
        self.gateway.stop()
        with contextlib.closing(self.occupy()):
            self.gateway.start()
            self.wait_state("busy", 30)
        check("another program has it: shown as busy", True)
        self.expect_back("another program has it", FOUND_S)
        self.deliver("another program has it", LabResult())

    def occupy(self):
        def attempt():
            other = socket.socket(socket.AF_BLUETOOTH, socket.SOCK_STREAM, socket.BTPROTO_RFCOMM)
            other.bind((self.own, 0))
            try:
                other.connect((self.address, OTHER_CHANNEL))
            except OSError:
                other.close()
                return None
            return other
        return wait_for("the other program's link", attempt)

    def power_cycle(self):
        self.stack.power(OURS, False)
        self.wait_state("adapter-off", 30)
        check("adapter switched off: shown as that", True)
        self.stack.power(OURS, True)
        self.expect_back("adapter switched on", AGAIN_S)
        self.deliver("adapter switched on", LabResult())

    def restart_bluetoothd(self):
        self.stack.start_bluetoothd()
        wait_for("adapters", lambda: self.stack.powered() >= 3)

    def bluetoothd_restarted(self):
        self.stack.stop_bluetoothd()
        self.restart_bluetoothd()
        self.stack.answer_pages(METERS, True)
        self.deliver("bluetoothd restarted", LabResult())

    def no_port(self):
        """It is on, but says that it has no serial port; then it has one."""
        self.meter.tell("advertise 0")
        self.meter.tell(f"move {CHANNEL}")
        self.meter.tell("hang-up")
        self.wait_state("error", 60)
        check("no serial port: said", self.gateway.logged("it offers no serial port"),
              self.gateway.logged("lab-1"))
        self.meter.tell(f"advertise {CHANNEL}")
        self.expect_back("no serial port for a while", FOUND_S)
        self.deliver("no serial port for a while", LabResult())

    def killed(self):
        """The gateway dies before it can acknowledge: the analyser sends it again."""
        result = LabResult()
        with slow_disk(DELAY_S):
            self.meter.tell("message " + result.hex)
            self.meter.wait("indicated", result)
            time.sleep(1)
            self.gateway.kill()
        check("gateway killed during the commit: nothing was acknowledged",
              not self.meter.events("confirmed", result))
        self.gateway.start()
        check_delivered("gateway killed during the commit", self.gateway, self.broker, self.meter,
                        result)

    def configured(self):
        """A configured channel is not asked for; a bond is used when there is one."""
        check("gateway stops cleanly", self.gateway.stop() == 0)
        self.gateway = self.make_gateway(channel=CHANNEL)
        asked, links = self.count("asked"), self.count("connected")
        self.gateway.start()
        self.meter.wait("connected", count=links + 1, timeout_s=FOUND_S)
        self.deliver("configured channel", LabResult())
        check("configured channel: not asked for", self.count("asked") == asked)

    def forgotten(self):
        """The gateway has lost the bond and the instrument has not: it turns the gateway away."""
        self.stack.forget(OURS, self.address)
        self.wait_state("unpaired", FOUND_S)
        check("bond is lost: said", self.gateway.logged("lab-1: unpaired"),
              self.gateway.logged("lab-1"))
        self.stack.forget(METERS, self.own)
        self.expect_back("paired anew", FOUND_S)
        self.deliver("paired anew", LabResult())

    def stack_server(self):
        """A record that bluetoothd keeps, among its others, and an RFCOMM server of bluetoothd."""
        self.gateway.stop()
        self.meter.stop()
        self.gateway = self.make_gateway(pairing=True)
        self.meter = Meter("sppmeter.py", self.address, str(STACK_CHANNEL), "--bluetoothd",
                           stdin=subprocess.PIPE)
        self.meter.wait("listening")
        self.gateway.start()
        self.meter.wait("connected", timeout_s=FOUND_S)
        check("record kept by bluetoothd: its channel was found",
              self.gateway.logged(f"serial port on channel {STACK_CHANNEL}"),
              self.gateway.logged("lab-1"))
        self.deliver("record kept by bluetoothd", LabResult())

    def stopped(self):
        rows = self.gateway.readings()
        check("every result of the analyser is there, once", len(rows) == LabResult.made,
              f"{LabResult.made} results, {len(rows)} rows")
        code = self.gateway.stop()
        check("gateway stops cleanly from a link", code == 0, f"exit status {code}")
        self.stack.answer_pages(METERS, False)
        self.gateway.start()
        time.sleep(1)
        code = self.gateway.stop()
        check("gateway stops cleanly while it calls", code == 0, f"exit status {code}")


def scenario(build):
    s = Scenario(build)
    run_tests([
        ("instrument is off", s.off),
        ("instrument is switched on", s.on),
        ("several results", s.several),
        ("slow disk", s.held),
        ("instrument hangs up", s.hangs_up),
        ("another channel", s.moves),
        ("another program has it", s.busy),
        ("adapter switched off and on", s.power_cycle),
        ("bluetoothd restarted", s.bluetoothd_restarted),
        ("no serial port for a while", s.no_port),
        ("gateway killed during the commit", s.killed),
        ("configured channel", s.configured),
        ("bond is lost", s.forgotten),
        ("record kept by bluetoothd", s.stack_server),
        ("stop", s.stopped),
    ])
    return 0


sys.exit(main(scenario))
