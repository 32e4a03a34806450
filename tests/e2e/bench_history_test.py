# SPDX-License-Identifier: Apache-2.0
"""Runs of `tessera bench` are kept, shown, compared, exported and merged.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest bench_history_test
"""

import csv
import io
import json
import os
import pathlib
import random
import sqlite3
import tempfile
import unittest

from bench_test import QUICK
from cli_test import CommandCase, tessera

OPS = ("bench", "ops", "--device", "cpu", *QUICK)


class HistoryCase(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.db = self.folder / "history.db"

    def keep_ops(self, *words, db=None, quick=QUICK):
        return self.json("bench", "ops", "--device", "cpu", *quick, "--db", db or self.db, *words)


class BenchHistoryTest(HistoryCase):
    def test_a_run_is_kept_with_its_samples_and_shown_again(self):
        rows = self.keep_ops("--shape", "1x64x96,3x64x96")
        listed = self.json("bench", "list", "--db", self.db)
        self.assertEqual([run["num_rows"] for run in listed], [2])
        self.assertEqual(listed[0]["kind"], "ops")
        self.assertIn("--shape 1x64x96,3x64x96", listed[0]["command"])
        shown = self.json("bench", "show", "--db", self.db)
        self.assertEqual(shown["rows"], rows)
        self.assertEqual(shown["settings"]["repetitions"], 2)
        self.assertEqual(len(shown["machine"]), 16)
        self.assertGreaterEqual(shown["environment"]["cores"], 1)
        device = shown["devices"][0]
        self.assertEqual(device["name"], "cpu")
        self.assertEqual(len(device["plugin_sha256"]), 64)
        self.assertTrue(device["driver"])

    def test_models_are_kept_too(self):
        words = ("bench", "model", "--device", "cpu", "-n", 2, "--repetitions", 2, "--context", 4)
        rows = self.json(*words, "--db", self.db)
        self.assertEqual(self.json("bench", "show", "latest", "--db", self.db)["rows"], rows)
        text = self.done("bench", "show", "--db", self.db).stdout
        self.assertIn("decode/s", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_the_users_own_history_is_the_default(self):
        state = self.folder / "state"
        self.addCleanup(os.environ.__setitem__, "XDG_STATE_HOME", os.environ["XDG_STATE_HOME"])
        os.environ["XDG_STATE_HOME"] = str(state)
        self.refused(1, "no history yet", "bench", "list")
        words = (*OPS, "--shape", "1x8x32")
        self.done(*words, "--no-history")
        self.assertFalse(state.exists())
        self.assertIn("kept as run 1", self.done(*words).stdout)
        self.assertTrue((state / "tessera" / "history.db").is_file())
        self.assertEqual(len(self.json("bench", "list")), 1)

    def test_a_history_that_cannot_be_written_costs_no_figures(self):
        state = self.folder / "state"
        state.write_text("a file where a folder should be")
        self.addCleanup(os.environ.__setitem__, "XDG_STATE_HOME", os.environ["XDG_STATE_HOME"])
        os.environ["XDG_STATE_HOME"] = str(state)
        result = tessera(*OPS, "--shape", "1x8x32", "--json")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(len(json.loads(result.stdout)), 1)
        self.assertIn("the run is not kept", result.stderr)

    def test_a_file_that_is_asked_for_is_checked_before_measuring(self):
        self.db.write_text("no database" * 100)
        for words in ((*OPS, "--shape", "1x8x32"), ("bench", "list"), ("bench", "show")):
            self.refused(1, "history.db: not a SQLite database", *words, "--db", self.db)
        other = self.folder / "other.db"
        with sqlite3.connect(other) as connection:
            connection.execute("CREATE TABLE stranger (x)")
        connection.close()
        before = other.read_bytes()
        self.refused(1, "other.db: a SQLite database, but no benchmark history", "bench", "merge", other, "--db",
                     self.folder / "new.db")
        self.refused(1, "but no benchmark history", *OPS, "--shape", "1x8x32", "--db", other)
        self.assertEqual(other.read_bytes(), before)

    def test_hostile_rows_are_one_clear_line(self):
        self.keep_ops("--shape", "1x8x32")
        for damage in ("UPDATE result SET figures = '[]'", "UPDATE result SET figures = '{}'",
                       "UPDATE sample SET ns = 'text'"):
            copy = self.folder / "copy.db"
            copy.write_bytes(self.db.read_bytes())
            with sqlite3.connect(copy) as connection:
                connection.execute(damage)
            connection.close()
            self.refused(1, "", "bench", "show", "--db", copy)
        half = self.folder / "half.db"
        half.write_bytes(self.db.read_bytes()[:8192])
        self.refused(1, "half.db", "bench", "show", "--db", half)

    def test_names_the_runs_there_are(self):
        self.keep_ops("--shape", "1x8x32")
        uuid = self.json("bench", "list", "--db", self.db)[0]["uuid"]
        for name in ("1", "latest", "latest~0", uuid, uuid[:8]):
            self.assertEqual(self.json("bench", "show", name, "--db", self.db)["uuid"], uuid)
        for name in ("2", "latest~1", "-1", "last", "0"):
            self.refused(1, f"no run {name}", "bench", "show", "--db", self.db, "--", name)

    def test_merges_histories_of_several_machines(self):
        laptop, server = self.folder / "laptop.db", self.folder / "server.db"
        self.keep_ops("--shape", "1x8x32", db=laptop)
        self.keep_ops("--shape", "1x8x32", db=server)
        with sqlite3.connect(server) as connection:
            connection.execute("UPDATE run SET machine = 'another'")
        connection.close()
        report = self.json("bench", "merge", laptop, server, laptop, "--db", self.db)
        self.assertEqual([file["added"] for file in report["files"]], [1, 1, 0])
        self.assertEqual(len(self.json("bench", "list", "--db", self.db)), 2)
        for file in (laptop, server):
            uuid = self.json("bench", "list", "--db", file)[0]["uuid"]
            self.assertEqual(self.json("bench", "show", uuid, "--db", self.db)["rows"],
                             self.json("bench", "show", uuid, "--db", file)["rows"])
        self.assertIn("different machines", tessera("bench", "diff", "1", "2", "--db", self.db).stdout)
        self.refused(1, "no such file", "bench", "merge", self.folder / "none.db", "--db", self.db)


class BenchDiffTest(HistoryCase):
    def write(self, name, slow=1.0):
        """A run of 30 ops, the fourth slowed by a factor; 2 % of noise."""
        rng = random.Random(name)
        rows = [{"op": "linear", "command": f"tessera bench ops --shape {i}x8x8", "clock": "wall",
                 "samples_ns": [1000 * (i + 1) * rng.gauss(1, 0.02) * (slow if i == 3 else 1) for _ in range(15)]}
                for i in range(30)]
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(rows))
        return path

    def test_identical_runs_are_the_same(self):
        report = self.json("bench", "diff", self.write("a"), self.write("b"))
        self.assertEqual(report["same"], 30)
        self.assertEqual({change["verdict"] for change in report["changes"]}, {"same"})

    def test_finds_the_slower_op_and_fails(self):
        result = tessera("bench", "diff", self.write("a"), self.write("b", 1.1))
        self.assertEqual(result.returncode, 1)
        self.assertIn("30 cases: 1 slower, 0 broken, 0 faster, 29 the same", result.stdout)
        self.assertIn("--shape 3x8x8", result.stdout)
        self.assertEqual(result.stderr, "tessera bench: of 30 cases 1 became slower\n")
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 80)
        back = self.json("bench", "diff", self.write("b", 1.1), self.write("a"))
        self.assertEqual((back["slower"], back["faster"]), (0, 1))

    def test_compares_runs_of_the_history_and_what_bench_prints(self):
        rows = self.keep_ops("--shape", "1x8x32,2x8x32")
        self.keep_ops("--shape", "1x8x32,3x8x32", quick=("--repetitions", 3, "--batch-ms", 0.2, "--cold-mib", 1))
        path = self.folder / "ops.json"
        path.write_text(json.dumps(rows))
        report = self.json("bench", "diff", "1", path, "--db", self.db)
        self.assertEqual(report["same"], 2)
        # How often a case was measured does not part it from itself.
        result = tessera("bench", "diff", "latest~1", "latest", "--db", self.db, "--json")
        report = json.loads(result.stdout)
        self.assertEqual([len(report["changes"]), report["only_before"], report["only_after"]], [1, 1, 1])

    def test_bad_files_are_one_clear_line(self):
        good, bad = self.write("a"), self.folder / "bad.json"
        for text in ("", "{}", "[]", "[3]", '[{"command": 1}]', '{"rows": 3}'):
            bad.write_text(text)
            self.refused(1, "bad.json: not what", "bench", "diff", good, bad)
        bad.write_text('[{"op": "linear", "command": "other", "samples_ns": [1]}]')
        self.refused(1, "no case in common", "bench", "diff", good, bad)
        self.refused(2, "--alpha", "bench", "diff", good, good, "--alpha", 2)
        self.refused(2, "A is required", "bench", "diff")


