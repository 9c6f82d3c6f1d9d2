// SPDX-License-Identifier: GPL-2.0-or-later
// The one event stream of all tabs of a browser: a shared worker. A server bounds how many streams it serves, and a browser how many
// connections. Tabs say whether they can be seen; where none can, the stream is closed.
const AGAIN_MS = 5000;
const tabs = new Map(); // port -> it can be seen

let stream = null, last = 0, timer = 0, live = false;

function tell(message) {
  for (const port of tabs.keys()) port.postMessage(message);
}

function setLive(on) {
  live = on;
  tell({ live });
}

function close() {
  clearTimeout(timer);
  timer = 0;
  if (stream) stream.close();
  stream = null;
  live = false;
}

function open() {
  close();
  stream = new EventSource(new URL(`api/v1/events?after=${last}`, self.location));
  stream.onopen = () => setLive(true);
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    last = Math.max(last, event.id);
    tell({ event });
  };
  stream.addEventListener("change", () => tell({ changed: true }));
  stream.onerror = () => {
    setLive(false);
    if (stream && stream.readyState !== EventSource.CLOSED) return;
    close(); // refused: the login has ended (a tab's next read finds out), or there are too many streams
    timer = setTimeout(open, AGAIN_MS);
  };
}

function decide() {
  const wanted = [...tabs.values()].some(Boolean);
  if (wanted && !stream && !timer) open();
  if (!wanted) close();
}

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data.after) last = Math.max(last, data.after);
    if (data.gone) tabs.delete(port);
    else tabs.set(port, data.seen);
    decide();
    if (live) port.postMessage({ live });
  };
  port.start();
};
