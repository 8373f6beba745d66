/**
 * Below the ports that the system gives to connections. A request could take one of those before the server listens,
 * or while it is down.
 */
const [LOWEST, HIGHEST] = [20_000, 32_000];

/**
 * A free TCP port of the loopback interface, for servers that cannot choose one themselves. Another process may take
 * it before the server does, so try again with another port.
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
 * A port on which nothing listens now or later. A port that is merely free may be another server's a moment later.
 * This one belongs to an unused protocol. (`fetch` itself refuses port 1.)
 */
export const CLOSED_PORT = 2;
