import { testRuntime } from "./_matrix_tests.ts";
import { installForNode, nodeRuntimes, once } from "./_runtimes.ts";

const app = once(installForNode);

for (const runtime of nodeRuntimes(app)) testRuntime(runtime);

Deno.test.afterAll(async () => await (await app())[Symbol.asyncDispose]());
