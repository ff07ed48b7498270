"""Replace real values by made-up ones. Pure: the same value and secret key give the same fake, in every table.

A fake is derived from an HMAC of the value, so without the key nobody can find the value behind it, or test a guess.
"""

from __future__ import annotations

import hmac
import string
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

Value = dict[str, Any]

HASH_CHARACTERS = 32
NUMBER_DIGITS = 30
TAG_CHARACTERS = 20
"""The bytes of a tag: enough that fakes of billions of values differ."""

_FIRST = (
    "Ada Alan Amara Anna Ben Bruno Carla Chen Clara David Dina Elena Emil Emma Farid Felix Fatima Grace Hana Hugo "
    "Ida Ines Ivan Jana Jonas Julia Kai Karim Laura Leo Lena Liam Lina Luca Maria Marta Max Mei Mila Nadia Nina "
    "Noah Nora Omar Oscar Paul Petra Priya Rafael Rosa Ruth Samir Sara Sofia Theo Tom Vera Viktor Yuki Zoe"
).split()
_LAST = (
    "Abbott Adler Ahmed Baker Bauer Becker Berg Bianchi Brown Castro Chen Costa Cruz Dubois Evans Fischer Fontaine "
    "Garcia Gomez Gruber Hansen Haas Ito Ivanov Jansen Jensen Kaya Keller Khan Klein Kowalski Kumar Lang Larsen "
    "Lopez Martin Meyer Mori Moreau Nguyen Novak Olsen Park Patel Petrov Reyes Rossi Sato Schmid Silva Singh Smith "
    "Sousa Suzuki Tanaka Vogel Weber Wolf Yilmaz Young"
).split()
_STREETS = (
    "Acacia Avenue|Bridge Street|Castle Road|Cedar Lane|Chapel Street|Church Road|Elm Street|Garden Street|Green Lane|"
    "Harbour Road|High Street|Hill Street|King Street|Lake Road|Lime Street|Main Street|Maple Avenue|Market Street|"
    "Mill Lane|North Street|Oak Street|Orchard Road|Park Avenue|Pine Street|Queen Street|River Road|School Lane|"
    "South Street|Station Road|Valley Road|Victoria Road|Water Lane|West Street|Willow Way|Windmill Hill|Wood Lane"
).split("|")
_CITIES = (
    "Ashford Bayview Brookfield Cliffside Crestwood Dunmore Eastbrook Fairview Glenwood Greenfield Harborview "
    "Hillcrest Kingsbury Lakeside Lindenhof Marlow Millbrook Newport Northfield Oakdale Pinehurst Redwood Riverton "
    "Rosewood Seaford Silverton Southgate Springfield Stonebridge Thornton Westfield Whitmore Winfield Woodside"
).split()
_COMPANIES = "Works Labs Group Trading Systems Foods Media Partners Supply Services".split()
_WORDS = (
    "amber anchor apple autumn basket birch blue bridge candle cedar cloud copper coral dawn delta ember falcon "
    "fern field forest garden glass harbor hazel honey island ivory jade lake lantern leaf lemon maple marble "
    "meadow mint moon moss north ocean olive orange paper pearl pine plum quartz rain raven river rose sage sand "
    "silver snow spring stone summer sun thistle tiger valley violet water willow wind winter"
).split()


class Drawn:
    """Pseudorandom numbers for a value, the same ones each time."""

    def __init__(self, key: bytes, purpose: str, value: bytes) -> None:
        self._key = key
        self._seed = hmac.digest(key, purpose.encode() + b"\0" + value, "sha256")
        self._count = 0

    @property
    def tag(self) -> str:
        """A text that differs for different values."""
        return self._seed.hex()[:TAG_CHARACTERS]

    def below(self, bound: int) -> int:
        self._count += 1
        return int.from_bytes(hmac.digest(self._key, self._seed + self._count.to_bytes(4, "big"), "sha256")) % bound

    def one(self, of: list[str]) -> str:
        return of[self.below(len(of))]

    def bytes(self, count: int) -> bytes:
        return bytes(self.below(256) for _ in range(count))


