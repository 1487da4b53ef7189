"""Verifying an audit folder: docs/reference/protocol.md, "Receipts" and "The log"."""

import math
import struct

from .merkle import inputs_root, open_checkpoint, root
from .messagepack import unpack
from .optimizers import optimize
from .rules import DEFAULTS, aggregate, factor_of
from .wire import open_envelope, read_blob, sha256, size_of

LARGEST = 2**31 - 1


class OutOfRange(Exception):
    pass


def write_blob(bits, table, values):
    if any(abs(value) > LARGEST for value in values):
        raise OutOfRange
    head = struct.pack("<8sHBBI", b"prefmesh", 1, bits, 0, len(table))
    for name, shape in table:
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack(f"<B{len(shape)}I", len(shape), *shape)
    return head + bytes(-len(head) % 4) + struct.pack(f"<{len(values)}i", *values)


def marks_of(factor):
    return {"A": (".lora_A.",), "B": (".lora_B.",), "both": (".lora_A.", ".lora_B.")}[factor]


def recompute(receipt, manifest, blob_of, state_before):
    """The hashes of the adapter and of the optimiser's state that the accepted updates make; both None out of range."""
    parent = read_blob(blob_of(receipt["parent"]))
    bits, table, values = parent
    sent = [entry for entry in table if any(mark in entry[0] for mark in marks_of(receipt["factor"]))]
    blobs = sorted(update["blob"] for update in receipt["updates"] if update["verdict"] == "accepted")
    updates = []
    for blob in blobs:
        update_bits, update_table, update = read_blob(blob_of(blob))
        assert (update_bits, update_table) == (bits, sent), "an update has other tensors"
        squares = 0.0
        for value in update:
            squares += float(value) * float(value)
        assert math.sqrt(squares) * 2.0**-bits <= manifest["update"]["normBound"], "an update is too long"
        updates.append(update)
    parameters = receipt["aggregation"]["parameters"]
    try:
        change = aggregate(manifest["aggregation"]["rule"], parameters, receipt["factor"], parent, sent, updates, blobs)
        state = None
        if manifest["serverOptimizer"] is not None:
            before = state_before and read_blob(blob_of(state_before))
            change, after = optimize(manifest["serverOptimizer"], parent, sent, change, before)
            state = sha256(write_blob(*after))
        if any(abs(value) > LARGEST for value in change):
            raise OutOfRange
        result, changes, at = [], iter(change), 0
        for name, shape in table:
            part = values[at : at + size_of(shape)]
            at += size_of(shape)
            result += [value + next(changes) for value in part] if (name, shape) in sent else part
        return sha256(write_blob(bits, table, result)), state
    except OutOfRange:
        return None, None


def ascends(items):
    return all(a < b for a, b in zip(items, items[1:]))


def loss_points(figures):
    parent, candidate = figures["rootParent"], figures["root"]
    difference = 2 * parent["correct"] + parent["ties"] - 2 * candidate["correct"] - candidate["ties"]
    return 50 * difference / candidate["pairs"]


def check_terms(receipt, manifest):
    rule, accepted = manifest["aggregation"]["rule"], [u for u in receipt["updates"] if u["verdict"] == "accepted"]
    reason, figures, published = receipt["reason"], receipt["figures"], receipt["outcome"] == "published"
    assert 1 <= receipt["round"] <= manifest["rounds"], "no such round"
    assert receipt["aggregation"]["rule"] == rule, "another rule"
    parameters = {**DEFAULTS[rule], **manifest["aggregation"]["parameters"]}
    assert receipt["aggregation"]["parameters"] == parameters, "other parameters"
    assert receipt["factor"] == factor_of(rule, receipt["round"]), "another factor"
    if manifest["admission"]["mode"] == "allow-list":
        assert set(receipt["cohort"]) <= set(manifest["admission"]["participants"]), "not on the allow-list"
    assert ascends(receipt["cohort"]) and len(receipt["cohort"]) <= manifest["maxParticipants"], "the cohort"
    senders = [update["sender"] for update in receipt["updates"]]
    assert ascends(senders) and set(senders) <= set(receipt["cohort"]), "the senders"
    assert all((u["verdict"] == "accepted") == (u["code"] is None) for u in receipt["updates"]), "a verdict's reason"
    assert published == (reason is None), "the outcome's reason"
    if figures is not None:
        sets = manifest["evaluation"]
        assert figures["evaluation"]["pairs"] <= sets["evaluationSet"]["pairs"], "too many pairs"
        assert figures["root"]["pairs"] <= sets["rootSet"]["pairs"], "too many pairs"
    gated = figures is not None and loss_points(figures) > manifest["evaluation"]["gate"]["maxLossPoints"]
    assert not published or (figures is not None and not gated), "published against the gate"
    assert (reason == "GATE_REFUSED") == (gated and not published), "the gate"
    assert (reason == "QUORUM_MISSED") == (len(accepted) < manifest["quorum"]), "the quorum"
    assert (receipt["candidate"] is None) == (reason in ("QUORUM_MISSED", "OUT_OF_RANGE")), "the candidate"
    assert receipt["output"] == receipt["candidate" if published else "parent"], "the output"
    assert not published or (receipt["optimizerState"] is None) == (manifest["serverOptimizer"] is None), "the state"


