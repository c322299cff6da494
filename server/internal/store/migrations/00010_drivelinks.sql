-- Links to what is in a drive.

-- +goose Up

-- A live link to what is in a drive; its upload is NULL. drive is its owner's, folder the
-- one that it opens, or in which the file lay when it was made. own is sealed for the
-- owner. body is the grant of a link to the whole folder, else NULL.
CREATE TABLE drive_link (
    link   BIGINT PRIMARY KEY REFERENCES link (num),
    drive  BIGINT NOT NULL REFERENCES drive (num),
    folder BIGINT NOT NULL REFERENCES folder (num),
    own    BYTEA NOT NULL,
    body   BYTEA
);
CREATE INDEX drive_link_drive ON drive_link (drive, link);
CREATE INDEX drive_link_folder ON drive_link (folder);

-- What a link to a file opens, by id: the link does not keep a revision from being
-- destroyed, and ids are never used again.
CREATE TABLE link_revision (
    link     BIGINT NOT NULL REFERENCES link (num),
    revision BYTEA NOT NULL,
    PRIMARY KEY (link, revision)
);

-- +goose Down
DROP TABLE link_revision;
DROP TABLE drive_link;
