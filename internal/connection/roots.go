package connection

import (
	"crypto/x509"
	"reflect"
	"slices"
	"strconv"
)

// rootsOf names the certificates in a pool by their sums. It returns false for a pool that cannot be named: one whose certificates have constraints,
// which are functions, and any pool if crypto/x509 changes how it stores certificates. The methods of a pool do not suffice:
// Subjects leaves out the system's roots, and two certificates may have the same subject.
func rootsOf(pool *x509.CertPool) (content []string, ok bool) {
	if system, err := x509.SystemCertPool(); err == nil && pool.Equal(system) && !constrained(pool) {
		return nil, true
	}
	p := reflect.ValueOf(pool).Elem()
	sums, system := p.FieldByName("haveSum"), p.FieldByName("systemPool")
	certs := p.FieldByName("lazyCerts")
	switch {
	case !sums.IsValid() || sums.Kind() != reflect.Map || sums.Type().Key().Kind() != reflect.Array || sums.Type().Key().Elem().Kind() != reflect.Uint8,
		!system.IsValid() || system.Kind() != reflect.Bool,
		!certs.IsValid() || certs.Kind() != reflect.Slice || certs.Len() != sums.Len(),
		constrained(pool):
		return nil, false
	}
	for _, key := range sums.MapKeys() {
		sum := make([]byte, key.Len())
		for i := range sum {
			sum[i] = byte(key.Index(i).Uint())
		}
		content = append(content, string(sum))
	}
	slices.Sort(content)
	return append(content, "system "+strconv.FormatBool(system.Bool())), true
}

// constrained reports whether a certificate in a pool has a constraint, or may have one.
func constrained(pool *x509.CertPool) bool {
	certs := reflect.ValueOf(pool).Elem().FieldByName("lazyCerts")
	if !certs.IsValid() || certs.Kind() != reflect.Slice || certs.Type().Elem().Kind() != reflect.Struct {
		return true
	}
	for i := range certs.Len() {
		constraint := certs.Index(i).FieldByName("constraint")
		if !constraint.IsValid() || constraint.Kind() != reflect.Func || !constraint.IsNil() {
			return true
		}
	}
	return false
}
