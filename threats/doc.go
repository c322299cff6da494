// Package threats attacks the real client, server and nodes, and holds them to
// docs/threat-model.md. One service runs for all tests; before the server and
// before every node stands a front that records what passes and, where a test
// says so, lies. A test's name carries the row of the threat that it shows:
// TestThreat08… is row 8. An attack fails when the client ends with an error that
// a person can act on, leaves no plaintext where the file should be, and sends
// nothing afterwards that depends on a key.
package threats
