"""TensorFlow Serving's documents: what the model server takes, answers and refuses."""

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from model_server_process import ModelServer, save_model, start_model_server

FLIGHT = {"hours": 1.5, "seats": 2, "carrier": "UA"}
PREDICT = "/v1/models/default:predict"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    folder = tmp_path_factory.mktemp("model")
    save_model(folder / "7")
    server = start_model_server("--model-dir", str(folder), "--port", "0")
    yield server
    code, out, err = server.stop()
    assert (code, out, err) == (0, "", "")  # whatever was sent, without a word of a library's


def refusal(server: ModelServer, document: Any) -> str:
    response = server.predict(document)
    assert response.status_code == 400, response.text
    assert set(response.json()) == {"error"}
    return str(response.json()["error"])


def test_rows_give_a_value_each(server: ModelServer) -> None:
    response = server.predict({"instances": [FLIGHT, {**FLIGHT, "carrier": "DL", "hours": 2}]})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"predictions": [1.5, 4.0]}


def test_columns_give_a_column(server: ModelServer) -> None:
    response = server.predict(
        {"inputs": {"hours": [1.5, 2], "seats": [2, 2], "carrier": ["UA", "DL"]}}
    )
    assert response.json() == {"outputs": [1.5, 4.0]}


def test_several_outputs_give_an_object_a_row(server: ModelServer) -> None:
    row = {"number": 0.2, "echo": "0.2", "batch": 1}
    by_row = server.predict({"signature_name": "parse", "instances": ["0.2"]})
    assert by_row.json() == {"predictions": [row]}  # 0.2, not float32's 0.20000000298
    named = server.predict({"signature_name": "parse", "instances": [{"text": "0.2"}]})
    assert named.json() == by_row.json()
    by_column = server.predict({"signature_name": "parse", "inputs": ["0.2"]})
    assert by_column.json() == {"outputs": {name: [value] for name, value in row.items()}}


def test_bytes_come_and_go_as_base64(server: ModelServer) -> None:
    encoded = {"b64": base64.b64encode(b"\xff\x00").decode()}
    same = server.predict({"signature_name": "same", "instances": [encoded, {"b64": "MQ=="}]})
    assert same.json()["predictions"] == [
        {"text": encoded, "data_bytes": encoded},  # no text, so it stays bytes
        {"text": "1", "data_bytes": {"b64": "MQ=="}},
    ]
    # These bytes are no number, which the model tells in the words of its op.
    message = refusal(server, {"signature_name": "parse", "instances": [encoded]})
    assert "could not correctly convert string" in message


def test_nan_and_infinity_are_tokens_both_ways(server: ModelServer) -> None:
    rows = [{**FLIGHT, "hours": math.nan, "carrier": "null"}, {**FLIGHT, "hours": -math.inf}]
    body = json.dumps({"instances": [*rows, FLIGHT]})
    assert "NaN" in body
    assert "-Infinity" in body
    response = requests.post(server.url + PREDICT, data=body, timeout=60)
    assert response.text == '{"predictions":[NaN,-Infinity,1.5]}'
    parsed = server.predict({"signature_name": "parse", "instances": ["nan", "inf"]})
    number, infinite = json.loads(parsed.text)["predictions"]
    assert math.isnan(number["number"])
    assert infinite == {"number": math.inf, "echo": "inf", "batch": 2}


def test_an_input_with_a_default_is_wanted_all_the_same(server: ModelServer) -> None:
    """TensorFlow Serving fills in defaults for gRPC alone."""
    rows = [{"x": 1.0, "factor": 5.0}, {"x": 1.0}]
    message = refusal(server, {"signature_name": "scaled", "instances": rows})
    assert "element: 1 of 'instances' list. Missing named input: factor." in message
    message = refusal(server, {"signature_name": "scaled", "inputs": {"x": [1.0, 3.0]}})
    assert "Missing named input: factor." in message
    whole = server.predict({"signature_name": "scaled", "instances": rows[:1]})
    assert whole.json() == {"predictions": [5.0]}


def test_other_keys_of_inputs_are_passed_over(server: ModelServer) -> None:
    columns = {key: [value] for key, value in FLIGHT.items()}
    response = server.predict({"inputs": {**columns, "colour": ["red"], "hour": None}})
    assert response.json() == {"outputs": [1.5]}


