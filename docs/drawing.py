"""Drawing a picture as SVG: boxes, texts and arrows, each of a kind that has its colours.

Colours follow the reader's (prefers-color-scheme), on a background of the picture's own: it can be read on either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

BADGE = 9
"""The radius of a step's number."""
_LIGHT = {
    "page": "fill: #ffffff; stroke: #d1d9e0",
    "laptop": "fill: #f6f8fa; stroke: #818b98",
    "aws": "fill: #fff8ec; stroke: #c77700",
    "cluster": "fill: #eef5ff; stroke: #0757ba",
    "box": "fill: #ffffff; stroke: #818b98",
    "node": "fill: #d6e7ff; stroke: #0757ba",
    "local": "fill: #f0fbf2; stroke: #1a7f37",
    "title, .name, .command": "fill: #1f2328",
    "note": "fill: #4d5661",
    "prepares": "stroke: #818b98",
    "head": "fill: #818b98",
    "job": "stroke: #0757ba",
    "job-head, .badge": "fill: #0757ba",
    "replaces": "stroke: #1a7f37",
    "replaces-head": "fill: #1a7f37",
    "number": "fill: #ffffff",
}
_DARK = {
    "page": "fill: #0d1117; stroke: #3d444d",
    "laptop": "fill: #151b23; stroke: #7d8590",
    "aws": "fill: #1d170c; stroke: #d29922",
    "cluster": "fill: #0f1b2d; stroke: #4493f8",
    "box": "fill: #212830; stroke: #7d8590",
    "node": "fill: #16325c; stroke: #4493f8",
    "local": "fill: #0e1f14; stroke: #3fb950",
    "title, .name, .command": "fill: #f0f6fc",
    "note": "fill: #b1bac4",
    "prepares": "stroke: #7d8590",
    "head": "fill: #7d8590",
    "job": "stroke: #4493f8",
    "job-head": "fill: #4493f8",
    "badge": "fill: #1f6feb",
    "replaces": "stroke: #3fb950",
    "replaces-head": "fill: #3fb950",
    "number": "fill: #ffffff",
}
_FONTS = {"title": 15, "name": 13, "note": 11.5, "command": 11, "number": 11}
"""By class, the size in pixels; commands are in a font of fixed width, titles, names and numbers are bold."""


@dataclass(frozen=True)
class Text:
    """A text in the picture. `room` is how many pixels it may take at most; `anchor` is SVG's."""

    text: str
    kind: str
    x: float
    y: float
    room: float
    anchor: str = "start"

    @property
    def size(self) -> float:
        """Of the font, in pixels."""
        return _FONTS[self.kind]

    def svg(self) -> str:
        """The element."""
        anchor = "" if self.anchor == "start" else f' text-anchor="{self.anchor}"'
        return (
            f'<text class="{self.kind}" x="{self.x:g}" y="{self.y:g}"{anchor}>{escape(self.text, quote=False)}</text>'
        )


@dataclass
class Drawing:
    """Elements in the order in which they are drawn."""

    elements: list[str] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def box(self, kind: str, x: float, y: float, width: float, height: float, *, dashed: bool = False) -> None:
        """A box without anything in it."""
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        self.elements.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"{dashes}/>'
        )

    def text(self, text: str, kind: str, x: float, y: float, room: float, anchor: str = "start") -> None:
        """A text, of one line (see Text)."""
        self.texts.append(Text(text, kind, x, y, room, anchor))
        self.elements.append(self.texts[-1].svg())

    def service(self, name: str, note: str, x: float, middle: float, width: float) -> None:
        """A box with a name and what AWS calls it."""
        self.box("box", x, middle - 25, width, 50)
        self.text(name, "name", x + width / 2, middle - 4, width - 12, "middle")
        self.text(note, "note", x + width / 2, middle + 14, width - 12, "middle")

    def lines(self, lines: Sequence[tuple[str, str]], x: float, middle: float, room: float) -> None:
        """Lines, each of a kind, above and below a row's middle."""
        for number, (kind, line) in enumerate(lines):
            self.text(line, kind, x, middle + 4 + 18 * (number - (len(lines) - 1) / 2), room)

    def arrow(self, kind: str, *points: tuple[float, float], both: bool = False) -> None:
        """A line through the points, with a head at its end, or at both ends."""
        head = {"prepares": "head", "job": "job-head", "replaces": "replaces-head"}[kind]
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        start = f' marker-start="url(#{head})"' if both else ""
        self.elements.append(f'<path class="{kind} line" d="M{path}"{start} marker-end="url(#{head})"/>')

    def badge(self, number: int, x: float, y: float) -> None:
        """A step's number, in a circle."""
        self.elements.append(f'<circle class="badge" cx="{x:g}" cy="{y:g}" r="{BADGE}"/>')
        self.text(str(number), "number", x, y + 4, 2 * BADGE, "middle")

    def step(self, number: int, start: float, end: float, y: float, at: float, *, both: bool = False) -> None:
        """A horizontal arrow with a step's number on it."""
        self.arrow("job", (start, y), (end, y), both=both)
        self.badge(number, at, y)

    def svg(self, title: str, width: int, height: int) -> str:
        """The picture's text."""
        heads = "".join(_head(name) for name in ("head", "job-head", "replaces-head"))
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
            f'<title id="title">{escape(title, quote=False)}</title>',
            f"<style>\n{_style()}\n</style>",
            f"<defs>{heads}</defs>",
            *self.elements,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def _head(name: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path class="{name}" d="M0 1 L10 5 L0 9 z"/></marker>'
    )


def _style() -> str:
    fonts = [
        f".{kind} {{ font: {'' if kind in ('note', 'command') else 'bold '}{size:g}px "
        f"{'monospace' if kind == 'command' else 'sans-serif'} }}"
        for kind, size in _FONTS.items()
    ]
    return "\n".join(
        [
            *fonts,
            ".line { fill: none; stroke-width: 1.6 }",
            *_rules(_LIGHT),
            "@media (prefers-color-scheme: dark) {",
            *(f"  {rule}" for rule in _rules(_DARK)),
            "}",
        ]
    )


def _rules(colours: dict[str, str]) -> list[str]:
    return [f".{kind} {{ {colour} }}" for kind, colour in colours.items()]
