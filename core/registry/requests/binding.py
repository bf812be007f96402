"""What an approval is bound to: one fingerprint of it, and what of it has changed, in words."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256

from core.registry.gates import Result
from core.registry.requests.nouns import Bound, Checked, Request
from core.texts import t


def binding(request: Request) -> str:
    """SHA-256 (64 hexadecimal digits) of what a person who decides has before them.

    It holds what is asked for, what it was checked against, every gate's verdict with its reason,
    and the steps. Who approved already is not in it: two may decide at the same time.
    """
    shown = {
        "id": request.id,
        "model": request.model,
        "version": request.version,
        "rung": request.rung,
        "archive_existing": request.archive_existing,
        "bound": None if request.bound is None else asdict(request.bound),
        "results": [asdict(result) for result in request.results],
        "steps": [step.as_json() for step in request.steps],
    }
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def statuses(results: Sequence[Result]) -> dict[str, str]:
    """The gates' verdicts as ``Bound.gates`` keeps them: ``"<place>:<gate>"`` → status."""
    return {f"{place}:{r.gate}": str(r.status) for place, r in enumerate(results)}


def changed(request: Request, found: Checked) -> tuple[str, ...]:
    """What is no longer as it was when the request was checked, each in plain words.

    Empty where all is: the version with its source and artifacts, who stands where, the gates'
    verdicts and the steps.
    """
    was = request.bound
    if was is None:
        return (t("requests.changed.never_checked"),)
    now = found.bound
    words = []
    if was.version != now.version or was.source != now.source:
        words.append(t("requests.changed.source", version=request.version))
    if (was.digest, was.digest_of) != (now.digest, now.digest_of):
        words.append(t("requests.changed.digest", version=request.version))
    if was.standing != now.standing:
        words.append(
            t("requests.changed.standing", version=request.version, was=was.standing,
              now=now.standing)
        )  # fmt: skip
    if was.holders != now.holders:
        words.append(
            t("requests.changed.holders", rung=request.rung, was=_versions(was),
              now=_versions(now))
        )  # fmt: skip
    if was.carrier != now.carrier:
        words.append(t("requests.changed.carrier", rung=request.rung))
    words += _gates(was, now)
    if not words and request.steps != found.steps:
        words.append(t("requests.changed.steps"))
    return tuple(words)


def _gates(was: Bound, now: Bound) -> list[str]:
    if was.gates.keys() != now.gates.keys():
        return [t("requests.changed.gate_list")]
    return [
        t("requests.changed.gate", gate=place.partition(":")[2], was=_status(was.gates[place]),
          now=_status(now.gates[place]))
        for place in was.gates
        if was.gates[place] != now.gates[place]
    ]  # fmt: skip


def _status(name: str) -> str:
    return t(f"requests.status.{name}")


def _versions(bound: Bound) -> str:
    return ", ".join(f"v{n}" for n in bound.holders) or t("requests.changed.nobody")
