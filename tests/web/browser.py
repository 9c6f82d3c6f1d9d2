# SPDX-License-Identifier: GPL-2.0-or-later
"""Chromium, driven through chromedriver by the WebDriver protocol (W3C), with nothing but Python's own library."""
import base64, json, os, shutil, socket, subprocess, sys, urllib.error, urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from e2e import Failed, Process, SLOW, until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"       # WebDriver §12: how an element is named in JSON
PORT = 9515                                           # free: every test has a network namespace of its own
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,900"]

KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c"}  # WebDriver §17.4.2


class Element:
    def __init__(self, browser, ident):
        self.browser, self.ident = browser, ident

    def click(self):
        self.browser.call("POST", f"/element/{self.ident}/click", {})

    def type(self, text):
        self.browser.call("POST", f"/element/{self.ident}/value", {"text": text})

    @property
    def text(self):
        return self.browser.call("GET", f"/element/{self.ident}/text")

    @property
    def shown(self):
        return self.browser.call("GET", f"/element/{self.ident}/displayed")


def name_localhost(directory):
    """chromedriver asks for "localhost", which debootstrap's root does not know: it has no /etc/hosts, or one without that name. Here,
    where mounts are this test's own, /etc becomes a copy in memory that has it."""
    try:
        socket.gethostbyname("localhost")
        return
    except OSError:
        pass
    copy = os.path.join(directory, "etc")
    os.mkdir(copy)
    for command in (["mount", "-t", "tmpfs", "etc", copy], ["cp", "-a", "/etc/.", copy], ["mount", "--move", copy, "/etc"]):
        subprocess.run(command, check=True)
    with open("/etc/hosts", "a") as f:
        f.write("127.0.0.1 localhost\n")


class Browser:
    def __init__(self, lan, *flags):
        self.lan, self.session = lan, ""
        if not shutil.which("chromedriver") or not shutil.which("chromium"):
            raise Failed("Chromium is missing; run: apt-get install chromium chromium-driver")
        name_localhost(lan.dir)
        self.profile = os.path.join(lan.dir, "chromium")
        self.driver = Process(lan, "chromedriver", ["chromedriver", f"--port={PORT}"])
        self.driver.out.wait(r"started successfully", 30, "chromedriver")
        self.log = os.path.join(lan.dir, "browser.log")
        got = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": [*FLAGS, *flags, f"--user-data-dir={self.profile}"]}}}}, timeout=90)
        self.session = "/session/" + got["sessionId"]

    def call(self, method, path, body=None, timeout=30):
        data = None if body is None else json.dumps(body).encode()
        r = urllib.request.Request(f"http://127.0.0.1:{PORT}{self.session}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(r, timeout=timeout * SLOW) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            v = json.load(e)["value"]
            raise Failed(f"WebDriver {method} {path}: {v['error']}: {v['message'].splitlines()[0]}") from None

    def go(self, url):
        self.call("POST", "/url", {"url": url}, timeout=60)

    @property
    def url(self):
        return self.call("GET", "/url")

    def all(self, css):
        found = self.call("POST", "/elements", {"using": "css selector", "value": css})
        return [Element(self, e[ELEMENT]) for e in found]

    def wait(self, css, timeout=20):
        """The first element that fits and is shown; waits for it."""
        def first():
            try:
                return next((e for e in self.all(css) if e.shown), None)
            except Failed as e:                       # the page was changing just then
                if "stale" in str(e) or "no such" in str(e):
                    return None
                raise
        try:
            return until(first, timeout, f"the page shows {css}")
        except Failed as e:
            raise Failed(f"{e}; at {self.url}, picture {self.picture()}, text: {self.body()[:300]!r}") from None

    def press(self, css, timeout=20):
        """A click on the first that is shown, also where the page has just put another one in its place."""
        def pressed():
            try:
                self.wait(css, timeout).click()
                return True
            except Failed as e:
                if "stale" in str(e):
                    return False
                raise
        until(pressed, timeout, f"a click on {css}")

    def gone(self, css, timeout=20):
        def none():
            try:
                return not any(e.shown for e in self.all(css))
            except Failed as e:                       # it went while it was asked
                if "stale" in str(e) or "no such" in str(e):
                    return False
                raise
        until(none, timeout, f"the page no longer shows {css}")

    def body(self):
        return self.script("return document.body ? document.body.innerText : ''")

    def wait_text(self, text, timeout=20):
        try:
            until(lambda: text in self.body(), timeout, f"the page says {text!r}")
        except Failed as e:
            raise Failed(f"{e}; at {self.url}, picture {self.picture()}, text: {self.body()[:300]!r}") from None

    def script(self, code, *args):
        return self.call("POST", "/execute/sync", {"script": code, "args": list(args)})

    def move_to(self, element):
        """The pointer, without a click."""
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
            {"type": "pointerMove", "duration": 0, "origin": {ELEMENT: element.ident}, "x": 0, "y": 0}]}]})

    def keys(self, *keys):
        """Keys, pressed one after the other; names of KEYS or characters."""
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [
            {"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]}]})

    def size(self, width, height):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def command(self, name, **arguments):
        """Of Chromium's own protocol, for what WebDriver has no word for."""
        return self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": arguments})

    def tab(self):
        """Opens another tab and goes on there; its handle."""
        handle = self.call("POST", "/window/new", {"type": "tab"})["handle"]
        self.call("POST", "/window", {"handle": handle})
        return handle

    def picture(self, name="page"):
        path = os.path.join(self.lan.dir, name + ".png")
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("GET", "/screenshot")))
        return path

    def errors(self):
        """What the page wrote to the console as an error: scripts that fail, files that are missing."""
        return [e["message"] for e in self.call("POST", "/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]

    def close(self):
        self.call("DELETE", "")
