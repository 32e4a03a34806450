# SPDX-License-Identifier: Apache-2.0
"""A model of 3 GB is mapped, not copied.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest large_model_test
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

BINARY = pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "bin" / "tessera"
TOKENIZER = pathlib.Path(os.environ["TSR_SOURCE_DIR"]) / "models" / "tessera-5m" / "tokenizer.json"
WRITER = pathlib.Path(__file__).with_name("write_model.py")
GIGABYTES = 3


def peak_bytes(*words):
    """The largest resident memory of one run of the command."""
    with subprocess.Popen([BINARY, *map(str, words)], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"{words}: exit code {process.returncode}")
    return usage.ru_maxrss * 1024


def available_bytes():
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0]) * 1024


class LargeModelTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if available_bytes() < 2 * GIGABYTES << 30:
            raise unittest.SkipTest(f"less than {2 * GIGABYTES} GiB of memory available")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        subprocess.run([sys.executable, WRITER, cls.folder.name, "--gigabytes", str(GIGABYTES),
                        "--hidden", "2048", "--tokenizer", TOKENIZER, "--zeros"],
                       check=True, stdout=subprocess.DEVNULL)
        cls.bytes = (pathlib.Path(cls.folder.name) / "model.safetensors").stat().st_size

    def test_running_holds_it_once(self):
        # The pages of the file count; the rest is the program and its buffers.
        peak = peak_bytes("run", self.folder.name, "-p", "package", "-n", 2, "--scheme", "bf16")
        self.assertLess(peak, self.bytes + (512 << 20))

    def test_inspecting_reads_none_of_it(self):
        self.assertLess(peak_bytes("inspect", self.folder.name), 256 << 20)


class QuantizeLargeTest(unittest.TestCase):
    """Outputs above 256 MiB are written in place, their headers last."""

    @classmethod
    def setUpClass(cls):
        if available_bytes() < 2 << 30:
            raise unittest.SkipTest("less than 2 GiB of memory available")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        subprocess.run([sys.executable, WRITER, cls.folder / "model", "--gigabytes", "0.6", "--hidden", "2048",
                        "--tokenizer", TOKENIZER, "--zeros"], check=True, stdout=subprocess.DEVNULL)
        cls.peak = peak_bytes("quantize", cls.folder / "model", "--scheme", "w8a8_dynamic", "-o", cls.folder / "out")

    def header(self):
        with (self.folder / "out" / "model.safetensors").open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            return length, json.loads(file.read(length))

    def test_memory_is_bounded_by_a_tensor(self):
        # The largest tensor is 25 MB; the model is 600.
        self.assertLess(self.peak, 200 << 20)

    def test_tensors_are_aligned_and_leave_no_gap(self):
        length, header = self.header()
        self.assertEqual(length % 8, 0)
        tensors = sorted(value["data_offsets"] + [value["dtype"]] for key, value in header.items()
                         if key != "__metadata__")
        end = 0
        for begin, next_end, dtype in tensors:
            self.assertEqual(begin, end)
            self.assertEqual(begin % {"F32": 4, "BF16": 2, "I8": 1}[dtype], 0)
            end = next_end
        self.assertEqual((self.folder / "out" / "model.safetensors").stat().st_size, 8 + length + end)

    def test_it_runs(self):
        self.assertGreater(peak_bytes("run", self.folder / "out", "-p", "package", "-n", 2), 0)


if __name__ == "__main__":
    unittest.main()
