# SPDX-License-Identifier: GPL-2.0-or-later
"""The targets that are measured, each with the same golden data: sanbootd, tgt and the bound; SPDK is in spdk.py."""
import glob, http.client, itertools, json, os, re, select, signal, socket, subprocess, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SANBOOTD_BUILD", os.path.join(TOP, "build", "release"))
TARGET_CORE, GENERATOR_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]      # a container may have others than 0 and 1


class Failed(Exception):
    """With what failed and where its log is."""


running = []            # every process that was launched and may be there still


def on_core(core, argv):
    """NICE=-15: targets and generator go first, where the machine is busy with something else."""
    nice = ["nice", "-n", os.environ["NICE"]] if os.environ.get("NICE") else []
    # Whatever happens to this process, nothing of it stays behind.
    return ["setpriv", "--pdeathsig", "KILL", *nice, "taskset", "-c", str(core), *map(str, argv)]


def launch(core, argv, **more):
    """In a process group of its own: a Ctrl-C is for this program, which then stops the others in order."""
    running[:] = [p for p in running if p.poll() is None]
    running.append(subprocess.Popen(on_core(core, argv), process_group=0, **more))
    return running[-1]


def stop_all():
    for p in running:
        if p.poll() is None:
            p.kill()
            p.wait()


def run(*argv):
    p = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=600)
    if p.returncode:
        raise Failed(f"{' '.join(map(str, argv))}: {p.stderr.strip() or p.stdout.strip()}")
    return p.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Target:
    """A process on the target's core, and a list of its machines for iload --list."""
    process = None

    @property
    def label(self):
        """Who it is, in results."""
        return self.name

    def __init__(self, directory):
        self.dir = os.path.join(directory, self.name)
        os.makedirs(self.dir)
        self.list = os.path.join(self.dir, "machines")

    def start(self, argv, ready=None):
        self.log = os.path.join(self.dir, "log")
        with open(self.log, "ab") as log:
            self.process = launch(TARGET_CORE, argv, stdin=subprocess.PIPE, stderr=log, stdout=subprocess.PIPE if ready else log)
        if not ready:
            return None
        readable, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline().decode() if readable else ""
        m = re.match(ready, line)
        if not m:
            raise Failed(f"{self.name} does not start: {line!r}; see {self.log}")
        return m

    def write_list(self, lines):
        with open(self.list, "w") as f:
            f.writelines(line + "\n" for line in lines)

    @property
    def pid(self):
        return self.process.pid

    def wake(self):
        """Its turn begins."""

    def rest(self):
        """Its turn is over: from here on it uses no CPU."""

    @property
    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """What it has stored is thrown away."""
        if self.process and self.alive:
            self.process.kill()
            self.process.wait()


class Sanbootd(Target):
    name, build = "sanbootd", BUILD

    def __init__(self, directory, golden, machines, auth="none"):
        super().__init__(directory)
        self.runtime = tempfile.TemporaryDirectory(prefix="sanbootd-run-", dir="/tmp")      # short: a socket's path has at most 107 bytes
        self.state = os.path.join(self.dir, "state")
        os.mkdir(self.state)
        self.begin()
        self.ctl("image", "import", golden, "--name", "golden", "--default")
        # Space was looked at before the start, and how many boot at once is what is measured.
        self.ctl("policy", "set", f"auth={auth}", f"max-machines={machines + 8}", "max-booting=0", "reserve=64M")
        self.macs = []

    def begin(self):
        m = self.start([os.path.join(self.build, "sanbootd"), "--threads", 1, "--state-dir", self.state, "--runtime-dir",
                        self.runtime.name, "--http", "127.0.0.1:0", "--iscsi", "127.0.0.1:0", "--log-level", "warning",
                        "--config", "/dev/null"], r"ready http=(\S+) iscsi=(\S+) ")
        self.http, self.address = m.group(1), m.group(2)

    def stop(self):
        """In order: another one may go on with what it has stored."""
        if self.process and self.alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                super().stop()
                raise Failed(f"sanbootd does not stop; see {self.log}") from None

    def metric(self, name):
        c = http.client.HTTPConnection(self.http, timeout=60)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return int(float(re.search(rf"^{name} (\S+)", text, re.M).group(1)))

    def ctl(self, *args):
        return run(os.path.join(self.build, "sanbootctl"), "--runtime-dir", self.runtime.name, *args)

    def enrol(self, count):
        """New machines, as their first /boot makes them; gives a line for iload --list each."""
        lines = []
        c = http.client.HTTPConnection(self.http, timeout=60)
        for _ in range(count):
            n = len(self.macs) + 1
            self.macs.append(f"52:54:00:b0:{n >> 8:02x}:{n & 255:02x}")
            c.request("GET", f"/boot?mac={self.macs[-1]}&platform=pcbios&buildarch=i386")
            r = c.getresponse()
            lines.append(line_of_script(r.status, r.read().decode()))
        c.close()
        return lines


class Earlier(Sanbootd):
    """Another build of sanbootd, from BASE=, in the same rounds: what a change has cost."""
    name, build = "earlier", os.environ.get("BASE")


