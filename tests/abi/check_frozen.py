# SPDX-License-Identifier: Apache-2.0
"""Fails if a header of a released ABI version is not the one that was released.

Usage: check_frozen.py FOLDER SUMS [--update]

SUMS holds a line for each file below FOLDER: its SHA-256 and its path. --update is for the day of a release.
"""

import argparse
import hashlib
import pathlib
import sys


def sums_of(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def differences(released, found):
    """One line for each file that is not as it was released."""
    for path in sorted(released.keys() | found.keys()):
        if path not in found:
            yield f"{path} is missing"
        elif path not in released:
            yield f"{path} was not released"
        elif released[path] != found[path]:
            yield f"{path} was changed: released headers never are"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("sums", type=pathlib.Path)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    found = sums_of(options.folder)
    if options.update:
        options.sums.write_text("".join(f"{value}  {path}\n" for path, value in found.items()))
        return 0
    released = dict(reversed(line.split("  ", 1)) for line in options.sums.read_text().splitlines())
    wrong = list(differences(released, found))
    for line in wrong:
        print(f"{options.folder}/{line}")
    return 1 if wrong or not released else 0


if __name__ == "__main__":
    sys.exit(main())
