# SPDX-License-Identifier: Apache-2.0
"""Fails if a Markdown file names, in back quotes or as a link, a path that does not exist.

Usage: check_readmes.py ROOT

Taken as a path: what begins with one of our folders, with ./ or ../, or is a bare source file name. A path
is relative to the root, to the SDK's include folder or to the Markdown file; a bare name may be anywhere.
Of `framework/<folder>/README.md` only framework/ is looked up; `{a,b}` and `*` are expanded.
"""

import itertools
import pathlib
import re
import sys

import source_tree

TOP = (*source_tree.FOLDERS, "docs", "models", ".ci", "tessera")
SOURCE_NAME = re.compile(r"[\w.-]+\.(?:c|cpp|h|hpp|py|cmake|comp|cl|md)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PLACEHOLDER = re.compile(r"[<$…]|\.\.\.|\bNAME\b")
# History may name what is gone.
EXEMPT = {"CHANGELOG.md"}


def markdown_files(root):
    yield from sorted(root.glob("*.md"))
    for folder in (*source_tree.FOLDERS, "docs", "models"):
        yield from sorted((root / folder).rglob("*.md"))


def looks_like_path(text):
    if re.search(r"[\s()=;|\"']", text) or "://" in text or text.startswith(("/", "-", "~")):
        return False
    return (SOURCE_NAME.fullmatch(text) is not None or text.startswith(("./", "../"))
            or ("/" in text and text.split("/")[0] in TOP))


def expand(text):
    """`a/{b,c}.cpp` as [`a/b.cpp`, `a/c.cpp`]."""
    parts = re.split(r"\{([^}]*)\}", text)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def known_part(text):
    """The path up to its first placeholder, without a line number."""
    segments = re.sub(r":\d+(?:-\d+)?$", "", text).rstrip("/.,").split("/")
    return "/".join(itertools.takewhile(lambda segment: not PLACEHOLDER.search(segment), segments))


def exists(root, folder, path):
    """Whether a file or folder of that path or pattern is there, or lies outside the repository."""
    for base in (folder, root, root / "plugins/sdk/include"):
        inside_repository = (base / path).resolve().is_relative_to(root.resolve())
        if not inside_repository or any(base.glob(path)) or (base / path).exists():
            return True
    name_only = "/" not in path
    return name_only and any(any((root / top).rglob(path)) for top in source_tree.FOLDERS)


def missing_in(root, file):
    """Lines of the form `path:line: name does not exist` for one Markdown file."""
    text = FENCE.sub(lambda match: "\n" * match[0].count("\n"), file.read_text())
    for number, line in enumerate(text.splitlines(), 1):
        names = [name for name in QUOTED.findall(line) if looks_like_path(name)]
        names += [name for name in LINK.findall(line) if "://" not in name and not name.startswith("mailto:")]
        for name in names:
            for choice in expand(name):
                path = known_part(choice)
                if path and not exists(root, file.parent, path):
                    yield f"{file.relative_to(root)}:{number}: {choice} does not exist"


def missing(root):
    for file in markdown_files(root):
        if file.name not in EXEMPT:
            yield from missing_in(root, file)


if __name__ == "__main__":
    sys.exit(source_tree.report(list(missing(pathlib.Path(sys.argv[1])))))
