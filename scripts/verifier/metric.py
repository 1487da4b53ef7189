"""Lengths of updates and distances between them: docs/reference/protocol.md, "Lengths and distances".

Every sum is a loop, because the order of its terms is part of the protocol.
"""

import math

from .wire import size_of


def other_factor(name):
    return name.replace(".lora_A.", ".lora_B.") if ".lora_A." in name else name.replace(".lora_B.", ".lora_A.")


def total(terms):
    found = 0.0
    for term in terms:
        found += term
    return found


def twice_median(numbers):
    ordered = sorted(numbers)
    half = len(ordered) // 2
    return 2 * ordered[half] if len(ordered) % 2 else ordered[half - 1] + ordered[half]


class Tensor:
    """Where the vectors of one tensor lie in an update, and what makes of each its y."""

    def __init__(self, start, shape, root, columns):
        rows, width = shape
        self.start, self.size, self.root = start, rows * width, root
        self.rank, self.count = (rows, width) if columns else (width, rows)
        self.step, self.stride = (width, 1) if columns else (1, width)

    def vectors(self, values):
        for v in range(self.count):
            at = self.start + v * self.stride
            yield [values[at + i * self.step] for i in range(self.rank)]

    def whiten(self, x):
        if self.root is None:
            return [float(value) for value in x]
        return [total(x[i] * self.root[i][j] for i in range(j, self.rank)) for j in range(self.rank)]


def tensors_of(table, factor, parent):
    """The tensors of an update; `parent` is (bits, table, values)."""
    bits, parent_table, parent_values = parent
    partners, at = {}, 0
    for name, shape in parent_table:
        partners[name] = (shape, [value * 2.0**-bits for value in parent_values[at : at + size_of(shape)]])
        at += size_of(shape)
    found, start = [], 0
    for name, shape in table:
        if factor == "both":
            found.append(Tensor(start, shape, None, False))
        else:
            (rows, width), partner = partners[other_factor(name)]
            if factor == "B":
                gram = [
                    [total(partner[i * width + k] * partner[j * width + k] for k in range(width)) for j in range(rows)]
                    for i in range(rows)
                ]
            else:
                gram = [
                    [total(partner[k * width + i] * partner[k * width + j] for k in range(rows)) for j in range(width)]
                    for i in range(width)
                ]
            found.append(Tensor(start, shape, cholesky(gram), factor == "A"))
        start += size_of(shape)
    return found


def cholesky(gram):
    rank = len(gram)
    root = [[0.0] * rank for _ in range(rank)]
    largest = max(gram[i][i] for i in range(rank))
    for j in range(rank):
        pivot = gram[j][j]
        for k in range(j):
            pivot -= root[j][k] * root[j][k]
        if not pivot > 1e-12 * largest:
            continue
        root[j][j] = math.sqrt(pivot)
        for i in range(j + 1, rank):
            rest = gram[i][j]
            for k in range(j):
                rest -= root[i][k] * root[j][k]
            root[i][j] = rest / root[j][j]
    return root


def length(tensors, values):
    return math.sqrt(total(total(y * y for x in t.vectors(values) for y in t.whiten(x)) for t in tensors))


def plain_length(tensors, values):
    parts = (values[t.start : t.start + t.size] for t in tensors)
    return math.sqrt(total(total(float(x) * float(x) for x in part) for part in parts))


def products(tensors, updates):
    """g_ij of all pairs."""
    gram = [[0.0] * len(updates) for _ in updates]
    for tensor in tensors:
        for vectors in zip(*[tensor.vectors(update) for update in updates]):
            ys = [tensor.whiten(x) for x in vectors]
            for i, a in enumerate(ys):
                for j, b in enumerate(ys):
                    gram[i][j] += total(p * q for p, q in zip(a, b))
    return gram


def squared_distance(gram, i, j):
    return max(0.0, gram[i][i] - 2 * gram[i][j] + gram[j][j])


def distances_from_sum(gram, weights):
    """The distance of every update from the weighted sum of all."""
    v = [total(g * w for g, w in zip(row, weights)) for row in gram]
    q = total(w * each for w, each in zip(weights, v))
    return [math.sqrt(max(0.0, gram[i][i] - 2 * v[i] + q)) for i in range(len(gram))]
