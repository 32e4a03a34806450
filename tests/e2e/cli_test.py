# SPDX-License-Identifier: Apache-2.0
"""The command as a user meets it: real runs on the default model, and bad input.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest cli_test
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import unittest.mock

BINARY = pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "bin" / "tessera"
MODEL = pathlib.Path(os.environ["TSR_SOURCE_DIR"]) / "models" / "tessera-5m"
# What `bench` keeps is not to come among the user's own runs.
STATE = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = STATE.name


def tessera(*words, stdin=""):
    return subprocess.run([BINARY, *map(str, words)], input=stdin, text=True,
                          capture_output=True, timeout=300, check=False)


class CommandCase(unittest.TestCase):
    def done(self, *words, stdin=""):
        result = tessera(*words, stdin=stdin)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def json(self, *words, stdin=""):
        return json.loads(self.done(*words, "--json", stdin=stdin).stdout)

    def refused(self, code, contains, *words, stdin=""):
        """Holds a failure to one line on stderr and nothing on stdout."""
        result = tessera(*words, stdin=stdin)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith(f"tessera {words[0]}: "))
        self.assertIn(contains, result.stderr)


class DevicesTest(CommandCase):
    def test_json_has_every_promised_key(self):
        devices = {d["name"]: d for d in self.json("devices")}
        self.assertEqual(devices["cpu"]["status"], "ready")
        self.assertEqual(devices["cpu"]["clock"], "wall")
        for key in ("plugin", "reason", "memory_bytes", "certificate"):
            self.assertIn(key, devices["cpu"])

    def test_environment_stands_beside_the_devices(self):
        report = self.json("devices", "--env")
        self.assertGreaterEqual(report["environment"]["cores"], 1)
        self.assertIn("cpu", [d["name"] for d in report["devices"]])


class CalibratedModels:
    """What every device that runs whole models must hold: for a CommandCase."""

    DEVICE = ""
    OPTIONS = ((), ("--isolate",))  # each gives the same tokens

    def test_calibrated_models_agree_with_the_oracle_and_give_the_tokens_of_the_cpu(self):
        with tempfile.TemporaryDirectory() as name:
            for scheme in ("w8a8", "w8a8_mix_fa3", "w8a8_dynamic_kv8_channel"):
                folder = pathlib.Path(name) / scheme
                self.done("quantize", "--scheme", scheme, "--calib", MODEL / "text" / "calibrate.txt",
                          "--calib-tokens", 1000, "-o", folder)
                for block in self.json("eval", folder, "--device", self.DEVICE, "--text",
                                       MODEL / "text" / "report.txt", "--limit", 60, "--phase", "both",
                                       "--against", "oracle"):
                    with self.subTest(scheme=scheme, phase=block["phase"]):
                        self.assertTrue(block["agrees"], block)
            # Its linears, its attention and the small ops are all of the portable class.
            words = ("run", pathlib.Path(name) / "w8a8_mix_fa3", "-p", "A library for", "-n", 32)
            wanted = self.json(*words, "--device", "cpu")["token_ids"]
            for options in self.OPTIONS:
                with self.subTest(options=options):
                    self.assertEqual(self.json(*words, "--device", self.DEVICE, *options)["token_ids"], wanted)


class VulkanTest(CalibratedModels, CommandCase):
    """Whole models on the first Vulkan device; skipped where there is none."""

    DEVICE = "vulkan:0"
    OPTIONS = CalibratedModels.OPTIONS + (
        ("--option", "form=tile"), ("--option", "staging=always"), ("--option", "staging=always", "--isolate"))

    def setUp(self):
        devices = {d["name"]: d for d in self.json("devices")}
        found = [d for name, d in devices.items() if name.startswith("vulkan")]
        if not found:
            self.skipTest("the Vulkan backend is not built here")
        if found[0]["status"] != "ready":
            self.skipTest(found[0]["reason"])

    def test_agrees_with_the_cpu_in_both_phases(self):
        for scheme in ("bf16", "w8a8_dynamic", "w4a16"):
            reports = self.json("eval", "--device", "vulkan:0", "--scheme",
                                scheme, "--phase", "both", "--limit", 40,
                                "--against", "cpu")
            for report in reports:
                self.assertEqual(report["argmax_agreement"], 1.0, scheme)
                self.assertLess(report["kl_between"], 1e-3, scheme)

    def test_greedy_text_is_the_same_twice(self):
        words = ("run", "--device", "vulkan:0", "--scheme", "w8a8_dynamic",
                 "-p", "Once upon a time", "-n", 4)
        first = self.json(*words)
        self.assertEqual(first["token_ids"], self.json(*words)["token_ids"])
        self.assertEqual(first["clock"], "wall")

    def test_a_run_goes_on_elsewhere_when_the_driver_loses_the_device(self):
        layer = BINARY.parent.parent / "tests/unit/backends/vulkan/faults/layer"
        if not layer.is_dir():
            self.skipTest("the layer that makes calls fail is not built here")
        words = ("run", "--device", "vulkan:0", "--scheme", "w8a8_dynamic",
                 "-p", "Once upon a time", "-n", 8)
        whole = self.json(*words)
        self.assertEqual(whole["switches"], [])
        with unittest.mock.patch.dict(os.environ, VK_ADD_LAYER_PATH=str(layer),
                                      VK_INSTANCE_LAYERS="VK_LAYER_TSR_faults",
                                      TSR_VULKAN_FAULT="vkQueueSubmit:4:-4"):
            lost = self.json(*words)
        self.assertEqual(lost["token_ids"], whole["token_ids"])
        self.assertEqual(len(lost["switches"]), 1)
        self.assertIn("vkQueueSubmit failed with VkResult -4",
                      lost["switches"][0]["reason"])


class RunTest(CommandCase):
    def test_greedy_text_is_the_same_twice_and_on_stdout_alone(self):
        words = ("run", "-p", "A library for", "-n", 12)
        first = self.done(*words)
        self.assertEqual(first.stdout, self.done(*words).stdout)
        self.assertTrue(first.stdout.strip())
        self.assertIn("tokens/s", first.stderr)

    def test_streamed_text_is_the_text_of_the_json(self):
        words = ("run", "-p", "A library for", "-n", 12)
        self.assertEqual(self.done(*words).stdout,
                         self.json(*words)["text"] + "\n")

    def test_json_has_every_promised_key(self):
        report = self.json("run", "-p", "A library for", "-n", 4)
        for key in ("text", "prefill_tokens_per_s", "decode_tokens_per_s",
                    "clock", "host_ns_per_step", "device"):
            self.assertIn(key, report)
        self.assertEqual(len(report["token_ids"]), 4)

    def test_prompts_of_a_batch_get_what_they_get_alone(self):
        prompts = ("A library for", "A tool that shows")
        batch = self.json("run", "--scheme", "f32", "-n", 8,
                          "-p", prompts[0], "-p", prompts[1])
        for prompt, generation in zip(prompts, batch["generations"]):
            alone = self.json("run", "--scheme", "f32", "-n", 8, "-p", prompt)
            self.assertEqual(generation["token_ids"], alone["token_ids"])

    def test_prompt_comes_from_stdin_or_a_file(self):
        expected = self.done("run", "-p", "A library for", "-n", 4).stdout
        self.assertEqual(
            self.done("run", "-p", "-", "-n", 4, stdin="A library for\n").stdout,
            expected)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("A library for\n")
            file.flush()
            self.assertEqual(
                self.done("run", "-f", file.name, "-n", 4).stdout, expected)

    def test_a_seed_fixes_what_is_sampled(self):
        words = ("run", "-p", "A", "-n", 8, "--temperature", 1.0, "--seed", 7)
        self.assertEqual(self.done(*words).stdout, self.done(*words).stdout)

    def test_profile_names_kernels_and_the_hosts_budget(self):
        report = self.json("run", "-p", "A library for", "-n", 4, "--profile")
        self.assertTrue(report["kernels"])
        self.assertEqual(report["host_budget_ns"],
                         10000 + 2000 * report["programs_per_step"])

    def test_a_child_process_gives_the_same_tokens(self):
        words = ("run", "-p", "A library for", "-n", 8)
        child = self.json(*words, "--isolate")
        self.assertTrue(child["isolated"])
        self.assertEqual(child["token_ids"], self.json(*words)["token_ids"])

    def test_a_change_of_plan_to_the_same_device_changes_no_token(self):
        words = ("run", "-p", "A library for", "-n", 12)
        wanted = self.json(*words)
        self.assertEqual(wanted["switches"], [])
        for more in ((), ("--isolate",)):
            report = self.json(*words, "--switch-at", 5, *more)
            self.assertEqual(report["token_ids"], wanted["token_ids"])
            self.assertEqual(report["switches"], [{"step": 5, "lost": "cpu", "reason": "", "device": "cpu"}])

    def test_the_user_is_told_of_a_change_of_plan_once(self):
        done = self.done("run", "-p", "A library for", "-n", 12, "--switch-at", 5)
        self.assertEqual(done.stderr.count("cpu is given up before step 5 (--switch-at); going on with cpu\n"), 1)
        late = self.done("run", "-p", "A library for", "-n", 4, "--switch-at", 500)
        self.assertIn("--switch-at 500: the run ended after 4 steps\n", late.stderr)

    def test_only_a_device_of_the_run_can_be_given_up(self):
        self.refused(1, "--switch-from gpu: the run is on cpu", "run", "-p", "A", "-n", 4,
                     "--switch-at", 1, "--switch-from", "gpu")

    def test_a_full_context_ends_the_text(self):
        report = self.json("run", "-p", "A", "-n", 50, "--context", 8)
        self.assertEqual(report["finish_reason"], "context")


class OpenClTest(CalibratedModels, CommandCase):
    """Whole models on the first OpenCL device; skipped, with the reason, where there is none."""

    DEVICE = "opencl:0"

    def setUp(self):
        devices = [d for d in self.json("devices") if d["plugin"] == "opencl"]
        if not devices or devices[0]["status"] != "ready":
            self.skipTest(devices[0]["reason"] if devices else "opencl is not built here")

    def test_agrees_with_the_oracle_in_both_phases(self):
        for scheme in ("f32", "bf16", "w8a8_dynamic", "w4a16", "q4_0"):
            for block in self.json("eval", "--device", "opencl:0", "--scheme", scheme, "--limit", 100,
                                   "--phase", "both", "--against", "oracle"):
                with self.subTest(scheme=scheme, phase=block["phase"]):
                    self.assertTrue(block["agrees"], block)
                    self.assertEqual(block["argmax_agreement"], 1.0)

    def test_memory_and_form_change_no_text(self):
        words = ("run", "--device", "opencl:0", "--scheme", "w8a8_dynamic", "-p", "A library for", "-n", 8)
        text = self.json(*words)["text"]
        for option in ("memory=copied", "memory=mapped", "form=tile", "submit=enqueued"):
            with self.subTest(option=option):
                self.assertEqual(self.json(*words, "--option", option)["text"], text)

    def test_a_part_of_the_device_gives_the_same_text(self):
        words = ("run", "--scheme", "w8a8_dynamic", "-p", "A library for", "-n", 8)
        # Without a cache, the part compiles its kernels itself.
        with tempfile.TemporaryDirectory() as cache, unittest.mock.patch.dict(os.environ, XDG_CACHE_HOME=cache):
            part = tessera(*words, "--device", "opencl:0.1", "--json")
        if "part 1 of 0 parts" in part.stderr:
            self.skipTest("the device cannot be split")
        self.assertEqual(part.returncode, 0, part.stderr)
        self.assertEqual(json.loads(part.stdout)["text"], self.json(*words, "--device", "opencl:0")["text"])

    def test_each_device_of_a_driver_has_a_number(self):
        with unittest.mock.patch.dict(os.environ, POCL_DEVICES="pthread basic"):
            names = [d["name"] for d in self.json("devices") if d["plugin"] == "opencl"]
            if len(names) != 2:
                self.skipTest("no driver here shows two devices when asked")
            self.assertEqual(names, ["opencl:0", "opencl:1"])
            words = ("run", "--scheme", "w8a8_dynamic", "-p", "A library for", "-n", 8)
            reports = [self.json(*words, "--device", name) for name in names]
            self.assertEqual([r["device"] for r in reports], names)
            self.assertEqual(reports[0]["text"], reports[1]["text"])
            self.refused(1, "has 2 devices", *words, "--device", "opencl")
            self.refused(1, "no device opencl:2", *words, "--device", "opencl:2")

    def test_an_unknown_option_is_named(self):
        self.refused(1, "no option speed", "run", "--device", "opencl:0", "--option", "speed=9",
                     "-p", "A", "-n", 1)


class EvalTest(CommandCase):
    def test_json_has_every_promised_key(self):
        report = self.json("eval", "--limit", 200, "--scheme", "f32")
        for key in ("perplexity", "kl_mean", "kl_p99", "top1", "accuracy"):
            self.assertEqual(len(report[key + "_ci95"]), 2, key)
        self.assertEqual(report["tokens"], 200)
        self.assertEqual(report["phase"], "prefill")
        self.assertEqual(report["head_scheme"], "f32")
        self.assertIsNone(report["plan"])

    def test_both_phases_give_a_block_each(self):
        phases = [block["phase"] for block in
                  self.json("eval", "--limit", 100, "--phase", "both")]
        self.assertEqual(phases, ["prefill", "decode"])

    def test_a_missed_gate_prints_everything_and_fails(self):
        result = tessera("eval", "--limit", 200, "--scheme", "w4a16",
                         "--max-kl", 1e-9, "--json")
        self.assertEqual(result.returncode, 1)
        self.assertTrue(json.loads(result.stdout)["missed_gates"])
        self.assertIn("--max-kl", result.stderr)

    def test_a_gate_that_holds_passes(self):
        self.done("eval", "--limit", 200, "--max-kl", 10, "--max-drop", 100)

    def test_a_device_agrees_with_itself(self):
        report = self.json("eval", "--limit", 100, "--against", "cpu")
        self.assertEqual(report["kl_between"], 0.0)
        self.assertEqual(report["argmax_agreement"], 1.0)
        self.assertGreater(report["decided_share"], 0.0)

    def test_the_oracle_can_be_the_other_device(self):
        report = self.json("eval", "--limit", 100, "--against", "oracle")
        self.assertEqual(report["argmax_agreement"], 1.0)


class CompareTest(CommandCase):
    def test_every_device_and_scheme_has_its_row(self):
        rows = self.json("compare", "--limit", 100, "-n", 4,
                         "--schemes", "f32,w8a16", "--devices", "cpu")
        self.assertEqual([row["scheme"] for row in rows], ["f32", "w8a16"])
        for row in rows:
            self.assertEqual(row["reason"], "")
            self.assertGreater(row["decode_tokens_per_s"], 0)
        self.assertLess(rows[1]["model_size"]["quantized"], rows[0]["model_size"]["quantized"])

    def test_a_quantized_model_stands_beside_its_original(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            self.done("quantize", "--scheme", "w8a8_dynamic", "-o", out)
            row = self.json("compare", "--quantized", out, "--limit", 100, "-n", 4, "--devices", "cpu")
        size, speed, accuracy = row["model_size"], row["inference_speed"], row["accuracy"]
        self.assertEqual(list(size), ["original", "quantized", "compression_ratio"])
        self.assertEqual(list(speed), ["original", "quantized", "speedup"])
        self.assertEqual(list(accuracy), ["original", "quantized", "degradation"])
        self.assertAlmostEqual(size["compression_ratio"], size["original"] / size["quantized"])
        self.assertAlmostEqual(speed["speedup"], speed["quantized"] / speed["original"])
        self.assertAlmostEqual(accuracy["degradation"], accuracy["original"] - accuracy["quantized"])
        self.assertGreater(size["compression_ratio"], 1.5)


class QuantizeTest(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name) / "out"

    def kl(self, *words):
        return self.json("eval", *words, "--text", MODEL / "text" / "report.txt", "--limit", 300)["kl_mean"]

    def test_a_folder_gives_what_its_scheme_gives(self):
        for scheme in ("w8a8_dynamic", "w4a16_g128"):
            report = self.json("quantize", "--scheme", scheme, "-o", self.out)
            self.assertEqual(report["format"], "compressed-tensors")
            self.assertLess(report["bytes_out"], report["bytes_in"])
            self.assertEqual(len(report["layers"]) % 7, 0)
            # Not bit for bit: the head and what lies between the ops keep f32.
            self.assertLess(self.kl(self.out, "--reference", MODEL),
                            1.2 * self.kl("--scheme", scheme))
            shutil.rmtree(self.out)

    def test_calibrated_attention_survives_the_file(self):
        for suffix in ("kv8_channel", "fa3"):
            report = self.json("quantize", "--scheme", "w8a8_dynamic_" + suffix, "-o", self.out)
            self.assertEqual(report["format"], "msmodelslim")
            kl = self.kl(self.out, "--reference", MODEL)
            plain = self.kl(self.out, "--reference", MODEL, "--kv", "f32")
            # Neither lost nor free.
            self.assertNotEqual(kl, plain)
            self.assertLess(kl, 10 * plain)
            shutil.rmtree(self.out)

    def test_calibrated_attention_needs_calibration(self):
        self.refused(1, "needs scales from calibration", "run", "-p", "a", "-n", "1", "--kv", "fa3")

    def test_static_int8_with_smoothing_is_calibrated(self):
        self.json("quantize", "--config", "w8a8_static", "-o", self.out, "--calib",
                  MODEL / "text" / "calibrate.txt", "--calib-tokens", 2000)
        description = json.loads((self.out / "quant_model_description.json").read_text())
        self.assertIn("W8A8", description.values())
        self.assertLess(self.kl(self.out, "--reference", MODEL), 0.02)

    def test_a_gguf_file_gives_what_its_types_give(self):
        file = self.out.with_name("out.gguf")
        for scheme, types in (("q5_0", "q5_0"), ("q4_k_m", "q4_k")):
            report = self.json("quantize", "--scheme", scheme, "-o", file)
            self.assertEqual(report["format"], "gguf")
            self.assertEqual(report["bytes_out"], file.stat().st_size)
            self.assertIn(types, {layer["scheme"] for layer in report["layers"]})
            # The embedding is rounded too, which --scheme does not do.
            self.assertLess(self.kl(file, "--reference", MODEL), 1.5 * self.kl("--scheme", types))
            self.assertEqual([path.name for path in self.out.parent.iterdir()], [file.name])
            file.unlink()

    def test_a_compressed_folder_gives_what_the_model_in_memory_gives(self):
        calibration = ("--calib", MODEL / "text" / "calibrate.txt", "--calib-tokens", 1000)
        report = self.json("quantize", "--scheme", "w8a8sc", "--outliers", "none", "-o", self.out, *calibration)
        self.assertEqual(report["format"], "msmodelslim")
        self.assertLess(report["bits_per_weight_linears"], 4.5)
        weights = self.out / "part0-of-1" / "quant_model_weights.safetensors"
        self.assertTrue(weights.is_file())
        self.assertLess(self.kl(self.out, "--reference", MODEL), 0.1)
        (self.out / "part0-of-1").rename(self.out / "part0-of-4")
        self.refused(1, "divided between 4 ranks", "run", self.out, "--prompt", "Once")

    def test_what_gguf_cannot_hold_is_refused_before_the_work(self):
        file = self.out.with_name("out.gguf")
        self.refused(1, "w8a8_dynamic has no GGUF type", "quantize", "--scheme", "w8a8_dynamic", "-o", file)
        self.refused(1, "q4_k_m is a mix", "quantize", "--scheme", "q4_k_m", "-o", self.out)
        self.refused(1, "no/such", "quantize", "--scheme", "q4_0", "-o", "no/such/out.gguf")
        self.assertEqual(list(self.out.parent.iterdir()), [])

    def test_an_output_that_exists_is_left_alone(self):
        self.out.mkdir()
        self.refused(1, "exists already", "quantize", "--scheme", "w8a16", "-o", self.out)
        self.assertEqual(list(self.out.iterdir()), [])

    def test_what_cannot_be_written_is_refused_before_the_work(self):
        self.refused(1, "not written", "quantize", "--scheme", "q4_0", "-o", self.out)
        self.assertFalse(self.out.exists())
        self.assertFalse(self.out.with_name("out.partial").exists())


class TuneTest(CommandCase):
    def test_fallback_recovers_static_int8(self):
        # down_proj is where static activations fail; the search must find it.
        with tempfile.TemporaryDirectory() as folder:
            recipe = pathlib.Path(folder) / "best.yaml"
            report = self.json("tune", "--scheme", "w8a8", "--max-kl", 0.02, "--stages", "fallback",
                               "--calib-tokens", 1000, "-o", recipe)
            written = self.json("quantize", "--config", recipe, "-o", pathlib.Path(folder) / "out")
        self.assertTrue(report["met_on_select"])
        self.assertLess(report["kl_report_ci95"][1], 0.02)
        self.assertTrue(all("down_proj" in name for name in report["disable_names"]))
        fallbacks = [layer["name"] for layer in written["layers"] if layer["fallback"]]
        self.assertEqual(sorted(fallbacks), sorted(report["disable_names"]))

    def test_a_tolerance_out_of_reach_prints_everything_and_fails(self):
        result = tessera("tune", "--scheme", "w8a8", "--max-kl", 1e-9, "--stages", "weights",
                         "--calib-tokens", 500, "--json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("--max-kl", result.stderr)
        self.assertEqual(len(json.loads(result.stdout)["steps"]), 3)

    def test_wrong_use(self):
        self.refused(1, "stage speed", "tune", "--scheme", "w8a8", "--max-kl", 1, "--stages", "speed")
        self.refused(1, "no such", "tune", "no/such/model", "--scheme", "w8a8", "--max-kl", 1)


class BadInputTest(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.model = pathlib.Path(folder.name) / "model"
        shutil.copytree(MODEL, self.model)

    def test_unknown_device_names_those_there_are(self):
        self.refused(1, "cpu", "run", "-p", "a", "--device", "abacus")

    def test_static_activations_need_calibration_first(self):
        for scheme in ("w8a8", "w8a8_mix"):
            self.refused(1, "need scales from calibration", "run", "--prompt", "Once", "--scheme", scheme)

    def test_unknown_scheme_names_those_there_are(self):
        self.refused(2, "w8a8_dynamic", "run", "-p", "a", "--scheme", "w9")

    def test_empty_prompts(self):
        self.refused(2, "prompt is empty", "run", "-p", "")
        self.refused(1, "stdin: is empty", "run", "-p", "-")

    def test_prompt_longer_than_the_context(self):
        self.refused(1, "the context holds 1024", "run", "-p", "word " * 3000)
        self.refused(1, "the context holds 2", "run", "-p", "A library for",
                     "--context", 2)

    def test_context_beyond_the_model(self):
        self.refused(1, "--context 9999", "run", "-p", "a", "--context", 9999)

    def test_missing_text(self):
        self.refused(1, "/nonexistent", "eval", "--text", "/nonexistent")
        shutil.rmtree(self.model / "text")
        self.refused(1, "--text FILE is needed", "eval", self.model)

    def test_truncated_weights(self):
        weights = self.model / "model.safetensors"
        for size in (0, 7, 8, 5000, weights.stat().st_size - 1):
            os.truncate(weights, size)
            with self.subTest(size=size):
                self.refused(1, "model.safetensors", "run", self.model,
                             "-p", "a")
            shutil.copy(MODEL / "model.safetensors", weights)

    def test_each_missing_file_is_named(self):
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            (self.model / name).unlink()
            with self.subTest(name=name):
                self.refused(1, name, "inspect", self.model)
            shutil.copy(MODEL / name, self.model / name)

    def test_damaged_json(self):
        for name in ("config.json", "tokenizer.json"):
            (self.model / name).write_text("{")
            with self.subTest(name=name):
                self.refused(1, name, "run", self.model, "-p", "a")
            shutil.copy(MODEL / name, self.model / name)

    def test_unknown_architecture_is_refused_by_name(self):
        config = json.loads((self.model / "config.json").read_text())
        config["architectures"] = ["MixtralForCausalLM"]
        config["model_type"] = "mixtral"
        (self.model / "config.json").write_text(json.dumps(config))
        self.refused(1, "ixtral", "run", self.model, "-p", "a")

    def test_a_closed_reader_is_no_crash(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([BINARY, "inspect"], stdout=full,
                                    stderr=subprocess.PIPE, text=True,
                                    timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot write to stdout", result.stderr)


if __name__ == "__main__":
    unittest.main()
