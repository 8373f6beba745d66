/**
 * What the tools and the tests ask of other programs.
 * @module
 */

/**
 * Runs a program to its end.
 *
 * @throws {Error} It failed; the message ends with what it has written.
 */
export async function run(name: string, cwd: string, command: string, args: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(`${name} failed: ${args.join(" ")}\n${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}

/** A text as the project's formatter leaves it. */
export async function formatted(text: string, extension: string): Promise<string> {
  const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--config", config, "--ext", extension, "-"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`deno fmt failed:\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
