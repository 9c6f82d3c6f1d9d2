#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The console, as those use it who look after a room: many machines at a time, images, languages, small screens, no mouse, many tabs."""
from browser import Browser
from e2e import *

PASSWORD = "correct horse 7"
WIDE, PHONE = (1280, 900), (390, 844)
PAGES = ("overview", "machines", "enrol", "groups", "images", "volumes", "events", "settings")
MANY = 1000


def mac(n):
    return f"52:54:00:77:{n // 256:02x}:{n % 256:02x}"


with Suite() as t:
    server = Server(t.lan)
    server.ctl("policy", "set", "enrol=approve", f"max-machines={MANY + 100}")
    browser = Browser(t.lan)

    def go(page):
        browser.script("location.hash = arguments[0]", f"#/{page}")

    def dialog():
        return browser.wait("dialog.ask[open]")

    def fill(name, text):
        """A field of the dialog that is open."""
        browser.script("const f = document.querySelector(`dialog.ask [name='${arguments[0]}']`); f.value = arguments[1];"
                       "f.dispatchEvent(new Event('input', { bubbles: true }))", name, text)

    def yes():
        browser.press("dialog.ask[open] button[type=submit]")

    def known(name):
        return server.run("machine", "show", name)[0] == 0

    def names():
        return browser.script("return [...document.querySelectorAll('#machines [data-is=name]')].map((e) => e.textContent)")

    with t.case("before the first machine the overview says what is missing"):
        browser.go(server.wait_log(r"first login: (http://\S+/setup\?token=\S+)").group(1))
        browser.wait("input[type=password]")
        for field in browser.all("input[type=password]"):
            field.type(PASSWORD)
        browser.wait("button[type=submit]").click()
        browser.wait("#steps li")
        true("sanbootctl image build debian" in browser.body(), "how to make an image")
        equal(len(browser.all("#steps li.good")), 0, "steps that are done")
        browser.picture("first-steps")

    with t.case("a file is taken in, over a connection that is cut meanwhile"):
        path = os.path.join(t.lan.dir, "lab.raw")
        with open(path, "wb") as f:
            f.write(b"lab" + os.urandom(3 << 20))
            f.truncate(8 << 20)
        go("images")
        browser.wait("#drop")
        # The second piece is lost on its way.
        browser.script("const real = window.fetch; let pieces = 0; window.cut = 0; window.fetch = (url, options) => options && options.method === 'PUT' && ++pieces === 2"
                       " ? (window.cut++, Promise.reject(new TypeError('cut'))) : real(url, options);")
        browser.all("#file")[0].type(path)
        dialog()
        equal(browser.script("return document.querySelector('dialog.ask [name=name]').value"), "lab", "the name that is proposed")
        yes()
        browser.wait("#images tr", timeout=60)
        equal(browser.script("return window.cut"), 1, "pieces that were lost")
        got = server.json("image", "show", "lab@1")
        with open(os.path.join(server.state, "images", os.path.basename(got["versions"][0]["file"])), "rb") as image, open(path, "rb") as sent:
            true(image.read() == sent.read(), "the image is not what was sent")

    with t.case("twenty machines that wait are approved at once, and say how many they are"):
        for n in range(20):
            server.ask(mac(n), serial=f"S{n}")
        go("enrol")
        until(lambda: len(browser.all("#waiting tr")) == 20, 20, "twenty rows")
        browser.wait("#select-all").click()
        browser.wait("[data-action=approve-many]").click()
        true("20" in dialog().text, f"the question: {dialog().text!r}")
        browser.picture("approve-many")
        yes()
        browser.gone("dialog.ask")
        equal(len(server.api("machines")["machines"]), 20, "machines")
        equal(server.waiting(), [], "who waits")

    with t.case("nothing moves under the pointer after a click on Approve"):
        for n in range(30, 33):
            server.ask(mac(n))
        buttons = until(lambda: (lambda b: b if len(b) == 3 else None)(browser.all("#waiting [data-action=approve]")), 20, "three rows")
        place = "return document.querySelectorAll('#waiting tr')[1].getBoundingClientRect().top"
        top = browser.script(place)
        browser.move_to(buttons[0])
        buttons[0].click()
        until(lambda: len(server.waiting()) == 2, 20, "one is approved")
        until(lambda: browser.all("#waiting tr.gone"), 20, "its row is marked")
        equal(browser.script(place), top, "where the second row is")
        browser.move_to(browser.wait("h1"))
        until(lambda: len(browser.all("#waiting tr")) == 2, 20, "its row goes when the pointer has")

    with t.case("Enter in the field for a name approves"):
        field = browser.wait("#waiting .decide input")
        field.type("reception")
        browser.keys("Enter")
        until(lambda: known("reception"), 20, "the machine")

    with t.case("machines are found, filtered, and put into a group, many at a time"):
        server.ctl("group", "add", "room-101")
        go("machines")
        until(lambda: len(names()) == 22, 20, "all rows")
        browser.wait("#search").type("pc-01")
        until(lambda: names() and all("pc-01" in n for n in names()), 20, "only those that fit")
        found = len(names())
        browser.wait("#select-all").click()
        browser.wait("[data-action=group]").click()
        true(f"{found} machines" in dialog().text, f"to how many: {dialog().text!r}")
        browser.script("document.querySelector('dialog.ask [name=group]').value = 'room-101'")
        browser.picture("group-many")
        yes()
        browser.gone("dialog.ask")
        equal(len([m for m in server.api("machines")["machines"] if m["group"] == "room-101"]), found, "machines in it")

    with t.case("a refusal is said in the dialog, and what was typed stays"):
        one = next(m for m in server.api("machines")["machines"] if m["name"] == "reception")
        go(f"machine/{one['id']}")
        browser.wait("[data-action=snapshot]").click()
        fill("label", "one/../two")
        yes()
        browser.wait("dialog.ask .notice.bad")
        equal(browser.script("return document.querySelector('dialog.ask [name=label]').value"), "one/../two", "what was typed")
        browser.wait("dialog.ask [data-action=cancel]").click()
        browser.gone("dialog.ask")

    with t.case("what a page does to a machine it does to that one, whatever it is called by then"):
        go(f"machine/{one['id']}")
        until(lambda: "reception" in browser.wait("#d-name").text, 20, "its page")
        server.ctl("machine", "set", "reception", "name=was-reception")
        server.ctl("machine", "set", "pc-001", "name=reception")
        browser.script("document.querySelector('[data-action=snapshot]').click()")
        dialog()
        fill("label", "monday")
        yes()
        browser.gone("dialog.ask")
        equal([s["label"] for s in server.machine("was-reception")["snapshots"]], ["monday"], "snapshots of the one that was shown")
        equal(server.machine("reception")["snapshots"], [], "of the one that has its name")

    with t.case("what somebody types stays while the page is live, and only that is sent"):
        note = browser.wait("#f-note")
        note.type("third row")
        server.ctl("machine", "set", "was-reception", "restore-points=2")
        until(lambda: browser.script("return performance.now()") and "restore" in json.dumps(server.events("machine")), 20, "the event")
        equal(browser.script("return document.getElementById('f-note').value"), "third row", "what was typed")
        browser.wait("#editor button[type=submit]").click()
        until(lambda: server.machine("was-reception")["note"] == "third row", 20, "the note")
        equal(str(server.machine("was-reception")["restore_points"]), "2", "what somebody else had set")

    with t.case("a machine that was removed comes back from the trash"):
        go(f"machine/{one['id']}")
        browser.wait("[data-action=remove]").click()
        yes()
        browser.press("#trash [data-action=restore]", timeout=30)
        until(lambda: known("was-reception"), 20, "it is back")

    with t.case("an older version is published again, and named as what new machines get"):
        server.ctl("image", "import", path, "--name", "lab")
        server.ctl("image", "publish", "lab@2")
        go("images")
        state = "return [...document.querySelectorAll('#images tr')].map((r) => [r.querySelector('[data-is=name]').textContent, r.querySelector('[data-is=state]').textContent].join(' '))"
        until(lambda: "lab@2 new machines get this" in browser.script(state), 20, "the second is published")
        browser.wait('[data-action=publish][data-image="lab@1"]').click()
        dialog()
        yes()
        until(lambda: "lab@1 new machines get this" in browser.script(state), 20, "the first is published")

    with t.case("a thousand machines: only those that can be seen are in the document"):
        with open(os.path.join(t.lan.dir, "room.csv"), "w", encoding="ascii") as f:
            f.write("name,macs\n" + "".join(f"bulk-{n:04},{mac(1000 + n)}\n" for n in range(MANY)))
        server.ctl("machine", "import-csv", os.path.join(t.lan.dir, "room.csv"), timeout=120)
        go("machines/")
        browser.wait("#machines tr")
        browser.script("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")
        until(lambda: re.search(r"Machines 1,?0\d\d", browser.body()), 30, "the count")
        true(len(browser.all("#machines tr")) < 130, f"rows in the document: {len(browser.all('#machines tr'))}")
        browser.script("scrollTo(0, document.body.scrollHeight)")
        until(lambda: any(n.startswith(("pc-", "was-")) for n in names()), 20, "the last ones, at the end")
        browser.wait("#search")
        browser.script("scrollTo(0, 0); const s = document.getElementById('search'); s.value = 'bulk-0777'; s.dispatchEvent(new Event('input'))")
        until(lambda: names() == ["bulk-0777"], 20, "one of them")

    with t.case("no page is wider than a phone, or a tablet"):
        for width, height in (PHONE, (820, 1180)):
            browser.size(width, height)
            for page in (*PAGES, f"machine/{one['id']}"):
                go(page)
                until(lambda: browser.script("return document.querySelector('main section') !== null"), 20, page)
                over = browser.script("return document.documentElement.scrollWidth - innerWidth")
                true(over <= 0, f"{page} is {over} pixels wider than {width}")
                browser.picture(f"{page.replace('/', '-')}-{width}")
        browser.size(*WIDE)

    with t.case("dark where the system is dark"):
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = browser.script(ground)
        browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        true(browser.script(ground) != light, f"the ground stays {light}")
        browser.command("Emulation.setEmulatedMedia", features=[])

    with t.case("without a mouse: past the menu, to a machine, and into its page"):
        go("machines")
        browser.script("const s = document.getElementById('search'); s.value = 'bulk-0777'; s.dispatchEvent(new Event('input'));")
        until(lambda: names() == ["bulk-0777"], 20, "one machine")
        browser.command("Page.reload")
        until(lambda: names(), 20, "the page")
        browser.keys("Tab", "Enter")
        equal(browser.script("return document.activeElement.id"), "main", "where the skip link leads")
        for _ in range(40):
            browser.keys("Tab")
            if browser.script("return document.activeElement.dataset.is") == "name":
                break
        browser.keys("Enter")
        browser.wait("#d-name")

    with t.case("the overview draws what went on, and says it in words"):
        go("overview")
        until(lambda: browser.script("return [...document.querySelectorAll('#graphs path')].filter((p) => p.getAttribute('d')).length") == 5, 30, "five lines")
        said = browser.script("return document.querySelector('#graphs svg').getAttribute('aria-label')")
        true(re.match(r"Machines: running 0, booting 0; at most 0 since ", said), f"of the first: {said!r}")

    with t.case("in French"):
        browser.script("localStorage.setItem('language', 'fr')")
        browser.go(server.url + "/#/overview")
        browser.command("Page.reload")
        browser.wait_text("Se déconnecter")
        equal(browser.script("return document.documentElement.lang"), "fr", "the language of the page")
        english = [text for text in ("Machines' own disks", "Storage saved", "What happened", "All events") if text in browser.body()]
        equal(english, [], "what is still English")
        browser.picture("french")
        browser.script("localStorage.removeItem('language')")

    with t.case("eight tabs are all live, over one event stream"):
        for _ in range(8):
            browser.tab()
            browser.go(server.url + "/#/events")
            browser.wait("#live.on", timeout=30)
        server.ctl("group", "add", "seen-everywhere")
        browser.wait_text("seen-everywhere")

    with t.case("no error in the browser's console"):
        # What was refused on purpose; and an image of which nothing was ever rolled out.
        bad = [e for e in browser.errors() if not re.search(r"\b(401|403|400|409)\b|/rollout - .*\b404\b", e)]
        equal(bad, [], "errors")
    browser.close()
