// Package seal keeps the last good values in an encrypted file, and is a second source
// of them: a start during an outage takes from the file what KMS can't give. It is
// composed in front of the fetches, so that neither the start nor the loop knows of it.
// It prints no value, and the plaintext exists in document.go alone.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/kmsrun/kmsrun/secret"
)

// File is the sealed file, and the keys to it.
type File struct {
	path   string
	maxAge time.Duration
	origin origin
	keys   keys
}

// maxSize bounds a file that is read, in bytes: 200 secrets have 8 MB at most.
const maxSize = 256 << 20

// The marks around an armored file (the age specification's ASCII armor). Without the
// last one a file was cut off, which the cipher alone can't tell from other damage.
var (
	firstMark = []byte(armor.Header + "\n")
	lastMark  = []byte("\n" + armor.Footer + "\n")
)

// Write replaces the file in one step by the values of a snapshot. read tells when each
// was last read from KMS.
func (f *File) Write(snapshot secret.Snapshot, read func(secret.ID) time.Time) error {
	text, err := encode(document{Sealed: time.Now().UTC(), KMS: f.origin}, snapshot, read)
	if err != nil {
		return err
	}
	return replace(f.path, func(to io.Writer) error {
		armored := armor.NewWriter(to)
		encrypted, err := age.Encrypt(armored, f.keys.recipients...)
		if err != nil {
			return fmt.Errorf("encrypting: %w", unquoted(err))
		}
		if _, err := encrypted.Write(text); err != nil {
			return err
		}
		if err := encrypted.Close(); err != nil {
			return err
		}
		return armored.Close()
	})
}

// sweep removes what a kmsrun that was killed while it wrote has left behind. Younger
// files may be another's who is at it.
func (f *File) sweep(now time.Time) {
	dir := filepath.Dir(f.path)
	entries, _ := os.ReadDir(dir) // not to be listed: then nothing is swept
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && strings.HasPrefix(entry.Name(), temporaryName(f.path)) && now.Sub(info.ModTime()) > time.Hour {
			_ = os.Remove(filepath.Join(dir, entry.Name()))
		}
	}
}

func temporaryName(path string) string { return "." + filepath.Base(path) + "." }

// replace writes a file of mode 0600 in one step: whoever reads it, or loses power,
// finds the old one or the new one whole.
func replace(path string, write func(io.Writer) error) error {
	dir := filepath.Dir(path)
	temporary, err := os.CreateTemp(dir, temporaryName(path)+"*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // not there any more if all went well
	defer temporary.Close()
	if err := temporary.Chmod(0o600); err != nil {
		return err
	}
	if err := write(temporary); err != nil {
		return err
	}
	if err := temporary.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Open reads the file back and checks that it may stand in, now, for KMS: whole,
// ours, for all of ids, and no value older than it may be. Each fault has its text;
// none quotes what is in the file.
func (f *File) Open(now time.Time, ids []secret.ID) (Contents, error) {
	sealed, err := f.read()
	if err != nil {
		return Contents{}, err
	}
	text, err := f.decrypt(sealed)
	if err != nil {
		return Contents{}, err
	}
	contents, origin, err := decode(text)
	if err != nil {
		return Contents{}, err
	}
	if origin != f.origin {
		return Contents{}, fmt.Errorf("made for other references: those of %s, not of %s", origin, f.origin)
	}
	return contents, contents.fit(now, ids, f.maxAge)
}

// openAtOnce does not wait for a writer, should the path be a pipe's.
func openAtOnce(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func (f *File) read() ([]byte, error) {
	file, err := openAtOnce(f.path)
	if err != nil {
		if pathErr, ok := errors.AsType[*os.PathError](err); ok {
			err = pathErr.Err
		}
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// Recipients are no secret: whoever could write here could seal values of his own.
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("owned by another user (uid %d): kmsrun did not write it", owner.Uid)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("others may write it (mode %s): kmsrun did not leave it so (Kubernetes' fsGroup does, but for fsGroupChangePolicy: OnRootMismatch)", info.Mode())
	}
	sealed, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", err)
	}
	if len(sealed) > maxSize {
		return nil, fmt.Errorf("larger than %d bytes", maxSize)
	}
	return sealed, nil
}

// malformed matches how age quotes a line of a plugin that is none of the protocol. It may
// hold an identity or a key.
var malformed = regexp.MustCompile(`(?s)(malformed (?:stanza|body line)[^"]*)".*`)

// unquoted is an error of age without such a line.
func unquoted(err error) error {
	if text := err.Error(); malformed.MatchString(text) {
		return errors.New(malformed.ReplaceAllString(text, "$1..."))
	}
	return err
}

func (f *File) decrypt(sealed []byte) ([]byte, error) {
	tampered := errors.New("tampered with or damaged: it is not what was sealed")
	switch {
	case !bytes.HasPrefix(sealed, firstMark[:min(len(sealed), len(firstMark))]):
		return nil, errors.New("not a sealed file: it does not begin as armored age does")
	case !bytes.HasSuffix(sealed, lastMark):
		return nil, errors.New("truncated: its end is missing")
	}
	plain, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), f.keys.identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, errors.New("wrong key: sealed to other recipients than the identity of sealed.identity_file")
	}
	if err != nil {
		if f.keys.plugins { // which may be at fault, and say why
			return nil, fmt.Errorf("can't be opened: %w", unquoted(err))
		}
		return nil, tampered
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return nil, tampered
	}
	return text, nil
}
