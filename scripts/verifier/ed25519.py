"""Ed25519 verification: RFC 8032, section 5.1.7, and the names of keys as docs/reference/protocol.md has them."""

import hashlib

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
