package opaque

import (
	"fmt"

	"github.com/bytemare/opaque"
)

// Registration is a password on its way into an account. It is used once.
type Registration struct {
	client  *opaque.Client
	stretch stretch
}

// NewRegistration begins to register a password, which was prepared before
// (docs/format.md §11), and returns the request for the server.
func NewRegistration(password []byte) (r *Registration, request []byte, err error) {
	return register(password, argon2id)
}

func register(password []byte, s stretch) (*Registration, []byte, error) {
	client, err := suite().Client()
	if err != nil {
		return nil, nil, fmt.Errorf("opaque: %w", err)
	}
	request, err := client.RegistrationInit(password)
	if err != nil {
		return nil, nil, fmt.Errorf("opaque: begin registration: %w", err)
	}
	return &Registration{client, s}, request.Serialize(), nil
}

// Finish takes the server's response. It returns the record for the server, and the
// export key, which only this password and that server's help give again.
func (r *Registration) Finish(response []byte) (record []byte, export [ExportSize]byte, err error) {
	defer r.client.ClearState()
	m, err := r.client.Deserialize.RegistrationResponse(response)
	if err != nil {
		return nil, export, ErrMessage
	}
	done, key, err := r.client.RegistrationFinalize(m, nil, nil, r.stretch.options())
	if err != nil {
		return nil, export, ErrMessage
	}
	copy(export[:], key)
	clear(key)
	return done.Serialize(), export, nil
}

// Login is a password on its way to a session. It is used once.
type Login struct {
	client  *opaque.Client
	stretch stretch
}

// NewLogin begins to log in and returns KE1 for the server.
func NewLogin(password []byte) (l *Login, ke1 []byte, err error) {
	return login(password, argon2id)
}

func login(password []byte, s stretch) (*Login, []byte, error) {
	client, err := suite().Client()
	if err != nil {
		return nil, nil, fmt.Errorf("opaque: %w", err)
	}
	ke1, err := client.GenerateKE1(password)
	if err != nil {
		return nil, nil, fmt.Errorf("opaque: begin login: %w", err)
	}
	return &Login{client, s}, ke1.Serialize(), nil
}

// Finish takes the server's KE2 and returns KE3 for it, and the export key. Whatever is
// wrong is ErrLogin, after the same work.
func (l *Login) Finish(ke2 []byte) (ke3 []byte, export [ExportSize]byte, err error) {
	defer l.client.ClearState()
	m, err := l.client.Deserialize.KE2(ke2)
	if err != nil {
		return nil, export, ErrLogin
	}
	done, session, key, err := l.client.GenerateKE3(m, nil, nil, l.stretch.options())
	if err != nil {
		return nil, export, ErrLogin
	}
	copy(export[:], key)
	clear(key)
	clear(session) // sessions are tokens that the server draws
	return done.Serialize(), export, nil
}
