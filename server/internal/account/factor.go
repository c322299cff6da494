package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"holdfast/format/id"
	"holdfast/server/internal/bucket"
)

// Factor is a second factor: codes that change with time (TOTP, RFC 6238), and codes
// for the day when the device is gone.
type Factor struct {
	// Secret of the codes, sealed under the service's key.
	Secret []byte
	// Step is the last step of time whose code was used: none of it or before counts.
	Step int64
	// Codes are keyed hashes of the recovery codes that were not used.
	Codes [][sha256.Size]byte
}

// FactorSecret is what codes are calculated from, 160 bits as RFC 4226 recommends.
type FactorSecret [20]byte

const (
	// RecoveryCodes is how many a second factor begins with.
	RecoveryCodes = 10
	codeStep      = 30 // seconds
	// codeSkew is how many steps a device's clock may be off, either way.
	codeSkew  = 1
	codeBytes = 10 // of a recovery code: 80 bits of chance
)

// codeTries: who has the password guesses a code of six digits, of which three count
// at a time, with a chance of 1 in 1,000 a day.
var codeTries = bucket.Bucket{Burst: 5, Refill: 300}

// codeText writes recovery codes without letters that look like digits.
var codeText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// sealedFactor is what is sealed of a second factor.
type sealedFactor struct{ Secret FactorSecret }

func factorPurpose(account id.Account) string { return "second factor of " + account.String() }

func (s *Service) mac(use string, parts ...[]byte) [sha256.Size]byte {
	h := hmac.New(sha256.New, s.codes)
	h.Write([]byte(use))
	for _, p := range parts {
		h.Write(p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// codeOf finds the step, after the last one used, of which text is the code; 0 if none is.
func (s *Service) codeOf(secret FactorSecret, text string, last int64) (step int64, err error) {
	now := s.now().Unix() / codeStep
	seed := base32.StdEncoding.EncodeToString(secret[:])
	for at := now - codeSkew; at <= now+codeSkew; at++ {
		// All three are calculated, so that none tells by its time which one it was.
		ok, err := hotp.ValidateCustom(text, uint64(at), seed, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, nil // another length, say
		}
		if ok && at > last && step == 0 {
			step = at
		}
	}
	return step, nil
}

// use accepts a code once: of the device, or for recovery.
func (s *Service) use(account id.Account, f *Factor, code string) error {
	code = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	if len(code) == int(otp.DigitsSix) {
		var sealed sealedFactor
		if err := s.factors.open(factorPurpose(account), f.Secret, &sealed); err != nil {
			return fmt.Errorf("second factor: the database is damaged, or the account key is another")
		}
		step, err := s.codeOf(sealed.Secret, code, f.Step)
		if err != nil {
			return err
		}
		if step == 0 {
			return ErrCode
		}
		f.Step = step
		return nil
	}
	raw, err := codeText.DecodeString(code)
	if err != nil || len(raw) != codeBytes {
		return ErrCode
	}
	shown := s.mac("code", account[:], raw)
	for i := range f.Codes {
		if subtle.ConstantTimeCompare(shown[:], f.Codes[i][:]) == 1 {
			f.Codes = slices.Delete(slices.Clone(f.Codes), i, i+1)
			return nil
		}
	}
	return ErrCode
}

// passFactor asks for a code where the account has a second factor, and uses it up.
func (s *Service) passFactor(ctx context.Context, a Account, code string) error {
	if !a.Factor {
		return nil
	}
	if code == "" {
		return ErrCodeNeeded
	}
	tries := s.mac("tries", a.ID[:])
	if err := s.tryOf(ctx, tries, codeTries); err != nil {
		return err
	}
	err := s.store.UseFactor(ctx, a.ID, Once{}, func(f *Factor) (*Factor, error) {
		if f == nil {
			return nil, nil // taken away meanwhile
		}
		return f, s.use(a.ID, f, code)
	})
	if err != nil {
		return err
	}
	return s.store.UseLoginTry(ctx, tries, func(int64) (int64, error) { return 0, nil })
}

// Proof shows that the bearer of a session knows the password now, and has the second
// factor: the end of a login that begins no session.
type Proof struct {
	State, KE3 []byte
	Code       string
}

// prove returns the step of the proof, for what it is good for to take.
func (s *Service) prove(ctx context.Context, b Bearer, p Proof) (Once, error) {
	state, a, err := s.proven(ctx, p.State, p.KE3)
	if err != nil {
		return Once{}, err
	}
	if a.ID != b.ID {
		return Once{}, ErrLogin
	}
	if err := s.passFactor(ctx, a, p.Code); err != nil {
		return Once{}, err
	}
	if err := s.store.UseLoginTry(ctx, state.Name, func(int64) (int64, error) { return 0, nil }); err != nil {
		return Once{}, err // who proves the password made no guess
	}
	return onceOf(p.State, state.Expires), nil
}

// SetFactor gives the account a second factor, of which code is one that its device
// shows, and returns the recovery codes, which nobody sees again.
func (s *Service) SetFactor(ctx context.Context, b Bearer, p Proof, secret FactorSecret, code string) (codes []string, err error) {
	step, err := s.prove(ctx, b, p)
	if err != nil {
		return nil, fmt.Errorf("second factor: %w", err)
	}
	used, err := s.codeOf(secret, code, 0)
	if err == nil && used == 0 {
		err = ErrNewCode
	}
	if err != nil {
		return nil, fmt.Errorf("second factor: %w", err)
	}
	codes, hashes := s.drawCodes(b.ID)
	made := &Factor{Secret: s.factors.seal(factorPurpose(b.ID), sealedFactor{secret}), Step: used, Codes: hashes}
	if err := s.store.UseFactor(ctx, b.ID, step, func(*Factor) (*Factor, error) { return made, nil }); err != nil {
		return nil, fmt.Errorf("second factor: %w", err)
	}
	return codes, nil
}

func (s *Service) drawCodes(account id.Account) (codes []string, hashes [][sha256.Size]byte) {
	for range RecoveryCodes {
		raw := make([]byte, codeBytes)
		rand.Read(raw)
		text := codeText.EncodeToString(raw)
		codes = append(codes, text[:4]+"-"+text[4:8]+"-"+text[8:12]+"-"+text[12:])
		hashes = append(hashes, s.mac("code", account[:], raw))
	}
	return codes, hashes
}

// SetCodes replaces the recovery codes.
func (s *Service) SetCodes(ctx context.Context, b Bearer, p Proof) (codes []string, err error) {
	step, err := s.prove(ctx, b, p)
	if err != nil {
		return nil, fmt.Errorf("recovery codes: %w", err)
	}
	codes, hashes := s.drawCodes(b.ID)
	err = s.store.UseFactor(ctx, b.ID, step, func(f *Factor) (*Factor, error) {
		if f == nil {
			return nil, ErrNoFactor
		}
		f.Codes = hashes
		return f, nil
	})
	if err != nil {
		return nil, fmt.Errorf("recovery codes: %w", err)
	}
	return codes, nil
}

// DropFactor takes the second factor away. Where there is none it does nothing.
func (s *Service) DropFactor(ctx context.Context, b Bearer, p Proof) error {
	step, err := s.prove(ctx, b, p)
	if err == nil {
		err = s.store.UseFactor(ctx, b.ID, step, func(*Factor) (*Factor, error) { return nil, nil })
	}
	if err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	return nil
}
