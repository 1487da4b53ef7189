"""The safetensors format: 8 bytes of header length, a JSON header, the bytes. F32, F16 and BF16, in numpy alone.

Source: https://huggingface.co/docs/safetensors.
"""

import json
import struct

import numpy as np


def to_bfloat16(values):
    """The upper halves of float32 bit patterns, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(halves):
    return (halves.astype(np.uint32) << 16).view(np.float32)


ENCODE = {
    "F32": lambda values: values.astype("<f4").tobytes(),
    "F16": lambda values: values.astype("<f2").tobytes(),
    "BF16": lambda values: to_bfloat16(values).astype("<u2").tobytes(),
}
DECODE = {
    "F32": lambda data: np.frombuffer(data, "<f4").astype(np.float64),
    "F16": lambda data: np.frombuffer(data, "<f2").astype(np.float64),
    "BF16": lambda data: from_bfloat16(np.frombuffer(data, "<u2")).astype(np.float64),
}


def rounded(values, dtype):
    """What a float64 array is after being stored as `dtype`."""
    return DECODE[dtype](ENCODE[dtype](values)).reshape(values.shape)


def write(path, tensors, dtype="F32"):
    header, parts, end = {"__metadata__": {"format": "pt"}}, [], 0
    for name, values in tensors.items():
        parts.append(ENCODE[dtype](values))
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [end, end + len(parts[-1])]}
        end += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def read(path):
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = DECODE[entry["dtype"]](data[start + begin : start + end]).reshape(entry["shape"])
    return tensors


def write_shards(folder, tensors, dtype, count):
    """Spread over `count` files, layer by layer as they come, with an index that names each tensor's file."""
    names, weight_map = list(tensors), {}
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = names[len(names) * number // count : len(names) * (number + 1) // count]
        write(folder / file, {name: tensors[name] for name in part}, dtype)
        weight_map.update({name: file for name in part})
    size = sum(values.size for values in tensors.values()) * (4 if dtype == "F32" else 2)
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def read_model(folder):
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return read(folder / "model.safetensors")
    weight_map = json.loads(index.read_text())["weight_map"]
    shards = {file: read(folder / file) for file in set(weight_map.values())}
    return {name: shards[file][name] for name, file in weight_map.items()}
