# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness of the end-to-end tests: a LAN of its own, sanbootd on it, and diskless virtual machines.

Every test runs in network, mount and process namespaces without a name (enter()): nothing it starts can outlive
it, and two tests never meet. Inside, br0 is the LAN, the server is at .1, and /run is empty and private.
Waiting is always for an event (a line on a console, a process that ends) with a limit, never for a guessed time.
"""
import contextlib, ctypes, http.client, json, os, re, shlex, shutil, signal, socket, subprocess, sys, threading, time, traceback
import urllib.error, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
MODE = os.environ.get("MODE", "release")
BUILD = os.environ.get("E2E_BUILD") or os.path.join(TOP, "build", MODE)
CACHE = os.environ.get("E2E_CACHE", os.path.join(TOP, "build", "e2e-cache"))
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
OVMF = os.environ.get("OVMF", "/usr/share/OVMF/OVMF_CODE.fd")
SLOW = float(os.environ.get("E2E_SLOW", "3" if MODE in ("asan", "tsan") else "1"))     # stretches every limit
ANSI = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


class Failed(Exception):
    """What a test says when something is not as it has to be."""


HOST = {}         # name of a namespace -> descriptor of the one that the test was started in


def enter():
    """Goes on in namespaces of its own; the process that called only waits for it and hands SIGTERM on."""
    if os.environ.get("E2E_INSIDE"):
        # Whoever runs below must not believe to be inside already.
        HOST.update(zip(("net", "mount"), map(int, os.environ.pop("E2E_INSIDE").split(","))))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        sh("mount -t tmpfs -o mode=755 run /run")
        sh("mount -t sysfs sysfs /sys", check=False)
        sh("ip link set lo up")
        return
    if os.geteuid() != 0:
        print(f"skip {os.path.basename(sys.argv[0])} must run as root (namespaces, bridge, taps)")
        sys.exit(0)
    keep = [os.open("/proc/self/ns/" + n, os.O_RDONLY) for n in ("net", "mnt")]
    command = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
               sys.executable, "-u", *sys.argv]
    die_with_parent = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)         # PR_SET_PDEATHSIG
    child = subprocess.Popen(command, pass_fds=keep, preexec_fn=die_with_parent,
                             env=dict(os.environ, E2E_INSIDE=",".join(map(str, keep))))
    def hand_on(number, _):
        with open(f"/proc/{child.pid}/task/{child.pid}/children") as f:
            for pid in f.read().split():
                os.kill(int(pid), number)
    signal.signal(signal.SIGTERM, hand_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)                                # the terminal tells it to the test as well
    sys.exit(child.wait())


def on_host(*argv):
    """The command line that runs argv in the network and the file tree that the test was started in."""
    return ["nsenter", f"--net=/proc/self/fd/{HOST['net']}", f"--mount=/proc/self/fd/{HOST['mount']}", "--wd=" + TOP, *argv]


def sh(command, check=True):
    """Runs a command line, gives its output; complains with that output when it fails."""
    p = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and p.returncode:
        raise Failed(f"{command}: {p.stdout.strip() or p.returncode}")
    return p.stdout


class Stream:
    """What a process writes, line by line with times into a file, and as text that can be waited for."""

    def __init__(self, pipe, path):
        self.text, self.done, self.pos = "", False, 0
        self.cond = threading.Condition()
        self.pipe, self.path, self.t0 = pipe, path, time.monotonic()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        fd, pending, column = self.pipe.fileno(), "", 0
        with open(self.path, "a", buffering=1) as log:
            while data := os.read(fd, 65536):
                pending += data.decode("latin1")
                cut = pending.rfind("\x1b")                # perhaps only the first half of a control sequence
                if cut < 0 or len(pending) - cut > 12:
                    cut = len(pending)
                clean, pending = ANSI.sub("", pending[:cut]), pending[cut:]
                for part in clean.splitlines(keepends=True):
                    log.write((f"{time.monotonic() - self.t0:9.3f} " if column == 0 else "") + part)
                    column = 0 if part.endswith("\n") else 1
                with self.cond:
                    self.text += clean
                    self.cond.notify_all()
        with self.cond:
            self.text += pending
            self.done = True
            self.cond.notify_all()

    def wait(self, pattern, timeout, what):
        """The first match after what earlier waits have consumed."""
        end = time.monotonic() + timeout * SLOW
        regex = re.compile(pattern)
        with self.cond:
            while True:
                m = regex.search(self.text, self.pos)
                if m:
                    self.pos = m.end()
                    return m
                left = end - time.monotonic()
                if self.done or left <= 0:
                    why = "ended" if self.done else f"nothing within {timeout * SLOW:.0f} s"
                    raise Failed(f"{what}: waited for /{pattern}/: {why}; last: {self.text[-400:]!r}; see {self.path}")
                self.cond.wait(min(left, 1.0))

    def seen(self, pattern):
        """Whether it was written at any time."""
        with self.cond:
            return re.search(pattern, self.text) is not None

    def skip(self):
        """Later waits look only at what comes from now on."""
        with self.cond:
            self.pos = len(self.text)


class Lan:
    """br0 with the server's address, a directory for logs and state, and everything that was started on it."""

    def __init__(self, net="10.77.0", name=None):
        self.net, self.ip = net, net + ".1"
        self.name = name or os.path.splitext(os.path.basename(sys.argv[0]))[0]
        self.dir = os.path.join(TOP, "build", "e2e", f"{self.name}.{os.getpid()}.{int(time.time())}")
        os.makedirs(self.dir)
        sh("ip link add br0 type bridge forward_delay 0 stp_state 0")
        sh(f"ip addr add {self.ip}/24 dev br0")
        sh("ip link set br0 up")
        self.things, self.taps = [], 0
        # An IPv6 router: where there is none iPXE waits 13 s for one.
        sh("ip addr add fd00:e2e::1/64 dev br0 nodad")
        Process(self, "router6", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=br0", "--bind-dynamic", "--enable-ra",
                                  "--dhcp-range=fd00:e2e::,ra-only,64", "--ra-param=br0,0,60", "--pid-file=", "--user=root",
                                  "--log-facility=-", f"--dhcp-leasefile={self.dir}/router6.leases"])

    def tap(self):
        self.taps += 1
        name = f"tap{self.taps}"
        sh(f"ip tuntap add dev {name} mode tap vnet_hdr")
        sh(f"ip link set {name} master br0 up")
        return name

    def leg(self, name, address=None):
        """A veth pair whose one end is on the bridge: somebody else on the LAN."""
        sh(f"ip link add {name} type veth peer name {name}b")
        sh(f"ip link set {name}b master br0 up")
        sh(f"ip link set {name} up")
        if address:
            sh(f"ip addr add {address} dev {name}")

    def close(self, keep):
        for t in reversed(self.things):
            t.stop()
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)


