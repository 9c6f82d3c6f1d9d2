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
        browser.wait("#overview", timeout=20)

    with t.case("it works only once"):
        status, text = server.get(first.split(":8080", 1)[1])
        equal(status, 410, "GET of the address once more")
        true("<input" not in text, f"again a form: {text[:300]!r}")
        said = server.log().split("first login")
        equal(len(said), 2, "addresses that were given, and what came before")

    with t.case("a wrong password is refused, the right one lets in"):
        browser.call("DELETE", "/cookie")
        browser.go(server.url + "/")
        log_in(browser, "wrong password 1")
        until(lambda: any(e.text for e in browser.all("#error")), 20, "the page says what is wrong")
        true(not browser.all("#overview, #nav"), "the pages are shown")
        browser.go(server.url + "/")
        log_in(browser, PASSWORD)
        browser.wait("#overview", timeout=20)

    with t.case("a waiting machine appears by itself, with a button"):
        vm = VM(t.lan, 1)
        vm.wait(r"SANBOOTD waits for approval, number (\d+)")
        browser.wait("#count-enrol").click()
        button = browser.wait(f'button[data-action=approve][data-mac="{vm.mac}"]', timeout=20)
        browser.picture("waiting")

    with t.case("a click on Approve lets the waiting machine boot without a reset"):
        button.click()
        got = vm.proof(count=1)
        equal(len(re.findall(r"iPXE initialising devices", vm.proc.out.text)), 1, "starts of its firmware")
        browser.gone(f'button[data-action=approve][data-mac="{vm.mac}"]')

    def page(name):
        browser.script("location.hash = arguments[0]", f"#/{name}")

    def row():
        """The machine's line in the table."""
        return next((e.text for e in browser.all("#machines tr") if got["hostname"] in e.text), "")

    with t.case("it is listed as running, and as off when it is off, without a reload"):
        page("machines")
        until(lambda: "running" in row().lower() and "tiny" in row() and vm.mac in row(), 20, "the table shows it as running")
        vm.poweroff()
        server.ctl("machine", "release", got["hostname"])
        until(lambda: row() and "running" not in row().lower() and "off" in row().lower(), 20, "the table shows it as off")

    with t.case("a machine's own page shows how its last boot went"):
        browser.wait("#machines tr a").click()
        until(lambda: "kernel-login" in browser.wait("#d-timeline").text, 20, "the timeline")
        true(re.search(r"^0\.0 s\s+dhcp", browser.wait("#d-timeline").text), f"its first stage: {browser.wait('#d-timeline').text!r}")
        true(not any(e.shown for e in browser.all("#d-stuck")), "it says that the machine is stuck")
        browser.picture("timeline")

    with t.case("its second disk is in its list, and counted"):
        server.ctl("volume", "create", "--machine", got["hostname"], "--size", "1G", "--name", "scratch")
        until(lambda: re.search(r"LUN 1\s+scratch \(data disk\): .+ of 1.0 GiB", browser.wait("#d-volumes").text), 20, "the volume")
        page("overview")
        until(lambda: "1 data disk" in browser.wait("#o-children-sub").text, 20, "the overview counts it")
        browser.picture("volumes")

    with t.case("no error in the browser's console"):
        bad = [e for e in browser.errors() if "401" not in e and "403" not in e]
        equal(bad, [], "errors")
    browser.close()
