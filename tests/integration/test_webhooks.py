"""Webhooks on a real listener: delivered, signed, tried again, given up; guards with controls."""

import hmac
import http.server
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import DeckError, InvalidInput, NotAllowed, NotFound
from core.ledger import Ledger, chain, now, outbox
from core.ledger.chain import Entry
from core.ledger.outbox import BACK_OFF, Shape, State
from core.ledger.schema import deliveries as delivery_table
from core.ledger.schema import record
from core.ledger.schema import webhooks as webhook_table
from core.lifecycle import webhooks
from core.lifecycle.deck import Deck, open_deck
from core.lifecycle.webhooks import WebhookKeeper, sending
from core.lifecycle.webhooks.guard import Target, networks, parse
from core.lifecycle.webhooks.sending import Undelivered, send
from core.people import Actor
from core.registry import heads
from core.settings import load
from tests.servers import Postgres
from tests.tampering import allow_changes

ALL = tuple(outbox.GROUPS)
LOOPBACK = networks(["127.0.0.0/8"])


@dataclass
class Listener:
    """A server that keeps what it was sent and answers as it is told."""

    url: str = ""
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    location: str = ""
    answer: Callable[[Any], None] | None = None
    """Writes the body of the answer; else it is short."""

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.received]


def serve(context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    told = Listener()
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.received.append((self.path, dict(self.headers), body))
            self.send_response(told.status)
            if told.location:
                self.send_header("Location", told.location)
            self.end_headers()
            if told.answer is not None:
                told.answer((self.wfile, over))
            else:
                self.wfile.write(b"upstream says secret things")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - whoever is cut off
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    told.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}/hook/secret-path"
    yield told
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    yield from serve()


@pytest.fixture(params=["sqlite", "postgres"])
def deck(request: pytest.FixtureRequest, home: Path) -> Iterator[Deck]:
    """A deck whose settings let webhooks reach this machine."""
    environment = {"MODELDECK_HOME": str(home), "MODELDECK_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    environment["MODELDECK_PUBLIC_URL"] = "https://deck.example"
    if request.param == "postgres":
        database: Postgres = request.getfixturevalue("postgres")
        environment["MODELDECK_LEDGER_URI"] = database.fresh_database()
    opened = open_deck(load(environment))
    yield opened
    opened.ledger.close()


def happens(ledger: Ledger, action: str = "request.approved", model: str = "rent") -> int:
    with ledger.transaction("something happens") as connection:
        return chain.append(
            connection, Entry(action, "grace", model=model, version=7, rung="Production")
        ).number


def deliver(deck: Deck) -> None:
    keeper = WebhookKeeper(deck)
    for webhook_id in keeper.due():
        keeper.deliver(webhook_id)


def make(deck: Deck, url: str, shape: Shape = Shape.JSON, models: str = "*") -> tuple[str, str]:
    return webhooks.make(deck, "team", url, shape, ALL, models)


def pass_time(ledger: Ledger, by: timedelta) -> None:
    """Let the deliveries' next moments come nearer."""
    with ledger.transaction("time passes") as connection:
        rows = connection.execute(sa.select(delivery_table.c.id, delivery_table.c.next_at)).all()
        for row in rows:
            connection.execute(
                delivery_table.update()
                .where(delivery_table.c.id == row.id)
                .values(next_at=row.next_at - by)
            )


def states(deck: Deck, webhook_id: str) -> list[State]:
    return [one.state for one in webhooks.history(deck, webhook_id)]


# ------------------------------------------------------------------------------------ delivered


def test_what_happens_is_delivered_once_and_signed(deck: Deck, listener: Listener) -> None:
    happens(deck.ledger)  # before there was a webhook: it is not told
    webhook_id, secret = make(deck, listener.url)
    number = happens(deck.ledger)
    happens(deck.ledger, "version.registered")  # nobody asked for that
    deliver(deck)
    deliver(deck)
    ((path, headers, body),) = listener.received
    assert path == "/hook/secret-path"
    told = json.loads(body)
    assert (told["action"], told["record"]["number"]) == ("request.approved", number)
    line = chain.line(deck.ledger, number)
    assert line is not None
    assert told["record"]["hash"] == line.hash
    assert told["link"] == "https://deck.example/model?model=rent&version=7"
    stamp = headers["X-Modeldeck-Timestamp"]
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, sha256).hexdigest()
    assert headers["X-Modeldeck-Signature"] == f"sha256={mac}"
    (sent,) = webhooks.history(deck, webhook_id)
    assert (sent.state, sent.status, sent.tries, sent.message) == (State.DELIVERED, 200, 1, "")
    assert headers["X-Modeldeck-Delivery"] == sent.id == told["delivery"]
    assert headers["Host"] == f"127.0.0.1:{parse(listener.url).port}"


