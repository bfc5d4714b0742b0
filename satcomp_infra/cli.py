"""What every command shares: its common options, its start, and the one place where errors become words."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar, cast

from .errors import Exit, SatcompError, UsageError
from .progress import Console
from .project import Project
from .signals import Ending

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as Group
    from collections.abc import Callable, Sequence

    from .aws import Aws
    from .command_line import Parser

T = TypeVar("T")

LONGEST_HOURS = 8760
"""Of any time that can be typed: calendars and AWS's own times end."""
GET_DEPENDENCIES = "In the project's folder, type 'make .venv' and then 'source .venv/bin/activate'."


class Command(Protocol):
    """A module that holds a command."""

    def parser(self) -> Parser:
        """The command's arguments."""

    def run(self, args: argparse.Namespace, console: Console) -> Exit:
        """Carry the command out."""


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Make an argparse type of a function that raises UsageError, keeping its message."""

    def convert(text: str) -> T:
        try:
            return parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def whole_number(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """An argparse type: a whole number within bounds."""
    bounds = f"from {minimum} to {maximum}" if maximum is not None else f"of {minimum} or more"

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum or (maximum is not None and value > maximum):
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number {bounds}")
        return value

    return convert


def time_span(text: str) -> float:
    """An argparse type: a time as `90s`, `15m` or `8h`, in seconds; LONGEST_HOURS at most."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"'{text}' is not a time: write for example 90s, 15m or 8h")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    if seconds > LONGEST_HOURS * 3600:
        raise argparse.ArgumentTypeError(f"'{text}' is too long: {LONGEST_HOURS}h, a year, is the most")
    return seconds


def add_timeout(group: Group, default: str, then: str = "AWS goes on after that") -> None:
    """Add --timeout: how long the command waits, and what then."""
    group.add_argument(
        "--timeout",
        type=time_span,
        default=default,
        metavar="TIME",
        help=f"how long to wait, as 90s, 15m or 8h; {then} (default: %(default)s)",
    )


def add_project(group: Group, *, required: bool, text: str = "the project's name") -> None:
    """Add --project; where it isn't required, the only project of the account and region is meant."""
    default = "" if required else " (default: the region's only project)"
    group.add_argument(
        "--project", required=required, type=argument(Project), metavar="PROJECT_NAME", help=f"{text}{default}"
    )


def add_aws_options(parser: Parser, *, project: bool = True) -> None:
    """Add --profile, --region and, unless it stands elsewhere, --project."""
    group = parser.add_argument_group("AWS")
    if project:
        add_project(group, required=False)
    group.add_argument(
        "--region", metavar="REGION", help="AWS region to use (default: AWS_DEFAULT_REGION, or the profile's)"
    )
    group.add_argument(
        "--profile", metavar="PROFILE", help="profile of your AWS configuration (default: AWS_PROFILE, or 'default')"
    )


def add_output_options(parser: Parser) -> None:
    """Add --debug and --help."""
    group = parser.add_argument_group("output")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error, too")
    group.add_argument("-h", "--help", action="help", help="show this help, and do nothing else")


def connect(args: argparse.Namespace) -> Aws:
    """The session that the common options ask for."""
    from .aws import Aws

    return Aws.connect(args.profile, args.region)


def main(module: str, argv: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Run the command in a module of this package, for example `commands.create`. Returns the exit code.

    Raises SystemExit for --help and for a command line that isn't understood, as argparse does.
    """
    debug = "--debug" in (sys.argv if argv is None else argv)
    console = console or Console.standard()
    try:
        command = cast("Command", importlib.import_module(f"satcomp_infra.{module}"))
        parser = command.parser()
        if "_ARGCOMPLETE" in os.environ:  # the shell asks what can stand where Tab was pressed
            from .completion import complete

            complete(parser)
        args = parser.parse(sys.argv[1:] if argv is None else argv)
        try:
            return command.run(args, console)
        except UsageError as error:
            _report(console, error, debug=debug, prog=parser.prog)
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - the one boundary: what isn't expected is reported as such
            failure = _in_words(error)
            _report(console, failure, debug=debug, prog=parser.prog)
            if failure is not error and console.when_interrupted:  # not a failure that the command itself has told of
                console.say(console.when_interrupted)
            return failure.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise
        console.error(f"The Python package '{error.name}' is missing.", GET_DEPENDENCIES)
        return Exit.FAILURE
    except KeyboardInterrupt as interrupt:
        if debug:
            traceback.print_exc()
        if console.interactive:
            console.say()  # the terminal has shown it as ^C
        console.error(f"Stopped by {str(interrupt) or 'Ctrl-C'}.", console.when_interrupted)
        return Exit.INTERRUPTED


def start(module: str) -> NoReturn:
    """Run a command as a program, with the behaviour that a shell expects of one."""
    ending = Ending()
    ending.prepare()
    try:
        code = main(module)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe went away, as `| head` does
        code = 128 + signal.SIGPIPE
    ending.finish()
    sys.exit(ending.exit_code(code))


def _in_words(error: Exception) -> SatcompError:
    if isinstance(error, SatcompError):
        return error
    if type(error).__module__.partition(".")[0] in {"botocore", "boto3"}:
        from botocore.exceptions import BotoCoreError, ClientError

        from .aws import in_words

        if isinstance(error, BotoCoreError | ClientError):
            return in_words(error)
    if isinstance(error, ModuleNotFoundError | BrokenPipeError):
        raise error
    if isinstance(error, OSError) and error.filename:
        return SatcompError(f"{error.strerror}: '{Path(str(error.filename))}'.")
    return SatcompError(
        f"This should not have happened: {type(error).__name__}: {error}.",
        "Please report it, with what the same command prints with --debug.",
    )


def _report(console: Console, error: SatcompError, *, debug: bool, prog: str) -> None:
    if debug:
        traceback.print_exc()
    message = f"{prog}: {error.message}" if isinstance(error, UsageError) else error.message
    console.error(message, error.advice)
