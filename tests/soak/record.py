"""The record against MLflow: all that others changed there is found, and nobody else is accused.

Modeldeck's own writes run in several threads, somebody else changes the same models directly in
MLflow, and passes compare, all at once. Afterwards the record is tampered with.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa
from mlflow import MlflowClient

from core.errors import Busy, Conflict
from core.ledger import chain
from core.ledger.chain import Head
from core.ledger.schema import record
from core.ledger.verifying import Verification, verify
from core.lifecycle.deck import Deck
from core.registry import card, editing, heads, known, register, requests
from core.registry.ladder import LADDER
from core.registry.plan import Wanted
from core.registry.reconcile import reconcile
from core.registry.transitions import read_state
from tests.soak.desk import Place, close
from tests.tampering import allow_changes, edit_one_byte

ROUNDS = 200
ACTS = 4
"""Of each of our threads in a round."""
OURS, THEIRS = (1, 2), (3, 4, 5)
"""Versions that only Modeldeck changes, and that only others do: so it is known who it was."""
PATIENCE = 120.0
PAUSE = 0.2
"""Seconds between the passes of one thread, so that ours get a turn at the model's lease."""
STAGES = ("None", "Staging", "Archived")
"""Where others move to: not to Production, from where our own moves would archive."""


@dataclass
class Compared:
    """What came of it."""

    rounds: int = 0
    ours: int = 0
    theirs: int = 0
    passes: int = 0
    refused: int = 0
    edits: int = 0
    cuts: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        return (
            f"{self.rounds} rounds: {self.theirs} changes made directly in MLflow beside "
            f"{self.ours} writes of ours ({self.refused} refused) and {self.passes} passes; "
            f"{self.edits} edits of one byte and {self.cuts} cut tails of the record; "
            f"{len(self.faults)} faults"
        )


def compare(
    place: Place, rounds: int, *, model: str = "wine", edits: int = 0, cuts: int = 0,
    until_fault: bool = False, seed: int = 4,
) -> Compared:  # fmt: skip
    """Rounds of writes of ours, changes of others and passes at once; then look at what was found.

    Args:
        rounds: how many.
        edits: of one byte of the record afterwards, each looked for.
        cuts: how often its tail is cut off afterwards.
        until_fault: stop at the first round that went wrong.
    """
    deck, found = place.open(), Compared()
    run_id = _make(deck, model)
    reconcile(deck.desk)
    dice = random.Random(seed)
    client = MlflowClient(deck.mlflow.gateway.tracking_uri)
    last = _last(deck)
    for turn in range(rounds):
        expected: Counter[tuple[str, int | None]] = Counter()
        mine = [
            partial(_describe, deck, model),
            partial(_move, deck, model),
            partial(_alias, deck, model),
            partial(_others, deck, model, run_id),
        ]
        over = threading.Event()
        with ThreadPoolExecutor(len(mine) + 3) as pool:
            passes = [pool.submit(_passes, deck, over, found) for _ in range(2)]
            jobs = [
                pool.submit(_ours, found, act, turn, random.Random(dice.random())) for act in mine
            ]
            theirs = pool.submit(
                _theirs, client, model, turn, random.Random(dice.random()), expected
            )
            try:
                for job in (*jobs, theirs):
                    job.result(PATIENCE)
            finally:
                over.set()
            for one in passes:
                one.result(PATIENCE)
        reconcile(deck.desk)
        found.passes += 1
        found.rounds += 1
        found.theirs += expected.total()
        lines = chain.lines(
            deck.ledger, model=model, action=known.UNATTRIBUTED, after=last, limit=None
        )
        said = Counter((line.entry.action, line.entry.version) for line in lines)
        found.faults += [f"round {turn}: not found: {one}" for one in expected - said]
        found.faults += [f"round {turn}: wrongly accused: {one}" for one in said - expected]
        last = _last(deck)
        if until_fault and found.faults:
            break
    _verify(deck, model, found, edits, cuts, dice)
    close(deck)
    return found


def _make(deck: Deck, model: str) -> str:
    tracking, registry = deck.mlflow.tracking, deck.mlflow.registry
    run = tracking.create_run(tracking.create_experiment(model), "trained")
    registry.create_model(model)
    for number in (*OURS, *THEIRS):
        registry.create_version(model, f"{run.artifact_uri}/model-{number}", run.id)
    return run.id


def _last(deck: Deck) -> int:
    head = chain.head(deck.ledger)
    return head.count if head else 0


def _passes(deck: Deck, over: threading.Event, found: Compared) -> None:
    while not over.wait(PAUSE):
        reconcile(deck.desk)
        found.passes += 1


