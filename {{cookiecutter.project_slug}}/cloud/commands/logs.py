"""logs: the latest log entries of a job; `--follow` continues until the job ends."""

import argparse

from cloud import lookup
from cloud.client import Client
from cloud.console import say
from cloud.training import job_logs

LATEST = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "job",
        nargs="?",
        help="name or number of a job, or of a tuning, or its trial as NAME/3; default: the newest",
    )
    parser.add_argument("--follow", action="store_true", help="continue until the job ends")
    parser.add_argument("--limit", type=int, default=LATEST, help="latest entries to begin with")
    parser.add_argument("--severity", default="DEFAULT", help="lowest severity, such as WARNING")


def run(client: Client, options: argparse.Namespace) -> int:
    """Prints entries; exits 1 where a followed job does not succeed."""
    job = lookup.job_or_trial(client, options.job)
    if options.follow:
        return job_logs.follow(client, job)
    condition = f"{job_logs.job_filter(job)} AND severity>={options.severity.upper()}"
    entries = job_logs.list_entries(client, condition, newest_first=True, limit=options.limit)
    for entry in reversed(entries):
        job_logs.print_entry(entry)
    say(f"{job.display_name}: {lookup.state(job)}")
    return 0
