// SPDX-License-Identifier: GPL-2.0-or-later
// One machine, by its id: what it is, what it has, how its boots went; and everything about it that can be changed.
import { act, ago, api, ask, button, bytes, confirmed, el, eventItem, facts, link, machinePath, part, pill, plural, seconds, section, select, t, toast, when } from "../lib.js";
import { data } from "../data.js";
import { imageOptions, isRunning, kinds, outdatedText, stateOf } from "../machines.js";

let id = 0, machine = null, root = null, removed = false;
const path = () => machinePath(id);
const send = (method, tail, body) => api(method, path() + tail, body);

// ---- how its last boot went, against its own earlier ones

function median(values) {
  const sorted = values.filter((v) => v != null).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
}

// How long after the first stage of a boot each of its stages came, by stage.
const offsets = (timeline) => Object.fromEntries(timeline.map((s) => [s.stage, s.at_ms - timeline[0].at_ms]));

function timeline(m) {
  const stages = m.timeline || [];
  if (!stages.length) return el("p", { class: "sub" }, t("It has not booted yet."));
  const earlier = m.boots.filter((b) => b.timeline.length && b.timeline[0].at_ms !== stages[0].at_ms).map((b) => offsets(b.timeline));
  const usual = Object.fromEntries(stages.map((s) => [s.stage, median(earlier.map((o) => o[s.stage]))]));
  const longest = Math.max(1, ...stages.map((s) => s.at_ms - stages[0].at_ms), ...Object.values(usual).filter(Boolean));

  return el("div", {}, el("ol", { class: "timeline", id: "d-timeline" }, stages.map((s) => {
    const at = s.at_ms - stages[0].at_ms, bar = el("span", { class: "t-bar" }), mark = el("span", { class: "t-usual" });
    bar.style.width = `${(100 * at) / longest}%`;
    mark.style.left = `${(100 * (usual[s.stage] || 0)) / longest}%`;
    mark.hidden = !usual[s.stage];
    mark.title = usual[s.stage] ? t("usually {s}", { s: seconds(usual[s.stage]) }) : "";
    return el("li", {}, el("span", { class: "t-at" }, seconds(at)), " ", el("b", {}, s.stage), " ", el("span", { class: "t-track" }, bar, mark), el("span", { class: "t-detail" }, s.detail || ""));
  })), el("p", { class: "sub" }, earlier.length ? t("The mark is the median of {n} earlier boots of it.", { n: earlier.length }) : t("There is no earlier boot of it to compare with.")));
}

// ---- what can be changed: [key, label, the value that it has, options or nothing, what it says]

function fields(m) {
  const entries = data.status.entries.map((e) => [e.name, e.title]);
  const boots = [["disk", t("its disk")], ["cd", t("its CD")], ["local", t("its own disk, locally")], ["menu", t("a menu")], ...entries];
  return [
    ["name", t("Name"), m.name],
    ["group", t("Group"), m.group || "none", [["none", t("none")], ...data.groups.map((g) => [g.name, g.name])]],
    ...(m.maintenance ? [] : [["mode", t("Mode"), m.mode_own || "group", [["group", t("as its group says")], ["persistent", t("persistent: its disk stays")], ["ephemeral", t("ephemeral: a new disk at each boot")]]]]),
    ["ring", t("Ring"), m.ring_own || "group"],
    ["boot", t("Boots"), m.boot_own || "group", [["group", t("as its group says")], ...boots]],
    ["boot-once", t("Next boot"), m.boot_once || "none", [["none", t("as always")], ...boots]],
    ["quota", t("Quota"), String(m.quota ?? "")],
    ["restore-points", t("Restore points"), String(m.restore_points ?? "")],
    ["templates", t("Templates"), m.templates_own || "group", [["group", t("as its group says")], ["none", t("none")], ...data.status.templates.map((name) => [name, name])]],
    ["auth", t("Authentication"), m.auth, ["policy", "none", "chap", "mutual"].map((word) => [word, word])],
    ["note", t("Note"), m.note || ""],
  ];
}

// What holds where it has no word of its own, and who says so.
function holds(m, key) {
  const one = m.effective[key];
  if (!one || one.from === "machine") return "";
  return one.from === "group" ? t("{value}, says the group {group}", one) : one.from === "policy" ? t("{value}, says the policy", one) : t("{value} by default", one);
}

