"""Pages that are written by hand, but for parts of them: these stand between two marks, and `make docs` renews them.

The marks are the lines `<!-- NAME: written by make docs -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def renewed(page: Path, parts: Mapping[str, str]) -> str:
    """The page's text with its parts as they should be now. Raises ValueError where the page lacks the marks of one."""
    text = page.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- {name}: written by make docs -->\n", f"<!-- end of {name} -->\n"
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found_begin or not found_end:
            raise ValueError(f"{page} needs the lines '{begin.strip()}' and '{end.strip()}'")
        text = f"{before}{begin}\n{part.strip()}\n\n{end}{after}"
    return text
