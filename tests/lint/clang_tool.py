# SPDX-License-Identifier: Apache-2.0
"""Finds a clang tool of the version whose opinion counts."""

import re
import shutil
import subprocess
import sys

# Other versions lay code out differently and know other warnings.
VERSION = 14
SKIPPED = 77


def find(tool):
    """The path and full version text of `tool`, or exits as skipped with the reason."""
    for name in (f"{tool}-{VERSION}", tool):
        path = shutil.which(name)
        if path is None:
            continue
        version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        if re.search(rf"version {VERSION}\.", version):
            return path, version
    print(f"skipped: no {tool} of version {VERSION}; apt-get install {tool}-{VERSION}")
    sys.exit(SKIPPED)
