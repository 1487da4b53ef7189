"""Envelopes and blobs: docs/reference/protocol.md, "Envelopes" and "Adapters and updates"."""

import hashlib
import struct

from .ed25519 import public_key, verify
from .messagepack import unpack


def length_prefixed(*parts):
    joined = b""
    for part in parts:
        length = len(part)
        while length >= 0x80:
            joined += bytes([length & 0x7F | 0x80])
            length >>= 7
        joined += bytes([length]) + part
    return joined


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def open_envelope(data):
    """The payload and the hash of an envelope whose signature is good."""
    envelope = unpack(data)
    assert set(envelope) == {"type", "sender", "payload", "signature"}
    domain = f"prefmesh/{envelope['type']}/v1".encode()
    signed = length_prefixed(domain, envelope["sender"].encode(), envelope["payload"])
    verify(public_key(envelope["sender"]), signed, envelope["signature"])
    return envelope, unpack(envelope["payload"]), sha256(signed)


def read_blob(data):
    """Scale bits, table [(name, shape)] and values of a blob."""
    magic, version, bits, zero, count = struct.unpack("<8sHBBI", data[:16])
    assert (magic, version, zero) == (b"prefmesh", 1, 0)
    at, table, total = 16, [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode("ascii")
        at += 2 + length
        shape = struct.unpack_from(f"<{data[at]}I", data, at + 1)
        at += 1 + 4 * len(shape)
        assert not table or table[-1][0] < name, "names not ascending"
        table.append((name, shape))
        size = 1
        for dimension in shape:
            size *= dimension
        total += size
    padding = -at % 4
    assert data[at : at + padding] == bytes(padding)
    at += padding
    assert len(data) == at + 4 * total
    values = list(struct.unpack_from(f"<{total}i", data, at))
    assert -(2**31) not in values
    return bits, table, values


def size_of(shape):
    size = 1
    for dimension in shape:
        size *= dimension
    return size
