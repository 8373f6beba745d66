/** The tables that SCS's stores document, word for word. */

/** Of `mysqlstore`; the collation is that of the database. */
export const SCS_MYSQL_TABLE = [
  "CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)",
  "CREATE INDEX sessions_expiry_idx ON sessions (expiry)",
];

/** Of `sqlite3store`. */
export const SCS_SQLITE_TABLE = [
  "CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)",
  "CREATE INDEX sessions_expiry_idx ON sessions(expiry)",
];
