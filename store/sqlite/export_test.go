package sqlite

// EveryMinute does what the store does each minute.
func (s *Store) EveryMinute() { s.everyMinute() }
