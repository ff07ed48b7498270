"""PynamoDB: models with every attribute type, indexes, versions, transactions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.attributes import (
    BinaryAttribute,
    BinarySetAttribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NullAttribute,
    NumberAttribute,
    NumberSetAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import (
    DeleteError,
    DoesNotExist,
    GetError,
    PutError,
    QueryError,
    TableDoesNotExist,
    TransactWriteError,
    UpdateError,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection, LocalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

from tests.programs.endpoint import Endpoint

REGION = "eu-west-1"


class Lot(MapAttribute):
    price = NumberAttribute()
    notes = ListAttribute(of=UnicodeAttribute, null=True)


class ByAuthor(GlobalSecondaryIndex):
    class Meta:
        index_name = "by-author"
        projection = AllProjection()

    author = UnicodeAttribute(hash_key=True)
    views = NumberAttribute(range_key=True)


class ByViews(LocalSecondaryIndex):
    class Meta:
        index_name = "by-views"
        projection = IncludeProjection(["author"])

    forum = UnicodeAttribute(hash_key=True)
    views = NumberAttribute(range_key=True)


class Thread(Model):
    class Meta:
        table_name = "Thread"
        billing_mode = "PAY_PER_REQUEST"

    forum = UnicodeAttribute(hash_key=True)
    subject = UnicodeAttribute(range_key=True)
    author = UnicodeAttribute(default="nobody")
    views = NumberAttribute(default=0)
    rating = NumberAttribute(null=True)
    open = BooleanAttribute(null=True)
    nothing = NullAttribute(null=True)
    picture = BinaryAttribute(null=True, legacy_encoding=False)
    pictures = BinarySetAttribute(null=True, legacy_encoding=False)
    tags = UnicodeSetAttribute(null=True)
    scores = NumberSetAttribute(null=True)
    extra = JSONAttribute(null=True)
    posted = UTCDateTimeAttribute(null=True)
    lot = Lot(null=True)
    lots = ListAttribute(of=Lot, null=True)
    anything: MapAttribute[str, object] = MapAttribute(null=True)
    until = TTLAttribute(null=True)

    by_author = ByAuthor()
    by_views = ByViews()


class Document(Model):
    class Meta:
        table_name = "Document"
        read_capacity_units = 5
        write_capacity_units = 5

    name = UnicodeAttribute(hash_key=True)
    text = UnicodeAttribute(default="")
    words: ListAttribute[str] = ListAttribute(default=list)
    version = VersionAttribute()


class Animal(Model):
    class Meta:
        table_name = "Animal"
        billing_mode = "PAY_PER_REQUEST"

    id = NumberAttribute(hash_key=True)
    kind = DiscriminatorAttribute()


class Fish(Animal, discriminator="fish"):
    fins = NumberAttribute()


class Crab(Animal, discriminator="crab"):
    claws = NumberAttribute()


MODELS = (Thread, Document, Animal)


def address(endpoint: Endpoint, *models: Any) -> None:
    for model in models:
        model.Meta.host = endpoint.url
        model.Meta.region = REGION


@pytest.fixture(scope="module")
def tables(endpoint: Endpoint) -> Iterator[None]:
    address(endpoint, *MODELS, Fish, Crab)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", endpoint.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret)
        for model in MODELS:
            assert not model.exists()
            model.create_table(wait=True)
            assert model.exists()
        yield
        for model in MODELS:
            model.delete_table()
            assert not model.exists()


@pytest.fixture
def connection(endpoint: Endpoint, tables: None) -> Connection:
    return Connection(REGION, host=endpoint.url)


@pytest.fixture(autouse=True)
def empty(tables: None) -> Iterator[None]:
    yield
    for model in MODELS:
        with model.batch_write() as batch:
            for item in model.scan():
                batch.delete(item)


def thread(number: int, **attributes: Any) -> Thread:
    return Thread("reefs", f"subject {number:03}", views=number, author=f"author {number % 3}", **attributes)


@pytest.fixture
def threads() -> None:
    with Thread.batch_write() as batch:
        for number in range(45):
            batch.save(thread(number))


def test_every_attribute_type_comes_back_as_it_was() -> None:
    attributes: dict[str, Any] = {
        "rating": 4.25,
        "open": True,
        "nothing": None,
        "picture": bytes(range(256)),
        "pictures": {b"\x00", b"\xff"},
        "tags": {"é", "b"},
        "scores": {1, 2.5},
        "extra": {"deep": [1, {"er": None}]},
        "posted": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "lot": Lot(price=12, notes=["a", ""]),
        "lots": [Lot(price=1), Lot(price=2)],
        "anything": {"list": [1, "x", None, True], "map": {"n": 1}},
        "until": datetime(2030, 1, 1, tzinfo=UTC),
    }
    thread(1, **attributes).save()
    read = Thread.get("reefs", "subject 001", consistent_read=True)
    assert {name: plain(getattr(read, name)) for name in attributes} == {n: plain(v) for n, v in attributes.items()}


def plain(value: Any) -> Any:
    """Maps without their class, which knows no equality."""
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value.as_dict() if isinstance(value, MapAttribute) else value


def test_a_missing_item_does_not_exist() -> None:
    with pytest.raises(DoesNotExist):
        Thread.get("reefs", "absent")
    with pytest.raises(DoesNotExist):
        thread(1).refresh()


def test_a_missing_table_does_not_exist(endpoint: Endpoint, connection: Connection) -> None:
    class Absent(Model):
        class Meta:
            table_name = "Absent"

        key = UnicodeAttribute(hash_key=True)

    address(endpoint, Absent)
    assert not Absent.exists()
    with pytest.raises(TableDoesNotExist):
        connection.describe_table("Absent")
    with pytest.raises(GetError) as refused:
        Absent.get("x")
    assert refused.value.cause_response_code == "ResourceNotFoundException"


def test_queries(threads: None) -> None:
    def subjects(condition: Any = None, **more: Any) -> list[int]:
        return [int(item.subject[-3:]) for item in Thread.query("reefs", condition, **more)]

    assert subjects() == list(range(45))
    assert subjects(page_size=4, limit=13) == list(range(13))
    assert subjects(Thread.subject.between("subject 003", "subject 005")) == [3, 4, 5]
    assert subjects(Thread.subject.startswith("subject 01"), scan_index_forward=False) == list(range(19, 9, -1))
    assert subjects(Thread.subject > "subject 042") == [43, 44]
    assert subjects(filter_condition=(Thread.views < 2) | Thread.views.is_in(7, 9)) == [0, 1, 7, 9]
    assert subjects(filter_condition=~(Thread.views >= 1) & Thread.rating.does_not_exist()) == [0]
    assert Thread.count("reefs", filter_condition=Thread.author.contains("2")) == 15
    first = Thread.query("reefs", limit=10)
    assert len(list(first)) == 10
    rest = Thread.query("reefs", last_evaluated_key=first.last_evaluated_key)
    assert len(list(rest)) == 35
    with pytest.raises(QueryError, match="Filter Expression can only contain non-primary key attributes"):
        subjects(filter_condition=Thread.subject == "subject 001")


def test_queries_of_indexes(threads: None) -> None:
    found = Thread.by_author.query("author 1", ByAuthor.views > 30, scan_index_forward=False)
    assert [item.views for item in found] == [43, 40, 37, 34, 31]
    assert Thread.by_author.count("author 2") == 15
    narrow = list(Thread.by_views.query("reefs", ByViews.views.between(10, 12), consistent_read=True))
    assert [(item.views, item.author) for item in narrow] == [(10, "author 1"), (11, "author 2"), (12, "author 0")]
    assert Thread.by_author.count("author 0") == len(list(Thread.by_author.scan(Thread.author == "author 0")))


def test_scans(threads: None) -> None:
    assert len(list(Thread.scan(page_size=7))) == 45
    assert [item.views for item in Thread.scan(Thread.views > 42, attributes_to_get=["views"])] == [43, 44]
    assert Thread.scan(Thread.author == "author 1", rate_limit=10_000).total_count == 0
    segments = [len(list(Thread.scan(segment=segment, total_segments=3))) for segment in range(3)]
    assert sum(segments) == 45


def test_batches_read_more_than_fits_into_one(threads: None) -> None:
    keys = [("reefs", f"subject {number:03}") for number in range(150)]
    assert sorted(item.views for item in Thread.batch_get(keys)) == list(range(45))


def test_actions_of_an_update() -> None:
    item = thread(1, tags={"a", "b"}, lots=[Lot(price=1)], lot=Lot(price=5, notes=["x"]))
    item.save()
    item.update(
        actions=[
            Thread.views.add(10),
            Thread.tags.add({"c"}),
            Thread.author.set("somebody"),
            Thread.rating.set(Thread.rating | 3),
            Thread.lots.set(Thread.lots.append([Lot(price=2)])),
            Thread.lot.price.set(Thread.lot.price - 1),  # type: ignore[attr-defined]
            Thread.lot.notes[0].remove(),
        ],
        condition=(Thread.views == 1) & Thread.tags.contains("a") & (Thread.lot.price < 6),
    )
    assert (item.views, item.rating, item.author) == (11, 3, "somebody")
    assert item.tags == {"a", "b", "c"}
    assert [lot.price for lot in item.lots] == [1, 2]
    assert (item.lot.price, item.lot.notes) == (4, [])
    item.update(actions=[Thread.tags.delete({"a", "b", "c"}), Thread.rating.remove()])
    read = Thread.get("reefs", "subject 001", consistent_read=True)
    assert read.tags is None
    assert read.rating is None


def test_refused_conditions_say_so() -> None:
    item = thread(1)
    item.save(Thread.forum.does_not_exist())
    with pytest.raises(PutError) as put:
        item.save(Thread.forum.does_not_exist())
    with pytest.raises(UpdateError) as update:
        item.update(actions=[Thread.views.set(5)], condition=Thread.views > 1)
    with pytest.raises(DeleteError) as delete:
        item.delete(Thread.open.exists() | (Thread.subject.startswith("x")))
    for refused in (put, update, delete):
        assert refused.value.cause_response_code == "ConditionalCheckFailedException"
        assert refused.value.cause_response_message == "The conditional request failed"
    item.delete(Thread.views == 1)
    assert Thread.count("reefs") == 0


def test_a_save_of_an_older_version_fails() -> None:
    Document("a", text="first").save()
    mine, yours = Document.get("a"), Document.get("a")
    mine.text = "mine"
    mine.save()
    assert mine.version == 2
    yours.text = "yours"
    with pytest.raises(PutError) as saved:
        yours.save()
    with pytest.raises(UpdateError) as updated:
        yours.update(actions=[Document.text.set("yours")])
    with pytest.raises(DeleteError) as deleted:
        yours.delete()
    for lost in (saved, updated, deleted):
        assert lost.value.cause_response_code == "ConditionalCheckFailedException"
    with pytest.raises(PutError):
        Document("a", text="new").save()
    yours.refresh()
    yours.update(actions=[Document.words.set(Document.words.append(["w"]))])
    assert (yours.text, yours.words, yours.version) == ("mine", ["w"], 3)
    yours.delete()
    assert Document.count("a") == 0


def test_transactions_hold_all_or_nothing(connection: Connection) -> None:
    Document("kept").save()
    kept = Document.get("kept")
    with TransactWrite(connection=connection, client_request_token="once") as write:
        write.save(thread(1), condition=Thread.forum.does_not_exist())
        write.update(kept, actions=[Document.text.set("changed")])
        write.condition_check(Thread, "reefs", "absent", Thread.forum.does_not_exist())
    assert kept.version == 2
    with pytest.raises(TransactWriteError) as cancelled, TransactWrite(connection=connection) as write:
        write.delete(Document.get("kept"))
        write.save(thread(1, open=True), condition=Thread.forum.does_not_exist())
    assert cancelled.value.cause_response_code == "TransactionCanceledException"
    nothing, failed = cancelled.value.cancellation_reasons
    assert nothing is None and failed is not None
    assert (failed.code, failed.message) == ("ConditionalCheckFailed", "The conditional request failed")
    with TransactGet(connection=connection) as read:
        one = read.get(Thread, "reefs", "subject 001")
        other = read.get(Document, "kept")
        absent = read.get(Document, "absent")
    assert one.get().open is None
    assert other.get().text == "changed"
    with pytest.raises(DoesNotExist):
        absent.get()


def test_each_kind_of_item_comes_back_as_its_class() -> None:
    Fish(1, fins=7).save()
    Crab(2, claws=2).save()
    assert isinstance(Animal.get(1), Fish)
    assert sorted((type(item).__name__, item.id) for item in Animal.scan()) == [("Crab", 2), ("Fish", 1)]
    assert [item.claws for item in Crab.scan()] == [2]


def test_time_to_live_is_set_on_the_table(connection: Connection) -> None:
    described = connection.client.describe_time_to_live(TableName="Thread")["TimeToLiveDescription"]
    assert described["AttributeName"] == "until"
    thread(1, until=timedelta(days=2)).save()
    left = Thread.get("reefs", "subject 001").until - datetime.now(UTC)
    assert timedelta(days=1) < left <= timedelta(days=2)


def test_a_description_has_the_models_indexes() -> None:
    described = Thread.describe_table()
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["by-author"]
    assert [index["IndexName"] for index in described["LocalSecondaryIndexes"]] == ["by-views"]
