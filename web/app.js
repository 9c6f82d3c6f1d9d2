// SPDX-License-Identifier: GPL-2.0-or-later
// The console at /: which page is shown is in the address behind "#", so that each can be linked to. A page is a module with make(root, ...),
// which gives { needs: lists of data.js, more: what else it reads, update: shows it, close }.
import { $, api, base, el, language, link, say, t, toast } from "./lib.js";
import { begin, data, onLive, want } from "./data.js";
import * as overview from "./pages/overview.js";
import * as machines from "./pages/machines.js";
import * as machine from "./pages/machine.js";
import * as enrol from "./pages/enrol.js";
import * as groups from "./pages/groups.js";
import * as images from "./pages/images.js";
import * as volumes from "./pages/volumes.js";
import * as events from "./pages/events.js";
import * as settings from "./pages/settings.js";

const pages = { overview, machines, machine, enrol, groups, images, volumes, events, settings };
const menu = [["overview", "Overview"], ["machines", "Machines"], ["enrol", "Enrol"], ["groups", "Groups"], ["images", "Images"],
  ["volumes", "Volumes"], ["events", "Events"], ["settings", "Settings"]];
const belongs = { machine: "machines" }; // where a page has no entry of its own

let page = null, shownAt = "";

function setLive(on) {
  $("live").className = on ? "live on" : "live off";
  say($("live"), on ? t("live") : t("no connection; trying again"));
}

function showFrame() {
  const open = data.waiting ? data.waiting.filter((w) => w.reason !== "denied").length : 0;
  const { status } = data;

  document.title = `${open ? `(${open}) ` : ""}sanbootd`;
  say($("count-enrol"), open ? String(open) : "");
  if (!status) return;
  say($("footer"), `sanbootd ${status.version} · iSCSI ${status.portals.join(", ")} · DHCP ${status.dhcp.mode}` +
    `${status.dhcp.state ? ` (${status.dhcp.state})` : ""} · ${t("new machines: {what}", { what: status.enrol })}`);
}

function update(error) {
  showFrame();
  if (error) toast(error.message, true);
  page.update(error);
}

function route() {
  const [name = "overview", ...rest] = location.hash.replace(/^#\//, "").split("/").filter(Boolean).map(decodeURIComponent);
  const module = pages[name] || overview;
  const at = pages[name] ? name : "overview";
  const root = el("div", { class: "page" });

  if (page && page.close) page.close();
  $("main").replaceChildren(root);
  for (const entry of document.querySelectorAll("nav a")) {
    if (entry.dataset.page === (belongs[at] || at)) entry.setAttribute("aria-current", "page");
    else entry.removeAttribute("aria-current");
  }
  page = module.make(root, ...rest);
  if (shownAt) $("main").focus({ preventScroll: true });
  if (shownAt !== location.hash) scrollTo(0, 0);
  shownAt = location.hash || "#/";
  if (page.needs.every((need) => data[need])) page.update();
  want(page.needs, page.more, update);
}

function makeFrame() {
  $("nav").replaceChildren(...menu.map(([name, text]) => link(t(text), `#/${name}`, { "data-page": name })));
  document.querySelector('[data-page="enrol"]').append(el("span", { class: "badge", id: "count-enrol" }));
  $("skip").textContent = t("Skip to the content");
  $("logout").textContent = t("Log out");
  $("where").textContent = location.host;
  document.documentElement.lang = language === "fr" ? "fr" : "en";
  $("logout").addEventListener("click", async () => {
    await api("POST", "logout").catch(() => {});
    location.replace(`${base}login`);
  });
  $("skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("main").focus();
  });
}

makeFrame();
onLive(setLive);
addEventListener("hashchange", route);
await begin().catch((error) => toast(error.message, true));
route();
