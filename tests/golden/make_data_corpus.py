#!/usr/bin/env python3
"""Writes the seed corpus of the data decoders: NPY, tables, WAV and PyTorch's old checkpoints. The valid files come from
NumPy, Python's wave and PyTorch themselves, the broken ones are made from them.

    python3 tests/golden/make_data_corpus.py        # from the repository's root; needs numpy and torch
"""
import collections
import io
import pathlib
import re
import struct
import wave

import numpy
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def put(target, name, data):
    path = ROOT / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# --- NPY ----------------------------------------------------------------------------------------------------------
def npy(array, version=None):
    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def npy_of(header, data=b"", version=1):
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + data


def make_npy():
    for kind in ("<f4", "<f8", "<i4", "<i8", "|u1"):
        put("npy", kind[1:] + ".npy", npy(numpy.arange(6).reshape(2, 3).astype(kind)))
    put("npy", "version_2.npy", npy(numpy.arange(4, dtype="<f4"), (2, 0)))
    put("npy", "scalar.npy", npy(numpy.array(7, dtype="<i4")))
    put("npy", "fortran.npy", npy(numpy.asfortranarray(numpy.ones((2, 3), dtype="<f4"))))
    put("npy", "big_endian.npy", npy(numpy.ones(2, dtype=">f4")))
    put("npy", "not_finite.npy", npy(numpy.array([1, numpy.nan], dtype="<f4")))
    put("npy", "no_numpy", b"PK\3\4 and more")
    put("npy", "version_9", npy_of("", version=9))
    put("npy", "large_header", b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 30))
    good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
    put("npy", "other_order", npy_of("{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}\n", bytes(8)))
    put("npy", "short", npy_of(good, bytes(7)))
    for name, text in {"unknown_key": good.replace("descr", "order"), "twice": good.replace("shape", "descr"),
                       "lacks": "{'descr': '<f4'}", "goes_on": good + "{", "no_comma": good.replace(", 'sh", "; 'sh"),
                       "no_flag": good.replace("False", "Maybe"), "size": good.replace("2,", "-2,"),
                       "many_sizes": good.replace("2,", "1," * 9), "overflow": good.replace("2,", "4611686018427387904, 4"),
                       "open": "{'descr': '<f4"}.items():
        put("npy", name, npy_of(text, bytes(8)))


# --- tables -------------------------------------------------------------------------------------------------------
def make_tables():
    for name, text in {
        "owners.csv": "owner,x,label,y\nann,1.5,0,-2\nbob, 2e3 ,1,.5\r\n\nann,0,2,1",
        "no_owners.csv": "label,x\n0,1\n", "empty": "", "no_label": "a,b\n1,2\n", "no_feature": "label,owner\n1,2\n",
        "no_rows": "label,x\n", "twice": "x,x,label\n1,2,3\n", "short_row": "x,label\n1\n", "no_number": "x,label\none,1\n",
        "infinite": "x,label\ninf,1\n", "fraction": "x,label\n1,0.5\n", "negative": "x,label\n1,-1\n",
        "odd": "x,label\n\x01" + "long" * 20 + ",1\n",
    }.items():
        put("labelled_table", name, text.encode())


# --- WAV ----------------------------------------------------------------------------------------------------------
def wav(samples=(0, 1, -32768, 32767), rate=8000, channels=1, width=2):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", s) for s in samples))
    return out.getvalue()


def make_wav():
    good = wav()
    put("wav", "good.wav", good)
    put("wav", "stereo.wav", wav(channels=2))
    put("wav", "bytes.wav", wav(width=1))
    put("wav", "list_chunk.wav", good[:12] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + good[12:])
    put("wav", "cut.wav", good[:-1])
    put("wav", "no_data.wav", good[:36])
    put("wav", "data_first.wav", good[:12] + good[36:])
    put("wav", "odd.wav", good[:40] + struct.pack("<I", 7) + good[44:51])
    put("wav", "no_rate.wav", good[:24] + bytes(4) + good[28:])
    put("wav", "huge.wav", good[:40] + b"\xff" * 4 + good[44:])
    put("wav", "no_wav", b"RIFX" + good[4:])
    put("wav", "no_wave", good[:8] + b"AVI " + good[12:])


