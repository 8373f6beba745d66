import { tryCall } from "../foreign.ts";

/** The response of an upgrade on Workers: it carries the client's end of the socket. */
interface UpgradeResponse extends Response {
  webSocket: { accept(): void; close(code: number): void };
}

/** Changes the headers of an upgrade. Such a response cannot be made anew, except on Workers. */
export function upgradeWithHeaders(response: Response, change: (headers: Headers) => void): Response {
  if (hasWebSocket(response)) {
    const headers = new Headers(response.headers);
    change(headers);
    const { webSocket } = response;
    return new Response(null, { status: 101, headers, webSocket } as ResponseInit);
  }
  // A runtime that refuses sends a head of its own: the session is saved, and the browser cannot be told.
  tryCall(() => change(response.headers));
  return response;
}

/**
 * Answers an upgrade that must not happen. Deno ends the server if another response than that of `Deno.upgradeWebSocket` is
 * returned. Without `Upgrade` the client must fail the connection (RFC 6455, 4.1).
 */
export function refuseUpgrade(response: Response): Response {
  return upgradeWithHeaders(response, (headers) => headers.delete("Upgrade"));
}

/** Whether it carries a socket, as on Workers. If it is not sent, the socket has to be closed. */
export function hasWebSocket(response: Response): response is UpgradeResponse {
  return Boolean((response as { webSocket?: unknown }).webSocket);
}

/** Closes the socket of a response that is not sent. */
export function closeWebSocket(response: Response): void {
  if (!hasWebSocket(response)) return;
  // It may be taken or closed already.
  tryCall(() => {
    response.webSocket.accept();
    response.webSocket.close(1011);
  });
}
