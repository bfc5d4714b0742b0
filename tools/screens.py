"""Pictures of the commands' screens for docs/screens/: typed in a real terminal, against the local cloud.

`make screens` makes them all, in some minutes; it needs tmux and, for the picture of a push, root and a Docker engine
of its own (see tests/registry).
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from satcomp_infra.layout import command
from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.settings import ACCOUNT
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.project import Project
from satcomp_infra.suites.formulas import factoring

from .pictures import svg
from .tmux import Screen

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "screens"
PROJECT = Project("my-solver")
REGION = "us-east-1"
BUCKET = PROJECT.names(ACCOUNT, REGION).bucket
_HARD = 17592186044399
"""A prime of 44 bits: to exclude all factors keeps a solver busy for longer than a picture takes."""
_LIBRARY = "kissat: error while loading shared libraries: libstdc++.so.6: cannot open shared object file"


_PROMPT = re.compile(r"\n(\x1b\[[\d;]*m)*\$ ?(\x1b\[[\d;]*m)*\Z")


@dataclass(frozen=True)
class Picture:
    """One of the screens: the command, and a sentence on what can be seen."""

    name: str
    typed: str
    shows: str


PICTURES = (
    Picture(
        "create",
        "create-solver-infrastructure",
        "What is created and what it costs is told first; while AWS works, a bar shows how far it is.",
    ),
    Picture(
        "created", "create-solver-infrastructure", "In the end stand the names to remember, and what to type next."
    ),
    Picture(
        "other-region",
        "show_status",
        "In the wrong region there is nothing to see, and the command says where the project is.",
    ),
    Picture(
        "push",
        "push-ecr",
        "Each layer of an image has a bar; those that the repository has already are not sent again.",
    ),
    Picture(
        "setup",
        "update_instances",
        "Cost and automatic stop are told before a machine is started; then it is shown how far machines and nodes "
        "are.",
    ),
    Picture(
        "setup-quota",
        "update_instances",
        "Whether the account may run so many machines is checked before any is started.",
    ),
    Picture(
        "setup-crash",
        "update_instances",
        "A leader that crashes ends the wait: its last lines say why, and nothing is left running.",
    ),
    Picture(
        "send", "send_message", "While a result is waited for, it is shown which leader has the job, and since when."
    ),
    Picture("result", "send_message", "The verdict, what is known of the model, and how to get the files."),
    Picture(
        "status", "show_status", "A healthy cluster on one screen: machines, nodes, jobs, the automatic stop, costs."
    ),
    Picture("status-broken", "show_status", "What is wrong stands at the end, each with what to do about it."),
    Picture(
        "benchmarks", "run_benchmarks", "A run on a suite: how far it is, what was solved, how long the rest takes."
    ),
    Picture(
        "report",
        "run_benchmarks",
        "Two runs compared: the score table, and whether the difference is more than chance.",
    ),
    Picture("delete", "delete-solver-infrastructure", "Nothing is deleted before the project's name was typed."),
)


class Photographer:
    """Types commands in a terminal, and keeps pictures of it."""

    def __init__(self, local: LocalCloud, environment: dict[str, str]) -> None:
        self.local = local
        self.screen = Screen({**local.environment(), **environment})

    def type(self, *words: str) -> None:
        """Type a command on an empty screen."""
        self.screen.clear()
        for line in command((f"./{words[0]}", *words[1:]), "").split("\n"):
            self.screen.type(line)

    def finish(self, seconds: float = 90) -> None:
        """Wait until the shell asks for the next command."""
        self.screen.wait_on_pane(r"\n\$ *\n*\Z", seconds)

    def run(self, *words: str) -> None:
        """Type a command, and wait for its end."""
        self.type(*words)
        self.finish()

    def take(self, name: str, *, history: bool = False) -> None:
        """Keep what stands on the screen now, without the prompt for the next command."""
        (picture,) = (picture for picture in PICTURES if picture.name == name)
        shown = _PROMPT.sub("", self.screen.pane(colours=True, history=history).rstrip())
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.svg").write_text(svg(shown, f"screen-{name}", f"./{picture.typed}"))
        print(f"{name}.svg", flush=True)  # a tool's own output

    def when(self, pattern: str, name: str) -> None:
        """Take a picture as soon as something stands on the screen."""
        self.screen.wait_on_pane(pattern)
        self.take(name)


@contextmanager
def studio(environment: dict[str, str] | None = None) -> Iterator[tuple[Photographer, Path]]:
    """A local cloud with a terminal, whose commands are those of this clone; and the script that its nodes run."""
    with tempfile.TemporaryDirectory(prefix="screens-") as home:
        for file in ROOT.iterdir():
            if file.is_file() and os.access(file, os.X_OK):
                (Path(home) / file.name).symlink_to(file)
        node = Path(home) / "node.sh"
        let_nodes_do(node, f"exec {sys.executable} -m satcomp_infra.node $1")
        with cloud.start(stack_delay=5, boot_delay=1.5, node_command=["/bin/sh", str(node)]) as local:
            photographer = Photographer(local, environment or {})
            photographer.screen.type(f"cd {home}; PS2=; export PATH={Path(sys.executable).parent}:$PATH")
            try:
                yield photographer, node
            finally:
                photographer.screen.close()


def let_nodes_do(node: Path, script: str) -> None:
    """What nodes that start from now on run; `$1` is their role."""
    unfinished = node.with_suffix(".new")
    unfinished.write_text(script)
    unfinished.rename(node)


def of_the_walkthrough() -> None:
    """From creating to deleting."""
    with studio() as (on, node):
        create = ("create-solver-infrastructure", "--project", PROJECT.name, "--solver-type", "cloud")
        on.type(*create)
        on.when(r" [12]\d/49 done; ", "create")
        on.finish()
        on.run(*create)
        on.take("created")
        on.run("show_status", "--region", "eu-central-1")
        on.take("other-region")
        on.run("delete-solver-infrastructure", "--project", PROJECT.name, "--yes")
        on.run(*create)
        register_images(on.local)
        on.local.set_faults(vcpu_quota=64)
        on.run("update_instances", "--option", "setup", "--workers", "8")
        on.take("setup-quota")
        on.local.set_faults(vcpu_quota=None)
        _start(on, node)
        _solve(on)
        _break(on, node)
        on.run("update_instances", "--option", "shutdown")
        on.type("delete-solver-infrastructure", "--project", PROJECT.name)
        on.when(r"go on:", "delete")


def _start(on: Photographer, node: Path) -> None:
    real = node.read_text()
    setup = ("update_instances", "--option", "setup", "--workers", "2")
    let_nodes_do(node, f"echo '{_LIBRARY}'; exit 127")
    on.run(*setup)
    while "exit code 127" not in on.screen.pane():  # all nodes ran for a moment at the same time
        on.run("update_instances", "--option", "shutdown")
        on.run(*setup)
    on.take("setup-crash")
    let_nodes_do(node, real)
    on.local.set_faults(slow_boot=3)
    on.type(*setup)
    on.when(r"0:0[2-9] Starting the leader and 2 workers; .*\n  machines +3 wanted +3 booting", "setup")
    on.finish()
    on.local.set_faults(slow_boot=None)


def _solve(on: Photographer) -> None:
    put = on.local.client("s3").put_object
    put(Bucket=BUCKET, Key="hard.cnf", Body=factoring(_HARD).dimacs().encode())
    send = ("send_message", "--workers", "2", "--timeout", "15")
    on.run(*send, "--await-response", "--location", f"s3://{BUCKET}/test.cnf")
    on.take("result")
    hard = ("--location", f"s3://{BUCKET}/hard.cnf")
    on.type(*send, "--await-response", *hard)
    on.when(r"solves it: \d", "send")
    on.finish()
    on.run(*send, *hard)
    on.run("show_status")
    on.take("status")


def _break(on: Photographer, node: Path) -> None:
    on.run("update_instances", "--option", "shutdown")
    let_nodes_do(node, f"echo '{_LIBRARY}'; exit 127")
    on.local.set_faults(missing_images=["worker"])
    on.run("update_instances", "--option", "setup", "--workers", "1", "--no-wait")
    on.screen.wait_on_pane(r"show_status")
    for _ in range(20):
        on.run("show_status")
        shown = on.screen.pane()
        if "not in the repository" in shown and "libstdc" in shown:
            break
    on.take("status-broken", history=True)
    on.local.set_faults(missing_images=None)


def of_benchmarks() -> None:
    """Two runs of a suite on the parallel track, and their report."""
    with studio() as (on, _):
        on.run("create-solver-infrastructure", "--project", PROJECT.name, "--solver-type", "parallel")
        register_images(on.local)
        on.run("run_benchmarks", "--sample", "suite")
        run = ("run_benchmarks", "suite", "--limit", "10", "--timeout", "20", "--setup", "--leaders", "2", "--yes")
        on.type(*run, "--output", "runs/old")
        on.screen.wait_on_pane(r"[3-9] of 10 problems")
        on.take("benchmarks")
        on.finish(240)
        on.type(*run, "--output", "runs/new", "--args", "--stable=1")
        on.finish(240)
        on.run("run_benchmarks", "--report", "runs/old", "runs/new")
        on.take("report")


def of_a_push() -> None:
    """A push to a real registry, by a real engine, or the reason why there is none."""
    from tests.registry import engine
    from tests.registry.test_push import fresh

    if engine.missing():
        print(f"push.svg is left as it is: {engine.missing()}", file=sys.stderr)
        return
    with (
        tempfile.TemporaryDirectory(prefix="registry-") as home,
        engine.running(Path(home)) as registry,
        studio({"DOCKER_HOST": registry.host}) as (on, _),
    ):
        on.run("create-solver-infrastructure", "--project", PROJECT.name, "--solver-type", "cloud")
        fresh(registry, "my-solver:leader", 4_000_000, 9_000_000)
        registry.set_faults({"about": "PATCH", "seconds_per_mb": 0.3, "times": 99})
        on.type("push-ecr", "--project", PROJECT.name, "--leader", "my-solver:leader")
        on.when(r" [4-8]\.\d/9\.0 MB", "push")
        on.finish()


STORIES: dict[str, Callable[[], None]] = {
    "walkthrough": of_the_walkthrough,
    "benchmarks": of_benchmarks,
    "push": of_a_push,
}


def index() -> str:
    """README.md of the folder: a sentence and the picture for each."""
    parts = "\n\n".join(
        f"## {picture.name}\n\n`./{picture.typed}`: {picture.shows}\n\n"
        f"![{picture.typed}: {picture.shows}]({picture.name}.svg)"
        for picture in PICTURES
    )
    return f"""\
# Screens

What the commands show, on a terminal of 80 columns. The pictures are of real runs against the local cloud, where AWS's
minutes are seconds; `make screens` takes them anew. Colours only repeat what the words say (`NO_COLOR=1` turns them
off), and in a pipe or a file the same lines come without bars.

{parts}
"""


def main() -> None:
    """Take the pictures of the stories that are named, or of all, and write the index."""
    for name in sys.argv[1:] or STORIES:
        STORIES[name]()
    (FOLDER / "README.md").write_text(index())


if __name__ == "__main__":
    main()
