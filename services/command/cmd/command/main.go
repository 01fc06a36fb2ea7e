// Command command runs the command service as a process: settings come from the environment, --help lists them.
package main

import (
	"context"

	"github.com/talus-tally/talus/pkg/daemon"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/command"
)

func main() {
	daemon.Main(daemon.Program[command.Config]{
		Name:  "command",
		About: "takes commands over REST and commits them to Redis",
		Addr:  ":8080",
		Read:  command.ReadConfig,
		Run:   run,

		Ballast: command.Ballast,
	})
}

func run(ctx context.Context, cfg command.Config, process daemon.Process) error {
	eventlog.LogClient(process.Log)
	service, err := command.New(cfg, process.Log)
	if err != nil {
		return err
	}
	return service.Run(ctx)
}
