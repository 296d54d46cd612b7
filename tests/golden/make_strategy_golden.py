#!/usr/bin/env python3
"""Writes tests/golden/strategies.json: five rounds of seven fixed replies, and the models that twelve strategies make of
them by their papers' formulas in double, for tests/federated/parity_test.cpp. Nothing here is taken from the program.

    python3 tests/golden/make_strategy_golden.py        # from the repository's root; needs numpy
"""
import json
import pathlib

import numpy as np

ROUNDS, CLIENTS = 5, 7
TENSORS = {"fc.weight": [2, 3], "fc.bias": [2], "head.weight": [4]}
SIZE = sum(int(np.prod(shape)) for shape in TENSORS.values())
# Client 4 is hostile in every second round: rules that choose have something to choose.
random = np.random.default_rng(7)
START = np.round(random.uniform(0.8, 1.2, SIZE), 3)
replies = []
for t in range(ROUNDS):
    models = np.round(random.uniform(0.5, 1.5, (CLIENTS, SIZE)), 3)
    if t % 2 == 0:
        models[4] += np.round(random.uniform(5, 9, SIZE), 3)
    replies.append({"clients": [3 * k + 2 for k in range(CLIENTS)], "examples": [int(n) for n in random.integers(10, 600, CLIENTS)],
                    "losses": [float(f) for f in np.round(random.uniform(0.2, 2.5, CLIENTS), 3)], "models": np.round(models, 3).tolist()})


def f32(values):
    """What travels is F32, so that the formulas begin with the same numbers."""
    return np.array(values, dtype=np.float32).astype(np.float64)


def mean_move(x, y, n):
    return (n[:, None] / n.sum() * (y - x)).sum(0)


def fedavg(state, x, y, n, losses, o):
    return x + o["server_learning_rate"] * mean_move(x, y, n)


def fedavgm(state, x, y, n, losses, o):  # Hsu et al.: g = x - mean, m <- beta m + g, x <- x - eta m
    state["m"] = o["server_momentum"] * state.get("m", 0) - mean_move(x, y, n)
    return x - o["server_learning_rate"] * state["m"]


def second_moment(rule):
    def step(state, x, y, n, losses, o):
        d = mean_move(x, y, n)
        v = state.get("v", np.zeros(SIZE))
        state["m"] = o["beta1"] * state.get("m", np.zeros(SIZE)) + (1 - o["beta1"]) * d
        if rule == "adagrad":
            state["v"] = v + d ** 2
        elif rule == "adam":
            state["v"] = o["beta2"] * v + (1 - o["beta2"]) * d ** 2
        else:
            state["v"] = v - (1 - o["beta2"]) * d ** 2 * np.sign(v - d ** 2)
        return x + o["server_learning_rate"] * state["m"] / (np.sqrt(state["v"]) + o["tau"])

    return step


def q_fedavg(state, x, y, n, losses, o):  # Li et al., Algorithm 2
    lipschitz = 1 / o["client_learning_rate"]
    w = lipschitz * (x - y)
    f = losses + 1e-10
    h = o["q"] * f ** (o["q"] - 1) * (w ** 2).sum(1) + lipschitz * f ** o["q"]
    return x - (f[:, None] ** o["q"] * w).sum(0) / h.sum()


def median(state, x, y, n, losses, o):
    return np.median(y, axis=0)


def trimmed_mean(state, x, y, n, losses, o):
    b = int(o["trim"] * len(y))
    return np.sort(y, axis=0)[b:len(y) - b].mean(0)


def scores(y, f):
    """Krum's, over the max(1, m - f - 2) nearest of the others."""
    nearest = max(1, len(y) - f - 2)
    return [sum(sorted(((y[i] - y[j]) ** 2).sum() for j in range(len(y)) if j != i)[:nearest]) for i in range(len(y))]


def krum(state, x, y, n, losses, o):
    return y[int(np.argmin(scores(y, o["hostile"])))]


def multi_krum(state, x, y, n, losses, o):  # weighted by examples, as Flower does
    count = o["keep"] or len(y) - o["hostile"]
    chosen = np.argsort(scores(y, o["hostile"]), kind="stable")[:count]
    return (n[chosen, None] * y[chosen]).sum(0) / n[chosen].sum()


def bulyan(state, x, y, n, losses, o):
    f, left, chosen = o["hostile"], list(y), []
    theta = len(y) - 2 * f
    if o["selection"] == "oneshot":
        chosen = list(y[np.argsort(scores(y, f), kind="stable")[:theta]])
    while len(chosen) < theta:
        chosen.append(left.pop(int(np.argmin(scores(np.array(left), f)))))
    chosen = np.array(chosen)
    order = np.argsort(np.abs(chosen - np.median(chosen, axis=0)), axis=0, kind="stable")[:theta - 2 * f]
    return np.take_along_axis(chosen, order, axis=0).mean(0)


# Flower's settings where it has them; "defaults" says that a strategy has them unasked.
CASES = [
    ("fedavg", fedavg, {"server_learning_rate": 1}, True),
    ("fedprox", fedavg, {"server_learning_rate": 1, "proximal": 0.01}, True),
    ("fedavgm", fedavgm, {"server_learning_rate": 1, "server_momentum": 0}, True),
    ("fedavgm", fedavgm, {"server_learning_rate": 0.3, "server_momentum": 0.9}, False),
    ("fedadagrad", second_moment("adagrad"), {"server_learning_rate": 0.1, "beta1": 0, "tau": 1e-3}, True),
    ("fedadam", second_moment("adam"), {"server_learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 1e-3}, True),
    ("fedyogi", second_moment("yogi"), {"server_learning_rate": 0.01, "beta1": 0.9, "beta2": 0.99, "tau": 1e-3}, True),
    ("q-fedavg", q_fedavg, {"q": 0.1, "client_learning_rate": 0.1}, False),
    ("q-fedavg", q_fedavg, {"q": 1, "client_learning_rate": 0.05}, False),
    ("median", median, {}, True),
    ("trimmed-mean", trimmed_mean, {"trim": 0.2}, True),
    ("krum", krum, {"hostile": 1}, False),
    ("multi-krum", multi_krum, {"hostile": 1, "keep": 0}, False),
    ("multi-krum", multi_krum, {"hostile": 2, "keep": 3}, False),
    ("bulyan", bulyan, {"hostile": 1, "selection": "iterative"}, False),
    ("bulyan", bulyan, {"hostile": 1, "selection": "oneshot"}, False),
]
cases = []
for strategy, formula, settings, defaults in CASES:
    x, state, models = f32(START), {}, []
    for reply in replies:
        x = formula(state, x, f32(reply["models"]), np.array(reply["examples"], float), np.array(reply["losses"]), settings)
        models.append([float(f"{v:.12g}") for v in x])
    assert np.abs(models).min() > 0.01, "a relative error means nothing at 0"
    cases.append({"strategy": strategy, "settings": settings, "defaults": defaults, "models": models})


def lines(name, items):
    return f' "{name}": [\n  ' + ",\n  ".join(json.dumps(item) for item in items) + "\n ]"


path = pathlib.Path(__file__).parent / "strategies.json"
head = f' "tensors": {json.dumps(TENSORS)},\n "start": {json.dumps(START.tolist())}'
path.write_text("{\n" + ",\n".join([head, lines("rounds", replies), lines("cases", cases)]) + "\n}\n")
print(path, path.stat().st_size, "bytes")
