#!/usr/bin/env python3
"""Writes tests/golden/encoder_texts.json: vectors of texts as sentence-transformers computes them from a small BERT encoder.

The weights are planted as in make_architectures.py. The file holds the folder's configuration, its tokenizer.json, the
checkpoint's tensors and, for each text, its tokens and its vector by the mean and by the first token.

    python3 -m venv v && v/bin/pip install torch==2.13.0 transformers==5.24.0 sentence-transformers==6.2.0
    v/bin/python tests/golden/make_encoder_texts.py
"""
import json
import pathlib
import tempfile

import sentence_transformers
import transformers
from sentence_transformers import models

from make_architectures import numbers, planted_model

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sat", "on", "a", "mat", "bird", "flew", "##s", "##ing", "##ed",
          "##w", "play", "un", "##happy", "happy", ".", ",", "!", "?", "'", "-", "cafe", "1", "2", "##1", "##2", "\u6771", "\u4eac", "t", "##h",
          "##e", "##a", "##t"]
TEXTS = ["The cat sat on the mat.", "Playing dogs, unhappy birds!", "CAF\u00c9 \u6771\u4eac 121?", "zebra", "a" * 101, "",
         "the dog's un-happy cat [SEP] sat"]


def main():
    config = transformers.BertConfig(vocab_size=len(PIECES), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=80,
                                     max_position_embeddings=24)
    with tempfile.TemporaryDirectory() as folder:
        model, case = planted_model(config, transformers.BertModel)
        model.save_pretrained(folder)
        transformers.BertTokenizerFast(vocab={piece: i for i, piece in enumerate(PIECES)}).save_pretrained(folder)
        encoder = models.Transformer(folder, max_seq_length=24)
        # Words of special tokens in a text are text.
        encoder.tokenizer.split_special_tokens = True
        cases = [{"text": text, "tokens": encoder.tokenizer(text)["input_ids"]} for text in TEXTS]
        for mode, name in (("mean", "mean"), ("cls", "first")):
            whole = sentence_transformers.SentenceTransformer(modules=[encoder, models.Pooling(48, mode), models.Normalize()], device="cpu")
            for text in cases:
                text[name] = numbers(whole.encode(text["text"], convert_to_tensor=True))
            whole.save(folder + "/" + name)
        saved = pathlib.Path(folder, "first")
        result = {"sentence-transformers": sentence_transformers.__version__, "config": case["config"], "tensors": case["tensors"],
                  "tokenizer": json.loads(pathlib.Path(folder, "tokenizer.json").read_text()), "modules": json.loads((saved / "modules.json").read_text()),
                  "pooling": {name: json.loads(pathlib.Path(folder, name, "1_Pooling/config.json").read_text()) for name in ("mean", "first")},
                  "texts": cases}
    pathlib.Path(__file__).with_name("encoder_texts.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
