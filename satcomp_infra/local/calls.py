"""Calls of AWS's APIs as HTTP requests: which call a request is, and how a call is answered that fails."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from .faults import CallFault, Failure

_CLIENT_NAMES = {"elasticfilesystem": "efs", "servicequotas": "service-quotas"}
"""boto3's names of services that sign with another one."""


@dataclass(frozen=True)
class Call:
    """A call of a service's action; `protocol` is one of query, ec2, json, rest-json, rest-xml."""

    service: str
    action: str
    protocol: str
    has_body: bool = True
    """Whether the answer may have a body."""

    @property
    def name(self) -> str:
        """As in `ecs.UpdateService`."""
        return f"{self.service}.{self.action}"

    @property
    def only_looks(self) -> bool:
        """Whether nothing changes by it."""
        return self.action.startswith(("Describe", "List", "Get", "Head", "BatchGet"))


def identify(environ: Mapping[str, Any], body: bytes) -> Call:
    """Which call a request is."""
    scope = re.search(r"Credential=[^/,\s]*/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    signed_for = scope[1] if scope else "s3"  # an address of S3 can carry its signature in its query
    service = _CLIENT_NAMES.get(signed_for, signed_for)
    has_body = environ["REQUEST_METHOD"] != "HEAD"
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return Call(service, target.rpartition(".")[2], "json")
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode(errors="replace")).get("Action", ["?"])[0]
        return Call(service, action, "ec2" if service == "ec2" else "query")
    return Call(service, _rest_action(service, environ), "rest-xml" if service == "s3" else "rest-json", has_body)


def _rest_action(service: str, environ: Mapping[str, Any]) -> str:
    from moto.core.request import Request
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    try:
        operation, _ = get_service_router(service).match(Request(dict(environ)))
    except (NotFound, NotImplementedError, KeyError):
        return str(environ["REQUEST_METHOD"])
    return str(operation.name)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status_line(self) -> str:
        """As in `404 Not Found`."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


_FAILURES: dict[Failure, tuple[int, str, str]] = {
    Failure.THROTTLED: (400, "Throttling", "Rate exceeded"),
    Failure.INTERNAL_ERROR: (500, "InternalFailure", "The request processing has failed because of an unknown error."),
    Failure.UNAVAILABLE: (503, "ServiceUnavailable", "The request has failed due to a temporary failure."),
    Failure.EXPIRED_TOKEN: (400, "ExpiredToken", "The security token included in the request is expired"),
    Failure.UNKNOWN_KEY: (403, "InvalidClientTokenId", "The security token included in the request is invalid."),
    Failure.ACCESS_DENIED: (403, "AccessDenied", "User: arn:aws:iam::123456789012:user/local is not authorized"),
}
# Services have their own names for the same thing.
_OWN_CODES = {
    ("json", "ExpiredToken"): "ExpiredTokenException",
    ("json", "InvalidClientTokenId"): "UnrecognizedClientException",
    ("json", "AccessDenied"): "AccessDeniedException",
    ("ec2", "ExpiredToken"): "RequestExpired",
    ("ec2", "InvalidClientTokenId"): "AuthFailure",
    ("ec2", "AccessDenied"): "UnauthorizedOperation",
    ("rest-xml", "InvalidClientTokenId"): "InvalidAccessKeyId",
}
_UNKNOWN_ACTION = {"query": "InvalidAction", "ec2": "InvalidAction", "json": "UnknownOperationException"}


def failed(call: Call, fault: CallFault) -> Answer:
    """The answer to a call that fails on request."""
    status, code, message = _FAILURES[fault.failure]
    if fault.failure is Failure.ACCESS_DENIED:
        message = f"{message} to perform: {call.service}:{call.action}"
    protocol = "json" if call.protocol == "rest-json" else call.protocol
    code = fault.code or _OWN_CODES.get((protocol, code), code)
    if fault.failure is Failure.THROTTLED and not call.has_body:
        status = 503  # without a body the status is all that tells what is wrong
    return _answer(call, status, code, message)


def broken(call: Call, error: Exception) -> Answer:
    """The answer to a call that moto can't answer: it doesn't know it, or it has run into a mistake."""
    if isinstance(error, NotImplementedError):
        code = _UNKNOWN_ACTION.get(call.protocol, "NotImplemented")
        return _answer(call, 400, code, f"The local cloud doesn't know {call.name}.")
    return _answer(call, 500, "InternalFailure", f"The local cloud failed in {call.name}: {error!r}")


def _answer(call: Call, status: int, code: str, message: str) -> Answer:
    request = str(uuid.uuid4())
    kind = "Sender" if status < 500 else "Receiver"
    headers = {"x-amzn-RequestId": request}
    code_xml, message_xml = escape(code), escape(message)
    if call.protocol in ("json", "rest-json"):
        headers |= {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
        body = json.dumps({"__type": code, "message": message})
    elif call.protocol == "ec2":
        headers["Content-Type"] = "text/xml"
        body = (
            f"<Response><Errors><Error><Code>{code_xml}</Code><Message>{message_xml}</Message></Error></Errors>"
            f"<RequestID>{request}</RequestID></Response>"
        )
    elif call.protocol == "rest-xml":
        headers["Content-Type"] = "application/xml"
        body = f"<Error><Code>{code_xml}</Code><Message>{message_xml}</Message><RequestId>{request}</RequestId></Error>"
    else:
        headers["Content-Type"] = "text/xml"
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code_xml}</Code><Message>{message_xml}</Message></Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
    content = body.encode() if call.has_body else b""
    return Answer(status, (*headers.items(), ("Content-Length", str(len(content)))), content)
