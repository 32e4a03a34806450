# SPDX-License-Identifier: Apache-2.0
"""What is installed works where it lies: the command, its completions and pages, the library, the package.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest package_test
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from cli_test import MODEL, CommandCase

BUILD = pathlib.Path(os.environ["TSR_BINARY_DIR"])
SOURCE = pathlib.Path(os.environ["TSR_SOURCE_DIR"])
# As a user has it who set nothing.
HOME = tempfile.TemporaryDirectory()
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": HOME.name, "LANG": "C.UTF-8"}


def is_sanitized():
    return "-fsanitize" in (BUILD / "CMakeCache.txt").read_text()


def run(*words, cwd=None, env=None):
    return subprocess.run([str(word) for word in words], cwd=cwd, env=env, text=True, capture_output=True, timeout=800,
                          check=False)


class InstallCase(CommandCase):
    @classmethod
    def setUpClass(cls):
        if is_sanitized():
            raise unittest.SkipTest("programs outside would need the sanitizer's runtime")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)

    def check(self, result):
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def check_command(self, prefix):
        """The command, its plugins and its model under a folder."""
        binary = prefix / "bin" / "tessera"
        self.assertIn("cpu", self.check(run(binary, "devices", env=CLEAN, cwd="/")))
        text = self.check(run(binary, "run", "-p", "A library for", "-n", 4, env=CLEAN, cwd="/"))
        self.assertTrue(text.strip())
        for path in ("share/man/man1/tessera.1", "share/bash-completion/completions/tessera",
                     "share/fish/vendor_completions.d/tessera.fish", "share/zsh/vendor-completions/_tessera",
                     "include/tessera/session.hpp", "include/tessera/plugin.h"):
            self.assertTrue((prefix / path).is_file() or (prefix / f"{path}.gz").is_file(), path)


class InstalledLibraryTest(InstallCase):
    def test_an_installation_works_and_a_program_builds_against_it(self):
        prefix = self.folder / "prefix"
        self.check(run("cmake", "--install", BUILD, "--prefix", prefix))
        self.check_command(prefix)
        build = self.folder / "build"
        example = prefix / "share/doc/tessera/example"
        self.check(run("cmake", "-S", example, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"))
        self.check(run("cmake", "--build", build))
        expected = self.json("run", "-p", "A library for", "-n", 32)
        result = run(build / "answer", "A library for", env=CLEAN, cwd="/")
        self.assertEqual(self.check(result).rstrip("\n"), expected["text"].rstrip("\n"))
        self.assertIn("tessera-5m: ", result.stderr)
        result = run(build / "answer", "x", self.folder / "none", env=CLEAN)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1))
        self.assertIn("no such folder", result.stderr)
        # As a plan says.
        plan = self.folder / "plan.json"
        self.done("plan", MODEL, "--devices", "cpu", "--prompt", 16, "--generate", 8, "-o", plan)
        expected = self.json("run", MODEL, "--plan", plan, "-p", "A library for", "-n", 32)
        result = run(build / "answer", "A library for", MODEL, plan, env=CLEAN, cwd="/")
        self.assertEqual(self.check(result).rstrip("\n"), expected["text"].rstrip("\n"))
        result = run(build / "answer", "x", MODEL, self.folder / "none.json", env=CLEAN)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1))
        self.assertIn("none.json", result.stderr)
        # Nothing of ours but what the header promises is in sight.
        names = self.check(run("nm", "-DC", "--defined-only", prefix / "lib/libtessera.so"))
        strangers = [line for line in names.splitlines() if "tessera::v1::" not in line]
        self.assertEqual(strangers, [])


class DebianPackageTest(InstallCase):
    def test_the_package_works_where_it_is_unpacked(self):
        for tool in ("cpack", "dpkg-deb", "dpkg-shlibdeps"):
            if shutil.which(tool) is None:
                self.skipTest(f"{tool} is not installed")
        self.check(run("cpack", "-G", "DEB", "-B", self.folder, cwd=BUILD))
        package, = self.folder.glob("*.deb")
        facts = self.check(run("dpkg-deb", "-f", package))
        self.assertIn("Package: tessera\n", facts)
        for library in ("libc6", "libsqlite3-0", "libfmt"):
            self.assertIn(library, facts)
        root = self.folder / "root"
        self.check(run("dpkg-deb", "-x", package, root))
        self.check_command(root / "usr")


class ManualTest(CommandCase):
    def test_pages_of_commands_are_current(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.done("manual", "--pages", folder)
            fresh = {path.name: path.read_text() for path in folder.iterdir()}
        kept = {path.name: path.read_text() for path in (SOURCE / "docs" / "commands").glob("*.md")}
        self.assertEqual(sorted(kept), sorted(fresh), "tessera manual --pages docs/commands")
        for name, text in fresh.items():
            self.assertEqual(kept[name], text, f"{name}: tessera manual --pages docs/commands")

    def test_the_man_page_is_one(self):
        if shutil.which("groff") is None and shutil.which("man") is None:
            self.skipTest("neither groff nor man is installed")
        text = self.done("manual").stdout
        tool = ("groff", "-man", "-Tutf8", "-ww") if shutil.which("groff") else ("man", "-l", "-")
        result = subprocess.run(tool, input=text, text=True, capture_output=True, check=True)
        self.assertEqual(result.stderr, "")
        self.assertIn("tessera bench ops", result.stdout)


class CompletionTest(CommandCase):
    def complete_in_bash(self, line):
        script = self.done("completion", "bash").stdout
        words = line.split(" ")
        code = (f"{script}\nCOMP_WORDS=({' '.join(repr(word) for word in words)})\n"
                f"COMP_CWORD={len(words) - 1}\n_tessera\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n")
        result = subprocess.run(["bash", "--norc"], input=code, text=True, capture_output=True, check=True)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_bash_completes_commands_options_and_values(self):
        self.assertIn("quantize", self.complete_in_bash("tessera "))
        self.assertEqual(self.complete_in_bash("tessera quan"), ["quantize"])
        self.assertEqual(set(self.complete_in_bash("tessera bench ")) & {"ops", "model", "diff"},
                         {"ops", "model", "diff"})
        self.assertEqual(self.complete_in_bash("tessera bench diff --min"), ["--min-change"])
        self.assertEqual(self.complete_in_bash("tessera completion "), ["--help", "-h"])
        self.assertIn("w8a16", self.complete_in_bash("tessera run --scheme w8"))
        self.assertEqual(self.complete_in_bash("tessera bench ops --op linear,att"), ["linear,attention"])
        self.assertEqual(self.complete_in_bash("tessera bench export --format c"), ["csv"])

    def test_scripts_are_valid(self):
        for shell, check in (("bash", ("bash", "-n")), ("zsh", ("zsh", "-n")), ("fish", ("fish", "-n"))):
            if shutil.which(shell) is None:
                continue
            with tempfile.NamedTemporaryFile("w", suffix=f".{shell}") as file:
                file.write(self.done("completion", shell).stdout)
                file.flush()
                result = run(*check, file.name)
                self.assertEqual((result.returncode, result.stderr), (0, ""), shell)

    def test_fish_completes(self):
        if shutil.which("fish") is None:
            self.skipTest("fish is not installed")
        with tempfile.TemporaryDirectory() as home:
            script = pathlib.Path(home) / "tessera.fish"
            script.write_text(self.done("completion", "fish").stdout)
            def complete(line):
                result = run("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'",
                             env={**os.environ, "HOME": home})
                return [line.split("\t")[0] for line in self.words(result)]
            self.assertIn("quantize", complete("tessera q"))
            self.assertIn("diff", complete("tessera bench d"))
            self.assertNotIn("quantize", complete("tessera bench "))
            self.assertIn("--min-change", complete("tessera bench diff --mi"))
            self.assertIn("csv", complete("tessera bench export --format "))

    def words(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.splitlines()


if __name__ == "__main__":
    unittest.main()
