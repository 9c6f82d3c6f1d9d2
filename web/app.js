// SPDX-License-Identifier: GPL-2.0-or-later
// The page at /: reads the API, and reads it again when the event stream says that something changed. Text from the
// server only ever becomes text (textContent), never markup.
"use strict";

const REFRESH_MS = 700; // at most so often, however much happens
const POLL_MS = 15000; // sizes and sessions change without an event
const EVENTS_SHOWN = 60;

const $ = (id) => document.getElementById(id);

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((c) => c != null));
  return made;
}

// ---- words and numbers

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

let skew = 0; // the server's clock less ours

function ago(ms) {
  if (!ms) return "never";
  const s = Math.max(0, Math.round((Date.now() + skew - ms) / 1000));
  if (s < 10) return "now";
  if (s < 120) return `${s} s ago`;
  if (s < 7200) return `${Math.floor(s / 60)} min ago`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} days ago`;
}

function when(ms) {
  const date = new Date(ms);
  const today = new Date().toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return today ? time : `${date.toLocaleDateString([], { month: "short", day: "numeric" })} ${time.slice(0, 5)}`;
}

const plural = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;

// ---- the API

async function api(method, path, body) {
  const options = { method, headers: { "X-Sanbootd": "1" }, credentials: "same-origin" };
  if (body) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch("/api/v1/" + path, options);
  if (answer.status === 401) {
    location.replace("/login");
    return new Promise(() => {}); // the page is on its way out
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([said.error || `The server answered ${answer.status}`, said.hint].filter(Boolean).join(" – "));
  return said;
}

function toast(text, bad = false) {
  const made = el("div", { class: bad ? "toast bad" : "toast" }, text);
  $("toasts").append(made);
  setTimeout(() => made.remove(), bad ? 9000 : 4000);
}

// Runs an action of a button, with the button disabled meanwhile.
async function act(button, done, action) {
  button.disabled = true;
  try {
    const said = await action();
    const failed = said && said.failed && said.failed[0];
    if (failed) throw new Error(failed.error);
    toast(done);
  } catch (error) {
    toast(error.message, true);
  }
  button.disabled = false;
  refresh();
}

function confirmed(title, text, yes) {
  const dialog = $("confirm-dialog");
  $("c-title").textContent = title;
  $("c-text").textContent = text;
  $("c-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// ---- lists that keep their elements, so that nothing moves under a pointer

function keep(parent, items, key, make, update) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let child = there.get(k);
    there.delete(k);
    if (!child) {
      child = make(item);
      child.dataset.key = k;
    }
    update(child, item);
    if (child !== before) parent.insertBefore(child, before);
    else before = before.nextElementSibling;
  }
  for (const child of there.values()) child.remove();
}

// A row of cells: [label, class, content element].
function row(cells) {
  return el("tr", {}, ...cells.map(([label, cls, content]) => el("td", { "data-label": label, class: cls }, content)));
}

function set(rowOrList, name, text) {
  const target = rowOrList.querySelector(`[data-is="${name}"]`);
  if (target && target.textContent !== text) target.textContent = text;
  return target;
}

const part = (name, attributes = {}, tag = "span") => el(tag, { "data-is": name, ...attributes });

function pill(target, text, cls) {
  target.className = `pill ${cls}`;
  if (target.textContent !== text) target.textContent = text;
}

// ---- waiting

const reasons = {
  approval: () => "Nobody has seen it before",
  conflict: (w) => `Its MAC belongs to ${w.machine || "a machine"}, which had another board. Approve: it is ${w.machine || "that machine"} with a new board. Other machine: at the same dock or adapter, whose MAC is shared from then on.`,
  swap: (w) =>
    `The board of ${w.machine || "a machine"} with another network card. Approve: it is ${w.machine || "that machine"}. With a name: it is another machine.`,
  "no-image": () => "There is no golden image yet",
  "no-space": () => "The server's disk is full",
  full: () => "The policy's max-machines is reached",
  denied: () => "Denied; it boots locally",
};

const reasonText = (w) => (reasons[w.reason] || (() => w.reason))(w);

function makeWaiting(w) {
  const name = el("input", { type: "text", placeholder: "name (optional)", "aria-label": `Name for ${w.mac}`, maxlength: 63, autocomplete: "off" });
  const approve = el("button", { type: "button", class: "primary", "data-action": "approve", "data-mac": w.mac }, "Approve");
  const deny = el("button", { type: "button", "data-action": "deny", "data-mac": w.mac }, "Deny");
  approve.addEventListener("click", () => {
    const body = { macs: [w.mac] };
    if (name.value.trim()) body.name = name.value.trim();
    act(approve, `${w.mac} is approved`, () => api("POST", "machines/approve", body));
  });
  const other = el("button", { type: "button", "data-action": "dock", "data-mac": w.mac }, "Other machine");
  other.addEventListener("click", () => act(other, `${w.mac} is another machine`, () => api("POST", "machines/approve", { macs: [w.mac], shared: true })));
  deny.addEventListener("click", () => act(deny, `${w.mac} is denied`, () => api("POST", "machines/deny", { mac: w.mac })));
  return row([
    ["Number", "head", part("number")],
    ["MAC", "mono", part("mac")],
    ["Address", "mono", part("address")],
    ["Machine", "", part("product")],
    ["Why", "", part("reason")],
    ["Seen", "tight", part("seen")],
    ["", "acts", el("div", { class: "decide" }, name, approve, other, deny)],
  ]);
}

function updateWaiting(tr, w) {
  set(tr, "number", `#${w.number}`);
  set(tr, "mac", w.mac);
  set(tr, "address", w.address || "–");
  set(tr, "product", w.product || "–");
  set(tr, "reason", reasonText(w));
  set(tr, "seen", ago(w.seen_ms));
  tr.querySelector("[data-action=deny]").hidden = w.reason === "denied";
  tr.querySelector("input").hidden = w.reason === "conflict";
  tr.querySelector("[data-action=dock]").hidden = w.reason !== "conflict";
}

