# SPDX-License-Identifier: Apache-2.0
"""`tessera report` in a real browser, and its plots as files, on files like those that commands print.

Usage: TSR_BINARY_DIR=BUILD TSR_SOURCE_DIR=ROOT python3 -m unittest report_test
"""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

from cli_test import BINARY, CommandCase

# Looks at the page as a reader with eyes, with a keyboard and with a screen reader does, and leaves what it finds on
# the root of this document, in which the page is a frame as wide as a phone or a desktop.
PROBE = """<!DOCTYPE html><html><body style="margin:0"><iframe src="%s" width="%d" height="900" style="border:0"></iframe>
<script>
const found = (name, value) => { document.documentElement.dataset[name] = value; };
const hasInk = (canvas) => {
  if (canvas.width === 0 || canvas.height === 0) return false;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] > 0) colours.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
  }
  return colours.size > 3;
};
// WCAG 2.1, "relative luminance" and "contrast ratio".
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const groundOf = (element, view) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = view.getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(colour) && colour !== "transparent") return colour;
  }
  return "rgb(255, 255, 255)";
};
addEventListener("load", () => setTimeout(() => {
  const view = document.querySelector("iframe").contentWindow, page = view.document, root = page.documentElement;
  const all = (what) => [...page.querySelectorAll(what)];
  found("plots", root.dataset.plots);
  found("broken", root.dataset.broken);
  found("inked", all("canvas").filter(hasInk).length);
  found("loaded", view.performance.getEntriesByType("resource").length);
  found("wide", root.scrollWidth > view.innerWidth);
  found("overflowing", all("canvas").filter((one) => one.getBoundingClientRect().right > one.parentElement.getBoundingClientRect().right + 1).length);
  const nameOf = (element) => (element.getAttribute("aria-label") || element.textContent).trim();
  found("nameless", all("a, button, canvas, [role=region], summary").filter((one) => nameOf(one) === "").length);
  found("untold", all("canvas").filter((one) => one.getAttribute("role") !== "img" || !one.closest("section").querySelector("table")).length);
  found("unlabelled", all("section").filter((one) => !page.getElementById(one.getAttribute("aria-labelledby"))).length);
  found("captionless", all("table").filter((one) => !one.caption || !one.querySelector("th[scope=col]")).length);
  const isFolded = (one) => one.parentElement.closest("details:not([open])") !== null && !one.matches("details:not([open]) > summary");
  const stops = all("a[href], button, summary, [tabindex='0']");
  found("unreachable", stops.filter((one) => { one.focus(); return page.activeElement !== one && !isFolded(one); }).length);
  found("first", stops[0].className);
  const cell = page.querySelector("table.plan button");
  if (cell) { cell.focus(); found("why", page.querySelector(".why").textContent === cell.getAttribute("aria-label")); }
  const texts = all("p, h1, h2, h3, th, td, a, figcaption, summary, caption, button").filter((one) => !isFolded(one) && nameOf(one) !== "");
  found("faint", texts.filter((one) => contrast(view.getComputedStyle(one).color, groundOf(one, view)) < 4.5).length);
  found("ground", view.getComputedStyle(page.body).backgroundColor);
}, 500));
</script></body></html>
"""


# Rules of WCAG and good practice, by axe-core; a list of "rule: first element" for the root of the page.
AXE = """<script>%s</script><script>
addEventListener("load", () => setTimeout(() => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  axe.run(document, { resultTypes: ["violations"] }).then((found) => {
    document.documentElement.dataset.axe = found.violations.map((rule) => rule.id + ": " + rule.nodes[0].target).join("; ");
    document.documentElement.dataset.passes = found.passes.length;
  });
}, 500));
</script></body>"""


def axe_source():
    """axe-core where npm or TSR_AXE_JS has it."""
    places = [os.environ.get("TSR_AXE_JS", "")] + [f"{root}/axe-core/axe.min.js" for root in (
        "/usr/share/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules")]
    found = next((pathlib.Path(place) for place in places if place and pathlib.Path(place).is_file()), None)
    return found.read_text() if found else None


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


