// SPDX-License-Identifier: GPL-2.0-or-later
// Small graphs of what the server kept: lines over time, with a table of the same numbers for who cannot see them.
import { el, t, when } from "./lib.js";

const WIDTH = 320, HEIGHT = 64, NS = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Where nothing was kept (the server was off) the line has a gap.
function path(samples, value, from, to, most, step) {
  const x = (at) => ((WIDTH * (at - from)) / (to - from)).toFixed(1), y = (v) => (HEIGHT - 2 - ((HEIGHT - 6) * v) / most).toFixed(1);
  let d = "", last = 0;

  for (const sample of samples) {
    const v = value(sample);
    if (v == null) continue;
    d += `${sample.at_ms - last > 2.5 * step ? "M" : "L"}${x(sample.at_ms)} ${y(v)}`;
    last = sample.at_ms;
  }
  return d;
}

// lines: [{ name, cls, value: of a sample }]; text: a value in words. from, to: Unix milliseconds.
export function graph(title, samples, lines, text, from, to, step) {
  const values = lines.flatMap((line) => samples.map(line.value)).filter((v) => v != null), most = Math.max(0, ...values);
  const last = samples[samples.length - 1];
  const said = (line) => (last && line.value(last) != null ? text(line.value(last)) : "–");
  const label = `${title}: ${lines.map((line) => `${line.name} ${said(line)}`).join(", ")}; ${t("at most {most} since {when}", { most: text(most), when: when(from) })}`;

  return el("figure", { class: "graph" },
    el("figcaption", {}, title, " ", lines.map((line) => el("span", { class: line.cls }, `${line.name} ${said(line)} `))),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      ...lines.map((line) => svg("path", { d: path(samples, line.value, from, to, most || 1, step), class: line.cls }))),
    el("p", { class: "sub" }, t("at most {most} since {when}", { most: text(most), when: when(from) })));
}

// In how many days nothing is free any more, by the line that fits best through the samples; null where it does not get less.
export function daysLeft(samples) {
  const points = samples.filter((s) => s.free_bytes != null).map((s) => [s.at_ms, s.free_bytes]);
  const n = points.length, middle = (i) => points.reduce((sum, p) => sum + p[i], 0) / n;
  if (n < 6) return null;
  const mx = middle(0), my = middle(1);
  const spread = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0), slope = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / spread;
  if (!(slope < 0)) return null;
  return Math.max(0, points[n - 1][1] / -slope / 86400000);
}
