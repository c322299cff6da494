-- What limits count, kept as it changes instead of summed up each time, and
-- indexes for what is looked up by upload.

-- +goose Up

-- One row. reserved, uploads and staged are the bytes that uploads reserve, how
-- many uploads do so, and the bytes of their staged pages.
CREATE TABLE total (
    one      SMALLINT PRIMARY KEY CHECK (one = 1),
    reserved BIGINT NOT NULL,
    uploads  BIGINT NOT NULL,
    staged   BIGINT NOT NULL
);

-- reserved: the budget, while the upload is open and, if it was abandoned, until
-- the nodes have deleted what it brought; then 0.
ALTER TABLE upload ADD COLUMN reserved BIGINT NOT NULL DEFAULT 0;
UPDATE upload SET reserved = budget WHERE state = 1;
INSERT INTO total (one, reserved, uploads, staged)
    SELECT 1, COALESCE(SUM(reserved), 0), COUNT(*), COALESCE(SUM(staged), 0) FROM upload WHERE state = 1;
CREATE INDEX upload_abandoned ON upload (num) WHERE state = 3 AND reserved > 0;

-- The nodes at which an upload reserves; reserved of a node is their sum.
CREATE TABLE reservation (
    upload BIGINT NOT NULL REFERENCES upload (num),
    node   BIGINT NOT NULL,
    PRIMARY KEY (upload, node)
);
INSERT INTO reservation (upload, node)
    SELECT DISTINCT c.upload, c.node FROM upload_chain_node c JOIN upload u ON u.num = c.upload WHERE u.state = 1 AND c.place < 2;
ALTER TABLE node ADD COLUMN reserved BIGINT NOT NULL DEFAULT 0;
UPDATE node SET reserved = (SELECT COALESCE(SUM(u.reserved), 0) FROM reservation r JOIN upload u ON u.num = r.upload WHERE r.node = node.num);

CREATE INDEX link_upload ON link (upload);
CREATE INDEX node_order_open ON node_order (upload) WHERE outcome = 0;

-- +goose Down
DROP INDEX node_order_open;
DROP INDEX link_upload;
ALTER TABLE node DROP COLUMN reserved;
DROP TABLE reservation;
DROP INDEX upload_abandoned;
ALTER TABLE upload DROP COLUMN reserved;
DROP TABLE total;
