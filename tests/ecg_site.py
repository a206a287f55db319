# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of ECG studies share: files of nobody, carts and boxes, and what the platform has."""
import glob
import hashlib
import json
import os
import sys
import time
from datetime import datetime

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "sim")]
import scp_file  # noqa: E402
from harness import holds, same, wait_until  # noqa: E402
from test_e2e import drained, nothing_wrong  # noqa: E402

NAME, TYPED = "测试甲乙丙", "NOBODY-7741"       # must not get out
CHUNK = 8192


def sha(data):
    return hashlib.sha256(data).hexdigest()


def boot_of(text):
    """CLOCK_BOOTTIME of an instant in words."""
    ago = time.time() - datetime.fromisoformat(text).timestamp()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ago


# --- what all sites ask


def opened(site, *platform_options):
    for device in ("box-1", "box-2"):
        os.makedirs(site.path(device + ".box"), exist_ok=True)
    site.all("--forbid", NAME, "--forbid", TYPED, *platform_options)
    site.cli("import", site.roster())


def made(**study):
    """An SCP file of somebody who is not there."""
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 8 * 3600))
    return scp_file.make({"patient": "R-0001", "last_name": NAME, "time": when,
                          "samples": 800, **study})


def send(site, cart, **study):
    """The cart's file number, once the person is told that it was sent."""
    before = {e["key"] for e in site.events(cart, "measured")}
    site.control(cart, "record " + json.dumps({"last_name": NAME, **study}))
    new = wait_until(lambda: [e["key"] for e in site.events(cart, "measured")
                              if e["key"] not in before])
    holds(new, f"{cart} made nothing of {study}: {site.log(cart)}")
    holds(wait_until(lambda: [e for e in site.events(cart, "told") if e["key"] == new[0]], 60, 0.1),
          f"{cart} could not send {new[0]}: {site.ledger(cart)[-6:]}")
    return new[0]


def file_of(site, cart, key):
    record = next(e["record"] for e in site.events(cart, "measured") if e["key"] == key)
    with open(record["file"], "rb") as f:
        return f.read()


def dropped(site, name, data, device="box-1"):
    """A file in a spool directory, under its name at one stroke."""
    fresh = site.path(f"{name}.fresh")
    with open(fresh, "wb") as f:
        f.write(data)
    os.rename(fresh, site.path(f"{device}.box/{name}"))


def of_file(site, data, **want):
    return [s for s in site.studies(**want) if s["original"]["sha256"] == sha(data)]


def arrived(site, data, seconds=20, **want):
    """The platform's study of a file: one, with its original."""
    wait_until(lambda: any(site.original(s) for s in of_file(site, data, **want)), seconds)
    found = of_file(site, data, **want)
    same(len(found), 1, f"studies {want} of a file of {len(data)} bytes at the platform")
    same((found[0]["original"]["bytes"], sha(site.original(found[0]) or b"")),
         (len(data), sha(data)), "the original")
    return found[0]


def alerts(site, study=None, label=None):
    """Each once, the newest revision."""
    newest = {}
    for (name, revision), a in site.received("up/alert").items():
        if revision >= newest.get(name, a)["revision"]:
            newest[name] = a
    return [a for a in newest.values() if study in (None, a.get("study")) and
            (label is None or label in a["labels"])]


def rules_of(alert):
    return [r["id"] for r in alert["rules"]]


def silent_about(site):
    """Nothing that names a person, in payloads (the platform looks) and in logs."""
    same(site.events("platform", "forbidden"), [], "payloads with a name or an id")
    for path in glob.glob(site.path("*.log")):
        with open(path, "rb") as f:
            text = f.read()
        for word in (NAME.encode(), NAME.encode("gb2312"), TYPED.encode(),
                     json.dumps(NAME)[1:-1].encode()):
            holds(word not in text, f"{os.path.basename(path)} has {word!r}")


def all_right(site):
    drained(site, 20)
    nothing_wrong(site)
    same(site.events("platform", "rejected", "mismatch"), [], "refused by the platform")
    silent_about(site)
