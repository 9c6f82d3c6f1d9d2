# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, the table, and the chart."""
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
        lat = load.kind
        row["targets"][name] = {
            "rate": median(rate_of(r, load.unit) for r in results),
            "p50_us": median(r[lat]["p50_us"] for r in results),
            "p99_us": median(r[lat]["p99_us"] for r in results),
            "p999_us": median(r[lat]["p999_us"] for r in results),
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


def table(rows):
    head = f"{'load':46} {'target':9} {'rate':>10} {'p50':>7} {'p99':>7} {'p99.9':>7} {'us CPU':>8} {'gen':>5}   {'sanbootd is':>11}  CPU of it"
    print("\n" + head)
    for row in rows:
        label = row["what"]
        for name, t in row["targets"].items():
            rate = f"{t['rate']:.0f}" + (" MB/s" if row["unit"] == "MB/s" else "")
            line = (f"{label:46} {name:9} {rate:>10} {t['p50_us']:7.0f} {t['p99_us']:7.0f} {t['p999_us']:7.0f} {t['cpu_us']:8.2f}"
                    f" {100 * t['generator_busy']:4.0f}%")
            if name in row["ratio"]:
                line += f"   {row['ratio'][name]:9.2f} x  {row['cpu_ratio'][name]:7.2f}"
            if name == "tgt":
                line += f"  goal {row['goal']} x " + ("met" if row["met"] else "MISSED")
            if name in row["cpu_goals"]:
                goal = row["cpu_goals"][name]
                line += f"  goal CPU at most {goal['most']:.0f} x its " + ("met" if goal["met"] else "MISSED")
            print(line)
            label = ""


COLOURS = {"sanbootd": "#1f77b4", "tgt": "#d62728", "spdk": "#9467bd", "bound": "#aaaaaa"}


def text(x, y, s, anchor="start", size=12):
    s = str(s).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}">{s}</text>'


def bars(rows, y):
    """A group of bars for each load, as multiples of tgt (of sanbootd where there is none), the goal as a line."""
    out, scale = [], 60
    for row in rows:
        out.append(text(390, y + 14, row["what"], "end"))
        unit = row["targets"].get("tgt", row["targets"]["sanbootd"])["rate"]
        top = y
        for name, t in row["targets"].items():
            w = min(t["rate"] / unit * scale, 800)
            out.append(f'<rect x="400" y="{y}" width="{w:.1f}" height="11" fill="{COLOURS[name]}"/>')
            shown = f"{t['rate']:.0f} {row['unit']}" + (f" ({t['rate'] / unit:.1f} x)" if name != "tgt" else "")
            out.append(text(405 + w, y + 10, f"{name} {shown}", size=10))
            y += 13
        if row["goal"] and "tgt" in row["targets"]:
            x = 400 + row["goal"] * scale
            out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{top - 2}" y2="{y}" stroke="black" stroke-dasharray="3,2"/>')
        y += 10
    return out, y


def curve(points, y, title, unit):
    """Machines against a cost."""
    out = [text(40, y + 14, title)]
    if not points:
        return out, y + 20
    top = max(v for _, v in points) or 1
    line = []
    for i, (n, v) in enumerate(points):
        x, py = 80 + i * 120, y + 140 - 110 * v / top
        line.append(f"{x:.0f},{py:.0f}")
        out += [f'<circle cx="{x:.0f}" cy="{py:.0f}" r="3" fill="#1f77b4"/>', text(x, y + 156, n, "middle", 10),
                text(x, py - 6, f"{v:.3g} {unit}", "middle", 10)]
    out.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="#1f77b4"/>')
    return out, y + 175


def chart(result, path):
    out, y = [text(40, 24, f"sanbootd and its peers, {result['when']}; dashed: the goal", size=14)], 40
    more, y = bars(result["loads"], y)
    out += more
    steps = result["parts"].get("storm", {}).get("steps", [])
    for key, title, unit in (("cpu_ms_per_boot", "Boot storm: server CPU for each boot, by number of machines", "ms"),
                             ("rss_kb_per_machine", "Boot storm: resident memory for each machine", "KB")):
        if steps:
            more, y = curve([(s["machines"], s[key]) for s in steps], y + 10, title, unit)
            out += more
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="1300" height="{y + 20}" font-family="sans-serif">'
                f'<rect width="100%" height="100%" fill="white"/>' + "\n".join(out) + "</svg>\n")
