"""Reads a safetensors file: eight bytes of length, a JSON table of tensors, then their bytes."""
import json

import numpy
import torch


def read(path):
    """Every tensor by name, as float32. Only F32 files, which is what the benchmark writes."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        table = json.loads(file.read(length))
    table.pop("__metadata__", None)
    data = numpy.fromfile(path, dtype=numpy.uint8, offset=8 + length)
    tensors = {}
    for name, entry in table.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}, not F32")
        start, end = entry["data_offsets"]
        tensors[name] = torch.from_numpy(data[start:end].view(numpy.float32).reshape(entry["shape"]))
    return tensors
