// SPDX-License-Identifier: Apache-2.0
//
// Pictures that are tables: { name, title, caption, corner, columns, rows, key,
// notes }.  A cell has text, title, background, color and isBest, or is null.
"use strict";

// ---- Shape x scheme x device ---------------------------------------------------

function heatMap(rows) {
  const timed = rows.filter((row) => row.scheme && row.median_ns > 0);
  if (timed.length < 2) return null;
  const nameOf = (row) => row.device + "\n" + row.scheme;
  const columns = [...new Set(timed.map(nameOf))].sort();
  const placeOf = (row) => row.weights ? shapeOf(row) + ", " + row.weights : shapeOf(row);
  // A simulated time knows no cache of weights: it stands in the rows of others.
  const places = [...new Set(timed.filter((row) => row.weights).map(placeOf))];
  const known = new Set(timed.filter((row) => row.weights).map(shapeOf));
  const shapes = [...places, ...new Set(timed.map(shapeOf).filter((shape) => !known.has(shape)))];
  const found = new Map(timed.map((row) => [placeOf(row) + "\n" + nameOf(row), row]));
  return {
    name: "heat-map", title: "Shape x scheme x device", corner: "shape",
    caption: "M x N x K of Y[M, N] = X[M, K] W[N, K]\u1d40; ★ is the fastest of its row on its clock",
    columns: columns.map((column) => column.split("\n")),
    rows: shapes.map((shape) => heatRow(shape, columns.map((column) => found.get(shape + "\n" + column) || found.get(shape.replace(/, (cold|hot)$/, "") + "\n" + column)))),
    key: [["limit reached", 1], ["half of it", 0.5], ["a tenth", 0.1]].map(([text, share]) => ({ text, colour: heat(share).background })),
    notes: [],
  };
}

function heatRow(head, rows) {
  const fastest = (clock) => smallest(rows.filter((row) => row && row.clock === clock).map((row) => row.median_ns));
  return { head, cells: rows.map((row) => row === undefined ? null : {
    text: duration(row.median_ns), isBest: row.median_ns === fastest(row.clock),
    title: `${fullName(row)} on ${row.device}: ${percent(row.achieved_over_limit)} of ${row.limit_kind} limit`,
    ...heat(row.achieved_over_limit || 0) }) };
}

// ---- Plans ------------------------------------------------------------------------

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// In the colours of a sequence that grey keeps apart.
function schemeColour(scheme, schemes) {
  return heat(0.08 + 0.84 * (schemes.length > 1 ? schemes.indexOf(scheme) / (schemes.length - 1) : 0.5));
}

function whyOf(layer, scheme) {
  const part = layer.decode.parts[0];
  return `${layer.name}: ${scheme} on ${part.device}, ${part.kernel || "kernel unknown"}, ${duration(part.predicted_ns)} a decode step` +
    (layer.margin_ns ? `; the next best${layer.second ? ", " + layer.second + "," : ""} costs ${duration(layer.margin_ns)} more` : "") +
    (layer.reason ? ". " + layer.reason : "");
}

function planGrid(entry, index) {
  const plan = entry.json;
  const parts = plan.layers.filter((layer) => layer.decode && layer.decode.parts.length > 0);
  const place = (layer) => {
    const found = /^layers\.(\d+)\.(.*)$/.exec(layer.name);
    return found ? { layer: Number(found[1]), name: found[2] } : { layer: -1, name: layer.name };
  };
  const names = [...new Set(parts.map((layer) => place(layer).name))];
  const layers = [...new Set(parts.map((layer) => place(layer).layer))].sort((a, b) => a - b);
  const found = new Map(parts.map((layer) => [place(layer).name + "\n" + place(layer).layer, layer]));
  // Ops without a scheme of their own run in the plan's.
  const schemeOf = (layer) => layer.decode.parts[0].scheme || plan.base_scheme || "as the model";
  const schemes = [...new Set(parts.map(schemeOf))].sort();
  const devices = [...new Set(parts.map((layer) => layer.decode.parts[0].device))];
  const mark = (layer) => devices.length > 1 ? letters[devices.indexOf(layer.decode.parts[0].device) % letters.length] : "●";
  return {
    name: "plan-" + (index + 1), title: "Plan " + entry.name, corner: "part",
    caption: devices.length > 1 ? "Columns are layers; letters are devices" : "Columns are layers; all on " + devices[0],
    columns: layers.map((layer) => [layer < 0 ? "-" : String(layer)]),
    rows: names.map((name) => ({ head: name, cells: layers.map((layer) => {
      const one = found.get(name + "\n" + layer);
      return one === undefined ? null : { text: mark(one), title: whyOf(one, schemeOf(one)), ...schemeColour(schemeOf(one), schemes) };
    }) })),
    key: schemes.map((scheme) => ({ text: scheme, colour: schemeColour(scheme, schemes).background })),
    notes: devices.length > 1 ? [devices.map((device, i) => `${letters[i % letters.length]}: ${device}`).join(", ")] : [],
  };
}

// ---- Conformance --------------------------------------------------------------------

// Plugins by level: what of a level's cases passed.
function conformanceGrid(list) {
  if (list.length === 0) return null;
  const levels = [...new Set(list.flatMap((entry) => entry.json.levels.map((level) => level.level)))].sort((a, b) => a - b);
  return {
    name: "conformance", title: "Conformance", corner: "plugin",
    caption: "Cases passed of those that the plugin does not declare unsupported",
    columns: levels.map((level) => ["level " + level]),
    rows: list.map(({ json }) => ({ head: json.plugin, cells: levels.map((number) => {
      const level = json.levels.find((one) => one.level === number);
      if (!level || level.total === 0) return null;
      const ran = level.passed + level.failed + level.crashed + level.hung;
      return { text: `${level.passed} of ${ran}`, title: `${json.plugin}, level ${number}: ${level.failed} failed, ${level.crashed} crashed, ${level.hung} hung, ${level.unsupported} unsupported, ${level.expected_failure} expected failures`,
        ...(ran === level.passed ? { background: "#cdeadd", color: "#0b3d2a" } : { background: "#f8d0bd", color: "#5a1a00" }) };
    }) })),
    key: [{ text: "all passed", colour: "#cdeadd" }, { text: "some did not", colour: "#f8d0bd" }],
    notes: [],
  };
}

// All pictures that are tables, in the order of the page.
function gridsOf(documents) {
  return present([
    ...ofKind(documents, "plan").map(planGrid),
    heatMap(benchRows(documents, "ops")),
    conformanceGrid(ofKind(documents, "conformance")),
  ]);
}
