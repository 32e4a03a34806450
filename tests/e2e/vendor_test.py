# SPDX-License-Identifier: Apache-2.0
"""What a vendor does, in a fresh folder with nothing but the installed SDK and the command.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest vendor_test
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest.mock

from cli_test import CommandCase, tessera

BUILD = os.environ["TSR_BINARY_DIR"]
STRICT = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"


class NewPluginTest(CommandCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def run_tool(self, *words):
        result = subprocess.run([*map(str, words)], cwd=self.folder, text=True, capture_output=True, timeout=300,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def build(self, name, *options):
        """Generates and builds a project; the path of its library."""
        self.run_tool("cmake", "--install", BUILD, "--component", "sdk", "--prefix", self.folder / "sdk")
        project = self.folder / name
        written = self.json("new-plugin", name, "-o", project, *options)
        self.assertEqual(written["folder"], str(project))
        self.run_tool("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={self.folder}/sdk",
                      f"-DCMAKE_CXX_FLAGS={STRICT}", f"-DCMAKE_C_FLAGS={STRICT}")
        self.run_tool("cmake", "--build", project / "build", "-j2")
        return project / "build" / "plugins" / f"tsr_plugin_{name}.so"

    def test_cpp_project_passes_what_it_claims(self):
        library = self.build("my_npu")
        report = self.json("conform", library, "--level", "2", "--quick", "--budget", "0")
        self.assertEqual(report["plugin"], "my_npu")
        self.assertTrue(report["passed"], report["failures"])
        self.assertGreater(report["levels"][0]["passed"], 10)

    def test_c_project_passes_what_it_claims(self):
        library = self.build("tiny_c", "--c")
        report = self.json("conform", library, "--level", "2", "--quick", "--budget", "0")
        self.assertTrue(report["passed"], report["failures"])
        self.assertGreater(report["levels"][1]["passed"], 40)
        cases = self.json("conform", library, "--list", "--filter", "L1/linear_f32_i8c__c/*")
        self.assertGreater(len(cases), 10)

    def test_a_full_run_earns_a_certificate_and_a_failure_loses_it(self):
        library = self.build("proud", "--c")
        self.addCleanup(os.environ.__setitem__, "XDG_STATE_HOME", os.environ["XDG_STATE_HOME"])
        os.environ["XDG_STATE_HOME"] = str(self.folder / "state")
        os.environ["TESSERA_PLUGIN_PATH"] = str(library.parent)
        self.addCleanup(os.environ.pop, "TESSERA_PLUGIN_PATH")
        self.assertEqual(self.certificate("proud"), "uncertified")
        self.done("conform", library, "--quick")
        refused = tessera("conform", library, "--level", "3", "--jobs", "2")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("one case at a time", refused.stderr)
        self.assertEqual(self.certificate("proud"), "uncertified")
        self.assertIn("certified: level 2", self.done("conform", library).stdout)
        self.assertIn("level 2 of 20", self.certificate("proud"))
        self.assertIn("certified before: level 2", self.done("conform", library, "--level", "0").stdout)
        self.assertIn("level 2 of 20", self.certificate("proud"))
        self.check_shipped(library)
        self.assertEqual(tessera("conform", library, "--quick", "--declare", self.wrong()).returncode, 1)
        self.assertEqual(self.certificate("proud"), "uncertified")

    def check_shipped(self, library):
        """Signed, the certificate counts on machines that list the vendor's key."""
        key = self.folder / "vendor.pem"
        line = self.done("plugin", "make-key", key).stdout.replace("NAME", "the vendor")
        certificates = self.json("plugin", "certify", library, "--key", key)["certificates"]
        self.assertEqual(len(certificates), 1)
        config = self.folder / "config"
        (config / "tessera").mkdir(parents=True)
        elsewhere = {"XDG_STATE_HOME": str(self.folder / "elsewhere"), "XDG_CONFIG_HOME": str(config)}
        with unittest.mock.patch.dict(os.environ, elsewhere):
            self.assertEqual(self.certificate("proud"), "uncertified")
            (config / "tessera" / "keys").write_text(line)
            self.assertRegex(self.certificate("proud"), "level 2 of 20.*, signed by the vendor")
            self.assertIn("proud: level 2 of 20", tessera("plan", "--devices", "proud,cpu", "--schemes", "f32",
                                                          "--profile-seconds", "0").stdout)
            text = pathlib.Path(certificates[0]).read_text()
            pathlib.Path(certificates[0]).write_text(text.replace('"level": 2', '"level": 3'))
            self.assertEqual(self.certificate("proud"), "uncertified")
            self.assertIn("does not count", tessera("plugin", "verify", library).stdout)
            pathlib.Path(certificates[0]).write_text(text)
            self.assertIn("signed by", self.certificate("proud"))
            self.assertEqual(tessera("conform", library, "--quick", "--declare", self.wrong()).returncode, 1)
            self.assertEqual(self.certificate("proud"), "uncertified", "it failed here")

    def wrong(self):
        """A declaration that makes a run fail."""
        known = self.folder / "known.txt"
        known.write_text("expected_failure L0/header #1 it passes, so this is an error\n")
        return known

    def certificate(self, device):
        return next(d["certificate"] for d in self.json("devices") if d["name"] == device)

    def test_a_folder_that_is_there_is_left_alone(self):
        self.refused(1, "is there already", "new-plugin", "my_npu", "-o", self.folder)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_names_that_cannot_be_names_are_refused(self):
        for name in ("My", "9th", "a-b", "../x", "a" * 33, "x_"):
            self.refused(1, "cannot name a plugin", "new-plugin", name, "-o", self.folder / "p")
        self.assertNotEqual(tessera("new-plugin").returncode, 0)