QUICK_OPS = ("--repetitions", 2, "--batch-ms", 0.1, "--cold-mib", 1)


class ReportCase(CommandCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.page = self.folder / "report.html"

    def write(self, name, value):
        path = self.folder / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def rows(self, count, **more):
        return self.write(f"ops{count}.json", [op_row(i, **more) for i in range(count)])

    def make(self, *words):
        return self.json("report", *words, "-o", self.page)

    def open_in_browser(self, width=1100, dark=False):
        """What the probe found."""
        return self.open_page(self.write("probe.html", PROBE % (self.page.as_uri(), width)), dark)

    def open_page(self, page, dark):
        browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if browser is None:
            self.skipTest("no Chromium here")
        result = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder / 'profile'}",
             "--window-size=1200,950", "--virtual-time-budget=20000", "--enable-logging=stderr",
             "--allow-file-access-from-files", *(["--force-dark-mode"] if dark else []), "--dump-dom", page.as_uri()],
            capture_output=True, text=True, timeout=240, check=False)
        if "<html" not in result.stdout:
            self.skipTest("Chromium does not run here: " + result.stderr[-300:])
        self.assertEqual([line for line in result.stderr.splitlines() if "CONSOLE" in line], [])
        return dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", result.stdout)[0]))

    def check_page(self, num_plots, **browser):
        """Everything drawn, nothing loaded, and readable by everyone."""
        found = self.open_in_browser(**browser)
        if not self.has_plots:
            num_plots = 0
        self.assertEqual((found["plots"], found["inked"]), (str(num_plots), str(num_plots)), found)
        self.assertEqual((found["wide"], found["first"]), ("false", "skip"), found)
        for defect in ("broken", "loaded", "overflowing", "nameless", "untold", "unlabelled", "captionless", "unreachable",
                       "faint"):
            self.assertEqual(found[defect], "0", (defect, found))
        return found


class ReportPageTest(ReportCase):
    def setUp(self):
        super().setUp()
        self.has_plots = self.make(self.rows(1))["plots"]

    def everything(self):
        """A file of every kind, made by the commands themselves."""
        files = [self.write("devices.json", self.json("devices", "--env"))]
        files.append(self.write("ops.json", self.json(
            "bench", "ops", "--device", "cpu", "--shape", "1x64x64,8x64x64", "--scheme", "f32,w8a8", *QUICK_OPS)))
        files.append(self.write("model.json", self.json(
            "bench", "model", "--device", "cpu", "-n", 2, "--context", 4, "--repetitions", 1, "--breakdown")))
        files.append(self.write("compare.json", self.json(
            "compare", "--devices", "cpu", "--schemes", "w8a16,w4a16", "--limit", 50)))
        files.append(self.write("quantize.json", self.json(
            "quantize", "--scheme", "w8a16", "-o", self.folder / "quantized")))
        files.append(self.write("conform.json", self.json("conform", "cpu", "--level", 0)))
        files.append(self.folder / "plan.json")
        self.done("plan", "--prompt", 16, "--generate", 8, "--devices", "cpu", "-o", files[-1])
        if any(device["name"] == "npu_sim:910b" for device in self.json("devices")):
            files.append(self.folder / "trace.json")
            self.done("bench", "ops", "--device", "npu_sim:910b", "--shape", "256x256x256", "--no-history", "--trace",
                      files[-1])
        return files

    def test_says_what_it_took(self):
        report = self.make(self.rows(3))
        self.assertEqual(report["documents"], [{"name": "ops3.json", "kind": "bench ops"}])
        self.assertEqual(report["bytes"], self.page.stat().st_size)

    def test_draws_what_commands_print_in_light_and_dark_on_desktop_and_phone(self):
        files = self.everything()
        self.make(*files)
        # Two of accuracy, two of the model, roofline, sensitivity; the timeline where the simulator is built.
        num_plots = 6 + any(file.name == "trace.json" for file in files)
        text = self.page.read_text()
        for section in ("Roofline", "Shape x scheme x device", "Conformance", "Accuracy against size and speed"):
            self.assertIn(section, text)
        grounds = set()
        for width in (1100, 380):
            for dark in (False, True):
                found = self.check_page(num_plots, width=width, dark=dark)
                self.assertEqual(found["why"], "true", (width, dark))
                grounds.add(found["ground"])
        self.assertEqual(len(grounds), 2)

    def test_breaks_no_rule_of_accessibility(self):
        axe = axe_source()
        if axe is None:
            self.skipTest("axe-core is not installed; TSR_AXE_JS names its axe.min.js")
        self.make(*self.everything())
        page = self.write("axe.html", self.page.read_text().replace("</body>", AXE % axe))
        for dark in (False, True):
            found = self.open_page(page, dark)
            self.assertEqual(found["axe"], "")
            self.assertGreater(int(found["passes"]), 20)

    def test_works_with_ten_thousand_points(self):
        self.make(self.rows(10000))
        self.check_page(1)

    def test_a_file_that_is_not_as_commands_write_it_takes_nothing_with_it(self):
        odd = self.write("odd.json", {"scheme": "w8a8", "bytes_in": 1, "layers": [None, 3]})
        self.make(odd, self.rows(2))
        found = self.open_in_browser()
        self.assertEqual(found["broken"], "1")
        self.assertEqual(found["inked"], "1" if self.has_plots else "0")

    def test_bad_files_are_one_clear_line(self):
        self.page.unlink()
        self.refused(1, "nothing.json", "report", self.folder / "nothing.json", "-o", self.page)
        self.refused(1, "empty.json: not JSON", "report", self.write("empty.json", ""), "-o", self.page)
        self.refused(1, "other.json: not what", "report", self.write("other.json", {"a": 1}), "-o", self.page)
        self.refused(1, "run.json: not what", "report", self.write("run.json", {"machine": "a", "kind": "ops", "rows": [1]}),
                     "-o", self.page)
        self.refused(2, "-o", "report", self.rows(1))
        self.refused(2, "--db", "report", "-o", self.page)
        self.refused(1, "--db", "report", "--db", self.folder / "none.db", "-o", self.page)
        self.assertFalse(self.page.exists())


