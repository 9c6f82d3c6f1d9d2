// SPDX-License-Identifier: GPL-2.0-or-later
// What the server said last, and when to ask again: a page names the lists that it shows, the event stream says that something changed.
import { api, base, onChanged, setServerTime } from "./lib.js";

const REFRESH_MS = 700; // at most so often, however much happens
const POLL_MS = 15000; // sizes and sessions change without an event
const EVENTS_KEPT = 500;

const reads = {
  status: ["status", (said) => said],
  machines: ["machines", (said) => said.machines],
  waiting: ["waiting", (said) => said.waiting],
  images: ["images", (said) => said.images],
  groups: ["groups", (said) => said.groups],
  volumes: ["volumes", (said) => said.volumes],
  jobs: ["jobs", (said) => said.jobs],
  trash: ["trash", (said) => said.trash],
  policy: ["policy", (said) => said],
};

export const data = { events: [] }; // by name; what was never read is missing

let wanted = [], shown = () => {}, told = () => {}, extra = null;
let reading = false, again = false, timer = 0, lastEvent = 0;

// Which lists are to be read, what else (a function), and who is to be told of both.
export function want(names, more, show) {
  wanted = [...new Set(["status", "waiting", ...names])];
  extra = more;
  shown = show;
  return refresh();
}

export const onLive = (f) => (told = f);

export async function refresh() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  const names = wanted, more = extra, show = shown;
  try {
    const said = await Promise.all([...names.map((name) => api("GET", reads[name][0])), more && more()]);
    names.forEach((name, i) => (data[name] = reads[name][1](said[i])));
    setServerTime(data.status.now_ms);
    if (show === shown) show();
  } catch (error) {
    if (error instanceof TypeError) told(false); // no answer; the stream's state says the rest
    else if (show === shown) show(error);
  }
  reading = false;
  if (again) {
    again = false;
    refreshSoon();
  }
}

export function refreshSoon() {
  if (timer || document.hidden) return;
  timer = setTimeout(() => {
    timer = 0;
    refresh();
  }, REFRESH_MS);
}

function addEvent(event) {
  if (event.id <= lastEvent) return;
  lastEvent = event.id;
  data.events.unshift(event);
  data.events.length = Math.min(data.events.length, EVENTS_KEPT);
}

// What the stream of all tabs says (stream.js), or our own where browsers have no shared workers.
function hear(message) {
  if ("live" in message) {
    told(message.live);
    if (message.live) refreshSoon();
  }
  if (message.event) addEvent(message.event);
  if (message.event || message.changed) refreshSoon();
}

function followShared() {
  const { port } = new SharedWorker(`${base}stream.js`);
  const tell = () => port.postMessage({ seen: !document.hidden, after: lastEvent });

  port.onmessage = ({ data: message }) => hear(message);
  port.start();
  tell();
  document.addEventListener("visibilitychange", () => {
    tell();
    refreshSoon();
  });
  addEventListener("pagehide", () => port.postMessage({ gone: true }));
  addEventListener("pageshow", tell);
}

function followAlone() {
  const stream = new EventSource(`${base}api/v1/events?after=${lastEvent}`);
  stream.onopen = () => hear({ live: true });
  stream.onmessage = (message) => hear({ event: JSON.parse(message.data) });
  stream.addEventListener("change", () => hear({ changed: true }));
  stream.onerror = () => {
    hear({ live: false });
    if (stream.readyState !== EventSource.CLOSED) return;
    stream.close();
    setTimeout(followAlone, 5000);
    refresh();
  };
}

export async function begin() {
  const { events } = await api("GET", `events?max=${EVENTS_KEPT}`);
  events.forEach(addEvent);
  onChanged(refresh);
  if (window.SharedWorker) followShared();
  else followAlone();
  setInterval(refreshSoon, POLL_MS);
}
