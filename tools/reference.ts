/**
 * Writes `docs/reference.md` out of the doc comments: every option, error and event, and what can be called.
 *
 *     deno task reference
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { formatted } from "./run.ts";

const ROOT = new URL("../", import.meta.url);
const PAGE = new URL("docs/reference.md", ROOT);

/** What drivers take, rather than users of this package. */
const NOT_OURS = ["PlanetScaleExecuteOptions"];

/** What users get from functions of other entries than the main one. */
const FROM_FUNCTIONS = ["NodeSessions", "StoreContractCase"];

/** What users call on a store. The manager makes all other calls. */
const CALLED_BY_USERS = ["schema", "createTable", "stopCleanup", "size"];

/** A module that no entry exports. Stores inherit from its class. */
const BASES = "stores/_sqlite_store.ts";

/** What is used here of `deno doc --json`. */
interface Documented {
  name: string;
  /** Lines and columns count from 0. */
  location: { filename: string; line: number; col: number };
  jsDoc?: {
    doc?: string;
    tags?: { kind: string; name?: string; value?: string; doc?: string; tsType?: { repr?: string } }[];
  };
}
interface Property extends Documented {
  optional?: boolean;
  isOverride?: boolean;
}
interface Method extends Property {
  kind: "method" | "getter" | "setter";
}
interface Parameter {
  name: string;
  optional?: boolean;
  /** Of one with a default. */
  left?: { name: string };
}
interface Declaration extends Documented {
  kind: string;
  def: {
    properties?: Property[];
    methods?: Method[];
    constructors?: { params: Parameter[] }[];
    extends?: string;
    target?: Documented["location"];
  };
}

/** A public symbol, with the entries that export it. */
interface Symbol extends Declaration {
  entries: string[];
  /** The class that it extends, if that is one of `BASES`. */
  base?: Declaration | undefined;
}

/** The lines of each file that was looked into. */
const sources = new Map<string, string[]>();

if (import.meta.main) {
  await Deno.writeTextFile(PAGE, await reference());
  console.log("Wrote docs/reference.md");
}

