/** A well-formed token, with letters of both cases and an SQL wildcard. */
export const TOKEN = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_aBcDe";

/** Well-formed tokens that some comparisons take for {@linkcode TOKEN}. */
export const SIMILAR_TOKENS: readonly string[] = [
  TOKEN.toLowerCase(),
  TOKEN.toUpperCase(),
  TOKEN.replace("A", "a"),
];

/** Texts that a wrong comparison takes for {@linkcode TOKEN}, or that wrong quoting takes for SQL. */
export const HOSTILE_TOKENS: readonly string[] = [
  ...SIMILAR_TOKENS,
  "",
  `${TOKEN} `,
  ` ${TOKEN}`,
  `${TOKEN}\t`,
  `${TOKEN}\0`,
  `${TOKEN}\0more`,
  // Characters that collations ignore, and letters that they take for others.
  `${TOKEN}\u00ad`,
  `${TOKEN}\u200b`,
  TOKEN.replace("E", "É"),
  TOKEN.replace("E", "E\u0301"),
  TOKEN.replace("K", "\u212a"),
  TOKEN.slice(0, -1),
  TOKEN.slice(0, 8),
  `${TOKEN}e`,
  TOKEN + TOKEN,
  TOKEN.repeat(250),
  // Patterns.
  `${TOKEN.slice(0, -1)}_`,
  `${TOKEN.slice(0, -1)}?`,
  `${TOKEN.slice(0, 20)}%`,
  `${TOKEN.slice(0, 20)}*`,
  "%",
  ".*",
  // Numbers: a database that compares a text with a number may take the text for 0.
  "0",
  "1e1",
  // Quoting.
  `' OR '1'='1`,
  `" OR ""="`,
  "\\",
  "\\' OR 1=1 -- ",
  `'; DELETE FROM sessions; --`,
  `x'); DROP TABLE sessions; --`,
  "`; DROP TABLE sessions; #",
  "/* */",
  "?",
  ":token",
  "$1",
  "\n\r\x1a\b",
  "🍪",
  "\uFFFD",
  "../sessions",
  "__proto__",
  "constructor",
  "hasOwnProperty",
];

/** Subjects that some comparisons take for one another. */
export const SIMILAR_SUBJECTS: readonly string[] = [
  "zoe",
  "Zoe",
  "ZOE",
  "zoe ",
  " zoe",
  "zoë",
  "zoe\u0308",
  "zoe\0",
  "zoe\u200b",
  "zo_",
  "zo%",
  "zo",
  "zoee",
  "0",
  "00",
  "' OR '1'='1",
  "\\",
  "__proto__",
  "🍪",
  // The longest subjects, 255 bytes. They differ in the last byte, or in the case of the first letter.
  `${"s".repeat(254)}1`,
  `${"s".repeat(254)}2`,
  `S${"s".repeat(253)}1`,
  `${"é".repeat(127)}1`,
];
