#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A demo that is killed, with the program that started it or by itself: the next one begins anew at once, and leaves nothing. With the tiny
guest instead of Debian."""
from e2e import *
import leftovers

with Suite() as t:
    place = os.path.join(t.lan.dir, "demo")
    env = dict(os.environ, DEMO_DIR=place, DEMO_IMAGE=guest("tiny.raw"), DEMO_EXIT="1")
    demo = os.path.join(HERE, "demo.sh")
    ended = lambda: not list(leftovers.of_run("demo " + place))

    def start(name, *argv):
        return Process(t.lan, name, ["env", *(f"{k}={env[k]}" for k in ("DEMO_DIR", "DEMO_IMAGE", "DEMO_EXIT")), *argv])

    with t.case("the demo ends with the program that started it", vital=True):
        first = start("first", "sh", "-c", f"{shlex.quote(demo)}; exit $?")
        first.out.wait(r"the page: ", 60, "the demo")
        first.stop(signal.SIGKILL)
        until(ended, 60, "its processes go on")

    with t.case("a demo is killed when its machine is up", vital=True):
        second = start("second", demo)
        second.out.wait(r"machine +[0-9.]+ s  is up:", 240, "the demo")
        second.stop(signal.SIGKILL)

    with t.case("the next one comes up at once, with a new machine"):
        third = start("third", demo)
        third.out.wait(r"What that costs", 300, "the demo")
        equal(third.proc.wait(60 * SLOW), 0, "how the demo ended")
        true(re.search(r"DISKLESS-BOOT-OK .* count=1 ", third.out.text), "no machine booted for the first time")

    with t.case("nothing is left of the three"):
        true(ended(), "processes go on")
        equal(sh("ip -o link show type veth"), "", "network links")
        with open(os.path.join(place, "left")) as f:
            equal([path for path in f.read().splitlines() if os.path.exists(path)], [], "directories")
