import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocument } from "@aws-sdk/lib-dynamodb";

import { startAtoll } from "./atoll.mjs";

let atoll;
let client;

before(async () => {
  atoll = await startAtoll();
  const credentials = { accessKeyId: "any", secretAccessKey: "any" };
  client = new DynamoDBClient({ endpoint: atoll.endpoint, region: "us-east-1", credentials });
});

after(async () => {
  client.destroy();
  await atoll.stop();
});

test("an order is found again", async () => {
  await client.send(
    new CreateTableCommand({
      TableName: "Orders",
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
    }),
  );
  const orders = DynamoDBDocument.from(client);
  await orders.put({ TableName: "Orders", Item: { id: "1", total: 42 } });
  const { Item } = await orders.get({ TableName: "Orders", Key: { id: "1" } });
  assert.deepEqual(Item, { id: "1", total: 42 });
});
