// Command standalone runs all of Talus in one process: settings come from the environment, --help lists them.
package main

import (
	"context"

	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/command"
	"github.com/talus-tally/talus/services/standalone"
)

func main() {
	daemon.Main(daemon.Program[standalone.Config]{
		Name:  "standalone",
		About: "runs the command service, the edge, Redis and SQLite in one process",
		Addr:  ":8080",
		Read:  standalone.ReadConfig,
		Run:   run,

		Ballast: command.Ballast,
	})
}

func run(ctx context.Context, cfg standalone.Config, process daemon.Process) error {
	eventlog.LogClient(process.Log)
	service, err := standalone.New(cfg, process.Log)
	if err != nil {
		return err
	}
	if err := service.Welcome(process.Out); err != nil {
		process.Log.Warn("cannot print the welcome", "err", err)
	}
	return service.Run(ctx)
}
