/**
 * How Vitess runs a statement on a keyspace of two shards whose primary vindex is the column `token`, as far as the
 * stores' statements go. The shards are partitions of one table here: indexes and locks of their own, and every row is
 * seen beside the gateway.
 */
import { analyze, vindexRefusal } from "./_planetscale_protocol.ts";

/** What is done with a statement. */
export type Plan =
  /** It is about no rows, or about those of one shard: sent as it is. */
  | { kind: "whole"; sql: string }
  /** Sent to each of these shards, whose rows are merged. */
  | { kind: "read"; parts: string[]; order?: Order; limit?: number }
  /** Sent to each of these shards in a transaction; then each of these is committed. */
  | { kind: "write"; parts: string[] }
  /** A deletion with a limit: keys are looked for without a lock, and what they stand for is deleted. */
  | { kind: "delete-found"; look: Plan & { kind: "read" }; remove(keys: string[]): Plan }
  | { kind: "refused"; message: string };

/** By which column rows are merged. */
export interface Order {
  column: number;
  descending: boolean;
}

/** The partitions of each shard. Of two partitions by KEY the second one gets no row with a token that ends in dashes. */
export const SHARDS: readonly string[] = ["p0", "p1, p2"];
const PARTITIONS = 3;

/** Plans a statement. */
export function plan(sql: string): Plan {
  const analysis = analyze(sql);
  const message = vindexRefusal(analysis, "token");
  if (message !== undefined) return { kind: "refused", message };
  const [verb = ""] = analysis.bare.trim().toLowerCase().match(/^\w+/) ?? [];
  if (verb === "replace") return unsupported("REPLACE INTO with sharded keyspace");
  if (verb === "create" && /\btable\b/i.test(analysis.bare)) {
    return { kind: "whole", sql: `${sql} PARTITION BY KEY (token) PARTITIONS ${PARTITIONS}` };
  }
  // A row that is inserted has its token, and so its shard.
  if (!["select", "update", "delete"].includes(verb)) return { kind: "whole", sql };
  const { masked, text } = mask(sql);
  if (verb === "select" && !/\bfrom\b/i.test(masked)) return { kind: "whole", sql };
  const clauses = split(masked, text);
  if (isOfOneShard(clauses)) return { kind: "whole", sql };
  const parts = SHARDS.map((shard) => restricted(clauses, shard));
  if (verb === "select") {
    if (/\b(count|sum|min|max|avg)\s*\(|\b(group\s+by|distinct|union)\b/i.test(masked)) {
      throw new Error("The gateway does not imitate how Vitess merges aggregates");
    }
    return { kind: "read", parts, order: orderOf(clauses), limit: clauses.limit };
  }
  const { limit } = clauses;
  if (limit === undefined) return { kind: "write", parts };
  if (verb === "update") return unsupported("multi shard update with limit");
  const head = clauses.head.replace(/^\s*delete\s+from/i, "SELECT token FROM");
  const columns = clauses.order === undefined || clauses.order.column === "token"
    ? ""
    : `, ${clauses.order.column}`;
  const looking = { ...clauses, head: head.replace("SELECT token", `SELECT token${columns}`) };
  const look: Plan = {
    kind: "read",
    parts: SHARDS.map((shard) => restricted(looking, shard)),
    order: clauses.order && { column: columns === "" ? 0 : 1, descending: clauses.order.descending },
    limit,
  };
  return {
    kind: "delete-found",
    look,
    remove: (keys) => plan(`${clauses.head} WHERE token IN (${keys.map((key) => `'${key}'`).join()})`),
  };
}

function unsupported(what: string): Plan {
  return { kind: "refused", message: `VT12001: unsupported: ${what}` };
}

/** Stands for each character of a literal. */
const LITERAL = "¤";

/** The statement with each literal overwritten, so that words are found at the places that they have in it. */
function mask(sql: string): { masked: string; text: string } {
  const masked = sql.replace(
    /x'[0-9a-f]*'|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"/gis,
    (literal) => LITERAL.repeat(literal.length),
  );
  return { masked, text: sql };
}

interface Clauses {
  /** What comes before the condition. */
  head: string;
  condition: string;
  /** The condition without literals. */
  masked: string;
  /** What comes after it. */
  tail: string;
  order?: { column: string; descending: boolean };
  limit?: number;
}

function split(masked: string, text: string): Clauses {
  const end = /\s(order\s+by|limit|for\s+update|lock\s+in)\s/i.exec(masked)?.index ?? masked.length;
  const where = /\swhere\s/i.exec(masked);
  const start = where?.index ?? end;
  const from = where === null ? end : start + where[0].length;
  const order = /\border\s+by\s+`?(\w+)`?(\s+desc)?/i.exec(masked.slice(end));
  const limit = /\blimit\s+(\d+)/i.exec(masked.slice(end));
  return {
    head: text.slice(0, start),
    condition: text.slice(from, end),
    masked: masked.slice(from, end),
    tail: text.slice(end),
    order: order === null ? undefined : { column: order[1]!, descending: order[2] !== undefined },
    limit: limit === null ? undefined : Number(limit[1]),
  };
}

/** Whether a condition names the token that a row must have. */
function isOfOneShard({ masked }: Clauses): boolean {
  return !/\bor\b/i.test(masked) && /(?<![\w.(])`?token`?\s*=\s*¤/i.test(masked);
}

function restricted({ head, condition, tail }: Clauses, shard: string): string {
  const table = /^(\s*(?:select\b.*?\sfrom|delete\s+from|update)\s+`?\w+`?)/is;
  const where = condition === "" ? "" : ` WHERE ${condition}`;
  return `${head.replace(table, `$1 PARTITION (${shard})`)}${where}${tail}`;
}

function orderOf({ head, order }: Clauses): Order | undefined {
  if (order === undefined) return undefined;
  const columns = head.replace(/^\s*select\s+/i, "").split(/\sfrom\s/i)[0]!.split(",");
  const column = columns.findIndex((name) => name.trim().replaceAll("`", "") === order.column);
  if (column < 0) {
    throw new Error(`The gateway cannot merge by the column ${order.column}, which is not selected`);
  }
  return { column, descending: order.descending };
}
