"""Every error that a person may see: what happened, to what, and what to do next.

Lower rooms raise these; nobody catches them on the way but one place in ``core.ui``, which draws
them. Anything else that reaches a person is a defect and is drawn as ``Unexpected``.
"""

from core.texts import t


class DeckError(Exception):
    """The root: an error with words for the person who meets it.

    Attributes:
        what: what happened and to what, one or two sentences of plain text.
        next_step: what the person can do about it, plain text.
        retryable: whether the same action may succeed later without any change.
        command: a command line that mends it, or "".
    """

    retryable = False

    command = ""

    def __init__(self, what: str, next_step: str = "", *, command: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.command = command
        self.next_step = next_step or t(f"errors.next.{type(self).__name__}")

    @property
    def title(self) -> str:
        """A headline of a few words."""
        return t(f"errors.title.{type(self).__name__}")


class InvalidInput(DeckError):
    """Something typed or linked cannot be used.

    Attributes:
        field: the name of the field it was typed in, or "".
        position: the offset (characters) of the fault in the text typed, or None.
    """

    def __init__(
        self, what: str, next_step: str = "", *, field: str = "", position: int | None = None
    ) -> None:
        super().__init__(what, next_step)
        self.field = field
        self.position = position


class NotFound(DeckError):
    """What was asked for is not there, or no longer."""


class Conflict(DeckError):
    """Something changed between the look and the action; nothing was written."""


class NotAllowed(DeckError):
    """This person may not do that."""


class NotAdministering(NotAllowed):
    """Modeldeck's own account does not administer the server, so nobody's rights can be asked."""


class SignedOut(NotAllowed):
    """Nobody is signed in here, or not any more: signing in again may help."""


class TooLarge(DeckError):
    """More bytes or rows than a cap admits."""


class Busy(DeckError):
    """Somebody else is doing the same at this moment."""

    retryable = True


class ServerUnreachable(DeckError):
    """The MLflow server refuses connections, or cannot be found."""

    retryable = True


class ServerSlow(DeckError):
    """The MLflow server did not answer within the deadline."""

    retryable = True


class ServerFailed(DeckError):
    """The MLflow server answered with an error of its own or with something that is no answer."""

    retryable = True


class OutcomeUnknown(DeckError):
    """A write was sent and its reply never came: it may or may not have taken effect."""


class StoreNeedsUpgrade(DeckError):
    """The tracking database has an older schema than this MLflow."""


class FileStoreUnsupported(DeckError):
    """The tracking address names a folder of files, which this MLflow no longer reads."""


class EndpointFailed(DeckError):
    """A model's endpoint refused or failed, in plain words."""


class LedgerFailed(DeckError):
    """Modeldeck's own database did not answer as it should."""

    retryable = True


class Unexpected(DeckError):
    """A defect of Modeldeck; its details are in the log under a number."""
