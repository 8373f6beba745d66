import { testRuntime } from "./_matrix_tests.ts";
import { DENO } from "./_runtimes.ts";

testRuntime(DENO);
