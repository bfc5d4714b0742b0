"""Pages that are written by hand, but for parts of them: these stand between two marks, and `make docs` renews them.

The marks are the lines `<!-- NAME: written by make docs -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def renewed(page: Path, parts: Mapping[str, str]) -> str:
    """The page's text with its parts as they should be now. Raises ValueError where the page lacks the marks of one."""
    text = page.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- {name}: written by make docs -->\n", f"<!-- end of {name} -->\n"
        marked = re.compile(f"({re.escape(begin)}).*?({re.escape(end)})", re.DOTALL)
        if len(marked.findall(text)) != 1:
            raise ValueError(f"{page} needs one pair of lines '{begin.strip()}' and '{end.strip()}'")
        text = marked.sub(lambda found, part=part: f"{found[1]}\n{part.strip()}\n\n{found[2]}", text)
    return text
