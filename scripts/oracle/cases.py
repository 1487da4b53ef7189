"""The cases that `make.py` makes: each a config.json as its family writes it, at tiny size, and an adapter.

Sequences are 7 to 89 tokens long, so that windows and original contexts below that are outgrown.
"""

ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ATTENTION = ALL[:4]


def config(architecture, kind, **fields):
    """Two layers, four heads in two groups; None leaves a field out."""
    plain = {
        "architectures": [architecture],
        "model_type": kind,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 264,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "max_position_embeddings": 512,
        "hidden_act": "silu",
        "eos_token_id": 256,
        "torch_dtype": "float32",
    }
    return {key: value for key, value in {**plain, **fields}.items() if value is not None or key == "sliding_window"}


def llama(**fields):
    return config("LlamaForCausalLM", "llama", **fields)


LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 48,
    "rope_type": "llama3",
}

CASES = {
    # One frequency is kept, two are blended, five are divided.
    "llama3": {
        "config": llama(head_dim=16, rope_theta=1000.0, rope_scaling=LLAMA3, num_attention_heads=2),
        "rank": 2,
        "targets": ALL,
    },
    # As transformers 5 writes it, and with several end tokens.
    "llama-linear": {
        "config": llama(
            rope_theta=None,
            torch_dtype=None,
            dtype="float32",
            rope_parameters={"rope_theta": 10000.0, "rope_type": "linear", "factor": 2.0},
            eos_token_id=[256, 257],
            tie_word_embeddings=False,
        ),
        "files": {"generation_config.json": {"eos_token_id": [257, 258], "do_sample": True}},
        "rank": 4,
        "targets": ("q_proj", "v_proj"),
    },
    "llama-bias": {"config": llama(attention_bias=True, mlp_bias=True), "rank": 2, "targets": ALL},
    # Every head has keys of its own, of a width that is not the hidden size over the heads.
    "llama-heads": {
        "config": llama(head_dim=12, num_key_value_heads=4, tie_word_embeddings=False),
        "rank": 4,
        "targets": ATTENTION,
    },
    "llama-f16": {"config": llama(torch_dtype="float16"), "dtype": "F16", "rank": 4, "targets": ("q_proj", "v_proj")},
    "llama-shards": {
        "config": llama(torch_dtype="bfloat16"),
        "dtype": "BF16",
        "shards": 3,
        "rank": 4,
        "targets": ATTENTION,
    },
    # The shortest pair stays within the window, the others outgrow it.
    "mistral": {
        "config": config(
            "MistralForCausalLM", "mistral", sliding_window=50, tie_word_embeddings=False, rope_theta=1000000.0
        ),
        "rank": 4,
        "targets": ATTENTION,
    },
    # The first layer sees everything, the second has a window.
    "qwen2-window": {
        "config": config(
            "Qwen2ForCausalLM",
            "qwen2",
            rms_norm_eps=1e-06,
            rope_theta=1000000.0,
            use_sliding_window=True,
            sliding_window=20,
            max_window_layers=1,
        ),
        "rank": 2,
        "targets": ("q_proj", "v_proj", "down_proj"),
    },
    "qwen3": {
        "config": config(
            "Qwen3ForCausalLM",
            "qwen3",
            hidden_size=24,
            head_dim=16,
            rms_norm_eps=1e-06,
            rope_theta=1000000.0,
            attention_bias=False,
            use_sliding_window=False,
            sliding_window=None,
            max_window_layers=2,
        ),
        "rank": 2,
        "targets": ALL,
    },
    # The head is tied because the file does not say otherwise.
    "smollm3": {
        "config": config(
            "SmolLM3ForCausalLM",
            "smollm3",
            hidden_size=24,
            num_hidden_layers=4,
            tie_word_embeddings=None,
            rms_norm_eps=1e-06,
            rope_theta=5000000.0,
            attention_bias=False,
            mlp_bias=False,
            no_rope_layers=[1, 1, 1, 0],
            no_rope_layer_interval=4,
            use_sliding_window=False,
            sliding_window=None,
        ),
        "rank": 2,
        "targets": ATTENTION,
    },
}