function showWaiting(list) {
  const open = list.filter((w) => w.reason !== "denied").length;
  $("waiting-section").hidden = !list.length;
  $("waiting-count").textContent = open;
  keep($("waiting"), list, (w) => w.mac, makeWaiting, updateWaiting);
  document.title = open ? `(${open}) sanbootd` : "sanbootd";
}

// ---- machines

function makeMachine(m) {
  const name = part("name", { type: "button", class: "link" }, "button");
  name.addEventListener("click", () => openMachine(name.textContent));
  const cost = el("div", {}, part("cost"), el("span", { class: "bar" }, el("span", { "data-is": "share" })));
  return row([
    ["Name", "head", name],
    ["State", "", part("state")],
    ["MAC", "mono", el("div", {}, part("mac"), part("macs", {}, "small"))],
    ["Address", "mono", part("address")],
    ["Image", "tight", part("image")],
    ["Disk cost", "num", cost],
    ["Last boot", "tight", part("boot")],
  ]);
}

function updateMachine(tr, m) {
  tr.dataset.machine = m.name;
  set(tr, "name", m.name);
  pill(set(tr, "state", m.state), m.state, m.state);
  set(tr, "mac", m.macs[0] || "–");
  set(tr, "macs", m.macs.length > 1 ? `and ${m.macs.length - 1} more` : "");
  set(tr, "address", m.address || "–");
  set(tr, "image", m.image || "–");
  set(tr, "cost", bytes(m.disk.allocated_bytes));
  const share = tr.querySelector("[data-is=share]");
  share.style.width = `${m.disk.virtual_bytes ? Math.min(100, Math.max(1, (100 * m.disk.allocated_bytes) / m.disk.virtual_bytes)) : 0}%`;
  share.parentElement.title = `${bytes(m.disk.allocated_bytes)} of ${bytes(m.disk.virtual_bytes)}`;
  set(tr, "boot", ago(m.last_boot_ms));
}

function showMachines(list, status, images) {
  $("machines-count").textContent = list.length || "";
  $("machines-table").hidden = !list.length;
  keep($("machines"), list, (m) => m.id, makeMachine, updateMachine);
  const empty = $("machines-empty");
  empty.hidden = list.length > 0;
  if (list.length) return;
  const dhcp = status.dhcp && status.dhcp.mode !== "off";
  empty.replaceChildren(...[
    el("p", {}, images.length ? "No machine yet." : "No machine yet, and no golden image to boot one from: see Images below."),
    el("p", {}, dhcp ? "Switch a machine on that boots from the network (PXE): it shows up here by itself." : "Point your DHCP server at this one, or start sanbootd with its own:"),
    dhcp ? null : el("pre", {}, el("code", {}, "sanbootd --dhcp proxy --interface NAME")),
  ].filter(Boolean));
}

