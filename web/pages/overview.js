// SPDX-License-Identifier: GPL-2.0-or-later
// The whole at a glance: what runs, what it costs, what needs somebody; and before the first machine, what is still missing.
import { $, api, bytes, el, eventItem, keep, link, part, plural, say, section, select, serverTime, t } from "../lib.js";
import { data } from "../data.js";
import { daysLeft, graph } from "../graph.js";
import { kinds, stateOf } from "../machines.js";
import { jobItem } from "./images.js";

const EVENTS_SHOWN = 12, NAMES_SHOWN = 8;

const tile = (id, title, href) => el("a", { class: "tile", href }, el("h2", {}, title), el("p", { class: "big", id: `o-${id}` }, "–"), el("p", { class: "sub", id: `o-${id}-sub` }));

function showTiles({ space, volumes, sharing, machines, waiting }, images) {
  const versions = images.reduce((sum, i) => sum + i.versions.length, 0);
  const own = Object.values(volumes).reduce((sum, kind) => sum + kind.bytes, 0);
  const others = Object.entries(volumes).filter(([kind, v]) => kind !== "system" && kind !== "who-am-i" && v.count).map(([kind, v]) => `${v.count} ${t(v.count === 1 ? kinds[kind] : `${kinds[kind]}s`)}`);

  say($("o-machines"), machines.total ? t("{n} of {all}", { n: machines.running, all: machines.total }) : "0");
  say($("o-machines-sub"), [machines.total ? t("running") : t("none yet"), machines.failed ? t("{n} failed", { n: machines.failed }) : "", waiting ? t("{n} waiting", { n: waiting }) : ""].filter(Boolean).join(", "));
  say($("o-images"), bytes(space.images_bytes));
  say($("o-images-sub"), versions ? t("{versions}, shared by {machines}", { versions: plural(versions, "{n} version", "{n} versions"), machines: plural(machines.total, "{n} machine", "{n} machines") }) : t("none yet"));
  say($("o-children"), bytes(own));
  say($("o-children-sub"), [machines.total ? t("{size} each on average", { size: bytes(volumes.system.bytes / machines.total) }) : t("what machines write"), ...others].join(", "));
  say($("o-saved"), bytes(sharing.saved_bytes));
  say($("o-saved-sub"), machines.total ? t("full copies would take {size}", { size: bytes(sharing.full_copies_bytes) }) : t("against a full copy for each"));
}

function showMeter({ space }) {
  const total = space.total_bytes || 1;
  const other = Math.max(0, total - space.free_bytes - space.images_bytes - space.children_bytes);
  const parts = [["images", space.images_bytes, t("golden images")], ["children", space.children_bytes, t("machines")], ["other", other, t("other files")]];
  const low = space.free_bytes < space.reserve_bytes;

  for (const [name, value] of parts) document.querySelector(`.m-${name}`).style.width = `${(100 * value) / total}%`;
  $("o-meter").setAttribute("aria-label", t("{n} of {all} free", { n: bytes(space.free_bytes), all: bytes(total) }));
  $("o-meter-sub").replaceChildren(...parts.map(([name, value, text]) => el("span", { class: `l-${name}` }, `${text} ${bytes(value)}`)),
    el("span", {}, t("{n} of {all} free", { n: bytes(space.free_bytes), all: bytes(total) }) + (low ? `: ${t("too little for new machines")}` : "")));
}

// ---- what needs somebody: [how bad, text, link]

function namesOf(machines) {
  const names = machines.slice(0, NAMES_SHOWN).map((m) => m.name).join(", ");
  return machines.length > NAMES_SHOWN ? `${names}, ${t("and {n} more", { n: machines.length - NAMES_SHOWN })}` : names;
}

