"""Golden vectors of the aggregation rules, from a second implementation that shares nothing with the first.

Written from the papers, in NumPy float64, on dense products: where the rules of this project measure an update by a
small triangular matrix, this forms B·A and takes its length. Needs python3 and numpy.

    python3 scripts/aggregation/golden-rules.py > test/protocol/aggregation/golden/rules.json
    python3 scripts/aggregation/golden-rules.py --check test/protocol/aggregation/golden/rules.json
"""

import hashlib
import json
import struct
import sys

import numpy as np

BITS = 16
MODULES = (("q_proj", 7, 5), ("v_proj", 3, 5))  # name, outputs, inputs
RANK = 3


def products(updates, parent, factor):
    """What each update changes of the product of every module, as one long vector; of both factors: the update itself."""
    rows = []
    for update in updates:
        parts = []
        for name, _, _ in MODULES:
            if factor == "B":
                parts.append(update[name] @ parent[name]["A"])
            elif factor == "A":
                parts.append(parent[name]["B"] @ update[name])
        rows.append(np.concatenate([part.ravel() for part in parts]))
    return np.array(rows)


def flat(updates):
    return np.array([np.concatenate([update[name].ravel() for name, _, _ in MODULES]) for update in updates])


def distances(points):
    return np.linalg.norm(points[:, None, :] - points[None, :, :], axis=2)


def shorten(x, p):
    norms = np.linalg.norm(p, axis=1)
    factors = np.minimum(1, np.median(norms) / np.where(norms == 0, np.inf, norms))
    factors[norms == 0] = 1
    # The wire is in whole numbers: a shortened update is rounded to them.
    return half_away(x * factors[:, None])


def half_away(x):
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def trimmed(x, f):
    x = np.sort(x, axis=0)
    return x[f : len(x) - f].mean(axis=0)


def krum_order(p, f):
    n = len(p)
    squared = distances(p) ** 2
    scores = []
    for i in range(n):
        others = np.sort(np.delete(squared[i], i))
        scores.append(others[: max(1, n - f - 2)].sum())
    return np.argsort(np.array(scores), kind="stable")


def weiszfeld(x, p, steps):
    lengths = np.linalg.norm(p, axis=1)
    nu = 1e-6 * np.median(lengths)
    weights = np.full(len(x), 1 / len(x))
    for _ in range(steps):
        shares = 1 / np.maximum(nu, np.linalg.norm(p - weights @ p, axis=1))
        weights = shares / shares.sum()
    return weights @ x


def centred_clipping(x, p, radius, steps):
    tau = radius * np.median(np.linalg.norm(p, axis=1))
    v, vp = np.zeros(x.shape[1]), np.zeros(p.shape[1])
    for _ in range(steps):
        gaps = np.linalg.norm(p - vp, axis=1)
        pull = np.minimum(1, tau / np.where(gaps == 0, np.inf, gaps))
        pull[gaps == 0] = 1
        v, vp = v + (pull[:, None] * (x - v)).mean(axis=0), vp + (pull[:, None] * (p - vp)).mean(axis=0)
    return v


def usual(x, p):
    """Which updates have a factor of at most ten median lengths and a product of at least a millionth of one."""
    factor, product = np.linalg.norm(x, axis=1), np.linalg.norm(p, axis=1)
    return (factor <= 10 * np.median(factor)) & (product >= 1e-6 * np.median(product))


def mix(x, p, f):
    """x and p in the order of the hashes; of those about as far as the f-th furthest, the next after i are left out."""
    n, squared = len(x), distances(p) ** 2
    mixed = []
    for i in range(n):
        out = np.zeros(n, dtype=bool)
        if f > 0:
            edge = np.sort(np.delete(squared[i], i))[n - 1 - f]
            out = squared[i] > 9 / 8 * edge
            turn = np.roll(np.arange(n), -1 - i)[:-1]
            about = [j for j in turn if not out[j] and squared[i, j] >= 7 / 8 * edge]
            out[about[: f - out.sum()]] = True
        mixed.append(x[~out].mean(axis=0))
    return np.array(mixed)


def hash_of(row, factor):
    """The hash that an update goes by, of its blob as docs/reference/protocol.md has it."""
    blob = b"prefmesh" + struct.pack("<HBBI", 1, BITS, 0, len(MODULES))
    for name, outputs, inputs in MODULES:
        full = f"base_model.model.model.layers.0.self_attn.{name}.lora_{factor}.weight".encode()
        blob += struct.pack("<H", len(full)) + full + struct.pack("<B2I", 2, *shape_of(factor, outputs, inputs))
    blob += bytes(-len(blob) % 4)
    return hashlib.sha256(blob + row.astype("<i4").tobytes()).hexdigest()


