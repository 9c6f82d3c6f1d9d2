# SPDX-License-Identifier: GPL-2.0-or-later
"""What every end-to-end test stands on: a LAN of its own, processes that can be waited for, and how cases are reported.

Every test runs in network, mount and process namespaces without a name (enter()): nothing it starts can outlive
it, and two tests never meet. Inside, br0 is the LAN, the server is at .1, and /run is empty and private.
Waiting is always for an event (a line on a console, a process that ends) with a limit, never for a guessed time.
"""
import contextlib, ctypes, fcntl, glob, os, re, shlex, shutil, signal, subprocess, sys, threading, time, traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests"))
import cases
import loop_watch
from namespaces import own_mounts
MODE = os.environ.get("MODE", "release")
BUILD = os.environ.get("E2E_BUILD") or os.path.join(TOP, "build", MODE)
CACHE = os.environ.get("E2E_CACHE", os.path.join(TOP, "build", "e2e-cache"))
SLOW = float(os.environ.get("E2E_SLOW", "4" if MODE in ("asan", "tsan") else "2"))     # stretches every limit
ANSI = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")


class Failed(Exception):
    """What a test says when something is not as it has to be."""


class LeftOut(Exception):
    """A vital case has failed, and has said so; or what the rest needs is not here."""


class Unreachable(Exception):
    """What a test needs cannot be fetched from here."""


HOST = {}         # what the test was started in: "net" and "mnt" namespace, "root" and "top" directory -> descriptor


# What a test does first; a container may forbid any of it.
PROBE = "mount -t tmpfs run /run && ip link add br0 type bridge && ip tuntap add dev tap1 mode tap && ip link set tap1 master br0"


