# SPDX-License-Identifier: Apache-2.0
"""What commands print with --json is what their JSON Schemas, and docs/json.md, say.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest json_docs_test
"""

import json
import os
import pathlib
import tempfile
import unittest

from bench_test import QUICK
from cli_test import CommandCase

DOCS = pathlib.Path(os.environ["TSR_SOURCE_DIR"]) / "docs" / "json.md"
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
}


def misfits(schema, value, path="$"):
    """Where `value` is not what the schema says, for the keywords that our schemas use."""
    unknown = set(schema) - {"$schema", "title", "description", "type", "properties", "required", "additionalProperties",
                             "items", "anyOf", "minimum", "minItems", "maxItems"}
    if unknown:
        return [f"{path}: keywords {unknown} are not checked"]
    if "anyOf" in schema:
        tries = [misfits(one, value, path) for one in schema["anyOf"]]
        return [] if [] in tries else min(tries, key=len)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(TYPES[name](value) for name in types):
        return [f"{path}: {json.dumps(value)[:40]} is not {types}"]
    found = []
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        found.append(f"{path}: {value} is too small")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{path}: has {len(value)} items")
        for i, item in enumerate(value):
            found += misfits(schema.get("items", {}), item, f"{path}[{i}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", {})
        found += [f"{path}.{key}: is missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            if key not in properties and more is False:
                found.append(f"{path}.{key}: is not declared")
            else:
                found += misfits(properties.get(key, more), item, f"{path}.{key}")
    return found


class JsonCase(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check(self, command, *words):
        """What `words` print fits the schema of `command`."""
        schema = json.loads(self.done("manual", "--json-schema", command).stdout)
        printed = self.json(*words)
        self.assertEqual(misfits(schema, printed)[:5], [], f"{command}: {words}")
        return printed


class JsonDocsTest(JsonCase):
    def test_the_page_is_current(self):
        page = self.folder / "json.md"
        self.done("manual", "--json-page", page)
        self.assertEqual(DOCS.read_text(), page.read_text(), "tessera manual --json-page docs/json.md")

    def test_the_check_can_fail(self):
        schema = json.loads(self.done("manual", "--json-schema", "plugin enable").stdout)
        self.assertEqual(misfits(schema, {"plugin": "a", "status": "enabled", "changed": True}), [])
        for wrong in ({}, [], {"plugin": "a", "status": 1, "changed": True},
                      {"plugin": "a", "status": "b", "changed": True, "more": 1}):
            self.assertNotEqual(misfits(schema, wrong), [])
        self.refused(1, "there are devices, ", "manual", "--json-schema", "nonsense")

    def test_devices(self):
        self.check("devices", "devices")
        self.check("devices --env", "devices", "--env")

    def test_plugins(self):
        self.check("plugin list", "plugin", "list")
        self.check("plugin disable", "plugin", "disable", "cpu")
        self.check("plugin enable", "plugin", "enable", "cpu")
        key = self.folder / "key.pem"
        made = self.check("plugin make-key", "plugin", "make-key", key)
        # A copy: a signature beside the build's own would be loaded by others.
        plugins = pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "plugins"
        for name in ("tsr_plugin_cpu.so", "tsr_plugin_cpu.json"):
            (self.folder / name).write_bytes((plugins / name).read_bytes())
        manifest = self.folder / "tsr_plugin_cpu.json"
        signed = self.check("plugin sign", "plugin", "sign", manifest, "--key", key)
        self.assertEqual(signed["key"], made["key"])
        keys = self.folder / "keys"
        keys.write_text(f"key {made['key']} me\n")
        verified = self.check("plugin verify", "plugin", "verify", manifest, "--keys", keys)
        self.assertTrue(verified["trusted"])

    def test_inspect(self):
        self.check("inspect", "inspect", "--estimate")

    def test_run(self):
        self.check("run", "run", "-p", "A", "-n", 2, "--profile")

    def test_eval(self):
        self.check("eval", "eval", "--limit", 20, "--against", "cpu")
        self.check("eval", "eval", "--limit", 20, "--phase", "both")

    def test_compare(self):
        self.check("compare", "compare", "--schemes", "w8a16", "--devices", "cpu", "--limit", 50)

    def test_quantize(self):
        self.check("quantize", "quantize", "--scheme", "w8a16", "-o", self.folder / "out")

    def test_tune(self):
        texts = self.folder / "texts.txt"
        texts.write_text("The library opened at nine. The books were new and the rooms were cold.\n")
        self.check("tune", "tune", "--scheme", "w8a16", "--max-kl", 10, "--stages", "fallback", "--calib", texts,
                   "--select", texts, "--report", texts)

    def test_plan(self):
        plan = self.folder / "plan.json"
        self.check("plan", "plan", "--prompt", 16, "--generate", 8, "--devices", "cpu", "-o", plan)
        self.check("plan show", "plan", "show", plan)
        self.check("plan diff", "plan", "diff", plan, plan)

    def test_bench(self):
        history = ("--db", self.folder / "history.db")
        ops = ("bench", "ops", "--device", "cpu", *QUICK, *history)
        self.check("bench ops", *ops, "--shape", "1x8x32")
        self.check("bench ops", *ops, "--op", "attention", "--kv-len", 8, "--heads", 2)
        self.check("bench ops", *ops, "--op", "small,transfers", "--shape", "8x128")
        self.check("bench model", "bench", "model", "--device", "cpu", "-n", 2, "--repetitions", 2, "--context", 4,
                   "--breakdown", *history)
        self.check("bench list", "bench", "list", *history)
        shown = self.check("bench show", "bench", "show", 1, *history)
        schema = json.loads(self.done("manual", "--json-schema", "bench ops").stdout)
        self.assertEqual(misfits(schema, shown["rows"]), [])
        self.check("bench export", "bench", "export", 1, *history)
        self.check("bench diff", "bench", "diff", 1, 1, *history)
        self.check("bench merge", "bench", "merge", self.folder / "history.db", "--db", self.folder / "all.db")

    def test_report(self):
        path = self.folder / "ops.json"
        path.write_text(self.done("bench", "ops", "--device", "cpu", *QUICK, "--shape", "1x8x32", "--no-history",
                                  "--json").stdout)
        self.check("report", "report", path, "-o", self.folder / "page.html")

    def test_conform(self):
        self.check("conform", "conform", "cpu", "--level", 0)
        self.check("conform --list", "conform", "cpu", "--list", "--level", 0)

    def test_new_plugin(self):
        self.check("new-plugin", "new-plugin", "some", "-o", self.folder / "some")


class JsonOfTheSimulatorTest(JsonCase):
    """Where its plugin is built."""

    def setUp(self):
        super().setUp()
        if not any(device["name"] == "npu_sim:910b" for device in self.json("devices")):
            self.skipTest("npu_sim is not built")

    def test_ops(self):
        self.check("bench ops", "bench", "ops", "--device", "npu_sim:910b", "--shape", "16x256x256", "--no-history",
                   "--csv", self.folder / "tables")
        for words in (("attention", "--kv-len", 64, "--heads", 4), ("grouped_linear", "--shape", "64x64", "--rows", "3,5"),
                      ("copy", "--shape", "64x64"), ("add", "--shape", "64x64")):
            self.check("bench ops", "bench", "ops", "--device", "npu_sim:910b,npu_sim:310p", "--no-history", "--op",
                       *words)

    def test_npu(self):
        self.check("npu validate", "npu", "validate")
        self.check("npu speed", "npu", "speed")


if __name__ == "__main__":
    unittest.main()
