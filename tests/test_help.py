"""What --help says, of every command: what must be in it, that it is true as far as can be tried, and how it looks."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docs import reference
from satcomp_infra import cli
from satcomp_infra.command_line import WIDTH, Example, Parser

ROOT = Path(__file__).parent.parent
UNITS = {
    "NUMBER": "",
    "NUM_LEADERS": "",
    "NUM_WORKERS": "",
    "MIB": r"\bMiB\b",
    "SECONDS": r"\bseconds\b",
    "TIME": r"\b\d+[smh]\b",
    "USD": r"\bUS dollars\b",
}
"""What a number is called, and what its help must hold."""
SAME_EVERYWHERE = ("--args", "--check-models", "--debug", "--help", "--profile", "--project", "--region")


def options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action, str]]:
    """Each option's name, the option, and what its help says."""
    for action in parser._actions:
        text = (action.help or "") % {"default": action.default}
        yield (action.option_strings or [str(action.metavar)])[-1], action, text


def default(text: str) -> str | None:
    """The default that a help names, at its end."""
    found = re.search(r" \((?:default: (.+)|(required.*))\)$", text)
    return found and (found[1] or found[2])


def faults(parser: Parser) -> Iterator[str]:
    """All that is wrong with a command's help, as sentences."""
    if not re.fullmatch(r"[A-Z].{20,78}\.", parser.purpose):
        yield "The purpose is not one sentence on a line."
    for group in parser._action_groups:
        if group._group_actions and group.title in ("options", "optional arguments", "positional arguments"):
            yield f"{group._group_actions[0].dest} is in no group that says what it is for."
    for name, action, text in options(parser):
        yield from faults_of_option(name, action, text, " ".join(parser.synopsis))
    if len(parser.examples) < 2:
        yield "There are less than two examples."
    for example in parser.examples:
        yield from faults_of_example(example, parser)
    if set(parser.exit_codes) != {0, 1, 2, 130} or not all(parser.exit_codes.values()):
        yield "Not all exit codes are told."


def faults_of_option(name: str, action: argparse.Action, text: str, synopsis: str) -> Iterator[str]:
    if not text:
        yield f"{name} has no help."
    shown = default(text)
    if action.default not in (None, False, argparse.SUPPRESS) and not shown:
        yield f"{name} doesn't say its default."
    elif shown and action.default and isinstance(action.default, str | int | float) and shown != str(action.default):
        yield f"{name} says a wrong default."
    takes_value = action.option_strings and action.nargs != 0
    if takes_value and not action.required and name not in re.findall(r"[\w-]+", synopsis) and not shown:
        yield f"{name} doesn't say what happens without it."
    if is_number(action):
        unit = UNITS.get(str(action.metavar))
        if unit is None or not re.search(unit, text):
            yield f"{name} doesn't say in what it is counted."
    elif action.metavar in UNITS:
        yield f"{name} is called a number, and isn't one."


def is_number(action: argparse.Action) -> bool:
    """Whether an option takes numbers, or times."""
    for word in ("7", "700", "7s", "7h"):
        try:
            if isinstance(action.type, Callable) and isinstance(action.type(word), int | float):  # type: ignore[arg-type]
                return True
        except argparse.ArgumentTypeError:
            pass
    return False


def faults_of_example(example: Example, parser: Parser) -> Iterator[str]:
    lines = [f"  # {example.does}", *(f"  {line}" for line in example.command.splitlines())]
    if not example.does or any(len(line) > WIDTH for line in lines):
        yield f"'{example.command}' is too wide, or isn't explained."
    first, *words = shlex.split(example.command.replace("\\\n", "").replace("BUCKET", "123456789012-my-solver"))
    if first != f"./{parser.prog}":
        yield f"'{example.command}' is another command."
    try:
        parser.parse(words)
    except SystemExit:
        yield f"'{example.command}' can't be typed."


@pytest.mark.parametrize("command", reference.MODULES)
def test_the_help_says_what_one_must_know(command: str) -> None:
    assert not list(faults(reference.parser(command)))


