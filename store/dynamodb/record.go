package dynamodb

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// The attributes of an item. A record is its head, "NAMESPACE:KEY", and, if its data is larger than chunkSize, chunks named "NAMESPACE:KEY#NONCE#NUMBER".
// No key has a '#'. Chunks are never changed: their nonce is of the one version that they belong to.
const (
	attrID      = "id"  // S: the partition key
	attrFormat  = "f"   // N: the format of the head
	attrVersion = "v"   // S: the nonce of the version, and ".N" if it has N chunks
	attrExpires = "e"   // N: the end in milliseconds since 1970; absent if there is none. It counts, whether DynamoDB has removed the item or not.
	attrTTL     = "ttl" // N: the second from which DynamoDB may remove the item
	attrKind    = "kind"
	attrOwner   = "owner"
	attrLabel   = "label"
	attrData    = "d"   // B: the data, or a chunk of it
	attrSize    = "n"   // N: the bytes of all chunks
	attrSum     = "sum" // N: their CRC-32C
)

const (
	format    = 1
	chunkSize = 350 << 10 // DynamoDB's limit for an item is 400 KB, names of attributes and all
	maxLabel  = 300       // bytes
	chunkSpan = time.Hour // that chunks outlive their head, as DynamoDB removes items in any order
)

type item = map[string]types.AttributeValue

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newNonce returns 16 random hexadecimal digits. That one was there before has a chance of 1 in 2^64.
func newNonce() string {
	var b [8]byte
	for i, n := 0, rand.Uint64(); i < len(b); i++ {
		b[i] = byte(n >> (8 * i))
	}
	return hex.EncodeToString(b[:])
}

// version names the version of a record with some chunks.
func version(nonce string, chunks int) string {
	if chunks == 0 {
		return nonce
	}
	return nonce + "." + strconv.Itoa(chunks)
}

// parseVersion returns the parts of a version. Of a text that is none, it has no chunks.
func parseVersion(v string) (nonce string, chunks int) {
	nonce, number, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 64 {
		return nonce, 0
	}
	return nonce, n
}

// chunkIDs returns the ids of the chunks that a version of the record with this id has.
func chunkIDs(id, v string) []string {
	nonce, n := parseVersion(v)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s#%s#%d", id, nonce, i)
	}
	return ids
}

// A head is what the first item of a record says.
type head struct {
	record store.Record // without Data if it has chunks
	size   int          // of all chunks
	sum    uint32       // of all chunks
}

// encode returns the items of a record: its head, and its chunks if it has any.
func (s *Store) encode(id string, r store.Record, now time.Time) (head item, chunks []item) {
	nonce := newNonce()
	n := 0
	if len(r.Data) > chunkSize {
		n = (len(r.Data) + chunkSize - 1) / chunkSize
	}
	ends := now.Add(s.opt.TTL)
	if !r.Expires.IsZero() && r.Expires.Before(ends) {
		ends = r.Expires
	}
	v := version(nonce, n)
	head = item{
		attrID: text(id), attrFormat: number(format), attrVersion: text(v), attrTTL: number(ends.Unix() + 1),
		attrKind: number(int64(r.Kind)), attrOwner: text(r.Owner), attrLabel: text(storetext.Label(r.Label, maxLabel)),
	}
	if !r.Expires.IsZero() {
		head[attrExpires] = number(r.Expires.UnixMilli())
	}
	if n == 0 {
		head[attrData] = &types.AttributeValueMemberB{Value: r.Data}
		return head, nil
	}
	head[attrSize], head[attrSum] = number(int64(len(r.Data))), number(int64(crc32.Checksum(r.Data, castagnoli)))
	for i, chunkID := range chunkIDs(id, v) {
		data := r.Data[i*chunkSize : min((i+1)*chunkSize, len(r.Data))]
		chunk := item{attrID: text(chunkID), attrVersion: text(v), attrTTL: number(ends.Add(chunkSpan).Unix()), attrData: &types.AttributeValueMemberB{Value: data}}
		if e, ok := head[attrExpires]; ok {
			chunk[attrExpires] = e
		}
		chunks = append(chunks, chunk)
	}
	return head, chunks
}

var errDamaged = errors.New("the item is no record")

// decode returns what a head says. The error is store.ErrNewer for one that a later version of this package wrote, and errDamaged for what is no head of this id.
// Over 15 branches on purpose: it reads attribute after attribute, one flag and one branch for each.
func decode(id string, it item) (head, error) {
	if f, ok := numberIn(it, attrFormat); ok && f > format {
		return head{}, store.ErrNewer
	}
	named, _ := textIn(it, attrID)
	v, _ := textIn(it, attrVersion)
	_, isFormat := numberIn(it, attrFormat)
	kind, isKind := numberIn(it, attrKind)
	owner, isOwner := textIn(it, attrOwner)
	if named != id || v == "" || !isFormat || !isKind || kind < 0 || kind > 255 || !isOwner || owner != "" && !storetext.ValidKey(owner) {
		return head{}, errDamaged
	}
	h := head{record: store.Record{Version: v, Kind: store.Kind(kind), Owner: owner}}
	if _, ok := it[attrExpires]; ok {
		e, isNumber := numberIn(it, attrExpires)
		if !isNumber {
			return head{}, errDamaged
		}
		h.record.Expires = time.UnixMilli(e)
	}
	if _, n := parseVersion(v); n > 0 {
		size, isSize := numberIn(it, attrSize)
		sum, isSum := numberIn(it, attrSum)
		if !isSize || !isSum || size <= int64(n-1)*chunkSize || size > int64(n)*chunkSize {
			return head{}, errDamaged
		}
		h.size, h.sum = int(size), uint32(sum)
		return h, nil
	}
	data, ok := it[attrData].(*types.AttributeValueMemberB)
	if !ok || len(data.Value) == 0 {
		return head{}, errDamaged
	}
	h.record.Data = data.Value
	return h, nil
}

// over reports whether the record's time is over.
func (h head) over(now time.Time) bool {
	return !h.record.Expires.IsZero() && !h.record.Expires.After(now)
}

// join returns the data of a record from its chunks, by their ids. It fails if one is missing, belongs to something else or is damaged.
func (h head) join(id string, found map[string]item) ([]byte, bool) {
	data := make([]byte, 0, h.size)
	for _, chunkID := range chunkIDs(id, h.record.Version) {
		chunk := found[chunkID]
		v, _ := textIn(chunk, attrVersion)
		b, ok := chunk[attrData].(*types.AttributeValueMemberB)
		if v != h.record.Version || !ok || len(data)+len(b.Value) > h.size {
			return nil, false
		}
		data = append(data, b.Value...)
	}
	return data, len(data) == h.size && crc32.Checksum(data, castagnoli) == h.sum
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func textIn(it item, name string) (string, bool) {
	a, ok := it[name].(*types.AttributeValueMemberS)
	if !ok {
		return "", false
	}
	return a.Value, true
}

func numberIn(it item, name string) (int64, bool) {
	a, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(a.Value, 10, 64)
	return n, err == nil
}
