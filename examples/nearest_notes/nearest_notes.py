"""A hundred notes, found by meaning: python examples/nearest_notes/nearest_notes.py "how do I fix a puncture?"

It needs boto3 and wordllama, whose package has its model of 16 MB with it, and a server with `atoll[vectors]`. boto3
finds the server through AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import sys
from pathlib import Path

import boto3
import wordllama

model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
client = boto3.client("dynamodb")


def vector(text: str) -> list[dict[str, str]]:
    return [{"N": str(number)} for number in model.embed(text, norm=True)[0]]


client.create_table(
    TableName="Notes",
    BillingMode="PAY_PER_REQUEST",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    VectorIndexes=[{"IndexName": "by_meaning", "VectorAttribute": {"AttributeName": "meaning"}, "Dimensions": 256,
                    "DistanceFunction": "COSINE", "Projection": {"ProjectionType": "ALL"}}],
)  # fmt: skip
for number, text in enumerate(Path(__file__).with_name("notes.txt").read_text().splitlines()):
    note = {"id": {"S": str(number)}, "text": {"S": text}, "meaning": {"L": vector(text)}}
    client.put_item(TableName="Notes", Item=note)
question = " ".join(sys.argv[1:]) or "how do I fix a puncture?"
found = client.search_vectors(TableName="Notes", IndexName="by_meaning", SearchVector=vector(question), TopK=3)
for result in found["SearchResults"]:
    print(f"{result['Score']:.3f}  {result['Item']['text']['S']}")
client.delete_table(TableName="Notes")