def spoiled(**changes: object) -> Parser:
    """A parser whose help is as it should be, but for these changes."""
    right: dict[str, object] = {
        "purpose": "Do something that somebody needs.",
        "examples": [Example("one", "./x --level 3"), Example("two", "./x --level 4")],
        "exit_codes": {0: "it was done", 1: "it was not"},
        "help": "how much, in seconds (default: %(default)s)",
        "metavar": "SECONDS",
        "default": 5,
        "type": cli.whole_number(0),
        "group": "what to do",
    }
    value = {**right, **changes}
    parser = Parser(
        "x",
        value["purpose"],  # type: ignore[arg-type]
        usage=["[options]"],
        examples=value["examples"],  # type: ignore[arg-type]
        exit_codes=value["exit_codes"],  # type: ignore[arg-type]
    )
    group = parser.add_argument_group(str(value["group"])) if value["group"] else parser
    words = {name: value[name] for name in ("help", "metavar", "default", "type")}
    group.add_argument("--level", **words)  # type: ignore[arg-type]
    return parser


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, None),
        ({"purpose": "Too much. " * 10}, "The purpose is not one sentence on a line."),
        ({"purpose": "Two lines,\nand that is too many."}, "The purpose is not one sentence on a line."),
        ({"group": ""}, "level is in no group that says what it is for."),
        ({"help": None, "default": None}, "--level has no help."),
        ({"help": "how much, in seconds"}, "--level doesn't say its default."),
        ({"help": "how much, in seconds (default: 4)"}, "--level says a wrong default."),
        ({"help": "how much, in seconds", "default": None}, "--level doesn't say what happens without it."),
        ({"help": "how much (default: %(default)s)"}, "--level doesn't say in what it is counted."),
        ({"metavar": "MUCH"}, "--level doesn't say in what it is counted."),
        ({"type": str, "default": "5"}, "--level is called a number, and isn't one."),
        ({"examples": [Example("one", "./x --level 3")]}, "There are less than two examples."),
        ({"examples": [Example("", "./x")] * 2}, "'./x' is too wide, or isn't explained."),
        ({"examples": [Example("y" * 77, "./x")] * 2}, "'./x' is too wide, or isn't explained."),
        ({"examples": [Example("one", "./y")] * 2}, "'./y' is another command."),
        ({"examples": [Example("one", "./x --level much")] * 2}, "'./x --level much' can't be typed."),
        ({"exit_codes": {0: "it was done"}}, "Not all exit codes are told."),
        ({"exit_codes": {0: "", 1: "it was not"}}, "Not all exit codes are told."),
    ],
)
def test_each_fault_of_a_help_is_found(changes: dict[str, object], found: str | None) -> None:
    assert found in faults(spoiled(**changes)) if found else not list(faults(spoiled()))


@pytest.mark.parametrize("command", reference.MODULES)
def test_the_help_fits_into_the_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(columns: int) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        return reference.parser(command).format_help()

    assert max(len(line) for line in shown(80).splitlines()) <= 80
    assert shown(200) == shown(80)  # lines of 200 columns are hard to read
    parser = reference.parser(command)
    whole = {
        line.strip() for text in (*parser.synopsis, *(e.command for e in parser.examples)) for line in text.split("\n")
    }
    whole |= {f"# {example.does}" for example in parser.examples}
    narrow = [line for line in shown(50).splitlines() if line.strip().removeprefix("usage: ") not in whole]
    assert max(len(line) for line in narrow) <= 50
    assert len(shown(1).splitlines()) > len(narrow)


@pytest.mark.parametrize("command", reference.MODULES)
def test_the_help_names_everything_that_the_parser_has(command: str) -> None:
    parser = reference.parser(command)
    shown = " ".join(parser.format_help().split())
    for name, action, text in options(parser):
        assert name in shown
        assert reference.shown(action) in shown
        assert text in shown
    for example in parser.examples:
        assert " ".join(example.command.split()) in shown
    for code, meaning in parser.exit_codes.items():
        assert f" {code} {meaning}" in shown


def test_the_same_option_is_told_the_same_way_everywhere() -> None:
    told: dict[str, set[str]] = {}
    for command in reference.MODULES:
        for name, action, text in options(reference.parser(command)):
            named = command == "create-solver-infrastructure" and name == "--project"  # there, it is yet to be chosen
            if name in SAME_EVERYWHERE and not named:
                told.setdefault(name, set()).add(f"{action.metavar} {text.partition(' (default')[0]}")
    assert told.keys() == set(SAME_EVERYWHERE)
    assert {name: texts for name, texts in told.items() if len(texts) > 1} == {}


def test_every_command_of_the_folder_is_known_by_its_name() -> None:
    programs = {
        path.name: path.read_text() for path in ROOT.iterdir() if path.is_file() and shutil.which(path.name, path=ROOT)
    }
    assert programs.keys() == reference.MODULES.keys()
    for name, text in programs.items():
        assert text.endswith(f'\nstart("{reference.MODULES[name]}")\n')
        assert reference.parser(name).prog == name
