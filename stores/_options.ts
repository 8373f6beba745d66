import type { CleanupMode, CleanupOptions } from "../core/cleanup.ts";
import { reportUnknown, show } from "../core/config.ts";
import { parseDuration } from "../core/duration.ts";
import { SessionConfigError } from "../core/errors.ts";

/** Checks a store's options one by one and throws one error for all that is wrong with them. */
export class OptionsReader {
  readonly problems: string[] = [];

  constructor(options: object, known: Record<string, true>) {
    reportUnknown(this.problems, options, known, "");
  }

  duration(name: string, value: unknown): number {
    const duration = parseDuration(value);
    if (duration !== undefined) return duration;
    this.problems.push(`"${name}" must be milliseconds from 0, or text such as "90s": got ${show(value)}`);
    return NaN;
  }

  cleanup(options: CleanupOptions, defaultInterval: string): { mode: CleanupMode; interval: number } {
    const { cleanup: mode = "lazy", cleanupInterval = defaultInterval } = options;
    if (!["lazy", "timer", "off"].includes(mode)) {
      this.problems.push(`"cleanup" must be "lazy", "timer" or "off": got ${show(mode)}`);
    }
    return { mode, interval: this.duration("cleanupInterval", cleanupInterval) };
  }

  /** Throws what was found. */
  finish(): void {
    if (this.problems.length > 0) throw new SessionConfigError(this.problems);
  }
}
