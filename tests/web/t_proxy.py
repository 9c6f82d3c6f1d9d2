#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The console behind nginx as Debian ships it, which ends TLS and has it under a path of its own: with nothing set but where it is."""
from browser import Browser
from e2e import *

PASSWORD = "correct horse 7"
CONSOLE = "https://127.0.0.1:8443/console/"
# Nothing is said of buffering, time-outs or versions: nginx has its defaults.
CONFIG = """
daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.err; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:8443 ssl; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    location /console/ {{
      proxy_pass {url}/;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Prefix /console;
    }}
  }}
}}
"""

with Suite() as t:
    server = Server(t.lan, dhcp="off", extra=("--trusted-proxy", t.lan.ip, "--trusted-proxy", "127.0.0.1"))
    sh(f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {t.lan.dir}/key.pem -out {t.lan.dir}/cert.pem -days 2 -subj /CN=localhost")
    config = os.path.join(t.lan.dir, "nginx.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write(CONFIG.format(dir=t.lan.dir, url=server.url))
    Process(t.lan, "nginx", ["nginx", "-p", t.lan.dir, "-c", config])
    until(lambda: sh("ss -Hltn sport = :8443"), 20, "nginx listens")
    browser = Browser(t.lan, "--ignore-certificate-errors")

    with t.case("the first password is set, and the console comes, under its path"):
        token = server.wait_log(r"first login: http://\S+/setup\?token=(\S+)").group(1)
        browser.go(f"{CONSOLE}setup?token={token}")
        browser.wait("input[type=password]")
        for field in browser.all("input[type=password]"):
            field.type(PASSWORD)
        browser.wait("button[type=submit]").click()
        browser.wait("#nav a", timeout=30)
        true(browser.url.startswith(CONSOLE), f"it is at {browser.url}")

    with t.case("its cookies go by TLS alone, and to this path alone"):
        cookies = browser.call("GET", "/cookie")
        true(cookies and all(c["secure"] and c["path"] == "/console/" and c["httpOnly"] for c in cookies), f"cookies: {cookies}")

    with t.case("what somebody else changes is seen: nothing keeps the events back until there are enough of them"):
        cookie = "; ".join(f"{c['name']}={c['value']}" for c in cookies)
        stream = Process(t.lan, "curl", ["curl", "-skN", "-H", "Accept: text/event-stream", "-b", cookie, CONSOLE + "api/v1/events"])
        stream.out.wait("retry:", 20, "the stream")
        server.ctl("group", "add", "seen")
        stream.out.wait(r'data: .*"group-added".*seen', 20, "the event")
        browser.script("location.hash = '#/groups'")
        browser.wait_text("seen")

    with t.case("changes are taken, and logging out leads to the log-in of this path"):
        browser.wait("[data-action=add]").click()
        browser.wait("dialog.ask [name=name]").type("by-proxy")
        browser.wait("dialog.ask button[type=submit]").click()
        browser.gone("dialog.ask")
        true("by-proxy" in server.ctl("group", "list"), "the group")
        browser.wait("#logout").click()
        until(lambda: browser.url == CONSOLE + "login", 20, "the log-in")

    with t.case("no error in the browser's console"):
        equal([e for e in browser.errors() if not re.search(r"\b401\b", e)], [], "errors")
    browser.close()
