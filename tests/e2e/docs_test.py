# SPDX-License-Identifier: Apache-2.0
"""The commands that the pages show: each exists with its options, and those of the first pages do what is said.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest docs_test
"""

import collections
import functools
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from cli_test import BINARY, MODEL, CommandCase, tessera

SOURCE = pathlib.Path(os.environ["TSR_SOURCE_DIR"])
PAGES = [SOURCE / "README.md", SOURCE / "CONTRIBUTING.md", *sorted((SOURCE / "docs").glob("*.md"))]
# Words that stand for what a reader has.
MODELS = ("Qwen3-0.6B", "path/to/Qwen2.5-0.5B", "MODEL")

Shown = collections.namedtuple("Shown", "page words")


def command_words(text):
    """The words of the first command of ours in a line; None if it has none."""
    found = re.match(r"(?:[A-Z_]+=\S+ )*(?:build/release/bin/)?tessera (?=[a-z-])(.*)", text)
    if found is None:
        return None
    try:
        words = shlex.split(found[1], comments=True)
    except ValueError:
        return None
    ends = [i for i, word in enumerate(words) if word in ("&&", "|", ">", ";")]
    return words[:ends[0]] if ends else words


def shown_commands():
    """What the pages tell the reader to type, in fences and between back ticks."""
    shown = []
    for page in PAGES:
        text = page.read_text()
        fences = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
        lines = [line.strip() for fence in fences
                 for line in re.sub(r"\\\n\s*", " ", fence).splitlines()]
        lines += [part.strip() for line in lines for part in line.split("&&")[1:]]
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        for line in lines:
            words = command_words(line.strip())
            if words and not line.startswith("tessera devices |"):
                shown.append(Shown(page.name, words))
    return shown


@functools.lru_cache(maxsize=None)
def help_of(command):
    result = tessera(*command, "--help")
    if result.returncode != 0:
        raise AssertionError(f"tessera {' '.join(command)}: {result.stderr}")
    return result.stdout


def subcommands(text):
    part = text.split("Subcommands:")[1] if "Subcommands:" in text else ""
    return set(re.findall(r"^  ([a-z][a-z-]*) ", part, re.MULTILINE))


def options(text):
    return set(re.findall(r"(?<![\w-])(--[a-z][\w-]*|-[a-zA-Z])(?![\w-])", text))


