#!/usr/bin/env python3
"""Compares the cuts of Starling's pre-tokenizers with those of the `regex` module on random texts, a million of each.

    tools/peer_regex.py build/starling [--texts 1000000] [--names gpt-2,llama-bpe,qwen2,tekken] [--seed 1]

Status 1 when any text is cut otherwise.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden"))
import make_pre_tokenizer as golden  # noqa: E402

BATCH = 50_000


def ours(program, name, texts, file):
    file.write_text("".join(json.dumps(t) + "\n" for t in texts))
    done = subprocess.run([program, "bench", "cuts", name, str(file)], capture_output=True, check=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("starling")
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--names", default="gpt-2,llama-bpe,qwen2,tekken")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names.split(","):
            source, compiled, found, first = random.Random(options.seed), golden.compiled(name), 0, None
            for begin in range(0, options.texts, BATCH):
                texts = [golden.text(source) for _ in range(min(BATCH, options.texts - begin))]
                for text, cut in zip(texts, ours(options.starling, name, texts, pathlib.Path(folder) / "texts"), strict=True):
                    wanted = [len(m.group().encode()) for m in compiled.finditer(text) if m.group()]
                    if wanted != cut:
                        found, first = found + 1, first or text
            print(json.dumps({"name": name, "texts": options.texts, "different": found, "first": first}), flush=True)
            different += found
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
