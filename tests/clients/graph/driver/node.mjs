// Drives a client in Node: its configuration is the argument, orders are lines of the input, what happens are lines of the output.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import { drive } from "./driver.js";

const order = drive(io, JSON.parse(process.argv[2]), (what) => process.stdout.write(`${JSON.stringify(what)}\n`));
createInterface({ input: process.stdin }).on("line", (line) => order(JSON.parse(line))).on("close", () => process.exit(0));
