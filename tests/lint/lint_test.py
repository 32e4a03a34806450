# SPDX-License-Identifier: Apache-2.0
"""The lint finds what it is there to find, in small trees made for it.

Usage: python3 -m unittest lint_test, in this folder
"""

import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import check_headers
import check_isa_symbols
import check_layers
import check_presets
import check_readmes
import check_sizes
import check_tidy
import source_tree
import summarize_tests


class Tree(unittest.TestCase):
    """A folder of files written by the test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class Layers(Tree):
    def expect(self, name, line, *faults):
        """The faults of a file that holds nothing but `line`."""
        found = list(check_layers.violations_in(name, line + "\n"))
        self.assertEqual(found, [f"{name}:1: {fault}" for fault in faults], line)

    def test_names_file_line_and_target(self):
        self.write("backends/vulkan/bad.cpp", '#include "framework/quant/affine.hpp"\n')
        self.assertEqual(
            list(check_layers.violations(self.root)),
            ["backends/vulkan/bad.cpp:1: backends/vulkan must not include framework/quant/affine.hpp"])

    def test_lets_includes_go_down_only(self):
        self.expect("framework/format/a.cpp", '#include "framework/tensor/half.hpp"')
        self.expect("framework/tensor/a.cpp", '#include "framework/format/a.hpp"',
                    "framework/tensor must not include framework/format/a.hpp")
        self.expect("framework/model/a.cpp", '#include "framework/host/device/device.hpp"',
                    "framework/model must not include framework/host/device/device.hpp")

    def test_runtime_sees_the_plan_and_no_more_of_the_planner(self):
        self.expect("framework/runtime/a.cpp", '#include "framework/planner/plan.hpp"')
        self.expect("framework/runtime/a.cpp", '#include "framework/planner/placement.hpp"',
                    "framework/runtime must not include framework/planner/placement.hpp")

    def test_only_level_4_of_the_kit_tunes(self):
        self.expect("framework/conformance/level4.cpp", '#include "framework/tuning/repair.hpp"')
        self.expect("framework/conformance/runner.cpp", '#include "framework/tuning/repair.hpp"',
                    "framework/conformance must not include framework/tuning/repair.hpp")

    def test_the_oracle_needs_no_device_but_others_need_the_oracle(self):
        self.expect("framework/conformance/reference/a.cpp", '#include "framework/host/device/device.hpp"',
                    "framework/conformance/reference must not include framework/host/device/device.hpp")
        for name in ("framework/eval/a.cpp", "framework/conformance/runner.cpp"):
            self.expect(name, '#include "framework/conformance/reference/linear/linear.hpp"')
        self.expect("framework/eval/a.cpp", '#include "framework/conformance/runner.hpp"',
                    "framework/eval must not include framework/conformance/runner.hpp")

    def test_bench_sees_the_cases_and_no_more_of_the_kit(self):
        self.expect("framework/bench/a.cpp", '#include "framework/conformance/cases/linear.hpp"')
        self.expect("framework/bench/a.cpp", '#include "framework/conformance/runner.hpp"',
                    "framework/bench must not include framework/conformance/runner.hpp")

    def test_tests_see_a_backend_only_from_its_own_unit_tests(self):
        include = '#include "backends/cpu/kernels/ops/ops.hpp"'
        self.expect("tests/unit/backends/cpu/ops/a_test.cpp", include)
        self.expect("tests/e2e/a_test.cpp", include, "tests must not include backends/cpu/kernels/ops/ops.hpp")

    def test_every_folder_sees_the_sdk_by_its_public_name(self):
        for name in ("framework/base/a.hpp", "backends/cpu/a.cpp", "plugins/faulty/a.cpp", "tests/abi/a.c"):
            self.expect(name, '#include "tessera/types.h"')
        self.expect("framework/base/a.cpp", '#include "plugins/sdk/include/tessera/types.h"',
                    "framework/base must not include plugins/sdk/include/tessera/types.h")

    def test_includes_are_paths_from_the_root(self):
        self.expect("framework/base/a.cpp", '#include "status.hpp"', "include status.hpp by its path from the root")
        self.expect("plugins/faulty/a.cpp", '#include "sound.hpp"')

    def test_a_folder_that_the_table_lacks_is_reported(self):
        self.expect("framework/utils/a.cpp", "", "its folder is not in the table of check_layers.py")

    def test_a_library_stays_in_its_home(self):
        self.expect("framework/host/a.cpp", "#include <boost/dll/shared_library.hpp>")
        self.expect("tests/e2e/a.cpp", "#include <boost/dll/shared_library.hpp>",
                    "tests must not include <boost/dll/shared_library.hpp>: only framework/host may")
        self.expect("framework/runtime/a.cpp", "#include <dlfcn.h>",
                    "framework/runtime must not include <dlfcn.h>: only framework/host and tests may")

    def test_sdk_and_oracle_need_only_the_language(self):
        self.expect("plugins/sdk/include/tessera/plugin.hpp", "#include <string>")
        self.expect("plugins/sdk/include/tessera/plugin.hpp", "#include <fmt/format.h>",
                    "plugins/sdk must not include <fmt/format.h>: only the standard library")
        self.expect("plugins/sdk/include/tessera/types.h", "#include <stdio.h>",
                    "the ABI must not include <stdio.h>: only <stddef.h> and <stdint.h>")
        self.expect("framework/conformance/reference/a.cpp", "#include <fmt/format.h>",
                    "framework/conformance/reference must not include <fmt/format.h>: only the standard library")

    def test_only_the_host_opens_libraries(self):
        self.expect("backends/cpu/a.cpp", "void* library = dlopen(path, RTLD_NOW);",
                    "only framework/host opens a library")
        self.expect("backends/cpu/a.cpp", '// dlopen(path) is not called; log("dlopen(x)")')


class Readmes(Tree):
    def expect(self, text, *missing):
        self.write("README.md", text)
        self.assertEqual(list(check_readmes.missing(self.root)), list(missing), text)

    def setUp(self):
        super().setUp()
        self.write("framework/base/status.hpp", "")
        self.write("plugins/sdk/include/tessera/types.h", "")

    def test_reports_a_path_that_does_not_exist(self):
        self.expect("one\n`framework/base/gone.hpp`", "README.md:2: framework/base/gone.hpp does not exist")
        self.expect("[here](docs/gone.md#top)", "README.md:1: docs/gone.md does not exist")
        self.expect("`gone.cpp`", "README.md:1: gone.cpp does not exist")

    def test_finds_paths_from_the_root_the_sdk_and_by_bare_name(self):
        self.expect("`framework/base/status.hpp:12`, `framework/base/`, `tessera/types.h`, `status.hpp`")

    def test_leaves_alone_what_is_no_path(self):
        self.expect("`prefill/decode`, `tessera run -n 4`, `<string>`, `build/dev/bin/tessera`, `config.json`")
        self.expect("```\ncat framework/gone.cpp `framework/gone.cpp`\n```\n")

    def test_looks_up_what_precedes_a_placeholder(self):
        self.expect("`framework/<folder>/README.md`")
        self.expect("`framework/gone/<op>.cpp`", "README.md:1: framework/gone/<op>.cpp does not exist")

    def test_expands_braces_and_stars(self):
        self.expect("`framework/base/*.hpp`, `framework/{base}/status.hpp`")
        self.expect("`framework/base/{status,gone}.hpp`", "README.md:1: framework/base/gone.hpp does not exist")


class Presets(Tree):
    def test_a_preset_that_does_not_configure_is_named_with_the_reason(self):
        self.write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES NONE)\n"
                                     "if(BROKEN)\n  message(FATAL_ERROR \"no such luck\")\nendif()\n")
        self.write("CMakePresets.json", json.dumps({"version": 6, "configurePresets": [
            {"name": "base", "hidden": True, "generator": "Ninja"},
            {"name": "good", "inherits": "base"},
            {"name": "bad", "inherits": "base", "cacheVariables": {"BROKEN": "ON"}}]}))
        self.assertEqual(check_presets.visible_presets(self.root), ["good", "bad"])
        self.assertIsNone(check_presets.configure(self.root, "cmake", "good"))
        self.assertIn("no such luck", check_presets.configure(self.root, "cmake", "bad"))


class Headers(Tree):
    def test_wants_the_licence_first(self):
        self.assertIsNone(check_headers.fault("framework/a.cpp", "// SPDX-License-Identifier: Apache-2.0\n"))
        self.assertIsNone(check_headers.fault("scripts/a", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"))
        self.assertIn("begin with", check_headers.fault("framework/a.cpp", "int x;\n"))
        self.assertIn("begin with", check_headers.fault("tests/a.py", ""))

    def test_wants_a_header_to_say_why_it_exists(self):
        licence = "// SPDX-License-Identifier: Apache-2.0\n"
        self.assertIsNone(check_headers.fault("framework/a.hpp", licence + "//\n// Why.\n\n#pragma once\n"))
        self.assertIn("why", check_headers.fault("framework/a.hpp", licence + "\n#pragma once\n"))
        self.assertIn("pragma", check_headers.fault("framework/a.hpp", licence + "//\n// Why.\n"))


class Sizes(Tree):
    def test_counts_lines_of_files(self):
        self.assertEqual(list(check_sizes.too_long_in("a.cpp", "//\n" * 600)), [])
        self.assertEqual(list(check_sizes.too_long_in("a.cpp", "//\n" * 601)), ["a.cpp:1: 601 lines, more than 600"])

    def test_counts_lines_of_functions(self):
        for head in ("int f(int x)", "TEST(Suite, Claim)", "Foo::Foo(int x) : x_(x)", "auto f() -> int"):
            just = f"namespace a {{\nclass B;\n{head} {{\n" + "  g();\n" * 58 + "}\n}\n"
            self.assertEqual(list(check_sizes.too_long_in("a.cpp", just)), [], head)
            long = just.replace("g();", "g();\n  h();", 1)
            self.assertEqual(list(check_sizes.too_long_in("a.cpp", long)),
                             ["a.cpp:3: a function of 61 lines, more than 60"], head)

    def test_a_class_or_table_is_no_function(self):
        for head in ("class A : public B<int()>", "constexpr Row kRows[] =", "enum class E"):
            text = f"{head} {{\n" + "  // }\n" * 100 + "};\n"
            self.assertEqual(list(check_sizes.too_long_in("a.cpp", text)), [], head)

    def test_takes_a_reason_on_the_first_line(self):
        text = "int f() {  // NOLINT(readability-function-size): a state machine\n" + "  g();\n" * 90 + "}\n"
        self.assertEqual(list(check_sizes.too_long_in("a.cpp", text)), [])


class IsaSymbols(Tree):
    AVX512 = frozenset({"-mavx512f"})
    AMX = frozenset({"-mavx512f", "-mamx-tile"})
    AMX_BF16 = frozenset({"-mavx512f", "-mavx512bf16", "-mamx-tile"})

    def faults(self, *isas):
        units = [(f"{place}.cpp", {"f()"}, isa) for place, isa in enumerate(isas)]
        return list(check_isa_symbols.shared_by_isas(units))

    def test_names_a_function_of_two_instruction_sets(self):
        self.assertEqual(self.faults(frozenset(), self.AVX512),
                         ["f(): in 0.cpp and 1.cpp, which are compiled for different machines"])
        self.assertEqual(len(self.faults(self.AVX512, self.AMX_BF16)), 1)

    def test_lets_files_for_the_same_machine_share(self):
        self.assertEqual(self.faults(self.AVX512, self.AVX512), [])
        self.assertEqual(self.faults(self.AVX512, self.AMX), [])
        self.assertEqual(self.faults(frozenset({"-mamx-tile"}), self.AMX, self.AMX_BF16), [])

    @unittest.skipUnless(shutil.which("c++") and shutil.which("nm"), "no compiler or no nm")
    def test_reads_what_a_compiler_left(self):
        source = self.write("a.cpp", "inline int f(int x) { return x; }\nint (*kept)(int) = f;\n")
        subprocess.run(["c++", "-c", source, "-o", self.root / "a.o"], check=True)
        self.write("compile_commands.json", json.dumps(
            [{"file": str(source), "directory": str(self.root), "command": "c++ -mavx2 -c a.cpp -o a.o"}]))
        (name, built, isa), = check_isa_symbols.objects(self.root, self.root)
        self.assertEqual((name, isa), ("a.cpp", {"-mavx2"}))
        self.assertEqual(check_isa_symbols.weak_functions([built]), {built: {"f(int)"}})


class TidyKeys(Tree):
    def key(self, flags=""):
        source = self.root / "framework/a.cpp"
        entry = {"file": str(source), "command": f"c++ -I{self.root} {flags} -o a.o -c {source}"}
        return check_tidy.key_of(check_tidy.Sources(self.root), entry, ["version"])

    def test_change_with_any_file_that_is_included(self):
        self.write("framework/a.cpp", '#include "framework/b.hpp"\n#include <vector>\n')
        self.write("framework/b.hpp", '#include "framework/c.hpp"\n')
        self.write("framework/c.hpp", "int x;\n")
        before = self.key()
        self.write("framework/unrelated.hpp", "int y;\n")
        self.assertEqual(self.key(), before)
        self.write("framework/c.hpp", "int z;\n")
        self.assertNotEqual(self.key(), before)

    def test_change_with_the_flags_but_not_with_the_checkout(self):
        self.write("framework/a.cpp", "")
        before = self.key()
        self.assertNotEqual(self.key("-DX"), before)
        with tempfile.TemporaryDirectory() as other:
            self.root = pathlib.Path(other).resolve()
            self.write("framework/a.cpp", "")
            self.assertEqual(self.key(), before)

    def test_do_not_change_when_an_included_file_moves(self):
        self.write("framework/a.cpp", '#include "framework/b.hpp"\nint x;\n')
        self.write("framework/b.hpp", "int y;\n")
        before = self.key()
        self.write("framework/room/b.hpp", "int y;\n")
        self.write("framework/a.cpp", '#include "framework/room/b.hpp"\nint x;\n')
        self.assertEqual(self.key(), before)


class WithoutLiterals(unittest.TestCase):
    def test_keeps_code_and_line_numbers(self):
        text = 'a(); // b "\n/* c\n*/ d("e // f", \'"\', 1\'000); R"(g " )" h'
        self.assertEqual(source_tree.without_literals(text), "a(); \n\n d(, , 1'000);  h")


class Summary(Tree):
    def expect(self, cases, good, total):
        report = self.write("tests.xml", f"<testsuite>{cases}</testsuite>")
        with contextlib.redirect_stdout(io.StringIO()):
            lines, is_good = summarize_tests.summarize(report)
        self.assertEqual((lines[-1], is_good), (total, good))
        return lines

    def test_counts_each_outcome(self):
        passed = '<testcase name="a" status="run"/>'
        failed = '<testcase name="b" status="fail"><failure message=""/></testcase>'
        skipped = '<testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
        self.expect(passed, True, "1 passed, 0 failed")
        self.expect(passed + skipped, True, "1 passed, 0 failed, 1 skipped")
        self.expect(passed + failed, False, "1 passed, 1 failed")
        self.expect("", False, "0 passed, 0 failed")
        self.expect(skipped, False, "0 passed, 0 failed, 1 skipped")

    def test_shows_how_a_failed_test_ended(self):
        text = "\n".join(f"line {i}" for i in range(1000))
        lines = self.expect(
            '<testcase name="b" status="fail"><failure message=""/>'
            f"<system-out>{text}\n</system-out></testcase>", False, "0 passed, 1 failed")
        self.assertIn("  line 999", lines)
        self.assertLess(len(lines), 40)


if __name__ == "__main__":
    unittest.main()
