#!/usr/bin/env python3
"""Client updates a second of Starling and of Flower's simulation engine (Ray), alternating: LeNet-5 on Fashion-MNIST, IID
clients, the same sizes and settings, data in memory, no evaluation in the timed part, counted from the end of round 1.
Run by tools/peers flower; needs flwr[simulation] and torch, and STARLING_DATA.

    tools/peer_flower.py build/starling [--model lenet5] [--rounds 6] [--alternations 3]
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


def load():
    folder = pathlib.Path(os.environ["STARLING_DATA"]) / "fashion-mnist"
    x = np.frombuffer(lzma.open(folder / "train-images-idx3-ubyte.xz").read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    y = np.frombuffer(gzip.open(folder / "train-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    return x[: CLIENTS * IMAGES], y[: CLIENTS * IMAGES].astype(np.int64)


def make_model(name):
    import torch.nn as nn

    if name == "lenet5":
        return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                             nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10))


STATE = {}  # of an actor: data and model, kept from client to client (in the module, which pickling does not copy)


def flower(name, rounds):
    import flwr
    import torch
    from flwr.client import ClientApp, NumPyClient
    from flwr.common import Context, ndarrays_to_parameters
    from flwr.server import ServerApp, ServerAppComponents, ServerConfig
    from flwr.server.strategy import FedAvg
    from flwr.simulation import run_simulation

    times = []

    class Client(NumPyClient):
        def __init__(self, part):
            self.part = part

        def fit(self, parameters, config):
            import peer_flower

            STATE = peer_flower.STATE
            if not STATE:
                torch.set_num_threads(1)
                x, y = peer_flower.load()
                STATE["x"] = torch.from_numpy(x.astype(np.float32) / 255)
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

    def server(context: Context):
        initial = ndarrays_to_parameters([p.detach().numpy() for p in make_model(name).parameters()])
        strategy = Timed(fraction_fit=FRACTION, fraction_evaluate=0.0, min_available_clients=CLIENTS, initial_parameters=initial)
        return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds))

    def client(context: Context):
        return Client(int(context.node_config["partition-id"])).to_client()

    run_simulation(ServerApp(server_fn=server), ClientApp(client_fn=client), num_supernodes=CLIENTS,
                   backend_config={"init_args": {"num_cpus": 2, "include_dashboard": False}, "client_resources": {"num_cpus": 1, "num_gpus": 0.0}})
    print(json.dumps({"flwr": flwr.__version__, "updates_per_s": (len(times) - 1) * CLIENTS * FRACTION / (times[-1] - times[0])}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("starling", nargs="?")
    parser.add_argument("--model", default="lenet5", choices=["lenet5", "fedavg-cnn"])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--alternations", type=int, default=3)
    parser.add_argument("--flower", action="store_true", help="one run of Flower alone")
    options = parser.parse_args()
    if options.flower:
        return flower(options.model, options.rounds)
    settings = ["rounds=%d" % options.rounds, "data.clients=100", "data.partition=iid", "model.name=" + options.model, "client.epochs=1", "client.batch=32",
                "client.learning_rate=0.05", "strategy.fraction=0.1", "devices.profile=uniform"]
    ours = [options.starling, "bench", "federated", str(pathlib.Path(__file__).parent.parent / "examples/fashion-fedavg/experiment.toml"), "--json"]
    for setting in settings:
        ours += ["--set", setting]
    theirs = [sys.executable, __file__, "--flower", "--model", options.model, "--rounds", str(options.rounds)]
    environment = dict(os.environ, PYTHONPATH=str(pathlib.Path(__file__).parent))
    mine, peer, version = [], [], ""
    for _ in range(options.alternations):
        mine.append(json.loads(subprocess.run(ours, check=True, capture_output=True, text=True).stdout)["updates_per_s"])
        lines = subprocess.run(theirs, check=True, capture_output=True, text=True, env=environment).stdout.strip().splitlines()
        result = json.loads(lines[-1])
        peer.append(result["updates_per_s"])
        version = result["flwr"]
    a, b = statistics.median(mine), statistics.median(peer)
    print(f"{options.model}: Starling {a:.1f} ({min(mine):.1f}-{max(mine):.1f}) updates/s, Flower {version} {b:.1f} ({min(peer):.1f}-{max(peer):.1f}): {a / b:.2f} times as many")


if __name__ == "__main__":
    main()
