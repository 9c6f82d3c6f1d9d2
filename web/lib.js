// SPDX-License-Identifier: GPL-2.0-or-later
// What every page needs: elements, words, numbers, the API, dialogs, lists. Text from the server only ever becomes text
// (textContent), never markup.

// Where the console is, behind a proxy perhaps under a path of its own.
export const base = new URL(".", import.meta.url).pathname;

// ---- words: the English sentence is the key, a language is one file of translations

export const language = localStorage.getItem("language") || (navigator.language || "en").slice(0, 2);
const words = language === "fr" ? (await import("./fr.js")).default : {};

// t("{n} of {all}", { n: 1, all: 2 })
export function t(text, values = {}) {
  return (words[text] || text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// French has one nothing, English none of them.
export const plural = (n, one, many) => t(n === 1 || (n === 0 && language === "fr") ? one : many, { n });

// ---- elements

export const $ = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((c) => c != null && c !== false));
  return made;
}

export const button = (text, onclick, attributes = {}) => el("button", { type: "button", onclick, ...attributes }, text);
export const link = (text, href, attributes = {}) => el("a", { href, ...attributes }, text);
export const select = (options, attributes = {}, chosen = "") =>
  el("select", attributes, options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));

export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
  return target;
}

// ---- numbers and times

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

let skew = 0; // the server's clock less ours
export const setServerTime = (ms) => (skew = ms - Date.now());
export const serverTime = () => Date.now() + skew;

export function ago(ms) {
  if (!ms) return t("never");
  const s = Math.max(0, Math.round((serverTime() - ms) / 1000));
  if (s < 10) return t("now");
  if (s < 120) return t("{n} s ago", { n: s });
  if (s < 7200) return t("{n} min ago", { n: Math.floor(s / 60) });
  if (s < 172800) return t("{n} h ago", { n: Math.floor(s / 3600) });
  return t("{n} days ago", { n: Math.floor(s / 86400) });
}

export function when(ms) {
  const date = new Date(ms);
  const today = new Date().toDateString() === date.toDateString();
  const time = date.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return today ? time : `${date.toLocaleDateString(language, { month: "short", day: "numeric" })} ${time.slice(0, 5)}`;
}

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

// ---- the API

export class Refused extends Error {}

export async function api(method, path, body, signal) {
  const options = { method, headers: { "X-Sanbootd": "1" }, credentials: "same-origin", signal };
  if (body instanceof Blob) {
    options.body = body;
  } else if (body) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(`${base}api/v1/${path}`, options);
  if (answer.status === 401) {
    location.replace(`${base}login`);
    return new Promise(() => {}); // the page is on its way out
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused([said.error || t("The server answered {n}", { n: answer.status }), said.hint].filter(Boolean).join(" – "));
  const failed = said.failed && said.failed[0];
  if (failed) throw new Refused(failed.error);
  return said;
}

export const part = (text) => encodeURIComponent(text); // of a path
export const machinePath = (id) => `machines/${part("#" + id)}`; // names change, ids do not

// ---- what happened

export function toast(text, bad = false) {
  const made = el("div", { class: bad ? "toast bad" : "toast" }, text);
  $("toasts").append(made);
  setTimeout(() => made.remove(), bad ? 9000 : 4000);
}

let changed = () => {}; // what reads the lists again
export const onChanged = (f) => (changed = f);

// Runs what a button is for, with the button disabled meanwhile. True: it is done.
export async function act(pressed, done, action) {
  let good = false;
  if (pressed) pressed.disabled = true;
  try {
    const said = await action();
    toast(said && said.hint ? `${done}. ${said.hint}` : done);
    good = true;
  } catch (error) {
    toast(error.message, true);
  }
  if (pressed) pressed.disabled = false;
  changed();
  return good;
}

// ---- dialogs: a question, perhaps with fields. A refusal is said in the dialog, and what was typed stays.

function fieldOf(field) {
  const attributes = { id: `ask-${field.name}`, name: field.name, required: field.required, placeholder: field.placeholder, min: field.min, maxlength: field.maxlength };
  if (field.options) return select(field.options, attributes, field.value);
  if (field.type === "textarea") return el("textarea", { ...attributes, rows: 4 }, field.value || "");
  if (field.type === "checkbox") return el("input", { ...attributes, type: "checkbox", checked: field.value });
  return el("input", { ...attributes, type: field.type || "text", value: field.value, autocomplete: "off" });
}

const valueOf = (input) => (input.type === "checkbox" ? input.checked : input.value.trim());

// ask({ title, text, list, fields, yes, danger, run }): run(values, say) does it. Resolves to what run gave, or to null where it was canceled.
export function ask({ title, text, list, fields = [], yes, danger, run }) {
  const inputs = fields.map(fieldOf);
  const error = el("p", { class: "notice bad", role: "alert", hidden: true });
  const progress = el("p", { class: "sub", role: "status" });
  const go = el("button", { type: "submit", class: danger ? "danger" : "primary" }, yes);
  const cancel = button(t("Cancel"), () => dialog.close(), { "data-action": "cancel" });
  const form = el("form", { method: "dialog" }, el("h2", { id: "ask-title" }, title), text && el("p", {}, text),
    list && list.length && el("ul", { class: "preview" }, list.map((line) => el("li", {}, line))),
    fields.map((field, i) => el("p", { class: field.type === "checkbox" ? "field check" : "field" }, el("label", { for: `ask-${field.name}` }, field.label), inputs[i],
      field.help && el("small", {}, field.help))),
    error, progress, el("div", { class: "buttons" }, cancel, go));
  const dialog = el("dialog", { class: "ask", "aria-labelledby": "ask-title" }, form);
  let result = null;

  document.body.append(dialog);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    go.disabled = true;
    try {
      result = (await run(Object.fromEntries(inputs.map((input) => [input.name, valueOf(input)])), (line) => say(progress, line))) ?? true;
      dialog.close();
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
    go.disabled = false;
    changed();
  });
  dialog.showModal();
  (inputs[0] || (danger ? cancel : go)).focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve(result);
  }));
}