/** The page as it belongs into `docs/reference.md`. */
export async function reference(): Promise<string> {
  const symbols = await publicSymbols();
  const page = [
    `# Reference

Every option, error and event, and what can be called. \`deno task reference\` writes this page out of the doc
comments; a test compares them.

A length of time is a \`Duration\`: a number of milliseconds, or text such as \`"90s"\`, \`"20m"\`, \`"24h"\`,
\`"30d"\`. A point in time is a number of milliseconds since the epoch. A size is in bytes.

- [Options](#options)
- [Errors](#errors)
- [Events](#events)
- [Functions and classes](#functions-and-classes)
- [Interfaces](#interfaces)`,
    "## Options",
    ...symbols.filter(isOptions).map(optionsOf),
    "## Errors",
    ...symbols.filter(isError).map(errorOf),
    ...["StoreFailure", "StoreOperation", "SessionPhase"].map((name) => {
      const symbol = symbols.find((symbol) => symbol.name === name)!;
      const members = [...sourceFrom(symbol).split(";")[0]!.matchAll(/"[^"]+"/g)].map(([text]) => code(text));
      return `### ${code(name)}\n\n${textOf(symbol)}\n\n${members.join(", ")}`;
    }),
    "## Events",
    eventsOf(symbols.find(({ name }) => name === "SessionEvent")!),
    "## Functions and classes",
    // What implements overloads has no comment.
    ...symbols.filter(({ kind, jsDoc }) => kind === "function" && jsDoc !== undefined).map(functionOf),
    ...symbols.filter((symbol) => symbol.kind === "class" && !isError(symbol)).map(classOf),
    "## Interfaces",
    ...symbols.filter((symbol) => symbol.kind === "interface" && !isOptions(symbol) && isUsers(symbol)).map(
      classOf,
    ),
  ];
  return await formatted(`${page.join("\n\n")}\n`, "md");
}

async function publicSymbols(): Promise<Symbol[]> {
  const stdout = await documentation();
  const { nodes } = JSON.parse(stdout) as {
    nodes: Record<string, { symbols: { name: string; declarations: Declaration[] }[] }>;
  };
  const keyOf = ({ filename, line, col }: Documented["location"]) => `${filename}:${line}:${col}`;
  const declared = new Map(
    Object.values(nodes).flatMap(({ symbols }) => symbols.flatMap(({ declarations }) => declarations))
      .map((declaration) => [keyOf(declaration.location), declaration]),
  );
  const bases = new Map(
    nodes[new URL(BASES, ROOT).href]!.symbols.map(({ name, declarations }) => [name, declarations[0]!]),
  );
  const symbols = new Map<string, Symbol>();
  for (const [entry, path] of Object.entries(config.exports)) {
    for (const { name, declarations } of nodes[new URL(path, ROOT).href]!.symbols) {
      for (const declaration of declarations) {
        // What another module declares is there by its place alone.
        const key = keyOf(declaration.def.target ?? declaration.location);
        const found = declared.get(key)!;
        const base = bases.get(found.def?.extends ?? "");
        const symbol = symbols.get(key) ?? { ...found, name, entries: [], base };
        symbol.entries.push(entry.replace(".", config.name));
        symbols.set(key, symbol);
      }
    }
  }
  const order = Object.keys(config.exports).map((entry) => entry.replace(".", config.name));
  const last = ({ entries }: Symbol) => order.indexOf(entries.at(-1)!);
  return [...symbols.values()].sort((a, b) => last(a) - last(b));
}

function isOptions({ kind, name }: Symbol): boolean {
  return kind === "interface" && /(Options|Context)$/.test(name) && !NOT_OURS.includes(name);
}

function isError({ kind, name }: Symbol): boolean {
  return kind === "class" && name.endsWith("Error");
}

/** What users of the package meet, rather than what is asked of a driver's client. */
function isUsers({ entries, name }: Symbol): boolean {
  return entries.includes(config.name) && !/(Details|Info)$/.test(name) || FROM_FUNCTIONS.includes(name);
}

function headingOf({ name, entries }: Symbol): string {
  return `### ${code(name)}\n\n${entries.map(code).join(", ")}`;
}

function optionsOf(symbol: Symbol): string {
  const base = /^export interface \w+(?:<[^>]*>)? extends (\w+)/.exec(sourceFrom(symbol))?.[1];
  const inherited = base === undefined ? "" : `\n\nAnd those of [${code(base)}](#${base.toLowerCase()}).`;
  const options = (symbol.def.properties ?? []).map((property) => {
    const fallback = property.jsDoc?.tags?.find(({ kind }) => kind === "default");
    const note = fallback?.doc === undefined ? "" : ` (${flow(fallback.doc)})`;
    const value = fallback?.value === "undefined" ? "none" : code(fallback?.value ?? "");
    const after = fallback !== undefined
      ? `, default ${value}${note}`
      : property.optional
      ? ""
      : ", required";
    return `- **${code(property.name)}**: ${code(typeOf(property))}${after}. ${textOf(property)}`;
  });
  return `${headingOf(symbol)}\n\n${textOf(symbol)}${inherited}\n\n${options.join("\n")}`;
}

function errorOf(symbol: Symbol): string {
  const source = sourceFrom(symbol).split("\n}\n")[0]!;
  const errorCode = /readonly code = ("\w+")/.exec(source)?.[1];
  const status = /\b(409|500|503)\b/.exec(source)?.[1];
  const facts = errorCode === undefined ? "" : `\n\n${code(errorCode)}, status ${status}`;
  const fields = [...(symbol.def.properties ?? []), ...(symbol.def.methods ?? [])]
    .filter(({ isOverride, jsDoc }) => !isOverride && jsDoc !== undefined)
    .map((field) =>
      `- ${code("kind" in field ? signatureOf(field) : `${field.name}: ${typeOf(field)}`)}: ${textOf(field)}`
    );
  return `### ${code(symbol.name)}${facts}\n\n${textOf(symbol)}\n\n${fields.join("\n")}`.trimEnd();
}

/** The list in the comment says what each kind is; the type says what else it has. */
function eventsOf(symbol: Symbol): string {
  const [intro, ...items] = symbol.jsDoc!.doc!.split(/\n+- /);
  const meanings = new Map(items.map((item) => {
    const [, kind, meaning] = /^`([\w-]+)`: ([^]*)$/.exec(item) ?? [];
    if (kind === undefined) throw new Error(`An event needs a line of its own: ${item}`);
    return [kind, flow(meaning!)] as const;
  }));
  const union = sourceFrom(symbol).split(/;\n\n/)[0]!;
  const events = [...union.matchAll(/\{ kind: "([^"]+)"(?:; )?(.*?) \}/g)].map(([, kind, fields]) => {
    const meaning = meanings.get(kind!);
    if (meaning === undefined) throw new Error(`No comment says what the event ${kind} is`);
    const list = fields === "" ? "" : ` (${fields!.split("; ").map(code).join(", ")})`;
    return `- **${code(kind!)}**${list}: ${meaning}`;
  });
  return `${flow(intro!)}\n\n${events.join("\n")}`;
}

function functionOf(symbol: Symbol): string {
  const signature = `\`\`\`ts ignore\n${
    signatureOf(symbol).replace(/^export (declare )?(async )?/, "")
  };\n\`\`\``;
  return `${headingOf(symbol)}\n\n${signature}\n\n${paragraphsOf(symbol)}${tagsOf(symbol)}`;
}

