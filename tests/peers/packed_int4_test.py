# SPDX-License-Identifier: Apache-2.0
"""GPTQ and AWQ folders packed here, from the formats' descriptions, are read as what was packed."""

import json
import unittest

import numpy
from safetensors.numpy import save_file

from peer_case import LINEARS, MODEL, PeerCase, read_bf16

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def round_to_groups(weight, bits, group_size, group_of, symmetric):
    """Codes [N, K], zeros and f16 scales [N, groups], of columns that belong to groups."""
    groups = weight.shape[1] // group_size
    codes = numpy.zeros(weight.shape, numpy.int64)
    zeros = numpy.zeros((weight.shape[0], groups), numpy.int64)
    scales = numpy.zeros((weight.shape[0], groups), numpy.float16)
    top = 2**bits - 1
    for group in range(groups):
        columns = numpy.flatnonzero(group_of == group)
        part = weight[:, columns]
        low, high = numpy.minimum(part.min(1), 0), numpy.maximum(part.max(1), 0)
        if symmetric:
            high = numpy.maximum(-low, high)
            low = -high
        scale = ((high - low) / top).astype(numpy.float16)
        wide = scale.astype(numpy.float32)
        zero = numpy.full(low.shape, 2**(bits - 1)) if symmetric else numpy.rint(-low / wide)
        codes[:, columns] = numpy.clip(numpy.rint(part / wide[:, None]) + zero[:, None], 0, top)
        zeros[:, group], scales[:, group] = numpy.clip(zero, 1, top), scale
    return codes, zeros, scales


def pack(codes, bits, axis, order=None):
    """int32 words of 32 / bits codes along an axis, the first in the low bits."""
    codes = numpy.moveaxis(codes, axis, -1)
    per_word = 32 // bits
    codes = codes.reshape(*codes.shape[:-1], -1, per_word)
    words = numpy.zeros(codes.shape[:-1], numpy.uint64)
    for place in range(per_word):
        source = place if order is None else order[place]
        words |= codes[..., source].astype(numpy.uint64) << numpy.uint64(place * bits)
    return numpy.ascontiguousarray(numpy.moveaxis(words.astype(numpy.uint32), -1, axis)).view(numpy.int32)


class PackedInt4Test(PeerCase):
    def write(self, name, config, pack_linear):
        """A folder whose linears are packed, and the values that they stand for."""
        folder = self.scratch / name
        self.copy_settings(folder)
        settings = json.loads((folder / "config.json").read_text())
        settings["quantization_config"] = config
        (folder / "config.json").write_text(json.dumps(settings))
        tensors, values = {}, {}
        for tensor, weight in read_bf16(MODEL / "model.safetensors").items():
            if not any(part + ".weight" in tensor for part in LINEARS):
                tensors[tensor] = values[tensor] = weight
                continue
            module = tensor.removesuffix(".weight")
            parts, values[tensor] = pack_linear(weight)
            tensors.update({f"{module}.{part}": array for part, array in parts.items()})
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder, values

    def check(self, folder, values):
        ours = self.our_values(folder)
        self.assertEqual(set(ours), set(values))
        for name, theirs in values.items():
            self.same_bits(ours[name], theirs, name)

    def gptq(self, bits, group_size, version, act_order, symmetric):
        rng = numpy.random.default_rng(42)

        def pack_linear(weight):
            group_of = numpy.arange(weight.shape[1]) // group_size
            if act_order:
                group_of = group_of[rng.permutation(weight.shape[1])]
            codes, zeros, scales = round_to_groups(weight, bits, group_size, group_of, symmetric)
            stored = zeros - 1 if version == 1 else zeros
            parts = {"qweight": pack(codes.T, bits, 0), "qzeros": pack(stored.T, bits, 1),
                     "scales": numpy.ascontiguousarray(scales.T), "g_idx": group_of.astype(numpy.int32)}
            value = scales.astype(numpy.float64)[:, group_of] * (codes - zeros[:, group_of])
            return parts, value.astype(numpy.float32)

        config = {"quant_method": "gptq", "bits": bits, "group_size": group_size, "sym": symmetric,
                  "desc_act": act_order, "checkpoint_format": "gptq" if version == 1 else "gptq_v2"}
        return self.write(f"gptq-{bits}-{group_size}-{version}-{act_order}-{symmetric}", config, pack_linear)

    def test_gptq(self):
        for bits, group_size, version, act_order, symmetric in (
                (4, 128, 1, False, True), (4, 32, 1, True, False), (4, 64, 2, True, False), (8, 128, 1, True, True),
                (8, 32, 2, False, False)):
            with self.subTest(bits=bits, group_size=group_size, version=version, act_order=act_order):
                self.check(*self.gptq(bits, group_size, version, act_order, symmetric))

    def test_awq(self):
        for group_size in (32, 128):
            with self.subTest(group_size=group_size):
                def pack_linear(weight, size=group_size):
                    group_of = numpy.arange(weight.shape[1]) // size
                    codes, zeros, scales = round_to_groups(weight, 4, size, group_of, False)
                    parts = {"qweight": pack(codes.T, 4, 1, AWQ_ORDER), "qzeros": pack(zeros.T, 4, 1, AWQ_ORDER),
                             "scales": numpy.ascontiguousarray(scales.T)}
                    value = scales.astype(numpy.float64)[:, group_of] * (codes - zeros[:, group_of])
                    return parts, value.astype(numpy.float32)

                config = {"quant_method": "awq", "bits": 4, "group_size": group_size, "zero_point": True,
                          "version": "gemm"}
                self.check(*self.write(f"awq-{group_size}", config, pack_linear))


if __name__ == "__main__":
    unittest.main()
