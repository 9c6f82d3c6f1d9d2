#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""dnsmasq's supervision: what stops a start is said, a dead dnsmasq comes back, none is left behind."""
from e2e import *
import wakeups


def refused(what, *words, **how):
    """A start that must fail, with these words in the log."""
    s = Server(t.lan, state=os.path.join(t.lan.dir, "refused"), runtime="/run/refused", start=False, **how)
    if os.path.exists(t.lan.dir + "/sanbootd.err"):
        os.truncate(t.lan.dir + "/sanbootd.err", 0)
    try:
        s.start()
    except Failed:
        pass
    else:
        s.kill()
        raise Failed(f"{what}: it started")
    for word in words:
        true(re.search(word, s.log()), f"{what}: /{word}/ is not in its log: {s.log()[-400:]!r}")


def dnsmasqs():
    """Processes of ours: those with a dnsmasq.conf of sanbootd."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
            argv = f.read().split(b"\0")
            if any(a.startswith(b"--conf-file=") and a.endswith(b"/dnsmasq.conf") for a in argv):
                found.append(int(pid))
    return found


with Suite() as t:
    with t.case("an interface that is not there, or has no address"):
        refused("no interface", r'there is no network interface "nosuch0"', interface="nosuch0")
        sh("ip link add bare0 type bridge")
        refused("no address", r"interface bare0 has no IPv4 address", interface="bare0")

    if t.lan.ipv6:
        with t.case("a network of IPv6 alone: refused with the reason"):
            sh("ip addr add fd00:e2e:6::1/64 dev bare0 nodad")
            refused("IPv6 only", r"interface bare0 has IPv6 addresses only, and machines boot over IPv4: the iBFT", interface="bare0")
    else:
        t.skip("a network of IPv6 alone: refused with the reason", "this kernel has no IPv6")

    with t.case("a range outside the interface's subnet: refused with the reason"):
        sh("ip addr add 10.79.0.1/24 dev bare0")
        refused("no range", r"--dhcp-range \S+ lies in the subnet of no --interface \(bare0 has 10\.79\.0\.1/24\)", interface="bare0")

    with t.case("no dnsmasq on this host: the package is named"):
        sh("mount --bind /dev/null /usr/sbin/dnsmasq")
        try:
            refused("no dnsmasq", r"dnsmasq is not installed; apt install dnsmasq-base, or start with --dhcp off")
        finally:
            sh("umount /usr/sbin/dnsmasq")

    with t.case("another DHCP server on the network, or on this host: its address, its name"):
        lease = ["--port=0", "--bind-interfaces", "--no-ping", "--pid-file=", "--user=root", "--log-facility=-", "--log-dhcp",
                 f"--dhcp-range={t.lan.net}.150,{t.lan.net}.160,1h"]
        other = t.lan.neighbour("other", f"{t.lan.net}.254", ["dnsmasq", "-k", "-C", "/dev/null", "--interface=eth0",
                                                              f"--dhcp-leasefile={t.lan.dir}/other.leases", *lease])
        other.out.wait("sockets bound", 20, "the other server")
        refused("another server", rf"another DHCP server, {re.escape(t.lan.net)}\.254, answers on br0; start with --dhcp proxy to work beside it, or with --dhcp-force")
        other.stop()
        other = Process(t.lan, "local", ["dnsmasq", "-k", "-C", "/dev/null", "--interface=br0", f"--dhcp-leasefile={t.lan.dir}/local.leases", *lease])
        other.out.wait("sockets bound", 20, "the other server")
        refused("another server here", rf"another DHCP server, {re.escape(t.lan.ip)} on this host: dnsmasq \(process {other.pid}\), answers on br0")
        other.stop()

    with t.case("no boot files at all"):
        os.mkdir(t.lan.dir + "/empty")
        refused("no boot files", r"no boot file is in \S+; apt install ipxe", extra=["--ipxe-dir", t.lan.dir + "/empty"])

    with t.case("UDP port 67 taken on this host: by whom"):
        blocker = Process(t.lan, "blocker", [sys.executable, "-c", "import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);"
                                             "s.bind(('0.0.0.0',67)); print('bound',flush=True); time.sleep(600)"])
        blocker.out.wait("bound", 20, "blocker")
        refused("port taken", r"Address already in use", rf"UDP port 67 is taken by python3\S* \(process {blocker.pid}\)")
        blocker.stop()
        equal(dnsmasqs(), [], "dnsmasq left behind")

    with t.case("a dnsmasq that was killed comes back, and the status says so"):
        os.truncate(t.lan.dir + "/sanbootd.err", 0)
        server = Server(t.lan)
        first = server.api("status")["dhcp"]
        equal((first["state"], first["restarts"], dnsmasqs()), ("up", 0, [first["pid"]]), "state")
        os.kill(first["pid"], signal.SIGKILL)
        again = until(lambda: (d := server.api("status")["dhcp"])["state"] == "up" and d["restarts"] == 1 and d, 20, "dnsmasq up again")
        equal(dnsmasqs(), [again["pid"]], "dnsmasq")

    with t.case("a dnsmasq that always dies: back-off, its words in the status, and it comes back when it can"):
        conf = server.runtime + "/dnsmasq.conf"
        with open(conf) as f:
            good = f.read()
        with open(conf, "a") as f:
            f.write("nonsense-here\n")
        os.kill(again["pid"], signal.SIGKILL)
        bad = until(lambda: (d := server.api("status")["dhcp"])["restarts"] >= 4 and d["state"] == "backing-off" and d, 30, "three failed restarts")
        true("bad option" in bad["message"], f"message: {bad['message']!r}")
        until(lambda: re.search(r"full, backing-off\n.*bad option", server.ctl("status")), 30, "dnsmasq's words in sanbootctl status")
        with open(conf, "w") as f:
            f.write(good)
        until(lambda: server.api("status")["dhcp"]["state"] == "up", 40, "dnsmasq up again")

    with t.case("an idle server with a dnsmasq does nothing"):
        equal(wakeups.idle(server.proc.pid, 20 * SLOW), None, "threads that woke up")

    for user in ("dnsmasq", "root"):
        with t.case(f"kill -9 of sanbootd leaves no dnsmasq behind (running as {user})"):
            server.stop()
            equal(dnsmasqs(), [], "dnsmasq left behind by SIGTERM")
            # the folder above it decides whether dnsmasq may run as its own user
            closed = os.path.join("/run", "open" if user == "dnsmasq" else "closed")
            os.makedirs(closed)
            os.chmod(closed, 0o755 if user == "dnsmasq" else 0o700)
            server = Server(t.lan, state=closed + "/state")
            pid = server.api("status")["dhcp"]["pid"]
            with open(f"/proc/{pid}/status") as f:
                uid = int(re.search(r"Uid:\s+(\d+)", f.read()).group(1))
            equal(uid == 0, user == "root", "running as root")
            server.kill()
            until(lambda: not dnsmasqs(), 10, "dnsmasq gone")
            server.start()

    with t.case("a dnsmasq that was left behind all the same is ended by the next start; somebody else's is not"):
        server.stop()
        stray = Process(t.lan, "stray", ["dnsmasq", "-k", f"--conf-file={server.runtime}/dnsmasq.conf", "--pid-file=", "--user=root"])
        elsewhere = Process(t.lan, "elsewhere", ["unshare", "--net", "dnsmasq", "-k", f"--conf-file={server.runtime}/dnsmasq.conf", "--pid-file=", "--user=root"])
        stray.out.wait("started, version", 20, "stray")
        elsewhere.out.wait("started, version", 20, "elsewhere")
        server.start()
        true(f"ended a dnsmasq (process {stray.pid}) that an earlier sanbootd had left behind" in server.log(), "it is not in the log")
        true(not stray.alive() and elsewhere.alive(), "the wrong one was ended")