// A question with nothing to fill in, whose answer is done.
export const confirmed = (title, text, yes, done, run) =>
  ask({ title, text, yes, danger: true, run: async () => {
    const said = await run();
    toast(said && said.hint ? `${done}. ${said.hint}` : done);
  } });

// ---- pieces of a page

const pillClass = { running: "good", published: "good", done: "good", failed: "bad", damaged: "bad", stuck: "bad", booting: "warn", waiting: "warn" };

export function pill(target, text, state) {
  target.className = `pill ${pillClass[state] || ""}`;
  return say(target, text);
}

export const section = (title, ...children) => el("section", {}, el("h2", {}, title), ...children);

// Rows of [name, value]; what has no value is left out. A value is a text or an element.
export const facts = (rows) => el("dl", {}, rows.filter(([, value]) => value).map(([name, value, mono]) => [el("dt", {}, name), el("dd", { class: mono ? "mono" : null }, value)]));

export function eventItem(e) {
  const time = el("time", { datetime: new Date(e.at_ms).toISOString(), title: new Date(e.at_ms).toLocaleString(language) }, when(e.at_ms));
  const who = e.machine_id && e.object ? link(e.object, `#/machine/${e.machine_id}`) : e.object && el("strong", {}, e.object);
  return el("li", { class: e.level }, time, el("span", { class: "kind" }, e.kind.replaceAll("-", " ")), el("span", { class: "text" }, who, who && " ", e.text),
    el("span", { class: "actor" }, e.actor || ""));
}

export const table = (id, columns, body = el("tbody", {})) =>
  el("table", { class: "list", id }, el("thead", {}, el("tr", {}, columns.map(([text, cls]) => el("th", { class: cls, scope: "col" }, text)))), body);

// A row of cells: [label, class, content].
export const row = (cells) => el("tr", {}, cells.map(([label, cls, content]) => el("td", { "data-label": label, class: cls }, content)));
export const cell = (name, attributes = {}, tag = "span") => el(tag, { "data-is": name, ...attributes });
export function set(target, name, text) {
  return say(target.querySelector(`[data-is="${name}"]`), text);
}

// What a person aims at does not move under the pointer: while it (or the focus) is in a list, rows keep their places, new ones come last and
// those that are gone stay, disabled.
function busy(parent) {
  return parent.matches(":hover") || (parent.contains(document.activeElement) && document.activeElement.matches(":focus-visible"));
}

// asked: somebody has just asked for other rows (a search, a sort, a scroll).
export function keep(parent, items, key, make, update, asked) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const held = !asked && there.size > 0 && busy(parent);
  let before = parent.firstElementChild;

  parent.kept = [items, key, make, update];
  if (!parent.settles) {
    parent.settles = true;
    const settle = () => setTimeout(() => busy(parent) || keep(parent, ...parent.kept), 0);
    parent.addEventListener("pointerleave", settle);
    parent.addEventListener("focusout", settle);
  }
  for (const item of items) {
    const k = String(key(item));
    let child = there.get(k);
    const known = child && !child.classList.contains("gone");
    there.delete(k);
    if (!known) {
      const made = make(item);
      made.dataset.key = k;
      if (child) child.replaceWith(made);
      if (child === before) before = made;
      child = made;
    }
    update(child, item);
    if (held) {
      if (!child.parentElement) parent.append(child);
    } else if (child !== before) {
      parent.insertBefore(child, before);
    } else {
      before = before.nextElementSibling;
    }
  }
  for (const child of there.values()) {
    if (!held) {
      child.remove();
      continue;
    }
    child.classList.add("gone");
    for (const control of child.querySelectorAll("button, input, select, a")) control.setAttribute("disabled", "");
  }
}

// The same of thousands of items of one height: only those that can be seen are in the document, between two empty rows.
export class Window {
  constructor(body, key, make, update) {
    Object.assign(this, { body, key, make, update, items: [], height: 0 });
    this.above = el("div", { class: "spacer" });
    this.below = el("div", { class: "spacer" });
    this.whole = body.closest("table") || body;
    this.whole.before(this.above);
    this.whole.after(this.below);
    this.scrolled = () => {
      if (!this.asked) this.asked = requestAnimationFrame(() => {
        this.asked = 0;
        if (this.items.length > Window.FEW) this.show(this.items, true);
      });
    };
    addEventListener("scroll", this.scrolled, { passive: true });
    addEventListener("resize", this.scrolled, { passive: true });
  }

  static FEW = 120; // so many are simply there
  static MORE = 15; // rows above and below what can be seen

  show(items, asked) {
    const few = items.length <= Window.FEW;
    let first = 0, last = items.length;

    this.items = items;
    if (!few) {
      const sample = this.body.firstElementChild;
      this.height = (sample && sample.offsetHeight) || this.height || 44;
      const top = this.above.getBoundingClientRect().top;
      first = Math.min(Math.max(0, Math.floor(-top / this.height) - Window.MORE), Math.max(0, items.length - 1));
      last = Math.min(items.length, first + Math.ceil(innerHeight / this.height) + 2 * Window.MORE);
    }
    this.above.style.height = `${first * this.height}px`;
    this.below.style.height = `${few ? 0 : (items.length - last) * this.height}px`;
    keep(this.body, items.slice(first, last), this.key, this.make, this.update, asked);
  }

  close() {
    removeEventListener("scroll", this.scrolled);
    removeEventListener("resize", this.scrolled);
  }
}
