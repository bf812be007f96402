"""Where a webhook may lead: addresses of the open internet, and networks that a setting names.

A host name is resolved once, and what it was resolved to is what is connected to: a name server
that answers otherwise a moment later is not asked.
"""

import ipaddress
import re
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
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_MACHINES = tuple(
    ipaddress.IPv4Network(name)
    for name in ("168.63.129.16/32", "192.0.0.0/24")  # by which a cloud's machines ask their host
)
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
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host):
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
    """Whether an address may be connected to; of one that stands for an IPv4 address, whether that
    may be."""
    meant = _meant(address)
    if any(one.version == net.version and one in net for one in (address, meant) for net in extra):
        return True
    if isinstance(meant, ipaddress.IPv6Address):
        tunnel = meant.sixtofour is not None or meant.teredo is not None
        return meant.is_global and meant in _UNICAST and not tunnel
    special = meant.is_multicast or meant.is_reserved or any(meant in net for net in _MACHINES)
    return meant.is_global and not special


def resolve(target: Target, extra: Sequence[Network], seconds: float = _RESOLVE_SECONDS) -> str:
    """The one address to connect to.

    Args:
        seconds: how long a name server may take, at most.

    Raises:
        NotAllowed: the name leads, by one of its addresses, to where nothing is sent.
        InvalidInput: there is no such host.
    """
    try:
        found = _resolvers.submit(
            socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM
        ).result(min(seconds, _RESOLVE_SECONDS))
    except (OSError, UnicodeError, TimeoutError):
        raise InvalidInput(t("webhooks.no_host"), field="url") from None
    # A scope ("%eth0") belongs to link-local addresses alone.
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    if not addresses or not all(allowed(address, extra) for address in addresses):
        raise NotAllowed(t("webhooks.not_allowed"), t("webhooks.not_allowed_next"))
    return str(addresses[0])


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for; else itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
