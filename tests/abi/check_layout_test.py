# SPDX-License-Identifier: Apache-2.0
"""Tests that check_layout.py sees every kind of change, and names what it takes.

Usage: check_layout_test.py INCLUDE
"""

import pathlib
import shutil
import sys
import tempfile
import unittest

import abi_headers
import check_layout
import next_minor

INCLUDE = pathlib.Path(sys.argv.pop(1))


class CheckLayout(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.include = pathlib.Path(self.folder.name)
        shutil.copytree(INCLUDE / "tessera", self.include / "tessera")
        abi = abi_headers.read(INCLUDE)
        self.golden = check_layout.measure(abi, INCLUDE, "cc")
        self.fixed = {s.name for s in abi.structs if not s.grows}

    def tearDown(self):
        self.folder.cleanup()

    def change(self, header, old, new):
        path = self.include / "tessera" / header
        text = path.read_text()
        self.assertEqual(text.count(old), 1, old)
        path.write_text(text.replace(old, new))

    def takes(self):
        """The versions that the changes to the headers take."""
        layout = check_layout.measure(abi_headers.read(self.include),
                                      self.include, "cc")
        return {takes for _, takes in
                check_layout.describe(self.golden, layout, self.fixed)}

    def test_no_change_takes_no_version(self):
        self.assertEqual(self.takes(), set())

    def test_the_next_minor_version_is_minor(self):
        next_minor.write_headers(INCLUDE, self.include)
        self.assertEqual(self.takes(), {"MINOR"})

    def test_a_field_in_the_middle_is_major(self):
        self.change("types.h", "  uint32_t retry; ",
                    "  uint64_t inserted;\n  uint32_t retry; ")
        self.assertIn("MAJOR", self.takes())

    def test_swapped_fields_are_major(self):
        self.change("ops.h", "  uint32_t first_op;\n  uint32_t num_ops;\n"
                    "  uint32_t reserved;\n",
                    "  uint32_t num_ops;\n  uint32_t first_op;\n"
                    "  uint32_t reserved;\n")
        self.assertIn("MAJOR", self.takes())

    def test_a_field_of_another_type_is_major(self):
        self.change("types.h", "  int64_t native_code;",
                    "  uint64_t native_code;")
        self.assertIn("MAJOR", self.takes())

    def test_another_signature_is_major(self):
        self.change("plugin.h", "(*device_count)(tsr_error* err, uint32_t*",
                    "(*device_count)(tsr_error* err, int32_t*")
        self.assertIn("MAJOR", self.takes())

    def test_another_value_is_major(self):
        self.change("ops.h", "TSR_OP_ADD = 7", "TSR_OP_ADD = 70")
        self.assertEqual(self.takes(), {"MAJOR"})

    def test_a_lost_value_is_major(self):
        self.change("ops.h", "  TSR_MASK_FULL = 1,     // every cached token\n",
                    "")
        self.assertEqual(self.takes(), {"MAJOR"})

    def test_growth_of_an_embedded_struct_is_major(self):
        self.change("types.h", "} tsr_slice;", "  uint64_t more;\n} tsr_slice;")
        self.assertIn("MAJOR", self.takes())

    def test_a_new_struct_is_minor(self):
        self.change("types.h", "} tsr_slice;",
                    "} tsr_slice;\n\ntypedef struct tsr_new {\n"
                    "  uint32_t struct_size;\n} tsr_new;")
        self.assertEqual(self.takes(), {"MINOR"})

    def test_padding_is_found(self):
        self.change("types.h", "  uint32_t num_blocks;\n",
                    "  uint32_t num_blocks;\n  uint32_t odd;\n")
        layout = check_layout.measure(abi_headers.read(self.include),
                                      self.include, "cc")
        self.assertTrue(check_layout.find_gaps(layout))

    def test_a_constant_that_is_not_listed_is_found(self):
        path = self.include / "tessera" / "types.h"
        path.write_text(path.read_text() + "static const int TSR_LOST = 1;\n")
        with self.assertRaises(ValueError):
            abi_headers.read(self.include)


if __name__ == "__main__":
    unittest.main()
