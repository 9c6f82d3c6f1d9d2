// SPDX-License-Identifier: GPL-2.0-or-later
// Disks besides those that machines boot from.
import { $, api, ask, button, bytes, cell, confirmed, el, keep, link, part, pill, row, say, set, t, table, when } from "../lib.js";
import { data } from "../data.js";
import { kinds } from "../machines.js";

const path = (v) => `volumes/${part("#" + v.id)}`;
const now = (v) => data.volumes.find((one) => one.id === v.id) || v;

function create() {
  ask({
    title: t("A new volume"), yes: t("Make it"),
    fields: [{ name: "kind", label: t("Kind"), options: [["data", t("data: one machine's own")], ["shared", t("shared: an image, read-only, for many")], ["cd", t("CD: the same as a CD-ROM")]] },
      { name: "name", label: t("Name") }, { name: "machine", label: t("Machine"), options: [["", t("nobody's")], ...data.machines.map((m) => [m.name, m.name])] },
      { name: "size", label: t("Size"), placeholder: "20G", help: t("Of a data volume.") }, { name: "image", label: t("Image"), options: [["", "–"], ...data.images.flatMap((i) => i.versions.map((v) => [v.name, v.name]))], help: t("What is on a shared one or a CD.") }],
    run: (values) => api("POST", "volumes", Object.fromEntries(Object.entries(values).filter(([, value]) => value))),
  });
}

function attach(v) {
  ask({
    title: t("Give {label} to a machine", v), text: t("Also while it runs."), yes: t("Give"), fields: [{ name: "machine", label: t("Machine"), options: data.machines.map((m) => [m.name, m.name]) }],
    run: (values) => api("POST", `${path(v)}/attach`, values),
  });
}

function detach(v) {
  ask({
    title: t("Take {label} away", v), text: t("Unmount it there first. What is on it stays."), yes: t("Take away"), danger: true,
    fields: [{ name: "machine", label: t("Machine"), options: v.machines.map((m) => [m.machine, m.machine]) }, { name: "force", label: t("Also while it is in use"), type: "checkbox" }],
    run: (values) => api("POST", `${path(v)}/detach`, values),
  });
}

function resize(v) {
  ask({ title: t("A larger {label}", v), text: t("Disks only grow."), yes: t("Grow"), fields: [{ name: "size", label: t("Size"), required: true, value: `${Math.ceil((2 * v.virtual_bytes) / 2 ** 30)}G` }], run: (values) => api("PATCH", path(v), values) });
}

async function snapshots(v) {
  const { snapshots: list } = await api("GET", `${path(v)}/snapshots`);
  const labels = list.filter((s) => !s.removed);
  ask({
    title: t("Snapshots of {label}", v), yes: t("Do it"), list: labels.map((s) => `${s.label} · ${when(s.created_ms)} · ${bytes(s.allocated_bytes)}`),
    fields: [{ name: "what", label: t("What"), options: [["take", t("keep what is on it now")], ...labels.flatMap((s) => [[`back:${s.label}`, t("go back to {label}", s)], [`delete:${s.label}`, t("delete {label}", s)]])] },
      { name: "label", label: t("Label"), help: t("Of a new one.") }],
    run: ({ what, label }) => {
      const [verb, ...rest] = what.split(":"), named = rest.join(":");
      if (verb === "take") return api("POST", `${path(v)}/snapshots`, { label });
      if (verb === "back") return api("POST", `${path(v)}/restore`, { label: named });
      return api("DELETE", `${path(v)}/snapshots/${part(named)}`);
    },
  });
}

function makeVolume(v) {
  const acts = [["attach", t("Give"), () => attach(now(v))], ["detach", t("Take away"), () => detach(now(v))], ["resize", t("Grow"), () => resize(now(v))], ["snapshots", t("Snapshots"), () => snapshots(now(v))],
    ["remove", t("Delete"), () => confirmed(t("Delete {label}?", v), t("What is on it is deleted with it."), t("Delete"), t("{label} is deleted", v), () => api("DELETE", path(v)))]];
  return row([[t("Name"), "head", el("div", {}, el("strong", { "data-is": "label" }), cell("note", {}, "small"))], [t("Kind"), "", cell("kind")], [t("State"), "", cell("state")], [t("Machines"), "", el("div", { "data-is": "machines" })],
    [t("Size"), "num", cell("size")], [t("On disk"), "num", cell("cost")],
    ["", "acts", el("div", { class: "decide" }, acts.map(([name, text, onclick]) => button(text, onclick, { "data-action": name, class: name === "remove" ? "danger" : null })))]]);
}

const SHOWN = 6;

function updateVolume(tr, v) {
  const writable = v.kind === "data", holders = tr.querySelector('[data-is="machines"]');
  set(tr, "label", v.label);
  set(tr, "note", v.note || (v.image ? t("of {image}", v) : ""));
  set(tr, "kind", t(kinds[v.kind] || v.kind));
  pill(tr.querySelector('[data-is="state"]'), v.error ? t("damaged") : t(v.state), v.error ? "damaged" : v.state);
  set(tr, "size", bytes(v.virtual_bytes));
  set(tr, "cost", bytes(v.allocated_bytes));
  const said = JSON.stringify(v.machines);
  if (holders.dataset.said !== said) {
    holders.dataset.said = said;
    holders.replaceChildren(...v.machines.slice(0, SHOWN).flatMap((m) => [link(m.machine, `#/machine/${m.machine_id}`), ` (LUN ${m.lun}) `]), v.machines.length > SHOWN ? t("and {n} more", { n: v.machines.length - SHOWN }) : v.machines.length ? "" : t("nobody's"));
  }
  tr.querySelector("[data-action=detach]").hidden = !v.machines.length;
  tr.querySelector("[data-action=attach]").hidden = writable && v.machines.length > 0;
  tr.querySelector("[data-action=resize]").hidden = tr.querySelector("[data-action=snapshots]").hidden = !writable;
  tr.querySelector("[data-action=remove]").hidden = v.machines.length > 0;
}

function update() {
  const volumes = data.volumes.filter((v) => v.kind !== "system" && v.kind !== "who-am-i");
  $("volumes-table").hidden = !volumes.length;
  $("volumes-empty").hidden = volumes.length > 0;
  say($("volumes-count"), String(volumes.length || ""));
  keep($("volumes"), volumes, (v) => v.id, makeVolume, updateVolume);
}

export function make(root) {
  root.append(el("section", {}, el("h2", {}, t("Volumes"), " ", el("span", { class: "count", id: "volumes-count" })), el("div", { class: "toolbar" }, button(t("Add"), create, { class: "push", "data-action": "add" })),
    table("volumes-table", [[t("Name")], [t("Kind")], [t("State")], [t("Machines")], [t("Size"), "num"], [t("On disk"), "num"], ["", "acts"]], el("tbody", { id: "volumes" })),
    el("div", { class: "empty", id: "volumes-empty", hidden: true }, t("No volume yet, besides the disks that machines boot from: a second disk of a machine, or an image or a CD that many read."))));
  return { needs: ["volumes", "machines", "images"], update: (error) => error || update() };
}
