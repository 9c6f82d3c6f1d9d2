// SPDX-License-Identifier: GPL-2.0-or-later
// The policy with what each of its keys means, what DHCP does, the password, tokens.
import { $, ago, api, ask, button, bytes, cell, confirmed, el, facts, keep, row, section, select, set, t, table, toast, when } from "../lib.js";
import { data } from "../data.js";

const help = {
  enrol: "Machines that nobody has seen: auto (they boot at once), approve (they wait for your word), deny.",
  "name-pattern": "How new machines are called; {n:03} counts with three digits.",
  auth: "How a machine shows who it is: none, chap, or mutual (the server shows it, too).",
  mode: "New machines: persistent (their disk stays) or ephemeral (a new disk at each boot).",
  "max-machines": "No more machines than these.",
  "max-waiting": "So many may wait; the oldest go.",
  "max-booting": "So many boot at a time, the others wait for their turn; 0: no limit.",
  "menu-timeout": "Seconds until a menu takes its default; 0: never.",
  "menu-default": "What a menu takes by itself.",
  reserve: "So much of the file system stays free: below it, no new machine gets a disk.",
  quota: "The most that a machine's disk may take on the server, or none.",
  trash: "How long the disk of a removed machine is kept.",
  "restore-points": "How many states before a boot each machine keeps.",
  group: "The group that new machines come into, or none.",
  "rollout-brake": "When boots of a new version fail or are slow: stop (the rollout goes no further) or back (its machines go back, too).",
  "rollout-min-boots": "So many boots of a new version the brake wants to see.",
  "rollout-drop": "How far the share of boots that get there may fall, in percent.",
  "rollout-wait": "How long a step of a rollout has to prove itself.",
  "keep-restore-points": "How long snapshots stay that the server took.",
  "keep-snapshots": "How long snapshots stay that people took.",
  "keep-ephemeral": "How many last disks of an ephemeral machine stay, or for how long.",
  "keep-versions": "How many versions of an image stay that new machines do not get any more.",
  "keep-idle": "After how long a machine that nobody has seen goes to the trash.",
  "low-space": "Below so much free space, what may go goes early.",
};

const choices = { enrol: ["auto", "approve", "deny"], auth: ["none", "chap", "mutual"], mode: ["persistent", "ephemeral"], "rollout-brake": ["stop", "back"] };

function policyForm(policy) {
  const rows = Object.entries(policy).map(([key, value]) => {
    const attributes = { id: `p-${key}`, name: key, "aria-describedby": `h-${key}` };
    const input = choices[key] && choices[key].includes(value) ? select(choices[key].map((word) => [word, word]), attributes, value)
      : el("input", { ...attributes, value, autocomplete: "off", maxlength: 200 });
    input.dataset.was = value;
    return [input, el("p", { class: "field" }, el("label", { for: `p-${key}` }, key), input, el("small", { id: `h-${key}` }, t(help[key] || "")))];
  });
  const save = el("button", { type: "submit", class: "primary", disabled: true }, t("Save"));
  const error = el("p", { class: "notice bad", role: "alert", hidden: true });
  const form = el("form", { class: "editor", id: "policy" }, rows.map(([, made]) => made), error, el("div", { class: "buttons" }, save));
  const changed = () => rows.map(([input]) => input).filter((input) => input.value !== input.dataset.was);

  form.addEventListener("input", () => (save.disabled = !changed().length));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      const said = await api("PATCH", "policy", Object.fromEntries(changed().map((input) => [input.name, input.value])));
      for (const [input] of rows) if (input.name in said) input.value = input.dataset.was = said[input.name];
      save.disabled = true;
      toast(t("Saved."));
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
  });
  return form;
}

function password() {
  ask({
    title: t("Another password"), yes: t("Set it"),
    fields: [{ name: "password", label: t("New password"), type: "password", required: true }, { name: "again", label: t("The same again"), type: "password", required: true }],
    run: async (values) => {
      if (values.password !== values.again) throw new Error(t("The two are not the same."));
      await api("POST", "password", { password: values.password });
      toast(t("The password is set."));
    },
  });
}

async function token() {
  const made = await ask({
    title: t("A token for the API"), yes: t("Make it"), fields: [{ name: "name", label: t("For what"), required: true, maxlength: 40 },
      { name: "scope", label: t("It may"), options: [["viewer", t("look")], ["operator", t("change all but passwords and tokens")], ["administrator", t("do everything")]], value: "operator" }, { name: "days", label: t("Days"), type: "number", value: "365", min: 1 }],
    run: (values) => api("POST", "tokens", { name: values.name, days: Number(values.days), scope: values.scope }),
  });
  if (made) ask({ title: t("The token {name}", made), text: t("It is shown this once:"), list: [made.token], yes: t("I have it"), run: () => true });
}

// ---- tokens, and what goes by itself

function makeToken(k) {
  return row([["#", "head", cell("id")], [t("For what"), "", cell("name")], [t("It may"), "", cell("scope")], [t("Until"), "tight", cell("until")], [t("Used"), "tight", cell("used")],
    ["", "acts", button(t("Revoke"), () => confirmed(t("Revoke the token {name}?", k), t("Whoever uses it is refused from now on."), t("Revoke"), t("{name} is revoked", k), () => api("DELETE", `tokens/${k.id}`)), { class: "danger" })]]);
}

