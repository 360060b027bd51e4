// Package logging writes one record for each HTTP call with log/slog, and no secret in it.
package logging
