// Command edge runs the edge as a process: settings come from the environment, --help lists them.
package main

import (
	"context"

	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/edge"
)

func main() {
	daemon.Main(daemon.Program[edge.Config]{
		Name:  "edge",
		About: "fans the commits of sessions out to their clients over WebSocket",
		Addr:  ":8081",
		Read:  edge.ReadConfig,
		Run:   run,
	})
}

func run(ctx context.Context, cfg edge.Config, process daemon.Process) error {
	eventlog.LogClient(process.Log)
	service, err := edge.New(cfg, process.Log)
	if err != nil {
		return err
	}
	return service.Run(ctx)
}
