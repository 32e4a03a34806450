# SPDX-License-Identifier: Apache-2.0
"""Plugins that crash, hang, are switched off or signed, as a user meets them.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest isolation_test

The injector is the cpu plugin with a fault in one submission; it is built with the tests.
"""

import os
import pathlib
import shutil
import tempfile

from cli_test import CommandCase

BUILD = pathlib.Path(os.environ["TSR_BINARY_DIR"])
RUN = ("run", "-p", "A library for", "-n", 12, "--scheme", "f32")


class IsolatedCase(CommandCase):
    """With plugins, state and keys in a folder of its own."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.plugins = self.folder / "plugins"
        self.plugins.mkdir()
        for suffix in (".so", ".json"):
            source = BUILD / "test_plugins" / f"tsr_plugin_injector{suffix}"
            if not source.exists():
                self.skipTest("the injector is not built")
            shutil.copy(source, self.plugins)
        for name, value in (("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config"),
                            ("TESSERA_PLUGIN_PATH", "plugins")):
            before = os.environ.get(name)
            os.environ[name] = str(self.folder / value)
            if before is None:
                self.addCleanup(os.environ.pop, name)
            else:
                self.addCleanup(os.environ.__setitem__, name, before)

    def device(self, name):
        return next(device for device in self.json("devices") if device["name"] == name)

    def manifest(self):
        return self.plugins / "tsr_plugin_injector.json"


class SurvivalTest(IsolatedCase):
    def faulty_run(self, fault, *more):
        return self.json(*RUN, "--device", "injector", "--option", f"fault={fault}", "--isolate", *more)

    def test_a_run_goes_on_with_the_tokens_of_a_planned_change(self):
        for fault in ("segv@5", "lost@0", "exhausted@9"):
            report = self.faulty_run(fault)
            self.assertEqual([change["lost"] for change in report["switches"]], ["injector"], fault)
            step = report["switches"][0]["step"]
            self.assertEqual(step, int(fault.split("@")[1]))
            planned = self.json(*RUN, "--device", "injector", "--switch-at", step)
            self.assertEqual(report["token_ids"], planned["token_ids"])

    def test_a_hang_ends_after_the_step_limit(self):
        report = self.faulty_run("hang@4", "--step-limit", 0.5)
        self.assertIn("gave no answer for 0.5 s", report["switches"][0]["reason"])
        self.assertEqual(report["new_tokens"], 12)

    def test_the_user_is_told_once(self):
        done = self.done(*RUN, "--device", "injector", "--option", "fault=abort@3", "--isolate")
        self.assertEqual(done.stderr.count("injector is given up before step 3"), 1, done.stderr)
        self.assertIn("died of SIGABRT", done.stderr)

    def test_a_plugin_that_crashed_is_quarantined_until_it_is_reset(self):
        self.assertIsNone(self.device("injector")["quarantine"])
        self.faulty_run("segv@2")
        self.assertIn("died of SIGSEGV", self.device("injector")["quarantine"])
        self.assertIn("ready, quarantined", self.done("devices").stdout)
        # In a child though nobody asked: the next crash ends no run.
        report = self.json(*RUN, "--device", "injector", "--option", "fault=segv@2")
        self.assertTrue(report["switches"])
        self.assertIn("2 failures", self.device("injector")["quarantine"])
        self.done("devices", "--reset", "injector")
        self.assertIsNone(self.device("injector")["quarantine"])
        self.assertFalse(self.device("injector")["isolated"])
        self.refused(1, "plugin injector is not quarantined", "devices", "--reset", "injector")

    def test_the_sandbox_changes_no_token(self):
        words = (*RUN, "--isolate")
        self.assertEqual(self.json(*words, "--sandbox")["token_ids"], self.json(*words)["token_ids"])
        self.refused(2, "--sandbox requires --isolate", *RUN, "--sandbox")


class TrustTest(IsolatedCase):
    def listed(self, name):
        return next(plugin for plugin in self.json("plugin", "list") if plugin["name"] == name)

    def key_list(self, *lines):
        folder = self.folder / "config" / "tessera"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "keys").write_text("\n".join(lines) + "\n")
        return folder / "keys"

    def make_key(self, name="vendor.pem"):
        """The line of a new key for lists."""
        done = self.done("plugin", "make-key", self.folder / name)
        self.assertEqual((self.folder / name).stat().st_mode & 0o777, 0o600)
        return done.stdout.strip().replace("NAME", "the vendor")

    def test_a_plugin_that_is_switched_off_is_not_loaded(self):
        self.assertEqual(self.listed("injector")["status"], "enabled")
        self.done("plugin", "disable", "injector")
        self.assertEqual(self.listed("injector")["status"], "disabled")
        self.refused(1, "no device injector", *RUN, "--device", "injector")
        self.done("plugin", "enable", "injector")
        self.assertEqual(self.listed("injector")["status"], "enabled")
        self.refused(1, "no plugin nobody", "plugin", "disable", "nobody")

    def test_a_listed_signature_is_shown_and_verified(self):
        line = self.make_key()
        self.assertEqual(self.listed("injector")["signature"], "not signed")
        self.done("plugin", "sign", self.manifest(), "--key", self.folder / "vendor.pem")
        self.assertIn("unknown key", self.listed("injector")["signature"])
        self.key_list(line)
        self.assertEqual(self.listed("injector")["signature"], "signed by the vendor")
        self.done("plugin", "verify", self.manifest())

    def test_a_list_may_require_signatures(self):
        line = self.make_key()
        self.key_list(line, "require")
        self.assertIn("requires one", self.listed("injector")["reason"])
        self.done("plugin", "sign", self.manifest(), "--key", self.folder / "vendor.pem")
        self.assertEqual(self.listed("injector")["status"], "enabled")
        self.make_key("other.pem")
        self.done("plugin", "sign", self.manifest(), "--key", self.folder / "other.pem")
        self.assertEqual(self.listed("injector")["status"], "refused")

    def test_an_exchanged_library_or_manifest_is_refused(self):
        line = self.make_key()
        self.key_list(line)
        self.done("plugin", "sign", self.manifest(), "--key", self.folder / "vendor.pem")
        library = self.plugins / "tsr_plugin_injector.so"
        whole = library.read_bytes()
        library.write_bytes(whole + b"x")
        self.assertIn("the manifest says", self.listed("injector")["reason"])
        self.refused(1, "the manifest says", "plugin", "sign", self.manifest(), "--key", self.folder / "vendor.pem")
        library.write_bytes(whole)
        self.manifest().write_text(self.manifest().read_text() + "\n")
        self.refused(1, "not that of key", "plugin", "verify", self.manifest())

    def test_a_signature_is_whole_or_refused(self):
        self.make_key()
        self.done("plugin", "sign", self.manifest(), "--key", self.folder / "vendor.pem")
        signature = self.plugins / "tsr_plugin_injector.json.sig"
        signature.write_text(signature.read_text()[:-10])
        self.assertIn("128 lower-case hex digits", self.listed("injector")["reason"])

    def test_files_that_others_may_write_are_refused(self):
        keys = self.key_list("require")
        keys.chmod(0o666)
        self.assertEqual(self.listed("injector")["status"], "refused")
        keys.unlink()
        self.plugins.chmod(0o777)
        self.assertIn("may be written by others", self.listed("injector")["reason"])

    def test_no_key_is_written_over(self):
        self.make_key()
        self.refused(1, "File exists", "plugin", "make-key", self.folder / "vendor.pem")

