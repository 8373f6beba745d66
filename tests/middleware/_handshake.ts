/**
 * A WebSocket handshake by hand (RFC 6455, 1.3), to see the head of the response, which `WebSocket` hides.
 * @module
 */

/** The server's response head, and the connection after it. */
export interface Handshake extends Disposable {
  status: number;
  headers: Headers;
  /** Reads the text of the next message. */
  message(): Promise<string>;
  /** Sends a short message. */
  send(text: string): Promise<void>;
  /** Sends a close frame and waits for the end of the connection. */
  close(): Promise<void>;
}

/** Asks for an upgrade. */
export async function handshake(port: number, path = "/", headers: HeadersInit = {}): Promise<Handshake> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
  ];
  lines.push("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
  for (const [name, value] of new Headers(headers)) lines.push(`${name}: ${value}`);
  await write(`${lines.join("\r\n")}\r\n\r\n`);

  let received = new Uint8Array();
  let end = -1;
  while ((end = latin1(received).indexOf("\r\n\r\n")) < 0) {
    if (!await more()) throw new Error(`The server hung up after ${JSON.stringify(latin1(received))}`);
  }
  const [first, ...rest] = latin1(received.subarray(0, end)).split("\r\n");
  received = received.slice(end + 4);
  const pairs = rest.map((
    line,
  ) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);

  return {
    status: Number(first!.split(" ")[1]),
    headers: new Headers(pairs as [string, string][]),
    async message() {
      while (received.length < 2 || received.length < 2 + received[1]!) {
        if (!await more()) throw new Error("The server hung up");
      }
      const size = received[1]!;
      const text = new TextDecoder().decode(received.subarray(2, 2 + size));
      received = received.slice(2 + size);
      return text;
    },
    // A client masks what it sends. A mask of zeros changes nothing (RFC 6455, 5.3).
    send: (text) => write(`\x81${String.fromCharCode(0x80 + text.length)}\0\0\0\0${text}`),
    async close() {
      await write("\x88\x80\0\0\0\0");
      while (await more());
    },
    [Symbol.dispose]: () => connection.close(),
  };

  async function more(): Promise<boolean> {
    const buffer = new Uint8Array(4_096);
    const size = await connection.read(buffer);
    if (size === null) return false;
    received = new Uint8Array([...received, ...buffer.subarray(0, size)]);
    return true;
  }

  async function write(text: string): Promise<void> {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
