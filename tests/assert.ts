/**
 * Deno's standard assertions with types. The npm package that provides them has none.
 * @module
 */
// @ts-types="./std_assert.d.ts"
export * from "@std/assert";
