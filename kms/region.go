package kms

import (
	"context"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

var regionPattern = regexp.MustCompile(`^[a-z0-9-]+$`)

// regionFinder remembers the region that an instance's metadata told.
type regionFinder struct {
	turn   chan struct{} // of one: who asks; what follows is his
	failed *Error
	rest   time.Time
	found  atomic.Pointer[string]
	first  atomic.Pointer[string] // that anything was read from
}

// knownRegion is the region of id as far as it is known without asking.
func (c *Client) knownRegion(id secret.ID) string {
	if id.Region != "" {
		return id.Region
	}
	if found := c.region.found.Load(); found != nil {
		return *found
	}
	return c.settings.Region
}

// loginRegion is the region whose STS is near: the declared one, or that of whatever
// was read first. A read finds its region out before it logs in.
func (c *Client) loginRegion() string {
	if region := c.knownRegion(secret.ID{}); region != "" {
		return region
	}
	if first := c.region.first.Load(); first != nil {
		return *first
	}
	return ""
}

// regionOf is the region to read id from: its own, the declared one, or that of the
// instance we run on. It is never guessed.
func (c *Client) regionOf(ctx context.Context, id secret.ID, p *profile) (string, *Error) {
	if region := c.knownRegion(id); region != "" || c.settings.Endpoint != "" {
		return region, nil
	}
	f := &c.region
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return "", &Error{Kind: Unavailable, detail: transportDetail(ctx, ctx.Err())}
	}
	if region := c.knownRegion(id); region != "" {
		return region, nil
	}
	if f.failed == nil || time.Now().After(f.rest) {
		region, err := c.regionFromMetadata(ctx, p)
		if err == nil {
			f.found.Store(&region)
			return region, nil
		}
		if ctx.Err() != nil {
			return "", err // our own doing: others need not hear of it
		}
		f.failed, f.rest = err, time.Now().Add(longestRest)
	}
	e := *f.failed
	return "", &e
}

func (c *Client) regionFromMetadata(ctx context.Context, p *profile) (string, *Error) {
	m := metadata{c, p.settings.Metadata()}
	region, err := m.get(ctx, "/latest/meta-data/region-id")
	if err == nil && !regionPattern.MatchString(region) {
		err = invalid("metadata without a region")
	}
	if err != nil && err.serverAnswered() {
		err.step = "asking the metadata of the ECS instance for the region"
		return "", err
	}
	if err != nil {
		return "", &Error{Kind: NoRegion, detail: "none declared, and no metadata of an ECS instance"}
	}
	return region, nil
}

// metadata is that of the ECS instance we run on.
type metadata struct {
	client *Client
	base   string
}

// metadataTimeout bounds one exchange with metadata, which is next door or not at all.
const metadataTimeout = 2 * time.Second

// get reads one path, with a token (IMDSv2); without one, a request forged through
// us could read it too.
func (m metadata) get(ctx context.Context, path string) (string, *Error) {
	token, err := m.exchange(ctx, http.MethodPut, "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds", "60")
	if err != nil {
		return "", err
	}
	text, err := m.exchange(ctx, http.MethodGet, path, "X-aliyun-ecs-metadata-token", token)
	if err != nil {
		err.present = true
	}
	return text, err
}

func (m metadata) exchange(ctx context.Context, method, path, header, value string) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, m.base+path, nil)
	if err != nil {
		return "", invalid("a metadata endpoint that is none")
	}
	r.Header.Set(header, value)
	body, failed := m.client.exchange(r, "Metadata")
	return string(body), failed
}