class MachinesTest(ReportCase):
    def setUp(self):
        super().setUp()
        self.has_plots = self.make(self.rows(1))["plots"]
        self.here = self.folder / "here.db"
        self.done("bench", "ops", "--device", "cpu", "--shape", "1x64x64,8x64x64", "--scheme", "f32,w8a8", *QUICK_OPS,
                  "--db", self.here)
        self.done("bench", "model", "--device", "cpu", "-n", 2, "--context", 4, "--repetitions", 1, "--db", self.here)

    def plant(self, machine, factor):
        """The history of a machine on which everything takes `factor` times as long."""
        path = self.folder / f"{machine}.db"
        shutil.copy(self.here, path)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE run SET machine = ?, processor = ?, uuid = substr(uuid, 9) || ?",
                       (machine * 8, f"Processor {machine}", machine * 8))
            for id_, text in db.execute("SELECT id, figures FROM result").fetchall():
                row = json.loads(text)
                for key in ("median_ns", "min_ns", "first_token_ns"):
                    if key in row:
                        row[key] *= factor
                for key in ("prefill_tokens_per_s", "decode_tokens_per_s"):
                    if key in row:
                        row[key] /= factor
                db.execute("UPDATE result SET figures = ? WHERE id = ?", (json.dumps(row), id_))
        return path

    def test_compares_the_machines_of_two_histories(self):
        slow = self.plant("b", 2.0)
        report = self.make("--db", f"{self.here},{slow}")
        self.assertEqual([one["kind"] for one in report["documents"]], ["run"] * 4)
        self.check_page(4)  # machines, the models' speed, a roofline for each
        self.check_page(4, width=380, dark=True)
        names = [one["name"] for one in self.json("report", "--db", self.here, "--db", slow, "--list-plots")] \
            if shutil.which("node") else ["machines"]
        self.assertIn("machines", names)
        if not shutil.which("node"):
            self.skipTest("node is not installed")
        plot = self.folder / "machines.svg"
        self.done("report", "--db", self.here, "--db", slow, "--plot", "machines", "-o", plot)
        # Geometric mean over the cases: the planted machine is half as fast, or the other twice.
        summary = plot.read_text()
        self.assertRegex(summary, r"5 cases; over all .* is the fastest, (1|2) times")

    def test_takes_the_newest_figures_of_each_case(self):
        self.done("bench", "ops", "--device", "cpu", "--shape", "1x64x64", "--scheme", "f32", *QUICK_OPS, "--db", self.here)
        newest = self.json("bench", "show", 3, "--db", self.here)["rows"][0]
        report = self.make("--db", self.here)
        self.assertEqual(len(report["documents"]), 2)
        data = re.search(r'<script type="application/json" id="data">(.*?)</script>', self.page.read_text(), re.DOTALL)[1]
        runs = [entry["json"] for entry in json.loads(data)["documents"]]
        ops = next(run for run in runs if run["kind"] == "ops")
        self.assertEqual(len(ops["rows"]), 4)
        same = [row for row in ops["rows"] if row["case"] == newest["case"]]
        self.assertEqual([row["median_ns"] for row in same], [newest["median_ns"]])


