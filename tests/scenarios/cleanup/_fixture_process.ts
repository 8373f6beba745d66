// Uses a store, whose timer is then pending, and ends; see process_test.ts.
import { MemoryStore, sessions } from "../../../mod.ts";

const manager = sessions<{ name: string }>({ store: new MemoryStore({ cleanup: "timer" }) });
const session = await manager.load();
session.put("name", "Zoë");
const { token } = await session.commit();
console.log((await manager.load(token)).get("name"));
