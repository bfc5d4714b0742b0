"""Names: everything that exists in AWS for a project is named here, once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import UsageError

CLUSTER = "SatCompCluster"
NODE_MANIFEST_TABLE = "SatCompNodeManifest"
TASK_END_TABLE = "TaskEndNotification"
PROJECT_TAG = "satcomp-infrastructure:project"
"""Tag of the stack, and through it of all that it creates: the project's name as it was typed."""
TEST_PROBLEM = "test.cnf"

# ECR's rule for repository names (its service model), narrowed: no dots, and a letter first (CloudFormation's rule).
_PART = r"[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?=[a-z]){_PART}(?:/{_PART})*")
_BUCKET_LIMIT = 63
_ACCOUNT_DIGITS = 12
_SHORTEST_REGION = len("us-east-1")
# S3 keeps these endings for access points and directory buckets (S3 user guide, "Bucket naming rules").
_RESERVED_ENDINGS = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")


@dataclass(frozen=True)
class Names:
    """The names of a project's things in one account and region."""

    project: str
    stack: str
    bucket: str
    job_queue: str
    result_queue: str
    dead_letter_queue: str
    repository: str
    leader_log_group: str
    worker_log_group: str


@dataclass(frozen=True)
class Project:
    """A project by its name as the user types it, known to be acceptable to every AWS service that gets it.

    Raises UsageError, with a name that would work, for any other.
    """

    name: str

    def __post_init__(self) -> None:
        problem = _problem(self.name)
        if problem:
            raise UsageError(f"Project name '{self.name}' {problem}.", _suggestion(self.name))

    @property
    def slug(self) -> str:
        """The name for services that accept neither '_' nor '/'."""
        return re.sub(r"[_/]", "-", self.name)

    @property
    def stack(self) -> str:
        """The name of the CloudFormation stack."""
        return f"job-queue-{self.slug}"

    def names(self, account: str, region: str) -> Names:
        """All names. Raises UsageError where the region's own name leaves too little room for the bucket's."""
        bucket = f"{account}-{region}-{self.slug}"
        if len(bucket) > _BUCKET_LIMIT:
            room = _BUCKET_LIMIT - len(f"{account}-{region}-")
            raise UsageError(
                f"Project name '{self.name}' is too long for region {region}: its bucket would be called '{bucket}', "
                f"{len(bucket)} characters, and S3 allows {_BUCKET_LIMIT}.",
                f"Use a name of at most {room} characters, for example '{_trim(self.name, room)}'.",
            )
        return Names(
            project=self.name,
            stack=self.stack,
            bucket=bucket,
            job_queue=f"{account}-{region}-SatCompQueue",
            result_queue=f"{account}-{region}-SatCompOutputQueue",
            dead_letter_queue=f"{account}-{region}-SatCompDeadLetterQueue",
            repository=self.name,
            leader_log_group=f"/ecs/{self.name}-leader",
            worker_log_group=f"/ecs/{self.name}-worker",
        )


def _max_length() -> int:
    return _BUCKET_LIMIT - _ACCOUNT_DIGITS - _SHORTEST_REGION - 2


def _problem(name: str) -> str:
    """What is wrong with the name, as the end of a sentence; empty if nothing is."""
    longest = _max_length()
    if not name:
        return "is empty"
    if not ("a" <= name[0] <= "z"):
        return "must start with a lowercase letter"
    wrong = sorted(set(re.sub(r"[a-z0-9_/-]", "", name)))
    if wrong:
        shown = " ".join(f"'{c}'" for c in wrong)
        return f"may have only lowercase letters, digits, '-', '_' and '/', not {shown}"
    if len(name) < 2:
        return "is too short: ECR wants at least 2 characters"
    if len(name) > longest:
        return f"has {len(name)} characters; at most {longest} fit into the name of its S3 bucket"
    if not _NAME.fullmatch(name):
        return "must have a letter or digit at its end and on both sides of each '-', '_' or '/'"
    slug = re.sub(r"[_/]", "-", name)
    for ending in _RESERVED_ENDINGS:
        if slug.endswith(ending):
            return f"ends in '{ending}', which S3 keeps for itself"
    return ""


def _trim(name: str, length: int) -> str:
    return name[:length].rstrip("-_/")


def _suggestion(name: str) -> str:
    """A sentence with the nearest name that would work."""
    text = re.sub(r"[^a-z0-9_/-]+", "-", name.lower())
    text = re.sub(r"/+", "/", text)
    text = re.sub(r"[-_]*/[-_]*", "/", text)
    text = re.sub(r"-*_[-_]*", "_", text).strip("-_/")
    text = re.sub(r"^[^a-z]+", lambda m: f"p{m[0]}" if m[0][0].isdigit() else "", text)
    text = _trim(text, _max_length())
    for ending in _RESERVED_ENDINGS:
        text = text.removesuffix(ending)
    if len(text) < 2:
        text = f"{text or 'my'}-solver"
    return f"Use for example '{text}'."
