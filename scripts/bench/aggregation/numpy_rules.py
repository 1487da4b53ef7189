"""The same rules in NumPy, for the aggregation benchmark: the mean, and the default rule.

    python3 numpy_rules.py WHAT FOLDER COUNT

WHAT: `mean-files`, `mean-memory`, `robust-files` or `robust-memory`. Prints one line of JSON. The default rule is
written as one would in NumPy, on whole arrays: lengths and distances by matrix products with the Cholesky factor of
the parent's A, mixing as one product, trimming by partition.
"""

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


def values(name, length):
    return np.frombuffer(open(f"{folder}/{name}", "rb").read()[-4 * length :], np.int32)


def read():
    x = np.empty((count, TOTAL), np.int32)
    for i, name in enumerate(names):
        x[i] = values(name, TOTAL)
    return x


def whole(x):
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def factors():
    """For each tensor that is sent: where it begins, its size, and the Cholesky factor of A·Aᵀ."""
    parent = values(workload["parent"], sum(a * b for _, (a, b) in sizes))
    at, a = 0, {}
    for name, (rows, columns) in sizes:
        if ".lora_A." in name:
            a[name] = parent[at : at + rows * columns].reshape(rows, columns) * 2.0 ** -workload["bits"]
        at += rows * columns
    at, found = 0, []
    for name, (rows, columns) in SENT:
        matrix = a[name.replace(".lora_B.", ".lora_A.")]
        found.append((at, rows * columns, columns, np.linalg.cholesky(matrix @ matrix.T)))
        at += rows * columns
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
    n, f = len(x), len(x) // 5
    norms = np.zeros(n)
    for at, size, rank, l in whitening:
        y = (x[:, at : at + size].reshape(-1, rank).astype(np.float64) @ l).reshape(n, -1)
        norms += (y**2).sum(axis=1)
    norms = np.sqrt(norms)
    shortened = whole(x * np.minimum(1, np.median(norms) / norms)[:, None])
    gram = np.zeros((n, n))
    for at, size, rank, l in whitening:
        y = (shortened[:, at : at + size].reshape(-1, rank) @ l).reshape(n, -1)
        gram += y @ y.T
    square = np.diag(gram)
    mix = mixing(square[:, None] + square[None] - 2 * gram, f)
    mixed = mix @ shortened
    mixed.partition([f, n - f - 1], axis=0)
    return whole(mixed[f : n - f].sum(axis=0) / ((n - f) * (n - 2 * f)))


rule = (lambda x: whole(x.mean(axis=0))) if what.startswith("mean") else (lambda x: robust(x, factors()))
if what.endswith("memory"):
    x = read()
started = time.perf_counter()
result = rule(x if what.endswith("memory") else read())
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peakMiB": peak, "result": str(int(result.sum()))}))
