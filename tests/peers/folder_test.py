# SPDX-License-Identifier: Apache-2.0
"""safetensors, compressed-tensors and transformers read the folders that tessera quantize writes."""

import importlib.util
import json
import unittest

import numpy
from safetensors import safe_open

from peer_case import LINEARS, MODEL, PeerCase

FOLDERS = {"compressed-tensors": ("w8a8_dynamic", "w8a16", "w4a16_g128", "w4a16_g32_asym", "w4a8_g64", "fp8",
                                  "nvfp4", "mxfp4"),
           "msmodelslim": ("w8a8", "w8a8_dynamic", "w8a8_mix", "w8a16")}
CALIBRATION = ("--calib", MODEL / "text" / "calibrate.txt", "--calib-tokens", "300")
TORCH = ("torch", "transformers", "compressed_tensors")
MISSING = [name for name in TORCH if importlib.util.find_spec(name) is None]


class FolderTest(PeerCase):
    def write(self, format_name, scheme):
        return self.quantize(scheme, f"{format_name}-{scheme}", "--format", format_name, *CALIBRATION)

    def test_safetensors_opens_every_folder(self):
        for format_name, schemes in FOLDERS.items():
            for scheme in schemes:
                with self.subTest(format=format_name, scheme=scheme):
                    files = list(self.write(format_name, scheme).glob("*.safetensors"))
                    self.assertEqual(len(files), 1)
                    with safe_open(files[0], framework="numpy") as opened:
                        for name in opened.keys():
                            self.assertTrue(all(extent > 0 for extent in opened.get_slice(name).get_shape()))
                        self.assertIn("model.norm.weight", opened.keys())

    def test_msmodelslim_formula_gives_our_values(self):
        folder = self.write("msmodelslim", "w8a8_dynamic")
        ours = self.our_values(folder)
        description = json.loads((folder / "quant_model_description.json").read_text())
        with safe_open(folder / "quant_model_weights.safetensors", framework="numpy") as opened:
            for name in (name for name in ours if any(part in name for part in LINEARS)):
                self.assertEqual(description[name], "W8A8_DYNAMIC")
                codes = opened.get_tensor(name).astype(numpy.float64)
                scale = opened.get_tensor(name.replace(".weight", ".weight_scale")).astype(numpy.float64)
                offset = opened.get_tensor(name.replace(".weight", ".weight_offset")).astype(numpy.float64)
                rows = (-1, 1)
                self.same_bits(ours[name], (codes - offset.reshape(rows)) * scale.reshape(rows), name)

    @unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)}; -DTSR_PEERS=ON installs them")
    def test_transformers_decompresses_to_our_values(self):
        import torch
        from transformers import AutoModelForCausalLM, CompressedTensorsConfig
        for scheme in FOLDERS["compressed-tensors"]:
            with self.subTest(scheme=scheme):
                folder = self.write("compressed-tensors", scheme)
                ours = self.our_values(folder)
                model = AutoModelForCausalLM.from_pretrained(
                    folder, dtype=torch.float32, quantization_config=CompressedTensorsConfig(run_compressed=False))
                theirs = {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}
                # One rounding of what the package multiplies in: bf16 for NVFP4, else f32.
                step = 2**-8 if scheme == "nvfp4" else 2**-22
                for name, values in ours.items():
                    numpy.testing.assert_allclose(theirs[name], values, rtol=step, atol=0, err_msg=name)


if __name__ == "__main__":
    unittest.main()
