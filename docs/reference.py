"""The pages of reference/: what each command takes, made from its own parser, so that they say what --help says."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from satcomp_infra.command_line import Parser

MODULES = {
    "create-solver-infrastructure": "commands.create",
    "update-solver-infrastructure": "commands.update",
    "push-ecr": "commands.push",
    "update_instances": "commands.instances",
    "show_status": "commands.status",
    "send_message": "commands.send",
    "run_benchmarks": "commands.benchmarks",
    "delete-solver-infrastructure": "commands.delete",
    "rehearse": "local.rehearsal",
}
"""The commands, in the order in which one meets them, and the modules that hold them."""
_COLUMNS = 120
_DEFAULT = re.compile(r" \((?:default: (?P<default>.+)|(?P<required>required.*))\)$")


def parser(command: str) -> Parser:
    """A command's parser."""
    made: Parser = importlib.import_module(f"satcomp_infra.{MODULES[command]}").parser()
    return made


def page(command: str) -> str:
    """The page of a command."""
    made = parser(command)
    notes = f"\n{_paragraph(_marked(made.notes))}\n" if made.notes else ""
    origin = f"[All commands](README.md). This page is made from what `{made.typed} --help` shows (`make docs`)."
    options = "\n\n".join(_group(group) for group in made._action_groups if group._group_actions)
    examples = "\n\n".join(f"# {example.does}\n{example.command}" for example in made.examples)
    codes = "\n".join(f"| {code} | {_marked(meaning)} |" for code, meaning in sorted(made.exit_codes.items()))
    return f"""\
# {command}

{made.purpose}
{notes}
```text
{chr(10).join(made.synopsis)}
```

## Options

{options}

## Examples

```sh
{examples}
```

## Exit codes

| code | meaning |
|---|---|
{codes}

---

{origin}
"""


def index() -> str:
    """The page that leads to all others."""
    rows = "\n".join(f"| [{command}]({command}.md) | {parser(command).purpose} |" for command in MODULES)
    return f"""\
# Commands

| command | what it does |
|---|---|
{rows}

`./COMMAND --help` shows the same as these pages, which are made from it (`make docs`).

What all commands have in common:

- Times are written `90s`, `15m` or `8h` where the value is called TIME, and as a number of seconds where it is called
  SECONDS. Money is in US dollars, memory in MiB.
- Options can't be shortened. `--option VALUE` and `--option=VALUE` mean the same.
- Results go to the standard output; progress, notes and errors to the standard error.
- The exit code is 0 where all is well, 1 where something failed, 2 where the command can't be done as it was typed, and
  130 after Ctrl-C. What that means of each command is on its page. SIGTERM (143) and a terminal that is closed (129)
  end a command as Ctrl-C does: [what goes on then](../costs.md#what-goes-on-when-a-command-is-ended).

## Tab completion

In the project's folder, type this once in each bash or zsh (or put it into `~/.bashrc` or `~/.zshrc`, with the whole
path):

```sh
source completion.sh
```

Then Tab completes options and their choices, files and directories, the names of regions and profiles, and those of the
images that Docker has on this machine. AWS is not asked for anything.
"""


def _group(group: argparse._ArgumentGroup) -> str:
    rows = "\n".join(_rows(group))
    title = _marked(group.title or "")
    more = f"{_paragraph(_marked(group.description))}\n\n" if group.description else ""
    return f"### {title[0].upper()}{title[1:]}\n\n{more}| option | meaning | default |\n|---|---|---|\n{rows}"


def _rows(group: argparse._ArgumentGroup) -> Iterator[str]:
    for action in group._group_actions:
        text = (action.help or "") % {"default": action.default}
        found = _DEFAULT.search(text)
        default = (found["default"] or found["required"]) if found else ""
        if action.option_strings and action.required:
            default = "required"
        yield f"| `{shown(action)}` | {_marked(_DEFAULT.sub('', text))} | {_marked(default)} |"


def shown(action: argparse.Action) -> str:
    """An option with its value as it is typed. Not argparse's own text, which differs between Python's versions."""
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    choices = f"{{{','.join(map(str, action.choices))}}}" if action.choices else ""
    value = str(action.metavar or choices or action.dest.upper())
    if not names:
        return value
    forms = {"?": "[{0}]", "*": "[{0} ...]", "+": "{0} [{0} ...]"}
    return f"{names} {forms.get(str(action.nargs), '{0}').format(value)}"


def _marked(text: str) -> str:
    """A text as Markdown: what is typed in typewriter letters, and nothing that a table takes for its own."""
    text = re.sub(r"(?<![\w'`-])(--[a-z][\w-]*|\./[\w-]+(?: --[\w-]+ \w+)?|s3://[\w/]*)", r"`\1`", text)
    text = re.sub(r"(?<!\w)'([^' ]+)'", r"`\1`", text)
    text = re.sub(r"\b(docs/([\w-]+\.md))", r"[\1](../\2)", text)
    return text.replace("|", r"\|")


def _paragraph(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _COLUMNS, break_on_hyphens=False, break_long_words=False))


PAGES: dict[str, Callable[[], str]] = {
    "reference/README.md": index,
    **{f"reference/{command}.md": partial(page, command) for command in MODULES},
}
