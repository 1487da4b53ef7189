"""A Llama with LoRA on some projections, as one would write it in plain PyTorch."""
import math

import torch
import torch.nn.functional as F


def rms_norm(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Llama:
    def __init__(self, config, tensors, adapter, rank, scale, targets):
        self.config, self.tensors, self.scale = config, tensors, scale
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.width = config.get("head_dim", config["hidden_size"] // self.heads)
        self.factors = self._factors(adapter, rank, targets)

    def _factors(self, flat, rank, targets):
        """The flat adapter as parameters: by layer, then by target, A `[rank, in]` before B `[out, rank]`."""
        factors, at = {}, 0
        for layer in range(self.config["num_hidden_layers"]):
            for target in targets:
                out, into = self.tensors[self._name(layer, target)].shape
                pair = []
                for shape in ((rank, into), (out, rank)):
                    size = shape[0] * shape[1]
                    pair.append(torch.nn.Parameter(flat[at : at + size].reshape(shape).clone()))
                    at += size
                factors[layer, target] = pair
        return factors

    @staticmethod
    def _name(layer, target):
        part = "self_attn" if target in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
        return f"model.layers.{layer}.{part}.{target}.weight"

    def parameters(self):
        return [factor for pair in self.factors.values() for factor in pair]

    def project(self, x, layer, target, adapted):
        y = F.linear(x, self.tensors[self._name(layer, target)])
        if adapted and (layer, target) in self.factors:
            a, b = self.factors[layer, target]
            y = y + self.scale * F.linear(F.linear(x, a), b)
        return y

    def hidden(self, tokens, adapted=True):
        """`tokens` `[batch, time]`, causal; `[batch, time, hidden]` after the final norm."""
        config, tensors = self.config, self.tensors
        batch, time = tokens.shape
        epsilon, theta = config["rms_norm_eps"], config["rope_theta"]
        angles = torch.outer(torch.arange(time), theta ** (-torch.arange(0, self.width, 2) / self.width))
        cos, sin = torch.cat((angles, angles), -1).cos(), torch.cat((angles, angles), -1).sin()
        mask = torch.full((time, time), -math.inf).triu(1)
        split = lambda y, heads: y.view(batch, time, heads, self.width).transpose(1, 2)
        x = F.embedding(tokens, tensors["model.embed_tokens.weight"])
        for layer in range(config["num_hidden_layers"]):
            path = f"model.layers.{layer}"
            normed = rms_norm(x, tensors[f"{path}.input_layernorm.weight"], epsilon)
            q = rotate(split(self.project(normed, layer, "q_proj", adapted), self.heads), cos, sin)
            k = rotate(split(self.project(normed, layer, "k_proj", adapted), self.kv_heads), cos, sin)
            v = split(self.project(normed, layer, "v_proj", adapted), self.kv_heads)
            group = self.heads // self.kv_heads
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
            scores = q @ k.transpose(-1, -2) / math.sqrt(self.width) + mask
            attended = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, -1)
            x = x + self.project(attended, layer, "o_proj", adapted)
            normed = rms_norm(x, tensors[f"{path}.post_attention_layernorm.weight"], epsilon)
            gate, up = self.project(normed, layer, "gate_proj", adapted), self.project(normed, layer, "up_proj", adapted)
            x = x + self.project(F.silu(gate) * up, layer, "down_proj", adapted)
        return rms_norm(x, tensors["model.norm.weight"], epsilon)

    def log_probs(self, tokens, prompt, adapted=True, scored_only=False):
        """Sums of the log-probabilities of everything after the prompt, `[batch]`."""
        hidden = self.hidden(tokens, adapted)
        first = prompt - 1 if scored_only else 0
        logits = F.linear(hidden[:, first:-1], self.tensors["model.embed_tokens.weight"])
        targets = tokens[:, first + 1 :].unsqueeze(-1)
        each = logits.log_softmax(-1).gather(-1, targets).squeeze(-1)
        return each[:, prompt - 1 - first :].sum(-1)