function classOf(symbol: Symbol): string {
  // A store's calls are those of the interfaces, and made by the manager.
  if (symbol.name.endsWith("Store") && symbol.kind === "class") return storeOf(symbol);
  const seen = new Set<string>();
  const properties = (symbol.def.properties ?? []).map((property) =>
    `- **${code(`${property.name}${property.optional ? "?" : ""}: ${typeOf(property)}`)}** ${
      textOf(property)
    }${throwsOf(property)}`
  );
  const all = symbol.def.methods ?? [];
  const settable = new Set(all.filter(({ kind }) => kind === "setter").map(({ name }) => name));
  const methods = all
    .filter(({ kind, name, jsDoc }) => kind !== "setter" && !name.startsWith("[") && jsDoc !== undefined)
    .map((method) => methodOf(method, settable.has(method.name)))
    .filter((line) => !seen.has(line) && seen.add(line));
  const members = [...properties, ...methods].join("\n");
  return `${headingOf(symbol)}\n\n${paragraphsOf(symbol)}\n\n${members}`.trimEnd();
}

function methodOf(method: Method, isSettable = false): string {
  const signature = method.kind === "getter"
    ? signatureOf(method).replace(/^/, isSettable ? "" : "readonly ").replace("()", "")
    : signatureOf(method);
  return `- **${code(signature)}** ${textOf(method)}${throwsOf(method)}`;
}

function storeOf(symbol: Symbol): string {
  const params = symbol.def.constructors?.[0]?.params ?? [];
  const names = params.map(({ name, left, optional }) => {
    return optional || left !== undefined ? `${left?.name ?? name}?` : name;
  });
  const { methods = [] } = (symbol.base ?? symbol).def;
  const members = methods.filter(({ name, jsDoc }) => CALLED_BY_USERS.includes(name) && jsDoc !== undefined)
    .map((method) => methodOf(method));
  return `${headingOf(symbol)}\n\n${code(`new ${symbol.name}(${names.join(", ")})`)}\n\n${
    paragraphsOf(symbol)
  }\n\n${members.join("\n")}`;
}

function tagsOf(symbol: Symbol): string {
  const params = (symbol.jsDoc?.tags ?? []).filter(({ kind, doc }) => kind === "param" && doc)
    .map(({ name, doc }) => `- ${code(name!)}: ${flow(doc!)}`);
  return (params.length === 0 ? "" : `\n\n${params.join("\n")}`) +
    (throwsOf(symbol) && `\n\n${throwsOf(symbol).trim()}`);
}

function throwsOf({ jsDoc }: Documented): string {
  const tags = (jsDoc?.tags ?? []).filter(({ kind }) => kind === "throws");
  return tags.map(({ tsType, doc }) => ` Throws ${code(tsType?.repr ?? "Error")}: ${flow(doc ?? "")}`).join(
    "",
  );
}

/** The source from where something is declared. */
function sourceFrom({ location: { filename, line, col } }: Documented): string {
  let lines = sources.get(filename);
  if (lines === undefined) {
    sources.set(filename, lines = Deno.readTextFileSync(new URL(filename)).split("\n"));
  }
  return lines.slice(line).join("\n").slice(col);
}

/** The type of a field, as it is written. */
function typeOf(property: Property): string {
  const written = onOneLine(/^[^:]*:\s([^]*?);\n/.exec(sourceFrom(property))?.[1] ?? "");
  if (written === "") throw new Error(`Cannot read the type of ${property.name}`);
  return written.replace(/ \| undefined$/, "").replace(/^\((.*)\)$/, "$1");
}

/** How something is called, as it is written. */
function signatureOf(declaration: Documented): string {
  const source = sourceFrom(declaration);
  const [signature] = /^[^]*?(?:\)(?:: [^\n]*)?(?= \{\n)|;\n)/.exec(source) ?? [];
  if (signature === undefined) throw new Error(`Cannot read how ${declaration.name} is called`);
  // Without what a call does not need.
  return onOneLine(signature).replace(/;$/, "").replace(/^((?:async|get|override) |\*)+/, "");
}

function onOneLine(source: string): string {
  return flow(source).replaceAll("( ", "(").replaceAll(/, \)/g, ")");
}

/** What a comment says, without its examples. */
function paragraphsOf({ jsDoc }: Documented): string {
  return withoutLinks((jsDoc?.doc ?? "").replaceAll(/```[^]*?```/g, "")).trim();
}

/** The same in one paragraph. */
function textOf(documented: Documented): string {
  return flow(paragraphsOf(documented));
}

function flow(text: string): string {
  return withoutLinks(text).replaceAll(/\s+/g, " ").trim();
}

function withoutLinks(text: string): string {
  return text.replaceAll(/\{@link(?:code)? ([^}|]+?)(?:\|[^}]*)?\}/g, "`$1`");
}

function code(text: string): string {
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}

/** What `deno doc` tells of the entries. */
async function documentation(): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "--no-check", ...Object.values(config.exports), BASES],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  if (!success) throw new Error(`deno doc failed:\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
