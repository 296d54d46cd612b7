#!/usr/bin/env python3
"""Writes tests/golden/architectures.json: logits of small models of every family as Hugging Face transformers computes them.

A model's weights are not stored: element i of the tensor `name` of its checkpoint is SplitMix64 of FNV-1a(name) at step i + 1 as
a value in [-0.25, 0.25), plus 1 where the name ends in norm.weight; tests/oracle/small_llama.h plants the same numbers. The
file holds the configuration, the checkpoint's tensors as save_pretrained writes them, the tokens and the logits after the last.

    python3 -m venv v && v/bin/pip install torch==2.13.0 transformers==5.24.0 && v/bin/python tests/golden/make_architectures.py
"""
import json
import pathlib
import tempfile

import numpy
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file


def planted(name, shape):
    hashed = 0xCBF29CE484222325
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    count = int(numpy.prod(shape))
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(hashed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> numpy.uint64(30)) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> numpy.uint64(27)) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    values = 0.25 * (2 * (z >> numpy.uint64(40)).astype(numpy.float64) / 2**24 - 1) + (1 if name.endswith("norm.weight") else 0)
    return torch.from_numpy(values.astype(numpy.float32).reshape(shape))


BASE = dict(vocab_size=40, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            head_dim=16, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0)
MOE = dict(num_experts=5, num_experts_per_tok=2, moe_intermediate_size=32, decoder_sparse_step=1, mlp_only_layers=[])
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, rope_theta=10000.0)
CASES = {
    "llama": ("Llama", dict(rope_parameters=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                 original_max_position_embeddings=64, rope_theta=5e5))),
    "llama with biases": ("Llama", dict(attention_bias=True, mlp_bias=True)),
    "mistral": ("Mistral", dict(sliding_window=6)),
    "mixtral": ("Mixtral", dict(num_local_experts=5, num_experts_per_tok=2, sliding_window=None)),
    "qwen2": ("Qwen2", dict(rope_parameters=YARN)),
    "qwen2 with windows": ("Qwen2", dict(use_sliding_window=True, sliding_window=6, max_window_layers=1)),
    "qwen2moe": ("Qwen2Moe", dict(**MOE, shared_expert_intermediate_size=48, norm_topk_prob=False)),
    "qwen3": ("Qwen3", dict(tie_word_embeddings=True)),
    "qwen3moe": ("Qwen3Moe", dict(**MOE, norm_topk_prob=True)),
    "gemma": ("Gemma", dict(hidden_activation="gelu_pytorch_tanh")),
    "gemma2": ("Gemma2", dict(sliding_window=6, query_pre_attn_scalar=24)),
    "gemma3": ("Gemma3Text", dict(num_hidden_layers=7, sliding_window=6, query_pre_attn_scalar=16)),
    "phi3": ("Phi3", dict(hidden_size=64, original_max_position_embeddings=64, partial_rotary_factor=0.75, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=64, partial_rotary_factor=0.75,
        short_factor=[1 + 0.1 * p for p in range(6)], long_factor=[2 + 0.5 * p for p in range(6)]))),
}
CLASSES = {"Gemma3Text": "Gemma3ForCausalLM"}


TOKENS = [(7 * j + 3) % 40 for j in range(20)]


def planted_model(config, model_class):
    """A model with planted weights, its settings and the shapes of its tensors, as its checkpoint has them."""
    config._attn_implementation = "eager"
    with tempfile.TemporaryDirectory() as folder:
        model_class(config).save_pretrained(folder)
        file = pathlib.Path(folder) / "model.safetensors"
        with safe_open(file, "pt") as stored:
            shapes = {key: list(stored.get_slice(key).get_shape()) for key in sorted(stored.keys())}
        save_file({key: planted(key, shape) for key, shape in shapes.items()}, file, {"format": "pt"})
        model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        return model, {"config": json.loads((pathlib.Path(folder) / "config.json").read_text()), "tensors": shapes, "tokens": TOKENS}


def numbers(values):
    return [float(f"{x:.7g}") for x in values.tolist()]


def decoder(name, family, changes):
    config = getattr(transformers, family + "Config")(**{**BASE, **changes})
    model, case = planted_model(config, getattr(transformers, CLASSES.get(family, family + "ForCausalLM")))
    with torch.no_grad():
        return {"name": name, **case, "logits": numbers(model(torch.tensor([TOKENS])).logits[0, -1])}


def encoder():
    model, case = planted_model(transformers.BertConfig(vocab_size=40, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
                                                        intermediate_size=80, max_position_embeddings=24), transformers.BertModel)
    with torch.no_grad():
        rows = model(torch.tensor([TOKENS])).last_hidden_state[0]
    unit = torch.nn.functional.normalize
    return {"name": "bert", **case, "mean": numbers(unit(rows.mean(0), dim=0)), "first": numbers(unit(rows[0], dim=0)), "last_row": numbers(rows[-1])}


if __name__ == "__main__":
    cases = [decoder(name, family, changes) for name, (family, changes) in CASES.items()]
    target = pathlib.Path(__file__).parent / "architectures.json"
    lines = ",\n".join(json.dumps(case) for case in cases)
    target.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n],\n"encoder": {json.dumps(encoder())}}}\n')