def test_the_shape_is_the_requests(server: ModelServer) -> None:
    """Operations refuse a shape, not the declaration of the signature."""

    def ask(name: str, **members: Any) -> Any:
        return server.predict({"signature_name": name, **members}).json()

    # Declared [-1, 1].
    assert ask("doubled", instances=[1.0, 2.0, 5.0]) == {"predictions": [2.0, 4.0, 10.0]}
    assert ask("doubled", instances=[[1.0], [2.0]]) == {"predictions": [[2.0], [4.0]]}
    assert ask("doubled", instances=[[[1.0, 2.0]]]) == {"predictions": [[[2.0, 4.0]]]}
    assert ask("doubled", inputs=3) == {"outputs": 6.0}
    assert ask("doubled", inputs={"x": [3, 4]}) == {"outputs": [6.0, 8.0]}
    # Declared without a shape.
    assert ask("free", instances=[1.0, 2.0, 5.0]) == {"predictions": [2.0, 4.0, 10.0]}
    assert ask("free", instances=[{"x": [1]}, {"x": [2]}]) == {"predictions": [[2.0], [4.0]]}
    # Declared [-1, 2], which is what this operation wants.
    assert ask("matrix", instances=[[1, 2]]) == {"predictions": [[21.0]]}
    message = ask("matrix", instances=[1.0, 2.0])["error"]
    assert message.startswith("The model refuses these inputs: ")
    assert "x has shape [2], the signature takes float32 of shape [2] for each row" in message


def test_no_rows_are_an_input_too(server: ModelServer) -> None:
    empty: list[Any] = []
    asked = {"signature_name": "doubled", "inputs": empty}
    assert server.predict(asked).json() == {"outputs": []}
    columns = dict.fromkeys(FLIGHT, empty)
    assert server.predict({"inputs": columns}).json() == {"outputs": []}


def test_columns_may_have_different_lengths(server: ModelServer) -> None:
    asked = {"signature_name": "scaled", "inputs": {"x": [1.0, 2.0, 3.0], "factor": [10.0]}}
    assert server.predict(asked).json() == {"outputs": [10.0, 20.0, 30.0]}
    columns = {"hours": [1, 2, 3], "seats": [2], "carrier": "DL"}
    assert server.predict({"inputs": columns}).json() == {"outputs": [2.0, 4.0, 6.0]}
    unequal = {"signature_name": "scaled", "inputs": {"x": [1.0, 2.0, 3.0], "factor": [1.0, 2.0]}}
    assert "The model refuses these inputs" in refusal(server, unequal)


def test_numbers_that_a_float_does_not_hold_are_rounded(server: ModelServer) -> None:
    values = [1435774380, 20130101, 16777217, 1e39, -1e300]
    answer = server.predict({"signature_name": "doubled", "instances": values})
    rounded = [2871548672.0, 40260200.0, 33554432.0, math.inf, -math.inf]
    found = json.loads(answer.text)["predictions"]  # in as few digits as a float32 needs
    np.testing.assert_array_equal(np.array(found, np.float32), rounded)
    answer = server.predict({"signature_name": "free", "instances": [2**53 + 1, 2**64 - 1]})
    assert answer.json()["predictions"] == [2.0**54, 2.0**65]


@pytest.mark.parametrize("name", ["float16", "bfloat16", "uint16"])
def test_types_that_tensorflow_serving_does_not_read(server: ModelServer, name: str) -> None:
    for form in ("instances", "inputs"):
        message = refusal(server, {"signature_name": name, form: [1]})
        assert f"Conversion of JSON Value: 1 to type: {name} is not supported" in message


def test_outputs_that_tensorflow_serving_does_not_write(server: ModelServer) -> None:
    for form in ("instances", "inputs"):
        message = refusal(server, {"signature_name": "narrowed", form: [1.0]})
        assert "Failed to write JSON value for tensor type: float16 of output y" in message


def test_a_byte_order_mark_is_passed_over(server: ModelServer) -> None:
    for text in ('{"instances": [%s]}', '{"a": NaN, "instances": [%s]}'):
        body = (text % json.dumps(FLIGHT)).encode("utf-8-sig")
        response = requests.post(server.url + PREDICT, data=body, timeout=60)
        assert response.json() == {"predictions": [1.5]}


def test_vectors(server: ModelServer) -> None:
    def ask(instances: Any) -> dict[str, Any]:
        return {"signature_name": "norm", "instances": instances}

    assert server.predict(ask([[3, 4], [6.0, 8.0]])).json() == {"predictions": [5.0, 10.0]}
    assert server.predict(ask([{"vector": [3, 4]}])).json() == {"predictions": [5.0]}
    ragged = refusal(server, ask([[3, 4], [1]]))
    assert "element: 1 key: vector" in ragged
    assert "unexpected size: 1 at level: 1 expected size: 2" in ragged
    assert "3 Type: Number is not a list" in refusal(server, ask([[3, 4], 3]))
    assert '"4" Type: String' in refusal(server, ask([[1, 2], [3, "4"]]))
    assert "[4] Type: Array is not of expected type" in refusal(server, ask([[3, [4]]]))


