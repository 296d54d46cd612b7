#!/usr/bin/env python3
"""Client updates a second of Starling and of Flower's simulation engine (Ray), alternating: LeNet-5 on Fashion-MNIST, IID
clients, the same sizes and settings, data in memory, no evaluation in the timed part, counted from the end of round 1.
With --accuracy it compares what both have learnt after 20 rounds instead, over several seeds. Run by tools/peers flower;
needs flwr[simulation] and torch, and STARLING_DATA.

    tools/peer_flower.py build/starling [--model lenet5] [--rounds 6] [--alternations 3]
    tools/peer_flower.py build/starling --accuracy 5 [--rounds 20]
"""
import argparse
import gzip
import json
import lzma
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

CLIENTS, IMAGES, FRACTION, BATCH, RATE = 100, 600, 0.1, 32, 0.05
MEAN, DEVIATION = 0.2860, 0.3530  # of the training set, as core/data/images.cpp has it


def unpacked(name):
    """The bytes of an IDX file, packed as the data folder has it."""
    folder = pathlib.Path(os.environ["STARLING_DATA"]) / "fashion-mnist"
    for ending, opened in ((".xz", lzma.open), (".gz", gzip.open)):
        if (folder / (name + ending)).exists():
            return opened(folder / (name + ending)).read()
    raise SystemExit(f"{folder / name}: neither .xz nor .gz is there")


def load(part="train"):
    x = np.frombuffer(unpacked(part + "-images-idx3-ubyte"), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    y = np.frombuffer(unpacked(part + "-labels-idx1-ubyte"), np.uint8, offset=8)
    return x, y.astype(np.int64)


def scaled(x):
    return (x.astype(np.float32) / 255 - MEAN) / DEVIATION


def make_model(name):
    import torch.nn as nn

    if name == "lenet5":
        return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                             nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10))


STATE = {}  # of an actor: data and model, kept from client to client (in the module, which pickling does not copy)


def accuracy(model, parameters):
    """Of 10,000 test images, in percent."""
    import torch

    x, y = load("t10k")
    with torch.no_grad():
        for p, value in zip(model.parameters(), parameters):
            p.copy_(torch.from_numpy(value))
        guesses = torch.cat([model(torch.from_numpy(scaled(part))).argmax(1) for part in np.array_split(x, 20)])
    return 100 * float((guesses.numpy() == y).mean())


