#!/usr/bin/env python3
"""Writes the kept seeds of tests/fuzz/vocabulary_text.cpp (its head says the layout) to tests/fuzz/corpus/vocabulary_text."""
import pathlib

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTES = 1, 2, 3, 4, 5, None
SPACE = "\u2581"


def piece(kind, text, score=0):
    data = text if isinstance(text, bytes) else text.encode()
    return bytes([0xFF]) if kind is BYTES else bytes([kind, score & 0xFF, len(data)]) + data


def seed(model, flags, pre, pieces, merges, text):
    body = bytes([model, flags, pre, len(pieces)]) + b"".join(piece(*p) for p in pieces)
    return body + bytes([len(merges)]) + b"".join(bytes(m) for m in merges) + (text if isinstance(text, bytes) else text.encode())


CHARACTERS = [chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174 else None for b in range(256)]
NEXT = iter(range(0x100, 0x200))
CHARACTERS = [c or chr(next(NEXT)) for c in CHARACTERS]

SENTENCEPIECE = [(UNKNOWN, "<unk>"), (CONTROL, "<s>"), (CONTROL, "</s>"), (BYTES, ""), (NORMAL, SPACE, -9), (NORMAL, "a", -5),
                 (NORMAL, "b", -5), (NORMAL, "ab", -1), (NORMAL, SPACE + "a", -2), (UNUSED, "abb", -3), (NORMAL, "a" + SPACE + "b", -4),
                 (NORMAL, "\u00e9", -4), (NORMAL, SPACE + SPACE, -6), (UNUSED, "cd", -6), (NORMAL, b"\xff", -1)]
LETTERS = [(NORMAL, CHARACTERS[b]) for b in range(32, 128)] + [(NORMAL, CHARACTERS[b]) for b in range(160, 256, 4)] + \
          [(NORMAL, "th"), (NORMAL, "the"), (NORMAL, "\u0120the"), (CONTROL, "<|im_end|>"), (USER, "[TOOL] x"), (NORMAL, "aa"), (NORMAL, "ab\xff\u3000\u4e2d"), (NORMAL, "plain text\u3000")]
T, H, E, S = ord("t") - 32, ord("h") - 32, ord("e") - 32, 0
TH, THE = 96 + 24, 96 + 25
MERGES = [(T, H), (TH, E), (S, THE), (1 + 32, 1 + 32), (E, E)]
WORDPIECE = [(CONTROL, "[UNK]"), (CONTROL, "[CLS]"), (CONTROL, "[SEP]"), (NORMAL, SPACE + "play"), (NORMAL, "ing"), (NORMAL, SPACE + ","),
             (NORMAL, SPACE + "\u4e2d"), (NORMAL, SPACE + "e"), (NORMAL, "t"), (USER, "<tag>")]
ENGLISH = "I'LL play, we've the 3.14159 1234567\n\n  y  \r\n z \u00e9t\u00e9 e\u0301 \U0001F999!"

SEEDS = {
    "sentencepiece": seed(1, 0, 0, SENTENCEPIECE, [], "ab abb a b  \u00e9x\u4e2d cd <s> " + ENGLISH),
    "sentencepiece_invalid": seed(1, 0, 0, SENTENCEPIECE, [], b"a\xff\xe2\x82 ab\xf0\x9f"),
    "sentencepiece_no_prefix": seed(1, 1, 0, SENTENCEPIECE + [(USER, "<tool>"), (USER, "<tool>x")], [], " ab<tool>x<tool> b</s>"),
    "sentencepiece_tight": seed(1, 4, 0, SENTENCEPIECE, [], "  ab   b "),
    "sentencepiece_blank": seed(1, 4, 0, SENTENCEPIECE, [], "   "),
    "sentencepiece_no_bytes": seed(1, 0, 0, SENTENCEPIECE[:3] + SENTENCEPIECE[4:], [], "abxyzabb" + ENGLISH),
    "sentencepiece_no_unknown": seed(1, 0, 0, SENTENCEPIECE[4:], [], "ab"),
    "sentencepiece_many_pairs": seed(1, 1, 0, [(UNKNOWN, "<unk>")] + [(NORMAL, "a" * n, -n) for n in range(1, 25)], [], "a" * 100),
    "wordpiece": seed(3, 32, 0, WORDPIECE, [], "Playing,\u4e2d PL\u00c1Y \u0903\u0301\u302e\U0001D165 <tag> [CLS] \ufffd" + "e" * 120),
    "wordpiece_cased": seed(3, 40, 0, WORDPIECE, [], "Playing, play \u00e9t"),
    "wordpiece_no_unknown": seed(3, 0, 0, WORDPIECE, [], "play"),
    "none": seed(0, 0, 0, WORDPIECE, [], "play"),
    "unknown_pre": seed(2, 0, 9, LETTERS, MERGES, "the"),
    "bad_kind": seed(1, 0, 0, [(7, "a")], [], "a"),
    "bad_merge": seed(2, 0, 1, [(NORMAL, "a"), (NORMAL, "")], [(0, 1)], "a"),
    "empty": b"",
}
for index in range(9):
    SEEDS[f"byte_level_{index}"] = seed(2, 0, index, LETTERS, MERGES, ENGLISH + " the thethe <|im_end|>[TOOL] x")
SEEDS["byte_level_whole"] = seed(2, 16, 1, LETTERS, MERGES, b"the the \xff aa" + ENGLISH.encode())

folder = pathlib.Path(__file__).parent.parent / "fuzz/corpus/vocabulary_text"
folder.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (folder / name).write_bytes(data)