def test_models_are_chosen_by_a_pattern(deck: Deck, listener: Listener) -> None:
    make(deck, listener.url, models="rent*")
    for model in ("rents", "wine"):
        happens(deck.ledger, model=model)
    deliver(deck)
    assert [told["model"] for told in listener.bodies] == ["rents"]


@pytest.mark.parametrize("shape", [Shape.SLACK, Shape.TEAMS])
def test_chats_get_their_own_form_unsigned(deck: Deck, listener: Listener, shape: Shape) -> None:
    _, secret = make(deck, listener.url, shape)
    happens(deck.ledger)
    deliver(deck)
    ((_, headers, body),) = listener.received
    assert secret == ""
    assert not [name for name in headers if name.startswith("X-Modeldeck")]
    assert ("blocks" if shape is Shape.SLACK else "attachments") in json.loads(body)


def test_many_lines_all_arrive_in_order(deck: Deck, listener: Listener) -> None:
    make(deck, listener.url)
    numbers = [happens(deck.ledger) for _ in range(45)]
    for _ in range(3):
        deliver(deck)
    assert [told["record"]["number"] for told in listener.bodies] == numbers


# ----------------------------------------------------------------------------- tried again


def test_a_failure_is_tried_again_later_and_later_and_given_up(
    deck: Deck, listener: Listener
) -> None:
    webhook_id, _ = make(deck, listener.url)
    happens(deck.ledger)
    listener.status = 500
    for number, pause in enumerate(BACK_OFF, start=1):
        deliver(deck)
        deliver(deck)  # not yet
        (sent,) = webhooks.history(deck, webhook_id)
        assert (sent.state, sent.tries, sent.status) == (State.WAITING, number, 500)
        assert sent.last_at is not None
        assert timedelta(0) <= sent.next_at - sent.last_at - pause < timedelta(seconds=5)
        assert "secret things" not in sent.message
        pass_time(deck.ledger, pause + timedelta(seconds=5))
    deliver(deck)
    (sent,) = webhooks.history(deck, webhook_id)
    assert (sent.state, sent.tries) == (State.GIVEN_UP, len(BACK_OFF) + 1)
    pass_time(deck.ledger, timedelta(days=9))
    deliver(deck)
    assert len(listener.received) == len(BACK_OFF) + 1
    assert len({told["delivery"] for told in listener.bodies}) == 1  # the same id each time


def test_by_hand_it_is_sent_once_more(deck: Deck, listener: Listener) -> None:
    webhook_id, _ = make(deck, listener.url)
    happens(deck.ledger)
    listener.status = 500
    deliver(deck)
    listener.status = 204
    (sent,) = webhooks.history(deck, webhook_id)
    webhooks.redeliver(deck, sent.id)
    deliver(deck)
    assert states(deck, webhook_id) == [State.DELIVERED]
    assert [told["delivery"] for told in listener.bodies] == [sent.id, sent.id]


def test_one_that_fails_holds_up_no_other(deck: Deck, listener: Listener) -> None:
    make(deck, "http://127.0.0.1:9/")
    make(deck, listener.url)
    happens(deck.ledger)
    deliver(deck)
    assert len(listener.received) == 1


def test_those_that_fail_take_turns_and_starve_no_other(deck: Deck, listener: Listener) -> None:
    dead = [make(deck, "http://127.0.0.1:9/")[0] for _ in range(2)]
    for _ in range(6):
        happens(deck.ledger)
    keeper, tried = WebhookKeeper(deck), []
    for _ in range(4):
        tried.append(keeper.due()[0])
        keeper.deliver(tried[-1])
    assert tried in (dead * 2, dead[::-1] * 2)
    well, _ = make(deck, listener.url)
    happens(deck.ledger)
    assert keeper.due()[0] == well
    keeper.deliver(well)
    assert keeper.due() == tried[:2]
    assert len(listener.received) == 1


