package emulator

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Answers are made from copies while others change the secret: the race detector looks on.
func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sample("Rds DoubleUsers", "EnableAutomaticRotation", "true", "RotationInterval", "6h", "Tags", `[{"TagKey":"k","TagValue":"v"}]`)
	b.pass(6*time.Hour - 5*time.Minute)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 50 {
				for _, c := range []exchange{
					{action: "GetSecretValue", pairs: []string{"SecretName", "s", "FetchExtendedConfig", "true"}},
					{action: "DescribeSecret", pairs: []string{"SecretName", "s", "FetchTags", "true"}},
					{action: "RotateSecret", pairs: []string{"SecretName", "s", "VersionId", fmt.Sprint(worker, "-", i)}},
					{action: "UpdateSecret", pairs: []string{"SecretName", "s", "ExtendedConfig.CustomData", fmt.Sprintf(`{"k%d":"v"}`, i)}},
					{action: "ListSecretVersionIds", pairs: []string{"SecretName", "s", "IncludeDeprecated", "true"}},
					{action: "ListSecrets", pairs: []string{"FetchTags", "true"}},
				} {
					if status, body := b.call(c.action, c.pairs...); status != 200 {
						t.Errorf("%s = %d %s, want 200", c.action, status, body)
					}
				}
				b.pass(4 * time.Second) // in all less than signatures are good for
			}
		})
	}
	all.Wait()
	if broken := invariant(b.store.secrets["s"]); broken != "" {
		t.Error(broken)
	}
}
