"""Write the pages of this folder that are generated; `make docs` runs it, and a test fails where one is stale."""

from __future__ import annotations

import re
from pathlib import Path

from docs import module_map, parts, picture, reference
from satcomp_infra import prices, template
from satcomp_infra.known_causes import KNOWN, Cause
from satcomp_infra.layout import COPIED
from satcomp_infra.project import Project
from satcomp_infra.tracks import CLOUD, PARALLEL, Track

DOCS = Path(__file__).parent
WORKERS = (1, 8, 100)


def costs() -> str:
    """costs.md: what a cluster costs per hour, computed from the rendered template."""
    rows = [*((CLOUD, workers) for workers in WORKERS), (PARALLEL, 0)]
    stored = "\n".join(f"| {what} | {price:.3f} |" for what, price in prices.STORED_GB_MONTH.items())
    moved = "\n".join(f"| {what} | {price:.2f} |" for what, price in prices.MOVED_GB.items())
    idle = sum(sum(prices.idle_per_hour(_template(track)).values()) for track in (CLOUD, PARALLEL))
    return f"""\
# What it costs

Prices are in US dollars, for {prices.REGION}, as of {prices.AS_OF}, without tax; other regions have others.
This page is computed from the same template that is given to AWS (`make docs`).

**While no machine runs: {idle:.2f} USD per hour.** Nothing in the infrastructure is priced by the hour: no NAT gateway,
no interface endpoint, no load balancer, no address of its own. A test fails when something is added that is.

## While machines run

From `./update_instances --option setup` until `./update_instances --option shutdown` has ended, every node costs:

| track | machine | address | disk | together, per hour |
|---|---|---|---|---|
{chr(10).join(_node_row(track) for track in (CLOUD, PARALLEL))}

So a cluster costs:

| track | nodes | per hour | 8 hours | a day |
|---|---|---|---|---|
{chr(10).join(_cluster_row(track, workers) for track, workers in rows)}

EC2 charges by the second, for a minute at least.

## What is stored and moved

Per gigabyte and month, for as long as it is there (`./delete-solver-infrastructure` removes all of it):

| what | USD |
|---|---|
{stored}

Per gigabyte, once:

| what | USD |
|---|---|
{moved}

Data from the internet to the machines, and between them and S3 in the same region, is free. All nodes are started in
one availability zone, so that what they send each other is, too.

## Never pay for what you forgot

Stop the machines when you are done; they stop by themselves after eight hours (`--stop-after`). To be told by e-mail
when the bill grows, create the budget of `setup-account.yaml` as the README says; AWS shows costs some hours late.

## What goes on when a command is ended

Ctrl-C, SIGTERM and the end of its terminal (SIGHUP) are the same to a command: it says what goes on without it, and
ends with exit code 130, 143 or 129. One that was started with `nohup` goes on when its terminal is closed.

| command | what goes on |
|---|---|
| `./create-solver-infrastructure`, `./update-solver-infrastructure` | what AWS was asked for, which is free |
| `./delete-solver-infrastructure` | the step that AWS is at; type it again for the rest |
| `./push-ecr` | nothing; what has arrived isn't sent again |
| `./update_instances --option setup` | the machines, which cost money until the automatic stop |
| `./update_instances --option shutdown` | the stopping |
| `./send_message`, `./run_benchmarks` | the jobs, and the machines until the automatic stop |
| `./run_benchmarks --setup` | nothing: it stops the machines first. Jobs that are not done stay on the queue |
| `./rehearse` | nothing: it takes the local cloud down first |

While `./run_benchmarks --setup` stops its machines, a second Ctrl-C ends the wait until they are gone; AWS goes on
stopping them. Only `kill -9` and a computer that loses its power leave them to the automatic stop.
"""


def troubleshooting() -> str:
    """troubleshooting.md: every known cause, from the table by which the commands find it."""
    kinds = "\n\n".join(_cause(cause) for cause in KNOWN)
    return f"""\
# Troubleshooting

`./show_status` says what is wrong with a cluster, and what to do; `./update_instances --option setup` does the same
while it waits. This is all that they can say. Words in capitals stand for a name or a number. *Ends the wait* says
whether waiting longer can't help, so that `./update_instances` gives up at once and goes back to what was there before
(or leaves it as it is, with `--keep-on-failure`). `./show_status --json` has the same names, like `image-missing`.

This page is made from the table that the commands themselves use (`make docs`).

{kinds}
"""


def _cause(cause: Cause) -> str:
    return f"""\
## {cause.kind}

| | |
|---|---|
| you see | {_named(cause.message)} |
| AWS shows | {cause.sign} |
| to do | {"<br>".join(_line(_named(line)) for line in cause.advice.split(chr(10)))} |
| ends the wait | {"yes" if cause.fatal else "no"} |"""


def _named(text: str) -> str:
    """A text of the table, with words in capitals for what stands in braces, and without what isn't always there."""
    return re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), re.sub(r"\{(why|times)\}", "", text))


def _line(line: str) -> str:
    return f"`{line}`" if line.startswith(COPIED) else line


def _template(track: Track) -> dict[str, object]:
    zones = [f"{prices.REGION}{letter}" for letter in "abcdf"]
    return template.read(template.render(Project("my-solver"), track, zones))


def _node_row(track: Track) -> str:
    cost = prices.node_per_hour(_template(track))
    parts = f"{cost.machine:.3f} | {cost.public_address:.3f} | {cost.disk:.3f} | {cost.total:.3f}"
    return f"| {track.name} ({track.instance_type}) | {parts} |"


def _cluster_row(track: Track, workers: int) -> str:
    hour = (1 + workers) * prices.node_per_hour(_template(track)).total
    nodes = f"1 leader, {workers} worker{'s' if workers > 1 else ''}" if workers else "1 leader"
    return f"| {track.name} | {nodes} | {hour:.2f} | {8 * hour:.2f} | {24 * hour:.2f} |"


def architecture() -> str:
    """architecture.md: written by hand, but for the map of the modules."""
    return parts.renewed(DOCS / "architecture.md", {"modules": module_map.text()})


PAGES = {
    "architecture.md": architecture,
    "architecture.svg": picture.svg,
    "costs.md": costs,
    "troubleshooting.md": troubleshooting,
    **reference.PAGES,
}


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
