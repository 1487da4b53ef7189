"""Computes every case of test/oracle again from its stored weights and compares it with its expected.json.

    python3 scripts/oracle/check.py [CASE…]

Needs numpy and PyTorch. The cases `llama` and `qwen2` were made by another program, so that agreement on them says
something about this one.
"""

import json
import pathlib
import sys

import torch

import tensorfile
from preference import SETTINGS, continuations, evaluate

CASES = pathlib.Path(__file__).parents[2] / "test" / "oracle"


def float64(tensors):
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in tensors.items()}


def computed(folder, settings):
    """The figures of a case, and the greedy continuations."""
    config = json.loads((folder / "model" / "config.json").read_text())
    adapter_config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    weights = float64(tensorfile.read_model(folder / "model"))
    adapter = float64(tensorfile.read(folder / "adapter" / "adapter_model.safetensors"))
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    scale = adapter_config["lora_alpha"] / adapter_config["r"]
    return {
        **evaluate(config, weights, adapter, scale, pairs, settings),
        "greedy": continuations(config, weights, adapter, scale, pairs),
    }


def numbers(value, path=""):
    """Every number of a JSON value, by where it stands."""
    if isinstance(value, dict):
        return {k: v for key, each in value.items() for k, v in numbers(each, f"{path}/{key}").items()}
    if isinstance(value, list):
        return {k: v for i, each in enumerate(value) for k, v in numbers(each, f"{path}/{i}").items()}
    return {path: value} if isinstance(value, (int, float)) else {}


def worst(expected, actual):
    """The largest difference, relative where numbers are above 1, and where it is."""
    wanted, got = numbers(expected), numbers(actual)
    assert wanted.keys() == got.keys(), sorted(wanted.keys() ^ got.keys())
    return max((abs(got[key] - value) / max(1, abs(value)), key) for key, value in wanted.items())


def main(names):
    failed = False
    for folder in sorted(CASES / name for name in names) if names else sorted(CASES.glob("*/")):
        if not (folder / "expected.json").exists():
            continue
        expected = json.loads((folder / "expected.json").read_text())
        actual = computed(folder, {key: expected[key] for key in SETTINGS})
        # The two cases from elsewhere have none.
        if "greedy" not in expected:
            del actual["greedy"]
        difference, where = worst(expected, actual)
        failed |= difference > 1e-9
        print(f"{folder.name:14} {len(numbers(expected))} numbers, largest difference {difference:.1e} at {where}")
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1:])
