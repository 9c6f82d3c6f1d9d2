#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make demo: two diskless virtual machines that nobody has seen before boot Debian from one golden image.

Everything lives in a network namespace and ends with this program; one virtual cable leads to the host, so that its
browser reaches the page. The golden image and the server's state are kept in build/demo and used again.

For t_demo.py: DEMO_DIR is another place for them, DEMO_IMAGE a raw file that is imported instead, and that one
machine boots once."""
import fcntl, hashlib, select, tempfile

from e2e import *
import leftovers

DIR = os.environ.get("DEMO_DIR") or os.path.join(TOP, "build", "demo")
OTHER_IMAGE = os.environ.get("DEMO_IMAGE")
SCRIPT = os.path.join(TOP, "packaging", "golden", "build-debian.sh")
IMAGE = "debian"
RUN = "demo " + DIR
LEFT = os.path.join(DIR, "left")                      # the directories that the last demo made elsewhere
CABLE = "sandemo"
CABLE_OF = f"sanbootd: demo in {DIR}"[-250:]          # a link's alias is not longer
print_lock = threading.Lock()


def say(text=""):
    with print_lock:
        print(text, flush=True)


def head(text):
    say(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def mib(n):
    return f"{n / (1 << 20):.1f} MiB"


def on_host_run(*argv, **how):
    return subprocess.run(on_host(*argv), pass_fds=tuple(HOST.values()), **how)


def free_network():
    """A /24 that this host does not use."""
    used = on_host_run("ip", "-4", "route", "show", "table", "all", capture_output=True, text=True).stdout
    for n in range(77, 97):
        if f"10.{n}.0." not in used:
            return f"10.{n}.0"
    raise Failed("10.77.0.0/24 to 10.96.0.0/24 are all in use on this host: stop another demo")


def lay_cable(lan):
    """From br0 to the host."""
    name = next(n for n in [CABLE] + [f"{CABLE}{i}" for i in range(1, 100)]
                if on_host_run("ip", "link", "show", n, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode)
    for argv in (["ip", "link", "add", name, "type", "veth", "peer", "name", "host", "netns", "1"],
                 ["ip", "addr", "add", f"{lan.net}.254/32", "dev", name],
                 ["ip", "link", "set", name, "up"],
                 ["ip", "route", "add", f"{lan.ip}/32", "dev", name, "src", f"{lan.net}.254"]):
        p = on_host_run(*argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if p.returncode:
            raise Failed(f"{shlex.join(argv)}: {p.stdout.strip()}")
    on_host_run("ip", "link", "set", name, "alias", CABLE_OF)
    sh("ip link set host master br0 up")


def pull_cable():
    """Connections to machines that are gone keep a network namespace for minutes after its last process: no reason to keep the cable."""
    sh("ip link del host", check=False)


def end_with(pid):
    """The demo ends when that process does, whoever killed it: else one that is killed would go on, and stand in the way of the next."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        sys.exit("the program that started the demo is gone")
    def watch():
        select.select([fd], [], [])
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=watch, daemon=True).start()


def only_one():
    """The lock of this clone's demos; what one that was killed left running is ended."""
    os.makedirs(DIR, exist_ok=True)
    lock, limit = os.open(os.path.join(DIR, "lock"), os.O_RDWR | os.O_CREAT, 0o644), time.monotonic() + 30
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:                    # perhaps one that is just ending
            if time.monotonic() > limit:
                sys.exit("make demo: another demo runs in this clone: end it first (Ctrl-C there)")
            time.sleep(0.1)
    leftovers.end(RUN)
    os.environ[leftovers.NAME] = RUN
    return lock


def remove_leftovers():
    """What a demo that was killed could not remove."""
    links = json.loads(on_host_run("ip", "-j", "link", "show", "type", "veth", capture_output=True, text=True).stdout or "[]")
    for link in links:
        if link.get("ifalias") == CABLE_OF:
            on_host_run("ip", "link", "del", link["ifname"], stderr=subprocess.DEVNULL)
    for path in glob.glob(os.path.join(DIR, "golden", "sanbootctl-build.*")):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(LEFT):
        with open(LEFT) as f:
            for path in f.read().splitlines():
                shutil.rmtree(path, ignore_errors=True)
        os.unlink(LEFT)