// Only what was changed is sent: what somebody else has changed meanwhile stays.
function editor(m) {
  const rows = fields(m).map(([key, label, value, options]) => {
    const known = options && (options.some(([v]) => v === value) ? options : [[value, value], ...options]);
    const input = known ? select(known, { id: `f-${key}`, name: key }, value) : el("input", { id: `f-${key}`, name: key, value, autocomplete: "off", maxlength: 500 });
    input.dataset.was = value;
    return [input, el("p", { class: "field" }, el("label", { for: `f-${key}` }, label), input, el("small", {}, holds(m, key)))];
  });
  const save = el("button", { type: "submit", class: "primary", disabled: true }, t("Save"));
  const error = el("p", { class: "notice bad", role: "alert", hidden: true });
  const form = el("form", { class: "editor", id: "editor" }, rows.map(([, made]) => made), error, el("div", { class: "buttons" }, save));
  const changed = () => rows.map(([input]) => input).filter((input) => input.value !== input.dataset.was);

  form.addEventListener("input", () => (save.disabled = !changed().length));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      const said = await send("PATCH", "", Object.fromEntries(changed().map((input) => [input.name, input.value])));
      for (const input of changed()) input.dataset.was = input.value;
      toast(said.hint ? t("Saved. {hint}", said) : t("Saved."));
      save.disabled = true;
      reload();
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
  });
  return form;
}

const edited = () => [...root.querySelectorAll("#editor [name]")].some((input) => input.value !== input.dataset.was || input === document.activeElement);

// ---- volumes and snapshots

function volumeItem(lun) {
  const size = lun.allocated_bytes == null ? t("{size}, read-only", { size: bytes(lun.bytes || 0) }) : t("{n} of {all}", { n: bytes(lun.allocated_bytes), all: bytes(lun.bytes || 0) });
  return el("li", {}, `LUN ${lun.lun} `, lun.volume ? link(lun.volume, `#/volumes/${part(lun.volume)}`) : el("b", {}, t(kinds[lun.volume_kind] || lun.volume_kind)),
    ` (${t(kinds[lun.volume_kind] || lun.volume_kind)}): ${size}${lun.state === "failed" ? `, ${t("failed")}` : ""}`, " ",
    lun.volume && button(t("Take away"), () => confirmed(t("Take {volume} from {name}?", { volume: lun.volume, name: machine.name }), t("Unmount it there first. What is on it stays."), t("Take away"),
      t("{volume} is nobody's", lun), () => api("POST", `volumes/${part(lun.volume)}/detach`, { machine: machine.name })), { class: "small" }));
}

function newVolume() {
  ask({
    title: t("A second disk for {name}", machine), text: t("Empty, and its own: it survives resets and other images."), yes: t("Make it"),
    fields: [{ name: "size", label: t("Size"), value: "20G", required: true }, { name: "name", label: t("Name"), placeholder: `${machine.name}-data` }],
    run: (v) => api("POST", "volumes", { machine: machine.name, size: v.size, ...(v.name ? { name: v.name } : {}) }),
  });
}

function snapshotItem(s) {
  const what = s.boot ? t("before boot {n}", { n: s.boot }) : s.automatic ? t("before a restore") : "";
  return el("li", {}, el("b", {}, s.label), ` ${when(s.created_ms)} ${what} · ${bytes(s.allocated_bytes)} ${s.current ? `· ${t("its disk goes on from it")}` : ""}`, " ",
    button(t("Go back"), () => confirmed(t("Put {name} back to {label}?", { name: machine.name, label: s.label }), t("What is there now is kept as another snapshot, so that this can be undone."),
      t("Go back"), t("{name} is at {label}", { name: machine.name, label: s.label }), () => send("POST", "/restore", { label: s.label })), { class: "small", "data-action": "restore" }),
    button(t("Delete"), () => confirmed(t("Delete the snapshot {label}?", s), t("It cannot be gone back to any more."), t("Delete"), t("{label} is deleted", s),
      () => send("DELETE", `/snapshots/${part(s.label)}`)), { class: "small danger" }));
}

function takeSnapshot() {
  ask({
    title: t("Snapshot of {name}", machine), text: t("What is on its disk now is kept under a name; at once, while it is off."), yes: t("Keep it"),
    fields: [{ name: "label", label: t("Label"), required: true, maxlength: 63 }],
    run: (v) => send("POST", "/snapshots", { label: v.label }),
  });
}

// ---- what is done to it

function move() {
  ask({
    title: t("Move {name} to another image", machine), text: t("Everything that it wrote is deleted."), yes: t("Move"), danger: true,
    fields: [{ name: "image", label: t("Image or version"), options: imageOptions(data), value: machine.image_name }],
    run: (v) => send("PATCH", "", { image: v.image }),
  });
}

