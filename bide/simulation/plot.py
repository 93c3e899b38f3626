"""A simulation as a page: HTML with a drawing in it, which needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from bide.simulation.series import Series

SPANS: Final = 480
_LEFT, _WIDTH, _TOP, _HEIGHT, _GAP = 64, 960, 8, 120, 46
_RIGHT: Final = 16

_STYLE: Final = """\
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2330; --faint: #5b6575; --grid: #e3e7ed;
  --tasks: #2b6cb0; --workers: #c2570c; --bound: #16794f; --late: #a3266b; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e8ebf0; --faint: #a3adbb;
  --grid: #2b323d; --tasks: #6fb1f0; --workers: #f59a52; --bound: #5bcf9b; --late: #ee86bd; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 24px auto;
  max-width: 1040px; padding: 0 16px; }
h1 { font-size: 20px; margin: 0 0 4px; }
p { color: var(--faint); margin: 0 0 12px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0 0 20px; }
dt { color: var(--faint); } dd { margin: 0; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
text { fill: var(--faint); font-size: 12px; }
text.title { fill: var(--ink); font-size: 13px; font-weight: 600; }
.grid { stroke: var(--grid); stroke-width: 1; }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; } .area { stroke: none; opacity: .28; }
.tasks { stroke: var(--tasks); fill: var(--tasks); }
.workers { stroke: var(--workers); fill: var(--workers); }
.bound { stroke: var(--bound); fill: var(--bound); } .late { stroke: var(--late); fill: var(--late); }
.line.tasks, .line.workers, .line.bound, .line.late { fill: none; } .bound { stroke-dasharray: 5 3; }
.key { stroke-width: 3; } .span { fill: transparent; } .span:hover { fill: var(--faint); opacity: .25; }
"""


class _Line(NamedTuple):
    kind: str
    label: str
    values: Sequence[float]
    filled: bool = False


class _Panel(NamedTuple):
    title: str
    lines: tuple[_Line, ...]


def page(title: str, subtitle: str, facts: Sequence[tuple[str, str]], data: Series) -> str:
    """The page. facts: names and values that stand above the drawing."""
    panels = (
        _Panel("arrivals per minute", (_Line("tasks", "", data.arrivals, True),)),
        _Panel("tasks at once, if each starts on arrival", (_Line("tasks", "", data.running, True),)),
        _Panel(
            "workers",
            (_Line("workers", "billed", data.workers, True), _Line("bound", "bound", data.bound)),
        ),
        _Panel("longest start delay, s", (_Line("late", "", data.delay, True),)),
    )
    rows = "\n".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{_STYLE}</style></head><body>\n<h1>{html.escape(title)}</h1>\n"
        f"<p>{html.escape(subtitle)}</p>\n<dl>\n{rows}\n</dl>\n{_drawing(panels, data)}\n</body></html>\n"
    )


def _drawing(panels: Sequence[_Panel], data: Series) -> str:
    height = _TOP + len(panels) * (_HEIGHT + _GAP)
    parts = [
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" role="img" '
        'aria-label="arrivals, tasks, workers and start delays over time">'
    ]
    for index, panel in enumerate(panels):
        parts += _drawn(panel, _TOP + index * (_HEIGHT + _GAP) + 22, data.span)
    parts += _spans(data, height)
    return "\n".join([*parts, "</svg>"])


def _drawn(panel: _Panel, top: float, span: float) -> Iterator[str]:
    """A panel whose plot begins at `top`."""
    most = max((max(line.values) for line in panel.lines), default=0.0)
    step = nice(most / 4) if most else 1.0
    ceiling = step * max(1, math.ceil(most / step - 1e-9))
    bottom = top + _HEIGHT - 22
    yield f'<text class="title" x="{_LEFT}" y="{top - 8}">{panel.title}</text>'
    for number in range(round(ceiling / step) + 1):
        y = bottom - (bottom - top) * number * step / ceiling
        yield f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number * step:,g}</text>'
    yield from _time_axis(bottom, span)
    for index, line in enumerate(panel.lines):
        points = [
            f"{_LEFT + _WIDTH * (place + 0.5) / len(line.values):.1f},"
            f"{bottom - (bottom - top) * value / ceiling:.1f}"
            for place, value in enumerate(line.values)
        ]
        path = "M" + "L".join(points)
        if line.filled:
            first, last = points[0].partition(",")[0], points[-1].partition(",")[0]
            yield f'<path class="area {line.kind}" d="{path}L{last},{bottom}L{first},{bottom}Z"/>'
        yield f'<path class="line {line.kind}" d="{path}"/>'
        if line.label:
            x = _LEFT + 90 + index * 90
            yield f'<path class="line key {line.kind}" d="M{x},{top - 12}h24"/>'
            yield f'<text x="{x + 30}" y="{top - 8}">{line.label}</text>'


def _time_axis(bottom: float, span: float) -> Iterator[str]:
    total = span * SPANS
    unit, name = (3600.0, "h") if total > 7200 else (60.0, "min") if total > 120 else (1.0, "s")
    step = nice(total / unit / 8)
    for number in range(int(total / unit / step) + 1):
        x = _LEFT + _WIDTH * number * step * unit / total
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        label = f"{number * step:g}{f' {name}' if number == 0 else ''}"
        yield f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{label}</text>'


def _spans(data: Series, height: float) -> Iterator[str]:
    """What a pointer sees: the values of the span below it."""
    wide = _WIDTH / len(data.arrivals)
    columns = zip(data.arrivals, data.running, data.workers, data.bound, data.delay, strict=True)
    for index, (arrivals, tasks, workers, needed, delay) in enumerate(columns):
        at = index * data.span
        time = f"{int(at // 3600)}:{int(at % 3600 // 60):02}:{int(at % 60):02}"
        seen = (
            f"{time}: {arrivals:.1f} arrivals a minute, {tasks:.1f} tasks, "
            f"{workers:.2f} workers, bound {needed:.2f}, delays up to {delay:.2f} s"
        )
        x = _LEFT + index * wide
        yield (
            f'<rect class="span" x="{x:.2f}" y="0" width="{wide:.2f}" height="{height}">'
            f"<title>{seen}</title></rect>"
        )


def nice(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least - 1e-12)
