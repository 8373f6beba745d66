/** better-sqlite3 has its types in a package of its own. Compilers before 6.0 compare its generic methods more strictly. */
// @ts-nocheck Deno does not check it: the package is installed in the application of `types_test.ts` alone.
import { SQLiteStore } from "@x/sessions/stores/sqlite";
import type Database from "better-sqlite3";

export const storeOf = (database: Database.Database): SQLiteStore => new SQLiteStore(database);
