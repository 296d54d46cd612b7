#!/usr/bin/env python3
"""Writes llama_cpp.json: what llama.cpp finds likeliest at every step of a text that the quickstart model wrote, and how far
that logit is ahead (in thousandths), for the model in several number types, with a cache of F32; and its greedy tokens.
Needs llama-cpp-python (made with llama.cpp 0c1e570 of llama-cpp-python 0.3.36).

    python3 tests/golden/make_llama_cpp.py build/starling        # from the repository's root
"""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import peer_llama  # noqa: E402

MODEL = ROOT / "examples" / "quickstart" / "model.gguf"
TYPES = ["f32", "f16", "q8_0", "q4_0", "q4_k_m", "q6_k"]
WINDOWS, LENGTH, GREEDY = 8, 256, 200


def written(program, seed):
    """A window: the begin token and what the model writes, drawn from its own distribution."""
    result = peer_llama.starling(program, "generate", MODEL, "--prompt", "", "--tokens", LENGTH - 1, "--temperature", 1, "--seed", seed, "--json")
    return [1] + result["token_ids"]


def main():
    program = sys.argv[1]
    windows = [written(program, seed) for seed in range(1, WINDOWS + 1)]
    golden = {"windows": windows, "types": {}}
    with tempfile.TemporaryDirectory() as folder:
        for kind in TYPES:
            path = pathlib.Path(folder) / (kind + ".gguf")
            subprocess.run([program, "convert", MODEL, path, "--type", kind], check=True, stdout=subprocess.DEVNULL)
            peer = peer_llama.Peer(path, "f32", LENGTH)
            steps = [peer.forced(window) for window in windows]
            golden["types"][kind] = {"likeliest": [ids.tolist() for ids, _ in steps], "lead": [[int(1000 * g) for g in lead] for _, lead in steps]}
            if kind == "f32":
                golden["greedy"] = peer.greedy([1], GREEDY)
            peer.close()
    text = json.dumps(golden, separators=(",", ":")).replace(']],"', ']],\n"').replace('],[', '],\n[')
    (ROOT / "tests" / "golden" / "llama_cpp.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
