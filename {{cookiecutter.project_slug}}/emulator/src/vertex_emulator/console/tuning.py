"""Hyperparameter tunings: the list, and one with its trials, best first."""

from collections.abc import Iterator, Mapping
from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vertex_emulator.console import commands, logs
from vertex_emulator.console.buckets import folder_path
from vertex_emulator.console.charts import Chart
from vertex_emulator.console.console import Console
from vertex_emulator.console.jobs import replicas
from vertex_emulator.console.listing import listed
from vertex_emulator.console.rendering import json_response, path_of, render
from vertex_emulator.state.documents import Document
from vertex_emulator.tuning.measurements import sign_of, value_of
from vertex_emulator.tuning.parameters import CONDITIONS, Spec, kind_of, tidy
from vertex_emulator.tuning.study_spec import LOGARITHMIC
from vertex_emulator.vertex.states import ENDED
from vertex_emulator.vertex.tuning_jobs import OUTPUT_ONLY

ALGORITHMS = {"GRID_SEARCH": "grid search", "RANDOM_SEARCH": "random search"}
MAX_SCATTERED = 12  # parameters that are drawn


def show_list(console: Console, request: Request) -> Response:
    """The newest tunings that match a filter."""
    location = request.path_params["location"]
    call = partial(console.tuning_jobs.list_page, location)
    found = listed(request, "hyperparameterTuningJobs", call)
    rows = [{"job": job, "ended": len(_ended(job)), "best": _best(job)} for job in found.items]
    return render(console, request, "tunings.html", status=found.status, found=found, rows=rows)


def show(console: Console, request: Request) -> Response:
    """One tuning: its trials, what they came to, how it was called, what it said."""
    job = console.tuning_jobs.get(_name(request))
    spec = job["trialJobSpec"]
    folder = spec.get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
    given = {key: value for key, value in job.items() if key not in OUTPUT_ONLY}
    location = request.path_params["location"]
    return render(
        console,
        request,
        "tuning.html",
        job=job,
        is_over=job["state"] in ENDED,
        metrics=[each["metricId"] for each in job["studySpec"]["metrics"]],
        names=_names(job),
        rows=_rows(job),
        best=_best(job),
        ended=len(_ended(job)),
        failed=any("infeasibleReason" in each for each in job.get("trials", [])),
        searched=[_described(each) for each in _parameters(job["studySpec"]["parameters"])],
        algorithm=ALGORITHMS.get(job["studySpec"].get("algorithm", ""), "Bayesian search"),
        folder=folder,
        folder_page=folder_path(job["name"], folder) if folder else "",
        request_json=orjson.dumps(given, option=orjson.OPT_INDENT_2).decode(),
        gcloud=commands.create_tuning(job["name"], given),
        curl=commands.curl(f"{console.url}/v1/{location}/hyperparameterTuningJobs", given),
        cancel_command=commands.cancel_tuning(job["name"]),
        charts=list(_charts(job)),
        replicas=replicas({"jobSpec": spec}),
        log=logs.first(console, job, request.query_params),
    )


def charts(console: Console, request: Request) -> Response:
    """The best so far over time, and each parameter against the metric."""
    job = console.tuning_jobs.get(_name(request))
    return json_response([chart.document() for chart in _charts(job)])


def cancel(console: Console, name: str, _form: Mapping[str, str]) -> str:
    """Asks for the end of a tuning."""
    console.tuning_jobs.cancel(name)
    return path_of(name)


def _name(request: Request) -> str:
    path = request.path_params
    return f"{path['location']}/hyperparameterTuningJobs/{path['id']}"


def _newest(trial: Document) -> Document:
    """Returns what a trial came to, or has come to so far; nothing before its first report."""
    measured: list[Document] = trial.get("measurements", [])
    found: Document = trial.get("finalMeasurement") or (measured[-1] if measured else {})
    return found


def _result(job: Document, trial: Document) -> float | None:
    """Returns a trial's first metric, by which trials are compared."""
    return value_of(_newest(trial), job["studySpec"]["metrics"][0]["metricId"])


def _ended(job: Document) -> list[Document]:
    return [each for each in job.get("trials", []) if "endTime" in each]


