"""A Docker engine and a registry of the tests' own, and images made for it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker.client
import pytest

_PROGRAMS = ("dockerd", "docker-registry", "htpasswd", "busybox", "openssl", "unshare")
_PACKAGES = "docker.io docker-registry apache2-utils busybox-static openssl util-linux"


def missing() -> str:
    """Why there can be no engine here; empty if there can."""
    absent = [program for program in _PROGRAMS if not shutil.which(program)]
    if absent:
        return f"{', '.join(absent)} not installed: apt install --no-install-recommends {_PACKAGES}"
    return "" if os.geteuid() == 0 else "a Docker engine of one's own can be started by root alone"


def require() -> None:
    """Skip where there can be no engine; fail where tests may not be skipped."""
    reason = missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"these tests may not be skipped here: {reason}")
    if reason:
        pytest.skip(reason)


class Registry:
    """The engine and the registry behind it."""

    def __init__(self, home: Path, process: subprocess.Popen[str]) -> None:
        self.home = home
        self.host = f"unix://{home}/engine.sock"
        self._process = process
        self._await_socket(home / "engine.sock")
        self.engine = docker.client.DockerClient(base_url=self.host)

    def _await_socket(self, path: Path, within: float = 60.0) -> None:
        deadline = time.monotonic() + within
        log = self.home / "engine.log"
        while True:
            with socket.socket(socket.AF_UNIX) as attempt:
                if attempt.connect_ex(str(path)) == 0:
                    return
            assert self._process.poll() is None, "the engine's namespaces can't be made"
            assert time.monotonic() < deadline, log.read_text() if log.exists() else "the engine doesn't start"
            time.sleep(0.02)

    def _ask(self, **order: object) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def set_faults(self, *faults: Mapping[str, object]) -> None:
        """Let requests that fit `about` (a pattern of method and path) go wrong, so many `times` each."""
        self._ask(faults=[{"times": 1, **fault} for fault in faults])

    def requests(self) -> list[str]:
        """Method and path of all that the registry was asked since the faults were set."""
        seen: list[str] = self._ask()
        return seen

    def manifest(self, repository: str, tag: str) -> Any:
        """What the registry has under a name, with the digest that it says that it has."""
        return self._ask(manifest=f"{repository}/manifests/{tag}")

    def fill_disk(self, full: bool) -> None:
        """Leave no byte on the engine's disk, or make room again."""
        self._ask(fill=full)

    def load(self, name: str, *layers: Mapping[str, bytes], **settings: Any) -> str:
        """Give the engine an image; returns its id."""
        loaded = self.engine.images.load(archive(name, layers, **settings))
        return str(loaded[0].id)


@contextmanager
def running(home: Path) -> Iterator[Registry]:
    """An engine and a registry in namespaces of their own; nothing is left of them afterwards."""
    process = subprocess.Popen(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, str(Path(__file__).with_name("inside.py")), str(home)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        registry = Registry(home, process)
        yield registry
        registry.engine.close()
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def archive(
    name: str,
    layers: Sequence[Mapping[str, bytes]],
    *,
    architecture: str = "amd64",
    entry_point: Sequence[str] = ("/entry",),
) -> bytes:
    """An image as `docker save` writes it.

    Each layer has files by their path; one whose path ends in `@` is a link, one that ends in `-` is not executable.
    """
    tars = [_tar(files) for files in layers]
    digests = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": list(entry_point)},
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": [{"created_by": "a test"} for _ in layers],
        }
    ).encode()
    files = {f"{number}/layer.tar": tar for number, tar in enumerate(tars)}
    listing = [{"Config": "config.json", "RepoTags": [name], "Layers": list(files)}]
    return _tar({"config.json": config, **files, "manifest.json": json.dumps(listing).encode()})


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.rstrip("@-"))
            entry.mode = 0o644 if path.endswith("-") else 0o755
            if path.endswith("@"):
                entry.type, entry.linkname = tarfile.SYMTYPE, content.decode()
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()
