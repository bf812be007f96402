"""One prediction: the input checked against the signature, the endpoint asked, the answer told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import EndpointFailed, InvalidInput
from core.ledger import Ledger
from core.mlflow_api.nouns import Signature
from core.serving import client, endpoints
from core.serving.bodies import body_from_rows
from core.serving.client import Answer, Identity
from core.serving.payloads import Problem, check_body, check_params, check_rows
from core.settings import Settings
from core.texts import t

_MOST_ANSWER_BYTES = 100_000_000
_MOST_PROBLEMS = 8


@dataclass(frozen=True)
class Prediction:
    """What was asked and what came back."""

    name: str
    """The model version that answered."""
    rows: tuple[Mapping[str, object], ...]
    """The rows that were sent; () where a whole body was typed."""
    answer: Answer


def from_rows(
    signature: Signature | None,
    rows: Sequence[Mapping[str, object]],
    params: Mapping[str, object],
) -> tuple[dict[str, object], list[dict[str, object]]]:
    """The body for some rows, and the rows as they are sent.

    Raises:
        InvalidInput: MLflow would refuse some value, or change it without a word.
    """
    sent, problems = check_rows(signature, rows)
    checked, more = check_params(signature, params)
    _refuse([*problems, *more])
    return body_from_rows(signature, sent, checked), list(sent)


def from_body(signature: Signature | None, body: Mapping[str, object]) -> dict[str, object]:
    """A typed body, as it is.

    Raises:
        InvalidInput: MLflow would refuse some value, or change it without a word.
    """
    _refuse(check_body(signature, body))
    return dict(body)


def ask(
    settings: Settings,
    ledger: Ledger,
    endpoint_id: str,
    body: Mapping[str, object],
    rows: Sequence[Mapping[str, object]] = (),
) -> Prediction:
    """Send a checked body to an endpoint; the process that we started has to answer, no other.

    Raises:
        EndpointFailed: it does not serve now, refuses the input, or does not answer in time.
    """
    endpoint = endpoints.get(ledger, endpoint_id)
    if endpoint.address is None or endpoint.nonce is None or not endpoint.open:
        raise EndpointFailed(
            t("predict.not_served", name=endpoint.name, state=t(f"states.{endpoint.state}"))
        )
    answer = client.invoke(
        endpoint.address,
        body,
        expect=Identity(endpoint.id, endpoint.model, endpoint.version, endpoint.nonce),
        timeout=settings.predict_deadline,
        max_bytes=_MOST_ANSWER_BYTES,
    )
    return Prediction(endpoint.name, tuple(rows), answer)


def _refuse(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    lines = [str(problem) for problem in problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        lines.append(t("predict.more_problems", n=len(problems) - _MOST_PROBLEMS))
    raise InvalidInput("\n".join(lines), field=problems[0].column)