def _ours(
    found: Compared, act: Callable[[str, random.Random], object], turn: int, dice: random.Random
) -> None:
    for number in range(ACTS):
        try:
            act(f"{turn}-{number}", dice)
            found.ours += 1
        except (Conflict, Busy):
            found.refused += 1


def _describe(deck: Deck, model: str, mark: str, dice: random.Random) -> None:
    number = dice.choice(OURS)
    seen = deck.mlflow.registry.version(model, number).description
    editing.describe(deck.desk, model, number, f"text {mark}", seen=seen)


def _move(deck: Deck, model: str, _mark: str, dice: random.Random) -> None:
    rung = dice.choice(["None", "Production", "Archived"])
    requests.move(deck.desk, Wanted(model, dice.choice(OURS), rung))


def _alias(deck: Deck, model: str, _mark: str, dice: random.Random) -> None:
    carrier = read_state(deck.mlflow, model).carrier("ours")
    if carrier is not None and dice.random() < 0.4:
        requests.remove_alias(deck.desk, model, "ours", carrier)
    else:
        requests.set_alias(deck.desk, model, "ours", dice.choice(OURS), seen=carrier)


def _others(deck: Deck, model: str, run_id: str, mark: str, dice: random.Random) -> None:
    """What moves no version: registering, the card, a tag."""
    match dice.randrange(3):
        case 0:
            source = register.source_of_folder(run_id, f"model-{mark}")
            made = register.register(deck.desk, run_id, source, model).version.version
            seen = deck.mlflow.registry.version(model, made).description
            editing.describe(deck.desk, model, made, f"new {mark}", seen=seen)
        case 1:
            seen = card.read_card(deck.mlflow.registry.model(model))["purpose"]
            card.write_card(deck.desk, model, "purpose", f"purpose {mark}", seen=seen)
        case _:
            editing.set_tag(deck.desk, model, dice.choice(OURS), f"k-{mark}", "v", seen=None)


def _theirs(
    client: MlflowClient, model: str, turn: int, dice: random.Random,
    expected: Counter[tuple[str, int | None]],
) -> None:  # fmt: skip
    """One change of each of their versions, which nobody takes back."""
    for number in THEIRS:
        match dice.randrange(4):
            case 0:
                was = client.get_model_version(model, str(number)).current_stage
                to = dice.choice([stage for stage in STAGES if stage != was])
                client.transition_model_version_stage(model, str(number), to)
                expected[known.STAGE, number] += 1
            case 1:
                client.update_model_version(model, str(number), f"theirs {turn}")
                expected[known.TIMESTAMP, number] += 1
            case 2:
                client.set_model_version_tag(model, str(number), LADDER.tag, f"theirs {turn}")
                expected[known.TAG, number] += 1
            case _:
                client.set_registered_model_alias(model, f"theirs-{turn}-{number}", str(number))
                expected[known.ALIAS, number] += 1


def _verify(
    deck: Deck, model: str, found: Compared, edits: int, cuts: int, dice: random.Random
) -> None:
    """Whether the record is in order, and whether each tampering with it is found and placed."""
    # Of this model alone: the server has served other ledgers too.
    tags = [v.tags for v in deck.mlflow.registry.versions(model)]
    tags.append(deck.mlflow.registry.model(model).tags)
    outside = tuple(heads.parse(one[heads.TAG], "MLflow") for one in tags if heads.TAG in one)
    found.faults += [fault.what for fault in verify(deck.ledger, outside).faults]
    if edits or cuts:
        allow_changes(deck.ledger)
    for _ in range(edits):
        edit = edit_one_byte(deck.ledger, dice)
        if edit.number not in {fault.number for fault in verify(deck.ledger, outside).faults}:
            found.faults.append(f"an edit of line {edit.number}, {edit.column}, is not found")
        edit.undo()
        found.edits += 1
    newest = max((head.count for head in outside), default=0)
    for _ in range(cuts):
        left = dice.randrange(1, newest)
        said = _cut_and_back(deck, left, outside)
        if {fault.number for fault in said.faults} != {left}:
            found.faults.append(f"a tail cut off after line {left} is not found")
        found.cuts += 1
    if edits or cuts:
        found.faults += [fault.what for fault in verify(deck.ledger, outside).faults]


def _cut_and_back(deck: Deck, left: int, outside: tuple[Head, ...]) -> Verification:
    with deck.ledger.transaction("cutting") as connection:
        gone = connection.execute(sa.select(record).where(record.c.number > left)).all()
        connection.execute(record.delete().where(record.c.number > left))
    said = verify(deck.ledger, outside)
    with deck.ledger.transaction("undoing") as connection:
        connection.execute(record.insert(), [dict(row._mapping) for row in gone])
    return said
