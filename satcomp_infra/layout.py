"""How what is said is laid out: lines of at most 80 columns; what is to be copied stands whole on a line of its own."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 80
COPIED = ("./", "aws ", "docker ", "sudo ", "source ", "export ", "chmod ", "s3://", "sha256:", "$ ")
"""How a line begins that is to be typed or copied: a command, or an address. A command that goes on ends in ` \\`."""

# Not broken at its blanks: an option with its value, a command in quotes, a number with its unit, `p = 0.02`.
_WHOLE = re.compile(r"--[a-z-]+ [^\s-]\S*|(?<!\w)'[^'\n]{1,50}'(?!\w)|\d (?:s|min|h|d|MB|MiB|GiB|vCPU|USD)\b|\bp = \S+")
_BLANK = "\0"
_REPEATED = re.compile(r"(?P<mark>\s*[#|] )")
_HANGING = re.compile(r"(?P<indent>\s*)(?:- |\d\. |(?P<label>\S(?:.{0,30}?\S)??\s{2,})(?=\S))?")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLAIN = str.maketrans(
    {"…": "...", "‘": "'", "’": "'", "“": '"', "”": '"', "«": '"', "»": '"', "–": "-", "—": "-", "−": "-", "→": "->"}
)


def lay_out(text: str) -> list[str]:
    """Lines of at most WIDTH columns. One that is broken goes on below its text, right of its bullet or label.

    A line of the text that begins as COPIED has it is never broken; where it isn't indented, it stands two columns to
    the right of what is said before it. Control characters, as terminals obey, become blanks.
    """
    lines: list[str] = []
    inner = ""
    for line in harmless(text).expandtabs().split("\n"):
        if line.startswith(COPIED) and lines and not line.startswith("$ "):
            lines.append(f"{inner.rstrip('#| ')}  {line}" if inner.strip() else f"{inner}  {line}")
        elif line.lstrip().startswith(COPIED) or line.endswith(" \\"):
            lines.append(line)
        else:
            inner = _following(line)
            lines += [line.rstrip()] if len(line) <= WIDTH else _broken(line, inner)
    return lines


def join(*parts: str) -> str:
    """Sentences one behind the other; what follows a line to be copied, or one of a node's, begins a new line."""
    text = ""
    for part in filter(None, parts):
        whole = text.rpartition("\n")[2].lstrip().startswith((*COPIED, "| "))
        between = "\n" if whole or part.startswith(COPIED) else " "
        text = f"{text}{between}{part}" if text else part
    return text


def command(words: Sequence[str], prompt: str = "$ ") -> str:
    """A command as it is typed in a shell; one that is too wide on several lines, which can be pasted as they are."""
    shown = f"{prompt}{shlex.join(words)}"
    if len(shown) <= WIDTH:
        return shown
    parts: list[list[str]] = [[]]
    for before, word in zip(("", *words), words, strict=False):
        if word.startswith("--") or (len(parts[-1]) > 1 and not before.startswith("--")):
            parts.append([])
        parts[-1].append(word)
    lines = [f"{prompt}{shlex.join(parts[0])}"]
    for part in map(shlex.join, parts[1:]):
        if len(lines[-1]) + len(part) + len("  \\") <= WIDTH:
            lines[-1] += f" {part}"
        else:
            lines[-1] += " \\"
            lines.append(f"    {part}")
    return "\n".join(lines)


def harmless(text: str) -> str:
    """The text without what makes a terminal do something else than show it."""
    return _CONTROL.sub(lambda found: " " if len(found[0]) == 1 else "", text)


def encodable(text: str, encoding: str) -> str:
    """The text with what the encoding lacks replaced: by ASCII that looks like it, or by question marks."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return text


def _following(line: str) -> str:
    """What the second line begins with, if this one has to be broken."""
    repeated = _REPEATED.match(line)
    if repeated:
        return repeated["mark"]
    hanging = _HANGING.match(line)
    return " " * (hanging.end() if hanging else 0)


def _broken(line: str, following: str) -> list[str]:
    """Not by textwrap, which would break what shall stay whole and take a label's blanks for one."""
    whole = _WHOLE.sub(lambda found: found[0].replace(" ", _BLANK), line[len(following) :])
    lines, current = [], line[: len(following)]
    for gap, word in re.findall(r"(\s*)(\S+)", whole):
        if len(current) + len(gap) + len(word) <= WIDTH or len(current) <= len(following):
            current += gap + word
        else:
            lines.append(current)
            current = following + word
    return [each.replace(_BLANK, " ") for each in [*lines, current]]
