import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NotWritten } from "./run-image.ts";

/** What a training run says, and where its report goes. */
export interface RunTerminal {
  readonly say: (line: string) => void;
  /** In place of the line before, where a person looks on; else now and then, so that a file of it shows that the run goes on. */
  readonly progress: (line: string) => void;
  /** Writes the report and its page into a folder. */
  report(out: string, report: object, page: string): Promise<void>;
}

/** As much of a stream of a terminal as lines need. */
interface LineStream {
  readonly isTTY: boolean;
  write(text: string): unknown;
}

/** With `json` the report goes to standard output, and all else to standard error. */
export function runTerminal(
  { out, err }: { readonly out: LineStream; readonly err: LineStream },
  { json, nowMs = () => performance.now() }: { readonly json: boolean; readonly nowMs?: () => number },
): RunTerminal {
  const stream = json ? err : out;
  let nextMs = nowMs() + PROGRESS_MS;
  function say(line: string): void {
    nextMs = nowMs() + PROGRESS_MS;
    stream.write(`${stream.isTTY ? ERASE_LINE : ""}${line}\n`);
  }
  return {
    say,
    progress(line) {
      if (stream.isTTY) stream.write(`${ERASE_LINE}${line}`);
      else if (nowMs() >= nextMs) say(line);
    },
    async report(folder, report, page) {
      try {
        await writeFile(join(folder, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
        await writeFile(join(folder, "report.html"), page);
      } catch (error) {
        throw new NotWritten("report", { folder, cause: error });
      }
      say(`Report ${join(folder, "report.html")}`);
      if (json) out.write(`${JSON.stringify(report)}\n`);
    },
  };
}

/** Without a terminal: after so long without a line. */
const PROGRESS_MS = 60_000;
const ERASE_LINE = "\r\u001B[2K";

/** `12 % of 29000 samples, 20000 a second, 3 s left`. */
export function describeProgress(of: {
  readonly done: number;
  readonly samples: number;
  readonly perSecond: number;
}): string {
  const { done, samples, perSecond } = of;
  const left = perSecond > 0 ? `, ${Math.ceil((samples - done) / perSecond)} s left` : "";
  return `${Math.floor((100 * done) / samples)} % of ${samples} samples, ${Math.round(perSecond)} a second${left}`;
}

/** Why a run goes on from the last checkpoint but one. */
export function describeDamage(why: string): string {
  return `The last checkpoint is damaged (${why}); the one before is whole`;
}