// ---- one machine

let shown = null; // the name in the dialog

function fact(list, name, value, mono) {
  if (value) list.append(el("dt", {}, name), el("dd", { class: mono ? "mono" : null }, value));
}

// How far its last boot has come, in seconds since the first stage.
function showTimeline(m) {
  const stages = m.timeline || [];
  $("d-timeline-title").hidden = !stages.length;
  $("d-timeline").replaceChildren(...stages.map((s) =>
    el("li", {}, `${((s.at_ms - stages[0].at_ms) / 1000).toFixed(1)} s `, el("b", {}, s.stage), s.detail ? ` ${s.detail}` : "")));
  $("d-stuck").hidden = !m.stuck;
  $("d-stuck").textContent = m.stuck ? `Stuck at ${m.stuck.stage}, usually because ${m.stuck.why}. What to do: ${m.stuck.hint || "see what it shows on its screen"}.` : "";
}

const kinds = { data: "data disk", shared: "shared disk", cd: "CD", "who-am-i": "tells it who it is" };

function showMachine(m) {
  shown = m.name;
  $("d-name").textContent = m.name;
  $("d-reason").hidden = !m.state_reason;
  $("d-reason").textContent = m.state_reason || "";
  const facts = $("d-facts");
  facts.replaceChildren();
  fact(facts, "State", m.state);
  fact(facts, "Image", m.image);
  fact(facts, "Disk", `${bytes(m.disk.allocated_bytes)} of ${bytes(m.disk.virtual_bytes)}${m.disk.clean ? "" : ", in use"}`);
  for (const lun of m.luns.filter((l) => l.lun))
    fact(facts, `LUN ${lun.lun}`, `${lun.volume || lun.volume_kind} (${kinds[lun.volume_kind] || lun.volume_kind}): ` +
      (lun.allocated_bytes == null ? `${bytes(lun.bytes)}, read-only` : `${bytes(lun.allocated_bytes)} of ${bytes(lun.bytes)}`) +
      (lun.state === "failed" ? ", failed" : ""));
  fact(facts, "MAC", m.macs.map((mac) => mac + (m.shared_macs.includes(mac) ? " (shared)" : "")).join(", "), true);
  fact(facts, "Other cards", m.other_macs.join(", "), true);
  fact(facts, "Address", m.address, true);
  fact(facts, "Hardware", [m.product, m.serial].filter(Boolean).join(", "));
  fact(facts, "Board", m.board_serial);
  fact(facts, "UUID", m.uuid, true);
  if (m.secure_boot !== "unknown") fact(facts, "Secure Boot", m.secure_boot + (m.setup_mode === "on" ? ", in setup mode: it has no keys yet" : ""));
  if (m.boot_file_set !== "default") fact(facts, "Boot files", `set ${m.boot_file_set}`);
  fact(facts, "Mode", `${m.mode}, authentication: ${m.auth}, boots ${m.boot === "local" ? "from its own disk" : m.boot === "disk" ? "from the network" : m.boot}${m.boot_once ? `, once: ${m.boot_once}` : ""}`);
  fact(facts, "Templates", m.templates === "none" ? "" : m.templates);
  fact(facts, "Target", m.iqn, true);
  fact(facts, "Note", m.note);
  fact(facts, "Enrolled", when(m.created_ms));
  fact(facts, "Last boot", ago(m.last_boot_ms));
  $("d-sessions").replaceChildren(
    ...(m.sessions.length
      ? m.sessions.map((s) => el("li", {}, `${s.address}${s.ipxe ? " (iPXE)" : ""}, ${bytes(s.bytes_read)} read, ${bytes(s.bytes_written)} written`))
      : [el("li", { class: "sub" }, "none: it is switched off")]),
  );
  showTimeline(m);
  $("d-events").replaceChildren(...m.events.slice().reverse().map(eventItem));
  $("d-release").hidden = !m.sessions.length;
}

async function openMachine(name) {
  try {
    showMachine(await api("GET", `machines/${encodeURIComponent(name)}`));
    $("machine-dialog").showModal();
  } catch (error) {
    toast(error.message, true);
  }
}

