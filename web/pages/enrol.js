// SPDX-License-Identifier: GPL-2.0-or-later
// Machines that wait for a person's word.
import { $, act, ago, api, button, cell, confirmed, el, keep, link, part, plural, row, say, section, set, t, table, toast } from "../lib.js";
import { data } from "../data.js";
import { imageOptions } from "../machines.js";

const reasons = {
  approval: () => t("Nobody has seen it before"),
  conflict: (w) => t("Its MAC belongs to {machine}, which had another board. Approve: it is {machine} with a new board. Other machine: at the same dock or adapter, whose MAC is shared from then on.", w),
  swap: (w) => t("The board of {machine} with another network card. Approve: it is {machine}. With a name: it is another machine.", w),
  "no-image": () => t("There is no golden image yet"),
  "no-space": () => t("The server's disk is full"),
  full: () => t("The policy's max-machines is reached"),
  denied: () => t("Denied; it boots locally"),
};
const reasonText = (w) => (reasons[w.reason] || (() => w.reason))({ ...w, machine: w.machine || t("a machine") });

const selected = new Set(); // MACs
let image = "", all = null;

function makeWaiting(w) {
  const box = el("input", { type: "checkbox", "aria-label": t("Select {name}", { name: w.mac }), "data-is": "box" });
  const name = el("input", { type: "text", placeholder: t("name (optional)"), "aria-label": t("Name for {mac}", w), maxlength: 63, autocomplete: "off" });
  const approve = button(t("Approve"), () => approveOne(approve, w.mac, name.value.trim()), { class: "primary", "data-action": "approve", "data-mac": w.mac });
  const other = button(t("Other machine"), () => act(other, t("{mac} is another machine", w), () => api("POST", "machines/approve", { macs: [w.mac], shared: true })), { "data-action": "dock", "data-mac": w.mac });
  const deny = button(t("Deny"), () => act(deny, t("{mac} is denied", w), () => api("POST", "machines/deny", { mac: w.mac })), { "data-action": "deny", "data-mac": w.mac });

  const forget = button(t("Forget"), () => act(forget, t("{mac} is forgotten", w), () => api("DELETE", `waiting/${part(w.mac)}`)), { "data-action": "forget", "data-mac": w.mac });

  box.addEventListener("change", () => {
    if (box.checked) selected.add(w.mac);
    else selected.delete(w.mac);
    showMany();
  });
  name.addEventListener("keydown", (event) => event.key === "Enter" && !approve.disabled && approve.click());
  return row([["", "pick", box], [t("Number"), "head", cell("number")], [t("MAC"), "mono", el("div", {}, cell("mac"), cell("vendor", {}, "small"), cell("cards", {}, "small"))], [t("Address"), "mono", cell("address")],
    [t("Machine"), "", el("div", {}, cell("product"), cell("serial", {}, "small"))], [t("Why"), "", el("div", {}, cell("reason"), " ", link("", "", { "data-is": "known" }))],
    [t("Seen"), "tight", cell("seen")], ["", "acts", el("div", { class: "decide" }, name, approve, other, deny, forget)]]);
}

const approveOne = (pressed, mac, name) =>
  act(pressed, t("{mac} is approved", { mac }), () => api("POST", "machines/approve", { macs: [mac], ...(name ? { name } : {}), ...(image ? { image } : {}) }));

function updateWaiting(tr, w) {
  set(tr, "number", `#${w.number}`);
  set(tr, "mac", w.mac);
  set(tr, "vendor", w.vendor || "");
  set(tr, "cards", w.other_macs.length ? t("and {n} more", { n: w.other_macs.length }) : "");
  set(tr, "address", w.address || "–");
  set(tr, "product", w.product || "–");
  set(tr, "serial", w.serial || "");
  set(tr, "reason", reasonText(w));
  set(tr, "seen", ago(w.seen_ms));
  const known = tr.querySelector('[data-is="known"]');
  known.hidden = !w.machine_id;
  known.href = w.machine_id ? `#/machine/${w.machine_id}` : "";
  say(known, w.machine_id ? w.machine || "" : "");
  tr.querySelector('[data-is="box"]').checked = selected.has(w.mac);
  tr.querySelector("[data-action=deny]").hidden = w.reason === "denied";
  tr.querySelector("[data-action=forget]").hidden = w.reason !== "denied";
  tr.querySelector(".decide input").hidden = w.reason === "conflict";
  tr.querySelector("[data-action=dock]").hidden = w.reason !== "conflict";
}

const chosen = () => data.waiting.filter((w) => selected.has(w.mac));

function showMany() {
  all.checked = data.waiting.length > 0 && data.waiting.every((w) => selected.has(w.mac));
  $("bulk").hidden = !selected.size;
  say($("bulk-count"), plural(selected.size, "{n} machine", "{n} machines"));
}

