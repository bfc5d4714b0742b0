"""Whether this Python has the packages that a local cloud needs, said in a sentence if not."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from ..cli import GET_DEPENDENCIES
from ..errors import SatcompError

MOTO = "5.2"
"""The series of moto whose gaps the local cloud fills; others have other ones. As pyproject.toml has it."""


def check() -> None:
    """Raise SatcompError where moto isn't there, or is of another series."""
    found = _version("moto")
    if not found:
        raise _missing("moto")
    if found.split(".")[:2] != MOTO.split("."):
        raise SatcompError(
            f"The local cloud needs version {MOTO} of the Python package 'moto', and {sys.executable} has {found}.",
            GET_DEPENDENCIES,
        )


def unusable(error: ImportError) -> SatcompError:
    """What to say of an import that failed."""
    package = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return _missing(package)
    found = _version(package)
    of = f" ({package} {found})" if found else ""
    return SatcompError(f"The local cloud can't use what {sys.executable} has{of}: {error}.", GET_DEPENDENCIES)


def _missing(package: str) -> SatcompError:
    return SatcompError(
        f"The local cloud needs the Python package '{package}', and {sys.executable} doesn't have it.", GET_DEPENDENCIES
    )


def _version(package: str) -> str:
    try:
        return version(package) if package else ""
    except PackageNotFoundError:
        return ""