def why_not():
    """Why no test can run here; None where it can."""
    if os.geteuid() != 0:
        return "must run as root (namespaces, bridge, taps)"
    p = subprocess.run([*own_mounts("--net", "--pid", "--fork", "--kill-child", "--mount-proc"), "sh", "-c", PROBE],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = "; ".join(p.stdout.split("\n")).strip("; ") or p.returncode
    return f"needs namespaces, a bridge and /dev/net/tun (a container: --privileged): {said}" if p.returncode else None


def allow_ipv6():
    """In this namespace, whatever the host does by default; False where the kernel has none."""
    for which in ("all", "default", "lo"):
        try:
            with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w") as f:
                f.write("0")
        except FileNotFoundError:
            return False
        except OSError:
            pass                         # as the host has it
    return True


def enter():
    """Goes on in namespaces of its own; the process that called only waits for it and hands SIGTERM on."""
    if os.environ.get("E2E_INSIDE"):
        # Whoever runs below must not believe to be inside already.
        HOST.update(zip(("net", "mnt", "root", "top"), map(int, os.environ.pop("E2E_INSIDE").split(","))))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        sh("mount -t tmpfs -o mode=755 run /run")
        sh("mount -t sysfs sysfs /sys", check=False)
        sh("mount -t tracefs tracefs /sys/kernel/tracing", check=False)             # for server/base/loop_watch.h
        allow_ipv6()
        sh("ip link set lo up")
        return
    if why := why_not():
        print(f"skip {os.path.splitext(os.path.basename(sys.argv[0]))[0]} {why}")
        sys.exit(0)
    keep = [os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/net", "/proc/self/ns/mnt", "/", TOP)]
    command = [*own_mounts("--net", "--pid", "--fork", "--kill-child", "--mount-proc"), sys.executable, "-u", *sys.argv]
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
    options = {"net": "net", "mnt": "mount", "root": "root", "top": "wd"}
    return ["nsenter", *(f"--{options[name]}=/proc/self/fd/{fd}" for name, fd in HOST.items()), *argv]


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
        self.ipv6 = allow_ipv6()
        if self.ipv6:
            self.start_router6()

    def start_router6(self):
        sh("ip addr add fd00:e2e::1/64 dev br0 nodad")
        Process(self, "router6", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--interface=br0", "--bind-dynamic", "--enable-ra",
                                  "--dhcp-range=fd00:e2e::,ra-only,64", "--ra-param=br0,0,60", "--pid-file=", "--user=root",
                                  "--log-facility=-", f"--dhcp-leasefile={self.dir}/router6.leases"])

    def bridge(self, name):
        """Another network, on which the server is not."""
        sh(f"ip link add {name} type bridge forward_delay 0 stp_state 0")
        sh(f"ip link set {name} up")
        return name

    def tap(self, bridge="br0"):
        self.taps += 1
        name = f"tap{self.taps}"
        sh(f"ip tuntap add dev {name} mode tap vnet_hdr")
        sh(f"ip link set {name} master {bridge} up")
        return name

    def neighbour(self, name, address, argv, bridge="br0"):
        """Somebody else's program on the LAN: in a network namespace of its own, with eth0 on the bridge at address/24."""
        script = 'until ip link set eth0 up 2>/dev/null; do sleep 0.05; done; ip addr add "$1/24" dev eth0; shift; exec "$@"'
        other = Process(self, name, ["unshare", "--net", "sh", "-c", script, name, address, *argv])
        until(lambda: os.readlink(f"/proc/{other.pid}/ns/net") != os.readlink("/proc/self/ns/net"), 5, f"{name}'s namespace")
        sh(f"ip link add {name} type veth peer name eth0 netns {other.pid}")
        sh(f"ip link set {name} master {bridge} up")
        return other

    def stop(self):
        for t in reversed(self.things):
            t.stop()

    def close(self, keep):
        self.stop()
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


class Suite:
    """One test program: a LAN and its cases, each reported as `ok NAME`, `not ok NAME reason` or `skip NAME reason`.

        with Suite() as t:
            server = Server(t.lan)
            with t.case("a thing is so"):
                ...

    Each case of the source is reported (cases.py says which there are), those too that a vital one left out.
    The directory with all logs stays where it is when something failed."""

    def __init__(self, **lan):
        enter()
        self.lan, self.bad, self.why = Lan(**lan), 0, None
        self.left = cases.of(sys.argv[0])

    def __enter__(self):
        return self

    @contextlib.contextmanager
    def case(self, name, vital=False):
        """vital: where it fails the cases after it could only fail too, slowly, and are left out."""
        self._reached(name)
        t0 = time.monotonic()
        try:
            yield
        except Exception as e:
            self.bad += 1
            reason = str(e) if isinstance(e, Failed) else traceback.format_exc(limit=-3)
            print(f"not ok {name} {' '.join(reason.split())}", flush=True)
            if vital:
                self.why = f"left out, as \"{name}\" failed"
                raise LeftOut from None
        else:
            print(f"ok {name} # {time.monotonic() - t0:.1f} s", flush=True)

    def skip(self, name, reason):
        self._reached(name)
        print(f"skip {name} {reason}", flush=True)

    def leave_out(self, why):
        """Skips the cases that are left: what they need cannot be had here."""
        self.why = why
        raise LeftOut

    def _reached(self, name):
        true(name in self.left, f"the case \"{name}\" comes twice")
        self.left.remove(name)

    def _rest(self):
        """What has not been reached, which without a reason is a failure."""
        for name in self.left:
            self.bad += not self.why
            print(f"skip {name} {self.why}" if self.why else f"not ok {name} was neither run nor skipped", flush=True)

    def __exit__(self, kind, value, tb):
        if kind and issubclass(kind, Exception):
            if kind is not LeftOut:
                self.bad, self.why = self.bad + 1, f"left out, as {self.lan.name} could not go on"
                reason = str(value) if kind is Failed else "".join(traceback.format_exception(kind, value, tb, limit=-3))
                print(f"not ok {self.lan.name} {' '.join(reason.split())}", flush=True)
        if kind is None or issubclass(kind, Exception):
            self._rest()
        self.lan.stop()
        for log in glob.glob(os.path.join(self.lan.dir, "*.err")):
            with open(log, errors="replace") as f:
                self.bad += not loop_watch.judge(self.lan.name, f.read(), os.path.join(BUILD, "sanbootd"))
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


# What build-debian.sh makes, by what it is told. The first is the one whose packages the others start from.
DEBIAN = {"debian.raw": ["--cloud-init"], "debian-dracut.raw": ["--initramfs", "dracut", "--cloud-init"],
          "debian-multipath.raw": ["--multipath"]}


def guest(name):
    """The path of tiny.raw, tiny.iso, int13.raw (make-guests.sh), the folder installer (make-installer.sh) or one of DEBIAN (build-debian.sh),
    made where it is not there or is old."""
    path = os.path.join(CACHE, name)
    if name == "installer":
        return _made(path, [os.path.join(HERE, "make-installer.sh")], False)          # it looks itself
    if name not in DEBIAN:
        return _made(path, [os.path.join(HERE, "make-guests.sh")], os.path.exists(path))
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "debian.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)            # another test may want the same, or another of them
        for each in dict.fromkeys((next(iter(DEBIAN)), name)):
            path = os.path.join(CACHE, each)
            script = os.path.join(TOP, "packaging", "golden", "build-debian.sh")
            argv = [script, "--out", path, "--profile", "test", "--work", os.path.join(CACHE, "debian"), "--keep-rootfs", *DEBIAN[each]]
            _made(path, argv, os.path.exists(path) and os.path.getmtime(path) > os.path.getmtime(script))
    return path


def _made(path, argv, fresh):
    if not fresh:
        # on the host: only there is the network that packages come from
        p = subprocess.run(on_host(*argv), pass_fds=tuple(HOST.values()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if p.returncode == 3:
            raise Unreachable(p.stdout.strip()[-300:])
        if p.returncode:
            raise Failed(f"{argv[0]}: {p.stdout.strip()[-300:]}")
    return path
