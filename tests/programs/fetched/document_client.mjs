// What a program on @aws-sdk/lib-dynamodb does. Prints what it saw as JSON; everything else is the environment's.

import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  ListTablesCommand,
  PutItemCommand,
  UpdateTableCommand,
  paginateListTables,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import {
  BatchGetCommand,
  BatchWriteCommand,
  DeleteCommand,
  DynamoDBDocument,
  DynamoDBDocumentClient,
  GetCommand,
  NumberValue,
  PutCommand,
  QueryCommand,
  ScanCommand,
  TransactGetCommand,
  TransactWriteCommand,
  UpdateCommand,
  paginateQuery,
  paginateScan,
} from "@aws-sdk/lib-dynamodb";

const TableName = "Reefs";
const client = new DynamoDBClient({});
const documents = DynamoDBDocumentClient.from(client, {
  marshallOptions: { removeUndefinedValues: true },
  unmarshallOptions: { wrapNumbers: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : NumberValue.from(text)) },
});
const seen = {};

async function refusal(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return error;
  }
}

await client.send(
  new CreateTableCommand({
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    KeySchema: [
      { AttributeName: "reef", KeyType: "HASH" },
      { AttributeName: "n", KeyType: "RANGE" },
    ],
    AttributeDefinitions: [
      { AttributeName: "reef", AttributeType: "S" },
      { AttributeName: "n", AttributeType: "N" },
    ],
  }),
);
seen.exists = (await waitUntilTableExists({ client, maxWaitTime: 20, minDelay: 1 }, { TableName })).state;

// Every type.
const item = {
  reef: "types ✓",
  n: 0,
  big: NumberValue.from("12345678901234567890123456789012345678"),
  bigint: 9007199254740993n,
  fraction: 0.1,
  binary: new Uint8Array([0, 1, 254, 255]),
  strings: new Set(["a", "ü"]),
  numbers: new Set([1, 2.5]),
  binaries: new Set([new Uint8Array([7])]),
  nothing: null,
  yes: true,
  left: undefined,
  nested: { list: [1, "two", { three: [null] }], empty: "", none: [] },
};
await documents.send(new PutCommand({ TableName, Item: item }));
const got = (await documents.send(new GetCommand({ TableName, Key: { reef: "types ✓", n: 0 }, ConsistentRead: true }))).Item;
seen.types = {
  big: got.big.toString(),
  bigint: got.bigint.toString(),
  fraction: got.fraction.toString(),
  binary: [...got.binary],
  strings: [...got.strings].sort(),
  numbers: [...got.numbers].map(String).sort(),
  binaries: [...got.binaries].map((bytes) => [...bytes]),
  nothing: got.nothing,
  yes: got.yes,
  left: "left" in got,
  nested: got.nested,
};
seen.missing = (await documents.send(new GetCommand({ TableName, Key: { reef: "none", n: 0 } }))).Item === undefined;
seen.plain = (await client.send(new GetItemCommand({ TableName, Key: { reef: { S: "types ✓" }, n: { N: "0e3" } } }))).Item.big.N;

// Batches, pages.
for (let from = 0; from < 50; from += 25) {
  const puts = Array.from({ length: 25 }, (_, at) => ({ PutRequest: { Item: { reef: "north", n: from + at, even: at % 2 === 0 } } }));
  const written = await documents.send(new BatchWriteCommand({ RequestItems: { [TableName]: puts } }));
  seen.unprocessed = Object.keys(written.UnprocessedItems).length;
}
const keys = [3, 4, 99].map((n) => ({ reef: "north", n }));
const batch = await documents.send(new BatchGetCommand({ RequestItems: { [TableName]: { Keys: keys } } }));
seen.batch = batch.Responses[TableName].map((found) => found.n).sort();

const query = {
  TableName,
  KeyConditionExpression: "reef = :reef AND n BETWEEN :low AND :high",
  FilterExpression: "even = :yes",
  ExpressionAttributeValues: { ":reef": "north", ":low": 5, ":high": 44, ":yes": true },
  ScanIndexForward: false,
};
seen.pages = [];
// The paginator leaves its place in the request that it is given.
for await (const page of paginateQuery({ client: documents, pageSize: 15 }, { ...query })) {
  seen.pages.push([page.Count, page.ScannedCount]);
}
seen.queried = (await documents.send(new QueryCommand({ ...query, Limit: 4 }))).LastEvaluatedKey;
seen.scanned = 0;
for await (const page of paginateScan({ client: documents, pageSize: 8 }, { TableName, Select: "COUNT" })) {
  seen.scanned += page.Count;
}
seen.segments = (
  await Promise.all([0, 1, 2].map((Segment) => documents.send(new ScanCommand({ TableName, Segment, TotalSegments: 3 }))))
).reduce((sum, page) => sum + page.Count, 0);

