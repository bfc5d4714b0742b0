"""Pushing to a real registry with a real engine; what else of AWS there is, is the local cloud."""

from __future__ import annotations

import gc
import os
import random
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from satcomp_infra import registry as registry_module
from satcomp_infra.local.walkthrough import register_images
from tests.local_cluster import SLEEP, LocalCluster, running
from tests.typing_commands import PROJECT, Answer, run
from tests.waiting import eventually

from .engine import Registry
from .inside import HOST

URI = f"{HOST}/{PROJECT}"
BASE = {"entry": b"#!/bin/sh\n"}
LEADER = {"competition/solver": b"#!/bin/sh\n"}
WORKER = {"competition/worker": b"#!/bin/sh\n"}
EXPIRED = (
    '{"errors": [{"code": "DENIED", "message": "Your authorization token has expired. Reauthenticate and try again."}]}'
)
FORBIDDEN = (
    '{"errors": [{"code": "DENIED", "message": "User: arn:aws:iam::123456789012:user/me is not authorized to perform: '
    'ecr:InitiateLayerUpload on resource: arn:aws:ecr:us-east-1:123456789012:repository/team/solver_1"}]}'
)


@pytest.fixture(scope="module")
def cluster(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A project's infrastructure, nothing running."""
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def here(registry: Registry, cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands find the engine and the local cloud, and a home of their own."""
    for name, value in cluster.local.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_HOST", registry.host)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / ".docker"))
    registry.set_faults()
    yield
    for container in registry.engine.containers.list(all=True):
        raise AssertionError(f"container {container.name} was left behind")


def push(*words: str) -> Answer:
    return run("push", "--project", PROJECT, *words)


def fresh(registry: Registry, name: str = "my-solver:leader", *sizes: int) -> str:
    """A leader's image that no registry has seen: beside the solver's it has random layers."""
    random_layers = [{f"data{size}": random.randbytes(size)} for size in sizes or (100_000,)]
    return registry.load(name, {**BASE, **LEADER}, *random_layers)


class TestAPush:
    def test_leader_and_worker_arrive_and_the_registry_confirms_them(self, registry: Registry) -> None:
        fresh(registry)
        registry.load("my-solver:worker", {**BASE, **WORKER})
        answer = push("--leader", "my-solver:leader", "--worker", "my-solver:worker")
        assert answer.code == 0, answer.err
        for role in ("leader", "worker"):
            there = registry.manifest(PROJECT, role)
            assert f"{role}: " in answer.words
            assert f"The registry confirms: {there['digest']}" in answer.words
        assert len(registry.manifest(PROJECT, "leader")["layers"]) == 2
        assert "No node runs. To start some with what was pushed: ./update_instances --option setup" in answer.words

    def test_an_image_is_named_by_its_id_or_digest_as_well(self, registry: Registry) -> None:
        image = fresh(registry)
        assert push("--leader", image.removeprefix("sha256:")[:12]).code == 0
        digest = registry.manifest(PROJECT, "leader")["digest"]
        assert push("--leader", f"{URI}@{digest}").code == 0
        assert registry.manifest(PROJECT, "leader")["digest"] == digest

    def test_layers_that_are_there_are_said_to_be(self, registry: Registry) -> None:
        for _ in range(2):
            fresh(registry)
            answer = push("--leader", "my-solver:leader")
        assert answer.err.count("already there") == 1
        assert "sent, 0.1 MB" in answer.words
        assert "leader: 1 layer sent (0.1 MB), 1 was there already, in " in answer.words

    def test_the_same_image_again_sends_nothing_and_says_so(self, registry: Registry) -> None:
        fresh(registry)
        push("--leader", "my-solver:leader")
        registry.set_faults()
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 0
        assert "leader: the repository had this image already, so nothing has changed (" in answer.words
        assert "\n  sha256:" in answer.out
        assert not [request for request in registry.requests() if request.startswith(("POST", "PATCH"))]

    def test_an_engine_that_names_the_digest_in_words_alone(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fresh(registry)
        with between(registry, unsaid=b"Digest") as host:  # as one with the containerd image store
            monkeypatch.setenv("DOCKER_HOST", host)
            answer = push("--leader", "my-solver:leader")
        assert answer.code == 0, answer.err
        assert f"The registry confirms: {registry.manifest(PROJECT, 'leader')['digest']}" in answer.words

    def test_credentials_are_left_nowhere(self, registry: Registry, tmp_path: Path) -> None:
        fresh(registry)
        assert push("--leader", "my-solver:leader").code == 0
        left = [path for path in tmp_path.rglob("*") if path.is_file() and b"auth" in path.read_bytes()]
        assert left == []
        assert "auth-token" not in str(dict(os.environ))

    def test_a_long_one_says_now_and_then_how_far_it_is(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("satcomp_infra.bars._LINE_SECONDS", 0)
        fresh(registry, "my-solver:leader", 3_000_000)
        answer = push("--leader", "my-solver:leader")
        assert " of 3.0 MB sent\n" in answer.err


class TestBeforeTheFirstByte:
    def refused(self, registry: Registry, *words: str) -> str:
        answer = push(*words)
        assert (answer.code, answer.out) == (1, "")
        assert registry.requests() == []
        assert "\n\n" not in answer.err
        return answer.words

    def test_an_engine_that_does_not_run(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{registry.home}/nothing.sock")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the SDK leaves the socket to the garbage collector
            said = self.refused(registry, "--leader", "my-solver:leader")
            gc.collect()
        assert "The Docker engine can't be reached" in said
        assert "sudo systemctl start docker" in said

    def test_a_name_that_is_nearly_right(self, registry: Registry) -> None:
        fresh(registry)
        said = self.refused(registry, "--leader", "my_solver:laeder")
        assert said.startswith("The Docker engine has no image 'my_solver:laeder'. Did you mean my-solver:leader")

    @pytest.mark.parametrize("name", ["x" * 30, "Not A Name", "sha256:" + "0" * 64])
    def test_a_name_that_is_nothing_like_any(self, registry: Registry, name: str) -> None:
        fresh(registry)
        assert f"no image '{name}'. It has " in self.refused(registry, "--leader", name)

    def test_an_image_of_an_apple_machine(self, registry: Registry) -> None:
        registry.load("apple:leader", {**BASE, **LEADER}, architecture="arm64")
        said = self.refused(registry, "--leader", "apple:leader")
        assert "'apple:leader' is for linux/arm64, and the machines run linux/amd64 alone" in said
        assert "docker build --platform linux/amd64 -t apple:leader DIRECTORY" in said

    def test_a_bad_worker_keeps_the_leader_from_being_sent(self, registry: Registry) -> None:
        fresh(registry)
        registry.load("arm:worker", {**BASE, **WORKER}, architecture="arm64")
        assert "linux/arm64" in self.refused(registry, "--leader", "my-solver:leader", "--worker", "arm:worker")

    @pytest.mark.parametrize(
        ("files", "fault"),
        [
            ({}, "/competition/solver is missing"),
            ({"competition/solver-": b""}, "/competition/solver is not executable"),
            (
                {"competition/solver@": b"../bin/kissat"},
                "/competition/solver is a link to /bin/kissat, which is missing",
            ),
            ({"competition/solver/x": b""}, "/competition/solver is a directory"),
        ],
    )
    def test_an_image_without_a_solver(self, registry: Registry, files: dict[str, bytes], fault: str) -> None:
        registry.load("odd:leader", {**BASE, **files})
        said = self.refused(registry, "--leader", "odd:leader")
        assert f"Image 'odd:leader' can't be a leader: {fault}" in said
        assert "docs/solver-images.md" in said

    def test_a_solver_that_is_reached_through_a_link_is_one(self, registry: Registry) -> None:
        registry.load("linked:leader", {**BASE, "competition/solver@": b"../opt/run", "opt/run": b"x"})
        assert push("--leader", "linked:leader").code == 0

    def test_an_image_that_runs_nothing(self, registry: Registry) -> None:
        registry.load("idle:leader", LEADER, entry_point=[])
        assert "neither an entry point nor a command" in self.refused(registry, "--leader", "idle:leader")
        registry.load("lost:leader", LEADER, entry_point=["/entry"])
        assert "its entry point /entry is missing" in self.refused(registry, "--leader", "lost:leader")

    def test_a_repository_that_is_gone(self, registry: Registry, cluster: LocalCluster) -> None:
        fresh(registry)
        ecr = cluster.local.client("ecr")
        ecr.delete_repository(repositoryName=PROJECT, force=True)
        try:
            assert f"Repository {PROJECT} isn't there" in self.refused(registry, "--leader", "my-solver:leader")
        finally:
            ecr.create_repository(repositoryName=PROJECT)
            register_images(cluster.local)


class TestWhatGoesWrong:
    def test_an_expired_token_is_fetched_again_once(self, registry: Registry, cluster: LocalCluster) -> None:
        fresh(registry)
        cluster.local.forget_calls()
        registry.set_faults({"about": "POST .*/blobs/uploads", "status": 403, "body": EXPIRED})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 0
        assert "logging in again" in answer.words
        assert cluster.local.calls()["ecr.GetAuthorizationToken"] == 2

    def test_one_that_stays_expired_is_an_error(self, registry: Registry, cluster: LocalCluster) -> None:
        fresh(registry)
        cluster.local.forget_calls()
        registry.set_faults({"about": "POST .*/blobs/uploads", "status": 403, "body": EXPIRED, "times": 99})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 1
        assert "The registry accepts no login of yours" in answer.words
        assert cluster.local.calls()["ecr.GetAuthorizationToken"] == 2

    def test_a_permission_that_is_missing(self, registry: Registry) -> None:
        fresh(registry)
        registry.set_faults({"about": "POST .*/blobs/uploads", "status": 403, "body": FORBIDDEN, "times": 99})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 1
        assert f"Your AWS user may not push to repository {PROJECT}" in answer.words
        assert "not authorized to perform: ecr:InitiateLayerUpload" in answer.words
        assert "docs/permissions.md" in answer.words

    def test_a_full_disk(self, registry: Registry) -> None:
        fresh(registry)
        registry.fill_disk(True)
        try:
            answer = push("--leader", "my-solver:leader")
        finally:
            registry.fill_disk(False)
        assert answer.code == 1
        assert "The Docker engine's disk is full" in answer.words
        assert "docker system prune" in answer.words

    def test_a_connection_that_breaks_is_resumed_where_it_was(self, registry: Registry) -> None:
        fresh(registry)
        push("--leader", "my-solver:leader")
        fresh(registry)
        registry.set_faults({"about": "PUT .*/manifests/", "cut": True})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 0
        assert "going on in 2 s" in answer.words
        assert answer.err.count("sent, 0.1 MB") == 1
        assert "1 layer sent (0.1 MB), 1 was there already" in answer.words

    def test_a_connection_that_keeps_breaking_is_given_up(self, registry: Registry) -> None:
        fresh(registry)
        registry.set_faults({"about": "PUT .*/manifests/", "cut": True, "times": 99})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 1
        assert answer.err.count("The connection broke") == registry_module.RESUMPTIONS
        assert "The connection to the registry keeps breaking" in answer.words

    def test_a_registry_that_is_overloaded_is_tried_again(self, registry: Registry) -> None:
        fresh(registry)
        overloaded = {"status": 503, "type": "text/html", "body": "<html>overloaded</html>"}
        registry.set_faults({"about": "PUT .*/manifests/", **overloaded})
        assert push("--leader", "my-solver:leader").code == 0

    @pytest.mark.slow  # the engine waits for five seconds
    def test_a_layer_that_breaks_off_is_sent_again_by_the_engine(self, registry: Registry) -> None:
        fresh(registry)
        registry.set_faults({"about": "PATCH", "cut": True})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 0
        assert "the connection broke: retrying in 5 seconds" in answer.words
        assert answer.err.count("sent, 0.1 MB") == 1

    def test_a_registry_that_has_something_else_then(self, registry: Registry) -> None:
        fresh(registry)
        push("--leader", "my-solver:leader")
        old = registry.manifest(PROJECT, "leader")["digest"]
        fresh(registry)
        taken = {"status": 201, "body": "", "headers": {"Docker-Content-Digest": "sha256:" + "1" * 64}}
        registry.set_faults({"about": "PUT .*/manifests/leader", **taken})
        answer = push("--leader", "my-solver:leader")
        assert answer.code == 1
        assert f"is not what was pushed: the registry has {old}, and sha256:" in answer.words

    def test_an_engine_that_ends_in_the_middle(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        fresh(registry)
        with between(registry, after=b'"Preparing"') as host:
            monkeypatch.setenv("DOCKER_HOST", host)
            answer = push("--leader", "my-solver:leader")
        assert answer.code == 1
        assert "broke off in the middle of the push" in answer.words


class TestNodesThatRun:
    @pytest.fixture(autouse=True)
    def running(self, cluster: LocalCluster) -> Iterator[None]:
        cluster.nodes_do(SLEEP)
        cluster.run(workers=1)
        yield
        cluster.clear()

    def test_it_says_what_they_must_do_and_restart_does_it(self, registry: Registry, cluster: LocalCluster) -> None:
        before = {node.role: node.pid for node in cluster.local.nodes()}
        fresh(registry)
        answer = push("--leader", "my-solver:leader")
        restart = f"./push-ecr --project {PROJECT} --leader my-solver:leader --restart"
        assert "Nodes that run (1 leader) keep the image that they started with." in answer.words
        assert answer.out.endswith(f":\n  {restart}\n")
        assert {node.role: node.pid for node in cluster.local.nodes()} == before

        answer = push("--leader", "my-solver:leader", "--restart")
        assert answer.code == 0
        assert "ECS lets nodes (1 leader) start again with the new image" in answer.words
        eventually(lambda: {node.pid for node in cluster.local.nodes("leader")}.isdisjoint(before.values()))
        eventually(lambda: cluster.cluster.look().is_complete(1, 1))
        assert [node.pid for node in cluster.local.nodes("worker")] == [before["worker"]]

    def test_an_image_that_was_there_changes_nothing_for_them(self, registry: Registry) -> None:
        fresh(registry)
        push("--leader", "my-solver:leader")
        assert "Nodes that run" not in push("--leader", "my-solver:leader").out


@contextmanager
def between(registry: Registry, after: bytes = b"", unsaid: bytes = b"") -> Iterator[str]:
    """The engine, through a socket that closes `after` the engine has said something, or makes a word unreadable."""
    path = registry.home / "between.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(registry.host.removeprefix("unix://"))
            threading.Thread(target=copy, args=(client, engine, b"", b""), daemon=True).start()
            threading.Thread(target=copy, args=(engine, client, after, unsaid), daemon=True).start()

    def copy(source: socket.socket, target: socket.socket, until: bytes, unsaid: bytes) -> None:
        while data := source.recv(65536):
            target.sendall(data.replace(unsaid, b"?" * len(unsaid)) if unsaid else data)
            if until and until in data:
                break
        for end in (source, target):
            with suppress(OSError):  # the other direction's thread was first
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        path.unlink()
