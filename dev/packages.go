package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
)

// needs maps what the tests call to the Debian package that brings it. A path
// is looked up as a file, anything else as a program.
var needs = map[string]string{
	"chromium":                          "chromium",
	"firefox-esr":                       "firefox-esr",
	"b3sum":                             "b3sum",
	"strace":                            "strace",
	"WebKitWebDriver":                   "webkit2gtk-driver",
	"Xvfb":                              "xvfb",
	"zbarimg":                           "zbar-tools",
	"ip":                                "iproute2",
	"groff":                             "groff-base",
	"certutil":                          "libnss3-tools",
	"zsh":                               "zsh",
	"fish":                              "fish",
	"/usr/sbin/iptables":                "iptables",
	"/usr/bin/python3":                  "python3",
	"/usr/lib/postgresql/15/bin/initdb": "postgresql",
	"/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf": "fonts-liberation",
	"/usr/lib/python3/dist-packages/cryptography/__init__.py":         "python3-cryptography",
	"/usr/lib/python3/dist-packages/argon2/__init__.py":               "python3-argon2",
}

func missingPackages() []string {
	missing := map[string]bool{}
	for need, pkg := range needs {
		if strings.HasPrefix(need, "/") {
			if _, err := os.Stat(need); err != nil {
				missing[pkg] = true
			}
		} else if _, err := exec.LookPath(need); err != nil {
			missing[pkg] = true
		}
	}
	var names []string
	for name := range missing {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// installPackages brings what the tests need, where it may: as root on Debian.
// Elsewhere it fails and names the packages; nothing is skipped.
func installPackages(ctx context.Context) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("these Debian packages are missing; install them and try again: %s", list)
	}
	fmt.Fprintln(os.Stderr, "dev: installing", list)
	apt := func(args ...string) error {
		cmd := command(ctx, ".", "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		out, err := cmd.Output()
		if err != nil {
			os.Stderr.Write(out)
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
		return nil
	}
	if err := apt("-qq", "update"); err != nil {
		return err
	}
	if err := apt(append([]string{"-qq", "-y", "--no-install-recommends", "install"}, missing...)...); err != nil {
		return err
	}
	if still := missingPackages(); len(still) > 0 {
		return fmt.Errorf("installed, and still missing: %s", strings.Join(still, " "))
	}
	return nil
}
