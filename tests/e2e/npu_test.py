# SPDX-License-Identifier: Apache-2.0
"""The simulated NPU as a user meets it: profiles, views, and whole models held to the oracle.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest npu_test
"""

import json
import os
import pathlib
import tempfile
import unittest

import cli_test
from cli_test import MODEL


class SimulatedNpuTest(cli_test.CommandCase):
    """Devices of npu_sim; skipped where it is not built."""

    def setUp(self):
        if "npu_sim:310p" not in [d["name"] for d in self.json("devices")]:
            self.skipTest("npu_sim is not built here")

    def test_runs_the_default_model_on_a_simulated_clock(self):
        for device in ("npu_sim:310p", "npu_sim:910b"):
            words = ("run", "--device", device, "--scheme", "w16a16",
                     "-p", "A library for", "-n", 4)
            report = self.json(*words)
            self.assertEqual(report["clock"], "simulated")
            self.assertGreater(report["decode_tokens_per_s"], 0)
            again = self.json(*words)
            self.assertEqual(report["text"], again["text"])
            self.assertEqual(report["decode_tokens_per_s"],
                             again["decode_tokens_per_s"])
            self.assertIn("simulated clock", self.done(*words).stderr)

    def test_refusals_name_the_hardware_that_is_missing(self):
        self.refused(1, "310p has no bf16", "run", "--device", "npu_sim:310p",
                     "--scheme", "bf16", "-p", "A", "-n", 1)

    def test_names_the_nearest_profile(self):
        self.refused(1, "the nearest is '310p'", "run", "--device",
                     "npu_sim:311p", "-p", "A", "-n", 1)
        # Numbers are indices too, so the profiles that begin alike are the nearest.
        self.refused(1, "the nearest: npu_sim:310b1, npu_sim:310b4, npu_sim:310p", "run", "--device", "npu_sim:310",
                     "-p", "A", "-n", 1)

    def test_times_ops_with_every_promised_key(self):
        rows = self.json("bench", "ops", "--device",
                         "npu_sim:910b,npu_sim:310p", "--shape",
                         "256x256x256,64x512x512", "--scheme", "w16a16,w8a8,w8a8_mix")
        self.assertEqual(len(rows), 12)
        for row in rows:
            for key in ("op", "device", "scheme", "M", "N", "K", "median_ns",
                        "ci95_ns", "clock", "bytes", "ops", "limit",
                        "limit_kind", "achieved_over_limit", "correct"):
                self.assertIn(key, row)
            self.assertEqual(row["clock"], "simulated")
            self.assertGreater(row["median_ns"], 0)

    def test_a_profile_of_ones_own_is_a_device(self):
        source = pathlib.Path(os.environ["TSR_SOURCE_DIR"])
        text = (source / "backends/npu_sim/profiles/310p.yaml").read_text()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a-profile-with-a-long-name.yaml"
            path.write_text(text)
            for more in ((), ("--isolate",)):
                rows = self.json("bench", "ops", "--device", f"npu_sim:{path}",
                                 "--shape", "64x64x64", *more)
                self.assertEqual(rows[0]["device"], f"npu_sim:{path}")
            path.write_text(text.replace("global.dram_gbps", "global.dram"))
            self.refused(1, "unknown parameter 'global.dram'", "bench", "ops",
                         "--device", f"npu_sim:{path}", "--shape", "8x8x8")

    def test_writes_the_views_of_one_op(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            self.done("bench", "ops", "--device", "npu_sim:910b", "--shape",
                      "512x512x512", "--trace", path / "t.json", "--csv",
                      path / "tables", "--svg", path / "r.svg", "--listing",
                      path / "l.txt")
            trace = json.loads((path / "t.json").read_text())
            self.assertTrue(trace["traceEvents"])
            self.assertIn("aic_mte2_time(us)",
                          (path / "tables" / "PipeUtilization.csv").read_text())
            self.assertIn("<svg", (path / "r.svg").read_text())
            self.assertIn("mmad", (path / "l.txt").read_text())

    def test_bad_shapes_are_one_clear_line(self):
        words = ("bench", "ops", "--device", "npu_sim:910b", "--shape")
        self.refused(1, "is not 3 sizes", *words, "12x")
        self.refused(1, "M 99999999 is not a whole number", *words,
                     "99999999x1x1")


class SimulatedNpuModelTest(cli_test.CommandCase):
    """Calibrated models on the chips that they are for, held to the oracle."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)

    def setUp(self):
        if "npu_sim:310p" not in [d["name"] for d in self.json("devices")]:
            self.skipTest("npu_sim is not built here")

    def hold_to_the_oracle(self, device, scheme):
        folder = self.folder / scheme
        self.done("quantize", "--scheme", scheme, "--calib", MODEL / "text" / "calibrate.txt",
                  "--calib-tokens", 512, "-o", folder)
        # The oracle has the chip's arithmetic: 16-bit factors, portable small ops, with hw the fixed pipe's scales.
        for numerics in ("ref", "hw"):
            blocks = self.json("eval", folder, "--device", f"npu_sim:{device}", "--option", f"numerics={numerics}",
                               "--text", MODEL / "text" / "report.txt", "--limit", 40, "--phase", "both",
                               "--against", "oracle")
            for block in blocks:
                with self.subTest(numerics=numerics, phase=block["phase"]):
                    self.assertLessEqual(block["kl_between"], 2 * block["kl_order_floor"])
                    self.assertEqual(block["argmax_agreement"], 1)
                    self.assertGreater(block["kl_order_floor"], 0)

        self.hold_each_launch(device, folder)

    def hold_each_launch(self, device, folder):
        for phase in ("prefill", "decode"):
            words = ("npu", "launches", folder, "--device", f"npu_sim:{device}", "--text",
                     MODEL / "text" / "report.txt", "--limit", 12, "--phase", phase, "--option")
            for numerics in ("ref", "hw"):  # the oracle has bits of its own for both
                rows = self.json(*words, f"numerics={numerics}")
                self.assertGreater(len([row for row in rows if row["exact"]]), 40)
                for row in rows:
                    self.assertTrue(row["agrees"], row)

    def test_w8a8sc_on_310p(self):
        self.hold_to_the_oracle("310p", "w8a8sc")

    def test_w8a8_mix_on_910b(self):
        self.hold_to_the_oracle("910b", "w8a8_mix")

    def test_int8_kv_on_910b(self):
        self.hold_to_the_oracle("910b", "w8a8_dynamic_kv8_channel")

    def test_fa3_on_910b(self):
        self.hold_to_the_oracle("910b", "w8a8_mix_fa3")

    def test_fp8_on_950(self):
        for phase in ("prefill", "decode"):
            rows = self.json("npu", "launches", "--device", "npu_sim:950", "--scheme", "fp8", "--limit", 12, "--phase", phase)
            self.assertGreater(len([row for row in rows if row["name"].endswith("_proj")]), 20)
            for row in rows:
                self.assertTrue(row["agrees"], row)
        self.refused(1, "910b1 has no fp8; the first chip with it is 950", "run", "--device", "npu_sim:910b", "--scheme",
                     "fp8", "-p", "A", "-n", 1)


if __name__ == "__main__":
    unittest.main()
