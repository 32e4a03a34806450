# SPDX-License-Identifier: Apache-2.0
"""`tessera bench` as a user meets it, on the cpu.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest bench_test
"""

import shlex
import unittest

from cli_test import CommandCase

# Short samples: what is timed here is never looked at.
QUICK = ("--repetitions", 2, "--batch-ms", 0.1, "--cold-mib", 1)


class BenchOpsTest(CommandCase):
    def rows(self, *words):
        rows = self.json("bench", "ops", "--device", "cpu", *QUICK, *words)
        for row in rows:
            self.assertEqual(row["reason"], "")
            self.assertIs(row["correct"], True)
            self.assertGreater(row["median_ns"], 0)
            self.assertGreater(row["limit"], 0)
            low, high = row["ci95_ns"]
            self.assertLessEqual(low, row["median_ns"])
            self.assertLessEqual(row["median_ns"], high)
            self.assertEqual(len(row["samples_ns"]), 2)
        return rows

    def test_every_scheme_is_right_and_timed(self):
        rows = self.rows("--scheme", "all", "--shape", "1x80x256,37x48x256")
        self.assertEqual(len(rows), 50)
        for row in rows:
            self.assertEqual(row["weights"], "cold" if row["M"] == 1 else "hot")
            self.assertEqual(row["ops"], 2 * row["M"] * row["N"] * row["K"])
            self.assertTrue(row["kernel"])

    def test_attention_with_every_cache(self):
        rows = self.rows("--op", "attention", "--q-len", "1,17", "--kv-len",
                         "100", "--heads", 8, "--kv-heads", 2, "--head-dim",
                         64, "--batch", 2, "--kv", "f32,f16,bf16,int8,fa3")
        self.assertEqual(len(rows), 10)
        # Codes of K and V, and a scale for each token and head.
        kv = 2 * 2 * 100 * 2 * (64 + 4)
        int8 = [row for row in rows if row["kv_type"] == "int8"][0]
        self.assertEqual(int8["bytes"], kv + 2 * 2 * 8 * 64 * 2)
        # The last of 17 tokens sees 100 keys, the first 84.
        many = [row for row in rows if row["q_len"] == 17][0]
        self.assertEqual(many["ops"], 4 * 2 * sum(range(84, 101)) * 8 * 64)

    def test_small_ops_and_transfers(self):
        rows = self.rows("--op", "small,transfers", "--shape", "5x256")
        self.assertEqual(len(rows), 11)

    def test_presets_give_the_shapes_of_a_model(self):
        rows = self.rows("--preset", "qwen3-0.6b", "--m", 1, "--scheme",
                         "w8a8_dynamic")
        self.assertIn((3072, 1024), {(row["N"], row["K"]) for row in rows})

    def test_peers_stand_beside_ours_or_say_why_not(self):
        """Which are installed differs; each is a row with figures or with a reason."""
        rows = self.json("bench", "ops", "--device", "cpu", *QUICK, "--scheme", "f32",
                         "--shape", "3x48x256", "--peers", "all")
        self.assertEqual(rows[0]["device"], "cpu")
        self.assertEqual([row.get("peer") for row in rows],
                         [None, "onednn", "openblas", "clblast", "torch", "onnxruntime", "openvino"])
        for row in rows[1:]:
            self.assertNotIn("wrong", row["reason"])
            if row["reason"]:
                self.assertIsNone(row["median_ns"])
                continue
            self.assertGreater(row["median_ns"], 0)
            self.assertEqual(row["ops"], rows[0]["ops"])
            self.assertEqual(len(row["samples_ns"]), 2)

    def test_attention_has_its_peers_too(self):
        for kv, heads in (("f32", ("--heads", 4)), ("f16", ("--heads", 4, "--kv-heads", 2)), ("bf16", ("--heads", 4))):
            rows = self.json("bench", "ops", "--device", "cpu", *QUICK, "--op", "attention", "--q-len", "1,5", "--kv-len", 9,
                             "--head-dim", 32, "--kv", kv, *heads, "--peers", "torch,onnxruntime,openvino")
            self.assertEqual(len(rows), 8)
            for row in rows:
                if "peer" in row and row["reason"]:
                    self.assertRegex(row["reason"], f"not installed|over a {kv} cache")
                else:
                    self.assertGreater(row["median_ns"], 0)

    def test_a_python_that_is_not_there_is_a_reason(self):
        rows = self.json("bench", "ops", "--device", "cpu", *QUICK, "--shape", "1x48x256",
                         "--peers", "torch", "--peer-python", "no-such-python")
        self.assertEqual(rows[1]["reason"], "no-such-python: No such file or directory")

    def test_prints_the_command_that_measures_a_row_again(self):
        row = self.rows("--shape", "3x64x96", "--scheme", "w8a16", "--hot")[0]
        words = shlex.split(row["command"])
        self.assertEqual(words[:3], ["tessera", "bench", "ops"])
        again = self.json(*words[1:])[0]
        for key in ("op", "device", "scheme", "M", "N", "K", "weights",
                    "command", "case"):
            self.assertEqual(again[key], row[key])

    def test_tables_fit_80_columns(self):
        text = self.done("bench", "ops", "--device", "cpu", *QUICK, "--shape",
                         "1x64x96", "--op", "linear").stdout
        self.assertIn("limits of the processor", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_bad_input_is_one_clear_line(self):
        bench = ("bench", "ops", "--device", "cpu")
        self.refused(1, "is not 3 sizes", *bench, "--shape", "12x")
        self.refused(1, "linear needs --shape MxNxK", *bench)
        self.refused(1, "no preset 'gpt-2'", *bench, "--preset", "gpt-2")
        self.refused(1, "scheme x: not one of", *bench, "--shape", "8x8x8", "--scheme", "x")
        self.refused(1, "is more than", *bench, "--shape", "8x99999999x8")
        self.refused(1, "q_len 9 is more than kv_len 4", *bench, "--op",
                     "attention", "--q-len", 9, "--kv-len", 4, "--heads", 2)
        self.refused(1, "are no multiple of", *bench, "--op", "attention",
                     "--kv-len", 4, "--heads", 3, "--kv-heads", 2)
        self.refused(1, "of simulated devices", *bench, "--shape", "8x8x8",
                     "--svg", "x.svg")
        self.refused(2, "--op", *bench, "--op", "conv")


class BenchModelTest(CommandCase):
    def rows(self, *words):
        return self.json("bench", "model", "--device", "cpu", "-n", 3,
                         "--repetitions", 2, *words)

    def test_times_each_batch_context_and_scheme(self):
        rows = self.rows("--scheme", "f32,w4a16", "--batch", "1,3", "--context",
                         "5,600")
        self.assertEqual(len(rows), 8)
        for row in rows:
            self.assertEqual(row["reason"], "")
            self.assertGreater(row["prefill_tokens_per_s"], 0)
            low, high = row["decode_tokens_per_s_ci95"]
            self.assertLessEqual(low, row["decode_tokens_per_s"])
            self.assertLessEqual(row["decode_tokens_per_s"], high)
            self.assertGreater(row["first_token_ns"], 0)
            steps = row["step_ns"]
            self.assertLessEqual(steps["p50"], steps["p90"])
            self.assertLessEqual(steps["p90"], steps["p99"])
            self.assertGreater(row["memory"]["kv_bytes"], 0)
            self.assertEqual(row["tokens"], 3)
            limit = row["decode_limit"]
            self.assertEqual(len(limit["reads_per_ns"]), 2)
            self.assertGreaterEqual(limit["per_ns"], max(limit["reads_per_ns"]))
            self.assertAlmostEqual(limit["achieved_over_limit"], limit["achieved_per_ns"] / limit["per_ns"])
        self.assertGreater(rows[0]["memory"]["weight_bytes"],
                           rows[4]["memory"]["weight_bytes"])

    def test_breaks_time_down_by_op_and_layer(self):
        found = self.rows("--breakdown")[0]["breakdown"]
        self.assertIn("lm_head", [op["name"] for op in found["ops"]])
        layers = [layer["name"] for layer in found["layers"]]
        self.assertEqual(layers[:2], ["embedding", "layer 0"])
        self.assertEqual(layers[-1], "head")
        for way in ("prefill_ns", "decode_ns"):
            ops = sum(op[way] for op in found["ops"])
            self.assertAlmostEqual(
                ops, sum(layer[way] for layer in found["layers"]), delta=ops / 1e6)

    def test_says_what_does_not_fit(self):
        row = self.rows("--context", 9000)[0]
        self.assertIn("more than the model's context", row["reason"])
        self.assertIsNone(row["decode_tokens_per_s"])

    def test_says_beforehand_what_memory_is_lacking(self):
        """Three hundred gigabytes and more: refused by arithmetic, before anything is loaded."""
        row = self.rows("--preset", "qwen3-32b", "--scheme", "w4a16", "--batch", 512, "--context", 16000)[0]
        self.assertRegex(row["reason"], r"^needs .* at least \(.* of weights, .* of KV cache\), and .* of memory are free$")
        self.assertIsNone(row["decode_tokens_per_s"])

    def test_its_tables_fit_80_columns(self):
        text = self.done("bench", "model", "--device", "cpu", "-n", 2,
                         "--repetitions", 1, "--context", "4,9000",
                         "--breakdown").stdout
        self.assertLessEqual(max(map(len, text.splitlines())), 80)


if __name__ == "__main__":
    unittest.main()
