package opaque

import (
	"crypto/hkdf"
	"crypto/sha512"
	"fmt"

	"holdfast/format/id"

	"github.com/bytemare/ecc"
	"github.com/bytemare/opaque"
	"github.com/bytemare/opaque/message"
)

// Secret is what a server must keep, and what makes a thief of its database need it:
// the seed of all OPRF keys, and its private key. Without it nobody can log in again.
type Secret [SecretSize]byte

// NewSecret draws a server's secret.
func NewSecret() Secret { return DeriveSecret(id.New32()) }

// DeriveSecret is the secret of 32 random bytes.
func DeriveSecret(seed [32]byte) (s Secret) {
	long, err := hkdf.Key(sha512.New, seed[:], nil, "holdfast/v1/opaque-secret", 64+64)
	if err != nil {
		panic("opaque: " + err.Error()) // only a greater length fails
	}
	private := ecc.Ristretto255Sha512.HashToScalar(long[64:], []byte("holdfast/v1/opaque-key"))
	copy(s[:], long[:64])
	copy(s[64:], private.Encode())
	return s
}

// Server answers registrations and logins. Safe for concurrent use.
type Server struct {
	server *opaque.Server
	seed   []byte
}

// NewServer fails for a secret that NewSecret did not draw.
func NewServer(secret Secret) (*Server, error) {
	server, err := suite().Server()
	if err != nil {
		return nil, fmt.Errorf("opaque: %w", err)
	}
	private := ecc.Ristretto255Sha512.NewScalar()
	if err := private.Decode(secret[64:]); err != nil {
		return nil, fmt.Errorf("opaque: the server's private key: %w", err)
	}
	public := ecc.Ristretto255Sha512.Base().Multiply(private)
	if err := server.SetKeyMaterial(&opaque.ServerKeyMaterial{
		PrivateKey: private, PublicKeyBytes: public.Encode(), OPRFGlobalSeed: secret[:64],
	}); err != nil {
		return nil, fmt.Errorf("opaque: the server's key: %w", err)
	}
	return &Server{server, secret[:64]}, nil
}

// Register answers a registration's request under the OPRF key that credential names.
// Draw a new one for every registration, and keep it with the record: whoever may
// register under the credential of an account has guesses at its password evaluated
// without logging in.
func (s *Server) Register(request, credential []byte) (response []byte, err error) {
	m, err := s.server.Deserialize.RegistrationRequest(request)
	if err != nil {
		return nil, ErrMessage
	}
	r, err := s.server.RegistrationResponse(m, credential, nil)
	if err != nil {
		return nil, ErrMessage
	}
	return r.Serialize(), nil
}

// CheckRecord tells whether bytes are a record that can be stored: ErrMessage if not.
func (s *Server) CheckRecord(record []byte) error {
	if _, err := s.server.Deserialize.RegistrationRecord(record); err != nil {
		return ErrMessage
	}
	return nil
}

// Begin answers KE1 with KE2 for the record of a credential; a nil record stands for a
// name that nobody has. The two take the same steps and look the same, also when
// repeated (RFC 9807 §10.9). expected is for Finish, and must not reach the client.
func (s *Server) Begin(ke1, credential, record []byte) (ke2, expected []byte, err error) {
	m, err := s.server.Deserialize.KE1(ke1)
	if err != nil {
		return nil, nil, ErrMessage
	}
	fake := s.fake(credential) // made for every login, so that none takes longer
	if record == nil {
		record = fake
	}
	r, err := s.server.Deserialize.RegistrationRecord(record)
	if err != nil {
		return nil, nil, fmt.Errorf("opaque: a stored record: %w", err)
	}
	answer, out, err := s.server.GenerateKE2(m, &opaque.ClientRecord{RegistrationRecord: r, CredentialIdentifier: credential})
	if err != nil {
		return nil, nil, ErrMessage
	}
	clear(out.SessionSecret)
	return answer.Serialize(), out.ClientMAC, nil
}

// Finish compares KE3 with what Begin expected: ErrLogin if they differ.
func (s *Server) Finish(ke3, expected []byte) error {
	m, err := s.server.Deserialize.KE3(ke3)
	if err != nil || len(expected) != ExpectedSize {
		return ErrLogin
	}
	if err := s.server.LoginFinish(m, expected); err != nil {
		return ErrLogin
	}
	return nil
}

// fake is the record of a credential that nobody registered: always the same one, so
// that asking twice tells nothing, and one whose private key nobody knows.
func (s *Server) fake(credential []byte) []byte {
	label := "holdfast/v1/opaque-fake\x00"
	masking, err := hkdf.Key(sha512.New, s.seed, credential, label+"masking", sha512.Size)
	if err != nil {
		panic("opaque: " + err.Error()) // only a greater length fails
	}
	key, err := hkdf.Key(sha512.New, s.seed, credential, label+"key", sha512.Size)
	if err != nil {
		panic("opaque: " + err.Error())
	}
	r := message.RegistrationRecord{
		ClientPublicKey: ecc.Ristretto255Sha512.HashToGroup(key, []byte(label)),
		MaskingKey:      masking,
		Envelope:        make([]byte, RecordSize-32-sha512.Size),
	}
	return r.Serialize()
}
