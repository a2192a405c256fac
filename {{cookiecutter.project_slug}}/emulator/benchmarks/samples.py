"""nox -s bench_samples -- [PART OF A NAME ...]

Runs the calls of Google's public samples against an emulator, by the SDK as it is, and prints what
became of each. The samples are those of `googleapis/python-aiplatform`, in
`samples/model-builder`, and of `GoogleCloudPlatform/vertex-ai-samples`, in `notebooks/official`,
that need no other service than custom training, prediction, tuning, experiments and the model
registry. The code is our own: it makes a sample's calls with data and models that are small.
"""

import sys
import tempfile
import time
import traceback
from pathlib import Path
from unittest.mock import patch

from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

from benchmarks.sample_calls import NOT_RUN, SAMPLES
from benchmarks.sample_world import BUCKET, DiffersError, Sample, World
from vertex_emulator.testing.clients import PROJECT, REGION
from vertex_emulator.testing.running import start


def run_all(world: World, wanted: list[str]) -> list[tuple[str, str]]:
    """Returns what became of each sample, or of those whose names have a part of `wanted`."""
    results: list[tuple[str, str]] = []
    done: dict[Sample, str] = {}
    for name, call in SAMPLES:
        if not _is_wanted(name, wanted):
            continue
        if call not in done:
            begin = time.monotonic()
            # Each sample is a program of its own, which has named no TensorBoard before.
            aiplatform.metadata.metadata._experiment_tracker.__init__()
            try:
                call(world)
                done[call] = "runs"
            except DiffersError as error:
                done[call] = f"differs: {error}"
            except Exception as error:
                traceback.print_exc()
                done[call] = f"FAILS: {type(error).__name__}: {error}".partition("\n")[0][:200]
            print(f"{name}: {done[call]} ({time.monotonic() - begin:.1f} s)", file=sys.stderr)
        results.append((name, done[call]))
    results += [(name, reason) for name, reason in NOT_RUN.items() if _is_wanted(name, wanted)]
    return results


def _is_wanted(name: str, wanted: list[str]) -> bool:
    return not wanted or any(part in name for part in wanted)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        emulator = start(Path(folder) / "data")
        try:
            with (
                patch.dict("os.environ", STORAGE_EMULATOR_HOST=emulator.url),
                patch.object(aiplatform.jobs, "_JOB_WAIT_TIME", 0.2),
                patch.object(aiplatform.training_jobs, "_JOB_WAIT_TIME", 0.2),
            ):
                aiplatform.init(
                    project=PROJECT,
                    location=REGION,
                    staging_bucket=f"gs://{BUCKET}",
                    api_endpoint=emulator.url,
                    api_transport="rest",
                    credentials=AnonymousCredentials(),
                )
                results = run_all(World(Path(folder)), sys.argv[1:])
        finally:
            emulator.stop()
    print("| Sample | Here |\n|---|---|")
    for name, result in results:
        print(f"| `{name}` | {result} |")
    run = sum(result == "runs" for _name, result in results)
    print(f"\n{run} of {len(results)} run as they are.")
    if any(result.startswith("FAILS") for _name, result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
