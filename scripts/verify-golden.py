"""A second implementation of the wire and of every aggregation rule, written from docs/reference/protocol.md alone.

Reads the golden files: every envelope (MessagePack, signed bytes, Ed25519, hash), every blob (form, hash), proofs over
Merkle trees, and whole federations, one for each rule and server optimiser, that are verified and computed again from
their updates. Python's standard library only; the parts are in scripts/verifier/.

    python3 scripts/verify-golden.py test/protocol/golden
"""

import base64
import json
import pathlib
import sys

sys.dont_write_bytecode = True

from verifier.audit import recompute, verify_audit  # noqa: E402
from verifier.merkle import inputs_root, proves_consistency, proves_inclusion, root  # noqa: E402
from verifier.wire import open_envelope, read_blob, sha256  # noqa: E402


def check_messages(folder):
    """Every message and document, and the round that the receipt among them is of."""
    expected = json.loads((folder / "expected.json").read_text())
    files = {name: bytes.fromhex((folder / f"{name}.hex").read_text()) for name in expected}
    blobs = {sha256(data): data for name, data in files.items() if "sha256" in expected[name]}
    opened = {}
    for name, entry in expected.items():
        if "sha256" in entry:
            read_blob(files[name])
            assert sha256(files[name]) == entry["sha256"], name
            continue
        envelope, payload, digest = open_envelope(files[name])
        as_json = json.loads(json.dumps(payload, default=lambda value: {"hex": value.hex()}))
        assert as_json == entry["payload"], name
        assert (envelope["type"], envelope["sender"], digest) == (entry["type"], entry["sender"], entry["hash"]), name
        assert envelope["signature"].hex() == entry["signature"], name
        opened[digest] = (envelope["sender"], payload)

    manifest, receipt = expected["manifest"], expected["receipt"]["payload"]
    assert receipt["federation"] == manifest["hash"]
    assert expected["receipt"]["sender"] in [entry["id"] for entry in manifest["payload"]["aggregators"]]
    assert receipt["parent"] == manifest["payload"]["adapter"]["initial"] and receipt["previous"] is None
    for update in receipt["updates"]:
        sender, offer = opened[update["envelope"]]
        assert (sender, offer["blob"], offer["round"]) == (update["sender"], update["blob"], receipt["round"])
    assert inputs_root(receipt["updates"]) == receipt["inputsRoot"]
    candidate, _ = recompute(receipt, manifest["payload"], blobs.__getitem__, None)
    assert candidate == receipt["candidate"] == receipt["output"]
    return len(opened), len(blobs)


def flipped(proof):
    return [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]


def check_proofs(folder):
    """Proofs that hold, and none of them with a bit flipped or a hash too many."""
    golden = json.loads((folder / "proofs.json").read_text())
    entries = [bytes.fromhex(entry) for entry in golden["entries"]]
    for case in golden["inclusion"]:
        proof, expected = [bytes.fromhex(each) for each in case["proof"]], bytes.fromhex(case["root"])
        entry, index, size = entries[case["index"]], case["index"], case["size"]
        assert root(entries[:size]) == expected
        assert proves_inclusion(entry, index, size, proof, expected), case
        for wrong in [[*proof, expected], *([flipped(proof)] if proof else [])]:
            assert not proves_inclusion(entry, index, size, wrong, expected), case
    for case in golden["consistency"]:
        proof, sizes = [bytes.fromhex(each) for each in case["proof"]], (case["oldSize"], case["newSize"])
        roots = [root(entries[:size]) for size in sizes]
        assert [each.hex() for each in roots] == [case["oldRoot"], case["newRoot"]]
        assert proves_consistency(*sizes, *roots, proof), case
        for wrong in [[*proof, roots[0]], *([flipped(proof)] if proof else [])]:
            assert not proves_consistency(*sizes, *roots, wrong), case
    return len(golden["inclusion"]) + len(golden["consistency"])


def check_federations(folder):
    golden = json.loads((folder / "rounds.json").read_text())
    blobs = {f"blobs/{name}": base64.b64decode(data) for name, data in golden["blobs"].items()}
    rounds = 0
    for name, files in golden["federations"].items():
        try:
            rounds += verify_audit({path: base64.b64decode(data) for path, data in files.items()} | blobs)[0]
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    return len(golden["federations"]), rounds


def main(folder):
    envelopes, blobs = check_messages(folder)
    print(f"{envelopes} envelopes, {blobs} blobs, 1 round: all as they should be")
    print(f"{check_proofs(folder)} proofs over Merkle trees: all as they should be")
    federations, rounds = check_federations(folder)
    print(f"{federations} federations, {rounds} rounds computed again: all as they should be")


main(pathlib.Path(sys.argv[1]))
