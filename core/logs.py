"""What reaches a log: no credentials, and an error that a person was told on one line."""

import logging
import os
import re
import traceback
from typing import Any

from core.errors import DeckError

_USER_INFO = re.compile(r"(?<=//)[^/\s@'\"]+(?=@)")
_NAMED = re.compile(
    r"(?i)\b(password|passwd|pwd|token|secret|authorization|api[_-]?key)(['\"]?\s*[=:]\s*)"
    r"(?:(?:basic|bearer)\s+)?['\"]?[^\s'\",;&]+"
)
_SHORTEST = 4
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_HIDDEN = "[hidden]"
_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Let ``redact`` hide this text wherever it appears."""
    if len(secret) >= _SHORTEST:
        _secrets.add(secret)


def redact(text: str) -> str:
    """``text`` without user info in addresses, values after words such as ``password=``, the
    tracking credentials of this process, and what ``hide`` was told."""
    known = {os.environ.get(name, "") for name in _SECRET_VARIABLES} | _secrets
    for value in sorted(known, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, _HIDDEN)
    text = _USER_INFO.sub(_HIDDEN, text)
    return _NAMED.sub(rf"\1\2{_HIDDEN}", text)


def setup() -> None:
    """Let every log record of this process, whoever writes it, pass ``redact``.

    Streamlit logs what a page raised with its traceback before anybody is asked; a ``DeckError`` is
    no defect, so only its words are kept.
    """
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        message = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, DeckError):
            message = f"{error.title}: {error.what}"
            record.exc_info = None
        elif error is not None:
            # Formatters take a text that is there instead of making their own.
            record.exc_text = redact("".join(traceback.format_exception(error)).rstrip())
        record.msg, record.args = redact(message), None
        return record

    logging.setLogRecordFactory(factory)
