# SPDX-License-Identifier: Apache-2.0
"""Fails if clang-format would change a C or C++ file of ours.

Usage: check_format.py ROOT [--fix]

--fix formats the files instead.
"""

import concurrent.futures
import itertools
import os
import pathlib
import re
import subprocess
import sys

import clang_tool
import source_tree


FAULT = re.compile(r"^(.+?:\d+):\d+: error:", re.MULTILINE)


def run(command, root):
    """The places that a command complains about; its whole output if it says nothing like that."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return [f"{place}: not formatted" for place in FAULT.findall(done.stderr)] or [done.stderr]


def main(root, fix):
    tool, _ = clang_tool.find("clang-format")
    paths = [str(path) for path in source_tree.files(root, source_tree.C_FAMILY)]
    mode = ["-i"] if fix else ["--dry-run", "-Werror"]
    batches = [[tool, *mode, *paths[i:i + 16]] for i in range(0, len(paths), 16)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = list(itertools.chain(*pool.map(lambda command: run(command, root), batches)))
    if faults:
        faults.append(f"python3 {sys.argv[0]} {root} --fix formats them")
    return source_tree.report(faults)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), "--fix" in sys.argv[2:]))
