// SPDX-License-Identifier: GPL-2.0-or-later
// All machines: found, sorted, chosen, and dealt with many at a time.
import { $, Window, act, ago, api, ask, button, bytes, cell, confirmed, el, keep, link, part, pill, plural, row, say, section, select, set, t, table, when } from "../lib.js";
import { data } from "../data.js";
import { actions, doToMany, imageOptions, outdatedText, stateOf } from "../machines.js";

const byText = (f) => (a, b) => f(a).localeCompare(f(b), undefined, { numeric: true });
const byNumber = (f) => (a, b) => f(a) - f(b);
const groupOf = (m) => m.group || "";

// name: [heading, class, order, shown at first]
const columns = {
  name: ["Name", "", byText((m) => m.name), true],
  state: ["State", "", byText((m) => stateOf(m)[0]), true],
  mac: ["MAC", "", byText((m) => m.macs[0] || ""), true],
  address: ["Address", "", byText((m) => m.address || ""), true],
  group: ["Group", "", byText(groupOf), false],
  ring: ["Ring", "", byText((m) => m.ring), false],
  image: ["Image", "", byText((m) => m.image || ""), true],
  product: ["Hardware", "", byText((m) => m.product || ""), false],
  note: ["Note", "", byText((m) => m.note || ""), false],
  cost: ["Disk cost", "num", byNumber((m) => m.disk.allocated_bytes), true],
  boot: ["Last boot", "", byNumber((m) => m.last_boot_ms || 0), true],
};
const chosenColumns = () => {
  const kept = JSON.parse(localStorage.getItem("columns") || "null");
  return Array.isArray(kept) ? kept : Object.keys(columns).filter((name) => columns[name][3]);
};

let filters = { text: "", state: "", group: "", image: "" }, sorted = { by: "name", down: false };
const selected = new Set(); // ids

function matches(m) {
  const text = filters.text.toLowerCase();
  if (text && ![m.name, m.address, m.note, m.product, m.serial, m.group, m.image, ...m.macs].some((s) => s && s.toLowerCase().includes(text))) return false;
  if (filters.state === "outdated" ? !m.outdated : filters.state && stateOf(m)[0] !== filters.state) return false;
  if (filters.group && groupOf(m) !== (filters.group === "none" ? "" : filters.group)) return false;
  return !filters.image || m.image === filters.image || m.image_name === filters.image;
}

function makeMachine(m) {
  const box = el("input", { type: "checkbox", "aria-label": t("Select {name}", m), "data-is": "box" });
  box.addEventListener("change", () => {
    if (box.checked) selected.add(m.id);
    else selected.delete(m.id);
    showBar();
  });
  const cost = el("div", {}, cell("cost"), el("span", { class: "bar" }, el("span", { "data-is": "share" })));
  const cells = {
    name: ["head", link("", `#/machine/${m.id}`, { "data-is": "name", class: "link" })],
    state: ["", cell("state")], mac: ["mono", el("div", {}, cell("mac"), cell("macs", {}, "small"))], address: ["mono", cell("address")],
    group: ["tight", cell("group")], ring: ["tight", cell("ring")], image: ["tight", el("div", {}, cell("image"), cell("outdated", {}, "small"))], product: ["cut", cell("product")],
    note: ["cut", cell("note")], cost: ["num", cost], boot: ["tight", cell("boot")],
  };
  return row([["", "pick", box], ...Object.entries(cells).map(([name, [cls, content]]) => [t(columns[name][0]), `${cls} c-${name}`, content])]);
}

function updateMachine(tr, m) {
  const [state, text, why] = stateOf(m);
  tr.dataset.machine = m.name;
  tr.querySelector('[data-is="box"]').checked = selected.has(m.id);
  set(tr, "name", m.name);
  const shown = pill(tr.querySelector('[data-is="state"]'), text, state);
  shown.title = why || "";
  set(tr, "mac", m.macs[0] || "–");
  set(tr, "macs", m.macs.length > 1 ? t("and {n} more", { n: m.macs.length - 1 }) : "");
  set(tr, "address", m.address || "–");
  set(tr, "group", m.group || "–");
  set(tr, "ring", m.ring === "none" ? "–" : m.ring);
  set(tr, "image", m.image || "–");
  set(tr, "outdated", outdatedText(m));
  set(tr, "product", m.product || "–");
  set(tr, "note", m.note || "");
  set(tr, "cost", bytes(m.disk.allocated_bytes));
  const share = tr.querySelector("[data-is=share]");
  share.style.width = `${m.disk.virtual_bytes ? Math.min(100, Math.max(1, (100 * m.disk.allocated_bytes) / m.disk.virtual_bytes)) : 0}%`;
  share.parentElement.title = t("{n} of {all}", { n: bytes(m.disk.allocated_bytes), all: bytes(m.disk.virtual_bytes) });
  set(tr, "boot", ago(m.last_boot_ms));
}

