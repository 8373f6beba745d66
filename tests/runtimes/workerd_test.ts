import { testRuntime } from "./_matrix_tests.ts";
import { WORKERD } from "./_runtimes.ts";

testRuntime(WORKERD);
