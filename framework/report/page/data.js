// SPDX-License-Identifier: Apache-2.0
//
// Numbers as texts, colours, and rows out of documents.  What this file and
// plots.js, grids.js and svg.js hold needs no browser.
"use strict";

// Okabe and Ito: told apart with any kind of colour vision.
const palette = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00", "#7a7a7a"];
const shapes = ["circle", "triangle", "rect", "rectRot", "star", "cross"];
const paper = { text: "#1d2126", quiet: "#4d5560", line: "#dfe1e4", ground: "#ffffff" };

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
const valuesOf = (rows, key) => [...new Set(rows.map((row) => row[key]))];
// Of lists of any length: a call with a hundred thousand arguments overflows.
const largest = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const smallest = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);

// A part of a plot's name: "npu_sim:910b" is "npu-sim-910b".
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-+|-+$/g, "");

const linearShape = (row) => row.K === null ? `${row.op} ${row.M} x ${row.N}` : `${row.M} x ${row.N} x ${row.K}`;
const shapeOf = (row) => row.op === "attention"
  ? `${row.op} ${row.batch} x ${row.q_len} of ${row.kv_len}, ${row.kv_type}` : linearShape(row);
const fullName = (row) => (row.scheme ? `${row.op} ${row.scheme} ` : "") + shapeOf(row) + (row.weights ? `, ${row.weights}` : "");
const settingName = (row) => `${row.plan || row.device} ${row.scheme || ""}, batch ${row.batch}, context ${row.context}`;
// The same on an axis.
const settingLabel = (row) => `${row.plan || row.device} ${row.scheme || ""} ${row.batch} x ${row.context}`;

function hex(red, green, blue) {
  return "#" + [red, green, blue].map((share) => Math.round(255 * Math.max(0, Math.min(1, share))).toString(16).padStart(2, "0")).join("");
}
// Hue in degrees, the others as shares.
function hsl(hue, saturation, lightness) {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n) => { const k = (n + hue / 30) % 12; return lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1)); };
  return hex(channel(0), channel(8), channel(4));
}
// From blue-violet to yellow, ever lighter, so that it reads in grey too.
function heat(share) {
  const at = Math.max(0, Math.min(1, share));
  const background = hsl(255 - 195 * at, 0.45 + 0.3 * at, 0.25 + 0.6 * at);
  return { background, color: inkOn(background) };
}
// Black or white, whichever stands out more: 4.5 to 1 at least on any ground.
function inkOn(background) {
  const [red, green, blue] = [1, 3, 5].map((i) => Number.parseInt(background.slice(i, i + 2), 16) / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

// ---- Documents ---------------------------------------------------------------

// Runs of histories by machine, each with a short name.
function machinesOf(documents) {
  const machines = new Map();
  for (const { json } of documents.filter((entry) => entry.kind === "run")) {
    if (!machines.has(json.machine)) machines.set(json.machine, { id: json.machine, processor: json.processor, runs: [] });
    machines.get(json.machine).runs.push(json);
  }
  const list = [...machines.values()];
  const names = list.map((machine) => machine.processor || "machine");
  list.forEach((machine, i) => {
    const isAlone = names.filter((name) => name === names[i]).length === 1;
    machine.name = isAlone ? names[i] : `${names[i]} (${machine.id.slice(0, 6)})`;
  });
  return list;
}

// Rows of bench ops or bench model, from files and histories.  Where there are
// several machines, a device is named with its own.
function benchRows(documents, kind) {
  const rows = documents.filter((entry) => entry.kind === "bench " + kind).flatMap((entry) => entry.json);
  const machines = machinesOf(documents);
  for (const machine of machines) {
    for (const run of machine.runs.filter((one) => one.kind === kind)) {
      rows.push(...run.rows.map((row) => machines.length > 1 ? { ...row, device: `${row.device} on ${machine.name}` } : row));
    }
  }
  return rows;
}

const ofKind = (documents, kind) => documents.filter((entry) => entry.kind === kind);
// Those that can be drawn on a roofline.
const placed = (rows) => rows.filter((row) => row.median_ns > 0 && row.ops > 0 && row.bytes > 0);
const decoded = (rows) => rows.filter((row) => row.decode_tokens_per_s > 0);
const judged = (rows) => rows.filter((row) => row.kl_mean !== null && row.kl_mean !== undefined && row.model_size);
