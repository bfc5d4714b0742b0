"""What every part of a node works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .identity import Identity
from .settings import Settings, Timing
from .stop import Stop


@dataclass(frozen=True)
class Context:
    """A node: how it is set up, who it is, what its environment is, and whether it is to stop."""

    settings: Settings
    identity: Identity
    environment: Mapping[str, str]
    stop: Stop = field(default_factory=Stop)
    timing: Timing = field(default_factory=Timing)

    def program(self, name: str) -> Path:
        """Where the team's program of this name has to be."""
        return self.settings.competition / name

    def program_environment(self, **more: str) -> dict[str, str]:
        """What the team's programs find in their environment: the node's own, where it is, and `more`."""
        return {
            **self.environment,
            **more,
            "SATCOMP_NODE_IP": self.identity.address,
            "SATCOMP_COMPETITION_DIR": str(self.settings.competition),
            "SATCOMP_SHARED_DIR": str(self.settings.shared),
        }
