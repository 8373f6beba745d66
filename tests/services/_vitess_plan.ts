/**
 * How Vitess runs the stores' statements on a keyspace of two shards, whose primary vindex is the column `token`.
 * Here the shards are partitions of one table: each has its own indexes and locks, and a direct connection sees every
 * row.
 */
import { analyze, vindexRefusal } from "./_planetscale_protocol.ts";

/** The plan of a statement. */
export type Plan =
  /** It needs no rows, or only those of one shard: sent unchanged. */
  | { kind: "whole"; sql: string }
  /** Sent to each of these shards, and the rows are merged. */
  | { kind: "read"; parts: string[]; order?: Order; limit?: number }
  /** Sent to each of these shards in a transaction, and then each is committed. */
  | { kind: "write"; parts: string[] }
  /** A deletion with a limit: keys are selected without a lock, and then their rows are deleted. */
  | { kind: "delete-found"; look: Plan & { kind: "read" }; remove(keys: string[]): Plan }
  | { kind: "refused"; message: string };

/** The column by which rows are merged. */
export interface Order {
  column: number;
  descending: boolean;
}

/** The partitions of each shard. With two partitions by KEY the second one would get no token that ends in dashes. */
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
  // A new row has its token, and so its shard.
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

/** The replacement of each character of a literal. */
const LITERAL = "¤";

/** The statement with its literals overwritten, so that words can be found at their original positions. */
function mask(sql: string): { masked: string; text: string } {
  const masked = sql.replace(
    /x'[0-9a-f]*'|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"/gis,
    (literal) => LITERAL.repeat(literal.length),
  );
  return { masked, text: sql };
}

interface Clauses {
  /** The part before the condition. */
  head: string;
  condition: string;
  /** The condition without literals. */
  masked: string;
  /** The part after the condition. */
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

/** Whether a condition requires a certain token. */
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
