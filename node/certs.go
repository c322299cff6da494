package node

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certCheck is how often the files are looked at: a renewed certificate is used
// without a restart.
const certCheck = time.Minute

// certs holds a certificate that somebody else renews.
type certs struct {
	cert, key string
	now       func() time.Time

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	changed time.Time // of the file that is loaded
	looked  time.Time
}

// serverTLS is nil for plain HTTP.
func (c *Config) serverTLS() (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	held := &certs{cert: c.TLSCert, key: c.TLSKey, now: c.Now}
	if err := held.load(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: held.get}, nil
}

// load is called with mu held, or before anybody else knows c.
func (c *certs) load() error {
	info, err := os.Stat(c.cert)
	if err != nil {
		return fmt.Errorf("node: certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("node: certificate: %w", err)
	}
	c.current, c.changed, c.looked = &pair, info.ModTime(), c.now()
	return nil
}

func (c *certs) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.looked) >= certCheck {
		c.looked = c.now()
		if info, err := os.Stat(c.cert); err == nil && !info.ModTime().Equal(c.changed) {
			_ = c.load() // half renewed: the old pair serves until both files fit
		}
	}
	return c.current, nil
}
