CREATE TABLE IF NOT EXISTS "sessions" (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL, subject TEXT);
CREATE INDEX IF NOT EXISTS "sessions_expiry_idx" ON "sessions"(expiry);
CREATE INDEX IF NOT EXISTS "sessions_subject_idx" ON "sessions"(subject) WHERE subject IS NOT NULL;