class PlotFileTest(ReportCase):
    """Plots alone, for papers."""

    def setUp(self):
        super().setUp()
        if not self.make(self.rows(1))["plots"]:
            self.skipTest("built without Chart.js")
        if not shutil.which("node"):
            self.skipTest("node is not installed")

    def files(self):
        layers = [{"name": f"model.layers.{i}.mlp<&>", "metric": 1.0 + i, "mse": 0.1, "sqnr": 30, "cosine": 0.9, "fallback": i == 2,
                   "scheme": "w8a8"} for i in range(4)]
        quantization = {"scheme": "w8a8", "bytes_in": 10, "bytes_out": 5, "bits_per_weight_linears": 8, "layers": layers}
        return self.rows(12), self.write("quantize.json", quantization)

    def test_each_plot_is_a_picture_with_ink(self):
        files = self.files()
        names = [one["name"] for one in self.json("report", *files, "--list-plots")]
        self.assertEqual(names, ["roofline-cpu", "sensitivity-1", "heat-map"])
        folder = self.folder / "plots"
        written = self.json("report", *files, "--plot", "all", "-o", folder)
        self.assertEqual([one["name"] for one in written], names)
        for name in names:
            root = xml.etree.ElementTree.parse(folder / f"{name}.svg").getroot()
            space = "{http://www.w3.org/2000/svg}"
            self.assertEqual(root.tag, space + "svg")
            self.assertTrue(root.find(space + "title").text)
            # A mark for each point, bar or cell, and words at the axes.
            self.assertGreater(len(root.findall(f".//{space}path")), 4)
            self.assertGreater(len(root.findall(f".//{space}text")), 4)
            self.assertNotIn("NaN", (folder / f"{name}.svg").read_text())

    def test_ten_thousand_points_are_ten_thousand_marks(self):
        plot = self.folder / "many.svg"
        self.done("report", self.rows(10000), "--plot", "roofline-cpu", "-o", plot)
        self.assertGreater(plot.read_text().count('fill="#0072b2"'), 9999)

    def test_png_through_librsvg(self):
        plot = self.folder / "roofline.png"
        if shutil.which("rsvg-convert") is None:
            self.refused(1, "librsvg2-bin", "report", self.rows(3), "--plot", "roofline-cpu", "-o", plot)
            return
        self.done("report", self.rows(3), "--plot", "roofline-cpu", "-o", plot)
        data = plot.read_bytes()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(int.from_bytes(data[16:20], "big"), 1440)

    def test_what_it_cannot_draw_is_one_clear_line(self):
        rows = self.rows(3)
        self.refused(1, "these files have roofline-cpu", "report", rows, "--plot", "none", "-o", self.folder / "a.svg")
        self.refused(1, "a .svg or a .png file", "report", rows, "--plot", "roofline-cpu", "-o", self.folder / "a.jpeg")
        result = subprocess.run([BINARY, "report", rows, "--plot", "roofline-cpu", "-o", self.folder / "a.svg"],
                                env={**os.environ, "PATH": str(self.folder)}, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("install the package nodejs", result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
