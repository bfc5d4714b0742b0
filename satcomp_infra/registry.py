"""The project's repository as the Docker engine sees it: credentials, pushing, and the registry's refusals in words."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from .engine import FULL, Engine, EngineError, LayerNews, LocalImage, Pushed, PushError
from .errors import SatcompError

if TYPE_CHECKING:
    from .aws import Aws
    from .progress import Console

T = TypeVar("T")

RESUMPTIONS = 4
"""Of a push whose connection breaks. The engine itself tries each layer five times before it says so."""
_FIRST_PAUSE = 2.0
"""Seconds before the first resumption; each one after it waits twice as long."""

# What the engine, with either image store, and ECR say. The first that fits.
_EXPIRED = re.compile(
    r"token has expired|no basic auth credentials|unauthorized|authorization failed|authentication required", re.I
)
_UNREASONED = re.compile(r"from [A-Z]+ request to \S+: 403")
"""Forbidden, and no word why, as with the containerd image store: an expired login, or a missing permission."""
_BROKEN = re.compile(
    r"connection (reset|refused|timed out|aborted)|broken pipe|closed pipe|\bEOF\b|timeout|deadline exceeded|"
    r"no such host|server misbehaving|network is (unreachable|down)|no route to host|use of closed|"
    r"(HTTP status|request to \S+): (5\d\d|429)|toomanyrequests|too many requests|rate exceeded|"
    r"blob upload (unknown|invalid)",
    re.I,
)
_NO_REPOSITORY = re.compile(r"name unknown|repository .*does not exist|from POST request to \S+: 404", re.I)
_QUERY = re.compile(r'(?<=://)([^\s"?]+)\?[^\s":]*')
"""Of an address in what the engine says: hundreds of characters that tell nobody anything."""


@dataclass(frozen=True)
class Token:
    """What ECR lets in for twelve hours. It goes along with each call of the engine, and is stored nowhere."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, aws: Aws) -> Token:
        """A new one (one call)."""
        # Its time of expiry is not looked at: whether a token is good, the registry knows, and clocks differ.
        data = aws.ecr.get_authorization_token()["authorizationData"][0]
        username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return cls(username, password)

    def for_engine(self) -> dict[str, str]:
        """As the engine wants it."""
        return {"username": self.username, "password": self.password}


class Registry:
    """A repository in the account's registry. `uri` is its address without a tag."""

    def __init__(self, aws: Aws, engine: Engine, uri: str, token: Token, console: Console) -> None:
        self._aws = aws
        self._engine = engine
        self._console = console
        self._token = token
        self._renewed = False
        self.uri = uri

    def digest(self, tag: str) -> str | None:
        """The digest of the image that has the tag there now; None if none has. Raises SatcompError."""
        return self._insist(lambda: self._engine.digest(f"{self.uri}:{tag}", self._token.for_engine()))

    def push(self, image: LocalImage, tag: str, tell: Callable[[LayerNews], None]) -> str:
        """Push an image; returns the digest of what was sent.

        A token that has expired is fetched again, once, and a connection that breaks is made again: the registry keeps
        the layers that have arrived. Raises SatcompError.
        """

        def attempt() -> str:
            self._engine.tag(image, self.uri, tag)
            return self._follow(self._engine.push(self.uri, tag, self._token.for_engine()), tell)

        return self._insist(attempt)

    def _follow(self, said: Iterator[LayerNews | Pushed], tell: Callable[[LayerNews], None]) -> str:
        digest = ""
        for news in said:
            if isinstance(news, Pushed):
                digest = news.digest
            else:
                tell(news)
        return digest

    def _insist(self, attempt: Callable[[], T]) -> T:
        pause, broken = _FIRST_PAUSE, 0
        while True:
            try:
                return attempt()
            except PushError as error:
                words = _QUERY.sub(r"\1", str(error))
                if (_EXPIRED.search(words) or _UNREASONED.search(words)) and not self._renewed:
                    self._renewed = True
                    self._console.say("The registry doesn't accept the login any more: logging in again.")
                    self._token = Token.of(self._aws)
                elif _BROKEN.search(words) and broken < RESUMPTIONS:
                    broken += 1
                    self._console.say(f"The connection broke ({words.rstrip('.')}): going on in {pause:.0f} s.")
                    self._console.sleep(pause)
                    pause *= 2
                else:
                    raise self._in_words(words) from error

    def _in_words(self, words: str) -> SatcompError:
        repository, said = self.uri.partition("/")[2], words.strip().rstrip(".")
        if _EXPIRED.search(said):
            return SatcompError(
                f"The registry accepts no login of yours: {said}.",
                "Check this machine's clock, and that AWS_ENDPOINT_URL isn't set; then log in to AWS again.",
            )
        if FULL in said:
            return EngineError(said)
        if _NO_REPOSITORY.search(said):
            return SatcompError(
                f"Repository {repository} isn't there any more: {said}.",
                "Was the project deleted meanwhile? ./show_status tells.",
            )
        if re.search(r"denied|not authorized|forbidden|HTTP status: 403", said, re.I):
            return SatcompError(
                f"Your AWS user may not push to repository {repository}: {said}.",
                "Use a profile that may (--profile), or ask the account's administrator for what docs/permissions.md "
                "lists under push-ecr.",
            )
        if _BROKEN.search(said):
            return SatcompError(
                f"The connection to the registry keeps breaking: {said}.",
                "Check the network, and type the same command again: layers that have arrived aren't sent again.",
            )
        return SatcompError(f"The push to repository {repository} failed: {said}.")
