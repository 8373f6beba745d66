import type { SecondCopy } from "./_platform.ts";

/** The name under which an application installs the package a second time. */
export const SECOND_COPY = "sessions-second-copy";

/** The second copy's entry points. The name exists only in the application, so nothing may resolve it beforehand. */
export async function secondCopy(): Promise<SecondCopy> {
  const name: string = SECOND_COPY;
  const [{ withSessions }, { honoSessions }, { scheduledPurge }] = await Promise.all([
    import(`${name}/middleware/fetch`),
    import(`${name}/middleware/hono`),
    import(`${name}/middleware/scheduled`),
  ]);
  return { withSessions, honoSessions, scheduledPurge };
}
