"""The README's questions and answers: each block is what the tool itself says when that happens."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from satcomp_infra import cli, screen
from satcomp_infra.diagnosis import examine
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.observation import gather
from satcomp_infra.progress import Console

from . import readme
from .local_cluster import REAL, SLEEP, ZONES, LocalCluster, running
from .typing_commands import NAMES, PROJECT, run
from .waiting import eventually

IN_README = "my-solver"
"""What the project is called there."""
MODULES = {"show_status": "status", "update_instances": "instances", "send_message": "send"}


def questions() -> dict[str, list[str]]:
    """What a terminal shows, below each of the README's questions that has such a block."""
    found: dict[str, list[str]] = {}
    for block in readme.blocks():
        if block.section == "When something doesn't work" and block.language == "console":
            found.setdefault(block.heading, []).append(block.text)
    return found


def words(text: str) -> str:
    """A text under the README's names, without what differs from time to time, and without its line breaks."""
    text = text.replace(NAMES.bucket, f"123456789012-us-east-1-{IN_README}").replace(PROJECT, IN_README)
    return readme.lasting(text.replace("team-solver-1", IN_README))


def typed(line: str) -> str:
    """What a command says."""
    name, *rest = shlex.split(line.replace(f"123456789012-us-east-1-{IN_README}", NAMES.bucket))
    out = io.StringIO()
    cli.main(
        f"commands.{MODULES[name.removeprefix('./')]}", [w.replace(IN_README, PROJECT) for w in rest], Console(out, out)
    )
    return out.getvalue()


@contextmanager
def wrong_region(_: LocalCluster) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-west-2")
        patch.setenv("AWS_REGION", "us-west-2")
        yield


@contextmanager
def wrong_track(cluster: LocalCluster) -> Iterator[None]:
    assert run("update", "--project", PROJECT, "--solver-type", "parallel").code == 0
    yield
    assert run("update", "--project", PROJECT, "--solver-type", "cloud").code == 0


@contextmanager
def missing_image(cluster: LocalCluster) -> Iterator[None]:
    images = [{"imageTag": "worker"}]
    cluster.local.client("ecr").batch_delete_image(repositoryName=PROJECT, imageIds=images)
    yield
    register_images(cluster.local)


@contextmanager
def waiting_leader(cluster: LocalCluster) -> Iterator[None]:
    cluster.nodes_do(REAL, SLEEP)
    cluster.local.client("s3").put_object(Bucket=NAMES.bucket, Key="test.cnf", Body=b"p cnf 1 1\n1 0\n")
    cluster.run(1, 1)
    body = json.dumps({"s3_uri": f"s3://{NAMES.bucket}/test.cnf", "num_workers": 3})
    cluster.local.client("sqs").send_message(QueueUrl=cluster.infrastructure.job_queue, MessageBody=body)
    eventually(lambda: "its leader waits" in " ".join(run("status").out.split()))
    yield


@contextmanager
def small_quota(cluster: LocalCluster) -> Iterator[None]:
    cluster.local.set_faults(vcpu_quota=32)
    yield


@contextmanager
def no_capacity(cluster: LocalCluster) -> Iterator[None]:
    cluster.local.set_faults(zones_without_capacity=ZONES)
    yield


@contextmanager
def slow_boot(cluster: LocalCluster) -> Iterator[str]:
    cluster.local.set_faults(slow_boot=1000)
    cluster.start(1, 0)
    evidence = eventually(lambda: e if (e := gather(cluster.aws, cluster.infrastructure)).machines else None)
    machines = (replace(evidence.machines[0], state="running"),)
    later = replace(evidence, machines=machines, now=evidence.now + timedelta(minutes=6))
    (found,) = examine(later, cluster.infrastructure)
    yield "\n".join(screen.told(found))


@contextmanager
def nothing(_: LocalCluster) -> Iterator[None]:
    yield


SITUATIONS: dict[str, Callable[[LocalCluster], AbstractContextManager[str | None]]] = {
    "How do we keep spending small?": nothing,
    "Does the parallel track need a worker image?": wrong_track,
    "The commands find nothing, and the console shows nothing": wrong_region,
    "The leader waits for workers": waiting_leader,
    "No node starts": missing_image,
    "There are more machines than the account may have": small_quota,
    "AWS has no machines left": no_capacity,
    "Machines don't come up within five minutes": slow_boot,
}
"""How each comes about; gives what the tool says where no command can show it at once."""


@pytest.fixture(scope="module")
def module_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(module_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    for name, value in module_cluster.local.environment().items():
        monkeypatch.setenv(name, value)
    yield module_cluster
    module_cluster.clear()


def test_every_question_of_the_readme_is_tried() -> None:
    assert list(questions()) == list(SITUATIONS)


@pytest.mark.parametrize("question", SITUATIONS)
def test_an_answer_is_what_the_tool_says(question: str, cluster: LocalCluster) -> None:
    blocks = questions()[question]
    assert blocks
    with SITUATIONS[question](cluster) as told:
        for block in blocks:
            first, _, rest = block.strip().partition("\n")
            shown = told or typed(first.removeprefix("$ "))
            absent = readme.missing(words(shown), words(rest if told is None else block))
            assert not absent, f"'{absent}' is not, in this order, in:\n{shown}"
