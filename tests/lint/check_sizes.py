# SPDX-License-Identifier: Apache-2.0
"""Fails if a file has more than 600 lines, or a function more than 60.

Usage: check_sizes.py ROOT

A file that is better in one piece goes to LONG_FILES with the reason. A long function carries
`NOLINT(readability-function-size): reason` on its first line, which clang-tidy reads too.
"""

import ast
import pathlib
import re
import sys

import source_tree

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60
LONG_FILES = {
    "plugins/sdk/include/tessera/types.h": "draws every format byte by byte; one page to search",
}

NOT_A_FUNCTION = re.compile(
    r"^\s*(?:template\s*<[^()]*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum)\b|=\s*$")


def functions_of_c(text):
    """(first line, last line) of each outermost block of statements."""
    plain = source_tree.without_literals(text)
    open_blocks = []  # (line, is a function), outermost first
    start = 0  # where the text that introduces the next block begins
    line = 1
    for place, char in enumerate(plain):
        if char == "\n":
            line += 1
        elif char == "{":
            head = "\n".join(row for row in plain[start:place].splitlines() if not row.lstrip().startswith("#"))
            in_function = any(is_function for _, is_function in open_blocks)
            is_function = not in_function and ")" in head and not NOT_A_FUNCTION.search(head)
            open_blocks.append((line - head.strip().count("\n"), is_function))
        elif char == "}" and open_blocks:
            first, is_function = open_blocks.pop()
            if is_function:
                yield first, line
        if char in "{};":
            start = place + 1


def functions_of_python(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def too_long_in(name, text):
    """Lines of the form `path:line: what is too long` for one file."""
    lines = text.splitlines()
    if len(lines) > MAX_FILE_LINES and name not in LONG_FILES:
        yield f"{name}:1: {len(lines)} lines, more than {MAX_FILE_LINES}"
    functions = functions_of_python if name.endswith(".py") else functions_of_c
    for first, last in functions(text):
        length = last - first + 1
        excused = "NOLINT(readability-function-size)" in lines[first - 1]
        if length > MAX_FUNCTION_LINES and not excused:
            yield f"{name}:{first}: a function of {length} lines, more than {MAX_FUNCTION_LINES}"


def too_long(root):
    for path in source_tree.files(root, (*source_tree.C_FAMILY, ".py")):
        yield from too_long_in(path.as_posix(), (root / path).read_text(errors="replace"))


if __name__ == "__main__":
    sys.exit(source_tree.report(list(too_long(pathlib.Path(sys.argv[1])))))
