#!/usr/bin/env python3
"""Training steps of Starling and of PyTorch (eager, F32) in alternating blocks: the same weights, examples, order and
learning rate; losses of the first 20 steps are compared. Run by tools/peers torch; needs torch and safetensors.

    tools/peer_torch.py build/starling [--threads 2] [--alternations 9] [--only lenet5:32]
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

RATE, SETS = 0.01, 8
CASES = [("mlp", 32), ("lenet5", 32), ("fedavg-cnn", 32), ("vgg9", 32), ("resnet20", 32), ("char-lstm", 32), ("lenet5", 10), ("mlp", 10)]


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


class FedAvgCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(64 * 7 * 7, 512), nn.Linear(512, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class Vgg9(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        for name, shape in shapes.items():
            module, part = name.rsplit(".", 1)
            if part != "weight":
                continue
            layer = nn.Conv2d(shape[1], shape[0], 3, padding=1) if len(shape) == 4 else nn.Linear(shape[1], shape[0])
            setattr(self, module, layer)

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


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class CharLstm(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        vocabulary, width = shapes["embedding.weight"]
        hidden = shapes["fc.weight"][1]
        layers = sum(1 for name in shapes if name.startswith("lstm.weight_hh"))
        self.embedding, self.lstm, self.fc = nn.Embedding(vocabulary, width), nn.LSTM(width, hidden, layers), nn.Linear(hidden, vocabulary)
        for layer in range(layers):
            getattr(self.lstm, f"bias_hh_l{layer}").requires_grad_(False).zero_()

    def forward(self, ids):  # {batch, length}, a row of logits for each place, time first
        return self.fc(self.lstm(self.embedding(ids.t()))[0]).flatten(0, 1)


def build(name, weights):
    shapes = {key: list(value.shape) for key, value in weights.items()}
    model = {"mlp": Mlp, "lenet5": LeNet, "fedavg-cnn": FedAvgCnn, "resnet20": ResNet20}.get(name)
    model = model() if model else (Vgg9(shapes) if name == "vgg9" else CharLstm(shapes))
    own = dict(model.named_parameters())
    own.update(dict(model.named_buffers()))
    with torch.no_grad():
        for key, value in weights.items():
            target = own.get(key, own.get(key.replace("bias_l", "bias_ih_l")))
            if target is None:
                sys.exit(f"{name}: PyTorch's model has no {key}; it has {sorted(own)}")
            target.copy_(value.view_as(target))
    return model


def examples(name, batch):
    if name == "char-lstm":
        i = torch.arange(SETS * batch * 80 + 1, dtype=torch.int64)
        ids = (7 * i * i + 3 * i) % 90
        return ids[:-1].view(SETS, batch, 80), ids[1:].view(SETS, batch, 80).transpose(1, 2).reshape(SETS, -1)
    shape = (3, 32, 32) if name in ("vgg9", "resnet20") else (1, 28, 28)
    count = SETS * batch * shape[0] * shape[1] * shape[2]
    h = (torch.arange(count, dtype=torch.int64) * 2654435761) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 2246822519) & 0xFFFFFFFF
    values = (((h ^ (h >> 13)) >> 8).float() / (1 << 23) - 1).view(SETS, batch, *shape)
    i = torch.arange(SETS * batch)
    return values, ((3 * i + i // 10) % 10).view(SETS, batch)


class Torch:
    def __init__(self, name, batch, weights, channels_last):
        self.model, (self.x, self.y) = build(name, weights), examples(name, batch)
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = [x.contiguous(memory_format=torch.channels_last) for x in self.x]
        self.optimizer = torch.optim.SGD([p for p in self.model.parameters() if p.requires_grad], lr=RATE)
        self.steps = 0

    def step(self):
        i, self.steps = self.steps % SETS, self.steps + 1
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(self.x[i]), self.y[i])
        loss.backward()
        self.optimizer.step()
        return loss

    def block(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return (time.perf_counter() - start) / steps * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("starling")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alternations", type=int, default=9)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"PyTorch {torch.__version__}, {options.threads} threads, {options.alternations} alternations, medians (spread)")
    for name, batch in CASES:
        if options.only and options.only != f"{name}:{batch}":
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = str(pathlib.Path(folder) / "weights.safetensors")

            def ours(steps, blocks, *more):
                command = [options.starling, "bench", "train", "--models", name, "--batch", str(batch), "--threads", str(options.threads),
                           "--steps", str(steps), "--blocks", str(blocks), "--json", *more]
                return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

            first = ours(5, 1, "--weights", file)
            weights = load_file(file)
            plain = Torch(name, batch, weights, False)
            losses = [plain.step().item() for _ in range(20)]
            worst = max(abs(a - b) / abs(b) for a, b in zip(first["losses"], losses))
            peers = [plain] + ([] if name in ("mlp", "char-lstm") else [Torch(name, batch, weights, True)])
            steps = max(5, int(200 / max(first["ms_per_step"], 0.05)))
            for peer in peers:
                peer.block(max(3, steps // 4))
            mine, theirs = [], [[] for _ in peers]
            for _ in range(options.alternations):
                mine.append(ours(steps, 1)["ms_per_step"])
                for times, peer in zip(theirs, peers):
                    times.append(peer.block(steps))
            best = min(theirs, key=statistics.median)
            a, b = statistics.median(mine), statistics.median(best)
            print(f"{name:<11} batch {batch:>2}: {a:8.3f} ({min(mine):.3f}-{max(mine):.3f}) against {b:8.3f} ({min(best):.3f}-{max(best):.3f}) ms: "
                  f"ratio {a / b:.2f}; losses differ by {worst:.1e}", flush=True)


if __name__ == "__main__":
    main()
