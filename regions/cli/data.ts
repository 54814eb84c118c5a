import { type Command } from "./command.ts";

/** `freshet data check`. */
export const dataCheck: Command = {
  name: "data check",
  summary: "Read a data folder and say what is in it",
  operands: "DIR",
  operandsMin: 1,
  operandsMax: 1,
  description: [
    "Reads every line of a data set (MovieLens or Globo.com) and counts clicks, users, items and lines that cannot be used.",
    "Exit code 0 when every line is usable, 1 when some are left out, 2 when the folder cannot be used.",
  ].join("\n"),
  options: [],
  examples: [["freshet data check ml-latest-small", "before replaying it with `freshet demo --data`"]],
  run: async (args, terminal) => {
    const { checkData } = await import("../data/check.ts");
    return checkData(args.operands[0] ?? "", (line) => terminal.out.write(`${line}\n`));
  },
};
