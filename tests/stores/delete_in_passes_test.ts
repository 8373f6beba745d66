import { SessionStoreError } from "../../mod.ts";
import { deleteInPasses } from "../../stores/_delete_in_passes.ts";
import { assertEquals, assertRejects } from "../assert.ts";

Deno.test("deleteInPasses() goes on until a pass is the last one, and adds up what they delete", async () => {
  const passes: number[] = [];
  const deleted = await deleteInPasses((pass) => {
    passes.push(pass);
    return Promise.resolve({ deleted: pass, isDone: pass === 3 });
  });
  assertEquals([passes, deleted], [[1, 2, 3], 6]);
});

Deno.test("deleteInPasses() gives up after 20 passes, in doubt: sessions were deleted, and some may live", async () => {
  let passes = 0;
  const endless = () => {
    passes++;
    return Promise.resolve({ deleted: 1, isDone: false });
  };
  const error = await assertRejects(() => deleteInPasses(endless), SessionStoreError);
  assertEquals([passes, error.reason, error.retryable, error.ambiguous], [20, "busy", true, true]);
});
