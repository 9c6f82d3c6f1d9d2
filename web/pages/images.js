// SPDX-License-Identifier: GPL-2.0-or-later
// Golden images: their versions as a tree, who has them, what can be done with each; and files that are dropped here become images.
import { $, act, ago, api, ask, button, bytes, cell, confirmed, el, keep, link, part, pill, plural, say, section, select, set, t, table, toast, row, when } from "../lib.js";
import { data } from "../data.js";
import { upload } from "../upload.js";

const uploads = []; // that go on, also while another page is shown

// ---- imports and exports

export function jobItem(job) {
  const ended = job.stage === "done" || job.stage === "failed";
  const left = job.seconds_left != null ? `, ${t("{n} s left", { n: job.seconds_left })}` : "", rate = job.bytes_per_s ? `, ${bytes(job.bytes_per_s)}/s` : "";
  const bar = el("progress", { max: 100, value: job.percent, "aria-label": job.name });

  return el("li", {}, el("b", {}, `${t(job.kind)}: ${job.name}`), ended ? "" : bar, ` ${job.canceled ? t("canceled") : t(job.stage)}`, ended ? "" : ` ${job.percent} %${rate}${left}`, job.text ? ` – ${job.text}` : "", " ",
    !ended && button(t("Cancel"), (event) => act(event.target, t("{name} is canceled", job), () => api("DELETE", `jobs/${job.job}`)), { class: "small", "data-action": "cancel-job" }));
}

function uploadItem(u) {
  const percent = u.file.size ? Math.floor((100 * u.sent) / u.file.size) : 100;
  return el("li", {}, el("b", {}, t("sending {file} as {name}", { file: u.file.name, name: u.name })), el("progress", { max: 100, value: percent, "aria-label": u.file.name }),
    ` ${percent} %, ${t("{n} of {all}", { n: bytes(u.sent), all: bytes(u.file.size) })}${u.cut ? `, ${t("no answer; it goes on by itself")}` : ""}`, " ",
    button(t("Cancel"), () => u.cancel(), { class: "small", "data-action": "cancel-upload" }));
}

function showUploads() {
  const list = $("uploads");
  for (const u of uploads.filter((one) => one.done)) {
    uploads.splice(uploads.indexOf(u), 1);
    if (u.error) toast(`${u.file.name}: ${t(u.error)}`, u.error !== "canceled");
  }
  if (list) list.replaceChildren(...uploads.map(uploadItem));
}

const nameOf = (file) => file.name.replace(/\.(gz|xz|zst)$/i, "").replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+/, "").slice(0, 40) || "image";

function offer(file) {
  ask({
    title: t("Take in {name}", file), text: t("{size}; raw, qcow2, VHD, VHDX, VMDK or VDI, also packed (gz, xz, zst).", { size: bytes(file.size) }), yes: t("Send it"),
    fields: [{ name: "name", label: t("Image"), value: nameOf(file), required: true, help: t("An image that there is gets its next version, which is published when you say so.") },
      { name: "default", label: t("New machines get it"), type: "checkbox", value: !data.images.length }],
    run: async (values) => {
      uploads.push(upload(file, values.name, values.default, showUploads));
      showUploads();
    },
  });
}

function dropZone() {
  const input = el("input", { type: "file", id: "file", class: "hidden", "aria-label": t("A disk file") });
  const zone = el("div", { class: "drop", id: "drop" }, t("Drop a disk here, or "), button(t("choose a file"), () => input.click(), { class: "link", "data-action": "choose" }), input);

  input.addEventListener("change", () => {
    if (input.files[0]) offer(input.files[0]);
    input.value = "";
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) offer(event.dataTransfer.files[0]);
  });
  return zone;
}

// ---- what is done with a version

const path = (v) => `images/${part(v.name)}`;

function publish(v) {
  ask({
    title: t("Publish {name}", v), yes: t("Publish"),
    text: t("New machines get it. Those that have another version keep it until they are reset or moved; {n} do.", { n: data.machines.filter((m) => m.image_name === v.image && m.image !== v.name).length }),
    fields: [{ name: "at", label: t("When"), type: "datetime-local", help: t("Empty: now.") }],
    run: async ({ at }) => {
      const said = await api("POST", `${path(v)}/publish`, at ? { at_ms: new Date(at).getTime() } : {});
      toast(said.hint || t("{name} is published", v));
    },
  });
}

// "canary, 25%, 100%": who gets it first, then who; a percentage, or a ring.
function stepsOf(text) {
  return text.split(/[,\s]+/).filter(Boolean).map((word) => (/^\d+%$/.test(word) ? { percent: parseInt(word, 10) } : { ring: word }));
}

