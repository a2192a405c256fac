"""deploy: serves a job's SavedModel as the next version of the model, and moves traffic to it."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import say
from cloud.errors import UserError
from cloud.monitoring import request_log
from cloud.resources import running
from cloud.serving import deployments, rollout
from cloud.training import trials


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job",
        nargs="?",
        help="name or number; of a tuning the best trial counts, or another one as NAME/3; default:"
        " the newest that succeeded",
    )
    parser.add_argument(
        "--traffic",
        type=int,
        default=100,
        metavar="PERCENT",
        help="share of the requests it gets, 1 to 100; below 100, the default version stays the"
        " default until 'promote'; default: 100",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="deploy it even if it is not known to be better than the default version on the same"
        " test rows, or is worse than a prediction without a model",
    )
    deployments.add_arguments(parser)
    request_log.add_arguments(parser)


def run(client: Client, options: argparse.Namespace) -> int:
    """Uploads, deploys, and says how to predict."""
    say(f"Target: {client.target}")
    if not 1 <= options.traffic <= 100:
        raise UserError(f"--traffic: expected 1 to 100 percent, got {options.traffic}.")
    request_log.check(options.log_requests)
    machines = deployments.machines(client, options)
    job = trials.trained(client, options.job)
    version = rollout.deploy(client, job, machines, options.traffic, force=options.force)
    request_log.switch(client, lookup.serving_endpoint(client), options.log_requests)
    commands = [("nox -s predict", "predict for one row")]
    if version.version_id != lookup.model(client).version_id:
        commands = [
            (f"nox -s promote -- {version.version_id}", "make it the default, with all traffic"),
            ("nox -s predict -- --all-versions", "compare the versions"),
        ]
    say(f"See it at {client.console_url(lookup.serving_endpoint(client).name)}")
    running.say_deployed(client)
    rollout.next_steps(client, *commands)
    return 0
