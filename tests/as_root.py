# SPDX-License-Identifier: GPL-2.0-or-later
"""For tests/run: who runs what, and one run at a time in a clone.

Most suites need root. Started by a user, tests/run goes on as root by sudo, which asks once; what needs no root is run as that user, if
the clone is his, and what root made in build/ is given to him."""
import fcntl, os, pwd, select, shutil, signal, subprocess, sys, threading, time

import leftovers

# sudo hands nothing on by itself.
PASSED_ON = """MODE CC JOBS CFLAGS LDFLAGS HISTORIES SEED SECONDS_EACH E2E_BUILD E2E_CACHE E2E_SLOW E2E_KEEP QEMU OVMF CI
    http_proxy https_proxy no_proxy""".split()
PARENT = "RUN_PARENT"                   # of the process that the user started: with it we end
LOCK_WAIT = 10                          # seconds that a run which was killed just now may take to be gone


class Owner:
    """The user whose clone it is, and who has started us by sudo."""

    def __init__(self, user):
        self.user = user

    def how(self):
        """For Popen: as this user."""
        groups = os.getgrouplist(self.user.pw_name, self.user.pw_gid)
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": groups}

    def environment(self):
        return {"HOME": self.user.pw_dir, "USER": self.user.pw_name, "LOGNAME": self.user.pw_name}

    def give_back(self, build):
        """Not trees that debootstrap made, whose owners matter, nor the demo's state, which may be in use."""
        subprocess.run(["find", build, "-xdev", "(", "-name", "rootfs.*", "-o", "-path", os.path.join(build, "demo"), ")", "-prune", "-o",
                        "-user", "root", "-exec", "chown", "-h", f"{self.user.pw_uid}:{self.user.pw_gid}", "{}", "+"],
                       stderr=subprocess.DEVNULL, check=False)          # what is gone meanwhile needs no owner


def become_root(words):
    """Returns as root, or ends with a sentence."""
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        sys.exit("the tests need root (namespaces, network bridges, virtual machines): run them as root, or install sudo")
    settings = [f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
    os.execvp("sudo", ["sudo", "env", f"{PARENT}={os.getppid()}", *settings, sys.argv[0], *words])


def owner_of(top):
    uid = int(os.environ.get("SUDO_UID", "0"))
    return Owner(pwd.getpwuid(uid)) if uid and os.stat(top).st_uid == uid else None


def take_lock(build):
    """Held until we end, by nobody else: our children do not inherit it."""
    lock = open(os.path.join(build, "test-lock"), "w", encoding="ascii")
    limit = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > limit:
                sys.exit("another tests/run goes on in this clone: wait for it, or end it")
            time.sleep(0.1)


def end_with(pid):
    """SIGTERM to ourselves when that process is gone, however it went."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    me = os.getpid()

    def watch():
        select.select([fd], [], [])
        os.kill(me, signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def begin(top, words):
    """As root, alone in this clone, with nothing of an earlier run. Gives the owner (None: nobody but root) and the lock."""
    parent = int(os.environ.pop(PARENT, os.getppid()))
    become_root(words)
    os.umask(0o022)
    owner, build = owner_of(top), os.path.join(top, "build")
    os.makedirs(build, exist_ok=True)
    lock = take_lock(build)
    run = "tests " + top
    if killed := leftovers.end(run):
        print(f"ended {killed} processes that an earlier run had left", flush=True)
    for name in os.listdir(build):
        if name.startswith("check-bench-"):
            shutil.rmtree(os.path.join(build, name), ignore_errors=True)
    if owner:
        owner.give_back(build)
    os.environ[leftovers.NAME] = run
    end_with(parent)
    return owner, lock