def aggregate(rule, updates, parent, factor, share):
    n, x, p = len(updates), flat(updates), products(updates, parent, factor)
    f = int(np.floor(share * n + 1e-9))
    if rule in ("alternating",):
        return x.mean(axis=0)
    if rule == "clipped-mean":
        return shorten(x, p).mean(axis=0)
    if rule == "median":
        return np.median(x, axis=0)
    if rule == "trimmed-mean":
        return trimmed(x, f)
    if rule == "krum":
        return x[krum_order(p, f)[0]]
    if rule == "multi-krum":
        return x[np.sort(krum_order(p, f)[: n - f])].mean(axis=0)
    if rule == "geometric-median":
        return weiszfeld(x, p, 32)
    if rule == "centred-clipping":
        return centred_clipping(x, p, 1.0, 3)
    if rule == "robust":
        order = np.argsort([hash_of(row, factor) for row in x])
        x, p = x[order], p[order]
        keep = usual(x, p)
        n, x, p = int(keep.sum()), x[keep], p[keep]
        f = int(np.floor(share * n + 1e-9))
        short = shorten(x, p)
        if n < 5:
            return np.median(short, axis=0)
        apart = unflatten(short, factor)
        return trimmed(mix(short, products(apart, parent, factor), f), f)
    raise ValueError(rule)


def shape_of(factor, outputs, inputs):
    return (outputs, RANK) if factor == "B" else (RANK, inputs)


def unflatten(rows, factor):
    updates = []
    for row in rows:
        update, at = {}, 0
        for name, outputs, inputs in MODULES:
            shape = shape_of(factor, outputs, inputs)
            size = shape[0] * shape[1]
            update[name] = row[at : at + size].reshape(shape)
            at += size
        updates.append(update)
    return updates


RULES = (
    "alternating clipped-mean median trimmed-mean krum multi-krum geometric-median centred-clipping robust".split()
)


def cases(seed=20):
    random = np.random.default_rng(seed)
    for index in range(24):
        factor = "BA"[index % 2]
        n = (3, 5, 8, 11, 16, 20)[index % 6]
        share = (0.2, 0.3, 0.1, 0.2)[index // 6]
        parent = {}
        for name, outputs, inputs in MODULES:
            parent[name] = {
                "A": np.rint(random.normal(0, 0.5, (RANK, inputs)) * 2**BITS),
                "B": np.rint(random.normal(0, 0.3, (outputs, RANK)) * 2**BITS),
            }
        common = [random.normal(0, 0.02, shape_of(factor, o, i)) for _, o, i in MODULES]
        updates = []
        for i in range(n):
            hostile = i < int(np.floor(share * n + 1e-9))
            update = {}
            for (name, outputs, inputs), centre in zip(MODULES, common):
                noise = random.normal(0, 0.01, centre.shape)
                value = -8 * centre + noise if hostile else centre + noise
                if i == n - 1 and index % 4 == 3:
                    value = 0 * value
                if i == n - 1 and index % 4 == 1:
                    value = 50 * value
                update[name] = np.rint(value * 2**BITS)
            updates.append(update)
        expected = {}
        for rule in RULES:
            f = int(np.floor(share * n + 1e-9))
            if "krum" in rule and n < np.ceil(3 / (1 - 2 * share) - 1e-9):
                continue
            expected[rule] = [round(float(v), 6) for v in aggregate(rule, updates, parent, factor, share)]
        yield {
            "factor": factor,
            "byzantineShare": share,
            "bits": BITS,
            "rank": RANK,
            "modules": [list(module) for module in MODULES],
            "parent": {
                name: {side: parent[name][side].astype(int).ravel().tolist() for side in "AB"} for name in parent
            },
            "updates": [{name: update[name].astype(int).ravel().tolist() for name in update} for update in updates],
            "expected": expected,
        }


def main():
    made = list(cases())
    text = "[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in made) + "\n]\n"
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        stored = json.load(open(sys.argv[2]))
        for case, other in zip(made, stored, strict=True):
            assert {**case, "expected": None} == {**other, "expected": None}, "other inputs"
            for rule in case["expected"]:
                assert np.allclose(case["expected"][rule], other["expected"][rule], rtol=1e-9, atol=1e-5), rule
        print(f"{len(made)} cases, {sum(len(case['expected']) for case in made)} vectors: as stored")
    else:
        sys.stdout.write(text)


main()
