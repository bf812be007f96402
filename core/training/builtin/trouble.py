"""What ends a built-in training run early, other than a fault in the program."""


class BadInput(Exception):
    """What a person asked for cannot be trained; the message says what, and what to do next."""


class Stopped(BaseException):
    """Somebody asked the training to stop; its run ends as KILLED.

    Not an `Exception`: no library's ``except Exception`` may take it for a failed attempt.
    """
