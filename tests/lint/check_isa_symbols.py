# SPDX-License-Identifier: Apache-2.0
"""Fails if a function may be linked from an object that was compiled for another instruction set.

Usage: check_isa_symbols.py ROOT BUILD

Inline functions and templates stand in every object that uses them, and the linker keeps any one. If a file for
AVX-512 and one for every machine both hold such a function, the kept one may stop the older machine. AMX counts as
nothing beside: compilers make its instructions of intrinsics alone. Files that both ask for it may share anything, for
they run where all of AVX-512 is there that any of them asks for.
"""

import collections
import itertools
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

SKIPPED = 77
OF_AN_ISA = re.compile(r"-m(?:amx|avx|fma|f16c|sse|arch|cpu)")
WEAK_FUNCTION = re.compile(r"^(.+):[0-9a-f]* W (.+)$", re.MULTILINE)


def objects(root, build):
    """(source, object, its instruction set) of everything that ships."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"])
        if not source.is_relative_to(root) or source.is_relative_to(root / "tests"):
            continue
        words = shlex.split(entry["command"])
        built = pathlib.Path(entry["directory"]) / words[words.index("-o") + 1]
        if built.exists():
            yield source.relative_to(root).as_posix(), built, frozenset(filter(OF_AN_ISA.match, words))


def weak_functions(objects_built):
    """By object the weak functions in it, of one run of nm: a run for each would take far longer."""
    listed = subprocess.run(["nm", "--print-file-name", "--defined-only", "--demangle", *objects_built],
                            capture_output=True, text=True, check=True)
    functions = collections.defaultdict(set)
    for built, function in WEAK_FUNCTION.findall(listed.stdout):
        functions[pathlib.Path(built)].add(function)
    return functions


def may_share(one, other):
    """Whether a function may be linked from either of two instruction sets."""
    vectors, other_vectors = ({flag for flag in isa if not flag.startswith("-mamx")} for isa in (one, other))
    return vectors == other_vectors or (vectors != one and other_vectors != other)


def shared_by_isas(units):
    """Lines that name each weak function of objects for different instruction sets."""
    places = collections.defaultdict(dict)  # function -> instruction set -> a source
    for source, functions, isa in units:
        for function in functions:
            places[function].setdefault(isa, source)
    for function, of_isa in sorted(places.items()):
        if not all(may_share(*pair) for pair in itertools.combinations(of_isa, 2)):
            yield f"{function}: in {' and '.join(sorted(of_isa.values()))}, which are compiled for different machines"


def main(root, build):
    if shutil.which("nm") is None:
        print("nm is not installed")
        return SKIPPED
    if "CMAKE_BUILD_TYPE:STRING=Debug" in (build / "CMakeCache.txt").read_text():
        print("a debug build inlines too little, and is run where it was made")
        return SKIPPED
    built_here = list(objects(root, build))
    functions = weak_functions([built for _, built, _ in built_here])
    units = [(source, functions[built], isa) for source, built, isa in built_here]
    faults = list(shared_by_isas(units))
    print("\n".join(faults) or f"{len(units)} objects, {len({isa for _, _, isa in units})} instruction sets")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()))
