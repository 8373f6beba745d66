/** Logging an object by mistake shows no token, no hash and no value. */
import { inspect } from "node:util";
import { jsonCodec, SessionEncodeError, sessions } from "../../mod.ts";
import { Client } from "@planetscale/database";
import { gobCodec } from "../../codecs/gob.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { PlanetScaleStore } from "../../stores/planetscale.ts";
import { ShardedStore } from "../../stores/sharded.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { onEachStore } from "./_bed.ts";
import { assertShowsNone } from "./_secrets.ts";

const VALUE = "a-value-that-nobody-may-see";

onEachStore("Printing a session, a manager or a listing shows no token and no value", async (bed) => {
  const manager = bed.manager({ onEvent: undefined });
  const session = await manager.load();
  session.put("secret", VALUE);
  session.put("nested", { deep: [VALUE] });
  session.subject = "zoe";
  const { token } = await session.commit();
  const secrets = [token, (await bed.row()).token, VALUE];

  const loaded = await manager.load(token);
  loaded.get("nested");
  loaded.put("other", VALUE);
  const request = new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } });
  const lifecycle = manager.begin(request);
  const inRequest = await lifecycle.session();
  inRequest.renewToken();
  await lifecycle.finish(new Response());
  const [listed] = await Array.fromAsync(manager.iterate());
  const objects = {
    session,
    loaded,
    manager,
    lifecycle,
    inRequest,
    listed,
    entries: await manager.sessionsOf("zoe"),
  };
  for (const object of Object.values(objects)) {
    assertShowsNone(object, [...secrets, inRequest.token!]);
    assertShowsNone([object], [...secrets, inRequest.token!]);
  }
});

Deno.test("Printing a response that got a cookie does not show the cookie of its request", async () => {
  const manager = sessions<{ n: number }>();
  const { token } = await (await manager.load()).commit();
  const headers = { Cookie: `__Host-session=${token}` };
  const lifecycle = manager.begin(new Request("https://example.com/", { headers }));
  (await lifecycle.session()).renewToken();
  assertShowsNone(await lifecycle.finish(new Response()), [token]);
});

onEachStore("Printing an event shows no token", async (bed) => {
  const manager = bed.manager();
  const session = await manager.load();
  session.subject = "zoe";
  const secrets: string[] = [];
  const keep = async () => {
    secrets.push((await session.commit()).token, (await bed.row()).token);
  };
  await keep();
  session.renewToken();
  await keep();
  await manager.load(secrets[0]);
  await session.destroy();
  assertEquals(bed.eventKinds(), ["created", "renewed", "unknown", "destroyed"]);
  for (const event of bed.events) assertShowsNone(event, secrets);
});

Deno.test("Printing a store, or what holds one, shows no password of its client", () => {
  const client = new Client({ url: `mysql://user:${VALUE}@aws.connect.psdb.cloud/shop` });
  assertStringIncludes(Deno.inspect(client), VALUE);
  const turso = { batch: () => Promise.resolve([]), execute: () => Promise.reject(), authToken: VALUE };
  const stores = [new PlanetScaleStore(client), new LibSQLStore(turso)];
  for (const value of [...stores, new ShardedStore(stores)]) {
    for (
      const text of [Deno.inspect(value, { depth: 10 }), inspect(value, { depth: 10 }), JSON.stringify(value)]
    ) {
      assert(!text.includes(VALUE), text);
    }
  }
});

Deno.test("A value whose getter throws is refused without the getter's message", async () => {
  const refusing = {
    encode(): Uint8Array {
      throw new TypeError(`cannot encode ${VALUE}`);
    },
    decode: jsonCodec.decode,
  };
  for (const codec of [jsonCodec, gobCodec, refusing]) {
    const session = await sessions({ codec }).load();
    const put = () =>
      session.put("tricky", {
        get deep(): string {
          throw new TypeError(`no such thing as ${VALUE}`);
        },
      });
    const error = await assertRejects(async () => {
      put();
      await session.commit();
    }, SessionEncodeError);
    assertShowsNone(error, [VALUE]);
    assertStringIncludes(error.message, "tricky");
  }
});
