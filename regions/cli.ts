import { parseArguments } from "./cli/arguments.ts";
import { endWithReader } from "./cli/broken-pipe.ts";
import { type Command, type Terminal, WrongUsage } from "./cli/command.ts";
import { configCheck, configSchema } from "./cli/config.ts";
import { dataCheck } from "./cli/data.ts";
import { decode } from "./cli/decode.ts";
import { demo } from "./cli/demo.ts";
import { printFailure } from "./cli/failure.ts";
import { commandHelp, overviewHelp } from "./cli/help.ts";
import { memberAdd, memberLs, memberRetire } from "./cli/member.ts";
import { promote } from "./cli/promote.ts";
import { backup, restoreBackup, snapshotExport, snapshotLs, snapshotVerify } from "./cli/snapshot.ts";
import { setupTensorflow } from "./cli/setup.ts";
import { start } from "./cli/start.ts";
import { train } from "./cli/train.ts";
import { status } from "./cli/status.ts";
import { nearestName } from "./nearest-name.ts";
import { freshetVersion } from "./version.ts";

/*
 * The command line. Exit codes: 0 done, 1 could not, 2 called wrongly, 130 ended at once by a second signal,
 * 141 ended as nobody read its output any more.
 */

const COMMANDS: readonly Command[] = [
  start,
  demo,
  status,
  memberLs,
  memberAdd,
  memberRetire,
  promote,
  snapshotLs,
  snapshotVerify,
  snapshotExport,
  backup,
  restoreBackup,
  configCheck,
  configSchema,
  decode,
  dataCheck,
  setupTensorflow,
  train,
];
const FAILED = 1;
const CALLED_WRONGLY = 2;

/** Runs `freshet ARGS` and gives the exit code. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(args, terminal);
  } catch (error) {
    if (error instanceof WrongUsage) {
      terminal.err.write(`${error.message}\nSee: freshet help${error.command === "" ? "" : ` ${error.command}`}\n`);
      return CALLED_WRONGLY;
    }
    printFailure(error, terminal);
    return FAILED;
  }
}

async function dispatch(args: readonly string[], terminal: Terminal): Promise<number> {
  const [first] = args;
  if (first === undefined || first === "--help" || first === "-h") return help([], terminal);
  if (first === "help") return help(args.slice(1), terminal);
  if (first === "--version" || first === "-V") {
    terminal.out.write(`freshet ${freshetVersion()}\n`);
    return 0;
  }
  const { command, rest } = findCommand(args);
  const parsed = parseArguments(command, rest);
  if (parsed.flag("help")) return help(command.name.split(" "), terminal);
  return command.run(parsed, terminal);
}

function help(words: readonly string[], terminal: Terminal): number {
  terminal.out.write(
    words.length === 0 ? overviewHelp(COMMANDS, terminal) : commandHelp(findCommand(words).command, terminal),
  );
  return 0;
}

function findCommand(words: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } {
  for (const command of COMMANDS) {
    const length = command.name.split(" ").length;
    if (words.slice(0, length).join(" ") === command.name) return { command, rest: words.slice(length) };
  }
  const [first = "", second = ""] = words;
  const group = COMMANDS.filter((command) => command.name.startsWith(`${first} `)).map((command) => command.name);
  if (group.length > 0) throw new WrongUsage("", `freshet ${first} needs one of: ${group.join(", ")}`);
  const names = COMMANDS.map((command) => command.name);
  const nearest =
    names.find((name) => name.endsWith(` ${first}`)) ??
    nearestName(first, names) ??
    nearestName(`${first} ${second}`, names);
  throw new WrongUsage(
    "",
    `freshet has no command ${JSON.stringify(first)}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`,
  );
}

if (import.meta.main) {
  endWithReader([process.stdout, process.stderr]);
  process.exitCode = await main(process.argv.slice(2), {
    out: process.stdout,
    err: process.stderr,
    input: process.stdin,
    env: process.env,
  });
}
