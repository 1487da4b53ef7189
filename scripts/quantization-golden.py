#!/usr/bin/python3
"""Golden vectors for the 4-bit quantisers, by a second implementation in numpy.

Writes test/node/model/quantization/golden.json. The facts are those of the QLoRA paper and of the bitsandbytes format;
where bitsandbytes leaves bits to the machine (the dynamic map, the mean), the exact value, correctly rounded, is taken.
"""
import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np

F = np.float32
LEVELS = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
     -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
     0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], dtype=F)


def to_float32(x: Fraction) -> np.float32:
    """The float32 nearest to a rational, found among the neighbours of a first guess."""
    guess = F(float(x))
    around = [np.nextafter(guess, F(-np.inf)), guess, np.nextafter(guess, F(np.inf))]
    return min(around, key=lambda each: abs(Fraction(float(each)) - x))


def dynamic_map() -> np.ndarray:
    values = [F(0), F(1)]
    for exponent in range(-6, 1):
        count = 2 ** (exponent + 6)
        edges = [Fraction(1, 10) + Fraction(9, 10) * Fraction(i, count) for i in range(count + 1)]
        for left, right in zip(edges, edges[1:]):
            value = to_float32((left + right) / 2 * Fraction(10) ** exponent)
            values += [value, -value]
    return np.sort(np.array(values, dtype=F))


MAP = dynamic_map()


def nearest(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Index of the nearest entry; the lower of two equally near, by float32 half-way points."""
    halfway = ((table[1:].astype(np.float64) + table[:-1].astype(np.float64)) / 2).astype(F)
    return (x[:, None] > halfway[None, :]).sum(axis=1)


def by_blocks(x: np.ndarray, block: int, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    zero = int(np.nonzero(table == 0)[0][0])
    codes, scales = [], []
    for start in range(0, len(x), block):
        part = x[start:start + block]
        scale = np.abs(part).max()
        scales.append(scale)
        with np.errstate(divide='ignore', over='ignore'):
            inverse = F(1) / scale
        codes.append(nearest(table, part * inverse) if np.isfinite(inverse) else np.full(len(part), zero))
    return np.concatenate(codes), np.array(scales, dtype=F)


def nf4(x: np.ndarray) -> dict:
    codes, absmax = by_blocks(x, 64, LEVELS)
    if len(codes) % 2:
        codes = np.append(codes, 7)
    total = 0.0
    for each in absmax:
        total += float(each)
    offset = F(total / len(absmax))
    nested_codes, nested = by_blocks(absmax - offset, 256, MAP)
    packed = (codes[0::2] * 16 + codes[1::2]).astype(np.uint8)
    back = MAP[nested_codes] * np.repeat(nested, 256)[:len(absmax)] + offset
    dequantized = LEVELS[codes[:len(x)]] * np.repeat(back, 64)[:len(x)]
    return {
        'codes': show(packed), 'absmax': show(nested_codes.astype(np.uint8)), 'nestedAbsmax': show(nested),
        'offset': float(offset), 'dequantized': show(dequantized),
    }


def int4(x: np.ndarray) -> dict:
    codes, scales = [], []
    for start in range(0, len(x), 32):
        part = x[start:start + 32]
        extreme = part[np.argmax(np.abs(part))]
        scale = F(extreme) / F(-8)
        scales.append(scale)
        with np.errstate(divide='ignore', over='ignore'):
            inverse = F(1) / scale
        if np.isfinite(inverse):
            codes.append(np.minimum(15, (part * inverse + F(8.5)).astype(np.int64)))
        else:
            codes.append(np.full(32, 8))
    all_codes = np.concatenate(codes)
    packed = (all_codes[0::2] + all_codes[1::2] * 16).astype(np.uint8)
    dequantized = (all_codes - 8).astype(F) * np.repeat(np.array(scales, dtype=F), 32)
    return {'codes': show(packed), 'scales': show(np.array(scales, dtype=F)), 'dequantized': show(dequantized)}


def show(x: np.ndarray) -> str:
    """Hex of the bytes; their SHA-256 where they are many."""
    content = x.tobytes()
    return content.hex() if len(content) <= 512 else 'sha256 ' + hashlib.sha256(content).hexdigest()


def weights(count: int) -> np.ndarray:
    """Weights that any language can make again: no rounding anywhere. Their scale changes from block to block."""
    i = np.arange(count, dtype=np.uint64)
    scattered = (i * np.uint64(2654435761) % np.uint64(2**32)) >> np.uint64(8)
    centred = scattered.astype(np.float64) / 2**24 - 0.5
    scale = 2.0 ** -(((i // np.uint64(64)) * np.uint64(5)) % np.uint64(7)).astype(np.float64)
    return (centred * scale).astype(F)


def edges() -> np.ndarray:
    """On and beside every half-way point, at a scale of 1; zeros of both signs; magnitudes too small to invert."""
    halfway = ((LEVELS[1:].astype(np.float64) + LEVELS[:-1].astype(np.float64)) / 2).astype(F)
    around = np.concatenate([halfway, np.nextafter(halfway, F(2)), np.nextafter(halfway, F(-2))])
    first = np.concatenate([around, LEVELS, [1, -1, 0]]).astype(F)
    assert len(first) == 64
    zeros = np.tile(np.array([0.0, -0.0], dtype=F), 32)
    tiny = np.full(64, 1e-42, dtype=F)
    return np.concatenate([first, zeros, tiny, first * F(-3)]).astype(F)


cases = {
    'edges': edges(), 'one block': weights(64), 'odd end': weights(333), 'many blocks': weights(64 * 300 + 17),
    'even blocks': weights(576 * 64),
}
golden = {
    'dynamicMap': MAP.tobytes().hex(),
    'cases': [
        {
            'name': name, 'count': len(x), 'weights': x.tobytes().hex() if name == 'edges' else 'made',
            'input': hashlib.sha256(x.tobytes()).hexdigest(), 'nf4': nf4(x),
            'int4': int4(x) if len(x) % 32 == 0 else None,
        }
        for name, x in cases.items()
    ],
}
target = Path(__file__).parent.parent / 'test' / 'node' / 'model' / 'quantization' / 'golden.json'
target.write_text(json.dumps(golden, indent=2) + '\n')
print(target)