def test_a_line_that_is_gone_cannot_be_told_and_holds_up_none_after_it(
    deck: Deck, listener: Listener
) -> None:
    webhook_id, _ = make(deck, listener.url)
    gone, after = happens(deck.ledger), happens(deck.ledger)
    keeper = WebhookKeeper(deck)
    keeper.due()
    allow_changes(deck.ledger)
    with deck.ledger.transaction("tampering") as connection:
        connection.execute(record.delete().where(record.c.number == gone))
    keeper.deliver(webhook_id)
    assert [told["record"]["number"] for told in listener.bodies] == [after]
    said = {one.number: (one.state, one.message) for one in webhooks.history(deck, webhook_id)}
    assert said[after] == (State.DELIVERED, "")
    assert said[gone][0] is State.GIVEN_UP
    assert said[gone][1].startswith(f"Line {gone} of the record")


def test_two_workers_send_it_once(deck: Deck, listener: Listener) -> None:
    webhook_id, _ = make(deck, listener.url)
    happens(deck.ledger)
    one, other = WebhookKeeper(deck), WebhookKeeper(deck)
    assert one.due() == other.due() == [webhook_id]
    assert outbox.claim(deck.ledger, webhook_id) is not None
    other.deliver(webhook_id)
    assert listener.received == []
    # The one that claimed it died: it is sent after all, later.
    pass_time(deck.ledger, timedelta(seconds=121))
    other.deliver(webhook_id)
    assert len(listener.received) == 1


# ------------------------------------------------------------------------------ administered


def test_a_test_is_sent_and_stands_in_the_history(deck: Deck, listener: Listener) -> None:
    webhook_id, _ = make(deck, listener.url)
    for _ in range(2):
        webhooks.test(deck, webhook_id)
    deliver(deck)
    assert [told["test"] for told in listener.bodies] == [True, True]
    assert all(one.is_sample for one in webhooks.history(deck, webhook_id))


def test_what_happens_while_it_is_off_is_never_sent(deck: Deck, listener: Listener) -> None:
    webhook_id, _ = make(deck, listener.url)
    webhooks.enable(deck, webhook_id, on=False)
    happens(deck.ledger)
    deliver(deck)
    with pytest.raises(InvalidInput):
        webhooks.test(deck, webhook_id)
    webhooks.enable(deck, webhook_id, on=True)
    deliver(deck)
    assert listener.received == []
    happens(deck.ledger)
    deliver(deck)
    assert len(listener.received) == 1