async function approveMany(macs, list) {
  if (await confirmed(plural(macs.length, "Approve {n} machine?", "Approve {n} machines?"), t("Each gets a name by the policy's pattern and a disk of {image}, and boots.", { image: image || t("the default image") }), t("Approve"),
    plural(macs.length, "{n} machine is approved", "{n} machines are approved"), () => api("POST", "machines/approve", { macs, ...(image ? { image } : {}) })))
    list.forEach((mac) => selected.delete(mac));
}

function bulkBar() {
  return el("div", { class: "bulk", id: "bulk", hidden: true, role: "toolbar", "aria-label": t("What to do with the selected machines") }, el("strong", { id: "bulk-count" }),
    button(t("Approve"), () => approveMany(chosen().map((w) => w.mac), [...selected]), { class: "primary", "data-action": "approve-many" }),
    button(t("Deny"), (event) => act(event.target, t("They are denied"), async () => {
      for (const w of chosen()) await api("POST", "machines/deny", { mac: w.mac });
      selected.clear();
    })),
    button(t("Select none"), () => {
      selected.clear();
      update();
    }, { class: "quiet" }));
}

// "NAME,MAC[,GROUP[,IMAGE[,ADDRESS]]]" a line, or MACs alone: all of it, or nothing.
export function parseList(text) {
  return text.split("\n").map((line, i) => [line.trim(), i + 1]).filter(([line]) => line && !line.startsWith("#")).map(([line, number]) => {
    const columns = line.split(/[,;\t]/).map((c) => c.trim());
    const [name, mac, group, imageName, address] = columns.length === 1 ? ["", columns[0]] : columns;
    if (!/^([0-9a-f]{2}[:-]?){5}[0-9a-f]{2}$|^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/i.test(mac)) throw new Error(t("Line {n}: {text} is no MAC", { n: number, text: mac || line }));
    return { macs: [mac], ...(name && { name }), ...(group && { group }), ...(imageName && { image: imageName }), ...(address && { address }) };
  });
}

function listForm() {
  const text = el("textarea", { id: "list", rows: 4, placeholder: "pc-01,52:54:00:12:34:56\n52:54:00:12:34:57", "aria-label": t("Machines, one a line") });
  const error = el("p", { class: "notice bad", role: "alert", hidden: true });
  const file = el("input", { type: "file", accept: ".csv,.txt,text/*", "aria-label": t("A file") });
  const form = el("form", { class: "list-form" }, el("p", { class: "sub" }, t("A MAC a line, or NAME,MAC,GROUP,IMAGE,ADDRESS. Those that wait already are approved; the others are known before they are switched on.")), text, error,
    el("div", { class: "buttons left" }, el("button", { type: "submit" }, t("Enrol them")), file));

  file.addEventListener("change", async () => (text.value = file.files[0] ? await file.files[0].text() : text.value));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      const machines = parseList(text.value);
      const said = await api("POST", "machines", { machines });
      toast(plural(said.added.length, "{n} machine is enrolled", "{n} machines are enrolled"));
      text.value = "";
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
  });
  return form;
}

function update() {
  for (const mac of [...selected]) if (!data.waiting.some((w) => w.mac === mac)) selected.delete(mac);
  const open = data.waiting.filter((w) => w.reason !== "denied").length;
  say($("waiting-count"), open ? String(open) : "");
  $("waiting-table").hidden = !data.waiting.length;
  $("waiting-empty").hidden = data.waiting.length > 0;
  keep($("waiting"), data.waiting, (w) => w.mac, makeWaiting, updateWaiting);
  showMany();
  const choice = $("enrol-image"), options = [["", t("the default image")], ...imageOptions(data)], said = JSON.stringify(options);
  if (choice.dataset.said !== said) {
    choice.dataset.said = said;
    choice.replaceChildren(...options.map(([value, text]) => el("option", { value, selected: value === image }, text)));
  }
}

export function make(root) {
  const choice = el("select", { id: "enrol-image", "aria-label": t("Image") });
  choice.addEventListener("change", () => (image = choice.value));
  all = el("input", { type: "checkbox", id: "select-all", "aria-label": t("Select all that are shown") });
  all.addEventListener("change", () => {
    if (all.checked) data.waiting.filter((w) => w.reason === "approval").forEach((w) => selected.add(w.mac));
    else selected.clear();
    update();
  });
  root.append(
    el("section", { id: "waiting-section" }, el("h2", {}, t("Waiting"), " ", el("span", { class: "count", id: "waiting-count" })),
      el("div", { class: "toolbar" }, el("label", {}, t("They get"), " ", choice)), bulkBar(),
      table("waiting-table", [[all, "pick"], [t("Number")], [t("MAC")], [t("Address")], [t("Machine")], [t("Why")], [t("Seen")], ["", "acts"]], el("tbody", { id: "waiting" })),
      el("div", { class: "empty", id: "waiting-empty" }, t("Nobody waits. A machine that is switched on, boots from the network and is not known shows up here, where the policy says enrol=approve; with enrol=auto it is enrolled at once."))),
    section(t("Enrol from a list"), listForm()));
  return { needs: ["images"], update: (error) => error || update() };
}
