/** The Worker behind `d1.ts`. It runs statements on its D1 binding, and runs the contract of stores inside workerd. */
import { type D1Database, D1Store } from "../../stores/d1.ts";
import { storeContract } from "../../testing/mod.ts";

/** One call of the binding. */
export interface D1Query {
  /** The argument of `withSession()`. If absent, the binding itself is used. */
  session?: string;
  statements: { sql: string; args: (string | number | number[] | null)[] }[];
  isBatch: boolean;
}

/** Its result. */
export interface D1Reply {
  results?: { results: object[]; meta: { rows_written: number } }[];
  bookmark?: string;
  error?: string;
}

type Session = D1Database & { getBookmark(): string };
type Binding = D1Database & { withSession(start: string): Session };

export default {
  async fetch(request: Request, { DB }: { DB: Binding }): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/query") return Response.json(await query(DB, await request.json()));
    const cases = contract(DB);
    if (pathname === "/cases") {
      return Response.json(cases.map(({ name, skipped }) => ({ name, skipped })));
    }
    const { run } = cases[Number(searchParams.get("case"))]!;
    return new Response(await run().then(() => "", (error) => String(error?.stack ?? error)));
  },
};

async function query(database: Binding, { session: start, statements, isBatch }: D1Query): Promise<D1Reply> {
  const session = start === undefined ? undefined : database.withSession(start);
  const queryable = session ?? database;
  const prepared = statements.map(({ sql, args }) =>
    queryable.prepare(sql).bind(...args.map((arg) => Array.isArray(arg) ? Uint8Array.from(arg) : arg))
  );
  try {
    const results = isBatch ? await queryable.batch(prepared) : [await prepared[0]!.all()];
    return { results: results as unknown as D1Reply["results"], bookmark: session?.getBookmark() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function contract(database: D1Database) {
  return storeContract({
    name: "D1Store in workerd",
    async open() {
      const table = `sessions_${crypto.randomUUID().replaceAll("-", "_")}`;
      const store = new D1Store(database, { cleanup: "off", timeout: "30s", table });
      await store.createTable();
      return store;
    },
  });
}
