# SPDX-License-Identifier: Apache-2.0
"""Quantizing that is cut off, starved or fed nonsense leaves a whole output or none.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest quantize_run_test
"""

import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BINARY = pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "bin" / "tessera"
ROOT = pathlib.Path(os.environ["TSR_SOURCE_DIR"])
TOKENIZER = ROOT / "models" / "tessera-5m" / "tokenizer.json"
TEXT = ROOT / "models" / "tessera-5m" / "text" / "calibrate.txt"
WRITER = pathlib.Path(__file__).with_name("write_model.py")
LAYERS = 6
TOKENS = 2000


def command(*words):
    return [BINARY, "quantize", *map(str, words)]


def quantize(*words, **options):
    return subprocess.run(command(*words), text=True, capture_output=True, timeout=300, check=False, **options)


def files_of(folder):
    """Every file's bytes by its name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def layers_done(output):
    """How many layers an unfinished output has."""
    try:
        return json.loads((partial(output) / "state.json").read_text())["state"]["num_layers"]
    except (FileNotFoundError, json.JSONDecodeError):
        return 0


def partial(output):
    return output.with_name(output.name + ".partial")


def stop_after(layers, how, output, *words):
    """Runs the command until so many layers are done, then sends it `how`; its process, ended."""
    process = subprocess.Popen(command(*words, "-o", output), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and layers_done(output) < layers:
        time.sleep(0.0005)
    process.send_signal(how)
    process.stdout, process.stderr = process.communicate()
    return process


class RunCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.model = cls.folder / "model"
        subprocess.run([sys.executable, WRITER, cls.model, "--layers", str(LAYERS), "--hidden", "256",
                        "--tokenizer", TOKENIZER], check=True, stdout=subprocess.DEVNULL)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=self.folder)
        self.addCleanup(folder.cleanup)
        self.output = pathlib.Path(folder.name) / "out"

    def gptq(self):
        return (self.model, "--scheme", "w4a16_g32", "--method", "gptq", "--calib", TEXT, "--calib-tokens", TOKENS)

    def done(self, *words, **options):
        result = quantize(*words, "-o", self.output, "--json", **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout), result.stderr

    def refused(self, contains, *words, **options):
        """Holds a failure to one line on stderr, and to no output."""
        result = quantize(*words, "-o", self.output, **options)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(contains, result.stderr)
        self.assertFalse(self.output.exists())


class ResumeTest(RunCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.whole = cls.folder / "whole"
        words = (cls.model, "--scheme", "w4a16_g32", "--method", "gptq", "--calib", TEXT, "--calib-tokens", TOKENS)
        subprocess.run(command(*words, "-o", cls.whole), check=True, stdout=subprocess.DEVNULL)

    def test_a_killed_run_goes_on_and_gives_the_same_bytes(self):
        for layers in (1, 3, 5):
            with self.subTest(layers=layers):
                process = stop_after(layers, signal.SIGKILL, self.output, *self.gptq())
                self.assertEqual(process.returncode, -signal.SIGKILL)
                self.assertFalse(self.output.exists())
                report, _ = self.done(*self.gptq())
                self.assertGreaterEqual(report["resumed_layers"], layers)
                self.assertEqual(len(report["layers"]), 7 * LAYERS)
                self.assertEqual(files_of(self.output), files_of(self.whole))
                self.assertFalse(partial(self.output).exists())
                shutil.rmtree(self.output)

    def test_a_run_killed_again_and_again_ends(self):
        for layers in range(1, LAYERS):
            stop_after(layers, signal.SIGKILL, self.output, *self.gptq())
        self.done(*self.gptq())
        self.assertEqual(files_of(self.output), files_of(self.whole))

    def test_an_interrupt_says_how_to_go_on(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=how):
                shutil.rmtree(partial(self.output), ignore_errors=True)
                process = stop_after(2, how, self.output, *self.gptq())
                self.assertEqual(process.returncode, 1)
                self.assertIn("interrupted; ", process.stderr)
                self.assertIn(".partial keeps the layers that are done", process.stderr)
                self.assertFalse(self.output.exists())
        report, _ = self.done(*self.gptq())
        self.assertGreaterEqual(report["resumed_layers"], 2)
        self.assertEqual(files_of(self.output), files_of(self.whole))

    def test_another_recipe_or_model_or_text_starts_afresh(self):
        stop_after(2, signal.SIGKILL, self.output, *self.gptq())
        report, told = self.done(*self.gptq()[:-1], TOKENS - 1000)
        self.assertEqual(report["resumed_layers"], 0)
        self.assertIn("starting afresh", told)
        shutil.rmtree(self.output)

        stop_after(2, signal.SIGKILL, self.output, *self.gptq())
        os.utime(self.model / "model.safetensors")
        report, told = self.done(*self.gptq())
        self.assertEqual(report["resumed_layers"], 0)
        self.assertIn("starting afresh", told)
        self.assertEqual(files_of(self.output), files_of(self.whole))

    def test_restart_forgets(self):
        stop_after(2, signal.SIGKILL, self.output, *self.gptq())
        report, told = self.done(*self.gptq(), "--restart")
        self.assertEqual(report["resumed_layers"], 0)
        self.assertEqual(told, "")

    def test_damaged_remains_are_not_used(self):
        stop_after(2, signal.SIGKILL, self.output, *self.gptq())
        weights = partial(self.output) / "weights-00001.part"
        with weights.open("r+b") as file:
            file.truncate(weights.stat().st_size // 2)
        report, _ = self.done(*self.gptq())
        self.assertEqual(report["resumed_layers"], 0)
        self.assertEqual(files_of(self.output), files_of(self.whole))

    def test_a_gguf_file_goes_on_too(self):
        words = (self.model, "--scheme", "q4_k_m")
        self.output = self.output.with_name("whole.gguf")
        self.done(*words)
        whole = self.output.read_bytes()
        self.output = self.output.with_name("out.gguf")
        process = stop_after(2, signal.SIGKILL, self.output, *words)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertFalse(self.output.exists())
        report, _ = self.done(*words)
        self.assertGreaterEqual(report["resumed_layers"], 2)
        self.assertEqual(self.output.read_bytes(), whole)
        self.assertFalse(partial(self.output).exists())

    def test_two_runs_do_not_share_an_output(self):
        partial(self.output).mkdir()
        with (partial(self.output) / "tessera.partial").open("w") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            self.refused("another process is writing it", *self.gptq())


class StarvedTest(RunCase):
    def test_a_full_disk_leaves_what_is_done(self):
        words = (self.model, "--scheme", "w8a8_dynamic")
        self.done(*words)
        whole = files_of(self.output)
        shutil.rmtree(self.output)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))

        self.refused("File too large", *words, preexec_fn=limit)
        report, _ = self.done(*words)
        self.assertGreater(report["resumed_layers"], 0)
        self.assertEqual(files_of(self.output), whole)

    def test_an_output_that_cannot_be_made(self):
        blocker = self.output.with_name("file")
        blocker.write_text("")
        self.output = blocker / "out"
        result = quantize(self.model, "--scheme", "w8a8_dynamic", "-o", self.output)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Not a directory", result.stderr)

    def test_a_folder_that_is_in_the_way_is_left_alone(self):
        partial(self.output).mkdir()
        (partial(self.output) / "mine").write_text("kept")
        self.refused("is in the way", self.model, "--scheme", "w8a8_dynamic")
        self.assertEqual((partial(self.output) / "mine").read_text(), "kept")


class BadWeightsTest(RunCase):
    def copy_with(self, tensor, index, value):
        """The model with one bf16 element replaced."""
        model = self.output.with_name("bad")
        shutil.copytree(self.model, model)
        with (model / "model.safetensors").open("r+b") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length))
            file.seek(8 + length + header[tensor]["data_offsets"][0] + 2 * index)
            file.write(struct.pack("<H", value))
        return model

    def test_nan_and_infinity_are_named(self):
        name = "model.layers.1.mlp.up_proj.weight"
        calibration = ("--method", "gptq", "--calib", TEXT, "--calib-tokens", 64)
        for bits, word in ((0x7fc0, "NaN"), (0xff80, "infinite")):
            model = self.copy_with(name, 3 * 256 + 5, bits)
            for words in (("w8a8_dynamic",), ("fp8",), ("nvfp4",), ("w4a16_g32", *calibration),
                          ("w8a8_dynamic", "--disable", "*.up_proj")):
                with self.subTest(word=word, words=words):
                    self.refused(f": {name}: row 3: column 5 is {word}", model, "--scheme", *words)
                    self.assertFalse(partial(self.output).exists())
            shutil.rmtree(model)

    def test_a_norm_that_is_not_finite_is_named(self):
        name = "model.layers.2.input_layernorm.weight"
        model = self.copy_with(name, 7, 0x7f80)
        self.refused(f"{name}: element 7 is infinite", model, "--scheme", "w8a8_dynamic")

    def test_zero_rows_stay_zero(self):
        model = self.output.with_name("zeros")
        subprocess.run([sys.executable, WRITER, model, "--layers", "2", "--hidden", "256", "--tokenizer", TOKENIZER,
                        "--zeros"], check=True, stdout=subprocess.DEVNULL)
        for words in (("w8a8_dynamic",), ("w4a16_g32",), ("fp8",), ("mxfp4",)):
            with self.subTest(words=words):
                report, _ = self.done(model, "--scheme", *words)
                self.assertEqual([layer["mse"] for layer in report["layers"]], [0.0] * 14)
                shutil.rmtree(self.output)

    def test_inputs_that_never_move_are_rounded_to_nearest(self):
        model = self.output.with_name("still")
        subprocess.run([sys.executable, WRITER, model, "--layers", "1", "--hidden", "256", "--tokenizer", TOKENIZER,
                        "--zeros"], check=True, stdout=subprocess.DEVNULL)
        report, _ = self.done(model, "--scheme", "w4a16_g32", "--method", "gptq", "--calib", TEXT,
                              "--calib-tokens", 64)
        self.assertEqual([layer["mse"] for layer in report["layers"]], [0.0] * 7)

    def test_a_group_that_does_not_divide_a_linear_is_refused(self):
        model = self.output.with_name("narrow")
        subprocess.run([sys.executable, WRITER, model, "--layers", "1", "--hidden", "96", "--tokenizer", TOKENIZER],
                       check=True, stdout=subprocess.DEVNULL)
        for group in (64, 128):
            self.refused(f"q_proj.weight: K=96 is not a multiple of group_size={group}", model, "--scheme",
                         f"w4a16_g{group}")
            self.assertFalse(partial(self.output).exists())
        self.done(model, "--scheme", "w4a16_g32")

    def test_an_empty_calibration_is_refused(self):
        empty = self.output.with_name("empty.txt")
        empty.write_text("")
        self.refused("empty", self.model, "--scheme", "w8a8", "--calib", empty)

    def test_a_glob_that_matches_nothing_is_told(self):
        report, _ = self.done(self.model, "--scheme", "w8a8_dynamic", "--disable", "*.no_proj")
        self.assertIn("*.no_proj", " ".join(report["warnings"]))

    def test_too_many_fallbacks_are_told(self):
        report, _ = self.done(self.model, "--scheme", "w8a8_dynamic", "--disable", "*.mlp.*")
        self.assertIn("20 %", " ".join(report["warnings"]))


if __name__ == "__main__":
    unittest.main()
