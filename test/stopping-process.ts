/*
 * `stopping-process.ts SIGNAL STEP ARGS...` runs `freshet ARGS` as on a terminal, and sends itself the signal when the command tells of that step.
 */
import { main } from "../regions/cli.ts";

const [signal = "SIGINT", step = "1", ...args] = process.argv.slice(2);
const { stderr } = process;
const write = stderr.write.bind(stderr);
let steps = 0;
stderr.isTTY = true;
stderr.write = (text: Uint8Array | string): boolean => {
  if (!text.toString().startsWith("\r")) return write(text);
  steps += 1;
  if (steps === Number(step)) process.kill(process.pid, signal);
  return true;
};
process.exitCode = await main(args, { out: process.stdout, err: stderr, input: process.stdin, env: process.env });
