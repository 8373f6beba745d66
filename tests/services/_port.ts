/**
 * A TCP port of the loopback interface that is free now. For servers that cannot choose one themselves. Another
 * process may take it before the server does, so whoever starts one tries again with another port.
 */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    return listener.addr.port;
  } finally {
    listener.close();
  }
}
