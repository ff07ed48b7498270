"""Split PartiQL text into tokens, with the positions for error texts."""

from __future__ import annotations

import re

from atoll.expressions.splitting import Token, split

# Keywords: as names they must be quoted, in any letter case.
KEYWORDS = frozenset(
    """
    absolute action add all allocate alter and any are as asc assertion at authorization avg bag begin between bit
    bit_length blob bool boolean by cascade cascaded case cast catalog char char_length character character_length
    check clob close coalesce collate collation column commit conflict connect connection constraint constraints
    continue convert corresponding count create cross current current_date current_time current_timestamp
    current_user cursor date date_add date_diff deallocate dec decimal declare default deferrable deferred delete
    desc describe descriptor diagnostics disconnect distinct do domain double drop else end escape except exception
    exec execute exists external extract false fetch first float for foreign found from full get global go goto grant
    group having identity immediate in index indicator initially inner input insensitive insert int integer intersect
    interval into is isolation join key language last left let level like limit list local lower match max min missing
    modified module names national natural nchar new next no not nothing null nullif numeric octet_length of old on
    only open option or order outer output overlaps pad partial pivot position precision prepare preserve primary
    prior privileges procedure public read real references relative remove restrict returning revoke right rollback
    rows schema scroll section select session session_user set sexp size smallint some space sql sqlcode sqlerror
    sqlstate string struct substring sum symbol system_user table temporary then time timestamp to transaction
    translate translation trim true tuple union unique unknown unpivot update upper usage user using value values
    varchar varying view when whenever where with work write zone
    """.split()
)

_scan = re.compile(
    r"""
    (?P<string>    '(?:[^']|'')*' )
  | (?P<quoted>    "(?:[^"]|"")*" )
  | (?P<cut>       (?: [0-9]+ (?:\.[0-9]*)? | \.[0-9]+ ) [eE] [+-]? (?![+\-0-9]) )
  | (?P<number>    (?: [0-9]+ (?:\.[0-9]*)? | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? )
  | (?P<name>      [A-Za-z_$][A-Za-z0-9_$]* )
  | (?P<ion>       `[^`]*` )
  | (?P<space>     (?: [ \t\r\n]+ | --[^\n]* | /\*.*?\*/ )+ )
  | (?P<open>      /\*.* )
  | (?P<symbol>    << | >> | <= | >= | <> | != | \|\| | [-+*/%=<>()\[\]{},.:;?@] )
  | (?P<other>     . )
    """,
    re.VERBOSE | re.DOTALL,
).finditer


def tokens(text: str) -> list[Token]:
    """Always ends with a token of the kind `end`. The kind of a keyword is its upper-case text."""
    return split(text, _scan, _kind, ("end", ""))


def _kind(group: str, text: str) -> str:
    if group in ("open", "cut"):  # a comment without an end, a number without its exponent
        return "other"
    return text.upper() if group == "name" and text.lower() in KEYWORDS else group


def name_of(token: Token) -> str:
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


def place(text: str, token: Token) -> str:
    """line:column:length, both from 1."""
    line = text.count("\n", 0, token.start) + 1
    column = token.start - (text.rfind("\n", 0, token.start) + 1) + 1
    return f"{line}:{column}:{len(token.text)}"
