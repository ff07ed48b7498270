// Jest calls it once, before all tests. Clients that tests make without options then call Atoll.

import { startAtoll } from "./atoll.mjs";

export default async function start() {
  globalThis.atoll = await startAtoll();
  process.env.AWS_ENDPOINT_URL = globalThis.atoll.endpoint;
  process.env.AWS_REGION = "us-east-1";
  process.env.AWS_ACCESS_KEY_ID = "any";
  process.env.AWS_SECRET_ACCESS_KEY = "any";
}
