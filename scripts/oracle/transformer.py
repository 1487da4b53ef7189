"""The forward pass of the Llama family, one sequence at a time, in float64: as in a textbook, nothing fused or shared.

Keys and values are repeated for the heads that share them; a sequence is run whole. What each model type does is read
from its own config.json here, by the rules of its configuration class, and by nothing of the program under test.
"""

import math

import torch


def rms_norm(x, weight, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def rotary_settings(config):
    settings = config.get("rope_parameters") or config.get("rope_scaling") or {}
    default = 2_000_000.0 if config["model_type"] == "smollm3" else 10_000.0
    theta = settings.get("rope_theta") or config.get("rope_theta") or default
    return theta, settings.get("rope_type") or settings.get("type") or "default", settings


def inverse_frequencies(config, head_dim):
    theta, kind, settings = rotary_settings(config)
    inverse = [1.0 / theta ** (2 * i / head_dim) for i in range(head_dim // 2)]
    if kind == "default":
        return inverse
    if kind == "linear":
        return [f / settings["factor"] for f in inverse]
    if kind != "llama3":
        raise ValueError(kind)
    factor, low, high = settings["factor"], settings["low_freq_factor"], settings["high_freq_factor"]
    old = settings["original_max_position_embeddings"]
    scaled = []
    for f in inverse:
        wavelength = 2 * math.pi / f
        if wavelength < old / high:
            scaled.append(f)
        elif wavelength > old / low:
            scaled.append(f / factor)
        else:
            smooth = (old / wavelength - low) / (high - low)
            scaled.append((1 - smooth) * f / factor + smooth * f)
    return scaled


def rotate(x, config):
    """x [heads, time, head_dim]: cos and sin of position times frequency, halves paired."""
    time, head_dim = x.shape[1:]
    angles = torch.outer(torch.arange(time, dtype=x.dtype), torch.tensor(inverse_frequencies(config, head_dim), dtype=x.dtype))
    angles = torch.cat((angles, angles), dim=-1)
    half = head_dim // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * angles.cos() + turned * angles.sin()


def rotates(config, layer):
    if config["model_type"] != "smollm3":
        return True
    listed = config.get("no_rope_layers")
    if listed is None:
        return (layer + 1) % config.get("no_rope_layer_interval", 4) != 0
    return listed[layer] == 1


def window(config, layer):
    kind = config["model_type"]
    if kind == "mistral":
        return config["sliding_window"]
    if kind in ("qwen2", "qwen3") and config.get("use_sliding_window") and layer >= config["max_window_layers"]:
        return config["sliding_window"]
    return None


def visible(time, width):
    """[time, time], true where the query (row) sees the key (column)."""
    query, key = torch.arange(time)[:, None], torch.arange(time)[None, :]
    seen = key <= query
    return seen if width is None else seen & (key > query - width)


class Transformer:
    """`weights`: float64 by Hugging Face name. `adapter`: (A, B) by module path, `scale` = alpha / r."""

    def __init__(self, config, weights, adapter=None, scale=0.0):
        self.config, self.weights, self.adapter, self.scale = config, weights, adapter or {}, scale

    def linear(self, x, path):
        y = x @ self.weights[f"{path}.weight"].T
        if f"{path}.bias" in self.weights:
            y = y + self.weights[f"{path}.bias"]
        if path in self.adapter:
            a, b = self.adapter[path]
            y = y + self.scale * ((x @ a.T) @ b.T)
        return y

    def attention(self, x, path, layer):
        config = self.config
        time = x.shape[0]
        heads = config["num_attention_heads"]
        kv_heads = config.get("num_key_value_heads") or heads
        head_dim = config.get("head_dim") or config["hidden_size"] // heads

        def split(name, count):
            return self.linear(x, f"{path}.{name}").reshape(time, count, head_dim).transpose(0, 1)

        q, k, v = split("q_proj", heads), split("k_proj", kv_heads), split("v_proj", kv_heads)
        if config["model_type"] == "qwen3":
            q = rms_norm(q, self.weights[f"{path}.q_norm.weight"], config["rms_norm_eps"])
            k = rms_norm(k, self.weights[f"{path}.k_norm.weight"], config["rms_norm_eps"])
        if rotates(config, layer):
            q, k = rotate(q, config), rotate(k, config)
        k = k.repeat_interleave(heads // kv_heads, dim=0)
        v = v.repeat_interleave(heads // kv_heads, dim=0)
        scores = q @ k.transpose(1, 2) / math.sqrt(head_dim)
        scores = scores.masked_fill(~visible(time, window(config, layer)), -math.inf)
        mixed = torch.softmax(scores, dim=-1) @ v
        return self.linear(mixed.transpose(0, 1).reshape(time, heads * head_dim), f"{path}.o_proj")

    def feed_forward(self, x, path):
        gate = self.linear(x, f"{path}.gate_proj")
        return self.linear(gate * torch.sigmoid(gate) * self.linear(x, f"{path}.up_proj"), f"{path}.down_proj")

    def logits(self, ids):
        config, weights = self.config, self.weights
        eps = config["rms_norm_eps"]
        x = weights["model.embed_tokens.weight"][torch.tensor(ids)]
        for layer in range(config["num_hidden_layers"]):
            path = f"model.layers.{layer}"
            normed = rms_norm(x, weights[f"{path}.input_layernorm.weight"], eps)
            x = x + self.attention(normed, f"{path}.self_attn", layer)
            normed = rms_norm(x, weights[f"{path}.post_attention_layernorm.weight"], eps)
            x = x + self.feed_forward(normed, f"{path}.mlp")
        x = rms_norm(x, weights["model.norm.weight"], eps)
        tied = config.get("tie_word_embeddings", config["model_type"] == "smollm3")
        return x @ weights["model.embed_tokens.weight" if tied else "lm_head.weight"].T

    def completion_log_prob(self, prompt, completion):
        """Sum over the completion's tokens, each predicted from all before it."""
        log_probs = torch.log_softmax(self.logits(prompt + completion), dim=-1)
        first = len(prompt) - 1
        positions = torch.arange(first, first + len(completion))
        return log_probs[positions, torch.tensor(completion)].sum()
