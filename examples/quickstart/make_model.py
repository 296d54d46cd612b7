"""Trains the quickstart model from nothing: stories by the grammar of stories.py, a 768-piece vocabulary, a
Llama of 0.84 M parameters. Writes model.gguf (F16) and the greedy continuation that this PyTorch model gives,
against which the C++ program is tested.

    python3 make_model.py OUT_DIRECTORY [--steps N] [--seed S]
"""
import argparse
import json
import math
import random
import time

import torch
import torch.nn.functional as F

import gguf
from stories import NAMES, story
from tokenizer import BOS, EOS, FIRST_BYTE, Tokenizer

WIDTH, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, FFN, VOCABULARY, CONTEXT = 128, 5, 8, 4, 16, 256, 768, 512
EPSILON, ROPE_BASE = 1e-5, 10000.0
PROMPT = "Once there was a small starling named Mira who"


def rms_norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPSILON) * weight


def rotate(x, positions):
    """Rotary positions on the pairs (2p, 2p + 1) of the last dimension; x is B x heads x T x HEAD_SIZE."""
    frequencies = ROPE_BASE ** (-torch.arange(0, HEAD_SIZE, 2, dtype=torch.float32) / HEAD_SIZE)
    angle = positions[:, None].float() * frequencies[None, :]
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()

        def matrix(rows, columns, scale=1.0):
            return torch.nn.Parameter(torch.randn(rows, columns) * scale / math.sqrt(columns))

        residual = 1 / math.sqrt(2 * LAYERS)
        self.attn_norm = torch.nn.Parameter(torch.ones(WIDTH))
        self.attn_q = matrix(HEADS * HEAD_SIZE, WIDTH)
        self.attn_k = matrix(KV_HEADS * HEAD_SIZE, WIDTH)
        self.attn_v = matrix(KV_HEADS * HEAD_SIZE, WIDTH)
        self.attn_output = matrix(WIDTH, HEADS * HEAD_SIZE, residual)
        self.ffn_norm = torch.nn.Parameter(torch.ones(WIDTH))
        self.ffn_gate = matrix(FFN, WIDTH)
        self.ffn_up = matrix(FFN, WIDTH)
        self.ffn_down = matrix(WIDTH, FFN, residual)

    def forward(self, x, positions):
        B, T, _ = x.shape
        h = rms_norm(x, self.attn_norm)
        q = rotate((h @ self.attn_q.T).view(B, T, HEADS, HEAD_SIZE).transpose(1, 2), positions)
        k = rotate((h @ self.attn_k.T).view(B, T, KV_HEADS, HEAD_SIZE).transpose(1, 2), positions)
        v = (h @ self.attn_v.T).view(B, T, KV_HEADS, HEAD_SIZE).transpose(1, 2)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + a.transpose(1, 2).reshape(B, T, HEADS * HEAD_SIZE) @ self.attn_output.T
        h = rms_norm(x, self.ffn_norm)
        return x + (F.silu(h @ self.ffn_gate.T) * (h @ self.ffn_up.T)) @ self.ffn_down.T


class Llama(torch.nn.Module):
    """The head is the embedding."""

    def __init__(self):
        super().__init__()
        self.token_embd = torch.nn.Parameter(torch.randn(VOCABULARY, WIDTH) * 0.05)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.output_norm = torch.nn.Parameter(torch.ones(WIDTH))

    def forward(self, ids):
        x, positions = self.token_embd[ids], torch.arange(ids.shape[1])
        for block in self.blocks:
            x = block(x, positions)
        return rms_norm(x, self.output_norm) @ self.token_embd.T


def row_of_stories(rng, tokenizer, length):
    """length + 1 tokens: stories one after the other, cut at the end."""
    ids = []
    while len(ids) <= length:
        ids += tokenizer.encode(story(rng)) + [EOS]
    return ids[:length + 1]


def loss_of(model, rows, weights=None):
    ids = torch.tensor(rows)
    logits = model(ids[:, :-1])
    return F.cross_entropy(logits.reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1), weight=weights)


def train(model, tokenizer, rng, steps):
    """Muon for the matrices of the blocks, AdamW for the rest. Rows of about one story, some of the full context.
    Names count more, because remembering who is who is the hardest part of a story."""
    blocks = [p for p in model.blocks.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if not any(p is q for q in blocks)]
    optimizers = [(torch.optim.Muon(blocks, lr=0.02, weight_decay=0.0), 0.02),
                  (torch.optim.AdamW(rest, lr=5e-3, betas=(0.9, 0.97), weight_decay=0.0), 5e-3)]
    weights = torch.ones(VOCABULARY)
    for name in NAMES:
        weights[tokenizer.encode(name)[1:]] = 3.0
    started = time.time()
    for step in range(steps):
        rate = min(1, (step + 1) / 30) * min(1, 0.02 + (steps - step) / (0.6 * steps))
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
        batch, length = (4, CONTEXT) if step % 4 == 0 else (6, 344)
        loss = loss_of(model, [row_of_stories(rng, tokenizer, length) for _ in range(batch)], weights)
        for optimizer, _ in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer, _ in optimizers:
            optimizer.step()
        if step % 100 == 0 or step + 1 == steps:
            print(f"step {step} loss {loss.item():.4f} seconds {time.time() - started:.0f}", flush=True)


