"""What can stand where Tab was pressed: options, and values that are known without asking AWS."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NoReturn

from argcomplete import autocomplete
from argcomplete.completers import DirectoriesCompleter, FilesCompleter, SuppressCompleter

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable

_ENGINE_SECONDS = 2.0
"""How long the Docker engine may take to name its images; somebody waits for it with a finger on Tab."""


def _regions(**_: object) -> Iterable[str]:
    """The regions that botocore knows of."""
    from botocore.session import Session

    return Session().get_available_regions("ec2")


def _profiles(**_: object) -> Iterable[str]:
    """The profiles of the user's AWS configuration."""
    from botocore.session import Session

    return Session().available_profiles


def _images(**_: object) -> Iterable[str]:
    """The images that the Docker engine of this machine has; none where it doesn't answer."""
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_ENGINE_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return []
    return [name for name in answer.stdout.split() if "<none>" not in name]


_VALUES = {
    "CSV": FilesCompleter(("csv",)),
    "DIR": DirectoriesCompleter(),
    "FILE": FilesCompleter(),
    "PROBLEMS": FilesCompleter(),
    "LEADER_IMAGE": _images,
    "WORKER_IMAGE": _images,
    "PROFILE": _profiles,
    "REGION": _regions,
}
"""By the name that a value has in the help. Options with choices complete these; other values are the user's own."""


def complete(parser: ArgumentParser) -> NoReturn:
    """Answer the shell, as argcomplete's functions for bash and zsh ask (by environment variables), and end."""
    for action in parser._actions:
        if isinstance(action.metavar, str) and action.metavar in _VALUES:
            action.completer = _VALUES[action.metavar]  # type: ignore[attr-defined]
    autocomplete(parser, always_complete_options="long", default_completer=SuppressCompleter())
    raise SystemExit(1)  # it has ended by itself: whatever comes, Tab doesn't run the command
