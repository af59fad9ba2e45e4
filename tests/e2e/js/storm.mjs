// WaypostClients of dashboard/src/realtime in a storm, driven by lines of JSON on stdin.
//   {"do": "start", "clients": [{"name", "urls", "transports", "codec", "token", "trips"}]}
//   {"do": "cut", "names": [...]}   {"do": "state"}   {"do": "report", "file": "..."}
// Each keeps a journal: what came over the wire, what it applied, and what it showed of it (tests/e2e/journals.py).
import { rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import msgpack from "socket.io-msgpack-parser";

const here = (path) => new URL(path, import.meta.url);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** The product's own module, without its types. */
async function load() {
  const { rolldown } = await import(here("../../../dashboard/node_modules/rolldown/dist/index.mjs"));
  const file = here(`node_modules/.waypost-${process.pid}.mjs`);
  const bundle = await rolldown({
    input: here("../../../dashboard/src/realtime/client.ts").pathname,
    external: ["socket.io-client"],
  });
  await bundle.write({ file: file.pathname, format: "esm" });
  await bundle.close();
  try {
    return await import(file);
  } finally {
    await rm(file);
  }
}

const { WaypostClient } = await load();
const storm = new Map();

function start({ name, urls, transports, codec, token, trips }) {
  const journal = { name, wire: [], steps: {}, events: {}, places: {}, cuts: [] };
  const state = { trips: {}, fleet: {}, versions: {} };
  let connection = 0;
  let next = 0;
  const client = new WaypostClient({
    url: urls[0],
    token: () => token,
    onCut: (why) => journal.cuts.push(why?.code ?? null),
    onRefused: (why) => journal.cuts.push(why.code),
    socket: {
      transports,
      forceNew: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 1_000,
      ...(codec === "msgpack" && { path: "/socket.io/msgpack/", parser: msgpack }),
    },
  });
  const { socket } = client;
  socket.on("connect", () => (connection += 1));
  // Another node each time, as a balancer would choose.
  socket.on("disconnect", () => (socket.io.uri = urls[++next % urls.length]));
  socket.on("connect_error", () => (socket.io.uri = urls[++next % urls.length]));
  socket.prependAny((event, told) => {
    if (!/^(trip|fleet):/.test(event) || told?.seq === undefined) return;
    const room = event.startsWith("fleet:") || told.room === "fleet" ? "fleet" : told.tripId;
    journal.wire.push([connection, room, told.epoch, told.from ?? told.seq, told.seq]);
  });

  function kept(room) {
    journal.steps[room] = [];
    journal.events[room] = [];
    let last;
    return {
      heard: (event) => (last = event),
      onRefused: (why) => journal.cuts.push(`join ${why.code}`),
      onStep: ({ by, epoch, from, seq }) => {
        const said = last?.seq === seq && last.epoch === epoch ? digest(last) : null;
        journal.steps[room].push([by, epoch, from, seq, by === "snapshot" ? null : said]);
      },
    };
  }
  const digest = ({ payload }) =>
    payload.eventId ?? payload.locations?.map((each) => each.recordedAt).join() ?? null;
  function changed(room, { payload }) {
    const { id, version } = payload.trip;
    journal.events[room].push([payload.eventId, id, version]);
    state.versions[id] = Math.max(state.versions[id] ?? 0, version);
  }
  function showed(key, place, by) {
    (journal.places[key] ??= []).push([by, place.recordedAt, place.withdrawn ?? null]);
  }

  const fleet = kept("fleet");
  client.joinFleet({
    ...fleet,
    onSnapshot: ({ trips: running, positions }) => {
      for (const trip of running) state.versions[trip.id] = trip.version;
      journal.events.fleet.push(...running.map(({ id, version }) => [null, id, version]));
      for (const place of positions) showed(`vehicle ${place.vehicleId}`, place, "snapshot");
      state.fleet = Object.fromEntries(positions.map((place) => [place.vehicleId, place.recordedAt]));
    },
    onEvent: (event) => {
      fleet.heard(event);
      if (event.name === "trip:event") changed("fleet", event);
      if (event.name !== "fleet:positions") return;
      for (const place of event.payload.positions) {
        showed(`vehicle ${place.vehicleId}`, place, "event");
        state.fleet[place.vehicleId] = place.recordedAt;
      }
    },
  });
  for (const tripId of trips) {
    const room = kept(tripId);
    let by;
    client.joinTrip(tripId, {
      ...room,
      onSnapshot: ({ trip }) => {
        by = "snapshot";
        journal.events[tripId].push([null, trip.id, trip.version]);
        state.versions[trip.id] = trip.version;
      },
      onEvent: (event) => {
        by = "event";
        room.heard(event);
        if (event.name === "trip:event") changed(tripId, event);
      },
      onPosition: (place) => {
        if (place) showed(`trip ${tripId}`, place, by);
        state.trips[tripId] = place?.recordedAt ?? null;
      },
    });
  }
  storm.set(name, { client, journal, state });
}

const commands = {
  start: ({ clients }) => clients.forEach(start),
  cut: ({ names }) => {
    for (const name of names) storm.get(name).client.socket.io.engine?.close();
  },
  state: () =>
    say({ said: "state", states: Object.fromEntries([...storm].map(([name, { state }]) => [name, state])) }),
  report: async ({ file }) => {
    await writeFile(file, JSON.stringify([...storm.values()].map(({ journal }) => journal)));
    say({ said: "report" });
  },
};

say({ said: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  await commands[command.do](command);
}
process.exit(0);
