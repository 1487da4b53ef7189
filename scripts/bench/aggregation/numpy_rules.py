"""The same rules in NumPy, for the aggregation benchmark: the mean, and the default rule.

    python3 numpy_rules.py WHAT FOLDER COUNT

WHAT: `mean-files`, `mean-memory`, `robust-files` or `robust-memory`. Prints one line of JSON. The default rule goes
tensor by tensor, and then block by block of coordinates, so that what it makes stays in the processor's cache, and
with every product as a matrix product: several times faster than the same on whole arrays. Its sketches have the
buckets and signs that the protocol prescribes, so the new adapter is the same.
"""

import hashlib
import json
import resource
import sys
import time

import numpy as np

what, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
workload = json.load(open(f"{folder}/workload.json"))
names = workload["updates"][:count]
sizes = [(t["name"], t["shape"]) for t in workload["shapes"]]
SENT = [(name, shape) for name, shape in sizes if ".lora_B." in name]
TOTAL = sum(shape[0] * shape[1] for _, shape in SENT)
BUCKETS = 32
# Coordinates in a block: with a hundred updates, two megabytes.
BLOCK = 2048


def values(name, length):
    return np.frombuffer(open(f"{folder}/{name}", "rb").read()[-4 * length :], np.int32)


def read():
    x = np.empty((count, TOTAL), np.int32)
    for i, name in enumerate(names):
        x[i] = values(name, TOTAL)
    return x


def whole(x):
    """To the nearest whole number, halves away from zero."""
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def parent():
    return values(workload["parent"], sum(a * b for _, (a, b) in sizes))


def factors():
    """For each tensor that is sent: where it begins, its shape, and the Cholesky factor of A·Aᵀ."""
    at, a = 0, {}
    for name, (rows, columns) in sizes:
        if ".lora_A." in name:
            a[name] = parent()[at : at + rows * columns].reshape(rows, columns) * 2.0 ** -workload["bits"]
        at += rows * columns
    at, found = 0, []
    for name, (rows, rank) in SENT:
        matrix = a[name.replace(".lora_B.", ".lora_A.")]
        found.append((at, rows, rank, np.linalg.cholesky(matrix @ matrix.T)))
        at += rows * rank
    return found


def signs(seed, tensor, rows):
    """`[buckets, rows]`: one +1 or -1 in every column."""
    blocks = (f"{seed}:{tensor}:{block}".encode() for block in range(-(-rows // 32)))
    places = np.frombuffer(b"".join(hashlib.sha256(block).digest() for block in blocks), np.uint8)[:rows] % (2 * BUCKETS)
    found = np.zeros((BUCKETS, rows))
    found[places >> 1, np.arange(rows)] = 1.0 - 2.0 * (places & 1)
    return found


def mixing(squared, f):
    """Which are added up for each: not the clearly furthest, nor the next of those about as far as the f-th furthest."""
    n = len(squared)
    np.fill_diagonal(squared, 0)
    edge = np.sort(squared, axis=1)[:, n - f, None]
    out = squared > 1.125 * edge
    about = (squared >= 0.875 * edge) & ~out
    turn = (np.arange(n)[:, None] + np.arange(1, n)) % n
    taken = np.cumsum(np.take_along_axis(about, turn, axis=1), axis=1) <= (f - out.sum(axis=1))[:, None]
    np.put_along_axis(out, turn, np.take_along_axis(out, turn, axis=1) | np.take_along_axis(about, turn, axis=1) & taken, axis=1)
    return 1.0 - out


def robust(x, whitening):
    n = len(x)
    seed = hashlib.sha256(",".join(names).encode()).hexdigest()
    product, plain, sketches = np.zeros(n), np.zeros(n), []
    for t, (at, rows, rank, root) in enumerate(whitening):
        part = x[:, at : at + rows * rank].astype(np.float64)
        plain += np.einsum("ij,ij->i", part, part)
        part = part.reshape(n, rows, rank)
        whitened = (part.reshape(-1, rank) @ root).reshape(n, -1)
        product += np.einsum("ij,ij->i", whitened, whitened)
        assert rows > BUCKETS
        sketches.append((np.matmul(signs(seed, t, rows), part) @ root).reshape(n, -1))
    product, plain = np.sqrt(product), np.sqrt(plain)
    kept = (plain <= 10 * np.median(plain)) & (product >= 1e-6 * np.median(product))
    x, product, n = x[kept], product[kept], int(kept.sum())
    f = n // 5
    share = np.minimum(1, np.median(product) / product)[:, None]
    sketch = np.concatenate(sketches, axis=1)[kept] * share
    gram = sketch @ sketch.T
    square = np.diag(gram)
    mix = mixing(square[:, None] + square[None] - 2 * gram, f)
    result = np.empty(x.shape[1])
    for at in range(0, x.shape[1], BLOCK):
        mixed = np.ascontiguousarray((mix @ whole(x[:, at : at + BLOCK] * share)).T)
        mixed.partition([f, n - f - 1], axis=1)
        result[at : at + BLOCK] = whole(mixed[:, f : n - f].sum(axis=1) / ((n - f) * (n - 2 * f)))
    return result


rule = (lambda x: whole(x.mean(axis=0))) if what.startswith("mean") else (lambda x: robust(x, factors()))
if what.endswith("memory"):
    x = read()
started = time.perf_counter()
result = rule(x if what.endswith("memory") else read())
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peakMiB": peak, "result": str(int(result.sum()))}))
