"""What batch predictions read and write: every row once, in order, or why not."""

import base64
import gzip
import json
import struct

import google_crc32c
from batch_prediction import (
    counts,
    create,
    flights,
    job_of,
    jsonl,
    output,
    prices,
    put,
    run,
    wait,
)

from vertex_emulator.testing.clients import Clients


def test_rows_of_several_files_keep_their_order(
    clients: Clients, batch_models: dict[str, str]
) -> None:
    rows = flights(9000)
    put(clients, "order/b-2.jsonl", jsonl(rows[5000:]))
    put(clients, "order/b-1.jsonl", jsonl(rows[:5000]))
    put(clients, "order/b-1.txt", "not asked for")
    put(clients, "order/deep/b-3.jsonl", "not asked for")
    last = put(clients, "order/a.jsonl", jsonl(flights(1, 9000)))
    created = create(
        clients, job_of(batch_models["price"], ["gs://batch-bucket/order/b-*.jsonl", last])
    )
    assert created.state.name in ("JOB_STATE_QUEUED", "JOB_STATE_PENDING")
    job = wait(clients, created.name)
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert job.create_time <= job.start_time <= job.end_time
    assert job.model_version_id == "1"
    assert job.output_info.gcs_output_directory.startswith(
        "gs://batch-bucket/out/prediction-times-20"
    )
    rows += flights(1, 9000)
    lines = output(clients, job)
    assert [line["instance"] for line in lines] == rows
    assert [line["prediction"] for line in lines] == prices(rows)
    assert output(clients, job, "errors_stats") == []
    assert counts(job) == (9001, 0, 0)


def test_bad_rows_are_kept_aside_with_line_and_reason(
    clients: Clients, batch_models: dict[str, str]
) -> None:
    good = flights(600)
    lines = [json.dumps(row) for row in good]
    lines[100:100] = ['{"hours": 1.0, "carrier"', '{"hours": "late", "carrier": "UA"}', ""]
    lines[300:300] = ['{"hours": 2.0}', '{"hours": 3.0, "carrier": "UA"}, {}']
    source = put(clients, "bad/in.jsonl", "\n".join(lines))
    job = run(clients, job_of(batch_models["price"], [source]))
    assert job.state.name == "JOB_STATE_SUCCEEDED", job
    assert [line["instance"] for line in output(clients, job)] == good
    errors = output(clients, job, "errors_stats")
    expected = [
        ('{"hours": 1.0, "carrier"', "row 101:", "not valid JSON"),
        ({"hours": "late", "carrier": "UA"}, "row 102:", "hours"),
        ({"hours": 2.0}, "row 301:", "carrier"),
        ('{"hours": 3.0, "carrier": "UA"}, {}', "row 302:", "not valid JSON"),
    ]
    assert len(errors) == len(expected)
    for error, (instance, place, reason) in zip(errors, expected, strict=True):
        assert error["instance"] == instance
        assert error["error"]["code"] == 3
        assert f"{source}, {place}" in error["error"]["message"]
        assert reason in error["error"]["message"]
    assert counts(job) == (600, 4, 0)


def test_where_no_row_succeeds_the_job_fails(
    clients: Clients, batch_models: dict[str, str]
) -> None:
    source = put(clients, "none/in.jsonl", jsonl([{"hour": 1}] * 3))
    job = run(clients, job_of(batch_models["price"], [source]))
    assert job.state.name == "JOB_STATE_FAILED"
    assert f"No row could be predicted. The first: {source}, row 1:" in job.error.message
    assert len(output(clients, job, "errors_stats")) == 3
    assert counts(job) == (0, 3, 0)


def test_keys_and_fields(clients: Clients, batch_models: dict[str, str]) -> None:
    rows = [{"id": f"flight-{n}", "note": None, **row} for n, row in enumerate(flights(50))]
    source = put(clients, "keys/in.jsonl", jsonl([*rows, {"hours": 1.0, "carrier": "UA"}]))
    keyed = run(
        clients,
        job_of(
            batch_models["price"],
            [source],
            instance_config={"key_field": "id", "excluded_fields": ["note"]},
        ),
    )
    lines = output(clients, keyed)
    assert [set(line) for line in lines] == [{"key", "prediction"}] * 50
    assert [line["key"] for line in lines] == [row["id"] for row in rows]
    assert [line["prediction"] for line in lines] == prices(rows)
    [error] = output(clients, keyed, "errors_stats")
    assert "row 51: the key field 'id' is missing" in error["error"]["message"]

    included = {"included_fields": ["hours", "carrier"]}
    job = run(clients, job_of(batch_models["price"], [source], instance_config=included))
    lines = output(clients, job)
    assert [line["instance"] for line in lines[:50]] == rows
    assert counts(job) == (51, 0, 0)

    numbers = put(clients, "keys/numbers.jsonl", jsonl([{"c": 3, "a": 1, "b": 2, "d": 9}]))
    array = {"included_fields": ["a", "b", "c"], "instance_type": "array"}
    job = run(clients, job_of(batch_models["total"], [numbers], instance_config=array))
    [line] = output(clients, job)
    assert line == {"instance": {"c": 3, "a": 1, "b": 2, "d": 9}, "prediction": 6.0}