function showBar() {
  const chosen = data.machines.filter((m) => selected.has(m.id));
  $("bulk").hidden = !chosen.length;
  say($("bulk-count"), plural(chosen.length, "{n} machine", "{n} machines"));
}

function bulkBar() {
  const bar = el("div", { class: "bulk", id: "bulk", hidden: true, role: "toolbar", "aria-label": t("What to do with the selected machines") }, el("strong", { id: "bulk-count" }));
  for (const name of Object.keys(actions))
    bar.append(button(t(actions[name].title), () => doToMany(name, data.machines.filter((m) => selected.has(m.id)), data),
      { class: actions[name].danger ? "danger" : null, "data-action": name }));
  bar.append(button(t("Select none"), () => {
    selected.clear();
    update();
  }, { class: "quiet" }));
  return bar;
}

function headings() {
  return Object.entries(columns).map(([name, [text, cls]]) =>
    el("th", { class: `${cls} c-${name}`, scope: "col" }, button(t(text), () => {
      sorted = { by: name, down: sorted.by === name && !sorted.down };
      update(true);
    }, { class: "sort", "data-sort": name })));
}

function columnChoice(tableOf) {
  const chosen = new Set(chosenColumns());
  const show = () => Object.keys(columns).forEach((name) => tableOf.classList.toggle(`no-${name}`, !chosen.has(name)));
  const boxes = Object.entries(columns).filter(([name]) => name !== "name").map(([name, [text]]) => {
    const box = el("input", { type: "checkbox", checked: chosen.has(name) });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(name);
      else chosen.delete(name);
      localStorage.setItem("columns", JSON.stringify([...chosen]));
      show();
    });
    return el("label", {}, box, ` ${t(text)}`);
  });
  show();
  return el("details", { class: "columns" }, el("summary", {}, t("Columns")), el("div", {}, boxes));
}

const states = [["", "all states"], ["running", "running"], ["off", "off"], ["stuck", "stuck"], ["failed", "failed"], ["damaged", "damaged disk"], ["outdated", "outdated"]];

function filterBar(tableOf) {
  const text = el("input", { type: "search", id: "search", placeholder: t("Name, MAC, address, hardware…"), "aria-label": t("Search"), value: filters.text });
  const changed = () => update(true);
  text.addEventListener("input", () => {
    filters.text = text.value.trim();
    changed();
  });
  const choice = (name, id, label) => {
    const made = el("select", { id, "aria-label": t(label) });
    made.addEventListener("change", () => {
      filters[name] = made.value;
      changed();
    });
    return made;
  };
  const state = select(states.map(([value, word]) => [value, t(word)]), { id: "filter-state", "aria-label": t("State") }, filters.state);
  state.addEventListener("change", () => {
    filters.state = state.value;
    changed();
  });
  return el("div", { class: "toolbar" }, text, state, choice("group", "filter-group", "Group"), choice("image", "filter-image", "Image"), columnChoice(tableOf),
    button(t("Add"), addMachine, { class: "push", "data-action": "add" }), button(t("Save as CSV"), saveCsv, { "data-action": "csv" }));
}

