"""Build the images that the tests of this folder are about, which takes a minute and a half the first time.

No image can be pulled where the tests run: the base is a Debian that debootstrap makes. The rest is what a user types.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from . import engine

BASE = "test-base:debian-12"
_SOURCES = ("satcomp_infra", "docker", "pyproject.toml", "Makefile")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def fingerprint() -> str:
    """Of all that the images are built from."""
    digest = hashlib.sha256()
    for source in _SOURCES:
        path = engine.ROOT / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix != ".pyc" and "local" not in file.parts:
                digest.update(f"{file.relative_to(engine.ROOT)} {file.stat().st_mode}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def prepare(host: str) -> None:
    """Build what isn't there, or isn't what it would be now. `host` is the engine's address."""
    stamp, wanted = engine.HOME / "stamp", fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    environment = {**os.environ, "DOCKER_HOST": host, "DOCKER_BUILDKIT": "0"}
    there = subprocess.run(["docker", "image", "inspect", BASE], env=environment, capture_output=True, check=False)
    if there.returncode:
        _make_base(environment)
    command = ["make", "--silent", "images", f"BASE={BASE}", "BUILD_ARGS=--network=host"]
    subprocess.run(command, cwd=engine.ROOT, env=environment, check=True)
    stamp.write_text(wanted)


def _make_base(environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", directory],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # Whom this machine trusts, the build has to trust, too, to get at the packages.
        (Path(directory) / _CERTIFICATES.relative_to("/")).write_bytes(_CERTIFICATES.read_bytes())
        ignored = [
            f"--exclude=./{name}/*" for name in ("proc", "sys", "dev", "var/cache/apt/archives", "var/lib/apt/lists")
        ]
        with subprocess.Popen(["tar", "-C", directory, *ignored, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "import", "-", BASE], stdin=tar.stdout, env=environment, check=True)
