#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A golden image that was changed behind our back: no login, an event that says why; put back, everything works again."""
from e2e import *
from initiator import BootScript

def flip(path):
    """Changes one byte in the middle; the same again undoes it."""
    sh(f"chattr -i {path}", check=False)
    mode = os.stat(path).st_mode
    os.chmod(path, 0o644)
    with open(path, "r+b") as f:
        f.seek(50 << 20)
        byte = f.read(1)
        f.seek(50 << 20)
        f.write(bytes([byte[0] ^ 0xff]))
    os.chmod(path, mode & 0o7777)

with Suite() as t:
    server = Server(t.lan).tiny()
    golden = [os.path.join(d, f) for d, _, files in os.walk(os.path.join(server.state, "images")) for f in files]
    equal(len(golden), 1, f"files in images/: {golden}")
    mac = "52:54:00:e2:01:01"

    with t.case("an untouched golden image opens", vital=True):
        worked, said = BootScript(server.ask(mac)).login()
        true(worked, said)
        server.check_disk(server.machines()[0]["name"])         # which also says that nobody has it open any more

    with t.case("a changed one refuses the login, with an event"):
        flip(golden[0])
        worked, said = BootScript(server.ask(mac)).login()
        true(not worked, "it was opened")
        true("The server refused it before: " in server.ask(mac, error="1d1d8d3f"), "its screen does not say why")
        until(lambda: [e for e in server.events() if re.search(r"changed|differs|SHA-256|sha256", json.dumps(e))], 10,
              "no event about it")

    with t.case("it does so after a restart of the server as well"):
        server.stop()
        server.start()
        worked, said = BootScript(server.ask(mac)).login()
        true(not worked, "it was opened")

    with t.case("put back as it was it opens again"):
        flip(golden[0])
        def opens():
            worked, said = BootScript(server.ask(mac)).login()
            return worked
        until(opens, 20, "it does not open")