# --- PyTorch's old form -------------------------------------------------------------------------------------------
def torch_file(thing):
    out = io.BytesIO()
    # torch.save sorts the storages by their addresses, which differ from run to run: here they stay as they come.
    torch.serialization.sorted = list
    torch.save(thing, out, _use_new_zipfile_serialization=False)
    data = out.getvalue()
    # A storage's key is its address: numbered in the order of appearance, so that the files are the same each time.
    keys = list(dict.fromkeys(re.findall(rb"X(....)(\d{6,})(?=q|r)", data, re.DOTALL)))
    for number, (length, key) in enumerate(keys):
        new = str(number).encode()
        data = data.replace(b"X" + length + key, b"X" + struct.pack("<I", len(new)) + new)
    return data


def ramp(*shape, dtype=torch.float32):
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count, dtype=torch.float32) / 4 - 1).reshape(shape).to(dtype)


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def integer(n):
    return b"J" + struct.pack("<i", n)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


HEAD = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03."
MACHINE = b"\x80\x02}" + text("little_endian") + b"\x88s."


def storage(key="0", kind="torch\nFloatStorage", count=4, view=b"N"):
    return tuple_of(text("storage"), b"c" + kind.encode() + b"\n", text(key), text("cpu"), integer(count), view) + b"Q"


def tensor(of=None, offset=integer(0), sizes=tuple_of(integer(4)), strides=tuple_of(integer(1))):
    return b"ctorch._utils\n_rebuild_tensor\n" + tuple_of(of or storage(), offset, sizes, strides) + b"R"


def assembled(root, keys=text("0") + b"a", data=struct.pack("<q4f", 4, 1, 2, 3, 4), machine=MACHINE, head=HEAD):
    return head + machine + b"\x80\x02" + root + b".\x80\x02]" + keys + b"." + data


def named(value, key=None):
    return b"}" + (key or text("w")) + value + b"s"


