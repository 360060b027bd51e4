package eventstream

import "unicode/utf8"

// appendUTF8 appends text to dst as the decoder of the Encoding standard reads it (§8.1.1): of bytes that are not UTF-8, each sequence that could
// have been the beginning of a character, or else each byte, becomes one U+FFFD.
func appendUTF8(dst, text []byte) []byte {
	for len(text) > 0 {
		valid := 0
		for valid < len(text) {
			r, size := utf8.DecodeRune(text[valid:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			valid += size
		}
		dst = append(dst, text[:valid]...)
		if text = text[valid:]; len(text) > 0 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			text = text[beginning(text):]
		}
	}
	return dst
}

// beginning is the length of what could have been the beginning of a character at the start of text, which has no character there, and at least 1.
func beginning(text []byte) int {
	// FullRune is false for a proper beginning of a character only.
	n := 1
	for n < len(text) && n < utf8.UTFMax && !utf8.FullRune(text[:n+1]) {
		n++
	}
	return n
}