def test_csv_rows_are_arrays(clients: Clients, batch_models: dict[str, str]) -> None:
    source = put(
        clients,
        "csv/in.csv",
        '"a","b","c"\r\n1,2.5,3\r\n\r\n4,five,6\r\n7,8\r\n"9",1,1\r\n-1,1e3,0',
    )
    job = run(clients, job_of(batch_models["total"], [source], "csv"))
    assert output(clients, job) == [
        {"instance": [1, 2.5, 3], "prediction": 6.5},
        {"instance": [-1, 1000.0, 0], "prediction": 999.0},
    ]
    errors = output(clients, job, "errors_stats")
    messages = [error["error"]["message"] for error in errors]
    assert f"{source}, row 4: column 'b': expected a number" in messages[0]
    assert f"{source}, row 5: expected 3 cells as in the header, got 2" in messages[1]
    assert f"{source}, row 6: " in messages[2]
    assert counts(job) == (2, 3, 0)

    keyed = put(clients, "csv/keyed.csv", 'a,id,b,c\n1,"x, ""y""",2,3\n4,"z",5,6\n')
    job = run(
        clients, job_of(batch_models["total"], [keyed], "csv", instance_config={"key_field": "id"})
    )
    assert output(clients, job) == [
        {"key": 'x, "y"', "prediction": 6.0},
        {"key": "z", "prediction": 15.0},
    ]
    job = run(
        clients, job_of(batch_models["total"], [keyed], "csv", instance_config={"key_field": "i"})
    )
    assert job.state.name == "JOB_STATE_FAILED"
    assert f"{keyed}: the header has no column 'i'" in job.error.message


def tf_record(data: bytes) -> bytes:
    """As https://www.tensorflow.org/tutorials/load_data/tfrecord describes it."""

    def masked(part: bytes) -> bytes:
        crc = google_crc32c.value(part)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def test_tf_records_are_sent_as_bytes(clients: Clients, batch_models: dict[str, str]) -> None:
    texts = [b"a" * n + b"\xff\n" for n in range(30)]
    whole = b"".join(map(tf_record, texts))
    damaged = bytearray(tf_record(b"damaged"))
    damaged[14] ^= 1
    sources = {
        "tf-record": put(clients, "tf/in.tfrecord", whole + damaged + tf_record(b"end") + b"\x07"),
        "tf-record-gzip": put(clients, "tf/in.gz", gzip.compress(whole)),
    }
    for kind, source in sources.items():
        job = run(clients, job_of(batch_models["text"], [source], kind))
        lines = output(clients, job)
        found = [base64.b64decode(line["instance"]["b64"]) for line in lines]
        assert found == texts + ([b"end"] if kind == "tf-record" else [])
        assert [line["prediction"] for line in lines] == list(map(len, found))
        messages = [each["error"]["message"] for each in output(clients, job, "errors_stats")]
        if kind == "tf-record-gzip":
            assert messages == []
        else:
            assert f"{source}, row 31: the data of the record is damaged" in messages[0]
            assert f"{source}, row 33: the file ends within a record" in messages[1]


def test_file_lists_are_fetched(clients: Clients, batch_models: dict[str, str]) -> None:
    uris = [put(clients, f"files/{n}.bin", b"\x00" * n) for n in range(5)]
    listed = put(
        clients, "files/list.txt", "\n".join([*uris[:3], "gs://batch-bucket/no", *uris[3:]])
    )
    job = run(clients, job_of(batch_models["text"], [listed], "file-list"))
    assert output(clients, job) == [
        {"instance": uri, "prediction": number} for number, uri in enumerate(uris)
    ]
    [error] = output(clients, job, "errors_stats")
    assert f"{listed}, row 4: there is no object gs://batch-bucket/no" in error["error"]["message"]
