// SPDX-License-Identifier: GPL-2.0-or-later
// What happened, and who did it.
import { $, api, button, el, eventItem, keep, say, select, t } from "../lib.js";
import { data } from "../data.js";
import { saveAs } from "./machines.js";

let text = "", level = "";
const MOST = 1000; // what one read of the API gives

const fits = (e) => (!level || e.level === level) && (!text || [e.kind, e.object, e.text, e.actor].some((s) => s && s.toLowerCase().includes(text)));

async function saveCsv() {
  const { events } = await api("GET", `events?max=${MOST}`);
  saveAs("events.csv", [["time", "level", "kind", "who", "object", "text"], ...events.filter(fits).map((e) => [new Date(e.at_ms).toISOString(), e.level, e.kind, e.actor, e.object, e.text])]);
}

function update(asked) {
  const shown = data.events.filter(fits);
  $("events-empty").hidden = shown.length > 0;
  say($("events-empty"), data.events.length ? t("No event fits.") : t("Nothing has happened yet."));
  keep($("events"), shown, (e) => e.id, eventItem, () => {}, asked);
}

export function make(root) {
  const search = el("input", { type: "search", id: "events-search", placeholder: t("Machine, kind, who…"), "aria-label": t("Search"), value: text });
  const levels = select([["", t("all levels")], ["info", "info"], ["warning", "warning"], ["error", "error"]], { id: "events-level", "aria-label": t("Level") }, level);
  search.addEventListener("input", () => {
    text = search.value.trim().toLowerCase();
    update(true);
  });
  levels.addEventListener("change", () => {
    level = levels.value;
    update(true);
  });
  root.append(el("section", {}, el("h2", {}, t("Events")), el("div", { class: "toolbar" }, search, levels, button(t("Save as CSV"), saveCsv, { class: "push" })),
    el("ol", { class: "events tall", id: "events" }), el("div", { class: "empty", id: "events-empty", hidden: true })));
  return { needs: [], update: (error) => error || update() };
}
