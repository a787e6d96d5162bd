// Pause holds the namespaces of a pod, or of the whole node, and reaps what others leave behind.
//
// It does what Kubernetes' build/pause/linux/pause.c does, without the need for a C compiler and a static libc.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Version is the tag of the image registry.k8s.io/pause that this stands in for.
const Version = "3.10"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		fmt.Println("pause version", Version)
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			fmt.Fprintln(os.Stderr, "shutting down, got signal", received)
			return
		}
		// One SIGCHLD may stand for several children.
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}