class Process:
    """A program on the LAN, with its log."""

    def __init__(self, lan, name, argv, stdin=subprocess.DEVNULL, merge=True):
        self.lan, self.name = lan, name
        log = os.path.join(lan.dir, name + ".log")
        err = subprocess.STDOUT if merge else open(os.path.join(lan.dir, name + ".err"), "ab")
        with open(os.path.join(lan.dir, name + ".cmd"), "a") as f:
            f.write(shlex.join(argv) + "\n")
        self.proc = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=err)
        self.out = Stream(self.proc.stdout, log)
        lan.things.append(self)

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def stop(self, sig=signal.SIGTERM, timeout=20):
        """Ends it; gives the exit code."""
        if self.alive():
            self.proc.send_signal(sig)
            try:
                self.proc.wait(timeout * SLOW)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        if self in self.lan.things:
            self.lan.things.remove(self)
        return self.proc.returncode


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


def until(fn, timeout, what):
    """Asks again and again (a tenth of a second apart) until the answer is true; gives the answer."""
    end = time.monotonic() + timeout * SLOW
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {timeout * SLOW:.0f} s")
        time.sleep(0.1)


class VM:
    """A diskless machine. Its console can be waited for and written to."""

    def __init__(self, lan, number, uefi=False, rom=None, nic="virtio-net-pci", mem=None, mac=None, uuid=None,
                 name=None, action="", reboot=True, args=(), start=True):
        self.lan, self.uefi = lan, uefi
        self.name = name or f"vm{number}"
        self.mac = mac or f"52:54:00:e2:00:{number:02x}"
        self.uuid = uuid or f"5a4b0075-0000-4000-8000-{number:012x}"
        self.mem = mem or (320 if uefi else 128)
        self.tapdev = lan.tap()
        rom = {None: "", "none": ",romfile="}.get(rom, f",romfile={rom}")
        esc = lambda s: s.replace(",", ",,")
        self.argv = [QEMU, "-name", self.name, "-accel", "tcg,thread=multi,tb-size=128", "-machine", "q35",
                     "-cpu", "Nehalem", "-smp", "1", "-m", str(self.mem), "-nodefaults", "-nographic",
                     "-serial", "stdio", "-qmp", f"unix:{lan.dir}/{self.name}.qmp,server=on,wait=off",
                     "-netdev", f"tap,id=n0,ifname={self.tapdev},script=no,downscript=no",
                     "-device", f"{nic},netdev=n0,mac={self.mac},bootindex=1{rom}",
                     "-device", "virtio-rng-pci", "-uuid", self.uuid,
                     "-smbios", f"type=1,serial={self.name}", "-boot", "strict=on"]
        if action:
            self.argv += ["-smbios", f"type=3,asset=e2e:{esc(action)}"]
        if uefi:
            self.argv += ["-bios", OVMF]
        if not reboot:
            self.argv += ["-no-reboot"]
        self.argv += list(args)
        self.proc = None
        if start:
            self.start()

    def start(self):
        self.t0 = time.monotonic()
        self.proc = Process(self.lan, self.name, self.argv, stdin=subprocess.PIPE)
        return self

    def wait(self, pattern, timeout=180):
        """The first match after what was waited for before, in a line that is complete."""
        return self.proc.out.wait(pattern if pattern.endswith("\\n") else f"(?:{pattern})[^\n]*\n", timeout, self.name)

    def seen(self, pattern):
        return self.proc.out.seen(pattern)

    def proof(self, timeout=240, **want):
        """Waits for the next proof line, compares fields of it (as text), gives all of them."""
        m = self.wait(r"DISKLESS-BOOT-(?:OK|FAILED)([^\n]*)\n", timeout)
        if "FAILED" in m.group(0):
            raise Failed(f"{self.name}: {m.group(0).strip()}")
        got = dict(w.split("=", 1) for w in m.group(1).split() if "=" in w)
        got["seconds"] = time.monotonic() - self.t0
        for k, v in want.items():
            if got.get(k) != str(v):
                raise Failed(f"{self.name}: {k}={got.get(k)} instead of {v} in: {m.group(0).strip()}")
        return got

    def send(self, line):
        """A line for the guest (see tiny-init for what it understands)."""
        self.proc.proc.stdin.write(line.encode() + b"\n")
        self.proc.proc.stdin.flush()

    def ask(self, line, pattern, timeout=60):
        self.proc.out.skip()
        self.send(line)
        return self.wait(pattern, timeout)

    def tick(self, n=1, timeout=120):
        """Waits for the next n synchronous writes of the guest; each must have succeeded."""
        for _ in range(n):
            m = self.wait(r"E2E-TICK (\d+) (\w+)[^\n]*\n", timeout)
            if m.group(2) != "OK":
                raise Failed(f"{self.name}: {m.group(0).strip()}")
        return int(m.group(1))

    def no_errors(self):
        """The guest's kernel and its writer saw no I/O error."""
        for bad in (r"I/O error", r"E2E-TICK \d+ ERROR", r"Remounting filesystem read-only", r"EXT4-fs error"):
            if self.seen(bad):
                raise Failed(f"{self.name}: the guest saw: {bad}; see {self.proc.out.path}")

    def off(self, timeout=60):
        """Waits until it has switched itself off."""
        try:
            self.proc.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: did not switch itself off within {timeout * SLOW:.0f} s") from None
        self.proc.stop()

    def poweroff(self):
        self.send("poweroff")
        self.off()

    def stop(self):
        """The plug is pulled."""
        if self.proc:
            self.proc.stop(signal.SIGKILL)

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(f"{self.lan.dir}/{self.name}.qmp")
            f = s.makefile("rw")
            f.readline()
            for c in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                f.write(json.dumps(c) + "\n")
                f.flush()
                while "return" not in (answer := json.loads(f.readline())):
                    if "error" in answer:
                        raise Failed(f"{self.name}: {command}: {answer['error']['desc']}")


