"""Logs carry no credentials, and no traceback of what a person was told."""

import logging
from pathlib import Path

import pytest

from core import logs, processes
from core.errors import NotFound


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged while our record factory is set."""
    before = logging.getLogRecordFactory()
    logs.setup()
    yield caplog
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("GET http://anna:hunter22@host:5000/x failed", "hunter22"),
        ("postgresql+psycopg://deck:s3cret@db/ledger", "s3cret"),
        ("password=hunter22&x=1", "hunter22"),
        ('{"token": "abcdef"}', "abcdef"),
        ("Authorization: Basic YW5uYTpodW50ZXI=", "YW5uYTpodW50ZXI="),
    ],
)
def test_credentials_are_hidden(text: str, gone: str) -> None:
    assert gone in text
    assert gone not in logs.redact(text)


def test_what_is_no_credential_stays() -> None:
    text = "mail to anna@example.org about http://host:5000/#/experiments/1, 3 tokens"
    assert logs.redact(text) == text


def test_the_tracking_password_is_hidden_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    assert "correct horse" not in logs.redact("sent 'correct horse' to the server")


def test_a_traceback_is_redacted(log: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("no answer from http://anna:hunter22@host/")
    except ValueError:
        logging.getLogger("any.library").exception("failed at //anna:hunter22@host")
    assert "ValueError" in log.text
    assert "hunter22" not in log.text


def test_an_error_for_a_person_is_one_line_without_traceback(log: pytest.LogCaptureFixture) -> None:
    try:
        raise NotFound("There is no run abc.")
    except NotFound:
        logging.getLogger("streamlit.error_util").exception("Uncaught app execution")
    assert "There is no run abc." in log.text
    assert "Traceback" not in log.text


def test_the_log_of_a_process_is_shown_without_credentials(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("GET http://anna:hunter22@host/\npassword=hunter22\nprogress 1/2 Half\n")
    assert "hunter22" not in processes.tail(file)
    assert "progress 1/2 Half\n" in processes.tail(file)