def check_messages(receipt, files):
    """How many update messages were signed by their senders and say what the receipt says."""
    for update in receipt["updates"]:
        envelope, offer, digest = open_envelope(files[f"updates/{update['envelope']}"])
        assert digest == update["envelope"], "a message has another hash"
        assert (envelope["type"], envelope["sender"]) == ("update", update["sender"]), "a message is somebody else's"
        for field in ("federation", "round", "factor", "parent"):
            assert offer[field] == receipt[field], f"a message is for another {field}"
        assert offer["blob"] == update["blob"], "a message offers something else"
    return len(receipt["updates"])


def check_acknowledgement(data, federation, aggregators, receipts):
    """Whether an acknowledged update is in the receipt of its round."""
    parts = unpack(data)
    assert set(parts) == {"update", "acknowledgement"}
    update, offer, digest = open_envelope(parts["update"])
    answer, said, _ = open_envelope(parts["acknowledgement"])
    assert (update["type"], answer["type"]) == ("update", "acknowledgement"), "other messages"
    assert offer["federation"] == said["federation"] == federation, "another federation's"
    assert answer["sender"] in aggregators and said["recipient"] == update["sender"], "other peers"
    assert said["request"] == digest, "the answer to something else"
    if said["verdict"] != "accepted" or offer["round"] > len(receipts):
        return
    signer, receipt = receipts[offer["round"] - 1]
    if signer != answer["sender"]:
        return  # another aggregator took over, which promised nothing
    listed = {entry["sender"]: entry for entry in receipt["updates"]}.get(update["sender"])
    if listed is not None and listed["code"] == "KEY_REVOKED":
        return  # the owner revoked the key after the promise
    assert listed is not None and (listed["verdict"], listed["blob"]) == ("accepted", offer["blob"]), "left out"


def revocations_of(receipt, files, manifest, federation):
    """The version, keys and invites of the list of revocations that a receipt names."""
    if receipt is None or receipt["revocations"] is None:
        return 0, set(), set()
    envelope, revocations, digest = open_envelope(files[f"revocations/{receipt['revocations']}"])
    assert (envelope["type"], digest) == ("revocations", receipt["revocations"]), "another list of revocations"
    assert envelope["sender"] == manifest["owner"] and revocations["federation"] == federation, "not the owner's list"
    assert ascends(revocations["participants"]) and ascends(revocations["invites"]), "the list's order"
    return revocations["version"], set(revocations["participants"]), set(revocations["invites"])


def check_revoked(receipt, before, under):
    """Nobody counts whom the list names, and lists only grow."""
    assert before == under or (before[0] < under[0] and before[1] <= under[1] and before[2] <= under[2]), "an older list"
    for update in receipt["updates"]:
        assert update["verdict"] != "accepted" or update["sender"] not in under[1], "a revoked key counts"
        assert update["code"] != "KEY_REVOKED" or update["sender"] in under[1], "a key that was not revoked"
    assert not before[1] & set(receipt["cohort"]), "a revoked key is asked"


def verify_audit(files):
    """Checks a whole federation; `files` is its audit folder as bytes by path. Returns (rounds, signatures)."""

    def blob_of(name):
        data = files[f"blobs/{name}"]
        assert sha256(data) == name, "a blob has another hash"
        return data

    envelope, manifest, federation = open_envelope(files["federation"])
    assert envelope["type"] == "manifest" and envelope["sender"] == manifest["owner"], "not the owner's manifest"
    aggregators = [entry["id"] for entry in manifest["aggregators"]]
    names = sorted(path for path in files if path.startswith("receipts/"))
    receipts, entries, signatures = [], [], 1
    previous, parent, state = None, manifest["adapter"]["initial"], None
    revoked = revocations_of(None, files, manifest, federation)
    for number, name in enumerate(names, 1):
        envelope, receipt, digest = open_envelope(files[name])
        assert envelope["type"] == "receipt" and envelope["sender"] in aggregators, "not an aggregator's receipt"
        assert receipt["federation"] == federation, "another federation's receipt"
        assert (receipt["round"], receipt["previous"], receipt["parent"]) == (number, previous, parent), "a broken chain"
        assert receipt["outcome"] == "published" or receipt["optimizerState"] == state, "a broken chain"
        check_terms(receipt, manifest)
        before, revoked = revoked, revocations_of(receipt, files, manifest, federation)
        check_revoked(receipt, before, revoked)
        assert inputs_root(receipt["updates"]) == receipt["inputsRoot"], "another root"
        signatures += 1 + check_messages(receipt, files)
        if receipt["candidate"] is not None or receipt["reason"] == "OUT_OF_RANGE":
            candidate, after = recompute(receipt, manifest, blob_of, state)
            assert candidate == receipt["candidate"], f"round {number} gives another adapter"
            assert receipt["outcome"] != "published" or after == receipt["optimizerState"], "another state"
        previous, parent, state = digest, receipt["output"], receipt["optimizerState"]
        receipts.append((envelope["sender"], receipt))
        entries.append(files[name])
    named, size, checkpoint_root, signers, witnesses = open_checkpoint(files["checkpoint"])
    assert named == federation and (size, checkpoint_root) == (len(entries), root(entries)), "another log"
    assert set(signers) & set(aggregators), "nobody's checkpoint"
    cosigned = (set(witnesses) & set(manifest["witnesses"]["participants"])) - revoked[1]
    assert not entries or len(cosigned) >= manifest["witnesses"]["required"], "too few cosignatures"
    for path in files:
        if path.startswith("acknowledgements/"):
            check_acknowledgement(files[path], federation, aggregators, receipts)
            signatures += 2
    return len(receipts), signatures + len(signers) + len(witnesses)
