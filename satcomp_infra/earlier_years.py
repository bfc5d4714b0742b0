"""What leaders of 2022 and 2023 tell of a job: a message on the result queue, and nothing in the bucket.

They delete a job's message as soon as they have received it, and invent an id for it: what they announce is known by
the problem. Where their solver has written no solver_out.json, `solver.output` is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .jobs import RETURN_CODES, Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .jobs import Job


def is_result_of(announcement: Mapping[str, Any], job: Job) -> bool:
    """Whether a message of an earlier year may be about this job.

    Two jobs with the same problem can't be told apart. One that names its verdict is not of an earlier year.
    """
    driver = announcement.get("driver")
    return "verdict" not in announcement and isinstance(driver, dict) and driver.get("s3_uri") == str(job.problem)


def result(job_id: str, job: Job, announcement: Mapping[str, Any]) -> Result:
    """The result that such a message tells of: by solver_out.json or, where there is none, by the process's end."""
    driver, output = _part(announcement, "driver"), _part(_part(announcement, "solver"), "output")
    code = output["return_code"] if "return_code" in output else driver.get("return_code")
    verdict = RETURN_CODES.get(code, Verdict.ERROR) if isinstance(code, int) else Verdict.ERROR
    millis = driver.get("solver_runtime_millis")
    seconds = millis / 1000 if isinstance(millis, int | float) else 0.0
    reason = ""
    if verdict is Verdict.ERROR:
        reason = f"The solver's return code was {'null' if code is None else code}."
        if not output:
            if seconds >= job.timeout_seconds:
                verdict, reason = Verdict.TIMEOUT, ""
            else:
                reason = f"The solver wrote no usable solver_out.json. Its process ended with {code}."
                if isinstance(code, int) and code < 0:
                    reason += " A negative number is a signal's: leaders of earlier years send one at the timeout."
    return Result(
        job_id=job_id,
        verdict=verdict,
        problem=str(job.problem),
        reason=reason,
        return_code=code if isinstance(code, int) else None,
        wall_seconds=seconds,
        timeout_seconds=job.timeout_seconds,
        solver_output=output,
    )


def _part(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name)
    return value if isinstance(value, dict) else {}
