"""The aggregation rules: docs/reference/protocol.md, "Aggregation"."""

import hashlib
import math

from .metric import (
    distances_from_sum,
    length,
    plain_length,
    products,
    squared_distance,
    tensors_of,
    total,
    twice_median,
)
from .svd import svd

DEFAULTS = {
    "robust": {"byzantineShare": 0.2},
    "alternating": {},
    "clipped-mean": {},
    "median": {},
    "trimmed-mean": {"byzantineShare": 0.2},
    "krum": {"byzantineShare": 0.2},
    "multi-krum": {"byzantineShare": 0.2},
    "geometric-median": {"iterations": 32},
    "centred-clipping": {"radius": 1, "iterations": 3},
    "svd": {"rank": 512},
    "mean": {},
}


def factor_of(rule, number):
    if rule in ("svd", "mean"):
        return "both"
    return "B" if number % 2 else "A"


def divide(total_, count):
    """Nearest integer, halves away from zero."""
    magnitude = (2 * abs(total_) + count) // (2 * count)
    return magnitude if total_ >= 0 else -magnitude


def rounded(x):
    magnitude = math.floor(abs(x) + 0.5)
    return -magnitude if x < 0 else magnitude


def hostile(parameters, count):
    return math.floor(parameters["byzantineShare"] * count + 1e-9)


def mean(updates):
    return [divide(sum(column), len(updates)) for column in zip(*updates)]


def median(updates):
    return [divide(twice_median(column), 2) for column in zip(*updates)]


def trimmed(updates, f, divisor):
    return [divide(sum(sorted(column)[f : len(column) - f]), divisor) for column in zip(*updates)]


def shares(lengths):
    m = twice_median(lengths) / 2
    return [m / each if each > m else 1 for each in lengths]


def shorten(update, share):
    return update if share == 1 else [rounded(value * share) for value in update]


def weighted_sum(updates, weights):
    kept = [(w, update) for w, update in zip(weights, updates) if w != 0]
    return [rounded(total(w * update[i] for w, update in kept)) for i in range(len(updates[0]))]


def lowest_scores(gram, f):
    """The updates from the lowest score of Krum's to the highest."""
    n = len(gram)
    scores = []
    for i in range(n):
        others = sorted(squared_distance(gram, i, j) for j in range(n) if j != i)
        scores.append(total(others[: max(1, n - f - 2)]))
    return sorted(range(n), key=lambda i: (scores[i], i))


def krum(updates, gram, f, count):
    chosen = set(lowest_scores(gram, f)[:count])
    return weighted_sum(updates, [1 / count if i in chosen else 0 for i in range(len(updates))])


def geometric_median(updates, gram, parameters):
    n = len(updates)
    nu = (1e-6 * twice_median([math.sqrt(gram[i][i]) for i in range(n)])) / 2 or 2.0**-1074
    weights = [1 / n] * n
    for _ in range(math.floor(parameters["iterations"])):
        pulls = [1 / max(nu, distance) for distance in distances_from_sum(gram, weights)]
        whole = total(pulls)
        weights = [pull / whole for pull in pulls]
    return weighted_sum(updates, weights)


def centred_clipping(updates, gram, parameters):
    n = len(updates)
    tau = (parameters["radius"] * twice_median([math.sqrt(gram[i][i]) for i in range(n)])) / 2
    weights = [0.0] * n
    for _ in range(math.floor(parameters["iterations"])):
        pulls = [(tau / d if d > tau else 1) / n for d in distances_from_sum(gram, weights)]
        whole = total(pulls)
        weights = [w * (1 - whole) + pull for w, pull in zip(weights, pulls)]
    return weighted_sum(updates, weights)


BUCKETS = 32


def sketch(tensors, update, seed):
    numbers = []
    for t, tensor in enumerate(tensors):
        if tensor.count <= BUCKETS:
            buckets = list(tensor.vectors(update))
        else:
            blocks = (tensor.count + 31) // 32
            places = b"".join(hashlib.sha256(f"{seed}:{t}:{b}".encode()).digest() for b in range(blocks))
            buckets = [[0] * tensor.rank for _ in range(BUCKETS)]
            for place, x in zip(places, tensor.vectors(update)):
                bucket, negated = divmod(place % (2 * BUCKETS), 2)
                for i, value in enumerate(x):
                    buckets[bucket][i] += -value if negated else value
        for bucket in buckets:
            numbers += tensor.whiten(bucket)
    return numbers


def robust(updates, tensors, parameters, seed):
    lengths = [length(tensors, update) for update in updates]
    plain = [plain_length(tensors, update) for update in updates]
    longest, shortest = (10 * twice_median(plain)) / 2, (1e-6 * twice_median(lengths)) / 2
    kept = [i for i in range(len(updates)) if not plain[i] > longest and not lengths[i] < shortest]
    updates, factors = [updates[i] for i in kept], shares([lengths[i] for i in kept])
    shortened = [shorten(update, share) for update, share in zip(updates, factors)]
    n = len(updates)
    if n < 5:
        return median(shortened)
    f = hostile(parameters, n)
    sketches = [[y * share for y in sketch(tensors, update, seed)] for update, share in zip(updates, factors)]
    mixed = []
    for i in range(n):
        distance = {j: total((a - b) * (a - b) for a, b in zip(sketches[i], sketches[j])) for j in range(n)}
        far = furthest(distance, i, f)
        mixed.append([sum(column) for column in zip(*[shortened[j] for j in range(n) if j not in far])])
    return trimmed(mixed, f, (n - f) * (n - 2 * f))


def furthest(distance, i, f):
    """The f updates that update i is not mixed with; those about as far as the f-th take turns."""
    following = [j % len(distance) for j in range(i + 1, i + len(distance))]
    edge = sorted((distance[j] for j in following), reverse=True)[f - 1] if f else math.inf
    clearly = [j for j in following if distance[j] > edge * 1.125]
    about = [j for j in following if edge * 0.875 <= distance[j] <= edge * 1.125]
    return {*clearly, *about[: f - len(clearly)]}


def aggregate(rule, parameters, factor, parent, table, updates, blobs):
    """The update that a rule makes of the updates, in ascending order of their blobs' hashes."""
    n = len(updates)
    if rule in ("alternating", "mean"):
        return mean(updates)
    if rule == "median":
        return median(updates)
    if rule == "trimmed-mean":
        f = hostile(parameters, n)
        return trimmed(updates, f, n - 2 * f)
    if rule == "svd":
        return svd(updates, parent, table, math.floor(parameters["rank"]), rounded)
    tensors = tensors_of(table, factor, parent)
    if rule == "clipped-mean":
        factors = shares([length(tensors, update) for update in updates])
        return mean([shorten(update, share) for update, share in zip(updates, factors)])
    if rule == "robust":
        seed = hashlib.sha256(",".join(blobs).encode()).hexdigest()
        return robust(updates, tensors, parameters, seed)
    gram = products(tensors, updates)
    if rule == "krum":
        return krum(updates, gram, hostile(parameters, n), 1)
    if rule == "multi-krum":
        f = hostile(parameters, n)
        return krum(updates, gram, f, n - f)
    if rule == "geometric-median":
        return geometric_median(updates, gram, parameters)
    assert rule == "centred-clipping", f"unknown rule {rule}"
    return centred_clipping(updates, gram, parameters)
