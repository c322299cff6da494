package main

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
)

// totp SECRETFILE FILE: writes the code that a device would show now.
func cmdTotp(ts *testscript.TestScript, _ bool, args []string) {
	code, err := totp.GenerateCode(strings.TrimSpace(ts.ReadFile(args[0])), time.Now())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(code+"\n"), 0o600))
}

// name VAR FILE: takes the name from what signup --json printed.
func cmdName(ts *testscript.TestScript, _ bool, args []string) {
	var who whoJSON
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &who))
	ts.Setenv(args[0], who.Name)
}

// contact VAR FILE: takes the contact code from what contacts mine --json printed.
func cmdContact(ts *testscript.TestScript, _ bool, args []string) {
	var mine struct {
		Contact string `json:"contact"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &mine))
	ts.Setenv(args[0], mine.Contact)
}