def remember(path):
    """One that is killed does not remove it: the next demo does."""
    with open(LEFT, "a") as f:
        f.write(path + "\n")


def forget_machines(server):
    """Those of an earlier demo: these are to be new. They are off, whether the server has noticed or not."""
    for m in server.machines():
        server.ctl("machine", "release", m["name"])
        server.ctl("machine", "remove", m["name"], "--yes")


def golden_image(server, runtime):
    """Makes the golden image with sanbootctl, in the host's network, unless it is there from an earlier demo."""
    stamp = os.path.join(DIR, "stamp")
    with open(SCRIPT, "rb") as f:
        now = hashlib.sha256(f.read()).hexdigest()
    have = [i for i in server.api("images")["images"] if i["name"] == IMAGE]
    if have and OTHER_IMAGE or have and os.path.exists(stamp) and open(stamp).read() == now:
        say(f"   {IMAGE}@{have[0]['published']} is there from an earlier demo (build/demo)")
        return
    if OTHER_IMAGE:
        server.ctl("image", "import", OTHER_IMAGE, "--name", IMAGE, "--default")
        return
    say("   made once from Debian's packages, then kept in build/demo:")
    argv = [os.path.join(BUILD, "sanbootctl"), "--runtime-dir", runtime, "image", "build", "debian", "--name", IMAGE,
            "--profile", "demo", "--work", os.path.join(DIR, "golden"), "--default"]
    say("   $ sanbootctl " + shlex.join(argv[3:]))
    if on_host_run(*argv, stdin=subprocess.DEVNULL).returncode:
        raise Failed("the golden image could not be made: see above")
    if have:
        newest = max(v["version"] for v in server.api("images/" + IMAGE)["versions"])
        server.ctl("image", "publish", f"{IMAGE}@{newest}")
    with open(stamp, "w") as f:
        f.write(now)


STEPS = [                                        # what a console shows -> what that means
    (r"Configuring \(net\d", "asks DHCP"),
    (r"SANBOOTD machine (\S+) boots (\S+)", "is known as {0}, gets a disk made from {1}, logs in over iSCSI"),
    (r"Linux version|Loading, please wait|Begin: |E2E-INIT", "runs Debian's kernel, which finds its disk by the iBFT"),
]
PATIENCE = 900                                   # seconds for a step: one that takes as many will not end, however busy the host is
PROOF = ("hostname", "root", "ip", "count", "fw", "target", "chap", "blob")


def follow(vm, label, boot, results):
    """One boot of one machine, told as it happens."""
    try:
        t0 = time.monotonic()
        for pattern, meaning in STEPS:
            m = vm.wait(pattern, timeout=PATIENCE)
            say(f"   {label}  {time.monotonic() - t0:5.1f} s  " + meaning.format(*m.groups()))
        got = vm.proof(count=boot, timeout=PATIENCE)
        say(f"   {label}  {time.monotonic() - t0:5.1f} s  is up:")
        say("      DISKLESS-BOOT-OK " + " ".join(f"{k}={got[k]}" for k in PROOF if k in got))
        results[label] = got
    except Failed as e:
        say(f"   {label}  {e}")


def boot_all(vms, boot):
    results = {}
    threads = [threading.Thread(target=follow, args=(vm, label, boot, results)) for label, vm in vms.items()]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    if len(results) < len(vms):
        raise Failed("not every machine came up")
    return results


def table(server):
    images = [v for i in server.api("images")["images"] if i["name"] == IMAGE for v in i["versions"]]
    golden = max(images, key=lambda v: v["version"])
    say(f"   golden image {golden['name']}: {mib(golden['size_bytes'])}, {mib(golden['allocated_bytes'])} of them used")
    say(f"   {'machine':<10} {'MAC':<18} {'address':<14} {'state':<9} {'its own disk space'}")
    for m in server.machines():
        say(f"   {m['name']:<10} {m['macs'][0]:<18} {m['address'] or '-':<14} {m['state']:<9} {mib(m['disk']['allocated_bytes'])}")


