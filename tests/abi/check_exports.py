# SPDX-License-Identifier: Apache-2.0
"""Fails if a plugin exports anything but tsr_plugin_query_v1.

Usage: check_exports.py NM FOLDER_OR_LIBRARY...

A missing folder is skipped; no library at all is a failure.
"""

import pathlib
import subprocess
import sys

SYMBOL = "tsr_plugin_query_v1"
# The faulty plugin whose fault is that it has none.
NO_SYMBOL = "tsr_plugin_no_symbol.so"


def exported(nm, library):
    output = subprocess.run([nm, "-D", "--defined-only", str(library)],
                            check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return [line.split()[-1] for line in output.splitlines()]


def libraries(arguments):
    for path in map(pathlib.Path, arguments):
        yield from sorted(path.glob("*.so")) if path.is_dir() else [path]


def main(nm, *arguments):
    checked = failed = 0
    for library in filter(pathlib.Path.exists, libraries(arguments)):
        checked += 1
        symbols = exported(nm, library)
        if symbols != ([] if library.name == NO_SYMBOL else [SYMBOL]):
            failed += 1
            print(f"{library}: exports {', '.join(symbols) or 'nothing'}")
    print(f"{checked} libraries, {failed} failures")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