def test_a_signature_without_rows_takes_what_its_operations_take(server: ModelServer) -> None:
    columns = {"values": [1.0, 2.0, 3.0], "offset": 0.5}
    response = server.predict({"signature_name": "total", "inputs": columns})
    assert response.json() == {"outputs": 6.5}
    rows = [{"values": 1.0, "offset": 0.5}, {"values": 2.0, "offset": 1.5}]
    response = server.predict({"signature_name": "total", "instances": rows})
    assert response.json() == {"predictions": [3.5, 4.5]}


def test_there_are_as_many_predictions_as_the_model_gives(server: ModelServer) -> None:
    def ask(name: str, form: str, values: list[float]) -> Any:
        return server.predict({"signature_name": name, form: values}).json()

    assert ask("crossed", "instances", [1.0, 2.0, 4.0]) == {"predictions": [1.0, 2.0]}
    assert ask("crossed", "inputs", [1.0, 2.0, 4.0]) == {"outputs": [1.0, 2.0]}
    assert ask("crossed", "instances", [1.0]) == {"predictions": []}
    best = [{"score": 4.0, "place": 2}, {"score": 2.0, "place": 1}]
    assert ask("top", "instances", [1.0, 2.0, 4.0]) == {"predictions": best}
    assert ask("top", "inputs", [1.0, 2.0]) == {"outputs": {"score": [2.0, 1.0], "place": [1, 0]}}


def test_outputs_that_disagree_on_their_rows_have_columns_alone(server: ModelServer) -> None:
    asked = {"signature_name": "uneven", "instances": [1.0, 2.0]}
    assert "Tensor name: last has no shape information" in refusal(server, asked)
    asked = {"signature_name": "uneven_rows", "instances": [1.0, 2.0]}
    message = refusal(server, asked)
    assert "Tensor name: rest has inconsistent batch size: 1 expecting: 2" in message
    asked = {"signature_name": "uneven", "inputs": [1.0, 2.0]}
    assert server.predict(asked).json() == {"outputs": {"all": [1.0, 2.0], "last": 2.0}}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("hours", "1.5", '"1.5" Type: String is not of expected type: float32'),
        ("hours", None, "null Type: Null is not of expected type: float32"),
        ("hours", True, "true Type: Boolean is not of expected type: float32"),
        ("hours", [1.5], "[1.5] Type: Array is not of expected type: float32"),
        ("hours", {}, "{} Type: Object is not of expected type: float32"),
        ("seats", 2.5, "2.5 Type: Number is not of expected type: int64"),
        ("seats", 2**63, "9223372036854775808 is out of the range of int64"),
        ("seats", 10**30, "is out of the range of int64"),
        ("carrier", 5, "5 Type: Number is not of expected type: string"),
        ("carrier", {"b64": "%"}, 'Unable to base64 decode JSON Value: "%"'),
        ("carrier", {"b64": "-_8="}, "send the alphabet with + and /"),
        ("carrier", {"b64": 5}, "not formatted correctly for base64 data"),
        ("carrier", {"b64": "QQ==", "b65": ""}, "not formatted correctly for base64 data"),
        ("carrier", {"b65": ""}, "not formatted correctly for base64 data"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    server: ModelServer, name: str, value: Any, reason: str
) -> None:
    message = refusal(server, {"instances": [FLIGHT, {**FLIGHT, name: value}]})
    assert f"element: 1 key: {name}" in message
    assert reason in message
    columns = {key: [entry, entry] for key, entry in FLIGHT.items()}
    columns[name] = [FLIGHT[name], value]
    message = refusal(server, {"inputs": columns})
    assert f"element: 1 key: {name} of 'inputs'" in message
    assert reason in message


def test_numbers_at_the_limits_arrive_whole(server: ModelServer) -> None:
    largest = 3.4028234663852886e38
    for hours, seats in [(largest, 1), (2**24 - 1, 1), (16777217, 1.0), (0.0, -(2.0**63))]:
        response = server.predict(
            {"instances": [{"hours": hours, "seats": seats, "carrier": "DL"}]}
        )
        assert response.status_code == 200, response.text
        (price,) = response.json()["predictions"]
        assert price == pytest.approx(hours * seats, rel=1e-6)


