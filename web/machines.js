// SPDX-License-Identifier: GPL-2.0-or-later
// What the pages know of machines: their states in words, and what people do with them.
import { api, ask, bytes, machinePath, plural, t, toast } from "./lib.js";

export const kinds = { data: "data disk", shared: "shared disk", cd: "CD", "who-am-i": "tells it who it is" };

// What is honest: a machine whose disk is damaged is not simply off, and one that stands still is not simply running.
export function stateOf(m) {
  if (m.disk.error) return ["damaged", t("damaged disk"), m.disk.error];
  if (m.state === "failed") return ["failed", t("failed"), m.state_reason];
  if (m.stuck) return ["stuck", t("stuck"), t("at {stage}: {why}", m.stuck)];
  return [m.state, t(m.state), ""];
}

// What it would get: by a rollout with its next boot, else by a reset.
export const outdatedText = (m) => (m.next_image ? t("gets {image} at its next boot", { image: m.next_image }) : m.outdated ? t("outdated: @{n} is published", { n: m.image_published }) : "");

export const isRunning = (m) => m.sessions.length > 0;

// What can be done to many. only: whom it can be done to; else why not. fields: what is asked; call: the API.
export const actions = {
  wake: {
    title: "Wake", text: "A magic packet is sent to each.", only: (m) => !isRunning(m), why: "run already",
    call: (m) => api("POST", `${machinePath(m.id)}/wake`),
  },
  release: {
    title: "End sessions", text: "Whoever still runs loses its disk until it boots again.", danger: true, only: isRunning, why: "do not run",
    call: (m) => api("POST", `${machinePath(m.id)}/release`),
  },
  move: {
    title: "Move to an image", danger: true, only: (m) => !isRunning(m), why: "run: switch them off first",
    text: "Each gets an empty disk of that image. Everything that they wrote is deleted.",
    fields: (data) => [{ name: "image", label: t("Image or version"), options: imageOptions(data), required: true }],
    call: (m, values) => api("PATCH", machinePath(m.id), { image: values.image }),
  },
  group: {
    title: "Put into a group", text: "", only: () => true,
    fields: (data) => [{ name: "group", label: t("Group"), options: [["none", t("none")], ...data.groups.map((g) => [g.name, g.name])] }],
    call: (m, values) => api("PATCH", machinePath(m.id), { group: values.group }),
  },
  snapshot: {
    title: "Snapshot", text: "What is on each disk now is kept under this name.", only: (m) => !isRunning(m), why: "run: switch them off first",
    fields: () => [{ name: "label", label: t("Label"), required: true, maxlength: 63 }],
    call: (m, values) => api("POST", `${machinePath(m.id)}/snapshots`, { label: values.label }),
  },
  reset: {
    title: "Reset", danger: true, only: (m) => !isRunning(m), why: "run: switch them off first",
    text: "Everything that they wrote is deleted. Each starts again from the newest version of its image.",
    call: (m) => api("POST", `${machinePath(m.id)}/reset`),
  },
  remove: {
    title: "Remove", danger: true, only: (m) => !isRunning(m), why: "run: switch them off first",
    text: "They are forgotten; their disks go to the trash for a while, and can be brought back.",
    call: (m) => api("DELETE", machinePath(m.id)),
  },
};

// Every version that a machine may be given, the published one of each image first.
export function imageOptions({ images }) {
  return images.flatMap((image) => [
    ...(image.published ? [[image.name, t("{name} (what is published: @{n})", { name: image.name, n: image.published })]] : []),
    ...image.versions.filter((v) => v.state !== "draft").map((v) => [v.name, `${v.name}, ${t(v.state)}`]),
  ]);
}

const SHOWN = 12; // names in a preview

function preview(list) {
  const names = list.slice(0, SHOWN).map((m) => `${m.name} · ${m.image || "–"} · ${bytes(m.disk.allocated_bytes)}`);
  return list.length > SHOWN ? [...names, t("and {n} more", { n: list.length - SHOWN })] : names;
}

// Asks, with a preview of to whom it will happen, and does it to one after the other. What fails is said with its machine's name.
export async function doToMany(name, machines, data) {
  const action = actions[name];
  const able = machines.filter(action.only), not = machines.length - able.length;
  const title = `${t(action.title)}: ${plural(able.length, "{n} machine", "{n} machines")}`;

  if (!able.length) {
    toast(t("None of them: they {why}.", { why: t(action.why) }), true);
    return null;
  }
  return ask({
    title, text: [t(action.text), not ? t("{n} are left out: they {why}.", { n: not, why: t(action.why) }) : ""].filter(Boolean).join(" "),
    list: preview(able), fields: action.fields ? action.fields(data) : [], yes: t(action.title), danger: action.danger,
    run: (values, say) => runAll(action, able, values, say),
  });
}

async function runAll(action, machines, values, say) {
  const failed = [];
  let done = 0;

  for (const m of machines) {
    say(t("{n} of {all}", { n: done + failed.length + 1, all: machines.length }));
    try {
      await action.call(m, values);
      done++;
    } catch (error) {
      failed.push(`${m.name}: ${error.message}`);
    }
  }
  say("");
  if (failed.length) throw new Error([t("{n} done, {failed} not.", { n: done, failed: failed.length }), ...failed.slice(0, 5)].join(" "));
  toast(`${t(action.title)}: ${plural(done, "{n} machine", "{n} machines")}`);
}
