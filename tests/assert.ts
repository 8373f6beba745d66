/**
 * Deno's standard assertions, typed: the package that brings them from npm has no types of its own.
 * @module
 */
// @ts-types="./std_assert.d.ts"
export * from "@std/assert";
