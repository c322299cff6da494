package account

// Crowd counts n sign-ups more.
func (s *Service) Crowd(n int) {
	for range n {
		s.signUps(true)
	}
}
