# SPDX-License-Identifier: Apache-2.0
"""Fails if clang-tidy warns about a translation unit of ours.

Usage: check_tidy.py ROOT BUILD_FOLDER --quick|--deep

--quick leaves out tests/; --deep adds the static analyzer.

Parsing the system's headers takes seconds per file, so a clean result is remembered, by all that it
depends on, in $XDG_CACHE_HOME/tessera/tidy (~/.cache by default), where every checkout finds it again.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

import clang_tool
import source_tree

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
OWN_INCLUDE = re.compile(r'^\s*#\s*include\s*"[^"]+"\n', re.MULTILINE)
KEEP_SECONDS = 30 * 24 * 3600


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "tessera" / "tidy"


def arguments(entry):
    """The compiler's arguments of one entry of compile_commands.json, without its outputs."""
    words = iter(shlex.split(entry["command"])[1:])
    kept = []
    for word in words:
        if word in ("-o", "-MF", "-MT"):
            next(words)
        elif word not in ("-c", "-MD"):
            kept.append(word)
    return kept


def include_folders(words):
    return [pathlib.Path(word[2:]) for word in words if word.startswith("-I")]


class Sources:
    """Our files as clang-tidy sees them: their text, and what they include."""

    def __init__(self, root):
        self.root = root
        self._read = {}

    def read(self, path):
        """(hash of the text, included names) of one file; None if it is not there.

        What our own includes hold is hashed with those files, so that a file may move without a new run.
        """
        if path not in self._read:
            try:
                text = path.read_text(errors="replace")
            except OSError:
                self._read[path] = None
            else:
                kept = OWN_INCLUDE.sub("", text)
                self._read[path] = (hashlib.sha256(kept.encode()).hexdigest(), INCLUDE.findall(text))
        return self._read[path]

    def closure(self, path, folders):
        """Hashes of the file and of all that it includes of ours, however deep, in a fixed order."""
        seen, waiting = {}, [path]
        while waiting:
            file = waiting.pop()
            if file in seen or (found := self.read(file)) is None:
                continue
            seen[file] = found[0]
            waiting += [folder / name for name in found[1] for folder in (file.parent, *folders)]
        return sorted(seen.values())


def configuration(root):
    """The text of every .clang-tidy that may apply."""
    return [path.read_text() for path in sorted([root / ".clang-tidy", *root.glob("*/**/.clang-tidy")])]


def key_of(sources, entry, constants):
    """The name under which a clean result of this entry is remembered."""
    words = arguments(entry)
    hashes = sources.closure(pathlib.Path(entry["file"]), include_folders(words))
    spelled = [word.replace(str(sources.root), ".") for word in words if word != entry["file"]]
    return hashlib.sha256(json.dumps([constants, spelled, hashes]).encode()).hexdigest()


def translation_units(root, build, with_tests):
    """The entries of our own files, one per file, the largest first: they take longest."""
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.is_relative_to(root / "tests") and not with_tests:
            continue
        if path.is_relative_to(root) and not path.is_relative_to(build):
            entries.setdefault(entry["file"], entry)
    return sorted(entries.values(), key=lambda entry: -os.path.getsize(entry["file"]))


def warnings(tool, build, checks, entry):
    """What clang-tidy prints about one translation unit; empty if it is clean."""
    done = subprocess.run([tool, "-quiet", "-p", str(build), f"-checks={checks}", entry["file"]], capture_output=True, text=True)
    if done.returncode == 0 and not done.stdout:
        return ""
    return done.stdout or done.stderr or f"{entry['file']}: clang-tidy ended with status {done.returncode}\n"


def forget_old(cache):
    for path in cache.iterdir():
        if path.stat().st_mtime < time.time() - KEEP_SECONDS:
            path.unlink(missing_ok=True)


def main(root, build, depth):
    deep = depth == "--deep"
    checks = "clang-analyzer-*" if deep else ""
    tool, version = clang_tool.find("clang-tidy")
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    forget_old(cache)
    sources = Sources(root)
    constants = [version, checks, *configuration(root)]

    def check(entry):
        """(warnings, whether clang-tidy had to run)"""
        remembered = cache / key_of(sources, entry, constants)
        fresh = not remembered.exists()
        found = warnings(tool, build, checks, entry) if fresh else ""
        if not found:
            remembered.touch()
        return found, fresh

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(check, translation_units(root, build, with_tests=deep)))
    print(f"{len(results)} files, {sum(fresh for _, fresh in results)} of them checked anew")
    return source_tree.report([found for found, _ in results if found])


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), *sys.argv[3:]))
