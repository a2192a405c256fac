"""setup, doctor, cost and teardown against a stand-in that knows Google's contract."""

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from fake_google_cloud import Cloud, CloudClient, serving

from cloud import config, lookup
from cloud.commands import cost, doctor, setup, teardown
from cloud.errors import UserError
from cloud.monitoring import request_log
from cloud.resources import federation, provision, running

VALUES = {
    "CLOUD_TARGET": "cloud",
    "CLOUD_PROJECT": "p-roject",
    "CLOUD_REGION": "us-central1",
    "CLOUD_BUCKET": "the-bucket",
    "CLOUD_MODEL": "flight_delays",
    "CLOUD_DATA_SET": "flights",
}
ACCOUNT = "flight-delays-trainer@p-roject.iam.gserviceaccount.com"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    assert made.problems == []


@pytest.fixture
def client(cloud: Cloud) -> Iterator[CloudClient]:
    with serving(cloud) as url:
        made = CloudClient(config.load(environment=VALUES), url)
        yield made
        made.session.close()


def options(command: Any, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def sku(description: str, nanos: int, region: str = "us-central1") -> dict[str, Any]:
    price = {"currencyCode": "USD", "units": "0", "nanos": nanos}
    rates = [{"startUsageAmount": 0, "unitPrice": price}]
    return {
        "description": description,
        "serviceRegions": [region],
        "pricingInfo": [{"pricingExpression": {"usageUnit": "h", "tieredRates": rates}}],
    }


def test_setup_makes_everything_once(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.run(client, options(setup, "--dry-run")) == 0
    assert all(method == "GET" or "getIamPolicy" in path for method, path in cloud.asked)
    assert capsys.readouterr().out.count("missing") == len(provision.required(client))

    assert setup.run(client, options(setup)) == 0
    printed = capsys.readouterr().out
    for command in (
        "gcloud services enable aiplatform.googleapis.com",
        "gcloud storage buckets create gs://the-bucket",
        "gcloud artifacts repositories create docker-hub",
        "gcloud iam service-accounts create flight-delays-trainer",
        "gcloud projects add-iam-policy-binding p-roject",
    ):
        assert command in printed
    assert cloud.apis == set(provision.APIS)
    bucket = cloud.things["storage/v1/b/the-bucket"]
    assert bucket["labels"] == {"model": "flight-delays"}
    assert bucket["iamConfiguration"] == {"uniformBucketLevelAccess": {"enabled": True}}
    roles = {
        binding["role"]: binding["members"]
        for binding in cloud.policies["v1/projects/p-roject"]["bindings"]
    }
    member = [f"serviceAccount:{ACCOUNT}"]
    assert roles == {"roles/aiplatform.user": member, "roles/logging.logWriter": member}

    cloud.asked.clear()
    assert setup.run(client, options(setup)) == 0  # idempotent: it only looks
    assert all(method == "GET" or "getIamPolicy" in path for method, path in cloud.asked)


def test_setup_lets_a_repository_deliver_without_a_key(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.run(client, options(setup, "--github", "my-team/flights")) == 0
    printed = capsys.readouterr().out
    pool = "projects/123456789/locations/global/workloadIdentityPools/flight-delays-github"
    account = "flight-delays-delivery@p-roject.iam.gserviceaccount.com"
    commands = [
        shlex.split(line.removeprefix("  $ ")) for line in printed.splitlines() if "  $ " in line
    ]
    kinds = {"workload-identity-pools", account, "gh"}
    create, provider, bind, first, second = (each for each in commands if kinds & {*each})
    assert create[4] == "flight-delays-github"
    assert "--attribute-condition=assertion.repository == 'my-team/flights'" in provider
    assert bind[:5] == ["gcloud", "iam", "service-accounts", "add-iam-policy-binding", account]
    set_for = ["gh", "variable", "set"], ["--repo", "my-team/flights", "--body"]
    provided = f"{pool}/providers/github"
    assert first == [*set_for[0], "WORKLOAD_IDENTITY_PROVIDER", *set_for[1], provided]
    assert second == [*set_for[0], "DELIVERY_ACCOUNT", *set_for[1], account]
    member = f"principalSet://iam.googleapis.com/{pool}/attribute.repository/my-team/flights"
    policy = cloud.policies[f"v1/projects/p-roject/serviceAccounts/{account}"]
    assert policy["bindings"] == [{"role": "roles/iam.workloadIdentityUser", "members": [member]}]
    assert set(federation.APIS) <= cloud.apis

    cloud.asked.clear()
    assert setup.run(client, options(setup, "--github", "my-team/flights")) == 0
    assert all(method == "GET" or "getIamPolicy" in path for method, path in cloud.asked)
    with pytest.raises(UserError, match=r"'my-team/flights'.*remove it first"):
        setup.run(client, options(setup, "--github", "another/flights"))

    assert teardown.run(client, options(teardown, "--yes")) == 0
    assert cloud.policies["v1/projects/p-roject"]["bindings"] == []
    # What was removed is there for 30 days, and comes back for the same repository.
    assert setup.run(client, options(setup, "--github", "my-team/flights")) == 0
    assert {each.get("state") for path, each in cloud.things.items() if "Pools" in path} == {
        "ACTIVE"
    }


@pytest.mark.parametrize("repository", ["flights", "a/b/c", "-a/b", "a b/c", "https://a/b"])
def test_setup_refuses_what_is_no_repository(client: CloudClient, repository: str) -> None:
    with pytest.raises(UserError, match="--github: expected the repository as OWNER/REPO"):
        setup.run(client, options(setup, f"--github={repository}"))


def test_doctor_says_what_fixes_each_failure(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.cpus = 2
    cloud.permissions = {"storage.objects.get"}
    cloud.images = {"v2/p-roject/docker-hub/tensorflow/serving/manifests/2.19.1"}
    assert doctor.run(client, options(doctor)) == 1
    printed = capsys.readouterr().out
    for told in (
        "✗ APIs: not enabled: aiplatform.googleapis.com",
        "fix: gcloud services enable aiplatform.googleapis.com",
        "✗ permissions: missing: aiplatform.customJobs.create",
        "✗ bucket: there is no gs://the-bucket",
        "✗ permissions on the bucket: missing: storage.objects.create, storage.objects.list",
        "✗ training image: us-central1-docker.pkg.dev/p-roject/docker-hub/tensorflow/tensorflow",
        "✓ serving image: us-central1-docker.pkg.dev/p-roject/docker-hub/tensorflow/serving",
        "✓ machine: n1-standard-4, 4 CPUs and 15 GiB",
        "✗ quota: n1-standard-4 has 4 CPUs, and training may use 2 in us-central1",
        "✓ Vertex AI: answers in us-central1",
    ):
        assert told in printed
    assert printed.count("fix: nox -s setup") == 2


def test_after_setup_the_doctor_finds_nothing(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.run(client, options(setup))
    assert doctor.run(client, options(doctor)) == 0
    assert "✗" not in capsys.readouterr().out
    cloud.things["storage/v1/b/the-bucket"]["location"] = "EUROPE-WEST1"
    assert doctor.run(client, options(doctor)) == 1
    assert "gs://the-bucket is in europe-west1" in capsys.readouterr().out


def test_teardown_removes_only_what_is_labelled(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.run(client, options(setup))
    project = cloud.policies["v1/projects/p-roject"]
    project["bindings"].append({"role": "roles/owner", "members": ["user:me@example.com"]})
    repository = "v1/projects/p-roject/locations/us-central1/repositories/docker-hub"
    cloud.things[repository]["labels"] = {"model": "another"}

    before = dict(cloud.things)
    assert teardown.run(client, options(teardown, "--dry-run")) == 0
    with pytest.raises(UserError, match="there is no terminal; add --yes"):
        teardown.run(client, options(teardown))
    assert cloud.things == before

    assert teardown.run(client, options(teardown, "--yes")) == 0
    assert list(cloud.things) == [repository]
    bindings = cloud.policies["v1/projects/p-roject"]["bindings"]
    assert bindings == [{"role": "roles/owner", "members": ["user:me@example.com"]}]
    capsys.readouterr()
    assert teardown.run(client, options(teardown, "--yes")) == 0
    assert "Nothing carries the label model=flight-delays" in capsys.readouterr().out


def test_teardown_leaves_what_another_model_shares(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which a second table has, that its owner adopted."""
    setup.run(client, options(setup))
    titanic = {
        "name": "projects/123456789/locations/us-central1/models/titanic",
        "displayName": "titanic",
        "labels": {"model": "titanic"},
        "artifactUri": "gs://the-bucket/jobs/titanic-20261127-090000/model",
    }
    elsewhere = titanic | {"labels": {"model": "iris"}, "artifactUri": "gs://other/model"}
    cloud.running = {"models": [titanic, elsewhere]}
    before = dict(cloud.things)
    capsys.readouterr()
    assert teardown.run(client, options(teardown, "--yes")) == 0
    assert cloud.things == before
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "stay, as other models use them: titanic. To remove theirs: CLOUD_MODEL=titanic" in printed
    )
    assert "Nothing else carries the label" in printed

    cloud.running = {"models": [elsewhere]}
    assert teardown.run(client, options(teardown, "--yes")) == 0
    assert cloud.things == {}


def test_the_price_comes_from_the_catalog(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    core, memory = "Training N1 Predefined Instance Core", "Training N1 Predefined Instance Ram"
    cloud.skus = [
        sku(core, 40_000_000),
        sku(core, 90_000_000, "europe-west1"),
        sku(f"Spot {core}", 10_000_000),
        sku("Training N2 Instance Core", 50_000_000),
        sku(memory, 5_000_000),
        sku("Online prediction N1 Predefined Instance Core", 70_000_000),
    ]
    assert cost.run(client, options(cost, "--minutes", "90", "--replicas", "2")) == 0
    printed = capsys.readouterr().out
    assert "Estimate: 2 x n1-standard-4 for 1 h 30 min (as given): 3 machine-hours." in printed
    # 4 x 0.04 + 15 x 0.005 = 0.235 an hour
    assert "At 0.2350 USD an hour of n1-standard-4: about 0.70 USD." in printed

    cloud.skus = [sku(core, 40_000_000)]
    assert cost.run(client, options(cost, "--minutes", "90")) == 0
    printed = capsys.readouterr().out
    assert "1.5 machine-hours" in printed
    assert "No price: expected one price in the catalog for a GiB of memory" in printed


def test_teardown_removes_logged_requests_and_names_what_it_leaves(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "bigquery/v2/projects/p-roject/datasets/logging_flight_delays_flight_delays"
    endpoint = {
        "name": "projects/123456789/locations/us-central1/endpoints/flight-delays",
        "displayName": "flight_delays",
    }
    cloud.things = {path: {"kind": "bigquery#dataset"}}
    cloud.running = {"endpoints": [endpoint]}
    assert teardown.run(client, options(teardown, "--yes")) == 0
    printed = capsys.readouterr().out
    assert "bq rm -r -f -d p-roject:logging_flight_delays_flight_delays" in printed
    assert list(cloud.things) == [path]

    cloud.things.clear()
    found = lookup.endpoint(client)
    for _ in range(2):
        request_log.switch(client, found, 0.1)
    assert cloud.things[path]["labels"] == {"model": "flight-delays"}
    assert teardown.run(client, options(teardown, "--yes")) == 0
    printed = capsys.readouterr().out
    assert (
        "data set logging_flight_delays_flight_delays of BigQuery, with logged requests" in printed
    )
    assert "bq rm" not in printed
    assert cloud.things == {}


# As the catalog names them.
TRAINING, PREDICTION = "Vertex AI: Training/Pipelines", "Vertex AI: Online/Batch Prediction"
SKUS = [
    (f"{TRAINING} on N1 Predefined Instance Core running in Americas", 31_611_000),
    (f"{TRAINING} on N1 Predefined Instance Ram running in Americas", 4_237_000),
    (f"{TRAINING} Management fee on N1 Instance Core in Americas", 4_742_000),
    (f"{TRAINING} Management fee on N1 Instance RAM in Americas", 635_000),
    (f"{PREDICTION} N1 Predefined Instance Core running in Americas", 30_000_000),
    (f"{PREDICTION} N1 Predefined Instance Ram running in Americas", 4_000_000),
    (f"{PREDICTION} N1 Custom Instance Core running in Americas", 90_000_000),
]


def test_a_training_machine_costs_its_own_price_and_the_management_fee(
    cloud: Cloud, client: CloudClient, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.skus = [sku(*each) for each in SKUS]
    assert cost.run(client, options(cost, "--minutes", "60")) == 0
    printed = capsys.readouterr().out
    # 4 x (0.031611 + 0.004742) + 15 x (0.004237 + 0.000635) = 0.218492
    assert "At 0.2185 USD an hour of n1-standard-4: about 0.22 USD." in printed
    assert "Management fee" in printed


def test_what_runs_and_costs_money_is_said(
    cloud: Cloud,
    client: CloudClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup.run(client, options(setup))
    assert doctor.run(client, options(doctor)) == 0
    assert "✓ costs: nothing of the project runs" in capsys.readouterr().out

    location = "projects/123456789/locations/us-central1"
    labels, spec = {"model": "flight-delays"}, {"machineType": "n1-standard-4"}
    replicas = {"machineSpec": spec, "minReplicaCount": 0, "maxReplicaCount": 3}
    pools = [{"machineSpec": spec, "replicaCount": "1"}, {"machineSpec": spec, "replicaCount": "2"}]
    job = {"displayName": "night", "labels": labels, "state": "JOB_STATE_RUNNING"}
    cloud.running = {
        "endpoints": [
            {
                "name": f"{location}/endpoints/5",
                "displayName": "flight_delays",
                "deployedModels": [
                    {"id": "7", "modelVersionId": "2", "dedicatedResources": replicas}
                ],
                "predictRequestResponseLoggingConfig": {"enabled": True, "samplingRate": 0.1},
            }
        ],
        "customJobs": [
            job | {"name": f"{location}/customJobs/1", "jobSpec": {"workerPoolSpecs": pools}},
            job | {"name": f"{location}/customJobs/2", "labels": {}},
        ],
        "hyperparameterTuningJobs": [
            job
            | {
                "name": f"{location}/hyperparameterTuningJobs/3",
                "parallelTrialCount": 2,
                "trialJobSpec": {"workerPoolSpecs": pools},
            }
        ],
        "batchPredictionJobs": [
            job
            | {
                "name": f"{location}/batchPredictionJobs/4",
                "dedicatedResources": {
                    "machineSpec": {"machineType": "n9-unknown-4"},
                    "startingReplicaCount": 1,
                    "maxReplicaCount": 1,
                },
            }
        ],
    }
    cloud.skus = [sku(*each) for each in SKUS]
    assert doctor.run(client, options(doctor)) == 0
    printed = capsys.readouterr().out
    for told in (
        # 4 x 0.03 + 15 x 0.004
        "✓ costs: flight_delays version 2, deployed, 0 to 3 x n1-standard-4, about 0.18 USD an hour"
        " each (list price), until 'nox -s teardown', or another version takes its place",
        "job night, 3 x n1-standard-4, about 0.22 USD an hour each (list price), until it ends, or"
        " 'nox -s cancel -- night'",
        "tuning night, 6 x n1-standard-4, about 0.22 USD",
        "batch prediction night, 1 x n9-unknown-4, until it ends",
        "10% of the requests, logged to bq://p-roject.logging_flight_delays_5.request_response",
    ):
        assert told in printed
    assert printed.count(" x n") == 4

    running.say_deployed(client)
    printed = capsys.readouterr().out
    assert "Costs money on Google Cloud: flight_delays version 2, deployed, 0 to 3 x" in printed
    assert "Costs money on Google Cloud: 10% of the requests, logged to bq://p-roject" in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--replicas", "0"), "--replicas: expected at least 1, got 0"),
        (("--minutes", "-1"), "--minutes: expected more than 0, got -1"),
        ((), "No job has succeeded yet, so there is no duration to go by"),
    ],
)
def test_a_bad_estimate_is_refused(
    client: CloudClient, words: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        cost.run(client, options(cost, *words))
