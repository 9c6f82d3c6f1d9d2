#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The page as a person meets it: the one-time address, the password, the machines, and a click that lets a machine boot."""
from browser import Browser
from e2e import *

PASSWORD = "correct horse 7"


def log_in(browser, password):
    field = browser.wait("input[type=password]")
    field.type(password)
    browser.wait("button[type=submit], input[type=submit]").click()


with Suite() as t:
    server = Server(t.lan).tiny()
    server.ctl("policy", "set", "enrol=approve")
    browser = Browser(t.lan)

    with t.case("the log has a one-time address"):
        first = server.wait_log(r"first login: (http://\S+/setup\?token=\S+)").group(1)

    with t.case("without a login there is nothing to see"):
        status, _ = server.get("/api/v1/machines")
        equal(status, 401, "GET /api/v1/machines")
        browser.go(server.url + "/")
        true("token" not in browser.body(), "the page shows the token")

    with t.case("the one-time address sets the password and leads to the page"):
        browser.go(first)
        browser.wait("input[type=password]")
        for field in browser.all("input[type=password]"):
            field.type(PASSWORD)
        browser.wait("button[type=submit], input[type=submit]").click()
        browser.wait("table", timeout=20)

    with t.case("it works only once"):
        status, text = server.get(first.split(":8080", 1)[1])
        true(status in (403, 404, 410) or "<input" not in text or "password" not in text.lower(), f"again a form: {status}")
        true("first login" not in server.log().split("first login", 1)[1], "a second address was given")

    with t.case("a wrong password is refused, the right one lets in"):
        browser.call("DELETE", "/cookie")
        browser.go(server.url + "/")
        log_in(browser, "wrong password 1")
        browser.wait("input[type=password]")
        true(server.machines() is not None and not browser.all("table tr[data-machine]"), "machines are shown")
        browser.go(server.url + "/")
        log_in(browser, PASSWORD)
        browser.wait("table", timeout=20)

    with t.case("a waiting machine appears by itself, with a button"):
        vm = VM(t.lan, 1)
        vm.wait(r"SANBOOTD waits for approval, number (\d+)")
        button = browser.wait(f'button[data-action=approve][data-mac="{vm.mac}"]', timeout=20)
        browser.picture("waiting")

    with t.case("a click on Approve lets the waiting machine boot without a reset"):
        button.click()
        got = vm.proof(count=1)
        equal(len(re.findall(r"iPXE initialising devices", vm.proc.out.text)), 1, "starts of its firmware")
        browser.gone(f'button[data-action=approve][data-mac="{vm.mac}"]')

    with t.case("it is listed as running, and as off when it is off"):
        browser.wait_text(got["hostname"])
        browser.wait_text("running")
        vm.poweroff()
        until(lambda: "running" not in browser.body().lower().split(got["hostname"].lower(), 1)[1][:200], 30, "the page says that it is off")
        browser.wait_text("tiny")

    with t.case("no error in the browser's console"):
        bad = [e for e in browser.errors() if "401" not in e and "403" not in e]
        equal(bad, [], "errors")
    browser.close()
