# SPDX-License-Identifier: Apache-2.0
"""Writes what Hugging Face's `tokenizers` library makes of the strings in strings.py.

Usage:
  make_tokenizer_cases.py cases TOKENIZER_JSON OUT_JSONL    one line per string: text, ids, decoded
  make_tokenizer_cases.py decode TOKENIZER_JSON OUT_JSONL   one line per id sequence: ids, decoded, skipped
  make_tokenizer_cases.py train DIR                         DIR/<style>/tokenizer.json from DIR/corpus.txt

The stored files were made with Python 3.11 and tokenizers 0.22.2; README.md says why not a later one.
"""

import collections
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from strings import ODD_SPACES, STRINGS

# ---------------------------------------------------------------------------
# Cases
# ---------------------------------------------------------------------------


def write_lines(path, rows):
    lines = (json.dumps(row, separators=(",", ":")) for row in rows)
    pathlib.Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


def cases(tokenizer):
    for text in STRINGS:
        ids = tokenizer.encode(text, add_special_tokens=True).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        yield {"text": text, "ids": ids, "decoded": decoded}


def id_sequences(tokenizer):
    """Sequences that no text gives: cut characters, lone bytes, special tokens in odd places."""
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    specials = sorted(i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special)
    word = encode(" the word")
    emoji = encode("a\U0001f600b")
    cjk = encode("\u4e16\u754c")
    yield []
    for ids in (emoji, cjk):
        for length in range(1, len(ids)):
            yield ids[:length]
            yield ids[length:]
    yield emoji[::-1]
    yield cjk[:-1] + word
    yield cjk[:-1] + cjk
    yield cjk[:1] * 3
    for special in specials:
        yield [special]
        yield [special, special] + word
        yield word + [special] + word + [special]
        yield cjk[:1] + [special] + cjk[1:]
    yield encode("  two spaces first")
    yield word[-1:]
    yield encode("end \n")


def decodes(tokenizer):
    seen = set()
    for ids in id_sequences(tokenizer):
        if tuple(ids) in seen:
            continue
        seen.add(tuple(ids))
        yield {
            "ids": ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "skipped": tokenizer.decode(ids, skip_special_tokens=True),
        }


# ---------------------------------------------------------------------------
# Synthetic tokenizers: small vocabularies, the configurations of well-known models
# ---------------------------------------------------------------------------

SPACE = "\u2581"
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
UNSPLIT_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
QWEN_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")


def added(content, lstrip=False, rstrip=False, single_word=False, normalized=False, special=True):
    return {
        "id": None,
        "content": content,
        "single_word": single_word,
        "lstrip": lstrip,
        "rstrip": rstrip,
        "normalized": normalized,
        "special": special,
    }


# Added to every synthetic tokenizer: one token for each thing that an added token can do.
VARIANTS = [
    added("<LS>", lstrip=True),
    added("<RS>", rstrip=True),
    added("<LR>", lstrip=True, rstrip=True),
    added("<SW>", single_word=True, special=False),
    added("<NR>", normalized=True, special=False),
    added("<PL>", special=False),
    added("na\u00efvit\u00e9", normalized=True, special=False),
    added("two words", normalized=True, special=False),
    added("<long>"),
    added("<long><er>"),
    added("<er>", normalized=True),
]


def train_bpe(texts, pre_tokenizer, trainer):
    """Vocabulary in id order and merges as pairs."""
    tokenizer = Tokenizer(models.BPE())
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    return pieces, [tuple(pair) for pair in model["merges"]]


def odd_space_merges(pre_tokenizer):
    """Merges that join an odd space with the punctuation behind it, byte by byte."""
    as_bytes = lambda text: pre_tokenizer.pre_tokenize_str(text)[0][0]
    chains = [as_bytes(space) + mark for space in ODD_SPACES for mark in "!?"]
    return [(chain[:i], chain[i]) for chain in chains for i in range(1, len(chain))]