def flower(name, rounds, seed, evaluate):
    import random

    import flwr
    import torch
    from flwr.client import ClientApp, NumPyClient
    from flwr.common import Context, ndarrays_to_parameters
    from flwr.server import ServerApp, ServerAppComponents, ServerConfig
    from flwr.server.strategy import FedAvg
    from flwr.simulation import run_simulation

    times = []
    scores = []
    random.seed(seed)  # Flower draws a round's clients from it
    torch.manual_seed(seed)

    class Client(NumPyClient):
        def __init__(self, part):
            self.part = part

        def fit(self, parameters, config):
            import peer_flower

            STATE = peer_flower.STATE
            if not STATE:
                torch.set_num_threads(1)
                torch.manual_seed(seed * 1000 + self.part)
                x, y = peer_flower.load()
                STATE["x"] = torch.from_numpy(peer_flower.scaled(x))
                STATE["y"] = torch.from_numpy(y)
                STATE["model"] = peer_flower.make_model(name)
            model = STATE["model"]
            with torch.no_grad():
                for p, value in zip(model.parameters(), parameters):
                    p.copy_(torch.from_numpy(value))
            optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
            members = torch.arange(self.part, CLIENTS * IMAGES, CLIENTS)[torch.randperm(IMAGES)]
            for at in range(0, IMAGES, BATCH):
                b = members[at : at + BATCH]
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(STATE["x"][b]), STATE["y"][b]).backward()
                optimizer.step()
            return [p.detach().numpy() for p in model.parameters()], IMAGES, {}

    class Timed(FedAvg):
        def aggregate_fit(self, *args, **kwargs):
            result = super().aggregate_fit(*args, **kwargs)
            times.append(time.perf_counter())
            return result

    def evaluate_fn(round, parameters, config):
        if round == rounds:
            scores.append(accuracy(make_model(name), parameters))

    def server(context: Context):
        initial = ndarrays_to_parameters([p.detach().numpy() for p in make_model(name).parameters()])
        strategy = Timed(fraction_fit=FRACTION, fraction_evaluate=0.0, min_available_clients=CLIENTS, initial_parameters=initial,
                         evaluate_fn=evaluate_fn if evaluate else None)
        return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds))

    def client(context: Context):
        return Client(int(context.node_config["partition-id"])).to_client()

    run_simulation(ServerApp(server_fn=server), ClientApp(client_fn=client), num_supernodes=CLIENTS,
                   backend_config={"init_args": {"num_cpus": 2, "include_dashboard": False}, "client_resources": {"num_cpus": 1, "num_gpus": 0.0}})
    print(json.dumps({"flwr": flwr.__version__, "accuracy": scores[-1] if scores else None, "updates_per_s": (len(times) - 1) * CLIENTS * FRACTION / (times[-1] - times[0])}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("starling", nargs="?")
    parser.add_argument("--model", default="lenet5", choices=["lenet5", "fedavg-cnn"])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--alternations", type=int, default=3)
    parser.add_argument("--accuracy", type=int, metavar="SEEDS", help="compare accuracies over this many seeds, not speeds")
    parser.add_argument("--flower", action="store_true", help="one run of Flower alone")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rounds = options.rounds or (20 if options.accuracy else 6)
    if options.flower:
        return flower(options.model, rounds, options.seed, bool(options.accuracy))
    settings = ["rounds=%d" % rounds, "data.clients=100", "data.partition=iid", "model.name=" + options.model, "client.epochs=1", "client.batch=32",
                "client.learning_rate=0.05", "strategy.fraction=0.1", "devices.profile=uniform"]
    ours = [options.starling, "bench", "federated", str(pathlib.Path(__file__).parent.parent / "examples/fashion-fedavg/experiment.toml"), "--json"]
    for setting in settings:
        ours += ["--set", setting]
    theirs = [sys.executable, __file__, "--flower", "--model", options.model, "--rounds", str(rounds)]
    if options.accuracy:
        theirs += ["--accuracy", "1"]
    environment = dict(os.environ, PYTHONPATH=str(pathlib.Path(__file__).parent))

    def run(command, seed):
        return json.loads(subprocess.run(command + seed, check=True, capture_output=True, text=True, env=environment).stdout.strip().splitlines()[-1])

    mine, peer = [], []
    for seed in range(1, 1 + (options.accuracy or options.alternations)):
        mine.append(run(ours, ["--set", "seed=%d" % seed]))
        peer.append(run(theirs, ["--seed", str(seed)]))
    version = peer[0]["flwr"]
    if options.accuracy:
        a = [100 * result["test_accuracy"] for result in mine]
        b = [result["accuracy"] for result in peer]
        apart = abs(statistics.mean(a) - statistics.mean(b))
        error = ((statistics.variance(a) + statistics.variance(b)) / len(a)) ** 0.5 if len(a) > 1 else float("nan")
        print(f"{options.model}, {rounds} rounds, {len(a)} seeds: Starling {statistics.mean(a):.2f} % ({min(a):.2f}-{max(a):.2f}), "
              f"Flower {version} {statistics.mean(b):.2f} % ({min(b):.2f}-{max(b):.2f}): {apart / error:.2f} standard errors apart")
        return
    a = [result["updates_per_s"] for result in mine]
    b = [result["updates_per_s"] for result in peer]
    print(f"{options.model}: Starling {statistics.median(a):.1f} ({min(a):.1f}-{max(a):.1f}) updates/s, Flower {version} "
          f"{statistics.median(b):.1f} ({min(b):.1f}-{max(b):.1f}): {statistics.median(a) / statistics.median(b):.2f} times as many")


if __name__ == "__main__":
    main()
