"""The service's answers to statements whose meaning PartiQL and the service's guide leave open."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.partiql.conftest import Partiql

NWF = "Statement wasn't well formed, can't be processed: "
NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"
SEVERAL = (
    "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
)


@pytest.fixture
def wide(service: Any) -> Partiql:
    """A table with an index of two partition attributes."""
    keys = [{"AttributeName": name, "KeyType": "HASH"} for name in ("h1", "h2")]
    index = {"IndexName": "wide", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
    service.table(types={"h1": "S", "h2": "S"}, GlobalSecondaryIndexes=[index])
    service.put_item(TableName="Things", Item={name: {"S": "a"} for name in ("pk", "h1", "h2")})
    return Partiql(service)


@pytest.fixture
def things(service: Any) -> Partiql:
    service.table()
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "b": {"S": "b"}, "c": {"N": "0"}})
    return Partiql(service)


FROM = """FROM "Things" WHERE pk='a' SET c = 1 REMOVE b"""
CHANGED = {"pk": {"S": "a"}, "c": {"N": "1"}}


class TestFromFirstUpdate:
    def test_it_changes_an_item(self, things: Partiql) -> None:
        assert things.items(f"{FROM} RETURNING ALL NEW *") == [CHANGED]
        assert things.items("SELECT * FROM Things") == [CHANGED]

    def test_it_takes_parameters_and_lower_case(self, things: Partiql) -> None:
        things.execute("from Things where pk = ? set c = ? remove b", {"S": "a"}, {"N": "1"})
        assert things.items("SELECT * FROM Things") == [CHANGED]

    def test_it_runs_in_batches_and_transactions(self, things: Partiql) -> None:
        assert things.batch(FROM)["Responses"] == [{"TableName": "Things"}]
        assert things.transact(FROM)["Responses"] == []
        assert things.items("SELECT * FROM Things") == [CHANGED]

    @pytest.mark.parametrize(
        "where", ["pk='none'", "pk='a' AND c = 5"], ids=["an absent item", "a condition that fails"]
    )
    def test_it_needs_an_item_that_matches(self, things: Partiql, where: str) -> None:
        refused = things.refused(things.execute, f"FROM Things WHERE {where} SET c = 1")
        assert refused.code == "ConditionalCheckFailedException"

    @pytest.mark.parametrize("where", ["", "WHERE c = 1"])
    def test_it_needs_the_key(self, things: Partiql, where: str) -> None:
        assert things.refused(things.execute, f"FROM Things {where} SET c = 1").message == NO_KEY

    def test_its_table_may_be_absent(self, things: Partiql) -> None:
        refused = things.refused(things.execute, "FROM Elsewhere WHERE pk='a' SET c = 1")
        assert (refused.code, refused.message) == ("ResourceNotFoundException", "Requested resource not found")


class TestIndexes:
    def test_an_unknown_index_is_not_named(self, things: Partiql) -> None:
        for more in ({}, {"ConsistentRead": True}):
            refused = things.refused(things.execute, """SELECT * FROM Things."none" WHERE pk = 'a'""", **more)
            assert refused.message == "The table does not have the specified index"

    @pytest.mark.parametrize(
        "where", ["", " WHERE h1 = 'a' AND h2 = 'a'", " WHERE h1 = 1", " WHERE pk = 'a' ORDER BY h1"]
    )
    def test_an_index_of_several_partition_attributes_is_not_read(self, wide: Partiql, where: str) -> None:
        assert wide.refused(wide.execute, f"""SELECT * FROM Things."wide"{where}""").message == SEVERAL

    @pytest.mark.parametrize(
        "statement",
        ["SELECT COUNT(*) FROM {}", "SELECT a, a FROM {}", "SELECT m.* FROM {}", "SELECT * FROM {} ORDER BY 'a'"],
    )
    def test_it_is_refused_before_an_invalid_select(self, wide: Partiql, statement: str) -> None:
        named = statement.format('Things."wide"')
        assert wide.refused(wide.execute, named).message == SEVERAL
        [answer] = wide.batch(named)["Responses"]
        assert answer["Error"]["Message"] == SEVERAL
        assert wide.refused(wide.execute, statement.format("Things")).message not in (None, SEVERAL)

    def test_it_is_refused_after_syntax_and_parameters(self, wide: Partiql) -> None:
        assert wide.refused(wide.execute, 'SELECT COUNT(*) FROM Things."wide" WHERE').message == f"{NWF}Unexpected term"
        bad = wide.refused(wide.execute, 'SELECT COUNT(*) FROM Things."wide" WHERE h1 = ?', {"N": "x"})
        assert bad.message == "The parameter cannot be converted to a numeric value: x"

    def test_a_batch_refuses_its_statement_only(self, wide: Partiql) -> None:
        answer = wide.batch("""SELECT * FROM Things."wide" WHERE h1='a'""", "SELECT pk FROM Things WHERE pk = 'a'")
        assert [response.get("Error", {}).get("Message") for response in answer["Responses"]] == [SEVERAL, None]

    def test_its_table_is_read_and_written(self, wide: Partiql) -> None:
        wide.execute("UPDATE Things SET c = 1 WHERE pk = 'a'")
        assert wide.items("SELECT c FROM Things WHERE pk = 'a'") == [{"c": {"N": "1"}}]


class TestTransactions:
    def test_a_malformed_statement_has_its_position(self, things: Partiql) -> None:
        refused = things.refused(things.transact, "SELECT * FROM Things WHERE pk = 'a'", "SELECT")
        assert refused.message == f"Validation failed in TransactStatements[1]: {NWF}Unexpected term"

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({"N": "1e99999999999"}, "The parameter cannot be converted to a numeric value: 1e99999999999"),
            ({"SS": []}, "One or more parameter values were invalid: An string set  may not be empty"),
        ],
    )
    def test_a_bad_parameter_has_none(self, things: Partiql, value: Any, message: str) -> None:
        statement = {"Statement": "UPDATE Things SET c = ? WHERE pk = 'a'", "Parameters": [value]}
        assert things.refused(things.transact, statement).message == message


class TestOverlaps:
    @pytest.fixture
    def sorted_(self, service: Any) -> Partiql:
        service.table(sort="S")
        for sk in ("1", "2"):
            service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "sk": {"S": sk}, "x": {"S": sk}})
        return Partiql(service)

    @pytest.mark.parametrize(
        "where",
        [
            "pk='a' AND sk='1' OR pk='a' AND sk='1'",
            "pk='a' AND x='1' OR pk='a' AND sk='2'",
            "pk='a' AND x<>'1' OR pk='a' AND sk='2'",
            "pk='a' AND sk>'1' OR pk='a' AND sk>'1' AND x='1'",
        ],
    )
    def test_alternatives_on_one_part_of_a_partition_are_refused(self, sorted_: Partiql, where: str) -> None:
        refused = sorted_.refused(sorted_.execute, f"SELECT * FROM Things WHERE {where}")
        assert refused.message == "Overlapping conditions with range keys are not supported in where clause"

    @pytest.mark.parametrize(
        ("where", "count"),
        [
            ("pk='a' AND sk='1' OR pk='a' AND sk='2'", 2),
            ("pk='a' AND sk='1' OR pk='b' AND sk='1'", 1),
            ("pk='a' AND sk<>'1' OR pk='a' AND x='1'", 2),
            ("pk='a' AND x='1' OR pk='a' AND x='2'", 2),
        ],
    )
    def test_other_alternatives_are_read(self, sorted_: Partiql, where: str, count: int) -> None:
        assert len(sorted_.items(f"SELECT * FROM Things WHERE {where}")) == count
