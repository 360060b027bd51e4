// Package retry sends HTTP requests again when that is safe and may help.
package retry
