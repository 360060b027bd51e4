package ecosystem

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// client-go: its TLS configuration is found through the chain, lists pass, and the events of a watch arrive while it is open.
func TestClientGo(t *testing.T) {
	pod := func(name string) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "namespace": "default", "resourceVersion": "1"}}
	}
	next := make(chan struct{})
	origin := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") != "true" {
			json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "PodList", "metadata": map[string]any{}, "items": []any{pod("a"), pod("b")}})
			return
		}
		for i := range 3 {
			json.NewEncoder(w).Encode(map[string]any{"type": "ADDED", "object": pod(fmt.Sprint("pod", i))})
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: origin.Certificate().Raw})
	chain := ply.Chain(newCache(t, cache.Options{}).Middleware, eager(2))
	config := &rest.Config{
		Host: origin.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}, BearerToken: "t0k3n",
		WrapTransport: func(rt http.RoundTripper) http.RoundTripper { return chain(rt) },
	}
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := utilnet.TLSClientConfig(hc.Transport); err != nil || found == nil || found.RootCAs == nil {
		t.Errorf("the TLS configuration is %v (%v)", found, err)
	}
	client, err := dynamic.NewForConfigAndClient(config, hc)
	if err != nil {
		t.Fatal(err)
	}
	pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("default")
	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "pods", len(list.Items), 2)
	watch, err := pods.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	for i := range 3 {
		e, open := <-watch.ResultChan()
		if !open {
			t.Fatal("the watch has ended early")
		}
		var got struct{ Metadata struct{ Name string } }
		b, _ := json.Marshal(e.Object)
		json.Unmarshal(b, &got)
		same(t, "pod", got.Metadata.Name, fmt.Sprint("pod", i))
		next <- struct{}{}
	}
}
