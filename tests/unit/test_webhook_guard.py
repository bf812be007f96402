"""Where webhooks may lead: every address that is not open is refused, and resolved once."""

import ipaddress
import socket

import pytest

from core.errors import DeckError, InvalidInput, NotAllowed
from core.lifecycle.webhooks import guard
from core.lifecycle.webhooks.guard import Target, allowed, networks, parse, resolve
from core.settings import BadSetting, load

CLOSED = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::1",
)  # fmt: skip
OPEN = ("8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", CLOSED)
def test_closed_addresses_are_refused(address: str) -> None:
    assert not allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", OPEN)
def test_open_addresses_are_not(address: str) -> None:
    assert allowed(ipaddress.ip_address(address), ())


def test_a_network_of_the_settings_is_opened_and_no_other() -> None:
    extra = networks(["10.1.0.0/16", "fd00::/64"])
    for address, fine in (
        ("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.2.0.1", False), ("fd00::5", True),
        ("fd00:0:0:1::5", False), ("127.0.0.1", False),
    ):  # fmt: skip
        assert allowed(ipaddress.ip_address(address), extra) == fine, address


def test_a_setting_that_is_no_network_is_refused_at_the_start() -> None:
    with pytest.raises(BadSetting, match="MODELDECK_WEBHOOK_NETWORKS"):
        load({"MODELDECK_WEBHOOK_NETWORKS": "10.0.0.0/8,10.0.0.1/8"})
    assert load({"MODELDECK_WEBHOOK_NETWORKS": "10.0.0.0/8, ::1"}).webhook_networks


@pytest.mark.parametrize(
    "url",
    ["", "hook", "//h/x", "ftp://h/x", "file:///etc/passwd", "gopher://h", "http://", "https:///x",
     "http://h:0/", "http://h:99999/", "http://h:x/", "http://[::1", "http://h /x", "http://h\n/x",
     "http://h/\r\nHost: x", "http://h\\@evil/", "http://ada:pw@h/", "http://@h/", "http://h/ä",
     "http://ä/", "http://a*b/", "http://a`b/", "http://[fe80::1%25eth0]/",
     "javascript:alert(1)", "http://h/" + "x" * 2_000, "http://" + "x" * 70 + ".de/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse(url)


def test_an_address_is_taken_apart_and_shown_without_its_secret() -> None:
    found = parse(" https://Hooks.Example.com/services/T0/B0/secret?sig=very ")
    assert found == Target("https", "hooks.example.com", 443, "/services/T0/B0/secret?sig=very")
    assert found.shown == "https://hooks.example.com/…"
    assert parse("http://[::1]:8080").shown == "http://[::1]:8080/…"


Answers = list[list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What a name server answers, one list of addresses a question."""
    answers: Answers = []

    def getaddrinfo(_host: str, port: int, **_: object) -> list[object]:
        found = answers.pop(0)
        if not found:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(guard.socket, "getaddrinfo", getaddrinfo)
    return answers


def test_one_closed_address_among_several_closes_the_name(
    names: Answers,
) -> None:
    target = parse("https://hooks.example.com/")
    names += [["8.8.8.8", "10.0.0.1"], ["8.8.8.8", "8.8.4.4"], [], ["fe80::1%eth0"]]
    with pytest.raises(NotAllowed):
        resolve(target, ())
    assert resolve(target, ()) == "8.8.8.8"  # the control
    with pytest.raises(InvalidInput):
        resolve(target, ())
    with pytest.raises(DeckError):
        resolve(target, ())


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "localhost"])
def test_other_ways_to_write_this_machine_are_refused_too(host: str) -> None:
    with pytest.raises((NotAllowed, InvalidInput)):
        resolve(parse(f"http://{host}/"), ())
