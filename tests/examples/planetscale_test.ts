/**
 * `examples/planetscale` as its README starts it, copied into an empty directory, on the lowest Node and a real MySQL
 * behind PlanetScale's HTTP interface.
 */

import { Client } from "@planetscale/database";
import { PlanetScaleStore } from "../../stores/planetscale.ts";
import { assertEquals, assertStringIncludes } from "../assert.ts";
import { sharedMySQL } from "../services/mysql.ts";
import { startNode } from "../services/node.ts";
import { installExample } from "../services/packed.ts";
import { startGateway } from "../services/planetscale_gateway.ts";
import { typeReadme, visitExample } from "./_visit.ts";

const EXAMPLE = new URL("../../examples/planetscale/", import.meta.url);

Deno.test("examples/planetscale serves sessions in the table of its schema", async () => {
  await using gateway = await startGateway(await sharedMySQL());
  const client = new Client(gateway.config());
  const schema = await Deno.readTextFile(new URL("schema.sql", EXAMPLE));
  const statements = schema.split(";").map((statement) => statement.trim()).filter((text) => text !== "");
  assertEquals(statements, new PlanetScaleStore(client).schema());
  for (const statement of statements) await client.execute(statement);

  await using app = await installExample(EXAMPLE);
  const { scripts } = JSON.parse(await Deno.readTextFile(`${app.dir}/package.json`));
  assertEquals(scripts.start, "node main.js");
  const env = { DATABASE_URL: gateway.config().url, PORT: "0" };
  await using server = await startNode(20, "main.js", { cwd: app.dir, env });
  const url = `http://127.0.0.1:${server.port}`;
  await visitExample(url);
  await typeReadme(EXAMPLE, url);
  assertStringIncludes(gateway.statements().join("\n"), "sessions");
});
