//go:build !linux

package main

import (
	"context"
	"errors"
)

// figures are measured on Linux only, whose /proc tells what processes use.
func figures(context.Context, []string) error {
	return errors.New("go run ./dev bench needs Linux")
}
