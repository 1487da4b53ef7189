"""Makes the cases of test/oracle: tiny random checkpoints, and what `transformer.py` and `preference.py` say of them.

    python3 scripts/oracle/make.py [CASE…]

Seeded by the case's name: the same numpy writes the same bytes. `llama` and `qwen2` are not made here, only read for
their tokenizer; `check.py` computes them again.
"""

import json
import pathlib
import shutil
import sys
import zlib

import numpy as np

import tensorfile
from cases import CASES
from check import CASES as FOLDER, computed
from preference import SETTINGS

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def shapes(config):
    """Every tensor of a checkpoint, [out, in], by Hugging Face name."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads, kind = config["num_attention_heads"], config["model_type"]
    head_dim = config.get("head_dim") or hidden // heads
    query, key = heads * head_dim, config["num_key_value_heads"] * head_dim
    projections = {
        "self_attn.q_proj": (query, hidden),
        "self_attn.k_proj": (key, hidden),
        "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    table = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(config["num_hidden_layers"]):
        path = f"model.layers.{layer}"
        table[f"{path}.input_layernorm.weight"] = (hidden,)
        for name, shape in projections.items():
            table[f"{path}.{name}.weight"] = shape
            if biased(config, kind, name.split(".")[1]):
                table[f"{path}.{name}.bias"] = shape[:1]
        if kind == "qwen3":
            table[f"{path}.self_attn.q_norm.weight"] = table[f"{path}.self_attn.k_norm.weight"] = (head_dim,)
        table[f"{path}.post_attention_layernorm.weight"] = (hidden,)
    table["model.norm.weight"] = (hidden,)
    if not config.get("tie_word_embeddings", kind == "smollm3"):
        table["lm_head.weight"] = (vocabulary, hidden)
    return table


def biased(config, kind, name):
    if kind == "qwen2":
        return name in ATTENTION[:3]
    return bool(config.get("attention_bias") if name in ATTENTION else config.get("mlp_bias"))


def drawn(random, name, shape):
    if name.endswith("norm.weight"):
        return 1 + 0.2 * random.standard_normal(shape)
    if name.endswith(".bias"):
        return 0.2 * random.standard_normal(shape)
    if "embed_tokens" in name:
        # Small beside what the layers add, else a tied head would only repeat the token before.
        return 0.15 * random.standard_normal(shape)
    return random.standard_normal(shape) / np.sqrt(shape[-1])


def lora(random, config, rank, targets):
    names = [f"model.layers.{i}.{part}" for i in range(config["num_hidden_layers"]) for part in MODULES]
    table, adapter = shapes(config), {}
    for name in names:
        if name.split(".")[-1] in targets:
            out, width = table[f"{name}.weight"]
            adapter[f"base_model.model.{name}.lora_A.weight"] = random.uniform(-1, 1, (rank, width)) / np.sqrt(width)
            adapter[f"base_model.model.{name}.lora_B.weight"] = 0.05 * random.standard_normal((out, rank))
    return adapter


MODULES = [f"self_attn.{name}" for name in ATTENTION] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]


def make(name, case):
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    (folder / "adapter").mkdir()
    random = np.random.default_rng(zlib.crc32(name.encode()))
    config, dtype, rank, targets = case["config"], case.get("dtype", "F32"), case["rank"], case["targets"]

    weights = {key: drawn(random, key, shape) for key, shape in shapes(config).items()}
    if "shards" in case:
        tensorfile.write_shards(folder / "model", weights, dtype, case["shards"])
    else:
        tensorfile.write(folder / "model" / "model.safetensors", weights, dtype)
    (folder / "model" / "config.json").write_text(json.dumps(config, indent=1))
    for file, text in case.get("files", {}).items():
        (folder / "model" / file).write_text(json.dumps(text, indent=1))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(FOLDER / "llama" / "model" / file, folder / "model" / file)
    shutil.copyfile(FOLDER / "llama" / "pairs.jsonl", folder / "pairs.jsonl")

    tensorfile.write(folder / "adapter" / "adapter_model.safetensors", lora(random, config, rank, targets))
    adapter_config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(targets),
        "bias": "none",
        "base_model_name_or_path": f"oracle/{name}",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "use_rslora": False,
    }
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(adapter_config, indent=1))
    # From what was stored, not from what was drawn: rounding to the file's type is part of the checkpoint.
    (folder / "expected.json").write_text(json.dumps(computed(folder, SETTINGS), indent=1))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{name:14} {size / 1000:.0f} kB")


if __name__ == "__main__":
    for case_name in sys.argv[1:] or CASES:
        make(case_name, CASES[case_name])