class BenchExportTest(HistoryCase):
    def test_csv_has_a_line_for_each_sample(self):
        rows = self.keep_ops("--shape", "1x8x32,2x8x32")
        text = self.done("bench", "export", "--db", self.db).stdout
        lines = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([float(line["ns"]) for line in lines], [ns for row in rows for ns in row["samples_ns"]])
        self.assertEqual({line["case"] for line in lines}, {row["case"] for row in rows})
        self.assertEqual({line["device"] for line in lines}, {"cpu"})

    def test_google_benchmark_has_its_keys(self):
        row = self.keep_ops("--shape", "1x8x32")[0]
        path = self.folder / "run.json"
        self.done("bench", "export", "latest", "--format", "google-benchmark", "-o", path, "--db", self.db)
        run = json.loads(path.read_text())
        for key in ("date", "host_name", "executable", "num_cpus", "mhz_per_cpu", "caches", "load_avg",
                    "library_build_type"):
            self.assertIn(key, run["context"])
        kinds = [entry["run_type"] for entry in run["benchmarks"]]
        self.assertEqual(kinds, ["iteration"] * 2 + ["aggregate"] * 4)
        for i, entry in enumerate(run["benchmarks"][:2]):
            self.assertEqual(entry["real_time"], row["samples_ns"][i])
            self.assertEqual((entry["repetitions"], entry["repetition_index"], entry["time_unit"]), (2, i, "ns"))
        median = [entry for entry in run["benchmarks"] if entry.get("aggregate_name") == "median"][0]
        self.assertAlmostEqual(median["real_time"], row["median_ns"])

    def test_json_is_what_show_prints(self):
        self.keep_ops("--shape", "1x8x32")
        text = self.done("bench", "export", "--format", "json", "--db", self.db).stdout
        self.assertEqual(json.loads(text), self.json("bench", "show", "--db", self.db))


if __name__ == "__main__":
    unittest.main()
