import { isObject } from "../bytes/values.ts";
import { SessionConfigError } from "../errors.ts";
import { hasMethods } from "../foreign.ts";
import { parseDuration } from "./duration.ts";

/**
 * Reads options one by one and collects what is wrong with them. A name that was never read is no option:
 * {@linkcode RawOptionsReader.finish} reports it, since a misspelt option would be ignored in silence.
 */
export class RawOptionsReader {
  /** One sentence for each mistake, in the order of reading, with unknown names last. */
  readonly problems: string[];
  readonly #options: Record<string, unknown>;
  protected readonly prefix: string;
  readonly #names = new Set<string>();

  constructor(options: unknown, prefix = "", problems: string[] = []) {
    this.prefix = prefix;
    this.problems = problems;
    if (!isObject(options)) problems.push(`the options must be an object: got ${show(options)}`);
    this.#options = isObject(options) ? options as Record<string, unknown> : {};
  }

  /** The option as it was given. */
  read(name: string): unknown {
    this.#names.add(name);
    return optionOf(this.#options, name);
  }

  /** Adds a problem with an option. */
  refuse(name: string, rule: string): void {
    this.problems.push(`"${this.prefix}${name}" ${rule}: got ${show(optionOf(this.#options, name))}`);
  }

  /** Adds a problem for each name that is no option. The last one lists the options. */
  reportUnknown(): void {
    const unknown = Object.keys(this.#options).filter((name) => !this.#names.has(name));
    unknown.forEach((name, index) => {
      const list = index === unknown.length - 1 ? `; the options are ${[...this.#names].join(", ")}` : "";
      this.problems.push(`"${this.prefix}${name}" is no option${list}`);
    });
  }

  /** Throws one `SessionConfigError` for all problems. */
  finish(): void {
    this.reportUnknown();
    if (this.problems.length > 0) throw new SessionConfigError(this.problems);
  }
}

/** Reads options of several types. A class of its own, since the middleware reads one name and nothing else. */
export class OptionsReader extends RawOptionsReader {
  /** A length of time in milliseconds; `NaN` after a problem. */
  duration(name: string, byDefault: number): number {
    const given = this.read(name);
    if (given === undefined) return byDefault;
    const ms = parseDuration(given);
    if (ms === undefined) {
      this.refuse(name, 'must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d"');
    }
    return ms ?? NaN;
  }

  flag(name: string, byDefault: boolean): boolean {
    return this.oneOf(name, byDefault, [true, false]);
  }

  /** A whole number above 0, or the default itself. */
  count(name: string, byDefault: number): number {
    const isCount = (given: unknown) => Number.isSafeInteger(given) && (given as number) > 0;
    return this.#typed(name, byDefault, isCount, "must be a whole number above 0");
  }

  /** A function, where there is one. */
  function<T>(name: string): T | undefined {
    const isFunction = (given: unknown) => typeof given === "function";
    return this.#typed<T | undefined>(name, undefined, isFunction, "must be a function");
  }

  withMethods<T>(name: string, byDefault: T, ...methods: string[]): T {
    const hasAll = (given: unknown) => hasMethods<Record<string, unknown>>(given, ...methods);
    return this.#typed(name, byDefault, hasAll, `must have the methods ${methods.join(", ")}`);
  }

  oneOf<T>(name: string, byDefault: T, choices: readonly T[]): T {
    const rule = `must be one of ${choices.map(show).join(", ")}`;
    return this.#typed(name, byDefault, (given) => choices.includes(given as T), rule);
  }

  /** Text that a pattern matches; `undefined` where there is none. */
  text(name: string, pattern: RegExp, rule: string, isRequired = false): string | undefined {
    // A pattern alone would match `null`.
    const matches = (given: unknown) => typeof given === "string" && pattern.test(given);
    if (isRequired && this.read(name) === undefined) this.refuse(name, rule);
    return this.#typed<string | undefined>(name, undefined, matches, rule);
  }

  /** The options within an option. */
  nested(name: string): OptionsReader {
    const given = this.read(name);
    if (!isObject(given) && given !== undefined) this.refuse(name, "must be an object");
    return new OptionsReader(isObject(given) ? given : {}, `${this.prefix}${name}.`, this.problems);
  }

  /** The option if it is right; the default if it is absent, and after a problem. */
  #typed<T>(name: string, byDefault: T, isRight: (given: unknown) => boolean, rule: string): T {
    const given = this.read(name);
    if (given === undefined || given === byDefault) return byDefault;
    if (isRight(given)) return given as T;
    this.refuse(name, rule);
    return byDefault;
  }
}

/** An option, which may be inherited from a class, but not from an `Object.prototype` that somebody has polluted. */
export function optionOf(options: object, name: string): unknown {
  if (!Object.hasOwn(options, name) && name in Object.prototype) return undefined;
  return (options as Record<string, unknown>)[name];
}

/** A value as an error message shows it. Objects and URLs are not shown: they may hold secrets. */
export function show(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (isObject(value)) return "an object";
  if (typeof value !== "string") return String(value);
  return value.includes("://") ? "a URL" : JSON.stringify(value);
}
