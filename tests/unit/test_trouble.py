"""A stop goes through libraries that take every exception for a failed attempt."""

import signal

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

from core.training.builtin.tabular import train
from core.training.builtin.trouble import Stopped


class StoppedWhileFitting(DummyClassifier):
    def fit(self, *_: object, **__: object) -> "StoppedWhileFitting":
        before = signal.getsignal(signal.SIGTERM)
        try:
            train._stop(signal.SIGTERM, None)
        finally:
            signal.signal(signal.SIGTERM, before)
        return self


def test_no_except_exception_of_a_library_swallows_a_stop() -> None:
    with pytest.raises(Stopped):
        cross_val_score(StoppedWhileFitting(), [[0], [1], [0], [1]], [0, 1, 0, 1], cv=2)
