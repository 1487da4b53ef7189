"""Server optimisers: docs/reference/protocol.md, "Server optimisers"."""

import math

from .rules import rounded
from .wire import size_of

DEFAULTS = {
    "fedavgm": {"learningRate": 1, "momentum": 0.9},
    "diloco": {"learningRate": 0.7, "momentum": 0.9},
    "fedadam": {"learningRate": 0.01, "momentum": 0.9, "secondMomentum": 0.99, "adaptivity": 0.001},
}
MEMORIES = {"fedavgm": ["momentum"], "diloco": ["momentum"], "fedadam": ["momentum", "spread"]}


def step(name, p, bits, u, m, s):
    """One coordinate: what is applied, and what is remembered."""
    if name == "fedadam":
        m = math.trunc(p["momentum"] * m + (1 - p["momentum"]) * u)
        s = math.trunc(math.sqrt(p["secondMomentum"] * (s * s) + (1 - p["secondMomentum"]) * (u * u)))
        return rounded((p["learningRate"] * m) / (s * 2.0**-bits + p["adaptivity"])), (m, s)
    m = math.trunc(p["momentum"] * m + u)
    if name == "fedavgm":
        return rounded(p["learningRate"] * m), (m,)
    return rounded(p["learningRate"] * (u + p["momentum"] * m)), (m,)


def optimize(terms, parent, sent, update, before):
    """The update that is applied, and the state's (bits, table, values). `before` is a state, or None."""
    name, parameters = terms["name"], {**DEFAULTS[terms["name"]], **terms["parameters"]}
    bits, table, values = parent
    size = len(values)
    state_table = [(f"{memory}.{tensor}", shape) for memory in MEMORIES[name] for tensor, shape in table]
    if before is None:
        fresh = [0] * size + [rounded(parameters.get("adaptivity", 0) * 2.0**bits)] * size
        state = fresh[: size * len(MEMORIES[name])]
    else:
        assert (before[0], before[1]) == (bits, state_table), "the state is of other tensors"
        state = list(before[2])
    applied, at, updates = [], 0, iter(update)
    for tensor, shape in table:
        for place in range(at, at + size_of(shape)) if (tensor, shape) in sent else ():
            spread = state[size + place] if name == "fedadam" else 0
            value, after = step(name, parameters, bits, next(updates), state[place], spread)
            applied.append(value)
            for n, memory in enumerate(after):
                state[n * size + place] = memory
        at += size_of(shape)
    return applied, (bits, state_table, state)
