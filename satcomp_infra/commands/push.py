"""push-ecr: bring a solver's images into the project's repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import cli, images, solver_images
from ..aws import together
from ..command_line import Example, Parser
from ..engine import Engine
from ..errors import Exit, SatcompError
from ..finding import find
from ..fleet import Cluster
from ..registry import Registry, Token
from ..units import count, duration, megabytes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..bars import Bars
    from ..engine import LayerNews, LocalImage
    from ..fleet import Service
    from ..progress import Console
    from ..stack import Infrastructure

ROLES = ("leader", "worker")


class _Parser(Parser):
    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        args = super().parse(argv)
        if not args.leader and not args.worker:
            self.error("there is nothing to push: name an image of yours with --leader, --worker or both")
        return args


def parser() -> Parser:
    """The command's arguments."""
    parser = _Parser(
        "push-ecr",
        "Push your solver's images from this machine into the project's repository.",
        usage=["[--leader LEADER_IMAGE] [--worker WORKER_IMAGE] [options]"],
        notes="At least one image must be named. Each is checked first: whether it is for linux/amd64, and whether it "
        "holds what a node runs (docs/solver-images.md).",
        examples=[
            Example(
                "both images, for the cloud track",
                "./push-ecr --leader my-solver:leader --worker my-solver:worker",
            ),
            Example(
                "a new leader, which nodes that are running take at once",
                "./push-ecr --project my-solver --leader my-solver:leader --restart",
            ),
        ],
        exit_codes={
            0: "the repository has the images (or had them already)",
            1: "an image is not there or can't work, or it could not be pushed",
            130: "ended by Ctrl-C; what has arrived isn't sent again",
        },
    )
    what = parser.add_argument_group("what to push")
    what.add_argument(
        "--leader",
        metavar="LEADER_IMAGE",
        help="the leader's image, as the Docker engine of this machine knows it: name, id or digest",
    )
    what.add_argument("--worker", metavar="WORKER_IMAGE", help="the workers' image, likewise (cloud track only)")
    nodes = parser.add_argument_group("nodes that are running")
    nodes.add_argument(
        "--restart",
        action="store_true",
        help="let them start again with the new image; jobs that are being solved go back to the queue",
    )
    cli.add_aws_options(parser)
    cli.add_output_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Check everything that can be checked, then push, then compare with what the registry has."""
    aws = cli.connect(args)
    infrastructure = find(aws, args.project)
    wanted = {role: name for role in ROLES if (name := getattr(args, role))}
    with Engine() as engine:
        found, there, token = together(
            lambda: _look(engine, wanted),
            lambda: images.exists(aws, infrastructure.repository),
            lambda: Token.of(aws),
        )
        if not there:
            raise SatcompError(
                f"Repository {infrastructure.repository} isn't there, though the rest of the infrastructure is.",
                "It was deleted by hand: delete the project and create it anew.",
            )
        registry = Registry(aws, engine, infrastructure.repository_uri, token, console)
        console.when_interrupted = "What has arrived in the registry isn't sent again: type the same command again."
        changed = [role for role, image in found.items() if _push(registry, image, role, console)]
        console.when_interrupted = ""
    _say_what_nodes_do(Cluster.of(aws, infrastructure), infrastructure, args, changed, console)
    return Exit.OK


def _look(engine: Engine, wanted: dict[str, str]) -> dict[str, LocalImage]:
    """The images by their roles. Raises SatcompError where one isn't there or can't work."""
    found = {role: engine.image(name) for role, name in wanted.items()}
    for role, image in found.items():
        solver_images.check(engine, image, role)
    return found


@dataclass
class _Layers:
    """What has become of an image's layers, told as it happens."""

    console: Console
    bars: Bars
    there: set[str] = field(default_factory=set)
    sent: dict[str, int] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)

    def tell(self, news: LayerNews) -> None:
        """Of one layer. A push that is resumed finds layers that it has sent itself: they stay sent."""
        layer = news.layer
        if news.status == "Pushing" and news.total:
            self._sizes[layer] = news.total
            self.bars.update(layer, news.done, news.total)
            return
        if news.status.startswith("Retrying"):
            self.console.say(f"  {layer}  the connection broke: {news.status[0].lower()}{news.status[1:]}")
        elif news.status == "Pushed":
            self.sent[layer] = size = self._sizes.get(layer, 0)  # 0: it was sent before the engine told of it
            self.console.say(f"  {layer}  sent, {megabytes(size)}" if size else f"  {layer}  sent")
        elif news.status.lower().endswith("already exists") or news.status.startswith("Mounted from"):
            if layer not in self.sent and layer not in self.there:
                self.there.add(layer)
                self.console.say(f"  {layer}  already there")
        else:
            return
        self.bars.finish(layer)

    def __str__(self) -> str:
        if not self.sent:
            return "all layers were there already"
        sizes = self.sent.values()
        size = f" ({megabytes(sum(sizes))})" if all(sizes) else ""
        there = f", {len(self.there)} {'was' if len(self.there) == 1 else 'were'} there already" if self.there else ""
        return f"{count(len(self.sent), 'layer')} sent{size}{there}"


def _push(registry: Registry, image: LocalImage, role: str, console: Console) -> bool:
    """Push one image. Returns whether the repository had another one, or none, before. Raises SatcompError."""
    before, started = registry.digest(role), console.clock()
    console.say(f"Pushing {image.name} to:\n  {registry.uri}:{role}")
    with console.bars() as bars:
        layers = _Layers(console, bars)
        sent = registry.push(image, role, layers.tell)
    now = registry.digest(role)
    if now != sent:
        raise SatcompError(
            f"{registry.uri}:{role} is not what was pushed: the registry has {now or 'nothing'}, and {sent} was sent.",
            "Did somebody else push at the same time? Type the same command again.",
        )
    took = duration(console.clock() - started)
    if before == sent:
        console.result(f"{role}: the repository had this image already, so nothing has changed ({took}):\n{sent}")
    else:
        console.result(f"{role}: {layers}, in {took}. The registry confirms:\n{sent}")
    return before != sent


def _say_what_nodes_do(
    cluster: Cluster, infrastructure: Infrastructure, args: argparse.Namespace, changed: list[str], console: Console
) -> None:
    """Whether nodes run that have another image, and what makes them take the new one; with --restart, do it."""
    roles = [role for role in ROLES if getattr(args, role)]
    running = dict(zip(ROLES, cluster.services(), strict=True))
    affected = [role for role in (roles if args.restart else changed) if running[role].desired]
    if not any(service.desired for service in running.values()):
        option = " --workers NUM_WORKERS" if infrastructure.track.has_workers else ""
        console.result(f"No node runs. To start some with what was pushed:\n./update_instances --option setup{option}")
    elif affected and args.restart:
        cluster.restart(*affected)
        console.result(
            f"ECS lets nodes ({_nodes(affected, running)}) start again with the new image; jobs that were being solved "
            "go back to the queue. To see how far it is:\n./show_status"
        )
    elif affected:
        options = " ".join(f"--{role} {getattr(args, role)}" for role in roles)
        console.result(
            f"Nodes that run ({_nodes(affected, running)}) keep the image that they started with. To let them start "
            "again with the new one (jobs that are being solved go back to the queue):\n"
            f"./push-ecr --project {infrastructure.project} {options} --restart"
        )


def _nodes(roles: list[str], running: dict[str, Service]) -> str:
    return " and ".join(count(running[role].desired, role) for role in roles)
