# SPDX-License-Identifier: GPL-2.0-or-later
"""The loads: what they do, and the ratio to tuned tgt that is their goal."""
from dataclasses import dataclass, field

from scale import WRITTEN_OFFSET


@dataclass
class Load:
    name: str
    what: str
    args: list = field(default_factory=list)
    sessions: int = 1
    goal: float = None          # times tgt
    unit: str = "IOPS"
    kind: str = "read"          # or write: whose latencies are shown
    written: bool = False       # overwrites: the region is written first
    fresh: bool = False         # allocates: a new region each time; tgt overwrites

    @property
    def cpu_goals(self):
        """CPU for an operation: at most so many times that of these targets."""
        return {"bound": 2.0, "spdk": 1.0} if self.name.startswith("read-4k-") else {}


def region(offset, length):
    return ["--region", f"{offset}:{offset + length}"]


def loads(scale):
    read, part = region(0, scale.data_bytes), region(0, scale.part_bytes)
    overwrite = region(WRITTEN_OFFSET, scale.written_bytes)
    some, wide = scale.narrow, scale.wide
    return [
        Load("read-4k-1", "4 KiB random read, depth 32, 1 session", ["-b", "4k", "-w", "randread", "-q", 32, *read], 1, 4.0),
        Load("read-4k-32", f"4 KiB random read, depth 32, {some} sessions", ["-b", "4k", "-w", "randread", "-q", 32, *read], some, 7.0),
        Load("read-4k-d8", "4 KiB random read, depth 8, 1 session", ["-b", "4k", "-w", "randread", "-q", 8, *read], 1, 1.3),
        Load("read-64k", "64 KiB sequential read, depth 32, 1 session", ["-b", "64k", "-w", "read", "-q", 32, *read], 1, 2.5, "MB/s"),
        Load("read-256k", "256 KiB sequential read, depth 32, 1 session", ["-b", "256k", "-w", "read", "-q", 32, *read], 1, 2.3, "MB/s"),
        Load("mixed-4k", f"4 KiB 80 % random read, depth 4, {wide} sessions",
             ["-b", "4k", "-w", "randrw", "-m", 80, "-q", 4, *part], wide, 4.0),
        Load("write-4k-1", "4 KiB random write, written, depth 32, 1 session",
             ["-b", "4k", "-w", "randwrite", "-q", 32, *overwrite], 1, 2.2, kind="write", written=True),
        Load("write-4k-32", f"4 KiB random write, written, depth 32, {some} sessions",
             ["-b", "4k", "-w", "randwrite", "-q", 32, *overwrite], some, 3.5, kind="write", written=True),
        Load("first-4k-32", f"4 KiB first write, depth 32, {some} sessions (tgt: plain)",
             ["-b", "4k", "-w", "randwrite", "-q", 32], some, 2.0, kind="write", fresh=True),
        Load("write-64k-1", "64 KiB sequential write, depth 32, 1 session",
             ["-b", "64k", "-w", "write", "-q", 32, *overwrite], 1, 1.5, "MB/s", kind="write", written=True),
        Load("write-64k-32", f"64 KiB sequential write, depth 32, {some} sessions",
             ["-b", "64k", "-w", "write", "-q", 32, *overwrite], some, 2.0, "MB/s", kind="write", written=True),
    ]
