"""The README's blocks: what they are, a shell that they are pasted into, and what of a text is the same each time."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()

# What differs each time, and what the README has for it. Times and sizes are the last: `0:01`, `2.3 s`.
_VARYING = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "JOB_ID"),
    (r"\bi-[0-9a-f]{17}\b", "i-0123456789abcdef0"),
    (r"sha256:[0-9a-f]{12,64}", "sha256:DIGEST"),
    (r"\b(127(\.\d+){3}|10\.0\.1\.\d+)\b", "ADDRESS"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?\b", "DATE"),
    (r"\breport-\d{4}-\d\d-\d\d-\d{6}\b", "report-DATE"),
    (r"\bfor 0\.\d\d USD\.|\b\d+\.\d\d USD since\b", "COST"),
    (r"(?m)(?<=  )\d+\.\d\d$", "SECONDS"),
    (r"\b(\d+ h )?\d+ min\b", "TIME"),
    (r"\b\d+:\d\d(:\d\d)?\b", "TIME"),
    (r"\b\d+(\.\d+)? m?s\b", "TIME"),
)


@dataclass(frozen=True)
class Block:
    """A fenced block: `language` as the fence has it, and below which headings it stands."""

    language: str
    text: str
    section: str
    heading: str


def blocks() -> list[Block]:
    """All fenced blocks, in their order."""
    found: list[Block] = []
    section = heading = ""
    lines = iter(TEXT.splitlines())
    for line in lines:
        if line.startswith("## "):
            section, heading = line[3:], ""
        elif line.startswith("### "):
            heading = line[4:]
        elif line.lstrip().startswith("```"):
            indent, _, language = line.partition("```")
            inside = []
            while not (inner := next(lines).removeprefix(indent)).startswith("```"):
                inside.append(inner)
            found.append(Block(language, "\n".join(inside), section, heading))
    return found


def lasting(text: str) -> str:
    """A text without what differs from time to time, and without its line breaks."""
    for pattern, name in _VARYING:
        text = re.sub(pattern, name, text)
    return " ".join(text.split())


def missing(shown: str, block: str) -> str:
    """The first piece of a block's text that is not, in this order, in what was shown; empty if there is none."""
    left = lasting(shown)
    for piece in (piece.strip() for piece in lasting(block).split("[...]")):
        if piece:
            if piece not in left:
                return piece
            left = left.partition(piece)[2]
    return ""


class Shell:
    """A shell that blocks are pasted into, one after the other, as into a terminal."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            env={**os.environ, **environment},
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.failed = ""
        """The command of the last block that ended with another exit code than 0."""

    def paste(self, block: str) -> str:
        """Run a block; returns all that it prints."""
        assert self._process.stdin
        assert self._process.stdout
        mark = f"end-{uuid.uuid4().hex}"
        self._process.stdin.write(
            f"trap 'echo {mark} failed: \"$BASH_COMMAND\"' ERR\n{block}\ntrap - ERR\necho; echo {mark}\n"
        )
        self._process.stdin.flush()
        self.failed, shown = "", []
        for line in self._process.stdout:
            if line == f"{mark}\n":
                return "".join(shown).rstrip("\n")
            if line.startswith(f"{mark} failed: "):
                self.failed = self.failed or line.partition(" failed: ")[2].strip()
            else:
                shown.append(line)
        raise AssertionError(f"the shell has ended in:\n{block}\nafter:\n{''.join(shown)}")

    def close(self) -> None:
        """End the shell."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()
