# SPDX-License-Identifier: Apache-2.0
"""Compiles each header of the SDK alone, with every compiler that is here.

Usage: check_headers.py INCLUDE

The C headers must compile as C11 and C++17 without any padding, and include
nothing but <stddef.h>, <stdint.h> and each other; the C++ helpers as C++17.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import abi_headers

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow",
            "-Werror"]
# The reader sees every byte of a struct: none may be the compiler's.
PADDED = ["-Wpadded"]
ALLOWED = {"<stddef.h>", "<stdint.h>", '"tessera/types.h"', '"tessera/ops.h"',
           '"tessera/plugin.h"'}
INCLUDE = re.compile(r"^#include (\S+)", re.M)


def ways(header, is_abi):
    """(compilers, flags) pairs that must accept the header."""
    if header.suffix == ".h":
        extra = PADDED if is_abi else []
        yield ("gcc", "clang"), ["-x", "c", "-std=c11", *extra]
        yield ("g++", "clang++"), ["-x", "c++", "-std=c++17", *extra]
    else:
        yield ("g++", "clang++"), ["-x", "c++", "-std=c++17"]


def pointers_in_payloads(name, text):
    """Fields of draft payloads that could not cross a process."""
    for struct in abi_headers.parse_structs(text):
        for field in struct.fields:
            if "*" in field.type or field.type == "tsr_array":
                yield f"{name}: {struct.name}.{field.name} is a pointer"


def check(include, header):
    """What is wrong with one header, as lines."""
    name = header.relative_to(include).as_posix()
    is_draft = header.name in ("draft_ops.h", "requests.h", "simulator.h")
    is_abi = header.name in abi_headers.HEADERS or is_draft
    if is_draft:
        yield from pointers_in_payloads(name, header.read_text())
    if is_abi:
        for included in INCLUDE.findall(header.read_text()):
            if included not in ALLOWED:
                yield f"{name}: includes {included}"
    for compilers, flags in ways(header, is_abi):
        for compiler in filter(shutil.which, compilers):
            run = subprocess.run(
                [compiler, *flags, *WARNINGS, "-fsyntax-only", f"-I{include}",
                 "-"], input=f'#include "{name}"\n', text=True,
                stderr=subprocess.PIPE)
            if run.returncode != 0:
                first = "\n".join(run.stderr.splitlines()[:4])
                yield f"{name}: {compiler} {' '.join(flags)}\n{first}"


def main(include):
    headers = sorted(path for path in include.rglob("*")
                     if path.suffix in (".h", ".hpp"))
    failed = [line for header in headers for line in check(include, header)]
    print("\n".join(failed))
    print(f"{len(headers)} headers, {len(failed)} failures")
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
