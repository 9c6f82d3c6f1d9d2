# SPDX-License-Identifier: GPL-2.0-or-later
"""The loads: what they do, and the ratio to tuned tgt that is their goal."""
from dataclasses import dataclass, field

MIB = 1 << 20
GOLDEN_BYTES = 4096 * MIB       # size of every disk
DATA_BYTES = 128 * MIB          # of the golden image that are not holes
PART_BYTES = 32 * MIB           # of these in all machines of the wide load, so that tgt's copies fit into memory
WRITTEN = (1024 * MIB, 32 * MIB)   # offset and length of what every machine has written before the loads that overwrite
FRESH = (1536 * MIB, 2560 * MIB)   # what first writes go to; each repetition has a part of its own


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
    fresh: bool = False         # allocates: a new region each time
    bound: bool = True          # is there a constant-data answer to it?

    @property
    def cpu_goals(self):
        """CPU for an operation: at most so many times that of these targets."""
        return {"bound": 2.0, "spdk": 1.0} if self.name.startswith("read-4k-") else {}


def region(offset, length):
    return ["--region", f"{offset}:{offset + length}"]


READ, READ_PART = region(0, DATA_BYTES), region(0, PART_BYTES)
OVERWRITE = region(*WRITTEN)


def loads(wide):
    """wide: sessions of the widest load."""
    return [
        Load("read-4k-1", "4 KiB random read, depth 32, 1 session", ["-b", "4k", "-w", "randread", "-q", 32, *READ], 1, 4.0),
        Load("read-4k-32", "4 KiB random read, depth 32, 32 sessions", ["-b", "4k", "-w", "randread", "-q", 32, *READ], 32, 7.0),
        Load("read-4k-d8", "4 KiB random read, depth 8, 1 session", ["-b", "4k", "-w", "randread", "-q", 8, *READ], 1, 1.3),
        Load("read-64k", "64 KiB sequential read, depth 32, 1 session", ["-b", "64k", "-w", "read", "-q", 32, *READ], 1, 2.5, "MB/s"),
        Load("read-256k", "256 KiB sequential read, depth 32, 1 session", ["-b", "256k", "-w", "read", "-q", 32, *READ], 1, 2.3, "MB/s"),
        Load("mixed-4k", f"4 KiB 80 % random read, depth 4, {wide} sessions",
             ["-b", "4k", "-w", "randrw", "-m", 80, "-q", 4, *READ_PART], wide, 4.0),
        Load("write-4k-1", "4 KiB random write, written, depth 32, 1 session",
             ["-b", "4k", "-w", "randwrite", "-q", 32, *OVERWRITE], 1, 2.2, kind="write", written=True),
        Load("write-4k-32", "4 KiB random write, written, depth 32, 32 sessions",
             ["-b", "4k", "-w", "randwrite", "-q", 32, *OVERWRITE], 32, 3.5, kind="write", written=True),
        Load("first-4k-32", "4 KiB random first write, depth 32, 32 sessions",
             ["-b", "4k", "-w", "randwrite", "-q", 32], 32, 2.0, kind="write", fresh=True),
        Load("write-64k-1", "64 KiB sequential write, depth 32, 1 session",
             ["-b", "64k", "-w", "write", "-q", 32, *OVERWRITE], 1, 1.5, "MB/s", kind="write", written=True),
        Load("write-64k-32", "64 KiB sequential write, depth 32, 32 sessions",
             ["-b", "64k", "-w", "write", "-q", 32, *OVERWRITE], 32, 2.0, "MB/s", kind="write", written=True),
    ]
