"""A job and its result: the formats that the commands and the nodes share.

A job is a message on the job queue, in the format of the 2023 competition with the fields of 2022 beside it; leaders
of either year understand it, and messages of either year are understood here. A job's id is its SQS message id.

A result is the object `results/{job id}/result.json` in the project's bucket. A message on the result queue, in the
2023 format with the result's own fields added, announces it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from .errors import SatcompError, UsageError

DEFAULT_TIMEOUT_SECONDS = 60
"""Of a job sent by the commands."""
COMPETITION_TIMEOUT_SECONDS = 1000
"""Of a job whose message names no timeout, as the short 2022 format does."""
MAX_TIMEOUT_SECONDS = 11 * 3600
"""SQS hides a message for 12 hours at most, counted from its receipt; an hour of that is for all but solving."""


MAX_KEY_BYTES = 1024


class JobFormatError(SatcompError):
    """A message on the job queue can't be understood; the message of this error names the field."""


class Verdict(StrEnum):
    """How a job ended."""

    SAT = "SAT"
    UNSAT = "UNSAT"
    UNKNOWN = "UNKNOWN"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"


RETURN_CODES = {10: Verdict.SAT, 20: Verdict.UNSAT, 0: Verdict.UNKNOWN}
"""What a solver's return code means; any other is an error."""


