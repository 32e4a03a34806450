// SPDX-License-Identifier: Apache-2.0
//
// The plotting library draws on a canvas; here is one that writes SVG instead,
// with what the library calls of it.  The same pictures as on the page, for
// papers.
//
// Source  HTML standard, "CanvasRenderingContext2D"; SVG 1.1
"use strict";

const exportFont = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
// Thousandths of the size, from space to tilde: the widths of Helvetica.
const charWidths = [278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
  1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
  333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584];
const textWidth = (text, size) => [...String(text)].reduce((sum, c) => sum + (charWidths[c.charCodeAt(0) - 32] || 600), 0) * size / 1000;
// Renderers without Helvetica take a wider font, DejaVu Sans by 15 to 18 %.
const roomFor = (text, size) => 1.17 * textWidth(text, size);

const xmlText = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" })[c])
  // What no XML may hold.
  .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
const coordinate = (value) => String(Number(value.toFixed(2)));

// A colour and its opacity; SVG 1.1 has no colours with both.
function paint(colour) {
  const eight = /^#([0-9a-f]{6})([0-9a-f]{2})$/i.exec(colour);
  if (eight) return { colour: "#" + eight[1], opacity: Number.parseInt(eight[2], 16) / 255 };
  const rgba = /^rgba?\(([^)]*)\)$/.exec(colour);
  if (!rgba) return { colour, opacity: 1 };
  const [red, green, blue, alpha = 1] = rgba[1].split(/[ ,/]+/).filter((part) => part !== "").map(Number);
  return { colour: hex(red / 255, green / 255, blue / 255), opacity: alpha };
}

class SvgContext {
  constructor(width, height) {
    this.canvas = { width, height, style: {}, getContext: () => this };
    this.parts = [];
    this.clips = new Map();
    this.saved = [];
    this.path = "";
    this.state = { fillStyle: "#000", strokeStyle: "#000", lineWidth: 1, lineCap: "butt", lineJoin: "miter", miterLimit: 10, lineDashOffset: 0,
      dash: [], globalAlpha: 1, font: "10px sans-serif", textAlign: "start", textBaseline: "alphabetic", matrix: [1, 0, 0, 1, 0, 0], clipId: null };
    for (const key of Object.keys(this.state)) {
      Object.defineProperty(this, key, { get: () => this.state[key], set: (value) => { this.state[key] = value; } });
    }
  }

  // ---- State

