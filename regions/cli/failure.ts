import { styleText } from "node:util";
import { type Terminal } from "./command.ts";

/** Prints one clear block about an error of operation; where in the code it arose only with FRESHET_DEBUG=1. */
export function printFailure(error: unknown, terminal: Terminal): void {
  const lines = explain(error);
  const debug = terminal.env["FRESHET_DEBUG"] === "1";
  const [first = "Cannot go on", ...rest] = lines;
  terminal.err.write(
    `${styleText("red", first, { stream: terminal.err })}\n${rest.map((line) => `${line}\n`).join("")}`,
  );
  if (debug) terminal.err.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  else if (isUnexpected(error)) terminal.err.write("  (FRESHET_DEBUG=1 shows where this arose)\n");
}

function explain(error: unknown): string[] {
  if (!(error instanceof Error)) return [`Cannot go on: ${String(error)}`];
  const text = error.message === "" ? error.name : error.message;
  const lines = (text.startsWith("Cannot ") ? text : `Cannot go on: ${text}`).split("\n");
  const causes: string[] = [];
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) {
    const why = cause.message.split("\n", 1)[0] ?? "";
    if (why !== "" && !text.includes(why)) causes.push(`  because: ${why}`);
  }
  return [...lines, ...causes];
}

/** An error that nobody wrote a sentence for. */
function isUnexpected(error: unknown): boolean {
  return !(error instanceof Error) || !error.message.startsWith("Cannot ");
}
