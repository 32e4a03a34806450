// SPDX-License-Identifier: Apache-2.0
//
// Draws the page from the data in it.  Text from files is only ever set as
// text, never as markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("main");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // Okabe and Ito: told apart with any kind of colour vision.
  const palette = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
    "#d55e00", "#8c7a00", "#7a7a7a"];
  const charts = [];

  // ---- Elements ------------------------------------------------------------

  function add(parent, tag, text, attributes = {}) {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) {
      element.setAttribute(name, value);
    }
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

  function table(parent, head, rows, options = {}) {
    const scroll = add(parent, "div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": options.caption || "Table" });
    const element = add(scroll, "table");
    if (options.caption) add(element, "caption", options.caption);
    const top = add(add(element, "thead"), "tr");
    head.forEach((name, i) => add(top, "th", name, { scope: "col", class: i > 0 && options.numbers !== false ? "number" : "" }));
    const body = add(element, "tbody");
    for (const row of rows) {
      const line = add(body, "tr");
      row.forEach((cell, i) => {
        if (i === 0) add(line, "th", cell, { scope: "row" });
        else add(line, "td", cell, { class: typeof cell === "number" || options.numbers !== false ? "number" : "" });
      });
    }
    return element;
  }

  function details(parent, summary) {
    const element = add(parent, "details");
    add(element, "summary", summary);
    return element;
  }

  // ---- Numbers -------------------------------------------------------------

  function short(value) {
    if (!Number.isFinite(value)) return "-";
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(2);
  }
  function scaled(value, units, step = 1000) {
    if (!Number.isFinite(value)) return "-";
    let unit = 0;
    while (Math.abs(value) >= step && unit + 1 < units.length) { value /= step; unit += 1; }
    return short(value) + " " + units[unit];
  }
  const duration = (ns) => scaled(ns, ["ns", "µs", "ms", "s"]);
  const bytes = (count) => scaled(count, ["B", "kB", "MB", "GB"]);
  const percent = (share) => Number.isFinite(share) ? (100 * share).toFixed(share < 0.1 ? 1 : 0) + " %" : "-";
  const of = (rows, key) => [...new Set(rows.map((row) => row[key]))];

  // ---- Plots ---------------------------------------------------------------

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    return { text: read("--text"), quiet: read("--quiet"), line: read("--line") };
  }

  function axis(title, options = {}) {
    const colours = theme();
    return {
      title: { display: true, text: title, color: colours.quiet },
      ticks: { color: colours.quiet, ...(options.ticks || {}) },
      grid: { color: colours.line },
      border: { color: colours.line },
      ...options.more,
    };
  }
  // Only powers of ten have a label.
  function power(value) {
    const exponent = Math.round(Math.log10(value));
    if (Math.abs(Math.log10(value) - exponent) > 1e-6) return "";
    if (exponent >= -2 && exponent <= 4) return String(Number(value.toPrecision(1)));
    return "10" + [...String(exponent)].map((digit) => digit === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[Number(digit)]).join("");
  }
  const logTicks = { callback: power, maxRotation: 0 };
  const decadeBelow = (value) => 10 ** Math.floor(Math.log10(value / 2));

  // `make` gives a configuration in the colours of now; the plot is made anew
  // when they change.
  function plot(parent, name, summary, make, low = false) {
    const figure = add(parent, "figure");
    const box = add(figure, "div", null, { class: low ? "plot low" : "plot" });
    const canvas = add(box, "canvas", null, { role: "img", "aria-label": name + ". " + summary });
    add(figure, "figcaption", name + ". " + summary);
    if (typeof Chart === "undefined") {
      box.remove();
      add(figure, "p", "This page was built without its plotting library; the table below has the figures.");
      return;
    }
    const entry = { canvas, make, chart: null };
    charts.push(entry);
    entry.chart = new Chart(canvas, make());
  }

  function shared(options) {
    const colours = theme();
    return {
      responsive: true, maintainAspectRatio: false, animation: false,
      ...options,
      plugins: {
        legend: { labels: { color: colours.text, usePointStyle: true, boxHeight: 7 }, position: "bottom", ...(options.legend || {}) },
        tooltip: options.tooltip || {},
      },
    };
  }

  dark.addEventListener("change", () => {
    for (const entry of charts) {
      entry.chart.destroy();
      entry.chart = new Chart(entry.canvas, entry.make());
    }
  });

  // ---- Roofline ------------------------------------------------------------

  const shapeOf = (row) => row.op === "attention"
    ? `${row.op} ${row.batch} x ${row.q_len} of ${row.kv_len}, ${row.kv_type}`
    : row.K === null ? `${row.op} ${row.M} x ${row.N}` : `${row.M} x ${row.N} x ${row.K}`;
  const fullName = (row) => (row.scheme ? `${row.op} ${row.scheme} ` : "") + shapeOf(row) + (row.weights ? `, ${row.weights}` : "");

  function roofline(rows) {
    const timed = rows.filter((row) => row.median_ns > 0 && row.ops > 0 && row.bytes > 0);
    if (timed.length === 0) return;
    const parent = section("roofline", "Roofline",
      "Each point is an op: operations for every byte that it must move, against operations a second. The lines are what each device could do at best, measured in the same run; a point on its line cannot get faster.");
    for (const device of of(timed, "device")) rooflineOf(parent, device, timed.filter((row) => row.device === device));
  }

  function rooflineOf(parent, device, rows) {
    const best = Math.max(...rows.map((row) => row.achieved_over_limit || 0));
    const name = "Roofline of " + device;
    add(parent, "h3", device + (rows[0].clock === "simulated" ? " (simulated time)" : ""));
    const intensities = rows.map((row) => row.ops / row.bytes);
    const low = Math.min(...intensities) / 3, high = Math.max(...intensities) * 3;
    plot(parent, name, `${rows.length} ops; the best reaches ${percent(best)} of its limit.`, () => ({
      type: "scatter",
      data: { datasets: [...pointSets(rows), ...roofs(rows, low, high)] },
      options: shared({
        scales: {
          x: axis("operations per byte", { ticks: logTicks, more: { type: "logarithmic", min: low, max: high } }),
          y: axis("GOP/s", { ticks: logTicks, more: { type: "logarithmic" } }),
        },
        legend: { labels: { color: theme().text, usePointStyle: true, boxHeight: 7 } },
        tooltip: { callbacks: { label: (item) => item.raw.label || item.dataset.label } },
      }),
    }));
    const more = details(parent, "The same as a table");
    table(more, ["op", "median", "GOP/s", "GB/s", "of limit", "bound by"], rows.slice(0, 400).map((row) => [
      fullName(row), duration(row.median_ns), short(row.ops / row.median_ns), short(row.bytes / row.median_ns),
      percent(row.achieved_over_limit), row.limit_kind || "-"]), { caption: name });
  }

  function pointSets(rows) {
    return of(rows, "scheme").map((scheme, i) => ({
      label: scheme || "other ops",
      data: rows.filter((row) => row.scheme === scheme).map((row) => ({
        x: row.ops / row.bytes, y: row.ops / row.median_ns,
        label: `${fullName(row)}: ${duration(row.median_ns)}, ${percent(row.achieved_over_limit)} of ${row.limit_kind} limit`,
      })),
      backgroundColor: palette[i % palette.length] + "cc", borderColor: palette[i % palette.length],
      pointRadius: rows.length > 500 ? 2 : 5, pointHoverRadius: 7,
      pointStyle: ["circle", "triangle", "rect", "rectRot", "star", "cross"][i % 6],
    }));
  }

  // A line for each peak: memory to the left of where they meet.
  function roofs(rows, low, high) {
    const peaks = new Map();
    for (const row of rows) {
      if (!row.limits || !row.limits.memory || !row.limits.compute || row.weights === "hot") continue;
      peaks.set(row.limits.compute.how, { memory: row.limits.memory.per_ns, compute: row.limits.compute.per_ns });
    }
    if (peaks.size === 0) {
      // A limit by memory gives the bandwidth, one by compute the peak.
      const bound = (kind, rate) => Math.max(0, ...rows.filter((row) => row.limit_kind === kind && row.limit > 0).map(rate));
      const memory = bound("memory", (row) => row.bytes / row.limit), compute = bound("compute", (row) => row.ops / row.limit);
      if (memory > 0 || compute > 0) peaks.set("limit", { memory: memory || Infinity, compute: compute || Infinity });
    }
    const colours = theme();
    return [...peaks].map(([how, peak], i) => {
      const meet = Math.min(Math.max(peak.compute / peak.memory, low), high);
      const at = (x) => Math.min(peak.compute, x * peak.memory);
      return {
        label: how, type: "line", showLine: true, pointRadius: 0, pointHoverRadius: 0, pointHitRadius: 0,
        data: [low, meet, high].filter((x) => Number.isFinite(at(x))).map((x) => ({ x, y: at(x) })),
        borderColor: colours.quiet, borderWidth: 1.5, borderDash: i === 0 ? [] : [6, 4 * i], pointStyle: "line",
      };
    });
  }

  // ---- Heat map ------------------------------------------------------------

  function ink(lightness) { return lightness > 55 ? "#111" : "#fff"; }
  function heat(share) {
    const at = Math.max(0, Math.min(1, share));
    // From blue-violet to yellow, ever lighter, so that it reads in grey too.
    const lightness = 25 + 60 * at;
    return { background: `hsl(${255 - 195 * at} ${45 + 30 * at}% ${lightness}%)`, color: ink(lightness + 8) };
  }

  function heatMap(rows) {
    const timed = rows.filter((row) => row.scheme && row.median_ns > 0);
    if (timed.length < 2) return;
    const parent = section("shapes", "Shape x scheme x device",
      "Median time of each linear; the colour is the share of the device's limit, the fastest of a row is underlined. Simulated and wall times do not compete.");
    const columns = [...new Set(timed.map((row) => row.device + "\n" + row.scheme))].sort();
    // A simulated time knows no cache of weights: it stands in the rows of others.
    const places = [...new Set(timed.filter((row) => row.weights).map((row) => shapeOf(row) + ", " + row.weights))];
    const known = new Set(timed.filter((row) => row.weights).map(shapeOf));
    const shapes = [...places, ...new Set(timed.map(shapeOf).filter((shape) => !known.has(shape)))];
    const scroll = add(parent, "div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": "Times by shape, scheme and device" });
    const element = add(scroll, "table", null, { class: "heat" });
    add(element, "caption", "M x N x K of Y[M, N] = X[M, K] W[N, K]ᵀ");
    const top = add(add(element, "thead"), "tr");
    add(top, "th", "shape", { scope: "col" });
    for (const column of columns) {
      const cell = add(top, "th", null, { scope: "col" });
      const [device, scheme] = column.split("\n");
      add(cell, "div", device);
      add(cell, "div", scheme);
    }
    const body = add(element, "tbody");
    for (const shape of shapes) heatRow(add(body, "tr"), shape, columns, timed);
  }

  function heatRow(line, shape, columns, rows) {
    add(line, "th", shape, { scope: "row" });
    const matches = (row) => row.weights ? shapeOf(row) + ", " + row.weights === shape : shape === shapeOf(row) || shape.startsWith(shapeOf(row) + ", ");
    const cells = columns.map((column) => rows.find((row) => row.device + "\n" + row.scheme === column && matches(row)));
    const fastest = (clock) => Math.min(...cells.filter((row) => row && row.clock === clock).map((row) => row.median_ns));
    for (const row of cells) {
      if (!row) { add(line, "td", "-"); continue; }
      const cell = add(line, "td", duration(row.median_ns), { title: `${fullName(row)} on ${row.device}: ${percent(row.achieved_over_limit)} of ${row.limit_kind} limit` });
      if (row.median_ns === fastest(row.clock)) { cell.className = "best"; add(cell, "span", " ★", { "aria-label": "fastest" }); }
      Object.assign(cell.style, heat(row.achieved_over_limit || 0));
    }
  }

  // ---- Plans ---------------------------------------------------------------

  function plans(list) {
    list.forEach((entry, i) => {
      const plan = entry.json;
      const parent = section("plan" + i, "Plan " + entry.name,
        `Each layer's device and precision, for ${plan.objective}. Choose a cell to read why.`);
      const times = Object.entries(plan.predicted_ns || {}).map(([clock, ns]) => `${duration(ns)} ${clock}`).join(" + ");
      table(parent, ["", "value"], [
        ["predicted", times || "-"], ["proven gap", percent(plan.gap)],
        ["KL predicted", short(plan.kl_predicted)], ["KL measured", plan.kl_measured === null ? "-" : short(plan.kl_measured)],
        ...Object.entries(plan.memory || {}).map(([pool, count]) => ["memory of " + pool, bytes(count)]),
      ], { caption: "The whole plan" });
      planPicture(parent, plan, i);
    });
  }

  // In the colours of a sequence that grey keeps apart.
  function schemeColour(scheme, schemes) {
    const at = schemes.length > 1 ? schemes.indexOf(scheme) / (schemes.length - 1) : 0.5;
    return heat(0.08 + 0.84 * at);
  }

  function planPicture(parent, plan, index) {
    const parts = plan.layers.filter((layer) => layer.decode && layer.decode.parts.length > 0);
    const place = (layer) => {
      const found = /^layers\.(\d+)\.(.*)$/.exec(layer.name);
      return found ? { layer: Number(found[1]), name: found[2] } : { layer: -1, name: layer.name };
    };
    const names = [...new Set(parts.map((layer) => place(layer).name))];
    const layers = [...new Set(parts.map((layer) => place(layer).layer))].sort((a, b) => a - b);
    // Ops without a scheme of their own run in the plan's.
    const schemeOf = (layer) => layer.decode.parts[0].scheme || plan.base_scheme || "as the model";
    const schemes = [...new Set(parts.map(schemeOf))].sort();
    const devices = [...new Set(parts.map((layer) => layer.decode.parts[0].device))];
    const key = add(parent, "div", null, { class: "key" });
    for (const scheme of schemes) add(key, "span", scheme, { style: "--swatch:" + schemeColour(scheme, schemes).background });
    if (devices.length > 1) add(parent, "p", devices.map((device, i) => `${"ABCDEFGH"[i]}: ${device}`).join("   "), { class: "note" });
    const scroll = add(parent, "div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": "Layers of the plan" });
    const element = add(scroll, "table", null, { class: "plan" });
    add(element, "caption", devices.length > 1 ? "Columns are layers; letters are devices" : "Columns are layers; all on " + devices[0]);
    const top = add(add(element, "thead"), "tr");
    add(top, "th", "part", { scope: "col" });
    for (const layer of layers) add(top, "th", layer < 0 ? "-" : String(layer), { scope: "col" });
    const body = add(element, "tbody");
    const why = add(parent, "div", "Choose a cell.", { id: "why" + index, class: "why", "aria-live": "polite" });
    for (const name of names) {
      const line = add(body, "tr");
      add(line, "th", name, { scope: "row" });
      for (const layer of layers) {
        const found = parts.find((part) => place(part).name === name && place(part).layer === layer);
        const cell = add(line, "td");
        if (found) planCell(cell, found, schemeOf(found), schemes, devices, why);
      }
    }
  }

  function planCell(cell, layer, scheme, schemes, devices, why) {
    const part = layer.decode.parts[0];
    Object.assign(cell.style, schemeColour(scheme, schemes));
    const text = `${layer.name}: ${scheme} on ${part.device}, ${part.kernel || "kernel unknown"}, ${duration(part.predicted_ns)} a decode step` +
      (layer.margin_ns ? `; the next best${layer.second ? ", " + layer.second + "," : ""} costs ${duration(layer.margin_ns)} more` : "") +
      (layer.reason ? ". " + layer.reason : "");
    const button = add(cell, "button", devices.length > 1 ? "ABCDEFGH"[devices.indexOf(part.device)] : "●",
      { type: "button", title: text, "aria-label": text });
    const show = () => { why.textContent = text; };
    button.addEventListener("focus", show);
    button.addEventListener("mouseenter", show);
    button.addEventListener("click", show);
  }

  // ---- Accuracy against size and speed --------------------------------------

  function accuracy(rows) {
    const known = rows.filter((row) => row.kl_mean !== null && row.kl_mean !== undefined && row.model_size);
    if (known.length === 0) return;
    const parent = section("accuracy", "Accuracy against size and speed",
      "Kullback-Leibler divergence from the original model, in nats: how far predictions moved. Low and left, or low and right for speed, is better; the line joins what nothing beats in both.");
    const speed = known.filter((row) => row.decode_tokens_per_s > 0);
    pareto(parent, "KL and size", known, (row) => row.model_size.quantized / 1e6, "MB", false);
    if (speed.length > 0) pareto(parent, "KL and decoding speed", speed, (row) => row.decode_tokens_per_s, "tokens/s", true);
    table(parent, ["device and scheme", "size", "KL", "perplexity", "accuracy", "decode tokens/s", "memory"], known.map((row) => [
      `${row.device} ${row.scheme}`, bytes(row.model_size.quantized), short(row.kl_mean), short(row.perplexity),
      row.accuracy ? percent(row.accuracy.quantized) : "-", row.decode_tokens_per_s ? short(row.decode_tokens_per_s) : "-",
      bytes(row.memory_bytes)]), { caption: "Candidates" });
  }

  function pareto(parent, name, rows, value, unit, more) {
    const points = rows.map((row) => ({ x: value(row), y: Math.max(row.kl_mean, 1e-7), row }));
    const front = points.filter((p) => !points.some((q) => q !== p && (more ? q.x >= p.x : q.x <= p.x) && q.y <= p.y && (q.x !== p.x || q.y !== p.y)))
      .sort((a, b) => a.x - b.x);
    plot(parent, name, `${front.length} of ${points.length} candidates are on the front: ${front.map((p) => p.row.scheme).join(", ")}.`, () => ({
      type: "scatter",
      data: { datasets: [
        ...of(rows, "device").map((device, i) => ({
          label: device, data: points.filter((p) => p.row.device === device), pointRadius: 6, pointHoverRadius: 8,
          backgroundColor: palette[i % palette.length], borderColor: palette[i % palette.length],
          pointStyle: ["circle", "triangle", "rect", "rectRot"][i % 4],
        })),
        { label: "front", type: "line", data: front, showLine: true, pointRadius: 0, pointHitRadius: 0, borderColor: theme().quiet, borderDash: [5, 4], borderWidth: 1.5, pointStyle: "line" },
      ] },
      options: shared({
        scales: { x: axis(unit), y: axis("KL, nats", { ticks: logTicks, more: { type: "logarithmic" } }) },
        tooltip: { callbacks: { label: (item) => `${item.raw.row.device} ${item.raw.row.scheme}: ${short(item.raw.x)} ${unit}, KL ${short(item.raw.row.kl_mean)}` } },
      }),
    }), true);
  }

  // ---- Whole models ---------------------------------------------------------

  function models(rows) {
    const timed = rows.filter((row) => row.decode_tokens_per_s > 0);
    if (timed.length === 0) return;
    const parent = section("models", "Whole models", "Tokens a second of all sequences together.");
    const names = timed.map((row) => `${row.plan || row.device} ${row.scheme || ""}, batch ${row.batch}, context ${row.context}`);
    plot(parent, "Speed of whole models", `Decoding reaches ${short(Math.max(...timed.map((row) => row.decode_tokens_per_s)))} tokens/s.`, () => ({
      type: "bar",
      data: { labels: names, datasets: [["prefill", "prefill_tokens_per_s"], ["decode", "decode_tokens_per_s"]].map(([label, key], i) => (
        { label, data: timed.map((row) => row[key]), backgroundColor: palette[i] })) },
      options: shared({ indexAxis: "y", scales: { x: axis("tokens/s", { ticks: logTicks, more: { type: "logarithmic", min: decadeBelow(Math.min(...timed.flatMap((row) => [row.prefill_tokens_per_s, row.decode_tokens_per_s]))) } }), y: axis("") } }),
    }), timed.length < 8);
    table(parent, ["setting", "prefill/s", "first token", "decode/s", "step p50", "p99", "weights", "KV"], timed.map((row, i) => [
      names[i], short(row.prefill_tokens_per_s), duration(row.first_token_ns), short(row.decode_tokens_per_s),
      duration(row.step_ns.p50), duration(row.step_ns.p99), bytes(row.memory.weight_bytes), bytes(row.memory.kv_bytes)]), { caption: "Settings" });
    const profiled = timed.filter((row) => row.breakdown);
    profiled.forEach((row, i) => breakdown(i === 0 ? parent : details(parent, names[timed.indexOf(row)] + ": time by op"), names[timed.indexOf(row)], row.breakdown));
  }

  function breakdown(parent, name, found) {
    const ops = found.ops.slice(0, 14);
    const share = (key) => { const all = found.ops.reduce((sum, op) => sum + op[key], 0) || 1; return ops.map((op) => 100 * op[key] / all); };
    plot(parent, "Time by op, " + name, "Shares of the time of all kernels.", () => ({
      type: "bar",
      data: { labels: ops.map((op) => op.name), datasets: [
        { label: "prefill, %", data: share("prefill_ns"), backgroundColor: palette[0] },
        { label: "decode, %", data: share("decode_ns"), backgroundColor: palette[1] }] },
      options: shared({ indexAxis: "y", scales: { x: axis("% of the kernels' time"), y: axis("") } }),
    }));
  }

  // ---- Quantization ---------------------------------------------------------

  function quantizations(list) {
    list.forEach((entry, i) => {
      const report = entry.json;
      const layers = report.layers.filter((layer) => Number.isFinite(layer.metric) || Number.isFinite(layer.mse));
      const parent = section("quantization" + i, "Quantization " + entry.name,
        `${report.scheme}, ${bytes(report.bytes_in)} to ${bytes(report.bytes_out)}, ${short(report.bits_per_weight_linears)} bits a weight.`);
      if (layers.length === 0) return;
      const useMetric = layers.every((layer) => Number.isFinite(layer.metric));
      const value = (layer) => useMetric ? layer.metric : layer.mse;
      const worst = layers.reduce((a, b) => value(a) > value(b) ? a : b);
      plot(parent, "Sensitivity of layers", `The most sensitive is ${worst.name}.`, () => ({
        type: "bar",
        data: { labels: layers.map((layer) => layer.name), datasets: [{
          label: useMetric ? "sensitivity" : "mean squared error", data: layers.map(value),
          backgroundColor: layers.map((layer) => layer.fallback ? palette[5] : palette[0]) }] },
        options: shared({ scales: { x: axis("", { ticks: { maxRotation: 90, autoSkip: true } }), y: axis(useMetric ? "sensitivity" : "mean squared error", { ticks: logTicks, more: { type: "logarithmic" } }) } }),
      }));
      table(details(parent, "The same as a table"), ["linear", "scheme", "sensitivity", "SQNR, dB", "cosine"], layers.map((layer) => [
        layer.name, layer.scheme, short(layer.metric), short(layer.sqnr), layer.cosine === null ? "-" : Number(layer.cosine).toFixed(5)]), { caption: "Linears" });
    });
  }

  // ---- Pipes of the simulated NPU -------------------------------------------

  function timelines(list) {
    list.forEach((entry, i) => {
      const all = entry.json.traceEvents.filter((event) => event.ph === "X");
      const core = Math.min(...all.map((event) => event.pid));
      const threads = new Map(entry.json.traceEvents.filter((event) => event.name === "thread_name" && event.pid === core).map((event) => [event.tid, event.args.name]));
      const events = all.filter((event) => event.pid === core).sort((a, b) => a.ts - b.ts).slice(0, 3000);
      if (events.length === 0) return;
      const parent = section("pipes" + i, "Pipes of " + entry.name,
        "When each pipe of one simulated core was at work. Gaps of the cube are what to hunt for.");
      const pipe = (event) => threads.get(event.tid) || event.name;
      const pipes = [...new Map(events.map((event) => [event.tid, pipe(event)])).values()];
      const end = Math.max(...events.map((event) => event.ts + event.dur));
      const busy = new Map(pipes.map((name) => [name, events.filter((event) => pipe(event) === name).reduce((sum, event) => sum + event.dur, 0)]));
      plot(parent, "Timeline of pipes", pipes.map((name) => `${name} ${percent(busy.get(name) / end)}`).join(", ") + " busy.", () => ({
        type: "bar",
        data: { datasets: pipes.map((name, p) => ({
          label: name, grouped: false, barPercentage: 0.9, categoryPercentage: 0.9, minBarLength: 1,
          data: events.filter((event) => pipe(event) === name).map((event) => ({ x: [event.ts, event.ts + event.dur], y: name, event })),
          backgroundColor: palette[p % palette.length] })) },
        options: shared({
          indexAxis: "y",
          scales: { x: axis("µs", { more: { min: 0, max: end } }), y: axis("", { more: { type: "category", labels: pipes } }) },
          tooltip: { callbacks: { label: (item) => `${item.raw.event.name} ${item.raw.event.cat || ""}: ${short(item.raw.event.ts)} to ${short(item.raw.event.ts + item.raw.event.dur)} µs` } },
        }),
      }), true);
      table(details(parent, "The same as a table"), ["pipe", "busy", "share"], pipes.map((name) => [name, duration(1000 * busy.get(name)), percent(busy.get(name) / end)]), { caption: "Pipes" });
    });
  }

  // ---- Conformance, devices --------------------------------------------------

  function conformance(list) {
    if (list.length === 0) return;
    const parent = section("conformance", "Conformance", "What each plugin passed of the vendor kit.");
    for (const { json } of list) {
      table(parent, ["level", "passed", "failed", "crashed", "hung", "unsupported", "expected failures"], json.levels.map((level) => [
        String(level.level), level.passed, level.failed, level.crashed, level.hung, level.unsupported, level.expected_failure]), { caption: json.plugin });
      if (json.failures && json.failures.length > 0) {
        table(details(parent, `${json.failures.length} failures`), ["case", "reason"], json.failures.slice(0, 200).map((failure) => [failure.case, failure.reason]), { numbers: false });
      }
    }
  }

  function machine(list) {
    const first = list[0];
    const text = document.getElementById("machine");
    if (first && first.json.environment) {
      const e = first.json.environment;
      text.textContent = `${e.cpu}, ${e.cores} cores, ${bytes(e.memory_bytes)}; ${e.os}; tessera ${e.tessera_version}, ${e.compiler}`;
    }
    const devices = list.flatMap((entry) => entry.json.devices || []);
    if (devices.length === 0) return;
    const parent = section("devices", "Devices", "");
    table(parent, ["device", "what it is", "status", "clock", "memory"], devices.map((device) => [
      device.name, device.description || "", device.status + (device.reason ? ": " + device.reason : ""), device.clock, bytes(device.memory_bytes)]), { numbers: false, caption: "Devices of this machine" });
  }

  // ---- The page ---------------------------------------------------------------

  const kind = (name) => data.documents.filter((entry) => entry.kind === name);
  const rowsOf = (name) => kind(name).flatMap((entry) => entry.json);
  accuracy(rowsOf("comparison"));
  models(rowsOf("bench model"));
  plans(kind("plan"));
  roofline(rowsOf("bench ops"));
  heatMap(rowsOf("bench ops"));
  quantizations(kind("quantization"));
  timelines(kind("trace"));
  conformance(kind("conformance"));
  machine(kind("devices"));
  document.documentElement.dataset.plots = String(charts.length);
  document.getElementById("sources").textContent =
    `Made by tessera report from ${data.documents.map((entry) => entry.name).join(", ")}. Nothing on this page is loaded from elsewhere.`;
})();
