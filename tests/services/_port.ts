/**
 * Below those that the system gives to connections: one of those may be taken by any request that is sent before the
 * server listens, or while it is down, until it is started again on its port.
 */
const [LOWEST, HIGHEST] = [20_000, 32_000];

/**
 * A TCP port of the loopback interface that is free now. For servers that cannot choose one themselves. Another
 * process may take it before the server does, so whoever starts one tries again with another port.
 */
export function freePort(): number {
  for (let attempt = 1;; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse) || attempt === 100) throw error;
    }
  }
}

/**
 * A port on which nobody listens, and nobody will: one that is merely free may be another server's a moment later. It
 * belongs to a protocol that nobody uses. (`fetch` refuses port 1 by itself.)
 */
export const CLOSED_PORT = 2;
