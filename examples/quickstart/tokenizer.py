"""A SentencePiece-type BPE vocabulary: trained by merging the most frequent pair, used by merging the pair of
the highest score (= -rank). Spaces are written as U+2581; characters outside the vocabulary are bytes.
"""
import collections
import re

SPACE = "\u2581"
UNKNOWN, BOS, EOS, FIRST_BYTE, FIRST_PIECE = 0, 1, 2, 3, 259
# A piece holds a space only in front, so that merges never cross a word and words can be cut first.
WORD = re.compile(f"\n|{SPACE}?[^{SPACE}\n]+|{SPACE}")


class Tokenizer:
    def __init__(self, pieces):
        self.pieces = pieces  # without the 259 fixed ones; by rank
        self.ids = {piece: FIRST_PIECE + rank for rank, piece in enumerate(pieces)}
        self.cache = {}

    @staticmethod
    def train(texts, vocabulary):
        words = collections.Counter()
        for text in texts:
            words.update(WORD.findall(SPACE + text.replace(" ", SPACE)))
        alphabet = sorted({letter for word in words for letter in word if letter == SPACE or " " < letter < "\x7f"})
        merged, split = [], {word: list(word) for word in words}
        while len(merged) < vocabulary - FIRST_PIECE - len(alphabet):
            pairs = collections.Counter()
            for word, parts in split.items():
                for pair in zip(parts, parts[1:]):
                    if all(l in alphabet for part in pair for l in part):
                        pairs[pair] += words[word]
            best = max(pairs, key=lambda pair: (pairs[pair], pair))
            merged.append("".join(best))
            for word, parts in split.items():
                split[word] = Tokenizer.merge(parts, *best)
        return Tokenizer(merged + alphabet)

    @staticmethod
    def merge(parts, left, right):
        result, i = [], 0
        while i < len(parts):
            if i + 1 < len(parts) and parts[i] == left and parts[i + 1] == right:
                result.append(left + right)
                i += 2
            else:
                result.append(parts[i])
                i += 1
        return result

    def encode_word(self, word):
        if word not in self.cache:
            parts = list(word)
            while True:
                candidates = [(self.ids[a + b], i) for i, (a, b) in enumerate(zip(parts, parts[1:])) if a + b in self.ids]
                if not candidates:
                    break
                _, i = min(candidates)
                parts[i:i + 2] = [parts[i] + parts[i + 1]]
            ids = []
            for part in parts:
                ids += [self.ids[part]] if part in self.ids else [FIRST_BYTE + b for b in part.encode()]
            self.cache[word] = ids
        return self.cache[word]

    def encode(self, text):
        ids = [BOS]
        for word in WORD.findall(SPACE + text.replace(" ", SPACE)):
            ids += self.encode_word(word)
        return ids

    def decode(self, ids):
        data = b""
        for i in ids:
            if FIRST_BYTE <= i < FIRST_PIECE:
                data += bytes([i - FIRST_BYTE])
            elif i >= FIRST_PIECE:
                data += self.pieces[i - FIRST_PIECE].replace(SPACE, " ").encode()
        return data.decode(errors="replace")