async function machineAction(button, verb, done, question) {
  const name = shown;
  if (question && !(await confirmed(...question))) return;
  await act(button, `${name}: ${done}`, async () => {
    await api(verb ? "POST" : "DELETE", `machines/${encodeURIComponent(name)}${verb ? "/" + verb : ""}`);
    if (!verb) $("machine-dialog").close();
    else showMachine(await api("GET", `machines/${encodeURIComponent(name)}`));
  });
}

$("d-release").addEventListener("click", (event) =>
  machineAction(event.target, "release", "sessions ended", [`End the sessions of ${shown}?`, "If it still runs, it loses its disk until it boots again.", "End them"]));
$("d-reset").addEventListener("click", (event) =>
  machineAction(event.target, "reset", "disk reset", [`Reset the disk of ${shown}?`, "Everything it wrote is deleted. It starts again from the newest version of its image.", "Reset"]));
$("d-remove").addEventListener("click", (event) =>
  machineAction(event.target, null, "removed", [`Remove ${shown}?`, "The machine is forgotten; its disk goes to the trash for a while.", "Remove"]));

// ---- images

function makeVersion(v) {
  const publish = el("button", { type: "button", "data-action": "publish", "data-image": v.name }, "Publish");
  const use = el("button", { type: "button", "data-action": "default", "data-image": v.image }, "Make default");
  publish.addEventListener("click", () => act(publish, `${v.name} is published`, () => api("POST", `images/${encodeURIComponent(v.name)}/publish`)));
  use.addEventListener("click", () => act(use, `New machines get ${v.image}`, () => api("POST", `images/${encodeURIComponent(v.image)}/default`)));
  return row([
    ["Image", "head", el("div", {}, el("strong", { "data-is": "name" }), part("source", {}, "small"))],
    ["State", "", el("div", {}, part("state"), part("warnings", {}, "small"))],
    ["Size", "num", part("size")],
    ["On disk", "num", part("cost")],
    ["Machines", "num", part("machines")],
    ["Created", "tight", part("created")],
    ["", "acts", el("div", { class: "decide" }, publish, use)],
  ]);
}

function updateVersion(tr, v) {
  const newest = v.version === v.published;
  set(tr, "name", v.name);
  set(tr, "source", v.source ? `from ${v.source}` : "");
  pill(set(tr, "state", v.state), v.isDefault && newest ? "new machines get this" : v.state, v.state);
  const warnings = set(tr, "warnings", v.warnings.join(" "));
  warnings.className = "notice";
  warnings.hidden = !v.warnings.length;
  set(tr, "size", bytes(v.size_bytes));
  set(tr, "cost", bytes(v.allocated_bytes));
  set(tr, "machines", String(v.machines));
  set(tr, "created", ago(v.created_ms));
  tr.querySelector("[data-action=publish]").hidden = v.state === "published";
  tr.querySelector("[data-action=default]").hidden = v.isDefault || !newest;
}

function showImages(images) {
  const versions = images.flatMap((i) => i.versions.map((v) => ({ ...v, image: i.name, published: i.published, isDefault: i.default })));
  $("images-count").textContent = versions.length || "";
  $("images-table").hidden = !versions.length;
  $("images-empty").hidden = versions.length > 0;
  keep($("images"), versions, (v) => v.name, makeVersion, updateVersion);
}

// ---- overview

