"""What a client says when an endpoint refuses or misbehaves, and how predictions become a table."""

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from core.errors import EndpointFailed, InvalidInput, TooLarge
from core.serving.client import Identity, identify, invoke, plain_error, predictions_table

SCHEMA = {"error_code": "INVALID_PARAMETER_VALUE", "error_class": "SCHEMA_ENFORCEMENT_FAILED"}
BAD = {"error_code": "BAD_REQUEST", "error_class": "INVALID_PARAMETER_VALUE"}
MODEL = "Encountered an unexpected error while evaluating the model. Verify that the input fits."
TRACE = (
    "Traceback (most recent call last):\n"
    '  File "/srv/mlflow/pyfunc/scoring_server/__init__.py", line 348, in invocations\n'
    "    raw_predictions = model.predict(data, params=params)\n"
    '  File "/srv/sklearn/utils/validation.py", line 86, in _assert_all_finite\n'
    "    raise ValueError(msg_err)\n"
    "ValueError: Input X contains NaN.\n"
    "LogisticRegression does not accept missing values encoded as NaN natively.\n"
)
MINE = Identity("ep-1", "iris", 3, "abcd")

# ------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (
            400,
            SCHEMA
            | {
                "message": "Failed to predict data 'Model is missing inputs ['x'].'. \nError: "
                "Failed to enforce schema of data. Error: Model is missing inputs ['a b', \"n'\"]. "
                "Note that there were extra inputs: ['c']."
            },
            "needs columns that the input does not have: a b, n'.",
        ),
        (
            400,
            SCHEMA | {"message": "Error: Shape of input (1, 3) does not match expected (-1, 5)."},
            "the shape that the model's signature asks for",
        ),
        (
            400,
            SCHEMA
            | {
                "message": "Error: Incompatible input types for column petal width. Can not "
                "safely convert float64 to int64."
            },
            "column petal width do not have the type",
        ),
        (
            400,
            BAD
            | {
                "message": "Invalid input. Data is not compatible with model signature. Failed to "
                "convert column n to type 'int64'. Error: 'ValueError(\"x\")'"
            },
            "column n do not have the type",
        ),
        (
            400,
            BAD | {"message": MODEL, "stack_trace": TRACE},
            "The model refused these values. It said: Input X contains NaN.",
        ),
        (400, BAD | {"message": MODEL, "stack_trace": "KeyError"}, "refused these values."),
        (400, BAD | {"message": MODEL}, "The model refused these values."),
        (400, BAD | {"message": "Invalid parameters found: {}"}, "refused these params"),
        (400, BAD | {"message": "Invalid input. Ensure that …"}, "could not read the input"),
        (400, {}, "refused the input"),
        (400, [], "refused the input"),
        (404, {"detail": "Not Found"}, "does not speak MLflow's scoring protocol"),
        (413, {}, "because of its size"),
        (504, {}, "longer than the endpoint lets it"),
        (302, {}, "another address, which is not followed"),
        (418, {}, "418"),
    ],
)
def test_refusals_in_plain_words(status: int, content: object, words: str) -> None:
    error = plain_error(status, json.dumps(content).encode())
    assert words in error.what
    assert error.next_step


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (415, b"This predictor only supports the following content types", "does not take JSON"),
        (500, b"Internal Server Error", "failed while it handled the input"),
        (503, b"<html>", "Something stands in front of the endpoint"),
        (400, b"<html><h1>Sign in</h1>", "refused the input"),
        (400, b"\xff" * 10, "refused the input"),
        (400, b"[" * 200_000, "refused the input"),
    ],
)
def test_refusals_that_are_no_json(status: int, body: bytes, words: str) -> None:
    assert words in plain_error(status, body).what


def test_a_models_words_come_without_its_traceback_and_its_tricks() -> None:
    said = "ValueError: \u202e" + "x" * 500 + "\x1b[31m\u200b"
    body = BAD | {"message": MODEL, "stack_trace": f"{TRACE.rpartition('ValueError')[0]}{said}\n"}
    error = plain_error(400, json.dumps(body).encode())
    assert "/srv" not in error.what
    assert "Traceback" not in error.what
    assert "\u202e" not in error.what
    assert "\x1b" not in error.what
    assert len(error.what) < 300


# ---------------------------------------------------------------------------------- calls


