# SPDX-License-Identifier: Apache-2.0
"""Fails if a source file does not begin with its licence line, or a header does not say why it exists.

Usage: check_headers.py ROOT
"""

import pathlib
import sys

import source_tree

LICENCE = "SPDX-License-Identifier: Apache-2.0"


def fault(name, text):
    """What is wrong with the first lines of a file; None if nothing is."""
    is_c = name.endswith(source_tree.C_FAMILY)
    mark = "//" if is_c else "#"
    lines = text.splitlines()
    start = 1 if lines and lines[0].startswith("#!") else 0
    if lines[start:start + 1] != [f"{mark} {LICENCE}"]:
        return f"{start + 1}: begin with `{mark} {LICENCE}`"
    if name.endswith((".h", ".hpp")):
        if lines[1:2] != ["//"] or not "".join(lines[2:3]).startswith("// "):
            return "2: say after an empty comment line why the file exists"
    if name.endswith(".hpp") and name.startswith("framework/") and "/include/" not in name and "#pragma once" not in lines:
        return "1: an internal header has `#pragma once`"
    return None


def faults(root):
    paths = source_tree.files(root, (*source_tree.C_FAMILY, ".py", ".sh"))
    paths += [path.relative_to(root) for path in sorted((root / "scripts").glob("*")) if not path.suffix]
    for path in paths:
        if found := fault(path.as_posix(), (root / path).read_text(errors="replace")):
            yield f"{path}:{found}"


if __name__ == "__main__":
    sys.exit(source_tree.report(list(faults(pathlib.Path(sys.argv[1])))))