function swap() {
  ask({
    title: t("Other hardware for {name}", machine), text: t("The disk and the name go to the machine with this MAC."), yes: t("Give it the disk"),
    fields: [{ name: "mac", label: t("MAC"), required: true, value: (data.waiting.find((w) => w.reason !== "denied") || {}).mac || "" }],
    run: (v) => send("POST", "/swap", { mac: v.mac }),
  });
}

function promote() {
  ask({
    title: t("Make an image of {name}", machine), text: t("What is on its disk becomes the next version of an image; at once, without copying. Nobody gets it before it is published."), yes: t("Make it"),
    fields: [{ name: "image", label: t("Image"), value: machine.image_name || "", required: true }],
    run: (v) => send("POST", "/promote", { image: v.image }),
  });
}

function maintain() {
  ask({
    title: t("{name} works on the next version of its image", machine), yes: t("Begin"), list: [],
    text: t("From its next boot it has a fresh disk of this version, which stays over its reboots; its own disk is put aside. At the end what it has written is a draft."),
    fields: [{ name: "image", label: t("Image or version"), options: imageOptions(data), value: machine.image_name }],
    run: async (v) => toast((await send("POST", "/maintenance", { image: v.image })).hint),
  });
}

function endMaintenance() {
  ask({
    title: t("End the maintenance of {name}", machine), yes: t("End it"), text: t("What it has written becomes a draft of the image, and it has its own disk again."),
    fields: [{ name: "discard", label: t("Give up what it has written"), type: "checkbox" }],
    run: async (v) => toast((await send("DELETE", "/maintenance", { discard: v.discard })).hint),
  });
}

function clone() {
  ask({
    title: t("A second machine like {name}", machine), yes: t("Clone"), text: t("Both go on from what is on its disk, which is not copied. Without a MAC it waits for its hardware."),
    fields: [{ name: "name", label: t("Name"), required: true, maxlength: 63 }, { name: "mac", label: t("MAC") },
      { name: "snapshot", label: t("Of"), options: [["", t("what is on its disk now")], ...(machine.snapshots || []).filter((s) => !s.removed).map((s) => [s.label, s.label])] }],
    run: (v) => send("POST", "/clone", { name: v.name, ...(v.mac ? { macs: [v.mac] } : {}), ...(v.snapshot ? { snapshot: v.snapshot } : {}) }),
  });
}

function resize() {
  ask({
    title: t("A larger disk for {name}", machine), text: t("Disks only grow."), yes: t("Grow"), fields: [{ name: "size", label: t("Size"), value: "40G", required: true }],
    run: (v) => send("PATCH", "", { size: v.size }),
  });
}

async function remove() {
  const { name } = machine;
  if (await confirmed(t("Remove {name}?", { name }), t("The machine is forgotten; its disk goes to the trash for a while."), t("Remove"), t("{name} is in the trash", { name }), async () => {
    const said = await send("DELETE", "");
    removed = true;
    return said;
  }))
    location.hash = "#/machines";
}

function buttons(m) {
  const running = isRunning(m);
  return el("div", { class: "buttons left" },
    !running && button(t("Wake"), (e) => act(e.target, t("{name} is woken", m), () => send("POST", "/wake")), { "data-action": "wake" }),
    running && button(t("End its sessions"), () => confirmed(t("End the sessions of {name}?", m), t("If it still runs, it loses its disk until it boots again."), t("End them"),
      t("{name}: sessions ended", m), () => send("POST", "/release")), { "data-action": "release" }),
    button(t("Move to another image"), move, { "data-action": "move" }), button(t("Other hardware"), swap, { "data-action": "swap" }),
    button(t("Make an image of it"), promote, { "data-action": "promote" }), button(t("Larger disk"), resize, { "data-action": "resize" }),
    button(t("Clone"), clone, { "data-action": "clone" }),
    !m.maintenance && button(t("Maintenance"), maintain, { "data-action": "maintenance" }),
    m.maintenance && button(t("End the maintenance"), endMaintenance, { class: "primary", "data-action": "maintenance-end" }),
    m.state === "failed" && button(t("It is mended"), (e) => act(e.target, t("{name} may boot again", m), () => send("PATCH", "", { state: "ready" })), { "data-action": "ready" }),
    button(t("Reset its disk"), () => confirmed(t("Reset the disk of {name}?", m), t("Everything it wrote is deleted. It starts again from the newest version of its image."), t("Reset"),
      t("{name}: disk reset", m), () => send("POST", "/reset")), { class: "danger", "data-action": "reset" }),
    button(t("Remove it"), remove, { class: "danger", "data-action": "remove" }));
}

