import { type ImageSummary } from "../snapshot/survey.ts";
import { type VerifyOptions } from "../snapshot/verify.ts";
import { type Command, type Terminal } from "./command.ts";
import { stopSignal } from "./stop-signal.ts";

const SHARD = { name: "shard", value: "NAME", about: "Only this shard, such as clicks-0" };
const JSON_OPTION = { name: "json", about: "Print one JSON object a shard" };

/** `freshet snapshot ls`. */
export const snapshotLs: Command = {
  name: "snapshot ls",
  summary: "List the images of shards in a state folder",
  operands: "STATE",
  operandsMin: 1,
  operandsMax: 1,
  description: [
    "Says what each shard's newest image holds, by what it says of itself. The node may be running.",
    "Exit code 0 when all can be used, 1 when one cannot.",
  ].join("\n"),
  options: [JSON_OPTION],
  examples: [["freshet snapshot ls ~/.local/state/freshet/oregon-a", "the node a of oregon"]],
  run: async (args, terminal) => {
    const { surveyImages } = await import("../snapshot/survey.ts");
    let isWhole = true;
    for (const image of await surveyImages(args.operands[0] ?? "")) {
      isWhole &&= image.problems.length === 0;
      if (args.flag("json")) {
        terminal.out.write(`${JSON.stringify(image)}\n`);
        continue;
      }
      const when = image.writtenAtMs === undefined ? "-" : new Date(image.writtenAtMs).toISOString();
      const positions = Object.entries(image.positions).map(([trainer, at]) => `${trainer} at ${at}`);
      terminal.out.write(
        `${image.shard.padEnd(20)}  ${(image.kind === "unreadable" ? "-" : sizeText(image.bytes)).padStart(9)}  ${kindText(image).padEnd(22)}  ${when}  ${[
          image.optimizerState === undefined ? "" : image.optimizerState ? "full" : "serving",
          ...positions,
        ].join("  ")}\n`,
      );
      for (const problem of image.problems) terminal.out.write(`  damaged: ${problem}\n`);
    }
    return isWhole ? 0 : 1;
  },
};

/** `freshet snapshot verify`. */
export const snapshotVerify: Command = {
  name: "snapshot verify",
  summary: "Read and check every byte of the images",
  operands: "STATE",
  operandsMin: 1,
  operandsMax: 1,
  description: "Exit code 0 when all is as it was written, 1 when something is not. The node may be running.",
  options: [SHARD, JSON_OPTION],
  examples: [["freshet snapshot verify ~/.local/state/freshet/oregon-a", "before a backup is thrown away"]],
  run: async (args, terminal) => {
    const { verifyImages } = await import("../snapshot/verify.ts");
    return untilStopped("check images", terminal, async ({ signal, progress }) => {
      let isWhole = true;
      const options = { shard: args.text("shard"), progress, signal };
      for await (const verdict of verifyImages(args.operands[0] ?? "", options)) {
        isWhole &&= verdict.problems.length === 0;
        progress("");
        terminal.out.write(`${args.flag("json") ? JSON.stringify(verdict) : verdictLines(verdict)}\n`);
      }
      return isWhole ? 0 : 1;
    });
  },
};

/** `freshet snapshot export`. */
export const snapshotExport: Command = {
  name: "snapshot export",
  summary: "Write the rows of images as Parquet files",
  operands: "STATE DIR",
  operandsMin: 2,
  operandsMax: 2,
  description: [
    "Writes DIR/MODEL-SHARD.TABLE.parquet, for pandas, DuckDB and others: key, values, t (microseconds since the epoch), writer, and in tables",
    "that are keyed by items the item's name, where the catalogue of any shard has it. Deleted rows are left out. Files get their names when all",
    "are written, and take the place of earlier ones; Ctrl-C leaves those as they were. The node may be running.",
  ].join("\n"),
  options: [SHARD, { name: "table", value: "NAME", about: "Only this table" }],
  examples: [
    ["freshet snapshot export ~/.local/state/freshet/oregon-a rows", "then: duckdb -c \"from 'rows/*.items.parquet'\""],
  ],
  run: async (args, terminal) => {
    const { exportImages } = await import("../snapshot/export.ts");
    const [state = "", folder = ""] = args.operands;
    return untilStopped("export", terminal, async ({ signal, progress }) => {
      const [shard, table] = [args.text("shard"), args.text("table")];
      const options = { shard, table, signal, progress };
      const { tables, unnamed, others } = await exportImages(state, folder, options);
      progress("");
      for (const { path, rows } of tables) terminal.out.write(`${path}  ${rows} rows\n`);
      for (const { shard: which, why } of unnamed) {
        terminal.err.write(`${which}: its items have no names in this, as its image cannot be read: ${why}\n`);
      }
      if (shard === undefined && table === undefined && others.length > 0) {
        terminal.err.write(
          `${folder} has files of other exports as well, which are as they were: ${others.join(", ")}\n`,
        );
      }
      return 0;
    });
  },
};

