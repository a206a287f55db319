#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ECG studies, from a cart's line or a spool directory to the platform, and reports back.

The carts' ledgers say what was reported as sent to a person, the platform's what came; originals
are compared byte for byte. Each function of SITES is one site; they run side by side.
VITALGATE_ONLY=name runs one of them, VITALGATE_SEED: of the storm.
"""
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "sim")]
import harness  # noqa: E402
import scp_file  # noqa: E402
from ecg_site import (CALL, CAN, CHUNK, NAME, TYPED, Sender, alerts, all_right,  # noqa: E402
                      arrived, boot_of, command, dicom, dropped, file_of, made, now_is, of_file,
                      open_studies, opened, pdf, rules_of, send, sha, silent_about)
from harness import Site, Tap, box_device, cart_device, holds, same, wait_until  # noqa: E402
from test_e2e import drained, nothing_wrong  # noqa: E402

tap = Tap()
SEED = int(os.environ.get("VITALGATE_SEED", random.randrange(1 << 30)))
ACUTE = "*** 急性心肌梗死 *** ACUTE MI"


# --- (a) a clean line


def clean():
    with Site(devices=[cart_device("cart-1")], receipt_timeout=5) as site:
        opened(site)
        site.cart("cart-1")
        for n, how in enumerate(("sx", "sx-k", "sb")):
            with tap.case(f"{how}: byte-identical at the platform, measurements, whose", site):
                clean_one(site, how, 70 + n)
        with tap.case("an id that is no token: nobody's, and it does not get out", site):
            data = file_of(site, "cart-1", send(site, "cart-1", patient=TYPED, samples=500))
            study = arrived(site, data)
            same((study["resident"], study["status"]), (None, "unassigned"))
        with tap.case("sent again: the same study, nothing new", site):
            drained(site)
            before = len(site.received("up/ecg"))
            send(site, "cart-1", file=site.events("cart-1", "measured")[0]["record"]["file"],
                 last_name=None)
            time.sleep(2)
            same(len(site.received("up/ecg")), before, "studies and revisions")
        with tap.case("a clean line: everything receipted, no name in payloads or logs", site):
            all_right(site)


def clean_one(site, how, hr):
    key = send(site, "cart-1", patient="R-0001", how=how, hr=hr, huffman=how == "sb",
               statements=["窦性心律", "正常心电图"], samples=4000)
    data = file_of(site, "cart-1", key)
    study = arrived(site, data)
    ecg, made_of = study["ecg"], site.events("cart-1", "measured")[-1]["record"]
    same((study["resident"], study["status"], study["test"]), ("R-0001", "final", False))
    same((study["identity"]["evidence"], study["identity"]["in_contract"]), ("message_token", True))
    same((study["device"]["id"], study["device"]["driver"]), ("cart-1", "xmodem/1"))
    same(study["time"]["device"][:19], made_of["time"], "the cart's time")
    same((ecg["format"], ecg["interval_us"], ecg["uv_per_lsb"]), ("scp", 2000, 2.5))
    m = ecg["measurements"]
    same((m["hr"], m["pr"], m["qrs"], m["qt"], m["qtc"], m["axis"]),
         (hr, 160, 90, 380, 410, {"p": 45, "qrs": 50, "t": 40}))
    same(ecg["interpretation"]["lines"], ["窦性心律", "正常心电图"])
    same([lead["name"] for lead in ecg["leads"]][:8], list(scp_file.LEADS))
    same(set(ecg["patient"]), {"sex", "age"}, "what is said of the patient")
    same((study["original"]["chunks"], study["original"]["chunk_bytes"]),
         (-(-len(data) // CHUNK), CHUNK))
    same(alerts(site), [], "alerts of a normal ECG")


# --- (b) everything goes wrong


STORM_FILES, STORM_EACH = 20, 5
CARTS = {"cart-1": "sx", "cart-2": "sx-k", "cart-3": "sb", "cart-4": "sx-k"}


def storm():
    dice = random.Random(SEED)
    with Site(devices=[cart_device(c) for c in CARTS], receipt_timeout=3,
              line_bits=600_000) as site:
        opened(site)
        for n, (cart, how) in enumerate(CARTS.items()):
            # an answer that is lost costs ten seconds: one cart has noise both ways
            site.cart(cart, "--how", how, "--random", str(STORM_EACH), "--samples", "2500",
                      "--noise", "0.01", "--direction", "both" if n == 3 else "out",
                      "--speed", "40000", "--tries", "25", "--seed", str(SEED + n))
        with tap.case("nothing ended by itself", site):
            tap.note(f"storm: seed {SEED}, " + storm_rages(site, dice))
        with tap.case("storm: everything is sent in the end, as far as the cart knows", site):
            count = lambda: sum(len(site.events(c, "told")) for c in CARTS)  # noqa: E731
            wait_until(lambda: count() == STORM_FILES, 240, 0.2)
            same(count(), STORM_FILES, "files that were reported as sent")
        storm_compare(site)


def storm_rages(site, dice):
    """Kill the core in a transfer, the uplink and the broker while chunks go."""
    kills = ["core"] * 6 + ["uplink"] * 3 + ["broker"] * 2
    dice.shuffle(kills)
    for victim in kills:
        sending = lambda: any(len(site.events(c, "sent")) > len(  # noqa: E731
            site.events(c, "told", "lost")) for c in CARTS)
        wait_until(sending)
        time.sleep(dice.uniform(0.2, 2.5))
        holds(all(site.running(n) for n in ("core", "uplink", "broker", "platform")), site.tails())
        site.kill(victim)
        time.sleep(dice.uniform(0, 0.5))
        site.restart(victim)
    return " ".join(kills)


def storm_compare(site):
    files = {}      # sha256 -> told?
    for cart in CARTS:
        told = {e["key"] for e in site.events(cart, "told")}
        for e in site.events(cart, "measured"):
            files[e["record"]["sha256"]] = e["key"] in told
    complete = lambda: {s["original"]["sha256"] for s in site.studies()  # noqa: E731
                        if site.original(s)}
    wait_until(lambda: complete() >= {f for f, told in files.items() if told}, 120, 0.2)
    with tap.case("storm: what was reported as sent is at the platform, byte-identical", site):
        missing = [f for f, told in files.items() if told and f not in complete()]
        same(missing, [], "missing")
        for s in site.studies():
            same(sha(site.original(s)), s["original"]["sha256"])
    with tap.case("storm: each once, no half file, no phantom", site):
        there = [s["original"]["sha256"] for s in site.studies()]
        same(len(there), len(set(there)), "studies of different files")
        same([f for f in there if f not in files], [], "nobody sent these")
        all_right(site)
    repeated = site.events("platform", "again")
    tap.note(f"storm: attempts {sum(len(site.events(c, 'sent')) for c in CARTS)}, "
             f"chunks that came again {len(repeated)}")


def interrupted():
    """The moments at which a new process may mistake the rest of a transfer for a whole one."""
    with Site(devices=[cart_device("cart-1")], receipt_timeout=5) as site:
        opened(site)
        sender = Sender(site, "cart-1")
        restart = lambda: (site.kill("core"), site.restart("core"),  # noqa: E731
                           holds(wait_until(site.answers), "the core does not start"))
        data = made(samples=2600, seed=100)     # more than 256 blocks of 128 bytes
        with tap.case("an EOT that belongs to no file is never acknowledged", site):
            holds(sender.hear((CALL,), 60), "nobody calls")
            holds(not sender.finish(), f"told that it was sent: {sender.heard[-12:].hex()}")
        with tap.case("killed before the EOT: whoever sends is not told that it was sent", site):
            holds(sender.hear((CALL,), 60), "nobody calls")
            same(sender.blocks(data), None, "answer to a block")
            restart()
            holds(not sender.finish(), f"told that it was sent: {sender.heard[-12:].hex()}")
        with tap.case("killed before block 257, whose number is 1: that is no beginning", site):
            sender.heard = b""
            holds(sender.hear((CALL,), 60), "nobody calls")
            same(sender.blocks(data[:256 * 128]), None, "answer to a block")
            restart()
            answer = sender.hear((CALL, CAN), 60)
            told = answer == CALL and sender.blocks(data[256 * 128:]) is None and sender.finish()
            holds(not told, f"told that it was sent: {sender.heard[-12:].hex()}")
        with tap.case("and what is sent again whole arrives", site):
            sender.heard = b""
            holds(sender.hear((CALL,), 60), "nobody calls")
            same(sender.blocks(data), None, "answer to a block")
            holds(sender.finish(), f"not acknowledged: {sender.heard[-12:].hex()}")
            arrived(site, data)
            same(len(site.studies()), 1, "studies")
        sender.close()


# --- a platform that loses, spoils and refuses


RECEIPT_S = 8       # a receipt that is on its way is here by then, on a busy machine, too


def faulty():
    with Site(devices=[box_device("box-1")], receipt_timeout=RECEIPT_S) as site:
        opened(site)
        faults = lambda **f: site.control("platform", json.dumps({"faults": f}))  # noqa: E731
        chunks = lambda s, *kinds: [e["n"] for e in site.events("platform", *kinds)  # noqa: E731
                                    if e["id"] == s["id"]]
        with tap.case("a chunk that was lost: it alone is sent again", site):
            faults(drop_chunks=[1, 3])
            data = made(seed=110, bytes=5 * CHUNK)
            dropped(site, "a.scp", data)
            study = arrived(site, data)
            same((sorted(chunks(study, "chunk")), chunks(study, "dropped", "again")),
                 ([0, 1, 2, 3, 4], [1, 3]))
        with tap.case("a wrong SHA-256: everything is sent again", site):
            faults(drop_chunks=[], spoil_chunk=2)
            data = made(seed=111, bytes=4 * CHUNK)
            dropped(site, "b.scp", data)
            study = arrived(site, data)
            same(len(site.events("platform", "mismatch")), 1)
            same(sorted(chunks(study, "chunk")), [0, 0, 1, 1, 2, 2, 3, 3])
        with tap.case("no receipts; asked for chunks that are on their way: once, whole", site):
            faults(spoil_chunk=None, withhold=True)
            data = made(seed=112, bytes=6 * CHUNK)
            dropped(site, "c.scp", data)
            arrived(site, data)
            time.sleep(RECEIPT_S + 2)
            faults(withhold=False, ask_at_once=True)
            drained(site)
            data = made(seed=113, bytes=6 * CHUNK)
            dropped(site, "d.scp", data)
            arrived(site, data)
            drained(site)
        with tap.case("refused: visible, and sent again when somebody says so", site):
            faults(ask_at_once=False, refuse=True)
            data = made(seed=114, bytes=2 * CHUNK)
            dropped(site, "e.scp", data)
            refused = lambda: site.query("SELECT count(*) FROM outbox WHERE state=3")  # noqa: E731
            holds(wait_until(lambda: refused() != [(0,)]), "nothing is refused")
            faults(refuse=False)
            site.cli("resend", "all")
            arrived(site, data)
            drained(site)
            nothing_wrong(site)


# --- (c) a spool directory


def spool():
    with Site(devices=[box_device("box-1"), box_device("box-2")], receipt_timeout=5) as site:
        opened(site)
        with tap.case("spool: a file that is written slowly comes once, whole", site):
            spool_slow(site)
        with tap.case("spool: renamed into place, and the same again under another name", site):
            data = made(patient="R-0002", seed=2)
            dropped(site, "a.scp", data)
            study = arrived(site, data)
            same((study["resident"], study["device"]["driver"]), ("R-0002", "dropped_file/1"))
            dropped(site, "b.scp", data)
            with open(site.path("box-1.box/c.scp.part"), "wb") as f:
                f.write(data)
            os.rename(f.name, site.path("box-1.box/c.scp"))
            holds(wait_until(lambda: len(os.listdir(site.path("box-1.box/done"))) >= 4),
                  os.listdir(site.path("box-1.box/done")))
            time.sleep(1)
            same(len(of_file(site, data)), 1, "studies")
        with tap.case("spool: what cannot be read, or is no file, holds up nothing", site):
            spool_unreadable(site)
        with tap.case("spool: a PDF and a DICOM file come as they are", site):
            for name, data, kind in (("r.pdf", pdf(), "pdf"), ("r.dcm", dicom(), "dicom")):
                dropped(site, name, data)
                same(arrived(site, data)["ecg"]["format"], kind)
        with tap.case("spool: 5 MiB is too much, is said, and holds up nothing", site):
            spool_big(site)
        with tap.case("spool: everything receipted, no name in payloads or logs", site):
            all_right(site)


def spool_slow(site):
    data = made(seed=1, bytes=20000)
    with open(site.path("box-1.box/slow.scp"), "wb", buffering=0) as f:
        for at in range(0, len(data), 2000):
            f.write(data[at:at + 2000])
            time.sleep(0.4)
    arrived(site, data)
    same(len(site.studies()), 1, "studies")


def spool_unreadable(site):
    box = site.path("box-1.box/")
    secret = site.path("secret.scp")
    with open(secret, "wb") as f:
        f.write(made(seed=30))
    os.mkdir(box + "folder.scp")
    os.mkfifo(box + "fifo.scp")
    os.symlink("/nowhere/at/all", box + "dangling.scp")
    os.symlink(secret, box + "link.scp")
    dropped(site, "empty.scp", b"")
    dropped(site, "short.scp", b"\x01")
    after = made(seed=31)
    dropped(site, "after.scp", after)
    other = made(seed=32)
    dropped(site, "other.scp", other, "box-2")
    arrived(site, after)
    arrived(site, other)
    time.sleep(2)
    with open(secret, "rb") as f:
        same(of_file(site, f.read()), [], "studies of a file that a link points to")
    holds(site.running("core"), "the core ended")


def spool_big(site):
    before = len(site.studies())
    dropped(site, "big.scp", os.urandom(5 << 20))
    after = made(seed=40)
    dropped(site, "zz-after.scp", after)
    arrived(site, after)
    same(len(site.studies()), before + 1, "studies")
    same(os.listdir(site.path("box-1.box/refused")), ["big.scp"])
    holds("longer than 4 MiB" in site.log("core"), "the log does not say it")


# --- (d) acute, over a narrow line


NARROW_BITS = 16000
CHUNK_S = CHUNK * 4 / 3 * 8 / NARROW_BITS


def narrow():
    with Site(devices=[cart_device("cart-1"), box_device("box-1")], receipt_timeout=600,
              line_bits=NARROW_BITS) as site:
        opened(site, "--verbose")
        site.cart("cart-1", "--how", "sb")
        with tap.case("acute, in 4 MiB over 16 kbit/s: one critical alert within two chunks", site):
            big = file_of(site, "cart-1", send(site, "cart-1", patient="R-0003", samples=5000,
                                               bytes=4 << 20, statements=[ACUTE]))
            narrow_alert(site, big, "R-0003", "D-0002")
        with tap.case("and the alert of another study overtakes the chunks of the first", site):
            holds(wait_until(lambda: len(site.events("platform", "chunk")) >= 1), "no chunk")
            small = file_of(site, "cart-1", send(site, "cart-1", patient="R-0001", samples=300,
                                                 statements=["窦性心律", ACUTE]))
            narrow_alert(site, small, "R-0001", "D-0001")
            same(site.events("platform", "complete"), [], "originals that are whole already")
        with tap.case("chunks go on, one after the other, none twice", site):
            count = lambda: len(site.events("platform", "chunk"))  # noqa: E731
            before = count()
            holds(wait_until(lambda: count() >= before + 2, 6 * CHUNK_S + 60), "the chunks stopped")
            same(site.events("platform", "again"), [], "again")
            same(len(alerts(site)), 2, "alerts")
            nothing_wrong(site)
            silent_about(site)


def narrow_alert(site, data, resident, doctor):
    found = wait_until(lambda: [e for e in site.events("platform", "stored")
                                if e["topic"] == "up/alert" and
                                e["object"]["resident"] == resident], 4 * CHUNK_S + 60)
    holds(found, f"no alert; there are {alerts(site)}")
    late = found[0]["t"] - boot_of(found[0]["object"]["raised"])
    tap.note(f"narrow: the alert took {late:.1f} s, two chunks {2 * CHUNK_S:.1f} s")
    before = [e for e in site.events("platform", "chunk") if found[0]["t"] - late < e["t"] < found[0]["t"]]
    holds(len(before) <= 2, f"{len(before)} chunks went before the alert")
    a = found[0]["object"]
    same((a["severity"], a["priority"], a["state"], a["to"]),
         ("critical", "PH", "active", {"role": "doctor", "token": doctor}))
    holds("cart_statement" in a["labels"], a["labels"])
    study = wait_until(lambda: of_file(site, data), 6 * CHUNK_S + 60)
    holds(study, "the study's metadata did not come")
    same((a["study"], study[0]["resident"]), (study[0]["id"], resident))


# --- (e) reports


def reporting():
    with Site(devices=[box_device("box-1")], receipt_timeout=5) as site:
        opened(site)
        study = reporting_begins(site)
        reporting_goes_on(site, study)
        reporting_critical(site)
        with tap.case("reports: everything receipted, no name in payloads or logs", site):
            all_right(site)


def reporting_begins(site):
    data = made(seed=50)
    dropped(site, "a.scp", data)
    with tap.case("received: the report is due in 30 minutes, and the study is open", site):
        study = now_is(site, arrived(site, data), "waiting", 0)
        received, due = (datetime.fromisoformat(study["report"][k]) for k in ("received", "due"))
        same((due - received).total_seconds(), 1800, "seconds until the report is due")
        same(open_studies(site), {study["id"]: "waiting"})
    with tap.case("a report for a study that is not here, or without a text, is refused", site):
        same(command(site, "c-0", {"id": "0" * 32}, "final", text="x")["ok"], False)
        same(command(site, "c-00", study, "perhaps", text="x")["ok"], False)
        same(command(site, "c-000", study, "critical", text="x")["ok"], False, "no phrase")
    return study


def reporting_goes_on(site, study):
    with tap.case("preliminary, final, amended: revisions of the study, all texts kept", site):
        for n, (status, text) in enumerate((("preliminary", "初步"), ("final", "正常"),
                                            ("amended", "左室高电压")), 1):
            same(command(site, f"c-{n}", study, status, text=text)["ok"], True, status)
            got = now_is(site, study, "reported", n)
            last = got["report"]["revisions"][-1]
            same((last["revision"], last["status"], last["text"]), (n, status, text))
            holds(last["by"].endswith("D-0009"), last)
            same(open_studies(site).get(study["id"]), "preliminary" if n == 1 else None, status)
        same(sha(site.original(got)), study["original"]["sha256"])
    with tap.case("the same command again: the same answer, no new revision", site):
        before = now_is(site, study, "reported", 3)["revision"]
        command(site, "c-3", study, "amended", text="左室高电压")
        time.sleep(1)
        same(now_is(site, study, "reported", 3)["revision"], before)
    with tap.case("poor tracing: the study waits for a repeat", site):
        data = made(seed=51, patient="R-0003")
        dropped(site, "b.scp", data)
        poor = now_is(site, arrived(site, data), "waiting", 0)
        same(command(site, "c-4", poor, "poor_tracing", text="基线漂移")["ok"], True)
        now_is(site, poor, "repeat", 1)
        same(open_studies(site), {poor["id"]: "repeat"})


def reporting_critical(site):
    data = made(seed=52, patient="R-0003")
    dropped(site, "c.scp", data)
    study = now_is(site, arrived(site, data), "waiting", 0)
    with tap.case("critical: one alert to the doctor, open until it is read back", site):
        same(command(site, "c-5", study, "critical", text="急性下壁心肌梗死",
                     critical="STEMI")["ok"], True)
        got = now_is(site, study, "waiting", 1)     # a call, the report is still to come
        same((got["report"]["critical"]["text"], got["report"]["critical"]["readback"]),
             ("STEMI", None))
        raised = wait_until(lambda: alerts(site, study["id"]))
        same([(a["severity"], a["to"]["token"], "centre_report" in a["labels"]) for a in raised],
             [("critical", "D-0002", True)])
        same(open_studies(site)[study["id"]], "critical_unread")
    with tap.case("read back word by word at the gateway: the next revision; the report is to come",
                  site):
        holds("other words" in site.refusal("--lang", "en", "ecg", "readback", study["id"],
                                            "NSTEMI", "--by", "D-0002"), "other words were taken")
        site.cli("ecg", "readback", study["id"], "STEMI", "--by", "D-0002")
        wait_until(lambda: (site.studies(id=study["id"])[0]["report"]["critical"] or {})
                   .get("readback"))
        new = site.studies(id=study["id"])[0]
        holds(new["revision"] > got["revision"], f"{new['revision']}")
        same(new["report"]["critical"]["readback"]["text"], "STEMI")
        holds(new["report"]["critical"]["readback"]["by"].endswith("D-0002"), new["report"])
        same(open_studies(site)[study["id"]], "waiting")
        same(command(site, "c-6", study, "final", text="急性下壁心肌梗死")["ok"], True)
        now_is(site, study, "reported", 2)
        holds(study["id"] not in open_studies(site), open_studies(site))


def hurried(site):
    os.makedirs(site.path("box-1.box"))
    holds(site.broker() and site.core(), "no core")
    site.cli("import", site.roster())


def ended(site, rule, seconds):
    """It began once, was technical, and is over."""
    of_rule = lambda: [a for a in alerts(site) if rule in rules_of(a)]  # noqa: E731
    holds(wait_until(of_rule), f"no alert {rule}: {alerts(site)}")
    wait_until(lambda: of_rule()[0]["state"] == "inactive", seconds, 0.5)
    same([(a["type"], a["place"], a["state"], a["phase"], a["level"], a["to"]) for a in of_rule()],
         [("ST", "ecg", "inactive", "end", "none", {"role": "staff", "token": "S-0001"})])


def unsent():
    settings = "ecg: {not_sent_minutes: 1}\n"
    with Site(devices=[box_device("box-1")], receipt_timeout=5, extra=settings) as site:
        hurried(site)
        data = made(seed=60)
        dropped(site, "a.scp", data)
        with tap.case("not sent for a minute: a technical alert, ended by the receipt", site):
            holds(wait_until(lambda: site.query("SELECT 1 FROM alert"), 180, 0.5), "no alert")
            same(set(open_studies(site).values()), {"not_sent"})
            site.platform()
            site.uplink()
            arrived(site, data)
            ended(site, "ecg-not-sent", 180)


def overdue():
    settings = "ecg: {report_minutes: 1}\n"
    with Site(devices=[box_device("box-1")], receipt_timeout=5, extra=settings) as site:
        hurried(site)
        site.platform()
        site.uplink()
        data = made(seed=61)
        dropped(site, "a.scp", data)
        with tap.case("not reported for a minute: overdue, an alert, ended by the report", site):
            study = arrived(site, data)
            now_is(site, study, "overdue", 0, 180)
            same(open_studies(site), {study["id"]: "overdue"})
            same(command(site, "c-1", study, "final", text="正常")["ok"], True)
            now_is(site, study, "reported", 1)
            ended(site, "ecg-overdue", 180)


# --- (f) what kills a decoder, (g) a restart with studies that are not decoded yet


FATES = ("CRASH", "HANG", "SPIN", "MEMORY", "RUBBISH", "FLOOD", "SHAPE", "NOTHING", "FAIL")


def with_decoder(site, *flags):
    """A copy of the daemon beside a decoder of ours."""
    folder = site.path("programs")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(harness.BUILD + "/vitalgated", folder)
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", *flags, "-o",
                    folder + "/vitalgate-ecg", HERE + "/sim/fake_decoder.c"], check=True)
    return folder


def opened_with(site, folder):
    os.makedirs(site.path("box-1.box"))
    holds(site.broker() and site.core(folder=folder), "no core")
    site.platform("--forbid", NAME)
    site.uplink()
    site.cli("import", site.roster())


def hostile():
    with Site(devices=[box_device("box-1")], receipt_timeout=5) as site:
        opened_with(site, with_decoder(site))
        files = {f: made(statements=["FATE-" + f], seed=70 + n) for n, f in enumerate(FATES)}
        good = made(seed=80)
        for fate, data in files.items():
            dropped(site, fate + ".scp", data)
        dropped(site, "good.scp", good)
        with tap.case("another study goes on beside files that kill their decoder", site):
            study = arrived(site, good, 300)
            same((study["resident"], study["ecg"]["measurements"]["hr"]), ("R-0001", 61))
        for fate, data in files.items():
            with tap.case(f"a decoder that ends in {fate}: the original comes, marked", site):
                study = arrived(site, data, 300)  # a hanging one has three tries
                same(study["ecg"].get("rejected"), "decoder")
                same((study["resident"], study["status"]), (None, "unassigned"))
        with tap.case("the daemon lives, and no decoder is left over", site):
            holds(site.running("core") and site.cli("status"), "the core ended")
            left = lambda: [p for p in glob.glob("/proc/[0-9]*/exe")  # noqa: E731
                            if decoder_at(p) == site.path("programs/vitalgate-ecg")]
            wait_until(lambda: not left())
            same(left(), [], "decoders that still run")
            drained(site)
            nothing_wrong(site)
            silent_about(site)


def decoder_at(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def undecoded():
    with Site(devices=[box_device("box-1")], receipt_timeout=5) as site:
        opened_with(site, with_decoder(site, "-DSLEEP"))
        files = [made(seed=90 + n, statements=[ACUTE] * (n == 1)) for n in range(3)]
        with tap.case("killed before the decoder was done: decoded after the restart", site):
            for n, data in enumerate(files):
                dropped(site, f"{n}.scp", data)
            holds(wait_until(lambda: [p for p in glob.glob("/proc/[0-9]*/exe") if decoder_at(p) ==
                                      site.path("programs/vitalgate-ecg")]), "no decoder runs")
            time.sleep(1)
            site.kill("core")
            shutil.copy(harness.BUILD + "/vitalgate-ecg", site.path("programs/new"))
            os.rename(site.path("programs/new"), site.path("programs/vitalgate-ecg"))
            site.restart("core")
            for data in files:
                study = arrived(site, data)
                wait_until(lambda: of_file(site, data)[0]["ecg"].get("measurements"))
                study = of_file(site, data)[0]
                same((study["resident"], study["ecg"]["measurements"]["hr"]), ("R-0001", 75))
                holds("rejected" not in study["ecg"], study["ecg"])
            drained(site)
            same([a["study"] for a in alerts(site)], [of_file(site, files[1])[0]["id"]], "alerts")
            nothing_wrong(site)
            silent_about(site)


SITES = [storm, overdue, unsent, faulty, narrow, interrupted, hostile, clean, spool, reporting,
         undecoded]


def run(site):
    try:
        site()
    except Exception as error:  # outside a case: the site itself did not come up
        tap.result(False, f"{site.__name__}: could not go on", f"{type(error).__name__}: {error}")


def main():
    if not shutil.which("sx"):
        tap.skip("ECG end to end", "lrzsz is not installed")
        tap.done()
    only = os.environ.get("VITALGATE_ONLY")
    chosen = [s for s in SITES if not only or s.__name__ == only]
    with ThreadPoolExecutor(len(chosen)) as pool:
        list(pool.map(run, chosen))
    tap.done()


if __name__ == "__main__":
    main()
