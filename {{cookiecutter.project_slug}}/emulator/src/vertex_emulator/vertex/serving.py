"""The servers of deployed models: one process each, kept to the serving contract of a container.

Source: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements.
"""

import shutil
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vertex_emulator.errors import ApiError, failed_precondition
from vertex_emulator.logs.last_words import last_words
from vertex_emulator.model_server.metrics import ROUTE as METRICS_ROUTE
from vertex_emulator.model_server.metrics import rows_and_calls
from vertex_emulator.processes.forker import Forker
from vertex_emulator.processes.run import Run
from vertex_emulator.state.documents import Document
from vertex_emulator.vertex import container
from vertex_emulator.vertex.environment import TEMPORARY, free_ports, inherited

POLL_SECONDS = 0.05
GRACE_SECONDS = 60.0  # a request may take that long
END_SECONDS = 5.0  # of a server that an earlier emulator left behind


@dataclass(eq=False)
class ModelServer:
    """A process that serves a deployed model.

    Attributes:
        run: the process.
        port: on loopback.
        health_route: path that answers 200 once the model is loaded.
        predict_route: path that takes predictions.
        ready: set once it answers, or has failed.
        failure: why it does not serve, where it does not.
    """

    run: Run
    port: int
    health_route: str
    predict_route: str
    ready: threading.Event = field(default_factory=threading.Event)
    failure: ApiError | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        try:
            return self.run.exit_code() is not None
        except ProcessLookupError:
            return True

    def wait(self) -> None:
        """Waits until it answers.

        Raises:
            ApiError: 400 FAILED_PRECONDITION where it ended instead, with its last words.
        """
        self.ready.wait()
        if self.failure is not None:
            raise self.failure

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Lets it finish what it has accepted, and end."""
        self.run.stop(grace_seconds)

    def remove(self) -> None:
        """Waits for its end, and deletes what it left on disk."""
        self.run.wait(GRACE_SECONDS)
        shutil.rmtree(self.run.folder, ignore_errors=True)

    def is_healthy(self) -> bool:
        """Whether the health route answers 200."""
        return self.health() == 200

    def health(self) -> int:
        """Returns the status that the health route answers; 0 where nothing does."""
        try:
            with urllib.request.urlopen(self.url + self.health_route, timeout=10) as answer:  # noqa: S310, an address of ours
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def rows_and_calls(self) -> tuple[int, int] | None:
        """Returns how many rows its model has had in how many calls; None where it does not say."""
        try:
            with urllib.request.urlopen(self.url + METRICS_ROUTE, timeout=1) as answer:  # noqa: S310, an address of ours
                return rows_and_calls(answer.read().decode())
        except OSError:
            return None


class ModelServers:
    """Starts model servers.

    Args:
        folder: each server has a folder of its own in here.
        url: the emulator's address, where the servers find the models' files.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._forker = Forker("vertex_emulator.model_server.__main__", folder / "forker.log")
        self._url = url

    def recover(self) -> None:
        """Deletes what the last emulator's servers left: they have ended with it.

        One that had no time to write down its end is looked for among all processes, so this goes
        on beside the start of new ones.
        """
        left = list(self._folder.glob("*"))
        threading.Thread(target=_remove, args=(left,), daemon=True).start()

    def launch(
        self,
        endpoint: str,
        deployed: Document,
        version: Document,
        package: str = "vertex_emulator.model_server",
        flags: Sequence[str] = (),
    ) -> ModelServer:
        """Starts a server of a deployed model, and returns it at once.

        Args:
            endpoint: the resource's name.
            deployed: the DeployedModel.
            version: the Model.
            package: that stands for the container.
            flags: of the package, beside the container's own.

        Raises:
            ApiError: 400 FAILED_PRECONDITION or 400 UNIMPLEMENTED, as `container.of`.
            OSError: the process cannot start.
        """
        spec = container.of(version)
        port = free_ports(1)[0]
        env = inherited() | container.variables(version)
        env |= {
            "AIP_HTTP_PORT": str(port),
            "AIP_ENDPOINT_ID": endpoint.rpartition("/")[2],
            "AIP_DEPLOYED_MODEL_ID": deployed["id"],
            "AIP_PROJECT_NUMBER": endpoint.split("/")[1],
            "STORAGE_EMULATOR_HOST": self._url,
        }
        if spec.framework:  # TensorFlow Serving has routes of its own
            env |= {
                "AIP_HEALTH_ROUTE": spec.health_route,
                "AIP_PREDICT_ROUTE": spec.predict_route,
            }
        arguments = container.expand(spec.arguments, env)
        run = Run(self._folder / f"{deployed['id']}-{uuid.uuid4().hex[:8]}")
        # The copy of the model goes with the server's folder, also after SIGKILL.
        scratch = run.folder / "scratch"
        scratch.mkdir(parents=True)
        env |= dict.fromkeys(TEMPORARY, str(scratch))
        root = Path(__file__).parents[2]
        run.start(
            [sys.executable, "-m", package, *arguments, *flags],
            env,
            root,
            ends_with_emulator=True,
            # A variable of the container's may be one that is read at an import: that is done then.
            # Other frameworks' servers start in less time without what the forker has imported.
            forker=None
            if version["containerSpec"].get("env") or spec.framework not in ("", "tensorflow")
            else self._forker,
        )
        server = ModelServer(run, port, spec.health_route, spec.predict_route)
        threading.Thread(target=_watch, args=(server,), daemon=True).start()
        return server

    def close(self) -> None:
        """Ends the forker, and with it the servers that it has forked."""
        self._forker.close()


def _watch(server: ModelServer) -> None:
    """Sets `ready` once the health route answers 200, or it or the process never will."""
    while not server.ready.wait(POLL_SECONDS):
        health = 0 if server.has_ended() else server.health()
        if health == 404:
            server.failure = failed_precondition(
                f"containerSpec.healthRoute: the model server has no {server.health_route}; name a"
                " version that is there, or none."
            )
        elif server.has_ended():
            server.failure = failed_precondition(
                "The model server exited before it was ready. Its last words:"
                f" {last_words(server.run, 3)}"
            )
        elif health != 200:
            continue
        server.ready.set()


def _remove(left: list[Path]) -> None:
    for each in left:
        if not each.is_dir():
            each.unlink(missing_ok=True)
            continue
        run = Run(each)
        run.stop(0)
        run.wait(END_SECONDS)
        shutil.rmtree(each, ignore_errors=True)
