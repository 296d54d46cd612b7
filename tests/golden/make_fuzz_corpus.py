#!/usr/bin/env python3
"""Writes the seed corpus of the model file decoders: small valid files, made from the format descriptions alone.

    python3 tests/golden/make_fuzz_corpus.py        # from the repository's root
"""
import json
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def put(target, name, data):
    path = ROOT / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# --- GGUF ---------------------------------------------------------------------------------------------------------
SCALARS = {"u8": (0, "<B"), "i8": (1, "<b"), "u16": (2, "<H"), "i16": (3, "<h"), "u32": (4, "<I"), "i32": (5, "<i"),
           "f32": (6, "<f"), "bool": (7, "<?"), "u64": (10, "<Q"), "i64": (11, "<q"), "f64": (12, "<d")}
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 12: (256, 144), 30: (1, 2)}


def string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def element(kind, value):
    return string(value) if kind == "string" else struct.pack(SCALARS[kind][1], value)


def type_id(kind):
    return 8 if kind == "string" else SCALARS[kind][0]


def value(kind, data):
    if isinstance(data, list):
        return (struct.pack("<IIQ", 9, type_id(kind), len(data)) + b"".join(element(kind, x) for x in data))
    return struct.pack("<I", type_id(kind)) + element(kind, data)


def gguf(metadata, tensors, alignment=32, version=3, seed=1):
    """tensors: (name, shape outermost first, ggml type)"""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, (kind, data) in metadata.items():
        out += string(key) + value(kind, data)
    body = b""
    for name, shape, kind in tensors:
        out += string(name) + struct.pack("<I", len(shape))
        for size in reversed(shape):
            out += struct.pack("<Q", size)
        out += struct.pack("<IQ", kind, len(body))
        count = 1
        for size in shape:
            count *= size
        length, size = BLOCKS.get(kind, (1, 7))
        data = bytes((seed + 7 * i) % 61 for i in range(count // length * size))
        if kind == 0:
            data = struct.pack(f"<{count}f", *(1 + (i % 5) / 8 for i in range(count)))
        body += data + bytes(-len(data) % alignment)
    return out + bytes(-len(out) % alignment) + body


def spm_vocabulary(size):
    return (["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(size - 3)])[:size]


def llama_metadata(vocabulary, **changes):
    keys = {
        "general.architecture": ("string", "llama"), "general.name": ("string", "seed"),
        "general.file_type": ("u32", 0), "llama.vocab_size": ("u32", vocabulary),
        "llama.context_length": ("u32", 16), "llama.embedding_length": ("u32", 32), "llama.block_count": ("u32", 1),
        "llama.feed_forward_length": ("u32", 32), "llama.attention.head_count": ("u32", 4),
        "llama.attention.head_count_kv": ("u32", 2), "llama.attention.layer_norm_rms_epsilon": ("f32", 1e-5),
        "llama.rope.freq_base": ("f32", 1e4), "llama.rope.dimension_count": ("u32", 8),
        "tokenizer.ggml.model": ("string", "llama"), "tokenizer.ggml.pre": ("string", "default"),
        "tokenizer.ggml.tokens": ("string", spm_vocabulary(vocabulary)),
        "tokenizer.ggml.scores": ("f32", [0.0] * vocabulary),
        "tokenizer.ggml.token_type": ("i32", ([2, 3, 3] + [6] * vocabulary)[:vocabulary]),
        "tokenizer.ggml.bos_token_id": ("u32", 1), "tokenizer.ggml.eos_token_id": ("u32", 2),
        "tokenizer.ggml.add_bos_token": ("bool", True), "tokenizer.ggml.add_space_prefix": ("bool", True),
    }
    keys.update({key.replace("__", "."): data for key, data in changes.items()})
    return {key: data for key, data in keys.items() if data is not None}


def llama_tensors(vocabulary, kind, tied=False):
    names = [("token_embd.weight", [vocabulary, 32], kind), ("blk.0.attn_norm.weight", [32], 0),
             ("blk.0.attn_q.weight", [32, 32], kind), ("blk.0.attn_k.weight", [16, 32], kind),
             ("blk.0.attn_v.weight", [16, 32], kind), ("blk.0.attn_output.weight", [32, 32], kind),
             ("blk.0.ffn_norm.weight", [32], 0), ("blk.0.ffn_gate.weight", [32, 32], kind),
             ("blk.0.ffn_up.weight", [32, 32], kind), ("blk.0.ffn_down.weight", [32, 32], kind),
             ("output_norm.weight", [32], 0)]
    return names if tied else names + [("output.weight", [vocabulary, 32], kind)]


def make_gguf():
    put("gguf", "llama_q4_0.gguf", gguf(llama_metadata(8), llama_tensors(8, 2)))
    scaled = llama_metadata(8, **{"llama.rope.scaling.type": ("string", "linear"),
                                  "llama.rope.scaling.factor": ("f32", 2.0),
                                  "llama.attention.head_count_kv": ("u32", [2]),
                                  "llama.attention.key_length": ("u16", 8), "llama.attention.value_length": ("u8", 8),
                                  "llama.vocab_size": None})
    put("gguf", "llama_tied_q8_0_scaled.gguf",
        gguf(scaled, llama_tensors(8, 8, tied=True) + [("rope_freqs.weight", [4], 0)]))
    bare = {key: data for key, data in llama_metadata(4).items() if not key.startswith("tokenizer")}
    put("gguf", "llama_bf16_no_vocabulary_v2.gguf",
        gguf({**bare, "general.alignment": ("u32", 64)}, llama_tensors(4, 2), alignment=64, version=2))
    put("gguf", "llama_divisors.gguf", gguf(llama_metadata(4), llama_tensors(4, 2) + [("rope_freqs.weight", [4], 1)]))
    every = {f"test.{kind}": (kind, "text" if kind == "string" else True if kind == "bool" else 1)
             for kind in ["string", *SCALARS]}
    every.update({f"test.array.{kind}": (kind, ["a", ""] if kind == "string" else [True, False] if kind == "bool"
                                         else [1, 2, 3]) for kind in ["string", *SCALARS]})
    put("gguf", "every_value_type.gguf", gguf(every, [("scalar", [], 0), ("empty", [2, 0], 1), ("k", [2, 256], 12),
                                                      ("unknown", [5], 200), ("again", [3], 199), ("last", [4], 30)]))
    put("gguf", "unknown_last.gguf", gguf({"general.architecture": ("string", "other")}, [("x", [5], 200)]))
    bpe = {"general.architecture": ("string", "gpt2"), "tokenizer.ggml.model": ("string", "gpt2"),
           "tokenizer.ggml.pre": ("string", "llama-bpe"), "tokenizer.ggml.tokens": ("string", ["a", "b", "ab", "<e>"]),
           "tokenizer.ggml.token_type": ("i32", [1, 1, 1, 3]), "tokenizer.ggml.merges": ("string", ["a b"]),
           "tokenizer.ggml.eos_token_id": ("u64", 3), "tokenizer.ggml.add_eos_token": ("bool", False),
           "tokenizer.chat_template": ("string", "{{ messages }}")}
    put("gguf", "byte_level_vocabulary.gguf", gguf(bpe, []))
    bert = {"general.architecture": ("string", "bert"), "tokenizer.ggml.model": ("string", "bert"),
            "tokenizer.ggml.tokens": ("string", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581a", "b"]),
            "tokenizer.ggml.unknown_token_id": ("u32", 1), "tokenizer.ggml.cls_token_id": ("u32", 2),
            "tokenizer.ggml.seperator_token_id": ("u32", 3), "tokenizer.ggml.normalizer.lowercase": ("bool", True)}
    put("gguf", "wordpiece_vocabulary.gguf", gguf(bert, []))


# --- llama2.c -----------------------------------------------------------------------------------------------------
def make_llama2c():
    for name, vocabulary in (("tied.bin", 5), ("separate_classifier.bin", -5)):
        dim, hidden, layers, heads, kv_heads, context = 8, 6, 2, 2, 1, 3
        head = dim // heads
        floats = (abs(vocabulary) * dim * (1 if vocabulary > 0 else 2) + dim + context * head
                  + layers * (2 * dim + 2 * dim * dim + 2 * kv_heads * head * dim + 3 * dim * hidden))
        header = struct.pack("<7i", dim, hidden, layers, heads, kv_heads, vocabulary, context)
        put("llama2c", name, header + struct.pack(f"<{floats}f", *((i % 13) / 16 - 0.4 for i in range(floats))))
    tokens = ([(0, "<unk>"), (0, "\n<s>\n"), (0, "\n</s>\n")] + [(0, f"<0x{i:02X}>") for i in range(256)]
              + [(-1, " t"), (-2, "he"), (-3, "  ")])
    whole = struct.pack("<I", 7)
    for score, text in tokens:
        whole += struct.pack("<fi", score, len(text)) + text.encode()
    put("llama2c_tokenizer", "bytes_and_words.bin", whole)
    put("llama2c_tokenizer", "words.bin", struct.pack("<Ifi", 3, -1.0, 3) + b"cat" + struct.pack("<fi", -2.0, 2) + b" a")


# --- safetensors and config.json ----------------------------------------------------------------------------------
def safetensors(entries, metadata=None, pad=0):
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, size in entries:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + bytes(i % 251 for i in range(offset))


def make_hugging_face():
    put("safetensors", "plain.safetensors",
        safetensors([("a", "F32", [2, 3], 24), ("b", "F16", [3], 6), ("c", "BF16", [2, 1], 4)], {"format": "pt"}))
    put("safetensors", "unaligned.safetensors", safetensors([("byte", "U8", [1], 1), ("f", "F32", [2], 8)], pad=3))
    put("safetensors", "odd.safetensors",
        safetensors([("scalar", "I64", [], 8), ("none", "F32", [0, 4], 0), ("nibbles", "F4", [4], 2),
                     ("flag", "BOOL", [1], 1)]))
    put("safetensors", "empty.safetensors", struct.pack("<Q", 2) + b"{}")
    put("safetensors_index", "two.json", json.dumps(
        {"metadata": {"total_size": 12}, "weight_map": {"a": "model-00001-of-00002.safetensors",
                                                        "b": "model-00002-of-00002.safetensors"}}).encode())
    base = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "vocab_size": 48, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
            "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2}
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    for name, change in {
        "llama2.json": {"num_key_value_heads": 4, "rope_scaling": None},
        "llama3.json": {"num_key_value_heads": 2, "head_dim": 128, "rope_theta": 500000.0, "rope_scaling": llama3,
                        "eos_token_id": [2, 3]},
        "linear.json": {"rope_scaling": {"type": "linear", "factor": 2.0}, "tie_word_embeddings": True},
        "mistral.json": {"architectures": ["MistralForCausalLM"], "sliding_window": 32, "attention_bias": False,
                         "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "rope_theta": None},
        "gemma3.json": {"architectures": ["Gemma3ForCausalLM"], "head_dim": 32, "sliding_window": 16, "sliding_window_pattern": 2,
                        "hidden_act": None, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 32,
                        "rope_local_base_freq": 10000.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
        "gemma2_layers.json": {"architectures": ["Gemma2ForCausalLM"], "sliding_window": 16, "hidden_act": "gelu_pytorch_tanh",
                               "layer_types": ["full_attention", "sliding_attention"], "attn_logit_softcapping": 50.0},
        "qwen2moe.json": {"architectures": ["Qwen2MoeForCausalLM"], "num_experts": 4, "num_experts_per_tok": 2,
                          "moe_intermediate_size": 48, "shared_expert_intermediate_size": 80, "norm_topk_prob": False},
        "qwen2_window.json": {"architectures": ["Qwen2ForCausalLM"], "sliding_window": 16, "use_sliding_window": True,
                              "max_window_layers": 1, "rope_scaling": {"type": "yarn", "factor": 4.0,
                                                                       "original_max_position_embeddings": 64}},
        "phi3.json": {"architectures": ["Phi3ForCausalLM"], "partial_rotary_factor": 0.75, "original_max_position_embeddings": 64,
                      "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 6, "long_factor": [2.0] * 6}},
        "gemma3_nested.json": {"architectures": ["Gemma3ForConditionalGeneration"],
                                "text_config": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
                                                "num_attention_heads": 4, "vocab_size": 48, "max_position_embeddings": 128,
                                                "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                                                                    "sliding_attention": {"rope_theta": 1e4}}}},
    }.items():
        put("config_json", name, json.dumps({**base, **change}).encode())


# --- tokenizers ---------------------------------------------------------------------------------------------------
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")


def template(bos):
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": bos, "type_id": 0}},
                                                     {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
            "special_tokens": {}}


def make_tokenizer_json():
    added = [{"id": 4, "content": "<s>", "special": True}, {"id": 5, "content": "\n\n", "special": False}]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False}
    model = {"type": "BPE", "ignore_merges": True, "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3}, "merges": [["a", "b"]]}
    put("tokenizer_json", "llama3.json", json.dumps(
        {"added_tokens": added, "normalizer": None, "model": model,
         "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
         "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, template("<s>")]}}).encode())
    put("tokenizer_json", "gpt2.json", json.dumps(
        {"added_tokens": [], "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel"},
         "post_processor": {"type": "ByteLevel"},
         "model": {"vocab": {"a": 0, "b": 1, "ab": 7}, "merges": ["a b"]}}).encode())
    put("tokenizer_json", "starcoder.json", json.dumps(
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True},
                                                                 {"type": "ByteLevel"}]},
         "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}).encode())
    pieces = {"<unk>": 0, "<s>": 1, "</s>": 2, "\u2581": 3, "a": 4, "\u2581a": 5, "<0x0A>": 6}
    spm = {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "vocab": pieces, "merges": ["\u2581 a"]}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    special = [{"id": i, "content": text, "special": True} for i, text in enumerate(["<unk>", "<s>", "</s>"])]
    post = template("<s>")
    post["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})
    put("tokenizer_json", "sentencepiece.json", json.dumps(
        {"added_tokens": special, "model": spm, "post_processor": post, "pre_tokenizer": None,
         "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]}}).encode())
    put("tokenizer_json", "metaspace.json", json.dumps(
        {"added_tokens": special, "model": spm, "normalizer": None,
         "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}}).encode())
    words = {text: i for i, text in enumerate(["[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s"])}
    bert = {"added_tokens": [{"id": i, "content": text, "special": True} for i, text in enumerate(["[UNK]", "[CLS]", "[SEP]"])],
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": words}}
    put("tokenizer_json", "wordpiece.json", json.dumps(
        {**bert, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}},
                                                                             {"SpecialToken": {"id": "[SEP]"}}]}}).encode())
    put("tokenizer_json", "wordpiece_older.json", json.dumps(
        {**bert, "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}}).encode())
    put("tokenizer_config", "llama.json", json.dumps(
        {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None, "add_bos_token": True,
         "add_eos_token": False, "chat_template": "{{ messages }}"}).encode())


def varint(number):
    out = b""
    while number >= 0x80:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(number, data):
    if isinstance(data, bytes):
        return varint(number << 3 | 2) + varint(len(data)) + data
    if isinstance(data, float):
        return varint(number << 3 | 5) + struct.pack("<f", data)
    return varint(number << 3) + varint(data & (1 << 64) - 1)


def make_sentencepiece():
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("<0x0A>", 0.0, 6), ("\u2581a", -1.0, 1)]
    model = b"".join(field(1, field(1, text.encode()) + field(2, score) + field(3, kind)) for text, score, kind in pieces)
    trainer = b"".join(field(n, x) for n, x in ((3, 2), (35, 1), (40, 0), (41, 1), (42, 2), (43, -1)))
    normalizer = field(1, b"identity") + field(2, b"") + field(3, 1) + field(4, 0)
    # A 64-bit field of a later version, which readers skip.
    put("sentencepiece_model", "bpe.model",
        model + field(2, trainer) + field(3, normalizer) + varint(200 << 3 | 1) + bytes(8))


# --- recordings and devices of the simulator --------------------------------------------------------------------------
def make_traces():
    for name, text in {"mahimahi": "m0\n0\n7\r\n9\n", "mahimahi_falls": "m5\n4\n", "mahimahi_no_time": "m0\n", "mahimahi_rare": "m1000000000\n",
                       "throughput": "t0.0\t4.03\n0.55 0\n\n0.88 4.5\n", "throughput_dead": "t0 1\n1 0\n", "throughput_nan": "t0 nan\n",
                       "planetlab": "p5\n100\n0\n", "planetlab_much": "p101\n", "planetlab_none": "p",
                       "phones": 'j{"one": 236, "two": 76206.5}', "phones_zero": 'j{"one": 0}', "phones_none": "j{}"}.items():
        put("traces", name, text.encode())
    first = {"id": 0, "c_ms": 30, "down_kBps": 500, "up_kBps": 250.5, "mem_MB": 2048, "period_s": 100, "intervals": [[0, 10], [20, 30], [30, 40], [90, 100]],
             "p_fail": 0.25}
    plain = {"id": 4, "c_ms": 30, "down_kBps": 500, "up_kBps": 5}
    for name, lines in {"two": [first, plain], "id_again": [plain, plain], "unknown": [{**plain, "speed": 1}], "no_speed": [{"id": 1}],
                        "too_late": [{**first, "intervals": [[90, 101]]}], "no_period": [{**plain, "intervals": [[0, 0]]}],
                        "descends": [{**first, "intervals": [[3, 2]]}], "no_pair": [{**first, "intervals": [7]}],
                        "whole": [{**first, "intervals": [[0, 100]]}], "fails": [{**first, "p_fail": 1.5}], "empty": []}.items():
        put("device_profiles", name, "".join(json.dumps(line) + "\n" for line in lines).encode())


if __name__ == "__main__":
    make_traces()
    make_gguf()
    make_llama2c()
    make_hugging_face()
    make_tokenizer_json()
    make_sentencepiece()