def _email(drawn: Drawn, text: str) -> str:
    return f"{drawn.one(_FIRST)}.{drawn.one(_LAST)}.{drawn.tag}@example.com".lower()


def _phone(drawn: Drawn, text: str) -> str:
    return f"+1 555 {drawn.below(900) + 100} {drawn.below(10_000):04d}"


def _uuid(drawn: Drawn, text: str) -> str:
    digits = drawn.bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _shape(drawn: Drawn, text: str) -> str:
    """Replace digits and letters by others; the rest stays."""
    return "".join(_like(drawn, character, first=at == 0) for at, character in enumerate(text))


def _like(drawn: Drawn, character: str, *, first: bool) -> str:
    if character.isdecimal():
        return str(drawn.below(9) + 1 if first and character != "0" else drawn.below(10))
    if character.isalpha():
        letter = string.ascii_lowercase[drawn.below(26)]
        return letter.upper() if character.isupper() else letter
    return character


FAKES: dict[str, Callable[[Drawn, str], str]] = {
    "name": lambda drawn, _: f"{drawn.one(_FIRST)} {drawn.one(_LAST)}",
    "first-name": lambda drawn, _: drawn.one(_FIRST),
    "last-name": lambda drawn, _: drawn.one(_LAST),
    "email": _email,
    "phone": _phone,
    "street": lambda drawn, _: f"{drawn.below(199) + 1} {drawn.one(_STREETS)}",
    "city": lambda drawn, _: drawn.one(_CITIES),
    "company": lambda drawn, _: f"{drawn.one(_LAST)} {drawn.one(_COMPANIES)}",
    "ip": lambda drawn, _: f"198.18.{drawn.below(256)}.{drawn.below(254) + 1}",
    "text": lambda drawn, text: " ".join(drawn.one(_WORDS) for _ in text.split()),
    "uuid": _uuid,
    "shape": _shape,
}
UNIQUE = {"email", "uuid"}
"""The kinds of fakes that differ for different strings."""


def fake(key: bytes, kind: str, value: Value) -> Value | None:
    """The fake of a value that is neither a map nor a list nor a set. Numbers and binary values keep their shape."""
    ((type_, content),) = value.items()
    if type_ not in ("S", "N", "B"):
        return None if type_ == "BOOL" else value
    drawn = Drawn(key, kind, _bytes(type_, content))
    if type_ == "B":
        return {"B": b64encode(drawn.bytes(len(b64decode(content)))).decode()}
    return {type_: FAKES[kind](drawn, content) if type_ == "S" else _number(drawn, content)}


def _number(drawn: Drawn, content: str) -> str:
    digits, exponent, power = content.partition("E" if "E" in content else "e")
    return _shape(drawn, digits) + exponent + power


def _bytes(type_: str, content: str) -> bytes:
    """The bytes of a value, the same for equal values: 5 and 5.0 are the same number."""
    if type_ == "N":
        with suppress(ArithmeticError):  # the text is no number: the table will refuse it
            content = str(Decimal(content).normalize())
    return f"{type_}:{content}".encode()


def hashed(key: bytes, value: Value) -> Value | None:
    """The keyed hash of a value, of the same type. Booleans have none: with two values, a hash hides nothing."""
    ((type_, content),) = value.items()
    if type_ not in ("S", "N", "B"):
        return None if type_ == "BOOL" else value
    digest = hmac.digest(key, _bytes(type_, content), "sha256")
    if type_ == "S":
        return {"S": digest.hex()[:HASH_CHARACTERS]}
    if type_ == "B":
        return {"B": b64encode(digest).decode()}
    return {"N": str(int.from_bytes(digest) % 10**NUMBER_DIGITS)}
