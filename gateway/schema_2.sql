-- migration 2: what is asked for often is found by an index, however much the store holds.

-- How many requests were raised before: with it the requests of a time are counted by two look-ups.
ALTER TABLE requests ADD COLUMN number {int64};
UPDATE requests SET number = counted.number FROM
    (SELECT id, ROW_NUMBER() OVER (ORDER BY raised_at_ms, id) AS number FROM requests) AS counted
    WHERE counted.id = requests.id;
CREATE UNIQUE INDEX requests_number ON requests (number);

-- Where it was decided: the channel, the page, the key.
ALTER TABLE requests ADD COLUMN via TEXT;

-- What somebody asked for, and what was decided last, for the page that each person has of their own.
CREATE INDEX requests_requester ON requests (requester, raised_at_ms);
CREATE INDEX requests_decided ON requests (decided_at_ms) WHERE decided_at_ms > 0;

CREATE INDEX deliveries_edit ON deliveries (replaces) WHERE replaces IS NOT NULL;
CREATE INDEX tool_runs_due ON tool_runs (due_at_ms) WHERE state = 'due';
CREATE INDEX threads_agent ON threads (agent, created_at_ms, id);
CREATE INDEX threads_run ON threads (run) WHERE run > 0;

-- Of a lane one is due at a time; those behind it are queued.
UPDATE deliveries SET state = 'queued' WHERE state = 'due' AND EXISTS
    (SELECT 1 FROM deliveries AS e WHERE e.lane = deliveries.lane AND
     (e.state = 'sending' OR (e.state = 'due' AND e.number < deliveries.number)));
