"""Colours of what is said, on terminals that have them. They repeat what the words say, and change none of them."""

from __future__ import annotations

import re

from .layout import COPIED

_GOOD, _BAD, _UNSURE, _BOLD, _DIM = "32", "31", "33", "1", "2"
_LOOKS = tuple(
    (re.compile(pattern), style)
    for pattern, style in (
        (r"All is well\.|SAT in .*|UNSAT in .*|Its model satisfies.*", _GOOD),
        (r"What is wrong:|ERROR in .*|WRONG OR CONTRADICTING ANSWERS.*", _BAD),
        (r"TIMEOUT after .*|UNKNOWN in .*|(Note|Warning): .*", _UNSURE),
        (r"# .*", _DIM),
        (r" {4}--.*", _BOLD),
        (r".*?  (?P<part>pass(?=  )|ok$)", _GOOD),
        (r".*?  (?P<part>(FAIL(?=  )|SILENT for|NONE\b).*)", _BAD),
    )
)


def painted(line: str) -> str:
    """A line with its colours."""
    if line.lstrip().startswith(COPIED):
        text = line.lstrip()
        return f"{line[: len(line) - len(text)]}{styled(text, _BOLD)}"
    for pattern, style in _LOOKS:
        found = pattern.fullmatch(line) if "part" not in pattern.groupindex else pattern.match(line)
        if found:
            start, end = found.span("part") if "part" in pattern.groupindex else found.span()
            return f"{line[:start]}{styled(line[start:end], style)}{line[end:]}"
    return line


def bad(line: str) -> str:
    """A line of an error's message."""
    return styled(line, _BAD) if line else line


def styled(text: str, style: str) -> str:
    """A text in a style: the number that terminals know it by."""
    return f"\033[{style}m{text}\033[0m"
