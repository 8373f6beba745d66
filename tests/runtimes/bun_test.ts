import { testRuntime } from "./_matrix_tests.ts";
import { bun, installForBun, once } from "./_runtimes.ts";

const app = once(installForBun);

testRuntime(bun(app));

Deno.test.afterAll(async () => await (await app())[Symbol.asyncDispose]());
