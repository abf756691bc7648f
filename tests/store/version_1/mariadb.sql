CREATE TABLE posthog_dead_letters (
    id BIGINT NOT NULL AUTO_INCREMENT,
    shard SMALLINT NOT NULL,
    project VARCHAR(64) NOT NULL,
    lane VARCHAR(16) NOT NULL,
    payload LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    event_uuid VARCHAR(36) NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    died_at BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX posthog_dead_letters_event_uuid ON posthog_dead_letters (event_uuid);

CREATE TABLE posthog_outbox (
    id BIGINT NOT NULL AUTO_INCREMENT,
    shard SMALLINT NOT NULL,
    project VARCHAR(64) NOT NULL,
    lane VARCHAR(16) NOT NULL,
    payload LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX posthog_outbox_shard_id ON posthog_outbox (shard, id);

CREATE TABLE posthog_schema (
    version INTEGER NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (version)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE posthog_shards (
    shard SMALLINT NOT NULL,
    owner VARCHAR(64),
    fence BIGINT NOT NULL,
    lease_expires_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    last_error TEXT,
    PRIMARY KEY (shard)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE posthog_workers (
    id VARCHAR(64) NOT NULL,
    host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL,
    version VARCHAR(32) NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO posthog_schema (version, applied_at) VALUES (1, 1760000000000);