  save() { this.saved.push({ ...this.state }); }
  restore() { if (this.saved.length > 0) this.state = this.saved.pop(); }
  setLineDash(dash) { this.state.dash = [...dash]; }
  getLineDash() { return this.state.dash; }
  transform(a, b, c, d, e, f) {
    const m = this.state.matrix;
    this.state.matrix = [m[0] * a + m[2] * b, m[1] * a + m[3] * b, m[0] * c + m[2] * d, m[1] * c + m[3] * d, m[0] * e + m[2] * f + m[4], m[1] * e + m[3] * f + m[5]];
  }
  setTransform(a, b, c, d, e, f) { this.state.matrix = [a, b, c, d, e, f]; }
  resetTransform() { this.setTransform(1, 0, 0, 1, 0, 0); }
  translate(x, y) { this.transform(1, 0, 0, 1, x, y); }
  scale(x, y) { this.transform(x, 0, 0, y, 0, 0); }
  rotate(angle) { this.transform(Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle), 0, 0); }
  point(x, y) {
    const m = this.state.matrix;
    return coordinate(m[0] * x + m[2] * y + m[4]) + " " + coordinate(m[1] * x + m[3] * y + m[5]);
  }

  // ---- Paths

  beginPath() { this.path = ""; }
  closePath() { if (this.path !== "") this.path += "Z"; }
  moveTo(x, y) { this.path += "M" + this.point(x, y); }
  lineTo(x, y) { this.path += (this.path === "" ? "M" : "L") + this.point(x, y); }
  bezierCurveTo(ax, ay, bx, by, x, y) { this.path += `C${this.point(ax, ay)} ${this.point(bx, by)} ${this.point(x, y)}`; }
  quadraticCurveTo(ax, ay, x, y) { this.path += `Q${this.point(ax, ay)} ${this.point(x, y)}`; }
  rect(x, y, width, height) {
    this.path += `M${this.point(x, y)}L${this.point(x + width, y)}L${this.point(x + width, y + height)}L${this.point(x, y + height)}Z`;
  }
  arc(x, y, radius, from, to, backwards = false) { this.ellipse(x, y, radius, radius, 0, from, to, backwards); }
  ellipse(x, y, rx, ry, rotation, from, to, backwards = false) {
    const full = 2 * Math.PI;
    const at = (angle) => this.point(x + rx * Math.cos(angle), y + ry * Math.sin(angle));
    const sweep = backwards ? 0 : 1;
    const size = coordinate(rx) + " " + coordinate(ry);
    this.path += (this.path === "" || this.path.endsWith("Z") ? "M" : "L") + at(from);
    if (Math.abs(to - from) >= full - 1e-6) {
      this.path += `A${size} 0 1 ${sweep} ${at(from + Math.PI)}A${size} 0 1 ${sweep} ${at(from)}Z`;
      return;
    }
    const turn = (((backwards ? from - to : to - from) % full) + full) % full;
    this.path += `A${size} 0 ${turn > Math.PI ? 1 : 0} ${sweep} ${at(to)}`;
  }
  clip() {
    if (!this.clips.has(this.path)) this.clips.set(this.path, "clip" + this.clips.size);
    this.state.clipId = this.clips.get(this.path);
  }

  // ---- Ink

  ink(name, style) {
    const { colour, opacity } = paint(style);
    const alpha = opacity * this.state.globalAlpha;
    return ` ${name}="${colour}"` + (alpha < 1 ? ` ${name}-opacity="${coordinate(alpha)}"` : "");
  }
  clipping() { return this.state.clipId === null ? "" : ` clip-path="url(#${this.state.clipId})"`; }
  draw(path, attributes) { if (path !== "") this.parts.push(`<path d="${path}"${attributes}${this.clipping()}/>`); }
  fill() { this.draw(this.path, this.ink("fill", this.state.fillStyle)); }
  stroke() {
    const { lineWidth, dash, lineCap, lineJoin } = this.state;
    this.draw(this.path, ` fill="none"${this.ink("stroke", this.state.strokeStyle)} stroke-width="${coordinate(lineWidth)}"` +
      (dash.length > 0 ? ` stroke-dasharray="${dash.join(" ")}"` : "") + (lineCap === "butt" ? "" : ` stroke-linecap="${lineCap}"`) +
      (lineJoin === "miter" ? "" : ` stroke-linejoin="${lineJoin}"`));
  }
  apart(x, y, width, height, act) {
    const kept = this.path;
    this.path = "";
    this.rect(x, y, width, height);
    act();
    this.path = kept;
  }
  fillRect(x, y, width, height) { this.apart(x, y, width, height, () => this.fill()); }
  strokeRect(x, y, width, height) { this.apart(x, y, width, height, () => this.stroke()); }
  clearRect() {}

  // ---- Text

  fontSize() { return Number.parseFloat(/([\d.]+)px/.exec(this.state.font)[1]); }
  measureText(text) {
    const size = this.fontSize(), width = roomFor(text, size);
    return { width, actualBoundingBoxAscent: 0.72 * size, actualBoundingBoxDescent: 0.21 * size, actualBoundingBoxLeft: 0, actualBoundingBoxRight: width };
  }
  fillText(text, x, y) {
    const { textAlign, textBaseline, matrix, font } = this.state;
    const size = this.fontSize();
    // From the baseline: renderers of SVG disagree about the others.
    const down = ({ top: 0.76, hanging: 0.76, middle: 0.35, bottom: -0.21, ideographic: -0.21 })[textBaseline] || 0;
    const anchor = ({ center: "middle", right: "end", end: "end" })[textAlign] || "start";
    const isTurned = matrix[0] !== 1 || matrix[1] !== 0;
    const place = isTurned ? `transform="matrix(${matrix.map((value) => Number(value.toFixed(4))).join(" ")})" x="${coordinate(x)}" y="${coordinate(y + down * size)}"`
      : `x="${coordinate(x + matrix[4])}" y="${coordinate(y + matrix[5] + down * size)}"`;
    const weight = /\b(bold|[6-9]00)\b/.test(font) ? ' font-weight="bold"' : "";
    const element = `<text ${place} font-size="${coordinate(size)}" text-anchor="${anchor}"${weight}${this.ink("fill", this.state.fillStyle)}>${xmlText(text)}</text>`;
    // Around it: a clip on it would be turned with it.
    this.parts.push(this.state.clipId === null ? element : `<g${this.clipping()}>${element}</g>`);
  }
  strokeText() {}

  // The whole drawing on a ground.
  text(title, summary, ground) {
    const { width, height } = this.canvas;
    const clips = [...this.clips].map(([path, id]) => `<clipPath id="${id}"><path d="${path}"/></clipPath>`).join("");
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc" font-family="${exportFont}">\n` +
      `<title id="title">${xmlText(title)}</title>\n<desc id="desc">${xmlText(summary)}</desc>\n` +
      (clips === "" ? "" : `<defs>${clips}</defs>\n`) + `<rect width="${width}" height="${height}" fill="${ground}"/>\n` + this.parts.join("\n") + "\n</svg>\n";
  }
}

