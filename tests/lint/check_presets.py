# SPDX-License-Identifier: Apache-2.0
"""Fails if a configure preset no longer configures; most of them no other test builds.

Usage: check_presets.py ROOT CMAKE
"""

import json
import pathlib
import subprocess
import sys
import tempfile


def visible_presets(root):
    presets = json.loads((root / "CMakePresets.json").read_text(encoding="utf-8"))["configurePresets"]
    return [p["name"] for p in presets if not p.get("hidden")]


def configure(root, cmake, preset):
    """CMake's complaint, or None."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run([cmake, "-S", root, "-B", folder, "--preset", preset], cwd=root, text=True,
                                capture_output=True, check=False)
    return None if result.returncode == 0 else result.stderr.strip()


def main():
    root = pathlib.Path(sys.argv[1])
    presets = visible_presets(root)
    complaints = [(preset, configure(root, sys.argv[2], preset)) for preset in presets]
    bad = [f"{preset}: {text}" for preset, text in complaints if text is not None]
    print("\n".join(bad) if bad else f"{len(presets)} presets configure")
    return 1 if bad or not presets else 0


if __name__ == "__main__":
    sys.exit(main())
