"""What can be shown where a stream leads: colours, a cursor that moves, letters beyond ASCII."""

from __future__ import annotations

import os
from typing import IO

_COERCED = "C.UTF-8"
"""What Python itself sets LC_CTYPE to where the locale is C (PEP 538), whatever the terminal knows."""


def has_colours(stream: IO[str]) -> bool:
    """Whether a person sees the stream on a terminal with colours, and hasn't refused them (https://no-color.org)."""
    return has_cursor(stream) and not os.environ.get("NO_COLOR")


def has_cursor(stream: IO[str]) -> bool:
    """Whether it leads to a terminal on which something can be drawn over."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def charset(stream: IO[str]) -> str:
    """The encoding that can be shown: that of the stream, but ASCII on a terminal whose locale is C."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return "ascii" if stream.isatty() and _locale() in ("", "C", "POSIX") else encoding


def _locale() -> str:
    names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    every, ctype, language = names
    return every or (ctype if ctype != _COERCED else "") or language
