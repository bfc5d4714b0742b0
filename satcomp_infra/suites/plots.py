"""The field's two pictures: the cactus plot of all runs, and the scatter plot of two of them.

Made with matplotlib, which is needed for nothing else, and so is loaded here alone.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .scores import VBS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .scores import Comparison

LEAST_SECONDS = 0.01
"""Times are drawn on a logarithmic axis from here on; shorter ones are drawn as this."""
_SIZE = (7.2, 4.6)
_INK, _FAINT = "#1a1a1a", "#8a8a8a"
# Told apart by people who don't see some colours, on white and on black, and by their dashes beside (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
_DIGITS = 3
"""Of the times in a scatter plot: points that can't be told apart are drawn once."""


def missing() -> str:
    """Why there can be no pictures; empty where there can."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return "There are no pictures: the Python package matplotlib is missing. Type 'pip install -e .[plot]'."
    return ""


def cactus(comparison: Comparison) -> Figure:
    """For each run: how many problems it solves, if each gets so much time."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure()
    series = [(name, [times[run] for times in comparison.times]) for run, name in enumerate(comparison.names)]
    if len(series) > 1:
        series.append((VBS, comparison.best))
    labels = []
    for place, (name, times) in enumerate(series):
        solved = sorted(max(time, LEAST_SECONDS) for time in times if time is not None)
        virtual = place == len(comparison.names)
        axes.plot(
            [LEAST_SECONDS, *solved],
            range(len(solved) + 1),
            label=str(place),
            color=_FAINT if virtual else _COLOURS[place % len(_COLOURS)],
            linestyle=":" if virtual else _DASHES[(place + place // len(_COLOURS)) % len(_DASHES)],
            drawstyle="steps-post",
            linewidth=1.6,
            marker="" if len(solved) > 60 or virtual else ".",
        )
        labels.append(f"{_shortened(name)} ({len(solved)})")
    latest = _latest(comparison)
    _seconds(axes, "x")
    axes.set_xlim(LEAST_SECONDS, latest * 1.3)
    axes.set_ylim(0, max(len(comparison.problems), 1) * 1.03)
    axes.set_xlabel("wall-clock time for each problem, in seconds")
    axes.set_ylabel("problems solved")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(latest, color=_FAINT, linewidth=0.8, linestyle=":")
    legend = axes.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=_INK)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)  # only now: lines whose label begins with "_" have none
    return figure


def scatter(comparison: Comparison, first: int = 0, second: int = 1) -> Figure:
    """Each problem as a point: the first run's time and the second's. What was not solved is on the edge."""
    figure, axes = _figure(square=True)
    latest = _latest(comparison)
    edge = latest * 1.6
    points: dict[str, dict[tuple[float, float], None]] = {"SAT": {}, "UNSAT": {}}
    for rows, times in zip(comparison.rows, comparison.times, strict=True):
        before, after = times[first], times[second]
        if before is None and after is None:
            continue
        verdict = rows[first if before is not None else second].verdict
        points[verdict][_place(before, edge), _place(after, edge)] = None
    for (verdict, marker), colour in zip((("SAT", "o"), ("UNSAT", "x")), _COLOURS, strict=False):
        at = list(points[verdict])
        style: dict[str, Any] = {"facecolors": "none", "edgecolors": colour} if marker == "o" else {"color": colour}
        axes.scatter(
            [x for x, _ in at], [y for _, y in at], marker=marker, s=22, linewidths=1.0, label=verdict, **style
        )
    ends = [LEAST_SECONDS, edge * 1.3]
    for factor in (0.1, 1, 10):
        axes.plot(
            ends, [end * factor for end in ends], color=_FAINT, linewidth=0.8, linestyle="-" if factor == 1 else ":"
        )
    for line in (axes.axvline, axes.axhline):
        line(latest, color=_FAINT, linewidth=0.8, linestyle="--")
    _seconds(axes, "x", "y")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.set_xlabel(f"{_shortened(comparison.names[first])}, in seconds")
    axes.set_ylabel(f"{_shortened(comparison.names[second])}, in seconds")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=9, labelcolor=_INK)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a picture, in the format that the name's suffix stands for."""
    with _drawing(path.stem):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def inline_svg(figure: Figure, title: str) -> str:
    """The picture as an element of an HTML page, in the page's own colours (--ink, --faint, --line0 to --line5)."""
    text = io.StringIO()
    with _drawing(title):
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    variables = {_INK: "ink", _FAINT: "faint", **{colour: f"line{n}" for n, colour in enumerate(_COLOURS)}}
    for colour, variable in variables.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)


def _figure(*, square: bool = False) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE[1] + 0.4, _SIZE[1]) if square else _SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(which="both", colors=_INK, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(_INK)
        label.set_fontsize(10)
    for name, spine in axes.spines.items():
        spine.set_color(_INK)
        spine.set_visible(name in ("left", "bottom"))
    return figure, axes


def _seconds(axes: Axes, *names: str) -> None:
    """Make these axes logarithmic, with plain numbers."""
    for name in names:
        axes.set(**{f"{name}scale": "log"})
        getattr(axes, f"{name}axis").set_major_formatter(lambda seconds, _: f"{seconds:g}")


@contextmanager
def _drawing(salt: str) -> Iterator[None]:
    """The same picture is the same text each time, with words as words; what the font lacks is no news."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # browsers have it, and files show a box
        yield


def _latest(comparison: Comparison) -> float:
    return max((row.timeout for rows in comparison.rows for row in rows), default=0) or 1.0


def _place(seconds: float | None, edge: float) -> float:
    return edge if seconds is None else float(f"{max(seconds, LEAST_SECONDS):.{_DIGITS}g}")


def _shortened(name: str, length: int = 40) -> str:
    """A name that fits into a picture; `$` would begin a formula."""
    return (name if len(name) <= length else f"{name[: length - 3]}...").replace("$", r"\$")