function updateToken(tr, k) {
  set(tr, "id", `#${k.id}`);
  set(tr, "name", k.name);
  set(tr, "scope", t(k.scope));
  set(tr, "until", k.expires_ms ? when(k.expires_ms) : t("for ever"));
  set(tr, "used", ago(k.used_ms));
}

const keptOf = { trash: "a machine in the trash", "ephemeral-disk": "a last disk", "restore-point": "a restore point", snapshot: "a snapshot", version: "a version", machine: "an idle machine" };

function makeItem(i) {
  return el("li", {}, el("b", {}, [i.name, i.label].filter(Boolean).join(" · ")), ` ${keptOf[i.kind] ? t(keptOf[i.kind]) : i.kind}, ${bytes(i.bytes)}: ${i.why} (${i.rule}) `, el("span", { class: "sub" }, i.due_ms ? when(i.due_ms) : ""));
}

function showRetention({ items, due, due_bytes: dueBytes }) {
  const goes = items.filter((i) => i.due_ms);
  $("retention-sum").textContent = due ? t("{n} things go with the next run ({size}).", { n: due, size: bytes(dueBytes) }) : t("Nothing goes by itself just now.");
  $("retention").replaceChildren(...goes.slice(0, 50).map(makeItem));
  $("retention-run").hidden = !due;
}

const runRetention = () => confirmed(t("Let it go now?"), t("What is due is deleted; what somebody needs never is."), t("Let it go"), t("It is gone"), () => api("POST", "retention"));

let extra = null;
const readExtra = async () => (extra = await Promise.all([api("GET", "retention"), api("GET", "tokens").catch(() => ({ tokens: [] }))]));

function language() {
  const choice = el("select", { id: "language", "aria-label": t("Language") }, [["", t("as the browser says")], ["en", "English"], ["fr", "Français"]].map(([value, text]) => el("option", { value, selected: value === (localStorage.getItem("language") || "") }, text)));
  choice.addEventListener("change", () => {
    if (choice.value) localStorage.setItem("language", choice.value);
    else localStorage.removeItem("language");
    location.reload();
  });
  return choice;
}

function makeLease(l) {
  return row([[t("Address"), "mono head", cell("address")], [t("MAC"), "mono", cell("mac")], [t("Name"), "", cell("name")], [t("Machine"), "", cell("machine")]]);
}

function updateLease(tr, l) {
  for (const key of ["address", "mac", "name", "machine"]) set(tr, key, l[key] || "–");
}

function showDhcp({ dhcp, http, portals, version, started_ms: started, problems }) {
  $("server").replaceChildren(facts([
    ["sanbootd", version], [t("Since"), ago(started)], ["HTTP", http, true], ["iSCSI", portals.join(", "), true],
    ["DHCP", `${dhcp.mode}${dhcp.state ? `, dnsmasq: ${t(dhcp.state)}` : ""}${dhcp.message ? ` – ${dhcp.message}` : ""}`], [t("Interfaces"), (dhcp.interfaces || []).join(", "), true],
    [t("Boot files"), (dhcp.boot_files || []).map((f) => `${f.machines}: ${f.file}`).join(", "), true],
    [t("Missing boot files"), (dhcp.missing_boot_files || []).map((f) => `${f.machines}: ${f.file} (${f.source})`).join(", "), true],
    [t("Files that are not used"), problems.map((p) => `${p.file}: ${p.reason}`).join(", ")],
  ]));
  $("leases-section").hidden = !(dhcp.leases || []).length;
  keep($("leases"), dhcp.leases || [], (l) => l.mac, makeLease, updateLease);
}

function update() {
  showDhcp(data.status);
  if (extra) {
    showRetention(extra[0]);
    keep($("tokens"), extra[1].tokens, (k) => k.id, makeToken, updateToken);
    $("tokens-table").hidden = !extra[1].tokens.length;
  }
  const form = $("policy");
  if (!form) $("policy-place").replaceChildren(policyForm(data.policy));
  else for (const input of form.querySelectorAll("[name]")) {
    if (input.value !== input.dataset.was || input === document.activeElement) continue; // somebody is typing
    input.value = input.dataset.was = data.policy[input.name] ?? "";
  }
}

export function make(root) {
  root.append(
    section(t("Policy"), el("div", { id: "policy-place" })),
    section(t("The server"), el("div", { id: "server" })),
    section(t("Leases"), table("leases-table", [[t("Address")], [t("MAC")], [t("Name")], [t("Machine")]], el("tbody", { id: "leases" }))),
    section(t("What goes by itself"), el("p", { class: "sub", id: "retention-sum" }), el("ul", { class: "plain", id: "retention" }), el("div", { class: "buttons left" }, button(t("Let it go"), runRetention, { id: "retention-run", class: "danger", hidden: true }))),
    section(t("Tokens"), table("tokens-table", [["#"], [t("For what")], [t("It may")], [t("Until")], [t("Used")], ["", "acts"]], el("tbody", { id: "tokens" }))),
    section(t("You"), el("div", { class: "buttons left" }, button(t("Another password"), password, { "data-action": "password" }), button(t("A token for the API"), token, { "data-action": "token" }), language())));
  root.children[2].id = "leases-section";
  return { needs: ["policy"], more: readExtra, update: (error) => error || update() };
}
