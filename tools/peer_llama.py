#!/usr/bin/env python3
"""What Starling and llama.cpp make of the same GGUF files, teacher-forced over a text and greedily: how often the likeliest
token is the same, and whether it always is where llama.cpp's two largest logits are more than 1e-3 apart. Run by tools/peers
llama; needs llama-cpp-python. Its library is the one that it was built with, or that of LLAMA_CPP_LIB_PATH.

    tools/peer_llama.py build/starling --text FILE MODEL.gguf...  [--windows 8] [--greedy 200] [--ctx 256] [--kv-type f32]
    tools/peer_llama.py build/starling --text FILE --exact MODEL.gguf...     also which of both is nearer to unrounded activations
    tools/peer_llama.py build/starling --text FILE --from MODEL --types f32,q8_0,q4_0     converts first

Status 1 when a file misses the bounds: for F32 weights every token equal, for others 99.5 % of the steps.
"""
import argparse
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

CACHES = {"f32": 0, "f16": 1, "q8_0": 8}  # ggml's numbers
GAP = 1e-3
SHARE = 0.995


class Peer:
    """llama.cpp with one model and a cache of one sequence."""

    def __init__(self, path, cache, positions, repack=True):
        import llama_cpp.llama_cpp as api

        self.api = api
        self.quiet = api.llama_log_callback(lambda level, text, data: None)  # kept: the library holds a pointer to it
        api.llama_log_set(self.quiet, ctypes.c_void_p(0))
        api.llama_backend_init()
        settings = api.llama_model_default_params()
        settings.use_extra_bufts = repack
        self.model = api.llama_load_model_from_file(str(path).encode(), settings)
        if not self.model:
            raise SystemExit(f"llama.cpp does not load {path}")
        settings = api.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = positions
        settings.n_threads = settings.n_threads_batch = 1
        settings.type_k = settings.type_v = CACHES[cache]
        settings.flash_attn_type = 1 if cache == "q8_0" else 0  # a quantised cache needs the fused form
        self.context = api.llama_new_context_with_model(self.model, settings)
        self.vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))

    def clear(self):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def logits(self, tokens, position):
        """What follows each of `tokens`, the first of which is at `position`."""
        batch = self.api.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, position + i, 1, 0, True
        if self.api.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama.cpp: decode failed")
        rows = self.api.llama_get_logits(self.context)
        result = np.ctypeslib.as_array(rows, shape=(len(tokens), self.vocabulary)).copy()
        self.api.llama_batch_free(batch)
        return result

    def forced(self, tokens, batch=None):
        """Likeliest token and lead of its logit at every step of a window, which is computed in batches of that size."""
        self.clear()
        batch = batch or len(tokens)
        rows = np.concatenate([self.logits(tokens[at : min(at + batch, len(tokens) - 1)], at) for at in range(0, len(tokens) - 1, batch)])
        second, first = np.partition(rows, -2, axis=1)[:, -2:].T
        return rows.argmax(axis=1), first - second

    def greedy(self, prompt, count):
        self.clear()
        ids, at, given = [], 0, list(prompt)
        while len(ids) < count:
            row = self.logits(given, at)[-1]
            at += len(given)
            given = [int(row.argmax())]
            ids += given
        return ids

    def close(self):
        self.api.llama_free(self.context)
        self.api.llama_free_model(self.model)


def starling(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"starling {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return json.loads(done.stdout) if done.stdout.startswith("{") else {}


def compare(options, path, folder):
    steps = folder / "steps.jsonl"
    given = ["--ids"] if options.ids else []
    starling(options.starling, "perplexity", path, options.text, "--ctx", options.ctx, "--windows", options.windows, "--kv-type", options.kv_type, "--steps", steps, *given, "--json")
    peer = Peer(path, options.kv_type, max(options.ctx, options.greedy + 8), not options.no_repack)
    count = same = decided = wrong = 0
    itself = exact_ours = exact_peers = 0
    exact = None
    if options.exact:
        starling(options.starling, "convert", path, folder / "exact.gguf", "--type", "f32")
        exact = Peer(folder / "exact.gguf", options.kv_type, options.ctx)
    widest = 0.0  # lead of a token that the other side did not find likeliest
    prompt = None
    for line in open(steps):
        window = json.loads(line)
        prompt = prompt or window["tokens"][:1]
        ids, gaps = peer.forced(window["tokens"])
        equal = ids == np.array(window["likeliest"])
        if options.itself:
            itself += int((ids == peer.forced(window["tokens"], 1)[0]).sum())
        if exact:
            wanted = exact.forced(window["tokens"])[0]
            exact_ours += int((wanted == np.array(window["likeliest"])).sum())
            exact_peers += int((wanted == ids).sum())
        count, same = count + len(ids), same + int(equal.sum())
        decided += int((gaps > GAP).sum())
        wrong += int(((gaps > GAP) & ~equal).sum())
        if not equal.all():
            widest = max(widest, float(gaps[~equal].max()))
    ours = starling(options.starling, "generate", path, "--prompt-ids", ",".join(map(str, prompt)), "--tokens", options.greedy, "--kv-type", options.kv_type, "--json")["token_ids"]
    theirs = peer.greedy(prompt, len(ours))
    peer.close()
    equal = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), len(ours))
    found = {"peer_with_itself": itself / count} if options.itself else {}
    if exact:
        exact.close()
        found |= {"exact_with_starling": exact_ours / count, "exact_with_peer": exact_peers / count}
    return found | {"model": pathlib.Path(path).name, "cache": options.kv_type, "steps": count, "same": same, "share": same / count, "lead_over_1e-3": decided, "of_them_different": wrong,
            "widest_lead_of_a_difference": widest, "greedy_tokens": len(ours), "greedy_equal": equal}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starling")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--text", required=True)
    parser.add_argument("--ids", action="store_true", help="the text is token ids, as 1,2,3")
    parser.add_argument("--from", dest="source", help="a model to convert to --types")
    parser.add_argument("--types", default="f32,q8_0,q4_0,q4_k_m,q6_k")
    parser.add_argument("--ctx", type=int, default=256)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--greedy", type=int, default=200)
    parser.add_argument("--kv-type", default="f32", choices=CACHES)
    parser.add_argument("--no-repack", action="store_true", help="llama.cpp without its repacked weights")
    parser.add_argument("--itself", action="store_true", help="also compare llama.cpp with itself, token by token and in batches")
    parser.add_argument("--exact", action="store_true", help="also compare both with llama.cpp over the same weights as F32, whose activations nothing rounds")
    options = parser.parse_intermixed_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        models = [(path, None) for path in options.models]
        for kind in options.types.split(",") if options.source else []:
            path = folder / f"{pathlib.Path(options.source).stem}-{kind}.gguf"
            starling(options.starling, "convert", options.source, path, "--type", kind)
            models.append((path, kind))
        for path, kind in models:
            found = compare(options, path, folder)
            exact = kind == "f32" or "f32" in found["model"].lower()
            passed = found["greedy_equal"] == found["greedy_tokens"] and found["same"] == found["steps"] if exact else found["share"] >= SHARE and found["of_them_different"] == 0
            failed |= not passed
            print(json.dumps(found | {"passed": passed}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
