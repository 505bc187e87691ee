// Floor is the least that a program must do to fetch secrets and become another:
// one unsigned request for each with net/http, eight at once, and execve. Kmsrun's
// start is measured against it.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
)

func main() {
	url, child := os.Args[1], os.Args[3]
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	environ := make([]string, count)
	var group sync.WaitGroup
	turns := make(chan struct{}, 8)
	for i := range count {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			response, err := client.Get(url)
			if err != nil {
				panic(err)
			}
			defer response.Body.Close()
			var answer struct{ SecretData string }
			if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
				panic(err)
			}
			environ[i] = fmt.Sprintf("S%d=%s", i, answer.SecretData)
		})
	}
	group.Wait()
	panic(syscall.Exec(child, []string{child}, environ))
}
