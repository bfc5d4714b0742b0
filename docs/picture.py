"""The picture of the architecture, architecture.svg: `make docs` writes it, and a test fails where it is stale."""

from __future__ import annotations

from docs.drawing import BADGE, Drawing, Text

WIDTH, HEIGHT = 900, 862
TITLE = "The commands on your laptop, what they create in AWS, and a job's way through it"
STEPS = (
    "The problem is put into the bucket.",
    "The job is put on the queue.",
    "A leader takes it, and hides it from the others.",
    "It fetches the problem, decompressed, ...",
    "... and waits until its workers are ready.",
    "Your solver runs, with workers that see its files.",
    "The run's files are stored, then result.json.",
    "The result is announced.",
    "Only now does the job leave the queue.",
    "The announcement is taken, the result is read.",
)
"""A job's way, by the numbers in the picture."""
_LAPTOP, _LAPTOP_WIDTH = 16, 232
_FRAME = 280
_BETWEEN = 264
_MIDDLE, _MIDDLE_WIDTH = 312, 178
_CLUSTER, _CLUSTER_RIGHT = 566, 868
_LEADER, _LEADER_WIDTH = 584, 108
_WORKERS, _WORKERS_WIDTH = 744, 92
_BOTTOM = 652
# The middles of the rows.
_CREATE, _IMAGES, _SIZE, _BUCKET, _JOBS, _RESULTS, _MANIFEST, _LOGS = 90, 158, 224, 296, 366, 436, 514, 610
_LANE = 11
"""Half of what lies between two arrows of the same row."""


def svg() -> str:
    """The picture's text."""
    return _draw().svg(TITLE, WIDTH, HEIGHT)


def texts() -> list[Text]:
    """All that is written in the picture."""
    return _draw().texts


def _draw() -> Drawing:
    drawing = Drawing()
    drawing.box("page", 0.5, 0.5, WIDTH - 1, HEIGHT - 1)
    _laptop(drawing)
    _aws(drawing)
    _cluster(drawing)
    _arrows(drawing)
    _local_cloud(drawing)
    _legend(drawing)
    return drawing


def _laptop(drawing: Drawing) -> None:
    drawing.box("laptop", _LAPTOP, 16, _LAPTOP_WIDTH, _BOTTOM - 16)
    drawing.text("Your laptop", "title", _LAPTOP + 14, 42, _LAPTOP_WIDTH - 28)
    left, width = _LAPTOP + 10, _LAPTOP_WIDTH - 20
    for top, bottom in (
        (_CREATE - 32, _CREATE + 32),
        (_IMAGES - 20, _IMAGES + 20),
        (_SIZE - 20, _SIZE + 20),
        (_BUCKET - 34, _RESULTS + 34),
        (_MANIFEST - 26, _LOGS + 26),
    ):
        drawing.box("box", left, top, width, bottom - top)
    for middle, lines in (
        (_CREATE, [("command", f"{verb}-solver-infrastructure") for verb in ("create", "update", "delete")]),
        (_IMAGES, [("command", "push-ecr")]),
        (_SIZE, [("command", "update_instances")]),
        (_BUCKET, [("command", "aws s3 cp"), ("note", "problems there, files back")]),
        (_JOBS, [("command", "send_message"), ("note", "one problem, its verdict")]),
        (_RESULTS, [("command", "run_benchmarks"), ("note", "a suite, its report")]),
        (
            (_MANIFEST + _LOGS) / 2,
            [
                ("command", "show_status"),
                ("note", "machines, nodes, jobs, costs,"),
                ("note", "logs, and what is wrong"),
            ],
        ),
    ):
        drawing.lines(lines, left + 10, middle, width - 16)


def _aws(drawing: Drawing) -> None:
    drawing.box("aws", _FRAME, 16, WIDTH - 16 - _FRAME, _BOTTOM - 16)
    drawing.text("AWS, one region of your account", "title", _FRAME + 16, 42, 570)
    drawing.text("One CloudFormation stack makes all of this frame, and removes it.", "note", _FRAME + 16, 64, 570)
    drawing.text("While no machine runs, it costs nothing per hour.", "note", _FRAME + 16, 82, 570)
    for name, note, middle in (
        ("Image repository", "ECR", _IMAGES),
        ("Size of the cluster", "EC2 Auto Scaling, ECS", _SIZE),
        ("Bucket", "S3: problems, results", _BUCKET),
        ("Job queue", "SQS", _JOBS),
        ("Result queue", "SQS", _RESULTS),
        ("Node manifest", "DynamoDB: who is ready", _MANIFEST),
        ("Logs", "CloudWatch", _LOGS),
    ):
        drawing.service(name, note, _MIDDLE, middle, _MIDDLE_WIDTH)