def add_crossing_merges(pieces, merges, pre_tokenizer, count):
    """Appends merges learnt from the unsplit strings, so that text split at a wrong place gives other ids."""
    texts = [text.replace(" ", SPACE) if pre_tokenizer is None else text for text in STRINGS]
    alphabet = [piece for piece in pieces if len(piece) == 1]
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + count,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    known = set(pieces)
    learnt = train_bpe(texts, pre_tokenizer, trainer)[1]
    for pair in learnt + (odd_space_merges(pre_tokenizer) if pre_tokenizer else []):
        if "".join(pair) not in known:
            known.add("".join(pair))
            pieces.append("".join(pair))
            merges.append(pair)


def byte_level(use_regex, add_prefix_space=False, trim_offsets=False):
    return {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": trim_offsets,
        "use_regex": use_regex,
    }


def split_then_bytes(pattern):
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, byte_level(False)]}


def bos_template(token, token_id):
    bos = {"SpecialToken": {"id": token, "type_id": 0}}
    second = {"SpecialToken": {"id": token, "type_id": 1}}
    first_text = {"Sequence": {"id": "A", "type_id": 0}}
    second_text = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [bos, first_text],
        "pair": [bos, first_text, second, second_text],
        "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}},
    }


def assemble(pieces, merges, specials, *, normalizer=None, pre_tokenizer=None, decoder, bos=None, post=None, **model):
    """A tokenizer.json as a dictionary. Specials that the vocabulary lacks get the ids behind it."""
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokens, behind = [], len(vocab)
    for token in specials + VARIANTS:
        token = dict(token)
        token["id"] = vocab.get(token["content"])
        if token["id"] is None:
            token["id"], behind = behind, behind + 1
        tokens.append(token)
    tokens.sort(key=lambda token: token["id"])
    if bos:
        post = bos_template(bos, next(t["id"] for t in tokens if t["content"] == bos))
        if model.get("ignore_merges"):
            post = {"type": "Sequence", "processors": [byte_level(True, True), post]}
    parameters = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post,
        "decoder": decoder,
        "model": parameters | model | {"vocab": vocab, "merges": merges},
    }


def gpt2(corpus):
    trainer = trainers.BpeTrainer(
        vocab_size=800, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    pieces, merges = train_bpe([corpus], pre_tokenizers.ByteLevel(add_prefix_space=False), trainer)
    add_crossing_merges(pieces, merges, UNSPLIT_BYTES, 600)
    # No merge leads to this one, and without ignore_merges nothing may find it.
    pieces.append("\u0120unreachable")
    result = assemble(
        pieces,
        [" ".join(pair) for pair in merges],  # the older form: one string per merge
        [added("<|endoftext|>", normalized=True)],
        pre_tokenizer=byte_level(True),
        decoder=byte_level(True, add_prefix_space=True, trim_offsets=True),
        post=byte_level(True, add_prefix_space=True),
        continuing_subword_prefix="",
        end_of_word_suffix="",
    )
    del result["model"]["ignore_merges"], result["model"]["byte_fallback"]  # older files lack them
    return result


def train_split(corpus, pattern, size):
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    both = pre_tokenizers.Sequence([split, UNSPLIT_BYTES])
    pieces, merges = train_bpe([corpus], both, trainer)
    add_crossing_merges(pieces, merges, UNSPLIT_BYTES, 600)
    return pieces, merges


def llama3(corpus):
    pieces, merges = train_split(corpus, LLAMA3_PATTERN, 800)
    # Whole words that no merge leads to: ignore_merges finds them if they are exactly one pre-token.
    pieces += ["supercalifragilisticexpialidocious", "\u0120impossible", "123", "\u0120jumps", "\u00e7\u00be\u013d", "!?!?!?"]
    return assemble(
        pieces,
        merges,
        [
            added("<|begin_of_text|>"),
            added("<|end_of_text|>"),
            added("<|start_header_id|>"),
            added("<|end_header_id|>"),
            added("<|eot_id|>"),
        ],
        pre_tokenizer=split_then_bytes(LLAMA3_PATTERN),
        decoder=byte_level(True, add_prefix_space=True, trim_offsets=True),
        bos="<|begin_of_text|>",
        ignore_merges=True,
    )


def qwen2(corpus):
    pieces, merges = train_split(corpus, QWEN_PATTERN, 800)
    return assemble(
        pieces,
        merges,
        [
            added("<|endoftext|>"),
            added("<|im_start|>"),
            added("<|im_end|>"),
            added("<think>", special=False),
            added("</think>", special=False),
            added("<tool_call>", special=False),
            added("</tool_call>", special=False),
        ],
        normalizer={"type": "NFC"},
        pre_tokenizer=split_then_bytes(QWEN_PATTERN),
        decoder=byte_level(False),
        post=byte_level(False),
        continuing_subword_prefix="",
        end_of_word_suffix="",
    )


SENTENCEPIECE_SPECIALS = [added("<unk>"), added("<s>"), added("</s>")]
SENTENCEPIECE_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}
PREPEND_AND_REPLACE = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": SPACE},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
    ],
}


