"""The table and the plot."""

import dataclasses
import datetime
import operator
import os
import pathlib
import re
import statistics

from processes import CPUS

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
TITLES = {"nginx": "nginx", "haproxy": "haproxy", "raw": "raw hyper", "aurora": "Aurora"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric. With a `base`, other gateways are shown as a ratio to it, and so is the target."""

    metric: str
    label: str
    unit: str
    digits: int = 1
    base: str | None = "nginx"
    most: float | None = None
    least: float | None = None
    plotted: bool = False

    def target(self):
        if self.most is None and self.least is None:
            return ""
        sign, limit = ("≤", self.most) if self.most is not None else ("≥", self.least)
        return f"{sign} {limit:g} × {TITLES[self.base]}" if self.base else f"{sign} {limit:g} {self.unit}".strip()

    def is_met(self, value):
        if self.most is None and self.least is None:
            return ""
        met = value <= self.most if self.most is not None else value >= self.least
        return "yes" if met else "no"


def rows(run):
    return [
        Row("chat_cpu", "CPU a chat request, 32 connections", "µs", most=1.6, plotted=True),
        Row("chat_rate", "requests/s, 32 connections", "/s", 0, least=0.75, plotted=True),
        Row("chat_busy", "share of its core that it used for them", "%", 0, base=None),
        Row("chat256_rate", "requests/s, 256 connections", "/s", 0, base="raw", least=0.8),
        Row("added_p50", "added p50 at 300 requests/s", "µs", 0, most=1.3, plotted=True),
        Row("latency_cpu", "CPU a request at 300 requests/s", "µs"),
        Row("paced_cpu", "CPU a chunk, 200 streams, one each 30 ms", "µs", most=1.2, plotted=True),
        Row("full_cpu", "CPU a chunk at full speed, 16 streams, a write each", "µs", 2, most=1.5, plotted=True),
        Row("full_rate", "chunks/s at full speed, 16 streams", "/s", 0, least=0.85, plotted=True),
        Row("joined_cpu", "CPU a chunk where many come in one write", "µs", 2),
        Row("joined_rate", "chunks/s where many come in one write", "/s", 0),
        Row("open_1000", "memory of an open stream, 1,000 open", "KiB", base=None, most=42),
        Row("open_most", f"memory of an open stream, {run.most_streams:,} open", "KiB", base=None, most=42),
        Row("idle_memory", "resident memory, idle", "MiB", base=None, most=16),
        Row("loaded_memory", "resident memory after the load of 256 connections", "MiB", base=None),
        Row("upload", "upload of 100 MB", "MB/s", 0, least=1.4, plotted=True),
        Row("upload_growth", "memory that it takes", "MiB", base=None, most=4),
        Row("download", "download of 100 MB", "MB/s", 0, plotted=True),
        Row("download_growth", "memory that it takes", "MiB", base=None),
        Row("start", "start to the first 200", "ms", 0, most=2),
        Row("binary", "release binary, with TLS", "MB", base=None, most=20),
        Row("filter", "CPU a request with a loaded filter that does nothing, to none", "×", 2, base=None, most=1.1),
        Row("p99_reload", "p99 with a reload each second, to none", "×", 2, base=None, most=1.2),
        Row("p99_swap", "p99 with a swap of a plugin each 10 s, to none", "×", 2, base=None, most=1.2),
    ]


def cell(run, row, gateway):
    """What is shown, and the number that the target is about; `None` where nothing was measured."""
    values = run.results[row.metric].get(gateway)
    if not values:
        return None
    if row.base and gateway != row.base:
        ratios = list(map(operator.truediv, values, run.results[row.metric][row.base]))
        return spread(ratios, 2), statistics.median(ratios)
    shown = spread(values, row.digits)
    number, _, span = shown.partition(" ")
    return f"{number} {row.unit} {span}".strip(), statistics.median(values)


def spread(values, digits):
    median, least, most = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return median if least == most else f"{median} ({least} to {most})"


def table(run):
    """Lists of cells, the head first."""
    names = list(run.gateways)
    lines = [["", "target", *(TITLES.get(name, name) for name in names), "met?"]]
    for row in rows(run):
        cells = {name: cell(run, row, name) for name in names}
        if any(cells.values()):
            met = row.is_met(cells["aurora"][1]) if cells["aurora"] else ""
            lines.append([row.label, row.target(), *(cells[name][0] if cells[name] else "" for name in names), met])
    return lines


def correctness(run):
    return (
        f"{run.answers:,} answers were checked in the windows, among them {run.streams:,} whole streams with {run.chunks:,} events: "
        "order, count, end marker and every byte are right in 100 %."
    )


def neighbours(shares):
    return f"other processes used {shares[0]:.0%} of all CPUs meanwhile, the host took {shares[1]:.0%}"


def show(run, shares, seconds):
    lines = table(run)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print(" | ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    print(correctness(run))
    print(f"{seconds:.0f} s; {neighbours(shares)}.")


def write(run, shares):
    """Puts the table between the markers in docs/performance.md, and the plot beside it."""
    lines = table(run)
    lines.insert(1, ["---"] * len(lines[0]))
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    page = DOCS / "performance.md"
    machine = f"{len(CPUS)} shared cores, Linux {os.uname().machine.replace('_', '-')}"
    measured = f"Measured on {datetime.date.today()}, {machine}; {neighbours(shares)}."
    section = f"<!-- compare:begin -->\n{text}\n\n{correctness(run)} {measured}\n<!-- compare:end -->"
    old = page.read_text()
    new, found = re.subn(r"<!-- compare:begin -->.*<!-- compare:end -->", lambda _: section, old, flags=re.DOTALL)
    if not found:
        raise SystemExit("docs/performance.md has lost its markers compare:begin and compare:end")
    page.write_text(new)
    (DOCS / "performance.svg").write_text(plot(run))


COLOURS = {"haproxy": "#8a94a6", "raw": "#c9a227", "aurora": "#2f6fde"}


def plot(run):
    """Bars of the ratios to nginx; a line where nginx stands, and a mark at Aurora's target."""
    chosen = [row for row in rows(run) if row.plotted]
    left, bar, gap, top = 330, 14, 16, 60
    ratios = {(row, name): cell(run, row, name)[1] for row in chosen for name in COLOURS}
    limits = {row: row.most or row.least for row in chosen}
    widest = max([*ratios.values(), *(limit for limit in limits.values() if limit)])
    unit = min(200, 700 / widest)
    group = len(COLOURS) * bar + gap
    width, height = int(left + widest * unit + 70), top + len(chosen) * group + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(10, 20, "Ratios to nginx in the same run (nginx = 1)", 'font-size="15" font-weight="bold"'),
    ]
    for index, (name, colour) in enumerate(COLOURS.items()):
        x = left + index * 100
        parts += [f'<rect x="{x}" y="32" width="10" height="10" fill="{colour}"/>', text(x + 15, 42, TITLES[name])]
    parts += [f'<path d="M{left + 303} 30v14" stroke="#c0392b" stroke-width="2"/>', text(left + 312, 42, "Aurora's target")]
    parts.append(f'<path d="M{left + unit:.1f} {top - 6}V{height - 10}" stroke="#333" stroke-dasharray="3 3"/>')
    for index, row in enumerate(chosen):
        y = top + index * group
        better = "less is better" if row.most else "more is better"
        parts.append(text(left - 10, y + 20, row.label, 'text-anchor="end"'))
        parts.append(text(left - 10, y + 35, better, 'text-anchor="end" fill="#777" font-size="11"'))
        if limits[row]:
            x = left + limits[row] * unit
            parts.append(f'<path d="M{x:.1f} {y - 2}v{len(COLOURS) * bar + 2}" stroke="#c0392b" stroke-width="2"/>')
        for place, (name, colour) in enumerate(COLOURS.items()):
            ratio, line = ratios[row, name], y + place * bar
            parts.append(f'<rect x="{left}" y="{line}" width="{ratio * unit:.1f}" height="{bar - 2}" fill="{colour}"/>')
            readable = 'font-size="10" stroke="white" stroke-width="3" paint-order="stroke"'
            parts.append(text(left + ratio * unit + 4, line + 10, f"{ratio:.2f}", readable))
    return "\n".join([*parts, "</svg>", ""])


def text(x, y, words, style=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{words}</text>'
