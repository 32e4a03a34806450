# SPDX-License-Identifier: Apache-2.0
"""What the peers tests share: the command, a scratch folder, and the values that Tessera reads."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import numpy
from safetensors.numpy import load_file

BINARIES = pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "bin"
SOURCE = pathlib.Path(os.environ["TSR_SOURCE_DIR"])
MODEL = SOURCE / "models" / "tessera-5m"
COPIED = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
           "mlp.up_proj", "mlp.down_proj")


def read_bf16(path):
    """The tensors of a BF16 checkpoint as F32, which numpy's reader does not give."""
    import json
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        assert entry["dtype"] == "BF16", entry
        words = numpy.frombuffer(data[begin:end], "<u2").astype(numpy.uint32) << 16
        tensors[name] = words.view(numpy.float32).reshape(entry["shape"])
    return tensors


class PeerCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.scratch = pathlib.Path(folder.name)

    def tessera(self, *words):
        result = subprocess.run([str(BINARIES / "tessera"), *map(str, words)], capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def quantize(self, scheme, name, *words):
        out = self.scratch / name
        self.tessera("quantize", MODEL, "--scheme", scheme, "-o", out, *words)
        return out

    def our_values(self, model):
        """Every tensor as Tessera reads it, by its name in a Hugging Face folder."""
        out = self.scratch / "values.safetensors"
        result = subprocess.run([str(BINARIES / "tsr_dump_weights"), str(model), str(out)], capture_output=True,
                                text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return load_file(out)

    def same_bits(self, ours, theirs, name):
        self.assertEqual(ours.shape, theirs.shape, name)
        theirs = numpy.ascontiguousarray(theirs, dtype=numpy.float32)
        # -0 and 0 are the same value.
        different = numpy.flatnonzero(ours != theirs)
        self.assertEqual(different.size, 0,
                         f"{name}: {different.size} of {ours.size} values differ, the first at "
                         f"{different[:1]}: {ours.flat[different[:1]]} and {theirs.flat[different[:1]]}")

    def copy_settings(self, folder):
        folder.mkdir()
        for name in COPIED:
            if (MODEL / name).is_file():
                shutil.copy(MODEL / name, folder / name)
