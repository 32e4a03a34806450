# SPDX-License-Identifier: Apache-2.0
"""Every key that a command prints with --json stands in its section of docs/json.md.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest json_docs_test
"""

import os
import pathlib
import re
import tempfile
import unittest

from bench_test import QUICK
from cli_test import CommandCase

DOCS = pathlib.Path(os.environ["TSR_SOURCE_DIR"]) / "docs" / "json.md"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
QUOTED = re.compile(r"`([^`]+)`")
# Objects whose keys are data: names of devices, libraries, kernels, figures.
DATA = {"libraries", "figures", "predicted_ns", "limits", "simulation", "environment"}


def sections():
    """The words in back quotes of each section, by its title."""
    parts = SECTION.split(DOCS.read_text())
    return {title: {word for quoted in QUOTED.findall(text) for word in re.findall(r"\w+", quoted)}
            for title, text in zip(parts[1::2], parts[2::2])}


def keys_of(value, found):
    """Adds the keys of an object and of all objects in it."""
    if isinstance(value, list):
        for item in value:
            keys_of(item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            found.add(key)
            if key not in DATA:
                keys_of(item, found)
    return found


class JsonDocsTest(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.sections = sections()

    def check(self, title, *words, also=()):
        """Keys of what `words` print are in section `title`, or in one that it refers to."""
        documented = set().union(*(self.sections[name] for name in (title, *also)))
        printed = keys_of(self.json(*words), set())
        # "each with `_ci95`"
        missing = {key for key in printed if key not in documented
                   and not (key.endswith("_ci95") and key.removesuffix("_ci95") in documented)}
        self.assertEqual(missing, set(), f"docs/json.md, {title}")

    def test_devices(self):
        self.check("devices", "devices", "--env")

    def test_inspect(self):
        self.check("inspect", "inspect", "--estimate")

    def test_run(self):
        self.check("run", "run", "-p", "A", "-n", 2, "--profile")

    def test_eval(self):
        self.check("eval", "eval", "--limit", 20, "--against", "cpu")

    def test_compare(self):
        self.check("compare", "compare", "--schemes", "w8a16", "--devices", "cpu", "--limit", 50)

    def test_quantize(self):
        self.check("quantize", "quantize", "--scheme", "w8a16", "-o", self.folder / "out")

    def test_bench(self):
        history = ("--db", self.folder / "history.db")
        ops = ("bench", "ops", "--device", "cpu", *QUICK, *history)
        self.check("bench ops", *ops, "--shape", "1x8x32")
        self.check("bench ops", *ops, "--op", "attention", "--kv-len", 8, "--heads", 2)
        self.check("bench model", "bench", "model", "--device", "cpu", "-n", 2, "--repetitions", 2, "--context", 4,
                   "--breakdown", *history)
        self.check("bench list", "bench", "list", *history)
        self.check("bench show", "bench", "show", 1, *history, also=("bench list", "bench ops"))
        self.check("bench diff", "bench", "diff", 1, 1, *history, also=("bench list",))
        self.check("bench merge", "bench", "merge", self.folder / "history.db", "--db", self.folder / "all.db")

    def test_report(self):
        path = self.folder / "ops.json"
        path.write_text(self.done("bench", "ops", "--device", "cpu", *QUICK, "--shape", "1x8x32", "--no-history",
                                  "--json").stdout)
        self.check("report", "report", path, "-o", self.folder / "page.html")

    def test_new_plugin(self):
        self.check("new-plugin", "new-plugin", "some", "-o", self.folder / "some")

    def test_every_section_is_of_a_command(self):
        for title in self.sections:
            self.done(*title.split(), "--help")


if __name__ == "__main__":
    unittest.main()
