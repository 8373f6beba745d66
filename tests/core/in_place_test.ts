/**
 * What is done in place, to an object that a session gave out or was given, is saved like any other change.
 * @module
 */

import { MemoryStore, type Session, type SessionManager, sessions } from "../../mod.ts";
import { SessionEncodeError, SessionStoreError } from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { countingStore } from "../counting_store.ts";
import { failUnsent, interleave, type Step } from "../manager/_interleaving.ts";

type Values = Record<string, unknown>;

interface Kind {
  name: string;
  make(): object;
  /** A change in place, another one each time. */
  change(value: object): void;
}

const KINDS: Kind[] = [
  { name: "a list", make: () => ["a"], change: (value) => void (value as string[]).push("b") },
  { name: "an object", make: () => ({}), change: (value) => Object.assign(value, { n: Object.keys(value).length, [`k${Object.keys(value).length}`]: 1 }) },
  { name: "a list in an object", make: () => ({ a: { b: [] } }), change: (value) => void (value as { a: { b: number[] } }).a.b.push(1) },
  { name: "a Map", make: () => new Map(), change: (value) => void (value as Map<number, number>).set((value as Map<number, number>).size, 1) },
  { name: "a Set", make: () => new Set(), change: (value) => void (value as Set<number>).add((value as Set<number>).size) },
  { name: "a Map in a Set", make: () => new Set([new Map()]), change: (value) => [...value as Set<Map<number, number>>].forEach((map) => map.set(map.size, 1)) },
  { name: "a Date", make: () => new Date(0), change: (value) => void (value as Date).setTime((value as Date).getTime() + 1) },
  { name: "bytes", make: () => new Uint8Array(2), change: (value) => void (value as Uint8Array)[0]!++ },
];