def make_torch():
    state = collections.OrderedDict([("module.fc.weight", ramp(3, 2)), ("module.fc.bias", ramp(3)),
                                     ("module.bn.num_batches_tracked", torch.tensor(5))])
    put("torch_pickle", "nested.th", torch_file({"epoch": 3, "best": 0.5, "state_dict": state, "none": None, "flag": False}))
    whole = ramp(4, 2)
    layer = torch.nn.Linear(2, 3)
    put("torch_pickle", "kinds.th", torch_file(
        {"f64": ramp(2, dtype=torch.float64), "f16": ramp(2, dtype=torch.float16), "bf16": ramp(2, dtype=torch.bfloat16),
         "i32": ramp(2, dtype=torch.int32), "u8": ramp(2, dtype=torch.uint8).abs(), "bool": ramp(2, dtype=torch.bool),
         "i16": ramp(2, dtype=torch.int16), "i8": ramp(2, dtype=torch.int8), "view": whole[1:3], "all": whole,
         "scalar": torch.tensor(2.5), "none": torch.zeros(0, 3), "size": torch.Size([2]), "list": [1, [2.0, "x"]],
         "large": 1 << 40, "negative": -(1 << 40), 7: {"momentum": ramp(2)}}))
    with torch.no_grad():
        layer.weight.copy_(ramp(3, 2))
        layer.bias.copy_(ramp(3))
    put("torch_pickle", "module_state.th", torch_file(layer.state_dict()))
    put("torch_pickle", "parameter.th", torch_file({"w": layer.bias}))
    put("torch_pickle", "transposed.th", torch_file({"w": ramp(3, 2).t()}))
    put("torch_pickle", "assembled.th", assembled(named(tensor())))
    good = tensor()
    for name, file in {
        "global.th": assembled(named(b"cos\nsystem\n" + tuple_of(text("true")) + b"R")),
        "dict_arguments.th": assembled(b"ccollections\nOrderedDict\n" + tuple_of(b"]") + b"R"),
        "no_dict.th": assembled(good), "list.th": assembled(named(tuple_of(good))),
        "no_tensor.th": assembled(named(b"ctorch\nSize\n" + tuple_of(tuple_of()) + b"R", text("n"))),
        "twice.th": assembled(b"}" + (text("w") + good + b"s") * 2),
        "odd_key.th": assembled(named(good, b"N")), "long_key.th": assembled(named(good, text("k" * 300))),
        "unprintable.th": assembled(named(good, text("\x01"))),
        "deep.th": assembled(b"".join(b"}" + text("d") for _ in range(20)) + b"}" + b"s" * 20, keys=b"", data=b""),
        "itself.th": assembled(b"}q\0" + text("d") + b"h\0s", keys=b"", data=b""),
        "doubling.th": assembled(b"}" + text("0") + b"}q\0s" + b"".join(
            text(str(n)) + b"}q" + bytes([n]) + b"".join(text(k) + b"h" + bytes([n - 1]) + b"s" for k in "abcdefgh") + b"s"
            for n in range(1, 8)), keys=b"", data=b""),
        "sizes.th": assembled(named(tensor(sizes=text("x")))), "size.th": assembled(named(tensor(sizes=tuple_of(integer(-4))))),
        "nine_sizes.th": assembled(named(tensor(sizes=tuple_of(*[integer(1)] * 9), strides=tuple_of(*[integer(1)] * 9)))),
        "strides.th": assembled(named(tensor(strides=tuple_of()))), "stride.th": assembled(named(tensor(strides=tuple_of(integer(2))))),
        "torch_size.th": assembled(named(tensor(sizes=b"ctorch\nSize\n" + tuple_of(tuple_of(integer(4))) + b"R"))),
        "overflow.th": assembled(named(tensor(sizes=tuple_of(*[integer(1 << 30)] * 3),
                                              strides=tuple_of(b"\x8a\x08" + struct.pack("<q", 1 << 60), integer(1 << 30), integer(1))))),
        "beyond.th": assembled(named(tensor(offset=integer(1)))), "few.th": assembled(named(b"ctorch._utils\n_rebuild_tensor\n)R")),
        "no_storage.th": assembled(named(tensor(of=b"N"))), "storage_id.th": assembled(named(tensor(of=b"NQ"))),
        "storage_key.th": assembled(named(tensor(of=tuple_of(text("storage"), b"N", b"N", b"N", integer(4)) + b"Q"))),
        "storage_type.th": assembled(named(tensor(of=tuple_of(text("storage"), b"N", text("0"), b"N", integer(4)) + b"Q"))),
        "storage_count.th": assembled(named(tensor(of=storage(count=-1)))),
        "storage_view.th": assembled(named(tensor(of=storage(view=tuple_of())))),
        "storage_twice.th": assembled(b"}" + text("a") + good + b"s" + text("b") + tensor(of=storage(count=5)) + b"s"),
        "count.th": assembled(named(good), data=struct.pack("<q", 5)), "missing.th": assembled(named(good), keys=b"", data=b""),
        "cut.th": assembled(named(good))[:-1], "trailing.th": assembled(named(good)) + b"x",
        "keys.th": assembled(named(good), keys=b"Na", data=b""), "other_key.th": assembled(named(good), keys=text("9") + b"a"),
        "no_list.th": assembled(named(good)).replace(b".\x80\x02]", b".\x80\x02}").replace(text("0") + b"a.", b"."),
        "version.th": assembled(named(good), head=HEAD.replace(b"M\xe9\x03", b"M\xe8\x03")),
        "big_endian.th": assembled(named(good), machine=MACHINE.replace(b"\x88", b"\x89")),
        "machine.th": assembled(named(good), machine=b"\x80\x02N."), "protocol.th": HEAD + b"\x80\x04.",
        "opcode.th": HEAD + MACHINE + b"\x80\x02i", "left_over.th": HEAD + MACHINE + b"\x80\x02NN.",
        "empty_stack.th": HEAD + MACHINE + b"\x80\x02.", "no_mark.th": HEAD + MACHINE + b"\x80\x02t",
        "no_container.th": HEAD + MACHINE + b"\x80\x02NNa", "odd_items.th": HEAD + MACHINE + b"\x80\x02}(Nu",
        "long.th": HEAD + MACHINE + b"\x80\x02\x8a\x09", "text.th": HEAD + MACHINE + b"\x80\x02X\xff\xff\xff\xff",
        "get.th": HEAD + MACHINE + b"\x80\x02h\1", "call.th": HEAD + MACHINE + b"\x80\x02N)R",
        "name.th": HEAD + MACHINE + b"\x80\x02c\x01", "build.th": assembled(named(good) + b"}b"),
        "long_puts.th": assembled(b"}" + text("w") + good + b"r\0\1\0\0s" + text("v") + b"j\0\1\0\0s"), "short_text.th": assembled(b"}U\1w" + good + b"s"), "not_torch.th": b"\x80\x02}.",
    }.items():
        put("torch_pickle", name, file)


if __name__ == "__main__":
    make_npy()
    make_tables()
    make_wav()
    make_torch()
