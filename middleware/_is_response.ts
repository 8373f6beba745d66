/** Whether an error says itself how to answer it, as this package's and Hono's `HTTPException` do. */
export function isResponse(error: unknown): boolean {
  return typeof (error as { getResponse?: unknown }).getResponse === "function";
}
