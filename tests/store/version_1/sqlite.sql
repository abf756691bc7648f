CREATE TABLE posthog_dead_letters (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    shard SMALLINT NOT NULL,
    project VARCHAR(64) NOT NULL,
    lane VARCHAR(16) NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    event_uuid VARCHAR(36) NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    died_at BIGINT NOT NULL
);

CREATE INDEX posthog_dead_letters_event_uuid ON posthog_dead_letters (event_uuid);

CREATE TABLE posthog_outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    shard SMALLINT NOT NULL,
    project VARCHAR(64) NOT NULL,
    lane VARCHAR(16) NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX posthog_outbox_shard_id ON posthog_outbox (shard, id);

CREATE TABLE posthog_schema (
    version INTEGER NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (version)
);

CREATE TABLE posthog_shards (
    shard SMALLINT NOT NULL,
    owner VARCHAR(64),
    fence BIGINT NOT NULL,
    lease_expires_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    last_error TEXT,
    PRIMARY KEY (shard)
);

CREATE TABLE posthog_workers (
    id VARCHAR(64) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    version VARCHAR(32) NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (id)
);

INSERT INTO posthog_schema (version, applied_at) VALUES (1, 1760000000000);