class Suite:
    """One test program: a LAN and its cases, each reported as `ok NAME`, `not ok NAME reason` or `skip NAME reason`.

        with Suite() as t:
            server = Server(t.lan)
            with t.case("a thing is so"):
                ...

    The directory with all logs stays where it is when something failed."""

    def __init__(self, **lan):
        enter()
        self.lan, self.bad = Lan(**lan), 0

    def __enter__(self):
        return self

    @contextlib.contextmanager
    def case(self, name, vital=False):
        """vital: where it fails the cases after it could only fail too, slowly, and are left out."""
        t0 = time.monotonic()
        try:
            yield
        except Exception as e:
            self.bad += 1
            reason = str(e) if isinstance(e, Failed) else traceback.format_exc(limit=-3)
            print(f"not ok {name} {' '.join(reason.split())}", flush=True)
            if vital:
                raise Failed(f"the cases after \"{name}\" were left out") from None
        else:
            print(f"ok {name} # {time.monotonic() - t0:.1f} s", flush=True)

    def skip(self, name, reason):
        print(f"skip {name} {reason}", flush=True)

    def __exit__(self, kind, value, tb):
        if kind and issubclass(kind, Exception):
            self.bad += 1
            reason = str(value) if kind is Failed else "".join(traceback.format_exception(kind, value, tb, limit=-3))
            print(f"not ok {self.lan.name} {' '.join(reason.split())}", flush=True)
        if self.bad:
            print(f"# logs: {self.lan.dir}", flush=True)
        self.lan.close(keep=bool(self.bad) or os.environ.get("E2E_KEEP") == "1")
        if kind is None or issubclass(kind, Exception):
            sys.exit(1 if self.bad else 0)


def equal(got, want, what):
    if got != want:
        raise Failed(f"{what}: {got!r} instead of {want!r}")


def true(got, what):
    if not got:
        raise Failed(what)
    return got


def guest(name):
    """The path of tiny.raw, int13.raw (make-guests.sh) or debian.raw (build-debian.sh), made where it is not there or is old."""
    path = os.path.join(CACHE, name)
    if name == "debian.raw":
        script = os.path.join(TOP, "packaging", "golden", "build-debian.sh")
        argv = [script, "--out", path, "--profile", "test", "--work", os.path.join(CACHE, "debian"), "--keep-rootfs"]
        fresh = os.path.exists(path) and os.path.getmtime(path) > os.path.getmtime(script)
    else:
        argv, fresh = [os.path.join(HERE, "make-guests.sh")], os.path.exists(path)
    if not fresh:
        # on the host: only there is the network that packages come from
        p = subprocess.run(on_host(*argv), pass_fds=tuple(HOST.values()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise Failed(f"{argv[0]}: {p.stdout.strip()[-300:]}")
    return path
