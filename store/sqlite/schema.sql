-- A file of ply's SQLite store: https://github.com/plyhttp/ply, package store/sqlite.
-- It is a cache. It may be deleted at any time, best while nobody uses it.
--
-- To look into it:  SELECT * FROM entries;   SELECT * FROM contents;
-- To forget a URL:  DELETE FROM records WHERE url = 'https://example.com/';
-- The statements below keep their comments in the file: see  .schema

CREATE TABLE records (
  id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, for what is doomed up to one
  key        TEXT    NOT NULL UNIQUE, -- what the cache asks for
  kind       INTEGER NOT NULL,        -- 1 entry, 2 body (a piece of one), 3 mark, 4 lock, 5 setup
  owner      TEXT    NOT NULL,        -- the key of the record that this one is a part of, or ''
  url        TEXT    NOT NULL,        -- what it is about, for people
  size       INTEGER NOT NULL,        -- bytes that it is charged with, overhead included
  stored_at  INTEGER NOT NULL,        -- microseconds since 1970
  used_at    INTEGER NOT NULL,        -- microseconds since 1970; a part is as old as its owner
  expires_at INTEGER,                 -- milliseconds since 1970; NULL is never
  version    INTEGER NOT NULL,        -- random, another one after each change
  checksum   INTEGER NOT NULL         -- CRC-32C of data, key, version and all else that the cache gets back
) STRICT;

CREATE TABLE data (
  id    INTEGER PRIMARY KEY, -- of the record
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE totals (
  only    INTEGER PRIMARY KEY CHECK (only = 1),
  records INTEGER NOT NULL,
  bytes   INTEGER NOT NULL -- the sum of all sizes
) STRICT;

CREATE TABLE doomed (
  owner   TEXT    PRIMARY KEY, -- the parts of this record go, a few at a time
  last_id INTEGER NOT NULL     -- up to this one
) STRICT;

CREATE INDEX records_by_use   ON records (used_at) WHERE owner = '';
CREATE INDEX parts_by_age     ON records (stored_at) WHERE owner <> '';
CREATE INDEX parts_by_owner   ON records (owner, stored_at) WHERE owner <> '';
CREATE INDEX records_by_time  ON records (expires_at) WHERE expires_at IS NOT NULL;

CREATE TRIGGER record_added AFTER INSERT ON records BEGIN
  UPDATE totals SET records = records + 1, bytes = bytes + new.size;
END;

CREATE TRIGGER record_changed AFTER UPDATE OF size ON records BEGIN
  UPDATE totals SET bytes = bytes - old.size + new.size;
END;

CREATE TRIGGER record_removed AFTER DELETE ON records BEGIN
  DELETE FROM data WHERE id = old.id;
  UPDATE totals SET records = records - 1, bytes = bytes - old.size;
END;

CREATE VIEW entries AS -- what is cached, the last used first
  SELECT e.url, e.size + coalesce(p.size, 0) AS size, datetime(e.used_at / 1000000, 'unixepoch') AS used,
    datetime(e.stored_at / 1000000, 'unixepoch') AS stored, datetime(e.expires_at / 1000, 'unixepoch') AS expires, coalesce(p.pieces, 0) AS pieces, e.key
  FROM records e LEFT JOIN (SELECT owner, sum(size) AS size, count(*) AS pieces FROM records WHERE owner <> '' GROUP BY owner) p ON p.owner = e.key
  WHERE e.kind = 1 ORDER BY e.used_at DESC;

CREATE VIEW contents AS -- how much there is of what
  SELECT CASE kind WHEN 1 THEN 'entry' WHEN 2 THEN 'body' WHEN 3 THEN 'mark' WHEN 4 THEN 'lock' WHEN 5 THEN 'setup' ELSE 'other' END AS kind,
    count(*) AS records, sum(size) AS bytes, coalesce(sum(expires_at <= strftime('%s', 'now') * 1000), 0) AS expired
  FROM records GROUP BY 1 ORDER BY bytes DESC;

INSERT INTO totals VALUES (1, 0, 0);
