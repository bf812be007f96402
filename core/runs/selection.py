"""Many run ids as text that is short enough for a tag or a link."""

import base64
import binascii
import re
import zlib
from collections.abc import Sequence

_USUAL = re.compile(r"[0-9a-f]{32}")
_BYTES = 16


def pack(run_ids: Sequence[str]) -> str:
    """Run ids, in order, as letters, digits, ``+``, ``/`` and ``=``.

    The usual id, 32 hexadecimal digits, takes 21 1/3 characters; others are compressed as text.
    """
    if all(_USUAL.fullmatch(i) for i in run_ids):
        return "h" + base64.b64encode(bytes.fromhex("".join(run_ids))).decode()
    return "z" + base64.b64encode(zlib.compress("\n".join(run_ids).encode())).decode()


def unpack(text: str, most: int = 1_000_000) -> list[str]:
    """The run ids that ``pack`` made ``text`` from.

    Args:
        most: characters that the ids may have together; what would grow beyond is refused.

    Raises:
        ValueError: ``text`` is not from ``pack``, or it was damaged.
    """
    try:
        raw = base64.b64decode(text[1:], validate=True)
        if text[:1] == "h" and len(raw) % _BYTES == 0:
            return [raw[i : i + _BYTES].hex() for i in range(0, len(raw), _BYTES)]
        if text[:1] == "z":
            opened = zlib.decompressobj()
            lines = opened.decompress(raw, most)
            if not opened.eof:
                raise ValueError("too long or cut off")
            return lines.decode().split("\n")
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    raise ValueError("not packed run ids")


def pieces(text: str, length: int) -> list[str]:
    """``text`` cut into pieces of at most ``length`` characters."""
    return [text[i : i + length] for i in range(0, len(text), length)]
