"""A local cloud starts, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from satcomp_infra.errors import SatcompError
from satcomp_infra.local import cloud, packages

from ..waiting import eventually
from .clouds import NODE, REGION, Solver, is_alive


def with_a_node(local: cloud.LocalCloud) -> list[int]:
    """Let a leader run in a new cloud; returns the ids of all processes of it, and of those that it has started."""
    solver = Solver(local)
    solver.create()
    assert solver.settled() == "CREATE_COMPLETE"
    solver.push("leader")
    solver.machines(1)
    solver.tasks(leaders=1)
    eventually(lambda: list(local.state_dir.glob("efs/*/leader-*.json")))
    return local.node_processes()


def test_a_cloud_runs_the_users_scripts_and_leaves_nothing_when_it_stops(tmp_path: Path) -> None:
    for name in ("solver", "worker", "cleanup", "library.so"):
        (tmp_path / name).write_text("#!/bin/sh\n")
    with cloud.start(region=REGION, node_command=NODE, solver_dir=tmp_path, stack_delay=0.1, boot_delay=0.1) as local:
        pids = with_a_node(local)
        competition = local.state_dir / "nodes" / local.nodes()[0].task / "competition"
        assert (competition / "library.so").is_symlink()  # what lies beside the scripts may be large
        assert not (competition / "solver").is_symlink()
        assert os.access(competition / "cleanup", os.X_OK)
        assert len(pids) == 3
        assert all(is_alive(pid) for pid in pids)
        state = local.state_dir
        assert state.is_dir()
    assert not any(is_alive(pid) for pid in pids)
    assert not state.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(local.endpoint)
    local.stop()  # once more does no harm


def test_nothing_survives_a_cloud_that_is_killed(tmp_path: Path) -> None:
    with cloud.start(region=REGION, node_command=NODE, stack_delay=0.1, boot_delay=0.1) as local:
        pids = with_a_node(local)
        os.kill(local._process.pid, signal.SIGKILL)
        eventually(lambda: not any(is_alive(pid) for pid in pids))
        eventually(lambda: not local.state_dir.exists())


def test_a_cloud_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = (
        "import time\n"
        "from satcomp_infra.local import cloud\n"
        f"local = cloud.start(region={REGION!r}, state_dir=__import__('pathlib').Path({str(tmp_path)!r}))\n"
        "print(local._process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        user.kill()
        user.wait()
        eventually(lambda: not is_alive(pid))


def test_the_environment_leads_past_whatever_the_user_has_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], boto3.Session().region_name)"
    with cloud.start(region="eu-west-1") as local:
        environment = {**os.environ, **local.environment()}
        said = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert said.stdout.split() == ["123456789012", "eu-west-1"]
        assert local.client("sts").get_caller_identity()["Account"] == "123456789012"
        assert local.calls() == {"sts.GetCallerIdentity": 2}


def not_started(capfd: pytest.CaptureFixture[str], **options: Any) -> SatcompError:
    with pytest.raises(SatcompError) as raised:
        cloud.start(**options)
    assert capfd.readouterr().err == ""  # all is in the error, which is told once
    assert "Traceback" in str(raised.value.__cause__)  # for --debug
    return raised.value


def test_what_can_not_be_started_says_why(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "vcpu_quota" in str(not_started(capfd, vcpu_quota="many"))
    assert "no such directory" in str(not_started(capfd, solver_dir=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("5.1.7", "The local cloud needs version 5.2 of the Python package 'moto', and {python} has 5.1.7."),
        ("5.2.99", "The local cloud can't use what {python} has (moto 5.2.99): No module named 'moto."),
    ],
)
def test_a_moto_that_will_not_do_is_named(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    (tmp_path / "moto").mkdir()
    (tmp_path / "moto" / "__init__.py").touch()
    (tmp_path / f"moto-{version}.dist-info").mkdir()
    (tmp_path / f"moto-{version}.dist-info" / "METADATA").write_text(f"Name: moto\nVersion: {version}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error = not_started(capfd)
    assert error.message.startswith(said.format(python=sys.executable))
    assert error.advice.endswith("type 'make .venv' and then 'source .venv/bin/activate'.")


def test_the_moto_that_is_asked_for_is_the_one_that_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (moto,) = [name for name in project["optional-dependencies"]["local"] if name.startswith("moto")]
    major, minor = map(int, packages.MOTO.split("."))
    assert moto == f"moto[server]>={major}.{minor},<{major}.{minor + 1}"