class KnownFailureTest(CommandCase):
    """A plugin whose rms_norm fails, as its vendor declares."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        for suffix in ("so", "json"):
            shutil.copy(f"{BUILD}/faulty_plugins/tsr_plugin_mutant.{suffix}", self.folder)
        variables = {"TSR_MUTANT": "epsilon_ignored", "XDG_STATE_HOME": str(self.folder / "state"),
                     "TESSERA_PLUGIN_PATH": f"{self.folder}:{BUILD}/plugins"}
        patch = unittest.mock.patch.dict(os.environ, variables)
        patch.start()
        self.addCleanup(patch.stop)
        self.library = self.folder / "tsr_plugin_mutant.so"

    def test_is_certified_and_barred_from_plans(self):
        report = json.loads(tessera("conform", self.library, "--level", "1", "--json").stdout)
        failing = [failure["case"] for failure in report["failures"]]
        self.assertTrue(failing)
        self.assertTrue(all("rms_norm" in name.split("/") for name in failing), failing)
        known = self.folder / "known.txt"
        known.write_text("".join(f"expected_failure {name} #7 epsilon is not read\n" for name in failing))
        text = self.done("conform", self.library, "--level", "1", "--declare", known).stdout
        self.assertIn("certified: level 1", text)
        self.assertIn(f"{len(failing)} known failures", self.done("devices").stdout)
        self.refused(1, "rms_norm is barred, a known failure", "run", "-p", "hi", "-n", "2", "--device", "mutant",
                     "--scheme", "f32")
        plan = self.folder / "plan.json"
        self.done("plan", "--devices", "cpu,mutant", "--schemes", "f32", "--profile-seconds", "2", "-o", plan)
        for layer in json.loads(plan.read_text())["layers"]:
            if "norm" in layer.get("name", ""):
                self.assertNotIn("mutant", json.dumps(layer))


class ModelLevelTest(CommandCase):
    def test_every_backend_runs_the_model_that_is_planned_with_it(self):
        for plugin in ("cpu", "npu_sim", "opencl", "vulkan"):
            if not pathlib.Path(f"{BUILD}/plugins/tsr_plugin_{plugin}.so").exists():
                continue
            with self.subTest(plugin=plugin):
                report = self.json("conform", plugin, "--level", "4", "--filter", "L4/model")
                self.assertEqual(report["levels"][4]["passed"], 1, report["failures"] + report["unsupported"])
                figures = report["figures"]["L4/model"]
                self.assertGreater(figures["layers"], 0)
                self.assertEqual(figures["tokens_of_the_oracle"], figures["tokens"])


class ReplayTest(CommandCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.calls = self.folder / "bug.calls"

    def record(self, *words):
        with unittest.mock.patch.dict(os.environ, {"TESSERA_RECORD": str(self.calls)}):
            self.done("run", "-p", "library for", "-n", "3", "--device", "cpu", *words)

    def test_a_run_is_made_again_bit_for_bit(self):
        for words in ((), ("--isolate",)):
            self.record(*words)
            result = self.json("replay", self.calls)
            self.assertEqual(result["differences"], 0, result["first_differences"])
            self.assertTrue(result["complete"])
            self.assertGreater(result["calls"], 100)
            self.assertGreater(result["compared_bytes"], 1000)

    def test_a_program_that_was_killed_leaves_what_it_did(self):
        self.record()
        partial = self.folder / "cut.calls"
        partial.write_bytes(self.calls.read_bytes()[:-5000])
        result = self.json("replay", partial)
        self.assertFalse(result["complete"])
        self.assertEqual(result["differences"], 0, result["first_differences"])

    def test_what_is_no_recording_is_refused(self):
        self.calls.write_text("no calls")
        self.refused(1, "not a recording of calls", "replay", self.calls)
        self.record()
        self.refused(1, "no calls of gpu, only of cpu", "replay", self.calls, "--of", "gpu")
