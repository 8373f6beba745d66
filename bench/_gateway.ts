/**
 * PlanetScale's interface in front of the server at `MYSQL_URL`, in a process of its own, so that it takes no time
 * from the process that measures. Prints its address. Its database is `DATABASE`.
 * @module
 */

import { startMySQL } from "../tests/services/mysql.ts";
import { startGateway } from "../tests/services/planetscale_gateway.ts";

const gateway = await startGateway(await startMySQL(), { database: Deno.env.get("DATABASE")! });
console.log(`GATEWAY ${gateway.config().url} .`);
