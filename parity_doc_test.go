package ply_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testName   = regexp.MustCompile("`((?:Test|Example|Fuzz)[A-Za-z0-9_]+)`")
	testFunc   = regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)[A-Za-z0-9_]+)\(`)
	quoted     = regexp.MustCompile("`[^`]+`")
	identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

// parityRows are the rows of the tables in docs/parity.md, without those that head them.
func parityRows(t *testing.T) (rows []string) {
	t.Helper()
	doc, err := os.ReadFile("docs/parity.md")
	require.NoError(t, err)
	lines := strings.Split(string(doc), "\n")
	for i, line := range lines {
		rule := func(at int) bool { return at < len(lines) && strings.HasPrefix(lines[at], "|---") }
		if strings.HasPrefix(line, "|") && !rule(i) && !rule(i+1) {
			rows = append(rows, line)
		}
	}
	return rows
}

// TestEveryRowOfParityNamesATest checks that each row of docs/parity.md says what one does in ply, and names tests that exist.
func TestEveryRowOfParityNamesATest(t *testing.T) {
	exists := make(map[string]bool)
	require.NoError(t, filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(src), -1) {
			exists[m[1]] = true
		}
		return err
	}))
	rows := parityRows(t)
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "|"), " | ")
		if len(cells) != 3 || strings.TrimSpace(cells[1]) == "" {
			t.Errorf("has no three cells, or says nothing: %s", row)
			continue
		}
		named := testName.FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("names no test: %s", row)
		}
		for _, m := range named {
			if !exists[m[1]] {
				t.Errorf("%s does not exist: %s", m[1], row)
			}
		}
	}
	if len(rows) < 150 {
		t.Errorf("%d rows: some are missing", len(rows))
	}
}

// referenceNames are what aiohttp-client-cache and requests-cache export, and the attributes of their sessions, caches and responses.
const referenceNames = `
	CachedSession CacheMixin get options head post put patch delete request expire_after refresh disabled delete_expired_responses close cache
	CacheBackend cache_name urls_expire_after allowed_codes allowed_methods include_headers ignored_params cache_control filter_fn autoclose
	is_cacheable create_cache_actions get_response save_response clear bulk_delete create_key delete_url has_url get_urls responses redirects
	BaseCache read write contains keys values size pop serialize deserialize DictCache FileBackend SQLiteBackend RedisBackend MongoDBBackend DynamoDBBackend
	paths bulk_commit use_temp CachedResponse method reason status url version cookies headers raw_headers host ok links content content_disposition json text
	get_encoding raise_for_status release created_at expires is_expired from_cache last_used history real_url request_info request_headers request_raw_headers
	reset CachedStreamReader from_client_response set_response_defaults start terminate wait_for_close connection UnsupportedExpiresError url_match
	get_url_expiration get_expiration_datetime get_cache_directives has_cache_headers split_kv_directive compose_refresh_headers filter_ignored_params
	normalize_url_params encode_dict DO_NOT_CACHE EXPIRE_IMMEDIATELY NEVER_EXPIRE

	wrap settings cache_disabled only_if_cached force_refresh allowable_codes allowable_methods key_fn match_headers ignored_parameters stale_if_error
	stale_while_revalidate always_revalidate read_only content_root_key decode_content serializer yaml bson use_cache_dir install_cache uninstall_cache
	enabled is_installed get_cache verify invalid older_than requests urls filter valid expired reset_expiration recreate_keys update remove_expired_responses
	db_path SQLiteCache count sorted vacuum FileCache cache_dir lock LRUFileDict max_cache_bytes RedisCache RedisHashDict ttl MongoCache get_ttl set_ttl
	GridFSCache DynamoDbCache create_table BaseStorage init_backend cache_key expires_delta expires_unix is_older_than elapsed revalidated CachedRequest
	CacheActions CacheDirectives CacheSettings normalize_request normalize_url redact_response get_matched_headers SerializerPipeline Stage CattrStage
	safe_pickle_serializer hooks`

// Each name has a row that says what one does in ply, or what one does instead.
func TestEveryNameOfTheReferenceHasARow(t *testing.T) {
	var named []string
	for _, row := range parityRows(t) {
		first, _, _ := strings.Cut(strings.Trim(row, "| "), " | ")
		for _, text := range quoted.FindAllString(first, -1) {
			named = append(named, identifier.FindAllString(text, -1)...)
		}
	}
	for name := range strings.FieldsSeq(referenceNames) {
		if !slices.Contains(named, name) {
			t.Errorf("%s has no row", name)
		}
	}
}