def round_to_f16(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(parameter.half().float())


def greedy(model, tokenizer, prompt, count):
    """Ids after the prompt, and the smallest distance between the best two logits on the way."""
    ids, gap = tokenizer.encode(prompt), math.inf
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + count and len(ids) < CONTEXT:
            best = model(torch.tensor([ids]))[0, -1].topk(2)
            gap = min(gap, (best.values[0] - best.values[1]).item())
            ids.append(best.indices[0].item())
            if ids[-1] == EOS:
                break
    return ids[start:], gap


def write_golden(path, model, tokenizer, ids, gap):
    """What the C++ program must give: ids and text of the greedy continuation, and the logits after the prompt."""
    prompt = tokenizer.encode(PROMPT)
    with torch.no_grad():
        logits = model(torch.tensor([prompt]))[0, -1]
    with open(path, "w") as file:
        json.dump({"prompt": PROMPT, "prompt_ids": prompt, "token_ids": ids, "text": tokenizer.decode(ids),
                   "smallest_gap": round(gap, 4), "logits": [round(x, 5) for x in logits.tolist()]}, file)
        file.write("\n")


def metadata(tokenizer):
    u32, f32, text, flag = gguf.U32, gguf.F32, gguf.STRING, gguf.BOOL
    fixed = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    kinds = [2, 3, 3] + [6] * 256 + [1] * len(tokenizer.pieces)
    scores = [0.0] * len(fixed) + [-float(rank) for rank in range(len(tokenizer.pieces))]
    return [
        ("general.architecture", text, "llama"), ("general.name", text, "starling-quickstart"),
        ("general.file_type", u32, 1), ("llama.vocab_size", u32, VOCABULARY),
        ("llama.context_length", u32, CONTEXT), ("llama.embedding_length", u32, WIDTH),
        ("llama.block_count", u32, LAYERS), ("llama.feed_forward_length", u32, FFN),
        ("llama.attention.head_count", u32, HEADS), ("llama.attention.head_count_kv", u32, KV_HEADS),
        ("llama.attention.layer_norm_rms_epsilon", f32, EPSILON),
        ("llama.rope.dimension_count", u32, HEAD_SIZE), ("llama.rope.freq_base", f32, ROPE_BASE),
        ("tokenizer.ggml.model", text, "llama"),
        ("tokenizer.ggml.tokens", (gguf.ARRAY, text), fixed + tokenizer.pieces),
        ("tokenizer.ggml.scores", (gguf.ARRAY, f32), scores),
        ("tokenizer.ggml.token_type", (gguf.ARRAY, gguf.I32), kinds),
        ("tokenizer.ggml.bos_token_id", u32, BOS), ("tokenizer.ggml.eos_token_id", u32, EOS),
        ("tokenizer.ggml.unknown_token_id", u32, 0),
        ("tokenizer.ggml.add_bos_token", flag, True), ("tokenizer.ggml.add_eos_token", flag, False),
        ("tokenizer.ggml.add_space_prefix", flag, True),
    ]


def tensors(model):
    def matrix(parameter):
        return parameter.detach().half().numpy()

    def vector(parameter):
        return parameter.detach().float().numpy()

    result = [("token_embd.weight", matrix(model.token_embd)), ("output_norm.weight", vector(model.output_norm))]
    for i, block in enumerate(model.blocks):
        for name, parameter in block.named_parameters():
            result.append((f"blk.{i}.{name}.weight", vector(parameter) if parameter.ndim == 1 else matrix(parameter)))
    return result


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("out")
    arguments.add_argument("--steps", type=int, default=1700)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    tokenizer = Tokenizer.train([story(rng) for _ in range(3000)], VOCABULARY)
    model = Llama()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, tokenizer, rng, options.steps)
    round_to_f16(model)
    unseen = random.Random(options.seed + 1000000)
    with torch.no_grad():
        loss = loss_of(model, [row_of_stories(unseen, tokenizer, CONTEXT) for _ in range(32)]).item()
    gguf.write(f"{options.out}/model.gguf", metadata(tokenizer), tensors(model))
    torch.save(model.state_dict(), f"{options.out}/model.pt")
    ids, gap = greedy(model, tokenizer, PROMPT, 400)
    write_golden(f"{options.out}/quickstart_greedy.json", model, tokenizer, ids, gap)
    print(f"loss on unseen stories {loss:.4f} nats a token; smallest gap {gap:.4f}")
    print(tokenizer.decode(tokenizer.encode(PROMPT) + ids))


if __name__ == "__main__":
    main()
