"""The Docker engine on the user's machine: its images, what is in them, and what it says while it pushes one."""

from __future__ import annotations

import base64
import difflib
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .errors import SatcompError

if TYPE_CHECKING:
    from docker.client import DockerClient

T = TypeVar("T")

_ANSWER_SECONDS = 60
_SILENCE_SECONDS = 600
"""How long the engine may say nothing of a push: a registry takes its time over the last byte of a large layer."""
_NAMES_SHOWN = 5
FULL = "no space left on device"
MAKE_SPACE = "See what takes the space with 'docker system df', and make some with 'docker system prune'."
_LINKS = 8
_PUSHED = re.compile(r"\S+: digest: (?P<digest>[a-z0-9]+:[0-9a-f]{32,}) size: \d+")
"""The last line about a push, as people read it. An engine with the containerd image store says it nowhere else."""
# Go's io/fs.FileMode, in which the engine tells a file's mode.
_DIRECTORY, _EXECUTABLE = 1 << 31, 0o111


class PushError(Exception):
    """The engine or the registry refuses or gives up; the message is in their words."""


class EngineError(SatcompError):
    """The engine can't do what it is asked, `words` says why. `absent`: what it was asked for isn't there."""

    def __init__(self, words: str, *, absent: bool = False) -> None:
        self.words, self.absent = words, absent
        if FULL in words:
            super().__init__(f"The Docker engine's disk is full: {words}.", MAKE_SPACE)
        else:
            super().__init__(f"The Docker engine refuses: {words}.")


@dataclass(frozen=True)
class LocalImage:
    """An image that the engine has. `name` is as the user typed it."""

    name: str
    id: str
    platform: str
    """As in `linux/amd64`."""
    command: tuple[str, ...]
    """What a container of it runs: entry point and arguments."""


@dataclass(frozen=True)
class LayerNews:
    """What the engine says of a layer, and how far it is, in bytes; `total` is 0 where it doesn't say."""

    layer: str
    status: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Pushed:
    """The last that the engine says of a push that went well: the digest of what it sent."""

    digest: str