function attention() {
  const { status, machines, waiting, images } = data;
  const open = waiting.filter((w) => w.reason !== "denied");
  const by = (state) => machines.filter((m) => stateOf(m)[0] === state);
  const found = [];
  const group = (state, text, bad) => by(state).length && found.push([bad, `${text} ${namesOf(by(state))}`, by(state).length === 1 ? `#/machine/${by(state)[0].id}` : `#/machines/${state}`]);

  if (open.length) found.push(["warn", plural(open.length, "{n} machine waits for your word", "{n} machines wait for your word"), "#/enrol"]);
  group("damaged", t("Damaged disk:"), "bad");
  group("failed", t("Failed:"), "bad");
  group("stuck", t("Stuck on the way up:"), "bad");
  if (status.space.free_bytes < status.space.reserve_bytes) found.push(["bad", t("The disk of the server is nearly full: no new machine gets a disk."), "#/images"]);
  for (const text of status.warnings) found.push(["warn", text]);
  for (const p of status.problems) found.push(["warn", `${p.file}${p.line ? `:${p.line}` : ""}: ${p.reason}`, "#/settings"]);
  for (const f of status.dhcp.missing_boot_files || []) found.push(["bad", t("No boot file for {machines}: {file} is missing in {source}", f), "#/settings"]);
  if (status.dhcp.mode !== "off" && status.dhcp.state !== "up" && status.dhcp.message) found.push(["bad", `dnsmasq: ${status.dhcp.message}`, "#/settings"]);
  for (const image of images) {
    const newest = image.versions.find((v) => v.version === image.published);
    if (newest && newest.warnings.length) found.push(["warn", `${newest.name}: ${newest.warnings[0]}`, `#/images/${part(image.name)}`]);
    if (image.outdated) found.push(["", t("{machines} of {image} have another version than is published", { machines: plural(image.outdated, "{n} machine", "{n} machines"), image: image.name }), "#/machines/outdated"]);
  }
  return found;
}

// ---- before the first machine: four steps, each checked

function steps() {
  const { status, machines, images } = data;
  const published = images.some((i) => i.published), { dhcp } = status;
  const network = dhcp.mode !== "off" && dhcp.state === "up" && !(dhcp.missing_boot_files || []).length;
  const networkText = dhcp.mode === "off"
    ? [t("Start sanbootd with its own DHCP, or point yours at it:"), "sanbootd --dhcp proxy --interface NAME\nsanbootctl dhcp-snippet isc|kea|dnsmasq|windows|openwrt|routeros"]
    : [dhcp.message || (dhcp.missing_boot_files || []).map((f) => t("{file} is missing", f)).join(", ") || t("dnsmasq is {state}", dhcp), ""];

  return [
    [published, t("A golden image"), published ? t("{n} is what new machines get", { n: (images.find((i) => i.default) || images[0]).name })
      : [t("Make one from Debian's packages, on the server, or take in a disk that you have: drop it on the page Images."), "sanbootctl image build debian --name debian --default"], "#/images"],
    [network, t("The network"), network ? t("DHCP answers ({mode})", dhcp) : networkText, "#/settings"],
    [published, t("Who may in"), t("Machines that nobody has seen: {enrol}", { enrol: { auto: t("enrolled at once"), approve: t("wait for your word"), deny: t("refused") }[status.enrol] || status.enrol }), "#/settings"],
    [machines.length > 0, t("Switch one on"), t("It boots from the network (PXE), and shows up here by itself."), "#/machines"],
  ];
}

function showSteps() {
  const first = !data.machines.length;
  $("first-steps").hidden = !first;
  if (!first) return;
  const made = steps().map(([good, title, text, href]) => {
    const [sentence, code] = Array.isArray(text) ? text : [text, ""];
    return el("li", { class: good ? "good" : "" }, el("strong", {}, link(title, href)), el("span", { class: "hidden" }, good ? t("done") : t("to do")), el("p", {}, sentence), code && el("pre", {}, el("code", {}, code)));
  });
  if ($("steps").textContent !== made.map((li) => li.textContent).join("")) $("steps").replaceChildren(...made);
}

// ---- lately: [span of the API, how long, heading]

const HOUR = 3600000;
const spans = { hour: ["hour", HOUR, "the last hour"], day: ["month", 24 * HOUR, "the last day"], month: ["month", 31 * 24 * HOUR, "the last month"] };
let span = "hour", kept = {};

