// The matrix's server on Deno.
import { createApp } from "./_app.ts";

const app = createApp({
  upstream: Deno.env.get("UPSTREAM")!,
  file: async () => (await Deno.open(Deno.env.get("FILE")!)).readable,
  upgrade(request) {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  },
});

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`listening on ${port}`),
}, (request, info) => app(request, info));
