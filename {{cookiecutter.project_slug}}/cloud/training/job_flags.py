"""The flags of the commands that send jobs: what runs, on which machines, under which name."""

import argparse
import dataclasses

from cloud.training.job_request import JobSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", help="begins the job's name and folder; default: the model's name"
    )
    parser.add_argument("--machine-type", help="such as n1-standard-4; default: of pyproject.toml")
    parser.add_argument("--accelerator", metavar="TYPE", help="such as NVIDIA_TESLA_T4")
    parser.add_argument(
        "--accelerator-count",
        type=int,
        metavar="N",
        help="accelerators of each machine; default: as few as the machine can have",
    )
    parser.add_argument("--replicas", type=int, default=1, help="workers that train together")
    parser.add_argument(
        "--spot",
        action="store_true",
        help="use Spot machines: cheaper, and taken away at any time; the job then continues from"
        " its newest checkpoint",
    )
    parser.add_argument(
        "--timeout", type=int, default=86_400, help="seconds the job may run; default: a day"
    )
    parser.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="may be given more than once",
    )
    parser.add_argument(
        "--service-account",
        metavar="EMAIL",
        help="the account that the job acts as; default: Vertex AI's own",
    )
    parser.add_argument("trainer", nargs="*", help="flags for the trainer, after a --")


def settings_of(options: argparse.Namespace) -> JobSettings:
    """Returns the job's settings as the flags give them."""
    names = [field.name for field in dataclasses.fields(JobSettings)]
    return JobSettings(**{name: value for name, value in vars(options).items() if name in names})
