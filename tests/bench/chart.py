# SPDX-License-Identifier: GPL-2.0-or-later
"""build/bench.svg: the loads as bars, the boot storm as curves over the number of machines, flushes and fairness as bars."""
import math
from xml.sax.saxutils import escape

COLOURS = {"earlier": "#8a8fb0", "sanbootd": "#1f77b4", "tgt": "#d62728", "spdk": "#9467bd", "bound": "#8c8c8c", "bare": "#8c8c8c"}
NAMES = {"bound": "constant data", "bare": "bare program"}
WIDTH, LEFT, BAR_SPACE = 1180, 400, 560
GOAL = 'stroke="#2ca02c" stroke-width="2.5"'


def text(x, y, s, anchor="start", size=12, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {more}>{escape(str(s))}</text>'


HALO = 'paint-order="stroke" stroke="white" stroke-width="3" '


def line(x1, y1, x2, y2, style='stroke="#dddddd"'):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def heading(y, title, about=""):
    return [text(24, y, title, size=15, more='font-weight="bold"'), text(24, y + 17, about, size=11, more='fill="#555555"')]


def short(value):
    return f"{value / 1e3:.0f}k" if value >= 10000 else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def round_steps(top):
    """Few round values from 0 up to at least top."""
    raw = top / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= raw)
    return [step * i for i in range(math.ceil(top / step) + 1)]


def round_decades(bottom, top):
    """1, 2 and 5 of each decade, from at most bottom to at least top."""
    values = [k * 10.0 ** e for e in range(-6, 10) for k in (1, 2, 5)]
    first = max(i for i, v in enumerate(values) if v <= bottom)
    return values[first:next(i for i, v in enumerate(values) if v >= top and i > first) + 1]


def bar_group(title, y, values, unit, goal=None, scale=1.0):
    """Bars, one below the other: {name: (length as a multiple, value)}; the goal is a line at the first, sanbootd's."""
    out = [text(LEFT - 10, y + 7 * len(values) + 3, title, "end")]
    for name, (times, value) in values.items():
        end = width = max(times * scale, 1)
        out.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="12" fill="{COLOURS[name]}"/>')
        if goal and name == "sanbootd":
            out.append(line(LEFT + goal * scale, y - 4, LEFT + goal * scale, y + 16, GOAL))
            end = max(width, goal * scale)
        label = f"{NAMES.get(name, name)} {short(value)} {unit}" + (f" ({times:.2g} x)" if times != 1 else "")
        out.append(text(LEFT + end + 5, y + 10, label, size=10))
        y += 14
    return out, y + 9


def loads(result, y):
    """Rates as multiples of tgt's, or of sanbootd's where there is no tgt."""
    rows = result["loads"]
    if not rows:
        return [], y
    peer = "tgt" if "tgt" in rows[0]["targets"] else "sanbootd"
    out = heading(y, "Loads: rate as a multiple of " + peer, "green: the goal; constant data: the same server without a disk")
    y += 32
    groups = [(row, {name: (t["rate"] / row["targets"][peer]["rate"], t["rate"]) for name, t in row["targets"].items()}) for row in rows]
    scale = BAR_SPACE / max(times for _, values in groups for times, _ in values.values())
    for row, values in groups:
        more, y = bar_group(row["what"], y, values, row["unit"], row["goal"] if peer == "tgt" else None, scale)
        out += more
    return out, y + 20


