"""Golden values for the rule that factors the mean of products again: NumPy's dense SVD of the mean itself.

    python3 scripts/aggregation/golden-svd.py > test/protocol/aggregation/golden/svd.json
"""

import json
import sys

import numpy as np


def cases(seed=21):
    random = np.random.default_rng(seed)
    for outputs, inputs, ranks, kept in [(9, 7, (2, 2, 2), 2), (6, 12, (3, 1, 4), 4), (5, 5, (4, 4), 3), (8, 4, (3, 3, 3), 3)]:
        left = [random.normal(0, 1, (outputs, rank)) for rank in ranks]
        right = [random.normal(0, 1, (rank, inputs)) for rank in ranks]
        mean = sum(b @ a for b, a in zip(left, right)) / len(ranks)
        u, values, vt = np.linalg.svd(mean)
        best = (u[:, :kept] * values[:kept]) @ vt[:kept]
        yield {
            "outputs": outputs,
            "inputs": inputs,
            "ranks": ranks,
            "kept": kept,
            "left": [b.ravel().tolist() for b in left],
            "right": [a.ravel().tolist() for a in right],
            "best": best.ravel().tolist(),
            "energy": float((values**2).sum()),
            "truncated": float((values[kept:] ** 2).sum()),
        }


sys.stdout.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases()) + "\n]\n")
