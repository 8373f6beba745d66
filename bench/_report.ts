/**
 * The output of benchmarks: Markdown for the page of results.
 * @module
 */

import { cpus } from "node:os";
import process from "node:process";

/** An environment variable; `undefined` without the permission to read it. */
export function setting(name: string): string | undefined {
  try {
    return process.env[name];
  } catch {
    return undefined;
  }
}

/** An environment variable that holds a number. */
export function numberSetting(name: string, otherwise: number): number {
  const text = setting(name);
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`${name} must be a number above 0: got "${text}"`);
  return value;
}

/** An environment variable that lists names. Without it everything is chosen. */
export function chosenBy(name: string): (candidate: string) => boolean {
  const names = setting(name)?.split(",").map((text) => text.trim());
  return (candidate) => names === undefined || names.includes(candidate);
}

/** The runtime and its version. */
export function runtime(): string {
  const { versions } = process;
  if (versions.deno !== undefined) return `Deno ${versions.deno}`;
  if (versions.bun !== undefined) return `Bun ${versions.bun}`;
  return `Node ${versions.node}`;
}

/** A line with the date, the runtime and the machine of a measurement. */
export function circumstances(versions: readonly string[] = []): string {
  const date = new Date().toISOString().slice(0, 10);
  const machine = cpus();
  const kind = `${machine.length} shared cores (${machine[0]?.model.trim() ?? "unknown"})`;
  return [date, runtime(), ...versions, kind].join("; ");
}

/** A table whose first column is text and whose other columns are numbers. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((text, column) =>
    Math.max(3, text.length, ...rows.map((row) => row[column]!.length))
  );
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
      )
        .join(" | ")
    } |`;
  const rule = widths.map((width, column) => column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  return [line(header), line(rule), ...rows.map(line)].join("\n");
}

/** A number for a table, with this many decimals if it is below 100. */
export function figure(value: number, decimals = 1): string {
  if (!Number.isFinite(value)) return "–";
  const digits = value < 100 ? decimals : 0;
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}
