"""What a node needs to be installed: no more than pyproject.toml's own dependencies, which its image has."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from satcomp_infra.node import health

ROOT = Path(__file__).parents[2]
IMPORT_ALL = """
import importlib, pkgutil, sys, satcomp_infra.node
for module in pkgutil.iter_modules(satcomp_infra.node.__path__):
    if module.name != "__main__":
        importlib.import_module(f"satcomp_infra.node.{module.name}")
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_nodes_import_nothing_that_the_commands_alone_need() -> None:
    names = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = {entry.partition(">")[0] for entry in names["dependencies"]}
    assert own == {"botocore", "zstandard"}
    commands = {entry.partition(">")[0].lower() for entry in names["optional-dependencies"]["commands"]}
    imported = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"botocore", "zstandard"} <= set(imported)
    assert not (commands | {"yaml", "moto"}) & set(imported)


def test_a_node_is_healthy_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    def healthy() -> int:
        return subprocess.run(
            [sys.executable, "-m", "satcomp_infra.node.health"],
            env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode

    assert healthy() == 1
    mark = tmp_path / f"satcomp-node-{os.getuid()}.alive"
    mark.touch()
    assert healthy() == 0
    old = mark.stat().st_mtime - 2 * health.STALE_SECONDS
    os.utime(mark, (old, old))
    assert healthy() == 1


def test_a_beat_is_a_sign_of_life(tmp_path: Path) -> None:
    code = "from satcomp_infra.node import health; health.beat(); raise SystemExit(health.main())"
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    assert len(list(tmp_path.iterdir())) == 1
