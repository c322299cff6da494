-- Second factors of accounts.

-- +goose Up

-- secret is sealed under the service's key; step is the last step of time whose code
-- was used.
CREATE TABLE account_factor (
    account BIGINT PRIMARY KEY REFERENCES account (num),
    secret  BYTEA NOT NULL,
    step    BIGINT NOT NULL
);

-- Keyed hashes of recovery codes that were not used.
CREATE TABLE account_code (
    account BIGINT NOT NULL REFERENCES account (num),
    hash    BYTEA NOT NULL,
    PRIMARY KEY (account, hash)
);

-- +goose Down
DROP TABLE account_code;
DROP TABLE account_factor;