// Options that come and go, without closing a list that is open.
function setOptions(target, options, chosen) {
  const said = JSON.stringify(options);
  if (target.dataset.said === said) return;
  target.dataset.said = said;
  target.replaceChildren(...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

function addMachine() {
  ask({
    title: t("Add a machine"), text: t("It is known before it is switched on, and boots at once."), yes: t("Add"),
    fields: [{ name: "name", label: t("Name"), placeholder: t("by the policy's pattern"), maxlength: 63 }, { name: "mac", label: t("MAC"), required: true },
      { name: "group", label: t("Group"), options: [["", t("none")], ...data.groups.map((g) => [g.name, g.name])] },
      { name: "image", label: t("Image"), options: [["", t("the default one")], ...imageOptions(data)] },
      { name: "address", label: t("Address"), placeholder: t("as DHCP gives it") }, { name: "note", label: t("Note") }],
    run: async (values) => {
      const machine = { macs: values.mac.split(/[\s,;]+/).filter(Boolean) };
      for (const key of ["name", "group", "image", "address", "note"]) if (values[key]) machine[key] = values[key];
      await api("POST", "machines", { machines: [machine] });
    },
  });
}

const csvField = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
// A spreadsheet takes what begins so for a formula.
const csvSafe = (text) => csvField(/^[=+\-@\t]/.test(text) ? `'${text}` : text);

export function saveAs(name, lines) {
  const url = URL.createObjectURL(new Blob([lines.map((line) => line.map((v) => csvSafe(String(v ?? ""))).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }));
  el("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

function saveCsv() {
  saveAs("machines.csv", [["name", "macs", "group", "image", "address", "note"],
    ...data.machines.filter(matches).map((m) => [m.name, m.macs.join(" "), m.group, m.image_name, m.address, m.note])]);
}

// ---- the trash

function makeTrash(e) {
  return row([[t("Name"), "head", cell("name", {}, "strong")], [t("MAC"), "mono", cell("macs")], [t("Image"), "tight", cell("image")], [t("Disk cost"), "num", cell("cost")],
    [t("Removed"), "tight", cell("removed")], [t("Goes"), "tight", cell("goes")],
    ["", "acts", el("div", { class: "decide" },
      button(t("Bring back"), (event) => act(event.target, t("{name} is back", e), () => api("POST", `trash/${part("#" + e.id)}/restore`, {})), { "data-action": "restore" }),
      button(t("Delete"), () => confirmed(t("Delete {name} for good?", e), t("Its disk is deleted with it."), t("Delete"), t("{name} is deleted", e), () => api("DELETE", `trash/${part("#" + e.id)}`)), { class: "danger" }))]]);
}

function updateTrash(tr, e) {
  set(tr, "name", e.name);
  set(tr, "macs", e.macs[0] || "–");
  set(tr, "image", e.image || "–");
  set(tr, "cost", bytes(e.allocated_bytes));
  set(tr, "removed", t("{when} by {who}", { when: ago(e.removed_ms), who: e.removed_by }));
  set(tr, "goes", e.expires_ms ? when(e.expires_ms) : t("soon"));
}

let list = null, all = null;

// asked: by somebody, who wants other rows.
function update(asked) {
  const shown = data.machines.filter(matches).sort((a, b) => (sorted.down ? -1 : 1) * (columns[sorted.by][2](a, b) || a.id - b.id));
  const empty = $("machines-empty");

  for (const id of [...selected]) if (!data.machines.some((m) => m.id === id)) selected.delete(id);
  say($("machines-count"), shown.length === data.machines.length ? String(shown.length || "") : t("{n} of {all}", { n: shown.length, all: data.machines.length }));
  setOptions($("filter-group"), [["", t("all groups")], ["none", t("in no group")], ...data.groups.map((g) => [g.name, g.name])], filters.group);
  setOptions($("filter-image"), [["", t("all images")], ...data.images.flatMap((i) => [[i.name, i.name], ...i.versions.map((v) => [v.name, v.name])])], filters.image);
  for (const head of $("machines-table").querySelectorAll(".sort")) {
    head.parentElement.setAttribute("aria-sort", head.dataset.sort !== sorted.by ? "none" : sorted.down ? "descending" : "ascending");
  }
  $("machines-table").hidden = !shown.length;
  empty.hidden = shown.length > 0;
  say(empty, data.machines.length ? t("No machine fits.") : t("No machine yet: the overview says what is missing."));
  list.show(shown, asked);
  all.checked = shown.length > 0 && shown.every((m) => selected.has(m.id));
  showBar();
  $("trash-section").hidden = !data.trash.length;
  keep($("trash"), data.trash, (e) => e.id, makeTrash, updateTrash);
}

export function make(root, state) {
  if (state !== undefined) filters = { text: "", state, group: "", image: "" };
  all = el("input", { type: "checkbox", "aria-label": t("Select all that are shown"), id: "select-all" });
  all.addEventListener("change", () => {
    for (const m of data.machines.filter(matches)) {
      if (all.checked) selected.add(m.id);
      else selected.delete(m.id);
    }
    update();
  });
  const body = el("tbody", { id: "machines" });
  const tableOf = el("table", { class: "list windowed", id: "machines-table" }, el("thead", {}, el("tr", {}, el("th", { class: "pick" }, all), headings())), body);
  root.append(
    el("section", {}, el("h2", {}, t("Machines"), " ", el("span", { class: "count", id: "machines-count" })), filterBar(tableOf), bulkBar(), el("div", {}, tableOf),
      el("div", { class: "empty", id: "machines-empty", hidden: true })),
    section(t("Trash"), table("trash-table", [[t("Name")], [t("MAC")], [t("Image")], [t("Disk cost"), "num"], [t("Removed")], [t("Goes")], ["", "acts"]], el("tbody", { id: "trash" }))));
  root.lastElementChild.id = "trash-section";
  list = new Window(body, (m) => m.id, makeMachine, updateMachine);
  return { needs: ["machines", "groups", "images", "trash"], update: (error) => error || update(), close: () => list.close() };
}