class Curves:
    """A chart with a logarithmic axis of machines: lines are (name, colour, style, [(machines, value)])."""
    WIDTH, HEIGHT = 480, 260

    def __init__(self, x, y, title, unit, lines, machines, decades=False):
        self.x, self.y, self.machines = x + 50, y + 30, machines
        values = [v for _, _, _, points in lines for _, v in points]
        self.place = math.log10 if decades else float
        self.steps = round_decades(min(values), max(values)) if decades else round_steps(max(values))
        self.out = [text(x, y + 8, title, size=13, more='font-weight="bold"')]
        self.axes(unit)
        # Goals first: values are written over them.
        for turn, (name, colour, style, points) in sorted(enumerate(lines), key=lambda one: not one[1][2]):
            self.draw(name, colour, style, points, turn)

    def at(self, machines, value):
        left, right = math.log10(self.machines[0]), math.log10(self.machines[-1])
        bottom, top = self.place(self.steps[0]), self.place(self.steps[-1])
        return (self.x + (math.log10(machines) - left) / ((right - left) or 1) * self.WIDTH,
                self.y + self.HEIGHT * (1 - (self.place(max(value, self.steps[0])) - bottom) / (top - bottom)))

    def axes(self, unit):
        for value in self.steps:
            _, y = self.at(self.machines[0], value)
            self.out += [line(self.x, y, self.x + self.WIDTH, y), text(self.x - 6, y + 4, f"{value:g}", "end", 10)]
        self.out.append(text(self.x - 6, self.y - 10, unit, "end", 10))
        for n in self.machines:
            x, y = self.at(n, self.steps[0])
            self.out += [line(x, self.y, x, y), text(x, y + 15, n, "middle", 10)]
        self.out.append(text(self.x + self.WIDTH / 2, self.y + self.HEIGHT + 32, "machines that boot at once (logarithmic)", "middle", 10))

    def draw(self, name, colour, style, points, turn):
        places = [self.at(n, v) for n, v in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" {style}/>')
        x = self.x + turn * 165
        self.out += [line(x, self.y + self.HEIGHT + 48, x + 24, self.y + self.HEIGHT + 48, f'stroke="{colour}" stroke-width="2" {style}'),
                     text(x + 30, self.y + self.HEIGHT + 52, name, size=11)]
        if style:
            return
        for i, ((x, y), (_, v)) in enumerate(zip(places, points)):
            self.out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>',
                         text(x if i else x + 7, y - 8, short(v), "middle" if i else "start", 10, HALO + f'fill="{colour}"')]


def storm(result, y):
    part = result["parts"].get("storm", {})
    steps = part.get("steps", [])
    if not steps:
        return [], y
    machines, dashed = [s["machines"] for s in steps], 'stroke-dasharray="5,3"'
    ratio, kb, many = (part.get("goal", {}).get(key, default) for key, default in (("ratio", 1.7), ("rss_kb_per_machine", 1024), ("machines", 256)))

    def points(key, times=1.0):
        return [(s["machines"], s[key] * times) for s in steps]

    out = heading(y, "Boot storm: what a machine costs, by how many boot at once",
                  f"a recorded boot of Debian, every machine new; dashed: the goals for {many} machines and more")
    cpu = [("sanbootd", COLOURS["sanbootd"], "", points("cpu_ms_per_boot")), ("constant data", COLOURS["bound"], "", points("bound_cpu_ms_per_boot"))]
    memory = [("sanbootd", COLOURS["sanbootd"], "", points("rss_kb_per_machine", 1 / 1024))]
    cpu.append((f"{ratio} x constant data", "#2ca02c", dashed, points("bound_cpu_ms_per_boot", ratio)))
    memory.append((f"{kb / 1024:.0f} MB", "#2ca02c", dashed, [(n, kb / 1024) for n in machines]))
    out += Curves(24, y + 34, "Server CPU for each boot", "ms", cpu, machines).out
    out += Curves(610, y + 34, "Server memory for each machine, without the golden cache", "MB", memory, machines, decades=True).out
    return out, y + 430


def others(result, y):
    """Flushes, and fairness."""
    out, flush, fairness = [], result["parts"].get("flush", {}), result["parts"].get("fairness", {})
    if "ratio" in flush:
        out += heading(y, f"Flush: {flush['machines']} machines write 4 KiB and flush", "a second; goal: 3 x tgt, or 0.8 x the bare program")
        rates = {name: flush[name] for name in ("sanbootd", "tgt", "bare") if name in flush}
        more, y = bar_group("", y + 32, {name: (v / rates["sanbootd"], v) for name, v in rates.items()}, "/s", None,
                            BAR_SPACE * rates["sanbootd"] / max(rates.values()))
        out += more
        y += 20
    if fairness:
        out += heading(y, "Fairness: p99 beside a greedy machine, as a multiple of p99 without it", "green: the goal, at most that")
        values = {name: (row["ratio"], row["beside_p99_us"]) for name, row in fairness.items()}
        more, y = bar_group("", y + 32, values, "us", 3, BAR_SPACE / max([3, *(times for times, _ in values.values())]))
        out += more
    return out, y + 20


def draw(result, path):
    out, y = [text(24, 32, f"sanbootd and its peers, {result['when']}", size=18, more='font-weight="bold"')], 70
    for part in (loads, storm, others):
        more, y = part(result, y)
        out += more
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif">'
                f'<rect width="100%" height="100%" fill="white"/>' + "\n".join(out) + "</svg>\n")
