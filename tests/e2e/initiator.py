# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test does without a virtual machine: it reads a boot script as iPXE would, and logs in with libiscsi's tools."""
import os, re, subprocess

from e2e import Failed, SLOW


class BootScript:
    """What a boot script sets, and where it boots from."""

    def __init__(self, text):
        self.text = text
        self.set = dict(re.findall(r"^set (\S+) (\S+)", text, re.M))
        m = re.search(r"^sanboot .*?iscsi:([^:\s]*):[^:\s]*:([^:\s]*):([^:\s]*):(\S+)", text, re.M)
        if not m:
            raise Failed(f"no sanboot in the script: {text!r}")
        self.server, self.port, self.iqn = m.group(1), m.group(2) or "3260", m.group(4)
        self.lun = int(m.group(3) or "0", 16)

    def login(self, secret=None, user=None, anonymous=False, reverse=True, initiator=None, timeout=20):
        """Logs in and asks INQUIRY: (worked, what was said). Without arguments with what the script says."""
        user, secret = user or self.set.get("username"), secret or self.set.get("password")
        auth = "" if anonymous or not user else f"{user}%{secret}@"
        env = dict(os.environ)
        if reverse and not anonymous and "reverse-username" in self.set:
            env["LIBISCSI_CHAP_TARGET_USERNAME"] = self.set["reverse-username"]
            env["LIBISCSI_CHAP_TARGET_PASSWORD"] = self.set["reverse-password"]
        url = f"iscsi://{auth}{self.server}:{self.port}/{self.iqn}/{self.lun}"
        p = subprocess.run(["iscsi-inq", "-i", initiator or self.set["initiator-iqn"], url], env=env, text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout * SLOW)
        return p.returncode == 0, p.stdout.strip()
