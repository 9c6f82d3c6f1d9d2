// SPDX-License-Identifier: GPL-2.0-or-later
// The login and the first-login page: each sends one form as JSON.
"use strict";

const error = document.getElementById("error");

async function send(path, body, button) {
  error.textContent = "";
  button.disabled = true;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Sanbootd": "1" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      location.replace("./");
      return;
    }
    const said = await answer.json().catch(() => ({}));
    error.textContent = [said.error || `The server answered ${answer.status}`, said.hint].filter(Boolean).join(" – ");
  } catch {
    error.textContent = "No answer from the server. Is sanbootd running?";
  }
  button.disabled = false;
}

document.getElementById("login")?.addEventListener("submit", (event) => {
  event.preventDefault();
  send("api/v1/login", { password: event.target.password.value }, event.submitter || event.target.querySelector("button"));
});

document.getElementById("setup")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  if (form.password.value !== form.again.value) {
    error.textContent = "The two are not the same.";
    return;
  }
  const token = new URLSearchParams(location.search).get("token") || "";
  send("api/v1/setup", { token, password: form.password.value }, event.submitter || form.querySelector("button"));
});
