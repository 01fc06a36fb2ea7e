// Runs socket.io-client against the echo application: node echo.mjs URL TRANSPORTS, the latter separated by commas.
// It ends with 0 if all is as it should be.
import assert from "node:assert/strict";
import { io } from "socket.io-client";

const [url, transports] = process.argv.slice(2);
const options = {
  path: "/engine.io", transports: transports.split(","), forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200,
};
const last = options.transports.at(-1);

const once = (socket, event) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`${event} did not come`)), 20_000);
  socket.once(event, (...args) => { clearTimeout(timer); resolve(args); });
});

async function echoes(socket) {
  const sent = ["text", 1.5, null, true, { deep: [{ er: "\u2028 \u{1F600}" }] }];
  let back = once(socket, "echo");
  socket.emit("echo", ...sent);
  assert.deepEqual(await back, sent);

  const binary = [Buffer.from([0, 1, 30, 255]), { a: [Buffer.alloc(100_000, 7)], b: "text" }];
  back = once(socket, "echo");
  socket.emit("echo", ...binary);
  assert.deepEqual(await back, binary);
}

async function acknowledges(socket) {
  assert.deepEqual(await socket.timeout(20_000).emitWithAck("echo", { a: 1 }), { a: 1 });
  assert.deepEqual(await socket.timeout(20_000).emitWithAck("echo", Buffer.from("bytes")), Buffer.from("bytes"));

  socket.once("question", (what, answer) => answer("answer to " + what, Buffer.from([42])));
  const answered = once(socket, "answered");
  socket.emit("ask", "all");
  assert.deepEqual(await answered, ["answer to all", Buffer.from([42])]);
}

async function keepsOrder(socket) {
  const got = [];
  const whole = new Promise((resolve) => socket.on("number", (n) => { got.push(n); if (got.length === 500) resolve(); }));
  socket.emit("count", 500);
  await whole;
  socket.off("number");
  assert.deepEqual(got, [...Array(500).keys()]);
}

async function refuses() {
  const bad = io(url, { ...options, auth: { bad: 1 } });
  const [error] = await once(bad, "connect_error");
  assert.equal(error.message, "bad creds");
  assert.deepEqual(error.data, { code: 7 });
  bad.close();

  const nope = io(url + "/nope", options);
  assert.equal((await once(nope, "connect_error"))[0].message, "Invalid namespace");
  nope.close();
}

const socket = io(url, options);
await once(socket, "connect");
const chat = socket.io.socket("/chat");
await once(chat, "connect");
assert.notEqual(chat.id, socket.id);
await keepsOrder(socket); // while it upgrades, if it does
await Promise.all([echoes(socket), echoes(chat)]);
await acknowledges(socket);
await acknowledges(chat);
await refuses();

if (socket.io.engine.transport.name !== last) {
  await once(socket.io.engine, "upgrade");
}
assert.equal(socket.io.engine.transport.name, last);
await echoes(socket);

const before = socket.id;
const dropped = once(socket, "disconnect"), back = once(socket, "connect"), chatBack = once(chat, "connect");
socket.emit("drop");
assert.equal((await dropped)[0], "transport close");
await Promise.all([back, chatBack]);
assert.notEqual(socket.id, before);
await Promise.all([echoes(socket), acknowledges(socket), echoes(chat)]);

const kicked = once(chat, "disconnect");
chat.emit("kick");
assert.equal((await kicked)[0], "io server disconnect");
await echoes(socket);
socket.disconnect();
