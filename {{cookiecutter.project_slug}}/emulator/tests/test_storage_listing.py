"""Listings: prefixes, delimiters, offsets, globs and pages."""

from typing import Any

import pytest
import requests
from google.api_core.exceptions import NotFound
from storage_server import client_of

NAMES = sorted(
    [
        "a",
        "a//b",
        "a/b",
        "a/b/c",
        "b",
        "b/",
        "b/c",
        "b-",
        "ü/ö",
        "ü",
        "\ud7ff",
        "\ud7ff/x",
        "\ue000",
        "\U0010ffff/x",
        "🎉",
        "zz.txt",
    ]
)


@pytest.fixture
def filled(bucket: Any) -> Any:
    for name in NAMES:
        bucket.blob(name).upload_from_string(b"")
    return bucket


def listed(bucket: Any, **query: Any) -> tuple[list[str], list[str]]:
    found = bucket.list_blobs(**query)
    names = [blob.name for blob in found]
    return names, sorted(found.prefixes)


def expected(
    names: list[str], prefix: str = "", delimiter: str = "", trailing: bool = False
) -> tuple[list[str], list[str]]:
    """What a listing holds, worked out name by name."""
    items, prefixes = [], set()
    for name in names:
        if not name.startswith(prefix):
            continue
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            items.append(name)
            continue
        folded = name[: cut + len(delimiter)]
        prefixes.add(folded)
        if trailing and name == folded:
            items.append(name)
    return items, sorted(prefixes)


@pytest.mark.parametrize("page_size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "//", "b"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "b/", "ü", "\ud7ff", "\U0010ffff", "absent"])
def test_prefix_delimiter_and_pages(
    filled_once: Any, prefix: str, delimiter: str, page_size: int
) -> None:
    found = listed(
        filled_once, prefix=prefix or None, delimiter=delimiter or None, page_size=page_size
    )
    assert found == expected(NAMES, prefix, delimiter)


@pytest.fixture(scope="module")
def filled_once(storage_app_and_url: Any) -> Any:
    """The same names, for tests that only read."""
    client = client_of(storage_app_and_url[1])
    bucket = client.create_bucket("listed")
    for name in NAMES:
        bucket.blob(name).upload_from_string(b"")
    yield bucket
    client.close()


@pytest.mark.parametrize("delimiter", ["/", "//"])
def test_a_trailing_delimiter(filled_once: Any, delimiter: str) -> None:
    found = listed(filled_once, delimiter=delimiter, include_trailing_delimiter=True)
    assert found == expected(NAMES, delimiter=delimiter, trailing=True)


@pytest.mark.parametrize(
    ("start", "end"), [("a/b", None), (None, "b/"), ("a/b", "b/"), ("b", "b"), ("ü", "\ud7ff/x")]
)
def test_offsets(filled_once: Any, start: str | None, end: str | None) -> None:
    chosen = [name for name in NAMES if (start or "") <= name < (end or "\U0010ffff\U0010ffff")]
    assert listed(filled_once, start_offset=start, end_offset=end) == (chosen, [])
    folded = listed(filled_once, start_offset=start, end_offset=end, delimiter="/")
    assert folded == expected(chosen, delimiter="/")


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*", ["a", "b", "b-", "zz.txt", "ü", "\ud7ff", "\ue000", "🎉"]),
        ("**", NAMES),
        ("a/*", ["a/b"]),
        ("a/**", ["a//b", "a/b", "a/b/c"]),
        ("a**b", ["a//b", "a/b"]),
        ("**/c", ["a/b/c", "b/c"]),
        ("a/**/c", ["a/b/c"]),
        ("?", ["a", "b", "ü", "\ud7ff", "\ue000", "🎉"]),
        ("[a-b]", ["a", "b"]),
        ("[!a]", ["b", "ü", "\ud7ff", "\ue000", "🎉"]),
        ("[b-]", ["b"]),
        ("{a,b}/b*", ["a/b"]),
        ("zz.{txt,csv}", ["zz.txt"]),
        ("zz?txt", ["zz.txt"]),
        ("zz\\?txt", []),
        ("b[--]", ["b-"]),
    ],
)
def test_globs(filled_once: Any, glob: str, names: list[str]) -> None:
    assert listed(filled_once, match_glob=glob, page_size=2) == (names, [])


def test_a_glob_also_chooses_prefixes(filled_once: Any) -> None:
    assert listed(filled_once, match_glob="{a,zz.*}{,/}", delimiter="/") == (
        ["a", "zz.txt"],
        ["a/"],
    )


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("pageToken", "no token"),
        ("pageToken", "/w=="),
        ("matchGlob", "{a,b"),
        ("matchGlob", "[z-a]"),
        ("maxResults", "many"),
        ("maxResults", "-1"),
        ("fields", "items(name"),
        ("fields", "items/"),
        ("fields", ")"),
        ("fields", "a(" * 900),
        ("fields", "a/" * 900 + "a"),
        ("matchGlob", "{a," * 900),
        ("matchGlob", "{a," * 60 + "b" + "}" * 60),
        ("matchGlob", "a" * 5000),
    ],
)
def test_a_malformed_parameter_is_refused(
    bucket: Any, storage_url: str, parameter: str, value: str
) -> None:
    url = f"{storage_url}/storage/v1/b/{bucket.name}/o"
    response = requests.get(url, params={parameter: value}, timeout=30)
    assert response.status_code == 400
    assert parameter in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ("prefixes,items/name", {"prefixes", "items"}),
        ("items(name,size),kind", {"items", "kind"}),
        ("nextPageToken", {"nextPageToken"}),
        ("*", {"kind", "items", "prefixes", "nextPageToken"}),
        ("*/name", {"kind", "items", "prefixes", "nextPageToken"}),
    ],
)
def test_partial_responses(filled_once: Any, storage_url: str, fields: str, keys: set[str]) -> None:
    url = f"{storage_url}/storage/v1/b/{filled_once.name}/o"
    query = {"fields": fields, "delimiter": "/", "maxResults": "4"}
    document = requests.get(url, params=query, timeout=30).json()
    assert document.keys() == keys
    if "items" in keys and fields != "*":
        allowed = {"name", "size"} if "size" in fields else {"name"}
        assert all(item.keys() == allowed for item in document["items"])


def test_a_listing_shows_changes_between_its_pages(filled: Any) -> None:
    pages = filled.list_blobs(page_size=3).pages
    first = [blob.name for blob in next(pages)]
    filled.delete_blob(NAMES[3])
    filled.blob(NAMES[4] + "+").upload_from_string(b"")
    rest = [blob.name for found in pages for blob in found]
    assert first + rest == sorted({*NAMES, NAMES[4] + "+"} - {NAMES[3]})


def test_a_missing_bucket(storage_client: Any) -> None:
    with pytest.raises(NotFound, match="no-such-bucket"):
        list(storage_client.list_blobs("no-such-bucket"))


def test_no_glob_takes_long(bucket: Any) -> None:
    bucket.blob("a" * 60).upload_from_string(b"")
    assert listed(bucket, match_glob="**a" * 10 + "b") == ([], [])
    assert listed(bucket, match_glob="*a" * 10 + "b") == ([], [])
    assert listed(bucket, match_glob="**a" * 10) == (["a" * 60], [])
