import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Terminal } from "../cli/command.ts";

/** What a training run says, and where its report goes. */
export interface RunTerminal {
  readonly say: (line: string) => void;
  /** In place of the line before, where a person looks on. */
  readonly progress: (line: string) => void;
  /** Writes the report and its page into a folder. */
  report(out: string, report: object, page: string): Promise<void>;
}

/** With `json` the report goes to standard output, and all else to standard error. */
export function runTerminal({ out, err }: Terminal, { json }: { readonly json: boolean }): RunTerminal {
  const stream = json ? err : out;
  function say(line: string): void {
    stream.write(`${stream.isTTY ? ERASE_LINE : ""}${line}\n`);
  }
  return {
    say,
    progress(line) {
      if (stream.isTTY) stream.write(`${ERASE_LINE}${line}`);
    },
    async report(folder, report, page) {
      await writeFile(join(folder, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
      await writeFile(join(folder, "report.html"), page);
      say(`Report ${join(folder, "report.html")}`);
      if (json) out.write(`${JSON.stringify(report)}\n`);
    },
  };
}

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
