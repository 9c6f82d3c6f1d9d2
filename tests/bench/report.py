# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, and the table."""
import statistics


def median(values):
    return statistics.median(list(values))


def ops_of(r):
    return sum(r[k]["ops"] for k in ("read", "write", "flush") if k in r)


def rate_of(r, unit):
    return sum(r[k]["iops" if unit == "IOPS" else "mbps"] for k in ("read", "write") if k in r)


def summary(load, got):
    """One load: medians for each target, and the medians of the ratios of each round."""
    row = {"name": load.name, "what": load.what, "unit": load.unit, "goal": load.goal, "targets": {}, "ratio": {}, "cpu_ratio": {}}
    for name, results in got.items():
        row["targets"][name] = {
            "rate": median(rate_of(r, load.unit) for r in results),
            "operations": sum(map(ops_of, results)),
            "p50_us": median(r[load.kind]["p50_us"] for r in results),
            "p99_us": median(r[load.kind]["p99_us"] for r in results),
            "p999_us": median(r[load.kind]["p999_us"] for r in results),
            "cpu_us": median(1e6 * r["target_cpu_s"] / ops_of(r) for r in results),
            "generator_busy": median(r["generator_cpu_s"] / r["secs"] for r in results),
        }
    for name in got:
        if name != "sanbootd":
            row["ratio"][name] = median(rate_of(a, load.unit) / rate_of(b, load.unit) for a, b in zip(got["sanbootd"], got[name]))
            row["cpu_ratio"][name] = median((b["target_cpu_s"] / ops_of(b)) / (a["target_cpu_s"] / ops_of(a))
                                            for a, b in zip(got["sanbootd"], got[name]))
    row["cpu_goals"] = {name: {"most": most, "met": 1 / row["cpu_ratio"][name] <= most}
                        for name, most in load.cpu_goals.items() if name in got}
    row["met"] = None if "tgt" not in got else row["ratio"]["tgt"] >= load.goal
    return row


def head():
    print(f"\n{'load':46} {'target':9} {'rate':>10} {'p50':>7} {'p99':>7} {'p99.9':>7} {'us CPU':>8} {'gen':>5}   {'sanbootd is':>11}  CPU of it")


def line(row):
    """A load's targets, one below the other."""
    label = row["what"]
    for name, t in row["targets"].items():
        rate = f"{t['rate']:.0f}" + (" MB/s" if row["unit"] == "MB/s" else "")
        text = (f"{label:46} {name:9} {rate:>10} {t['p50_us']:7.0f} {t['p99_us']:7.0f} {t['p999_us']:7.0f} {t['cpu_us']:8.2f}"
                f" {100 * t['generator_busy']:4.0f}%")
        if name in row["ratio"]:
            text += f"   {row['ratio'][name]:9.2f} x  {row['cpu_ratio'][name]:7.2f}"
        if name == "tgt":
            text += f"  goal {row['goal']} x " + ("met" if row["met"] else "MISSED")
        if name in row["cpu_goals"]:
            goal = row["cpu_goals"][name]
            text += f"  goal CPU at most {goal['most']:.0f} x its " + ("met" if goal["met"] else "MISSED")
        print(text, flush=True)
        label = ""
