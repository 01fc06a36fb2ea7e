// Connects a Socket.IO client as it is told, says what happens to it, and carries out orders. It runs in Node and on pages.
export function drive(io, { url, options }, say) {
  const socket = io(url, options);
  socket.on("connect", () => {
    const engine = socket.io.engine;
    engine.once("upgrade", () => say({ kind: "upgrade" }));
    say({ kind: "connect", id: socket.id, recovered: socket.recovered, transport: engine.transport.name });
  });
  socket.on("disconnect", (reason) => say({ kind: "disconnect", reason }));
  socket.on("connect_error", (error) => say({ kind: "refused", reason: error.message, args: [error.data] }));
  socket.onAny((event, ...args) => say({ kind: "event", event, args }));
  return ({ emit, ack, connect, close }) => {
    if (close) {
      socket.close();
    } else if (connect) {
      socket.connect();
    } else if (ack) {
      socket.timeout(15000).emit(...emit, (error, ...args) => say({ kind: "ack", id: ack, reason: error?.message, args }));
    } else {
      socket.emit(...emit);
    }
  };
}
