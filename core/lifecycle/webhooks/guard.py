"""Where a webhook may lead: addresses of the open internet, and networks that a setting names.

A host name is resolved once, and what it was resolved to is what is connected to: a name server
that answers otherwise a moment later is not asked.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import InvalidInput, NotAllowed
from core.mlflow_api.pool import ContextPool
from core.texts import t

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_RESOLVE_SECONDS = 5.0
_LONGEST = 2_000
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_CLOUD = (ipaddress.ip_address("168.63.129.16"),)
"""Addresses by which a cloud's machines ask their host, and which look like any other."""
_resolvers = ContextPool(4, "webhook-resolver")


@dataclass(frozen=True)
class Target:
    """A checked URL."""

    scheme: str
    host: str
    port: int
    path: str
    """With its query."""

    @property
    def shown(self) -> str:
        """The part that may be seen: the path and the query of a chat's webhook are a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}/…"


def parse(url: str) -> Target:
    """A URL as its parts.

    Raises:
        InvalidInput: not http or https, no host, a name and password in it, or characters that do
            not belong there.
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
    except (ValueError, UnicodeError):
        raise InvalidInput(t("webhooks.bad_url"), field="url") from None
    plain = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
    if not plain or len(text) > _LONGEST or port == 0:
        raise InvalidInput(t("webhooks.bad_url"), field="url")
    if parts.scheme not in _PORTS or not host:
        raise InvalidInput(t("webhooks.bad_url"), field="url")
    if "@" in parts.netloc:
        raise InvalidInput(t("webhooks.user_info"), field="url")
    path = parts.path or "/"
    return Target(
        parts.scheme,
        host,
        _PORTS[parts.scheme] if port is None else port,
        f"{path}?{parts.query}" if parts.query else path,
    )


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Networks that the settings name, which have checked them."""
    return tuple(ipaddress.ip_network(name) for name in names)


def allowed(address: Address, extra: Sequence[Network]) -> bool:
    """Whether an address may be connected to.

    An IPv6 address that stands for an IPv4 address is judged by both.
    """
    forms = [address, *_inside(address)]
    if any(form.version == net.version and form in net for form in forms for net in extra):
        return True
    return all(_is_open(form) for form in forms)


def resolve(target: Target, extra: Sequence[Network]) -> str:
    """The one address to connect to.

    Raises:
        NotAllowed: the name leads, by one of its addresses, to where nothing is sent.
        InvalidInput: there is no such host.
    """
    try:
        found = _resolvers.submit(
            socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM
        ).result(_RESOLVE_SECONDS)
    except (OSError, UnicodeError, TimeoutError):
        raise InvalidInput(t("webhooks.no_host"), field="url") from None
    # A scope ("%eth0") belongs to link-local addresses alone.
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    if not addresses or not all(allowed(address, extra) for address in addresses):
        raise NotAllowed(t("webhooks.not_allowed"), t("webhooks.not_allowed_next"))
    return str(addresses[0])


def _is_open(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not getattr(address, "is_site_local", False)
        and address not in _CLOUD
    )


def _inside(address: Address) -> list[Address]:
    """IPv4 addresses that an IPv6 address carries in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address.teredo is not None:
        found += address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]
