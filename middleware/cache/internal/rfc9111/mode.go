package rfc9111

// Mode says how the cache treats one request, in the words of the Fetch standard's request cache mode.
type Mode uint8

// The modes. The public ones of package cache have the same numbers.
const (
	modeDefault      Mode = iota // as RFC 9111 says
	modeNoStore                  // neither read the store nor write it
	ModeReload                   // forward the request, and store the response
	ModeNoCache                  // validate a stored response before it is used
	modeForceCache               // use a stored response however stale it is
	modeOnlyIfCached             // the same, and 504 if there is none
	ModeReadOnly                 // store nothing
	ModeDisabled                 // bypass the cache
)

// String returns the mode's name as the Fetch standard writes it.
func (m Mode) String() string {
	names := [...]string{"default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached", "read-only", "disabled"}
	if int(m) < len(names) {
		return names[m]
	}
	return "unknown"
}
