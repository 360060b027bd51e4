-- The tables of ply's PostgreSQL store: https://github.com/plyhttp/ply, package store/postgres.
-- It is a cache. The schema may be dropped at any time; the next call makes it again.
--
-- To look into it:  SELECT * FROM ply.entries;   SELECT * FROM ply.contents;
-- To forget a URL:  DELETE FROM ply.records WHERE url = 'https://example.com/';
-- Copies in memory follow after:  NOTIFY "ply_ply";

CREATE SEQUENCE IF NOT EXISTS {schema}.versions AS bigint; -- goes on where only the table was dropped

CREATE {unlogged} TABLE {schema}.records (
  key        text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(key) BETWEEN 1 AND 128),
  version    bigint      NOT NULL DEFAULT (nextval({literal}) << 20) + floor(random() * 1048576)::bigint,
  kind       text        COLLATE "C" NOT NULL CHECK (octet_length(kind) <= 16),
  owner      text        COLLATE "C" NOT NULL CHECK (octet_length(owner) <= 128),
  url        text        COLLATE "C" NOT NULL CHECK (octet_length(url) <= 1024),
  size       integer     NOT NULL,
  stored_at  timestamptz NOT NULL,
  used_at    timestamptz NOT NULL,
  expires_at timestamptz,
  data       bytea       NOT NULL CHECK (octet_length(data) BETWEEN 1 AND 33554432)
) WITH (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.1,
  toast.autovacuum_vacuum_scale_factor = 0.05
);

ALTER TABLE {schema}.records ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE INDEX records_by_use  ON {schema}.records (used_at) WHERE owner = '';
CREATE INDEX records_by_time ON {schema}.records (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX parts_by_owner  ON {schema}.records (owner, key) WHERE owner <> '';

COMMENT ON TABLE {schema}.records IS 'ply store, format 1: a cache of HTTP responses, which may be emptied at any time';
COMMENT ON COLUMN {schema}.records.key IS 'what the cache asks for';
COMMENT ON COLUMN {schema}.records.version IS 'another one after each change, from a sequence, with 20 random bits below it';
COMMENT ON COLUMN {schema}.records.kind IS 'entry, body (a piece of one), mark, lock, setup, or the number of another kind';
COMMENT ON COLUMN {schema}.records.owner IS 'the key of the record that this one is a part of, or empty';
COMMENT ON COLUMN {schema}.records.url IS 'what it is about, for people';
COMMENT ON COLUMN {schema}.records.size IS 'bytes that it is charged with, overhead included';
COMMENT ON COLUMN {schema}.records.used_at IS 'written once a minute at most; a part is as old as its owner';
COMMENT ON COLUMN {schema}.records.expires_at IS 'to the millisecond; NULL is never';

CREATE VIEW {schema}.entries AS
  SELECT e.url, e.size + coalesce(p.size, 0) AS size, e.used_at, e.stored_at, e.expires_at, coalesce(p.pieces, 0) AS pieces, e.key
  FROM {schema}.records e
  LEFT JOIN (SELECT owner, sum(size) AS size, count(*) AS pieces FROM {schema}.records WHERE owner <> '' GROUP BY owner) p ON p.owner = e.key
  WHERE e.kind = 'entry' ORDER BY e.used_at DESC;

CREATE VIEW {schema}.contents AS
  SELECT kind, count(*) AS records, sum(size) AS bytes, count(*) FILTER (WHERE expires_at <= now()) AS expired
  FROM {schema}.records GROUP BY kind ORDER BY bytes DESC;

COMMENT ON VIEW {schema}.entries IS 'what is cached, the last used first';
COMMENT ON VIEW {schema}.contents IS 'how much there is of what';