def test_misspelt_missing_and_extra_inputs_are_named(server: ModelServer) -> None:
    misspelt = {"hour": 1.5, "seats": 2, "carrier": "UA"}  # in inputs too, as hours is missing
    for document in ({"instances": [FLIGHT, misspelt]}, {"inputs": misspelt}):
        message = refusal(server, document)
        assert "Missing named input: hours." in message
        assert 'does not have named input: "hour"; did you mean hours?' in message
        assert "must be equal to: carrier, hours, seats" in message
    extra = refusal(server, {"instances": [{**FLIGHT, "colour": 1}]})
    assert "element: 0 of 'instances' list." in extra
    assert 'does not have named input: "colour".' in extra


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The document is empty"),
        (b'{"instances": [', "JSON Parse error"),
        (b'{"instances": ["\xff\xfe"]}', "JSON Parse error: Byte 16 is not UTF-8"),
        (b'{"a": NaN, "instances": ["\xff\xfe"]}', "JSON Parse error: Byte 26 is not UTF-8"),
        (b'{"a": NaN, "instances": ["\\ud800"]}', "has \\ud800 alone, which is half of a"),
        (b'{"instances": ' + b"[" * 100_000, "JSON Parse error: depth limit"),
        (b'{"a": NaN, "instances": ' + b"[" * 100_000, "JSON Parse error: Lists and objects are"),
        (b'{"instances": [' + b"[" * 500 + b"]" * 500 + b"]}", "is not an object"),
        (b"[]", "Is not object"),
        (b"3", "Is not object"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"instance": []}', "the request has instance"),
        (b'{"instances": [], "inputs": []}', "only one of 'inputs' or 'instances'"),
        (b'{"instances": []}', "No values in 'instances' array"),
        (b'{"instances": {}}', "Expecting 'instances' to be a list/array"),
        (b'{"instances": [5]}', "is not an object with the inputs carrier, hours, seats"),
        (b'{"inputs": [5]}', "expecting an object"),
        (b'{"inputs": {"hours": [[1], 5], "seats": 1, "carrier": ""}}', "5 Type: Number is not a"),
        (b'{"inputs": {"hours": [1, 2], "seats": [1, 2, 3], "carrier": ""}}', "The model refuses"),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"instances": [5]}', "JSON Parse error"),
        (b'{"signature_name": "prize", "instances": [5]}', '"prize" not found in signature def'),
        (b'{"signature_name": 5, "instances": [5]}', "'signature_name' key must be a string"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_document_of_another_form_is_refused(
    server: ModelServer, body: bytes, reason: str
) -> None:
    response = requests.post(server.url + PREDICT, data=body, timeout=60)
    assert response.status_code == 400
    assert reason in response.json()["error"]


def test_a_list_that_mixes_values_and_objects_is_refused(server: ModelServer) -> None:
    mixed: list[Any] = ["1", {"text": "2"}]
    message = refusal(server, {"signature_name": "parse", "instances": mixed})
    assert "Expecting value/list but got object at item 1" in message
    message = refusal(server, {"signature_name": "parse", "instances": mixed[::-1]})
    assert "element: 1 of 'instances' list" in message


def test_status_and_metadata(server: ModelServer) -> None:
    for path in ("/v1/models/default", "/v1/models/default/versions/7"):
        status = requests.get(server.url + path, timeout=60)
        assert status.status_code == 200
        assert status.json() == {
            "model_version_status": [
                {
                    "version": "7",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        }
    metadata = requests.get(server.url + "/v1/models/default/metadata", timeout=60).json()
    assert metadata["model_spec"] == {"name": "default", "signature_name": "", "version": "7"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    hours = signatures["serving_default"]["inputs"]["hours"]
    assert hours["dtype"] == "DT_FLOAT"
    assert hours["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert signatures["scaled"]["defaults"]["factor"]["float_val"] == [2.0]


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("POST", "/v1/models/default/versions/7:predict", 200, ""),
        ("POST", "/v1/models/default:predict?key=1", 200, ""),
        ("POST", "/v1/models/other:predict", 404, "Servable not found for request: Latest(other)"),
        ("POST", "/v1/models/default/versions/8:predict", 404, "Specific(default, 8)"),
        ("GET", "/v1/models/other", 404, "this server has model default, version 7"),
        ("GET", "/v1/models/default:predict", 400, "Malformed request: GET"),
        ("POST", "/v1/models/default", 400, "Malformed request: POST"),
        ("POST", "/v1/models/default:classify", 501, "use predict"),
        ("GET", "/v1/elsewhere", 400, "Malformed request: GET /v1/elsewhere"),
        ("GET", "/", 404, "GET /v1/models/default"),
        ("DELETE", "/v1/models/default", 400, "Malformed request: DELETE"),
    ],
)
def test_routes(server: ModelServer, method: str, path: str, code: int, reason: str) -> None:
    response = requests.request(method, server.url + path, json={"instances": [FLIGHT]}, timeout=60)
    assert response.status_code == code
    assert reason in response.json().get("error", "")


def test_the_highest_version_number_is_served(tmp_path: Path, server: ModelServer) -> None:
    from contextlib import ExitStack

    from vertex_emulator.model_server.source import find

    for version in ("2", "10", "latest"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    (tmp_path / "11").mkdir()  # a version that is still being written
    assert find(str(tmp_path), ExitStack()) == tmp_path / "10"
