"""What a push draws, seen on a terminal."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.local_cluster import LocalCluster, running
from tests.typing_commands import PROJECT
from tools.tmux import Screen

from .engine import Registry
from .test_push import fresh

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed: apt install tmux"),
]


@pytest.fixture(scope="module")
def cluster(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def screen(registry: Registry, cluster: LocalCluster) -> Iterator[Screen]:
    terminal = Screen({**cluster.local.environment(), "DOCKER_HOST": registry.host})
    yield terminal
    terminal.close()


def test_layers_have_a_bar_each_which_are_gone_in_the_end(registry: Registry, screen: Screen) -> None:
    for _ in range(2):
        fresh(registry, "my-solver:leader", 2_000_000, 3_000_000)
    registry.set_faults({"about": "PATCH", "seconds_per_mb": 0.7, "times": 99})
    screen.command("push-ecr", "--project", PROJECT, "--leader", "my-solver:leader")
    bar = r"[0-9a-f]{12} [━╸╺ ]+ +\d[\d.]*/[23]\.0 MB .*"
    screen.wait_for(rf"^{bar}\n{bar}$")
    shown = screen.wait_for(r"^code=0")
    assert "Traceback" not in shown
    assert "━" not in shown
    assert re.search(r"^  [0-9a-f]{12}  sent, 3\.0 MB", shown, re.MULTILINE)
    told = " ".join(shown.split())
    assert re.search(r" leader: \d layers sent \(\d\.\d MB\).* The registry confirms: sha256:", told)


def test_ctrl_c_in_the_middle_ends_it(registry: Registry, screen: Screen) -> None:
    fresh(registry, "my-solver:leader", 3_000_000)
    registry.set_faults({"about": "PATCH", "seconds_per_mb": 1, "times": 99})
    screen.command("push-ecr", "--project", PROJECT, "--leader", "my-solver:leader")
    screen.wait_for(r"/3\.0 MB ")
    screen.press("C-c")
    shown = screen.wait_for(r"^code=130")
    assert "What has arrived in the registry isn't sent again" in shown
    assert "Traceback" not in shown
