# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of the simulated platform that takes ECG studies: up/ecg and up/ecg/chunk.

A study is here when its metadata and every chunk of its original are, and the SHA-256 is right:
only then a receipt says "accepted", for each revision that has come by then. Metadata that comes
again while chunks are missing is answered "retry" with the list of them, a wrong SHA-256 with
"retry" and no list: everything again. Later revisions are metadata only.

Originals are kept in the folder <ledger>.originals: <id>.part while chunks are missing, then <id>.
A centre that was killed reads both again. In the ledger of the platform, beside the metadata's
stored, duplicate, conflict and rejected:

    chunk       id, n, of, bytes: a new one
    again       id, n: one that was here already, with the same bytes
    dropped     id, n: thrown away on purpose
    complete    id, bytes, sha256, chunks, again (how many came more than once)
    mismatch    id, sha256: of what was put together; it is thrown away
    receipt     id, revision, result, missing: as it goes out, or would (why: withheld)
    forbidden   topic, reason: a payload has what must not leave the gateway
    scheduled   id, status: the centre will report so

The centre reports when it is told to: --report 1.5:final:"text", more than one if need be.
"""
import base64
import binascii
import hashlib
import json
import os
import threading
import uuid
from collections import Counter

PATIENT_KEYS = {"sex", "age"}           # all that metadata may say of a person, but the token
STATUSES = {"final", "unassigned", "amended", "entered-in-error"}
REPORTS = {"unsent", "received", "waiting", "overdue", "reported", "repeat"}
CHUNK_KEYS = ("n", "of", "offset", "data")


def whole(value):
    return type(value) is int and value >= 0


def wrong_original(o):
    """What is wrong with a study's `original`; None when nothing."""
    if not isinstance(o, dict) or not all(whole(o.get(k)) for k in ("bytes", "chunks",
                                                                   "chunk_bytes")):
        return "original: bytes, chunks and chunk_bytes are needed"
    if not isinstance(o.get("sha256"), str) or len(o["sha256"]) != 64:
        return "original: no sha256"
    if not o["chunk_bytes"] or o["chunks"] != -(-o["bytes"] // o["chunk_bytes"]):
        return "original: the chunks do not make the bytes"
    return None


def wrong_study(study):
    """What is wrong with metadata; None when nothing. Its id and revision were looked at before."""
    if study.get("status") not in STATUSES:
        return f"status {study.get('status')}"
    for key, kind in (("time", dict), ("device", dict), ("identity", dict), ("ecg", dict),
                      ("report", dict), ("test", bool)):
        if not isinstance(study.get(key), kind):
            return f"no {key}"
    if study["report"].get("state") not in REPORTS:
        return f"report: state {study['report'].get('state')}"
    return wrong_original(study.get("original"))


class Words:
    """What must not stand in any payload: names, ids of people."""

    def __init__(self, words=()):
        self.needles = {n for word in words for n in self.spellings(word)}

    @staticmethod
    def spellings(word):
        yield word.encode()
        for charset in ("gb18030", "utf-16-le", "latin-1"):
            try:
                yield word.encode(charset)
            except UnicodeError:
                continue
        escaped = json.dumps(word)[1:-1].encode()
        yield escaped
        yield escaped.upper().replace(b"\\U", b"\\u")
        yield binascii.hexlify(word.encode())
        yield binascii.hexlify(word.encode("gb18030"))

    def found(self, payload):
        return any(needle in payload for needle in self.needles)


def person(study):
    """What metadata says of a person and must not."""
    ecg = study.get("ecg")
    patient = ecg.get("patient", {}) if isinstance(ecg, dict) else {}
    extra = set(patient) - PATIENT_KEYS if isinstance(patient, dict) else {"patient"}
    return f"ecg.patient has {', '.join(sorted(extra))}" if extra else None


class Original:
    """The chunks of one study, as they come, in a file."""

    def __init__(self, path):
        self.path, self.have, self.of, self.again, self.dirty = path, {}, None, 0, False
        self.complete = os.path.exists(path)

    def put(self, n, offset, data):
        """True when it is new, False when it is the same again, None when it is another."""
        digest = hashlib.sha256(data).digest()
        if n in self.have:
            self.again += 1
            return False if self.have[n] == (offset, len(data), digest) else None
        fd = os.open(self.path + ".part", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.pwrite(fd, data, offset)
        os.fsync(fd)
        os.close(fd)
        self.have[n] = offset, len(data), digest
        return True

    def remember(self, n, offset, length):
        """A chunk that an earlier life of this platform wrote down."""
        try:
            with open(self.path + ".part", "rb") as f:
                f.seek(offset)
                data = f.read(length)
        except FileNotFoundError:
            return
        self.have[n] = offset, len(data), hashlib.sha256(data).digest()

    def missing(self, original):
        return [n for n in range(original["chunks"]) if n not in self.have]

    def check(self, original):
        """The SHA-256 of all chunks, as they lie one behind the other; None if they do not."""
        size = original["chunk_bytes"]
        for n, (offset, length, _) in self.have.items():
            last = original["bytes"] - size * (original["chunks"] - 1)
            if offset != n * size or length != (size if n < original["chunks"] - 1 else last):
                return None
        if not original["chunks"]:
            return hashlib.sha256(b"").hexdigest()
        with open(self.path + ".part", "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def keep(self):
        if os.path.exists(self.path + ".part"):
            os.rename(self.path + ".part", self.path)
        self.complete = True

    def drop(self):
        self.have.clear()
        if os.path.exists(self.path + ".part"):
            os.unlink(self.path + ".part")


class CentreFaults:
    """What the centre does wrong on purpose; each may be changed while it runs."""

    def __init__(self, withhold=False, refuse=False, retry=False, ask_at_once=False,
                 drop_chunks=(), spoil_chunk=None):
        self.withhold = withhold            # no receipt for any study
        self.refuse = refuse                # rejects each study
        self.retry = retry                  # puts each study off, though nothing is missing
        self.ask_at_once = ask_at_once      # asks for missing chunks when metadata first comes, too
        self.drop_chunks = list(drop_chunks)  # of each study, once
        self.spoil_chunk = spoil_chunk      # of each study, once: the SHA-256 will be wrong

    def change(self, values):
        for key, value in values.items():
            if key not in vars(self):
                raise ValueError(f"no fault {key}")
            setattr(self, key, value)


class Centre:
    """publish(command): sends one to the gateway."""

    def __init__(self, folder, ledger, entries=(), faults=None, reports=(), publish=None):
        self.folder, self.ledger, self.publish = folder, ledger, publish
        self.faults, self.reports = faults or CentreFaults(), list(reports)
        self.studies = {}           # id -> {revision: metadata}
        self.originals = {}         # id -> Original
        self.accepted = set()       # (id, revision)
        self.done = Counter()       # (id, n) of faults that happen once
        os.makedirs(folder, exist_ok=True)
        self.recall(entries)

    def recall(self, entries):
        for e in entries:
            topic, event = e.get("topic"), e["event"]
            if event == "stored" and topic == "up/ecg":
                self.studies.setdefault(e["id"], {})[e["revision"]] = e["object"]
            elif event == "chunk":
                self.original(e["id"]).remember(e["n"], e["offset"], e["bytes"])
            elif event == "mismatch":
                self.original(e["id"]).have.clear()
            elif event == "receipt" and e["result"] == "accepted":
                self.accepted.add((e["id"], e["revision"]))

    def original(self, study_id):
        if study_id not in self.originals:
            self.originals[study_id] = Original(os.path.join(self.folder, study_id))
        return self.originals[study_id]

    # Metadata

    def take_study(self, study, head, content):
        """Receipts that this metadata earns. head: id, revision and what is wrong with them;
        content(): the same for the same metadata."""
        study_id, revision, wrong = head
        reason = wrong or wrong_study(study) or person(study)
        if not wrong and person(study):
            self.ledger.write("forbidden", topic="up/ecg", id=study_id, reason=person(study))
        known = self.studies.setdefault(study_id, {}) if not wrong else {}
        event = "stored"
        if reason:
            event = "rejected"
        elif revision in known:
            same = content(known[revision]) == content(study)
            event = "duplicate" if same else "conflict"
            reason = None if same else "stored with other content"
        elif self.faults.refuse:
            event, reason = "rejected", "simulated"
        else:
            known[revision] = study
        self.ledger.write(event, topic="up/ecg", id=study_id, revision=revision, object=study,
                          seq=study.get("seq") if isinstance(study, dict) else None,
                          **({"reason": reason} if reason else {}))
        if event in ("rejected", "conflict"):
            return self.answer(study_id, revision, "rejected", reason) if study_id and revision else []
        if self.faults.retry:
            return self.answer(study_id, revision, "retry", "simulated")
        return self.settle(study_id, study, again=event == "duplicate")

    def settle(self, study_id, study, again):
        """What can be said about one revision, now that it is here."""
        original = self.original(study_id)
        if original.complete:
            return self.answer(study_id, study["revision"], "accepted")
        missing = original.missing(study["original"])
        if not missing:
            return self.put_together(study_id)
        if again or self.faults.ask_at_once:
            return self.answer(study_id, study["revision"], "retry", "chunks are missing", missing)
        return []           # they are on their way

    def answer(self, study_id, revision, result, reason=None, missing=None):
        receipt = {"id": study_id, "revision": revision, "result": result, "reason": reason or ""}
        if missing is not None:
            receipt["missing"] = missing
        why = {"why": "withheld"} if self.faults.withhold else {}
        self.ledger.write("receipt", **receipt, **why)
        if self.faults.withhold:
            return []
        if result == "accepted":
            self.accepted.add((study_id, revision))
        return [receipt]

    # Chunks

    def take_chunk(self, chunk):
        reason, data = self.wrong_chunk(chunk)
        if reason:
            shown = {k: v for k, v in chunk.items() if k != "data"} if isinstance(chunk, dict) \
                else repr(chunk)[:200]
            self.ledger.write("invalid", topic="up/ecg/chunk", object=shown, reason=reason)
            return []
        study_id, n = chunk["id"], chunk["n"]
        fields = {"topic": "up/ecg/chunk", "id": study_id, "n": n}
        if n in self.faults.drop_chunks and self.once("drop", study_id, n):
            self.ledger.write("dropped", **fields)
            return []
        if n == self.faults.spoil_chunk and self.once("spoil", study_id, n):
            data = bytes([data[0] ^ 1]) + data[1:]
        original = self.original(study_id)
        if original.complete:
            original.again += 1
            self.ledger.write("again", **fields, late=True)
            return []
        new = original.put(n, chunk["offset"], data)
        if new is None:
            self.ledger.write("conflict", **fields, reason="another content")
            return []
        self.ledger.write("chunk" if new else "again", **fields, of=chunk["of"],
                          offset=chunk["offset"], bytes=len(data))
        return self.put_together(study_id)

    @staticmethod
    def wrong_chunk(chunk):
        """What is wrong with it, and its bytes."""
        if not isinstance(chunk, dict) or not all(k in chunk for k in CHUNK_KEYS):
            return "a chunk has id, revision, seq, n, of, offset, data", None
        if not isinstance(chunk.get("id"), str) or len(chunk["id"]) != 32 or \
                chunk.get("revision") != 1 or type(chunk.get("seq")) is not int:
            return "id, revision or seq", None
        if not all(whole(chunk[k]) for k in ("n", "of", "offset")) or chunk["n"] >= chunk["of"]:
            return "n, of or offset", None
        try:
            data = base64.b64decode(chunk["data"], validate=True)
        except (ValueError, TypeError):
            return "data is not base64", None
        return (None, data) if data else ("no data", None)

    def once(self, fault, study_id, n):
        self.done[fault, study_id, n] += 1
        return self.done[fault, study_id, n] == 1

    def put_together(self, study_id):
        """Receipts of all its revisions, when nothing is missing any more."""
        revisions, original = self.studies.get(study_id), self.original(study_id)
        if not revisions:
            return []
        wanted = revisions[max(revisions)]["original"]
        if original.missing(wanted):
            return []
        found = original.check(wanted)
        if found != wanted["sha256"]:
            self.ledger.write("mismatch", id=study_id, sha256=found)
            original.drop()
            return self.answer(study_id, max(revisions), "retry", "sha256")
        original.keep()
        self.ledger.write("complete", id=study_id, bytes=wanted["bytes"], sha256=found,
                          chunks=wanted["chunks"], again=original.again)
        self.schedule(study_id)
        return [r for revision in sorted(revisions)
                for r in self.answer(study_id, revision, "accepted")]

    # Reports

    def schedule(self, study_id):
        for seconds, status, text, phrase in self.reports:
            self.ledger.write("scheduled", id=study_id, status=status)
            timer = threading.Timer(seconds, self.report, (study_id, status, text, phrase))
            timer.daemon = True
            timer.start()

    def report(self, study_id, status, text, phrase=None):
        args = {"study": study_id, "status": status, "text": text}
        if phrase:
            args["critical"] = phrase
        self.publish({"v": 1, "id": f"r-{uuid.uuid4().hex[:12]}", "cmd": "ecg_report",
                      "args": args, "by": "D-0009"})


def report_plan(text):
    """SECONDS:STATUS:TEXT[:PHRASE] of --report."""
    seconds, status, words, phrase = (text.split(":", 3) + ["", "", ""])[:4]
    return float(seconds), status, words, phrase or None