def _cluster(drawing: Drawing) -> None:
    width, top, bottom = _CLUSTER_RIGHT - _CLUSTER, _IMAGES - 42, _MANIFEST + 42
    drawing.box("cluster", _CLUSTER, top, width, bottom - top)
    middle = _CLUSTER + width / 2
    drawing.text("ECS cluster on EC2 machines", "name", middle, top + 34, width - 20, "middle")
    drawing.text("one node on each machine", "note", middle, top + 54, width - 20, "middle")
    drawing.text("cloud track: m6i.4xlarge, n workers", "note", middle, top + 86, width - 20, "middle")
    drawing.text("parallel track: m6i.16xlarge, no workers", "note", middle, top + 104, width - 20, "middle")
    leader_top, end = _BUCKET - 30, _MANIFEST + 28
    drawing.box("node", _LEADER, leader_top, _LEADER_WIDTH, end - leader_top)
    _named(drawing, "Leader", _LEADER + _LEADER_WIDTH / 2, _JOBS - 14, _LEADER_WIDTH - 12)
    for behind in (2, 1, 0):
        y = leader_top + 16 - 8 * behind
        drawing.box("node", _WORKERS + 8 * behind, y, _WORKERS_WIDTH, end - leader_top - 16)
    _named(drawing, "Workers", _WORKERS + _WORKERS_WIDTH / 2, _JOBS - 14, _WORKERS_WIDTH - 8)
    left = _LEADER + _LEADER_WIDTH / 2
    drawing.service("Shared file system", "EFS, on the cloud track", left, _LOGS, _CLUSTER_RIGHT - left)


def _named(drawing: Drawing, name: str, x: float, y: float, room: float) -> None:
    """A node's name and what runs in it."""
    for number, (text, kind) in enumerate(((name, "name"), ("node", "note"), ("runtime +", "note"))):
        drawing.text(text, kind, x, y + 18 * number, room, "middle")
    drawing.text("your solver", "note", x, y + 54, room, "middle")


def _arrows(drawing: Drawing) -> None:
    laptop, middle, beside, leader = _LAPTOP + _LAPTOP_WIDTH - 8, _MIDDLE - 2, _MIDDLE + _MIDDLE_WIDTH + 2, _LEADER - 2
    inside, right = (beside + leader) / 2, _LEADER + _LEADER_WIDTH + 2
    drawing.arrow("prepares", (laptop, _CREATE), (_FRAME - 2, _CREATE))
    for row in (_IMAGES, _SIZE):
        drawing.arrow("prepares", (laptop, row), (middle, row))
        drawing.arrow("prepares", (beside, row), (_CLUSTER - 2, row))
    for row in (_MANIFEST, _LOGS):
        drawing.arrow("prepares", (middle, row), (laptop, row))
    down = _LEADER + 22
    drawing.arrow("prepares", (down, _MANIFEST + 43), (down, _LOGS), (beside, _LOGS))
    drawing.step(1, laptop, middle, _BUCKET - _LANE, _BETWEEN)
    drawing.step(10, middle, laptop, _BUCKET + _LANE, _BETWEEN)
    drawing.step(2, laptop, middle, _JOBS, _BETWEEN)
    drawing.step(10, middle, laptop, _RESULTS, _BETWEEN)
    drawing.step(4, beside, leader, _BUCKET - _LANE, inside)
    drawing.step(7, leader, beside, _BUCKET + _LANE, inside)
    drawing.step(3, beside, leader, _JOBS - _LANE, inside)
    drawing.step(9, leader, beside, _JOBS + _LANE, inside)
    drawing.step(8, leader, beside, _RESULTS, inside)
    drawing.step(5, beside, leader, _MANIFEST, inside, both=True)
    drawing.step(6, right, _WORKERS - 2, _RESULTS + 24, (right + _WORKERS) / 2 - 1, both=True)
    for x in (_LEADER + 76, _WORKERS + _WORKERS_WIDTH / 2):
        drawing.arrow("job", (x, _MANIFEST + 30), (x, _LOGS - 27), both=True)


def _local_cloud(drawing: Drawing) -> None:
    top = _BOTTOM + 26
    drawing.arrow("replaces", (_FRAME + 150, top - 2), (_FRAME + 150, _BOTTOM + 3))
    drawing.text("takes its place", "note", _FRAME + 164, _BOTTOM + 18, 200)
    drawing.box("local", _LAPTOP, top, WIDTH - 32, 46, dashed=True)
    drawing.text("rehearse", "command", _LAPTOP + 20, top + 27, 190)
    drawing.text("The local cloud, on your own machine", "name", _FRAME + 16, top + 19, 580)
    drawing.text(
        "moto answers the calls, nodes are processes; AWS_ENDPOINT_URL leads there", "note", _FRAME + 16, top + 37, 580
    )


def _legend(drawing: Drawing) -> None:
    top, half = _BOTTOM + 98, len(STEPS) // 2
    for number, step in enumerate(STEPS):
        x = _LAPTOP + 12 + (number // half) * 436
        y = top + 22 * (number % half)
        drawing.badge(number + 1, x + BADGE, y)
        drawing.text(step, "note", x + 28, y + 4, 400)
