# SPDX-License-Identifier: Apache-2.0
"""Which files are ours, and what they say when comments and literals are left out."""

import re

FOLDERS = ("backends", "cmake", "framework", "plugins", "scripts", "tests")
C_FAMILY = (".c", ".cpp", ".h", ".hpp")

# A comment, or a string or character literal, whichever begins first.
_QUIET = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'""",
    re.DOTALL)


def files(root, suffixes, folders=FOLDERS):
    """Our files with one of these suffixes, as sorted paths relative to root."""
    found = []
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts:
                found.append(path.relative_to(root))
    return sorted(found)


def without_literals(text):
    """C++ text without comments and literals; every line keeps its number."""
    return _QUIET.sub(lambda match: "\n" * match[0].count("\n"), text)


def report(lines):
    """Prints the lines; the exit status of a check that found them."""
    for line in lines:
        print(line)
    return 1 if lines else 0