def line_of_script(status, script):
    """What a boot script says, as a line for iload --list: target, initiator and, under CHAP, user and secret."""
    said = dict(re.findall(r"^set (\S+) (\S+)", script, re.M))
    target = re.search(r"iscsi:\S*?:(iqn\.\S+)", script)
    if status != 200 or not target:
        raise Failed(f"no boot script: {status} {script[:300]!r}")
    chap = f" {said['username']} {said['password']}" if "password" in said else ""
    return f"{target.group(1)} {said['initiator-iqn']}{chap}"


class Tgt(Target):
    """tgt with rdwr, tuned: its defaults halve large transfers. Each has only the targets that its loads need: it has 16 threads for each,
    and with 256 targets an operation costs it four times as much CPU as with 48, whichever of them is used."""
    name = "tgt"
    controls = itertools.count(os.getpid() * 2)
    tuned = {"MaxRecvDataSegmentLength": 262144, "MaxXmitDataSegmentLength": 262144, "MaxBurstLength": 262144,
             "FirstBurstLength": 65536, "InitialR2T": "No", "ImmediateData": "Yes", "MaxOutstandingR2T": 8}

    def __init__(self, directory, golden, machines, part_bytes=None):
        """Machines with copies of all of golden, or of its first part_bytes."""
        super().__init__(directory)
        self.control = str(20000 + next(self.controls) % 12768)     # 32767 is its largest
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.start(["tgtd", "-f", "-C", self.control, "--iscsi", f"portal=127.0.0.1:{port}"])
        end = time.monotonic() + 30
        while subprocess.run(["tgtadm", "-C", self.control, "--lld", "iscsi", "--mode", "target", "--op", "show"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > end or self.process.poll() is not None:
                raise Failed(f"tgtd does not start; see {self.log}")
            time.sleep(0.05)
        for n in range(1, machines + 1):
            self.add(n, golden, part_bytes)
        self.write_list(f"iqn.2026-01.test.tgt:{n} iqn.2026-01.test.iload:{n}" for n in range(1, machines + 1))

    def admin(self, *args):
        run("tgtadm", "-C", self.control, "--lld", "iscsi", *args)

    def add(self, n, golden, part_bytes):
        path = os.path.join(self.dir, f"disk.{n}")
        if part_bytes is None:
            run("cp", "--sparse=always", golden, path)
        else:
            run("dd", f"if={golden}", f"of={path}", "bs=1M", f"count={part_bytes >> 20}", "status=none")
            os.truncate(path, os.path.getsize(golden))
        self.admin("--op", "new", "--mode", "target", "--tid", n, "-T", f"iqn.2026-01.test.tgt:{n}")
        for key, value in self.tuned.items():
            self.admin("--op", "update", "--mode", "target", "--tid", n, "--name", key, "--value", value)
        self.admin("--op", "new", "--mode", "logicalunit", "--tid", n, "--lun", 1, "-b", path, "--bstype", "rdwr")
        self.admin("--op", "bind", "--mode", "target", "--tid", n, "-I", "ALL")

    lun = 1

    @property
    def pid(self):
        children = glob.glob(f"/proc/{self.process.pid}/task/*/children")
        kids = [int(k) for c in children for k in open(c).read().split()]
        return kids[0] if kids else self.process.pid

    def stop(self):
        """It does not go by itself, nor does what it talks through."""
        super().stop()
        for name in glob.glob(f"/run/tgtd/socket.{self.control}*"):
            os.unlink(name)


class WideTgt(Tgt):
    name, label = "tgt-wide", "tgt"


class Constant(Target):
    """The bound: the same server without a disk."""
    name = "bound"

    def __init__(self, directory, size_bytes, machines):
        super().__init__(directory)
        m = self.start([os.path.join(BUILD, "bench", "constant"), "--size", size_bytes], r"ready iscsi=(\S+)")
        self.address = m.group(1)
        self.write_list(f"iqn.2026-01.test.constant:{n} iqn.2026-01.test.iload:{n}" for n in range(1, machines + 1))


def iload(target, *args, wait=True, timeout=300):
    """Runs the generator against a target; gives what it printed, or with wait=False the process."""
    argv = [os.path.join(BUILD, "bench", "iload"), "-a", target.address, "-l", getattr(target, "lun", 0), "--pid", target.pid,
            "--list", target.list, *args]
    target.wake()
    p = launch(GENERATOR_CORE, argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return finish(p, target, timeout) if wait else p


def finish(process, target, timeout=300):
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"{target.name}: the generator does not end within {timeout:.0f} s") from None
    finally:
        target.rest()
    if process.returncode:
        raise Failed(f"{target.name}: {err.strip()[:2000]} {out.strip()[:1000]}")
    result = json.loads(out)
    if not any(kind in result for kind in ("read", "write", "flush")):
        raise Failed(f"{target.name}: no command came to its end in the {result['secs']:.2f} s that were measured")
    return result


def bare_sync(directory, files, file_bytes, seconds):
    """How often a second a program that does nothing else gets 4 KiB written and synced, with a thread for each file."""
    argv = on_core(TARGET_CORE, [os.path.join(BUILD, "bench", "bare_sync"), directory, files, file_bytes, seconds])
    return json.loads(run(*argv))["iops"]
