/**
 * A real browser for tests, without an installation. An npm package has Chromium, with the libraries that a machine
 * may lack.
 * @module
 */

// Makes Deno download the package. Only the files beside its code are used.
import "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";
import { createReadStream, createWriteStream } from "node:fs";
import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { brotliDecompressSync, createBrotliDecompress } from "node:zlib";

const PACKED = new URL("../bin/", import.meta.resolve("@sparticuz/chromium"));

/** A running browser. Disposing of it ends it and removes its files. */
export interface RunningBrowser extends AsyncDisposable {
  readonly browser: Browser;
}

/**
 * Starts Chromium, headless, in about 2.5 seconds.
 *
 * @throws {Error} It cannot run on this machine.
 */
export async function startChromium(): Promise<RunningBrowser> {
  // A new directory for each start, so that no test process runs what another has half unpacked.
  const directory = await Deno.makeTempDir({ prefix: "sessions_chromium_" });
  const remove = () => Deno.remove(directory, { recursive: true });
  try {
    const executablePath = `${directory}/chromium`;
    await pipeline(
      createReadStream(new URL("chromium.br", PACKED)),
      createBrotliDecompress(),
      createWriteStream(executablePath, { mode: 0o700 }),
    );
    await unpackLibraries(directory);
    const browser = await chromium.launch({
      executablePath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
      // It takes 2 seconds on an idle machine.
      timeout: 120_000,
      env: { LD_LIBRARY_PATH: `${directory}/lib`, HOME: directory, TMPDIR: directory },
    });
    return {
      browser,
      async [Symbol.asyncDispose]() {
        await browser.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw new Error("Cannot start Chromium from @sparticuz/chromium", { cause: error });
  }
}

/** Unpacks the plain files of a small tar archive in POSIX format: blocks of 512 bytes. */
async function unpackLibraries(directory: string): Promise<void> {
  const tar = brotliDecompressSync(await Deno.readFile(new URL("al2023.tar.br", PACKED)));
  await Deno.mkdir(`${directory}/lib`);
  for (let offset = 0; tar[offset] !== 0 && offset < tar.length;) {
    const field = (from: number, length: number) =>
      Buffer.from(tar.subarray(offset + from, offset + from + length)).toString("latin1").split("\0")[0]!;
    const [name, size] = [field(0, 100), parseInt(field(124, 12), 8)];
    const start = offset + 512;
    if (field(156, 1) === "0") {
      await Deno.writeFile(`${directory}/${name}`, tar.subarray(start, start + size));
    }
    offset = start + Math.ceil(size / 512) * 512;
  }
}
