"""`atoll import` of Parquet files, with pyarrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import boto3

from benchmarks import servers
from tests.programs import fetching
from tests.programs.endpoint import Endpoint

WRITE = """
import datetime, decimal
import pyarrow
from pyarrow import parquet

rows = [
    {"id": f"{n:04d}", "n": n, "price": decimal.Decimal(n) / 4, "ok": n % 2 == 0, "none": None,
     "tags": ["a", "b"], "place": {"city": "Apia"}, "raw": b"x"}
    for n in range(3_000)
]
parquet.write_table(pyarrow.Table.from_pylist(rows), "items.parquet", row_group_size=500)
"""


def test_a_file_of_several_row_groups(tmp_path: Path, endpoint: Endpoint) -> None:
    python = fetching.parquet() / "python"
    subprocess.run([str(python), "-c", WRITE], cwd=tmp_path, check=True)
    client = boto3.client(
        "dynamodb", endpoint_url=endpoint.url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    client.create_table(
        TableName="Parquet",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    variables = endpoint.environment("us-east-1") | {"PYTHONPATH": f"{servers.ROOT / 'src'}:{packages}"}
    command = [sys.executable, "-m", "atoll", "import", "items.parquet", "--table", "Parquet"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert client.get_item(TableName="Parquet", Key={"id": {"S": "0007"}})["Item"] == {
        "id": {"S": "0007"}, "n": {"N": "7"}, "price": {"N": "1.75"}, "ok": {"BOOL": False},
        "tags": {"L": [{"S": "a"}, {"S": "b"}]}, "place": {"M": {"city": {"S": "Apia"}}}, "raw": {"B": b"x"},
    }  # fmt: skip
    count = sum(page["Count"] for page in client.get_paginator("scan").paginate(TableName="Parquet", Select="COUNT"))
    assert count == 3_000
