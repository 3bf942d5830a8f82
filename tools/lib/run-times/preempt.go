// Goroutines whose loops make no calls, so that only SIGURG takes the processor from them; channels, garbage, HTTP.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func spin(n int) int {
	s := 0
	for i := 0; i < n; i++ {
		s += i ^ s<<1
	}
	return s
}

func main() {
	runtime.GOMAXPROCS(4)
	var wg sync.WaitGroup
	stop := time.Now().Add(300 * time.Millisecond)
	total := make([]int, 8)
	for g := range total {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			for time.Now().Before(stop) {
				total[g] += spin(20000000)
			}
		}(g)
	}
	ticks, done := 0, make(chan bool)
	go func() {
		for time.Now().Before(stop) {
			time.Sleep(time.Millisecond)
			ticks++
		}
		done <- true
	}()
	go func() {
		for i := 0; i < 2000; i++ {
			syscall.Kill(os.Getpid(), syscall.SIGURG)
		}
	}()
	<-done
	wg.Wait()

	numbers, sum := make(chan int), 0
	for g := 0; g < 100; g++ {
		go func() {
			for i := 0; i < 100; i++ {
				numbers <- i
			}
		}()
	}
	for i := 0; i < 10000; i++ {
		sum += <-numbers
	}
	blocks := map[int][]byte{}
	for i := 0; i < 20000; i++ {
		blocks[i%500] = make([]byte, 1000)
	}
	runtime.GC()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello ", r.URL.Path) }))
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			r, err := http.Get(fmt.Sprintf("http://%s/%d", listener.Addr(), i))
			if err != nil {
				panic(err)
			}
			defer r.Body.Close()
			if text, _ := io.ReadAll(r.Body); string(text) != fmt.Sprintf("hello /%d", i) {
				panic(string(text))
			}
		}(i)
	}
	wg.Wait()
	fmt.Println("ok", sum, len(blocks), ticks > 0)
}
