"""The permissions that a user of the commands needs, as IAM policies and a page that explains them, in docs/.

python -m tools.permissions           writes them anew, from a walkthrough that is recorded on the way
python -m tools.permissions --check   only says whether they are as they would be written
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from . import needs, policies
from .recording import Recording, record

DOCS = Path(__file__).parent.parent / "docs"
PAGE = "permissions.md"
COMMANDS, NETWORK, STACK = "iam-policy.json", "iam-policy-network.json", "iam-policy-stack.json"
_OF_THE_NETWORK = ("ec2", "autoscaling", "iam", "ssm")
"""The services in the second file: all that CloudFormation needs is too much for one."""


@dataclass(frozen=True)
class Permissions:
    """What is needed, and the policies that give it, by their files' names."""

    recording: Recording
    of_the_stack: dict[str, set[str]]
    policies: dict[str, policies.Policy]


def find_out() -> Permissions:
    """Record the walkthrough, and put together what it needs."""
    recording = record()
    of_the_stack = needs.of_the_stack()
    called = {action for call in recording.calls for action in needs.actions(call)}
    called |= {action for action, _ in _not_provoked(recording).values()}
    called |= {action for some in needs.BY_HAND.values() for action in some}
    created = set(needs.covered({action for some in of_the_stack.values() for action in some})) - called
    network = {action for action in created if action.partition(":")[0] in _OF_THE_NETWORK}
    documents = {
        COMMANDS: policies.policy(called),
        NETWORK: policies.policy(network),
        STACK: policies.policy(created - network),
    }
    return Permissions(recording, of_the_stack, documents)


def _not_provoked(recording: Recording) -> dict[str, tuple[str, str]]:
    recorded = {call.name for call in recording.calls}
    return {name: entry for name, entry in needs.NOT_PROVOKED.items() if name not in recorded}


def page(found: Permissions) -> str:
    """The page that explains the policies."""
    commands: dict[str, set[str]] = {}
    for call in found.recording.calls:
        commands.setdefault(call.command, set()).update(needs.actions(call))
    everything = [
        f"| {_code(statement['Action'])} | {_reason(statement['Sid'])} |"
        for document in found.policies.values()
        for statement in document["Statement"]
        if statement["Resource"] == ["*"]
    ]
    return _template().render(
        sizes=", ".join(f"`{name}` {policies.size(document)}" for name, document in found.policies.items()),
        limit=policies.SIZE_LIMIT,
        commands="\n".join(f"| `./{name}` | {_code(some)} |" for name, some in commands.items()),
        not_provoked="\n".join(f"| {why} | `{action}` |" for action, why in _not_provoked(found.recording).values()),
        by_hand="\n".join(f"| {what} | {_code(some)} |" for what, some in needs.BY_HAND.items()),
        stack="\n".join(
            f"| {f'`{kind}`' if '::' in kind else kind} | {_code(some)} |" for kind, some in found.of_the_stack.items()
        ),
        left_out="\n".join(f"| `{action}` | {why} |" for action, why in needs.LEFT_OUT.items()),
        everything="\n".join(dict.fromkeys(everything)),
    )


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # Markdown, of our own words
        keep_trailing_newline=True,
    )
    return environment.get_template("permissions.md.j2")


def _code(actions: Iterable[str]) -> str:
    return ", ".join(f"`{action}`" for action in sorted(actions))


def _reason(sid: str) -> str:
    return next(grant.why for grant in policies.GRANTS if grant.sid == sid)


def files(found: Permissions) -> dict[Path, str]:
    """What docs/ should hold."""
    texts = {DOCS / name: policies.text(document) for name, document in found.policies.items()}
    return {**texts, DOCS / PAGE: page(found)}


def stale(wanted: Mapping[Path, str]) -> list[str]:
    """The names of the files that are not as they should be."""
    return [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(prog="python -m tools.permissions", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a file is out of date")
    check = parser.parse_args(argv).check
    wanted = files(find_out())
    old = stale(wanted)
    for path, text in wanted.items():
        if not check:
            path.write_text(text)
    print(f"{'Out of date' if check else 'Written anew'}: {', '.join(old)}." if old else "All is up to date.")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