class DocumentedCommandsTest(CommandCase):
    def test_pages_show_commands_at_all(self):
        shown = shown_commands()
        self.assertGreater(len(shown), 100)
        for page in ("quick_start.md", "benchmark.md", "deploy.md", "README.md"):
            self.assertIn(page, {one.page for one in shown})

    def test_each_exists_with_its_options(self):
        for page, words in shown_commands():
            with self.subTest(page=page, command=" ".join(words)):
                command = ()
                rest = list(words)
                while rest and rest[0] in subcommands(help_of(command)):
                    command += (rest.pop(0),)
                self.assertTrue(command, f"{words[0]} is no command")
                known = options(help_of(command))
                used = {word.split("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)}
                self.assertEqual(used - known, set())

    def test_each_command_has_a_page_and_every_page_is_linked(self):
        listed = (SOURCE / "docs" / "commands" / "README.md").read_text()
        for page in (SOURCE / "docs" / "commands").glob("*.md"):
            if page.name != "README.md":
                self.assertIn(f"]({page.name})", listed)
        index = (SOURCE / "docs" / "README.md").read_text()
        for page in (SOURCE / "docs").glob("*.md"):
            if page.name != "README.md":
                self.assertIn(f"]({page.name})", index)

    def test_no_link_leads_nowhere(self):
        for page in PAGES:
            text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
                if "://" not in target:
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")


# What makes a command short; its figures are not looked at.
QUICK = {
    ("bench", "ops"): ("--repetitions", "2", "--batch-ms", "0.1", "--cold-mib", "1"),
    ("bench", "model"): ("--repetitions", "1"),
    ("eval",): ("--limit", "64"),
    ("compare",): ("--limit", "64"),
    ("plan",): ("--prompt", "16", "--generate", "4", "--verify-tokens", "0"),
    ("run",): ("--tokens", "4"),
}


class WalkTest(CommandCase):
    """A reader who types what stands there, one command after the other, in an empty folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name in MODELS:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).symlink_to(MODEL)
        devices = self.json("devices")
        self.has_npu = any(device["name"] == "npu_sim:310p" for device in devices)

    def type(self, words, more=()):
        command = tuple(words[:2]) if words[0] == "bench" else (words[0],)
        words = list(words)
        for name, value in zip(*[iter(QUICK.get(command, ()))] * 2):
            # Given once more it would be given twice.
            aliases = {"--tokens": "-n"}
            if name not in words and aliases.get(name) not in words:
                words += [name, value]
        result = subprocess.run([BINARY, *words, *more], cwd=self.folder, text=True, capture_output=True,
                                timeout=300, check=False,
                                env={**os.environ, "XDG_STATE_HOME": str(self.folder / "state")})
        self.assertEqual(result.returncode, 0, f"tessera {' '.join(words)}\n{result.stderr}")
        return result.stdout

    def walk(self, page, is_left_out):
        count = 0
        for shown in shown_commands():
            # Without arguments it may be but a name in a sentence.
            is_name = shown.words in (["bench", "ops"], ["bench", "model"]) or len(shown.words) == 1
            if shown.page != page or is_name or is_left_out(shown.words):
                continue
            if "npu_sim" in " ".join(shown.words) and not self.has_npu:
                continue
            with self.subTest(command=" ".join(shown.words)):
                self.type(self.expanded(shown.words))
                count += 1
        return count

    def expanded(self, words):
        """As a shell does."""
        return [name for word in words for name in
                (sorted(path.name for path in self.folder.glob(word)) if "*" in word and word.endswith(".json")
                 and not word.startswith("layers") else [word])]

    def test_the_quick_start(self):
        def is_left_out(words):
            # serve_test has the server; a history of one run has nothing to compare; --json output is the reader's.
            return words[0] == "report" or words[:2] == ["bench", "diff"]
        self.type(["devices"])
        self.assertGreaterEqual(self.walk("quick_start.md", is_left_out), 6)
        text = self.type(["bench", "ops", "--device", "cpu", "--shape", "1x64x64"])
        self.assertIn("kept as run 2", text)
        self.type(["bench", "show", "latest"])
        self.assertIn("cases", self.type(["bench", "diff", "latest", "latest"]))
        plans = sorted(path.name for path in self.folder.glob("*.json"))
        if plans:
            self.type(["report", *plans, "-o", "page.html"])
            self.assertIn("<html", (self.folder / "page.html").read_text())

    def test_the_page_on_the_benchmark(self):
        for name, words in (("ops", ["bench", "ops", "--device", "cpu", "--shape", "1x64x64", "--json"]),
                            ("compare", ["compare", "--devices", "cpu", "--schemes", "w8a16,w4a16", "--json"])):
            (self.folder / f"{name}.json").write_text(self.type(words))
        (self.folder / "main.json").write_text((self.folder / "ops.json").read_text())
        (self.folder / "branch.json").write_text((self.folder / "ops.json").read_text())
        self.type(["plan", "--devices", "cpu", "-o", "plan.json"])
        for name in ("laptop", "server"):
            self.type(["bench", "ops", "--device", "cpu", "--shape", "1x64x64", "--db", f"{name}.db"])

        def is_left_out(words):
            text = " ".join(words)
            # Shapes of large models, peers, a run of the reader's, plots that need Node.js.
            return any(part in text for part in ("--preset", "--peers", "4096", "latest~1", "export 12", "--plot",
                                                 "--list-plots", "FILE"))
        self.assertGreaterEqual(self.walk("benchmark.md", is_left_out), 6)


if __name__ == "__main__":
    unittest.main()
