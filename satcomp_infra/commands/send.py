"""send_message: submit a problem to the cluster as a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import cli, job_queue, storage
from ..aws import together
from ..command_line import Example
from ..errors import Exit, UsageError
from ..finding import find
from ..fleet import Cluster
from ..jobs import DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS, Job, S3Uri, Verdict, result_key
from ..units import count
from .instances import MAX_NODES, check_workers
from .job_options import ParserWithArgs, add_model_check, add_solver

if TYPE_CHECKING:
    import argparse

    from ..aws import Aws
    from ..command_line import Parser
    from ..fleet import Fleet
    from ..jobs import Result
    from ..progress import Console
    from ..stack import Infrastructure


def parser() -> Parser:
    """The command's arguments."""
    parser = ParserWithArgs(
        "send_message",
        "Send a problem to the cluster as a job, and wait for its result if you like.",
        usage=["--location S3_LOCATION --workers NUM_WORKERS [options]"],
        notes="The job waits on the queue until a leader takes it. Its result will be the object "
        "results/JOB_ID/result.json in the project's bucket.",
        examples=[
            Example(
                "send a problem, and wait for the result",
                "./send_message --location s3://BUCKET/test.cnf --workers 1 --await-response",
            ),
            Example(
                "give the solver 1000 seconds, and arguments of its own",
                "./send_message --location s3://BUCKET/hard.cnf.xz --workers 3 \\\n"
                "    --timeout 1000 --await-response --args -p --seed=7",
            ),
            Example(
                "arguments for the solver that look like options of this command",
                "./send_message --location s3://BUCKET/test.cnf --workers 0 \\\n    --args -p -- --timeout 5",
            ),
        ],
        exit_codes={
            0: "the job was sent; with --await-response, its result is SAT, UNSAT, UNKNOWN or TIMEOUT",
            1: "it could not be sent; with --await-response, its result is ERROR, or none can come any more",
            130: "ended by Ctrl-C; a job that was sent goes on",
        },
    )
    problem = parser.add_argument_group("the problem")
    problem.add_argument(
        "--location",
        required=True,
        type=cli.argument(S3Uri.parse),
        metavar="S3_LOCATION",
        help="its address, s3://BUCKET/KEY; .gz, .bz2, .xz and .zst are decompressed for the solver",
    )
    problem.add_argument(
        "--format",
        default="",
        metavar="FORMAT",
        help="its language, as DIMACS or SMTLIB2 (default: by the file's suffix)",
    )
    solver = parser.add_argument_group("the solver")
    solver.add_argument(
        "--workers",
        required=True,
        type=cli.whole_number(0, MAX_NODES),
        metavar="NUM_WORKERS",
        help="how many workers the job gets beside its leader; it waits until so many run; parallel track: 0",
    )
    solver.add_argument(
        "--timeout",
        type=cli.whole_number(1, MAX_TIMEOUT_SECONDS),
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"wall-clock time that the solver gets, in seconds, {MAX_TIMEOUT_SECONDS} at most (default: %(default)s)",
    )
    add_solver(solver, "--name")
    result = parser.add_argument_group("the result")
    result.add_argument("--await-response", action="store_true", help="wait for the job's result, and print it")
    result.add_argument(
        "--show-model", action="store_true", help="with --await-response: print the model, too, as the solver did"
    )
    add_model_check(result)
    cli.add_aws_options(parser)
    cli.add_output_options(parser)
    return parser


def run(args: argparse.Namespace, console: Console) -> Exit:
    """Check the problem, send the job, and wait for its result if that is wanted."""
    if args.show_model and not args.await_response:
        raise UsageError("--show-model goes with --await-response, which waits for the model.")
    aws = cli.connect(args)
    infrastructure = find(aws, args.project)
    check_workers(infrastructure, args.workers)
    _, fleet = together(
        lambda: storage.check_exists(aws, args.location), lambda: Cluster.of(aws, infrastructure).look()
    )
    checked = args.check_models == "on"
    job = Job(args.location, args.workers, args.timeout, args.name, tuple(args.args), args.format, checked)
    console.when_interrupted = "The job may have been sent, or not. How many wait on the queue:\n./show_status"
    sent = job_queue.send(aws, infrastructure, job)
    job_id = sent.id
    place = S3Uri(infrastructure.bucket, result_key(job_id))
    console.when_interrupted = f"The job goes on in AWS. Its result will be:\n{place}"
    console.result(f"Job {job_id}")
    _warn(args, infrastructure, fleet, console)
    if not args.await_response:
        console.say(f"Its result will be:\n{place}")
        return Exit.OK
    with console.waiting("Waiting for the result") as wait:
        result = job_queue.await_result(aws, infrastructure, sent, wait)
    code = _show(result, console)
    if args.show_model and result.verdict is Verdict.SAT:
        _show_model(aws, result, console)
    return code


def _show_model(aws: Aws, result: Result, console: Console) -> None:
    """Print the `v` lines of the solver's output, a line at a time: models can be large."""
    from ..node.files import GAP

    found = False
    stdout = result.file("stdout")
    for line in storage.lines(aws, stdout) if stdout else ():
        if line[:1] == b"v" and line[1:2] in (b"", b" ", b"\t"):
            console.verbatim(line.decode(errors="replace").rstrip())
            found = True
        elif found and GAP.fullmatch(line):
            console.say("Note: some of the solver's output was too large to be kept: the model is not complete.")
    if not found:
        console.say("The solver's output, as far as it is stored, holds no model.")


def _warn(args: argparse.Namespace, infrastructure: Infrastructure, fleet: Fleet, console: Console) -> None:
    """Say what will keep the job from being solved, as far as it can be seen now."""
    if args.location.bucket != infrastructure.bucket:
        console.say(
            "Note: unless you have given the nodes the permission, they can read the project's own bucket alone. Copy "
            f"the problem there:\naws s3 cp {args.location} s3://{infrastructure.bucket}/"
        )
    workers = f" --workers {args.workers}" if infrastructure.track.has_workers else ""
    start = f"./update_instances --option setup{workers}"
    if not fleet.leaders.running:
        console.say(f"Note: no leader is running, and the job waits until one is. Start it:\n{start}")
    elif fleet.workers.running < args.workers:
        console.say(
            f"Note: the job needs {count(args.workers, 'worker')}, and waits until more than the "
            f"{fleet.workers.running} of now are running. Start them:\n{start}"
        )


def _show(result: Result, console: Console) -> Exit:
    if result.verdict is Verdict.TIMEOUT:
        time = f"after {result.timeout_seconds} s"
    else:
        time = f"in {result.wall_seconds:.2f} s"
    console.result(f"{result.verdict} {time}")
    if result.reason:
        console.result(result.reason)
    if result.verdict is Verdict.SAT and result.model:
        console.result(_about_the_model(result.model))
    if result.files:
        console.result(f"To get its files:\naws s3 cp --recursive {result.files} .")
    return Exit.FAILURE if result.verdict is Verdict.ERROR else Exit.OK


def _about_the_model(model: str) -> str:
    known, _, more = model.partition(": ")
    sentences = {
        "right": "Its model satisfies the formula",
        "missing": "It has printed no model, which the competition's parallel and cloud tracks require",
        "not checked": "Its model was not checked",
    }
    return f"{sentences.get(known, known)}{': ' if more else ''}{more}."