/** `freshet backup`. */
export const backup: Command = {
  name: "backup",
  summary: "Copy a node's images into one file",
  operands: "STATE FILE",
  operandsMin: 2,
  operandsMax: 2,
  description: [
    "Copies the newest image of each shard into FILE, a tar archive, once every byte of it was checked. Where the newest is damaged, the one",
    "before it is taken and that is said on standard error; exit code 1, and no FILE, where no image of a shard is whole. The node may be",
    "running: each image is of one moment. Ctrl-C leaves nothing behind; killed outright, it leaves .FILE.freshet-PID beside FILE, which the next",
    "backup in that folder removes. Streams of events and samples are nats-server's and are not in it.",
  ].join("\n"),
  options: [],
  examples: [["freshet backup ~/.local/state/freshet/oregon-a oregon.tar", "restored by `freshet restore`"]],
  run: async (args, terminal) => {
    const { backUp } = await import("../snapshot/backup.ts");
    const [state = "", file = ""] = args.operands;
    return untilStopped("back up", terminal, async ({ signal, progress }) => {
      const { shards, bytes, older } = await backUp(state, file, { signal, progress });
      progress("");
      for (const { shard, why } of older) {
        terminal.err.write(`${shard}: its newest image is damaged, and the one before it is in the backup: ${why}\n`);
      }
      terminal.out.write(`${file}: ${shards} shards, ${sizeText(bytes)}\n`);
      return 0;
    });
  },
};

/** `freshet restore`. */
export const restoreBackup: Command = {
  name: "restore",
  summary: "Put the images of a backup into a state folder",
  operands: "FILE STATE",
  operandsMin: 2,
  operandsMax: 2,
  description: [
    "Checks every byte first, and that nothing of the backup is missing; then all shards are there at once, or, when it is stopped before, none.",
    "Refused while a node uses STATE, and where it has images. The node that starts there is a new writer: it pulls what it lacks from its",
    "peers. The region that trains keeps its streams, or its shards wait for samples that they have had.",
  ].join("\n"),
  options: [],
  examples: [["freshet restore frankfurt.tar ~/.local/state/freshet/frankfurt-a", "then `freshet start`"]],
  run: async (args, terminal) => {
    const { restore } = await import("../snapshot/restore.ts");
    const [file = "", state = ""] = args.operands;
    return untilStopped("restore", terminal, async ({ signal, progress }) => {
      const verdicts = await restore(file, state, { signal, progress });
      progress("");
      for (const verdict of verdicts) terminal.out.write(`${verdictLines(verdict)}\n`);
      return 0;
    });
  },
};

/** A user did not wait for the end. */
class Stopped extends Error {
  override readonly name = "Stopped";
}

/** Runs what leaves nothing half-done when SIGINT or SIGTERM stops it. Its progress stands on one line of a terminal, which an empty one clears. */
async function untilStopped(
  what: string,
  { err }: Terminal,
  run: (options: VerifyOptions) => Promise<number>,
): Promise<number> {
  using stop = stopSignal();
  const { signal } = stop;
  function progress(line: string): void {
    if (err.isTTY) err.write(`\r${line}\u001b[K`);
  }
  try {
    return await run({ signal, progress });
  } catch (error) {
    progress("");
    if (!signal.aborted || error !== signal.reason) throw error;
    throw new Stopped(`Cannot ${what}: it was stopped before its end`);
  }
}

function kindText({ kind, segments }: { readonly kind: ImageSummary["kind"]; readonly segments: number }): string {
  if (kind === "unreadable") return "unreadable";
  return kind === "piece" ? "in one piece" : `whole + ${segments - 1} increments`;
}

function verdictLines(verdict: {
  readonly shard: string;
  readonly rows: number;
  readonly blocks: number;
  readonly bytes: number;
  readonly segments: number;
  readonly problems: readonly string[];
}): string {
  const { shard, rows, blocks, bytes, segments, problems } = verdict;
  const line = `${shard.padEnd(20)}  ${problems.length === 0 ? "whole" : "DAMAGED"}  ${rows} rows, ${sizeText(bytes)} in ${blocks} blocks of ${segments} segments`;
  return [line, ...problems.map((problem) => `  ${problem}`)].join("\n");
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
