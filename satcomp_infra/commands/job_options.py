"""What send_message and run_benchmarks share: the options of a job, and the solver's own arguments among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..command_line import Parser

if TYPE_CHECKING:
    import argparse
    from argparse import _ArgumentGroup as Group
    from collections.abc import Sequence


class ParserWithArgs(Parser):
    """Takes the solver's own arguments out before the rest is read: they may look like anything.

    They are what stands behind --args, up to the next option of this command; behind a lone `--`, all that follows.
    """

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Read the command line; the solver's arguments become `args`."""
        own: list[str] = []
        for_solver: list[str] = []
        options = {"--help", *(option for action in self._actions for option in action.option_strings)} - {"-h"}
        target = own
        for position, word in enumerate(argv):
            if word == "--" and target is for_solver:
                for_solver += argv[position + 1 :]
                break
            name, _, value = word.partition("=")
            if name == "--args":
                target = for_solver
                if "=" in word:  # --args=WORD: this word alone
                    for_solver.append(value)
                    target = own
            elif target is for_solver and name in options:
                target = own
                own.append(word)
            else:
                target.append(word)
        args = super().parse(own)
        args.args = for_solver
        return args


def add_solver(group: Group, name: str) -> None:
    """Add --args, which ParserWithArgs reads, and an option for the solver's name."""
    group.add_argument(
        "--args",
        metavar="ARG",
        nargs="*",
        help="arguments for the solver: all words up to the next option of this command, or behind a lone '--' all "
        "that follow (default: none)",
    )
    group.add_argument(
        name,
        default="",
        metavar="NAME",
        help="the solver's name, which it finds in SATCOMP_SOLVER_NAME, for images that hold several (default: none)",
    )


def add_model_check(group: Group) -> None:
    """Add --check-models."""
    group.add_argument(
        "--check-models",
        choices=("on", "off"),
        default="on",
        help="whether the leader checks the model that the solver prints for a DIMACS CNF formula; a wrong one makes "
        "the result ERROR (default: %(default)s)",
    )
