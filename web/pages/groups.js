// SPDX-License-Identifier: GPL-2.0-or-later
// Groups of machines.
import { $, api, ask, button, cell, confirmed, el, keep, link, part, row, set, t, table } from "../lib.js";
import { data } from "../data.js";

function fields(g = {}) {
  const boots = [["disk", t("its disk")], ["local", t("its own disk, locally")], ["menu", t("a menu")], ...data.status.entries.map((e) => [e.name, e.title])];
  return [
    { name: "name", label: t("Name"), value: g.name, required: true, maxlength: 63 },
    { name: "image", label: t("Image"), options: [["policy", t("as policy says")], ...data.images.map((i) => [i.name, i.name])], value: g.image || "policy", help: t("Of new machines, and where a disk begins anew.") },
    { name: "mode", label: t("Mode"), options: [["policy", t("as policy says")], ["persistent", t("persistent: its disk stays")], ["ephemeral", t("ephemeral: a new disk at each boot")]], value: g.mode || "policy" },
    { name: "ring", label: t("Ring"), value: g.ring || "none", help: t("Who gets a version first; none: no ring.") },
    { name: "name_pattern", label: t("Names"), value: g.name_pattern || "policy", help: t("Such as lab-{n:02}; policy: as that says.") },
    { name: "quota", label: t("Quota"), value: g.quota || "policy" },
    { name: "restore_points", label: t("Restore points"), value: g.restore_points || "policy" },
    { name: "volumes", label: t("Volumes"), value: (g.volumes || []).join(",") || "none", help: t("Shared disks and CDs that all of its machines have, with commas between.") },
    { name: "boot", label: t("Boots"), options: boots, value: g.boot || "disk" },
    { name: "templates", label: t("Templates"), options: [["none", t("none")], ...data.status.templates.map((name) => [name, name])], value: g.templates || "none" },
    { name: "priority", label: t("Priority"), type: "number", value: String(g.priority || 0), help: t("Higher goes first, where machines take turns.") },
    { name: "note", label: t("Note"), value: g.note || "" },
  ];
}

// Only what was changed is sent.
const changes = (g, values) => Object.fromEntries(fields(g).filter((field) => values[field.name] !== String(field.value ?? "")).map((field) => [field.name, values[field.name]]));

function edit(g) {
  ask({ title: t("Group {name}", g), fields: fields(g), yes: t("Save"), run: (values) => api("PATCH", `groups/${part(g.name)}`, changes(g, values)) });
}

function makeGroup(g) {
  return row([[t("Name"), "head", el("strong", { "data-is": "name" })], [t("Machines"), "num", link("", "", { "data-is": "machines" })], [t("Image"), "", cell("image")], [t("Mode"), "", cell("mode")], [t("Ring"), "", cell("ring")], [t("Boots"), "", cell("boot")], [t("Volumes"), "", cell("volumes")], [t("Note"), "", cell("note")],
    ["", "acts", el("div", { class: "decide" }, button(t("Change"), () => edit(data.groups.find((one) => one.name === g.name)), { "data-action": "change" }),
      button(t("Remove"), () => confirmed(t("Remove the group {name}?", g), t("Its machines are in no group then."), t("Remove"), t("{name} is removed", g), () => api("DELETE", `groups/${part(g.name)}`)), { class: "danger", "data-action": "remove" }))]]);
}

const named = () => ({ disk: t("its disk"), local: t("its own disk, locally"), menu: t("a menu") });

function updateGroup(tr, g) {
  set(tr, "name", g.name);
  set(tr, "machines", String(g.machines)).href = "#/machines";
  set(tr, "boot", named()[g.boot || "disk"] || g.boot);
  set(tr, "image", g.image || "–");
  set(tr, "mode", g.mode ? t(g.mode) : "–");
  set(tr, "ring", !g.ring || g.ring === "none" ? "–" : g.ring);
  set(tr, "volumes", g.volumes.join(", ") || "–");
  set(tr, "note", g.note || "");
}

function update() {
  $("groups-table").hidden = !data.groups.length;
  $("groups-empty").hidden = data.groups.length > 0;
  keep($("groups"), data.groups, (g) => g.name, makeGroup, updateGroup);
}

export function make(root) {
  const add = () => ask({ title: t("A new group"), fields: fields(), yes: t("Make it"), run: (values) => api("POST", "groups", { name: values.name, ...changes({}, values) }) });
  root.append(el("section", {}, el("h2", {}, t("Groups")), el("div", { class: "toolbar" }, button(t("Add"), add, { class: "push", "data-action": "add" })),
    table("groups-table", [[t("Name")], [t("Machines"), "num"], [t("Image")], [t("Mode")], [t("Ring")], [t("Boots")], [t("Volumes")], [t("Note")], ["", "acts"]], el("tbody", { id: "groups" })),
    el("div", { class: "empty", id: "groups-empty" }, t("No group yet. A group is a room, a class, a rack: what its machines have in common."))));
  return { needs: ["groups", "images"], update: (error) => error || update() };
}