def _rows(job: Document) -> list[Document]:
    """Returns trials best first, those without a result behind."""
    metrics = job["studySpec"]["metrics"]
    sign = sign_of(metrics[0])

    def rank(trial: Document) -> tuple[bool, float]:
        value = _result(job, trial)
        return value is None, -sign * (value or 0.0)

    return [
        {
            "trial": trial,
            "values": [value_of(_newest(trial), each["metricId"]) for each in metrics],
            "given": {each["parameterId"]: each["value"] for each in trial["parameters"]},
        }
        for trial in sorted(job.get("trials", []), key=rank)
    ]


def _best(job: Document) -> Document | None:
    """Returns the best trial that has ended, with its value; None where there is none yet."""
    sign = sign_of(job["studySpec"]["metrics"][0])
    found = [
        (sign * value, trial)
        for trial in _ended(job)
        if trial["state"] == "SUCCEEDED" and (value := _result(job, trial)) is not None
    ]
    if not found:
        return None
    value, trial = max(found, key=lambda each: each[0])
    return {"trial": trial, "value": sign * value}


def _names(job: Document) -> list[str]:
    """Returns the names of the parameters, in the order of the study."""
    found = [each["parameterId"] for each in _parameters(job["studySpec"]["parameters"])]
    return list(dict.fromkeys(found))


def _parameters(specs: list[Spec]) -> Iterator[Spec]:
    """Yields parameters, each followed by those that it brings with it."""
    for spec in specs:
        yield spec
        below = [each["parameterSpec"] for each in spec.get("conditionalParameterSpecs", [])]
        yield from _parameters(below)


def _described(spec: Spec) -> tuple[str, str]:
    """Returns a parameter's name and what it may be."""
    kind = kind_of(spec)
    if "values" in spec[kind]:
        text = ", ".join(str(tidy(each)) for each in spec[kind]["values"])
    else:
        text = f"{spec[kind].get('minValue', 0)} to {spec[kind].get('maxValue', 0)}"
    scale = spec.get("scaleType", "").removeprefix("UNIT_").removesuffix("_SCALE")
    words = scale.lower().replace("_", " ")
    return spec["parameterId"], text + (
        f", {words}" if words not in ("", "type unspecified") else ""
    )


def _charts(job: Document) -> Iterator[Chart]:
    metric = job["studySpec"]["metrics"][0]
    name, sign = metric["metricId"], sign_of(metric)
    results = [
        (trial, value)
        for trial in job.get("trials", [])
        if trial["state"] == "SUCCEEDED" and (value := _result(job, trial)) is not None
    ]
    if len(results) < 2:
        return
    results.sort(key=lambda each: each[0]["endTime"])
    best, so_far = [], results[0][1]
    for number, (_trial, value) in enumerate(results, 1):
        so_far = sign * max(sign * so_far, sign * value)
        best.append((float(number), so_far))
    yield Chart(f"Best {name} so far", lines={name: best}, across="results")
    specs: dict[str, list[Spec]] = {}
    for spec in _parameters(job["studySpec"]["parameters"]):
        specs.setdefault(spec["parameterId"], []).append(spec)
    for parameter, found in list(specs.items())[:MAX_SCATTERED]:
        yield from _scatter(parameter, found, name, results)


def _scatter(
    parameter: str, specs: list[Spec], metric: str, results: list[tuple[Document, float]]
) -> Iterator[Chart]:
    given = [
        (each["value"], value)
        for trial, value in results
        for each in trial["parameters"]
        if each["parameterId"] == parameter
    ]
    if not given:
        return
    words = list(dict.fromkeys(str(value) for value, _result in given))
    is_number = all(not isinstance(value, str) for value, _result in given)
    if not is_number:
        categories = [
            word
            for spec in specs
            if CONDITIONS.get(kind_of(spec)) == "parentCategoricalValues"
            for word in spec["categoricalValueSpec"]["values"]
        ]
        words = list(dict.fromkeys([*categories, *words]))
    points = [(value if is_number else words.index(str(value)), y) for value, y in given]
    yield Chart(
        f"{metric} by {parameter}",
        lines={metric: points},
        across=parameter,
        scattered=True,
        log=is_number and all(spec.get("scaleType") in LOGARITHMIC[:1] for spec in specs),
        words=[] if is_number else words,
    )