@contextmanager
def server(answer: Callable[[str, socket.socket], None]) -> Iterator[str]:
    """The address of a server that hands each request's first line to ``answer``."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
                head, end, body = received.partition(b"\r\n\r\n")
                length = [h for h in head.lower().split(b"\r\n") if b"content-length" in h]
                if end and len(body) >= (int(length[0].split(b":")[1]) if length else 0):
                    answer(head.split(b"\r\n")[0].decode(), connection)
                    received = b""

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = threading.Thread(target=talk, args=(listener.accept()[0],))
                thread.start()
                threads.append(thread)

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (acceptor, *threads):
            thread.join(10)
            assert not thread.is_alive()


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(
    address: str, expect: Identity | None = None, timeout: float = 5, max_bytes: int = 10_000
) -> object:
    body = {"inputs": [1]}
    answer = invoke(address, body, expect=expect, timeout=timeout, max_bytes=max_bytes)
    return answer.predictions


def always(answer: bytes) -> Callable[[str, socket.socket], None]:
    return lambda _, connection: connection.sendall(answer)


def test_an_answer_and_its_measure() -> None:
    with server(always(reply(b'{"predictions": [1.5, NaN]}'))) as address:
        answer = invoke(address, {"inputs": [1]}, expect=None, timeout=5, max_bytes=100)
    assert isinstance(answer.predictions, list)
    assert math.isnan(answer.predictions[1])
    assert (answer.rows, answer.size) == (2, 27)
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(b"", "302 Found", "Location: http://169.254.169.254/"), "not followed"),
        (reply(b"<html>"), "is not JSON"),
        (reply(b"[" * 9_000), "is not JSON"),
        (reply(b"x" * 1_000_000, "500 No"), "failed while it handled"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "broke off"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"", "broke off without an answer"),
    ],
)
def test_answers_that_are_none(answer: bytes, words: str) -> None:
    def misbehave(_: str, connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    with server(misbehave) as address, pytest.raises(EndpointFailed) as caught:
        ask(address)
    assert words in caught.value.what


def test_an_answer_has_a_limit() -> None:
    with server(always(reply(b"[" + b"1," * 10_000 + b"1]"))) as address, pytest.raises(TooLarge):
        ask(address, max_bytes=1_000)


@pytest.mark.parametrize("drips", [b"", b"H", b"HTTP/1.1 200 OK\r\nX-A: ", reply(b"1" * 99)[:-99]])
def test_the_deadline_holds_however_slowly_the_bytes_come(drips: bytes) -> None:
    pause = threading.Event()

    def drip(_: str, connection: socket.socket) -> None:
        connection.sendall(drips)
        # Nothing at all, or a byte now and then, which resets a time-out that counts each read.
        while not pause.wait(0.1):
            connection.sendall(b"1" if drips else b"")

    with server(drip) as address:
        started = time.monotonic()
        try:
            with pytest.raises(EndpointFailed, match="did not answer within"):
                ask(address, timeout=0.5)
            assert time.monotonic() - started < 3
        finally:
            pause.set()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(EndpointFailed, match="nobody answers at its address"):
        ask(address)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://", "127.0.0.1:80", "http://a:b@c/", "http://a:x/"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(InvalidInput):
        identify(address, 1)


def identity(nonce: str) -> bytes:
    content = {"endpoint": "ep-1", "model": "iris", "version": 3, "nonce": nonce, "pid": 7}
    return json.dumps(content).encode()


def test_who_answers() -> None:
    with server(always(reply(identity("abcd")))) as address:
        assert identify(address, 5) == Identity("ep-1", "iris", 3, "abcd", 7)
    for body in (b"{}", b"[]", b"\n", b'{"endpoint": "e", "version": "x"}'):
        with (
            server(always(reply(body))) as address,
            pytest.raises(EndpointFailed, match="not one of Modeldeck's endpoints"),
        ):
            identify(address, 5)


@pytest.mark.parametrize("answer", [reply(identity("other")), reply(b"\n"), reply(b"", "404 No")])
def test_nothing_is_sent_to_another_process(answer: bytes) -> None:
    requests: list[str] = []

    def other(line: str, connection: socket.socket) -> None:
        requests.append(line)
        connection.sendall(answer)

    with server(other) as address, pytest.raises(EndpointFailed, match="Another process answered"):
        ask(address, MINE)
    assert requests == ["GET /modeldeck HTTP/1.1"]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("X-Modeldeck-Endpoint: ep-1",),
        ("X-Modeldeck-Endpoint: ep-1", "X-Modeldeck-Nonce: other"),
        ("X-Modeldeck-Endpoint: ep-2", "X-Modeldeck-Nonce: abcd"),
    ],
)
def test_an_answer_without_the_right_headers_is_no_answer(headers: tuple[str, ...]) -> None:
    def half(line: str, connection: socket.socket) -> None:
        body = identity("abcd") if "/modeldeck" in line else b'{"predictions": [1]}'
        connection.sendall(reply(body, "200 OK", *headers))

    with server(half) as address, pytest.raises(EndpointFailed, match="Another process answered"):
        ask(address, MINE)


def test_an_answer_with_the_right_headers_is_taken() -> None:
    headers = ("x-modeldeck-endpoint: ep-1", "X-Modeldeck-Nonce: abcd")

    def right(line: str, connection: socket.socket) -> None:
        body = identity("abcd") if "/modeldeck" in line else b'{"predictions": [1]}'
        connection.sendall(reply(body, "200 OK", *headers))

    with server(right) as address:
        assert ask(address, MINE) == [1]


# ----------------------------------------------------------------------------- predictions


@pytest.mark.parametrize(
    ("predictions", "columns", "rows"),
    [
        ([1, 2], ["prediction"], [{"prediction": 1}, {"prediction": 2}]),
        (["a", None], ["prediction"], [{"prediction": "a"}, {"prediction": None}]),
        ([{"a": 1}, {"b": 2}], ["a", "b"], [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ([[0.1, 0.9]], ["0", "1"], [{"0": 0.1, "1": 0.9}]),
        ([[1], [1, 2]], ["0", "1"], [{"0": 1, "1": None}, {"0": 1, "1": 2}]),
        ({"a": [1, 2], "b": [3, 4]}, ["a", "b"], [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"a": [1, 2], "b": [3]}, ["a", "b"], [{"a": "[1, 2]", "b": "[3]"}]),
        ({"predictions": [1]}, ["prediction"], [{"prediction": 1}]),
        ({"label": "x"}, ["label"], [{"label": "x"}]),
        ([[[1, 2]]], ["0"], [{"0": "[1, 2]"}]),
        ([{"a": {"b": 1}}], ["a"], [{"a": '{"b": 1}'}]),
        ("text", ["prediction"], [{"prediction": "text"}]),
        ([], [], []),
    ],
)
def test_predictions_as_a_table(
    predictions: object, columns: list[str], rows: list[dict[str, object]]
) -> None:
    assert predictions_table(predictions) == (columns, rows)
