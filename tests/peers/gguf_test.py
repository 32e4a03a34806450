# SPDX-License-Identifier: Apache-2.0
"""The gguf package reads the files that tessera quantize writes, value for value."""

import json
import unittest

import gguf
import numpy

from peer_case import MODEL, PeerCase, read_bf16

PARTS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
SCHEMES = ("f32", "w16a16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "q4_k_m",
           "q5_k_m", "mxfp4", "nvfp4")
# Those whose encoders the package has too.  MXFP4 is not among them: ours rounds ties to even.
ENCODED = {"q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q5_1": "Q5_1", "q8_0": "Q8_0"}


def our_name(name):
    if not name.startswith("blk."):
        return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
                "output.weight": "lm_head.weight"}[name]
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def values_of(tensor):
    """Decoded by the package, in the shape of a Hugging Face folder."""
    shape = tuple(int(extent) for extent in reversed(tensor.shape))
    if tensor.tensor_type in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        return numpy.asarray(tensor.data, dtype=numpy.float32).reshape(shape)
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(shape)


class GgufTest(PeerCase):
    def test_every_type_decodes_to_our_values(self):
        for scheme in SCHEMES:
            with self.subTest(scheme=scheme):
                path = self.quantize(scheme, scheme + ".gguf")
                ours = self.our_values(path)
                tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
                scales = {name: tensor for name, tensor in tensors.items() if name.endswith(".scale")}
                self.assertEqual(bool(scales), scheme == "nvfp4")
                self.assertEqual({our_name(name) for name in tensors if name not in scales}, set(ours))
                for name, tensor in tensors.items():
                    if name in scales:
                        continue
                    theirs = values_of(tensor)
                    scale = scales.get(name.replace(".weight", ".scale"))
                    if scale is not None:
                        # One product in double, rounded once.
                        theirs = theirs.astype(numpy.float64) * float(scale.data[0])
                    self.same_bits(ours[our_name(name)], theirs, name)

    def test_blocks_are_those_of_the_package(self):
        floats = read_bf16(MODEL / "model.safetensors")
        for scheme, type_name in ENCODED.items():
            with self.subTest(scheme=scheme):
                kind = gguf.GGMLQuantizationType[type_name]
                path = self.quantize(scheme, scheme + ".gguf")
                checked = 0
                for tensor in gguf.GGUFReader(path).tensors:
                    if tensor.tensor_type != kind or not tensor.name.startswith("blk."):
                        continue
                    theirs = gguf.quants.quantize(floats[our_name(tensor.name)], kind)
                    self.assertTrue(numpy.array_equal(theirs, tensor.data), f"{scheme} {tensor.name}")
                    checked += 1
                self.assertEqual(checked, 6 * 7)

    def test_metadata_is_what_a_runner_needs(self):
        reader = gguf.GGUFReader(self.quantize("q4_k_m", "a.gguf"))
        fields = {name: field.contents() for name, field in reader.fields.items()}
        settings = json.loads((MODEL / "config.json").read_text())
        self.assertEqual(fields["general.architecture"], "qwen3")
        self.assertEqual(fields["general.file_type"], gguf.LlamaFileType.MOSTLY_Q4_K_M)
        self.assertEqual(fields["qwen3.block_count"], settings["num_hidden_layers"])
        self.assertEqual(fields["qwen3.attention.head_count_kv"], settings["num_key_value_heads"])
        self.assertEqual(fields["qwen3.rope.dimension_count"], settings["head_dim"])
        self.assertEqual(fields["tokenizer.ggml.padding_token_id"], settings["pad_token_id"])
        self.assertEqual(fields["tokenizer.ggml.eos_token_id"], settings["eos_token_id"])
        tokenizer = json.loads((MODEL / "tokenizer.json").read_text())
        for token, number in tokenizer["model"]["vocab"].items():
            self.assertEqual(fields["tokenizer.ggml.tokens"][number], token)
        self.assertEqual(len(fields["tokenizer.ggml.merges"]), len(tokenizer["model"]["merges"]))


if __name__ == "__main__":
    unittest.main()
