"""The items of files, one after another.

    .json .jsonl .ndjson    a JSON object a line: {"Item": {...}} with attribute values, or a plain object
    .csv .tsv               the first row has the names of the attributes; an empty field is no attribute
    .parquet                needs the extra `atoll[parquet]`
    .db                     the file of DynamoDB Local, of which one table is imported

Files of JSON and CSV may be compressed: .gz, or .zst, which needs the extra `atoll[files]`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from atoll.files import items
from atoll.files.items import Invalid, Item
from atoll.replicate.failures import Failed

PARQUET_ROWS = 1_000
FIELD_CHARS = 1024**2


@dataclass
class InputFile:
    path: Path
    table: str
    """The table to read from a file with several."""
    types: Mapping[str, str]
    """The types of CSV columns. Those of others are guessed, or string."""
    guesses: bool = True
    read: Callable[[], float] = field(default=lambda: 0.0)
    """The share of the file that was read, from 0 to 1."""

    def items(self) -> Iterator[Item]:
        """The items of the file. Raises `Failed`."""
        number = 0
        try:
            for item in self._rows():
                _check_text(item)
                number += 1
                yield item
        except Invalid as error:
            raise Failed(f"{self.path}: record {number + 1}: {error}") from None
        except (OSError, EOFError, UnicodeDecodeError, csv.Error, sqlite3.Error) as error:
            raise Failed(f"{self.path}: after record {number}: {error}") from None

    def _rows(self) -> Iterator[Item]:
        suffixes = [one.lower() for one in self.path.suffixes]
        kind = suffixes[-1] if suffixes else ""
        if kind == ".parquet":
            return self._parquet()
        if kind == ".db":
            return self._local()
        if kind in (".gz", ".zst") and len(suffixes) > 1:
            kind = suffixes[-2]
        if kind in (".csv", ".tsv"):
            return self._csv("\t" if kind == ".tsv" else ",")
        if kind in (".json", ".jsonl", ".ndjson"):
            return self._json()
        raise Failed(f"{self.path}: the name must end in .json, .jsonl, .ndjson, .csv, .tsv, .parquet or .db")

    def _opened(self) -> BinaryIO:
        file = self.path.open("rb")
        size = max(os.fstat(file.fileno()).st_size, 1)
        self.read = lambda: 1.0 if file.closed else file.tell() / size
        if self.path.suffix.lower() == ".gz":
            return gzip.open(file, "rb")  # type: ignore[return-value]
        if self.path.suffix.lower() == ".zst":
            try:
                import zstandard
            except ImportError:
                raise Failed(f"{self.path} needs an extra: pip install 'atoll[files]'") from None
            reader: Any = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            return io.BufferedReader(reader)
        return file

    def _json(self) -> Iterator[Item]:
        with self._opened() as lines:
            for line in lines:
                if not line.strip():
                    continue
                try:
                    record = json.loads(line, parse_float=Decimal)
                except (ValueError, RecursionError) as error:
                    raise Invalid(f"no JSON: {error}") from None
                if not isinstance(record, dict):
                    raise Invalid("no JSON object")
                wrapped = record.get("Item")
                is_typed = len(record) == 1 and isinstance(wrapped, dict)
                yield items.from_json(record["Item"]) if is_typed else items.from_plain(record)

    def _csv(self, delimiter: str) -> Iterator[Item]:
        csv.field_size_limit(FIELD_CHARS)
        with self._opened() as file:
            rows = csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=delimiter, strict=True)
            names = next(rows, [])
            if len(set(names)) < len(names):
                raise Invalid("the header has a duplicate name")
            types = {name: self.types.get(name) or (None if self.guesses else "S") for name in names}
            for row in rows:
                if len(row) > len(names):
                    raise Invalid(f"the row has {len(row)} fields, the header has {len(names)}")
                fields = zip(names, row, strict=False)
                if row:
                    yield {name: items.from_text(text, types[name]) for name, text in fields if text}

    def _parquet(self) -> Iterator[Item]:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError:
            raise Failed(f"{self.path} needs an extra: pip install 'atoll[parquet]'") from None
        try:
            with parquet.ParquetFile(self.path) as file:
                total, done = max(file.metadata.num_rows, 1), 0
                self.read = lambda: done / total
                for batch in file.iter_batches(PARQUET_ROWS):
                    for row in batch.to_pylist():
                        done += 1
                        yield items.from_plain(row)
        except ArrowException as error:
            raise Invalid(str(error)) from None

    def _local(self) -> Iterator[Item]:
        """Read a file of DynamoDB Local: each table is an SQLite table of its name, whose rows have items as DynamoDB
        JSON."""
        quoted = '"' + self.table.replace('"', '""') + '"'
        with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            ((total,),) = file.execute(f"SELECT count(*) FROM {quoted}")
            done = 0
            self.read = lambda: done / max(total, 1)
            for (stored,) in file.execute(f"SELECT ObjectJSON FROM {quoted} ORDER BY rowid"):
                done += 1
                yield items.from_json(json.loads(stored))


def _check_text(item: Item) -> None:
    """Refuse lone surrogates, which JSON can write but UTF-8 cannot."""
    try:
        orjson.dumps(item)
    except TypeError as error:
        raise Invalid(f"it cannot be sent: {error}") from None
