"""What the server has done so far, in Prometheus' text format."""

import re
from collections import Counter

ROUTE = "/monitoring/prometheus/metrics"
_ROWS, _CALLS = "model_server_batch_rows_total", "model_server_batch_requests_count"
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one server, written by its event loop alone."""

    def __init__(self) -> None:
        self._answers: Counter[int] = Counter()
        self._batches: Counter[int] = Counter()  # by number of requests
        self._rows = 0

    def count_answer(self, status: int) -> None:
        """Counts an answer to a prediction by its HTTP status."""
        self._answers[status] += 1

    def count_batch(self, requests: int, rows: int) -> None:
        """Counts a call of the model."""
        self._batches[requests] += 1
        self._rows += rows

    def text(self, waiting: int) -> bytes:
        """Returns the counters; https://prometheus.io/docs/instrumenting/exposition_formats/.

        Args:
            waiting: requests that wait for the model now.
        """
        lines = ["# TYPE model_server_requests_total counter"]
        for status, count in sorted(self._answers.items()):
            lines.append(f'model_server_requests_total{{code="{status}"}} {count}')
        lines += [
            "# TYPE model_server_waiting_requests gauge",
            f"model_server_waiting_requests {waiting}",
            f"# TYPE {_ROWS} counter",
            f"{_ROWS} {self._rows}",
            "# TYPE model_server_batch_requests histogram",
        ]
        for bound in _BATCH_SIZES:
            count = sum(n for size, n in self._batches.items() if size <= bound)
            lines.append(f'model_server_batch_requests_bucket{{le="{bound}"}} {count}')
        total = self._batches.total()
        lines += [
            f'model_server_batch_requests_bucket{{le="+Inf"}} {total}',
            f"model_server_batch_requests_sum {sum(n * k for n, k in self._batches.items())}",
            f"{_CALLS} {total}",
        ]
        return ("\n".join(lines) + "\n").encode()


def rows_and_calls(text: str) -> tuple[int, int]:
    """Returns how many rows a server's model has had in how many calls, from `Metrics.text`."""
    found = dict(re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE))
    return int(found.get(_ROWS, 0)), int(found.get(_CALLS, 0))
