/** A thread that writes sessions to a file as fast as it can, as another process would. */
import { createClient } from "@libsql/client";
import { SessionError, sessions } from "../../mod.ts";
import { LibSQLStore } from "../../stores/libsql.ts";

export interface WriterTask {
  url: string;
  count: number;
}

/** The tokens of the acknowledged sessions, and the codes of the errors. */
export interface WriterReport {
  tokens: string[];
  failures: string[];
}

const thread = self as unknown as {
  onmessage: ((event: MessageEvent<WriterTask>) => void) | null;
  postMessage(report: WriterReport): void;
  close(): void;
};

thread.onmessage = async ({ data: { url, count } }) => {
  const client = createClient({ url });
  // On a slow disk the other writers may hold the lock for long, one right after another.
  const manager = sessions({ store: new LibSQLStore(client, { cleanup: "off", timeout: "60s" }) });
  const report: WriterReport = { tokens: [], failures: [] };
  for (let number = 0; number < count; number++) {
    try {
      const session = await manager.load();
      session.put("number", number);
      await session.commit();
      session.put("again", number);
      report.tokens.push((await session.commit()).token);
    } catch (error) {
      report.failures.push(error instanceof SessionError ? error.code : String(error));
    }
  }
  client.close();
  thread.postMessage(report);
  thread.close();
};
