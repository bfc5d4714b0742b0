"""The README's walkthrough, pasted into a shell block by block, against the local cloud."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.walkthrough import register_images

from . import readme
from .readme import ROOT, Block, Shell
from .registry import engine
from .waiting import eventually

WALKTHROUGH = "The walkthrough"
QUESTIONS = "When something doesn't work"
TEAR_DOWN = "12. Tear-down"
AWS = ROOT / ".venv-aws/bin/aws"
ELSEWHERE = {
    "./rehearse --track none --keep": "what it starts is what this test starts",
    "make images": "tests/images builds them",
    "./rehearse --images sample-solver:leader --worker-image sample-solver:worker": "tests/images runs it",
}
"""Blocks that are not run here, and why."""
NEEDS_ENGINE = re.compile(r"push-ecr|docker push")


def steps() -> list[tuple[Block, str]]:
    """The blocks to paste, and what the README says that each prints; questions come before the tear-down."""
    found = readme.blocks()
    pasted = [
        (block, after.text if after.language == "text" else "")
        for block, after in zip(found, [*found[1:], Block("", "", "", "")], strict=True)
        if block.language == "sh" and block.section in (WALKTHROUGH, QUESTIONS)
    ]
    return sorted(pasted, key=lambda step: 2 if step[0].heading == TEAR_DOWN else step[0].section == QUESTIONS)


def test_every_output_stands_below_what_prints_it() -> None:
    blocks = [block for block in readme.blocks() if block.section == WALKTHROUGH]
    assert all(before.language == "sh" for before, block in pairwise(blocks) if block.language == "text")
    assert {block.language for block in blocks} == {"sh", "text"}
    assert [block.heading for block, _ in steps()][-1] == TEAR_DOWN


def test_what_is_not_run_here_stands_in_the_readme() -> None:
    assert ELSEWHERE.keys() <= {block.text for block, _ in steps()}


@pytest.fixture
def local() -> Iterator[LocalCloud]:
    with cloud.start(stack_delay=0.05, boot_delay=0.1, retry_delay=0.2, shutdown_delay=0.5) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like this project's, in which blocks can leave what they make."""
    for entry in ROOT.iterdir():
        if entry.name not in (".git", "build", "runs", "suite", "results"):
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.fixture
def shell(local: LocalCloud, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A terminal in that folder; with an engine that has the sample's images where there can be one."""
    if not AWS.exists() and os.environ.get("CI") != "true":
        pytest.skip("AWS's own command line is not installed: make .venv-aws/ready")
    environment = {**local.environment(), "PYTHONUNBUFFERED": "1"}
    with ExitStack() as stack:
        if not engine.missing() or os.environ.get("CI") == "true":
            engine.require()
            registry = stack.enter_context(engine.running(tmp_path_factory.mktemp("registry")))
            for role, program in (("leader", "solver"), ("worker", "worker")):
                files = {"entry": b"#!/bin/sh\n", f"competition/{program}": b"#!/bin/sh\n"}
                registry.load(f"sample-solver:{role}", files)
            environment |= {"DOCKER_HOST": registry.host, "DOCKER_CONFIG": str(tmp_path_factory.mktemp("docker"))}
        shell = Shell(environment, folder)
        stack.callback(shell.close)
        # Version 1 of the command line interface doesn't look into the environment for where SQS is.
        shell.paste(f'aws() {{ {AWS} --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }}')
        yield shell


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_blocks_work_in_order_and_print_what_the_readme_says(local: LocalCloud, shell: Shell) -> None:
    for tear_down, blocks in groupby(steps(), lambda step: step[0].heading == TEAR_DOWN):
        if tear_down:
            a_message_typed_into_the_console_is_solved(local)
        for block, said in blocks:
            if block.text in ELSEWHERE or (engine.missing() and NEEDS_ENGINE.search(block.text)):
                continue
            shown = shell.paste(block.text)
            assert not shell.failed, f"'{shell.failed}' failed in:\n{block.text}\nIt printed:\n{shown}"
            absent = readme.missing(shown, said)
            assert not absent, f"'{absent}' is not in what this prints:\n{block.text}\nIt is:\n{shown}"
            register_images(local)  # what is pushed arrives in a registry of its own, which the local cloud isn't


def a_message_typed_into_the_console_is_solved(local: LocalCloud) -> None:
    (message,) = (block.text for block in readme.blocks() if block.language == "json")
    bucket = json.loads(message)["s3_uri"].split("/")[2]
    s3, sqs = local.client("s3"), local.client("sqs")
    queue = sqs.get_queue_url(QueueName="123456789012-us-east-1-SatCompQueue")["QueueUrl"]
    job = sqs.send_message(QueueUrl=queue, MessageBody=message)["MessageId"]
    listed = {"Bucket": bucket, "Prefix": f"results/{job}/result.json"}
    eventually(lambda: s3.list_objects_v2(**listed)["KeyCount"], within=60)
    assert json.loads(s3.get_object(Bucket=bucket, Key=listed["Prefix"])["Body"].read())["verdict"] == "SAT"
