# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole daemon on loopback, with one golden image, for conformance tests of what a machine really gets: a child of it."""
import http.client
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from iscsi import Failed, want

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests"))
import disk_reads  # noqa: F401: for who imports this
import loop_watch
import wakeups  # noqa: F401: for who imports this
MODE = os.environ.get("MODE", "release")
BUILD = os.environ.get("SANBOOTD_BUILD", os.path.join(TOP, "build", MODE))
DISK_BYTES = 64 << 20


def golden_blocks(lba, count):
    """What the golden image has there."""
    return b"".join((b"golden block %08x " % block).ljust(512, b".") for block in range(lba, lba + count))


class Machine:
    """An enrolled machine: what `machine show --json --secrets` and its boot script say."""

    def __init__(self, daemon, name, script):
        self.daemon, self.name, self.script = daemon, name, script
        self.set = dict(re.findall(r"^set (\S+) (\S+)", script, re.M))
        self.iqn = self.show()["iqn"]
        self.address = daemon.address
        self.url = f"iscsi://{daemon.address[0]}:{daemon.address[1]}/{self.iqn}/0"

    def show(self):
        return json.loads(self.daemon.ctl("machine", "show", self.name, "--json", "--secrets"))

    def forget(self):
        """For iscsi.attempt."""


class Sanbootd:
    """Machines are made under auth=none, access=many: whoever reaches the portal may open their disks. where: the directory for its own;
    data_bytes: the first ones of the golden image, whose every block says where it is."""

    def __init__(self, auth="none", extra=(), where=None, data_bytes=4 << 20):
        self.dir = tempfile.mkdtemp(prefix="sanbootd-conformance-", dir=where)
        self.runtime = tempfile.TemporaryDirectory(prefix="sanbootd-run-", dir="/tmp")      # short: a socket's path has at most 107 bytes
        self.machines = 0
        self.argv = [os.path.join(BUILD, "sanbootd"), "--state-dir", self.dir + "/state", "--runtime-dir", self.runtime.name,
                "--http", "127.0.0.1:0", "--iscsi", "127.0.0.1:0", *extra]
        os.mkdir(self.dir + "/state")
        self.start()
        self.golden = self.dir + "/golden.raw"
        with open(self.golden, "wb") as f:
            f.truncate(DISK_BYTES)
            f.write(golden_blocks(0, data_bytes // 512))
        self.ctl("image", "import", self.golden, "--name", "golden", "--default")
        self.ctl("policy", "set", "auth=" + auth)

    def start(self):
        with open(self.dir + "/log", "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline().decode() if ready else ""
        m = re.match(r"ready http=(\S+) iscsi=(\S+):(\d+) ", line)
        want(m, f"sanbootd is not ready: {line!r}; see {self.dir}/log")
        self.http, self.address = m.group(1), (m.group(2), int(m.group(3)))

    def forget(self):
        """For iscsi.attempt."""

    def ctl(self, *args):
        p = subprocess.run([os.path.join(BUILD, "sanbootctl"), "--runtime-dir", self.runtime.name, *args], timeout=120,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if p.returncode:
            raise Failed(f"sanbootctl {' '.join(args)}: {p.stderr.strip() or p.stdout.strip()}")
        return p.stdout

    def api(self, method, path, body=None):
        """What it answers; Failed where it refuses."""
        c = http.client.HTTPConnection("localhost", timeout=120)
        c.sock = socket.socket(socket.AF_UNIX)
        try:
            c.sock.connect(self.runtime.name + "/control.sock")
            c.request(method, "/api/v1/" + path, json.dumps(body) if body is not None else None,
                      {"Content-Type": "application/json"} if body is not None else {})
            r = c.getresponse()
            got = json.loads(r.read())
        finally:
            c.close()
        want(r.status < 300, f"{method} {path}: {r.status} {got}")
        return got

    def enrol(self, **settings):
        """A new machine, as its first /boot makes it."""
        self.machines += 1
        mac = f"52:54:00:c0:{self.machines >> 8:02x}:{self.machines & 255:02x}"
        script = self.ask(mac)
        name = re.search(r"^set hostname (\S+)", script, re.M)
        want(name, f"no machine in the script: {script!r}")
        if settings:
            self.ctl("machine", "set", name.group(1), *(f"{k}={v}" for k, v in settings.items()))
            script = self.ask(mac)
        return Machine(self, name.group(1), script)

    def ask(self, mac):
        with urllib.request.urlopen(f"http://{self.http}/boot?mac={mac}&platform=pcbios", timeout=20) as r:
            return r.read().decode()

    def closed_disk(self, machine):
        """The path of the machine's disk, once it is closed and clean."""
        end = time.monotonic() + 30
        while not (disk := machine.show()["disk"])["clean"]:
            want(time.monotonic() < end, f"{machine.name}: its disk is still open")
            time.sleep(0.1)
        return disk["path"]

    def stop(self):
        """0 when it ended in order, and no I/O loop waited (else that is said). The directory stays where something was wrong."""
        self.process.terminate()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        with open(self.dir + "/log", errors="replace") as log:
            if not loop_watch.judge(os.path.basename(sys.argv[0]), log.read(), os.path.join(BUILD, "sanbootd")):
                status = status or 1
        if status == 0:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print(f"# log: {self.dir}/log", file=sys.stderr)
        return status
