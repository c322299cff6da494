package main

import (
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"

	"holdfast/server"
)

// databaseEnv is where an address with a password may stand.
const databaseEnv = "HOLDFAST_DATABASE"

// databaseFlags name a database that several servers share.
type databaseFlags struct {
	Database     string `help:"Address of a PostgreSQL database instead of SQLite: postgres://USER@HOST/NAME. One with a password belongs into the environment or a file, since command lines are no secret." env:"HOLDFAST_DATABASE" placeholder:"URL" xor:"database"`
	DatabaseFile string `help:"File, readable by its owner only, with the address of a PostgreSQL database." type:"path" env:"HOLDFAST_DATABASE_FILE" placeholder:"FILE" xor:"database"`
}

// in is where the state is, given the data directory.
func (f databaseFlags) in(dir string) (server.Data, error) {
	address, err := f.address()
	return server.Data{Dir: dir, Database: address}, err
}

// address returns "" if SQLite is meant. Errors never quote an address.
func (f databaseFlags) address() (string, error) {
	address, source := f.Database, "--database"
	if f.DatabaseFile != "" {
		source = f.DatabaseFile
		info, err := os.Stat(f.DatabaseFile)
		if err != nil {
			return "", fmt.Errorf("read the address of the database: %w", err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return "", usagef("%s: others may read it; set its mode to 0600", f.DatabaseFile)
		}
		raw, err := os.ReadFile(f.DatabaseFile)
		if err != nil {
			return "", fmt.Errorf("read the address of the database: %w", err)
		}
		if address = strings.TrimSpace(string(raw)); address == "" {
			return "", usagef("%s is empty", f.DatabaseFile)
		}
	}
	if address == "" {
		return "", nil
	}
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return "", usagef("%s: the address of the database has to be postgres://USER@HOST/NAME; without it SQLite in the data directory is used", source)
	}
	if f.DatabaseFile == "" && address != os.Getenv(databaseEnv) && hasPassword(address) {
		return "", usagef("--database: this address has a password, which anyone on this machine can read in the list of processes: change it, and put the address into the variable %s or a file for --database-file", databaseEnv)
	}
	return address, nil
}

func hasPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return true // better not be taken than shown
	}
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}