function showOverview(status, machines, images) {
  const { space } = status;
  const { volumes, sharing } = status;
  const versions = images.reduce((sum, i) => sum + i.versions.length, 0);
  const own = Object.values(volumes).reduce((sum, kind) => sum + kind.bytes, 0);
  const others = Object.entries(volumes).filter(([kind, v]) => kind !== "system" && v.count).map(([kind, v]) => plural(v.count, kinds[kind] || kind));

  $("o-machines").textContent = machines.length ? `${status.machines.running} of ${machines.length}` : "0";
  $("o-machines-sub").textContent = machines.length
    ? ["running", status.machines.failed ? `${status.machines.failed} failed` : "", status.waiting ? `${status.waiting} waiting` : ""].filter(Boolean).join(", ")
    : status.waiting ? `${status.waiting} waiting` : "none yet";
  $("o-images").textContent = bytes(space.images_bytes);
  $("o-images-sub").textContent = versions ? `${plural(versions, "version")}, shared by ${plural(machines.length, "machine")}` : "none yet";
  $("o-children").textContent = bytes(own);
  $("o-children-sub").textContent =
    [machines.length ? `${bytes(volumes.system.bytes / machines.length)} each on average` : "what machines write", ...others].join(", ");
  $("o-saved").textContent = bytes(sharing.saved_bytes);
  $("o-saved-sub").textContent = machines.length ? `full copies would take ${bytes(sharing.full_copies_bytes)}` : "against a full copy for each";

  const total = space.total_bytes || 1;
  const other = Math.max(0, total - space.free_bytes - space.images_bytes - space.children_bytes);
  const parts = [["images", space.images_bytes], ["children", space.children_bytes], ["other", other]];
  for (const [name, value] of parts) document.querySelector(`.m-${name}`).style.width = `${(100 * value) / total}%`;
  const low = space.free_bytes < space.reserve_bytes;
  $("o-meter").setAttribute("aria-label", `${bytes(space.free_bytes)} of ${bytes(total)} free`);
  $("o-meter-sub").replaceChildren(
    el("span", { class: "l-images" }, `golden images ${bytes(space.images_bytes)}`),
    el("span", { class: "l-children" }, `machines ${bytes(space.children_bytes)}`),
    el("span", { class: "l-other" }, `other files ${bytes(other)}`),
    el("span", {}, `free ${bytes(space.free_bytes)} of ${bytes(total)}${low ? ": too little for new machines" : ""}`),
  );
  $("where").textContent = location.host;
  $("footer").textContent = `sanbootd ${status.version || ""} · iSCSI ${(status.portals || []).join(", ")} · DHCP ${status.dhcp ? status.dhcp.mode : "off"}` +
    `${status.dhcp && status.dhcp.state ? ` (${status.dhcp.state})` : ""} · new machines: ${status.enrol}`;
}

// ---- events

let lastEvent = 0;

function eventItem(e) {
  const time = el("time", { datetime: new Date(e.at_ms).toISOString(), title: new Date(e.at_ms).toLocaleString() }, when(e.at_ms));
  const what = el("span", { class: "kind" }, e.kind.replaceAll("-", " "));
  const who = e.object ? el("strong", {}, e.object, " ") : null;
  return el("li", { class: e.level }, time, what, el("span", { class: "text" }, who, e.text));
}

function addEvent(e) {
  if (e.id <= lastEvent) return;
  lastEvent = e.id;
  const list = $("events");
  list.prepend(eventItem(e));
  while (list.children.length > EVENTS_SHOWN) list.lastElementChild.remove();
  $("events-empty").hidden = true;
}

// ---- reading, and reading again

let reading = false, again = false, timer = 0;

async function refresh() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    const [status, machines, waiting, images] = await Promise.all(
      ["status", "machines", "waiting", "images"].map((path) => api("GET", path)));
    skew = status.now_ms - Date.now();
    showOverview(status, machines.machines, images.images);
    showWaiting(waiting.waiting);
    showMachines(machines.machines, status, images.images);
    showImages(images.images);
  } catch {
    setLive(false); // the stream's state says the rest
  }
  reading = false;
  if (again) {
    again = false;
    refreshSoon();
  }
}

function refreshSoon() {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    refresh();
  }, REFRESH_MS);
}

function setLive(on) {
  $("live").className = on ? "live on" : "live off";
  $("live").textContent = on ? "live" : "no connection; trying again";
}

function follow() {
  const stream = new EventSource(`/api/v1/events?after=${lastEvent}`);
  stream.onopen = () => {
    setLive(true);
    refreshSoon();
  };
  stream.onmessage = (message) => {
    addEvent(JSON.parse(message.data));
    refreshSoon();
  };
  stream.addEventListener("change", refreshSoon);
  stream.onerror = () => {
    setLive(false);
    if (stream.readyState !== EventSource.CLOSED) return;
    // Refused: the login has ended (the next read finds out), or there are too many streams.
    stream.close();
    setTimeout(follow, 5000);
    refresh();
  };
}

$("logout").addEventListener("click", async () => {
  await api("POST", "logout").catch(() => {});
  location.replace("/login");
});

async function start() {
  try {
    const { events } = await api("GET", `events?max=${EVENTS_SHOWN}`);
    events.forEach(addEvent);
    $("events-empty").hidden = events.length > 0;
  } catch (error) {
    toast(error.message, true);
  }
  await refresh();
  follow();
  setInterval(refreshSoon, POLL_MS);
}

start();
