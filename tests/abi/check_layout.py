# SPDX-License-Identifier: Apache-2.0
"""Fails if the layout of the ABI is not the one in the golden file.

Usage: check_layout.py INCLUDE GOLDEN [--cc CC] [--update]

INCLUDE holds tessera/*.h. A golden line is a struct with its size, a field with
offset, size and type, or a constant with its value. The layout is measured with
CC; with clang present it is asserted for other targets as well.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import abi_headers

TARGETS = ("x86_64-linux-gnu", "aarch64-linux-gnu", "riscv64-linux-gnu",
           "x86_64-windows-msvc", "aarch64-apple-darwin")

INCLUDES = "#include <stddef.h>\n#include \"tessera/plugin.h\"\n"


def measuring_program(abi):
    lines = ["#include <stdio.h>", INCLUDES, "int main(void) {"]
    for struct in abi.structs:
        lines.append(f'  printf("struct {struct.name} %zu\\n",'
                     f" sizeof({struct.name}));")
        for f in struct.fields:
            place = f"(({struct.name}*)0)->{f.name}"
            lines.append(
                f'  printf("field {struct.name}.{f.name} %zu %zu {f.type}\\n",'
                f" offsetof({struct.name}, {f.name}), sizeof({place}));")
    for name in abi.constants:
        lines.append(f'  printf("value {name} %lld\\n", (long long){name});')
    return "\n".join(lines + ["  return 0;", "}", ""])


def asserting_program(layout):
    lines = [INCLUDES]
    for kind, name, *numbers in (line.split(" ", 4) for line in layout):
        if kind == "struct":
            claims = [f"sizeof({name}) == {numbers[0]}"]
        elif kind == "field":
            struct, member = name.split(".")
            claims = [f"offsetof({struct}, {member}) == {numbers[0]}",
                      f"sizeof((({struct}*)0)->{member}) == {numbers[1]}"]
        else:
            claims = [f"(long long){name} == {numbers[0]}"]
        lines += [f'_Static_assert({c}, "{name}");' for c in claims]
    return "\n".join(lines) + "\n"


def measure(abi, include, cc):
    """The layout as golden lines."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "layout.c"
        program = pathlib.Path(folder) / "layout"
        source.write_text(measuring_program(abi))
        subprocess.run([cc, "-std=c11", f"-I{include}", str(source), "-o",
                        str(program)], check=True)
        output = subprocess.run([str(program)], check=True, text=True,
                                stdout=subprocess.PIPE).stdout
    return output.splitlines()


def find_gaps(layout):
    """Fields that do not begin where the one before ends: padding, or a field
    that the parser missed."""
    gaps, end, struct = [], 0, None
    for kind, name, *numbers in (line.split(" ", 4) for line in layout):
        if kind != "field":
            if struct and end != size:
                gaps.append(f"{struct} has {size - end} bytes after its fields")
            struct = name if kind == "struct" else None
            end, size = 0, int(numbers[0])
        elif int(numbers[0]) != end:
            gaps.append(f"{name} is not at offset {end}")
            end = int(numbers[0]) + int(numbers[1])
        else:
            end += int(numbers[1])
    return gaps


def check_targets(include, layout):
    """Asserts the layout for every target; returns what failed."""
    clang = shutil.which("clang")
    if not clang:
        print("no clang: other targets not checked")
        return []
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "assert.c"
        source.write_text(asserting_program(layout))
        for target in TARGETS:
            run = subprocess.run(
                [clang, f"--target={target}", "-std=c11", "-ffreestanding",
                 "-fsyntax-only", "-Werror", f"-I{include}", str(source)],
                text=True, stderr=subprocess.PIPE)
            if run.returncode != 0:
                failed.append(f"{target}: {run.stderr.splitlines()[0]}")
    return failed


def describe(golden, layout, fixed):
    """What differs, as (line, what it takes) pairs; `fixed` structs may not
    grow."""
    def table(lines):
        return {tuple(line.split(" ", 2)[:2]): line for line in lines}

    old, new = table(golden), table(layout)
    known = {name for kind, name in old if kind == "struct"}
    for kind, name in sorted(old.keys() | new.keys()):
        before, after = old.get((kind, name)), new.get((kind, name))
        if before == after:
            continue
        struct = name.split(".")[0]
        appended = before is None or kind == "struct" or "TSR_ABI_M" in name
        minor = after is not None and appended and not (
            struct in known and struct in fixed)
        yield (f"{before or 'nothing'} -> {after or 'nothing'}",
               "MINOR" if minor else "MAJOR")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("include")
    parser.add_argument("golden", type=pathlib.Path)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()

    abi = abi_headers.read(options.include)
    layout = measure(abi, options.include, options.cc)
    problems = find_gaps(layout) + check_targets(options.include, layout)
    if options.update and not problems:
        options.golden.write_text("\n".join(layout) + "\n")
    fixed = {struct.name for struct in abi.structs if not struct.grows}
    golden = options.golden.read_text().splitlines()
    differences = list(describe(golden, layout, fixed))
    for line, takes in differences:
        print(f"{takes}: {line}")
    if differences:
        major = any(takes == "MAJOR" for _, takes in differences)
        print(f"the layout is not that of {options.golden.name}: this needs a new",
              "MAJOR version, old plugins would misread it" if major else
              "MINOR version: new fields and values were appended")
        print("once the version says so, or before the freeze, accept it with"
              " --update and a line in plugins/sdk/CHANGELOG.md")
    for problem in problems:
        print(problem)
    return 1 if differences or problems else 0


if __name__ == "__main__":
    sys.exit(main())
