"""Documents are found by the first of their names, in the order of their names, whatever characters these have."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from atoll.database import documents
from atoll.database import format as fmt
from atoll.storage.engine import Snapshot, Transaction
from atoll.storage.memory import MemoryEngine

NAMES = st.lists(st.text(st.characters(max_codepoint=300, exclude_categories=["Cs"]), max_size=4), min_size=1)


@given(NAMES, NAMES)
def test_names_are_read_back_and_sort_as_their_bytes(one: list[str], other: list[str]) -> None:
    keys = [fmt.document_key(*names) for names in (one, other)]
    assert [list(fmt.parse_document_key(key)) for key in keys] == [one, other]
    encoded = [[name.encode() for name in names] for names in (one, other)]
    assert (keys[0] < keys[1]) == (encoded[0] < encoded[1])


def test_documents_of_a_kind_are_listed_by_their_first_names() -> None:
    stored = [("a", "1"), ("a", "2"), ("a\0", "1"), ("ab", "1"), ("b", "1")]

    def write(tx: Transaction) -> None:
        for names in stored:
            documents.put(tx, list(names), "kind", *names)
        documents.put(tx, ["other"], "kind2", "a", "1")
        documents.put(tx, ["gone"], "kind", "b", "0")
        documents.delete(tx, "kind", "b", "0")

    def read(snapshot: Snapshot) -> None:
        assert list(documents.listed(snapshot, "kind")) == [list(names) for names in stored]
        assert list(documents.listed(snapshot, "kind", "a")) == [["a", "1"], ["a", "2"]]
        assert list(documents.listed(snapshot, "kind", after=("a", "2"))) == [list(names) for names in stored[2:]]
        assert documents.get(snapshot, "kind", "ab", "1") == ["ab", "1"]
        assert documents.get(snapshot, "kind", "ab") is None

    async def scenario() -> None:
        engine = MemoryEngine()
        await engine.transact(write)
        await engine.read(read)

    asyncio.run(scenario())
