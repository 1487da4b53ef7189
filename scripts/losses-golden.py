#!/usr/bin/python3
"""Golden values of the preference losses, by a second implementation in PyTorch, float64, gradients by its autograd.

Writes test/node/training/golden/losses.json: the losses of given log-probabilities with their slopes, and, for the
llama case under test/oracle, loss and gradient by the adapter through a whole model. Formulas from the papers:
DPO (Rafailov et al. 2023), conservative DPO (Mitchell 2023), robust DPO (Chowdhury et al. 2024), IPO (Azar et al.
2023), SLiC's hinge (Zhao et al. 2023), APO (D'Oosterlinck et al. 2024), length-normalised DPO (Lambert et al. 2024).

    /usr/bin/python3 scripts/losses-golden.py
"""
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

SETTINGS = [
    {"loss": "sigmoid", "beta": 0.1},
    {"loss": "sigmoid", "beta": 0.5},
    {"loss": "cdpo", "beta": 0.1, "labelSmoothing": 0.1},
    {"loss": "cdpo", "beta": 0.7, "labelSmoothing": 0.3},
    {"loss": "robust", "beta": 0.1, "labelSmoothing": 0.1},
    {"loss": "robust", "beta": 0.7, "labelSmoothing": 0.3},
    {"loss": "ipo", "beta": 0.1},
    {"loss": "ipo", "beta": 1.0},
    {"loss": "hinge", "beta": 0.1},
    {"loss": "hinge", "beta": 1.0},
    {"loss": "apo_zero", "beta": 0.1},
    {"loss": "apo_zero", "beta": 0.5},
    {"loss": "sigmoid_norm", "beta": 5.0},
    {"loss": "sigmoid", "beta": 0.1, "sftWeight": 0.7},
    {"loss": "sigmoid_norm", "beta": 2.0, "sftWeight": 1.5},
]


def losses_of(setting, chosen, rejected, ref_chosen, ref_rejected, chosen_tokens, rejected_tokens):
    """One loss a pair. Log-probabilities are sums; token counts are of the completions."""
    name, beta, eps = setting["loss"], setting["beta"], setting.get("labelSmoothing", 0.0)
    c, r = chosen - ref_chosen, rejected - ref_rejected
    h = c - r
    if name == "sigmoid":
        return -F.logsigmoid(beta * h)
    if name == "cdpo":
        return -(1 - eps) * F.logsigmoid(beta * h) - eps * F.logsigmoid(-beta * h)
    if name == "robust":
        return (-(1 - eps) * F.logsigmoid(beta * h) + eps * F.logsigmoid(-beta * h)) / (1 - 2 * eps)
    if name == "ipo":
        return (c / chosen_tokens - r / rejected_tokens - 1 / (2 * beta)) ** 2
    if name == "hinge":
        return torch.relu(1 - beta * h)
    if name == "apo_zero":
        return 1 - torch.sigmoid(beta * c) + torch.sigmoid(beta * r)
    if name == "sigmoid_norm":
        return -F.logsigmoid(beta * (c / chosen_tokens - r / rejected_tokens))
    raise ValueError(name)


def objective(setting, chosen, rejected, ref_chosen, ref_rejected, chosen_tokens, rejected_tokens):
    """Mean over the pairs, and the token-mean negative log-likelihood of all chosen answers."""
    losses = losses_of(setting, chosen, rejected, ref_chosen, ref_rejected, chosen_tokens, rejected_tokens)
    sft = -chosen.sum() / chosen_tokens.sum()
    return losses, losses.mean() + setting.get("sftWeight", 0.0) * sft, sft


def values():
    given = {
        "chosen": [-3, -2.5, -4, -1.5, -40.25, -7.5, -12.0],
        "rejected": [-5, -3.5, -6, -2.5, -31.0, -7.5, -80.0],
        "refChosen": [-2.8, -2.3, -3.8, -1.4, -33.5, -9.0, -12.0],
        "refRejected": [-3.2, -2.7, -4.2, -1.8, -36.5, -6.25, -13.0],
        "chosenTokens": [3, 2, 4, 1, 25, 6, 9],
        "rejectedTokens": [4, 4, 5, 2, 17, 6, 60],
    }
    out = []
    for setting in SETTINGS:
        chosen = torch.tensor(given["chosen"], dtype=torch.float64, requires_grad=True)
        rejected = torch.tensor(given["rejected"], dtype=torch.float64, requires_grad=True)
        rest = [torch.tensor(given[k], dtype=torch.float64) for k in list(given)[2:]]
        losses, whole, sft = objective(setting, chosen, rejected, *rest)
        whole.backward()
        out.append({**setting, "losses": losses.tolist(), "objective": whole.item(), "sft": sft.item(),
                    "byChosen": chosen.grad.tolist(), "byRejected": rejected.grad.tolist()})
    return {"given": given, "cases": out}