def stay(server):
    """Until Ctrl-C: what the machines are doing."""
    before = {}
    while True:
        time.sleep(10)                           # not a wait for anything: the pace of the report
        words = []
        for m in server.machines():
            s = m["sessions"]
            total = (sum(x["bytes_read"] for x in s), sum(x["bytes_written"] for x in s))
            last = before.get(m["name"], total)
            before[m["name"]] = total
            words.append(f"{m['name']} {m['state']}, read {mib(max(0, total[0] - last[0]))}, "
                         f"wrote {mib(max(0, total[1] - last[1]))}, costs {mib(m['disk']['allocated_bytes'])}")
        say(f"   {time.strftime('%H:%M:%S')}  " + "; ".join(words))


def start_server(lan, runtime):
    """The server, and where its page is."""
    lay_cable(lan)
    server = Server(lan, state=os.path.join(DIR, "state"), runtime=runtime, start=False)
    head("sanbootd starts")
    server.start()
    say(f"   DHCP, TFTP, boot scripts, iSCSI and the page on {lan.ip}, in a network namespace of its own")
    try:
        page = server.wait_log(r"first login: (http://\S+)", 3).group(1)
    except Failed:                               # a password is set: no one-time address is given
        page = f"http://{lan.ip}:8080/ (with the password that was set in an earlier demo)"
    say(f"   the page: {page}")
    return server, page


def run_machines(lan):
    head("Two machines without a disk, never seen before, are switched on (emulated: a real PC is many times faster)")
    action = "write=3,reboot=2,tick"
    vms = {"BIOS machine": VM(lan, 1, name="bios", mem=512, action=action, mac="52:54:00:de:00:01")}
    if OTHER_IMAGE:
        boot_all(vms, 1)
        return
    vms["UEFI machine"] = VM(lan, 2, name="uefi", mem=512, action=action, mac="52:54:00:de:00:02", uefi=True)
    first = boot_all(vms, 1)
    say("   each has written 3 MiB of its own; they reboot")

    head("The same two machines, second boot")
    second = boot_all(vms, 2)
    for label in vms:
        equal(second[label]["blob"], first[label]["blob"], f"{label}: what it wrote in its first boot")
        say(f"   {label}: count=2, and what it wrote before is there ({second[label]['blob']})")
    true(first["BIOS machine"]["blob"] != first["UEFI machine"]["blob"], "both machines have the same data")
    true(first["BIOS machine"]["hostname"] != first["UEFI machine"]["hostname"], "both machines have the same name")


def demo(lan, runtime, done):
    server, page = start_server(lan, runtime)
    head("The golden image")
    golden_image(server, runtime)
    forget_machines(server)
    run_machines(lan)
    head("What that costs")
    table(server)
    say(f"\n   the page: {page}")
    say(f"   by hand:  {os.path.join(BUILD, 'sanbootctl')} --runtime-dir {runtime} machine list")
    done.append(True)
    if os.environ.get("DEMO_EXIT") == "1":
        return
    head("Both machines stay on, and write something every second. Ctrl-C ends the demo")
    stay(server)


def main():
    if not os.environ.get("E2E_INSIDE"):
        end_with(int(os.environ.get("DEMO_PARENT") or os.getppid()))
        os.umask(0o022)
        if why := why_not():
            sys.exit("make demo " + why)
        lock = only_one()                              # held by this process, which outlives the rest
    enter()
    remove_leftovers()
    runtime = tempfile.mkdtemp(prefix="sanbootd-demo.", dir="/tmp")       # short: the path of a socket has a limit
    remember(runtime)
    os.chmod(runtime, 0o755)
    lan, done = Lan(net=free_network(), name="demo"), []                  # done: everything was shown
    remember(lan.dir)
    try:
        demo(lan, runtime, done)
    except KeyboardInterrupt:
        say("\nThe demo ends.")
    except Failed as e:
        done.clear()
        say(f"\nThe demo failed: {e}")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        lan.close(keep=not done)
        pull_cable()
        shutil.rmtree(runtime, ignore_errors=True)
    if not done:
        say(f"Logs: {lan.dir}")
    sys.exit(0 if done else 1)


main()
