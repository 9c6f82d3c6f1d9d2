// SPDX-License-Identifier: GPL-2.0-or-later
// Sends a file as an image, piece by piece. A connection that is cut is taken up again where the server stopped hearing.
import { api, Refused } from "./lib.js";

const PIECE = 1024 * 1024; // as much as the API takes at once
const AGAIN_MS = 2000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Sends one piece; gives how much the server has. Where there is no answer: asks until it says how much it had.
async function sendPiece(file, number, offset, signal, cut) {
  try {
    return (await api("PUT", `imports/${number}/data?offset=${offset}`, file.slice(offset, offset + PIECE), signal)).bytes_done;
  } catch (error) {
    if (error instanceof Refused || signal.aborted) throw error;
  }
  for (;;) {
    cut(true);
    await pause(AGAIN_MS);
    if (signal.aborted) throw new DOMException("aborted", "AbortError");
    try {
      const { bytes_done: heard } = await api("GET", `imports/${number}`, null, signal);
      cut(false);
      return heard;
    } catch (error) {
      if (error instanceof Refused || signal.aborted) throw error;
    }
  }
}

// An upload that is under way: { number, file, name, sent, done, cut, error, cancel() }. changed() is called as it goes on.
export function upload(file, name, asDefault, changed) {
  const aborted = new AbortController();
  const state = {
    file, name, sent: 0, number: 0, cut: false, done: false, error: "",
    cancel: async () => {
      aborted.abort();
      if (state.number) await api("DELETE", `imports/${state.number}`).catch(() => {});
    },
  };

  state.ended = (async () => {
    try {
      state.number = (await api("POST", "images", { upload: file.name, name, size_bytes: file.size, default: asDefault })).import;
      while (state.sent < file.size) {
        state.sent = await sendPiece(file, state.number, state.sent, aborted.signal, (cut) => {
          state.cut = cut;
          changed();
        });
        changed();
      }
      await api("POST", `imports/${state.number}/end`);
    } catch (error) {
      state.error = aborted.signal.aborted ? "canceled" : error.message;
    }
    state.done = true;
    changed();
  })();
  return state;
}
