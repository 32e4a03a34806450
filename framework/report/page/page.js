// SPDX-License-Identifier: Apache-2.0
//
// Draws the page from the data in it.  Text from files is only ever set as
// text, never as markup.
"use strict";

(() => {
  const documents = JSON.parse(document.getElementById("data").textContent).documents;
  const main = document.getElementById("main");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];
  let broken = 0;

  // ---- Elements ------------------------------------------------------------

  function add(parent, tag, text, attributes = {}) {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  }

  function section(id, title, text) {
    const element = add(main, "section", null, { id, "aria-labelledby": id + "-title" });
    add(element, "h2", title, { id: id + "-title" });
    if (text) add(element, "p", text, { class: "note" });
    add(document.getElementById("contents"), "a", title, { href: "#" + id });
    return element;
  }

  // Wide tables scroll by themselves, with the keyboard too.
  function scroller(parent, label) {
    return add(parent, "div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table: " + label });
  }

  function table(parent, head, rows, caption, hasNumbers = true) {
    const element = add(scroller(parent, caption), "table");
    add(element, "caption", caption);
    const top = add(add(element, "thead"), "tr");
    head.forEach((name, i) => add(top, "th", name, { scope: "col", class: i > 0 && hasNumbers ? "number" : "" }));
    const body = add(element, "tbody");
    for (const row of rows) {
      const line = add(body, "tr");
      row.forEach((cell, i) => i === 0 ? add(line, "th", cell, { scope: "row" }) : add(line, "td", cell, { class: hasNumbers ? "number" : "text" }));
    }
  }

  function details(parent, summary) {
    const element = add(parent, "details");
    add(element, "summary", summary);
    return element;
  }
  const asTable = (parent) => details(parent, "The same as a table");

  // More rows than a reader, or a phone, can take; the rest is said.
  const mostRows = 400;
  function note(parent, count) {
    if (count > mostRows) add(parent, "p", `The first ${mostRows} of ${count}; the files have all.`, { class: "note" });
  }

  // ---- Plots ---------------------------------------------------------------

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return { text: read("--text"), quiet: read("--quiet"), line: read("--line"), ground: read("--card") };
  }

  function save(name, type, blob) {
    const link = add(document.body, "a", null, { href: URL.createObjectURL(blob), download: `${name}.${type}` });
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // For papers: on white, whatever the page's colours are.
  function savers(parent, name, title, svg) {
    const line = add(parent, "p", null, { class: "save" });
    const button = (type, act) => add(line, "button", type.toUpperCase(), { type: "button", "aria-label": `Save ${title} as ${type.toUpperCase()}` }).addEventListener("click", act);
    button("svg", () => save(name, "svg", new Blob([svg()], { type: "image/svg+xml" })));
    button("png", () => {
      const image = new Image();
      image.addEventListener("load", () => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((blob) => save(name, "png", blob));
      });
      image.src = "data:image/svg+xml," + encodeURIComponent(svg());
    });
  }

  function draw(parent, plot) {
    const figure = add(parent, "figure", null, { id: "plot-" + plot.name });
    if (typeof Chart === "undefined") {
      add(figure, "p", "This page was built without its plotting library; the table below has the figures.");
      return;
    }
    const box = add(figure, "div", null, { class: plot.low ? "plot low" : "plot" });
    if (plot.bars) box.style.height = plotHeight(plot) + "px";
    const canvas = add(box, "canvas", null, { role: "img", "aria-label": plot.title + ". " + plot.summary });
    const caption = add(figure, "figcaption", plot.title + ". " + plot.summary);
    savers(caption, plot.name, plot.title, () => chartSvg(plot));
    const entry = { canvas, plot, chart: null };
    drawn.push(entry);
    redraw(entry);
  }

  function redraw(entry) {
    if (entry.chart) entry.chart.destroy();
    entry.chart = new Chart(entry.canvas, entry.plot.make(theme()));
  }
  dark.addEventListener("change", () => drawn.forEach(redraw));

  // ---- Pictures that are tables ---------------------------------------------

  function keyOf(parent, grid) {
    const key = add(parent, "div", null, { class: "key" });
    for (const one of grid.key) add(key, "span", one.text, { style: "--swatch:" + one.colour });
    for (const text of grid.notes) add(parent, "p", text, { class: "note" });
  }

  function drawGrid(parent, grid, className, fill) {
    const figure = add(parent, "figure", null, { id: "plot-" + grid.name });
    keyOf(figure, grid);
    const element = add(scroller(figure, grid.title), "table", null, { class: className });
    add(element, "caption", grid.caption);
    const top = add(add(element, "thead"), "tr");
    add(top, "th", grid.corner, { scope: "col" });
    for (const column of grid.columns) {
      const cell = add(top, "th", null, { scope: "col" });
      for (const text of column) add(cell, "div", text);
    }
    const body = add(element, "tbody");
    for (const row of grid.rows.slice(0, mostRows)) {
      const line = add(body, "tr");
      add(line, "th", row.head, { scope: "row" });
      for (const cell of row.cells) {
        const place = add(line, "td", cell === null ? "-" : null);
        if (cell === null) continue;
        Object.assign(place.style, { background: cell.background, color: cell.color });
        fill(place, cell);
      }
    }
    note(figure, grid.rows.length);
    savers(figure, grid.name, grid.title, () => gridSvg(grid));
  }

  function fillPlain(place, cell) {
    place.textContent = cell.text;
    place.title = cell.title;
    if (!cell.isBest) return;
    place.className = "best";
    add(place, "span", " ★", { role: "img", "aria-label": "fastest" });
  }

  // ---- Sections --------------------------------------------------------------

  function accuracy() {
    const rows = judged(ofKind(documents, "comparison").flatMap((entry) => entry.json));
    if (rows.length === 0) return;
    const parent = section("accuracy", "Accuracy against size and speed",
      "Kullback-Leibler divergence from the original model, in nats: how far predictions moved. Low and left, or low and right for speed, is better; the line joins what nothing beats in both.");
    for (const plot of paretoPlots(rows)) draw(parent, plot);
    table(parent, ["device and scheme", "size", "KL", "perplexity", "accuracy", "decode tokens/s", "memory"], rows.map((row) => [
      `${row.device} ${row.scheme}`, bytes(row.model_size.quantized), short(row.kl_mean), short(row.perplexity),
      row.accuracy ? percent(row.accuracy.quantized) : "-", row.decode_tokens_per_s ? short(row.decode_tokens_per_s) : "-",
      bytes(row.memory_bytes)]), "Candidates");
  }

  function models() {
    const rows = decoded(benchRows(documents, "model"));
    if (rows.length === 0) return;
    const parent = section("models", "Whole models", "Tokens a second of all sequences together.");
    const [speed, ...breakdowns] = modelPlots(rows);
    draw(parent, speed);
    table(parent, ["setting", "prefill/s", "first token", "decode/s", "step p50", "p99", "weights", "KV"], rows.map((row) => [
      settingName(row), short(row.prefill_tokens_per_s), duration(row.first_token_ns), short(row.decode_tokens_per_s),
      duration(row.step_ns.p50), duration(row.step_ns.p99), bytes(row.memory.weight_bytes), bytes(row.memory.kv_bytes)]), "Settings");
    breakdowns.forEach((plot, i) => {
      if (i === 1) { add(parent, "h3", "Other settings"); }
      const place = i === 0 ? parent : details(parent, plot.title);
      // A plot that is hidden has no size: it is drawn when it is opened.
      if (i === 0) { draw(place, plot); breakdownTable(place, plot); return; }
      place.addEventListener("toggle", () => { draw(place, plot); breakdownTable(place, plot); }, { once: true });
    });
  }

  function breakdownTable(parent, plot) {
    table(asTable(parent), ["op", "prefill", "decode"], plot.row.breakdown.ops.map((op) => [op.name, duration(op.prefill_ns), duration(op.decode_ns)]), plot.title);
    table(details(parent, "By layer"), ["layer", "prefill", "decode"], plot.row.breakdown.layers.map((layer) => [layer.name, duration(layer.prefill_ns), duration(layer.decode_ns)]), "Time by layer");
  }

  function machinesCompared() {
    const machines = machinesOf(documents);
    if (machines.length === 0) return;
    const parent = section("machines", "Machines", machines.length > 1
      ? "The newest figures of each machine for the cases that several have run. Above the line a machine is faster than the first." : "");
    const [plot] = machinePlots(documents);
    table(parent, ["machine", "processor", "system", "tessera", "cases", "beside the first"], machines.map((machine, i) => {
      const newest = machine.runs[0], system = newest.environment || {};
      return [machine.id.slice(0, 8), machine.processor, system.os || "-", newest.commit || "-", String(machine.runs.reduce((sum, run) => sum + run.rows.length, 0)), plot ? short(plot.speeds[i]) + " x" : "-"];
    }), "Machines of the histories", false);
    if (!plot) {
      if (machines.length > 1) add(parent, "p", "They have no case in common.");
      return;
    }
    draw(parent, plot);
    const { cases } = plot;
    const clear = (one) => one.ranges.filter((range) => range && range.length === 2);
    const isClear = (one) => clear(one).length === one.ns.filter((ns) => ns !== null).length &&
      (largest(clear(one).map((range) => range[0])) > smallest(clear(one).map((range) => range[1])));
    const tableOf = asTable(parent);
    table(tableOf, ["case", ...machines.map((machine) => machine.name), "beyond noise"], cases.slice(0, mostRows).map((one) => [
      one.label, ...one.ns.map((ns) => ns === null ? "-" : duration(ns)), isClear(one) ? "yes" : "no"]), "Times; beyond noise: some 95 % intervals do not meet");
    note(tableOf, cases.length);
  }

  function plans() {
    ofKind(documents, "plan").forEach((entry, i) => {
      const plan = entry.json;
      const parent = section("plan" + i, "Plan " + entry.name, `Each layer's device and precision, for ${plan.objective}. Choose a cell to read why.`);
      const times = Object.entries(plan.predicted_ns || {}).map(([clock, ns]) => `${duration(ns)} ${clock}`).join(" + ");
      table(parent, ["of it", "value"], [
        ["predicted", times || "-"], ["proven gap", percent(plan.gap)],
        ["KL predicted", short(plan.kl_predicted)], ["KL measured", plan.kl_measured === null ? "-" : short(plan.kl_measured)],
        ...Object.entries(plan.memory || {}).map(([pool, count]) => ["memory of " + pool, bytes(count)]),
      ], "The whole plan", false);
      const grid = planGrid(entry, i);
      const why = document.createElement("div");
      Object.assign(why, { id: "why" + i, className: "why", textContent: "Choose a cell." });
      why.setAttribute("aria-live", "polite");
      drawGrid(parent, grid, "plan", (place, cell) => planCell(place, cell, why));
      parent.append(why);
    });
  }

  function planCell(place, cell, why) {
    const button = add(place, "button", cell.text, { type: "button", title: cell.title, "aria-label": cell.title });
    const show = () => { why.textContent = cell.title; };
    for (const event of ["focus", "mouseenter", "click"]) button.addEventListener(event, show);
  }

  function roofs() {
    const plots = rooflines(benchRows(documents, "ops"));
    if (plots.length === 0) return;
    const parent = section("roofline", "Roofline",
      "Each point is an op: operations for every byte that it must move, against operations a second. The lines are what each device could do at best, measured in the same run; a point on its line cannot get faster.");
    for (const plot of plots) {
      add(parent, "h3", plot.device + (plot.rows[0].clock === "simulated" ? " (simulated time)" : ""));
      draw(parent, plot);
      const more = asTable(parent);
      table(more, ["op", "median", "GOP/s", "GB/s", "of limit", "bound by"], plot.rows.slice(0, mostRows).map((row) => [
        fullName(row), duration(row.median_ns), short(row.ops / row.median_ns), short(row.bytes / row.median_ns),
        percent(row.achieved_over_limit), row.limit_kind || "-"]), plot.title);
      note(more, plot.rows.length);
    }
  }

  function shapesByDevice() {
    const grid = heatMap(benchRows(documents, "ops"));
    if (grid === null) return;
    const parent = section("shapes", grid.title,
      "Median time of each linear; the colour is the share of the device's limit, the fastest of a row is underlined. Simulated and wall times do not compete.");
    drawGrid(parent, grid, "heat", fillPlain);
  }

  function quantizations() {
    ofKind(documents, "quantization").forEach((entry, i) => {
      const report = entry.json;
      const parent = section("quantization" + i, "Quantization " + entry.name,
        `${report.scheme}, ${bytes(report.bytes_in)} to ${bytes(report.bytes_out)}, ${short(report.bits_per_weight_linears)} bits a weight.`);
      const plot = sensitivityPlot(entry, i);
      if (plot === null) return;
      draw(parent, plot);
      table(asTable(parent), ["linear", "scheme", "sensitivity", "SQNR, dB", "cosine"], report.layers.map((layer) => [
        layer.name, layer.scheme, short(layer.metric), short(layer.sqnr), layer.cosine === null ? "-" : Number(layer.cosine).toFixed(5)]), "Linears");
    });
  }

  function timelines() {
    ofKind(documents, "trace").forEach((entry, i) => {
      const plot = timelinePlot(entry, i);
      if (plot === null) return;
      const { names, end, busy } = pipesOf(entry.json);
      const parent = section("pipes" + i, "Pipes of " + entry.name,
        "When each pipe of one simulated core was at work. Gaps of the cube are what to hunt for.");
      draw(parent, plot);
      table(asTable(parent), ["pipe", "busy", "share"], names.map((name) => [name, duration(1000 * busy.get(name)), percent(busy.get(name) / end)]), "Pipes");
    });
  }

  function conformance() {
    const list = ofKind(documents, "conformance");
    const grid = conformanceGrid(list);
    if (grid === null) return;
    const parent = section("conformance", "Conformance", "What each plugin passed of the vendor kit.");
    drawGrid(parent, grid, "heat", fillPlain);
    for (const { json } of list) {
      table(parent, ["level", "passed", "failed", "crashed", "hung", "unsupported", "expected failures"], json.levels.map((level) => [
        level.level, level.passed, level.failed, level.crashed, level.hung, level.unsupported, level.expected_failure]), json.plugin);
      if (json.failures && json.failures.length > 0) {
        table(details(parent, `${json.failures.length} failures`), ["case", "reason"], json.failures.slice(0, mostRows).map((failure) => [failure.case, failure.reason]), "Failures of " + json.plugin, false);
      }
    }
  }

  function devices() {
    const list = ofKind(documents, "devices");
    if (list.length > 0 && list[0].json.environment) {
      const e = list[0].json.environment;
      document.getElementById("machine").textContent = `${e.cpu}, ${e.cores} cores, ${bytes(e.memory_bytes)}; ${e.os}; tessera ${e.tessera_version}, ${e.compiler}`;
    }
    const all = list.flatMap((entry) => entry.json.devices || []);
    if (all.length === 0) return;
    table(section("devices", "Devices", ""), ["device", "what it is", "status", "clock", "memory"], all.map((device) => [
      device.name, device.description || "", device.status + (device.reason ? ": " + device.reason : ""), device.clock || "-", bytes(device.memory_bytes)]), "Devices of this machine", false);
  }

  // ---- The page ---------------------------------------------------------------

  for (const part of [accuracy, models, machinesCompared, plans, roofs, shapesByDevice, quantizations, timelines, conformance, devices]) {
    // A file that is not as commands write it must not take the rest with it.
    try { part(); } catch (error) {
      broken += 1;
      add(main, "p", `A part of this page could not be drawn: ${error.message}.`, { role: "alert" });
    }
  }
  document.documentElement.dataset.broken = String(broken);
  document.documentElement.dataset.plots = String(drawn.length);
  document.getElementById("sources").textContent =
    `Made by tessera report from ${documents.map((entry) => entry.name).join(", ")}. Nothing on this page is loaded from elsewhere.`;
})();
