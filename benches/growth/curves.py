"""Measured curves: their slope on log-log axes, their table, their picture."""

import dataclasses
import math
import statistics

WIDTH, HEIGHT, COLUMNS = 330, 230, 3
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 44, 36


@dataclasses.dataclass
class Curve:
    """What was measured at growing sizes. `shape` is what it should be: "flat" or "linear"."""

    name: str
    across: str
    unit: str
    shape: str
    points: list
    # Below this a value is noise, as a few pages of memory are, and is no part of the slope.
    floor: float = 0.0

    def heard(self):
        return [(x, y) for x, y in self.points if y > self.floor]

    def worth(self, y):
        return f"under {number(self.floor)} {self.unit}" if y < self.floor else f"{number(y)} {self.unit}"

    def slope(self):
        """The exponent of a power of the size, by least squares over the logarithms."""
        heard = self.heard()
        if len(heard) < 2:
            return 0.0
        return statistics.linear_regression(*zip(*((math.log(x), math.log(y)) for x, y in heard))).slope

    def last_slope(self):
        """Between the two largest sizes, where what is fixed weighs least."""
        heard = self.heard()
        if len(heard) < 2:
            return 0.0
        (x1, y1), (x2, y2) = heard[-2:]
        return math.log(y2 / y1) / math.log(x2 / x1)

    def is_good(self):
        """Caches and new pages bend a curve a little, and its last step more; a quadratic one has 2 in both."""
        if self.shape == "flat":
            return self.slope() <= 0.15
        return self.slope() <= 1.15 and self.last_slope() <= 1.35

    def verdict(self):
        return self.shape if self.is_good() else f"steeper than {self.shape}"


def number(value):
    """Three digits that count, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 3)}f}"


def size(value, across):
    if across == "bytes":
        for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= unit:
                return f"{value // unit} {name}"
    return f"{value:,}"


def table(curves):
    rows = ["| what | from | to | slope | last step | it is |", "|---|---|---|---|---|---|"]
    for curve in curves:
        (x1, y1), (x2, y2) = curve.points[0], curve.points[-1]
        ends = [f"{curve.worth(y)} at {size(x, curve.across)}" for x, y in ((x1, y1), (x2, y2))]
        slopes = f"{curve.slope():.2f} | {curve.last_slope():.2f}"
        rows.append(f"| {curve.name}, by {curve.across} | {ends[0]} | {ends[1]} | {slopes} | {curve.verdict()} |")
    return "\n".join(rows)


def decades(values):
    return range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)


def tick(exponent):
    value = 10.0**exponent
    if value >= 1e6:
        return f"{value / 1e6:,.0f} M"
    if value >= 1e3:
        return f"{value / 1e3:,.0f} k"
    return f"{value:g}"


def panel(curve, left, top):
    """One small picture: both axes logarithmic, measured points with a line through them."""
    heard = curve.heard()
    if len(heard) < 2:
        heard = [(x, y) for x, y in curve.points if y > 0]
    up = decades([y for _, y in heard])
    first, last = (math.log10(x) for x in (curve.points[0][0], curve.points[-1][0]))
    if len(up) < 3:
        up = range(up[0] - (3 - len(up)), up[-1] + 1)

    def at_x(x):
        share = (math.log10(x) - first) / (last - first)
        return left + LEFT + share * (WIDTH - LEFT - RIGHT)

    def at_y(y):
        share = (math.log10(y) - up[0]) / (up[-1] - up[0])
        return top + HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    out = [f'<text class="title" x="{left + 12}" y="{top + 18}">{curve.name}, {curve.unit}</text>']
    words = f"slope {curve.slope():.2f}, last step {curve.last_slope():.2f}: {curve.verdict()}"
    if len(curve.heard()) < 2:
        words = f"{curve.shape}: always under {number(curve.floor)} {curve.unit}"
    color = "good" if curve.is_good() else "bad"
    out.append(f'<text class="slope {color}" x="{left + 12}" y="{top + 34}">{words}</text>')
    step = 1 + (len(up) - 1) // 5
    for exponent in up:
        y = at_y(10.0**exponent)
        out.append(f'<line class="grid" x1="{left + LEFT}" x2="{left + WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if (exponent - up[0]) % step == 0:
            out.append(f'<text class="up" x="{left + LEFT - 6}" y="{y + 4:.1f}">{tick(exponent)}</text>')
    step = 1 + (len(curve.points) - 1) // 5
    for count, (value, _) in enumerate(reversed(curve.points)):
        x = at_x(value)
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + TOP}" y2="{top + HEIGHT - BOTTOM}"/>')
        if count % step == 0:
            label = size(value, curve.across)
            out.append(f'<text class="across" x="{x:.1f}" y="{top + HEIGHT - BOTTOM + 14}">{label}</text>')
    middle = left + LEFT + (WIDTH - LEFT - RIGHT) / 2
    out.append(f'<text class="across" x="{middle:.1f}" y="{top + HEIGHT - BOTTOM + 28}">{curve.across}</text>')
    line = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in heard)
    out.append(f'<polyline class="{color}" points="{line}"/>')
    out += [f'<circle class="{color}" cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3"/>' for x, y in heard]
    return "".join(out)


STYLE = """
svg { background: #fff; font-family: sans-serif; }
text { font-size: 11px; fill: #555; }
.title { font-size: 13px; font-weight: bold; fill: #222; }
.slope.good { fill: #1f5fa8; } .slope.bad { fill: #b3400d; }
.up { text-anchor: end; } .across { text-anchor: middle; }
.grid { stroke: #e4e4e4; }
polyline { fill: none; stroke-width: 1.6; }
polyline.good { stroke: #1f5fa8; } polyline.bad { stroke: #b3400d; }
circle.good { fill: #1f5fa8; } circle.bad { fill: #b3400d; }
"""


def picture(curves):
    rows = math.ceil(len(curves) / COLUMNS)
    width, height = WIDTH * COLUMNS, HEIGHT * rows + 8
    panels = [panel(curve, WIDTH * (at % COLUMNS), HEIGHT * (at // COLUMNS)) for at, curve in enumerate(curves)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    ground = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", ground, *panels, "</svg>", ""])
