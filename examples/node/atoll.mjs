// An Atoll server in memory, as a process on a free port. The variable ATOLL names the program if it is not on the path.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export async function startAtoll() {
  const options = ["serve", "--in-memory", "--port", "0", "--log-format", "json"];
  const server = spawn(process.env.ATOLL ?? "atoll", options, { stdio: ["ignore", "ignore", "pipe"] });
  const kill = () => server.kill();
  process.once("exit", kill);
  const endpoint = await new Promise((resolve, reject) => {
    let said = "";
    server.once("error", reject);
    server.once("exit", () => reject(new Error(`Atoll did not start: ${said}`)));
    createInterface(server.stderr).on("line", (line) => {
      said += `${line}\n`;
      const found = / serves (http:\/\/[^\s"]+)/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  return {
    endpoint,
    async stop() {
      process.off("exit", kill);
      if (server.exitCode !== null) return;
      const ended = once(server, "exit");
      server.kill();
      await ended;
    },
  };
}
