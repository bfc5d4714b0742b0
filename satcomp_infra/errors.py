"""What can go wrong, said in words, and the exit code that each kind has."""

from __future__ import annotations

from enum import IntEnum

from .layout import join


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    INTERRUPTED = 130


class SatcompError(Exception):
    """An expected failure: one sentence that says what is wrong, and what to do about it.

    `message` names the input or the thing that failed; `advice`, if there is any, is what to type or change, each
    command on a line of its own. The
    command line prints both and exits with `exit_code`; a traceback is shown only with --debug.
    """

    exit_code = Exit.FAILURE

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return join(self.message, self.advice)


class UsageError(SatcompError):
    """What was typed can't be done, whatever the state of the account."""

    exit_code = Exit.USAGE
