# SPDX-License-Identifier: Apache-2.0
"""Writes what Hugging Face transformers computes for a small model: f32, eager attention, CPU.

Usage: make_expected.py MODEL_DIR OUT

The name of MODEL_DIR selects the prompts. The stored files were made with Python 3.11, transformers 5.23.0,
tokenizers 0.23.3 and torch 2.15.0 (CPU, one thread).
"""

import json
import pathlib
import sys

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

GREEDY_TOKENS = 48
TOP = 5

LONG_DESCRIPTION = (
    "daemon that watches DHCP leases\n\nLeasewatch reads the lease file of a DHCP server and reports what has changed: new "
    "machines, machines that have come back with another address, and address pools that are almost full. Reports can be sent "
    "by mail, written to syslog or passed to a script of the administrator.\n\nIts features are:\n * one"
)
LONG_STORY = (
    "Once upon a time, there was a little girl named Lily. She had a red ball and a big dog. One day, Lily and the dog went to "
    "the park to play. Lily threw the ball very far. The dog ran and ran, but he did not find the ball. Lily was sad. Then a "
    "boy came and said, \"I saw your ball. It is under the tree.\" Lily thanked the boy and gave him a cookie. They sat down on the "
    "grass and told each other about their pets. The boy had a cat with a long"
)
PROMPTS = {
    "tessera-5m": [
        "",
        "This package provides",
        "command line tool to",
        "library for",
        "Python 3 bindings",
        "Größere Wörterbücher für Ελληνικά — 日本語 😀: dictionary",
        LONG_DESCRIPTION,
    ],
    "tinystories656k": ["", "Lily", "Once upon a time", "One day, a boy named Tim found a box. \"What is it?\" he asked.\n", LONG_STORY],
    "stories260K": [
        "",
        "Lily",
        "Once upon a time",
        "The café was für 日本 😀. Tom said, \"",
        " Two spaces  and\na line break",
        LONG_STORY,
    ],
}

# Tokenized without the U+2581 that the normalizer prepends: the stories of its training follow BOS directly.
BARE_PROMPTS = {"tinystories656k": ["Once upon a time"]}

# Greedy output that others have published, from BOS alone. https://github.com/karpathy/llama2.c, doc/stories260K.md (MIT)
PUBLISHED = {
    "stories260K": {
        "source": "karpathy/llama2.c doc/stories260K.md, temperature 0, 256 steps",
        "steps": 256,
        "text": "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, "
        "red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad "
        "and didn't know what to do. She said, \"I want to play with your ball, but I can't find it.\"\nLily was sad and didn't "
        "know what to do. She said, \"I'm sorry, Lily. I didn't know what to do.\"\nLily didn't want to help her mom, so she said, "
        "\"I'm sorry, mom. I didn't know what to do.\" Her mom said, \"Don't worry, Lily. We can help you.",
    }
}


def rounded(value):
    return float(f"{float(value):.7g}")


def without_prepend(tokenizer):
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    steps = document["normalizer"]["normalizers"]
    document["normalizer"]["normalizers"] = [step for step in steps if step["type"] != "Prepend"]
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(document)))


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def greedy(model, ids, steps, eos):
    """Continuation without EOS, whether EOS ended it, and the smallest margin between the best two logits."""
    made, margin = [], float("inf")
    while len(made) < steps:
        top = logits_of(model, ids + made)[-1].topk(2)
        margin = min(margin, float(top.values[0] - top.values[1]))
        token = int(top.indices[0])
        if token == eos:
            return made, True, margin
        made.append(token)
    return made, False, margin


def case(model, exact, tokenizer, text, ids):
    logits = logits_of(model, ids)
    made, ended, margin = greedy(model, ids, GREEDY_TOKENS, model.config.eos_token_id)
    cached = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=GREEDY_TOKENS)[0, len(ids) :].tolist()
    assert cached == made + [model.config.eos_token_id] * ended, "decoding with and without cache differ"
    tops = [row.topk(TOP) for row in logits[:-1]]
    return {
        "text": text,
        "ids": ids,
        "top5": [[[int(i), rounded(v)] for v, i in zip(top.values, top.indices)] for top in tops],
        "logits": [rounded(v) for v in logits[-1]],
        "f64_difference": rounded((logits_of(exact, ids) - logits.double()).abs().max()),
        "greedy_ids": made,
        "greedy_ended_by_eos": ended,
        "greedy_smallest_margin": rounded(margin),
        "greedy_text": tokenizer.decode(made, skip_special_tokens=False),
        "full_text": tokenizer.decode(ids[1:] + made, skip_special_tokens=False),
    }


def published(model, tokenizer, claim):
    ids = tokenizer("").input_ids
    made, _, margin = greedy(model, ids, claim["steps"], eos=None)
    assert tokenizer.decode(made) == claim["text"], "differs from what is published"
    return claim | {"ids": ids, "greedy_ids": made, "greedy_smallest_margin": rounded(margin)}


def expected(folder):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    load = lambda dtype: AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    model, exact = load(torch.float32), load(torch.float32).double()
    result = {
        "model": folder.name,
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention, CPU",
        "vocab_size": model.config.vocab_size,
        "bos_token_id": model.config.bos_token_id,
        "eos_token_id": model.config.eos_token_id,
        "cases": [case(model, exact, tokenizer, text, tokenizer(text).input_ids) for text in PROMPTS[folder.name]],
    }
    for text in BARE_PROMPTS.get(folder.name, []):
        ids = without_prepend(tokenizer)(text).input_ids
        result["cases"].append({"without_prepend": True} | case(model, exact, tokenizer, text, ids))
    if folder.name in PUBLISHED:
        result["published"] = published(model, tokenizer, PUBLISHED[folder.name])
    return result


def lines(value, indent=""):
    """JSON with one line per member of an object; arrays of numbers stay on one line."""
    compact = lambda v: json.dumps(v, separators=(",", ":"))
    if isinstance(value, dict):
        inner = indent + " "
        members = ",\n".join(f"{inner}{compact(key)}: {lines(member, inner)}" for key, member in value.items())
        return f"{{\n{members}\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[" + ", ".join(lines(member, indent) for member in value) + "]"
    return compact(value)


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    result = expected(pathlib.Path(arguments[0]).resolve())
    pathlib.Path(arguments[1]).write_text(lines(result) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