// Some plots need more room the more bars they have.
const plotHeight = (plot) => plot.bars ? Math.max(220, 110 + 15 * plot.bars) : plot.low ? 320 : 430;

function chartSvg(plot, width = 720) {
  const height = plotHeight(plot);
  const context = new SvgContext(width, height);
  const config = plot.make(paper);
  config.platform = Chart.platforms.BasicPlatform;
  config.options = { ...config.options, responsive: false, devicePixelRatio: 1, layout: { padding: 10 } };
  const font = Chart.defaults.font.family;
  Chart.defaults.font.family = exportFont;
  // The library asks for a canvas's context, and takes ours.
  const chart = new Chart(context.canvas, config);
  context.parts = [];
  context.clips.clear();
  chart.draw();
  chart.destroy();
  Chart.defaults.font.family = font;
  return context.text(plot.title, plot.summary, paper.ground);
}

// A picture that is a table: heads, cells, and what the colours mean.
function gridSvg(grid) {
  const size = 12, high = 22, gap = 2, pad = 12;
  const lengthOf = (text) => roomFor(text, size);
  const wide = (texts) => largest(texts.map(lengthOf)) + 14;
  const headWidth = wide([grid.corner, ...grid.rows.map((row) => row.head)]);
  const widths = grid.columns.map((column, i) => Math.max(26, wide([...column, ...grid.rows.map((row) => row.cells[i] ? row.cells[i].text + (row.cells[i].isBest ? " ★" : "") : "-")])));
  const lines = largest(grid.columns.map((column) => column.length));
  const inner = headWidth + widths.reduce((sum, one) => sum + one + gap, 0);
  const keyWidth = grid.key.reduce((sum, one) => sum + wide([one.text]) + 22, 0);
  const width = Math.ceil(2 * pad + Math.max(inner, keyWidth, ...[grid.caption, ...grid.notes].map(lengthOf)));
  const height = Math.ceil(2 * pad + high * (1 + lines + grid.rows.length + 1 + grid.notes.length) + gap * grid.rows.length);
  const context = new SvgContext(width, height);
  const write = (text, x, y, colour, align = "left", weight = "") => Object.assign(context, { font: `${weight} ${size}px x`, fillStyle: colour, textAlign: align, textBaseline: "middle" }).fillText(text, x, y);
  let y = pad + high / 2;
  write(grid.caption, pad, y, paper.quiet);
  write(grid.corner, pad, y + high * lines, paper.quiet);
  const lefts = widths.map((one, i) => pad + headWidth + widths.slice(0, i).reduce((sum, other) => sum + other + gap, 0));
  grid.columns.forEach((column, i) => column.forEach((text, line) => write(text, lefts[i] + widths[i] / 2, y + high * (line + 1 + lines - column.length), paper.quiet, "center")));
  y += high * (lines + 1);
  for (const row of grid.rows) {
    write(row.head, pad, y, paper.text);
    row.cells.forEach((cell, i) => {
      if (cell !== null) Object.assign(context, { fillStyle: cell.background }).fillRect(lefts[i], y - high / 2, widths[i], high);
      write(cell === null ? "-" : cell.text + (cell.isBest ? " ★" : ""), lefts[i] + widths[i] / 2, y, cell === null ? paper.quiet : cell.color, "center", cell !== null && cell.isBest ? "bold" : "");
    });
    y += high + gap;
  }
  let x = pad;
  for (const one of grid.key) {
    Object.assign(context, { fillStyle: one.colour }).fillRect(x, y - 6, 12, 12);
    write(one.text, x + 18, y, paper.text);
    x += wide([one.text]) + 22;
  }
  for (const note of grid.notes) write(note, pad, y += high, paper.text);
  return context.text(grid.title, grid.caption, paper.ground);
}

// { name, title, svg() } of every plot of the documents.
function picturesOf(documents) {
  return [
    ...(typeof Chart === "undefined" ? [] : chartsOf(documents).map((plot) => ({ name: plot.name, title: plot.title, svg: () => chartSvg(plot) }))),
    ...gridsOf(documents).map((grid) => ({ name: grid.name, title: grid.title, svg: () => gridSvg(grid) })),
  ];
}
