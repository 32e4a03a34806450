# SPDX-License-Identifier: Apache-2.0
"""Fails if the reference of the plugin ABI cannot be built without a warning, or leaves a name of it out.

Usage: check_abi_reference.py ROOT BUILD
"""

import pathlib
import re
import shutil
import subprocess
import sys

SKIPPED = 77
NAME = re.compile(r"^(?:typedef struct|struct|typedef) (?:\w+ )*(tsr_\w+)", re.MULTILINE)
FUNCTION = re.compile(r"\(\*(\w+)\)\(")


def main(root, build):
    if shutil.which("doxygen") is None:
        print("doxygen is not installed")
        return SKIPPED
    folder = build / "abi_reference"
    shutil.rmtree(folder, ignore_errors=True)
    result = subprocess.run([root / "scripts" / "abi_reference", folder], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(result.stdout + result.stderr)
        return 1
    text = "\n".join(path.read_text(errors="replace") for path in sorted((folder / "html").glob("*.html")))
    words = set(re.findall(r"\w+", text))
    missing = []
    for header in sorted((root / "plugins/sdk/include/tessera").glob("*.h")):
        source = header.read_text()
        names = set(NAME.findall(source)) | set(FUNCTION.findall(source))
        missing += [f"{header}: {name} is not in the reference" for name in sorted(names - words)]
    # The contracts themselves, not names alone.
    if "What the host lends to a plugin" not in text:
        missing.append("plugin.h: the comments of its declarations are not in the reference")
    print("\n".join(missing) or f"{len(words)} words, no warning")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
