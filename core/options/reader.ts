import { isObject } from "../bytes/values.ts";
import { SessionConfigError } from "../errors.ts";
import { parseDuration } from "./duration.ts";

/**
 * Reads options one by one and collects what is wrong with them. A name that was never read is no option:
 * {@linkcode OptionNames.finish} reports it, since a misspelt option would be ignored in silence.
 */
export class OptionNames {
  /** One sentence for each mistake: unknown names first, then in the order of reading. */
  readonly problems: string[];
  protected readonly options: Record<string, unknown>;
  protected readonly prefix: string;
  readonly #names: string[] = [];
  /** The index in `problems` of the first problem with these options. */
  readonly #start: number;

  constructor(options: unknown, prefix = "", problems: string[] = []) {
    this.prefix = prefix;
    this.problems = problems;
    this.#start = problems.length;
    if (!isObject(options)) problems.push(`the options must be an object: got ${show(options)}`);
    this.options = isObject(options) ? options as Record<string, unknown> : {};
  }

  /** The option as it was given. */
  read(name: string): unknown {
    if (!this.#names.includes(name)) this.#names.push(name);
    return optionOf(this.options, name);
  }

  /** Adds a problem with an option. */
  refuse(name: string, rule: string, got: string = show(optionOf(this.options, name))): void {
    this.problems.push(`"${this.prefix}${name}" ${rule}: got ${got}`);
  }

  /** Adds a problem for each name that is no option. */
  reportUnknown(): void {
    const unknown = Object.keys(this.options).filter((name) => !this.#names.includes(name));
    this.problems.splice(this.#start, 0, ...unknown.map((name) => this.#unknown(name)));
  }

  /** Throws one `SessionConfigError` for all problems. */
  finish(): void {
    this.reportUnknown();
    if (this.problems.length > 0) throw new SessionConfigError(this.problems);
  }

  #unknown(name: string): string {
    const meant = this.#names.find((known) => looksLike(name, known));
    const advice = meant === undefined
      ? `the options are ${this.#names.join(", ")}`
      : `did you mean "${this.prefix}${meant}"?`;
    return `"${this.prefix}${name}" is no option; ${advice}`;
  }
}

/** Reads options of several types. A class of its own, since the middleware reads one name and nothing else. */
export class OptionsReader extends OptionNames {
  /** A length of time in milliseconds; `NaN` after a problem. */
  duration(name: string, byDefault: number): number {
    const isDuration = (given: unknown) => parseDuration(given) !== undefined;
    const rule = 'must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d"';
    return parseDuration(this.#typed<unknown>(name, byDefault, isDuration, rule)) ?? NaN;
  }

  flag(name: string, byDefault: boolean): boolean {
    return this.#typed(name, byDefault, (given) => typeof given === "boolean", "must be true or false");
  }

  /** A whole number above 0, or the default itself. */
  count(name: string, byDefault: number): number {
    const isCount = (given: unknown) =>
      given === byDefault || (Number.isSafeInteger(given) && (given as number) > 0);
    return this.#typed(name, byDefault, isCount, "must be a whole number above 0");
  }

  /** A function, where there is one. */
  function<T>(name: string): T | undefined {
    const isFunction = (given: unknown) => typeof given === "function";
    return this.#typed<T | undefined>(name, undefined, isFunction, "must be a function");
  }

  oneOf<T>(name: string, byDefault: T, choices: readonly T[]): T {
    const names = choices.map(show);
    const rule = `must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
    return this.#typed(name, byDefault, (given) => choices.includes(given as T), rule);
  }

  /** Text that a pattern matches, of at most `longest` characters; `undefined` where there is none. */
  text(name: string, pattern: RegExp, rule: string, longest = Infinity): string | undefined {
    // A pattern alone would match `null`.
    const matches = (given: unknown) => typeof given === "string" && pattern.test(given);
    const text = this.#typed<string | undefined>(name, undefined, matches, rule);
    if (typeof text === "string" && text.length > longest) {
      this.refuse(name, `must have at most ${longest} characters`, `${text.length}`);
    }
    return text;
  }

  /** The options within an option. */
  nested(name: string): OptionsReader {
    const given = this.read(name);
    if (!isObject(given) && given !== undefined) this.refuse(name, "must be an object");
    return new OptionsReader(isObject(given) ? given : {}, `${this.prefix}${name}.`, this.problems);
  }

  #typed<T>(name: string, byDefault: T, isRight: (given: unknown) => boolean, rule: string): T {
    const given = this.read(name);
    if (given === undefined) return byDefault;
    if (!isRight(given)) this.refuse(name, rule);
    return given as T;
  }
}

/** An option, which may be inherited from a class, but not from an `Object.prototype` that somebody has polluted. */
export function optionOf(options: object, name: string): unknown {
  if (!Object.hasOwn(options, name) && name in Object.prototype) return undefined;
  return (options as Record<string, unknown>)[name];
}

/** Whether one name is the beginning of the other, without regard to case, `_` and `-`. */
function looksLike(name: string, known: string): boolean {
  const [one, other] = [name, known].map((text) => text.toLowerCase().replaceAll(/[-_]/g, "")) as [
    string,
    string,
  ];
  return one.length > 2 && (one.startsWith(other) || other.startsWith(one));
}

/** A value as an error message shows it. Objects are not shown: they may hold secrets, or be large. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "function") return "a function";
  if (isObject(value)) return "an object";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
