"""Who a node is: its address, which the other nodes reach it by, and its machine's id."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException

_TOKEN_SECONDS = 60
_ATTEMPTS = 3
_TIMEOUT = 1.0
_PAUSE = 0.1
_OUTSIDE = ("192.0.2.1", 9)
"""An address that nobody has (RFC 5737): whatever the internet's route is, this takes it. Nothing is sent there."""


@dataclass(frozen=True)
class Identity:
    """A node's address, and the id of its EC2 instance (empty where there is none)."""

    address: str
    instance: str = ""


def find_identity(environment: Mapping[str, str]) -> Identity:
    """Ask EC2's instance metadata service; where it doesn't answer, take the address of the route to the internet.

    Version 2 of the service, which the machines are set to require (EC2 User Guide, "Use the Instance Metadata
    Service"), at botocore's own variable for its address. Takes at most about three seconds.
    """
    endpoint = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        try:
            return _from_metadata(endpoint.rstrip("/"))
        except (OSError, HTTPException, ValueError):  # HTTPError and timeouts are OSErrors; ValueError: not a URL
            continue
    return Identity(_route_address())


def _from_metadata(endpoint: str) -> Identity:
    # Not through a proxy: the service would describe the proxy's machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{endpoint}/latest/{path}", method=method, headers=headers)  # noqa: S310
        with opener.open(request, timeout=_TIMEOUT) as response:
            return str(response.read().decode("ascii").strip())

    token = ask("PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)})
    known = {"X-aws-ec2-metadata-token": token}
    return Identity(
        address=ask("GET", "meta-data/local-ipv4", known),
        instance=ask("GET", "meta-data/instance-id", known),
    )


def _route_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_OUTSIDE)
        except OSError:  # no network at all: a node that is alone is reached here
            return "127.0.0.1"
        return str(probe.getsockname()[0])