function rollOut(v) {
  ask({
    title: t("Roll {name} out", v), yes: t("Begin"), text: t("It comes to some machines first, each at its next boot; the server looks at their boots, and stops where they fail or are slow."),
    fields: [{ name: "steps", label: t("Steps"), value: "canary, 25%, 100%", required: true, help: t("Rings and percentages, one after the other; each begins when the one before has proven itself.") },
      { name: "persistent", label: t("Also machines that keep their disk; what is on it becomes a snapshot"), type: "checkbox" }, { name: "dry", label: t("Only try: who would get it"), type: "checkbox", value: true }],
    run: async ({ steps, persistent, dry }) => {
      const said = await api("POST", `${path(v)}/publish`, { steps: stepsOf(steps), persistent, dry_run: dry });
      const r = said.rollout && typeof said.rollout === "object" ? said.rollout : said;
      if (dry && r.steps) throw new Error(t("It would go: {steps}. Take the tick away to begin.", { steps: r.steps.map((s) => `${s.who}: ${s.machines}`).join("; ") }));
      toast(said.hint || t("{name} is on its way", v));
    },
  });
}

function rolloutItem(r) {
  const call = (verb, done) => (event) => act(event.target, done, () => api("POST", `images/${part(r.image)}/rollout/${verb}`));
  const boots = (b) => t("{steady} of {all} boots got there", { steady: b.steady, all: b.steady + b.failed });

  return el("div", { class: "rollout" }, el("h3", {}, t("{rollout}, instead of {from}", r), " ", pill(el("span", {}), t(r.state), r.state === "stopped" ? "failed" : r.state === "running" ? "booting" : r.state)),
    r.why && el("p", { class: "notice bad" }, r.why),
    el("ol", { class: "plain" }, r.steps.map((s) => el("li", {}, el("progress", { max: s.machines || 1, value: s.have, "aria-label": s.who }), `${s.who}: ${t("{n} of {all}", { n: s.have, all: s.machines })}`,
      s.begun_ms ? ` · ${when(s.begun_ms)}` : s.at_ms ? ` · ${when(s.at_ms)}` : ""))),
    el("p", { class: "sub" }, `${r.rollout}: ${boots(r.boots.new)} · ${r.from}: ${boots(r.boots.old)}`),
    el("div", { class: "buttons left" }, r.state === "running" && button(t("Stop"), call("stop", t("It goes no further"))), r.state === "stopped" && button(t("Go on"), call("resume", t("It goes on"))),
      ["running", "stopped"].includes(r.state) && button(t("Take back"), call("undo", t("They go back at their next boot")), { class: "danger" })));
}

// Only of images that have a version to be tested, as what is rolled out is until all have it: each is a question of its own.
let rollouts = [];
async function readRollouts() {
  const { images } = await api("GET", "images");
  const found = await Promise.all(images.filter((i) => i.versions.some((v) => v.state === "test")).map((i) => api("GET", `images/${part(i.name)}/rollout`).catch(() => null)));
  rollouts = found.filter((r) => r && r.rollout && r.state !== "replaced");
}

function change(v) {
  ask({
    title: v.name, yes: t("Save"),
    fields: [{ name: "state", label: t("State"), value: v.state, options: [...(v.state === "published" ? [["published", t("published")]] : []), ["draft", t("draft: nobody gets it")], ["test", t("test: who names it does")], ["retired", t("retired: nobody new does")]] },
      { name: "note", label: t("Note"), value: v.note || "" }],
    run: async (values) => {
      const body = {};
      if (values.state !== v.state) body.state = values.state;
      if (values.note !== (v.note || "")) body.note = values.note;
      if (Object.keys(body).length) await api("PATCH", path(v), body);
    },
  });
}

async function check(v, pressed) {
  pressed.disabled = true;
  try {
    const said = await api("GET", `${path(v)}/check`);
    ask({
      title: t("What {name} is like as a clone", v), yes: said.findings.some((f) => f.sealable) ? t("Seal it: make a version without these") : t("Good"),
      text: `${said.boots ? t("Nothing was found that stops it from booting.") : t("It would not boot.")} ${said.system || ""}`,
      list: said.findings.map((f) => `${f.what}. ${f.todo}`),
      run: async () => said.findings.some((f) => f.sealable) && void (await api("POST", `${path(v)}/seal`)),
    });
  } catch (error) {
    toast(error.message, true);
  }
  pressed.disabled = false;
}

function exportTo(v) {
  ask({
    title: t("Write {name} to a file", v), text: t("Of the server's, in a folder that its configuration allows."), yes: t("Write"),
    fields: [{ name: "format", label: t("Format"), options: ["raw", "qcow2", "vhdx", "vhd", "vmdk", "vdi"].map((f) => [f, f]) }, { name: "path", label: t("File"), required: true, placeholder: `/srv/exports/${v.image}.raw` }],
    run: (values) => api("POST", "exports", { image: v.name, path: values.path, format: values.format }),
  });
}

const remove = (v) => confirmed(t("Delete {name}?", v), t("It is refused where a machine or a snapshot stands on it."), t("Delete"), t("{name} is deleted", v), () => api("DELETE", path(v)));

