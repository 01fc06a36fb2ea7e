// A Socket.IO server in several processes, as its documentation builds one: rooms, the Redis streams adapter, connection
// state recovery. One process publishes, another holds the clients.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const redis = createClient({ url: process.env.REDIS_URL });
redis.on("error", (err) => console.error(err));
await redis.connect();

const http = createServer(async (req, res) => {
  if (req.method !== "POST" || req.url !== "/api/publish") {
    res.writeHead(req.url === "/health" ? 200 : 404).end();
    return;
  }
  let text = "";
  for await (const piece of req.setEncoding("utf8")) text += piece;
  const { channel, data } = JSON.parse(text);
  graph.to(channel).emit("command:executed", data);
  res.end("{}");
});

const io = new Server(http, { adapter: createAdapter(redis), connectionStateRecovery: {}, transports: ["websocket"] });
const graph = io.of("/graph");
graph.on("connection", (socket) => socket.join(socket.handshake.auth.session_id));
http.listen(Number(process.env.PORT), "127.0.0.1");
