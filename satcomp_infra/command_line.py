"""A command's parser: the options that it takes, and how its help reads."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .errors import Exit
from .layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 80
"""Columns that the help has at most; in a narrower terminal it has the terminal's."""
_LEAST_WIDTH = 40
_HELP_COLUMN = 26
_INDENT = "  "
_EXIT_CODES: dict[int, str] = {
    Exit.USAGE: "can't be done as it was typed; the message says what to type instead",
    Exit.INTERRUPTED: "ended by Ctrl-C",
}


@dataclass(frozen=True)
class Example:
    """A command as it can be typed, in lines of at most WIDTH columns, and what it does, in a few words."""

    does: str
    command: str


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence. Options can't be shortened: a new one would break scripts.

    `purpose` is one line, `notes` a paragraph. `usage` has a line for each way to type the command, without its name
    (broken in two where it is too long).
    `exit_codes` says what 0 and 1 mean; 2 and 130 mean the same everywhere, except where it says otherwise.
    """

    def __init__(
        self,
        prog: str,
        purpose: str,
        *,
        usage: Sequence[str],
        examples: Sequence[Example],
        exit_codes: Mapping[int, str],
        notes: str = "",
    ) -> None:
        self.typed = f"./{prog}"
        self.purpose, self.notes = purpose, notes
        self.synopsis = [f"{self.typed} {way}".rstrip().replace("\n", f"\n{' ' * len(self.typed)} ") for way in usage]
        self.examples = tuple(examples)
        self.exit_codes = {**_EXIT_CODES, **exit_codes}
        super().__init__(
            prog=prog,
            usage="\n".join(self.synopsis).replace("\n", f"\n{' ' * len('usage: ')}"),
            description=f"{purpose}\n\n{notes}".rstrip(),
            formatter_class=_Formatter,
            add_help=False,
            allow_abbrev=False,
        )
        self.color = False  # Python 3.14 would colour some of the headings

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Read the command line. A command with a grammar of its own overrides this."""
        return self.parse_args(argv)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one sentence."""
        text = message if message[-1:] in ".!?" else f"{message}."
        said = lay_out(f"{self.prog}: {text[0].upper()}{text[1:]} See {self.typed} --help")
        self.exit(Exit.USAGE, "".join(f"{line}\n" for line in said))

    def format_help(self) -> str:
        """Usage, purpose, options by group, examples, exit codes."""
        lines = ["", "examples:"]
        for example in self.examples:
            lines += [f"{_INDENT}# {example.does}", *(_INDENT + line for line in example.command.splitlines())]
        lines += ["", "exit codes:"]
        for code, meaning in sorted(self.exit_codes.items()):
            head, rest = f"{_INDENT}{code:<5}", _INDENT + " " * 5
            lines += _wrap(meaning, _width(), initial_indent=head, subsequent_indent=rest)
        return super().format_help() + "\n".join(lines) + "\n"


class _Formatter(argparse.HelpFormatter):
    """As wide as the terminal, within bounds; paragraphs stay paragraphs, and no option's name is broken in two."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_HELP_COLUMN, width=_width())

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrap(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = (_wrap(part, width) for part in text.split("\n\n"))
        return "\n\n".join("\n".join(indent + line for line in lines) for lines in paragraphs)


def _wrap(text: str, width: int, **indents: str) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False, **indents)  # type: ignore[arg-type]


def _width() -> int:
    return max(_LEAST_WIDTH, min(shutil.get_terminal_size().columns, WIDTH))