function makeVersion(v) {
  const acts = [["publish", t("Publish"), () => publish(v.now())], ["rollout", t("Roll out"), () => rollOut(v.now())], ["default", t("Make default"), (e) => act(e.target, t("New machines get {image}", v), () => api("POST", `images/${part(v.image)}/default`))],
    ["check", t("Check"), (e) => check(v, e.target)], ["change", t("Change"), () => change(v.now())], ["export", t("Export"), () => exportTo(v)], ["remove", t("Delete"), () => remove(v)]];
  return row([
    [t("Image"), "head", el("div", { class: "branch" }, el("strong", { "data-is": "name" }), cell("source", {}, "small"), cell("note", {}, "small"))],
    [t("State"), "", el("div", {}, cell("state"), cell("planned", {}, "small"), cell("warnings", {}, "small"))],
    [t("Size"), "num", cell("size")], [t("On disk"), "num", cell("cost")], [t("Machines"), "num", link("", "#/machines", { "data-is": "machines" })], [t("Created"), "tight", cell("created")],
    ["", "acts", el("div", { class: "decide" }, acts.map(([name, text, onclick]) => button(text, onclick, { "data-action": name, "data-image": v.name, class: name === "remove" ? "danger" : null })))]]);
}

function updateVersion(tr, v) {
  const newest = v.version === v.published;
  set(tr, "name", v.name);
  tr.querySelector(".branch").style.paddingLeft = `${v.depth * 1.2}rem`;
  set(tr, "source", v.parent ? t("made from {parent}", v) : v.source ? t("from {source}", v) : "");
  set(tr, "note", v.note || "");
  pill(tr.querySelector('[data-is="state"]'), v.isDefault && newest ? t("new machines get this") : t(v.state), v.state);
  set(tr, "planned", v.publish_at_ms ? t("published {when}, says {who}", { when: when(v.publish_at_ms), who: v.publish_by || "–" }) : "");
  const warnings = set(tr, "warnings", v.warnings.join(" "));
  warnings.className = "notice";
  warnings.hidden = !v.warnings.length;
  set(tr, "size", bytes(v.size_bytes));
  set(tr, "cost", bytes(v.allocated_bytes));
  set(tr, "machines", String(v.machines));
  set(tr, "created", ago(v.created_ms));
  tr.querySelector("[data-action=publish]").hidden = v.state === "published" && newest;
  tr.querySelector("[data-action=rollout]").hidden = v.state === "published" || v.state === "retired" || !v.published;
  tr.querySelector("[data-action=default]").hidden = v.isDefault || !newest;
}

// The versions of an image, each below the one that it was made from.
function tree(image) {
  const made = [], put = (v, depth) => {
    if (made.some((one) => one.name === v.name)) return;
    const now = () => ({ ...data.images.flatMap((i) => i.versions).find((one) => one.name === v.name), image: image.name });
    made.push({ ...v, depth, image: image.name, published: image.published, isDefault: image.default, now });
    image.versions.filter((child) => child.parent === v.name).forEach((child) => put(child, depth + 1));
  };
  image.versions.filter((v) => !image.versions.some((other) => other.name === v.parent)).forEach((v) => put(v, 0));
  return made;
}

function update() {
  const versions = data.images.flatMap(tree);
  say($("images-count"), String(versions.length || ""));
  $("images-table").hidden = !versions.length;
  $("images-empty").hidden = versions.length > 0;
  keep($("images"), versions, (v) => v.name, makeVersion, updateVersion);
  $("rollouts-section").hidden = !rollouts.length;
  if (!$("rollouts").matches(":hover")) $("rollouts").replaceChildren(...rollouts.map(rolloutItem));
  $("jobs-section").hidden = !data.jobs.length;
  if (!$("jobs").matches(":hover")) $("jobs").replaceChildren(...data.jobs.slice().reverse().map(jobItem));
  showUploads();
}

function emptyImage() {
  ask({
    title: t("An empty image"), text: t("To install into."), yes: t("Make it"), fields: [{ name: "name", label: t("Name"), required: true }, { name: "size", label: t("Size"), value: "64G", required: true }],
    run: (values) => api("POST", "images/empty", values),
  });
}

export function make(root) {
  root.append(
    el("section", {}, el("h2", {}, t("Images"), " ", el("span", { class: "count", id: "images-count" })), el("div", { class: "toolbar" }, button(t("Empty image"), emptyImage, { class: "push", "data-action": "empty" })), dropZone(),
      el("ul", { class: "plain jobs", id: "uploads" }),
      table("images-table", [[t("Image")], [t("State")], [t("Size"), "num"], [t("On disk"), "num"], [t("Machines"), "num"], [t("Created")], ["", "acts"]], el("tbody", { id: "images" })),
      el("div", { class: "empty", id: "images-empty", hidden: true }, el("p", {}, t("No golden image yet. Make one from Debian's packages, on the server:")), el("pre", {}, el("code", {}, "sanbootctl image build debian --name debian --default")))),
    section(t("Rollouts"), el("div", { id: "rollouts" })), section(t("Jobs"), el("ul", { class: "plain jobs", id: "jobs" })));
  root.lastElementChild.id = "jobs-section";
  root.lastElementChild.previousElementSibling.id = "rollouts-section";
  return { needs: ["images", "jobs", "machines"], more: readRollouts, update: (error) => error || update() };
}
