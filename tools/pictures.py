"""What stands on a terminal as a picture: SVG that needs nothing else, neither fonts nor the network."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from .tmux import COLUMNS

# As rich's own, but for the fonts that it fetches; and all letters are as wide as they must be, whatever the font.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>{title}</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


def svg(shown: str, name: str, title: str) -> str:
    """The picture of what tmux has captured, with its colours. `name` is one of the picture's own, for its styles."""
    console = Console(
        file=io.StringIO(), width=COLUMNS, record=True, force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(Text.from_ansi(shown.rstrip()), soft_wrap=True)
    drawn = console.export_svg(title=title, code_format=_FORMAT.replace("{title}", _escaped(title)), unique_id=name)
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines() if line.strip())


def _escaped(text: str) -> str:
    """As a part of the format, and of XML."""
    from html import escape

    return escape(text).replace("{", "{{").replace("}", "}}")
