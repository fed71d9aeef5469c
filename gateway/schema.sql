-- migration 1: the whole of the first version. It is frozen: stores with it are out in the world, and
-- one lies in tests/golden/store. What comes later is a migration of its own, schema_2.sql and so on.
-- {int64} and {id} are the types that differ between databases; {by_key} keeps a table of short
-- keys in one tree where the database has a word for that.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta (key, value) VALUES ('schema', '1');
INSERT INTO meta (key, value) VALUES ('batch', '0');

-- De-duplication keys of everything that came in.
CREATE TABLE seen (key TEXT PRIMARY KEY, at_ms {int64} NOT NULL) {by_key};

-- Verified messages as they came in: durable before the 2xx, routed in a later batch.
CREATE TABLE arrivals (
    id {id}, at_ms {int64} NOT NULL, channel TEXT NOT NULL, body TEXT NOT NULL,
    rank {int64} NOT NULL);
CREATE INDEX arrivals_rank ON arrivals (rank, id);

CREATE TABLE threads (
    id TEXT PRIMARY KEY, agent TEXT, pipeline TEXT, parent TEXT, root TEXT NOT NULL,
    run {int64}, status TEXT NOT NULL, paused {int64} NOT NULL DEFAULT 0, waiting TEXT,
    title TEXT NOT NULL, requester TEXT, channel TEXT, dest TEXT, in_thread TEXT,
    repo TEXT, outcome TEXT, created_at_ms {int64} NOT NULL, updated_at_ms {int64} NOT NULL,
    steps {int64} NOT NULL DEFAULT 0, tokens {int64} NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0,
    last_seq {int64} NOT NULL DEFAULT 0, last_hash TEXT, last_at_ms {int64} NOT NULL DEFAULT 0,
    dirty {int64} NOT NULL DEFAULT 0, checked_seq {int64} NOT NULL DEFAULT 0);
CREATE INDEX threads_created ON threads (created_at_ms, id);
CREATE INDEX threads_conversation ON threads (in_thread, channel, dest);
CREATE INDEX threads_parent ON threads (parent);
CREATE INDEX threads_root ON threads (root);
CREATE INDEX threads_status ON threads (status, created_at_ms);
CREATE INDEX threads_dirty ON threads (id) WHERE dirty = 1;
CREATE INDEX threads_unchecked ON threads (id) WHERE last_seq > checked_seq;

CREATE TABLE events (
    thread TEXT NOT NULL, seq {int64} NOT NULL, at_ms {int64} NOT NULL, type TEXT NOT NULL,
    actor TEXT NOT NULL, data TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (thread, seq));

CREATE TABLE blobs (hash TEXT PRIMARY KEY, data TEXT NOT NULL);

-- The heads of changed threads, chained; what makes a cut tail or a missing thread visible.
CREATE TABLE checkpoints (
    id {id}, at_ms {int64} NOT NULL, heads TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);

CREATE TABLE requests (
    id TEXT PRIMARY KEY, code TEXT NOT NULL, thread TEXT NOT NULL, kind TEXT NOT NULL,
    status TEXT NOT NULL, call {int64}, tool TEXT, canonical TEXT NOT NULL, digest TEXT NOT NULL,
    view TEXT NOT NULL, policy TEXT, requester TEXT, raised_at_ms {int64} NOT NULL,
    expires_at_ms {int64}, decided_at_ms {int64}, decided_by TEXT, comment TEXT, answer TEXT,
    asked {int64} NOT NULL DEFAULT 0, callback TEXT);
CREATE INDEX requests_code ON requests (code, raised_at_ms);
CREATE INDEX requests_thread ON requests (thread, status);
CREATE INDEX requests_status ON requests (status, raised_at_ms);
CREATE INDEX requests_raised ON requests (raised_at_ms, id);

CREATE TABLE votes (
    request TEXT NOT NULL, person TEXT NOT NULL, decision TEXT NOT NULL, comment TEXT,
    at_ms {int64} NOT NULL, via TEXT NOT NULL, PRIMARY KEY (request, person));

