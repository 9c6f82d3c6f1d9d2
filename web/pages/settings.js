// SPDX-License-Identifier: GPL-2.0-or-later
// The policy with what each of its keys means, what DHCP does, the password, tokens.
import { $, ago, api, ask, button, el, facts, keep, section, select, t, table, row, cell, set, toast } from "/lib.js";
import { data } from "/data.js";

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
};

const choices = { enrol: ["auto", "approve", "deny"], auth: ["none", "chap", "mutual"], mode: ["persistent", "ephemeral"] };

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
    title: t("A token for the API"), yes: t("Make it"), fields: [{ name: "name", label: t("For what"), required: true, maxlength: 60 }, { name: "days", label: t("Days"), type: "number", value: "365", min: 1 }],
    run: (values) => api("POST", "tokens", { name: values.name, days: Number(values.days) }),
  });
  if (made) ask({ title: t("The token {name}", made), text: t("It is shown this once:"), list: [made.token], yes: t("I have it"), run: () => true });
}

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
    section(t("You"), el("div", { class: "buttons left" }, button(t("Another password"), password, { "data-action": "password" }), button(t("A token for the API"), token, { "data-action": "token" }), language())));
  root.children[2].id = "leases-section";
  return { needs: ["policy"], update: (error) => error || update() };
}
