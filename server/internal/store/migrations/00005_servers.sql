-- What several servers on one database share.

-- +goose Up

-- One row once a server has started: the public halves of the keys with which all
-- servers sign tickets and orders. Nodes pin them when they join.
CREATE TABLE identity (
    one    SMALLINT PRIMARY KEY CHECK (one = 1),
    ticket BYTEA NOT NULL,
    orders BYTEA NOT NULL
);

-- When as many sends may begin at once again as ever, in microseconds since 1970
-- (upload.Opens).
ALTER TABLE total ADD COLUMN opens_free BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE total DROP COLUMN opens_free;
DROP TABLE identity;
