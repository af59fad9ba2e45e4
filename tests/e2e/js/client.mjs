// The official socket.io client, driven by lines of JSON on stdin; what it hears goes to stdout as lines of JSON.
//   {"do": "connect", "url": "...", "codec": "json" or "msgpack", "options": {...}}
//   {"do": "emit", "id": 1, "event": "...", "data": {...}}
//   {"do": "disconnect"}
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import parser from "socket.io-msgpack-parser";

let socket;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const CODECS = { json: {}, msgpack: { parser, path: "/socket.io/msgpack/" } };

function connect({ url, codec, options }) {
  socket = io(url, { reconnection: false, ...CODECS[codec], ...options });
  socket.io.on("open", () => {
    const engine = socket.io.engine;
    say({ said: "open", transport: engine.transport.name });
    engine.on("upgrade", (transport) => say({ said: "upgrade", transport: transport.name }));
  });
  socket.on("connect", () => say({ said: "connect" }));
  socket.on("connect_error", (error) =>
    say({ said: "connect_error", message: error.message, data: error.data ?? null }),
  );
  socket.on("disconnect", (reason) => say({ said: "disconnect", reason }));
  socket.onAny((event, data) => say({ said: "event", event, data }));
}

const commands = {
  connect,
  emit: ({ id, event, data }) =>
    socket.timeout(10_000).emit(event, data, (error, ack) => say({ said: "ack", id, error: error?.message ?? null, ack })),
  disconnect: () => socket.disconnect(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
}
process.exit(0);