# A llama in a page: for the tiny oracle case only.

def tensors(path):
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        out[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(entry["shape"]).double()
    return out


def rms_norm(x, weight, eps):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rotated(x, theta):
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * theta ** (-torch.arange(half) / half)[None, :]
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


def log_probs(config, weights, adapter, scale, prompt, completion):
    """Summed log-probability of the completion's tokens after the prompt."""
    ids = torch.tensor(prompt + completion)
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads

    def linear(x, name):
        y = x @ weights[name + ".weight"].T
        a = adapter.get(f"base_model.model.{name}.lora_A.weight")
        return y if a is None else y + scale * (x @ a.T @ adapter[f"base_model.model.{name}.lora_B.weight"].T)

    x = weights["model.embed_tokens.weight"][ids]
    hidden = torch.full((len(ids), len(ids)), -math.inf).triu(1)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        n = rms_norm(x, weights[f"{layer}.input_layernorm.weight"], config["rms_norm_eps"])
        split = lambda y, count: y.reshape(len(ids), count, size).transpose(0, 1)
        q = rotated(split(linear(n, f"{layer}.self_attn.q_proj"), heads), config["rope_theta"])
        k = rotated(split(linear(n, f"{layer}.self_attn.k_proj"), groups), config["rope_theta"])
        v = split(linear(n, f"{layer}.self_attn.v_proj"), groups)
        k, v = (y.repeat_interleave(heads // groups, 0) for y in (k, v))
        mixed = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(size) + hidden, -1) @ v
        x = x + linear(mixed.transpose(0, 1).reshape(len(ids), -1), f"{layer}.self_attn.o_proj")
        n = rms_norm(x, weights[f"{layer}.post_attention_layernorm.weight"], config["rms_norm_eps"])
        gate = F.silu(linear(n, f"{layer}.mlp.gate_proj")) * linear(n, f"{layer}.mlp.up_proj")
        x = x + linear(gate, f"{layer}.mlp.down_proj")
    logits = rms_norm(x, weights["model.norm.weight"], config["rms_norm_eps"]) @ weights["lm_head.weight"].T
    scores = torch.log_softmax(logits[:-1], -1).gather(1, ids[1:, None])[:, 0]
    return scores[len(prompt) - 1:].sum()


def through_a_model(folder):
    config = json.loads((folder / "model/config.json").read_text())
    peft = json.loads((folder / "adapter/adapter_config.json").read_text())
    weights = tensors(folder / "model/model.safetensors")
    adapter = tensors(folder / "adapter/adapter_model.safetensors")
    scale = peft["lora_alpha"] / peft["r"]
    end = [config["eos_token_id"]]
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    ids = [{side: list(pair[side].encode()) for side in ("prompt", "chosen", "rejected")} for pair in pairs]

    def sums(side, with_adapter):
        used = adapter if with_adapter else {}
        return torch.stack([log_probs(config, weights, used, scale, p["prompt"], p[side] + end) for p in ids])

    with torch.no_grad():
        ref_chosen, ref_rejected = sums("chosen", False), sums("rejected", False)
    tokens = [torch.tensor([float(len(p[side]) + 1) for p in ids]) for side in ("chosen", "rejected")]
    out = []
    for setting in SETTINGS:
        for value in adapter.values():
            value.requires_grad_(True)
            value.grad = None
        _, whole, sft = objective(setting, sums("chosen", True), sums("rejected", True), ref_chosen, ref_rejected, *tokens)
        whole.backward()
        gradients = {name: value.grad for name, value in adapter.items()}
        out.append({**setting, "objective": whole.item(), "sft": sft.item(),
                    "gradNorm": math.sqrt(sum(float((g * g).sum()) for g in gradients.values())),
                    "gradients": {name: {"norm": float(g.norm()), "head": g.flatten()[:4].tolist()}
                                  for name, g in gradients.items() if ".layers.0." in name}})
    return out


def main():
    root = Path(__file__).resolve().parent.parent / "test"
    golden = {"values": values(), "throughTheOracleModel": through_a_model(root / "oracle/llama")}
    file = root / "node/training/golden/losses.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"{file}: {len(golden['values']['cases'])} cases")


main()
