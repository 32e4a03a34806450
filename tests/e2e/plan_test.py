# SPDX-License-Identifier: Apache-2.0
"""Plans made, written, looked at and run, on the default model.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest plan_test
"""

import json
import os
import pathlib
import tempfile
import unittest

from cli_test import CommandCase, tessera

SMALL = ("--prompt", 32, "--generate", 16)


class PlanTest(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.plan = self.folder / "plan.json"
        self.addCleanup(os.environ.__setitem__, "XDG_STATE_HOME", os.environ["XDG_STATE_HOME"])
        os.environ["XDG_STATE_HOME"] = str(self.folder / "state")

    def devices(self):
        names = [d["name"] for d in self.json("devices")]
        return "cpu,npu_sim:310p" if "npu_sim:310p" in names else "cpu"

    def test_has_every_promised_key(self):
        plan = self.json("plan", *SMALL, "-o", self.plan)
        self.assertEqual(json.loads(self.plan.read_text()), plan)
        for key in ("objective", "predicted_ns", "lower_bound_ns", "gap",
                    "kl_predicted", "kl_measured", "memory", "layers"):
            self.assertIn(key, plan)
        self.assertLessEqual(plan["gap"], 0.001)
        linears = [x for x in plan["layers"] if x["op"] == "linear"]
        self.assertEqual(len(linears), 42)
        for layer in linears:
            self.assertIn("margin_ns", layer)
            self.assertIn("reason", layer)
            for phase in ("prefill", "decode"):
                part = layer[phase]["parts"][0]
                for key in ("device", "n_begin", "n_end", "scheme", "kernel",
                            "layout", "predicted_ns"):
                    self.assertIn(key, part)

    def test_times_a_kind_of_segment_once(self):
        plan = ("plan", *SMALL, "-o", self.plan)
        first = self.done(*plan)
        self.assertRegex(first.stderr, r"[1-9]\d* kinds of segment timed now, 0 ")
        made = self.plan.read_bytes()
        second = self.done(*plan)
        # What a busy machine says is not kept, or found to have changed.
        if "busy" not in first.stderr and "was kept" not in second.stderr:
            self.assertRegex(second.stderr,
                             r"\b0 kinds of segment timed now, [1-9]")
            self.assertEqual(self.plan.read_bytes(), made)
        for layer in json.loads(made)["layers"]:
            if layer["op"] == "linear":
                self.assertTrue(layer["decode"]["parts"][0]["kernel"])
        self.assertRegex(self.done(*plan, "--remeasure").stderr,
                         r"[1-9]\d* kinds of segment timed now, 0 ")

    def test_refuses_another_file_for_its_costs(self):
        other = self.folder / "notes.txt"
        other.write_text("not ours\n" * 100)
        self.refused(1, str(other), "plan", *SMALL, "--costs", other)
        self.assertEqual(other.read_text(), "not ours\n" * 100)

    def test_runs_over_several_devices_and_gives_the_same_tokens_again(self):
        names = self.devices()
        pins = ("--pin", "layers.0.*=cpu", "--pin", "layers.5.*=cpu")
        if names != "cpu":
            pins += ("--pin", "layers.2.*=npu_sim:310p",
                     "--pin", "layers.3.mlp*=npu_sim:310p")
        self.done("plan", "--devices", names, *SMALL, *pins, "-o", self.plan)
        run = ("run", "--plan", self.plan, "-p", "A library for", "-n", 12)
        first = self.json(*run)
        self.assertEqual(first["token_ids"], self.json(*run)["token_ids"])
        self.assertEqual(first["device"], names.replace(",", "+"))
        if names != "cpu":
            self.assertEqual(first["clock"], "wall")
            self.assertGreater(first["decode_simulated_ns"], 0)

    def test_an_exact_plan_gives_the_tokens_of_one_device(self):
        self.done("plan", *SMALL, "--schemes", "f32", "--base", "f32", "-o",
                  self.plan)
        words = ("-p", "A library for", "-n", 12)
        planned = self.json("run", "--plan", self.plan, *words)
        alone = self.json("run", "--device", "cpu", "--scheme", "f32", *words)
        self.assertEqual(planned["token_ids"], alone["token_ids"])

    def tokens_with(self, change):
        """What the plan gives before and after `change` of each linear's entry."""
        if "npu_sim" not in self.devices():
            self.skipTest("no second device with the same integer results")
        self.done("plan", *SMALL, "--schemes", "w8a8_dynamic", "--base",
                  "w16a16", "--pin",
                  "layers.*=/w8a8_dynamic", "-o", self.plan)
        run = ("run", "--plan", self.plan, "-p", "A library for", "-n", 12)
        whole = self.json(*run)
        plan = json.loads(self.plan.read_text())
        for layer in plan["layers"]:
            if layer["op"] == "linear":
                change(layer)
        self.plan.write_text(json.dumps(plan))
        changed = self.json(*run)
        self.assertEqual(changed["device"], "cpu+npu_sim:310p")
        self.assertEqual(changed["token_ids"], whole["token_ids"])
        return whole, changed

    def test_runs_linears_divided_over_devices_as_if_they_were_whole(self):
        def divide(layer):
            for phase in ("prefill", "decode"):
                part = layer[phase]["parts"][0]
                cut = part["n_end"] // 128 * 64
                other = dict(part, device="npu_sim:310p", n_begin=cut)
                layer[phase]["parts"] = [dict(part, n_end=cut), other]

        self.tokens_with(divide)

    def test_runs_decode_on_another_device_than_prefill(self):
        def move(layer):
            if "down_proj" in layer["name"]:
                layer["decode"]["parts"][0]["device"] = "npu_sim:310p"

        self.tokens_with(move)

    def test_refuses_parts_that_do_not_make_up_a_linear(self):
        self.done("plan", *SMALL, "-o", self.plan)
        plan = json.loads(self.plan.read_text())
        linear = next(x for x in plan["layers"] if x["op"] == "linear")
        for phase in ("prefill", "decode"):
            linear[phase]["parts"] *= 2
        self.plan.write_text(json.dumps(plan))
        self.refused(1, linear["name"], "run", "--plan", self.plan, "-p", "A")

    def test_divides_linears_where_that_pays(self):
        if "npu_sim" not in self.devices():
            self.skipTest("no devices that share no cores")
        plan = ("plan", "--devices", "npu_sim:310p,npu_sim:310b1", *SMALL,
                "--base", "w16a16")
        whole = self.json(*plan)
        divided = self.json(*plan, "--split-linears", "-o", self.plan)
        self.assertLess(divided["lower_bound_ns"], whole["lower_bound_ns"])
        self.assertTrue(any(len(layer["decode"]["parts"]) == 2
                            for layer in divided["layers"]))
        first, second = (self.json("run", "--plan", self.plan, "-p", "A library",
                                   "-n", 4) for _ in range(2))
        self.assertEqual(first["token_ids"], second["token_ids"])

    def test_runs_the_plan_and_others_for_real(self):
        text = self.done("plan", *SMALL, "--schemes", "w8a8_dynamic",
                         "--compare-baselines", "--run", "--challenge", 2).stdout
        self.assertIn("off by", text)
        self.assertRegex(text, r"timed again .*: prefill [\d.]+ .s \([+-]\d.* %\), "
                               r"decode step .*, workload ")
        self.assertRegex(text, r"measured, baselines take \d\.\d+ times ours")
        # One device leaves these nothing else to choose; the plan may mix the
        # base in.
        self.assertRegex(text, "one plan: .*single best device, priority-greedy")
        # Which of them is faster is the machine's to say; what follows is not.
        self.assertIn("faster beyond chance", text)
        if "none is faster beyond chance" not in text:
            self.assertIn("the plan now is ", text)
        self.assertIn("best once more", text)
        self.assertRegex(text, r"takes \d+\.\d % more than the best of \d+ others")

    def test_the_plan_is_the_one_that_runs_show_to_be_fastest(self):
        """What devices say of themselves is seldom right, but may be."""
        ran = self.done("plan", *SMALL, "--profile-seconds", 0, "--challenge", 3,
                        "--json", "-o", self.plan)
        plan = json.loads(ran.stdout)
        self.assertEqual(json.loads(self.plan.read_text()), plan)
        self.assertEqual("the plan now is " in ran.stderr, plan["in_place"] != "")
        self.assertGreaterEqual(plan["objective_value"], plan["lower_bound"])
        self.json("run", "--plan", self.plan, "-p", "A library", "-n", 2)

    def test_runs_nothing_where_no_time_is_real(self):
        problem = self.folder / "problem.json"
        self.done("plan", *SMALL, "--save-problem", problem)
        self.refused(1, "need a model", "plan", "--devices-file", problem, "--run")
        if "npu_sim" in self.devices():
            self.refused(1, "is simulated", "plan", *SMALL, "--devices",
                         "npu_sim:310p", "--profile-seconds", 0, "--run")

    def test_keeps_an_accuracy_budget_on_the_report_text(self):
        # The least memory leaves no budget unused, on any machine.
        report = self.json("plan", *SMALL, "--max-kl", 0.01, "--objective",
                           "memory", "--sensitivity-tokens", 64,
                           "--verify-tokens", 512, "-o", self.plan)
        self.assertLessEqual(report["kl_predicted"], 0.01)
        self.assertLessEqual(report["kl_measured_ci95"][1], 0.01)
        self.assertGreater(report["kl_measured"], 0.003)
        measured = self.json("eval", "--plan", self.plan, "--limit", 512)
        self.assertAlmostEqual(measured["kl_mean"], report["kl_measured"], 6)

    def test_plans_the_same_without_devices(self):
        problem = self.folder / "problem.json"
        self.done("plan", "--devices", self.devices(), *SMALL,
                  "--save-problem", problem, "-o", self.plan)
        again = [self.done("plan", "--devices-file", problem, "--json").stdout
                 for _ in range(2)]
        self.assertEqual(again[0], again[1])
        offline = json.loads(again[0])
        self.assertEqual(offline["layers"],
                         json.loads(self.plan.read_text())["layers"])

    def test_writes_the_same_plan_without_devices(self):
        problem = self.folder / "problem.json"
        offline = self.folder / "offline.json"
        self.done("plan", *SMALL, "--base", "f32", "--kv", "int8",
                  "--objective", "memory", "--save-problem", problem,
                  "-o", self.plan)
        self.done("plan", "--devices-file", problem, "-o", offline)
        self.assertEqual(offline.read_text(), self.plan.read_text())
        plan = json.loads(offline.read_text())
        self.assertEqual([plan["base_scheme"], plan["kv"], plan["objective"]],
                         ["f32", "int8", "memory"])
        ran = self.json("run", "--plan", offline, "-p", "A", "-n", 2)
        self.assertEqual(len(ran["token_ids"]), 2)
        # Another question of the same problem.
        self.done("plan", "--devices-file", problem, "--objective", "latency",
                  "-o", offline)
        self.assertEqual(json.loads(offline.read_text())["objective"], "latency")
        self.refused(2, "--base excludes --devices-file", "plan",
                     "--devices-file", problem, "--base", "bf16")
        self.refused(2, "--prompt excludes --devices-file", "plan",
                     "--devices-file", problem, "--prompt", 64)

    def test_looks_at_plans(self):
        self.done("plan", *SMALL, "-o", self.plan, "--compare-baselines")
        text = self.done("plan", "show", self.plan, "--explain",
                         "layers.0.mlp*").stdout
        self.assertIn("layers.0.mlp.up_proj", text)
        self.refused(2, "--explain: names no layer", "plan", "show", self.plan,
                     "--explain", "")
        picture = self.folder / "plan.svg"
        self.done("plan", "show", self.plan, "--svg", picture)
        self.assertIn("<svg", picture.read_text())
        other = self.folder / "other.json"
        self.done("plan", *SMALL, "--schemes", "f32", "--base", "f32", "-o",
                  other)
        self.assertIn("layers.0.mlp.up_proj",
                      self.done("plan", "diff", self.plan, other).stdout)
        self.assertEqual(self.done("plan", "diff", other, other).stdout, "")

    def test_says_which_limits_clash(self):
        result = tessera("plan", *SMALL, "--memory", "cpu=1M")
        self.assertEqual(result.returncode, 1)
        self.assertIn("memory of cpu needs at least", result.stderr)

    def test_refuses_what_does_not_fit_together(self):
        self.refused(1, "not DEVICE=SIZE", "plan", *SMALL, "--memory", "x=1")
        self.refused(1, "No such file", "run", "--plan", "/no/plan", "-p", "A")
        self.plan.write_text("{}")
        self.refused(1, "format is missing", "run", "--plan", self.plan, "-p",
                     "A")
        self.refused(2, "excludes", "run", "--plan", self.plan, "--scheme",
                     "f32", "-p", "A")
        self.refused(1, "the model goes up to", "plan", "--prompt", 100000)

    def test_refuses_a_plan_for_another_model(self):
        self.done("plan", *SMALL, "-o", self.plan)
        plan = json.loads(self.plan.read_text())
        plan["fingerprints"]["model"] = "0"
        self.plan.write_text(json.dumps(plan))
        self.refused(1, "does not hold here: model", "run", "--plan",
                     self.plan, "-p", "A")

    def test_names_a_device_that_changed(self):
        self.done("plan", *SMALL, "-o", self.plan)
        plan = json.loads(self.plan.read_text())
        plan["fingerprints"]["devices"]["cpu"] = "0"
        self.plan.write_text(json.dumps(plan))
        result = self.done("run", "--plan", self.plan, "-p", "A", "-n", 2)
        self.assertIn("device cpu: planned for 0, now", result.stderr)


if __name__ == "__main__":
    unittest.main()
