"""Merges a PEFT folder into a model, by the definition of LoRA: W + alpha / r * B A (alpha / sqrt(r) for rsLoRA).

Shares nothing with this project's code. Reads float32 safetensors, writes model.safetensors of the merged model.

    python3 merge-adapter.py MODEL ADAPTER OUT
"""

import json
import math
import pathlib
import struct
import sys

import numpy as np


def read(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", name
        start, end = entry["data_offsets"]
        values = np.frombuffer(raw[8 + length + start : 8 + length + end], dtype="<f4")
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def write(path, tensors):
    header, parts, at = {}, [], 0
    for name, values in sorted(tensors.items()):
        data = np.ascontiguousarray(values, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


model, adapter, out = map(pathlib.Path, sys.argv[1:])
weights = read(model / "model.safetensors")
factors = read(adapter / "adapter_model.safetensors")
config = json.loads((adapter / "adapter_config.json").read_text())
rank, alpha = config["r"], config["lora_alpha"]
scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
merged = 0
for name, a in factors.items():
    if ".lora_A." not in name:
        continue
    b = factors[name.replace(".lora_A.", ".lora_B.")]
    target = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
    weights[target] = (weights[target] + scale * (b.astype("f8") @ a.astype("f8"))).astype("f4")
    merged += 1
assert merged * 2 == len(factors)
write(out / "model.safetensors", weights)