// What each graph needs is read as seldom as it changes.
async function readActivity() {
  const now = serverTime();
  for (const name of new Set([spans[span][0], "month"])) {
    const old = kept[name];
    if (!old || now - old.read > old.step_ms) kept = { ...kept, [name]: { ...(await api("GET", `activity?span=${name}`)), read: now } };
  }
}

function showLately() {
  const [name, length] = spans[span], said = kept[name];
  if (!said) return;
  const now = serverTime(), from = now - length, samples = said.samples.filter((s) => s.at_ms > from);
  const rate = (key) => (s) => (1000 * s[key]) / said.step_ms;
  const draw = (title, lines, text) => graph(title, samples, lines, text, from, now, said.step_ms);
  const left = daysLeft(kept.month.samples.filter((s) => s.at_ms > now - 7 * 24 * HOUR));

  $("graphs").replaceChildren(
    draw(t("Machines"), [{ name: t("running"), cls: "g-a", value: (s) => s.running }, { name: t("booting"), cls: "g-b", value: (s) => s.booting }], String),
    draw(t("Boots"), [{ name: t("begun"), cls: "g-a", value: (s) => s.boots }], String),
    draw(t("Throughput"), [{ name: t("read"), cls: "g-a", value: rate("read_bytes") }, { name: t("written"), cls: "g-b", value: rate("written_bytes") }], (v) => `${bytes(v)}/s`));
  say($("forecast"), left == null || left > 365 ? "" : t("As it went in the last week, the disk of the server is full in {n} days.", { n: Math.floor(left) }));
}

function lately() {
  const choice = select(Object.entries(spans).map(([value, [, , text]]) => [value, t(text)]), { id: "span", "aria-label": t("How far back") }, span);
  choice.addEventListener("change", async () => {
    span = choice.value;
    await readActivity();
    showLately();
  });
  return el("section", { id: "lately" }, el("h2", {}, t("Lately"), " ", choice), el("div", { class: "graphs", id: "graphs" }), el("p", { class: "sub", id: "forecast" }));
}

function update() {
  const needs = attention(), running = data.jobs.filter((j) => j.stage !== "done" && j.stage !== "failed");

  showTiles(data.status, data.images);
  showMeter(data.status);
  showSteps();
  showLately();
  $("attention").hidden = !needs.length;
  keep($("attention-list"), needs.map(([bad, text, href]) => ({ bad, text, href })), (n) => n.href + n.text,
    (n) => el("li", { class: n.bad }, n.href ? link(n.text, n.href) : n.text), () => {});
  $("jobs-section").hidden = !running.length;
  $("jobs").replaceChildren(...running.map(jobItem));
  keep($("events"), data.events.slice(0, EVENTS_SHOWN), (e) => e.id, eventItem, () => {});
  $("events-empty").hidden = data.events.length > 0;
}

export function make(root) {
  root.append(
    el("section", { "aria-label": t("Overview"), class: "tiles", id: "overview" },
      tile("machines", t("Machines"), "#/machines"), tile("images", t("Golden images, once"), "#/images"), tile("children", t("Machines' own disks"), "#/volumes"), tile("saved", t("Storage saved"), "#/machines"),
      el("div", { class: "tile wide" }, el("h2", {}, t("Disk of the server")),
        el("div", { class: "meter", id: "o-meter", role: "img" }, ["images", "children", "other"].map((name) => el("span", { class: `m-${name}` }))), el("p", { class: "sub legend", id: "o-meter-sub" }))),
    section(t("First steps"), el("ol", { class: "steps", id: "steps" })), section(t("What needs you"), el("ul", { class: "attention", id: "attention-list" })),
    section(t("Jobs"), el("ul", { class: "plain jobs", id: "jobs" })),
    section(t("What happened"), el("ol", { class: "events", id: "events" }), el("div", { class: "empty", id: "events-empty", hidden: true }, t("Nothing has happened yet.")), el("p", {}, link(t("All events"), "#/events"))));
  ["overview", "first-steps", "attention", "jobs-section"].forEach((id, i) => (root.children[i].id = id));
  root.insertBefore(lately(), $("jobs-section"));
  return { needs: ["machines", "images", "jobs"], more: readActivity, update: (error) => error || update() };
}
