// Node: console.dir() and the messages of node:assert pass over `nodejs.util.inspect.custom`.
import assert from "node:assert";
import process from "node:process";
import { sessions } from "../../mod.ts";
import { withSessions } from "../../middleware/fetch.ts";

const manager = sessions<{ secret: string }>({ onError() {} });
const handler = withSessions(manager, async (_request, getSession) => {
  const session = await getSession();
  session.put("secret", "VALUE-THAT-NOBODY-MAY-SEE");
  session.renewToken();
  return new Response();
});
const request = new Request("https://example.com/");
const response = await handler(request);
const token = /=([^;]+)/.exec(response.headers.getSetCookie()[0]!)![1]!;

function captured(print: () => void): string {
  const { write } = process.stdout;
  let text = "";
  process.stdout.write = ((chunk: string) => Boolean(text += chunk)) as typeof write;
  try {
    print();
  } finally {
    process.stdout.write = write;
  }
  return text;
}

function messageOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

const texts = {
  "console.log(request)": captured(() => console.log(request)),
  "console.dir(request)": captured(() => console.dir(request)),
  "console.dir(request, { depth: 9 })": captured(() => console.dir(request, { depth: 9 })),
  "assert.deepEqual(request, {})": messageOf(() => assert.deepStrictEqual(request, {})),
};
const leaks = Object.entries(texts).flatMap(([name, text]) => [
  ...(text.includes(token) ? [`${name}: the token`] : []),
  ...(text.includes("NOBODY-MAY-SEE") ? [`${name}: a value`] : []),
]);
console.log(JSON.stringify(leaks));
