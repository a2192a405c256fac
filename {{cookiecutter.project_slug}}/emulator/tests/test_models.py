"""Models, versions and aliases, through Google's own client."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from times_model import IMAGE

from vertex_emulator.testing.clients import Clients


@pytest.fixture(scope="module")
def artifact(clients: Clients) -> str:
    bucket = clients.storage.create_bucket("models-bucket", location="us-central1")
    bucket.blob("job/model/1/saved_model.pb").upload_from_string(b"")
    return "gs://models-bucket/job/model"


def upload(clients: Clients, artifact: str, parent: str = "", **fields: Any) -> Any:
    model = {
        "display_name": "flights",
        "artifact_uri": artifact,
        "container_spec": {"image_uri": IMAGE},
        **fields,
    }
    request = {"parent": clients.location, "parent_model": parent, "model": model}
    return clients.models.upload_model(request=request).result(timeout=60)


@pytest.fixture
def model(clients: Clients, artifact: str) -> Iterator[str]:
    """A model with three versions, of which the first is the default."""
    name: str = upload(clients, artifact).model
    for _ in range(2):
        upload(clients, artifact, name)
    yield name
    clients.models.delete_model(name=name).result(timeout=60)


def aliases(clients: Clients, model: str) -> dict[str, list[str]]:
    versions = clients.models.list_model_versions(name=model)
    return {each.version_id: sorted(each.version_aliases) for each in versions}


def test_the_first_version_is_the_default(clients: Clients, model: str) -> None:
    assert aliases(clients, model) == {"3": [], "2": [], "1": ["default"]}
    assert clients.models.get_model(name=model).version_id == "1"
    assert clients.models.get_model(name=f"{model}@2").version_id == "2"
    found = clients.models.list_models(
        request={"parent": clients.location, "filter": 'display_name="flights"'}
    )
    assert [each.name for each in found] == [model]


def test_an_alias_moves(clients: Clients, model: str) -> None:
    def merge(version: str, *names: str) -> Any:
        return clients.models.merge_version_aliases(
            name=f"{model}@{version}", version_aliases=list(names)
        )

    assert sorted(merge("2", "default", "staging").version_aliases) == ["default", "staging"]
    merge("3", "staging")
    assert aliases(clients, model) == {"3": ["staging"], "2": ["default"], "1": []}
    assert clients.models.get_model(name=f"{model}@staging").version_id == "3"
    merge("3", "-staging")
    with pytest.raises(exceptions.NotFound):
        clients.models.get_model(name=f"{model}@staging")
    with pytest.raises(exceptions.BadRequest, match="'default' cannot be removed"):
        merge("2", "-default")
    with pytest.raises(exceptions.BadRequest, match="versionAliases: expected letters"):
        merge("2", "Not_An_Alias")


def test_default_passes_on_when_its_version_is_deleted(clients: Clients, model: str) -> None:
    clients.models.delete_model_version(name=f"{model}@1").result(timeout=60)
    assert aliases(clients, model) == {"3": ["default"], "2": []}
    clients.models.delete_model_version(name=f"{model}@2").result(timeout=60)
    with pytest.raises(exceptions.BadRequest, match="the only version"):
        clients.models.delete_model_version(name=f"{model}@3")


def test_the_number_of_a_deleted_version_is_not_given_again(
    clients: Clients, artifact: str, model: str
) -> None:
    clients.models.delete_model_version(name=f"{model}@3").result(timeout=60)
    assert upload(clients, artifact, model).model_version_id == "4"


def patch(clients: Clients, name: str, *paths: str, **fields: Any) -> Any:
    return clients.models.update_model(
        model={"name": name, **fields}, update_mask={"paths": list(paths)}
    )


def test_a_patch_changes_what_the_mask_names(clients: Clients, model: str) -> None:
    changed = patch(clients, model, "display_name", display_name="renamed", description="ignored")
    assert (changed.display_name, changed.description) == ("renamed", "")
    versions = clients.models.list_model_versions(name=model)
    assert {each.display_name for each in versions} == {"renamed"}
    with pytest.raises(exceptions.BadRequest, match="expected 1 to 128 characters"):
        patch(clients, model, "display_name")


def test_a_patch_is_of_the_model_or_of_a_version(clients: Clients, model: str) -> None:
    """The six points of `UpdateModelRequest.model`."""
    second, rest = f"{model}@2", ("version_description", "labels")
    changed = patch(clients, second, *rest, version_description="the second", labels={"a": "1"})
    assert (changed.version_id, changed.version_description) == ("2", "the second")
    shared = patch(
        clients, f"{model}@-", "description", "labels", description="all", labels={"b": "2"}
    )
    assert (shared.version_id, shared.description, dict(shared.labels)) == ("1", "all", {"b": "2"})
    found = clients.models.get_model(name=second)
    assert (found.description, dict(found.labels)) == ("all", {"a": "1", "b": "2"})
    assert clients.models.get_model(name=f"{model}@3").version_description == ""
    for name, field in (
        (model, "version_description"), (second, "display_name"), (second, "description"),
    ):  # fmt: skip
        with pytest.raises(exceptions.BadRequest, match="request of its own"):
            patch(clients, name, field, **{field: "x"})
    with pytest.raises(exceptions.BadRequest, match="of its own"):
        patch(clients, model, "display_name", "version_description", display_name="x")
    with pytest.raises(exceptions.BadRequest, match="updateMask: expected some of"):
        patch(clients, model, "artifact_uri", artifact_uri="gs://b/m")
    with pytest.raises(exceptions.NotFound):
        patch(clients, f"{model}@9", "labels", labels={"a": "1"})


def test_a_further_version_has_what_is_of_the_model(
    clients: Clients, artifact: str, model: str
) -> None:
    patch(clients, model, "description", "labels", description="kept", labels={"team": "ml"})
    upload(clients, artifact, model, display_name="newer", labels={"job": "a"})
    newest, first = (clients.models.get_model(name=f"{model}@{number}") for number in (4, 1))
    assert dict(newest.labels) == {"team": "ml", "job": "a"}
    assert [(each.display_name, each.description) for each in (newest, first)] == [
        ("newer", "kept")
    ] * 2


def test_a_wrong_export_path_is_refused(clients: Clients, artifact: str) -> None:
    with pytest.raises(exceptions.BadRequest, match="no objects under gs://models-bucket/typo"):
        upload(clients, "gs://models-bucket/typo")
    with pytest.raises(exceptions.BadRequest, match="expected gs://BUCKET/FOLDER"):
        upload(clients, "models-bucket/job")
    with pytest.raises(exceptions.NotFound):
        upload(clients, artifact, f"{clients.location}/models/123")