// Updates under conditions.
const Key = { reef: "south", n: 1 };
const updated = await documents.send(
  new UpdateCommand({
    TableName,
    Key,
    UpdateExpression: "SET #v = if_not_exists(#v, :zero) + :one, tags = :tags",
    ExpressionAttributeNames: { "#v": "version" },
    ExpressionAttributeValues: { ":zero": 0, ":one": 1, ":tags": new Set(["x"]) },
    ReturnValues: "ALL_NEW",
  }),
);
seen.updated = [updated.Attributes.version, [...updated.Attributes.tags]];
const lost = await refusal(
  documents.send(
    new PutCommand({
      TableName,
      Item: { ...Key, version: 2 },
      ConditionExpression: "version = :seen",
      ExpressionAttributeValues: { ":seen": 0 },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    }),
  ),
);
seen.lost = [lost.name, lost.message, lost.Item.version.N, lost.$metadata.httpStatusCode, lost.$metadata.attempts];
seen.deleted = (await documents.send(new DeleteCommand({ TableName, Key, ReturnValues: "ALL_OLD" }))).Attributes.version;

// Transactions.
const steps = {
  TransactItems: [
    { Put: { TableName, Item: { reef: "west", n: 1 }, ConditionExpression: "attribute_not_exists(reef)" } },
    { Update: { TableName, Key: { reef: "west", n: 2 }, UpdateExpression: "ADD c :one", ExpressionAttributeValues: { ":one": 1 } } },
    { ConditionCheck: { TableName, Key: { reef: "west", n: 3 }, ConditionExpression: "attribute_not_exists(reef)" } },
  ],
};
await documents.send(new TransactWriteCommand(steps));
const cancelled = await refusal(documents.send(new TransactWriteCommand(steps)));
seen.cancelled = [cancelled.name, cancelled.CancellationReasons.map((reason) => reason.Code)];
const read = await documents.send(
  new TransactGetCommand({ TransactItems: [2, 3].map((n) => ({ Get: { TableName, Key: { reef: "west", n } } })) }),
);
seen.read = read.Responses.map((response) => response.Item?.c ?? null);

// Errors.
const names = async (command) => {
  const error = await refusal(client.send(command));
  return [error.name, error.message];
};
const simple = { KeySchema: [{ AttributeName: "k", KeyType: "HASH" }], AttributeDefinitions: [{ AttributeName: "k", AttributeType: "S" }] };
seen.errors = [
  await names(new DescribeTableCommand({ TableName: "Absent" })),
  await names(new CreateTableCommand({ TableName, BillingMode: "PAY_PER_REQUEST", ...simple })),
  await names(new PutItemCommand({ TableName, Item: { reef: { S: "x" } } })),
];

// Tables.
await Promise.all(["A-1", "A-2", "A-3"].map((name) => client.send(new CreateTableCommand({ TableName: name, BillingMode: "PAY_PER_REQUEST", ...simple }))));
seen.tables = [];
for await (const page of paginateListTables({ client, pageSize: 2 }, {})) seen.tables.push(...page.TableNames);
const protect = (DeletionProtectionEnabled) => client.send(new UpdateTableCommand({ TableName, DeletionProtectionEnabled }));
await protect(true);
seen.protected = (await refusal(client.send(new DeleteTableCommand({ TableName })))).name;
await protect(false);
for (const name of [...(await client.send(new ListTablesCommand({}))).TableNames]) {
  await client.send(new DeleteTableCommand({ TableName: name }));
  seen.gone = (await waitUntilTableNotExists({ client, maxWaitTime: 20, minDelay: 1 }, { TableName: name })).state;
}

// Many at once on one client.
const wide = DynamoDBDocument.from(client);
const many = await Promise.all(Array.from({ length: 200 }, () => refusal(wide.get({ TableName, Key }))));
seen.many = [...new Set(many.map((error) => error?.name))];

console.log(JSON.stringify(seen));
