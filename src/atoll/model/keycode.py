"""Encodes keys (S, N and B values) as bytes that sort like the values, even when several components are concatenated.
Each component is self-delimiting, and none is a prefix of another, so a key is the plain concatenation.

    S, B    the bytes, with 00 written as 01 01 and 01 written as 01 02, then 00
    N       DynamoDB's own binary form of a number, then 00

The binary form of a number uses base 100. For a number 0.d1 d2 d3 ... * 100^e, where the first and the last d are not
zero, it is in hexadecimal:

    positive    C0 + e, then d + 1 for each d
    zero        80
    negative    3F - e, then 65 - d for each d, then 66 unless there are 20 digits, the maximum

A positive number sorts after any number whose digits are a prefix of its own. A negative one sorts before it, since 66
is above every digit.

A table's items are sorted by the hash of their partition key: `partition_hash`.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable

try:
    # Python's own MD5: it hashes a key in half the time of OpenSSL's, whose objects cost more than the hashing.
    from _md5 import md5  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from hashlib import md5

_END = b"\x00"
_MAX_PAIRS = 20

# From two decimal digits in a byte, as read by bytes.fromhex, to the encoded base-100 digit; and back.
_PAIRS = [(tens << 4 | ones, tens * 10 + ones) for tens in range(10) for ones in range(10)]
_POSITIVE = bytes.maketrans(bytes(bcd for bcd, _ in _PAIRS), bytes(d + 0x01 for _, d in _PAIRS))
_NEGATIVE = bytes.maketrans(bytes(bcd for bcd, _ in _PAIRS), bytes(0x65 - d for _, d in _PAIRS))
_FROM_POSITIVE = bytes.maketrans(bytes(d + 0x01 for _, d in _PAIRS), bytes(bcd for bcd, _ in _PAIRS))
_FROM_NEGATIVE = bytes.maketrans(bytes(0x65 - d for _, d in _PAIRS), bytes(bcd for bcd, _ in _PAIRS))

# Raw: the bytes of a value, neither ordered nor self-delimiting


def raw_encoder(kind: str) -> Callable[[str], bytes]:
    """The function that returns the bytes of a value of type `kind` for a partition hash."""
    return _RAW[kind]


def raw_s(text: str) -> bytes:
    return text.encode()


def raw_b(text: str) -> bytes:
    return a2b_base64(text)


def raw_n(text: str) -> bytes:
    """`text` must be a canonical number."""
    if text == "0":
        return b"\x80"
    negative = text[0] == "-"
    whole, _, fraction = (text[1:] if negative else text).partition(".")
    if len(whole) % 2:
        whole = "0" + whole
    if len(fraction) % 2:
        fraction += "0"
    digits = bytes.fromhex(whole + fraction)
    significant = digits.lstrip(b"\x00")
    exponent = len(whole) // 2 - len(digits) + len(significant)
    significant = significant.rstrip(b"\x00")
    if not negative:
        return bytes((0xC0 + exponent,)) + significant.translate(_POSITIVE)
    end = b"" if len(significant) == _MAX_PAIRS else b"\x66"
    return bytes((0x3F - exponent,)) + significant.translate(_NEGATIVE) + end


_RAW: dict[str, Callable[[str], bytes]] = {"S": raw_s, "N": raw_n, "B": raw_b}

# Encode


def encoder(kind: str) -> Callable[[str], bytes]:
    """The function that encodes the content of a value of type `kind` ("S", "N" or "B") as a component."""
    return _ENCODERS[kind]


def encode_s(text: str) -> bytes:
    return text.encode().replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01") + _END


def encode_n(text: str) -> bytes:
    return raw_n(text) + _END


def encode_b(text: str) -> bytes:
    return _escape(a2b_base64(text)) + _END


def _escape(data: bytes) -> bytes:
    return data.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")


_ENCODERS: dict[str, Callable[[str], bytes]] = {"S": encode_s, "N": encode_n, "B": encode_b}

# Ranges


def prefix_encoder(kind: str) -> Callable[[str], bytes]:
    """The function that encodes a prefix of S or B values: a value begins with `x` if and only if its component begins
    with `prefix(x)`."""
    return _PREFIXES[kind]


def prefix_s(text: str) -> bytes:
    return _escape(text.encode())


def prefix_b(text: str) -> bytes:
    return _escape(a2b_base64(text))


_PREFIXES: dict[str, Callable[[str], bytes]] = {"S": prefix_s, "B": prefix_b}


def successor(prefix: bytes) -> bytes:
    """The smallest key greater than all keys that begin with `prefix`. `prefix` must not be all FF."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,))


HASH_BYTES = 8


def partition_hash(raw: bytes) -> bytes:
    """The eight-byte hash that orders the partition keys of a table, from the concatenated raw keys.

    The order is DynamoDB's, as far as known: Scans of tables with few items return the same order.
    """
    digest: bytes = md5(b"Outliers" + raw, usedforsecurity=False).digest()
    return digest[:HASH_BYTES]


# Decode


def partition_encoder(kind: str) -> Callable[[str], bytes]:
    """The function that returns the hash and the component of a value that is the whole partition key."""
    if kind == "S":
        return partition_s
    raw, encode = raw_encoder(kind), encoder(kind)
    return lambda content: partition_hash(raw(content)) + encode(content)


def partition_s(text: str) -> bytes:
    raw = text.encode()
    return partition_hash(raw) + _escape(raw) + _END


def decode(key: bytes, kinds: str, start: int = 0) -> tuple[list[str], int]:
    """Decode the components of `key` from `start` on, one for each letter of `kinds`. Returns their contents and the
    end position."""
    contents = []
    for kind in kinds:
        # The first byte of a number may be 00.
        end = key.index(_END, start + (kind == "N"))
        contents.append(_DECODERS[kind](key[start:end]))
        start = end + 1
    return contents, start


def _unescape(data: bytes) -> bytes:
    return data.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")


def _decode_s(data: bytes) -> str:
    return _unescape(data).decode()


def _decode_b(data: bytes) -> str:
    return b2a_base64(_unescape(data), newline=False).decode()


def _decode_n(data: bytes) -> str:
    if data == b"\x80":
        return "0"
    negative = data[0] < 0x80
    exponent = 0x3F - data[0] if negative else data[0] - 0xC0
    pairs = data[1:].rstrip(b"\x66").translate(_FROM_NEGATIVE) if negative else data[1:].translate(_FROM_POSITIVE)
    digits = pairs.hex()
    point = 2 * exponent
    digits = digits.rjust(len(digits) - point, "0") if point < 0 else digits.ljust(point, "0")
    whole, fraction = digits[: max(point, 0)].lstrip("0"), digits[max(point, 0) :].rstrip("0")
    return ("-" if negative else "") + (whole or "0") + ("." + fraction if fraction else "")


_DECODERS: dict[str, Callable[[bytes], str]] = {"S": _decode_s, "N": _decode_n, "B": _decode_b}
