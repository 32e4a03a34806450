# SPDX-License-Identifier: Apache-2.0
"""Writes a synthetic Llama folder of random weights, of about a given size.

Usage: write_model.py FOLDER [--gigabytes G] [--layers N] [--hidden H]
                      [--tokenizer FILE] [--dtype bf16|f32] [--zeros]

The tokenizer.json is copied; its vocabulary sets the model's.  Without
--gigabytes the sizes are as given.  Weights repeat one random megabyte, scaled
like a trained model's, so that writing is bound by the disk.  With --zeros they
are a hole in the file, which takes no room and no time.
"""

import argparse
import json
import pathlib
import random
import shutil
import struct

CHUNK = 1 << 20


def random_chunk(dtype):
    """One megabyte of numbers with a standard deviation near 0.02."""
    rng = random.Random(42)
    count = CHUNK // (2 if dtype == "bf16" else 4)
    values = struct.pack(f"<{count}f", *(rng.gauss(0.0, 0.02) for _ in range(count)))
    if dtype == "f32":
        return values
    halves = bytearray()
    for i in range(2, len(values), 4):
        halves += values[i:i + 2]
    return bytes(halves)


def ones(count, dtype):
    return struct.pack("<f", 1.0)[2 if dtype == "bf16" else 0:] * count


def shapes(hidden, inner, heads, kv_heads, layers, vocab):
    """(name, shape) of every tensor of a Llama with these sizes."""
    kv = hidden // heads * kv_heads
    yield "model.embed_tokens.weight", [vocab, hidden]
    for i in range(layers):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", [hidden]
        yield at + "self_attn.q_proj.weight", [hidden, hidden]
        yield at + "self_attn.k_proj.weight", [kv, hidden]
        yield at + "self_attn.v_proj.weight", [kv, hidden]
        yield at + "self_attn.o_proj.weight", [hidden, hidden]
        yield at + "post_attention_layernorm.weight", [hidden]
        yield at + "mlp.gate_proj.weight", [inner, hidden]
        yield at + "mlp.up_proj.weight", [inner, hidden]
        yield at + "mlp.down_proj.weight", [hidden, inner]
    yield "model.norm.weight", [hidden]


def elements(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def write_safetensors(path, tensors, dtype, zeros):
    width = 2 if dtype == "bf16" else 4
    header, offset = {}, 0
    for name, shape in tensors:
        end = offset + elements(shape) * width
        header[name] = {"dtype": dtype.upper(), "shape": shape,
                        "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    chunk = b"" if zeros else random_chunk(dtype)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if zeros:
            file.truncate(file.tell() + offset)
            return
        for name, shape in tensors:
            count = elements(shape)
            if len(shape) == 1:
                file.write(ones(count, dtype))
                continue
            left = count * width
            while left > 0:
                left -= file.write(chunk[:left])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--gigabytes", type=float)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--dtype", choices=["bf16", "f32"], default="bf16")
    parser.add_argument("--zeros", action="store_true")
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    args = parser.parse_args()

    document = json.loads(args.tokenizer.read_text())
    vocab = len(document["model"]["vocab"]) + len(document["added_tokens"])
    hidden, heads = args.hidden, max(args.hidden // 64, 4)
    inner, kv_heads = 3 * hidden, max(heads // 4, 1)
    if args.gigabytes:
        width = 2 if args.dtype == "bf16" else 4
        layer = sum(elements(s) for n, s in
                    shapes(hidden, inner, heads, kv_heads, 1, vocab)
                    if n.startswith("model.layers."))
        args.layers = max(1, round(args.gigabytes * 1e9 / width / layer))
    args.folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": args.layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "vocab_size": vocab,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16" if args.dtype == "bf16" else "float32",
        "bos_token_id": 0, "eos_token_id": vocab - 1,
    }
    (args.folder / "config.json").write_text(json.dumps(config, indent=1))
    shutil.copyfile(args.tokenizer, args.folder / "tokenizer.json")
    tensors = list(shapes(hidden, inner, heads, kv_heads, args.layers, vocab))
    write_safetensors(args.folder / "model.safetensors", tensors, args.dtype, args.zeros)
    print(f"{args.folder}: {args.layers} layers, "
          f"{sum(elements(s) for _, s in tensors) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
