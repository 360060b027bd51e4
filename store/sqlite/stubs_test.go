package sqlite_test

func fillTheDisk(string) error { return nil }
func storeLarge(string) error  { return nil }
