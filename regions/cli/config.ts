import { type Command } from "./command.ts";

const TOGETHER =
  "The files were checked as the nodes of one deployment, which run at the same time. Check those that are not one at a time";

/** `freshet config check`. */
export const configCheck: Command = {
  name: "config check",
  summary: "Check config files, each and together",
  operands: "FILE...",
  operandsMin: 1,
  operandsMax: 64,
  description: [
    "Lists everything that is wrong in the files, with line and column. Several are checked as the nodes of one deployment, which run at the",
    "same time: where they do not fit together is listed too, such as different models, a peer that grants nothing, two nodes on one port.",
    "Check files of different deployments, and such as are for `freshet train` alone, one at a time. Exit code 0 when all can be started, 1",
    "when not.",
  ].join("\n"),
  options: [{ name: "secrets", about: "Also look whether every secret is where the file says it is" }],
  examples: [["freshet config check regions/examples/*.jsonc", "the examples, together"]],
  run: async (args, terminal) => {
    const { BadConfig, readConfig } = await import("../read-config.ts");
    const { mismatches } = await import("../config-together.ts");
    const { missingSecrets } = await import("../config-secrets.ts");
    const configs = [];
    let bad = false;
    for (const file of args.operands) {
      try {
        const config = await readConfig(file, { env: terminal.env });
        const missing = args.flag("secrets") ? await missingSecrets(config, terminal.env) : [];
        configs.push(config);
        bad ||= missing.length > 0;
        terminal.out.write(
          `${file}: ${missing.length === 0 ? "good" : missing.join("\n  ")} (region ${config.region}, node ${config.node})\n`,
        );
      } catch (error) {
        if (!(error instanceof BadConfig)) throw error;
        bad = true;
        terminal.err.write(`${error.message}\n`);
      }
    }
    const together = mismatches(configs);
    for (const mismatch of together) terminal.err.write(`${mismatch}\n`);
    if (together.length > 0) terminal.err.write(`${TOGETHER}\n`);
    return bad || together.length > 0 ? 1 : 0;
  },
};

/** `freshet config schema`. */
export const configSchema: Command = {
  name: "config schema",
  summary: "Print the JSON Schema of a config file, for editors",
  operands: "",
  operandsMin: 0,
  operandsMax: 0,
  description:
    'Name the written file in a config\'s "$schema", and the editor completes fields and shows what each means.',
  options: [],
  examples: [["freshet config schema > freshet.schema.json", "write it to a file"]],
  run: async (_args, terminal) => {
    const { regionConfigJsonSchema } = await import("../config.ts");
    terminal.out.write(`${JSON.stringify(regionConfigJsonSchema(), undefined, 2)}\n`);
    return 0;
  },
};
