#!/usr/bin/env python3
"""Writes tests/golden/train.json: losses and parameters of a few SGD steps by PyTorch (torch==2.13.0), for
tests/core/train_golden_test.cpp. Weights and examples are formulas, so that both sides have the same.

    python3 tests/golden/make_train_golden.py        # from the repository's root
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
STEPS, BATCH, RATE, SMALL = 6, 4, 0.01, 0.0005


def numbers(name, count, scale, centre=0.0):
    seed = sum(name.encode()) % 97
    return np.array([centre + scale * math.sin(0.7 * i + seed) for i in range(count)]).astype(np.float32)


def fill(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            norm = ("bn" in name or "norm" in name) and name.endswith("weight")
            fan_in = p[0].numel() if p.dim() > 1 else 400
            values = numbers(name, p.numel(), 0.1 if norm else 1.5 / math.sqrt(fan_in), 1.0 if norm else 0.0)
            p.copy_(torch.from_numpy(values).view_as(p))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 200), nn.Linear(200, 200), nn.Linear(200, 10)

    def forward(self, x):
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Vgg9Slim(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [3, 8, 16, 32, 32, 64, 64]
        for i in range(6):
            setattr(self, f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], 3, padding=1))
        self.fc1, self.fc2, self.fc3 = nn.Linear(64 * 2 * 2, 128), nn.Linear(128, 128), nn.Linear(128, 10)

    def forward(self, x):
        for i in range(6):
            x = F.relu(getattr(self, f"conv{i + 1}")(x))
            if i % 2 == 1:
                x = F.max_pool2d(x, 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.extra = (outputs - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2 if self.extra else 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.extra:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(inner + x)


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32))
        self.layer3 = nn.Sequential(Block(32, 64))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class CharLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.fc = nn.Embedding(20, 8), nn.LSTM(8, 32), nn.Linear(32, 20)
        self.lstm.bias_hh_l0.requires_grad_(False).zero_()

    def named_parameters(self, *args, **kwargs):
        for name, p in super().named_parameters(*args, **kwargs):
            if name != "lstm.bias_hh_l0":
                yield name.replace("bias_ih_l0", "bias_l0"), p

    def forward(self, ids):  # {batch, length}, a row of logits for each place, time first
        return self.fc(self.lstm(self.embedding(ids.t()))[0]).flatten(0, 1)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class LlamaBlock(nn.Module):
    """Parameters have the names and the rotary pairs (2p, 2p + 1) of GGUF."""

    def __init__(self, width, heads, kv_heads, ffn):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.attn_norm, self.ffn_norm = RmsNorm(width), RmsNorm(width)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, kv_heads * self.size, bias=False)
        self.attn_v = nn.Linear(width, kv_heads * self.size, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_gate = nn.Linear(width, ffn, bias=False)
        self.ffn_up = nn.Linear(width, ffn, bias=False)
        self.ffn_down = nn.Linear(ffn, width, bias=False)

    def rotate(self, x):  # {batch, length, heads, size}, pairs as complex numbers
        angles = torch.outer(torch.arange(x.shape[1]), 10000.0 ** (-torch.arange(0, self.size, 2) / self.size))
        turned = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2)) * torch.polar(torch.ones_like(angles), angles)[:, None]
        return torch.view_as_real(turned).flatten(-2)

    def forward(self, x):
        batch, length, width = x.shape
        n = self.attn_norm(x)
        q = self.rotate(self.attn_q(n).view(batch, length, self.heads, self.size)).transpose(1, 2)
        k = self.rotate(self.attn_k(n).view(batch, length, self.kv_heads, self.size)).transpose(1, 2)
        v = self.attn_v(n).view(batch, length, self.kv_heads, self.size).transpose(1, 2)
        share = self.heads // self.kv_heads
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + self.attn_output(seen)
        n = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(n)) * self.ffn_up(n))


class Llama(nn.Module):
    def __init__(self, vocabulary=20, width=32, layers=2, heads=4, kv_heads=2, ffn=96):
        super().__init__()
        self.token_embd = nn.Embedding(vocabulary, width)
        self.blk = nn.ModuleList(LlamaBlock(width, heads, kv_heads, ffn) for _ in range(layers))
        self.output_norm, self.output = RmsNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x)
        return self.output(self.output_norm(x)).flatten(0, 1)


class VitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        n = self.norm1(x)
        q, k, v = (f(n).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        x = x + self.output(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class VitTiny(nn.Module):
    def __init__(self, width=32, layers=2, heads=4, size=4):
        super().__init__()
        self.size = size
        self.patch, self.position = nn.Linear(size * size, width), nn.Parameter(torch.zeros(49, width))
        self.blocks = nn.ModuleList(VitBlock(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        x = F.unfold(x, self.size, stride=self.size).transpose(1, 2)  # {batch, patches, channels * size * size}
        x = self.patch(x) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def run(name, model, shape, optimizer):
    fill(model)
    opt = optimizer([p for _, p in model.named_parameters()])
    length = 12
    if name in ("char-lstm", "llama"):
        x = torch.tensor([[(b + i * i) % 20 for i in range(length)] for b in range(BATCH)])
        y = torch.tensor([[(b + (i + 1) ** 2) % 20 for i in range(length)] for b in range(BATCH)])
        y = y.t().flatten() if name == "char-lstm" else y.flatten()
    else:
        count = BATCH * math.prod(shape)
        x = torch.from_numpy(np.array([math.sin(0.1 * i) for i in range(count)]).astype(np.float32)).view(BATCH, *shape)
        y = torch.arange(BATCH) % 10
    losses = []
    for _ in range(STEPS):
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sums = {n: [p.double().sum().item(), p.double().abs().sum().item()] for n, p in model.named_parameters()}
    for n, p in model.named_buffers():
        if n.endswith("running_mean") or n.endswith("running_var"):
            sums[n] = [p.double().sum().item(), p.double().abs().sum().item()]
    return {"model": name, "rate": opt.param_groups[0]["lr"], "shape": list(shape), "losses": losses, "sums": sums}


SGD = lambda p: torch.optim.SGD(p, lr=RATE)
OPTIMIZERS = {
    "sgd": SGD,
    "sgd-nesterov": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "sgd-momentum": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, dampening=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=SMALL, weight_decay=1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, lr=SMALL, weight_decay=1e-2),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=SMALL),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=SMALL / 10, momentum=0.5),
}
cases = [dict(run("mlp", Mlp(), (1, 28, 28), o), optimizer=n) for n, o in OPTIMIZERS.items()]
cases += [
    dict(run("lenet5", LeNet(), (1, 28, 28), SGD), optimizer="sgd"),
    dict(run("vgg9", Vgg9Slim(), (3, 16, 16), lambda p: torch.optim.SGD(p, lr=1e-6)), optimizer="sgd"),
    dict(run("resnet8", ResNet8(), (3, 16, 16), SGD), optimizer="sgd"),
    dict(run("char-lstm", CharLstm(), (12,), SGD), optimizer="sgd"),
    dict(run("llama", Llama(), (12,), OPTIMIZERS["adamw"]), optimizer="adamw"),
    dict(run("vit-tiny", VitTiny(), (1, 28, 28), OPTIMIZERS["adamw"]), optimizer="adamw"),
]
path = pathlib.Path(__file__).parent / "train.json"
path.write_text(json.dumps({"torch": torch.__version__.split("+")[0], "cases": cases}, indent=1) + "\n")
print(path, path.stat().st_size, "bytes")
