"""A second implementation of the wire, written from docs/reference/protocol.md and nothing else of this project.

Reads the golden files, checks every envelope (MessagePack, signed bytes, Ed25519, hash), every blob (form, hash), and
then the receipt: its Merkle root, its inputs and the adapter that they give. Python's standard library only.

    python3 scripts/verify-golden.py test/protocol/golden
"""

import hashlib
import json
import pathlib
import struct
import sys

# Ed25519 verification, RFC 8032 section 5.1.7.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    assert y < P, "point not canonical"
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_MINUS_1 % P
    assert (x * x - x2) % P == 0, "not a point"
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify(key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    assert s < L, "S not reduced"
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    left, right = multiply(s, BASE), add(decompress(r), multiply(k, decompress(key)))
    assert (left[0] * right[2] - right[0] * left[2]) % P == 0, "bad signature"
    assert (left[1] * right[2] - right[1] * left[2]) % P == 0, "bad signature"


def base58(text):
    value = 0
    for letter in text:
        value = value * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + value.to_bytes((value.bit_length() + 7) // 8, "big")


def public_key(peer_id):
    data = base58(peer_id)
    assert data[:6] == bytes.fromhex("002408011220") and len(data) == 38, "not an Ed25519 peer id"
    return data[6:]


def unpack(data):
    """One MessagePack value that fills the bytes."""
    value, rest = unpack_value(data)
    assert rest == b"", "bytes after the end"
    return value


def unpack_value(data):
    tag, data = data[0], data[1:]

    def number(form):
        size = struct.calcsize(form)
        return struct.unpack(form, data[:size])[0], data[size:]

    def run(length, rest, finish):
        return finish(rest[:length]), rest[length:]

    def array(length, rest):
        items = []
        for _ in range(length):
            item, rest = unpack_value(rest)
            items.append(item)
        return items, rest

    def mapping(length, rest):
        items, rest = array(2 * length, rest)
        assert len(set(items[::2])) == length, "a key twice"
        return dict(zip(items[::2], items[1::2])), rest

    if tag <= 0x7F:
        return tag, data
    if tag >= 0xE0:
        return tag - 256, data
    if tag <= 0x8F:
        return mapping(tag & 15, data)
    if tag <= 0x9F:
        return array(tag & 15, data)
    if tag <= 0xBF:
        return run(tag & 31, data, bytes.decode)
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], data
    sizes = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
    if tag in sizes:
        return run(*number(sizes[tag]), bytes if tag < 0xD0 else bytes.decode)
    numbers = {0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    if tag in numbers:
        return number(numbers[tag])
    if tag in (0xDC, 0xDD):
        return array(*number(">H" if tag == 0xDC else ">I"))
    if tag in (0xDE, 0xDF):
        return mapping(*number(">H" if tag == 0xDE else ">I"))
    raise AssertionError(f"tag {tag:#x} does not travel")


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


def merkle_root(entries):
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\1" + merkle_root(entries[:split]) + merkle_root(entries[split:])).digest()


def divide(total, count):
    """Nearest integer, halves away from zero."""
    magnitude = (2 * abs(total) + count) // (2 * count)
    return magnitude if total >= 0 else -magnitude


def recompute(receipt, blobs):
    """The blob of the adapter that the accepted updates make of the parent."""
    parent_bytes = blobs[receipt["parent"]]
    bits, table, values = read_blob(parent_bytes)
    marks = {"A": (".lora_A.",), "B": (".lora_B.",), "both": (".lora_A.", ".lora_B.")}[receipt["factor"]]
    sent = [entry for entry in table if any(mark in entry[0] for mark in marks)]
    updates = []
    for update in receipt["updates"]:
        if update["verdict"] == "accepted":
            update_bits, update_table, update_values = read_blob(blobs[update["blob"]])
            assert (update_bits, update_table) == (bits, sent)
            updates.append(update_values)
    mean = iter([divide(sum(column), len(updates)) for column in zip(*updates)])
    result = []
    for name, shape in table:
        size = size_of(shape)
        part, values = values[:size], values[size:]
        result += [value + next(mean) for value in part] if (name, shape) in sent else part
    head = len(parent_bytes) - 4 * len(result)
    return parent_bytes[:head] + struct.pack(f"<{len(result)}i", *result)


def main(folder):
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
    leaves = []
    for update in receipt["updates"]:
        fields = [update["sender"], update["envelope"], update["blob"], update["verdict"], update["code"] or ""]
        leaves.append(length_prefixed(*[field.encode() for field in fields]))
        sender, offer = opened[update["envelope"]]
        assert (sender, offer["blob"], offer["round"]) == (update["sender"], update["blob"], receipt["round"])
    assert merkle_root(leaves).hex() == receipt["inputsRoot"]
    assert sha256(recompute(receipt, blobs)) == receipt["candidate"] == receipt["output"]
    print(f"{len(opened)} envelopes, {len(blobs)} blobs, 1 round: all as they should be")


main(pathlib.Path(sys.argv[1]))
