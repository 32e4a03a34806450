// SPDX-License-Identifier: Apache-2.0
//
// Every chart as the plotting library's configuration, in given colours:
// { name, title, summary, low, make(colours) }.
"use strict";

function axis(colours, title, options = {}) {
  return {
    title: { display: title !== "", text: title, color: colours.quiet },
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
const decadeAbove = (value) => 10 ** Math.ceil(Math.log10(value * 1.05));
const logAxis = (colours, title, more = {}) => axis(colours, title, { ticks: logTicks, more: { type: "logarithmic", ...more } });

function shared(colours, options) {
  return {
    responsive: true, maintainAspectRatio: false, animation: false,
    ...options,
    plugins: {
      legend: { labels: { color: colours.text, usePointStyle: true, boxHeight: 7, ...(options.legendLabels || {}) }, position: "bottom" },
      tooltip: options.tooltip || {},
    },
  };
}
const tooltip = (label) => ({ callbacks: { label } });

// A long name on a narrow axis.
const clipped = (text, length = 44) => text.length > length ? text.slice(0, length - 1) + "…" : text;

// ---- Roofline ----------------------------------------------------------------

function rooflines(rows) {
  const timed = placed(rows);
  return valuesOf(timed, "device").map((device) => rooflineOf(device, timed.filter((row) => row.device === device)));
}

function rooflineOf(device, rows) {
  const best = largest(rows.map((row) => row.achieved_over_limit || 0));
  const intensities = rows.map((row) => row.ops / row.bytes);
  const low = smallest(intensities) / 3, high = largest(intensities) * 3;
  const top = largest([...rows.map((row) => row.ops / row.median_ns), ...rows.map((row) => row.limits && row.limits.compute ? row.limits.compute.per_ns : 0),
    ...rows.map((row) => row.limit_kind === "compute" && row.limit > 0 ? row.ops / row.limit : 0)]);
  return {
    name: "roofline-" + slug(device), title: "Roofline of " + device, device, rows,
    summary: `${rows.length} ops; the best reaches ${percent(best)} of its limit.`,
    make: (colours) => ({
      type: "scatter",
      data: { datasets: [...pointSets(rows), ...roofs(colours, rows, low, high)] },
      options: shared(colours, {
        scales: {
          x: logAxis(colours, "operations per byte", { min: low, max: high }),
          y: logAxis(colours, "GOP/s", { max: decadeAbove(top) }),
        },
        tooltip: tooltip((item) => item.raw.label || item.dataset.label),
      }),
    }),
  };
}

function pointSets(rows) {
  return valuesOf(rows, "scheme").map((scheme, i) => ({
    label: scheme || "other ops",
    data: rows.filter((row) => row.scheme === scheme).map((row) => ({
      x: row.ops / row.bytes, y: row.ops / row.median_ns,
      label: `${fullName(row)}: ${duration(row.median_ns)}, ${percent(row.achieved_over_limit)} of ${row.limit_kind} limit`,
    })),
    backgroundColor: palette[i % palette.length] + "cc", borderColor: palette[i % palette.length],
    pointRadius: rows.length > 500 ? 2 : 5, pointHoverRadius: 7, pointStyle: shapes[i % shapes.length],
  }));
}

// A line for each peak: memory to the left of where they meet.
function roofs(colours, rows, low, high) {
  const peaks = new Map();
  for (const row of rows) {
    if (!row.limits || !row.limits.memory || !row.limits.compute || row.weights === "hot") continue;
    peaks.set(row.limits.compute.how, { memory: row.limits.memory.per_ns, compute: row.limits.compute.per_ns });
  }
  if (peaks.size === 0) {
    // A limit by memory gives the bandwidth, one by compute the peak.
    const bound = (kind, rate) => Math.max(0, largest(rows.filter((row) => row.limit_kind === kind && row.limit > 0).map(rate)));
    const memory = bound("memory", (row) => row.bytes / row.limit), compute = bound("compute", (row) => row.ops / row.limit);
    if (memory > 0 || compute > 0) peaks.set("limit", { memory: memory || Infinity, compute: compute || Infinity });
  }
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

// ---- Accuracy against size and speed -----------------------------------------

function paretoPlots(rows) {
  const known = judged(rows);
  const speed = known.filter((row) => row.decode_tokens_per_s > 0);
  return [
    ...(known.length > 0 ? [pareto("accuracy-size", "KL and size", known, (row) => row.model_size.quantized / 1e6, "MB", false)] : []),
    ...(speed.length > 0 ? [pareto("accuracy-speed", "KL and decoding speed", speed, (row) => row.decode_tokens_per_s, "tokens/s", true)] : []),
  ];
}

function pareto(name, title, rows, value, unit, more) {
  const points = rows.map((row) => ({ x: value(row), y: Math.max(row.kl_mean, 1e-7), row }));
  const front = points.filter((p) => !points.some((q) => q !== p && (more ? q.x >= p.x : q.x <= p.x) && q.y <= p.y && (q.x !== p.x || q.y !== p.y)))
    .sort((a, b) => a.x - b.x);
  return {
    name, title, low: true,
    summary: `${front.length} of ${points.length} candidates are on the front: ${front.map((p) => p.row.scheme).join(", ")}.`,
    make: (colours) => ({
      type: "scatter",
      data: { datasets: [
        ...valuesOf(rows, "device").map((device, i) => ({
          label: device, data: points.filter((p) => p.row.device === device), pointRadius: 6, pointHoverRadius: 8,
          backgroundColor: palette[i % palette.length], borderColor: palette[i % palette.length], pointStyle: shapes[i % 4],
        })),
        { label: "front", type: "line", data: front, showLine: true, pointRadius: 0, pointHitRadius: 0, borderColor: colours.quiet, borderDash: [5, 4], borderWidth: 1.5, pointStyle: "line" },
      ] },
      options: shared(colours, {
        scales: { x: axis(colours, unit), y: logAxis(colours, "KL, nats") },
        tooltip: tooltip((item) => `${item.raw.row.device} ${item.raw.row.scheme}: ${short(item.raw.x)} ${unit}, KL ${short(item.raw.row.kl_mean)}`),
      }),
      plugins: [nameTags(points, colours)],
    }),
  };
}

// Writes each point's scheme beside it: without it one would have to hover.
function nameTags(points, colours) {
  return {
    id: "nameTags",
    afterDatasetsDraw(chart) {
      if (points.length > 24) return;
      const { ctx, chartArea, scales } = chart;
      ctx.save();
      ctx.font = "11px " + Chart.defaults.font.family;
      ctx.fillStyle = colours.text;
      ctx.textBaseline = "middle";
      const taken = [];
      for (const point of points) {
        const text = point.row.scheme, width = ctx.measureText(text).width;
        const x = scales.x.getPixelForValue(point.x), y = scales.y.getPixelForValue(point.y);
        const left = x + 10 + width > chartArea.right ? x - 10 - width : x + 10;
        // The first of a few places that no other name has.
        const place = [0, -13, 13, -26, 26].map((down) => ({ left, right: left + width, y: y + down }))
          .find((at) => !taken.some((other) => at.left < other.right && other.left < at.right && Math.abs(at.y - other.y) < 12));
        if (!place) continue;
        taken.push(place);
        ctx.textAlign = "left";
        ctx.fillText(text, place.left, place.y);
      }
      ctx.restore();
    },
  };
}

// ---- Whole models --------------------------------------------------------------

function modelPlots(rows) {
  const timed = decoded(rows);
  if (timed.length === 0) return [];
  const rates = ["prefill_tokens_per_s", "decode_tokens_per_s"];
  const lowest = smallest(timed.flatMap((row) => rates.map((key) => row[key]).filter((rate) => rate > 0)));
  return [{
    name: "models", title: "Speed of whole models", bars: timed.length * 2,
    summary: `Decoding reaches ${short(largest(timed.map((row) => row.decode_tokens_per_s)))} tokens/s.`,
    make: (colours) => ({
      type: "bar",
      data: { labels: timed.map((row) => clipped(settingLabel(row), 32)), datasets: rates.map((key, i) => (
        { label: ["prefill", "decode"][i], data: timed.map((row) => row[key]), backgroundColor: palette[i] })) },
      options: shared(colours, { indexAxis: "y", scales: { x: logAxis(colours, "tokens/s", { min: decadeBelow(lowest) }), y: axis(colours, "batch x context") } }),
    }),
  }, ...timed.filter((row) => row.breakdown).map(breakdownPlot)];
}

function breakdownPlot(row, index) {
  const ops = row.breakdown.ops.slice(0, 14);
  const share = (key) => { const all = row.breakdown.ops.reduce((sum, op) => sum + op[key], 0) || 1; return ops.map((op) => 100 * op[key] / all); };
  return {
    name: "ops-of-model-" + (index + 1), title: "Time by op, " + settingName(row), summary: "Shares of the time of all kernels.", row,
    bars: ops.length * 2,
    make: (colours) => ({
      type: "bar",
      data: { labels: ops.map((op) => op.name), datasets: [
        { label: "prefill, %", data: share("prefill_ns"), backgroundColor: palette[0] },
        { label: "decode, %", data: share("decode_ns"), backgroundColor: palette[1] }] },
      options: shared(colours, { indexAxis: "y", scales: { x: axis(colours, "% of the kernels' time"), y: axis(colours, "") } }),
    }),
  };
}

// ---- Quantization --------------------------------------------------------------

// The recipe's own measure where it took one, else the rounding error.
function sensitivityOf(report) {
  const layers = report.layers.filter((layer) => Number.isFinite(layer.metric) || Number.isFinite(layer.mse));
  const useMetric = layers.every((layer) => Number.isFinite(layer.metric)) && layers.some((layer) => layer.metric > 0);
  return { layers, label: useMetric ? "sensitivity" : "mean squared error", value: (layer) => useMetric ? layer.metric : layer.mse };
}

function sensitivityPlot(entry, index) {
  const { layers, label, value } = sensitivityOf(entry.json);
  if (layers.length === 0) return null;
  const worst = layers.reduce((a, b) => value(a) > value(b) ? a : b);
  return {
    name: "sensitivity-" + (index + 1), title: "Sensitivity of layers, " + entry.name, summary: `The most sensitive is ${worst.name}.`,
    make: (colours) => ({
      type: "bar",
      data: { labels: layers.map((layer) => layer.name.replace(/^model\.layers\./, "")), datasets: [
        { label, data: layers.map((layer) => layer.fallback ? null : value(layer)), backgroundColor: palette[0], grouped: false },
        { label: "fell back to more bits", data: layers.map((layer) => layer.fallback ? value(layer) : null), backgroundColor: palette[5], grouped: false },
      ].filter((set) => set.data.some((item) => item !== null)) },
      options: shared(colours, { scales: { x: axis(colours, "", { ticks: { maxRotation: 90, autoSkip: true } }), y: logAxis(colours, label) } }),
    }),
  };
}

// ---- Pipes of the simulated NPU ------------------------------------------------

// One core's events, and how busy each pipe was.
function pipesOf(trace) {
  const all = trace.traceEvents.filter((event) => event.ph === "X");
  const core = smallest(all.map((event) => event.pid));
  const threads = new Map(trace.traceEvents.filter((event) => event.name === "thread_name" && event.pid === core).map((event) => [event.tid, event.args.name]));
  const events = all.filter((event) => event.pid === core).sort((a, b) => a.ts - b.ts).slice(0, 3000);
  const pipe = (event) => threads.get(event.tid) || event.name;
  const names = [...new Map(events.map((event) => [event.tid, pipe(event)])).values()];
  const end = largest(events.map((event) => event.ts + event.dur));
  const busy = new Map(names.map((name) => [name, events.filter((event) => pipe(event) === name).reduce((sum, event) => sum + event.dur, 0)]));
  return { events, pipe, names, end, busy };
}

function timelinePlot(entry, index) {
  const { events, pipe, names, end, busy } = pipesOf(entry.json);
  if (events.length === 0) return null;
  return {
    name: "pipes-" + (index + 1), title: "Timeline of pipes, " + entry.name, low: true,
    summary: names.map((name) => `${name} ${percent(busy.get(name) / end)}`).join(", ") + " busy.",
    make: (colours) => ({
      type: "bar",
      data: { datasets: names.map((name, p) => ({
        label: name, grouped: false, barPercentage: 0.9, categoryPercentage: 0.9, minBarLength: 1,
        data: events.filter((event) => pipe(event) === name).map((event) => ({ x: [event.ts, event.ts + event.dur], y: name, event })),
        backgroundColor: palette[p % palette.length] })) },
      options: shared(colours, {
        indexAxis: "y",
        scales: { x: axis(colours, "µs", { more: { min: 0, max: end } }), y: axis(colours, "", { more: { type: "category", labels: names } }) },
        tooltip: tooltip((item) => `${item.raw.event.name} ${item.raw.event.cat || ""}: ${short(item.raw.event.ts)} to ${short(item.raw.event.ts + item.raw.event.dur)} µs`),
      }),
    }),
  };
}

// ---- Machines --------------------------------------------------------------------

// Cases that several machines ran: [{ name, label, ns: [by machine or null], low, high }].
function commonCases(machines) {
  const cases = new Map();
  machines.forEach((machine, at) => {
    for (const row of machine.runs.flatMap((run) => run.rows)) {
      const isOp = row.median_ns > 0;
      if (!row.case || (!isOp && !(row.decode_tokens_per_s > 0))) continue;
      if (!cases.has(row.case)) {
        cases.set(row.case, { label: isOp ? `${row.device} ${fullName(row)}` : `${settingName(row)}, a token`, ns: machines.map(() => null), ranges: machines.map(() => null) });
      }
      const found = cases.get(row.case);
      found.ns[at] = isOp ? row.median_ns : 1e9 / row.decode_tokens_per_s;
      found.ranges[at] = isOp ? row.ci95_ns : (row.decode_tokens_per_s_ci95 || []).map((rate) => 1e9 / rate).reverse();
    }
  });
  return [...cases.values()].filter((one) => one.ns.filter((ns) => ns !== null).length > 1);
}

const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

// Speed of each machine beside the first, over the cases that both ran.
function relativeSpeeds(machines, cases) {
  return machines.map((machine, at) => {
    const both = cases.filter((one) => one.ns[0] > 0 && one.ns[at] > 0);
    return both.length > 0 ? geometricMean(both.map((one) => one.ns[0] / one.ns[at])) : NaN;
  });
}

function machinePlots(documents) {
  const machines = machinesOf(documents);
  const cases = commonCases(machines);
  if (machines.length < 2 || cases.length === 0) return [];
  const speeds = relativeSpeeds(machines, cases);
  const fastest = speeds.indexOf(largest(speeds.filter(Number.isFinite)));
  return [{
    name: "machines", title: "Times on several machines", machines, cases, speeds,
    summary: `${cases.length} cases; over all ${machines[fastest].name} is the fastest, ${short(speeds[fastest])} times ${machines[0].name}.`,
    make: (colours) => ({
      type: "scatter",
      data: { datasets: [
        ...machines.slice(1).map((machine, i) => ({
          label: machine.name, pointRadius: cases.length > 500 ? 2 : 5, pointHoverRadius: 7, pointStyle: shapes[i % shapes.length],
          backgroundColor: palette[i % palette.length] + "cc", borderColor: palette[i % palette.length],
          data: cases.filter((one) => one.ns[0] > 0 && one.ns[i + 1] > 0).map((one) => ({ x: one.ns[0], y: one.ns[0] / one.ns[i + 1],
            label: `${one.label}: ${duration(one.ns[0])} on ${machines[0].name}, ${duration(one.ns[i + 1])} on ${machine.name}` })),
        })),
        { label: "as fast as " + machines[0].name, type: "line", showLine: true, pointRadius: 0, pointHitRadius: 0, pointStyle: "line",
          borderColor: colours.quiet, borderWidth: 1.5, borderDash: [5, 4],
          data: [smallest, largest].map((end) => ({ x: end(cases.map((one) => one.ns[0]).filter((ns) => ns > 0)), y: 1 })) },
      ] },
      options: shared(colours, {
        scales: { x: logAxis(colours, `ns on ${clipped(machines[0].name, 30)}`), y: axis(colours, "times as fast", { more: { beginAtZero: true } }) },
        tooltip: tooltip((item) => item.raw.label || item.dataset.label),
      }),
    }),
  }];
}

const present = (list) => list.filter((plot) => plot !== null);

// All charts of the documents, in the order of the page.
function chartsOf(documents) {
  const ops = benchRows(documents, "ops");
  return [
    ...paretoPlots(ofKind(documents, "comparison").flatMap((entry) => entry.json)),
    ...modelPlots(benchRows(documents, "model")),
    ...machinePlots(documents),
    ...rooflines(ops),
    ...present(ofKind(documents, "quantization").map(sensitivityPlot)),
    ...present(ofKind(documents, "trace").map(timelinePlot)),
  ];
}
