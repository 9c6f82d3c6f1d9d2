# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of everything: the whole bench, QUICK=1, or the least that still is one (for tests/bench/check)."""
import dataclasses, os
from dataclasses import dataclass

MIB = 1 << 20
GOLDEN_BYTES = 4096 * MIB           # size of every disk
FRESH = (1536 * MIB, 2560 * MIB)    # what first writes go to; each round has a part of its own
WRITTEN_OFFSET = 1024 * MIB         # of what is written before the loads that overwrite
FIRST = ("memory", "unknown", "at once", "later", "room", "learnt room")


@dataclass(frozen=True)
class Scale:
    name: str
    rounds: int             # of every load
    seconds: float          # of a load in a round
    warmup: float
    narrow: int             # machines of most loads
    wide: int               # of the widest load, and of flushes
    data_bytes: int         # of the golden image that are not holes
    part_bytes: int         # of these in all machines of the wide load, so that tgt's copies fit into memory
    written_bytes: int      # what is overwritten
    flush_bytes: int        # what flushing machines overwrite, each
    idle_seconds: int
    storms: tuple           # machines
    storm_rounds: int
    cold_machines: int
    first: tuple            # kinds of first boots
    first_rounds: int
    life_bytes: int         # that are written on the disk of life.py
    life_rounds: int


FULL = Scale("whole", 5, 2, 0.5, 32, 256, 128 * MIB, 32 * MIB, 32 * MIB, 4 * MIB, 10, (1, 4, 16, 64, 256, 1000), 3, 64, FIRST, 3, 2048 * MIB, 3)
QUICK = Scale("quick", 1, 0.5, 0.1, 32, 48, 32 * MIB, 16 * MIB, 8 * MIB, 2 * MIB, 2, (1, 8, 48), 1, 8, FIRST[:3], 1, 256 * MIB, 1)
LEAST = Scale("least", 1, 0.2, 0.05, 2, 4, 8 * MIB, 8 * MIB, 4 * MIB, 1 * MIB, 1, (2,), 1, 2, FIRST[:2], 1, 16 * MIB, 1)


def chosen(least=False):
    """What the environment asks for."""
    scale = LEAST if least else QUICK if os.environ.get("QUICK") else FULL
    changes = {}
    if os.environ.get("REPETITIONS"):
        changes["rounds"] = changes["storm_rounds"] = changes["life_rounds"] = int(os.environ["REPETITIONS"])
    if os.environ.get("SECONDS_EACH"):
        changes["seconds"] = float(os.environ["SECONDS_EACH"])
    if os.environ.get("STORM"):
        changes["storms"] = tuple(sorted(int(n) for n in os.environ["STORM"].split()))
    if os.environ.get("LIFE"):
        changes["life_bytes"] = size(os.environ["LIFE"])
    return dataclasses.replace(scale, **changes)


def size(text):
    """2G, 512M."""
    units = {"M": MIB, "G": 1024 * MIB}
    if not text[:-1].isdigit() or text[-1] not in units or int(text[:-1]) == 0:
        raise SystemExit(f"bench: LIFE={text}: expected a size such as 512M or 10G")
    return int(text[:-1]) * units[text[-1]]


def life_bytes(scale):
    """Disk for life.py: what is written, again in maintenance and before a reset, and a copy of it."""
    return 4 * scale.life_bytes + 512 * MIB


def lab_bytes(scale):
    """Disk for the three targets of the loads."""
    copies = scale.narrow * scale.data_bytes + scale.wide * scale.part_bytes + 2 * scale.data_bytes
    overwritten = 2 * scale.narrow * scale.written_bytes + 3 * scale.wide * scale.flush_bytes
    first_writes = int(2 * scale.rounds * (min(scale.seconds, 1) * 300 + scale.seconds * 60)) * MIB
    return copies + overwritten + first_writes


def storm_bytes(scale):
    """Disk for the largest storm: the golden image twice, and a child a boot."""
    return 160 * MIB + int(2.5 * MIB * max(max(scale.storms) * (scale.storm_rounds + 1), 2 * scale.cold_machines + 1))
