import { basename, dirname } from "node:path";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { oncePerRun } from "./_run.ts";
import { until } from "./demo.ts";

Deno.test("oncePerRun() makes one for all who ask, even at once", async () => {
  let made = 0;
  const make = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { number: ++made };
  };
  const both = await Promise.all([oncePerRun("run-test-once", make), oncePerRun("run-test-once", make)]);
  assertEquals([...both, await oncePerRun("run-test-once", make)], Array(3).fill({ number: 1 }));
});

Deno.test("oncePerRun() gives another isolate of the process what this one has made", async () => {
  assertEquals(await oncePerRun("run-test-isolates", () => Promise.resolve("here")), "here");
  const module = JSON.stringify(new URL("./_run.ts", import.meta.url).href);
  const script = `import { oncePerRun } from ${module};
    postMessage(await oncePerRun("run-test-isolates", () => Promise.resolve("there")));`;
  // JavaScript: the types of a worker's own globals are not those of a test.
  const worker = new Worker(`data:application/javascript,${encodeURIComponent(script)}`, { type: "module" });
  const { data } = await new Promise<MessageEvent>((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = reject;
  });
  worker.terminate();
  assertEquals(data, "here");
});

Deno.test("oncePerRun() tries again after a failure", async () => {
  const fail = () => Promise.reject(new Error("not this time"));
  await assertRejects(() => oncePerRun("run-test-failure", fail), Error, "not this time");
  assertEquals(await oncePerRun("run-test-failure", () => Promise.resolve(1)), 1);
});

Deno.test("The directory of a run is removed when its process ends, and another process has its own", async () => {
  const script = `import { oncePerRun } from ${JSON.stringify(new URL("./_run.ts", import.meta.url).href)};
    console.log(await oncePerRun("run-test-directory", (directory) => Promise.resolve(directory)));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-all",
      `data:application/typescript,${encodeURIComponent(script)}`,
    ],
    stderr: "inherit",
  }).output();
  const directory = new TextDecoder().decode(stdout).trim();
  const own = await oncePerRun("run-test-directory", (directory) => Promise.resolve(directory));
  assert(directory !== "" && directory !== own);
  const [parent, name] = [dirname(directory), basename(directory)];
  await until(10_000, () => Array.from(Deno.readDirSync(parent)).every((entry) => entry.name !== name));
});
