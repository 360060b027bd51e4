package mongodb

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/storeurl"
	"github.com/plyhttp/ply/store"
)

func init() { store.Register(openURL, "mongodb", "mongodb+srv") }

// openURL opens the MongoDB of a URL such as mongodb://host:27017/app?max_bytes=10GiB. What is not of Options is for the driver to read.
func openURL(ctx context.Context, u *url.URL) (store.Closer, error) {
	var o Options
	options := storeurl.Take("mongodb", u)
	options.String("collection", &o.Collection)
	options.Bytes("max_bytes", &o.MaxBytes)
	options.Bool("journal", &o.Journal)
	options.Duration("timeout", &o.Timeout)
	options.Int("connections", &o.Connections)
	u.RawQuery = options.Rest()
	if err := options.Err(); err != nil {
		return nil, err
	}
	if u.Fragment != "" { // to the driver it may be a password and options, of which the store would have none
		return nil, errURL
	}
	if names := unknown(u.Query()); len(names) > 0 {
		return nil, options.Unknown(names...)
	}
	if u.Path == "" && u.RawQuery != "" {
		u.Path = "/" // which the driver wants
	}
	s, err := Open(ctx, u.String(), o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// settings are the options of a URL that the driver knows, in lower case. It passes over any other.
// Its own parser, which could tell, is in a package that promises no stable API.
var settings = []string{
	"appname", "authmechanism", "authmechanismproperties", "authsource", "compressors", "connect", "connecttimeoutms", "directconnection",
	"enableoverloadretargeting", "heartbeatfrequencyms", "heartbeatintervalms", "journal", "loadbalanced", "localthresholdms", "maxadaptiveretries", "maxconnecting",
	"maxidletimems", "maxpoolsize", "maxstaleness", "maxstalenessseconds", "minpoolsize", "readconcernlevel", "readpreference", "readpreferencetags", "replicaset",
	"retryreads", "retrywrites", "servermonitoringmode", "serverselectiontimeoutms", "sockettimeoutms", "srvmaxhosts", "srvservicename", "ssl",
	"sslcertificateauthorityfile", "sslclientcertificatekeyfile", "sslclientcertificatekeypassword", "sslinsecure", "timeoutms", "tls", "tlscafile",
	"tlscertificatefile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword", "tlsdisablecertificaterevocationcheck", "tlsdisableocspendpointcheck",
	"tlsinsecure", "tlsprivatekeyfile", "w", "zlibcompressionlevel", "zstdcompressionlevel",
}

// unknown returns the options that the driver does not know.
func unknown(query url.Values) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(query)), func(name string) bool { return slices.Contains(settings, strings.ToLower(name)) })
}
