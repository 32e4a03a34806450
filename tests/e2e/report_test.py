# SPDX-License-Identifier: Apache-2.0
"""`tessera report` in a real browser, on files like those that commands print.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest report_test
"""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from cli_test import CommandCase

# Counts the plots that have ink, and what the page tried to load.
PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  let inked = 0;
  for (const canvas of document.querySelectorAll("canvas")) {
    if (canvas.width === 0 || canvas.height === 0) continue;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i + 3] > 0) colours.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
    }
    if (colours.size > 3) inked += 1;
  }
  document.documentElement.dataset.inked = inked;
  document.documentElement.dataset.loaded = performance.getEntriesByType("resource").length;
  document.documentElement.dataset.wide = document.documentElement.scrollWidth > innerWidth;
}, 500));
</script>
"""


def op_row(index, device="cpu", scheme="w8a8"):
    """A row of bench ops with figures of its own."""
    size = 2 << 10
    median = 1e5 * (1 + index % 97) / 10
    return {
        "op": "linear", "device": device, "scheme": scheme, "M": 1 + index, "N": 1024, "K": 1024, "weights": "cold",
        "clock": "wall", "median_ns": median, "ci95_ns": [median, median], "bytes": size << 10,
        "ops": (1 + index) * size << 10, "limit": 5e3, "limit_kind": "memory", "achieved_over_limit": 5e3 / median,
        "limits": {"memory": {"per_ns": 30, "how": "8 streams"}, "compute": {"per_ns": 900, "how": "vnni"}},
        "reason": "", "correct": True}


class ReportTest(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.page = self.folder / "report.html"

    def write(self, name, value):
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def rows(self, count, **more):
        return self.write(f"ops{count}.json", [op_row(i, **more) for i in range(count)])

    def open_in_browser(self, width=1100):
        """Attributes that the probe left on the page's root."""
        browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if browser is None:
            self.skipTest("no Chromium here")
        probed = self.folder / "probed.html"
        probed.write_text(self.page.read_text().replace("</body>", PROBE + "</body>"))
        result = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder / 'profile'}",
             f"--window-size={width},900", "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom",
             probed.as_uri()], capture_output=True, text=True, timeout=240, check=False)
        if "<html" not in result.stdout:
            self.skipTest("Chromium does not run here: " + result.stderr[-300:])
        errors = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        self.assertEqual(errors, [])
        root = re.search(r"<html[^>]*>", result.stdout)[0]
        return dict(re.findall(r'data-(\w+)="([^"]*)"', root)), result.stdout

    def make(self, *files):
        return self.json("report", *files, "-o", self.page)

    def test_says_what_it_took(self):
        report = self.make(self.rows(3))
        self.assertEqual(report["documents"], [{"name": "ops3.json", "kind": "bench ops"}])
        self.assertEqual(report["bytes"], self.page.stat().st_size)

    def test_draws_what_commands_print(self):
        devices = self.write("devices.json", self.json("devices", "--env"))
        ops = self.write("ops.json", self.json(
            "bench", "ops", "--device", "cpu", "--shape", "1x64x64,8x64x64", "--scheme", "f32,w8a8", "--repetitions",
            1, "--batch-ms", 0.1, "--cold-mib", 1))
        model = self.write("model.json", self.json(
            "bench", "model", "--device", "cpu", "-n", 2, "--context", 4, "--repetitions", 1, "--breakdown"))
        plan = self.folder / "plan.json"
        self.done("plan", "--prompt", 16, "--generate", 8, "-o", plan)
        report = self.make(devices, ops, model, plan)
        found, text = self.open_in_browser()
        if report["plots"]:
            self.assertEqual(found["plots"], "3")  # roofline, speed, breakdown
            self.assertEqual(found["inked"], found["plots"])
        self.assertEqual(found["loaded"], "0")
        self.assertIn("layers.0.self_attn.q_proj: ", text)
        self.assertIn("Roofline of cpu", text)

    def test_works_with_ten_thousand_points(self):
        report = self.make(self.rows(10000))
        found, _ = self.open_in_browser()
        if report["plots"]:
            self.assertEqual(found["inked"], "1")

    def test_a_phone_scrolls_down_alone(self):
        self.make(self.rows(40), self.write("other.json", [op_row(i, "npu_sim:910b", "w4a16") for i in range(40)]))
        found, _ = self.open_in_browser(width=500)
        self.assertEqual(found["wide"], "false")

    def test_bad_files_are_one_clear_line(self):
        self.refused(1, "nothing.json", "report", self.folder / "nothing.json", "-o",
                     self.page)
        self.refused(1, "empty.json: not JSON", "report", self.write_text("empty.json", ""), "-o", self.page)
        self.refused(1, "other.json: not what", "report", self.write("other.json", {"a": 1}), "-o", self.page)
        self.assertFalse(self.page.exists())

    def write_text(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


if __name__ == "__main__":
    unittest.main()
