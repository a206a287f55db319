#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Self-test of the platform's ECG centre, against messages as a gateway sends them.

Prints TAP. Arguments, if any, select tests by name.
"""
import base64
import hashlib
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "sim")]
from ecg_centre import CentreFaults  # noqa: E402
from harness import Tap, holds, read_ledger, same, wait_until  # noqa: E402
from health_platform import Platform  # noqa: E402

GATEWAY = "gw-1"
tap = Tap()


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Script:
    """A platform without a broker, and messages as a gateway sends them."""

    def __init__(self, where, name, **more):
        self.path = os.path.join(where, name)
        self.more = more
        self.again()

    def again(self):
        self.platform = Platform(f"vg/v1/o/s/{GATEWAY}", self.path, **self.more)

    def send(self, topic, name, *items):
        return self.raw(topic, {"v": 1, "gateway": GATEWAY, "epoch": "e", name: items})

    def raw(self, topic, envelope):
        receipts = self.platform.take(topic, json.dumps(envelope, ensure_ascii=False).encode())
        return [(r["revision"], r["result"], r.get("missing")) for r in receipts]

    def events(self, *kinds):
        return [e for e in read_ledger(self.path) if e["event"] in kinds]

    def kept(self, study):
        with open(self.path + ".originals/" + study["id"], "rb") as f:
            return f.read()


def study_of(data, size=8192, revision=1, **more):
    return {"id": sha(data)[:32], "revision": revision, "seq": 1, "status": "final",
            "resident": "R-0001", "identity": {}, "test": False, "time": {}, "device": {},
            "ecg": {"patient": {"sex": "M", "age": {"value": 61, "unit": "a"}}},
            "original": {"bytes": len(data), "sha256": sha(data), "chunk_bytes": size,
                         "chunks": -(-len(data) // size)},
            "report": {"state": "waiting"}, **more}


def chunks_of(data, size=8192):
    count = -(-len(data) // size)
    return [{"id": sha(data)[:32], "revision": 1, "seq": 2 + n, "n": n, "of": count,
             "offset": n * size, "data": base64.b64encode(data[n * size:][:size]).decode()}
            for n in range(count)]


def test_centre(where):
    data = os.urandom(20000)
    study, chunks = study_of(data), chunks_of(data)
    chunk = lambda s, n: s.send("up/ecg/chunk", "chunks", chunks[n])  # noqa: E731
    meta = lambda s, m=study: s.send("up/ecg", "studies", m)  # noqa: E731
    with tap.case("centre: accepted with the last chunk, in whatever order; repeats are counted"):
        s = Script(where, "order")
        same([meta(s), chunk(s, 2), chunk(s, 0), chunk(s, 0), chunk(s, 1)],
             [[], [], [], [], [(1, "accepted", None)]])
        same(s.kept(study), data)
        same(meta(s), [(1, "accepted", None)], "again")
        same(meta(s, study_of(data, revision=2, status="amended")), [(2, "accepted", None)])
        same([(e["chunks"], e["again"]) for e in s.events("complete")], [(3, 1)])
        same(len(s.events("stored")), 2)
    with tap.case("centre: metadata again asks for what is missing; last metadata, too"):
        s = Script(where, "missing")
        meta(s)
        chunk(s, 1)
        same(meta(s), [(1, "retry", [0, 2])])
        same([chunk(s, 0), chunk(s, 2)], [[], [(1, "accepted", None)]])
        s = Script(where, "last")
        same([chunk(s, n) for n in range(3)] + [meta(s)], [[], [], [], [(1, "accepted", None)]])
    with tap.case("centre: revisions that came before the original are all receipted with it"):
        s = Script(where, "revisions")
        same([meta(s), meta(s, study_of(data, revision=2, status="amended"))], [[], []])
        same([chunk(s, n) for n in range(3)],
             [[], [], [(1, "accepted", None), (2, "accepted", None)]])
    with tap.case("centre: killed in the middle, it knows its chunks and receipts again"):
        s = Script(where, "killed")
        meta(s)
        chunk(s, 0)
        s.again()
        same(meta(s), [(1, "retry", [1, 2])])
        chunk(s, 1)
        same(chunk(s, 2), [(1, "accepted", None)])
        s.again()
        same(meta(s), [(1, "accepted", None)])
        same(s.kept(study), data)
    with tap.case("centre: wrong SHA-256, dropped chunks, refused, withheld, put off"):
        s = Script(where, "spoilt", centre_faults=CentreFaults(spoil_chunk=1))
        meta(s)
        same([chunk(s, n) for n in range(3)], [[], [], [(1, "retry", None)]])
        same([chunk(s, n) for n in range(3)], [[], [], [(1, "accepted", None)]])
        same(len(s.events("mismatch")), 1)
        s = Script(where, "dropped", centre_faults=CentreFaults(drop_chunks=[1]))
        meta(s)
        same([chunk(s, n) for n in range(3)], [[], [], []])
        same(meta(s), [(1, "retry", [1])])
        same(chunk(s, 1), [(1, "accepted", None)])
        s = Script(where, "refused", centre_faults=CentreFaults(refuse=True))
        same(meta(s), [(1, "rejected", None)])
        s = Script(where, "asking", centre_faults=CentreFaults(ask_at_once=True))
        same(meta(s), [(1, "retry", [0, 1, 2])])
        s = Script(where, "withheld", centre_faults=CentreFaults(withhold=True))
        meta(s)
        same([chunk(s, n) for n in range(3)], [[], [], []])
        s.platform.centre.faults.change({"withhold": False, "retry": True})
        same(meta(s), [(1, "retry", None)])
        s.platform.centre.faults.change({"retry": False})
        same(meta(s), [(1, "accepted", None)])
    with tap.case("centre: what is not valid is refused, by its reason"):
        s = Script(where, "invalid")
        bad = [study_of(data, status="x"), study_of(data, report={"state": "lost"}),
               study_of(data, original={**study["original"], "chunks": 4}),
               study_of(data, test=None)]
        same([meta(s, b) for b in bad], [[(1, "rejected", None)]] * 4)
        meta(s)
        same(meta(s, study_of(data, resident="R-0002")), [(1, "rejected", None)])
        same(len(s.events("conflict")), 1)
        for changed in ({"n": 3}, {"data": "?"}, {"data": ""}, {"revision": 2}, {"offset": -1}):
            same(s.send("up/ecg/chunk", "chunks", {**chunks[0], **changed}), [])
        same(len(s.events("invalid")), 5)
        chunk(s, 0)
        s.send("up/ecg/chunk", "chunks", {**chunks[0], "data": chunks[1]["data"]})
        same(len(s.events("conflict")), 2)
        s.send("up/ecg/chunk", "chunks", {**chunks[1], "offset": 0})
        same(chunk(s, 2), [(1, "retry", None)])
        same(len(s.events("mismatch")), 1, "two chunks in one place")
    with tap.case("centre: names in any spelling and ids in the metadata are found"):
        s = Script(where, "forbidden", forbid=["测试甲"])
        for text in ("测试甲", "\\u6d4b\\u8bd5\\u7532", "\\u6D4B\\u8BD5\\u7532",
                     "测试甲".encode("gb2312").hex()):
            s.platform.take("up/event", b'{"v":1,"x":"%s"}' % text.encode())
        s.platform.take("up/ecg", b'{"x":"%s"}' % "测试甲".encode("gb2312"))
        same(len(s.events("forbidden")), 5)
        same(meta(s, study_of(data, ecg={"patient": {"id": "R-0001"}})), [(1, "rejected", None)])
        same(len(s.events("forbidden")), 6)
        meta(s)
        s.platform.take("up/event", '{"v":1,"x":"测试乙"}'.encode())
        same(len(s.events("forbidden")), 6, "and nothing else is")
    with tap.case("centre: other topics go on as before"):
        s = Script(where, "others")
        same(s.send("up/alert", "alerts", {"id": "0" * 32, "revision": 1, "seq": 1}),
             [(1, "accepted", None)])
        same(s.raw("up/ecg", {"v": 1, "gateway": "other", "epoch": "e", "studies": []}), [])
        same(len(s.events("invalid")), 1)


def test_reports(where):
    sent = []
    data = b"x" * 100
    with tap.case("centre: reports are commands, so long after the study"):
        s = Script(where, "reports", reports=[(0.1, "preliminary", "p", None),
                                              (0.3, "critical", "c", "STEMI")])
        s.platform.centre.publish = sent.append
        s.send("up/ecg", "studies", study_of(data))
        s.send("up/ecg/chunk", "chunks", *chunks_of(data))
        holds(wait_until(lambda: len(sent) == 2), sent)
        same([(c["cmd"], c["by"], c["args"]) for c in sent], [
            ("ecg_report", "D-0009", {"study": sha(data)[:32], "status": "preliminary",
                                      "text": "p"}),
            ("ecg_report", "D-0009", {"study": sha(data)[:32], "status": "critical", "text": "c",
                                      "critical": "STEMI"})])
        holds(sent[0]["id"] != sent[1]["id"], sent)
        s.send("up/ecg", "studies", study_of(data))
        same(len(s.events("scheduled")), 2, "scheduled, repeats counted")


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_") and (not sys.argv[1:] or any(a in name for a in sys.argv[1:])):
            with tempfile.TemporaryDirectory(prefix="vitalgate-") as where:
                test(where)
    tap.done()


if __name__ == "__main__":
    main()
