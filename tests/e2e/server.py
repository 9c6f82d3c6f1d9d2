# SPDX-License-Identifier: GPL-2.0-or-later
"""sanbootd under test, and everything that is asked of it: by sanbootctl, by the control socket, by HTTP as machines do."""
import http.client, json, os, re, shlex, signal, socket, subprocess, urllib.error, urllib.request

from lan import BUILD, MODE, SLOW, Failed, Process, guest, until


class Server:
    """sanbootd with a state directory of its own, and sanbootctl for it."""

    def __init__(self, lan, dhcp="full", interface="br0", state=None, runtime="/run/sanbootd", extra=(), start=True):
        self.lan, self.state, self.runtime = lan, state or os.path.join(lan.dir, "state"), runtime
        self.url = f"http://{lan.ip}:8080"
        self.argv = [os.path.join(BUILD, "sanbootd"), "--state-dir", self.state, "--runtime-dir", runtime,
                     "--http", f"{lan.ip}:8080", "--iscsi", f"{lan.ip}:3260", "--dhcp", dhcp]
        if dhcp != "off":
            self.argv += ["--interface", interface]
        if dhcp == "full":
            self.argv += ["--dhcp-range", f"{lan.net}.100,{lan.net}.200"]
        self.argv += list(extra)
        self.proc = None
        os.makedirs(self.state, exist_ok=True)
        if not os.access(self.argv[0], os.X_OK):
            raise Failed(f"{self.argv[0]} is missing: run make MODE={MODE}")
        if start:
            self.start()

    def few_cards_only(self):
        """What an import said of a Debian that was built for tests: its initramfs has the drivers of QEMU's network cards, and no others."""
        said = self.api("images")["images"][0]["versions"][0]["warnings"]
        if len(said) != 1 or "drivers for few network cards" not in said[0]:
            raise Failed(f"the import said {said}")

    def start(self, timeout=30):
        os.makedirs(self.runtime, exist_ok=True)
        self.proc = Process(self.lan, "sanbootd", self.argv, merge=False)
        m = self.proc.out.wait(r"ready http=(\S+) iscsi=(\S+) control=(\S+)", timeout, "sanbootd")
        self.control = m.group(3)
        return self

    def log(self):
        """Everything it has logged until now."""
        with open(os.path.join(self.lan.dir, "sanbootd.err"), errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, timeout=20):
        return until(lambda: re.search(pattern, self.log()), timeout, f"sanbootd's log: /{pattern}/")

    def stop(self):
        """SIGTERM; it has to end by itself and say 0."""
        code = self.proc.stop(signal.SIGTERM)
        if code != 0:
            raise Failed(f"sanbootd ended with {code} on SIGTERM; see {self.lan.dir}/sanbootd.err")

    def kill(self):
        self.proc.stop(signal.SIGKILL)

    def run(self, *args, timeout=120):
        """sanbootctl ARGS: exit code, standard output, standard error."""
        p = subprocess.run([os.path.join(BUILD, "sanbootctl"), "--runtime-dir", self.runtime, *map(str, args)],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=timeout * SLOW)
        return p.returncode, p.stdout, p.stderr

    def ctl(self, *args, timeout=120):
        """sanbootctl ARGS has to succeed; gives what it printed."""
        code, out, err = self.run(*args, timeout=timeout)
        if code:
            raise Failed(f"sanbootctl {shlex.join(map(str, args))}: exit code {code}: {(err or out).strip()}")
        return out

    def json(self, *args):
        out = self.ctl("--json", *args)
        try:
            return json.loads(out)
        except ValueError:
            raise Failed(f"sanbootctl --json {shlex.join(map(str, args))}: no JSON: {out[:200]!r}") from None

    def api(self, path):
        """GET /api/v1/PATH over the control socket."""
        c = http.client.HTTPConnection("localhost", timeout=20 * SLOW)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(self.control)
        c.request("GET", "/api/v1/" + path)
        r = c.getresponse()
        got = json.loads(r.read())
        if r.status != 200:
            raise Failed(f"GET /api/v1/{path}: {r.status} {got}")
        return got

    def machines(self):
        got = self.json("machine", "list")
        return got["machines"] if isinstance(got, dict) else got

    def machine_of(self, vm):
        """The machine that has this MAC, or None."""
        for m in self.machines():
            if vm.mac in m["macs"]:
                return m
        return None

    def waiting(self):
        return self.api("waiting")["waiting"]

    def events(self, text=""):
        """Events whose JSON contains the text."""
        got = self.json("events")
        got = got["events"] if isinstance(got, dict) else got
        return [e for e in got if text in json.dumps(e)]

    def machine(self, name):
        return self.json("machine", "show", name)

    def closed(self, name, timeout=40):
        """Waits until the disk of a machine that is off is closed and clean; gives its path."""
        self.ctl("machine", "release", name)          # nobody answers: without this TCP would take a minute to notice
        def clean():
            d = self.machine(name).get("disk") or {}
            return d if d.get("clean") else None
        d = until(clean, timeout, f"{name}: a clean, closed disk")
        path = d["path"]
        return path if os.path.isabs(path) else os.path.join(self.state, path)

    def check_disk(self, name, timeout=40):
        """Closed, and without a fault for qemu-img."""
        path = self.closed(name, timeout)
        p = subprocess.run(["qemu-img", "check", "-f", "qcow2", path], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise Failed(f"qemu-img check {path}: {p.returncode}: {p.stdout.strip()}")
        return path

    def get(self, path, timeout=10):
        """GET: status and text; an error status is an answer like another."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout * SLOW) as r:
                return r.status, r.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode("utf-8", "replace")

    def ask(self, mac, **more):
        """GET /boot, as a machine does: the script."""
        query = "".join(f"&{k}={v}" for k, v in more.items())
        status, text = self.get(f"/boot?mac={mac}&platform=pcbios&buildarch=i386{query}")
        if status != 200 or not text.startswith("#!ipxe"):
            raise Failed(f"GET /boot?mac={mac}: {status} {text[:200]!r}")
        return text

    def tiny(self):
        """Imports the tiny guest as the default image."""
        self.ctl("image", "import", guest("tiny.raw"), "--name", "tiny", "--default")
        return self