def sentencepiece_pieces(corpus, byte_tokens=True):
    """As sentencepiece orders them: specials, bytes, merged pieces, characters. Runs of spaces merge first."""
    lines = [line for line in corpus.split("\n") if line]
    counts = collections.Counter("".join(lines).replace(" ", SPACE))
    alphabet = sorted(c for c, n in counts.items() if n > 2)  # chosen here, for the library breaks ties at random
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
    )
    digits = pre_tokenizers.Digits(individual_digits=True)
    pieces, merges = train_bpe(lines, pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), digits]), trainer)
    runs = [(SPACE * n, SPACE * n) for n in (1, 2, 4)]
    merges = runs[:1] + merges[:40] + runs[1:] + merges[40:]
    characters = [piece for piece in pieces if len(piece) == 1]
    merged = list(dict.fromkeys("".join(pair) for pair in merges))
    bytes_ = [f"<0x{b:02X}>" for b in range(256)] if byte_tokens else []
    return ["<unk>", "<s>", "</s>"] + bytes_ + merged + characters, merges


def llama2(corpus):
    pieces, merges = sentencepiece_pieces(corpus)
    return assemble(
        pieces,
        merges,
        SENTENCEPIECE_SPECIALS,
        normalizer=PREPEND_AND_REPLACE,
        decoder=SENTENCEPIECE_DECODER,
        bos="<s>",
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )


def llama2_unk(corpus):
    """Asks for byte_fallback and has no byte tokens: unknown characters become <unk>, neighbours one <unk>.

    Its merges cross spaces, as in models that were trained without a pre-tokenizer.
    """
    pieces, merges = sentencepiece_pieces(corpus, byte_tokens=False)
    add_crossing_merges(pieces, merges, None, 300)
    return assemble(
        pieces,
        merges,
        [dict(token, normalized=True) for token in SENTENCEPIECE_SPECIALS],
        normalizer=PREPEND_AND_REPLACE,
        decoder=SENTENCEPIECE_DECODER,
        bos="<s>",
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )


def mistral(corpus):
    pieces, merges = sentencepiece_pieces(corpus)
    return assemble(
        pieces,
        merges,
        SENTENCEPIECE_SPECIALS + [added("[INST]"), added("[/INST]")],
        pre_tokenizer={"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False},
        decoder=SENTENCEPIECE_DECODER,
        bos="<s>",
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )


STYLES = {
    "gpt2": gpt2,
    "llama3": llama3,
    "qwen2": qwen2,
    "llama2": llama2,
    "llama2-unk": llama2_unk,
    "mistral": mistral,
}


def train(folder):
    folder = pathlib.Path(folder)
    corpus = (folder / "corpus.txt").read_text(encoding="utf-8")
    for style, make in STYLES.items():
        document = make(corpus)
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        tokenizer = Tokenizer.from_str(text)
        known = {i: t.content for i, t in tokenizer.get_added_tokens_decoder().items()}
        assert known == {t["id"]: t["content"] for t in document["added_tokens"]}, style
        (folder / style).mkdir(exist_ok=True)
        (folder / style / "tokenizer.json").write_text(text + "\n", encoding="utf-8")


def main(arguments):
    match arguments:
        case ["cases", source, out]:
            write_lines(out, cases(Tokenizer.from_file(source)))
        case ["decode", source, out]:
            write_lines(out, decodes(Tokenizer.from_file(source)))
        case ["train", folder]:
            train(folder)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