function macText(m) {
  return m.macs.map((mac) => mac + (m.shared_macs.includes(mac) ? ` (${t("shared")})` : "")).join(", ");
}

function factRows(m) {
  return [
    [t("Image"), m.image && `${m.image}${outdatedText(m) ? ` · ${outdatedText(m)}` : ""}`],
    [t("Maintenance"), m.maintenance && t("since {when}, by {who}", { when: when(m.maintenance.since_ms), who: m.maintenance.by })],
    [t("Disk"), `${t("{n} of {all}", { n: bytes(m.disk.allocated_bytes), all: bytes(m.disk.virtual_bytes) })}${m.disk.clean ? "" : `, ${t("in use")}`}`],
    [t("MAC"), macText(m), true], [t("Other cards"), m.other_macs.join(", "), true], [t("Address"), m.address, true],
    [t("Hardware"), [m.product, m.serial].filter(Boolean).join(", ")], [t("Board"), m.board_serial], ["UUID", m.uuid, true],
    ["Secure Boot", m.secure_boot !== "unknown" && m.secure_boot + (m.setup_mode === "on" ? t(", in setup mode: it has no keys yet") : "")],
    [t("Boot files"), m.boot_file_set !== "default" && m.boot_file_set], [t("Target"), m.iqn, true],
    [t("Enrolled"), when(m.created_ms)], [t("Last boot"), ago(m.last_boot_ms)],
  ];
}

function sessionItem(s) {
  return el("li", {}, `${s.address}${s.ipxe ? " (iPXE)" : ""}, ${s.initiator}: ${t("{read} read, {written} written", { read: bytes(s.bytes_read), written: bytes(s.bytes_written) })}, ${ago(s.since_ms)}`);
}

function show(m) {
  const [state, text, why] = stateOf(m);
  const form = root.querySelector("#editor");
  const kept = form && edited() ? form : editor(m); // what somebody is typing stays
  const problem = m.stuck ? t("Stuck at {stage}, usually because {why}.", m.stuck) + (m.stuck.hint ? ` ${t("What to do: {hint}", m.stuck)}` : "") : why;
  const head = el("h2", { class: "title", id: "d-name" }, m.name, " ");
  const focus = document.activeElement && root.contains(document.activeElement) && document.activeElement.dataset.action;

  head.append(pill(el("span", { id: "d-state" }), text, state));
  root.replaceChildren(link(t("All machines"), "#/machines", { class: "back" }), head, el("p", { class: "notice bad", id: "d-stuck", hidden: !problem }, problem || ""), buttons(m),
    el("div", { class: "columns-2" },
      el("div", {}, section(t("What it is"), facts(factRows(m))), section(t("Sessions"), el("ul", { class: "plain", id: "d-sessions" }, m.sessions.length ? m.sessions.map(sessionItem) : el("li", { class: "sub" }, t("none: it is switched off"))))),
      section(t("What can be changed"), kept)),
    section(t("Its last boot"), timeline(m)),
    el("div", { class: "columns-2" },
      section(t("Volumes"), el("ul", { class: "plain", id: "d-volumes" }, m.luns.map(volumeItem)), el("div", { class: "buttons left" }, button(t("Another disk"), newVolume, { "data-action": "volume" }))),
      section(t("Snapshots"), el("ul", { class: "plain", id: "d-snapshots" }, (m.snapshots || []).filter((s) => !s.removed).map(snapshotItem)),
        el("div", { class: "buttons left" }, button(t("Snapshot"), takeSnapshot, { "data-action": "snapshot" })))),
    section(t("What happened"), el("ol", { class: "events", id: "d-events" }, m.events.slice().reverse().map(eventItem))));
  if (focus) root.querySelector(`[data-action="${focus}"]`)?.focus();
}

async function reload() {
  machine = await api("GET", path());
  show(machine);
}

function update(error) {
  if (error && !machine) {
    root.replaceChildren(link(t("All machines"), "#/machines", { class: "back" }), el("div", { class: "empty" }, error.message));
    return;
  }
  // A button under the pointer stays where it is: the page waits until the pointer has left what can be pressed.
  if (error || !machine || (root.querySelector("button:hover, select:focus") && root.querySelector("#d-name"))) return;
  show(machine);
}

export function make(made, which) {
  root = made;
  id = which;
  machine = null;
  removed = false;
  root.append(el("p", { class: "sub" }, plural(1, "reading…", "reading…")));
  return { needs: ["groups", "images"], more: async () => removed || (machine = await api("GET", path())), update: (error) => (machine || error) && update(error) };
}