-- Outbound messages: due -> sending -> sent | failed.
CREATE TABLE deliveries (
    number {id}, id TEXT NOT NULL UNIQUE, thread TEXT, request TEXT, channel TEXT NOT NULL, message TEXT NOT NULL,
    state TEXT NOT NULL, attempts {int64} NOT NULL DEFAULT 0, due_at_ms {int64} NOT NULL,
    lane TEXT NOT NULL, created_at_ms {int64} NOT NULL, first_sent_ms {int64}, doubt {int64} NOT NULL DEFAULT 0,
    external_id TEXT, replaces TEXT, in_thread TEXT, ask {int64}, error TEXT);
CREATE INDEX deliveries_due ON deliveries (due_at_ms) WHERE state = 'due';
CREATE INDEX deliveries_sending ON deliveries (id) WHERE state = 'sending';
CREATE INDEX deliveries_request ON deliveries (request);
CREATE INDEX deliveries_external ON deliveries (external_id);
CREATE INDEX deliveries_lane ON deliveries (lane, state);

CREATE TABLE timers (
    id {id}, due_at_ms {int64} NOT NULL, kind TEXT NOT NULL, thread TEXT, ref TEXT, data TEXT);
CREATE INDEX timers_due ON timers (due_at_ms);
CREATE INDEX timers_ref ON timers (kind, ref);

-- What is under way outside: commands, look-ups, model calls.
CREATE TABLE tool_runs (
    id TEXT PRIMARY KEY, thread TEXT NOT NULL, call {int64} NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, spec TEXT NOT NULL, replies TEXT NOT NULL DEFAULT '[]', state TEXT NOT NULL,
    attempt {int64} NOT NULL DEFAULT 1, due_at_ms {int64} NOT NULL DEFAULT 0,
    started_at_ms {int64} NOT NULL, ended_at_ms {int64});
CREATE INDEX tool_runs_open ON tool_runs (id) WHERE state <> 'ended';
CREATE INDEX tool_runs_thread ON tool_runs (thread, state);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY, person TEXT NOT NULL, created_at_ms {int64} NOT NULL,
    expires_at_ms {int64} NOT NULL);
CREATE TABLE logins (
    hash TEXT PRIMARY KEY, person TEXT NOT NULL, via TEXT, expires_at_ms {int64} NOT NULL,
    spent {int64} NOT NULL DEFAULT 0);

-- The deploy domain.
CREATE TABLE components (
    environment TEXT NOT NULL, component TEXT NOT NULL, sha TEXT, state TEXT NOT NULL,
    thread TEXT, at_ms {int64} NOT NULL, PRIMARY KEY (environment, component));
CREATE TABLE deployments (
    id {id}, environment TEXT NOT NULL, component TEXT NOT NULL, sha TEXT NOT NULL,
    thread TEXT NOT NULL, outcome TEXT NOT NULL, rollback {int64} NOT NULL,
    started_at_ms {int64} NOT NULL, ended_at_ms {int64} NOT NULL);
CREATE INDEX deployments_place ON deployments (environment, component, id);
CREATE TABLE passed (
    environment TEXT NOT NULL, sha TEXT NOT NULL, thread TEXT NOT NULL, at_ms {int64} NOT NULL,
    PRIMARY KEY (environment, sha));
CREATE TABLE holds (
    environment TEXT NOT NULL, thread TEXT NOT NULL, number {int64} NOT NULL,
    state TEXT NOT NULL, at_ms {int64} NOT NULL, PRIMARY KEY (environment, thread));
CREATE TABLE locks (
    environment TEXT PRIMARY KEY, owner TEXT NOT NULL, reason TEXT NOT NULL, at_ms {int64} NOT NULL,
    expires_at_ms {int64});

-- Answers of providers that may be asked again with If-None-Match.
CREATE TABLE etags (url TEXT PRIMARY KEY, etag TEXT NOT NULL, body TEXT NOT NULL, at_ms {int64} NOT NULL);
