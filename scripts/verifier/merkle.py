"""Merkle trees of RFC 6962 and their proofs, and checkpoints of logs as C2SP's signed notes."""

import base64
import hashlib
import re

from .ed25519 import public_key, verify
from .wire import length_prefixed


def digest(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(entries):
    """RFC 6962, section 2.1."""
    if not entries:
        return digest()
    if len(entries) == 1:
        return digest(b"\0", entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return digest(b"\1", root(entries[:split]), root(entries[split:]))


def proves_inclusion(entry, index, size, proof, expected):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, digest(b"\0", entry)
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = digest(b"\1", p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = digest(b"\1", r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == expected


def proves_consistency(first, second, first_root, second_root, proof):
    """RFC 9162, section 2.1.4.2, for 0 < first <= second."""
    if first == second:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = digest(b"\1", c, fr), digest(b"\1", c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = digest(b"\1", sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def inputs_root(updates):
    """The root over the updates that a receipt lists, in hexadecimal."""
    fields = ("sender", "envelope", "blob", "verdict", "code")
    return root([length_prefixed(*[(update[field] or "").encode() for field in fields]) for update in updates]).hex()


LINE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+={0,2})")


def open_checkpoint(note):
    """Federation, size, root, who signed and which witnesses cosigned; every line that names a key must be good."""
    text = note.decode()
    body, lines = text.split("\n\n", 1)
    body += "\n"
    origin, size, encoded, end = body.split("\n")
    assert end == "" and origin.startswith("prefmesh/") and text.endswith("\n"), "not a checkpoint"
    signers, witnesses = [], []
    for line in lines[:-1].split("\n"):
        name, signature = LINE.fullmatch(line).groups()
        data = base64.b64decode(signature, validate=True)
        key = public_key(name)
        key_id = {kind: digest(name.encode(), b"\n", bytes([kind]), key)[:4] for kind in (1, 4)}
        if data[:4] == key_id[1]:
            verify(key, body.encode(), data[4:])
            signers.append(name)
        elif data[:4] == key_id[4]:
            seconds = int.from_bytes(data[4:12], "big")
            verify(key, f"cosignature/v1\ntime {seconds}\n{body}".encode(), data[12:])
            witnesses.append(name)
    return origin[len("prefmesh/") :], int(size), base64.b64decode(encoded), signers, witnesses
