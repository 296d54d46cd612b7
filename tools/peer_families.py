#!/usr/bin/env python3
"""Random checkpoints of every family, made by transformers, converted to GGUF by Starling and run by it and by llama.cpp: with
F32 weights and an F32 cache every token is the same. Needs transformers, torch and llama-cpp-python.

    tools/peers families [--types f32,q8_0]

Status 1 when llama.cpp does not load a file, or a file of F32 weights gives another token.
"""
import argparse
import json
import pathlib
import random
import struct
import sys
import tempfile

import torch
import transformers

import peer_llama

SIZES = dict(vocab_size=512, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512, rms_norm_eps=1e-5,
             tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ROPE = dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=128)
GEMMA = dict(head_dim=32, query_pre_attn_scalar=32, sliding_window=64, tie_word_embeddings=True)
EXPERTS = dict(head_dim=32, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=256, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[])
# file, class of the model, class of its configuration, what differs
FAMILIES = [
    ("llama3", "LlamaForCausalLM", "LlamaConfig", dict(rope_parameters=ROPE)), ("mistral", "MistralForCausalLM", "MistralConfig", dict(sliding_window=None)),
    ("qwen2", "Qwen2ForCausalLM", "Qwen2Config", {}), ("qwen3", "Qwen3ForCausalLM", "Qwen3Config", dict(head_dim=32)), ("gemma2", "Gemma2ForCausalLM", "Gemma2Config", GEMMA),
    ("gemma3", "Gemma3ForCausalLM", "Gemma3TextConfig", GEMMA), ("phi3", "Phi3ForCausalLM", "Phi3Config", {}),
    ("mixtral", "MixtralForCausalLM", "MixtralConfig", dict(num_local_experts=4, num_experts_per_tok=2, sliding_window=None)), ("qwen3moe", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", EXPERTS),
]


def write_checkpoint(folder, model_class, config_class, differences):
    torch.manual_seed(1)
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**(SIZES | differences))).float()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
            else:
                p.copy_(torch.randn_like(p) * p.shape[-1] ** -0.5)
    model.save_pretrained(folder)


def write_tokenizer(path):
    """In the format of llama2.c. llama.cpp asks vocabularies of Phi-3 for <|endoftext|>."""
    pieces = [b"<unk>", b"\n<s>\n", b"\n</s>\n"] + [b"<0x%02X>" % b for b in range(256)] + [b"<|endoftext|>"]
    pieces += [b"w%d" % i for i in range(SIZES["vocab_size"] - len(pieces))]
    path.write_bytes(struct.pack("<i", max(map(len, pieces))) + b"".join(struct.pack("<fi", -float(i), len(p)) + p for i, p in enumerate(pieces)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starling")
    parser.add_argument("--types", default="f32")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source = random.Random(1)
        (folder / "ids").write_text(",".join(str(source.randrange(3, SIZES["vocab_size"])) for _ in range(1000)))
        write_tokenizer(folder / "tokenizer.bin")
        settings = argparse.Namespace(starling=options.starling, text=folder / "ids", ids=True, ctx=200, windows=4, greedy=150, kv_type="f32", no_repack=False, itself=False, exact=False)
        for family, model_class, config_class, differences in FAMILIES:
            write_checkpoint(folder / family, model_class, config_class, differences)
            for kind in options.types.split(","):
                path = folder / f"{family}-{kind}.gguf"
                peer_llama.starling(options.starling, "convert", folder / family, path, "--type", kind, "--tokenizer", folder / "tokenizer.bin")
                found = peer_llama.compare(settings, path, folder)
                failed |= kind == "f32" and not (found["same"] == found["steps"] and found["greedy_equal"] == found["greedy_tokens"])
                print(json.dumps(found), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
