# SPDX-License-Identifier: Apache-2.0
"""Counts the tests in CTest's JUnit report; the last line is "N passed, N failed".

Usage: summarize_tests.py REPORT

Of each test that failed the end of its output comes first, for CTest prints it
minutes earlier.  Exits 1 if a test failed, or if none ran.
"""

import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


# Of a failed test's output: where a traceback or a sanitizer says what is wrong.
LAST_LINES = 25


def outcome(case):
    """passed, failed or skipped; a program that could not be started failed."""
    if case.get("status") == "run":
        return "passed"
    if case.find("skipped") is not None or case.get("status") == "disabled":
        return "skipped"
    return "failed"


def end_of_output(case):
    text = (case.findtext("system-out") or "").rstrip()
    return [f"  {line}" for line in text.splitlines()[-LAST_LINES:]]


def summarize(report):
    """The lines to print, and whether the run is good."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    names = collections.defaultdict(list)
    lines = []
    for case in cases:
        names[outcome(case)].append(case.get("name"))
        if outcome(case) == "failed":
            lines += [f"{case.get('name')} ends with:", *end_of_output(case)]
    lines += [f"{kind}: {name}" for kind in ("skipped", "failed") for name in names[kind]]
    total = f"{len(names['passed'])} passed, {len(names['failed'])} failed"
    if names["skipped"]:
        total += f", {len(names['skipped'])} skipped"
    if not names["passed"] and not names["failed"]:
        lines.append("no test ran")
    return [*lines, total], bool(names["passed"]) and not names["failed"]


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    if not path.exists():
        print(f"{path}: not written; ctest did not run", file=sys.stderr)
        sys.exit(1)
    text, good = summarize(path)
    print("\n".join(text))
    sys.exit(not good)
