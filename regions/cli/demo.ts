import { type Arguments } from "./arguments.ts";
import { type Command, type Option, type Terminal } from "./command.ts";
import { stopSignal } from "./stop-signal.ts";

/** What the demonstration may be told. */
export const DEMO_OPTIONS: readonly Option[] = [
  {
    name: "data",
    value: "DIR",
    about: "Replay the real clicks in this folder (MovieLens or Globo.com)",
    default: "a simulated market",
  },
  {
    name: "speed",
    value: "N",
    about: "Seconds of the clicks' own time per second",
    default: "as fast as the regions learn",
  },
  { name: "for", value: "TIME", about: "End by itself after this time, such as 30s", default: "until Ctrl-C" },
  { name: "json", about: "One JSON object on standard output at the end; progress goes to standard error" },
  { name: "seed", value: "N", about: "Seed of everything that is drawn by chance", default: "1" },
  { name: "port-base", value: "N", about: "First of the six ports that the regions listen on", default: "free ones" },
  {
    name: "state",
    value: "DIR",
    about: "Keep the regions' configs, logs and state here; a second run goes on from there",
    default: "a temporary folder, removed at the end",
  },
];

/** `freshet demo`: three regions on this machine, with a stream of clicks. */
export const demo: Command = {
  name: "demo",
  summary: "Three regions on this machine, learning from a stream of clicks",
  operands: "",
  operandsMin: 0,
  operandsMax: 0,
  description: [
    "Starts three regions as three processes, each with a nats-server of its own, and streams clicks through them: real ones with --data,",
    "else those of a simulated market. The terminal shows what they learn and how fresh each region is. Ctrl-C stops it all.",
    "A data set has clicks only: what was shown beside a clicked item is drawn by the popularity of the last hour (for films, year), and a",
    "click on an item that nobody clicked in that time makes no request.",
  ].join("\n"),
  options: DEMO_OPTIONS,
  examples: [
    ["freshet demo", "the simulated market, until Ctrl-C"],
    ["freshet demo --data ml-latest-small", "real ratings, replayed in time order"],
    ["freshet demo --for 30s --json", "half a minute, with the figures as JSON at the end"],
  ],
  run: runDemonstration,
};

/** Runs the demonstration with the options of `demo` or of `start`. */
export async function runDemonstration(args: Arguments, _terminal: Terminal): Promise<number> {
  const data = args.text("data");
  const speed = args.number("speed", { min: 0.001, max: 1e9 });
  const forMs = args.duration("for");
  const seed = args.number("seed", { min: 0, max: 0xffff_ffff, integer: true });
  const portBase = args.number("port-base", { min: 1024, max: 65_000, integer: true });
  const state = args.text("state");
  using stop = stopSignal();
  const { runDemo } = await import("../demo/demo.ts");
  return await runDemo({
    json: args.flag("json"),
    signal: stop.signal,
    ...(data === undefined ? {} : { data }),
    ...(speed === undefined ? {} : { speed }),
    ...(forMs === undefined ? {} : { forMs }),
    ...(seed === undefined ? {} : { seed }),
    ...(portBase === undefined ? {} : { portBase }),
    ...(state === undefined ? {} : { state }),
  });
}
