-- Orders that are done are forgotten after a while, and nodes say when they hold
-- orders back.

-- +goose Up

-- held: 1 while the node holds orders back until its owner has decided.
ALTER TABLE node ADD COLUMN held SMALLINT NOT NULL DEFAULT 0;

-- Orders are kept until they were answered and two days more; the last one that
-- a node did stays, to be compared with what the node says it did.
CREATE INDEX node_order_answered ON node_order (day) WHERE outcome <> 0;

-- +goose Down
DROP INDEX node_order_answered;
ALTER TABLE node DROP COLUMN held;
