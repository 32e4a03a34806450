# SPDX-License-Identifier: Apache-2.0
"""Runs the peers tests in a virtual environment of the build folder.

Usage: run_peers.py    with TSR_BINARY_DIR and TSR_SOURCE_DIR set

Exits with 77, which CTest counts as skipped, where the environment cannot be made, as without a network.
TSR_PEERS=ON also installs torch, transformers and compressed-tensors, some gigabytes; without it the
tests that need them run only if they can be imported already.
"""

import os
import pathlib
import subprocess
import sys

SKIPPED = 77
SMALL = ["gguf==0.19.0", "numpy>=1.26", "safetensors>=0.4"]
LARGE = ["compressed-tensors>=0.12", "torch", "transformers>=4.51"]


def wanted_packages():
    large = os.environ.get("TSR_PEERS", "OFF").upper() in ("ON", "1", "TRUE", "YES")
    return SMALL + LARGE if large else SMALL


def run(*words):
    """The last line of what a command said, or None if it succeeded."""
    try:
        result = subprocess.run(words, capture_output=True, text=True, timeout=800)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return None
    lines = (result.stderr or result.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit status {result.returncode}"


def make_environment(folder):
    """The interpreter of an environment with the packages, and why there is none."""
    python = folder / "bin" / "python"
    packages = wanted_packages()
    done = folder / "installed.txt"
    if done.is_file() and done.read_text() == "\n".join(packages):
        return python, None
    reason = run(sys.executable, "-m", "venv", str(folder))
    if reason is None:
        reason = run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    if reason is None:
        done.write_text("\n".join(packages))
    return python, reason


def main():
    python, reason = make_environment(pathlib.Path(os.environ["TSR_BINARY_DIR"]) / "peers-venv")
    if reason is not None:
        print(f"skipped: no virtual environment with {', '.join(wanted_packages())}: {reason}")
        return SKIPPED
    tests = subprocess.run([str(python), "-B", "-m", "unittest", "-v", *sys.argv[1:]] if sys.argv[1:] else
                           [str(python), "-B", "-m", "unittest", "discover", "-v", "-p", "*_test.py"],
                           check=False)
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main())
