"""tune: searches the best values of the trainer's flags, in many trainings; flags after `--` stay.

The last words are what is best, beside the defaults.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from rich.console import Group
from rich.live import Live

from cloud import lookup
from cloud.client import Client
from cloud.console import err, out, say, text
from cloud.resources import running
from cloud.training import experiments, job_flags, job_logs, job_request, outcome, trials, tuning
from cloud.training.tuning import TuningSettings

PARALLEL = 2  # trials at a time, where nobody says


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", type=int, default=20, help="trainings; default: 20")
    parser.add_argument(
        "--parallel",
        type=int,
        help=f"trainings at a time; default: {PARALLEL}, where there are so many",
    )
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="a flag of the trainer and its values: learning-rate=1e-4..1e-2:log,"
        " 'hidden-units=64,32|128,64', members=1..4; NAME alone takes the trainer's own range."
        " May be given more than once; default: all flags that the trainer has a range for",
    )
    parser.add_argument("--metric", help="by which trials are judged; default: the trainer's own")
    parser.add_argument(
        "--goal", choices=("maximize", "minimize"), help="of the metric; default: by its name"
    )
    parser.add_argument(
        "--algorithm",
        choices=tuning.ALGORITHMS,
        default="bayesian",
        help="bayesian learns from the trials so far, random does not, grid tries every combination"
        " of choices",
    )
    parser.add_argument(
        "--stopping",
        choices=tuning.STOPPING,
        default="median",
        help="median, the default, ends a trial that is worse than the median of the others at the"
        " same epoch; none lets every trial end by itself",
    )
    parser.add_argument(
        "--max-failed",
        type=int,
        default=0,
        metavar="N",
        help="failed trials that end the tuning; default: as Vertex AI decides",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the request, and the gcloud and curl commands that send it; send nothing",
    )
    job_flags.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Submits, follows, and says what was best; exits 1 where the tuning does not succeed."""
    say(f"Target: {client.target}")
    settings = TuningSettings(
        trials=options.trials,
        parallel=min(PARALLEL, options.trials) if options.parallel is None else options.parallel,
        max_failed=options.max_failed,
        algorithm=options.algorithm,
        stopping=options.stopping,
        metric=options.metric,
        goal=options.goal,
        search=options.search,
    )
    job = job_flags.settings_of(options)
    if options.dry_run:
        job_request.show(client, tuning.preview(client, settings, job))
        return 0
    found, beside = tuning.submit(client, settings, job)
    say(f"Submitted {found.display_name} ({found.name})", "bold")
    say(f"See it at {client.console_url(found.name)}")
    say(f"Beside the trials, {beside.display_name} trains with the defaults.")
    running.say_what_costs(client, *running.training(found), *running.training(beside))
    try:
        found = follow(client, found, beside)
    except KeyboardInterrupt:
        name = found.display_name
        say(
            f"\nThe tuning continues; 'nox -s jobs -- {name}' shows it, 'nox -s cancel -- {name}'"
            " cancels it."
        )
        return 130
    experiments.close(client, [lookup.again(client, beside)])
    say(f"{found.display_name}: {lookup.state(found)}", "bold")
    if lookup.why(found):
        err.print(text(lookup.why(found), "red"))
    outcome.show(client, found)
    return 0 if lookup.has_succeeded(found) else 1


def follow(client: Client, found: Any, beside: Any) -> Any:
    """Shows the trials until the tuning and the job with the defaults have ended.

    On a terminal it is one table, the best trial first; elsewhere a line for each trial that ends.

    Returns:
        The `HyperparameterTuningJob` at its end.
    """
    ended, told = found, set[str]()
    live = Live("", console=out, auto_refresh=False) if out.is_terminal else None
    with live or nullcontext():
        for now, beside_now in looks(client, found, beside):
            ended = now
            if live is not None:
                live.update(board(client, now, beside_now), refresh=True)
                continue
            for trial in now.trials:
                if trials.has_ended(trial) and trial.id not in told:
                    told.add(trial.id)
                    say(trials.line(now, trial))
    return ended


def looks(client: Client, found: Any, beside: Any) -> Iterator[tuple[Any, Any]]:
    """Yields both as they are now, again and again until they have ended.

    The job with the defaults is waited for only where there is something to compare with it.
    """
    while True:
        found, beside = lookup.again(client, found), lookup.again(client, beside)
        yield found, beside
        is_over = lookup.has_ended(beside) or not lookup.has_succeeded(found)
        if lookup.has_ended(found) and is_over:
            return
        time.sleep(client.poll_seconds)


def board(client: Client, found: Any, beside: Any) -> Group:
    """Draws the trials, and how far all of it is."""
    progress = f"{lookup.state(beside)} {job_logs.progress(client, beside)}".strip()
    line = f"{trials.summary(found)}, {lookup.state(found)}; the defaults: {progress}"
    return Group(trials.board(found), text(line, "dim"))
