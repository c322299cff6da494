package opaque

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/bytemare/ecc"
	"github.com/bytemare/opaque"
)

// rfcVector is a vector of RFC 9807, appendix C, for the group of our suite. They are
// made with a context and without stretching, so that they test the library under it.
type rfcVector struct {
	Name    string            `json:"name"`
	Fake    bool              `json:"fake"`
	Context string            `json:"context"`
	Inputs  map[string]string `json:"inputs"`
	Outputs map[string]string `json:"outputs"`
}

func hexOf(t *testing.T, from map[string]string, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(from[name])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// in is an input, or nil: an identity that is not given is the public key.
func (v rfcVector) in(t *testing.T, name string) []byte {
	t.Helper()
	if _, given := v.Inputs[name]; !given {
		return nil
	}
	return hexOf(t, v.Inputs, name)
}

// wants compares an output with the vector's.
func (v rfcVector) wants(t *testing.T, name string, got []byte) {
	t.Helper()
	if want := hexOf(t, v.Outputs, name); !bytes.Equal(got, want) {
		t.Errorf("%s, %s: %x instead of %x", v.Name, name, got, want)
	}
}

func (v rfcVector) scalar(t *testing.T, name string) *ecc.Scalar {
	t.Helper()
	s := ecc.Ristretto255Sha512.NewScalar()
	if err := s.Decode(v.in(t, name)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (v rfcVector) suite(t *testing.T) *opaque.Configuration {
	c := suite()
	c.KSF, c.Context = 0, hexOf(t, map[string]string{"context": v.Context}, "context")
	return c
}

func (v rfcVector) server(t *testing.T) *opaque.Server {
	t.Helper()
	s, err := v.suite(t).Server()
	if err == nil {
		err = s.SetKeyMaterial(&opaque.ServerKeyMaterial{
			PrivateKey: v.scalar(t, "server_private_key"), PublicKeyBytes: v.in(t, "server_public_key"),
			OPRFGlobalSeed: v.in(t, "oprf_seed"), Identity: v.in(t, "server_identity"),
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (v rfcVector) registers(t *testing.T, s *opaque.Server) {
	c, err := v.suite(t).Client()
	if err != nil {
		t.Fatal(err)
	}
	request, err := c.RegistrationInit(v.in(t, "password"), &opaque.ClientOptions{OPRFBlind: v.scalar(t, "blind_registration")})
	if err != nil {
		t.Fatal(err)
	}
	v.wants(t, "registration_request", request.Serialize())
	response, err := s.RegistrationResponse(request, v.in(t, "credential_identifier"), nil)
	if err != nil {
		t.Fatal(err)
	}
	v.wants(t, "registration_response", response.Serialize())
	record, export, err := c.RegistrationFinalize(response, v.in(t, "client_identity"), v.in(t, "server_identity"),
		&opaque.ClientOptions{RegistrationEnvelopeNonce: v.in(t, "envelope_nonce")})
	if err != nil {
		t.Fatal(err)
	}
	v.wants(t, "registration_upload", record.Serialize())
	v.wants(t, "export_key", export)
}

// answers gives KE2 for the vector's KE1 and record.
func (v rfcVector) answers(t *testing.T, s *opaque.Server, ke1, record []byte) (ke2 []byte, out *opaque.ServerOutput) {
	t.Helper()
	m, err := s.Deserialize.KE1(ke1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Deserialize.RegistrationRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	answer, out, err := s.GenerateKE2(m, &opaque.ClientRecord{
		RegistrationRecord: r, CredentialIdentifier: v.in(t, "credential_identifier"), ClientIdentity: v.in(t, "client_identity"),
	}, &opaque.ServerOptions{
		MaskingNonce: v.in(t, "masking_nonce"),
		AKE:          &opaque.AKEOptions{SecretKeyShareSeed: v.in(t, "server_keyshare_seed"), Nonce: v.in(t, "server_nonce")},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.wants(t, "KE2", answer.Serialize())
	return answer.Serialize(), out
}

func (v rfcVector) logsIn(t *testing.T, s *opaque.Server) {
	c, err := v.suite(t).Client()
	if err != nil {
		t.Fatal(err)
	}
	ke1, err := c.GenerateKE1(v.in(t, "password"), &opaque.ClientOptions{
		OPRFBlind: v.scalar(t, "blind_login"),
		AKE:       &opaque.AKEOptions{SecretKeyShareSeed: v.in(t, "client_keyshare_seed"), Nonce: v.in(t, "client_nonce")},
	})
	if err != nil {
		t.Fatal(err)
	}
	v.wants(t, "KE1", ke1.Serialize())
	ke2, out := v.answers(t, s, ke1.Serialize(), hexOf(t, v.Outputs, "registration_upload"))
	m, err := c.Deserialize.KE2(ke2)
	if err != nil {
		t.Fatal(err)
	}
	ke3, session, export, err := c.GenerateKE3(m, v.in(t, "client_identity"), v.in(t, "server_identity"))
	if err != nil {
		t.Fatal(err)
	}
	v.wants(t, "KE3", ke3.Serialize())
	v.wants(t, "session_key", session)
	v.wants(t, "session_key", out.SessionSecret)
	v.wants(t, "export_key", export)
	if err := s.LoginFinish(ke3, out.ClientMAC); err != nil {
		t.Error(err)
	}
}

// TestRFC9807Vectors runs the RFC's vectors of ristretto255: two logins, and the
// answer to a name that nobody has.
func TestRFC9807Vectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/rfc9807.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []rfcVector
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) != 3 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			s := v.server(t)
			if v.Fake {
				record := slices.Concat(v.in(t, "client_public_key"), v.in(t, "masking_key"), make([]byte, RecordSize-96))
				v.answers(t, s, v.in(t, "KE1"), record)
				return
			}
			v.registers(t, s)
			v.logsIn(t, s)
		})
	}
}
