"""Checkov and parliament over what `tools.rendering` wrote, and over the policies in docs/.

Run in an environment of theirs: python tools/check_security.py DIRECTORY

Checkov must find nothing that isn't skipped, with the reason, in the template itself; parliament nothing that isn't
excused here. What is skipped or excused and wouldn't be found any more counts, too. No network is needed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"

# What parliament may say of a policy in docs/, by its kind and a part of the detail: why that is as it should be.
EXCUSED = {
    ("UNKNOWN_ACTION", "s3:GetBucketAbac"): "newer than parliament's list; in the schema of AWS::S3::Bucket",
    ("UNKNOWN_ACTION", "ecs:StopServiceDeployment"): "newer than parliament's list; in the schema of AWS::ECS::Service",
    ("RESOURCE_STAR", "ec2:DescribeVpcAttribute"): "ec2:Describe* only reads, and nearly all of it has no resources",
}


def main() -> int:
    """Check; exit code 1 where something was found."""
    directory = Path(sys.argv[1])
    problems = [*checkov(directory / "templates"), *parliament(directory / "policies")]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def checkov(directory: Path) -> list[str]:
    """What checkov finds in the templates, and each skipped check that it wouldn't fail."""
    words = ["--directory", str(directory), "--framework", "cloudformation", "--skip-download", "--output", "json"]
    checkov = Path(sys.executable).with_name("checkov")
    answer = subprocess.run([checkov, *words], capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(answer.stdout)
        results = report["results"]
    except (ValueError, KeyError, TypeError):
        return [f"checkov failed: {answer.stdout[-2000:]}{answer.stderr[-2000:]}"]
    templates = sorted(directory.glob("*.yaml"))
    problems = [f"checkov can't read {file}" for file in results["parsing_errors"]]
    problems += [_checkov_line(found) for found in results["failed_checks"]]
    skipped = {_checkov_line(found) for found in results["skipped_checks"]}
    for template in templates:
        resource = ""
        for line in template.read_text().splitlines():
            if match := re.match(r"  (\w+):$", line):
                resource = match[1]
            elif match := re.match(r" +- id: (CKV\w+)$", line):
                mark = f"checkov: /{template.name}: {resource}: {match[1]}"
                if not [found for found in skipped if found.startswith(f"{mark} ")]:
                    problems.append(f"{mark} is skipped, and wouldn't be found: take it out")
    passed, excused = len(results["passed_checks"]), len(results["skipped_checks"])
    print(f"checkov: {len(templates)} templates, {passed} checks passed, {excused} skipped with their reasons")
    return problems


def _checkov_line(found: dict[str, Any]) -> str:
    resource = found["resource"].rpartition(".")[2]
    return f"checkov: {found['file_path']}: {resource}: {found['check_id']} {found['check_name']}"


def parliament(directory: Path) -> list[str]:
    """What parliament finds in the templates' policies and in those of docs/, and each excuse that nothing needs."""
    from parliament import analyze_policy_string, enhance_finding

    problems = []
    used = set()
    files = [*sorted(directory.glob("*.json")), *sorted(DOCS.glob("iam-policy*.json"))]
    for file in files:
        for found in analyze_policy_string(file.read_text(), str(file)).findings:
            enhance_finding(found)
            detail = f"{found.detail} {found.location}"
            excuse = next((key for key in EXCUSED if key[0] == found.issue and key[1] in detail), None)
            if excuse and file.parent == DOCS:
                used.add(excuse)
            else:
                problems.append(f"parliament: {file.name}: {found.severity}: {found.title}: {detail}")
    problems += [
        f"parliament: {' '.join(excuse)} is excused, and isn't found: take it out"
        for excuse in EXCUSED
        if excuse not in used
    ]
    print(f"parliament: {len(files)} policies, {len(used)} findings excused with their reasons")
    return problems


if __name__ == "__main__":
    sys.exit(main())
