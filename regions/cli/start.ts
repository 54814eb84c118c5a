import { type Command, type Terminal, WrongUsage } from "./command.ts";
import { DEMO_OPTIONS, runDemonstration } from "./demo.ts";
import { stopSignal } from "./stop-signal.ts";

/** `freshet start`: region nodes from config files, or the demonstration. */
export const start: Command = {
  name: "start",
  summary: "Start a region node from its config file; without one, the demonstration",
  operands: "[CONFIG...]",
  operandsMin: 0,
  operandsMax: 32,
  description: [
    "With a config file: one region node in this process, as in production. SIGINT or SIGTERM stops it in order; a second one at once.",
    "With several: a process for each, their output prefixed with the region's name.",
    "With none: the demonstration, with the options of `freshet demo`. All options are for that.",
  ].join("\n"),
  options: DEMO_OPTIONS,
  examples: [
    ["freshet start", "three regions and a simulated market"],
    ["freshet start regions/examples/frankfurt.jsonc", "one region node"],
    ["freshet start regions/examples/*.jsonc", "three regions, each node in a process of its own"],
  ],
  run: (args, terminal) => {
    const [file, ...more] = args.operands;
    if (file === undefined) return runDemonstration(args, terminal);
    const option = args.given[0];
    if (option !== undefined) {
      throw new WrongUsage(
        "start",
        `--${option} is for the demonstration; a region node has it all in its config file`,
      );
    }
    return more.length === 0 ? startOne(file, terminal) : startSeveral(args.operands);
  },
};

async function startOne(file: string, terminal: Terminal): Promise<number> {
  const { readConfig } = await import("../read-config.ts");
  const config = await readConfig(file, { env: terminal.env });
  using stop = stopSignal();
  const { startNode } = await import("../node.ts");
  const { stderrSink } = await import("../../runtime/log.ts");
  const log = stderrSink(config.log.format === "json" ? "json" : "readable");
  try {
    await using node = await startNode(config, { log, signal: stop.signal });
    const why = await Promise.race([aborted(stop.signal), node.ended]);
    if (why === undefined) return 0;
    throw new Error(
      `Cannot go on with region ${config.region}: ${why}\n  What failed before is in the log. A new start goes on from what is in ${config.state}`,
    );
  } catch (error) {
    // Asked to stop while it was still starting: then giving up the start is what was wanted.
    if (stop.signal.aborted && error === stop.signal.reason) return 0;
    throw error;
  }
}

async function startSeveral(files: readonly string[]): Promise<number> {
  const { readConfig } = await import("../read-config.ts");
  // All are read before any is started: a typing error in the third should not cost a start of two.
  const configs = await Promise.all(files.map((file) => readConfig(file)));
  const { runTogether } = await import("./several.ts");
  using stop = stopSignal();
  return await runTogether(
    configs.map((config) => ({
      name: `${config.region}${config.nodes.length === 1 ? "" : `/${config.node}`}`,
      args: ["start", config.file],
    })),
    { signal: stop.signal },
  );
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
