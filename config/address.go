package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// URL is the scheme and host of the KMS endpoint for a region: the explicit
// endpoint if there is one, else the region's public or VPC endpoint.
func (k KMS) URL(region string) (scheme, host string) {
	if k.Endpoint != "" {
		if e, err := parseEndpoint(k.Endpoint); err == nil {
			return e.Scheme, e.Host
		}
	}
	if k.Network == "vpc" {
		return "https", "kms-vpc." + region + ".aliyuncs.com"
	}
	return "https", "kms." + region + ".aliyuncs.com"
}

// parseEndpoint reads HOST[:PORT], https://HOST[:PORT] or http://HOST[:PORT].
func parseEndpoint(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	e, err := url.Parse(text)
	if err != nil || e.Hostname() == "" || e.User != nil || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || e.Fragment != "" ||
		(e.Scheme != "https" && e.Scheme != "http") {
		return nil, fmt.Errorf("want a host, https://HOST or http://127.0.0.1:PORT")
	}
	e.Host = strings.ToLower(e.Host)
	return e, nil
}

// IsLoopback tells whether host, with or without a port, is this machine.
func IsLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// MetadataHost is where an ECS instance finds its metadata.
const MetadataHost = "100.100.100.200"

// NextDoor tells whether a host, without a port, is this machine, or what answers
// underneath it: link-local addresses, and an instance's metadata.
func NextDoor(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == MetadataHost || IsLoopback(host) || err == nil && addr.IsLinkLocalUnicast()
}

// Address is the network ("tcp" or "unix") and address to listen on.
func (h HTTP) Address() (network, address string, err error) {
	if path, ok := strings.CutPrefix(h.Listen, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", "", fmt.Errorf("want unix:/PATH, got %q", h.Listen)
		}
		return "unix", path, nil
	}
	_, port, err := net.SplitHostPort(h.Listen)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		return "", "", fmt.Errorf("want HOST:PORT, :PORT or unix:/PATH, got %q", h.Listen)
	}
	return "tcp", h.Listen, nil
}

// Loopback tells whether only this machine can reach the endpoint.
func (h HTTP) Loopback() bool {
	network, address, err := h.Address()
	return err == nil && (network == "unix" || IsLoopback(address))
}

// LoadHTTP reads the endpoint alone, for those who ask a kmsrun that runs: what else its
// declaration says, and lacks here, is not their affair.
func LoadHTTP(src Source) (HTTP, error) {
	c, d := Default(), newDecoder(src)
	if src.File != "" {
		d.decodeFile(src, &c)
	}
	d.override(src, &c)
	d.fillCredentials(&c, src.Environ)
	d.validateHTTP(&c)
	d.faults = slices.DeleteFunc(d.faults, func(f *Fault) bool {
		return f.File != "" && f.Key != "" && f.Key != "http" && !strings.HasPrefix(f.Key, "http.")
	})
	return c.HTTP, d.faults.err()
}
