"""The instance metadata service, version 2: what an instance asks to find out who and where it is.

In EC2 it has one address, and answers by who asks. Here each instance has an address of its own, which its node gets as
AWS_EC2_METADATA_SERVICE_ENDPOINT: `/imds/{instance id}`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .calls import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .machines import Machine
    from .world import World

PATH = "/imds/"
_TOKEN_HEADER = "HTTP_X_AWS_EC2_METADATA_TOKEN"  # noqa: S105  # its name
_SECONDS_HEADER = "HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS"


class MetadataService:
    """Answers for all instances."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tokens: dict[str, str] = {}
        """One for each instance, for as long as it lives."""

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a request; `headers` as WSGI names them."""
        instance, _, rest = path.removeprefix(PATH).partition("/")
        with self._world.lock:
            machine = self._world.machines.get(instance)
            if machine is None:
                return _text(404, "no such instance")
            if rest == "latest/api/token":
                return self._token(instance, method, headers)
            if headers.get(_TOKEN_HEADER, "") != self._tokens.get(instance):
                return _text(401, "a token is required")
            value = _metadata(machine).get(rest.removeprefix("latest/meta-data/").rstrip("/"))
        if method != "GET" or value is None or not rest.startswith("latest/meta-data/"):
            return _text(404, "not found")
        return _text(200, value)

    def _token(self, instance: str, method: str, headers: Mapping[str, str]) -> Answer:
        seconds = headers.get(_SECONDS_HEADER, "")
        if method != "PUT":
            return _text(405, "use PUT")
        if not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
            return _text(400, "X-aws-ec2-metadata-token-ttl-seconds must be from 1 to 21600")
        return _text(200, self._tokens.setdefault(instance, secrets.token_urlsafe(16)))


def _metadata(machine: Machine) -> dict[str, str]:
    return {
        "ami-id": str(machine.instance.image_id),
        "instance-id": machine.id,
        "instance-type": str(machine.instance.instance_type),
        "local-hostname": str(machine.instance.private_dns_name),
        "local-ipv4": machine.address,
        "placement/availability-zone": machine.zone,
        "placement/region": machine.region,
        "public-ipv4": str(machine.instance.public_ip or ""),
    }


def _text(status: int, text: str) -> Answer:
    body = text.encode()
    return Answer(status, (("Content-Type", "text/plain"), ("Content-Length", str(len(body)))), body)
