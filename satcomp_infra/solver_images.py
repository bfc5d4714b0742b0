"""What a solver's image must be like, as far as that can be seen before it runs (docs/solver-images.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SatcompError

if TYPE_CHECKING:
    from .engine import Engine, LocalImage

PLATFORM = "linux/amd64"
"""Of all machines of both tracks."""
PROGRAMS = {"leader": "/competition/solver", "worker": "/competition/worker"}
"""What the node runtime runs in an image of each role."""


def check(engine: Engine, image: LocalImage, role: str) -> None:
    """Raise SatcompError where the image can't work as a node of that role."""
    if image.platform != PLATFORM:
        by_id = "@" in image.name or image.id.removeprefix("sha256:").startswith(image.name.removeprefix("sha256:"))
        name = "NAME" if by_id else image.name
        raise SatcompError(
            f"Image '{image.name}' is for {image.platform}, and the machines run {PLATFORM} alone.",
            f"Build it for them:\ndocker build --platform {PLATFORM} -t {name} DIRECTORY",
        )
    if not image.command:
        raise SatcompError(
            f"Image '{image.name}' doesn't say what to run: it has neither an entry point nor a command.",
            "Build it FROM the project's base image, or add an ENTRYPOINT to its Dockerfile.",
        )
    program = PROGRAMS[role]
    entry = image.command[0]
    faults = engine.program_faults(image, program, *([entry] if entry.startswith("/") else []))
    if program in faults:
        raise SatcompError(
            f"Image '{image.name}' can't be a {role}: {program} {faults[program]}.",
            f"A {role} runs it {'for each problem' if role == 'leader' else 'while it lives'}: docs/solver-images.md "
            "says what it has to do.",
        )
    if entry in faults:
        raise SatcompError(
            f"Image '{image.name}' can't start: its entry point {entry} {faults[entry]}.",
            "Mend the ENTRYPOINT (or CMD) in its Dockerfile.",
        )