def test_what_happened_before_it_was_switched_off_is_not_lost_when_the_worker_was_behind(
    deck: Deck, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_AT_ONCE", 2)  # more lines than are looked at in one go
    webhook_id, _ = make(deck, listener.url)
    before = [happens(deck.ledger) for _ in range(5)]
    webhooks.enable(deck, webhook_id, on=False)
    happens(deck.ledger)
    deliver(deck)
    assert listener.received == []
    webhooks.enable(deck, webhook_id, on=True)
    after = happens(deck.ledger)
    for _ in range(3):
        deliver(deck)
    assert [told["record"]["number"] for told in listener.bodies] == [*before, after]


def test_a_worker_that_was_in_the_middle_tells_nothing_of_the_time_when_it_was_off(
    deck: Deck, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_id, _ = make(deck, listener.url)
    as_it_was = outbox.webhooks(deck.ledger)
    webhooks.enable(deck, webhook_id, on=False)
    happens(deck.ledger)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "webhooks", lambda _: as_it_was)
        assert outbox.enqueue(deck.ledger) == 0


def test_a_removed_one_is_told_nothing_and_keeps_no_secret(deck: Deck, listener: Listener) -> None:
    webhook_id, secret = make(deck, listener.url)
    happens(deck.ledger)
    WebhookKeeper(deck).due()
    webhooks.remove(deck, webhook_id)
    deliver(deck)
    assert listener.received == []
    with pytest.raises(NotFound):
        webhooks.test(deck, webhook_id)
    with deck.ledger.transaction("look") as connection:
        row = connection.execute(sa.select(webhook_table)).one()
    assert secret not in str(row)
    assert "secret-path" not in str(row)


def test_what_administrators_do_has_its_head_beside_the_ledger(
    deck: Deck, listener: Listener
) -> None:
    webhook_id, _ = make(deck, listener.url)
    webhooks.enable(deck, webhook_id, False)
    webhooks.remove(deck, webhook_id)
    written = chain.lines(deck.ledger, action="webhook.", newest_first=False)
    outside = heads.in_file(deck.settings.home, deck.ledger)
    assert [(one.count, one.hash) for one in outside] == [(x.number, x.hash) for x in written]


def test_secrets_stand_neither_in_the_record_nor_in_logs_nor_on_pages(
    deck: Deck, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook_id, secret = make(deck, listener.url)
    listener.status = 500
    happens(deck.ledger)
    deliver(deck)
    webhooks.enable(deck, webhook_id, on=False)
    shown = str(webhooks.listed(deck)) + str(webhooks.history(deck, webhook_id))
    recorded = str(chain.lines(deck.ledger, limit=None))
    assert "webhook.made" in recorded
    assert "webhook.disabled" in recorded
    for text in (shown, recorded, caplog.text):
        assert secret not in text
        assert "secret-path" not in text
    assert "team" in shown  # the control: something is told


DEEDS: dict[str, Callable[[Deck, str, str], object]] = {
    "list": lambda deck, *_: webhooks.listed(deck),
    "history": lambda deck, one, _: webhooks.history(deck, one),
    "make": lambda deck, *_: webhooks.make(deck, "n", "http://127.0.0.1:9/", Shape.JSON, ALL),
    "test": lambda deck, one, _: webhooks.test(deck, one),
    "enable": lambda deck, one, _: webhooks.enable(deck, one, on=False),
    "redeliver": lambda deck, _, sent: webhooks.redeliver(deck, sent),
    "remove": lambda deck, one, _: webhooks.remove(deck, one),
}


@pytest.mark.parametrize("deck", ["sqlite"], indirect=True)
@pytest.mark.parametrize("deed", DEEDS)
def test_only_administrators_may(deck: Deck, listener: Listener, deed: str) -> None:
    webhook_id, _ = make(deck, listener.url)
    sent = webhooks.test(deck, webhook_id)
    other = replace(deck, actor=Actor("ada", "oidc", frozenset({"deciders"})))
    with pytest.raises(NotAllowed):
        DEEDS[deed](other, webhook_id, sent)
    assert chain.count(deck.ledger, actor="ada") == 0
    DEEDS[deed](replace(deck, actor=replace(other.actor, administrator=True)), webhook_id, sent)


@pytest.mark.parametrize("deck", ["sqlite"], indirect=True)
def test_what_cannot_be_used_is_refused(deck: Deck, listener: Listener) -> None:
    for name, url, actions, models in (
        ("", listener.url, ALL, "*"), ("n" * 201, listener.url, ALL, "*"),
        ("n", "ftp://h", ALL, "*"), ("n", listener.url, (), "*"),
        ("n", listener.url, ("else",), "*"), ("n", listener.url, ALL, ""),
        ("n\x00", listener.url, ALL, "*"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            webhooks.make(deck, name, url, Shape.JSON, actions, models)
    assert webhooks.listed(deck) == []


# ---------------------------------------------------------------------------------------- guards


@pytest.mark.parametrize("deck", ["sqlite"], indirect=True)
def test_without_the_setting_nothing_is_sent_to_this_machine(
    deck: Deck, listener: Listener
) -> None:
    closed = replace(deck, settings=deck.settings.model_copy(update={"webhook_networks": ()}))
    with pytest.raises(NotAllowed):
        make(closed, listener.url)
    webhook_id, _ = make(deck, listener.url)  # the control
    happens(deck.ledger)
    deliver(closed)  # the setting was taken away since
    assert listener.received == []
    (sent,) = webhooks.history(deck, webhook_id)
    assert "private network" in sent.message


def post(url: str, timeout: float = 10.0) -> int:
    return send(parse(url), b"{}", {}, LOOPBACK, timeout)


def answer_names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let names of example.com lead to ``addresses``, one question after the other; the names that
    were asked for."""
    real, asked, left = socket.getaddrinfo, [], list(addresses)

    def getaddrinfo(host: str, port: int, *more: Any, **named: Any) -> Any:
        if not host.endswith("example.com"):
            return real(host, port, *more, **named)
        asked.append(host)
        return real(left.pop(0), port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_the_name_is_resolved_once_and_that_address_is_connected_to(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = parse(listener.url).port
    asked = answer_names(monkeypatch, "127.0.0.1", "127.0.0.2")  # there, nobody listens
    assert post(f"http://hooks.example.com:{port}/x") == 200
    assert asked == ["hooks.example.com"]
    ((_, headers, _),) = listener.received
    assert headers["Host"] == f"hooks.example.com:{port}"


def test_asking_for_the_address_counts_as_time_too(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, given, connection = [0.0], [], sending._connection

    def slowly(seconds: float) -> Callable[..., str]:
        def resolve(*_: object) -> str:
            clock[0] += seconds
            return "127.0.0.1"

        return resolve

    def connected(target: Target, address: str, seconds: float) -> Any:
        given.append(seconds)
        return connection(target, address, seconds)

    fake = SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr(sending, "time", fake)
    monkeypatch.setattr(sending, "_connection", connected)
    monkeypatch.setattr(sending, "resolve", slowly(4.0))
    assert post(listener.url, 60.0) == 200
    assert given == [56.0]
    monkeypatch.setattr(sending, "resolve", slowly(60.0))
    with pytest.raises(Undelivered, match="in time"):
        post(listener.url, 60.0)
    assert len(given) == len(listener.received) == 1


def test_a_redirect_is_not_followed(listener: Listener) -> None:
    listener.status, listener.location = 307, listener.url
    with pytest.raises(Undelivered) as refused:
        post(listener.url)
    assert refused.value.status == 307
    assert len(listener.received) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 500, 199, 300])
def test_only_2xx_is_taken(listener: Listener, status: int) -> None:
    listener.status = status
    with pytest.raises(Undelivered):
        post(listener.url, 3.0)


def test_one_that_drips_is_cut_off(listener: Listener) -> None:
    def drip(answer: Any) -> None:
        out, over = answer
        while not over.wait(0.1):
            out.write(b"x")
            out.flush()

    listener.answer = drip
    begun = datetime.now(UTC)
    with pytest.raises(Undelivered, match="in time"):
        post(listener.url, 1.0)
    assert datetime.now(UTC) - begun < timedelta(seconds=20)


def test_of_a_long_answer_the_beginning_is_read(listener: Listener) -> None:
    written: list[int] = []

    def pour(answer: Any) -> None:
        out, over = answer
        while not over.is_set() and len(written) < 5_000:
            out.write(b"x" * 65_536)
            written.append(1)

    listener.answer = pour
    assert post(listener.url) == 200
    assert len(written) < 5_000


def test_no_proxy_and_no_stored_password_is_used(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (home / "netrc").write_text("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    assert post(listener.url) == 200
    ((_, headers, _),) = listener.received
    assert "Authorization" not in headers


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate for ``name``, and the file that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


def test_the_certificate_has_to_be_the_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, public = certificate(tmp_path, "hooks.example.com")
    for listener in serve(context):
        port = parse(listener.url).port
        answer_names(monkeypatch, *["127.0.0.1"] * 3)
        with pytest.raises(Undelivered, match="certificate"):  # nobody vouches for it
            post(f"https://hooks.example.com:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        with pytest.raises(Undelivered, match="certificate"):  # it is another name's
            post(f"https://other.example.com:{port}/")
        assert listener.received == []
        assert post(f"https://hooks.example.com:{port}/") == 200  # the control


def test_what_cannot_be_reached_says_so() -> None:
    with pytest.raises(Undelivered, match="refused"):
        post("http://127.0.0.1:9/")
    with pytest.raises(DeckError):
        post("http://nowhere.invalid/")
