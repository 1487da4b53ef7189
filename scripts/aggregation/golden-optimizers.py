"""Golden vectors of the server optimisers, from a second implementation that shares nothing with the first.

Written from docs/reference/protocol.md in whole numbers and IEEE floats, and held against the papers' own formulas in
floats that are never rounded. Python's standard library only.

    python3 scripts/aggregation/golden-optimizers.py > test/protocol/serverOptimizer/golden.json
    python3 scripts/aggregation/golden-optimizers.py --check test/protocol/serverOptimizer/golden.json
"""

import json
import math
import random
import sys

BITS = 20
UNIT = 2.0**-BITS
SIZE = 12  # values of one factor
ROUNDS = 6
CASES = (
    ("fedavgm", {"learningRate": 1.0, "momentum": 0.9}),
    ("fedavgm", {"learningRate": 0.3, "momentum": 0.5}),
    ("diloco", {"learningRate": 0.7, "momentum": 0.9}),
    ("diloco", {"learningRate": 1.0, "momentum": 0.0}),
    ("fedadam", {"learningRate": 0.01, "momentum": 0.9, "secondMomentum": 0.99, "adaptivity": 0.001}),
    ("fedadam", {"learningRate": 0.1, "momentum": 0.0, "secondMomentum": 0.5, "adaptivity": 0.03}),
)


def nearest(x):
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def step(name, p, update, memory):
    """Whole numbers to whole numbers, for one value."""
    eta, beta = p["learningRate"], p["momentum"]
    if name == "fedavgm":
        m = int(beta * memory["momentum"] + update)
        return nearest(eta * m), {"momentum": m}
    if name == "diloco":
        m = int(beta * memory["momentum"] + update)
        return nearest(eta * (update + beta * m)), {"momentum": m}
    m = int(beta * memory["momentum"] + (1 - beta) * update)
    beta2, s = p["secondMomentum"], memory["spread"]
    s = int(math.sqrt(beta2 * (s * s) + (1 - beta2) * (update * update)))
    return nearest((eta * m) / (s * UNIT + p["adaptivity"])), {"momentum": m, "spread": s}


def paper(name, p, delta, state):
    """The papers' formulas in the units of the weights, for one value; `state` is changed."""
    eta, beta = p["learningRate"], p["momentum"]
    if name == "fedavgm":
        state["m"] = beta * state["m"] + delta
        return eta * state["m"]
    if name == "diloco":  # torch.optim.SGD(nesterov=True) on the gradient -delta
        gradient = -delta
        state["m"] = beta * state["m"] + gradient
        return -eta * (gradient + beta * state["m"])
    state["m"] = beta * state["m"] + (1 - beta) * delta
    state["v"] = p["secondMomentum"] * state["v"] + (1 - p["secondMomentum"]) * delta**2
    return eta * state["m"] / (math.sqrt(state["v"]) + p["adaptivity"])


def play(name, p, updates):
    fresh = {"momentum": 0}
    if name == "fedadam":
        fresh["spread"] = nearest(p["adaptivity"] * 2**BITS)
    memory = {factor: [dict(fresh) for _ in range(SIZE)] for factor in "AB"}
    exact = {factor: [{"m": 0.0, "v": p.get("adaptivity", 0.0) ** 2} for _ in range(SIZE)] for factor in "AB"}
    rounds = []
    for n, update in enumerate(updates):
        factor = "BA"[n % 2]
        applied = []
        for i, value in enumerate(update):
            change, memory[factor][i] = step(name, p, value, memory[factor][i])
            wanted = paper(name, p, value * UNIT, exact[factor][i]) / UNIT
            # A memory loses less than one unit a round, which FedAdam multiplies by up to eta / tau.
            gain = max(1.0, p["learningRate"] / p.get("adaptivity", 1.0))
            assert abs(change - wanted) <= 1 + (n + 1) * gain * 4, (name, n, i, change, wanted)
            applied.append(change)
        memories = [[memory[factor][i][key] for factor in "AB" for i in range(SIZE)] for key in sorted(fresh)]
        rounds.append({"factor": factor, "update": update, "applied": applied, "state": sum(memories, [])})
    return {"name": name, "parameters": p, "rounds": rounds}


def golden():
    chance = random.Random(7)
    updates = [[nearest(chance.gauss(0, 30000)) for _ in range(SIZE)] for _ in range(ROUNDS)]
    for n, update in enumerate(updates):
        update[0], update[1] = (0, 0) if n else (3, -3)  # what is sent once and never again dies out
    return {"bits": BITS, "size": SIZE, "cases": [play(name, p, updates) for name, p in CASES]}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        with open(sys.argv[2]) as file:
            assert json.load(file) == golden(), "the golden vectors are others"
        print(f"{len(CASES)} cases as they should be")
    else:
        json.dump(golden(), sys.stdout)
        print()