class Engine:
    """The engine that the `docker` command would use, too: DOCKER_HOST, or the current context.

    It is connected to when it is first asked something. All methods raise SatcompError, with how to start it, where it
    can't be reached.
    """

    def __init__(self) -> None:
        self._connected: DockerClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connected:
            self._connected.close()

    @property
    def _client(self) -> DockerClient:
        from docker.client import from_env
        from docker.errors import DockerException

        if self._connected is None:
            try:
                self._connected = from_env(timeout=_ANSWER_SECONDS)
            except DockerException as error:
                raise _unreachable(str(error)) from error
        return self._connected

    def ping(self) -> None:
        """Ask whether it is there."""
        self._ask(self._client.api.ping)

    def image(self, name: str) -> LocalImage:
        """The image of a name, an id or a digest. Raises SatcompError, with the nearest names, if there is none."""
        try:
            found = self._ask(lambda: self._client.api.inspect_image(name))
        except EngineError as error:
            if error.absent:  # or can't be a name
                raise self._no_image(name) from error
            raise
        settings = found.get("Config") or {}
        return LocalImage(
            name=name,
            id=found["Id"],
            platform=f"{found['Os']}/{found['Architecture']}",
            command=(*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ())),
        )

    def program_faults(self, image: LocalImage, *paths: str) -> dict[str, str]:
        """What is wrong with these programs in an image, by their path, as in `is missing`; nothing runs for that."""
        created = self._ask(lambda: self._client.api.create_container(image.id, ["/"], entrypoint=["/"]))
        try:
            faults = {path: self._fault(created["Id"], path) for path in paths}
        finally:
            self._ask(lambda: self._client.api.remove_container(created["Id"], v=True))
        return {path: fault for path, fault in faults.items() if fault}

    def tag(self, image: LocalImage, repository: str, tag: str) -> None:
        """Give an image a name more."""
        self._ask(lambda: self._client.api.tag(image.id, repository, tag, force=True))

    def digest(self, reference: str, credentials: dict[str, str]) -> str | None:
        """The digest that the registry itself has for a name there; None where it has none. Raises PushError."""
        from docker.errors import NotFound

        try:
            answer = self._ask(lambda: self._client.api.inspect_distribution(reference, auth_config=credentials))
        except EngineError as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise PushError(error.words) from error
        return str(answer["Descriptor"]["digest"])

    def push(self, repository: str, tag: str, credentials: dict[str, str]) -> Iterator[LayerNews | Pushed]:
        """Push a name, telling of each layer; the last is Pushed. Raises PushError (the SDK would go on instead)."""
        from docker.errors import APIError
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        self._client.api.timeout = _SILENCE_SECONDS
        digest = ""
        try:
            for line in self._client.api.push(repository, tag, auth_config=credentials, stream=True, decode=True):
                if "error" in line or "errorDetail" in line:
                    raise PushError((line.get("errorDetail") or {}).get("message") or line["error"])
                digest = _digest(line) or digest
                if line.get("id"):
                    far = line.get("progressDetail") or {}
                    yield LayerNews(line["id"], line["status"], far.get("current", 0), far.get("total", 0))
        except APIError as error:
            raise PushError(_words(error)) from error
        except (RequestException, HTTPError) as error:
            raise SatcompError(
                f"The Docker engine broke off in the middle of the push ({error}).",
                "Look whether it still runs:\ndocker info\nThen type the same command again; what has arrived "
                "isn't sent again.",
            ) from error
        if not digest:
            raise PushError("the engine ended the push without naming the digest of what it sent")
        yield Pushed(digest)

    def _fault(self, container: str, path: str) -> str:
        api = self._client.api
        where = path
        for _ in range(_LINKS):
            url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
            with api.head(url, params={"path": where}, timeout=_ANSWER_SECONDS) as answer:
                if answer.status_code == 404:
                    return "is missing" if where == path else f"is a link to {where}, which is missing"
                answer.raise_for_status()
                stat = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
            if not stat["linkTarget"]:
                break
            where = posixpath.normpath(posixpath.join(posixpath.dirname(where), stat["linkTarget"]))
        if stat["mode"] & _DIRECTORY:
            return "is a directory"
        return "" if stat["mode"] & _EXECUTABLE else "is not executable (chmod +x)"

    def _no_image(self, name: str) -> SatcompError:
        listed = self._ask(self._client.api.images)
        there = sorted(
            {tag for image in listed for tag in image.get("RepoTags") or () if "<none>" not in tag},
            key=lambda tag: difflib.SequenceMatcher(None, name, tag).ratio(),
            reverse=True,
        )
        near = difflib.get_close_matches(name, there, n=_NAMES_SHOWN)
        if near:
            advice = f"Did you mean {' or '.join(near)}?"
        elif there:
            more = f" and {len(there) - _NAMES_SHOWN} more" if len(there) > _NAMES_SHOWN else ""
            advice = f"It has {', '.join(there[:_NAMES_SHOWN])}{more}."
        else:
            advice = "It has none at all. Build yours:\ndocker build --platform linux/amd64 -t NAME DIRECTORY"
        return SatcompError(f"The Docker engine has no image '{name}'.", advice)

    def _ask(self, call: Callable[[], T]) -> T:
        from docker.errors import APIError
        from requests.exceptions import ConnectionError as RequestsConnectionError
        from requests.exceptions import Timeout

        try:
            return call()
        except APIError as error:
            raise EngineError(_words(error), absent=error.is_client_error()) from error
        except (RequestsConnectionError, Timeout) as error:
            raise _unreachable(str(error)) from error


def _digest(line: dict[str, Any]) -> str:
    """The digest of what was sent, where a line of a push names it; empty elsewhere."""
    told = _PUSHED.fullmatch(line.get("status") or "")
    return told["digest"] if told else str((line.get("aux") or {}).get("Digest") or "")


def _words(error: Any) -> str:
    return str(error.explanation or error)


def _unreachable(words: str) -> SatcompError:
    if "Permission denied" in words:
        return SatcompError(
            "You may not use the Docker engine of this machine (permission denied on its socket).",
            "Join its group, and log in again:\nsudo usermod -aG docker $USER",
        )
    return SatcompError(
        f"The Docker engine can't be reached: {words.rstrip('.')}.",
        "Start it: on Linux with 'sudo systemctl start docker', on macOS and Windows by starting Docker Desktop. If it "
        "runs elsewhere, DOCKER_HOST or 'docker context use' says where.",
    )
