"""DPO (Rafailov et al. 2023, equation 7) with AdamW (Loshchilov and Hutter 2019), all pairs as one batch, in float64."""

import torch

from transformer import Transformer

END = 256
"""The end token of the byte tokenizer; ids below it are bytes."""

SETTINGS = {
    "beta": 0.1,
    "lr": 0.001,
    "steps": 5,
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-08, "weight_decay": 0.0},
    "max_grad_norm": 1.0,
    "schedule": "constant",
    "warmup": 0,
    "reference": "base without adapter",
}


def tokens(pair):
    prompt = list(pair["prompt"].encode())
    return prompt, list(pair["chosen"].encode()) + [END], list(pair["rejected"].encode()) + [END]


def paired(adapter):
    """(A, B) by module path, from a flat dictionary by PEFT's names."""
    prefix, ending = "base_model.model.", ".lora_A.weight"
    paths = [name[: -len(ending)] for name in adapter if name.endswith(ending)]
    return {p[len(prefix) :]: (adapter[f"{p}.lora_A.weight"], adapter[f"{p}.lora_B.weight"]) for p in paths}


def log_probs(model, pairs):
    """[pairs] of the chosen completions, and of the rejected ones."""
    chosen, rejected = [], []
    for pair in pairs:
        prompt, good, bad = tokens(pair)
        chosen.append(model.completion_log_prob(prompt, good))
        rejected.append(model.completion_log_prob(prompt, bad))
    return torch.stack(chosen), torch.stack(rejected)


def greedy(model, ids, count):
    """The `count` tokens that are likeliest one after the other, each from all before it."""
    for _ in range(count):
        ids = ids + [model.logits(ids)[-1].argmax().item()]
    return ids[-count:]


def continuations(config, weights, adapter, scale, pairs, count=20):
    """What comes after each prompt and chosen completion, end tokens counting like others."""
    models = {"base": Transformer(config, weights), "adapted": Transformer(config, weights, paired(adapter), scale)}
    texts = [(pair["prompt"] + pair["chosen"]).encode() for pair in pairs]
    with torch.no_grad():
        return [{name: greedy(model, list(text), count) for name, model in models.items()} for text in texts]


def evaluate(config, weights, adapter, scale, pairs, settings=SETTINGS):
    """Everything that `expected.json` holds. `adapter`: float64 by PEFT name, left as it is."""
    beta, adam = settings["beta"], settings["adam"]
    parameters = {name: values.clone().requires_grad_(True) for name, values in adapter.items()}
    model = Transformer(config, weights, paired(parameters), scale)
    with torch.no_grad():
        reference = log_probs(Transformer(config, weights), pairs)

    def loss_and_margins():
        policy = log_probs(model, pairs)
        margins = beta * ((policy[0] - reference[0]) - (policy[1] - reference[1]))
        return torch.nn.functional.softplus(-margins).mean(), margins, policy

    def gradient_norm():
        return torch.sqrt(sum((p.grad * p.grad).sum() for p in parameters.values()))

    result = dict(settings)
    first = {name: torch.zeros_like(p) for name, p in parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in parameters.items()}
    train = []
    for step in range(1, settings["steps"] + 1):
        for p in parameters.values():
            p.grad = None
        loss, margins, policy = loss_and_margins()
        loss.backward()
        norm = gradient_norm()
        if step == 1:
            columns = [*policy, *reference]
            keys = ["chosen", "rejected", "ref_chosen", "ref_rejected"]
            result["score"] = [
                {"id": pair["id"], **{key: column[i].item() for key, column in zip(keys, columns)}}
                for i, pair in enumerate(pairs)
            ]
            result["loss0"], result["grad_norm0"] = loss.item(), norm.item()
        accuracy = (margins > 0).double().mean().item()
        train.append({"loss": loss.item(), "grad_norm": norm.item(), "margin": margins.mean().item(), "accuracy": accuracy})
        clip = min(1.0, settings["max_grad_norm"] / (norm.item() + 1e-6))
        with torch.no_grad():
            for name, p in parameters.items():
                g = p.grad * clip
                first[name].mul_(adam["beta1"]).add_(g, alpha=1 - adam["beta1"])
                second[name].mul_(adam["beta2"]).add_(g * g, alpha=1 - adam["beta2"])
                mean = first[name] / (1 - adam["beta1"] ** step)
                root = torch.sqrt(second[name] / (1 - adam["beta2"] ** step))
                p.mul_(1 - settings["lr"] * adam["weight_decay"])
                p.sub_(settings["lr"] * mean / (root + adam["eps"]))
    result["train"] = train
    result["adapter_after"] = {
        name: {"norm": p.norm().item(), "head": p.detach().flatten()[:8].tolist()} for name, p in parameters.items()
    }
    return result