@dataclass(frozen=True)
class S3Uri:
    """The address of an object in S3."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `s3://bucket/key`, the scheme in either case. Raises UsageError for anything else."""
        match = re.fullmatch(r"s3://([^/]+)/(.+)", text, flags=re.IGNORECASE | re.DOTALL)
        if not match:
            raise UsageError(f"'{text[:200]}' is not an S3 location.", "Write it as s3://BUCKET/KEY.")
        bucket, key = match[1], match[2]
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            raise UsageError(f"{key[:100]!r} is not text: it can't be a key in S3.") from None
        if length > MAX_KEY_BYTES:
            raise UsageError(f"The key '{key[:100]}...' has {length} bytes. S3 allows {MAX_KEY_BYTES}.")
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket) or ".." in bucket:
            raise UsageError(
                f"'{bucket[:100]}' in '{text[:200]}' is not a bucket name.",
                "Bucket names have 3 to 63 lowercase letters, digits, '-' and '.', but not '..'.",
            )
        return cls(bucket, key)

    @property
    def name(self) -> str:
        """The last part of the key: the file's name."""
        return self.key.rstrip("/").rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Job:
    """One problem to be solved: what send_message sends and a leader runs.

    `timeout_seconds` is wall-clock time from the solver's start. `language` is the formula's (empty: the solver's own
    default); `solver_options` are handed to the solver as they are. `check_models`: a model that the solver prints is
    checked by the leader; those of earlier years check none. `tag` is the sender's own mark, which the result gets.
    """

    problem: S3Uri
    num_workers: int = 0
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    solver_name: str = ""
    solver_options: tuple[str, ...] = ()
    language: str = ""
    check_models: bool = True
    tag: str = ""

    def to_message(self) -> str:
        """The body of the SQS message, JSON."""
        message: dict[str, Any] = {
            "s3_uri": str(self.problem),
            "num_workers": self.num_workers,
            "formula": {"value": str(self.problem), "language": self.language},
            "solverConfig": {
                "solverName": self.solver_name,
                "solverOptions": list(self.solver_options),
                "taskTimeoutSeconds": self.timeout_seconds,
            },
        }
        if not self.check_models:  # otherwise, the message is as leaders of earlier years know it
            message["check_models"] = False
        if self.tag:
            message["tag"] = self.tag
        return json.dumps(message)

    @classmethod
    def from_message(cls, body: str) -> Self:
        """Read any of the three formats. Raises JobFormatError, which names the field that is wrong."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise JobFormatError(f"The job message is not JSON: {error}.") from error
        if not isinstance(message, dict):
            raise JobFormatError("The job message is not a JSON object.")
        formula = _get(message, "formula", dict, {})
        config = _get(message, "solverConfig", dict, {})
        location = _get(message, "s3_uri", str, "") or _get(formula, "value", str, "", "formula.")
        if not location:
            raise JobFormatError("The job message names no problem: neither 's3_uri' nor 'formula.value' is set.")
        try:
            problem = S3Uri.parse(location)
        except UsageError as error:
            raise JobFormatError(f"The job message's problem can't be used: {error}") from error
        options = _get(config, "solverOptions", list, [], "solverConfig.")
        if not all(isinstance(option, str) for option in options):
            raise JobFormatError("The job message's 'solverConfig.solverOptions' must be a list of strings.")
        return cls(
            problem=problem,
            num_workers=_whole(message, "num_workers", 0, minimum=0),
            timeout_seconds=_whole(
                config,
                "taskTimeoutSeconds",
                COMPETITION_TIMEOUT_SECONDS,
                "solverConfig.",
                minimum=1,
                maximum=MAX_TIMEOUT_SECONDS,
            ),
            solver_name=_get(config, "solverName", str, "", "solverConfig."),
            solver_options=tuple(options),
            language=_get(formula, "language", str, "", "formula."),
            check_models=_get(message, "check_models", bool, default=True),
            tag=_get(message, "tag", str, ""),
        )


@dataclass(frozen=True)
class Result:
    """How a job ended, as stored in result.json.

    Times are epoch seconds; `wall_seconds` is the solver's own wall-clock time, `cpu_seconds` the CPU time of all its
    processes on the leader's machine, `peak_memory_mib` the most memory that they had there at a time (looked at once a
    second; exact for one large process; 0 where it is not known). `reason` says, where the verdict is ERROR (or asks
    for one), what happened, in words. `model` is of the model where the solver has answered SAT: `right` (it satisfies
    the formula), `wrong` (the verdict is ERROR, and `reason` says why), `missing` (none was printed) or `not checked`,
    and behind a colon what more there is to say; it is empty for other answers. `node` is the leader's address,
    `workers` those of its workers. `files` is the S3 prefix that holds the run's files, and
    no other run's: result.json's own, unless another run had begun to store its files there. It is empty where there
    are none, as for leaders of earlier years.
    """

    job_id: str
    verdict: Verdict
    problem: str
    reason: str = ""
    return_code: int | None = None
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mib: int = 0
    timeout_seconds: int = 0
    received_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    attempt: int = 1
    node: str = ""
    instance: str = ""
    workers: tuple[str, ...] = ()
    files: str = ""
    solver_output: Mapping[str, Any] = field(default_factory=dict)
    """solver_out.json as the solver wrote it; empty where it wrote none."""
    model: str = ""
    tag: str = ""

    def file(self, name: str) -> S3Uri | None:
        """Where the run's file of this name is, if it is stored; None where the result has no files."""
        return S3Uri.parse(f"{self.files}{name}") if self.files else None

    def to_json(self) -> str:
        """The text of result.json."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read result.json; unknown fields of later versions are passed over. Raises SatcompError if it isn't one."""
        try:
            values = json.loads(text)
            known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
            known["verdict"] = Verdict(known["verdict"])
            known["workers"] = tuple(known.get("workers", ()))
            return cls(**known)
        except (ValueError, TypeError, KeyError) as error:
            raise SatcompError(f"The result's file is damaged: {error!r}.") from error

    def announcement(self, request_directory: str = "") -> str:
        """The message that announces this result on the result queue: the 2023 fields, then this result's own."""
        artifacts = self.solver_output.get("artifacts") or {}
        return json.dumps(
            {
                "task_id": self.job_id,
                "driver": {
                    "stdout": artifacts.get("stdout_path", "") if isinstance(artifacts, dict) else "",
                    "stderr": artifacts.get("stderr_path", "") if isinstance(artifacts, dict) else "",
                    "return_code": self.return_code,
                    "solver_runtime_millis": round(self.wall_seconds * 1000),
                    "s3_uri": self.problem,
                },
                "solver": {"output": self.solver_output, "request_directory_path": request_directory},
                "task_state": None,
                "verdict": self.verdict,
                "reason": self.reason,
                "files": self.files,
                **({"tag": self.tag} if self.tag else {}),
            }
        )


def result_prefix(job_id: str) -> str:
    """The key prefix, in the project's bucket, of a job's result and files."""
    return f"results/{job_id}/"


def result_key(job_id: str) -> str:
    """The key of a job's result.json."""
    return f"{result_prefix(job_id)}result.json"


def _get(values: Mapping[str, Any], name: str, kind: type, default: Any, prefix: str = "") -> Any:
    value = values.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        words: dict[type, str] = {str: "a string", dict: "an object", list: "a list", bool: "true or false"}
        raise JobFormatError(f"The job message's '{prefix}{name}' must be {words[kind]}, not {_shown(value)}.")
    return value


def _shown(value: Any) -> str:
    """A value as JSON has it, in short: a message may be a megabyte."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def _whole(
    values: Mapping[str, Any],
    name: str,
    default: int,
    prefix: str = "",
    *,
    minimum: int,
    maximum: int | None = None,
) -> int:
    value = values.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum or (maximum and value > maximum):
        bounds = f"from {minimum} to {maximum}" if maximum else f"of {minimum} or more"
        raise JobFormatError(
            f"The job message's '{prefix}{name}' must be a whole number {bounds}, not {_shown(value)}."
        )
    return value
