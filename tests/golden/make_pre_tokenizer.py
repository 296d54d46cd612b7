"""Writes pre_tokenizer.json: how the expressions of the byte-level tokenizers cut texts, by the `regex` module, whose engine
and Unicode tables are not ours. Needs regex: `python3 make_pre_tokenizer.py > pre_tokenizer.json`."""
import json
import random
import sys
import unicodedata

import regex

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
CASED = [r"[^\r\n\p{L}\p{N}]?[" + UPPER + "]*[" + LOWER + "]+", r"[^\r\n\p{L}\p{N}]?[" + UPPER + "]+[" + LOWER + "]*"]
EXPRESSIONS = {
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama-bpe": CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL,
    "qwen2": CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL,
    "tekken": CASED[0] + "|" + CASED[1] + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt-4o": CASED[0] + CONTRACTION + "?|" + CASED[1] + CONTRACTION + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
BITS = [" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "'ve", "'\u017f", "'", ".", "...", "!?", "/", "12", "3456", "7", "the", " the", "Hello", " World", "HTTPServer",
        "iPhone", "\u00e9", "e\u0301", "\u4f60\u597d", "\u0434\u0430", "\u0414\u0410", "\u0939\u093f", "\U0001f600", "\u200d", "\u3000", "\u00a0", "\u0661",
        "\u00bd", "\u01c5", "\u02b0", "\u216b", "_", "\u00df", "\u212a"]


def text(source):
    parts = []
    for _ in range(source.randrange(1, 16)):
        if source.random() < 0.8:
            parts.append(source.choice(BITS))
            continue
        while True:
            # Assigned since Unicode 14 at the latest, which every engine of today knows, and in the same category since.
            c = chr(source.randrange(0x20, 0x11000))
            if unicodedata.category(c) not in ("Cs", "Cn", "Co") and c not in "\u180e\u0295":
                parts.append(c)
                break
    return "".join(parts)


def compiled(name):
    # \s is written out: engines differ in U+001C to U+001F.
    space = "\\t-\\r\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
    spelled = EXPRESSIONS[name].replace(r"[^\s", "[^" + space).replace(r"\s", "[" + space + "]").replace(r"\S", "[^" + space + "]")
    return regex.compile(spelled, regex.V0)


def main():
    source = random.Random(1)
    texts = sorted({text(source) for _ in range(400)})
    cuts = {}
    for name in EXPRESSIONS:
        expression = compiled(name)
        cuts[name] = []
        for t in texts:
            pieces = [m.group() for m in expression.finditer(t) if m.group()]
            assert "".join(pieces) == t, (name, t)
            cuts[name].append([len(p) for p in pieces])
    json.dump({"texts": texts, "code_points": cuts}, sys.stdout, ensure_ascii=True, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
