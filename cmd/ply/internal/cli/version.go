package cli

import "runtime/debug"

// version is that of the module, as go install stamps it, or the revision of a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
