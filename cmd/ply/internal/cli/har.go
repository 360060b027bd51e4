package cli

import (
	"os"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
)

// maxHARBody bounds what an archive keeps of each body.
const maxHARBody = 32 << 20

// A harFile records the exchanges with servers, and is the file that they go to. Its recorder is the layer next to the transport, so that each redirect and each attempt is one.
type harFile struct {
	recorder *tape.Recorder
	file     *os.File
}

// newHARFile returns a recorder for the file at path, which is opened before anything is sent: what cannot be kept is not done. save closes it.
// The file is for the user alone: even without secrets it says what the user did.
func newHARFile(path string) (*harFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	recorder, err := tape.NewRecorder(tape.RecorderOptions{MaxBodyBytes: maxHARBody})
	if err != nil {
		f.Close()
		return nil, err
	}
	return &harFile{recorder, f}, nil
}

// save writes the archive in place of what the file had, and closes it.
func (h *harFile) save(secrets bool) (err error) {
	defer func() {
		if closeErr := h.file.Close(); err == nil {
			err = closeErr
		}
	}()
	if info, statErr := h.file.Stat(); statErr == nil && info.Mode().IsRegular() {
		if err := h.file.Truncate(0); err != nil {
			return err
		}
	}
	return h.recorder.Tape().WriteHAR(h.file, har.Options{KeepSecrets: secrets, Creator: har.Creator{Name: "ply", Version: version()}})
}
