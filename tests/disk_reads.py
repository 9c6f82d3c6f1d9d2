# SPDX-License-Identifier: GPL-2.0-or-later
"""That something is read from a disk, and how much was."""
import os, re


def read_bytes(pid):
    """From disks, until now."""
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return int(re.search(r"^read_bytes: (\d+)", f.read(), re.M).group(1))


def drop(path):
    """Out of the page cache."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
