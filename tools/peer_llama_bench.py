#!/usr/bin/env python3
"""Tokens a second of GGUF files beside llama.cpp's llama-bench, in alternating runs: pp512 and tg128 by its names.

    tools/peers llama-bench --llama-bench PROGRAM MODEL.gguf... [--threads 1,2] [--rounds 9]
    tools/peers llama-bench --llama-bench PROGRAM MODEL.gguf --processes 2,4
    tools/peers llama-bench --llama-bench PROGRAM ENCODER.gguf --encode 8,32,128,512

PROGRAM is built from llama.cpp's source for this machine. Every round runs both once for every thread count; medians,
least and greatest are shown, and the ratio of the medians. With --processes our model is cut over that many processes
of one thread each, over TCP loopback, and set beside both programs' single process with two threads. With --encode texts of
so many tokens go through an encoder, one after the other in both and also several together in ours.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys


def run(command, environment=None):
    ended = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {ended.returncode}\n{ended.stderr}")
    return ended.stdout


class Side:
    """The rates of one program in one configuration: {"pp": [...], "tg": [...]}, and what it said besides."""

    def __init__(self, name, once):
        self.name, self.once = name, once
        self.rates, self.notes = {}, {}

    def measure(self):
        rates, notes = self.once()
        for test, rate in rates.items():
            self.rates.setdefault(test, []).append(rate)
        for key, value in notes.items():
            self.notes.setdefault(key, []).append(value)

    def median(self, test):
        return statistics.median(self.rates[test])

    def show(self, test):
        values = self.rates[test]
        return f"{self.median(test):8.2f} ({min(values):.2f} to {max(values):.2f})"


def ours(options, model, nodes, threads, prompt):
    def once():
        out = json.loads(run([options.starling, "bench", "llm", model, "--nodes", nodes, "--threads", threads, "-p", prompt, "-n", options.tokens,
                              "--repeat", 1, "--json"]))
        rates, notes = {}, {"peak MiB": out["peak_rss_bytes"] / 2**20, "weights and cache MiB": (out["weight_bytes"] + out["kv_bytes"]) / 2**20,
                            "read GB/s": out["read_bytes_per_s"] / 1e9, "load s": out["load_ms"] / 1e3}
        if prompt:
            rates["pp"] = out[f"pp{prompt}"]["median"]
            notes["% of integer peak"] = 100 * out["fraction_of_multiply_adds"]
        if options.tokens:
            rates["tg"] = out[f"tg{options.tokens}"]["median"]
            notes["% of read bandwidth"] = 100 * out["fraction_of_read"]
        return rates, notes

    return Side("starling", once)


def theirs(options, model, threads, prompt):
    environment = dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(os.path.abspath(options.llama_bench)))

    def once():
        out = json.loads(run([options.llama_bench, "-m", model, "-t", threads, "-p", prompt, "-n", options.tokens, "-r", 1, "-o", "json", *options.extra.split()],
                             environment))
        return {"tg" if test["n_gen"] else "pp": test["avg_ts"] for test in out}, {}

    return Side("llama.cpp", once)


def beside(options, model, threads):
    sides = [ours(options, model, "local:1", threads, options.prompt), theirs(options, model, threads, options.prompt)]
    for _ in range(options.rounds):
        for side in sides:
            side.measure()
    for test, count in (("pp", options.prompt), ("tg", options.tokens)):
        if count:
            a, b = sides
            print(f"{os.path.basename(model)} {threads} thread(s) {test}{count}: {a.show(test)} against {b.show(test)}: {a.median(test) / b.median(test):.2f}")
    print("    " + ", ".join(f"{key} {statistics.median(values):.1f}" for key, values in sides[0].notes.items()), flush=True)


def encode(options, model, threads):
    lengths = options.encode.split(",")
    environment = dict(os.environ, LD_LIBRARY_PATH=os.path.dirname(os.path.abspath(options.llama_bench)))

    def our_rates():
        out = json.loads(run([options.starling, "bench", "encode", model, "--threads", threads, "--lengths", options.encode, "--repeat", 1, "--json"]))
        rows = {str(row["tokens"]): row for row in out["lengths"]}
        return {f"{kind} {n}": rows[n][f"texts_per_s_{kind}"] * int(n) for n in lengths for kind in ("alone", "together")}, {}

    def their_rates():
        out = json.loads(run([options.llama_bench, "-m", model, "-embd", 1, "-t", threads, "-p", options.encode, "-n", 0, "-r", 1, "-o", "json", *options.extra.split()], environment))
        return {str(test["n_prompt"]): test["avg_ts"] for test in out}, {}

    a, b = Side("starling", our_rates), Side("llama.cpp", their_rates)
    for _ in range(options.rounds):
        for side in (a, b):
            side.measure()
    for n in lengths:
        shown = ", ".join(f"{kind} {a.show(f'{kind} {n}')}: {a.median(f'{kind} {n}') / b.median(n):.2f}" for kind in ("alone", "together"))
        print(f"{os.path.basename(model)} {threads} thread(s) {n} tokens a text, tokens/s: against {b.show(n)}, {shown}", flush=True)


def cut(options, model):
    single, peer = ours(options, model, "local:1", 2, 0), theirs(options, model, 2, 0)
    cuts = {count: ours(options, model, f"local:{count}", 1, 0) for count in map(int, options.processes.split(","))}
    for _ in range(options.rounds):
        for side in (single, peer, *cuts.values()):
            side.measure()
    best = max(single.median("tg"), peer.median("tg"))
    print(f"{os.path.basename(model)} tg{options.tokens}: one process of two threads {single.show('tg')}, llama.cpp {peer.show('tg')}")
    before = best
    for count, side in cuts.items():
        print(f"    {count} processes of one thread {side.show('tg')}: {side.median('tg') / best:.2f} of the faster, {side.median('tg') / before:.2f} of the line above")
        before = side.median("tg")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starling")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--llama-bench", required=True)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--processes", default="")
    parser.add_argument("--encode", default="", help="tokens of texts for an encoder, as 8,32,128,512")
    parser.add_argument("--extra", default="", help="further options of llama-bench, as '-fa 1'")
    options = parser.parse_args()
    for model in options.models:
        if options.processes:
            cut(options, model)
            continue
        for threads in map(int, options.threads.split(",")):
            (encode if options.encode else beside)(options, model, threads)


main()
