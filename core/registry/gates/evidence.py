"""Everything that is known of a version and of the one it would replace, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

CARD = ("purpose", "data", "owner", "limits", "review_date", "contact", "licence")
"""The fields of a model card, in the order in which they are read."""


@dataclass(frozen=True)
class Side:
    """One version as the evidence has it: the challenger, or the holder (champion)."""

    version: int
    run_id: str | None
    run_name: str
    source: str
    registered_by: str | None
    created_at: datetime | None
    """When the version was registered."""
    trained_at: datetime | None
    """When its run ended, or began where it did not end."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Last values of the model itself, and those of its run that no other model of the run may
    have; None for NaN."""
    replicates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Metric → values of runs that repeat this one (the same params but the seed), its own first;
    only where there are at least two."""
    replicate_seeds: tuple[str, ...] = ()
    """The seed of each replicate, in the order of the values; empty where they are not known. A
    comparison is paired by them where enough match."""
    params: Mapping[str, str] = field(default_factory=dict)
    data_at: str | None = None
    """How old its data is, as the run says: an ISO date or moment; None where it says nothing."""
    datasets: tuple[Mapping[str, Any], ...] = ()
    """``{"name", "digest", "context", "source", "rows", "at"}``; what is unknown is None."""
    inputs: tuple[Mapping[str, Any], ...] | None = None
    """The signature's input columns ``{"name", "type", "required", "shape"}``; None: no
    signature."""
    outputs: tuple[Mapping[str, Any], ...] | None = None
    requirements: tuple[str, ...] | None = None
    """The lines of the model's ``requirements.txt``; None: it has none."""
    python: str | None = None
    """The Python version that the model names."""
    code: tuple[str, ...] = ()
    """Code files among the artifacts (``code/``, a ``loader_module``), by path."""
    loader_module: str = ""
    flavors: tuple[str, ...] = ()
    files: int = 0
    bytes: int | None = None
    git_commit: str = ""


@dataclass(frozen=True)
class Answered:
    """How the model answered its own input example in a child process."""

    ok: bool
    reason: str = ""
    """Why not; plain words."""
    rows: int = 0
    seconds: float | None = None
    """Of the second, warm call."""
    load_seconds: float | None = None
    memory: int | None = None
    """Most resident bytes of the child."""


@dataclass(frozen=True)
class Pins:
    """The model's requirements against two interpreters."""

    missing: tuple[str, ...] = ()
    """Packages that the serving interpreter lacks."""
    other: tuple[tuple[str, str, str], ...] = ()
    """(package, pinned, installed) where the serving interpreter has another version."""
    python: tuple[str, str] | None = None
    """(the model's, the interpreter's) where major.minor differ."""
    than_holder: tuple[tuple[str, str, str], ...] = ()
    """(package, the holder's pin, this one's pin) where they differ; "" for none."""
    unread: tuple[str, ...] = ()
    """Lines of which nobody can tell what they need, shortened: addresses, other files, what is no
    requirement."""
    broken: tuple[str, ...] = ()
    """Packages that the serving interpreter has while it finds none of their modules."""


@dataclass(frozen=True)
class Evidence:
    """What gates decide over. A part that could not be gathered is None, and ``missing`` says why.

    ``lifecycle.evidence.gather`` makes it; ``as_json`` and ``from_json`` freeze it into a request.
    """

    model: str
    rung: str
    at: datetime
    challenger: Side
    holder: Side | None = None
    """Who stands on the wanted rung; None where nobody does, or the rung is for many."""
    card: Mapping[str, str] = field(default_factory=dict)
    """Field of ``CARD`` → its text, the review date as an ISO date; "" is none."""
    example: Answered | None = None
    pins: Pins | None = None
    drift: Mapping[str, Any] | None = None
    """The state of drift where monitoring has one."""
    digest: str = ""
    """SHA-256 of the artifacts (``core.registry.digest``); "" where it could not be made."""
    digest_of: str = ""
    """``content`` or ``listing``: what it was made over."""
    listing: str = ""
    """The same over the files' paths and sizes alone."""
    compared: str = ""
    """Before a change is applied: ``content`` or ``listing``, by what the artifacts were compared
    with those that were approved; "" where nothing was compared."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Part → where it is not all that there is, in plain words, such as a search that was cut."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Part → why it could not be gathered, in plain words."""
    shared: bool = False
    """Whether the wanted rung is for many versions, so that there is none to compare with."""
