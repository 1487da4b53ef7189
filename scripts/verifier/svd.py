"""The mean of products, factored again: docs/reference/protocol.md, "svd". Matrices are lists of columns."""

import math

from .metric import other_factor, total
from .wire import size_of

NEGLIGIBLE = 1e-12


def inner(x, y):
    return total(a * b for a, b in zip(x, y))


def svd(updates, parent, table, rank_kept, rounded):
    bits, _, parent_values = parent
    unit, places, at = 2.0**-bits, {}, 0
    for name, shape in table:
        places[name] = (at, shape)
        at += size_of(shape)
    result = [0] * at
    for name, (a, (rank, width)) in places.items():
        if ".lora_A." not in name:
            continue
        b, (height, _) = places[other_factor(name)]
        left, right = [], []
        for update in updates:
            whole = [p + u for p, u in zip(parent_values, update)]
            for k in range(rank):
                left.append([whole[b + i * rank + k] * unit / len(updates) for i in range(height)])
                right.append([whole[a + k * width + i] * unit for i in range(width)])
        kept = min(rank, rank_kept)
        columns, rows = best(left, right, kept)
        for k in range(rank):
            used = k < len(columns)
            for i in range(height):
                at = b + i * rank + k
                result[at] = (rounded(columns[k][i] / unit) if used else 0) - parent_values[at]
            for i in range(width):
                at = a + k * width + i
                if used or k >= kept:
                    result[at] = (rounded(rows[k][i] / unit) if used else 0) - parent_values[at]
    return result


def orthonormal(columns):
    basis, triangle = [], []
    for column in columns:
        rest, entries = list(column), [0.0] * len(columns)
        for _ in range(2):
            for i, q in enumerate(basis):
                s = inner(q, rest)
                entries[i] += s
                rest = [c - s * each for c, each in zip(rest, q)]
        size = math.sqrt(inner(rest, rest))
        if size <= NEGLIGIBLE * math.sqrt(inner(column, column)):
            basis.append([0.0] * len(column))
        else:
            entries[len(basis)] = size
            basis.append([c / size for c in rest])
        triangle.append(entries)
    return basis, triangle


def rotate(columns):
    """One-sided Jacobi, in place."""
    for _ in range(40):
        changed = False
        for i in range(len(columns)):
            for j in range(i + 1, len(columns)):
                x, y = columns[i], columns[j]
                xx, yy, xy = inner(x, x), inner(y, y), inner(x, y)
                if not abs(xy) > 1e-15 * math.sqrt(xx * yy):
                    continue
                zeta = (yy - xx) / (2 * xy)
                t = (-1 if zeta < 0 else 1) / (abs(zeta) + math.sqrt(1 + zeta * zeta))
                c = 1 / math.sqrt(1 + t * t)
                s = c * t
                columns[i] = [c * p - s * q for p, q in zip(x, y)]
                columns[j] = [s * p + c * q for p, q in zip(x, y)]
                changed = True
        if not changed:
            return


def combined(basis, coefficients, scale):
    factors = [(coefficient * scale, q) for coefficient, q in zip(coefficients, basis)]
    return [total(factor * q[k] for factor, q in factors if factor != 0) for k in range(len(basis[0]))]


def best(left, right, kept):
    (left_basis, left_r), (right_basis, right_r) = orthonormal(left), orthonormal(right)
    size = len(left)
    core = []
    for j in range(size):
        terms = [(i, right_r[i][j]) for i in range(j, size) if right_r[i][j] != 0]
        core.append([total(left_r[i][k] * r for i, r in terms if k <= i) for k in range(size)])
    x = [list(column) for column in core]
    rotate(x)
    sigma = [math.sqrt(inner(column, column)) for column in x]
    order = sorted(range(size), key=lambda i: (-sigma[i], i))
    columns, rows = [], []
    for i in order[:kept]:
        if not sigma[i] > NEGLIGIBLE * sigma[order[0]]:
            continue
        d = [each / sigma[i] for each in x[i]]
        column = combined(left_basis, d, math.sqrt(sigma[i]))
        row = combined(right_basis, [inner(each, d) for each in core], 1 / math.sqrt(sigma[i]))
        if max(column, key=abs) < 0:
            column, row = [-value for value in column], [-value for value in row]
        columns.append(column)
        rows.append(row)
    return columns, rows
