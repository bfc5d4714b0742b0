"""The acceptance test of images: the sample solver's pass it, and broken ones don't, each for its own reason."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Collection, Mapping

import docker.client
import pytest

from satcomp_infra.local import acceptance, cloud
from satcomp_infra.local.acceptance import Acceptance, Check
from satcomp_infra.local.exercises import exercises
from satcomp_infra.local.walkthrough import Walkthrough
from satcomp_infra.progress import Console
from satcomp_infra.tracks import CLOUD, PARALLEL

from .engine import ROOT

MEMORY = 192


def build(engine: docker.client.DockerClient, name: str, base: str, programs: Mapping[str, str]) -> str:
    """An image with these programs in /competition."""
    files = {"Dockerfile": f"FROM {base}\n" + "".join(f"COPY {path} /competition/\n" for path in programs), **programs}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content.encode()), 0o755
            tar.addfile(entry, io.BytesIO(content.encode()))
    out.seek(0)
    engine.images.build(fileobj=out, custom_context=True, tag=name, rm=True, forcerm=True)
    return name


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "rehearse", *words],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def tried(images: Mapping[str, str], titles: Collection[str], workers: int = 0) -> dict[str, Check]:
    """The checks of some exercises, by their names."""
    console = Console(io.StringIO(), io.StringIO())
    with cloud.start(images=images, container_memory=MEMORY, stack_delay=0.05, boot_delay=0.1) as local:
        walkthrough = Walkthrough(local, console, timeout=20, in_containers=True)
        test = Acceptance(local, walkthrough, workers, exercises(MEMORY, titles), patience=2)
        test.run(CLOUD if workers else PARALLEL)
    return {check.name: check for check in test.checks}


def failures(checks: Mapping[str, Check]) -> dict[str, str]:
    return {check.name: f"{check.outcome} {check.reason}".strip() for check in checks.values() if not check.good}


def test_the_sample_solver_passes(docker_engine: docker.client.DockerClient) -> None:
    answer = typed(
        *("--images", "sample-solver:leader", "--worker-image", "sample-solver:worker"),
        *("--workers", "1", "--memory", str(MEMORY)),
    )
    assert answer.returncode == 0, answer.stdout[-3000:]
    table = answer.stdout[answer.stdout.index("\ncheck ") :]
    assert table.count("  pass  ") == 18
    assert "FAIL" not in table
    assert "too hard: verdict        pass  TIMEOUT in 3." in table
    assert "Out of memory" in table
    pushing = "Push the images: ./push-ecr --project "
    assert pushing in " ".join(table.split())


def test_an_image_without_a_solver_is_not_even_started(docker_engine: docker.client.DockerClient) -> None:
    answer = typed("--images", "satcomp-infrastructure:leader")
    assert answer.returncode == 1
    assert "FAIL  refused" in answer.stdout
    assert "can't be a leader: /competition/solver is missing" in " ".join(answer.stdout.split())
    assert "1 of 1 check failed" in answer.stdout


def test_a_wrong_answer_is_called_one(docker_engine: docker.client.DockerClient) -> None:
    liar = "#!/bin/sh\necho 's UNSATISFIABLE'\nexit 20\n"
    image = build(docker_engine, "broken:liar", "satcomp-infrastructure:leader", {"solver": liar})
    failed = failures(tried({"leader": image}, ("satisfiable", "malformed")))
    assert failed["satisfiable: verdict"].endswith("A wrong answer: it is SAT, not UNSAT.")
    assert failed["malformed: verdict"].endswith("A wrong answer: it is no formula at all, so never UNSAT.")
    assert "satisfiable: leaves" not in failed


def test_what_a_job_leaves_behind_is_named(docker_engine: docker.client.DockerClient) -> None:
    solver = "#!/bin/sh\ntouch /dev/shm/clauses /tmp/cache /mount/efs/go; sleep 0.5; exec kissat -q $1/*.cnf\n"
    worker = (
        "#!/bin/sh\nwhile :; do\n"
        'echo "{\\"status\\": \\"READY\\", \\"timestamp\\": $(date +%s)}" > /competition/worker_node_status.json\n'
        'if [ -e /mount/efs/go ] && [ -z "$seen" ]; then seen=1; sleep 1234 & fi\n'
        "sleep 0.3; done\n"
    )
    leader = build(docker_engine, "broken:leaver", "sample-solver:leader", {"solver": solver})
    workers = build(docker_engine, "broken:worker", "sample-solver:worker", {"worker": worker})
    failed = failures(tried({"leader": leader, "worker": workers}, ("satisfiable",), workers=1))
    assert list(failed) == ["satisfiable: leaves"], failed
    left = failed["satisfiable: leaves"]
    assert "process 'sleep 1234' on the worker" in left
    assert "sleep 0.3" not in left
    assert "file /mount/efs/go on all nodes, file /dev/shm/clauses on the leader and 1 more" in left


def test_nodes_that_do_not_start_say_why(
    docker_engine: docker.client.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = "#!/bin/sh\necho 'no licence found' >&2\nexit 3\n"
    workers = build(docker_engine, "broken:crasher", "sample-solver:worker", {"worker": worker})
    monkeypatch.setattr(acceptance, "_START_SECONDS", 6)
    failed = failures(tried({"leader": "sample-solver:leader", "worker": workers}, (), workers=1))
    assert list(failed) == ["nodes start"], failed
    assert "1 of 2 are ready after 6 s" in failed["nodes start"]
    assert "exit code 3" in failed["nodes start"]


def test_a_local_cloud_that_is_killed_leaves_no_container(docker_engine: docker.client.DockerClient) -> None:
    console = Console(io.StringIO(), io.StringIO())
    with cloud.start(images={"leader": "sample-solver:leader"}, stack_delay=0.05, boot_delay=0.1) as local:
        walkthrough = Walkthrough(local, console, timeout=20, in_containers=True)
        walkthrough.create(PARALLEL)
        walkthrough.set_up(PARALLEL, 0)
        assert len(docker_engine.containers.list()) == 1
        os.kill(local._process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while docker_engine.containers.list(all=True) or local.state_dir.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
